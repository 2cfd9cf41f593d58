"""The operators of Value.  Generated from the table of ops by `make ops`; edit the table, not this file.

Every operator computes the number, stores the local derivatives and the operands, and is done:
backward multiplies along.  An operand that is neither a Value nor a plain number, and arithmetic that
Python refuses where IEEE gives inf or nan, take the long way through `__apply__`.
"""

from __future__ import annotations

from math import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    cos,
    cosh,
    erf,
    erfc,
    exp,
    expm1,
    fabs,
    hypot,
    isfinite,
    log,
    log1p,
    log2,
    log10,
    pi,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)
from math import pow as power
from typing import Any

from . import node as switches
from .node import settle, tick
from .ops import TABLE
from .value import ValueBase

ADD = TABLE["add"]
SUB = TABLE["sub"]
MUL = TABLE["mul"]
DIV = TABLE["div"]
RECIPROCAL = TABLE["reciprocal"]
POW = TABLE["pow"]
NEG = TABLE["neg"]
IDENTITY = TABLE["identity"]
SQUARE = TABLE["square"]
SQRT = TABLE["sqrt"]
SIGN = TABLE["sign"]
ABS = TABLE["abs"]
EXP = TABLE["exp"]
LOG = TABLE["log"]
LOG1P = TABLE["log1p"]
EXPM1 = TABLE["expm1"]
SIN = TABLE["sin"]
COS = TABLE["cos"]
TANH = TABLE["tanh"]
SIGMOID = TABLE["sigmoid"]
SOFTPLUS = TABLE["softplus"]
RELU = TABLE["relu"]
MAXIMUM = TABLE["maximum"]
MINIMUM = TABLE["minimum"]
LOG2 = TABLE["log2"]
LOG10 = TABLE["log10"]
EXP2 = TABLE["exp2"]
CBRT = TABLE["cbrt"]
HYPOT = TABLE["hypot"]
LOGADDEXP = TABLE["logaddexp"]
LOGADDEXP2 = TABLE["logaddexp2"]
TAN = TABLE["tan"]
ARCSIN = TABLE["arcsin"]
ARCCOS = TABLE["arccos"]
ARCTAN = TABLE["arctan"]
ARCTAN2 = TABLE["arctan2"]
DEG2RAD = TABLE["deg2rad"]
RAD2DEG = TABLE["rad2deg"]
SINH = TABLE["sinh"]
COSH = TABLE["cosh"]
ARCSINH = TABLE["arcsinh"]
ARCCOSH = TABLE["arccosh"]
ARCTANH = TABLE["arctanh"]
ERF = TABLE["erf"]
ERFC = TABLE["erfc"]
GELU = TABLE["gelu"]
FMAX = TABLE["fmax"]
FMIN = TABLE["fmin"]
NAN_TO_NUM = TABLE["nan_to_num"]
MOD = TABLE["mod"]
FLOOR = TABLE["floor"]
CEIL = TABLE["ceil"]
TRUNC = TABLE["trunc"]
RINT = TABLE["rint"]

new = object.__new__


class Value(ValueBase):
    """One number that remembers how it was made; see the README for a tour.

    >>> import autodiff as ad
    >>> x = ad.Value(2.0); y = x * x + 1; y.backward(); x.grad
    4.0
    """

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            z = x + y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = ADD
            out.a = self
            out.b = other
            out.da = 1.0
            out.db = 1.0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = other
            z = x + y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = ADD
            out.a = self
            out.b = None
            out.da = 1.0
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(ADD, (self, other), {})

    def __radd__(self, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            x = other
            y = self._data
            z = x + y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = ADD
            out.a = self
            out.b = None
            out.da = 1.0
            out.raw = other
            out.db = 1
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(ADD, (other, self), {})

    def __sub__(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            z = x - y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = SUB
            out.a = self
            out.b = other
            out.da = 1.0
            out.db = -1.0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = other
            z = x - y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = SUB
            out.a = self
            out.b = None
            out.da = 1.0
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(SUB, (self, other), {})

    def __rsub__(self, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            x = other
            y = self._data
            z = x - y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = SUB
            out.a = self
            out.b = None
            out.da = -1.0
            out.raw = other
            out.db = 1
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(SUB, (other, self), {})

    def __mul__(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            z = x * y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MUL
            out.a = self
            out.b = other
            out.da = y
            out.db = x
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = other
            z = x * y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MUL
            out.a = self
            out.b = None
            out.da = y
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(MUL, (self, other), {})

    def __rmul__(self, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            x = other
            y = self._data
            z = x * y
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MUL
            out.a = self
            out.b = None
            out.da = x
            out.raw = other
            out.db = 1
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(MUL, (other, self), {})

    def __truediv__(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = x / y
                da = 1 / y
                db = -z / y
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    DIV,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = DIV
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = other
            try:
                z = x / y
                da = 1 / y
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    DIV,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = DIV
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(DIV, (self, other), {})

    def __rtruediv__(self, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            x = other
            y = self._data
            try:
                z = x / y
                da = -z / y
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    DIV,
                    (
                        other,
                        self,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = DIV
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 1
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(DIV, (other, self), {})

    def reciprocal(self) -> Any:
        x = self._data
        try:
            z = 1 / x
            da = -z * z
        except (ArithmeticError, ValueError):
            return self.__apply__(RECIPROCAL, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = RECIPROCAL
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def __pow__(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = power(x, y)
                da = y * power(1.0 if y == 0 and x == 0 else x, y - 1)
                db = z * log(1.0 if x == 0 and y >= 0 else x)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    POW,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = POW
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = other
            try:
                z = power(x, y)
                da = y * power(1.0 if y == 0 and x == 0 else x, y - 1)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    POW,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = POW
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(POW, (self, other), {})

    def __rpow__(self, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            x = other
            y = self._data
            try:
                z = power(x, y)
                da = z * log(1.0 if x == 0 and y >= 0 else x)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    POW,
                    (
                        other,
                        self,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = POW
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 1
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(POW, (other, self), {})

    def __neg__(self) -> Any:
        x = self._data
        z = -x
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = NEG
        out.a = self
        out.b = None
        out.da = -1.0
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def __pos__(self) -> Any:
        x = self._data
        z = x
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = IDENTITY
        out.a = self
        out.b = None
        out.da = 1.0
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def square(self) -> Any:
        x = self._data
        z = x * x
        da = 2 * x
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = SQUARE
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def sqrt(self) -> Any:
        x = self._data
        try:
            z = sqrt(x)
            da = 0.5 / z
        except (ArithmeticError, ValueError):
            return self.__apply__(SQRT, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = SQRT
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def sign(self) -> Any:
        return self.__apply__(SIGN, (self,), {})

    def __abs__(self) -> Any:
        x = self._data
        try:
            z = fabs(x)
            da = x if x != x else float((x > 0) - (x < 0))
        except (ArithmeticError, ValueError):
            return self.__apply__(ABS, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ABS
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def exp(self) -> Any:
        x = self._data
        try:
            z = exp(x)
        except (ArithmeticError, ValueError):
            return self.__apply__(EXP, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = EXP
        out.a = self
        out.b = None
        out.da = z
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def log(self) -> Any:
        x = self._data
        try:
            z = log(x)
            da = 1 / x
        except (ArithmeticError, ValueError):
            return self.__apply__(LOG, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = LOG
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def log1p(self) -> Any:
        x = self._data
        try:
            z = log1p(x)
            da = 1 / (1 + x)
        except (ArithmeticError, ValueError):
            return self.__apply__(LOG1P, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = LOG1P
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def expm1(self) -> Any:
        x = self._data
        try:
            z = expm1(x)
            da = exp(x)
        except (ArithmeticError, ValueError):
            return self.__apply__(EXPM1, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = EXPM1
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def sin(self) -> Any:
        x = self._data
        try:
            z = sin(x)
            da = cos(x)
        except (ArithmeticError, ValueError):
            return self.__apply__(SIN, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = SIN
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def cos(self) -> Any:
        x = self._data
        try:
            z = cos(x)
            da = -sin(x)
        except (ArithmeticError, ValueError):
            return self.__apply__(COS, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = COS
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def tanh(self) -> Any:
        x = self._data
        try:
            z = tanh(x)
            da = 1 - z * z
        except (ArithmeticError, ValueError):
            return self.__apply__(TANH, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = TANH
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def sigmoid(self) -> Any:
        x = self._data
        try:
            z = 1 / (1 + exp(-x))
            da = z * (1 - z)
        except (ArithmeticError, ValueError):
            return self.__apply__(SIGMOID, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = SIGMOID
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def softplus(self) -> Any:
        x = self._data
        try:
            z = log1p(exp(-fabs(x))) + max(x, 0.0)
            da = 1 / (1 + exp(-x))
        except (ArithmeticError, ValueError):
            return self.__apply__(SOFTPLUS, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = SOFTPLUS
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def relu(self) -> Any:
        x = self._data
        z = 0.0 if x <= 0 else x
        da = 1.0 if x > 0 else 0.0
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = RELU
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def maximum(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = x if x > y or x != x else y
                da = (x > y) + 0.5 * (x == y)
                db = (y > x) + 0.5 * (x == y)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    MAXIMUM,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MAXIMUM
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = float(other)
            try:
                z = x if x > y or x != x else y
                da = (x > y) + 0.5 * (x == y)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    MAXIMUM,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MAXIMUM
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(MAXIMUM, (self, other), {})

    def minimum(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = x if x < y or x != x else y
                da = (x < y) + 0.5 * (x == y)
                db = (y < x) + 0.5 * (x == y)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    MINIMUM,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MINIMUM
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = float(other)
            try:
                z = x if x < y or x != x else y
                da = (x < y) + 0.5 * (x == y)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    MINIMUM,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MINIMUM
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(MINIMUM, (self, other), {})

    def log2(self) -> Any:
        x = self._data
        try:
            z = log2(x)
            da = 1 / (x * 0.6931471805599453)
        except (ArithmeticError, ValueError):
            return self.__apply__(LOG2, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = LOG2
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def log10(self) -> Any:
        x = self._data
        try:
            z = log10(x)
            da = 1 / (x * 2.302585092994046)
        except (ArithmeticError, ValueError):
            return self.__apply__(LOG10, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = LOG10
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def exp2(self) -> Any:
        x = self._data
        try:
            z = 2.0**x
            da = z * 0.6931471805599453
        except (ArithmeticError, ValueError):
            return self.__apply__(EXP2, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = EXP2
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def cbrt(self) -> Any:
        x = self._data
        try:
            z = cbrt(x)
            da = 1 / (3 * (z * z))
        except (ArithmeticError, ValueError):
            return self.__apply__(CBRT, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = CBRT
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def hypot(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = hypot(x, y)
                da = (0.0 if z == 0 else x) / (1.0 if z == 0 else z)
                db = (0.0 if z == 0 else y) / (1.0 if z == 0 else z)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    HYPOT,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = HYPOT
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = other
            try:
                z = hypot(x, y)
                da = (0.0 if z == 0 else x) / (1.0 if z == 0 else z)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    HYPOT,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = HYPOT
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(HYPOT, (self, other), {})

    def logaddexp(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = x + log(2.0) if x == y else max(x, y) + log1p(exp(-fabs(x - y)))
                da = 1 / (
                    1
                    + exp(
                        -(
                            (
                                0.0
                                if x - y != x - y
                                else 1.7976931348623157e308
                                if x - y > 1.7976931348623157e308
                                else -1.7976931348623157e308
                                if x - y < -1.7976931348623157e308
                                else x - y
                            )
                            * 1.0
                        )
                    )
                )
                db = 1 / (
                    1
                    + exp(
                        -(
                            (
                                0.0
                                if y - x != y - x
                                else 1.7976931348623157e308
                                if y - x > 1.7976931348623157e308
                                else -1.7976931348623157e308
                                if y - x < -1.7976931348623157e308
                                else y - x
                            )
                            * 1.0
                        )
                    )
                )
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    LOGADDEXP,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = LOGADDEXP
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = float(other)
            try:
                z = x + log(2.0) if x == y else max(x, y) + log1p(exp(-fabs(x - y)))
                da = 1 / (
                    1
                    + exp(
                        -(
                            (
                                0.0
                                if x - y != x - y
                                else 1.7976931348623157e308
                                if x - y > 1.7976931348623157e308
                                else -1.7976931348623157e308
                                if x - y < -1.7976931348623157e308
                                else x - y
                            )
                            * 1.0
                        )
                    )
                )
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    LOGADDEXP,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = LOGADDEXP
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(LOGADDEXP, (self, other), {})

    def logaddexp2(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = x + 1.0 if x == y else max(x, y) + log1p(2.0 ** (-fabs(x - y))) / log(2.0)
                da = 1 / (
                    1
                    + exp(
                        -(
                            (
                                0.0
                                if x - y != x - y
                                else 1.7976931348623157e308
                                if x - y > 1.7976931348623157e308
                                else -1.7976931348623157e308
                                if x - y < -1.7976931348623157e308
                                else x - y
                            )
                            * 0.6931471805599453
                        )
                    )
                )
                db = 1 / (
                    1
                    + exp(
                        -(
                            (
                                0.0
                                if y - x != y - x
                                else 1.7976931348623157e308
                                if y - x > 1.7976931348623157e308
                                else -1.7976931348623157e308
                                if y - x < -1.7976931348623157e308
                                else y - x
                            )
                            * 0.6931471805599453
                        )
                    )
                )
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    LOGADDEXP2,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = LOGADDEXP2
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = float(other)
            try:
                z = x + 1.0 if x == y else max(x, y) + log1p(2.0 ** (-fabs(x - y))) / log(2.0)
                da = 1 / (
                    1
                    + exp(
                        -(
                            (
                                0.0
                                if x - y != x - y
                                else 1.7976931348623157e308
                                if x - y > 1.7976931348623157e308
                                else -1.7976931348623157e308
                                if x - y < -1.7976931348623157e308
                                else x - y
                            )
                            * 0.6931471805599453
                        )
                    )
                )
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    LOGADDEXP2,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = LOGADDEXP2
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(LOGADDEXP2, (self, other), {})

    def tan(self) -> Any:
        x = self._data
        try:
            z = tan(x)
            da = 1 + z * z
        except (ArithmeticError, ValueError):
            return self.__apply__(TAN, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = TAN
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def arcsin(self) -> Any:
        x = self._data
        try:
            z = asin(x)
            da = 1 / sqrt((1 - x) * (1 + x))
        except (ArithmeticError, ValueError):
            return self.__apply__(ARCSIN, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ARCSIN
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def arccos(self) -> Any:
        x = self._data
        try:
            z = acos(x)
            da = -1 / sqrt((1 - x) * (1 + x))
        except (ArithmeticError, ValueError):
            return self.__apply__(ARCCOS, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ARCCOS
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def arctan(self) -> Any:
        x = self._data
        try:
            z = atan(x)
            da = 1 / hypot(x, 1.0) / hypot(x, 1.0)
        except (ArithmeticError, ValueError):
            return self.__apply__(ARCTAN, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ARCTAN
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def arctan2(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = atan2(x, y)
                da = (0.0 if hypot(y, x) == 0 else (0.0 if hypot(y, x) == 0 else y) / (1.0 if hypot(y, x) == 0 else hypot(y, x))) / (
                    1.0 if hypot(y, x) == 0 else hypot(y, x)
                )
                db = -(
                    (0.0 if hypot(y, x) == 0 else (0.0 if hypot(y, x) == 0 else x) / (1.0 if hypot(y, x) == 0 else hypot(y, x)))
                    / (1.0 if hypot(y, x) == 0 else hypot(y, x))
                )
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    ARCTAN2,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = ARCTAN2
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = other
            try:
                z = atan2(x, y)
                da = (0.0 if hypot(y, x) == 0 else (0.0 if hypot(y, x) == 0 else y) / (1.0 if hypot(y, x) == 0 else hypot(y, x))) / (
                    1.0 if hypot(y, x) == 0 else hypot(y, x)
                )
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    ARCTAN2,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = ARCTAN2
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(ARCTAN2, (self, other), {})

    def deg2rad(self) -> Any:
        x = self._data
        try:
            z = x * (pi / 180)
            da = 0.017453292519943295
        except (ArithmeticError, ValueError):
            return self.__apply__(DEG2RAD, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = DEG2RAD
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def rad2deg(self) -> Any:
        x = self._data
        try:
            z = x * (180 / pi)
            da = 57.29577951308232
        except (ArithmeticError, ValueError):
            return self.__apply__(RAD2DEG, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = RAD2DEG
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def sinh(self) -> Any:
        x = self._data
        try:
            z = sinh(x)
            da = cosh(x)
        except (ArithmeticError, ValueError):
            return self.__apply__(SINH, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = SINH
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def cosh(self) -> Any:
        x = self._data
        try:
            z = cosh(x)
            da = sinh(x)
        except (ArithmeticError, ValueError):
            return self.__apply__(COSH, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = COSH
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def arcsinh(self) -> Any:
        x = self._data
        try:
            z = asinh(x)
            da = 1 / hypot(x, 1.0)
        except (ArithmeticError, ValueError):
            return self.__apply__(ARCSINH, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ARCSINH
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def arccosh(self) -> Any:
        x = self._data
        try:
            z = acosh(x)
            da = 1 / (sqrt(x - 1) * sqrt(x + 1))
        except (ArithmeticError, ValueError):
            return self.__apply__(ARCCOSH, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ARCCOSH
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def arctanh(self) -> Any:
        x = self._data
        try:
            z = atanh(x)
            da = 1 / ((1 - x) * (1 + x))
        except (ArithmeticError, ValueError):
            return self.__apply__(ARCTANH, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ARCTANH
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def erf(self) -> Any:
        x = self._data
        try:
            z = erf(x)
            da = 1.1283791670955126 * exp(-x * x)
        except (ArithmeticError, ValueError):
            return self.__apply__(ERF, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ERF
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def erfc(self) -> Any:
        x = self._data
        try:
            z = erfc(x)
            da = -1.1283791670955126 * exp(-x * x)
        except (ArithmeticError, ValueError):
            return self.__apply__(ERFC, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = ERFC
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def gelu(self) -> Any:
        x = self._data
        try:
            z = x * (0.5 * erfc(x * -sqrt(0.5)))
            da = 0.5 * erfc(x * -0.7071067811865476) + 0.3989422804014327 * x * exp(-0.5 * x * x)
        except (ArithmeticError, ValueError):
            return self.__apply__(GELU, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = GELU
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def fmax(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = x if x > y or y != y else y
                da = (1 - (y > x)) * (x == x) - 0.5 * (x == y)
                db = (1 - (x > y)) * (y == y) - 0.5 * (x == y)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    FMAX,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = FMAX
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = float(other)
            try:
                z = x if x > y or y != y else y
                da = (1 - (y > x)) * (x == x) - 0.5 * (x == y)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    FMAX,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = FMAX
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(FMAX, (self, other), {})

    def fmin(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = x if x < y or y != y else y
                da = (1 - (y < x)) * (x == x) - 0.5 * (x == y)
                db = (1 - (x < y)) * (y == y) - 0.5 * (x == y)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    FMIN,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = FMIN
            out.a = self
            out.b = other
            out.da = da
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = float(other)
            try:
                z = x if x < y or y != y else y
                da = (1 - (y < x)) * (x == x) - 0.5 * (x == y)
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    FMIN,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = FMIN
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(FMIN, (self, other), {})

    def nan_to_num(self) -> Any:
        x = self._data
        try:
            z = (
                0.0
                if x != x
                else 1.7976931348623157e308
                if x > 1.7976931348623157e308
                else -1.7976931348623157e308
                if x < -1.7976931348623157e308
                else x
            )
            da = isfinite(x)
        except (ArithmeticError, ValueError):
            return self.__apply__(NAN_TO_NUM, (self,), {})
        out = new(Value)
        out._data = z
        out.grad = None
        out.op = NAN_TO_NUM
        out.a = self
        out.b = None
        out.da = da
        out.raw = None
        out.mark = 0
        out.id = tick()
        return settle(out) if switches.special else out

    def __mod__(self, other: Any) -> Any:
        if other.__class__ is Value:
            x = self._data
            y = other._data
            try:
                z = x % y
                db = (z - x) / y
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    MOD,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MOD
            out.a = self
            out.b = other
            out.da = 1.0
            out.db = db
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        if other.__class__ is float or other.__class__ is int:
            x = self._data
            y = other
            try:
                z = x % y
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    MOD,
                    (
                        self,
                        other,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MOD
            out.a = self
            out.b = None
            out.da = 1.0
            out.raw = other
            out.db = 0
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(MOD, (self, other), {})

    def __rmod__(self, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            x = other
            y = self._data
            try:
                z = x % y
                da = (z - x) / y
            except (ArithmeticError, ValueError):
                return self.__apply__(
                    MOD,
                    (
                        other,
                        self,
                    ),
                    {},
                )
            out = new(Value)
            out._data = z
            out.grad = None
            out.op = MOD
            out.a = self
            out.b = None
            out.da = da
            out.raw = other
            out.db = 1
            out.mark = 0
            out.id = tick()
            return settle(out) if switches.special else out
        return self.__apply__(MOD, (other, self), {})

    def floor(self) -> Any:
        return self.__apply__(FLOOR, (self,), {})

    def ceil(self) -> Any:
        return self.__apply__(CEIL, (self,), {})

    def trunc(self) -> Any:
        return self.__apply__(TRUNC, (self,), {})

    def rint(self) -> Any:
        return self.__apply__(RINT, (self,), {})
