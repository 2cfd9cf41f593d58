"""Folding: which boxes stand for which values, so that a graph of any size fits a budget of boxes.

A `View` is what is laid out and drawn: boxes that together hold every value that is shown, each exactly
once, and links that hold the edges between different boxes.  The ladder, climbed only until the budget
is met: constants move into their users; chains of sums become one; of four or more like scopes all but
the first become one box; of like inputs too; scopes collapse, the deepest and biggest first; and at
last the values furthest from the root become one box.  Every step keeps the boxes free of cycles.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .model import Graph, Scope, Vertex, common

BUDGET = 150
ROOMY = 2 / 3  # of the budget: how far scopes collapse once they must, so that it is no wall of boxes
LIKE = 4  # so many like scopes or inputs become a run
LINES_PER_BOX = 3  # more links than this, times the budget, are too many


@dataclass(slots=True)
class Box:
    """A box of the picture and the places of the values that it holds.

    `vertex` is the place of the value shown, None for a box that stands for several (`kind` "group").
    `inlined` are constants shown inside, with their operand numbers; `terms` counts a folded sum's.
    """

    key: str
    scope: Scope
    kind: str
    vertex: int | None
    members: list[int]
    title: str = ""
    inlined: list[tuple[int, int]] = field(default_factory=list)
    terms: int = 0


@dataclass(slots=True)
class Link:
    """Edges between two boxes: all of one operand, or, where a group takes part, all there are."""

    src: int
    dst: int
    edges: list[int]


@dataclass(slots=True)
class View:
    """What is drawn of a graph.  `owner[place]` is the box that holds a value, -1 if it is not shown."""

    graph: Graph
    boxes: list[Box]
    links: list[Link]
    owner: list[int]

    @property
    def hidden(self) -> int:
        """How many values are left out because they are on no path from the focus."""
        return self.owner.count(-1)

    @property
    def folded(self) -> bool:
        """Does some box stand for more than one value?"""
        return any(len(b.members) > 1 for b in self.boxes)


@dataclass(frozen=True)
class Wish:
    """How a person steers the folding; scopes are given by their paths, such as "layer1/neuron0"."""

    budget: int | None = BUDGET  # None: as many boxes as there are
    level: int | None = None  # so many levels of scopes are open
    focus: frozenset[int] = frozenset()  # places; only what lies on a path from these to the root
    collapse: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()


def fold(graph: Graph, wish: Wish) -> View:
    """The boxes and links that a graph is drawn as."""
    return _Folding(graph, wish).view()


class _Folding:
    """One climb of the ladder.  `head[p]` is the place whose box holds value p so far, before scopes."""

    def __init__(self, graph: Graph, wish: Wish) -> None:
        self.graph, self.wish = graph, wish
        self.head = list(range(len(graph.vertices)))
        self.shown = _focused(graph, wish.focus)
        self.inlined: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.operands: dict[int, list[int]] = {}  # of folded sums: edges in the order of the terms
        self.scopes = _Scopes(graph, self.shown)
        self.runs: list[list[Scope]] = []  # like scopes, the first of which stays as it is
        self.run_of: dict[Scope, int] = {}  # of the others: the place in `runs`
        self.like: dict[int, int] = {}  # a folded leaf: the leaf it stands in a row with
        self.closed: set[Scope] = set()
        self.forced: set[Scope] = set()

    def view(self) -> View:
        self._steer()
        budget = self.wish.budget
        if budget is not None:
            ladder: list[Callable[[], None]] = [self._inline, self._join_sums, self._join_runs, self._join_leaves]
            for rung in ladder:
                if not self._fits(budget):
                    rung()
            if not self._fits(budget):
                self._collapse_until(ROOMY * budget)
        boxes, owner = self._boxes()
        if budget is not None and len(boxes) > budget:
            boxes, owner = self._cut(boxes, owner, budget)
        return View(self.graph, boxes, self._links(boxes, owner), owner)

    # ------------------------------------------------------------ what the person asked for

    def _steer(self) -> None:
        known: dict[str, list[Scope]] = defaultdict(list)
        for s in self.scopes.all:
            for path in {"/".join(s), "/".join(re.sub(r" \(\d+\)$", "", name) for name in s)}:
                known[path].append(s)
        level = self.wish.level
        if level is not None:
            self.closed |= {s for s in self.scopes.all if len(s) > level}
        for path in self.wish.collapse:
            self.closed |= set(self._named(path, known))
        for path in self.wish.expand:
            for s in self._named(path, known):
                for k in range(1, len(s) + 1):
                    self.forced.add(s[:k])
        self.closed -= self.forced

    @staticmethod
    def _named(path: str, known: dict[str, list[Scope]]) -> list[Scope]:
        """The scopes that a path means; without a number it means every time that the scope was entered."""
        if path in known:
            return known[path]
        some = f"there are {', '.join(sorted(known)[:6])}" if known else "it was recorded without ad.scope"
        raise ValueError(f"there is no scope {path!r} in this graph; {some}")

    # ------------------------------------------------------------ the rungs

    def _inline(self) -> None:
        """Constants of one number move into the boxes of their users."""
        g = self.graph
        for v in g.vertices:
            if v.kind == "constant" and not v.shape and self.shown[v.place] and len(g.outputs[v.place]) == 1:
                edge = g.edges[g.outputs[v.place][0]]
                if self.shown[edge.dst]:
                    self.head[v.place] = edge.dst
                    self.inlined[edge.dst].append((edge.operand, v.place))

    def _join_sums(self) -> None:
        """A sum whose only use is a sum in the same scope becomes part of it."""
        g = self.graph
        inner = set()
        for v in g.vertices:
            if _is_sum(v) and not v.name and self.shown[v.place] and len(g.outputs[v.place]) == 1:
                user = g.vertices[g.edges[g.outputs[v.place][0]].dst]
                if _is_sum(user) and user.scope == v.scope and user.op is v.op and self.shown[user.place]:
                    inner.add(v.place)
        for v in g.vertices:
            if _is_sum(v) and v.place not in inner and any(g.edges[i].src in inner for i in g.inputs[v.place]):
                self.operands[v.place] = self._terms(v.place, inner)

    def _terms(self, place: int, inner: set[int]) -> list[int]:
        """The edges that bring a folded sum its terms, in order; its inner sums join its box."""
        g = self.graph
        terms = []
        stack = g.inputs[place][::-1]
        while stack:
            i = stack.pop()
            src = g.edges[i].src
            if src in inner:
                constants = self.inlined.pop(src, [])
                self.inlined[place] += constants
                for p in (src, *(p for _, p in constants)):
                    self.head[p] = place
                stack += g.inputs[src][::-1]
            elif self.head[src] == src:  # a constant moved in already
                terms.append(i)
        return terms

    def _join_runs(self) -> None:
        """Of four or more like scopes side by side all but the first become one box."""
        for parent, children in self.scopes.children.items():
            alike: dict[Any, list[Scope]] = defaultdict(list)
            if len(children) >= LIKE:
                for child in children:
                    if child not in self.forced:
                        alike[self.scopes.signature(child)].append(child)
            here: list[list[Scope]] = []
            for like in alike.values():
                if len(like) >= LIKE and self.scopes.stays_acyclic(parent, [*here, like[1:]]):
                    here.append(like[1:])
                    self.run_of |= dict.fromkeys(like[1:], len(self.runs))
                    self.runs.append(like)

    def _join_leaves(self) -> None:
        """Of four or more leaves that other scopes use alike all become one box."""
        g = self.graph
        alike: dict[Any, list[int]] = defaultdict(list)
        for v in g.vertices:
            if v.op is None and self.shown[v.place] and self.head[v.place] == v.place and self._scope_box(v.scope) is None:
                users = frozenset(self._seen_from(v.scope, g.vertices[g.edges[i].dst].scope) for i in g.outputs[v.place])
                if v.place not in self.wish.focus and v.scope not in users:
                    alike[v.scope, v.kind, v.shape, users].append(v.place)
        for places in alike.values():
            if len(places) >= LIKE:
                self.like |= dict.fromkeys(places, places[0])

    def _seen_from(self, scope: Scope, other: Scope) -> Scope:
        """The scope that `other` lies in, as far as one sees it from `scope`: siblings of a run look the same."""
        sibling = other[: len(common(scope, other)) + 1]
        return self.runs[self.run_of[sibling]][0] if sibling in self.run_of else sibling

    def _collapse_until(self, budget: float) -> None:
        """Collapse scopes, the deepest and of these the biggest first, until the boxes fit the budget."""
        total = self._count()
        inside = self._inside()
        for s in sorted(inside, key=lambda s: (-len(s), -inside[s], s)):
            if total <= budget:
                break
            gain = inside[s] - 1
            if gain > 0 and s not in self.forced and self._scope_box(s) is None:
                self.closed.add(s)
                total -= gain
                for k in range(1, len(s) + 1):
                    inside[s[:k]] -= gain

    # ------------------------------------------------------------ counting and building

    def _scope_box(self, scope: Scope) -> Scope | None:
        """The outermost scope around, or of, `scope` that is drawn as a box or belongs to a run."""
        for k in range(1, len(scope) + 1):
            if scope[:k] in self.closed or scope[:k] in self.run_of:
                return scope[:k]
        return None

    def _keys(self) -> list[Any]:
        """What box each value is in: a place, a scope, or a run as text; None if it is not shown."""
        boxed: dict[Scope, Any] = {}
        keys: list[Any] = []
        for v in self.graph.vertices:
            if not self.shown[v.place]:
                keys.append(None)
                continue
            head = self.head[v.place]
            scope = self.graph.vertices[head].scope
            if scope not in boxed:
                box = self._scope_box(scope)
                boxed[scope] = f"run {self.run_of[box]}" if box in self.run_of else box
            key = boxed[scope]
            keys.append(self.like.get(head, head) if key is None else key)
        return keys

    def _fits(self, budget: int) -> bool:
        """Few enough boxes, and few enough lines between them to tell one from another?"""
        keys = self._keys()
        if len(set(keys) - {None}) > budget:
            return False
        return len({(keys[e.src], keys[e.dst]) for e in self.graph.edges}) <= LINES_PER_BOX * budget

    def _count(self) -> int:
        return len(set(self._keys()) - {None})

    def _inside(self) -> dict[Scope, int]:
        """How many boxes each open scope has inside, at any depth."""
        inside: dict[Scope, int] = defaultdict(int)
        for key in set(self._keys()) - {None}:
            if isinstance(key, int):
                scope = self.graph.vertices[key].scope
            else:
                scope = (self._run(key)[0] if isinstance(key, str) else key)[:-1]
            for k in range(1, len(scope) + 1):
                inside[scope[:k]] += 1
        return inside

    def _run(self, key: str) -> list[Scope]:
        return self.runs[int(key.removeprefix("run "))]

    def _boxes(self) -> tuple[list[Box], list[int]]:
        members: dict[Any, list[int]] = defaultdict(list)
        for place, key in enumerate(self._keys()):
            if key is not None:
                members[key].append(place)
        boxes = [self._box(key, places) for key, places in members.items()]
        # Boxes come in the order of their first values, which is the order things were declared in.
        owner = [-1] * len(self.graph.vertices)
        for i, box in enumerate(boxes):
            for place in box.members:
                owner[place] = i
        return boxes, owner

    def _box(self, key: Any, places: list[int]) -> Box:
        g = self.graph
        if isinstance(key, tuple):
            return Box(f"s{places[0]}", key[:-1], "group", None, places, key[-1])
        if isinstance(key, str):
            first, *rest = self._run(key)
            names = rest[0][-1] if len(rest) == 1 else f"{rest[0][-1]} … {rest[-1][-1]}"
            return Box(f"s{places[0]}", first[:-1], "group", None, places, f"+{len(rest)} more like {first[-1]} ({names})")
        v = g.vertices[key]
        if key in self.like:
            return Box(f"s{key}", v.scope, "group", None, places, f"{v.label} … {g.vertices[places[-1]].label}")
        terms = len(self.operands[key]) + len(self.inlined[key]) if key in self.operands else 0
        return Box(v.key, v.scope, v.kind, key, places, inlined=sorted(self.inlined.get(key, [])), terms=terms)

    def _cut(self, boxes: list[Box], owner: list[int], budget: int) -> tuple[list[Box], list[int]]:
        """Keep the boxes nearest to the root; all before them, in topological order, become one."""
        kept = _topological(boxes, self._links(boxes, owner))[-int(ROOMY * budget) :]
        stay = set(kept)
        rest = [p for i, b in enumerate(boxes) if i not in stay for p in b.members]
        rest.sort()
        hidden = Box(f"s{rest[0]}", (), "group", None, rest, f"… {len(rest):,} more")
        chosen = [hidden, *(boxes[i] for i in sorted(stay))]
        owner = [-1] * len(owner)
        for i, box in enumerate(chosen):
            for p in box.members:
                owner[p] = i
        return chosen, owner

    def _links(self, boxes: list[Box], owner: list[int]) -> list[Link]:
        g = self.graph
        links: dict[Any, Link] = {}
        for d, box in enumerate(boxes):
            if box.vertex is not None:
                edges: Iterable[int] = self.operands.get(box.vertex, g.inputs[box.vertex])
            else:
                edges = (i for p in box.members for i in g.inputs[p])
            for i in edges:
                s = owner[g.edges[i].src]
                if s == d or s == -1:
                    continue
                single = box.vertex is not None and boxes[s].vertex is not None
                link = links.setdefault((s, d, i if single else -1), Link(s, d, []))
                link.edges.append(i)
        return list(links.values())


def _is_sum(v: Vertex) -> bool:
    """A sum is an elementwise op of several operands towards all of which its derivative is 1."""
    return v.op is not None and v.op.kind == "elementwise" and len(v.op.partials) > 1 and all(p == 1 for p in v.op.partials)


def _focused(graph: Graph, focus: frozenset[int]) -> list[bool]:
    """Which values are shown: without a focus all, else those on a path from it, and the operands on
    which a local derivative along the path depends."""
    if not focus:
        return [True] * len(graph.vertices)
    on = [False] * len(graph.vertices)
    shown = [False] * len(graph.vertices)
    for v in graph.vertices:
        sources = [graph.edges[i].src for i in graph.inputs[v.place]]
        on[v.place] = v.place in focus or any(on[s] for s in sources)
        if on[v.place]:
            shown[v.place] = True
            if v.place not in focus and _needs_operands(v, [on[s] for s in sources]):
                for s in sources:
                    shown[s] = True
    return shown


def _needs_operands(v: Vertex, on: list[bool]) -> bool:
    """Does the local derivative towards some operand on the path depend on the operands?"""
    assert v.op is not None
    if v.op.kind == "elementwise":
        return any(callable(p) for p, here in zip(v.op.partials, on, strict=True) if here)
    return v.op.kind != "linear"


def _topological(boxes: list[Box], links: list[Link]) -> list[int]:
    """The boxes, operands first and else by their last values."""
    waiting = [0] * len(boxes)
    after: list[list[int]] = [[] for _ in boxes]
    for link in links:
        waiting[link.dst] += 1
        after[link.src].append(link.dst)
    last = [b.members[-1] for b in boxes]
    ready = [(last[i], i) for i, n in enumerate(waiting) if n == 0]
    heapq.heapify(ready)
    found = []
    while ready:
        _, i = heapq.heappop(ready)
        found.append(i)
        for j in after[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                heapq.heappush(ready, (last[j], j))
    return found


class _Scopes:
    """The scopes of a graph: their order, which are alike, and what runs would make of them."""

    def __init__(self, graph: Graph, shown: list[bool]) -> None:
        self.graph = graph
        self.members: dict[Scope, list[int]] = defaultdict(list)  # at any depth
        self.children: dict[Scope, list[Scope]] = defaultdict(list)
        for v in graph.vertices:
            if shown[v.place]:
                for k in range(1, len(v.scope) + 1):
                    s = v.scope[:k]
                    if s not in self.members:
                        self.children[s[:-1]].append(s)
                    self.members[s].append(v.place)

    @property
    def all(self) -> list[Scope]:
        return list(self.members)

    def signature(self, scope: Scope) -> Any:
        """Equal for scopes that hold the same ops on the same shapes, connected in the same way."""
        g, places = self.graph, self.members[scope]
        position = {p: i for i, p in enumerate(places)}
        inner: dict[Scope, int] = {}
        rows = []
        for p in places:
            v = g.vertices[p]
            sub = inner.setdefault(v.scope[len(scope) :], len(inner))
            operands = tuple(position.get(g.edges[i].src, -1) for i in g.inputs[p])
            rows.append((v.op.name if v.op else v.kind, v.shape, sub, operands))
        return tuple(rows)

    def stays_acyclic(self, parent: Scope, runs: list[list[Scope]]) -> bool:
        """Would the items of `parent` be free of cycles if each run were one item?"""
        g, depth = self.graph, len(parent)
        joined: dict[Any, Any] = {s: i for i, run in enumerate(runs) for s in run}
        after: dict[Any, set[Any]] = defaultdict(set)
        waiting: dict[Any, int] = defaultdict(int)
        items = set()

        def item(v: Vertex) -> Any:
            found: Any = v.scope[: depth + 1] if len(v.scope) > depth else v.place
            return joined.get(found, found)

        for p in self.members[parent] if parent else range(len(g.vertices)):
            dst = g.vertices[p]
            if dst.scope[:depth] != parent:
                continue
            d = item(dst)
            items.add(d)
            for i in g.inputs[p]:
                src = g.vertices[g.edges[i].src]
                if src.scope[:depth] == parent and (s := item(src)) != d and d not in after[s]:
                    after[s].add(d)
                    waiting[d] += 1
        ready = [i for i in items if not waiting[i]]
        seen = 0
        while ready:
            seen += 1
            for d in after[ready.pop()]:
                waiting[d] -= 1
                if not waiting[d]:
                    ready.append(d)
        return seen == len(items)
