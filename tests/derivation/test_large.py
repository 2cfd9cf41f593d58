"""Formulas of softmax, log_softmax and logsumexp neither overflow nor lose digits at logits of a thousand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad

RNG = np.random.default_rng(3)
K = 1e3
t = np.array([0.1, 0.2, 0.3, 0.4])
T4 = np.eye(4)[[0, 2, 1, 3, 3]]
X = RNG.normal(size=(5, 3))


def V(name: str, *shape: int) -> Any:
    return ad.Tensor(K * RNG.normal(size=shape), name)


z, Z, W, b = V("z", 4), V("Z", 5, 4), V("W", 3, 4), V("b", 4)

LOSSES: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "logsumexp": (lambda: ad.logsumexp(z), z, "softmax(z)"),
    "logsumexp squared": (lambda: ad.logsumexp(z) ** 2, z, "2 * logsumexp(z) * softmax(z)"),
    "log_softmax": (lambda: -np.sum(t * ad.log_softmax(z)), z, "softmax(z) - t"),
    "log_softmax squared": (
        lambda: np.sum(ad.log_softmax(z) ** 2),
        z,
        "2 * ((n0 * logsumexp(z) - sum(z)) * softmax(z) + z - logsumexp(z))",
    ),
    "softmax": (lambda: np.sum(np.sin(ad.softmax(z))), z, "softmax(z) * (cos(softmax(z)) - softmax(z).T @ cos(softmax(z)))"),
    "expected value": (lambda: z @ ad.softmax(z), z, "softmax(z) * (1 + z - z.T @ softmax(z))"),
    "log of softmax": (lambda: -np.sum(t * np.log(ad.softmax(z))), z, "softmax(z) - t"),
    "rows": (lambda: -np.mean(np.sum(T4 * ad.log_softmax(Z, axis=1), axis=1)), Z, "(softmax(Z, axis=1) - T4) / m"),
    "columns": (lambda: np.sum(ad.logsumexp(Z, axis=0)), Z, "softmax(Z, axis=0)"),
    "both axes": (lambda: ad.logsumexp(Z), Z, "softmax(Z)"),
    "a layer": (lambda: -np.mean(np.sum(T4 * ad.log_softmax(X @ W + b, axis=1), axis=1)), W, "X.T @ (softmax(z1, axis=1) - T4) / m"),
    "a sum of logits": (lambda: np.sum(ad.logsumexp(Z + b, axis=1)), b, "softmax(Z + b, axis=1).sum(0)"),
    "what is the same along the axis": (lambda: np.sum(ad.logsumexp(Z + np.sum(z), axis=1) * X[:, 0]), Z, "diag(c1) @ softmax(Z, axis=1)"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", LOSSES)
def test_large_logits(name: str) -> None:
    make, v, text = LOSSES[name]
    E = make()
    d = ad.derive(E, v)
    assert d.results[0].text == text
    if np.isfinite(E.data):
        constants = {"np": np, "X": X, "T4": T4, "t": t, **dict(d._graph.data())}
        scope = constants | {n.name: n.data for n in (z, Z, W, b)}
        with np.errstate(all="raise", under="ignore"):
            exec(d.numpy, scope)
        found = scope[d.results[0].variable]
        assert np.allclose(found, ad.gradient(E, v), rtol=1e-12, atol=1e-12)


def test_second_derivatives_at_large_logits() -> None:
    d = ad.derive(ad.logsumexp(z) ** 2, wrt=(z, z))
    with np.errstate(all="raise", under="ignore"):
        assert np.allclose(d(), ad.hessian(lambda x: ad.logsumexp(x) ** 2)(z.data))
    assert ad.derive(ad.logsumexp(X @ W + b, axis=1), wrt=b).results[0].text == "softmax(X @ W + b, axis=1)"
    p = ad.softmax(z).named("p")
    assert ad.derive(p, wrt=z).text == "dp/dz = diag(p) - p @ p.T"


def test_large_data() -> None:
    A, y = ad.constant(1e8 * RNG.normal(size=(6, 3)), name="A"), ad.constant(1e8 * RNG.normal(size=6), name="y")
    w = ad.Tensor(RNG.normal(size=3), "w")
    E = np.mean((A @ w - y) ** 2)
    assert np.allclose(ad.derive(E, w)(), ad.gradient(E, w))


@pytest.mark.parametrize("spelling", [lambda x: np.log(np.cosh(x)), lambda x: np.log((np.exp(x) + np.exp(-x)) / 2)])
def test_log_cosh_far_from_zero(spelling: Callable[[Any], Any]) -> None:
    x = ad.Tensor(np.array([0.5, -0.3]), "x")
    assert np.array_equal(ad.derive(np.sum(spelling(x)), x)(x=np.array([400.0, -400.0])), [1, -1])
