"""Training: `fit` goes through the examples batch by batch, epoch by epoch, and keeps everything needed to go on later.

A model is anything with `parameters()`, a dict of Tensors by name, that is called with rows of examples
and returns a node with a row for each: a `layers.Module`, `two_layer.ByRows`, or a class of your own.
What a step is stands in optim.py, what is made small in losses.py.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

import autodiff as ad
from autodiff.node import order

from . import losses
from .data import Dataset, batches, class_numbers, dataset_of
from .extras import need, whole_number
from .layers import Module, arrays, assign
from .optim import Adam, Optimizer

VERSION = 1  # of checkpoints
AT_ONCE = 1000  # examples in one forward pass where nothing is learnt

Loss = Callable[[Any, Any], Any]
Metric = Callable[[Any, Any], Any]


class Model(Protocol):
    """What `fit` trains."""

    def parameters(self) -> dict[str, Any]: ...
    def __call__(self, x: Any) -> Any: ...


class Diverged(ArithmeticError):
    """The loss is no finite number any more."""


class OtherSettings(ValueError):
    """A checkpoint was to be resumed with other data, another model or other options than it was made with."""


class Epoch(NamedTuple):
    """How one pass over the examples went; None where it was not measured."""

    loss: float  # mean over the examples, each at the weights it was met with
    accuracy: float | None
    val_loss: float | None  # on the held-out examples, after the epoch
    val_accuracy: float | None
    lr: float  # of the last step


@dataclass(repr=False)
class History:
    """The epochs so far; `best` is the number, from 0, of the one with the smallest loss (held-out, if there is one), -1 before any.

    `stopped` says why training ended: "finished", "patience" or "interrupted"; or "nothing left": a resumed run had ended before.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: int = -1
    stopped: str = ""

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, index: int) -> Epoch:
        return self.epochs[index]

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __repr__(self) -> str:
        best = f", best [{self.best}]: {self[self.best]}" if self.epochs else ""
        return f"History({len(self)} epochs, {self.stopped or 'running'}{best})"


@dataclass
class _Run:
    """Where training stands, between two steps."""

    rng: np.random.Generator
    before: dict[str, Any]  # state of rng at the start of this epoch
    done: int = 0  # batches of this epoch
    total: float = 0.0  # of the loss over the examples of this epoch
    right: int = 0
    lr: float = 0.0  # of the last step
    history: History = field(default_factory=History)
    best: dict[str, Any] = field(default_factory=dict)  # the parameters of the best epoch


# ---------------------------------------------------------------- fit


def fit(
    model: Model,
    data: Any,
    *,
    epochs: int = 20,
    batch: int = 32,
    optimizer: Optimizer | None = None,
    loss: Loss = losses.cross_entropy,
    held_out: Any = None,
    metric: Metric | None = None,
    seed: int = 0,
    patience: int | None = None,
    keep_best: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    each_epoch: Callable[[int], None] | None = None,
    quiet: bool = False,
) -> History:
    """Train a model in place on batches drawn by `seed`, up to `epochs` in all, and tell how each epoch went.

    `data` and `held_out` are Datasets, or pairs (x, t) with a row of x for each example.
    `optimizer` is Adam with its defaults if left out.  `metric(outputs, t)` says which examples are right; left out, it follows from
    the loss (see `metric_of`).  After `patience` epochs without a smaller loss on `held_out` (on `data`, if there is none)
    training ends.  `keep_best`, the default with `held_out`, puts the parameters of the best epoch back at the end.
    `each_epoch` is called with the number of each finished epoch, from 0; one with `state()` and `load(state)`, such as
    `watch.Watch`, is saved and resumed with the rest.  In a terminal a bar shows loss and accuracy, unless `quiet`.

    `checkpoint` is a file (.npz) written after the first epoch, about every second, and at the end, as a whole or not at all;
    with `resume` training goes on from it, to the very bits of a run that never stopped; if it has more epochs than `epochs`
    asks for, a warning says that nothing was left to do.  Ctrl-C ends training after the step
    it is at, saves and returns; a second one raises.

    Raises Diverged, before the step, when the loss is not finite, and says at which node that began; FileExistsError if the
    checkpoint is there and `resume` is not, FileNotFoundError if it is the reverse; ad.BadFile for one that is not whole;
    OtherSettings for one made with others; ModuleNotFoundError without tqdm, unless `quiet`.

    >>> from nets import data, layers
    >>> model = layers.mlp(2, 8, 2, activation="tanh", seed=0)
    >>> history = fit(model, data.xor(), epochs=10, optimizer=Adam(model, lr=0.05), quiet=True)
    >>> history[-1].loss < 0.1 < history[0].loss, evaluate(model, data.xor(seed=1)).accuracy
    (True, 1.0)
    """
    for what, number, least in (("epochs", epochs, 1), ("batch", batch, 1), ("seed", seed, 0)):
        whole_number(what, number, least)
    if patience is not None:
        whole_number("patience", patience, 1)
    data, held_out = dataset_of(data), None if held_out is None else dataset_of(held_out)
    if held_out is not None and held_out.x.shape[1] != data.x.shape[1]:
        raise ad.ShapeMismatch(f"the held-out examples have {held_out.x.shape[1]} numbers each, those to learn from {data.x.shape[1]}")
    _check_model(model)
    optimizer = Adam(model) if optimizer is None else optimizer
    _check_fit(model, loss, optimizer, metric, each_epoch)
    metric = metric_of(loss) if metric is None else metric
    keep_best = held_out is not None if keep_best is None else keep_best
    rng = np.random.default_rng(seed)
    run = _Run(rng, dict(rng.bit_generator.state))
    settings = {} if checkpoint is None else _settings(model, data, held_out, batch, seed, loss, optimizer)
    if checkpoint is not None:
        _check_place(Path(checkpoint), resume)
    if resume:
        if checkpoint is None:
            raise ValueError("resume=True needs checkpoint=, the file to go on from")
        _load(Path(checkpoint), run, model, optimizer, settings, each_epoch)
        if len(run.history) > epochs:
            warnings.warn(
                f"nothing was left to do: {checkpoint} has {len(run.history)} epochs, and epochs={epochs} counts them all; "
                f"to go on, write more than {len(run.history)}",
                stacklevel=2,
            )
        if len(run.history) >= epochs or _out_of_patience(run.history, patience):
            return _ended(run, model, keep_best, "nothing left")
    keeper = _Keeper(checkpoint, lambda: _state(run, model, optimizer, settings, each_epoch))
    steps = -(-len(data) // batch)

    with _bar(epochs * steps, len(run.history) * steps + run.done, quiet) as bar, _ctrl_c() as pressed, np.errstate(all="ignore"):
        while len(run.history) < epochs and not _out_of_patience(run.history, patience):
            for rows in _rest(run, len(data), batch):
                _step(run, model, data.x[rows], data.t[rows], optimizer, loss, metric)
                bar.update()
                if pressed:
                    break
            if run.done == steps:
                _finish_epoch(run, model, len(data), loss, metric, held_out)
                bar.set_postfix(_shown(run.history), refresh=False)
                if each_epoch is not None:
                    each_epoch(len(run.history) - 1)
                keeper.save_now_and_then()
            if pressed:
                break
        keeper.save()
    stopped = "interrupted" if pressed else "finished" if len(run.history) >= epochs else "patience"
    return _ended(run, model, keep_best, stopped)


def _ended(run: _Run, model: Model, keep_best: bool, stopped: str) -> History:
    run.history.stopped = stopped
    if keep_best and run.best:
        assign(model.parameters(), run.best)
    return run.history


def _check_model(model: Any) -> None:
    if isinstance(model, type):
        raise TypeError(f"{model.__name__} is a class of models; fit trains one that is made, {model.__name__}(...)")
    if not callable(getattr(model, "parameters", None)) or not isinstance(model.parameters(), dict):
        raise TypeError(
            f"fit trains a model whose parameters() are a dict of Tensors by name, such as a layers.Module, not {type(model).__name__}"
        )


def _check_fit(model: Any, loss: Any, optimizer: Any, metric: Any, each_epoch: Any) -> None:
    for what, function, wanted in (
        ("loss", loss, "of outputs and targets, such as losses.mse"),
        ("metric", metric or len, "of outputs and targets, such as train.right_class"),
        ("each_epoch", each_epoch or len, "of the number of an epoch, such as a watch.Watch"),
    ):
        if not callable(function):
            raise TypeError(f"{what} is a function {wanted}, not {function!r}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer is made for the model, such as optim.SGD(model, lr=0.1), not {optimizer!r}")
    own = {id(p) for p in model.parameters().values()}
    strange = [name for name, p in optimizer.parameters.items() if id(p) not in own]
    if strange:
        raise ValueError(
            f"the optimiser moves {', '.join(strange)} of another model, and so would not train this one; make it with this model"
        )


def _check_place(checkpoint: Path, resume: bool) -> None:
    """Raises now what would else come after the first epoch."""
    if not checkpoint.parent.is_dir():
        raise FileNotFoundError(f"{checkpoint} cannot be written: there is no folder {checkpoint.parent}")
    if not os.access(checkpoint.parent, os.W_OK):
        raise PermissionError(f"{checkpoint} cannot be written: the folder {checkpoint.parent} is read-only for you")
    if checkpoint.exists() and not resume:
        raise FileExistsError(f"{checkpoint} exists: write resume=True to go on from it, or name another file")
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"there is no checkpoint {checkpoint} to resume; to begin with the first epoch, leave resume=True out")


def _rest(run: _Run, count: int, batch: int) -> Iterator[Any]:
    """The batches of this epoch that are still to do."""
    run.rng.bit_generator.state = run.before
    return (rows for k, rows in enumerate(batches(count, batch, run.rng)) if k >= run.done)


def _step(run: _Run, model: Model, x: Any, t: Any, optimizer: Optimizer, loss: Loss, metric: Metric | None) -> None:
    outputs = model(x)
    E = loss(outputs, t)
    if not isinstance(E, ad.Tensor | ad.Value) or not E.active:
        raise ad.NotConnected(
            f"the loss is a plain {type(E).__name__} that depends on no parameter: was it, or were the outputs, taken from .data?"
        )
    if E.shape not in ((), (1,)):
        raise ad.NotScalar(f"the loss of a batch is one number, not shape {E.shape}; write ad.mean(...)")
    value = E.item()
    if not math.isfinite(value):
        raise Diverged(
            f"the loss became {value} in epoch {len(run.history) + 1}: "
            + (
                f"steps of lr = {run.lr or optimizer.lr:g} are too long, perhaps; try a smaller one. "
                if optimizer.steps
                else "before the first step. "
            )
            + born(E)
        )
    optimizer.zero_grad()
    E.backward()
    run.lr = optimizer.lr
    optimizer.step()
    run.total += value * len(x)
    run.right += _right(metric, outputs, t)
    run.done += 1


def _finish_epoch(run: _Run, model: Model, count: int, loss: Loss, metric: Metric | None, held_out: Dataset | None) -> None:
    accuracy = None if metric is None else run.right / count
    val = Result(None, None) if held_out is None else evaluate(model, held_out, loss=loss, metric=metric)
    history = run.history
    history.epochs.append(Epoch(run.total / count, accuracy, val.loss, val.accuracy, run.lr))
    run.total, run.right, run.done, run.before = 0.0, 0, 0, dict(run.rng.bit_generator.state)
    if history.best < 0 or _judged(history[-1]) < _judged(history[history.best]):
        history.best = len(history) - 1
        run.best = arrays(model.parameters())


def _judged(epoch: Epoch) -> float:
    judged = epoch.loss if epoch.val_loss is None else epoch.val_loss
    return math.inf if math.isnan(judged) else judged


def _out_of_patience(history: History, patience: int | None) -> bool:
    return patience is not None and len(history) - 1 - history.best >= patience


def first_bad(*roots: Any) -> Any:
    """The first node below some nodes with a number that is not finite; None if all are finite."""
    return next((node for node in order(*roots) if not np.all(np.isfinite(node.data))), None)


def born(*roots: Any) -> str:
    """A sentence that says at which node of recorded graphs the first number that is not finite came about; "" if all are finite.

    >>> y = ad.Tensor([0.5, 0.0], name="y")
    >>> with np.errstate(divide="ignore"):
    ...     print(born(np.sum(np.log(y))))
    The first number that is not finite is -inf at entry (1,) of the result of log, from y, 0.0 there.
    """
    node = first_bad(*roots)
    if node is None:
        return ""
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(node.data))[0])
    entry = f" at entry {index} of" if index else ","
    what = f"The first number that is not finite is {np.asarray(node.data)[index]}{entry} {_called(node)}"
    if node.op is None:
        return f"{what}, which was {'set so by a step, or from the start' if node.active else 'given so'}."
    made = f", made by {node.op.name}" if node.name else ""
    scope = f" in {'/'.join(node.scope)}" if node.scope else ""
    there = node.op.kind == "elementwise" and index
    operands = [f"{_called(a)}{_there(a, node.shape, index) if there else ''}" for a in node.args]
    return f"{what}{made}{scope}, from {' and '.join(operands)}."


def _called(operand: Any) -> str:
    if not isinstance(operand, ad.Tensor | ad.Value):
        return str(operand) if np.size(operand) == 1 else "an array"
    return operand.name or (f"the result of {operand.op.name}" if operand.op is not None else "an unnamed leaf")


def _there(operand: Any, shape: tuple[int, ...], index: tuple[int, ...]) -> str:
    array = np.asarray(getattr(operand, "data", operand))
    return f", {array[index]} there" if shape == array.shape != () else ""


# ---------------------------------------------------------------- what is looked at


class Result(NamedTuple):
    """What `evaluate` measures: the mean loss, and the share of the examples that are right (None without a metric)."""

    loss: float | None
    accuracy: float | None


def evaluate(model: Model, data: Any, *, loss: Loss = losses.cross_entropy, metric: Metric | None = None) -> Result:
    """Mean loss and accuracy on examples, without learning from them."""
    data, metric = dataset_of(data), metric_of(loss) if metric is None else metric
    total, right = 0.0, 0
    with np.errstate(all="ignore"):  # recording, so that the loss sees what made the outputs, and refuses a second softmax
        for start in range(0, len(data), AT_ONCE):
            part = data.take(slice(start, start + AT_ONCE))
            outputs = model(part.x)
            total += float(loss(outputs, part.t).item()) * len(part)
            right += _right(metric, outputs, part.t)
    return Result(total / len(data), None if metric is None else right / len(data))


def _right(metric: Metric | None, outputs: Any, t: Any) -> int:
    """How many examples are right."""
    if metric is None:
        return 0
    right = np.asarray(metric(losses.plain(outputs), t))
    if right.shape != (len(t),):
        raise ad.ShapeMismatch(f"metric says of each of the {len(t)} examples whether it is right, not shape {right.shape}")
    return int(np.sum(right))


def predict(model: Model, x: Any) -> Any:
    """The model's outputs for rows of examples as a plain array, without recording."""
    x = np.asarray(x)
    with ad.no_record():
        parts = [np.array(losses.plain(model(x[start : start + AT_ONCE]))) for start in range(0, max(len(x), 1), AT_ONCE)]
    return np.concatenate(parts)


def class_scores(model: Model, x: Any) -> Any:
    """`predict` with a column for each class: one score s gives (0, s), and one that Sigmoid made, p, gives (1 - p, p).

    Raises ShapeMismatch for outputs that are no rows of scores.
    """
    outputs = predict(model, x)
    if outputs.ndim != 2:
        raise ad.ShapeMismatch(f"classes need a row of scores for each example, but the outputs have shape {outputs.shape}")
    if outputs.shape[1] > 1:
        return outputs
    is_probability = losses.made_by(model(np.asarray(x)[:1])) == "sigmoid"
    return np.hstack([1 - outputs if is_probability else np.zeros_like(outputs), outputs])


def confusion(model: Model, data: Any) -> Any:
    """How often each class (row) was taken for each class (column): integers of shape (classes, classes).

    Of a model with one output for two classes, too; its targets are 0 and 1 or -1 and 1.

    >>> from nets import data, layers
    >>> model = layers.mlp(2, 2, seed=0)
    >>> model.load({"W1": [[-1.0, 0.0], [1.0, 0.0]], "b1": [0.0, 0.0]})
    >>> confusion(model, data.xor(8, noise=0.0))
    array([[2, 2],
           [2, 2]])
    """
    data = dataset_of(data)
    scores = class_scores(model, data.x)
    t = class_numbers(data.t) if scores.shape[1] == 2 else data.t
    table = np.zeros((scores.shape[1],) * 2, int)
    np.add.at(table, (losses.as_targets(t, scores.shape).argmax(axis=1), scores.argmax(axis=1)), 1)
    return table


def right_class(outputs: Any, t: Any) -> Any:
    """Is the largest output that of the class, or of the largest target?"""
    return outputs.argmax(axis=1) == (t if np.ndim(t) == 1 else np.argmax(t, axis=1))


def right_side(outputs: Any, t: Any, border: float = 0.0, middle: float = 0.5) -> Any:
    """Does the one output lie above its border where the target lies above the middle of its two values?"""
    return (np.reshape(outputs, len(outputs)) > border) == (np.reshape(t, len(t)) > middle)


def metric_of(loss: Loss) -> Metric | None:
    """What "right" means for a loss: the largest score, the side of one score, or, for others, nothing."""
    function, options = (loss.func, loss.keywords) if isinstance(loss, partial) else (loss, {})
    if function is losses.cross_entropy:
        return right_class
    if function is losses.binary_cross_entropy:
        return right_side if options.get("from_logits", True) else partial(right_side, border=0.5)
    return partial(right_side, middle=0.0) if function is losses.hinge else None


# ---------------------------------------------------------------- checkpoints


def _settings(
    model: Model, data: Dataset, held_out: Dataset | None, batch: int, seed: int, loss: Loss, optimizer: Optimizer
) -> dict[str, Any]:
    """What must be the same for a resumed run to be the run that was interrupted."""
    return {
        "model": model.titles() if isinstance(model, Module) else type(model).__qualname__,
        "parameters": ", ".join(f"{name} {p.shape}" for name, p in model.parameters().items()),
        "data": _fingerprint(data),
        "held_out": None if held_out is None else _fingerprint(held_out),
        "batch": int(batch),
        "seed": seed,
        "loss": _name(loss),
    } | optimizer.settings()


def _fingerprint(data: Dataset) -> str:
    return f"{data!r} #{zlib.crc32(data.t.tobytes(), zlib.crc32(data.x.tobytes())):08x}"


def _name(f: Any) -> str:
    if isinstance(f, partial):
        return f"{_name(f.func)} with {f.args} {f.keywords}"
    return getattr(f, "__qualname__", type(f).__qualname__)


class _Keeper:
    """Writes checkpoints; of the calls "now and then" as many as take a tenth of the time at most, and no more than one a second."""

    def __init__(self, path: Any, state: Callable[[], dict[str, Any]]) -> None:
        self.path, self.state, self.next = path, state, 0.0

    def save(self) -> None:
        if self.path is not None:
            began = time.perf_counter()
            ad.save(self.path, self.state())
            now = time.perf_counter()
            self.next = now + max(1.0, 10 * (now - began))

    def save_now_and_then(self) -> None:
        if time.perf_counter() >= self.next:
            self.save()


def _state(run: _Run, model: Model, optimizer: Optimizer, settings: dict[str, Any], watch: Any) -> dict[str, Any]:
    return {
        "nets checkpoint": VERSION,
        "settings": settings,
        "parameters": arrays(model.parameters()),
        "optimizer": optimizer.state(),
        "epoch": {"before": run.before, "done": run.done, "total": run.total, "right": run.right},
        "history": [tuple(epoch) for epoch in run.history],
        "best": [run.history.best, run.best],
        "watch": watch.state() if hasattr(watch, "state") else None,
    }


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a checkpoint holds: "settings", "parameters", "best", "history", ... .  Raises ad.BadFile for any other file."""
    found = ad.load(path)
    if not isinstance(found, dict) or "nets checkpoint" not in found:
        raise ad.BadFile(f"{path} is not a checkpoint of train.fit")
    if found["nets checkpoint"] > VERSION:
        raise ad.BadFile(f"{path} is a checkpoint of version {found['nets checkpoint']}; this program reads versions up to {VERSION}")
    return found


def _load(path: Path, run: _Run, model: Model, optimizer: Optimizer, settings: dict[str, Any], watch: Any) -> None:
    found = read_checkpoint(path)
    for what, was in found["settings"].items():
        if was != settings.get(what):
            raise OtherSettings(f"{path} cannot be resumed: it was made with {what} = {was}, and now {what} = {settings.get(what)}")
    assign(model.parameters(), found["parameters"])
    optimizer.load(found["optimizer"])
    for what, value in found["epoch"].items():
        setattr(run, what, value)
    run.history.epochs = [Epoch(*epoch) for epoch in found["history"]]
    run.history.best, run.best = found["best"]
    if hasattr(watch, "load") and found["watch"] is not None:
        watch.load(found["watch"])


# ---------------------------------------------------------------- the terminal


@contextmanager
def _ctrl_c() -> Iterator[list[int]]:
    """A list that fills on the first Ctrl-C, which is then no exception; only in the main thread, where signals arrive."""
    pressed: list[int] = []
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or previous in (signal.SIG_IGN, None):
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, previous)


class _NoBar:
    def update(self) -> None: ...
    def set_postfix(self, shown: Any, refresh: bool) -> None: ...


def _bar(total: int, done: int, quiet: bool) -> Any:
    if quiet:
        return nullcontext(_NoBar())
    return need("tqdm").tqdm(total=total, initial=done, disable=None, unit="step", desc="training")


def _shown(history: History) -> dict[str, Any]:
    epoch = history[-1]
    accuracy = epoch.accuracy if epoch.val_accuracy is None else epoch.val_accuracy
    shown = {"epoch": len(history), "loss": f"{epoch.loss:.4f}"}
    shown |= {} if epoch.val_loss is None else {"held_out": f"{epoch.val_loss:.4f}"}
    return shown | ({} if accuracy is None else {"accuracy": f"{accuracy:.1%}"})
