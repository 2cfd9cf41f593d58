"""Reading a recorded graph: what its nodes are called, which axes are the same, and each node as a symbol."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain, count
from typing import Any

import numpy as np

from ..errors import NoIndexForm, NoRule, TooBig
from ..node import Node, order, tick
from ..ops.table import RESERVED, TABLE, shape_of, sum_to
from ..replay import call, links, ways
from . import expr
from .expr import Atom, Poly
from .forms import NoForm, Space, Symbol, is_literal, product

PRINTED = ("ones", "zeros", "eye", "inf", "norm", "heaviside", "trace", "diag", "outer", "einsum", "reshape", "transpose")  # by text


class Plain:
    """An array among the operands that is no node, as one more leaf of the graph; so is a constant leaf, `node`, that nobody named.

    Formulas write an array as a number where it is one throughout, or a multiple of the identity, and nobody named it; or as
    f(a), if the `link` to a leaf a says that NumPy made it so; else it has a name.
    """

    op, active = None, False

    def __init__(self, data: Any, node: Any = None) -> None:
        self.id, self.data, self.shape, self.node = tick(), data, data.shape, node
        self.link: tuple[Any, Callable[[Any], Any]] | None = None  # (a, f)


class Graph:
    """The nodes below `root`, in order, with their operands in `args`, and the names, axes and symbols of nodes and plain arrays."""

    def __init__(
        self,
        root: Any,
        names: Mapping[int, str],
        opaque: Collection[Any],
        dims: Mapping[str, Sequence[str]],
        targets: Sequence[Any],
        square: Collection[str] = (),
        scopes: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """`names` are by `id()`, of nodes and arrays; `scopes` the caller's variables, local ones first, which new names leave alone."""
        self.root, self.space = root, Space()
        self.args: dict[int, list[Any]] = {}
        self.merged: set[int] = set()  # nodes that stand for others, too
        self.renamed: dict[str, str] = {}  # names that could not be had, by what they became
        cut = {n.id for n in opaque}
        self._called = {t.id for t in targets} | cut  # these get a name, whoever gives it
        self.nodes = self._read(cut, names)
        self.plain = self._link(names, scopes)
        self._elsewhere = {name for scope in scopes[:1] for name, x in scope.items() if id(x) in names}
        self.names = self._name(names)
        self.leaves = [*filter(self.is_variable, self.nodes), *(p for p in self.plain if p.link is None)]
        unnamed = [p for p in self.leaves if p.id not in self.names and (p.node is not None or not is_literal(p.data))]
        self.names.update({p.id: self._free(f"c{k}" for k in count(1)) for p in unnamed})
        self.unnamed.update(self.names[p.id] for p in unnamed)
        self.definition = cache(self._define)
        self.axes = {x.id: self.space.new_dims(x.shape) for x in self.leaves}
        self._name_axes(dims, square)
        self.sizes = {d: k for x in (*self.nodes, *self.leaves) for d, k in zip(self.axes[x.id], x.shape, strict=True) if d}
        self.dims = {name: self.axes[i] for i, name in self.names.items()}
        self.dims.update({"∂" + name: dims for name, dims in self.dims.items()})
        self._meet_factors()
        for n in self.nodes:  # operands first, so that nothing below recurs
            self.operands(n)

    def _read(self, cut: Collection[int], found: Mapping[int, str]) -> list[Any]:
        """The nodes that the root needs if those that were cut are leaves; what nobody named and was computed twice alike is one node."""
        nodes, needed = order(self.root), {self.root.id}
        for n in reversed(nodes):
            if n.id in needed and n.id not in cut:
                needed.update(a.id for a in n.args if isinstance(a, Node))
        first: dict[int, Any] = {}
        arrays: dict[int, Plain] = {}
        seen: dict[Any, Any] = {}
        moving = {n.name for n in nodes if n.active}  # what was detached bears the name of what moves
        self._said: dict[int, str | None] = {}  # what a person calls nodes
        for n in [n for n in nodes if n.id in needed]:
            detached = n.op is None and not n.active and n.name in moving
            said = self._said[n.id] = (None if detached else n.name) or found.get(id(n))
            if n.op is None and not n.active and said is None:
                first[n.id] = Plain(np.asarray(n.data), n)
                continue
            args = [first[a.id] if isinstance(a, Node) else _operand(a, arrays) for a in n.args] if n.id not in cut else []
            own = not args or n is self.root or said or n.id in self._called
            key = n.id if own else (n.op.name, *map(_identity, args), *((k, _identity(x)) for k, x in n.kw.items()))
            same = seen.setdefault(key, n)
            if same is n or not np.array_equal(same.data, n.data):
                first[n.id], self.args[n.id] = n, args
            else:
                first[n.id] = same
                self.merged.add(same.id)
        return [n for n in nodes if n.id in self.args]

    def is_variable(self, n: Any) -> bool:
        """Is it a leaf, or taken for one?"""
        return not self.args[n.id]

    def above(self, ids: Iterable[int]) -> set[int]:
        """These nodes or arrays, and all that was computed from them, by id."""
        found = set(ids)
        for n in self.nodes:
            if any(isinstance(a, Node | Plain) and a.id in found for a in self.args[n.id]):
                found.add(n.id)
        return found

    def _link(self, found: Mapping[int, str], scopes: Sequence[Mapping[str, Any]]) -> list[Plain]:
        """The plain arrays; of those without a name it is noted how NumPy computed them from data that has one."""
        held = {id(x): x for scope in scopes for x in scope.values() if isinstance(x, np.ndarray) and id(x) in found}
        plain = {id(a.data): a for args in self.args.values() for a in args if isinstance(a, Plain)}
        bare = [p for p in plain.values() if id(p.data) not in found]
        said = [n for n in self.nodes if n.op is None and not n.active and self._said[n.id]]
        made = links([p.data for p in bare], [*said, *(p for i, p in plain.items() if i in found)])
        for p in bare:
            if (way := made.get(id(p.data))) is not None:
                p.link = way[0], lambda x, k=way[1], c=way[2]: k * x + c
            elif (view := _view(p.data, held.values())) is not None:
                p.link = plain.setdefault(id(view[0]), Plain(view[0])), view[1]
        return list(plain.values())

    # ------------------------------------------------------------ names

    def _name(self, found: Mapping[int, str]) -> dict[int, str]:
        """What formulas call nodes and arrays, as far as a person named them or they need a name."""
        self._taken = {"np", *PRINTED, *user_ops(), *(name for name, op in TABLE.items() if op.source or op.numpy)}
        self._printed: tuple[str, ...] = ()
        said = self._said
        root = self._unique(said[self.root.id] or next((x for x in "ELJ" if x not in said.values()), "loss"))
        self._printed = f"d{root}_d", f"d2{root}_d"  # so begin the names of printed results
        out = {self.root.id: root}
        out.update({n.id: self._unique(wish) for n in self.nodes if (wish := said[n.id]) and n is not self.root})
        known = [p for p in self.plain if id(p.data) in found and not (p.data.ndim == 0 and is_literal(p.data))]
        out.update({p.id: self._unique(found[id(p.data)]) for p in known})
        inner = [n for n in self.nodes if n.op is not None and n is not self.root]
        invented = {} if any(said[n.id] for n in inner) else self._activations()
        self.invented = {invented[n.id]: n for n in self.nodes if n.id in invented}  # results that were named here and not by a person
        out.update({n.id: self._unique(name) for name, n in self.invented.items()})
        without = [(k, n) for k, n in enumerate(self.nodes, 1) if n.id not in out and (n.op is None or n.id in self._called)]
        out.update({n.id: self._free(f"v{k}" + "_" * j for j in count()) for k, n in without})
        self.unnamed = {out[n.id] for _, n in without}  # names of leaves that nobody gave
        return out

    def _free(self, wishes: Iterable[str]) -> str:
        """The first of these names that neither formulas nor the caller's variables use yet."""
        name = next(name for name in wishes if name not in self._taken and name not in self._elsewhere)
        self._taken.add(name)
        return name

    def _unique(self, wish: str) -> str:
        """An identifier like the wish that formulas do not use yet."""
        name = re.sub(r"\W", "_", unicodedata.normalize("NFKC", wish))
        if keyword.iskeyword(name):
            name += "_"
        elif not name.isidentifier() or name.startswith(self._printed):
            name = "_" + name
        name = next(x for x in chain([name], (f"{name}_{k}" for k in count(2))) if x not in self._taken)
        self._taken.add(name)
        if name != wish:
            self.renamed[name] = wish
        return name

    def found_as(self, name: str) -> str:
        """What formulas call the variable that a person calls so; the name itself if that is unclear."""
        found = [new for new, old in self.renamed.items() if old == name]
        return found[0] if len(found) == 1 and name not in dict(self.data()) else name

    def _activations(self) -> dict[int, str]:
        """Names for a graph without any: what a layer computes before and after its nonlinear function."""
        affine: set[int] = set()
        names: dict[int, str] = {}
        k = 0
        for n in self.nodes:
            if self.is_variable(n):
                continue
            operands = [a.id for a in self.args[n.id] if isinstance(a, Node)]
            if n.op.kind == "bilinear" or (n.op.name in ("add", "sub") and affine & set(operands)):
                affine.add(n.id)
            elif affine.intersection(operands[:1]) and _is_activation(n.op) and n is not self.root and n.shape:
                k = next(j for j in count(k + 1) if not {f"z{j}", f"y{j}"} & self._taken)
                names[operands[0]] = f"z{k}"
                if n.op.name != "exp" and (n.op.kind == "elementwise" or n.op.name == "softmax"):  # exp is a step on the way
                    names[n.id] = f"y{k}"
        return names

    # ------------------------------------------------------------ axes

    def _name_axes(self, wished: Mapping[str, Sequence[str]], square: Collection[str]) -> None:
        """Name the axes of nodes and arrays: axes that must have the same length share theirs."""
        find = self.space.find
        met, averaged = self._join_axes(square)
        names = self._wished(wished)
        fixed, moving = ([find(d) for x in self.leaves if x.active == active for d in self.axes[x.id] if d] for active in (False, True))
        data = [d for d in fixed if d not in moving]
        mean = {find(d) for d in averaged}
        batch = [d for d in data if d in mean] or [d for d in data if data.count(d) > 1] or (list(mean) if len(mean) == 1 else [])
        if batch and batch[0] not in names:
            names[batch[0]] = self._free("m" + "_" * k for k in count())
        for d in (*map(find, met), *fixed, *moving):
            if d not in names:
                names[d] = self._free(f"n{k}" for k in count())
        self.axes = {i: tuple(names[find(d)] if d else None for d in ds) for i, ds in self.axes.items()}
        self.atoms = expr.start()  # those so far knew no names of axes
        self.definition.cache_clear()
        self.space.guards.clear()

    def _join_axes(self, square: Collection[str]) -> tuple[list[str], list[str]]:
        """Run each op on symbols, whose axes are joined where they must be; all axes in the order of use, and those averaged over."""
        for x in self.leaves:
            ds = [d for d in self.axes[x.id] if d]
            if self.names.get(x.id) in square and len(ds) == 2 and x.shape == x.shape[::-1]:
                self.space.join(*ds)
        met: list[str] = []
        averaged: list[str] = []
        for n in self.nodes:
            if self.is_variable(n):
                continue
            args = [self.named(a, f"#{a.id}") if isinstance(a, Node) else self.symbol(a) for a in self.args[n.id]]
            try:
                z = self.space.lift(call(n.op, args, n.kw))
            except NoForm:  # which is said where it is needed
                args, z = [], self.space.opaque("", n.shape, self.space.new_dims(n.shape))
            self.axes[n.id] = z.dims
            averaged += [a.name for a in expr.atoms_in(z.poly) if a.kind == "size"]
            outer = {self.space.find(d) for d in z.dims if d}
            met += [d for a in args if isinstance(a, Symbol) for d in a.dims if d and self.space.find(d) not in outer]
            met += filter(None, z.dims)
        return met, averaged

    def _wished(self, wished: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """The names that dims= gives to axes; raises ValueError where it cannot."""
        held = {self.names[x.id]: x for x in (*self.nodes, *self.leaves) if x.id in self.names}
        names: dict[str, str] = {}
        lengths: dict[str, int] = {}
        for name, given in wished.items():
            if name not in held or len(held[name].shape) != len(given):
                what = f"{name!r} has shape {held[name].shape}" if name in held else "there is no such variable"
                raise ValueError(f"dims= names the axes of {name!r} {tuple(given)}, but {what}")
            for d, length, wish in zip(self.axes[held[name].id], held[name].shape, given, strict=True):
                if not d:
                    continue
                if wish in self._taken or wish.startswith(self._printed):
                    raise ValueError(f"dims= calls an axis of {name!r} {wish!r}, a name that the formulas use already; choose another")
                if lengths.setdefault(wish, length) != length:
                    raise ValueError(f"dims= calls axes of different lengths {wish!r}: {lengths[wish]} and {length}")
                if (known := names.setdefault(self.space.find(d), wish)) != wish:
                    raise ValueError(f"dims= calls one axis both {known!r} and {wish!r}; in {name!r} it is {known!r} too")
        self._taken.update(lengths)
        return names

    # ------------------------------------------------------------ symbols

    def _meet_factors(self) -> None:
        """Number the atoms in products as they are written: Q @ K.T is then not shown as the transpose of K @ Q.T."""
        for n in self.nodes:
            for a in self.args[n.id] if n.op is not None and n.op.form is not None else []:
                while isinstance(a, Node) and a.id not in self.names and self.args[a.id]:
                    a = self.args[a.id][0]
                self.symbol(a)

    def symbol(self, x: Any) -> Any:
        """An operand as it stands in formulas: its name, or, without one, what it was made of; a plain number as it is."""
        if not isinstance(x, Node | Plain):
            return x
        return self.named(x) if x.id in self.names and x is not self.root else self.definition(x)

    def named(self, x: Any, name: str = "") -> Symbol:
        """The name of a node or array, or another."""
        return self.space.opaque(name or self.names[x.id], x.shape, self.axes[x.id], isinstance(x, Plain) and x.data.dtype == bool)

    def _define(self, x: Any) -> Symbol:
        """What a node or array was made of; `definition` remembers it."""
        if isinstance(x, Plain):
            return self.space.lift(x.data, self.axes[x.id]) if x.link is None else self.space.lift(x.link[1](self.symbol(x.link[0])))
        if self.is_variable(x):
            return self.named(x)
        with self.refusing(x):
            return self._settled(self.space.lift(call(x.op, self.operands(x), x.kw)), x)

    def _settled(self, s: Symbol, n: Any) -> Symbol:
        """A result at the axes of the node it belongs to, whose names reach the deltas that a rule made."""
        if tuple(s.shape) != tuple(n.shape):
            raise AssertionError(f"a rule gave shape {s.shape} for {n.shape}")
        for mine, known in zip(s.dims, self.axes[n.id], strict=True):
            if mine and known:
                self.space.join(mine, known)
        deltas = [a for a in expr.atoms_in(s.poly) if a.kind == "delta" and a.dims[0][0] == "?"]
        p = expr.substitute(s.poly, {a: expr.delta(self.space.find(a.dims[0])).poly for a in deltas})
        return Symbol(self.space, p, n.shape, self.axes[n.id])

    def own(self, n: Any, p: Poly) -> Poly:
        """An expression for a node over the axes that its atom has: those longer than 1."""
        places = [i for i, d in enumerate(self.axes[n.id]) if d is not None]
        return expr.relabel(p, {i: k for k, i in enumerate(places) if i != k})

    def operands(self, n: Any) -> list[Any]:
        """The operands of a node as symbols; plain numbers as they are."""
        return [self.symbol(a) for a in self.args[n.id]]

    def pull(self, n: Any, i: int, g: Symbol) -> Symbol | None:
        """The vjp of a node's op, run on symbols: what the cotangent g gives operand i."""
        xs, to = self.operands(n), self.args[n.id][i]
        with self.refusing(n):
            if n.op.form is not None:
                a, b, out = re.split(",|->", n.op.form(*(len(shape_of(x)) for x in xs), **n.kw))
                other = f"{out},{b}->{a}" if i == 0 else f"{out},{a}->{b}"
                d = sum_to(product(self.space, other, [g, xs[1 - i]], to.shape), to.shape)
            else:
                z = self.definition(n) if n.op.name in expr.EXTREMES else self.symbol(n)
                d = n.op.vjp(i, g, z, *xs, **n.kw)
        if d is None:
            return None
        d = self._settled(self.space.lift(d), to)
        return d.map(self.space.known) if n.op.kind == "general" else d

    # ------------------------------------------------------------ what the variables hold

    def data(self) -> list[tuple[str, Any]]:
        """The names and recorded values of leaves and plain arrays."""
        return [(self.names[x.id], x.data) for x in self.leaves if x.id in self.names]

    def variables(self) -> list[Atom]:
        """The atoms of leaves and plain arrays."""
        return [atom_of(self.symbol(x)) for x in self.leaves if x.id in self.names and x is not self.root]

    def recorded(self, used: Callable[[str], bool] | None = None) -> dict[str, Any]:
        """What a formula must explain if used names are made of it: arrays without a name, and conditions, which follow no variable."""
        named = [(self.names[p.id], p) for p in self.plain if p.id in self.names]
        found = [(name, p) for name, p in named if name in self.unnamed or p.data.dtype == bool]
        if used is not None:
            found = [(name, p) for name, p in found if any(used(self.names[i]) for i in self.names.keys() & self.above([p.id]))]
        return {name: p.data for name, p in found}

    def perhaps_from(self, given: Collection[str]) -> tuple[str, Any] | None:
        """A plain array that stands as a number in formulas, and the first of these names that it may have been computed from."""
        inlined = [x.data for x in self.leaves if x.id not in self.names]
        known = [x for x in self.leaves if self.names.get(x.id) in given]
        return next(((self.names[x.id], a.flat[0]) for a in inlined for x, _, _ in ways(a, known)), None)

    def check_shapes(self, given: Mapping[str, tuple[int, ...]]) -> None:
        """Raises ValueError where arrays do not have the axes of their variables, in lengths that fit all others."""
        known: dict[str | None, tuple[str, int]] = {}
        for name, x in self.data():
            shape, dims = given.get(name, np.shape(x)), self.dims[name]
            if len(shape) != len(dims) or any(d is None and n != 1 for n, d in zip(shape, dims, strict=True)):
                raise ValueError(f"{name} came with shape {shape}, but was recorded with shape {np.shape(x)}")
            for d, n in zip(dims, shape, strict=True):
                other, length = known.setdefault(d, (name, n))
                if n != length:
                    mine, its = (name, other) if name in given else (other, name)
                    raise ValueError(
                        f"{mine} came with shape {given[mine]}, which does not fit {its} along their axis {d}: {length} and {n}"
                    )

    # ------------------------------------------------------------ errors

    @contextmanager
    def refusing(self, n: Any) -> Iterator[None]:
        """A block whose refusals are said of node n."""
        try:
            yield
        except (NoForm, NoRule) as error:
            raise self._no_form(n, error) from None
        except expr.TooDeep:
            raise TooBig(
                f"the formula at {self.label(n)} grows too long to read: too much between it and the nearest names. Give intermediate "
                f"results names, such as z1 = (W1 @ x).named('z1'); they then stand in the formula as they are."
            ) from None

    def label(self, n: Any) -> str:
        """A node in a message."""
        place = 1 + sum(1 for m in self.nodes if m.id < n.id)
        return self.names.get(n.id) or f"v{place}, the result of {n.op.name} of shape {tuple(n.shape)}"

    def _no_form(self, n: Any, error: Exception) -> NoIndexForm:
        who, op = self.label(n), n.op.name
        needs = str(error) if isinstance(error, NoForm) else op
        why = "has no index form here" if op in RESERVED or needs != op else "is an op of yours declared without index="
        onwards = f"Derive from there on, with {who.split(',')[0]} as a variable of its own, by ad.derive(..., opaque=[node])."
        return NoIndexForm(
            f"{who} cannot be written as a formula: {op} {why}{'' if needs == op else f' (its rule needs {needs})'}. "
            f"{self._instead(n)}{'Write it in sums, products and functions of entries.' if n is self.root else onwards}"
        )

    def _instead(self, n: Any) -> str:
        """What picks the same entries as an index, and has a form: products with rows and columns of the identity, one-hot sums."""
        x: Any = self.args[n.id][0] if n.op.name == "getitem" else None
        index = n.kw["index"] if x is not None else ()
        parts = [*index] if isinstance(index, tuple) else [index]
        if not parts or len(x.shape) not in (1, 2) or any(i is None or i is Ellipsis or np.ndim(i) > 1 for i in parts):
            return ""
        parts += [slice(None)] * (len(x.shape) - len(parts))
        along = next((k for k in (1, 0) if len(x.shape) == 2 and np.array_equal(parts[1 - k], np.arange(x.shape[1 - k]))), None)
        if sum(np.ndim(i) == 1 for i in parts) < 2:
            eyes = [eye for eye in zip("SR", x.shape, ("", ":, "), parts, strict=False) if _written(eye[-1]) != ":"]
            made_of = [eye[0] for eye in eyes]
            instead = "S @ " * ("S" in made_of) + "{0}" + " @ R" * ("R" in made_of)
        elif along is not None:
            eyes, instead = [("T", x.shape[along], "" if along else ":, ", parts[along])], f"np.sum(T * {{0}}, axis={along})"
        else:
            return ""
        made = [f"{name} = ad.constant(np.eye({k})[{before}{_written(i)}], name='{name}')" for name, k, before, i in eyes]
        a, where = (self.names[x.id], "") if x.id in self.names else ("A", f", A the result of {x.op.name}")
        where += ", labels the recorded index" * any("labels]" in m for m in made)
        return f"Instead of the index write {instead.format(a)}, with {', '.join(made)}{where}. "


def _written(i: Any) -> str:
    """An index as it is written."""
    if isinstance(i, slice):
        return ":".join("" if k is None else str(k) for k in ((i.start, i.stop) if i.step is None else (i.start, i.stop, i.step)))
    return "labels" if np.size(i) > 8 else str(np.asarray(i).tolist())


def _operand(a: Any, arrays: dict[int, Plain]) -> Any:
    """An operand as it is held here: arrays, and conditions on numbers, which are recorded as plain bools, as leaves."""
    if isinstance(a, bool | np.bool_):
        return Plain(np.asarray(a))
    return arrays.setdefault(id(a), Plain(a)) if isinstance(a, np.ndarray) else a


_column, _row, _between = (partial(TABLE["getitem"], index=i) for i in ((..., None), (None,), (slice(None), None)))
VIEWS: tuple[Callable[[Any], Any], ...] = (lambda a: a, _row, _column, lambda a: a.T, _between)  # the last two of more than vectors


def _view(x: Any, held: Collection[Any]) -> tuple[Any, Callable[[Any], Any]] | None:
    """One of the arrays `held` that x is a view of, and which; or the only one of integers that x holds as floats."""
    ways = [(a, f, f(a)) for a in held if a.ndim for f in VIEWS[: 3 if a.ndim == 1 else 5]] if x.size > 1 else []
    ways = [way for way in ways if way[2].shape == x.shape]
    here = [(a, f) for a, f, v in ways if v.strides == x.strides and v.ctypes.data == x.ctypes.data]
    equal = [(a, f) for a, f, v in ways if v.dtype.kind in "iu" and not is_literal(x) and np.array_equal(v, x)]
    return here[0] if here else equal[0] if len(equal) == 1 else None


def _identity(x: Any) -> Any:
    """What operands and keywords are told apart by: plain numbers and texts by value, all else by object."""
    if isinstance(x, tuple):
        return tuple(map(_identity, x))
    return (type(x), x) if x is None or isinstance(x, int | float | str) else id(x)


def _is_activation(op: Any) -> bool:
    return op.arity == 1 and (op.kind == "general" or (op.kind == "elementwise" and callable(op.partials[0])))


def user_ops() -> dict[str, Any]:
    """The functions of elementwise ops that a person declared, and that no NumPy source stands for, by name."""
    mine = [(name, op) for name, op in TABLE.items() if name not in RESERVED and op.kind == "elementwise"]
    return {name: op.forward for name, op in mine if not op.source and not op.numpy}


def atom_of(s: Symbol) -> Atom:
    """The atom of a symbol that is a name."""
    return s.poly.only()[0][0][0]
