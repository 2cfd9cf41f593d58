"""Symbols: what the rules of the op table are run on to give formulas.

A `Symbol` has a shape like an array and an expression for its entries.  Everything an op does to it follows
from the op's own record: its index form says what the result is, and its vjp or partials, run on symbols, say
what its derivative is.  This file holds no rule for any particular op but sums, products and powers, which
index forms are written in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import count
from string import ascii_lowercase
from typing import Any

import numpy as np

from ..errors import ShapeMismatch
from ..ops import Op
from ..ops.operand import Operand
from ..ops.table import shape_of
from . import expr
from .expr import Poly, add, constant, contract, mul, power, relabel
from .simplify import known_functions

Dims = tuple[str | None, ...]


class NoForm(Exception):
    """Something without an index form was asked for one; callers say at which node."""


class Space:
    """What the symbols of one derivation share: which axes are the same, and what was taken for granted."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._count = count(1)
        self.guards: list[Poly] = []  # what was taken not to be zero
        self.known = expr.Rewrite(known_functions)

    def new_dims(self, shape: Sequence[int]) -> Dims:
        """A dimension for each axis longer than 1."""
        return tuple(f"?{next(self._count)}" if n != 1 else None for n in shape)

    def find(self, dim: str) -> str:
        """The dimension that this one was joined to."""
        while dim in self._parents:
            dim = self._parents[dim]
        return dim

    def join(self, a: str, b: str) -> None:
        """Two dimensions are the same; two that have names stay apart."""
        a, b = self.find(a), self.find(b)
        if a != b and "?" in (a[0], b[0]):
            self._parents.update({b: a} if b[0] == "?" else {a: b})

    def lift(self, x: Any, dims: Dims | None = None) -> Symbol:
        """A plain operand as a symbol; raises NoForm for an array that is neither one number throughout nor a multiple of the identity."""
        if isinstance(x, Symbol):
            return x
        if isinstance(x, Size):
            return x.symbol
        array = x if isinstance(x, np.ndarray) else np.asarray(x, float)  # rules compare plain numbers, which gives plain bools
        if not is_literal(array):
            raise NoForm("an array of its own")
        dims = self.new_dims(array.shape) if dims is None else dims
        p = expr.numeral(float(array.flat[0]))
        if _is_filled(array):
            return Symbol(self, p, array.shape, dims)
        row, column = map(str, dims)
        self.join(row, column)
        return Symbol(self, mul(p, expr.factor(expr.delta(row), (0, 1))), array.shape, (row, row))

    def opaque(self, name: str, shape: Sequence[int], dims: Dims, indicator: bool = False) -> Symbol:
        """The symbol of a name."""
        own = [i for i, d in enumerate(dims) if d is not None]
        atom = expr.var(name, [dims[i] for i in own], indicator)  # type: ignore[misc]
        return Symbol(self, expr.factor(atom, tuple(own)), tuple(shape), dims)


class Size(int):
    """The length of an axis as a number that remembers, in `symbol`, which axis; so do products and quotients of lengths."""

    symbol: Symbol

    def __new__(cls, n: int, symbol: Symbol) -> Size:
        out = super().__new__(cls, n)
        out.symbol = symbol
        return out

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        factor = other.symbol.poly if isinstance(other, Size) else constant(other)
        return Size(int(self) * int(other), self.symbol.map(lambda p: mul(p, factor)))  # at once: shapes are multiplied often

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        return Size(int(int(self) - other), self.symbol - other) if other else self

    def __truediv__(self, other: Any) -> Any:
        return self.symbol / other


def is_literal(a: Any) -> bool:
    """Is an array written as a number: is it one throughout, or a multiple of the identity?

    Conditions are not, for one that held everywhere may not hold at other values.
    """
    return a.dtype != bool and (_is_filled(a) or _is_scaled_identity(a))


def _is_filled(a: Any) -> bool:
    return a.ndim == 0 or bool(a.size and (a == a.flat[0]).all())


def _is_scaled_identity(a: Any) -> bool:
    return a.ndim == 2 and 1 < a.shape[0] == a.shape[1] and bool((a == a[0, 0] * np.eye(len(a))).all())


def _comparison(name: str, sign: int) -> Callable[[Symbol, Any], Symbol]:
    """How a symbol stands to another operand, as a function of their difference, times a sign."""
    return lambda self, other: (self - other).map(lambda p: expr.fn(name, expr.scale(p, sign)))


class Symbol(Operand):
    """An operand that is an expression: its entries over the labels 0, 1, .. of its axes.

    An axis of length 1 has no dimension (None) and no label.
    """

    __slots__ = ("space", "poly", "_shape", "dims")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, space: Space, poly: Poly, shape: Sequence[int], dims: Dims) -> None:
        self.space, self.poly, self._shape, self.dims = space, poly, tuple(shape), dims

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(
            1 if d is None else n if isinstance(n, Size) else Size(n, Symbol(self.space, expr.size(d), (), ()))
            for n, d in zip(self._shape, self.dims, strict=True)
        )

    dtype = None  # numbers of every precision read alike
    ndim = property(lambda self: len(self._shape))

    @staticmethod
    def __apply__(op: Op, args: Sequence[Any], kw: dict[str, Any]) -> Any:
        space = next(a.space for a in args if isinstance(a, Symbol))
        args = [a.symbol if isinstance(a, Size) else a for a in args]
        if any(isinstance(a, float) and not math.isfinite(a) for a in args):  # inf and nan follow no rule that formulas are made by
            raise NoForm(op.name)
        if op.name == "where" and isinstance(args[0], Symbol) and all(any(f[0].name == "==" for f in m) for m in args[0].poly.terms):
            space.guards.append(args[0].poly)
            return space.lift(args[2])
        if op.name in ("add", "mul"):
            return _entrywise(space, add if op.name == "add" else mul, args)
        if op.name == "pow":
            args = [space.lift(a) for a in args]
            if args[1].poly.terms.keys() <= {()}:  # the exponent is a number
                return args[0].map(lambda p: power(p, args[1].poly.terms.get((), 0)))
        if op.form is not None:
            return product(space, op.form(*(len(shape_of(a)) for a in args), **kw), args)
        if isinstance(op.index, str) and len(args[0]._shape) == 2 and None not in args[0].dims:
            space.join(*args[0].dims)
            return _of_itself(space, op, op.index, args[0])
        if callable(op.index):
            found = op.index(*args, **kw)
            if isinstance(found, str) and " " in found:
                return _of_itself(space, op, found.partition(" ")[2], space.lift(args[0]))
            if isinstance(found, str):
                return product(space, found, args)
            if isinstance(found, tuple):
                return product(space, found[0], args, found[1])
            if found is not None:
                found = space.lift(found)
                return found.map(space.known) if op.kind == "general" else found  # what softmax does in one go stays in one piece
        elif op.kind == "elementwise" and op.arity == 1:
            return args[0].map(lambda p: expr.fn(op.name, p))
        raise NoForm(op.name)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kw: Any) -> Any:
        return True if ufunc is np.isfinite else super().__array_ufunc__(ufunc, method, *args, **kw)

    def map(self, f: Callable[[Poly], Poly]) -> Symbol:
        """The same axes, other entries."""
        return Symbol(self.space, f(self.poly), self._shape, self.dims)

    __gt__, __ge__ = _comparison(">", 1), _comparison(">=", 1)
    __lt__, __le__ = _comparison(">", -1), _comparison(">=", -1)
    __eq__ = _comparison("==", 1)  # type: ignore[assignment]

    __and__ = __rand__ = Operand.__mul__


# ---------------------------------------------------------------- sums, products, powers


def _entrywise(space: Space, combine: Callable[[Poly, Poly], Poly], operands: Sequence[Any]) -> Symbol:
    """A sum or product entry by entry: axes that meet, counted from the last, are the same."""
    xs = [space.lift(x) for x in operands]
    letters = ascii_lowercase[: max([x.ndim for x in xs])]
    form = ",".join([letters[len(letters) - x.ndim :] for x in xs])
    return product(space, f"{form}->{letters}", xs, combine=combine)


def product(
    space: Space,
    form: str,
    operands: Sequence[Any],
    shape: Sequence[int] | None = None,
    combine: Callable[[Poly, Poly], Poly] = mul,
) -> Symbol:
    """A product of any number of operands in Einstein's notation; "1" is an axis of length 1.

    `shape` is that of the result, if it has axes of its own.  Raises ShapeMismatch for axes of one letter and several lengths.
    """
    before, _, out = form.partition("->")
    labels: dict[str, int] = {}
    sizes: dict[str, tuple[int, str]] = {}
    parts = []
    for letters, x in zip(before.split(","), map(space.lift, operands), strict=True):
        names = {}
        for i, (letter, n, d) in enumerate(zip(letters, x._shape, x.dims, strict=True)):
            if d is None:
                continue
            known, same = sizes.get(letter, (n, d))
            if known != n:
                raise ShapeMismatch(f"the axes {letter!r} of {form!r} have lengths {known} and {n}")
            if same != d:
                space.join(same, d)
            sizes[letter] = n, d if same[0] == "?" else same
            names[i] = labels.setdefault(letter, out.index(letter) if letter in out else expr.fresh([0])[0])
        parts.append(x.poly if list(names) == list(names.values()) else relabel(x.poly, names))
    total = contract(reduce(combine, parts), {labels[s]: sizes[s][1] for s in sizes if s not in out})
    for i, letter in enumerate(out):
        n = 1 if shape is None or letter == "1" else shape[i]
        if letter not in sizes and n != 1:
            sizes[letter] = n, _dim_of(n, space)
        elif labels.get(letter, i) != i:
            total = mul(total, expr.factor(expr.delta(sizes[letter][1]), (labels[letter], i)))
    axes = [sizes.get(letter, (1, None)) for letter in out]
    return Symbol(space, total, [n for n, _ in axes], tuple([d for _, d in axes]))


def _of_itself(space: Space, op: Op, form: str, x: Symbol) -> Symbol:
    """An op that stands for itself, over the axes that its form drops; of a whole matrix, it mixes those that stay."""
    before, _, out = form.partition("->")
    kept = [before.find(letter) for letter in out]
    long = {i: d for i, d in enumerate(x.dims) if d is not None}
    gone = {i: d for i, d in long.items() if i not in kept}
    mixed = {i: d for i, d in long.items() if i in kept and form == op.index}
    p = expr.fn(op.name, x.poly, mixed, gone) if mixed or gone else x.poly
    places = {k: i for i, k in enumerate(kept) if k >= 0}
    shape = [1 if k < 0 else x._shape[k] for k in kept]
    return Symbol(space, relabel(p, places), shape, tuple(None if k < 0 else x.dims[k] for k in kept))


def _dim_of(n: int, space: Space) -> str:
    atoms = [a for m in n.symbol.poly.terms for a, _, _ in m if a.kind == "size"] if isinstance(n, Size) else []
    return atoms[0].name if len(atoms) == 1 else str(space.new_dims((n,))[0])


# ---------------------------------------------------------------- derivatives of expressions


def derivative(p: Poly, atom: expr.Atom, space: Space, labels: Sequence[int]) -> Poly:
    """The derivative of p in the variable `atom`, whose axes become the labels `labels`, all from PASSENGER on.

    Functions are differentiated by their own records: by the partials of elementwise ops, the jvp of others.
    """
    from ..ops import TABLE

    made: dict[expr.Atom, Poly] = {}  # the derivative of each atom, over its own axes and `labels`

    def of(q: Poly) -> Poly:
        parts = []
        for m, c in q.terms.items():
            for i, (a, ls, k) in enumerate(m):
                if made.get(a, expr.ZERO).terms:
                    lowered = constant(c) if k == 1 else expr.scale(expr.factor(a, ls, k - 1), c * k)
                    rest = Poly({m[:i] + m[i + 1 :]: 1})
                    parts.append(mul(mul(rest, lowered), relabel(made[a], dict(enumerate(ls)))))
        return add(*parts)

    for a in expr.atoms_in(p):
        if a == atom:
            made[a] = expr.ONE
            for i, label in enumerate(labels):
                made[a] = mul(made[a], expr.factor(expr.delta(a.dims[i]), (i, label)))
        elif not any(made[x].terms for x in a.parts):
            made[a] = expr.ZERO
        elif a.kind != "fn":
            made[a] = contract(of(a.body), a.gone, keep=False)
        elif a.indicator:
            made[a] = expr.ZERO
        else:
            dims = (*a.dims, *a.gone.values())
            x, t = (Symbol(space, p, (2,) * len(dims), dims) for p in (a.body, of(a.body)))
            z = Symbol(space, a.poly, (2,) * len(a.dims), a.dims)
            op = TABLE[a.name]
            if op.kind == "elementwise":
                partial = op.partials[0]
                made[a] = (t * (partial(z, x) if callable(partial) else partial or 0)).poly
            else:
                axes = {} if isinstance(op.index, str) else {"axis": (*a.mixed, *a.gone)}
                made[a] = op.jvp([t], z, x, **axes).poly
    return of(p)
