"""Broken derivatives, made from every op of the table, and the check that must notice them.

A mutant is an op with some of its rules replaced by wrong ones.  Nothing here names an op: an op that is
added to the table is broken like all others.  A break that changes no number on any sampled call (the
sign of a zero derivative, the transpose of a diagonal matrix) is no break, and is counted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff import ops
from autodiff.checking.grads import examine
from autodiff.errors import ShapeMismatch
from autodiff.ops import Op
from autodiff.ops.table import shape_of
from tests.cases import caller, moving, operands

Rule = Callable[..., Any]


def caught(op: Op) -> bool:
    """Does the check that runs over the table find trouble on any call of the sampler?"""
    for args, kw in op.sample(np.random.default_rng(7)):
        try:
            if examine(caller(op, kw), args, order=1).findings[-1][1].trouble is not None:
                return True
        except ShapeMismatch:
            return True
    return False


@dataclass(frozen=True)
class Mutant:
    """An op, what is wrong with it, and the rules to put in place of its own."""

    op: Op
    what: str
    fields: dict[str, Any]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the op has its wrong rules."""
        own = {field: getattr(self.op, field) for field in self.fields}
        try:
            for field, rule in self.fields.items():
                setattr(self.op, field, rule)
            yield
        finally:
            for field, rule in own.items():
                setattr(self.op, field, rule)

    def caught(self) -> bool:
        with self.in_place():
            return caught(self.op)

    def differs(self) -> bool:
        """Does it change any number on the calls of the sampler?"""
        before = list(_numbers(self.op))
        with self.in_place():
            after = list(_numbers(self.op))
        return any(np.shape(a) != np.shape(b) or not np.allclose(a, b, rtol=1e-12, atol=0) for a, b in zip(before, after, strict=True))


def _numbers(op: Op) -> Iterator[Any]:
    """What each rule of an op gives on each sampled call; 0 where it gives None."""
    for args, kw in op.sample(np.random.default_rng(7)):
        xs, rng = operands(op, args), np.random.default_rng(8)
        z = np.asarray(op.forward(*xs, **kw))
        g, ts = rng.normal(size=z.shape), [rng.normal(size=np.shape(x)) for x in xs]
        for i in moving(xs):
            yield _or_zero(op.vjp(i, g, z, *xs, **kw), shape_of(xs[i]))
            yield _or_zero(op.jvp([t if k == i else None for k, t in enumerate(ts)], z, *xs, **kw), z.shape)
            if op.carry:
                yield _or_zero(op.carry[i](g, z, xs), z.shape)


def _or_zero(d: Any, shape: tuple[int, ...]) -> Any:
    return np.zeros(shape) if d is None else np.asarray(d) + np.zeros(shape if np.shape(d) == () else ())


# ---------------------------------------------------------------- ways to be wrong


def _changed(change: Callable[[Any], Any]) -> Callable[[Rule], Rule]:
    """A rule whose result is changed, where there is one."""

    def wrap(rule: Rule) -> Rule:
        def broken(*args: Any, **kw: Any) -> Any:
            d = rule(*args, **kw)
            return None if d is None else change(d)

        return broken

    return wrap


def _times(factor: float) -> Callable[[Any], Any]:
    return lambda d: factor * d


def _turned(d: Any) -> Any:
    """The right numbers in the wrong places: the last two axes read in the other order."""
    n = len(shape_of(d))
    return d if n < 2 else ops.reshape(ops.transpose(d, (*range(n - 2), n - 1, n - 2)), shape_of(d))


def _backwards(d: Any) -> Any:
    return d[..., ::-1] if shape_of(d) else d


def _without_first(d: Any) -> Any:
    mask = np.ones(shape_of(d))
    if mask.size:
        mask.flat[0] = 0.0
    return d * mask


CHANGES = {
    "sign": _times(-1.0),
    "factor 2": _times(2.0),
    "zero": _times(0.0),
    "off by 1e-6": _times(1 + 1e-6),
    "transposed": _turned,
    "backwards": _backwards,
    "one entry missing": _without_first,
}


def _by_change(op: Op, change: Callable[[Any], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both forms of the reverse rule (the sweep over arrays runs `carry` where there is one), and the forward rule."""
    wrap = _changed(change)
    return {"vjp": wrap(op.vjp), "carry": tuple(wrap(c) for c in op.carry)}, {"jvp": wrap(op.jvp)}


def _extra_term(op: Op) -> tuple[dict[str, Any], dict[str, Any]]:
    """A term too many, also where the derivative is zero by structure."""

    def vjp(i: int, g: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        d = op_vjp(i, g, z, *xs, **kw)
        return (0.0 if d is None else d) + 1e-3 * ops.sum(g) + np.zeros(shape_of(xs[i]))

    def jvp(ts: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        d = op_jvp(ts, z, *xs, **kw)
        extra = [1e-3 * ops.sum(t) + np.zeros(shape_of(z)) for t in ts if t is not None]
        return sum(extra, 0.0 if d is None else d)

    def carried(carry: Rule) -> Rule:
        def broken(g: Any, z: Any, xs: Any) -> Any:
            d = carry(g, z, xs)
            return (0.0 if d is None else d) + 1e-3 * g

        return broken

    op_vjp, op_jvp = op.vjp, op.jvp
    return {"vjp": vjp, "carry": tuple(carried(c) for c in op.carry)}, {"jvp": jvp}


def _forgotten(op: Op, k: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Without the term of operand k."""
    vjp, jvp = op.vjp, op.jvp

    def broken_vjp(i: int, g: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        return None if i == k else vjp(i, g, z, *xs, **kw)

    def broken_jvp(ts: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        rest = [None if i == k else t for i, t in enumerate(ts)]
        return None if all(t is None for t in rest) else jvp(rest, z, *xs, **kw)

    carry = tuple((lambda g, z, xs: None) if i == k else c for i, c in enumerate(op.carry))
    return {"vjp": broken_vjp, "carry": carry}, {"jvp": broken_jvp}


def _swapped(op: Op) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rules of the two operands exchanged."""
    vjp, jvp = op.vjp, op.jvp

    def broken_vjp(i: int, g: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        return vjp(1 - i, g, z, *xs, **kw)

    def broken_jvp(ts: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        return jvp(ts[::-1], z, *xs, **kw)

    return {"vjp": broken_vjp, "carry": op.carry[::-1]}, {"jvp": broken_jvp}


def _apart_by(vjp: Rule) -> Rule:
    """The rule for all operands at once, by the one for each."""
    return lambda g, xs, **kw: [vjp(i, g, None, *xs, **kw) for i in range(len(xs))]


def mutants(op: Op) -> Iterator[Mutant]:
    """The op broken in every way, each in reverse mode, in forward mode, and in both alike."""
    wrong = {what: _by_change(op, change) for what, change in CHANGES.items()}
    wrong["a term too many"] = _extra_term(op)
    cases = [operands(op, args) for args, _ in op.sample(np.random.default_rng(7))]
    if all(np.shape(x) == np.shape(xs[0]) for xs in cases[:1] for x in xs) and len(cases[0]) == 2 == len(moving(cases[0])):
        wrong["swapped partials"] = _swapped(op)
    if len(cases[0]) > 1:
        wrong |= {f"operand {k} forgotten": _forgotten(op, k) for k in moving(cases[0])}
    for what, (reverse, forward) in wrong.items():
        if op.apart is not None:
            reverse["apart"] = _apart_by(reverse["vjp"])
        yield Mutant(op, f"{what}, reverse", reverse)
        yield Mutant(op, f"{what}, forward", forward)
        yield Mutant(op, f"{what}, both modes", {**reverse, **forward})


@dataclass
class Tally:
    """Of how many mutants how many were caught, how many were missed by name, how many change nothing."""

    tried: int = 0
    missed: tuple[str, ...] = ()
    alike: int = 0

    def add(self, op: Op) -> None:
        for mutant in mutants(op):
            if mutant.differs():
                self.tried += 1
                if not mutant.caught():
                    self.missed += (f"{op.name}: {mutant.what}",)
            else:
                self.alike += 1

    def __str__(self) -> str:
        return f"{self.tried} broken derivatives, {self.tried - len(self.missed)} caught"
