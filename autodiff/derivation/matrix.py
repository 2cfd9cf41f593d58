"""From the index form back to matrix notation: products, transposes, diagonals, sums over rows.

`to_matrix` answers with a tree of `M`, which show.py prints.  In the tree every vector is a column.  A term
that has no matrix form becomes an "ein" node: a sum of products in index notation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

from ..ops import TABLE
from . import expr
from .expr import Atom, Factor, Labels, Mono, Number, Poly, opened, without


class M(NamedTuple):
    """A node of matrix notation.

    op: sym num T mm had div pow fn add scale bc sum rowsum diag diagof ones zeros eye whole along over raised ein,
    and row, column: the symbol of a gradient in a layout where it is a row, as it is and transposed;
    `ls`: the labels it has, () for a number, (i,) for a column, (i, j) for a matrix with rows i.
    """

    op: str
    args: tuple[Any, ...]
    ls: Labels


class NoMatrixForm(Exception):
    """A term needs index notation."""


ONE = M("num", (1,), ())


def length(x: Any) -> int:
    """How long a tree prints, about."""
    return len(walk(x))


def _effort(x: M) -> int:
    """Length, where scaling a vector reads better than a diagonal matrix, and slopes times a product than slopes inside it."""
    factors = [f.args[0] if f.op == "T" else f for y in walk(x) if y.op == "mm" for f in y.args if len(f.ls) == 2]
    return length(x) + 3 * sum(1 for y in walk(x) if y.op == "diag") + 3 * sum(1 for f in factors if f.op in ("add", "fn", "pow", "div"))


def walk(x: Any) -> list[M]:
    """Every node of a tree."""
    found, stack = [], [x]
    while stack:
        y = stack.pop()
        if isinstance(y, M):
            found.append(y)
            stack += y.args
        elif isinstance(y, tuple):
            stack += y
    return found


def flat(op: str, xs: Sequence[M]) -> list[M]:
    """Products inside a product as one product."""
    return [y for x in xs for y in (x.args if x.op == op else (x,))]


def mm(xs: Sequence[M], ls: Labels) -> M:
    """A matrix product."""
    return M("mm", tuple(flat("mm", xs)), ls)


def transpose(x: M) -> M:
    """The transpose, pushed towards the names: (A B)^T is B^T A^T."""
    if not x.ls:
        return x
    ls = x.ls[::-1]
    if x.op == "T":
        return x.args[0]  # type: ignore[no-any-return]
    if x.op == "mm":
        return mm([transpose(y) for y in reversed(x.args)], ls)
    if x.op == "scale":
        return M("scale", (x.args[0], transpose(x.args[1])), ls)
    if x.op == "had" and len(ls) == 1 and (x.args[0].op == "mm" or is_upstream(x.args[0])):
        return mm([transpose(x.args[0]), M("diag", (hadamard(x.args[1:]),), ls * 2)], ls)
    if x.op in ("diag", "eye") or (x.op in ("sym", "whole") and len(x.args) > 1 and x.args[-1] == "symmetric"):
        return M(x.op, x.args, ls)
    if len(ls) == 2 and (pushed := _pushed(x, ls)) is not None and transposes(pushed) <= transposes(x) - (x.op == "fn"):
        return pushed
    return M("T", (x,), ls)


def _pushed(x: M, ls: Labels) -> M | None:
    """The transpose of something elementwise, of its parts; what has fewer labels broadcasts as it did."""
    if x.op == "add":
        terms = [(c, transpose(y) if len(y.ls) == 2 else y) for c, y in x.args]
        return M("add", tuple(sorted(terms, key=lambda t: (t[0] < 0, t[1].op == "T"))), ls)
    if x.op in ("had", "div"):
        return M(x.op, tuple(transpose(y) if len(y.ls) == 2 else y for y in x.args), ls)
    if x.op in ("pow", "bc"):
        return M(x.op, (transpose(x.args[0]) if len(x.args[0].ls) == 2 else x.args[0], *x.args[1:]), ls)
    if x.op == "fn":
        return M("fn", (x.args[0], transpose(x.args[1]) if len(x.args[1].ls) == 2 else x.args[1], *x.args[2:]), ls)
    return None


def transposes(x: Any) -> int:
    """How many there are in a tree."""
    return sum(y.op == "T" for y in walk(x))


def is_upstream(x: M) -> bool:
    """Is it the symbol of a gradient that comes from above?"""
    return x.op == "sym" and x.args[0].startswith("∂")


def hadamard(xs: Sequence[M]) -> M:
    """An elementwise product, in the order it is read: gradients, products, differences, names, 1 - y and other sums."""
    ordered = sorted(flat("had", xs), key=_place if xs[0].ls else lambda y: (y.op != "sym" and not _is_difference(y), _place(y)))
    return ordered[0] if len(ordered) == 1 else M("had", tuple(ordered), ordered[0].ls)


def _place(y: M) -> Any:
    late = y.op == "add" and not _is_difference(y)
    return late, y.op not in ("mm", "rowsum", "ein"), not is_upstream(y), not _is_difference(y)


def _is_difference(x: M) -> bool:
    """A residual, such as w x - y, and neither 1 - y nor what is centred, such as g - sum(g)."""
    return x.op == "add" and any(c < 0 for c, _ in x.args) and all(y.op != "num" and y.ls == x.ls and y.op != "bc" for _, y in x.args)


# ---------------------------------------------------------------- signs


def _odd(q: Number) -> bool:
    return q.__class__ is int and q % 2 == 1


def _prefers_flip(f: Factor) -> bool:
    """(y - 1) reads better as -(1 - y), m - 1 of lengths as it is."""
    a, _, q = f
    if a.kind == "group" and _odd(q) and not expr.only_lengths(a.body):
        terms = a.body.terms
        return terms.get((), 0) < 0 or all(c < 0 for c in terms.values())
    return a.kind == "contr" and _odd(q) and sum(map(_prefers_flip, a.body.only()[0])) % 2 == 1


def _can_flip(f: Factor) -> bool:
    a, _, q = f
    if a.kind == "group" and _odd(q):
        return () not in a.body.terms and any(c < 0 for c in a.body.terms.values())
    return a.kind == "contr" and _odd(q) and _to_flip(a.body.only()[0]) is not None


def _to_flip(m: Mono) -> Factor | None:
    """A factor with a difference to write the other way round; not one that the term holds twice."""
    for f in sorted(m, key=lambda f: f[0].kind != "group"):
        if _can_flip(f):
            sums = {a for a in expr.atoms_in(Poly({(f,): 1})) if a.kind == "group"}
            if not any(_odd(g[2]) and g[2] > 0 and sums & set(expr.atoms_in(Poly({(g,): 1}))) for g in m if g != f):
                return f
    return None


def _flips(m: Mono, negative: bool) -> tuple[bool, set[Factor]]:
    """Which sums of a term to write the other way round, and whether a minus sign is left in front."""
    flips = {f for f in m if _prefers_flip(f)}
    if len(flips) % 2 == 1 and not negative and all(f[0].kind == "group" and () in f[0].body.terms for f in flips):
        return False, set()  # y - 1 and not -(1 - y)
    if len(flips) % 2 == 1:
        negative = not negative
    if negative:
        f = _to_flip(m)
        if f is not None:
            flips ^= {f}
            negative = False
    return negative, flips


# ---------------------------------------------------------------- expressions to trees


def to_matrix(p: Poly, want: Labels = ()) -> M:
    """The tree of an expression whose axes are `want`; terms that broadcast may have fewer."""
    terms: list[tuple[Number, M]] = []
    for m, c in p.terms.items():
        negative, flips = _flips(m, c < 0)
        size = -c if c < 0 else c
        terms.append((-size if negative else size, _term(m, want, flips)))
    terms.sort(key=_reading_order)
    if not terms:
        return M("num", (0,), ())
    if len(terms) == 1:
        c, x = terms[0]
        return scaled(c, x)
    return M("add", tuple(terms), tuple(x for x in want if any(x in y.ls for _, y in terms)))


def _reading_order(term: tuple[Number, M]) -> Any:
    """1 first, then long terms before short ones, names before their transposes, what is subtracted last."""
    c, x = term
    turned = transposes(x)
    return c < 0, (x.op != "num") == (c > 0), turned - length(x), turned, repr(x)


def scaled(c: Number, x: M) -> M:
    """A number times a tree."""
    if c == 1:
        return x
    if x.op == "num":
        return M("num", (expr.number(c * x.args[0]),), ())
    if x.op == "div" and x.args[0].op == "num":
        return M("div", (scaled(c, x.args[0]), x.args[1]), x.ls)
    return M("scale", (c, x), x.ls)


def _term(m: Mono, want: Labels, flips: set[Factor]) -> M:
    base = _factors(m, want, flips)
    try:
        return _assemble(base, want)
    except NoMatrixForm:
        return _indexed(base, want)


def _indexed(base: Base, want: Labels) -> M:
    """A product in index notation; numbers stand before it."""
    ls = tuple(x for x in want if any(x in s for s in base))
    numbers, others = base.get(frozenset()), tuple(x for s, x in base.items() if s)
    x = M("ein", others, ls)
    return x if numbers is None else M("scale", (numbers, x), ls)


def _atom(a: Atom, ls: Labels, flip: bool, want: Labels) -> M:
    if len(ls) == 2 and ls[0] == ls[1] and (a.kind == "var" or a.mixed):
        return M("diagof", (_atom(a, tuple(expr.fresh((0, 1)).values()), flip, ()),), ls[:1])
    order = _in_order(ls, want)
    if a.kind in ("var", "num", "size"):
        x = M("sym", (a.name, "condition") if a.indicator else (a.name, "symmetric") if a.symmetric else (a.name,), ls)
        if len(set(ls)) < len(ls):  # the diagonal of two of three axes
            return M("ein", (x,), tuple(dict.fromkeys(ls)))
        return transpose(x) if len(ls) == 2 and order != ls else x
    if a.kind == "delta":
        return M("eye", (a.dims[0],), ls)
    if a.kind == "group":
        body = opened(a, ls)
        return _spread(to_matrix(expr.scale(body, -1) if flip else body, order), order)
    if a.kind == "fn" and a.name in TABLE and isinstance(TABLE[a.name].index, str):  # of a whole matrix
        inner = to_matrix(a.body, (0, 1))
        x = M("whole", (a.name, inner, "symmetric") if a.symmetric else (a.name, inner), ls)
        return transpose(x) if len(ls) == 2 and order != ls else x
    if a.mixed:
        x = M("along", (a.name, _spread(to_matrix(opened(a, ls), ls), ls), tuple(ls[i] for i in a.mixed)), ls)
        return transpose(x) if len(ls) == 2 and order != ls else x
    body, gone = expr.inside(a, ls)
    if a.name == "exp" and a.kind == "fn":
        return _exponential(body, order)
    if a.kind == "fn":
        x = _spread(to_matrix(body, (*order, *gone)), (*order, *gone))
        return M("over", (a.name, x, tuple(gone)), order) if gone else M("fn", (a.name, x), order)
    inner_m = body.only()[0]
    left, inner_flips = _flips(inner_m, flip)
    if left:
        raise AssertionError("a sign was lost")
    base = _factors(inner_m, order, inner_flips)
    return _network(base, list(gone), order)


def _exponential(body: Poly, ls: Labels) -> M:
    """exp, or a power if it is of a logarithm: exp(a * log(x)) is x**a."""
    m, c = body.only() if len(body) == 1 else ((), 0)
    f = next((f for f in m if f[0].name == "log" and f[0].kind == "fn" and f[2] == 1), None)
    if f is None:
        return M("fn", ("exp", _spread(to_matrix(body, ls), ls)), ls)
    base = _spread(to_matrix(opened(f[0], f[1]), ls), ls)
    rest = without(m, f)
    if len(rest) == 1 and rest[0][0].kind == "group" and rest[0][2] == 1:  # a - 1 and not -(1 - a)
        exponent = expr.scale(opened(rest[0][0], rest[0][1]), c)
    else:
        exponent = Poly({rest: c})
    return M("raised", (base, _spread(to_matrix(exponent, ls), ls)), ls)


def _spread(x: M, ls: Labels) -> M:
    """Mark a tree that has fewer labels than it stands for."""
    return x if len(x.ls) == len(ls) else M("bc", (x,), ls)


def _in_order(ls: Labels, want: Labels) -> Labels:
    return tuple(k for k in want if k in ls) if set(ls) <= set(want) else tuple(dict.fromkeys(ls))


def _exponentials(m: Mono) -> Mono:
    """Exponentials to write as one, exp(a) exp(-b) as exp(a - b), which may be finite where they are not."""
    exps = [f for f in m if expr.exponent((f,)) is not None]
    longest = max((set(f[1]) for f in exps), key=len, default=set())
    together = tuple([f for f in exps if set(f[1]) <= longest])
    return together if len(together) > 1 else ()


Base = dict[frozenset[int], M]


def _factors(m: Mono, want: Labels, flips: set[Factor]) -> Base:
    """Factors of equal labels multiplied entry by entry; what has negative powers goes below."""
    over: dict[frozenset[int], list[M]] = {}
    under: dict[frozenset[int], list[M]] = {}
    together = _exponentials(m)
    if together and (joint := expr.exponent(together)) is not None:
        x = _exponential(joint, _in_order(max((f[1] for f in together), key=len), want))
        over[frozenset(x.ls)] = [x]
        m = without(m, *together)
    for f in sorted(m, key=lambda f: (f[0].kind == "group", f[0].kind != "contr", not f[0].name.startswith("∂"), f[0])):
        a, ls, q = f
        if a.name == "exp" and a.kind == "fn" and q < 0:  # exp(-a) and not 1 / exp(a)
            x, q = _exponential(expr.scale(opened(a, ls), q), _in_order(ls, want)), 1
        else:
            x = _atom(a, ls, f in flips, want)
        if abs(q) != 1:
            x = M("pow", (x, abs(q)), x.ls)
        key = frozenset(x.ls)
        first = next(iter([*over.get(key, []), *under.get(key, [])]), None)
        if first is not None and first.ls != x.ls and len(key) == 2:
            x = transpose(x)
        (over if q > 0 else under).setdefault(key, []).append(x)
    out = {}
    for key in {**over, **under}:
        top = hadamard(over[key]) if key in over else ONE
        out[key] = M("div", (top, hadamard(under[key])), under[key][0].ls) if key in under else top
    return out


def _network(base: Base, bound: list[int], want: Labels) -> M:
    """A contraction: the best order of elimination, or index notation."""
    best = None
    if all(len(s) <= 2 for s in base):
        for order in permutations(bound) if len(bound) <= 4 else [_from_the_vectors(base, bound)]:
            try:
                x = _eliminate(dict(base), order, want)
            except NoMatrixForm:
                continue
            if best is None or _effort(x) < _effort(best):
                best = x
    return _indexed(base, want) if best is None else best


def _from_the_vectors(base: Base, bound: list[int]) -> list[int]:
    """An order of elimination for a long chain: matrix times vector again and again."""
    links = {*base}
    order: list[int] = []
    while len(order) < len(bound):
        k = min((k for k in bound if k not in order), key=lambda k: sum(1 for s in links if k in s and len(s) == 2))
        merged = frozenset().union(*(s for s in links if k in s)) - {k}
        links = {*(s for s in links if k not in s), merged}
        order.append(k)
    return order


def _eliminate(base: Base, order: Sequence[int], want: Labels) -> M:
    numbers = [base.pop(frozenset())] if frozenset() in base else []

    def facing(x: M, a: int, b: int) -> M:
        return x if x.ls == (a, b) else transpose(x)

    def put(x: M) -> None:
        key = frozenset(x.ls)
        if key in base:
            y = base[key]
            x = hadamard([y, x if x.ls == y.ls else transpose(x)])
        base[key] = x

    for k in order:
        v = base.pop(frozenset([k]), None)
        touching = [s for s in base if k in s]
        if not touching:
            if v is None:
                raise NoMatrixForm
            numbers.append(_total(v))
        elif len(touching) == 1:
            (a,) = touching[0] - {k}
            x = facing(base.pop(touching[0]), a, k)
            put(M("rowsum", (x,), (a,)) if v is None else mm([x, v], (a,)))
        elif len(touching) == 2:
            (a,), (b,) = touching[0] - {k}, touching[1] - {k}
            if want and (b == want[0] or (a not in want and b in want and want.index(b) == 0)):
                a, b, touching = b, a, touching[::-1]
            left, right = facing(base.pop(touching[0]), a, k), facing(base.pop(touching[1]), k, b)
            middle = [M("diag", (v,), (k, k))] if v is not None else []
            put(mm([left, *middle, right], (a, b)))
        else:
            raise NoMatrixForm
    if numbers:
        base[frozenset()] = hadamard(numbers)
    return _assemble(base, want)


def _total(v: M) -> M:
    """The sum of a vector's entries."""
    if v.op == "had":
        return mm([transpose(hadamard(v.args[:-1])), v.args[-1]], ())
    if v.op == "pow" and v.args[1] == 2:
        return mm([transpose(v.args[0]), v.args[0]], ())
    return M("sum", (v.args[0] if v.op == "rowsum" else v,), ())


def squared(x: M) -> M | None:
    """The v of a sum of squares of v."""
    if x.op == "sum" and x.args[0].op == "pow" and x.args[0].args[1] == 2:
        return x.args[0].args[0]  # type: ignore[no-any-return]
    if x.op == "mm" and len(x.args) == 2 and not x.ls and x.args[0] == transpose(x.args[1]):
        return x.args[1]  # type: ignore[no-any-return]
    return None


def _assemble(base: Base, want: Labels) -> M:
    """What is left of a term: numbers times vectors times at most one matrix."""
    base = dict(base)
    scalar = base.pop(frozenset(), None)
    vectors = {next(iter(s)): x for s, x in base.items() if len(s) == 1}
    matrices = [x for s, x in base.items() if len(s) == 2]
    if any(len(s) > 2 for s in base) and len(base) == 1:
        x = next(iter(base.values()))
    elif len(matrices) > 1 or any(len(s) > 2 for s in base) or not set().union(*base, ()) <= set(want):
        raise NoMatrixForm
    elif matrices:
        x = matrices[0]
        ls = tuple(y for y in want if y in x.ls)
        x = x if x.ls == ls else transpose(x)
        if not vectors.keys() <= set(ls):
            raise NoMatrixForm
        if x.op == "eye" and vectors:
            x, vectors = M("diag", (hadamard(list(vectors.values())),), ls), {}
        if ls[0] in vectors:
            x = mm([M("diag", (vectors[ls[0]],), (ls[0],) * 2), x], ls)
        if ls[1] in vectors:
            x = mm([x, M("diag", (vectors[ls[1]],), (ls[1],) * 2)], ls)
    elif len(vectors) == 2:
        ls = tuple(y for y in want if y in vectors)
        x = mm([vectors[ls[0]], transpose(vectors[ls[1]])], ls)
    elif len(vectors) == 1:
        x = next(iter(vectors.values()))
    elif vectors:
        raise NoMatrixForm
    else:
        return scalar if scalar is not None else ONE
    return x if scalar is None else M("scale", (scalar, x), x.ls)


def with_ones(x: M, own: Sequence[tuple[int, str]]) -> M:
    """A gradient that is the same along an axis: the ones written out; `own`: the axes it has, with dimensions."""
    if x == M("num", (0,), ()) and own:
        return M("zeros", tuple(d for _, d in own), tuple(k for k, _ in own))
    missing = [(k, d) for k, d in own if k not in x.ls]
    if not missing:
        return x
    ls = tuple(k for k, _ in own)
    if len(own) > 2:
        return M("had" if x.ls else "scale", (x, M("ones", tuple(d for _, d in own), ls)), ls)
    ones = [M("ones", (d,), (k,)) for k, d in missing]
    if len(ones) == 2:
        all_ones = mm([ones[0], transpose(ones[1])], ls)
        return scaled(x.args[0], all_ones) if x.op == "num" else M("scale", (x, all_ones), ls)
    if len(own) == 1:
        return scaled(x.args[0], ones[0]) if x.op == "num" else M("scale", (x, ones[0]), ls)
    return mm([x, transpose(ones[0])] if missing[0][0] == ls[1] else [ones[0], transpose(x)], ls)
