"""The command `python -m nets`: train, prove, draw, derive, predict; without a command, the demonstration.

The demonstration trains the exercise's network on real digits, proves every gradient, draws the graph and
writes a report.  What a run is stands in run.py, its page in report.py; here are words in and words out.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import autodiff as ad

from . import data, plots
from .data import digits, one_hot
from .extras import need
from .losses import cross_entropy
from .optim import SGD
from .prove import Proof, prove, prove_model
from .run import (
    DEFAULTS,
    PROVEN_ON,
    Refused,
    Run,
    Trained,
    hardest,
    load_run,
    measured,
    model_of,
    newest_run,
    parts_of,
    pictures,
    reserve,
    told,
    train_run,
    write_json,
)
from .train import Diverged, OtherSettings, fit, predict, read_checkpoint
from .two_layer import ByRows, TwoLayer

DEMONSTRATION = {"seed": 0, "epochs": 40, "hidden": 64, "batch": 8, "lr": 1.0}  # its options and their defaults
EXTRAS = ("sklearn", "tqdm", "matplotlib")  # what the demonstration needs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 well, 1 a result not proven, 2 what was asked cannot be done, 130 stopped by Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    command = argv[0] if argv and not argv[0].startswith("-") else None
    run: Callable[[argparse.Namespace], int] = demonstration
    if command is None:
        parser = _demonstration_parser()
    elif command in COMMANDS:
        run, parser = COMMANDS[command][0], _command_parser(command)
    else:
        _demonstration_parser().error(f"there is no command {command!r}; there are {', '.join(COMMANDS)}")
    options = parser.parse_args(argv[command is not None :])
    try:
        with np.errstate(all="ignore"):  # numbers beyond all bounds are told in sentences
            return run(options)
    except Diverged as error:
        return _sorry(str(error).replace("try a smaller one", "try a smaller --lr"))
    except (Refused, OtherSettings, ModuleNotFoundError, ad.AutodiffError) as error:
        return _sorry(str(error))
    except BrokenPipeError:  # `| head` has read enough
        sys.stderr.close()
        return 0
    except OSError as error:
        return _sorry(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt:
        return _sorry("stopped before the report was written; where there is a checkpoint, train --resume writes it", 130)


# ---------------------------------------------------------------- the demonstration


def demonstration(options: argparse.Namespace) -> int:
    """Train the exercise's network, prove it, and write everything into a folder."""
    for module in EXTRAS:
        need(module)  # before anything is written
    say: Callable[[str], None] = (lambda text: None) if options.quiet else print
    folder = reserve(options.out)
    with tidied(folder):
        began = time.perf_counter()
        examples, held_out = digits().split(seed=options.seed)
        classes = len(examples.classes)
        net = TwoLayer.random(examples.x.shape[1], options.hidden, classes, seed=options.seed)
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

        rows, labels = hardest(ByRows(net), held_out, scores=False)
        x, t = rows.T, one_hot(labels, classes)
        proof = prove(net, x, t, options.seed)
        say(f"the trained net on m = {x.shape[1]} held-out examples\n{proof}\n")

        E = net(x[:, :1], t[:, :1]).E
        E.backward()
        save(ad.draw(E), folder, "graph.svg", "graph.dot", "backprop.html")
        (folder / "training.png").write_bytes(plots.png(plots.learning_curves(history)))
        content = {
            "settings": {name: getattr(options, name) for name in DEMONSTRATION},
            "loss": last.loss,
            "test_accuracy": last.val_accuracy,
            "history": [{"loss": e.loss, "accuracy": e.val_accuracy} for e in history],
        }
        write_json(folder / "report.json", content | told(proof, time.perf_counter() - began))
        return ended(f"{last.val_accuracy:.1%}", proof, folder)


@contextmanager
def tidied(folder: Path) -> Iterator[None]:
    """Whatever comes: a run that learnt nothing leaves nothing."""
    try:
        yield
    finally:
        if not (folder / "checkpoint.npz").exists():
            (folder / "config.json").unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()


def save(picture: Any, folder: Path, *names: str) -> None:
    """Write a picture as several files."""
    for name in names:
        picture.save(folder / name)


def ended(accuracy: str, proof: Proof, folder: Path) -> int:
    """Print the last line of a run; returns the exit code."""
    print(f"test accuracy {accuracy}; {proof.verdict}; {folder}: {', '.join(sorted(p.name for p in folder.iterdir()))}")
    return 0 if proof.ok else 1


# ---------------------------------------------------------------- train


def train(options: argparse.Namespace) -> int:
    """Train a network into a run folder, or go on with one."""
    given = vars(options)
    quiet, resume, out = given.pop("quiet", False), given.pop("resume", None), given.pop("out", None)
    say: Callable[[str], None] = (lambda text: None) if quiet else print
    for module in ("matplotlib",) if quiet else ("matplotlib", "tqdm"):
        need(module)  # now, not after an hour of training
    if resume is not None:
        if out is not None or set(given) - {"epochs", "patience"}:
            raise Refused("--resume goes on with the settings of its folder; only --epochs, --patience and --quiet may be given beside it")
        config, folder = {**load_run(resume).config, **given}, Path(resume)
        done = len(read_checkpoint(folder / "checkpoint.npz")["history"])
        if "epochs" in given and config["epochs"] <= done:
            raise Refused(f"nothing is left to do: {resume} has {done} epochs, and --epochs counts them all; give more to go on")
        if config["epochs"] <= done:
            say(f"nothing is left to learn: all {done} epochs are done, and to go on --epochs must be more; writing the report again")
    else:
        config = {**DEFAULTS, **given}
        if config["optimizer"] == "adam" and config["momentum"]:
            raise Refused("--momentum is for --optimizer sgd; adam has its own")
        folder = reserve(out, Path(config["data"]).stem)
        claim(folder)
    with tidied(folder):
        found = train_run(config, folder, resume=resume is not None, quiet=quiet, say=say)
    if found is None:
        return _sorry(f"stopped; go on with: python -m nets train --resume {folder}", 130)
    return write_run(found, say)


def claim(folder: Path) -> None:
    """Take a reserved folder: of two runs that found it empty at the same time, one goes on."""
    try:
        (folder / "config.json").touch(exist_ok=False)
    except FileExistsError:
        raise Refused(f"another run has begun in {folder}; name another folder with --out") from None


def write_run(run: Trained, say: Callable[[str], None]) -> int:
    """Write report.json, the pictures and the page; returns the exit code."""
    from .report import page

    x, t = hardest(run.model, run.parts.held_out)
    say(f"\nthe gradients on m = {len(x)} held-out examples\n{run.proof}\n")
    numbers, images, folder = measured(run), pictures(run), run.folder
    for name, (_, png) in images.items():
        (folder / name).write_bytes(png)
    drawing = ad.draw(recorded(run.model, x[:1], t[:1]), rankdir="LR")  # a ribbon, which a page is wide enough for, not tall
    save(drawing, folder, "graph.svg", "backprop.html")
    accuracy = f"{numbers['test_accuracy']:.1%}"
    count, _, proven = run.proof.verdict.partition(" results ")
    shown = [
        (f"results {proven}", count),
        (f"of {len(run.parts.test)} test examples right", accuracy),
        ("test loss", f"{numbers['test_loss']:.4f}" if numbers["test_loss"] is not None else "not finite"),
        (f"is the best epoch of {len(run.history)}", str(numbers["best_epoch"])),
        ("parameters", f"{sum(p.size for p in run.model.parameters().values()):,}"),
    ]
    config = {k: v for k, v in run.config.items() if k not in ("nets run", "mean", "std", "low", "high", "versions")} | numbers["versions"]
    title = f"{run.config['model']} on {run.config['data']}"
    try:
        derivation: Any = ad.derive(recorded(run.model, x, t))
    except ad.AutodiffError as error:
        derivation = str(error)
    html = page(title, shown, repr(run.model), images.values(), drawing, derivation, run.proof, config)
    (folder / "report.html").write_text(html, encoding="utf-8")
    write_json(folder / "report.json", numbers)
    return ended(accuracy, run.proof, folder)


# ---------------------------------------------------------------- prove, draw, derive


def subject(options: argparse.Namespace, count: int) -> tuple[Any, Any, Any]:
    """The network that is meant, a run's or an untrained one, and the held-out examples that are hardest for it."""
    given = vars(options)
    if "run" in given and {"data", "model", "seed"} & set(given):
        raise Refused("--run has its own data, model and seed; leave out --data, --model and --seed, or --run")
    if "run" in given:
        run = load_run(given["run"])
        parts, model = parts_of(run.config["data"], run.config["seed"]), run.model
        if parts.train.x.shape[1] != len(run.config["mean"]) or list(parts.train.classes) != run.config["classes"]:
            raise Refused(f"{run.config['data']} has changed since {run.folder} was trained on it")
    else:
        config = {**DEFAULTS, **given}
        parts = parts_of(config["data"], config["seed"])
        model = model_of(config["model"], parts.train.x.shape[1], len(parts.train.classes), config["seed"])
    return model, *hardest(model, parts.held_out, count)


def recorded(model: Any, x: Any, t: Any) -> Any:
    """E of the examples, with gradients."""
    E = cross_entropy(model(x), t)
    model.zero_grad()
    E.backward()
    return E


def prove_command(options: argparse.Namespace) -> int:
    """Print the table of the proof."""
    model, x, t = subject(options, options.examples)
    proof = prove_model(model, x, t)
    print(f"{proof}\n\n{proof.verdict} on m = {len(x)} held-out examples")
    return 0 if proof.ok else 1


def draw_command(options: argparse.Namespace) -> int:
    """Print the graph of examples, or write it."""
    picture = ad.draw(recorded(*subject(options, options.examples)))
    if options.output is None:
        print(picture)
        return 0
    try:
        picture.save(options.output)
    except ValueError as error:
        raise Refused(str(error)) from None
    print(f"{options.output} written")
    return 0


def derive_command(options: argparse.Namespace) -> int:
    """Print the gradients as formulas."""
    derivation = ad.derive(recorded(*subject(options, PROVEN_ON)))
    print(derivation if options.form == "steps" else getattr(derivation, options.form))
    return 0


# ---------------------------------------------------------------- predict


def predict_command(options: argparse.Namespace) -> int:
    """Write class and probabilities for each row of a CSV file, as CSV."""
    folder = vars(options).get("run")
    run = load_run(folder or newest_run())
    if folder is None:
        print(f"the network of {run.folder}", file=sys.stderr)
    classes, (mean, std, low, high) = run.config["classes"], (np.array(run.config[k]) for k in ("mean", "std", "low", "high"))
    try:
        content = data.read_csv(options.file)
        columns = matched(options.file, content, run)
        x = data.numbers_of(options.file, content, columns)
    except ValueError as error:
        raise Refused(str(error)) from None
    strange = np.argwhere((x < low - (high - low)) | (x > high + (high - low)))
    if len(strange):
        i, j = strange[0]
        _sorry(
            f"beware: {options.file}, line {content.lines[i]} has {x[i, j]:g} in column {columns[j] + 1}, far from what the network "
            f"learnt from, {low[j]:g} to {high[j]:g}{f'; so have {len(strange) - 1} more cells' if len(strange) > 1 else ''}"
        )
    p = ad.softmax(predict(run.model, (x - mean) / std), axis=1)
    rows = [["class", *(f"p({c})" for c in classes)], *([classes[row.argmax()], *(f"{v:.6g}" for v in row)] for row in p)]
    try:
        with nullcontext(sys.stdout) if options.output is None else open(options.output, "x", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    except FileExistsError:
        raise Refused(f"{options.output} exists, and is not overwritten; name another file") from None
    return 0


def matched(path: str, content: data.Table, run: Run) -> list[int]:
    """Where the features stand among the columns: by name if both have names, else in order; raises Refused where one is missing."""
    features, count = run.config["features"], len(run.config["mean"])
    if content.names and features:
        missing = [name for name in features if name not in content.names]
        if missing:
            some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise Refused(
                f"{path} has no column {some}; its columns are {', '.join(content.names[:20])}, not those that {run.folder} learnt from"
            )
        return [content.names.index(name) for name in features]
    width = len(content.rows[0])
    if width != count:
        raise Refused(f"{path} has {width} columns, but the network takes {count}; name the columns in the first line to choose among them")
    return list(range(count))


# ---------------------------------------------------------------- what can be asked


class _Parser(argparse.ArgumentParser):
    """argparse, but a wrong value gets one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(_sorry(f"{message} (--help tells what there is)"))


ABOUT = """Without a command: train the exercise's two-layer network on 1,797 real digits, prove
each of its gradients (graph = formula by hand = formula derived from the graph =
differences), and write the graph, the training curve and a report."""
COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "train": (train, "train a network of your choice on data of your choice"),
    "prove": (prove_command, "show that graph = formula = differences"),
    "draw": (draw_command, "draw the graph"),
    "derive": (derive_command, "write the gradients as formulas"),
    "predict": (predict_command, "classify the rows of a CSV file"),
}


def _demonstration_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m nets",
        usage="%(prog)s [command] [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=ABOUT,
        epilog="\n".join(["commands, each with its own --help:", *(f"  {name:<14} {does}" for name, (_, does) in COMMANDS.items())]),
    )
    _add(parser, DEMONSTRATION)
    parser.set_defaults(**DEMONSTRATION)
    _add_writing(parser, "digits")
    return parser


def _command_parser(name: str) -> argparse.ArgumentParser:
    does = COMMANDS[name][1]
    parser = _Parser(prog=f"python -m nets {name}", description=f"{does[0].upper()}{does[1:]}.", argument_default=argparse.SUPPRESS)
    if name == "train":
        _add(parser, DEFAULTS)
        parser.add_argument("--resume", metavar="FOLDER", help="go on with a run that was stopped, or, with --epochs, that ended")
        _add_writing(parser, "<data>")
        return parser
    if name == "predict":
        parser.add_argument("file", help="CSV file with a column for each feature of the data, found by name if the first line names them")
        which, output = "default the newest run below runs/", "new CSV file to write; left out, it is printed"
    else:
        _add(parser, {what: DEFAULTS[what] for what in ("data", "model", "seed")})
        which = "left out, an untrained one of --data and --model"
        output = ".svg, .html (the player), .dot, .txt, .json; else a tree is printed"
    parser.add_argument("--run", metavar="FOLDER", help=f"the trained network of this run; {which}")
    if name in ("predict", "draw"):
        parser.add_argument("-o", "--output", metavar="FILE", default=None, help=output)
    if name in ("prove", "draw"):
        count = PROVEN_ON if name == "prove" else 1
        parser.add_argument("--examples", type=_whole(1, 1000), default=count, help="held-out examples in the batch; default %(default)s")
    if name == "derive":
        forms = parser.add_mutually_exclusive_group()
        for form, what in FORMS.items():
            forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, default="text", help=what)
    return parser


def _add(parser: argparse.ArgumentParser, defaults: dict[str, Any]) -> None:
    """The options of these names, whose helps tell the defaults."""
    for name, default in defaults.items():
        what, how = OPTIONS[name]
        told = "" if default is None else f"; default {default if isinstance(default, str) else format(default, 'g')}"
        parser.add_argument(f"--{name.replace('_', '-')}", help=what + told, **how)


def _add_writing(parser: argparse.ArgumentParser, stem: str) -> None:
    parser.add_argument("--out", metavar="FOLDER", help=f"new or empty folder for the files; default runs/{stem}-<date>-<time>")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, and one line at the end")


def _parsed(read: Callable[[str], Any], right: Callable[[Any], bool], wanted: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        with suppress(ValueError):
            if right(number := read(text)):
                return number
        raise argparse.ArgumentTypeError(f"needs {wanted}, not {text!r}")

    return parse


def _whole(low: int, high: int) -> Callable[[str], Any]:
    return _parsed(int, lambda n: low <= n <= high, f"a whole number from {low} to {high}")


SHARE = _parsed(float, lambda n: 0 <= n < 1, "a number from 0 to below 1")


def _sorry(sentence: str, code: int = 2) -> int:
    print(f"python -m nets: {sentence}", file=sys.stderr)
    return code


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "data": (f"{', '.join(data.BY_NAME)}; a CSV file, the class last; or a folder of IDX files such as MNIST's", {}),
    "model": ("hidden layers, such as sigmoid:64, tanh:16 or relu:32,16; or linear for none", {}),
    "optimizer": ("how steps are made of gradients", {"choices": ("adam", "sgd")}),
    "lr": ("length of a step", {"type": _parsed(float, lambda n: 0 < n < math.inf, "a number larger than 0")}),
    "momentum": ("of sgd", {"type": SHARE}),
    "weight_decay": ("pulls weights towards 0", {"type": SHARE}),
    "epochs": ("passes over the examples in all", {"type": _whole(1, 100_000)}),
    "hidden": ("units in the hidden layer", {"type": _whole(1, 1000)}),
    "batch": ("examples in each step", {"type": _whole(1, 100_000)}),
    "seed": ("of the split, the first weights and the batches", {"type": _whole(0, 2**32 - 1)}),
    "patience": ("stop after that many epochs without a smaller held-out loss", {"type": _whole(1, 100_000)}),
}
FORMS = {"text": "one line a gradient; the default", "steps": "how they come about", "latex": "LaTeX", "numpy": "NumPy code"}


if __name__ == "__main__":
    sys.exit(main())
