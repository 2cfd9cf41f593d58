"""The graph as the pictures see it: its values in topological order, their operands, kinds, names and scopes.

Nothing recorded is changed, and nothing is computed; values and gradients are only referred to.
Folding, layout and every form of output start from the `Graph` made here.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..errors import BadOperand
from ..node import Node, order, stale
from ..ops import Op
from .numbers import short

Scope = tuple[str, ...]


@dataclass(slots=True)
class Vertex:
    """One value: a recorded node, or a plain number or array that is an operand of one.

    `name` is what the user calls it, "" for nothing; `label` what sentences and formulas call it.
    `scope` is the path of scope instances: a scope that is entered again is another instance.
    """

    place: int
    kind: str  # op | output | parameter | input | constant
    op: Op | None
    kw: dict[str, Any]
    name: str
    label: str
    scope: Scope
    data: Any
    grad: Any
    active: bool
    source: Any  # the node itself, or the plain operand
    shape: tuple[int, ...]
    line: str = ""  # where it was made, if that was traced

    @property
    def key(self) -> str:
        """The deterministic identifier: the place in topological order."""
        return f"n{self.place}"

    @property
    def statics(self) -> dict[str, Any]:
        """The op's static arguments, without those that have their default values."""
        return chosen(self.op, self.kw) if self.op is not None and self.kw else {}


@dataclass(slots=True)
class Edge:
    """`src` is operand number `operand` of `dst`; both are places."""

    src: int
    dst: int
    operand: int


@dataclass(slots=True)
class Graph:
    """What a root depends on.  `inputs[p]` and `outputs[p]` are places in `edges`, in operand order."""

    vertices: list[Vertex]
    edges: list[Edge]
    inputs: list[list[int]]
    outputs: list[list[int]]
    stale: str | None  # the sentence, if a leaf was assigned since

    @property
    def root(self) -> Vertex:
        """The value that was asked for: the last in topological order."""
        return self.vertices[-1]

    @property
    def title(self) -> str:
        """One line that says what the picture shows."""
        return f"Computation graph of {self.root.label}"

    def counts(self) -> dict[str, int]:
        """How many values, operations, parameters, inputs and constants there are."""
        kinds = [v.kind for v in self.vertices]
        return {
            "values": len(kinds),
            "operations": sum(v.op is not None for v in self.vertices),
            "parameters": kinds.count("parameter"),
            "inputs": kinds.count("input"),
            "constants": kinds.count("constant"),
        }

    @property
    def swept(self) -> bool:
        """Has a backward pass reached the root, so that there are gradients to show?"""
        return self.root.grad is not None


def build(root: Any, names: dict[int, str]) -> Graph:
    """The graph below `root`; `names` are what the user's variables call nodes and arrays, by `id()`."""
    if not isinstance(root, Node):
        raise BadOperand(
            f"ad.draw draws what a Value or a Tensor was computed from, and this is a plain {type(root).__name__}: "
            "nothing was recorded. Draw the result itself, ad.draw(E), not E.data or float(E)"
        )
    nodes = order(root)
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    inputs: list[list[int]] = []
    places: dict[int, int] = {}  # by id() of a node or of an array among operands
    for node in nodes:
        operands = []
        for a in node.args:
            is_array = isinstance(a, np.ndarray)
            if isinstance(a, Node) or (is_array and id(a) in places):
                operands.append(places[id(a)])
                continue
            operands.append(len(vertices))
            if is_array:
                places[id(a)] = len(vertices)
            vertices.append(_plain(a, len(vertices), names))
            inputs.append([])
        place = len(vertices)
        places[id(node)] = place
        vertices.append(_recorded(node, place, names))
        inputs.append(list(range(len(edges), len(edges) + len(operands))))
        edges += [Edge(src, place, i) for i, src in enumerate(operands)]
    if vertices[-1].op is not None:
        vertices[-1].kind = "output"
    outputs: list[list[int]] = [[] for _ in vertices]
    for i, e in enumerate(edges):
        outputs[e.src].append(i)
    graph = Graph(vertices, edges, inputs, outputs, None)
    _label(vertices)
    _settle_scopes(graph)
    graph.stale = _staleness(nodes, graph, places)
    return graph


def _plain(x: Any, place: int, names: dict[int, str]) -> Vertex:
    shape = x.shape if isinstance(x, np.ndarray) else ()
    name = names.get(id(x), "") if shape else ""
    kind = "input" if shape else "constant"
    return Vertex(place, kind, None, {}, name, "", (), x, None, False, x, shape)


def _recorded(node: Any, place: int, names: dict[int, str]) -> Vertex:
    name = node.name or names.get(id(node), "")
    op = node.op
    if op is not None:
        kind = "op"
    elif node.active:
        kind = "parameter"
    else:
        kind = "input" if name or node.shape else "constant"
    about = node.scope, node._data, node.grad, node.active, node, node.shape, node.line or ""
    return Vertex(place, kind, op, node.kw or {}, name, "", *about)


def _label(vertices: list[Vertex]) -> None:
    """Unnamed values are v1, v2, ... in order, and plain numbers are themselves."""
    taken = {v.name for v in vertices}
    count = 0
    for v in vertices:
        if v.name:
            v.label = v.name
        elif v.kind == "constant" and not v.shape:
            v.label = short(v.data)
        else:
            count += 1
            while f"v{count}" in taken:
                count += 1
            v.label = f"v{count}"


def chosen(op: Op, kw: dict[str, Any]) -> dict[str, Any]:
    """The static arguments of a call that are not at their defaults."""
    defaults = _defaults(op)
    return {k: x for k, x in kw.items() if k not in defaults or repr(defaults[k]) != repr(x)}


@cache
def _defaults(op: Op) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(op.forward).parameters.items()}


def _staleness(nodes: list[Any], graph: Graph, places: dict[int, int]) -> str | None:
    found = stale(nodes)
    if found is None:
        return None
    leaf, user = (graph.vertices[places[id(n)]].label for n in found)
    return (
        f"Stale: {leaf} was assigned after {user} was computed from its old value, so the numbers of this picture do not belong "
        "together. Run the forward computation again and draw its result."
    )


# ---------------------------------------------------------------- scopes
#
# A scope instance is one unbroken stretch of the recorded order.  Then a box around it can never stand
# both before and after another one, and collapsing scopes never makes a cycle.  Leaves have no operands,
# so they may move to where they are used.


def _settle_scopes(graph: Graph) -> None:
    results = [v for v in graph.vertices if v.op is not None]
    names: dict[Scope, Scope] = {(): ()}  # what the user wrote, by instance
    first: dict[Scope, int] = {(): 0}
    times: dict[Scope, int] = defaultdict(int)
    before: Scope = ()
    path: Scope = ()
    for v in results:
        written = v.scope
        shared = common(before, written)
        path = path[: len(shared)]
        for name in written[len(shared) :]:
            entered = (*path, name)
            times[entered] += 1
            path = entered if times[entered] == 1 else (*path, f"{name} ({times[entered]})")
            names[path] = written[: len(path)]
            first[path] = v.place
        v.scope, before = path, written
    instance: dict[Scope, Scope] = {}
    for path, written in names.items():
        instance.setdefault(written, path)
    for v in graph.vertices:
        if v.op is None:
            v.scope = _home(graph, v, names, instance, first)


def _home(graph: Graph, leaf: Vertex, names: dict[Scope, Scope], instance: dict[Scope, Scope], first: dict[Scope, int]) -> Scope:
    """Where a leaf is drawn: in its own scope if it was made in one, else beside its users; an input stays outside."""
    users = [graph.edges[i].dst for i in graph.outputs[leaf.place]]
    shared = graph.vertices[users[0]].scope if users else ()
    for u in users:
        shared = common(shared, graph.vertices[u].scope)
    own = leaf.scope
    if not own:
        return () if leaf.kind == "input" else shared
    if names[shared][: len(own)] == own:
        return shared[: len(own)]
    for k in range(len(own), 0, -1):
        home = instance.get(own[:k])
        if home is not None:
            return (*home, *own[k:]) if min(users) >= first[home] else ()
    return own


def common(a: Scope, b: Scope) -> Scope:
    """The scope that two scopes share."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return a[:i]
    return a if len(a) < len(b) else b
