"""Symbols: what the rules of the op table are run on to give formulas.

A `Symbol` has a shape like an array and an expression for its entries.  Everything an op does to it follows
from the op's own record: its index form says what the result is, and its vjp or partials, run on symbols, say
what its derivative is.  This file holds no rule for any particular op but sums, products and powers, which
index forms are written in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import count
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
    """An op without an index form was asked for one; callers say at which node."""

    def __init__(self, op: Op) -> None:
        super().__init__(op.name)
        self.op = op


class Space:
    """What the symbols of one derivation share: which axes are the same, and what plain arrays are called."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._count = 0
        self.called: dict[int, str] = {}  # names of plain arrays, by id()
        self.taken: set[str] = set()  # names that the arrays which nobody named must not get
        self.constants: dict[str, Any] = {}
        self.guards: list[Poly] = []  # what was taken not to be zero
        self.known = expr.Rewrite(known_functions)

    def new_dim(self) -> str:
        self._count += 1
        return f"?{self._count}"

    def find(self, dim: str) -> str:
        while dim in self._parents:
            dim = self._parents[dim]
        return dim

    def join(self, a: str, b: str) -> None:
        a, b = self.find(a), self.find(b)
        if a != b and "?" in (a[0], b[0]):
            self._parents.update({b: a} if b[0] == "?" else {a: b})

    def lift(self, x: Any, dims: Dims | None = None) -> Symbol:
        """A plain operand as a symbol; arrays get the name a person gave them."""
        if isinstance(x, Symbol):
            return x
        if isinstance(x, Size):
            return Symbol(self, x.poly, (), ())
        array = np.asarray(x)
        if array.ndim == 0 and not (isinstance(x, np.ndarray) and x.dtype == bool):  # rules compare plain numbers, too
            return Symbol(self, plain_number(float(array)), (), ())
        dims = tuple(self.new_dim() if n != 1 else None for n in array.shape) if dims is None else dims
        name = self.called.get(id(x))
        named = name or array.dtype == bool  # a condition that held everywhere may not hold at other values
        if not named and array.size and (array == array.flat[0]).all():
            return Symbol(self, plain_number(float(array.flat[0])), array.shape, dims)
        if not named and array.ndim == 2 and dims[0] and dims[1] and _is_scaled_identity(array):
            self.join(dims[0], dims[1])
            identity = mul(plain_number(float(array[0, 0])), expr.factor(expr.delta(dims[0]), (0, 1)))
            return Symbol(self, identity, array.shape, (dims[0], dims[0]))
        name = name or next(c for k in count(1) if (c := f"c{k}") not in self.taken and c not in self.constants)
        self.constants[name] = array
        return self.opaque(name, array.shape, dims, indicator=array.dtype == bool)

    def opaque(self, name: str, shape: Sequence[int], dims: Dims, indicator: bool = False) -> Symbol:
        """The symbol of a name."""
        own = [i for i, d in enumerate(dims) if d is not None]
        atom = expr.var(name, [dims[i] for i in own], indicator)  # type: ignore[misc]
        return Symbol(self, expr.factor(atom, tuple(own)), tuple(shape), dims)


class Size(int):
    """The length of an axis that remembers which axis; products and quotients of lengths remember too."""

    poly: Poly
    space: Space

    @staticmethod
    def of(n: int, poly: Poly, space: Space) -> Size:
        out = Size(n)
        out.poly, out.space = poly, space
        return out

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return Size.of(int(self) * int(other), mul(self.poly, other.poly if isinstance(other, Size) else constant(other)), self.space)

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        less = expr.scale(plain_number(float(other)), -1)
        return Size.of(int(int(self) - other), add(self.poly, less), self.space) if other else self

    def __truediv__(self, other: Any) -> Any:
        return self.space.lift(self) / (self.space.lift(other) if isinstance(other, Size) else other)


def _is_scaled_identity(a: Any) -> bool:
    return bool(a.size and a.shape[0] == a.shape[1] and (a == a[0, 0] * np.eye(len(a))).all())


def plain_number(x: float) -> Poly:
    """A number as an exact fraction if it is a short one, else as an atom that prints as it is."""
    if not np.isfinite(x):
        return expr.numeral(x)
    short = Fraction(x).limit_denominator(10**6)
    return constant(expr.number(short)) if float(short) == x else expr.numeral(x)


class Symbol(Operand):
    """An operand that is an expression: its entries over the labels 0, 1, .. of its axes.

    An axis of length 1 has no dimension (None) and no label.
    """

    __slots__ = ("space", "poly", "_shape", "dims", "guard")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, space: Space, poly: Poly, shape: Sequence[int], dims: Dims, guard: bool = False) -> None:
        self.space, self.poly, self._shape, self.dims, self.guard = space, poly, tuple(shape), dims, guard

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(
            1 if d is None else n if isinstance(n, Size) else Size.of(n, expr.size(d), self.space)
            for n, d in zip(self._shape, self.dims, strict=True)
        )

    dtype = None  # numbers of every precision read alike
    ndim = property(lambda self: len(self._shape))

    @staticmethod
    def __apply__(op: Op, args: Sequence[Any], kw: dict[str, Any]) -> Any:
        space = next(a.space for a in args if isinstance(a, Symbol))
        args = [space.lift(a) if isinstance(a, Size) else a for a in args]
        if any(isinstance(a, float) and not math.isfinite(a) for a in args):  # inf and nan follow no rule that formulas are made by
            raise NoForm(op)
        if op.name == "where" and isinstance(args[0], Symbol) and args[0].guard:
            space.guards.append(args[0].poly)
            return args[2]
        if op.name in _CORE:
            return _CORE[op.name](space, op, *args)
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
        raise NoForm(op)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kw: Any) -> Any:
        return True if ufunc is np.isfinite else super().__array_ufunc__(ufunc, method, *args, **kw)

    def map(self, f: Callable[[Poly], Poly]) -> Symbol:
        """The same axes, other entries."""
        return Symbol(self.space, f(self.poly), self._shape, self.dims)

    def at(self, dims: Dims) -> Symbol:
        """The same entries, axes of known names."""
        return Symbol(self.space, self.poly, self._shape, dims)

    def __lt__(self, other: Any) -> Symbol:
        return _asks(">", other - self)

    def __le__(self, other: Any) -> Symbol:
        return _asks(">=", other - self)

    def __gt__(self, other: Any) -> Symbol:
        return _asks(">", self - other)

    def __ge__(self, other: Any) -> Symbol:
        return _asks(">=", self - other)

    def __eq__(self, other: Any) -> Symbol:  # type: ignore[override]
        found = _asks("==", self - other)
        found.guard = True
        return found

    def __and__(self, other: Any) -> Symbol:
        both = self * other
        both.guard = self.guard or getattr(other, "guard", False)
        return both  # type: ignore[no-any-return]

    __rand__ = __and__


def _asks(name: str, x: Symbol) -> Symbol:
    return x.map(lambda p: expr.fn(name, p))


# ---------------------------------------------------------------- sums, products, powers


def _broadcast(space: Space, xs: Sequence[Symbol]) -> tuple[list[Poly], tuple[int, ...], Dims]:
    """The entries of all operands over the axes of the result; axes that meet are the same."""
    rank = max(len(x._shape) for x in xs)
    shape: list[int] = [1] * rank
    dims: list[str | None] = [None] * rank
    polys = []
    for x in xs:
        shift = rank - len(x._shape)
        polys.append(relabel(x.poly, {i: i + shift for i in range(len(x._shape))}) if shift and x._shape else x.poly)
        for i, (n, d) in enumerate(zip(x._shape, x.dims, strict=True), shift):
            if d is None:
                continue
            if dims[i] is None:
                shape[i], dims[i] = n, d
            elif dims[i] != d:
                mine = str(dims[i])
                space.join(mine, d)
                dims[i] = d if mine[0] == "?" else mine
    return polys, tuple(shape), tuple(dims)


def _sum(space: Space, op: Op, *xs: Any) -> Symbol:
    polys, shape, dims = _broadcast(space, [space.lift(x) for x in xs])
    return Symbol(space, add(*polys), shape, dims)


def _product(space: Space, op: Op, *xs: Any) -> Symbol:
    polys, shape, dims = _broadcast(space, [space.lift(x) for x in xs])
    return Symbol(space, mul(polys[0], polys[1]), shape, dims)


def _power(space: Space, op: Op, x: Any, y: Any) -> Symbol:
    exponent = space.lift(y).poly
    if len(exponent) <= 1 and (not exponent.terms or () in exponent.terms):
        return space.lift(x).map(lambda p: power(p, exponent.terms.get((), 0)))
    return op.index(space.lift(x), space.lift(y))  # type: ignore[operator, misc, no-any-return]


_CORE: dict[str, Callable[..., Symbol]] = {"add": _sum, "mul": _product, "pow": _power}


def product(space: Space, form: str, operands: Sequence[Any], shape: Sequence[int] | None = None) -> Symbol:
    """A product of any number of operands in Einstein's notation; "1" is an axis of length 1."""
    before, _, out = form.partition("->")
    labels: dict[str, int] = {}
    sizes: dict[str, tuple[int, str]] = {}
    total = expr.ONE
    for letters, x in zip(before.split(","), map(space.lift, operands), strict=True):
        names = {}
        for i, (letter, n, d) in enumerate(zip(letters, x._shape, x.dims, strict=True)):
            if d is None:
                continue
            if letter in sizes and sizes[letter][0] != n:
                raise ShapeMismatch(f"the axes {letter!r} of {form!r} have lengths {sizes[letter][0]} and {n}")
            if letter in sizes:
                space.join(sizes[letter][1], d)
            if letter not in sizes or sizes[letter][1][0] == "?":
                sizes[letter] = n, d
            labels.setdefault(letter, out.index(letter) if letter in out else next(iter(expr.fresh([0]).values())))
            names[i] = labels[letter]
        total = mul(total, relabel(x.poly, names) if names else x.poly)
    total = contract(total, {labels[s]: sizes[s][1] for s in sizes if s not in out})
    result: list[int] = []
    dims: list[str | None] = []
    deltas = []
    for i, letter in enumerate(out):
        if letter in sizes:
            n, d = sizes[letter]
            if labels[letter] != i:
                deltas.append((d, labels[letter], i))
        else:
            n = shape[i] if shape is not None and letter != "1" else 1
            d = None if n == 1 else _dim_of(n, space)
        result.append(n)
        dims.append(d)
    for d, i, j in deltas:
        total = mul(total, expr.factor(expr.delta(d), (i, j)))
    return Symbol(space, total, result, tuple(dims))


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
    atoms = [a for m in n.poly.terms for a, _, _ in m if a.kind == "size"] if isinstance(n, Size) else []
    return atoms[0].name if len(atoms) == 1 else space.new_dim()


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
