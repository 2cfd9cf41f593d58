"""The player: one HTML page that shows a graph forward and then backward, one value a step.

Pictures, steps, numbers, formulas and sentences' pieces are made here and shipped as data; the script
in static/viewer.js shows them, and computes no op and no layout.  Without scripts the page is the still
picture and a table.
"""

from __future__ import annotations

import base64
import html
import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np

from . import palette
from .export import number
from .fold import View, Wish, fold
from .formula import Formulas
from .model import Graph, Vertex
from .notes import Notes
from .numbers import heat, magnitude, summary
from .steps import Contribution, backward_steps
from .svg import Picture, dark_style
from .text import expression

OPENED = 600  # boxes of the view that opens everything, at most
MOST_ROWS = 500  # of the table
_PLACEHOLDERS = {"g": "{g}", "z": "{z}"}


def page(graph: Graph, wish: Wish, notes: Notes, picture: Picture, rankdir: str) -> str:
    """The whole page."""
    views = _views(graph, wish, notes, picture, rankdir)
    data = _data(graph, views)
    first, *others = (p.svg(style=False) for _, p in views)
    hidden = "".join(f'<template data-view="{i + 1}">{svg}</template>' for i, svg in enumerate(others))
    options = "".join(f'<option value="{i}">{name}</option>' for i, (name, _) in enumerate(views))
    title = html.escape(graph.title)
    # In a script element only "</" and "<!--" could end it, and a "<" in JSON stands in strings only.
    payload = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>{_variables()}{_static("viewer.css")}{dark_style()}</style>
</head>
<body>
<main class="agv">
<h1>{title}</h1>
<div class="agv-bar" role="toolbar" aria-label="Player">
{_buttons()}
<label class="agv-views">View <select>{options}</select></label>
<label class="agv-find">Find <input type="search" size="9" placeholder="name or op"></label><span class="agv-hits"></span>
</div>
<p class="agv-says"></p>
<div class="agv-main">
<div class="agv-stage" data-view="0">{first}</div>
<aside class="agv-inspector" aria-label="Inspector"><table><caption></caption><tbody></tbody></table></aside>
</div>
{hidden}
<div class="agv-live" aria-live="polite"></div>
<details><summary>The graph as a table</summary>{_table(graph)}</details>
<details class="agv-help"><summary>Keys</summary>{_KEYS}</details>
<script type="application/json">{payload}</script>
<script>{_static("viewer.js")}</script>
</main>
</body>
</html>
"""


def embedded(text: str, picture: Picture) -> str:
    """A page in a frame of its own, for notebooks, and below it the still picture, which survives where frames do not."""
    height = int(min(860, max(420, picture.layout.height + 330)))
    title = html.escape(picture.graph.title)
    image = base64.b64encode(picture.svg().encode("utf-8", "replace")).decode()
    return (
        f'<iframe sandbox="allow-scripts" title="{title}" style="width:100%;height:{height}px;border:0" '
        f'srcdoc="{html.escape(text)}"></iframe>'
        f'<details><summary>Still picture</summary><img alt="{title}" src="data:image/svg+xml;base64,{image}"></details>'
    )


def _static(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def _variables() -> str:
    """The palette as variables of the style sheet."""

    def block(theme: palette.Theme) -> str:
        return "".join(f"--{role}:{color};" for role, color in theme.items() if role in _USED)

    return f":root{{{block(palette.LIGHT)}}}@media(prefers-color-scheme:dark){{:root{{{block(palette.DARK)}}}}}"


_USED = ("ground", "scope1", "scope2", "scope-line", "text", "muted", "focus", "path", "active", "active-line", "positive", "negative")


def _buttons() -> str:
    rows = [
        ("first", "First step (Home)", "|◀"),
        ("back", "Step back (,)", "−1"),
        ("play", "Play (Space)", "Play"),
        ("next", "Next step (.)", "+1"),
        ("last", "Last step (End)", "▶|"),
    ]
    zoom = [("out", "Zoom out (-)", "−"), ("in", "Zoom in (+)", "+"), ("fit", "Fit the picture (0)", "Fit")]
    made = [f'<button type="button" data-do="{do}" title="{says}" aria-label="{says}">{sign}</button>' for do, says, sign in rows + zoom]
    return "\n".join([*made[:5], '<input type="range" min="0" value="0" aria-label="Step">', *made[5:]])


_KEYS = (
    "<dl><dt>. and ,</dt><dd>next step, step back</dd><dt>Space</dt><dd>play, pause</dd><dt>Home, End</dt><dd>first and last step</dd>"
    "<dt>Arrows</dt><dd>along the edges to operands and users, across them to neighbours</dd>"
    "<dt>Enter</dt><dd>show the paths along which the gradient flows; open a folded box</dd>"
    "<dt>/</dt><dd>find</dd><dt>+ − 0</dt><dd>zoom in, out, fit</dd><dt>Esc</dt><dd>clear the selection</dd></dl>"
)


def _table(graph: Graph) -> str:
    head = "".join(f'<th scope="col">{h}</th>' for h in ("value", "computed as", "number", "gradient"))
    rows = []
    for v in graph.vertices[-MOST_ROWS:]:
        grad = "constant" if not v.active else "not computed yet" if v.grad is None else summary(v.grad)
        cells = (expression(graph, v), summary(v.data), grad)
        rows.append(f'<tr><th scope="row">{html.escape(v.label)}</th>' + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>")
    more = len(graph.vertices) - MOST_ROWS
    note = f"<p>The last {MOST_ROWS} of {len(graph.vertices):,} values.</p>" if more > 0 else ""
    return f"{note}<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


# ---------------------------------------------------------------- views


def _views(graph: Graph, wish: Wish, notes: Notes, picture: Picture, rankdir: str) -> list[tuple[str, Picture]]:
    """The pre-laid folds: as asked for, with every scope closed, with as much open as is readable."""
    views = [("Whole graph" if not wish.focus else "Paths from the focus", picture)]
    wishes = []
    if any(v.scope for v in graph.vertices):
        wishes.append(("By scope", replace(wish, level=0, expand=())))
    wishes.append(("Opened", replace(wish, level=None, collapse=(), budget=OPENED)))
    for name, other in wishes:
        view = fold(graph, other)
        if all(view.owner != p.view.owner for _, p in views):
            views.append((name, Picture(view, notes, rankdir=rankdir)))
    return views


# ---------------------------------------------------------------- data


def _data(graph: Graph, views: list[tuple[str, Picture]]) -> dict[str, Any]:
    """Everything the script shows, by columns: one list for each property of nodes and edges."""
    vertices, edges = graph.vertices, graph.edges
    templates, template_of = _templates(graph)
    steps = backward_steps(graph)
    scopes = {s: i for i, s in enumerate(dict.fromkeys(v.scope for v in vertices))}
    return {
        "root": graph.root.place,
        "stale": graph.stale or "",
        "swept": graph.swept,
        "label": [v.label for v in vertices],
        "kind": [v.kind for v in vertices],
        "op": [v.op.name if v.op is not None else "" for v in vertices],
        "computed": [expression(graph, v) for v in vertices],
        "shape": [f"{v.shape}" if v.shape else "" for v in vertices],
        "value": [_figure(v.data) for v in vertices],
        "grad": [None if v.grad is None else _figure(v.grad) for v in vertices],
        "map": [heat(v.data) if _many(v) else "" for v in vertices],
        "scopes": ["/".join(s) for s in scopes],
        "scope": [scopes[v.scope] for v in vertices],
        "line": [v.line for v in vertices] if any(v.line for v in vertices) else [],
        "src": [e.src for e in edges],
        "dst": [e.dst for e in edges],
        "formulas": templates,
        "formula": template_of,
        "seed": [] if not steps else [_figure(steps[0].upstream), heat(steps[0].upstream) if _many(graph.root) else ""],
        "steps": [_step(graph, s.place, s.contributions) for s in steps],
        "views": [_view(p.view) for _, p in views],
    }


def _view(view: View) -> dict[str, Any]:
    return {"boxes": [b.key for b in view.boxes], "owner": view.owner}


def _many(v: Vertex) -> bool:
    return bool(v.shape) and v.data.size > 1


def _figure(x: Any) -> Any:
    """A number, or of an array its largest magnitude."""
    x = np.asarray(x)
    return _rounded(float(x.item()) if x.size == 1 else magnitude(x))


def _rounded(x: float) -> Any:
    return number(float(f"{x:.10g}"))


def _templates(graph: Graph) -> tuple[list[list[str]], list[int]]:
    """The different formulas, as [contribution, local derivative], and which of them each edge has; -1 for none."""
    formulas = Formulas(graph)
    index: dict[tuple[str, str], int] = {}
    of = []
    for e in graph.edges:
        formula = formulas.of(e) if graph.vertices[e.src].active else None
        if formula is None:
            of.append(-1)
            continue
        of.append(index.setdefault((formula.contribution(_PLACEHOLDERS), "" if formula.whole else formula.text), len(index)))
    return [list(texts) for texts in index], of


def _step(graph: Graph, place: int, passed: list[Contribution]) -> list[Any]:
    """[place, [[edge, local, amount, total, heat map of the total], ...]]; a local derivative may be null."""
    rows = []
    for c in passed:
        local = None if c.local is None or np.size(c.local) != 1 else _figure(c.local)
        row = [c.edge, local, _figure(c.amount), _figure(c.total)]
        rows.append([*row, heat(c.total)] if _many(graph.vertices[graph.edges[c.edge].src]) else row)
    return [place, rows]
