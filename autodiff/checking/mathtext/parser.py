"""From tokens to formulas: one grammar for NumPy text, plain mathematics and LaTeX.

Products without a sign, `*`, `@` and `/` bind alike, from the left; the entrywise product binds less tightly, as in
`W^T d ⊙ y`, where the matrix product comes first; signs come last.  Nothing is evaluated, no attribute is looked up,
and only functions of the op table are known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from itertools import takewhile
from typing import Any, TypeVar, cast

import numpy as np

from ...errors import BadFormula, NotRead
from ...ops import TABLE
from .formula import Formula
from .names import GREEK, Names
from .tokens import WORDS, Token, problem, tokens

NESTING = 40
_METHODS = ("sum", "mean", "max", "min", "transpose", "dot", "reshape", "ravel", "flatten")
# The ops of the table that formulas may call, by their own names, and what else these are called.
_CALLED = """exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh erf erfc sigmoid
    relu softplus gelu sqrt cbrt square abs sign reciprocal maximum minimum hypot clip where softmax log_softmax logsumexp sum mean max min
    diag trace inv det logdet solve norm outer dot matmul"""
FUNCTIONS = {name: name for name in _CALLED.split()} | {
    **dict.fromkeys(("σ", "sigma", "logistic"), "sigmoid"),
    **dict.fromkeys(("Diag", "diagflat"), "diag"),
    **dict.fromkeys(("fabs", "absolute"), "abs"),
    "ln": "log",
    "tr": "trace",
    "sgn": "sign",
    "logsoftmax": "log_softmax",
    "ReLU": "relu",
    "multiply": "mul",
    "power": "pow",
    "divide": "div",
    "add": "add",
    "subtract": "sub",
    "sech": "sech",
    "heaviside": "heaviside",
}
_LETTERS = {*GREEK.values(), "varepsilon", "varphi", "ell"}
_OPTIONS = ("axis", "keepdims")
_PYTHON = re.compile(
    r"@|\*\*|\.(?:T|shape|size)\b|\bnp\.|\.(?:sum|mean|max|min|dot|transpose|reshape|ravel|flatten)\(|\blen\(|\b(?:axis|keepdims)\s*="
)


_Method = TypeVar("_Method", bound=Callable[..., Any])
_ZERO, _ONE = Formula("number", value=0), Formula("number", value=1)
_SEVERAL = re.compile(r"\(\s*-?\d(?:\s*,\s*-?\d)+\s*\)")  # axes
_COMPARISONS = ("=", "==", "≠", "<", ">", "≤", "≥")


def _nested(method: _Method) -> _Method:
    """Bound how deep the methods that call each other go."""

    @wraps(method)
    def bounded(self: Parser, *args: Any) -> Any:
        self.depth += 1
        if self.depth > NESTING:
            raise self.error(f"nested more than {NESTING} deep")
        try:
            return method(self, *args)
        finally:
            self.depth -= 1

    return cast(_Method, bounded)


class Parser:
    """The state of reading one text."""

    def __init__(self, text: str, names: Names) -> None:
        self.text, self.names = text, names
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0
        self.bars = 0
        self.numpy = _PYTHON.search(text) is not None
        self.math = self.mathematical(0)

    def mathematical(self, start: int) -> bool:
        """Is the text from there on mathematics, by its signs?"""
        return "\\" in self.text[start:] or "^" in self.text[start:]

    # ------------------------------------------------------------ tokens

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def ahead(self, k: int) -> Token:
        return self.tokens[min(self.at + k, len(self.tokens) - 1)]

    def sees(self, *signs: str) -> bool:
        return self.now.kind in ("sign", "command") and self.now.text in signs

    def index_at(self, k: int) -> bool:
        """Is the token k ahead an index letter, that is one that no variable has?"""
        return _is_letter(self.ahead(k)) and self.names.find(self.ahead(k).text) is None

    def word(self, *words: str) -> bool:
        """Is this one of some words, in text or set as text?"""
        return self.now.kind in ("words", "name") and _word(self.now.text) in words

    def take(self) -> Token:
        token = self.now
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def skip(self, *signs: str) -> bool:
        if self.sees(*signs):
            self.take()
            return True
        return False

    def expect(self, sign: str, why: str) -> None:
        if not self.skip(sign):
            raise self.error(f"{why}: {sign!r} is missing before {self.shown()}")

    def shown(self) -> str:
        return self.now.text if self.now.kind == "end" else repr(self.now.text)

    def error(self, what: str, token: Token | None = None) -> BadFormula:
        return problem(self.text, (token or self.now).start, what)

    def unknown(self, elsewhere: bool, what: str, instead: str, token: Token) -> BadFormula:
        """The error for a call that is not known here; whether it is right cannot be told if it is known `elsewhere`."""
        if elsewhere:
            return NotRead(str(self.error(f"{what} is not known here", token)))
        return self.error(f"{what} is not known here{instead}", token)

    # ------------------------------------------------------------ sums and products

    @_nested
    def formula(self) -> Formula:
        """A sum, or a choice between formulas."""
        value = self.sum()
        return (self.choice(value) if self.word("if", "when") else None) or value

    def choice(self, value: Formula) -> Formula | None:
        """`a if c else b` and `a when c, b otherwise`; None if there is but one formula, whose condition is another's to read."""
        start = self.at
        condition = self.condition()
        if condition is None:
            raise self.error("otherwise than what?")
        if self.word("else"):
            self.take()
            return Formula("cases", (value, condition, self.formula()))
        if self.skip(",", ";") and self.begins_signed():
            other = self.formula()
            if self.word("otherwise", "else", "if", "when"):
                second = self.condition()
                return Formula("cases", (value, condition, other) if second is None else (value, condition, other, second))
            if other.op == "cases":
                return Formula("cases", (value, condition, *other.args))
        if self.depth > 1:
            return Formula("cases", (value, condition))
        self.at = start
        return None

    def sum(self) -> Formula:
        terms = [self.term()]
        while self.sees("+", "-"):
            minus = self.take().text == "-"
            term = self.term()
            terms.append(Formula("neg", (term,)) if minus else term)
        return terms[0] if len(terms) == 1 else Formula("add", tuple(terms))

    def term(self) -> Formula:
        """Entrywise products of products."""
        value = self.product()
        while self.sees("⊙", "⊘"):
            self.math = True
            op = "mul" if self.take().text == "⊙" else "div"
            value = _joined(op, value, self.product())
        return value

    def product(self) -> Formula:
        if self.sees("-", "+"):  # the sign belongs to the whole product
            minus = False
            while self.sees("-", "+"):
                minus ^= self.take().text == "-"
            value = self.product()
            return Formula("neg", (value,)) if minus else value
        value = self.power()
        while True:
            sign = self.now
            if self.sees("*", "·", "×", "@"):
                self.take()
                if sign.text in "·×":
                    self.math = True
                value = _joined({"*": "star", "·": "cdot", "×": "star", "@": "matmul"}[sign.text], value, self.signed())
            elif self.sees("/"):
                self.take()
                value = _joined("div", value, self.signed())
            elif self.begins():
                self.math = True
                factor = self.power()
                value = _joined("juxt", value, Formula("ones") if factor == _ONE else factor)  # as a number nobody writes it there
            else:
                return value

    def begins(self) -> bool:
        """Does a factor begin here?"""
        t = self.now
        if t.kind == "name":
            return t.text not in WORDS or self.names.find(t.text) is not None or (t.text == "where" and self.ahead(1).text == "(")
        if t.kind == "command":
            return t.text not in (r"\endcases", "\\\\")
        if t.kind == "sign":
            if self.opens_group():
                return True
            if t.text == "(" and self.ahead(2).text in ("=", "==", "≠") and self.index_at(1):
                return False  # a condition on indices, behind the formula
            return t.text in ("(", "{", "∂", "∑", "∇", "⟨") or (t.text in ("|", "‖") and not self.bars)
        return t.kind == "number"

    def opens_group(self) -> bool:
        """Do square brackets hold a formula here, and no index?  They do in mathematics, where they do not touch a name."""
        before = self.text[self.now.start - 1 : self.now.start]
        if self.numpy or not self.sees("[") or before.isalnum() or before in ("_", "]"):
            return False
        inside = takewhile(lambda t: t.text != "]" and t.kind != "end", self.tokens[self.at + 1 :])
        return not all(t.kind == "number" or t.text in (":", ",", "-", "None") for t in inside)

    def begins_signed(self) -> bool:
        return self.sees("-", "+") or self.begins()

    @_nested
    def signed(self) -> Formula:
        minus = False
        while self.sees("-", "+"):
            minus ^= self.take().text == "-"
        value = self.power()
        return Formula("neg", (value,)) if minus else value

    # ------------------------------------------------------------ powers, transposes, methods, indices

    def power(self) -> Formula:
        return self.postfix(self.atom())

    def postfix(self, value: Formula) -> Formula:
        while True:
            if self.skip("'"):
                self.math = True
                value = Formula("T", (Formula("ones") if value == _ONE else value,))
            elif self.skip("**"):
                value = Formula("pow", (value, self.signed()))
            elif self.sees("^") or self.now.kind == "layer":
                value = Formula("pow", (value, self.exponent()), "math")
            elif self.sees("_"):
                value = self.indexed(value)
            elif self.sees(".") and self.ahead(1).kind == "name":
                value = self.method(value)
            elif self.sees("[") and not self.opens_group():
                value = self.picked(value)
            else:
                return value

    def exponent(self) -> Formula:
        self.math = True
        if self.take().kind == "layer":  # what looks like one, behind something without layers
            return Formula("number", value=_number(self.tokens[self.at - 1].text))
        if self.skip("{"):
            self.skip("⊙")  # \circ 2, an entrywise power
            value = self.formula()
            self.expect("}", "the exponent does not end")
            return value
        return self.single("an exponent")

    @_nested
    def single(self, what: str) -> Formula:
        """One token as LaTeX's superscripts take it; in plain text also a signed number or name."""
        if self.skip("-"):
            return Formula("neg", (self.single(what),))
        if self.now.kind in ("number", "name", "command") or self.sees("("):
            return self.atom()
        raise self.error(f"{what} is missing")

    def indexed(self, value: Formula) -> Formula:
        sign = self.take()
        text = self.script()
        letters = tuple(text.replace(",", ""))
        if not all(c.isascii() and c.islower() for c in letters) or not letters:
            raise self.error(f"{text!r} are no index letters", sign)
        self.math = True
        return Formula("array", (value,), letters) if value.component else Formula("index", (value,), (letters, False))

    def script(self) -> str:
        """The text of a subscript."""
        if not self.skip("{"):
            if self.now.kind in ("name", "number"):
                return self.take().text
            raise self.error("a subscript is missing")
        parts = []
        while not self.sees("}"):
            if self.now.kind == "end":
                raise self.error("the subscript does not end: '}' is missing")
            token = self.take()
            if token.kind in ("name", "number", "words") or token.text in (",", "(", ")"):
                parts.append(token.text)
            else:
                raise self.error(f"{token.text!r} has no meaning in a subscript", token)
        self.take()
        return "".join(p for p in parts if p not in "()")

    def method(self, value: Formula) -> Formula:
        self.take()
        name = self.take()
        if name.text == "T":
            self.numpy = True
            return Formula("T", (value,))
        if name.text == "size":
            return Formula("length", (value,))
        if name.text == "shape":
            return self.axis_of(value)
        if name.text not in _METHODS:
            known = ", ".join(f".{method}()" for method in _METHODS)
            raise self.unknown(hasattr(np.ndarray, name.text), f".{name.text}", f"; there are .T, .shape[0], .size, {known}", name)
        if not self.sees("("):
            raise self.error(f".{name.text} is a method: write .{name.text}()")
        args, options = self.arguments()
        if name.text in ("reshape", "ravel", "flatten"):
            return self.reshaped(name, value, args)
        return self.called(name, [value, *args], options)

    def reshaped(self, name: Token, value: Formula, lengths: list[Formula]) -> Formula:
        """An array in another shape, whose lengths are whole numbers; -1 is what is left."""
        self.numpy = True
        one = Formula("neg", (_ONE,))
        if name.text != "reshape" and not lengths:
            lengths = [one]
        if not lengths or not all(n == one or (n.op == "number" and isinstance(n.value, int)) for n in lengths):
            raise self.error(f".{name.text} takes whole numbers here, as .reshape(-1, 1)", name)
        return Formula("call", (value,), ("reshape", (("shape", tuple(-1 if n == one else n.value for n in lengths)),)))

    def axis_of(self, value: Formula) -> Formula:
        """The number behind .shape, in brackets."""
        self.expect("[", "a formula takes one length, as X.shape[0]")
        minus, token = self.skip("-"), self.take()
        if token.kind != "number" or not re.fullmatch("[0-9]", token.text):
            raise self.error("the number of an axis is missing", token)
        self.expect("]", "the brackets do not end")
        return Formula("length", (value,), -int(token.text) if minus else int(token.text))

    def picked(self, value: Formula) -> Formula:
        """NumPy's brackets: `:`, None, np.newaxis and whole numbers."""
        opening = self.take()
        parts: list[Any] = []
        while not self.skip("]"):
            minus = self.skip("-")
            token = self.take()
            if token.text == ":" and not minus:
                parts.append(slice(None))
            elif token.text in ("None", "newaxis") and not minus:
                parts.append(None)
            elif token.text == "np" and self.sees("."):
                self.take()
                continue
            elif token.kind == "number" and token.text.isdigit() and len(token.text) < 10:
                parts.append(-int(token.text) if minus else int(token.text))
            else:
                raise self.error("brackets hold whole numbers, `:` and None only", token)
            if not self.sees("]"):
                self.expect(",", "the brackets do not end")
        if not parts:
            raise self.error("the brackets are empty", opening)
        return Formula("getitem", (value,), _Index(parts))

    # ------------------------------------------------------------ atoms

    def atom(self) -> Formula:
        t = self.now
        if t.text == "1" and self.ahead(1).text == "[":  # of a condition
            return self.ones()
        if t.kind == "number":
            self.take()
            return Formula("number", value=_number(t.text))
        if t.kind == "name":
            return self.named()
        if t.kind == "command":
            return self.command()
        if self.sees("(", "{", "["):
            return self.group()
        if self.sees("∂") and (derived := self.derivative()):
            return derived
        if self.sees("∇"):
            return self.nabla()
        if self.sees("∑"):
            return self.total()
        if self.sees("‖", "|"):
            return self.between_bars()
        if self.skip("⟨"):
            a = self.formula()
            self.expect(",", "an inner product has two parts")
            b = self.formula()
            self.expect("⟩", "the inner product does not end")
            return Formula("dot", (a, b))
        if t.kind == "end":
            raise self.error("the formula ends too early")
        if t.kind == "words":
            raise self.error(f"{t.text!r} is not part of a formula")
        raise self.error(f"a name, a number or a parenthesis is missing before {self.shown()}")

    def group(self) -> Formula:
        opening = self.take()
        bars, self.bars = self.bars, 0
        value = self._indices_compared() or self.formula()
        if self.sees(*_COMPARISONS):
            value = self.comparison(value)
        closing = {"(": ")", "{": "}", "[": "]"}[opening.text]
        if not self.skip(closing):
            raise self.error(f"{opening.text!r} is not closed: {closing!r} is missing before {self.shown()}")
        self.bars = bars
        return _summed(value) if value.op in ("juxt", "matmul") else value  # of (1^T t) y, y is no part of the sum

    def between_bars(self) -> Formula:
        sign = self.take()
        self.bars += 1
        value = self.formula()
        if sign.text == "|" and self.text.startswith("||", self.now.start):  # of |u||v|, one closes and one opens
            self.tokens[self.at : self.at + 1] = [Token("sign", "|", self.now.start + k) for k in (0, 1)]
        if not self.skip(sign.text):
            raise self.error(f"{sign.text!r} is not closed", sign)
        self.bars -= 1
        if sign.text == "‖" and self.skip("_"):  # Frobenius, or 2: the same norm
            self.script()
        return Formula("call", (value,), ("norm" if sign.text == "‖" else "abs", ()))

    def command(self) -> Formula:
        t = self.take()
        name = t.text[1:]
        if name == "frac":
            return self.fraction()
        if name == "sqrt" and self.sees("["):
            return self.root(t)
        if name == "sqrt":
            return Formula("call", (self.group(),), ("sqrt", ()))
        if name == "cases":
            return self.cases()
        if name in FUNCTIONS or name == "varsigma":
            return self.function(Token("name", "sigma" if name == "varsigma" else name, t.start))
        if name in _LETTERS:
            self.at -= 1
            self.tokens[self.at] = Token("name", name, t.start)
            return self.named()
        raise self.unknown(True, f"\\{name}", "", t)

    def root(self, t: Token) -> Formula:
        """A root with what it is in brackets."""
        self.take()
        third = self.take()
        if third.text != "3" or not self.skip("]"):
            raise self.unknown(True, f"\\sqrt[{third.text}]", "", t)
        return Formula("call", (self.group(),), ("cbrt", ()))

    def fraction(self) -> Formula:
        if self.sees("{") and (derived := self.derivative()):
            return derived
        if self.now.kind == "number" and len(self.now.text) > 1:  # \frac12
            t = self.now
            self.tokens[self.at : self.at + 1] = [t._replace(text=t.text[0]), t._replace(text=t.text[1:], start=t.start + 1)]
        top = self.group() if self.sees("{") else self.single("a numerator")
        bottom = self.group() if self.sees("{") else self.single("a denominator")
        return Formula("div", (top, bottom))

    def cases(self) -> Formula:
        parts: list[Formula] = []
        while not self.skip(r"\endcases"):
            value = self.formula()
            self.skip(",")
            self.skip("&")
            condition = self.condition() if not self.sees("\\\\", r"\endcases") else None
            parts += [value] if condition is None else [value, condition]
            self.skip(",", ".")
            self.skip("\\\\")
            if condition is None and not self.sees(r"\endcases"):
                raise self.error("only the last case may come without a condition")
            if self.now.kind == "end":
                raise self.error("the cases do not end")
        if len(parts) < 2:
            raise self.error("cases without a condition")
        return Formula("cases", tuple(parts))

    def condition(self) -> Formula | None:
        """A condition with or without words before it; None for "otherwise"."""
        while self.word("when", "if", "for", "where", "and", "all", "with"):
            self.take()
        if self.word("otherwise", "else", "elsewhere"):
            self.take()
            return None
        value = self._indices_compared() or self.formula()
        return value if value.op in ("compare", "same") else self.comparison(value)

    def _indices_compared(self) -> Formula | None:
        a, sign, b = self.now.text, self.ahead(1).text, self.ahead(2).text
        if sign not in ("=", "==", "≠") or not (self.index_at(0) and self.index_at(2)):
            return None
        self.at += 3
        return Formula("same", (), (a, b, sign != "≠"))

    def comparison(self, left: Formula) -> Formula:
        sign = self.take()
        if sign.text not in _COMPARISONS:
            raise self.error("a condition needs =, ≠, <, >, ≤ or ≥", sign)
        return Formula("compare", (left, self.formula()), "=" if sign.text == "==" else sign.text)

    # ------------------------------------------------------------ sums over indices

    @_nested
    def total(self) -> Formula:
        sign = self.take()
        self.math = True
        letters: list[str] = []
        unlike: list[tuple[str, str]] = []
        if self.skip("_"):
            self._sum_letters(letters, unlike)
        if self.skip("^"):
            self._bound()
        if not letters:
            return Formula("call", (self.product(),), ("sum", ()))
        body = self.term()
        if len(set(letters)) < len(letters):
            raise self.error("an index is summed over twice", sign)
        return Formula("total", (body,), (tuple(letters), tuple(unlike)))

    def _sum_letters(self, letters: list[str], unlike: list[tuple[str, str]]) -> None:
        braces = self.skip("{")
        while not (braces and self.skip("}")):
            token = self.take()
            if token.text == "," and braces:
                continue
            if token.kind != "name" or not re.fullmatch("[a-z]{1,4}", token.text):
                raise self.error("a sum needs index letters", token)
            letters += token.text
            if not braces:
                return
            start = self.now
            if self.skip("=") and self.take().text not in ("0", "1"):
                raise self.error("a sum over a part of an axis is not read; it begins at 1", self.tokens[self.at - 1])
            if self.skip("≠"):
                other = self.take()
                if not _is_letter(other):
                    raise self.error("an index letter is missing", start)
                unlike.append((letters[-1], other.text))

    def _bound(self) -> None:
        """Where a sum ends: at the end of the axis, whatever its length is called."""
        braces = self.skip("{")
        while self.take().kind != "end" and braces and not self.skip("}"):
            continue

    # ------------------------------------------------------------ names, functions, derivatives

    def named(self) -> Formula:
        t = self.now
        if t.text in ("np", "numpy") and self.ahead(1).text == ".":
            return self.of_numpy()
        if t.text in ("𝟏", "𝟙"):
            return self.ones()
        if self.names.find(t.text) is None:
            if t.text[0] == "d" and self.ahead(1).text == "/" and (derived := self.derivative()):
                return derived
            if t.text == "len" and self.ahead(1).text == "(":
                self.take()
                return Formula("length", (self.group(),), 0)
            if t.text in _MADE and self.ahead(1).text == "(":
                return _MADE[t.text](self)
            if t.text in FUNCTIONS and (self.ahead(1).text == "(" or self.names.resolve(t.text, []) is None):
                self.take()
                return self.function(t)
            if t.text == "T":
                raise self.error("T stands alone; for the transpose write .T or ^T behind the matrix", t)
        return self.reference()

    def of_numpy(self) -> Formula:
        self.at += 4 if self.ahead(2).text == "linalg" else 2
        self.numpy = True
        if self.now.text in _MADE:
            return _MADE[self.now.text](self)
        t = self.take()
        if t.text in ("pi", "e"):
            return Formula("number", value=getattr(math, t.text))
        if t.text == "size" and self.sees("("):
            return Formula("length", (self.group(),))
        if t.text not in FUNCTIONS and t.text != "transpose":
            raise self.unknown(hasattr(np, t.text), f"np.{t.text}", self.names.nearest(t.text, FUNCTIONS), t)
        return self.function(t)

    def unit(self) -> Formula:
        """A unit matrix, of the size in parentheses; one that is no number is that of its surroundings, if these have one."""
        self.take()
        self.expect("(", "np.eye takes a size")
        size = self.formula()
        self.expect(")", "the parenthesis is not closed")
        return Formula("eye", value=int(size.value)) if size.op == "number" else Formula("eye", (size,))

    def filled(self) -> Formula:
        """`np.ones(m)`, `np.ones((m, 1))` or zeros."""
        name = self.take().text
        self.expect("(", f"np.{name} takes a length, or several in parentheses")
        several = self.skip("(")
        lengths = [self.formula()]
        while several and self.skip(","):
            lengths += [self.formula()] if not self.sees(")") else []
        for _ in range(1 + several):
            self.expect(")", "the parenthesis is not closed")
        return Formula("filled", tuple(lengths), name)

    def einsum(self) -> Formula:
        """`np.einsum("ab,b->a", A, x)`."""
        name = self.take()
        self.expect("(", "np.einsum takes subscripts and arrays")
        form, args = self.take(), []
        while self.skip(","):
            args.append(self.formula())
        self.expect(")", "the call does not end")
        if form.kind != "text" or not args:
            raise self.error("np.einsum takes subscripts in quotes, and arrays", name)
        self.numpy = True
        return Formula("call", tuple(args), ("einsum", (("subscripts", form.text),)))

    def ones(self) -> Formula:
        """A vector of ones, or the indicator of a condition in brackets or below."""
        t = self.take()
        self.math = True
        braces = self.sees("_") and self.ahead(1).text == "{"
        sized = t.text == "𝟙" and re.match(r"\\\w+\s*\[", self.text[self.now.start :])
        if not (braces or sized or self.sees("[")):
            return Formula("ones")
        self.at += 1 + braces
        condition = self.condition()
        if condition is None:
            raise self.error("otherwise than what?")
        self.expect("}" if braces else ")" if sized else "]", "the condition does not end")
        return Formula("cases", (Formula("number", value=1), condition, Formula("number", value=0)))

    def function(self, t: Token) -> Formula:
        """A function applied to what stands in parentheses, or to the next factor."""
        name = t.text
        if self.skip("'"):
            op = FUNCTIONS[name]
            if op not in TABLE or TABLE[op].kind != "elementwise" or TABLE[op].arity != 1:
                raise self.error(f"{name}' is no entrywise function's derivative", t)
            return Formula("prime", (self.argument(name),), op)
        t, below = self.below(t) if self.skip("_") else (t, [])
        power = self.exponent() if self.sees("^") else None
        if self.sees("("):
            args, options = self.arguments()
        else:
            self.math = True
            args, options = [self.argument(name)], []
        value = self.called(t, args, below + options)
        if below and value.op == "call" and "keepdims" in TABLE[value.value[0]].statics:  # vectors are columns
            value = Formula("call", (value,), ("reshape", (("shape", (-1, 1)),)))
        return Formula("pow", (value, power), "math") if power is not None else value

    def below(self, t: Token) -> tuple[Token, list[tuple[str, Any]]]:
        """A function by its name and the subscript: the base of a logarithm, or along which axis."""
        braces = self.skip("{")
        below = self.take()
        options = []
        if braces and below.text == "axis" and self.skip("="):
            options.append(("axis", self._option(below)))
        elif t.text + below.text in FUNCTIONS:
            t = t._replace(text=t.text + below.text)
        else:
            raise self.unknown(True, f"{t.text}_{below.text}", "", t)
        if braces:
            self.expect("}", "the subscript does not end")
        return t, options

    @_nested
    def argument(self, name: str) -> Formula:
        if self.sees("("):
            return self.group()
        if not self.begins():
            raise self.error(f"{name} of what? An operand is missing before {self.shown()}")
        return self.power()

    def arguments(self) -> tuple[list[Formula], list[tuple[str, Any]]]:
        """What stands in a call's parentheses: operands, then axis= and keepdims=."""
        self.take()
        bars, self.bars = self.bars, 0
        args: list[Formula] = []
        options: list[tuple[str, Any]] = []
        while not self.skip(")"):
            if self.now.text in _OPTIONS and self.ahead(1).text == "=":
                name = self.take()
                self.take()
                options.append((name.text, self._option(name)))
                self.numpy = True
            elif several := _SEVERAL.match(self.text, self.now.start):  # x.sum((0, 1))
                options.append(("axis", self._option(Token("name", "axis", several.start()))))
            else:
                value = self.formula()
                args.append(self.comparison(value) if self.sees(*_COMPARISONS) else value)
            if not self.sees(")"):
                self.expect(",", "the call does not end")
        self.bars = bars
        return args, options

    def _option(self, name: Token) -> Any:
        """What axis= or keepdims= is given: several axes in parentheses, or with commas as below a function's name."""
        opened = self.skip("(")
        found = [self._one_option(name)]
        while self.ahead(1).kind == "number" and self.skip(","):
            found.append(self._one_option(name))
        if opened:
            self.skip(",")
            self.expect(")", "the parenthesis is not closed")
        return tuple(found) if len(found) > 1 else found[0]

    def _one_option(self, name: Token) -> Any:
        minus = self.skip("-")
        token = self.take()
        if name.text == "keepdims" and token.text in ("True", "False"):
            return token.text == "True"
        if name.text == "axis" and token.text == "None":
            return None
        if name.text == "axis" and token.kind == "number" and re.fullmatch("[0-9]", token.text):
            return -int(token.text) if minus else int(token.text)
        raise self.error(f"{name.text}= takes {'a whole number' if name.text == 'axis' else 'True or False'} here", token)

    def called(self, t: Token, args: list[Formula], options: list[tuple[str, Any]]) -> Formula:
        if t.text == "transpose":
            axes = tuple(a.value for a in args[1:])
            if axes and {*axes} == {*range(len(axes))}:
                return Formula("call", tuple(args[:1]), ("transpose", (("axes", axes),)))
            return Formula("T", (self._only(t, args),))
        name = FUNCTIONS[t.text]
        if name in ("max", "min") and len(args) == 2 and self.text[t.start - 1 : t.start] != ".":  # not NumPy's, whose second is an axis
            name += "imum"
        if name == "matmul" or (name == "dot" and self.numpy):
            return _joined("matmul", *self._two(t, args))
        if name == "sub":
            a, b = self._two(t, args)
            return Formula("add", (a, Formula("neg", (b,))))
        if name in ("add", "mul", "div", "pow", "dot"):
            return Formula(name, tuple(self._two(t, args)))
        if name == "sech":
            return Formula("div", (_ONE, Formula("call", (self._only(t, args),), ("cosh", ()))))
        if name == "heaviside":
            x, zero = args if len(args) == 2 else (self._only(t, args), Formula("number", value=0.5))
            return Formula("cases", (_ONE, Formula("compare", (x, _ZERO), ">"), zero, Formula("compare", (x, _ZERO), "="), _ZERO))
        op = TABLE[name]
        if "axis" in op.statics and len(args) == 2 and args[1].op in ("number", "neg"):
            axis = args.pop()
            number = axis.value if axis.op == "number" else -(axis.args[0].value or 0)
            if not isinstance(number, int) or abs(number) > 9:
                raise self.error(f"the axis of {t.text} must be a whole number", t)
            options = [("axis", number), *options]
        if len(args) != op.arity:
            raise self.error(f"{t.text} takes {op.arity} operand{'s' if op.arity != 1 else ''}, not {len(args)}", t)
        unknown = [key for key, _ in options if key not in op.statics]
        if unknown or len({key for key, _ in options}) < len(options):
            raise self.error(f"{t.text} takes no {unknown[0] if unknown else options[0][0] + ' twice'}", t)
        return Formula("call", tuple(args), (name, tuple(options)))

    def _only(self, t: Token, args: list[Formula]) -> Formula:
        if len(args) != 1:
            raise self.error(f"{t.text} takes one operand here", t)
        return args[0]

    def _two(self, t: Token, args: list[Formula]) -> list[Formula]:
        if len(args) != 2:
            raise self.error(f"{t.text} takes two operands, not {len(args)}", t)
        return args

    def reference(self) -> Formula:
        """A name of the user's, with its indices; or an earlier gradient; or Kronecker's delta; or names without a space."""
        start, t = self.at, self.take()
        if t.text == "e" and self.sees("^", "**") and self.names.find("e") is None:
            if self.sees("**"):
                self.take()
                return Formula("call", (self.signed(),), ("exp", ()))
            return Formula("call", (self.exponent(),), ("exp", ()))
        subs, layer = self._scripts()
        if found := self.names.resolve(t.text, subs, layer):
            return self._leaf(*found, t)
        if special := self._special(t, subs, layer):
            return special
        if layer:  # y^(2) may be a power after all
            self.at = start + 1
            subs, _ = self._scripts(layers=False)
            if found := self.names.resolve(t.text, subs):
                return self._leaf(*found, t)
        if pieces := self.names.pieces(t.text):
            self.tokens[start : start + 1] = [Token("name", p, t.start, t.bold) for p in pieces]
            self.at = start
            return self.reference()
        written = t.text + "".join("_" + s for s in subs) + (f"^({layer})" if layer else "")
        called = self.sees("(") and not (subs or layer) and len(t.text) > 1
        if called and any(t.text in known for known in (vars(np), vars(np.linalg), TABLE)):
            raise self.unknown(True, t.text, "", t)
        hint = self.names.nearest(t.text + "".join(subs) + layer, FUNCTIONS if called else ())
        raise self.error(f"the {'function' if called else 'name'} {written} is not known{hint}", t)

    def _leaf(self, key: str, letters: tuple[str, ...], t: Token) -> Formula:
        leaf = Formula("name", (), (key, False))
        if not letters:
            return leaf
        self.math = True
        if t.bold and len(letters) == 1:
            return Formula("example", (leaf,), (letters, True))
        return Formula("index", (leaf,), (letters, False))

    def _special(self, t: Token, subs: list[str], layer: str) -> Formula | None:
        """Names with a meaning of their own where the user has none of that name."""
        base, *more = t.text.split("_")
        letters = "".join([*more, *subs]).replace(",", "")
        if base in ("δ", "delta") and re.fullmatch("[a-z]{2}", letters) and not layer:
            self.math = True
            return Formula("delta", (), (letters[0], letters[1]))
        if derived := self.names.derivative(t.text, subs, layer):
            return self._derived(derived[0], (), derived[1], derived[2])
        if letters or layer:
            return None
        return Formula("number", value=math.pi) if base in ("pi", "π") else Formula("eye") if base == "I" else None

    def _scripts(self, layers: bool = True) -> tuple[list[str], str]:
        """The subscripts and the layer behind a name."""
        subs: list[str] = []
        layer = ""
        while True:
            if self.skip("_"):
                subs.append(self.script())
            elif layers and not layer and self.now.kind == "layer":
                self.math = True
                layer = self.take().text
            else:
                return subs, layer

    # ------------------------------------------------------------ derivatives

    def derivative(self) -> Formula | None:
        r"""`∂E/∂W2`, `dE/dW2`, or what stands behind the \frac of one; None for a d that belongs to a name."""
        start, kept = self.at, list(self.tokens)
        fraction = self.skip("{")
        sign = self.now
        try:
            of = self._derived_name()
            if fraction:
                self.expect("}", "the fraction's top does not end")
            self.expect("{" if fraction else "/", "a derivative is written ∂E/∂W2")
            by = self._derived_name()
            if fraction:
                self.expect("}", "the fraction's bottom does not end")
        except BadFormula:
            if sign.text == "∂":
                raise
            self.at, self.tokens = start, kept
            return None
        self.math = self.math or sign.text == "∂"
        return self._derived(*of, *by)

    def nabla(self) -> Formula:
        r"""`\nabla_{W_2} E`."""
        sign = self.take()
        if not self.skip("_"):
            raise self.error(r"write by what: \nabla_{W_2} E", sign)
        self.math = True
        by = self._name_below()
        if self.now.kind == "name" and self.names.loss(self.now.text):
            self.take()
        return self._derived(self.names.root, (), *by)

    def _derived_name(self) -> tuple[str, tuple[str, ...]]:
        """A d or ∂ and the name behind it, which may be written together."""
        t = self.now
        if not self.skip("∂"):
            if t.kind != "name" or t.text[0] != "d":
                raise self.error("∂ is missing")
            if t.text == "d":
                self.take()
            else:
                self.tokens[self.at] = Token("name", t.text[1:], t.start + 1, t.bold)
        return self._name_below()

    @_nested
    def _name_below(self) -> tuple[str, tuple[str, ...]]:
        """The name that is derived, or derived by, and its indices."""
        if self.skip("{"):
            found = self._name_below()
            self.expect("}", "the braces do not end")
            return found
        t = self.now
        if t.kind == "command" and t.text[1:] in _LETTERS:
            t = self.tokens[self.at] = Token("name", t.text[1:], t.start)
        if t.kind != "name":
            raise self.error("a name is missing behind ∂")
        if self.names.loss(t.text) and self.ahead(1).text != "_":
            self.take()
            return self.names.root, ()
        leaf = self.reference()
        if leaf.op == "name":
            return leaf.value[0], ()
        if leaf.op in ("index", "example") and leaf.args[0].op == "name":
            return leaf.args[0].value[0], tuple(leaf.value[0])
        raise self.error(f"{t.text} is no variable that can be derived by", t)

    def _derived(self, of: str, of_letters: tuple[str, ...], by: str, by_letters: tuple[str, ...]) -> Formula:
        if of == self.names.root:
            leaf = Formula("name", (), (f"d{of}/d{by}", False))
            return Formula("index", (leaf,), (by_letters, False)) if by_letters else leaf
        leaf = Formula("jacobian", (), (of, by))
        self.math = True
        return Formula("entry", (leaf,), (of_letters, by_letters)) if of_letters or by_letters else leaf

    # ------------------------------------------------------------ the whole

    def part(self) -> Formula:
        """One side of an equation."""
        if self.now.kind == "end" or self.sees("="):
            raise self.error("a formula is missing behind =" if self.at else "the formula ends too early")
        value = self.formula()
        return self.comparison(value) if self.sees(*_COMPARISONS) and not self.sees("=") else value

    def closing(self) -> Formula:
        """A condition behind a whole line, in words or parentheses."""
        opened = self.sees("(")
        if not opened and self.now.kind not in ("words", "name"):
            raise self.error(f"{self.shown()} has no meaning here")
        self.skip("(")
        condition = self.condition()
        if condition is None:
            raise self.error("otherwise than what?")
        if opened:
            self.expect(")", "the condition does not end")
        return condition

    def settled(self, f: Formula) -> Formula:
        """A formula with what the whole text decided: is `*` NumPy's, and are 1-D arrays columns?"""
        columns = self.math

        def settle(g: Formula) -> Formula:
            if g.op == "star":
                return replace(g, op="mul") if self.numpy else replace(g, value="math" if self.math else "plain")
            if g.op in ("juxt", "matmul"):
                return _summed(g)
            return replace(g, value=(g.value[0], columns)) if g.op == "name" else g

        return f.map(settle)


_MADE = {
    **dict.fromkeys(("eye", "identity"), Parser.unit),
    **dict.fromkeys(("ones", "zeros"), Parser.filled),
    "einsum": Parser.einsum,
}


def _summed(f: Formula) -> Formula:
    """A product in which vectors of ones sum what stands beside them: `1^T X` along the columns, `X 1` along the rows.

    A vector of ones on the other side, as in `b 1^T`, only repeats.
    """
    ones, turned = Formula("ones"), Formula("T", (Formula("ones"),))
    if len(f.args) == 1:
        return f.args[0]
    if {*f.args} <= {ones, turned} or not {ones, turned} & set(f.args):
        return f
    kept: list[Formula] = []
    for k, a in enumerate(f.args):
        if a == turned and not {*f.args[k:]} <= {ones, turned}:
            kept.append(_sum_of(f, [_summed(replace(f, args=f.args[k + 1 :]))], 0))
            break
        if a == ones and any(k.op != "number" for k in kept):
            kept = [_sum_of(f, kept, 1)]
        elif f.op == "juxt" or a not in (ones, turned):
            kept.append(a)
    return kept[0] if len(kept) == 1 else replace(f, args=tuple(kept))


def _sum_of(f: Formula, factors: list[Formula], axis: int) -> Formula:
    """The sum of a product along one axis, which stays."""
    whole = factors[0] if len(factors) == 1 else replace(f, args=tuple(factors))
    return Formula("call", (whole,), ("sum", (("axis", axis), ("keepdims", True))))


class _Index(tuple[Any, ...]):
    """An index that can be hashed, as slices cannot."""

    def __new__(cls, parts: list[Any]) -> _Index:
        return super().__new__(cls, parts)

    def __hash__(self) -> int:
        return hash(str(tuple(self)))


def _joined(op: str, a: Formula, b: Formula) -> Formula:
    """A product of any number of factors stays one node; a quotient has two."""
    return Formula(op, (*a.args, b)) if a.op == op and op != "div" else Formula(op, (a, b))


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() and len(text) < 16 else float(text)


def _word(text: str) -> str:
    return text.strip(" ,.:;").split(" ")[0].lower() if text.strip(" ,.:;") else ""


def _is_letter(t: Token) -> bool:
    return t.kind == "name" and re.fullmatch("[a-z]", t.text) is not None
