"""Transforms: derivatives of plain NumPy functions, with JAX's signatures and returns.

A transform replaces each argument by a fresh node, runs the function, and reads the graph that this
recorded.  Arguments that are nodes already, because an outer transform is at work, get an `identity`
node on top, so the outer derivative finds its way through; while it runs, results are recorded too.
At top level plain arrays and floats come back.

Arguments and results may be nested tuples, lists and dicts.  Floats and arrays of floats move;
everything else (integers, text, None) stays as it is.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import node as switches
from . import ops
from .containers import leaves, map_leaves, moves, rebuild
from .errors import BadOperand, NotConnected, NotScalar, ShapeMismatch
from .forward import push
from .node import Node
from .reverse import not_scalar, pull, pull_each
from .tensor import Tensor, constant_tensor

Function = Callable[..., Any]

# ---------------------------------------------------------------- one run of a function


class _Run:
    """A function run on fresh nodes in place of some of its arguments; with `each`, all of those must move."""

    def __init__(self, f: Function, args: Sequence[Any], kw: dict[str, Any], argnums: Sequence[int], each: bool = True) -> None:
        if not callable(f):
            raise function_wanted(f)
        self.args = args
        self.argnums = argnums
        moved = list(args)
        self.targets: list[Any] = []
        self.originals: list[Any] = []
        self.paths: list[str] = []
        for k in argnums:
            if not -len(args) <= k < len(args):
                raise TypeError(
                    f"the derivative is taken in argument {k}, but the function was called with {len(args)} arguments by position"
                )
        if len({k % len(args) for k in argnums}) < len(argnums):
            raise TypeError(f"the derivative is taken in arguments {', '.join(map(str, argnums))}, of which one is named twice")
        for k in argnums:
            before = len(self.targets)
            moved[k] = self._replace(args[k], k)
            if len(self.targets) == before and (each or len(args) == 1):
                raise BadOperand(
                    f"argument {k} is {_shorten(args[k])}, in which nothing can move: derivatives are taken with respect to floats and "
                    "arrays of float64 or float32 (write 3.0 for 3, x.astype(float) for an integer array)"
                )
        active = switches.recording.get() and any(isinstance(x, Node) and x.active for x in self.originals)
        with transform(self.targets):
            self.out = f(*moved, **kw)
        self.roots = [leaf for _, leaf in leaves(self.out) if isinstance(leaf, Node) and leaf.active]
        self.record = active or switches.differentiated(*self.roots)

    def _replace(self, tree: Any, k: int) -> Any:
        fresh = []
        for path, leaf in leaves(tree):
            if moves(leaf):
                self.originals.append(leaf)
                outer = isinstance(leaf, Node) and leaf.active and switches.recording.get()
                leaf = ops.identity(leaf) if outer else Tensor(leaf.data if isinstance(leaf, Node) else leaf)
                self.targets.append(leaf)
                self.paths.append(f"argument {k}{path}")
            fresh.append(leaf)
        return rebuild(tree, iter(fresh))

    def check_connected(self, allow_unused: bool) -> None:
        nodes = {n.id for n in switches.order(*self.roots)}
        for t, path in zip(self.targets, self.paths, strict=True):
            if t.id not in nodes and not allow_unused:
                raise NotConnected(
                    f"{path} does not reach the function's result: it was computed without it, or cut off from it by .data, .item(), "
                    "float() or a conversion to a plain array. If that is meant, write allow_unused=True for a zero derivative"
                )

    def gradients(self, allow_unused: bool) -> list[Any]:
        """The derivatives of the one root there may be with respect to the targets."""
        if not self.roots:
            self.check_connected(allow_unused)
        try:
            return pull(self.roots, [None] * len(self.roots), self.targets, self.record, allow_unused)
        except NotConnected:
            self.check_connected(allow_unused)  # which knows the argument's name
            raise

    def scalar(self) -> Any:
        """The result, if it is a single number."""
        if isinstance(self.out, list | tuple | dict):
            raise not_a_number(self.out)
        if isinstance(self.out, Node) and np.size(self.out._data) != 1:
            raise not_scalar(self.out)
        if not isinstance(self.out, Node) and not isinstance(self.out, int | float | np.number) and np.size(self.out) != 1:
            raise not_a_number(self.out)
        return self.out

    def give(self, tree: Any) -> Any:
        """A result as the caller gets it: nodes while an outer transform runs, else plain."""
        return tree if self.record else map_leaves(_plain, tree)

    def cotangents(self, found: list[Any]) -> list[Any]:
        """Group the derivatives of all targets by argument, each shaped like the argument."""
        shaped = iter([_like(g, x, self.record) for g, x in zip(found, self.originals, strict=True)])
        return [_fill(self.args[k], shaped) for k in self.argnums]


def _fill(tree: Any, found: Iterator[Any]) -> Any:
    """The argument's containers, with derivatives for what moved and None for what did not."""
    return rebuild(tree, iter([next(found) if moves(leaf) else None for _, leaf in leaves(tree)]))


@contextmanager
def transform(targets: Sequence[Any] = ()) -> Iterator[None]:
    """While a function runs inside a transform everything is recorded, and float() of a node is refused."""
    token, ids = switches.transforming.set(True), {t.id for t in targets}
    switches.moving.update(ids)
    try:
        with switches.Block(switches.recording, True):
            yield
    finally:
        switches.moving.difference_update(ids)
        switches.transforming.reset(token)


def function_wanted(f: Any) -> TypeError:
    return TypeError(f"a transform takes a function, not {_shorten(f)}; for the gradient of a recorded number write ad.gradient(E, wrt)")


def not_a_number(out: Any) -> NotScalar:
    return NotScalar(
        f"the function returned {_shorten(out)}; a gradient needs a single number. For several outputs use ad.jacobian or ad.vjp"
    )


def _shorten(x: Any) -> str:
    text = f"the {type(x).__name__} {x!r}"
    return text if len(text) < 60 else text[:57] + "..."


def _plain(x: Any) -> Any:
    if not isinstance(x, Node):
        return x
    return x.item() if x.shape == () else np.array(x._data)


def _like(g: Any, x: Any, record: bool) -> Any:
    """Float in, float out; array in, array out."""
    if record or isinstance(g, Node):
        return g
    if np.shape(g) != ():  # a row of a Jacobian
        return g
    return float(g) if isinstance(x, float) else x.dtype.type(g) if isinstance(x, np.generic) else g


def _numbers(argnums: int | Sequence[int]) -> tuple[int, ...]:
    try:
        return (argnums,) if isinstance(argnums, int | np.integer) else tuple(map(operator.index, argnums))
    except TypeError:
        raise TypeError(f"argnums is the place of an argument, 0, or several, (0, 1), not {argnums!r}") from None


# ---------------------------------------------------------------- the transforms


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, *, allow_unused: bool = False) -> Function:
    """A function that returns `f`'s value, a single number, and its gradient.

    The gradient is shaped like argument `argnums` (for several, a tuple).  Raises NotScalar, and
    NotConnected for an argument that f does not use unless `allow_unused`.

    >>> import autodiff as ad, numpy as np
    >>> ad.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (5.0, array([2., 4.]))
    """

    if not callable(f):
        raise function_wanted(f)

    @functools.wraps(f)
    def wrapped(*args: Any, **kw: Any) -> Any:
        run = _Run(f, args, kw, _numbers(argnums))
        value = run.scalar()
        grads = run.cotangents(run.gradients(allow_unused))
        return run.give(value), grads[0] if isinstance(argnums, int | np.integer) else tuple(grads)

    return wrapped


def grad(f: Function, argnums: int | Sequence[int] = 0, *, allow_unused: bool = False) -> Function:
    """A function that returns the gradient of `f`, whose result must be a single number.

    Like `jax.grad`: the gradient is shaped like argument `argnums` (for several, a tuple), floats give
    floats, and it can be nested.  Raises as `value_and_grad` does.

    >>> import autodiff as ad, numpy as np
    >>> ad.grad(np.sin)(0.0), ad.grad(ad.grad(np.exp))(0.0)
    (1.0, 1.0)
    """
    both = value_and_grad(f, argnums, allow_unused=allow_unused)

    @functools.wraps(f)
    def wrapped(*args: Any, **kw: Any) -> Any:
        return both(*args, **kw)[1]

    return wrapped


def vjp(f: Function, *xs: Any, allow_unused: bool = False) -> tuple[Any, Function]:
    """`f(*xs)` and the function that pulls a cotangent of the result back to a tuple of cotangents of xs.

    The cotangent given must be shaped like the result; raises ShapeMismatch if it is not.

    >>> import autodiff as ad, numpy as np
    >>> y, pull = ad.vjp(lambda x: x**2, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    run = _Run(f, xs, {}, range(len(xs)), each=False)
    run.check_connected(allow_unused)

    def pull_back(cotangent: Any) -> tuple[Any, ...]:
        pairs = _matched(run.out, "the function's result", cotangent, "cotangent")
        seeds = [t for _, leaf, t in pairs if isinstance(leaf, Node) and leaf.active]
        record = run.record or switches.transforming.get() or any(isinstance(t, Node) and t.active for t in seeds)
        found = pull(run.roots, seeds, run.targets, record, allow_unused=True)
        shaped = iter([_like(g, x, record) for g, x in zip(found, run.originals, strict=True)])
        return tuple(_fill(x, shaped) for x in xs)

    return run.give(run.out), pull_back


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any], *, allow_unused: bool = False) -> tuple[Any, Any]:
    """`f(*primals)` and its tangent when the primals move by the tangents, by forward mode.

    Raises ShapeMismatch where a tangent is not shaped like its primal, and BadOperand for a tangent of what does not move.

    >>> import autodiff as ad, numpy as np
    >>> ad.jvp(np.sin, (0.0,), (2.0,))
    (0.0, 2.0)
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise TypeError("jvp takes its primals and its tangents as tuples: ad.jvp(f, (x,), (t,))")
    if len(primals) != len(tangents):
        raise ShapeMismatch(f"there are {len(primals)} primals and {len(tangents)} tangents; each primal needs one tangent")
    run = _Run(f, primals, {}, range(len(primals)), each=False)
    run.check_connected(allow_unused)
    moving = [t for k, (p, t) in enumerate(zip(primals, tangents, strict=True)) for t in _moving(k, p, t)]
    record = run.record or any(isinstance(t, Node) and t.active for t in moving)
    seeds = [_tangent(t, x, path, record) for x, t, path in zip(run.targets, moving, run.paths, strict=True)]
    found = iter(push(run.roots, run.targets, seeds, record))
    out = []
    for _, leaf in leaves(run.out):
        if isinstance(leaf, Node) and leaf.active:
            t = next(found)
            out.append(t if record else float(t) if leaf.shape == () else t)
        else:
            out.append(_zero(leaf) if moves(leaf) else None)
    value = run.out if record else run.give(run.out)
    return value, rebuild(run.out, iter(out))


def _zero(x: Any) -> Any:
    return 0.0 if np.shape(x) == () else np.zeros(np.shape(x), x.dtype)


def _tangent(t: Any, x: Any, path: str, record: bool) -> Any:
    """A tangent in the form the sweep wants it: an array, or a node while recording."""
    if not isinstance(t, Node):
        if np.asarray(t).dtype.kind not in "fiub":
            raise BadOperand(f"the tangent of {path} is of dtype {np.asarray(t).dtype}, but a derivative is made of real numbers")
        t = np.asarray(t, x.dtype if isinstance(x, Tensor) else float)
    if t.shape != x.shape:
        raise ShapeMismatch(f"{path} has shape {x.shape}, but its tangent has shape {t.shape}")
    if not record:
        return t._data if isinstance(t, Node) else t
    return t if isinstance(t, Node) or not isinstance(x, Tensor) else constant_tensor(t, None)


def _moving(k: int, primal: Any, tangent: Any) -> list[Any]:
    """The tangents of what moves in argument k, in its order; what does not move must have none."""
    pairs = _matched(primal, f"argument {k}", tangent, "tangent")
    for path, p, t in pairs:
        if not moves(p) and t is not None and (np.asarray(t).dtype.kind not in "fiub" or np.any(t)):
            raise BadOperand(
                f"argument {k}{path} is {_shorten(p)}, which does not move, so its tangent is None or 0, not {t!r}; "
                "what is to move is a float or an array of floats (write 3.0 for 3)"
            )
    return [t for _, p, t in pairs if moves(p)]


def _matched(tree: Any, whose: str, other: Any, what: str) -> list[tuple[str, Any, Any]]:
    """The paths and things in `tree`, each with its partner in `other`, which has the same containers; dicts go by their keys."""
    partners, things = dict(leaves(other)), list(leaves(tree))
    if partners.keys() != {path for path, _ in things}:
        raise ShapeMismatch(
            f"the {what} must be nested in the same containers as {whose}, which has {_places(dict(things))}; the {what} has "
            f"{_places(partners)}"
        )
    return [(path, thing, partners[path]) for path, thing in things]


def _places(found: dict[str, Any]) -> str:
    return ", ".join(path or "one thing without a container" for path in found) or "nothing"


def jacobian(f: Function, argnums: int | Sequence[int] = 0, *, allow_unused: bool = False) -> Function:
    """A function that returns every derivative of every entry of `f`'s result, by reverse mode.

    For a result of shape s and an argument of shape r the answer has shape s + r.

    >>> import autodiff as ad, numpy as np
    >>> ad.jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kw: Any) -> Any:
        run = _Run(f, args, kw, _numbers(argnums))
        run.check_connected(allow_unused)

        def of(leaf: Any) -> Any:
            if not (isinstance(leaf, Node) and leaf.active):
                raise NotConnected(f"the function returned {_shorten(leaf)}, which does not depend on its arguments")
            rows = run.cotangents(_rows(leaf, run))
            return rows[0] if isinstance(argnums, int | np.integer) else tuple(rows)

        return map_leaves(of, run.out)

    return wrapped


def _rows(y: Any, run: _Run) -> list[Any]:
    """The Jacobian of one result with respect to each target."""
    rows, out = pull_each(y, run.targets, run.record), []
    for j, x in enumerate(run.targets):
        column = [row[j] for row in rows]
        shape = (*y.shape, *x.shape)
        if not isinstance(x, Tensor):
            out.append(column[0])
        elif run.record:
            out.append(ops.reshape(ops.stack(column), shape) if column else np.zeros(shape))
        else:
            out.append(np.reshape(np.array(column, x.dtype), shape))
    return out


def hessian(f: Function, argnums: int = 0) -> Function:
    """A function that returns the second derivatives of `f`, whose result must be a single number.

    For an argument of shape r the answer has shape r + r.

    >>> import autodiff as ad, numpy as np
    >>> ad.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of `f` at the primals times the tangents, by forward over reverse, without the Hessian.

    Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994), p. 147.

    >>> import autodiff as ad, numpy as np
    >>> ad.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    array([ 6., 12.])
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise TypeError("hvp takes its primals and its tangents as tuples: ad.hvp(f, (x,), (v,))")
    argnums: Any = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(f, argnums), primals, tangents)[1]
