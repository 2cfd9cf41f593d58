"""What makes a thing an operand of the table: Python's operators and NumPy's protocols, in one place.

Tensors, the text that source code is generated from, and symbols inherit from `Operand` and say in
`__apply__` what it means for them to be operated on.  (Value has operators of its own, generated for
speed; it shares NumPy's protocols.)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import BadOperand, Detached, NoRule
from . import pointwise as p
from .elementary import mod
from .products import matmul
from .shapes import transpose
from .table import BY_NUMPY, Op, bind_numpy, called, functions, kept, no_rule

NO_KW: dict[str, Any] = {}

# Comparisons answer about the numbers: they give plain booleans and cut no graph.
COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
# NumPy's scalars turn Python's operators into these calls, also beside a Value.
OPERATORS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.divide: operator.truediv,
    np.power: operator.pow,
    np.remainder: operator.mod,
}


# What these say of a node concerns its plain numbers too.
ABOUT: set[Any] = {
    *(np.isfinite, np.isnan, np.isinf, np.signbit, np.isreal, np.iscomplex),
    *(
        np.shape,
        np.ndim,
        np.size,
        np.argmax,
        np.argmin,
        np.argsort,
        np.argpartition,
        np.zeros_like,
        np.ones_like,
        np.empty_like,
        np.full_like,
    ),
    *(np.array_equal, np.allclose, np.isclose, np.any, np.all, np.count_nonzero, np.iscomplexobj, np.isrealobj, np.result_type),
    *(np.nonzero, np.array_repr, np.array_str, np.array2string, np.searchsorted, np.may_share_memory, np.shares_memory),
}

WRITE = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}


def plain(x: Any) -> Any:
    """The numbers of a node, and anything else as it is."""
    return x._data if isinstance(x, NumpyProtocols) and hasattr(x, "_data") else x


def numbers_of(func: Any, args: Iterable[Any]) -> list[Any]:
    """The arguments of a question about numbers; raises NoRule for an operand, such as a symbol, that has none."""
    numbers = [plain(a) for a in args]
    if any(isinstance(a, NumpyProtocols) for a in numbers):
        raise no_rule(f"{called(func)} of an operand without numbers", func.__name__)
    return numbers


def refuse_own_rules(x: Any, who: str) -> None:
    """Raise BadOperand for a kind of array with rules of its own, which nodes would not follow."""
    if any(kind.__name__ in ("MaskedArray", "matrix") for kind in type(x).__mro__):
        raise BadOperand(
            f"{who} cannot take a {type(x).__name__}, whose own rules would be lost; write np.asarray(x), or ad.where(mask, ...)"
        )


class NumpyProtocols:
    """np.exp(t), array * t and np.sum(t, axis=0) reach the op of the table that they mean."""

    __slots__ = ()

    __apply__: Callable[..., Any]

    @property
    def _mask(self) -> Any:
        # np.ma takes the `_data` of whatever has one, and asks for its `_mask` next.
        raise Detached("np.ma knows no nodes: it would drop the graph silently. Write np.asarray(masked), or ad.where(mask, ...)")

    def __floordiv__(self, other: Any) -> Any:
        raise no_rule("//", "floor_divide")

    __rfloordiv__ = __floordiv__

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kw: Any) -> Any:
        if ufunc in ABOUT and method == "__call__" and not kw:
            return ufunc(*numbers_of(ufunc, args))
        name = called(ufunc)
        if kw.get("out") is not None:
            raise NoRule(
                f"{name} was asked to write its result into an array (out=, or `array += node`). A node's graph cannot live in "
                f"an array: write `z = x + y` instead of `x += y`, or make x a node."
            )
        if method != "__call__":
            raise NoRule(f"{name}.{method} has no derivative rule here; write ad.sum, ad.max or ad.min for the reductions.")
        if ufunc not in BY_NUMPY:
            raise no_rule(name, ufunc.__name__)
        op, (operands, statics) = bind_numpy(ufunc, args, kw)
        return self.__apply__(op, operands, kept(statics))

    def __array_function__(self, func: Any, types: Any, args: Any, kw: Any) -> Any:
        if func in ABOUT:
            if func is np.full_like and getattr(kw.get("fill_value", args[1:] and args[1]), "active", False):
                raise NoRule("np.full_like would cut the graph of its fill value; write ad.broadcast_to(value, shape=x.shape)")
            return func(*numbers_of(func, args), **dict(zip(kw, numbers_of(func, kw.values()), strict=True)))
        if func in WRITE:
            raise NoRule(
                f"{called(func)} writes into an array, and a node's graph cannot live there: ad.where chooses entries, "
                "ad.broadcast_to fills a shape, ad.stack and ad.concatenate build from parts"
            )
        op, (operands, statics) = bind_numpy(func, args, kw)
        statics = kept(statics)
        return op(*operands, **statics) if op.kind == "composed" else self.__apply__(op, operands, statics)


def _binary(op: Op) -> tuple[Any, Any]:
    def forward(self: Any, other: Any) -> Any:
        return self.__apply__(op, (self, other), NO_KW)

    def reflected(self: Any, other: Any) -> Any:
        return self.__apply__(op, (other, self), NO_KW)

    return forward, reflected


class Operand(NumpyProtocols):
    """Python's arithmetic, as ops of the table."""

    __slots__ = ()

    __add__, __radd__ = _binary(p.add)
    __sub__, __rsub__ = _binary(p.sub)
    __mul__, __rmul__ = _binary(p.mul)
    __truediv__, __rtruediv__ = _binary(p.div)
    __pow__, __rpow__ = _binary(p.pow)
    __mod__, __rmod__ = _binary(mod)
    __matmul__, __rmatmul__ = _binary(matmul)

    @property
    def T(self) -> Any:
        """The transpose: axes in reverse order."""
        return self.__apply__(transpose, (self,), NO_KW)

    def __neg__(self) -> Any:
        return self.__apply__(p.neg, (self,), NO_KW)

    def __pos__(self) -> Any:
        return self.__apply__(p.identity, (self,), NO_KW)

    def __abs__(self) -> Any:
        return self.__apply__(p.abs, (self,), NO_KW)


def add_methods(kind: type) -> None:
    """Every op of the table with one operand, and whatever arrays have as a method, becomes one, unless the class has its own.

    Of two functions of one name, a composition and the op it is made of, the composition comes first and wins."""
    methods = [(op.name, op) for op in functions() if op.arity == 1 or hasattr(np.ndarray, op.name)]
    for name, function in methods + [(f.__name__, f) for f in ABOUT if hasattr(np.ndarray, f.__name__)]:
        if not hasattr(kind, name):
            setattr(kind, name, lambda self, *args, _function=function, **kw: _function(self, *args, **kw))
