"""Entries of the table: the elementary functions beside those of pointwise.py, the error function, bounds and steps.

Where a derivative would overflow, cancel or be nan in its textbook form, the entry is written so that it does
not: 1 - x² as (1 - x)(1 + x), x² + y² by hypot, and 0 where there is no derivative at all (hypot and arctan2 at
the origin, as PyTorch takes it for the norm).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .pointwise import exp, log, maximum, minimum, sigmoid, softplus, sqrt, where
from .table import Op, composed, elementwise, general

LN2, LN10 = math.log(2.0), math.log(10.0)

# ---------------------------------------------------------------- logarithms, powers, roots

log2: Op = elementwise(
    "log2",
    np.log2,
    lambda z, x: 1 / (x * LN2),
    domain=(0.2, 3.0),
    numpy=(np.log2,),
    scalar="log2({0})",
    index=lambda x: log(x) * (1 / LN2),
    latex=r"\log_2\left({0}\right)",
)
log10: Op = elementwise(
    "log10",
    np.log10,
    lambda z, x: 1 / (x * LN10),
    domain=(0.2, 3.0),
    numpy=(np.log10,),
    scalar="log10({0})",
    index=lambda x: log(x) * (1 / LN10),
    latex=r"\log_{{10}}\left({0}\right)",
)
exp2: Op = elementwise(
    "exp2", np.exp2, lambda z, x: z * LN2, numpy=(np.exp2,), symbol="2^x", scalar="2.0 ** {0}", index=lambda x: exp(x * LN2)
)
cbrt: Op = elementwise(
    "cbrt",
    np.cbrt,
    lambda z, x: 1 / (3 * (z * z)),
    domain=(0.2, 3.0),
    numpy=(np.cbrt,),
    symbol="∛",
    analytic=False,
    monotone=True,
    scalar="cbrt({0})",
    latex=r"\sqrt[3]{{{0}}}",
)
hypot: Op = elementwise(
    "hypot",
    np.hypot,
    lambda z, x, y: _over(x, z),
    lambda z, x, y: _over(y, z),
    domain=(0.5, 2.0),
    numpy=(np.hypot,),
    analytic=False,
    scalar="hypot({0}, {1})",
    index=lambda x, y: sqrt(x * x + y * y),
)


def _over(u: Any, r: Any) -> Any:
    """u / r, and 0 with all its derivatives where r is 0."""
    return where(r == 0, 0.0, u) / where(r == 0, 1.0, r)


def _share(scale: float) -> Callable[..., Any]:
    """The part of exp(x) in exp(x) + exp(y), to the base exp(scale); of two equal infinities it is half."""
    return lambda z, x, y: sigmoid(nan_to_num(x - y) * scale)


def _other(share: Callable[..., Any]) -> Callable[..., Any]:
    return lambda z, x, y: share(z, y, x)


logaddexp: Op = elementwise(
    "logaddexp",
    np.logaddexp,
    _share(1.0),
    _other(_share(1.0)),
    numpy=(np.logaddexp,),
    analytic=False,
    monotone=True,
    scalar="{0} + log(2.0) if {0} == {1} else max({0}, {1}) + log1p(exp(-fabs({0} - {1})))",
    index=lambda x, y: y + softplus(x - y),  # which no exponential overflows
)
logaddexp2: Op = elementwise(
    "logaddexp2",
    np.logaddexp2,
    _share(LN2),
    _other(_share(LN2)),
    numpy=(np.logaddexp2,),
    analytic=False,
    monotone=True,
    scalar="{0} + 1.0 if {0} == {1} else max({0}, {1}) + log1p(2.0 ** -fabs({0} - {1})) / log(2.0)",
    index=lambda x, y: y + softplus((x - y) * LN2) * (1 / LN2),
)

# ---------------------------------------------------------------- angles

tan: Op = elementwise(
    "tan",
    np.tan,
    lambda z, x: 1 + z * z,
    domain=(-1.2, 1.2),
    numpy=(np.tan,),
    monotone=True,
    scalar="tan({0})",
    latex=r"\tan\left({0}\right)",
)
arcsin: Op = elementwise(
    "arcsin",
    np.arcsin,
    lambda z, x: 1 / sqrt((1 - x) * (1 + x)),
    domain=(-0.9, 0.9),
    numpy=(np.arcsin,),
    monotone=True,
    scalar="asin({0})",
    latex=r"\arcsin\left({0}\right)",
)
arccos: Op = elementwise(
    "arccos",
    np.arccos,
    lambda z, x: -1 / sqrt((1 - x) * (1 + x)),
    domain=(-0.9, 0.9),
    numpy=(np.arccos,),
    scalar="acos({0})",
    latex=r"\arccos\left({0}\right)",
)
arctan: Op = elementwise(
    "arctan",
    np.arctan,
    lambda z, x: 1 / hypot(x, 1.0) / hypot(x, 1.0),
    numpy=(np.arctan,),
    monotone=True,
    scalar="atan({0})",
    latex=r"\arctan\left({0}\right)",
)
arctan2: Op = elementwise(
    "arctan2",
    np.arctan2,
    lambda z, y, x: _over_squares(x, y, x),
    lambda z, y, x: -_over_squares(y, y, x),
    domain=(0.5, 2.0),
    numpy=(np.arctan2,),
    analytic=False,
    scalar="atan2({0}, {1})",
)


def _over_squares(u: Any, y: Any, x: Any) -> Any:
    """u / (x² + y²), and 0 at the origin."""
    r = hypot(x, y)
    return _over(_over(u, r), r)


deg2rad: Op = elementwise(
    "deg2rad", np.deg2rad, math.pi / 180, numpy=(np.deg2rad, np.radians), analytic=False, monotone=True, scalar="{0} * (pi / 180)"
)
rad2deg: Op = elementwise(
    "rad2deg", np.rad2deg, 180 / math.pi, numpy=(np.rad2deg, np.degrees), analytic=False, monotone=True, scalar="{0} * (180 / pi)"
)

# ---------------------------------------------------------------- hyperbolic functions

sinh: Op = elementwise(
    "sinh", np.sinh, lambda z, x: cosh(x), numpy=(np.sinh,), monotone=True, scalar="sinh({0})", latex=r"\sinh\left({0}\right)"
)
cosh: Op = elementwise("cosh", np.cosh, lambda z, x: sinh(x), numpy=(np.cosh,), scalar="cosh({0})", latex=r"\cosh\left({0}\right)")
arcsinh: Op = elementwise("arcsinh", np.arcsinh, lambda z, x: 1 / hypot(x, 1.0), numpy=(np.arcsinh,), monotone=True, scalar="asinh({0})")
arccosh: Op = elementwise(
    "arccosh",
    np.arccosh,
    lambda z, x: 1 / (sqrt(x - 1) * sqrt(x + 1)),
    domain=(1.2, 3.0),
    numpy=(np.arccosh,),
    monotone=True,
    scalar="acosh({0})",
)
arctanh: Op = elementwise(
    "arctanh",
    np.arctanh,
    lambda z, x: 1 / ((1 - x) * (1 + x)),
    domain=(-0.9, 0.9),
    numpy=(np.arctanh,),
    monotone=True,
    scalar="atanh({0})",
)

# ---------------------------------------------------------------- the error function


def _by_entry(f: Callable[[float], float]) -> Callable[[Any], Any]:
    """A function of math on arrays: the C library's accuracy (under 1 ulp), at some 50 ns an entry."""

    def forward(x: Any) -> Any:
        x = np.asarray(x)
        z = np.fromiter(map(f, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)
        return z.astype(x.dtype) if x.dtype.kind == "f" else z

    return forward


_PHI = 1 / math.sqrt(2 * math.pi)  # the normal density at 0
_erf, _erfc = _by_entry(math.erf), _by_entry(math.erfc)
_OF_MATH = "np.vectorize(__import__('math').{}, otypes=[float])"

erf: Op = elementwise(
    "erf",
    _erf,
    lambda z, x: (2 / math.sqrt(math.pi)) * exp(-x * x),
    analytic=False,
    monotone=True,
    scalar="erf({0})",
    source=_OF_MATH.format("erf") + "(x)",
)
erfc: Op = elementwise(
    "erfc",
    _erfc,
    lambda z, x: (-2 / math.sqrt(math.pi)) * exp(-x * x),
    analytic=False,
    scalar="erfc({0})",
    source=_OF_MATH.format("erfc") + "(x)",
)
# Hendrycks and Gimpel, Gaussian error linear units (2016), arXiv:1606.08415, section 2: x times the normal
# distribution; by erfc, so that it does not cancel far below 0.
gelu: Op = elementwise(
    "gelu",
    lambda x: x * (0.5 * _erfc(x * -math.sqrt(0.5))),
    lambda z, x: 0.5 * erfc(x * -math.sqrt(0.5)) + _PHI * x * exp(-0.5 * x * x),
    analytic=False,
    scalar="{0} * (0.5 * erfc({0} * -sqrt(0.5)))",
    source="x * 0.5 * " + _OF_MATH.format("erfc") + "(-x / np.sqrt(2))",
    latex=r"\mathrm{{gelu}}\left({0}\right)",
)

# ---------------------------------------------------------------- sinc


def _sinc(x: Any, n: int = 0) -> Any:
    """The derivative of order n of sin(πx)/(πx).

    For f(u) = sin(u)/u, differentiating u f = sin u gives u f⁽ⁿ⁾ + n f⁽ⁿ⁻¹⁾ = sin(u + nπ/2), which is stable where
    |u| > n; below, the power series of f is summed.
    """
    if n < 0:
        raise ValueError("the order of a derivative is not negative")
    if n == 0:
        return np.sinc(x)
    u = np.pi * np.asarray(x, np.float64)
    small = np.abs(u) <= n
    v = np.where(small, 1.0, u)
    f = np.sin(v) / v
    for k in range(1, n + 1):
        f = (np.sin(v + k * (np.pi / 2)) - k * f) / v
    first = (n + 1) // 2
    series = sum(
        (-1) ** k * np.where(small, u, 0.0) ** (2 * k - n) / ((2 * k + 1) * math.factorial(2 * k - n))
        for k in range(first, first + 12 + 2 * n)
    )
    return (np.pi**n * np.where(small, series, f)).astype(getattr(x, "dtype", np.float64))


def _sinc_moved(t: Any, x: Any, n: int) -> Any:
    return t * sinc(x, n=n + 1)


sinc: Op = general(
    "sinc",
    _sinc,
    lambda i, g, z, x, n=0: _sinc_moved(g, x, n),
    lambda ts, z, x, n=0: _sinc_moved(ts[0], x, n),
    numpy=(np.sinc,),
    analytic=False,
    sample=lambda rng: [((rng.uniform(-2, 2, (3, 4)),), {}), ((np.array([0.0, 1.0, -0.01, 1e-9]),), {}), ((rng.normal(size=()),), {})],
)

# ---------------------------------------------------------------- bounds, steps and remainders


def _bounded(x: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


def _bounded_form(x: Any, low: Any, high: Any) -> Any:
    if isinstance(low, float | int) and isinstance(high, float | int) and low <= high:  # then neither hides the other
        return where(x < low, low, where(x > high, high, x))
    return minimum(maximum(x, low), high)


# On a bound the derivative belongs to x, as in PyTorch's clamp.  Where the bounds cross, NumPy gives the upper one.
_between: Op = elementwise(
    "clip",
    _bounded,
    lambda z, x, low, high: (low <= x) & (x <= high),
    lambda z, x, low, high: (x < low) & (low <= high),
    lambda z, x, low, high: 1 - (low <= high) * (x <= high),
    analytic=False,
    monotone=True,
    sample=lambda rng: [
        ((rng.normal(size=(3, 4)), rng.uniform(-0.6, -0.3, (3, 4)), rng.uniform(0.3, 0.6, (3, 4))), {}),
        ((rng.normal(size=(3, 4)), np.float64(-0.5), rng.uniform(0.3, 0.6, 4)), {}),
        ((rng.normal(size=5), rng.normal(size=(3, 1)), rng.normal(size=())), {}),
    ],
    index=_bounded_form,
)


@composed(np.clip, sample=lambda rng: [((rng.normal(size=(3, 4)),), {"a_min": -0.5, "a_max": 0.5}), ((rng.normal(size=4),), {"max": 0.3})])
def clip(x: Any, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None) -> Any:
    """`x`, but the bounds where it lies outside of them; None is no bound."""
    low, high = a_min if min is None else min, a_max if max is None else max
    return _between(x, -math.inf if low is None else low, math.inf if high is None else high)


fmax: Op = elementwise(
    "fmax",
    np.fmax,
    lambda z, x, y: (1 - (y > x)) * (x == x) - 0.5 * (x == y),
    lambda z, x, y: (1 - (x > y)) * (y == y) - 0.5 * (x == y),
    numpy=(np.fmax,),
    analytic=False,
    monotone=True,
    scalar="{0} if {0} > {1} or {1} != {1} else {1}",
)
fmin: Op = elementwise(
    "fmin",
    np.fmin,
    lambda z, x, y: (1 - (y < x)) * (x == x) - 0.5 * (x == y),
    lambda z, x, y: (1 - (x < y)) * (y == y) - 0.5 * (x == y),
    numpy=(np.fmin,),
    analytic=False,
    monotone=True,
    scalar="{0} if {0} < {1} or {1} != {1} else {1}",
)
nan_to_num: Op = elementwise(
    "nan_to_num",
    lambda x: np.nan_to_num(x),
    lambda z, x: np.isfinite(x),
    numpy=(np.nan_to_num,),
    analytic=False,
    monotone=True,
    index=lambda x: x,  # of what is finite, as all that formulas speak of
    scalar="0.0 if {0} != {0} else fmax_ if {0} > fmax_ else -fmax_ if {0} < -fmax_ else {0}".replace(
        "fmax_", repr(np.finfo(float).max.item())
    ),
)
# The remainder has the sign of y, as Python's % has; (z - x) / y is the whole number of times y was taken off.
mod: Op = elementwise(
    "mod",
    np.remainder,
    1,
    lambda z, x, y: (z - x) / y,
    domain=(0.5, 2.0),
    numpy=(np.remainder,),
    analytic=False,
    scalar="{0} % {1}",
)
# Between their jumps these rest: the derivative is zero by structure.
floor: Op = elementwise("floor", np.floor, None, domain=(1.2, 1.8), numpy=(np.floor,), analytic=False, scalar="float(floor({0}))")
ceil: Op = elementwise("ceil", np.ceil, None, domain=(1.2, 1.8), numpy=(np.ceil,), analytic=False, scalar="float(ceil({0}))")
trunc: Op = elementwise("trunc", np.trunc, None, domain=(1.2, 1.8), numpy=(np.trunc, np.fix), analytic=False, scalar="float(trunc({0}))")
rint: Op = elementwise("rint", np.rint, None, domain=(1.2, 1.4), numpy=(np.rint,), analytic=False, scalar="float(round({0}))")
