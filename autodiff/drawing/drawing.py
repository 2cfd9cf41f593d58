"""What `ad.draw` returns: one drawing in all its forms, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from . import dot, export, text
from .fold import View, Wish, fold
from .model import Graph
from .notes import Notes
from .svg import Picture

WIDEST = 860.0  # pixels, what a notebook of 1000 leaves beside its margins: wider pictures are scaled, though not below 60 %
RANKDIRS = ("", "LR", "TB")
ENGINES = ("built-in", "dot")


class Drawing:
    """A picture of a computation graph; made by `ad.draw`.

    Texts, without parentheses: `.svg`, `.html`, `.text` (a tree), `.table` (a listing), `.json`.  It
    shows itself in a notebook as SVG and prints as the tree.
    """

    def __init__(self, graph: Graph, wish: Wish, notes: Notes, derivatives: bool, rankdir: str, engine: str) -> None:
        if rankdir not in RANKDIRS:
            raise ValueError(f"rankdir is 'LR', left to right, 'TB', top to bottom, or '' for what suits, not {rankdir!r}")
        if engine not in ENGINES:
            raise ValueError(f"engine is {' or '.join(map(repr, ENGINES))}, not {engine!r}")
        self._graph, self._wish, self._notes, self._derivatives = graph, wish, notes, derivatives
        self._rankdir, self._engine = rankdir, engine
        self._view: View = fold(graph, wish)

    @cached_property
    def _picture(self) -> Picture:
        return Picture(self._view, self._notes, self._derivatives, self._rankdir)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG, complete in itself; the same graph gives the same bytes."""
        if self._engine == "dot":
            made = dot.rendered(self.graphviz(), len(self._view.boxes))
            if made is not None:
                return made
        return self._picture.svg()

    @cached_property
    def html(self) -> str:
        """One page without any network that plays forward and backward step by step."""
        from .page import page

        return page(self._graph, self._wish, self._notes, self._picture, self._rankdir)

    @property
    def text(self) -> str:
        """A tree from the result down to the leaves, in ASCII where the terminal has no more."""
        return text.tree(self._graph, text.is_ascii_terminal(), self._notes)

    @property
    def table(self) -> str:
        """A listing with value, gradient and a magnitude bar per line, in ASCII where the terminal has no more."""
        return text.table(self._graph, text.is_ascii_terminal())

    @cached_property
    def json(self) -> str:
        """The whole graph for other programs; the schema stands in autodiff/drawing/export.py."""
        return export.to_json(self._graph)

    def graphviz(self, style: str = "boxes") -> dot.Digraph:
        """The picture as a `graphviz.Digraph`; with style="micrograd" the whole graph as micrograd draws it.

        Raises ValueError for another style.

        >>> import autodiff as ad
        >>> print(ad.draw(ad.Value(1.0, name="x") * 2).graphviz(style="micrograd").source.count("->"))
        3
        """
        if style == "micrograd":
            return dot.micrograd(self._graph, self._picture.svg, rankdir=self._rankdir or "LR")
        if style != "boxes":
            raise ValueError(f"style is 'boxes' or 'micrograd', not {style!r}")
        return dot.digraph(self._view, self._picture)

    def viewer(self) -> Viewer:
        """The player inside a notebook; where scripts are not allowed, the still picture."""
        return Viewer(self)

    def save(self, path: str | Path) -> None:
        """Write the drawing to a file, in the form its suffix says: .svg, .html, .dot, .txt or .json.

        Raises ValueError for other suffixes.

        >>> import autodiff as ad
        >>> ad.draw(ad.Value(1.0) * 2).save("graph.pdf")
        Traceback (most recent call last):
            ...
        ValueError: a drawing cannot be saved as 'graph.pdf': there are .svg, .html, .dot, .txt and .json
        """
        path = Path(path)
        forms: dict[str, Callable[[], str]] = {
            ".svg": lambda: self.svg,
            ".html": lambda: self.html,
            ".dot": lambda: self.graphviz().source,
            ".txt": lambda: text.tree(self._graph, notes=self._notes) + "\n\n" + text.table(self._graph) + "\n",
            ".json": lambda: self.json + "\n",
        }
        if path.suffix not in forms:
            *most, last = forms
            raise ValueError(f"a drawing cannot be saved as {path.name!r}: there are {', '.join(most)} and {last}")
        path.write_bytes(forms[path.suffix]().encode("utf-8", "replace"))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        counts = self._graph.counts()
        shown = ", ".join(f"{n} {kind if n > 1 else kind[:-1]}" for kind, n in counts.items() if n)
        return f"Drawing({self._graph.root.label}: {shown})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # No text/html: notebooks would prefer it, and what is not trusted is stripped to nothing.
        svg = self.svg if self._engine == "dot" else self._picture.svg(WIDEST)
        return {"image/svg+xml": svg, "text/plain": text.tree(self._graph, notes=self._notes)}


class Viewer:
    """A player embedded in a notebook; made by `Drawing.viewer()`."""

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing

    def _repr_html_(self) -> str:
        from .page import embedded

        return embedded(self._drawing.html, self._drawing._picture)

    def __repr__(self) -> str:
        return f"Viewer of {self._drawing!r}"
