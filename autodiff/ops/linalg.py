"""Entries of the table: traces, diagonals, norms, inverses and determinants of matrices.

The rules are those of Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation, in Advances in Automatic Differentiation (Springer 2008), pp. 35-44.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import NoRule, ShapeMismatch
from .pointwise import exp, sqrt, where
from .products import matmul, outer
from .reductions import Axis, restore
from .reductions import sum as sum_
from .shapes import transpose
from .table import Case, Op, WrongRule, add_up, general, linear, shape_of


def _square(name: str, x: Any) -> int:
    shape = shape_of(x)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeMismatch(f"{name} of shape {tuple(shape)}: the operand must be one square matrix")
    return int(shape[0])


def _sampler(*calls: Any) -> Any:
    def sample(rng: np.random.Generator) -> list[Case]:
        return [(tuple(rng.normal(size=shape) for shape in shapes), kw) for shapes, kw in calls]

    return sample


# ---------------------------------------------------------------- traces and diagonals


def _trace(x: Any) -> Any:
    _square("trace", x)
    return np.trace(x)


def _diag(x: Any) -> Any:
    if len(shape_of(x)) == 2:
        _square("diag", x)
    elif len(shape_of(x)) != 1:
        raise ShapeMismatch(f"diag of shape {shape_of(x)}: the operand is a vector, whose diagonal matrix is made, or a square matrix")
    return np.diag(x)


trace = linear(
    "trace",
    _trace,
    lambda i, g, x: g * np.eye(_square("trace", x)),
    numpy=(np.trace,),
    symbol="tr",
    sample=_sampler((((3, 3),), {})),
    index=lambda x: "ii->",
    latex=r"\mathrm{{tr}}\left({0}\right)",
)
diag: Op = linear(
    "diag",
    _diag,
    lambda i, g, x: diag(g),
    numpy=(np.diag, np.diagonal),
    sample=_sampler((((3,),), {}), (((3, 3),), {})),
    index=lambda x: "i->ii" if len(shape_of(x)) == 1 else "ii->i",
    latex=r"\mathrm{{diag}}\left({0}\right)",
)

# ---------------------------------------------------------------- norms


def _norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    if not (ord is None or (ord == "fro" and len(shape_of(x)) == 2) or (ord == 2 and (len(shape_of(x)) == 1 or isinstance(axis, int)))):
        raise NoRule(f"norm has a rule for the Euclidean norm, of all entries or along an axis, not for ord={ord!r} of shape {shape_of(x)}")
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


def _norm_direction(z: Any, x: Any, axis: Axis) -> Any:
    z = restore(z, shape_of(x), axis)
    return x / where(z == 0, 1.0, z)  # at 0, where there is no derivative, it is taken to be 0, as in PyTorch


def _norm_vjp(i: int, g: Any, z: Any, x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    return restore(g, shape_of(x), axis) * _norm_direction(z, x, axis)


def _norm_jvp(ts: Sequence[Any], z: Any, x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    return sum_(ts[0] * _norm_direction(z, x, axis), axis=axis, keepdims=keepdims)


norm = general(
    "norm",
    _norm,
    _norm_vjp,
    _norm_jvp,
    numpy=(np.linalg.norm,),
    symbol="‖x‖",
    sample=_sampler((((3,),), {}), (((3, 4),), {}), (((3, 4),), {"axis": 1, "keepdims": True}), (((3, 4),), {"ord": 2, "axis": 0})),
    index=lambda x, ord=None, axis=None, keepdims=False: sqrt(sum_(x * x, axis=axis, keepdims=keepdims)),
    latex=r"\left\lVert {0} \right\rVert",
    mistakes=(
        WrongRule(
            "derivative_wrong",
            "the derivative of the norm is {x}/{z}: the division by {z} is missing",
            lambda g, z, x, ord=None, axis=None, keepdims=False: restore(g, shape_of(x), axis) * x,
        ),
        WrongRule(
            "derivative_wrong",
            "the derivative of the squared norm, 2{x}, was used for the norm",
            lambda g, z, x, ord=None, axis=None, keepdims=False: restore(g, shape_of(x), axis) * 2 * x,
        ),
    ),
)

# ---------------------------------------------------------------- inverses and determinants


def _inv(x: Any) -> Any:
    _square("inv", x)
    return np.linalg.inv(x)


def _solve(x: Any, y: Any) -> Any:
    _square("solve", x)
    if len(shape_of(y)) not in (1, 2):
        raise ShapeMismatch(f"solve with a right-hand side of shape {shape_of(y)}: it must be a vector or a matrix")
    return np.linalg.solve(x, y)


def _solve_vjp(i: int, g: Any, z: Any, x: Any, y: Any) -> Any:
    h = solve(transpose(x), g)
    if i == 1:
        return h
    return -outer(h, z) if len(shape_of(y)) == 1 else -matmul(h, transpose(z))


def _solve_jvp(ts: Sequence[Any], z: Any, x: Any, y: Any) -> Any:
    moved = add_up((None if ts[0] is None else -matmul(ts[0], z), ts[1]))
    return solve(x, moved)


def _logdet(x: Any) -> Any:
    _square("logdet", x)
    return np.linalg.slogdet(x)[1]


def _sample_square(*others: tuple[int, ...]) -> Any:
    def sample(rng: np.random.Generator) -> list[Case]:
        return [((np.eye(3) * 4 + rng.normal(size=(3, 3)), *extra), {}) for extra in ([rng.normal(size=s)] for s in others)]

    return sample


def _sample_matrix(rng: np.random.Generator) -> list[Case]:
    return [((np.eye(3) * 4 + rng.normal(size=(3, 3)),), {})]


inv = general(
    "inv",
    _inv,
    lambda i, g, z, x: -matmul(matmul(transpose(z), g), transpose(z)),
    lambda ts, z, x: -matmul(matmul(z, ts[0]), z),
    numpy=(np.linalg.inv,),
    symbol="x⁻¹",
    sample=_sample_matrix,
    index="ij->ij",
    mistakes=(
        WrongRule("sign", "the minus in the derivative of inv({x}) is missing", lambda g, z, x: z.T @ g @ z.T),
        WrongRule("transposed", "both inverses in the derivative of inv({x}) must be transposed", lambda g, z, x: -z @ g @ z),
        WrongRule(
            "derivative_wrong", "of the two inverses in the derivative of inv({x}) the right one is missing", lambda g, z, x: -z.T @ g
        ),
        WrongRule(
            "derivative_wrong", "of the two inverses in the derivative of inv({x}) the left one is missing", lambda g, z, x: -g @ z.T
        ),
    ),
)
solve = general(
    "solve",
    _solve,
    _solve_vjp,
    _solve_jvp,
    arity=2,
    numpy=(np.linalg.solve,),
    symbol="x⁻¹y",
    sample=_sample_square((3,), (3, 2)),
    index=lambda x, y: matmul(inv(x), y),
)
# The logarithm of the determinant's size: its sign is lost, and its derivative is the same for both.
logdet = general(
    "logdet",
    _logdet,
    lambda i, g, z, x: g * transpose(inv(x)),
    lambda ts, z, x: trace(matmul(inv(x), ts[0])),
    symbol="log|x|",
    sample=_sample_matrix,
    analytic=False,
    index="ij->",
    latex=r"\log\left|\det {0}\right|",
    source="np.linalg.slogdet(x)[1]",
    mistakes=(
        WrongRule("transposed", "the derivative of log det {x} is the transpose of inv({x})", lambda g, z, x: g * inv(x)),
        WrongRule("derivative_wrong", "{x} was taken for the derivative of log det {x}, inv({x}).T", lambda g, z, x: g * x),
        WrongRule("derivative_wrong", "the derivative of det {x} was used for that of log det {x}", lambda g, z, x: g * exp(z) * inv(x).T),
    ),
)
