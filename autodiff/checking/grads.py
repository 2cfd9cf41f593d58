"""Derivatives against independent computations of them: duality first, then differences.

Duality, <w, J u> = <J^T w, u>, is exact to rounding and needs no step size; it catches a rule whose two
modes disagree.  Differences are extrapolated (Richardson) and carry an error bar of their own, so no
tolerance is asked for: a derivative is wrong if it is further off than the bar can explain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..containers import leaves, map_leaves, moves, rebuild
from ..errors import BadOperand, GradientMismatch
from ..functional import jvp, transform, vjp
from ..node import Node
from ..tensor import Tensor
from .ulps import rounding

Function = Callable[..., Any]

FIRST_STEP, MOST_STEPS = 2.0**-4, 16
AMPLIFIED = 1.5  # extrapolating multiplies the noise of the differences by less than this


def differences(f: Callable[[float], Any], noise: Any) -> tuple[Any, Any]:
    """The derivative at 0 of a function of one number, and an error bar, entry by entry, from central differences.

    `noise` is how far rounding can take the values of `f` from the truth (see `noise_of`).  Steps are
    halved and extrapolated; of each entry that extrapolation is kept whose error estimate, its change
    plus the noise divided by the step, is smallest.

    Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4 (1982), p. 75.

    >>> value, bar = differences(np.exp, noise=1e-15)
    >>> bool(abs(value - 1.0) <= bar < 1e-11)
    True
    """
    best, bar = np.zeros(()), np.full((), np.inf)
    previous: list[Any] = []
    for k in range(MOST_STEPS):
        h = FIRST_STEP / 2**k
        row = [(np.asarray(f(h), float) - np.asarray(f(-h), float)) / (2 * h)]
        for j, old in enumerate(previous):
            row.append(row[j] + (row[j] - old) / (4 ** (j + 1) - 1))
            error = np.maximum(np.abs(row[j + 1] - row[j]), np.abs(row[j + 1] - old)) + AMPLIFIED * noise / h
            better = error < bar  # never so where a step too long for the domain gave nan
            best, bar = np.where(better, row[j + 1], best), np.where(better, error, bar)
        if np.all(bar <= 4 * AMPLIFIED * noise / h):  # shorter steps would only add noise
            break
        previous = row
    return best, bar


def noise_of(y: Any) -> Any:
    """How far rounding can have taken a recorded result from the truth, entry by entry."""
    ((magnitude, ulps),) = rounding(y)
    return np.finfo(float).eps * ulps * magnitude


def check_grads(f: Function, *xs: Any, order: int = 2, modes: Sequence[str] = ("fwd", "rev"), seed: int = 0) -> None:
    """Check the derivatives of `f` at `xs`, up to `order`, in forward and reverse mode; None if all is right.

    For each order: forward and reverse mode agree (duality), and both agree with extrapolated central
    differences in a random direction, within the differences' own error bar.  Raises GradientMismatch that
    names order, mode and both numbers.  `xs` must be float64: float32 is too coarse to take differences of.

    >>> import autodiff as ad, numpy as np
    >>> ad.check_grads(lambda x: np.sum(np.sin(x) * x), np.array([1.0, 2.0]))
    """
    if not set(modes) <= {"fwd", "rev"} or not modes:
        raise ValueError(f"modes are 'fwd' and 'rev', not {modes!r}")
    if order < 1:
        raise ValueError(f"the order of derivatives to check is at least 1, not {order!r}")
    for x in (leaf for _, leaf in leaves(xs) if moves(leaf)):
        if getattr(x, "dtype", np.float64) != np.float64:
            raise BadOperand("check_grads takes differences, which float32 is too coarse for: write x.astype(np.float64)")
    _check(f, xs, order, 1, tuple(modes), np.random.default_rng(seed))


def _check(f: Function, xs: tuple[Any, ...], order: int, level: int, modes: tuple[str, ...], rng: np.random.Generator) -> None:
    u = _direction(xs, rng)
    w = _direction(f(*xs), rng)
    with np.errstate(all="ignore"):
        truth, bar = differences(lambda h: _inner(w, f(*_moved(xs, u, h))), _noise(f, xs, w))
    if not np.isfinite(bar):
        raise GradientMismatch(
            f"order {level}: differences give no finite number here, so there is nothing to check against. "
            "Choose a point inside the function's domain, where its values and derivatives are finite"
        )
    found, size = {}, 0.0
    if "fwd" in modes:
        tangent = jvp(f, xs, u, allow_unused=True)[1]
        found["forward"], size = _inner(w, tangent), size + _inner(w, tangent, np.abs)
    if "rev" in modes:
        cotangent = vjp(f, *xs, allow_unused=True)[1](w)
        found["reverse"], size = _inner(u, cotangent), size + _inner(u, cotangent, np.abs)
    own = 1000 * np.finfo(float).eps * size  # the derivatives round as well, by far less than differences do
    if len(found) == 2:
        gap = abs(found["forward"] - found["reverse"])
        if not gap <= bar + own and not all(map(np.isnan, found.values())):
            raise GradientMismatch(
                f"order {level}: forward and reverse mode disagree. In a random direction the tangent gives {found['forward']!r}, "
                f"the cotangent {found['reverse']!r}; they must be the same number, so one of the rules on the way is wrong"
            )
    for mode, value in found.items():
        if not abs(value - truth) <= bar + own:
            raise GradientMismatch(
                f"order {level}, {mode} mode: the derivative in a random direction is {value!r}, but differences of the function "
                f"give {float(truth)!r} +- {float(bar):.0e}"
            )
    if level < order:
        # The next order's function is this order's derivative, in every mode asked for.
        for mode in modes:
            if mode == "rev":
                _check(lambda *a: vjp(f, *a, allow_unused=True)[1](w), xs, order, level + 1, modes, rng)
            else:
                _check(lambda *a: jvp(f, a, u, allow_unused=True)[1], xs, order, level + 1, modes, rng)


def _noise(f: Function, xs: tuple[Any, ...], w: Any) -> float:
    """The rounding in <w, f(xs)>, from a recording of it."""
    with transform():
        recorded = f(*map_leaves(lambda x: Tensor(x) if moves(x) else x, xs))
    pairs = zip(leaves(w), leaves(recorded), strict=True)
    return float(sum(np.sum(np.abs(a) * noise_of(y)) for (_, a), (_, y) in pairs if isinstance(y, Node)))


def _direction(tree: Any, rng: np.random.Generator) -> Any:
    """A random tangent: normal numbers where something moves, the thing itself elsewhere."""

    def draw(x: Any) -> Any:
        return x if not moves(x) else float(rng.normal()) if np.shape(x) == () else rng.normal(size=np.shape(x))

    return map_leaves(draw, tree)


def _moved(xs: Any, u: Any, h: float) -> Any:
    """`xs + h u`, leaf by leaf."""
    steps = [d for _, d in leaves(u)]
    moved = [x + h * d if moves(x) else x for (_, x), d in zip(leaves(xs), steps, strict=True)]
    return rebuild(xs, iter(moved))


def _inner(w: Any, y: Any, of_term: Function = np.positive) -> float:
    """The inner product of two trees over the leaves that move, or the sum of a function of its terms."""
    pairs = zip(leaves(w), leaves(y), strict=True)
    return float(sum(np.sum(of_term(a * np.asarray(b))) for (_, a), (_, b) in pairs if moves(a)))
