"""Constants: nodes that are part of a graph, with a name if wanted, and never differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np

from .node import Node
from .tensor import constant_tensor
from .value import ConstantValue


def constant(x: Any, name: str | None = None) -> Any:
    """A node that is not differentiated: of a number a constant Value, of an array a constant Tensor.

    An array is held by reference, not copied; do not change it while graphs made from it are in use.
    Raises BadOperand for what is not made of real numbers.

    >>> import autodiff as ad, numpy as np
    >>> t = ad.constant(np.array([0.0, 1.0]), name="t")
    >>> t.active, t.name
    (False, 't')
    """
    if isinstance(x, Node):
        out = x._constant()
        return out if name is None else out.named(name)
    if isinstance(x, int | float | np.number) and not isinstance(x, np.complexfloating):
        return ConstantValue(x, name)
    return constant_tensor(x, name)


def stop_gradient(x: Any) -> Any:
    """`x` as a constant: the same numbers, through which no derivative passes.

    >>> import autodiff as ad
    >>> ad.grad(lambda x: x * ad.stop_gradient(x))(3.0)
    3.0
    """
    return x._constant() if isinstance(x, Node) else x
