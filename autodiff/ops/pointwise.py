"""Entries of the table: what works entry by entry, from + to softplus.

`scalar` is the op on Python floats; the operators of Value are generated from it.  Where Python
raises and IEEE arithmetic does not (1.0 / 0.0, exp(1000.0)), Value falls back on `forward`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .table import Op, WrongRule, add_up, elementwise, floats, general, linear, shape_of, sum_to

# ---------------------------------------------------------------- arithmetic


def _pow(x: Any, y: Any) -> Any:
    # ndarray's ** has fast paths for small powers that np.power lacks; Python's ** would go complex.
    return x**y if isinstance(x, np.ndarray) else np.power(x, y)


def _reciprocal(x: Any) -> Any:
    try:
        return 1 / x
    except ZeroDivisionError:  # of a Python number, where NumPy would give inf
        return math.copysign(math.inf, x)


add: Op = elementwise("add", np.add, 1, 1, numpy=(np.add,), symbol="+", scalar="{0} + {1}")
sub: Op = elementwise("sub", np.subtract, 1, -1, numpy=(np.subtract,), symbol="−", scalar="{0} - {1}", index=lambda x, y: x + -1 * y)
mul: Op = elementwise(
    "mul",
    np.multiply,
    lambda z, x, y: y,
    lambda z, x, y: x,
    numpy=(np.multiply,),
    symbol="×",
    scalar="{0} * {1}",
    mistakes=(
        WrongRule("derivative_wrong", "product rule: {x} itself was taken for its partner in the product", lambda z, x, y: x),
        WrongRule("derivative_wrong", "product rule: {x} itself was taken for its partner in the product", lambda z, x, y: y, 1),
    ),
)
div: Op = elementwise(
    "div",
    np.divide,
    lambda z, x, y: reciprocal(y),
    lambda z, x, y: -z / y,
    domain=(0.5, 2.0),
    numpy=(np.divide,),
    symbol="÷",
    scalar="{0} / {1}",
    index=lambda x, y: x * y**-1,
    mistakes=(
        WrongRule("derivative_wrong", "quotient rule: the square of the denominator {x} is missing", lambda z, x, y: -x / y, 1),
        WrongRule("derivative_wrong", "quotient rule: the numerator is missing before {x}^-2", lambda z, x, y: -1 / (y * y), 1),
        WrongRule("derivative_wrong", "quotient rule: the numerator was multiplied by the denominator", lambda z, x, y: y),
    ),
)
reciprocal: Op = elementwise(
    "reciprocal",
    _reciprocal,
    lambda z, x: -z * z,
    domain=(0.5, 2.0),
    numpy=(np.reciprocal,),
    symbol="1/x",
    scalar="1 / {0}",
    index=lambda x: x**-1,
    mistakes=(WrongRule("derivative_wrong", "the derivative of 1/{x} is -1/{x}^2: the square is missing", lambda z, x: -z),),
)
# The two `where`s: the derivative of x**0 at 0 is 0, not 0 * 0**-1; that of 0**y in y is 0, not 0 * log(0).
# Both replace x, never y: the next derivative, in y, must still see y.
pow: Op = elementwise(
    "pow",
    _pow,
    lambda z, x, y: y * where((y == 0) & (x == 0), 1.0, x) ** (y - 1),
    lambda z, x, y: z * log(where((x == 0) & (y >= 0), 1.0, x)),
    domain=(0.5, 2.0),
    numpy=(np.power, np.float_power),
    symbol="^",
    scalar="power({0}, {1})",
    index=lambda x, y: exp(y * log(x)),  # for an exponent that is no plain number
    mistakes=(
        WrongRule("derivative_wrong", "power rule: of {z} the exponent in front is missing", lambda z, x, y: x ** (y - 1)),
        WrongRule("derivative_wrong", "power rule: of {z} the exponent was not lowered", lambda z, x, y: y * z),
        WrongRule("derivative_wrong", "power rule: of {z} the exponent was raised, as in an integral", lambda z, x, y: x * z / (y + 1)),
    ),
)
neg: Op = elementwise("neg", np.negative, -1, numpy=(np.negative,), symbol="−", scalar="-{0}", index=lambda x: -1 * x)
identity: Op = elementwise(
    "identity",
    np.positive,
    1,
    numpy=(np.positive, np.copy, np.real, np.real_if_close, np.conjugate),
    symbol="=",
    scalar="{0}",
    index=lambda x: x,
)
square: Op = elementwise(
    "square",
    np.square,
    lambda z, x: 2 * x,
    numpy=(np.square,),
    symbol="x²",
    scalar="{0} * {0}",
    index=lambda x: x**2,
    mistakes=(
        WrongRule("derivative_wrong", "power rule: of {z} the factor 2 is missing", lambda z, x: x),
        WrongRule("derivative_wrong", "power rule: of {z} the exponent was not lowered", lambda z, x: 2 * z),
    ),
)
sqrt: Op = elementwise(
    "sqrt",
    np.sqrt,
    lambda z, x: 0.5 / z,
    domain=(0.2, 3.0),
    numpy=(np.sqrt,),
    symbol="√",
    scalar="sqrt({0})",
    index=lambda x: x**0.5,
    mistakes=(
        WrongRule("derivative_wrong", "the derivative of a root is 1/(2{z}): the 1/2 is missing", lambda z, x: 1 / z),
        WrongRule("derivative_wrong", "the exponent of {x} was not lowered: the derivative of a root is 1/(2{z})", lambda z, x: 0.5 * z),
    ),
)
sign: Op = elementwise(
    "sign", np.sign, None, numpy=(np.sign,), analytic=False, scalar="{0} if {0} != {0} else float(({0} > 0) - ({0} < 0))"
)
abs: Op = elementwise(
    "abs",
    np.abs,
    lambda z, x: sign(x),
    numpy=(np.abs, np.fabs),
    symbol="|x|",
    analytic=False,
    scalar="fabs({0})",
    latex=r"\left|{0}\right|",
)

# ---------------------------------------------------------------- exponentials and friends


@np.errstate(over="ignore")  # exp(-x) = inf for x < -709 gives the right 0
def _sigmoid(x: Any) -> Any:
    x = floats(x)
    if not (isinstance(x, np.ndarray) and x.ndim):
        return 1 / (1 + np.exp(-x))
    z = np.negative(x)  # one buffer for all four steps: at the size of a layer, memory is what takes the time
    np.exp(z, z)
    np.add(z, _ONE.get(z.dtype.char, 1), z)
    return np.reciprocal(z, z)


_ONE = {"d": np.array(1.0), "f": np.array(1.0, np.float32)}  # a ufunc takes longer to make an array of a plain number


exp: Op = elementwise(
    "exp",
    np.exp,
    lambda z, x: z,
    numpy=(np.exp,),
    scalar="exp({0})",
    latex=r"\exp\left({0}\right)",
    mistakes=(WrongRule("derivative_wrong", "the power rule was used for exp: {x} exp({x} - 1)", lambda z, x: x * exp(x - 1)),),
)
log: Op = elementwise(
    "log",
    np.log,
    lambda z, x: 1 / x,
    domain=(0.2, 3.0),
    numpy=(np.log,),
    scalar="log({0})",
    latex=r"\log\left({0}\right)",
    mistakes=(
        WrongRule("derivative_wrong", "log({x}) was kept where its derivative 1/{x} belongs", lambda z, x: z),
        WrongRule("derivative_wrong", "the logarithm was taken to base 2: a factor ln 2", lambda z, x: 1 / (math.log(2) * x)),
        WrongRule("derivative_wrong", "the logarithm was taken to base 10: a factor ln 10", lambda z, x: 1 / (math.log(10) * x)),
        WrongRule("derivative_wrong", "log' was taken as 1/{x}^2", lambda z, x: 1 / (x * x)),
    ),
)
log1p: Op = elementwise(
    "log1p",
    np.log1p,
    lambda z, x: 1 / (1 + x),
    domain=(-0.5, 3.0),
    numpy=(np.log1p,),
    scalar="log1p({0})",
)
expm1: Op = elementwise("expm1", np.expm1, lambda z, x: exp(x), numpy=(np.expm1,), scalar="expm1({0})")
sin: Op = elementwise(
    "sin",
    np.sin,
    lambda z, x: cos(x),
    numpy=(np.sin,),
    scalar="sin({0})",
    latex=r"\sin\left({0}\right)",
    mistakes=(WrongRule("derivative_wrong", "sin({x}) was kept where its derivative cos({x}) belongs", lambda z, x: z),),
)
cos: Op = elementwise(
    "cos",
    np.cos,
    lambda z, x: -sin(x),
    numpy=(np.cos,),
    scalar="cos({0})",
    latex=r"\cos\left({0}\right)",
    mistakes=(WrongRule("derivative_wrong", "cos({x}) was kept where its derivative -sin({x}) belongs", lambda z, x: z),),
)
tanh: Op = elementwise(
    "tanh",
    np.tanh,
    lambda z, x: 1 - z * z,
    numpy=(np.tanh,),
    scalar="tanh({0})",
    latex=r"\tanh\left({0}\right)",
    mistakes=(
        WrongRule(
            "derivative_wrong",
            "sigmoid's derivative {z}(1 - {z}) was used for tanh, whose derivative is 1 - {z}^2",
            lambda z, x: z * (1 - z),
        ),
        WrongRule("derivative_wrong", "tanh' is 1 - {z}^2: the square is missing", lambda z, x: 1 - z),
        WrongRule("derivative_wrong", "tanh' is 1 - {z}^2, not 1 + {z}^2", lambda z, x: 1 + z * z),
        WrongRule("derivative_wrong", "tanh' is 1 - {z}^2: the 1 is missing", lambda z, x: -z * z),
        WrongRule("derivative_elsewhere", "tanh' = 1 - {z}^2 was taken at {x}: 1 - {x}^2", lambda z, x: 1 - x * x),
        WrongRule("derivative_elsewhere", "tanh' was taken of {z}, which is activated already", lambda z, x: 1 - tanh(z) ** 2),
    ),
)
sigmoid: Op = elementwise(
    "sigmoid",
    _sigmoid,
    lambda z, x: z * (1 - z),
    symbol="σ",
    scalar="1 / (1 + exp(-{0}))",
    latex=r"\sigma\left({0}\right)",
    source="1 / (1 + np.exp(-x))",
    mistakes=(
        WrongRule("derivative_wrong", "sigmoid' is {z}(1 - {z}): the factor (1 - {z}) is missing", lambda z, x: z),
        WrongRule("derivative_wrong", "sigmoid' is {z}(1 - {z}): the factor {z} is missing", lambda z, x: 1 - z),
        WrongRule("derivative_elsewhere", "sigmoid' = {z}(1 - {z}) was taken at {x}: {x}(1 - {x})", lambda z, x: x * (1 - x)),
        WrongRule(
            "derivative_elsewhere", "sigmoid' was taken of {z}, which is activated already", lambda z, x: sigmoid(z) * (1 - sigmoid(z))
        ),
        WrongRule(
            "derivative_wrong", "tanh's derivative 1 - {z}^2 was used for sigmoid, whose derivative is {z}(1 - {z})", lambda z, x: 1 - z * z
        ),
        WrongRule("derivative_wrong", "sigmoid' is {z}(1 - {z}), not {z}(1 + {z})", lambda z, x: z * (1 + z)),
        WrongRule(
            "derivative_wrong", "relu's derivative ({x} > 0) was used for sigmoid, whose derivative is {z}(1 - {z})", lambda z, x: x > 0
        ),
    ),
)
softplus: Op = elementwise(
    "softplus",
    lambda x: np.logaddexp(x, 0),
    lambda z, x: sigmoid(x),
    analytic=False,
    scalar="log1p(exp(-fabs({0}))) + max({0}, 0.0)",
    source="np.logaddexp(x, 0)",
    mistakes=(WrongRule("derivative_wrong", "softplus' is sigmoid({x}), not sigmoid(-{x})", lambda z, x: sigmoid(-x)),),
)
# The derivative of relu at 0 is 0, as everywhere else.
relu: Op = elementwise(
    "relu",
    lambda x: np.maximum(x, 0),
    lambda z, x: x > 0,
    analytic=False,
    scalar="0.0 if {0} <= 0 else {0}",
    source="np.maximum(x, 0)",
    mistakes=(
        WrongRule("derivative_wrong", "relu' is 1 where {x} > 0: the mask is inverted", lambda z, x: x <= 0),
        WrongRule("derivative_wrong", "relu itself was taken for its derivative, the mask {x} > 0", lambda z, x: z),
        WrongRule(
            "derivative_wrong", "sigmoid's derivative {z}(1 - {z}) was used for relu, whose derivative is {x} > 0", lambda z, x: z * (1 - z)
        ),
    ),
)

# ---------------------------------------------------------------- choices

# Where both operands are equal each gets half, as in PyTorch and JAX.
maximum: Op = elementwise(
    "maximum",
    np.maximum,
    lambda z, x, y: (x > y) + 0.5 * (x == y),
    lambda z, x, y: (y > x) + 0.5 * (x == y),
    numpy=(np.maximum,),
    symbol="max",
    analytic=False,
    scalar="{0} if {0} > {1} or {0} != {0} else {1}",
    index=lambda x, y: where(x > y, x, y),
)
minimum: Op = elementwise(
    "minimum",
    np.minimum,
    lambda z, x, y: (x < y) + 0.5 * (x == y),
    lambda z, x, y: (y < x) + 0.5 * (x == y),
    numpy=(np.minimum,),
    symbol="min",
    analytic=False,
    scalar="{0} if {0} < {1} or {0} != {0} else {1}",
    index=lambda x, y: where(x < y, x, y),
)


def _where(condition: Any, x: Any, y: Any) -> Any:
    if isinstance(condition, bool) and not (isinstance(x, np.ndarray) or isinstance(y, np.ndarray)):
        return x if condition else y  # a Python number stays one, and so takes its partner's dtype
    return np.where(condition, x, y)


def _where_vjp(i: int, g: Any, z: Any, condition: Any, x: Any, y: Any) -> Any:
    if i == 0:
        return None
    return sum_to(where(condition, g, 0.0) if i == 1 else where(condition, 0.0, g), shape_of(x if i == 1 else y))


def _where_jvp(ts: Sequence[Any], z: Any, condition: Any, x: Any, y: Any) -> Any:
    if ts[1] is None and ts[2] is None:
        return None
    return where(condition, *(np.zeros(shape_of(z)) if t is None else t for t in ts[1:]))


def _sample_where(rng: np.random.Generator) -> Any:
    condition = np.array([[True, False, True, False]] * 3)
    return [
        ((condition, rng.normal(size=(3, 4)), rng.normal(size=(3, 4))), {}),
        ((condition[0], rng.normal(size=4), rng.normal(size=(3, 1))), {}),
        ((condition, rng.normal(size=()), rng.normal(size=(3, 4))), {}),
    ]


where: Op = general(
    "where",
    _where,
    _where_vjp,
    _where_jvp,
    arity=3,
    numpy=(np.where,),
    sample=_sample_where,
    analytic=False,
    monotone=True,
    scalar="{1} if {0} else {2}",
    index=lambda condition, x, y: (1 - (condition == 0)) * x + (condition == 0) * y,
)

# ---------------------------------------------------------------- one node for many scalars


def _sum_of(*xs: Any) -> Any:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def _sum_of_transpose(i: int, g: Any, *xs: Any) -> Any:
    return sum_to(g, shape_of(xs[i]))


def _partner(i: int, factors: tuple[Any, ...]) -> Any:
    return factors[(i + len(factors) // 2) % len(factors)]


def _dot_of(*factors: Any) -> Any:
    half = len(factors) // 2
    return _sum_of(*(w * x for w, x in zip(factors[:half], factors[half:], strict=True)))


def _dot_of_vjp(i: int, g: Any, z: Any, *factors: Any) -> Any:
    return sum_to(g * _partner(i, factors), shape_of(factors[i]))


def _dot_of_jvp(ts: Sequence[Any], z: Any, *factors: Any) -> Any:
    return add_up(None if t is None else t * _partner(i, factors) for i, t in enumerate(ts))


def _sample_many(rng: np.random.Generator) -> Any:
    return [((list(rng.normal(size=n)),), {}) for n in (2, 6)]


sum_of: Op = linear("sum_of", _sum_of, _sum_of_transpose, arity=None, symbol="Σ", sample=_sample_many, monotone=True, index=_sum_of)
# The operands are w1..wn, x1..xn; the result is w1 x1 + ... + wn xn.
dot_of: Op = general("dot_of", _dot_of, _dot_of_vjp, _dot_of_jvp, arity=None, symbol="w·x", sample=_sample_many, index=_dot_of)

# A derivative that is zero by structure still depends, formally, on its variable.  `attach` records
# `x` with an edge to `y` along which the derivative is zero, so that the next order is an exact 0.
attach: Op = general(
    "attach",
    lambda x, y: x,
    lambda i, g, z, x, y: g if i == 0 else None,
    lambda ts, z, x, y: ts[0],
    arity=2,
    symbol="=",
    sample=lambda rng: [((rng.normal(size=(2, 3)), rng.normal(size=4)), {})],
    monotone=True,
    index=lambda x, y: x,
)
