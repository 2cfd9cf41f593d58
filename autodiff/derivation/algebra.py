"""A recorded graph as symbols to compute with, and the proof that two expressions in them are the same.

For readers that meet formulas which the graph did not record: their operations run on these symbols as on arrays, and what
comes out is compared with what the graph's own rules give.  No proof says nothing: expressions may be equal all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from ..errors import AutodiffError
from ..naming import user_frame, variables
from ..node import Node
from . import expr
from .assume import Assumption, fitting
from .expr import Atom, Poly
from .forms import NoForm, Symbol
from .graph import Graph, atom_of
from .steps import Deriver, plainly

FAR = 24  # slopes, at most, that a proof writes out
UNPROVED = (AutodiffError, NoForm, expr.TooDeep, ValueError, TypeError, LookupError, ArithmeticError, AssertionError)


class Algebra:
    """The values of the graph of `E` and their derivatives as symbols, in the names that `derive` gives them; `names` are those of
    nodes and arrays by `id()`, if they are not to be found among the caller's variables.

    `sizes` holds the lengths of axes by name: m for the number of examples, n0, n1, ... for others.  On what `value`, `slope`
    and `length` give, NumPy's functions and the op table's compute; `same` compares the result.  Raises as `derive` does where
    the graph has no closed form.

    >>> import autodiff as ad, numpy as np
    >>> w, x = ad.Tensor(np.ones(3), name="w"), ad.constant(np.ones(3), name="x")
    >>> E = np.sum((w - x) ** 2).named("E")
    >>> algebra = Algebra(E)
    >>> algebra.same(lambda: -2 * (algebra.value(x) - algebra.value(w)), E, w)
    True
    """

    def __init__(self, E: Any, names: Mapping[int, str] | None = None) -> None:
        expr.start()
        self.root, self._graph = E, Graph(E, variables(user_frame()) if names is None else names, [], {}, [])
        self.sizes: dict[str, int] = dict(self._graph.sizes)
        self._assuming = cache(partial(_Closed, self._graph))

    def value(self, x: Any) -> Symbol:
        """A named node, or an array among the operands; raises KeyError for what formulas have no name for."""
        leaf = x if isinstance(x, Node) else {id(p.data): p for p in self._graph.plain}[id(x)]
        if isinstance(x, Node) and x.id not in self._graph.names:
            raise KeyError(x)
        return self._graph.symbol(leaf)  # type: ignore[no-any-return]

    def length(self, name: str) -> Symbol:
        """The length of an axis."""
        return Symbol(self._graph.space, expr.size(name), (), ())

    def slope(self, of: Any, wrt: Any) -> Symbol:
        """The derivative of a node in another: an array of the axes of both."""
        if of is self.root and np.size(of.data) == 1:
            return self._assuming().upstream[wrt.id]
        graph = self._graph
        p = self._assuming().slope(graph.definition(of).poly, len(of.shape), wrt)
        return Symbol(graph.space, p, (*of.shape, *wrt.shape), (*graph.axes[of.id], *graph.axes[wrt.id]))

    def same(self, claim: Callable[[], Any], of: Any, wrt: Any = None, part: str = "", assume: Iterable[str] = ()) -> bool:
        """Is what `claim` computes the value of a node, or its derivative `wrt` another, in either layout, by algebra alone?

        `part` is "diagonal" or "rest" where only that of a square Jacobian is meant; `assume` says what may be taken for granted,
        as that of `derive` does.  False where it is not shown.
        """
        graph = self._graph
        expr.start(graph.atoms)
        try:
            closed = self._assuming(*[fitting(a, graph) for a in assume])
            found = graph.space.lift(claim())
            if wrt is None:
                truth = graph.definition(of)
            elif of is self.root and np.size(of.data) == 1:
                truth = Symbol(graph.space, closed.local[wrt.id], wrt.shape, graph.axes[wrt.id])
            else:
                truth = self.slope(of, wrt)
            return any(map(closed.is_zero, _gaps(found, truth, part)))
        except UNPROVED:
            return False


class _Closed(Deriver):
    """What symbols stand for, under some assumptions: slopes in the names of values, and these in the names of variables."""

    def __init__(self, graph: Graph, *assumptions: Assumption) -> None:
        super().__init__(graph, assumptions)
        self._slopes: dict[Atom, Poly] = {}

    @cached_property
    def local(self) -> dict[int, Poly]:
        """The derivative of the loss in each node, in the slopes of the nodes it feeds."""
        return self.sweep()[0] if np.size(self.graph.root.data) == 1 else {}

    def written_out(self, p: Poly) -> Poly:
        """The same without slopes: each is replaced by its local rule, in which those of later nodes have been replaced before."""
        slopes = {atom_of(self.upstream[n.id]): n for n in self.named if n.id in self.local}
        wanted = set(expr.atoms_in(p))
        for atom, n in slopes.items():
            wanted |= set(expr.atoms_in(self.local[n.id])) if atom in wanted else set()
        if len(wanted & slopes.keys()) > FAR:
            raise expr.TooDeep
        for atom, n in reversed(slopes.items()):
            if atom in wanted and atom not in self._slopes:
                simple = self.best(self.graph.own(n, expr.substitute(self.local[n.id], self._slopes)))
                self._slopes[atom] = plainly(simple)
        return expr.substitute(p, self._slopes)

    @cached_property
    def values(self) -> dict[Atom, Poly]:
        table: dict[Atom, Poly] = {}
        for atom, body in self.definitions.items():
            table[atom] = expr.substitute(body, table)
        return table

    def is_zero(self, p: Poly) -> bool:
        """Is it 0 once it is simplified: as it is, with what its slopes stand for, and with what its values do?"""
        if not self.best(p).terms:
            return True
        p = self.written_out(p)
        return not self.best(p).terms or not self.best(expr.substitute(p, self.values)).terms


def _gaps(claim: Symbol, truth: Symbol, part: str) -> Iterator[Poly]:
    """Claim minus truth over the labels 0, 1, .. of the axes longer than 1: in the order of the truth's, and in the other layout."""
    mine, due = ([i for i, d in enumerate(s.dims) if d] for s in (claim, truth))
    part = part if len(due) == 2 else ""
    q = expr.scale(expr.relabel(truth.poly, {i: k for k, i in enumerate(due)}), -1)
    q = expr.relabel(q, {1: 0}) if part == "diagonal" else q
    for order in (mine, mine[::-1]) if len(mine) == 2 else (mine,):
        gap = expr.add(expr.relabel(claim.poly, {i: k for k, i in enumerate(order)}), q)
        if part == "rest":
            diagonal = expr.mul(expr.relabel(gap, {1: 0}), expr.factor(expr.delta(str(truth.dims[due[0]])), (0, 1)))
            gap = expr.add(gap, expr.scale(diagonal, -1))
        yield gap
