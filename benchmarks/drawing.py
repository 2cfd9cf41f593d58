"""P1: drawing the graph of a scalar network, and of a two-layer tensor network, beside micrograd's way through `dot`.

micrograd's notebook gives every value a record and every op an ellipse and leaves the placing to
Graphviz's `dot`; that is done here to the same network on micrograd's own Value.  The graph is
built beforehand; what is timed is from the root to the finished text.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from . import harness
from .harness import Case, Peer, Result

NETWORKS = {"13 nodes": (2, [1]), "64 nodes": (3, [4, 1]), "669 nodes": (4, [12, 12, 1]), "6,459 nodes": (16, [36, 36, 6])}
DOT_SECONDS = 300.0  # after which dot is stopped


def network(value: Callable[[float], Any], relu: Callable[[Any], Any], inputs: int, layers: list[int], scope: Any = None) -> Any:
    """The sum of squares of what a relu network makes of random numbers, of any kind of value."""
    rng = random.Random(1337)
    xs = [value(rng.uniform(-1, 1)) for _ in range(inputs)]
    for k, width in enumerate(layers):
        outs = []
        for j in range(width):
            opened = [scope(f"layer{k}"), scope(f"neuron{j}")] if scope else []
            for block in opened:
                block.__enter__()
            total = value(0.1)
            for x in xs:
                total = total + value(rng.uniform(-1, 1)) * x
            outs.append(relu(total))
            for block in reversed(opened):
                block.__exit__(None, None, None)
        xs = outs
    E = xs[0] * xs[0]
    for x in xs[1:]:
        E = E + x * x
    return E


def plain(inputs: int, layers: list[int]) -> float:
    """What the network makes of plain floats."""
    return float(network(lambda x: x, lambda x: max(x, 0.0), inputs, layers))


class Drawer(Peer):
    """A library's picture of the network; its output is checked by the root's value, which it must show."""

    tolerance = 1e-3  # pictures show four digits

    def __init__(self, given: Any) -> None:
        self.size = given
        self.root = self.build()
        self.text = ""

    def build(self) -> Any:
        """The root of the graph, with gradients."""
        raise NotImplementedError

    def shown(self) -> float:
        """The root's value as the text has it."""
        raise NotImplementedError

    def result(self, outcome: Any) -> list[Any]:
        self.text = outcome
        return [self.shown()]

    def expected(self) -> list[Any]:
        return [plain(*self.size) if self.size else float(self.root.data)]

    def facts(self) -> dict[str, Any]:
        return {"bytes": f"{len(self.text.encode()):,}"}


class Picture(Drawer):
    """Our SVG."""

    name = "autodiff, SVG"

    def build(self) -> Any:
        import autodiff as ad

        root = network(ad.Value, lambda v: v.relu(), *self.size, scope=ad.scope) if self.size else _two_layer()
        root.name = "E"
        root.backward()
        return root

    def step(self) -> Any:
        import autodiff as ad

        return ad.draw(self.root).svg

    def shown(self) -> float:
        found = re.search(r'data-name="E"[^>]*data-value="([^"]+)"', self.text)
        return float(found[1]) if found else np.nan


class Page(Picture):
    """Our player."""

    name = "autodiff, player"

    def step(self) -> Any:
        import autodiff as ad

        return ad.draw(self.root).html

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"interactive after": _interactive(self.text)}


class Layout(Picture):
    """Our layout alone, of every node, nothing folded."""

    name = "autodiff, layout of all nodes"

    def __init__(self, given: Any) -> None:
        super().__init__(given)
        from autodiff.drawing.fold import Wish, fold
        from autodiff.drawing.layout import Arrow, Item
        from autodiff.drawing.model import build

        view = fold(build(self.root, {}), Wish(budget=None))
        self.items = [Item(box.scope, 90.0, 52.0) for box in view.boxes]
        self.arrows = [Arrow(link.src, link.dst) for link in view.links]

    def step(self) -> Any:
        from autodiff.drawing.layout import layout

        return layout(self.items, self.arrows)

    def result(self, outcome: Any) -> list[Any]:
        return [float(len(outcome.corners))]

    def expected(self) -> list[Any]:
        return [float(len(self.items))]

    def facts(self) -> dict[str, Any]:
        return {}


class Micrograd(Drawer):
    """micrograd's records and ellipses, through graphviz and `dot`."""

    name = "micrograd and dot"
    needs = ("micrograd", "graphviz")
    tolerance = 0.1  # its records show four decimals, and the numbers are small

    def build(self) -> Any:
        from micrograd.engine import Value

        root = network(Value, lambda v: v.relu(), *self.size)
        root.backward()
        return root

    def step(self) -> Any:
        import graphviz

        picture = graphviz.Digraph(graph_attr={"rankdir": "LR"})
        seen = {self.root}
        stack = [self.root]
        while stack:
            v = stack.pop()
            picture.node(str(id(v)), label=f"{{ data {v.data:.4f} | grad {v.grad:.4f} }}", shape="record")
            if v._op:
                picture.node(f"{id(v)}op", label=v._op)
                picture.edge(f"{id(v)}op", str(id(v)))
            for child in v._prev:
                picture.edge(str(id(child)), f"{id(v)}op")
                if child not in seen:
                    seen.add(child)
                    stack.append(child)
        run = subprocess.run(["dot", "-Tsvg"], input=picture.source.encode(), capture_output=True, timeout=DOT_SECONDS, check=True)
        return run.stdout.decode()

    def shown(self) -> float:
        texts = re.findall(r">data (-?[\d.]+)<", self.text)
        return min(map(float, texts), key=lambda x: abs(x - self.root.data))


def _two_layer() -> Any:
    import autodiff as ad

    rng = np.random.default_rng(1337)
    x, t = ad.constant(rng.normal(size=(4, 6)), name="x"), ad.constant(np.eye(3)[:, [0, 1, 2, 0, 1, 2]], name="t")
    W1, W2 = ad.Tensor(rng.normal(size=(5, 4)), name="W1"), ad.Tensor(rng.normal(size=(3, 5)), name="W2")
    with ad.scope("layer1"):
        y1 = ad.sigmoid(W1 @ x)
    with ad.scope("layer2"):
        y2 = ad.softmax(W2 @ y1, axis=0)
    return -ad.sum(t * ad.log(y2))


def _interactive(page: str) -> str:
    """How long a headless Chromium takes from asking for the page until its script has run; or why that is not known."""
    chromium = shutil.which("chromium")
    if chromium is None or harness.missing(["playwright"]):
        return "no browser"
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.goto("about:blank")
        start = perf_counter()
        tab.goto(file.as_uri())
        tab.wait_for_selector(".agv.js")
        seconds = perf_counter() - start
        browser.close()
    return harness.show_time(seconds)


def run(quick: bool) -> Result:
    """P1; the baseline is our SVG."""
    ours = (Picture.name, Page.name, Layout.name)
    cases = []
    for name, size in NETWORKS.items():
        large = name == "6,459 nodes"
        budgets = {Picture.name: "under 1 s", Page.name: "interactive in under 1 s", Layout.name: "under 0.5 s"} if large else {}
        rounds = 1 if large else 3 if quick else 7
        cases.append(Case(name, size, rounds, 0.0, budgets, ours if large and quick else ()))
    cases.append(Case("two-layer net", None, 3 if quick else 7, 0.0, {}, ours))
    has_dot = shutil.which("dot") is not None
    peers = [Picture, Page, Layout, *([Micrograd] if has_dot else [])]
    result = harness.run("P1", "pictures of a graph; ratio = time : our SVG", peers, cases)
    if not has_dot:
        result.skipped.append("micrograd and dot: Graphviz's dot is not installed")
    return result
