"""Numbers as pictures write them: short, of one width, and arrays as a summary or a small heat map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MOST_CELLS = 8  # of a heat map, along each side
LEVELS = 8  # of a heat map's shading, for each sign
BAR_DECADES = 4  # a gradient 10^-4 of the largest has a bar of length 0


def short(x: float) -> str:
    """A number in at most nine characters, with a real minus sign.

    >>> short(0.70710678), short(-12345678.0), short(1e-7), short(float("nan"))
    ('0.7071', '−1.23e+07', '1.00e-07', 'nan')
    """
    x = float(x)
    size = abs(x)
    if not math.isfinite(x):
        text = str(x)
    elif x == 0 or 1e-3 <= size < 99995:
        text = f"{x:.4g}"
        if size != 1 and text in ("1", "-1"):  # a factor so near to 1 is not 1
            text = f"{x:.7g}" if f"{size:.7g}" != "1" else f"{x:.16g}"
    else:
        text = f"{x:.2e}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def is_single(x: Any) -> bool:
    """Is it one number rather than an array of several?"""
    return np.ndim(x) == 0


def magnitude(x: Any) -> float:
    """The largest absolute entry; 0 for nothing, and for what is not finite."""
    if x is None:
        return 0.0
    if x.__class__ is float:
        return abs(x) if math.isfinite(x) else 0.0
    finite = np.abs(np.asarray(x, float))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size else 0.0


def summary(x: Any) -> str:
    """One number, or of an array what its largest entry is.

    >>> summary(np.array([1.0, -2.5]))
    'max |·| 2.5'
    """
    if is_single(x):
        return short(float(x))
    x = np.asarray(x, float)
    if x.size == 1:
        return short(x.item())
    bad = int(x.size - np.isfinite(x).sum())
    return f"max |·| {short(magnitude(x))}" + (f", {bad} not finite" if bad else "")


def bar(x: float, largest: float) -> float:
    """How long a gradient's bar is, from 0 to 1, on a logarithmic scale of four decades."""
    if x == 0 or largest == 0 or math.isnan(x):
        return 0.0
    return min(1.0, max(0.04, 1 + math.log10(abs(x) / largest) / BAR_DECADES))


def cells(x: Any) -> np.ndarray[Any, Any]:
    """An array as at most eight by eight cells: leading axes are rows, larger ones are means of blocks."""
    grid = np.asarray(x, float)
    grid = grid.reshape(1, -1) if grid.ndim < 2 else grid.reshape(-1, grid.shape[-1])
    for axis in (0, 1):
        if grid.shape[axis] > MOST_CELLS:
            edges = [i * grid.shape[axis] // MOST_CELLS for i in range(MOST_CELLS)]
            with np.errstate(all="ignore"):
                counts = np.diff([*edges, grid.shape[axis]])
                grid = np.add.reduceat(grid, edges, axis=axis) / (counts[:, None] if axis == 0 else counts)
    return grid


def heat(x: Any) -> str:
    """A heat map as text, one character a cell and `/` between rows.

    `a` to `h` are eight shades of positive, `A` to `H` of negative, `0` is zero, `!` not finite.

    >>> heat(np.array([[1.0, -1.0], [0.0, 0.1]]))
    'hH/0a'
    """
    grid = cells(x)
    largest = magnitude(grid)
    rows = []
    for row in grid.tolist():
        text = ""
        for cell in row:
            if not math.isfinite(cell):
                text += "!"
            elif cell == 0 or largest == 0:
                text += "0"
            else:
                shade = max(0, math.ceil(abs(cell) / largest * LEVELS) - 1)
                text += chr(ord("a" if cell > 0 else "A") + shade)
        rows.append(text)
    return "/".join(rows)
