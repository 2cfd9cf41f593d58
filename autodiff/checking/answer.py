"""One answer judged in a process of its own: `python -m autodiff.checking.answer graph.npz answer.py report.json 10 1024`.

Started by grade.py.  The limits are set before the answer runs: seconds, megabytes, the size of files.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from ..errors import AutodiffError
from ..naming import named
from ..node import Node
from ..persistence import load
from .check import Check, Failed, check_code_of
from .claims import claims_of, goal_of_label
from .points import Recorded
from .raised import place_of
from .report import Report

WRITTEN = 10_000_000  # bytes that an answer may write into one file


class Unusable(Exception):
    """Why an answer cannot be judged, as a sentence."""


def limit(seconds: float, memory: float) -> None:
    """Set this process's limits, where the system has them."""
    try:
        import resource
        import signal
    except ImportError:  # on Windows the parent's patience is the only limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (int(memory * 2**20),) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the system ends the process, whatever it is busy with
    signal.setitimer(signal.ITIMER_REAL, seconds)


def report_on(answer: Path, graph: Recorded) -> Report:
    """The report on an answer: a JSON of claims, or a Python file.

    A Python file may define a function `gradients`, which is called as by `ad.check_code`; or `claims`, as `ad.check` takes
    them; or else every variable of it whose name means something in the graph, such as dW2, is a claim.
    """
    if answer.suffix == ".json":
        return judged(graph, _json(answer))
    found = runpy.run_path(str(answer), run_name="__answer__")
    if callable(found.get("gradients")):
        return check_code_of(graph, found["gradients"])
    claims = found.get("claims")
    if claims is None:
        own = {k: v for k, v in found.items() if not k.startswith("_") and k not in graph.by_name and not isinstance(v, Node)}
        claims = {k: v for k, v in own.items() if not callable(v) and goal_of_label(graph, k) is not None}
    if not claims:
        raise Unusable("it defines no function `gradients`, no `claims`, and no variable whose name means a gradient, such as dW2")
    return judged(graph, claims)


def _json(answer: Path) -> Any:
    """The claims in a JSON file."""
    text = answer.read_text(encoding="utf-8-sig")
    if not text.strip():
        raise Unusable("it is empty")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Unusable(f"it is not JSON: {error.msg}, at line {error.lineno}, column {error.colno}") from None


def judged(graph: Recorded, claims: Any) -> Report:
    """The report on claims; what is about nothing in the graph is told there, and the others are judged."""
    return Check(graph, *claims_of(graph, claims, forgiving=True)).report()


def accident(error: BaseException, memory: str) -> tuple[str, str]:
    """What kept an answer from being judged, and what more there is to say."""
    if isinstance(error, Unusable):
        return str(error), ""
    if isinstance(error, MemoryError):
        return f"it needed more than {memory} MB of memory", ""
    if isinstance(error, SystemExit):
        return "it ended itself", "" if error.code is None else f" with exit code {error.code}"
    place = place_of(error)
    if isinstance(error, AutodiffError) and place is None:  # what it gave cannot be used
        return str(error), ""
    line = place.number if place is not None else getattr(error, "lineno", None)
    said = error.msg if isinstance(error, SyntaxError) else error
    where = f" in line {line}" if line else ""
    return f"it raised {type(error).__name__}", "\n".join([f"{where}: {said}", *([str(place)] if place is not None else [])])


def main(arguments: list[str]) -> None:
    saved, answer, out, seconds, memory = arguments
    tree = load(saved)
    names = {id(x): name for name, x in tree["names"].items()}
    graph = Recorded(tree["root"], names)
    graph.numbers = tree["numbers"]
    limit(float(seconds), float(memory))
    try:
        with named(names):
            report = report_on(Path(answer), graph)
        if not report.verdicts:
            raise Unusable(" ".join(report.remarks) or "it claims nothing")
        found = {"report": report.as_dict(), "text": str(report), "html": report.html}
    except BaseException as error:  # an answer may raise anything, and only its own report is to say so
        kind, rest = accident(error.__cause__ or error if isinstance(error, Failed) else error, memory)
        found = {"kind": kind, "failure": kind + rest}
    Path(out).write_bytes(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))  # half a character is no text


if __name__ == "__main__":
    main(sys.argv[1:])
