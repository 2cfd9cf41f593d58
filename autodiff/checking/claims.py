"""What a person claims: a target (a gradient, a value, a Jacobian) and numbers, a function or a formula for it.

This file reads the forms in which claims come, evaluates them at a point, and lines a claimed array up with the true
one, in either layout.  It judges nothing.
"""

from __future__ import annotations

import dis
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..errors import AutodiffError, BadFormula, BadOperand, NotConnected, NotRead
from ..node import Node
from .mathtext import Formula, Line, Target, defined, read, read_target
from .mathtext.names import Names
from .points import Array, Env, Point, Recorded, as_matrix, is_vector, nearest, no_node
from .ulps import rounding

DECIMALS = 9  # numbers with fewer were rounded
FULL = 17  # decimals, at most, that numbers show
ENTRYWISE = "entrywise"
DIGITS = range(3, 7)  # of numbers rounded to significant digits


@dataclass(frozen=True)
class Goal:
    """What a claim is about: `kind` as in mathtext.Target, the nodes by id, and how people write it."""

    kind: str  # gradient | value | jacobian | jacobian_diagonal | jacobian_off_diagonal
    of: int
    wrt: int | None
    text: str

    @property
    def node(self) -> int:
        """The node that the claim is filed under: that of a gradient, or the value."""
        return self.of if self.wrt is None else self.wrt

    def is_in(self, formula: Formula, graph: Recorded) -> bool:
        """Does a right side speak of what it is to give?"""
        names = [graph.names.get(k, "") for k in (self.of, self.wrt) if k is not None]
        right = formula.args[0] if formula.op == "entries" else formula  # the other operands are of the left side
        return (names[0] if len(names) == 1 else f"d{names[0]}/d{names[1]}") in right.names

    def truth(self, point: Point, sweep: Any = None) -> Array:
        """What the claim should give at a point; of a gradient, with the rules of another sweep."""
        if self.kind == "value":
            return np.asarray(point.values[self.of], float)
        assert self.wrt is not None
        if self.kind == "gradient":
            return np.asarray(point.gradient(self.wrt, sweep), float)
        return self.part(point.jacobian(self.of, self.wrt), point.values[self.of].shape, point.values[self.wrt].shape)

    def part(self, jacobian: Array, y: Sequence[int], x: Sequence[int]) -> Array:
        """The Jacobian as a matrix, where it is one, its diagonal in the shape of y, or the rest."""
        n = int(np.prod(y))
        if self.kind == "jacobian":
            return as_matrix(jacobian, y, x)
        square = jacobian.reshape(n, -1)
        if square.shape[0] != square.shape[1]:
            raise BadOperand(f"{self.text}: a diagonal needs as many outputs as inputs, and the shapes are {tuple(y)} and {tuple(x)}")
        return np.diag(square).reshape(tuple(y)) if self.kind == "jacobian_diagonal" else square - np.diag(np.diag(square))

    def scale(self, point: Point) -> tuple[Array, int]:
        """Magnitude and ulps of the truth, in its shape."""
        kind = self.kind if self.kind in ("value", "gradient") else "jacobian"
        magnitude, ulps = point.scale(kind, self.of, self.wrt)
        if kind == "jacobian":
            assert self.wrt is not None
            magnitude = self.part(magnitude, point.values[self.of].shape, point.values[self.wrt].shape)
        return magnitude, ulps


@dataclass(frozen=True)
class Reading:
    """One way to read a claim: the formula that its text means, and whether gradients of vectors in it are rows."""

    formula: Any = None
    rows: bool = False


AS_WRITTEN = Reading()


def _stars(f: Formula) -> int:
    return sum(g.op == "star" for g in f.walk())


@dataclass
class Claim:
    """A labelled claim: exactly one of `numbers`, `function` and `formula` is given, or `broken` says why there is none."""

    label: str
    goal: Goal
    numbers: Array | None = None
    function: Callable[[Point, Env], Any] | None = None
    formula: Formula | None = None
    numpy: bool = False  # is the formula Python's, so that it means what NumPy computes?
    text: str = ""
    broken: str = ""
    unread: bool = False  # is it broken for the reader alone?
    numbers_known: Mapping[str, float] = field(default_factory=dict)
    decimals: int | None = None  # how many decimals the numbers were rounded to; None if they were not
    digits: int = FULL  # how many decimals they show
    significant: int | None = None  # how many significant digits they were rounded to, if that explains them better
    outside: tuple[str, ...] = ()  # data that the function takes from elsewhere than its parameters, so that it cannot be moved

    @property
    def rounded(self) -> bool:
        return self.decimals is not None or self.significant is not None

    def half_a_unit(self, a: Array) -> Array:
        """What rounding to the decimals or digits given can change in an array of the claim's numbers."""
        unit = np.zeros(np.shape(a)) if self.decimals is None else np.full(np.shape(a), 10.0**-self.decimals)
        if self.significant is not None:
            with np.errstate(all="ignore"):
                unit = np.maximum(unit, np.where(a == 0, 0.0, 10.0 ** (np.floor(np.log10(np.abs(a))) + 1 - self.significant)))
        return np.asarray(0.5 * unit * (1 + 1e-9))

    @property
    def eps(self) -> float:
        """The precision that the numbers have, single if they are all of that; 0 of claims that are no numbers."""
        if self.numbers is None:
            return 0.0
        with np.errstate(all="ignore"):
            single = not self.rounded and np.array_equal(self.numbers.astype(np.float32), self.numbers)
        own = float(np.finfo(self.numbers.dtype).eps)
        return max(own, float(np.finfo(np.float32).eps)) if single else own

    @property
    def moves(self) -> bool:
        """Can it be evaluated at other points than the recorded one?"""
        return self.numbers is None and not self.outside

    def readings(self) -> list[Reading]:
        """The ways to read it: mathematics may mean several formulas, and earlier gradients of vectors may stand in it as rows."""
        if self.formula is None:
            return [AS_WRITTEN]
        stars = self.formula.text == self.formula.numpy  # in NumPy text * has one meaning
        others = [] if self.numpy else self.formula.readings()
        formulas = [self.formula, *(f for f in others if not stars or _stars(f) == _stars(self.formula))]
        rows = any("/" in name for name in self.formula.names)
        return [Reading(f, r) for f in formulas for r in ((False, True) if rows else (False,))]

    def at(self, point: Point, reading: Reading, recording: bool = False) -> Any:
        """What it gives at a point: an array, or with `recording` a node; raises what the claim raises."""
        if self.numbers is not None:
            return self.numbers
        env = Env(point, self.numbers_known, reading.rows, recording)
        with np.errstate(all="ignore"):
            found = self.function(point, env) if self.function is not None else reading.formula.evaluate(env)
        if recording:
            return found
        try:
            return plain(found)
        except AutodiffError:
            raise
        except (TypeError, ValueError):
            what = "all values as attributes of one object" if isinstance(found, SimpleNamespace) else f"a {type(found).__name__}"
            raise BadOperand(f"the function gave {what}, not an array of numbers") from None

    def rounding(self, point: Point, reading: Reading) -> tuple[Array, int] | None:
        """Magnitude and ulps of the claim's own computation, where it can be recorded."""
        if self.numbers is not None:
            return None
        try:
            node = self.at(point, reading, recording=True)
        except Exception:  # a function of the user's may not take nodes, and then its rounding is not known
            return None
        return rounding(node)[0] if isinstance(node, Node) else (np.abs(np.asarray(node, float)), 1)


def plain(x: Any) -> Array:
    """Numbers as an array of floats, masked ones as nan; raises BadOperand for what is none, ValueError for what has no shape."""
    x = x.data if isinstance(x, Node) else x
    a = np.asarray(x) if not isinstance(x, np.ma.MaskedArray) else np.ma.filled(x.astype(float), np.nan)
    if a.dtype.kind == "c" and np.any(a.imag):
        raise BadOperand("these numbers are complex, and derivatives here are real")
    if a.dtype.kind in "USMm" or x is None:
        what = (
            "None"
            if x is None
            else f"the text {x[:40]!r}"
            if isinstance(x, str)
            else f"an array of {a.dtype}"
            if a.ndim
            else type(x).__name__
        )
        raise BadOperand(f"{what} holds no numbers")
    return a if a.dtype in (np.float32, np.float16) else np.asarray(a.real if a.dtype.kind == "c" else a, dtype=float)


def written(claims: Sequence[Claim]) -> list[Claim]:
    """The claims with how many decimals the numbers of all show, and to how many decimals or digits they were rounded, if any."""
    arrays = [np.ravel(c.numbers)[np.isfinite(np.ravel(c.numbers))] for c in claims if c.numbers is not None]
    every = np.concatenate(arrays) if arrays else np.zeros(0)
    own = min((np.finfo(a.dtype).precision for a in arrays), default=FULL)  # of float32 the decimals beyond are the conversion's
    digits = _decimals(every, min(own, FULL))
    largest = float(np.max(np.abs(every), initial=0.0))
    finest = max((8 * float(np.finfo(a.dtype).eps) for a in arrays), default=0.0) * largest  # below it numbers of that precision are apart
    decimals = digits if digits < DECIMALS and 10.0**-digits > finest else None
    few = [s for s in DIGITS if s < own and largest]  # all numbers of half precision are some of so few digits
    significant = next((s for s in few if all(np.array_equal(_to_digits(a, s), a) for a in arrays)), None)
    if significant is not None and decimals is not None and significant >= decimals + 1 + np.floor(np.log10(largest)):
        significant = None  # the largest entry has all the decimals
    decimals = decimals if decimals or largest >= 5 else None  # a 0 or a 1 is no rounded number yet

    def rounded(claim: Claim) -> Claim:
        if claim.numbers is None:
            return claim
        fewer = _decimals(claim.numbers, decimals or 0)  # a short number among long ones ends in zeros; a rounded array does not
        own = 0 < fewer < (decimals or 0) and significant is None and float(np.nanmax(np.abs(claim.numbers))) >= 10.0 ** (1 - fewer)
        return replace(claim, digits=digits, decimals=fewer if own else decimals, significant=significant)

    return [rounded(c) for c in claims]


def as_rounded(claim: Claim, raw: Sequence[Array]) -> Claim:
    """A function's claim with the decimals that it rounds what it gives to, if it does so at every point."""
    if claim.function is None or claim.outside:
        return claim
    shown = max(_decimals(a, DECIMALS) for a in raw)
    return replace(claim, decimals=shown) if 0 < shown < DECIMALS else claim


def _decimals(a: Array, most: int) -> int:
    """How many decimals the numbers of an array show, if less than `most`; else FULL."""
    return next((d for d in range(most) if np.array_equal(np.round(a, d), a, equal_nan=True)), FULL)


def _to_digits(a: Array, s: int) -> Array:
    return np.array([float(f"{x:.{s}g}") for x in a], a.dtype)


# ---------------------------------------------------------------- lining up


def aligned(a: Array, truth: Array, goal: Goal, text: Formula | None) -> Iterator[tuple[Array, str]]:
    """The ways in which a claimed array can stand for the true one: the array in its shape, and the layout this takes it to be in.

    Layouts are "denominator" (the shape of the variable), "numerator" (its transpose) or "" where there is no telling; ENTRYWISE is
    none, but a Jacobian by its diagonal.
    """
    if goal.kind == "jacobian_off_diagonal":
        full = np.broadcast_to(a.reshape(()), truth.shape) if a.size == 1 else a
        if full.shape == truth.shape:
            yield full - np.diag(np.diag(full)), ""
        return
    layout = goal.kind == "gradient" and truth.size > 1
    if a.shape == truth.shape:
        yield a, "denominator" if layout and a.ndim > 1 else ""
    elif a.size == truth.size and is_vector(a.shape) and is_vector(truth.shape):
        turned = a.ndim == 2 and a.shape[0] == 1 and (truth.ndim < 2 or truth.shape[1] == 1)
        column = a.ndim == 2 and a.shape[1] == 1
        yield a.reshape(truth.shape), ("numerator" if turned else "denominator" if column else "") if layout else ""
    elif text is not None and a.size == 1:
        yield np.broadcast_to(a.reshape(()), truth.shape), ""
    elif text is not None and any(f.op in ("ones", "array") for f in text.walk()) and _broadcasts(a.shape, truth.shape):  # 1 v^T
        yield np.broadcast_to(a, truth.shape), ""
    if a.ndim == 2 and a.T.shape == truth.shape and not is_vector(a.shape) and goal.kind in ("gradient", "jacobian"):
        yield a.T, "numerator" if goal.kind == "gradient" else "denominator"
    if goal.kind == "jacobian" and (slopes := _of_entries(a, truth.shape)) is not None:
        yield np.diag(slopes).reshape(truth.shape), ENTRYWISE


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(m in (1, n) for m, n in zip(shape[::-1], to[::-1], strict=False))


def _of_entries(a: Array, jacobian: tuple[int, ...]) -> Array | None:
    """What may be the derivative of each entry in its own one, as people write it for functions that go entry by entry."""
    half = jacobian[: len(jacobian) // 2]
    n = int(np.prod(half))
    if jacobian != half * 2 or n < 2 or not (a.size == 1 or a.shape == half or (a.size == n and is_vector(a.shape))):
        return None
    return np.broadcast_to(np.ravel(a), n)


# ---------------------------------------------------------------- reading claims


def goal_for(graph: Recorded, kind: str, of: str, wrt: str | None, about: str) -> Goal:
    """A goal by names; raises NotConnected, with the names there are, for one that the graph does not have."""
    top = graph.node(of)
    if top is None:
        raise no_node(graph, of, about)
    if wrt is None:
        return Goal("value", top.id, None, of)
    bottom = graph.node(wrt)
    if bottom is None:
        raise no_node(graph, wrt, about)
    if not bottom.active:
        raise NotConnected(
            f"{about} is about d{of}/d{wrt}, but {wrt} was recorded as a constant; make it a variable, ad.Tensor({wrt}), to have it checked"
        )
    text = f"d{of}/d{wrt}" + {"jacobian_diagonal": " (i = j)", "jacobian_off_diagonal": " (i ≠ j)"}.get(kind, "")
    return Goal("gradient" if of == graph.root_name and kind == "jacobian" else kind, top.id, bottom.id, text)


GRADIENT_NAMES = (r"d(?:{root}|L|E|J|loss)?_?d?_?(.+)", r"(?:grad|g)_?(.+)", r"(.+?)(?:_|\.)grad")


def goal_of_label(graph: Recorded, label: str, returned: bool = False) -> Goal | None:
    """What a label such as "W2", "dE/dW2", "dW2", "delta2", "y1 =" or "dy1/dz1" is about; None if it says nothing.

    A bare name means the gradient; of something that a function `returned`, a result's name means its value.
    """
    words = label.strip().replace("∂", "d")
    root, names = graph.root_name, Names(graph.by_name, graph.root_name)
    if words.endswith("="):
        return goal_for(graph, "value", words[:-1].strip(), None, f"the claim {label!r}")
    if found := re.fullmatch(r"d\s*([^\s/]+)\s*/\s*d\s*([^\s/]+)", words):
        of, wrt = (names.find(name) or name for name in found.groups())
        return goal_for(graph, "jacobian", root if names.loss(of) else of, wrt, f"the claim {label!r}")
    if words in graph.by_name and isinstance(graph.by_name[words], Node):
        n = graph.by_name[words]
        is_value = n is graph.root or (returned and n.op is not None)
        return goal_for(graph, "value" if is_value else "jacobian", words if is_value else root, None if is_value else words, label)
    if (found := re.fullmatch(r"(?:delta|δ)_?(\d+)", words)) and graph.node(f"z{found[1]}") is not None:
        return goal_for(graph, "jacobian", root, f"z{found[1]}", label)
    for pattern in GRADIENT_NAMES:
        found = re.fullmatch(pattern.format(root=re.escape(root)), words)
        if found and graph.node(found[1]) is not None:
            return goal_for(graph, "jacobian", root, found[1], label)
    return None


class Claims(NamedTuple):
    """Claims in the order in which they are judged, whether they are lines that follow one another, and what was said of others."""

    claims: list[Claim]
    derivation: bool
    remarks: tuple[str, ...]


def claims_of(graph: Recorded, given: Any, forgiving: bool = False) -> Claims:
    """The claims among what a person gives to be checked; if `forgiving`, what is about nothing in the graph is told and left out."""
    reader = Reader(graph, forgiving)
    if isinstance(given, Mapping):
        found = list(reader.read(Item(str(label), str(label), claim) for label, claim in given.items()))
        return Claims(sorted(found, key=lambda c: chain_order(graph, c.goal)), False, tuple(reader.remarks))
    if isinstance(given, str):
        given = re.sub(r"(?m)^(def .*)(?:\n[ \t].*)*", r"\1", given).splitlines()
    if not isinstance(given, Iterable):
        forms = "a dict such as {'W2': array}, or a list of labelled lines, [('(5)', 'dE/dz2 = y2 - t'), ...]"
        raise BadOperand(f"claims are {forms}, not {type(given).__name__}")
    lines = [part for item in given for part in (_parts(item) if isinstance(item, str) else [item])]
    items = [_line(k, item) for k, item in enumerate(lines, 1)]
    items.sort(key=lambda item: not str(item.claim).startswith(_WHERE))  # what lines speak of is told behind them
    found = list(reader.read(items))
    if reader.remarks and not found:
        raise BadFormula(" ".join(reader.remarks))
    return Claims(found, True, tuple(reader.remarks))


def _parts(line: str) -> list[str]:
    """The equations of one line of text or of several rows of LaTeX, without a remark and without what `ad.derive` prints behind them.

    A semicolon before a case's condition or the last case parts none, nor does the end of a case's or a matrix's row.  Of
    "where z1 = W1 @ x, y1 = tanh(z1)" every part begins with "where".
    """
    if about := re.match(r"# \w+: pass .*", line):  # an array that derive's source needs
        return [_WHERE + about[0][2:]]
    parts = []
    for row in _ROWS.split(line.partition("#")[0]):
        row, _, told = re.sub(r"[\s&,]*(?:\\quad)?\s*\\text\{where \}|^where\b", "\0", row).partition("\0")
        parts += [row, *(_WHERE + part.strip() for part in _clauses(re.sub(r"\\[,;]", " ", told)) if part.strip())]
    return [part for part in (_BEHIND.sub("", part) for part in parts) if not _EMPTY.fullmatch(part)]


def _clauses(text: str) -> list[str]:
    """A text cut at the commas that no parentheses hold."""
    found, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        found = [*found, ""] if c == "," and not depth else [*found[:-1], found[-1] + c]
    return found


_WHERE = "where "
_INSIDE = r"(?!(?:(?!\\begin\{).)*\\end\{(?:[dr]?cases|\w*matrix|array)\})"
_ROWS = re.compile(rf"(?<!\\);(?![^;=]*\b(?:if|when|for|where|otherwise|else)\b)|\\\\(?:\[[\d.]+\s*\w+\])?{_INSIDE}", re.DOTALL)
_BEHIND = re.compile(r",?\s*(?:\\text\{)?where .* is not zero\}?|(?:\\quad\s*\\text\{using \}|\s{4}(?:using|without) ).*")


_EMPTY = re.compile(r"\s*(?:\\(?:begin|end)\{[a-z]+\*?\}\s*|\$\$|\\[\[\]])?\s*")  # blank, or what opens and closes displayed lines


class Item(NamedTuple):
    """A claim as it was given: label, target if it was given apart, the claim, and what names are spelt in ways of their own."""

    label: str
    target: str | None
    claim: Any
    spellings: Mapping[str, str] = {}

    @property
    def about(self) -> str:
        return self.label if self.target is None else self.target


def _line(k: int, item: Any) -> Item:
    if isinstance(item, str):
        return Item(f"line {k}", None, item)
    if isinstance(item, tuple | list) and 2 <= len(item) <= 4 and isinstance(item[0], str):
        return Item(item[0], None, item[1]) if len(item) == 2 else Item(*item)
    forms = "a text, (label, claim), (label, target, claim), or these and a dict of spellings"
    raise BadOperand(f"line {k} of the derivation is {item!r}; a line is {forms}")


def chain_order(graph: Recorded, goal: Goal) -> tuple[int, int, bool]:
    """Values as they are computed, then gradients as backpropagation comes to them: leaves after the named result they feed."""
    k = goal.node
    if goal.kind == "value":
        return 0, k, False
    leaf = graph.by_id[k].op is None
    while leaf and (k == goal.node or k not in graph.names) and graph.users[k]:
        k = graph.users[k][0]
    return 1, -k, leaf


class Reader:
    """Reads claims one after the other; a later one may speak of what an earlier one was about, or gave a name of its own."""

    def __init__(self, graph: Recorded, forgiving: bool = False) -> None:
        self.graph, self.known, self.forgiving = graph, graph.numbers, forgiving
        self.names = {name: name for name in (*graph.by_name, *graph.sizes, *self.known)}
        self.own: dict[str, Formula] = {}  # formulas of the names that lines give to results of their own, and of dE/d of these
        self.unread: dict[str, str] = {}  # why formulas with such a name are not judged
        self._lengths = {**self.known, **self.graph.sizes}
        self.last: Line | None = None
        self.remarks: list[str] = []

    def read(self, items: Iterable[Item]) -> Iterator[Claim]:
        for item in items:
            try:
                yield from self._text(item) if isinstance(item.claim, str) else self._given(item)
            except (NotConnected, BadFormula) as error:
                if not self.forgiving:
                    raise
                self.remarks.append(f"Not judged: {error}")

    def _given(self, item: Item) -> Iterator[Claim]:
        """A claim that is no text."""
        goal, given = goal_of_label(self.graph, item.about), item.claim
        if goal is None:
            raise no_node(self.graph, item.about, f"the claim {item.label!r}")
        claim = Claim(item.label, goal, numbers_known=self.known)
        if isinstance(given, Node):
            yield _of_numbers(claim, given.data)
        elif callable(given):
            yield replace(claim, function=function_of_names(given, self.graph), outside=taken_from_outside(given))
        else:
            yield _of_numbers(claim, given)

    def _text(self, item: Item) -> Iterator[Claim]:
        """A formula, an equation, or a line that names a result of the writer's own."""
        text, root, names = item.claim.removeprefix(_WHERE), self.graph.root_name, {**self.names, **item.spellings}
        if found := re.match(r"def (\w+)|(.*?)(?:: pass the| (?:\\text\{ )?is (?:a|the)) (?:recorded|variable) ", text):
            self._told(item.label, *found.groups())
            return
        goal = goal_of_label(self.graph, item.about)
        if goal is None and "=" not in text:
            if item.target is not None:
                raise no_node(self.graph, item.target, f"the claim {item.label!r}")
            self.remarks.append(f"{item.label} is no equation, so it was not checked: {text.strip()!r}.")
            return
        try:
            line = read(text, names, root, after=self.last.target if self.last is not None and goal is None else None)
        except ValueError as error:
            if goal is None and (new := defined(text, Names(names, root))):
                self._define(item.label, *new, names)
                return
            if (target := self._target_of_unread(text, names)) is not None and (goal is None or target.of not in self._lengths):
                goal, self.last = self._goal_of(target, item.label), Line(text, "", target, ())
            if goal is None:
                raise _not_there(self.graph, text, item.label) or BadFormula(f"{item.label}: {error}") from None
            yield Claim(item.label, goal, text=text, broken=str(error), unread=isinstance(error, NotRead), numbers_known=self.known)
            return
        if line.target is not None and (length := self._lengths.get(line.target.of)) is not None:
            said = f"{item.label} is about {line.target.of}, which is {length:g} here"
            if goal is None:
                self.remarks.append(f"{said}; it was not judged.")
            else:
                yield Claim(item.label, goal, text=text, broken=said)
            return
        if line.target is not None and (about := {line.target.of, line.target.wrt} & {*self.own, *self.unread}):
            self._own_gradient(item.label, min(map(str, about)), line)
            return
        if line.aside and line.target is not None:
            self.remarks.append(f"{item.label} was not judged: its left side is no gradient, value or Jacobian.")
            return
        goal = self._goal_of(line.target, item.label) or goal
        if goal is None:
            left, sign, _ = text.partition("=")
            if sign and left.strip():
                raise BadFormula(
                    f"{item.label}: {left.strip()} is no gradient, value or Jacobian; a line begins with dE/dW =, y = or dy/dz ="
                )
            raise no_node(self.graph, item.about, f"the claim {item.label!r}")
        self.last = line if line.target is not None else self.last
        label, several = line.label or item.label, len(line.formulas) > 1
        for k, formula in enumerate(line.formulas, 1):
            shown = f"{label}.{k}" if several else label
            meant = formula.map(self._meant).map(partial(self._sized, goal))
            claim = Claim(shown, goal, formula=meant, numpy=line.numpy, text=text, numbers_known=self.known)
            unread = self._unread_in(formula)
            yield replace(claim, formula=None, broken=unread, unread=True) if unread else claim

    def _define(self, label: str, name: str, text: str, names: Mapping[str, str]) -> None:
        try:
            formula = read(text, names, self.graph.root_name).formula
        except NotRead as error:
            self.unread[name], self.names[name], self.last = f"{label}, which gives {name}, is not read: {error}", name, None
            return
        except ValueError as error:
            raise BadFormula(f"{label}: {error}") from None
        self.own[name], self.names[name], self.last = formula.map(self._meant), name, None
        self.remarks.append(
            f"{label} gives {name} a meaning for the lines that use it; the graph has no {name}, so it is not judged itself."
        )

    def _own_gradient(self, label: str, name: str, line: Line) -> None:
        """A line about the derivative in a name of the writer's own, which the graph does not have."""
        assert line.target is not None
        self.own[str(line.target)], self.last = line.formula.map(self._meant), line
        self.remarks.append(f"{label} is about {name}, which the graph does not have under this name; it was not judged.")

    def _told(self, label: str, function: str | None, name: str | None) -> None:
        """What is no formula: a function's source, or that a name stands for a recorded array."""
        if name is not None:
            key = re.sub(r"\\mathrm|\\mathbf|[\\{}_,;\s]", "", name)
            self.names[key], self.unread[key] = key, f"{key} stands for an array that the graph of {self.graph.root_name} has under no name"
        else:
            self.remarks.append(f"{label} was not read; {function} means what it does in all formulas.")

    def _unread_in(self, f: Formula) -> str:
        """Why a formula cannot be judged; "" if it can."""
        for name in f.names:
            below = name.partition("/d")[2] or name
            if below in self.unread:
                return self.unread[below]
            if below in self.own and name not in self.own:
                return f"no line before this gives {name}"
        return ""

    def _sized(self, goal: Goal, f: Formula) -> Formula:
        """A unit matrix as one of the size of what a line is about, where nothing beside it says another."""
        if f != Formula("eye") or goal.kind == "value":
            return f
        return replace(f, args=(Formula("length", (Formula("name", (), (self.graph.names[goal.node], False)),), 0),))

    def _meant(self, f: Formula) -> Formula:
        """A name of the writer's own as the formula that it stands for."""
        own = self.own.get(f.value[0]) if f.op == "name" else None
        return f if own is None else own.map(lambda g: g)

    def _target_of_unread(self, text: str, names: Mapping[str, str]) -> Target | None:
        """What a line is about that cannot be read."""
        left = text.partition("=")[0]
        if not left.strip(" &"):
            return self.last.target if self.last is not None else None
        try:
            return read_target(left + "=", names, self.graph.root_name)
        except ValueError:
            return None

    def _goal_of(self, t: Target | None, label: str) -> Goal | None:
        if t is None:
            return None
        return goal_for(self.graph, t.kind if t.kind != "gradient" else "jacobian", t.of, t.wrt, f"the claim {label!r}")


def _not_there(graph: Recorded, text: str, label: str) -> NotConnected | None:
    """The error for a line about a derivative that the graph does not have; None if its left side is none."""
    left = re.sub(r"\\partial\s*|∂", "d", text.partition("=")[0])
    left = re.sub(r"\\[a-zA-Z]+|[{}_&$\s]", "", re.sub(r"\}\s*\{", "/", left))
    if re.search(r"d(?:\^?2|²)\w*/d\w+(?:\^?2|²|d)", left):
        return NotConnected(f"the claim {label!r} is about a second derivative; ad.check judges first ones, and ad.derive gives the second")
    found = re.search(r"d(\w+)/d(\w+)$", left)
    if found is None:
        return None
    names = Names(graph.by_name, graph.root_name)
    missing = [name for name in found.groups() if names.variable(name) is None]
    return no_node(graph, missing[0], f"the claim {label!r}") if missing else None


def _of_numbers(claim: Claim, given: Any) -> Claim:
    try:
        return replace(claim, numbers=plain(given))
    except BadOperand as error:
        return replace(claim, broken=str(error))
    except (TypeError, ValueError):
        if isinstance(given, list | tuple):
            return replace(claim, broken="this is no array of numbers: its rows are not equally long, or hold something else")
        return replace(claim, broken=f"{type(given).__name__} is no claim: give an array of numbers, a function, or a formula as text")


# ---------------------------------------------------------------- functions of the user's


def function_of_names(f: Callable[..., Any], graph: Recorded) -> Callable[[Point, Env], Any]:
    """A function called with the values that its parameters name, `dE_dz2` for a gradient; or with one object that has them all."""
    try:
        parameters = [
            p for p in inspect.signature(f).parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        ]
    except ValueError:
        parameters = []
    wanted = [p.name for p in parameters if p.default is p.empty or _known(graph, p.name)]
    if len(wanted) == 1 and not _known(graph, wanted[0]) and wanted[0] not in graph.numbers:
        return lambda point, env: f(SimpleNamespace(**{name: _own(env[name]) for name in env}))
    missing = [name for name in wanted if not _known(graph, name) and name not in graph.numbers]
    if missing:
        known = [*graph.by_name, *graph.sizes, *graph.numbers]
        raise NotConnected(
            f"the parameter {missing[0]} of {getattr(f, '__name__', 'the function')} is nothing in the graph of {graph.root_name}."
            f"{nearest(missing[0], known)} It has {', '.join(known)}, and gradients such as dE_dz2"
        )
    return lambda point, env: f(**{name: _own(env[_spelled(graph, name)]) for name in wanted})


def taken_from_outside(f: Callable[..., Any]) -> tuple[str, ...]:
    """The names of data that a function finds around it: neither modules and functions, nor plain numbers and texts."""
    try:
        found = inspect.getclosurevars(f)
    except TypeError:  # what is not written in Python
        return ()
    loaded = {i.argval for i in dis.get_instructions(f) if i.opname == "LOAD_GLOBAL"}  # getclosurevars takes the T of X.T for a global
    around = {**{name: x for name, x in found.globals.items() if name in loaded}, **found.nonlocals}
    fixed = (ModuleType, int, float, str, np.generic)
    return tuple(name for name, x in around.items() if not callable(x) and not isinstance(x, fixed))


def _known(graph: Recorded, name: str) -> bool:
    return name in graph.by_name or name in graph.sizes or _spelled(graph, name) != name


def _spelled(graph: Recorded, name: str) -> str:
    """A parameter as formulas spell it: dE_dz2, dz2 and delta2 mean dE/dz2."""
    if name in graph.by_name or name in graph.sizes:
        return name
    goal = goal_of_label(graph, name)
    return f"d{graph.root_name}/d{graph.names[goal.wrt]}" if goal is not None and goal.wrt is not None else name


def _own(x: Any) -> Any:
    """A copy that the user's function may write into."""
    return x.copy() if isinstance(x, np.ndarray) else x
