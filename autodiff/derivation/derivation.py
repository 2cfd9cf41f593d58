"""derive() and what it answers with: formulas as text, LaTeX and NumPy, checked before they are shown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from keyword import iskeyword
from typing import Any

import numpy as np

from ..errors import AutodiffError, NotConnected, NotScalar, NotVerified, TooBig
from ..functional import transform
from ..naming import label, parameters, user_frame, variables
from ..node import Node, check_fresh, order
from ..reverse import check_connected
from ..tensor import Tensor
from . import expr
from .assume import SQUARE, Assumption, fitting, found_in, parse
from .expr import Poly
from .forms import Dims, Symbol
from .graph import Graph
from .latex import Latex
from .matrix import M, to_matrix, transpose, with_ones
from .show import Writer, helper
from .simplify import for_print
from .steps import Deriver, Step, plainly
from .verify import Points, replay, run

LAYOUTS: dict[str | None, tuple[int, ...]] = {None: (), "denominator": (), "numerator": (1, 2), "mixed": (1,)}  # what is transposed
JACOBIANS: dict[str | None, tuple[int, ...]] = {None: (), "denominator": (1, 2), "numerator": (), "mixed": ()}

SMALL = 12  # entries of a recorded constant that the NumPy source writes out
Name = tuple[str, str, str]  # as text, in LaTeX, and as the variable that NumPy source assigns


@dataclass(frozen=True)
class Formula:
    """One formula: the same expression as text, LaTeX and NumPy source."""

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


@dataclass(repr=False, eq=False)
class Derivation:
    """Closed forms of derivatives, made by `derive`; shows itself in notebooks and prints as a derivation.

    `.text`, `.latex` and `.numpy` give the results, and `.results` each of them; `.steps` how they came about; `.assumptions`
    what they take for granted; `.unassumed` those that do, as they are without.  Called with arrays by name, `d(W1=..., x=...)`,
    it computes the derivative by the printed source, and raises ValueError where the arrays break an assumption that it uses.
    """

    _printer: _Printer
    steps: Sequence[Step[Formula]]
    _wanted: Sequence[Step[Formula]]
    _guards: Sequence[Formula]  # what was taken not to be zero
    _remarks: Sequence[str]
    _drawn: bool = False  # are the recorded values random numbers?

    def __post_init__(self) -> None:
        self._graph = self._printer.graph
        self.results = tuple(s.result for s in self._wanted)
        self.assumptions = tuple(dict.fromkeys(a for f in self.results for a in f.assumptions))
        self.unassumed = "\n".join(str(s.without) for s in self._wanted if s.without)

    @property
    def text(self) -> str:
        """The results, one a line; vectors are columns in products, and broadcast as NumPy's elsewhere."""
        return "\n".join(self._lines([s.ending() for s in self._wanted]))

    @property
    def latex(self) -> str:
        """The results in LaTeX, without dollar signs."""
        return self._typeset([s.ending() for s in self._wanted])

    @property
    def numpy(self) -> str:
        """Source that computes the results from arrays of the names in the formula; it needs NumPy as np."""
        words = _words(self._source)
        unnamed = {name: a for name, a in self._graph.recorded().items() if name in words and name in self._graph.unnamed}
        return "\n".join([*(f"# uses {a}" for a in self.assumptions), *map(_definition, unnamed, unnamed.values()), self._source])

    def formula(self, node: Any) -> Formula | None:
        """The closed form at a named node, for pictures; None if there is none, or it counts repeats of the node, too."""
        return next((s.result for s in self.steps if s.node is node and node.id not in self._graph.merged), None)

    def rule(self, node: Any, i: int) -> str:
        """What the gradient of `node` gives its operand i, in symbols: the text on an edge of a picture."""
        graph, dims = self._graph, self._graph.dims
        expr.start(graph.atoms)
        g = Symbol(graph.space, expr.ONE, node.shape, graph.axes[node.id])
        if node is not graph.root or np.size(node.data) != 1:
            name = "∂" + graph.label(node).split(",")[0]
            g, dims[name] = graph.space.opaque(name, node.shape, g.dims), g.dims
        d = graph.pull(node, i, g)
        if d is None:
            return "0"
        return Writer(dims, True, self._printer.root).write(_tree(d.poly, graph.axes[graph.args[node.id][i].id]))

    def __call__(self, **arrays: Any) -> Any:
        """The derivative at the arrays given by name, by the printed source; leaves not given keep their recorded values.

        Raises TypeError for a name or kind of data that there is not, ValueError where the shapes do not fit, an assumption
        does not hold, what the formula divides by is zero, or something is given without the conditions, and the constants
        without a name, that were recorded: they may be others then.
        """
        graph = self._graph
        values = {name: _numbers(name, x) for name, x in graph.data()}
        given = {graph.found_as(name): _numbers(name, x) for name, x in arrays.items()}
        if unknown := given.keys() - values.keys():
            raise TypeError(f"no variable is called {', '.join(sorted(unknown))}; there are {', '.join(values)}")
        self._check_recorded(given.keys())
        graph.check_shapes({name: np.shape(x) for name, x in given.items()})
        for name, x in given.items():
            if values[name].dtype == bool and not np.isin(x, (0, 1)).all():
                raise ValueError(f"{name} is a condition, an array of booleans, and came with other numbers than 0 and 1")
        values.update(given)
        for a in self.assumptions:
            if not a.holds(values[a.name]):
                raise ValueError(
                    f"the formula uses {a}, which the {'given' if a.name in given else 'recorded'} {a.name} does not satisfy; "
                    "derive with assume=() for a formula that holds without it"
                )
        words = _words("\n".join([self._source, *(g.source() for g in self._guards)]))
        if used := [name for name in graph.names.values() if name in words - values.keys() - graph.invented.keys()]:
            try:
                new = replay(graph, values)
            except (AutodiffError, ValueError) as error:
                raise ValueError(f"the formula uses {used[0]}, whose recorded computation cannot run on what is given: {error}") from error
            values.update({name: np.asarray(new[i].data) for i, name in graph.names.items() if i in new})
        zero = [g for g in self._guards if not np.all(run(g.source(), [g.variable], values))]
        with np.errstate(all="ignore" if zero else None):
            found = run(self._source, [f.variable for f in self.results], values)
        if zero and not all(np.all(np.isfinite(x)) for x in found):
            raise ValueError(f"the formula holds where {zero[0].text} is not zero, and at the given or recorded values it is zero")
        return found[0] if len(found) == 1 else {f.left: x for f, x in zip(self.results, found, strict=True)}

    def _check_recorded(self, given: Set[str]) -> None:
        """Raises ValueError where the formula uses what was recorded besides the variables, and the given data may change it."""
        graph, words = self._graph, _words(self._source)
        for name, a in graph.recorded(words.__contains__).items():
            if name not in given and given:
                kind, entries = ("condition", "booleans") if a.dtype == bool else ("constant", "numbers")
                raise ValueError(
                    f"the formula uses the recorded {kind} {name}, which may be another one at the given {', '.join(given)}: "
                    f"pass it too, as {name}=, an array of {entries} of shape {a.shape}"
                )
        new_data = given - {graph.names[n.id] for n in graph.nodes if n.active and n.id in graph.names} - graph.recorded().keys()
        if (lost := graph.perhaps_from(new_data)) is not None:
            raise ValueError(
                f"the recording holds an array without a name that is {lost[1]} throughout, as 1 - {lost[0]}, -{lost[0]} or "
                f"2 * {lost[0]} - 1 was there; at another {lost[0]} it may be another one. Give it a name of its own before recording"
            )

    def __copy__(self, memo: Any = None) -> Derivation:
        return self  # it never changes, and its nodes go by their ids

    __deepcopy__ = __copy__

    def __reduce__(self) -> Any:
        raise TypeError("a derivation is of the very nodes that were recorded: pickle its .numpy, or the graph, and derive that again")

    def __str__(self) -> str:
        lines = self._lines(self.steps)
        return "\n".join(lines + self._notes(lines))

    def __repr__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self._typeset(self.steps, self._notes(self._lines(self.steps)))}$"

    def _repr_markdown_(self) -> str:
        return "$" + self._repr_latex_() + "$"

    def _lines(self, steps: Sequence[Step[Formula]]) -> list[str]:
        """Steps as text, with what they speak of."""
        lines = []
        for s in steps:
            chain = s.chain("text")
            chain[-1] += _using(s.result.assumptions)
            chain += [] if s.without is None else [f"{s.without.text}    without that"]
            indent = " " * len(s.result.left)
            lines += [f"{indent if i else s.result.left} = {x}" for i, x in enumerate(chain)]
        return lines + [f"where {text}" for text, _ in self._besides(steps)]

    def _typeset(self, steps: Sequence[Step[Formula]], notes: Sequence[str] = ()) -> str:
        """The same in LaTeX, one formula alone without an alignment."""
        chains = [s.chain("latex") for s in steps]
        alone = sum(map(len, chains)) == 1 and not notes
        mark, end = ("", ", ") if alone else ("&", r" \\ ")
        lines = [
            f"{s.result.left_latex} {mark}= " + rf" \\ {mark}= ".join(chain) + _using_latex(s.result.assumptions)
            for s, chain in zip(steps, chains, strict=True)
        ]
        where = r", \; ".join(latex for _, latex in self._besides(steps))
        lines += [rf"{mark} \quad \text{{where }} {where}"] if where else []
        lines += [r"& \text{" + re.sub(r"([_&%#{}])", r"\\\1", note) + "}" for note in notes]
        return end.join(lines) if alone else rf"\begin{{aligned}} {end.join(lines)} \end{{aligned}}"

    def _besides(self, steps: Sequence[Step[Formula]]) -> list[tuple[str, str]]:
        """What steps speak of that nobody named, as text and in LaTeX: gradients above them and results, constants, conditions."""
        shown = [f for s in steps for f in (s.rule, s.inserted, s.result, s.without) if f is not None]
        made = [f for f in self._needed if f not in shown]
        words, defined = _words("\n".join(map(str, [*shown, *made])).replace("/d", "/")), list[Formula]()
        for f in reversed(self._printer.defined):
            if f.variable in words:
                defined.insert(0, f)
                words |= _words(f.text)
        made += defined
        said = [(", ".join(map(str, made)), r", \; ".join(f"{f.left_latex} = {f.latex}" for f in made))] if made else []
        recorded = {name: _described(a) for name, a in self._graph.recorded().items() if name in words}
        name_of = self._printer.latex.name
        return said + [(f"{name} is {what}", rf"{name_of(name)} \text{{ is {what}}}") for name, what in recorded.items()]

    def _notes(self, lines: Sequence[str]) -> list[str]:
        words = _words("\n".join(lines))
        renamed = [f"where {new} is the variable {old!r}" for new, old in self._graph.renamed.items() if new in words]
        data = dict(self._graph.data())
        broken = [a for a in self.assumptions if not (self._drawn or a.holds(data[a.name]))]
        return [*renamed, *self._remarks, *(f"the recorded {a.name} does not satisfy {a}" for a in broken)]

    @cached_property
    def _needed(self) -> list[Formula]:
        """The results, and the gradients above them that they are written in."""
        needed, words = list[Formula](), set[str]()
        for s in reversed(self.steps):  # long formulas are written in the gradients above them
            if s.result in self.results or s.result.variable in words:
                needed.insert(0, s.result)
                words |= _words(s.result.numpy)
        return needed

    @cached_property
    def _source(self) -> str:
        lines = dict.fromkeys(line for f in self._needed for line in f.prelude)
        prelude = sorted(lines, key=lambda line: not line.startswith(("def ", "#")))  # functions first
        return "\n".join([*prelude, *(f"{f.variable} = {f.numpy}" for f in self._needed)])


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _described(a: Any) -> str:
    kind, note = ("condition", ": other data may need another one") if a.dtype == bool else ("constant", "")
    return f"a recorded {kind} of shape {a.shape}{note}"


def _definition(name: str, a: Any) -> str:
    """A line of source that gives a recorded constant its value, or says that it must be given."""
    if 0 < a.size <= SMALL and np.all(np.isfinite(a)):
        return f"{name} = np.array({a.tolist()})" + ("  # at the recorded data; other data may need another one" if a.dtype == bool else "")
    return f"# {name}: pass {_described(a).replace('a recorded', 'the recorded')}"


def _numbers(name: str, x: Any) -> Any:
    a = np.asarray(x.data if isinstance(x, Node) else x)
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name}={x!r} is not an array of real numbers")
    return a.astype(float) if a.dtype.kind in "iu" else a  # int8 would overflow


def _using(assumptions: Sequence[Assumption]) -> str:
    return f"    using {', '.join(map(str, assumptions))}" if assumptions else ""


def _using_latex(assumptions: Sequence[Assumption]) -> str:
    text = ", ".join(map(str, assumptions)).replace("_", r"\_")
    return rf" \quad \text{{using }} \mathtt{{{text.replace('==', '=')}}}" if assumptions else ""


# ---------------------------------------------------------------- printing one expression


class _Printer:
    """Turns expressions into formulas: of derivatives of the loss or, given y, of y or the gradient in y, in the axes of both."""

    def __init__(self, graph: Graph, y: Any, layout: str | None) -> None:
        self.graph, self.y = graph, y
        self.dims, self.root = graph.dims, graph.names[graph.root.id]
        self.ranks = (JACOBIANS if y is graph.root else LAYOUTS)[layout]
        self.latex = Latex(self.dims, self.root, self.ranks)
        self.defined: list[Formula] = []  # what the names stand for which nobody gave
        for name, n in graph.invented.items():
            self.defined.append(self.formula(graph.definition(n).poly, graph.axes[n.id], (name, self.latex.name(name), name)))

    def derivative(self, p: Poly, v: Any, used: Sequence[Assumption]) -> Formula:
        """The derivative in node v."""
        above = () if self.y is None else self.graph.axes[self.y.id]
        return self.formula(p, (*above, *self.graph.axes[v.id]), self._name(v), used, self.ranks, self.y is not None)

    def formula(
        self, p: Poly, dims: Dims, name: Name, used: Sequence[Assumption] = (), ranks: tuple[int, ...] = (), matrix: bool = False
    ) -> Formula:
        """An expression over the axes `dims`; gradients of these ranks are rows or transposes in text and LaTeX.

        The text has the shape of the source; of a `matrix`, such as a Hessian, only the axes longer than 1.
        """
        axes = tuple(k if d is not None else None for k, d in enumerate(dims))
        tree = _tree(p, dims)
        shown = transpose(tree) if (len(dims) == 2 and dims[0] is None) != (len(tree.ls) in ranks) else tree
        numpy, text = Writer(self.dims, False, self.root), Writer(self.dims, True, self.root, ranks)
        source = numpy.write(tree, axes)
        words = _words(source)
        prelude = [*map(helper, sorted(numpy.helpers)), *map(self._size, sorted(numpy.sizes))]
        for f in self.defined:
            if f.variable in words:
                prelude += [*f.prelude, f"{f.variable} = {f.numpy}"]
        printed = text.write(shown) if ranks else text.write(tree, tree.ls if matrix else axes)
        return Formula(*name, printed, self.latex.write(shown), source, tuple(dict.fromkeys(prelude)), tuple(used))

    def _size(self, dim: str) -> str:
        """A line that reads the length of an axis off an array that has it: a leaf, or a result, that a person named, before others."""
        graph, leaves = self.graph, [name for name, _ in self.graph.data()]
        found = [
            x for x in dict.fromkeys([*leaves, *graph.names.values()]) if dim in self.dims[x] and x not in {*graph.invented, self.root}
        ]
        name = min(found, key=graph.unnamed.__contains__, default=None)
        return f"{dim} = {graph.sizes[dim]}" if name is None else f"{dim} = {name}.shape[{self.dims[name].index(dim)}]"

    def _name(self, v: Any) -> Name:
        root, name = self.root, self.graph.names[v.id]
        if self.y is None or self.y is self.graph.root:
            return f"d{root}/d{name}", self.latex.gradient(name), f"d{root}_d{name}"
        first, tex = self.graph.names[self.y.id], self.latex.name
        return (
            f"d²{root}/d{name}²" if first == name else f"d²{root}/d{first}d{name}",
            rf"\frac{{\partial^2 {tex(root)}}}{{\partial {tex(first)} \, \partial {tex(name)}}}",
            f"d2{root}_d{first}_d{name}",
        )


def _tree(p: Poly, dims: Dims) -> M:
    own = {k: d for k, d in enumerate(dims) if d is not None}
    return with_ones(to_matrix(for_print(p), tuple(own)), own)


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
    `derive(f)(..., wrt=1)` counts arguments, which may be containers of arrays or shapes; it takes all options.  `layout=` is "denominator"
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
            "there is nothing to show; is the loss, or a part of it, the same at all values of its variables?"
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
    _check_targets(E, targets, pair, opaque)
    expr.start()
    wishes = list(map(parse, assume or ()))
    cut = [*opaque, *(t for t in targets if pair and t.op is not None)]  # a second derivative knows nothing of what it is taken in
    frame = user_frame()
    scopes = () if frame is None else (frame.f_locals, frame.f_globals)
    graph = Graph(E, variables(frame), cut, dims, targets, {a.name for a in wishes if a.kind in SQUARE}, scopes)
    _check_reached(graph, targets, graph.axes)
    assumptions = found_in(graph) if assume is None else list(dict.fromkeys(fitting(a, graph) for a in wishes))
    if np.size(E.data) != 1:
        y, v = E, *targets  # the derivative of a result of several numbers
    else:
        y, v = targets if pair else (None, None)  # that of the gradient in y
    if y is None:
        steps = Deriver(graph, assumptions, targets).steps()
        _check_reached(graph, targets, {s.node.id for s in steps})
    else:
        steps = [_slope(Deriver(graph, assumptions, [y]), y, v)]
    used = [a for a in assumptions if any(a in s.used for s in steps)]
    points = Points(graph, used, y, v)
    free = Points(graph, [], y, v, seed=1) if used else points
    printer = _Printer(graph, y, layout)
    shown = {s.node.id: _proved(s, printer, points, free) for s in steps}
    asked = dict.fromkeys(f[0] for p in graph.space.guards if len(p) == 1 for f in p.only()[0] if f[0].name == "==")
    below = set().union(*(expr.divisors(p) for s in steps for p in (s.rule, s.inserted, s.result)))
    guards = [
        printer.formula(a.body, a.dims, ("divisor",) * 3, (), printer.ranks) for a in asked if expr.divisors(expr.power(a.body, -1)) & below
    ]
    remarks = [f"where {g.text} is not zero" for g in guards]
    results = [shown[t.id] for t in targets] if y is None and targets else shown.values()
    return Derivation(printer, tuple(shown.values()), tuple(results), guards, [*remarks, *_literals(graph)])


def _check_targets(E: Any, targets: list[Any], pair: bool, opaque: Sequence[Any]) -> None:
    """What is asked can be answered of a graph like this."""
    if not isinstance(E, Node):
        raise NotConnected(f"derive takes a node, such as a loss, or a function; {type(E).__name__} has no recorded graph")
    nodes = order(E)
    check_fresh(nodes)
    if not E.active:
        raise NotConnected(f"{label(E)} is a constant: nothing it depends on is a variable, so there is nothing to derive")
    if E.op is None or (not targets and any(n is E for n in opaque)):
        raise NotConnected(f"{label(E)} is a variable, or declared to be one by opaque=, so there is nothing to derive")
    if plain := [t for t in targets if isinstance(t, np.ndarray)]:
        raise NotConnected(f"wrt= holds {label(plain[0])}, a plain array, so a constant: record the graph with ad.Tensor of it")
    check_connected([E], nodes, targets)
    reached = {n.id for n in nodes}
    if any(t is E for t in targets):
        raise NotConnected(f"{label(E)} is what is derived, and its derivative in itself is 1: give wrt= a variable that it depends on")
    if pair and len(targets) != 2:
        raise ValueError(f"wrt=(u, v) is the second derivative in two variables; {len(targets)} came. For several gradients write a list")
    for u, v in (targets, targets[::-1]) if pair else ():
        if u is not v and any(n is u for n in order(v)):
            raise NotConnected(
                f"{label(v)} was computed from {label(u)}: a second derivative is taken in two variables of which neither is made of the "
                "other. Choose wrt= from what both are made of, or record the graph from the second one on"
            )
    if np.size(E.data) != 1 and (pair or len(targets) != 1):
        raise NotScalar(
            f"{label(E)} has shape {tuple(E.shape)}. Derive a single number, such as its sum, or write wrt=node for the Jacobian in "
            "one variable"
        )
    if strange := [n for n in opaque if n.id not in reached]:
        raise NotConnected(f"opaque= lists {label(strange[0])}, without which {label(E)} was computed; it takes nodes of that graph")


def _check_reached(graph: Graph, targets: Sequence[Any], reached: Collection[int]) -> None:
    for t in targets:
        if t.id not in reached:
            raise NotConnected(
                f"{label(t)} reaches {graph.names[graph.root.id]} only through what was declared opaque or has derivative zero, "
                "so there is no formula for it"
            )


def _slope(deriver: Deriver, y: Any, v: Any) -> Step[Poly]:
    """The derivative in v of a result y of several numbers, or of the gradient in y, over the axes of both."""
    graph = deriver.graph
    p = graph.definition(y).poly
    if y is not graph.root:
        first = next((s for s in deriver.steps(inline_limit=float("inf")) if s.node is y), None)
        p = expr.ZERO if first is None else plainly(first.without or first.result)
    with graph.refusing(graph.root):
        raw = deriver.slope(p, len(y.shape), v)
        plain = deriver.plain(raw)
        best, used = deriver.shortest(raw, [], plain)
    return Step(v, graph.names[v.id], best, best, best, plain if used else None, used)


def _proved(s: Step[Poly], printer: _Printer, points: Points, free: Points) -> Step[Formula]:
    """A step in formulas that were checked; what overflows on the way, where the result does not, is left out."""

    def formula(p: Poly, used: Sequence[Assumption]) -> Formula:
        return (points if used else free).check(printer.derivative(p, s.node, used), s.node)

    result = formula(s.result, s.used)
    made = {s.result: result}
    for p, used in (s.rule, ()), (s.inserted, s.used):
        if p not in made:
            with suppress(NotVerified):
                made[p] = formula(p, used)
    without = None if s.without is None else formula(s.without, ())
    if without is not None and (without.text, without.latex) == (result.text, result.latex):  # an assumption that is not to be seen
        return Step(s.node, s.name, made.get(s.rule, without), without, without, None, ())
    return Step(s.node, s.name, made.get(s.rule, result), made.get(s.inserted, result), result, without, s.used)


def _literals(graph: Graph) -> list[str]:
    """What to say where the recording divides by a plain number that is also the number of examples."""
    m, by = graph.sizes.get("m", 0), list[float]()
    for n in graph.nodes:
        if n.active and n.op is not None and n.op.name in ("div", "mul"):
            plain = [a for a in n.args[n.op.name == "div" :] if not isinstance(a, Node) and np.ndim(a) == 0 and a]
            by += [1 / a if n.op.name == "mul" else a for a in plain]
    for k, stands, write in (1, "m, the number of examples", "np.mean"), (2, "2 * m, with m the number of examples", "np.mean(...) / 2"):
        if m > 1 and any(math.isclose(x, k * m) for x in by):
            return [f"{k * m} is a literal of the recording; where it stands for {stands}, write {write}, which gives m"]
    return []


# ---------------------------------------------------------------- functions


def _of_function(f: Callable[..., Any], chosen: Any, **options: Any) -> Callable[..., Derivation]:
    """`derive(f)`: a function of arrays or shapes, and of containers of them, that records f and derives it."""

    def derived(*args: Any, wrt: Any = chosen, **more: Any) -> Derivation:
        rng = np.random.default_rng(0)
        made: list[list[tuple[tuple[str, ...], Any]]] = [[] for _ in args]  # the Tensors in each argument, with the way to them
        moved = [_filled(x, (name,), found, rng) for x, name, found in zip(args, parameters(f, len(args)), made, strict=True)]
        lasts = [path[-1] for found in made for path, _ in found]
        for path, t in chain(*made):
            t.name = path[-1] if lasts.count(path[-1]) == 1 and path[-1].isidentifier() else "_".join(path)
        with transform():
            out = f(*moved)
        d: Derivation = derive(out, _chosen(wrt, made), **{**options, **more})
        d._drawn = all(map(_is_shape, args))
        return d

    return derived


def _filled(x: Any, path: tuple[str, ...], found: list[tuple[tuple[str, ...], Any]], rng: np.random.Generator) -> Any:
    """An argument with Tensors in place of arrays and shapes, which `found` lists with the way to them."""
    if isinstance(x, dict):
        return {key: _filled(item, (*path, str(key)), found, rng) for key, item in x.items()}
    if isinstance(x, list | tuple) and any(isinstance(item, dict | np.ndarray | Node) or _is_shape(item) for item in x):
        items = [_filled(item, (*path, str(i)), found, rng) for i, item in enumerate(x)]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    name = path[0] + "".join(f"[{k}]" for k in path[1:])
    t = Tensor(rng.uniform(0.5, 1.5, size=x) if _is_shape(x) else _numbers(name, x).astype(float))
    found.append((path, t))
    return t


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def _chosen(wrt: Any, made: Sequence[Sequence[tuple[Any, Any]]]) -> list[Any] | tuple[Any, ...]:
    """The Tensors in the arguments that wrt= counts."""
    counted = wrt if isinstance(wrt, list | tuple) else [] if wrt is None else [wrt]
    for k in counted:
        if not isinstance(k, int):
            raise TypeError(f"wrt= counts the arguments of a function from 0: wrt=0, or several, wrt=[0, 1]; {type(k).__name__} came")
        if not -len(made) <= k < len(made):
            raise ValueError(f"wrt={wrt!r}: there is no argument {k}; the function was given {len(made)}, counted from 0")
        if isinstance(wrt, tuple) and len(made[k]) != 1:
            raise ValueError(
                f"wrt={wrt!r}: argument {k} holds {len(made[k])} arrays, and a second derivative is in two: pass them one by one"
            )
    chosen = [t for k in counted for _, t in made[k]]
    return tuple(chosen) if isinstance(wrt, tuple) else chosen
