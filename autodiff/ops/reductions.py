"""Entries of the table: sums, means, maxima and minima over axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from string import ascii_lowercase
from typing import Any

import numpy as np

from .shapes import broadcast_to, reshape
from .table import Case, Op, general, linear, shape_of

Axis = int | tuple[int, ...] | None
PRODUCT = range(2**9, 2**16)  # for so many entries the product with ones is faster than the reduction


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


_reduce: Any = np.add.reduce  # (x, axis, dtype, out, keepdims): what np.sum does, without its wrappers


def _sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    if x.__class__ is np.ndarray and x.size in PRODUCT and x.ndim == 2 and axis in (0, 1, -1, -2) and x.dtype.char in "df":
        if axis % 2:
            z = x.dot(_ones(x.shape[1], x.dtype))
            return z.reshape(-1, 1) if keepdims else z
        z = _ones(x.shape[0], x.dtype).dot(x)
        return z.reshape(1, -1) if keepdims else z
    return _reduce(x, axis, None, None, keepdims)


def _sum_transpose(i: int, g: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    shape = shape_of(x)
    return broadcast_to(g if axis is None else restore(g, shape, axis), shape=shape)


def _mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.mean(x, axis=axis, keepdims=keepdims)


def _mean_transpose(i: int, g: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    shape = shape_of(x)
    return broadcast_to(restore(g / (_count(x, axis) or 1), shape, axis), shape=shape)


def _count(x: Any, axis: Axis) -> int:
    """How many entries are averaged."""
    shape = shape_of(x)
    return math.prod(n for n, k in zip(shape, kept_shape(shape, axis), strict=True) if n != k)


def _sum_form(x: Any, axis: Axis = None, keepdims: bool = False) -> str:
    letters, kept = ascii_lowercase[: len(shape_of(x))], kept_shape((0,) * len(shape_of(x)), axis)
    out = "".join("1" * keepdims if gone else letter for letter, gone in zip(letters, kept, strict=True))
    return f"{letters}->{out}"


def _extreme(name: str, reduce: Callable[..., Any]) -> Op:
    # Entries that share the extreme value share the derivative, as in PyTorch's amax and in JAX.
    def shares(z: Any, x: Any, axis: Axis) -> Any:
        hit = x == restore(z, shape_of(x), axis)
        return hit / np.sum(hit, axis=axis, keepdims=True)

    def form(x: Any, axis: Axis = None, keepdims: bool = False) -> str:
        return f"{name} {_sum_form(x, axis, keepdims)}"

    def forward(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        return reduce(x, axis=axis, keepdims=keepdims)

    def vjp(i: int, g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        return restore(g, shape_of(x), axis) * shares(z, x, axis)

    def jvp(ts: Sequence[Any], z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        return sum(ts[0] * shares(z, x, axis), axis=axis, keepdims=keepdims)

    return general(name, forward, vjp, jvp, numpy=(reduce,), sample=sample_axes, analytic=False, monotone=True, index=form)


sum = linear("sum", _sum, _sum_transpose, numpy=(np.sum,), symbol="Σ", sample=sample_axes, monotone=True, index=_sum_form)
mean = linear(
    "mean",
    _mean,
    _mean_transpose,
    numpy=(np.mean,),
    symbol="mean",
    sample=sample_axes,
    monotone=True,
    index=lambda x, axis=None, keepdims=False: sum(x, axis=axis, keepdims=keepdims) / _count(x, axis),
)
max = _extreme("max", np.max)
min = _extreme("min", np.min)
