"""A recorded graph as the checker sees it: its names, its values at several points, and its reverse sweep with a rule replaced.

The recorded point alone can hide mistakes (weights near 0, values that happen to agree), so formulas are compared at
others too: leaves drawn anew, of size 1, inside the properties that the recorded data has.  A right formula may need such
a property; to find out which, points are drawn without it (`looser`).  Nothing recorded is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import AutodiffError, NotConnected
from ..node import Node, check_fresh, order
from ..replay import links, replay
from ..reverse import pull
from ..tensor import constant_tensor
from ..value import ValueBase
from .ulps import rounding

Array = Any
DERIVED = 200  # nodes of a graph that is read as formulas
DRAWN = 3  # points beside the recorded one
REACHES = (0.5, 0.2, 0.05, 0.01)  # how far points move from the recorded one, where those drawn anew are not finite
DEEP = 3  # levels of an unnamed result that sentences spell out
SIGNS = {"+": "+", "−": "-", "×": "*", "÷": "/", "@": "@", "^": "**"}
WIDE = 8  # leaves with longer axes are drawn smaller, so that sums over them stay of size 1


# ---------------------------------------------------------------- properties of data


Shape = tuple[int, ...]


@dataclass(frozen=True)
class Kind:
    """A property of data: what it is called of a variable, how data like `x` is drawn that has it, and small numbers that do."""

    says: str  # "{0}" for the variable; "" for no property at all
    draw: Callable[[np.random.Generator, Array], Array]
    small: Callable[[np.random.Generator, Shape], Array]


def _normal(rng: np.random.Generator, x: Array) -> Array:
    return rng.normal(size=x.shape) * min(1.0, math.sqrt(WIDE / max(x.shape, default=1)))


def _exponential(rng: np.random.Generator, x: Array) -> Array:
    return np.exp(0.7 * rng.normal(size=x.shape))


def _gram(a: Array, ridge: float) -> Array:
    return a @ a.T + ridge * np.eye(len(a))


def _mirrored(a: Array) -> Array:
    return (a + a.T) / 2


def _integers(low: int, high: int) -> Callable[[np.random.Generator, Shape], Array]:
    return lambda rng, shape: rng.integers(low, high + 1, shape).astype(float)


def _ones_at_random(axis: int) -> Callable[[np.random.Generator, Shape], Array]:
    def small(rng: np.random.Generator, shape: Shape) -> Array:
        first = np.zeros(shape)
        first[(slice(None),) * axis + (0,)] = 1.0
        return rng.permuted(first, axis=axis)

    return small


def _normalised(axis: int) -> Callable[[Array], Array]:
    return lambda x: x / x.sum(axis, keepdims=True)


FREE = Kind("", _normal, _integers(-1, 2))
POSITIVE = Kind("{0} > 0", _exponential, _integers(1, 3))
SYMMETRIC = Kind(
    "symmetric {0}", lambda rng, x: _mirrored(rng.normal(size=x.shape)), lambda rng, s: 2 * _mirrored(_integers(-1, 1)(rng, s))
)
DEFINITE = Kind(
    "positive definite {0}",
    lambda rng, x: _gram(rng.normal(size=x.shape) / len(x) ** 0.5, 0.3),
    lambda rng, s: _gram(_integers(-1, 1)(rng, s), 1.0),
)


def kinds_of(x: Array, moves: bool) -> list[Kind]:
    """The properties of recorded data from the strictest to none; `moves` says that it is a variable, not given data."""
    if x.dtype == bool or not np.all(np.isfinite(x)):
        return [Kind("{0} as recorded", lambda rng, x: x, lambda rng, shape: np.ones(shape, x.dtype))]
    axes = [i for i, n in enumerate(x.shape) if n > 1]
    own = _of_entries(x, axes, moves)
    if x.ndim == 2 and len(axes) == 2 and x.shape[0] == x.shape[1] and np.any(x) and np.allclose(x, x.T):
        mirrored = [*([DEFINITE] if np.all(np.linalg.eigvalsh(x) > 0) else []), SYMMETRIC]
        if own[0].says.startswith(("one-hot", "sum")):  # these are lost by drawing, unless rows and columns change places together
            both = Kind(f"symmetric {{0}} and {own[0].says}", _places_changed, lambda rng, s: np.eye(s[0]))
            return [both, *own[:-1], *mirrored, FREE]
        return [*([] if own[0] is POSITIVE else own[:-1]), *mirrored, FREE]
    return own


def _places_changed(rng: np.random.Generator, x: Array) -> Array:
    places = rng.permutation(len(x))
    return x[places][:, places]


def _of_entries(x: Array, axes: list[int], moves: bool) -> list[Kind]:
    """The properties that data of any shape can have."""
    total = next((i for i in axes[:2] if np.allclose(x.sum(i), 1, rtol=1e-6, atol=1e-6)), None)
    if total is not None and np.all(x >= 0):
        name, normal = "sum({0}) = 1" if len(axes) == 1 else f"sum({{0}}, axis={total}) = 1", _normalised(total)
        soft = Kind(name, lambda rng, x: normal(_exponential(rng, x)), lambda rng, s: normal(_integers(1, 2)(rng, s)))
        hot = (
            [Kind("one-hot {0}", lambda rng, x: rng.permuted(x, axis=total), _ones_at_random(total))] if np.all((x == 0) | (x == 1)) else []
        )
        return [*hot, soft, FREE]
    if not moves and np.any(x) and np.all(x == np.round(x)):
        binary = np.all((x == 0) | (x == 1))
        low, high = (0, 1) if binary else (0 if np.all(x >= 0) else -1, 2)
        return [Kind("{0} of zeros and ones" if binary else "integer {0}", lambda rng, x: x, _integers(low, high)), FREE]
    return [POSITIVE, FREE] if np.all(x > 0) else [FREE]


@dataclass(frozen=True)
class Source:
    """Data that the graph starts from: a leaf, or a plain array among the operands."""

    name: str
    node: Any  # None for a plain array
    data: Array
    kinds: list[Kind]

    @property
    def key(self) -> int:
        return self.node.id if self.node is not None else id(self.data)

    @property
    def moves(self) -> bool:
        """Is it a variable, not given data?"""
        return self.node is not None and bool(self.node.active)


# ---------------------------------------------------------------- the graph


class Recorded:
    """The nodes below a root in order, with the names by which claims speak of them."""

    def __init__(self, root: Any, names: Mapping[int, str]) -> None:
        self.nodes: list[Any] = order(root)
        check_fresh(self.nodes)
        self.root, self.root_id = root, root.id
        self.by_id = {n.id: n for n in self.nodes}
        self.names: dict[int, str] = {}  # of nodes, by id
        self.by_name: dict[str, Any] = {}
        arrays = {id(a): a for n in self.nodes for a in n.args if isinstance(a, np.ndarray)}
        for n in self.nodes:
            if name := n.name or names.get(id(n)) or ("E" if n is root else None):
                self.names[n.id] = self._free_name(name)
                self.by_name[self.names[n.id]] = n
        self.sources = [Source(self.names.get(n.id, ""), n, np.asarray(n.data), []) for n in self.nodes if n.op is None]
        for key, a in arrays.items():
            name = self._free_name(names[key]) if key in names else ""
            self.sources.append(Source(name, None, a, []))
            if name:
                self.by_name[name] = a
        for s in self.sources:
            s.kinds.extend(kinds_of(s.data, s.moves))
        named = [s for s in self.sources if s.name and not s.moves]
        self.links = links([s.data for s in self.sources if not s.name and not s.moves], named)
        self.users: dict[int, list[int]] = {n.id: [] for n in self.nodes}
        for n in self.nodes:
            for k in dict.fromkeys(a.id for a in n.args if isinstance(a, Node)):
                self.users[k].append(n.id)
        floats = [n.data.dtype for n in self.nodes if getattr(n.data, "dtype", None) is not None and n.data.dtype.kind == "f"]
        self.eps = float(max((np.finfo(d).eps for d in floats), default=np.finfo(float).eps))
        self.numbers: Mapping[str, float] = {}  # plain numbers that claims may speak of, by the user's names
        self.again: Callable[[Mapping[str, Array]], Recorded] | None = None  # runs the function that was recorded on other arguments
        raw = [a for n in self.nodes for a in n.args if not isinstance(a, Node)]
        self.conditions = any(isinstance(a, bool | np.bool_) or (isinstance(a, np.ndarray) and a.dtype == bool) for a in raw)

    def _free_name(self, name: str) -> str:
        k, wish = 1, name
        while name in self.by_name:
            k += 1
            name = f"{wish}_{k}"
        return name

    @property
    def root_name(self) -> str:
        return self.names[self.root_id]

    def node(self, name: str) -> Any:
        """The node of a name; None if it means none."""
        found = self.by_name.get(name)
        return found if isinstance(found, Node) else None

    def label(self, n: Any) -> str:
        """What sentences call a node: its name, or what it was computed as."""
        return self.names.get(n.id) or self._computed(n, DEEP)

    def named_around(self, n: Any) -> str:
        """The name of a node, or of the first result with one that it goes into."""
        k = n.id
        while k not in self.names:  # the root has one
            k = self.users[k][0]
        return self.names[k]

    def label_of_operand(self, a: Any, depth: int = 1) -> str:
        """What sentences call an operand: a name, a number, or what it was computed as, for so many levels."""
        if isinstance(a, Node):
            return self.names.get(a.id) or self._computed(a, depth)
        return next((s.name for s in self.sources if s.data is a and s.name), "..." if np.shape(a) else f"{a:.4g}")

    def _computed(self, n: Any, depth: int) -> str:
        if n.op is None or not depth or len(n.args) > 3:
            return "..."
        args = [self.label_of_operand(a, depth - 1) for a in n.args]
        if sign := SIGNS.get(n.op.symbol):
            operands = [f"({a})" if " " in a else a for a in args]
            return f" {sign} ".join(operands) if len(args) == 2 else f"{sign}{operands[0]}"
        return f"{n.op.name}({', '.join(args)})"

    @cached_property
    def algebra(self) -> Any:
        """The graph's values and derivatives as symbols, by `ad.derive`; None if it is too big, or has no index form."""
        if len(self.nodes) <= DERIVED:
            from ..derivation import Algebra

            with suppress(AutodiffError, ValueError, TypeError, ArithmeticError):
                return Algebra(self.root, {id(x): name for name, x in self.by_name.items()})
        return None

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The lengths of axes by the names that `ad.derive` gives them: m for the number of examples, n0, n1, ... for others."""
        named = {} if self.algebra is None else self.algebra.sizes
        found = {name: n for name, n in named.items() if name not in self.by_name}
        return found if "m" in found or "m" in self.by_name else {**self._examples(), **found}

    def _examples(self) -> dict[str, int]:
        """The number of examples as m, if it can be told: the only length averaged over, or that shared by all given data."""
        means = [(np.shape(n.args[0]), n.kw.get("axis")) for n in self.nodes if n.op is not None and n.op.name == "mean"]
        averaged = {shape[axis or 0] for shape, axis in means if type(axis) is int or len(shape) == 1}
        given = [s for s in self.sources if not (s.node is not None and s.node.active) and s.data.ndim == 2]
        shared = {k for k in (0, 1) if len(given) > 1 and len({s.data.shape[k] for s in given}) == 1}
        sizes = averaged if len(averaged) == 1 else {given[0].data.shape[k] for k in shared} if len(shared) == 1 else set()
        return {"m": sizes.pop()} if sizes else {}

    def shapes(self) -> str:
        """The sources' shapes in words."""
        return ", ".join(f"{s.name} {s.data.shape}" for s in self.sources if s.name)

    def lengths(self) -> dict[int, str]:
        """The lengths of axes, with words for what they count."""
        found = {n: "m" for name, n in self.sizes.items() if name == "m"}
        for s in self.sources:
            for axis, n in enumerate(s.data.shape):
                if s.name and n > 1:
                    found.setdefault(n, f"{s.name}.shape[{axis}]")
        return found

    # ------------------------------------------------------------ points

    def recorded(self) -> Point:
        """The point at which the graph was recorded."""
        point = Point(self, {s.key: s.data for s in self.sources}, nodes=self.by_id)
        point.eps = self.eps
        return point

    def drawn(self, count: int = DRAWN, seed: int = 1, looser: Mapping[int, int] | None = None) -> list[Point]:
        """Points with leaves drawn anew inside their kinds; `looser` says by key how many kinds a source gives up.

        There are none if the graph holds conditions that were computed from its values: those are fixed in the recording.
        """
        if self.conditions:
            return []
        rng, looser, points = np.random.default_rng(seed), looser or {}, []
        for _ in range(count):
            for reach in (None, *REACHES):

                def fill(s: Source, reach: float | None = reach) -> Array:
                    x = s.data if s.data.dtype == bool else s.data.astype(float)
                    new = s.kinds[looser.get(s.key, 0)].draw(rng, x)
                    return new if reach is None or s.data.dtype == bool else x + reach * (new - x)

                if (point := Point(self, self.filled(fill))).finite:
                    points.append(point)
                    break
        return points

    @property
    def fixed(self) -> bool:
        """Does given data stay as recorded, because some without a name may have been computed from it, nobody knows how?"""
        return None in self.links.values()

    def filled(self, fill: Callable[[Source], Array]) -> dict[int, Array]:
        """Other data by the keys of its sources: what is known to be computed from named data is computed again."""
        stay = {s.key for s in self.sources if not s.moves and (self.fixed or (s.data.size == 1 and not s.name))}  # formulas say 0.5
        values = {s.key: s.data if s.key in stay else fill(s) for s in self.sources}
        for key, (a, k, c) in ((key, link) for key, link in self.links.items() if link is not None):
            values[key] = k * np.asarray(values[a.key]) + c
        return values


# ---------------------------------------------------------------- wrong rules


@dataclass(frozen=True)
class Wrong:
    """One rule of the reverse sweep replaced by a wrong one: at node `at`, `gives(point, node, g)` is what it contributes."""

    code: str
    text: str
    at: int
    gives: Callable[[Point, Any, Array], list[tuple[int, Array]]]
    into: int | None = None  # a node that gets a contribution without being an operand of `at`
    turn: Callable[[Point, Array], Array] | None = None  # what makes the derivative of `at` wrong itself
    rank: int = 0  # 0 for what is common, more for what is not


@dataclass
class Sweep:
    """The derivative of the root in every node, and what each node contributed to its operands."""

    g: dict[int, Array] = field(default_factory=dict)
    out: dict[int, list[tuple[int, Array]]] = field(default_factory=dict)


class Point:
    """The graph at one set of data, by key of the sources; results named in `pinned` hold given values instead of their own.

    `nodes` are those that were recorded of these data, if there are any.
    """

    def __init__(
        self,
        graph: Recorded,
        data: Mapping[int, Array],
        pinned: Mapping[int, Array] | None = None,
        nodes: dict[int, Any] | None = None,
    ) -> None:
        self.graph, self.data, self.eps = graph, dict(data), float(np.finfo(float).eps)
        if nodes is None:
            values = {k: v for k, v in data.items() if k in graph.by_id} | dict(pinned or {})
            with np.errstate(all="ignore"):
                nodes = replay(graph.nodes, values, {k: v for k, v in data.items() if k not in graph.by_id})
        self.nodes = nodes
        self.values: dict[int, Array] = {i: np.asarray(n.data) for i, n in nodes.items()}
        self._base: Sweep | None = None
        self._jacobians: dict[tuple[int, int], Array] = {}
        self._scales: dict[Any, tuple[Array, int]] = {}

    @property
    def root(self) -> Any:
        return self.nodes[self.graph.root_id]

    @property
    def finite(self) -> bool:
        return all(np.all(np.isfinite(v)) for v in self.values.values()) and all(np.all(np.isfinite(g)) for g in self.base.g.values())

    def value_of(self, a: Any) -> Array:
        """The value of an operand of a recorded node."""
        return self.values[a.id] if isinstance(a, Node) else self.data.get(id(a), a) if isinstance(a, np.ndarray) else a

    def length(self, name: str) -> Any:
        """The length of an axis."""
        return self.graph.sizes[name]

    # ------------------------------------------------------------ the reverse sweep

    @property
    def base(self) -> Sweep:
        """The sweep with the right rules."""
        if self._base is None:
            self._base = self.sweep()
        return self._base

    def sweep(self, wrongs: Sequence[Wrong] = (), pinned: Mapping[int, Array] | None = None) -> Sweep:
        """The sweep with some rules replaced, and some derivatives given instead of added up; only what this changes is computed."""
        graph, by_node, pinned = self.graph, {w.at: w for w in wrongs}, pinned or {}
        base = self._base or Sweep()
        more: dict[int, list[int]] = {}
        for w in wrongs:
            if w.into is not None:
                more.setdefault(w.into, []).append(w.at)
        new = Sweep()
        with np.errstate(all="ignore"):
            for n in reversed(graph.nodes):
                k = n.id
                users = graph.users[k] + more.get(k, [])
                untouched = k in base.out and k not in by_node and k not in pinned and k not in more
                if untouched and all(new.out.get(u) is base.out.get(u) for u in users):
                    new.out[k] = base.out[k]
                    if k in base.g:
                        new.g[k] = base.g[k]
                    continue
                if k in pinned:
                    g = pinned[k]
                elif k == graph.root_id:
                    g = np.ones(self.values[k].shape, self.values[k].dtype)
                else:
                    g = None
                    for u in dict.fromkeys(users):
                        for into, d in new.out.get(u, ()):
                            if into == k:
                                g = d if g is None else g + d
                if g is None or not n.active:
                    new.out[k] = []
                    continue
                new.g[k] = g
                if k in by_node:
                    new.out[k] = by_node[k].gives(self, n, g)
                    turn = by_node[k].turn
                    new.g[k] = g if turn is None else turn(self, g)
                else:
                    new.out[k] = self.contributions(n, g)
        return new

    def contributions(self, n: Any, g: Array) -> list[tuple[int, Array]]:
        """What the right rules of a node give its operands."""
        return [(a.id, d) for i, a in moving(n) if (d := self.right(n, i, g)) is not None]

    def right(self, n: Any, i: int, g: Array) -> Array:
        """What the right rule gives operand i; None for nothing."""
        d = n.op.vjp(i, g, self.values[n.id], *(self.value_of(a) for a in n.args), **n.kw)
        return None if d is None else np.asarray(d, float)

    # ------------------------------------------------------------ truths

    def gradient(self, k: int, sweep: Sweep | None = None) -> Array:
        """The derivative of the root in node k."""
        found = (sweep or self.base).g.get(k)
        return np.zeros(self.values[k].shape) if found is None else np.broadcast_to(found, self.values[k].shape)

    def jacobian(self, y: int, x: int) -> Array:
        """Every derivative of node y in node x: an array of y's axes, then x's."""
        if (y, x) not in self._jacobians:
            ny, nx = self.nodes[y], self.nodes[x]
            rows = [pull([ny], [s], [nx], record=False, allow_unused=True)[0] for s in _units(ny)]
            self._jacobians[y, x] = np.array(rows, float).reshape((*ny.shape, *nx.shape))
        return self._jacobians[y, x]

    def _gradient_scales(self) -> dict[Any, tuple[Array, int]]:
        """Those of all named gradients, which share most of their computation."""
        root, targets = self.graph.root_id, [k for k in self.graph.names if self.nodes[k].active]
        recorded = pull([self.root], [None], [self.nodes[k] for k in targets], record=True, allow_unused=True)
        return {("gradient", root, k): found for k, found in zip(targets, rounding(*recorded), strict=True)}

    def scale(self, kind: str, of: int, wrt: int | None) -> tuple[Array, int]:
        """The magnitude of the true entries and how many ulps they can be wrong by; see ulps.rounding."""
        key = (kind, of, wrt)
        if key not in self._scales:
            node = self.nodes[of]
            if kind == "value":
                self._scales[key] = rounding(node)[0]
            elif kind == "gradient":
                self._scales.update(self._gradient_scales())
            elif wrt is not None:
                x = self.nodes[wrt]
                found = rounding(*(pull([node], [s], [x], record=True, allow_unused=True)[0] for s in _units(node)))
                magnitude = np.array([np.broadcast_to(m, x.shape) for m, _ in found]).reshape((*node.shape, *x.shape))
                self._scales[key] = magnitude, max(k for _, k in found)
        return self._scales[key]


def moving(n: Any) -> list[tuple[int, Any]]:
    """The operands of a node that derivatives go to, with their places."""
    return [(i, a) for i, a in enumerate(n.args) if isinstance(a, Node) and a.active] if n.op is not None else []


def _units(node: Any) -> list[Any]:
    if isinstance(node, ValueBase):
        return [1.0]
    units = np.eye(node.size).reshape((node.size, *node.shape))
    return list(units)


# ---------------------------------------------------------------- what formulas see


class Env(Mapping[str, Any]):
    """The names of a point for formulas: values, `dE/dz2` for gradients, `dy1/dz1` for Jacobians.

    `point` is a Point, or what gives values and derivatives in another form.  `rows` gives gradients of vectors as rows;
    `recording` gives arrays as constants that record, so that the rounding of a formula can be bounded.
    """

    def __init__(self, point: Any, numbers: Mapping[str, float], rows: bool = False, recording: bool = False) -> None:
        self.point, self.numbers, self.rows, self.recording = point, numbers, rows, recording
        self._root = point.graph.root_name
        self.given: dict[str, Any] = {}  # names that mean something else here

    def __getitem__(self, name: str) -> Any:
        if name in self.given:
            return self.given[name]
        x = self._find(name)
        return constant_tensor(np.asarray(x, float), None) if self.recording and np.ndim(x) and np.asarray(x).dtype != bool else x

    def _find(self, name: str) -> Any:
        graph = self.point.graph
        if name in graph.by_name:
            return self.point.value_of(graph.by_name[name])
        if name in graph.sizes:
            return self.point.length(name)
        if name in self.numbers:
            return self.numbers[name]
        if name.startswith("d") and "/d" in name:
            of, wrt = name[1:].split("/d", 1)
            top, bottom = graph.node(of), graph.node(wrt)
            if top is None or bottom is None:
                raise KeyError(name)
            if of == self._root:
                g = self.point.gradient(bottom.id)
                return (np.transpose(g) if g.ndim == 2 else g[None]) if self.rows and is_vector(g.shape) and g.ndim else g
            return as_matrix(self.point.jacobian(top.id, bottom.id), top.shape, bottom.shape)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((*self.point.graph.by_name, *self.point.graph.sizes, *self.numbers))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def is_vector(shape: Sequence[int]) -> bool:
    """At most one axis is longer than 1."""
    return sum(n > 1 for n in shape) <= 1


def as_matrix(jacobian: Array, y: Sequence[int], x: Sequence[int]) -> Array:
    """The Jacobian of a vector in a vector as a matrix; others as they are."""
    return np.reshape(jacobian, (math.prod(y), math.prod(x))) if is_vector(y) and is_vector(x) else jacobian


def no_node(graph: Recorded, name: str, about: str) -> NotConnected:
    """The error for a claim about something that is not in the graph: which nodes are."""
    known = [n for n, x in graph.by_name.items() if isinstance(x, Node)]
    there = f"{nearest(name, known)} It has {', '.join(known)}."
    if any(s.node is not None and s.node.active and not s.name for s in graph.sources):
        there += " Some variables of it have no name: names are those of variables where ad.check is called, or given by name=."
    return NotConnected(f"{about} is about {name}, and the graph of {graph.root_name} has no node of that name.{there}")


def nearest(name: str, known: Sequence[str]) -> str:
    """A question after the names that may have been meant; "" if none is near."""
    import difflib

    alike = {k.lower(): k for k in known}
    near = [alike[k] for k in difflib.get_close_matches(name.lower(), alike, n=2, cutoff=0.4)]
    return f" Did you mean {' or '.join(near)}?" if near else ""
