"""The checks have teeth: each op's derivative is broken in turn, and the table's own check must notice every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.ops import Op
from tests.cases import declared, every_op
from tests.mutants import Tally, caught, mutants


@every_op
def test_the_check_passes_the_rules_as_they_are(op: Op) -> None:
    assert not caught(op)


@every_op
def test_every_broken_rule_is_caught(op: Op, record_property: Any) -> None:
    tally = Tally()
    tally.add(op)
    print(f"{op.name}: {tally}")
    record_property("mutants", str(tally))
    assert tally.missed == ()
    assert tally.tried >= 3  # of a derivative that is zero everywhere only the term too many is a break


def test_a_mutant_leaves_the_table_as_it_was() -> None:
    op = T["tanh"]
    before = (op.vjp, op.jvp, op.carry)
    for mutant in mutants(op):
        mutant.caught()
    assert (op.vjp, op.jvp, op.carry) == before


def test_an_op_declared_later_is_broken_like_all_others() -> None:
    with declared():
        tally = Tally()
        tally.add(ad.elementwise("odd_swish", lambda x: x * T["sigmoid"](x), lambda z, x: z + T["sigmoid"](x) * (1 - z)))
        assert tally.missed == ()
        assert tally.tried >= 18


# ---------------------------------------------------------------- rules as people get them wrong


def _partials(op: Op, *wrong: Any) -> Op:
    return ad.elementwise(op.name + "_broken", op.forward, *wrong, sample=op.sample, symbol=op.symbol)


T = ad.TABLE
TWINS: dict[str, Callable[[], Op]] = {
    "tanh' = 1 - z": lambda: _partials(T["tanh"], lambda z, x: 1 - z),
    "tanh' = 1 - x x": lambda: _partials(T["tanh"], lambda z, x: 1 - x * x),
    "sigmoid' of the activated value": lambda: _partials(T["sigmoid"], lambda z, x: T["sigmoid"](z) * (1 - T["sigmoid"](z))),
    "sigmoid' = x (1 - x)": lambda: _partials(T["sigmoid"], lambda z, x: x * (1 - x)),
    "div without the square": lambda: _partials(T["div"], lambda z, x, y: 1 / y, lambda z, x, y: -1 / y),
    "sub's second sign": lambda: _partials(T["sub"], 1, 1),
    "mul's operands swapped": lambda: _partials(T["mul"], lambda z, x, y: x, lambda z, x, y: y),
    "pow without lowering": lambda: _partials(T["pow"], lambda z, x, y: y * x**y, T["pow"].partials[1]),
    "pow's logarithm of y": lambda: _partials(T["pow"], T["pow"].partials[0], lambda z, x, y: z * T["log"](y)),
    "cos' without its sign": lambda: _partials(T["cos"], lambda z, x: T["sin"](x)),
    "sqrt' = 1/z": lambda: _partials(T["sqrt"], lambda z, x: 1 / z),
    "log1p' = 1/x": lambda: _partials(T["log1p"], lambda z, x: 1 / x),
    "expm1' = z": lambda: _partials(T["expm1"], lambda z, x: z),
    "maximum to both": lambda: _partials(T["maximum"], 1, 1),
    "relu' = 1": lambda: _partials(T["relu"], 1),
    "abs' = 1": lambda: _partials(T["abs"], 1),
    "softmax without its sum": lambda: ad.general(
        "softmax_broken",
        T["softmax"].forward,
        lambda i, g, z, x, axis=None: z * g,
        lambda ts, z, x, axis=None: z * ts[0],
        sample=T["softmax"].sample,
    ),
    "softmax by its diagonal": lambda: ad.general(
        "softmax_broken",
        T["softmax"].forward,
        lambda i, g, z, x, axis=None: z * (1 - z) * g,
        lambda ts, z, x, axis=None: z * (1 - z) * ts[0],
        sample=T["softmax"].sample,
    ),
    "mean as a sum": lambda: ad.linear("mean_broken", T["sum"].forward, _mean_back, sample=T["sum"].sample),
    "the product's factors the other way round": lambda: ad.bilinear(
        "matmul_broken",
        np.matmul,
        lambda m, n: "ji,jk->ik",
        sample=lambda rng: [((rng.normal(size=(3, 3)), rng.normal(size=(3, 3))), {})],
    ),
    "transpose that is not undone": lambda: ad.linear(
        "transpose_broken",
        lambda x, axes: np.transpose(x, axes),
        lambda i, g, x, axes: T["transpose"](g, axes),
        sample=lambda rng: [((rng.normal(size=(3, 3, 3)),), {"axes": (1, 2, 0)})],
    ),
    "repeats counted once": lambda: ad.linear(
        "take_broken",
        lambda x: x[np.array([0, 0])],
        lambda i, g, x: np.where(np.arange(3) == 0, g[1], 0.0),
        sample=lambda rng: [((rng.normal(size=3),), {})],
    ),
}


def _mean_back(i: int, g: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return T["mean"].vjp(i, g, None, x, axis=axis, keepdims=keepdims)


@pytest.mark.parametrize("name", TWINS)
def test_a_rule_as_people_get_it_wrong_is_caught(name: str) -> None:
    with declared():
        assert caught(TWINS[name]())
