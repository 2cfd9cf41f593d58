"""The backward pass as a player shows it: what every result contributes to the gradient of each operand.

Local derivatives and contributions are computed here, once, from the rules of the table, and shipped as
numbers: the page computes no op.  No `.grad` is read or written but the root's, which is the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .model import Edge, Graph, Vertex


@dataclass(slots=True)
class Contribution:
    """What passes edge number `edge`: `local` times what came from above is `amount`; `total` is the sum so far."""

    edge: int
    local: Any  # None where the op has no local derivative entry by entry, as a matrix product
    amount: Any
    total: Any


@dataclass(slots=True)
class Step:
    """The backward step of one result: its complete gradient `upstream`, and what it passes on."""

    place: int
    upstream: Any
    contributions: list[Contribution]


def local_derivative(graph: Graph, edge: Edge) -> Any:
    """The derivative of a result with respect to one operand, entry by entry; None if there is no such array."""
    result, operand = graph.vertices[edge.dst], graph.vertices[edge.src]
    if not operand.active or result.op is None:
        return None
    if hasattr(result.source, "partials"):
        return result.source.partials[edge.operand]
    if result.op.kind != "elementwise":
        return None
    partial = result.op.partials[edge.operand]
    if not callable(partial):
        return np.full(result.shape, float(partial or 0))
    with np.errstate(all="ignore"):
        return np.asarray(partial(result.data, *_operands(graph, result)), float)


def backward_steps(graph: Graph) -> list[Step]:
    """Every backward step in order, from the root on; none if the root is a constant or the graph is stale."""
    root = graph.root
    if not root.active or graph.stale:
        return []
    seed = np.ones(root.shape) if root.grad is None else root.grad
    totals: dict[int, Any] = {root.place: _number(root, seed)}
    steps = []
    for result in reversed(graph.vertices):
        if result.op is not None and result.place in totals:
            steps.append(_step(graph, result, totals))
    return steps


def _step(graph: Graph, result: Vertex, totals: dict[int, Any]) -> Step:
    upstream = totals[result.place]
    passed = []
    for i in graph.inputs[result.place]:
        edge = graph.edges[i]
        operand = graph.vertices[edge.src]
        if operand.active:
            local = local_derivative(graph, edge)
            amount = _number(operand, _amount(graph, result, edge, upstream, local))
            total = totals[operand.place] + amount if operand.place in totals else amount
            totals[operand.place] = total
            passed.append(Contribution(i, local, amount, total))
    return Step(result.place, upstream, passed)


def _amount(graph: Graph, result: Vertex, edge: Edge, upstream: Any, local: Any) -> Any:
    if hasattr(result.source, "partials"):
        return local * upstream
    assert result.op is not None
    with np.errstate(all="ignore"):
        amount = result.op.vjp(edge.operand, upstream, result.data, *_operands(graph, result), **result.kw)
    return np.zeros(graph.vertices[edge.src].shape) if amount is None else amount


def _operands(graph: Graph, result: Vertex) -> list[Any]:
    return [graph.vertices[graph.edges[i].src].data for i in graph.inputs[result.place]]


def _number(v: Vertex, x: Any) -> Any:
    """A float for a Value, an array of the shape and dtype of a Tensor."""
    return float(x) if isinstance(v.data, float) else np.asarray(x, v.data.dtype)
