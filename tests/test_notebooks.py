"""The notebooks as they lie in the folder: whole, in step with their scripts, and free of the machine that rendered them.

That they run, and print what they show, is for `notebooks/render.py --check`; whether that can fail is tested here.
"""

from __future__ import annotations

import base64
import copy
import doctest
import importlib.util
import io
import json
import re
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import autodiff as ad

FOLDER = Path(__file__).parents[1] / "notebooks"
SCRIPTS = sorted(FOLDER.glob("[0-9]*.py"))
MACHINE = re.compile(r"/tmp/|/home/|/root/|site-packages|ipykernel|0x[0-9a-f]{6,}")


def loaded(name: str) -> ModuleType:
    """A file of the folder as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def notebook(script: Path) -> dict[str, Any]:
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def cells_of(script: Path) -> list[tuple[str, str]]:
    """Kind and source of each cell of a percent script."""
    parts = re.split(r"^# %%(.*)\n", script.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = []
    for kind, source in zip(parts[::2], parts[1::2], strict=True):
        text = source.strip("\n")
        if "markdown" in kind:
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        found.append(("markdown" if "markdown" in kind else "code", text))
    return found


def test_there_are_ten() -> None:
    assert [int(s.name[:2]) for s in SCRIPTS] == list(range(1, 11))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_committed_notebook_is_that_of_its_script(script: Path) -> None:
    committed = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook(script)["cells"]]
    assert committed == cells_of(script), "run make notebooks"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_outputs_are_of_no_machine_and_all_ran(script: Path) -> None:
    code = [cell for cell in notebook(script)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell["outputs"]:
            assert output["output_type"] != "error" and output.get("name") != "stderr"
            texts = [output.get("text", ""), *(v for k, v in output.get("data", {}).items() if k != "image/png")]
            assert not MACHINE.search("".join("".join(t) for t in texts))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_built_as_a_lesson(script: Path) -> None:
    cells = cells_of(script)
    text = "\n".join(source for kind, source in cells if kind == "markdown")
    code = "\n".join(source for kind, source in cells if kind == "code")
    assert cells[0][1].startswith(f"# {int(script.name[:2])}. ")
    assert "you will be able to" in cells[0][1] and text.count("**Predict") >= 4
    answered, solved = code.split("= None", 1)[0], text.split("### Solutions")
    assert len(solved) == 2 and answered and code.count("check(") >= 8  # each exercise is asked and solved
    for link in re.findall(r"\]\(([^)]*\.ipynb)\)", text):
        assert (FOLDER / link).exists(), link


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_page_1000_pixels_wide_holds_every_line_of_code_and_every_picture(script: Path) -> None:
    for cell in notebook(script)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            assert max(map(len, source.splitlines()), default=0) <= 111, "a longer line is cut at the edge"
        pictures = ["".join(o["data"]["image/svg+xml"]) for o in cell.get("outputs", ()) if "image/svg+xml" in o.get("data", ())]
        for svg in pictures:
            assert float(re.search(r'<svg[^>]* width="([0-9.]+)"', svg)[1]) <= 878, "a wider picture is cut at the edge"  # type: ignore[index]
        if "derivatives=True" in source:
            (svg,) = pictures
            assert re.search(r"<text[^>]*>(?:[^<]* = )?−?[0-9.]+</text>", re.sub(r"(?s)<g class=.ag-node.*?</g>", "", svg)), (
                "no number on an edge"
            )


def test_helpers_of_the_lessons() -> None:
    assert doctest.testmod(loaded("lesson")).failed == 0


def test_what_a_lesson_shows_is_insisted_on() -> None:
    lesson = loaded("lesson")
    for wrong in (lambda: lesson.show("x", 0.25, 0.2501), lambda: lesson.show("x", [1, 2], [[1], [2]]), lambda: lesson.holds("no", False)):
        with pytest.raises(AssertionError):
            wrong()
    with pytest.raises(AssertionError, match="not yet"):
        lesson.check(1, 2.0, 3.0)
    with pytest.raises(AssertionError, match="no ValueError"):
        lesson.refused(ValueError, lambda: None)


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ([0.5, -3], [[0.5], [-3]]),
        ([["1/2"], ["-3"]], [0.5, -3]),
        (((Fraction(1, 2), -3),), [[0.5], [-3]]),
        (np.float32([[0.5, -3]]), [0.5, -3]),
        (["1/2", "-3.0"], [0.5, -3]),
        ([[4]], 4),
        (np.array(4), [[4.0]]),
        (ad.Tensor([[0.5], [-3.0]]), [0.5, -3]),
        (ad.Value(4.0), 4),
        (True, True),
    ],
)
def test_a_right_answer_is_right_in_every_spelling(answer: Any, truth: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loaded("lesson").check(1, answer, np.array(truth))
    assert capsys.readouterr().out == "exercise 1: right\n"


@pytest.mark.parametrize("answer", [[7, 7, 1], (1, "7", 7.0), np.array([[7], [1], [7]])])
def test_an_answer_in_any_order(answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loaded("lesson").check(1, answer, [7, 1, 7], any_order=True)
    assert capsys.readouterr().out == "exercise 1: right\n"


@pytest.mark.parametrize("answer", [[-3, 0.5], [[0.5, 3]], [0.5], [0.5, -3, 0], 0.5, "half", [], {}, [0.5, None], [0.501, -3], "nan"])
def test_a_wrong_answer_is_never_right(answer: Any) -> None:
    with pytest.raises(AssertionError, match=r"^exercise 1: "):
        loaded("lesson").check(1, answer, np.array([[0.5], [-3.0]]))
    with pytest.raises(AssertionError, match=r"^exercise 1: "):
        loaded("lesson").check(1, answer, [7, 1, 7], any_order=True)


def test_render_sees_a_changed_number_and_a_changed_picture() -> None:
    pytest.importorskip("nbformat")
    image = pytest.importorskip("matplotlib.image")
    render = loaded("render")
    old = notebook(next(s for s in SCRIPTS if s.name.startswith("04")))
    assert render.first_difference(json.dumps(old), json.dumps(old)) == ""

    number = copy.deepcopy(old)
    output = next(o for c in number["cells"] for o in c.get("outputs", ()) if "text" in o)
    output["text"] = [line.replace("0.5", "0.6") for line in output["text"]]
    assert "cell" in render.first_difference(json.dumps(old), json.dumps(number))

    for shade, seen in ((0.98, False), (0.5, True)):
        picture = copy.deepcopy(old)
        data = next(o["data"] for c in picture["cells"] for o in c.get("outputs", ()) if "image/png" in o.get("data", ()))
        pixels = image.imread(io.BytesIO(base64.b64decode(data["image/png"])), format="png")
        pixels[..., :3] *= shade
        changed = io.BytesIO()
        image.imsave(changed, pixels, format="png")
        data["image/png"] = base64.b64encode(changed.getvalue()).decode()
        assert bool(render.first_difference(json.dumps(old), json.dumps(picture))) is seen

    missing = copy.deepcopy(old)
    for cell in missing["cells"]:
        cell["outputs"] = [o for o in cell.get("outputs", ()) if "image/png" not in o.get("data", ())] if "outputs" in cell else None
        if cell["outputs"] is None:
            del cell["outputs"]
    assert "cell" in render.first_difference(json.dumps(old), json.dumps(missing))
