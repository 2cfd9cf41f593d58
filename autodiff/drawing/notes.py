"""What another reader may write on a picture: a colour, a mark and a line of text per node or edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..node import Node
from .model import Graph
from .palette import NOTE_COLORS


@dataclass(frozen=True)
class Note:
    """One annotation: `color` is green, red, amber or blue, `mark` a sign of one or two characters, `text` a line.

    >>> Note("red", "✗", "differs from the claim")
    Note(color='red', mark='✗', text='differs from the claim')
    """

    color: str = "blue"
    mark: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        if self.color not in NOTE_COLORS:
            raise ValueError(f"a note's colour is one of {', '.join(NOTE_COLORS)}, not {self.color!r}")
        if len(self.mark) > 2:
            raise ValueError(f"a note's mark has one or two characters, and {self.mark!r} has {len(self.mark)}; longer words go into text=")


@dataclass(frozen=True)
class Notes:
    """Notes by place of a value, and by number of an edge."""

    on_values: Mapping[int, Note]
    on_edges: Mapping[int, Note]


def placed(graph: Graph, notes: Mapping[Any, Note]) -> Notes:
    """Find what notes are about: a node, or an edge given as (result, number of the operand)."""
    places = {id(v.source): v.place for v in graph.vertices if isinstance(v.source, Node)}
    on_values: dict[int, Note] = {}
    on_edges: dict[int, Note] = {}
    for about, note in notes.items():
        if not isinstance(note, Note):
            raise TypeError(f"a note is a drawing.Note(color, mark, text), not {type(note).__name__}")
        node, operand = about if isinstance(about, tuple) else (about, None)
        place = places.get(id(node))
        if place is None:
            raise ValueError(f"a note is about {node!r}, which is not part of this graph")
        if operand is None:
            on_values[place] = note
        elif operand in range(len(graph.inputs[place])):
            on_edges[graph.inputs[place][operand]] = note
        else:
            label, count = graph.vertices[place].label, len(graph.inputs[place])
            raise ValueError(f"a note is about operand {operand!r} of {label}, which has {count}, numbered from 0")
    return Notes(on_values, on_edges)
