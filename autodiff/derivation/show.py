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
from .matrix import M, scaled, squared, transpose

Axes = tuple[int | None, ...]
COMPARE, SUM, PRODUCT, MATMUL, POWER, ATOM = -1, 0, 1, 2, 3, 4


class Code(NamedTuple):
    """A piece of source, how tightly it binds, and the label of each axis of its value (None: length 1)."""

    src: str
    prec: int
    axes: Axes
    mask: bool = False  # booleans, which NumPy adds and multiplies by rules of their own

    def inside(self, prec: int) -> str:
        """The source as an operand of something that binds that tightly."""
        return self.src if self.prec >= prec else f"({self.src})"


def is_decimal(c: Fraction) -> bool:
    """Is it written with a point, as 0.1 is and 1/30 is not, or too long to be written out?"""
    if c.denominator > 10**6 or abs(c.numerator) >= 10**16:
        return True
    return c.denominator % 5 == 0 and Fraction(repr(float(c))) == c


def numeral(c: Number) -> str:
    """A number as a person writes it: 2, 0.1, 1/3, 1e+300."""
    c = Fraction(c)
    if is_decimal(c) or c.denominator == 2:
        return repr(float(c))
    return str(c)


class Writer:
    """Prints trees, given the axes of each name (None for those of length 1)."""

    def __init__(self, dims: Mapping[str, Sequence[str | None]], text: bool, root: str) -> None:
        self.dims, self.text, self.root = dims, text, root
        self.helpers: set[str] = set()
        self.sizes: set[str] = set()

    def write(self, x: M, axes: Axes | None = None) -> str:
        """The source of a tree, of a value with exactly these axes; without axes in another layout, as the tree has it."""
        self.laid_out = axes is None and self.text
        if x.op == "num" and axes and not x.ls and not any(a is not None for a in axes):
            x = scaled(x.args[0], M("ones", (), ())) if x.args[0] else M("zeros", (), ())
        c = _real(self.code(x, axes or (x.ls if len(x.ls) == 2 else ())))
        src = self.fit(c, c.axes if axes is None else axes).src
        return re.sub(r"\bnp\.(linalg\.)?", "", src) if self.text else src

    def code(self, x: M, hint: Axes = ()) -> Code:
        """One node; `hint` are the axes its user would like best."""
        return getattr(self, "_" + x.op)(x, hint)  # type: ignore[no-any-return]

    # ------------------------------------------------------------ axes

    def fit(self, c: Code, axes: Axes) -> Code:
        """The same value with other axes: transposed, axes of length 1 added or taken away."""
        if c.axes == axes:
            return c
        c = _real(c)
        have = [a for a in c.axes if a is not None]
        if not have and any(a is not None for a in axes):
            axes = ()
        if not c.axes:
            return Code(f"np.reshape({c.src}, ({'1,' if len(axes) == 1 else ', '.join('1' * len(axes))}))", ATOM, axes) if axes else c
        src = c.inside(ATOM)
        if not have:  # a single number: only how many axes it has differs
            gone = len(c.axes) - len(axes)
            return Code(f"{src}[{', '.join(['0'] * gone or ['None'] * -gone)}]", ATOM, axes)
        if c.axes[::-1] == axes:
            return Code(src + ".T", ATOM, axes)
        if len(have) < len(c.axes):
            src += "[" + ", ".join("0" if a is None else ":" for a in c.axes) + "]"
            src = re.sub(r"(, :)+\]$", "]", src) if not src.endswith("[:]") else src
        order = [have.index(a) for a in axes if a in have]
        if order != list(range(len(have))):
            src += ".T" if order == [1, 0] else f".transpose({', '.join(map(str, order))})"
        if [a for a in axes if a in have] != list(axes):
            src += "[" + ", ".join("None" if a is None or a not in have else ":" for a in axes) + "]"
        return Code(src, ATOM, tuple(a if a in have else None for a in axes))

    def join(self, xs: Sequence[M], hint: Axes) -> tuple[list[Code], Axes]:
        """Operands of one elementwise operation, their axes aligned as broadcasting needs."""
        codes = [self.code(x, hint) for x in xs]
        labels = list(dict.fromkeys(a for c in codes for a in c.axes if a is not None))
        full = [c.axes for c in codes if {a for a in c.axes if a is not None} == set(labels)]
        if not labels:
            base = max(full, key=len)
        elif full:
            base = hint if hint in full else full[0]
        else:
            base = tuple(a for a in hint if a in labels) if set(labels) <= set(hint) else tuple(labels)
        out = []
        for x, c in zip(xs, codes, strict=True):
            if not _broadcasts(c.axes, base):
                wish = _without_leading(tuple(a if a in c.axes else None for a in base))
                c = self.fit(self.code(x, wish), wish)
            out.append(c)
        return out, base

    # ------------------------------------------------------------ leaves

    def _sym(self, x: M, hint: Axes) -> Code:
        name = x.args[0]
        upstream = name.startswith("∂")
        src = (f"d{self.root}/d{name[1:]}" if self.text else f"d{self.root}_d{name[1:]}") if upstream else name
        prec = POWER if upstream and self.text else ATOM
        if name not in self.dims:
            if name.isidentifier() and not upstream:
                self.sizes.add(name)
            return Code(src, prec, ())
        labels = iter(x.ls)
        axes = tuple(None if d is None else next(labels) for d in self.dims[name])
        c = Code(src, prec, axes, mask=x.args[1:] == ("condition",) and not self.text)
        return c if len(axes) < 3 or axes == hint else self.fit(c, x.ls)

    def _num(self, x: M, hint: Axes) -> Code:
        src = numeral(x.args[0])
        return Code(src, SUM if src[0] == "-" else PRODUCT if "/" in src else ATOM, ())

    def _ones(self, x: M, hint: Axes) -> Code:
        self.sizes.update(x.args)
        dims = iter(x.args)
        axes = hint if tuple(a for a in hint if a is not None) == x.ls else x.ls
        shape = ", ".join("1" if a is None else next(dims) for a in axes)
        return Code(f"np.{x.op}({shape if len(axes) == 1 and x.ls else f'({shape})' if len(axes) > 1 else '(1,)'})", ATOM, axes)

    _zeros = _ones

    def _row(self, x: M, hint: Axes) -> Code:
        c = self.code(x.args[0])
        return Code(c.src, c.prec, (None, *x.ls) if len(x.ls) == 1 else x.ls)

    def _column(self, x: M, hint: Axes) -> Code:
        return Code(self.code(x.args[0]).inside(ATOM) + ".T", ATOM, x.ls)

    def _eye(self, x: M, hint: Axes) -> Code:
        self.sizes.add(x.args[0])
        return Code(f"np.eye({x.args[0]})", ATOM, x.ls)

    # ------------------------------------------------------------ products of matrices

    def _T(self, x: M, hint: Axes) -> Code:
        c = _real(self.code(x.args[0], hint[::-1] or x.ls[::-1]))
        if len(x.ls) == 1 and self.text:
            return Code(c.inside(ATOM) + ".T", ATOM, (None, x.ls[0])) if len(c.axes) == 1 else self.fit(c, (None, x.ls[0]))
        if len(c.axes) < 2:
            return c
        return Code(c.inside(ATOM) + ".T", ATOM, c.axes[::-1])

    def _matrix(self, x: M) -> Code:
        """A factor of a product that is a matrix."""
        return self.fit(_real(self.code(x, x.ls)), x.ls)

    def _mm(self, x: M, hint: Axes) -> Code:
        if (v := squared(x)) is not None and v.op != "sym":
            return self._reduced("sum", self.code(M("pow", (v, 2), v.ls)), (), hint)
        return self._chain(list(x.args), x.ls, hint)

    def _chain(self, args: list[M], ls: tuple[int, ...], hint: Axes) -> Code:
        """A product with the true shapes of its factors."""
        if len(args) == 1:
            x = args[0]
            return self.code(x.args[0] if x.op == "T" and len(x.ls) == 1 else x, hint)
        if not ls:
            return self._scalar(self._chain(args[:1], args[0].ls, ()), self._chain(args[1:], args[0].ls, ()), args[0].ls[0])
        if len(ls) == 2:
            cut = next((i for i, a in enumerate(args) if len(a.ls) == 1), None)
            if cut is not None:
                return self._outer(args[: cut + 1], args[cut + 1 :], ls)
            return self._matrices(args, ls)
        if self.laid_out and len(args[0].ls) == 1:
            return self._rows(args, ls)
        if len(args[0].ls) == 1:  # a row times matrices: as a column
            args = [transpose(a) for a in reversed(args)]
        if len(hint) == 2 and hint[0] is None and all(a.op != "diag" for a in args):  # x @ W for a row x
            v = self.fit(_real(self._chain(args[-1:], args[-1].ls, (None, *args[-1].ls))), (None, *args[-1].ls))
            rest = [transpose(a) for a in reversed(args[:-1])]
            return Code(f"{v.inside(MATMUL)} @ {self._matrices(rest, ls).inside(MATMUL)}", MATMUL, (None, *ls))
        if args[0].op == "diag":
            codes, axes = self.join([args[0].args[0], M("mm", tuple(args[1:]), ls) if len(args) > 2 else args[1]], hint)
            return Code(" * ".join(c.inside(POWER) for c in codes), PRODUCT, axes)
        right = self._chain(args[1:], args[1].ls[:1], (args[1].ls[0], None) if len(hint) == 2 else ())
        left = self._matrix(args[0])
        if right.axes == (None, args[1].ls[0]):
            right = self.fit(right, right.axes[::-1])
        return Code(f"{left.inside(MATMUL)} @ {_real(right).inside(MATMUL)}", MATMUL, (ls[0], *right.axes[1:]))

    def _scalar(self, a: Code, b: Code, k: int) -> Code:
        """The product of a row and a column."""
        a, b = _real(a), _real(b)
        if len(a.axes) == len(b.axes) == 1:
            row = a.inside(ATOM) + ".T" if self.text else a.inside(MATMUL)
            return Code(f"{row} @ {b.inside(MATMUL)}", MATMUL, ())
        if len(a.axes) == 1:
            a, b = b, a
        a, b = self.fit(a, (None, k)), self.fit(b, (k, None)) if len(b.axes) > 1 else b
        return Code(f"{a.inside(MATMUL)} @ {b.inside(MATMUL)}", MATMUL, (None, *b.axes[1:]))

    def _rows(self, args: Sequence[M], ls: tuple[int, ...]) -> Code:
        """A row times matrices, in text."""
        parts = [self.code(args[0]), *map(self._matrix, args[1:])]
        if parts[0].axes[:1] != (None,):
            parts[0] = Code(parts[0].inside(ATOM) + ".T", ATOM, (None, *args[0].ls))
        return Code(" @ ".join(c.inside(MATMUL) for c in parts), MATMUL, (None, *ls)) if args[1:] else parts[0]

    def _outer(self, left: list[M], right: list[M], ls: tuple[int, ...]) -> Code:
        a = _real(self._chain(left, ls[:1], ()))
        if self.text:
            a = self.fit(a, (ls[0], None)) if a.axes[0] is None else a
            return Code(f"{a.inside(MATMUL)} @ {self._rows(right, ls[1:]).inside(MATMUL)}", MATMUL, ls)
        b = self._chain([transpose(y) for y in reversed(right)] if len(right) > 1 else right, ls[1:], ())
        if len(a.axes) == len(b.axes) == 2:
            a, b = self.fit(a, (ls[0], None)), self.fit(b, (None, ls[1]))
            return Code(f"{a.inside(MATMUL)} @ {_real(b).inside(MATMUL)}", MATMUL, ls)
        return Code(f"np.outer({a.src}, {b.src})", ATOM, ls)

    def _matrices(self, args: Sequence[M], ls: tuple[int, ...]) -> Code:
        """A product of matrices; a diagonal one scales the rows or columns beside it."""
        i = next((i for i, y in enumerate(args) if y.op == "diag" and self._scales(args, i)), None)
        if i is None:
            return Code(" @ ".join(self._matrix(y).inside(MATMUL) for y in args), MATMUL, ls) if len(args) > 1 else self._matrix(args[0])
        v, before, after = args[i].args[0], args[:i], args[i + 1 :]
        axes = self.code(v).axes
        if not before or (after and axes[-1:] == (None,)):
            right = self._times(v, (v.ls[0], None), self._matrices(after, ls))
            return Code(f"{self._matrices(before, ls).inside(MATMUL)} @ {right.inside(MATMUL)}", MATMUL, ls) if before else right
        left = self._times(v, (None, v.ls[0]), self._matrices(before, ls))
        return Code(f"{left.inside(MATMUL)} @ {self._matrices(after, ls).inside(MATMUL)}", MATMUL, ls) if after else left

    def _scales(self, args: Sequence[M], i: int) -> bool:
        """Is a diagonal factor written entry by entry?  In text it is if its vector has a second axis, of length 1, or stands last."""
        v = args[i].args[0]
        return len(args) > 1 and (not self.text or i == len(args) - 1 or len(self.code(v, (*v.ls, None)).axes) == 2)

    def _times(self, v: M, axes: Axes, c: Code) -> Code:
        """A matrix times a vector along one axis; 1 / s divides."""
        below = v.op == "div" and v.args[0].op == "num" and v.args[0].args[0] == 1
        x = self.code(v.args[1] if below else v, _without_leading(axes))
        x = x if _broadcasts(x.axes, axes) else self.fit(x, axes)
        if axes[0] is None or below:
            return Code(f"{c.inside(PRODUCT)} {'/' if below else '*'} {x.inside(POWER)}", PRODUCT, c.axes)
        return Code(f"{x.inside(PRODUCT)} * {c.inside(POWER)}", PRODUCT, c.axes)

    def _diag(self, x: M, hint: Axes) -> Code:
        v = _real(self.code(x.args[0], x.args[0].ls))
        return Code(f"np.diag({self.fit(v, x.args[0].ls).src})", ATOM, x.ls)

    def _diagof(self, x: M, hint: Axes) -> Code:
        inner = _real(self.code(x.args[0]))
        inner = self.fit(inner, tuple(a for a in inner.axes if a is not None))
        return Code(f"np.diag({inner.src})", ATOM, x.ls)

    def _whole(self, x: M, hint: Axes) -> Code:
        name, inner = x.args[:2]
        return Code(f"{self._function(name)}({self.fit(self.code(inner), (0, 1)).src})", ATOM, x.ls)

    def _ein(self, x: M, hint: Axes) -> Code:
        letters: dict[int, str] = {}
        inputs, parts = [], []
        for y in x.args:
            c = _real(self.code(y, tuple(y.ls)))
            c = self.fit(c, tuple(a for a in c.axes if a is not None)) if None in c.axes and not self.text else c
            axes = tuple(a for a in c.axes if a is not None)
            inputs.append("".join(letters.setdefault(a, ascii_letters[len(letters)]) for a in axes))
            parts.append(c.src)
        out = "".join(letters[a] for a in x.ls)
        return Code(f'np.einsum("{",".join(inputs)}->{out}", {", ".join(parts)})', ATOM, x.ls)

    # ------------------------------------------------------------ entry by entry

    def _had(self, x: M, hint: Axes) -> Code:
        codes, axes = self.join(x.args, hint)
        parts = [c.inside(POWER if i or c.prec == MATMUL else PRODUCT) for i, c in enumerate(codes)]
        return Code(" * ".join(parts), PRODUCT, axes, all(c.mask for c in codes))

    def _div(self, x: M, hint: Axes) -> Code:
        (a, b), axes = self.join(x.args, hint)
        return Code(f"{a.inside(PRODUCT)} / {b.inside(POWER)}", PRODUCT, axes)

    def _raised(self, x: M, hint: Axes) -> Code:
        (a, b), axes = self.join(x.args, hint)
        base = a.src + ".0" if a.src.isdigit() and not self.text else a.inside(ATOM)  # NumPy takes no 2**-1 of integers
        return Code(f"{base}**{b.inside(ATOM)}", POWER, axes)

    def _pow(self, x: M, hint: Axes) -> Code:
        inner, k = x.args
        if not inner.ls and Fraction(2 * k).denominator == 1 and Fraction(k).denominator == 2 and (v := squared(inner)) is not None:
            norm = f"np.linalg.norm({self.code(v).src})"
            return Code(norm if 2 * k == 1 else f"{norm}**{2 * k}", ATOM if 2 * k == 1 else POWER, ())
        c = _real(self.code(inner, hint))
        if k == Fraction(1, 2):
            return Code(f"np.sqrt({c.src})", ATOM, c.axes)
        exponent = numeral(k)
        if not self.text and k < 0 and "/" not in exponent:
            exponent = repr(float(k))
        return Code(f"{c.inside(ATOM)}**{exponent if '/' not in exponent else '(' + exponent + ')'}", POWER, c.axes)

    def _fn(self, x: M, hint: Axes) -> Code:
        name, inner = x.args[:2]
        c = self.code(inner, hint)
        if name in COMPARISONS:
            left, right = _sides(inner)
            (l, r), axes = self.join([left, right], hint)
            return Code(f"{l.src} {name} {r.src}", COMPARE, axes, mask=not self.text)
        if name == "heaviside":
            return Code(f"np.heaviside({c.src}, 0.5)", ATOM, c.axes)
        return Code(f"{self._function(name)}({c.src})", ATOM, c.axes)

    def _along(self, x: M, hint: Axes) -> Code:
        name, inner, labels = x.args
        c = self.code(inner, hint)
        which = "" if len(labels) == len(x.ls) and (self.text or None not in c.axes) else self._axis(c, labels)
        return Code(f"{self._function(name)}({c.src}{which})", ATOM, c.axes)

    def _axis(self, c: Code, labels: Axes) -> str:
        axes = [i for i, a in enumerate(c.axes) if a in labels]
        return f", axis={axes[0] if len(axes) == 1 else tuple(axes)}"

    def _function(self, name: str) -> str:
        op = TABLE[name]
        if op.numpy:
            module = getattr(op.numpy[0], "__module__", None) or ""
            known = name if getattr(np, name, None) in op.numpy else op.numpy[0].__name__  # np.abs and not np.absolute
            return f"np.linalg.{known}" if "linalg" in module else f"np.{known}"
        self.helpers.add(name)
        return name

    def _scale(self, x: M, hint: Axes) -> Code:
        c, y = x.args
        a = self.code(y, hint)
        if isinstance(c, M):
            a = self.fit(a, hint) if len(y.ls) == 1 and set(hint) - {None} == set(y.ls) else a
            below = c.op == "div" and c.args[0].op == "num" and c.args[0].args[0] == 1
            s = self.code(c.args[1] if below else c)
            s = s if _broadcasts(s.axes, a.axes) else self.fit(s, ())
            if below:
                return Code(f"{a.inside(PRODUCT)} / {s.inside(POWER)}", PRODUCT, a.axes)
            right = a.inside(POWER if s.axes and a.prec == MATMUL else PRODUCT)
            return Code(f"{s.inside(POWER if s.prec == MATMUL else PRODUCT)} * {right}", PRODUCT, a.axes)
        if c == -1:
            if a.mask:
                return Code(f"-1.0 * {a.inside(ATOM)}", SUM, a.axes)
            return Code("-" + (f"({a.src})" if self._leads_with_mask(y) else a.inside(PRODUCT)), SUM, a.axes)
        f = Fraction(c)
        number = numeral(abs(f))
        if "/" not in number:
            src, prec = f"{number} * {a.inside(PRODUCT)}", PRODUCT
        else:
            top = a.inside(PRODUCT) if abs(f.numerator) == 1 else f"{abs(f.numerator)} * {a.inside(PRODUCT)}"
            src, prec = f"{top} / {f.denominator}", PRODUCT
        return Code("-" + src, SUM, a.axes) if f < 0 else Code(src, prec, a.axes)

    def _add(self, x: M, hint: Axes) -> Code:
        codes, axes = self.join([scaled(abs(c), y) for c, y in x.args], hint)
        if (codes[0].mask and codes[1].mask) or (x.args[0][0] < 0 and self._leads_with_mask(x.args[0][1])):
            codes[0] = Code(f"1.0 * {codes[0].inside(PRODUCT)}", PRODUCT, codes[0].axes)
        src = ""
        for (c, _), code in zip(x.args, codes, strict=True):
            part = code.inside(PRODUCT)
            if not x.ls and re.fullmatch(r"\w+( \* \w+)+", part):  # numbers: w*x - y
                part = part.replace(" ", "")
            src += (" - " if c < 0 else " + ") + part if src else ("-" if c < 0 else "") + part
        return Code(src, SUM, axes)

    def _leads_with_mask(self, x: M) -> bool:
        """Does it begin with a comparison, whose booleans NumPy does not negate?"""
        while x.op in ("had", "div", "scale", "bc"):
            x = x.args[1 if x.op == "scale" else 0]
        return not self.text and ((x.op == "fn" and x.args[0] in COMPARISONS) or (x.op == "sym" and x.args[1:] == ("condition",)))

    def _bc(self, x: M, hint: Axes) -> Code:
        return self.code(x.args[0], hint)

    # ------------------------------------------------------------ sums

    def _sum(self, x: M, hint: Axes) -> Code:
        if x.args[0].op == "diagof":
            return Code(self.code(x.args[0]).src.replace("np.diag", "np.trace", 1), ATOM, ())
        return self._reduced("sum", self.code(x.args[0]), (), hint)

    def _rowsum(self, x: M, hint: Axes) -> Code:
        inner = x.args[0]
        while inner.op == "T":
            inner = inner.args[0]
        return self._reduced("sum", self.code(inner), x.ls, hint)

    def _over(self, x: M, hint: Axes) -> Code:
        name, inner, _ = x.args
        return self._reduced(name, self.code(inner.args[0] if inner.op == "T" else inner), x.ls, hint)

    def _reduced(self, name: str, c: Code, left: Axes, hint: Axes) -> Code:
        """All entries taken together but along the axes `left`; the others stay with length 1 if its user would like that."""
        keep = tuple(a if a in left else None for a in c.axes)
        gone = [i for i, a in enumerate(c.axes) if a not in left and a is not None]
        dropped = tuple(a for i, a in enumerate(c.axes) if i not in gone)
        if not left and (not hint or hint not in (keep, dropped)):
            return Code(f"{self._function(name)}({c.src})", ATOM, ())
        axis = f"{gone[0] if len(gone) == 1 else tuple(gone)}" if len(gone) < len(keep) else ""
        call = f"{c.inside(ATOM)}.sum({axis}" if name == "sum" else f"{self._function(name)}({c.src}{', axis=' if axis else ''}{axis}"
        if keep != hint:
            return Code(f"{call})", ATOM, dropped)
        return Code(f"{call}{'' if call[-1] == '(' else ', '}keepdims=True)", ATOM, keep)


def _without_leading(axes: Axes) -> Axes:
    """Axes of length 1 in front are there by broadcasting."""
    return axes[next((i for i, a in enumerate(axes) if a is not None), len(axes)) :]


def _real(c: Code) -> Code:
    """Booleans as numbers."""
    return Code(f"1.0 * {c.inside(ATOM)}", PRODUCT, c.axes) if c.mask else c


def _sides(x: M) -> tuple[M, M]:
    """The two sides of a comparison with 0: what is added, and what is subtracted or a number.

    A maximum stands alone: what it is compared with then rounds as it does inside, and equals it where it should.
    """
    terms = x.args if x.op == "add" else ((1, x),)
    alone = next((t for t in terms if abs(t[0]) == 1 and _is_extreme(t[1])), None)
    right = [(-c, y) for c, y in terms if c < 0 or y.op == "num"]
    left = [(c, y) for c, y in terms if c > 0 and y.op != "num"]
    if not left:  # 1 - x > 0
        left, right = [(c, y) for c, y in terms if c > 0], [(-c, y) for c, y in terms if c < 0]

    def total(side: list[tuple[Number, M]]) -> M:
        if len(side) < 2:
            return scaled(*side[0]) if side else M("num", (0,), ())
        return M("add", tuple(side), tuple(k for k in x.ls if any(k in y.ls for _, y in side)))

    if alone is not None:
        left, right = [(-alone[0] * c, y) for c, y in terms if (c, y) != alone], [(1, alone[1])]
        return (total(left), total(right)) if alone[0] < 0 else (total(right), total(left))
    return total(left), total(right)


def _is_extreme(x: M) -> bool:
    return _is_extreme(x.args[0]) if x.op == "bc" else x.op == "over" and x.args[0] in ("max", "min")


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
