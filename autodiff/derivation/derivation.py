"""derive() and what it answers with: formulas as text, LaTeX and NumPy, checked before they are shown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

import numpy as np

from ..errors import AutodiffError, DerivationFailed, NotConnected, NotScalar, NotVerified, TooBig
from ..functional import transform
from ..naming import label, user_frame, variables
from ..node import Node, check_fresh, order
from ..tensor import Tensor
from . import expr
from .assume import Assumption, fitting, found_in, parse
from .expr import PASSENGER, Poly
from .forms import NoForm, Symbol, derivative
from .graph import Graph, atom_of
from .latex import Latex
from .matrix import M, to_matrix, transpose, with_ones
from .show import Axes, Writer, helper
from .simplify import for_print
from .steps import Deriver, Step
from .verify import POINTS, Points, jacobian_rows, replay, run, same, second_order

LAYOUTS: dict[str | None, tuple[int, ...]] = {None: (), "denominator": (), "numerator": (1, 2), "mixed": (1,)}  # what is transposed
JACOBIANS: dict[str | None, tuple[int, ...]] = {None: (), "denominator": (1, 2), "numerator": (), "mixed": ()}

SMALL = 12  # entries of a recorded constant that the NumPy source writes out


@dataclass(frozen=True)
class Formula:
    """One formula for one node: the same expression as text, LaTeX and NumPy source."""

    left: str
    left_latex: str
    variable: str  # what the NumPy source assigns
    text: str
    latex: str
    numpy: str
    prelude: tuple[str, ...]  # lines that the NumPy source needs above it
    assumptions: tuple[Assumption, ...] = ()

    def source(self) -> str:
        """Lines that run by themselves."""
        return "\n".join([*self.prelude, f"{self.variable} = {self.numpy}"])

    def __str__(self) -> str:
        return f"{self.left} = {self.text}{_using(self.assumptions)}"


@dataclass(frozen=True)
class DerivedStep:
    """One step: `rule` (the local rule), `inserted` (with the upstream gradients put in), `result`, `without` assumptions."""

    node: Any
    name: str
    rule: Formula
    inserted: Formula
    result: Formula
    without: Formula | None

    def chain(self, kind: str) -> list[str]:
        """The different right-hand sides from rule to result, as "text" or "latex"."""
        found = [getattr(f, kind) for f in (self.rule, self.inserted, self.result)]
        return [x for i, x in enumerate(found) if x not in found[i + 1 :]]


class Derivation:
    """Closed forms of derivatives, made by `derive`; shows itself in notebooks and prints as a derivation.

    `.text`, `.latex` and `.numpy` give the results; `.steps` how they came about; `.assumptions` what they
    use.  Called with arrays by name, `d(W1=..., x=...)`, it computes the derivative by the printed source, and
    raises ValueError where the arrays break an assumption that it uses.
    """

    def __init__(
        self,
        graph: Graph,
        steps: Sequence[DerivedStep],
        results: Sequence[Formula],
        without: Sequence[Formula],
        guards: Sequence[Formula],
        notes: Sequence[str],
    ) -> None:
        self._graph, self.steps, self.results, self._without = graph, tuple(steps), tuple(results), tuple(without)
        self._guards = guards  # what was taken not to be zero
        self._more = [*(f"where {g.text} is not zero" for g in guards), *notes]

    @property
    def text(self) -> str:
        """The results, one a line; vectors are columns in products, and broadcast as NumPy's elsewhere."""
        return "\n".join([*map(str, self.results), *self._where(self.results)])

    @property
    def latex(self) -> str:
        """The results in LaTeX, without dollar signs."""
        if len(self.results) == 1:
            f = self.results[0]
            return f"{f.left_latex} = {f.latex}{_using_latex(f.assumptions)}{self._where_latex(self.results, ', ')}"
        lines = [f"{f.left_latex} &= {f.latex}{_using_latex(f.assumptions)}" for f in self.results]
        return _aligned([*lines, *filter(None, [self._where_latex(self.results, "&")])])

    def _where_latex(self, shown: Sequence[Formula], before: str) -> str:
        made, recorded = self._besides(shown)
        tex = Latex(self._graph.all_dims(), self._graph.names[self._graph.root.id])
        said = [f"{f.left_latex} = {f.latex}" for f in made] + [rf"{tex.name(c)} \text{{ is {_described(a)}}}" for c, a in recorded.items()]
        return rf"{before} \quad \text{{where }} " + r", \; ".join(said) if said else ""

    @property
    def numpy(self) -> str:
        """Source that computes the results from arrays of the names in the formula; it needs NumPy as np."""
        source = self._source()
        constants = [
            _definition(name, a) for name, a in self._graph.recorded().items() if _mentions(source, name) and self._graph.unnamed(name)
        ]
        return "\n".join([*(f"# uses {a}" for a in self.assumptions), *constants, source])

    def _needed(self) -> list[Formula]:
        """The results, and the gradients above them that they are written in."""
        needed = list(self.results)
        for s in reversed(self.steps):  # long formulas are written in the gradients above them
            if s.result not in needed and any(re.search(rf"\b{s.result.variable}\b", f.numpy) for f in needed):
                needed.append(s.result)
        return [s.result for s in self.steps if s.result in needed] or needed

    def _source(self) -> str:
        needed = self._needed()
        prelude = dict.fromkeys(line for f in needed for line in f.prelude)
        return "\n".join([*prelude, *(f"{f.variable} = {f.numpy}" for f in needed)])

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What the results take for granted."""
        return tuple(dict.fromkeys(a for f in self.results for a in f.assumptions))

    @property
    def unassumed(self) -> str:
        """The results that use assumptions, as they are without them."""
        return "\n".join(f"{f.left} = {f.text}" for f in self._without)

    def formula(self, node: Any) -> Formula | None:
        """The closed form at a named node, for pictures; None if there is none, or it counts repeats of the node, too."""
        return next((s.result for s in self.steps if s.node is node and node.id not in self._graph.merged), None)

    def rule(self, node: Any, i: int) -> str:
        """What the gradient of `node` gives its operand i, in symbols: the text on an edge of a picture."""
        graph = self._graph
        expr.start(graph.atoms)
        if node is graph.root and np.size(node.data) == 1:
            g = Symbol(graph.space, expr.ONE, node.shape, graph.axes[node.id])
        else:
            g = graph.space.opaque("∂" + graph.label(node).split(",")[0], node.shape, graph.axes[node.id])
        d = graph.pull(node, i, g)
        if d is None:
            return "0"
        dims = {**graph.all_dims(), "∂" + graph.label(node).split(",")[0]: graph.axes[node.id]}
        given = graph.axes[graph.args[node.id][i].id]
        return Writer(dims, True, graph.names[graph.root.id]).write(_tree(d.poly, tuple(range(len(given))), given))

    def __call__(self, **arrays: Any) -> Any:
        """The derivative at the arrays given by name, by the printed source; leaves not given keep their recorded values.

        Raises TypeError for a name or kind of data that there is not, ValueError where the shapes do not fit, an assumption
        does not hold, what the formula divides by is zero, or a condition or constant was recorded that the given arrays may
        change: it must be given with them.
        """
        graph = self._graph
        values = {name: _numbers(name, x) for name, x in graph.data()}
        given = {graph.found_as(name): x for name, x in arrays.items()}
        if unknown := set(given) - set(values):
            raise TypeError(f"no variable is called {', '.join(sorted(unknown))}; there are {', '.join(values)}")
        values.update({name: _numbers(name, x) for name, x in given.items()})
        source = self._source()
        recorded = graph.recorded_in(lambda name: _mentions(source, name))
        moving = {graph.names[n.id] for n in graph.nodes if n.active and n.id in graph.names}
        new_data = given.keys() - moving - graph.recorded().keys()  # a constant may be computed from it, not from a variable
        for name, a in recorded.items():
            if name not in given and given and (a.dtype == bool or new_data):
                kind, entries = ("condition", "booleans") if a.dtype == bool else ("constant", "numbers")
                raise ValueError(
                    f"the formula uses the recorded {kind} {name}, which may be another one at the given {', '.join(given)}: "
                    f"pass it too, as {name}=, an array of {entries} of shape {a.shape}"
                )
        graph.check_shapes({name: np.shape(values[name]) for name in given})
        if (lost := graph.perhaps_from(new_data)) is not None:
            raise ValueError(
                f"the recording holds an array without a name that is {lost[1]} throughout, as 1 - {lost[0]}, -{lost[0]} or "
                f"2 * {lost[0]} - 1 was there; at another {lost[0]} it may be another one. Give it a name of its own before recording"
            )
        new = replay(graph, values)
        for a in self.assumptions:
            if not a.holds(values[a.name]):
                raise ValueError(
                    f"the formula uses {a}, which the {'given' if a.name in given else 'recorded'} {a.name} does not satisfy; "
                    "derive with assume=() for a formula that holds without it"
                )
        values.update({graph.names[i]: np.asarray(n.data) for i, n in new.items() if i in graph.names})
        zero = [g for g in self._guards if not np.all(run(g.source(), g.variable, values))]
        with np.errstate(all="ignore" if zero else None):
            found = {f.left: _floats(run(source, f.variable, values)) for f in self.results}
        if zero and not all(np.all(np.isfinite(x)) for x in found.values()):
            raise ValueError(f"the formula holds where {zero[0].text} is not zero, and at the given or recorded values it is zero")
        return next(iter(found.values())) if len(found) == 1 else found

    def __str__(self) -> str:
        blocks = []
        for s in self.steps:
            chain = s.chain("text")
            head = s.result.left + " = "
            lines = [head + chain[0], *(" " * (len(head) - 2) + "= " + x for x in chain[1:])]
            lines[-1] += _using(s.result.assumptions)
            if s.without is not None:
                lines.append(" " * (len(head) - 2) + f"= {s.without.text}    without that")
            blocks.append("\n".join(lines))
        if not self.steps:
            blocks = [str(f) for f in self.results] + [f"{f}    without that" for f in self._without]
        return "\n".join([*blocks, *self._where(self._shown()), *self._notes("\n".join(blocks))])

    def _shown(self) -> list[Formula]:
        """All formulas of the derivation."""
        return [f for s in self.steps for f in (s.rule, s.inserted, s.result, s.without) if f] or [*self.results, *self._without]

    def _besides(self, shown: Sequence[Formula]) -> tuple[list[Formula], dict[str, Any]]:
        """What formulas speak of that nobody named: gradients not among them and results, as formulas, constants, conditions."""
        graph, made = self._graph, list[Formula]()
        gradients = [f for f in self._needed() if f not in shown]
        text = "\n".join(map(str, [*shown, *gradients]))
        expr.start(graph.atoms)
        printer = _Printer(graph, ())
        for name, n in reversed(graph.invented().items()):
            if re.search(rf"\b{name}\b|/d{name}\b", text):
                axes = tuple(k if d is not None else None for k, d in enumerate(graph.axes[n.id]))
                own = name, printer.latex.name(name), name
                made.insert(0, printer.formula(graph.definition(n).poly, axes, graph.axes[n.id], own, ()))
                text += "\n" + made[0].text
        return gradients + made, {name: a for name, a in graph.recorded().items() if _mentions(text, name)}

    def _where(self, shown: Sequence[Formula]) -> list[str]:
        made, recorded = self._besides(shown)
        lines = ["where " + ", ".join(map(str, made))] if made else []
        return lines + [f"where {name} is {_described(a)}" for name, a in recorded.items()]

    def _notes(self, text: str) -> list[str]:
        renamed = [f"where {new} is the variable {old!r}" for new, old in self._graph.renamed.items() if _mentions(text, new)]
        return [*renamed, *self._more]

    def __repr__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        lines = []
        for s in self.steps:
            chain = s.chain("latex")
            lines.append(f"{s.result.left_latex} &= " + r" \\ &= ".join(chain) + _using_latex(s.result.assumptions))
        text, lines = str(self), lines or [self.latex.replace(" = ", " &= ", 1)]
        where = self._where_latex(self._shown(), "&") if self.steps else ""
        notes = [r"& \text{" + re.sub(r"([_&%#{}])", r"\\\1", line) + "}" for line in self._notes(text)]
        return f"$\\displaystyle {_aligned([*lines, *filter(None, [where]), *notes]) if self.steps or notes else self.latex}$"

    def _repr_markdown_(self) -> str:
        return "$" + self._repr_latex_() + "$"


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def _described(a: Any) -> str:
    if a.dtype == bool:
        return f"a recorded condition of shape {a.shape}: other data may need another one"
    return f"a recorded constant of shape {a.shape}"


def _definition(name: str, a: Any) -> str:
    """A line of source that gives a recorded constant its value, or says that it must be given."""
    if 0 < a.size <= SMALL and np.all(np.isfinite(a)):
        return f"{name} = np.array({a.tolist()})" + ("  # at the recorded data; other data may need another one" if a.dtype == bool else "")
    return f"# {name}: pass {_described(a).replace('a recorded', 'the recorded')}"


def _floats(x: Any) -> Any:
    a = np.asarray(x)
    return (a if a.dtype.kind == "f" else a.astype(float))[()]


def _numbers(name: str, x: Any) -> Any:
    a = np.asarray(x.data if isinstance(x, Node) else x)
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name}={x!r} is not an array of real numbers")
    return a.astype(float) if a.dtype.kind in "iu" else a  # int8 would overflow


def _aligned(lines: Sequence[str]) -> str:
    return r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}"


def _using(assumptions: Sequence[Assumption]) -> str:
    return f"    using {', '.join(map(str, assumptions))}" if assumptions else ""


def _using_latex(assumptions: Sequence[Assumption]) -> str:
    text = ", ".join(map(str, assumptions)).replace("_", r"\_")
    return rf" \quad \text{{using }} \mathtt{{{text.replace('==', '=')}}}" if assumptions else ""


# ---------------------------------------------------------------- printing one expression


class _Printer:
    """Turns expressions into checked formulas."""

    def __init__(self, graph: Graph, ranks: tuple[int, ...]) -> None:
        self.graph, self.ranks = graph, ranks
        self.dims = graph.all_dims()
        self.root = graph.names[graph.root.id]
        self.latex = Latex(self.dims, self.root, ranks)

    def formula(
        self, p: Poly, axes: Axes, dims: Sequence[str | None], name: tuple[str, str, str], used: Sequence[Assumption], matrix: bool = False
    ) -> Formula:
        """The text has the shape of the source; of a `matrix`, such as a Hessian, only the axes longer than 1."""
        tree = _tree(p, axes, dims)
        numpy = Writer(self.dims, False, self.root)
        source = numpy.write(tree, axes)
        shown = transpose(tree) if (len(dims) == 2 and dims[0] is None) != (len(tree.ls) in self.ranks) else tree
        text = Writer(self.dims, True, self.root, self.ranks).write(*(shown,) if self.ranks else (tree, tree.ls if matrix else axes))
        made = self._made(source, numpy)
        prelude = [helper(h) for h in sorted(numpy.helpers)] + [self._size(d) for d in sorted(numpy.sizes)] + made
        return Formula(*name, text, self.latex.write(shown), source, tuple(prelude), tuple(used))

    def _made(self, source: str, numpy: Writer) -> list[str]:
        """Lines that compute the names which nobody gave, as far as the source needs them."""
        lines: list[str] = []
        for name, n in reversed(self.graph.invented().items()):
            if re.search(rf"\b{name}\b", "\n".join([source, *lines])):
                dims = self.graph.axes[n.id]
                axes = tuple(k if d is not None else None for k, d in enumerate(dims))
                lines.insert(0, f"{name} = {numpy.write(_tree(self.graph.definition(n).poly, axes, dims), axes)}")
        return lines

    def _size(self, dim: str) -> str:
        """A line that reads the length of an axis off an array that has it."""
        for name, _ in self.graph.data():
            if dim in self.dims[name]:
                return f"{dim} = {name}.shape[{self.dims[name].index(dim)}]"
        return f"{dim} = {self.graph.sizes[dim]}"

    def name(self, node: str) -> tuple[str, str, str]:
        return f"d{self.root}/d{node}", self.latex.gradient(node), f"d{self.root}_d{node}"


def _tree(p: Poly, axes: Axes, dims: Sequence[str | None]) -> M:
    own = {k: d for k, d in zip(axes, dims, strict=True) if k is not None and d is not None}
    return with_ones(to_matrix(for_print(p), tuple(own)), own)


_BUG = "This is a bug of autodiff; nothing was shown."


def _check(f: Formula, points: Points, expected: Callable[[Mapping[str, Any], Mapping[int, Any]], Any], single: bool) -> Formula:
    """The formula, if its printed source gives the engine's numbers at every point; raises otherwise."""
    source, undefined = f.source(), 0
    for values, new in points.values:
        try:
            with np.errstate(all="ignore"):
                found = run(source, f.variable, values)
        except Exception as error:
            raise DerivationFailed(f"{f.left} was derived as `{f.numpy}`, which does not run: {error}. {_BUG}") from error
        if not np.all(np.isfinite(found)):  # printed as it is, it overflows here, where the engine does not
            undefined += 1
            continue
        truth = expected(values, new)
        if not same(found, truth, single):
            gap = np.max(np.abs(found - truth)) if np.shape(found) == np.shape(truth) else f"shape {np.shape(found)} for {np.shape(truth)}"
            raise DerivationFailed(
                f"{f.left} was derived as `{f.numpy}`, but the engine's gradient differs from it by {gap} at a random point. {_BUG}"
            )
    if len(points.values) - undefined < POINTS:
        raise NotVerified(
            f"{f.left} was derived as `{f.text}`, which is infinite or undefined at the recorded values and near them, so it could not "
            "be checked and is not shown; record the computation at values where it is defined"
        )
    return f


# ---------------------------------------------------------------- derive


def derive(
    E: Any,
    wrt: Any = None,
    *,
    assume: Sequence[Any] | None = None,
    layout: str | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    opaque: Sequence[Any] = (),
) -> Any:
    """The formulas of E's gradients, as a person would write them, from the recorded graph.

    E is a node holding a single number; without `wrt` every named node gets its formula, with a node (or a list
    of them) that one, with a pair (u, v) the second derivative, and for an E of several numbers and one node the
    Jacobian.  A function in place of E is run on Tensors: `derive(f)(arrays or shapes)`.  `assume=` lists
    assumptions ("sum(t) == 1", "A == A.T"); left out, only constants that sum to one are used; `()` uses none.
    `derive(f)(..., wrt=1)` counts arguments, which may be containers of arrays or shapes.  `layout=` is "denominator"
    (a gradient has the shape of its variable, a Jacobian a column for each entry of the result), "numerator" (their
    transposes) or "mixed" (that for vectors alone) and changes what is printed, not `.numpy` and calls; left out, gradients
    have the shape of their variable and Jacobians a row for each entry of the result, as `.numpy` has.  `dims=` names axes,
    {"X": ("n", "m")}; `opaque=` lists nodes to treat as variables.  Raises TypeError or ValueError for a wrong option,
    NotScalar, NotConnected, NoIndexForm, NotVerified, TooBig, StaleGraph, and DerivationFailed rather than show a formula
    that does not give the engine's numbers.

    >>> import autodiff as ad, numpy as np
    >>> X, w, y = ad.Tensor(np.ones((3, 2)), "X"), ad.Tensor(np.ones(2), "w"), ad.Tensor(np.ones(3), "y")
    >>> ad.derive(np.sum((X @ w - y) ** 2), wrt=w)
    dE/dw = 2 * X.T @ (X @ w - y)
    """
    _check_options(assume, dims, opaque)
    if callable(E) and not isinstance(E, Node):
        return _of_function(E, wrt, assume=assume, layout=layout, dims=dims, opaque=opaque)
    if layout not in tuple(LAYOUTS):
        raise ValueError(f"layout={layout!r}: it is one of {', '.join(filter(None, LAYOUTS))}")
    try:
        return _derive(E, wrt, assume, layout, dims or {}, opaque)
    except expr.TooDeep:
        raise TooBig(
            f"the formulas of {label(E)} grow too long to read. Give intermediate results names, such as z1 = (W1 @ x).named('z1'); "
            "they then stand in the formulas as they are"
        ) from None
    except ArithmeticError as error:
        if isinstance(error, AutodiffError):
            raise
        raise NotVerified(
            f"the formulas of {label(E)} divide by zero or need numbers beyond those of floating point, so "
            "there is nothing to show; is the loss the same at all values of its variables?"
        ) from None


def _check_options(assume: Any, dims: Any, opaque: Any) -> None:
    """Each option is of the kind that it must be; whether it fits the graph is seen later."""
    if assume is not None and not isinstance(assume, list | tuple):
        raise TypeError(f'assume={assume!r}: it is a list of assumptions, such as assume=["sum(t) == 1"]')
    if not isinstance(opaque, list | tuple) or not all(isinstance(n, Node) for n in opaque):
        raise TypeError(f"opaque={opaque!r}: it is a list of nodes, such as opaque=[h]")
    named = () if dims is None else dims.values() if isinstance(dims, Mapping) else (None,)
    if not all(isinstance(axes, list | tuple | str) and all(map(_is_name, axes)) for axes in named):
        raise TypeError(f"dims={dims!r}: it names each axis of a variable, such as dims={{'X': ('n', 'm')}}")


def _is_name(d: Any) -> bool:
    return isinstance(d, str) and d.isidentifier() and not iskeyword(d)


def _derive(
    E: Any, wrt: Any, assume: Sequence[Any] | None, layout: str | None, dims: Mapping[str, Sequence[str]], opaque: Sequence[Any]
) -> Derivation:
    pair = isinstance(wrt, tuple)
    targets = [] if wrt is None else list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    nodes = _checked(E, targets, pair)
    strange = [n for n in opaque if all(n is not m for m in nodes)]
    if strange:
        raise NotConnected(f"opaque= lists {label(strange[0])}, without which {label(E)} was computed; it takes nodes of that graph")
    expr.start()
    graph = Graph(E, variables(user_frame()), [*opaque], dims, targets, _square(assume or ()))
    if lost := [t for t in targets if t.id not in graph.axes]:
        raise _cut_off(graph, lost[0])
    targets = targets or [n for n in nodes if n.active and n.id in graph.names and n is not E]
    assumptions = found_in(graph) if assume is None else list(dict.fromkeys(fitting(a, graph) for a in assume))
    single = any(getattr(n, "dtype", None) == np.float32 for n in nodes)
    jacobian = not pair and np.size(E.data) != 1
    printer = _Printer(graph, JACOBIANS[layout] if jacobian else LAYOUTS[layout])
    if pair or np.size(E.data) != 1:
        return _second(graph, printer, assumptions, targets, single, pair)
    return _first(graph, printer, assumptions, targets, single, everything=wrt is None)


def _square(assume: Sequence[Any]) -> set[str]:
    """The names of matrices that are assumed to have as many rows as columns."""
    wishes = [parse(a) if isinstance(a, str) else a for a in assume]
    return {a.name for a in wishes if isinstance(a, Assumption) and a.kind in ("symmetric", "orthogonal")}


def _checked(E: Any, targets: list[Any], pair: bool) -> list[Any]:
    if not isinstance(E, Node):
        raise NotConnected(f"derive takes a node, such as a loss, or a function; {type(E).__name__} has no recorded graph")
    nodes = order(E)
    check_fresh(nodes)
    if not E.active:
        raise NotConnected(f"{label(E)} is a constant: nothing it depends on is a variable, so there is nothing to derive")
    reached = {n.id for n in nodes}
    for t in targets:
        if not isinstance(t, Node) or not t.active:
            what = f"the constant {label(t)}" if isinstance(t, Node) else f"{type(t).__name__} {t!r}"
            advice = f": write the node, wrt={t}" if isinstance(t, str) else ""
            raise NotConnected(f"formulas are derived with respect to variables and results, not {what}{advice}")
        if t is E:
            raise NotConnected(f"{label(E)} is what is derived, and its derivative in itself is 1: give wrt= a variable that it depends on")
        if t.id not in reached:
            raise NotConnected(f"{label(t)} does not reach {label(E)}: it was computed without it, so there is no derivative to write down")
    if pair and len(targets) != 2:
        raise ValueError(f"wrt=(u, v) is the second derivative in two variables; {len(targets)} came. For several gradients write a list")
    if np.size(E.data) != 1 and (pair or len(targets) != 1):
        raise NotScalar(
            f"{label(E)} has shape {tuple(E.shape)}. Derive a single number, such as its sum, or write wrt=node for the Jacobian in "
            "one variable"
        )
    return nodes


def _first(
    graph: Graph, printer: _Printer, assumptions: list[Assumption], targets: list[Any], single: bool, everything: bool
) -> Derivation:
    deriver = Deriver(graph, assumptions, targets)
    steps = deriver.steps()
    missing = [t for t in targets if t.id not in {s.node.id for s in steps}]
    if missing and not everything:
        raise _cut_off(graph, missing[0])
    used = [a for a in assumptions if any(a in s.used for s in steps)]
    points = Points(graph, used, targets)
    free = Points(graph, [], targets, seed=1) if used else points
    shown = [_derived(s, graph, printer, points, free, single) for s in steps]
    by_node = {s.node.id: s for s in shown}
    mine = [s for s in shown if s.node.id in {t.id for t in targets}] if everything else [by_node[t.id] for t in targets]
    return _answer(graph, printer, used, shown, [s.result for s in mine], [s.without for s in mine if s.without is not None])


def _cut_off(graph: Graph, target: Any) -> NotConnected:
    return NotConnected(
        f"{label(target)} reaches {graph.names[graph.root.id]} only through what was declared opaque or has derivative zero, "
        "so there is no formula for it"
    )


def _derived(s: Step, graph: Graph, printer: _Printer, points: Points, free: Points, single: bool) -> DerivedStep:
    dims = graph.axes[s.node.id]
    axes = tuple(k if d is not None else None for k, d in enumerate(dims))
    name = printer.name(s.name)
    made: dict[Any, Formula] = {}

    def checked(p: Poly, used: Sequence[Assumption], at: Points) -> Formula:
        key = p, tuple(used), at is points
        if key not in made:
            made[key] = _check(printer.formula(p, axes, dims, name, used), at, lambda values, new: values[name[2]], single)
        return made[key]

    def on_the_way(p: Poly, used: Sequence[Assumption], at: Points) -> Formula:
        try:
            return checked(p, used, at)
        except NotVerified:  # it overflows where the result does not: left out
            return result

    result = checked(s.closed, s.used, points)
    return DerivedStep(
        s.node,
        s.name,
        on_the_way(s.local, (), free),
        on_the_way(s.inserted, s.used, points),
        result,
        checked(s.plain, (), free) if s.plain is not None else None,
    )


def _answer(
    graph: Graph,
    printer: _Printer,
    used: Sequence[Assumption],
    steps: Sequence[DerivedStep],
    results: Sequence[Formula],
    without: Sequence[Formula],
) -> Derivation:
    """The derivation with what a reader must know besides: what was divided by, assumptions that the data contradicts, odd literals."""
    asked = [f[0] for p in graph.space.guards if len(p) == 1 for f in p.only()[0] if f[0].name == "=="]
    name = "divisor", "divisor", "divisor"
    guards = {a: printer.formula(a.body, tuple(range(len(a.dims))), a.dims, name, ()) for a in asked}
    data = dict(graph.data())
    broken = [f"the recorded {a.name} does not satisfy {a}" for a in used if not a.holds(data[a.name])]
    return Derivation(graph, steps, results, without, list(guards.values()), [*broken, *_literals(graph)])


def _literals(graph: Graph) -> list[str]:
    """What to say where the recording divides by a plain number that is also the number of examples."""
    m = graph.sizes.get("m", 0)
    divides = [n for n in graph.nodes if n.op is not None and n.op.name in ("div", "mul") and n.active]
    for k, stands, write in (1, "m", "np.mean"), (2, "2 * m", "np.mean(...) / 2"):
        if m > 1 and any(
            _is_number(n.args[1], k * m) if n.op.name == "div" else any(_is_number(a, 1 / (k * m)) for a in n.args) for n in divides
        ):
            known = "the number of examples" if k == 1 else "with m the number of examples"
            return [f"{k * m} is a literal of the recording; where it stands for {stands}, {known}, write {write}, which gives m"]
    return []


def _is_number(x: Any, value: float) -> bool:
    return not isinstance(x, Node) and np.ndim(x) == 0 and bool(x == value)


# ---------------------------------------------------------------- second derivatives and Jacobians


def _second(graph: Graph, printer: _Printer, assumptions: list[Assumption], targets: list[Any], single: bool, pair: bool) -> Derivation:
    """The derivative of a gradient in v, or of a result of several numbers."""
    v = targets[-1]
    deriver = Deriver(graph, assumptions, targets[:1])
    if pair:
        first = next((s for s in deriver.steps(inline_limit=float("inf")) if s.node is targets[0]), None)
        start, y = (expr.ZERO if first is None else deriver.plainly(first.plain or first.closed)), targets[0]
    else:
        start, y = graph.definition(graph.root).poly, graph.root
    dims = (*graph.axes[y.id], *graph.axes[v.id])  # those of the variable come last
    own = {PASSENGER + i: len(graph.axes[y.id]) + k for i, k in enumerate(k for k, d in enumerate(graph.axes[v.id]) if d is not None)}
    try:
        raw = expr.relabel(derivative(deriver.unfolded(start, v), atom_of(graph.symbol(v)), graph.space, list(own)), own)
        plain = deriver.plain(raw)
        best, used = deriver.shortest(raw, [], plain)
    except expr.TooDeep:
        raise graph.too_big(v) from None
    except NoForm as error:
        raise graph.no_form(y, error) from None
    axes = tuple(k if d is not None else None for k, d in enumerate(dims))
    root, (a, b) = printer.root, (graph.names[y.id], graph.names[v.id])
    tex = printer.latex
    if pair:
        name = (
            f"d²{root}/d{a}²" if a == b else f"d²{root}/d{a}d{b}",
            rf"\frac{{\partial^2 {tex.name(root)}}}{{\partial {tex.name(a)} \, \partial {tex.name(b)}}}",
            f"d2{root}_d{a}_d{b}",
        )
    else:
        name = printer.name(b)

    def truth(values: Mapping[str, Any], new: Mapping[int, Any]) -> Any:
        return second_order(new, graph.root, targets) if pair else jacobian_rows(new[y.id], new[v.id])

    points = Points(graph, used, targets)
    result = _check(printer.formula(best, axes, dims, name, used, True), points, truth, single)
    without = (
        [_check(printer.formula(plain, axes, dims, name, (), True), Points(graph, [], targets, seed=1), truth, single)] if used else []
    )
    return _answer(graph, printer, used, [], [result], without)


# ---------------------------------------------------------------- functions


def _of_function(f: Callable[..., Any], chosen: Any, **options: Any) -> Callable[..., Derivation]:
    """`derive(f)`: a function of arrays or shapes, and of containers of them, that records f and derives it."""

    def derived(*args: Any, wrt: Any = chosen) -> Derivation:
        try:
            names = list(inspect.signature(f).parameters)
        except ValueError:
            names = []
        rng = np.random.default_rng(0)
        found: list[tuple[tuple[str, ...], Any]] = []
        moved, groups = [], []
        for i, x in enumerate(args):
            before = len(found)
            moved.append(_filled(x, (names[i] if i < len(names) else f"x{i}",), found, rng))
            groups.append([t for _, t in found[before:]])
        lasts = [path[-1] for path, _ in found]
        for path, t in found:
            t.name = path[-1] if lasts.count(path[-1]) == 1 and path[-1].isidentifier() else "_".join(path)
        with transform():
            out = f(*moved)
        return derive(out, _chosen(wrt, groups), **options)  # type: ignore[no-any-return]

    return derived


def _filled(x: Any, path: tuple[str, ...], found: list[tuple[tuple[str, ...], Any]], rng: np.random.Generator) -> Any:
    """An argument with Tensors in place of arrays and shapes, which `found` lists with the way to them."""
    if isinstance(x, dict):
        return {key: _filled(item, (*path, str(key)), found, rng) for key, item in x.items()}
    if isinstance(x, list | tuple) and any(isinstance(item, dict | np.ndarray | Node) or _is_shape(item) for item in x):
        items = [_filled(item, (*path, str(i)), found, rng) for i, item in enumerate(x)]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    t = Tensor(rng.uniform(0.5, 1.5, size=x) if _is_shape(x) else _numbers(path[0] + "".join(f"[{k}]" for k in path[1:]), x).astype(float))
    found.append((path, t))
    return t


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def _chosen(wrt: Any, groups: Sequence[list[Any]]) -> Any:
    """The arrays of the arguments that wrt= counts."""
    several = isinstance(wrt, list | tuple)
    counted = list(wrt) if several else [] if wrt is None else [wrt]
    for k in counted:
        if not isinstance(k, int):
            raise TypeError(f"wrt={wrt!r}: of a function it counts the arguments from 0: wrt=0, or several, wrt=[0, 1]")
        if not -len(groups) <= k < len(groups):
            raise ValueError(f"wrt={wrt!r}: there is no argument {k}; the function was given {len(groups)}, counted from 0")
        if isinstance(wrt, tuple) and len(groups[k]) != 1:
            raise ValueError(
                f"wrt={wrt!r}: argument {k} holds {len(groups[k])} arrays, and a second derivative is in two: pass them one by one"
            )
    chosen = [t for k in counted for t in groups[k]]
    if wrt is None:
        return None
    return tuple(chosen) if isinstance(wrt, tuple) else chosen if several or len(chosen) != 1 else chosen[0]
