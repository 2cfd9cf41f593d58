"""Entries of the table: what moves entries about and computes nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from string import ascii_lowercase
from typing import Any

import numpy as np

from ..errors import BadOperand
from .table import Case, Op, shape_of, sum_to
from .table import linear as linear_op

Shape = int | tuple[int, ...]
linear = partial(linear_op, monotone=True)  # moving entries about has no negative derivative


def _reshape(x: Any, shape: Shape) -> Any:
    return x.reshape(shape) if isinstance(x, np.ndarray) else np.reshape(x, shape)


def _transpose(x: Any, axes: tuple[int, ...] | None = None) -> Any:
    return x.transpose(axes) if isinstance(x, np.ndarray) else np.transpose(x, axes)


def _transpose_back(i: int, g: Any, x: Any, axes: tuple[int, ...] | None = None) -> Any:
    if axes is None:
        return transpose(g)
    axes = (axes,) if isinstance(axes, int) else axes
    n = len(axes)
    return transpose(g, tuple(sorted(range(n), key=lambda k: axes[k] % n)))


def _transpose_form(x: Any, axes: tuple[int, ...] | None = None) -> str:
    letters = ascii_lowercase[: len(shape_of(x))]
    return f"{letters}->{letters[::-1] if axes is None else ''.join(letters[a] for a in axes)}"


def _reshape_form(x: Any, shape: Shape) -> tuple[str, Any] | None:
    """A reshape that only adds or drops axes of length 1 moves no entry; any other has no index form."""
    new = shape if isinstance(shape, tuple) else (shape,)
    if -1 in new:
        rest = math.prod(n for n in new if n != -1)
        new = tuple(math.prod(shape_of(x)) // rest if n == -1 else n for n in new)
    if [n for n in shape_of(x) if n != 1] != [n for n in new if n != 1]:
        return None
    names = iter(ascii_lowercase)
    before = "".join("1" if n == 1 else next(names) for n in shape_of(x))
    names = iter(ascii_lowercase)
    return f"{before}->{''.join('1' if n == 1 else next(names) for n in new)}", new


def _getitem_form(x: Any, index: Any) -> tuple[str, Any] | None:
    """Indexing that only adds axes of length 1 is a reshape; any other has no index form."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(p is None or p is Ellipsis or (isinstance(p, slice) and p == slice(None)) for p in parts):
        return None
    return _reshape_form(x, np.empty(shape_of(x), bool)[index].shape)


def _scatter_form(x: Any, index: Any, shape: tuple[int, ...]) -> tuple[str, Any] | None:
    return None if _getitem_form(np.empty(shape, bool), index) is None else _reshape_form(x, shape)


def _broadcast_form(x: Any, shape: Shape) -> tuple[str, Any]:
    new = shape if isinstance(shape, tuple) else (shape,)
    out, extra = ascii_lowercase[: len(new)], len(new) - len(shape_of(x))
    return f"{''.join('1' if n == 1 else letter for n, letter in zip(shape_of(x), out[extra:], strict=True))}->{out}", new


def _broadcast_to(x: Any, shape: Shape) -> Any:
    x = np.asarray(x)
    out = np.empty(shape, x.dtype)
    if x.ndim > out.ndim:  # the assignment below would drop leading axes of length 1
        raise ValueError(f"shape {x.shape} has more axes than {out.shape}")
    out[...] = x  # a third of the time of np.broadcast_to, and every later step runs on contiguous memory
    return out


def _cast(x: Any, dtype: Any) -> Any:
    if np.dtype(dtype) not in (np.float64, np.float32):
        raise BadOperand(
            f"a Tensor is float64 or float32, not {np.dtype(dtype)}; for plain numbers write t.data.astype('{np.dtype(dtype)}')"
        )
    return np.asarray(x).astype(dtype)


def _getitem(x: Any, index: Any) -> Any:
    return x[index] if isinstance(x, np.ndarray) else np.asarray(x)[index]


def _scatter(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, np.asarray(x).dtype)
    if all(map(_picks_once, index if isinstance(index, tuple) else (index,))):
        out[index] = x
    else:
        np.add.at(out, index, x)  # an entry that is read twice is added to twice
    return out


def _picks_once(part: Any) -> bool:
    """Can a part of an index pick no entry twice?  A list of places can, in whatever kind of array or sequence it comes."""
    return part is None or part is Ellipsis or isinstance(part, slice | int | np.generic) or np.asarray(part).dtype == bool


def _concatenate(*xs: Any, axis: int | None = 0) -> Any:
    return np.concatenate(xs, axis=axis)


def _concatenate_apart(g: Any, xs: Sequence[Any], axis: int | None = 0) -> list[Any]:
    shapes = [shape_of(x) for x in xs]
    ends = [*accumulate((math.prod(s) if axis is None else s[axis] for s in shapes), initial=0)]
    before = (slice(None),) * (0 if axis is None else axis % len(shape_of(g)))
    pieces = [getitem(g, (*before, slice(a, b))) for a, b in pairwise(ends)]
    return [reshape(p, s) for p, s in zip(pieces, shapes, strict=True)] if axis is None else pieces


def _concatenate_transpose(i: int, g: Any, *xs: Any, axis: int | None = 0) -> Any:
    return _concatenate_apart(g, xs, axis)[i]


def _stack(*xs: Any, axis: int = 0) -> Any:
    return np.stack(xs, axis=axis)


def _stack_apart(g: Any, xs: Sequence[Any], axis: int = 0) -> list[Any]:
    before = (slice(None),) * (axis % len(shape_of(g)))
    return [getitem(g, (*before, i)) for i in range(len(xs))]


def _stack_transpose(i: int, g: Any, *xs: Any, axis: int = 0) -> Any:
    return _stack_apart(g, xs, axis)[i]


def of_shape(*calls: tuple[tuple[int, ...], dict[str, Any]]) -> Any:
    """A sampler of calls of one operand, each given by its shape and options."""

    def sample(rng: np.random.Generator) -> list[Case]:
        return [((rng.normal(size=shape),), kw) for shape, kw in calls]

    return sample


def _sample_concatenate(rng: np.random.Generator) -> list[Case]:
    return [
        (([rng.normal(size=(2, 3)), rng.normal(size=(4, 3))],), {}),
        (([rng.normal(size=(2, 3)), rng.normal(size=(2, 1))],), {"axis": -1}),
        (([rng.normal(size=(2, 3)), rng.normal(size=4)],), {"axis": None}),
    ]


def _sample_stack(rng: np.random.Generator) -> list[Case]:
    return [(([rng.normal(size=(2, 3)), rng.normal(size=(2, 3))],), {"axis": axis}) for axis in (0, 1, -1)]


_INDICES: tuple[Any, ...] = (0, -1, slice(1, None, 2), (slice(None), None, 1), (..., slice(None, None, -1)), np.array([2, 0, 2]))
_PAIRS = (np.array([0, 2, 0]), np.array([1, 3, 1]))
_MASK = np.array([[True, False, False, True]] * 3)

reshape: Op = linear(
    "reshape",
    _reshape,
    lambda i, g, x, shape: reshape(g, shape=shape_of(x)),
    numpy=(np.reshape,),
    sample=of_shape(((2, 6), {"shape": (3, 4)}), ((2, 6), {"shape": -1}), ((), {"shape": (1, 1)})),
    index=_reshape_form,
)
transpose: Op = linear(
    "transpose",
    _transpose,
    _transpose_back,
    numpy=(np.transpose,),
    symbol="ᵀ",
    sample=of_shape(((2, 3), {}), ((2, 3, 4), {"axes": (2, 0, 1)}), ((2, 3, 4), {"axes": (-1, 0, 1)}), ((3,), {})),
    index=_transpose_form,
)
broadcast_to: Op = linear(
    "broadcast_to",
    _broadcast_to,
    lambda i, g, x, shape: sum_to(g, shape_of(x)),
    numpy=(np.broadcast_to,),
    symbol="copies",
    sample=of_shape(((3, 1), {"shape": (2, 3, 4)}), ((), {"shape": (2,)})),
    index=_broadcast_form,
)
cast: Op = linear(
    "cast",
    _cast,
    lambda i, g, x, dtype: cast(g, x.dtype),
    sample=of_shape(((3,), {"dtype": np.float64})),
    analytic=False,
    index=lambda x, dtype: x,
)
getitem: Op = linear(
    "getitem",
    _getitem,
    lambda i, g, x, index: scatter(g, index, shape_of(x)),
    symbol="[ ]",
    sample=of_shape(*(((3, 4), {"index": index}) for index in (*_INDICES, (slice(None), None), _PAIRS, _MASK, ()))),
    index=_getitem_form,
)
scatter: Op = linear(
    "scatter",
    _scatter,
    lambda i, g, x, index, shape: getitem(g, index),
    symbol="into 0",
    sample=of_shape(
        ((4,), {"index": 1, "shape": (3, 4)}),
        ((3, 1), {"index": (..., None), "shape": (3,)}),
        ((3, 4), {"index": np.array([2, 0, 2]), "shape": (5, 4)}),
    ),
    index=_scatter_form,
)
concatenate: Op = linear(
    "concatenate",
    _concatenate,
    _concatenate_transpose,
    arity=None,
    apart=_concatenate_apart,
    numpy=(np.concatenate,),
    symbol="⧺",
    sample=_sample_concatenate,
)
stack: Op = linear(
    "stack", _stack, _stack_transpose, arity=None, apart=_stack_apart, numpy=(np.stack,), symbol="stack", sample=_sample_stack
)
