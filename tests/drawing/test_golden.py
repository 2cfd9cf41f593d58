"""Pictures and listings that must not change by accident.

The graphs hold binary fractions only, so the files are the same on every machine.  After a change that
is meant, look at the new pictures and write them with `python -m tests.drawing.test_golden`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import autodiff as ad
from autodiff.drawing import Note
from autodiff.drawing import text as listing
from tests.drawing.graphs import exact_scalar, exact_tensor

GOLDEN = Path(__file__).parent / "golden"


def forms() -> dict[str, str]:
    """The text of every golden file."""
    scalar, tensor = exact_scalar(), exact_tensor()
    square = scalar.args[0]
    notes = {scalar: Note("green", "✓", "as claimed"), square: Note("red", "✗", "differs"), (scalar, 0): Note("amber", "?", "unsure")}
    unswept = ad.Value(2.0, name="a") * ad.Value(4.0, name="b")
    graph = ad.draw(scalar)._graph
    return {
        "scalar.svg": ad.draw(scalar).svg,
        "scalar-derivatives.svg": ad.draw(scalar, derivatives=True).svg,
        "scalar-notes.svg": ad.draw(scalar, notes=notes).svg,
        "scalar-collapsed.svg": ad.draw(scalar, collapse="inner").svg,
        "tensor.svg": ad.draw(tensor).svg,
        "tensor-formulas.svg": ad.draw(tensor, formulas=True).svg,
        "unswept.svg": ad.draw(unswept).svg,
        "scalar.txt": listing.tree(graph) + "\n\n" + listing.table(graph) + "\n",
        "scalar-ascii.txt": listing.tree(graph, True) + "\n\n" + listing.table(graph, True) + "\n",
        "tensor.txt": listing.tree(ad.draw(tensor)._graph) + "\n\n" + listing.table(ad.draw(tensor)._graph) + "\n",
        "scalar.dot": ad.draw(scalar).graphviz().source,
        "scalar-micrograd.dot": ad.draw_dot(scalar).source,
        "tensor.json": ad.draw(tensor).json + "\n",
        "page.html": ad.draw(scalar).html,
    }


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*")) or ["none yet"])
def test_golden(name: str) -> None:
    assert forms()[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_form_has_its_file() -> None:
    assert {path.name for path in GOLDEN.glob("*")} == set(forms())


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_same_bytes_in_every_process(seed: str) -> None:
    code = (
        "import sys, autodiff as ad; from tests.drawing.graphs import *; E = mlp(5, [6, 5, 1]); E.backward(); d = ad.draw(E);"
        "sys.stdout.buffer.write((d.svg + d.html + d.json + d.graphviz().source).encode())"
    )
    made = [
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": s, "PYTHONPATH": "."}, capture_output=True, check=True).stdout
        for s in (seed, "random")
    ]
    assert made[0] == made[1] and len(made[0]) > 10_000


if __name__ == "__main__":
    for name, text in forms().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
