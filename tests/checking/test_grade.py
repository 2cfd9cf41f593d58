"""`python -m autodiff grade`: answers of all kinds, each in a process of its own, and what is written of them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autodiff.__main__ import main
from autodiff.checking.grade import Grade, answers_in, write

EXERCISE = """
import numpy as np, autodiff as ad
rng = np.random.default_rng(0)
x, t = rng.normal(size=(4, 7)), np.eye(3)[:, [0, 2, 1, 1, 0, 2, 2]]
W1, W2 = ad.Tensor(rng.normal(size=(5, 4))), ad.Tensor(rng.normal(size=(3, 5)))
z1 = W1 @ x
y1 = ad.sigmoid(z1)
z2 = W2 @ y1
y2 = ad.softmax(z2, axis=0)
E = loss = np.mean(-np.sum(t * np.log(y2), axis=0))
plain = ad.constant(3.0)
points = {"W2": 2, "W1": 3}
"""
CODE = """
def gradients(x, t, W1, W2, y1, y2):
    d2 = (y2 - t){over}
    return {{"dW2": d2 @ y1.T, "dW1": ((W2.T @ d2) * y1 * (1 - y1)) @ x.T}}
"""
CHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
posix = pytest.mark.skipif(os.name != "posix", reason="limits are set by the system")


@pytest.fixture
def exercise(tmp_path: Path) -> Path:
    path = tmp_path / "exercise.py"
    path.write_text(EXERCISE)
    (tmp_path / "answers").mkdir()
    return path


def graded(exercise: Path, answers: dict[str, str], *options: str) -> dict[str, dict[str, str]]:
    """The rows of the summary's table, by answer."""
    folder, out = exercise.parent / "answers", exercise.parent / "out"
    for name, text in answers.items():
        (folder / name).write_text(text)
    assert main(["grade", str(exercise), str(folder), "-o", str(out), *options]) == 0
    with open(out / "summary.csv", newline="") as file:
        return {row["answer"]: row for row in csv.DictReader(file)}


def test_answers_in_code_in_variables_in_claims_and_in_json(exercise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = graded(
        exercise,
        {
            "ann.py": CODE.format(over=" / x.shape[1]"),
            "bob.py": CODE.format(over=""),
            "cyd.py": "claims = {'W2': '(y2 - t) @ y1.T / m', 'W1': '((W2.T @ (y2 - t)) * y1) @ x.T / m'}",
            "dan.json": json.dumps({"W2": "(y2 - t) @ y1.T", "W1": [[1, 2], [3, 4]]}),
            "eve.py": "import numpy as np\ndW2 = np.zeros((3, 5))\n",
            "fay.json": json.dumps([["(1)", "dE/dz2 = (y2 - t) / m"], ["(2)", "dE/dW2 = dE/dz2 @ y1.T"]]),
            "_notes.py": "raise SystemExit",
        },
    )
    assert list(rows) == ["ann.py", "bob.py", "cyd.py", "dan.json", "eve.py", "fay.json"]
    assert {name: row["score"] for name, row in rows.items()} == {
        "ann.py": "5", "bob.py": "3", "cyd.py": "2", "dan.json": "0", "eve.py": "0", "fay.json": "2",
    }  # fmt: skip
    assert "fix: dE/dW2 = (y2 - t) @ y1.T / m\n" in (exercise.parent / "out" / "bob.py.txt").read_text()  # in the exercise's names
    assert rows["bob.py"]["mistake"] == "batch_factor" and rows["bob.py"]["dE/dW1"] == "carried forward"
    assert "(1 - y1) is missing" in rows["cyd.py"]["sentence"]
    assert rows["fay.json"]["dE/dW1"] == "missing"
    said = capsys.readouterr().out
    assert "1 of 6 answers are right" in said
    assert "2 of 6: the factor 1/m of a mean is missing, or there twice; " in said and "(bob.py, dan.json)" in said
    out = exercise.parent / "out"
    assert {p.name for p in out.iterdir()} == {
        *(f"{name}.{form}" for name in rows for form in ("txt", "html")), "summary.csv", "summary.json", "summary.txt",
    }  # fmt: skip
    data = json.loads((out / "summary.json").read_text())
    assert data["answers"][1]["report"]["first_wrong"] == "dW2"
    assert (out / "bob.py.html").read_text().startswith("<!doctype html>")
    assert "carried forward" in (out / "bob.py.txt").read_text()


def test_answers_that_remove_their_folder_or_say_half_characters_are_graded_with_the_others(exercise: Path) -> None:
    rows = graded(
        exercise,
        {
            "good.py": CODE.format(over=" / x.shape[1]"),
            "gone.py": "import os, shutil; shutil.rmtree(os.getcwd())\n" + CODE.format(over=""),
            "gone_and_fallen.py": "import os, shutil; shutil.rmtree(os.getcwd()); os._exit(3)",
            "half.json": '{"W2": "\\ud800 y"}',
            "half.py": "raise ValueError('\\ud800')",
            "marked.json": '\ufeff{"W2": "(y2 - t) @ y1.T / m"}',
        },
    )
    assert {name: row["score"] for name, row in rows.items() if row["score"] != "0"} == {"good.py": "5", "gone.py": "3", "marked.json": "2"}
    assert rows["gone_and_fallen.py"]["failure"] == "it ended itself with exit code 3"
    assert rows["half.py"]["failure"] == "it raised ValueError in line 1: ?"


def test_what_keeps_an_answer_from_being_judged_is_said_and_counted_by_kind(exercise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fails = "def gradients(x, t, W1, W2, y1, y2):\n    d2 = y2 - t\n    {}\n"
    rows = graded(
        exercise,
        {
            "key.py": fails.format("return {'dW1': {}['W1']}"),
            "other_key.py": fails.format("return {'dW1': {}['W9']}"),
            "shape.py": fails.format("dW2 = (d2 @\n           y1)"),
            "names.py": fails.format("return {'gradient_one': d2}"),
            "parameter.py": "def gradients(X, t): return {}",
            "nothing.json": "",
            "no_claims.json": "{}",
            "quit.py": "quit()",
        },
    )
    failure = {name: row["failure"] for name, row in rows.items()}
    assert failure == {
        "key.py": "it raised KeyError in line 3: 'W1'",
        "other_key.py": "it raised KeyError in line 3: 'W9'",
        "shape.py": failure["shape.py"],
        "names.py": failure["names.py"],
        "parameter.py": failure["parameter.py"],
        "nothing.json": "it is empty",
        "no_claims.json": "it claims nothing",
        "quit.py": "it ended itself",
    }  # fmt: skip
    assert failure["shape.py"].startswith("it raised ValueError in line 3: ")
    assert failure["parameter.py"].startswith("the parameter X of gradients is nothing in the graph of E. Did you mean x? It has W1, ")
    assert failure["names.py"].startswith("Not checked, for the graph has nothing of that name: gradient_one. It has W1, W2, ")
    out = exercise.parent / "out"
    shape = (out / "shape.py.txt").read_text()
    assert shape.endswith("in line 3: dW2 = (d2 @ y1), where d2 has shape (3, 7) and y1 has shape (5, 7)\n")
    assert "where d2 has shape (3, 7)" in (out / "shape.py.html").read_text()
    said = capsys.readouterr().out
    assert "key.py: 0 of 5; it raised KeyError in line 3: 'W1'\n" in said and "nothing was said" not in said
    assert "2 of 8 could not be judged: it raised KeyError (key.py, other_key.py)\n" in said
    assert "1 of 8 could not be judged: it is empty (nothing.json)\n" in said


def test_reports_of_an_earlier_class_do_not_stay(tmp_path: Path) -> None:
    write([Grade("ann.json"), Grade("bob.json")], {}, tmp_path)
    (tmp_path / "my notes.txt").write_text("keep")
    write([Grade("ann.json")], {}, tmp_path)
    left = {"ann.json.txt", "ann.json.html", "summary.csv", "summary.json", "summary.txt", "my notes.txt"}
    assert {p.name for p in tmp_path.iterdir()} == left
    (tmp_path / "summary.json").write_text("[1]")  # somebody else's
    write([], {}, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == left


def test_the_exercise_itself_and_its_reports_are_no_answers(exercise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = exercise.parent
    (folder / "a.json").write_text("{}")
    assert main(["grade", str(exercise), str(folder), "-o", str(folder)]) == 1
    assert "the reports would stand among the answers" in capsys.readouterr().err
    assert main(["grade", str(exercise), str(folder), "-o", str(exercise)]) == 1
    assert "is a file, and the reports go into a folder" in capsys.readouterr().err
    assert answers_in(folder, folder / "answers" / ".." / "exercise.py") == ([folder / "a.json"], ["answers"])


def test_what_is_not_in_the_graph_is_told_and_the_rest_is_judged(exercise: Path) -> None:
    lines = [["(1)", "dE/dW2 = (y2 - t) @ y1.T / m"], ["(2)", "dE/dW9 = x"]]
    rows = graded(exercise, {"dict.json": json.dumps({"W2": "(y2 - t) @ y1.T / m", "W9": [1.0]}), "lines.json": json.dumps(lines)})
    assert [row["score"] for row in rows.values()] == ["2", "2"]
    for name in rows:
        text = (exercise.parent / "out" / f"{name}.txt").read_text()
        assert "Not judged: " in text and "Did you mean W2 or W1?" in text


def test_the_exercise_s_own_numbers_may_be_used(exercise: Path) -> None:
    exercise.write_text(EXERCISE.replace("axis=0))", "axis=0)) + lam / 2 * np.sum(W2**2)").replace("rng =", "lam = 0.1; rng ="))
    code = "def gradients(t, W2, y1, y2, lam, m): return {'dW2': (y2 - t) @ y1.T / m + lam * W2}"
    lines = [["b", r"dE/dW2 = \frac{1}{m} (y2 - t) y1^T + \lambda W2"]]
    rows = graded(exercise, {"code.py": code, "text.json": '{"W2": "(y2 - t) @ y1.T / m + lam * W2"}', "lines.json": json.dumps(lines)})
    assert [row["dE/dW2"] for row in rows.values()] == ["right"] * 3


def test_answers_in_single_precision_are_not_wrong(exercise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = CODE.format(over=" / x.shape[1]")
    single = right.replace("    d2", "    x, t, W2, y1, y2 = (a.astype('f4') for a in (x, t, W2, y1, y2))\n    d2")
    rows = graded(exercise, {"single.py": single, "mixed.py": right.replace("(y2 - t)", "(y2 - t).astype('f4')")})
    assert rows["single.py"]["ok"] == "True"
    assert rows["mixed.py"]["dE/dW2"] == "undecided"
    said = capsys.readouterr().out
    assert "mixed.py: 0 of 5; undecided: dE/dW2, dE/dW1\n" in said
    assert "1 of 2 are undecided in part; their reports say why (mixed.py)" in said


@posix
def test_names_that_are_no_text_and_what_is_no_answer(exercise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = exercise.parent / "answers"
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.json")).write_text('{"W2": "(y2 - t) @ y1.T / m"}')
    except OSError:
        pytest.skip("this file system takes text only")
    (folder / "linked.json").symlink_to(exercise)
    (folder / "dangling.py").symlink_to(folder / "nowhere.py")
    (folder / "notes.txt").write_text("")
    (folder / "eve").mkdir()
    rows = graded(exercise, {})
    assert rows["b\\xff.json"]["score"] == "2"
    assert list(rows) == ["b\\xff.json", "linked.json"]
    assert "Not judged, being no files that end in .py or .json: dangling.py, eve, notes.txt." in capsys.readouterr().out


@posix
@pytest.mark.parametrize(("option", "limit"), [("--memory", "1"), ("--time", "0.001")])
def test_limits_below_what_the_checker_needs_are_refused(
    exercise: Path, capsys: pytest.CaptureFixture[str], option: str, limit: str
) -> None:
    (exercise.parent / "answers" / "a.json").write_text("{}")
    out = exercise.parent / "out"
    assert main(["grade", str(exercise), str(exercise.parent / "answers"), "-o", str(out), option, limit]) == 1
    assert "are too low for this exercise: a trial answer that computes nothing failed, for it " in capsys.readouterr().err
    assert not out.exists()


@posix
def test_one_answer_s_accident_does_not_touch_the_others(exercise: Path) -> None:
    rows = graded(
        exercise,
        {
            "good.py": CODE.format(over=" / x.shape[1]"),
            "loop.py": "while True: pass",
            "sleep.py": "import time; time.sleep(1000)",
            "hungry.py": "x = bytearray(4 * 10**9)",
            "crash.py": "import ctypes; ctypes.string_at(0)",
            "leave.py": "import os; os._exit(0)",
            "end.py": "import sys; sys.exit('I give up')",
            "raise.py": "\nraise ValueError('hm')",
            "write.py": "while True: print('x' * 1000)",
            "syntax.py": "def",
            "empty.py": "nothing = 1",
            "broken.json": "{",
            "child.py": CHILD + CODE.format(over=""),
        },
        "--time", "2", "--memory", "800",
    )  # fmt: skip
    failure = {name: row["failure"] for name, row in rows.items()}
    assert failure["good.py"] == "" and rows["good.py"]["score"] == "5"
    assert failure["child.py"] == "" and rows["child.py"]["score"] == "3"
    assert failure["loop.py"] == failure["sleep.py"] == "it ran longer than 2 s"
    assert failure["hungry.py"] == "it needed more than 800 MB of memory"
    assert "SIGSEGV" in failure["crash.py"]
    assert failure["leave.py"] == "it ended itself with exit code 0"
    assert failure["end.py"] == "it ended itself with exit code I give up"
    assert failure["raise.py"] == "it raised ValueError in line 2: hm"
    assert "too large" in failure["write.py"] or "too much" in failure["write.py"]
    assert "SyntaxError" in failure["syntax.py"]
    assert "it defines no function" in failure["empty.py"]
    assert failure["broken.json"].startswith("it is not JSON: ") and "line 1, column 2" in failure["broken.json"]


@pytest.mark.parametrize(
    ("target", "folder", "words"),
    [
        ("nowhere.py", "answers", "there is no file"),
        ("exercise.py:x", "answers", "an exercise's result is a Value or a Tensor"),
        ("exercise.py:y2", "answers", "y2 has the shape (3, 7); an exercise's result is one number"),
        ("exercise.py:plain", "answers", "plain is a constant"),
        ("exercise.py:loss", "nowhere", "there is no folder"),
        ("exercise.py", "answers", "holds no answers"),
    ],
)
def test_what_cannot_be_graded_ends_with_a_sentence(
    exercise: Path, capsys: pytest.CaptureFixture[str], target: str, folder: str, words: str
) -> None:
    assert main(["grade", str(exercise.parent / target), str(exercise.parent / folder)]) == 1
    assert words in capsys.readouterr().err


def test_points_for_something_that_is_not_there(exercise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exercise.write_text(EXERCISE + "points['W9'] = 1\n")
    (exercise.parent / "answers" / "a.json").write_text("{}")
    assert main(["grade", str(exercise), str(exercise.parent / "answers")]) == 1
    assert "points are given for 'W9'" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--time", "0"], ["--time", "x"], ["--memory", "-5"], ["--memory", "nan"], []])
def test_wrong_arguments_exit_with_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["grade", *(["a.py", "b", *options] if options else [])])
    assert end.value.code == 2
    assert (f"{options[1]!r} is not a positive number" if options else "required") in capsys.readouterr().err


def test_help_says_what_the_isolation_is_worth() -> None:
    done = subprocess.run([sys.executable, "-m", "autodiff", "grade", "--help"], capture_output=True, text=True, check=True)
    assert "not against malice" in done.stdout and "exit codes: 0" in done.stdout
