"""Execute the notebooks: every percent script notebooks/*.py into the .ipynb beside it, ready to commit.

The outcome depends on nothing but the script and what it prints: cells have fixed ids, and metadata that
changes from run to run is left out.  `--check` executes again and fails if a committed notebook would change
(bitmaps, which depend on the machine's fonts: would look different).
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class Failed(Exception):
    """A cell of a notebook raised."""


def main(argv: list[str] | None = None) -> int:
    """Render or check notebooks, two at a time; returns the exit code."""
    parser = argparse.ArgumentParser(description="Execute every percent script in notebooks/ into the .ipynb beside it.")
    parser.add_argument("names", nargs="*", help="only the scripts whose names begin so, such as 03")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a committed notebook differs from what its script gives"
    )
    options = parser.parse_args(argv)
    missing = [name for name in ("jupytext", "nbclient", "ipykernel") if find_spec(name) is None]
    if missing:
        return _sorry(f'{missing[0]} must be installed for this: pip install "autodiff-graph[notebooks]"')
    chosen = [s for s in scripts() if not options.names or s.name.startswith(tuple(options.names))]
    if not chosen:
        return _sorry(f"no script in {FOLDER.name}/ has a name that begins with {' or '.join(options.names)}")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(FOLDER.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ["OMP_NUM_THREADS"] = "1"  # the order in which sums are taken must not depend on the machine's cores
    with ProcessPoolExecutor(max_workers=2) as pool:
        complaints = list(pool.map(checked if options.check else written, chosen))
    return max((_sorry(c) for c in complaints if c), default=0)


def written(script: Path) -> str:
    """Render one notebook into the file beside its script; what went wrong, if anything."""
    try:
        text = render(script)
    except Failed as error:
        return str(error)
    script.with_suffix(".ipynb").write_text(text, encoding="utf-8")
    return ""


def checked(script: Path) -> str:
    """What differs between the committed notebook and what its script gives now, if anything."""
    target = script.with_suffix(".ipynb")
    if not target.exists():
        return f"{script.name} has no {target.name}: run make notebooks"
    try:
        text = render(script)
    except Failed as error:
        return str(error)
    place = first_difference(target.read_text(encoding="utf-8"), text)
    return f"{target.name} is not what {script.name} gives ({place}): run make notebooks" if place else ""


def scripts() -> list[Path]:
    """The percent scripts in this folder: Python files with a line that opens a cell."""
    return [p for p in sorted(FOLDER.glob("*.py")) if any(line.startswith("# %%") for line in p.read_text(encoding="utf-8").splitlines())]


def render(script: Path) -> str:
    """The script, executed, as the text of a notebook."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    for cell in notebook.cells:
        cell.source = cell.source.strip("\n")  # the empty lines that style asks for above a definition
    try:
        NotebookClient(notebook, timeout=120, record_timing=False, resources={"metadata": {"path": str(FOLDER)}}).execute()
    except CellExecutionError as error:
        raise Failed(f"{script.name} failed:\n" + re.sub(r"\x1b\[[0-9;]*m", "", str(error))) from None  # no colours
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


def first_difference(old: str, new: str) -> str:
    """Where two notebooks differ first, or nothing; bitmaps, which depend on fonts, are compared as eyes would."""
    import nbformat

    before, after = (nbformat.reads(text, as_version=4) for text in (old, new))
    if len(before.cells) != len(after.cells):
        return f"{len(before.cells)} cells, not {len(after.cells)}"
    for number, (a, b) in enumerate(zip(before.cells, after.cells, strict=True)):
        pictures = list(zip(bitmaps(a), bitmaps(b), strict=False))
        if a != b or not all(alike(p, q) for p, q in pictures):
            return f"first in cell {number}"
    return "" if before == after else "in the metadata"


def bitmaps(cell: Any) -> list[str]:
    """The bitmaps among a cell's outputs, taken out of it."""
    outputs = [output.data for output in cell.get("outputs", ()) if "image/png" in output.get("data", ())]
    found = [data["image/png"] for data in outputs]
    for data in outputs:
        data["image/png"] = ""
    return found


def alike(old: str, new: str) -> bool:
    """Do two bitmaps look the same, when seen from so far that letters are grey?

    Each is averaged over 12 x 12 fields; no field may differ by more than a tenth of the way from black to white.
    """
    import numpy as np
    from matplotlib import image

    def fields(bitmap: str) -> Any:
        pixels = image.imread(io.BytesIO(base64.b64decode(bitmap)), format="png")[..., :3].mean(axis=-1)
        rows = (np.array_split(row, 12, axis=1) for row in np.array_split(pixels, 12))
        return np.array([[field.mean() for field in row] for row in rows])

    return bool(np.all(np.abs(fields(old) - fields(new)) <= 0.1))


def _sorry(sentence: str) -> int:
    print(f"notebooks: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
