"""Formulas in LaTeX: matplotlib's parser, which refuses what is no mathematics, typesets them, and they say what the source computes."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from tests.derivation import test_goldens, test_large
from tests.derivation.random_graphs import random_graph
from tests.derivation.reading_latex import NotRead, latex_reads_as

mathtext = pytest.importorskip("matplotlib.mathtext")


@pytest.fixture(scope="module")
def typeset() -> Any:
    parser = mathtext.MathTextParser("path")

    def lines(text: str) -> None:
        """Aligned lines one by one: the parser knows no environments."""
        for line in re.sub(r"\\(begin|end)\{aligned\}", "", text).split(r"\\ "):
            parser.parse(f"${line.replace('&', '')}$")

    return lines


def test_the_parser_refuses_wrong_latex(typeset: Any) -> None:
    for wrong in (r"\frac{a}{b", r"\left(a", r"a^{2}^{3}", r"\nosuchcommand{a}"):
        with pytest.raises(ValueError):
            typeset(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", test_goldens.ZOO)
def test_the_zoo(name: str, typeset: Any) -> None:
    made = test_goldens.ZOO[name][0]()
    E, v = made if isinstance(made, tuple) else (made, test_goldens.mu)
    typeset(ad.derive(E, v).latex)


@pytest.mark.parametrize("layout", ["denominator", "mixed", "numerator"])
def test_the_exercise_step_by_step(layout: str, typeset: Any) -> None:
    typeset(ad.derive(test_goldens.exercise("log_softmax", m=6), layout=layout)._repr_latex_()[len("$\\displaystyle") : -1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_large_logits(typeset: Any) -> None:
    for make, v, _ in test_large.LOSSES.values():
        typeset(ad.derive(make(), v).latex)


def test_second_derivatives_and_conditions(typeset: Any) -> None:
    x, A = test_goldens.x, test_goldens.A
    typeset(ad.derive(ad.logsumexp(x), wrt=(x, x)).latex)
    typeset(ad.derive((A @ x).named("u"), wrt=A).latex)
    chosen = ad.derive(np.sum(np.where(x.data > 0, x**2, x) * np.array([1.0, 2.0, 3.0, 4.0])), x).latex
    assert r"\text{ is a recorded condition of shape (4,)" in chosen
    typeset(chosen)


@pytest.mark.parametrize("name", ["sum", "lambda", "σ", "Δx", "β_1", "x²", "x_1_2", "W_hidden", "_", "__a", "E", "1a", "数"])
def test_names(name: str, typeset: Any) -> None:
    x, r = ad.Tensor(np.ones(3), name), ad.Tensor(np.ones(3), "r")
    d = ad.derive(np.sum(np.sin(x * r)), x)
    typeset(d.latex)
    assert np.array_equal(d(**{name: np.zeros(3)}), np.ones(3))


@pytest.mark.slow
def test_random_graphs(typeset: Any) -> None:
    for seed in range(40):
        with np.errstate(all="ignore"):
            try:
                d = ad.derive(random_graph(seed, "different" if seed % 2 else "equal"))
            except ad.errors.AutodiffError:
                continue
        typeset(d.latex)


# ---------------------------------------------------------------- what it says


def check(seed: int) -> None:
    """Every formula's LaTeX, computed as it is read, is the engine's gradient."""
    with np.errstate(all="ignore"):
        E = random_graph(seed, "equal")
        try:
            d = ad.derive(E)
        except ad.errors.AutodiffError:
            return
        g = d._graph
        values = {g.names[n.id]: n.data for n in g.nodes if n.id in g.names and n is not E} | dict(g.data()) | g.sizes
        values |= {"∂" + s.name: ad.gradient(E, s.node) for s in d.steps}
        for s in d.steps:
            for f in (s.rule, s.inserted, s.result):
                with suppress(NotRead):
                    assert latex_reads_as(f.latex, "E", values, 3, values["∂" + s.name]), f.latex


@pytest.mark.filterwarnings("ignore::autodiff.errors.BroadcastWarning")
@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_latex_says_what_the_source_computes(seed: int) -> None:
    check(seed)


@pytest.mark.filterwarnings("ignore::autodiff.errors.BroadcastWarning")  # random shapes mean every pair
@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 600, 100))
def test_latex_of_600_random_graphs(start: int) -> None:
    for seed in range(start, start + 100):
        check(seed)
