"""Runs of the command line: what was asked, as a config; the data and the model it means; training into a folder; a folder read back.

A run folder holds config.json, the checkpoint, pictures, and report.html, which shows everything.
"""

from __future__ import annotations

import json
import math
import platform
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.persistence import whole

from . import data, optim, plots
from .data import Dataset
from .layers import ACTIVATIONS, Sequential, mlp
from .prove import Proof, Row, prove_model
from .train import History, confusion, evaluate, fit, predict, read_checkpoint
from .watch import Watch

DEFAULTS: dict[str, Any] = {
    "data": "digits",
    "model": "sigmoid:64",
    "optimizer": "adam",
    "lr": 0.01,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "epochs": 40,
    "batch": 32,
    "seed": 0,
    "patience": None,
}
FORMAT = 1  # of config.json
WATCHED = 200  # held-out examples on which layers are watched
PROVEN_ON = 5  # held-out examples in the batch of the proof: the hardest ones, whose gradients are not tiny


class Refused(ValueError):
    """What was asked for cannot be done; the message is for the person at the command line."""


@dataclass(frozen=True)
class Parts:
    """Data as a run uses it: scaled; to learn from, to choose the best epoch by, and to measure with at the end."""

    train: Dataset
    held_out: Dataset
    test: Dataset
    scale: dict[str, Any]  # mean and std of each column, and its smallest and largest value, before scaling


def parts_of(name: str, seed: int) -> Parts:
    """The data that --data means: a set's name, a CSV file, or a folder of IDX files; raises Refused for anything else."""
    try:
        if name in data.BY_NAME:
            rest, test = data.BY_NAME[name]().split(0.2, seed)
        elif name and Path(name).is_dir():
            rest, test = data.idx(name)
        elif Path(name).is_file():
            rest, test = data.from_csv(name).split(0.2, seed)
        else:
            raise Refused(f"--data: {name!r} is none of {', '.join(data.BY_NAME)}, nor a CSV file or a folder of IDX files")
        train, held_out = rest.split(0.2, seed)
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"--data: {error}") from None
    width = train.x.shape[1]
    mean, std = (np.zeros(width), np.ones(width)) if train.image else data.scale_of(train)  # pixels lie between 0 and 1 as they are
    scale = {"mean": mean, "std": std, "low": train.x.min(axis=0), "high": train.x.max(axis=0)}
    return Parts(train.scaled(mean, std), held_out.scaled(mean, std), test.scaled(mean, std), {k: v.tolist() for k, v in scale.items()})


def model_of(spec: str, inputs: int, classes: int, seed: int) -> Sequential:
    """The network that --model means: hidden layers as "relu:32,16", or "linear" for none; raises Refused for anything else."""
    found = re.fullmatch(rf"({'|'.join(ACTIVATIONS)}):(\d+(?:,\d+)*)", spec)
    if spec != "linear" and not found:
        raise Refused(f"--model: {spec!r} is neither linear nor hidden layers such as sigmoid:64, tanh:16 or relu:32,16")
    hidden = [int(n) for n in found[2].split(",")] if found else []
    if any(not 1 <= n <= 10_000 for n in hidden):
        raise Refused(f"--model: a layer has from 1 to 10000 units, not {spec!r}")
    return mlp(inputs, *hidden, classes, activation=found[1] if found else "sigmoid", seed=seed)


@dataclass(frozen=True)
class Run:
    """A trained network with what it needs to be used on new data."""

    folder: Path
    config: dict[str, Any]
    model: Sequential


def load_run(folder: str | Path) -> Run:
    """The run of a folder, with its best parameters; raises Refused where a file is missing or not a run's."""
    folder = Path(folder)
    if not folder.is_dir():
        raise Refused(f"there is no run folder {folder}; name one that `python -m nets train` made")
    for name in ("config.json", "checkpoint.npz"):
        if not (folder / name).is_file():
            raise Refused(f"{folder} is no run folder of `python -m nets train`: {name} is missing")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config["nets run"] > FORMAT:
            raise Refused(f"{folder} is a run of format {config['nets run']}; this program reads formats up to {FORMAT}")
        for key in (*DEFAULTS, "features", "std", "low", "high"):
            config[key]
        model = model_of(config["model"], len(config["mean"]), len(config["classes"]), config["seed"])
        found = read_checkpoint(folder / "checkpoint.npz")
        model.load(found["best"][1] or found["parameters"])
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError):
        raise Refused(f"{folder}: config.json is not what `python -m nets train` wrote") from None
    except (ad.BadFile, ad.ShapeMismatch) as error:
        raise Refused(str(error)) from None
    return Run(folder, config, model)


def newest_run() -> Path:
    """The run folder below runs/ that was written to last; raises Refused if there is none."""
    found = [path.parent for path in Path("runs").glob("*/config.json")]
    if not found:
        raise Refused("there is no run below runs/; train one with `python -m nets train`, or name its folder with --run")
    return max(found, key=lambda folder: (folder / "config.json").stat().st_mtime_ns)


def reserve(wanted: str | None, stem: str = "digits") -> Path:
    """Make the folder for this run's files; raises FileExistsError if the one asked for has files in it."""
    if wanted is not None:
        folder = Path(wanted)
        if folder.is_file():
            raise FileExistsError(f"{folder} is a file; name a folder with --out")
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty, and an earlier run is never overwritten; name another folder with --out")
        return folder
    stem = datetime.now().strftime(f"{stem}-%Y%m%d-%H%M%S")
    for name in (stem, *(f"{stem}-{k}" for k in range(2, 1000))):
        with suppress(FileExistsError):
            folder = Path("runs", name)
            folder.mkdir(parents=True)
            return folder
    raise FileExistsError(f"runs/{stem} and its successors exist already; name another folder with --out")


def write_json(path: Path, content: Any) -> None:
    """Write a file of JSON: the whole file or none."""
    with whole(path) as file:
        file.write(json.dumps(content, indent=1, allow_nan=False).encode())


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    return {"python": platform.python_version(), "numpy": np.__version__}


# ---------------------------------------------------------------- training


@dataclass(frozen=True)
class Trained:
    """All there is to report of a run that ended."""

    folder: Path
    config: dict[str, Any]
    model: Sequential
    parts: Parts
    history: History
    watch: Watch
    proof: Proof
    seconds: float


def train_run(config: dict[str, Any], folder: Path, *, resume: bool, quiet: bool, say: Callable[[str], None]) -> Trained | None:
    """Train what the config asks for, and prove the result; None if Ctrl-C ended it, with the checkpoint in the folder."""
    began = time.perf_counter()
    parts = parts_of(config["data"], config["seed"])
    train = parts.train
    model = model_of(config["model"], train.x.shape[1], len(train.classes), config["seed"])
    config = {**config, "features": train.features, "classes": train.classes, **parts.scale}
    written = {**config, "nets run": FORMAT, "versions": versions()}
    if not resume:
        write_json(folder / "config.json", written)
    say(f"{len(train)} examples to learn from, {len(parts.held_out)} held out, {len(parts.test)} to test on; seed {config['seed']}")
    say(repr(model))
    watch = Watch(model, parts.held_out.take(slice(WATCHED)))
    history = fit(
        model,
        train,
        held_out=parts.held_out,
        epochs=config["epochs"],
        batch=config["batch"],
        optimizer=optimizer_of(config, model),
        seed=config["seed"],
        patience=config["patience"],
        checkpoint=folder / "checkpoint.npz",
        resume=resume,
        each_epoch=watch,
        quiet=quiet,
    )
    if resume:  # not before fit has found the data and the settings to be those of the run
        write_json(folder / "config.json", written)
    if history.stopped == "interrupted":
        return None
    say(f"best epoch {history.best + 1} of {len(history)}: held-out loss {history[history.best].val_loss:.4f}")
    try:
        proof = prove_model(model, *hardest(model, parts.held_out))
    except ad.AutodiffError as error:
        proof = Proof([], f"Not proven: {error}")
    return Trained(folder, config, model, parts, history, watch, proof, time.perf_counter() - began)


def optimizer_of(config: dict[str, Any], model: Sequential) -> optim.Optimizer:
    """SGD or Adam as the config says."""
    if config["optimizer"] == "sgd":
        return optim.SGD(model, config["lr"], config["momentum"], config["weight_decay"])
    return optim.Adam(model, config["lr"], weight_decay=config["weight_decay"])


def hardest(model: Any, examples: Dataset, count: int = PROVEN_ON, *, scores: bool = True) -> tuple[Any, Any]:
    """The examples whose class the model, of scores or else of probabilities, finds least likely; the hardest comes first."""
    y = predict(model, examples.x)
    p = (ad.softmax(y, axis=1) if scores else y)[np.arange(len(examples)), examples.t]
    chosen = np.argsort(p, kind="stable")[:count]
    return examples.x[chosen], examples.t[chosen]


def pictures(run: Trained) -> dict[str, tuple[str, bytes]]:
    """The plots of a run as PNG files: by file name, with what they show."""
    model, parts = run.model, run.parts
    figures = {"learning.png": ("Loss and accuracy", plots.learning_curves(run.history))}
    if parts.train.x.shape[1] == 2:
        figures["regions.png"] = (
            "The regions of the classes as they move, and the test examples (in numbers as the network sees them, scaled)",
            plots.boundaries(model, parts.test, run.watch.parameters),
        )
    figures["layers.png"] = (
        "Inside the network: flat outputs let nearly no gradient pass, dead units are flat for every example",
        plots.layers_over_time(run.watch),
    )
    first = model.parameters()["W1"]
    figures["weights.png"] = ("What the first layer looks at", plots.weights(first, parts.train.image, inputs=parts.train.features))
    figures["confusion.png"] = ("Classes of the test examples", plots.confusion(confusion(model, parts.test), parts.test.classes))
    return {name: (title, plots.png(figure)) for name, (title, figure) in figures.items()}


def measured(run: Trained) -> dict[str, Any]:
    """The numbers of a run, for report.json."""
    test = evaluate(run.model, run.parts.test)
    return {
        "test_loss": finite(test.loss),
        "test_accuracy": test.accuracy,
        "best_epoch": run.history.best + 1,
        "stopped": run.history.stopped,
        "history": [{k: finite(v) for k, v in epoch._asdict().items()} for epoch in run.history],
    } | told(run.proof, run.seconds)


def told(proof: Proof, seconds: float) -> dict[str, Any]:
    """What every report.json tells: the proof, the time, and what the numbers were computed with."""
    rows = [proof_row(row) for row in proof.rows]
    return {"seconds": round(seconds, 3), "proof": rows, "proof_note": proof.note, "versions": versions()}


def proof_row(row: Row) -> dict[str, Any]:
    """One result of a proof as JSON has it."""

    def comparison(found: Any) -> dict[str, Any] | None:
        return found and {"verdict": found.verdict, "ulps": finite(found.ulps), "bound": found.bound}

    derived, numeric = row.derived, row.differences
    return {
        "result": row.name,
        "by_hand": row.by_hand,
        "derived": derived and derived.text,
        "proven": row.ok,
        "graph_and_hand": comparison(row.closed),
        "graph_and_derived": derived and comparison(derived.closed),
        "graph_and_differences": numeric
        and {
            "entries": numeric.entries,
            "of": numeric.of,
            "error": finite(numeric.error),
            "bar": finite(numeric.bar),
            "agree": numeric.ok,
        },
    }


def finite(number: float | None) -> float | None:
    """JSON has no inf and no nan."""
    return number if number is not None and math.isfinite(number) else None
