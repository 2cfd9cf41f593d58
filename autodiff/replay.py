"""A recorded computation run again on other values: what every reader uses that looks beyond the recorded numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .node import Node
from .tensor import Tensor, constant_tensor
from .value import ConstantValue, ValueBase
from .value_ops import Value


def replay(
    nodes: Sequence[Any], values: Mapping[int, Any], arrays: Mapping[int, Any], args: Mapping[int, Sequence[Any]] | None = None
) -> dict[int, Any]:
    """The computation of `nodes` (in order) as a graph of its own, by the ids of the old nodes.

    `values` are numbers by id: of every leaf, and of each result that is to be a leaf of the new graph.
    `arrays` replace plain arrays among the operands, by their `id()`; other plain operands stay as they are.  `args`
    are the operands by id of their node, where a reader holds them in a form of its own.
    """
    new: dict[int, Any] = {}
    for n in nodes:
        if n.op is None or n.id in values:
            new[n.id] = leaf_like(n, values[n.id])
        else:
            operands = n.args if args is None else args[n.id]
            new[n.id] = call(n.op, [new[a.id] if isinstance(a, Node) else arrays.get(id(a), a) for a in operands], n.kw)
    return new


LINKS = ((-1, 1), (-1, 0), (2, -1))  # 1 - a, -a, 2 * a - 1


def ways(x: Any, named: Sequence[Any]) -> list[tuple[Any, int, int]]:
    """(a, k, c) for each of the sources `named` whose `.data` gives the array x, bit by bit, as k * a + c."""
    same = [(a, data) for a in named if np.shape(a.data) == x.shape and (data := np.asarray(a.data)).dtype.kind in "if"]
    return [(a, k, c) for a, data in same for k, c in LINKS if np.array_equal(k * data + c, x)]


def links(arrays: Iterable[Any], named: Sequence[Any]) -> dict[int, tuple[Any, int, int] | None]:
    """What NumPy computed arrays without a name from, before anything was recorded: by `id()`, the only one of the `ways` to get it.

    None if there is no way, or several.  Conditions and arrays of one number throughout are left out: they hold nothing of
    other data, or are told apart by their type.
    """
    found: dict[int, tuple[Any, int, int] | None] = {}
    for x in arrays:
        if x.size > 1 and x.dtype.kind in "if" and not (x == x.flat[0]).all():
            possible = ways(x, named)
            found[id(x)] = possible[0] if len(possible) == 1 else None
    return found


def leaf_like(n: Any, x: Any) -> Any:
    """A leaf of the kind of node n, a Value or a Tensor, a variable or a constant, that holds x."""
    if isinstance(n, ValueBase):
        return Value(float(x)) if n.active else ConstantValue(float(x))
    return Tensor(x) if n.active else constant_tensor(np.asarray(x), None)


def call(op: Any, args: Sequence[Any], kw: Mapping[str, Any]) -> Any:
    """An op on operands as a node holds them."""
    return op(args, **kw) if op.arity is None else op(*args, **kw)
