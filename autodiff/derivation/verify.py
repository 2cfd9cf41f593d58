"""Proof by numbers: every printed formula is executed at random points and compared with the engine's gradient.

The recorded graph is run again on other leaf values, by the engine itself, so the comparison trusts nothing
that the derivation did.  Leaf values move within what the recorded data suggests (positive stays positive) and
satisfy the assumptions that a formula uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DerivationFailed, NotVerified
from ..replay import replay as run_again
from ..reverse import pull
from ..value import ValueBase
from .assume import Assumption, satisfying
from .graph import Graph, user_ops

Arrays = dict[str, Any]
POINTS = 3  # a formula is shown only if at least so many prove it
LARGE, SHORT = 20_000, 12  # of more numbers than that, random points take so many along an axis


def replay(graph: Graph, values: Mapping[str, Any], lengths: Mapping[int, int] = {}) -> dict[int, Any]:
    """The recorded computation on other values of the variables, as a graph of its own; by the old nodes' ids.

    `lengths` says what becomes of each length of an axis in values that are shorter than those recorded.
    """
    variables = {n.id: values[graph.names[n.id]] for n in graph.nodes if graph.is_variable(n)}
    arrays: dict[int, Any] = {}
    for p in graph.plain:
        x = np.asarray(values[graph.names[p.id]]) if p.id in graph.names else _cut(p.data, lengths)
        if p.link is not None:
            a, k, c = p.link
            x = k * np.asarray(values[graph.names[a.id]]) + c
        arrays[id(p)] = x.item() if x.dtype == bool and x.ndim == 0 else x
    return run_again(graph.nodes, variables, arrays, graph.args)


def _cut(x: Any, lengths: Mapping[int, int]) -> Any:
    return x[tuple(slice(lengths.get(n, n)) for n in x.shape)]


def shorter_axes(graph: Graph) -> dict[int, int]:
    """Lengths for random points of a large graph: axes of equal lengths stay so, longer ones stay longer; none where all can stay."""
    held = [np.asarray(x) for _, x in graph.data()]
    if sum(x.size for x in held) <= LARGE:
        return {}
    out: dict[int, int] = {}
    for n in sorted({n for x in held for n in x.shape}):
        out[n] = max(min(n, SHORT), max(out.values(), default=-1) + 1)
    if any(out.get(n, n) != n for d, n in graph.sizes.items() if not any(d in graph.dims[name] for name, _ in graph.data())):
        return {}  # a length that a formula writes as a number
    try:
        new = replay(graph, {name: _cut(np.asarray(x), out) for name, x in graph.data()}, out)
    except Exception:  # an op recorded lengths of its own
        return {}
    kept = all(np.shape(new[n.id].data) == tuple(out.get(k, k) for k in n.shape) for n in graph.nodes)
    return out if kept else {}


class Points:
    """Points at which formulas are checked, with what the engine says there: the recorded values, and random ones.

    Of a large graph the random ones have shorter axes.
    """

    def __init__(self, graph: Graph, assumptions: Sequence[Assumption], targets: Sequence[Any], seed: int = 0) -> None:
        self.graph, self.targets = graph, list(targets)
        self.values: list[tuple[Arrays, dict[int, Any]]] = []  # values by name, and the graph run again on them
        _check_names(graph)
        rng = np.random.default_rng(seed)
        recorded = {name: np.asarray(x) if np.asarray(x).dtype == bool else np.array(x, dtype=float) for name, x in graph.data()}
        with np.errstate(all="ignore"):
            if all(a.holds(recorded[a.name]) for a in assumptions):
                self._try(satisfying(assumptions, recorded), {})
            lengths = shorter_axes(graph)
            recorded = {name: _cut(x, lengths) for name, x in recorded.items()}
            for k in range(POINTS + 1):
                for reach in (None, 0.5) if k == 0 else (0.5, 0.2, 0.05, 0.01, 0.0, None):  # tiny data alone would prove little
                    if self._try(satisfying(assumptions, {name: _moved(rng, x, reach) for name, x in recorded.items()}), lengths):
                        break
        if len(self.values) < POINTS:
            raise NotVerified(
                "the recorded values give infinite or undefined numbers, near which no formula can be checked; "
                "record the computation at values where the loss and its gradient are finite"
            )

    def _try(self, leaves: Arrays, lengths: Mapping[int, int]) -> bool:
        new = replay(self.graph, leaves, lengths)
        root = new[self.graph.root.id]
        seed = None if np.size(root.data) == 1 else np.ones(root.shape)
        point = dict(leaves)
        named = [n for n in self.graph.nodes if n.id in self.graph.names]
        point.update({self.graph.names[n.id]: np.asarray(new[n.id].data) for n in named})
        moving = [n for n in named if new[n.id].active]
        gradients = pull([root], [seed], [new[n.id] for n in moving], record=False, allow_unused=True)
        names = self.graph.names
        point.update({f"d{names[self.graph.root.id]}_d{names[n.id]}": np.asarray(g) for n, g in zip(moving, gradients, strict=True)})
        if not all(np.all(np.isfinite(x)) for name, x in point.items() if name not in leaves):  # a mask holds -inf
            return False
        self.values.append((point, new))
        return True


def _check_names(graph: Graph) -> None:
    """Values are bound to names, so no name may stand for two things: a formula that mixes them up would prove itself."""
    names = Counter([*graph.names.values(), *graph.sizes])
    twice = [name for name, k in names.items() if k > 1]
    if twice:
        raise DerivationFailed(f"two things are both called {twice[0]} in the formulas. This is a bug of autodiff; nothing was shown.")


def _moved(rng: np.random.Generator, x: Any, reach: float | None) -> Any:
    """Values near x; without a reach anywhere, as far as the signs allow."""
    if x.dtype == bool:  # a choice that was made
        return x
    if not (finite := np.isfinite(x)).all():
        return np.where(finite, _moved(rng, np.where(finite, x, 0.0), reach), x)
    noise = rng.normal(size=x.shape)
    if reach is None:
        return np.abs(noise) if (x > 0).all() else noise
    if ((x == 0) | (x == 1)).all() and x.size > 1:
        return np.abs(x - 2 * reach * rng.uniform(0.05, 0.8, x.shape))
    if (x > 0).all():
        return x * np.exp(reach * noise)
    return x + reach * (np.abs(x).mean() + 0.1) * noise


def second_order(new: Mapping[int, Any], root: Any, wrt: Sequence[Any]) -> Any:
    """The engine's second derivative in a graph that was run again: an array of both variables' axes."""
    first = pull([new[root.id]], [None], [new[wrt[0].id]], record=True)[0]
    return jacobian_rows(first, new[wrt[1].id])


def jacobian_rows(y: Any, x: Any) -> Any:
    """Every derivative of every entry of node y in node x."""
    rows = []
    for k in range(int(np.size(y.data))):
        seed = np.zeros(y.shape)
        seed.flat[k] = 1.0
        rows.append(pull([y], [1.0 if isinstance(y, ValueBase) else seed], [x], record=False, allow_unused=True)[0])
    return np.array(rows, dtype=float).reshape((*y.shape, *x.shape))


def run(source: str, name: str, values: Mapping[str, Any]) -> Any:
    """What printed source gives for the name it assigns; ops of the user's are called as declared."""
    scope: dict[str, Any] = {"np": np, **user_ops(), **values}
    exec(compile(source, "<derived>", "exec"), scope)
    return scope[name]


def same(a: Any, b: Any, single: bool) -> bool:
    """Equal up to rounding, in double or single precision."""
    a, b = np.asarray(a), np.asarray(b)
    loose = 1e-3 if single else 1e-6
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=loose, atol=loose * 1e-2 * (0.01 + float(np.abs(b).max(initial=0.0)))))
