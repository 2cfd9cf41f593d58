"""What was tried to make a formula wrong, or derive() stumble: odd constants, assumptions that clash, odd shapes, sizes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.derivation import Assumption, sums_to_one, verify
from autodiff.derivation import derivation as module
from autodiff.derivation.graph import Graph
from autodiff.errors import DerivationFailed, NoIndexForm, NotConnected, NotVerified, TooBig
from autodiff.node import order


def V(name: str, *entries: float) -> Any:
    return ad.Tensor(np.array(entries), name)


x, y, w = V("x", 1, 2, 3), V("y", 4, 5, 6), V("w", 1, -2, 0.5)
A = ad.Tensor(np.random.default_rng(0).normal(size=(3, 3)), "A")


# ---------------------------------------------------------------- constants


@pytest.mark.parametrize("c", [np.array([100, 90, 80], np.int8), np.array([2, 3, 4], np.uint8), np.array([1, 0, 0], np.uint8)])
def test_constants_of_short_integers_do_not_overflow(c: Any) -> None:
    E = np.sum((x * c) ** 2 - x * c) + np.sum(x)
    d = ad.derive(E, x)
    assert np.allclose(d(), ad.gradient(E, x))
    assert np.allclose(d(x=np.array([3, 3, 3], np.int8)), 6 * c.astype(float) ** 2 - c.astype(float) + 1)


@pytest.mark.parametrize(
    ("c", "text", "latex"),
    [
        (1e300, "1e+300", r"1 \cdot 10^{300}"),
        (-1.5e20, "-1.5e+20", r"-1.5 \cdot 10^{20}"),
        (1e-300, "1e-300", r"1 \cdot 10^{-300}"),
        (1.5**1000, "1.2338405969061735e+176", r"1.2338405969061735 \cdot 10^{176}"),
        (123456, "123456", "123456"),
        (1 / 3, "1/3", r"\frac{1}{3}"),
    ],
)
def test_numbers_are_written_as_a_person_does(c: float, text: str, latex: str) -> None:
    s = ad.Tensor(1.0, "s")
    d = ad.derive(c * s, s)
    assert d.text == f"dE/ds = {text}" and d.latex.endswith(f" = {latex}") and d() == c


def test_a_product_of_many_numbers() -> None:
    s = z = ad.Tensor(1.0, "s")
    for _ in range(1000):
        z = z * 1.5
    assert ad.derive(z, s).results[0].text == repr(1.5**1000)


@pytest.mark.parametrize("c", [np.inf, np.array([1, np.inf, 2])])
def test_formulas_that_hit_infinity_are_refused(c: Any) -> None:
    with pytest.raises((NotVerified, NoIndexForm)):
        ad.derive(np.sum(np.minimum(x, c) ** 2), x)


def test_masks_of_infinities() -> None:
    mask = np.where(np.tri(3) > 0, 0, -np.inf)
    E = np.sum(np.sin(ad.softmax(A + mask, axis=1) @ x))
    d = ad.derive(E, A)
    assert "softmax(A + mask, axis=1)" in d.text and np.allclose(d(), ad.gradient(E, A))


@pytest.mark.parametrize("c", [np.array([0, 2, 1]), np.array([0, 0.5, 1]), 2.5, 1, 0, [True, False, True], np.array([[2], [0]])])
def test_conditions_that_are_numbers(c: Any) -> None:
    E = np.sum(np.where(c, x**2, y * x))
    for v in (x, y):
        assert np.allclose(ad.derive(E, v)(), ad.gradient(E, v))


POWERS = {
    "rows": lambda: x ** np.full((2, 3), 2.0),
    "of a number": lambda: ad.Tensor(1.5, "s") ** np.full(3, 2.0),
    "one entry": lambda: x ** np.array([[2.0]]),
    "zero": lambda: x ** (np.ones((2, 1)) * y - y),
    "roots": lambda: x ** np.full((2, 1), 0.5),
}


@pytest.mark.parametrize("name", POWERS)
def test_an_exponent_of_one_number_throughout_broadcasts(name: str) -> None:
    E = np.sum(POWERS[name]() * np.array([[1.0, 2, 3], [4, 5, 6]])) + np.sum(x)
    for v in {n.name: n for n in order(E) if n.op is None and n.active}.values():
        assert np.allclose(ad.derive(E, v)(), ad.gradient(E, v))


def test_comparisons_of_equals_are_known() -> None:
    assert ad.derive(np.sum(np.maximum(x, x) ** 2), x).text == "dE/dx = 2 * x"


def test_empty_constants_are_not_written_out() -> None:
    E = np.sum((np.zeros((0, 3)) @ x) ** 2) + np.sum(x**2)
    d = ad.derive(E, x)
    assert "# c1: pass the recorded constant of shape (0, 3)" in d.numpy and np.array_equal(d(), 2 * x.data)


# ---------------------------------------------------------------- assumptions


def cross_entropy(t: Any, axis: int = -1) -> tuple[Any, Any]:
    z = ad.Tensor(np.random.default_rng(1).normal(size=t.shape), "z")
    return -np.sum(t * ad.log_softmax(z, axis=axis)), z


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", [float, bool])
def test_targets_that_sum_to_one_both_ways(axis: int, kind: Any) -> None:
    E, z = cross_entropy(np.eye(3, dtype=kind)[[1, 2, 0]], axis)
    d = ad.derive(E, z)
    assert d.results[0].text == f"softmax(z, axis={axis}) - c1" and [a.axis for a in d.assumptions] == [axis]
    assert np.allclose(d(), ad.gradient(E, z))


def test_conditions_keep_their_values_when_a_sum_is_assumed() -> None:
    c = np.array([[True], [False]])
    E = np.sum(np.where(c, x**2, x * y))
    assert np.allclose(ad.derive(E, x)(), ad.gradient(E, x))


@pytest.mark.parametrize(
    "assume",
    [
        ["sum(w) == 1", "sum(w) == 1"],
        ["sum(w) == 1", "sum(w, axis=0) == 1"],
        [sums_to_one("w", -1)],
        [sums_to_one("w", 0), "sum(w) == 1"],
    ],
)
def test_an_assumption_made_twice_is_said_once(assume: Any) -> None:
    E, z = cross_entropy(w)
    assert ad.derive(E, z, assume=assume).text == "dE/dz = softmax(z) - w    using sum(w) == 1"


@pytest.mark.parametrize(
    ("assume", "text"),
    [
        (["A == A.T", "sum(A, axis=0) == 1"], "A @ (1 + 2 * A @ x + 2 * x)"),
        (["sum(A, axis=0) == 1", "A == A.T"], "A @ (1 + 2 * A @ x + 2 * x)"),
        (["sum(A, axis=0) == 1", "A.T @ A == I"], "1 + (A + A.T) @ x + 2 * x"),
        (["sum(A, axis=0) == 1", "sum(A, axis=1) == 1"], "1 + (A + A.T) @ x + 2 * A.T @ A @ x"),
        (["A == A.T", "A.T @ A == I"], "A @ (1 + 2 * A @ x + 2 * x)"),
    ],
)
def test_several_assumptions_are_proved_together(assume: list[str], text: str) -> None:
    d = ad.derive(np.sum((A @ x) ** 2) + x @ A @ x + np.sum(A @ x), x, assume=assume)
    assert d.results[0].text == text and d.text.endswith("using " + ", ".join(map(str, d.assumptions)))
    at = verify.satisfying(d.assumptions, {"A": A.data})["A"]
    assert np.allclose(d(A=at), 2 * at.T @ at @ x.data + (at + at.T) @ x.data + at.sum(0))


def test_second_derivatives_say_only_the_assumptions_they_use() -> None:
    E = x @ A @ x * np.sum(w)
    d = ad.derive(E, wrt=(x, x), assume=["A == A.T", "sum(w) == 1", "w > 0"])
    assert d.text == "d²E/dx² = 2 * A    using A == A.T, sum(w) == 1"


def test_contradicting_assumptions() -> None:
    B = ad.Tensor(np.ones((2, 3)), "B")
    E = np.sum(B * B * np.sum(B, axis=0)) + np.sum(np.sum(B, axis=1) ** 3)
    with pytest.raises(ValueError, match="may contradict each other"):
        ad.derive(E, B, assume=["sum(B, axis=0) == 1", "sum(B, axis=1) == 1"])


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Assumption("w", "even"), "is no assumption"),
        (sums_to_one("w", "0"), "is no assumption"),  # type: ignore[arg-type]
        (sums_to_one("w", -2), "no such axis"),
        (sums_to_one(w), "is no assumption"),
        ("sum(A) == 1", r'over which axis of A, of shape \(3, 3\)\? Write "sum\(A, axis=0\) == 1"'),
        ("A == w.T", "is no assumption"),
        ("A.T @ w == I", "is no assumption"),
    ],
)
def test_assumptions_that_are_none(wish: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ad.derive(np.sum((A @ w) ** 2), w, assume=[wish])


# ---------------------------------------------------------------- shapes


def test_a_matrix_product_of_three_axes_with_one_column() -> None:
    rng = np.random.default_rng(2)
    a, b = ad.Tensor(rng.normal(size=(2, 1, 3)), "a"), ad.Tensor(rng.normal(size=(3, 1)), "b")
    E = np.sum(np.sin(a @ b))
    for v in (a, b):
        assert np.allclose(ad.derive(E, v)(), ad.gradient(E, v))


def test_the_inverse_of_a_single_number_is_refused() -> None:
    one = ad.Tensor(np.array([[2.0]]), "one")
    with pytest.raises(NoIndexForm):
        ad.derive(np.sum(np.linalg.inv(one) ** 2), one)


def test_division_by_zero_in_the_formula() -> None:
    s = V("s", 2)
    with pytest.raises(NotVerified, match="divide by zero"):
        ad.derive(np.sqrt(np.mean((s - np.mean(s)) ** 2)), s)
    with pytest.raises(NotVerified, match="beyond those of floating point"):
        ad.derive((ad.Tensor(1e-200, "s") * 1e200) ** 2)


# ---------------------------------------------------------------- what is derived in what


def test_variables_behind_opaque_nodes() -> None:
    h = np.tanh(A @ x).named("h")
    for E, wrt in ((h, x), (np.sin(h), x), (np.sum(h**2), (x, x)), (np.sum(h**2), x)):
        with pytest.raises(NotConnected, match="only through what was declared opaque"):
            ad.derive(E, wrt, opaque=[h])


def test_second_derivatives_in_results() -> None:
    s, S = ad.softmax(x).named("s"), (A @ A.T).named("S")
    assert ad.derive(np.sum(s) ** 2, wrt=(s, s)).text == "d²E/ds² = 2 * ones(n0) @ ones(n0).T"
    assert "inv(S)" in ad.derive(ad.logdet(S), wrt=(S, S)).text
    for wrt in (x, s), (s, x):
        with pytest.raises(NotConnected, match="neither is made of the other"):
            ad.derive(np.sum(s * x), wrt=wrt)


def test_what_is_said_of_a_divisor_concerns_the_formula() -> None:
    assert str(ad.derive(np.linalg.norm(x) ** 2, x)) == "dE/dx = 2 * x"
    assert "where norm(x) is not zero" in str(ad.derive(np.linalg.norm(x), x))


@pytest.mark.parametrize("argument", [np.ones(3) * 1j, None, "a"])
def test_arguments_that_are_not_numbers(argument: Any) -> None:
    with pytest.raises(TypeError, match=r"v=.* is not an array of real numbers"):
        ad.derive(lambda v: np.sum(v**2))(argument)
    with pytest.raises(TypeError, match=r"v\[w\]\[1\]=.* is not an array of real numbers"):
        ad.derive(lambda v: np.sum(v["w"][0] ** 2))({"w": [(2,), argument]})


def test_arguments_in_containers() -> None:
    def loss(p: Any, X: Any) -> Any:
        return np.sum((np.tanh(X @ p["W"] + p["b"]) - 1) ** 2)

    for W in (3, 2), np.ones((3, 2)), ad.Tensor(np.ones((3, 2))):
        d = ad.derive(loss)({"W": W, "b": (2,)}, (5, 3), wrt=0)
        assert [f.left for f in d.results] == ["dE/dW", "dE/db"]
        assert d(W=np.zeros((3, 2)), b=np.zeros(2), X=np.ones((5, 3)))["dE/db"].tolist() == [-10, -10]
    layers = ad.derive(lambda net, x: np.sum((net[1]["W"] @ (net[0]["W"] @ x)) ** 2))([{"W": (3, 2)}, {"W": (4, 3)}], (2,), wrt=[0])
    assert [f.left for f in layers.results] == ["dE/dnet_0_W", "dE/dnet_1_W"]
    assert ad.derive(lambda pair: np.sum(pair[0] * pair[1]))(((3,), (3,))).text.splitlines() == [
        "dE/dpair_1 = pair_0",
        "dE/dpair_0 = pair_1",
    ]
    with pytest.raises(ValueError, match="argument 0 holds 2 arrays"):
        ad.derive(loss)({"W": (3, 2), "b": (2,)}, (5, 3), wrt=(0, 0))


def test_two_names_for_one_axis() -> None:
    with pytest.raises(ValueError, match="one axis both 'b' and 'c'"):
        ad.derive(np.sum(A @ x), dims={"A": ("a", "b"), "x": ("c",)})
    assert ad.derive(np.sum(A @ x), A, dims={"A": ("a", "b"), "x": ("b",)}).text == "dE/dA = ones(a) @ x.T"


# ---------------------------------------------------------------- the proof, and large graphs


@pytest.mark.parametrize(("entries", "factor"), [((1e-12, 2e-12), 1.0), ((1, 2), 1e-9)])
def test_tiny_numbers_prove_something(entries: Any, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    v = V("v", *entries)
    E = np.sum(np.sin(v) ** 2) * factor
    ad.derive(E, v)
    engine = verify.pull
    monkeypatch.setattr(verify, "pull", lambda *a, **k: [None if g is None else 1.5 * g for g in engine(*a, **k)])
    with pytest.raises(DerivationFailed, match="differs"):
        ad.derive(E, v)


def regression(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X, y = ad.constant(rng.normal(size=(n, 20)), "X"), ad.constant(rng.normal(size=n), "y")
    w = ad.Tensor(rng.normal(size=20), "w")
    return np.mean((X @ w - y) ** 2), w


def test_random_points_of_a_large_graph_are_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    E, w = regression(50_000)
    shapes = []
    engine = verify.Points._try
    monkeypatch.setattr(verify.Points, "_try", lambda self, x, n: shapes.append(x["X"].shape) or engine(self, x, n))
    start = time.perf_counter()
    assert ad.derive(E, w).text == "dE/dw = 2 * X.T @ (X @ w - y) / m"
    assert time.perf_counter() - start < 2
    assert shapes[0] == (50_000, 20) and set(shapes[1:]) == {(13, 12)}
    assert verify.shorter_axes(Graph(regression(50)[0], {}, [], {}, [])) == {}


def test_a_wrong_formula_of_a_large_graph_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    E, w = regression(5_000)
    real = module.to_matrix
    monkeypatch.setattr(module, "to_matrix", lambda p, want: real(module.expr.scale(p, 2), want))
    for wrt in (w, (w, w)):
        with pytest.raises(DerivationFailed, match="differs"):
            ad.derive(E, wrt)


def test_lengths_that_a_recording_fixes_are_kept() -> None:
    v = ad.Tensor(np.random.default_rng(0).normal(size=(3, 10_000)), "v")
    halves = np.reshape(v, (3, 100, 100)).named("halves")
    assert ad.derive(np.sum(halves**2), halves, opaque=[halves]).text == "dE/dhalves = 2 * halves"
    w = ad.Tensor(np.ones(3), "w")
    E = np.mean(np.ones((30_000, 3)) @ w) + np.sum(np.broadcast_to(w, (30_000, 3)))
    assert np.allclose(ad.derive(E, w)(), ad.gradient(E, w))
    picked = np.sum(np.concatenate([v, v])[:4].named("picked") ** 2)
    with pytest.raises(NoIndexForm):
        ad.derive(picked, v)


def test_a_sum_over_many_unnamed_leaves_is_refused_in_time() -> None:
    s: Any = ad.Tensor(0.0)
    for k in range(20_000):
        s = s + 2.0 * ad.Tensor(float(k))
    start = time.perf_counter()
    with pytest.raises(TooBig):
        ad.derive(s)
    assert time.perf_counter() - start < 10


# ---------------------------------------------------------------- conditions in products, and axes of length 1 between others


def conditions(*shape: int) -> Any:
    return np.random.default_rng(6).random(shape) > 0.5


LOSSES = {
    "sum of a condition": lambda c: np.sum(x - np.sum(x * conditions(2, 4, 3), axis=(0, 1)) * 1.0),
    "products of conditions": lambda c: np.einsum("i,ij,ij->", x, conditions(3, 3), ~conditions(3, 3) | np.eye(3, dtype=bool)) ** 2,
    "condition times condition": lambda c: np.sum((A * conditions(3, 3)) @ (A * ~conditions(3, 3)).T @ x * c),
    "minus a condition": lambda c: -np.sum(x * (x.data > 1)) - np.sum(x * (y.data > 4)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_conditions_count_as_numbers(name: str) -> None:
    E = LOSSES[name](np.array([1.0, 2.0, 4.0]))
    assert np.allclose(ad.derive(E, x)(), ad.gradient(E, x))


def test_einsum_of_several_conditions_sums() -> None:
    a, b = np.array([[True, True], [True, False]]), np.array([[True, True], [False, True]])
    v = V("v", 1, 2)
    E = np.einsum("i,ij,ij->", v, a, b)
    assert E.data == 2.0 and np.array_equal(ad.gradient(E, v), [2, 0])


MIDDLE: dict[str, Any] = {
    "sum": lambda p, q: np.sum(p * q) + np.sum(q**3),
    "softmax": lambda p, q: np.sum(ad.softmax(p, axis=2) ** 2 * q),
    "logsumexp": lambda p, q: np.sum((p - ad.logsumexp(p, axis=0)) ** 2 * q),
    "norm": lambda p, q: np.linalg.norm(0.1 + p * q),
    "maximum": lambda p, q: np.sum(np.maximum(p, q) ** 2 * q),
}


@pytest.mark.parametrize("name", MIDDLE)
@pytest.mark.parametrize(
    ("shape", "other"), [((2, 1, 3), (3,)), ((2, 3, 1), (3, 1)), ((1, 2, 3), (3,)), ((2, 1, 3), (1, 3)), ((2, 1, 3), (2, 1))]
)
def test_axes_of_length_one_between_others(name: str, shape: Any, other: Any) -> None:
    if name == "softmax" and shape[2] == 1:
        shape = (3, 1, 2)
        other = (1, 2)
    rng = np.random.default_rng(4)
    p, q = ad.Tensor(rng.normal(size=shape), "p"), ad.Tensor(rng.normal(size=other), "q")
    E = MIDDLE[name](p, q)
    for v in (p, q):
        assert np.allclose(ad.derive(E, v)(), ad.gradient(E, v))


def test_the_maximum_over_one_entry_is_that_entry() -> None:
    c = ad.Tensor(np.array([[1.0], [-2.0]]), "c")
    E = np.sum(np.max(c, axis=1) ** 2)
    assert ad.derive(E, c).text == "dE/dc = 2 * c"


def test_division_by_an_entry_that_is_zero() -> None:
    one = ad.Tensor(np.array([[2.0]]), "one")
    d = ad.derive(np.sum(x / one), one)
    with np.errstate(divide="ignore"):
        assert d(one=np.zeros((1, 1))) == -np.inf


@pytest.mark.parametrize("extreme", [np.max, np.min])
def test_an_extreme_equals_the_entry_it_is(extreme: Any) -> None:
    v = ad.Tensor(np.random.default_rng(8).normal(size=7), "v")
    E = extreme(1 - ad.log_softmax(v)) ** 2
    d = ad.derive(E, v)
    for seed in range(20):
        at = np.random.default_rng(seed).normal(size=7)
        assert np.allclose(d(v=at), ad.grad(lambda v: extreme(1 - ad.log_softmax(v)) ** 2)(at))


def test_a_name_that_broadcasts_a_number() -> None:
    def loss(s: Any) -> Any:
        part = s / (1 + s * s)
        spread = np.mean(np.broadcast_to(part, (2,)).named("h"))
        entry = np.expm1(part)
        return spread + np.mean(s / (1 + part * part)) + np.sum(entry * entry)

    s = ad.Tensor(0.7, "s")
    E = loss(s)
    assert np.allclose(ad.derive(E)()["dE/ds"], ad.gradient(E, s))


def test_a_diagonal_of_two_of_three_axes() -> None:
    B = ad.Tensor(np.random.default_rng(5).normal(size=(2, 3, 3)), "B")
    for E in (np.trace(np.einsum("bij->ij", B)) ** 2 + np.mean(B), np.sum(np.einsum("bii->bi", np.exp(B)) ** 2)):
        assert np.allclose(ad.derive(E, B)(), ad.gradient(E, B))
