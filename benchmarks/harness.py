"""Fair timing: each peer in a process of its own, all on one thread of one CPU, slices in turn, and the ratios.

The speed of a machine wanders by half within a minute, so an absolute time means little.  Here the
peers of one case take turns, a short slice each, round after round, and what is reported is how their
times compare within that one run.  A peer is timed only after its output agreed with a closed form.

This file knows no workload, and nothing here asserts a time: budgets are shown beside the ratios.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import repeat
from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")
DISTRIBUTIONS = ("autodiff-graph", "numpy", "micrograd", "autograd", "torch", "jax", "jaxlib")


class Peer:
    """One library's way of doing a workload; adapters override everything here but `facts`.

    An adapter is made in its own process from what a case gives, and imports its library there.
    """

    name = ""
    needs: tuple[str, ...] = ()
    tolerance = 1e-9

    def __init__(self, given: Any) -> None:
        raise NotImplementedError

    def step(self) -> Any:
        """What is timed; it may return anything that `result` understands."""
        raise NotImplementedError

    def result(self, outcome: Any) -> list[Any]:
        """The numbers that a step computed, in the order of `expected`."""
        raise NotImplementedError

    def expected(self) -> list[Any]:
        """The same numbers by a closed form; asked for before the first step."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What is worth telling besides the time, asked for after the last slice."""
        return {"garbage": garbage(self)}


@dataclass(frozen=True)
class Case:
    """One setting of a workload; `given` goes to the adapters, `peers` are the names of those that take part (all if empty)."""

    name: str
    given: Any
    rounds: int
    seconds: float  # how long a slice should last; 0 for a single step
    budgets: dict[str, str] = field(default_factory=dict)  # by peer, in words
    peers: tuple[str, ...] = ()

    def takes(self, peer: str) -> bool:
        """Whether the peer of that name takes part."""
        return not self.peers or peer in self.peers


@dataclass
class Row:
    """One line of the table: a peer's slices (seconds per step) in one case, and how they compare with the baseline's."""

    case: str
    peer: str
    slices: list[float]
    ratio_of_minima: float | None
    ratio_of_medians: float | None
    budget: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Result:
    """What one workload gave; `skipped` and `wrong` say in a sentence each why a peer has no row."""

    key: str
    title: str
    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Failure(Exception):
    """A peer could not do its part."""


class WrongOutput(Failure):
    """A peer's numbers are not those of the closed form."""


# ---------------------------------------------------------------- in the peer's process


def prepare(kind: type[Peer], case: Case) -> tuple[Peer, int]:
    """A peer whose output has been checked, and how many of its steps make one slice; raises WrongOutput."""
    peer = kind(case.given)
    expected = peer.expected()
    found = peer.result(peer.step())
    worst = max(map(_difference, found, expected))
    if len(found) != len(expected) or not worst <= peer.tolerance:
        raise WrongOutput(f"its output differs from the closed form by {worst:.1e} of the largest entry")
    return peer, _steps_per_slice(peer, case.seconds)


def _difference(found: Any, expected: Any) -> float:
    a, b = np.ravel(np.asarray(found, float)), np.ravel(np.asarray(expected, float))
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b))) if a.shape == b.shape else np.inf


def _steps_per_slice(peer: Peer, seconds: float) -> int:
    number = 1
    while seconds:
        elapsed = number * slice_time(peer, number)
        if elapsed > seconds / 4:
            return max(1, round(number * seconds / elapsed))
        number *= 2
    return number


def slice_time(peer: Peer, number: int) -> float:
    """Seconds per step over `number` steps."""
    step = peer.step
    if not gc.isenabled():
        gc.collect()  # or garbage would pile up; where the collector is on, it runs when it would in a user's loop
    start = perf_counter()
    for _ in repeat(None, number):
        step()
    return (perf_counter() - start) / number


def garbage(peer: Peer) -> int:
    """How many objects one step leaves for the cyclic collector once its outcome is dropped."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    peer.step()
    left = gc.collect()
    if was_on:
        gc.enable()
    return left


def serve(pipe: Connection, kind: type[Peer]) -> None:
    """The life of a peer's process: prepare a case, run slices when told, tell the facts; until None comes."""
    peer: Any = None
    number = 1
    while (message := pipe.recv()) is not None:
        try:
            reply: Any = True
            if isinstance(message, Case):
                peer = None  # the last case's memory goes first
                peer, number = prepare(kind, message)
            elif message == "slice":
                reply = slice_time(peer, number)
            else:
                reply = peer.facts()
        except WrongOutput as error:
            reply = error
        except Exception as error:  # whatever a library may raise is reason to skip it, not to end the run
            reply = Failure(f"{type(error).__name__}: {error}")
        pipe.send(reply)


# ---------------------------------------------------------------- in the process that directs them


class Worker:
    """A peer's process, seen from outside."""

    def __init__(self, kind: type[Peer]) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = kind.name
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, kind), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, message: Any) -> Any:
        """Send a message and wait for the answer; raises Failure."""
        try:
            self._pipe.send(message)
            reply = self._pipe.recv()
        except (EOFError, OSError):
            raise Failure("its process died") from None
        if isinstance(reply, Failure):
            raise reply
        return reply

    def close(self) -> None:
        """End the process."""
        with suppress(OSError):  # it may have ended already
            self._pipe.send(None)
        self._process.join()


def one_thread_one_cpu() -> int | None:
    """Bind this process and those it starts to one thread of one CPU; the CPU's number, None where the system cannot."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    if not hasattr(os, "sched_setaffinity"):
        return None
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    return cpu


def run(key: str, title: str, peers: Sequence[type[Peer]], cases: Sequence[Case]) -> Result:
    """Time the peers in every case; the first one is the baseline of the ratios."""
    result = Result(key, title)
    workers = []
    for kind in peers:
        absent = missing(kind.needs)
        if absent:
            result.skipped.append(f"{kind.name}: {absent} is not installed")
        elif any(case.takes(kind.name) for case in cases):
            workers.append(Worker(kind))
    try:
        for case in cases:
            print(f"{key} {case.name} ...", file=sys.stderr, flush=True)
            result.rows += _run_case(case, peers[0].name, workers, result)
    finally:
        for worker in workers:
            worker.close()
    return result


def missing(modules: Sequence[str]) -> str | None:
    """The first of the modules that is not installed, None if all are."""
    return next((m for m in modules if find_spec(m) is None), None)


def _run_case(case: Case, baseline: str, workers: list[Worker], result: Result) -> list[Row]:
    def attempt(worker: Worker, message: Any) -> Any:
        try:
            return worker.ask(message)
        except WrongOutput as error:
            result.wrong.append(f"{worker.name}, {case.name}: {error}")
        except Failure as error:
            result.skipped.append(f"{worker.name}, {case.name}: {error}")
        return None

    able = [worker for worker in workers if case.takes(worker.name) and attempt(worker, case)]
    timed: dict[str, list[float]] = {worker.name: [] for worker in able}
    for _ in range(case.rounds):
        for worker in list(able):
            seconds = attempt(worker, "slice")
            if seconds is None:
                able.remove(worker)
                del timed[worker.name]
            else:
                timed[worker.name].append(seconds)
    return compare(case, baseline, timed, {worker.name: attempt(worker, "facts") or {} for worker in able})


def compare(case: Case, baseline: str, timed: dict[str, list[float]], facts: dict[str, dict[str, Any]]) -> list[Row]:
    """The rows of one case from each peer's slices; without the baseline's there are no ratios."""
    base = timed.get(baseline)
    return [
        Row(
            case.name,
            peer,
            slices,
            min(slices) / min(base) if base else None,
            median(slices) / median(base) if base else None,
            case.budgets.get(peer, ""),
            facts.get(peer, {}),
        )
        for peer, slices in timed.items()
    ]


# ---------------------------------------------------------------- what comes out


def show_time(seconds: float) -> str:
    """Three digits and a unit.

    >>> show_time(0.0123), show_time(4.56e-6)
    ('12.3 ms', '4.56 us')
    """
    unit, size = ("s", 1.0) if seconds >= 1 else ("ms", 1e-3) if seconds >= 1e-3 else ("us", 1e-6)
    return f"{seconds / size:#.3g}".rstrip(".") + f" {unit}"


def show_ratio(ratio: float | None) -> str:
    """Two decimals below 10, one below 100, then none; nothing for None.

    >>> show_ratio(1.234), show_ratio(43.21), show_ratio(1234.5)
    ('1.23', '43.2', '1234')
    """
    return "" if ratio is None else f"{ratio:.{2 if ratio < 10 else 1 if ratio < 100 else 0}f}"


def table(result: Result) -> str:
    """The workload as aligned text: ratios to the first peer, times, facts, budgets, and who was skipped."""
    extra = list(dict.fromkeys(key for row in result.rows for key in row.facts))
    lines = [["case", "peer", "ratio of minima", "of medians", "min", "median", *extra, "budget"]]
    for i, row in enumerate(result.rows):
        lines.append(
            [
                row.case if i == 0 or row.case != result.rows[i - 1].case else "",
                row.peer,
                show_ratio(row.ratio_of_minima),
                show_ratio(row.ratio_of_medians),
                show_time(min(row.slices)),
                show_time(median(row.slices)),
                *(str(row.facts.get(key, "")) for key in extra),
                row.budget,
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = {0, 1, len(widths) - 1}  # words stand at the left of their column, numbers at the right
    text = [
        "  ".join(cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines
    ]
    notes = [f"skipped: {s}" for s in result.skipped] + [f"WRONG: {w}" for w in result.wrong]
    return "\n".join([f"{result.key}  {result.title}", *text, *notes])


def report(results: Sequence[Result], quick: bool, cpu: int | None) -> dict[str, Any]:
    """Everything as plain data for JSON: the results, and the versions and the machine they hold for."""
    return {
        "quick": quick,
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cpus": os.cpu_count(), "pinned to cpu": cpu},
        "versions": {"python": platform.python_version(), **_versions()},
        "workloads": [asdict(result) for result in results],
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
