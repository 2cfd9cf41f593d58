"""The text and source of formulas: comparisons that round as what they compare does, booleans, and products entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad

B = np.random.default_rng(3).normal(size=5)

LARGEST: dict[str, Callable[[Any], Any]] = {
    "scaled": lambda x: np.max(x / 3),
    "scaled and shifted": lambda x: np.max(x / 7 + 0.1),
    "negative": lambda x: np.max(-x / 3),
    "a difference": lambda x: np.max(-(x - B) * 0.1),
    "powers": lambda x: np.min(np.abs(x) ** 3 / 7),
    "multiples": lambda x: np.min(3 * x),
    "scaled twice": lambda x: np.max(x / 3 / 7),
    "powers of two": lambda x: np.max(np.exp2(x)),
    "a cube": lambda x: np.max(x * x * x),
    "a sigmoid": lambda x: np.max(np.exp(x) / (1 + np.exp(x))),
}


@pytest.mark.parametrize("name", LARGEST)
@pytest.mark.parametrize("named", [False, True])
def test_entries_equal_their_maximum(name: str, named: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):  # a third of these data failed
        x = ad.Tensor(rng.normal(size=5), "x")
        h = LARGEST[name](x)
        E = (h.named("h") if named else h) ** 2
        d = ad.derive(E.named("E"), x)
        for data in (x.data, *rng.normal(size=(20, 5))):
            y = ad.Tensor(data, "x")
            assert np.allclose(d(x=data), ad.gradient(LARGEST[name](y) ** 2, y), atol=0), d.text


@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (lambda x, A: np.max(3 * (x @ A)), [(1, 5), (5, 7)]),
        (lambda x, A: np.max(3 * (A @ x)), [(5,), (7, 5)]),
        (lambda X, A: np.sum(np.max(X @ A / 3, axis=0) ** 2), [(4, 5), (5, 7)]),
        (lambda X, A: np.sum(np.max(A.T @ X / 3 + 0.1, axis=1) ** 2), [(5, 4), (5, 7)]),
        (lambda X, A: np.sum(np.max(X[:, None] * A / 7 - 0.3, axis=(0, 2)) ** 2), [(4, 5), (3, 5)]),
        (lambda X, A: np.sum(np.max(X + A, axis=(0, 2), keepdims=True) ** 2), [(2, 3, 4), (4,)]),
        (lambda X, A: np.sum(np.maximum(np.tanh(X), X) ** 2) + np.sum(A), [(3,), (2,)]),
    ],
)
def test_entries_equal_the_maximum_of_a_product(f: Any, shapes: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    d = ad.derive(f)(*shapes)
    names = [s.name for s in d.steps]
    for _ in range(30):
        data = {name: rng.normal(size=shape) for name, shape in zip(f.__code__.co_varnames, shapes, strict=True)}
        leaves = [ad.Tensor(a) for a in data.values()]
        want = dict(zip(data, ad.gradient(f(*leaves), leaves), strict=True))
        for name, found in zip(names, d(**data).values(), strict=True):
            assert np.allclose(found, want[name]), d.text


def test_what_is_equal_is_a_tie() -> None:
    f = lambda x, m: np.sum(np.minimum((x + 0.1) * m, x + 0.1))
    rng = np.random.default_rng(0)
    for _ in range(10):
        x, m, y, k = rng.normal(size=3), rng.integers(0, 2, 3) * 1.0, rng.normal(size=3), rng.integers(0, 2, 3) * 1.0
        found = ad.derive(f)(x, m)(x=y, m=k)
        assert np.allclose([found["dE/dx"], found["dE/dm"]], ad.grad(f, (0, 1))(y, k))


q, v, col, A = (ad.Tensor(np.random.default_rng(4).normal(size=s), n) for s, n in (((), "q"), (3, "v"), ((2, 1), "col"), ((2, 3), "A")))
on, rows = np.array(True), np.array([[True], [False]])

BOOLEANS: dict[str, tuple[Callable[[], Any], Any]] = {
    "a comparison with a comparison": (lambda: np.sum(np.maximum(np.clip(v, -0.5, 0.7), 0) ** 2), v),
    "minus a condition times a diagonal": (lambda: -(v * (v > 0)) * on, v),
    "minus a condition times an array of four axes": (lambda: -(A * (A > 0)) * on, A),
    "minus a condition times a condition": (lambda: -(q * (q > -9)) * rows, q),
    "minus rows of conditions": (lambda: -np.sum(np.max(col, axis=1) ** 2), (col, col)),
    "minus the largest": (lambda: -np.max(np.abs(A) * 2, axis=1), A),
}


@pytest.mark.parametrize("name", BOOLEANS)
def test_booleans_are_numbers_where_they_are_computed_with(name: str) -> None:
    make, wrt = BOOLEANS[name]
    d = ad.derive(make(), wrt)  # checked by running it
    assert np.all(np.isfinite(d()))


def run(text: str, **values: Any) -> Any:
    """What the text of a formula is in NumPy."""
    return eval(text.replace("dE/dh", "dE_dh"), vars(np) | {"norm": np.linalg.norm} | values)


def test_text_of_columns_and_rows_is_numpy() -> None:
    c, p = ad.Tensor([[1.0], [2.0]], "c"), ad.Tensor([[3.0, 4.0, 5.0]], "p")
    d = ad.derive((c @ p).named("h"), wrt=p)
    assert np.array_equal(run(d.text.split(" = ")[1], c=c.data, p=p.data, n1=3), d()[:, :, 0, :]), d.text


@pytest.mark.parametrize("layout", ["numerator", "mixed", "denominator"])
def test_text_with_a_result_of_one_column_is_numpy(layout: str) -> None:
    x = ad.Tensor(np.random.default_rng(0).normal(size=(4, 3)), "x")
    h = np.linalg.norm(x, axis=1, keepdims=True).named("h")
    E = np.sum(np.tanh(h)).named("E")
    of_h, of_x = (s.rule for s in ad.derive(E, layout=layout).steps)
    g = run(of_h.text, h=h.data)
    assert g.shape == ((4, 1) if layout == "denominator" else (1, 4))
    want = ad.gradient(E, x)
    assert np.allclose(run(of_x.text, h=h.data, x=x.data, dE_dh=g), want.T if layout == "numerator" else want), of_x.text
