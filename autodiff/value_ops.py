"""The operators of Value.  Generated from the table of ops by `make ops`; edit the table, not this file.

Every operator computes the number, stores the local derivatives and the operands, and is done:
backward multiplies along.  An operand that is neither a Value nor a plain number, and arithmetic that
Python refuses where IEEE gives inf or nan, take the long way through `__apply__`.
"""

from __future__ import annotations

from math import cos, exp, expm1, fabs, log, log1p, sin, sqrt, tanh
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
