"""Local derivatives as formulas: the rules of the table, run on operands that write down what is done to them.

A formula is a template, "1 − {z} × {z}", that serves every edge of the same op, shapes and static
arguments: {z} is the result, {0}, {1}, ... are the operands, {g} is the derivative with respect to the
result.  Nothing here is known of any single op.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..ops import Op, where
from ..ops.operand import Operand
from .model import Edge, Graph, Vertex, chosen
from .numbers import short

# How tightly the usual signs bind; others are always put in parentheses.
_STRENGTH = {"+": 4, "−": 4, "×": 6, "÷": 6, "·": 6, "@": 6, "^": 8}
_COMPARISON, _NEGATIVE, _ATOM = 2, 5, 9
_ORDER_MATTERS = ("−", "÷", "^")


@dataclass(frozen=True)
class Formula:
    """How a derivative passes an edge.

    `whole` says that the text contains {g} and is the entire contribution; otherwise the contribution
    is {g} times the text, summed over the axes along which the operand was `broadcast`.
    """

    text: str
    whole: bool = False
    broadcast: bool = False

    def local(self, names: dict[str, str]) -> str:
        """The formula with names in the places of {z}, {0}, {g}, ..."""
        return fill(self.text, names)

    def contribution(self, names: dict[str, str]) -> str:
        """What is added to the operand's gradient."""
        if self.whole:
            return fill(self.text, names)
        if self.text in ("1", "−1"):
            text = names["g"] if self.text == "1" else f"−{names['g']}"
        else:
            text = f"{names['g']} × {_enclosed(self.text, _STRENGTH['×'])}"
        text = fill(text, names)
        return f"sum({text}) over the axes it was spread along" if self.broadcast else text


def fill(text: str, names: dict[str, str]) -> str:
    """Put names in the places of {z}, {0}, ...

    >>> fill("1 − {z} × {z}", {"z": "y1"})
    '1 − y1 × y1'
    """
    return re.sub(r"\{(\w+)\}", lambda m: names.get(m[1], m[0]), text)


class Formulas:
    """The formulas of a graph's edges, each worked out once; edges of one result are best asked for in a row."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._kinds: dict[Any, int] = {}  # results with the same op on the same shapes, constants and static arguments
        self._known: dict[tuple[int, int], Formula | None] = {}
        self._result: _Result | None = None

    def of(self, edge: Edge) -> Formula | None:
        """The formula of an edge; None if the op's rule cannot be run on symbols."""
        result = self._at(edge.dst)
        kind = self._kinds.setdefault(result.kind, len(self._kinds))
        key = (kind, edge.operand)
        if key not in self._known:
            with np.errstate(all="ignore"):
                try:
                    self._known[key] = result.formula(edge.operand)
                except Exception:  # a rule may do what only arrays can; the picture then shows numbers only
                    self._known[key] = None
        return self._known[key]

    def names(self, edge: Edge) -> dict[str, str]:
        """What stands for {z}, {g}, {0}, ... on an edge."""
        return self._at(edge.dst).names

    def _at(self, place: int) -> _Result:
        if self._result is None or self._result.vertex.place != place:
            self._result = _Result(self.graph, place)
        return self._result


class _Result:
    """One result with its operands, ready to run the rules of its op on."""

    def __init__(self, graph: Graph, place: int) -> None:
        self.vertex = v = graph.vertices[place]
        self.sources = [graph.vertices[graph.edges[i].src] for i in graph.inputs[place]]
        plain = tuple(s.data if _is_number(s) else s.shape for s in self.sources)
        self.kind = (v.op, repr(plain), repr(v.kw), v.shape)
        self.names = {str(k): s.label for k, s in enumerate(self.sources)} | {"z": v.label, "g": f"d{graph.root.label}/d{v.label}"}

    @cached_property
    def operands(self) -> list[Any]:
        return [s.data if _is_number(s) else _standing_for(f"{{{k}}}", s) for k, s in enumerate(self.sources)]

    def formula(self, i: int) -> Formula:
        v, op = self.vertex, self.vertex.op
        assert op is not None
        z = _standing_for("{z}", v)
        if op.kind == "elementwise":
            partial = op.partials[i]
            text = _text(partial(z, *self.operands) if callable(partial) else partial or 0)
            return Formula(text, broadcast=self.sources[i].shape != v.shape)
        if not v.shape and not self.sources[i].shape:
            return Formula(_text(op.vjp(i, 1.0, z, *self.operands, **v.kw)))
        seed = Written("{g}", np.arange(1.0, v.data.size + 1).reshape(v.shape))
        return Formula(_text(op.vjp(i, seed, z, *self.operands, **v.kw)), whole=True)


def _standing_for(text: str, v: Vertex) -> Written:
    """An operand under its text.  An array has made-up numbers, distinct and without pattern: what is written must hold for all data
    of its shape, not only where these happen to be symmetric or zero."""
    data = np.asarray(v.data)
    return Written(text, data if not data.shape else np.sqrt(np.arange(2.0, data.size + 2)).reshape(data.shape))


def _is_number(v: Vertex) -> bool:
    return v.kind == "constant" and not v.shape


# ---------------------------------------------------------------- operands that write


class Written(Operand):
    """A number or array with the text of how it was made; `strength` is how tightly its text binds.

    Under the name `_data` NumPy's questions about numbers, such as isfinite, find them.
    """

    def __init__(self, text: str, data: Any, strength: int = _ATOM) -> None:
        self.text, self._data, self.strength = text, data, strength
        self.shape, self.ndim, self.size, self.dtype = data.shape, data.ndim, data.size, data.dtype

    @staticmethod
    def __apply__(op: Op, args: tuple[Any, ...], kw: dict[str, Any]) -> Any:
        if op is where and not isinstance(args[0], Written) and np.all(args[0]) == np.any(args[0]):
            return args[1] if np.all(args[0]) else args[2]  # decided already; rules take `where` for their `if`
        numbers = [a._data if isinstance(a, Written) else a for a in args]
        data = np.asarray(op.forward(*numbers, **kw))
        moved = op.kind == "linear" and isinstance(args[0], Written) and _same_numbers(args[0]._data, data)
        if moved and unicodedata.category(op.symbol[0]) != "Lm":  # a transpose is written also where it moves nothing
            axes = _axes(args[0].shape, data.shape)  # at most, axes of length 1 came or went
            return Written(f"{_operand(args[0], _ATOM)}[{axes}]", data) if axes else Written(args[0].text, data, args[0].strength)
        text, strength = _write(op, args, {} if kw and _same_without(op, numbers, data) else kw)
        return Written(text, data, strength)

    def _compared(self, sign: str, other: Any, answer: Any) -> Written:
        return Written(f"{_operand(self, _COMPARISON + 1)} {sign} {_operand(other, _COMPARISON + 1)}", np.asarray(answer), _COMPARISON)

    def __lt__(self, other: Any) -> Written:
        return self._compared("<", other, self._data < _data(other))

    def __le__(self, other: Any) -> Written:
        return self._compared("≤", other, self._data <= _data(other))

    def __gt__(self, other: Any) -> Written:
        return self._compared(">", other, self._data > _data(other))

    def __ge__(self, other: Any) -> Written:
        return self._compared("≥", other, self._data >= _data(other))

    def __eq__(self, other: Any) -> Written:  # type: ignore[override]
        return self._compared("=", other, self._data == _data(other))

    def __and__(self, other: Any) -> Any:
        if isinstance(other, bool | np.bool_):
            return self if other else False
        return self._compared("and", other, self._data & _data(other))

    __rand__ = __and__

    __hash__ = None  # type: ignore[assignment]


def _axes(shape: tuple[int, ...], to: tuple[int, ...]) -> str:
    """The index that takes an array of one shape to the other, where only axes of length 1 come or go; "" for none.

    >>> _axes((3,), (3, 1)), _axes((1, 3), (3,)), _axes((3,), (3,))
    (':, None', '0, :', '')
    """
    left, parts = list(shape), []
    for n in to:
        while left and left[0] == 1 != n:
            left.pop(0)
            parts.append("0")
        if left and left[0] == n:
            left.pop(0)
            parts.append(":")
        else:
            parts.append("None")
    parts += ["0"] * len(left)
    return ", ".join(parts) if set(parts) - {":"} else ""


def _data(x: Any) -> Any:
    return x._data if isinstance(x, Written) else x


def _same_without(op: Op, numbers: list[Any], data: Any) -> bool:
    """Are the static arguments what the op does without them, as the axes of a matrix's transpose are?"""
    try:
        plain = np.asarray(op.forward(*numbers))
    except Exception:
        return False
    return plain.shape == data.shape and bool(np.array_equal(plain, data))


def _same_numbers(a: Any, b: Any) -> bool:
    return [n for n in a.shape if n != 1] == [n for n in b.shape if n != 1] and np.array_equal(a.ravel(), b.ravel())


def _write(op: Op, args: tuple[Any, ...], kw: dict[str, Any]) -> tuple[str, int]:
    """An op on written operands in the usual notation, as its symbol and number of operands suggest."""
    sign = op.symbol
    if not kw and op.arity == 2 and is_sign(sign):
        return _infix(sign, *args)
    if not kw and op.arity == 1:
        if sign == "−":
            return f"−{_operand(args[0], _NEGATIVE + 1)}", _NEGATIVE
        if unicodedata.category(sign[0]) == "Lm":  # a raised letter, as for the transpose
            return f"{_operand(args[0], _ATOM)}{sign}", _ATOM
        if sign.count("x") == 1 and sign != "x" and not any(c.isalpha() for c in sign.replace("x", "")):  # a pattern: x², |x|, 1/x
            return sign.replace("x", _operand(args[0], _ATOM)), _STRENGTH["÷"] if "/" in sign else _ATOM
    words = [_text(a) for a in args] + [f"{k}={_static(v)}" for k, v in chosen(op, kw).items()]
    return f"{op.name}({', '.join(words)})", _ATOM


def _infix(sign: str, a: Any, b: Any) -> tuple[str, int]:
    left, right = _text(a), _text(b)
    if sign == "×" and "1" in (left, right):
        other = b if left == "1" else a
        return _text(other), other.strength if isinstance(other, Written) else _ATOM
    if sign == "^" and right == "1":
        return left, a.strength if isinstance(a, Written) else _ATOM
    strength = _STRENGTH.get(sign, _COMPARISON)
    tighter = strength + (sign in _ORDER_MATTERS or sign not in _STRENGTH)
    return f"{_operand(a, strength + (sign == '^'))} {sign} {_operand(b, tighter)}", strength


def is_sign(symbol: str) -> bool:
    """Is it one sign of arithmetic, to be written between two operands, rather than a word?"""
    return len(symbol) == 1 and unicodedata.category(symbol)[0] in "SP"


def _text(x: Any) -> str:
    if isinstance(x, Written):
        return x.text
    if x is None:
        return "0"
    if np.ndim(x) == 0:
        return short(float(x))
    return "0" if not np.any(x) else "1" if np.all(np.asarray(x) == 1) else f"array of shape {np.shape(x)}"


def _static(x: Any) -> str:
    return short(x) if isinstance(x, float) else str(x)


def _operand(x: Any, strength: int) -> str:
    text = _text(x)
    weak = x.strength < strength if isinstance(x, Written) else text.startswith("−")
    return f"({text})" if weak else text


def _enclosed(text: str, strength: int) -> str:
    """A whole formula as a factor: in parentheses if it is a sum, a difference or a comparison at its top."""
    depth = 0
    for word in re.findall(r"[()]| \S+ ", text):
        depth += (word == "(") - (word == ")")
        sign = word.strip()
        if depth == 0 and word != ")" and _STRENGTH.get(sign, _COMPARISON) < strength:
            return f"({text})"
    return f"({text})" if text.startswith("−") else text
