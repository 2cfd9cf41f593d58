"""Printing matrix notation as LaTeX.  Vectors are columns; broadcasting is written out with vectors of ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from fractions import Fraction

from ..ops import TABLE
from .expr import COMPARISONS, Number
from .matrix import M, squared, transpose, walk
from .show import is_decimal

SUM, TERM, PRODUCT, ATOM = 0.0, 1.0, 1.5, 2.0

_SPELT = {"lam": r"\lambda", "lambda_": r"\lambda", "eps": r"\epsilon"}
_LIKE_LATIN = {"omicron", "Alpha", "Beta", "Epsilon", "Zeta", "Eta", "Iota", "Kappa", "Mu", "Nu", "Omicron", "Rho", "Tau", "Chi"}
for _code in range(0x391, 0x3CA):
    _letter = re.match(r"GREEK (SMALL|CAPITAL) LETTER (\w+)$", unicodedata.name(chr(_code), ""))
    if _letter is not None:
        _word = _letter[2].lower().replace("lamda", "lambda")
        _word = _word.capitalize() if _letter[1] == "CAPITAL" else _word
        if _word not in _LIKE_LATIN:
            _SPELT[_word] = _SPELT[chr(_code)] = "\\" + _word
_INDICES = "ijklabcdefgh"


def symbol(name: str, bold: bool) -> str:
    """A name: `y2` is a bold y with subscript 2, `lam` and `λ` are lambdas."""
    found = re.fullmatch(r"([^\W\d_]+?)_?(\d+)", name) or re.fullmatch(r"([^\W\d_]+)_(\w*[^\W_])", name)
    base, sub = (found[1], found[2]) if found and name not in _SPELT else (name, "")
    if base in _SPELT:
        text = rf"\boldsymbol{{{_SPELT[base]}}}" if bold else _SPELT[base]
    elif len(base) == 1:
        text = rf"\mathbf{{{_escape(base)}}}" if bold else _escape(base)
    else:
        text = rf"\mathrm{{{_escape(base)}}}"
    if not sub:
        return text
    indices = re.sub(r"(?<=\d)_(?=\d)", ",", sub)
    plain = len(sub) == 1 or re.fullmatch("[0-9,]+", indices)
    return f"{text}_{{{indices}}}" if plain else rf"{text}_{{\mathrm{{{_escape(indices)}}}}}"


def _escape(text: str) -> str:
    return text.replace("_", r"\_")


def numeral(c: Number) -> str:
    """A number; fractions as fractions, decimals as they were written."""
    c = Fraction(c)
    if is_decimal(c):
        return _number_text(repr(float(c)))
    if c.denominator == 1:
        return str(c.numerator)
    return rf"{'-' if c < 0 else ''}\frac{{{abs(c.numerator)}}}{{{c.denominator}}}"


class Latex:
    """Prints trees, given the axes of each name and the name of the loss."""

    def __init__(self, dims: Mapping[str, Sequence[str | None]], root: str) -> None:
        self.dims, self.root = dims, root
        self._symbols: dict[str, str] = {}
        for name in dims:
            text = symbol(name, any(d is not None for d in dims[name]))
            self._symbols[name] = rf"\mathrm{{{_escape(name)}}}" if text in self._symbols.values() else text  # a1 and a_1
        self._turned = False  # inside the transpose of a column that is made of rows

    def gradient(self, name: str) -> str:
        """The symbol of the loss's derivative in a name."""
        return rf"\frac{{\partial {self.name(self.root)}}}{{\partial {self.name(name)}}}"

    def name(self, name: str) -> str:
        """A name, unlike that of any other variable."""
        return self._symbols.get(name) or symbol(name, False)

    def write(self, x: M, prec: float = SUM) -> str:
        """One node, in parentheses if it binds less tightly than `prec`."""
        text, own = getattr(self, "_" + x.op)(x)
        return rf"\left({text}\right)" if own < prec else text

    # ------------------------------------------------------------ leaves

    def _sym(self, x: M) -> tuple[str, float]:
        name = x.args[0]
        if name.startswith("∂"):
            text = self.gradient(name[1:])
            return rf"\left({text}\right)^{{\top}}" if self._is_row(name) and not self._turned else text, ATOM
        if name not in self.dims:
            return symbol(name, False) if name.isidentifier() else _number_text(name), ATOM
        if self._is_row(name) and not self._turned:
            return _power(self.name(name), r"\top"), ATOM
        return self.name(name), ATOM

    def _is_row(self, name: str) -> bool:
        dims = self.dims.get(name, ())
        return len(dims) == 2 and dims[0] is None and dims[1] is not None

    def _num(self, x: M) -> tuple[str, float]:
        return numeral(x.args[0]), SUM if x.args[0] < 0 else ATOM

    def _ones(self, x: M) -> tuple[str, float]:
        return r"\mathbf{1}", ATOM

    def _zeros(self, x: M) -> tuple[str, float]:
        return r"\mathbf{0}", ATOM

    def _row(self, x: M) -> tuple[str, float]:
        return self.write(x.args[0], ATOM), ATOM

    def _column(self, x: M) -> tuple[str, float]:
        return _power(rf"\left({self.write(x.args[0])}\right)", r"\top"), ATOM

    def _eye(self, x: M) -> tuple[str, float]:
        return r"\mathbf{I}", ATOM

    # ------------------------------------------------------------ products

    def _T(self, x: M) -> tuple[str, float]:
        inner = x.args[0]
        if len(inner.ls) == 1 and self._of_rows(inner):
            self._turned = True
            text = getattr(self, "_" + inner.op)(inner)
            self._turned = False
            return text  # type: ignore[no-any-return]
        text = self.write(inner, ATOM)
        return _power(rf"\left({text}\right)" if text.startswith(r"\frac") else text, r"\top"), ATOM

    def _of_rows(self, x: M) -> bool:
        nodes = walk(x)
        if any(y.op not in ("sym", "num", "add", "had", "div", "pow", "fn", "scale", "bc") for y in nodes):
            return False
        return all(self._is_row(y.args[0]) for y in nodes if y.op == "sym" and y.ls)

    def _mm(self, x: M) -> tuple[str, float]:
        return r" \, ".join(self.write(y, PRODUCT if len(x.args) > 1 else SUM) for y in x.args), PRODUCT - 0.1

    def _had(self, x: M) -> tuple[str, float]:
        return (r" \odot " if x.ls else r" \, ").join(self.write(y, PRODUCT) for y in x.args), PRODUCT - 0.2

    def _div(self, x: M) -> tuple[str, float]:
        a, b = x.args
        if not x.ls or a.op == "num":
            return rf"\frac{{{self.write(a)}}}{{{self.write(b)}}}", PRODUCT
        return rf"{self.write(a, PRODUCT)} \oslash {self.write(b, PRODUCT)}", PRODUCT - 0.2

    def _pow(self, x: M) -> tuple[str, float]:
        inner, k = x.args
        if k == Fraction(1, 2):
            if (v := squared(inner)) is not None:
                return rf"\left\| {self.write(v)} \right\|" + ("_F" if len(v.ls) == 2 else ""), ATOM
            return rf"\sqrt{{{self.write(inner)}}}", ATOM
        exponent = numeral(k)
        return _power(self.write(inner, ATOM), rf"\circ {exponent}" if x.ls else exponent), ATOM

    def _raised(self, x: M) -> tuple[str, float]:
        return _power(self.write(x.args[0], ATOM), self.write(x.args[1])), ATOM

    def _diag(self, x: M) -> tuple[str, float]:
        return rf"\mathrm{{diag}}\left({self.write(x.args[0])}\right)", ATOM

    def _diagof(self, x: M) -> tuple[str, float]:
        return rf"\mathrm{{diag}}\left({self.write(x.args[0])}\right)", ATOM

    def _fn(self, x: M) -> tuple[str, float]:
        name, inner = x.args[:2]
        if name in COMPARISONS:
            sign = {">": ">", ">=": r"\ge", "==": "="}[name]
            return rf"\mathbb{{1}}\left[{self.write(inner)} {sign} 0\right]", ATOM
        if name == "heaviside":
            return rf"\mathrm{{H}}_{{1/2}}\left({self.write(inner)}\right)", ATOM
        return self._call(name, inner), ATOM

    def _call(self, name: str, inner: M, axis: str = "") -> str:
        form = TABLE[name].latex
        if form is None:
            return rf"\mathrm{{{_escape(name)}}}{axis}\left({self.write(inner)}\right)"
        return form.format(self.write(inner))

    def _whole(self, x: M) -> tuple[str, float]:
        name, inner = x.args[:2]
        if name == "inv":
            return _power(self.write(inner, ATOM), "-1"), ATOM
        return self._call(name, inner), ATOM

    def _over(self, x: M) -> tuple[str, float]:
        name, inner, labels = x.args
        axes = ",".join(str(i) for i, label in enumerate(inner.ls) if label in labels)
        return self._call(name, inner, rf"_{{\mathrm{{axis}}={axes}}}" if len(labels) < len(inner.ls) else ""), ATOM

    _along = _over

    def _scale(self, x: M) -> tuple[str, float]:
        c, y = x.args
        inner = y.args[0] if y.op == "scale" else None
        if not isinstance(c, M) and isinstance(inner, M) and inner.op == "div" and inner.args[0].op == "num":  # 2 (1 / m) is 2 / m
            c, y = M("div", (M("num", (c * inner.args[0].args[0],), ()), inner.args[1]), ()), y.args[1]
        if isinstance(c, M):
            return rf"{self.write(c, PRODUCT)} \, {self.write(y, PRODUCT if y.op == 'add' else TERM)}", TERM
        if c == -1:
            return "-" + self.write(y, TERM), SUM
        return rf"{numeral(c)} \, {self.write(y, PRODUCT if y.op == 'add' else TERM)}", SUM if c < 0 else TERM

    def _add(self, x: M) -> tuple[str, float]:
        text = ""
        for c, y in x.args:
            part = self._term(abs(c), y, x.ls)
            text += ((" - " if c < 0 else " + ") if text else ("-" if c < 0 else "")) + part
        return text, SUM

    def _term(self, c: Number, y: M, ls: tuple[int, ...]) -> str:
        """A term of a sum; what broadcasts is multiplied by ones."""
        factor = "" if c == 1 else numeral(c) + r" \, "
        if y.op == "num":
            value = numeral(c * y.args[0])
            ones = self._all_ones(ls)
            return ones if value == "1" and ones else value + (r" \, " + ones if ones else "")
        if len(y.ls) == 0 and ls:
            return factor + self.write(y, TERM) + r" \, " + self._all_ones(ls)
        if len(ls) == 2 and len(y.ls) == 1:
            column = y.ls[0] == ls[0]
            row = r"\mathbf{1} \, " + self.write(transpose(y), PRODUCT)
            return factor + (self.write(y, PRODUCT) + r" \, \mathbf{1}^{\top}" if column else row)
        return factor + self.write(y, TERM)

    def _all_ones(self, ls: tuple[int, ...]) -> str:
        row = r"\mathbf{1}^{\top}"
        return ["", row if self._turned else r"\mathbf{1}", r"\mathbf{1} " + row][len(ls)] if len(ls) < 3 else r"\mathbf{1}"

    def _bc(self, x: M) -> tuple[str, float]:
        return getattr(self, "_" + x.args[0].op)(x.args[0])  # type: ignore[no-any-return]

    # ------------------------------------------------------------ sums

    def _sum(self, x: M) -> tuple[str, float]:
        inner = x.args[0]
        if len(inner.ls) == 2 and inner.op == "had" and len(inner.args) == 2:
            return rf"\left\langle {self.write(inner.args[0])}, {self.write(inner.args[1])} \right\rangle", ATOM
        if len(inner.ls) == 2 and (v := squared(x)) is not None:
            return rf"\left\| {self.write(v)} \right\|_F^2", PRODUCT
        return rf"\mathbf{{1}}^{{\top}} {self.write(inner, PRODUCT)}" + (r" \, \mathbf{1}" if len(inner.ls) == 2 else ""), PRODUCT - 0.1

    def _rowsum(self, x: M) -> tuple[str, float]:
        return rf"{self.write(x.args[0], PRODUCT)} \, \mathbf{{1}}", PRODUCT - 0.1

    def _ein(self, x: M) -> tuple[str, float]:
        letters: dict[int, str] = {}
        for label in [*x.ls, *(k for y in x.args for k in y.ls)]:
            letters.setdefault(label, _INDICES[len(letters)] if len(letters) < len(_INDICES) else f"i_{len(letters)}")
        parts = []
        for y in x.args:
            name = self.name(y.args[0]) if y.op == "sym" and y.args[0] in self.dims and not y.args[0].startswith("∂") else None
            text = name if name is not None and "_" not in name else rf"\left[{self.write(y)}\right]"
            parts.append(text + (rf"_{{{' '.join(letters[k] for k in y.ls)}}}" if y.ls else ""))
        summed = [letters[k] for k in letters if k not in x.ls]
        total = rf"\sum_{{{','.join(summed)}}} " if summed else ""
        return total + r" \, ".join(parts), TERM


def _power(text: str, exponent: str) -> str:
    """A superscript; a second one joins the first or sets parentheses, for LaTeX forbids two."""
    if exponent == r"\top" and text.endswith("^{-1}"):
        return text[: -len("^{-1}")] + r"^{-\top}"
    return rf"\left({text}\right)^{{{exponent}}}" if re.search(r"\^(\{[^{}]*\}|.)$", text) else f"{text}^{{{exponent}}}"


def _number_text(name: str) -> str:
    found = re.fullmatch(r"(-?[\d.]+)e([+-]?\d+)", name)
    return rf"{found[1]} \cdot 10^{{{int(found[2])}}}" if found else name.replace("np.inf", r"\infty")
