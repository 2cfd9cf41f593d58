"""A recorded graph run once more, on other numbers or by other hands: nothing is recorded, nothing changed.

The complex step is such a run: with the leaves moved by an imaginary h, Im f / h is the derivative to
rounding, without any difference taken.

Squire and Trapp, Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998), p. 110.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..node import Node
from ..ops import Op

TINY = 2.0**-100  # a power of two, so that scaling by it is exact


def forward(op: Op, xs: list[Any], kw: dict[str, Any]) -> Any:
    """What the table computes."""
    return op.forward(*xs, **kw)


def replay(nodes: Iterable[Node], values: dict[int, Any], compute: Callable[[Op, list[Any], dict[str, Any]], Any] = forward) -> None:
    """Run `nodes`, in order, from the values of some by id; those of the others that follow are added to `values`.

    Nodes that depend on none of the given ones keep their recorded numbers.
    """
    for n in nodes:
        if n.op is not None and n.id not in values and any(isinstance(a, Node) and a.id in values for a in n.args):
            xs = [values.get(a.id, a._data) if isinstance(a, Node) else a for a in n.args]
            values[n.id] = compute(n.op, xs, n.kw)


def complex_step(nodes: list[Node], leaves: list[Node], directions: list[Any], h: float = TINY) -> dict[int, Any] | None:
    """The derivative of each node when the leaves move in the given directions; None if an op on the way is not analytic.

    The step `h` must be tiny beside the distance to the border of the functions' domain.
    """
    reached = {leaf.id for leaf in leaves}
    for n in nodes:
        if any(isinstance(a, Node) and a.id in reached for a in n.args):
            if not n.op.analytic:
                return None
            reached.add(n.id)
    values = {leaf.id: np.asarray(leaf._data, float) + 1j * h * np.asarray(u) for leaf, u in zip(leaves, directions, strict=True)}
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            replay(nodes, values)
    except (TypeError, np.exceptions.ComplexWarning):  # some of NumPy's functions take no complex numbers, or drop their imaginary
        return None  # part, whatever a user's op says of itself
    return {key: np.imag(z) / h for key, z in values.items()}
