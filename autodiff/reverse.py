"""Reverse mode: one sweep over a recorded graph, from a result back to what it was made of.

The sweep runs each op's rule on the numbers; with `record=True` it runs the same rules on the nodes,
so that the gradients are graphs again.  It changes nothing that was recorded.

Griewank and Walther, Evaluating Derivatives, 2nd ed. (SIAM 2008), section 3.2.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Sequence
from functools import cache
from heapq import heappop, heappush
from typing import Any

import numpy as np

from . import node as switches
from . import ops, plans
from .errors import BadOperand, NotConnected, NotScalar, ShapeMismatch
from .naming import label
from .node import Node, check_fresh, order
from .ops.table import sum_to
from .tensor import Tensor, constant_tensor
from .value import ValueBase

ndarray = np.ndarray


def backward(root: Tensor, seed: Any) -> None:
    """What Tensor.backward does."""
    start = _seed(root, seed, record=False)
    for n, g in plans.replay(root, start) or _swept(root, start):
        if g is None:
            g = zero_like(n)
        if n.op is None:
            _give_leaf(n, g)
        else:
            n.grad = g


def _swept(root: Tensor, start: Any) -> list[tuple[Any, Any]]:
    found = sweep([(root, start)], None, of_arrays, add_arrays)
    plans.learn(root, start, found)
    return found


def _give_leaf(leaf: Any, g: Any) -> None:
    if leaf.grad is None:
        # A leaf's gradient is an array of its own: people scale and clip it in place.
        leaf.grad = g if g.base is None and g.flags.writeable else g.copy()
    elif np.shape(leaf.grad) in ((), leaf.shape):
        leaf.grad = np.asarray(leaf.grad + g)  # the sum of two 0-d arrays is no array
    else:
        raise ShapeMismatch(f"{label(leaf)} has shape {leaf.shape}, but its .grad was set to something of shape {np.shape(leaf.grad)}")


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
    if not roots:
        return [zero_like(t) for t in targets]
    found = None if record else _planned(roots, seeds, targets)
    if found is None:
        nodes = order(*roots)
        check_connected(roots, nodes, targets, allow_unused)
        check_fresh(nodes)
        found = _pulled(nodes, roots, seeds, targets, record)
        if record:
            return [anchored(g, roots, nodes, targets) for g in found]
    return [float(g) if isinstance(t, ValueBase) else g for g, t in zip(_own_arrays(found), targets, strict=True)]


def pull_each(y: Any, targets: list[Any], record: bool = False) -> list[list[Any]]:
    """The derivatives of every entry of node y in the targets: the rows of its Jacobians."""
    rows = []
    for k in range(int(np.size(y._data))):
        seed: Any = np.zeros(y.shape)
        seed.flat[k] = 1.0
        rows.append(pull([y], [1.0 if isinstance(y, ValueBase) else seed], targets, record, allow_unused=True))
    return rows


def _pulled(nodes: list[Any], roots: list[Any], seeds: list[Any], targets: list[Any], record: bool) -> list[Any]:
    """The same by the sweep through what leads to the targets."""
    wanted: dict[int, Any] = {t.id: None for t in targets}
    path = _path(nodes, wanted)
    seeded = [(root, _seed(root, seed, record)) for root, seed in zip(roots, seeds, strict=True)]
    values = isinstance(roots[0], ValueBase)
    contributions = rules_on(lambda n: (n, n.args)) if record else of_values if values else of_arrays
    add = operator.add if record or values else add_arrays
    found = sweep([(root, seed) for root, seed in seeded if root.id in path], path, contributions, add)
    if not record and _is_plannable(roots, seeds):
        plans.learn(*seeded[0], found)
    wanted.update((n.id, g) for n, g in found if n.id in wanted)
    return [zero_like(t) if wanted[t.id] is None else wanted[t.id] for t in targets]


def _is_plannable(roots: list[Any], seeds: list[Any]) -> bool:
    root = roots[0]
    return len(roots) == 1 and root.__class__ is Tensor and root.active and root._data.size == 1 and seeds[0] is None


def _planned(roots: list[Any], seeds: list[Any], targets: list[Any]) -> list[Any] | None:
    """The same by a plan, which goes through all variables: where fewer are asked for, the sweep has less to do."""
    if not _is_plannable(roots, seeds):
        return None
    asked = {t.id for t in targets if isinstance(t, Node) and t.op is None}
    by_plan = plans.replay(roots[0], _seed(roots[0], None, record=False), len(asked))
    if by_plan is None:
        return None
    found = {n.id: zero_like(n) if g is None else g for n, g in by_plan}
    return [found[t.id] for t in targets] if all(isinstance(t, Node) and t.id in found for t in targets) else None


def check_connected(roots: list[Any], nodes: list[Any], targets: list[Any], allow_unused: bool = False) -> None:
    """Raise NotConnected for a target that is no variable or, unless allowed, does not reach the roots."""
    reached = {n.id for n in nodes}
    for t in targets:
        if not isinstance(t, Node):
            advice = f"write the node, wrt={t}" if isinstance(t, str) else "make it one with ad.Tensor or ad.Value"
            raise NotConnected(f"derivatives are taken with respect to nodes, not {type(t).__name__}; {advice}")
        if not t.active:
            raise NotConnected(f"{label(t)} is a constant, so nothing has a derivative with respect to it")
        if t.id not in reached and not allow_unused:
            check_fresh(nodes)  # a stale graph that was copied has a leaf to itself; that it is stale says more
            raise NotConnected(
                f"{label(t)} does not reach {' or '.join(map(label, roots)) or 'the output'}: the output was computed without it. "
                "Was the variable bound to a new node after the computation, or left out of it?"
            )


def _own_arrays(found: list[Any]) -> list[Any]:
    """The derivatives as arrays of their own: no two share memory, with each other or with a recorded array."""
    given: set[int] = set()
    own = []
    for g in found:
        if isinstance(g, ndarray):
            g = g if g.base is None and g.flags.writeable and id(g) not in given else np.array(g)
            given.add(id(g))
        own.append(g)
    return own


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


Contributions = Callable[[Any, Any, Collection[int] | None], Sequence[tuple[Any, Any]]]


def sweep(
    seeds: Sequence[tuple[Any, Any]], path: Collection[int] | None, contributions: Contributions, add: Callable[[Any, Any], Any]
) -> list[tuple[Any, Any]]:
    """Every active node that the seeds reach, with its finished derivative (None: zero).

    `seeds` are the roots with their derivatives; `path` the ids to go through in a graph that is known to
    be fresh, None for all that is active; then StaleGraph is raised.  `contributions(n, g, path)` are the
    operands of a result with what its derivative contributes to theirs, which `add` adds up.

    A result is younger than its operands, so of the nodes that wait the youngest has all it will get.
    """
    reached: dict[int, list[Any]] = {}  # by the negative of their ids: the nodes with the derivatives they have so far
    waiting: list[int] = []
    doubtful = False
    if switches.watch is not None:
        contributions, doubtful = switches.watch.watched(contributions), True
    new = seeds
    while True:
        for n, g in new:
            k = -n.id
            entry = reached.get(k)
            if entry is None:
                reached[k] = [n, g]
                heappush(waiting, k)
            elif g is not None:
                entry[1] = g if entry[1] is None else add(entry[1], g)
        if not waiting:
            break
        k = heappop(waiting)
        n, g = reached[k]
        if n.op is None:
            new = ()
        else:
            doubtful = doubtful or -k < switches.assigned
            new = contributions(n, g, path)
    if doubtful and path is None:
        check_fresh(order(*(root for root, _ in seeds)))
    return [(n, g) for n, g in reached.values() if n.active]


def add_arrays(g: Any, d: Any) -> Any:
    """The sum, as an array: that of two 0-d arrays is none."""
    return np.asarray(g + d)


def of_arrays(n: Any, g: Any, path: Collection[int] | None) -> list[tuple[Any, Any]]:
    """What a result's derivative contributes to its operands; this runs most often of all."""
    if g is None:
        return _none(n, path)
    op, args, z, kw = n.op, n.args, n._data, n.kw
    g.setflags(False)  # operands may come to share it, and a rule that wrote into it would do so silently
    xs = []
    for a in args:
        xs.append(a._data if a.__class__ is Tensor else _plain(a))  # a comprehension would be one more call
    vjp, carry = op.vjp, op.carry
    if op.apart is not None:
        carry = [lambda g, z, xs, d=d: d for d in op.apart(g, xs, **kw)]
    found: list[tuple[Any, Any]] = []
    for i, a in enumerate(args):
        if a.__class__ is not Tensor and not isinstance(a, Node):
            continue
        if a.active if path is None else a.id in path:
            x = xs[i]
            # An elementwise op's vjp is its carry, summed back where broadcasting grew the operand.
            d = carry[i](g, z, xs) if carry else vjp(i, g, z, *xs, **kw) if kw else vjp(i, g, z, *xs)
            if d is not None:
                if d.__class__ is not ndarray:
                    d = np.asarray(d)
                if d.shape != x.shape:
                    d = sum_to(d, x.shape) if carry and d.shape == z.shape else fit(d, a, op)
                if d.dtype is not x.dtype:
                    d = fit(d, a, op)
            found.append((a, d))
        elif a.op is not None:
            found.append((a, None))  # a constant that was computed comes along for its age to be seen
    return found


def of_values(n: Any, g: Any, path: Collection[int] | None) -> list[tuple[Any, Any]]:
    """The same for a Value, whose local derivatives were stored when it was recorded."""
    if g is None:
        return _none(n, path)
    return [
        (a, None if partial is None else g * partial)
        for a, partial in zip(n.args, n.partials, strict=True)
        if isinstance(a, Node) and (path is None or a.id in path)
    ]


def rules_on(stand: Callable[[Any], tuple[Any, Sequence[Any]]]) -> Contributions:
    """The same with the rules run on what stands for a result and its operands: the nodes themselves, to record, or symbols."""

    def contributions(n: Any, g: Any, path: Collection[int] | None) -> list[tuple[Any, Any]]:
        if g is None:
            return _none(n, path)
        found = []
        z, xs = stand(n)
        ds = n.op.apart(g, xs, **n.kw) if n.op.apart is not None else None
        for i, a in enumerate(n.args):
            if isinstance(a, Node) and (a.active if path is None else a.id in path):
                d = ds[i] if ds is not None else n.op.vjp(i, g, z, *xs, **n.kw)
                found.append((a, d if d is None or isinstance(a, ValueBase) else fit(d, a, n.op)))
        return found

    return contributions


def _none(n: Any, path: Collection[int] | None) -> list[tuple[Any, Any]]:
    return [(a, None) for a in n.args if isinstance(a, Node) and (path is None or a.id in path)]


def _plain(a: Any) -> Any:
    return a._data if isinstance(a, Node) else a


def _path(nodes: list[Any], wanted: Collection[int]) -> set[int]:
    """Ids of the nodes through which the roots depend on the wanted ones, these included."""
    path = set(wanted)
    for n in nodes:
        if n.id not in path and any(isinstance(a, Node) and a.id in path for a in n.args):
            path.add(n.id)
    return path


def fit(d: Any, a: Any, op: Any) -> Any:
    """A derivative has exactly the shape and dtype of the node it belongs to; `op` is whose rule made it."""
    if not hasattr(d, "__apply__"):
        d = np.asarray(d)
    if d.dtype.kind not in "fiub":
        raise BadOperand(f"the rule of {op.name} gave a derivative of dtype {d.dtype}; derivatives here are of real numbers")
    if d.dtype != a.dtype:
        d = ops.cast(d, dtype=a.dtype)
    if d.shape != a.shape:
        raise ShapeMismatch(f"the rule of {op.name} gave a derivative of shape {d.shape} for a node of shape {a.shape}")
    return d


def _seed(root: Any, seed: Any, record: bool) -> Any:
    if not root.active:
        raise NotConnected(
            f"{label(root)} is a constant: nothing it depends on is a variable, so there is nothing to differentiate. "
            "Variables are made by ad.Value(...) and ad.Tensor(...); results under ad.no_record() are constants"
        )
    if isinstance(root, ValueBase):
        return 1.0 if seed is None else seed if isinstance(seed, Node) else float(seed)
    if seed is None:
        if root.size != 1:
            raise not_scalar(root)
        one = _one(root._data.dtype, root._data.ndim)
        return constant_tensor(one, None) if record else one
    array = np.asarray(seed._data if isinstance(seed, Node) else seed)
    if array.dtype.kind not in "fiub":
        raise BadOperand(f"the seed is of dtype {array.dtype}, but a derivative is made of real numbers")
    if array.shape != root.shape:
        raise ShapeMismatch(f"the seed has shape {array.shape}, but {label(root)} has shape {root.shape}; they must be the same")
    if record and isinstance(seed, Node):
        return seed
    array = array.astype(root.dtype)
    return constant_tensor(array, None) if record else array


@cache
def _one(dtype: Any, ndim: int) -> Any:
    one = np.array(1.0, dtype, ndmin=ndim)
    one.setflags(write=False)  # it is the .grad of many a root
    return one


def not_scalar(root: Any) -> NotScalar:
    """The error for a gradient of several numbers: its shape, and the three things one can mean."""
    name = label(root)
    who = name if root.name or " " not in name else "this node"
    return NotScalar(
        f"{name} has shape {root.shape}, so its gradient would be {root.size} gradients. Did you mean the gradient of its sum, "
        f"{who}.sum().backward(); of one combination of its entries, {who}.backward(seed=array of shape {root.shape}); "
        f"or of a single number computed from it, such as the loss?"
    )
