"""The exercise's lines are all there, in its order, and every one can be read and computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.mathtext import Formula, Line, read, read_target
from nets import exercise
from nets.two_layer import TwoLayer

NAMES = ("x", "t", "W1", "W2", "z1", "y1", "z2", "y2", "E", "m")
# What derivation by hand says of each line, as an array of the net with a one-hot target: these three do not give it.
WRONG = {"(5) line 1", "(5) line 2", "(9) line 2"}


class Arrays(dict[str, Any]):
    """A recorded net's values, derivatives and sizes; gradients by vectors as columns or as rows."""

    def __init__(self, rows: bool) -> None:
        rng = np.random.default_rng(0)
        net = TwoLayer.random(4, 5, 3, biases=False, seed=3)
        run = net(rng.normal(size=(4, 1)), np.eye(3)[:, [1]])
        self.nodes = {**run._asdict(), **net.parameters()}
        self.rows = rows
        super().__init__({name: node.data for name, node in self.nodes.items()}, m=1)

    def __missing__(self, key: str) -> Any:
        of, by = key[1:].split("/d")
        if of == "E":
            g = np.asarray(ad.gradient(self.nodes["E"], self.nodes[by]))
            return g.T if self.rows and 1 in g.shape else g
        return jacobian(self.nodes[of], self.nodes[by])


def jacobian(of: Any, by: Any) -> Any:
    """d of / d by, entry by entry of `of`, by the engine."""
    entries = [np.asarray(ad.gradient(of[i], by)) for i in np.ndindex(of.shape)]
    return np.reshape(entries, (*of.shape, *by.shape))


def line_of(claim: exercise.Claim) -> Line:
    return read(claim.text, {**{name: name for name in NAMES}, **claim.spellings})


def truth(line: Line, arrays: Arrays) -> Any:
    """What the line is about, as the engine has it."""
    target = line.target
    assert target is not None
    value = arrays[str(target)]
    if target.kind.startswith("jacobian"):
        value = value.reshape(arrays[target.of].size, -1)
        diagonal = np.diag(np.diag(value))
        value = {"jacobian": value, "jacobian_diagonal": np.diag(value), "jacobian_off_diagonal": value - diagonal}[target.kind]
    return np.squeeze(value)


def gives(formula: Formula, line: Line) -> bool:
    """Does a line come out right where gradients are columns, or where they are rows?"""
    for rows in (False, True):
        arrays = Arrays(rows)
        try:
            found = np.squeeze(formula.evaluate(arrays))
        except ad.ShapeMismatch:
            continue
        if found.shape == truth(line, arrays).shape and np.allclose(found, truth(line, arrays), rtol=1e-12, atol=1e-14):
            return True
    return False


def test_every_line_is_there() -> None:
    labels = [claim.label for claim in exercise.CLAIMS]
    assert len(labels) == len(set(labels)) == 32
    numbered = {label.split(" ")[0] for label in labels}
    assert numbered == {*(f"({k})" for k in range(1, 13)), "4)", "6)", "7)"}
    lines = {name: sum(label.split(" ")[0] == name for label in labels) for name in numbered}
    assert {name for name, n in lines.items() if n == 1} == {"(2)", "(4)", "(8)", "(11)", "(12)"}
    assert (lines["(7)"], lines["(10)"], lines["4)"], lines["7)"]) == (3, 4, 4, 4)


@pytest.mark.parametrize("claim", exercise.CLAIMS, ids=[c.label for c in exercise.CLAIMS])
def test_every_line_is_read_and_computed(claim: exercise.Claim) -> None:
    line = line_of(claim)
    assert len(line.formulas) == 1
    wanted = read_target(claim.target, NAMES)
    assert line.target is not None
    assert (line.target.of, line.target.wrt) == (wanted.of, wanted.wrt)
    assert gives(line.formula, line) == (claim.label not in WRONG)


def test_kinds_of_targets() -> None:
    kinds = {c.label: line_of(c).target.kind for c in exercise.CLAIMS}  # type: ignore[union-attr]
    assert kinds["(3) line 2"] == kinds["(10) line 1"] == "jacobian_diagonal"
    assert (kinds["(11)"], kinds["(12)"], kinds["(9) line 2"], kinds["(6) line 2"]) == (
        "jacobian_off_diagonal",
        "jacobian",
        "value",
        "gradient",
    )


# ---------------------------------------------------------------- made exercises


@pytest.mark.parametrize(("seed", "hidden", "classes", "decimals"), [(0, 2, 3, 2), (1, 1, 2, 3), (2, 4, 3, 2), (3, 3, 4, 1)])
def test_the_answer_key_is_the_engines(seed: int, hidden: int, classes: int, decimals: int) -> None:
    made = exercise.make(seed, hidden, classes, decimals)
    run = made.run()
    nodes = {**run._asdict(), "W1": run.z1.args[0], "W2": run.z2.args[0]}
    assert set(made.key) == {"z1 =", "y1 =", "z2 =", "y2 =", "E =", "dE/dz2", "dE/dy1", "dE/dW2", "dE/dz1", "dE/dW1"}
    for name, answer in made.key.items():
        target = read_target(name, nodes)
        exact = nodes[target.of].data if target.wrt is None else ad.gradient(run.E, nodes[target.wrt])
        assert np.shape(answer) == np.shape(exact)
        assert np.all(np.abs(answer - exact) <= 0.5 * 10.0**-decimals * (1 + 1e-9)), name


def test_wrong_answers_differ_from_the_key_and_from_each_other() -> None:
    made = exercise.make(seed=5)
    sheets = [made.key, *made.wrong.values()]
    assert len(made.wrong) == 8
    assert len({str([v.tolist() for v in sheet.values()]) for sheet in sheets}) == len(sheets)
    assert all(np.shape(sheet[name]) == np.shape(made.key[name]) for sheet in sheets for name in made.key)
    assert all(np.array_equal(np.round(v, 2), v) for sheet in sheets for v in sheet.values())


def test_numbers_are_friendly_and_the_same_each_time() -> None:
    made, again, other = exercise.make(seed=5), exercise.make(seed=5), exercise.make(seed=6)
    assert all(np.array_equal(made.data[k], again.data[k]) for k in made.data)
    assert not all(np.array_equal(made.data[k], other.data[k]) for k in made.data)
    assert all(np.array_equal(2 * v, np.round(2 * v)) for v in made.data.values())


def test_what_cannot_be_made() -> None:
    for sizes in ((0, 3, 2), (2, 1, 2), (2, 3, 0)):
        with pytest.raises(ValueError, match="needs a hidden unit, 2 classes and 1 decimal"):
            exercise.make(0, *sizes)
    with pytest.raises(ValueError, match="no numbers found"):
        exercise.make(0, hidden=60, classes=30, decimals=1)
