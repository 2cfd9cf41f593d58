"""What the boxes of a picture say, and how large that makes them: before they are placed, and apart from how they are drawn."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from textwrap import wrap

from .fold import Box
from .model import Graph, Vertex
from .notes import Note, Notes
from .numbers import cells, heat, magnitude, short, summary

CELL = 7  # of a heat map, in pixels
NUMBER_WIDTH = 90.0  # of a box that shows one number
LONGEST_NAME = 28  # characters
LONGEST_LINE = 48
MOST_LINES = 3  # of a note
NOT_YET = "∂ not yet"  # what stands in the place of a gradient before backward
NOTE_LINE = 13.0  # from one line of a note to the next, in pixels
_CORNERS = {"parameter": 2.0, "constant": 0.0}  # how round; the kinds differ by shape as well as by colour
_ROUND = 7.0
_WORDS = {"op": "operation", "input": "input", "parameter": "parameter", "constant": "constant", "output": "output"}


@dataclass(slots=True)
class Shape:
    """A box as it will be drawn: its two texts, its size, and its heat maps if it holds an array."""

    box: Box
    symbol: str
    name: str
    corner: str  # at the right of the head: the shape
    lines: list[str]  # below the head, of a group
    statics: str = ""  # the op's static arguments
    width: float = 0.0
    height: float = 0.0
    value: str = ""  # the heat maps
    grad: str = ""
    columns: int = 0
    rows: int = 0
    note: Note | None = None
    round: float = 7.0


def shape_of(graph: Graph, box: Box, notes: Notes) -> Shape:
    """What a box says, and its size."""
    shape = _group(graph, box, notes) if box.vertex is None else _single(graph, box, notes, graph.vertices[box.vertex])
    if shape.note and shape.note.text:
        lines = note_lines(shape.note)
        shape.width = max(shape.width, *(text_width(line, 10) + 20 for line in lines))
        shape.height += 15 + NOTE_LINE * (len(lines) - 1)
    return shape


def _single(graph: Graph, box: Box, notes: Notes, v: Vertex) -> Shape:
    symbol, statics = v.op.symbol if v.op is not None else "", ""
    if box.terms:
        symbol = f"Σ {box.terms} terms"
    elif box.inlined:
        symbol = _with_constants(graph, box, v, symbol)
    elif v.statics:
        statics = clip(", ".join(f"{k}={x}" for k, x in v.statics.items()), 18)
    name = clip(v.label if v.op is None else v.name, LONGEST_NAME)
    shape = Shape(box, symbol, name, f"({', '.join(map(str, v.shape))})" if v.shape else "", [], statics)
    shape.note = next((notes.on_values[p] for p in (v.place, *box.members) if p in notes.on_values), None)
    if v.shape and v.data.size > 1:
        _size_of_array(shape, v)
    else:
        _size_of_number(shape, v)
    return shape


def _with_constants(graph: Graph, box: Box, v: Vertex, symbol: str) -> str:
    """An op's symbol with the constants that moved into its box: "× 2", "1 −"."""
    constants = {k: short(graph.vertices[p].data) for k, p in box.inlined}
    if len(graph.inputs[v.place]) == 2:
        return f"{constants[0]} {symbol}" if 0 in constants else f"{symbol} {constants[1]}"
    return f"{symbol} ({', '.join(constants[k] for k in sorted(constants))})"


def _head_width(shape: Shape) -> float:
    width = text_width(shape.symbol, 12, bold=True) + text_width(shape.name, 12) + 6 * bool(shape.symbol and shape.name)
    width += text_width(shape.statics, 10) + 6 * bool(shape.statics)
    width += text_width(shape.corner, 10) + 12 * bool(shape.corner)
    return width + (18 if shape.note and shape.note.mark else 0)


def _size_of_array(shape: Shape, v: Vertex) -> None:
    shape.rows, shape.columns = cells(v.data).shape
    shape.value = heat(v.data)
    shape.grad = heat(v.grad) if v.grad is not None else ""
    width = max(shape.columns * CELL, 40.0)
    if v.active:
        width = second_map(shape) + max(shape.columns * CELL, 26.0 if shape.grad else text_width(NOT_YET, 9))
    shape.width, shape.height = max(_head_width(shape), width, 64) + 20, 40.0 + shape.rows * CELL
    shape.round = 16.0 if v.kind == "input" else _CORNERS.get(v.kind, _ROUND)


def second_map(shape: Shape) -> float:
    """How far the gradient's map of an array stands to the right of the value's."""
    return max(shape.columns * CELL + 14, 54.0)


def _size_of_number(shape: Shape, v: Vertex) -> None:
    head = _head_width(shape)
    if v.kind == "constant":
        shape.width, shape.height = max(head + 20, 36.0), 24.0
    elif v.kind == "input":
        shape.width, shape.height = max(head + 36, NUMBER_WIDTH + 10), 38.0
    else:
        shape.width, shape.height = max(head + 20, NUMBER_WIDTH), 52.0 if v.active else 38.0
    shape.round = shape.height / 2 if v.kind == "input" else _CORNERS.get(v.kind, _ROUND)


def _group(graph: Graph, box: Box, notes: Notes) -> Shape:
    inside = [graph.vertices[p] for p in box.members]
    counts = {"operation": sum(v.op is not None for v in inside)}
    counts |= {kind: sum(v.kind == kind for v in inside) for kind in ("parameter", "input", "constant")}
    lines = [" · ".join(many(n, kind) for kind, n in counts.items() if n)]
    if any(v.grad is not None for v in inside):
        lines.append(f"max |∂| {short(max(magnitude(v.grad) for v in inside))}")
    shape = Shape(box, "", clip(box.title, LONGEST_LINE), "", lines)
    found = [notes.on_values[p] for p in box.members if p in notes.on_values]
    held = set(box.members)
    found += [note for i, note in notes.on_edges.items() if graph.edges[i].src in held and graph.edges[i].dst in held]
    found = [note for note in found if note.color]  # formulas are for values that are seen
    if found:
        shape.note = Note(found[0].color, found[0].mark, many(len(found), "note") + " inside")
    widest = max([text_width(shape.name, 12, bold=True) + 14, *(text_width(t, 10) for t in lines)])
    shape.width, shape.height = widest + 24, 24.0 + 14 * len(lines)
    return shape


# ---------------------------------------------------------------- in words


def describe(graph: Graph, shape: Shape) -> str:
    """A box in words: its tooltip, and what a screen reader says."""
    box, note = shape.box, shape.note
    about = f"; note {note.mark} {note.text}".rstrip().replace("  ", " ") if note else ""
    if box.vertex is None:
        return f"{box.title}: {', '.join(shape.lines)}{about}"
    v = graph.vertices[box.vertex]
    words = [" ".join(filter(None, (_WORDS[v.kind], shape.symbol, v.name or v.label)))]
    if v.shape:
        words.append(f"shape {v.shape}")
    words += [f"value {summary(v.data)}", gradient_words(v)]
    if v.line:
        words.append(f"made at {v.line}")
    if box.inlined or box.terms:
        words.append(f"stands for {len(box.members)} values")
    return ", ".join(words) + about


def gradient_words(v: Vertex) -> str:
    """The gradient of a value in words, also where there is none."""
    if not v.active:
        return "no gradient: a constant"
    return "gradient: not computed yet" if v.grad is None else f"gradient {summary(v.grad)}"


def many(count: int, thing: str) -> str:
    """A number of things.

    >>> many(1, "box"), many(1234, "box"), many(2, "edge")
    ('1 box', '1,234 boxes', '2 edges')
    """
    plural = thing + ("es" if thing.endswith("x") else "s")
    return f"{count:,} {thing if count == 1 else plural}"


# ---------------------------------------------------------------- text


def text_width(text: str, size: float, bold: bool = False) -> float:
    """How wide a text is at most, in pixels: no font of the list is wider."""
    units = 0.0
    for c in text:
        if unicodedata.east_asian_width(c) in "WF" or ord(c) > 0x1F000:
            units += 1.3
        elif c in "ijl.,:;|!'()[] ":
            units += 0.42
        elif c in "mwMW@…" or c.isupper():
            units += 0.82
        else:
            units += 0.64
    return units * size * (1.08 if bold else 1.0)


def note_lines(note: Note) -> list[str]:
    """The text of a note as it stands in a box."""
    return wrap(note.text, LONGEST_LINE, break_on_hyphens=False, max_lines=MOST_LINES, placeholder=" …")


def clip(text: str, most: int) -> str:
    """A text of at most so many characters, on one line, with an ellipsis in the place of the rest."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
