"""Mistakes people make in backpropagation, planted in a student's numbers: each is named, and each in its own words."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.mistakes import Mistake as M
from autodiff.node import order
from nets import exercise
from tests.checking.nets import net, student


def sigmoid(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


class Slip(NamedTuple):
    """A mistake: what it replaces, the code it should get, words of the sentence, where it shows first; `hidden` if not for m = 1."""

    steps: dict[str, Any]
    codes: set[M]
    words: str
    first: str
    hidden: bool = False
    needs: str = ""  # "biases"


SLIPS = {
    # 1 sign
    "t - y for y - t": Slip({"d2": lambda v: (v.t - v.y2) / v.m}, {M.SIGN}, "minus", "W2"),
    "sign of sigmoid'": Slip({"slope": lambda v: -v.y1 * (1 - v.y1)}, {M.SIGN}, "minus", "W1"),
    "sign of dW2 only": Slip({"dW2": lambda v: -v.d2 @ v.y1.T}, {M.SIGN}, "minus", "W2"),
    "sigmoid' as y(1 + y)": Slip({"slope": lambda v: v.y1 * (1 + v.y1)}, {M.DERIVATIVE_WRONG}, "not y1(1 + y1)", "W1"),
    # 2 the factor 1/m, and others
    "1/m missing": Slip({"d2": lambda v: v.y2 - v.t}, {M.BATCH_FACTOR}, "1/m", "W2", True),
    "1/m twice": Slip({"d2": lambda v: (v.y2 - v.t) / v.m**2}, {M.BATCH_FACTOR}, "1/m", "W2", True),
    "1/m once more in the hidden layer": Slip({"d1": lambda v: v.back * v.slope / v.m}, {M.BATCH_FACTOR}, "1/m", "W1", True),
    "1/m once more in dW2": Slip({"dW2": lambda v: v.d2 @ v.y1.T / v.m}, {M.BATCH_FACTOR}, "1/m", "W2", True),
    "1/m missing in dW1": Slip({"dW1": lambda v: v.d1 @ v.x.T * v.m}, {M.BATCH_FACTOR}, "1/m", "W1", True),
    "2 from a squared error": Slip({"d2": lambda v: 2 * (v.y2 - v.t) / v.m}, {M.FACTOR}, "2", "W2"),
    "1/2": Slip({"d2": lambda v: (v.y2 - v.t) / v.m / 2}, {M.FACTOR}, "1/2", "W2"),
    "divided by the classes": Slip({"d2": lambda v: (v.y2 - v.t) / v.m / 3}, {M.SUM_AVERAGED}, "1/W2.shape", "W2"),
    "log to base 2": Slip({"d2": lambda v: (v.y2 - v.t) / v.m / np.log(2)}, {M.FACTOR, M.DERIVATIVE_WRONG}, "ln 2|base 2", "W2"),
    "half of dW1": Slip({"dW1": lambda v: v.d1 @ v.x.T / 2}, {M.FACTOR}, "1/2", "W1"),
    # 3 transposes: those of a whole gradient are another layout, so see SQUARE
    # 4 the softmax Jacobian
    "only the diagonal of softmax": Slip({"d2": lambda v: -v.t * (1 - v.y2) / v.m}, {M.SOFTMAX_DIAGONAL}, "only the diagonal", "W2"),
    "softmax left out": Slip({"d2": lambda v: -v.t / v.y2 / v.m}, {M.SOFTMAX_IGNORED}, "left out", "W2"),
    "only diag(y)": Slip({"d2": lambda v: -v.t / v.m}, {M.SOFTMAX_DIAGONAL}, "only diag(y)", "W2"),
    # 5 one derivative too many at the output
    "softmax's y(1 - y) once more": Slip(
        {"d2": lambda v: (v.y2 - v.t) * v.y2 * (1 - v.y2) / v.m}, {M.ENTRYWISE_FACTOR}, "y2(1 - y2) too much", "W2"
    ),
    "divided by y(1 - y)": Slip({"d2": lambda v: (v.y2 - v.t) / (v.y2 * (1 - v.y2)) / v.m}, {M.ENTRYWISE_FACTOR}, "1/(y2(1 - y2))", "W2"),
    "times y": Slip({"d2": lambda v: (v.y2 - v.t) * v.y2 / v.m}, {M.ENTRYWISE_FACTOR}, "factor y2 too much", "W2"),
    # 6 the hidden derivative
    "sigmoid' forgotten": Slip({"slope": lambda v: 1.0}, {M.DERIVATIVE_MISSING}, "sigmoid", "W1"),
    "sigmoid' at z": Slip({"slope": lambda v: v.z1 * (1 - v.z1)}, {M.DERIVATIVE_ELSEWHERE}, "taken at z1", "W1"),
    "sigmoid' of the activated value": Slip(
        {"slope": lambda v: sigmoid(v.y1) * (1 - sigmoid(v.y1))}, {M.DERIVATIVE_ELSEWHERE}, "activated already", "W1"
    ),
    "tanh' for sigmoid'": Slip({"slope": lambda v: 1 - v.y1**2}, {M.DERIVATIVE_WRONG}, "tanh's derivative", "W1"),
    "relu' for sigmoid'": Slip({"slope": lambda v: v.z1 > 0}, {M.DERIVATIVE_WRONG}, "relu's derivative", "W1"),
    "only y of sigmoid'": Slip({"slope": lambda v: v.y1}, {M.DERIVATIVE_WRONG}, "(1 - y1) is missing", "W1"),
    "only 1 - y of sigmoid'": Slip({"slope": lambda v: 1 - v.y1}, {M.DERIVATIVE_WRONG}, "factor y1 is missing", "W1"),
    "sigmoid' twice": Slip({"slope": lambda v: (v.y1 * (1 - v.y1)) ** 2}, {M.DERIVATIVE_TWICE}, "twice", "W1"),
    "divided by sigmoid'": Slip({"slope": lambda v: 1 / (v.y1 * (1 - v.y1))}, {M.DERIVATIVE_TWICE}, "divides", "W1"),
    "times z1": Slip({"slope": lambda v: v.z1}, {M.DERIVATIVE_WRONG}, "z1 stands where", "W1"),
    # 7 another layer's value
    "z1 for y1 in dW2": Slip({"dW2": lambda v: v.d2 @ v.z1.T}, {M.OTHER_VALUE}, "z1 was used where y1", "W2"),
    "x for y1 in dW2": Slip({"dW2": lambda v: v.d2 @ v.x.T}, {M.OTHER_VALUE}, "x was used where y1", "W2"),
    "y2 for y1 in dW2": Slip({"dW2": lambda v: v.d2 @ v.y2.T}, {M.OTHER_VALUE}, "y2 was used where y1", "W2"),
    "y1 for x in dW1": Slip({"dW1": lambda v: v.d1 @ v.y1.T}, {M.OTHER_VALUE}, "y1 was used where x", "W1"),
    "z1 for x in dW1": Slip({"dW1": lambda v: v.d1 @ v.z1.T}, {M.OTHER_VALUE}, "z1 was used where x", "W1"),
    "1 - y1 for y1 in dW2": Slip({"dW2": lambda v: v.d2 @ (1 - v.y1).T}, {M.OTHER_VALUE}, "1 - y1", "W2"),
    # 8 back through W2
    "dW2 for W2": Slip({"back": lambda v: v.dW2.T @ v.d2}, {M.OTHER_VALUE}, "gradient of W2", "W1"),
    "W2 updated before use": Slip({"back": lambda v: (v.W2 - 0.1 * v.dW2).T @ v.d2}, {M.OTHER_VALUE}, "updated before", "W1"),
    # 9 biases
    "b2 not summed": Slip({"db2": lambda v: v.d2}, {M.NOT_SUMMED}, "not summed over the m", "b2", True, "biases"),
    "b1 not summed": Slip({"db1": lambda v: v.d1}, {M.NOT_SUMMED}, "not summed over the m", "b1", True, "biases"),
    "b2 averaged": Slip({"db2": lambda v: v.d2.mean(1, keepdims=True)}, {M.SUM_AVERAGED, M.BATCH_FACTOR}, "mean|1/m", "b2", True, "biases"),
    "b1 averaged": Slip({"db1": lambda v: v.d1.mean(1, keepdims=True)}, {M.SUM_AVERAGED, M.BATCH_FACTOR}, "mean|1/m", "b1", True, "biases"),
    "b1 the row sums of dW1": Slip({"db1": lambda v: v.dW1.sum(1, keepdims=True)}, {M.SUM_OF_ROWS}, "dE/dW1", "b1", False, "biases"),
    "b2 the row sums of dW2": Slip({"db2": lambda v: v.dW2.sum(1, keepdims=True)}, {M.SUM_OF_ROWS}, "dE/dW2", "b2", False, "biases"),
    "b1 forgotten": Slip({"db1": lambda v: 0 * v.d1.sum(1, keepdims=True)}, {M.ZERO}, "zero", "b1", False, "biases"),
    "b2 of the first example": Slip({"db2": lambda v: v.d2[:, :1]}, {M.FIRST_EXAMPLE}, "first", "b2", True, "biases"),
    "b2 times 4": Slip({"db2": lambda v: 4 * v.d2.sum(1, keepdims=True)}, {M.FACTOR}, "4 times", "b2", False, "biases"),
    # 10 the Jacobian summed up
    "the Jacobian's rows summed": Slip({"d2": lambda v: 0 * v.y2}, {M.ZERO}, "0|zero", "W2"),
    # and others
    "only the first example in dW2": Slip({"dW2": lambda v: v.d2[:, :1] @ v.y1[:, :1].T}, {M.FIRST_EXAMPLE}, "first example", "W2", True),
    "only the first example in dW1": Slip({"dW1": lambda v: v.d1[:, :1] @ v.x[:, :1].T}, {M.FIRST_EXAMPLE}, "first example", "W1", True),
}


def check(run: Any, claims: dict[str, Any]) -> Any:
    return ad.check(run.E, claims)


def check_convention(m: int, biases: bool, rows: bool) -> None:
    run = net(m, biases, rows)
    assert check(run, student(run)).ok
    for name, slip in SLIPS.items():
        if slip.needs and not biases:
            continue
        report = check(run, student(run, **slip.steps))
        if m == 1 and slip.hidden:  # one example hides it, and the report says that this point hides such mistakes
            assert report.ok, name
            assert "one example hides 1/m" in report.remarks[0]
        else:
            assert_named(name, slip, report)


def assert_named(name: str, slip: Slip, report: Any) -> None:
    first = report.first_wrong
    assert first is not None, name
    said = "; ".join([first.sentence, *first.others])
    assert first.mistake in slip.codes, (name, first.mistake, said)
    assert any(w in said for w in slip.words.split("|")), (name, said)
    assert first.label == slip.first, (name, str(report))


@pytest.mark.slow
@pytest.mark.parametrize(("m", "biases", "rows"), [(m, b, r) for m in (1, 5) for b in (True, False) for r in (False, True)])
def test_the_common_mistakes_are_named_in_every_convention(m: int, biases: bool, rows: bool) -> None:
    check_convention(m, biases, rows)


def check_apart(slips: dict[str, Slip], decimals: int) -> None:
    run = net(5)
    seen: dict[tuple[str, str], str] = {}
    for name, slip in slips.items():
        report = check(run, {k: np.round(v, decimals) for k, v in student(run, **slip.steps).items()})
        assert_named(name, slip, report)
        first = report.first_wrong
        assert seen.setdefault((first.label, first.sentence), name) == name
    assert check(run, {k: np.round(v, decimals) for k, v in student(run).items()}).ok


def test_fifty_single_mistakes_are_told_apart_from_numbers_alone() -> None:
    assert len(SLIPS) >= 50
    check_apart(SLIPS, 17)


def test_single_mistakes_are_told_apart_from_numbers_rounded_to_three_decimals() -> None:
    check_apart(dict(list(SLIPS.items())[::5]), 3)


@pytest.mark.slow
@pytest.mark.parametrize("decimals", [3, 4])
def test_fifty_single_mistakes_are_told_apart_from_rounded_numbers(decimals: int) -> None:
    check_apart(SLIPS, decimals)


SQUARE = {
    "W2 not transposed going back": (lambda v: {"back": lambda v: v.W2 @ v.d2}, M.TRANSPOSED, "W2 should be transposed"),
    "the error not carried back": (lambda v: {"back": lambda v: v.d2}, M.VALUE_MISSING, "not carried back through W2"),
}


@pytest.mark.parametrize("name", SQUARE)
def test_mistakes_that_only_square_weights_allow_are_named_too(name: str) -> None:
    run = net(5, shape=(3, 3, 3))
    steps, code, words = SQUARE[name]
    report = check(run, student(run, **steps(None)))
    assert report.first_wrong.mistake == code
    assert words in report.first_wrong.sentence
    assert "square" in report.remarks[0]


FORWARD = {
    "sign of the exponent": ("y1 =", lambda v: sigmoid(-v.z1), M.SIGN, "the exponent"),
    "tanh for sigmoid": ("y1 =", lambda v: np.tanh(v.z1), M.ACTIVATION, "tanh"),
    "no activation": ("y1 =", lambda v: v.z1, M.ACTIVATION, "left out"),
    "bias forgotten": ("z1 =", lambda v: v.W1 @ v.x, M.FORGOTTEN_TERM, "b1 was left out"),
    "softmax over the wrong axis": ("y2 =", lambda v: np.exp(v.z2) / np.exp(v.z2).sum(1, keepdims=True), M.OTHER_VALUE, "axis 1"),
    "sum for mean": ("E =", lambda v: -np.sum(v.t * np.log(v.y2)), M.BATCH_FACTOR, "1/m"),
}


@pytest.mark.parametrize("name", FORWARD)
def test_mistakes_in_the_forward_computation(name: str) -> None:
    run = net(5)
    label, f, code, words = FORWARD[name]
    plain = type("Values", (), {k: getattr(run, k).data for k in ("x", "t", "z1", "z2", "y2", "W1")})
    first = check(run, {label: f(plain)}).first_wrong
    assert (first.mistake, words in first.sentence) == (code, True), str(first)


def test_what_follows_from_a_wrong_forward_value_is_carried_forward() -> None:
    run = net(5)
    x, t, W1, W2, b1, b2 = (getattr(run, k).data for k in ("x", "t", "W1", "W2", "b1", "b2"))
    y1 = 1 / (1 + np.exp(W1 @ x + b1))  # the sign of the exponent
    e = np.exp(W2 @ y1 + b2)
    d2 = (e / e.sum(0) - t) / 5
    report = check(run, {"y1 =": y1, "z2 =": W2 @ y1 + b2, "W2": d2 @ y1.T, "b2": d2.sum(1, keepdims=True)})
    assert [v.status for v in report.verdicts] == ["wrong", *["carried forward"] * 3]
    assert report.score() == 3


WORDS = {
    "a factor": "(1 - y1) is missing",
    "t - y2": "sign",
    "diagonal": "only the diagonal",
    "once too often": "y2(1 - y2) too much",
    "derivative forgotten": "derivative of sigmoid",
    "taken at z1": "taken at z1",
    "tanh": "tanh's derivative",
    "z1 for y1": "z1 was used where y1",
}


@pytest.mark.parametrize(("seed", "decimals"), [(7, 3), (14, 3), (22, 3), (18, 4)])
def test_an_exercise_of_few_numbers_gets_what_was_done_and_no_false_reason_for_sure(seed: int, decimals: int) -> None:
    made = exercise.make(seed=seed, decimals=decimals)
    E = made.run().E
    for name, answers in made.wrong.items():
        first = ad.check(E, answers).first_wrong
        words = next(w for key, w in WORDS.items() if key in name)
        assert words in first.sentence or (first.sentence.startswith("perhaps") or first.mistake is M.ZERO), (name, str(first))
        assert first.mistake is M.ZERO or any(words in said for said in (first.sentence, *first.others)), (name, str(first))


def test_random_numbers_of_few_digits_are_explained_as_perhaps_at_most() -> None:
    made, rng = exercise.make(seed=3, decimals=2), np.random.default_rng(0)
    E = made.run().E
    for name in ("dE/dz1", "dE/dz2", "dE/dW2") * 8:
        first = ad.check(E, {name: np.round(rng.normal(size=made.key[name].shape) / 4, 2)}).first_wrong
        assert first is None or first.mistake is M.UNKNOWN or first.sentence.startswith("perhaps"), str(first)


def test_explanations_that_fit_equally_well_are_all_told() -> None:
    w = ad.Tensor([2.0, 3.0], name="w")
    E = ad.sum(w * w * w).named("E")  # 3 w^2; with one of three occurrences forgotten any of them may be the one
    first = ad.check(E, {"w": 2 * w.data**2}).first_wrong
    assert first.mistake == M.FORGOTTEN_PATH
    assert first.others == () or all("forgotten" in o or "differentiated" in o for o in first.others)
    x = ad.Tensor([2.0, 2.0], name="x")  # here x^2 and 2x are the same numbers
    first = ad.check(ad.sum(x**3).named("E"), {"x": x.data**3 * 3}).first_wrong
    assert first.others, str(first)


# ---------------------------------------------------------------- explanations that fit equally well


def layer_norm() -> Any:
    rng = np.random.default_rng(1)
    X, T = ad.Tensor(rng.normal(size=(4, 5)), name="X"), ad.constant(rng.normal(size=(4, 5)), name="T")
    mu = np.mean(X, axis=1, keepdims=True).named("mu")
    v = np.mean((X - mu) ** 2, axis=1, keepdims=True).named("v")
    y = ((X - mu) / np.sqrt(v + 1e-5)).named("y")
    return (np.sum((y - T) ** 2) / 2).named("E")


def shared() -> Any:
    rng = np.random.default_rng(1)
    W, h0, t = (ad.Tensor(rng.normal(size=s), name=n) for n, s in (("W", (3, 3)), ("h0", 3), ("t", 3)))
    h1 = np.tanh(W @ h0).named("h1")
    h2 = np.tanh(W @ h1).named("h2")
    return (np.sum((h2 - t) ** 2) / 2).named("E")


def classes() -> Any:
    rng = np.random.default_rng(1)
    X, t = ad.constant(rng.normal(size=(4, 6)), name="X"), ad.constant(np.eye(3)[:, [0, 1, 2, 0, 1, 1]], name="t")
    y = ad.softmax((ad.Tensor(rng.normal(size=(3, 4)), name="W") @ X).named("z"), axis=0).named("y")
    return (-np.mean(np.sum(t * np.log(y), axis=0))).named("E")


REASONS: list[tuple[Any, str, str, list[str]]] = [  # a graph, a wrong line, the fix, and every reason that is told
    (
        layer_norm,
        "dE/dX = ((y-T) - mean(y-T, axis=1, keepdims=True)) / sqrt(v + 1e-5)",
        "dE/dX = (np.sum((T - y) * y, axis=1, keepdims=True) * y / m",
        ["path through X - mu was forgotten", "the term of sqrt(v + 1e-05) in y was forgotten", "the factor that multiplies X - mu"],
    ),
    (
        layer_norm,
        "dE/dv = -1/2*sum((y-T)*(X-mu), axis=1, keepdims=True)*(v+1e-5)**(-1/2)",
        "dE/dv = 0.5",
        ["exponent of v + 1e-05 was not lowered"],
    ),
    (shared, "dE/dW = np.outer((h2-t)*(1-h2**2), h1)", "dE/dW = np.outer((W.T", ["path through W @ h0 was forgotten", "the term of h1"]),
    (classes, "dE/dz = (y-t)/3", "(y - t) / m", ["divided by t.shape[0] = 3, where m = 6 belongs", "this is 2 times"]),
    (classes, "dE/dz = (y-t)/len(y)", "(y - t) / m", ["divided by t.shape[0] = 3, where m = 6 belongs", "this is 2 times"]),
    (classes, "dE/dz = (y-t)/n1", "(y - t) / m", ["divided by t.shape[0] = 3, where m = 6 belongs", "this is 2 times"]),
    (classes, "dE/dz = (y-t)/4", "(y - t) / m", ["divided by X.shape[0] = 4, where m = 6 belongs"]),
    (classes, "dE/dz = 2*(y-t)/m", "(y - t) / m", ["this is 2 times"]),
]


@pytest.mark.parametrize(("graph", "line", "fix", "reasons"), REASONS)
def test_reasons_that_fit_equally_well_are_all_told_and_the_commonest_first(graph: Any, line: str, fix: str, reasons: list[str]) -> None:
    first = ad.check(graph(), [line]).first_wrong
    told = [first.sentence, *first.others]
    assert first.fix.startswith(fix) and len(told) == len(reasons), str(first)
    assert all(words in said for words, said in zip(reasons, told, strict=True)), told


def test_numbers_leave_open_which_length_was_divided_by() -> None:
    E = classes()
    z = next(n for n in order(E) if n.name == "z")
    first = ad.check(E, {"z": 2 * ad.gradient(E, [z])[0]}).first_wrong
    assert {first.sentence, *first.others} == {"this is 2 times dE/dz, in every entry", "divided by t.shape[0] = 3, where m = 6 belongs"}


def test_a_sign_in_rounded_numbers_is_no_odd_factor_as_well() -> None:
    E = classes()
    z = next(n for n in order(E) if n.name == "z")
    first = ad.check(E, {"z": -np.round(ad.gradient(E, [z])[0], 3)}).first_wrong
    assert "this is minus dE/dz" in first.sentence and not any("times" in other for other in first.others), str(first)


def hinge(far: float) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(3)
    a, p, n = (ad.Tensor(rng.normal(size=4), name=name) for name in "apn")
    L = np.maximum(np.sum((a - p) ** 2) - np.sum((a - n) ** 2) + far, 0).named("L")
    return L, {"a": 2 * (n.data - p.data), "p": 2 * (p.data - a.data)}


@pytest.mark.parametrize("claim", ["2 * (n - p)", "2 * (a - p) - 2 * (a - n)", "numbers", "rounded"])
def test_a_hinge_that_was_taken_for_always_open_is_named(claim: str) -> None:
    L, open_ = hinge(-100.0)
    numbers = {"numbers": open_["a"], "rounded": open_["a"].round(2)}
    v = ad.check(L, {"a": numbers.get(claim, claim)}).verdicts[0]
    assert v.status == "wrong" and "the derivative of maximum" in v.sentence and v.sentence.endswith("is missing"), str(v)
    assert ad.check(hinge(100.0)[0], {"a": hinge(100.0)[1]["a"].round(2)}).ok


def test_constants_are_told_as_people_write_them() -> None:
    rng = np.random.default_rng(4)
    Q, K = ad.Tensor(rng.normal(size=(4, 2)), name="Q"), ad.Tensor(rng.normal(size=(4, 2)), name="K")
    S = (Q @ K.T / np.sqrt(2.0)).named("S")
    L = (np.sum(S**2) / 2).named("L")
    assert ad.check(L, "dL/dQ = S K").verdicts[0].sentence == "the factor sqrt(1/2) in S is missing"
    s = ad.Tensor(0.8, name="s")
    E = (-4.5 * np.log(2 * np.pi) - 9 * np.log(s) - 3 / s**2).named("E")
    assert not re.search(r"\d\.\d{5}", str(ad.check(E, "dE/ds = 6 / s^3").verdicts[0].others))


def test_a_sum_over_too_much_that_is_zero_but_for_rounding_is_zero() -> None:
    rng = np.random.default_rng(2)
    Z, T = ad.Tensor(rng.normal(size=(6, 3)), name="Z"), ad.constant(np.eye(3)[[0, 2, 1, 1, 0, 2]], name="T")
    b = ad.Tensor(rng.normal(size=3), name="b")
    P = ad.softmax(Z + b, axis=1).named("P")
    L = (-np.sum(T * np.log(P)) / 6).named("L")
    v = ad.check(L, "dL/db = sum(P - T) / 6").verdicts[0]
    assert (v.mistake, v.fix.partition(" (")[0]) == (M.ZERO, "np.sum(P - T, axis=0) / 6")


def test_the_square_outside_is_no_tanh() -> None:
    z = ad.Tensor([0.5, -0.3, 1.0], name="z")
    h = np.tanh(z).named("h")
    E = np.sum(h).named("E")
    assert ad.check(E, "dE/dz = (1 - h)^2").verdicts[0].sentence == "tanh' is 1 - h^2, not (1 - h)^2"


@pytest.mark.parametrize("claim", ["U", lambda U: U])
def test_a_jacobian_without_the_last_function_s_derivative_is_named(claim: Any) -> None:
    rng = np.random.default_rng(4)
    U, x = ad.Tensor(rng.normal(size=(3, 2)), name="U"), ad.Tensor(rng.normal(size=2), name="x")
    h = np.tanh((U @ x).named("a")).named("h")
    E = np.sum(h**2).named("E")
    assert ad.check(E, {"dh/dx": claim}).verdicts[0].sentence == "the derivative of tanh, from a to h, is missing"
    odd = ad.check(E, {"dh/dx": "np.diag(1 - h**3) @ U"}).verdicts[0].sentence
    assert "arrives" not in odd
