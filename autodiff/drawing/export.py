"""The graph as JSON, for other programs.

Schema, version 1.  One object:

- "format": "autodiff graph", "version": 1, "title": text, "stale": null or a sentence
- "root": the id of the result
- "counts": {"values", "operations", "parameters", "inputs", "constants"}: numbers
- "nodes": in topological order, operands first, objects with
    - "id": "n0", "n1", ... by place
    - "kind": "op", "output", "parameter", "input" or "constant"
    - "name": what the user calls it, or null; "label": what formulas call it
    - "op": the op's name or null; "static": its static arguments as texts, but those left at their defaults
    - "scope": a list of names, outermost first
    - "shape": a list; "dtype": text
    - "value": see below; "gradient": the same, or null if none was computed
    - "active": whether derivatives are taken
    - "line": where it was made, as "script.py:12", if `ad.trace_lines` was on, or null
- "edges": by result and operand, objects with
    - "from", "to": ids; "operand": its number, from 0 on
    - "local": the local derivative (see below), or null where there is none entry by entry
    - "formula": text in the names of this graph, or null; "whole": whether the formula is the entire
      contribution to the gradient rather than the factor by which the result's gradient is multiplied

A value is a number, nested lists of numbers for up to 64 entries, or else {"min", "max", "mean", "norm"}.
Numbers that JSON lacks are the texts "nan", "inf" and "-inf".
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from .formula import Formulas
from .model import Edge, Graph, Vertex
from .steps import LocalDerivatives

MOST_ENTRIES = 64


def to_json(graph: Graph) -> str:
    """The graph in the schema above, as text."""
    formulas, local = Formulas(graph), LocalDerivatives(graph)
    return json.dumps(
        {
            "format": "autodiff graph",
            "version": 1,
            "title": graph.title,
            "stale": graph.stale,
            "root": graph.root.key,
            "counts": graph.counts(),
            "nodes": [_node(v) for v in graph.vertices],
            "edges": [_edge(graph, formulas, local, e) for e in graph.edges],
        },
        ensure_ascii=True,
        allow_nan=False,
        indent=1,
    )


def _node(v: Vertex) -> dict[str, Any]:
    return {
        "id": v.key,
        "kind": v.kind,
        "name": v.name or None,
        "label": v.label,
        "op": v.op.name if v.op is not None else None,
        "static": {k: str(x) for k, x in v.statics.items()},
        "scope": list(v.scope),
        "shape": list(v.shape),
        "dtype": str(np.asarray(v.data).dtype),
        "value": entries(v.data),
        "gradient": None if v.grad is None else entries(v.grad),
        "active": v.active,
        "line": v.line or None,
    }


def _edge(graph: Graph, formulas: Formulas, derivatives: LocalDerivatives, e: Edge) -> dict[str, Any]:
    active = graph.vertices[e.src].active
    local, formula = derivatives.of(e), formulas.of(e) if active else None
    return {
        "from": graph.vertices[e.src].key,
        "to": graph.vertices[e.dst].key,
        "operand": e.operand,
        "local": None if local is None else entries(local),
        "formula": formula.local(formulas.names(e)) if formula else None,
        "whole": formula.whole if formula else False,
    }


def entries(x: Any) -> Any:
    """An array as the schema writes it."""
    x = np.asarray(x, float)
    if x.size > MOST_ENTRIES:
        with np.errstate(all="ignore"):
            figures = {"min": x.min(), "max": x.max(), "mean": x.mean(), "norm": np.sqrt(np.sum(x * x))}
        return {k: number(v) for k, v in figures.items()}
    return number(x.item()) if x.ndim == 0 else _nested(x)


def _nested(x: np.ndarray[Any, Any]) -> Any:
    flat: list[Any] = [number(v) for v in x.ravel().tolist()]
    for n in x.shape[:0:-1]:
        flat = [flat[i : i + n] for i in range(0, len(flat), n)] if n else []
    return flat


def number(x: Any) -> Any:
    """A number that JSON can hold, or its name."""
    x = float(x)
    return x if math.isfinite(x) else str(x)
