"""Formulas keep the digits that the engine keeps, also at data far from where they were recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad

RNG = np.random.default_rng(0)
X, COVARIANCE = RNG.normal(size=(6, 3)), lambda X: ad.logdet((X - np.mean(X, axis=0)).T @ (X - np.mean(X, axis=0)))

# What is recorded where, and the data at which its formula is computed.
FAR: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]] = {
    "a covariance far from 0": (COVARIANCE, (X,), (X + 1e6,)),
    "a covariance recorded far from 0": (COVARIANCE, (X + 1e5,), (X + 1e6,)),
    "an exponential beside 1": (lambda x: np.sum(x * np.exp(-(x**2)) + x), (np.ones(3),), (np.array([-30.0, 1.0, 40.0]),)),
    "two exponentials": (
        lambda x, y: np.sum(x * np.exp(-(x**2)) + y * np.exp(-(y**2))) ** 2,
        (np.ones(2), np.ones(2)),
        (np.array([30.0, 0.1]), np.array([0.1, 40.0])),
    ),
    "logaddexp": (
        lambda x, y: np.sum(np.logaddexp(x, y) ** 2),
        (np.ones(2), np.zeros(2)),
        (np.array([800.0, 1.0]), np.array([700.0, 900.0])),
    ),
    "clip between arrays that cross": (
        lambda x, a, b: np.sum(np.clip(x, a, b) ** 2),
        (np.array([0.3, -0.4, 2.0]), -np.ones(3), np.ones(3)),
        (np.array([0.1, 0.2, 0.3]), np.array([1.0, -1.0, 0.0]), np.array([-1.0, 0.1, 1.0])),
    ),
}


@pytest.mark.parametrize("name", FAR)
def test_far_from_the_recorded_data(name: str) -> None:
    f, recorded, data = FAR[name]
    d = ad.derive(f, wrt=0)(*recorded)
    with np.errstate(over="ignore"):  # 1 / (1 + exp(-x)) is right where exp(-x) is infinite
        found = d(**dict(zip(f.__code__.co_varnames, data, strict=True)))
    assert np.allclose(found, ad.grad(f)(*data), rtol=1e-7)


def test_deep_networks_are_products_of_matrices() -> None:
    def loss(x: Any, *Ws: Any) -> Any:
        for W in Ws:
            x = np.tanh(W @ x)
        return np.sum(x**2)

    d = ad.derive(loss, wrt=1)((4, 6), *[(4, 4)] * 8)
    assert "einsum" not in str(d)


def test_a_loss_written_by_hand_is_read_as_a_sigmoid() -> None:
    X, y, w = np.ones((6, 3)), np.zeros(6), ad.Tensor(np.zeros(3))
    z = lambda: X @ w
    assert ad.derive(np.mean(np.log(1 + np.exp(z())) - y * z()), wrt=w).results[0].text == "X.T @ (sigmoid(z1) - y) / m"
    # y is all zeros: its gradient has a name all the same
    assert ad.derive(np.mean(np.log(1 + np.exp(z()))), wrt=(w, w)).results[0].text == "X.T @ diag(sigmoid(z1) * (1 - sigmoid(z1))) @ X / m"


@pytest.mark.parametrize(
    "f, text",
    [
        (lambda x: np.sum(np.exp(-((x / 2**0.5) ** 2))), "-x * exp(-0.5 * x**2)"),
        (lambda x: np.sum(np.sin(x / np.sqrt(3.0))), "cos(x / sqrt(3)) / sqrt(3)"),
        (lambda x: np.sum(np.exp(-0.7071067811865476 * x)), "-exp(-x / sqrt(2)) / sqrt(2)"),
        (lambda x: np.sum(np.sqrt(2.0) * x * np.sqrt(2.0) * x), "4 * x"),
    ],
)
def test_roots_of_fractions_are_written_as_such(f: Callable[..., Any], text: str) -> None:
    assert ad.derive(f)((4,)).text == f"dE/dx = {text}"
