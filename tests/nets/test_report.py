"""The page of a run in a real headless Chromium: nothing is asked of the network, and it reads well wide, narrow, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nets import __main__ as command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(any(find_spec(m) is None for m in command.EXTRAS), reason="needs scikit-learn, tqdm and matplotlib"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with every kind of picture, of 2 numbers, and with formulas by hand."""
    folder = tmp_path_factory.mktemp("runs") / "xor"
    assert command.main(["train", "--data", "xor", "--model", "sigmoid:6", "--epochs", "5", "--quiet", "--out", str(folder)]) == 0
    return folder / "report.html"


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], ids=lambda p: f"{p[0]}-{p[1]}")
def page(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Any]:
    wide, scheme = request.param
    complaints: list[str] = []
    page = browser.new_context(viewport={"width": wide, "height": 800}, color_scheme=scheme).new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: None if r.url == report.as_uri() or r.url.startswith(("data:", "about:")) else complaints.append(r.url))
    page.goto(report.as_uri())
    yield page
    page.context.close()
    assert complaints == [], "errors in the console, or requests to the network"


def test_the_page_fits_and_its_pictures_can_be_read(page: Any) -> None:
    wide = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= wide, "only tables and pictures may be wider, each in its own frame"
    assert page.locator("h2").all_inner_texts() == [
        "Proof",
        "The gradients as formulas",
        "Training",
        "The graph of one example",
        "Settings",
    ]
    for image in page.locator("img").all():
        shown, natural = image.evaluate("i => [i.clientWidth, i.naturalWidth * 96 / 150]")
        assert shown >= min(natural - 1, 640), "letters stay of a size that can be read"
    graph = page.locator(".graph svg").bounding_box()
    assert graph["height"] < 500 and page.locator(".graph text").first.evaluate("t => t.getBoundingClientRect().height") > 10
    for cell in page.locator(".proof td:visible").all() if wide < 700 else ():
        assert cell.evaluate("c => c.scrollWidth <= c.clientWidth")


@pytest.mark.parametrize("page", [(1280, "light")], indirect=True)
def test_the_proof_is_told_in_words(page: Any) -> None:
    assert page.inner_text(".verdict") == "9 of 9 results proven" == page.inner_text(".numbers div:first-child").replace("\n", " ")
    row = page.locator(".proof tr").nth(2).inner_text()
    assert "dE/dz2" in row and "(y2 - t) / m" in row and "rounding only" in row and "agree (" in row


@pytest.mark.parametrize("page", [(1280, "light")], indirect=True)
def test_the_player_inside_plays(page: Any) -> None:
    page.click("text=Step through it")
    frame = page.frame_locator("iframe")
    frame.locator("[data-do=last]").click()
    assert frame.locator(".ag-node[data-name='E']").count() == 1 and "Step" in frame.locator(".agv-says").inner_text()


def test_no_violation_of_accessibility_rules(page: Any) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed")
    for summary in page.locator("summary").all():
        summary.click()
    page.evaluate("document.querySelector('iframe').remove()")  # it is looked at by itself, and its sandbox does not let the rules in
    found = axe.Axe().run(page)["violations"]
    assert [(v["id"], v["help"], v["nodes"][0]["html"][:80]) for v in found] == []
