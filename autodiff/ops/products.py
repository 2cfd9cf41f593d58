"""Entries of the table: products of matrices, vectors and arrays, each known by its index form."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..errors import ShapeMismatch
from .pointwise import mul
from .shapes import getitem, reshape, transpose
from .table import Case, Op, add_up, bilinear, composed, contract, shape_of, sum_to


def _matmul(x: Any, y: Any) -> Any:
    if x.__class__ is y.__class__ is np.ndarray and 0 < x.ndim < 3 and 0 < y.ndim < 3:
        return x.dot(y)  # the same product, and half of the call's cost on small matrices
    return np.matmul(x, y)


def matmul_form(m: int, n: int) -> str:
    """The index form of `x @ y` for ranks m and n; leading axes are a batch, aligned at the right.

    >>> matmul_form(2, 2), matmul_form(1, 2), matmul_form(3, 2)
    ('ij,jk->ik', 'j,jk->k', 'aij,jk->aik')
    """
    batch = "abcdefgh"[: max(m - 2, n - 2, 0)]
    a, b = batch[len(batch) - max(m - 2, 0) :], batch[len(batch) - max(n - 2, 0) :]
    row, column = "i" if m > 1 else "", "k" if n > 1 else ""
    return f"{a}{row}j,{b}j{column}->{batch}{row}{column}"


def _matmul_direct(i: int, g: Any, x: Any, y: Any) -> Any:
    return g.dot(y.T) if i == 0 else x.T.dot(g)


def dot_form(m: int, n: int) -> str:
    """The index form of np.dot(x, y): the last axis of x meets the last but one of y (its only one)."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    a, b = letters[:m], letters[m : m + n]
    if m and n:
        k = max(n - 2, 0)
        b = b[:k] + a[-1] + b[k + 1 :]
        return f"{a},{b}->{a[:-1]}{b[:k]}{b[k + 1 :]}"
    return f"{a},{b}->{a}{b}"


def _sampler(*ranks: tuple[tuple[int, ...], tuple[int, ...]]) -> Any:
    def sample(rng: np.random.Generator) -> list[Case]:
        return [((rng.normal(size=a), rng.normal(size=b)), {}) for a, b in ranks]

    return sample


_COMMON = (((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)))
matmul = bilinear(
    "matmul",
    _matmul,
    matmul_form,
    _matmul_direct,
    numpy=(np.matmul, np.linalg.matmul),
    symbol="@",
    sample=_sampler(*_COMMON, ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)), ((3,), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4))),
)
dot = bilinear(
    "dot", np.dot, dot_form, _matmul_direct, numpy=(np.dot,), symbol="·", sample=_sampler(*_COMMON, ((2, 3), (5, 3, 4)), ((), (2, 3)))
)


def _outer(x: Any, y: Any) -> Any:
    if len(shape_of(x)) != 1 or len(shape_of(y)) != 1:
        raise ShapeMismatch(f"outer of shapes {shape_of(x)} and {shape_of(y)}: both operands must be vectors (for columns write x @ y.T)")
    return np.outer(x, y)


outer = bilinear("outer", _outer, lambda m, n: "i,j->ij", numpy=(np.outer, np.linalg.outer), symbol="⊗", sample=_sampler(((2,), (3,))))


# ---------------------------------------------------------------- other products, written as contractions


@composed(np.inner, sample=_sampler(((2, 3), (4, 3)), ((3,), (3,)), ((2, 3), ())), arity=2)
def inner(x: Any, y: Any) -> Any:
    """The sum of products over the last axes of both."""
    m, n = len(shape_of(x)), len(shape_of(y))
    if not m or not n:
        return mul(x, y)
    if shape_of(x)[-1] != shape_of(y)[-1]:
        raise ShapeMismatch(f"inner of shapes {shape_of(x)} and {shape_of(y)}: the last axes have different lengths")
    a, b = ascii_letters[:m], ascii_letters[m : m + n - 1]
    return contract(f"{a},{b}{a[-1]}->{a[:-1]}{b}", x, y)


def _sample_tensordot(rng: np.random.Generator) -> list[Case]:
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 3, 5))
    return [((x, y), {"axes": [(1, 2), (1, 0)]}), ((x, y[:, 0]), {"axes": 1}), ((x, y[0]), {"axes": 0}), ((x, y), {"axes": ([-1], [0])})]


@composed(np.tensordot, np.linalg.tensordot, sample=_sample_tensordot, arity=2)
def tensordot(x: Any, y: Any, axes: Any = 2) -> Any:
    """The sum of products over pairs of axes: the last of x with the first of y, so many, or those listed for each."""
    m, n = len(shape_of(x)), len(shape_of(y))
    if np.ndim(axes) == 0:
        count = operator.index(axes)
        first, second = tuple(range(max(m - count, 0), m)), tuple(range(count))
    else:
        first, second = (tuple(map(operator.index, np.atleast_1d(k).tolist())) for k in axes)
    if len(first) != len(second) or max(len(first), len(second)) > min(m, n):
        raise ShapeMismatch(f"tensordot of shapes {shape_of(x)} and {shape_of(y)} over axes={axes}: each axis needs a partner")
    first, second = normalize_axis_tuple(first, m), normalize_axis_tuple(second, n)  # raises for an axis given twice
    a, b = list(ascii_letters[:m]), list(ascii_letters[m : m + n])
    for i, j in zip(first, second, strict=True):
        b[j] = a[i]
        if shape_of(x)[i] != shape_of(y)[j]:
            raise ShapeMismatch(f"tensordot of shapes {shape_of(x)} and {shape_of(y)}: axis {i} and axis {j} have different lengths")
    summed = {a[i] for i in first}
    return contract(f"{''.join(a)},{''.join(b)}->{''.join(s for s in a + b if s not in summed)}", x, y)


@composed(np.vdot, sample=_sampler(((2, 3), (2, 3))), arity=2)
def vdot(x: Any, y: Any) -> Any:
    """The sum of the products of all entries."""
    return dot(reshape(x, shape=-1), reshape(y, shape=-1))


@composed(np.kron, sample=_sampler(((2, 3), (4, 2)), ((3,), (2,)), ((2, 3), (2,)), ((), (2,))), arity=2)
def kron(x: Any, y: Any) -> Any:
    """The Kronecker product: each entry of x times the whole of y."""
    n = max(len(shape_of(x)), len(shape_of(y)))
    a, b = ((1,) * (n - len(shape_of(v))) + tuple(shape_of(v)) for v in (x, y))
    apart = mul(reshape(x, shape=tuple(k for d in a for k in (d, 1))), reshape(y, shape=tuple(k for d in b for k in (1, d))))
    return reshape(apart, shape=tuple(i * j for i, j in zip(a, b, strict=True)))


def _sample_cross(rng: np.random.Generator) -> list[Case]:
    x, y = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    return [((x, y), {}), ((x[0], y), {}), ((x, y), {"axisa": 0, "axisc": 0}), ((x, y), {"axis": 0})]


@composed(np.cross, sample=_sample_cross, arity=2)
def cross(x: Any, y: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The vector product of vectors of three entries, which stand along the given axes."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = _last(x, axisa), _last(y, axisb)
    if shape_of(x)[-1:] != (3,) or shape_of(y)[-1:] != (3,):
        raise ShapeMismatch(f"cross of vectors of {shape_of(x)[-1:]} and {shape_of(y)[-1:]} entries: both must have three")
    x1, x2, y1, y2 = (getitem(v, index=(..., order)) for v in (x, y) for order in (np.array([1, 2, 0]), np.array([2, 0, 1])))
    z = x1 * y2 - x2 * y1
    rank = len(shape_of(z))
    place = normalize_axis_index(axisc, rank)
    order = [*range(rank - 1)]
    return transpose(z, axes=(*order[:place], rank - 1, *order[place:])) if place != rank - 1 else z


def _last(x: Any, axis: int) -> Any:
    """`x` with one axis moved to the end."""
    rank = len(shape_of(x))
    place = normalize_axis_index(axis, rank)
    return x if place == rank - 1 else transpose(x, axes=(*(k for k in range(rank) if k != place), place))


# ---------------------------------------------------------------- einsum


def explicit(subscripts: str, ranks: Sequence[int]) -> str:
    """Einstein's notation with its result written out and without dots or blanks.

    >>> explicit("ij,jk", (2, 2)), explicit("...i,i->...", (3, 1))
    ('ij,jk->ik', 'ABi,i->AB')
    """
    before, arrow, out = subscripts.replace(" ", "").partition("->")
    parts = before.split(",")
    if len(parts) != len(ranks):
        raise ShapeMismatch(f"einsum {subscripts!r} names {len(parts)} operands, but {len(ranks)} came")
    free = [s for s in ascii_uppercase + ascii_lowercase if s not in subscripts]
    longest = max((n - len(p.replace("...", "")) for p, n in zip(parts, ranks, strict=True) if "..." in p), default=0)
    dots = "".join(free[:longest])
    filled = [p.replace("...", dots[len(dots) - (n - len(p) + 3) :]) if "..." in p else p for p, n in zip(parts, ranks, strict=True)]
    for p, n in zip(filled, ranks, strict=True):
        if len(p) != n:
            raise ShapeMismatch(f"einsum {subscripts!r}: {p!r} names {len(p)} axes of an operand that has {n}")
    if dots and arrow and "..." not in out:
        raise ShapeMismatch(f"einsum {subscripts!r}: the axes that '...' stands for are missing from the result, where it must stand too")
    if not arrow:
        joined = "".join(filled)
        out = dots + "".join(sorted(s for s in set(joined) if joined.count(s) == 1 and s not in dots))
    return f"{','.join(filled)}->{out.replace('...', dots)}"


def _einsum(*xs: Any, subscripts: str) -> Any:
    dtype = np.result_type(*xs)  # with `optimize` two of three are multiplied first, and two of integers would wrap around
    return np.einsum(explicit(subscripts, [len(shape_of(x)) for x in xs]), *(np.asarray(x, dtype) for x in xs), optimize=len(xs) > 2)


def _einsum_vjp(i: int, g: Any, z: Any, *xs: Any, subscripts: str) -> Any:
    before, _, out = explicit(subscripts, [len(shape_of(x)) for x in xs]).partition("->")
    parts = before.split(",")
    others = [(p, x) for j, (p, x) in enumerate(zip(parts, xs, strict=True)) if j != i]
    # An axis of length 1 stands beside a longer one, as in NumPy's broadcasting: it does not tell how long that is.
    given = set(out).union(*((letter for letter, n in zip(p, shape_of(x), strict=True) if n != 1) for p, x in others))
    spare = iter(s for s in ascii_letters if s not in before)
    target, factors = "", [(out, g), *others]
    for axis, letter in enumerate(parts[i]):
        n = int(shape_of(xs[i])[axis])
        if letter in target:  # a diagonal was taken: its transpose writes onto the diagonal
            new = next(spare)
            factors.append((letter + new, np.eye(n)))
            letter = new
        elif letter not in given:  # an axis that was summed on its own: its transpose repeats
            factors.append((letter, np.ones(n)))
        target += letter
    return sum_to(einsum([x for _, x in factors], f"{','.join(p for p, _ in factors)}->{target}"), shape_of(xs[i]))


def _einsum_jvp(ts: Sequence[Any], z: Any, *xs: Any, subscripts: str) -> Any:
    return add_up(None if t is None else einsum([*xs[:i], t, *xs[i + 1 :]], subscripts) for i, t in enumerate(ts))


def _sample_einsum(rng: np.random.Generator) -> list[Case]:
    calls: list[tuple[str, list[tuple[int, ...]]]] = [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ii->i", [(3, 3)]),
        ("ii", [(3, 3)]),
        ("ij->j", [(2, 3)]),
        ("bij,bjk,k->bi", [(2, 3, 4), (2, 4, 5), (5,)]),
    ]
    return [(([rng.normal(size=s) for s in shapes],), {"subscripts": text}) for text, shapes in calls]


class _Einsum(Op):
    """np.einsum's subscripts come before its operands."""

    def bind(self, args: Sequence[Any], kw: dict[str, Any]) -> Case:
        if len(args) == 1 and isinstance(args[0], tuple) and args[0] and isinstance(args[0][0], str):
            args = args[0]  # as NumPy's protocol hands them on
        kw = {key: value for key, value in kw.items() if key != "optimize"}  # how it is computed, not what
        if args and isinstance(args[0], str):
            return super().bind((args[1:], args[0]), kw)
        if len(args) > 1 and not isinstance(args[1], str):
            return super().bind((args[: len(args) // 2 * 2 : 2], _written_out(args)), kw)
        return super().bind(args, kw)


def _written_out(args: Sequence[Any]) -> str:
    """The subscripts of einsum(x, [0, 1], y, [1, 2], [0, 2]) as a text."""
    before = ",".join(map(_letters, args[1::2]))
    return f"{before}->{_letters(args[-1])}" if len(args) % 2 else before


def _letters(places: Sequence[Any]) -> str:
    in_order = ascii_uppercase + ascii_lowercase  # without a result's own subscripts its axes are sorted by them, as by the places
    if any(k is not Ellipsis and not 0 <= k < len(in_order) for k in places):
        raise ShapeMismatch(f"einsum's subscripts {list(places)}: each is a number from 0 to {len(in_order) - 1}, or Ellipsis")
    return "".join("..." if k is Ellipsis else in_order[k] for k in places)


einsum = _Einsum(
    "einsum",
    "general",
    _einsum,
    _einsum_vjp,
    _einsum_jvp,
    arity=None,
    sample=_sample_einsum,
    symbol="einsum",
    numpy=(np.einsum,),
    index=lambda *xs, subscripts: explicit(subscripts, [len(shape_of(x)) for x in xs]),
)
