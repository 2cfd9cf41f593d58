"""Printing matrix notation as LaTeX.  Vectors are columns; broadcasting is written out with vectors of ones.

What has three axes or more, or is made of that, is written by its entries: the array of S_ikj is `\\left[ S_{i k j} \\right]_{i j k}`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, count
from typing import Any

from ..ops import TABLE
from .expr import Number
from .matrix import ONE, ZERO, M, _flat, facing, is_sum, is_upstream, scaled, squared, walk, with_ones
from .show import numeral

SUM, TERM, PRODUCT, ATOM = 0.0, 1.0, 1.5, 2.0

_GREEK = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega
Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"""
_SPELT = {"lam": r"\lambda", "lambda_": r"\lambda", "eps": r"\epsilon"}
for _name in _GREEK.split():
    _kind = "SMALL" if _name.islower() else "CAPITAL"
    _SPELT[_name] = _SPELT[unicodedata.lookup(f"GREEK {_kind} LETTER {_name.replace('mbd', 'md')}")] = "\\" + _name
_INDICES = "ijklabcdefghopqrstuvwxyz"
_FORMS = {
    ">": r"\mathbb{{1}}\left[{0} > 0\right]",
    ">=": r"\mathbb{{1}}\left[{0} \ge 0\right]",
    "==": r"\mathbb{{1}}\left[{0} = 0\right]",
    "heaviside": r"\mathrm{{H}}_{{1/2}}\left({0}\right)",
}
_BOLD = {"ones": r"\mathbf{1}", "zeros": r"\mathbf{0}", "eye": r"\mathbf{I}"}


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


def _number(c: Number | str) -> str:
    """A number; fractions as fractions, decimals as they were written."""
    text = re.sub(r"(\d+)/(\d+)", r"\\frac{\1}{\2}", c if isinstance(c, str) else numeral(c, halves=True))
    return re.sub(r"e\+?(-?)0*(\d+)$", r" \\cdot 10^{\1\2}", text).replace("np.inf", r"\infty")


class Latex:
    """Prints trees, given the axes of each name and that of the loss; gradients above of these ranks are transposed."""

    def __init__(self, dims: Mapping[str, Sequence[str | None]], root: str, ranks: Sequence[int] = ()) -> None:
        self.dims, self.root, self.ranks = dims, root, ranks
        self._symbols: dict[str, str] = {}
        for name in dims:
            text = symbol(name, any(d is not None for d in dims[name]))
            self._symbols[name] = rf"\mathrm{{{_escape(name)}}}" if text in self._symbols.values() else text  # a1 and a_1
        self._turned = False  # inside the transpose of what is made of rows
        self._letters: Iterator[str] | None = None  # those not yet used as indices, where indices are written

    def gradient(self, name: str) -> str:
        """The symbol of the loss's derivative in a name."""
        return rf"\frac{{\partial {self.name(self.root)}}}{{\partial {self.name(name)}}}"

    def name(self, name: str) -> str:
        """A name, unlike that of any other variable."""
        return self._symbols.get(name) or symbol(name, False)

    def write(self, x: M, prec: float = SUM) -> str:
        """One node, in parentheses if it binds less tightly than `prec`."""
        text, own = self._indexed(x) if _needs_indices(x) else getattr(self, "_" + x.op)(x)
        return rf"\left({text}\right)" if own < prec else text

    # ------------------------------------------------------------ index notation

    def _indexed(self, x: M) -> tuple[str, float]:
        """The array of its entries, each index and summed label with a letter of its own."""
        outer, taken = self._letters, {*self._symbols.values(), *chain(*self.dims.values())}
        self._letters = outer or chain((c for c in _INDICES if c not in taken), (f"i_{{{n}}}" for n in count(1)))
        at = self._lettered(x.ls if len(x.ls) < 3 else sorted(x.ls))
        y = self._entry(x, [at[k] for k in x.ls])
        text, own = getattr(self, "_" + y.op)(y)
        self._letters = outer
        return (_placed(text, at.values()), ATOM) if at else (text, own)

    def _lettered(self, ls: Iterable[int]) -> dict[int, str]:
        """Labels with letters not yet used."""
        return dict(zip(dict.fromkeys(ls), self._letters or (), strict=False))

    def _entry(self, x: M, places: Sequence[str]) -> M:
        """What stands at these places, as a tree of numbers."""
        at = dict(zip(x.ls, places, strict=True))
        match x.op:
            case "ones" | "zeros":
                return ONE if x.op == "ones" else ZERO
            case "eye":
                return ONE if places[0] == places[1] else _text(_indices(r"\delta", places))
            case "sym":
                return self._name_at(x, places)
            case "T":
                return self._entry(x.args[0], places[::-1])
            case "whole":
                return _text(_placed(self._whole(x)[0], places) if places else self._whole(x)[0])
            case "diag":
                if len(places) == 1:
                    return self._entry(x.args[0], [*places, *places])
                parts = _flat("had", x.args)  # each has one of the two labels
                return self._product([], [self._entry(M("eye", (), x.ls), places), *(self._entry(y, places[: len(y.ls)]) for y in parts)])
            case "mm":
                return self._chain(x, places)
            case "ein":
                return self._summed(x.args, at)
            case "fn" if x.args[2]:
                return self._taken(x, places)
        return _elementwise(x.op, self._at(x.args, at))

    def _at(self, x: Any, at: Mapping[int, str]) -> Any:
        """The entries of all trees in x, at the letters of their labels."""
        if isinstance(x, M):
            return self._entry(x, [at[k] for k in x.ls])
        return tuple(self._at(y, at) for y in x) if isinstance(x, tuple) else x

    def _name_at(self, x: M, places: Sequence[str]) -> M:
        """An entry of what has a name; a gradient may stand for its transpose."""
        if not is_upstream(x):
            text = self.name(x.args[0])
            return x if not places else _text(_placed(text, places) if "_" in text else _indices(text, places))
        text = self.gradient(x.args[0][1:])
        return _text(_placed(text, places[::-1] if len(places) in self.ranks else places) if places else text)

    def _summed(self, factors: Sequence[M], at: Mapping[int, str]) -> M:
        """A product, summed over the labels that have no letter yet."""
        bound = self._lettered(k for y in factors for k in y.ls if k not in at)
        return self._product(bound.values(), self._at(tuple(factors), {**at, **bound}))

    def _product(self, letters: Collection[str], factors: Sequence[M]) -> M:
        """A product of numbers, summed over these letters."""
        x = _elementwise("had", factors)
        return _text(rf"\sum_{{{','.join(letters)}}} {self.write(x, TERM)}", TERM) if letters else x

    def _chain(self, x: M, places: Sequence[str]) -> M:
        """A product of matrices, where neighbours share an index, and a diagonal one has the same on both sides."""
        diagonal = any(y.op != "diag" for y in x.args)
        opened = first = len(x.ls) == 2 or (len(x.ls) == 1 and len(x.args[0].ls) == 2)
        k, joints = 0, []
        for y in x.args:
            following = k + (not (y.op == "diag" and diagonal) if len(y.ls) == 2 else opened)
            joints.append((k, following)[: len(y.ls)])
            opened, k = opened != (len(y.ls) == 1), following
        letters = ({0: places[0]} if first else {}) | ({k: places[-1]} if opened else {})
        bound = self._lettered(k for ks in joints for k in ks if k not in letters)
        letters |= bound
        return self._product(bound.values(), [self._entry(y, [letters[k] for k in ks]) for y, ks in zip(x.args, joints, strict=True)])

    def _taken(self, x: M, places: Sequence[str]) -> M:
        """An entry of what a function makes of many, named by their indices: a sum, a maximum, a softmax."""
        name, inner, labels = x.args
        at = dict(zip(x.ls, places, strict=True))
        if name == "sum":
            return self._summed([inner], at)
        if len(set(places)) < len(places) and set(labels) <= at.keys():
            return _text(_placed(self._indexed(x)[0], places))  # on a diagonal
        at |= self._lettered(k for k in labels if k not in at)
        body = self.write(self._at(inner, at))
        return _text(_indices(rf"\mathrm{{{_escape(name)}}}", [at[k] for k in labels]) + rf"\left({body}\right)")

    def _text(self, x: M) -> tuple[str, float]:
        return x.args[0], x.args[1]

    # ------------------------------------------------------------ leaves

    def _sym(self, x: M) -> tuple[str, float]:
        name = x.args[0]
        if is_upstream(x):
            text = self.gradient(name[1:])
        elif name in self.dims or name.isidentifier():
            text = self.name(name)
        else:
            text = _number(name)
        return _transposed(text) if self._is_row(x) and not self._turned else text, ATOM

    def _is_row(self, x: M) -> bool:
        """Does its name stand for the transpose of what it is in the tree?"""
        dims = self.dims.get(x.args[0], ())
        return (len(dims) == 2 and len(x.ls) == 1 and dims[0] is None) != (is_upstream(x) and len(x.ls) in self.ranks)

    def _num(self, x: M) -> tuple[str, float]:
        return _number(x.args[0]), SUM if x.args[0] < 0 else ATOM

    def _ones(self, x: M) -> tuple[str, float]:
        return _transposed(_BOLD[x.op]) if self._turned and len(x.ls) == 1 else _BOLD[x.op], ATOM

    _zeros = _eye = _ones

    # ------------------------------------------------------------ products

    def _T(self, x: M) -> tuple[str, float]:
        inner = x.args[0]
        if not self._of_rows(inner):
            return _transposed(self.write(inner, ATOM)), ATOM
        self._turned = True
        text, own = getattr(self, "_" + inner.op)(inner)
        self._turned = False
        return text, own

    def _of_rows(self, x: M) -> bool:
        simple = ("sym", "num", "add", "had", "div", "pow", "fn", "scale")
        return all(self._is_row(y) if y.op == "sym" and y.ls else y.op in simple and not is_sum(y) for y in walk(x))

    def _mm(self, x: M) -> tuple[str, float]:
        return r" \, ".join(self.write(y, PRODUCT) for y in x.args), PRODUCT - 0.1

    def _had(self, x: M) -> tuple[str, float]:
        return (r" \odot " if x.ls else r" \, ").join(self.write(y, PRODUCT) for y in x.args), PRODUCT - 0.2

    def _div(self, x: M) -> tuple[str, float]:
        a, b = x.args
        if a.op == "num" and _number(a.args[0]).startswith(r"\frac"):  # 1 / (2 b) and not (1/2) / b
            p, q = Fraction(a.args[0]).as_integer_ratio()
            a, b = M("num", (p,), ()), scaled(q, b)
        if not x.ls or a.op == "num":
            return rf"\frac{{{self.write(a)}}}{{{self.write(b)}}}", PRODUCT
        return rf"{self.write(a, PRODUCT)} \oslash {self.write(b, PRODUCT)}", PRODUCT - 0.2

    def _pow(self, x: M) -> tuple[str, float]:
        inner, exponent = x.args
        if exponent == Fraction(1, 2):
            if (v := squared(inner)) is not None:
                return rf"\left\| {self.write(v)} \right\|" + ("_F" if len(v.ls) == 2 else ""), ATOM
            return rf"\sqrt{{{self.write(inner)}}}", ATOM
        if isinstance(exponent, M):
            own = dict.fromkeys(x.ls, "")
            inner, exponent = with_ones(inner, own), with_ones(exponent, own) if exponent.ls else exponent
            above = self.write(exponent, ATOM if own else SUM)
        else:
            above = _number(exponent)
        return _power(self.write(inner, ATOM), (r"\circ " if x.ls else "") + above), ATOM

    def _scale(self, x: M) -> tuple[str, float]:
        c, y = x.args
        sign = "-" if not isinstance(c, M) and c < 0 else ""
        c = c if isinstance(c, M) else M("num", (abs(c),), ())
        if c.op == "num" and y.op == "scale" and isinstance(y.args[0], M) and y.args[0].op == "div" and y.args[0].args[0] == ONE:
            c, y = scaled(c.args[0], y.args[0]), y.args[1]  # 2 / m
        factor = "" if c == ONE else self.write(c, PRODUCT) + r" \, "
        return sign + factor + self.write(y, TERM), SUM if sign else TERM

    def _add(self, x: M) -> tuple[str, float]:
        """A sum; what broadcasts is multiplied by ones."""
        text = ""
        for c, y in x.args:
            part = self.write(scaled(abs(c), with_ones(y, dict.fromkeys(x.ls, ""))), TERM)
            text += ((" - " if c < 0 else " + ") if text else ("-" if c < 0 else "")) + part
        return text, SUM

    # ------------------------------------------------------------ functions and sums

    def _diag(self, x: M) -> tuple[str, float]:
        return rf"\mathrm{{diag}}\left({self.write(x.args[0])}\right)", ATOM

    def _fn(self, x: M) -> tuple[str, float]:
        name, inner, labels = x.args
        if name == "sum":
            return self._sum(x)
        form = _FORMS.get(name) or TABLE[name].latex
        if form is not None:
            return form.format(self.write(inner)), ATOM
        axes = ",".join(str(i) for i, k in enumerate(inner.ls) if k in labels) if len(labels) < len(inner.ls) else ""
        subscript = rf"_{{\mathrm{{axis}}={axes}}}" if axes else ""
        return rf"\mathrm{{{_escape(name)}}}{subscript}\left({self.write(inner)}\right)", ATOM

    def _whole(self, x: M) -> tuple[str, float]:
        name, inner = x.args[:2]
        return (_power(self.write(inner, ATOM), "-1"), ATOM) if name == "inv" else self._fn(M("fn", (name, inner, ()), x.ls))

    def _sum(self, x: M) -> tuple[str, float]:
        inner = x.args[1]
        if x.ls:
            return rf"{self.write(facing(inner, (*x.ls, *x.args[2])), PRODUCT)} \, \mathbf{{1}}", PRODUCT - 0.1
        if len(inner.ls) == 2 and inner.op == "had" and len(inner.args) == 2:
            return rf"\left\langle {self.write(inner.args[0])}, {self.write(inner.args[1])} \right\rangle", ATOM
        if len(inner.ls) == 2 and (v := squared(x)) is not None:
            return rf"\left\| {self.write(v)} \right\|_F^2", PRODUCT
        return rf"\mathbf{{1}}^{{\top}} {self.write(inner, PRODUCT)}" + (r" \, \mathbf{1}" if len(inner.ls) == 2 else ""), PRODUCT - 0.1


def _needs_indices(x: M) -> bool:
    """Has it no matrix notation?  A name of three axes is one as it is."""
    named = x.op == "sym" and list(x.ls) == sorted(x.ls)
    return x.op == "ein" or (not named and any(len(y.ls) > 2 for y in (x, *_parts(x.args))))


def _parts(x: Any) -> list[M]:
    """The trees that a node is made of."""
    return [x] if isinstance(x, M) else [y for part in x for y in _parts(part)] if isinstance(x, tuple) else []


def _text(text: str, prec: float = ATOM) -> M:
    return M("text", (text, prec), ())


def _indices(text: str, places: Iterable[str]) -> str:
    return f"{text}_{{{' '.join(places)}}}"


def _placed(text: str, places: Iterable[str]) -> str:
    return _indices(rf"\left[{text}\right]", places)


def _elementwise(op: str, args: Any) -> M:
    """An operation on numbers; products leave ones out."""
    if op == "had":
        factors = [y for y in _flat("had", args) if y != ONE]
        return M("had", tuple(factors), ()) if len(factors) > 1 else factors[0] if factors else ONE
    if op == "scale":
        return args[0] if args[1] == ONE and isinstance(args[0], M) else scaled(*args)
    return M(op, args, ())


def _transposed(text: str) -> str:
    return _power(rf"\left({text}\right)" if text.startswith(r"\frac") else text, r"\top")


def _power(text: str, exponent: str) -> str:
    """A superscript; a second one joins the first or sets parentheses, for LaTeX forbids two."""
    if exponent == r"\top" and text.endswith("^{-1}"):
        return text[: -len("^{-1}")] + r"^{-\top}"
    flat, changed = text, 1
    while changed:
        flat, changed = re.subn(r"\{[^{}]*\}", ".", flat)
    return rf"\left({text}\right)^{{{exponent}}}" if re.search(r"\^.$", flat) else f"{text}^{{{exponent}}}"
