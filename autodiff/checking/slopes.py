"""The slope of a function of one number, from its values alone: extrapolated differences that know their own error.

Steps are halved until shorter ones would only add noise, so nobody chooses one.  `slopes` keeps two
tableaux: of the odd part of the function, whose limit is the derivative, and of its even part, whose limit is 0
unless the function bends here.  This
file knows numbers only, no graph.

Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4 (1982), p. 75.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

FIRST_STEP, MOST_HALVINGS, ROWS = 2.0**-4, 70, 16
SHORTER = (2.0**-20, 2.0**-28, 2.0**-36)
EPS = float(np.finfo(float).eps)
SURE = 8.0  # a bend is claimed where it exceeds its error bar by this factor


class Tableau:
    """Richardson's extrapolation to step 0 of numbers, or of arrays entry by entry, whose error is a series in h^p, h^(p + 2), ...

    `best` is, of each entry, the extrapolation with the smallest error bar: its change plus the noise that reached it.
    """

    def __init__(self, power: int) -> None:
        self.power = power
        self.row: list[Any] = []
        self.best: Any = np.nan
        self.bar: Any = np.inf

    def add(self, value: Any, noise: Any) -> None:
        """The next row, for half the step before; `noise` is how far rounding can have taken `value`."""
        row = [value]
        for j, old in enumerate(self.row):
            factor = 2.0 ** (self.power + 2 * j)
            row.append(row[j] + (row[j] - old) / (factor - 1))
            noise = noise * (factor + 0.5) / (factor - 1)  # the older row stood at twice the step, with half the noise
            error = np.maximum(abs(row[j + 1] - row[j]), abs(row[j + 1] - old)) + noise
            better = error < self.bar  # never so where a step too long for the domain gave nan
            self.best, self.bar = np.where(better, row[j + 1], self.best), np.where(better, error, self.bar)
        self.row = row


def differences(f: Callable[[float], Any], noise: Any) -> tuple[Any, Any]:
    """The derivative at 0 of a function of one number, and an error bar, entry by entry, from central differences.

    `noise` is how far rounding can take the values of `f` from the truth, entry by entry; the bar is inf
    where no difference is finite.

    >>> value, bar = differences(np.exp, noise=1e-15)
    >>> bool(abs(value - 1.0) <= bar < 1e-11)
    True
    """
    tableau, h = Tableau(2), FIRST_STEP
    for _ in range(ROWS):
        tableau.add((np.asarray(f(h), float) - np.asarray(f(-h), float)) / (2 * h), noise / h)
        if np.all(tableau.bar <= 8 * noise / h):  # shorter steps would only add noise
            break
        h /= 2
    return tableau.best, tableau.bar


@dataclass(frozen=True)
class Slopes:
    """The slope at 0 with its error bar; `bend` is the right slope minus the left one, 0 where it is smooth."""

    value: float
    bar: float
    bend: float
    jumps: bool
    step: float  # the shortest step taken
    steepest: float = 0.0  # the largest slope met at any step

    @property
    def left(self) -> float:
        return self.value - self.bend / 2

    @property
    def right(self) -> float:
        return self.value + self.bend / 2


def slopes(f: Callable[[float], float], noise: float, first: float = FIRST_STEP) -> Slopes:
    """The slope at 0 of a function of one number, from central differences; its bar is inf if none is finite.

    `noise` is how far rounding can take the values of `f` near 0 from the truth, `first` the longest step.

    >>> import math
    >>> found = slopes(math.exp, noise=1e-15)
    >>> abs(found.value - 1.0) <= found.bar < 1e-11, found.bend
    (True, 0.0)
    >>> kink = slopes(lambda h: max(h, 0.0), noise=1e-16)
    >>> kink.left, kink.right
    (0.0, 1.0)
    """
    middle = float(f(0.0))
    odd, even = Tableau(2), Tableau(1)
    rises: list[float] = []
    bends: list[float] = []
    h, steepest, rough = 2 * first, 0.0, noise
    for _ in range(MOST_HALVINGS):
        h /= 2
        up, down = float(f(h)), float(f(-h))
        if not (math.isfinite(up) and math.isfinite(down)):  # the step was too long for the function's domain
            continue
        rough = noise + EPS * max(abs(up), abs(down))  # far from 0 the values, and their rounding, may be larger
        odd.add((up - down) / (2 * h), rough / h)
        even.add((up - middle + (down - middle)) / h, 4 * rough / h)
        steepest = max(steepest, abs(up - middle) / h, abs(down - middle) / h)
        rises.append(abs(up - down))
        bends.append(abs(even.row[min(1, len(even.row) - 1)]))  # extrapolated once, so that curvature alone is gone
        # Seven rows tell a bend from curvature; then shorter steps would only add noise, or the extrapolation has what it can use.
        if len(rises) == ROWS or (len(rises) > 6 and odd.bar <= 8 * rough / h):
            break
    # Where a kink is nearer than the shortest step, the rise stays too; but then so does the bend, which a jump makes grow.
    kinked = _stays(bends) and bends[-1] < 2 * bends[-4]
    jumps = bool(_stays(rises) and rises[-1] > SURE * rough and not kinked)
    bent = _stays(bends) and abs(even.best) > SURE * even.bar
    return Slopes(float(odd.best), float(odd.bar), float(even.best) if bent else 0.0, jumps, h, steepest)


def refined(f: Callable[[float], float], noise: float, found: Slopes) -> Slopes:
    """What shorter steps find where they contradict `found`: then the function has a feature nearer than its steps could see.

    >>> f = lambda h: np.cbrt(1e-6 + h)
    >>> found = slopes(f, noise=1e-17)
    >>> bool(abs(found.value) < 100), bool(abs(refined(f, 1e-17, found).value - 1e4 / 3) < 1e-4)
    (True, True)
    """
    for first in SHORTER:
        near = slopes(f, noise, first)
        apart = abs(near.value - found.value) > SURE * (near.bar + found.bar)
        smooth = found.bend and not near.bend and abs(found.bend) > SURE**2 * near.bar
        if apart or smooth or (found.jumps and not near.jumps):
            found = near
    return found


def _stays(sizes: list[float]) -> bool:
    """Does what should vanish with the step not even halve while the step goes down to an eighth?"""
    return len(sizes) > 3 and sizes[-1] > sizes[-4] / 2
