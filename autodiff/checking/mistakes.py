"""The catalogue: the kinds of mistakes people make in a derivation, and the wrong rules that make them in a given graph.

What people write wrong for one op stands in the table of ops (`mistakes`); this file adds what can go wrong with every op
of a kind (a sign, a factor of a product, a transpose, 1/m) and in the sweep itself (a path or a term forgotten).  It knows
no single op by name.  The sources of the catalogue are course forums and errata of lecture notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from ..node import Node
from ..ops.table import TABLE, Op, contract, sum_to
from .points import Array, Point, Recorded, Wrong, is_vector, moving


class Mistake(StrEnum):
    """The codes of mistakes, the more common ones first; most are local: one rule of the chain rule's sweep written wrong.

    >>> Mistake("sign").name, Mistake.SIGN.meaning
    ('SIGN', 'a sign')
    """

    meaning: str

    def __new__(cls, code: str, meaning: str = "") -> Mistake:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    SHAPE = "shape", "the shape is not that of the quantity, or a product does not fit"
    NOT_SUMMED = "not_summed", "not summed over an axis that broadcasting copied, such as the batch"
    SIGN = "sign", "a sign"
    BATCH_FACTOR = "batch_factor", "the factor 1/m of a mean is missing, or there twice"
    FACTOR = "factor", "a constant factor too much or missing"
    SOFTMAX_DIAGONAL = "softmax_diagonal", "not all of softmax's Jacobian diag(y) - y y^T was used"
    SOFTMAX_IGNORED = "softmax_ignored", "softmax's Jacobian was left out"
    DIAGONAL = "diagonal", "only the diagonal of a Jacobian was used"
    DERIVATIVE_MISSING = "derivative_missing", "the derivative of a function was forgotten"
    DERIVATIVE_TWICE = "derivative_twice", "a derivative was multiplied by twice, or divided by"
    DERIVATIVE_WRONG = "derivative_wrong", "a function's derivative is not right"
    DERIVATIVE_ELSEWHERE = "derivative_elsewhere", "a derivative was taken at another value than the right one"
    FORGOTTEN_PATH = "forgotten_path", "a value is used several times, and one of its uses was forgotten"
    FORGOTTEN_TERM = "forgotten_term", "a term of a sum was forgotten"
    TRANSPOSED = "transposed", "a matrix should be transposed, or should not"
    OTHER_VALUE = "other_value", "another value was used than the right one, such as another layer's activation"
    VALUE_MISSING = "value_missing", "a factor of a product was left out"
    FIRST_EXAMPLE = "first_example", "only the first example of the batch was used"
    SUM_AVERAGED = "sum_averaged", "averaged where a sum is needed"
    SUM_OF_ROWS = "sum_of_rows", "the row or column sums of another gradient"
    TERM_MISSING = "term_missing", "a term is missing"
    TERM_TOO_MUCH = "term_too_much", "a term is there that should not be"
    ENTRYWISE_FACTOR = "entrywise_factor", "an entrywise factor too much or missing"
    ZERO = "zero", "zero where something is due"
    OTHER_GRADIENT = "other_gradient", "the right answer to another question"
    ACTIVATION = "activation", "a function was left out, or another one used"
    EDIT = "edit", "one small edit of the formula makes it right"
    PAIR = "pair", "two mistakes at once"
    NOT_A_NUMBER = "not_a_number", "the numbers hold NaN or infinities"
    UNREADABLE = "unreadable", "the formula cannot be read, or the function failed"
    UNKNOWN = "unknown", "wrong, and nothing in the catalogue explains it"


NEAR = 40  # named values of one shape that are tried as factors

Gives = list[tuple[int, Array]]


# ---------------------------------------------------------------- making wrong sweeps


def _edge(code: Mistake, text: str, n: Any, i: int, rule: Callable[[Array, Array, list[Array]], Array] | None, rank: int = 0) -> Wrong:
    """A sweep in which operand i of node n gets `rule(g, z, xs)`; nothing, if the rule is None."""

    def gives(point: Point, node: Any, g: Array) -> Gives:
        out = []
        for j, a in moving(node):
            d = point.right(node, j, g) if j != i else _ruled(rule, point, node, i, g)
            if d is not None:
                out.append((a.id, d))
        return out

    return Wrong(code, text, n.id, gives, rank=rank)


def _ruled(rule: Any, point: Point, n: Any, i: int, g: Array) -> Array | None:
    if rule is None:
        return None
    xs = [np.asarray(point.value_of(a), float) for a in n.args]
    return fitted(rule(g, point.values[n.id], xs), xs[i].shape)


def fitted(d: Array, shape: tuple[int, ...]) -> Array | None:
    """A contribution summed back to a shape, if broadcasting grew it; None if it cannot be."""
    d = np.asarray(d, float)
    try:
        return np.asarray(sum_to(np.broadcast_to(d, np.broadcast_shapes(d.shape, shape)), shape), float)
    except ValueError:
        return None


def _node(code: Mistake, text: str, n: Any, turn: Callable[[Point, Array], Array], rank: int = 0) -> Wrong:
    """A sweep in which the derivative of node n is changed before it goes on."""

    def gives(point: Point, node: Any, g: Array) -> Gives:
        return point.contributions(node, turn(point, g))

    return Wrong(code, text, n.id, gives, rank=rank, turn=turn)


# ---------------------------------------------------------------- the catalogue of one graph


def catalogue(graph: Recorded, point: Point) -> Iterator[Wrong]:
    """The wrong sweeps that people would make in this graph, the common ones first for each node."""
    near = _by_shape(graph)
    for n in reversed(graph.nodes):
        if n.op is None or not n.active:
            continue
        yield from _of_table(graph, n)
        yield from _of_composite(graph, point, n)
        for i, a in moving(n):
            yield from _of_edge(graph, n, i, a, near)
        if n.id in graph.names and n.id != graph.root_id:
            yield from _of_node(graph, n, near)


def _by_shape(graph: Recorded) -> dict[tuple[int, ...], list[tuple[str, Any]]]:
    """The named values by shape."""
    found: dict[tuple[int, ...], list[tuple[str, Any]]] = {}
    for name, x in graph.by_name.items():
        if np.shape(x if isinstance(x, np.ndarray) else x.data) and x is not graph.root:
            found.setdefault(tuple(x.shape), []).append((name, x))
    return {shape: named[:NEAR] for shape, named in found.items()}


def _of_table(graph: Recorded, n: Any) -> Iterator[Wrong]:
    """What the op's own entry lists."""
    for m in n.op.mistakes:
        if any(i == m.operand for i, _ in moving(n)):
            text = m.text.format(z=graph.label(n), x=graph.label_of_operand(n.args[m.operand]))
            yield _edge(Mistake(m.code), text, n, m.operand, partial(_table_rule, n.op, m.rule, n.kw))


def _table_rule(op: Op, rule: Any, kw: dict[str, Any], g: Array, z: Array, xs: list[Array]) -> Array:
    return g * rule(z, *xs) if op.kind == "elementwise" else rule(g, z, *xs, **kw)


def _of_composite(graph: Recorded, point: Point, n: Any) -> Iterator[Wrong]:
    """The same for a named value that is, number by number, an op of the table applied to the named value before it."""
    source = _single_source(graph, n)
    if source is None:
        return
    for op, kw in _recognised(point.values[n.id], point.values[source.id]):
        for m in op.mistakes:
            text = m.text.format(z=graph.label(n), x=graph.label(source))
            yield _jump(Mistake(m.code), text, n, source, partial(_table_rule, op, m.rule, kw))
        missing = f"the derivative of {op.name}, from {graph.label(source)} to {graph.label(n)}, is missing"
        if op.kind == "elementwise":
            yield _jump(Mistake.DERIVATIVE_MISSING, missing, n, source, lambda g, z, xs: g)
    sign = f"the sign of the derivative of {graph.label(n)} in {graph.label(source)}"
    yield Wrong(Mistake.SIGN, sign, n.id, lambda p, node, g: p.contributions(node, -g))


def _single_source(graph: Recorded, n: Any) -> Any:
    """The one named node of the same shape that a named composite depends on; None if it is no composite of that kind."""
    if n.id not in graph.names or any(a.id in graph.names for _, a in moving(n)):
        return None
    seen, stack = {n.id}, [a for _, a in moving(n)]
    named: Any = None
    while stack:
        a = stack.pop()
        if a.id in seen:
            continue
        seen.add(a.id)
        if a.id not in graph.names:
            stack += [b for _, b in moving(a)]
        elif named is not None:
            return None
        else:
            named = a
    source = named
    return source if source is not None and source.shape == n.shape else None


def _recognised(z: Array, x: Array) -> Iterator[tuple[Op, dict[str, Any]]]:
    """The ops of the table, with their axis, that make x into z."""
    for op in list(TABLE.values()):
        if op.arity == 1 and op.mistakes:
            for kw in [{"axis": k} for k in range(x.ndim) if x.shape[k] > 1] if "axis" in op.statics else [{}]:
                with np.errstate(all="ignore"):
                    try:
                        same = np.allclose(op.forward(x, **kw), z, rtol=1e-11, atol=1e-13)
                    except (ValueError, np.linalg.LinAlgError):
                        continue
                if same and np.shape(op.forward(x, **kw)) == z.shape:
                    yield op, kw


def applied(graph: Recorded, point: Point, n: Any) -> Iterator[tuple[Op, dict[str, Any], Any]]:
    """The ops of one operand that a node is the result of, recorded or recognised, with their arguments and that operand."""
    if n.op is not None and n.op.arity == 1 and isinstance(n.args[0], Node):
        yield n.op, n.kw, n.args[0]
    source = _single_source(graph, n)
    if source is not None:
        yield from ((op, kw, source) for op, kw in _recognised(point.values[n.id], point.values[source.id]))


def _jump(code: Mistake, text: str, n: Any, source: Any, rule: Any) -> Wrong:
    """A sweep in which a composite gives `rule(g, z, [x])` to the value it is a function of, and nothing to what is between."""

    def gives(point: Point, node: Any, g: Array) -> Gives:
        x = point.values[source.id]
        d = fitted(rule(g, point.values[node.id], [x]), x.shape)
        return [] if d is None else [(source.id, d)]

    return Wrong(code, text, n.id, gives, into=source.id)


# ---------------------------------------------------------------- what can go wrong with any op


def _of_edge(graph: Recorded, n: Any, i: int, a: Any, near: dict[tuple[int, ...], list[tuple[str, Any]]]) -> Iterator[Wrong]:
    z, x = graph.label(n), graph.label(a)
    several = len([1 for _, b in moving(n) if b.id == a.id]) > 1
    users = len(graph.users[a.id])
    if several:
        yield _edge(
            Mistake.FORGOTTEN_PATH, f"product rule: {x} occurs twice in {z}, and only one occurrence was differentiated", n, i, None
        )
    elif users > 1:
        yield _edge(Mistake.FORGOTTEN_PATH, f"{x} is used {users} times, and the path through {z} was forgotten", n, i, None)
    elif len(moving(n)) > 1:
        yield _edge(Mistake.FORGOTTEN_TERM, f"the term of {x} in {z} was forgotten", n, i, None)
    yield _edge(Mistake.SIGN, f"the sign of the derivative of {z} in {x}", n, i, lambda g, z, xs: -_right(n, i, g, z, xs), rank=1)
    if n.op.kind == "elementwise":
        yield from _of_partial(graph, n, i, a, near)
    if n.op.form is not None:
        yield from _of_product(graph, n, i, a, near)
    if np.size(a.data) > np.size(n.data):
        yield from _of_reduction(graph, n, i, a)
    if np.size(a.data) < np.size(n.data) and n.op.kind == "elementwise":
        yield from _of_broadcasting(graph, n, i, a)


def _right(n: Any, i: int, g: Array, z: Array, xs: list[Array]) -> Array:
    d = n.op.vjp(i, g, z, *xs, **n.kw)
    return np.zeros(xs[i].shape) if d is None else d


def _as_fraction(c: float) -> str:
    """A constant as people write it: a fraction, or the root of one."""
    for text, x in (("{}", c), ("-sqrt({})" if c < 0 else "sqrt({})", c * c)):
        fraction = Fraction(x).limit_denominator(1000)
        if abs(x - float(fraction)) <= 1e-12 * abs(x):
            return text.format(fraction)
    return f"{c:.4g}"


def _of_partial(graph: Recorded, n: Any, i: int, a: Any, near: Any) -> Iterator[Wrong]:
    p = n.op.partials[i]
    if not callable(p):
        return
    z, x, op = graph.label(n), graph.label(a), n.op.name
    alone = n.op.arity == 1
    slope = alone or not n.op.analytic  # of maximum and its like the derivative is a condition, and no factor
    said = f"the derivative of {op} ({x} to {z})" if slope else f"the factor that multiplies {x} in {z}"
    code = Mistake.DERIVATIVE_MISSING if slope else Mistake.VALUE_MISSING
    if not slope and isinstance(n.args[1 - i], int | float) and not isinstance(c := p(n.data, *map(_plain, n.args)), np.ndarray | Node):
        code = Mistake.BATCH_FACTOR if graph.sizes.get("m") in (c, 1 / c if c else 0) else Mistake.FACTOR
        said = f"the factor {_as_fraction(float(c))} in {z}"
    yield _edge(code, f"{said} is missing", n, i, lambda g, z, xs: g)
    twice = Mistake.DERIVATIVE_TWICE
    yield _edge(twice, f"{said} was multiplied by twice", n, i, lambda g, z, xs: g * p(z, *xs) ** 2)
    yield _edge(twice, f"{said} divides where it should multiply", n, i, lambda g, z, xs: g / p(z, *xs))
    if not alone:
        return
    for name, v in near.get(tuple(n.shape), []):
        if v is n or v is a:
            continue
        at = f"{said} was taken at {name} instead"
        yield _at(Mistake.DERIVATIVE_ELSEWHERE, at, n, i, v, lambda g, z, x, v: g * p(v, x))
        yield _at(Mistake.DERIVATIVE_ELSEWHERE, at, n, i, v, lambda g, z, x, v: g * p(n.op.forward(v), v))
    for name, v in near.get(tuple(n.shape), []):
        for word, f in FORMS:
            yield _at(
                Mistake.DERIVATIVE_WRONG,
                f"{word.format(name)} stands where {said} belongs",
                n,
                i,
                v,
                lambda g, z, x, v, f=f: g * f(v),
                rank=1,
            )


def _plain(a: Any) -> Any:
    return a.data if isinstance(a, Node) else a


def _at(code: Mistake, text: str, n: Any, i: int, v: Any, rule: Callable[..., Array], rank: int = 0) -> Wrong:
    """An edge of a function of one operand whose wrong rule looks at another value, `rule(g, z, x, v)`."""

    def gives(point: Point, node: Any, g: Array) -> Gives:
        a = node.args[i]
        x = point.values[a.id]
        d = fitted(rule(g, point.values[node.id], x, np.asarray(point.value_of(v), float)), x.shape)
        return [] if d is None else [(a.id, d)]

    return Wrong(code, text, n.id, gives, rank=rank)


FORMS: list[tuple[str, Callable[[Array], Array]]] = [
    ("{0}", lambda v: v),
    ("(1 - {0})", lambda v: 1 - v),
    ("{0}(1 - {0})", lambda v: v * (1 - v)),
    ("(1 - {0}^2)", lambda v: 1 - v * v),
    ("{0}^2", lambda v: v * v),
    ("sign({0})", np.sign),
]
RECIPROCALS: list[tuple[str, Callable[[Array], Array]]] = [
    ("1/{0}", lambda v: 1 / v),
    ("1/(1 - {0})", lambda v: 1 / (1 - v)),
    ("1/({0}(1 - {0}))", lambda v: 1 / (v * (1 - v))),
    ("1/(1 - {0}^2)", lambda v: 1 / (1 - v * v)),
]


def _of_product(graph: Recorded, n: Any, i: int, a: Any, near: Any) -> Iterator[Wrong]:
    """A product of two operands in index form: the other one transposed, left out, or taken for another value."""
    other = n.args[1 - i]
    z, x, y = graph.label(n), graph.label(a), graph.label_of_operand(other)
    shape = np.shape(other if not hasattr(other, "data") else other.data)
    if len(shape) == 2 and shape[0] == shape[1] and shape[0] > 1:
        yield _edge(Mistake.TRANSPOSED, f"{y} should be transposed going back from {z} to {x}", n, i, _other(n, i, lambda v: v.T))
    if len(n.shape) == 2 and n.shape[0] == n.shape[1] and n.shape[0] > 1:
        yield _edge(
            Mistake.TRANSPOSED, f"the derivative of {z} was transposed going back to {x}", n, i, lambda g, z, xs: _right(n, i, g.T, z, xs)
        )
    if n.shape == a.shape:
        yield _edge(
            Mistake.VALUE_MISSING,
            f"the derivative was not carried back through {y}: from {z} to {x} it stays as it is",
            n,
            i,
            lambda g, z, xs: g,
        )
    for word, f in FORMS[1:4]:
        yield _edge(Mistake.OTHER_VALUE, f"{word.format(y)} was used where {y} belongs, going back from {z} to {x}", n, i, _other(n, i, f))
    for name, v in near.get(tuple(shape), []):
        if v is not other:
            text = f"{name} was used where {y} belongs, going back from {z} to {x}"
            yield _swapped(Mistake.OTHER_VALUE, text, n, i, _its_value(v), rank=v is n)
    if getattr(other, "id", None) in graph.by_id and other.active:
        text = f"the gradient of {y} was used where {y} itself belongs, going back from {z} to {x}"
        yield _swapped(Mistake.OTHER_VALUE, text, n, i, lambda p: p.gradient(other.id))
        text = f"{y} was updated before it was used to go back from {z} to {x}"
        for rate in (1.0, 0.5, 0.1, 0.01):
            said = f"{text} (with the learning rate {rate:g})"
            yield _swapped(Mistake.OTHER_VALUE, said, n, i, _updated(other, rate), rank=1)
    if len(n.shape) == len(shape) == 2 and len(a.shape) == 2 and not is_vector(n.shape):
        size = n.shape[1 if i == 0 else 0]
        if size > 1:
            yield _edge(Mistake.FIRST_EXAMPLE, f"only the first example was used in the derivative of {z} in {x}", n, i, _first(n, i))


def _its_value(v: Any) -> Callable[[Point], Array]:
    return lambda p: p.value_of(v)


def _updated(v: Any, rate: float) -> Callable[[Point], Array]:
    return lambda p: p.value_of(v) - rate * p.gradient(v.id)


def _scaled(c: float) -> Callable[[Point, Array], Array]:
    return lambda p, g: c * g


def _times(v: Any, f: Callable[[Array], Array]) -> Callable[[Point, Array], Array]:
    return lambda p, g: g * f(np.asarray(p.value_of(v), float))


def _other(n: Any, i: int, f: Callable[[Array], Array]) -> Callable[..., Array]:
    def rule(g: Array, z: Array, xs: list[Array]) -> Array:
        return _right(n, i, g, z, [f(v) if k == 1 - i else v for k, v in enumerate(xs)])

    return rule


def _swapped(code: Mistake, text: str, n: Any, i: int, value: Callable[[Point], Array], rank: int = 0) -> Wrong:
    """An edge of a product whose other factor is another value."""

    def gives(point: Point, node: Any, g: Array) -> Gives:
        out = []
        for j, a in moving(node):
            if j == i:
                xs = [np.asarray(point.value_of(b), float) for b in node.args]
                xs[1 - i] = np.asarray(value(point), float)
                out.append((a.id, np.asarray(_right(node, i, g, point.values[node.id], xs), float)))
            elif (d := point.right(node, j, g)) is not None:
                out.append((a.id, d))
        return out

    return Wrong(code, text, n.id, gives, rank=int(rank))


def _first(n: Any, i: int) -> Callable[..., Array]:
    """The derivative of a product of two matrices from the first column (of the first operand) or row only."""

    def rule(g: Array, z: Array, xs: list[Array]) -> Array:
        return contract("ij,kj->ik", g[:, :1], xs[1][:, :1]) if i == 0 else contract("ji,jk->ik", xs[0][:1], g[:1])

    return rule


def _of_reduction(graph: Recorded, n: Any, i: int, a: Any) -> Iterator[Wrong]:
    """A sum or mean over many: its 1/m missing, or there although nothing is averaged."""
    if n.op.kind != "linear":
        return
    count = np.size(a.data) // max(1, np.size(n.data))
    name = graph.lengths().get(count, f"{count}")
    code = Mistake.BATCH_FACTOR if graph.sizes.get("m") == count else Mistake.FACTOR
    z = graph.named_around(n)
    missing, twice = f"the factor 1/{name} of the mean in {z} is missing", f"the factor 1/{name} was put twice"
    averaged = f"the sum in {z} was averaged: a factor 1/{name} too much"
    means = n.op.name == "mean"
    if means:
        yield _edge(code, missing, n, i, lambda g, z, xs: count * _right(n, i, g, z, xs))
    yield _edge(
        code if means else Mistake.SUM_AVERAGED, twice if means else averaged, n, i, lambda g, z, xs: _right(n, i, g, z, xs) / count
    )


def _of_broadcasting(graph: Recorded, n: Any, i: int, a: Any) -> Iterator[Wrong]:
    """An operand that broadcasting copied gets a sum back; people average, or take one copy."""
    count = np.size(n.data) // max(1, np.size(a.data))
    name, x = graph.lengths().get(count, f"{count}"), graph.label(a)
    yield _edge(
        Mistake.SUM_AVERAGED,
        f"the gradient of {x} is a sum over the {name} copies that broadcasting made, not their mean",
        n,
        i,
        lambda g, z, xs: _right(n, i, g, z, xs) / count,
    )
    copied = [k for k, length in enumerate(n.shape) if length > 1 and (k < len(n.shape) - len(a.shape) or a.shape[k - len(n.shape)] == 1)]
    said = f"only the first of the {name} copies that broadcasting made was used in the gradient of {x}: the first example"

    def first(g: Array, z: Array, xs: list[Array]) -> Array:
        kept = np.zeros(g.shape)
        where = tuple(slice(0, 1) if k in copied else slice(None) for k in range(g.ndim))
        kept[where] = g[where]
        return _right(n, i, kept, z, xs)

    yield _edge(Mistake.FIRST_EXAMPLE, said, n, i, first)


# ---------------------------------------------------------------- a derivative changed on its way


def constants(graph: Recorded) -> list[tuple[str, float]]:
    """Constants that are forgotten or put twice, most common first: 1/m and m, 2, lengths of axes, logarithms."""
    found = [("2", 2.0), ("1/2", 0.5), ("4", 4.0), ("1/4", 0.25)]
    sizes = sorted(graph.lengths().items(), key=lambda item: item[1] != "m")
    lengths = [
        (t, v)
        for n, name in sizes
        for t, v in ((f"{name}", float(n)), (f"1/{name}", 1 / n), (f"{name}^2", n * n), (f"1/{name}^2", 1 / n**2))
    ]
    roots = [(t, v) for n, name in sizes for t, v in ((f"sqrt({name})", n**0.5), (f"1/sqrt({name})", n**-0.5))]
    logs = [("ln 2", np.log(2)), ("1/ln 2", 1 / np.log(2)), ("ln 10", np.log(10)), ("1/ln 10", 1 / np.log(10)), ("3", 3.0), ("1/3", 1 / 3)]
    named = [
        (text, v)
        for name, x in graph.by_name.items()
        if np.size(c := getattr(x, "data", x)) == 1 and x is not graph.root and float(c.item() if hasattr(c, "item") else c)
        for text, v in ((name, float(np.asarray(c).item())), (f"1/{name}", 1 / float(np.asarray(c).item())))
    ]
    ratios = [(f"{a}/{b}", n / k) for n, a in sizes for k, b in sizes if n != k and "m" not in (a, b)]
    every = [*(lengths[:4] if sizes and sizes[0][1] == "m" else []), *found, *lengths, *named, *logs, *roots, *ratios]
    kept: dict[float, str] = {}
    for text, v in every:
        if abs(v - 1) > 1e-12 and not any(abs(v / u - 1) < 1e-12 for u in kept):
            kept[v] = text
    return [(text, v) for v, text in kept.items()]


def _of_node(graph: Recorded, n: Any, near: dict[tuple[int, ...], list[tuple[str, Any]]]) -> Iterator[Wrong]:
    """The derivative of a named result with a factor too much, that then goes on to all before it."""
    z, root = graph.label(n), graph.root_name
    for text, c in constants(graph)[:12]:
        code = Mistake.BATCH_FACTOR if text in ("m", "1/m") else Mistake.FACTOR
        said = f"d{root}/d{z} has the factor {text} too much, and so has all that follows from it"
        yield _node(code, said, n, _scaled(c), rank=1)
    for name, v in near.get(tuple(n.shape), []):
        if not n.shape:
            continue
        for word, f in (*FORMS, *RECIPROCALS):
            said = f"d{root}/d{z} has the factor {word.format(name)} too much"
            extra = " (an extra derivative)" if word == "{0}(1 - {0})" else ""
            yield _node(Mistake.ENTRYWISE_FACTOR, said + extra, n, _times(v, f), rank=1)
    if len(n.shape) == 2 and n.shape[0] == n.shape[1]:
        yield _node(Mistake.TRANSPOSED, f"d{root}/d{z} was transposed", n, lambda p, g: g.T, rank=1)
