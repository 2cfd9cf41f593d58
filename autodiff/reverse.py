"""Reverse mode: one sweep over a recorded graph, from a result back to what it was made of.

The sweep runs each op's rule on the numbers; with `record=True` it runs the same rules on the nodes,
so that the gradients are graphs again.  It changes nothing that was recorded.

Griewank and Walther, Evaluating Derivatives, 2nd ed. (SIAM 2008), section 3.2.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from . import ops
from .errors import NotConnected, NotScalar, ShapeMismatch
from .naming import label
from .node import Node, check_fresh, order
from .tensor import Tensor, constant_tensor
from .value import ValueBase

ndarray = np.ndarray


def backward(root: Tensor, seed: Any) -> None:
    """What Tensor.backward does."""
    nodes = order(root)
    adjoint = adjoints({root.id: _seed(root, seed, record=False)}, nodes)
    handed_out: set[int] = set()
    for n in reversed(nodes):
        g = adjoint.get(n.id)
        if g is None:
            if n.active:
                _give(n, np.zeros(n.shape, n.dtype))
        elif n.op is not None:
            g.setflags(write=False)  # neighbours may share it
            n.grad = g
            handed_out.add(id(g))
        else:
            # A leaf's gradient is an array of its own: people scale and clip it in place.
            own = g.base is None and g.flags.writeable and id(g) not in handed_out
            handed_out.add(id(g))
            _give(n, g if own else g.copy())


def _give(n: Any, g: Any) -> None:
    n.grad = g if n.op is not None or n.grad is None else n.grad + g


def gradient(E: Any, wrt: Any, record: bool = False) -> Any:
    """The gradient of a single number with respect to nodes, without touching any `.grad`.

    `wrt` is a node or a list of nodes, results included; the answer is an array (a float for a Value),
    or a list of them.  With `record=True` it consists of nodes and can be differentiated again.
    Raises NotScalar, StaleGraph, and NotConnected for a node that E does not depend on.

    >>> import autodiff as ad
    >>> x = ad.Value(2.0); E = x**3
    >>> (dx,) = ad.gradient(E, [x], record=True)
    >>> ad.gradient(dx, x)
    12.0
    """
    if not isinstance(E, Node):
        raise NotConnected(f"the output is a plain {type(E).__name__}: nothing was recorded, so it depends on no variable")
    targets = list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    found = pull([E], [None], targets, record)
    return found if isinstance(wrt, list | tuple) else found[0]


def pull(roots: list[Any], seeds: list[Any], targets: list[Any], record: bool, allow_unused: bool = False) -> list[Any]:
    """The cotangents of `targets` for cotangents `seeds` of the roots: zeros where the derivative is zero."""
    nodes = order(*roots)
    check_connected(roots, nodes, targets, allow_unused)
    seeded = {}
    for root, seed in zip(roots, seeds, strict=True):
        seed = _seed(root, seed, record)
        seeded[root.id] = seeded[root.id] + seed if root.id in seeded else seed
    adjoint = adjoints(seeded, nodes, {t.id for t in targets}, record)
    found = [adjoint[t.id] if t.id in adjoint else zero_like(t) for t in targets]
    if record:
        return [anchored(g, roots, nodes, targets) for g in found]
    return [float(g) if isinstance(t, ValueBase) else np.array(g) if _shared(g) else g for g, t in zip(found, targets, strict=True)]


def check_connected(roots: list[Any], nodes: list[Any], targets: list[Any], allow_unused: bool = False) -> None:
    """Raise NotConnected for a target that is no variable or, unless allowed, does not reach the roots."""
    reached = {n.id for n in nodes}
    for t in targets:
        if not isinstance(t, Node):
            raise NotConnected(f"derivatives are taken with respect to nodes, not {type(t).__name__}; make it one with ad.Tensor or ad.Value")
        if not t.active:
            raise NotConnected(f"{label(t)} is a constant, so nothing has a derivative with respect to it")
        if t.id not in reached and not allow_unused:
            raise NotConnected(
                f"{label(t)} does not reach {' or '.join(map(label, roots)) or 'the output'}: the output was computed without it. "
                "Was the variable bound to a new node after the computation, or left out of it?"
            )


def _shared(g: Any) -> bool:
    return g.base is not None or not g.flags.writeable


def zero_like(node: Any) -> Any:
    """The zero derivative of a node, as a plain number or array."""
    return 0.0 if isinstance(node, ValueBase) else np.zeros(node.shape, node.dtype)


def anchored(g: Any, roots: list[Any], nodes: list[Any], targets: list[Any]) -> Any:
    """A recorded derivative depends, if only with derivative zero, on every variable the roots depend on."""
    variables = {n.id for n in nodes if n.active and n.op is None} | {t.id for t in targets}
    if isinstance(g, Node) and variables <= {n.id for n in order(g)}:
        return g
    for root in roots:
        g = ops.attach(g, root)
    return g


def adjoints(seeds: dict[int, Any], nodes: list[Any], wanted: Collection[int] | None = None, record: bool = False) -> dict[int, Any]:
    """The derivative of the seeded roots with respect to each node on a path to `wanted`, by node id."""
    check_fresh(nodes)
    adjoint = dict(seeds)
    path = _path(nodes, wanted)
    for n in reversed(nodes):
        g = adjoint.get(n.id)
        if g is None or n.op is None or n.id not in path:
            continue
        args = n.args
        numbers = None
        for i, a in enumerate(args):
            if a.__class__ is ndarray or not isinstance(a, Node) or a.id not in path:
                continue
            if record:
                d = n.op.vjp(i, g, n, *args, **n.kw)
            elif isinstance(n, ValueBase):
                d = g * n.partials[i]
            else:
                numbers = numbers or [x._data if isinstance(x, Node) else x for x in args]
                d = n.op.vjp(i, g, n._data, *numbers, **n.kw)
            if d is not None:
                if not isinstance(a, ValueBase):
                    d = fit(d, a, n.op)
                adjoint[a.id] = adjoint[a.id] + d if a.id in adjoint else d
    return adjoint


def _path(nodes: list[Any], wanted: Collection[int] | None) -> set[int]:
    """Ids of the active nodes, or of those through which the root depends on the wanted ones."""
    if wanted is None:
        return {n.id for n in nodes if n.active}
    path = set(wanted)
    for n in nodes:
        if n.id not in path and any(isinstance(a, Node) and a.id in path for a in n.args):
            path.add(n.id)
    return path


def fit(d: Any, a: Any, op: Any) -> Any:
    """A derivative has exactly the shape and dtype of the node it belongs to; `op` is whose rule made it."""
    x = a._data
    if d.__class__ is ndarray and d.dtype is x.dtype and d.shape == x.shape:
        return d
    if not isinstance(d, Node):
        d = np.asarray(d)
    if d.dtype != a.dtype:
        d = ops.cast(d, dtype=a.dtype)
    if d.shape != a.shape:
        raise ShapeMismatch(f"the rule of {op.name} gave a derivative of shape {d.shape} for a node of shape {a.shape}")
    return d


def _seed(root: Any, seed: Any, record: bool) -> Any:
    if not root.active:
        raise NotConnected(
            f"{label(root)} is a constant: nothing it depends on is a variable, so there is nothing to differentiate. "
            "Variables are made by ad.Value(...) and ad.Tensor(...), outside of ad.no_record()"
        )
    if isinstance(root, ValueBase):
        return 1.0 if seed is None else seed if isinstance(seed, Node) else float(seed)
    if seed is None:
        if root.size != 1:
            raise not_scalar(root)
        return constant_tensor(np.ones(root.shape, root.dtype), None) if record else np.ones(root.shape, root.dtype)
    if isinstance(seed, Node):
        if seed.shape != root.shape:
            raise ShapeMismatch(f"the seed has shape {seed.shape}, but {label(root)} has shape {root.shape}; they must be the same")
        return seed if record else seed._data
    array = np.asarray(seed)
    if array.dtype.kind not in "fiub":
        raise ShapeMismatch(f"the seed is of dtype {array.dtype}, but a derivative is made of real numbers")
    if array.shape != root.shape:
        raise ShapeMismatch(f"the seed has shape {array.shape}, but {label(root)} has shape {root.shape}; they must be the same")
    array = array.astype(root.dtype)
    return constant_tensor(array, None) if record else array


def not_scalar(root: Any) -> NotScalar:
    """The error for a gradient of several numbers: its shape, and the three things one can mean."""
    name = label(root)
    who = name if root.name or " " not in name else "this node"
    return NotScalar(
        f"{name} has shape {root.shape}, so its gradient would be {root.size} gradients. Did you mean the gradient of its sum, "
        f"{who}.sum().backward(); of one combination of its entries, {who}.backward(seed=array of shape {root.shape}); "
        f"or of a single number computed from it, such as the loss?"
    )
