"""From the index form back to matrix notation: products, transposes, diagonals, sums over rows.

`to_matrix` answers with a tree of `M`, which show.py and latex.py print.  In the tree every vector is a column.  A term
that has no matrix form becomes an "ein" node: a sum of products in index notation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import permutations
from typing import Any, NamedTuple

from ..ops import TABLE
from . import expr
from .expr import Factor, Labels, Mono, Number, Poly, opened, without


class M(NamedTuple):
    """A node of matrix notation; `ls` are the labels it has, () for a number, (i,) for a column, (i, j) for a matrix with rows i.

    op and args:  sym (name, what is known of it)   num (number)   ones, zeros, eye (dimensions)   T, diag (tree)   mm, had, div,
    ein (trees)   pow (tree, number or tree)   scale (number or tree, tree)   add ((number, tree), ...)   whole (name, tree, what
    is known)   fn (name, tree, labels that it mixes, or takes together if it has them no more; none entry by entry)
    """

    op: str
    args: tuple[Any, ...]
    ls: Labels


class NoMatrixForm(Exception):
    """A term needs index notation."""


ZERO, ONE = M("num", (0,), ()), M("num", (1,), ())
Base = Mapping[frozenset[int], M]  # the factors of a product, by their labels


def _effort(x: M) -> int:
    """Length, where scaling a vector reads better than a diagonal matrix, and slopes times a product than slopes inside it."""
    nodes = walk(x)
    factors = [f.args[0] if f.op == "T" else f for y in nodes if y.op == "mm" for f in y.args if len(f.ls) == 2]
    return len(nodes) + 3 * sum(y.op == "diag" for y in nodes) + 3 * sum(f.op in ("add", "fn", "pow", "div") for f in factors)


def walk(x: Any) -> list[M]:
    """Every node of a tree."""
    found, stack = [], [x]
    while stack:
        y = stack.pop()
        if isinstance(y, M):
            found.append(y)
        if isinstance(y, tuple):
            stack += y
    return found


def _flat(op: str, xs: Sequence[M]) -> list[M]:
    """Products inside a product as one product."""
    return [y for x in xs for y in (x.args if x.op == op else (x,))]


def mm(xs: Sequence[M], ls: Labels) -> M:
    """A matrix product; a diagonal matrix times a column is a product entry by entry."""
    xs = _flat("mm", xs)
    if len(xs[-1].ls) == 1 and len(ls) < 2:
        last = max((i for i, y in enumerate(xs[:-1]) if y.op == "diag"), default=None)
        if last is not None:
            v = xs[last].args[0]
            return mm([*xs[:last], hadamard([v, mm(xs[last + 1 :], v.ls)])], ls)
    return xs[0] if len(xs) == 1 else M("mm", tuple(xs), ls)


def transpose(x: M) -> M:
    """The transpose, pushed towards the names: (A B)^T is B^T A^T."""
    ls = x.ls[::-1]
    if not ls:
        return x
    if x.op == "T":
        return x.args[0]  # type: ignore[no-any-return]
    if x.op == "mm":
        return mm([transpose(y) for y in reversed(x.args)], ls)
    if x.op == "scale":
        return M("scale", (x.args[0], transpose(x.args[1])), ls)
    if x.op == "had" and len(ls) == 1 and (x.args[0].op == "mm" or is_upstream(x.args[0])):
        return mm([transpose(x.args[0]), M("diag", (hadamard(x.args[1:]),), ls * 2)], ls)
    if len(ls) == 2 and (x.op in ("diag", "eye") or (x.op in ("sym", "whole") and "symmetric" in x.args[1:])):
        return M(x.op, x.args, ls)
    if len(ls) == 2 and (x.op in ("add", "had", "div", "pow") or (x.op == "fn" and not x.args[2])):
        pushed = M(x.op, _turned_parts(x.args), ls)
        if x.op == "add":
            pushed = M("add", tuple(sorted(pushed.args, key=lambda t: (t[0] < 0, t[1].op == "T"))), ls)
        if transposes(pushed) <= transposes(x) - (x.op == "fn"):
            return pushed
    return M("T", (x,), ls)


def _turned_parts(x: Any) -> Any:
    """The parts of something elementwise, transposed; what has fewer labels broadcasts as it did."""
    if isinstance(x, M):
        return transpose(x) if len(x.ls) == 2 else x
    return tuple(map(_turned_parts, x)) if isinstance(x, tuple) else x


def facing(x: M, ls: Labels) -> M:
    """x, or its transpose if that has the labels in this order."""
    return transpose(x) if len(x.ls) == 2 and x.ls != ls else x


def transposes(x: Any) -> int:
    """How many there are in a tree."""
    return sum(y.op == "T" for y in walk(x))


def is_upstream(x: M) -> bool:
    """Is it the symbol of a gradient that comes from above?"""
    return x.op == "sym" and x.args[0].startswith("∂")


def is_sum(x: M) -> bool:
    """Is it a sum over labels?"""
    return x.op == "fn" and x.args[0] == "sum"


def hadamard(xs: Sequence[M]) -> M:
    """An elementwise product, in the order it is read."""
    ordered = sorted(_flat("had", xs), key=_place)
    return ordered[0] if len(ordered) == 1 else M("had", tuple(ordered), ordered[0].ls)


def _place(y: M) -> Any:
    """Gradients, products, differences, names, 1 - y and other sums; of numbers names and differences first."""
    # a difference is a residual, such as w x - y, and neither 1 - y nor what is centred, such as g - sum(g)
    difference = y.op == "add" and any(c < 0 for c, _ in y.args) and all(t.op != "num" and t.ls == y.ls for _, t in y.args)
    number = not y.ls and y.op != "sym" and not difference
    return number, y.op == "add" and not difference, y.op not in ("mm", "ein") and not is_sum(y), not is_upstream(y), not difference


def scaled(c: Number | M, x: M) -> M:
    """A number, or a tree of one, times a tree."""
    if isinstance(c, M) and c.op != "num":
        return M("scale", (c, x), x.ls)
    k = c.args[0] if isinstance(c, M) else c
    if k == 1:
        return x
    if x.op == "num":
        return M("num", (expr.number(k * x.args[0]),), ())
    if x.op == "div" and x.args[0].op == "num":
        return M("div", (scaled(k, x.args[0]), x.args[1]), x.ls)
    return M("scale", (k, x), x.ls)


def summed(terms: Sequence[tuple[Number, M]], want: Labels) -> M:
    """The sum of numbers times trees."""
    if len(terms) < 2:
        return scaled(*terms[0]) if terms else ZERO
    return M("add", tuple(terms), tuple(k for k in want if any(k in y.ls for _, y in terms)))


def total(x: M, ls: Labels) -> M:
    """The sum over all labels but these; of a vector times another a product of a row and a column."""
    if is_sum(x):
        return total(x.args[1], ls)
    if len(x.ls) == 1 and x.op == "had":
        return mm([transpose(hadamard(x.args[:-1])), x.args[-1]], ())
    if len(x.ls) == 1 and x.op == "pow" and x.args[1] == 2:
        return mm([transpose(x.args[0]), x.args[0]], ())
    return M("fn", ("sum", x, tuple(k for k in x.ls if k not in ls)), ls)


def squared(x: M) -> M | None:
    """The v of a sum of squares of v."""
    if is_sum(x) and not x.ls and x.args[1].op == "pow" and x.args[1].args[1] == 2:
        return x.args[1].args[0]  # type: ignore[no-any-return]
    if x.op == "mm" and len(x.args) == 2 and not x.ls and x.args[0] == transpose(x.args[1]):
        return x.args[1]  # type: ignore[no-any-return]
    return None


# ---------------------------------------------------------------- expressions to trees


def to_matrix(p: Poly, want: Labels = ()) -> M:
    """The tree of an expression whose axes are `want`; terms that broadcast may have fewer."""
    terms: list[tuple[Number, M]] = []
    for m, c in p.terms.items():
        turned = _difference(m) if c < 0 else None
        terms.append((c if turned is None else -c, _network(_factors(m, want, turned), (), want)))
    return summed(sorted(terms, key=_reading_order), want)


def _reading_order(term: tuple[Number, M]) -> Any:
    """1 first, then long terms before short ones, names before their transposes, what is subtracted last."""
    c, x = term
    turned = transposes(x)
    return c < 0, (x.op != "num") == (c > 0), turned - len(walk(x)), turned, repr(x)


def with_ones(x: M, own: Mapping[int, str]) -> M:
    """A tree with all these labels, given with their dimensions: where it is the same along an axis, ones are written out."""
    ls = tuple(own)
    missing = [k for k in ls if k not in x.ls]
    if not missing:
        return x
    if x == ZERO:
        return M("zeros", tuple(own.values()), ls)
    if len(ls) > 2:
        ones = M("ones", tuple(own.values()), ls)
        return M("had", (x, ones), ls) if x.ls else scaled(x, ones)
    return _assemble({frozenset(x.ls): x} | {frozenset([k]): M("ones", (own[k],), (k,)) for k in missing}, ls)


def _difference(m: Mono) -> Factor | None:
    """A factor with a difference, to be written the other way round in place of a minus sign; not one that the term holds twice."""
    odd = [f for f in m if f[2].__class__ is int and f[2] % 2 == 1]
    sums = {f: {a for a in expr.atoms_in(f[0].poly) if a.kind == "group"} for f in odd}
    for f in sorted(odd, key=lambda f: f[0].kind != "group"):
        a = f[0]
        if a.kind == "group":
            found = () not in a.body.terms and min(a.body.terms.values()) < 0
        else:
            found = a.kind == "contr" and _difference(a.body.only()[0]) is not None
        if found and not any(g[2] > 0 and sums[f] & sums[g] for g in odd if g != f):
            return f
    return None


def _atom(f: Factor, want: Labels, flip: bool) -> M:
    """The tree of a factor without its power, unless it is an exponential; with `flip` its opposite."""
    a, ls, q = f
    order = _in_order(ls, want)
    if len(ls) == 2 and ls[0] == ls[1] and (a.kind == "var" or a.mixed):
        return M("diag", (_atom((a, tuple(expr.fresh((0, 1)).values()), 1), (), flip),), order)
    if a.kind in ("var", "num", "size"):
        x = M("sym", (a.name, "condition") if a.indicator else (a.name, "symmetric") if a.symmetric else (a.name,), ls)
        return M("ein", (x,), order) if len(order) < len(ls) else facing(x, order)  # ein: the diagonal of two of three axes
    if a.kind == "delta":
        return M("eye", a.dims[:1], ls)
    if a.kind == "group":
        return to_matrix(expr.scale(opened(a, ls), -1 if flip else 1), order)
    if a.kind == "fn" and a.name in TABLE and isinstance(TABLE[a.name].index, str):  # of a whole matrix
        x = with_ones(to_matrix(a.body, (0, 1)), {**dict(enumerate(a.dims)), **a.gone})
        return facing(M("whole", (a.name, x, "symmetric") if a.symmetric else (a.name, x), ls), order)
    if a.mixed:
        x = to_matrix(opened(a, ls), ls)
        return facing(M("fn", (a.name, x, tuple(ls[i] for i in a.mixed)), x.ls), order)
    body, bound = expr.inside(a, ls)
    if a.kind == "fn" and a.name == "exp":
        return _exponential(expr.scale(body, q), order)
    if a.kind == "fn":
        own = {k: dict(zip(ls, a.dims, strict=True))[k] for k in order} | bound
        x = _with_maximum(body, own) if a.name == "==" else to_matrix(body, tuple(own))
        return M("fn", (a.name, with_ones(x, own), tuple(bound)), order)
    m = body.only()[0]
    return _network(_factors(m, order, _difference(m) if flip else None), tuple(bound), order)


def _with_maximum(p: Poly, own: Mapping[int, str]) -> M:
    """A difference from a maximum, alone or by the name of it; what is compared with it is written as inside it, to round as it does."""
    lone = [(m[0], c) for m, c in p.terms.items() if len(m) == 1 and abs(c) == m[0][2] == 1 and len(p) > 1]
    found = [f for f in lone if f[0][0].name in ("max", "min")] or [f for f in lone if f[0][0].kind == "var" and len(f[0][1]) < len(own)]
    if not found:
        return to_matrix(p, tuple(own))
    (a, ls, _), c = max(found)  # the latest name
    rest, body, bound = expr.scale(expr.others(p, ((a, ls, 1),)), -c), *expr.inside(a, ls)
    x = to_matrix(rest if bound else expr.wrap(rest), tuple(own))
    top = _atom((a, ls, 1), tuple(own), False)
    for labels in permutations(set(x.ls) - {*ls}, len(bound)) if bound else ():
        if expr.relabel(body, dict(zip(bound, labels, strict=True))) == rest:
            top = M("fn", (a.name, x, labels), top.ls)
    return M("add", ((1, x), (-1, top)) if c < 0 else ((1, top), (-1, x)), tuple(k for k in own if k in (*x.ls, *top.ls)))


def _exponential(body: Poly, ls: Labels) -> M:
    """exp, or a power if it is of a logarithm: exp(a * log(x)) is x**a."""
    m, c = body.only() if len(body) == 1 else ((), 0)
    f = next((f for f in m if f[0].name == "log" and f[0].kind == "fn" and f[2] == 1), None)
    if f is None:
        x = to_matrix(body, ls)
        return M("fn", ("exp", x, ()), x.ls)
    rest = without(m, f)
    if len(rest) == 1 and rest[0][0].kind == "group" and rest[0][2] == 1:  # a - 1 and not -(1 - a)
        exponent = expr.scale(opened(*rest[0][:2]), c)
    else:
        exponent = Poly({rest: c})
    x, y = to_matrix(opened(*f[:2]), ls), to_matrix(exponent, ls)
    return M("pow", (x, y), tuple(k for k in ls if k in (*x.ls, *y.ls)))


def _in_order(ls: Labels, want: Labels) -> Labels:
    return tuple(k for k in want if k in ls) if set(ls) <= set(want) else tuple(dict.fromkeys(ls))


def _factors(m: Mono, want: Labels, turned: Factor | None) -> Base:
    """Factors of equal labels multiplied entry by entry; what has negative powers goes below."""
    over: dict[frozenset[int], list[M]] = {}
    under: dict[frozenset[int], list[M]] = {}
    exps = [f for f in m if expr.exponent((f,)) is not None]
    longest = max((f[1] for f in exps), key=lambda ls: len(set(ls)), default=())
    together = tuple([f for f in exps if set(f[1]) <= set(longest)])
    joint = expr.exponent(together)
    if joint is not None and len(together) > 1:  # exp(a) exp(-b) as exp(a - b), which may be finite where they are not
        x = _exponential(joint, _in_order(longest, want))
        over[frozenset(x.ls)] = [x]
        m = without(m, *together)
    for f in sorted(m, key=lambda f: (f[0].kind == "group", f[0].kind != "contr", not f[0].name.startswith("∂"), f[0])):
        a, ls, q = f
        dims = dict(zip(ls, a.dims, strict=True))
        x = with_ones(_atom(f, want, f == turned), {k: dims[k] for k in _in_order(ls, want)})
        q = 1 if a.kind == "fn" and a.name == "exp" else q  # exp(-a) and not 1 / exp(a)
        if abs(q) != 1:
            x = M("pow", (x, abs(q)), x.ls)
        key = frozenset(x.ls)
        for first in [*over.get(key, []), *under.get(key, [])][:1]:
            x = facing(x, first.ls)
        (over if q > 0 else under).setdefault(key, []).append(x)
    out = {}
    for key in {**over, **under}:
        top = hadamard(over[key]) if key in over else ONE
        out[key] = M("div", (top, hadamard(under[key])), under[key][0].ls) if key in under else top
    return out


def _network(base: Base, bound: Labels, want: Labels) -> M:
    """A product summed over `bound`: by the best order of elimination, or else in index notation, numbers before it."""
    found = []
    if all(len(s) <= 2 for s in base) or not bound:
        for order in permutations(bound) if len(bound) <= 4 else [bound]:
            with suppress(NoMatrixForm):
                found.append(_eliminate(base, order, want))
    if found:
        return min(found, key=_effort)
    x = M("ein", tuple(x for s, x in base.items() if s), tuple(k for k in want if any(k in s for s in base)))
    return scaled(base.get(frozenset(), ONE), x)


def _eliminate(given: Base, order: Labels, want: Labels) -> M:
    """A product summed over labels one after the other."""
    base = dict(given)
    left = list(order)
    while left:  # in this order; of a long chain from its ends, matrix times vector again and again
        k = left[0] if len(order) <= 4 else min(left, key=lambda k: sum(k in s and len(s) == 2 for s in base))
        left.remove(k)
        v = base.pop(frozenset([k]), None)
        touching = [s for s in base if k in s]
        others = [next(iter(s - {k})) for s in touching]
        if not touching and v is not None:
            x = total(v, ())
        elif len(touching) == 1:
            (a,) = others
            x = facing(base.pop(touching[0]), (a, k))
            x = total(x, (a,)) if v is None else mm([x, v], (a,))
        elif len(touching) == 2:
            if others[1] in want[:1]:
                others.reverse()
                touching.reverse()
            a, b = others
            middle = [M("diag", (v,), (k, k))] if v is not None else []
            x = mm([facing(base.pop(touching[0]), (a, k)), *middle, facing(base.pop(touching[1]), (k, b))], (a, b))
        else:
            raise NoMatrixForm
        y = base.get(frozenset(x.ls))
        base[frozenset(x.ls)] = x if y is None else hadamard([y, facing(x, y.ls)])
    return _assemble(base, want)


def _assemble(base: Base, want: Labels) -> M:
    """What is left of a term: numbers times vectors times at most one matrix."""
    vectors = {next(iter(s)): x for s, x in base.items() if len(s) == 1}
    larger = [x for s, x in base.items() if len(s) > 1]
    ls = tuple(k for k in want if any(k in s for s in base))
    if len(larger) > 1 or len(vectors) > 2 or not set().union(*base) <= set(want):
        raise NoMatrixForm
    if not larger:
        x = mm([vectors[ls[0]], transpose(vectors[ls[1]])], ls) if len(ls) == 2 else vectors[ls[0]] if ls else ONE
    elif vectors and len(ls) > 2:
        raise NoMatrixForm
    elif larger[0].op == "eye" and vectors:
        x = M("diag", (hadamard(list(vectors.values())),), ls)
    else:
        left, right = ([M("diag", (vectors[k],), (k, k))] if k in vectors else [] for k in ls[:2])
        x = mm([*left, facing(larger[0], ls), *right], ls)
    numbers = base.get(frozenset(), ONE)
    return scaled(numbers, x) if ls else numbers
