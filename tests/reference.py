"""A slow, obviously right differentiator: every number is a function of the variables, derived by dual numbers.

It has no graph, no sweep and no table: a derivative is the function run on numbers that carry their own
tangents, nested as deeply as derivatives are.  Everything is elementwise, so a gradient of a sum is one run.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

_tags = count(1)


class Dual:
    """a + b e, with e * e = 0; each derivative has an e of its own, told by its tag, the innermost the largest."""

    def __init__(self, a: Any, b: Any, tag: int) -> None:
        self.a, self.b, self.tag = a, b, tag


def _parts(x: Any, tag: int) -> tuple[Any, Any]:
    return (x.a, x.b) if isinstance(x, Dual) and x.tag == tag else (x, 0.0)


def _tag(*xs: Any) -> int:
    return max(x.tag if isinstance(x, Dual) else 0 for x in xs)


def add(x: Any, y: Any) -> Any:
    tag = _tag(x, y)
    if not tag:
        return x + y
    (a, b), (c, d) = _parts(x, tag), _parts(y, tag)
    return Dual(add(a, c), add(b, d), tag)


def mul(x: Any, y: Any) -> Any:
    tag = _tag(x, y)
    if not tag:
        return x * y
    (a, b), (c, d) = _parts(x, tag), _parts(y, tag)
    return Dual(mul(a, c), add(mul(a, d), mul(b, c)), tag)


def sin(x: Any) -> Any:
    return Dual(sin(x.a), mul(cos(x.a), x.b), x.tag) if isinstance(x, Dual) else np.sin(x)


def cos(x: Any) -> Any:
    return Dual(cos(x.a), mul(mul(-1.0, sin(x.a)), x.b), x.tag) if isinstance(x, Dual) else np.cos(x)


def reciprocal(x: Any) -> Any:
    if not isinstance(x, Dual):
        return 1.0 / x
    r = reciprocal(x.a)
    return Dual(r, mul(mul(-1.0, mul(r, r)), x.b), x.tag)


def derivative(f: Callable[[Any], Any], x: Any) -> Any:
    """df/dx, entry by entry; `x` may carry tangents of outer derivatives."""
    tag = next(_tags)
    return _parts(f(Dual(x, 1.0, tag)), tag)[1]
