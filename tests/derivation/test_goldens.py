"""The formulas that must come out, word for word; that they are right `derive` proves by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import constant
from autodiff.node import order
from tests.derivation.reading import reads_as

RNG = np.random.default_rng(0)


def T(name: str, *shape: int) -> Any:
    return ad.Tensor(RNG.normal(size=shape), name)


def P(name: str, *shape: int) -> Any:
    return ad.Tensor(RNG.uniform(0.5, 1.5, size=shape), name)


def C(name: str, *shape: int) -> Any:
    return constant(RNG.normal(size=shape), name)


def node(E: Any, name: str) -> Any:
    return next(n for n in order(E) if n.name == name)


def shares(*shape: int, axis: int = 0) -> Any:
    t = RNG.uniform(0.1, 1.0, size=shape)
    return constant(t / t.sum(axis, keepdims=True), "t")


def formulas(d: Any) -> list[str]:
    """The results without what they use."""
    return [f"{f.left} = {f.text}" for f in d.results]


# ---------------------------------------------------------------- the exercise


def exercise(loss: str, sigmoid: str = "fused", m: int | None = None, column: bool = False) -> Any:
    tail = (m,) if m else (1,) if column else ()
    x, t = C("x", 4, *tail), shares(3, *tail)
    W1, W2 = T("W1", 5, 4), T("W2", 3, 5)
    z1 = (W1 @ x).named("z1")
    spelt = {"fused": ad.sigmoid, "written out": lambda z: 1 / (1 + np.exp(-z)), "eq. (9)": lambda z: 1 / (1 + np.exp(z))}
    y1 = spelt[sigmoid](z1).named("y1")
    z2 = (W2 @ y1).named("z2")
    if loss == "primitives":
        e = np.exp(z2)
        cost = -np.sum(t * np.log((e / np.sum(e, axis=0)).named("y2")), axis=0)
    elif loss == "softmax":
        cost = -np.sum(t * np.log(ad.softmax(z2, axis=0).named("y2")), axis=0)
    elif loss == "log_softmax":
        cost = -np.sum(t * ad.log_softmax(z2, axis=0), axis=0)
    else:
        cost = ad.logsumexp(z2, axis=0) - np.sum(t * z2, axis=0)
    return (np.mean(cost) if m else np.sum(cost)).named("E")


@pytest.mark.parametrize("loss", ["primitives", "softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("sigmoid", ["fused", "written out"])
@pytest.mark.parametrize("column", [False, True])
def test_exercise(loss: str, sigmoid: str, column: bool) -> None:
    E = exercise(loss, sigmoid, column=column)
    y = "y2" if loss in ("primitives", "softmax") else "softmax(z2)"
    lines = [
        f"dE/dz2 = {y} - t",
        f"dE/dy1 = W2.T @ ({y} - t)",
        f"dE/dz1 = (W2.T @ ({y} - t)) * y1 * (1 - y1)",
        f"dE/dW2 = ({y} - t) @ y1.T",
        f"dE/dW1 = ((W2.T @ ({y} - t)) * y1 * (1 - y1)) @ x.T",
    ]
    assert formulas(ad.derive(E)) == (["dE/dy2 = -t / y2"] if y == "y2" else []) + lines


@pytest.mark.parametrize("loss", ["primitives", "softmax", "log_softmax", "logsumexp"])
def test_exercise_in_batches(loss: str) -> None:
    E = exercise(loss, m=6)
    y = "y2" if loss in ("primitives", "softmax") else "softmax(z2, axis=0)"
    d = ad.derive(E)
    assert formulas(d)[-2:] == [
        f"dE/dW2 = ({y} - t) @ y1.T / m",
        f"dE/dW1 = ((W2.T @ ({y} - t)) * y1 * (1 - y1)) @ x.T / m",
    ]
    assert "m = x.shape[1]" in d.numpy
    assert [str(a) for a in d.assumptions] == (["sum(t, axis=0) == 1"] if loss != "logsumexp" else [])


def test_equation_9_as_written() -> None:
    E = exercise("softmax", "eq. (9)")
    assert formulas(ad.derive(E, node(E, "W1"))) == ["dE/dW1 = ((W2.T @ (t - y2)) * y1 * (1 - y1)) @ x.T"]


def test_mixed_layout_prints_the_exercises_own_lines() -> None:
    d = ad.derive(exercise("softmax"), layout="mixed")
    chains = {s.name: s.chain("text") for s in d.steps}
    assert chains["y1"] == ["dE/dz2 @ W2", "(y2 - t).T @ W2"]
    assert chains["z1"] == ["dE/dy1 @ diag(y1 * (1 - y1))", "(y2 - t).T @ W2 @ diag(y1 * (1 - y1))"]
    assert chains["W2"] == ["(dE/dz2).T @ y1.T", "(y2 - t) @ y1.T"]
    assert chains["W1"] == ["(dE/dz1).T @ x.T", "((W2.T @ (y2 - t)) * y1 * (1 - y1)) @ x.T"]
    assert d.formula(node(d._graph.root, "z2")).text == "(y2 - t).T"


def test_numerator_layout() -> None:
    E = exercise("softmax")
    d = ad.derive(E, node(E, "W1"), layout="numerator")
    assert formulas(d) == ["dE/dW1 = x @ (y2 - t).T @ W2 @ diag(y1 * (1 - y1))"]
    assert d.results[0].numpy == "np.outer((W2.T @ (y2 - t)) * y1 * (1 - y1), x)"  # layouts are printing only


def test_without_and_with_the_assumption() -> None:
    E = exercise("softmax")
    d = ad.derive(E, node(E, "W2"))
    assert [str(a) for a in d.assumptions] == ["sum(t) == 1"]
    assert d.unassumed == "dE/dW2 = (sum(t) * y2 - t) @ y1.T"
    bare = ad.derive(E, node(E, "W2"), assume=())
    assert bare.text == "dE/dW2 = (sum(t) * y2 - t) @ y1.T" and not bare.assumptions


def test_rows_columns_and_biases() -> None:
    X, t = C("X", 6, 4), shares(6, 3, axis=1)
    W, b = T("W", 4, 3), T("b", 3)
    Y = ad.softmax((X @ W + b).named("Z"), axis=1).named("Y")
    E = -np.mean(np.sum(t * np.log(Y), axis=1))
    assert formulas(ad.derive(E, [W, b])) == ["dE/dW = X.T @ (Y - t) / m", "dE/db = (Y - t).sum(0) / m"]
    X, t, b = C("X", 4, 6), shares(3, 6), T("b", 3, 1)
    W = T("W", 3, 4)
    Y = ad.softmax((W @ X + b).named("Z"), axis=0).named("Y")
    E = -np.mean(np.sum(t * np.log(Y), axis=0))
    d = ad.derive(E, [W, b])
    assert formulas(d) == ["dE/dW = (Y - t) @ X.T / m", "dE/db = (Y - t).sum(1, keepdims=True) / m"]
    assert "dE_db = (Y - t).sum(1, keepdims=True) / m" in d.numpy
    b = T("b", 3)
    Y = ad.softmax((W @ X + b[:, None]).named("Z"), axis=0).named("Y")
    assert formulas(ad.derive(-np.mean(np.sum(t * np.log(Y), axis=0)), b)) == ["dE/db = (Y - t).sum(1) / m"]


def test_one_row() -> None:
    x, W, t = T("x", 1, 4), T("W", 4, 3), shares(1, 3, axis=1)
    p = ad.softmax((x @ W).named("z"), axis=1).named("p")
    d = ad.derive(-np.sum(t * np.log(p)))
    assert formulas(d)[-2:] == ["dE/dW = x.T @ (p - t)", "dE/dx = (p - t) @ W.T"]
    assert "dE_dx = (p - t) @ W.T" in d.numpy


def test_unnamed_networks_get_names_that_the_source_defines() -> None:
    W1, W2 = ad.Tensor(RNG.normal(size=(5, 4))), ad.Tensor(RNG.normal(size=(3, 5)))
    x, t = RNG.normal(size=4), np.array([0.2, 0.3, 0.5])
    E = -np.sum(t * np.log(ad.softmax(W2 @ ad.sigmoid(W1 @ x))))
    d = ad.derive(E, W1)
    assert formulas(d) == ["dE/dW1 = ((W2.T @ (y2 - t)) * y1 * (1 - y1)) @ x.T"]
    scope = {"np": np, "W1": W1.data, "W2": W2.data, "x": x, "t": t}
    exec(d.numpy, scope)
    assert np.allclose(scope["dE_dW1"], ad.gradient(E, W1))


# ---------------------------------------------------------------- the zoo: (formula in terms of, text)

X, w, y, A, x, b = T("X", 6, 3), T("w", 3), T("y", 6), T("A", 4, 4), T("x", 4), T("b", 4)
B, Cm, D, U, V, R = T("B", 4, 5), T("C", 5, 3), T("D", 3, 4), T("U", 4, 2), T("V", 5, 2), T("R", 4, 5)
lam, s, mu, S = P("lam"), P("s"), T("mu", 4), ad.Tensor(np.eye(4) * 2 + 0.1, "S")


def logits() -> Any:
    return (X @ w).named("z")


def residual_net(W: Any) -> Any:
    h = (x + np.tanh(W @ x)).named("h")
    return np.sum((h - b) ** 2), W


def attention() -> Any:
    Q, K, G = T("Q", 5, 4), T("K", 6, 4), T("G", 5, 3)
    Vv = T("V", 6, 3)
    p = ad.softmax(Q @ K.T / 2, axis=1).named("P")
    return np.sum(G * (p @ Vv).named("O")), Q


def attention_unnamed() -> Any:
    q, k, v, g = T("Q", 5, 4), T("K", 6, 4), T("V", 6, 3), T("G", 5, 3)
    return np.sum(g * (ad.softmax(q @ k.T / 2, axis=1) @ v)), v


def layer_norm() -> Any:
    c = (x - np.mean(x)).named("c")
    scale = np.sqrt(np.mean(c**2)).named("s")
    return np.sum(b * (c / scale).named("u")), x


def binary_cross_entropy(p: Any) -> Any:
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))


def gaussian() -> Any:
    d = x - mu
    return 0.5 * (d @ np.linalg.inv(S) @ d) + 0.5 * ad.logdet(S)


ZOO: dict[str, tuple[Callable[[], Any], str]] = {
    "least squares": (lambda: (np.sum((X @ w - y) ** 2), w), "2 * X.T @ (X @ w - y)"),
    "least squares, residual named": (lambda: (np.sum((X @ w - y).named("r") ** 2), w), "2 * X.T @ r"),
    "ridge": (lambda: (np.sum((X @ w - y) ** 2) + lam * np.sum(w**2), w), "2 * X.T @ (X @ w - y) + 2 * lam * w"),
    "logistic, log(1 + exp)": (lambda: ((lambda z: np.sum(np.log(1 + np.exp(z)) - y * z))(logits()), w), "X.T @ (sigmoid(z) - y)"),
    "logistic, softplus": (lambda: ((lambda z: np.sum(ad.softplus(z) - y * z))(logits()), w), "X.T @ (sigmoid(z) - y)"),
    "logistic, cross-entropy": (lambda: (binary_cross_entropy(ad.sigmoid(logits()).named("p")), w), "X.T @ (p - y)"),
    "logistic, p not named": (lambda: (binary_cross_entropy(ad.sigmoid(logits())), w), "X.T @ (sigmoid(z) - y)"),
    "quadratic form": (lambda: (x @ A @ x, x), "(A + A.T) @ x"),
    "quadratic form, A": (lambda: (x @ A @ x, A), "x @ x.T"),
    "bilinear form": (lambda: (x @ A @ b, b), "A.T @ x"),
    "log-sum-exp": (lambda: (ad.logsumexp(x), x), "softmax(x)"),
    "log-sum-exp written out": (lambda: (np.log(np.sum(np.exp(x))), x), "softmax(x)"),
    "trace(A'A)": (lambda: (np.trace(A.T @ A), A), "2 * A"),
    "trace of three": (lambda: (np.trace(B @ Cm @ D), Cm), "B.T @ D.T"),
    "norm": (lambda: (np.linalg.norm(x), x), "x / norm(x)"),
    "norm of a residual": (lambda: (np.linalg.norm(X @ w - y), w), "X.T @ (X @ w - y) / norm(X @ w - y)"),
    "Frobenius": (lambda: (np.sum(A**2), A), "2 * A"),
    "inverse": (lambda: (np.trace(np.linalg.inv(A) @ S), A), "-inv(A).T @ S.T @ inv(A).T"),
    "solve": (lambda: (b @ np.linalg.solve(A, x), x), "inv(A).T @ b"),
    "log-determinant": (lambda: (ad.logdet(A), A), "inv(A).T"),
    "elementwise": (lambda: (np.sum(np.sin(x) * np.exp(x)), x), "exp(x) * (cos(x) + sin(x))"),
    "powers": (lambda: (np.sum(3 * s**3 - 0.5 * s**2), s), "9 * s**2 - s"),
    "many matrices": (lambda: (np.sum(B @ Cm @ D), Cm), "B.sum(0) @ D.sum(1).T"),
    "residual connection": (lambda: residual_net(A), "2 * ((h - b) * (1 - tanh(A @ x)**2)) @ x.T"),
    "attention": (attention, "0.5 * (P * (G @ V.T - (G * O).sum(1, keepdims=True))) @ K"),
    "attention, nothing named": (attention_unnamed, "softmax(0.5 * Q @ K.T, axis=1).T @ G"),
    "layer normalisation": (layer_norm, "(b - b.T @ u / m * u - sum(b) / m) / s"),
    "distance": (lambda: (np.linalg.norm(x - b), x), "(x - b) / norm(x - b)"),
    "squared distance": (lambda: (np.sum((x - b) ** 2), b), "2 * (b - x)"),
    "kernel": (lambda: (np.exp(-lam * np.sum((x - b) ** 2)), b), "2 * lam * exp(-lam * sum((x - b)**2)) * (x - b)"),
    "Gaussian, mean": (gaussian, "0.5 * (inv(S) + inv(S).T) @ (mu - x)"),
    "factorisation": (lambda: (np.sum((U @ V.T - R) ** 2), U), "2 * (U @ V.T - R) @ V"),
    "outer product": (lambda: (np.sum((np.outer(x, T("v", 5)) - R) ** 2), x), "2 * (x @ v.T - R) @ v"),
    "einsum": (lambda: (np.sum(np.einsum("ij,jk,k->i", B, Cm, w) ** 2), w), "2 * C.T @ B.T @ B @ C @ w"),
    "diagonal": (lambda: (x @ np.diag(b) @ A @ x, b), "(A @ x) * x"),
    "mean": (lambda: (np.mean((X @ w - y) ** 2), w), "2 * X.T @ (X @ w - y) / m"),
    "a literal": (lambda: (np.sum((X @ w - y) ** 2) / 6, w), "X.T @ (X @ w - y) / 3"),
    "swish": (lambda: (np.sum(x * ad.sigmoid(x)), x), "sigmoid(x) * (1 + x - x * sigmoid(x))"),
    "a variable exponent": (lambda: (np.sum(s**lam), s), "lam * s**(lam - 1)"),
    "hinge": (lambda: (np.mean(np.maximum(0, 1 - y * (X @ w)) ** 2), w), "-2 * X.T @ (y * (1 > (X @ w) * y) * (1 - (X @ w) * y)) / m"),
    "softmax sums to one": (lambda: (np.sum(x * ad.softmax(np.outer(x, b), axis=0).sum(0)), b), "zeros(n0)"),
    "expm1": (lambda: (np.sum(np.expm1(x) ** 2), x), "2 * expm1(x) * exp(x)"),
    "hinge of degree 1": (lambda: (np.mean(np.maximum(0, 1 - y * (X @ w))), w), "-X.T @ (y * heaviside(1 - (X @ w) * y, 0.5)) / m"),
    "leaky": (lambda: (np.sum(np.maximum(0.1 * x, x)), x), "0.1 + 0.9 * heaviside(x, 0.5)"),
    "equal to its transpose": (lambda: (np.sum(np.cos(A * A.T)), A), "-2 * A.T * sin(A * A.T)"),
    "layer normalisation, nothing named": (
        lambda: (np.sum(b * ((x - np.mean(x)) / np.sqrt(np.mean((x - np.mean(x)) ** 2) + 1e-5))), x),
        "((1e-05 + sum((x - sum(x) / m)**2) / m) * b - sum(b) * (1e-05 + sum((x - sum(x) / m)**2) / m) / m"
        " - b.T @ (x - sum(x) / m) / m * (x - sum(x) / m)) / (1e-05 + sum((x - sum(x) / m)**2) / m)**1.5",
    ),
    "softsign": (lambda: (np.sum(x / (1 + np.abs(x))), x), "1 / (1 + abs(x))**2"),
    "x |x|": (lambda: (np.sum(x * np.abs(x)), x), "2 * abs(x)"),
    "numbers": (lambda: (2 * 0.5772156649 * np.sum(x**2) + np.pi * np.sum(x * b), x), "2.3088626596 * x + 3.141592653589793 * b"),
    "log cosh": (lambda: (np.sum(np.log(np.cosh(x))), x), "tanh(x)"),
    "log cosh, exponentials": (lambda: (np.sum(np.log((np.exp(x) + np.exp(-x)) / 2)), x), "tanh(x)"),
    "log cosh, softplus": (lambda: (np.sum(b * (ad.softplus(2 * x) - x)), x), "b * tanh(x)"),
    "shared weights": (
        lambda: (lambda h: (np.sum((A.T @ h - x) ** 2), A))(np.tanh(A @ x).named("h")),
        "2 * ((A @ (A.T @ h - x)) * (1 - h**2)) @ x.T + 2 * h @ (A.T @ h - x).T",
    ),
    "equal axes": (lambda: (np.sum(np.sin(A * x + A * x[:, None])), A), "cos(diag(x) @ A + A * x) * (x[:, None] + x)"),
    "constant along an axis": (lambda: (np.sum(B @ T("v", 5)), B), "ones(n1) @ v.T"),
}


@pytest.mark.parametrize("name", ZOO)
def test_zoo(name: str) -> None:
    make, text = ZOO[name]
    made = make()
    E, v = made if isinstance(made, tuple) else (made, mu)
    d = ad.derive(E, v)
    assert d.text.partition(" = ")[2] == text
    assert np.allclose(d(), ad.gradient(E, v))


def test_exponentials_are_written_as_one() -> None:
    P, Q = ad.Tensor(40 * RNG.normal(size=(3, 2)), "P"), ad.Tensor(40 * RNG.normal(size=(4, 2)), "Q")
    K = (P @ Q.T).named("K")
    d = ad.derive(np.sum(np.exp(2 * K - np.sum(P**2, 1)[:, None] - np.sum(Q**2, 1))), K)  # whose parts overflow
    assert d.text == "dE/dK = 2 * exp(2 * K - (P**2).sum(1, keepdims=True) - (Q**2).sum(1))"
    assert np.isfinite(d()).all()


def test_numbers_are_floats() -> None:
    a = ad.Value(2.0, "a")
    assert isinstance(ad.derive(3 * a, a)(), float) and isinstance(ad.derive(3 * a, wrt=(a, a))(), float)


def test_max_subtracted_softmax() -> None:
    z = T("z", 4)
    top = np.max(z).named("top")
    e = np.exp(z - top)
    t = shares(4)
    E = -np.sum(t * np.log((e / np.sum(e)).named("p")))
    assert ad.derive(E, z).text == "dE/dz = p - t    using sum(t) == 1"


def test_values() -> None:
    w, x, y = ad.Value(2.0, "w"), ad.Value(3.0, "x"), ad.Value(1.0, "y")
    L = ((w * x - y) ** 2).named("L")
    assert ad.derive(L, w).text == "dL/dw = 2 * (w*x - y) * x"
    assert ad.derive((w * x).tanh(), w).text == "dE/dw = x * (1 - tanh(w * x)**2)"
    assert ad.derive(w**3, wrt=(w, w)).text == "d²E/dw² = 6 * w"
    assert ad.derive(ad.dot([w, x], [x, y]), x).text == "dE/dx = w + y"


def test_second_derivatives() -> None:
    E = np.sum((X @ w - y) ** 2)
    assert ad.derive(E, wrt=(w, w)).text == "d²E/dw² = 2 * X.T @ X"
    assert ad.derive(x @ A @ x, wrt=(x, x)).text == "d²E/dx² = A + A.T"
    assert ad.derive(ad.logsumexp(x), wrt=(x, x)).text == "d²E/dx² = diag(softmax(x)) - softmax(x) @ softmax(x).T"
    p = ad.sigmoid(X @ w).named("p")
    assert ad.derive(binary_cross_entropy(p), wrt=(w, w)).text == "d²E/dw² = X.T @ diag(p * (1 - p)) @ X"
    assert ad.derive(np.sum(x), wrt=(x, x)).text == "d²E/dx² = zeros((n0, n0))"


def test_jacobians() -> None:
    q = ad.softmax(x).named("q")
    assert ad.derive(q, wrt=x).text == "dq/dx = diag(q) - q @ q.T"
    h = np.tanh(A @ x).named("h")
    assert ad.derive(h, wrt=x).text == "dh/dx = diag(1 - h**2) @ A"
    assert ad.derive((A @ x).named("u"), wrt=A).text == 'du/dA = einsum("ab,c->abc", eye(n1), x)'


def test_assumptions_on_request() -> None:
    assert ad.derive(x @ A @ x, x, assume=["A == A.T"]).text == "dE/dx = 2 * A @ x    using A == A.T"
    Q = ad.Tensor(np.linalg.qr(RNG.normal(size=(4, 4)))[0], "Q")
    assert ad.derive(np.sum((Q @ x) ** 2), x, assume=["Q.T @ Q == I"]).text == "dE/dx = 2 * x    using Q.T @ Q == I"
    d = ad.derive(np.sum(np.sqrt(lam**2 * x**2)), x, assume=["lam > 0"])
    assert d.text == "dE/dx = lam * x / sqrt(x**2)    using lam > 0"
    u, v = T("u", 4), T("v", 4)
    d = ad.derive(-np.sum(u * ad.log_softmax(v)), v, assume=["sum(u) == 1"])
    assert formulas(d) == ["dE/dv = softmax(v) - u"] and "the recorded u does not satisfy sum(u) == 1" in str(d)
    with pytest.raises(ValueError, match="is no assumption"):
        ad.derive(x @ A @ x, x, assume=["A is nice"])


def test_functions() -> None:
    def loss(X: Any, w: Any, y: Any) -> Any:
        return np.sum((X @ w - y) ** 2)

    assert ad.derive(loss)((6, 3), (3,), (6,), wrt=1).text == "dE/dw = 2 * X.T @ (X @ w - y)"
    assert ad.derive(loss)((6, 3), (3,), (6,), wrt=(1, 1)).text == "d²E/dw² = 2 * X.T @ X"
    assert ad.derive(loss)(np.ones((6, 3)), np.ones(3), np.ones(6), wrt=1).text == "dE/dw = 2 * X.T @ (X @ w - y)"


def test_names_of_variables_and_of_axes() -> None:
    data, weights, target = RNG.normal(size=(6, 3)), ad.Tensor(RNG.normal(size=3)), RNG.normal(size=6)
    E = np.mean((data @ weights - target) ** 2)
    assert ad.derive(E, weights).text == "dE/dweights = 2 * data.T @ (data @ weights - target) / m"
    d = ad.derive(E, weights, dims={"weights": ("k",)})
    assert d.text.endswith("/ m")
    with pytest.raises(ValueError, match="no such variable"):
        ad.derive(E, weights, dims={"weight": ("k",)})
    A = T("A", 3, 5)
    assert ad.derive(np.sum(A @ np.ones(5)), A, dims={"A": ("rows", "columns")}).text == "dE/dA = ones(rows) @ ones(columns).T"


@pytest.mark.parametrize(("layout", "text"), [(None, "A"), ("numerator", "A"), ("mixed", "A"), ("denominator", "A.T")])
def test_layouts_of_a_jacobian(layout: str | None, text: str) -> None:
    A, x = C("A", 3, 4), T("x", 4)
    d = ad.derive((A @ x).named("v"), wrt=x, layout=layout)
    assert d.text == f"dv/dx = {text}" and np.array_equal(d(), A.data)


def test_examples_in_rows() -> None:
    X, t, W1, b1, W2, b2 = C("X", 7, 4), C("t", 7, 2), T("W1", 4, 5), T("b1", 5), T("W2", 5, 2), T("b2", 2)
    H = np.tanh(X @ W1 + b1).named("H")
    P = (H @ W2 + b2).named("P")
    d = ad.derive(np.mean(np.sum((P - t) ** 2, axis=1)))
    delta = "(((P - t) @ W2.T) * (1 - H**2))"
    assert formulas(d)[2:] == [
        "dE/db2 = 2 * (P - t).sum(0) / m",
        "dE/dW2 = 2 * H.T @ (P - t) / m",
        f"dE/db1 = 2 * {delta}.sum(0) / m",
        f"dE/dW1 = 2 * X.T @ {delta} / m",
    ]


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (lambda x: np.sum(np.abs(x) + np.sqrt(x**2)), "2 * ones(n0)"),
        (lambda x: np.sum(ad.relu(x)), "ones(n0)"),
        (lambda x: np.sum(x * np.abs(3 * x)), "6 * x"),
    ],
)
def test_signs_of_what_is_positive(loss: Callable[[Any], Any], text: str) -> None:
    x = P("x", 4)
    assert ad.derive(loss(x), x, assume=["x > 0"]).text == f"dE/dx = {text}    using x > 0"


def test_axes_of_plain_arrays_get_names() -> None:
    X, w = RNG.normal(size=(7, 3)), T("w", 3)
    d = ad.derive(np.mean((X @ w) ** 2) + np.sum(w), w, dims={"X": ("n", "p")})
    assert d.text == "dE/dw = 1 + 2 * X.T @ X @ w / n"


def test_a_name_is_no_variable() -> None:
    with pytest.raises(ad.NotConnected, match="write the node, wrt=w"):
        ad.derive(np.sum(T("w", 3) ** 2), wrt="w")


def test_symmetric_matrices_are_not_transposed() -> None:
    S, x, mu = ad.Tensor(np.eye(3) + 0.5, "S"), C("x", 3), T("mu", 3)
    E = 0.5 * ad.logdet(S) + 0.5 * (x - mu) @ np.linalg.inv(S) @ (x - mu)
    text = "0.5 * inv(S) - 0.5 * inv(S) @ (x - mu) @ (x - mu).T @ inv(S)"
    assert ad.derive(E, S, assume=["S == S.T"]).text == f"dE/dS = {text}    using S == S.T"


def test_a_tie_counts_half() -> None:
    v = ad.Tensor(np.array([1.0, 0.0, -1.0]), "v")
    E = np.sum(np.maximum(v, 0) * 3)
    d = ad.derive(E, v)
    assert d.text == "dE/dv = 3 * heaviside(v, 0.5)" and d.latex.endswith(r"3 \, \mathrm{H}_{1/2}\left(\mathbf{v}\right)")
    assert d().tolist() == ad.gradient(E, v).tolist() == [3, 1.5, 0]


# ---------------------------------------------------------------- the text has the variable's shape


def normalised_rows(X: Any, c: Any) -> Any:
    r = np.sqrt(np.sum(X**2, axis=1, keepdims=True)).named("r")
    return np.sum(c * (X / r).named("N"))


def layer_norm_of_rows(X: Any, c: Any) -> Any:
    d = (X - np.mean(X, axis=1, keepdims=True)).named("d")
    s2 = np.mean(d**2, axis=1, keepdims=True).named("s2")
    return np.sum(c * (d / np.sqrt(s2 + 1e-5).named("s")).named("u"))


def logistic_regression(X: Any, t: Any, w: Any, b: Any) -> Any:
    p = ad.sigmoid(X @ w + b).named("p")
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))


def one_layer(X: Any, W: Any, b: Any) -> Any:
    return np.sum(np.tanh((X @ W + b).named("Z")).named("Y") ** 2)


SHAPES: dict[str, tuple[Callable[..., Any], dict[str, tuple[int, ...]], list[str]]] = {
    "rows over their norms": (
        normalised_rows,
        {"X": (4, 3), "c": (4, 3)},
        [
            "dE/dN = c",
            "dE/dr = -(c * N).sum(1, keepdims=True) / r",
            "dE/dc = N",
            "dE/dX = (c - (c * N).sum(1, keepdims=True) * N) / r",
        ],
    ),
    "layer norm of rows": (
        layer_norm_of_rows,
        {"X": (4, 3), "c": (4, 3)},
        [
            "dE/du = c",
            "dE/ds = -(c * u).sum(1, keepdims=True) / s",
            "dE/ds2 = -0.5 * (c * u).sum(1, keepdims=True) / s**2",
            "dE/dd = (c - (c * u).sum(1, keepdims=True) * u / m) / s",
            "dE/dc = u",
            "dE/dX = (c - (c * u).sum(1, keepdims=True) * u / m - c.sum(1, keepdims=True) / m) / s",
        ],
    ),
    "an output of one column": (
        logistic_regression,
        {"X": (6, 3), "t": (6, 1), "w": (3, 1), "b": (1,)},
        ["dE/db = (p.sum(0) - t.sum(0)) / m", "dE/dw = X.T @ (p - t) / m"],
    ),
    "one example": (lambda X, W, y: np.sum((X @ W - y) ** 2), {"X": (1, 3), "W": (3, 1), "y": (1, 1)}, ["dE/dW = 2 * (X @ W - y) * X.T"]),
    "one example, a vector": (
        lambda X, w, y: np.sum((X @ w - y) ** 2),
        {"X": (1, 3), "w": (3,), "y": (1,)},
        ["dE/dw = 2 * (X @ w - y) * X[0]"],
    ),
    "one example, a layer": (
        one_layer,
        {"X": (1, 3), "W": (3, 2), "b": (2,)},
        [
            "dE/dY = 2 * Y",
            "dE/dZ = 2 * Y - 2 * Y**3",
            "dE/db = (2 * Y - 2 * Y**3)[0]",
            "dE/dW = 2 * X.T @ (Y * (1 - Y**2))",
            "dE/dX = 2 * (Y * (1 - Y**2)) @ W.T",
        ],
    ),
    "a number in an array": (lambda a, b: np.sum(a @ b + a), {"a": (1, 1), "b": (1, 1)}, ["dE/db = a", "dE/da = 1 + b"]),
    "a constant derivative": (lambda a: np.sum(3 * a), {"a": (1, 1)}, ["dE/da = 3 * ones((1, 1))"]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_text_has_the_variables_shape(name: str) -> None:
    f, shapes, expected = SHAPES[name]
    given = {key: T(key, *shape) for key, shape in shapes.items()}
    E = f(**given).named("E")
    d = ad.derive(E)
    assert [x for x in formulas(d) if x in expected] == expected
    values = {n.name: n.data for n in order(E) if n.name} | d._graph.sizes | {"∂" + s.name: ad.gradient(E, s.node) for s in d.steps}
    for s in d.steps:
        for text in s.chain("text"):
            assert reads_as(text, "E", values, ad.gradient(E, s.node)), text


def test_hessians_of_columns_are_matrices() -> None:
    X, w, y = T("X", 6, 3), T("w", 3, 1), T("y", 6, 1)
    d = ad.derive(np.mean((X @ w - y) ** 2), wrt=(w, w))
    assert d.text == "d²E/dw² = 2 * X.T @ X / m" and d().shape == (3, 1, 3, 1)


def test_twice_the_number_of_examples_is_a_literal_too() -> None:
    X, w, y = C("X", 7, 3), T("w", 3), C("y", 7)
    assert "14 is a literal of the recording; where it stands for 2 * m" in str(ad.derive(np.sum((X @ w - y) ** 2) / (2 * 7)))
