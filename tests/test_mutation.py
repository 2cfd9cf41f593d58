"""The checks have teeth: each op's derivative is broken in turn, and the table's own check must notice every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import GradientMismatch, ShapeMismatch
from autodiff.ops import Op
from tests.cases import BUILT_IN, declared, every_op, moving, operands

Rule = Callable[..., Any]

# Their derivatives are zero by structure, in all operands or in one: nothing to break there.
FLAT = {"sign", "floor", "ceil", "trunc", "rint", "detsign"}


def caught(op: Op) -> bool:
    """Does the check that runs over the table raise on any call of the sampler?"""
    for args, kw in op.sample(np.random.default_rng(7)):
        try:
            ad.check_grads(lambda *xs, kw=kw: op(*xs, **kw), *args, order=1)
        except (GradientMismatch, ShapeMismatch):
            return True
    return False


def _times(factor: float) -> Callable[[Rule], Rule]:
    def wrap(rule: Rule) -> Rule:
        def broken(*args: Any, **kw: Any) -> Any:
            d = rule(*args, **kw)
            return None if d is None else factor * d

        return broken

    return wrap


def _turned(rule: Rule) -> Rule:
    """The right numbers in the wrong places: the last two axes read in the other order."""

    def broken(*args: Any, **kw: Any) -> Any:
        d = rule(*args, **kw)
        if d is None or np.ndim(d) < 2:
            return d
        return np.reshape(np.swapaxes(d, -1, -2), np.shape(d))

    return broken


def reverse(op: Op, wrap: Callable[[Rule], Rule]) -> dict[str, Any]:
    """Both forms of an op's reverse rule, broken: the sweep over arrays runs `carry` where there is one."""
    return {"vjp": wrap(op.vjp), "carry": tuple(wrap(c) for c in op.carry)}


def forgetful(op: Op, k: int) -> dict[str, Any]:
    """Both modes without the term of operand k: they agree with each other, so only differences tell."""
    vjp, jvp = op.vjp, op.jvp

    def broken_vjp(i: int, g: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        return None if i == k else vjp(i, g, z, *xs, **kw)

    def broken_jvp(ts: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        rest = [None if i == k else t for i, t in enumerate(ts)]
        found = None if all(t is None for t in rest) else jvp(rest, z, *xs, **kw)
        return np.zeros(np.shape(z)) if found is None else found

    carry = tuple((lambda g, z, xs: None) if i == k else c for i, c in enumerate(op.carry))
    return {"vjp": broken_vjp, "carry": carry, "jvp": broken_jvp}


def swapped(op: Op) -> dict[str, Any]:
    vjp = op.vjp

    def broken(i: int, g: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        return vjp(len(xs) - 1 - i, g, z, *xs, **kw)

    return {"vjp": broken, "carry": op.carry[::-1]}


def breaks(op: Op) -> Iterator[tuple[str, dict[str, Any]]]:
    """Wrong rules for an op: what is wrong, and the fields to replace."""
    for name, wrap in (("sign", _times(-1)), ("factor 2", _times(2)), ("zero", _times(0)), ("off by 1e-6", _times(1 + 1e-6))):
        yield f"{name}, reverse", reverse(op, wrap)
        yield f"{name}, forward", {"jvp": wrap(op.jvp)}
        yield f"{name}, both modes", {**reverse(op, wrap), "jvp": wrap(op.jvp)}
    cases = [operands(op, args) for args, _ in op.sample(np.random.default_rng(7))]
    if op.name not in DIAGONAL and any(np.ndim(x) >= 2 and min(np.shape(x)[-2:]) > 1 for xs in cases for x in xs):
        yield "transposed, reverse", reverse(op, _turned)
    if len(cases[0]) == 2 and moving(cases[0]) == [0, 1] and op.name not in SYMMETRIC:
        yield "swapped operands", swapped(op)
    if len(cases[0]) > 1:
        for k in moving(cases[0]):
            if (op.name, k) != ("attach", 1):  # its derivative is zero by structure
                yield f"operand {k} forgotten", forgetful(op, k)


DIAGONAL = {"trace", "diag"}  # a diagonal matrix is its own transpose
SYMMETRIC = {"add", "sum_of"}  # the same derivative in both operands, so that swapping them changes nothing


@every_op
def test_the_check_passes_the_rules_as_they_are(op: Op) -> None:
    assert not caught(op)


@every_op
def test_every_broken_rule_is_caught(op: Op, monkeypatch: pytest.MonkeyPatch) -> None:
    if op.name in FLAT:
        pytest.skip("its derivative is zero everywhere")
    missed, count = [], 0
    for what, fields in breaks(op):
        with monkeypatch.context() as patch:
            for field, rule in fields.items():
                patch.setattr(op, field, rule)
            count += 1
            if not caught(op):
                missed.append(what)
    print(f"{op.name}: {count} breaks, {count - len(missed)} caught")
    assert not missed
    assert count >= 12


def test_many_breaks_are_tried() -> None:
    assert sum(1 for op in BUILT_IN if op.name not in FLAT for _ in breaks(op)) > 500


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
