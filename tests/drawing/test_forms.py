"""The other forms of a drawing: text, table, Graphviz, JSON, files."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import graphviz
import pytest

import autodiff as ad
from autodiff.drawing import dot
from tests.drawing.graphs import exact_scalar, exact_tensor, mlp, two_layer

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")


# ---------------------------------------------------------------- text


def test_what_is_used_twice_is_opened_once() -> None:
    x = ad.Value(2.0, name="x")
    s = (x * x).named("s")
    text = ad.draw(s + s).text
    assert text.count("(shown above)") == 1 and text.count("x ") == 2


def test_big_graphs_print_a_screenful() -> None:
    drawing = ad.draw(mlp(16, [12, 12, 6]))
    assert 10 < drawing.text.count("\n") < 100 and "… 2 operands" in drawing.text
    assert drawing.table.count("\n") < 60 and re.search(r"… [\d,]+ more …", drawing.table)


@pytest.mark.parametrize(("encoding", "plain"), [("ascii", True), ("utf-8", False), ("latin-1", True)])
def test_ascii_where_the_terminal_has_no_more(monkeypatch: pytest.MonkeyPatch, encoding: str, plain: bool) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    drawing = ad.draw(ad.Value(1.0, name="ü") * ad.Value(-2.0, name="y"))
    print(drawing, drawing.table)
    assert drawing.text.isascii() == drawing.table.isascii() == plain


def test_no_colours_in_text() -> None:
    assert "\x1b" not in ad.draw(exact_scalar()).text + ad.draw(exact_scalar()).table


def test_repr_is_short() -> None:
    assert repr(ad.draw(exact_scalar())) == "Drawing(E: 9 values, 5 operations, 2 parameters, 2 constants)"


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("suffix", "start"), [(".svg", "<svg"), (".html", "<!doctype html>"), (".dot", "digraph"), (".txt", "^ E"), (".json", "{")]
)
def test_save(tmp_path: Path, suffix: str, start: str) -> None:
    path = tmp_path / f"graph{suffix}"
    ad.draw(exact_scalar()).save(path)
    assert path.read_text(encoding="utf-8").startswith(start)


@pytest.mark.parametrize("name", ["graph.pdf", "graph", "graph.SVG.gz"])
def test_other_suffixes_say_which_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=r"there are \.svg, \.html, \.dot, \.txt and \.json"):
        ad.draw(exact_scalar()).save(name)


# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize("root", [exact_scalar(), exact_tensor(), mlp(3, [4, 1]), two_layer()])
def test_json_follows_its_schema(root: Any) -> None:
    data = json.loads(ad.draw(root).json, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert data["format"] == "autodiff graph" and data["version"] == 1 and data["root"] == data["nodes"][-1]["id"]
    ids = [node["id"] for node in data["nodes"]]
    assert ids == [f"n{i}" for i in range(len(ids))]
    assert set(data["nodes"][0]) == {
        "id",
        "kind",
        "name",
        "label",
        "op",
        "static",
        "scope",
        "shape",
        "dtype",
        "value",
        "gradient",
        "active",
        "line",
    }
    assert set(data["edges"][0]) == {"from", "to", "operand", "local", "formula", "whole"}
    for edge in data["edges"]:
        assert ids.index(edge["from"]) < ids.index(edge["to"])
    assert sum(data["counts"][k] for k in ("operations", "parameters", "inputs", "constants")) == data["counts"]["values"] == len(ids)


def test_json_of_odd_numbers() -> None:
    data = json.loads(ad.draw(ad.Tensor([float("nan"), float("inf"), 1.0]) * 2.0).json)
    assert data["nodes"][0]["value"] == ["nan", "inf", 1.0]
    assert set(json.loads(ad.draw(ad.Tensor([1.0] * 100) * 2.0).json)["nodes"][0]["value"]) == {"min", "max", "mean", "norm"}


# ---------------------------------------------------------------- Graphviz


def test_draw_dot_has_every_node_and_edge() -> None:
    E = mlp(3, [4, 1])
    graph = ad.draw(E)._graph
    made = ad.draw_dot(E)
    assert isinstance(made, graphviz.Digraph)
    assert len(re.findall(r"^\tn\d+ \[", made.source, re.M)) == len(graph.vertices)
    assert len(re.findall(r"^\tn\d+ -> n\d+_op$", made.source, re.M)) == len(graph.edges)
    assert made.source == ad.draw_dot(E).source
    assert "rankdir=TB" in ad.draw_dot(E, rankdir="TB").source and ad.draw_dot(E, format="png").format == "png"
    with pytest.raises(ValueError, match="LR"):
        ad.draw_dot(E, rankdir="RL")


def test_graphviz_shows_what_the_picture_shows() -> None:
    drawing = ad.draw(mlp(16, [12, 12, 6]))
    source = drawing.graphviz().source
    assert all(re.search(rf"^\t+{box.key} \[", source, re.M) for box in drawing._view.boxes)
    assert source.count("subgraph") == len(drawing._picture.layout.scopes)
    with pytest.raises(ValueError, match="style is"):
        drawing.graphviz(style="pretty")


@needs_dot
@pytest.mark.parametrize("root", [exact_scalar(), exact_tensor(), mlp(3, [4, 1])])
def test_dot_accepts_the_source(root: Any) -> None:
    for source in (ad.draw(root).graphviz().source, ad.draw_dot(root).source):
        run = subprocess.run(["dot", "-Tsvg"], input=source.encode(), capture_output=True, timeout=60, check=True)
        assert ElementTree.fromstring(run.stdout).tag.endswith("svg") and not run.stderr


@needs_dot
def test_engine_dot() -> None:
    svg = ad.draw(exact_scalar(), engine="dot").svg
    assert "Generated by graphviz" in svg
    with pytest.raises(ValueError, match="engine is 'built-in' or 'dot'"):
        ad.draw(exact_scalar(), engine="neato")


def test_without_dot_there_is_a_sentence_and_the_built_in_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.warns(UserWarning, match="Install Graphviz"):
        svg = ad.draw(exact_scalar(), engine="dot").svg
    assert svg == ad.draw(exact_scalar()).svg
    assert ad.draw_dot(exact_scalar())._repr_mimebundle_() == {"image/svg+xml": svg}


def test_dot_is_stopped_and_is_not_given_too_much(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "dot"
    slow.write_text("#!/bin/sh\nexec sleep 20\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(dot, "SECONDS", 0.2)
    with pytest.warns(UserWarning, match="dot was stopped"):
        assert ad.draw(exact_scalar(), engine="dot").svg.startswith("<svg")
    monkeypatch.setattr(dot, "MOST_NODES", 5)
    with pytest.warns(UserWarning, match="never given more than 5"):
        assert ad.draw(exact_scalar(), engine="dot").svg.startswith("<svg")


# ---------------------------------------------------------------- without anything but pip


def test_everything_works_without_dot_on_the_path() -> None:
    code = (
        "import sys, autodiff as ad; assert 'autodiff.drawing' not in sys.modules;"
        "x = ad.Value(2.0, name='x'); E = x * x; d = ad.draw(E); print(d);"
        "d.svg, d.html, d.json, d._repr_mimebundle_(), d.viewer()._repr_html_()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "/nonexistent", "PYTHONPATH": ".", "PYTHONIOENCODING": "ascii"}, capture_output=True
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.isascii() and b"mul" in run.stdout
