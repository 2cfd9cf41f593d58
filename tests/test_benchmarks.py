"""The benchmarks' harness: its ratios, its check of outputs, and one short run; no test here asserts a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chain, drawing, harness, scalars, tensors
from benchmarks.harness import Case, Peer, Result

ROOT = Path(__file__).parent.parent


def test_the_table_of_ratios() -> None:
    case = Case("small", None, rounds=3, seconds=0, budgets={"ours": "at most 2x"})
    rows = harness.compare(case, "floor", {"floor": [2e-6, 4e-6, 3e-6], "ours": [5e-6, 3e-6, 9e-6]}, {"ours": {"garbage": 0}})
    assert [(row.peer, row.ratio_of_minima, row.ratio_of_medians) for row in rows] == [("floor", 1, 1), ("ours", 1.5, 5 / 3)]
    assert harness.table(Result("T0", "an example", rows, ["other: it is not installed"])).splitlines() == [
        "T0  an example",
        "case   peer   ratio of minima  of medians      min   median  garbage  budget",
        "small  floor             1.00        1.00  2.00 us  3.00 us",
        "       ours              1.50        1.67  3.00 us  5.00 us        0  at most 2x",
        "skipped: other: it is not installed",
    ]


def test_without_the_baseline_there_are_times_but_no_ratios() -> None:
    (row,) = harness.compare(Case("small", None, 1, 0), "floor", {"ours": [1.0]}, {})
    assert row.ratio_of_minima is row.ratio_of_medians is None
    assert "1.00 s" in harness.table(Result("T0", "an example", [row]))


class Doubling(Peer):
    """Computes 2 * given, or what `answer` says."""

    name = "doubling"
    answer: Any = None

    def __init__(self, given: float) -> None:
        self.given = given

    def step(self) -> Any:
        return 2 * self.given if self.answer is None else self.answer

    def result(self, outcome: Any) -> list[Any]:
        return [outcome]

    def expected(self) -> list[Any]:
        return [self.given + self.given]


def test_outputs_are_checked_before_a_time_counts() -> None:
    peer, number = harness.prepare(Doubling, Case("three", 3.0, rounds=1, seconds=0))
    assert number == 1
    assert harness.slice_time(peer, 5) > 0
    for wrong in (6.1, float("nan"), [6.0, 6.0]):
        kind = type("Wrong", (Doubling,), {"answer": wrong})
        with pytest.raises(harness.WrongOutput, match="differs from the closed form"):
            harness.prepare(kind, Case("three", 3.0, rounds=1, seconds=0))


def test_garbage_counts_what_only_the_collector_frees() -> None:
    class Cyclic(Doubling):
        def step(self) -> Any:
            loop: list[Any] = []
            loop.append(loop)
            return loop

    assert harness.garbage(Doubling(1.0)) == 0
    assert harness.garbage(Cyclic(1.0)) == 1


def test_an_absent_peer_is_skipped_with_a_word() -> None:
    absent = type("Absent", (Doubling,), {"name": "nobody", "needs": ("no_such_module",)})
    result = harness.run("T0", "an example", [absent], [Case("three", 3.0, rounds=1, seconds=0)])
    assert result.rows == []
    assert result.skipped == ["nobody: no_such_module is not installed"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", [tensors.BestNumpy, tensors.PlainNumpy, tensors.Autodiff])
def test_the_network_by_hand_and_by_us_agree(kind: type[Peer], dtype: str) -> None:
    harness.prepare(kind, Case("small", ("small", dtype), rounds=1, seconds=0))


def test_our_chain_is_right() -> None:
    peer, _ = harness.prepare(chain.Autodiff, Case("short", 100, rounds=1, seconds=0))
    assert peer.facts()["recursion"] == "none"


def test_the_moons_are_two() -> None:
    points, labels = scalars.two_moons(10)
    assert points.shape == (10, 2)
    assert sorted(labels) == [-1] * 5 + [1] * 5


@pytest.mark.slow
def test_a_quick_run_writes_its_report(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "D1", "--json", str(file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    report = json.loads(file.read_text())
    assert run.stdout.startswith("D1  a chain")
    assert report["quick"] is True
    assert {"python", "numpy"} <= report["versions"].keys()
    (workload,) = report["workloads"]
    assert workload["wrong"] == []
    ours = workload["rows"][0]
    assert ours["peer"] == "autodiff"
    assert ours["ratio_of_medians"] == 1
    assert len(ours["slices"]) == 3
    assert ours["facts"]["garbage"] == 0


def test_an_unknown_workload_gets_a_sentence() -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "S9"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "'S9' is no workload; there are S1, T1, D1, P1, C1" in run.stderr


def test_our_pictures_show_the_right_number() -> None:
    for kind in (drawing.Picture, drawing.Page, drawing.Layout):
        for size in (drawing.NETWORKS["64 nodes"], None):
            harness.prepare(kind, Case("small", size, rounds=1, seconds=0))
