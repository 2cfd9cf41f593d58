"""Value: one Python float that remembers how it was made.

Here is what a Value is and how backward runs through Values; its operators are in value_ops.py, which
is generated from the table of ops.  A Value computes its local derivatives when it is recorded, so
that backward is the same two lines for every op, and keeps at most two operands in slots of its own,
so that a node is one object.  Arithmetic follows IEEE 754 as NumPy's does: 1 / Value(0.0) is inf.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Set, ValuesView
from itertools import count
from typing import Any, Self

import numpy as np

from . import node as switches
from .errors import AutodiffError, BadOperand, Detached, NoRule, NotConnected, ShapeMismatch
from .node import Node, assigned_result, check_fresh, order, rebound, settle, tick, twin
from .ops import Op, dot_of, sum_of
from .ops import dot as dot_op
from .ops import sum as sum_op
from .ops.operand import COMPARISONS, OPERATORS, NumpyProtocols, Operand, add_methods, refuse_own_rules
from .ops.table import REFUSALS, RESERVED, misfit

_next_pass = count(1).__next__
_by_id = operator.attrgetter("id")


class ValueBase(NumpyProtocols, Node):
    """Everything of Value but its operators.

    Slots: `a` and `b` are the active operands and `da` and `db` the local derivatives towards them.
    With one active operand `b` is None; with three or more, `a` and `da` are tuples and `b` is None, and
    so they are where a local derivative is zero by structure, which `da` then holds as None.
    `raw` (set where `b` is None) tells where the plain operands stand: None if there are none; a plain
    number that stands beside one active operand, whose place is then `db`; else all operands in order
    with None for the active ones.  `mark` is the number of the last backward pass that came by.
    """

    __slots__ = ("a", "b", "da", "db", "raw", "mark")

    a: Any
    b: Any
    da: Any
    db: Any
    raw: Any
    mark: int

    active = True

    def __init__(self, data: Any, name: str | None = None) -> None:
        self._data = _number(data)
        self.op = self.grad = None
        self.id = self.stamp = tick()
        self.mark = 0
        if name is not None:
            self.named(name)
        if switches.special:
            switches.mark(self)

    # ------------------------------------------------------------ what readers see

    @property
    def data(self) -> float:
        """The number; assigning it (leaves only) makes graphs recorded before stale."""
        return self._data  # type: ignore[no-any-return]

    @data.setter
    def data(self, data: Any) -> None:
        if self.op is not None:
            raise assigned_result(self)
        self._data = _number(data)
        switches.restamp(self)

    @property
    def args(self) -> tuple[Any, ...]:
        """The operands in order, repeats and plain numbers included."""
        if self.op is None:
            return ()
        if self.b is not None:
            return self.a, self.b
        actives = self.a if self.a.__class__ is tuple else (self.a,)
        return self._in_place(actives, self.raw)

    @property
    def partials(self) -> tuple[float | None, ...]:
        """The local derivative towards each of `args`; None for constants."""
        if self.op is None:
            return ()
        if self.b is not None:
            return self.da, self.db
        actives = self.da if self.da.__class__ is tuple else (self.da,)
        return self._in_place(actives, None)

    def _in_place(self, actives: tuple[Any, ...], number: Any) -> tuple[Any, ...]:
        """Things that belong to the active operands, in operand order among what the plain ones have."""
        raw = self.raw
        if raw is None:
            return actives
        if raw.__class__ is not tuple:
            return (*actives, number) if self.db == 0 else (number, *actives)
        rest = iter(actives)
        return tuple(next(rest) if r is None else r if number is raw else None for r in raw)

    @property
    def kw(self) -> dict[str, Any]:
        """The op's static arguments."""
        return self._note("kw", {})  # type: ignore[no-any-return]

    shape = ()

    def item(self) -> float:
        """The plain number."""
        return self._data  # type: ignore[no-any-return]

    def detach(self) -> Value:
        """A constant with the same number: no derivative passes."""
        return self._constant()  # type: ignore[return-value]

    # ------------------------------------------------------------ recording

    @staticmethod
    def __apply__(op: Op, args: tuple[Any, ...], kw: dict[str, Any]) -> Any:
        """Record `op` by the table's own rules; the generated operators are short cuts of this."""
        tensors = [a for a in args if isinstance(a, Node) and not isinstance(a, ValueBase)]
        if tensors and not any(isinstance(a, ValueBase) and a.active for a in args):
            return tensors[0].__apply__(op, args, kw)  # a constant number may stand beside Tensors, too
        args = tuple(_lift(op, a) for a in args)
        if any(isinstance(a, np.ndarray) for a in args):
            return _spread(op, args, kw)
        xs = [a if isinstance(a, bool) else np.float64(_plain(a)) for a in args]  # for IEEE's inf and nan
        try:
            z = op.forward(*xs, **kw)
        except AutodiffError:
            raise
        except REFUSALS as error:
            raise misfit(op, args, kw, error) from (None if op.name in RESERVED else error)
        if np.shape(z) != ():
            raise ShapeMismatch(f"{op.name} of a Value gives shape {np.shape(z)}, but a Value is one number; use ad.Tensor for arrays")
        actives = [i for i, a in enumerate(args) if isinstance(a, Node) and a.active]
        one = np.float64(1.0)
        partials = [op.vjp(i, one, z, *xs, **kw) for i in actives]
        out = many(op, args, float(z), [args[i] for i in actives], [None if d is None else float(d) for d in partials])
        if kw and out.op is not None:
            out._write("kw", kw)
        return out

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kw: Any) -> Any:
        if method == "__call__" and not kw:
            if ufunc in COMPARISONS:
                return ufunc(*map(_plain, args))
            if ufunc in OPERATORS and not any(isinstance(a, np.ndarray) and a.ndim for a in args):
                return OPERATORS[ufunc](*(a.item() if isinstance(a, np.generic | np.ndarray) else a for a in args))
        return super().__array_ufunc__(ufunc, method, *args, **kw)

    def _constant(self) -> Self:
        return ConstantValue(self._data, self.name)  # type: ignore[return-value]

    # ------------------------------------------------------------ numbers' manners

    def __isub__(self, other: Any) -> Any:
        return rebound(self) - other

    def __iadd__(self, other: Any) -> Any:
        return rebound(self) + other

    def __imul__(self, other: Any) -> Any:
        return rebound(self) * other

    def __itruediv__(self, other: Any) -> Any:
        return rebound(self) / other

    def __float__(self) -> float:
        if self.active and switches.differentiated(self):
            raise Detached(
                "float() or a function of math was called on a node inside a transform, which would lose its derivative: "
                "write ad.exp or np.exp for math.exp; or .item() if a plain number is meant"
            )
        return self._data  # type: ignore[no-any-return]

    def __int__(self) -> int:
        return int(float(self))

    def __bool__(self) -> bool:
        return bool(self._data)

    def __format__(self, spec: str) -> str:
        return format(self._data, spec) if spec else repr(self)

    def __lt__(self, other: Any) -> Any:
        return operator.lt(self._data, _plain(other))

    def __le__(self, other: Any) -> Any:
        return operator.le(self._data, _plain(other))

    def __gt__(self, other: Any) -> Any:
        return operator.gt(self._data, _plain(other))

    def __ge__(self, other: Any) -> Any:
        return operator.ge(self._data, _plain(other))

    def __eq__(self, other: Any) -> Any:
        return operator.eq(self._data, _plain(other))

    def __ne__(self, other: Any) -> Any:
        return operator.ne(self._data, _plain(other))

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        parts = [f"data={self._data!r}"]
        parts += [f"grad={self.grad!r}"] if self.grad is not None else []
        parts += [f"op={self.op.name!r}"] if self.op is not None else []
        parts += [f"name={self.name!r}"] if self.name is not None else []
        return f"{'Value' if self.active else 'constant'}({', '.join(parts)})"

    # ------------------------------------------------------------ backward

    def backward(self, seed: float = 1.0) -> None:
        """Send derivatives from here back to every node this number depends on, into their `.grad`.

        Leaves add to the gradient they have (`zero_grad` clears it); results get theirs afresh, so a
        second backward is right.  `seed` is the derivative with respect to this node itself.  Raises
        StaleGraph if a leaf was assigned since, NotConnected if this is a constant.

        Griewank and Walther, Evaluating Derivatives, 2nd ed. (SIAM 2008), section 3.2.

        >>> import autodiff as ad
        >>> x = ad.Value(3.0); (x * x).backward(); x.grad
        6.0
        """
        if not self.active:
            raise NotConnected(_CONSTANT)
        seed = _number(seed)
        if self.op is None:
            self.grad = seed if self.grad is None else self.grad + seed
            return
        results, leaves, certain = self._reach()
        if not certain or max((leaf.stamp for leaf in leaves), default=0) > results[-1].id:
            check_fresh(order(self))
        for leaf in leaves:
            if leaf.grad is None:
                leaf.grad = 0.0
        for n in results:
            n.grad = 0.0
        self.grad = seed
        for n in results:
            g = n.grad
            b = n.b
            if b is not None:
                n.a.grad += n.da * g
                b.grad += n.db * g
            elif n.a.__class__ is tuple:
                for a, d in zip(n.a, n.da, strict=True):
                    if d is not None:
                        a.grad += d * g
            else:
                n.a.grad += n.da * g
        if switches.watch is not None:
            switches.watch.swept(results)

    def _reach(self) -> tuple[list[Any], list[Any], bool]:
        """The active results below this one, youngest first; the leaves; and whether these are all leaves."""
        me = _next_pass()
        self.mark = me
        results, leaves, stack, certain = [self], [], [self], True
        found, push, pop = results.append, stack.append, stack.pop
        while stack:
            n: Any = pop()
            b = n.b
            if b is not None:
                if b.mark != me:
                    b.mark = me
                    if b.op is None:
                        leaves.append(b)
                    else:
                        found(b)
                        push(b)
                below = n.a
            elif n.a.__class__ is tuple:
                certain = certain and n.raw is None  # a constant among the operands may be a leaf, too
                for a in n.a:
                    if a.mark != me:
                        a.mark = me
                        if a.op is None:
                            leaves.append(a)
                        else:
                            found(a)
                            push(a)
                continue
            else:
                below = n.a
                certain = certain and n.raw.__class__ is not tuple
            if below.mark != me:
                below.mark = me
                if below.op is None:
                    leaves.append(below)
                else:
                    found(below)
                    push(below)
        results.sort(key=_by_id, reverse=True)
        return results, leaves, certain


class ConstantValue(Operand, ValueBase):
    """A number that is part of a graph but never differentiated; made by `ad.constant`."""

    __slots__ = ()

    active = False


add_methods(ConstantValue)

_CONSTANT = "backward was called on a constant: nothing it depends on is a variable, so there is nothing to differentiate"


def _number(x: Any) -> float:
    if isinstance(x, float):  # np.float64 is one too, and slower in every operation
        return float(x)
    if isinstance(x, Node):
        raise BadOperand("a Value's data is a plain number; to take another node's number write .item()")
    if isinstance(x, complex | np.complexfloating):
        raise BadOperand(f"{x!r} is complex, and derivatives here are of real numbers only")
    if isinstance(x, int | float | np.number | np.bool_) or (isinstance(x, np.ndarray) and x.ndim == 0 and x.dtype.kind in "fiub"):
        return float(x)
    if isinstance(x, np.ndarray | list | tuple):
        raise BadOperand(f"a Value holds one number, not an array of shape {np.shape(x)}; use ad.Tensor for arrays")
    raise BadOperand(f"a Value holds one real number, not {type(x).__name__} {x!r}")


def _lift(op: Op, x: Any) -> Any:
    """An operand as it is kept: Values as they are, numbers as plain Python numbers, arrays as arrays."""
    if isinstance(x, ValueBase) or x.__class__ is float or x.__class__ is int or x.__class__ is bool:
        return x
    if isinstance(x, Node) and x.op is None and not x.active and x.shape == ():
        return twin(x, lambda: ConstantValue(x.item(), x.name))
    if isinstance(x, Node):
        raise BadOperand(
            f"{op.name} cannot combine a Value and a Tensor. Make the number a Tensor from the start, ad.Tensor(2.0) for ad.Value(2.0); "
            "or, where it is a constant, write v.item()"
        )
    refuse_own_rules(x, op.name)
    if isinstance(x, np.ndarray) and x.ndim:
        return x
    if isinstance(x, np.generic | np.ndarray) and x.dtype.kind in "fiub":
        return x.item()
    return _number(x)


def _plain(x: Any) -> Any:
    return x._data if isinstance(x, Node) else x


def _spread(op: Op, args: tuple[Any, ...], kw: dict[str, Any]) -> Any:
    if op.kind != "elementwise":
        raise NoRule(f"{op.name} of a Value and an array has no rule; for arrays use ad.Tensor, for lists of Values ad.sum and ad.dot")
    # A Value beside an array: one Value per entry, in an array of objects.  vectorize would ask for a
    # result of the first entry twice, and so record it twice.
    boxed = []
    for a in args:
        box = np.empty(np.shape(a), object)
        box[...] = a
        boxed.append(box)
    entries = np.broadcast(*boxed)
    out = np.empty(entries.shape, object)
    out.reshape(-1)[:] = [op(*entry, **kw) for entry in entries]
    return out


def many(op: Op, args: tuple[Any, ...], z: float, actives: list[Any], partials: list[float | None]) -> Any:
    """Record a result with any number of operands, of which `actives` move."""
    if not actives:
        fixed = ConstantValue(z)
        fixed.op, fixed.raw, fixed.a, fixed.da, fixed.b = op, args, (), (), None
        return settle(fixed) if switches.special else fixed
    out = Value.__new__(Value)
    out._data, out.op, out.grad, out.mark = z, op, None, 0
    if len(actives) == 2 == len(args) and None not in partials:
        out.a, out.b = actives
        out.da, out.db = partials
    else:
        alone = len(actives) == 1 and None not in partials
        out.a, out.da = (actives[0], partials[0]) if alone else (tuple(actives), tuple(partials))
        out.b = None
        out.raw = None if len(actives) == len(args) else tuple(None if isinstance(a, Node) and a.active else a for a in args)
    out.id = tick()
    return settle(out) if switches.special else out


# ---------------------------------------------------------------- one node for a whole list


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum of an array's entries over axes; of a list of Values, as ONE node with many operands.

    >>> import autodiff as ad
    >>> ad.sum([ad.Value(1.0), ad.Value(2.0), 3.0])
    Value(data=6.0, op='sum_of')
    """
    x = [*x] if isinstance(x, Iterator | Set | ValuesView) else x
    if not (isinstance(x, list | tuple) and any(isinstance(v, ValueBase) for v in x)):
        return sum_op(x, axis=axis, keepdims=keepdims)
    if axis is not None or keepdims:
        raise ShapeMismatch("a list of Values has one axis, so ad.sum of it takes no axis= and no keepdims=")
    args = tuple(_lift(sum_of, v) for v in x)
    actives = [v for v in args if isinstance(v, Node) and v.active]
    return many(sum_of, args, float(sum_of.forward(*map(_plain, args))), actives, [1.0] * len(actives))


def dot(ws: Any, xs: Any) -> Any:
    """np.dot of arrays; of two lists of Values or numbers, w1 x1 + ... + wn xn as ONE node.

    >>> import autodiff as ad
    >>> ad.dot([ad.Value(1.0), ad.Value(2.0)], [3.0, 4.0])
    Value(data=11.0, op='dot_of')
    """
    lists = isinstance(ws, list | tuple) and isinstance(xs, list | tuple)
    if not (lists and any(isinstance(v, ValueBase) for v in (*ws, *xs))):
        return dot_op(ws, xs)
    if len(ws) != len(xs):
        raise ShapeMismatch(f"ad.dot of {len(ws)} and {len(xs)} numbers: both lists need the same length")
    args = tuple(_lift(dot_of, v) for v in (*ws, *xs))
    numbers = [_plain(v) for v in args]
    half = len(ws)
    partners = numbers[half:] + numbers[:half]
    moving = [i for i, v in enumerate(args) if isinstance(v, Node) and v.active]
    return many(dot_of, args, float(dot_of.forward(*numbers)), [args[i] for i in moving], [float(partners[i]) for i in moving])


from .value_ops import Value  # noqa: E402  (its base class stands above)
