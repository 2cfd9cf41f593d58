"""Nested tuples, lists and dicts of numbers and arrays: what transforms, checks and files take and give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .node import Node


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The things in nested containers, each with the path to it.

    >>> list(leaves({"W": 1.0, "b": (2.0, None)}))
    [("['W']", 1.0), ("['b'][0]", 2.0), ("['b'][1]", None)]
    """
    if isinstance(tree, dict):
        for key in tree:
            yield from leaves(tree[key], f"{path}[{key!r}]")
    elif isinstance(tree, list | tuple):
        for i, item in enumerate(tree):
            yield from leaves(item, f"{path}[{i}]")
    else:
        yield path, tree


def rebuild(tree: Any, fresh: Iterator[Any]) -> Any:
    """The same containers around other leaves, taken in order.

    >>> rebuild([1, (2, 3)], iter("abc"))
    ['a', ('b', 'c')]
    """
    if isinstance(tree, dict):
        return {key: rebuild(tree[key], fresh) for key in tree}
    if isinstance(tree, list | tuple):
        items = [rebuild(item, fresh) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return next(fresh)


def map_leaves(f: Callable[[Any], Any], tree: Any) -> Any:
    """The same containers, with `f` applied to each leaf."""
    return rebuild(tree, iter([f(leaf) for _, leaf in leaves(tree)]))


def moves(x: Any) -> bool:
    """Is this a number or an array that a derivative can be taken with respect to?"""
    if isinstance(x, Node):
        return True
    return isinstance(x, float) or (isinstance(x, np.ndarray | np.generic) and x.dtype in (np.float64, np.float32))
