"""Fourteen recorded graphs with the gradients that a person derives for them, as NumPy text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad


class Derived(NamedTuple):
    """A recorded result, and right formulas by the name of what it is differentiated in."""

    E: Any
    formulas: dict[str, str]


def var(rng: Any, name: str, *shape: int) -> Any:
    return ad.Tensor(rng.normal(size=shape), name=name)


def given(x: Any, name: str) -> Any:
    return ad.constant(x, name=name)


def classification(rng: Any) -> Derived:
    W1, b1, W2, b2 = var(rng, "W1", 4, 3), var(rng, "b1", 4, 1), var(rng, "W2", 2, 4), var(rng, "b2", 2, 1)
    x, t = given(rng.normal(size=(3, 5)), "x"), given(np.eye(2)[:, rng.integers(0, 2, 5)], "t")
    z1 = (W1 @ x + b1).named("z1")
    y1 = ad.sigmoid(z1).named("y1")
    z2 = (W2 @ y1 + b2).named("z2")
    y2 = ad.softmax(z2, axis=0).named("y2")
    E = ad.mean(-ad.sum(t * ad.log(y2), axis=0)).named("E")
    delta = "(W2.T @ (y2 - t)) * y1 * (1 - y1)"
    return Derived(
        E,
        {
            "z2": "(y2 - t) / m",
            "W2": "(y2 - t) @ y1.T / m",
            "b2": "np.sum(y2 - t, axis=1, keepdims=True) / m",
            "y1": "W2.T @ (y2 - t) / m",
            "W1": f"({delta}) @ x.T / m",
            "b1": f"np.sum({delta}, axis=1, keepdims=True) / m",
        },
    )


def least_squares(rng: Any) -> Derived:
    X, y, w = given(rng.normal(size=(7, 3)), "X"), given(rng.normal(size=7), "y"), var(rng, "w", 3)
    r = (X @ w - y).named("r")
    E = ad.mean(r**2).named("E")
    return Derived(E, {"r": "2 * r / m", "w": "2 * X.T @ (X @ w - y) / m"})


def ridge(rng: Any) -> Derived:
    X, y, w = given(rng.normal(size=(7, 3)), "X"), given(rng.normal(size=7), "y"), var(rng, "w", 3)
    lam = given(np.array(0.3), "lam")
    E = (ad.sum((X @ w - y) ** 2) + lam * ad.sum(w**2)).named("E")
    return Derived(E, {"w": "2 * X.T @ (X @ w - y) + 2 * lam * w"})


def logistic(rng: Any) -> Derived:
    X, t, w = given(rng.normal(size=(6, 3)), "X"), given(rng.integers(0, 2, 6).astype(float), "t"), var(rng, "w", 3)
    z = (X @ w).named("z")
    p = ad.sigmoid(z).named("p")
    E = ad.mean(-(t * ad.log(p) + (1 - t) * ad.log(1 - p))).named("E")
    return Derived(E, {"p": "(p - t) / (p * (1 - p)) / m", "z": "(p - t) / m", "w": "X.T @ (p - t) / m"})


def tanh_regression(rng: Any) -> Derived:
    W1, W2 = var(rng, "W1", 4, 3), var(rng, "W2", 2, 4)
    x, t = given(rng.normal(size=(3, 5)), "x"), given(rng.normal(size=(2, 5)), "t")
    h = ad.tanh(W1 @ x).named("h")
    y = (W2 @ h).named("y")
    E = (0.5 * ad.sum((y - t) ** 2)).named("E")
    return Derived(E, {"y": "y - t", "W2": "(y - t) @ h.T", "h": "W2.T @ (y - t)", "W1": "((W2.T @ (y - t)) * (1 - h**2)) @ x.T"})


def relu_regression(rng: Any) -> Derived:
    W1, W2 = var(rng, "W1", 4, 3), var(rng, "W2", 2, 4)
    x, t = given(rng.normal(size=(3, 5)), "x"), given(rng.normal(size=(2, 5)), "t")
    a = (W1 @ x).named("a")
    h = ad.relu(a).named("h")
    E = ad.sum((W2 @ h - t) ** 2).named("E")
    return Derived(E, {"W2": "2 * (W2 @ h - t) @ h.T", "W1": "2 * ((W2.T @ (W2 @ h - t)) * (a > 0)) @ x.T"})


def attention(rng: Any) -> Derived:
    Q, K, V, T = var(rng, "Q", 3, 4), var(rng, "K", 5, 4), var(rng, "V", 5, 2), given(rng.normal(size=(3, 2)), "T")
    S = (Q @ K.T / 2).named("S")
    A = ad.softmax(S, axis=1).named("A")
    O = (A @ V).named("O")
    E = (0.5 * ad.sum((O - T) ** 2)).named("E")
    G = "((O - T) @ V.T)"
    dS = f"A * ({G} - np.sum({G} * A, axis=1, keepdims=True))"
    return Derived(E, {"O": "O - T", "V": "A.T @ (O - T)", "A": "(O - T) @ V.T", "S": dS, "Q": f"({dS}) @ K / 2", "K": f"({dS}).T @ Q / 2"})


def normalisation(rng: Any) -> Derived:
    x, w = var(rng, "x", 6), var(rng, "w", 6)
    c = (x - ad.mean(x)).named("c")
    s = ad.sqrt(ad.mean(c**2)).named("s")
    y = (c / s).named("y")
    E = ad.sum(w * y).named("E")
    return Derived(E, {"w": "y", "y": "w", "x": "(w - np.mean(w) - y * np.mean(w * y)) / s"})


def quadratic_form(rng: Any) -> Derived:
    A, x = var(rng, "A", 3, 3), var(rng, "x", 3)
    E = (x @ A @ x).named("E")
    return Derived(E, {"x": "(A + A.T) @ x", "A": "np.outer(x, x)"})


def energy(rng: Any) -> Derived:
    A, b, x = var(rng, "A", 3, 3), given(rng.normal(size=3), "b"), var(rng, "x", 3)
    E = (0.5 * (x @ A.T @ A @ x) - b @ x).named("E")
    return Derived(E, {"x": "A.T @ A @ x - b", "A": "A @ np.outer(x, x)"})


def gaussian(rng: Any) -> Derived:
    M = rng.normal(size=(3, 3))
    S, C = ad.Tensor(M @ M.T + 2 * np.eye(3), name="S"), given(rng.normal(size=(3, 3)), "C")
    E = (ad.logdet(S) + ad.trace(ad.inv(S) @ C)).named("E")
    return Derived(E, {"S": "np.linalg.inv(S).T - (np.linalg.inv(S) @ C @ np.linalg.inv(S)).T"})


def softmax_loss(rng: Any) -> Derived:
    z, t = var(rng, "z", 4), given(np.array([0.1, 0.2, 0.3, 0.4]), "t")
    E = (ad.logsumexp(z) - t @ z).named("E")
    return Derived(E, {"z": "np.exp(z) / np.sum(np.exp(z)) - t"})


def factorisation(rng: Any) -> Derived:
    U, V, M = var(rng, "U", 4, 2), var(rng, "V", 3, 2), given(rng.normal(size=(4, 3)), "M")
    R = (U @ V.T - M).named("R")
    E = ad.sum(R**2).named("E")
    return Derived(E, {"R": "2 * R", "U": "2 * (U @ V.T - M) @ V", "V": "2 * (U @ V.T - M).T @ U"})


def recurrent(rng: Any) -> Derived:
    W, x = var(rng, "W", 3, 3), given(rng.normal(size=(3, 2)), "x")
    h1 = ad.tanh(W @ x).named("h1")
    h2 = ad.tanh(W @ h1).named("h2")
    E = (0.5 * ad.sum(h2**2)).named("E")
    d2 = "(h2 * (1 - h2**2))"
    return Derived(E, {"h2": "h2", "h1": f"W.T @ {d2}", "W": f"{d2} @ h1.T + ((W.T @ {d2}) * (1 - h1**2)) @ x.T"})


GRAPHS: list[Callable[[Any], Derived]] = [
    classification,
    least_squares,
    ridge,
    logistic,
    tanh_regression,
    relu_regression,
    attention,
    normalisation,
    quadratic_form,
    energy,
    gaussian,
    softmax_loss,
    factorisation,
    recurrent,
]
