"""The command `python -m nets`: train on real digits, prove every gradient, draw the graph, write a report."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import autodiff as ad
from autodiff.checking.ulps import Comparison

from .data import Examples, digits
from .losses import cross_entropy
from .optim import SGD
from .prove import Row, prove, table
from .train import Diverged, History, fit
from .two_layer import ByRows, TwoLayer

EXTRAS = {"sklearn": "scikit-learn", "tqdm": "tqdm", "matplotlib": "matplotlib"}
PROVEN_ON = 5  # held-out examples in the batch of the proof: the hardest ones, whose gradients are not tiny


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 well, 1 a result not proven, 2 what was asked cannot be done."""
    options = _parser().parse_args(argv)
    missing = [package for module, package in EXTRAS.items() if find_spec(module) is None]
    if missing:
        return _sorry(f'{" and ".join(missing)} must be installed for this: pip install "autodiff-graph[nets]"')
    try:
        folder = reserve(options.out)
        try:
            return run(options, folder)
        finally:
            with suppress(OSError):  # a run that wrote nothing leaves nothing
                folder.rmdir()
    except Diverged as error:
        return _sorry(f"{error} (--lr)")
    except OSError as error:
        return _sorry(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt:
        return _sorry("stopped before the report was written", 130)


def run(options: argparse.Namespace, folder: Path) -> int:
    """Train, prove, and write everything into `folder`; returns the exit code."""
    say: Callable[[str], None] = (lambda text: None) if options.quiet else print
    began = time.perf_counter()
    examples, held_out = digits().split(seed=options.seed)
    net = TwoLayer.random(examples.x.shape[1], options.hidden, len(examples.classes), seed=options.seed)
    say(f"{len(examples)} digits to learn from, {len(held_out)} held out; {options.hidden} hidden units, seed {options.seed}")
    history = fit(
        ByRows(net),
        examples,
        held_out=held_out,
        epochs=options.epochs,
        batch=options.batch,
        optimizer=SGD(net, options.lr),
        loss=partial(cross_entropy, from_logits=False),
        seed=options.seed,
        keep_best=False,  # the held-out digits are only for measuring
        quiet=options.quiet,
    )
    if history.stopped == "interrupted":
        raise KeyboardInterrupt
    last = history[-1]
    say(f"epoch {len(history)}: loss {last.loss:.4f}, test accuracy {last.val_accuracy:.1%}\n")

    x, t = hardest(net, held_out.columns(), PROVEN_ON)
    rows = prove(net, x, t, options.seed)
    say(f"the trained net on m = {x.shape[1]} held-out examples\n{table(rows)}\n")

    draw(net, x[:, :1], t[:, :1], folder)
    curve(history, folder / "training.png")
    report(options, history, rows, time.perf_counter() - began, folder / "report.json")
    proven, files = sum(row.ok for row in rows), ", ".join(sorted(p.name for p in folder.iterdir()))
    print(f"test accuracy {last.val_accuracy:.1%}; {proven} of {len(rows)} results proven; {folder}: {files}")
    return 0 if proven == len(rows) else 1


def hardest(net: TwoLayer, examples: Examples, count: int) -> tuple[Any, Any]:
    """The examples, as columns of x and t, on which the net's loss is largest."""
    likelihood = np.sum(examples.t * net.probabilities(examples.x), axis=0)
    chosen = np.argsort(likelihood, kind="stable")[:count]
    return examples.x[:, chosen], examples.t[:, chosen]


def draw(net: TwoLayer, x: Any, t: Any, folder: Path) -> None:
    """Write the graph of these examples, with its gradients, as graph.svg, graph.dot and the player backprop.html."""
    E = net(x, t).E
    E.backward()
    picture = ad.draw(E)
    for name in ("graph.svg", "graph.dot", "backprop.html"):
        picture.save(folder / name)


def curve(history: History, path: Path) -> None:
    """Write the picture of loss and test accuracy over the epochs."""
    from matplotlib.figure import Figure

    epochs = range(1, len(history) + 1)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogy(epochs, [e.loss for e in history], marker="." if len(history) < 10 else None)
    left.set(xlabel="epoch", ylabel="loss E on the training digits")
    right.plot(epochs, [100 * (e.val_accuracy or 0) for e in history], marker="." if len(history) < 10 else None)
    right.set(xlabel="epoch", ylabel="accuracy on the held-out digits, %")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def report(options: argparse.Namespace, history: History, rows: Sequence[Row], seconds: float, path: Path) -> None:
    """Write what was asked, learnt and proven as JSON: the whole file or none."""
    settings = {name: getattr(options, name) for name in ("seed", "epochs", "hidden", "batch", "lr")}
    content = {
        "settings": settings,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "seconds": round(seconds, 3),
        "loss": history[-1].loss,
        "test_accuracy": history[-1].val_accuracy,
        "history": [{"loss": e.loss, "accuracy": e.val_accuracy} for e in history],
        "proof": [_row(row) for row in rows],
    }
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _row(row: Row) -> dict[str, Any]:
    derived, numeric = row.derived, row.differences
    return {
        "result": row.name,
        "by_hand": row.by_hand,
        "derived": derived and derived.text,
        "proven": row.ok,
        "graph_and_hand": _comparison(row.closed),
        "graph_and_derived": derived and _comparison(derived.closed),
        "graph_and_differences": numeric
        and {
            "entries": numeric.entries,
            "of": numeric.of,
            "error": _finite(numeric.error),
            "bar": _finite(numeric.bar),
            "agree": numeric.ok,
        },
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    return {"verdict": found.verdict, "ulps": _finite(found.ulps), "bound": found.bound}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def reserve(wanted: str | None) -> Path:
    """Make the folder for this run's files; raises FileExistsError if the one asked for has files in it."""
    if wanted is not None:
        folder = Path(wanted)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty, and an earlier run is never overwritten; name another folder with --out")
        return folder
    stem = datetime.now().strftime("digits-%Y%m%d-%H%M%S")
    for name in (stem, *(f"{stem}-{k}" for k in range(2, 1000))):
        with suppress(FileExistsError):
            folder = Path("runs", name)
            folder.mkdir(parents=True)
            return folder
    raise FileExistsError(f"runs/{stem} and its successors exist already; name another folder with --out")


class _Parser(argparse.ArgumentParser):
    """argparse, but a wrong value gets one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(_sorry(f"{message} (--help tells what there is)"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m nets",
        description="Train the exercise's two-layer network on 1,797 real digits, prove each of its gradients "
        "(graph = formula by hand = formula derived from the graph = differences), and write the graph, the training curve and a report.",
    )
    parser.add_argument(
        "--seed", type=_whole(0, 2**32 - 1), default=0, help="of the split, the first weights and the batches; default %(default)s"
    )
    parser.add_argument("--epochs", type=_whole(1, 100_000), default=40, help="passes over the training digits; default %(default)s")
    parser.add_argument("--hidden", type=_whole(1, 1000), default=64, help="units in the hidden layer; default %(default)s")
    parser.add_argument(
        "--batch", type=_whole(1, 100_000), default=8, help="examples in each step of gradient descent; default %(default)s"
    )
    parser.add_argument("--lr", type=_positive, default=1.0, help="length of a step, W -= lr * dE/dW; default %(default)s")
    parser.add_argument("--out", metavar="FOLDER", help="new or empty folder for the files; default runs/digits-<date>-<time>")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, and one line at the end")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"needs a whole number from {low} to {high}, not {text!r}")
        return number

    return parse


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"needs a number larger than 0, not {text!r}")
    return number


def _sorry(sentence: str, code: int = 2) -> int:
    print(f"python -m nets: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
