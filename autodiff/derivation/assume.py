"""Assumptions: what may be taken for granted of a variable, each with a way to draw values that satisfy it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import expr
from .simplify import Relation

if TYPE_CHECKING:
    from .graph import Graph


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
        return {
            "sum": f"sum({self.name}{'' if self.axis is None else f', axis={self.axis}'}) == 1",
            "positive": f"{self.name} > 0",
            "symmetric": f"{self.name} == {self.name}.T",
            "orthogonal": f"{self.name}.T @ {self.name} == I",
        }[self.kind]

    def sample(self, x: Any) -> Any:
        """An array like x that satisfies the assumption."""
        x = np.asarray(x)
        if self.kind == "sum":
            axis = self._axis(x.shape)
            if (x < 0).any():
                return x + (1 - x.sum(axis, keepdims=True)) / x.shape[axis]
            return (x + 0.05) / (x + 0.05).sum(axis, keepdims=True)
        if self.kind == "positive":
            return np.abs(x) + 0.05
        if self.kind == "symmetric":
            return (x + x.T) / 2
        return np.linalg.qr(x)[0]

    def holds(self, x: Any) -> bool:
        """Does the array satisfy it?"""
        x = np.asarray(x)
        if self.kind == "sum":
            return bool(np.allclose(x.sum(self._axis(x.shape)), 1))
        if self.kind == "positive":
            return bool((x > 0).all())
        if x.ndim != 2 or x.shape[0] != x.shape[1]:
            return False
        return bool(np.allclose(x, x.T) if self.kind == "symmetric" else np.allclose(x.T @ x, np.eye(len(x))))

    def _axis(self, shape: tuple[int, ...]) -> int:
        return self.axis if self.axis is not None else next((i for i, n in enumerate(shape) if n != 1), 0)

    def relations(self, graph: Graph) -> list[Relation]:
        """The rewrites that it allows."""
        atom = next((a for a in graph.variables() if a.name == self.name), None)
        if atom is None:
            return []
        own = tuple(range(len(atom.dims)))
        if self.kind == "sum":
            dims = graph.dims_of(self.name)
            label = [i for i, d in enumerate(dims) if d is not None].index(self._axis(tuple(1 if d is None else 2 for d in dims)))
            total = expr.contract(atom.poly, {label: atom.dims[label]})
            return [Relation(str(self), total.only()[0], expr.ONE)]
        if self.kind == "symmetric":
            return [Relation(str(self), (), expr.ONE, swap=atom)]
        if self.kind == "orthogonal":
            out = []
            for k in (0, 1):
                sides = [expr.relabel(atom.poly, {k: expr.BOUND - 1, 1 - k: side}) for side in (0, 1)]
                gram = expr.contract(expr.mul(*sides), {expr.BOUND - 1: atom.dims[k]})
                same = expr.factor(expr.delta(atom.dims[1 - k]), own)
                out.append(Relation(str(self), gram.only()[0], same, whole=True))
            return out
        return [Relation(str(self), (), expr.ONE, positive=atom)]


def sums_to_one(name: str, axis: int | None = None) -> Assumption:
    """The entries of `name` sum to 1, along an axis if it has several."""
    return Assumption(name, "sum", axis)


def positive(name: str) -> Assumption:
    """Every entry of `name` is greater than 0."""
    return Assumption(name, "positive")


def symmetric(name: str) -> Assumption:
    """The matrix `name` equals its transpose."""
    return Assumption(name, "symmetric")


def orthogonal(name: str) -> Assumption:
    """The square matrix `name` times its transpose is the identity."""
    return Assumption(name, "orthogonal")


def found_in(graph: Graph) -> list[Assumption]:
    """What is used without being asked: constants whose recorded data sums to one along an axis; variables may change."""
    out = []
    variables = {graph.names[n.id] for n in graph.nodes if n.active and n.id in graph.names}
    for name, data in graph.data():
        if name in variables:
            continue
        x = np.asarray(data)
        axes = [i for i, n in enumerate(x.shape) if n != 1]
        if not 1 <= len(axes) <= 2 or not np.all(np.isfinite(x)):
            continue
        axis = next((i for i in axes if np.allclose(x.sum(i), 1, rtol=1e-6, atol=1e-6)), None)
        if axis is not None:
            out.append(Assumption(name, "sum", None if len(axes) == 1 else axis))
    return out


def fitting(wish: Any, graph: Graph) -> Assumption:
    """An assumption, or its text, that can be made of the variable it names; raises ValueError."""
    a: Assumption = wish if isinstance(wish, Assumption) else parse(wish, graph)
    shapes = {name: np.shape(x) for name, x in graph.data()}
    if a.name not in shapes:
        raise ValueError(f"{a}: no variable or constant is called {a.name}")
    shape = shapes[a.name]
    if a.kind in ("symmetric", "orthogonal") and (len(shape) != 2 or shape[0] != shape[1]):
        raise ValueError(f"{a}: only a square matrix can be {a.kind}, and {a.name} has shape {shape}")
    summed = shape if a.axis is None else shape[a.axis : a.axis + 1]
    if a.kind == "sum" and all(n == 1 for n in summed):
        raise ValueError(f"{a}: {a.name} has shape {shape}, which has no such axis to sum over")
    return a


def parse(text: str, graph: Graph) -> Assumption:
    """An assumption written as text: "sum(t, axis=0) == 1", "x > 0", "A == A.T", "Q.T @ Q == I"."""
    name = r"([A-Za-z_]\w*)"
    words = re.sub(r"\s+", "", text) if isinstance(text, str) else ""
    if found := re.fullmatch(rf"sum\({name}(?:,(?:axis=)?(-?\d+))?\)==1", words):
        axis = None if found[2] is None else int(found[2])
        if axis is not None and axis < 0:
            axis += max((np.ndim(x) for n, x in graph.data() if n == found[1]), default=0)
        out = Assumption(found[1], "sum", axis)
    elif found := re.fullmatch(rf"{name}>0", words):
        out = positive(found[1])
    elif found := re.fullmatch(rf"{name}=={name}\.T", words):
        out = symmetric(found[1])
    elif found := re.fullmatch(rf"{name}\.T@{name}==I", words):
        out = orthogonal(found[1])
    else:
        raise ValueError(f'{text!r} is no assumption; there are "sum(t, axis=0) == 1", "x > 0", "A == A.T" and "Q.T @ Q == I"')
    return out
