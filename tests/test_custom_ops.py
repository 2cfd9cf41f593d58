"""An op of the user's has everything a built-in has: the table's own tests pass on it, and so do the other readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.ops import Op
from tests import test_table, test_ulps
from tests.cases import declared, operands, packed, variables, weighted
from tests.mutants import Tally


def _swish() -> Op:
    return ad.elementwise("swish_of_tests", lambda x: x / (1 + np.exp(-x)), lambda z, x: z + ad.sigmoid(x) * (1 - z))


def _reversal() -> Op:
    return ad.linear(
        "reversal_of_tests",
        lambda x: x[::-1],
        lambda i, g, x: g[::-1],
        sample=lambda rng: [((rng.normal(size=(3, 2)),), {}), ((rng.normal(size=4),), {})],
    )


def _gram() -> Op:
    return ad.bilinear(
        "gram_of_tests",
        lambda x, y: np.dot(x.T, y),
        lambda m, n: "ki,kj->ij",
        sample=lambda rng: [((rng.normal(size=(3, 2)), rng.normal(size=(3, 4))), {})],
    )


def _length() -> Op:
    return ad.general(
        "length_of_tests",
        lambda x, scale=1.0: np.sqrt(np.sum(x * x)) * scale,
        lambda i, g, z, x, scale=1.0: g * x / z * scale**2,
        lambda ts, z, x, scale=1.0: np.sum(ts[0] * x) / z * scale**2,
        sample=lambda rng: [((rng.normal(size=3),), {}), ((rng.normal(size=(2, 3)),), {"scale": 2.0})],
        index=lambda x, scale=1.0: ad.sqrt(np.sum(x * x)) * scale,
    )


KINDS: dict[str, Callable[[], Op]] = {"elementwise": _swish, "linear": _reversal, "bilinear": _gram, "general": _length}


@pytest.fixture(params=KINDS)
def op(request: pytest.FixtureRequest) -> Iterator[Op]:
    with declared():
        made = KINDS[request.param]()
        assert made.kind == request.param
        yield made


def _takes(test: Any, *names: str) -> bool:
    marks = [m for m in getattr(test, "pytestmark", []) if m.name == "parametrize"]
    return any(set(m.args[0] if isinstance(m.args[0], tuple) else (m.args[0],)) == set(names) for m in marks)


PER_CALL = [
    t for module in (test_table, test_ulps) for n, t in vars(module).items() if n.startswith("test_") and _takes(t, "op", "args", "kw")
]
PER_CALL = [t for t in PER_CALL if t is not test_table.test_methods_are_the_functions]


@pytest.mark.parametrize("test", PER_CALL, ids=lambda t: t.__name__)
def test_the_table_s_own_tests_pass(op: Op, test: Any) -> None:
    for args, kw in op.sample(np.random.default_rng(7)):
        test(op, args, kw)


def test_there_are_many_of_them() -> None:
    assert len(PER_CALL) >= 12


def test_the_record_is_complete(op: Op) -> None:
    test_table.test_every_field_holds_something(op)
    if op.kind == "elementwise":
        x = ad.Value(0.5)
        op(x).backward()
        assert x.grad == pytest.approx(ad.grad(op)(0.5))
        assert ad.grad(ad.grad(op))(0.5) == pytest.approx((ad.grad(op)(0.5 + 1e-6) - ad.grad(op)(0.5 - 1e-6)) / 2e-6, rel=1e-6)


def test_every_broken_rule_of_it_is_caught(op: Op) -> None:
    tally = Tally()
    tally.add(op)
    assert tally.missed == ()
    assert tally.tried >= 10


def test_pictures_and_files(op: Op, tmp_path: Path) -> None:
    for args, kw in op.sample(np.random.default_rng(7)):
        made, xs = variables(args)
        E = weighted(op(*made, **kw))
        E.backward()
        picture = ad.draw(E, formulas=True)
        assert op.name in picture.text
        assert op.name in picture.svg
        assert op.name in picture.html
        ad.save(tmp_path / "graph.npz", {"E": E})
        back = ad.load(tmp_path / "graph.npz")["E"]
        assert np.array_equal(back.data, E.data)
        assert [x.shape for x in xs] == [x.shape for x in variables(args)[1]]


@pytest.mark.parametrize("kind", ["elementwise", "bilinear", "general"])
def test_formulas_where_there_is_an_index_form(kind: str) -> None:
    with declared():
        op = KINDS[kind]()
        for args, kw in op.sample(np.random.default_rng(7)):
            if min(map(np.size, operands(op, args))) < 2 or (len({np.shape(x) for x in args}) > 1 and op.kind == "elementwise"):
                continue
            xs = [ad.Tensor(x, name=f"x{i}") for i, x in enumerate(operands(op, args))]
            E = np.sum(op(*packed(op, xs), **kw) ** 2)
            for x in xs:
                d = ad.derive(E, wrt=x)  # compares with the engine's gradient by itself
                assert str(d)


def test_one_without_an_index_form_is_refused_by_name() -> None:
    with declared():
        x = ad.Tensor(np.ones((3, 2)), name="x")
        E = np.sum(_reversal()(x) ** 2)
        with pytest.raises(ad.NoIndexForm, match="reversal_of_tests"):
            ad.derive(E, wrt=x)


def test_names_and_numpy_functions_of_built_ins_are_taken() -> None:
    for declare in (
        lambda: ad.elementwise("gelu", np.positive, 1.0),
        lambda: ad.elementwise("std", np.positive, 1.0),
        lambda: ad.elementwise("mine_of_tests", np.positive, 1.0, numpy=(np.hypot,)),
        lambda: ad.elementwise("mine_of_tests", np.positive, 1.0, numpy=(np.var,)),
    ):
        with declared(), pytest.raises(ad.NameTaken):
            declare()


def test_an_op_can_stand_for_a_function_of_numpy_s_that_has_none() -> None:
    with declared():
        ad.elementwise("heaviside_of_tests", np.heaviside, None, None, numpy=(np.heaviside,))
        x = ad.Tensor([1.0, -1.0])
        assert (np.heaviside(x, 0.5) * x).data.tolist() == [1.0, -0.0]


@pytest.mark.filterwarnings("ignore::autodiff.BroadcastWarning")
@pytest.mark.parametrize("record", [False, True])
def test_a_partial_of_another_shape_is_not_summed_away(record: bool) -> None:
    with declared():
        column = ad.elementwise("column", lambda x: x * x, lambda z, x: 2 * x[:, None])
        x = ad.Tensor([1.0, 2.0])
        with pytest.raises(ad.ShapeMismatch, match=r"the rule of column gave a derivative of shape \(2, 2\) for a node of shape \(2,\)"):
            ad.gradient(np.sum(column(x)), x, record=record)
