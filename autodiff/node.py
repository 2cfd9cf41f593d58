"""The node: a number or array that remembers how it was made, and the switches that recording obeys.

A node is evidence.  Readers (backward, forward mode, pictures, checks) take nodes and never change
what was recorded; this file knows none of them, and neither does it know how Value and Tensor
compute.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar, Token
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .errors import NoRule, ReadOnly, StaleGraph

tick = count(1).__next__  # ids and stamps come from one counter, so that they can be compared


class Node:
    """What Value and Tensor share; never made directly.

    Slots: `op` is None for a leaf; `id` is for life and larger than that of every operand; `stamp`
    (leaves only) is renewed when `.data` is assigned.  Subclasses add `args`, the operands in order;
    `kw`, the op's static arguments; and `active`, whether derivatives are taken.  There is no
    `__getattr__`, with one, CPython 3.11
    would read every other attribute the slow way; what few nodes have stands in `_notes`, where set.
    """

    __slots__ = ("_data", "grad", "op", "id", "stamp", "_notes")

    _data: Any
    grad: Any
    op: Any
    _notes: dict[str, Any]
    id: int
    stamp: int

    if TYPE_CHECKING:

        @property
        def args(self) -> tuple[Any, ...]: ...
        @property
        def kw(self) -> dict[str, Any]: ...
        @property
        def active(self) -> bool: ...
        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def data(self) -> Any: ...
        def item(self) -> float: ...
        @staticmethod
        def __apply__(op: Any, args: tuple[Any, ...], kw: dict[str, Any]) -> Any: ...

    def _note(self, key: str, default: Any) -> Any:
        try:
            return self._notes.get(key, default)
        except AttributeError:
            return default

    def _write(self, key: str, note: Any) -> None:
        try:
            self._notes[key] = note
        except AttributeError:
            self._notes = {key: note}

    @property
    def name(self) -> str | None:
        """What pictures, formulas and errors call the node; None if it was given no name."""
        return self._note("name", None)  # type: ignore[no-any-return]

    @name.setter
    def name(self, name: str | None) -> None:
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(f"a name is a text that is not empty, not {name!r}")
        if name is not None or self.name is not None:
            self._write("name", name)

    @property
    def scope(self) -> tuple[str, ...]:
        """The names of the `ad.scope` blocks in which the node was made, outermost first."""
        return self._note("scope", ())  # type: ignore[no-any-return]

    @scope.setter
    def scope(self, scope: tuple[str, ...]) -> None:
        if scope or self.scope:
            self._write("scope", scope)

    @property
    def line(self) -> str | None:
        """Where the node was made, "script.py:12", if that was inside `ad.trace_lines` or `ad.debug`."""
        return self._note("line", None)  # type: ignore[no-any-return]

    __hash__ = object.__hash__

    def named(self, name: str) -> Self:
        """Give the node its name in pictures, formulas and errors, and return the node itself.

        >>> import autodiff as ad
        >>> (ad.Value(2.0) * 3).named("z").name
        'z'
        """
        self.name = name
        return self

    def zero_grad(self) -> None:
        """Forget the gradient: `.grad` is None again, which is what "not computed yet" looks like.

        >>> import autodiff as ad
        >>> w = ad.Value(3.0); (w * w).backward(); w.zero_grad(); w.grad is None
        True
        """
        self.grad = None

    def certificate(self, seed: int = 0) -> Any:
        """The gradient of this node compared with every independent computation of it on this very graph, in ulps.

        Compared are the recorded values with their operands, backward with the gradient recorded as a graph,
        with forward mode, with differences and the complex step, and, where installed, with PyTorch and JAX;
        `seed` draws the directions.  The answer prints itself and has `.ok`, `.text`, `.json` and `.require()`;
        a disagreement is said with the node, what could not be compared with the reason.  Raises StaleGraph,
        and NotConnected for a constant.

        >>> import autodiff as ad
        >>> x = ad.Value(0.5, name="x"); E = ad.exp(x) * x
        >>> E.certificate().ok
        True
        """
        from .checking.certificate import certificate

        return certificate(self, seed)

    def _constant(self) -> Any:
        """The same data without a history; each face has its own."""
        raise AttributeError("a Node is a Value or a Tensor")

    def __reduce_ex__(self, protocol: Any) -> Any:
        from .persistence import reduce_node

        return reduce_node(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from .persistence import deepcopy_node

        return deepcopy_node(self, memo)

    def __copy__(self) -> Any:
        from .persistence import copy_node

        return copy_node(self)


def order(*roots: Node) -> list[Node]:
    """Every node that the roots depend on, operands before results: reachability, then a sort by id."""
    seen = {n.id: n for n in roots}
    stack = list(seen.values())
    while stack:
        for a in stack.pop().args:
            if isinstance(a, Node) and a.id not in seen:
                seen[a.id] = a
                stack.append(a)
    return [seen[i] for i in sorted(seen)]


def restamp(leaf: Any, stamp: int | None = None) -> None:
    """Note that the data of a leaf was assigned, now or when `stamp` says."""
    global assigned
    with lock:
        leaf.stamp = tick() if stamp is None else stamp
        assigned = max(assigned, leaf.stamp)
    if not leaf.active and (other := leaf._note("beside", None)) is not None:
        restamp(other, leaf.stamp)


def twin(constant: Any, make: Callable[[], Any]) -> Any:
    """What stands for a constant beside nodes of the other face: one and the same each time, and stale when the constant is."""
    found = constant._note("beside", None)
    if found is None or found._data != constant._data:
        found = make()
        constant._write("beside", found)
    return found


def stale(nodes: list[Node]) -> tuple[Node, Node] | None:
    """A leaf assigned after one of `nodes` (in order) used it, with that node; None if all values hold."""
    newest = oldest = 0
    for n in nodes:
        if n.op is None:
            if n.stamp > newest:
                newest = n.stamp
        elif not oldest:
            oldest = n.id
    if newest < oldest:
        return None
    for n in nodes:
        for a in n.args:
            if isinstance(a, Node) and a.op is None and a.stamp > n.id:
                return a, n
    return None


def check_fresh(nodes: list[Node]) -> None:
    """Raise StaleGraph, naming the leaf, if a recorded value no longer follows from the leaves."""
    if watch is not None:
        watch.unchanged(nodes)
    found = stale(nodes)
    if found is not None:
        from .naming import label

        leaf, user = found
        raise StaleGraph(
            f"{label(leaf)} was assigned a new value after {label(user)} was computed from its old one, so this graph's "
            f"numbers and its leaves no longer belong together. Run the forward computation again, then ask for the gradient."
        )


# ---------------------------------------------------------------- switches
#
# `special` counts the blocks of every thread that change how nodes are recorded.  While it is 0, the
# usual case, an operation pays one test for all of them; otherwise it calls `settle`, which asks the
# context variables of its own thread.  `debug` alone is of the whole process: it is open in all threads at once.

special = 0
watch: Any = None  # the module debugging while `ad.debug` is open
assigned = 0  # the latest stamp given by an assignment: a graph whose results are all younger is not stale
lock = threading.Lock()
recording: ContextVar[bool] = ContextVar("recording", default=True)
_scope: ContextVar[tuple[str, ...]] = ContextVar("scope", default=())
_tracing: ContextVar[bool] = ContextVar("tracing", default=False)
transforming: ContextVar[bool] = ContextVar("transforming", default=False)
moving: set[int] = set()  # ids of the variables of the transforms that are at work, in all threads


def differentiated(*nodes: Node) -> bool:
    """Are derivatives being taken through these nodes?  A thread that a transform's function started knows by the graph alone."""
    return transforming.get() or (bool(moving) and not moving.isdisjoint(n.id for n in order(*nodes)))


def mark(node: Any) -> None:
    """Write on a node the scope in which, and inside `trace_lines` or `debug` the source line at which, it was made."""
    scope = _scope.get()
    if scope:
        node._write("scope", scope)
    if watch is not None or _tracing.get():
        from .naming import user_line

        node._write("line", user_line())


def settle(node: Any) -> Any:
    """The last step of recording while some block is open: look at the result, mark the scope, or drop the history."""
    if watch is not None:
        watch.made(node)
    if not recording.get():
        return node._constant()
    mark(node)
    return node


def assigned_result(node: Any) -> ReadOnly:
    """The error for assigning the data of what was computed."""
    return ReadOnly(
        f"the data of a result ({node.op.name}) follows from its operands and cannot be assigned; assign the leaves and compute again"
    )


def rebound(node: Any) -> Any:
    """The left side of `node -= x`, which binds the name anew; refused where a leaf's update was surely meant."""
    if node.op is None and node.active and not recording.get():
        from .naming import label

        name = label(node) if node.name else "p"
        raise NoRule(
            f"`{name} -= ...` under ad.no_record() would bind the name to a new constant and leave the variable as it was. "
            f"To update the variable write `{name}.data -= ...`"
        )
    return node


class Block:
    """A `with` block of this thread that sets one context variable to a value."""

    def __init__(self, variable: ContextVar[Any], value: Any) -> None:
        self._variable, self._value = variable, value
        self._tokens: list[Token[Any]] = []

    def _entered(self) -> Any:
        return self._value

    def __enter__(self) -> None:
        global special
        with lock:
            special += 1
        self._tokens.append(self._variable.set(self._entered()))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global special
        self._variable.reset(self._tokens.pop())
        with lock:
            special -= 1


class scope(Block):
    """Group the nodes recorded inside, in this thread, under a name that pictures show as a box.

    >>> import autodiff as ad
    >>> with ad.scope("layer1"):
    ...     y = ad.Value(2.0) * 3
    >>> y.scope
    ('layer1',)
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"a scope's name is a text that is not empty, not {name!r}")
        super().__init__(_scope, name)

    def _entered(self) -> tuple[str, ...]:
        return (*_scope.get(), self._value)


class trace_lines(Block):
    """Remember at which source line each node is made, in this thread, for pictures to show.

    It takes a look at the stack per node, so recording is a few times slower inside.

    >>> import autodiff as ad
    >>> with ad.trace_lines():
    ...     y = ad.Value(2.0) * 3
    >>> y.line is not None, (y + 1).line
    (True, None)
    """

    def __init__(self) -> None:
        super().__init__(_tracing, True)


class no_record(Block):
    """Compute without recording, in this thread: results inside are constants.

    >>> import autodiff as ad
    >>> w = ad.Value(2.0)
    >>> with ad.no_record():
    ...     y = w * 3
    >>> y.active
    False
    """

    def __init__(self) -> None:
        super().__init__(recording, False)
