"""Where in a user's code an exception was raised: the line, and the shapes of what it speaks of.

Nothing of the user's is run for that; the line is read from the traceback.
"""

from __future__ import annotations

import linecache
import os
import re
import traceback
from typing import NamedTuple

import numpy as np

from ..node import Node

PACKAGE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")  # as frames name its files, with a slash at the end
NAME = re.compile(r"(?<![\w.'\"])[^\W\d]\w*")  # not an attribute's, nor a key's


class Place(NamedTuple):
    """A line by number, as it is written ("" if nobody knows), and the shapes of the arrays where it failed, in words."""

    number: int
    line: str
    shapes: str

    def __str__(self) -> str:
        return f"in line {self.number}{f': {self.line}' if self.line else ''}{f', where {self.shapes}' if self.shapes else ''}"


def place_of(error: BaseException) -> Place | None:
    """The last line of the user's own file on the way to an exception; None if it was not raised from there."""
    walked = zip(traceback.extract_tb(error.__traceback__), (frame for frame, _ in traceback.walk_tb(error.__traceback__)), strict=True)
    outside = [(entry, frame) for entry, frame in walked if not entry.filename.startswith((PACKAGE, "<frozen"))]
    own = [(entry, frame) for entry, frame in outside if entry.filename == outside[0][0].filename]
    if not own:
        return None
    entry, frame = own[-1]
    lines = [linecache.getline(entry.filename, k) for k in range(entry.lineno or 0, (entry.end_lineno or entry.lineno or 0) + 1)]
    scope = {**frame.f_globals, **frame.f_locals}
    arrays = {name: scope[name] for name in NAME.findall(_failing(entry, lines)) if isinstance(scope.get(name), np.ndarray | Node)}
    shapes = " and ".join(f"{name} has shape {x.shape}" for name, x in arrays.items())
    return Place(entry.lineno or 0, " ".join(line.strip() for line in lines).strip(), shapes)


def _failing(entry: traceback.FrameSummary, lines: list[str]) -> str:
    """The expression that failed, as it is written: a part of the lines."""
    if entry.colno is None or entry.end_colno is None:
        return " ".join(lines)
    parts = [line.encode() for line in lines]  # columns count bytes
    parts[-1] = parts[-1][: entry.end_colno]
    parts[0] = parts[0][entry.colno :]
    return b" ".join(parts).decode("utf-8", "replace")
