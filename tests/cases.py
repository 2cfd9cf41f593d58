"""Every op of the table with every call its sampler makes: what the tests over the table run on.

The list is taken when this file is imported, so ops that examples and tests declare are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.containers import leaves, map_leaves
from autodiff.ops import Composition, Op

Args = tuple[Any, ...]
Kw = dict[str, Any]

BUILT_IN: list[Op] = list(ops.TABLE.values())
COMPOSED: list[Composition] = list(ops.COMPOSED.values())


def _calls(functions: Any) -> list[Any]:
    return [(op, args, kw) for op in functions for args, kw in op.sample(np.random.default_rng(7))]


CASES: list[tuple[Op, Args, Kw]] = _calls(BUILT_IN)


def _id(op: Op | Composition, args: Args, kw: Kw) -> str:
    shapes = "x".join(str(np.shape(x)) for _, x in leaves(args))
    return f"{op.kind[0]}:{op.name}{shapes}{kw or ''}".replace(" ", "").replace("\n", "")


def operands(op: Op, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operands one by one, also of an op that takes them as one sequence."""
    return tuple(args[0]) if op.arity is None else args


def packed(op: Op, xs: Any) -> tuple[Any, ...]:
    """The operands as the op takes them."""
    return (list(xs),) if op.arity is None else tuple(xs)


def moving(xs: tuple[Any, ...]) -> list[int]:
    """Places of the operands that have a derivative."""
    return [i for i, x in enumerate(xs) if np.asarray(x).dtype.kind == "f"]


def caller(op: Op, kw: dict[str, Any]) -> Callable[..., Any]:
    return lambda *args: op(*args, **kw)


def tensors(op: Op, args: tuple[Any, ...], dtype: Any = None) -> tuple[Any, ...]:
    """The operands as Tensors, but for those that do not move."""
    return tuple(ad.Tensor(x, dtype=dtype) if np.asarray(x).dtype.kind == "f" else x for x in operands(op, args))


def is_moving(x: Any) -> bool:
    """Is it an operand that has a derivative?"""
    return np.asarray(x).dtype.kind == "f"


def variables(args: Args, dtype: Any = None) -> tuple[Args, list[ad.Tensor]]:
    """The arguments of a call with Tensors for what moves, and these Tensors."""
    made = map_leaves(lambda x: ad.Tensor(x, dtype=dtype) if is_moving(x) else x, args)
    return made, [x for _, x in leaves(made) if isinstance(x, ad.Tensor)]


def weighted(z: Any, seed: int = 3) -> Any:
    """A single number that depends on every entry of `z`, or of all the results in it, differently."""
    rng = np.random.default_rng(seed)
    return sum(np.sum(x * rng.normal(size=x.shape).astype(x.dtype)) for _, x in leaves(z))


def _parametrized(cases: list[Any]) -> Any:
    return pytest.mark.parametrize(("op", "args", "kw"), [pytest.param(*case, id=_id(*case)) for case in cases])


every_case = _parametrized(CASES)  # of an op, whose rules can be called
every_call = _parametrized(CASES + _calls(COMPOSED))  # of these and the compositions, which can only be used
every_composed_call = _parametrized(_calls(COMPOSED))
every_op = pytest.mark.parametrize("op", BUILT_IN, ids=lambda op: op.name)


def close(got: Any, want: Any, rtol: float = 1e-12) -> None:
    """Equal to rounding: relative to the largest entry, so that exact zeros do not ask for the impossible."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    size = float(np.max(np.abs(want), initial=0.0))
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * size)


def ulps_apart(a: float, b: float) -> float:
    """How many units in the last place lie between two floats; 0 for equal ones and for two nans."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.inf
    return abs(a - b) / math.ulp(max(abs(a), abs(b)))


@contextmanager
def declared() -> Iterator[None]:
    """Ops declared inside are gone from the table afterwards."""
    table, by_numpy = dict(ops.TABLE), dict(ops.BY_NUMPY)
    try:
        yield
    finally:
        ops.TABLE.clear()
        ops.TABLE.update(table)
        ops.BY_NUMPY.clear()
        ops.BY_NUMPY.update(by_numpy)
