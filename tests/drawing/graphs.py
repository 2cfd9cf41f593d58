"""Graphs that the tests of the drawings share."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import numpy as np

import autodiff as ad


def mlp(inputs: int, layers: list[int], scoped: bool = True, seed: int = 0) -> Any:
    """The squared error of a scalar network with tanh neurons; its scopes are layer0/neuron0, ..., loss."""
    rng = random.Random(seed)
    scope = ad.scope if scoped else lambda name: contextlib.nullcontext()
    xs: list[Any] = [ad.constant(rng.uniform(-2, 2), name=f"x{i}") for i in range(inputs)]
    for k, width in enumerate(layers):
        outs = []
        with scope(f"layer{k}"):
            for j in range(width):
                with scope(f"neuron{j}"):
                    total = ad.Value(0.1, name=f"b{k}_{j}")
                    for i, x in enumerate(xs):
                        total = total + ad.Value(rng.uniform(-1, 1), name=f"w{k}_{j}_{i}") * x
                    outs.append(total.tanh())
        xs = outs
    with scope("loss"):
        errors = [(x - ad.constant(1.0, name=f"t{i}")) ** 2 for i, x in enumerate(xs)]
        E = errors[0]
        for e in errors[1:]:
            E = E + e
    return E.named("E")


def two_layer(seed: int = 0) -> Any:
    """The cross-entropy of a two-layer network with sigmoid and softmax, on four examples."""
    rng = np.random.default_rng(seed)
    x = ad.constant(rng.normal(size=(3, 4)), name="x")
    t = ad.constant(np.eye(3)[:, [0, 1, 2, 0]], name="t")
    W1, b1 = ad.Tensor(rng.normal(size=(5, 3)), name="W1"), ad.Tensor(np.zeros((5, 1)), name="b1")
    W2, b2 = ad.Tensor(rng.normal(size=(3, 5)), name="W2"), ad.Tensor(np.zeros((3, 1)), name="b2")
    with ad.scope("layer1"):
        y1 = ad.sigmoid((W1 @ x + b1).named("z1")).named("y1")
    with ad.scope("layer2"):
        y2 = ad.softmax((W2 @ y1 + b2).named("z2"), axis=0).named("y2")
    with ad.scope("loss"):
        return (-ad.sum(t * ad.log(y2)) / 4).named("E")


def exact_scalar() -> Any:
    """A small graph whose numbers are the same on every machine: (x x + 2 x - w)^2, with x used three times."""
    x, w = ad.Value(3.0, name="x"), ad.Value(-0.5, name="w")
    with ad.scope("inner"):
        square = x * x
    E = ((square + 2 * x - w) ** 2).named("E")
    E.backward()
    return E


def exact_tensor() -> Any:
    """A relu layer and a squared error on numbers that binary fractions hold exactly."""
    x = ad.constant(np.array([[1.0, -2.0], [0.5, 4.0]]), name="x")
    W, b = ad.Tensor([[0.5, -0.25], [1.0, 2.0], [-4.0, 0.125]], name="W"), ad.Tensor([[0.5], [0.0], [1.0]], name="b")
    with ad.scope("layer"):
        y = ad.relu(W @ x + b).named("y")
    E = ad.sum(y * y).named("E")
    E.backward()
    return E
