"""The graph in a terminal: a tree from the result down, and a listing with one value a line.

Plain text without colours; ASCII where the terminal's encoding has no more.
"""

from __future__ import annotations

import sys
from typing import Any

from .boxes import clip
from .formula import is_sign
from .model import Graph, Vertex
from .notes import NO_NOTES, Notes
from .numbers import bar, magnitude, summary

MOST_LINES = 60  # of a tree
MOST_ROWS = 40  # of a table
MOST_DEPTH = 40
BAR = 9  # characters
LONGEST = 40

_ASCII = str.maketrans(
    {"×": "*", "−": "-", "÷": "/", "∂": "d", "…": "...", "·": ".", "│": "|", "─": "-", "█": "#", "✓": "+", "✗": "x", "→": ">"}
)


def is_ascii_terminal() -> bool:
    """Can standard output not show the signs that trees and tables are made of?"""
    try:
        "├└│─█∂×−÷…·Σ".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def tree(graph: Graph, ascii_only: bool = False, notes: Notes = NO_NOTES) -> str:
    """The result, indented below it its operands, and so on, with their notes; what is used twice is opened once."""
    depth, rows = 0, [_head(graph, graph.root, ascii_only)]
    while depth < MOST_DEPTH:
        more, cut = _rows(graph, depth + 1, ascii_only)
        if len(more) > MOST_LINES:
            break
        depth, rows = depth + 1, more
        if not cut:
            break
    width = max(len(text) for text, _ in rows)
    lines = [_dotted(text, v, width, notes) for text, v in rows]
    if not graph.swept and graph.root.active:
        lines.append("gradient: not computed yet")
    lines += [line for line in (graph.stale, notes.remark) if line]
    return _plain("\n".join(lines)) if ascii_only else "\n".join(lines)


def _head(graph: Graph, v: Vertex, ascii_only: bool, prefix: str = "", more: str = "") -> tuple[str, Vertex | None]:
    symbol = (v.op.name if ascii_only else v.op.symbol) if v.op is not None else ""
    name = v.label if v.op is None else v.name
    return prefix + clip(f"{symbol} {name}".strip(), LONGEST) + more, v


def _rows(graph: Graph, depth: int, ascii_only: bool) -> tuple[list[tuple[str, Vertex | None]], bool]:
    """The lines of a tree of a certain depth, and whether something lies deeper."""
    tee, corner, pipe = ("|- ", "`- ", "|  ") if ascii_only else ("├─ ", "└─ ", "│  ")
    rows: list[tuple[str, Vertex | None]] = []
    opened: set[int] = set()
    cut = False
    stack = [(graph.root.place, "", "", 0)]
    while stack:
        place, before, below, level = stack.pop()
        v, operands = graph.vertices[place], [graph.edges[i].src for i in graph.inputs[place]]
        again = place in opened
        rows.append(_head(graph, v, ascii_only, before, " (shown above)" if again else ""))
        if again or not operands:
            continue
        if level == depth:
            cut = True
            rows.append((f"{below}{corner}… {len(operands)} operand{'s' * (len(operands) > 1)}", None))
            continue
        opened.add(place)
        for k in range(len(operands) - 1, -1, -1):
            last = k == len(operands) - 1
            stack.append((operands[k], below + (corner if last else tee), below + ("   " if last else pipe), level + 1))
        if len(rows) > MOST_LINES:
            return rows, True
    return rows, cut


def _dotted(text: str, v: Vertex | None, width: int, notes: Notes) -> str:
    if v is None:
        return text
    line = f"{text} {'·' * (width - len(text) + 2)} {_value(v):>10}"
    line = f"{line}  ∂ {_grad(v):>10}".rstrip() if v.active and v.grad is not None else line
    note = notes.on_values.get(v.place)
    return line if note is None else "  ".join([line, " ".join(filter(None, (note.mark, note.text)))])


def _value(v: Vertex) -> str:
    return f"{v.shape} {summary(v.data)}" if v.shape else summary(v.data)


def _grad(v: Vertex) -> str:
    return "" if v.grad is None else summary(v.grad)


def table(graph: Graph, ascii_only: bool = False) -> str:
    """Every value in the order of computation: expression, value, gradient, and a bar for its magnitude."""
    root = graph.root.label
    rows = [("", "expression", "value", f"∂{root}", "|∂| (log)")]
    largest = max((magnitude(v.grad) for v in graph.vertices), default=0.0)
    count = len(graph.vertices)
    shown = list(graph.vertices) if count <= MOST_ROWS else [*graph.vertices[: MOST_ROWS // 2], *graph.vertices[-MOST_ROWS // 2 :]]
    for k, v in enumerate(shown):
        if count > MOST_ROWS and k == MOST_ROWS // 2:
            rows.append(("…", f"… {count - MOST_ROWS:,} more …", "", "", ""))
        length = round(BAR * bar(magnitude(v.grad), largest)) if v.grad is not None else 0
        rows.append((clip(v.label, 24), expression(graph, v, ascii_only), _value(v), _grad(v) if v.active else "constant", "█" * length))
    widths = [max(len(row[c]) for row in rows) for c in range(5)]
    rows.insert(1, tuple("─" * w for w in widths))  # type: ignore[arg-type]
    lines = [
        "  ".join(x.rjust(w) if c in (2, 3) else x.ljust(w) for c, (x, w) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]
    if not graph.swept and graph.root.active:
        lines.append("gradient: not computed yet")
    if graph.stale:
        lines.append(graph.stale)
    return _plain("\n".join(lines)) if ascii_only else "\n".join(lines)


def expression(graph: Graph, v: Vertex, ascii_only: bool = False) -> str:
    """How a value was computed, in the names of its operands; of a leaf its kind."""
    if v.op is None:
        return v.kind
    operands = [clip(graph.vertices[graph.edges[i].src].label, 16) for i in graph.inputs[v.place]]
    if len(operands) == 2 and is_sign(v.op.symbol) and not v.statics and (not ascii_only or _plain(v.op.symbol).isascii()):
        return f"{operands[0]} {v.op.symbol} {operands[1]}"
    words = operands + [f"{k}={_static(x)}" for k, x in v.statics.items()]
    return clip(f"{v.op.name}({', '.join(words)})", LONGEST)


def _static(x: Any) -> str:
    return clip(str(x), 16)


def _plain(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()
