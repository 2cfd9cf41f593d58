"""Assumptions: what may be taken for granted of a variable, each with a way to draw values that satisfy it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import expr
from .simplify import Replacement, replace

if TYPE_CHECKING:
    from .graph import Graph


KINDS = {  # how each is written, of a name and an axis, and what it is read by
    "sum": ("sum({0}{1}) == 1", r"sum\((\w+)(?:,(?:axis=)?(?P<axis>-?\d+))?\)==1"),
    "positive": ("{0} > 0", r"(\w+)>0"),
    "symmetric": ("{0} == {0}.T", r"(\w+)==\1\.T"),
    "orthogonal": ("{0}.T @ {0} == I", r"(\w+)\.T@\1==I"),
}
SQUARE = ("symmetric", "orthogonal")


@dataclass(frozen=True)
class Assumption:
    """Something that holds of the variable `name`; made by `sums_to_one`, `positive`, `symmetric`, `orthogonal`.

    >>> print(sums_to_one("t"))
    sum(t) == 1
    """

    name: str
    kind: str
    axis: int | None = None

    def __str__(self) -> str:
        return KINDS[self.kind][0].format(self.name, "" if self.axis is None else f", axis={self.axis}")

    def sample(self, x: Any) -> Any:
        """An array like x that satisfies the assumption."""
        x = np.asarray(x)
        if x.dtype == bool:  # a choice that was made
            return x
        if self.kind == "sum":
            axis = self._axis(x.shape)
            if (x < 0).any() or self.holds(x):
                return x + (1 - x.sum(axis, keepdims=True)) / x.shape[axis]
            return (x + 0.05) / (x + 0.05).sum(axis, keepdims=True)
        if self.kind == "positive":
            return x if (x > 0).all() else np.abs(x) + 0.05
        if self.kind == "symmetric":
            return (x + x.T) / 2
        u, _, v = np.linalg.svd(x, full_matrices=False)  # the nearest orthogonal matrix, symmetric if x is
        return u @ v

    def holds(self, x: Any, within: float = 2e-6) -> bool:
        """Does the array satisfy it?"""
        x = np.asarray(x, dtype=float)
        if self.kind == "positive":
            return bool((x > 0).all())
        if self.kind == "sum":
            gap = x.sum(self._axis(x.shape)) - 1
        elif self.kind == "symmetric":
            gap = (x - x.T) / (np.abs(x).max(initial=0) or 1) if x.shape == x.T.shape else np.inf
        else:
            gap = x.T @ x - np.eye(x.shape[1])
        return bool((np.abs(gap) <= within).all())

    def _axis(self, shape: tuple[int, ...]) -> int:
        return self.axis if self.axis is not None else next((i for i, n in enumerate(shape) if n != 1), 0)

    def relations(self, graph: Graph, atom: expr.Atom) -> list[Replacement]:
        """The rewrites that it allows, of the variable's atom; what is symmetric or positive needs none."""
        if self.kind == "sum":
            dims = graph.dims[self.name]
            label = [i for i, d in enumerate(dims) if d is not None].index(self._axis(tuple(1 if d is None else 2 for d in dims)))
            total = expr.contract(atom.poly, {label: atom.dims[label]})
            return [replace(total.only()[0], 1, expr.ONE)]
        out = []
        for k in (0, 1)[: 3 - len({*atom.dims})] if self.kind == "orthogonal" else ():  # Q Q^T is I only where Q is square
            sides = [expr.relabel(atom.poly, {k: expr.BOUND - 1, 1 - k: side}) for side in (0, 1)]
            gram = expr.contract(expr.mul(*sides), {expr.BOUND - 1: atom.dims[k]})
            out.append(replace(gram.only()[0], 1, expr.factor(expr.delta(atom.dims[1 - k]), (0, 1))))
        return out


def sums_to_one(name: str, axis: int | None = None) -> Assumption:
    """The entries of `name` sum to 1, along the axis that must be said if it has several."""
    return Assumption(name, "sum", axis)


def positive(name: str) -> Assumption:
    """Every entry of `name` is greater than 0."""
    return Assumption(name, "positive")


def symmetric(name: str) -> Assumption:
    """The matrix `name` equals its transpose."""
    return Assumption(name, "symmetric")


def orthogonal(name: str) -> Assumption:
    """The columns of the matrix `name` are orthonormal: its transpose times itself is the identity."""
    return Assumption(name, "orthogonal")


def satisfying(assumptions: Sequence[Assumption], values: dict[str, Any]) -> dict[str, Any]:
    """Values near these that satisfy all of the assumptions; raises ValueError where they contradict each other."""
    out = dict(values)
    for _ in range(500 if len(assumptions) > 1 else 1):
        for a in assumptions:
            out[a.name] = a.sample(out[a.name])
        if all(a.holds(out[a.name], 1e-9) for a in assumptions):
            break
    if not all(a.holds(out[a.name]) for a in assumptions):
        raise ValueError(f"no values were found that satisfy {', '.join(map(str, assumptions))}, which may contradict each other")
    return out


def found_in(graph: Graph) -> list[Assumption]:
    """What is used without being asked: constants whose recorded data sums to one along an axis; variables may change."""
    variables = {graph.names[n.id] for n in graph.nodes if n.active and n.id in graph.names}
    out = []
    for name, x in graph.data():
        axes = [i for i, n in enumerate(np.shape(x)) if n != 1]
        if name not in variables and len(axes) in (1, 2) and np.all(np.isfinite(x)):
            ways = [sums_to_one(name, axis if len(axes) > 1 else None) for axis in axes]
            out += [a for a in ways if a.holds(x)]
    return out


def fitting(wish: Any, graph: Graph) -> Assumption:
    """An assumption, or its text, that can be made of the variable it names; raises ValueError."""
    a, shapes = parse(wish), {name: np.shape(x) for name, x in graph.data()}
    if not isinstance(a.name, str) or a.kind not in KINDS or not isinstance(a.axis, int | None):
        raise ValueError(f"{a!r} is no assumption: it takes the name of a variable, one of {', '.join(KINDS)}, and for sums an axis")
    if a.name not in shapes:
        raise ValueError(f"{a}: no variable or constant is called {a.name}")
    shape = shapes[a.name]
    if a.kind == "symmetric" and (len(shape) != 2 or shape[0] != shape[1]):
        raise ValueError(f"{a}: only a square matrix can be symmetric, and {a.name} has shape {shape}")
    if a.kind == "orthogonal" and (len(shape) != 2 or shape[0] < shape[1] or shape[1] == 1):
        raise ValueError(f"{a}: only a matrix of several columns and no fewer rows can be orthogonal, and {a.name} has shape {shape}")
    if a.kind != "sum":
        return Assumption(a.name, a.kind)
    long = [i for i, n in enumerate(shape) if n != 1]
    axis = a.axis + len(shape) if a.axis is not None and a.axis < 0 else a.axis
    if not long or axis not in (None, *long):
        raise ValueError(f"{a}: {a.name} has shape {shape}, which has no such axis to sum over")
    if axis is None and len(long) > 1:
        raise ValueError(f'{a}: over which axis of {a.name}, of shape {shape}? Write "sum({a.name}, axis={long[0]}) == 1"')
    return sums_to_one(a.name, axis if len(long) > 1 else None)


def parse(wish: Any) -> Assumption:
    """An assumption, or one written as text: "sum(t, axis=0) == 1", "x > 0", "A == A.T", "Q.T @ Q == I"."""
    if isinstance(wish, Assumption):
        return wish
    for kind, (_, pattern) in KINDS.items():
        if isinstance(wish, str) and (found := re.fullmatch(pattern, re.sub(r"\s+", "", wish))):
            axis = found.groupdict().get("axis")
            return Assumption(found[1], kind, None if axis is None else int(axis))
    raise ValueError(f'{wish!r} is no assumption; there are "sum(t, axis=0) == 1", "x > 0", "A == A.T" and "Q.T @ Q == I"')
