"""The graph at other sizes, and the smallest numbers at which a wrong claim fails.

A function can be run again at any sizes.  A recording can be shrunk if nothing in it depends on its sizes: no constant that
equals a length or its inverse, no shape among the arguments of its ops.  Else the recorded sizes are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..node import Node, order
from ..replay import replay
from .claims import Goal, aligned
from .points import Array, Recorded, Source

if TYPE_CHECKING:
    from .check import Judged

TRIALS = 12  # points of a size that are tried
PRINTED = 12  # entries of an array that are shown

Fill = Callable[[Source, tuple[int, ...]], Array]


def resized(graph: Recorded, lengths: Mapping[int, int], fill: Fill, cut: Mapping[int, Array], root: int | None = None) -> Recorded:
    """The graph (or that below `root`) with axes of other lengths and data by `fill`; results in `cut` become leaves of these values."""

    def shape(s: Source) -> tuple[int, ...]:
        return tuple(lengths.get(n, n) for n in s.data.shape)

    if graph.again is not None and not cut and root is None:
        return graph.again({s.name: fill(s, shape(s)) for s in graph.sources if s.node is not None and s.node.active})
    data = graph.filled(lambda s: fill(s, shape(s)))
    nodes = {s.key: data[s.key] for s in graph.sources if s.node is not None}
    arrays = {s.key: data[s.key] for s in graph.sources if s.node is None}
    wanted = graph.nodes if root is None else order(graph.by_id[root])
    new = replay(wanted, {**nodes, **cut}, arrays)
    names = {id(n): graph.names[k] for k, n in new.items() if k in graph.names}
    names |= {id(arrays[s.key]): s.name for s in graph.sources if s.node is None and s.name}
    small = Recorded(new[graph.root_id if root is None else root], names)
    small.sizes = {name: lengths.get(n, n) for name, n in graph.sizes.items()}  # also of axes that have become too short to tell
    return small


def distinct_sizes(graph: Recorded) -> Recorded:
    """A function run again with axes of distinct prime lengths, where no two factors look alike and no transpose keeps its shape."""
    rng = np.random.default_rng(5)
    lengths = sorted({n for s in graph.sources for n in s.data.shape if n > 1})
    to = dict(zip(lengths, (3, 5, 7, 11, 13, 17, 19, 23), strict=False))
    return resized(graph, to, lambda s, shape: s.kinds[0].draw(rng, s.kinds[0].small(rng, shape)), {})


def shrinks(graph: Recorded) -> bool:
    """Does nothing in the recording depend on the lengths of its axes?"""
    if graph.again is not None:
        return True
    lengths = {n for s in graph.sources for n in s.data.shape if n > 1}
    plain = [float(a) for n in graph.nodes for a in n.args if isinstance(a, int | float)]
    fixed = any(isinstance(v, tuple | np.ndarray) for n in graph.nodes for k, v in n.kw.items() if k not in ("axis", "axes"))
    return (
        not fixed and not graph.fixed and not graph.conditions and not any(abs(a) == n or abs(a * n) == 1 for a in plain for n in lengths)
    )


def goal_in(graph: Recorded, other: Recorded, goal: Goal) -> Goal:
    """The same goal in another graph of the same names."""
    of = other.by_name[graph.names[goal.of]].id
    return replace(goal, of=of, wrt=None if goal.wrt is None else other.by_name[graph.names[goal.wrt]].id)


def counterexample(j: Judged, graph: Recorded, truth: Array) -> str:
    """The smallest numbers found at which the claim fails, with the truth beside it; "" if none were.

    `truth` is that at the recorded point, with which claimed numbers are compared.
    """
    if not j.claim.moves:
        return _worst(j, truth)
    lengths = {n for s in graph.sources for n in s.data.shape if n > 1}
    ones = dict.fromkeys(lengths, 1)
    sizes = [ones, *({**ones, n: 2} for n in sorted(lengths)), dict.fromkeys(lengths, 2)] if shrinks(graph) else []
    for defined, lengths_to in product((True, False), (*sizes, {})):
        for cut in _cuts(j, graph):
            for trial in range(TRIALS):
                found = _tried(j, graph, lengths_to, cut, trial, defined)
                if found is None:  # it cannot be run at these sizes, or with these values cut off
                    break
                if found:
                    return found
    return ""


def _cuts(j: Judged, graph: Recorded) -> Iterator[list[Any]]:
    """Which results may be given small values of their own: those the formula speaks of, then the target alone, then none."""
    goal = j.goal
    own = [graph.by_id[goal.node]] if goal.kind != "value" and graph.by_id[goal.node].op is not None else []
    below = {goal.of} if goal.kind == "value" else {goal.node}
    for n in graph.nodes:  # what depends on the target cannot be given apart from it
        if any(isinstance(a, Node) and a.id in below for a in n.args):
            below.add(n.id)
    if j.claim.formula is not None:
        named = [
            n for name in sorted(j.claim.formula.names) if (n := graph.node(name)) is not None and n.op is not None and n.id not in below
        ]
        if named:
            yield own + named
    if own:
        yield own
    yield []


def _tried(j: Judged, graph: Recorded, lengths: Mapping[int, int], cut: list[Any], trial: int, defined: bool) -> str | None:
    """One attempt: a sentence if the claim fails there, "" if not, None if it cannot be run.

    `defined` asks for numbers at which the graph's result is finite.

    The data are small integers; the cut values zeros, then halves.
    """
    rng = np.random.default_rng(trial)

    def fill(s: Source, shape: tuple[int, ...]) -> Array:
        return s.kinds[0].small(rng, shape)

    def given(n: Any) -> Array:
        shape = tuple(lengths.get(k, k) for k in n.shape)
        low = 1 if np.all(np.asarray(n.data) > 0) else -2
        return np.full(shape, trial / 2) if trial < 2 else rng.integers(low, 4, shape) / 2

    try:
        with np.errstate(all="ignore"):
            root = None if j.goal.kind == "gradient" else j.goal.of
            small = resized(graph, lengths, fill, {n.id: given(n) for n in cut}, root)
            goal = goal_in(graph, small, j.goal)
            point = small.recorded()
            claimed, truth = j.claim.at(point, j.reading), goal.truth(point)
    except Exception:  # whatever does not work at this size is no counterexample
        return None
    options = [a for a, _ in aligned(claimed, truth, goal, j.claim.formula)]
    if (
        not options
        or (defined and not np.all(np.isfinite(point.values[small.root_id])))
        or not np.all(np.isfinite(truth))
        or not np.all(np.isfinite(options[0]))
    ):
        return ""
    if any(np.allclose(a, truth, rtol=1e-6, atol=1e-9) or printed(a) == printed(truth) for a in options):
        return ""
    at = _shown(j, small, small.by_id[goal.node])
    if truth.size <= PRINTED:
        return f"{at}: claim {printed(options[0])}, truth {printed(truth)}"
    return f"{at}{': ' if at else ''}{_furthest(j.goal.text, options[0], truth)}"


def _shown(j: Judged, small: Recorded, target: Any) -> str:
    """The numbers that the claim is about: the data, the target, and what its formula uses."""
    used = set(j.claim.formula.names) if j.claim.formula is not None else set()
    data = [s.name for s in small.sources if s.name and s.data.size <= PRINTED]
    point = small.recorded()
    rest = [n for n, x in small.by_name.items() if n not in data and (n in used or x is target)]
    values = {n: np.asarray(point.value_of(small.by_name[n])) for n in [*data[:4], *rest[:4]]}
    same = {n for n, x in values.items() if x.size > PRINTED and np.all(x == x.flat[0])}
    short = (n for n, x in values.items() if n in same or x.size <= 2 * PRINTED)
    return "; ".join(f"{n} = {printed(values[n].flat[0])} in every entry" if n in same else f"{n} = {printed(values[n])}" for n in short)


def _worst(j: Judged, truth: Array) -> str:
    """Of numbers, the entry that is furthest off."""
    return _furthest(j.goal.text, j.arrays[0], truth) if j.arrays else ""


def _furthest(what: str, claimed: Array, truth: Array) -> str:
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(claimed - truth))), truth.shape))
    entry = f"[{', '.join(map(str, where))}]" if where else ""
    return f"{what}{entry}: claim {claimed[where] + 0.0:.6g}, truth {truth[where] + 0.0:.6g}"


def printed(x: Array) -> str:
    """An array in few characters, without axes of length 1."""
    shown = np.asarray(np.round(np.squeeze(np.asarray(x, float)), 4) + 0.0)
    text = np.array2string(shown, separator=", ", threshold=PRINTED, formatter={"float_kind": lambda v: f"{v:g}"})
    return " ".join(text.split())
