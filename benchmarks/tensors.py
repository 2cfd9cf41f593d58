"""T1: loss and gradient of the two-layer sigmoid-softmax network with biases, by hand and by libraries.

    z1 = W1 x + b1,  y1 = sigmoid(z1),  z2 = W2 y1 + b2,  y2 = softmax(z2),  E = (1/m) sum_j -t_j . log y_j

Columns are examples.  Every peer gets the same four parameter arrays and gives the loss and four
gradients, each in its own natural way of writing this; libraries record or trace the whole of it.
The baseline is the best that NumPy can do when somebody writes the backward pass by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from . import harness
from .harness import Case, Peer, Result

Array = np.ndarray[Any, Any]

SIZES = {"tiny": (2, 3, 2, 1), "small": (64, 32, 10, 32), "mnist": (784, 100, 10, 64), "wide": (784, 800, 10, 256)}
BUDGETS = {"tiny": "3.5x", "small": "2.2x", "mnist": "1.2x", "wide": "1.2x"}


def network(size: str, dtype: str) -> list[Array]:
    """W1, b1, W2, b2, the examples X and their one-hot targets T."""
    inputs, hidden, outputs, batch = SIZES[size]
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=(hidden, inputs)) / np.sqrt(inputs),
        rng.normal(size=(hidden, 1)),
        rng.normal(size=(outputs, hidden)) / np.sqrt(hidden),
        rng.normal(size=(outputs, 1)),
        rng.normal(size=(inputs, batch)),
        np.eye(outputs)[:, rng.integers(outputs, size=batch)],
    ]
    return [np.ascontiguousarray(a, dtype) for a in arrays]


def closed_form(W1: Array, b1: Array, W2: Array, b2: Array, X: Array, T: Array) -> tuple[Any, ...]:
    """The loss and its gradient, as one writes them down from the formulas."""
    m = X.shape[1]
    y1 = 1 / (1 + np.exp(-(W1 @ X + b1)))
    z2 = W2 @ y1 + b2
    shifted = z2 - z2.max(axis=0, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=0, keepdims=True)
    E = -(T * (shifted - np.log(total))).sum() / m
    dz2 = (e / total - T) / m
    dz1 = (W2.T @ dz2) * y1 * (1 - y1)
    return E, dz1 @ X.T, dz1.sum(axis=1, keepdims=True), dz2 @ y1.T, dz2.sum(axis=1, keepdims=True)


def in_buffers(W1: Array, b1: Array, W2: Array, b2: Array, X: Array, T: Array) -> Callable[[], tuple[Any, ...]]:
    """The same as few, cheap calls: the function returned writes into the same arrays every time.

    What makes it fast: no temporaries; np.dot, which is cheaper to call than @; sums as products with
    ones; constants as arrays, which spares each ufunc a conversion; `-b1 - z` for `-(z + b1)`; and the
    examples kept both ways, since BLAS multiplies small matrices faster if neither is transposed.
    """
    dtype, m = W1.dtype, X.shape[1]
    y1, dz1 = np.empty((len(W1), m), dtype), np.empty((len(W1), m), dtype)
    z2, y2 = np.empty((len(W2), m), dtype), np.empty((len(W2), m), dtype)
    top, total, logs = np.empty(m, dtype), np.empty(m, dtype), np.empty(m, dtype)
    minus_b1, db1, db2 = np.empty_like(b1), np.empty(len(W1), dtype), np.empty(len(W2), dtype)
    dW1, dW2 = np.empty_like(W1), np.empty_like(W2)
    one, share = np.array(1, dtype), np.array(1 / m, dtype)
    examples, outputs = np.ones(m, dtype), np.ones(len(W2), dtype)
    y1_T, W2_T, X_T, t, z = y1.T, W2.T, X.T.copy(), T.ravel(), z2.ravel()
    dot, add, subtract, multiply, divide = np.dot, np.add, np.subtract, np.multiply, np.divide
    negative, exp, log = np.negative, np.exp, np.log
    maxima: Any = np.maximum.reduce

    def step() -> tuple[Any, ...]:
        dot(W1, X, y1)
        negative(b1, minus_b1)
        subtract(minus_b1, y1, y1)
        exp(y1, y1)
        add(y1, one, y1)
        divide(one, y1, y1)
        dot(W2, y1, z2)
        add(z2, b2, z2)
        maxima(z2, 0, None, top)
        subtract(z2, top, z2)
        exp(z2, y2)
        dot(outputs, y2, total)
        log(total, logs)
        E = (dot(examples, logs) - dot(t, z)) / m
        divide(y2, total, y2)
        dz2 = subtract(y2, T, y2)
        multiply(dz2, share, dz2)
        dot(dz2, y1_T, dW2)
        dot(dz2, examples, db2)
        dot(W2_T, dz2, dz1)
        multiply(dz1, y1, dz1)
        subtract(one, y1, y1)
        multiply(dz1, y1, dz1)
        dot(dz1, X_T, dW1)
        dot(dz1, examples, db1)
        return E, dW1, db1, dW2, db2

    return step


class TwoLayer(Peer):
    """Loss and gradient of the network, given the name of its size and a dtype."""

    def __init__(self, given: tuple[str, str]) -> None:
        self.arrays = network(*given)
        self.tolerance = 1e-11 if given[1] == "float64" else 1e-4
        self.start(*self.arrays)

    def start(self, W1: Array, b1: Array, W2: Array, b2: Array, X: Array, T: Array) -> None:
        """Take the arrays over in the library's own form."""
        raise NotImplementedError

    def result(self, outcome: Any) -> list[Any]:
        return list(outcome)

    def expected(self) -> list[Any]:
        return list(closed_form(*(a.astype(np.float64) for a in self.arrays)))


class BestNumpy(TwoLayer):
    """The floor."""

    name = "NumPy, in buffers"

    def start(self, *arrays: Array) -> None:
        self.step = in_buffers(*arrays)  # type: ignore[method-assign]


class PlainNumpy(TwoLayer):
    """The formulas as they are."""

    name = "NumPy, as written"

    def start(self, *arrays: Array) -> None:
        pass

    def step(self) -> Any:
        return closed_form(*self.arrays)


class Autodiff(TwoLayer):
    """Tensors, the graph recorded anew each step."""

    name = "autodiff"

    def start(self, W1: Array, b1: Array, W2: Array, b2: Array, X: Array, T: Array) -> None:
        import autodiff as ad

        self.ad, self.X, self.T, self.m = ad, X, T, X.shape[1]
        self.parameters = [ad.Tensor(a) for a in (W1, b1, W2, b2)]

    def step(self) -> Any:
        ad = self.ad
        W1, b1, W2, b2 = self.parameters
        y1 = ad.sigmoid(W1 @ self.X + b1)
        E = (self.T * ad.log_softmax(W2 @ y1 + b2, axis=0)).sum() / -self.m
        for p in self.parameters:
            p.zero_grad()
        E.backward()
        return E

    def result(self, outcome: Any) -> list[Any]:
        return [outcome.item(), *(p.grad for p in self.parameters)]


class Torch(TwoLayer):
    """PyTorch eager: rows are examples and targets are class numbers, which is its fastest way."""

    name = "PyTorch"
    needs = ("torch",)

    def start(self, W1: Array, b1: Array, W2: Array, b2: Array, X: Array, T: Array) -> None:
        import torch

        torch.set_num_threads(1)
        self.F, self.sigmoid = torch.nn.functional, torch.sigmoid
        self.parameters: list[Any] = [torch.tensor(a, requires_grad=True) for a in (W1, b1.ravel(), W2, b2.ravel())]
        self.X, self.classes = torch.tensor(X.T.copy()), torch.tensor(T.argmax(axis=0))

    def step(self) -> Any:
        F = self.F
        W1, b1, W2, b2 = self.parameters
        E = F.cross_entropy(F.linear(self.sigmoid(F.linear(self.X, W1, b1)), W2, b2), self.classes)
        for p in self.parameters:
            p.grad = None
        E.backward()
        return E

    def result(self, outcome: Any) -> list[Any]:
        return [outcome.item(), *(p.grad.numpy() for p in self.parameters)]


def traced_loss(np: Any, sigmoid: Any, log_softmax: Any) -> Any:
    """The loss as a function for autograd and JAX, each with its own NumPy."""

    def loss(parameters: Any, X: Any, T: Any) -> Any:
        W1, b1, W2, b2 = parameters
        return -np.sum(T * log_softmax(W2 @ sigmoid(W1 @ X + b1) + b2)) / X.shape[1]

    return loss


class Hips(TwoLayer):
    """HIPS autograd, which has neither sigmoid nor log_softmax of its own."""

    name = "HIPS autograd"
    needs = ("autograd",)

    def start(self, *arrays: Array) -> None:
        import autograd.numpy as anp
        from autograd import value_and_grad

        def sigmoid(z: Any) -> Any:
            return 1 / (1 + anp.exp(-z))

        def log_softmax(z: Any) -> Any:
            shifted = z - anp.max(z, axis=0, keepdims=True)
            return shifted - anp.log(anp.sum(anp.exp(shifted), axis=0, keepdims=True))

        self.compute = value_and_grad(traced_loss(anp, sigmoid, log_softmax))

    def step(self) -> Any:
        return self.compute(self.arrays[:4], *self.arrays[4:])

    def result(self, outcome: Any) -> list[Any]:
        E, gradients = outcome
        return [E, *gradients]


class Jax(TwoLayer):
    """JAX, compiled; a step waits for its result."""

    name = "JAX jit"
    needs = ("jax",)

    def start(self, *arrays: Array) -> None:
        os.environ.update(JAX_PLATFORMS="cpu", JAX_ENABLE_X64="1", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false")
        import jax

        loss = traced_loss(jax.numpy, jax.nn.sigmoid, lambda z: jax.nn.log_softmax(z, axis=0))
        self.compute: Any = jax.jit(jax.value_and_grad(loss))
        self.wait: Any = jax.block_until_ready
        self.given = [jax.numpy.asarray(a) for a in arrays]

    def step(self) -> Any:
        return self.wait(self.compute(self.given[:4], *self.given[4:]))

    def result(self, outcome: Any) -> list[Any]:
        E, gradients = outcome
        return [E, *gradients]


def run(quick: bool) -> Result:
    """T1; the baseline is the best hand-written NumPy."""
    cases = [
        Case(
            f"{size} {dtype}",
            (size, dtype),
            rounds=3 if quick else 8,
            seconds=0.03 if quick else 0.06,
            budgets={"autodiff": f"at most {BUDGETS[size]}, garbage 0"},
        )
        for size in SIZES
        for dtype in ("float64", "float32")
        if not quick or (size, dtype) in (("tiny", "float64"), ("small", "float64"), ("small", "float32"), ("mnist", "float64"))
    ]
    peers = [BestNumpy, PlainNumpy, Autodiff, Torch, Hips, Jax]
    return harness.run("T1", "gradient of the two-layer network; ratio = time : that of the best hand-written NumPy", peers, cases)
