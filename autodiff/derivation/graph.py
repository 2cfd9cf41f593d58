"""Reading a recorded graph: what its nodes are called, which axes are the same, and each node as a symbol."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import NoIndexForm, TooBig
from ..naming import variables
from ..node import Node, order
from ..ops.table import RESERVED, TABLE, shape_of, sum_to
from ..replay import call
from . import expr
from .expr import Atom, Poly
from .forms import NoForm, Space, Symbol, product


class Graph:
    """The nodes below `root`, in order, with names, axes and symbols."""

    def __init__(self, root: Any, frame: Any, opaque: Collection[Any], dims: Mapping[str, Sequence[str]], targets: Sequence[Any]) -> None:
        self.root = root
        self.nodes: list[Any] = order(root)
        self.cut = {n.id for n in opaque}
        self.space = Space()
        self._called = {t.id for t in targets} | self.cut
        found = {key: name for key, name in variables(frame).items() if name.isidentifier()}
        self.names = self._name(found)
        self.arrays = {id(a): a for n in self.nodes for a in n.args if isinstance(a, np.ndarray)}
        for key in self.arrays:
            if key in found:
                self.space.called[key] = self._unique(found[key])
        self.space.taken = self._taken
        self.sizes: dict[str, int] = {}
        self.axes = self._axes(dims)
        self._taken.update(self.sizes)
        self._inline: dict[int, Symbol] = {}
        self._raw: dict[int, Symbol] = {}

    # ------------------------------------------------------------ names

    def _name(self, found: dict[int, str]) -> dict[int, str]:
        self._taken = {"np", "softmax", *user_ops(), *(name for name, op in TABLE.items() if op.source or op.numpy)}  # what formulas call
        self._printed: tuple[str, ...] = ()
        self._invented: set[int] = set()
        names = {n.id: n.name or found.get(id(n)) for n in self.nodes}
        inner = [n for n in self.nodes if n.op is not None and n is not self.root]
        if not any(names[n.id] for n in inner):
            names.update(invented := self._activations())
            self._invented = set(invented)
        names[self.root.id] = names[self.root.id] or "E"
        for n in self.nodes:
            if names[n.id] is None and (n.op is None or n.id in self._called):
                names[n.id] = f"v{1 + sum(1 for m in self.nodes if m.id < n.id)}"
        out = {i: self._unique(name) for i, name in names.items() if name}
        root = out[self.root.id]
        self._printed = f"d{root}_d", f"d2{root}_d"  # so begin the names of printed results
        return {i: self._unique(name) if name.startswith(self._printed) else name for i, name in out.items()}

    def _unique(self, name: str) -> str:
        name = re.sub(r"\W", "_", name)
        name = name if name.isidentifier() and not keyword.iskeyword(name) else name + "_" if keyword.iskeyword(name) else "_" + name
        name = "_" + name if name.startswith(self._printed) else name
        base, k = name, 1
        while name in self._taken:
            k += 1
            name = f"{base}_{k}"
        self._taken.add(name)
        return name

    def _activations(self) -> dict[int, str]:
        """Names for a graph without any: what a layer computes before and after its nonlinear function."""
        affine: set[int] = set()
        names: dict[int, str] = {}
        for n in self.nodes:
            operands = [a.id for a in n.args if isinstance(a, Node)]
            if n.op is None:
                continue
            if n.op.kind == "bilinear" or (n.op.name in ("add", "sub") and affine & set(operands)):
                affine.add(n.id)
            elif n.op.arity == 1 and operands[0] in affine and n.op.kind != "linear" and n is not self.root and n.shape:
                k = 1 + len(names) // 2
                names[operands[0]], names[n.id] = f"z{k}", f"y{k}"
        return names

    # ------------------------------------------------------------ axes

    def _axes(self, wished: Mapping[str, Sequence[str]]) -> dict[int, tuple[str | None, ...]]:
        """The name of each axis of each node: axes that must have the same length share theirs."""
        space, axes = self.space, {}
        raw = {key: space.lift(a) for key, a in self.arrays.items()}
        averaged: list[str] = []
        first: list[str] = []
        for n in self.nodes:
            own = tuple(space.new_dim() if k != 1 else None for k in n.shape)
            axes[n.id] = own
            if n.op is None:
                continue
            args = [space.opaque(f"#{a.id}", a.shape, axes[a.id]) if isinstance(a, Node) else raw.get(id(a), a) for a in n.args]
            try:
                z = space.lift(call(n.op, args, n.kw))
            except NoForm:
                first += [d for d in own if d]
                continue
            axes[n.id] = tuple(z.dims)
            averaged += [a.name for a in expr.atoms_in(z.poly) if a.kind == "size"]
            outer = {space.find(d) for d in z.dims if d}
            inner = [d for a in args if isinstance(a, Symbol) for d in a.dims if d and space.find(d) not in outer]
            first += [*inner, *filter(None, z.dims)]
        leaves = [(n, axes[n.id]) for n in self.nodes if n.op is None]
        fixed = [s.dims for s in raw.values()] + [ds for n, ds in leaves if not n.active]
        moving = [ds for n, ds in leaves if n.active]
        first += [d for ds in (*fixed, *moving) for d in ds if d]
        names = self._dim_names(first, averaged, fixed, moving, wished, axes)
        out = {i: tuple(names[space.find(d)] if d else None for d in ds) for i, ds in axes.items()}
        for n in self.nodes:
            self.sizes.update({d: k for d, k in zip(out[n.id], n.shape, strict=True) if d})
        self._raw_axes = {key: tuple(names[space.find(d)] if d else None for d in s.dims) for key, s in raw.items()}
        for key, ds in self._raw_axes.items():
            self.sizes.update({d: k for d, k in zip(ds, self.arrays[key].shape, strict=True) if d})
        space.constants.clear()
        self.atoms = expr.start()  # those so far knew no names of axes
        return out

    def _dim_names(
        self,
        first: list[str],
        averaged: list[str],
        fixed: list[Any],
        moving: list[Any],
        wished: Mapping[str, Sequence[str]],
        axes: dict[int, Any],
    ) -> dict[str, str]:
        find = self.space.find
        names: dict[str, str] = {}
        lengths: dict[str, int] = {}
        by_name = {name: i for i, name in self.names.items()}
        for name, given in wished.items():
            if name not in by_name or len(axes[by_name[name]]) != len(given):
                raise ValueError(f"dims= names the axes of {name!r} {tuple(given)}, but there is no such variable with {len(given)} axes")
            for d, wish in zip(axes[by_name[name]], given, strict=True):
                if not d:
                    continue
                if wish in self._taken or wish.startswith(self._printed):
                    raise ValueError(f"dims= calls an axis of {name!r} {wish!r}, a name that the formulas use already; choose another")
                if lengths.setdefault(wish, self._length(d, axes)) != self._length(d, axes):
                    raise ValueError(f"dims= calls axes of different lengths {wish!r}: {lengths[wish]} and {self._length(d, axes)}")
                names.setdefault(find(d), wish)
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

    def _length(self, dim: str, axes: dict[int, Any]) -> int:
        return next(k for n in self.nodes for d, k in zip(axes[n.id], n.shape, strict=True) if d == dim)  # type: ignore[no-any-return]

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
        todo = [n]
        while todo:  # operands first, without recursion
            top = todo[-1]
            missing = [a for a in top.args if isinstance(a, Node) and a.id not in self._inline and a.id not in self.names]
            if missing:
                todo += missing
                continue
            todo.pop()
            if top.id not in self._inline:
                self._inline[top.id] = self._define(top)
        return self._inline[n.id]

    def _define(self, n: Any) -> Symbol:
        if n.op is None:
            return self.space.opaque(self.names[n.id], n.shape, self.axes[n.id])
        try:
            return self._settled(self.space.lift(call(n.op, self.operands(n), n.kw)), n)
        except NoForm as error:
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
        return [self._operand(a) for a in n.args]

    def _operand(self, a: Any) -> Any:
        if isinstance(a, Node):
            if a.id in self.names and a is not self.root:
                return self.symbol(a)
            return self._inline[a.id] if a.id in self._inline else self.definition(a)
        if not isinstance(a, np.ndarray):
            return a
        if id(a) not in self._raw:
            self._raw[id(a)] = self.space.lift(a, self._raw_axes[id(a)])
        return self._raw[id(a)]

    def pull(self, n: Any, i: int, g: Symbol) -> Symbol | None:
        """The vjp of a node's op, run on symbols: what the cotangent g gives operand i."""
        xs = self.operands(n)
        try:
            if n.op.form is not None:
                a, b, out = re.split(",|->", n.op.form(*(len(shape_of(x)) for x in xs), **n.kw))
                other = f"{out},{b}->{a}" if i == 0 else f"{out},{a}->{b}"
                d = sum_to(product(self.space, other, [g, xs[1 - i]], n.args[i].shape), n.args[i].shape)
            else:
                d = n.op.vjp(i, g, self.symbol(n), *xs, **n.kw)
        except NoForm as error:
            raise self.no_form(n, error) from None
        except expr.TooDeep:
            raise self.too_big(n) from None
        return None if d is None else self._settled(self.space.lift(d), n.args[i])

    # ------------------------------------------------------------ what the variables hold

    def data(self) -> list[tuple[str, Any]]:
        """The names and recorded values of leaves and plain arrays."""
        leaves = [(self.names[n.id], n.data) for n in self.nodes if n.op is None or n.id in self.cut]
        return leaves + [(name, a) for key, a in self.arrays.items() if (name := self.array_names().get(key))]

    def array_names(self) -> dict[int, str]:
        """What plain arrays are called in formulas, by id(); those that print as numbers are missing."""
        for n in self.nodes:
            self.operands(n)
        return {key: name for key, a in self.arrays.items() for name, b in self.space.constants.items() if b is a}

    def array_name(self, key: int) -> str | None:
        """What the symbol of a plain array, by id(), is called; None if it prints as a number."""
        atoms = expr.atoms_in(self._raw[key].poly) if key in self._raw else []
        return next((a.name for a in atoms if a.kind == "var"), None)

    def unnamed(self, name: str) -> bool:
        """Was the plain array of this name named here and not by a person?"""
        return name not in self.space.called.values()

    def recorded(self) -> dict[str, Any]:
        """Plain arrays that a formula must explain: those without a name, and conditions, which do not follow the variables."""
        found = {name: self.arrays[key] for key, name in self.array_names().items()}
        return {name: a for name, a in found.items() if a.dtype == bool or self.unnamed(name)}

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
        out.update({name: self._raw_axes[key] for key, name in self.array_names().items()})
        return out

    def variables(self) -> list[Atom]:
        """The atoms of leaves and plain arrays."""
        found = [atom_of(self.symbol(n)) for n in self.nodes if (n.op is None or n.id in self.cut) and n is not self.root]
        return found + [expr.var(name, [d for d in self._raw_axes[key] if d]) for key, name in self.array_names().items()]

    # ------------------------------------------------------------ errors

    def label(self, n: Any) -> str:
        """A node in a message."""
        place = 1 + sum(1 for m in self.nodes if m.id < n.id)
        return self.names.get(n.id) or f"v{place}, the result of {n.op.name} of shape {tuple(n.shape)}"

    def no_form(self, n: Any, error: NoForm) -> NoIndexForm:
        who = self.label(n)
        return NoIndexForm(
            f"{who} cannot be written as a formula: {(n.op or error.op).name} moves or picks entries in a way that has no index form here"
            f"{'' if error.op is n.op else f' (its rule needs {error.op.name})'}. Derive from there on, with {who.split(',')[0]} as a "
            f"variable of its own, by ad.derive(..., opaque=[node])."
        )

    def too_big(self, n: Any) -> TooBig:
        return TooBig(
            f"the formula at {self.label(n)} grows too long to read: too much between it and the nearest names. Give intermediate "
            f"results names, such as z1 = (W1 @ x).named('z1'); they then stand in the formula as they are."
        )


def user_ops() -> dict[str, Any]:
    """The functions of elementwise ops that a person declared, and that no NumPy source stands for, by name."""
    mine = [(name, op) for name, op in TABLE.items() if name not in RESERVED and op.kind == "elementwise"]
    return {name: op.forward for name, op in mine if not op.source and not op.numpy}


def atom_of(s: Symbol) -> Atom:
    """The atom of a symbol that is a name."""
    return s.poly.only()[0][0][0]
