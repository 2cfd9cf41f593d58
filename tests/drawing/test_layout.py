"""What holds for every layout: nothing overlaps, edges keep clear of foreign boxes, order is kept."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.drawing.fold import View, Wish, fold
from autodiff.drawing.layout import Layout, ports
from autodiff.drawing.model import build
from autodiff.drawing.notes import Notes
from autodiff.drawing.svg import Picture
from tests.drawing.graphs import mlp, two_layer

Rectangle = tuple[float, float, float, float]


@st.composite
def scoped_graphs(draw: st.DrawFn) -> Any:
    """Random graphs of Values, with scopes entered and left at random, also again and inside each other."""
    values: list[Any] = [ad.Value(float(i + 1), name=f"x{i}") for i in range(draw(st.integers(1, 4)))]
    path: list[str] = []
    for _ in range(draw(st.integers(1, 28))):
        move = draw(st.sampled_from(["stay", "enter", "leave", "stay"]))
        if move == "enter" and len(path) < 3:
            path.append(draw(st.sampled_from(["a", "b", "c"])))
        elif move == "leave" and path:
            path.pop()
        one, other = (values[draw(st.integers(max(0, len(values) - 6), len(values) - 1))] for _ in range(2))
        made = {"+": lambda x, y: x + y, "*": lambda x, y: x * y, "2": lambda x, y: x * 2.0, "t": lambda x, y: x.tanh()}
        result = made[draw(st.sampled_from("+*2t"))](one, other)
        result.scope = tuple(path)
        values.append(result)
    total = values[-1]
    for v in values[-4:-1]:
        total = total + v
    return total


def rectangles(picture: Picture) -> list[Rectangle]:
    return [(x, y, s.width, s.height) for (x, y), s in zip(picture.layout.corners, picture.shapes, strict=True)]


def turned(layout: Layout, boxes: list[Rectangle]) -> tuple[Layout, list[Rectangle]]:
    """A picture that flows down, as one that flows to the right."""

    def turn(r: Rectangle) -> Rectangle:
        return r[1], r[0], r[3], r[2]

    routes = [[(y, x) for x, y in route] for route in layout.routes]
    scopes = {s: turn(r) for s, r in layout.scopes.items()}
    return Layout(layout.height, layout.width, [(y, x) for x, y in layout.corners], scopes, routes), [turn(r) for r in boxes]


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def points(route: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points all along an edge as it is drawn: level stretches and cubic bends."""
    found = []
    for (x, y), (u, v) in pairwise(route):
        for k in range(9):
            t = k / 8
            m = 3 * t * (1 - t) ** 2 + 3 * t * t * (1 - t)
            across = (1 - t) ** 3 * x + m * (x + u) / 2 + t**3 * u if y != v else x + t * (u - x)
            found.append((across, y + (v - y) * (3 * t * t - 2 * t**3)))
    return found


def check(picture: Picture) -> None:
    view, layout = picture.view, picture.layout
    boxes = rectangles(picture)
    if picture.down:
        layout, boxes = turned(layout, boxes)
    for a, b in combinations(boxes, 2):
        assert not overlap(a, b)
    check_scopes(view, layout, boxes)
    for link, route in zip(view.links, layout.routes, strict=True):
        check_route(view, layout, boxes, link, route)
    for x, y, w, h in boxes:
        assert x >= 0 and y >= 0 and x + w <= layout.width and y + h <= layout.height
    check_ports(picture, layout)


def check_scopes(view: View, layout: Layout, boxes: list[Rectangle]) -> None:
    for box, (x, y, w, h) in zip(view.boxes, boxes, strict=True):
        for scope, (u, v, width, height) in layout.scopes.items():
            inside = box.scope[: len(scope)] == scope
            assert inside == overlap((x, y, w, h), (u, v, width, height))
            if inside:
                assert u < x and x + w < u + width and v < y and y + h < v + height
    for (one, a), (other, b) in combinations(layout.scopes.items(), 2):
        nested = one == other[: len(one)] or other == one[: len(other)]
        assert nested == overlap(a, b)


def check_route(view: View, layout: Layout, boxes: list[Rectangle], link: Any, route: Any) -> None:
    src, dst = boxes[link.src], boxes[link.dst]
    assert route[0][0] == pytest.approx(src[0] + src[2]) and src[1] <= route[0][1] <= src[1] + src[3]
    assert route[-1][0] == pytest.approx(dst[0]) and dst[1] <= route[-1][1] <= dst[1] + dst[3]
    ends = view.boxes[link.src].scope, view.boxes[link.dst].scope
    foreign = [r for i, r in enumerate(boxes) if i not in (link.src, link.dst)]
    foreign += [r for s, r in layout.scopes.items() if all(end[: len(s)] != s for end in ends)]
    for x, y in points(route):
        assert not any(a + 0.01 < x < a + w - 0.01 and b + 0.01 < y < b + h - 0.01 for a, b, w, h in foreign)
    assert all(a[0] <= b[0] + 1e-9 for a, b in pairwise(route)), "every edge runs from left to right"


def check_ports(picture: Picture, layout: Layout) -> None:
    """The operands of a value enter its box in their order."""
    for i, box in enumerate(picture.view.boxes):
        arriving = [(link, route) for link, route in zip(picture.view.links, layout.routes, strict=True) if link.dst == i]
        heights = [route[-1][1] for _, route in arriving]
        assert heights == sorted(heights) and len(set(heights)) == len(heights)
        if box.vertex is not None and not box.terms:
            operands = [picture.graph.edges[link.edges[0]].operand for link, _ in arriving]
            assert operands == sorted(operands)


def picture_of(root: Any, rankdir: str = "LR", **wish: Any) -> Picture:
    return Picture(fold(build(root, {}), Wish(**wish)), Notes({}, {}), rankdir=rankdir)


@settings(max_examples=150, deadline=None)
@given(scoped_graphs(), st.sampled_from(["LR", "TB"]), st.sampled_from([None, 150, 6, 3]), st.sampled_from([None, 0, 1]))
def test_random_graphs(root: Any, rankdir: str, budget: int | None, level: int | None) -> None:
    check(picture_of(root, rankdir, budget=budget, level=level))


@pytest.mark.parametrize("root", [mlp(2, [1]), mlp(3, [4, 1]), mlp(3, [4, 1], scoped=False), two_layer()])
def test_networks(root: Any) -> None:
    check(picture_of(root))
    check(picture_of(root, "TB"))


def test_long_chains_of_arrays_flow_down() -> None:
    assert picture_of(two_layer(), "").down and not picture_of(two_layer(), "LR").down and not picture_of(mlp(3, [4, 1]), "").down


def test_labels_get_room() -> None:
    root = mlp(2, [1])
    plain, labelled = (Picture(fold(build(root, {}), Wish()), Notes({}, {}), labels) for labels in (False, True))
    check(labelled)
    assert labelled.layout.width > plain.layout.width


def test_like_scopes_look_alike_and_stand_in_order() -> None:
    layout = picture_of(mlp(3, [5, 2])).layout
    neurons = [layout.scopes["layer0", f"neuron{j}"] for j in range(5)]
    assert len({(x, w, h) for x, _, w, h in neurons}) == 1
    assert [y for _, y, _, _ in neurons] == sorted(y for _, y, _, _ in neurons)


def test_the_picture_does_not_move_when_values_change() -> None:
    one, other = (picture_of(mlp(3, [4, 1], seed=seed)).layout for seed in (0, 1))
    assert one == other


def test_a_square_has_two_edges() -> None:
    x = ad.Value(3.0)
    routes = picture_of(x * x).layout.routes
    assert len(routes) == 2 and routes[0] != routes[1]


def test_ports_stay_on_the_box() -> None:
    for n in (1, 2, 3, 40):
        assert all(0 < p < 52 for p in ports(n, 52.0)) and ports(n, 52.0) == sorted(ports(n, 52.0))
