"""S1: a gradient step of micrograd's demo, its unmodified `nn` on its own Value and on ours.

The demo: MLP(2, [16, 16, 1]) of ReLU neurons on two moons, hinge loss and L2, the graph built anew
each step.  Our Value takes the place of `micrograd.engine.Value` before `micrograd.nn` is imported.
Python's cyclic collector takes a large part of micrograd's time and visits every object of the
process, so these processes load nothing heavy: the moons are made here, by scikit-learn's formula.
"""

from __future__ import annotations

import gc
import random
from typing import Any

import numpy as np

from . import harness
from .harness import Case, Peer, Result

DECAY = 1e-4
RATE = 1e-3


def two_moons(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Points of shape (n, 2) on two half circles, with noise, and their labels -1 or 1."""
    rng = np.random.default_rng(1337)
    a = np.linspace(0, np.pi, n // 2)
    points = np.concatenate([np.stack([np.cos(a), np.sin(a)], 1), np.stack([1 - np.cos(a), 0.5 - np.sin(a)], 1)])
    return points + rng.normal(scale=0.1, size=points.shape), np.repeat([-1.0, 1.0], n // 2)


class Demo(Peer):
    """The demo's step, given the number of points and whether the collector is on."""

    needs = ("micrograd",)

    def __init__(self, given: tuple[int, bool]) -> None:
        n, collector = given
        gc.enable() if collector else gc.disable()
        self.points, self.labels = (a.tolist() for a in two_moons(n))
        self.value = self.value_class()
        from micrograd import nn  # after value_class, which may have put our Value in its place

        random.seed(1337)
        self.model = nn.MLP(2, [16, 16, 1])

    def value_class(self) -> Any:
        """The Value that micrograd.nn will build with."""
        raise NotImplementedError

    def step(self) -> Any:
        model, Value = self.model, self.value
        inputs = [list(map(Value, point)) for point in self.points]
        scores = list(map(model, inputs))
        losses = [(1 + -y * score).relu() for y, score in zip(self.labels, scores, strict=True)]
        total = sum(losses) * (1.0 / len(losses)) + DECAY * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= RATE * p.grad
        return total

    def result(self, outcome: Any) -> list[Any]:
        return [outcome.data, [p.grad for p in self.model.parameters()]]

    def expected(self) -> list[Any]:
        layers = [
            (np.array([[w.data for w in n.w] for n in layer.neurons]), np.array([[n.b.data] for n in layer.neurons]))
            for layer in self.model.layers
        ]
        return closed_form(layers, np.array(self.points).T, np.array(self.labels))


def closed_form(layers: list[tuple[Any, Any]], x: Any, labels: Any) -> list[Any]:
    """The loss, and its gradient in the order of MLP.parameters(); points are the columns of x."""
    inputs = []
    for i, (w, b) in enumerate(layers):
        inputs.append(x)
        z = w @ x + b
        x = np.maximum(z, 0) if i + 1 < len(layers) else z
    margin = np.maximum(1 - labels * x, 0)
    g = -labels * (margin > 0) / labels.size
    gradients = []
    for (w, b), x in zip(reversed(layers), reversed(inputs), strict=True):
        gradients.append(np.hstack([g @ x.T + 2 * DECAY * w, g.sum(1, keepdims=True) + 2 * DECAY * b]).ravel())
        g = (w.T @ g) * (x > 0)
    penalty = DECAY * sum(np.sum(w * w) + np.sum(b * b) for w, b in layers)
    return [np.mean(margin) + penalty, np.concatenate(gradients[::-1])]


class Autodiff(Demo):
    """Our Value."""

    name = "autodiff"

    def value_class(self) -> Any:
        import micrograd.engine

        import autodiff as ad

        micrograd.engine.Value = ad.Value
        return ad.Value


class Micrograd(Demo):
    """micrograd as it is."""

    name = "micrograd"

    def value_class(self) -> Any:
        from micrograd.engine import Value

        return Value


def run(quick: bool) -> Result:
    """S1; the baseline is autodiff."""
    cases = [
        Case(
            f"n = {n}, collector {'on' if collector else 'off'}",
            (n, collector),
            rounds=(3 if n == 10 else 2) if quick else 7,
            seconds=0.1 if quick else 0.4,
            budgets={"autodiff": "garbage 0", "micrograd": f"at least {(10 if n == 10 else 15) if collector else 2}x"},
        )
        for n in (10, 100)
        for collector in (True, False)
    ]
    return harness.run("S1", "a gradient step of micrograd's demo; ratio = time : autodiff's time", [Autodiff, Micrograd], cases)
