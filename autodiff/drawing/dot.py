"""Interchange with Graphviz: real `graphviz.Digraph`s, and rendering through an installed `dot`.

The built-in pictures need none of this.  Nodes are named by their places in topological order.
"""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Callable
from typing import Any

import graphviz

from .boxes import clip, describe
from .fold import Box, View
from .model import Graph, Vertex
from .numbers import short, summary
from .palette import LIGHT
from .svg import Picture

MOST_NODES = 2000  # that `dot` is ever given: its time grows with the square and more
SECONDS = 30.0

_SHAPES = {"input": "box", "parameter": "box", "constant": "box", "op": "box", "output": "box", "group": "box3d"}
_STYLES = {"input": "rounded,filled", "op": "rounded,filled", "output": "rounded,filled,bold"}


class Digraph(graphviz.Digraph):  # type: ignore[misc]
    """A graphviz.Digraph that shows itself as the built-in picture where no `dot` is installed."""

    built_in: Callable[[], str]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
        try:
            return super()._repr_mimebundle_(include, exclude)  # type: ignore[no-any-return]
        except graphviz.ExecutableNotFound:
            return {"image/svg+xml": self.built_in()}


def digraph(view: View, picture: Picture) -> Digraph:
    """What the picture shows, with a cluster for each scope."""
    rankdir = "TB" if picture.down else "LR"
    dot = Digraph("graph", graph_attr={"rankdir": rankdir, "bgcolor": "white"}, node_attr={"fontname": "Helvetica", "fontsize": "11"})
    dot.attr("edge", color=LIGHT["edge"], arrowsize="0.7")
    inside: dict[tuple[str, ...], list[tuple[Box, str, str]]] = {(): []}
    for box, shape in zip(view.boxes, picture.shapes, strict=True):
        for k in range(1, len(box.scope) + 1):
            inside.setdefault(box.scope[:k], [])
        inside[box.scope].append(
            (box, _label(view.graph, box, f"{shape.symbol} {shape.name}".strip(), shape.lines), describe(view.graph, shape))
        )
    clusters: dict[tuple[str, ...], Any] = {(): dot}
    for number, (scope, boxes) in enumerate(inside.items()):
        if scope:
            clusters[scope] = graphviz.Digraph(f"cluster_{number}")
            clusters[scope].attr(
                label=graphviz.escape(clip(scope[-1], 40)), style="rounded,filled", fillcolor=LIGHT["scope1"], color=LIGHT["scope-line"]
            )
        for box, label, tip in boxes:
            look = {"fillcolor": LIGHT[box.kind], "color": LIGHT[f"{box.kind}-line"], "style": _STYLES.get(box.kind, "filled")}
            clusters[scope].node(box.key, label=label, shape=_SHAPES[box.kind], tooltip=graphviz.escape(tip), **look)
    for scope in sorted(clusters, key=len, reverse=True):
        if scope:
            clusters[scope[:-1]].subgraph(clusters[scope])
    for link in view.links:
        many = {"label": f"{len(link.edges):,}", "penwidth": "2"} if len(link.edges) > 1 else {}
        dot.edge(view.boxes[link.src].key, view.boxes[link.dst].key, **many)
    dot.built_in = picture.svg
    return dot


def _label(graph: Graph, box: Box, head: str, lines: list[str]) -> str:
    rows = [head, *lines]
    if box.vertex is not None:
        v = graph.vertices[box.vertex]
        rows += [f"shape {v.shape}"] if v.shape else []
        rows += [summary(v.data)] if v.name or v.op is not None or v.active else []
        rows += [f"∂ {'not yet' if v.grad is None else summary(v.grad)}"] if v.active else []
    return "\n".join(graphviz.escape(row) for row in rows)


def micrograd(graph: Graph, built_in: Callable[[], str], format: str = "svg", rankdir: str = "LR") -> Digraph:
    """The whole graph with the look of micrograd's notebook: a record for each value, an ellipse for each op."""
    if rankdir not in ("LR", "TB"):
        raise ValueError(f"rankdir is 'LR', left to right, or 'TB', top to bottom, not {rankdir!r}")
    dot = Digraph("graph", format=format, graph_attr={"rankdir": rankdir})
    for v in graph.vertices:
        dot.node(v.key, label=f"{{ {' | '.join(map(_field, _fields(v)))} }}", shape="record")
        if v.op is not None:
            dot.node(f"{v.key}_op", label=graphviz.escape(v.op.symbol))
            dot.edge(f"{v.key}_op", v.key)
    for e in graph.edges:
        dot.edge(graph.vertices[e.src].key, f"{graph.vertices[e.dst].key}_op")
    dot.built_in = built_in
    return dot


def _fields(v: Vertex) -> list[str]:
    if v.shape:
        return [v.name, f"data {v.shape} {summary(v.data)}", f"grad {'not yet' if v.grad is None else summary(v.grad)}"]
    return [v.name, f"data {_four(v.data)}", f"grad {'not yet' if v.grad is None else _four(v.grad)}"]


def _four(x: Any) -> str:
    return f"{float(x):.4f}" if abs(float(x)) < 1e6 else short(x)


def _field(text: str) -> str:
    text = clip(text, 60)
    for sign in "\\{}|<>":
        text = text.replace(sign, "\\" + sign)
    return text


def rendered(dot: graphviz.Digraph, nodes: int) -> str | None:
    """The SVG that an installed `dot` makes; None, after a warning that says why, if there is none."""
    executable: str | None = shutil.which("dot")
    if nodes > MOST_NODES:
        why = f"the picture has {nodes:,} nodes and dot is never given more than {MOST_NODES:,}: it would take minutes. Fold it, level=1"
    elif executable is None:
        why = "no dot was found. Install Graphviz (apt install graphviz, brew install graphviz, or graphviz.org/download)"
    else:
        try:
            run = subprocess.run([executable, "-Tsvg"], input=dot.source.encode(), capture_output=True, timeout=SECONDS, check=True)
            return str(run.stdout, "utf-8")
        except subprocess.TimeoutExpired:
            why = f"dot was stopped after {SECONDS:.0f} seconds. Fold the graph, level=1 or focus=W"
        except (subprocess.CalledProcessError, OSError) as error:
            why = f"dot failed: {getattr(error, 'stderr', b'').decode(errors='replace').strip() or error}"
    warnings.warn(f"{why}; here is the built-in picture", stacklevel=4)
    return None
