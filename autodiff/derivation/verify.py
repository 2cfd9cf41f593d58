"""Proof by numbers: every printed formula is executed at random points and compared with the engine's gradient.

The recorded graph is run again on other leaf values, by the engine itself, so the comparison trusts nothing
that the derivation did.  Leaf values move within what the recorded data suggests (positive stays positive) and
satisfy the assumptions that a formula uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DerivationFailed, NotVerified
from ..replay import leaf_like
from ..replay import replay as run_again
from ..reverse import pull, pull_each
from .assume import Assumption, satisfying
from .graph import Graph, user_ops

if TYPE_CHECKING:
    from .derivation import Formula

Arrays = dict[str, Any]
POINTS = 3  # a formula is shown only if at least so many prove it
BUG = "This is a bug of autodiff; nothing was shown."
LARGE, SHORT = 20_000, 12  # of more numbers than that, random points take so many along an axis


def replay(graph: Graph, values: Mapping[str, Any], lengths: Mapping[int, int] = {}) -> dict[int, Any]:
    """The recorded computation on other values of the variables, as a graph of its own; by the old nodes' ids.

    `lengths` says what becomes of each length of an axis in values that are shorter than those recorded.
    """
    variables = {n.id: values[graph.names[n.id]] for n in graph.nodes if graph.is_variable(n)}
    arrays: dict[int, Any] = {}
    for p in graph.plain:
        x = np.asarray(values[graph.names[p.id]]) if p.id in graph.names else _cut(p.data, lengths)
        if p.link is not None:
            x = p.link[1](np.asarray(values[graph.names[p.link[0].id]]))
        arrays[id(p)] = leaf_like(p.node, x) if p.node is not None else x.item() if x.dtype == bool and x.ndim == 0 else x
    return run_again(graph.nodes, variables, arrays, graph.args)


def _cut(x: Any, lengths: Mapping[int, int]) -> Any:
    return x[tuple(slice(lengths.get(n, n)) for n in x.shape)]


def shorter_axes(graph: Graph) -> dict[int, int]:
    """Lengths for random points of a large graph: axes of equal lengths stay so, longer ones stay longer; none where all can stay."""
    held = {name: np.asarray(x) for name, x in graph.data()}
    if sum(x.size for x in held.values()) <= LARGE:
        return {}
    out: dict[int, int] = {}
    for n in sorted({n for x in held.values() for n in x.shape}):
        out[n] = max(min(n, SHORT), max(out.values(), default=-1) + 1)
    readable = {d for name in graph.names.values() for d in graph.dims[name]}
    if any(out.get(n, n) != n for d, n in graph.sizes.items() if d not in readable):
        return {}  # a length that a formula writes as a number
    try:
        new = replay(graph, {name: _cut(x, out) for name, x in held.items()}, out)
    except Exception:  # an op recorded lengths of its own
        return {}
    kept = all(np.shape(new[n.id].data) == tuple(out.get(k, k) for k in n.shape) for n in graph.nodes)
    return out if kept else {}


class Points:
    """Points at which formulas are checked, with what the engine says there: the recorded values, and random ones.

    Of a large graph the random ones have shorter axes.  The engine says the gradient of every name or, given y and v, the
    derivative in v of y, or of the gradient in y if that is not the root.
    """

    def __init__(self, graph: Graph, assumptions: Sequence[Assumption], y: Any, v: Any, seed: int = 0) -> None:
        self.graph, self.y, self.v = graph, y, v
        self.values: list[tuple[Arrays, dict[int, Any]]] = []  # values by name, and what the engine says by node
        self.loose = 1e-3 if any(getattr(n, "dtype", None) == np.float32 for n in graph.nodes) else 1e-6
        # Values are bound to names, so no name may stand for two things: a formula that mixes them up would prove itself.
        names = Counter([*graph.names.values(), *graph.sizes])
        if twice := [name for name, k in names.items() if k > 1]:
            raise DerivationFailed(f"two things are both called {twice[0]} in the formulas. {BUG}")
        rng = np.random.default_rng(seed)
        recorded = {name: np.asarray(x) if np.asarray(x).dtype == bool else np.array(x, dtype=float) for name, x in graph.data()}
        with np.errstate(all="ignore"):
            if all(a.holds(recorded[a.name]) for a in assumptions):
                self._try(satisfying(assumptions, recorded), {})
            lengths = shorter_axes(graph)
            recorded = {name: _cut(x, lengths) for name, x in recorded.items()}
            for k in range(POINTS + 1):
                for reach in (None, 0.5) if k == 0 else (0.5, 0.2, 0.05, 0.01, 0.0, None):  # tiny data alone would prove little
                    if self._try(satisfying(assumptions, {name: _moved(rng, x, reach) for name, x in recorded.items()}), lengths):
                        break
        if len(self.values) < POINTS:
            raise NotVerified(
                "the recorded values give infinite or undefined numbers, near which no formula can be checked; "
                "record the computation at values where the loss and its gradient are finite"
            )

    def _try(self, leaves: Arrays, lengths: Mapping[int, int]) -> bool:
        new = replay(self.graph, leaves, lengths)
        names, truth = self.graph.names, self._truth(new)
        point = {name: np.asarray(new[i].data) for i, name in names.items() if i in new}
        point |= {f"d{names[self.graph.root.id]}_d{names[i]}": x for i, x in truth.items()}
        if not all(np.all(np.isfinite(x)) for name, x in point.items() if name not in leaves):  # a mask holds -inf
            return False
        self.values.append((leaves | point, truth))
        return True

    def _truth(self, new: Mapping[int, Any]) -> dict[int, Any]:
        """What the engine says of a graph that was run again."""
        root = new[self.graph.root.id]
        if self.y is None:
            moving = [i for i in self.graph.names if i in new and new[i].active]
            found = pull([root], [None], [new[i] for i in moving], record=False, allow_unused=True)
            return {i: np.asarray(g) for i, g in zip(moving, found, strict=True)}
        y = root if self.y is self.graph.root else pull([root], [None], [new[self.y.id]], record=True)[0]
        v = new[self.v.id]
        rows = [row for (row,) in pull_each(y, [v])]
        return {self.v.id: np.array(rows, dtype=float).reshape((*y.shape, *v.shape))}

    def check(self, f: Formula, v: Any) -> Formula:
        """The formula of the derivative in v, if its printed source gives the engine's numbers at every point; raises otherwise."""
        proofs = 0
        for values, truths in self.values:
            try:
                with np.errstate(all="ignore"):
                    (found,) = run(f.source(), [f.variable], values)
            except Exception as error:
                raise DerivationFailed(f"{f.left} was derived as `{f.numpy}`, which does not run: {error}. {BUG}") from error
            if not np.all(np.isfinite(found)):  # printed as it is, it overflows here, where the engine does not
                continue
            proofs += 1
            truth = truths[v.id]
            alike, size = found.shape == truth.shape, float(np.abs(truth).max(initial=0.0))
            if not (alike and np.allclose(found, truth, rtol=self.loose, atol=self.loose * 1e-2 * (0.01 + size))):
                gap = np.max(np.abs(found - truth)) if alike else f"shape {found.shape} for {truth.shape}"
                raise DerivationFailed(
                    f"{f.left} was derived as `{f.numpy}`, but the engine's gradient differs from it by {gap} at a random point. {BUG}"
                )
        if proofs < POINTS:
            raise NotVerified(
                f"{f.left} was derived as `{f.text}`, which is infinite or undefined at the recorded values and near them, so it could not "
                "be checked and is not shown; record the computation at values where it is defined"
            )
        return f


def _moved(rng: np.random.Generator, x: Any, reach: float | None) -> Any:
    """Values near x; without a reach anywhere, as far as the signs allow."""
    if x.dtype == bool:  # a choice that was made
        return x
    if not (finite := np.isfinite(x)).all():
        return np.where(finite, _moved(rng, np.where(finite, x, 0.0), reach), x)
    noise = rng.normal(size=x.shape)
    if reach is None:
        return np.abs(noise) if (x > 0).all() else noise
    if ((x == 0) | (x == 1)).all() and x.size > 1:
        return np.abs(x - 2 * reach * rng.uniform(0.05, 0.8, x.shape))
    if (x > 0).all():
        return x * np.exp(reach * noise)
    return x + reach * (np.abs(x).mean() + 0.1) * noise


def run(source: str, names: Iterable[str], values: Mapping[str, Any]) -> list[Any]:
    """What printed source gives for names that it assigns, as floats; ops of the user's are called as declared."""
    scope: dict[str, Any] = {"np": np, **user_ops(), **values}
    exec(compile(source, "<derived>", "exec"), scope)
    found = [np.asarray(scope[name]) for name in names]
    return [(x if x.dtype.kind == "f" else x.astype(float))[()] for x in found]
