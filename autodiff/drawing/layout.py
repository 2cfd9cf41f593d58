"""Where boxes and edges go: a layered layout that keeps scopes together, without recursion.

Values flow from left to right; where they flow down, all of this is turned.  Every scope is laid out on
its own, inner ones first, and is then one box with ports on its border for the one around it; scopes of
the same structure share one layout.
Within a scope boxes stand in ranks, as late as possible; what passes a rank gets a place of its own in
it; and every bend lies in the channel between two ranks, where no box is: so boxes never overlap and
no edge crosses a box that it does not belong to.

Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", IEEE
Trans. SMC 11 (1981).  What is laid out must be free of cycles; folding sees to that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from .model import Scope, common

CHANNEL = 34.0  # between two ranks
GAP = 12.0  # between two boxes of a rank
LINE_GAP = 8.0  # between two lines, or a line and a box
PAD = 12.0  # between a scope's border and what is in it
HEADING = 22.0  # for a scope's name
MARGIN = 8.0  # around the whole picture
PORT_STEP = 14.0  # between two operands that enter a box
LEAST_SCOPE = 70.0  # the least width of a scope

Point = tuple[float, float]


@dataclass(slots=True)
class Item:
    """A box to place: its size and the scope around it."""

    scope: Scope
    width: float
    height: float


@dataclass(slots=True)
class Arrow:
    """An edge to route, between boxes given by index; `lead` is the width that its label needs."""

    src: int
    dst: int
    lead: float = 0.0


@dataclass(slots=True)
class Layout:
    """Left upper corners of boxes, rectangles (x, y, width, height) of scopes, and polylines of arrows."""

    width: float
    height: float
    corners: list[Point]
    scopes: dict[Scope, tuple[float, float, float, float]]
    routes: list[list[Point]]


def layout(items: Sequence[Item], arrows: Sequence[Arrow], headings: dict[Scope, float] | None = None, down: bool = False) -> Layout:
    """Place the boxes and route the arrows; arrows into a box enter in the order in which they are given.

    `headings` are the widths that the names of scopes take.  With `down`, values flow from top to bottom.
    """
    if not down:
        return _Composition(items, arrows, headings or {}, down).solve()
    turned = _Composition([Item(i.scope, i.height, i.width) for i in items], arrows, headings or {}, down).solve()
    return Layout(
        turned.height,
        turned.width,
        [(y, x) for x, y in turned.corners],
        {scope: (y, x, h, w) for scope, (x, y, w, h) in turned.scopes.items()},
        [[(y, x) for x, y in route] for route in turned.routes],
    )


def ports(count: int, height: float) -> list[float]:
    """How far from a box's top its operands enter.

    >>> ports(2, 52.0)
    [19.0, 33.0]
    """
    spread = min(height * 0.8, PORT_STEP * count)
    return [height / 2 + ((i + 0.5) / count - 0.5) * spread for i in range(count)]


# ---------------------------------------------------------------- scopes, from the inside out
#
# An item of a scope is a box (its index), an inner scope (its path), or a port: ("in", box) on the left
# border, ("out", box) on the right one, where the value of that box crosses it.


@dataclass(slots=True)
class _Level:
    """The items of one scope in order, and the lines between them: (item, item, box it comes from, port)."""

    index: dict[Any, int] = field(default_factory=dict)
    lines: dict[tuple[int, int, int, float], int] = field(default_factory=dict)
    leads: list[float] = field(default_factory=list)

    def item(self, key: Any) -> int:
        return self.index.setdefault(key, len(self.index))


@dataclass(slots=True)
class _Placed:
    """One scope, laid out: its size, the centres of its items, and the polylines of its lines."""

    width: float
    height: float
    centers: list[Point]
    routes: list[list[Point]]


class _Composition:
    def __init__(self, items: Sequence[Item], arrows: Sequence[Arrow], headings: dict[Scope, float], down: bool) -> None:
        self.items, self.arrows, self.headings, self.down = items, arrows, headings, down
        self.levels: dict[Scope, _Level] = {(): _Level()}
        self.pieces: list[list[tuple[Scope, int]]] = []  # of each arrow: the lines it consists of
        self.placed: dict[Scope, _Placed] = {}

    def solve(self) -> Layout:
        for i, item in enumerate(self.items):
            for k in range(len(item.scope) + 1):
                self.levels.setdefault(item.scope[:k], _Level()).item(_within(item.scope, k, i))
        self._split()
        alike: dict[Any, _Placed] = {}
        for scope in sorted(self.levels, key=len, reverse=True):
            self._place(scope, alike)
        return self._compose()

    def _split(self) -> None:
        """Cut every arrow at the borders it crosses; arrows of one value share the pieces they have in common."""
        count: dict[int, int] = defaultdict(int)
        for arrow in self.arrows:
            count[arrow.dst] += 1
        free = {i: iter(ports(n, self.items[i].height)) for i, n in count.items()}
        for arrow in self.arrows:
            a, b = self.items[arrow.src].scope, self.items[arrow.dst].scope
            top = len(common(a, b))
            port = next(free[arrow.dst])
            pieces = [(a[:k], _within(a, k, arrow.src), ("out", arrow.src)) for k in range(len(a), top, -1)]
            pieces.append((a[:top], _within(a, top, arrow.src), _within(b, top, arrow.dst)))
            pieces += [(b[:k], ("in", arrow.src), _within(b, k, arrow.dst)) for k in range(top + 1, len(b) + 1)]
            self.pieces.append([(scope, self._line(scope, x, y, arrow, port)) for scope, x, y in pieces])

    def _line(self, scope: Scope, src: Any, dst: Any, arrow: Arrow, port: float) -> int:
        level = self.levels[scope]
        into_box = dst.__class__ is int
        key = (level.item(src), level.item(dst), arrow.src, port if into_box else -1.0)
        if key not in level.lines:
            level.lines[key] = len(level.lines)
            level.leads.append(arrow.lead if into_box else 0.0)
        return level.lines[key]

    def _place(self, scope: Scope, alike: dict[Any, _Placed]) -> None:
        level = self.levels[scope]
        keys = list(level.index)
        kinds = ["box" if k.__class__ is int else k[0] if k[-1].__class__ is int else "scope" for k in keys]
        sizes = [self._size(k, kind) for k, kind in zip(keys, kinds, strict=True)]
        lines = []
        for (src, dst, box, port), lead in zip(level.lines, level.leads, strict=True):
            leaves = self._crossing(keys[src], ("out", box)) if kinds[src] == "scope" else sizes[src][1] / 2
            enters = self._crossing(keys[dst], ("in", box)) if kinds[dst] == "scope" else port if kinds[dst] == "box" else sizes[dst][1] / 2
            lines.append(_Line(src, dst, leaves - sizes[src][1] / 2, enters - sizes[dst][1] / 2, lead))
        heading = self.headings.get(scope, 0.0)
        signature = (scope != (), heading, tuple(kinds), tuple(sizes), tuple(lines))
        if signature not in alike:
            alike[signature] = _Ranks(kinds, sizes, lines).placed(scope != (), heading, self.down)
        self.placed[scope] = alike[signature]

    def _size(self, key: Any, kind: str) -> Point:
        if kind == "box":
            return self.items[key].width, self.items[key].height
        return (self.placed[key].width, self.placed[key].height) if kind == "scope" else (0.0, 2.0)

    def _crossing(self, scope: Scope, port: tuple[str, int]) -> float:
        """How far below the top of a scope a value crosses its border."""
        return self.placed[scope].centers[self.levels[scope].index[port]][1]

    def _compose(self) -> Layout:
        corner: dict[Scope, Point] = {(): (0.0, 0.0)}
        corners: list[Point] = [(0.0, 0.0)] * len(self.items)
        for scope in sorted(self.levels, key=len):
            x, y = corner[scope]
            for key, (cx, cy) in zip(self.levels[scope].index, self.placed[scope].centers, strict=True):
                if key.__class__ is int:
                    corners[key] = (x + cx - self.items[key].width / 2, y + cy - self.items[key].height / 2)
                elif key[-1].__class__ is not int:
                    corner[key] = (x + cx - self.placed[key].width / 2, y + cy - self.placed[key].height / 2)
        routes = []
        for pieces in self.pieces:
            route: list[Point] = []
            for scope, line in pieces:
                x, y = corner[scope]
                points = [(x + u, y + v) for u, v in self.placed[scope].routes[line]]
                route += points[1:] if route else points
            routes.append(route)
        scopes = {s: (*corner[s], self.placed[s].width, self.placed[s].height) for s in self.levels if s}
        return Layout(self.placed[()].width, self.placed[()].height, corners, scopes, routes)


def _within(scope: Scope, depth: int, box: int) -> Any:
    """The item of `scope[:depth]` that a box in `scope` belongs to."""
    return box if len(scope) == depth else scope[: depth + 1]


# ---------------------------------------------------------------- one scope


class _Line(NamedTuple):
    """From an item to another; offsets are from the items' centres, downwards."""

    src: int
    dst: int
    leaves: float
    enters: float
    lead: float


class _Ranks:
    """The items of one scope in ranks.  Places past the items are bends: where a line passes a rank."""

    def __init__(self, kinds: list[str], sizes: list[Point], lines: list[_Line]) -> None:
        self.kinds, self.lines = kinds, lines
        self.items = len(sizes)
        self.widths = [w for w, _ in sizes]
        self.heights = [h for _, h in sizes]
        self.before: list[list[tuple[int, float]]] = [[] for _ in sizes]  # neighbour, and how much lower it wants this
        self.after: list[list[tuple[int, float]]] = [[] for _ in sizes]
        self.rank = self._ranked()
        self.paths = self._bends()
        self.layers = self._layers()
        self.y = [0.0] * len(self.heights)
        few = len(self.heights) < 1500
        self._order(8 if few else 4)
        self._settle(14 if few else 6)

    def _ranked(self) -> list[int]:
        """As late as possible, which halves the area; ports stand at the borders."""
        after: list[list[int]] = [[] for _ in range(self.items)]
        waiting = [0] * self.items
        for line in self.lines:
            after[line.src].append(line.dst)
            waiting[line.dst] += 1
        ready = [i for i in range(self.items) if not waiting[i]]
        rank = [0] * self.items
        found = []
        while ready:
            i = ready.pop()
            found.append(i)
            for j in after[i]:
                rank[j] = max(rank[j], rank[i] + 1)
                waiting[j] -= 1
                if not waiting[j]:
                    ready.append(j)
        for i in reversed(found):
            if after[i]:
                rank[i] = min(rank[j] for j in after[i]) - 1
        inner = [rank[i] for i in range(self.items) if self.kinds[i] in ("box", "scope")]
        first, last = min(inner) - 1, max(inner) + 1
        for i, kind in enumerate(self.kinds):
            if kind in ("in", "out"):
                rank[i] = first if kind == "in" else last
        lowest = min(rank)
        return [r - lowest for r in rank]

    def _bends(self) -> list[list[int]]:
        """The places each line goes through; lines that leave an item together share their bends."""
        chain: dict[tuple[int, float, int], int] = {}
        paths = []
        for line in self.lines:
            path, offset = [line.src], line.leaves
            for r in range(self.rank[line.src] + 1, self.rank[line.dst]):
                key = (line.src, line.leaves, r)
                if key not in chain:
                    chain[key] = len(self.heights)
                    self.widths.append(0.0)
                    self.heights.append(4.0)
                    self.rank.append(r)
                    self.before.append([(path[-1], offset)])
                    self.after.append([])
                    self.after[path[-1]].append((chain[key], -offset))
                path.append(chain[key])
                offset = 0.0
            self.before[line.dst].append((path[-1], offset - line.enters))
            self.after[path[-1]].append((line.dst, line.enters - offset))
            paths.append([*path, line.dst])
        return paths

    def _layers(self) -> list[list[int]]:
        """The first order in each rank: depth first from the results, so that operands come in order."""
        layers: list[list[int]] = [[] for _ in range(max(self.rank) + 1)]
        seen = [False] * len(self.rank)
        for start in [i for i, after in enumerate(self.after) if not after]:
            stack = [(start, iter(self.before[start]))]
            seen[start] = True
            while stack:
                i, operands = stack[-1]
                for j, _ in operands:
                    if not seen[j]:
                        seen[j] = True
                        stack.append((j, iter(self.before[j])))
                        break
                else:
                    layers[self.rank[i]].append(i)
                    stack.pop()
        return layers

    def _gap(self, i: int, j: int) -> float:
        return GAP if i < self.items and j < self.items else LINE_GAP

    def _order(self, sweeps: int) -> None:
        """Sort each rank by the mean place of its neighbours, forth and back; scopes keep their order."""
        for layer in self.layers:
            self._stack(layer, 0.0)
        for sweep in range(sweeps):
            forth = sweep % 2 == 0
            neighbours = self.before if forth else self.after
            for layer in self.layers[1:] if forth else self.layers[-2::-1]:
                wish = {}
                for i in layer:
                    near = neighbours[i]
                    wish[i] = sum([self.y[j] + d for j, d in near]) / len(near) if near else self.y[i]
                layer.sort(key=wish.__getitem__)
                slots = [k for k, i in enumerate(layer) if i < self.items and self.kinds[i] == "scope"]
                for k, i in zip(slots, sorted(layer[k] for k in slots), strict=True):
                    layer[k] = i
                self._stack(layer, sum(wish.values()) / len(wish))

    def _stack(self, layer: list[int], middle: float) -> None:
        """One below the other, in order, around a middle."""
        y = 0.0
        for i in layer:
            self.y[i] = y + self.heights[i] / 2
            y += self.heights[i] + GAP
        shift = middle - sum(self.y[i] for i in layer) / len(layer)
        for i in layer:
            self.y[i] += shift

    def _settle(self, sweeps: int) -> None:
        """Move everything to where its neighbours want it, as near as the others in the rank allow."""
        y, items = self.y, self.items
        gaps = [[(self.heights[i] + self.heights[j]) / 2 + self._gap(i, j) for i, j in pairwise(layer)] for layer in self.layers]
        pull = [
            [(j, d, 4.0 if i >= items and j >= items else 1.0) for j, d in (*self.before[i], *self.after[i])]
            for i in range(len(self.heights))
        ]
        weight = [sum(w for _, _, w in near) or 0.1 for near in pull]
        for sweep in range(sweeps):
            for r in range(len(self.layers)) if sweep % 2 == 0 else range(len(self.layers) - 1, -1, -1):
                layer = self.layers[r]
                wish = [sum([(y[j] + d) * w for j, d, w in pull[i]]) / weight[i] if pull[i] else y[i] for i in layer]
                for i, place in zip(layer, _separated(wish, [weight[i] for i in layer], gaps[r]), strict=True):
                    y[i] = place

    def placed(self, framed: bool, heading: float, down: bool) -> _Placed:
        """The result: coordinates from the left upper corner of the scope, of one that is turned if values flow down."""
        pad = PAD if framed else MARGIN
        above, before = (0.0, HEADING) if down else (HEADING, 0.0)
        left, right, leads = self._columns(pad, before if framed else 0.0)
        top = min(y - h / 2 for y, h in zip(self.y, self.heights, strict=True)) - pad - (above if framed else 0.0)
        bottom = max(y + h / 2 for y, h in zip(self.y, self.heights, strict=True)) + pad
        if down and framed and "in" in self.kinds:  # what enters passes by the name
            entries = min(y for y, kind in zip(self.y, self.kinds, strict=False) if kind == "in")
            top = min(top, entries - heading)
        has_exit = "out" in self.kinds
        width = right[-1] + (0.0 if has_exit else pad)
        least = max(heading, LEAST_SCOPE) if framed else 0.0
        if down:
            bottom = max(bottom, top + least)
        else:
            width = max(width, least)
        if has_exit:
            left[-1] = right[-1] = width
        centers = [(left[self.rank[i]] + self.widths[i] / 2, self.y[i] - top) for i in range(self.items)]
        routes = [self._route(line, path, left, right, leads, top) for line, path in zip(self.lines, self.paths, strict=True)]
        return _Placed(width, bottom - top, centers, routes)

    def _columns(self, pad: float, before: float) -> tuple[list[float], list[float], list[float]]:
        """Left and right ends of the ranks, and the room for labels left of each; more bends get a wider channel."""
        bends: list[set[tuple[int, float]]] = [set() for _ in self.layers]
        leads = [0.0] * len(self.layers)
        for line, path in zip(self.lines, self.paths, strict=True):
            for i, j in pairwise(path):
                bends[self.rank[j]].add((i, line.leaves))
            leads[self.rank[line.dst]] = max(leads[self.rank[line.dst]], line.lead)
        has_entry = "in" in self.kinds
        x = 0.0 if has_entry else pad + before
        left, right = [], []
        for r, layer in enumerate(self.layers):
            if r:
                x += CHANNEL + min(40.0, 2.0 * max(0, len(bends[r]) - 4)) + leads[r]
            left.append(x)
            x += before if has_entry and not r else max(self.widths[i] for i in layer)
            right.append(x)
        return left, right, leads

    def _route(self, line: _Line, path: list[int], left: list[float], right: list[float], leads: list[float], top: float) -> list[Point]:
        y = self.y[line.src] + line.leaves - top
        start = left[self.rank[line.src]] + self.widths[line.src]
        points = [(start, y), (right[self.rank[line.src]], y)]
        for i in path[1:]:
            y = self.y[i] - top + (line.enters if i == line.dst else 0.0)
            r = self.rank[i]
            points += [(left[r] - leads[r], y), (left[r], y)]
            if i != line.dst:
                points.append((right[r], y))
        return [p for k, p in enumerate(points) if k == 0 or p != points[k - 1]]


def _separated(wish: list[float], weight: list[float], gap: list[float]) -> list[float]:
    """The places nearest to the wishes, by weighted squares, that keep the order and the gaps.

    Pool adjacent violators: neighbours that want to be too close move as one block.
    """
    shifts = [0.0]
    for g in gap:
        shifts.append(shifts[-1] + g)
    blocks: list[tuple[float, float, int]] = []  # weighted sum, weight, how many
    for place, w, shift in zip(wish, weight, shifts, strict=True):
        total, heavy, count = (place - shift) * w, w, 1
        while blocks and blocks[-1][0] * heavy > total * blocks[-1][1]:
            t, h, c = blocks.pop()
            total, heavy, count = total + t, heavy + h, count + c
        blocks.append((total, heavy, count))
    places = [t / h for t, h, c in blocks for _ in range(c)]
    return [p + s for p, s in zip(places, shifts, strict=True)]
