"""Printing a formula, as plain mathematics or as NumPy text."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import TABLE
from .formula import Formula

CHOICE, SUM, ENTRYWISE, PRODUCT, SIGN, POWER, ATOM = range(7)
_SIGNS = {"add": " + ", "mul": " ⊙ ", "juxt": " ", "star": " * ", "cdot": " · ", "matmul": " @ "}
_BINDS = {"add": SUM, "neg": SUM, "mul": ENTRYWISE, "juxt": PRODUCT, "star": PRODUCT, "cdot": PRODUCT, "matmul": PRODUCT}
_BINDS |= {"div": PRODUCT, "pow": POWER, "total": SUM, "compare": CHOICE, "same": CHOICE, "cases": CHOICE}


def plain(f: Formula) -> str:
    """The formula in plain mathematics: `(y2 - t) y1^T`."""
    return _Plain().write(f)


def numpy_text(f: Formula) -> str:
    """The formula as NumPy text: `(y2 - t) @ y1.T`."""
    return _Numpy().write(f)


class _Plain:
    """What both prints share, and plain mathematics."""

    signs = _SIGNS
    binds = _BINDS
    turned = "^T"

    def write(self, f: Formula, least: int = CHOICE) -> str:
        text: str = getattr(self, "_" + f.op, self._infix)(f)
        return f"({text})" if self.binds.get(f.op, ATOM) < least else text

    def _infix(self, f: Formula) -> str:
        sign, own = self.signs[f.op], self.binds[f.op]
        return sign.join(self._operand(f, a, own + (k > 0)) for k, a in enumerate(f.args))

    def _operand(self, f: Formula, a: Formula, least: int) -> str:
        """A factor; products of another kind stand in parentheses that nobody needs and everybody reads more easily."""
        mixed = {f.op, a.op} in ({"mul", "matmul"}, {"mul", "juxt"}) and a.args[0].op != "number"
        return self.write(a, ATOM if mixed else least)

    def _add(self, f: Formula) -> str:
        text = ""
        for k, a in enumerate(f.args):
            minus = a.op == "neg" and k > 0
            part = self.write(a.args[0] if minus else a, ENTRYWISE if k else SUM)
            text += (" - " if minus else " + " if k else "") + part
        return text

    def _neg(self, f: Formula) -> str:
        return "-" + self.write(f.args[0], ENTRYWISE)

    def _div(self, f: Formula) -> str:
        return f"{self.write(f.args[0], PRODUCT)} / {self.write(f.args[1], SIGN)}"

    def _pow(self, f: Formula) -> str:
        return f"{self.write(f.args[0], ATOM)}^{self._exponent(f.args[1])}"

    def _exponent(self, f: Formula) -> str:
        return self.write(f) if f.op == "number" else f"({self.write(f)})"

    def _T(self, f: Formula) -> str:
        return self.write(f.args[0], ATOM) + self.turned

    def _number(self, f: Formula) -> str:
        return repr(f.value) if isinstance(f.value, int | float) else "c"

    def _name(self, f: Formula) -> str:
        return str(f.value[0])

    def _ones(self, f: Formula) -> str:
        return "1"

    def _eye(self, f: Formula) -> str:
        return "I"

    def _jacobian(self, f: Formula) -> str:
        return "d{}/d{}".format(*f.value)

    def _filled(self, f: Formula) -> str:
        return f"np.{f.value}(({', '.join(map(self.write, f.args))},))"

    def _length(self, f: Formula) -> str:
        return self.write(f.args[0], ATOM) + (".size" if f.value is None else f".shape[{f.value}]")

    def _index(self, f: Formula) -> str:
        letters = "".join(f.value[0])
        x = f.args[0]
        if x.op == "name" and "/d" in x.value[0]:
            return f"{x.value[0]}_{letters}"
        return f"{self.write(x, ATOM)}_{letters}"

    def _example(self, f: Formula) -> str:
        return f"{self.write(f.args[0], ATOM)}_{''.join(f.value[0])}"

    def _array(self, f: Formula) -> str:
        return f"({self.write(f.args[0])})_{''.join(f.value)}"

    def _entry(self, f: Formula) -> str:
        (of, by), (first, second) = f.args[0].value, f.value
        return f"d{of}{'_' * bool(first)}{''.join(first)}/d{by}{'_' * bool(second)}{''.join(second)}"

    def _entries(self, f: Formula) -> str:
        return self.write(f.args[0])

    def _call(self, f: Formula) -> str:
        name, options = f.value
        if name == "transpose":
            return f"{self.write(f.args[0], ATOM)}.transpose({', '.join(map(str, options[0][1]))})"
        parts = [self.write(a) for a in f.args]
        parts = [repr(options[0][1]), *parts] if name == "einsum" else [*parts, *(f"{k}={v}" for k, v in options)]
        return f"{self._function(name)}({', '.join(parts)})"

    def _function(self, name: str) -> str:
        return name

    def _prime(self, f: Formula) -> str:
        return f"{f.value}'({self.write(f.args[0])})"

    def _total(self, f: Formula) -> str:
        letters, unlike = f.value
        under = ",".join(letters) + "".join(f"≠{b}" for _, b in unlike)
        return f"sum_{under if len(under) == 1 else '{' + under + '}'} {self.write(f.args[0], ENTRYWISE)}"

    def _delta(self, f: Formula) -> str:
        return f"delta_{f.value[0]}{f.value[1]}"

    def _compare(self, f: Formula) -> str:
        return f"{self.write(f.args[0], ENTRYWISE)} {f.value} {self.write(f.args[1], ENTRYWISE)}"

    def _same(self, f: Formula) -> str:
        a, b, equal = f.value
        return f"{a} {'=' if equal else '≠'} {b}"

    def _cases(self, f: Formula) -> str:
        parts = [f"{self.write(a, SUM)} if {self.write(c)}" for a, c in zip(f.args[0::2], f.args[1::2], strict=False)]
        return ", ".join([*parts, *([f"{self.write(f.args[-1], SUM)} otherwise"] if len(f.args) % 2 else [])])

    def _dot(self, f: Formula) -> str:
        return f"sum({' ⊙ '.join(self.write(a, ENTRYWISE + 1) for a in f.args)})"

    def _getitem(self, f: Formula) -> str:
        return f"{self.write(f.args[0], ATOM)}[{', '.join(_place(p) for p in f.value)}]"


class _Numpy(_Plain):
    """NumPy text.  What has no NumPy text, such as a component, is printed as in plain mathematics."""

    signs = _SIGNS | {"mul": " * ", "juxt": " @ ", "cdot": " * ", "star": " * "}
    binds = _BINDS | {"mul": PRODUCT}
    turned = ".T"

    def _infix(self, f: Formula) -> str:
        if f.op == "juxt":
            return self._products(f)
        return super()._infix(f)

    def _products(self, f: Formula) -> str:
        text = self._operand(f, f.args[0], PRODUCT)
        for a, b in zip(f.args, f.args[1:], strict=False):
            text += (" * " if _is_number(a) or _is_number(b) else " @ ") + self._operand(f, b, SIGN)
        return text

    def _eye(self, f: Formula) -> str:
        return f"np.eye({self.write(f.args[0]) if f.args else f.value})" if f.args or f.value else "I"

    def _pow(self, f: Formula) -> str:
        return f"{self.write(f.args[0], ATOM)}**{self.write(f.args[1], SIGN if f.args[1].op == 'number' else ATOM)}"

    def _function(self, name: str) -> str:
        known = getattr(next(iter(TABLE[name].numpy), None), "__name__", name)
        return f"np.{known}" if hasattr(np, known) else f"np.linalg.{known}" if hasattr(np.linalg, known) else name

    def _dot(self, f: Formula) -> str:
        return f"np.sum({' * '.join(self.write(a, SIGN) for a in f.args)})"

    def _compare(self, f: Formula) -> str:
        sign = {"=": "==", "≠": "!=", "≤": "<=", "≥": ">="}.get(f.value, f.value)
        return f"{self.write(f.args[0], ENTRYWISE)} {sign} {self.write(f.args[1], ENTRYWISE)}"

    def _cases(self, f: Formula) -> str:
        rest = self.write(f.args[-1]) if len(f.args) % 2 else "np.nan"
        for a, c in reversed(list(zip(f.args[0::2], f.args[1::2], strict=False))):
            rest = f"np.where({self.write(c)}, {self.write(a)}, {rest})"
        return rest


def _is_number(f: Formula) -> bool:
    return f.op == "number" or (f.op in ("div", "neg", "pow") and all(_is_number(a) for a in f.args))


def _place(part: Any) -> str:
    return ":" if isinstance(part, slice) else repr(part)
