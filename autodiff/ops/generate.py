"""Write autodiff/value_ops.py, the operators of Value, from the table of ops: `make ops`.

Each op's rule is run on text: the very function that backward runs on arrays returns source code when
its operands are `Text`.  The output is committed, reads like hand-written code, and a test compares it
with what this file makes.
"""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from .operand import Operand
from .table import TABLE, Op

TARGET = Path(__file__).parent.parent / "value_ops.py"

_DUNDERS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "truediv",
    "pow": "pow",
    "neg": "neg",
    "identity": "pos",
    "abs": "abs",
    "mod": "mod",
}

_HEADER = '''"""The operators of Value.  Generated from the table of ops by `make ops`; edit the table, not this file.

Every operator computes the number, stores the local derivatives and the operands, and is done:
backward multiplies along.  An operand that is neither a Value nor a plain number, and arithmetic that
Python refuses where IEEE gives inf or nan, take the long way through `__apply__`.
"""

from __future__ import annotations

{imports}
from math import pow as power
from typing import Any

from . import node as switches
from .node import settle, tick
from .ops import TABLE
from .value import ValueBase

'''


class Text(Operand):
    """A piece of source code that rules can be run on."""

    def __init__(self, source: str) -> None:
        self.source = source

    @staticmethod
    def __apply__(op: Op, args: tuple[Any, ...], kw: dict[str, Any]) -> Text:
        if op.scalar is None:
            raise TypeError(f"{op.name} has no source text on floats")
        return Text("(" + op.scalar.format(*(_source(a) for a in args)) + ")")

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kw: Any) -> Any:
        return Text(f"isfinite({self.source})") if ufunc is np.isfinite else super().__array_ufunc__(ufunc, method, *args, **kw)

    def _compare(self, sign: str, other: Any) -> Text:
        return Text(f"({self.source} {sign} {_source(other)})")

    def __lt__(self, other: Any) -> Text:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Text:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Text:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Text:
        return self._compare(">=", other)

    def __eq__(self, other: Any) -> Text:  # type: ignore[override]
        return self._compare("==", other)

    def __and__(self, other: Any) -> Text:
        return self._compare("and", other)


def _source(x: Any) -> str:
    return x.source if isinstance(x, Text) else repr(x)


def _tidy(source: str) -> str:
    """The same expression without superfluous parentheses; a comparison becomes 1.0 or 0.0."""
    tree = ast.parse(source, mode="eval")
    text = ast.unparse(tree)
    return f"1.0 if {text} else 0.0" if isinstance(tree.body, ast.Compare) else text


def _partial(op: Op, i: int) -> str:
    partial, names = op.partials[i], [Text("x"), Text("y")][: len(op.partials)]
    if callable(partial):
        return _tidy(_source(partial(Text("z"), *names)))
    return repr(float(partial or 0))


def _body(op: Op, operands: list[str], moving: list[int], raw: list[str]) -> str:
    """The lines that record `op` when the operands `moving` are Values and the others plain numbers."""
    names = ["x", "y"][: len(operands)]
    template = op.scalar or ""
    chosen = isinstance(ast.parse(template.format(*names), mode="eval").body, ast.IfExp)  # may be the number itself
    number = "float({})" if chosen else "{}"
    loads = "; ".join(
        f"{n} = {o}._data" if i in moving else f"{n} = {number.format(o)}" for i, (n, o) in enumerate(zip(names, operands, strict=True))
    )
    steps = [f"z = {_tidy(template.format(*names))}"]
    partials = {i: _partial(op, i) for i in moving}
    slots = []
    for slot, i in zip(("da", "db"), moving, strict=False):
        if partials[i].isidentifier() or partials[i] in ("1.0", "-1.0", "0.0"):
            slots.append(f"out.{slot} = {partials[i]}")
        else:
            steps.append(f"{slot} = {partials[i]}")
            slots.append(f"out.{slot} = {slot}")
    lines = [loads]
    if any(c in step for step in steps for c in ("(", "/", "%", "**")):
        lines += ["try:", *(f"    {step}" for step in steps), "except (ArithmeticError, ValueError):"]
        lines += [f"    return self.__apply__({op.name.upper()}, ({', '.join(operands)},), {{}})"]
    else:
        lines += steps
    stored = [f"out.a = {operands[moving[0]]}", f"out.b = {operands[moving[1]] if len(moving) > 1 else None}"]
    lines += ["out = new(Value)", "out._data = z", "out.grad = None", f"out.op = {op.name.upper()}", *stored, *slots]
    lines += raw
    lines += ["out.mark = 0", "out.id = tick()", "return settle(out) if switches.special else out"]
    return "\n".join(lines)


def _indent(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())


def _long_way(op: Op, operands: str) -> str:
    return f"        return self.__apply__({op.name.upper()}, ({operands}), {{}})\n"


def _method(op: Op) -> str:
    name = f"__{_DUNDERS[op.name]}__" if op.name in _DUNDERS else op.name
    if None in op.partials:
        return f"    def {name}(self) -> Any:\n" + _long_way(op, "self,")
    if len(op.partials) == 1:
        return f"    def {name}(self) -> Any:\n{_indent(_body(op, ['self'], [0], ['out.raw = None']), 8)}\n"
    number = "other.__class__ is float or other.__class__ is int"
    text = f"    def {name}(self, other: Any) -> Any:\n"
    text += f"        if other.__class__ is Value:\n{_indent(_body(op, ['self', 'other'], [0, 1], []), 12)}\n"
    text += f"        if {number}:\n{_indent(_body(op, ['self', 'other'], [0], ['out.raw = other', 'out.db = 0']), 12)}\n"
    text += _long_way(op, "self, other")
    if op.name in _DUNDERS:
        text += f"\n    def __r{_DUNDERS[op.name]}__(self, other: Any) -> Any:\n"
        text += f"        if {number}:\n{_indent(_body(op, ['other', 'self'], [1], ['out.raw = other', 'out.db = 1']), 12)}\n"
        text += _long_way(op, "other, self")
    return text


def source() -> str:
    """The text of value_ops.py."""
    ops = [op for op in TABLE.values() if op.kind == "elementwise" and op.scalar is not None]
    constants = "\n".join(f'{op.name.upper()} = TABLE["{op.name}"]' for op in ops)
    text = constants + "\n\nnew = object.__new__\n\n\n"
    text += 'class Value(ValueBase):\n    """One number that remembers how it was made; see the README for a tour.\n\n'
    text += "    >>> import autodiff as ad\n    >>> x = ad.Value(2.0); y = x * x + 1; y.backward(); x.grad\n    4.0\n"
    text += '    """\n\n    __slots__ = ()\n\n'
    text += "\n".join(_method(op) for op in ops)
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)} & set(dir(math))
    used = sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
    return _HEADER.format(imports=f"from math import {', '.join(used)}") + text


if __name__ == "__main__":
    TARGET.write_text(source())
