"""Grading: a folder of answers against one recorded graph, a report for each and a summary of the class.

Each answer runs in a process of its own (answer.py) with limits on time, memory and files, so that a crash, an endless loop
or hunger for memory in one does not touch the others.  That guards against accidents, not against malice: an answer can
still read and write files as the person who grades.  Who grades answers that may be hostile runs this in a container.
"""

from __future__ import annotations

import contextlib
import csv
import html
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadOperand
from ..persistence import save
from .claims import goal_of_label
from .mistakes import Mistake
from .points import Recorded
from .report import CARRIED, RIGHT, UNDECIDED, WRONG

MISSING = "missing"
START = 60.0  # seconds that an answer's process may take in all beyond its limit, to begin and to be judged
PACKAGE = Path(__file__).resolve().parents[2]


@dataclass
class Grade:
    """One answer's outcome: its report as plain data, or the `failure` that kept it from having one."""

    name: str
    report: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    html: str = ""
    failure: str = ""
    kind: str = ""  # what failures of one sort have in common, as the summary counts them
    score: float = 0.0
    missing: list[str] = field(default_factory=list)  # targets worth points that it says nothing of
    undecided: list[str] = field(default_factory=list)  # and those of which its numbers do not tell whether they are right

    @property
    def ok(self) -> bool:
        """Is all there and right?"""
        return bool(self.report.get("ok")) and not self.failure and not self.missing

    @property
    def first(self) -> dict[str, Any]:
        """The verdict on the first wrong claim; empty if there is none."""
        return next((v for v in self.report.get("verdicts", ()) if v["status"] == WRONG), {})

    @property
    def brief(self) -> str:
        """The failure in a line."""
        return _first_line(self.failure)

    def status_of(self, target: str) -> str:
        """How the last claim about a target came out."""
        found = [v["status"] for v in self.report.get("verdicts", ()) if v["target"] == target]
        return found[-1] if found else MISSING


def answers_in(folder: Path, exercise: Path) -> tuple[list[Path], list[str]]:
    """The answers of a folder, its Python and JSON files, by name; and the names of what else is there.

    The exercise itself, and what begins with "_" or ".", is neither.
    """
    found = sorted(p for p in folder.iterdir() if not p.name.startswith(("_", ".")) and os.path.abspath(p) != os.path.abspath(exercise))
    answers = [p for p in found if p.suffix in (".py", ".json") and p.is_file()]
    return answers, [_readable(p) for p in found if p not in answers]


def _readable(path: Path) -> str:
    """A file's name as text, although it may be bytes that are none."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def grade(graph: Recorded, points: Mapping[str, float], answers: Sequence[Path], seconds: float, memory: float) -> list[Grade]:
    """Judge every answer against a graph; `points` are by target, `memory` is in megabytes.

    Raises BadOperand if the limits are below what a trial answer needs that computes nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved, trial = Path(folder) / "graph.npz", Path(folder) / "trial.json"
        save(saved, {"root": graph.root, "names": dict(graph.by_name), "numbers": dict(graph.numbers)})
        trial.write_text(json.dumps({target if "/" in target else f"{target} =": "1" for target in points}), encoding="utf-8")
        if why := _run(trial, saved, Path(folder), seconds, memory).failure:
            limits = f"the limits of {seconds:g} s and {memory:g} MB are too low for this exercise"
            raise BadOperand(f"{limits}: a trial answer that computes nothing failed, for {why}")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            graded = list(pool.map(lambda p: _run(p, saved, Path(folder), seconds, memory), answers))
    for g in graded:
        status = {target: g.status_of(target) for target in points}
        g.score = sum(n for target, n in points.items() if status[target] in (RIGHT, CARRIED))
        g.missing = [target for target in points if status[target] == MISSING]
        g.undecided = [target for target in points if status[target] == UNDECIDED]
    return graded


def points_of(graph: Recorded, worth: Mapping[str, float]) -> dict[str, float]:
    """Points by target; without any said, one for the gradient of each variable that has a name."""
    if not worth:
        return {f"d{graph.root_name}/d{s.name}": 1.0 for s in graph.sources if s.node is not None and s.node.active and s.name}
    found = {}
    for label, n in worth.items():
        goal = goal_of_label(graph, label)
        if goal is None:
            raise BadOperand(f"points are given for {label!r}, which is nothing in the graph; it has {', '.join(graph.names.values())}")
        found[goal.text] = float(n)
    return found


# ---------------------------------------------------------------- one process for each answer


def _run(answer: Path, saved: Path, folder: Path, seconds: float, memory: float) -> Grade:
    """Judge one answer in a process of its own."""
    name = _readable(answer)
    scratch = Path(tempfile.mkdtemp(dir=folder))
    out, own = scratch / "report.json", scratch / "own"  # an answer may do what it likes to the folder it runs in
    own.mkdir()
    paths = os.pathsep.join(filter(None, (str(PACKAGE), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "autodiff.checking.answer", *map(str, (saved, answer.resolve(), out)), f"{seconds:g}", f"{memory:g}"]
    with open(scratch / "said", "wb") as said:
        child = subprocess.Popen(
            command, cwd=own, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=os.name == "posix"
        )
        try:
            code: int | None = child.wait(seconds + START)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(child)
    if not out.is_file():
        why, rest = _why(code, seconds, memory, scratch / "said")
        return Grade(name, failure=why + rest, kind=why)
    try:
        found = json.loads(out.read_text(encoding="utf-8"))
    except ValueError:  # of bytes that are no text as well
        return Grade(name, failure="its report was cut off", kind="its report was cut off")
    return Grade(name, **found)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End an answer's process with whatever it has started."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # its own session, so its own group
    child.kill()
    child.wait()


def _why(code: int | None, seconds: float, memory: float, said: Path) -> tuple[str, str]:
    """Why a process ended without a report, and what more there is to say."""
    if code is None or -code in (getattr(signal, "SIGALRM", 0), getattr(signal, "SIGXCPU", 0)):
        return f"it ran longer than {seconds:g} s", ""
    if -code == getattr(signal, "SIGXFSZ", 0):
        return "it wrote too much", ""
    if code < 0:
        return f"it crashed ({signal.Signals(-code).name})", f"; the limit of memory is {memory:g} MB"
    with open(said, "rb") as file:
        file.seek(max(0, said.stat().st_size - 2000))
        last = file.read().decode("utf-8", "replace").strip().splitlines()
    return "it ended itself", f" with exit code {code}{f': {last[-1][:200]}' if last and code else ''}"


# ---------------------------------------------------------------- what is written


def summary(graded: Sequence[Grade]) -> str:
    """The class in a few lines: how many are right, and the mistakes that several made, most common first."""
    lines = [f"{sum(g.ok for g in graded)} of {len(graded)} answers are right"]
    made: dict[tuple[str, str], list[Grade]] = {}
    for g in graded:
        if g.first:
            apart = g.first["sentence"] if g.first["mistake"] == Mistake.UNREADABLE.value else ""  # no two failures are alike
            made.setdefault((g.first["mistake"], apart), []).append(g)
    for (code, _), whose in sorted(made.items(), key=lambda item: (-len(item[1]), item[0])):
        sentence = Counter(_first_line(g.first["sentence"]) for g in whose).most_common(1)[0][0]
        lines.append(f"{len(whose)} of {len(graded)}: {Mistake(code).meaning}; {sentence} ({_names(whose)})")
    if unclear := [g for g in graded if g.undecided]:
        lines.append(f"{len(unclear)} of {len(graded)} are undecided in part; their reports say why ({_names(unclear)})")
    failed: dict[str, list[Grade]] = {}
    for g in graded:
        if g.failure:
            failed.setdefault(g.kind, []).append(g)
    for kind, whose in sorted(failed.items(), key=lambda item: -len(item[1])):
        lines.append(f"{len(whose)} of {len(graded)} could not be judged: {whose[0].brief if len(whose) == 1 else kind} ({_names(whose)})")
    return "\n".join(lines)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _names(whose: Sequence[Grade]) -> str:
    return ", ".join([*(g.name for g in whose[:6]), *(["..."] if len(whose) > 6 else [])])


def write(graded: Sequence[Grade], points: Mapping[str, float], folder: Path) -> None:
    """One report for each answer as .txt and .html, and the class as summary.csv, summary.json and summary.txt.

    Of an earlier run into the same folder nothing stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    for g in graded:
        (folder / f"{g.name}.txt").write_text(f"{g.text or g.failure}\n", encoding="utf-8")
        body = g.html or f"<pre>{html.escape(g.failure)}</pre>"
        (folder / f"{g.name}.html").write_text(_PAGE.format(title=html.escape(g.name), body=body), encoding="utf-8")
    (folder / "summary.txt").write_text(summary(graded) + "\n", encoding="utf-8")
    (folder / "summary.csv").write_text(table(graded, points), encoding="utf-8", newline="")
    rows = [
        {"answer": g.name, "ok": g.ok, "score": g.score, "of": sum(points.values()), "failure": g.failure, "report": g.report}
        for g in graded
    ]
    text = json.dumps({"summary": summary(graded).splitlines(), "answers": rows}, indent=2, ensure_ascii=False)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def _clear(folder: Path) -> None:
    """Remove the reports of the answers that an earlier summary lists."""
    try:
        names = [Path(row["answer"]).name for row in json.loads((folder / "summary.json").read_text(encoding="utf-8"))["answers"]]
    except (OSError, ValueError, LookupError, TypeError):  # there is none, or it is somebody else's
        return
    for name in names:
        for form in ("txt", "html"):
            (folder / f"{name}.{form}").unlink(missing_ok=True)


_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>\n'
)


def table(graded: Sequence[Grade], points: Mapping[str, float]) -> str:
    """The class as CSV: a row for each answer, with its points and how each target came out."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["answer", "score", "of", "ok", "first wrong", "mistake", "sentence", "failure", *points])
    for g in graded:
        first = g.first
        said = [
            g.name,
            f"{g.score:g}",
            f"{sum(points.values()):g}",
            g.ok,
            first.get("label", ""),
            first.get("mistake", ""),
            _first_line(first.get("sentence", "")),
        ]
        rows.writerow([*said, g.brief, *(g.status_of(target) for target in points)])
    return out.getvalue()
