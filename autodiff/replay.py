"""A recorded computation run again on other values: what every reader uses that looks beyond the recorded numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .node import Node
from .tensor import Tensor, constant_tensor
from .value import ConstantValue, ValueBase
from .value_ops import Value


def replay(nodes: Sequence[Any], values: Mapping[int, Any], arrays: Mapping[int, Any]) -> dict[int, Any]:
    """The computation of `nodes` (in order) as a graph of its own, by the ids of the old nodes.

    `values` are numbers by id: of every leaf, and of each result that is to be a leaf of the new graph.
    `arrays` replace plain arrays among the operands, by their `id()`; other plain operands stay as they are.
    """
    new: dict[int, Any] = {}
    for n in nodes:
        if n.op is None or n.id in values:
            new[n.id] = leaf_like(n, values[n.id])
        else:
            new[n.id] = call(n.op, [new[a.id] if isinstance(a, Node) else arrays.get(id(a), a) for a in n.args], n.kw)
    return new


def leaf_like(n: Any, x: Any) -> Any:
    """A leaf of the kind of node n, a Value or a Tensor, a variable or a constant, that holds x."""
    if isinstance(n, ValueBase):
        return Value(float(x)) if n.active else ConstantValue(float(x))
    return Tensor(x) if n.active else constant_tensor(np.asarray(x), None)


def call(op: Any, args: Sequence[Any], kw: Mapping[str, Any]) -> Any:
    """An op on operands as a node holds them."""
    return op(args, **kw) if op.arity is None else op(*args, **kw)
