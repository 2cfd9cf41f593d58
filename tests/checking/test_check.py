"""`ad.check` and `ad.check_code`: what they take, what they say, and what they refuse."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.checking.diagnose import distinct
from autodiff.checking.mistakes import Mistake, catalogue
from autodiff.checking.points import Recorded, kinds_of
from autodiff.checking.report import Report, Verdict
from autodiff.node import order
from autodiff.ops import TABLE
from tests.checking.graphs import GRAPHS, classification
from tests.checking.nets import net, student


@pytest.fixture(scope="module")
def run() -> Any:
    return net(5)


# ---------------------------------------------------------------- forms of claims


def test_numbers_functions_and_text_of_every_spelling_say_the_same(run: Any) -> None:
    g = student(run)
    claims = {
        "W2": g["W2"],
        "dE/dW1": lambda W2, y2, t, y1, x: ((W2.T @ (y2 - t)) * y1 * (1 - y1)) @ x.T / 5,
        "db2": lambda v: np.sum(v.y2 - v.t, axis=1, keepdims=True) / v.m,
        "delta2": "(y2 - t) / m",
        "y1 =": "sigmoid(z1)",
        "dE/dz1": r"(\mathbf{W}^{(2)\top} (\mathbf{y}^{(2)} - \mathbf{t})) \odot \mathbf{y}^{(1)} \odot (1 - \mathbf{y}^{(1)}) / m",
        "E =": float(run.E.data),
        "dy1": lambda W2, dE_dz2: W2.T @ dE_dz2,
    }
    report = ad.check(run.E, claims)
    assert report.ok, str(report)
    assert [v.target for v in report.verdicts] == ["y1", "E", "dE/dz2", "dE/dW2", "dE/db2", "dE/dy1", "dE/dz1", "dE/dW1"]


def test_a_derivation_is_read_line_by_line(run: Any) -> None:
    lines = """
    dE/dz2 = y2 - t
    dE/dW2 = dE/dz2 @ y1.T
    dE/dy1 = W2.T @ (y2 - t)
    = W2.T @ dE/dz2
    """
    report = ad.check(run.E, lines)
    assert [v.status for v in report.verdicts] == ["wrong", "right", "carried forward", "right"]
    assert report.first_wrong.mistake is Mistake.BATCH_FACTOR
    assert report.verdicts[3].notes == ("right, but it does not follow from line 3",)


def test_jacobians_whole_and_in_parts() -> None:
    one = net(1)
    y, J = one.y2.data[:, 0], None
    J = np.diag(y) - np.outer(y, y)
    report = ad.check(
        one.E,
        {
            "dy2/dz2": J,
            "dy1/dz1": "diag(y1 * (1 - y1))",
            "a": r"\frac{\partial y^{(2)}_i}{\partial z^{(2)}_j} = -y^{(2)}_i y^{(2)}_j \text{ when } i \neq j",
        },
    )
    assert report.ok, str(report)
    wrong = ad.check(one.E, {"dy2/dz2": np.diag(np.diag(J))}).first_wrong
    assert wrong.mistake is Mistake.DIAGONAL or wrong.mistake is Mistake.SOFTMAX_DIAGONAL


def test_layouts_are_accepted_and_reported() -> None:
    one = net(1, biases=False)
    report = ad.check(one.E, {"z2": "(y2 - t).T", "W2": "(y2 - t) @ y1.T", "y1": "(y2 - t).T @ W2"})
    assert report.ok
    assert {v.target: v.layout for v in report.verdicts} == {"dE/dz2": "numerator", "dE/dW2": "denominator", "dE/dy1": "numerator"}
    assert "mixed" in report.remarks[0]


@pytest.mark.parametrize("shape", [(4, 7, 3), (3, 3, 3)])
def test_transposed_numbers_are_right_in_the_other_layout_and_said_to_be(shape: tuple[int, int, int]) -> None:
    one = net(4, shape=shape)
    g = student(one)
    for claim in (g["W2"].T, lambda y2, t, y1: y1 @ (y2 - t).T / 4, np.round(g["W2"].T, 6)):
        v = ad.check(one.E, {"W2": claim}).verdicts[0]
        assert (v.status, v.layout) == ("right", "numerator"), str(v)
        assert v.notes[-1] == "the transpose of what is subtracted from W2 in a step of gradient descent"
    assert "W2" in ad.check(one.E, {"W2": g["W2"].T, "W1": g["W1"]}).remarks[0]
    off = g["W2"].T.copy()
    off[0, 0] += 1
    assert ad.check(one.E, {"W2": off}).first_wrong is not None


@pytest.mark.parametrize("P", [np.eye(3), np.eye(3)[[1, 0, 2]], np.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 1]]), np.full((2, 2), 0.5)])
def test_a_transpose_that_recorded_symmetry_hides_is_an_assumption(P: Any) -> None:
    x, Q = ad.Tensor(np.arange(1.0, len(P) + 1), name="x"), ad.constant(P, name="P")
    E = ad.sum((Q @ x) ** 2).named("E")
    assert ad.check(E, {"x": "2 * P.T @ P @ x"}).verdicts[0].assumptions == ()
    v = ad.check(E, {"x": "2 * P @ P @ x"}).verdicts[0]
    assert (v.status, v.assumptions) == ("right", ("symmetric P",))
    assert "P is symmetric, so its transpose looks like it" in ad.check(E, {"x": 2 * P @ P @ x.data}).remarks[0]


@pytest.mark.parametrize("t", [np.eye(3), np.full((3, 3), 1 / 3)])
def test_symmetric_targets_keep_what_other_lines_need_of_them(t: Any) -> None:
    z = ad.Tensor(np.arange(9.0).reshape(3, 3) / 5, name="z")
    y = ad.softmax(z, axis=0).named("y")
    E = (-ad.sum(ad.constant(t, name="t") * ad.log(y))).named("E")
    assert ad.check(E, {"z": "y - t"}).verdicts[0].assumptions == ("sum(t, axis=0) = 1",)


@pytest.mark.parametrize(
    ("formula", "needs"),
    [("(y2 - t) / m", ("sum(t, axis=0) = 1",)), ("(y2 * np.sum(t, axis=0) - t) / m", ()), ("(y2 - t * t) / m", ("one-hot t",))],
)
def test_the_assumption_that_a_line_needs_is_named(run: Any, formula: str, needs: tuple[str, ...]) -> None:
    assert ad.check(run.E, {"z2": formula}).verdicts[0].assumptions == needs


def test_symmetry_found_in_the_data_is_named_where_it_is_needed() -> None:
    A, x = ad.Tensor([[2.0, 1.0], [1.0, 3.0]], name="A"), ad.Tensor([1.0, -1.0], name="x")
    E = (x @ A @ x).named("E")
    assert ad.check(E, {"x": "2 * A @ x"}).verdicts[0].assumptions == ("symmetric A",)
    assert ad.check(E, {"x": "(A + A.T) @ x"}).verdicts[0].assumptions == ()


def test_numbers_are_judged_at_their_decimals(run: Any) -> None:
    g = student(run)
    v = ad.check(run.E, {"W2": np.round(g["W2"], 4)}).verdicts[0]
    assert (v.status, v.notes) == ("right", ("judged at the 4 decimals given",))
    off = np.round(g["W2"], 4)
    off[0, 0] += 1e-4
    assert ad.check(run.E, {"W2": off}).verdicts[0].status == "wrong"
    w = ad.Tensor([1e-3, 2e-3], name="w")
    v = ad.check(ad.sum(w * w).named("E"), {"w": np.array([0.0, 0.0]) + np.round(2 * w.data, 2)}).verdicts[0]
    assert v.status != "right"


def test_too_few_decimals_decide_nothing() -> None:
    w = ad.Tensor([0.02, 0.001, 3e-4], name="w")
    v = ad.check(ad.sum(w * w).named("E"), {"w": np.round(2 * w.data, 2)}).verdicts[0]  # 0.04, 0, 0
    assert v.status == "undecided"
    lucky = ad.Tensor([0.020001, 0.0], name="w")
    assert ad.check(ad.sum(lucky * lucky).named("E"), {"w": np.array([0.04, 0.0])}).verdicts[0].status == "undecided"
    assert v.sentence == "2 decimals are too few here: the largest entry is 0.04, so nearly any answer rounds to these; give 4"


def test_rounding_is_told_from_mistakes_in_ulps(run: Any) -> None:
    g = student(run)["W2"]
    assert str(ad.check(run.E, {"W2": run.E and ad.gradient(run.E, run.W2)}).verdicts[0].comparison) == "identical"
    nearly = g * (1 + 2e-16)
    assert ad.check(run.E, {"W2": nearly}).verdicts[0].comparison.verdict in ("identical", "rounding only")
    assert ad.check(run.E, {"W2": g * (1 + 1e-9)}).verdicts[0].comparison.verdict == "different"


def test_a_formula_whose_own_rounding_drowns_it_decides_nothing() -> None:
    x = ad.Tensor([1.0, 2.0], name="x")
    v = ad.check(ad.sum(x * x).named("E"), {"x": "2 * x + 1e20 - 1e20"}).verdicts[0]
    assert v.status in ("undecided", "wrong")


def test_float32_graphs_are_judged_in_their_own_ulps() -> None:
    x = ad.Tensor(np.array([1.1, 2.3, -0.7], np.float32), name="x")
    E = ad.sum(ad.tanh(x) ** 2).named("E")
    h = np.tanh(x.data)
    assert ad.check(E, {"x": 2 * h * (1 - h**2)}).ok
    assert ad.check(E, {"x": "2 * tanh(x) * (1 - tanh(x)**2)"}).ok
    assert not ad.check(E, {"x": 2 * h * (1 - h)}).ok


def test_values_one_number_at_a_time() -> None:
    a, b = ad.Value(0.7, name="a"), ad.Value(-1.3, name="b")
    L = ((a * b + a).tanh() * b).named("L")
    assert ad.check(L, {"a": "b * (1 + b) * (1 - tanh(a * b + a)**2)", "dL/db": float(ad.gradient(L, b))}).ok
    assert ad.check(L, {"a": "b * b * (1 - tanh(a * b + a)**2)"}).first_wrong.mistake is Mistake.FORGOTTEN_PATH


def test_nothing_recorded_is_changed(run: Any) -> None:
    before = [(n.grad, n.data.copy()) for n in (run.W1, run.W2, run.E)]
    ad.check(run.E, {"W2": "(t - y2) @ y1.T", "W1": lambda x: x.fill(0.0) or x})
    assert all(n.grad is g and np.array_equal(n.data, d) for n, (g, d) in zip((run.W1, run.W2, run.E), before, strict=True))


def test_the_order_of_lines_decides_what_is_first_and_dicts_go_by_the_chain(run: Any) -> None:
    g = student(run, d2=lambda v: v.y2 - v.t)
    assert ad.check(run.E, {"W1": g["W1"], "W2": g["W2"]}).first_wrong.label == "W2"
    assert ad.check(run.E, [("W1", g["W1"]), ("W2", g["W2"])]).first_wrong.label == "W1"


def test_a_point_that_hides_mistakes_is_said_to_be_one() -> None:
    one = net(1, shape=(3, 3, 3))
    remark = ad.check(one.E, {"W2": student(one)["W2"]}).remarks[0]
    assert "one example hides 1/m" in remark and "square" in remark and "Better: m >= 3" in remark
    assert ad.check(one.E, {"W2": "(y2 - t) @ y1.T"}).remarks == ()  # formulas are compared elsewhere too


def test_small_weights_hide_nothing_from_formulas() -> None:
    w, x = ad.Tensor(np.full(3, 1e-9), name="w"), ad.constant(np.array([1.0, 2.0, 3.0]), name="x")
    E = ad.sum(ad.tanh(w * x)).named("E")
    assert np.allclose(ad.gradient(E, w), x.data, rtol=1e-15)
    assert ad.check(E, {"w": "x"}).first_wrong.mistake is Mistake.DERIVATIVE_MISSING


def test_conditions_keep_formulas_at_the_recorded_point() -> None:
    z = ad.Tensor([1.0, -2.0, 3.0], name="z")
    E = ad.sum(ad.where(z > 0, z * z, 0.0)).named("E")
    report = ad.check(E, {"z": "2 * z * (z > 0)"})
    assert report.ok
    assert "conditions fixed" in report.remarks[0]


def test_at_a_kink_conventions_differ_and_nothing_is_decided() -> None:
    r = ad.Tensor([0.0, -1.0, 2.0], name="r")
    E = ad.sum(3 * ad.relu(r)).named("E")
    for claim in ([3.0, 0.0, 3.0], [1.5, 0.0, 3.0], "3 * (r >= 0)"):
        v = ad.check(E, {"r": claim}).verdicts[0]
        assert v.status == "undecided", str(v)
        assert v.sentence == "dE/dr[0] stands on a kink, with the slopes 0 and 3 beside it: conventions differ"
    assert ad.check(E, {"r": "3 * (r > 0)"}).ok
    for claim in ([4.0, 0.0, 3.0], [3.0, 1.0, 3.0], "3 * (r >= 0) * r"):
        assert ad.check(E, {"r": claim}).verdicts[0].status == "wrong"


@pytest.mark.parametrize("claim", ["dE/dW2", "1 * dE/dW2", "(dE/dW2.T).T"])
def test_a_gradient_given_by_itself_says_nothing(run: Any, claim: str) -> None:
    report = ad.check(run.E, {"W2": claim})
    assert not report.ok
    assert report.verdicts[0].sentence == "this gives dE/dW2 by itself, so it says nothing"
    circle = ad.check(run.E, ["dE/dz2 = 2 dE/dz2", "dE/dz2 = dE/dz2", "dE/db2 = dE/dz2 @ np.ones((5, 1))", "y2 = y2"])
    assert [v.status for v in circle.verdicts][1::2] == ["undecided"] * 2
    assert "dE/dz2" not in circle.verdicts[0].fix


def test_functions_that_use_data_from_outside_stay_at_the_recorded_point(run: Any) -> None:
    y1, right = run.y1.data, student(run)
    for f in (lambda y2, t: (y2 - t) @ y1.T / 5, lambda: right["W2"]):
        report = ad.check(run.E, {"W2": f})
        assert report.ok
        assert "from outside were compared at the recorded point only" in report.remarks[0]
    assert not ad.check(run.E, {"W2": lambda y2, t: (y2 - t) @ y1.T}).ok
    assert ad.check_code(run.E, lambda W1: {"dW2": right["W2"]}).ok


def test_numbers_of_other_kinds_are_what_numpy_makes_of_them_or_refused(run: Any) -> None:
    g = student(run)["b2"]
    for right in (g.astype(np.float32), g.tolist(), g.astype(object), g + 0j, np.ma.masked_array(g), g[:, 0], g.T):
        assert ad.check(run.E, {"b2": right}).ok
    hidden = np.ma.masked_array(g, mask=[[1], [0], [0]])
    for wrong in (g.astype(np.float32) * np.float32(1.001), g + 1j, hidden, None, np.array([["1"], ["2"], ["3"]]), lambda y2: None):
        v = ad.check(run.E, {"b2": wrong}).verdicts[0]
        assert v.status == "wrong" and v.sentence, str(v)


def test_data_of_zeros_have_no_property_that_formulas_may_need() -> None:
    X, w = ad.constant(np.zeros((3, 2)), name="X"), ad.Tensor([1.0, 2.0], name="w")
    E = ad.sum((X @ w) ** 2).named("E")
    assert not ad.check(E, {"w": "X.T @ (X @ w)"}).ok
    assert ad.check(E, {"w": "2 * X.T @ (X @ w)"}).ok
    assert not ad.check(ad.sum(w * 0.0 + w).named("E"), {"w": [1.0, 0.0]}).ok  # a factor of zero has no reciprocal


def test_long_formulas_are_judged_in_bounded_time() -> None:
    a, b = ad.Value(2.0, name="a"), ad.Value(1.0, name="b")
    began = time.process_time()
    assert not ad.check((a * b + a**2).named("V"), {"a": "b + " * 900 + "2a"}).ok
    assert time.process_time() - began < 6


# ---------------------------------------------------------------- functions that can be run again


@pytest.mark.parametrize(
    ("f", "xs", "words"),
    [
        (lambda w: ad.sum(w**2), (), "missing a required argument: 'w'"),
        (lambda w: ad.sum(w**2), (np.array([1, 2]),), "whole numbers and containers are taken as they are"),
        (lambda p: ad.sum(p["w"] ** 2), ({"w": np.ones(2)},), "whole numbers and containers are taken as they are"),
        (lambda w: (ad.sum(w), 1), (np.ones(2),), "the result is to be one array"),
    ],
)
def test_a_function_that_records_nothing_is_refused(f: Any, xs: Any, words: str) -> None:
    with pytest.raises(ad.BadOperand, match=words):
        ad.check(f, {"w": "2 w"}, *xs)


def test_a_function_is_recorded_on_its_arguments() -> None:
    rng = np.random.default_rng(0)
    X, w, y = rng.normal(size=(6, 3)), rng.normal(size=3), rng.normal(size=6)

    def loss(X: Any, w: Any, y: Any) -> Any:
        return np.mean((X @ w - y) ** 2)

    assert ad.check(loss, {"w": "2 * X.T @ (X @ w - y) / m"}, X, w, y).ok
    first = ad.check(loss, {"w": "2 * X.T @ (X @ w - y)"}, X, w, y).first_wrong
    assert first.mistake is Mistake.BATCH_FACTOR
    assert first.counterexample


def test_code_is_checked_by_every_array_that_it_returns(run: Any) -> None:
    def backward(x: Any, t: Any, W1: Any, W2: Any, b1: Any, b2: Any) -> dict[str, Any]:
        y1 = 1 / (1 + np.exp(-(W1 @ x + b1)))
        e = np.exp(W2 @ y1 + b2)
        y2 = e / e.sum(0)
        d2 = (y2 - t) / x.shape[1]
        d1 = (W2.T @ d2) * y1
        return {"y1": y1, "dW2": d2 @ y1.T, "dW1": d1 @ x.T, "b1": d1.sum(1, keepdims=True), "note": 3}

    report = ad.check_code(run.E, backward)
    assert [v.label for v in report.verdicts] == ["y1", "dW2", "dW1", "b1"]
    assert [v.status for v in report.verdicts] == ["right", "right", "wrong", "carried forward"]
    assert "(1 - y1) is missing" in report.first_wrong.sentence
    assert "note" in report.remarks[-1]
    failing = ad.check_code(run.E, lambda x: {"dW1": x @ x})
    assert failing.first_wrong.mistake is Mistake.UNREADABLE


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("claims", "error", "words"),
    [
        ({"W3": np.ones(3)}, ad.NotConnected, "no node of that name. Did you mean"),
        ({"delta9": "y2 - t"}, ad.NotConnected, "the graph of E has no node of that name"),
        ({"x": np.ones(3)}, ad.NotConnected, "recorded as a constant"),
        (3, ad.BadOperand, "claims are a dict"),
        ([3], ad.BadOperand, "line 1 of the derivation is 3"),
        ({"W2": lambda nonsense, more: 0}, ad.NotConnected, "the parameter nonsense"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_a_sentence(run: Any, claims: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words.replace("(", r"\(")):
        ad.check(run.E, claims)


def test_no_graph_no_check(run: Any) -> None:
    with pytest.raises(ad.BadOperand, match="nothing was recorded"):
        ad.check(3.0, {})
    with pytest.raises(ad.BadOperand, match="only a function takes arguments"):
        ad.check(run.E, {}, 3.0)
    with pytest.raises(ad.BadOperand, match="function that returns a dict"):
        ad.check_code(run.E, 3)
    fresh = net(5)
    fresh.W1.data = fresh.W1.data * 2
    with pytest.raises(ad.StaleGraph):
        ad.check(fresh.E, {"W2": "y2 - t"})


@pytest.mark.parametrize(
    ("claim", "mistake", "words"),
    [
        ("(y2 - t) @ q.T", Mistake.UNREADABLE, "q"),
        ("(y2 - t) @@ y1.T", Mistake.UNREADABLE, "column"),
        ("().__class__", Mistake.UNREADABLE, ""),
        (lambda y2: 1 / 0, Mistake.UNREADABLE, "ZeroDivisionError"),
        (np.full((3, 7), np.nan), Mistake.NOT_A_NUMBER, "21 of 21 entries are not finite"),
        ("(y2 - t) @ y1", Mistake.SHAPE, "inner sizes"),
        (np.ones((2, 2)), Mistake.SHAPE, "has shape (2, 2)"),
        ("text", Mistake.UNREADABLE, "text"),
        ({1: 2}, Mistake.UNREADABLE, "is no claim"),
    ],
)
def test_a_claim_that_cannot_be_computed_is_wrong_and_says_why(run: Any, claim: Any, mistake: Mistake, words: str) -> None:
    v = ad.check(run.E, {"W2": claim, "b2": student(run)["b2"]})["W2"]
    assert (v.status, v.mistake) == ("wrong", mistake)
    assert words in v.sentence


CHARACTERS = st.text(alphabet="yzWxt12()+-*/@^_{}.=\\ ,'T|∂m[]&%$#0ijk", max_size=40)


@given(text=CHARACTERS)
@example(text="m=")
@example(text="m=0")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_text_at_all_is_judged_and_never_an_accident(run: Any, text: str) -> None:
    v = ad.check(run.E, {"W2": text}).verdicts
    assert len(v) >= 1 and all(x.status in ("right", "wrong", "undecided", "carried forward") for x in v)


def test_many_examples_cost_no_more_than_their_number() -> None:
    run = net(4000, shape=(5, 8, 4))
    began = time.process_time()
    assert ad.check(run.E, {"W1": "((W2.T @ (y2 - t)) * y1 * (1 - y1)) @ x.T / m"}).ok
    assert "(1 - y1) is missing" in ad.check(run.E, {"W1": "((W2.T @ (y2 - t)) * y1) @ x.T / m"}).first_wrong.sentence
    assert time.process_time() - began < 10  # with the bound of softmax's rounding made one entry at a time it takes minutes


def test_a_long_chain_is_checked_without_recursion() -> None:
    x = v = ad.Value(0.5, name="v")
    for _ in range(2000):
        x = x + 1e-3
    E = (x * v).named("E")
    assert ad.check(E, {"v": ad.gradient(E, v)}).ok
    assert ad.check(E, {"v": -ad.gradient(E, v)}).first_wrong.mistake is Mistake.SIGN


def test_recording_may_be_switched_off_meanwhile(run: Any) -> None:
    with ad.no_record():
        assert ad.check(run.E, {"W2": "(y2 - t) @ y1.T / m"}).ok


# ---------------------------------------------------------------- the catalogue


@pytest.mark.parametrize("op", [op for op in TABLE.values() if op.mistakes], ids=lambda op: op.name)
def test_every_wrong_rule_of_the_table_is_wrong_and_has_a_known_code(op: Any) -> None:
    for m in op.mistakes:
        Mistake(m.code)
        m.text.format(z="z", x="x")
        differs = []
        for args, kw in op.sample(np.random.default_rng(0)):
            z = np.asarray(op.forward(*args, **kw))
            g = np.random.default_rng(1).normal(size=z.shape)
            right = op.vjp(m.operand, g, z, *args, **kw)
            wrong = g * m.rule(z, *args) if op.kind == "elementwise" else m.rule(g, z, *args, **kw)
            if op.kind != "elementwise":
                assert np.shape(wrong) == np.shape(right), m.text
            differs.append(np.shape(wrong) != np.shape(right) or not np.allclose(wrong, right))
        assert any(differs), m.text


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_sweep_with_no_rule_replaced_is_the_engine_s(graph: Any) -> None:
    d = graph(np.random.default_rng(0))
    recorded = Recorded(d.E, {})
    point = recorded.recorded()
    for k in recorded.names:
        if recorded.by_id[k].active and k != recorded.root_id:
            assert np.array_equal(point.gradient(k), ad.gradient(d.E, recorded.by_id[k]))


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_sweep_that_reuses_the_right_one_is_the_whole_sweep(graph: Any) -> None:
    recorded = Recorded(graph(np.random.default_rng(0)).E, {})
    used, fresh = recorded.recorded(), recorded.recorded()
    assert used.base.g
    for w in list(catalogue(recorded, used))[::7]:
        a, b = used.sweep([w]), fresh.sweep([w])
        assert a.g.keys() == b.g.keys()
        assert all(np.array_equal(a.g[k], b.g[k], equal_nan=True) for k in a.g)


def test_every_code_has_a_meaning() -> None:
    assert all(m.meaning and m.value == m.name.lower() for m in Mistake)


@pytest.mark.parametrize(
    ("x", "moves", "kinds"),
    [
        (np.eye(3)[:, [0, 1, 1]], False, ["one-hot {0}", "sum({0}, axis=0) = 1", ""]),
        (np.array([0.2, 0.8]), True, ["sum({0}) = 1", ""]),
        (np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]), False, ["{0} of zeros and ones", ""]),
        (np.array([[0.0, 1.0], [1.0, 1.0]]), False, ["{0} of zeros and ones", "symmetric {0}", ""]),
        (np.array([3.0, -1.0]), False, ["integer {0}", ""]),
        (np.array([3.0, -1.0]), True, [""]),
        (np.array([[2.0, 1.0], [1.0, 3.0]]), True, ["positive definite {0}", "symmetric {0}", ""]),
        (np.array([[0.0, 1.5], [1.5, 0.0]]), True, ["symmetric {0}", ""]),
        (np.array([0.5, 2.0]), True, ["{0} > 0", ""]),
        (np.zeros((2, 3)), True, [""]),
        (np.array([True, False]), False, ["{0} as recorded"]),
    ],
)
def test_properties_are_found_in_data_and_kept_when_it_is_drawn_anew(x: Any, moves: bool, kinds: list[str]) -> None:
    found = kinds_of(x, moves)
    assert [k.says for k in found] == kinds
    rng = np.random.default_rng(0)
    again = found[0].draw(rng, x)
    assert kinds_of(again, moves)[0].says == kinds[0]
    assert again.shape == x.shape
    small = found[0].small(rng, x.shape)
    assert small.shape == x.shape
    assert np.array_equal(np.round(2 * small), 2 * small) or "sum" in kinds[0]


# ---------------------------------------------------------------- the report


def test_the_report_scores_prints_and_travels(run: Any) -> None:
    report = ad.check(run.E, student(run, slope=lambda v: v.y1))
    assert (report.ok, report.first_wrong.label) == (False, "W1")
    assert report.score() == 3  # b1 follows from the wrong W1
    assert report.score({"W2": 2, "W1": 3, "b1": 0.5}) == 2.5
    assert report.score({"dE/dW2": 2, "W1": 3}) == 2  # by what they are about, whatever the labels are
    assert ad.check(run.E, {"dW2": student(run)["W2"]}).score({"W2": 2}) == 2
    with pytest.raises(KeyError, match="no claim is labelled 'W3'"):
        report.score({"W3": 1})
    assert "carried forward" in str(report) and str(report) == repr(report)
    data = json.loads(report.json)
    assert data["first_wrong"] == "W1"
    assert data["verdicts"][2]["mistake"] == "derivative_wrong"
    assert report["W1"] is report.first_wrong
    with pytest.raises(KeyError, match="W9"):
        report["W9"]
    with pytest.raises(ad.WrongClaim, match="the first wrong one is W1"):
        report.require()
    with pytest.raises(AssertionError):
        report.require()
    assert ad.check(run.E, student(run)).require() is None


def test_the_html_escapes_what_people_wrote() -> None:
    report = Report((Verdict("<b>", "dE/d<x>", "wrong", Mistake.SIGN, "a < b & c"),))
    assert "<b>" not in report.html and "&lt;b&gt;" in report.html and "a &lt; b &amp; c" in report._repr_html_()


def test_a_report_of_nothing_vouches_for_nothing() -> None:
    d = classification(np.random.default_rng(0))
    report = ad.check(d.E, {})
    assert not report.ok and report.first_wrong is None and report.score() == 0.0
    assert str(report) == "no claim was judged."
    with pytest.raises(ad.WrongClaim):
        ad.check_code(d.E, lambda: {"gradient_one": 1.0}).require()
    assert distinct([]) == []


@pytest.mark.parametrize("hard", [False, True])
def test_data_that_numpy_computed_from_named_data_follows_it(hard: bool) -> None:
    rng = np.random.default_rng(3)
    X, w = rng.normal(size=(6, 2)), ad.Tensor(rng.normal(size=2), "w")
    y = np.round(rng.uniform(size=6)) if hard else rng.uniform(size=6)
    p = ad.sigmoid(X @ w).named("p")
    verdict = ad.check(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), {"w": "X.T @ (p - y) / m"}).verdicts[0]
    assert verdict.status == "right" and not verdict.assumptions
    E = -np.mean(y * np.log(p) + (1 - y**3) * np.log(1 - p))  # nobody knows what this is made of: the data stays
    claims = {"w": "X.T @ (p - y) / m"}
    assert ad.check(E, claims).ok == hard
    graph = Recorded(E, {id(y): "y"})
    assert graph.fixed and graph.drawn(1)[0].data[id(y)] is y


# ---------------------------------------------------------------- in pictures


def test_a_picture_shows_the_verdicts_not_by_colour_alone(run: Any) -> None:
    report = ad.check(run.E, student(run, slope=lambda v: v.y1))
    drawing = ad.draw(run.E, report=report)
    svg, html = drawing.svg, drawing.html
    for text in (svg, html):
        assert "✓" in text and "✗" in text and "→" in text
        assert "the first that is wrong" in text
        assert "factor (1 - y1) is missing" in text
    lines = drawing.text.splitlines()
    assert sum("  ✗ dE/dW1: the first that is wrong, W1" in line for line in lines) == 1
    assert [line for line in lines if "  → dE/db1: carried forward" in line or "  ✓ dE/dW2: right" in line]
    assert lines[-1] == f"The first mistake, W1: {report.first_wrong.sentence}."
    assert "✗" not in ad.draw(run.E, report=ad.check(run.E, student(run))).svg


def test_zeros_earn_nothing_and_follow_from_nothing(run: Any) -> None:
    report = ad.check(run.E, {name: np.zeros(getattr(run, name).shape) for name in ("W1", "b1", "W2", "b2")})
    assert {v.status for v in report.verdicts} == {"wrong"}
    assert {v.mistake for v in report.verdicts} == {Mistake.ZERO}
    assert report.first_wrong.sentence == "this is all zeros, and dE/dW2 is not"
    assert report.score() == 0.0


def test_m_and_the_other_lengths_are_those_that_derive_names() -> None:
    rng = np.random.default_rng(1)
    X, T, W = rng.normal(size=(8, 4)), rng.normal(size=(8, 3)), ad.Tensor(rng.normal(size=(4, 3)), name="W")
    Y = (X @ W).named("Y")
    E = np.mean((Y - T) ** 2)
    assert "2 * (Y - T) / (m * n1)" in ad.derive(E, wrt=Y).numpy
    assert ad.check(E, "dE/dY = 2 * (Y - T) / (m * n1)\ndE/dY = 2 * (Y - T) / (m * 3)\ndE/dY = 2 * (Y - T) / 24").ok
    v = ad.check(E, "dE/dY = 2 * (Y - T) / m").first_wrong
    assert v.sentence == "this is W.shape[1] times dE/dY, in every entry"
    assert v.fix.endswith("where n1 = 3")


def own_names() -> Any:
    rng = np.random.default_rng(1)
    X, T = ad.constant(rng.normal(size=(8, 3)), name="X"), ad.constant(rng.normal(size=(8, 2)), name="T")
    W1, W2 = ad.Tensor(rng.normal(size=(3, 4)), name="W1"), ad.Tensor(rng.normal(size=(4, 2)), name="W2")
    h = np.tanh(X @ W1).named("h")
    Y = (h @ W2).named("Y")
    return (np.sum((Y - T) ** 2) / 2).named("E")


@pytest.mark.parametrize(
    "lines",
    [
        "d = Y - T\ndW2 = h.T @ d\ndh = d @ W2.T\ndZ = dh * (1 - h**2)  # through tanh\ndW1 = X.T @ dZ",
        "m = 8; delta2 = Y - T; dW2 = h.T @ delta2; delta1 = delta2 @ W2.T * (1 - h**2); dW1 = X.T @ delta1",
        r"""\begin{align}
        \delta_2 &= Y - T \\
        \frac{\partial E}{\partial W_2} &= h^T \delta_2 \\
        \delta_1 &= (\delta_2 W_2^T) \odot (1 - h^2) \\
        \frac{\partial E}{\partial W_1} &= X^T \delta_1
        \end{align}""",
    ],
)
def test_names_of_the_writer_s_own_are_definitions_for_later_lines(lines: str) -> None:
    E = own_names()
    report = ad.check(E, lines)
    assert report.ok, str(report)
    assert {"dE/dW1", "dE/dW2"} <= {v.target for v in report.verdicts}
    assert any("a meaning for the lines that use it" in r for r in report.remarks)
    slip = ad.check(E, lines.replace("1 - h**2", "1 - h").replace("1 - h^2", "1 - h"))
    assert slip.first_wrong.target == "dE/dW1" and "tanh' is 1 - h^2" in slip.first_wrong.sentence


def test_a_line_is_judged_on_its_own_target_or_not_at_all() -> None:
    E = own_names()
    report = ad.check(E, "dE/dY = Y - T\nthis is right\ndE/dW2 = h.T @ (Y - T\n= h.T @ dE/dY")
    assert [(v.target, v.status) for v in report.verdicts] == [("dE/dY", "right"), ("dE/dW2", "wrong"), ("dE/dW2", "right")]
    assert report.remarks[0] == "line 2 is no equation, so it was not checked: 'this is right'."
    for text, said in [
        ("dE/dv = Y", "is about v, and the graph of E has no node of that name. It has X, T, W1, W2, h, Y, E"),
        (r"\frac{\partial E}{\partial v} = Y", "is about v, "),
        ("d^2E/dY^2 = 1", "second derivative"),
    ]:
        with pytest.raises(ad.errors.NotConnected, match=re.escape(said)):
            ad.check(E, text)
    for text, said in [("so that = is this", "the name so is not known"), ("this is right", "is no equation"), ("d = Y -", "too early")]:
        with pytest.raises(ad.errors.BadFormula, match=said):
            ad.check(E, text)


def _to_digits(a: Any, s: int) -> Any:
    return np.array([float(f"{x:.{s}g}") for x in np.ravel(a)]).reshape(np.shape(a))


@pytest.mark.parametrize(
    ("made", "status", "said"),
    [
        (lambda g: g.astype(np.float32), "right", "judged in single precision, in which these numbers are"),
        (lambda g: g.astype(np.float32).tolist(), "right", "judged in single precision, in which these numbers are"),
        (lambda g: g.astype(np.float16), "right", "judged in half precision, in which these numbers are"),
        (lambda g: _to_digits(g, 3), "right", "judged at the 3 significant digits given"),
        (lambda g: _to_digits(g, 4), "right", "judged at the 4 significant digits given"),
        (lambda g: np.round(g, 3), "right", "judged at the 3 decimals given"),
        (lambda g: g.astype(np.float32).round(3), "right", "judged at the 3 decimals given"),
        (
            lambda g: g * (1 + 1e-7),
            "undecided",
            "this agrees with dE/dW2 to 6 digits, as difference quotients and single precision do",
        ),
        (lambda g: _to_digits(-g, 4), "wrong", "the sign: this is minus dE/dW2"),
        (lambda g: _to_digits(7 * g, 4), "wrong", "this is 7 times"),
        (lambda g: (g * (1 + 5e-4)).astype(np.float32), "wrong", "no known mistake explains this: every entry is 1.0005 times"),
    ],
)
def test_numbers_are_judged_in_the_precision_that_they_have(made: Any, status: str, said: str) -> None:
    E = own_names()
    v = ad.check(E, {"W2": made(ad.gradient(E, next(n for n in order(E) if n.name == "W2")))}).verdicts[0]
    assert v.status == status, str(v)
    assert said in "\n".join(v.lines())
    assert not v.others


@pytest.mark.parametrize(
    ("formula", "status"),
    [
        ("(X.T @ X / m + lam * I) @ w - X.T @ y / m", "right"),
        ("(lam * I + X.T @ X / m) @ w - X.T @ y / m", "right"),
        ("X.T @ X @ w / m + lam * I @ w - X.T @ y / m", "right"),
        (r"\left(\frac1m X^TX + \lambda I\right) w - \frac1m X^T y", "right"),
        (r"\frac1m X^T X w + \lambda I w - \frac1m X^T y", "right"),
        ("(X.T @ X / m + lam * np.eye(3)) @ w - X.T @ y / m", "right"),
        ("(X.T @ X / m + lam * np.eye(n0)) @ w - X.T @ y / m", "right"),
        ("(X.T @ X / m - lam * I) @ w - X.T @ y / m", "wrong"),
        ("(X.T @ X / m + lam * np.eye(4)) @ w - X.T @ y / m", "wrong"),
        ("(X.T @ X / m + lam * np.eye(1000000)) @ w - X.T @ y / m", "wrong"),
        ("lam * I", "wrong"),
    ],
)
def test_unit_matrices_have_the_size_of_what_they_meet(formula: str, status: str) -> None:
    rng = np.random.default_rng(3)
    X, y, w = (
        ad.constant(rng.normal(size=(6, 3)), name="X"),
        ad.constant(rng.normal(size=6), name="y"),
        ad.Tensor(rng.normal(size=3), name="w"),
    )
    lam = ad.constant(0.1, name="lam")
    J = (0.5 * np.mean((X @ w - y) ** 2) + lam / 2 * np.sum(w**2)).named("J")
    assert ad.check(J, {"w": formula}).verdicts[0].status == status


@pytest.mark.parametrize(("number", "constant"), [("0.1 * w", "lam"), ("0.2 * w / 2", "2 * lam")])
def test_a_number_in_place_of_a_constant_is_right_and_said_to_be_it(number: str, constant: str) -> None:
    w, lam = ad.Tensor([1.0, -2.0, 0.5], name="w"), ad.constant(0.1, name="lam")
    J = (np.sum(np.exp(w)) + lam / 2 * np.sum(w**2)).named("J")
    v = ad.check(J, f"dJ/dw = exp(w) + {number}").verdicts[0]
    assert v.status == "right", str(v)
    assert v.notes == (f"{number[:3]} is {constant} here; write {constant}",)
    assert ad.check(J, "dJ/dw = exp(w) + 0.3 * w").verdicts[0].status == "wrong"


@pytest.mark.parametrize(
    ("function", "said"),
    [(lambda q: q, "all values as attributes of one object"), (lambda W2: {"W2": W2}, "a dict")],
)
def test_a_function_that_gives_no_numbers_is_told_what_it_gave(run: Any, function: Any, said: str) -> None:
    v = ad.check(run.E, {"W2": function}).first_wrong
    assert v.sentence == f"the function gave {said}, not an array of numbers"


def two_layers() -> Any:
    rng = np.random.default_rng(1)
    x, t = ad.constant(rng.normal(size=(3, 5)), name="x"), ad.constant(rng.normal(2, 1, (2, 5)), name="t")
    W, b = ad.Tensor(rng.normal(size=(2, 3)), name="W"), ad.Tensor(rng.normal(size=(2, 1)), name="b")
    h = np.tanh(W @ x + b).named("h")
    return (np.mean(np.sum((h - t) ** 2, axis=0)) / 2).named("E")


def test_each_array_is_judged_at_its_own_decimals() -> None:
    E = two_layers()
    E.backward()
    dW, db = (next(n for n in order(E) if n.name == name).grad for name in ("W", "b"))
    report = ad.check(E, {"W": dW.round(3), "b": db.round(2)})
    assert report.ok and [v.notes[0] for v in report.verdicts] == [f"judged at the {d} decimals given" for d in (3, 2)], str(report)
    assert not ad.check(E, {"W": dW.round(3), "b": db.round(2) + 0.01}).ok
    ends_in_zero = np.round(np.append(dW.ravel()[:-1], 0.0).reshape(dW.shape), 3)
    assert not ad.check(E, {"W": ends_in_zero, "b": db.round(3)}).ok
    coarse = {"W": dW.round(3), "b": np.sign(db) * 0.2}  # one digit among three decimals is not a rounded array
    assert not ad.check(E, coarse).ok


def test_a_function_may_round_what_it_returns() -> None:
    def gradients(x: Any, t: Any, h: Any) -> Any:
        d = (h - t) * (1 - h**2) / 5
        return {"dW": (d @ x.T).round(3), "db": d.sum(1).round(2)}

    def twice(x: Any, t: Any, h: Any) -> Any:
        return {name: 2 * g for name, g in gradients(x, t, h).items()}

    report = ad.check_code(two_layers(), gradients)
    assert report.ok and {v.notes[0] for v in report.verdicts} == {f"judged at the {d} decimals given" for d in (2, 3)}, str(report)
    assert not ad.check_code(two_layers(), twice).ok


def test_a_name_that_is_missing_says_where_names_come_from() -> None:
    def checked(E: Any) -> Any:
        return ad.check(E, {"w": [1.0]})

    unnamed = ad.Tensor([1.0, 2.0])
    with pytest.raises(ad.errors.NotConnected, match=r"names are those of variables where ad.check is called, or given by name="):
        checked(np.sum(unnamed**2))


def test_an_example_of_a_big_array_shows_one_entry_and_stays_where_things_are_defined() -> None:
    rng = np.random.default_rng(2)
    Z, T = ad.Tensor(rng.normal(size=(6, 3)), name="Z"), ad.constant(np.eye(3)[[0, 2, 1, 1, 0, 2]], name="T")
    P = ad.softmax(Z, axis=1).named("P")
    L = (-np.sum(T * np.log(P)) / 6).named("L")
    said = ad.check(L, "dP/dZ = P * (1 - P)").verdicts[0].counterexample
    assert re.search(r": dP/dZ\[\d, \d, \d, \d\]: claim 0, truth -0\.\d+$", said) and len(said) < 400
    t = ad.constant([0.0, 1.0], name="t")
    z = ad.Tensor([0.2, 0.7], name="z")
    p = ad.sigmoid(z).named("p")
    E = (-np.sum(t * np.log(p) + (1 - t) * np.log(1 - p))).named("E")
    found = re.search(r"p = \[?([\d.]+)", ad.check(E, "dE/dp = -t / p").verdicts[0].counterexample)
    assert found and 0 < float(found[1]) < 1


def test_a_left_side_that_is_about_nothing_is_told(run: Any) -> None:
    with pytest.raises(ad.errors.BadFormula, match=r"line 1: \\sigma'\(z1\) is no gradient, value or Jacobian"):
        ad.check(run.E, r"\sigma'(z1) = y1 (1 - y1)")


def test_a_remark_between_the_lines_is_about_no_gradient(run: Any) -> None:
    lines = [
        "dE/dz2 = (y2 - t)/m",
        r"\sigma'(z1) = y1 (1 - y1)",
        "dE/dz1 = (W2^T dE/dz2) .* y1 .* (1 - y1)",
        "(4) = (W2^T (y2 - t)) .* y1 .* (1 - y1)/m",
    ]
    report = ad.check(run.E, lines)
    assert [v.label for v in report.verdicts] == ["line 1", "line 3", "(4)"] and report.ok, str(report)
    assert "line 2 was not judged: its left side is no gradient, value or Jacobian." in report.remarks


@pytest.mark.parametrize("text", ["np.kron(h - t, x)", "kron(h - t, x)", "(h - t) @ x.cumsum().T", r"(h - t) \star x^T"])
def test_what_cannot_be_read_here_is_not_judged(text: str) -> None:
    report = ad.check(two_layers(), [f"dE/dW = {text}", "dE/dh = (h - t) / m"])
    first, second = report.verdicts
    assert (first.status, first.mistake, second.status) == ("undecided", Mistake.UNREADABLE, "right")
    assert "not judged" in first.sentence and "is not known here" in first.sentence
    assert report.first_wrong is None and not report.ok and "does not follow" not in str(report)


def test_a_definition_that_cannot_be_read_is_an_error_at_its_column() -> None:
    with pytest.raises(ad.errors.BadFormula, match=r"line 1: the name q is not known; .*, at column 7"):
        ad.check(two_layers(), ["d = (h - q)", "dE/dh = d / m"])


def test_what_uses_a_definition_that_is_not_read_here_is_not_judged() -> None:
    first, second = ad.check(two_layers(), ["d = np.kron(h - t, 1)", "dE/dh = d / m", "dE/dh = (h - t) / m"]).verdicts
    assert (first.status, second.status) == (
        "undecided",
        "right",
    ) and "line 1, which gives d, is not read: np.kron is not known here" in first.sentence


def test_a_name_that_numpy_does_not_have_is_wrong() -> None:
    (verdict,) = ad.check(two_layers(), ["dE/dW = np.summ(h - t)"]).verdicts
    assert verdict.status == "wrong" and "np.summ is not known here; did you mean sum" in verdict.sentence
