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
    """Formulas that are there: random graphs may be of too many numbers."""
    with np.errstate(all="ignore"), suppress(ad.errors.AutodiffError):
        E = random_graph(seed, "equal")
        d = ad.derive(E)
        with suppress(NotRead):
            says_the_gradients(E, d)


def says_the_gradients(E: Any, d: Any) -> None:
    """Every formula's LaTeX, computed as it is read, is the engine's gradient."""
    g = d._graph
    values = {g.names[n.id]: n.data for n in g.nodes if n.id in g.names and n is not E} | dict(g.data()) | g.sizes
    values |= {"∂" + s.name: ad.gradient(E, s.node) for s in d.steps}
    values |= {name: n.data for name, n in g.invented.items()}
    for s in d.steps:
        for f in (s.rule, s.inserted, s.result):
            assert latex_reads_as(f.latex, "E", values, 3, values["∂" + s.name]), f.latex


POWERS: dict[str, Any] = {
    "a power to a power": lambda a, y, r, B: np.sum((a**y) ** 2) + np.sum((a**y) * (B**3)),
    "powers of rows": lambda a, y, r, B: np.sum((1 + B**2) ** a + (2 + a * a) ** B) + np.sum(a**y),
    "powers by a column": lambda a, y, r, B: np.sum(np.abs(B) ** r * B) + np.sum(2**B),
    "a power transposed": lambda a, y, r, B: np.sum((B @ a**y) ** 2 * a**y),
}


@pytest.mark.filterwarnings("ignore::autodiff.errors.BroadcastWarning")
@pytest.mark.parametrize("name", POWERS)
def test_powers_that_are_arrays(name: str, typeset: Any) -> None:
    rng = np.random.default_rng(2)
    shapes = {"a": 3, "y": 3, "r": (3, 1), "B": (3, 3)}
    E = POWERS[name](*(ad.Tensor(rng.uniform(0.5, 1.5, size=s), n) for n, s in shapes.items())).named("E")
    d = ad.derive(E)
    typeset(d.latex)
    says_the_gradients(E, d)


def of_three_axes() -> dict[str, Any]:
    """Losses of arrays of three axes, all equally long: only the indices tell the axes apart."""
    rng = np.random.default_rng(5)
    S, Q, K, V = (ad.Tensor(rng.normal(size=(3, 3, 3)), name) for name in "SQKV")
    X, M, W, W2 = (ad.Tensor(rng.normal(size=(3, 3)), name) for name in ("X", "M", "W", "W2"))
    u, n, mask = ad.Tensor(rng.normal(size=3), "u"), np.linalg.norm, rng.normal(size=(3, 3, 3))
    h = np.tanh(S @ W).named("h")
    R, D = X[:, None, :] - M, np.swapaxes(S, 0, 2)
    return {
        "names": np.sum(3 * S * S * D),
        "transposes": np.sum((S - np.swapaxes(S, 1, 2)) ** 2),
        "moved axes": np.sum(Q * np.exp(K.transpose(2, 0, 1))),
        "inserted axes": np.sum(np.exp(R * u)),
        "distances": np.sum(np.sqrt(np.sum(R**2, axis=2))),
        "a distance of rows": np.sum((X[:, None, :] @ np.swapaxes(M[None] * X[:, None], 1, 2)) ** 2),
        "batched products": np.sum(np.tanh(Q @ K)),
        "attention": np.sum(np.tanh(ad.softmax(Q @ np.swapaxes(K, 1, 2) / 2, axis=-1) @ V)),
        "variance over the middle axis": np.sum(np.var(S, axis=1) ** 2),
        "weighted variance": np.sum(np.var(S, axis=1) * mask[0]),
        "softmax over the first axis": np.sum(ad.softmax(S, axis=0) * mask),
        "logsumexp": np.sum(ad.logsumexp(S * D, axis=1) ** 2),
        "largest": np.sum(np.max(S, axis=1) ** 2 * mask[1]),
        "two layers": np.sum(np.tanh(h @ W2) ** 2),
        "an inverse": np.sum(S @ np.linalg.inv(W) * S),
        "matrix products inside": np.sum((S @ (W @ W2.T + np.outer(u, u))) ** 2) + np.sum(np.exp(S * (W @ u) * (u @ W2 @ u))),
        "diagonals": np.sum(S @ (np.diag(u) @ W @ np.diag(u * u)) * D),
        "norms": n(S) + np.sum(n(S @ W, axis=1) ** 3),
        "ones and powers": np.sum(S) + np.sum((1 + S * S) ** -1.5),
        "conditions": np.sum(np.maximum(S, D) * mask) + np.sum(np.where(mask > 0, S, 0) ** 2),
    }


@pytest.mark.parametrize("name", of_three_axes())
@pytest.mark.parametrize("layout", [None, "numerator"])
def test_three_axes_in_index_notation(name: str, layout: str | None, typeset: Any) -> None:
    E = of_three_axes()[name].named("E")
    d = ad.derive(E, layout=layout)
    typeset(d.latex)
    if layout is None:
        says_the_gradients(E, d)


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
