"""What happens inside a network while it learns: gradients, activations, flat and dead units, layer by layer, read off the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad
from autodiff.node import order

from .data import dataset_of
from .layers import arrays
from .losses import cross_entropy
from .train import Loss, Model

STEEPEST = {"sigmoid": 0.25, "tanh": 1.0, "relu": 1.0}  # the largest slope of each activation
FLAT = 0.05  # an activation is flat where its slope is less than this share of the largest


class Look(NamedTuple):
    """One look at a model: root mean squares of gradients by parameter, and what activations do, by layer."""

    epoch: int  # 0 is before training
    gradients: dict[str, float]
    activations: dict[str, tuple[float, float]]  # mean and standard deviation
    flat: dict[str, float]  # share of the outputs where the slope is nearly 0, so that little learns through them
    dead: dict[str, float]  # share of the units that are flat for every example


class Watch:
    """Looks at a model before training and, given to `fit` as `each_epoch`, after each epoch, always on the same examples.

    `data` is a Dataset or a pair (x, t).

    `looks` has one Look a time, `parameters` copies of the parameters after 0, 1, 2, 4, 8, ... epochs and the last.

    >>> from nets import data, layers, train
    >>> points, model = data.xor(40), layers.mlp(2, 4, 2, activation="relu", seed=0)
    >>> watch = Watch(model, points)
    >>> history = train.fit(model, points, epochs=3, each_epoch=watch, quiet=True)
    >>> [look.epoch for look in watch.looks], list(watch.looks[0].gradients), list(watch.looks[0].dead), list(watch.parameters)
    ([0, 1, 2, 3], ['W1', 'b1', 'W2', 'b2'], ['y1'], [0, 1, 2, 3])
    """

    def __init__(self, model: Model, data: Any, *, loss: Loss = cross_entropy) -> None:
        self.model, self.data, self.loss = model, dataset_of(data), loss
        self.looks: list[Look] = []
        self.parameters: dict[int, dict[str, Any]] = {}
        self._look(0)

    def __call__(self, epoch: int) -> None:
        """Look at the model after epoch number `epoch`, counted from 0 as `fit` does."""
        self._look(epoch + 1)

    def state(self) -> dict[str, Any]:
        """Everything seen so far, for `ad.save`."""
        return {"looks": [tuple(look) for look in self.looks], "parameters": list(self.parameters.items())}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`."""
        self.looks, self.parameters = [Look(*row) for row in state["looks"]], dict(state["parameters"])

    def _look(self, epoch: int) -> None:
        parameters = self.model.parameters()
        with np.errstate(all="ignore"):
            E = self.loss(self.model(self.data.x), self.data.t)
            found = dict(zip(parameters, ad.gradient(E, list(parameters.values())), strict=True))
            units = _named(n for n in order(E) if n.op is not None and n.op.name in STEEPEST)
            flat = {name: _slopes(n) < FLAT * STEEPEST[n.op.name] for name, n in units.items()}
            self.looks.append(
                Look(
                    epoch,
                    {name: float(np.sqrt(np.mean(np.square(g)))) for name, g in found.items()},
                    {name: (float(n.data.mean()), float(n.data.std())) for name, n in units.items()},
                    {name: float(f.mean()) for name, f in flat.items()},
                    {name: float(f.all(axis=0).mean()) for name, f in flat.items()},
                )
            )
        last = max(self.parameters, default=0)
        if last & (last - 1):  # the last look was kept only until now
            del self.parameters[last]
        self.parameters[epoch] = arrays(parameters)


def _named(nodes: Iterable[Any]) -> dict[str, Any]:
    """Nodes by their names; one without is called by its place and op, such as "layer2/act/sigmoid", and those of one name are counted."""
    found: dict[str, Any] = {}
    for node in nodes:
        name = node.name or "/".join((*node.scope, node.op.name))
        again = sum(n == name or n.startswith(f"{name} ") for n in found)
        found[f"{name} {again + 1}" if again else name] = node
    return found


def _slopes(node: Any) -> Any:
    """The derivative of each entry of an activation by its own operand."""
    (x,) = (np.asarray(a.data) for a in node.args)
    return np.abs(node.op.vjp(0, np.ones(node.shape), np.asarray(node.data), x))
