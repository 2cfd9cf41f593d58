"""A formula as a small tree, and what it evaluates to.

The ops of the table and Python's operators do all the computing, so the same tree runs on arrays (numbers come
out), on nodes (it is recorded) and on symbols (a closed form comes out).

Products written without a sign are settled by shapes: a single number multiplies; a matrix product is meant if it
fits; two factors of equal shape that have no matrix product are multiplied entry by entry.

A component formula, such as `y_i (delta_ij - y_j)`, is evaluated over named axes: the axis of each index comes
first, in the order in which the indices first occur, then the axes that no index names (of a column, the one of
length 1).  Along named axes every product is entrywise, and only a sum sign sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...errors import AutodiffError, BadFormula, ShapeMismatch
from ...ops import TABLE
from ...ops.table import shape_of

LARGEST = 10**8  # entries; a slip such as y_i y_j y_k of three batches must not fill the memory
DEEPEST = 80  # levels of a tree; what follows the tree may therefore recurse


@dataclass(frozen=True)
class Formula:
    """One node of a formula: an operation, its operands, and what else it needs to know.

    op          args                value
    number                          the number
    name                            (the key in the environment, are 1-D arrays columns?)
    jacobian                        (of, by): the environment's "dof/dby"
    index       x                   (letters, does a single letter count the last axis of a matrix?)
    example     x                   as of an index of one letter; it counts a matrix's columns (or rows), each a vector
    entry       jacobian            (letters of what is derived, letters of what it is derived by)
    entries     x, indexed names    the letters of the left side, in order
    array       x                   the letters of the axes, in order
    add, mul, juxt, star, cdot, dot, matmul     any number; of star, "plain" if it may be NumPy's
    neg, div, pow, T                one or two
    call        operands            (the op's name, its options)
    prime       x                   the name of the function whose derivative this is
    total       x                   the letters summed over, and those they must differ from
    delta                           the two letters
    compare     x, y                = ≠ < > ≤ ≥
    same                            (letter, letter, are they equal?): a condition
    cases       x, condition, ...   the last x may come without a condition
    length      x                   the axis, or None for how many entries there are
    filled      lengths             "ones" or "zeros": an array of these
    ones                            1, which broadcasts
    eye         maybe its size      the size of the unit matrix, None if it is that of its surroundings
    getitem     x                   the index, of NumPy text
    """

    op: str
    args: tuple[Formula, ...] = ()
    value: Any = None
    depth: int = field(init=False, compare=False, default=1)

    def __post_init__(self) -> None:
        depth = 1 + max((a.depth for a in self.args), default=0)
        if depth > DEEPEST:
            raise BadFormula(f"the formula is nested more than {DEEPEST} deep")
        object.__setattr__(self, "depth", depth)

    def evaluate(self, env: Mapping[str, Any]) -> Any:
        """The formula's value for the names in `env`: an array, or a node or symbol if there is one among them.

        `env["dE/dz2"]` is an earlier gradient, `env["dy2/dz2"]` a Jacobian as ad.jacobian gives it.  Raises ShapeMismatch
        for operands that do not fit, and KeyError for a name that `env` lacks.

        >>> from autodiff.checking.mathtext import read
        >>> read("2 W x", ["W", "x"]).formula.evaluate({"W": np.eye(2), "x": np.ones((2, 1))})
        array([[2.],
               [2.]])
        """
        return _Evaluation(self, env).result()

    @property
    def names(self) -> set[str]:
        """The keys of the environment that the formula uses."""
        found = {f.value[0] for f in self.walk() if f.op == "name"}
        return found | {f"d{f.value[0]}/d{f.value[1]}" for f in self.walk() if f.op == "jacobian"}

    def walk(self) -> Iterator[Formula]:
        """This node and all below it."""
        todo = [self]
        while todo:
            f = todo.pop()
            yield f
            todo += f.args[::-1]

    def map(self, change: Callable[[Formula], Formula]) -> Formula:
        """The same tree with every node changed, operands first."""
        return change(replace(self, args=tuple(a.map(change) for a in self.args)) if self.args else self)

    def settled(self, env: Mapping[str, Any]) -> Formula:
        """The same with every product that only shapes can settle written as what it turned out to be."""
        run = _Evaluation(self, env)
        run.result()

        def settle(f: Formula) -> Formula:
            args = tuple(settle(a) for a in f.args)
            out = replace(f, args=args)
            for k, op in enumerate(run.meant.get(id(f), ())):
                first = args[0] if k == 0 else out
                if op == "inv":
                    out = Formula("call", (first,), ("inv", ()))
                else:
                    out = Formula(op, (*first.args, args[k + 1]) if first.op == op and k else (first, args[k + 1]))
            return out

        return settle(self)

    def entrywise(self, env: Mapping[str, Any]) -> list[str]:
        """The products without a sign, of two arrays, that only their shapes say are entrywise."""
        run = _Evaluation(self, env)
        run.result()
        return list(dict.fromkeys(run.entrywise))

    @property
    def component(self) -> bool:
        """Is it written in components?"""
        return any(f.op in ("index", "entry", "example") for f in self.walk())

    @property
    def text(self) -> str:
        """The formula in the notation it was written in: NumPy text, or plain mathematics for all other."""
        mathematical = any((f.op == "name" and f.value[1]) or f.op in ("juxt", "cdot", "jacobian", "prime", "ones") for f in self.walk())
        return self.plain if mathematical else self.numpy

    @property
    def plain(self) -> str:
        """The formula in plain mathematics."""
        from .show import plain

        return plain(self)

    @property
    def numpy(self) -> str:
        """The formula as NumPy text; products that only shapes can settle are printed as matrix products."""
        from .show import numpy_text

        return numpy_text(self)

    def __str__(self) -> str:
        return self.text

    def edits(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Iterator[tuple[str, Formula]]:
        """The formulas that are one slip of the pen away, each with a sentence; `shapes` says which names may stand in."""
        from .edits import edits

        return edits(self, shapes or {})

    @property
    def as_columns(self) -> Formula:
        """The same where products take 1-D arrays for columns, and the transpose of one is a row; elsewhere they broadcast as NumPy's."""
        return self.map(lambda f: replace(f, value="columns") if f.op in ("T", "matmul") else f)

    @property
    def of_columns(self) -> Formula:
        """The same where 1-D arrays are columns."""
        return self.map(lambda f: replace(f, value=(f.value[0], True)) if f.op == "name" else f)

    def readings(self) -> list[Formula]:
        """What else the same text may mean: a dot product for an entrywise one, 1-D arrays as columns, components, and more."""
        found = [
            self.map(lambda f: replace(f, op="dot") if f.op == "cdot" else f),
            self.map(lambda f: replace(f, op="juxt") if f.op in ("cdot", "star") else f),
            self.map(lambda f: replace(f, op="mul") if f.op in ("cdot", "star", "dot") else f),
            self.of_columns.map(_keeping_axes),
            self.map(lambda f: replace(f, op="index") if f.op == "example" else f),
            self.map(_of_length),
            *(self.map(partial(_over_examples, axis)) for axis in (0, 1)),
            self.map(_of_rows),
            *(self.map(partial(_of_examples, rows)) for rows in (True, False)),
        ]
        return [f for f in dict.fromkeys(found) if f != self]


def _keeping_axes(f: Formula) -> Formula:
    """The same where a sum along an axis leaves a row or a column."""
    options = dict(f.value[1]) if f.op == "call" else {}
    if "axis" in options and f.value[0] in ("sum", "mean", "max", "min"):
        return replace(f, value=(f.value[0], tuple({**options, "keepdims": True}.items())))
    return f


def _of_length(f: Formula) -> Formula:
    """The same where |u| is the length of a vector."""
    return replace(f, value=("norm", ())) if f.op == "call" and f.value == ("abs", ()) else f


def _over_examples(axis: int, f: Formula) -> Formula:
    """The same where a sum over an index that nothing has is one over the examples, along an axis."""
    if f.op != "total" or len(f.value[0]) > 1 or f.component:
        return f
    return Formula("call", f.args, ("sum", (("axis", axis), ("keepdims", True))))


def _of_examples(rows: bool, f: Formula) -> Formula:
    """The same where a letter at a matrix picks a whole vector, a row or a column of it."""
    return replace(f, op="example", value=(f.value[0], not rows)) if f.op == "index" and len(f.value[0]) == 1 else f


def _of_rows(f: Formula) -> Formula:
    """The same where examples are rows."""
    if f.op in ("index", "example") and len(f.value[0]) == 1:
        return replace(f, value=(f.value[0], not f.value[1]))
    if f.op == "call" and f.value[0] in _NORMALISING and "axis" not in dict(f.value[1]):
        return replace(f, value=(f.value[0], (*f.value[1], ("axis", -1))))
    return f


_NORMALISING = ("softmax", "log_softmax", "logsumexp")


class Labelled(NamedTuple):
    """A value whose first axes have the names of indices."""

    value: Any
    labels: tuple[str, ...] = ()

    @property
    def rest(self) -> tuple[int, ...]:
        """The shape of the axes without a name."""
        return tuple(shape_of(self.value)[len(self.labels) :])

    @property
    def single(self) -> bool:
        return math.prod(self.rest) == 1


class _Evaluation:
    """One evaluation of one formula."""

    def __init__(self, formula: Formula, env: Mapping[str, Any]) -> None:
        self.formula, self.env = formula, env
        self._sizes: dict[str, int] | None = None
        self.meant: dict[int, list[str]] = {}  # of products without a sign, by id(): mul or matmul, between each two factors
        self.entrywise: list[str] = []  # products without a sign that are not matrix products

    def result(self) -> Any:
        with np.errstate(all="ignore"):  # inf and nan are values here; who judges the formula says so
            value, labels = self.of(self.formula)
        if len(labels) > 1 and shape_of(value)[len(labels) :] and Labelled(value, labels).single:
            return ops.reshape(value, shape=tuple(shape_of(value)[: len(labels)]))
        return value

    def of(self, f: Formula) -> Labelled:
        try:
            return getattr(self, "_" + f.op)(f)  # type: ignore[no-any-return]
        except AutodiffError:
            raise
        except (ValueError, np.linalg.LinAlgError) as error:
            raise ShapeMismatch(f"{f.text} cannot be computed: {error}") from None

    def _all(self, f: Formula) -> list[Labelled]:
        return [self.of(a) for a in f.args]

    # ------------------------------------------------------------ leaves

    def _number(self, f: Formula) -> Labelled:
        return Labelled(float(f.value))

    def _name(self, f: Formula) -> Labelled:
        key, columns = f.value
        x = self.env[key]
        return Labelled(ops.reshape(x, shape=(*shape_of(x), 1)) if columns and len(shape_of(x)) == 1 else x)

    def _ones(self, f: Formula) -> Labelled:
        return Labelled(1.0)

    def _eye(self, f: Formula) -> Labelled:
        size = int(self.of(f.args[0]).value) if f.args else f.value
        if size is None:
            raise ShapeMismatch("the size of the unit matrix I is known only beside a matrix or a vector")
        if size**2 > LARGEST:
            raise ShapeMismatch(f"a unit matrix of {size:,} rows would have {size**2:,} entries")
        return Labelled(np.eye(size))

    def _jacobian(self, f: Formula) -> Labelled:
        value, of, by = self._full_jacobian(f)
        rows, columns = ([n for n in shape if n != 1] for shape in (of, by))
        if len(rows) > 1 or len(columns) > 1:
            raise ShapeMismatch(f"{f.text} has shape {of + by} here and is no matrix; write it in components")
        return Labelled(ops.reshape(value, shape=(math.prod(of), math.prod(by))))

    def _full_jacobian(self, f: Formula) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
        of, by = f.value
        shapes = tuple(shape_of(self.env[of])), tuple(shape_of(self.env[by]))
        return ops.reshape(self.env[f"d{of}/d{by}"], shape=shapes[0] + shapes[1]), *shapes

    def _length(self, f: Formula) -> Labelled:
        x = self.of(f.args[0])
        if x.labels or not -len(x.rest) <= (f.value or 0) < max(1, len(x.rest)) or not x.rest:
            raise ShapeMismatch(f"{f.text}: {f.args[0].text} is {_shape_text(x)}")
        return Labelled(math.prod(x.rest) if f.value is None else x.rest[f.value])

    def _filled(self, f: Formula) -> Labelled:
        lengths = [np.asarray(x.value) for x in self._all(f)]
        if any(n.shape or n != int(n) or n < 1 for n in lengths) or math.prod(map(int, lengths)) > LARGEST:
            raise ShapeMismatch(f"{f.text} has no shape: its lengths are to be whole numbers")
        return Labelled(np.full(tuple(map(int, lengths)), float(f.value == "ones")))

    # ------------------------------------------------------------ named axes

    def _index(self, f: Formula) -> Labelled:
        letters, last = f.value
        x = self.of(f.args[0])
        axes = _axes(f, letters, x.rest, last)
        return _named(x, axes, letters)

    def _example(self, f: Formula) -> Labelled:
        x, last = self.of(f.args[0]), f.value[1]
        if x.labels or len([n for n in x.rest if n > 1]) < 2:
            if f.value[1] and f.args[0].op == "name" and len(x.rest) != 2:
                raise ShapeMismatch(f"{f.text} is an example's vector, but {f.args[0].text} has shape {x.rest} and no column for each")
            return self._index(f)
        value = ops.transpose(x.value) if last else x.value
        return Labelled(ops.reshape(value, shape=(*shape_of(value), 1)), f.value[0])

    def _entry(self, f: Formula) -> Labelled:
        value, of, by = self._full_jacobian(f.args[0])
        first, second = f.value
        axes = [*_axes(f, first, of, False), *(len(of) + k for k in _axes(f, second, by, False))]
        left = [k for k in range(len(of)) if k not in axes and of[k] != 1]
        right = [k for k in range(len(of), len(of) + len(by)) if k not in axes and by[k - len(of)] != 1]
        order = [*axes, *left, *right, *(k for k in range(len(of) + len(by)) if k not in (*axes, *left, *right))]
        shape = tuple(shape_of(value)[k] for k in order[: len(axes) + len(left) + len(right)])
        value = ops.reshape(ops.transpose(value, axes=tuple(order)), shape=shape)
        if left or right:  # what is left of a row or a column is one
            shape = (*shape[: len(axes)], math.prod(shape[len(axes) : len(axes) + len(left)]), math.prod(shape[len(axes) + len(left) :]))
            value = ops.reshape(value, shape=shape)
        return _named(Labelled(value), list(range(len(axes))), first + second)

    def _entries(self, f: Formula) -> Labelled:
        body = self.of(f.args[0])
        extra = [s for s in body.labels if s not in f.value]
        if extra:
            raise ShapeMismatch(f"the index {extra[0]} of {f.args[0].text} is neither summed over nor on the left side")
        missing = [s for s in f.value if s not in body.labels]
        if missing:
            sizes = self.sizes()
            ones = Labelled(np.ones(tuple(sizes[s] for s in missing)), tuple(missing))
            body = self._entrywise(f, [body, ones], lambda x, y: x * y)
        value, labels = _spread(body, f.value, len(body.rest))
        if len(labels) == 1 and len(body.rest) == 2 and body.rest[1] == 1 < body.rest[0]:  # an example's vector: a row, or a column of all
            value = ops.reshape(value, shape=tuple(shape_of(value)[:2]))
            return Labelled(ops.transpose(value)) if f.args[1].op == "example" and f.args[1].value[1] else Labelled(value, labels)
        return Labelled(value, labels)

    def _array(self, f: Formula) -> Labelled:
        outside, self.formula, self._sizes = (self.formula, self._sizes), f.args[0], None  # letters inside of it are its own
        x = self.of(f.args[0])
        if not x.single or (extra := {*x.labels} - {*f.value}):
            raise ShapeMismatch(f"the entries in {f.text} {f'have the index {min(extra)}, too' if x.single else 'are no single numbers'}")
        shape = tuple(shape_of(x.value)[x.labels.index(s)] if s in x.labels else self.sizes().get(s, 1) for s in f.value)
        value = _spread(Labelled(ops.reshape(x.value, shape=tuple(shape_of(x.value)[: len(x.labels)])), x.labels), f.value, 0)[0]
        self.formula, self._sizes = outside
        return Labelled(value * np.ones(shape))

    def _total(self, f: Formula) -> Labelled:
        letters, unlike = f.value
        x = self.of(f.args[0])
        for letter, other in unlike:
            mask = 1.0 - self._unit(letter, other).value
            x = self._entrywise(f, [x, Labelled(mask, (letter, other))], lambda a, b: a * b)
        for letter in letters:
            if letter not in x.labels:
                raise ShapeMismatch(f"{f.text} sums over {letter}, but nothing in it has the index {letter}")
            value = ops.sum(x.value, axis=x.labels.index(letter))
            x = Labelled(value, tuple(s for s in x.labels if s != letter))
        return x

    def _delta(self, f: Formula) -> Labelled:
        return self._unit(*f.value)

    def _same(self, f: Formula) -> Labelled:
        a, b, equal = f.value
        unit = self._unit(a, b)
        return Labelled((unit.value == 1) == equal, unit.labels)

    def _unit(self, a: str, b: str) -> Labelled:
        sizes = self.sizes()
        n = sizes.get(a, sizes.get(b))
        if n is None:
            raise ShapeMismatch(f"how far the indices {a} and {b} count is not known: no name in the formula has them")
        return Labelled(np.eye(n, sizes.get(b, n)), (a, b)) if a != b else Labelled(np.ones(n), (a,))

    def sizes(self) -> dict[str, int]:
        """How far each index counts."""
        if self._sizes is None:
            self._sizes = {}
            for f in self.formula.walk():
                if f.op in ("index", "entry", "example"):
                    x = self.of(f)
                    self._sizes.update(zip(x.labels, shape_of(x.value), strict=False))
        return self._sizes

    # ------------------------------------------------------------ sums and products

    def _add(self, f: Formula) -> Labelled:
        units = [_has_unit(a) for a in f.args]
        if any(units):
            others = [self.of(a).rest for a, unit in zip(f.args, units, strict=True) if not unit]
            sizes = [s[0] for s in others if s]
            f = _with_units(f, max(sizes)) if sizes else f
        return self._fold(f, f.args, lambda x, y: x + y)

    def _sized(self, f: Formula) -> Formula:
        """A product with its unit matrices of the size of what stands behind them, or else before them."""
        for k, a in enumerate(f.args):
            if _has_unit(a):
                found = [self.of(b).rest for b in (*f.args[k + 1 :], *f.args[:k][::-1]) if not _has_unit(b)]
                size = next((s[0] if i < len(f.args) - k - 1 else s[-1] for i, s in enumerate(found) if math.prod(s) > 1), None)
                return f if size is None else _with_units(f, size)
        return f

    def _neg(self, f: Formula) -> Labelled:
        x = self.of(f.args[0])
        return x._replace(value=-x.value)

    def _mul(self, f: Formula) -> Labelled:
        return self._fold(f, f.args, lambda x, y: x * y)

    def _div(self, f: Formula) -> Labelled:
        return self._fold(f, f.args, ops.div)

    def _fold(self, f: Formula, args: tuple[Formula, ...], op: Callable[[Any, Any], Any]) -> Labelled:
        total = self.of(args[0])
        for a in args[1:]:
            total = self._entrywise(f, [total, self.of(a)], op)
        return total

    def _entrywise(self, f: Formula, xs: list[Labelled], op: Callable[..., Any]) -> Labelled:
        """An op entry by entry, once the named axes of the operands stand in one order."""
        labels = tuple(dict.fromkeys(s for x in xs for s in x.labels))
        rank = max(len(x.rest) for x in xs)
        values = [_spread(x, labels, rank)[0] for x in xs]
        shapes = " and ".join(_shape_text(x) for x in xs)
        try:
            wide = np.broadcast_shapes(*(tuple(map(int, shape_of(v))) for v in values))
        except ValueError:
            raise ShapeMismatch(f"shapes {shapes} do not fit together in {f.text}") from None
        if math.prod(wide) > LARGEST:
            raise ShapeMismatch(f"{f.text} would have {math.prod(wide):,} entries, from shapes {shapes}")
        return Labelled(op(*values), labels)

    def _juxt(self, f: Formula) -> Labelled:
        return self._product(f, lambda x, y: "matrix" if x.rest[1] == y.rest[0] else "entrywise")

    def _star(self, f: Formula) -> Labelled:
        if f.value == "plain":  # what NumPy computes, if it can
            return self._product(f, lambda x, y: "matrix" if x.rest[1] == y.rest[0] and not _broadcast(x.rest, y.rest) else "entrywise")
        return self._product(f, lambda x, y: "entrywise" if x.rest == y.rest or x.rest[1] != y.rest[0] else "matrix")

    _cdot = _star

    def _product(self, f: Formula, meant: Callable[[Labelled, Labelled], str]) -> Labelled:
        said = self.meant[id(f)] = ["mul"] * (len(f.args) - 1)
        written, f = f, self._sized(f)
        total = self.of(f.args[0])
        for k, a in enumerate(f.args[1:]):
            y = self.of(a)
            if len(total.rest) < 2 or len(y.rest) < 2 or total.single or y.single or meant(total, y) == "entrywise":
                if f.op == "juxt" and not (total.single or y.single or total.labels or y.labels):
                    self.entrywise.append(written.text)
                total = self._scaled_or_entrywise(f, total, y)
            else:
                total, said[k] = self._matrix(total, y), "matmul"
        return total

    def _scaled_or_entrywise(self, f: Formula, x: Labelled, y: Labelled) -> Labelled:
        plain = f.op == "star" and f.value == "plain"  # NumPy's
        broadcast = plain and _broadcast(x.rest, y.rest)
        if len(x.rest) == len(y.rest) == 2 and not (x.single or y.single or x.rest == y.rest or broadcast):
            raise ShapeMismatch(
                f"{f.text} multiplies {_shape_text(x)} by {_shape_text(y)}: the inner sizes {x.rest[1]} and {y.rest[0]} differ"
            )
        if x.single and len(x.rest) > len(y.rest) and not plain:
            x = _bare(x)
        if y.single and len(y.rest) > len(x.rest) and not plain:
            y = _bare(y)
        return self._entrywise(f, [x, y], lambda a, b: a * b)

    def _matrix(self, x: Labelled, y: Labelled) -> Labelled:
        if not (x.labels or y.labels):
            return Labelled(ops.matmul(x.value, y.value))
        labels = tuple(dict.fromkeys((*x.labels, *y.labels)))
        return Labelled(ops.matmul(_spread(x, labels, len(x.rest))[0], _spread(y, labels, len(y.rest))[0]), labels)

    def _matmul(self, f: Formula) -> Labelled:
        f = self._sized(f)
        total = self.of(f.args[0])
        for a in f.args[1:]:
            y = self.of(a)
            if f.value == "columns" and len(total.rest) == 1 and len(y.rest) == 2 and y.rest[0] == 1:
                total = Labelled(ops.reshape(total.value, shape=(*total.rest, 1)))
            if not (total.rest and y.rest):
                raise ShapeMismatch(f"{f.text} has @ beside a single number; write * there")
            if total.rest[-1] != y.rest[-2 if len(y.rest) > 1 else 0]:
                inner = f"the inner sizes {total.rest[-1]} and {y.rest[-2 if len(y.rest) > 1 else 0]} differ"
                raise ShapeMismatch(f"{f.text} multiplies {_shape_text(total)} by {_shape_text(y)}: {inner}")
            total = self._matrix(total, y)
        return total

    def _dot(self, f: Formula) -> Labelled:
        x = self._fold(f, f.args, lambda a, b: a * b)
        axes = tuple(range(len(x.labels), len(shape_of(x.value))))
        return Labelled(ops.sum(x.value, axis=axes), x.labels) if axes else x

    def _pow(self, f: Formula) -> Labelled:
        x, y = self._all(f)
        square = not x.labels and len(x.rest) == 2 and x.rest[0] == x.rest[1] != 1
        if square and f.value == "math" and f.args[1] == Formula("neg", (Formula("number", value=1),)):
            self.meant[id(f)] = ["inv"]
            return Labelled(ops.inv(x.value))
        return self._entrywise(f, [x, y], ops.pow)

    def _T(self, f: Formula) -> Labelled:
        x = self.of(f.args[0])
        if not x.labels:
            if f.value == "columns" and len(x.rest) == 1:
                return Labelled(ops.reshape(x.value, shape=(1, *x.rest)))
            return Labelled(ops.transpose(x.value)) if len(x.rest) > 1 else x
        if len(x.rest) < 2:
            return x
        n = len(x.labels)
        return Labelled(ops.transpose(x.value, axes=(*range(n), n + 1, n)), x.labels)

    # ------------------------------------------------------------ functions and conditions

    def _call(self, f: Formula) -> Labelled:
        name, options = f.value[0], dict(f.value[1])
        xs = self._all(f)
        op = TABLE[name]
        if op.kind == "elementwise" or name == "where":
            return self._entrywise(f, xs, lambda *vs: op(*vs))
        if any(x.labels for x in xs):
            return self._inner_call(f, xs, name, options)
        values = [x.value for x in xs]
        if "axis" in options and not shape_of(values[0]):  # a number that broadcasts, beside a vector of ones
            return xs[0]
        if name == "outer" and (long := [x for x in xs if sum(n > 1 for n in x.rest) > 1]):
            raise ShapeMismatch(f"{f.text} is an outer product of vectors, and one of its operands is {_shape_text(long[0])}")
        if name in ("diag", "outer") or (name == "dot" and _is_column(values)):
            values = [_flat(v) for v in values] if name != "diag" or _is_column(values) else values
        if name in _NORMALISING and "axis" not in options and len(shape_of(values[0])) == 2:
            options["axis"] = 1 if shape_of(values[0])[0] == 1 else 0
            options |= {"keepdims": True} if name == "logsumexp" else {}
        if name == "einsum":
            return self._einsum(f, values, options["subscripts"])
        value = op(*values, **options)
        if name == "diag" and len(shape_of(value)) == 1 and any(g.op == "name" and g.value[1] for g in f.walk()):
            value = ops.reshape(value, shape=(*shape_of(value), 1))  # in mathematics a diagonal is a column
        return Labelled(value)

    def _einsum(self, f: Formula, values: list[Any], subscripts: str) -> Labelled:
        inputs = subscripts.replace(" ", "").partition("->")[0].split(",")
        lengths = {s: n for letters, v in zip(inputs, values, strict=False) for s, n in zip(letters, shape_of(v), strict=False)}
        if math.prod(lengths.values()) > LARGEST:
            raise ShapeMismatch(f"{f.text} would multiply {math.prod(lengths.values()):,} numbers")
        return Labelled(ops.einsum(values, subscripts))

    def _inner_call(self, f: Formula, xs: list[Labelled], name: str, options: dict[str, Any]) -> Labelled:
        """A sum or mean over the axes that no index names."""
        if name not in ("sum", "mean", "max", "min") or options:
            raise ShapeMismatch(f"{name} takes whole vectors and matrices, but {f.args[0].text} is one component")
        x = xs[0]
        axes = tuple(range(len(x.labels), len(shape_of(x.value))))
        return Labelled(TABLE[name](x.value, axis=axes), x.labels) if axes else x

    def _prime(self, f: Formula) -> Labelled:
        op = TABLE[f.value]
        x = self.of(f.args[0])
        partial = op.partials[0]
        return x._replace(value=partial(op(x.value), x.value) * 1.0 if callable(partial) else x.value * 0 + (partial or 0))

    def _compare(self, f: Formula) -> Labelled:
        return self._entrywise(f, self._all(f), lambda x, y: 1.0 * _COMPARE[f.value](x, y))  # booleans add by rules of their own

    def _cases(self, f: Formula) -> Labelled:
        default = len(f.args) % 2 == 1
        total = self.of(f.args[-1]) if default else Labelled(np.nan)
        pairs = list(zip(f.args[0::2], f.args[1::2], strict=False))
        for value, condition in reversed(pairs):
            total = self._entrywise(f, [self.of(condition), self.of(value), total], _choose)
        return total

    def _getitem(self, f: Formula) -> Labelled:
        x = self.of(f.args[0])
        try:
            return Labelled(ops.getitem(x.value, index=f.value), x.labels)
        except (IndexError, TypeError):
            raise ShapeMismatch(f"{f.text} picks entries that {f.args[0].text} of shape {x.rest} has not") from None


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "≠": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "≤": lambda a, b: a <= b,
    "≥": lambda a, b: a >= b,
}


def _has_unit(f: Formula) -> bool:
    """Is it a unit matrix whose size was not said, or a multiple of one?"""
    return (f.op == "eye" and f.value is None) or (
        f.op in ("neg", "mul", "star", "juxt", "cdot", "div", "matmul") and any(map(_has_unit, f.args))
    )


def _with_units(f: Formula, size: int) -> Formula:
    unit = Formula("eye", value=size)
    return f.map(lambda g: unit if g.op == "eye" and g.value is None else g)


def _choose(condition: Any, x: Any, y: Any) -> Any:
    if hasattr(condition, "__apply__"):  # a symbol decides nothing: both values stay, each times its condition
        return condition * x + (1 - condition) * y
    return ops.where(condition, x, y)


def _axes(f: Formula, letters: tuple[str, ...], shape: tuple[int, ...], last: bool) -> list[int]:
    """The axes that index letters count: of a matrix with a single letter, the one that is longer than 1, or the first."""
    if not letters:
        return []
    if len(letters) == 1 and len(shape) == 2:
        return [1 if shape[0] == 1 or (last and shape[1] != 1) else 0]
    if len(letters) > len(shape):
        what = "is a single number" if not shape else f"has shape {tuple(shape)}"
        raise ShapeMismatch(f"{f.text} has {len(letters)} {'index' if len(letters) == 1 else 'indices'}, but {f.args[0].text} {what}")
    return list(range(len(letters)))


def _named(x: Labelled, axes: list[int], letters: tuple[str, ...]) -> Labelled:
    """Some of the axes that have no name get one; a letter that comes twice means the diagonal."""
    n, rank = len(x.labels), len(shape_of(x.value))
    axes = [n + k for k in axes]
    order = (*range(n), *axes, *(k for k in range(n, rank) if k not in axes))
    value = ops.transpose(x.value, axes=order) if order != tuple(range(rank)) else x.value
    labels = (*x.labels, *letters)
    if len(set(labels)) == len(labels):
        return Labelled(value, labels)
    once = tuple(dict.fromkeys(labels))
    names = dict(zip(once, "abcdefgh", strict=False))
    rest = "stuvwxyz"[: rank - len(labels)]
    sizes: dict[str, int] = {}
    for s, k in zip(labels, shape_of(value), strict=False):
        if sizes.setdefault(s, k) != k:
            raise ShapeMismatch(f"the index {s} counts to {sizes[s]} and to {k}, so there is no diagonal")
    form = f"{''.join(names[s] for s in labels)}{rest}->{''.join(names[s] for s in once)}{rest}"
    return Labelled(ops.einsum([value], form), once)


def _spread(x: Labelled, labels: tuple[str, ...], rank: int) -> tuple[Any, tuple[str, ...]]:
    """A value with an axis for each of `labels`, in that order, and `rank` further ones; axes it lacks have length 1."""
    if not labels:
        return x.value, ()
    shape = tuple(shape_of(x.value))
    order = (*(x.labels.index(s) for s in labels if s in x.labels), *range(len(x.labels), len(shape)))
    value = ops.transpose(x.value, axes=order) if order != tuple(range(len(shape))) else x.value
    wide = (*(shape[x.labels.index(s)] if s in x.labels else 1 for s in labels), *(1,) * (rank - len(x.rest)), *x.rest)
    return (ops.reshape(value, shape=wide) if wide != tuple(shape_of(value)) else value), labels


def _bare(x: Labelled) -> Labelled:
    """A single number without its axes of length 1."""
    return Labelled(ops.reshape(x.value, shape=tuple(shape_of(x.value)[: len(x.labels)])), x.labels)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


def _is_column(values: list[Any]) -> bool:
    return all(len(shape_of(v)) == 2 and 1 in shape_of(v) for v in values)


def _flat(x: Any) -> Any:
    return ops.reshape(x, shape=(math.prod(shape_of(x)),)) if len(shape_of(x)) == 2 else x


def _shape_text(x: Labelled) -> str:
    shape = "×".join(map(str, x.rest)) or "a single number"
    return f"{shape} at each {', '.join(x.labels)}" if x.labels else shape
