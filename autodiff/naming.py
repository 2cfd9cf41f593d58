"""What a person calls a node: its own name, or the variable that holds it where a reader was called.

Nothing found here is stored, and no property of a user's object is ever run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

import numpy as np

from .node import Node

_PACKAGE = os.path.dirname(__file__) + os.sep


def user_frame() -> FrameType | None:
    """The innermost frame outside this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename.startswith(_PACKAGE) or frame.f_globals.get("__name__") == "copy"):
        frame = frame.f_back
    return frame


def user_line() -> str:
    """The file and line that the user's code is at, as "script.py:12"; in a notebook, whose cells have no name, the line only."""
    frame = user_frame()
    if frame is None:
        return ""
    folder, file = os.path.split(frame.f_code.co_filename)
    return f"line {frame.f_lineno} of its cell" if "ipykernel_" in folder else f"{file}:{frame.f_lineno}"


def _is_said(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_")  # frames hold helpers of the interpreter's, too


_given: ContextVar[Mapping[int, str] | None] = ContextVar("names given", default=None)


@contextmanager
def named(names: Mapping[int, str]) -> Iterator[None]:
    """A block in which nodes and arrays have these names, by `id()`, whoever asks: those of a graph whose script has ended."""
    before = _given.set(names)
    try:
        yield
    finally:
        _given.reset(before)


def variables(frame: FrameType | None) -> dict[int, str]:
    """Names by `id()` of the nodes and arrays a frame holds."""
    scopes = [] if frame is None else [frame.f_locals] if frame.f_locals is frame.f_globals else [frame.f_locals, frame.f_globals]
    return {**names_in(scopes), **(_given.get() or {})}


def names_in(scopes: list[dict[str, Any]]) -> dict[int, str]:
    """Names by `id()` of the nodes and arrays among variables, then, one level down, among the attributes
    of the objects there.  The first name without a leading underscore wins."""
    names: dict[int, str] = {}
    found = [(name, thing) for scope in scopes for name, thing in list(scope.items()) if _is_said(name)]
    for name, thing in found:
        if isinstance(thing, Node | np.ndarray):
            names.setdefault(id(thing), name)
            if (
                isinstance(thing, Node) and (twin := thing._note("beside", None)) is not None
            ):  # what a constant Value is in graphs of Tensors
                names.setdefault(id(twin), name)
    for _, thing in found:
        if isinstance(thing, type) or not hasattr(type(thing), "__dict__"):
            continue
        held = getattr(thing, "__dict__", None)
        if type(held) is dict and not isinstance(thing, type(sys)):
            for name, inner in list(held.items()):
                if isinstance(inner, Node | np.ndarray) and _is_said(name):
                    names.setdefault(id(inner), name)
    return names


def label(node: Any) -> str:
    """One node in an error message: its name, or what it is."""
    name = getattr(node, "name", None) or variables(user_frame()).get(id(node))
    if name:
        return str(name)
    if isinstance(node, Node) and node.op is not None:
        return f"the result of {node.op.name}"
    return "an unnamed leaf" if isinstance(node, Node) else "a constant"


def describe(operands: Iterable[Any]) -> str:
    """The operands of an op in an error message: names and shapes."""
    names = variables(user_frame())
    words = []
    for x in operands:
        name = getattr(x, "name", None) or names.get(id(x))
        if isinstance(x, Node | np.ndarray):
            words.append(f"{name or ('an operand' if isinstance(x, Node) else 'an array')} of shape {x.shape}")
        else:
            words.append(repr(x))
    return " and ".join(words)


def parameters(f: Callable[..., Any], count: int) -> list[str]:
    """What a function calls its first arguments; x0, x1, ... where Python does not know."""
    import inspect  # few programs need it, and it takes its time to load

    try:
        names = list(inspect.signature(f).parameters)[:count]
    except ValueError:
        names = []
    return names + [f"x{k}" for k in range(len(names), count)]
