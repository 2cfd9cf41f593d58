"""Whether a formula is right by algebra, for all values, and not only equal in numbers at the points that were tried.

The numbers are the judge: this says of a right claim why it is right, and settles one that rounding leaves undecided.
"""

from __future__ import annotations

import re
from typing import Any

from .claims import Claim, Reading
from .points import Env, Recorded

PARTS = {"jacobian_diagonal": "diagonal", "jacobian_off_diagonal": "rest"}


class Symbols:
    """What formulas see in place of a point: the same names, as symbols of the graph's algebra."""

    def __init__(self, graph: Recorded) -> None:
        self.graph = graph

    def value_of(self, x: Any) -> Any:
        return self.graph.algebra.value(x)

    def length(self, name: str) -> Any:
        algebra = self.graph.algebra
        return algebra.length(name) if name in algebra.sizes else self.graph.sizes[name]

    def gradient(self, k: int) -> Any:
        return self.graph.algebra.slope(self.graph.root, self.graph.by_id[k])

    def jacobian(self, of: int, wrt: int) -> Any:
        return self.graph.algebra.slope(self.graph.by_id[of], self.graph.by_id[wrt])


def proved(claim: Claim, reading: Reading, graph: Recorded, assumptions: tuple[str, ...]) -> bool:
    """Is a formula, read so, what the graph's own rules give, by algebra alone under these assumptions?  False if that is not shown."""
    if claim.formula is None or graph.algebra is None:
        return False
    goal = claim.goal
    of, wrt = graph.by_id[goal.of], None if goal.wrt is None else graph.by_id[goal.wrt]
    env = Env(Symbols(graph), claim.numbers_known, reading.rows)
    assumed = [a for said in assumptions if (a := _assumed(said))]
    return bool(graph.algebra.same(lambda: reading.formula.evaluate(env), of, wrt, PARTS.get(goal.kind, ""), assumed))


def _assumed(said: str) -> str:
    """An assumption in the checker's words as `ad.derive` writes it; one-hot data sums to 1, integers are nothing special."""
    if found := re.fullmatch(r"(?:symmetric|positive definite) (\w+)", said):
        return f"{found[1]} == {found[1]}.T"
    return said.replace(" = ", " == ") if said.startswith("sum(") or said.endswith("> 0") else ""
