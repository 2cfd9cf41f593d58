"""Formulas that are right by algebra, and not only in numbers: which are shown to be, how the report says so, and what it costs."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.claims import claims_of
from autodiff.checking.points import Recorded
from autodiff.checking.proof import proved
from nets import exercise
from nets.two_layer import TwoLayer
from tests.checking.graphs import GRAPHS
from tests.checking.rewriting import rewritten
from tests.checking.test_formulas import wrong_mutants
from tests.checking.test_mistakes import classes, layer_norm, shared


def layer() -> Any:
    rng = np.random.default_rng(0)
    W, x, t = ad.Tensor(rng.normal(size=(3, 4)), name="W"), ad.constant(rng.normal(size=4), name="x"), ad.constant(np.eye(3)[1], name="t")
    z = (W @ x).named("z")
    y = ad.softmax(z).named("y")
    return (-np.sum(t * np.log(y))).named("E")


@pytest.mark.parametrize("graph", GRAPHS)
def test_right_formulas_however_written_are_shown_to_be_the_same(graph: Any) -> None:
    rng = np.random.default_rng(1)
    d = graph(rng)
    claims = {name: rewritten(text, rng, 4) for name, text in d.formulas.items()}
    assert [v.how for v in ad.check(d.E, claims).verdicts] == ["algebra"] * len(claims)


def test_no_wrong_formula_is_ever_shown_to_be_right() -> None:
    tried = 0
    for m in wrong_mutants(np.random.default_rng(2), 2):
        graph = Recorded(m.d.E, {})
        (claim,) = claims_of(graph, {m.name: m.text}).claims
        for reading in claim.readings() if claim.formula is not None else ():
            assert not proved(claim, reading, graph, ()), m.text
            tried += 1
    assert tried > 80


@pytest.mark.parametrize("fused", [True, False])
def test_of_the_exercise_all_but_the_one_hot_cases_is_shown(fused: bool) -> None:
    net = TwoLayer.random(4, 5, 3, biases=False, fused=fused, seed=3)
    report = ad.check(net(np.ones((4, 1)), np.eye(3)[:, [1]]).E, exercise.CLAIMS)
    unproved = {v.label for v in report.verdicts if v.status == "right" and v.how != "algebra"}
    assert unproved == {"(4)", "(10) line 2"} | (set() if fused else {"(11)", "(12)"})


def test_the_report_says_so_beside_what_it_needs() -> None:
    report = ad.check(
        layer(), ["dE/dz = y - t", r"\frac{\partial E}{\partial W} = \frac{\partial E}{\partial z} x^T", "dE/dy = -t/y if t > 0 else 0*t"]
    )
    head, needs = str(report["line 1"]).splitlines()
    assert head.endswith("right  the same formula") and needs.strip() == "needs sum(t) = 1"
    assert report["line 2"].how == "algebra" and not report["line 2"].assumptions
    assert "compared at 4 points" in str(report["line 3"])
    assert report.html.count("the same formula") == 2
    assert [(v["how"], v["points"]) for v in json.loads(report.json)["verdicts"]] == [("algebra", 4), ("algebra", 4), ("numbers", 4)]


@pytest.mark.parametrize("claim", [lambda y, t: y - t, np.array([0.5, -0.5, 0.0])])
def test_numbers_and_functions_are_compared_in_numbers(claim: Any) -> None:
    assert ad.check(layer(), {"z": claim}).verdicts[0].how == "numbers"


def test_algebra_settles_what_rounding_leaves_open_but_never_goes_against_the_numbers() -> None:
    w = ad.Tensor([1.0, 2.0], name="w")
    E = np.sum(w**2).named("E")
    lossy = ad.check(E, "dE/dw = 2*(w + 1e12) - 2e12").verdicts[0]
    assert (lossy.status, lossy.how, lossy.assumptions) == ("right", "algebra", ())
    lost = ad.check(E, "dE/dw = 2*(w + 1e17) - 2e17").verdicts[0]
    assert lost.status == "undecided" and "loses all its digits" in lost.sentence
    assert ad.check(E, "dE/dw = 2*(w + 1e12) - 2e12 + 0.001*w").verdicts[0].status == "undecided"


def test_axes_of_one_length_are_kept_apart() -> None:
    rng = np.random.default_rng(0)
    A, x = ad.Tensor(rng.normal(size=(3, 3)), name="A"), ad.Tensor(rng.normal(size=3), name="x")
    E = np.sum((A @ x) ** 2).named("E")
    graph = Recorded(E, {})
    wrong = claims_of(graph, {"x": "2 * A @ A @ x"}).claims[0]
    right = claims_of(graph, {"x": "2 * A.T @ A @ x"}).claims[0]
    assert [proved(c, c.readings()[0], graph, ()) for c in (wrong, right)] == [False, True]


def test_a_derivation_of_25_lines_takes_at_most_0_3_seconds() -> None:
    rng = np.random.default_rng(0)
    h: Any = ad.constant(rng.normal(size=(4, 6)), name="h0")
    T = ad.constant(np.eye(4)[:, [0, 1, 2, 3, 0, 1]], name="T")
    for k in range(1, 9):
        W = ad.Tensor(rng.normal(size=(4, 4)), name=f"W{k}")
        h = ad.tanh((W @ h).named(f"z{k}")).named(f"h{k}")
    p = ad.softmax(h, axis=0).named("p")
    E = (-ad.mean(ad.sum(T * ad.log(p), axis=0))).named("E")
    lines = ["dE/dp = -T / p / m", "dE/dh8 = (p - T) / m"]
    for k in range(8, 0, -1):
        lines += [f"dE/dz{k} = dE/dh{k} * (1 - h{k}**2)", f"dE/dW{k} = dE/dz{k} @ h{k - 1}.T", f"dE/dh{k - 1} = W{k}.T @ dE/dz{k}"]
    seconds = []
    for _ in range(3):
        start = time.process_time()
        report = ad.check(E, lines[:25])
        seconds.append(time.process_time() - start)
    assert len(report.verdicts) == 25 and all(v.how == "algebra" for v in report.verdicts)
    assert min(seconds) < 0.3, seconds


@pytest.mark.parametrize("graph", [*GRAPHS, layer_norm, shared, classes])
def test_what_derive_prints_in_any_notation_is_right(graph: Any) -> None:
    E = graph(np.random.default_rng(0)).E if graph in GRAPHS else graph()
    results = ad.derive(E).results
    lines = [f"{f.left} = {f.text}" for f in results]
    lines += [f"{f.left} = {f.numpy}" for f in results] + [f"{f.left_latex} = {f.latex}" for f in results]
    report = ad.check(E, lines)
    assert report.ok, str(report)
    unproved = [v.text for v in report.verdicts if v.how != "algebra"]
    assert graph is layer_norm or not unproved, unproved
