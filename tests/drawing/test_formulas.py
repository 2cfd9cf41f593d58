"""Formulas in pictures: what `ad.draw(E, formulas=True)` prints, where, and when it cannot."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.drawing import Note
from autodiff.drawing.boxes import text_width
from autodiff.node import order
from tests.drawing.graphs import exact_scalar, mlp, two_layer


def texts(svg: str) -> list[str]:
    return [unescape(re.sub(r"<[^>]*>", "", t)) for t in re.findall(r"<text[^>]*>(.*?)</text>", svg)]


def test_closed_forms_stand_in_the_boxes_and_rules_on_the_edges() -> None:
    found = texts(ad.draw(two_layer(), formulas=True).svg)
    assert "dE/dW2 = (y2 - t) @ y1.T / 4" in found and "dE/dz1 = (W2.T @ (y2 - t)) * y1 * (1 - y1) / 4" in found
    assert "dE/dy1 * y1 * (1 - y1)" in found and "(dE/dz1).sum(1)" in found
    assert "The formulas use sum(t, axis=0) == 1" in found
    assert "dE/dW2 = (y2 - t) @ y1.T / 4" not in texts(ad.draw(two_layer()).svg)


def test_the_player_shows_them_too() -> None:
    page = ad.draw(two_layer(), formulas=True).html
    assert "dE/dW2 = (y2 - t) @ y1.T / 4" in texts(page)


def test_a_long_formula_is_wrapped_and_whole_in_the_tooltip() -> None:
    E = mlp(2, [2, 1])
    svg = ad.draw(E, formulas=True).svg
    whole = ad.derive(E, wrt=next(n for n in order(E) if n.name == "b1_0")).text
    assert len(whole) > 150 and whole in unescape(svg)
    lines = [t for t in texts(svg) if "tanh(" in t]
    assert len(lines) > 10 and max(map(len, lines)) <= 48


def test_every_line_stays_inside_its_box() -> None:
    count = 0
    for E in (two_layer(), mlp(2, [2, 1]), exact_scalar()):
        for box in re.findall(r'<g class="ag-node.*?</g>(?=\n)', ad.draw(E, formulas=True).svg):
            width, height = (float(x) for x in re.search(r'class="ag-box" width="([\d.]+)" height="([\d.]+)"', box).groups())
            for x, y, text in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" font-size="10" class="ag-text"[^>]*>(.*?)</text>', box):
                assert float(x) + text_width(unescape(text), 10) <= width and 30 < float(y) < height
                count += 1
    assert count > 30


def test_notes_of_the_user_keep_their_colour_and_words() -> None:
    x = ad.Value(3.0, name="x")
    E = (x * x).named("E")
    svg = ad.draw(E, formulas=True, notes={x: Note("red", "✗", "not so")}).svg
    assert "not so; dE/dx = 2 * x" in texts(svg) and 'class="ag-ring ag-note-red"' in svg


def test_a_formula_has_no_ring_and_a_folded_box_does_not_count_it() -> None:
    svg = ad.draw(two_layer(), formulas=True, collapse="layer1").svg
    assert "ag-ring ag-" not in svg.split("</style>")[1] and not any("inside" in t for t in texts(svg))


def test_names_of_variables_are_those_of_the_caller() -> None:
    w = ad.Tensor([1.0, 2.0])
    x = np.array([3.0, 4.0])
    loss = np.sum((w * x) ** 2)
    assert "dloss/dw = 2 * w * x**2" in texts(ad.draw(loss, formulas=True).svg)


def indexing() -> Any:
    return ad.sum(ad.Tensor(np.ones(3), name="w")[:2] ** 2)


def several_numbers() -> Any:
    return ad.Tensor(np.ones(3), name="w") * 2


def a_constant() -> Any:
    return ad.constant(2.0, name="c") * 2


@pytest.mark.parametrize(("make", "why"), [(indexing, "getitem"), (several_numbers, "has shape (3,)"), (a_constant, "is a constant")])
def test_what_cannot_be_derived_is_drawn_without_and_says_so(make: Any, why: str) -> None:
    E = make()
    drawing = ad.draw(E, formulas=True)
    assert "No formulas: " in " ".join(texts(drawing.svg)) and why in " ".join(texts(drawing.svg))
    assert len(re.findall('class="ag-node', drawing.svg)) == len(re.findall('class="ag-node', ad.draw(E).svg))


def test_nothing_is_changed() -> None:
    E = two_layer()
    E.backward()
    W1 = next(n for n in order(E) if n.name == "W1")
    before = W1.grad.copy()
    ad.draw(E, formulas=True).svg  # noqa: B018
    assert np.array_equal(W1.grad, before)
