"""Entries of the table: sums, means, products, spreads, maxima and minima over axes, and running sums and products."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from functools import cache
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .pointwise import square
from .shapes import broadcast_to, concatenate, getitem, reshape, transpose
from .table import Case, Op, composed, dtype_of, general, linear, shape_of

Axis = int | tuple[int, ...] | None
PRODUCT = range(2**9, 2**16)  # for so many entries the product with ones is faster than the reduction


def kept_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The shape after a reduction with keepdims=True."""
    if axis is None or not shape:  # NumPy reduces a single number over axis 0, too
        return (1,) * len(shape)
    axes = {a % (len(shape) or 1) for a in (axis if isinstance(axis, tuple) else (axis,))}  # NumPy lets a number have axis 0
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


def _mean(x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    return _sum(x, axis, keepdims) / freedom(x, axis, ddof) if ddof else np.mean(x, axis=axis, keepdims=keepdims)


def _mean_transpose(i: int, g: Any, x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    shape = shape_of(x)
    return broadcast_to(restore(g / (freedom(x, axis, ddof) if ddof else _count(x, axis) or 1), shape, axis), shape=shape)


def _count(x: Any, axis: Axis) -> int:
    """How many entries are averaged."""
    shape = shape_of(x)
    return math.prod(n for n, k in zip(shape, kept_shape(shape, axis), strict=True) if n != k)


def freedom(x: Any, axis: Axis, ddof: float) -> float:
    """What a sum of squared distances from a mean is divided by."""
    return builtins.max(_count(x, axis) - ddof, 0)


def _sum_form(x: Any, axis: Axis = None, keepdims: bool = False) -> str:
    letters, kept = ascii_lowercase[: len(shape_of(x))], kept_shape((0,) * len(shape_of(x)), axis)
    out = "".join("1" * keepdims if gone else letter for letter, gone in zip(letters, kept, strict=True))
    return f"{letters}->{out}"


def _extreme(name: str, reduce: Callable[..., Any], also: Callable[..., Any]) -> Op:
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

    return general(name, forward, vjp, jvp, numpy=(reduce, also), sample=sample_axes, analytic=False, monotone=True, index=form)


sum = linear("sum", _sum, _sum_transpose, numpy=(np.sum,), symbol="Σ", sample=sample_axes, monotone=True, index=_sum_form)
mean = linear(
    "mean",
    _mean,
    _mean_transpose,
    numpy=(np.mean,),
    symbol="mean",
    sample=sample_axes,
    monotone=True,
    index=lambda x, axis=None, keepdims=False, ddof=0: sum(x, axis=axis, keepdims=keepdims) / freedom(x, axis, ddof),
)
max = _extreme("max", np.max, np.amax)
min = _extreme("min", np.min, np.amin)

# ---------------------------------------------------------------- variance


@composed(np.var, sample=lambda rng: [*sample_axes(rng), ((rng.normal(size=(3, 4)),), {"ddof": 1, "axis": 0})])
def var(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The mean of the squared distances from the mean; with `ddof`, their sum divided by n - ddof."""
    return mean(square(x - mean(x, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims, ddof=ddof)


# ---------------------------------------------------------------- products


def _in_rows(x: Any, axis: Axis) -> tuple[Any, Callable[[Any], Any]]:
    """`x` as a matrix whose first axis is all that `axis` names, and the way back to the shape of `x`."""
    shape, kept = shape_of(x), kept_shape(shape_of(x), axis)
    gone = [i for i, k in enumerate(kept) if axis is None or i in _places(axis, len(shape))]
    order = (*gone, *(i for i in range(len(shape)) if i not in gone))
    moved = tuple(shape[i] for i in order)
    matrix = reshape(transpose(x, axes=order), shape=(math.prod(moved[: len(gone)]), math.prod(moved[len(gone) :])))
    back = tuple(sorted(range(len(order)), key=order.__getitem__))
    return matrix, lambda rows: transpose(reshape(rows, shape=moved), axes=back)


def _places(axis: Axis, rank: int) -> set[int]:
    return {a % rank for a in (axis if isinstance(axis, tuple) else (axis,))}  # type: ignore[operator]


def others(x: Any) -> Any:
    """For each row the product of all other rows: halves are multiplied and then handed back down, so nothing is divided."""
    n = shape_of(x)[0]
    if n < 2:
        return np.ones(shape_of(x), dtype_of(x))
    half = n // 2
    a, b, rest = getitem(x, slice(0, half)), getitem(x, slice(half, 2 * half)), getitem(x, slice(2 * half, None))
    pairs = others(concatenate([a * b, rest]))
    above, last = getitem(pairs, slice(0, half)), getitem(pairs, slice(half, None))
    return concatenate([above * b, above * a, last])


def _without_one(x: Any, axis: Axis) -> Any:
    rows, back = _in_rows(x, axis)
    return back(others(rows))


def _prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.prod(x, axis=axis, keepdims=keepdims)


def _prod_vjp(i: int, g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return restore(g, shape_of(x), axis) * _without_one(x, axis)


def _prod_jvp(ts: Sequence[Any], z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return sum(ts[0] * _without_one(x, axis), axis=axis, keepdims=keepdims)


prod = general("prod", _prod, _prod_vjp, _prod_jvp, numpy=(np.prod,), symbol="Π", sample=sample_axes)

# ---------------------------------------------------------------- running sums and products


def _backwards(x: Any, axis: int) -> Any:
    return getitem(x, (slice(None),) * axis + (slice(None, None, -1),))


def _line(x: Any, axis: int | None) -> tuple[Any, int]:
    """The operand and the axis that a running sum goes along: without an axis, all entries in one."""
    rank = len(shape_of(x))
    return (reshape(x, shape=-1), 0) if axis is None or not rank else (x, normalize_axis_index(axis, rank))


def _cumsum(x: Any, axis: int | None = None) -> Any:
    return np.cumsum(x, axis=axis)


def _cumsum_transpose(i: int, g: Any, x: Any, axis: int | None = None) -> Any:
    g, along = _line(g, 0 if axis is None else axis)
    return reshape(_backwards(cumsum(_backwards(g, along), axis=along), along), shape=shape_of(x))


def _cumprod(x: Any, axis: int | None = None) -> Any:
    return np.cumprod(x, axis=axis)


def _recurrence(a: Any, b: Any, axis: int) -> Any:
    """h with h[0] = b[0] and h[k] = a[k] h[k-1] + b[k] along an axis, in log2(n) steps, each of which doubles the reach.

    Blelloch, Prefix sums and their applications, CMU-CS-90-190 (1990), on recurrences.
    """
    n, reach, before = shape_of(b)[axis], 1, (slice(None),) * axis
    while reach < n:
        first, rest, far = (*before, slice(0, reach)), (*before, slice(reach, None)), (*before, slice(0, n - reach))
        b = concatenate([getitem(b, first), getitem(b, rest) + getitem(a, rest) * getitem(b, far)], axis=axis)
        a = concatenate([getitem(a, first), getitem(a, rest) * getitem(a, far)], axis=axis)
        reach *= 2
    return b


def _shifted(z: Any, axis: int, fill: float) -> Any:
    """Along an axis each entry in its follower's place, and `fill` in the first."""
    edge = np.full((*shape_of(z)[:axis], 1, *shape_of(z)[axis + 1 :]), fill, dtype_of(z))
    return getitem(concatenate([edge, z], axis=axis), (slice(None),) * axis + (slice(0, -1),))


# z[k] = x[k] z[k-1], so a tangent follows the recurrence dz[k] = x[k] dz[k-1] + dx[k] z[k-1], and a cotangent
# the same from the end: h[k] = g[k] + x[k+1] h[k+1].  Nothing is divided: zeros are as good as any entry.
def _cumprod_vjp(i: int, g: Any, z: Any, x: Any, axis: int | None = None) -> Any:
    line, along = _line(x, axis)
    h = _backwards(_recurrence(_shifted(_backwards(line, along), along, 0.0), _backwards(g, along), along), along)
    return reshape(h * _shifted(z, along, 1.0), shape=shape_of(x))


def _cumprod_jvp(ts: Sequence[Any], z: Any, x: Any, axis: int | None = None) -> Any:
    (line, along), (t, _) = _line(x, axis), _line(ts[0], axis)
    return _recurrence(line, t * _shifted(z, along, 1.0), along)


def _sample_running(rng: np.random.Generator) -> list[Case]:
    return [((rng.normal(size=(3, 5)),), kw) for kw in ({}, {"axis": 0}, {"axis": -1})] + [((rng.normal(size=1),), {})]


cumsum = linear("cumsum", _cumsum, _cumsum_transpose, numpy=(np.cumsum,), sample=_sample_running, monotone=True)
cumprod = general("cumprod", _cumprod, _cumprod_vjp, _cumprod_jvp, numpy=(np.cumprod,), sample=_sample_running)
