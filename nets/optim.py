"""Optimisers: how parameters move once their gradients are there, as in PyTorch.

`optimizer.step()` assigns `.data`, out of place, so graphs recorded before know that they are stale.
A learning rate is a number or a schedule: a function from the number of steps taken so far to a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import autodiff as ad

Schedule = Callable[[int], float]


class Optimizer:
    """What SGD and Adam share: the parameters, the number of steps taken, and a memory of arrays for each parameter."""

    memory: tuple[str, ...] = ()  # what is kept for each parameter between steps

    def __init__(self, parameters: Any, lr: float | Schedule, weight_decay: float) -> None:
        self.parameters: dict[str, Any] = _by_name(parameters)
        if not callable(lr):
            _check("lr", lr, lambda v: v > 0, "larger than 0")
        _check("weight_decay", weight_decay, lambda v: v >= 0, "0 or more")
        self.schedule, self.weight_decay, self.steps = lr, weight_decay, 0
        self.kept: dict[str, dict[str, Any]] = {what: {} for what in self.memory}

    @property
    def lr(self) -> float:
        """The length that the next step has."""
        lr = self.schedule(self.steps) if callable(self.schedule) else self.schedule
        _check("the learning rate", lr, lambda v: v >= 0, f"0 or more, also at step {self.steps}")
        return float(lr)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters.values():
            p.zero_grad()

    def step(self) -> None:
        """Move every parameter that has a gradient; raises ValueError where the schedule gives no finite number >= 0."""
        lr = self.lr
        for name, p in self.parameters.items():
            if p.grad is not None:
                p.data -= lr * self._direction(name, p.grad + self.weight_decay * p.data if self.weight_decay else p.grad)
        self.steps += 1

    def _direction(self, name: str, g: Any) -> Any:
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """What the optimiser was made with, as numbers and texts: equal settings and state go on alike."""
        lr = self.schedule if not callable(self.schedule) else getattr(self.schedule, "__qualname__", repr(self.schedule))
        return {"optimizer": type(self).__name__, "lr": lr, "weight_decay": self.weight_decay}

    def state(self) -> dict[str, Any]:
        """Everything that later steps depend on besides the parameters themselves."""
        return {"steps": self.steps, "kept": {what: dict(arrays) for what, arrays in self.kept.items()}}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`; raises ShapeMismatch if it is that of other parameters or another optimiser."""
        kept = state["kept"]
        shapes = {name: p.shape for name, p in self.parameters.items()}
        if set(kept) != set(self.memory) or any(shapes.get(n) != np.shape(a) for arrays in kept.values() for n, a in arrays.items()):
            raise ad.ShapeMismatch(f"this is not a state of {type(self).__name__} for the parameters {', '.join(shapes)}")
        self.steps = state["steps"]
        self.kept = {what: dict(arrays) for what, arrays in kept.items()}


class SGD(Optimizer):
    """p -= lr * v with v = momentum * v + g, where g = dE/dp + weight_decay * p; without momentum, v = g.

    Polyak, Some methods of speeding up the convergence of iteration methods (1964), in the form of torch.optim.SGD.

    >>> w = ad.Tensor([1.0, 2.0], name="w")
    >>> optimizer = SGD([w], lr=0.1)
    >>> np.sum(w**2).backward(); optimizer.step(); w.data
    array([0.8, 1.6])
    """

    def __init__(self, parameters: Any, lr: float | Schedule, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        _check("momentum", momentum, lambda v: 0 <= v < 1, "from 0 to below 1")
        self.momentum = momentum
        self.memory = ("velocity",) if momentum else ()
        super().__init__(parameters, lr, weight_decay)

    def _direction(self, name: str, g: Any) -> Any:
        if not self.momentum:
            return g
        velocity = self.kept["velocity"]
        velocity[name] = self.momentum * velocity[name] + g if name in velocity else np.array(g)[()]
        return velocity[name]

    def settings(self) -> dict[str, Any]:
        """What the optimiser was made with."""
        return super().settings() | {"momentum": self.momentum}


class Adam(Optimizer):
    """p -= lr * m' / (sqrt(v') + eps), with running means m of g and v of g**2, corrected for starting at 0.

    Kingma and Ba, Adam: a method for stochastic optimization (2015), algorithm 1.

    >>> w = ad.Tensor([1.0, -2.0], name="w")
    >>> optimizer = Adam([w], lr=0.1)
    >>> np.sum(w**2).backward(); optimizer.step(); w.data.round(6)
    array([ 0.9, -1.9])
    """

    memory = ("mean", "square")

    def __init__(
        self,
        parameters: Any,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"betas are two numbers, such as (0.9, 0.999), not {betas!r}")
        for beta in betas:
            _check("a beta", beta, lambda v: 0 <= v < 1, "from 0 to below 1")
        _check("eps", eps, lambda v: v > 0, "larger than 0")
        self.betas, self.eps = tuple(betas), eps
        super().__init__(parameters, lr, weight_decay)

    def _direction(self, name: str, g: Any) -> Any:
        (b1, b2), k = self.betas, self.steps + 1
        mean, square = self.kept["mean"], self.kept["square"]
        mean[name] = b1 * mean.get(name, 0.0) + (1 - b1) * g
        square[name] = b2 * square.get(name, 0.0) + (1 - b2) * g * g
        return (mean[name] / (1 - b1**k)) / (np.sqrt(square[name] / (1 - b2**k)) + self.eps)

    def settings(self) -> dict[str, Any]:
        """What the optimiser was made with."""
        return super().settings() | {"betas": list(self.betas), "eps": self.eps}


# ---------------------------------------------------------------- schedules


class _OverSteps:
    """What schedules share: a number of steps, 1 or more."""

    def __post_init__(self) -> None:
        for name in {"steps", "every"} & set(vars(self)):
            _check(name, vars(self)[name], lambda v: v >= 1, "1 or more")


@dataclass(frozen=True)
class cosine(_OverSteps):
    """From `lr` down to `end` along half a cosine in `steps` steps, then `end`.

    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts (2017), equation (5).

    >>> lr = cosine(1.0, steps=100)
    >>> lr(0), round(lr(50), 6), lr(100), lr(1000)
    (1.0, 0.5, 0.0, 0.0)
    """

    lr: float
    steps: int
    end: float = 0.0

    def __call__(self, k: int) -> float:
        return self.end + (self.lr - self.end) * (1 + math.cos(math.pi * min(k / self.steps, 1.0))) / 2


@dataclass(frozen=True)
class linear(_OverSteps):
    """From `lr` to `end` in equal differences over `steps` steps, then `end`.

    >>> lr = linear(1.0, steps=100, end=0.1)
    >>> lr(0), round(lr(50), 6), round(lr(200), 6)
    (1.0, 0.55, 0.1)
    """

    lr: float
    steps: int
    end: float = 0.0

    def __call__(self, k: int) -> float:
        return self.lr + (self.end - self.lr) * min(k / self.steps, 1.0)


@dataclass(frozen=True)
class stairs(_OverSteps):
    """`lr`, multiplied by `factor` after every `every` steps.

    >>> lr = stairs(1.0, every=10, factor=0.5)
    >>> lr(9), lr(10), lr(25)
    (1.0, 0.5, 0.25)
    """

    lr: float
    every: int
    factor: float = 0.1

    def __call__(self, k: int) -> float:
        return float(self.lr * self.factor ** (k // self.every))


@dataclass(frozen=True)
class warmup(_OverSteps):
    """The schedule or number `then`, scaled up from near 0 over the first `steps` steps.

    >>> lr = warmup(4, then=1.0)
    >>> lr(0), lr(3), lr(4)
    (0.25, 1.0, 1.0)
    """

    steps: int
    then: float | Schedule

    def __call__(self, k: int) -> float:
        return min((k + 1) / self.steps, 1.0) * (self.then(k) if callable(self.then) else self.then)


def _by_name(parameters: Any) -> dict[str, Any]:
    if hasattr(parameters, "parameters"):
        parameters = parameters.parameters()
    if isinstance(parameters, ad.Tensor | ad.Value):
        parameters = [parameters]
    if not isinstance(parameters, Mapping):
        if not isinstance(parameters, Iterable):
            raise TypeError(f"an optimiser takes a model, or its parameters, not {parameters!r}")
        parameters = {f"{k}" if getattr(p, "name", None) is None else f"{k} {p.name}": p for k, p in enumerate(parameters)}
    for name, p in parameters.items():
        if not isinstance(p, ad.Tensor | ad.Value) or p.op is not None or not p.active:
            raise TypeError(f"{name!r} is not a parameter: parameters are Tensors and Values that were not computed, not {p!r}")
    if not parameters:
        raise ValueError("there are no parameters to optimise")
    return dict(parameters)


def _check(what: str, number: Any, right: Callable[[float], bool], wanted: str) -> None:
    if not isinstance(number, int | float | np.number) or not math.isfinite(number) or not right(float(number)):
        raise ValueError(f"{what} is a number {wanted}, not {number!r}")
