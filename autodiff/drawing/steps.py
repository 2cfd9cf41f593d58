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


class LocalDerivatives:
    """The local derivatives of a graph's edges; edges of one result are best asked for in a row."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._place = -1
        self._partials: tuple[Any, ...] = ()
        self.operands: list[Any] = []

    def at(self, result: Vertex) -> None:
        """Get ready for the edges into a result."""
        if self._place != result.place:
            self._place = result.place
            self._partials = getattr(result.source, "partials", ())
            self.operands = [self.graph.vertices[self.graph.edges[i].src].data for i in self.graph.inputs[result.place]]

    def of(self, edge: Edge) -> Any:
        """The derivative of a result with respect to one operand, entry by entry; None if there is no such array."""
        result, operand = self.graph.vertices[edge.dst], self.graph.vertices[edge.src]
        if not operand.active or result.op is None:
            return None
        self.at(result)
        if self._partials:
            return self._partials[edge.operand]
        if result.op.kind != "elementwise":
            return None
        partial = result.op.partials[edge.operand]
        if not callable(partial):
            return np.full(result.shape, float(partial or 0))
        with np.errstate(all="ignore"):
            return np.asarray(partial(result.data, *self.operands), float)


def backward_steps(graph: Graph) -> list[Step]:
    """Every backward step in order, from the root on; none if the root is a constant or the graph is stale."""
    root = graph.root
    if not root.active or graph.stale:
        return []
    seed = np.ones(root.shape) if root.grad is None else root.grad
    totals: dict[int, Any] = {root.place: _number(root, seed)}
    derivatives = LocalDerivatives(graph)
    steps = []
    for result in reversed(graph.vertices):
        if result.op is not None and result.place in totals:
            steps.append(_step(graph, result, totals, derivatives))
    return steps


def _step(graph: Graph, result: Vertex, totals: dict[int, Any], derivatives: LocalDerivatives) -> Step:
    upstream = totals[result.place]
    passed = []
    for i in graph.inputs[result.place]:
        edge = graph.edges[i]
        operand = graph.vertices[edge.src]
        if operand.active:
            local = derivatives.of(edge)
            amount = _number(operand, _amount(result, edge, operand, upstream, local, derivatives.operands))
            total = totals[operand.place] + amount if operand.place in totals else amount
            totals[operand.place] = total
            passed.append(Contribution(i, local, amount, total))
    return Step(result.place, upstream, passed)


def _amount(result: Vertex, edge: Edge, operand: Vertex, upstream: Any, local: Any, operands: list[Any]) -> Any:
    if isinstance(operand.data, float):
        return 0.0 if local is None else local * upstream
    assert result.op is not None
    with np.errstate(all="ignore"):
        amount = result.op.vjp(edge.operand, upstream, result.data, *operands, **result.kw)
    return np.zeros(operand.shape) if amount is None else amount


def _number(v: Vertex, x: Any) -> Any:
    """A float for a Value, an array of the dtype of a Tensor."""
    return float(x) if isinstance(v.data, float) else np.asarray(x, v.data.dtype)
