"""Derivatives against independent computations of them: duality first, then differences and the complex step.

Duality, <w, J u> = <J^T w, u>, needs no step size; it catches a rule whose two modes disagree.  Differences
choose their own steps and carry an error bar (slopes.py); where every op on the way is analytic the complex
step is exact to rounding (replay.py).  The derivatives' own error bars are computed rounding bounds (ulps.py).
So no tolerance is asked for: two numbers disagree if they are further apart than both bars can explain.

Of a failure the entry is found by halving the direction, and the node by checking each recorded rule alone.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..containers import leaves, map_leaves, moves, rebuild
from ..errors import BadOperand, GradientMismatch, NotDifferentiable
from ..functional import jvp, transform, vjp
from ..node import Node, trace_lines
from ..node import order as in_order
from ..tensor import Tensor
from .replay import TINY, complex_step
from .slopes import Slopes, refined, slopes
from .ulps import rounding

Function = Callable[..., Any]
MODES = {"fwd": "forward", "rev": "reverse"}
BENT = 1e-6  # of a derivative's size: a smaller bend is left to the error bar
BLIND = 1e-2  # an error bar this large, beside the numbers it belongs to, confirms nothing
FLAT = 1e-8  # of the steepest slope met near by, or of the terms of the function: an error bar so small confirms that it is flat here
SHORTENED, GROWN = (2.0**-10, 2.0**-20, 2.0**-30), 1.2  # steps, and how much steeper each must be than the one before
SAME = 1e-6  # of a number: two runs of a function that differ by more are not the same computation
MOST_NODES = 2000  # of a wrong derivative, so many recorded rules are checked one by one


def noise_of(y: Any) -> Any:
    """How far rounding can have taken a recorded result from the truth, entry by entry."""
    ((magnitude, ulps),) = rounding(y)
    coarse = any(getattr(n._data, "dtype", None) == np.float32 for n in in_order(y))
    return np.finfo(np.float32 if coarse else np.float64).eps * ulps * magnitude


# ---------------------------------------------------------------- what is compared


@dataclass(frozen=True)
class Number:
    """A computed number and how far it can be from the truth."""

    value: float
    bar: float

    def __str__(self) -> str:
        return f"{self.value:.12g} ± {self.bar:.0e}"

    def agrees(self, other: Number) -> bool:
        """Can both be the same number?  No error bar reaches what is not finite."""
        near = math.isfinite(self.value) and math.isfinite(other.value) and abs(self.value - other.value) <= self.bar + other.bar
        return near or self.value == other.value


def truncated(step: float, shorter: float) -> Number:
    """The complex step with a shorter step; how much that changed it is left of the terms of higher order."""
    return Number(shorter, 2 * abs(shorter - step))


class Case:
    """A function at a point: its derivatives along a direction in both modes, and its slopes there.

    `inputs` and `output` say what the entries of its arguments and results are called.
    """

    def __init__(self, f: Function, xs: tuple[Any, ...], inputs: list[str], output: Callable[[str], str]) -> None:
        self.f, self.xs, self.inputs, self.output = f, xs, inputs, output
        self.y = f(*xs)
        self.wide = map_leaves(_wide, xs)
        self.eps = max((float(np.finfo(np.asarray(x).dtype).eps) for _, x in leaves(xs) if moves(x)), default=0.0)

    @cached_property
    def recorded(self) -> tuple[list[Any], Any]:
        """The function recorded in double precision: the nodes it moves by, and its result."""
        return _recording(self.f, self.wide)

    def derivative(self, mode: str, u: Any, w: Any) -> Number:
        """<w, J u> by one of the two modes; run as users run it, with the error bar of a recording of the same."""
        if mode == "fwd":
            d, weight = jvp(self.f, self.xs, u, allow_unused=True)[1], w
            _, recorded = _recording(lambda *xs: jvp(self.f, xs, u, allow_unused=True)[1], self.xs)
        else:
            d, weight = vjp(self.f, *self.xs, allow_unused=True)[1](w), u
            _, recorded = _recording(lambda *xs: vjp(self.f, *xs, allow_unused=True)[1](w), self.xs)
        bar = _noise(recorded, weight) + _size(weight) * np.finfo(float).eps * _inner(weight, d, np.abs)
        return Number(_inner(weight, d), bar)

    def slopes(self, u: Any, w: Any, found: Slopes | None = None) -> Slopes:
        """The slope of <w, f> along u from differences of the function, run on plain numbers; of `found` a second look at it."""

        def along(h: float) -> float:
            return _inner(w, self.f(*_moved(self.wide, u, h)))

        noise = _noise(self.recorded[1], w)
        return slopes(along, noise) if found is None else refined(along, noise, found)

    def grows(self, u: Any, w: Any) -> bool:
        """Does the slope of <w, f> along u grow ever more as the step shortens, on either side?"""
        middle = _inner(w, self.y)
        for side in (1, -1):
            with np.errstate(all="ignore"):
                first, then, last = (abs(_inner(w, self.f(*_moved(self.wide, u, side * h))) - middle) / h for h in SHORTENED)
            if GROWN * first < then and GROWN * then < last:
                return True
        return False

    def complex_step(self, u: Any, w: Any, h: float = TINY) -> float | None:
        """<w, J u> to rounding, from a run of the recording on complex numbers, where every op allows that."""
        inputs, out = self.recorded
        roots = [y for _, y in leaves(out) if isinstance(y, Node)]
        found = complex_step(in_order(*roots), inputs, [t for t, x in _pairs(u, self.wide) if moves(x)], h) if roots else None
        if found is None:
            return None
        zeros = map_leaves(lambda y: found.get(y.id, np.zeros(y.shape)) if isinstance(y, Node) else y, out)
        return sum(float(np.sum(a * b)) for (a, b), (_, y) in zip(_pairs(w, zeros), leaves(out), strict=True) if isinstance(y, Node))

    def examine(self, u: Any, w: Any, modes: Sequence[str]) -> Finding:
        """Compare everything there is along one direction."""
        found = {mode: self.derivative(mode, u, w) for mode in modes}
        with np.errstate(all="ignore"):
            slope = self.slopes(u, w)
            exact = self.complex_step(u, w)
            if exact is not None and math.isinf(slope.bar):
                # No difference vouches for it: a still shorter step must give the same, or the first was not short enough.
                again = self.complex_step(u, w, TINY**2)
                exact = exact if again is not None and abs(exact - again) <= 1e-9 * abs(exact) else None
            size = max(max(abs(n.value), n.bar / self.eps) for n in found.values()) or abs(_inner(w, self.y))
            finding = Finding(self, tuple(modes), u, w, found, slope, exact, size)
            if finding.trouble not in (None, "disagree") or finding.exact != exact:
                finding = replace(finding, slope=self.slopes(u, w, slope))
        return finding


@dataclass(frozen=True)
class Finding:
    """What was found along one direction, and what it comes to: `trouble` is None or says in a word what is wrong."""

    case: Case
    modes: tuple[str, ...]
    u: Any
    w: Any
    found: dict[str, Number]
    slope: Slopes
    step: float | None  # the complex step, where every op is said to take complex numbers
    size: float  # of the terms that the derivative is made of

    @property
    def exact(self) -> float | None:
        """The complex step, unless differences show that something on the way does not take complex numbers."""
        if self.step is None or math.isinf(self.slope.bar):
            return self.step
        own = max(n.bar for n in self.found.values())
        return self.step if abs(self.step - self.slope.value) <= self.slope.bar + own else None

    @cached_property
    def trouble(self) -> str | None:
        numbers = list(self.found.values())
        if not np.all(np.isfinite(_flat(self.case.y)[_flat(self.w) != 0])):
            return "undefined"
        if len(numbers) == 2 and not numbers[0].agrees(numbers[1]) and not all(math.isnan(n.value) for n in numbers):
            return "disagree"
        if all(math.isinf(n.value) for n in numbers) and self.case.grows(self.u, self.w):
            return "infinite"
        if any(math.isfinite(n.value) and not math.isfinite(n.bar) for n in numbers):
            return "blind"
        if self.slope.jumps:
            return "jump"
        if self.slope.bend and abs(self.slope.bend) > BENT * self.size:
            return "kink"
        bar = self.slope.bar
        if (math.isinf(bar) or bar > max(BLIND * self.size, FLAT * self.slope.steepest)) and self.exact is None:
            return "blind"
        if not all(self.holds(mode) for mode in self.modes):
            return "wrong"
        return None if all(self.holds(mode, self._most(mode)) for mode in self.modes) else "blind"

    def _most(self, mode: str) -> float:
        """The largest error bar of a derivative that confirms something, beside it, the function, or the terms this is made of."""
        slope = abs(self.slope.value) if math.isfinite(self.slope.value) else 0.0
        scale = max(abs(self.found[mode].value), slope, self.slope.steepest, _inner(self.w, self.case.y, np.abs))
        if self.found[mode].bar <= BLIND * scale:
            return math.inf
        terms = _noise(self.case.recorded[1], self.w) / np.finfo(float).eps
        return float(max(BLIND * scale, FLAT * terms))

    def holds(self, mode: str, most: float = math.inf) -> bool:
        """Does the derivative of this mode agree with all that it can be compared with, with an error bar of at most so much?"""
        d = Number(self.found[mode].value, min(self.found[mode].bar, most))
        near = d.agrees(Number(self.slope.value, self.slope.bar)) or (math.isinf(self.slope.bar) and self.exact is not None)
        return near and (self.exact is None or d.agrees(Number(self.exact, d.bar)) or d.agrees(self._truncated))

    @cached_property
    def _truncated(self) -> Number:
        """The complex step once more with a shorter step."""
        shorter = self.case.complex_step(self.u, self.w, TINY**2)
        return Number(math.nan, 0.0) if shorter is None or self.exact is None else truncated(self.exact, shorter)

    @property
    def excess(self) -> float:
        """How far apart the numbers are, in bars; to find the worse of two halves."""
        values = [n.value for n in self.found.values()] + [self.slope.value]
        gap = max(values) - min(values) + abs(self.slope.bend)
        bar = max(n.bar for n in self.found.values()) + self.slope.bar
        return gap / bar if bar > 0 and math.isfinite(gap) else math.inf

    def at(self, u: Any, w: Any) -> Finding:
        return self.case.examine(u, w, self.modes)


# ---------------------------------------------------------------- the report


@dataclass
class Report:
    """What `check_grads` compared: a line for each order and mode; `print` shows the numbers."""

    order: int
    modes: tuple[str, ...]
    seed: int
    findings: list[tuple[str, Finding]] = field(default_factory=list)

    @property
    def comparisons(self) -> int:
        """How many pairs of numbers were compared."""
        return sum((len(f.found) - 1) + len(f.found) * (1 + (f.exact is not None)) for _, f in self.findings)

    def __repr__(self) -> str:
        modes = " and ".join(MODES[m] for m in self.modes)
        against = "differences and the complex step" if any(f.exact is not None for _, f in self.findings) else "differences"
        return f"derivatives agree to order {self.order}: {modes} mode with {against} in {self.comparisons} comparisons"

    def __str__(self) -> str:
        lines = [f"{self!r} (seed {self.seed})"]
        for path, f in self.findings:
            parts = [f"{MODES[m]} {n}" for m, n in f.found.items()]
            parts += [f"differences {Number(f.slope.value, f.slope.bar)}"]
            parts += [f"complex step {f.exact:.12g}"] if f.exact is not None else []
            lines.append(f"  {path}: " + ", ".join(parts))
        return "\n".join(lines)


def check_grads(f: Function, *xs: Any, order: int = 2, modes: Sequence[str] = ("fwd", "rev"), seed: int = 0) -> Report:
    """Check the derivatives of `f` at `xs`, up to `order`, in forward and reverse mode; the answer says what was compared.

    For each order, in a random direction: the modes agree with each other (duality), with extrapolated
    differences, and, where every op on the way is analytic, with the complex step, all within error bars that
    are computed.  float32 arguments are judged at float32.  A rule that is wrong only elsewhere, in another
    precision or for cotangents that `f` does not send back is not seen.  Raises GradientMismatch, which names
    the entry, both numbers and the first node at which they part, or that `f` gives something else each time;
    its subclass NotDifferentiable where the function bends, jumps, is infinitely steep or has no finite value;
    ValueError for an order below 1 or other modes; BadOperand where nothing is a float.

    >>> import autodiff as ad, numpy as np
    >>> ad.check_grads(lambda x: np.sum(np.sin(x) * x), np.array([1.0, 2.0]), order=1)
    derivatives agree to order 1: forward and reverse mode with differences and the complex step in 5 comparisons
    """
    report = examine(f, xs, order, modes, seed)
    path, last = report.findings[-1]
    if last.trouble is not None:
        raise _explained(path, last, seed)
    return report


def examine(f: Function, xs: tuple[Any, ...], order: int = 2, modes: Sequence[str] = ("fwd", "rev"), seed: int = 0) -> Report:
    """What `check_grads` does before it explains: findings up to the first in trouble, which stands last."""
    if not callable(f):
        raise BadOperand(f"check_grads takes a function and its arguments, not {type(f).__name__}; a recorded graph has .certificate()")
    if isinstance(modes, str) or not set(modes) <= set(MODES) or not modes:
        raise ValueError(f"modes are a list of 'fwd' and 'rev', not {modes!r}")
    if order < 1:
        raise ValueError(f"the order of derivatives to check is at least 1, not {order!r}")
    modes = tuple(dict.fromkeys(modes))
    report = Report(order, modes, seed)
    inputs = _names(f, xs)
    xs = map_leaves(lambda x: np.array(x._data) if isinstance(x, Node) else x, xs)
    name = str(getattr(f, "__name__", None) or getattr(f, "name", "f"))
    case = Case(f, xs, inputs, lambda entry: ("f" if name == "<lambda>" else name) + entry)
    for what, tree in (("arguments", xs), ("result", case.y)):
        if not any(moves(x) for _, x in leaves(tree)):
            whole = [_renamed(path, inputs) if tree is xs else path for path, x in leaves(tree) if np.asarray(x).dtype.kind in "iu"]
            hint = f"; {case.output(whole[0]) if tree is not xs else whole[0]} holds integers: write 3.0 for 3" if whole else ""
            raise BadOperand(
                f"in the {what} of {case.output('')} there is no float and no array of floats, so there is nothing to check{hint}"
            )
    _descend(case, "", order, modes, report, np.random.default_rng(seed))
    return report


def _descend(case: Case, path: str, order: int, modes: tuple[str, ...], report: Report, rng: np.random.Generator) -> bool:
    """Examine a function, then its derivatives in every mode asked for, as functions; False at the first trouble."""
    u = _direction(case.xs, rng)
    w = _direction(case.y, rng) if _size(case.y) != 1 else _like(case.y, 1.0)
    finding = case.examine(u, w, modes)
    level = path.count(" of ") + 1
    report.findings.append((f"order {level}{path}", finding))
    if finding.trouble is not None:
        return False
    if level == order:
        return True
    below = ((f"{path} of {MODES[mode]} mode", _derivative_of(case, mode, u, w)) for mode in modes)
    return all(_descend(derivative, trail, order, modes, report, rng) for trail, derivative in below)


def _derivative_of(case: Case, mode: str, u: Any, w: Any) -> Case:
    """The derivative of a function, in one mode and along one direction, as a function that can be examined in turn."""
    f, whole = case.f, case.output("")
    of = f"d{whole}/d" if _size(case.y) == 1 else f"d(w·{whole})/d"
    if mode == "rev":
        return Case(lambda *a: vjp(f, *a, allow_unused=True)[1](w), case.xs, case.inputs, lambda entry: of + _renamed(entry, case.inputs))
    return Case(lambda *a: jvp(f, a, u, allow_unused=True)[1], case.xs, case.inputs, lambda entry: f"the tangent of {whole}{entry}")


# ---------------------------------------------------------------- a failure explained


def _explained(path: str, finding: Finding, seed: int) -> GradientMismatch:
    """The error for a finding in trouble: narrowed to one entry of the arguments and one of the result."""
    if said := _unlike_itself(finding.case):
        return GradientMismatch(f"{said} (seed {seed})")
    finding, x = _narrowed(finding, finding.u, lambda u, f: f.at(u, f.w))
    finding, y = _narrowed(finding, finding.w, lambda w, f: f.at(f.u, w))
    case, slope, found = finding.case, finding.slope, finding.found
    what = f"the derivative of {case.output(_entry(case.y, y))}"
    what += f" with respect to {_renamed(_entry(case.xs, x), case.inputs)}" if x is not None else " in a random direction"
    engine = " and ".join(f"{n.value:.12g}" for n in {n.value: n for n in found.values()}.values())
    differ = f"differences give {Number(slope.value, slope.bar)}"
    if finding.exact is not None:
        differ += f", the complex step {finding.exact:.12g}"
    level, kind, culprit = path.split(" of ")[0], finding.trouble, ""
    if kind == "disagree":
        text = f"forward and reverse mode disagree about {what}: forward gives {found['fwd']}, reverse {found['rev']}; {differ}"
    elif kind == "undefined":
        values = _flat(case.y)
        y = int(np.flatnonzero(~np.isfinite(values))[0]) if y is None else y
        return NotDifferentiable(
            f"{level}: {case.output(_entry(case.y, y))} is {values[y]:g} here, so it has no derivative. "
            f"Choose a point inside the function's domain (seed {seed})"
        )
    elif kind == "infinite":
        return NotDifferentiable(f"{level}: {what}: not differentiable here: the slope is infinite{_culprit(finding)} (seed {seed})")
    elif kind == "jump":
        return NotDifferentiable(
            f"{level}: {what} does not exist, for the function jumps here, or jumps or bends closer than {slope.step:.0e}; "
            f"the engine gives {engine}{_culprit(finding)} (seed {seed})"
        )
    elif kind == "kink":
        return NotDifferentiable(
            f"{level}: {what}: not differentiable here, or closer than {slope.step:.0e}: left slope {slope.left:.6g}, "
            f"right slope {slope.right:.6g}; the engine uses {engine}{_culprit(finding)} (seed {seed})"
        )
    elif kind == "blind":
        coarse = "differences give no number" if math.isnan(slope.value) else f"{differ} and no closer number"
        return GradientMismatch(
            f"{level}: {coarse} here that {what}, {engine}, could be checked against. "
            f"Choose a point inside the function's domain, where its values and derivatives are finite (seed {seed})"
        )
    else:
        wrong = next(m for m in finding.modes if not finding.holds(m))
        text = f"{what} is {found[wrong]}, but {differ}"
        level += f", {MODES[wrong]} mode"
    culprit = _culprit(finding) or (
        ". Each recorded rule agrees with differences of its own op, so the function computes something the graph does not see: "
        ".data, .item(), float(), ad.stop_gradient, or an `if` on a number"
    )
    return GradientMismatch(f"{level}: {text}{culprit} (seed {seed})")


def _unlike_itself(case: Case) -> str:
    """What a function gave that it did not give before, for the same arguments; "" if it gives the same again."""
    before, again = _flat(case.y), _flat(case.f(*case.xs))
    if before.shape != again.shape:
        return f"two calls of {case.output('')} with the same arguments gave results of {before.size} and of {again.size} numbers"
    apart = np.flatnonzero(~np.isclose(before, again, rtol=SAME, atol=0.0, equal_nan=True))
    if len(apart) == 0:
        return ""
    k = int(apart[0])
    return (
        f"two calls of {case.output('')} with the same arguments gave different values: {case.output(_entry(case.y, k))} was "
        f"{before[k]:.6g}, then {again[k]:.6g}. Let what is random be an argument, or begin with a generator of its own, "
        "np.random.default_rng(0); and let the function keep nothing from call to call"
    )


def _narrowed(finding: Finding, tree: Any, again: Callable[[Any, Finding], Finding]) -> tuple[Finding, int | None]:
    """The same trouble along a direction of one entry, found by halving; None for the entry if it has no single one."""
    places = np.arange(_size(tree))
    while len(places) > 1:
        half = len(places) // 2
        tried = [(again(_only(tree, part), finding), part) for part in (places[:half], places[half:])]
        tried = [(f, part) for f, part in tried if f.trouble == finding.trouble]
        if not tried:
            return finding, None
        finding, places = max(tried, key=lambda t: t[0].excess)
    if len(places) == 0:
        return finding, None
    unit = again(_only(_like(tree, 1.0), places), finding)
    return (unit if unit.trouble == finding.trouble else finding), int(places[0])


def _culprit(finding: Finding) -> str:
    """Where the numbers part, in words; nothing if every recorded rule is right alone."""
    with trace_lines():
        _, out = _recording(finding.case.f, finding.case.wide)
    nodes = in_order(*[y for _, y in leaves(out) if isinstance(y, Node)])
    n = rule_at_fault(nodes, finding.modes)
    if n is None:
        return "" if len(nodes) <= MOST_NODES else f". Among the first {MOST_NODES} of {len(nodes)} recorded nodes no rule is at fault"
    shapes = " and ".join(f"shape {np.shape(getattr(a, '_data', a))}" for a in n.args)
    at, place = f" at {n.line}" if n.line else "", 1 + next(i for i, other in enumerate(nodes) if other is n)
    return f". They part at {n.name or 'node'} {place} of {len(nodes)}, {n.op.name} of {shapes}{at}"


def rule_at_fault(nodes: list[Any], modes: Sequence[str] = ("fwd", "rev")) -> Any | None:
    """The first of recorded nodes, in order, whose rule is in trouble alone; None if none of the first MOST_NODES is."""
    for n in nodes[:MOST_NODES]:
        if n.op is not None and n.active:
            local, rng = Case(*local_call(n), [], str), np.random.default_rng(0)
            if local.examine(_direction(local.xs, rng), _direction(local.y, rng), modes).trouble not in (None, "blind", "undefined"):
                return n
    return None


def local_call(n: Any) -> tuple[Function, tuple[Any, ...]]:
    """One recorded operation alone, as a function of its active operands, and their recorded numbers."""
    places = [i for i, a in enumerate(n.args) if isinstance(a, Node) and a.active]
    plain = [a._data if isinstance(a, Node) else a for a in n.args]

    def call(*moved: Any) -> Any:
        xs = list(plain)
        for i, x in zip(places, moved, strict=True):
            xs[i] = x
        return n.op(*((xs,) if n.op.arity is None else xs), **n.kw)

    return call, tuple(np.asarray(plain[i]) for i in places)


# ---------------------------------------------------------------- names


def _names(f: Function, xs: tuple[Any, ...]) -> list[str]:
    """What the arguments are called: the node's own name, the function's parameter, or their number."""
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        signature = inspect.signature(f).parameters.values()
        parameters = [p.name for p in signature if p.kind in kinds]
        rest = next((p.name for p in signature if p.kind is p.VAR_POSITIONAL), None)
        parameters += [f"{rest}[{k}]" for k in range(len(xs) - len(parameters))] if rest and len(xs) > 1 else []
    except (TypeError, ValueError):  # some builtins do not tell
        parameters = []
    return [
        getattr(x, "name", None) or (parameters[k] if k < len(parameters) else f"argument {k}" if len(xs) > 1 else "x")
        for k, x in enumerate(xs)
    ]


def _renamed(entry: str, inputs: list[str]) -> str:
    """The entry of a tuple of arguments, "[0]['W'][2, 1]", by the argument's name: "x['W'][2, 1]"."""
    place, _, rest = entry[1:].partition("]")
    return inputs[int(place)] + rest if place.isdigit() and int(place) < len(inputs) else entry


def _entry(tree: Any, place: int | None) -> str:
    """The path to one of the numbers in nested arrays, such as "['W'][2, 1]"; empty for a lone number."""
    if place is None:
        return ""
    for path, leaf in leaves(tree):
        if moves(leaf):
            if place < np.size(leaf):
                index = np.unravel_index(place, np.shape(leaf))
                return path + (f"[{', '.join(map(str, index))}]" if index else "")
            place -= int(np.size(leaf))
    return ""


# ---------------------------------------------------------------- trees of numbers


def _recording(f: Function, xs: tuple[Any, ...]) -> tuple[list[Any], Any]:
    """The function run on fresh nodes: those, and what came out."""
    inputs = [Tensor(x) for _, x in leaves(xs) if moves(x)]
    fresh = iter(inputs)
    with transform():
        return inputs, f(*rebuild(xs, iter([next(fresh) if moves(x) else x for _, x in leaves(xs)])))


def _noise(out: Any, w: Any) -> float:
    """The rounding in <w, out> of a recorded `out`."""
    return float(sum(np.sum(np.abs(a) * noise_of(y)) for a, y in _pairs(w, out) if isinstance(y, Node)))


def _pairs(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    return ((a, b) for (_, a), (_, b) in zip(leaves(one), leaves(other), strict=True))


def _wide(x: Any) -> Any:
    """A number or array in double precision, in which differences are taken."""
    return x if not moves(x) else np.float64(x) if np.shape(x) == () else np.asarray(x, float)


def _size(tree: Any) -> int:
    return sum(int(np.size(x)) for _, x in leaves(tree) if moves(x))


def _flat(tree: Any) -> Any:
    """The numbers of all leaves that move, in one array."""
    return np.concatenate([np.zeros(0), *(np.ravel(getattr(x, "_data", x)).astype(float) for _, x in leaves(tree) if moves(x))])


def _like(tree: Any, number: float) -> Any:
    return map_leaves(lambda x: x if not moves(x) else number if np.shape(x) == () else np.full(np.shape(x), number), tree)


def _direction(tree: Any, rng: np.random.Generator) -> Any:
    """A random tangent: normal numbers where something moves, None elsewhere."""

    def draw(x: Any) -> Any:
        if not moves(x):
            return None
        numbers = rng.normal(size=np.shape(x)).astype(np.float32).astype(float)  # exact in float32, too
        return float(numbers) if np.shape(x) == () else numbers

    return map_leaves(draw, tree)


def _only(tree: Any, places: Any) -> Any:
    """The same tree with zeros everywhere but at some places, counted through all arrays."""
    parts, start = [], 0
    for _, x in leaves(tree):
        if moves(x):
            kept = np.isin(np.arange(start, start + np.size(x)), places).reshape(np.shape(x))
            start += int(np.size(x))
            x = float(x) * bool(kept) if np.shape(x) == () else x * kept
        parts.append(x)
    return rebuild(tree, iter(parts))


def _moved(xs: Any, u: Any, h: float) -> Any:
    """`xs + h u`, leaf by leaf."""
    return rebuild(xs, iter([x + h * d if moves(x) else x for x, d in _pairs(xs, u)]))


def _inner(w: Any, y: Any, of_term: Function = np.positive) -> float:
    """The inner product of two trees over the leaves that move, or the sum of a function of its terms."""
    return float(sum(np.sum(of_term(a * np.asarray(getattr(b, "_data", b), float))) for a, b in _pairs(w, y) if moves(a)))
