"""How long checking takes: derivations of many lines, right and wrong, and a student's numbers.

PYTHONPATH=. python benchmarks/checking.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff as ad
from nets import exercise
from nets.two_layer import TwoLayer

RNG = np.random.default_rng(0)


def recorded(m: int = 1, sizes: tuple[int, int, int] = (4, 5, 3), biases: bool = False) -> Any:
    """A forward pass of the exercise's net, with one-hot targets."""
    net = TwoLayer.random(*sizes, biases=biases)
    return net(RNG.normal(size=(sizes[0], m)), np.eye(sizes[2])[:, RNG.integers(0, sizes[2], m)])


def milliseconds(E: Any, claims: Any, repeat: int) -> float:
    """The best time of one check."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        ad.check(E, claims)
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    one, batch, digits = recorded(), recorded(7, biases=True), recorded(100, (64, 32, 10), True)
    right = [(c.label, c.target, c.text, c.spellings) for c in exercise.CLAIMS if not c.label.startswith(("(5)", "(9)", "(10)"))]
    d2 = batch.y2.data - batch.t.data
    wrong = {"W2": d2 @ batch.y1.data.T, "b2": d2.sum(1, keepdims=True)}
    big = {"W2": (digits.y2.data - digits.t.data) @ digits.y1.data.T}
    rows: list[tuple[str, Callable[[], float], str]] = [
        ("the exercise, 25 lines", lambda: milliseconds(one.E, exercise.CLAIMS[:25], 10), "300 ms"),
        ("the exercise, all 32 lines", lambda: milliseconds(one.E, exercise.CLAIMS, 10), ""),
        (f"its {len(right)} right lines alone", lambda: milliseconds(one.E, right, 10), ""),
        ("numbers without their 1/m", lambda: milliseconds(batch.E, wrong, 10), ""),
        ("the same, 64-32-10, m = 100", lambda: milliseconds(digits.E, big, 3), ""),
    ]
    for name, measure, budget in rows:
        print(f"{name:<30} {measure():8.1f} ms   {'budget ' + budget if budget else ''}")


if __name__ == "__main__":
    main()
