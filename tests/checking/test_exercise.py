"""The whole exercise, line by line: the report is what derivation by hand says of it, word for word.

After a change that is meant, read the new report and write it with `python -m tests.checking.test_exercise`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from nets import exercise
from nets.two_layer import TwoLayer

GOLDEN = Path(__file__).parent / "golden" / "exercise.txt"
NEEDS_ONE_HOT = {"(4)"}
NEEDS_SUM = {"(6) line 2", "(7) line 3", "4) line 3", "4) line 4", "6) line 2"}


def report(fused: bool = True, biases: bool = False) -> Any:
    rng = np.random.default_rng(0)
    net = TwoLayer.random(4, 5, 3, biases=biases, fused=fused, seed=3)
    return ad.check(net(rng.normal(size=(4, 1)), np.eye(3)[:, [1]]).E, exercise.CLAIMS)


@pytest.fixture(scope="module", params=[True, False], ids=["softmax and sigmoid", "from primitives"])
def found(request: pytest.FixtureRequest) -> Any:
    return report(request.param)


def test_the_status_of_every_line(found: Any) -> None:
    wrong = {v.label for v in found.verdicts if v.status == "wrong"}
    carried = {v.label for v in found.verdicts if v.status == "carried forward"}
    assert (wrong, carried) == ({"(5) line 1", "(9) line 2"}, {"(5) line 2"})
    assert sum(v.status == "right" for v in found.verdicts) == len(exercise.CLAIMS) - 3


def test_the_first_wrong_step_is_the_diagonal_of_softmax(found: Any) -> None:
    first = found.first_wrong
    assert first.label == "(5) line 1"
    assert first.mistake == "softmax_diagonal"
    assert first.sentence == "only the diagonal of softmax's Jacobian was used; the off-diagonal terms -y_k y_i are missing"
    assert first.counterexample.endswith("truth [0.5, -0.5]")


def test_what_follows_and_what_does_not(found: Any) -> None:
    assert found["(5) line 2"].sentence == "the same as (5) line 1"
    assert found["(6) line 1"].notes == ("right, but it does not follow from (5) line 1",)
    assert found["(10) line 1"].notes == ("a second slip cancels the first: (9) line 2 as written has the opposite derivative",)
    others = [v.label for v in found.verdicts if v.notes and v.label not in ("(6) line 1", "(10) line 1")]
    assert others == []


def test_the_sign_of_the_exponent(found: Any) -> None:
    nine = found["(9) line 2"]
    assert (nine.mistake, nine.sentence) == ("sign", "the sign of the exponent: this is sigmoid(-z1)")
    assert nine.fix.startswith("1 / (1 + exp(-z1_i))")


def test_the_assumptions(found: Any) -> None:
    assert {v.label for v in found.verdicts if "one-hot t" in v.assumptions} == NEEDS_ONE_HOT
    assert {v.label for v in found.verdicts if "sum(t) = 1" in v.assumptions} == NEEDS_SUM
    assert {v.label for v in found.verdicts if v.assumptions} == NEEDS_ONE_HOT | NEEDS_SUM


def test_the_layout_is_mixed(found: Any) -> None:
    assert found.remarks == ("The layout is mixed: numerator layout: dE/dz2, dE/dy1, dE/dz1; denominator layout: dE/dy2, dE/dW2, dE/dW1.",)


def said(found: Any) -> str:
    """The report without the rounding, which differs from machine to machine."""
    lines = []
    for v in found.verdicts:
        layout = f"; {v.layout} layout" if v.layout else ""
        lines += [f"{v.label:<13}{v.target:<17}{v.status}{layout}", *(f"    {line}" for line in v.lines())]
    return "\n".join([*lines, *found.remarks, ""])


def test_the_whole_report_is_the_golden_one() -> None:
    assert said(report()) == GOLDEN.read_text(encoding="utf-8")


if __name__ == "__main__":  # python -m tests.checking.test_exercise
    GOLDEN.write_text(said(report()), encoding="utf-8")
