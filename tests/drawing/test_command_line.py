"""`python -m autodiff draw script.py:loss -o graph.svg`: its outputs, sentences and exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autodiff.__main__ import main

SCRIPT = """
import sys
import autodiff as ad
print("the script speaks")
w = ad.Value(2.0)
with ad.scope("layer"):
    y = w * ad.Value(3.0, name="v")
loss = (y - 1) ** 2
if __name__ == "__main__":
    loss.backward()
plain = 3.0
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize(
    ("suffix", "start"), [(".svg", "<svg"), (".html", "<!doctype"), (".dot", "digraph"), (".txt", "^ loss"), (".json", "{")]
)
def test_the_suffix_says_the_form(script: Path, tmp_path: Path, suffix: str, start: str) -> None:
    out = tmp_path / f"graph{suffix}"
    assert main(["draw", f"{script}:loss", "-o", str(out)]) == 0
    assert out.read_text(encoding="utf-8").startswith(start)


def test_without_an_output_the_tree_is_printed(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", f"{script}:loss", "--collapse", "layer", "--focus", "w"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("^ loss") and "× y" in out and "the script speaks" in err


@pytest.mark.parametrize(
    ("target", "rest", "sentence"),
    [
        ("{}:nothing", [], "has no variable nothing; it has the nodes loss, w, y"),
        ("{}:plain", [], "a plain float"),
        ("{}", [], "write script.py:loss"),
        ("missing.py:loss", [], "there is no file missing.py"),
        ("{}:loss", ["-o", "graph.pdf"], "there are .svg, .html, .dot, .txt and .json"),
        ("{}:loss", ["--collapse", "nowhere"], "there is no scope 'nowhere'"),
        ("{}:loss", ["-o", "/nonexistent/folder/graph.svg"], "No such file"),
    ],
)
def test_mistakes_get_a_sentence(script: Path, capsys: pytest.CaptureFixture[str], target: str, rest: list[str], sentence: str) -> None:
    assert main(["draw", target.format(script), *rest]) == 1
    err = capsys.readouterr().err
    assert sentence in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("x = 1\ny = x / 0\n", "raised ZeroDivisionError in line 2: division by zero"),
        ("x = (\n", "raised SyntaxError in line 1"),
        ("exit(3)\n", "exit code 3"),
    ],
)
def test_a_script_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, sentence: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    assert main(["draw", f"{path}:x"]) == 1
    assert sentence in capsys.readouterr().err


def test_wrong_arguments_and_help() -> None:
    run = subprocess.run([sys.executable, "-m", "autodiff", "paint"], capture_output=True, text=True)
    assert run.returncode == 2 and "invalid choice" in run.stderr
    run = subprocess.run([sys.executable, "-m", "autodiff", "draw", "--help"], capture_output=True, text=True)
    assert run.returncode == 0 and "script.py:variable" in run.stdout
