"""Pictures of computation graphs: SVG, a player in one HTML page, text, Graphviz, JSON.

`model` is the graph as pictures see it, `fold` chooses the boxes, `boxes` says what stands in them,
`layout` places them, `svg` draws them; `formula` and `steps` say what backward does; `page`, `text`, `dot` and `export` are the other
forms.  A drawing never changes a node, records nothing, and touches no `.grad`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..naming import user_frame, variables
from .dot import Digraph, micrograd
from .drawing import Drawing, Viewer
from .fold import BUDGET, Wish
from .model import Graph, build
from .notes import Note, judged, placed
from .notes import formulas as derived

__all__ = ["Drawing", "Note", "Viewer", "draw", "draw_dot", "drawing_of"]


def draw(
    E: Any,
    *,
    level: int | None = None,
    focus: Any = (),
    collapse: str | Iterable[str] = (),
    expand: str | Iterable[str] | bool = (),
    derivatives: bool = False,
    formulas: bool = False,
    notes: Mapping[Any, Note] | None = None,
    report: Any = None,
    rankdir: str = "",
    engine: str = "built-in",
) -> Drawing:
    """Draw the graph that a node was computed by; a big one folds itself to 150 boxes.

    `level` is how many levels of scopes are open; `focus` a node, a name or several, of which only the
    paths to the result are shown; `collapse` and `expand` are paths of scopes such as "layer1/neuron0",
    and `expand=True` shows everything, however large.  `derivatives` writes formula and number of the
    local derivatives on the edges of a picture with at most 30 that runs left to right.  `formulas` writes what `ad.derive`
    finds: the closed form of the gradient at each named node, and the rule that leads to its operands on the edges; where it
    finds none the picture says why.  `notes` are annotations: a
    `drawing.Note` for each node, or for each edge given as (result, number of the operand).  `report` is what `ad.check` found:
    nodes are marked ✓ right, ✗ wrong and → carried forward, and the edge where the first mistake was made has its sentence.
    `rankdir` is "LR", left to right, or "TB", top to bottom; left out, it is what suits.
    `engine="dot"` renders `.svg` through an installed Graphviz.  A graph that is stale is drawn and says so.
    Raises BadOperand if E is no node, ValueError for a scope or name that the graph does not have.

    >>> import autodiff as ad
    >>> x = ad.Value(3.0, name="x"); E = (x * x).named("E"); E.backward()
    >>> print(ad.draw(E))
    × E ···          9  ∂          1
    ├─ x ··          3  ∂          6
    └─ x ··          3  ∂          6
    """
    return drawing_of(
        E,
        variables(user_frame()),
        level=level,
        focus=focus,
        collapse=collapse,
        expand=expand,
        derivatives=derivatives,
        formulas=formulas,
        notes=notes,
        report=report,
        rankdir=rankdir,
        engine=engine,
    )


def drawing_of(
    E: Any,
    names: dict[int, str],
    *,
    level: int | None = None,
    focus: Any = (),
    collapse: str | Iterable[str] = (),
    expand: str | Iterable[str] | bool = (),
    derivatives: bool = False,
    formulas: bool = False,
    notes: Mapping[Any, Note] | None = None,
    report: Any = None,
    rankdir: str = "",
    engine: str = "built-in",
) -> Drawing:
    """What `draw` does, for callers that know the names of nodes and arrays, by `id()`, themselves."""
    graph = build(E, names)
    marks, remark = judged(report) if report is not None else ({}, "")
    found = {**marks, **(notes or {})}
    if formulas:
        found, more = derived(graph, found)
        remark = "  ".join(r for r in (remark, more) if r)
    return Drawing(graph, _wish(graph, level, focus, collapse, expand), placed(graph, found, remark), derivatives, rankdir, engine)


def draw_dot(root: Any, format: str = "svg", rankdir: str = "LR") -> Digraph:
    """The whole graph as a `graphviz.Digraph`, as micrograd's notebook draws it: `draw_dot(loss)`.

    Raises BadOperand if root is no node, ValueError for a rankdir other than LR and TB.

    >>> import autodiff as ad
    >>> x = ad.Value(3.0, name="x")
    >>> draw_dot(x * x).source.count("n0 -> n1_op")
    2
    """
    graph = build(root, variables(user_frame()))
    return micrograd(graph, lambda: Drawing(graph, Wish(), placed(graph, {}), False, rankdir, "built-in").svg, format, rankdir)


def _wish(graph: Graph, level: int | None, focus: Any, collapse: str | Iterable[str], expand: str | Iterable[str] | bool) -> Wish:
    if level is not None and level < 0:
        raise ValueError(f"level is the number of open levels of scopes, 0 or more, not {level}")
    budget = None if expand is True else BUDGET
    opened = () if isinstance(expand, bool) else _several(expand)
    return Wish(budget, level, _places(graph, focus), _several(collapse), opened)


def _several(paths: str | Iterable[str]) -> tuple[str, ...]:
    return (paths,) if isinstance(paths, str) else tuple(paths)


def _places(graph: Graph, focus: Any) -> frozenset[int]:
    """The places of the nodes or names that a focus means."""
    places = {id(v.source): v.place for v in graph.vertices}
    named = {v.label: v.place for v in graph.vertices}
    found = set()
    for one in focus if isinstance(focus, list | tuple | set) else [focus]:
        place = named.get(one) if isinstance(one, str) else places.get(id(one))
        if place is None:
            some = ", ".join(sorted(v.name for v in graph.vertices if v.name)[:8])
            raise ValueError(f"focus: {one!r} is not part of this graph; " + (f"it has {some}" if some else "it has no names"))
        found.add(place)
    return frozenset(found)
