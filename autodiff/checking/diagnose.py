"""Why a claim is wrong: explanations that reproduce its numbers exactly, in the order in which people should hear them.

Shapes, sign, the catalogue of wrong rules, constant factors, transposes, entrywise factors, terms, one-edit fixes of the
text, pairs of mistakes; and if nothing fits, the narrowest true statement.  An explanation is a prediction of the wrong
array, and it fits only if it equals the claim, up to rounding, at every point; so several may fit, and all are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np

from ..errors import AutodiffError
from ..node import Node
from ..ops.table import TABLE
from .claims import Claim, Goal, Reading, aligned
from .mathtext import Formula, read
from .mistakes import FORMS, Mistake, applied, catalogue, constants
from .points import DERIVED, Array, Env, Point, Recorded, Sweep, Wrong, is_vector

EFFORT = 300_000  # rules run on numbers, at most, for the catalogue of one graph; the rest of it is left out, and said to be
PAIRS = 2_000  # pairs of mistakes that are tried
MOST_EDITS = 600
MOST_WRITTEN = 60_000  # nodes of edited formulas that are evaluated for one claim
SMALL = 64  # entries of a result whose whole Jacobian is computed
SLIGHT = 1e-3  # factors closer to 1 are nobody's
BITS = 40  # how much numbers must say before pairs of mistakes may explain them
FEW_BITS = 12  # of numbers that say less than this, some entry of the catalogue fits by chance
COMMON = 100  # ranks below it are of what is common
SAME_TEXT = {Mistake.SIGN, Mistake.BATCH_FACTOR, Mistake.FACTOR}  # of these one explanation is enough


@dataclass(frozen=True)
class Explanation:
    """What may have been done: a code, a sentence, what to do instead, and the wrong rules that predict other claims too."""

    code: Mistake
    text: str
    stage: int
    rank: int = 0
    wrongs: tuple[Wrong, ...] = ()
    constant: float = 1.0  # of explanations without a wrong rule: what the claim is times the truth
    fix: str = ""


@dataclass
class Case:
    """A wrong claim lined up with the truth: one array of each for every point, and how far rounding may take them apart."""

    claim: Claim
    points: list[Point]
    claimed: list[Array]
    truth: list[Array]
    slack: list[Array]  # allowed differences, of entries of the size of the truth
    unit: Array | float = 0.0  # what rounding to the decimals or digits given can change, in each entry

    @property
    def rounded(self) -> bool:
        """Is rounding allowed for?"""
        return bool(np.any(self.unit))

    def fits(self, predicted: Iterable[Array | None]) -> bool:
        """Does a prediction give the claimed numbers at every point?"""
        for a, c, t, s in zip(predicted, self.claimed, self.truth, self.slack, strict=False):
            if a is None or a.shape != c.shape or not near(a, c, t, s, self.unit):
                return False
        return True

    @property
    def goal(self) -> Goal:
        return self.claim.goal


def near(a: Array, c: Array, t: Array, slack: Array, unit: Array | float = 0.0) -> bool:
    """Are two arrays equal, where entries of the size of t may differ by `slack`, and larger ones by more, and all by `unit`?"""
    with np.errstate(all="ignore"):
        size, allowed = float(np.max(np.abs(t), initial=0.0)), float(np.max(slack, initial=0.0))
        grown = np.maximum(slack, allowed * np.abs(a) / size if size else slack)
        return bool(np.all(np.abs(a - c) <= grown + unit) and np.all(np.isfinite(a)))


class Catalogue:
    """The wrong sweeps of a graph at the points where they were needed so far."""

    def __init__(self, graph: Recorded, first: Point) -> None:
        self.graph, self.complete = graph, True
        self.entries: list[Wrong] = []
        self._sweeps: dict[tuple[int, int], Sweep] = {}
        self._above: dict[int, set[int]] = {}
        self._right: dict[int, Formula | None] = {}
        effort = 0
        for w in catalogue(graph, first):
            effort += 1 + sum(1 for n in graph.nodes if n.id <= w.at)
            if effort > EFFORT:
                self.complete = False
                break
            self.entries.append(w)

    def right(self, target: int) -> Formula | None:
        """The closed form of the gradient of a node, as `ad.derive` writes it; None if it finds none."""
        if target not in self._right:
            self._right[target] = self._derived(target) if len(self.graph.nodes) <= DERIVED else None
        return self._right[target]

    def _derived(self, target: int) -> Formula | None:
        from .. import derive

        n = self.graph.by_id[target]
        try:
            (found,) = derive(self.graph.root, wrt=n).results
            return read(found.numpy, [*self.graph.by_name, *self.graph.sizes], self.graph.root_name).formula
        except (AutodiffError, ValueError, TypeError, KeyError):  # not every gradient has a formula that can be written and read
            return None

    def sweep(self, k: int, point: Point) -> Sweep:
        """The sweep of entry k at a point."""
        key = (k, id(point))
        if key not in self._sweeps:
            self._sweeps[key] = point.sweep([self.entries[k]])
        return self._sweeps[key]

    def reaching(self, target: int) -> Iterator[int]:
        """The entries that can change the derivative of a node."""
        above = self._above.get(target)
        if above is None:
            above, stack = {target}, [target]
            while stack:
                for u in self.graph.users[stack.pop()]:
                    if u not in above:
                        above.add(u)
                        stack.append(u)
            self._above[target] = above
        for k, w in enumerate(self.entries):
            if w.at in above and (w.at != target or w.turn is not None):
                yield k


# ---------------------------------------------------------------- the order of diagnosis


def explanations(case: Case, catalogue: Catalogue) -> list[Explanation]:
    """Every explanation that fits, in order of stage and commonness; empty if none does."""
    if case.fits(case.truth):  # so close to what is right that whatever changes little would explain it
        return []
    found = list(_of_array(replace(case, unit=0.0), catalogue)) if case.rounded else []  # what fits exactly wants no rounding to explain it
    if all(e.code is Mistake.ZERO for e in found):
        found = list(_of_array(case, catalogue))
    if case.claim.formula is not None:
        found += edits(case)
    if not found and case.goal.kind == "gradient" and not few(case):
        found += _from_right(case, catalogue)
    if not found and case.goal.kind == "gradient" and _bits(case) >= BITS:
        found += _pairs(case, catalogue)
    return sorted(found, key=lambda e: (e.stage, e.rank))


def equally_common(a: Explanation, b: Explanation) -> bool:
    """Are two explanations that fit of the same kind, so that people should hear of both?"""
    factors = {a.code, b.code} <= {Mistake.BATCH_FACTOR, Mistake.FACTOR} and max(a.stage, b.stage) <= 3
    return a.rank // COMMON == b.rank // COMMON and (a.stage == b.stage or factors)


def distinct(found: list[Explanation]) -> list[Explanation]:
    """One explanation of a kind, where the kinds say it all."""
    kept: dict[Any, Explanation] = {}
    for e in found:
        kept.setdefault(e.code if e.code in SAME_TEXT else (e.code, e.text), e)
    return list(kept.values())


Guess = tuple[Iterable[Array | None], Explanation]  # the arrays that would be claimed at every point, and for what reason


def _of_array(case: Case, catalogue: Catalogue) -> Iterator[Explanation]:
    """The guesses that the numbers bear out."""
    goal, graph = case.goal, catalogue.graph
    least = case.slack if case.claim.formula is not None else [0.0] * len(case.claimed)  # what a text gives is known, but for rounding
    if all(np.all(np.abs(c) <= s) for c, s in zip(case.claimed, least, strict=True)):  # many mistakes give zero somewhere: none is known
        yield Explanation(Mistake.ZERO, f"this is {'all zeros' if case.truth[0].size > 1 else '0'}, and {goal.text} is not", 0)
        return
    own = _catalogue(case, catalogue) if goal.kind == "gradient" else _values(case) if goal.kind == "value" else _jacobians(case)
    with np.errstate(all="ignore"):
        for predicted, e in chain(_turned(case), own, _other_length(case, graph), _others(case, graph), _multiples(case, graph)):
            if case.fits(predicted):
                yield e
        yield from _constant(case, graph)


def _turned(case: Case) -> Iterator[Guess]:
    text, t = case.goal.text, case.truth[0]
    yield (
        (-t for t in case.truth),
        Explanation(Mistake.SIGN, f"the sign: this is minus {text}", 1, constant=-1.0, fix="change the sign"),
    )
    if t.ndim == 2 and not is_vector(t.shape):
        yield (t.T for t in case.truth), Explanation(Mistake.TRANSPOSED, f"this is the transpose of {text}", 4, fix="transpose it")


def _catalogue(case: Case, catalogue: Catalogue) -> Iterator[Guess]:
    for k in catalogue.reaching(case.goal.node):
        w = catalogue.entries[k]
        stage = 3 if w.rank and w.code in SAME_TEXT else 2
        made = Explanation(Mistake(w.code), w.text, stage, rank=w.rank * COMMON + _commonness(w.code), wrongs=(w,))
        yield (case.goal.truth(p, catalogue.sweep(k, p)) for p in case.points), made


def _commonness(code: str) -> int:
    return list(Mistake).index(Mistake(code))


def ratio(claimed: Sequence[Array], predicted: Sequence[Array]) -> float:
    """The constant that best takes one to the other."""
    top = sum(float(np.vdot(t, c)) for t, c in zip(predicted, claimed, strict=True))
    bottom = sum(float(np.vdot(t, t)) for t in predicted)
    return top / bottom if bottom else 0.0


def _constant(case: Case, graph: Recorded) -> Iterator[Explanation]:
    r = ratio(case.claimed, case.truth)
    if not np.isfinite(r) or abs(r + 1) < SLIGHT or r == 0:
        return
    known = [(text, v) for text, c in constants(graph) for text, v in ((text, c), (f"-{text}", -c))]
    fitting = [(text, v) for text, v in known if case.fits(v * t for t in case.truth)]
    for k, (text, v) in enumerate(fitting[:3]):
        code = Mistake.BATCH_FACTOR if text.lstrip("-") in ("m", "1/m", "m^2", "1/m^2") else Mistake.FACTOR
        yield Explanation(code, _factor_text(text, case.goal.text, graph), 3, rank=k, constant=v, fix=f"divide by {_grouped(text)}")
    odd = abs(abs(r) - 1) > SLIGHT and not fitting and case.truth[0].size > 1 and not case.fits(-t for t in case.truth)
    exactly = not case.claim.rounded or case.rounded  # rounded numbers can be no odd factor exactly, but by chance
    if odd and exactly and case.fits(r * t for t in case.truth):
        yield Explanation(
            Mistake.FACTOR, f"this is {r:.4g} times {case.goal.text}, in every entry", 6, rank=9, constant=r, fix=f"divide by {r:.4g}"
        )


def _other_length(case: Case, graph: Recorded) -> Iterator[Guess]:
    """The number of examples and another length exchanged in a mean; of a text, only if it has that length."""
    m = graph.sizes.get("m", 0)
    for n, name in graph.lengths().items() if m > 1 else ():
        for wrong, right in (((n, name), (m, "m")), ((m, "m"), (n, name))):
            if n != m and (case.claim.formula is None or _has_length(case, wrong[0])):
                stage, rank, c = (3, 50, right[0] / wrong[0]) if case.claim.formula is None else (2, 0, right[0] / wrong[0])
                said = f"divided by {wrong[1]} = {wrong[0]}, where {right[1]} = {right[0]} belongs"
                fix = f"divide by {right[1]}, not by {wrong[1]}"
                yield (c * t for t in case.truth), Explanation(Mistake.BATCH_FACTOR, said, stage, rank, constant=c, fix=fix)


def _has_length(case: Case, n: int) -> bool:
    """Does the text of a claim have this length, as a number or by name?"""
    env = Env(case.points[0], case.claim.numbers_known)
    parts = case.claim.formula.walk() if case.claim.formula is not None else ()
    said = [f for f in parts if f.op in ("number", "length") or (f.op == "name" and f.value[0] in case.points[0].graph.sizes)]
    return any(f.evaluate(env) == n for f in said)


def _grouped(text: str) -> str:
    return f"({text})" if "/" in text or text.startswith("-") else text


def _factor_text(text: str, goal: str, graph: Recorded) -> str:
    if text == "m":
        return f"the factor 1/m is missing: this is m = {graph.sizes['m']} times {goal}"
    if text == "1/m":
        return f"the factor 1/m is there once too often: this is 1/m times {goal}"
    return f"this is {text} times {goal}, in every entry"


def _others(case: Case, graph: Recorded) -> Iterator[Guess]:
    """The right answer to another question."""
    goal, shape, root = case.goal, case.truth[0].shape, graph.root_name
    target = graph.by_id[goal.node]
    named = [(name, n) for name, n in graph.by_name.items() if isinstance(n, Node) and n.active and n.id != goal.node]
    for name, n in named if goal.kind != "value" else ():
        if n.shape == shape:
            this = Explanation(Mistake.OTHER_GRADIENT, f"this is d{root}/d{name}, not {goal.text}", 5)
            yield (p.gradient(n.id) for p in case.points), this
    for name, n in named if goal.kind == "gradient" else ():
        if n.id > goal.node and n is not graph.root and n.shape == target.shape and np.size(n.data) <= SMALL:
            text = f"this is the derivative of {name} in {graph.label(target)} alone: d{root}/d{name}, which arrives there, is missing"
            yield (_own_slope(p, n, target) for p in case.points), Explanation(Mistake.VALUE_MISSING, text, 5)
        for axis, word in ((1, "rows"), (0, "columns")) if len(n.shape) == 2 else ():
            if n.shape[1 - axis] == case.truth[0].size > 1:
                sums = (p.gradient(n.id).sum(axis).reshape(shape) for p in case.points)
                yield sums, Explanation(Mistake.SUM_OF_ROWS, f"these are the sums of the {word} of d{root}/d{name}", 5)


def _own_slope(p: Point, n: Any, target: Any) -> Array:
    """The diagonal of the Jacobian of one node in another of its shape."""
    size = np.size(target.data)
    return np.diag(p.jacobian(n.id, target.id).reshape(size, size)).reshape(target.shape)


def _multiples(case: Case, graph: Recorded) -> Iterator[Guess]:
    """A factor too much or missing, entry by entry, and a term that is a multiple, among the graph's named values."""
    shape = case.truth[0].shape
    for name, values in _broadcasting(graph, case.points, shape) if shape else ():
        for word, f in FORMS[:4]:
            text = word.format(name)
            for said, fix, op in (("too much", "divide", np.multiply), ("missing", "multiply", np.divide)):
                made = Explanation(Mistake.ENTRYWISE_FACTOR, f"the entrywise factor {text} is {said}", 6, fix=f"{fix} by {text}")
                yield (op(t, f(v)) for t, v in zip(case.truth, values, strict=True)), made
    gap = [c - t for c, t in zip(case.claimed, case.truth, strict=True)]
    scalars = [(f"{name} * ", x) for name, x in graph.by_name.items() if isinstance(x, Node) and x is not graph.root and not x.shape]
    for name, x in graph.by_name.items():
        if x is graph.root or np.shape(getattr(x, "data", x)) != shape or not shape:
            continue
        for word, s in [("", None), *scalars]:
            term = [np.asarray(p.value_of(x), float) * (1.0 if s is None else p.value_of(s)) for p in case.points]
            r = ratio(gap, term)
            k = next((k for k in (1.0, 2.0, 0.5, 3.0, 4.0) if abs(abs(r) / k - 1) < 0.01), None)
            if k is not None:
                text = f"{'' if k == 1 else f'{k:g} * '}{word}{name}"
                code, said, fix = (Mistake.TERM_TOO_MUCH, "too much", "subtract") if r > 0 else (Mistake.TERM_MISSING, "missing", "add")
                made = Explanation(code, f"the term {text} is {said}", 7, fix=f"{fix} {text}")
                yield (t + np.sign(r) * k * v for t, v in zip(case.truth, term, strict=True)), made


def _broadcasting(graph: Recorded, points: Sequence[Point], shape: tuple[int, ...]) -> Iterator[tuple[str, list[Array]]]:
    """Named values, as they are and transposed, that broadcast to a shape."""
    for name, x in graph.by_name.items():
        if x is graph.root or np.size(x if isinstance(x, np.ndarray) else x.data) < 2:
            continue
        values = [np.asarray(p.value_of(x), float) for p in points]
        for turned in (values, [v.T for v in values]) if values[0].ndim == 2 else (values,):
            try:
                fits = np.broadcast_shapes(turned[0].shape, shape) == shape
            except ValueError:
                continue
            if fits:
                yield name if turned is values else f"{name}.T", turned


def edits(case: Case) -> Iterator[Explanation]:
    """The text one small edit away that is right; better one of the variable's shape than its transpose."""
    claim, other = case.claim, None
    assert claim.formula is not None
    rows = {r.rows for r in claim.readings()}
    graph = case.points[0].graph
    for what, variant in _edited(claim.formula, graph):
        if case.goal.is_in(variant, graph):
            continue
        for reading in (Reading(variant, r) for r in sorted(rows)):
            shape = _right(case, reading)
            if shape is None:
                continue
            new = _primes(variant) - _primes(claim.formula)  # f' is not how formulas are written here: the derived one is told instead
            found = Explanation(Mistake.EDIT, what, 8, fix="" if new else f"{variant.text} ({what})")
            if shape == case.truth[0].shape:
                yield found
                return
            other = other or found
    if other is not None:
        yield other


def _primes(f: Formula) -> set[str]:
    return {g.value for g in f.walk() if g.op == "prime"}


def _from_right(case: Case, catalogue: Catalogue) -> Iterator[Explanation]:
    """The slip of the pen that makes the claim out of the right formula, as `ad.derive` writes it."""
    right = catalogue.right(case.goal.node)
    if right is None:
        return
    for what, variant in chain(_edited(right, catalogue.graph), _fixed(right)):
        made = [_of_formula(variant, p, t) for p, t in zip(case.points, case.truth, strict=True)]
        for sign, more in ((1, ""), (-1, " and change the sign")):
            if case.fits(None if a is None else sign * a for a in made):
                yield Explanation(Mistake.EDIT, f"{what}{more}, and the right formula {right.text} becomes this", 8, rank=1, fix=right.text)
                return


def _fixed(f: Formula) -> Iterator[tuple[str, Formula]]:
    """The formula with a name taken for 1 or for 0."""
    for name in sorted(f.names):
        for c in (1, 0):
            yield f"write {c} instead of {name}", f.map(partial(_taken_for, name, Formula("number", value=c)))


def _taken_for(name: str, number: Formula, g: Formula) -> Formula:
    return number if g.op == "name" and g.value[0] == name else g


def _of_formula(f: Formula, p: Point, t: Array) -> Array | None:
    """What a formula gives at a point, in the shape of the truth; None where it cannot."""
    try:
        with np.errstate(all="ignore"):
            a = np.asarray(f.evaluate(Env(p, {})), float)
    except (ValueError, KeyError, TypeError, ArithmeticError, np.linalg.LinAlgError):
        return None
    return a.reshape(t.shape) if a.size == t.size and is_vector(a.shape) and is_vector(t.shape) else a


def _edited(f: Formula, graph: Recorded) -> Iterator[tuple[str, Formula]]:
    """The formulas one edit away: names are exchanged for those of their shape first, and for any others last."""
    shapes = {name: np.shape(getattr(x, "data", x)) for name, x in graph.by_name.items() if x is not graph.root}
    most = min(MOST_EDITS, MOST_WRITTEN // sum(1 for _ in f.walk()))
    yield from islice(f.edits({**shapes, **dict.fromkeys(graph.sizes, ())}), most)
    yield from islice(f.edits(dict.fromkeys((*graph.by_name, *graph.sizes), (-1,))), most)


def _right(case: Case, reading: Reading) -> tuple[int, ...] | None:
    """The shape in which a formula is right at every point; None if it is not."""
    shape = None
    for p, t, s in zip(case.points, case.truth, case.slack, strict=True):
        try:
            found = case.claim.at(p, reading)
        except (ValueError, KeyError, TypeError, ArithmeticError, np.linalg.LinAlgError):
            return None
        for a, _ in aligned(found, t, case.goal, reading.formula):
            if near(a, t, t, s):
                shape = found.shape
                break
        else:
            return None
    return shape


def _bits(case: Case) -> float:
    """How much the claim says, in bits, beyond the digits in which it was written; a zero where something is due says much as well."""
    shown = 0.0 if case.claim.numbers is None else 0.5 * 10.0**-case.claim.digits
    with np.errstate(all="ignore"):
        known = (np.maximum(np.abs(c), np.abs(t)) for c, t in zip(case.claimed, case.truth, strict=True))
        least = [np.maximum(shown, case.claim.half_a_unit(c)) for c in case.claimed]
        bits = [np.log2(np.maximum(1.0, k / np.maximum(u, s))) for k, u, s in zip(known, least, case.slack, strict=True)]
    return float(sum(np.sum(b) for b in bits))


def few(case: Case) -> bool:
    """Do numbers say so little that some mistake fits them by chance?"""
    return case.claim.numbers is not None and _bits(case) < FEW_BITS


def _pairs(case: Case, catalogue: Catalogue) -> Iterator[Explanation]:
    """Two mistakes at once: a wrong rule and a constant, then two common wrong rules."""
    first, goal = case.points[0], case.goal
    known = [("-1", -1.0), *constants(catalogue.graph)[:16]]
    rows = list(catalogue.reaching(goal.node))
    found = 0
    for k in rows:
        w = catalogue.entries[k]
        if w.code in SAME_TEXT:
            continue
        predicted = goal.truth(first, catalogue.sweep(k, first))
        r = ratio(case.claimed[:1], [predicted])
        text = next((text for text, c in known if abs(r / c - 1) < 0.01), None)
        if text is None:
            continue
        c = dict(known)[text]
        if case.fits(c * goal.truth(p, catalogue.sweep(k, p)) for p in case.points):
            factor = "the sign" if c == -1 else f"the factor {text} too much"
            yield Explanation(Mistake.PAIR, f"two mistakes: {w.text}; and {factor}", 9, rank=w.rank)
            found += 1
    if found:
        return
    common = [k for k in rows if catalogue.entries[k].rank == 0]
    tried = 0
    for i, k in enumerate(common):
        for j in common[:i]:
            two = (catalogue.entries[k], catalogue.entries[j])
            if two[0].at == two[1].at:
                continue
            tried += 1
            if tried > PAIRS or found >= 3:
                return
            if case.fits(goal.truth(p, p.sweep(two)) for p in case.points):
                found += 1
                yield Explanation(Mistake.PAIR, f"two mistakes: {two[1].text}; and {two[0].text}", 9, rank=1, wrongs=two)


# ---------------------------------------------------------------- values and Jacobians

RELATIONS: list[tuple[str, Callable[[Array], Array]]] = [
    ("1 - {0}", lambda v: 1 - v),
    ("1/{0}", lambda v: 1 / v),
    ("{0}^2", lambda v: v * v),
    ("sqrt({0})", np.sqrt),
    ("exp({0})", np.exp),
    ("log({0})", np.log),
]


def _values(case: Case) -> Iterator[Guess]:
    """What else may have been computed than the value of a node."""
    points, graph = case.points, case.points[0].graph
    n = graph.by_id[case.goal.of]
    name = graph.label(n)
    for op, kw, x in applied(graph, points[0], n):
        label = graph.label(x)
        where = "the exponent" if "exp(" in (op.scalar or "") else label
        said = f"the sign of {where}: this is {op.name}(-{label})"
        yield (_forward(op, -p.values[x.id], kw) for p in points), Explanation(Mistake.SIGN, said, 2)
        yield (p.values[x.id] for p in points), Explanation(Mistake.ACTIVATION, f"this is {label}: {op.name} was left out", 2)
        for other in list(TABLE.values()):
            if other.arity == 1 and other.kind == "elementwise" and other is not op and op.kind == "elementwise":
                said = f"{other.name} was computed, not {op.name}"
                yield (_forward(other, p.values[x.id], {}) for p in points), Explanation(Mistake.ACTIVATION, said, 2)
        for axis in range(len(x.shape)) if "axis" in kw else ():
            said = f"{op.name} was taken over axis {axis}, not {kw['axis']}"
            yield (_forward(op, p.values[x.id], {**kw, "axis": axis}) for p in points), Explanation(Mistake.OTHER_VALUE, said, 2)
    for word, f in RELATIONS:
        yield (f(t) for t in case.truth), Explanation(Mistake.ACTIVATION, f"this is {word.format(name)}", 2, rank=COMMON)
    if n.op is not None and len(n.args) == 2:
        yield from _of_two(case, n, name)


def _of_two(case: Case, n: Any, name: str) -> Iterator[Guess]:
    """One of two operands left out, or a factor transposed."""
    graph = case.points[0].graph
    for i, a in enumerate(n.args):
        values = [np.asarray(p.value_of(a), float) for p in case.points]
        alone = (np.broadcast_to(v, t.shape) if v.size <= t.size else None for v, t in zip(values, case.truth, strict=True))
        yield alone, Explanation(Mistake.FORGOTTEN_TERM, f"{graph.label_of_operand(n.args[1 - i])} was left out of {name}", 2)
    if n.op.form is not None:
        for said, f in (("the first factor", lambda a, b: a.T @ b), ("the second factor", lambda a, b: a @ b.T)):
            yield (_product(f, p, n) for p in case.points), Explanation(Mistake.TRANSPOSED, f"{said} of {name} was transposed", 2)


def _forward(op: Any, x: Array, kw: dict[str, Any]) -> Array | None:
    try:
        return np.asarray(op.forward(x, **kw), float)
    except Exception:  # an op of the user's may raise anything on numbers that it was not made for
        return None


def _product(f: Callable[[Array, Array], Array], p: Point, n: Any) -> Array | None:
    try:
        return f(p.value_of(n.args[0]), p.value_of(n.args[1]))
    except ValueError:
        return None


def _jacobians(case: Case) -> Iterator[Guess]:
    """What else may have been written than a Jacobian: a wrong derivative of a function, its diagonal, its rest with a sign."""
    goal, points, truth = case.goal, case.points, case.truth
    graph = points[0].graph
    n = graph.by_id[goal.of]
    if goal.kind == "jacobian" and truth[0].ndim == 2 and truth[0].shape[0] == truth[0].shape[1]:
        alone = f"only the diagonal of {goal.text} is there; the terms off it are missing"
        yield (np.diag(np.diag(t)) for t in truth), Explanation(Mistake.DIAGONAL, alone, 2)
        sign = f"the sign of the terms off the diagonal of {goal.text}"
        yield (2 * np.diag(np.diag(t)) - t for t in truth), Explanation(Mistake.SIGN, sign, 2)
    for op, kw, x in applied(graph, points[0], n):
        for m in op.mistakes if x.id == goal.wrt else ():
            made = Explanation(Mistake(m.code), m.text.format(z=graph.label(n), x=graph.label(x)), 2)
            full = (_jacobian_of(op, m.rule, kw, p.values[n.id], p.values[x.id]) for p in points)
            yield (goal.part(j, n.shape, x.shape) for j in full), made
        if op.kind == "elementwise" and op.arity == 1 and goal.wrt is not None and x.id > goal.wrt:
            missing = f"the derivative of {op.name}, from {graph.label(x)} to {graph.label(n)}, is missing"
            below, wrt = (p.jacobian(x.id, goal.wrt) for p in points), graph.by_id[goal.wrt]
            yield (goal.part(j, n.shape, wrt.shape) for j in below), Explanation(Mistake.DERIVATIVE_MISSING, missing, 2)


def _jacobian_of(op: Any, rule: Any, kw: dict[str, Any], z: Array, x: Array) -> Array:
    """The Jacobian that a wrong rule of the table amounts to."""
    if op.kind == "elementwise":
        return np.diag(np.ravel(np.broadcast_to(rule(z, x), x.shape)).astype(float)).reshape((*z.shape, *x.shape))
    rows = [np.asarray(rule(g.reshape(z.shape), z, x, **kw), float) for g in np.eye(z.size)]
    return np.array(rows).reshape((*z.shape, *x.shape))


# ---------------------------------------------------------------- shapes


def alike(a: Array, b: Array, claim: Claim, summed: int = 1) -> bool:
    """Are arrays that no rounding bound is known of the same, to half the digits of a float or the decimals of the numbers summed?"""
    d = claim.decimals
    half = 1e-8 * float(np.max(np.abs(b), initial=0.0))
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= half + (0.0 if d is None else 0.5 * summed * 10.0**-d)))


def of_shape(claim: Claim, claimed: list[Array], points: list[Point]) -> Explanation:
    """Why an array of another shape was claimed."""
    goal, graph = claim.goal, points[0].graph
    truth = [goal.truth(p) for p in points]
    a, t = claimed[0], truth[0]

    def same(values: list[Array], summed: int = 1) -> bool:
        return all(alike(v, t, claim, summed) for v, t in zip(values, truth, strict=True))

    if goal.kind in ("gradient", "value"):
        for axis in range(a.ndim):
            sums = [c.sum(axis, keepdims=True) for c in claimed]
            if same([s.reshape(t.shape) if s.size == t.size else s for s in sums], a.shape[axis]):
                name = graph.lengths().get(a.shape[axis], "")
                what = f"the m = {a.shape[axis]} examples" if name == "m" else f"axis {axis}, of length {a.shape[axis]}"
                why = f"what broadcasting copies forward is summed backward; the claim has shape {a.shape}, {goal.text} {t.shape}"
                return Explanation(Mistake.NOT_SUMMED, f"not summed over {what}: {why}", 0, fix=f"sum over axis {axis}")
        if a.ndim == 2 and same([c.T for c in claimed]):
            text = f"this is the transpose of {goal.text}: the shape is {a.shape}, due is {t.shape}"
            return Explanation(Mistake.TRANSPOSED, text, 0, fix="transpose it")
    found = _other_factor(claim, claimed, points) if goal.kind == "gradient" else None
    called = "the claim" if claim.function is None else claim.label
    return found or Explanation(Mistake.SHAPE, f"{called} has shape {a.shape}, but {goal.text} has shape {t.shape}", 0)


def _other_factor(claim: Claim, claimed: list[Array], points: list[Point]) -> Explanation | None:
    """A product with the wrong layer's value has the wrong shape as well."""
    goal, graph = claim.goal, points[0].graph
    for u in graph.users[goal.node]:
        n = graph.by_id[u]
        if n.op.form is None or len(n.shape) != 2:
            continue
        i = next(k for k, a in enumerate(n.args) if getattr(a, "id", None) == goal.node)
        for name, v in graph.by_name.items():
            if len(np.shape(getattr(v, "data", v))) != 2:
                continue
            try:
                products = [_back(p.gradient(u), np.asarray(p.value_of(v), float), i) for p in points]
            except ValueError:
                continue
            for turned in (False, True):
                if all(alike(c, q.T if turned else q, claim) for c, q in zip(claimed, products, strict=True)):
                    right = graph.label_of_operand(n.args[1 - i])
                    text = (
                        f"{name} was used where {right} belongs, so the shape is {claimed[0].shape}{' (and transposed)' if turned else ''}"
                    )
                    return Explanation(Mistake.OTHER_VALUE, text, 0)
    return None


def _back(g: Array, v: Array, i: int) -> Array:
    return g @ v.T if i == 0 else v.T @ g


# ---------------------------------------------------------------- when nothing fits


def narrowest(case: Case, graph: Recorded, right: Iterable[int]) -> str:
    """The narrowest true statement about a wrong claim that nothing explains."""
    said = []
    c, t = case.claimed[0], case.truth[0]
    with np.errstate(all="ignore"):
        fine = np.abs(c - t) <= case.slack[0] + case.unit
        r = c / t
    if fine.any() and not fine.all():
        wrong = ", ".join(str([int(i) for i in where]) for where in np.argwhere(~fine)[:4])
        said.append(f"{int(fine.sum())} of {fine.size} entries are right; wrong are {wrong}{' and more' if (~fine).sum() > 4 else ''}")
    elif t.ndim == 2 and not is_vector(t.shape) and np.all(np.isfinite(r)) and np.all(t):
        arriving, met = "the derivative that arrives", "the value that it is multiplied by"
        so = ", so the fault is in {}, not in {}" if case.goal.kind == "gradient" else ""
        if np.allclose(r, r[:1, :1], rtol=1e-6):
            said.append(f"every entry is {r[0, 0]:.6g} times {case.goal.text}")
        elif np.allclose(r, r[:, :1], rtol=1e-6):
            said.append("it is wrong by a factor that depends on the row only" + so.format(arriving, met))
        elif np.allclose(r, r[:1], rtol=1e-6):
            said.append("it is wrong by a factor that depends on the column only" + so.format(met, arriving))
    elif np.all(np.sign(c) == np.sign(t)) and t.size > 1:
        said.append("every entry has the right sign")
    above = sorted(k for k in right if k > case.goal.node)
    if above:
        name = graph.names[above[0]]
        said.append(f"d{graph.root_name}/d{name} is right, so the fault is between {name} and {graph.names[case.goal.node]}")
    return "; ".join(said)
