"""The SVG: well formed, complete without its style sheet, readable, and safe with any name."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import autodiff as ad
from autodiff.drawing import Note
from autodiff.drawing.numbers import heat, short
from autodiff.drawing.palette import DARK, KINDS, LIGHT, NOTE_COLORS, Theme, contrast
from tests.drawing.graphs import exact_scalar, exact_tensor, mlp, two_layer

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "ag@",
    "</script><script>alert(1)</script>",
    "<!--",
    "\"'&<>]]>",
    "🙂 ← 漢字",
    "x" * 500,
    "a\nb\tc",
    "{z} {0}",
    "\x00\x07",
    "\ud800",
    "%s\\N|{}",
]


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def nodes(svg: str) -> list[ElementTree.Element]:
    return [g for g in parsed(svg).iter(f"{SVG}g") if "ag-node" in g.get("class", "")]


def texts(svg: str) -> str:
    return " ".join("".join(t.itertext()) for t in parsed(svg).iter(f"{SVG}text"))


@pytest.mark.parametrize("root", [exact_scalar(), exact_tensor(), mlp(3, [4, 1]), two_layer()])
def test_ids_are_unique_and_title_and_description_are_there(root: Any) -> None:
    svg = ad.draw(root).svg
    ids = re.findall(r'\sid="([^"]+)"', svg)
    assert len(ids) == len(set(ids)) >= 3
    element = parsed(svg)
    title, description = element[0], element[1]
    assert title.tag == f"{SVG}title" and description.tag == f"{SVG}desc"
    assert element.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}" and element.get("role") == "img"
    assert str(len(ad.draw(root)._graph.vertices)) in (description.text or "")


def test_two_pictures_on_one_page_share_no_id() -> None:
    one, other = (set(re.findall(r'\sid="([^"]+)"', ad.draw(root).svg)) for root in (exact_scalar(), exact_tensor()))
    assert not one & other


def test_the_data_of_nodes_and_edges() -> None:
    E = exact_scalar()
    svg = ad.draw(E).svg
    root = next(g for g in nodes(svg) if g.get("data-name") == "E")
    assert float(root.get("data-value", "")) == E.data and float(root.get("data-grad", "")) == E.grad
    assert root.get("data-op") == "pow" and root.get("data-kind") == "output"
    square = next(g for g in nodes(svg) if g.get("data-scope") == "inner")
    into = [p for p in parsed(svg).iter(f"{SVG}path") if p.get("data-to") == square.get("data-id")]
    assert [(p.get("data-operand"), p.get("data-local")) for p in into] == [("0", "3.0"), ("1", "3.0")]


def test_kinds_differ_by_shape_and_hue() -> None:
    E = (ad.Value(2.0, name="w") * ad.constant(3.0, name="x") + 5).named("E")
    looks = {}
    for g in nodes(ad.draw(E).svg):
        box = next(r for r in g.iter(f"{SVG}rect") if r.get("class") == "ag-box")
        looks[g.get("data-kind")] = (box.get("rx"), box.get("stroke-width")), box.get("stroke")
    assert set(looks) == {"parameter", "input", "constant", "op", "output"}
    assert len({shape for shape, _ in looks.values()}) == len({hue for _, hue in looks.values()}) == 5


def test_before_backward_no_gradient_is_shown() -> None:
    E = mlp(2, [1])
    drawing = ad.draw(E)
    assert "gradient: not computed yet" in drawing.svg and "gradient: not computed yet" in drawing.text
    assert "ag-bar" not in drawing.svg.split("</style>")[1]
    E.backward()
    assert "not computed" not in ad.draw(E).svg and "ag-bar" in ad.draw(E).svg.split("</style>")[1]


def test_the_sign_of_a_gradient_shows_three_times() -> None:
    x, y = ad.Value(1.0, name="x"), ad.Value(1.0, name="y")
    E = x - y
    E.backward()
    bars = {}
    for g in nodes(ad.draw(E).svg):
        bar = next(r for r in g.iter(f"{SVG}rect") if "ag-bar" in r.get("class", ""))
        middle = float(next(r for r in g.iter(f"{SVG}rect") if r.get("class") == "ag-box").get("width", "")) / 2
        bars[g.get("data-name")] = bar.get("fill"), float(bar.get("x", "")) >= middle, "".join(g.itertext())
    assert bars["x"][:2] == (LIGHT["positive"], True) and bars["y"][:2] == (LIGHT["negative"], False) and "∂ −1" in bars["y"][2]


def test_local_derivatives_on_the_edges() -> None:
    y = ad.Value(0.5, name="x").tanh().named("y")
    assert f"1 − y × y = {short(1 - y.data**2)}" in texts(ad.draw(y, derivatives=True).svg)
    assert "@ xᵀ" in texts(ad.draw(two_layer(), derivatives=True).svg)


def test_a_stale_graph_is_drawn_and_marked() -> None:
    E = exact_scalar()
    leaf = next(v.source for v in ad.draw(E)._graph.vertices if v.name == "x")
    leaf.data = 7.0
    drawing = ad.draw(E)
    assert "Stale: x was assigned after" in drawing.svg and "Stale: x was assigned" in drawing.text
    assert drawing._graph.stale and '"steps":[]' in drawing.html


def test_drawing_changes_nothing() -> None:
    E = two_layer()
    E.backward()
    graph = ad.draw(E)._graph
    before = [
        (id(v.source), id(v.source.grad), v.source.name, v.source.scope, v.source.id) for v in graph.vertices if hasattr(v.source, "grad")
    ]
    drawing = ad.draw(E, derivatives=True, notes={E: Note()})
    assert drawing.svg and drawing.html and drawing.text and drawing.table and drawing.json and drawing.graphviz().source
    after = [
        (id(v.source), id(v.source.grad), v.source.name, v.source.scope, v.source.id) for v in graph.vertices if hasattr(v.source, "grad")
    ]
    assert before == after


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str) -> None:
    w = ad.Value(2.0, name=name)
    with ad.scope(name):
        E = (w * w + 1.0).named(name)
    E.backward()
    drawing = ad.draw(E, notes={E: Note("red", "!", name)}, derivatives=True)
    assert len(nodes(drawing.svg)) == 4
    assert drawing.html.count("<script") == 2 and drawing.html.count("</script>") == 2
    assert drawing.graphviz().source and ad.draw_dot(E).source and drawing.json
    assert "\n\n" not in drawing.text and drawing.table


@pytest.mark.parametrize("x", [float("nan"), float("inf"), -float("inf"), 1e300, 5e-324, 0.0])
def test_odd_numbers(x: float) -> None:
    E = ad.Value(x, name="x") * 2.0
    E.grad = x
    drawing = ad.draw(E)
    assert nodes(drawing.svg) and drawing.html and drawing.json and drawing.table and drawing.text
    t = ad.Tensor([x, 1.0], name="t") * 2.0
    t.grad = np.array([x, x])
    assert nodes(ad.draw(t).svg) and ad.draw(t).html and ad.draw(t).json


@pytest.mark.parametrize("shape", [(0,), (1,), (1, 1), (3,), (20, 30), (2, 3, 4), (1, 100), (0, 3)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    t = ad.Tensor(np.ones(shape), name="t")
    drawing = ad.draw(ad.sum(t * 2.0))
    assert nodes(drawing.svg) and drawing.html and drawing.json and drawing.text and drawing.table


def test_names_and_leaves_that_are_no_graph() -> None:
    lonely = ad.Value(2.0)
    assert len(nodes(ad.draw(lonely).svg)) == 1
    with pytest.raises(ad.BadOperand, match="plain float"):
        ad.draw(2.0)


def test_names_come_from_the_callers_variables() -> None:
    weight = ad.Value(2.0)
    loss = weight * 3.0
    assert "weight" in ad.draw(loss).text and "loss" in ad.draw(loss).text and weight.name is None


def test_notes() -> None:
    x = ad.Value(2.0, name="x")
    E = (x * x).named("E")
    svg = ad.draw(E, notes={x: Note("amber", "?", "is it?"), (E, 1): Note("red", "✗", "not this")}).svg
    assert "is it?" in texts(svg) and "✗ not this" in texts(svg) and LIGHT["note-amber"] in svg
    with pytest.raises(ValueError, match="not part of this graph"):
        ad.draw(E, notes={ad.Value(1.0): Note()})
    with pytest.raises(ValueError, match="operand 2 of E, which has 2"):
        ad.draw(E, notes={(E, 2): Note()})
    with pytest.raises(ValueError, match="colour is one of green, red"):
        Note("pink")
    with pytest.raises(ValueError, match="one or two characters"):
        Note("red", "wrong")
    with pytest.raises(TypeError, match=r"drawing\.Note"):
        ad.draw(E, notes={E: "wrong"})  # type: ignore[dict-item]


def test_notes_inside_a_folded_box_show_on_it() -> None:
    E = exact_scalar()
    square = next(v.source for v in ad.draw(E)._graph.vertices if v.scope == ("inner",))
    assert "1 note inside" in texts(ad.draw(E, collapse="inner", notes={square: Note("red", "✗", "wrong")}).svg)
    assert "✗ wrong" in texts(ad.draw(E, collapse="inner", notes={(square, 1): Note("red", "✗", "wrong")}).svg)


def test_the_look_survives_without_the_style_sheet() -> None:
    svg = ad.draw(exact_tensor()).svg
    assert "style=" not in svg
    bare = re.sub(r"<style>.*?</style>|<marker.*?</marker>", "", svg)
    for element in parsed(bare).iter():
        if element.tag == f"{SVG}rect":
            assert element.get("fill"), "black boxes where the style is stripped"
    assert parsed(bare).get("fill") == LIGHT["text"]


def test_in_a_notebook() -> None:
    E = mlp(3, [4, 1])
    bundle = ad.draw(E)._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"} and bundle["text/plain"].startswith("^ E")
    element = parsed(bundle["image/svg+xml"])
    natural = float(element.get("viewBox", "").split()[2])
    assert float(element.get("width", "")) == pytest.approx(max(860, 0.6 * natural), abs=0.1)


def test_short_numbers() -> None:
    rng = np.random.default_rng(0)
    for x in [*(rng.normal(size=300) * 10.0 ** rng.integers(-300, 300, 300)), 0.0, 99994.9, 99995.0, 0.001, 1e-3 - 1e-9]:
        text = short(x)
        assert len(text) <= 10 and float(text.replace("−", "-")) == pytest.approx(x, rel=6e-3)


def test_heat_maps_are_small_and_signed() -> None:
    assert heat(np.linspace(-1, 1, 640).reshape(16, 40)).count("/") == 7
    assert heat(np.array([np.nan, -np.inf, 0.0, 2.0, -2.0])) == "!!0hH"


# ---------------------------------------------------------------- the palette

GROUNDS = ("ground", "scope1", "scope2")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(theme: Theme) -> None:
    fills = [*KINDS, "active"]
    for ground in [*GROUNDS, *fills]:
        for text in ("text", "muted"):
            assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
    for ground in GROUNDS:
        for line in ("edge", "scope-line", "focus", "path", "active-line", *(f"{k}-line" for k in KINDS)):
            assert contrast(theme[line], theme[ground]) >= 3, (line, ground)
        for text in ("positive", "negative", *(f"note-{c}" for c in NOTE_COLORS)):
            assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
    for fill in KINDS:
        assert contrast(theme["positive"], theme[fill]) >= 3 and contrast(theme["negative"], theme[fill]) >= 3
        for color in NOTE_COLORS:
            assert contrast(theme[f"note-{color}"], theme[fill]) >= 4.5
    for color in NOTE_COLORS:
        assert contrast(theme["on-note"], theme[f"note-{color}"]) >= 4.5


def test_contrast_of_known_colours() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
