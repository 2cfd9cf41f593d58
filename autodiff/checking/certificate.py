"""A certificate for one recorded graph: its gradient computed in every independent way there is, compared in ulps.

Every row is one comparison that can fail; a row that could not be made says why.  Bounds are computed
(ulps.py), differences bring their own error bar (slopes.py), PyTorch and JAX run the very same graph by
their own functions (peers.py).  Of a disagreement the node is named.  Nothing touches `.grad`.
"""

from __future__ import annotations

import json
import math
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from ..errors import GradientMismatch, NotConnected
from ..forward import push
from ..naming import user_frame, variables
from ..node import Node, check_fresh
from ..node import order as in_order
from ..reverse import pull
from .grads import BLIND, Number, local_call, rule_at_fault, truncated
from .peers import PEERS, NoCounterpart, Peer, installed
from .replay import TINY, complex_step, replay
from .slopes import refined, slopes
from .ulps import OP_ULPS, Comparison, compare, rounding


@dataclass(frozen=True)
class Row:
    """One comparison: `verdict` is "identical", "rounding only", "within the error bar", "different" or "skipped"."""

    what: str
    verdict: str
    detail: str
    ulps: float | None = None
    bound: int | None = None

    @property
    def ok(self) -> bool:
        return self.verdict != "different"


@dataclass(frozen=True)
class Certificate:
    """What `E.certificate()` found; `.text` and `.json` say it, `.ok` whether nothing disagreed, `.require()` raises if so."""

    subject: str
    seed: int
    rows: tuple[Row, ...]
    versions: dict[str, str]

    @property
    def ok(self) -> bool:
        """Did every comparison that could be made agree?"""
        return all(row.ok for row in self.rows)

    @property
    def text(self) -> str:
        """The certificate for reading."""
        width = max(len(row.what) for row in self.rows)
        made = [row for row in self.rows if row.verdict != "skipped"]
        lines = [f"certificate of {self.subject}, seed {self.seed}"]
        lines += [f"  {row.what:<{width}}  {row.verdict}{': ' if row.detail else ''}{row.detail}" for row in self.rows]
        lines += [
            f"{sum(row.ok for row in made)} of {len(made)} comparisons agree; " + ", ".join(f"{k} {v}" for k, v in self.versions.items())
        ]
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """The same as one JSON object; ulps beyond all numbers are null."""
        rows = [{**asdict(row), "ulps": row.ulps if row.ulps is not None and math.isfinite(row.ulps) else None} for row in self.rows]
        found = {"subject": self.subject, "ok": self.ok, "seed": self.seed, "rows": rows, "versions": self.versions}
        return json.dumps(found, indent=1)

    def require(self) -> None:
        """Raise GradientMismatch with the whole text unless everything agreed."""
        if not self.ok:
            raise GradientMismatch(self.text)

    def __repr__(self) -> str:
        return self.text


def certificate(E: Any, seed: int = 0) -> Certificate:
    """Compare the gradient of `E` with every independent computation of it; see `Node.certificate`."""
    if not E.active:
        raise NotConnected("a constant has no gradient to certify: nothing it depends on is a variable")
    nodes = in_order(E)
    check_fresh(nodes)
    with np.errstate(all="ignore"):
        graph = _Graph(E, nodes, np.random.default_rng(seed))
        rows = [*graph.forward_again(), graph.recorded_gradient(), graph.forward_mode(), *graph.slopes()]
        versions = {"autodiff": _own_version(), "NumPy": np.__version__, "Python": platform.python_version()}
        for peer in PEERS:
            if not installed(peer):
                rows.append(Row(peer.name, "skipped", "not installed"))
                continue
            other = peer()
            versions[other.name] = other.version
            rows += graph.by(other)
    return Certificate(graph.subject, seed, tuple(rows), versions | {"on": f"{platform.system()} {platform.machine()}"})


class _Graph:
    """The graph below a node, its variables, its gradient with the rounding of it, and random directions to compare along."""

    def __init__(self, E: Any, nodes: list[Any], rng: np.random.Generator) -> None:
        self.E, self.nodes = E, nodes
        self.names = variables(user_frame())
        self.place = {n.id: i for i, n in enumerate(nodes, 1)}
        self.leaves = [n for n in nodes if n.active and n.op is None]
        self.w = np.ones(E.shape) if np.size(E._data) == 1 else _random(E, rng)
        self.us = [_random(x, rng) for x in self.leaves]
        seed: Any = float(self.w) if E.shape == () and not hasattr(E, "dtype") else self.w
        self.gradient = pull([E], [seed], self.leaves, record=False)
        self.recorded = pull([E], [_constant_like(E, self.w)], self.leaves, record=True)
        (self.magnitude, self.bound), *self.roundings = rounding(E, *self.recorded)
        operations, entries = sum(n.op is not None for n in nodes), sum(np.size(x._data) for x in self.leaves)
        dtypes = sorted({str(getattr(n._data, "dtype", "Python float")) for n in self.leaves})
        self.subject = (
            f"{self.called(E)}: {operations} operation{'s' * (operations != 1)}, {len(self.leaves)} variable"
            f"{'s' * (len(self.leaves) != 1)} with {entries} entr{'y' if entries == 1 else 'ies'} of {' and '.join(dtypes)}"
        )

    def called(self, n: Any) -> str:
        """A node by its name, its variable, or its place among all."""
        place = f"node {self.place[n.id]} of {len(self.nodes)}"
        name = n.name or self.names.get(id(n))
        return f"{name} ({place})" if name else place

    def culprit(self, n: Any | None) -> str:
        if n is None:
            return "no single operation is at fault alone"
        return f"they part at {self.called(n)}, {n.op.name} of {' and '.join(f'shape {np.shape(_numbers(a))}' for a in n.args)}"

    # ------------------------------------------------------------ the rows

    def forward_again(self) -> list[Row]:
        """Every recorded value follows from its operands: no array the graph holds was changed since."""
        worst = Comparison("identical", 0.0, OP_ULPS)
        for n in self.nodes:
            if n.op is not None:
                found = compare(n.op.forward(*map(_numbers, n.args), **n.kw), n._data, np.abs(n._data), OP_ULPS)
                if found.verdict == "different":
                    return [
                        _row("graph", found, f"{self.called(n)}, {n.op.name}, no longer follows from its operands; was one changed since?")
                    ]
                worst = max(worst, found, key=lambda c: c.ulps)
        return [_row("graph", worst, "every recorded value follows from its operands")]

    def recorded_gradient(self) -> Row:
        """The gradient of plain backward, and the same rules recorded as a graph."""
        found = _worst([compare(np.asarray(g), r.data, m, 2 * k) for g, r, (m, k) in self._gradients()])
        return self._row_of("backward = recorded gradient", found)

    def forward_mode(self) -> Row:
        """Duality: <w, J u> by forward mode is <J^T w, u> by backward."""
        tangent = push([self.E], self.leaves, self._tangents(), record=False)[0]
        recorded = push([self.E], self.leaves, self._tangents(record=True), record=True)[0]
        ((m, k),) = rounding(recorded)
        left = float(np.sum(self.w * tangent))
        size = max(self._size(), float(np.sum(np.abs(self.w) * m)))
        terms = sum(np.size(u) for u in self.us) + np.size(self.w)
        bound = k + max(k for _, k in self.roundings) + terms
        return self._row_of("backward = forward mode", compare(self._cast(left), self._cast(self._inner()), size, bound))

    def slopes(self) -> list[Row]:
        """Differences of the graph run on other numbers, and the complex step where every op takes complex ones."""
        eps = np.finfo(np.float32 if any(map(_narrows, self.nodes)) else np.float64).eps
        noise = float(np.sum(np.abs(self.w) * eps * self.bound * self.magnitude))
        found = slopes(self._along, noise)
        own = Number(self._inner(), self._eps() * max(k for _, k in self.roundings) * self._size())
        exact, shorter = self._complex_step(TINY), self._complex_step(TINY**2)

        def apart(number: float | None) -> bool:
            return number is not None and abs(number - found.value) > found.bar + own.bar

        if found.bend or found.jumps or apart(own.value) or apart(exact):
            found = refined(self._along, noise, found)
        rows = [self._differences(own, found)]
        if exact is None or shorter is None:
            odd = next((n.op.name for n in self.nodes if n.op is not None and not n.op.analytic), "an operation")
            return [*rows, Row("complex step", "skipped", f"{odd} takes no complex numbers")]
        if apart(exact):
            return [
                *rows,
                Row("complex step", "skipped", f"differences show that an operation, though declared so, is not analytic: {exact:.6g}"),
            ]
        exact = own.value if own.agrees(truncated(exact, shorter)) else exact
        bound = 2 * max(k for _, k in self.roundings) + sum(np.size(u) for u in self.us)
        return [*rows, self._row_of("backward = complex step", compare(self._cast(own.value), self._cast(exact), self._size(), bound))]

    def _complex_step(self, h: float) -> float | None:
        found = complex_step(self.nodes, list(self.leaves), self.us, h)
        return None if found is None else float(np.sum(self.w * found[self.E.id]))

    def _differences(self, own: Number, found: Any) -> Row:
        what, there = "backward = differences", Number(found.value, found.bar)
        if found.bend or found.jumps:
            detail = (
                f"not differentiable here: left slope {found.left:.6g}, right slope {found.right:.6g} along a random direction; the engine "
                f"uses {own.value:.6g}; {self.culprit(rule_at_fault(self.nodes))}"
            )
            return Row(what, "different", detail)
        if not own.agrees(there):
            return Row(what, "different", f"{own} and {there}; {self.culprit(rule_at_fault(self.nodes))}")
        blurred = own.bar > BLIND * max(abs(own.value), abs(found.value), found.steepest)
        if blurred or found.bar > BLIND * max(abs(own.value), self._size()) > 0:
            return Row(what, "skipped", f"differences see nothing here ({there})")
        return Row(what, "within the error bar", f"{own.value:.12g} and {there}")

    def by(self, peer: Peer) -> list[Row]:
        """Value and gradient by another library."""
        try:
            value, gradient = peer.value_and_gradient(self.nodes, self.E, self.leaves, self.w)
        except NoCounterpart as error:
            return [Row(peer.name, "skipped", str(error))]
        found = compare(value, np.asarray(self.E._data), self.magnitude, 2 * self.bound)
        pairs = zip(self.gradient, gradient, self.roundings, strict=True)
        worst = _worst([compare(np.asarray(g), np.asarray(other), m, 2 * k) for g, other, (m, k) in pairs])
        rows = ((f"{peer.name}: value", found), (f"{peer.name}: gradient", worst))
        return [_row(what, c, self.culprit(self._parts_from(peer)) if c.verdict == "different" else "") for what, c in rows]

    def _parts_from(self, peer: Peer) -> Any | None:
        """The first node whose numbers or rule, alone, differ from the peer's."""
        for n in self.nodes:
            if n.op is None or not n.active:
                continue
            f, xs = local_call(n)
            w = np.random.default_rng(0).normal(size=n.shape)
            z, gs = peer.local(n, w)
            y = f(*xs)
            ours = [n.op.vjp(i, w, np.asarray(y), *map(_numbers, n.args), **n.kw) for i, a in enumerate(n.args) if _moves(a)]
            for mine, other in [(y, z), *zip(ours, gs, strict=True)]:
                mine = np.zeros(np.shape(other)) if mine is None else np.asarray(mine)
                size = np.abs(mine) + np.max(np.abs(mine), initial=0.0)
                if compare(mine, other, size, 1000).verdict == "different":
                    return n
        return None

    # ------------------------------------------------------------ numbers

    def _row_of(self, what: str, found: Comparison) -> Row:
        return _row(what, found, self.culprit(rule_at_fault(self.nodes)) if found.verdict == "different" else "")

    def _gradients(self) -> Any:
        return zip(self.gradient, self.recorded, self.roundings, strict=True)

    def _inner(self) -> float:
        return float(sum(np.sum(u * np.asarray(g, float)) for u, g in zip(self.us, self.gradient, strict=True)))

    def _size(self) -> float:
        """The magnitudes of the terms of <gradient, u>."""
        return float(sum(np.sum(np.abs(u) * m) for u, (m, _) in zip(self.us, self.roundings, strict=True)))

    def _eps(self) -> float:
        return max(float(np.finfo(np.asarray(n._data).dtype).eps) for n in self.nodes if np.asarray(n._data).dtype.kind == "f")

    def _cast(self, x: float) -> Any:
        """A number in the coarsest precision of the graph, whose ulps count."""
        return np.float32(x) if self._eps() > 1e-10 else np.float64(x)

    def _tangents(self, record: bool = False) -> list[Any]:
        return [_constant_like(x, u) if record else float(u) if x.shape == () else u for x, u in zip(self.leaves, self.us, strict=True)]

    def _along(self, h: float) -> float:
        values: dict[int, Any] = {x.id: np.asarray(x._data, float) + h * u for x, u in zip(self.leaves, self.us, strict=True)}
        replay(self.nodes, values)
        return float(np.sum(self.w * values[self.E.id]))


def _own_version() -> str:
    try:
        return metadata.version("autodiff-graph")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _random(n: Any, rng: np.random.Generator) -> Any:
    return np.asarray(rng.normal(size=n.shape)).astype(np.float32).astype(float)  # exact in float32, too


def _constant_like(n: Any, numbers: Any) -> Any:
    from ..constants import constant

    return constant(np.asarray(numbers, n.dtype)) if hasattr(n, "dtype") else constant(float(numbers))


def _numbers(a: Any) -> Any:
    return a._data if isinstance(a, Node) else a


def _narrows(n: Any) -> bool:
    """Does the operation make float32 of wider numbers, also where the graph is run in double precision?"""
    casts = n.op is not None and n.op.name == "cast" and n.kw.get("dtype") == np.float32
    single = [getattr(a, "dtype", None) == np.float32 for a in (n, *n.args)]
    return casts or (n.op is not None and single[0] and not any(single[1:]))


def _moves(a: Any) -> bool:
    return isinstance(a, Node) and a.active


def _worst(found: list[Comparison]) -> Comparison:
    return max(found, key=lambda c: c.ulps / c.bound if c.bound else c.ulps)


def _row(what: str, found: Comparison, note: str = "") -> Row:
    inside = str(found).removeprefix(found.verdict).strip(" ()")
    return Row(what, found.verdict, "; ".join(part for part in (inside, note) if part), found.ulps, found.bound)
