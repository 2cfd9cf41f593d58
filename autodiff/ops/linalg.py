"""Entries of the table: traces, diagonals, norms, inverses and determinants; of stacks of matrices, one by one.

The rules are those of Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation, in Advances in Automatic Differentiation (Springer 2008), pp. 35-44.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..errors import BadOperand, Degenerate, NoRule, ShapeMismatch
from .arrange import any_diagonal, matrix_transpose, moveaxis
from .operand import Operand, plain
from .pointwise import abs, attach, exp, sign, sqrt, where
from .products import matmul, outer
from .reductions import Axis, freedom, mean, others, restore, var
from .reductions import max as max_
from .reductions import min as min_
from .reductions import sum as sum_
from .shapes import reshape, scatter, transpose
from .table import Case, Op, WrongRule, add_up, composed, dtype_of, floats, general, linear, shape_of, sum_to


def matrices(name: str, x: Any) -> tuple[int, int]:
    """The shape of a matrix, or of each of a stack of them."""
    if len(shape_of(x)) < 2:
        raise ShapeMismatch(f"{name} of shape {tuple(shape_of(x))}: the operand must be a matrix, or a stack of them")
    rows, columns = shape_of(x)[-2:]
    return rows, columns


def square(name: str, x: Any) -> int:
    """The side of a square matrix, or of each of a stack of them."""
    rows, columns = matrices(name, x)
    if rows != columns:
        raise ShapeMismatch(f"{name} of shape {tuple(shape_of(x))}: the operand must be a square matrix, or a stack of them")
    return rows


def turned(x: Any) -> Any:
    """The transpose of a matrix, or of each of a stack."""
    return transpose(x) if len(shape_of(x)) == 2 else matrix_transpose(x)


def spread(g: Any) -> Any:
    """One number a matrix, in the shape of the matrices."""
    return reshape(g, shape=(*shape_of(g), 1, 1)) if shape_of(g) else g


def lapack(name: str, why: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What NumPy calls a LinAlgError becomes an error that says of what, and why."""

    def wrap(forward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(forward)
        def named(*args: Any, **kw: Any) -> Any:
            try:
                return forward(*args, **kw)
            except np.linalg.LinAlgError as error:
                if isinstance(error, Degenerate):
                    raise
                raise Degenerate(f"{name} of a matrix of shape {shape_of(args[0])}: {error}. {why}") from None

        return named

    return wrap


def _sampler(*calls: Any) -> Any:
    def sample(rng: np.random.Generator) -> list[Case]:
        return [(tuple(rng.normal(size=shape) for shape in shapes), kw) for shapes, kw in calls]

    return sample


# ---------------------------------------------------------------- traces and diagonals


def _plain_square(name: str, x: Any) -> int:
    if len(shape_of(x)) != 2:
        raise ShapeMismatch(f"{name} of shape {tuple(shape_of(x))}: the operand must be one square matrix")
    return square(name, x)


def _trace(x: Any) -> Any:
    _plain_square("trace", x)
    return np.trace(x)


def _diag(x: Any) -> Any:
    if len(shape_of(x)) == 2:
        square("diag", x)
    elif len(shape_of(x)) != 1:
        raise ShapeMismatch(f"diag of shape {shape_of(x)}: the operand is a vector, whose diagonal matrix is made, or a matrix")
    return np.diag(x)


_one_trace: Op = linear(
    "trace",
    _trace,
    lambda i, g, x: g * np.eye(_plain_square("trace", x)),
    symbol="tr",
    sample=_sampler((((3, 3),), {})),
    index=lambda x: "ii->",
    latex=r"\mathrm{{tr}}\left({0}\right)",
)
_main_diag: Op = linear(
    "diag",
    _diag,
    lambda i, g, x: _main_diag(g),
    sample=_sampler((((3,),), {}), (((3, 3),), {})),
    index=lambda x: "i->ii" if len(shape_of(x)) == 1 else "ii->i",
    latex=r"\mathrm{{diag}}\left({0}\right)",
)


def _is_main(x: Any, offset: int, axis1: int, axis2: int) -> bool:
    """Is the main diagonal of one square matrix meant, which has an index form?"""
    shape = shape_of(x)
    return len(shape) == 2 and shape[0] == shape[1] and (offset, axis1, axis2) == (0, 0, 1)


@composed(np.diagonal, sample=_sampler((((3, 3),), {}), (((3, 4),), {"offset": -1}), (((2, 3, 4),), {"axis1": 1, "axis2": -1})))
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The entries of a diagonal, of stacks of matrices along the last axis."""
    if _is_main(x, offset, axis1, axis2):
        return _main_diag(x)
    return any_diagonal(x, offset=offset, axis1=axis1, axis2=axis2)


@composed(np.trace, sample=_sampler((((3, 3),), {}), (((3, 4),), {"offset": -1}), (((2, 3, 4),), {"axis1": 2, "axis2": 1})))
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum along a diagonal."""
    if _is_main(x, offset, axis1, axis2):
        return _one_trace(x)
    return sum_(diagonal(x, offset=offset, axis1=axis1, axis2=axis2), axis=-1)


@composed(np.diag, sample=_sampler((((3,),), {}), (((3, 3),), {}), (((3,),), {"k": -2}), (((3, 4),), {"k": 1})))
def diag(x: Any, k: int = 0) -> Any:
    """Of a vector the matrix with it on a diagonal, of a matrix the diagonal."""
    shape = shape_of(x)
    if len(shape) == 2 and (k or shape[0] != shape[1]):
        return diagonal(x, offset=k)
    if len(shape) == 1 and k:
        places = np.arange(shape[0])
        return scatter(x, (places + max(-k, 0), places + max(k, 0)), (shape[0] + max(k, -k),) * 2)
    return _main_diag(x)


# ---------------------------------------------------------------- norms


def _norm(x: Any, axis: Axis = None, keepdims: bool = False, p: float = 2) -> Any:
    x = floats(x)
    if p == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    return np.sum(np.abs(x) ** p, axis=axis, keepdims=keepdims) ** (1 / p)


def _direction(z: Any, x: Any, axis: Axis, p: float) -> Any:
    """The derivative of a norm.  Where the whole is 0, or for p < 2 an entry, it has none and 0 is taken, as in PyTorch."""
    z = restore(z, shape_of(x), axis)
    size = where(z == 0, 1.0, z)
    return where(z == 0, 0.0, x) / size if p == 2 else sign(x) * where(z == 0, 0.0, (where(x == 0, 1.0, abs(x)) / size) ** (p - 1))


def _norm_vjp(i: int, g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False, p: float = 2) -> Any:
    return restore(g, shape_of(x), axis) * _direction(z, x, axis, p)


def _norm_jvp(ts: Sequence[Any], z: Any, x: Any, axis: Axis = None, keepdims: bool = False, p: float = 2) -> Any:
    return sum_(ts[0] * _direction(z, x, axis, p), axis=axis, keepdims=keepdims)


def _norm_form(x: Any, axis: Axis = None, keepdims: bool = False, p: float = 2) -> Any:
    return sqrt(sum_(x * x, axis=axis, keepdims=keepdims)) if p == 2 else None


_of_entries: Op = general(
    "norm",
    _norm,
    _norm_vjp,
    _norm_jvp,
    symbol="‖x‖",
    sample=_sampler((((3,),), {}), (((3, 4),), {}), (((3, 4),), {"axis": 1, "keepdims": True}), (((3, 4),), {"p": 3, "axis": 0})),
    analytic=False,
    index=_norm_form,
    latex=r"\left\lVert {0} \right\rVert",
    mistakes=(
        WrongRule(
            "derivative_wrong",
            "the derivative of the norm is {x}/{z}: the division by {z} is missing",
            lambda g, z, x, axis=None, keepdims=False, p=2: restore(g, shape_of(x), axis) * x,
        ),
        WrongRule(
            "derivative_wrong",
            "the derivative of the squared norm, 2{x}, was used for the norm",
            lambda g, z, x, axis=None, keepdims=False, p=2: restore(g, shape_of(x), axis) * 2 * x,
        ),
    ),
)


_NORMS = [None, 1, 2, -2, np.inf, -np.inf]


@composed(
    np.linalg.norm,
    sample=_sampler(
        *((((5,),), {"ord": ord}) for ord in (None, 1, 2, 3, 1.5, np.inf, -np.inf)),
        *((((3, 4),), {"ord": ord}) for ord in (*_NORMS, -1, "fro", "nuc")),
        (((2, 3, 4),), {"axis": 1, "keepdims": True}),
        (((2, 3, 4),), {"axis": (2, 0), "ord": "nuc", "keepdims": True}),
        (((2, 3, 4),), {"axis": (0, 2), "ord": 1}),
    ),
)
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The norm of all entries, of vectors along an axis, or of matrices along two; `ord` as in NumPy."""
    rank = len(shape_of(x))
    if hasattr(ord, "__apply__"):
        raise BadOperand(
            "the order of a norm is a plain number, through which no derivative passes; for the number of a node write .item()"
        )
    ord = "fro" if ord == "f" else ord
    if axis is None and (ord is None or (ord, rank) in ((2, 1), ("fro", 2))):
        return _of_entries(x, axis=axis, keepdims=keepdims)
    axes = tuple(range(rank)) if axis is None else normalize_axis_tuple(axis, rank)
    if axis is not None and len(axes) not in (1, 2):
        raise ShapeMismatch(f"norm over {len(axes)} axes of shape {tuple(shape_of(x))}: vectors have one axis, matrices two")
    if ord is None:
        return _of_entries(x, axis=axis, keepdims=keepdims)
    if len(axes) == 1 and not isinstance(ord, str) and ord != 0:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2 and ord in (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"):
        return _matrix_norm(x, ord, axes, keepdims)
    raise NoRule(f"norm has no rule for ord={ord!r} over {len(axes)} axes of shape {tuple(shape_of(x))}")


def _vector_norm(x: Any, ord: float, axis: int, keepdims: bool) -> Any:
    if ord in (np.inf, -np.inf, 1):
        return (sum_ if ord == 1 else max_ if ord > 0 else min_)(abs(x), axis=axis, keepdims=keepdims)
    return _of_entries(x, axis=axis, keepdims=keepdims, p=float(ord))  # np.float64(3) would make float32 entries float64


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord == "fro":
        return _of_entries(x, axis=axes, keepdims=keepdims)
    kept = tuple(1 if i in {a % len(shape_of(x)) for a in axes} else n for i, n in enumerate(shape_of(x)))
    if ord in (2, -2, "nuc"):
        from .factorizations import svdvals

        values = svdvals(moveaxis(x, axes, (-2, -1)))
        z = (sum_ if ord == "nuc" else max_ if ord > 0 else min_)(values, axis=-1)
    else:
        along = axes if ord in (1, -1) else axes[::-1]  # the columns' sums, or the rows'
        z = (max_ if ord > 0 else min_)(sum_(abs(x), axis=along[0], keepdims=True), axis=along[1], keepdims=True)
        z = reshape(z, shape=tuple(n for i, n in enumerate(kept) if i not in {a % len(kept) for a in axes}))
    return reshape(z, shape=kept) if keepdims else z


def _std(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.std(floats(x), axis=axis, ddof=ddof, keepdims=keepdims)


def _from_mean(z: Any, x: Any, axis: Axis, ddof: float) -> Any:
    """The derivative of a standard deviation; 0 where all entries are the same, as that of a norm is."""
    far = x - mean(x, axis=axis, keepdims=True)
    return _direction(z, far, axis, 2) / freedom(x, axis, ddof)


std = general(
    "std",
    _std,
    lambda i, g, z, x, axis=None, ddof=0, keepdims=False: restore(g, shape_of(x), axis) * _from_mean(z, x, axis, ddof),
    lambda ts, z, x, axis=None, ddof=0, keepdims=False: sum_(ts[0] * _from_mean(z, x, axis, ddof), axis=axis, keepdims=keepdims),
    numpy=(np.std,),
    symbol="std",
    sample=_sampler((((5,),), {}), (((3, 4),), {"axis": 0, "ddof": 1}), (((2, 3, 4),), {"axis": (0, 2), "keepdims": True})),
    analytic=False,
    index=lambda x, axis=None, ddof=0, keepdims=False: sqrt(var(x, axis=axis, ddof=ddof, keepdims=keepdims)),
)


# ---------------------------------------------------------------- inverses and determinants


@lapack("inv", "A singular matrix has no inverse; np.linalg.pinv is the nearest thing")
def _inv(x: Any) -> Any:
    square("inv", x)
    return np.linalg.inv(x)


@lapack("solve", "A singular system has no or many solutions")
def _solve(x: Any, y: Any) -> Any:
    n = square("solve", x)
    if shape_of(y)[-2:][:1] != (n,):
        raise ShapeMismatch(f"solve of shapes {shape_of(x)} and {shape_of(y)}: the right-hand side needs {n} rows")
    return np.linalg.solve(x, y)


def _for_vectors(x: Any, y: Any) -> bool:
    """Is each right-hand side one vector, though the matrices are a stack?"""
    return len(shape_of(y)) == 1 and len(shape_of(x)) > 2


def _column(x: Any) -> Any:
    return reshape(x, shape=(*shape_of(x), 1))


def _solve_vjp(i: int, g: Any, z: Any, x: Any, y: Any) -> Any:
    if _for_vectors(x, y):
        h = _solve_vjp(i, _column(g), _column(z), x, _column(y))
        return h if i == 0 else reshape(h, shape=shape_of(y))
    h = solve(turned(x), g)
    if i == 1:
        return sum_to(h, shape_of(y))
    return -outer(h, z) if len(shape_of(y)) == 1 else sum_to(-matmul(h, turned(z)), shape_of(x))


def _solve_jvp(ts: Sequence[Any], z: Any, x: Any, y: Any) -> Any:
    if _for_vectors(x, y):
        columns = [ts[0], None if ts[1] is None else _column(ts[1])]
        return reshape(_solve_jvp(columns, _column(z), x, _column(y)), shape=shape_of(z))
    moved = add_up((None if ts[0] is None else -matmul(ts[0], z), ts[1]))
    return solve(x, moved)


def _sample_square(*shapes: tuple[int, ...]) -> Any:
    def sample(rng: np.random.Generator) -> list[Case]:
        return [((np.eye(s[-1]) * 4 + rng.normal(size=s),), {}) for s in shapes]

    return sample


def _sample_solve(rng: np.random.Generator) -> list[Case]:
    pairs = (((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((3, 3), (2, 3, 1)), ((2, 1, 3, 3), (4, 3, 2)))
    return [((np.eye(3) * 4 + rng.normal(size=a), rng.normal(size=b)), {}) for a, b in pairs]


_MATRICES = _sample_square((3, 3), (2, 3, 3))

inv: Op = general(
    "inv",
    _inv,
    lambda i, g, z, x: -matmul(matmul(turned(z), g), turned(z)),
    lambda ts, z, x: -matmul(matmul(z, ts[0]), z),
    numpy=(np.linalg.inv,),
    symbol="x⁻¹",
    sample=_MATRICES,
    index="ij->ij",
    mistakes=(
        WrongRule("sign", "the minus in the derivative of inv({x}) is missing", lambda g, z, x: turned(z) @ g @ turned(z)),
        WrongRule("transposed", "both inverses in the derivative of inv({x}) must be transposed", lambda g, z, x: -z @ g @ z),
        WrongRule(
            "derivative_wrong", "of the two inverses in the derivative of inv({x}) the right one is missing", lambda g, z, x: -turned(z) @ g
        ),
        WrongRule(
            "derivative_wrong", "of the two inverses in the derivative of inv({x}) the left one is missing", lambda g, z, x: -g @ turned(z)
        ),
    ),
)
solve: Op = general(
    "solve",
    _solve,
    _solve_vjp,
    _solve_jvp,
    arity=2,
    numpy=(np.linalg.solve,),
    symbol="x⁻¹y",
    sample=_sample_solve,
    index=lambda x, y: matmul(inv(x), y),
)


def _inner(a: Any, b: Any) -> Any:
    """The sum of the products of two matrices' entries."""
    return sum_(a * b, axis=(-2, -1))


def _logdet(x: Any) -> Any:
    square("logdet", x)
    return np.linalg.slogdet(x)[1]


def _logdet_jvp(ts: Sequence[Any], z: Any, x: Any) -> Any:
    return _one_trace(matmul(inv(x), ts[0])) if len(shape_of(x)) == 2 else _inner(turned(inv(x)), ts[0])


# The logarithm of the determinant's size: its sign is lost, and its derivative is the same for both.
logdet: Op = general(
    "logdet",
    _logdet,
    lambda i, g, z, x: spread(g) * turned(inv(x)),
    _logdet_jvp,
    symbol="log|x|",
    sample=_MATRICES,
    analytic=False,
    index="ij->",
    latex=r"\log\left|\det\left({0}\right)\right|",
    source="np.linalg.slogdet(x)[1]",
    mistakes=(
        WrongRule("transposed", "the derivative of log det {x} is the transpose of inv({x})", lambda g, z, x: spread(g) * inv(x)),
        WrongRule("derivative_wrong", "{x} was taken for the derivative of log det {x}, inv({x}).T", lambda g, z, x: spread(g) * x),
        WrongRule(
            "derivative_wrong",
            "the derivative of det {x} was used for that of log det {x}",
            lambda g, z, x: spread(g * exp(z)) * turned(inv(x)),
        ),
    ),
)


def _det(x: Any) -> Any:
    square("det", x)
    return np.linalg.det(x)


def finite_svd(x: Any) -> Any:
    """U, s and V^T; nan for a matrix with an entry that is not finite, of which LAPACK may go on searching for ever."""
    bad = ~np.isfinite(x).all(axis=(-2, -1), keepdims=True)
    nan = np.where(bad, np.nan, 0.0)
    u, s, v = np.linalg.svd(np.where(bad, 0.0, x))
    return u + nan, s + nan[..., 0], v + nan


def _cofactors(x: Any) -> Any:
    """The derivative of det, also of a singular matrix: det(U) det(V) U diag(products of the other values) V^T.

    Stewart, On the adjugate matrix, Linear Algebra and its Applications 283 (1998), pp. 151-164.
    """
    u, s, v = finite_svd(np.asarray(x, np.float64))
    rest = np.moveaxis(others(np.moveaxis(s, -1, 0)), 0, -1)
    return (spread(np.linalg.det(u) * np.linalg.det(v)) * ((u * rest[..., None, :]) @ v)).astype(x.dtype)


def _cofactors_moved(t: Any, x: Any) -> Any:
    """The second derivative of det along t, also of a singular matrix.

    Of a diagonal matrix s moved by m the terms of second order in det are (m[i, i] m[j, j] - m[i, j] m[j, i]) times the product of
    the other values, for each pair i, j; U and V carry that to any matrix.
    """
    t, a = np.asarray(t, np.float64), np.asarray(x, np.float64)
    u, s, v = finite_svd(a)
    n = s.shape[-1]
    one_gone = np.where(np.eye(n, dtype=bool), 1.0, s[..., None, :])  # row i: the values with a 1 in place i
    pairs = np.moveaxis(others(np.moveaxis(one_gone, -1, 0)), 0, -1) * (1 - np.eye(n))
    m = turned(u) @ t @ turned(v)
    mains = np.diagonal(m, axis1=-2, axis2=-1)[..., None]
    found = np.eye(n) * (pairs @ mains) - pairs * turned(m)
    return (spread(np.linalg.det(u) * np.linalg.det(v)) * (u @ found @ v)).astype(x.dtype)


NEARLY_SINGULAR = 1e-6  # beside the largest singular value; at 1e-6 four digits are left


def _third_of_det(s: Any, t: Any, x: Any) -> Any:
    """The third derivative of det along s and t, from the inverse; its terms cancel, to as many digits as the condition number squared."""
    values = np.ones(1) if isinstance(a := plain(x), Operand) else finite_svd(a)[1]  # the symbols of a formula have none
    if np.any(values.min(-1, initial=np.inf) <= NEARLY_SINGULAR * values.max(-1, initial=0.0)):
        raise Degenerate(f"the third derivative of det of a matrix of shape {tuple(shape_of(x))}: the matrix is singular, or nearly so")
    r = turned(inv(x))
    rs, rt = matmul(matmul(r, turned(s)), r), matmul(matmul(r, turned(t)), r)
    a, b, both = _inner(r, s), _inner(r, t), _inner(rs, t)
    mixed = matmul(matmul(rs, turned(t)), r) + matmul(matmul(rt, turned(s)), r)
    return spread(det(x)) * (spread(a * b - both) * r - spread(b) * rs - spread(a) * rt + mixed)


def _moved_form(t: Any, x: Any) -> Any:
    r = turned(inv(x))
    return spread(det(x)) * (spread(_inner(r, t)) * r - matmul(matmul(r, turned(t)), r))


det: Op = general(
    "det",
    _det,
    lambda i, g, z, x: spread(g) * cofactors(x),
    lambda ts, z, x: _inner(cofactors(x), ts[0]),
    numpy=(np.linalg.det,),
    symbol="|x|",
    sample=_MATRICES,
    index="ij->",
    latex=r"\det\left({0}\right)",
)
cofactors: Op = general(
    "cofactors",
    _cofactors,
    lambda i, g, z, x: cofactors_moved(g, x),
    lambda ts, z, x: cofactors_moved(ts[0], x),
    sample=_MATRICES,
    analytic=False,
    index=lambda x: spread(det(x)) * turned(inv(x)),
)
cofactors_moved: Op = general(
    "cofactors_moved",
    _cofactors_moved,
    lambda i, g, z, t, x: cofactors_moved(g, x) if i == 0 else _third_of_det(g, t, x),
    lambda ts, z, t, x: add_up(
        (None if ts[0] is None else cofactors_moved(ts[0], x), None if ts[1] is None else _third_of_det(ts[1], t, x))
    ),
    arity=2,
    sample=lambda rng: [((rng.normal(size=s), np.eye(3) * 4 + rng.normal(size=s)), {}) for s in ((3, 3), (2, 3, 3))],
    analytic=False,
    index=_moved_form,
)


def _detsign(x: Any) -> Any:
    square("slogdet", x)
    return np.linalg.slogdet(x)[0]


detsign: Op = general("detsign", _detsign, lambda i, g, z, x: None, lambda ts, z, x: None, sample=_MATRICES, analytic=False)


class SlogdetResult(NamedTuple):
    """What np.linalg.slogdet returns."""

    sign: Any
    logabsdet: Any


@composed(np.linalg.slogdet, sample=_MATRICES)
def slogdet(x: Any) -> SlogdetResult:
    """The sign of the determinant, whose derivative is zero, and the logarithm of its size."""
    return SlogdetResult(detsign(x), logdet(x))


@composed(
    np.linalg.matrix_power,
    sample=lambda rng: [((np.eye(3) * 2 + rng.normal(size=(3, 3)),), {"n": n}) for n in (0, 1, 2, 5, -3)],
)
def matrix_power(x: Any, n: int) -> Any:
    """`x @ x @ ... @ x`, n times, by repeated squaring; of the inverse if n is negative."""
    square("matrix_power", x)
    n = operator.index(n)
    if n == 0:
        return attach(np.broadcast_to(np.eye(shape_of(x)[-1], dtype=dtype_of(x)), shape_of(x)), x)
    x, n = (inv(x), -n) if n < 0 else (x, n)
    z = None
    while n:
        if n % 2:
            z = x if z is None else matmul(z, x)
        n //= 2
        x = matmul(x, x) if n else x
    return z
