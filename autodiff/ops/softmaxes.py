"""Entries of the table: softmax and its logarithms, shifted by the maximum and so safe up to 1e300."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeMismatch
from .pointwise import exp, log, where
from .reductions import Axis, restore, sample_axes
from .reductions import max as max_
from .reductions import sum as sum_
from .table import Case, WrongRule, floats, general, shape_of


def _axis(name: str, x: Any, axis: int | None) -> int:
    shape = shape_of(x)
    if axis is None:
        if len(shape) != 1:
            raise ShapeMismatch(
                f"{name} of shape {shape}: over which axis? Write axis=0 if each column is one example, axis=-1 if each row is one."
            )
        axis = 0
    if not -len(shape) <= axis < len(shape):
        raise ShapeMismatch(f"{name} of shape {shape} has no axis {axis}")
    if shape[axis] == 1:
        raise ShapeMismatch(
            f"{name} over axis {axis} of shape {shape}: that axis has length 1, so the result is always "
            f"{'1' if name == 'softmax' else '0'}, whatever the operand. Did you mean another axis?"
        )
    return axis


_top: Any = np.maximum.reduce  # (x, axis, dtype, out, keepdims, initial)
_least: Any = np.minimum.reduce


def _softmax(x: Any, axis: int | None = None) -> Any:
    x, axis = floats(x), _axis("softmax", x, axis)
    e = np.exp(x - _top(x, axis, None, None, True))
    return e / sum_.forward(e, axis, True)


def _log_softmax(x: Any, axis: int | None = None) -> Any:
    x, axis = floats(x), _axis("log_softmax", x, axis)
    top = _top(x, axis, None, None, True)
    shifted = x - top
    e = np.exp(shifted)
    total = sum_.forward(e, axis, True)
    if _least(total, None, None, None, False, 2.0) > 1.5:
        return shifted - np.log(total)
    largest = x == top  # beside the 1 of the largest entry, small ones lose the digits that the logarithm is made of
    rest = sum_.forward(e - largest, axis, True) + (np.add.reduce(largest, axis, total.dtype, keepdims=True) - 1)
    return shifted - np.log1p(rest)


@np.errstate(divide="ignore")  # the logarithm of 0, where every entry is -inf, is the right -inf
def _logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    x = floats(x)
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0).astype(top.dtype)  # inf - inf would be nan; exp(-inf) is 0
    z = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return z if keepdims else np.squeeze(z, axis=axis)


def _along(axis: int | None) -> int:
    return 0 if axis is None else axis


def _softmax_derivative(t: Any, z: Any, axis: int | None) -> Any:
    # The Jacobian diag(z) - z z^T is symmetric, so both modes are this one product.
    return z * (t - sum_(t * z, axis=_along(axis), keepdims=True))


def _log_softmax_vjp(i: int, g: Any, z: Any, x: Any, axis: int | None = None) -> Any:
    return g - np.exp(z) * sum_(g, axis=_along(axis), keepdims=True)


def _log_softmax_jvp(ts: Sequence[Any], z: Any, x: Any, axis: int | None = None) -> Any:
    return ts[0] - sum_(exp(z) * ts[0], axis=_along(axis), keepdims=True)


def _weights(x: Any, axis: Axis) -> Any:
    # Not exp(x - z): at 1e300 the logarithm that z adds to the maximum is lost to rounding.
    top = max_(x, axis=axis, keepdims=True)
    e = exp(x - where(np.isfinite(top), top, 0.0))
    return e / sum_(e, axis=axis, keepdims=True)


def _logsumexp_vjp(i: int, g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return restore(g, shape_of(x), axis) * _weights(x, axis)


def _logsumexp_jvp(ts: Sequence[Any], z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return sum_(ts[0] * _weights(x, axis), axis=axis, keepdims=keepdims)


def _sample(rng: np.random.Generator) -> list[Case]:
    return [((rng.normal(size=4),), {}), ((rng.normal(size=(3, 4)),), {"axis": 0}), ((rng.normal(size=(2, 3, 4)),), {"axis": -1})]


softmax = general(
    "softmax",
    _softmax,
    lambda i, g, z, x, axis=None: _softmax_derivative(g, z, axis),
    lambda ts, z, x, axis=None: _softmax_derivative(ts[0], z, axis),
    sample=_sample,
    analytic=False,
    index=lambda x, axis=None: exp(x) / sum_(exp(x), axis=_along(axis), keepdims=True),
    source="e = np.exp(x - np.max(x, axis=axis, keepdims=True))\ne / np.sum(e, axis=axis, keepdims=True)",
    mistakes=(
        WrongRule(
            "softmax_diagonal",
            "only the diagonal of softmax's Jacobian was used; the off-diagonal terms -y_k y_i are missing",
            lambda g, z, x, axis=None: g * z * (1 - z),
        ),
        WrongRule("softmax_ignored", "softmax's Jacobian was left out, going back from {z} to {x}", lambda g, z, x, axis=None: g),
        WrongRule("softmax_diagonal", "of softmax's Jacobian diag(y) - y y^T only diag(y) was used", lambda g, z, x, axis=None: g * z),
        WrongRule(
            "softmax_diagonal",
            "of softmax's Jacobian diag(y) - y y^T only -y y^T was used",
            lambda g, z, x, axis=None: -z * sum_(g * z, axis=_along(axis), keepdims=True),
        ),
        WrongRule(
            "sign",
            "softmax's Jacobian is diag(y) - y y^T, not diag(y) + y y^T",
            lambda g, z, x, axis=None: z * (g + sum_(g * z, axis=_along(axis), keepdims=True)),
        ),
        WrongRule("derivative_wrong", "tanh's derivative 1 - {z}^2 was used for softmax", lambda g, z, x, axis=None: g * (1 - z * z)),
        WrongRule("zero", "the rows of softmax's Jacobian were summed, which gives 0", lambda g, z, x, axis=None: 0 * g),
    ),
)
log_softmax = general(
    "log_softmax",
    _log_softmax,
    _log_softmax_vjp,
    _log_softmax_jvp,
    sample=_sample,
    analytic=False,
    index=lambda x, axis=None: x - log(sum_(exp(x), axis=_along(axis), keepdims=True)),
    mistakes=(
        WrongRule("forgotten_term", "of log_softmax' = I - 1 y^T only I was used", lambda g, z, x, axis=None: g),
        WrongRule(
            "softmax_diagonal",
            "only the diagonal of log_softmax's Jacobian was used; the off-diagonal terms -y_i are missing",
            lambda g, z, x, axis=None: g * (1 - exp(z)),
        ),
    ),
)
logsumexp = general(
    "logsumexp",
    _logsumexp,
    _logsumexp_vjp,
    _logsumexp_jvp,
    sample=sample_axes,
    analytic=False,
    monotone=True,
    index=lambda x, axis=None, keepdims=False: log(sum_(exp(x), axis=axis, keepdims=keepdims)),
    source="top = np.max(x, axis=axis, keepdims=True)\n"
    "z = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top\nz if keepdims else np.squeeze(z, axis=axis)",
    mistakes=(
        WrongRule(
            "derivative_missing",
            "the derivative of logsumexp, softmax({x}), was left out",
            lambda g, z, x, axis=None, keepdims=False: restore(g, shape_of(x), axis) * np.ones(shape_of(x)),
        ),
        WrongRule(
            "derivative_wrong",
            "exp({x}) was used for the derivative of logsumexp, softmax({x}): it is not normalised",
            lambda g, z, x, axis=None, keepdims=False: restore(g, shape_of(x), axis) * exp(x),
        ),
    ),
)
