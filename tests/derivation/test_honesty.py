"""What a formula must say or refuse beyond being right at the recorded values: names, assumptions, recorded constants."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.derivation.derivation import _words
from autodiff.derivation.graph import Graph
from autodiff.errors import DerivationFailed, NoIndexForm, NotConnected
from autodiff.ops import TABLE


def V(name: str, *entries: float) -> Any:
    return ad.Tensor(np.array(entries), name)


# ---------------------------------------------------------------- names


def test_constants_without_names_are_kept_apart_from_the_users_names() -> None:
    c1, a = V("c1", 1, 2, 3), V("a", 4, 5, 6)
    E = np.sum(a * np.array([1.0, 0.0, 2.0]) * c1)
    d = ad.derive(E, wrt=a)
    assert "c1**2" not in d.text and "c2" in d.text
    assert np.array_equal(d(), [1, 0, 6])
    assert np.array_equal(d(c1=np.ones(3)), [1, 0, 2])


def test_axes_are_kept_apart_from_the_users_names() -> None:
    m, m_, x = V("m", 2), V("m_", 3), ad.Tensor(np.ones((4, 3)), "x")
    w = V("w", 1, 2, 3)
    d = ad.derive(np.mean((ad.constant(np.ones((4, 3)), name="X") @ w) ** 2) * np.sum(m) * np.sum(m_) * np.sum(x), wrt=w)
    assert "m__ = " in d.numpy
    assert np.allclose(d(), ad.gradient(d._graph.root, w))


def test_two_things_under_one_name_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Graph, "_unique", lambda self, name: name)
    a, b = V("h", 1, 2), V("h", 3, 4)
    with pytest.raises(DerivationFailed, match="both called h"):
        ad.derive(np.sum(a * b))


def test_what_was_computed_twice_alike_is_one_result() -> None:
    X, w, t = np.random.default_rng(1).normal(size=(5, 3)), V("w", 1, -2, 3), np.array([1.0, 0, 0, 1, 1])
    E = -np.mean(t * np.log(ad.sigmoid(X @ w)) + (1 - t) * np.log(1 - ad.sigmoid(X @ w)))
    d = ad.derive(E)
    assert d.results[-1].text == "X.T @ (y1 - t) / m" and "dE/dz1 = dE/dy1 * y1 * (1 - y1)" in str(d) and "z2" not in str(d)
    assert np.allclose(d()["dE/dw"], ad.gradient(E, w)) and ad.draw(E, formulas=True).svg
    for shown in (d.text, str(d), d._repr_latex_().replace(r"\mathbf", "").replace("{", "").replace("}", "")):
        assert "where z1 = X @ w, y1 = sigmoid(z1)" in shown or (r"\textwhere  z_1 = X \, w, \; y_1 =" in shown)
    norm = ad.derive(np.linalg.norm(w), w)
    assert "is not zero" in str(norm) and r"& \text{where norm(w) is not zero}" in norm._repr_latex_()
    z = (X @ w).named("z")  # what a person named is that result alone
    both = ad.derive(np.sum(ad.softplus(z) - t * (X @ w)), wrt=[z, w])
    assert [f.text for f in both.results] == ["sigmoid(z)", "X.T @ (sigmoid(z) - t)"]


# ---------------------------------------------------------------- assumptions


def softmax_loss(t: Any) -> tuple[Any, Any]:
    z = V("z", 1, 2, 3)
    return -np.sum(t * np.log(np.exp(z) / np.sum(np.exp(z)))), z


def test_variables_are_not_taken_to_sum_to_one() -> None:
    E, z = softmax_loss(V("p", 0.2, 0.3, 0.5))
    d = ad.derive(E, z)
    assert d.assumptions == () and "sum(p)" in d.text
    W, x = ad.Tensor(np.eye(3), "W"), V("x", 1, 2, 3)
    assert not ad.derive(np.sum(W) * np.sum(x**2), x).assumptions


@pytest.mark.parametrize("raw", [True, False])
def test_an_assumption_is_said_everywhere(raw: bool) -> None:
    t = np.array([0.2, 0.3, 0.5])
    E, z = softmax_loss(t if raw else ad.constant(t, name="t"))
    d = ad.derive(E, z)
    assert repr(d) == d.text == "dE/dz = softmax(z) - t    using sum(t) == 1"
    assert d.numpy.startswith("# uses sum(t) == 1\n")
    assert r"\text{using }" in d.latex
    assert np.allclose(d(t=np.array([0.0, 0.0, 1.0])), ad.gradient(E, z) + t - [0, 0, 1])
    with pytest.raises(ValueError, match=r"uses sum\(t\) == 1, which the given t does not satisfy"):
        d(t=np.ones(3))


def test_an_assumption_that_the_recorded_data_breaks_gives_no_numbers() -> None:
    E, z = softmax_loss(V("t", 1, 1, 1))
    d = ad.derive(E, z, assume=["sum(t) == 1"])
    with pytest.raises(ValueError, match="the recorded t does not satisfy"):
        d()
    assert np.isfinite(d(t=np.array([0.2, 0.3, 0.5]))).all()


# ---------------------------------------------------------------- recorded constants


def test_constants_without_a_name_are_explained() -> None:
    a, b = V("a", 1, -2, 3), V("b", 1, 2, 3)
    d = ad.derive(np.sum(a * b * np.array([2.0, 3.0, 4.0])), a)
    assert d.text == str(d) == "dE/da = b * c1\nwhere c1 is a recorded constant of shape (3,)"
    assert d.numpy == "c1 = np.array([2.0, 3.0, 4.0])\ndE_da = b * c1"
    assert np.array_equal(d(c1=np.ones(3)), b.data)
    x = ad.Tensor(np.ones(50), "x")
    big = ad.derive(np.sum(x * np.arange(50.0)), x)
    assert big.numpy == "# c1: pass the recorded constant of shape (50,)\ndE_dx = c1"


@pytest.mark.parametrize("entries", [(1, -2, 3), (1, 2, 3)])
def test_a_recorded_condition_is_said_to_be_fixed(entries: tuple[float, ...]) -> None:
    a, b = V("a", *entries), V("b", 1, 2, 3)
    d = ad.derive(np.sum(np.where(a > 0, a, b) * b), a)
    says = "where c1 is a recorded condition of shape (3,): other data may need another one"
    assert d.text.splitlines()[1:] == [says] and str(d).splitlines()[-1] == says
    assert d.numpy.startswith(f"c1 = np.array({[x > 0 for x in entries]})  # at the recorded data")
    positive = a > 0
    named = ad.derive(np.sum(np.where(positive, a, b) * b), a)
    assert says.replace("c1", "positive") in named.text and "np.array" not in named.numpy


def test_a_condition_is_not_kept_for_other_data() -> None:
    a, b = V("a", 1, -2, 3), V("b", 1, 2, 3)
    d = ad.derive(np.sum(np.where(a > 0, a**2, a) * b), a)
    truth = ad.gradient(d._graph.root, a)
    assert np.array_equal(d(), truth)
    with pytest.raises(ValueError, match=r"recorded condition c1, which may be another one at the given a: pass it too, as c1="):
        d(a=-a.data)
    assert np.array_equal(d(a=-a.data, c1=-a.data > 0), [1, 8, 3])
    kept = ad.derive(np.sum(np.where(a > 0, a, 0.0)) + np.sum(b**2), b)
    assert np.array_equal(kept(b=np.ones(3)), [2, 2, 2])  # the condition is not in this formula


def test_a_condition_above_a_name_is_not_kept_either() -> None:
    a = V("a", 1, -2, 3)
    h = np.where(a > 0, a**2, a).named("h")
    d = ad.derive(np.sum(h**2), h)
    with pytest.raises(ValueError, match="pass it too, as c1="):
        d(a=-a.data)


@pytest.mark.parametrize("kind", [ad.Tensor, ad.Value])
@pytest.mark.parametrize("at", [2.0, -2.0])
def test_a_condition_on_a_single_number(kind: Any, at: float) -> None:
    a = kind(at, name="a")
    E = ad.where(a > 0, a**2, 3 * a)
    d = ad.derive(E, a)
    assert "c1 is a recorded condition" in d.text and d() == (2 * at if at > 0 else 3)
    assert f"c1 = np.array({at > 0})" in d.numpy
    with pytest.raises(ValueError, match="condition c1"):
        d(a=-at)
    assert d(a=5.0, c1=True) == 10 and d(a=5.0, c1=False) == 3
    times = ad.derive(a * (a > 0), a)
    assert times.text.splitlines()[0] == "dE/da = c1"


@pytest.mark.parametrize("node", [False, True])
@pytest.mark.parametrize("made", [lambda a: 1 - a, lambda a: -a, lambda a: 2 * a - 1])
def test_what_numpy_computed_from_a_named_array_before_follows_it(node: bool, made: Any) -> None:
    X, w = np.random.default_rng(1).normal(size=(5, 3)), V("w", 1, -2, 3)
    for t in (np.array([1.0, 0, 0, 1, 1]), np.array([0.1, 0.7, 0.3, 0.2, 0.6])):
        given = ad.constant(t, name="t") if node else t

        def loss(t: Any, other: Any) -> Any:
            p = ad.sigmoid(X @ w)
            return -np.mean(t * np.log(p) + other * np.log(1 - p))

        d = ad.derive(loss(given, made(t)), wrt=w)
        assert "c1" not in d.text and "t" in _words(d.text)
        new = np.array([0.0, 1, 1, 0, 1])
        assert np.allclose(d(t=new), ad.gradient(loss(new, made(new)), w))


def test_a_constant_that_may_be_computed_from_data_is_not_kept_for_other_data() -> None:
    t, w = np.array([0.5, 2.0, 3.0]), V("w", 1, 2, 3)
    d = ad.derive(np.sum(t * w**2 + t**2 * w), w)
    assert np.array_equal(d(w=np.ones(3)), 2 * t + t**2)
    with pytest.raises(ValueError, match=r"recorded constant c1, which may be another one at the given t: pass it too, as c1="):
        d(t=2 * t)
    assert np.array_equal(d(t=2 * t, c1=4 * t**2), 4 * t * w.data + 4 * t**2)
    u = 1 - t
    both = ad.derive(np.sum(t * w**2 + u * w + (1 - t) * w**3), w)  # u has a name of its own, and is 1 - t too
    assert "t" in both.text and "u" in both.text and "c1" not in both.text


@pytest.mark.parametrize("t", [np.zeros(4), np.array([0.3])])
def test_a_number_that_may_be_computed_from_data_is_not_kept_for_other_data(t: Any) -> None:
    X, w = np.random.default_rng(1).normal(size=(len(t), 3)), V("w", 1, -2, 3)
    p = ad.sigmoid(X @ w)
    d = ad.derive(-np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)), wrt=w)
    assert np.all(np.isfinite(d(w=np.ones(3))))
    with pytest.raises(ValueError, match=r"an array without a name that is .* throughout, as 1 - t"):
        d(t=1 - t)


def test_conditions_are_folded() -> None:
    x, y = V("x", 1, -2, 3), V("y", 0, 5, 3)
    assert ad.derive(np.sum(np.maximum(x, y) ** 2), x).text == "dE/dx = 2 * x * (x > y) + y * (x == y)"
    assert ad.derive(np.sum(np.maximum(x, 0) ** 2), x).text == "dE/dx = 2 * x * (x > 0)"
    assert ad.derive(np.sum(ad.relu(x) ** 2), x).text == "dE/dx = 2 * relu(x)"
    assert ad.derive(np.sum(np.where(x > 0, x, y) ** 2), x).text.splitlines()[0] == "dE/dx = 2 * c1 * x"


# ---------------------------------------------------------------- calling a derivation


def test_data_that_does_not_fit_is_named() -> None:
    X, w = ad.Tensor(np.ones((4, 3)), "X"), V("w", 1, 2, 3)
    y = ad.constant(np.ones(4), name="y")
    d = ad.derive(np.sum((X @ w - y) ** 2), w)
    for given, says in (
        ({"w": np.ones(5)}, r"w came with shape \(5,\), which does not fit X along their axis n\d: 3 and 5"),
        ({"w": np.ones((3, 1))}, r"w came with shape \(3, 1\), but was recorded with shape \(3,\)"),
        ({"X": np.ones((5, 3))}, r"X came with shape \(5, 3\), which does not fit y"),
    ):
        with pytest.raises(ValueError, match=says):
            d(**given)
    with pytest.raises(TypeError, match="w='a' is not an array of real numbers"):
        d(w="a")
    assert d(X=np.ones((2, 3)), y=np.ones(2)).shape == (3,)
    assert np.array_equal(d(w=ad.Tensor(np.zeros(3))), d(w=np.zeros(3)))


@pytest.mark.parametrize("wrt", ["x", "pair"])
def test_a_norm_of_zero_is_said(wrt: str) -> None:
    x, rows = V("x", 3, 4), ad.Tensor(np.ones((2, 3)), "rows")
    d = ad.derive(np.linalg.norm(x), wrt=x if wrt == "x" else (x, x))
    assert np.allclose(d(), [0.6, 0.8] if wrt == "x" else np.array([[16, -12], [-12, 9]]) / 125)
    with pytest.raises(ValueError, match=r"where norm\(x\) is not zero, and at the given or recorded values it is zero"):
        d(x=np.zeros(2))
    lengths = ad.derive(np.sum(np.linalg.norm(rows, axis=1)), wrt=rows)
    with pytest.raises(ValueError, match="is not zero, and at the given"):
        lengths(rows=np.array([[0.0, 0, 0], [1, 2, 3]]))


@pytest.mark.parametrize("name", ["sum", "np", "exp", "lambda", "my weight"])
def test_a_renamed_variable_is_said_and_found(name: str) -> None:
    x = V(name, 1, 2, 3)
    d = ad.derive(np.sum(np.sin(x)), x)
    new = d.results[0].text[len("cos(") : -1]
    assert new != name and f"where {new} is the variable {name!r}" in str(d)
    assert np.array_equal(d(**{name: np.zeros(3)}), d(**{new: np.zeros(3)}))


def test_names_in_other_scripts() -> None:
    square, E = V("x²", 1, 2), V("E", 3, 4)
    d = ad.derive(np.sum(square * E), square)
    assert d.text == "dL/dx2 = E" and np.array_equal(d(), [3, 4])


# ---------------------------------------------------------------- what printed source calls and assigns


def test_a_users_op_in_the_answer() -> None:
    cube = ad.elementwise("cube_of_mine", lambda x: x**3, lambda z, x: 3 * x**2)
    try:
        v = V("v", 1, 2)
        E = np.sum(cube(v) ** 2)
        d = ad.derive(E)
        assert d.text == "dE/dv = 6 * v**2 * cube_of_mine(v)"
        assert d.numpy.splitlines()[0] == "# cube_of_mine is your own op: define it as a function of arrays"
        assert np.allclose(d(), ad.gradient(E, v)) and np.allclose(d(v=np.array([2.0, 3.0])), [192, 1458])
        clash = V("cube_of_mine", 1, 2)
        assert np.allclose(ad.derive(np.sum(cube(clash) ** 2))(), [6, 192])
    finally:
        del TABLE["cube_of_mine"]


@pytest.mark.parametrize("name", ["dE_dw", "d2E_dwdw"])
def test_a_variable_named_like_a_printed_result(name: str) -> None:
    a, w = V(name, 1, -2, 3), V("w", 1, 2, 3)
    E = np.sum(a * w * w)
    d = ad.derive(E)
    assert d.text.splitlines() == [f"dE/dw = 2 * _{name} * w", f"dE/d_{name} = w**2"]
    assert np.allclose(d()["dE/dw"], ad.gradient(E, w))
    assert ad.derive(E, wrt=(w, w))().shape == (3, 3)


@pytest.mark.parametrize("x", [np.array([1, 2]), np.array([-1, -2])])
def test_printed_source_takes_integers(x: Any) -> None:
    v = V("x", 1, 2)
    for E in (np.sum(2.0**v), np.sum(v**-3 + v**4), np.sum(1 / v), np.sum(3 * v**-1.0)):
        d = ad.derive(E, v)
        scope = {"np": np, "x": x}
        exec(d.numpy, scope)
        assert np.allclose(scope["dE_dx"], d(x=x.astype(float)))
    assert ad.derive(np.sum(2.0**v), v).numpy == "dE_dx = np.log(2) * 2.0**x"


def test_a_users_op_without_an_index_form() -> None:
    twice = ad.linear("twice_of_mine", lambda x: 2 * x, lambda i, g, x: 2 * g, sample=lambda rng: [])
    try:
        x = V("x", 1, 2)
        with pytest.raises(NoIndexForm, match=r"cannot be written .* twice_of_mine is an op of yours declared without index=.*opaque="):
            ad.derive(np.sum(twice(x) ** 2), x)
        h = twice(x).named("h")
        assert ad.derive(np.sum(h**2), x).text == "dE/dx = 4 * h"  # its rule has a form, and its result a name
        assert ad.derive(np.sum(h**2), h, opaque=[h]).text == "dE/dh = 2 * h"
    finally:
        del TABLE["twice_of_mine"]


PICKED: list[Any] = [
    (4, 1),
    (4, slice(1, None)),
    (4, slice(None, None, -1)),
    (4, [0, 2, 2]),
    (4, np.array([True, False, False, True])),
    ((5, 3), 2),
    ((5, 3), (slice(None), 1)),
    ((5, 3), (slice(1, 4), slice(None, 2))),
    ((5, 3), (1, 2)),
    ((5, 3), ([0, 4], slice(1, 3))),
    ((5, 3), (np.arange(5), np.array([0, 2, 1, 1, 0]))),
    ((5, 3), (np.array([0, 4, 1]), np.arange(3))),
    ((12, 3), (np.arange(12), np.arange(12) % 3)),
]


@pytest.mark.parametrize("unnamed", [False, True])
@pytest.mark.parametrize(("shape", "index"), PICKED, ids=str)
def test_the_advice_for_an_index_works(shape: Any, index: Any, unnamed: bool) -> None:
    v = ad.Tensor(np.random.default_rng(0).normal(size=shape), "v")
    A = ad.log_softmax(v, axis=-1) if unnamed else v
    E = np.sum(np.sin((ad.log_softmax(v, axis=-1) if unnamed else v)[index]))
    with pytest.raises(NoIndexForm, match="Instead of the index") as error:
        ad.derive(E, v)
    instead, made = re.search(r"Instead of the index write (.*?), with (.*?\))(?:, A the result|, labels|\. )", str(error.value)).groups()  # type: ignore[union-attr]
    scope = {"np": np, "ad": ad, "v": v, "A": A, "labels": index[1] if isinstance(index, tuple) else index}
    exec(made.replace("), ", ")\n"), scope)
    again = np.sum(np.sin(eval(instead, scope)))
    assert np.allclose(again.data, E.data) and np.allclose(ad.derive(again, v)(), ad.gradient(E, v))


def test_sorting_has_no_form() -> None:
    v = V("v", 3, 1, 2)
    with pytest.raises(NoIndexForm, match=r"sort has no index form here.*opaque="):
        ad.derive(np.sum(np.sort(v) ** 2), v)


def test_new_axes() -> None:
    c, x = V("c", 1, 2), V("x", 1, 2, 3)
    assert ad.derive(np.sum(np.sin(c[:, None] * x)), c).text == "dE/dc = cos(c @ x.T) @ x"
    assert ad.derive(np.sum(np.sin(c[..., None] * x[None])), x).text == "dE/dx = cos(c @ x.T).T @ c"
    with pytest.raises(NoIndexForm):
        ad.derive(np.sum(c[::-1] * c), c)


# ---------------------------------------------------------------- options


def test_nodes_outside_the_graph() -> None:
    x, q = V("x", 1, 2), V("q", 1, 2)
    E = np.sum(x**2)
    with pytest.raises(NotConnected, match="opaque= lists q, without which E was computed"):
        ad.derive(E, x, opaque=[q])
    with pytest.raises(NotConnected, match="E is what is derived"):
        ad.derive(E, wrt=E)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"dims": 3}, TypeError, "names each axis"),
        ({"dims": {"X": (1, 2)}}, TypeError, "names each axis"),
        ({"dims": {"X": ("n m", "p")}}, TypeError, "names each axis"),
        ({"dims": {"X": ("X", "n")}}, ValueError, "use already"),
        ({"dims": {"X": ("n", "n")}}, ValueError, "different lengths 'n': 3 and 2"),
        ({"dims": {"Q": ("n", "m")}}, ValueError, "no such variable"),
        ({"opaque": 3}, TypeError, "list of nodes"),
        ({"opaque": ["X"]}, TypeError, "list of nodes"),
        ({"assume": "sum(w) == 1"}, TypeError, r"list of assumptions, such as assume=\["),
        ({"assume": [3]}, ValueError, "is no assumption"),
        ({"assume": ["sum(q, axis=0) == 1"]}, ValueError, "called q"),
        ({"assume": ["sum(w, axis=3) == 1"]}, ValueError, "no such axis"),
        ({"assume": ["X == X.T"]}, ValueError, "square"),
        ({"assume": [ad.derivation.symmetric("w")]}, ValueError, "square"),
    ],
)
def test_options_of_the_wrong_kind(options: dict[str, Any], error: type[Exception], says: str) -> None:
    X, w = ad.Tensor(np.ones((3, 2)), "X"), V("w", 1, 2)
    with pytest.raises(error, match=says):
        ad.derive(np.sum((X @ w) ** 2), w, **options)


@pytest.mark.parametrize(("wrt", "error"), [(5, ValueError), (-3, ValueError), ([0, 7], ValueError), ("x", TypeError), (1.5, TypeError)])
def test_arguments_that_the_function_lacks(wrt: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"counted from 0|counts the arguments"):
        ad.derive(lambda x, y: np.sum(x * y))(np.ones(3), np.ones(3), wrt=wrt)


def test_a_literal_infinity_has_no_formula() -> None:
    x = ad.Tensor(np.ones(3), name="x")
    for E in (np.sum(np.minimum(x, np.inf)), np.sum(np.clip(x, 0.0, None))):
        with pytest.raises(ad.NoIndexForm):
            ad.derive(E, wrt=x)


LENGTHS: dict[str, Callable[..., Any]] = {
    "mean": lambda x: np.mean(x**2),
    "var": lambda x: np.var(x),
    "var of columns": lambda x: np.sum(np.var(x, axis=0) ** 2),
    "unbiased var": lambda x: np.var(x, ddof=1),
    "std": lambda x: np.std(x),
    "unbiased std of rows": lambda x: np.sum(np.std(x, axis=1, ddof=1)),
    "batch norm": lambda x: np.sum(np.tanh((x - np.mean(x, axis=0)) / np.sqrt(np.var(x, axis=0) + 1e-5))),
    "determinant": lambda x: np.linalg.det(x.T @ x) + np.std(x),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_formula_holds_at_arrays_of_other_lengths(name: str) -> None:
    f = LENGTHS[name]
    d = ad.derive(f, wrt=0)((5, 3))
    for shape in (5, 3), (4, 2), (7, 3):
        x = np.random.default_rng(2).normal(size=shape)
        assert np.allclose(d(x=x), ad.grad(f)(x))


def test_the_variables_of_a_function_are_chosen_before_or_after() -> None:
    f = lambda x, y: np.sum(x * y)
    assert ad.derive(f, wrt=1)((3,), (3,)).text == ad.derive(f)((3,), (3,), wrt=1).text == "dE/dy = x"


@pytest.mark.parametrize(
    "f, text",
    [
        (lambda A: np.linalg.det(A), "det(A) * inv(A).T"),
        (lambda A: np.log(np.linalg.det(A)), "inv(A).T"),
        (lambda A: np.sum(np.logaddexp(A, 0)), "sigmoid(A)"),
        (lambda A: np.sum(np.clip(A, -0.5, 0.5) ** 2), "2 * A * (2 * A >= -1) * (1 >= 2 * A)"),
        (lambda A: np.var(A), "2 * (A - sum(A) / (n0 * n1)) / (n0 * n1)"),
        (lambda A: np.sum(np.var(A, axis=0, ddof=1)), "2 * (A - A.sum(0) / m) / (m - 1)"),
    ],
)
def test_formulas_of_determinants_variances_and_bounds(f: Callable[..., Any], text: str) -> None:
    assert ad.derive(f)(np.eye(3) + 0.1).text == f"dE/dA = {text}"


def _innovation(z: Any, H: Any, P: Any, N: Any) -> Any:
    S = H @ P @ H.T + N
    return (ad.logdet(S) + z @ np.linalg.solve(S, z)) / 2


SYMMETRIC: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], int, str, str]] = {
    "Gram matrix": (lambda A: ad.logdet(A.T @ A), [(4, 3)], 0, "", "2 * A @ inv(A.T @ A)"),
    "ridge": (lambda A, y: y @ np.linalg.inv(A @ A.T + np.eye(3)) @ y, [(3, 2), (3,)], 1, "", "2 * inv(z1) @ y"),
    "two": (lambda A, B, x: x @ A @ B @ x, [(3, 3), (3, 3), (3,)], 2, "A B", "A @ B @ x + B @ A @ x"),
    "one of two": (lambda A, B, x: x @ A @ x + np.trace(B) * (x @ x), [(3, 3), (3, 3), (3,)], 2, "A", "2 * (trace(B) * x + A @ x)"),
    "Kalman": (_innovation, [(2,), (2, 4), (4, 4), (2, 2)], 0, "P N", "inv(H @ P @ H.T + N) @ z"),
    "Kalman gain": (
        lambda K, H, P, N: np.trace((np.eye(4) - K @ H) @ P @ (np.eye(4) - K @ H).T + K @ N @ K.T),
        [(4, 2), (2, 4), (4, 4), (2, 2)],
        0,
        "P N",
        "2 * (K @ H @ P - P) @ H.T + 2 * K @ N",
    ),
    "graphical lasso": (lambda T, S: np.trace(S @ T) - ad.logdet(T), [(3, 3), (3, 3)], 0, "T S", "S - inv(T)"),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_what_is_made_of_symmetric_matrices_alone_is_symmetric(name: str) -> None:
    f, shapes, k, assumed, text = SYMMETRIC[name]
    rng = np.random.default_rng(3)
    arrays = [a @ a.T + np.eye(len(a)) if a.ndim == 2 and len(set(a.shape)) == 1 else a for a in (rng.normal(size=s) for s in shapes)]
    d = ad.derive(f, assume=[f"{a} == {a}.T" for a in assumed.split()])(*arrays, wrt=k)
    assert d.results[0].text == text and {a.name for a in d.assumptions} == set(assumed.split())
    assert np.allclose(d(), ad.grad(f, k)(*arrays))


def test_products_of_what_is_positive_lose_their_absolute_values() -> None:
    d = ad.derive(lambda x, y: np.sum(np.abs(x * y)) + np.sum(ad.relu(x)), assume=["x > 0", "y > 0"])((3,), (3,))
    assert [f.text for f in d.results] == ["x", "1 + y"]


def test_a_function_of_zero_is_no_error() -> None:
    assert ad.derive(lambda x: np.sum(np.cos(x - x) * x))((3,)).text == "dE/dx = cos(0) * ones(n0)"


def test_numbers_stand_beside_index_notation() -> None:
    d = ad.derive(lambda X, W: np.mean((X @ W) ** 2))((6, 4), (4, 3), wrt=(1, 1))
    assert d.text == 'd²E/dW² = 2 * einsum("ab,cd->acbd", X.T @ X, eye(n2)) / (n1 * n2)'


def test_data_of_another_length_is_asked_for_the_recorded_condition() -> None:
    huber = lambda r, d: np.sum(np.where(np.abs(r) <= d, r**2 / 2, d * (np.abs(r) - d / 2)))
    d = ad.derive(huber, wrt=0)(np.array([-3.0, 0.5, 2.0]), 1.0)
    with pytest.raises(ValueError, match=r"recorded condition c1.*pass it too, as c1="):
        d(r=np.ones(5))
    assert np.allclose(d(r=np.array([4.0, 0.1]), c1=np.array([False, True])), [1.0, 0.1])


def test_orthonormal_columns() -> None:
    X, Q = np.random.default_rng(0).normal(size=(7, 5)), ad.Tensor(np.linalg.qr(np.random.default_rng(1).normal(size=(5, 2)))[0], "Q")
    d = ad.derive(np.sum((X - X @ Q @ Q.T) ** 2), assume=["Q.T @ Q == I"])
    assert d.results[0].text == "2 * (Q @ Q.T @ X.T @ X @ Q - X.T @ X @ Q)"
    x = V("x", 1, 2)
    assert ad.derive(np.sum((Q @ x) ** 2) + np.sum((Q @ Q.T) ** 2), x, assume=["Q.T @ Q == I"]).text.startswith("dE/dx = 2 * x ")


def test_assumptions_on_a_matrix_of_one_entry() -> None:
    q = ad.Tensor([[2.0]], "q")
    assert ad.derive(np.sum(q @ q), assume=["q == q.T"]).text == "dE/dq = 2 * q"
    with pytest.raises(ValueError, match="several columns"):
        ad.derive(np.sum(q @ q), assume=["q.T @ q == I"])
