"""Printing matrix notation as NumPy source and as plain text.

NumPy source keeps the true shapes of the user's arrays: (n,), (n, 1), (1, n), (n, m).  Plain text is NumPy's
notation without `np.`, but in products every vector is a column, so that it reads like mathematics: `(y2 - t) @ y1.T`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from string import ascii_letters
from typing import NamedTuple

import numpy as np

from ..ops import TABLE
from .expr import COMPARISONS, Number
from .matrix import ONE, ZERO, M, is_upstream, mm, scaled, squared, summed, transpose

Axes = tuple[int | None, ...]
COMPARE, SUM, PRODUCT, MATMUL, POWER, ATOM = -1, 0, 1, 2, 3, 4


class Code(NamedTuple):
    """A piece of source, how tightly it binds, and the label of each axis of its value (None: length 1)."""

    src: str
    prec: int
    axes: Axes
    mask: bool = False  # booleans, which NumPy adds and multiplies by rules of their own
    begins: bool = False  # with booleans, which NumPy does not negate

    @property
    def real(self) -> str:
        """The source of numbers."""
        return f"1.0 * {self.inside(PRODUCT)}" if self.mask else self.src

    def inside(self, prec: int) -> str:
        """The source as an operand of something that binds that tightly; booleans as numbers in products of matrices and powers."""
        if self.mask and prec in (MATMUL, ATOM):
            return f"({self.real})"
        return self.src if self.prec >= prec else f"({self.src})"


def numeral(c: Number, halves: bool = False) -> str:
    """A number as a person writes it: 2, 0.1, 1/3, 1e+300; with `halves` as 1/2 and not 0.5."""
    c = Fraction(c)
    long = c.denominator > 10**6 or abs(c.numerator) >= 10**16
    decimal = c.denominator % 5 == 0 and Fraction(repr(float(c))) == c
    return repr(float(c)) if long or decimal or (c.denominator == 2 and not halves) else str(c)


class Writer:
    """Prints trees, given the axes of each name (None for those of length 1); gradients above of these ranks are transposed."""

    def __init__(self, dims: Mapping[str, Sequence[str | None]], text: bool, root: str, ranks: Sequence[int] = ()) -> None:
        self.dims, self.text, self.root, self.ranks = dims, text, root, ranks
        self.helpers: set[str] = set()
        self.sizes: set[str] = set()

    def write(self, x: M, axes: Axes | None = None) -> str:
        """The source of a tree, of a value with exactly these axes; without axes in another layout, as the tree has it."""
        if x.op == "num" and axes:
            x = scaled(x.args[0], M("ones", (), ())) if x.args[0] else M("zeros", (), ())
        c = self.code(x, axes or (x.ls if len(x.ls) == 2 else ()))
        src = self.fit(c, c.axes if axes is None else axes).real
        return re.sub(r"\bnp\.(linalg\.)?", "", src) if self.text else src

    def code(self, x: M, hint: Axes = ()) -> Code:
        """One node; `hint` are the axes its user would like best."""
        return getattr(self, "_" + x.op)(x, hint)  # type: ignore[no-any-return]

    # ------------------------------------------------------------ axes

    def fit(self, c: Code, axes: Axes) -> Code:
        """The same value with other axes: transposed, axes of length 1 added or taken away."""
        if c.axes == axes:
            return c
        src, have = c.inside(ATOM), [a for a in c.axes if a is not None]
        if not c.axes:
            return Code(f"np.reshape({c.real}, {(1,) * len(axes)})", ATOM, axes)
        if c.axes[::-1] == axes:
            return Code(src + ".T", ATOM, axes)
        if not have:  # a single number: only how many axes it has differs
            more = len(axes) - len(c.axes)
            return Code(f"{src}[{', '.join(['0'] * -more or ['None'] * more)}]", ATOM, axes)
        if None in c.axes:
            src += "[" + ", ".join("0" if a is None else ":" for a in c.axes).rstrip(" ,:") + "]"
        order = [have.index(a) for a in axes if a is not None]
        if order != list(range(len(have))):
            src += ".T" if order == [1, 0] else f".transpose({', '.join(map(str, order))})"
        if None in axes:
            src += "[" + ", ".join("None" if a is None else ":" for a in axes) + "]"
        return Code(src, ATOM, axes)

    def join(self, xs: Sequence[M], hint: Axes) -> tuple[list[Code], Axes]:
        """Operands of one elementwise operation, their axes aligned as broadcasting needs."""
        codes = [self.code(x, hint) for x in xs]
        labels = dict.fromkeys(a for c in codes for a in c.axes if a is not None)
        full = [c.axes for c in codes if labels.keys() <= set(c.axes)]
        if not labels:
            base = max(full, key=len)
        elif full:
            base = hint if hint in full else full[0]
        else:
            base = tuple(a for a in hint if a in labels) if labels.keys() <= set(hint) else tuple(labels)
        for i, c in enumerate(codes):
            if not _broadcasts(c.axes, base):
                wish = _without_leading(tuple(a if a in c.axes else None for a in base))
                codes[i] = self.fit(self.code(xs[i], wish), wish)
        return codes, base

    # ------------------------------------------------------------ leaves

    def _sym(self, x: M, hint: Axes, turned: bool = False) -> Code:
        """A name, `turned` its transpose where a layout prints that."""
        name = x.args[0]
        c = Code(name, ATOM, ())
        if is_upstream(x):
            c = Code(f"d{self.root}/d{name[1:]}", POWER, ()) if self.text else Code(f"d{self.root}_d{name[1:]}", ATOM, ())
        if name not in self.dims:
            self.sizes.update([name] if name.isidentifier() else [])
            return c
        labels = iter(x.ls)
        axes = tuple(None if d is None else next(labels) for d in self.dims[name])
        if is_upstream(x) and len(x.ls) in self.ranks:
            return c._replace(axes=axes[::-1]) if turned else Code(c.inside(ATOM) + ".T", ATOM, axes)
        condition = x.args[1:] == ("condition",) and not self.text
        c = c._replace(axes=axes, mask=condition, begins=condition)
        return c if len(axes) < 3 or axes == hint else self.fit(c, x.ls)

    def _num(self, x: M, hint: Axes) -> Code:
        src = numeral(x.args[0])
        return Code(src, SUM if src[0] == "-" else PRODUCT if "/" in src else ATOM, ())

    def _ones(self, x: M, hint: Axes) -> Code:
        self.sizes.update(x.args)
        dims = iter(x.args)
        axes = hint if tuple(a for a in hint if a is not None) == x.ls else x.ls
        shape = ", ".join("1" if a is None else next(dims) for a in axes)
        return Code(f"np.{x.op}({shape if len(axes) == 1 else f'({shape})'})", ATOM, axes)

    _zeros = _ones

    def _eye(self, x: M, hint: Axes) -> Code:
        self.sizes.add(x.args[0])
        return Code(f"np.eye({x.args[0]})", ATOM, x.ls)

    # ------------------------------------------------------------ products of matrices

    def _T(self, x: M, hint: Axes) -> Code:
        inner = x.args[0]
        if is_upstream(inner) and len(x.ls) in self.ranks:
            return self._sym(inner, hint, turned=True)
        c = self.code(inner, hint if len(x.ls) == 1 else hint[::-1] or x.ls[::-1])
        if len(x.ls) == 2:
            return Code(c.inside(ATOM) + ".T", ATOM, c.axes[::-1])
        if len(c.axes) > 1:
            return self.fit(c, (None, *x.ls))
        return Code(c.inside(ATOM) + ".T", ATOM, (None, *x.ls) if len(hint) == 2 else x.ls) if self.text else c

    def _mm(self, x: M, hint: Axes) -> Code:
        """A product with the true shapes of its factors."""
        if (v := squared(x)) is not None and v.op != "sym":
            return self._reduced("sum", self.code(M("pow", (v, 2), v.ls)), (), hint)
        args, ls = x.args, x.ls
        if len(ls) == 2:
            cut = next((i for i, y in enumerate(args, 1) if len(y.ls) == 1), None)
            return self._matrices(args) if cut is None else self._outer(mm(args[:cut], ls[:1]), mm(args[cut:], ls[1:]))
        is_row, wish_row = len(args[0].ls) == 1, len(hint) == 2 and hint[0] is None
        if len(ls) == 1:
            row = x if is_row else transpose(x)
            as_row = (is_row and self.text) or (wish_row and row.op == "mm" and all(y.op != "diag" for y in row.args))
            if as_row != is_row:
                return self.code(transpose(x), hint)
        elif len(self.code(args[0]).axes) < len(self.code(args[-1]).axes):  # a row of two axes begins
            args = tuple(transpose(y) for y in reversed(args))
        codes = []
        for i, y in enumerate(args):
            shape = y.ls if len(y.ls) == 2 else (*y.ls, None) if i else (None, *y.ls)
            c = self.code(y, shape if len(y.ls) == 2 or len(hint) == 2 else ())
            codes.append(c if len(c.axes) == 1 and (i or not wish_row) else self.fit(c, shape))
        return _matmul(*codes)

    def _matrix(self, x: M) -> Code:
        """A factor of a product that is a matrix."""
        return self.fit(self.code(x, x.ls), x.ls)

    def _outer(self, column: M, row: M) -> Code:
        a = self.code(column)
        b = self.code(row, (None, *row.ls) if len(a.axes) == 2 and not self.text else ())
        if self.text or len(a.axes) == len(b.axes) == 2:
            a = self.fit(a, (*column.ls, None)) if len(a.axes) == 2 else a
            return _matmul(a, b)._replace(axes=(*column.ls, *row.ls))
        return Code(f"np.outer({a.real}, {b.real})", ATOM, (*column.ls, *row.ls))

    def _matrices(self, args: Sequence[M]) -> Code:
        """A product of matrices; a diagonal one scales the rows or columns beside it."""
        i = next((i for i, y in enumerate(args) if y.op == "diag" and self._scales(args, i)), None)
        if i is None:
            return _matmul(*map(self._matrix, args))
        v = args[i].args[0]
        left, right = ([self._matrices(part)] if part else [] for part in (args[:i], args[i + 1 :]))
        if not left or (right and self.code(v).axes[-1:] == (None,)):
            right = [self._times(v, (*v.ls, None), right[0])]
        else:
            left = [self._times(v, (None, *v.ls), left[0])]
        return _matmul(*left, *right)

    def _scales(self, args: Sequence[M], i: int) -> bool:
        """Is a diagonal factor written entry by entry?  In text it is if its vector has a second axis, of length 1, or stands last."""
        v = args[i].args[0]
        return len(args) > 1 and (not self.text or i == len(args) - 1 or len(self.code(v, (*v.ls, None)).axes) == 2)

    def _times(self, s: M, axes: Axes, c: Code) -> Code:
        """c times s, which has these axes; 1 / s divides."""
        below = s.op == "div" and s.args[0] == ONE
        x = self.code(s.args[1] if below else s, _without_leading(axes))
        x = x if _broadcasts(x.axes, c.axes) else self.fit(x, axes)
        if below:
            src = f"{c.inside(PRODUCT)} / {x.inside(POWER)}"
        elif axes[:1] == (None,):
            src = f"{c.inside(PRODUCT)} * {x.inside(POWER)}"
        else:
            tight = POWER if axes or (x.axes and c.prec == MATMUL) else PRODUCT
            src = f"{x.inside(POWER if x.prec == MATMUL else PRODUCT)} * {c.inside(tight)}"
        first = c if below or axes[:1] == (None,) else x
        return Code(src, PRODUCT, c.axes, c.mask and x.mask and not below, first.begins)

    def _diag(self, x: M, hint: Axes) -> Code:
        return Code(f"np.diag({self._dense(x.args[0]).real})", ATOM, x.ls)

    def _dense(self, x: M) -> Code:
        """Without axes of length 1."""
        c = self.code(x, x.ls)
        return self.fit(c, tuple(a for a in c.axes if a is not None))

    def _ein(self, x: M, hint: Axes) -> Code:
        letters: dict[int | None, str] = {}
        codes = [self._dense(y) for y in x.args]
        inputs = ["".join(letters.setdefault(a, ascii_letters[len(letters)]) for a in c.axes if a is not None) for c in codes]
        out = "".join(letters[a] for a in x.ls)
        return Code(f'np.einsum("{",".join(inputs)}->{out}", {", ".join(c.real for c in codes)})', ATOM, x.ls)

    # ------------------------------------------------------------ entry by entry

    def _had(self, x: M, hint: Axes) -> Code:
        codes, axes = self.join(x.args, hint)
        parts = [c.inside(POWER if i or c.prec == MATMUL else PRODUCT) for i, c in enumerate(codes)]
        return Code(" * ".join(parts), PRODUCT, axes, all(c.mask for c in codes), codes[0].begins)

    def _div(self, x: M, hint: Axes) -> Code:
        (a, b), axes = self.join(x.args, hint)
        return Code(f"{a.inside(PRODUCT)} / {b.inside(POWER)}", PRODUCT, axes, begins=a.begins)

    def _pow(self, x: M, hint: Axes) -> Code:
        inner, k = x.args
        if not isinstance(k, M) and Fraction(k).denominator == 2:
            if (v := squared(inner)) is not None:
                norm = f"np.linalg.norm({self.code(v).src})"
                return Code(norm, ATOM, ()) if 2 * k == 1 else Code(f"{norm}**{2 * k}", POWER, ())
            if 2 * k == 1:
                c = self.code(inner, hint)
                return Code(f"np.sqrt({c.real})", ATOM, c.axes)
        (a, b), axes = self.join([inner, k if isinstance(k, M) else M("num", (k,), ())], hint)
        base = a.src + ".0" if a.src.isdigit() and not self.text else a.inside(ATOM)  # NumPy takes no 2**-1 of integers
        return Code(f"{base}**{b.inside(ATOM)}", POWER, axes)

    def _scale(self, x: M, hint: Axes) -> Code:
        c, y = x.args
        a = self.code(y, hint)
        if isinstance(c, M):
            return self._times(c, (), self.fit(a, hint) if len(y.ls) == 1 and set(hint) - {None} == set(y.ls) else a)
        number, _, below = numeral(abs(c)).partition("/")
        if c < 0 and number == "1" and a.begins:
            number = "1.0"
        src = a.inside(PRODUCT) if number == "1" else f"{number} * {a.inside(PRODUCT)}"
        src += f" / {below}" if below else ""
        return Code("-" + src, SUM, a.axes) if c < 0 else Code(src, PRODUCT, a.axes, begins=number == "1" and a.begins)

    def _add(self, x: M, hint: Axes) -> Code:
        codes, axes = self.join([scaled(abs(c), y) for c, y in x.args], hint)
        if (codes[0].mask and codes[1].mask) or (x.args[0][0] < 0 and codes[0].begins):
            codes[0] = Code(f"1.0 * {codes[0].inside(PRODUCT)}", PRODUCT, codes[0].axes)
        src = ""
        for (c, _), code in zip(x.args, codes, strict=True):
            part = code.inside(PRODUCT)
            if not x.ls and re.fullmatch(r"\w+( \* \w+)+", part):  # numbers: w*x - y
                part = part.replace(" ", "")
            src += (" - " if c < 0 else " + ") + part if src else ("-" if c < 0 else "") + part
        return Code(src, SUM, axes)

    # ------------------------------------------------------------ functions

    def _fn(self, x: M, hint: Axes) -> Code:
        name, inner, labels = x.args
        if name in COMPARISONS:
            sides = _sides(inner)
            codes, axes = self.join(sides, hint)
            for i, (top, c) in enumerate(zip(sides, codes[::-1], strict=True)):
                if top.op == "fn" and top.args[1] == sides[1 - i] and not set(top.args[2]) <= set(top.ls):  # of the very same source
                    kept = tuple(a if a in top.ls else None for a in c.axes)
                    found = self._reduced(top.args[0], c, top.ls, _without_leading(kept))
                    codes[i] = found if _broadcasts(found.axes, c.axes) else self._reduced(top.args[0], c, top.ls, kept)
            left, right = codes
            return Code(f"{left.inside(SUM)} {name} {right.inside(SUM)}", COMPARE, axes, not self.text, not self.text)
        if name == "heaviside" and ZERO not in (sides := _sides(inner, numbers=False)):  # what is equal rounds alike: a - (b + c)
            (left, right), axes = self.join(sides, hint)
            return Code(f"np.heaviside({left.inside(SUM)} - {right.inside(PRODUCT)}, 0.5)", ATOM, axes)
        if name == "sum" and inner.op == "diag":
            return Code(f"np.trace({self._dense(inner.args[0]).real})", ATOM, ())
        if not set(labels) <= set(x.ls):
            return self._reduced(name, self.code(inner.args[0] if inner.op == "T" else inner), x.ls, hint)
        c = self.code(inner, hint)
        more = ", 0.5" if name == "heaviside" else ""
        if labels and (len(labels) < len(x.ls) or (None in c.axes and not self.text)):
            more = f", axis={_places(c, labels)}"
        return Code(f"{self._function(name)}({c.src}{more})", ATOM, c.axes)

    def _whole(self, x: M, hint: Axes) -> Code:
        return Code(f"{self._function(x.args[0])}({self.fit(self.code(x.args[1]), (0, 1)).real})", ATOM, x.ls)

    def _reduced(self, name: str, c: Code, left: Axes, hint: Axes) -> Code:
        """All entries taken together but along the axes `left`; the others stay with length 1 if its user would like that."""
        gone = [a for a in c.axes if a is not None and a not in left]
        keep = tuple(a if a in left else None for a in c.axes)
        dropped = tuple(a for a in c.axes if a not in gone)
        if not left and (not hint or hint not in (keep, dropped)):
            return Code(f"{self._function(name)}({c.src})", ATOM, ())
        options = [("" if name == "sum" else "axis=") + _places(c, gone)] if len(gone) < len(keep) else []
        options += ["keepdims=True"] if keep == hint else []
        if name == "sum":  # of booleans it is their number
            src = f"{c._replace(mask=False).inside(ATOM)}.sum({', '.join(options)})"
        else:
            src = f"{self._function(name)}({', '.join([c.src, *options])})"
        return Code(src, ATOM, keep if keep == hint else dropped)

    def _function(self, name: str) -> str:
        known = TABLE[name].numpy if name in TABLE else (getattr(np, name),)
        if not known:
            self.helpers.add(name)
            return name
        module = "np.linalg" if "linalg" in str(getattr(known[0], "__module__", "")) else "np"
        return f"{module}.{name if getattr(np, name, None) in known else known[0].__name__}"  # np.abs and not np.absolute


def _places(c: Code, labels: Sequence[int]) -> str:
    """The value of axis= for these labels."""
    axes = [i for i, a in enumerate(c.axes) if a in labels]
    return str(axes[0] if len(axes) == 1 else tuple(axes))


def _matmul(*codes: Code) -> Code:
    if len(codes) == 1:
        return codes[0]
    return Code(" @ ".join(c.inside(MATMUL) for c in codes), MATMUL, codes[0].axes[:-1] + codes[-1].axes[1:])


def _without_leading(axes: Axes) -> Axes:
    """Axes of length 1 in front are there by broadcasting."""
    return axes[next((i for i, a in enumerate(axes) if a is not None), len(axes)) :]


def _sides(x: M, numbers: bool = True) -> tuple[M, M]:
    """The two sides of a comparison with 0: what is added, and what is subtracted or, with `numbers`, a number."""
    terms = x.args if x.op == "add" else ((1, x),)
    added = [(c, y) for c, y in terms if c > 0]
    left = [(c, y) for c, y in added if y.op != "num" or not numbers] or added  # 1 - x > 0
    return summed(left, x.ls), summed([(-c, y) for c, y in terms if (c, y) not in left], x.ls)


def _broadcasts(axes: Axes, base: Axes) -> bool:
    return len(axes) <= len(base) and all(a is None or a == b for a, b in zip(reversed(axes), reversed(base), strict=False))


def helper(name: str) -> str:
    """The definition of a function that printed source calls and NumPy lacks; for an op of the user's, a comment."""
    op = TABLE[name]
    if not op.source:
        return f"# {name} is your own op: define it as a function of arrays"
    *lines, last = op.source.splitlines()
    signature = ", ".join(
        f"{k}={p.default}" if p.default is not p.empty else k for k, p in inspect.signature(op.forward).parameters.items()
    )
    return "\n    ".join([f"def {name}({signature}):", *lines, f"return {last}"])
