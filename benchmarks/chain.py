"""D1: a chain of very many scalar operations: build it, run backward, let it go.

The chain is y = y * w + b, over and over, so that a chain of n operations is a graph n nodes deep.
It shows what a node costs in time and memory, and who recurses.  JAX does not take part: it needs
minutes to trace 1e5 operations one after the other.
"""

from __future__ import annotations

import gc
import re
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from . import harness
from .harness import Case, Peer, Result

X, W, B = 1.0, 0.99999, 0.5


class Chain(Peer):
    """A chain, given its length (even); the three parts of a step are timed apart."""

    tolerance = 1e-7  # rounding, over a million operations

    def __init__(self, given: int) -> None:
        self.turns = given // 2
        self.parts: list[tuple[float, float, float]] = []
        self.peak: int | None = None
        self.recursion = "none"

    def build(self) -> Any:
        """Record the chain; what is returned keeps it alive."""
        raise NotImplementedError

    def backward(self, chain: Any) -> list[float]:
        """The end of the chain and its derivatives with respect to X and B."""
        raise NotImplementedError

    def step(self) -> list[float]:
        try:
            return self._step()
        except RecursionError:
            self.recursion = f"fails at {sys.getrecursionlimit()}"
            sys.setrecursionlimit(20 * self.turns)
        gc.collect()  # what the failed attempt left would make the next one look small
        return self._step()

    def _step(self) -> list[float]:
        before = forget_peak_memory()
        start = perf_counter()
        chain = self.build()
        built = perf_counter()
        found = self.backward(chain)
        done = perf_counter()
        self._note_peak(before)
        resumed = perf_counter()
        del chain
        self.parts.append((built - start, done - built, perf_counter() - resumed))
        return found

    def _note_peak(self, before: int | None) -> None:
        after = memory("VmHWM")
        if before is not None and after is not None:
            self.peak = max(self.peak or 0, after - before)

    def result(self, outcome: Any) -> list[Any]:
        return list(outcome)

    def expected(self) -> list[float]:
        power = W**self.turns
        series = (1 - power) / (1 - W)
        return [power * X + series * B, power, series]

    def facts(self) -> dict[str, Any]:
        build, backward, free = (harness.show_time(median(part)) for part in zip(*self.parts, strict=True))
        size = "" if self.peak is None else round(self.peak / (2 * self.turns))
        return {"build": build, "backward": backward, "free": free, "bytes a node": size, "recursion": self.recursion, **super().facts()}


def memory(field: str) -> int | None:
    """A figure of this process' memory in bytes, as Linux tells it; None elsewhere."""
    try:
        found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def forget_peak_memory() -> int | None:
    """Set the high-water mark VmHWM back to the memory in use, and return that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return memory("VmRSS")


class Nodes(Chain):
    """Libraries whose numbers remember: build with operators, then `.backward()`."""

    leaf: Any  # makes a variable of a number

    def build(self) -> Any:
        x, w, b = y, _, _ = [self.leaf(number) for number in (X, W, B)]
        for _ in range(self.turns):
            y = y * w + b
        return x, b, y

    def backward(self, chain: Any) -> list[float]:
        x, b, y = chain
        y.backward()
        return [float(y.data), float(x.grad), float(b.grad)]


class Autodiff(Nodes):
    """Our Value."""

    name = "autodiff"

    def __init__(self, given: int) -> None:
        super().__init__(given)
        import autodiff as ad

        self.leaf = ad.Value


class Micrograd(Nodes):
    """micrograd; its backward recurses, so the recursion limit is lifted for it."""

    name = "micrograd"
    needs = ("micrograd",)

    def __init__(self, given: int) -> None:
        super().__init__(given)
        from micrograd.engine import Value

        self.leaf = Value


class Torch(Nodes):
    """PyTorch, numbers as tensors without axes."""

    name = "PyTorch"
    needs = ("torch",)

    def __init__(self, given: int) -> None:
        super().__init__(given)
        import torch

        torch.set_num_threads(1)
        self.leaf = lambda number: torch.tensor(number, dtype=torch.float64, requires_grad=True)


class Hips(Chain):
    """HIPS autograd, whose build is a trace of a function."""

    name = "HIPS autograd"
    needs = ("autograd",)

    def __init__(self, given: int) -> None:
        super().__init__(given)
        from autograd import make_vjp

        def chain(x: Any, w: Any, b: Any) -> Any:
            for _ in range(self.turns):
                x = x * w + b
            return x

        self.trace = make_vjp(chain, (0, 1, 2))

    def build(self) -> Any:
        return self.trace(X, W, B)

    def backward(self, chain: Any) -> list[float]:
        pull, y = chain
        dx, _, db = pull(1.0)
        return [y, dx, db]


def run(quick: bool) -> Result:
    """D1; the baseline is autodiff, which alone also does the full million."""
    if quick:
        cases = [Case("2e4 operations", 20_000, rounds=3, seconds=0)]
    else:
        budgets = {"autodiff": "no recursion, 2.5 s, 240 bytes a node, garbage 0"}
        cases = [
            Case("1e5 operations", 100_000, rounds=3, seconds=0),
            Case("1e6 operations", 1_000_000, rounds=3, seconds=0, budgets=budgets, peers=("autodiff",)),
        ]
    return harness.run("D1", "a chain of scalar operations; ratio = time : autodiff's time", [Autodiff, Micrograd, Torch, Hips], cases)
