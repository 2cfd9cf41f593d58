"""Folding: the budget is met, every value is in one box, and the totals are honest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.drawing.fold import BUDGET, View, Wish, _topological, fold
from autodiff.drawing.model import build
from tests.drawing.graphs import mlp
from tests.drawing.test_layout import scoped_graphs


def view_of(root: Any, **wish: Any) -> View:
    return fold(build(root, {}), Wish(**wish))


def check(view: View) -> None:
    """Every value that is shown is in one box, every edge in one link or inside a box, and nothing runs in a circle."""
    graph = view.graph
    held = [p for box in view.boxes for p in box.members]
    assert len(held) == len(set(held)) == len(graph.vertices) - view.hidden
    assert all(view.owner[p] == i for i, box in enumerate(view.boxes) for p in box.members)
    between = sorted(e for link in view.links for e in link.edges)
    crossing = [
        i for i, e in enumerate(graph.edges) if view.owner[e.src] != view.owner[e.dst] and -1 not in (view.owner[e.src], view.owner[e.dst])
    ]
    focused = [i for i in crossing if i in set(between)] if view.hidden else crossing
    assert between == focused
    assert len(_topological(view.boxes, view.links)) == len(view.boxes)
    assert len({box.key for box in view.boxes}) == len(view.boxes)


@settings(max_examples=150, deadline=None)
@given(scoped_graphs(), st.integers(2, 12), st.sampled_from([None, 0, 1, 2]))
def test_random_graphs(root: Any, budget: int, level: int | None) -> None:
    view = view_of(root, budget=budget, level=level)
    check(view)
    assert len(view.boxes) <= budget


def test_small_graphs_are_not_folded() -> None:
    view = view_of(mlp(3, [4, 1]))
    assert not view.folded and len(view.boxes) == len(view.graph.vertices)


@pytest.fixture(scope="module")
def big() -> Any:
    E = mlp(16, [36, 36, 6])
    E.backward()
    return E


def test_ten_thousand_operations(big: Any) -> None:
    view = view_of(big)
    check(view)
    assert view.graph.counts()["operations"] > 4000 and len(view.boxes) <= BUDGET
    titles = {box.title for box in view.boxes}
    assert "+35 more like neuron0 (neuron1 … neuron35)" in titles and "x0 … x15" in titles
    assert any(box.terms == 17 for box in view.boxes)
    drawing = ad.draw(big)
    assert len(drawing.svg) < 200_000
    assert f"{len(view.boxes)} boxes stand for 6,465 values" in drawing.svg


@pytest.mark.parametrize("scoped", [True, False])
def test_levels(scoped: bool) -> None:
    E = mlp(4, [6, 6, 1], scoped=scoped)
    boxes = [len(view_of(E, level=k, budget=None).boxes) for k in (0, 1, 2)]
    assert boxes == sorted(boxes) and (boxes[0] < boxes[1] < boxes[2]) == scoped


def test_collapse_and_expand(big: Any) -> None:
    collapsed = view_of(big, collapse=("layer1",))
    assert any(box.title == "layer1" and box.kind == "group" for box in collapsed.boxes)
    opened = view_of(big, expand=("layer1/neuron3",))
    check(opened)
    assert any(box.scope == ("layer1", "neuron3") for box in opened.boxes)
    assert any(box.title.startswith("+34 more like neuron0") for box in opened.boxes)
    with pytest.raises(ValueError, match=r"there is no scope 'layer9'.*layer0"):
        view_of(big, collapse=("layer9",))


def test_focus_keeps_the_paths_that_matter() -> None:
    E = mlp(3, [4, 1])
    drawing = ad.draw(E, focus="w0_2_1")
    view = drawing._view
    check(view)
    shown = {view.graph.vertices[p].name for box in view.boxes for p in box.members}
    assert "w0_2_1" in shown and "E" in shown and "w0_0_0" not in shown
    assert view.hidden and f"{view.hidden} values off the paths" in drawing.svg
    with pytest.raises(ValueError, match="focus: 'nobody' is not part of this graph; it has E"):
        ad.draw(E, focus="nobody")


def test_a_scope_that_is_entered_again_is_another_one() -> None:
    h = ad.Value(0.5, name="h")
    w = ad.Value(0.9, name="w")
    for _ in range(3):
        with ad.scope("cell"):
            h = (h * w).tanh()
        h = h + 1.0
    graph = build(h, {})
    assert [s for s in dict.fromkeys(v.scope for v in graph.vertices) if s] == [("cell",), ("cell (2)",), ("cell (3)",)]
    assert next(v for v in graph.vertices if v.name == "w").scope == ()
    check(fold(graph, Wish(budget=5)))
    assert sum(box.kind == "group" for box in fold(graph, Wish(collapse=("cell",))).boxes) == 3
    assert sum(box.kind == "group" for box in fold(graph, Wish(collapse=("cell (2)",))).boxes) == 1


def test_parameters_stand_beside_their_users() -> None:
    w, x = ad.Value(2.0, name="w"), ad.constant(3.0, name="x")
    with ad.scope("layer"):
        y = w * x
    scopes = {v.name: v.scope for v in build(y + 1.0, {}).vertices}
    assert scopes["w"] == ("layer",) and scopes["x"] == ()


def test_a_chain_of_a_hundred_thousand_operations_is_drawn() -> None:
    y: Any = ad.Value(1.0, name="x")
    for _ in range(100_000):
        y = y * 1.0
    y.backward()
    drawing = ad.draw(y)
    check(drawing._view)
    assert len(drawing._view.boxes) <= BUDGET
    assert "more</text>" in drawing.svg
    assert drawing.text and drawing.table
