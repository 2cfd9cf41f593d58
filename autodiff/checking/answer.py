"""One answer judged in a process of its own: `python -m autodiff.checking.answer graph.npz answer.py report.json 10 1024`.

Started by grade.py.  The limits are set before the answer runs: seconds, megabytes, the size of files.
"""

from __future__ import annotations

import json
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

from ..node import Node
from ..persistence import load
from .check import Check, check_code_of
from .claims import claims_of, goal_of_label
from .points import Recorded

WRITTEN = 10_000_000  # bytes that an answer may write into one file


class Unusable(Exception):
    """Why an answer cannot be judged, as a sentence."""


def limit(seconds: float, memory: int) -> None:
    """Set this process's limits, where the system has them."""
    try:
        import resource
        import signal
    except ImportError:  # on Windows the parent's patience is the only limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory * 2**20, memory * 2**20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the system ends the process, whatever it is busy with
    signal.setitimer(signal.ITIMER_REAL, seconds)


def report_on(answer: Path, graph: Recorded) -> Any:
    """The report on an answer: a JSON of claims, or a Python file.

    A Python file may define a function `gradients`, which is called as by `ad.check_code`; or `claims`, as `ad.check` takes
    them; or else every variable of it whose name means something in the graph, such as dW2, is a claim.
    """
    if answer.suffix == ".json":
        return Check(graph, *claims_of(graph, json.loads(answer.read_text(encoding="utf-8-sig")), {})).report()
    found = runpy.run_path(str(answer), run_name="__answer__")
    if callable(found.get("gradients")):
        return check_code_of(graph, found["gradients"])
    claims = found.get("claims")
    if claims is None:
        own = {k: v for k, v in found.items() if not k.startswith("_") and k not in graph.by_name and not isinstance(v, Node)}
        claims = {k: v for k, v in own.items() if not callable(v) and goal_of_label(graph, k) is not None}
    if not claims:
        raise Unusable("it defines no function `gradients`, no `claims`, and no variable whose name means a gradient, such as dW2")
    return Check(graph, *claims_of(graph, claims, {})).report()


def main(arguments: list[str]) -> None:
    saved, answer, out, seconds, memory = arguments
    tree = load(saved)
    graph = Recorded(tree["root"], {id(x): name for name, x in tree["names"].items()})
    limit(float(seconds), int(memory))
    try:
        report = report_on(Path(answer), graph)
        found = {"report": report.as_dict(), "text": str(report), "html": report.html}
    except Unusable as error:
        found = {"failure": str(error)}
    except MemoryError:
        found = {"failure": f"it needed more than {memory} MB of memory"}
    except SystemExit as error:
        found = {"failure": f"it ended itself with exit code {error.code}"}
    except BaseException as error:  # an answer may raise anything, and only its own report is to say so
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == answer]
        where = f" in line {lines[-1]}" if lines else ""
        found = {"failure": f"it raised {type(error).__name__}{where}: {error}"}
    Path(out).write_bytes(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))  # half a character is no text


if __name__ == "__main__":
    main(sys.argv[1:])
