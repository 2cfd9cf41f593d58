"""The player's page: what it holds, and how it behaves in a real headless Chromium."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.drawing.model import build
from autodiff.drawing.steps import backward_steps
from tests.drawing.graphs import exact_scalar, mlp, two_layer
from tests.drawing.test_svg import HOSTILE


def swept(root: Any) -> Any:
    root.backward()
    return root


# ---------------------------------------------------------------- the file


def payload(page: str) -> Any:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])  # type: ignore[index]


@pytest.mark.parametrize("root", [mlp(2, [1]), two_layer(), mlp(4, [12, 12, 1])])
def test_the_page_is_small_beside_its_data(root: Any) -> None:
    page = ad.draw(swept(root)).html
    data = sum(map(len, re.findall(r'<svg.*?</svg>|<tbody>.*?</tbody>|<script type="application/json">.*?</script>', page, re.S)))
    assert len(page) - data < 60_000
    assert not re.search(r'(src|href)="(?!data:)|url\((?!#)|@import|https?://(?!www\.w3\.org)', page)


def test_the_steps_are_the_python_ones() -> None:
    root = swept(mlp(3, [4, 1]))
    data, graph = payload(ad.draw(root).html), build(root, {})
    steps = backward_steps(graph)
    assert [place for place, _ in data["steps"]] == [s.place for s in steps]
    for (_, rows), step in zip(data["steps"], steps, strict=True):
        for row, c in zip(rows, step.contributions, strict=True):
            assert row[0] == c.edge
            np.testing.assert_allclose(row[1:4], [c.local, c.amount, c.total], rtol=1e-9)


def test_views() -> None:
    names = [re.findall(r'<option value="\d">(.*?)</option>', ad.draw(swept(root)).html) for root in (exact_scalar(), mlp(4, [12, 12, 1]))]
    assert names == [["Whole graph"], ["Whole graph", "By scope", "Opened"]]


def test_a_viewer_leaves_a_picture_where_frames_are_cut() -> None:
    shown = ad.draw(exact_scalar()).viewer()._repr_html_()
    frame, _, rest = shown.partition("</iframe>")
    assert frame.startswith('<iframe sandbox="allow-scripts" title="Computation graph of E"')
    assert html.unescape(re.search(r'srcdoc="(.*)"', frame, re.S)[1]) == ad.draw(exact_scalar()).html  # type: ignore[index]
    assert '<img alt="Computation graph of E" src="data:image/svg+xml;base64,' in rest


# ---------------------------------------------------------------- the browser


class Page:
    """A drawing's page in the browser, with everything it complained about or asked the network for."""

    def __init__(self, browser: Any, path: Path, root: Any, wide: int = 1200, **context: Any) -> None:
        file = path / "page.html"
        ad.draw(root).save(file)
        self.complaints: list[str] = []
        self.page = browser.new_context(viewport={"width": wide, "height": 800}, **context).new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: None if request.url == file.as_uri() else self.complaints.append(request.url))
        self.page.goto(file.as_uri())

    def go(self, step: int) -> None:
        self.page.evaluate(f"document.querySelector('.agv').player.go({step})")

    def ask(self, what: str) -> Any:
        return self.page.evaluate(f"(() => {{ const p = document.querySelector('.agv').player; return {what}; }})()")

    @property
    def says(self) -> str:
        return self.page.inner_text(".agv-says")  # type: ignore[no-any-return]

    def row(self, head: str) -> str:
        return self.page.inner_text(f".agv-inspector tr:has(th:text-is('{head}')) td")  # type: ignore[no-any-return]

    def node(self, name: str) -> Any:
        return self.page.locator(f".ag-node[data-name='{name}']")

    def key(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    pages: list[Page] = []

    def open_page(root: Any, **options: Any) -> Page:
        pages.append(Page(browser, tmp_path, root, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.page.context.close()
        assert page.complaints == [], "errors in the console, or requests to the network"


@pytest.mark.browser
@pytest.mark.parametrize("make", [lambda: mlp(3, [4, 1]), exact_scalar, two_layer, lambda: mlp(4, [12, 12, 1])])
def test_replayed_gradients_are_the_engines(opened: Any, make: Any) -> None:
    root = make()
    for v in build(root, {}).vertices:
        if hasattr(v.source, "zero_grad"):
            v.source.zero_grad()
    page = opened(swept(root))
    graph = build(root, {})
    replayed = page.ask("p.data.label.map((_, i) => p.gradAt(i, p.last))")
    for v in graph.vertices:
        if v.active:
            expected = float(np.abs(v.grad).max()) if v.shape else v.grad
            assert replayed[v.place] == pytest.approx(expected, rel=1e-6)


@pytest.mark.browser
def test_step_by_step(opened: Any) -> None:
    y1 = ad.Value(0.75, name="z1").sigmoid().named("y1")
    page = opened(swept((y1 * y1).named("E")))
    page.go(0)
    assert "Nothing is computed yet" in page.says and page.node("y1").locator(".ag-value").text_content() == "·"
    page.key(".")
    assert page.says == "Step 1 of 6: parameter z1 = 0.75"
    page.key(".", ".")
    assert "forward: E = y1 × y1 = " in page.says
    page.key(".")
    assert page.says == "Step 4 of 6, backward starts: dE/dE = 1"
    page.key(".")
    one = "dE/dy1 += dE/dE × y1 = 1 × 0.6792 = 0.6792"
    assert page.says == f"Step 5 of 6, back through mul: {one}; {one}, and 0.6792 was there: 1.358"
    assert page.node("E").get_attribute("class").count("ag-active") == 1 and "ag-receives" in page.node("y1").get_attribute("class")
    assert (
        page.node("y1").locator(".ag-grad").text_content() == "∂ 1.358"
        and page.node("z1").locator(".ag-grad").text_content() == "∂ not yet"
    )
    page.key(".")
    assert page.says.endswith("dE/dz1 += dE/dy1 × y1 × (1 − y1) = 1.358 × 0.2179 = 0.296")
    page.key(",", "Home")
    assert page.ask("+document.querySelector('.agv').dataset.step") == 0


@pytest.mark.browser
def test_play_and_scrub(opened: Any) -> None:
    page = opened(swept(mlp(2, [1])))
    page.go(0)
    page.page.get_by_role("button", name="Play").click()
    page.page.wait_for_function("+document.querySelector('.agv').dataset.step >= 2")
    page.page.get_by_role("button", name="Play").click()
    page.page.get_by_label("Step", exact=True).fill("7")
    assert page.says.startswith("Step 7 of")
    assert page.page.get_by_label("Step", exact=True).get_attribute("aria-valuetext") == page.says


@pytest.mark.browser
def test_before_backward_the_page_opens_after_forward(opened: Any) -> None:
    page = opened(mlp(2, [1]))
    assert "forward: E" in page.says and page.node("E").locator(".ag-grad").text_content() == "∂ not yet"


@pytest.mark.browser
def test_tensors_play_too(opened: Any) -> None:
    page = opened(swept(two_layer()))
    page.go(0)
    assert page.node("W1").locator("[data-what=value] path").count() == 0
    page.key("End")
    assert page.node("W1").locator("[data-what=grad] path").count() > 1
    steps = [
        page.page.evaluate(f"(document.querySelector('.agv').player.go({s}), document.querySelector('.agv-says').textContent)")
        for s in range(30)
    ]
    assert any("dE/dW2 += dE/dv2 @ y1ᵀ, max |·|" in s for s in steps)
    assert any("dE/dz1 += dE/dy1 × y1 × (1 − y1), max |·|" in s for s in steps)


@pytest.mark.browser
def test_hover_and_focus_inspect(opened: Any) -> None:
    page = opened(swept(mlp(2, [1])))
    page.node("w0_0_0").hover()
    assert page.row("kind") == "parameter" and page.row("scope") == "layer0/neuron0"
    page.page.locator(".ag-node[data-op=tanh]").hover()
    assert page.row("formula").startswith("tanh(") and " × " in page.row("dv5/dv4") and page.row("dv5/dv4").startswith("1 − v5 × v5 = ")
    page.node("b0_0").focus()
    assert page.row("value") == "0.1"


@pytest.mark.browser
def test_the_source_line_is_shown_where_it_was_traced(opened: Any) -> None:
    with ad.trace_lines():
        E = (ad.Value(2.0, name="x") * 3.0).named("E")
    page = opened(swept(E))
    page.node("x").hover()
    assert re.fullmatch(r"test_page\.py:\d+", page.row("source line"))


@pytest.mark.browser
def test_a_click_shows_where_the_gradient_flows(opened: Any) -> None:
    root = swept(mlp(3, [4, 1]))
    page = opened(root)
    graph = build(root, {})
    start = next(v.place for v in graph.vertices if v.name == "w0_1_2")
    reached = {start}
    for v in graph.vertices:
        if any(graph.edges[i].src in reached for i in graph.inputs[v.place]):
            reached.add(v.place)
    page.node("w0_1_2").click()
    marked = page.page.eval_on_selector_all(".ag-node.ag-path", "all => all.map(g => g.dataset.id)")
    assert set(marked) == {f"n{p}" for p in reached}
    page.key("Escape")
    assert page.page.locator(".ag-path").count() == 0


@pytest.mark.browser
def test_views_and_search(opened: Any) -> None:
    page = opened(swept(mlp(4, [12, 12, 1])))
    page.page.get_by_label("View").select_option("By scope")
    assert page.page.locator(".ag-node[data-kind=group]").count() == 4
    page.page.locator(".ag-node[data-kind=group]").first.hover()
    assert page.row("holds").startswith("layer0: ") and "parameters" in page.row("holds")
    page.key("/")
    page.page.keyboard.type("w1_3_2")
    assert page.page.inner_text(".agv-hits") == "1 found"
    page.key("Enter")
    assert page.page.evaluate("document.activeElement.dataset.name") == "w1_3_2"
    assert "ag-found" in page.node("w1_3_2").get_attribute("class")
    page.page.get_by_label("View").select_option("By scope")
    page.page.locator(".ag-node[data-kind=group]").first.click()
    assert page.page.evaluate("document.activeElement.dataset.kind") != "group"
    assert page.page.get_by_label("View").input_value() != "1"


@pytest.mark.browser
def test_a_tour_with_the_keyboard_alone(opened: Any) -> None:
    page = opened(swept(mlp(2, [1])))
    for _ in range(30):
        page.key("Tab")
        if page.page.evaluate("document.activeElement.classList.contains('ag-node')"):
            break
    seen = [page.page.evaluate("document.activeElement.dataset.id")]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"):
        page.key(key)
        seen.append(page.page.evaluate("document.activeElement.dataset.id"))
    assert all(seen) and len(set(seen)) >= 3
    page.key("Enter")
    assert page.page.locator(".ag-chosen").count() == 1 and page.page.locator(".ag-chosen[aria-pressed=true]").count() == 1
    page.key("Escape", "Home", ".", ".", "+", "-", "0", "/")
    page.page.keyboard.type("b0")
    page.key("Enter", "Escape")
    page.page.wait_for_function("document.querySelector('.agv-live').textContent.length > 0")
    assert page.page.evaluate("document.activeElement !== document.body")


@pytest.mark.browser
def test_zoom_and_pan(opened: Any) -> None:
    page = opened(swept(mlp(2, [1])))
    before = float(page.page.get_attribute(".agv", "data-zoom"))
    page.key("+")
    assert float(page.page.get_attribute(".agv", "data-zoom")) > before
    stage = page.page.locator(".agv-stage").bounding_box()
    frame = page.page.get_attribute(".agv-stage svg", "viewBox")
    page.page.mouse.move(stage["x"] + 30, stage["y"] + 30)
    page.page.mouse.down()
    page.page.mouse.move(stage["x"] + 130, stage["y"] + 60)
    page.page.mouse.up()
    assert page.page.get_attribute(".agv-stage svg", "viewBox") != frame
    page.key("0")
    assert float(page.page.get_attribute(".agv", "data-zoom")) == pytest.approx(before)
    page.page.mouse.wheel(0, -300)
    assert float(page.page.get_attribute(".agv", "data-zoom")) == pytest.approx(before), "a plain wheel scrolls the page"


@pytest.mark.browser
def test_without_scripts_there_is_the_still_picture(opened: Any) -> None:
    page = opened(swept(mlp(2, [1])), java_script_enabled=False)
    assert page.page.locator("svg.ag").is_visible() and page.node("w0_0_0").is_visible()
    assert not page.page.locator(".agv-bar").is_visible()
    page.page.get_by_text("The graph as a table").click()
    assert page.page.locator("details table tbody tr").count() == 14


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(13, 17, 23)")])
def test_light_and_dark(opened: Any, scheme: str, ground: str) -> None:
    page = opened(swept(mlp(2, [1])), color_scheme=scheme)
    assert page.page.evaluate("getComputedStyle(document.querySelector('.agv')).backgroundColor") == ground
    assert page.page.evaluate("getComputedStyle(document.querySelector('.ag-ground')).fill") == ground


@pytest.mark.browser
def test_reduced_motion(opened: Any) -> None:
    page = opened(swept(mlp(2, [1])), reduced_motion="reduce")
    assert page.page.evaluate("document.getAnimations().length") == 0
    page.go(0)
    page.page.get_by_role("button", name="Play").click()
    page.page.wait_for_timeout(900)
    assert page.ask("+document.querySelector('.agv').dataset.step") == 0, "play goes slowly"


@pytest.mark.browser
@pytest.mark.parametrize("name", [h for h in HOSTILE if "\ud800" not in h])
def test_hostile_names_stay_text(opened: Any, name: str) -> None:
    page = opened(swept((ad.Value(2.0, name=name) * 3.0).named("E")))
    page.go(4)
    assert page.page.locator(".ag-node").count() == 3 and page.says.startswith("Step 4")


@pytest.mark.browser
def test_odd_numbers_are_shown(opened: Any) -> None:
    page = opened(swept((ad.Value(float("inf"), name="x") * 0.0).named("E")))
    page.key("End")
    assert page.node("E").locator(".ag-value").text_content() == "nan" and page.node("x").locator(".ag-value").text_content() == "inf"


@pytest.mark.browser
@pytest.mark.parametrize("make", [exact_scalar, two_layer])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_of_accessibility_rules(opened: Any, make: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed")
    page = opened(swept(make()), color_scheme=scheme)
    for summary in page.page.locator("summary").all():
        summary.click()
    found = axe.Axe().run(page.page)["violations"]
    assert [(v["id"], v["help"], v["nodes"][0]["html"][:80]) for v in found if v["impact"] in ("serious", "critical")] == []
    assert [v["id"] for v in found] == []


@pytest.mark.browser
def test_two_viewers_on_one_page(browser: Any, tmp_path: Path) -> None:
    viewers = [ad.draw(swept(root)).viewer()._repr_html_() for root in (mlp(2, [1]), two_layer())]
    (tmp_path / "both.html").write_text("<!doctype html><meta charset=utf-8>" + "".join(viewers), encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "both.html").as_uri())
    frames = [f for f in page.frames if f is not page.main_frame]
    for frame in frames:
        frame.wait_for_selector(".agv.js")
    for frame in frames:
        box = frame.locator(".ag-node").first.bounding_box()
        assert box and box["width"] > 20, "the picture is there though the frame had no size at first"
    frames[0].evaluate("document.querySelector('.agv').player.go(1)")
    assert "Step 1 " in frames[0].inner_text(".agv-says") and "Step 1 " not in frames[1].inner_text(".agv-says")
    page.close()


@pytest.mark.browser
def test_ten_thousand_operations_open_and_step(opened: Any) -> None:
    page = opened(swept(mlp(16, [36, 36, 6])))
    assert page.ask("p.last") > 10_000
    page.go(5000)
    page.page.get_by_label("View").select_option("Opened")
    page.key("End")
    assert page.says.startswith("Step 10731 of 10731")


@pytest.mark.browser
def test_on_a_narrow_screen_nothing_is_cut_off(opened: Any) -> None:
    page = opened(swept(mlp(2, [1])), wide=380)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 380
