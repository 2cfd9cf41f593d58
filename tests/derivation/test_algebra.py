"""Symbols of a recorded graph that formulas compute with, and the proof that two of them are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.derivation import Algebra


def net() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {"W": ad.Tensor(rng.normal(size=(3, 4)), name="W"), "x": ad.constant(rng.normal(size=4), name="x")}
    found["t"] = ad.constant(np.array([0.5, 0.25, 0.25]), name="t")
    found["z"] = (found["W"] @ found["x"]).named("z")
    found["y"] = ad.softmax(found["z"]).named("y")
    found["E"] = (-np.sum(found["t"] * np.log(found["y"]))).named("E")
    return found


CASES: list[tuple[Any, str, str, str, tuple[str, ...], bool]] = [
    (lambda v, d: v("y") - v("t"), "E", "z", "", ("sum(t) == 1",), True),
    (lambda v, d: v("y") - v("t"), "E", "z", "", (), False),
    (lambda v, d: v("y") * np.sum(v("t")) - v("t"), "E", "z", "", (), True),
    (lambda v, d: np.outer(d("E", "z"), v("x")), "E", "W", "", (), True),
    (lambda v, d: np.outer(v("x"), d("E", "z")), "E", "W", "", (), True),  # the other layout
    (lambda v, d: np.outer(v("t"), v("x")), "E", "W", "", (), False),
    (lambda v, d: np.exp(v("z")) / np.sum(np.exp(v("z"))), "y", "", "", (), True),
    (lambda v, d: np.exp(-v("z")) / np.sum(np.exp(v("z"))), "y", "", "", (), False),
    (lambda v, d: np.diag(v("y")) - np.outer(v("y"), v("y")), "y", "z", "", (), True),
    (lambda v, d: v("y") * (1 - v("y")), "y", "z", "diagonal", (), True),
    (lambda v, d: -np.outer(v("y"), v("y")), "y", "z", "rest", (), True),
    (lambda v, d: np.outer(v("y"), v("y")), "y", "z", "rest", (), False),
    (lambda v, d: d("y", "z") @ d("E", "y"), "E", "z", "", (), True),
]


@pytest.mark.parametrize(("claim", "of", "wrt", "part", "assume", "same"), CASES)
def test_what_is_shown_to_be_the_same(claim: Any, of: str, wrt: str, part: str, assume: tuple[str, ...], same: bool) -> None:
    nodes = net()
    algebra = Algebra(nodes["E"])

    def computed() -> Any:
        return claim(lambda name: algebra.value(nodes[name]), lambda a, b: algebra.slope(nodes[a], nodes[b]))

    assert algebra.same(computed, nodes[of], nodes.get(wrt), part, assume) is same


def test_what_has_no_symbol_shows_nothing() -> None:
    nodes = net()
    algebra = Algebra(nodes["E"])
    assert not algebra.same(lambda: np.cumsum(algebra.value(nodes["y"])), nodes["E"], nodes["z"])
    with pytest.raises(KeyError):
        algebra.value(ad.Tensor(1.0))
    assert algebra.sizes == {"n1": 3, "n0": 4}
