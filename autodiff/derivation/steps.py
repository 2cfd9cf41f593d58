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


def plainly(p: Poly) -> Poly:
    """The same in atoms of which nothing is known."""
    marked = [a for a in expr.atoms_in(p) if a.kind == "var" and (a.symmetric or a.positive)]
    return expr.substitute(p, {a: expr.var(a.name, a.dims).poly for a in marked})


def _alike(p: Poly, q: Poly) -> bool:
    """Do they read the same, whatever is known of their atoms?"""
    return p == q or (plainly(p) == plainly(q) and _turned(p) == _turned(q))


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
        for n in self.named if np.size(graph.root.data) == 1 else [*self.named, graph.root]:  # the Jacobian of a vector is written in it
            if not graph.is_variable(n):
                with suppress(NoIndexForm):  # a name may stand for what has no form: it stays a name
                    self.definitions[atom_of(graph.named(n))] = graph.own(n, graph.definition(n).poly)
        self._using = cache(self._simplifier)
        self.plain, self.best = self._using(), self._using(*self.assumptions)
        self.upstream = {n.id: graph.named(n, "∂" + graph.names[n.id]) for n in self.named}
        self.targets = targets or [n for n in self.named if n.active]

    def _simplifier(self, *used: Assumption) -> Simplifier:
        """That which relies on these assumptions: by atoms that know them, or by what is put for terms."""
        held = {(a.name, a.kind) for a in used}
        known = {
            v: expr.known(v, (v.name, "symmetric") in held and len(v.dims) == 2, (v.name, "positive") in held)
            for v in self.graph.variables()
        }
        relations = [r for a in used for v, k in known.items() if v.name == a.name for r in a.relations(self.graph, k)]
        return Simplifier(self.definitions, relations, known)

    def steps(self, inline_limit: float = INLINE_LIMIT) -> list[Step[Poly]]:
        """The steps to every target, the loss's neighbours first; upstream gradients up to the limit are written out."""
        graph, (local, users) = self.graph, self.sweep()
        made: dict[int, Step[Poly]] = {}
        closed: dict[Atom, Poly] = {}
        plain: dict[Atom, Poly] = {}
        for n in reversed([n for n in self.named if n.id in local]):
            above = [made[i] for i in users[n.id]]
            unfold = [atom_of(graph.symbol(s.node)) for s in above]
            with graph.refusing(n):
                inserted, without = expr.substitute(local[n.id], closed), expr.substitute(local[n.id], plain)
                bare = self.plain(without, unfold)
                simple, now = self.shortest(inserted, unfold, bare)
                short = self.plain(local[n.id])
            used = [a for a in self.assumptions if a in now or any(a in s.used for s in above)] if simple is not bare else []
            atom = atom_of(self.upstream[n.id])
            if max(expr.cost(simple), expr.cost(bare)) <= inline_limit:
                closed[atom], plain[atom] = graph.own(n, simple), graph.own(n, bare)
            made[n.id] = Step(n, graph.names[n.id], short, inserted if used else without, simple, bare if used else None, used)
        return list(made.values())

    def slope(self, p: Poly, rank: int, v: Any) -> Poly:
        """The derivative of p, an expression over so many axes, in node v, whose axes come after those."""
        depends = self.graph.above([v.id])
        table: dict[Atom, Poly] = {}  # names that depend on v, and what they stand for
        for n in self.named:
            if n.id in depends and n is not v:
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
            if _alike(other, simple):
                simple, kept = other, fewer
        return (bare, []) if _alike(simple, bare) else (simple, kept)

    def sweep(self) -> tuple[dict[int, Poly], dict[int, set[int]]]:
        """Reverse mode in which named nodes pass on a symbol for their gradient: the local rule of each, and the named nodes it feeds."""
        graph, root = self.graph, self.graph.root
        path = graph.above(t.id for t in self.targets)
        adjoint = {root.id: Symbol(graph.space, expr.ONE, root.shape, graph.axes[root.id])}
        users: dict[int, set[int]] = {n.id: set() for n in graph.nodes}
        local: dict[int, Poly] = {}
        for n in reversed(graph.nodes):
            if n.id not in adjoint:
                continue
            g, mine = adjoint[n.id], users[n.id]
            if n.id in self.upstream:
                local[n.id], g, mine = g.poly, self.upstream[n.id], {n.id}
            for i, a in enumerate(graph.args[n.id]):
                if isinstance(a, Node) and a.id in path and (d := graph.pull(n, i, g)) is not None:
                    adjoint[a.id] = adjoint[a.id] + d if a.id in adjoint else d
                    users[a.id] |= mine
        return local, users
