"""Printing matrix notation as NumPy source and as plain text.

NumPy source keeps the true shapes of the user's arrays: (n,), (n, 1), (1, n), (n, m).  Plain text is NumPy's
notation without `np.` in which every vector is a column, so that it reads like mathematics: `(y2 - t) @ y1.T`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from string import ascii_letters
from typing import Any, NamedTuple

from ..ops import TABLE
from .expr import Number
from .matrix import M, transpose

Axes = tuple[int | None, ...]
SUM, PRODUCT, POWER, ATOM = 0, 1, 3, 4


class Code(NamedTuple):
    """A piece of source, how tightly it binds, and the label of each axis of its value (None: length 1)."""

    src: str
    prec: int
    axes: Axes

    def inside(self, prec: int) -> str:
        """The source as an operand of something that binds that tightly."""
        return self.src if self.prec >= prec else f"({self.src})"


def numeral(c: Number) -> str:
    """A number as a person writes it: 2, 0.1, 1/3."""
    c = Fraction(c)
    if c.denominator == 1:
        return str(c.numerator)
    decimal = repr(float(c))
    return decimal if c.denominator % 5 == 0 or c.denominator == 2 and Fraction(decimal) == c else f"{c.numerator}/{c.denominator}"


class Writer:
    """Prints trees, given the axes of each name (None for those of length 1)."""

    def __init__(self, dims: Mapping[str, Sequence[str | None]], text: bool, root: str) -> None:
        self.dims, self.text, self.root = dims, text, root
        self.helpers: set[str] = set()
        self.sizes: set[str] = set()

    def write(self, x: M, axes: Axes | None = None) -> str:
        """The source of a tree; for NumPy, of a value with exactly these axes."""
        if self.text or axes is None:
            src = self.code(x, ()).src
            return re.sub(r"\bnp\.(linalg\.)?", "", src) if self.text else src
        c = self.code(x, axes)
        return self.fit(self._number_free(c, axes), axes).src

    def code(self, x: M, hint: Axes = ()) -> Code:
        """One node; `hint` are the axes its user would like best."""
        return getattr(self, "_" + x.op)(x, hint)  # type: ignore[no-any-return]

    def _number_free(self, c: Code, axes: Axes) -> Code:
        if not any(a is not None for a in c.axes) and c.axes != axes and not any(a is not None for a in axes):
            return Code(f"np.reshape({c.src}, {(1,) * len(axes)})", ATOM, axes)
        return c

    # ------------------------------------------------------------ axes

    def fit(self, c: Code, axes: Axes) -> Code:
        """The same value with other axes: transposed, axes of length 1 added or taken away."""
        if c.axes == axes or self.text:
            return c
        if c.axes[::-1] == axes:
            return Code(c.inside(ATOM) + ".T", ATOM, axes)
        if not any(a is not None for a in c.axes):
            return c if not c.axes else Code(c.inside(ATOM) + ".item()", ATOM, ())
        src = c.inside(ATOM)
        have = [a for a in c.axes if a is not None]
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
        if not labels:
            return [self.fit(c, ()) for c in codes], ()
        full = [c.axes for c in codes if {a for a in c.axes if a is not None} == set(labels)]
        base = hint if hint in full else full[0] if full else tuple(a for a in hint if a in labels) if set(labels) <= set(hint) else tuple(labels)
        out = []
        for x, c in zip(xs, codes, strict=True):
            if not _broadcasts(c.axes, base):
                wish = tuple(a if a in c.axes else None for a in base)
                while wish and wish[0] is None:
                    wish = wish[1:]
                c = self.fit(self.code(x, wish), wish)
            out.append(c)
        return out, base

    # ------------------------------------------------------------ leaves

    def _sym(self, x: M, hint: Axes) -> Code:
        name = x.args[0]
        upstream = name.startswith("∂")
        src = (f"d{self.root}/d{name[1:]}" if self.text else f"d{self.root}_d{name[1:]}") if upstream else name
        prec = PRODUCT if upstream and self.text else ATOM
        if name not in self.dims:
            if name.isidentifier() and not upstream:
                self.sizes.add(name)
            return Code(src, prec, ())
        labels = iter(x.ls)
        axes = tuple(None if d is None else next(labels) for d in self.dims[name])
        if self.text and len(x.ls) == 1:
            row = len(axes) > 1 and axes[0] is None and not upstream
            return Code(src + ".T" if row else src, prec, (x.ls[0], None))
        return Code(src, prec, () if self.text and not x.ls else axes)

    def _num(self, x: M, hint: Axes) -> Code:
        src = numeral(x.args[0])
        return Code(src, SUM if src[0] == "-" else PRODUCT if "/" in src else ATOM, ())

    def _ones(self, x: M, hint: Axes) -> Code:
        (dim,) = x.args
        self.sizes.add(dim)
        if set(hint) - {None} == set(x.ls) and len(hint) == 2 and not self.text:
            return Code(f"np.ones({'(1, ' + dim + ')' if hint[0] is None else '(' + dim + ', 1)'})", ATOM, hint)
        return Code(f"np.ones({dim})", ATOM, (x.ls[0], None) if self.text else x.ls)

    def _eye(self, x: M, hint: Axes) -> Code:
        self.sizes.add(x.args[0])
        return Code(f"np.eye({x.args[0]})", ATOM, x.ls)

    # ------------------------------------------------------------ products of matrices

    def _T(self, x: M, hint: Axes) -> Code:
        inner = x.args[0]
        if self.text and inner.op == "sym" and len(inner.ls) == 1 and self._is_row(inner.args[0]):
            return Code(inner.args[0], ATOM, (None, inner.ls[0]))
        c = self.code(inner, tuple(reversed(hint)))
        if len(c.axes) < 2:
            return c
        return Code(c.inside(ATOM) + ".T", ATOM, c.axes[::-1])

    def _is_row(self, name: str) -> bool:
        dims = self.dims.get(name, ())
        return len(dims) == 2 and dims[0] is None and dims[1] is not None and not name.startswith("∂")

    def _mm(self, x: M, hint: Axes) -> Code:
        if self.text:
            last = x.args[-1]
            if last.op == "diag" and (v := self.code(last.args[0])).axes == (None, last.ls[0]):
                rest = self._mm(M("mm", x.args[:-1], x.ls), hint) if len(x.args) > 2 else self.code(x.args[0])
                return Code(f"{rest.inside(PRODUCT)} * {v.inside(PRODUCT + 1)}", PRODUCT, x.ls)
            src = " @ ".join(self.code(a).inside(PRODUCT + 1) for a in x.args)
            column = (x.ls[0], None) if len(x.ls) == 1 else x.ls
            return Code(src, PRODUCT, column)
        return self._chain(list(x.args), x.ls, hint)

    def _chain(self, args: list[M], ls: tuple[int, ...], hint: Axes) -> Code:
        """A product with the true shapes of its factors."""
        if len(args) == 1:
            x = args[0]
            return self.code(x.args[0] if x.op == "T" and len(x.ls) == 1 else x, hint)
        if len(ls) == 2:
            cut = next((i for i, a in enumerate(args) if len(a.ls) == 1), None)
            if cut is not None:
                return self._outer(args[: cut + 1], args[cut + 1 :], ls)
            return self._matrices(args, ls)
        if not ls:
            left, right = self._chain(args[:1], args[0].ls, ()), self._chain(args[1:], args[0].ls, ())
            if len(left.axes) == len(right.axes) == 1:
                return Code(f"{left.inside(PRODUCT + 1)} @ {right.inside(PRODUCT)}", PRODUCT, ())
            return Code(f"np.sum({left.inside(PRODUCT)} * {self.fit(right, left.axes).inside(PRODUCT + 1)})", ATOM, ())
        if args[0].op == "T" and len(args[0].ls) == 1 or len(args[0].ls) == 1:  # a row times matrices: as a column
            args = [transpose(a) for a in reversed(args)]
        if args[0].op == "diag":
            rest = M("mm", tuple(args[1:]), ls) if len(args) > 2 else args[1]
            codes, axes = self.join([args[0].args[0], rest], hint)
            return Code(" * ".join(c.inside(PRODUCT) for c in codes), PRODUCT, axes)
        right = self._chain(args[1:], args[1].ls[:1], (args[1].ls[0], None) if len(hint) == 2 else ())
        left = self.fit(self.code(args[0]), args[0].ls)
        if right.axes == (None, args[1].ls[0]):
            right = self.fit(right, right.axes[::-1])
        return Code(f"{left.inside(PRODUCT + 1)} @ {right.inside(PRODUCT)}", PRODUCT, (ls[0], *right.axes[1:]))

    def _outer(self, left: list[M], right: list[M], ls: tuple[int, ...]) -> Code:
        a = self._chain(left, ls[:1], ())
        b = self._chain([transpose(y) for y in reversed(right)] if len(right) > 1 else right, ls[1:], ())
        if len(a.axes) == len(b.axes) == 2:
            a, b = self.fit(a, (ls[0], None)), self.fit(b, (None, ls[1]))
            return Code(f"{a.inside(PRODUCT)} @ {b.inside(PRODUCT + 1)}", PRODUCT, ls)
        return Code(f"np.outer({a.src}, {b.src})", ATOM, ls)

    def _matrices(self, args: list[M], ls: tuple[int, ...]) -> Code:
        src, prec, before = "", ATOM, None
        for i, y in enumerate(args):
            if y.op == "diag" and len(args) > 1:
                v = self.code(y.args[0])
                if not src and before is None:
                    before = self.fit(v, (y.ls[0], None)).inside(PRODUCT)
                    continue
                row = v if v.axes == (y.ls[0],) else self.fit(v, (None, y.ls[0]))
                src, prec = f"{src if prec >= PRODUCT else '(' + src + ')'} * {row.inside(PRODUCT + 1)}", PRODUCT
                if i + 1 < len(args):
                    src, prec = f"({src})", ATOM
                continue
            c = self.fit(self.code(y), y.ls)
            if before is not None:
                src, before = f"({before} * {c.inside(PRODUCT + 1)})", None
                prec = ATOM
            elif not src:
                src, prec = c.src if c.prec > PRODUCT else f"({c.src})", ATOM
            else:
                src, prec = f"{src} @ {c.inside(PRODUCT + 1)}", PRODUCT
        return Code(src, prec, ls)

    def _diag(self, x: M, hint: Axes) -> Code:
        v = self.code(x.args[0], x.ls[:1])
        return Code(f"np.diag({self.fit(v, x.ls[:1]).src})", ATOM, x.ls)

    def _diagof(self, x: M, hint: Axes) -> Code:
        return Code(f"np.diag({self.code(x.args[0]).src})", ATOM, (x.ls[0], None) if self.text else x.ls)

    def _whole(self, x: M, hint: Axes) -> Code:
        name, inner = x.args
        return Code(f"{self._function(name)}({self.fit(self.code(inner), (0, 1)).src})", ATOM, x.ls)

    def _ein(self, x: M, hint: Axes) -> Code:
        letters: dict[int, str] = {}
        inputs, parts = [], []
        for y in x.args:
            c = self.code(y, tuple(y.ls))
            c = self.fit(c, tuple(a for a in c.axes if a is not None)) if None in c.axes and not self.text else c
            axes = tuple(a for a in c.axes if a is not None)
            inputs.append("".join(letters.setdefault(a, ascii_letters[len(letters)]) for a in axes))
            parts.append(c.src)
        out = "".join(letters[a] for a in x.ls)
        return Code(f'np.einsum("{",".join(inputs)}->{out}", {", ".join(parts)})', ATOM, x.ls)

    # ------------------------------------------------------------ entry by entry

    def _had(self, x: M, hint: Axes) -> Code:
        codes, axes = self.join(x.args, hint)
        parts = [c.inside(PRODUCT + (1 if i or " @ " in c.src else 0)) for i, c in enumerate(codes)]
        if all(y.op == "fn" and y.args[0] in (">", ">=", "==") for y in x.args):
            parts.insert(0, "1.0")
        parts = [p.removeprefix("1.0 * ") for p in parts]
        return Code(" * ".join(parts), PRODUCT, axes)

    def _div(self, x: M, hint: Axes) -> Code:
        (a, b), axes = self.join(x.args, hint)
        return Code(f"{a.inside(PRODUCT)} / {b.inside(PRODUCT + 1)}", PRODUCT, axes)

    def _pow(self, x: M, hint: Axes) -> Code:
        c, k = self.code(x.args[0], hint), x.args[1]
        if k == Fraction(1, 2):
            return Code(f"np.sqrt({c.src})", ATOM, c.axes)
        exponent = numeral(k)
        return Code(f"{c.inside(ATOM)}**{exponent if '/' not in exponent else '(' + exponent + ')'}", POWER, c.axes)

    def _fn(self, x: M, hint: Axes) -> Code:
        name, inner = x.args[:2]
        c = self.code(inner, hint)
        if name in (">", ">=", "=="):
            left, right = c.src, "0"
            if inner.op == "add" and len(inner.args) == 2 and inner.args[0][0] == 1 and inner.args[1][0] == -1:
                (a, b), _ = self.join([y for _, y in inner.args], hint)
                left, right = a.inside(PRODUCT), b.inside(PRODUCT)
            return Code(f"1.0 * ({left} {name} {right})", PRODUCT, c.axes)
        if name == "softmax":
            axis = c.axes.index(x.args[2]) if len(c.axes) > 1 and not (self.text and len(x.ls) == 1) else None
            self.helpers.add("softmax")
            return Code(f"softmax({c.src}{'' if axis is None else f', axis={axis}'})", ATOM, c.axes)
        return Code(f"{self._function(name)}({c.src})", ATOM, c.axes)

    def _function(self, name: str) -> str:
        op = TABLE[name]
        if op.numpy:
            module = getattr(op.numpy[0], "__module__", None) or ""
            return f"np.linalg.{op.numpy[0].__name__}" if "linalg" in module else f"np.{op.numpy[0].__name__}"
        self.helpers.add(name)
        return name

    def _scale(self, x: M, hint: Axes) -> Code:
        c, y = x.args
        if isinstance(c, M):
            if c.op == "div" and c.args[0].op == "num" and c.args[0].args[0] == 1:
                a, b = self.code(y, hint), self.code(c.args[1])
                return Code(f"{a.inside(PRODUCT)} / {self.fit(b, ()).inside(PRODUCT + 1)}", PRODUCT, a.axes)
            (s,), _ = self.join([c], ())
            a = self.code(y, hint)
            return Code(f"{s.inside(PRODUCT)} * {a.inside(PRODUCT + (1 if ' / ' in s.src else 0))}", PRODUCT, a.axes)
        a = self.code(y, hint)
        if c == -1:
            return Code("-" + a.inside(PRODUCT), SUM, a.axes)
        f = Fraction(c)
        number = numeral(abs(f))
        if "/" not in number:
            src, prec = f"{number} * {a.inside(PRODUCT)}", PRODUCT
        else:
            top = a.inside(PRODUCT) if abs(f.numerator) == 1 else f"{abs(f.numerator)} * {a.inside(PRODUCT)}"
            src, prec = f"{top} / {f.denominator}", PRODUCT
        return Code("-" + src, SUM, a.axes) if f < 0 else Code(src, prec, a.axes)

    def _add(self, x: M, hint: Axes) -> Code:
        codes, axes = self.join([y if abs(c) == 1 else M("scale", (abs(c), y), y.ls) for c, y in x.args], hint)
        src = ""
        for (c, _), code in zip(x.args, codes, strict=True):
            part = code.inside(PRODUCT)
            src += (" - " if c < 0 else " + ") + part if src else ("-" if c < 0 else "") + part
        return Code(src, SUM, axes)

    def _bc(self, x: M, hint: Axes) -> Code:
        return self.code(x.args[0], hint)

    # ------------------------------------------------------------ sums

    def _sum(self, x: M, hint: Axes) -> Code:
        return Code(f"np.sum({self.code(x.args[0]).src})", ATOM, ())

    def _rowsum(self, x: M, hint: Axes) -> Code:
        inner = x.args[0]
        while inner.op == "T":
            inner = inner.args[0]
        c = self.code(inner)
        if self.text and len(c.axes) != 2:
            c = c._replace(axes=inner.ls)
        keep = tuple(a if a == x.ls[0] else None for a in c.axes)
        axis = next(i for i, a in enumerate(c.axes) if a != x.ls[0])
        if self.text:
            return Code(f"{c.inside(ATOM)}.sum({axis})", ATOM, keep)
        if hint == keep:
            return Code(f"{c.inside(ATOM)}.sum({axis}, keepdims=True)", ATOM, keep)
        return Code(f"{c.inside(ATOM)}.sum({axis})", ATOM, x.ls)

    def _inner(self, x: M, hint: Axes) -> Code:
        codes, _ = self.join(x.args, ())
        return Code(f"np.sum({' * '.join(c.inside(PRODUCT + 1) for c in codes)})", ATOM, ())

    def _frob(self, x: M, hint: Axes) -> Code:
        return Code(f"np.sum({self.code(x.args[0]).inside(ATOM)}**2)", ATOM, ())


def _broadcasts(axes: Axes, base: Axes) -> bool:
    return len(axes) <= len(base) and all(a is None or a == b for a, b in zip(reversed(axes), reversed(base), strict=False))


def helper(name: str) -> str:
    """The definition of a function that printed source calls and NumPy lacks."""
    if name == "softmax":
        return (
            "def softmax(x, axis=None):\n    e = np.exp(x - np.max(x, axis=axis, keepdims=True))\n"
            "    return e / np.sum(e, axis=axis, keepdims=True)"
        )
    return f"def {name}(x):\n    return {TABLE[name].source}"
