"""Forward mode: one pass over a recorded graph, from its variables to a result, carrying tangents.

Griewank and Walther, Evaluating Derivatives, 2nd ed. (SIAM 2008), section 3.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import node as switches
from .node import Node, check_fresh, order
from .reverse import anchored, fit, zero_like
from .value import ValueBase


def push(roots: list[Any], moving: list[Any], tangents: list[Any], record: bool) -> list[Any]:
    """The tangents of the roots when the nodes `moving` have the given tangents; zeros where nothing moves."""
    nodes = order(*roots)
    check_fresh(nodes)
    tangent: dict[int, Any] = {}
    for x, t in zip(moving, tangents, strict=True):
        tangent[x.id] = tangent[x.id] + t if x.id in tangent else t
    fixed = set(tangent)  # the tangent of a variable is given, whatever it was computed from
    for n in nodes:
        if n.op is None or n.id in fixed:
            continue
        args = n.args
        ts = [tangent.get(a.id) if isinstance(a, Node) else None for a in args]
        if all(t is None for t in ts):
            continue
        if record:
            z = n.op.jvp(ts, n, *args, **n.kw)
        elif isinstance(n, ValueBase):
            z = sum(float(t) * d for t, d in zip(ts, n.partials, strict=True) if t is not None and d is not None)
        else:
            xs = [a._data if isinstance(a, Node) else a for a in args]
            z = n.op.jvp(ts, n._data, *xs, **n.kw)
        if z is not None and switches.watch is not None:
            switches.watch.pushed(n, ts, z)
        if z is not None:
            tangent[n.id] = z if isinstance(n, ValueBase) else fit(z, n, n.op)
    found = [tangent[r.id] if r.id in tangent else zero_like(r) for r in roots]
    if not record:
        return [float(t) if isinstance(r, ValueBase) else np.array(t) for t, r in zip(found, roots, strict=True)]
    return [_anchored(t, r, moving) for t, r in zip(found, roots, strict=True)]


def _anchored(t: Any, root: Any, moving: list[Any]) -> Any:
    below = order(root)
    ids = {n.id for n in below}
    return anchored(t, [root], below, [x for x in moving if x.id in ids])
