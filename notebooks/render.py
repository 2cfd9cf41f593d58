"""Execute the notebooks: every percent script notebooks/*.py into the .ipynb beside it, ready to commit.

The outcome depends on nothing but the script and what it prints: cells have fixed ids, and metadata that
changes from run to run is left out.  `--check` executes again and fails if a committed notebook would change.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def main(argv: list[str] | None = None) -> int:
    """Render or check all notebooks; returns the exit code."""
    parser = argparse.ArgumentParser(description="Execute every percent script in notebooks/ into the .ipynb beside it.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a committed notebook differs from what its script gives"
    )
    check = parser.parse_args(argv).check
    try:
        from nbclient.exceptions import CellExecutionError
    except ModuleNotFoundError as error:
        return _sorry(f'{error.name} must be installed for this: pip install "autodiff-graph[notebooks]"')
    failed = False
    for script in scripts():
        try:
            text = render(script)
        except CellExecutionError as error:
            return _sorry(f"{script.name} failed:\n{error}")
        target = script.with_suffix(".ipynb")
        if not check:
            target.write_text(text, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != text:
            failed = True
            print(f"{target.name} is not what {script.name} gives{where(target, text)}: run make notebooks", file=sys.stderr)
    return 1 if failed else 0


def scripts() -> list[Path]:
    """The percent scripts in this folder: Python files with a line that opens a cell."""
    return [p for p in sorted(FOLDER.glob("*.py")) if any(line.startswith("# %%") for line in p.read_text(encoding="utf-8").splitlines())]


def render(script: Path) -> str:
    """The script, executed, as the text of a notebook."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    os.environ["PYTHONPATH"] = os.pathsep.join([str(FOLDER.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    NotebookClient(notebook, timeout=600, record_timing=False, resources={"metadata": {"path": str(FOLDER)}}).execute()
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)) + "\n"


def joined(outputs: list[Any]) -> list[Any]:
    """Neighbouring pieces of one stream as one: where a stream is cut depends on the clock."""
    whole: list[Any] = []
    for output in outputs:
        if output.output_type == "stream" and whole and whole[-1].get("name") == output.name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def where(target: Path, text: str) -> str:
    """The first cell in which a committed notebook differs from what it should be."""
    import nbformat

    if not target.exists():
        return " (there is none)"
    old, new = (nbformat.reads(t, as_version=4).cells for t in (target.read_text(encoding="utf-8"), text))
    differing = (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    return f" (first in cell {next(differing, min(len(old), len(new)))})"


def _sorry(sentence: str) -> int:
    print(f"notebooks: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
