"""How long deriving takes: the exercise's network, least squares, and nets of growing depth.

PYTHONPATH=. python benchmarks/derivation.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.node import order

RNG = np.random.default_rng(0)


def exercise(m: int | None = None) -> Any:
    """Two layers, sigmoid and softmax with cross-entropy, from primitives."""
    tail = () if m is None else (m,)
    x, t = ad.constant(RNG.normal(size=(4, *tail)), name="x"), RNG.uniform(0.1, 1, size=(3, *tail))
    t = ad.constant(t / t.sum(0), name="t")
    W1, W2 = ad.Tensor(RNG.normal(size=(5, 4)), "W1"), ad.Tensor(RNG.normal(size=(3, 5)), "W2")
    y1 = (1 / (1 + np.exp(-(W1 @ x).named("z1")))).named("y1")
    e = np.exp((W2 @ y1).named("z2"))
    y2 = (e / np.sum(e, axis=0)).named("y2")
    cost = -np.sum(t * np.log(y2), axis=0)
    return (np.mean(cost) if m else cost).named("E")


def least_squares() -> Any:
    X, w, y = ad.Tensor(RNG.normal(size=(6, 3)), "X"), ad.Tensor(RNG.normal(size=3), "w"), ad.Tensor(RNG.normal(size=6), "y")
    return np.sum((X @ w - y) ** 2)


def deep(layers: int) -> Any:
    """A net of tanh layers, everything named."""
    h = ad.constant(RNG.normal(size=4), name="x")
    for i in range(layers):
        z = (ad.Tensor(RNG.normal(size=(4, 4)), f"W{i}") @ h).named(f"z{i}")
        h = np.tanh(z).named(f"h{i}")
    return np.sum(h**2)


def milliseconds(E: Any, repeat: int, wrt: Any = None) -> float:
    """The best time of one derivation, its numerical checks included."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        ad.derive(E, wrt)
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    E = least_squares()
    w = next(n for n in order(E) if n.name == "w")
    rows: list[tuple[str, Callable[[], float], str]] = [
        ("the exercise, one example", lambda: milliseconds(exercise(), 10), "100 ms"),
        ("the exercise, a batch", lambda: milliseconds(exercise(6), 10), "100 ms"),
        ("least squares, dE/dw", lambda: milliseconds(E, 20, w), "10 ms"),
        *((f"{n} tanh layers", lambda n=n: milliseconds(deep(n), 2), "") for n in (5, 10, 20, 40, 66)),
    ]
    for name, measure, budget in rows:
        print(f"{name:<28} {measure():8.1f} ms   {'budget ' + budget if budget else ''}")


if __name__ == "__main__":
    main()
