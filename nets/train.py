"""Training: plain stochastic gradient descent on the two-layer net, as short as it can be written."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .data import Examples, batches
from .two_layer import TwoLayer


class Epoch(NamedTuple):
    """How one pass over the training examples went."""

    loss: float  # mean over the examples, each at the weights it was met with
    accuracy: float  # on the held-out examples, after the epoch


class Diverged(ArithmeticError):
    """The loss is no finite number any more."""


def train(
    net: TwoLayer, examples: Examples, held_out: Examples, *, epochs: int, batch: int, lr: float, seed: int, quiet: bool = False
) -> list[Epoch]:
    """Change the net's weights by `p -= lr * dE/dp`, batch by batch, and tell how each epoch went.

    Shows a progress bar in a terminal, unless `quiet`.  Raises Diverged once the loss is not finite, and
    ModuleNotFoundError without tqdm.
    """
    from tqdm import tqdm

    rng = np.random.default_rng(seed)
    history: list[Epoch] = []
    with tqdm(range(epochs), disable=quiet or None, unit="epoch", desc="training") as bar, np.errstate(all="ignore"):
        for _ in bar:
            total = 0.0
            for x, t in batches(examples.x, examples.t, batch, rng):
                total += step(net, x, t, lr) * x.shape[1]
            loss = total / examples.x.shape[1]
            if not np.isfinite(loss):
                raise Diverged(f"the loss became {loss} in epoch {len(history) + 1}: steps of lr = {lr:g} are too long; try a smaller one")
            history.append(Epoch(loss, accuracy(net, held_out)))
            bar.set_postfix(loss=f"{loss:.4f}", accuracy=f"{history[-1].accuracy:.1%}")
    return history


def step(net: TwoLayer, x: Any, t: Any, lr: float) -> float:
    """One step of gradient descent on one batch; returns the batch's loss before it."""
    E = net(x, t).E
    for p in net.parameters().values():
        p.zero_grad()
    E.backward()
    for p in net.parameters().values():
        p.data -= lr * p.grad
    return float(E.item())


def accuracy(net: TwoLayer, examples: Examples) -> float:
    """The share of the examples whose likeliest class is the right one."""
    return float(np.mean(np.argmax(net.probabilities(examples.x), axis=0) == examples.labels))
