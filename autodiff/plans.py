"""Plans: the reverse sweep over a structure met before, as straight-line code.

A training step records the same graph again and again, with other numbers in it.  When backward has met a
structure a few times, the sweep is run once more, on symbols that write down every call the rules make on
the numbers, and the lines become a function.  It holds no numbers of the graph: it takes them from the graph
it is given, after comparing that with the one it was written from, node by node; where they differ, the
sweep runs as ever.  The calls are the sweep's own, in its own order, so the bits are the same: whether a plan
was used shows in the time alone.  A plan that gives other bits than the sweep is not kept.  Where one raises, or
NumPy has an overflow or another floating-point error to tell of, what it computed is dropped and the sweep runs: errors
and warnings come from the rules' own lines.

Only built-in ops are planned for: their rules depend on nothing but their arguments, while a rule of the
user's may read a number that changes between two calls.  Not here: the sweep and the rules.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context
from typing import Any, NamedTuple, TypeVar

import numpy as np

from . import node as switches
from .node import Node
from .ops import Op, table
from .tensor import Tensor

T = TypeVar("T")
Names = dict[Any, str]
Found = list[tuple[Any, Any]]  # nodes with their derivatives
Plan = Callable[[Tensor, Any], Found | None]

MEETINGS = 3  # so many sweeps over graphs alike, and a plan is written
NODES, ENTRIES = 600, 2**22  # with their operands; larger graphs spend their time in NumPy, and writing takes their memory once more
PLANS = 32  # more structures than that would not come back
ndarray = np.ndarray
_strict = Context()  # entering np.errstate takes ten times as long as running in a copy of this
_strict.run(np.errstate(all="raise").__enter__)


class _Store:
    """The plans by the op of their root, and how often graphs without one were met, by that op and their size."""

    def __init__(self) -> None:
        self.plans: dict[Op, list[tuple[Plan, int]]] = {}  # with the number of their variables
        self.met: Counter[tuple[Op, int]] = Counter()
        self.given_up: set[tuple[Op, int]] = set()
        self.left = PLANS
        self.rules = table.changes


_store = _Store()


def replay(root: Tensor, start: Any, asked: int | None = None) -> Found | None:
    """What the sweep from the root gives, by a plan; None if there is none for this graph, or none with so many variables as asked."""
    store = _store
    if switches.watch is None and store.rules == table.changes:
        for plan, variables in store.plans.get(root.op, ()):
            found = tried(plan, root, start) if asked is None or asked == variables else None
            if found is not None:
                return found
    return None


def tried(plan: Callable[[Tensor, Any], T], root: Tensor, start: Any) -> T | None:
    """What a plan gives; None where it is for other graphs, and where the sweep would raise or warn."""
    try:
        return _strict.copy().run(plan, root, start)
    except Exception:  # whatever it was, the sweep says it better
        return None


def learn(root: Tensor, start: Any, found: Found) -> None:
    """Note that the sweep gave `found`; write a plan once graphs like this one were met often enough."""
    global _store
    if _store.rules != table.changes:
        _store = _Store()
    store, alike = _store, (root.op, len(found))  # if a rule is replaced meanwhile, the plan goes into a store that nobody asks
    store.met[alike] += 1
    if store.met[alike] % MEETINGS or alike in store.given_up or store.left <= 0 or switches.watch is not None:
        return
    if sum(1 + len(n.args) for n, _ in found) > NODES or sum(n.size for n, _ in found) > ENTRIES:
        return
    plan = tried(write, root, start)
    if plan is not None and same(tried(plan, root, start), found):
        store.left -= 1
        store.plans.setdefault(root.op, []).insert(0, (plan, sum(n.op is None for n, _ in found)))
    else:
        store.given_up.add(alike)


def same(planned: Found | None, found: Found) -> bool:
    """Are these the same derivatives of the same nodes, bit by bit?"""
    there = {n.id: g for n, g in planned or ()}
    return len(there) == len(found) and all(n.id in there and _bits(there[n.id]) == _bits(g) for n, g in found)


def _bits(g: Any) -> Any:
    return None if g is None else (g.__class__, g.shape, g.dtype, g.flags.writeable, g.tobytes())


def write(root: Tensor, start: Any) -> Plan:
    """The plan of a graph, from the sweep on symbols; some exception or other where a rule does what symbols cannot follow."""
    script = _Script()
    return script.function(_body(script, root, start, _gather(script, root)))


class _NoPlan(Exception):
    """The graph, or a rule, is none that a plan can be written for."""


# ---------------------------------------------------------------- is it the same structure?


def _gather(script: _Script, root: Tensor) -> Names:
    """Write the lines that compare a graph with this one; what they call the nodes, by id, and the plain operands, by node and place."""
    names: Names = {root.id: "n0"}
    results: list[Any] = [root]
    for n in results:  # it grows meanwhile
        me = names[n.id]
        if n.op.name not in table.RESERVED or not n.active or not _is_plain(tuple(n.kw.values())):
            raise _NoPlan
        count = f" or len({me}.args) != {len(n.args)}" if n.op.arity is None else ""
        script.guard(f"{me}.op is not {script.bind(n.op)}{count}{_other_options(script, me, n)}")
        operands, checks = [], []
        for i, a in enumerate(n.args):
            known = names.get(a.id if isinstance(a, Node) else (n.id, i))
            it = f"n{len(names)}" if known is None else f"again{i}"
            operands.append(it)
            if known is not None:
                checks.append(f"{it} is not {known}")
            elif not isinstance(a, Node):
                names[n.id, i] = it
                checks.append(f"{it}.__class__ is not {script.bind(a.__class__)}{_other_array(script, it, a)}")
            else:
                names[a.id] = it
                if a.op is None:
                    checks.append(f"{it}.op is not None or {it}.active is not {a.active}{_other_array(script, f'{it}._data', a._data)}")
                else:
                    results.append(a)
        script.guards.append(f"{', '.join(operands)}, = {me}.args")
        for differs in checks:
            script.guard(differs)
    # The sweep adds up in the order in which results were made, and judges itself what was assigned after the oldest.
    ages = [f"{names[n.id]}.id" for n in sorted(results, key=lambda n: -n.id)]
    script.guard(f"not {' > '.join(ages)} >= switches.assigned")
    leaves = [f"{name}.id" for key, name in names.items() if not isinstance(key, tuple) and f"{name}.id" not in ages]
    script.guard(f"len({{{', '.join(leaves)}}}) != {len(leaves)}")  # one leaf there may be two here
    return names


def _other_array(script: _Script, it: str, a: Any) -> str:
    return f" or {it}.shape != {a.shape} or {it}.dtype is not {script.bind(a.dtype)}" if a.__class__ is ndarray else ""


def _other_options(script: _Script, me: str, n: Any) -> str:
    if not n.op.statics:
        return ""
    text = f" or len({me}.kw) != {len(n.kw)}"
    for key, x in n.kw.items():
        it = f"{me}.kw[{key!r}]"
        text += f" or {it} is not {x}" if x is None or x.__class__ is bool else f" or not {script.bind(_equal)}({it}, {script.bind(x)})"
    return text


def _is_plain(x: Any) -> bool:
    """Can the static argument be compared with another?"""
    if x.__class__ is slice:
        x = (x.start, x.stop, x.step)
    return all(map(_is_plain, x)) if x.__class__ is tuple else x is None or isinstance(x, int | float | str | np.dtype | type)


def _equal(x: Any, y: Any) -> bool:
    """Are two static arguments the same?  The indices 1 and True are not."""
    if x.__class__ is not y.__class__:
        return False
    return len(x) == len(y) and all(map(_equal, x, y)) if x.__class__ is tuple else bool(x == y)


# ---------------------------------------------------------------- what is computed


def _body(script: _Script, root: Tensor, start: Any, names: Names) -> list[tuple[str, str]]:
    """Write the lines of the sweep; the names of the nodes, with those of their derivatives."""
    from .reverse import rules_on, sweep  # which asks this file for plans

    def symbol(a: Any, place: Any = None) -> _Symbol:
        return script.assign(f"{names[a.id]}._data", (), a._data) if isinstance(a, Node) else _Symbol(script, names[place], a)

    def numbers(n: Any) -> tuple[Any, list[Any]]:
        return symbol(n), [symbol(a, (n.id, i)) for i, a in enumerate(n.args)]

    by_rules = rules_on(numbers)

    def contributions(n: Any, g: Any, path: Any) -> list[tuple[Any, Any]]:
        if g is not None:
            script.freeze(g)
        return [(a, d if d is None else script.array(d)) for a, d in by_rules(n, g, path)]

    found = sweep([(root, _Symbol(script, "g0", start))], None, contributions, lambda g, d: script.array(g + d))
    return [(names[n.id], "None" if g is None else g.name) for n, g in found]


class _Line(NamedTuple):
    """What a line assigns, None if nothing, the text on its right, and the names in that."""

    target: str | None
    text: str
    uses: tuple[str, ...]


class _Script:
    """The source of a plan as it grows, and the objects that its names k0, k1, ... stand for."""

    def __init__(self) -> None:
        self.guards: list[str] = []
        self.lines: list[_Line] = []
        self.bound: dict[int, tuple[str, Any]] = {}

    def guard(self, differs: str) -> None:
        """Leave the graph to the sweep if this is true of it."""
        self.guards.append(f"if {differs}: return None")

    def bind(self, thing: Any) -> str:
        """A name for an object."""
        return self.bound.setdefault(id(thing), (f"k{len(self.bound)}", thing))[0]

    def assign(self, text: str, uses: Sequence[str], value: Any) -> _Symbol:
        """A name for what a text computes."""
        name = f"v{len(self.lines)}"
        self.lines.append(_Line(name, text, tuple(uses)))
        return _Symbol(self, name, value)

    def said(self, x: Any) -> tuple[str, list[str]]:
        """An argument as text, and the names of symbols in it."""
        if isinstance(x, _Symbol):
            return x.name, [x.name]
        if x.__class__ in (tuple, list):
            texts, uses = self.all_said(x)
            return (f"({''.join(t + ', ' for t in texts)})" if x.__class__ is tuple else f"[{', '.join(texts)}]"), uses
        return (repr(x) if x is None or x.__class__ in (bool, int) else self.bind(x)), []

    def all_said(self, xs: Any) -> tuple[list[str], list[str]]:
        """The same of several."""
        pairs = [self.said(x) for x in xs]
        return [text for text, _ in pairs], [name for _, uses in pairs for name in uses]

    def call(self, func: Callable[..., Any], args: Sequence[Any], kw: dict[str, Any]) -> _Symbol:
        """Call a function on the numbers, and write the call down."""
        texts, uses = self.all_said([*args, *kw.values()])
        named = [f"{key}={text}" for key, text in zip(kw, texts[len(args) :], strict=True)]
        value = func(*_numbers(args), **{key: _numbers(x) for key, x in kw.items()})
        return self.assign(f"{self.bind(func)}({', '.join([*texts[: len(args)], *named])})", uses, value)

    def infix(self, sign: str, func: Callable[[Any, Any], Any], x: Any, y: Any) -> _Symbol:
        """The same for Python's own operators, which are not as NumPy's functions are to plain numbers."""
        (left, right), uses = self.all_said((_beside(y, x, sign), _beside(x, y, sign)))
        return self.assign(f"{left} {sign} {right}", uses, func(_numbers(x), _numbers(y)))

    def array(self, x: Any) -> _Symbol:
        """The same as an array; NumPy makes scalars of 0-d ones."""
        if not isinstance(x, _Symbol):
            raise _NoPlan  # an array that every use of the plan would share
        return x if x.value.__class__ is ndarray else self.call(np.asarray, (x,), {})

    def freeze(self, g: _Symbol) -> None:
        """No rule may write into the array from here on, as the sweep sees to."""
        line = _Line(None, f"{g.name}.setflags(False)", (g.name,))  # by position: a keyword takes as long again
        if line not in self.lines:
            self.lines.append(line)

    def function(self, found: list[tuple[str, str]]) -> Plan:
        """The guards, the calls and what they need, and the results, as a function."""
        uses = Counter[str | None](g for _, g in found)
        needed = []
        for line in reversed(self.lines):
            if line.uses or uses[line.target]:  # a call that nothing needs may have an overflow to tell of
                uses.update(line.uses)
                needed.append(line)
        lines, inline = [], dict[str | None, str]()
        for target, text, _ in reversed(needed):
            text = re.sub(r"\bv\d+\b", lambda name: inline.get(name[0], name[0]), text)
            if uses[target] == 1:  # an array that is used once does not outlive its use
                inline[target] = f"({text})"
            else:
                lines.append(f"{target} = {text}" if uses[target] else text)
        results = ", ".join(f"({n}, {inline.get(g, g)})" for n, g in found)
        # A plain array has no `op`, and other options are missing: to test for that would be one more line for each node.
        guards = ["try:", *(f"    {line}" for line in self.guards), "except (AttributeError, KeyError):", "    return None"]
        body = [*guards, *lines, f"return [{results}]"]
        namespace = {"switches": switches, **dict(self.bound.values())}
        exec("def plan(n0, g0):\n    " + "\n    ".join(body), namespace)
        return namespace["plan"]  # type: ignore[no-any-return]


class _Symbol:
    """A number or array that a rule computes with, and its name in the plan."""

    __slots__ = ("script", "name", "value")

    __hash__ = object.__hash__

    def __init__(self, script: _Script, name: str, value: Any) -> None:
        self.script, self.name, self.value = script, name, value

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    T = property(lambda self: self.script.assign(f"{self.name}.T", (self.name,), self.value.T))

    @staticmethod
    def __apply__(op: Op, args: Sequence[Any], kw: dict[str, Any]) -> Any:
        return next(_symbols(args)).script.call(op.forward, args, kw)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kw: Any) -> Any:
        return self.script.call(getattr(ufunc, method), args, kw)

    def __array_function__(self, func: Any, types: Any, args: Any, kw: Any) -> Any:
        return self.script.call(func, args, kw)

    def __getitem__(self, index: Any) -> Any:
        return self.script.call(operator.getitem, (self, index), {})

    def _refused(self, *args: Any) -> Any:
        raise _NoPlan  # what follows would depend on the numbers

    __bool__ = __float__ = __int__ = __index__ = __array__ = _refused


def _symbols(args: Any) -> Iterator[_Symbol]:
    for x in args:
        if isinstance(x, _Symbol):
            yield x
        elif isinstance(x, tuple | list):
            yield from _symbols(x)


def _numbers(x: Any) -> Any:
    """An argument with numbers for symbols."""
    if x.__class__ in (tuple, list):
        return x.__class__(map(_numbers, x))
    return x.value if isinstance(x, _Symbol) else x


def _beside(partner: Any, x: Any, sign: str) -> Any:
    """A plain number as NumPy makes an array of it beside its partner: a ufunc takes 0.4 us longer to do so each time."""
    fits = isinstance(partner, _Symbol) and sign in "+-*/" and x.__class__ in (int, float)
    return np.array(x, partner.dtype) if fits and partner.value.__class__ is ndarray and partner.dtype.kind == "f" else x


def _operators() -> None:
    signs = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "matmul": "@", "and": "&", "or": "|"}
    for name, sign in signs.items():
        func = getattr(operator, f"__{name}__")
        setattr(_Symbol, f"__{name}__", lambda x, y, s=sign, f=func: x.script.infix(s, f, x, y))
        setattr(_Symbol, f"__r{name}__", lambda y, x, s=sign, f=func: y.script.infix(s, f, x, y))
    for name, sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
        func = getattr(operator, name)
        setattr(_Symbol, f"__{name}__", lambda x, y, s=sign, f=func: x.script.infix(s, f, x, y))
    for name in ("neg", "pos", "abs", "invert"):
        func = getattr(operator, f"__{name}__")
        setattr(_Symbol, f"__{name}__", lambda x, f=func: x.script.call(f, (x,), {}))


_operators()
