"""Reading a recorded graph: what its nodes are called, which axes are the same, and each node as a symbol."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import NoIndexForm, NoRule, TooBig
from ..node import Node, order
from ..ops.table import RESERVED, TABLE, shape_of, sum_to
from ..replay import LINKS, call, links
from . import expr
from .expr import Atom, Poly
from .forms import NoForm, Space, Symbol, product


class Graph:
    """The nodes below `root`, in order, with names, axes and symbols."""

    def __init__(
        self,
        root: Any,
        names: Mapping[int, str],
        opaque: Collection[Any],
        dims: Mapping[str, Sequence[str]],
        targets: Sequence[Any],
        square: Collection[str] = (),
    ) -> None:
        self.root = root
        self.cut = {n.id for n in opaque}
        self.space = Space()
        self.renamed: dict[str, str] = {}  # names that could not be had, by what they became
        self._called = {t.id for t in targets} | self.cut
        found = {key: name for key, name in names.items() if name.isidentifier()}
        self.merged: set[int] = set()  # nodes that stand for others, too
        self.args: dict[int, list[Any]] = {}
        self.nodes = self._without_repeats(self._above_the_cut(order(root)), found)
        self.names = self._name(found)
        self.arrays = {id(a): a for args in self.args.values() for a in args if isinstance(a, np.ndarray)}
        for key in self.arrays:
            if key in found:
                self.space.called[key] = self._unique(found[key])
        fixed = [n for n in self.nodes if n.op is None and not n.active and n.shape]
        named = [*fixed, *(a for key, a in self.arrays.items() if key in self.space.called)]
        made = links([a for key, a in self.arrays.items() if key not in self.space.called], named)
        self.links = {key: link for key, link in made.items() if link is not None}
        self.space.taken = self._taken
        self.sizes: dict[str, int] = {}
        self.axes = self._axes(dims, square)
        self._taken.update(self.sizes)
        self._inline: dict[int, Symbol] = {}
        self._raw: dict[int, Symbol] = {}
        self._meet_factors()
        for n in self.nodes:  # operands first, so that nothing below recurs
            self.operands(n)
        constants = self.space.constants.items()
        self.array_names = {key: name for key, a in self.arrays.items() for name, b in constants if b is a}  # others print as numbers

    def _meet_factors(self) -> None:
        """Number the atoms in products as they are written: Q @ K.T is then not shown as the transpose of K @ Q.T."""
        for n in self.nodes:
            for a in self.args[n.id] if n.op is not None and n.op.form is not None else []:
                while isinstance(a, Node) and a.id not in self.names and self.args[a.id]:
                    a = self.args[a.id][0]
                self.operand(a)

    def _above_the_cut(self, nodes: list[Any]) -> list[Any]:
        """The nodes that the root needs if those that were cut are variables."""
        needed = {self.root.id}
        for n in reversed(nodes):
            if n.id in needed and n.id not in self.cut:
                needed.update(a.id for a in n.args if isinstance(a, Node))
        return [n for n in nodes if n.id in needed]

    def _without_repeats(self, nodes: list[Any], found: Mapping[int, str]) -> list[Any]:
        """The nodes with their operands in `args`: what nobody named and was computed twice alike is one node."""
        seen: dict[Any, Any] = {}
        first: dict[int, Any] = {}
        for n in nodes:
            # A condition on numbers is recorded as a plain bool, which here becomes an array of its own, to be told from others.
            plain = [np.asarray(a) if isinstance(a, bool | np.bool_) else a for a in n.args] if n.id not in self.cut else []
            args = [first[a.id] if isinstance(a, Node) else a for a in plain]
            own = self.is_variable(n) or n is self.root or n.name or id(n) in found or n.id in self._called
            key = n.id if own else (n.op.name, *map(_identity, args), *((k, _identity(x)) for k, x in n.kw.items()))
            same = seen.setdefault(key, n)
            if same is not n and np.array_equal(same.data, n.data):
                first[n.id] = same
                self.merged.add(same.id)
            else:
                first[n.id], self.args[n.id] = n, args
        return [n for n in nodes if n.id in self.args]

    def is_variable(self, n: Any) -> bool:
        """Is it a leaf, or taken for one?"""
        return n.op is None or n.id in self.cut

    # ------------------------------------------------------------ names

    def _name(self, found: dict[int, str]) -> dict[int, str]:
        self._taken = {
            "np",
            "ones",
            "zeros",
            "eye",
            "inf",
            *user_ops(),
            *(name for name, op in TABLE.items() if op.source or op.numpy),
        }  # what formulas call
        self._printed: tuple[str, ...] = ()
        self._invented: set[int] = set()
        names = {n.id: n.name or found.get(id(n)) for n in self.nodes}
        leaves = {n.id for n in self.nodes if n.op is None}
        inner = [n for n in self.nodes if n.op is not None and n is not self.root]
        if not any(names[n.id] for n in inner):
            names.update(invented := self._activations())
            self._invented = set(invented)
        names[self.root.id] = names[self.root.id] or next((x for x in "ELJ" if x not in names.values()), "loss")
        for k, i in enumerate(sorted(names), 1):
            if names[i] is None and (i in leaves or i in self._called):
                names[i] = f"v{k}"
        out = {i: self._unique(name) for i, name in names.items() if name}
        root = out[self.root.id]
        self._printed = f"d{root}_d", f"d2{root}_d"  # so begin the names of printed results
        return {i: self._unique(name) if name.startswith(self._printed) else name for i, name in out.items()}

    def _unique(self, wish: str) -> str:
        """An identifier like the wish that formulas do not use yet."""
        name = re.sub(r"\W", "_", unicodedata.normalize("NFKC", wish))
        name = name if name.isidentifier() and not keyword.iskeyword(name) else name + "_" if keyword.iskeyword(name) else "_" + name
        name = "_" + name if name.startswith(self._printed) else name
        base, k = name, 1
        while name in self._taken:
            k += 1
            name = f"{base}_{k}"
        self._taken.add(name)
        if name != wish:
            self.renamed[name] = self.renamed.pop(wish, wish)
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
            operands = [a.id for a in self.args[n.id] if isinstance(a, Node)]
            if self.is_variable(n):
                continue
            if n.op.kind == "bilinear" or (n.op.name in ("add", "sub") and affine & set(operands)):
                affine.add(n.id)
            elif operands[0] in affine and _is_activation(n.op) and n is not self.root and n.shape:
                k += 1
                names[operands[0]] = f"z{k}"
                if n.op.name != "exp" and (n.op.kind == "elementwise" or n.op.name == "softmax"):  # exp is a step on the way
                    names[n.id] = f"y{k}"
        return names

    # ------------------------------------------------------------ axes

    def _axes(self, wished: Mapping[str, Sequence[str]], square: Collection[str]) -> dict[int, tuple[str | None, ...]]:
        """The name of each axis of each node: axes that must have the same length share theirs."""
        space, axes = self.space, {n.id: self._new_dims(n) for n in self.nodes if self.is_variable(n)}
        raw = {key: space.lift(a) for key, a in self.arrays.items() if key not in self.links}
        fixed = [s.dims for s in raw.values()]

        def operand(a: Any) -> Any:
            return space.opaque(f"#{a.id}", a.shape, axes[a.id]) if isinstance(a, Node) else raw.get(id(a), a)

        held = [(self.names[i], ds) for i, ds in axes.items() if i in self.names]
        for name, ds in [*held, *((name, raw[key].dims) for key, name in space.called.items() if key in raw)]:
            if name in square and len(ds) == 2 and None not in ds:  # it equals its transpose, so its axes are the same
                space.join(*map(str, ds))
        raw.update({key: k * operand(a) + c for key, (a, k, c) in self.links.items()})
        averaged: list[str] = []
        first: list[str] = []
        for n in self.nodes:
            if self.is_variable(n):
                continue
            args = [operand(a) for a in self.args[n.id]]
            try:
                z = space.lift(call(n.op, args, n.kw))
            except NoForm:
                axes[n.id] = self._new_dims(n)
                first += [d for d in axes[n.id] if d]
                continue
            axes[n.id] = tuple(z.dims)
            averaged += [a.name for a in expr.atoms_in(z.poly) if a.kind == "size"]
            outer = {space.find(d) for d in z.dims if d}
            inner = [d for a in args if isinstance(a, Symbol) for d in a.dims if d and space.find(d) not in outer]
            first += [*inner, *filter(None, z.dims)]
        leaves = [(n, axes[n.id]) for n in self.nodes if self.is_variable(n)]
        fixed += [ds for n, ds in leaves if not n.active]
        moving = [ds for n, ds in leaves if n.active]
        first += [d for ds in (*fixed, *moving) for d in ds if d]
        shaped = {self.names[n.id]: (axes[n.id], n.shape) for n in self.nodes if n.id in self.names}
        shaped.update({name: (raw[key].dims, self.arrays[key].shape) for key, name in space.called.items()})
        names = self._dim_names(first, averaged, fixed, moving, wished, shaped)
        out = {i: tuple(names[space.find(d)] if d else None for d in ds) for i, ds in axes.items()}
        for n in self.nodes:
            self.sizes.update({d: k for d, k in zip(out[n.id], n.shape, strict=True) if d})
        self._raw_axes = {key: tuple(names[space.find(d)] if d else None for d in s.dims) for key, s in raw.items()}
        for key, ds in self._raw_axes.items():
            self.sizes.update({d: k for d, k in zip(ds, self.arrays[key].shape, strict=True) if d})
        space.constants.clear()
        self.atoms = expr.start()  # those so far knew no names of axes
        return out

    def _new_dims(self, n: Any) -> tuple[str | None, ...]:
        return tuple(self.space.new_dim() if k != 1 else None for k in n.shape)

    def _dim_names(
        self,
        first: list[str],
        averaged: list[str],
        fixed: list[Any],
        moving: list[Any],
        wished: Mapping[str, Sequence[str]],
        held: Mapping[str, Any],
    ) -> dict[str, str]:
        find = self.space.find
        names: dict[str, str] = {}
        lengths: dict[str, int] = {}
        for name, given in wished.items():
            if name not in held or len(held[name][0]) != len(given):
                raise ValueError(f"dims= names the axes of {name!r} {tuple(given)}, but there is no such variable with {len(given)} axes")
            for d, length, wish in zip(*held[name], given, strict=True):
                if not d:
                    continue
                if wish in self._taken or wish.startswith(self._printed):
                    raise ValueError(f"dims= calls an axis of {name!r} {wish!r}, a name that the formulas use already; choose another")
                if lengths.setdefault(wish, length) != length:
                    raise ValueError(f"dims= calls axes of different lengths {wish!r}: {lengths[wish]} and {length}")
                if names.setdefault(find(d), wish) != wish:
                    raise ValueError(f"dims= calls one axis both {names[find(d)]!r} and {wish!r}; in {name!r} it is {names[find(d)]!r} too")
        variables_ = {find(d) for ds in moving for d in ds if d}
        shared = [find(d) for ds in fixed for d in ds if d and find(d) not in variables_]
        mean = {find(d) for d in averaged}
        batch = [d for d in shared if d in mean] or [d for d in shared if shared.count(d) > 1] or (list(mean) if len(mean) == 1 else [])
        if batch and batch[0] not in names:
            names[batch[0]] = self._free("m", names)
        k = 0
        for d in map(find, first):
            if d not in names:
                while f"n{k}" in names.values() or f"n{k}" in self._taken:
                    k += 1
                names[d] = f"n{k}"
        return names

    def _free(self, wish: str, names: dict[str, str]) -> str:
        while wish in self._taken or wish in names.values():
            wish += "_"
        return wish

    # ------------------------------------------------------------ symbols

    def symbol(self, n: Any) -> Symbol:
        """A node as it stands in formulas: its name, or, without one, what it was made of."""
        if n.id in self.names and n is not self.root:
            return self.space.opaque(self.names[n.id], n.shape, self.axes[n.id])
        return self.definition(n)

    def definition(self, n: Any) -> Symbol:
        """What a node was made of."""
        if n.id not in self._inline:
            self._inline[n.id] = self._define(n)
        return self._inline[n.id]

    def _define(self, n: Any) -> Symbol:
        if self.is_variable(n):
            return self.space.opaque(self.names[n.id], n.shape, self.axes[n.id])
        try:
            return self._settled(self.space.lift(call(n.op, self.operands(n), n.kw)), n)
        except (NoForm, NoRule) as error:
            raise self.no_form(n, error) from None
        except expr.TooDeep:
            raise self.too_big(n) from None

    def _settled(self, s: Symbol, n: Any) -> Symbol:
        """A result at the axes of the node it belongs to, whose names reach the deltas that a rule made."""
        if tuple(s.shape) != tuple(n.shape):
            raise AssertionError(f"a rule gave shape {s.shape} for {n.shape}")
        for mine, known in zip(s.dims, self.axes[n.id], strict=True):
            if mine and known:
                self.space.join(mine, known)
        if any(a.kind == "delta" and a.dims[0][0] == "?" for a in expr.atoms_in(s.poly)):
            s = s.map(expr.Rewrite(lambda q: q, lambda a: expr.delta(self.space.find(a.dims[0])).poly if a.kind == "delta" else None))
        return s.at(self.axes[n.id])

    def own(self, n: Any, p: Poly) -> Poly:
        """An expression for a node over the axes that its atom has: those longer than 1."""
        places = [i for i, d in enumerate(self.axes[n.id]) if d is not None]
        return expr.relabel(p, {i: k for k, i in enumerate(places) if i != k})

    def operands(self, n: Any) -> list[Any]:
        """The operands of a node as symbols; plain numbers as they are."""
        return [self.operand(a) for a in self.args[n.id]]

    def operand(self, a: Any) -> Any:
        """An operand as a symbol; a plain number as it is."""
        if isinstance(a, Node):
            return self.symbol(a)
        if not isinstance(a, np.ndarray):
            return a
        if id(a) not in self._raw:
            link = self.links.get(id(a))
            x = self.space.lift(a, self._raw_axes[id(a)]) if link is None else link[1] * self.operand(link[0]) + link[2]
            self._raw[id(a)] = x
        return self._raw[id(a)]

    def pull(self, n: Any, i: int, g: Symbol) -> Symbol | None:
        """The vjp of a node's op, run on symbols: what the cotangent g gives operand i."""
        xs, to = self.operands(n), self.args[n.id][i]
        try:
            if n.op.form is not None:
                a, b, out = re.split(",|->", n.op.form(*(len(shape_of(x)) for x in xs), **n.kw))
                other = f"{out},{b}->{a}" if i == 0 else f"{out},{a}->{b}"
                d = sum_to(product(self.space, other, [g, xs[1 - i]], to.shape), to.shape)
            else:
                d = n.op.vjp(i, g, self.symbol(n), *xs, **n.kw)
        except (NoForm, NoRule) as error:
            raise self.no_form(n, error) from None
        except expr.TooDeep:
            raise self.too_big(n) from None
        if d is None:
            return None
        d = self._settled(self.space.lift(d), to)
        return d.map(self.space.known) if n.op.kind == "general" else d

    # ------------------------------------------------------------ what the variables hold

    def data(self) -> list[tuple[str, Any]]:
        """The names and recorded values of leaves and plain arrays."""
        leaves = [(self.names[n.id], n.data) for n in self.nodes if self.is_variable(n)]
        return leaves + [(name, a) for key, a in self.arrays.items() if (name := self.array_names.get(key))]

    def unnamed(self, name: str) -> bool:
        """Was the plain array of this name named here and not by a person?"""
        return name not in self.space.called.values()

    def recorded(self) -> dict[str, Any]:
        """Plain arrays that a formula must explain: those without a name, and conditions, which do not follow the variables."""
        found = {name: self.arrays[key] for key, name in self.array_names.items()}
        return {name: a for name, a in found.items() if a.dtype == bool or self.unnamed(name)}

    def recorded_in(self, used: Callable[[str], bool]) -> dict[str, Any]:
        """What is recorded, as above, of what used names are made of."""
        names = self.array_names
        found: dict[int, set[str]] = {}
        out: set[str] = set()
        for n in self.nodes:
            below = [found[a.id] if isinstance(a, Node) else {names[id(a)]} if id(a) in names else set() for a in self.args[n.id]]
            found[n.id] = set().union(*below)
            out |= found[n.id] if n.id in self.names and used(self.names[n.id]) else set()
        return {name: a for name, a in self.recorded().items() if name in out or used(name)}

    def perhaps_from(self, given: Collection[str]) -> tuple[str, Any] | None:
        """A plain array that stands as a number in formulas, and the first of these names that it may have been computed from."""
        inlined = [a for key, a in self.arrays.items() if key not in self.array_names and key not in self.links and a.size]
        known = [(name, np.asarray(x)) for name, x in self.data() if name in given]
        found = (
            (name, a.flat[0])
            for a in inlined
            for name, x in known
            if a.shape == x.shape and x.dtype.kind in "if" and any(np.array_equal(k * x + c, a) for k, c in LINKS)
        )
        return next(found, None)

    def check_shapes(self, given: Mapping[str, tuple[int, ...]]) -> None:
        """Raises ValueError where arrays do not have the axes of their variables, in lengths that fit all others."""
        known: dict[str, tuple[str, int]] = {}
        for name, x in self.data():
            shape, dims = given.get(name, np.shape(x)), self.dims_of(name)
            if len(shape) != len(dims) or any(d is None and n != 1 for n, d in zip(shape, dims, strict=True)):
                raise ValueError(f"{name} came with shape {shape}, but was recorded with shape {np.shape(x)}")
            for d, n in zip(dims, shape, strict=True):
                other, length = known.setdefault(d, (name, n)) if d is not None else (name, n)
                if n != length:
                    mine, its = (name, other) if name in given else (other, name)
                    raise ValueError(
                        f"{mine} came with shape {given[mine]}, which does not fit {its} along their axis {d}: {length} and {n}"
                    )

    def invented(self) -> dict[str, Any]:
        """The results that were named here and not by a person, in order."""
        return {self.names[n.id]: n for n in self.nodes if n.id in self._invented}

    def dims_of(self, name: str) -> tuple[str | None, ...]:
        """The axes of a name; None for axes of length 1."""
        return self.all_dims()[name]

    def all_dims(self) -> dict[str, tuple[str | None, ...]]:
        """The axes of every name, gradients included."""
        out = {self.names[n.id]: self.axes[n.id] for n in self.nodes if n.id in self.names}
        out.update({"∂" + name: dims for name, dims in out.items()})
        out.update({name: self._raw_axes[key] for key, name in self.array_names.items()})
        return out

    def variables(self) -> list[Atom]:
        """The atoms of leaves and plain arrays."""
        found = [atom_of(self.symbol(n)) for n in self.nodes if self.is_variable(n) and n is not self.root]
        return found + [expr.var(name, [d for d in self._raw_axes[key] if d]) for key, name in self.array_names.items()]

    # ------------------------------------------------------------ errors

    def label(self, n: Any) -> str:
        """A node in a message."""
        place = 1 + sum(1 for m in self.nodes if m.id < n.id)
        return self.names.get(n.id) or f"v{place}, the result of {n.op.name} of shape {tuple(n.shape)}"

    def no_form(self, n: Any, error: Exception) -> NoIndexForm:
        who, op = self.label(n), n.op.name
        why = "has no index form here" if op in RESERVED else "is an op of yours declared without index="
        needs = error.op.name if isinstance(error, NoForm) else op
        return NoIndexForm(
            f"{who} cannot be written as a formula: {op} {why}{'' if needs == op else f' (its rule needs {needs})'}. "
            f"{self._instead(n)}Derive from there on, with {who.split(',')[0]} as a variable of its own, by ad.derive(..., opaque=[node])."
        )

    def _instead(self, n: Any) -> str:
        """What picks the same entries as an index, and has a form: products with rows and columns of the identity, one-hot sums."""
        x: Any = self.args[n.id][0] if n.op.name == "getitem" else None
        index = n.kw["index"] if x is not None else ()
        parts = [*index] if isinstance(index, tuple) else [index]
        if not parts or x.ndim not in (1, 2) or any(i is None or i is Ellipsis or np.ndim(i) > 1 for i in parts):
            return ""
        parts += [slice(None)] * (x.ndim - len(parts))
        along = next((k for k in (1, 0) if x.ndim == 2 and np.array_equal(parts[1 - k], np.arange(x.shape[1 - k]))), None)
        if sum(np.ndim(i) == 1 for i in parts) < 2:
            kinds = zip(("S", "R"), x.shape, ("", ":, "), parts, strict=False)
            eyes = [kind for kind in kinds if not (isinstance(kind[3], slice) and kind[3] == slice(None))]
            instead = " @ ".join([*(e[0] for e in eyes if e[0] == "S"), "{0}", *(e[0] for e in eyes if e[0] == "R")])
        elif along is not None:
            eyes, instead = [("T", x.shape[along], "" if along else ":, ", parts[along])], f"np.sum(T * {{0}}, axis={along})"
        else:
            return ""
        made = [f"{name} = ad.constant(np.eye({k})[{before}{_written(i)}], name='{name}')" for name, k, before, i in eyes]
        a, where = (self.names[x.id], "") if x.id in self.names else ("A", f", A the result of {x.op.name}")
        where += ", labels the recorded index" * any("labels]" in m for m in made)
        return f"Instead of the index write {instead.format(a)}, with {', '.join(made)}{where}. "

    def too_big(self, n: Any) -> TooBig:
        return TooBig(
            f"the formula at {self.label(n)} grows too long to read: too much between it and the nearest names. Give intermediate "
            f"results names, such as z1 = (W1 @ x).named('z1'); they then stand in the formula as they are."
        )


def _written(i: Any) -> str:
    """An index as it is written."""
    if isinstance(i, slice):
        return ":".join("" if k is None else str(k) for k in ((i.start, i.stop) if i.step is None else (i.start, i.stop, i.step)))
    return "labels" if np.size(i) > 8 else str(np.asarray(i).tolist())


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
