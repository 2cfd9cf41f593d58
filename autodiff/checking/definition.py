"""The engine turned on what people wrote: the derivative of a formula of theirs, and functions recorded to be checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import BadOperand
from ..naming import parameters
from ..node import Node
from ..reverse import pull
from ..tensor import Tensor
from .claims import Claim, Goal, Reading
from .points import Array, Env, Point, Recorded


def derivative(claim: Claim, reading: Reading, goal: Goal, point: Point) -> Array:
    """The Jacobian of a claimed definition in one of the values that it uses, as the goal wants it."""
    graph = point.graph
    assert goal.wrt is not None
    env = Env(point, claim.numbers_known, reading.rows)
    x = Tensor(np.asarray(env[graph.names[goal.wrt]], float))
    env.given[graph.names[goal.wrt]] = x
    y = reading.formula.evaluate(env)
    rows = []
    for k in range(y.size):
        seed = np.zeros(y.shape)
        seed.flat[k] = 1.0
        rows.append(pull([y], [seed], [x], record=False)[0])
    return goal.part(np.array(rows).reshape((*y.shape, *x.shape)), point.values[goal.of].shape, point.values[goal.wrt].shape)


def recorded_function(f: Callable[..., Any], xs: Sequence[Any]) -> Recorded:
    """Run a function on variables named after its parameters, and give the graph of its result."""
    names = parameters(f, len(xs))
    moves = [isinstance(x, float | np.ndarray | list) and np.asarray(x).dtype.kind == "f" for x in xs]
    name = getattr(f, "__name__", "the function")
    try:
        inspect.signature(f).bind(*xs)
    except TypeError as error:
        raise BadOperand(
            f"{name} cannot be called on the {len(xs)} arguments given: {error}; write ad.check({name}, claims, x, ...)"
        ) from None
    except ValueError:  # of some functions that are not written in Python nothing is known
        pass
    leaves = [Tensor(np.asarray(x, float), name=name) if m else x for x, name, m in zip(xs, names, moves, strict=False)]
    root = f(*leaves)
    if not isinstance(root, Node) or not root.active:
        raise BadOperand(
            f"{name} gave {type(root).__name__}, which was not recorded from its arguments: the variables are those that are floats or "
            "float arrays, whole numbers and containers are taken as they are, and the result is to be one array"
        )
    graph = Recorded(root, {})
    graph.again = lambda given: recorded_function(f, [given.get(name, x) if m else x for x, name, m in zip(xs, names, moves, strict=False)])
    return graph
