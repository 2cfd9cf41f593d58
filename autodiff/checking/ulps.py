"""Rounding told from mistakes: how far apart two correct computations of the same numbers can be.

An ulp of an entry is eps times the sum of the magnitudes of the terms added to make it; so a small
difference of large numbers is granted the rounding of the large ones.  `rounding` carries both the
magnitude and the number of ulps an entry can be wrong by through a recorded graph, to first order in
eps; nobody guesses a tolerance.  This file knows numbers and the table's fields, no single op.

Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. (SIAM 2002), sections 3.1 and 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Degenerate
from ..node import Node, order
from ..ops import Op

OP_ULPS = 4  # how exact the table promises one operation to be
STEP, TINIEST = 2.0**-10, 2.0**-900


@dataclass(frozen=True)
class Comparison:
    """Two computations of the same numbers: `verdict`, and the largest difference beside its bound, in ulps."""

    verdict: str  # "identical" | "rounding only" | "different"
    ulps: float
    bound: int

    def __str__(self) -> str:
        if self.verdict == "identical":
            return "identical"
        ulps = f"{math.ceil(self.ulps)}" if self.ulps < 1e6 else f"{self.ulps:.1e}"
        return f"{self.verdict} ({ulps} ulp, bound {self.bound})"


def compare(got: Any, want: Any, magnitude: Any, bound: int) -> Comparison:
    """Compare two arrays entry by entry, in ulps of `magnitude`; equal shapes, nan equals nan.

    >>> str(compare(0.1 + 0.2, 0.3, magnitude=0.3, bound=2))
    'rounding only (1 ulp, bound 2)'
    """
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return Comparison("different", math.inf, bound)
    if np.array_equal(got, want, equal_nan=True):
        return Comparison("identical", 0.0, bound)
    eps = max((float(np.finfo(x.dtype).eps) for x in (got, want) if x.dtype.kind == "f"), default=float(np.finfo(float).eps))
    with np.errstate(all="ignore"):
        ulps = np.abs(got - want) / (eps * np.asarray(magnitude))
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    worst = float(np.max(np.where(same, 0.0, np.where(np.isnan(ulps), np.inf, ulps))))
    return Comparison("rounding only" if worst <= bound else "different", worst, bound)


def agree(got: Any, want: Any) -> Comparison:
    """Two recorded computations of the same numbers, compared within the rounding of both.

    >>> import autodiff as ad
    >>> x = ad.Tensor([0.1, 0.7])
    >>> agree(x * x, x**2).verdict, agree(x * x, x * 2).verdict
    ('identical', 'different')
    """
    (m, k), (n, j) = rounding(got, want)
    magnitude = np.maximum(m, n) if got.shape == want.shape else m  # compare says what two shapes mean
    return compare(got.data, want.data, magnitude, k + j)


def rounding(*roots: Any) -> list[tuple[Any, int]]:
    """For each recorded node the magnitude of its entries, and how many ulps they can be wrong by.

    Two correct computations of the node may differ by twice that many ulps.

    >>> import autodiff as ad
    >>> x = ad.Value(3.0)
    >>> (magnitude, bound), = rounding(x - 2.0)
    >>> float(magnitude), bound
    (5.0, 4)
    """
    known: dict[int, tuple[Any, int]] = {}
    with np.errstate(all="ignore"):
        for n in order(*roots):
            if n.op is None:
                known[n.id] = np.abs(n._data), 0
            else:
                terms = [known[a.id] if isinstance(a, Node) else (np.abs(a), 0) for a in n.args]
                known[n.id] = _carried(n, [m for m, _ in terms], [k for _, k in terms])
    return [known[r.id] for r in roots]


def _carried(n: Any, mags: list[Any], ulps: list[int]) -> tuple[Any, int]:
    """The magnitude and the error of one result, from those of its operands."""
    op: Op = n.op
    z = np.float64(n._data) if n.shape == () else n._data
    xs = [np.float64(a._data) if isinstance(a, Node) and a.shape == () else a._data if isinstance(a, Node) else a for a in n.args]
    if op.kind == "bilinear":
        return op.forward(*mags, **n.kw), ulps[0] + ulps[1] + _summed(op, xs, n.kw) + OP_ULPS
    if op.kind == "elementwise" and not any(callable(p) for p in op.partials):
        return sum(abs(p) * m for m, p in zip(mags, op.partials, strict=True) if p is not None) + np.zeros(n.shape), max(ulps) + OP_ULPS
    if op.kind == "elementwise":
        # Of factors the magnitudes multiply and the ulps add; so |partial| * magnitude counts once each.
        moving = [(p, m) for p, m, a in zip(op.partials, mags, n.args, strict=True) if p is not None and isinstance(a, Node)]
        paths = [np.abs(p(z, *xs) if callable(p) else p) * m for p, m in moving]
        # fmax, for an infinite slope at an exact 0, as of sqrt, adds nothing: inf * 0 is nan.
        return np.fmax.reduce([np.broadcast_to(m, n.shape) for m in (np.abs(z), *paths)]), sum(ulps) + OP_ULPS
    length = max((s for x in xs for s in np.shape(x)), default=1)
    terms = max(1, math.ceil(sum(map(np.size, xs)) / max(1, np.size(z))), length if op.kind == "general" else 1)
    spread = op.jvp(mags, z, *xs, **n.kw) if op.monotone else _dense(op, mags, z, xs, n.kw)
    return np.maximum(np.abs(z), 0.0 if spread is None else spread), max(ulps) + terms + OP_ULPS


def _summed(op: Op, xs: list[Any], kw: dict[str, Any]) -> int:
    """How many products a bilinear op adds up for one entry."""
    form = op.form(np.ndim(xs[0]), np.ndim(xs[1]), **kw)  # type: ignore[misc]
    operands, out = form.split("->")
    sizes = {s: n for names, x in zip(operands.split(","), xs, strict=True) for s, n in zip(names, np.shape(x), strict=True)}
    return math.prod(n for s, n in sizes.items() if s not in out)


def _dense(op: Op, mags: list[Any], z: Any, xs: list[Any], kw: dict[str, Any]) -> Any:
    """|J| times the magnitudes, with the Jacobian made column by column; of an op along one axis, in all slices at once."""
    total = np.zeros(np.shape(z))
    slices = isinstance(kw.get("axis"), int) and len(xs) == 1 and np.ndim(xs[0]) > 0
    for i, x in enumerate(xs):
        if np.asarray(x).dtype.kind != "f":
            continue
        entries = np.moveaxis(np.arange(np.size(x)).reshape(np.shape(x)), kw["axis"], 0) if slices else np.arange(np.size(x))
        for k in entries:
            alone = np.zeros(np.shape(x))
            alone.flat[k] = np.ravel(mags[i])[k]
            try:
                column = op.jvp([alone if j == i else None for j in range(len(xs))], z, *xs, **kw)
            except Degenerate:  # of what has no derivative here the change over a short step tells how steep it is
                h = STEP / np.max(alone, initial=TINIEST)
                column = (op.forward(*(y + h * alone if j == i else y for j, y in enumerate(xs)), **kw) - z) / h
            if column is not None:
                total = total + np.abs(column)
    return total
