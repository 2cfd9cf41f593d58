"""Tensor: a NumPy array that remembers how it was made.

Everything a Tensor does goes through one function, `record`; the operators and NumPy's protocols come
from `Operand`.  What gradients are made of stands in the table of ops, how they are made in reverse.py.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

import numpy as np

from . import node as switches
from . import ops
from .containers import map_leaves
from .errors import AutodiffError, BadOperand, BroadcastWarning, Detached, NoRule, ReadOnly, ShapeMismatch
from .node import Node, assigned_result, order, rebound, settle, tick, twin
from .ops import BY_NUMPY, Op
from .ops.operand import COMPARISONS, NO_KW, Operand, add_methods, refuse_own_rules
from .ops.table import REFUSALS, RESERVED, misfit

Array = np.ndarray[Any, Any]
ndarray = np.ndarray


class ReadOnlyArray(np.ndarray[Any, Any]):
    """The recorded data of a node: it cannot be written, and says what to do instead.

    `p.data -= lr * p.grad` works, because -= makes a new array here, which the node then takes over.
    What is computed from it is an ordinary array.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.flags.writeable:
            return super().__setitem__(key, value)
        raise ReadOnly(_IN_PLACE)

    def __array_function__(self, func: Any, types: Any, args: Any, kw: Any) -> Any:
        return func(*map_leaves(_as_array, args), **map_leaves(_as_array, kw))

    def copy(self, order: Any = "C") -> Any:
        """An ordinary array with the same numbers."""
        return np.array(self, order=order, subok=False)

    def astype(self, *args: Any, **kw: Any) -> Any:
        """An ordinary array of another dtype."""
        return np.array(self, subok=False).astype(*args, **kw)

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kw: Any) -> Any:
        # NumPy's own `ufunc.at` writes into arrays that are not writeable.
        written = args[:1] if method == "at" else kw.get("out", ())
        if any(isinstance(x, ReadOnlyArray) and not x.flags.writeable for x in written):
            raise ReadOnly(_IN_PLACE)
        return getattr(ufunc, method)(*map(_as_array, args), **{key: map_leaves(_as_array, x) for key, x in kw.items()})

    def __reduce__(self) -> Any:
        return np.array(self).__reduce__()


def _as_array(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, ReadOnlyArray) else x


def _out_of_place(op: Callable[[Any, Any], Any], in_place: Callable[[Any, Any], Any]) -> Any:
    def method(self: Any, other: Any) -> Any:
        return in_place(self, other) if self.flags.writeable else op(np.asarray(self), other)

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(ReadOnlyArray, f"__i{_name}__", _out_of_place(getattr(operator, _name), getattr(np.ndarray, f"__i{_name}__")))

_IN_PLACE = (
    "recorded data cannot be changed in place: graphs computed from it would keep the old result beside the new number. "
    "Assign the whole array to the leaf instead, `p.data = new` (older graphs then know that they are stale)"
)


class Tensor(Operand, Node):
    """An array of float64 or float32 that remembers how it was made.

    `Tensor(data, name=None, dtype=None)` is a leaf and a variable: it copies `data` (anything NumPy
    makes an array of; integers become float64).  Raises BadOperand for complex data, text and other
    float types.

    >>> import autodiff as ad, numpy as np
    >>> W = ad.Tensor([[1.0, 2.0]]); E = np.sum(W * W); E.backward(); W.grad
    array([[2., 4.]])
    """

    __slots__ = ("args", "kw", "active")

    args: tuple[Any, ...]
    kw: dict[str, Any]
    active: bool

    def __init__(self, data: Any, name: str | None = None, dtype: Any = None) -> None:
        self._data = _own(data, dtype)
        self.op, self.args, self.kw, self.active, self.grad = None, (), NO_KW, True, None
        self.id = self.stamp = tick()
        if name is not None:
            self.named(name)
        if switches.special:
            switches.mark(self)

    # ------------------------------------------------------------ what readers see

    @property
    def data(self) -> Array:
        """The numbers, read-only; assigning a whole array (leaves only) makes older graphs stale."""
        view: Array = self._data.view(ReadOnlyArray)
        view.setflags(write=False)
        return view

    @data.setter
    def data(self, data: Any) -> None:
        if self.op is not None:
            raise assigned_result(self)
        new = _own(data, self._data.dtype)
        if new.shape != self._data.shape:
            raise ShapeMismatch(f"{self.name or 'the leaf'} has shape {self.shape}, so data of shape {new.shape} cannot be assigned to it")
        self._data = new
        switches.restamp(self)

    shape = property(lambda self: self._data.shape)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    dtype = property(lambda self: self._data.dtype)

    @property
    def mT(self) -> Tensor:
        """The transpose of a matrix, or of each of a stack: the last two axes in each other's place."""
        return ops.COMPOSED["matrix_transpose"](self)  # type: ignore[no-any-return]

    def item(self) -> float:
        """The plain number of a Tensor of size 1; raises ValueError for any other size."""
        return self._data.item()  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        """The numbers as nested lists."""
        return self._data.tolist()

    def detach(self) -> Tensor:
        """A constant with the same numbers: no derivative passes."""
        return self._constant()

    # ------------------------------------------------------------ recording

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kw: Any) -> Any:
        op = BY_NUMPY.get(ufunc)
        if op is not None and method == "__call__" and not kw:
            return record(op, args, NO_KW)
        if ufunc in COMPARISONS and method == "__call__" and not kw:
            return ufunc(*map(_plain, args))
        return super().__array_ufunc__(ufunc, method, *args, **kw)

    def __array__(self, *args: Any, **kw: Any) -> Any:
        raise Detached(
            f"{self.name or 'a Tensor'} of shape {self.shape} was about to become a plain array (by np.asarray, np.array([...]), "
            "array.dot or a library), which would drop its graph silently. For the plain numbers write .item() or .data; to keep "
            "the graph write ad.stack for np.array([...]) and `a @ t` for a.dot(t)"
        )

    def _constant(self) -> Self:
        out = _leaf(self._data, active=False)
        out.name = self.name
        return out  # type: ignore[return-value]

    # ------------------------------------------------------------ ndarray's methods

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Like ndarray.sum."""
        return record(ops.sum, (self,), {"axis": axis, "keepdims": keepdims})

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Like ndarray.mean."""
        return record(ops.mean, (self,), {"axis": axis, "keepdims": keepdims})

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Like ndarray.max; entries that share the maximum share the derivative."""
        return record(ops.max, (self,), {"axis": axis, "keepdims": keepdims})

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Like ndarray.min; entries that share the minimum share the derivative."""
        return record(ops.min, (self,), {"axis": axis, "keepdims": keepdims})

    def reshape(self, *shape: Any) -> Tensor:
        """Like ndarray.reshape."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)  # type: ignore[no-any-return]

    def transpose(self, *axes: Any) -> Tensor:
        """Like ndarray.transpose."""
        return ops.transpose(self, (axes[0] if len(axes) == 1 else axes) if axes else None)  # type: ignore[no-any-return]

    def astype(self, dtype: Any) -> Tensor:
        """Like ndarray.astype, to float64 or float32."""
        return ops.cast(self, dtype=np.dtype(dtype))  # type: ignore[no-any-return]

    def argmax(self, axis: Any = None) -> Any:
        """The plain indices of the maxima."""
        return self._data.argmax(axis)

    def argmin(self, axis: Any = None) -> Any:
        """The plain indices of the minima."""
        return self._data.argmin(axis)

    def copy(self) -> Tensor:
        """A new node with the same numbers, through which derivatives pass."""
        return ops.identity(self)  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Tensor:
        return record(ops.getitem, (self,), {"index": _index(index)})

    def __setitem__(self, index: Any, value: Any) -> None:
        raise NoRule(
            "an entry of a Tensor cannot be assigned: what was recorded stays. Write ad.where(mask, new, t) to choose entries, "
            "ad.concatenate or ad.stack to build a Tensor from parts"
        )

    def __isub__(self, other: Any) -> Any:  # type: ignore[misc]
        return record(ops.sub, (rebound(self), other), NO_KW)

    def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
        return record(ops.add, (rebound(self), other), NO_KW)

    def __imul__(self, other: Any) -> Any:  # type: ignore[misc]
        return record(ops.mul, (rebound(self), other), NO_KW)

    def __itruediv__(self, other: Any) -> Any:  # type: ignore[misc]
        return record(ops.div, (rebound(self), other), NO_KW)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("a Tensor of shape () is one number and has no entries to go through")
        return (self[i] for i in range(len(self)))

    # ------------------------------------------------------------ numbers' manners

    def __float__(self) -> float:
        if self.active and switches.differentiated(self):
            raise Detached(
                f"float() or a function of math was called on {self.name or 'a node'} inside a transform, which would lose its "
                "derivative: write np.exp for math.exp; or .item() if a plain number is meant"
            )
        return float(self._data.item())

    def __int__(self) -> int:
        return int(float(self))

    def __bool__(self) -> bool:
        return bool(self._data)

    def __format__(self, spec: str) -> str:
        return format(self._data.item() if self.size == 1 else self._data, spec) if spec else repr(self)

    def __lt__(self, other: Any) -> Any:
        return self._data < _plain(other)

    def __le__(self, other: Any) -> Any:
        return self._data <= _plain(other)

    def __gt__(self, other: Any) -> Any:
        return self._data > _plain(other)

    def __ge__(self, other: Any) -> Any:
        return self._data >= _plain(other)

    def __eq__(self, other: Any) -> Any:
        return self._data == _plain(other)

    def __ne__(self, other: Any) -> Any:
        return self._data != _plain(other)

    __hash__ = Node.__hash__

    def __repr__(self) -> str:
        head = "Tensor(" if self.active else "constant("
        body = np.array2string(self._data, separator=", ", prefix=head)
        parts = [body]
        parts += [f"dtype={self.dtype}"] if self.dtype != np.float64 else []
        parts += [f"op={self.op.name!r}"] if self.op is not None else []
        parts += [f"name={self.name!r}"] if self.name is not None else []
        return head + ", ".join(parts) + ")"

    # ------------------------------------------------------------ backward

    def backward(self, seed: Any = None) -> None:
        """Send derivatives from here back to every node this one depends on, into their `.grad`.

        Leaves add to the gradient they have (`zero_grad` clears it); results get theirs afresh, so a
        second backward is right.  `seed`, of this node's shape, is the derivative with respect to this
        node itself and may be left out for a single number.  Raises NotScalar without a seed for
        several numbers, StaleGraph if a leaf was assigned since, NotConnected if this is a constant.

        >>> import autodiff as ad, numpy as np
        >>> x = ad.Tensor([1.0, 2.0]); (x * x).backward(seed=np.array([1.0, 10.0])); x.grad
        array([ 2., 40.])
        """
        _backward(self, seed)


_new = object.__new__


def record(op: Op, args: tuple[Any, ...], kw: dict[str, Any]) -> Tensor:
    """Compute an op on Tensors and plain operands, and remember how: the one way a Tensor comes about."""
    xs: list[Any] = []
    active = False
    for a in args:
        kind = a.__class__
        if kind is Tensor:
            if a.active:
                active = True
                xs.append(a._data)
            else:
                xs.append(_numbers(a, args))
        elif kind is float or kind is int or (kind is ndarray and a.dtype.char in "df" and a.ndim):
            xs.append(a)
        else:
            args, xs, active = _lifted(op, args)
            break
    try:
        z = op.forward(*xs, **kw) if kw else op.forward(*xs)
    except AutodiffError:
        raise
    except REFUSALS as error:
        raise misfit(op, args, kw, error) from (None if op.name in RESERVED else error)
    if z.__class__ is not ndarray:
        z = np.asarray(z)
    elif z.ndim == op.watched:
        x, y = xs
        if x.__class__ is y.__class__ and x.ndim != y.ndim and x.size == y.size < z.size:  # a column and a vector
            _warn_of_growth(op, args, z)
    if z is xs[0] and not isinstance(args[0], Tensor):
        z = z.view()  # a plain operand that comes out as it went in stays the caller's to write
    z.setflags(False)
    out = _new(Tensor)
    out._data = z  # one by one: six at once would be packed into a tuple first
    out.op = op
    out.args = args
    out.kw = kw
    out.active = active
    out.grad = None
    out.id = tick()
    return settle(out) if switches.special else out


Tensor.__apply__ = staticmethod(record)


def _lifted(op: Op, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any], bool]:
    """The same for operands of other kinds: what is kept, what is computed with, and whether any is active."""
    args = _without_odd_dtypes(tuple(_lift(op, a) for a in args))
    return args, [_numbers(a, args) for a in args], any(isinstance(a, Tensor) and a.active for a in args)


def _numbers(a: Any, args: tuple[Any, ...]) -> Any:
    """What an operand computes with: a constant single number takes its partners' dtype, as a plain one does."""
    if not isinstance(a, Tensor):
        return a
    return a._data if _has_dtype(a) or not any(map(_has_dtype, args)) else a._data.item()


def _has_dtype(a: Any) -> bool:
    """Does the operand bring a dtype, as all do but single numbers that are constants?"""
    return isinstance(a, ndarray) or (isinstance(a, Tensor) and (a.active or a._data.ndim > 0))


def _without_odd_dtypes(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arrays of integers, or of float16, become what NumPy makes of them beside the others: rules count on numbers that neither
    wrap around nor have three digits."""
    if not any(_is_odd(a) for a in args):
        return args
    dtype = np.result_type(*(a.dtype for a in args if _has_dtype(a)))
    if dtype.char not in "df":
        dtype = np.dtype(np.float64)
    return tuple(a.astype(dtype) if _is_odd(a) else a for a in args)


def _is_odd(a: Any) -> bool:
    return isinstance(a, ndarray) and a.dtype.char not in "df?"


_warned: set[tuple[str, int]] = set()  # file and line


def _warn_of_growth(op: Op, args: tuple[Any, ...], z: Array) -> None:
    """Tell, once for each line of the user's, of a vector and a column of equal lengths that made a matrix."""
    import warnings

    from .naming import describe, user_frame

    frame = user_frame()
    place = (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("", 0)
    if place in _warned:
        return
    _warned.add(place)
    warnings.warn_explicit(
        f"{op.name} of {describe(args)} makes shape {z.shape}: both operands grow. If their entries belong together one by one, "
        f"give both the same shape, x[:, 0] or t[:, None]; if every pair is meant, give both the same rank, such as t[None, :]",
        BroadcastWarning,
        *place,
    )


def _leaf(data: Array, active: bool) -> Tensor:
    out = _new(Tensor)
    out._data, out.op, out.args, out.kw, out.active, out.grad = data, None, (), NO_KW, active, None
    out.id = out.stamp = tick()
    if switches.special:
        switches.mark(out)
    return out


def constant_tensor(data: Any, name: str | None) -> Tensor:
    """A constant leaf that holds the array itself, not a copy."""
    refuse_own_rules(data, "a constant")
    array = np.asarray(data)
    _dtype(array.dtype)
    out = _leaf(array if array.dtype.kind == "f" else array.astype(np.float64), active=False)  # uint8 would wrap around
    return out if name is None else out.named(name)


def _dtype(dtype: Any) -> Any:
    """The dtype a leaf of that data has: float32 and float64 stay, integers and booleans become float64."""
    if dtype in (np.float64, np.float32):
        return dtype
    if dtype.kind in "iub":
        return np.dtype(np.float64)
    if dtype.kind == "c":
        raise BadOperand("complex data: derivatives here are of real numbers only; take .real and .imag apart")
    if dtype.kind == "f":
        raise BadOperand(f"{dtype} data: Tensors are float64 or float32; write x.astype(np.float64)")
    raise BadOperand(f"data of dtype {dtype} is not an array of real numbers")


def _own(data: Any, dtype: Any = None) -> Array:
    """A read-only array of a leaf's own, copied unless it cannot be written anyway."""
    if isinstance(data, Node):
        raise BadOperand("data is plain numbers; from another node write .data (its numbers) or use the node itself")
    refuse_own_rules(data, "a Tensor")
    if isinstance(data, ReadOnlyArray) and not data.flags.writeable and (dtype is None or data.dtype == dtype):
        return np.asarray(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeMismatch(f"the data is not one rectangular array: {error}") from None
    array = np.array(array, dtype=_dtype(np.dtype(dtype) if dtype is not None and _dtype(array.dtype) is not None else array.dtype))
    array.flags.writeable = False
    return array


def _lift(op: Op, x: Any) -> Any:
    """An operand as it is kept: nodes as they are, single numbers as plain Python numbers, arrays as arrays."""
    kind = x.__class__
    if kind is float or kind is int or kind is bool or (kind is ndarray and x.ndim and x.dtype.char in "df?"):
        return x
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Node) and not x.active:
        return _beside(x)
    if isinstance(x, Node):
        raise BadOperand(
            f"{op.name} cannot combine a Value and a Tensor. Make the number a Tensor from the start, ad.Tensor(2.0) for ad.Value(2.0); "
            "or, where it is a constant, write v.item()"
        )
    if isinstance(x, str | bytes) or x is None:
        raise BadOperand(f"{op.name} cannot take {x!r} as an operand: it is not a number or an array")
    refuse_own_rules(x, op.name)
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise BadOperand(
            f"{op.name} cannot take an operand of dtype {array.dtype}: operands are real numbers"
            + ("; take .real and .imag apart" if array.dtype.kind == "c" else "")
        )
    if array.ndim == 0:  # a single number takes its partner's dtype
        return float(array) if array.dtype.kind == "f" else array.item()
    if array.dtype.itemsize > 8:
        raise BadOperand(f"{op.name} cannot take an operand of dtype {array.dtype}: Tensors are float64 or float32; write x.astype(float)")
    return array


def _beside(x: Any) -> Tensor:
    """The Tensor that stands for a constant Value beside Tensors: one and the same each time, computed as the Value was."""
    found: dict[int, Any] = {}
    for n in order(x):
        operands = tuple(found[a.id] if isinstance(a, Node) else a for a in n.args)
        found[n.id] = twin(n, partial(_as_tensor, n, operands))
    return found[x.id]  # type: ignore[no-any-return]


def _as_tensor(n: Any, operands: tuple[Any, ...]) -> Tensor:
    return constant_tensor(n._data, n.name) if n.op is None else record(n.op, operands, n.kw)


def _plain(x: Any) -> Any:
    return x._data if isinstance(x, Node) else x


def _index(index: Any) -> Any:
    """An index that nobody can change later."""
    if isinstance(index, tuple):
        return tuple(_index(list(part) if isinstance(part, tuple) else part) for part in index)
    if isinstance(index, Node):
        raise BadOperand("an index is plain integers or booleans; write t[i.data.astype(int)], or a comparison such as t[t > 0]")
    if index is None or index is Ellipsis or isinstance(index, slice | int | np.generic):
        return index
    array = np.array(index)  # a list of places, in whatever kind of array or sequence it comes
    if array.size == 0 and not hasattr(index, "dtype"):
        return array.astype(np.intp)  # [] is no list of floats
    return index if array.dtype == object else array  # an integer of some other kind, or an error that NumPy words


add_methods(Tensor)

from .reverse import backward as _backward  # noqa: E402  (reverse.py builds on the class above)
