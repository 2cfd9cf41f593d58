"""The player's numbers and formulas: right for every op of the table, and equal to the engine's gradients."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.drawing.formula import Formula, Formulas
from autodiff.drawing.model import Graph, build
from autodiff.drawing.steps import LocalDerivatives, backward_steps
from autodiff.ops import TABLE, Op
from tests.cases import BUILT_IN
from tests.drawing.graphs import exact_scalar, mlp, two_layer

# What a formula may be made of, so that a test can compute it: Python's operators and the table.
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "^": "**", "≥": ">=", "≤": "<=", "·": "@"})


def recorded(op: Op, args: Any, kw: dict[str, Any]) -> Any:
    operands = args[0] if op.arity is None else args
    nodes = [x if np.asarray(x).dtype == bool else ad.Tensor(x) for x in operands]
    return op(nodes, **kw) if op.arity is None else op(*nodes, **kw)


def swept(root: Any) -> tuple[Graph, dict[int, Any]]:
    graph = build(root, {})
    totals = {}
    for step in backward_steps(graph):
        for c in step.contributions:
            totals[graph.edges[c.edge].src] = c.total
    return graph, totals


@pytest.mark.parametrize("root", [mlp(3, [4, 1]), two_layer(), exact_scalar()])
def test_the_last_totals_are_the_engines_gradients(root: Any) -> None:
    graph, totals = swept(root)
    for v in graph.vertices:
        if hasattr(v.source, "zero_grad"):
            v.source.zero_grad()
    root.backward()
    for place, total in totals.items():
        np.testing.assert_allclose(total, graph.vertices[place].source.grad, rtol=1e-12, atol=1e-15)
    assert {v.place for v in graph.vertices if v.active and v is not graph.root} == set(totals)


def test_accumulation_is_seen_one_contribution_at_a_time() -> None:
    x = ad.Value(3.0, name="x")
    graph = build(x * x + x, {})
    totals = [c.total for step in backward_steps(graph) for c in step.contributions if graph.vertices[graph.edges[c.edge].src].name == "x"]
    assert totals == [1.0, 4.0, 7.0]


@pytest.mark.parametrize("name", sorted(op.name for op in BUILT_IN))
def test_every_op_has_steps_and_formulas(name: str) -> None:
    op = TABLE[name]
    for args, kw in op.sample(np.random.default_rng(0)):
        z = recorded(op, args, kw)
        if z.op is None or not z.size:
            continue
        graph, totals = swept(z)
        formulas = Formulas(graph)
        z.backward(seed=np.ones(z.shape))
        for i in graph.inputs[-1]:
            edge = graph.edges[i]
            operand = graph.vertices[edge.src]
            if not operand.active:
                continue
            np.testing.assert_allclose(totals[edge.src], operand.source.grad)
            formula = formulas.of(edge)
            assert name == "cofactors_moved" or (
                formula is not None and formula.text
            )  # its rule asks the numbers how near they are to singular
            if op.kind == "elementwise":
                np.testing.assert_allclose(
                    evaluated(formula, graph, edge.dst), np.broadcast_to(LocalDerivatives(graph).of(edge), z.shape), rtol=1e-3, atol=1e-12
                )


def evaluated(formula: Formula, graph: Graph, dst: int) -> Any:
    """The number that a formula of an elementwise op stands for."""
    names = {"z": "z_"} | {str(k): f"x{k}_" for k in range(len(graph.inputs[dst]))}
    values = {"z_": graph.vertices[dst].data} | {f"x{k}_": graph.vertices[graph.edges[i].src].data for k, i in enumerate(graph.inputs[dst])}
    source = formula.local(names).replace(" and ", " & ").replace(" = ", " == ").translate(_SIGNS)
    return np.broadcast_to(
        eval(source, {op.name: op for op in BUILT_IN if not hasattr(builtins, op.name)}, values),
        graph.vertices[dst].shape,
    )


def sentences(root: Any) -> list[str]:
    graph = build(root, {})
    formulas = Formulas(graph)
    found = []
    for step in backward_steps(graph):
        for c in step.contributions:
            edge, formula = graph.edges[c.edge], formulas.of(graph.edges[c.edge])
            assert formula is not None
            found.append(f"{graph.vertices[edge.src].label}: {formula.contribution(formulas.names(edge))}")
    return found


def test_formulas_read_as_one_would_write_them() -> None:
    x, y = ad.Value(0.5, name="x"), ad.Value(2.0, name="y")
    assert sentences(x.tanh().named("E")) == ["x: dE/dE × (1 − E × E)"]
    assert sentences((x / y).named("E")) == ["x: dE/dE × 1/y", "y: dE/dE × (−E) ÷ y"]
    assert sentences((x**2).named("E")) == ["x: dE/dE × 2 × x"]
    assert sentences((x - y).named("E")) == ["x: dE/dE", "y: −dE/dE"]
    W, v = ad.Tensor(np.ones((2, 3)), name="W"), ad.Tensor(np.arange(3.0), name="v")
    assert sentences((W @ v).named("E"))[0].startswith("W: ") and "W" in sentences((W @ v).named("E"))[1]
    b = ad.Tensor(np.ones(3), name="b")
    assert sentences((W + b).named("E"))[1] == "b: sum(dE/dE) over the axes it was spread along"


def test_a_rule_that_only_arrays_can_run_still_gives_numbers() -> None:
    only_arrays = ad.general(
        "only_arrays_example",
        lambda x: np.asarray(3 * x),
        lambda i, g, z, x: g.astype(float).ravel().reshape(x.shape) * 3.0,
        lambda ts, z, x: 3 * ts[0],
        sample=lambda rng: [],
    )
    try:
        E = only_arrays(ad.Tensor([1.0, 2.0], name="x"))
        graph, totals = swept(E)
        assert Formulas(graph).of(graph.edges[0]) is None and totals[0].tolist() == [3.0, 3.0]
        assert "what only_arrays_example passes on" not in ad.draw(E).svg and ad.draw(E).html
    finally:
        del TABLE["only_arrays_example"]


def test_no_steps_where_numbers_would_be_wrong() -> None:
    E = exact_scalar()
    next(v.source for v in build(E, {}).vertices if v.name == "x").data = 1.0
    assert backward_steps(build(E, {})) == []
    assert backward_steps(build(ad.constant(2.0, name="c"), {})) == []


def test_a_seed_is_kept() -> None:
    x = ad.Value(3.0, name="x")
    E = x * x
    E.backward(seed=10.0)
    assert math.isclose(swept(E)[1][0], 60.0)


def test_formulas_hold_for_all_data_of_their_shapes() -> None:
    """They are asked of made-up numbers: an operand that happens to be zero or symmetric must not shape the text."""
    matrix, vector = ad.Tensor(np.eye(2), name="A"), ad.Tensor(np.ones(2), name="v")
    E = np.sum(np.tanh(matrix @ vector) * np.sum(matrix, axis=1)).named("E")
    E.backward()
    html = ad.draw(E).html
    assert "[:, None] @ v[None, :]" in html  # the outer product, not a product of two vectors
    assert "dE/dA += broadcast_to(" in html and "[:, None], shape=(2, 2))" in html


def test_a_factor_near_one_is_written_out() -> None:
    x = ad.Value(2.0, name="x")
    E = x * 1.00001
    E.backward()
    drawing = ad.draw(E)
    assert "dE/dx = 1.00001" in drawing.html and "1.00001" in drawing.text


def test_a_structural_zero_passes_nothing() -> None:
    E = ad.sign(ad.Value(0.7, name="x")) * 2
    E.backward()
    assert "= 0" in ad.draw(E).html


def test_unnamed_leaves_show_their_numbers() -> None:
    assert ">3<" in ad.draw(ad.Value(3.0) * ad.Value(4.0)).svg
