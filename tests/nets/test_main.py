"""The command `python -m nets`: what it writes, what it refuses, and that it learns and proves."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from nets import TwoLayer, closed_form, run
from nets import __main__ as command
from nets.data import one_hot
from nets.prove import BY_HAND, Differences, by_derivation, by_differences, by_graph, prove, table

needs_extras = pytest.mark.skipif(
    any(find_spec(module) is None for module in command.EXTRAS), reason="needs scikit-learn, tqdm and matplotlib"
)
SMALL = ["--epochs", "1", "--hidden", "4", "--batch", "100"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_extras
def test_a_small_run_writes_everything(here, capsys):
    assert command.main([*SMALL, "--out", "a/b", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "4 hidden units, seed 3" in out and "epoch 1: loss" in out and "test accuracy" in out
    assert all(name in out for name in BY_HAND)
    assert "9 of 9 results proven" in out and "DIFFER" not in out and "different" not in out
    folder = here / "a" / "b"
    assert sorted(p.name for p in folder.iterdir()) == ["backprop.html", "graph.dot", "graph.svg", "report.json", "training.png"]
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "graph.svg").read_text(encoding="utf-8")
    dot = (folder / "graph.dot").read_text(encoding="utf-8")
    assert "digraph" in dot and all(name in dot for name in ("W1", "z1", "y1", "W2", "z2", "y2"))


@needs_extras
def test_the_report_holds_settings_history_and_proof(here):
    assert command.main([*SMALL, "--out", "a", "--quiet"]) == 0
    report = json.loads((here / "a" / "report.json").read_text(encoding="utf-8"))
    assert report["settings"] == {"seed": 0, "epochs": 1, "hidden": 4, "batch": 100, "lr": 1.0}
    assert [set(epoch) for epoch in report["history"]] == [{"loss", "accuracy"}]
    assert report["test_accuracy"] == report["history"][-1]["accuracy"]
    assert [row["result"] for row in report["proof"]] == list(BY_HAND)
    for row in report["proof"]:
        assert row["proven"]
        assert row["graph_and_hand"]["verdict"] in ("identical", "rounding only")
        derived = row["graph_and_derived"]
        assert (derived is None) == (row["derived"] is None) == (row["result"] in ("E", "dy1/dz1"))
        assert derived is None or derived["verdict"] in ("identical", "rounding only")
        numeric = row["graph_and_differences"]
        assert numeric is None if row["result"] == "E" else numeric["agree"] and numeric["error"] <= numeric["bar"]


@needs_extras
def test_quiet_says_one_line(here, capsys):
    assert command.main([*SMALL, "--out", "a", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 and "report.json" in out and not err


@needs_extras
def test_runs_of_one_seed_are_alike(here):
    reports = []
    for name in ("a", "b"):
        assert command.main([*SMALL, "--out", name, "--quiet"]) == 0
        reports.append(json.loads((here / name / "report.json").read_text(encoding="utf-8")))
        del reports[-1]["seconds"]
    assert reports[0] == reports[1]
    assert (here / "a" / "graph.svg").read_bytes() == (here / "b" / "graph.svg").read_bytes()


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--seed", "x"], "--seed: needs a whole number from 0"),
        (["--seed", "-1"], "--seed: needs a whole number from 0"),
        (["--epochs", "0"], "--epochs: needs a whole number from 1"),
        (["--epochs", "1.5"], "--epochs: needs a whole number from 1"),
        (["--hidden", "0"], "--hidden: needs a whole number from 1 to 1000"),
        (["--hidden", "1000000000"], "--hidden: needs a whole number from 1 to 1000"),
        (["--batch", "-3"], "--batch: needs a whole number from 1"),
        (["--lr", "0"], "--lr: needs a number larger than 0, not '0'"),
        (["--lr", "nan"], "--lr: needs a number larger than 0, not 'nan'"),
        (["--lr", "inf"], "--lr: needs a number larger than 0, not 'inf'"),
        (["--lr", "fast"], "--lr: needs a number larger than 0, not 'fast'"),
        (["--epoch5"], "unrecognized arguments: --epoch5"),
        (["--out"], "--out: expected one argument"),
    ],
)
def test_bad_values_get_a_sentence(argv, says, here, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(argv)
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and says in err and len(err.splitlines()) == 1 and not out
    assert not list(here.iterdir())


def test_help_tells_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(option in out for option in ("--seed", "--epochs", "--hidden", "--batch", "--lr", "--out", "--quiet"))


@pytest.mark.parametrize(("module", "package"), [("sklearn", "scikit-learn"), ("tqdm", "tqdm"), ("matplotlib", "matplotlib")])
def test_a_missing_extra_gets_a_sentence(module, package, here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert command.main([]) == 2
    err = capsys.readouterr().err
    assert err == f'python -m nets: {package} must be installed for this: pip install "autodiff-graph[nets]"\n'
    assert not list(here.iterdir())


@needs_extras
def test_the_files_of_an_earlier_run_stay(here, capsys):
    (here / "a").mkdir()
    (here / "a" / "report.json").write_text("precious")
    assert command.main([*SMALL, "--out", "a"]) == 2
    err = capsys.readouterr().err
    assert "a is not empty" in err and len(err.splitlines()) == 1
    assert (here / "a" / "report.json").read_text() == "precious" and len(list((here / "a").iterdir())) == 1


@needs_extras
def test_a_folder_that_cannot_be_made_gets_a_sentence(here, capsys):
    (here / "file").write_text("")
    assert command.main([*SMALL, "--out", "file/a"]) == 2
    assert capsys.readouterr().err == "python -m nets: Not a directory: file/a\n"


def test_runs_of_one_second_get_folders_of_their_own(here, monkeypatch):
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 12, 0, 0)

    monkeypatch.setattr(run, "datetime", Noon)
    folders = [command.reserve(None) for _ in range(3)]
    assert [str(f) for f in folders] == [str(Path("runs", f"digits-20260102-120000{end}")) for end in ("", "-2", "-3")]


@needs_extras
def test_a_diverging_run_says_so_and_leaves_nothing(here, capsys):
    assert command.main([*SMALL, "--lr", "1e9", "--epochs", "30", "--out", "a"]) == 2
    err = capsys.readouterr().err
    assert "steps of lr = 1e+09 are too long, perhaps; try a smaller --lr. The first" in err and err.endswith(".\n")
    assert not (here / "a").exists()


@needs_extras
def test_a_report_is_whole_or_absent(here, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device", "report.json")

    monkeypatch.setattr(os, "replace", full)
    assert command.main([*SMALL, "--out", "a"]) == 2
    assert capsys.readouterr().err == "python -m nets: No space left on device: report.json\n"
    assert not (here / "a" / "report.json").exists()


@needs_extras
def test_a_wrong_formula_fails_the_run(here, monkeypatch, capsys):
    right = closed_form.dE_dW2
    monkeypatch.setattr("nets.closed_form.dE_dW2", lambda *args: right(*args) * 5)
    assert command.main([*SMALL, "--out", "a", "--quiet"]) == 1
    assert "8 of 9 results proven" in capsys.readouterr().out
    report = json.loads((here / "a" / "report.json").read_text(encoding="utf-8"))
    assert [row["result"] for row in report["proof"] if not row["proven"]] == ["dE/dW2"]


# ---------------------------------------------------------------- the proof


def small_net(**options):
    net = TwoLayer.random(4, 5, 3, **options)
    rng = np.random.default_rng(0)
    return net, rng.normal(size=(4, 2)), one_hot(np.array([2, 0]), 3)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_the_proof_of_a_small_net(biases, fused):
    net, x, t = small_net(biases=biases, fused=fused)
    proof = prove(net, x, t)
    rows = proof.rows
    assert proof.ok and not proof.note and [row.name for row in rows] == list(BY_HAND)[: 9 if biases else 7]
    assert rows[0].differences is None and all(r.differences.entries == r.differences.of for r in rows[1:])
    lines = table(rows).splitlines()
    assert len(lines) == 2 * len(rows) - 1  # E and dy1/dz1 have no derived formula
    assert lines[6].startswith("dE/dW2   by hand  (y2 - t) y1^T / m ") and lines[7].startswith("         derived  (y2 - t) @ y1.T / m ")


def test_the_derived_formulas_of_a_small_net():
    net, x, t = small_net()
    run = net(x, t)
    derived = by_derivation(net, run, by_graph(net, run))
    assert {name: d.text for name, d in derived.items()} == {
        "dE/dz2": "(y2 - t) / m",
        "dE/dy1": "W2.T @ (y2 - t) / m",
        "dE/dW2": "(y2 - t) @ y1.T / m",
        "dE/dz1": "(W2.T @ (y2 - t)) * y1 * (1 - y1) / m",
        "dE/dW1": "((W2.T @ (y2 - t)) * y1 * (1 - y1)) @ x.T / m",
        "dE/db2": "(y2 - t).sum(1, keepdims=True) / m",
        "dE/db1": "((W2.T @ (y2 - t)) * y1 * (1 - y1)).sum(1, keepdims=True) / m",
    }


def test_a_derived_formula_that_differs_is_not_proven():
    net, x, t = small_net()
    run = net(x, t)
    spoilt = {name: g * (1 + 1e-7) for name, g in by_graph(net, run).items()}
    assert {d.closed.verdict for d in by_derivation(net, run, spoilt).values()} == {"different"}
    row = prove(net, x, t).rows[3]
    assert row.ok and not replace(row, derived=by_derivation(net, run, spoilt)["dE/dW2"]).ok


@pytest.mark.parametrize("factor", [1 + 1e-7, -1.0, np.nan])
def test_differences_bite(factor):
    net, x, t = small_net()
    run = net(x, t)
    spoilt = {name: g * factor for name, g in by_graph(net, run).items()}
    found = by_differences(net, run, spoilt, np.random.default_rng(0))
    assert len(found) == 8 and not any(d.ok for d in found.values())


def test_a_large_result_is_sampled(monkeypatch):
    net, x, t = small_net()
    monkeypatch.setattr("nets.prove.MOST_ENTRIES", 12)
    row = next(row for row in prove(net, x, t).rows if row.name == "dE/dW1")
    assert row.ok and (row.differences.entries, row.differences.of) == (12, 20)
    assert str(row.differences).startswith("agree (12 of 20 entries, off by ")


def test_differences_say_when_they_differ():
    assert str(Differences(3, 3, 0.5, 1e-9)) == "DIFFER (3 entries, off by 5e-01, error bar 1e-09)"


SATURATED = [
    ("W2", 1e4, "y2 is 0 in 4 of its 6 entries. The first number that is not finite is -inf at entry (1, 0) of the result of log, from y2"),
    ("W1", 1e4, "5 of the 10 entries of the result of exp are not finite. The first number that is not finite is inf at entry"),
    ("b2", 1e9, "y2 is 0 in "),
]


def saturated(name, factor):
    net, x, t = small_net()
    p = net.parameters()[name]
    p.data = factor * (p.data if np.any(p.data) else np.arange(p.size).reshape(p.shape))
    return net, x, t


@pytest.mark.parametrize(("name", "factor", "says"), SATURATED)
def test_saturated_numbers_are_told_and_right_formulas_still_proven(name, factor, says):
    net, x, t = saturated(name, factor)
    before = {n: np.array(p.data) for n, p in net.parameters().items()}
    proof = prove(net, x, t)  # no warning either: they are errors here
    assert proof.note.startswith("The numbers of this network are saturated: ") and says in proof.note
    assert "the same network with every parameter divided by 2**" in proof.note and str(proof).startswith(proof.note)
    assert (
        proof.verdict == "9 of 9 results proven with smaller parameters"
        and "inf" not in table(proof.rows)
        and "nan" not in table(proof.rows)
    )
    assert all(np.array_equal(p.data, before[n]) for n, p in net.parameters().items())


@pytest.mark.parametrize(("name", "factor", "says"), SATURATED)
@pytest.mark.parametrize("factor_of_formula", [5, -1, 1 + 1e-7])
def test_a_wrong_formula_is_wrong_for_saturated_numbers_too(name, factor, says, factor_of_formula, monkeypatch):
    right = {f: getattr(closed_form, f) for f in ("dE_dW2", "dE_dW1")}
    for f in right:
        monkeypatch.setattr(closed_form, f, lambda *args, f=f: right[f](*args) * factor_of_formula)
    proof = prove(*saturated(name, factor))
    assert [row.name for row in proof.rows if not row.ok] == ["dE/dW2", "dE/dW1"] and not proof.ok
    assert all(row.closed.verdict == "different" for row in proof.rows if not row.ok)


def test_what_is_not_finite_at_all_is_not_proven():
    net, x, t = saturated("W1", np.inf)
    with np.errstate(invalid="ignore"), pytest.raises(ad.NonFinite, match="W1 of the network is not finite in 20 of its 20 entries"):
        prove(net, x, t)


# ---------------------------------------------------------------- the real thing


@pytest.mark.slow
@needs_extras
@pytest.mark.parametrize("seed", range(5))
def test_the_defaults_reach_96_percent(seed, here, capsys):
    assert command.main(["--seed", str(seed), "--out", "a"]) == 0
    report = json.loads((here / "a" / "report.json").read_text(encoding="utf-8"))
    assert report["test_accuracy"] >= 0.96
    assert report["seconds"] < 60
    assert "9 of 9 results proven" in capsys.readouterr().out
