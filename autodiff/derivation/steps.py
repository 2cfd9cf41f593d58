"""The derivation: one step per named node, from the loss back to the variables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np

from ..errors import NoIndexForm
from ..node import Node
from . import expr
from .assume import Assumption
from .expr import Atom, Poly
from .forms import Symbol, derivative
from .graph import Graph, atom_of
from .matrix import to_matrix, transposes
from .simplify import Simplifier

INLINE_LIMIT = 50  # a longer gradient stays a symbol in the formulas below it, about three layers up


def _turned(p: Poly) -> int:
    return transposes(to_matrix(p, tuple(sorted(expr.free(p)))))


T = TypeVar("T")


@dataclass(frozen=True)
class Step(Generic[T]):
    """One derivative, as expressions or as the formulas made of them: its local rule, and how it becomes the closed form."""

    node: Any
    name: str
    rule: T  # with upstream gradients as symbols
    inserted: T  # with their closed forms in place
    result: T  # simplified
    without: T | None  # simplified without the assumptions, where that makes a difference
    used: Sequence[Assumption]

    def chain(self, kind: str) -> list[str]:
        """The different right-hand sides of formulas from rule to result, as "text" or "latex"."""
        found = [getattr(f, kind) for f in (self.result, self.inserted, self.rule)]
        return list(dict.fromkeys(found))[::-1]

    def ending(self) -> Step[T]:
        """Its result alone."""
        return replace(self, rule=self.result, inserted=self.result, without=None)


class Deriver:
    """Runs the reverse sweep on symbols and simplifies, node by node; without targets down to every named one."""

    def __init__(self, graph: Graph, assumptions: Sequence[Assumption], targets: Sequence[Any] = ()) -> None:
        self.graph, self.assumptions = graph, list(assumptions)
        self.named = [n for n in graph.nodes if n.id in graph.names and n is not graph.root]
        self.definitions: dict[Atom, Poly] = {}
        for n in self.named:
            if not graph.is_variable(n):
                with suppress(NoIndexForm):  # a name may stand for what has no form: it stays a name
                    self.definitions[atom_of(graph.symbol(n))] = graph.own(n, graph.definition(n).poly)
        if np.size(graph.root.data) != 1:  # of a vector y, the Jacobian is written in y
            y = graph.space.opaque(graph.names[graph.root.id], graph.root.shape, graph.axes[graph.root.id])
            self.definitions[atom_of(y)] = graph.own(graph.root, graph.definition(graph.root).poly)
        self._unmarked: dict[Atom, Poly] = {}
        self._using = cache(self._simplifier)
        self.plain, self.best = self._using(), self._using(*self.assumptions)
        self.upstream = {n.id: graph.space.opaque("∂" + graph.names[n.id], n.shape, graph.axes[n.id]) for n in self.named}
        self.targets = targets or [n for n in self.named if n.active]

    def _simplifier(self, *used: Assumption) -> Simplifier:
        """That which relies on these assumptions: by atoms that know them, or by what is put for terms."""
        held = {(a.name, a.kind) for a in used}
        known = (
            {v: expr.known(v, (v.name, "symmetric") in held, (v.name, "positive") in held) for v in self.graph.variables()} if used else {}
        )
        relations = [r for a in used for v, k in known.items() if v.name == a.name for r in a.relations(self.graph, k)]
        found = Simplifier(self.definitions, relations, known)
        self._unmarked.update({p.only()[0][0][0]: a.poly for a, p in found.put.items()})
        return found

    def steps(self, inline_limit: float = INLINE_LIMIT) -> list[Step[Poly]]:
        """The steps to every target, the loss's neighbours first; upstream gradients up to the limit are written out."""
        local, consumers = self.sweep()
        graph, out = self.graph, []
        closed: dict[Atom, Poly] = {}
        plain: dict[Atom, Poly] = {}
        used: dict[int, list[Assumption]] = {}
        for n in reversed([n for n in self.named if n.id in local]):
            above = consumers[n.id].values()
            unfold = [atom_of(graph.symbol(c)) for c in above]
            inserted = expr.substitute(local[n.id], closed)
            try:
                without = expr.substitute(local[n.id], plain)
                bare = self.plain(without, unfold)
                simple, now = self.shortest(inserted, unfold, bare)
                short = self.plain(local[n.id])
            except expr.TooDeep:
                raise graph.too_big(n) from None
            inherited = [a for c in above for a in used[c.id]]
            used[n.id] = [a for a in self.assumptions if a in now or a in inherited] if simple is not bare else []
            atom = atom_of(self.upstream[n.id])
            if max(expr.cost(simple), expr.cost(bare)) <= inline_limit:
                closed[atom], plain[atom] = graph.own(n, simple), graph.own(n, bare)
            inserted = inserted if used[n.id] else without
            out.append(Step(n, graph.names[n.id], short, inserted, simple, bare if used[n.id] else None, used[n.id]))
        return out

    def slope(self, p: Poly, rank: int, v: Any) -> Poly:
        """The derivative of p, an expression over so many axes, in node v, whose axes come after those."""
        depends = {v.id}
        for n in self.graph.nodes:
            if any(isinstance(a, Node) and a.id in depends for a in self.graph.args[n.id]):
                depends.add(n.id)
        table: dict[Atom, Poly] = {}  # names that depend on v, and what they stand for
        for n in self.named:
            if n.id in depends and n is not v and n.op is not None:
                table[atom_of(self.graph.symbol(n))] = expr.substitute(self.graph.own(n, self.graph.definition(n).poly), table)
        own = {expr.PASSENGER + i: rank + i for i, d in enumerate(self.graph.axes[v.id]) if d is not None}
        p = derivative(expr.substitute(p, table), atom_of(self.graph.symbol(v)), self.graph.space, list(own))
        return expr.relabel(p, own)

    def shortest(self, p: Poly, unfold: Sequence[Atom], bare: Poly) -> tuple[Poly, list[Assumption]]:
        """The closed form, and the assumptions that it needs; `bare`, the form without any, if they change nothing."""
        simple, kept = self.best(p, unfold), self.assumptions
        for a in self.assumptions if len(kept) > 1 else []:
            fewer = [b for b in kept if b is not a]
            other = self._using(*fewer)(p, unfold)
            if self._alike(other, simple):
                simple, kept = other, fewer
        return (bare, []) if self._alike(simple, bare) else (simple, kept)

    def plainly(self, p: Poly) -> Poly:
        """The same in atoms of which nothing is known."""
        return expr.substitute(p, self._unmarked)

    def _alike(self, p: Poly, q: Poly) -> bool:
        """Do they read the same, whatever is known of their atoms?"""
        return p == q or (self.plainly(p) == self.plainly(q) and _turned(p) == _turned(q))

    def sweep(self) -> tuple[dict[int, Poly], dict[int, dict[int, Any]]]:
        """The local rule of each named node: reverse mode in which named nodes pass on a symbol for their gradient."""
        graph = self.graph
        path = self._path()
        adjoint: dict[int, Any] = {}
        above: dict[int, dict[int, Any]] = {}
        local: dict[int, Poly] = {}
        for n in reversed(graph.nodes):
            if n.id not in path:
                continue
            if n is graph.root:
                g, mine = Symbol(graph.space, expr.ONE, n.shape, graph.axes[n.id]), {}
            elif n.id not in adjoint:
                continue
            elif n.id in graph.names:
                local[n.id] = adjoint[n.id].poly
                g, mine = self.upstream[n.id], {n.id: n}
            else:
                g, mine = adjoint[n.id], above[n.id]
            for i, a in enumerate(graph.args[n.id]):
                if not isinstance(a, Node) or a.id not in path:
                    continue
                d = graph.pull(n, i, g)
                if d is None:
                    continue
                adjoint[a.id] = adjoint[a.id].map(lambda p, d=d: expr.add(p, d.poly)) if a.id in adjoint else d
                above[a.id] = above.get(a.id, {}) | mine
        return local, above

    def _path(self) -> set[int]:
        """The nodes through which the root depends on the targets."""
        path = {t.id for t in self.targets}
        for n in self.graph.nodes:
            if any(isinstance(a, Node) and a.id in path for a in self.graph.args[n.id]):
                path.add(n.id)
        return path
