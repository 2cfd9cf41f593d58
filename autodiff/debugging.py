"""`ad.debug`: while it is open, every number is looked at once, where it is made.

The first inf or nan is reported where it is born, with its cause, in the forward computation and in
backward; constants that were changed between the two are caught; and every node remembers its source
line.  node.py, reverse.py, forward.py and value.py ask `switches.watch`, which is None while no block is
open, so that nothing of this costs anything then.  This file changes no number.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any

import numpy as np

from . import node as switches
from .errors import NonFinite, StaleGraph
from .naming import user_frame, variables
from .node import Node
from .ops import Op

_open = 0


class debug:
    """A `with` block in which, in every thread, the first number that is not finite raises where it is born.

    Raises NonFinite in the forward computation for a nan and for an inf made out of finite numbers (an
    inf that was put in, such as a mask of -inf, may pass), and in backward naming the rule that made it;
    StaleGraph if an array that the graph holds was changed since.  Nodes made inside remember their source
    line (`.line`).  NumPy's own warnings are silent inside, in this thread: the error says more.

    >>> import autodiff as ad, numpy as np
    >>> z2 = ad.Tensor([1.0, 1000.0])
    >>> with ad.debug():
    ...     np.exp(z2)
    Traceback (most recent call last):
        ...
    autodiff.errors.NonFinite: exp(z2)[1] = inf because z2[1] = 1000 > 709.78
    """

    def __init__(self) -> None:
        self._quiet: list[Any] = []

    def __enter__(self) -> None:
        global _open
        with switches.lock:
            _open += 1
            switches.special += 1
            switches.watch = sys.modules[__name__]
        self._quiet.append(np.errstate(all="ignore"))
        self._quiet[-1].__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global _open
        self._quiet.pop().__exit__(kind, error, trace)
        with switches.lock:
            _open -= 1
            switches.special -= 1
            if not _open:
                switches.watch = None


# ---------------------------------------------------------------- what is asked while a block is open


def made(n: Any) -> None:
    """A result was recorded: it must not hold the first number that is not finite; what it holds is remembered."""
    if not _finite(n._data):
        xs = [_plain(a) for a in n.args]
        came_in = any(_any(np.isnan, x) for x in xs)
        if _any(np.isnan, n._data) or not any(_any(np.isinf, x) for x in xs):
            raise NonFinite(_forward_cause(n, xs, came_in))
    held = {i: _digest(a) for i, a in enumerate(n.args) if _is_held(a)}
    if held:
        n._write("held", held)


def unchanged(nodes: list[Any]) -> None:
    """Numbers are about to be read from a graph: the arrays it holds must be those it was computed from."""
    for n in nodes:
        for i, digest in n._note("held", {}).items():
            a = n.args[i]
            if _digest(a) != digest:
                raise StaleGraph(
                    f"{_called(a, variables(user_frame()))}, operand {i} of {n.op.name}{_at(n)}, was changed after the result was "
                    "computed from it, so this graph's numbers no longer belong together. A plain array is held, not copied: "
                    "pass array.copy(), or ask for the gradient before filling it anew"
                )


def watched(contributions: Callable[..., list[tuple[Any, Any]]]) -> Callable[..., list[tuple[Any, Any]]]:
    """A step of the reverse sweep that must give its operands derivatives that are finite."""

    def step(n: Any, g: Any, path: Collection[int] | None) -> list[tuple[Any, Any]]:
        if g is not None and not _finite(_plain(g)):
            name = _called(n, variables(user_frame()))
            raise NonFinite(
                f"backward: the derivative with respect to {name}{_at(n)}{_entry(_first_bad(_plain(g)))} is "
                f"{_plain(g)[_first_bad(_plain(g))]:g} because its finite parts add up to that, or because it was given as the seed"
            )
        try:
            found = contributions(n, g, path)
        except NonFinite as error:
            raise NonFinite(f"in the derivative rule of {_call(n, variables(user_frame()))}{_at(n)}: {error}") from None
        for a, d in found:
            if d is not None and not _finite(_plain(d)):
                raise NonFinite(_rule_cause(n, a, _plain(g), _plain(d), "backward"))
        return found

    return step


def swept(results: list[Any]) -> None:
    """A backward pass over Values is through, youngest result first: who made the first gradient that is not finite?"""
    for n in results:
        for a, d in zip(n.args, n.partials, strict=True):
            if isinstance(a, Node) and d is not None and math.isfinite(n.grad) and not math.isfinite(d * n.grad):
                raise NonFinite(_rule_cause(n, a, n.grad, d * n.grad, "backward"))


def pushed(n: Any, tangents: list[Any], tangent: Any) -> None:
    """Forward mode gave a result its tangent, which must be finite if those of the operands are."""
    if not _finite(_plain(tangent)) and all(t is None or _finite(_plain(t)) for t in tangents):
        names = variables(user_frame())
        bad = _first_bad(_plain(tangent))
        raise NonFinite(
            f"forward mode through {_call(n, names)}{_at(n)}: its tangent{_entry(bad)} = {_plain(tangent)[bad]:g} because "
            f"{_operands(n, [_plain(a) for a in n.args], bad, names)}"
        )


# ---------------------------------------------------------------- numbers


def _plain(a: Any) -> Any:
    return np.asarray(a._data if isinstance(a, Node) else a)


def _finite(x: Any) -> bool:
    return math.isfinite(x) if x.__class__ is float else bool(np.all(np.isfinite(x)))


def _any(question: Any, x: Any) -> bool:
    return bool(np.any(question(x))) if np.asarray(x).dtype.kind == "f" else False


def _first_bad(z: Any) -> tuple[int, ...]:
    """The place of the first entry that is not finite, of nan before inf."""
    z = np.asarray(z)
    bad = np.isnan(z) if _any(np.isnan, z) else ~np.isfinite(z)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), z.shape))


def _is_held(a: Any) -> bool:
    """Is this an array that belongs to the user, and that the graph reads again?"""
    if isinstance(a, Node):
        return a.op is None and not a.active and isinstance(a._data, np.ndarray)
    return isinstance(a, np.ndarray)


def _digest(a: Any) -> int:
    data = a._data if isinstance(a, Node) else a
    return hash((data.shape, data.tobytes()))


# ---------------------------------------------------------------- sentences


def _called(a: Any, names: dict[int, str]) -> str:
    """An operand, by the user's name for it where there is one."""
    name = getattr(a, "name", None) or names.get(id(a))
    if name:
        return str(name)
    if isinstance(a, Node):
        return f"{a.op.name}(…)" if a.op is not None else "an unnamed leaf"
    return "an array" if np.ndim(a) else f"{a:g}"


def _call(n: Any, names: dict[int, str]) -> str:
    return f"{n.op.name}({', '.join(_called(a, names) for a in n.args)})"


def _at(n: Any) -> str:
    return f" (made at {n.line})" if n.line else ""


def _entry(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


def _forward_cause(n: Any, xs: list[Any], came_in: bool) -> str:
    names, bad = variables(user_frame()), _first_bad(n._data)
    text = f"{_call(n, names)}{_entry(bad)} = {np.asarray(n._data)[bad]:g} because {_operands(n, xs, bad, names)}"
    return text + (", which came in as data and was not made by an operation" if came_in else "")


def _rule_cause(n: Any, a: Any, g: Any, d: Any, way: str) -> str:
    names, bad = variables(user_frame()), _first_bad(d)
    cause = _operands(n, [_plain(x) for x in n.args], bad, names) if np.shape(n._data) == np.shape(d) else _largest(n, names)
    at = bad if np.shape(g) == np.shape(d) else ()
    came = f", where the derivative came in as {np.asarray(g)[at]:g}" if np.shape(np.asarray(g)[at]) == () else ""
    return (
        f"{way} through {_call(n, names)}{_at(n)}: the derivative with respect to {_called(a, names)}{_entry(bad)} is "
        f"{np.asarray(d)[bad]:g} because {cause}{came}"
    )


def _operands(n: Any, xs: list[Any], bad: tuple[int, ...], names: dict[int, str]) -> str:
    """The operands' entries behind one entry of a result; of what is not elementwise, the worst entries."""
    if n.op.kind != "elementwise":
        return _largest(n, names)
    parts = []
    for a, x in zip(n.args, xs, strict=True):
        index = tuple(i if size != 1 else 0 for i, size in zip(bad[len(bad) - x.ndim :], x.shape, strict=True))
        number = f"{x[index]:g}"
        if isinstance(a, Node) or np.ndim(a):  # a plain number stands in the call already
            parts.append(f"{_called(a, names)}{_entry(index)} = {number}{_beyond(n.op, x[index]) if len(xs) == 1 else ''}")
    return " and ".join(parts)


def _largest(n: Any, names: dict[int, str]) -> str:
    parts = []
    for a in n.args:
        x = _plain(a)
        if x.dtype.kind == "f" and x.size:
            finite = np.where(np.isnan(x), np.inf, np.abs(x))
            worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(finite)), x.shape))
            parts.append(f"the largest entry of {_called(a, names)} is {x[worst]:g}{' at ' + _entry(worst) if worst else ''}")
    return " and ".join(parts) or "of its operands"


def _beyond(op: Op, x: Any) -> str:
    """Which bound of the op's domain a finite number exceeds, found by halving between it and one inside."""

    def fine(x: Any) -> bool:
        return bool(np.isfinite(op.forward(np.asarray(x, dtype)[()])))

    dtype, bad = x.dtype, float(x)
    inside = [float(np.ravel(args[0])[0]) for args, _ in op.sample(np.random.default_rng(0)) if np.size(args[0])]
    inside = [y for y in (*inside, 1.0) if fine(y)]
    if not inside or not math.isfinite(bad):
        return ""
    good = inside[0]
    for _ in range(1100):  # down to the smallest number there is
        middle = (good + bad) / 2
        if middle in (good, bad):
            break
        good, bad = (middle, bad) if fine(middle) else (good, middle)
    if bad == 0 and x != 0:
        return " ≤ 0" if x < 0 else " ≥ 0"
    return "" if f"{good:.5g}" == f"{x:.5g}" or x == 0 else f" {'>' if x > good else '<'} {good:.5g}"
