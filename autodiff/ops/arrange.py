"""Entries of the table: NumPy's functions that rearrange entries, and those that put arrays together or apart.

What NumPy moves by rules of its own (roll, tile, take, ...) is one linear op each, whose adjoint asks NumPy where
every entry came from: the function, run on the array of places.  What only renames or reorders axes, or joins, is
written with reshape, transpose, concatenate and indexing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..errors import BadOperand, NoRule, ShapeMismatch
from .pointwise import where
from .shapes import broadcast_to, concatenate, getitem, of_shape, reshape, scatter, transpose
from .table import Case, Op, as_operand, composed, dtype_of, general, kept, linear, shape_of, sum_to

Axis = int | tuple[int, ...] | None


# ---------------------------------------------------------------- entries moved by NumPy


class _Moving(Op):
    """Its options are copied when it is called: an array of indices changed later changes no graph."""

    def __call__(self, *args: Any, **kw: Any) -> Any:
        args, kw = self.bind(args, kw)
        return super().__call__(*args, **kw)

    def bind(self, args: Sequence[Any], kw: dict[str, Any]) -> Case:
        operands, statics = super().bind(args, kw)
        if any(hasattr(value, "__apply__") for value in statics.values()):
            raise BadOperand(f"the options of {self.name} are plain numbers, not nodes; for the numbers of a node write .data.astype(int)")
        return operands, kept(statics)


def _moving(name: str, function: Callable[..., Any], *calls: tuple[tuple[int, ...], dict[str, Any]], means: Any = None) -> Op:
    def vjp(i: int, g: Any, z: Any, x: Any, **kw: Any) -> Any:
        shape = shape_of(x)
        places = function(np.arange(math.prod(shape)).reshape(shape), **kw)
        return reshape(scatter(reshape(g, shape=-1), np.ravel(places), (math.prod(shape),)), shape=shape)

    def jvp(ts: Sequence[Any], z: Any, x: Any, **kw: Any) -> Any:
        return op(ts[0], **kw)

    means = means if means is not None else (getattr(np, name),) if hasattr(np, name) else ()
    op = _Moving(name, "linear", function, vjp, jvp, arity=1, numpy=means, sample=of_shape(*calls), monotone=True)
    return op


def _take(x: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    return np.take(x, indices, axis=axis, mode=mode)  # type: ignore[call-overload]


def _take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    return np.take_along_axis(np.asarray(x), indices, axis)


_PICKED = {"indices": np.array([[2, 0], [2, 1]])}
roll = _moving("roll", np.roll, ((3, 4), {"shift": 2}), ((3, 4), {"shift": -1, "axis": 1}), ((3, 4), {"shift": (1, 2), "axis": (0, 1)}))
flip = _moving("flip", np.flip, ((3, 4), {}), ((3, 4), {"axis": 1}), ((), {}))
fliplr = _moving("fliplr", np.fliplr, ((3, 4), {}))
flipud = _moving("flipud", np.flipud, ((3, 4), {}))
rot90 = _moving("rot90", np.rot90, ((3, 4), {}), ((2, 3, 4), {"k": 3, "axes": (1, 2)}))
tile = _moving("tile", np.tile, ((3,), {"reps": 2}), ((2, 3), {"reps": (2, 1, 2)}), ((), {"reps": 3}))
repeat = _moving("repeat", np.repeat, ((2, 3), {"repeats": 2}), ((2, 3), {"repeats": [1, 0, 3], "axis": 1}))
take = _moving("take", _take, ((3, 4), _PICKED), ((3, 4), {"indices": [0, -1, 0], "axis": 1}), ((3,), {"indices": 5, "mode": "clip"}))
take_along_axis = _moving("take_along_axis", _take_along_axis, ((3, 4), {"indices": np.array([[3, 3, 0]] * 3), "axis": 1}))
delete = _moving("delete", np.delete, ((3, 4), {"obj": 1, "axis": 0}), ((5,), {"obj": [0, 3]}))
any_diagonal = _moving(
    "diagonal",
    np.diagonal,
    ((3, 4), {}),
    ((3, 4), {"offset": 1}),
    ((2, 3, 4), {"offset": -1, "axis1": 2, "axis2": 1}),
    means=(),
)
_BORDERS = ("edge", "reflect", "symmetric", "wrap")


def _borders(x: Any, pad_width: Any, mode: str) -> Any:
    if mode not in _BORDERS:  # the others compute what they fill in
        raise NoRule(f"borders has no rule for mode={mode!r}; it knows {', '.join(_BORDERS)}")
    return np.pad(x, pad_width, mode)  # type: ignore[call-overload]


borders = _moving("borders", _borders, *(((3, 4), {"pad_width": ((1, 2), (0, 1)), "mode": mode}) for mode in _BORDERS))


def _triangle(name: str, function: Callable[..., Any]) -> Op:
    def keep(x: Any, k: int = 0) -> Any:
        return function(x, k)

    def transpose(i: int, g: Any, x: Any, k: int = 0) -> Any:
        return sum_to(op(g, k=k), shape_of(x))  # of a vector NumPy makes rows of a matrix

    calls: Any = ((3, 4), {}), ((3, 4), {"k": 1}), ((2, 3, 3), {"k": -1})
    op = linear(name, keep, transpose, numpy=(function,), sample=of_shape(*calls), monotone=True)
    return op


tril, triu = _triangle("tril", np.tril), _triangle("triu", np.triu)

# ---------------------------------------------------------------- order


def _ordering(name: str, function: Callable[..., Any], places: Callable[..., Any], calls: Any) -> Op:
    """An op that puts entries in order: its derivative moves along with them.  Of equal entries any order is right."""

    def vjp(i: int, g: Any, z: Any, x: Any, **kw: Any) -> Any:
        return take_along_axis.vjp(0, g, z, x, indices=places(x, **kw), axis=kw.get("axis", -1))

    def jvp(ts: Sequence[Any], z: Any, x: Any, **kw: Any) -> Any:
        return take_along_axis(ts[0], indices=places(x, **kw), axis=kw.get("axis", -1))

    return general(name, function, vjp, jvp, numpy=(getattr(np, name),), sample=of_shape(*calls), analytic=False, monotone=True)


def _sort(x: Any, axis: int | None = -1, kind: Any = None) -> Any:
    return np.sort(x, axis=axis, kind=kind)


def _partition(x: Any, kth: Any, axis: int | None = -1) -> Any:
    return np.partition(x, kth, axis=axis)


sort = _ordering("sort", _sort, np.argsort, (((3, 4), {}), ((3, 4), {"axis": 0}), ((3, 4), {"axis": None}), ((5,), {"kind": "stable"})))
partition = _ordering("partition", _partition, np.argpartition, (((3, 4), {"kth": 2}), ((7,), {"kth": (1, 3)})))

# ---------------------------------------------------------------- axes renamed and reordered


def _as_shaped(x: Any, function: Callable[..., Any], *args: Any, **kw: Any) -> Any:
    """`x` in the shape that NumPy's function gives to an array of its shape."""
    return reshape(x, shape=function(np.broadcast_to(0.0, shape_of(x)), *args, **kw).shape)


def _as_ordered(x: Any, function: Callable[..., Any], *args: Any) -> Any:
    """`x` with its axes in the order that NumPy's function gives them."""
    return transpose(x, axes=function(np.empty(range(len(shape_of(x)))), *args).shape)


@composed(np.ravel, sample=of_shape(((2, 3), {}), ((), {})))
def ravel(x: Any) -> Any:
    """All entries in one axis, in C order."""
    return reshape(x, shape=-1)


@composed(sample=of_shape(((2, 3), {})))
def flatten(x: Any) -> Any:
    """All entries in one axis, in C order."""
    return reshape(x, shape=-1)


@composed(np.squeeze, sample=of_shape(((1, 3, 1), {}), ((1, 3, 1), {"axis": 0})))
def squeeze(x: Any, axis: Axis = None) -> Any:
    """`x` without axes of length 1."""
    return _as_shaped(x, np.squeeze, axis)


@composed(np.expand_dims, sample=of_shape(((2, 3), {"axis": 1}), ((2, 3), {"axis": (0, -1)})))
def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """`x` with new axes of length 1."""
    return _as_shaped(x, np.expand_dims, axis)


@composed(np.swapaxes, sample=of_shape(((2, 3, 4), {"axis1": 0, "axis2": -1})))
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """`x` with two axes in each other's place."""
    return _as_ordered(x, np.swapaxes, axis1, axis2)


@composed(
    np.moveaxis, sample=of_shape(((2, 3, 4), {"source": 0, "destination": -1}), ((2, 3, 4), {"source": (0, 1), "destination": (1, 2)}))
)
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """`x` with some axes moved to other places."""
    return _as_ordered(x, np.moveaxis, source, destination)


@composed(np.rollaxis, sample=of_shape(((2, 3, 4), {"axis": 2})))
def rollaxis(x: Any, axis: int, start: int = 0) -> Any:
    """`x` with one axis moved to before another."""
    return _as_ordered(x, np.rollaxis, axis, start)


@composed(np.matrix_transpose, np.linalg.matrix_transpose, sample=of_shape(((2, 3, 4), {})))
def matrix_transpose(x: Any) -> Any:
    """The last two axes in each other's place."""
    return _as_ordered(x, np.swapaxes, -1, -2)


def _at_least(function: Callable[..., Any]) -> Any:
    def shaped(*xs: Any) -> Any:
        """Each operand with at least so many axes; several come back as a tuple."""
        found = tuple(_as_shaped(x, function) for x in map(as_operand, xs))
        return found[0] if len(found) == 1 else found

    shaped.__name__ = function.__name__
    return composed(function, sample=of_shape(*((s, {}) for s in ((), (3,), (2, 3), (2, 3, 4)))))(shaped)


atleast_1d, atleast_2d, atleast_3d = _at_least(np.atleast_1d), _at_least(np.atleast_2d), _at_least(np.atleast_3d)

# ---------------------------------------------------------------- taken apart


def _cut(x: Any, function: Callable[..., Any], parts: Any, axis: int) -> list[Any]:
    """The pieces along an axis, cut where NumPy's function cuts."""
    axis = normalize_axis_index(axis, len(shape_of(x)))
    pieces = function(np.arange(shape_of(x)[axis]), parts)
    before = (slice(None),) * axis
    return [getitem(x, index=(*before, slice(int(p[0]), int(p[-1]) + 1) if len(p) else slice(0, 0))) for p in pieces]


_PARTS = of_shape(((6, 4), {"indices_or_sections": 2}), ((6, 4), {"indices_or_sections": [1, 3, 3]}))


@composed(np.split, sample=_PARTS)
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """A list of the pieces along an axis: so many equal ones, or cut before the given places."""
    return _cut(x, np.split, indices_or_sections, axis)


@composed(np.array_split, sample=of_shape(((7, 2), {"indices_or_sections": 3}), ((2, 7), {"indices_or_sections": [3, 5], "axis": 1})))
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Like split, with pieces that need not be equal."""
    return _cut(x, np.array_split, indices_or_sections, axis)


@composed(np.hsplit, sample=of_shape(((3, 4), {"indices_or_sections": 2}), ((4,), {"indices_or_sections": [1]})))
def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Pieces side by side: along axis 1, of a vector along its only axis."""
    return _cut(x, np.split, indices_or_sections, min(1, len(shape_of(x)) - 1))


@composed(np.vsplit, sample=_PARTS)
def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Pieces one above the other: along axis 0."""
    if len(shape_of(x)) < 2:
        raise ShapeMismatch(f"vsplit of shape {tuple(shape_of(x))}: the operand needs two axes; write np.split for one")
    return _cut(x, np.split, indices_or_sections, 0)


@composed(np.dsplit, sample=of_shape(((2, 3, 4), {"indices_or_sections": 2})))
def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Pieces one behind the other: along axis 2."""
    return _cut(x, np.split, indices_or_sections, 2)


# ---------------------------------------------------------------- put together


def _sample_pair(*pairs: tuple[tuple[int, ...], tuple[int, ...]]) -> Any:
    def sample(rng: np.random.Generator) -> list[Case]:
        return [(([rng.normal(size=a), rng.normal(size=b)],), {}) for a, b in pairs]

    return sample


@composed(np.vstack, sample=_sample_pair(((3,), (3,)), ((2, 3), (1, 3))))
def vstack(tup: Sequence[Any]) -> Any:
    """The operands one above the other; vectors are rows."""
    return concatenate([atleast_2d(x) for x in tup], axis=0)


@composed(np.hstack, sample=_sample_pair(((3,), (2,)), ((2, 3), (2, 1))))
def hstack(tup: Sequence[Any]) -> Any:
    """The operands side by side; vectors one after the other."""
    parts = [atleast_1d(x) for x in tup]
    return concatenate(parts, axis=0 if len(shape_of(parts[0])) == 1 else 1)


@composed(np.dstack, sample=_sample_pair(((3,), (3,)), ((2, 3), (2, 3))))
def dstack(tup: Sequence[Any]) -> Any:
    """The operands one behind the other."""
    return concatenate([atleast_3d(x) for x in tup], axis=2)


@composed(np.column_stack, sample=_sample_pair(((3,), (3,)), ((3,), (3, 2))))
def column_stack(tup: Sequence[Any]) -> Any:
    """The operands side by side; vectors are columns."""
    return concatenate([x if len(shape_of(x)) > 1 else reshape(x, shape=(-1, 1)) for x in tup], axis=1)


def _sample_append(rng: np.random.Generator) -> list[Case]:
    return [((rng.normal(size=(2, 3)), rng.normal(size=2)), {}), ((rng.normal(size=(2, 3)), rng.normal(size=(1, 3))), {"axis": 0})]


@composed(np.append, sample=_sample_append, arity=2)
def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """`values` after `x`, along an axis or both flattened."""
    return concatenate([x, values], axis=axis)


@composed(np.broadcast_arrays, sample=lambda rng: [((rng.normal(size=3), rng.normal(size=(2, 1))), {})])
def broadcast_arrays(*xs: Any) -> tuple[Any, ...]:
    """The operands, all in the shape that they have together."""
    xs = tuple(map(as_operand, xs))
    shape = np.broadcast_shapes(*map(shape_of, xs))
    return tuple(broadcast_to(x, shape=shape) for x in xs)


def _pad_zeros(x: Any, pad_width: Any) -> Any:
    return np.pad(x, pad_width)


def _pad_transpose(i: int, g: Any, x: Any, pad_width: Any) -> Any:
    shape = shape_of(x)
    inside = np.pad(np.ones(shape, bool), pad_width)
    corner = [int(np.argmax(inside.any(axis=tuple(k for k in range(len(shape)) if k != axis)))) for axis in range(len(shape))]
    return getitem(g, tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True)))


zeros_around = linear(
    "zeros_around",
    _pad_zeros,
    _pad_transpose,
    monotone=True,
    sample=of_shape(((2, 3), {"pad_width": 1}), ((2, 3), {"pad_width": ((0, 2), (1, 0))})),
)


def _sample_pad(rng: np.random.Generator) -> list[Case]:
    kws: list[dict[str, Any]] = [{"pad_width": 1}, {"pad_width": (1, 2), "constant_values": 3.0}, {"pad_width": 1, "mode": "reflect"}]
    return [((rng.normal(size=(2, 3)),), kw) for kw in kws]


@composed(np.pad, sample=_sample_pad)
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    """`x` with a border of constants, or of its own entries; the modes are constant, edge, reflect, symmetric and wrap."""
    if mode in _BORDERS:
        return borders(x, pad_width=pad_width, mode=mode)
    if mode != "constant":
        raise NoRule(f"pad has no rule for mode={mode!r}; it knows constant, {', '.join(_BORDERS)}")
    padded = zeros_around(x, pad_width=pad_width)
    return (
        padded
        if np.all(np.equal(constant_values, 0))
        else padded + np.pad(np.zeros(shape_of(x), dtype_of(x)), pad_width, constant_values=constant_values)
    )


def _sample_select(rng: np.random.Generator) -> list[Case]:
    x = rng.normal(size=(3, 4))
    return [(([x > 0.5, x > 0], [rng.normal(size=(3, 4)), rng.normal(size=4)]), {"default": 2.0})]


@composed(np.select, sample=_sample_select, arity=2)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Of each place's choices the one whose condition is the first to hold."""
    if len(condlist) != len(choicelist):
        raise ValueError(
            f"select of {len(condlist)} conditions and {len(choicelist)} choices: there must be as many of one as of the other"
        )
    chosen = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        chosen = where(condition, choice, chosen)
    return chosen


def _sample_linspace(rng: np.random.Generator) -> list[Case]:
    return [
        ((rng.normal(size=()), rng.normal(size=())), {"num": 5}),
        ((rng.normal(size=3), 2.0), {"num": 4, "endpoint": False, "axis": -1}),
    ]


@composed(np.linspace, sample=_sample_linspace, arity=2)
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, axis: int = 0) -> Any:
    """Evenly spaced numbers from `start` to `stop`."""
    rank = len(np.broadcast_shapes(shape_of(start), shape_of(stop)))
    s = np.linspace(0.0, 1.0, num, endpoint=endpoint, dtype=dtype_of(start, stop)).reshape((num,) + (1,) * rank)
    start, stop = (reshape(x, shape=(1, *shape_of(x))) if shape_of(x) else x for x in (start, stop))
    z = start * (1 - s) + stop * s
    return z if axis == 0 else moveaxis(z, 0, axis)


# ---------------------------------------------------------------- differences of neighbours


@composed(np.diff, sample=of_shape(((5,), {}), ((3, 4), {"n": 2}), ((3, 4), {"axis": 0})))
def diff(x: Any, n: int = 1, axis: int = -1) -> Any:
    """The difference of each entry and the one before it, along an axis, n times."""
    if n < 0:
        raise ValueError(f"diff of order {n}: the order must not be negative")
    before = (slice(None),) * normalize_axis_index(axis, len(shape_of(x)))
    for _ in range(n):
        x = getitem(x, index=(*before, slice(1, None))) - getitem(x, index=(*before, slice(None, -1)))
    return x


@composed(np.gradient, sample=of_shape(((5,), {}), ((3, 4), {"axis": 1})))
def gradient(x: Any, *spacing: Any, axis: Axis = None) -> Any:
    """Central differences inside, one-sided ones at both ends, along each axis; `spacing` is numbers, one or one an axis."""
    rank = len(shape_of(x))
    axes = range(rank) if axis is None else [axis] if isinstance(axis, int) else axis
    steps = spacing * len(axes) if len(spacing) == 1 else spacing or (1.0,) * len(axes)
    if any(shape_of(h) for h in map(as_operand, steps)) or len(steps) != len(axes):
        raise NoRule(f"gradient has a rule for even spacing: one number, or one for each of the {len(axes)} axes")
    found = [_slope(x, normalize_axis_index(a, rank)) / h for a, h in zip(axes, steps, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _slope(x: Any, axis: int) -> Any:
    d = diff(x, axis=axis)
    before, n = (slice(None),) * axis, shape_of(d)[axis]
    if n == 0:
        raise ValueError("gradient needs at least two entries along each axis")
    first, last = getitem(d, index=(*before, slice(0, 1))), getitem(d, index=(*before, slice(n - 1, n)))
    inner = (getitem(d, index=(*before, slice(1, None))) + getitem(d, index=(*before, slice(None, -1)))) * 0.5
    return concatenate([first, inner, last], axis=axis)
