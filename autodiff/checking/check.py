"""`ad.check`: claims judged against the recorded graph, in the order in which they follow one another.

Truth is the graph's own gradient at its recorded sizes, at the recorded point and, for claims that can be evaluated
anywhere, at others.  This file judges and says what follows from what; why a claim is wrong is for diagnose.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from ..errors import AutodiffError, BadOperand, ShapeMismatch
from ..naming import user_frame, variables
from ..node import Block, Node, recording
from .claims import (
    AS_WRITTEN,
    ENTRYWISE,
    Claim,
    Goal,
    Reading,
    aligned,
    as_rounded,
    chain_order,
    claims_of,
    function_of_names,
    goal_of_label,
    taken_from_outside,
    written,
)
from .counterexample import counterexample, distinct_sizes, goal_in
from .diagnose import Case, Catalogue, Explanation, distinct, edits, equally_common, explanations, few, narrowest, of_shape
from .mathtext import Formula
from .mistakes import Mistake
from .points import Array, Env, Point, Recorded, Wrong, is_vector, moving
from .proof import proved
from .raised import place_of
from .report import CARRIED, RIGHT, UNDECIDED, WRONG, Report, Verdict
from .slopes import slopes
from .ulps import Comparison

BETWEEN = 1e-3  # where rounding alone could change a number by more than this part of it, nothing is decided
CLOSE = 1e-6  # numbers off by less than this part of the largest are not taken for another formula's
SHOWN = 3  # explanations told beside the first
INDICES = set("eijkluv")  # which formulas mean something else by
SURELY = 4  # ulps of the result alone, by which any two correct computations may differ
BENT = 2_000  # nodes, at most, of a graph that is run again to find its kinks
KINKS = 8  # entries, at most, that may differ by standing on kinks
TINY = 0.1  # weights smaller than this hide mistakes


# ---------------------------------------------------------------- comparing one claim


@dataclass
class Judged:
    """A claim compared: how it was read and laid out, the numbers at each point, and the worst comparison of them."""

    claim: Claim
    status: str
    reading: Reading = AS_WRITTEN
    layout: str = ""
    arrays: list[Array] = field(default_factory=list)  # lined up with the truth; empty if they have another shape
    raw: list[Array] = field(default_factory=list)
    comparison: Comparison | None = None
    problem: str = ""  # why there are no numbers
    misfit: bool = False  # because shapes do not fit
    option: int = 0
    note: str = ""
    proved: bool = False  # by algebra, where the numbers could not tell

    @property
    def goal(self) -> Goal:
        return self.claim.goal


def allowance(claim: Claim, point: Point, own: tuple[Array, int] | None = None) -> Array:
    """How far a right claim may be from the truth at a point by the rounding of two correct computations, without that to decimals."""
    magnitude, ulps = claim.goal.scale(point)
    bound = eps_of(claim, point) * (2 * ulps + 1) * magnitude
    if own is not None and np.broadcast_shapes(np.shape(own[0]), np.shape(magnitude)) == np.shape(magnitude):
        bound = bound + eps_of(claim, point) * own[1] * own[0]
    return np.asarray(bound)


def eps_of(claim: Claim, point: Point, a: Array = 0.0) -> float:
    """The precision of a claim at a point, where a function of the user's gave `a`."""
    return max(point.eps, claim.eps, float(np.finfo(np.asarray(a).dtype).eps))


def compared(claim: Claim, a: Array, truth: Array, point: Point, reading: Reading, brief: bool = False) -> tuple[str, Comparison]:
    """Right, wrong or undecided at one point, and the comparison in ulps; `brief` if another point says how many and how surely."""
    if np.array_equal(a, truth, equal_nan=True):
        return RIGHT, Comparison("identical", 0.0, 0)
    eps = eps_of(claim, point, a)
    gap = np.abs(a - truth)
    if brief and np.all(gap <= SURELY * eps * np.abs(truth)):
        return RIGHT, Comparison("rounding only", SURELY, SURELY)
    magnitude, ulps = claim.goal.scale(point)
    with np.errstate(all="ignore"):
        away = float(np.max(np.where(gap == 0, 0.0, np.nan_to_num(gap / (eps * magnitude), nan=np.inf, posinf=np.inf))))
        size = float(np.max(np.abs(truth), initial=0.0))
    bound = 2 * ulps + 1
    if away <= bound:
        return RIGHT, Comparison("rounding only", away, bound)
    if claim.numbers is None and not np.max(gap) > BETWEEN * size:  # small enough to be the claim's own rounding: what is that?
        own = claim.rounding(point, reading)
        allowed = allowance(claim, point, own)
        if np.all(gap <= allowed):
            worst = float(np.max(allowed, initial=0.0))
            known = own is not None and worst <= max(BETWEEN * size, 4 * eps * size)
            return (RIGHT if known else UNDECIDED), Comparison("rounding only", away, int(np.ceil(worst / (eps * max(size, 1e-300)))))
    if claim.rounded and np.all(gap <= allowance(claim, point) + claim.half_a_unit(a)):
        enough = brief or claim.decimals is None or claim.significant is not None or size >= 5 * 10.0**-claim.decimals
        return (RIGHT if enough else UNDECIDED), Comparison("rounding only", away, bound)
    return WRONG, Comparison("different", away, bound)


def judge(claim: Claim, points: Sequence[Point]) -> Judged:
    """Compare a claim with the truth at every point, in each way that it can be read and laid out."""
    if claim.broken:
        return Judged(claim, UNDECIDED if claim.unread else WRONG, problem=claim.broken)
    first: Judged | None = None
    for reading in claim.readings():
        try:
            raw = [claim.at(p, reading) for p in points]
        except Exception as error:  # whatever a function of the user's raises is said of that claim alone
            first = first or Judged(claim, WRONG, reading, problem=_failed(error), misfit=isinstance(error, ShapeMismatch))
            continue
        found = judged_numbers(as_rounded(claim, raw), raw, points, reading)
        if found.status == RIGHT:
            return found
        if first is None or (first.problem and not found.problem) or (found.arrays and not first.arrays):
            first = found
    assert first is not None
    for meant, note in chain(_with_constants(claim, points[0].graph), _with_columns(claim, points[0])):
        if (found := judge(meant, points)).status == RIGHT:
            return replace(found, claim=replace(claim, formula=meant.formula), note=note)
    return first


def _with_constants(claim: Claim, graph: Recorded) -> Iterator[tuple[Claim, str]]:
    """A formula with the names of constants in place of their numbers, and what is said of that."""
    if claim.formula is None:
        return
    numbers = {f.value for f in claim.formula.walk() if f.op == "number"} - {0, 1, 2, 0.5}
    known = [s for s in graph.sources if s.name and s.node is not None and not s.node.active and s.data.size == 1 and s.data.item()]
    for c, s, k in ((c, s, k) for c in sorted(numbers) for s in known for k in (1, 2, 0.5)):
        if abs(c / (k * s.data.item()) - 1) < 1e-12:
            name = Formula("name", (), (s.name, False))
            constant = name if k == 1 else Formula("mul", (Formula("number", value=k), name))
            formula = claim.formula.map(partial(_put_for, c, constant))
            yield replace(claim, formula=formula), f"{c:g} is {constant.text} here; write {constant.text}"


def _with_columns(claim: Claim, point: Point) -> Iterator[tuple[Claim, str]]:
    """NumPy text that takes 1-D arrays for columns, as `ad.derive` prints them: it transposes them, or multiplies them by rows."""
    if claim.formula is None or not claim.numpy or claim.formula == (columns := claim.formula.as_columns):
        return
    env, said = Env(point, claim.numbers_known), "read with vectors as columns; "
    with suppress(ValueError, LookupError):
        turned = [f.text for f in columns.walk() if f.op == "T" and np.ndim(f.args[0].evaluate(env)) == 1]
        if turned:
            said += f"NumPy's 1-D arrays have no {turned[0]}: "
        elif not any(np.ndim(a.evaluate(env)) == 1 for f in columns.walk() if f.op == "matmul" for a in f.args[:-1]):
            return
        yield replace(claim, formula=columns), f"{said}write np.outer for an outer product"


def _put_for(number: float, constant: Formula, f: Formula) -> Formula:
    return constant if f.op == "number" and f.value == number else f


def _failed(error: Exception) -> str:
    """What was raised and, if in the user's code, where."""
    place = place_of(error)
    said = str(error) if isinstance(error, AutodiffError) else f"{type(error).__name__}: {error}"
    return said if place is None else f"{said}\n{place}"


def judged_numbers(claim: Claim, raw: list[Array], points: Sequence[Point], reading: Reading) -> Judged:
    """Compare arrays, one for each point, in each layout that they can be in."""
    truth = [claim.goal.truth(p) for p in points]
    options = [list(aligned(a, t, claim.goal, claim.formula)) for a, t in zip(raw, truth, strict=True)]
    best = Judged(claim, WRONG, reading, raw=raw)
    for k in range(min(map(len, options), default=0)):
        arrays = [o[k][0] for o in options]
        worst, status = None, RIGHT
        for a, t, p in zip(arrays, truth, points, strict=True):
            status, comparison = compared(claim, a, t, p, reading, brief=p is not points[0])
            worst = comparison if worst is None or status != RIGHT else worst
            if status != RIGHT:
                break
        found = Judged(claim, status, reading, options[0][k][1], arrays, raw, worst, option=k)
        if status == RIGHT:
            return found
        best = best if best.arrays else found
    return best


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def holds_at(judged: Judged, point: Point) -> bool:
    """Is a claim that was right elsewhere right at this point, read and laid out as there?"""
    try:
        raw = judged.claim.at(point, judged.reading)
        truth = judged.goal.truth(point)
        options = list(aligned(raw, truth, judged.goal, judged.claim.formula))
        return (
            judged.option < len(options)
            and compared(judged.claim, options[judged.option][0], truth, point, judged.reading, brief=True)[0] == RIGHT
        )
    except Exception:  # outside its assumption a formula need not even be defined
        return False


# ---------------------------------------------------------------- a whole set of claims


def recorded_anew() -> Block:
    """A block in which the graph can be run again, although the user may have switched recording off."""
    return Block(recording, True)


class Check:
    """The claims of one graph, judged in order; `derivation` says that they are lines which follow one another."""

    def __init__(self, graph: Recorded, claims: list[Claim], derivation: bool, said: tuple[str, ...] = ()) -> None:
        self.graph, self.derivation, self.said = graph, derivation, said
        claims = written(claims)
        with recorded_anew():
            self.points = [graph.recorded(), *(graph.drawn() if any(c.moves for c in claims) else [])]
            self.judged = [self._settled(judge(c, self.points_of(c))) for c in claims]
        self._catalogue: Catalogue | None = None
        self._cases: dict[int, Case] = {}
        self._resized: Recorded | None = None
        self._families: dict[tuple[int, int], list[Point]] = {}
        self.wrong: list[tuple[Judged, Verdict, list[Explanation]]] = []
        self.open: dict[tuple[str, int], str] = {}  # wrong steps that no right one has answered yet, by what they are about

    @property
    def catalogue(self) -> Catalogue:
        if self._catalogue is None:
            self._catalogue = Catalogue(self.graph, self.points[min(1, len(self.points) - 1)])
        return self._catalogue

    def points_of(self, claim: Claim) -> list[Point]:
        return self.points if claim.moves else self.points[:1]

    def report(self) -> Report:
        with recorded_anew():
            verdicts = tuple(self.verdict(j) for j in self.judged)
        return Report(verdicts, (*self.said, *self.remarks(verdicts)))

    def verdict(self, j: Judged) -> Verdict:
        unsure = j.status == UNDECIDED or (j.status == WRONG and self.agreeing(j) is not None)
        v = self.circular(j) or self.right(j) if j.status == RIGHT else self.undecided(j) if unsure else self.failed(j)
        if v.status in (WRONG, CARRIED):
            self.open.setdefault((j.goal.kind, j.goal.node), j.claim.label)
        return v

    def _settled(self, j: Judged) -> Judged:
        """A formula whose numbers decide nothing may be right by algebra; against its numbers algebra only leaves it undecided."""
        if j.status == RIGHT or not j.arrays or not proved(j.claim, j.reading, self.graph, ()):
            return j
        return replace(j, status=RIGHT if j.status == UNDECIDED else UNDECIDED, proved=True)

    def _made(self, j: Judged, status: str, how: str = "numbers", **more: Any) -> Verdict:
        node, points = self.graph.by_id[j.goal.node], len(self.points_of(j.claim))
        return Verdict(
            j.claim.label, j.goal.text, status, comparison=j.comparison, how=how, points=points, text=j.claim.text, node=node, **more
        )

    # ------------------------------------------------------------ right ones

    def circular(self, j: Judged) -> Verdict | None:
        """The verdict on a formula that is right because it speaks of what it is to give; None for any other."""
        if j.claim.formula is None or not j.goal.is_in(j.claim.formula, self.graph):
            return None
        return self._made(j, UNDECIDED, sentence=f"this gives {j.goal.text} by itself, so it says nothing")

    def right(self, j: Judged) -> Verdict:
        notes = []
        d, s, exact = j.claim.decimals, j.claim.significant, j.comparison is not None and j.comparison.verdict == "identical"
        if not exact and j.claim.rounded:
            notes.append(f"judged at the {d} decimals given" if s is None else f"judged at the {s} significant digits given")
        elif not exact and (eps := eps_of(j.claim, self.points[0], j.arrays[0])) > self.points[0].eps:
            single = eps <= np.finfo(np.float32).eps
            notes.append(f"judged in {'single' if single else 'half'} precision, in which these numbers are")
        wrong = self.open.pop((j.goal.kind, j.goal.node), None)
        if wrong is not None:
            notes.append(f"right, but it does not follow from {wrong}")
        notes += [j.note] if j.note else []
        notes += self.read_as(j)
        notes += self.slips(j)
        if (other := self.resized(j)) is not None and other[0].status == WRONG:
            notes.append(f"right at these sizes, but not at others ({other[1].shapes()})")
        if j.layout == "numerator" and j.claim.formula is None and j.goal.kind == "gradient" and not is_vector(j.raw[0].shape):
            notes.append(f"the transpose of what is subtracted from {self.graph.names[j.goal.node]} in a step of gradient descent")
        if j.claim.numbers is not None and not j.layout and j.claim.numbers.shape != j.arrays[0].shape:
            notes.append(f"given with the shape {j.claim.numbers.shape}; {self.graph.names[j.goal.node]} has {j.arrays[0].shape}")
        needed = () if j.proved else self.assumptions(j)
        how = "algebra" if j.proved or proved(j.claim, j.reading, self.graph, needed) else "numbers"
        return self._made(j, RIGHT, how, layout=j.layout, assumptions=needed, notes=tuple(notes))

    def read_as(self, j: Judged) -> list[str]:
        """How a right claim had to be read, where it does not say so itself."""
        notes = []
        if j.claim.formula is not None:
            products = j.reading.formula.entrywise(Env(self.points[0], j.claim.numbers_known, j.reading.rows))
            notes += [f"read with entrywise products: {', '.join(products)}; write them with ⊙"] if products else []
        if j.layout == ENTRYWISE:
            written = f": diag({j.claim.formula.text})" if j.claim.formula is not None else ""
            notes.append(f"read as the diagonal of the Jacobian, off which it is 0{written}")
        return notes

    def assumptions(self, j: Judged) -> tuple[str, ...]:
        """What of the data's properties a right claim needs."""
        if not j.claim.moves or len(self.points) < 2:
            return ()
        needed = []
        for s in self.graph.sources:
            if not s.name or len(s.kinds) < 2:
                continue
            for k in range(len(s.kinds) - 1, 0, -1):  # from no property at all to the strictest but one
                points = self._family(s.key, k)
                if all(holds_at(j, p) for p in points):
                    needed += [s.kinds[k].says.format(s.name)] if s.kinds[k].says else []
                    break
            else:
                needed.append(s.kinds[0].says.format(s.name))
        return tuple(needed)

    def _family(self, key: int, k: int) -> list[Point]:
        if (key, k) not in self._families:
            self._families[key, k] = self.graph.drawn(1, seed=2 + k, looser={key: k})
        return self._families[key, k]

    def slips(self, j: Judged) -> list[str]:
        """A right Jacobian after a wrong definition of what is differentiated: a second mistake that cancels the first."""
        for w, v, _ in list(self.wrong):
            if w.goal.kind != "value" or not j.goal.kind.startswith("jacobian") or w.goal.of != j.goal.of or w.claim.formula is None:
                continue
            own = self._derivative_of(w, j)
            if own is None or all(np.allclose(a, b) for a, b in zip(own, j.arrays, strict=True)):
                continue
            self.wrong.remove((w, v, next(e for x, _, e in self.wrong if x is w)))
            if all(np.allclose(a, -b) for a, b in zip(own, j.arrays, strict=True)):
                return [f"a second slip cancels the first: {v.label} as written has the opposite derivative"]
            return [f"right, but it does not follow from {v.label} as written"]
        return []

    def _derivative_of(self, w: Judged, j: Judged) -> list[Array] | None:
        """The derivative of a person's own wrong definition, at every point."""
        from .definition import derivative

        try:
            return [derivative(w.claim, w.reading, j.goal, p) for p in self.points]
        except Exception:  # the definition may not be differentiable by the engine, and then nothing is said
            return None

    # ------------------------------------------------------------ others

    def agreeing(self, j: Judged) -> int | None:
        """To how many digits unrounded numbers agree with the truth, if to so many that they are hardly another formula's."""
        if j.claim.formula is not None or j.claim.rounded or not j.arrays or j.comparison is None or j.comparison.verdict != "different":
            return None
        truths = [j.goal.truth(p) for p in self.points_of(j.claim)]
        part = max(float(np.max(np.abs(a - t))) / max(float(np.max(np.abs(t))), 1e-300) for a, t in zip(j.arrays, truths, strict=True))
        return int(-np.log10(part)) if 0 < part < CLOSE else None

    def undecided(self, j: Judged) -> Verdict:
        d = j.claim.decimals
        if j.problem:
            return self._made(j, UNDECIDED, mistake=Mistake.UNREADABLE, sentence=f"not judged: {j.problem}")
        if j.proved:
            return self._made(
                j, UNDECIDED, sentence=f"by algebra this is {j.goal.text}, but computed as it is written it loses all its digits"
            )
        if (k := self.agreeing(j)) is not None:
            like = "as difference quotients and single precision do, but not to all that rounding leaves"
            return self._made(j, UNDECIDED, sentence=f"this agrees with {j.goal.text} to {k} digits, {like}")
        if d is None:
            return self._made(j, UNDECIDED, sentence="rounding alone could make the difference, so these numbers decide nothing")
        size = float(np.max(np.abs(j.goal.truth(self.points[0]))))
        more = int(np.ceil(-np.log10(size))) + 2 if size else d + 3
        few = f"{d} decimals are too few here: the largest entry is {size:.1g}, so nearly any answer rounds to these; give {more}"
        return self._made(j, UNDECIDED, sentence=few)

    def failed(self, j: Judged) -> Verdict:
        points = self.points_of(j.claim)
        if j.problem:
            return self._wrong(j, [Explanation(Mistake.SHAPE if j.misfit else Mistake.UNREADABLE, j.problem, 0), *self.edited(j)])
        bad = [a for a in j.raw if not np.all(np.isfinite(a))]
        if bad:
            where = [tuple(int(i) for i in k) for k in np.argwhere(~np.isfinite(bad[0]))]
            said = f"{len(where)} of {bad[0].size} entries are not finite, the first at {where[0]}"
            return self._made(j, WRONG, mistake=Mistake.NOT_A_NUMBER, sentence=said)
        carried = "" if self.nothing(j) else self.carried(j, points)
        if kink := self.at_a_kink(j):
            return self._made(j, UNDECIDED, sentence=kink)
        if carried:
            v = self._made(j, CARRIED, sentence=carried, layout=j.layout)
            self.wrong.append((j, v, []))
            return v
        found = self.explained(j) if j.arrays else [of_shape(j.claim, j.raw, points), *self.edited(j)]
        return self._wrong(j, found)

    def nothing(self, j: Judged) -> bool:
        """Is a wrong claim zero, but for rounding?  Zeros follow from zeros, so they are nobody's work."""
        return bool(j.arrays) and all(np.all(np.abs(c) <= s) for c, s in zip(j.arrays, self.case(j).slack, strict=True))

    def at_a_kink(self, j: Judged) -> str:
        """What conventions differ in, if a wrong gradient is elsewhere right, and here between the slopes to the left and right."""
        here, k = self.points[0], j.goal.node
        bends = len(self.graph.nodes) <= BENT and any(n.op is not None and not n.op.analytic for n in self.graph.nodes)
        if not bends or j.goal.kind != "gradient" or not j.arrays or not all(holds_at(j, p) for p in self.points_of(j.claim)[1:]):
            return ""
        case, x, said = self.case(j), np.asarray(here.values[k], float), ""
        off = np.argwhere(np.abs(j.arrays[0] - case.truth[0]) > case.slack[0] + case.unit)
        for where in map(tuple, off if len(off) <= KINKS else ()):

            def along(h: float, where: tuple[int, ...] = where) -> float:
                moved = x.copy()
                moved[where] += h
                return float(np.sum(Point(self.graph, here.data, pinned={k: moved}).values[self.graph.root_id]))

            found = slopes(along, noise=here.eps * max(1.0, abs(along(0.0))))
            low, high = sorted((found.left, found.right))
            unit = float(np.broadcast_to(case.unit, x.shape)[where])
            if not found.bend or not low - found.bar - unit <= j.arrays[0][where] <= high + found.bar + unit:
                return ""
            entry = f"[{', '.join(map(str, where))}]" if where else ""
            said = said or f"{j.goal.text}{entry} stands on a kink, with the slopes {low:.4g} and {high:.4g} beside it: conventions differ"
        return said

    def edited(self, j: Judged) -> list[Explanation]:
        """The one-edit fix of a formula whose numbers cannot be compared with the truth."""
        return list(edits(self.case(j))) if j.claim.formula is not None else []

    def explained(self, j: Judged) -> list[Explanation]:
        case = self.case(j)
        found = explanations(case, self.catalogue)
        if not found:
            right = [o.goal.node for o in self.judged if o.status == RIGHT and o.goal.kind == "gradient"]
            said = narrowest(case, self.graph, right)
            more = "" if self.catalogue.complete else "; the graph is too big for the whole catalogue of mistakes"
            if j.claim.decimals is not None and few(case):
                more = f"; {j.claim.decimals} decimals of {_counted(case.truth[0].size, 'number')} say too little to tell mistakes apart"
            return [Explanation(Mistake.UNKNOWN, f"no known mistake explains this{more}{': ' if said else ''}{said}", 99)]
        return self.ranked(j, self.refined(j, found))

    def resized(self, j: Judged) -> tuple[Judged, Recorded] | None:
        """The same claim where a function was run again with every axis of another length; None if it cannot be."""
        if self.graph.again is None or not j.claim.moves:
            return None
        try:
            if self._resized is None:
                self._resized = distinct_sizes(self.graph)
            claim = replace(j.claim, goal=goal_in(self.graph, self._resized, j.goal))
            found = judge(claim, self._resized.drawn(2))
        except Exception:  # a function may be made for its own sizes only, and then it has nothing to add
            return None
        return (found, self._resized) if found.arrays else None

    def refined(self, j: Judged, found: list[Explanation]) -> list[Explanation]:
        """Of explanations that fit equally well, those that fit at other sizes too."""
        other = self.resized(j) if len(found) > 1 else None
        if other is None or other[0].status != WRONG:
            return found
        there = Check(other[1], [other[0].claim], self.derivation)
        texts = {e.text for e in explanations(there.case(there.judged[0]), there.catalogue)} if there.judged[0].arrays else set()
        return [e for e in found if e.text in texts or e.code is Mistake.EDIT] or found

    def case(self, j: Judged) -> Case:
        """A claim with its truth and its allowance at every point where it can be evaluated."""
        if id(j) not in self._cases:
            points = self.points_of(j.claim)
            truth, slack = [j.goal.truth(p) for p in points], [allowance(j.claim, p) for p in points]
            if j.arrays:  # where the truth is 0, the claim's own numbers are rounded all the same
                own = [(np.abs(c), j.goal.scale(p)[1]) for c, p in zip(j.arrays, points, strict=True)]
                slack = [
                    np.maximum(s, allowance(j.claim, p, o)) if np.all(s == 0) else s for s, p, o in zip(slack, points, own, strict=True)
                ]
            unit = j.claim.half_a_unit(j.arrays[0]) if j.claim.numbers is not None and j.arrays else 0.0
            self._cases[id(j)] = Case(j.claim, points, j.arrays, truth, slack, unit)
        return self._cases[id(j)]

    def ranked(self, j: Judged, found: list[Explanation]) -> list[Explanation]:
        """What explains the most of the other claims, and contradicts the fewest right ones; one-edit fixes are kept beside it."""
        known = {id(e): self._support(e, j) for e in found if e.code is not Mistake.EDIT}
        best = min(((wrong, -len(so)) for wrong, so in known.values()), default=(0, 0))
        kept = []
        for e in found:
            contradicted, so = known.get(id(e), (0, []))
            if e.code is Mistake.EDIT or (contradicted, -len(so)) == best:
                shared = f"; and so {'are' if len(so) > 1 else 'is'} {', '.join(so)}" if so and not e.wrongs else ""
                kept.append(replace(e, text=e.text + shared))
        return kept

    def _support(self, e: Explanation, j: Judged) -> tuple[int, list[str]]:
        """How many right claims an explanation of one claim contradicts, and the labels of wrong ones that it explains as well."""
        contradicted, explained = 0, []
        for o in self.judged:
            predicted = self.predicted(e, o) if o is not j and o.arrays and o.goal.kind == "gradient" else None
            if predicted is not None and o.status == WRONG and self.case(o).fits(predicted):
                explained.append(o.claim.label)
            elif predicted is not None and o.status == RIGHT and e.wrongs and not self.derivation:
                contradicted += not self.case(o).fits(predicted)
        return contradicted, explained

    def predicted(self, e: Explanation, o: Judged) -> list[Array] | None:
        """What an explanation of one claim would make of another."""
        return self._prediction(e, o.goal, self.points_of(o.claim))

    def _prediction(self, e: Explanation, goal: Goal, points: list[Point]) -> list[Array] | None:
        if e.wrongs:
            return [goal.truth(p, self._sweep(e.wrongs, p)) for p in points]
        return [e.constant * goal.truth(p) for p in points] if e.constant != 1.0 else None

    def _sweep(self, wrongs: tuple[Wrong, ...], p: Point) -> Any:
        if len(wrongs) == 1 and self._catalogue is not None:
            for k, w in enumerate(self._catalogue.entries):
                if w is wrongs[0]:
                    return self._catalogue.sweep(k, p)
        return p.sweep(wrongs)

    def _wrong(self, j: Judged, found: list[Explanation]) -> Verdict:
        told = distinct(found)
        first = told[0]
        fix = next((e.fix for e in told if e.code is Mistake.EDIT and e.fix), "") or first.fix
        if not fix and j.goal.kind == "gradient" and (right := self.catalogue.right(j.goal.node)) is not None:
            fix = f"{j.goal.text} = {right.text}"
        others = tuple(e.text for e in told[1:] if equally_common(e, first) or self._differs(e, first, j))
        sure = first.code in (Mistake.ZERO, Mistake.UNKNOWN) or not first.stage or not (few(self.case(j)) or (j.claim.decimals and others))
        v = self._made(
            j,
            WRONG,
            mistake=first.code,
            sentence=first.text if sure else f"perhaps: {first.text}",
            others=others[:SHOWN],
            fix=fix + self._lengths_in(fix),
            layout=j.layout,
            counterexample=counterexample(j, self.graph, j.goal.truth(self.points[0])),
            edge=self._edge(j.goal, first),
        )
        self.wrong.append((j, v, found))
        return v

    def _lengths_in(self, fix: str) -> str:
        """What lengths of axes a fix speaks of."""
        said = [f"{name} = {n}" for name, n in self.graph.sizes.items() if name != "m" and re.search(rf"\b{name}\b", fix)]
        return f", where {', '.join(said)}" if said else ""

    def _differs(self, e: Explanation, first: Explanation, j: Judged) -> bool:
        """Would two explanations of the same numbers give other numbers elsewhere?  Then they are two, and not one said twice."""
        if j.claim.moves:  # compared elsewhere already
            return False
        elsewhere = self._family(0, 0)
        a, b = (self._prediction(x, j.goal, elsewhere) for x in (e, first))
        return a is not None and b is not None and not all(np.allclose(x, y, rtol=1e-6) for x, y in zip(a, b, strict=True))

    def _edge(self, goal: Goal, e: Explanation) -> tuple[Any, int] | None:
        """Where in the graph the mistake was made: at the rule that was wrong, or else in the last step to the target."""
        n = self.graph.by_id[goal.node]
        if goal.kind == "value":
            return (n, 0) if n.op is not None else None
        above = {goal.node}
        for m in self.graph.nodes:
            reaches = next((i for i, a in moving(m) if a.id in above), None)
            if reaches is not None:
                above.add(m.id)
                if not e.wrongs or m.id == e.wrongs[0].at:
                    return m, reaches
        return None

    # ------------------------------------------------------------ what follows from what

    def carried(self, j: Judged, points: list[Point]) -> str:
        """Why a wrong claim is no new mistake: it follows correctly from an earlier one."""
        if not j.arrays or not self.wrong:
            return ""
        case = self.case(j)
        for w, v, found in reversed(self.wrong):
            said = f"follows correctly from the mistake in {v.label}"
            if w.goal == j.goal and w.arrays and len(w.arrays) >= len(points) and case.fits(w.arrays):
                return f"the same as {v.label}"
            predictions = (self.predicted(e, j) for e in found) if j.goal.kind == "gradient" else ()
            if any(p is not None and case.fits(p) for p in predictions):
                return said
            if w.goal.kind == "value" and j.goal.kind.startswith("jacobian") and w.claim.formula is not None and w.goal.of == j.goal.of:
                own = self._derivative_of(w, j)
                if own is not None and case.fits(own):
                    return said
        for these in (self.wrong, self.wrong[-1:]):
            if self._follows(case, these, points):
                return f"follows correctly from the mistake in {these[0][1].label}"
        return ""

    def _follows(self, case: Case, wrong: Sequence[tuple[Judged, Verdict, list[Explanation]]], points: list[Point]) -> bool:
        """Is the claim right if what was claimed before, wrong as it is, is taken for true?"""
        predicted = []
        for i, p in enumerate(points):
            values, slopes = {}, {}
            for w, _, _ in wrong:
                if len(w.arrays) > i and w.goal.node != case.goal.node:
                    if w.goal.kind == "value":
                        values[w.goal.of] = w.arrays[i]
                    elif w.goal.kind == "gradient":
                        slopes[w.goal.node] = w.arrays[i]
            if not values and not slopes:
                return False
            at = Point(self.graph, p.data, pinned=values) if values else p
            predicted.append(case.goal.truth(at, at.sweep(pinned=slopes) if slopes else None))
        return case.fits(predicted)

    # ------------------------------------------------------------ about all of them

    def remarks(self, verdicts: tuple[Verdict, ...]) -> Iterator[str]:
        layouts: dict[str, list[str]] = {}
        for v in verdicts:
            if v.status == RIGHT and v.layout in ("numerator", "denominator"):
                layouts.setdefault(v.layout, []).append(v.target)
        if len(layouts) > 1:
            said = (f"{k} layout: {', '.join(dict.fromkeys(t))}" for k, t in sorted(layouts.items(), reverse=True))
            yield f"The layout is mixed: {'; '.join(said)}."
        outside = sorted({name for j in self.judged for name in j.claim.outside})
        if outside:
            yield f"Functions that use {', '.join(outside)} from outside were compared at the recorded point only."
        if any(not j.claim.moves for j in self.judged) and (hides := hiding(self.graph)):
            yield hides
        if self.graph.conditions and any(j.claim.moves for j in self.judged):
            yield "The graph holds conditions fixed by the recorded values, so formulas were compared at the recorded point only."


def hiding(graph: Recorded) -> str:
    """What mistakes the recorded point hides from numbers, and a better point; "" if it hides none."""
    said = []
    if graph.sizes.get("m") == 1:
        said.append("one example hides 1/m and sums over the batch")
    weights = [s for s in graph.sources if s.node is not None and s.node.active and s.data.ndim == 2 and min(s.data.shape) > 1]
    square = [s.name or "a weight" for s in weights if s.data.shape[0] == s.data.shape[1] > 1]
    if square:
        said.append(f"{square[0]} is square, so a transpose keeps its shape")
    factors = {a.id if isinstance(a, Node) else id(a) for n in graph.nodes if n.op is not None and n.op.form is not None for a in n.args}
    given = [s for s in graph.sources if s.key in factors and s not in weights and any("symmetric {0}" in k.says for k in s.kinds)]
    said += [f"{s.name or 'a factor'} is symmetric, so its transpose looks like it" for s in given]
    lengths = sorted({n for s in weights for n in s.data.shape if n == graph.sizes.get("m") and n > 1})
    if lengths:
        said.append(f"m = {lengths[0]} is also the length of another axis, so 1/m looks like its inverse")
    small = [s.name or "a weight" for s in weights if s.data.size and np.max(np.abs(s.data)) < TINY]
    if small:
        said.append(f"{', '.join(small)} {'are' if len(small) > 1 else 'is'} so small that terms vanish beside others")
    if not said:
        return ""
    return f"This point hides mistakes: {'; '.join(said)}. Better: m >= 3, all sizes different, weights of size 1 (rng.normal)."


# ---------------------------------------------------------------- the public functions


def check(E: Any, claims: Any, *xs: Any) -> Report:
    """Check what a person derived by hand against the recorded graph of `E`: what is right, what is the first mistake, and why.

    `claims` is a dict by label, such as {"W2": my_dW2, "y1 =": my_y1, "dy1/dz1": J}, or a list of labelled lines, [("(5)",
    r"\\frac{\\partial E}{\\partial z2} = y2 - t"), ...], which are a derivation: later lines may use earlier gradients.  A bare name
    means the gradient, "y1 =" the value, "dy1/dz1" a Jacobian.  A claim is an array of numbers (as they are or rounded to some
    decimals), a function of named values (`lambda y2, t, y1: (y2 - t) @ y1.T`), or a formula as NumPy text, mathematics or LaTeX.
    With a function `f` in place of `E`, `xs` are its arguments, and its parameters' names those of the claims.

    Returns a Report: `.ok`, `.verdicts`, `.first_wrong`, `.score(points)`, `.require()`.  Raises BadOperand if E is no node or
    claims are of no known form, NotConnected for a claim about something that is not in the graph, StaleGraph.

    >>> import autodiff as ad, numpy as np
    >>> W = ad.Tensor([[1.0, 2.0], [0.5, -1.0], [0.25, 1.5]], name="W")
    >>> x, t = np.array([3.0, 1.0]), np.array([1.0, 0.0, 0.0])
    >>> y = (W @ x).named("y"); E = np.sum((y - t) ** 2).named("E")
    >>> print(ad.check(E, {"W": np.outer(y.data - t, x)}).first_wrong.sentence)
    power rule: of (y - t) ** 2 the exponent in front is missing
    """
    graph = recorded_of(E, xs)
    return Check(graph, *claims_of(graph, claims)).report()


def check_code(E: Any, fn: Callable[..., Any]) -> Report:
    """Check a function that computes gradients by hand: every array that it returns by name is a claim.

    `fn` is called with the values that its parameters name, copies of the recorded ones and of others, and returns a dict:
    "dW1", "W1", "dE/dW1", "delta2" for gradients; a result's name such as "y1" for its value.  What it raises is reported as
    wrong, with the line and the shapes there.  Raises as `check` does.

    >>> import autodiff as ad, numpy as np
    >>> w, x = ad.Tensor([1.0, -2.0], name="w"), ad.constant([3.0, 1.0], name="x")
    >>> E = np.sum(np.tanh(w * x)).named("E")
    >>> print(ad.check_code(E, lambda w, x: {"dw": 1 - np.tanh(w * x) ** 2}).first_wrong.sentence)
    the factor that multiplies w in w * x is missing
    """
    graph = recorded_of(E, ())
    try:
        return check_code_of(graph, fn)
    except Failed as failed:  # the user's own code failed: that is the verdict
        return Report((Verdict(_called(fn), graph.root_name, WRONG, mistake=Mistake.UNREADABLE, sentence=str(failed)),))


class Failed(Exception):
    """A user's function raised something, which is the cause of this."""


def _called(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "__name__", "the function"))


def check_code_of(graph: Recorded, fn: Callable[..., Any]) -> Report:
    """What check_code does, for a graph that is known already; raises Failed if the function does."""
    if not callable(fn):
        raise BadOperand(f"check_code takes a function that returns a dict of arrays by name, not {type(fn).__name__}")
    call = function_of_names(fn, graph)
    memo: dict[int, Mapping[str, Any]] = {}

    def outputs(point: Point, env: Env) -> Mapping[str, Any]:
        if id(point) not in memo:
            found = call(point, env)
            found = found._asdict() if hasattr(found, "_asdict") else found
            if not isinstance(found, Mapping):
                raise BadOperand(f"{_called(fn)} must return a dict of arrays by name, not {type(found).__name__}")
            memo[id(point)] = found
        return memo[id(point)]

    with recorded_anew():
        first = graph.recorded()
    try:
        labels = list(outputs(first, Env(first, graph.numbers)))
    except (BadOperand, MemoryError):
        raise
    except Exception as error:
        raise Failed(_failed(error)) from error
    outside = taken_from_outside(fn)
    goals = {label: goal_of_label(graph, str(label), returned=True) for label in labels}
    claims = [
        Claim(str(k), goal, function=partial(_named, outputs, k), numbers_known=graph.numbers, outside=outside)
        for k, goal in goals.items()
        if goal is not None
    ]
    claims.sort(key=lambda c: chain_order(graph, c.goal))
    report = Check(graph, claims, derivation=False).report()
    said = [
        f"{v.label} was taken for the value of {v.label}; a gradient is called d{v.label}."
        for v in report.verdicts
        if v.status == WRONG and v.label == v.target
    ]
    if unknown := ", ".join(str(k) for k, goal in goals.items() if goal is None):
        there = ", ".join(graph.names.values())
        said.append(f"Not checked, for the graph has nothing of that name: {unknown}. It has {there}, and gradients such as dW1.")
    return Report(report.verdicts, (*report.remarks, *said))


def _named(outputs: Callable[[Point, Env], Mapping[Any, Any]], name: Any, point: Point, env: Env) -> Any:
    return outputs(point, env)[name]


def recorded_of(E: Any, xs: Sequence[Any]) -> Recorded:
    """The graph to check against: that of a node, or what a function records when it is run."""
    frame = user_frame()
    if isinstance(E, Node):
        if xs:
            raise BadOperand("only a function takes arguments; a recorded graph holds its own")
        graph = Recorded(E, variables(frame))
    elif callable(E):
        from .definition import recorded_function

        graph = recorded_function(E, xs)
    else:
        raise BadOperand(f"ad.check takes a recorded result or a function, and this is a plain {type(E).__name__}: nothing was recorded")
    graph.numbers = {} if frame is None else numbers_among(frame.f_globals | frame.f_locals, graph)
    return graph


def numbers_among(found: Mapping[str, Any], graph: Recorded) -> dict[str, float]:
    """The plain numbers among variables, such as m = 6, by which claims may speak."""
    numbers = {k: float(v) for k, v in found.items() if isinstance(v, int | float | np.number) and not isinstance(v, bool)}
    return {k: v for k, v in numbers.items() if k not in graph.by_name and k not in INDICES and not k.startswith("_")}
