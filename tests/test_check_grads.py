"""check_grads: silent when all is right; says order and mode when a rule is wrong; never says nothing when it saw nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.grads import differences
from tests.cases import declared

X = np.array([0.3, -0.7, 1.1])


@pytest.fixture(autouse=True)
def own_ops() -> Iterator[None]:
    with declared():
        yield


def op(vjp: Any, jvp: Any) -> Any:
    return ad.general("odd_sin", np.sin, vjp, jvp, sample=lambda rng: [])


def right(i: int, g: Any, z: Any, x: Any) -> Any:
    return g * np.cos(x)


def right_forward(ts: Any, z: Any, x: Any) -> Any:
    return ts[0] * np.cos(x)


def test_nothing_to_say_when_all_is_right() -> None:
    assert ad.check_grads(op(right, right_forward), X, order=3) is None


@pytest.mark.parametrize("factor", [-1.0, 2.0, 1.001, 1 + 1e-7, 0.0, np.nan])
def test_a_wrong_reverse_rule_is_named(factor: float) -> None:
    f = op(lambda i, g, z, x: factor * g * np.cos(x), right_forward)
    with pytest.raises(ad.GradientMismatch, match=r"order 1: forward and reverse mode disagree"):
        ad.check_grads(f, X)
    with pytest.raises(ad.GradientMismatch, match=r"order 1, reverse mode"):
        ad.check_grads(f, X, modes=["rev"])
    ad.check_grads(f, X, modes=["fwd"])


def test_a_wrong_forward_rule_is_named() -> None:
    f = op(right, lambda ts, z, x: 2 * ts[0] * np.cos(x))
    with pytest.raises(ad.GradientMismatch, match=r"order 1, forward mode"):
        ad.check_grads(f, X, modes=["fwd"])
    ad.check_grads(f, X, modes=["rev"])


def test_modes_that_are_wrong_alike_are_caught_by_differences() -> None:
    f = op(lambda i, g, z, x: g * z, lambda ts, z, x: ts[0] * z)
    with pytest.raises(ad.GradientMismatch, match=r"order 1, forward mode: .* differences"):
        ad.check_grads(f, X, order=1)


def test_a_rule_that_is_wrong_at_second_order_only() -> None:
    def cosine(x: Any) -> Any:
        return ad.elementwise("odd_cos", np.cos, lambda z, x: np.sin(x))(x)  # its sign is missing

    f = op(lambda i, g, z, x: g * cosine(x), lambda ts, z, x: ts[0] * cosine(x))
    ad.check_grads(f, X, order=1)
    with pytest.raises(ad.GradientMismatch, match="order 2"):
        ad.check_grads(f, X, order=2)


def test_one_wrong_operand_among_many_containers() -> None:
    bad = ad.elementwise("odd_mul", np.multiply, lambda z, x, y: y, lambda z, x, y: 1.01 * x)
    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(lambda p, n: bad(p["a"], p["b"][0]) ** n, {"a": X, "b": [2.0]}, 2)


def test_small_and_large_numbers() -> None:
    for scale in (1e-8, 1.0, 1e8):
        ad.check_grads(lambda x, s=scale: np.sum(np.sin(x)) * s, X)
    for at in (1e-3, 1e3):
        ad.check_grads(np.log, at)
        ad.check_grads(lambda x: x**3, at)


@pytest.mark.parametrize("at", [1e-5, 1e-12])
def test_a_check_that_could_see_nothing_does_not_pass(at: float) -> None:
    """The differences step out of the logarithm's domain: then it must not say that a wrong rule is right."""
    bad = ad.elementwise("odd_log", np.log, lambda z, x: 2 / x)
    with pytest.raises((ad.GradientMismatch, ValueError)):
        ad.check_grads(bad, at, order=1)


def test_a_kink_is_no_derivative() -> None:
    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(ad.relu, 0.0, order=1)


def test_nan_derivatives_do_not_pass() -> None:
    f = op(lambda i, g, z, x: g * np.nan, lambda ts, z, x: ts[0] * np.nan)
    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(f, X, order=1)


def test_a_jump_in_the_function_is_seen() -> None:
    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(lambda x: x * 1.0 + (1.0 if x > 0.5 else 0.0), 0.5, order=1)


def test_what_it_refuses() -> None:
    with pytest.raises(ad.BadOperand, match="float32"):
        ad.check_grads(np.sin, X.astype(np.float32))
    with pytest.raises(ValueError, match="modes"):
        ad.check_grads(np.sin, X, modes=["forward"])
    with pytest.raises(ValueError, match="modes"):
        ad.check_grads(np.sin, X, modes=[])
    with pytest.raises(ValueError, match="order"):
        ad.check_grads(np.sin, X, order=0)


def test_the_same_seed_says_the_same() -> None:
    f = op(lambda i, g, z, x: 2 * g * np.cos(x), right_forward)
    texts = []
    for seed in (0, 0, 1):
        with pytest.raises(ad.GradientMismatch) as caught:
            ad.check_grads(f, X, seed=seed)
        texts.append(str(caught.value))
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("f", "at", "want"), [(np.exp, 1.0, np.e), (np.sin, 2.0, np.cos(2.0)), (np.log, 3.0, 1 / 3), (lambda x: x**5, 0.5, 5 / 16)]
)
def test_differences_know_their_own_error(f: Any, at: float, want: float) -> None:
    value, bar = differences(lambda h: f(at + h), noise=4e-16 * abs(f(at)))
    assert abs(value - want) <= bar < 1e-9
