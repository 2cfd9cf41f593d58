"""value_ops.py is what the table makes: regenerated in a process of its own, and compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _ruff() -> list[str]:
    beside = Path(sys.executable).parent / "ruff"
    if beside.exists():
        return [str(beside)]
    found = shutil.which("ruff")
    if found is None:
        pytest.skip("ruff is not installed, and the committed file is formatted by it")
    return [found]


def test_the_committed_operators_are_the_table_s() -> None:
    source = subprocess.run(
        [sys.executable, "-c", "from autodiff.ops.generate import source; print(source(), end='')"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    target = ROOT / "autodiff" / "value_ops.py"
    formatted = subprocess.run(
        [*_ruff(), "format", "--stdin-filename", str(target), "-"], cwd=ROOT, input=source, capture_output=True, text=True, check=True
    ).stdout
    assert "class Value" in formatted
    assert formatted == target.read_text()
