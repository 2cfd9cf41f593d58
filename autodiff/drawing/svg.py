"""The picture as SVG text: boxes with values and gradients, edges, scopes, and a caption with the counts.

The look stands in presentation attributes, because notebooks and web sites drop `<style>`; the only
style sheet makes the picture dark where the reader's system is.  The same view gives the same bytes.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from . import palette
from .boxes import CELL, LONGEST_NAME, NOT_YET, NOTE_LINE, Shape, clip, describe, many, note_lines, second_map, shape_of, text_width
from .fold import Box, Link, View
from .formula import Formulas
from .layout import Arrow, Item, Layout, Point, layout
from .notes import Note, Notes
from .numbers import bar, is_single, magnitude, short
from .palette import LIGHT
from .steps import LocalDerivatives

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
MONO = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"
STRIP = 1500.0  # pixels: wider pictures of arrays flow down if they are flat,
LONG_STRIP = 4000.0  # and so do those of single numbers
LONGEST_LABEL = 36  # characters
MOST_LABELS = 30  # edges with a label; more would be a thicket
_ID = "\x00"  # stands for the picture's own mark until all is written; no name can hold it
_GAP_BEFORE, _BOLD = 'dx="6"', 'font-weight="600"'


class Picture:
    """A view, laid out.  `labels` writes formula and number of the local derivative on the edges.

    `rankdir` is "LR", "TB" (down), or "" for what suits: down for long chains.
    """

    def __init__(self, view: View, notes: Notes, labels: bool = False, rankdir: str = "") -> None:
        self.view, self.notes, self.graph = view, notes, view.graph
        self.formulas, self.local = Formulas(view.graph), LocalDerivatives(view.graph)
        self.largest = max((magnitude(v.grad) for v in self.graph.vertices), default=0.0)
        self.shapes = [shape_of(view.graph, box, notes) for box in view.boxes]
        self.down = rankdir == "TB"
        self.labels = self._edge_labels(labels)
        self.headings = {s: text_width(clip(s[-1], LONGEST_NAME), 11, bold=True) + 20 for box in view.boxes for s in _prefixes(box.scope)}
        self.layout = self._laid_out()
        if not rankdir and self._is_strip() and not any(self.labels):
            self.down = True
            self.layout = self._laid_out()

    def _is_strip(self) -> bool:
        """Is the picture far wider than high, and wider than one looks at?"""
        widest = STRIP if any(s.value for s in self.shapes) else LONG_STRIP
        return self.layout.width > max(widest, 3 * self.layout.height)

    def _laid_out(self) -> Layout:
        items = [Item(s.box.scope, s.width, s.height) for s in self.shapes]
        leads = [(16.0 if self.down else text_width(label, 9.5) + 22) if label else 0.0 for label in self.labels]
        arrows = [Arrow(link.src, link.dst, lead) for link, lead in zip(self.view.links, leads, strict=True)]
        return layout(items, arrows, self.headings, self.down)

    # ------------------------------------------------------------ what boxes and edges say

    def _edge_labels(self, wanted: bool) -> list[str]:
        labels = []
        few = len(self.view.links) <= MOST_LABELS
        for link in self.view.links:
            note = self._link_note(link)
            words = [note.mark] if note else []
            if not self.down:  # beside edges that run down there is no room for words
                words += [note.text] if note and (few or note.color) else []
                words += [self.derivative(link)] if wanted and few else []
            labels.append(clip(" ".join(filter(None, words)), LONGEST_LABEL))
        return labels

    def _link_note(self, link: Link) -> Note | None:
        found = [self.notes.on_edges[i] for i in link.edges if i in self.notes.on_edges]
        return next((note for note in found if note.color or len(link.edges) == 1), None)

    def derivative(self, link: Link) -> str:
        """The local derivative along a link that is one edge: its formula and its number, as far as there are any.

        Where there is no derivative entry by entry, as in a matrix product, what is added to the operand's gradient.
        """
        edge = self.graph.edges[link.edges[0]]
        if len(link.edges) != 1 or not self.graph.vertices[edge.src].active:
            return ""
        formula, number = self.formulas.of(edge), self.local.of(edge)
        text = formula.local(self.formulas.names(edge)) if formula else ""
        if formula and formula.whole:
            return f"+= {text}"
        if number is None or not is_single(number):
            return text
        return f"{text} = {short(number)}" if text and text != short(number) else short(number)

    def caption(self) -> list[str]:
        """The lines below the picture."""
        counts = self.graph.counts()
        lines = [" · ".join(many(n, kind.removesuffix("s")) for kind, n in counts.items() if n)]
        if self.view.folded:
            shown = len(self.graph.vertices) - self.view.hidden
            lines[0] += f"; {many(len(self.view.boxes), 'box')} stand for {shown:,} values"
        if self.view.hidden:
            lines.append(f"{many(self.view.hidden, 'value')} off the paths from the focus not shown")
        if self.graph.root.active and not self.graph.swept:
            lines.append(f"gradient: not computed yet; run {self.graph.root.label}.backward() and draw again")
        if not self.graph.root.active:
            lines.append(f"{self.graph.root.label} is a constant: it depends on no variable and has no gradient")
        if self.notes.remark:
            lines.append(self.notes.remark)
        if self.graph.stale:
            lines.append(self.graph.stale)
        return lines

    # ------------------------------------------------------------ text

    def svg(self, widest: float | None = None, style: bool = True) -> str:
        """The SVG; no wider than `widest` but at least 60 % of its size, and with or without the dark style."""
        caption = self.caption()
        wrapped = [line for text in caption for line in _wrap(text, self.layout.width - 16)]
        width = max(self.layout.width, 240.0)
        height = self.layout.height + 15 * len(wrapped) + 6
        body = [
            f'<rect class="ag-ground" width="{_n(width)}" height="{_n(height)}" rx="8" fill="{LIGHT["ground"]}"/>',
            *self._scopes(),
            *self._edges(),
            *(self._node(shape, corner) for shape, corner in zip(self.shapes, self.layout.corners, strict=True)),
            *self._caption(wrapped, len(_wrap(self.graph.stale, self.layout.width - 16)) if self.graph.stale else 0),
        ]
        scale = 1.0 if widest is None else max(0.6, min(1.0, widest / width))
        mark = hashlib.sha256("\n".join(body).encode()).hexdigest()[:8]  # so that pictures on one page share no id
        head = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ag" role="img" aria-labelledby="{_ID}-t {_ID}-d" '
            f'data-rankdir="{"TB" if self.down else "LR"}" '
            f'width="{_n(width * scale)}" height="{_n(height * scale)}" viewBox="0 0 {_n(width)} {_n(height)}" '
            f'font-family="{FONT}" font-size="11" fill="{LIGHT["text"]}">',
            f'<title id="{_ID}-t">{_xml(self.graph.title)}</title>',
            f'<desc id="{_ID}-d">{_xml(". ".join(caption))}. Result: {_xml(describe(self.graph, self._root_shape()))}.</desc>',
            *([f"<style>{dark_style()}</style>"] if style else []),
            f'<defs><marker id="{_ID}-a" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="8" '
            f'markerHeight="8" orient="auto"><path class="ag-tip" d="M0,.8L7.5,4L0,7.2z" fill="{LIGHT["edge"]}"/></marker></defs>',
        ]
        return "\n".join([*head, *body, "</svg>", ""]).replace(_ID, f"ag{mark}")

    def _root_shape(self) -> Shape:
        return self.shapes[self.view.owner[self.graph.root.place]]

    def _scopes(self) -> Iterable[str]:
        for scope, (x, y, w, h) in self.layout.scopes.items():
            shade = "scope1" if len(scope) % 2 else "scope2"
            yield (
                f'<g class="ag-{shade}" data-scope="{_xml("/".join(scope))}">'
                f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}" '
                f'rx="8" fill="{LIGHT[shade]}" stroke="{LIGHT["scope-line"]}"/>'
                f'<text class="ag-muted" x="{_n(x + 9)}" y="{_n(y + 15)}" font-weight="600" fill="{LIGHT["muted"]}">'
                f"{_xml(clip(scope[-1], LONGEST_NAME))}</text></g>"
            )

    def _edges(self) -> Iterable[str]:
        yield f'<g class="ag-edges" fill="none" stroke="{LIGHT["edge"]}">'
        for link, route in zip(self.view.links, self.layout.routes, strict=True):
            yield self._edge(link, route)
        yield "</g>"
        yield from self._edge_texts()

    def _edge(self, link: Link, route: list[Point]) -> str:
        edge, count, note = self.graph.edges[link.edges[0]], len(link.edges), self._link_note(link)
        look = f' data-from="{self.view.boxes[link.src].key}" data-to="{self.view.boxes[link.dst].key}"'
        if count > 1:
            look += f' data-mult="{count}"'
        else:
            number = self.local.of(edge)
            look += f' data-operand="{edge.operand}"'
            look += f' data-local="{float(number)!r}"' if number is not None and is_single(number) else ""
        colored = note is not None and note.color
        width = max(1 + min(4.0, math.log2(count) / 3), 2.0 if colored else 0.0)
        look += f' stroke-width="{_n(width)}"' if width > 1 else ""
        look += f' class="ag-note-{note.color}" stroke="{LIGHT[f"note-{note.color}"]}"' if note and colored else ""
        says = self._edge_words(link)
        title = f"<title>{_xml(says)}</title></path>" if says else "</path>"
        return f'<path d="{curve(route, self.down)}"{look} marker-end="url(#{_ID}-a)">{title}'

    def _edge_texts(self) -> Iterable[str]:
        """The numbers of bundles, once where several share a line, and the labels of derivatives and notes."""
        taken: set[Point] = set()
        for link, route, label in zip(self.view.links, self.layout.routes, self.labels, strict=True):
            count, note = f"{len(link.edges):,}", self._link_note(link)
            if len(link.edges) > 1 and (spot := self._count_spot(route, count)) and spot not in taken:
                taken.add(spot)
                x, y = (spot[0] + 6, spot[1] + 3) if self.down else (spot[0], spot[1] - 5)
                yield _label(x, y, count, "muted", "" if self.down else "middle")
            if label:
                x, y = (route[-1][0] + 5, route[-1][1] - 11) if self.down else (route[-1][0] - 11, route[-1][1] - 4)
                yield _label(x, y, label, f"note-{note.color}" if note and note.color else "muted", "" if self.down else "end", 9.5)

    def _count_spot(self, route: list[Point], count: str) -> Point | None:
        """Where the number of a bundle stands: on its last straight stretch that has room, where fewest share the line."""
        across = 1 if self.down else 0
        room = 16 if self.down else 10 + 6 * len(count)
        for a, b in reversed(list(pairwise(route))):
            if abs(a[1 - across] - b[1 - across]) < 0.05 and b[across] - a[across] > room:
                return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        return None

    def _edge_words(self, link: Link) -> str:
        if len(link.edges) > 1:
            return f"{len(link.edges):,} edges"
        edge, note = self.graph.edges[link.edges[0]], self._link_note(link)
        words = [note.text] if note and note.text else []
        src, dst, text = self.graph.vertices[edge.src].label, self.graph.vertices[edge.dst].label, self.derivative(link)
        if text:
            words.append(f"d{self.graph.root.label}/d{src} {text}" if text.startswith("+= ") else f"d{dst}/d{src} = {text}")
        return "; ".join(words)

    def _node(self, shape: Shape, corner: Point) -> str:
        box = shape.box
        rim = 2 if box.kind in ("parameter", "output") else 1.2
        w, h = _n(shape.width), _n(shape.height)
        parts = [
            f'<g class="ag-node ag-{box.kind}" transform="translate({_n(corner[0])},{_n(corner[1])})" {self._data(box)}>'
            f"<title>{_xml(describe(self.graph, shape))}</title>"
        ]
        if box.kind == "group":
            parts += [
                f'<rect class="ag-back" x="{d}" y="{d}" width="{w}" height="{h}" rx="7" '
                f'fill="{LIGHT["group"]}" stroke="{LIGHT["group-line"]}"/>'
                for d in (5, 2.5)
            ]
        parts.append(
            f'<rect class="ag-box" width="{w}" height="{h}" rx="{_n(shape.round)}" fill="{LIGHT[box.kind]}" '
            f'stroke="{LIGHT[f"{box.kind}-line"]}" stroke-width="{rim}"/>'
        )
        if box.vertex is None:
            parts.append(_label(10, 16, "▸ " + shape.name, "", size=12, bold=True))
            parts += [_label(10, 31 + 14 * i, line, "muted", size=10) for i, line in enumerate(shape.lines)]
        else:
            parts += self._head(shape)
            parts += self._maps(shape) if shape.value else self._number(shape)
        parts += _note(shape)
        return "".join(parts) + "</g>"

    def _data(self, box: Box) -> str:
        said: dict[str, Any] = {"id": box.key, "kind": box.kind, "scope": "/".join(box.scope), "count": len(box.members)}
        if box.vertex is not None:
            v = self.graph.vertices[box.vertex]
            said |= {"op": v.op.name if v.op else "", "name": v.name, "order": v.place}
            if v.shape:
                said["shape"] = ",".join(map(str, v.shape))
            else:
                said["value"] = repr(float(v.data))
                said["grad"] = "" if v.grad is None else repr(float(v.grad))
        return " ".join(f'data-{k}="{_xml(x)}"' for k, x in said.items())

    def _head(self, shape: Shape) -> list[str]:
        x = 16 if shape.round > 15 else 10
        parts = [f'<tspan font-weight="700">{_xml(shape.symbol)}</tspan>'] if shape.symbol else []
        if shape.statics:
            parts.append(f'<tspan class="ag-muted" dx="5" font-size="10" fill="{LIGHT["muted"]}">{_xml(shape.statics)}</tspan>')
        if shape.name:
            parts.append(f"<tspan {_GAP_BEFORE if parts else _BOLD}>{_xml(shape.name)}</tspan>")
        head = [f'<text x="{x}" y="15" font-size="12">{"".join(parts)}</text>']
        if shape.corner:
            room = 20 if shape.note and shape.note.mark else 0
            head.append(_label(shape.width - (12 if shape.round > 15 else 8) - room, 15, shape.corner, "muted", "end", 10))
        return head

    def _number(self, shape: Shape) -> list[str]:
        assert shape.box.vertex is not None
        v = self.graph.vertices[shape.box.vertex]
        x = 16 if v.kind == "input" else 10
        value = v.data if is_single(v.data) else v.data.item() if v.data.size else float("nan")
        named = v.op is not None or v.name or v.active
        parts = [_mono(x, 30, short(value), "", "ag-value")] if named or v.shape else []
        if not v.active:
            return parts
        if v.grad is None:
            return [*parts, _mono(x, 44, NOT_YET, "muted", "ag-grad")]
        grad = float(np.asarray(v.grad).item()) if np.size(v.grad) else float("nan")
        parts.append(_mono(x, 44, f"∂ {short(grad)}", "muted", "ag-grad"))
        length = (shape.width / 2 - 8) * bar(grad, self.largest)
        if length:
            side = "positive" if grad > 0 else "negative"
            start = shape.width / 2 - (length if grad < 0 else 0)
            parts.append(f'<rect class="ag-bar ag-{side}" x="{_n(start)}" y="47.5" width="{_n(length)}" height="3" fill="{LIGHT[side]}"/>')
        return parts

    def _maps(self, shape: Shape) -> list[str]:
        assert shape.box.vertex is not None
        v = self.graph.vertices[shape.box.vertex]
        second = 10 + second_map(shape)
        below = 33 + shape.rows * CELL
        parts = [_heat_map(10, 22, shape.value, "value"), _label(10, below, "value", "muted", size=9)]
        if v.active:
            grad = _heat_map(second, 22, shape.grad, "grad")
            parts += [grad, _label(second, below, "grad" if shape.grad else NOT_YET, "muted", size=9)]
        return parts

    def _caption(self, lines: list[str], warnings: int) -> Iterable[str]:
        for i, line in enumerate(lines):
            role = "note-red" if i >= len(lines) - warnings else "muted"
            yield _label(9, self.layout.height + 8 + 15 * i, line, role, size=10.5, bold=role != "muted")


# ---------------------------------------------------------------- pieces of SVG


def curve(route: list[Point], down: bool = False) -> str:
    """A polyline as an SVG path: stretches along the flow are straight, the bends between them smooth.

    >>> curve([(0, 0), (10, 0), (30, 8)])
    'M0,0H10C20,0 20,8 30,8'
    """
    (x, y), *rest = route
    d = f"M{_n(x)},{_n(y)}"
    for u, v in rest:
        if abs(u - x if down else v - y) < 0.05:
            d += f"V{_n(v)}" if down else f"H{_n(u)}"
        elif down:
            m = _n((y + v) / 2)
            d += f"C{_n(x)},{m} {_n(u)},{m} {_n(u)},{_n(v)}"
        else:
            m = _n((x + u) / 2)
            d += f"C{m},{_n(y)} {m},{_n(v)} {_n(u)},{_n(v)}"
        x, y = u, v
    return d


def _heat_map(x: float, y: float, text: str, what: str) -> str:
    where: dict[str, list[Point]] = {}
    for r, row in enumerate(text.split("/") if text else []):
        for c, shade in enumerate(row):
            where.setdefault(shade, []).append((c * CELL, r * CELL))
    parts = []
    for shade in sorted(where):
        d = "".join(f"M{c} {r}h6v6h-6z" for c, r in where[shade])
        if shade == "0":
            role, opacity = "muted", ".16"
        elif shade == "!":
            role, opacity = "text", "1"
        else:
            role = "positive" if shade.islower() else "negative"
            opacity = f"{(ord(shade.lower()) - ord('a') + 1) / 8:.2g}".lstrip("0")
        parts.append(f'<path class="ag-{role}" fill="{LIGHT[role]}" fill-opacity="{opacity}" d="{d}"/>')
    return f'<g class="ag-heat" data-what="{what}" transform="translate({_n(x)},{_n(y)})">{"".join(parts)}</g>'


def _note(shape: Shape) -> list[str]:
    note = shape.note
    if note is None:
        return []
    role = f"note-{note.color}" if note.color else "text"
    w = shape.width
    parts = []
    if note.color:
        parts.append(
            f'<rect class="ag-ring ag-{role}" x="-3" y="-3" width="{_n(w + 6)}" height="{_n(shape.height + 6)}" rx="{_n(shape.round + 3)}" '
            f'fill="none" stroke="{LIGHT[role]}" stroke-width="2"/>'
        )
    if note.mark:
        parts.append(f'<circle class="ag-{role}" cx="{_n(w - 7)}" cy="7" r="9" fill="{LIGHT[role]}"/>')
        parts.append(_label(w - 7, 11, note.mark, "on-note", "middle", 11, bold=True))
    if note.text:
        for i, line in enumerate(reversed(note_lines(note))):
            parts.append(_label(10, shape.height - 5 - NOTE_LINE * i, line, role, size=10))
    return parts


def _label(x: float, y: float, text: str, role: str, anchor: str = "", size: float = 9, bold: bool = False) -> str:
    look = f' class="ag-{role}" fill="{LIGHT[role]}"' if role else ""
    look += f' text-anchor="{anchor}"' if anchor else ""
    look += ' font-weight="600"' if bold else ""
    return f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"{look}>{_xml(text)}</text>'


def _mono(x: float, y: float, text: str, role: str, kind: str) -> str:
    look = f'class="{kind} ag-{role}" fill="{LIGHT[role]}"' if role else f'class="{kind}"'
    return f'<text {look} x="{_n(x)}" y="{_n(y)}" font-family="{MONO}">{_xml(text)}</text>'


def dark_style() -> str:
    """The style sheet of the picture where the reader's system is dark."""
    return f"@media(prefers-color-scheme:dark){{{theme_style(palette.DARK)}}}"


def theme_style(theme: palette.Theme) -> str:
    """Every colour of a theme as rules for the classes of the picture."""
    rules = [
        f".ag{{fill:{theme['text']}}}.ag-ground{{fill:{theme['ground']}}}.ag-edges{{stroke:{theme['edge']}}}.ag-tip{{fill:{theme['edge']}}}"
    ]
    rules += [f".ag-{s}>rect{{fill:{theme[s]};stroke:{theme['scope-line']}}}" for s in ("scope1", "scope2")]
    rules += [f".ag-{k}>.ag-box{{fill:{theme[k]};stroke:{theme[f'{k}-line']}}}" for k in palette.KINDS]
    rules.append(f".ag-back{{fill:{theme['group']};stroke:{theme['group-line']}}}")
    rules += [f".ag-{c}{{fill:{theme[c]}}}" for c in ("text", "muted", "positive", "negative", "on-note")]
    for color in palette.NOTE_COLORS:
        note = theme[f"note-{color}"]
        rules.append(f".ag-note-{color}{{fill:{note}}}path.ag-note-{color},.ag-ring.ag-note-{color}{{fill:none;stroke:{note}}}")
    return "".join(rules)


# ---------------------------------------------------------------- text and numbers


def _wrap(text: str, width: float) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and text_width(longer, 10.5) > max(width, 224):
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line] if line else lines


def _xml(x: Any) -> str:
    """Text for XML: escaped, and without the characters that XML cannot hold."""
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", str(x))
    return escape(text, {'"': "&quot;", "'": "&#39;"})


def _n(x: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{x:.1f}".rstrip("0").rstrip(".").replace("-0", "0", 1) if abs(x) < 0.05 else f"{x:.1f}".removesuffix(".0")


def _prefixes(scope: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [scope[:k] for k in range(1, len(scope) + 1)]
