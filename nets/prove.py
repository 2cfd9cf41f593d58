"""The proof: every result of the exercise by the graph, by hand, by `ad.derive` and by differences, on one net and one batch.

The graph's numbers are compared with those of the hand-written formula and of the derived one in ulps,
within a bound computed from both computations; the differences come with an error bar of their own.
Nobody chose a tolerance.  Where the numbers of a net are saturated, as log(0), nothing can be compared:
the proof is then of the same net with smaller parameters, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.checking.grads import noise_of
from autodiff.checking.slopes import FIRST_STEP, differences
from autodiff.checking.ulps import Comparison, agree
from autodiff.node import order

from . import closed_form
from .layers import Linear, Module, Sigmoid, arrays, assign
from .losses import as_targets, cross_entropy
from .train import Loss, born, first_bad
from .two_layer import Pass, TwoLayer

Function = Callable[[Any], Any]

BY_HAND = {
    "E": "-sum(t * log(y2)) / m",
    "dE/dz2": "(y2 - t) / m",
    "dE/dy1": "W2^T (y2 - t) / m",
    "dE/dW2": "(y2 - t) y1^T / m",
    "dy1/dz1": "diag(y1 * (1 - y1))",
    "dE/dz1": "W2^T (y2 - t) * y1 * (1 - y1) / m",
    "dE/dW1": "(W2^T (y2 - t) * y1 * (1 - y1)) x^T / m",
    "dE/db2": "row sums of dE/dz2",
    "dE/db1": "row sums of dE/dz1",
}
MOST_ENTRIES = 5000  # of a larger variable, this many entries drawn at random are moved
FLAT = 32.0  # operands of FLATTENING ops beyond which their slopes have hardly a digit to compare
FLATTENING = ("exp", "sigmoid", "tanh", "softmax", "log_softmax", "softplus")
COMPARED = ("graph = formula", "graph = differences")
DIGITS = 1e3  # how far the largest gradient must stand out of its rounding


@dataclass(frozen=True)
class Differences:
    """How the graph's entries lie to numerical differences; `error` and `bar` are those of the entry that strays most."""

    entries: int
    of: int
    error: float
    bar: float

    @property
    def ok(self) -> bool:
        """Does every entry lie within its bar?"""
        return self.error <= self.bar

    def __str__(self) -> str:
        share = f"{self.entries}" if self.entries == self.of else f"{self.entries} of {self.of}"
        return f"{'agree' if self.ok else 'DIFFER'} ({share} entries, off by {self.error:.0e}, error bar {self.bar:.0e})"


@dataclass(frozen=True)
class Derived:
    """The formula that `ad.derive` reads off the graph, as text, and the graph's numbers against those of its source."""

    text: str
    closed: Comparison


@dataclass(frozen=True)
class Row:
    """One result: the graph against the formula by hand, the derived one (of gradients), and differences (E itself has none).

    Only the exercise's network has formulas by hand.
    """

    name: str
    by_hand: str | None
    closed: Comparison | None
    derived: Derived | None
    differences: Differences | None

    @property
    def ok(self) -> bool:
        """Is the graph's result proven?"""
        compared = [c for c in (self.closed, self.derived.closed if self.derived else None) if c is not None]
        return bool(compared) and all(c.verdict != "different" for c in compared) and (self.differences is None or self.differences.ok)

    @property
    def lines(self) -> list[tuple[str, str, str, str]]:
        """What is shown of it, a formula a line: where it comes from, how it reads, and the comparisons with it and with differences."""
        by_hand = [] if self.by_hand is None else [("by hand", self.by_hand, str(self.closed))]
        derived = [] if self.derived is None else [("derived", self.derived.text, str(self.derived.closed))]
        numeric = "" if self.differences is None else str(self.differences)
        return [(*line, "" if k else numeric) for k, line in enumerate(by_hand + derived)]


@dataclass(frozen=True)
class Proof:
    """The rows, and a sentence: at which other numbers they were compared, or why there are none; "" if there is nothing to say."""

    rows: list[Row]
    note: str = ""

    @property
    def ok(self) -> bool:
        """Is every result proven?"""
        return bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def verdict(self) -> str:
        """How many of how many results are proven, and whether with other numbers than those given."""
        elsewhere = " with smaller parameters" if self.rows and self.note else ""
        return f"{sum(row.ok for row in self.rows)} of {len(self.rows)} results proven{elsewhere}"

    def __str__(self) -> str:
        return "\n\n".join(filter(None, (self.note, table(self.rows) if self.rows else "")))


def prove(net: TwoLayer, x: Any, t: Any, seed: int = 0) -> Proof:
    """The table "graph = by hand = derived = differences" for a net of float64 Tensors; each column of `t` must sum to 1.

    Raises ad.NonFinite where a parameter, or an example, is not finite.

    >>> net = TwoLayer.random(3, 4, 2)
    >>> prove(net, np.ones((3, 1)), np.array([[1.0], [0.0]])).verdict
    '9 of 9 results proven'
    """

    def record() -> tuple[Pass, dict[str, Any], dict[str, Any]]:
        run = net(x, t)
        return run, by_graph(net, run), closed_form.results(run.x, run.t, **net.parameters(), sum_t=1)

    def checked() -> list[list[Any]]:
        run, graph, hand = record()
        return [[run.E], [graph[f"dE/d{name}"] for name in net.parameters()], list(hand.values())]

    with unsaturated(net.parameters(), checked) as note:
        run, graph, hand = record()
        derived = by_derivation(net, run, graph)
        numeric = by_differences(net, run, graph, np.random.default_rng(seed))
        rows = [Row(name, BY_HAND[name], agree(graph[name], hand[name]), derived.get(name), numeric.get(name)) for name in graph]
    return Proof(rows, note)


@contextmanager
def unsaturated(parameters: dict[str, Any], record: Callable[[], list[list[Any]]]) -> Iterator[str]:
    """Where the numbers that `record()` gives have no digits to compare, halve all parameters until they have, and say so.

    `record()` gives E, its gradients, and more nodes, of the parameters as they are, which are put back at the end.
    Once halved, they are halved on until no operand of the FLATTENING ops goes beyond FLAT, so that a wrong formula shows.
    """
    given = arrays(parameters)
    for name, value in given.items():
        if not np.all(np.isfinite(value)):
            raise ad.NonFinite(f"{name} of the network is not finite in {np.sum(~np.isfinite(value))} of its {value.size} entries")
    note, halvings = "", 0
    with np.errstate(all="ignore"):
        nodes = record()
        if why := _saturation(nodes):
            note = f"The numbers of this network are saturated: {why}"
        try:
            while note and (_saturation(nodes) or not _moderate(nodes)):
                halvings += 1
                if halvings > 2200:  # more than there are powers of 2 among the floats
                    raise ad.NonFinite(note)
                assign(parameters, {name: np.ldexp(array, -halvings) for name, array in given.items()})
                nodes = record()
            yield note and f"{note} So these results are those of the same network with every parameter divided by 2**{halvings}."
        finally:
            if halvings:
                assign(parameters, given)


def _saturation(nodes: list[list[Any]]) -> str:
    """Why there are no digits to compare; "" if there are."""
    every = [node for part in nodes for node in part]
    bad = first_bad(*every)
    if bad is not None:
        return f"{_lost(bad)}. {born(*every)}"
    (E,), gradients = nodes[:2]
    largest = max(float(np.abs(g.data).max()) for g in gradients)
    noise = max(float(np.max(noise)) for noise in (noise_of(E) / FIRST_STEP, *map(noise_of, gradients)))
    return f"its largest gradient is {largest:.0e}, and rounding alone may take it {noise:.0e} away." if largest < DIGITS * noise else ""


def _lost(node: Any) -> str:
    """Of which array how many entries are 0, or of which result how many are not finite."""
    bad = ~np.isfinite(node.data)
    for a in node.args:
        if isinstance(a, ad.Tensor) and a.shape == node.shape and np.all(a.data[bad] == 0):
            return f"{a.name or 'an array'} is 0 in {np.sum(a.data == 0)} of its {a.size} entries"
    return f"{np.sum(bad)} of the {node.size} entries of {node.name or f'the result of {node.op.name}'} are not finite"


def _moderate(nodes: list[list[Any]]) -> bool:
    return all(np.all(np.abs(n.args[0].data) <= FLAT) for n in order(*nodes[0]) if n.op is not None and n.op.name in FLATTENING)


def by_graph(net: TwoLayer, run: Pass) -> dict[str, Any]:
    """The results as the graph gives them, each a recorded node, so that its rounding can be followed."""
    wrt = gradients(net, run)
    found = dict(zip(wrt, ad.gradient(run.E, list(wrt.values()), record=True), strict=True))
    found |= {"E": run.E, "dy1/dz1": jacobians(run.y1, run.z1)}
    return {name: found[name] for name in BY_HAND if name in found}


def gradients(net: TwoLayer, run: Pass) -> dict[str, Any]:
    """What E is differentiated with respect to, by the name of the result."""
    wrt = {"dE/dz2": run.z2, "dE/dy1": run.y1, "dE/dW2": net.W2, "dE/dz1": run.z1, "dE/dW1": net.W1, "dE/db2": net.b2, "dE/db1": net.b1}
    return {name: node for name, node in wrt.items() if node is not None}


def by_derivation(net: TwoLayer, run: Pass, graph: dict[str, Any]) -> dict[str, Derived]:
    """The gradients of `graph` beside the formulas derived from the recording; their printed source runs on the recorded nodes."""
    return _derived(run.E, list(gradients(net, run).values()), {**run._asdict(), **net.parameters()}, graph)


def _derived(E: Any, wrt: list[Any], nodes: dict[str, Any], graph: dict[str, Any]) -> dict[str, Derived]:
    derivation = ad.derive(E, wrt=wrt)
    names = {"np": np, **nodes}
    exec(derivation.numpy, names)
    return {f.left: Derived(f.text, agree(graph[f.left], names[f.variable])) for f in derivation.results}


def prove_model(model: Module, x: Any, t: Any, loss: Loss = cross_entropy, seed: int = 0) -> Proof:
    """The table for any float64 model of rows: each parameter's gradient = derived = differences, of so many entries drawn at random.

    A network that is the exercise's (Linear, Sigmoid, Linear under the cross-entropy) is proven as such, by `prove`.
    Raises as `prove` does.

    >>> from nets.layers import mlp
    >>> proof = prove_model(mlp(3, 4, 2, activation="tanh", seed=0), np.ones((2, 3)), [0, 1])
    >>> [(row.name, row.ok) for row in proof.rows]
    [('dE/dW1', True), ('dE/db1', True), ('dE/dW2', True), ('dE/db2', True)]
    """
    net = two_layer_of(model)
    if net is not None and loss is cross_entropy:
        return prove(net, np.asarray(x).T, as_targets(t, (len(x), net.W2.shape[0])).T, seed)
    parameters = model.parameters()

    def record() -> list[list[Any]]:
        E = loss(model(x), t)
        return [[E], ad.gradient(E, list(parameters.values()), record=True)]

    with unsaturated(parameters, record) as note:
        (E,), gradients = record()
        graph = {f"dE/d{name}": g for name, g in zip(parameters, gradients, strict=True)}
        derived = _derived(E, list(parameters.values()), {n.name: n for n in order(E) if n.name}, graph)
        numeric = _moved(model, x, t, loss, graph, np.random.default_rng(seed))
    return Proof([Row(name, None, None, derived[name], numeric[name]) for name in graph], note)


def _moved(model: Module, x: Any, t: Any, loss: Loss, graph: dict[str, Any], rng: np.random.Generator) -> dict[str, Differences]:
    """The gradients of `graph` beside differences of the model's loss."""
    found = {}
    for name, p in model.parameters().items():
        at = np.array(p.data)

        def moved(v: Any, p: Any = p) -> Any:
            if isinstance(v, ad.Tensor):  # the noise is read off the recording, which is at hand
                return loss(model(x), t)
            p.data = v
            with ad.no_record():
                return loss(model(x), t).item()

        try:
            found[f"dE/d{name}"] = difference(moved, at, _entries(graph[f"dE/d{name}"]), rng, most=200)
        finally:
            p.data = at
    return found


def two_layer_of(model: Any) -> TwoLayer | None:
    """The exercise's network with the numbers of a chain Linear, Sigmoid, Linear, biases as columns; None of any other model."""
    modules = getattr(model, "modules", ())
    if [type(m) for m in modules] != [Linear, Sigmoid, Linear]:
        return None
    made = {}
    for name, p in model.parameters().items():
        made[name] = ad.Tensor(p.data if p.ndim == 2 else p.data[:, None], name=name)
    return TwoLayer(made["W1"], made["W2"], made.get("b1"), made.get("b2"))


def jacobians(y: Any, z: Any) -> Any:
    """dy/dz of every example, shape (m, n, n), by one backward sweep per row of y.

    Examples are columns and do not meet between z and y, so the sweep for the sum over a row brings
    that row of every example's Jacobian at once.
    """
    rows = [ad.gradient(np.sum(y[i]), z, record=True) for i in range(y.shape[0])]
    return np.transpose(np.stack(rows), (2, 0, 1))


def by_differences(net: TwoLayer, run: Pass, graph: dict[str, Any], rng: np.random.Generator) -> dict[str, Differences]:
    """Every derivative of `graph` beside differences of the plain NumPy net, moving one entry at a time."""
    leaves = arrays(net.parameters())
    x, t, z1 = run.x.data, run.t.data, run.z1.data

    def of_leaf(name: str) -> Function:
        return lambda v: closed_form.E(closed_form.forward(x, **{**leaves, name: v})[3], t)

    def of_z2(z2: Any) -> Any:
        return closed_form.E(closed_form.softmax(z2), t)

    def of_y1(y1: Any) -> Any:
        return of_z2(leaves["W2"] @ y1 + leaves.get("b2", 0.0))

    def of_z1(z1: Any) -> Any:
        return of_y1(closed_form.sigmoid(z1))

    points = {"dE/dz2": (of_z2, run.z2.data), "dE/dy1": (of_y1, run.y1.data), "dE/dz1": (of_z1, z1)}
    points |= {f"dE/d{name}": (of_leaf(name), value) for name, value in leaves.items()}
    found = {name: difference(f, at, _entries(graph[name]), rng) for name, (f, at) in points.items()}
    jacobians = np.stack([graph["dy1/dz1"].data, noise_of(graph["dy1/dz1"])])

    def moves_y1(index: tuple[int, ...]) -> Any:
        unit, example = index
        columns = np.zeros((2, *z1.shape))
        columns[:, :, example] = jacobians[:, example, :, unit]
        return columns

    return found | {"dy1/dz1": difference(closed_form.sigmoid, z1, moves_y1, rng)}


def _entries(gradient: Any) -> Function:
    noise = noise_of(gradient)
    return lambda index: (gradient.data[index], noise[index])


def difference(f: Function, at: Any, derivative: Function, rng: np.random.Generator, most: int | None = None) -> Differences:
    """Differences of `f` in the entries of `at`, beside `derivative(index)`: how f moves with that entry, and the rounding in that."""
    most = MOST_ENTRIES if most is None else most
    noise = noise_of(f(ad.Tensor(at)))
    indices = list(np.ndindex(at.shape))
    if len(indices) > most:
        indices = [indices[i] for i in sorted(rng.choice(len(indices), most, replace=False))]
    worst = (-1.0, 0.0, 0.0)
    for index in indices:
        best, bar = differences(_along(f, at, index), noise)
        moves, rounding = derivative(index)
        error, bar = np.abs(best - moves), bar + rounding
        ratio = np.where(np.isnan(error), np.inf, error / bar)
        i = np.argmax(ratio)
        worst = max(worst, (float(ratio.flat[i]), float(np.ravel(error)[i]), float(np.ravel(bar)[i])))
    return Differences(len(indices), at.size, worst[1], worst[2])


def _along(f: Function, at: Any, index: tuple[int, ...]) -> Callable[[float], Any]:
    """`f` as a function of how far one entry of `at` moves."""

    def moved(h: float) -> Any:
        there = np.array(at)
        there[index] += h
        return f(there)

    return moved


def table(rows: list[Row]) -> str:
    """The rows as aligned text; the derived formula stands below the one by hand."""
    cells = [("result", "", "formula", *COMPARED)]
    cells += [("" if k else row.name, *line) for row in rows for k, line in enumerate(row.lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)
