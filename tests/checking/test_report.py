"""The report as text and HTML: long labels, formulas that cannot be read, points by every name, and nothing said twice."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.mistakes import Mistake
from autodiff.checking.report import Report, Verdict

LONG = "a label that is longer than any column should be"
UNREAD = Verdict(
    "(2)", "dE/dy1", "wrong", Mistake.UNREADABLE, "the formula ends too early, at column 26:\n    W2.T @ (y2 +\n               ^"
)
MANY = Report((Verdict(LONG, "dE/dW2", "right"), UNREAD, Verdict("größe", "dE/dW1", "carried forward", sentence="the same as (2)")))


def test_a_long_label_moves_its_own_line_only() -> None:
    assert str(MANY).splitlines() == [
        f"✓  {LONG}  dE/dW2  right",
        "✗  (2)               dE/dy1  wrong",
        "                   the formula ends too early, at column 26:",
        "                       W2.T @ (y2 +",
        "                                  ^",
        "→  größe             dE/dW1  carried forward",
        "                   the same as (2)",
        "1 of 3 claims are right; the first wrong one is (2).",
    ]


def test_what_points_at_a_column_does_so_in_html() -> None:
    first, formula, pointer = UNREAD.lines()
    keeps = '<div style="white-space:pre;font-family:monospace">'
    assert f"<div>{first}</div>{keeps}{formula}</div>{keeps}{pointer}</div>" in MANY.html


def test_what_was_required_is_said_once() -> None:
    with pytest.raises(ad.WrongClaim) as caught:
        MANY.require()
    text = str(caught.value)
    assert text.startswith("1 of 3 claims are right; the first wrong one is (2).\n✓  a label")
    assert text.count("claims are right") == 1


@pytest.mark.parametrize("name", ["größe", "dE/dW1", "dW1", "W1"])
def test_points_by_every_name_of_a_claim(name: str) -> None:
    assert MANY.score({name: 2}) == 2.0


def test_points_for_what_nobody_claimed() -> None:
    with pytest.raises(KeyError, match="no claim is labelled 'b1'; there are a label that"):
        MANY.score({"W1": 2, "b1": 1})


def test_a_logistic_regression_of_a_teacher_s_own() -> None:
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(8, 3)), (rng.random(8) > 0.5).astype(float)
    w, b = ad.Tensor(rng.normal(size=3)), ad.Tensor(0.2)
    z = X @ w + b
    p = ad.sigmoid(z)
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert z.shape == (8,)
    for of in ("loss", "L", "J"):
        assert ad.check(loss, {f"d{of}/dw": "(p - y) @ X / m", f"d{of}/db": "mean(p - y)"}).ok
    first = ad.check(loss, {"w": "X' * (p - y)"}).first_wrong
    assert first.sentence == "the factor 1/m of the mean in loss is missing"


def test_a_line_that_cannot_be_read_is_about_what_it_says_not_about_its_label() -> None:
    a, b = ad.Tensor([1.0, 2.0]), ad.Tensor([3.0, -1.0])
    E = np.sum(a * b)
    assert ad.check(E, [("b", "dE/da = b +")]).first_wrong.target == "dE/da"


def test_a_report_of_nothing_says_so() -> None:
    assert str(Report(())) == "no claim was judged."
    assert not Report(()).ok
    assert Report(()).score() == 0.0
