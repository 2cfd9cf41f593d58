"""Entries of the table: sums, means, maxima and minima over axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from .shapes import broadcast_to, reshape
from .table import Case, Op, general, linear, shape_of

Axis = int | tuple[int, ...] | None
SMALL = 2**16  # entries


def kept_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The shape after a reduction with keepdims=True."""
    if axis is None:
        return (1,) * len(shape)
    axes = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def restore(z: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """Give a reduced result (or its cotangent) back the axes it lost, with length 1."""
    kept = kept_shape(shape, axis)
    return z if shape_of(z) == kept else reshape(z, shape=kept)


def sample_axes(rng: np.random.Generator) -> list[Case]:
    """Calls over one axis, several, all, with and without keepdims."""
    axes: list[dict[str, Any]] = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}, {"keepdims": True}]
    return [((rng.normal(size=(2, 3, 4)),), kw) for kw in axes] + [((rng.normal(size=()),), {})]


@cache
def _ones(n: int, dtype: Any) -> Any:
    ones = np.ones(n, dtype)
    ones.setflags(write=False)
    return ones


def _sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    if x.__class__ is np.ndarray and x.ndim == 2 and axis.__class__ is int and -2 <= axis < 2 and x.size < SMALL and x.dtype.char in "df":
        # Of a small matrix, the product with ones takes a third of the time of the reduction.
        if axis % 2:
            z = np.dot(x, _ones(x.shape[1], x.dtype))
            return z.reshape(-1, 1) if keepdims else z
        z = np.dot(_ones(x.shape[0], x.dtype), x)
        return z.reshape(1, -1) if keepdims else z
    return np.add.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]  # what np.sum does, without its wrappers


def _sum_transpose(i: int, g: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    shape = shape_of(x)
    return broadcast_to(g if axis is None else restore(g, shape, axis), shape=shape)


def _mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.mean(x, axis=axis, keepdims=keepdims)


def _mean_transpose(i: int, g: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    shape = shape_of(x)
    count = math.prod(n for n, k in zip(shape, kept_shape(shape, axis), strict=True) if n != k)
    return broadcast_to(restore(g / (count or 1), shape, axis), shape=shape)


def _extreme(name: str, reduce: Callable[..., Any]) -> Op:
    # Entries that share the extreme value share the derivative, as in PyTorch's amax and in JAX.
    def shares(z: Any, x: Any, axis: Axis) -> Any:
        hit = x == restore(z, shape_of(x), axis)
        return hit / np.sum(hit, axis=axis, keepdims=True)

    def forward(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        return reduce(x, axis=axis, keepdims=keepdims)

    def vjp(i: int, g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        return restore(g, shape_of(x), axis) * shares(z, x, axis)

    def jvp(ts: Sequence[Any], z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        return sum(ts[0] * shares(z, x, axis), axis=axis, keepdims=keepdims)

    return general(name, forward, vjp, jvp, numpy=(reduce,), sample=sample_axes, analytic=False, monotone=True)


sum = linear("sum", _sum, _sum_transpose, numpy=(np.sum,), symbol="Σ", sample=sample_axes, monotone=True)
mean = linear("mean", _mean, _mean_transpose, numpy=(np.mean,), symbol="mean", sample=sample_axes, monotone=True)
max = _extreme("max", np.max)
min = _extreme("min", np.min)
