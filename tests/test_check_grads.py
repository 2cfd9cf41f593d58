"""check_grads: silent when all is right; says order and mode when a rule is wrong; never says nothing when it saw nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.slopes import slopes
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


def test_the_report_says_what_was_compared() -> None:
    report = ad.check_grads(op(right, right_forward), X, order=3)
    # 1 + 2 + 4 functions, each: duality, two modes against differences, two against the complex step
    assert report.comparisons == 7 * 5
    assert repr(report) == (
        "derivatives agree to order 3: forward and reverse mode with differences and the complex step in 35 comparisons"
    )
    lines = str(report).splitlines()
    assert len(lines) == 1 + 7
    assert "order 3 of reverse mode of forward mode: forward " in str(report)
    assert "complex step" in lines[1]
    assert "complex step" not in str(ad.check_grads(np.abs, X))


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
    with pytest.raises(ValueError, match="modes"):
        ad.check_grads(np.sin, X, modes=["forward"])
    with pytest.raises(ValueError, match="modes are a list of 'fwd' and 'rev', not 'rev'"):
        ad.check_grads(np.sin, X, modes="rev")
    with pytest.raises(ValueError, match="modes"):
        ad.check_grads(np.sin, X, modes=[])
    with pytest.raises(ad.BadOperand, match="a function and its arguments, not Tensor; a recorded graph has"):
        ad.check_grads(ad.Tensor(X))
    with pytest.raises(ad.BadOperand, match=r"nothing to check; p\['n'\] holds integers: write 3.0 for 3"):
        ad.check_grads(lambda p: p["n"] ** 2, {"n": 3})
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
    found = slopes(lambda h: f(at + h), noise=4e-16 * abs(f(at)))
    assert abs(found.value - want) <= found.bar < 1e-9
    assert found.bend == 0
    assert not found.jumps


@pytest.mark.parametrize("seed", range(20))
def test_smooth_functions_do_not_bend_and_kinks_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=3) * 3
    smooth = lambda h: float(a * np.sin(3 * h + b) + np.exp(c * h) + (h + b) ** 4)
    noise = 1e-15 * (abs(smooth(0.0)) + 30)
    found = slopes(smooth, noise)
    assert found.bend == 0
    want = 3 * a * np.cos(b) + c + 4 * b**3
    assert abs(found.value - want) <= found.bar
    bent = slopes(lambda h: smooth(h) + max(0.0, 0.1 * h), noise)
    assert abs(bent.bend - 0.1) < 1e-6
    assert abs(bent.left - want) < 1e-6
    assert slopes(lambda h: smooth(h) + (h >= 0), noise).jumps


# ---------------------------------------------------------------- what a failure says


def explanation(f: Any, *xs: Any, **kw: Any) -> str:
    with pytest.raises(ad.GradientMismatch) as caught:
        ad.check_grads(f, *xs, **kw)
    return str(caught.value)


def test_a_failure_names_argument_entry_numbers_and_node() -> None:
    bad = ad.elementwise("odd_mul", np.multiply, lambda z, x, y: y, lambda z, x, y: 1.01 * x)

    def model(p: Any, x: Any) -> Any:
        return np.sum(np.tanh(bad(p["a"], p["b"][0])) * x)

    text = explanation(model, {"a": X, "b": [X[::-1].copy()]}, X, order=1, modes=["rev"])
    assert "order 1, reverse mode: the derivative of model with respect to p['b'][0][" in text
    assert "differences give" in text
    assert "the complex step" in text
    assert "±" in text
    assert "They part at node" in text
    assert "odd_mul of shape (3,) and shape (3,) at test_check_grads.py:" in text


def test_the_entry_is_the_wrong_one() -> None:
    """A rule that forgets one entry: it is that entry that the message names, with its true derivative."""
    keep = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    f = ad.general("odd_double", lambda x: 2 * x, lambda i, g, z, x: 2 * g * keep, lambda ts, z, x: 2 * ts[0] * keep)
    text = explanation(lambda W: f(W), np.ones((2, 3)), order=1)
    assert "the derivative of f[1, 1] with respect to W[1, 1] is 0 ± 0e+00, but differences give 2 ±" in text
    assert "the derivative of f with respect to W[1, 1]" in explanation(lambda W: f(W).sum(), np.ones((2, 3)), order=1)


def test_two_functions_whose_modes_part() -> None:
    f = op(lambda i, g, z, x: g * np.cos(x) * np.array([1.0, 1.0, 3.0]), right_forward)
    text = explanation(f, X, order=1)
    assert "forward and reverse mode disagree about the derivative of odd_sin[2] with respect to x[2]" in text


def test_a_value_cut_out_of_the_graph_is_told_from_a_wrong_rule() -> None:
    text = explanation(lambda x: np.sum(x * ad.stop_gradient(x)), X, order=1)
    assert "something the graph does not see" in text


def test_names_of_nodes_are_used() -> None:
    w = ad.Tensor(X, name="weights")
    assert "with respect to weights[" in explanation(op(lambda i, g, z, x: -g, right_forward), w, order=1, modes=["rev"])


def test_a_wrong_second_derivative_is_told_in_entries_of_the_gradient() -> None:
    half = ad.elementwise("odd_sq", np.square, lambda z, x: 2 * ad.stop_gradient(x))
    text = explanation(lambda x: np.sum(half(x)), X, order=2)
    assert "order 2" in text
    assert "df/dx[" in text or "tangent" in text


KINKS = {
    "relu": (ad.relu, 0.0, "left slope 0, right slope 1; the engine uses 0"),
    "abs": (abs, 0.0, "left slope -1, right slope 1; the engine uses 0"),
    "maximum": (lambda x: ad.maximum(x, 2 * x), 0.0, "left slope 1, right slope 2; the engine uses 1.5"),
    "one of many": (lambda x: np.sum(ad.relu(x)), np.array([1.0, 0.0, -1.0]), "with respect to x[1]: not differentiable here"),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_recognised_and_said(name: str) -> None:
    f, at, words = KINKS[name]
    with pytest.raises(ad.NotDifferentiable) as caught:
        ad.check_grads(f, at, order=1)
    assert words in str(caught.value)
    assert "They part at node" in str(caught.value)


def test_a_kink_nearer_than_the_shortest_step_is_a_kink() -> None:
    with pytest.raises(ad.NotDifferentiable, match="not differentiable here, or closer than 1e-03: left slope -1, right slope 1"):
        ad.check_grads(lambda x: abs(x - 1e-17), 0.0, order=1)


# Right derivatives at points where differences of one length see nothing, or something else.
AWKWARD: dict[str, tuple[Any, Any]] = {
    "kink near by": (lambda x: abs(x - 1e-9), 0.0),
    "step near by": (lambda x: ad.relu(x) ** 2, np.array([1e-9, -1e-9])),
    "pole near by": (np.log, np.array([1e-10, 1e-3])),
    "root near by": (np.cbrt, 1e-6),
    "pole of tan": (np.tan, 1.5707),
    "fast": (lambda x: np.sin(1e9 * x), 0.3),
    "saturated": (ad.sigmoid, np.array([40.0, -40.0])),
    "small": (lambda x: np.sum(x**2), np.array([1.0, -2.0]) * 1e-150),
    "flat, third power": (lambda x: np.sum(x**3), np.zeros(3)),
    "flat, fourth power": (lambda x: np.sum(x**4), np.zeros(3)),
    "flat product": (np.prod, np.zeros(3)),
    "flat determinant": (np.linalg.det, np.zeros((3, 3))),
    "singular determinant": (np.linalg.det, np.array([[1.0, 2.0], [2.0, 4.0]])),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_right_derivatives_at_awkward_points_pass(name: str) -> None:
    f, at = AWKWARD[name]
    ad.check_grads(f, at)
    x = ad.Tensor(at)
    assert np.sum(f(x)).certificate().ok


@pytest.mark.parametrize("name", AWKWARD)
def test_wrong_derivatives_at_awkward_points_do_not(name: str) -> None:
    f, at = AWKWARD[name]

    def wrong(x: Any) -> Any:
        nothing = x - ad.stop_gradient(x)  # but its derivative is 1
        return f(x + nothing * 0.1) + np.sum(nothing)

    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(wrong, at)


def test_an_error_bar_as_large_as_the_derivative_confirms_nothing() -> None:
    """The computed bound of the inverse's rounding is 20 % of it here; differences are far better."""
    hilbert = 1 / (1 + np.arange(5.0)[:, None] + np.arange(5.0))
    ad.check_grads(np.linalg.inv, hilbert, order=1)
    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(lambda a: np.linalg.inv(a + (a - ad.stop_gradient(a)) * 0.1), hilbert, order=1)


def test_repeated_eigenvalues_can_be_checked_to_first_order() -> None:
    for f in (lambda a: np.sum(np.linalg.eigvalsh(a) ** 2), lambda a: np.linalg.norm(a, "nuc")):
        ad.check_grads(f, np.eye(3), order=1)


@pytest.mark.parametrize("f", [lambda: 3.0, lambda x: None, lambda x: "text", lambda x: 3])
def test_where_nothing_moves_there_is_nothing_to_check(f: Any) -> None:
    with pytest.raises(ad.BadOperand, match="nothing to check"):
        ad.check_grads(f, *([X] if f.__code__.co_argcount else []))


def test_where_no_difference_can_be_taken_the_complex_step_must_vouch_for_itself() -> None:
    assert "complex" in repr(ad.check_grads(np.log, 1e-20, order=1))
    for f, at in ((np.log, 1e-300), (np.exp, 709.7)):
        with pytest.raises(ad.GradientMismatch, match="Choose a point inside"):
            ad.check_grads(f, at, order=1)
    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(lambda x: x**1.5, 0.0, order=1)


def test_what_drowns_in_a_large_number_is_not_confirmed_by_differences() -> None:
    wrong = ad.elementwise("odd_drowned", lambda x: np.sin(abs(x)), lambda z, x: -np.cos(x), analytic=False)
    with pytest.raises(ad.GradientMismatch, match="could be checked against"):
        ad.check_grads(lambda x: 1e20 + np.sum(wrong(x)), np.abs(X), order=1)


STEEP: dict[str, tuple[Any, Any, str]] = {
    "sqrt": (np.sqrt, 0.0, "the derivative of sqrt with respect to x: not differentiable here: the slope is infinite. They part at node 2"),
    "cbrt": (np.cbrt, 0.0, "the slope is infinite"),
    "one of many": (lambda x: np.sum(np.sqrt(x)), np.array([1.0, 0.0]), "with respect to x[1]: not differentiable here: the slope is"),
    "at the end of its domain": (np.arcsin, 1.0, "the slope is infinite"),
    "log 0": (np.log, np.array([1.0, 0.0]), "log[1] is -inf here, so it has no derivative. Choose a point inside the function's domain"),
    "log of a negative number": (np.log, -1.0, "log is nan here"),
    "overflow": (lambda p: {"y": np.exp(p["a"])}, {"a": 1e3}, "f['y'] is inf here"),
}


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_where_slope_or_value_is_infinite_that_is_said(name: str) -> None:
    f, at, words = STEEP[name]
    with pytest.raises(ad.NotDifferentiable) as caught:
        ad.check_grads(f, at)
    assert words in str(caught.value)
    with pytest.raises(ad.NotDifferentiable):
        ad.check_grads(f, at, modes=["rev"])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_infinite_derivative_of_a_smooth_function_is_no_infinite_slope() -> None:
    f = ad.elementwise("odd_steep", np.sin, lambda z, x: np.cos(x) / 0.0)
    with pytest.raises(ad.GradientMismatch) as caught:
        ad.check_grads(f, X, order=1)
    assert type(caught.value) is ad.GradientMismatch
    assert "infinite" not in str(caught.value)


def test_functions_that_do_not_give_the_same_again() -> None:
    rng, calls = np.random.default_rng(0), []

    def dropout(x: Any) -> Any:
        return x * (rng.random(3) > 0.5)

    def counting(x: Any) -> Any:
        calls.append(1)
        return x * len(calls)

    def growing(x: Any) -> Any:
        calls.append(1)
        return ad.concatenate([x] * len(calls))

    for f, words in (
        (dropout, r"two calls of dropout with the same arguments gave different values: dropout\[\d\] was .*np\.random\.default_rng\(0\)"),
        (counting, r"two calls of counting .* counting\[0\] was 0\.3, then "),
        (lambda x: np.sum(x) * rng.normal(), "two calls of f with the same arguments"),
    ):
        with pytest.raises(ad.GradientMismatch, match=words):
            ad.check_grads(f, X)
    ad.check_grads(lambda x: np.sum(x * np.random.default_rng(0).normal(size=3)), X)


def test_arguments_by_their_own_names() -> None:
    bad = ad.elementwise("odd_square", np.square, lambda z, x: 2.001 * x)
    assert "with respect to xs[1] is" in explanation(lambda x, *xs: x + xs[0] + bad(xs[1]), 1.0, 2.0, 3.0, order=1)
    assert "f['y'][1]['z'][0] with respect to p['W'][0] is" in explanation(
        lambda p, *, power=2: {"y": (p["b"], {"z": bad(p["W"])})}, {"W": np.ones(1), "b": 1.0}, order=1
    )
    assert "with respect to x[0] is" in explanation(lambda x: np.sum(bad(x)), X.astype(np.float32)[:1], order=1)


def test_a_function_may_close_over_nodes_and_run_inside_a_transform() -> None:
    c = ad.Tensor([1.0, 2.0, 3.0])
    ad.check_grads(lambda x: np.sum(np.sin(x) * c), X)
    assert ad.grad(lambda y: (ad.check_grads(np.sin, X), y * y)[1])(2.0) == 4.0


def test_a_jump_is_said() -> None:
    with pytest.raises(ad.NotDifferentiable, match="jumps here"):
        ad.check_grads(lambda x: ad.where(x > 0.5, x, x - 1.0), 0.5, order=1)


@pytest.mark.parametrize("f", [lambda x: np.sum(x * abs(x)), lambda x: np.sum(ad.maximum(x, 0.0) ** 2), lambda x: np.sum(np.sin(60 * x))])
def test_what_is_smooth_is_not_called_a_kink(f: Any) -> None:
    ad.check_grads(f, np.array([0.0, 1.0, -1e-3]), order=1)


def test_float32_is_judged_at_float32() -> None:
    x = X.astype(np.float32)
    ad.check_grads(lambda x: np.sum(np.sin(x) * x), x)
    ad.check_grads(lambda x: np.sum(np.exp(x) / (1 + x * x)), x, order=3)
    assert "wrong" not in repr(ad.check_grads(np.sin, np.float32(0.5)))
    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(op(lambda i, g, z, x: (1 + 1e-5) * g * np.cos(x), right_forward), x, order=1)
    # What double precision would call wrong is rounding in single precision.
    f = op(lambda i, g, z, x: (1 + 1e-8) * g * np.cos(x), lambda ts, z, x: (1 + 1e-8) * ts[0] * np.cos(x))
    ad.check_grads(f, x, order=1)
    with pytest.raises(ad.GradientMismatch):
        ad.check_grads(f, X, order=1)


def test_a_wrong_rule_by_parts_in_a_billion_is_caught_by_the_complex_step() -> None:
    f = op(lambda i, g, z, x: (1 + 1e-13) * g * np.cos(x), lambda ts, z, x: (1 + 1e-13) * ts[0] * np.cos(x))
    assert "the complex step" in explanation(f, X, order=1)


def test_an_op_that_takes_no_complex_numbers_is_checked_by_differences_whatever_it_says() -> None:
    silent = ad.elementwise("odd_abs", np.abs, lambda z, x: np.sign(x))  # abs is not analytic, and this op does not say so
    assert "complex" not in repr(ad.check_grads(silent, X, order=1))
    refuses = ad.elementwise("odd_cbrt", np.cbrt, lambda z, x: 1 / (3 * z * z))
    assert "complex" not in repr(ad.check_grads(refuses, X, order=1))
