"""What another reader may write on a picture: a colour, a mark and a few lines of text per node or edge.

The formulas that `ad.draw(E, formulas=True)` prints are such notes, without a colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import AutodiffError
from ..node import Node
from .model import Graph
from .palette import NOTE_COLORS


@dataclass(frozen=True)
class Note:
    """One annotation: `color` is green, red, amber, blue or "" for none, `mark` a sign of one or two characters, `text` a sentence.

    >>> Note("red", "✗", "differs from the claim")
    Note(color='red', mark='✗', text='differs from the claim')
    """

    color: str = "blue"
    mark: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        if self.color and self.color not in NOTE_COLORS:
            raise ValueError(f"a note's colour is one of {', '.join(NOTE_COLORS)}, or '' for none, not {self.color!r}")
        if len(self.mark) > 2:
            raise ValueError(f"a note's mark has one or two characters, and {self.mark!r} has {len(self.mark)}; longer words go into text=")


@dataclass(frozen=True)
class Notes:
    """Notes by place of a value, and by number of an edge; `remark` is a sentence below the picture."""

    on_values: Mapping[int, Note]
    on_edges: Mapping[int, Note]
    remark: str = ""


NO_NOTES = Notes({}, {})


def placed(graph: Graph, notes: Mapping[Any, Note], remark: str = "") -> Notes:
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
    return Notes(on_values, on_edges, remark)


JUDGED = {"wrong": ("red", "✗"), "carried forward": ("amber", "→"), "undecided": ("blue", "?"), "right": ("green", "✓")}  # worst first


def judged(report: Any) -> tuple[dict[Any, Note], str]:
    """The verdicts of a report: a mark on each node that a claim was about, the first mistake's sentence where it was made and below."""
    found: dict[Any, Note] = {}
    for status, (color, mark) in JUDGED.items():
        for v in report.verdicts:
            if v.status == status:
                found.setdefault(v.node, Note(color, mark, f"{v.target}: {status}"))
    first = report.first_wrong
    if first is not None:
        called = "" if first.label == first.target else f", {first.label}"
        found[first.node] = Note("red", "✗", f"{first.target}: the first that is wrong{called}")
        where = first.edge if first.edge is not None else first.node
        found[where] = Note("red", "✗", first.sentence if where is not first.node else f"{found[first.node].text}: {first.sentence}")
    return found, f"The first mistake, {first.label}: {first.sentence}." if first is not None else ""


def formulas(graph: Graph, notes: Mapping[Any, Note]) -> tuple[dict[Any, Note], str]:
    """The notes with the closed form at every node that has one and the local rule on its edges, and what to say below the picture."""
    from .. import derive

    try:
        derivation = derive(graph.root.source)
    except AutodiffError as error:
        return dict(notes), f"No formulas: {error}"
    found: dict[Any, Note] = {}
    for v in graph.vertices:
        formula = derivation.formula(v.source) if v.active else None
        if formula is not None:
            found[v.source] = Note("", text=f"{formula.left} = {formula.text}")
        if formula is not None or v is graph.root:
            sources = (graph.vertices[graph.edges[i].src] for i in graph.inputs[v.place])
            found |= {(v.source, i): Note("", text=derivation.rule(v.source, i)) for i, s in enumerate(sources) if s.active}
    for about, note in notes.items():
        found[about] = replace(note, text=f"{note.text}; {found[about].text}".removeprefix("; ")) if about in found else note
    used = ", ".join(map(str, derivation.assumptions))
    return found, f"The formulas use {used}" if used else ""
