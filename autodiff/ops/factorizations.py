"""Entries of the table: Cholesky, eigenvalues and singular values, and what is made of them.

A factorisation with several results is one op for each, of the same operand; NumPy is asked once for all of them.
Where values coincide, or are 0, the vectors that belong to them are any of many and have no derivative: asking for
it raises Degenerate.  The values themselves may coincide.

As in NumPy, cholesky and eigh read one triangle of their operand, and their derivative is with respect to that
triangle: 0 in the other.  For the symmetric gradient write them of (x + x.T) / 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..errors import Degenerate, NoRule
from .arrange import tril, triu
from .linalg import lapack, matrices, solve, square, turned
from .operand import plain
from .products import matmul
from .reductions import sum as sum_
from .shapes import reshape
from .table import Case, Op, composed, dtype_of, general, shape_of


@lru_cache(maxsize=2)
def _factors(factorize: Any, data: bytes, shape: tuple[int, ...], dtype: Any, *options: Any) -> Any:
    return factorize(np.frombuffer(data, dtype).reshape(shape), *options)


def _once(factorize: Any, x: Any, *options: Any) -> Any:
    """A factorisation, computed once for all ops of one operand: it is known again by its contents."""
    x = np.asarray(x)
    return tuple(f.copy() for f in _factors(factorize, x.tobytes(), x.shape, x.dtype, *options))


def _same(w: Any) -> Any:
    """Which pairs of the values w, or (on the diagonal) each with itself, are equal to rounding."""
    w = plain(w)
    size = np.max(np.abs(w), axis=-1, initial=0.0)[..., None, None]
    return np.abs(w[..., None, :] - w[..., :, None]) <= w.shape[-1] * np.finfo(w.dtype).eps * size


def _checked(m: Any, gone: Any, message: str) -> None:
    """Raise Degenerate if m has an entry, beyond rounding, where its divisor is gone."""
    m = np.abs(plain(m))
    if np.any(gone & (m > np.shape(gone)[-1] * np.finfo(float).eps * np.max(m, initial=0.0))):
        raise Degenerate(message)


def _row(w: Any) -> Any:
    return reshape(w, shape=(*shape_of(w)[:-1], 1, shape_of(w)[-1]))


def _over_gaps(m: Any, w: Any, name: str, power: int = 1, used: Any = 1.0) -> Any:
    """m[i, j] / (w[j]**power - w[i]**power) off the diagonal; Degenerate if a column of `used` belongs to a value that is repeated."""
    same = _same(w)
    alone = np.sum(same, axis=-2, keepdims=True) == 1
    what, values = ("n eigenvalue", "np.linalg.eigvalsh") if power == 1 else (" singular value", "np.linalg.svdvals")
    _checked(
        used,
        ~alone,
        f"{name}: a{what} is repeated, to rounding, so its vectors are any of many and have no derivative. "
        f"Functions of the values alone have one: {values}",
    )
    rows, columns = _row(w), turned(_row(w))
    gaps = rows - columns if power == 1 else (rows - columns) * (rows + columns)
    return (m * ~same) / (gaps + same)


# ---------------------------------------------------------------- Cholesky


def _fold(t: Any, UPLO: str = "L") -> Any:
    """The symmetric matrix that is meant when one triangle is read."""
    return tril(t) + turned(tril(t, k=-1)) if UPLO == "L" else triu(t) + turned(triu(t, k=1))


def _unfold(g: Any, UPLO: str = "L") -> Any:
    """The adjoint of that."""
    return tril(g) + tril(turned(g), k=-1) if UPLO == "L" else triu(g) + triu(turned(g), k=1)


def _half(a: Any) -> Any:
    """The lower triangle, with half of the diagonal."""
    n = shape_of(a)[-1]
    return a * (np.tri(n) - 0.5 * np.eye(n)).astype(dtype_of(a))


@lapack("cholesky", "The operand must be symmetric and positive definite")
def _cholesky(x: Any) -> Any:
    square("cholesky", x)
    return np.linalg.cholesky(x)


def _cholesky_vjp(i: int, g: Any, z: Any, x: Any) -> Any:
    inner = _half(matmul(turned(z), g))
    return _unfold(turned(solve(turned(z), turned(solve(turned(z), inner)))))


def _cholesky_jvp(ts: Sequence[Any], z: Any, x: Any) -> Any:
    return matmul(z, _half(solve(z, turned(solve(z, _fold(ts[0]))))))


def _sample_definite(rng: np.random.Generator) -> list[Case]:
    return [((a @ np.swapaxes(a, -1, -2) + np.eye(3),), {}) for a in (rng.normal(size=(3, 3)), rng.normal(size=(2, 3, 3)))]


# Murray, Differentiation of the Cholesky decomposition (2016), arXiv:1602.07527.
cholesky = general(
    "cholesky", _cholesky, _cholesky_vjp, _cholesky_jvp, numpy=(np.linalg.cholesky,), sample=_sample_definite, analytic=False
)

# ---------------------------------------------------------------- eigenvalues of symmetric matrices


def _eigh(x: Any, UPLO: str) -> Any:
    return _once(_values_and_vectors, x, UPLO)


def _values_and_vectors(x: Any, UPLO: Any) -> Any:
    """What LAPACK gives; it gives vectors with values that are nan, too, where there are none."""
    w, v = np.linalg.eigh(x, UPLO)
    return w, np.where(np.isnan(w).any(-1)[..., None, None], np.nan, v).astype(v.dtype)


@lapack("eigvalsh", "Are all entries finite?")
def _eigvalsh(x: Any, UPLO: str = "L") -> Any:
    square("eigvalsh", x)
    return _eigh(x, UPLO.upper())[0]


@lapack("eigh", "Are all entries finite?")
def _eigvecsh(x: Any, UPLO: str = "L") -> Any:
    square("eigh", x)
    return _eigh(x, UPLO.upper())[1]


def _eigvalsh_vjp(i: int, g: Any, z: Any, x: Any, UPLO: str = "L") -> Any:
    v = eigvecsh(x, UPLO=UPLO)
    return _unfold(matmul(v * _row(g), turned(v)), UPLO.upper())


def _eigvalsh_jvp(ts: Sequence[Any], z: Any, x: Any, UPLO: str = "L") -> Any:
    v = eigvecsh(x, UPLO=UPLO)
    return sum_(v * matmul(_fold(ts[0], UPLO.upper()), v), axis=-2)


def _eigvecsh_vjp(i: int, g: Any, z: Any, x: Any, UPLO: str = "L") -> Any:
    m = matmul(turned(z), g)
    m = _over_gaps(m, eigvalsh(x, UPLO=UPLO), "eigh", used=m)
    return _unfold(matmul(matmul(z, m), turned(z)), UPLO.upper())


def _eigvecsh_jvp(ts: Sequence[Any], z: Any, x: Any, UPLO: str = "L") -> Any:
    moved = matmul(matmul(turned(z), _fold(ts[0], UPLO.upper())), z)
    return matmul(z, _over_gaps(moved, eigvalsh(x, UPLO=UPLO), "eigh"))


def _sample_symmetric(rng: np.random.Generator) -> list[Case]:
    return [((rng.normal(size=(3, 3)),), {}), ((rng.normal(size=(2, 3, 3)),), {"UPLO": "U"})]


# Giles, as in linalg.py, section 3.
eigvalsh = general(
    "eigvalsh", _eigvalsh, _eigvalsh_vjp, _eigvalsh_jvp, numpy=(np.linalg.eigvalsh,), sample=_sample_symmetric, analytic=False
)
eigvecsh: Op = general("eigvecsh", _eigvecsh, _eigvecsh_vjp, _eigvecsh_jvp, sample=_sample_symmetric, analytic=False)


class EighResult(NamedTuple):
    """What np.linalg.eigh returns."""

    eigenvalues: Any
    eigenvectors: Any


@composed(np.linalg.eigh, sample=_sample_symmetric)
def eigh(x: Any, UPLO: str = "L") -> EighResult:
    """The eigenvalues of symmetric matrices in ascending order, and their vectors as columns."""
    return EighResult(eigvalsh(x, UPLO=UPLO), eigvecsh(x, UPLO=UPLO))


# ---------------------------------------------------------------- singular values


def _svd(x: Any) -> Any:
    matrices("svd", x)
    if not np.all(np.isfinite(x)):  # of an inf LAPACK may go on searching for ever
        raise np.linalg.LinAlgError("an entry is not finite")
    return _once(np.linalg.svd, x, False)


@lapack("svd", "Are all entries finite?")
def _svdvals(x: Any) -> Any:
    return _svd(x)[1]


@lapack("svd", "Are all entries finite?")
def _left(x: Any) -> Any:
    return _svd(x)[0]


@lapack("svd", "Are all entries finite?")
def _right(x: Any) -> Any:
    return np.swapaxes(_svd(x)[2], -1, -2)


def _svdvals_vjp(i: int, g: Any, z: Any, x: Any) -> Any:
    return matmul(left_vectors(x) * _row(g), turned(right_vectors(x)))


def _svdvals_jvp(ts: Sequence[Any], z: Any, x: Any) -> Any:
    return sum_(left_vectors(x) * matmul(ts[0], right_vectors(x)), axis=-2)


def _outside(a: Any, p: Any, s: Any) -> Any:
    """The part of the columns a that the columns p do not reach, divided by s; None if p reaches everything."""
    if shape_of(p)[-2] == shape_of(p)[-1]:
        return None
    rest = a - matmul(p, matmul(turned(p), a))
    values = plain(s)
    gone = values <= max(shape_of(p)[-2:]) * np.finfo(values.dtype).eps * np.max(values, axis=-1, initial=0.0)[..., None]
    gone = gone[..., None, :]
    _checked(rest, gone, "svd: a singular value is 0, to rounding, so its vectors are any of many and have no derivative")
    return (rest * ~gone) / (_row(s) + gone)


def _vectors_vjp(g: Any, p: Any, q: Any, s: Any) -> Any:
    """The cotangent of a = p s q^T from that of the vectors p."""
    m = matmul(turned(p), g)
    m = _over_gaps(m, s, "svd", power=2, used=m)
    found = matmul(p, (m + turned(m)) * _row(s))
    rest = _outside(g, p, s)
    return matmul(found if rest is None else found + rest, turned(q))


def _vectors_jvp(t: Any, p: Any, q: Any, s: Any) -> Any:
    """The tangent of the vectors p from that of a = p s q^T."""
    tq = matmul(t, q)
    moved = matmul(turned(p), tq)
    found = matmul(p, _over_gaps(moved * _row(s) + turned(moved * _row(s)), s, "svd", power=2))
    rest = _outside(tq, p, s)
    return found if rest is None else found + rest


def _sample_any(rng: np.random.Generator) -> list[Case]:
    # Close values make derivatives of vectors so large, and so bent, that differences tell nothing of the third.
    shapes = ((3, 3), (4, 2), (2, 4), (2, 3, 2))
    return [((np.eye(*shape[-2:]) * [3, 1, 2, 1][: shape[-1]] + 0.3 * rng.normal(size=shape),), {}) for shape in shapes]


# Townsend, Differentiating the singular value decomposition (2016), which keeps the terms of matrices that are not square.
svdvals = general("svdvals", _svdvals, _svdvals_vjp, _svdvals_jvp, numpy=(np.linalg.svdvals,), sample=_sample_any, analytic=False)
left_vectors: Op = general(
    "left_vectors",
    _left,
    lambda i, g, z, x: _vectors_vjp(g, z, right_vectors(x), svdvals(x)),
    lambda ts, z, x: _vectors_jvp(ts[0], z, right_vectors(x), svdvals(x)),
    sample=_sample_any,
    analytic=False,
)
right_vectors: Op = general(
    "right_vectors",
    _right,
    lambda i, g, z, x: turned(_vectors_vjp(g, z, left_vectors(x), svdvals(x))),
    lambda ts, z, x: _vectors_jvp(turned(ts[0]), z, left_vectors(x), svdvals(x)),
    sample=_sample_any,
    analytic=False,
)


class SVDResult(NamedTuple):
    """What np.linalg.svd returns."""

    U: Any
    S: Any
    Vh: Any


@composed(np.linalg.svd, sample=lambda rng: [(args, {"full_matrices": False}) for args, _ in _sample_any(rng)])
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition `U * S @ Vh`; of a matrix that is not square only with `full_matrices=False`."""
    matrices("svd", x)
    if not compute_uv:
        return svdvals(x)
    if full_matrices and shape_of(x)[-1:] != shape_of(x)[-2:-1]:
        raise NoRule(
            f"svd of shape {tuple(shape_of(x))}: with full_matrices=True, the default, U or Vh has vectors that do not belong to x "
            "and have no derivative; write full_matrices=False"
        )
    return SVDResult(left_vectors(x), svdvals(x), turned(right_vectors(x)))


# ---------------------------------------------------------------- the pseudo-inverse


@lapack("pinv", "Are all entries finite?")
def _pinv(x: Any, rcond: Any = None) -> Any:
    matrices("pinv", x)
    if not np.all(np.isfinite(x)):
        raise np.linalg.LinAlgError("an entry is not finite")
    return np.linalg.pinv(x, rcond)


def _of_full_rank(x: Any, rcond: Any) -> None:
    rank = np.linalg.matrix_rank(plain(x), rtol=rcond)
    if np.any(rank < min(shape_of(x)[-2:])):
        raise Degenerate(
            f"pinv of a matrix of shape {tuple(shape_of(x))} and rank {np.min(rank)}: the pseudo-inverse jumps where the rank does, "
            "so it has no derivative here"
        )


def _pinv_vjp(i: int, g: Any, z: Any, x: Any, rcond: Any = None) -> Any:
    _of_full_rank(x, rcond)
    zt, gt = turned(z), turned(g)
    found = -matmul(matmul(zt, g), zt)
    if shape_of(x)[-2] > shape_of(x)[-1]:
        u = matmul(gt, matmul(z, zt))
        return found + u - matmul(x, matmul(z, u))
    if shape_of(x)[-2] < shape_of(x)[-1]:
        u = matmul(matmul(zt, z), gt)
        return found + u - matmul(matmul(u, z), x)
    return found


def _pinv_jvp(ts: Sequence[Any], z: Any, x: Any, rcond: Any = None) -> Any:
    _of_full_rank(x, rcond)
    zt, tt = turned(z), turned(ts[0])
    found = -matmul(matmul(z, ts[0]), z)
    if shape_of(x)[-2] > shape_of(x)[-1]:
        u = matmul(matmul(z, zt), tt)
        return found + u - matmul(matmul(u, x), z)
    if shape_of(x)[-2] < shape_of(x)[-1]:
        u = matmul(tt, matmul(zt, z))
        return found + u - matmul(z, matmul(x, u))
    return found


# Golub and Pereyra, The differentiation of pseudo-inverses, SIAM Journal on Numerical Analysis 10 (1973),
# pp. 413-432; at full rank one of the two projections of their formula is zero.
pinv = general("pinv", _pinv, _pinv_vjp, _pinv_jvp, numpy=(np.linalg.pinv,), sample=_sample_any, analytic=False)
