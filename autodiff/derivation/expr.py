"""The index normal form: what a tensor expression is while it is being worked on.

A `Poly` is a sum of terms, a term a number times powers of atoms, and each atom carries labels: equal labels
mean the same axis, a label that a term lacks means broadcasting.  Summation lives only inside atoms of kind
"contr", one connected contraction each.  So matrix products, transposes, traces, diagonals, sums over axes and
broadcasting are all one thing here, and `(A B)^T = B^T A^T` or `1^T a = sum(a)` hold without any rule.

Labels are integers: 0, 1, .. are the axes of the result, from PASSENGER on they pass through every op
untouched (the axes of a variable that a Jacobian is taken in), from BOUND on they are being summed.
This file knows nothing of graphs, ops or printing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from fractions import Fraction
from itertools import count, permutations, product
from typing import Any

Number = int | Fraction
Labels = tuple[int, ...]
Factor = tuple["Atom", Labels, Number]
Mono = tuple[Factor, ...]

PASSENGER, BOUND = 100, 1000
LEAVES = ("var", "num", "size", "delta")
COMPARISONS = (">", ">=", "==")  # functions that ask how an operand stands to 0
SIGNED = {"abs": None, "relu": None, "sign": 1, ">": 1, ">=": 1, "==": 0}  # of what is positive; None: that itself
DEPTH_LIMIT = 60  # parentheses within parentheses; nobody reads more
ATOM_LIMIT = 20_000
COST_LIMIT = 3_000  # symbols to read

_fresh = count(BOUND).__next__
_ids = count(4, 4).__next__  # those between are for what is known of a variable
_atoms: ContextVar[dict[Any, Atom]] = ContextVar("atoms")


class TooDeep(Exception):
    """The expression outgrew what can be worked on; callers say which node and what to do."""


class Atom(int):
    """A factor that the normal form does not look into.

    Atoms are interned: equal structure, same object.  An atom IS its number in the order of creation, so
    that terms sort and hash as fast as tuples of integers do, and what it is made of has smaller numbers.
    Deltas have negative numbers and so come first in every term.
    """

    kind: str  # var | num | size | delta | fn | group | contr | whole | over | along
    name: str
    dims: tuple[str, ...]
    body: Poly  # what it is made of (leaves: nothing), over labels 0, 1, ..: its own axes, then (contr, over) those it goes over
    bound: tuple[str, ...]  # contr and over: the dimensions that it goes over
    over: tuple[int, ...]  # along: the own axes that it mixes
    parts: frozenset[Atom]
    depth: int
    cost: int
    has_delta: bool
    positive: bool
    indicator: bool  # is every entry 0 or 1?
    symmetric: bool  # is it a matrix that equals its transpose, by assumption or by how it is made?
    poly: Poly  # the atom alone, over its own axes


class Poly:
    """A sum of terms; immutable."""

    __slots__ = ("terms", "_hash")

    def __init__(self, terms: dict[Mono, Number]) -> None:
        self.terms = terms
        self._hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Poly) and self.terms == other.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def only(self) -> tuple[Mono, Number]:
        """The one term and its coefficient."""
        return next(iter(self.terms.items()))


ZERO, ONE = Poly({}), Poly({(): 1})


def start(table: dict[Any, Atom] | None = None) -> dict[Any, Atom]:
    """Begin a derivation with atoms of its own, so that the same graph always gives the same formula; or go on with one."""
    table = {} if table is None else table
    _atoms.set(table)
    return table


def number(x: Number) -> Number:
    """The same number, as an int if it is whole."""
    return x.numerator if x.__class__ is Fraction and x.denominator == 1 else x


def constant(c: Number) -> Poly:
    """A plain number as a Poly."""
    return Poly({(): c}) if c else ZERO


# ---------------------------------------------------------------- atoms


def _make(
    key: Any, kind: str, name: str, dims: tuple[str, ...], body: Poly = ZERO, bound: tuple[str, ...] = (), place: int | None = None
) -> Atom:
    atoms = _atoms.get()
    found = atoms.get(key)
    if found is not None:
        return found
    if len(atoms) > ATOM_LIMIT:
        raise TooDeep
    atom = Atom(-_ids() if kind == "delta" else _ids() if place is None else place)
    atom.kind, atom.name, atom.dims, atom.body, atom.bound = kind, name, dims, body, bound
    atom.parts = frozenset(a for m in body.terms for a, _, _ in m)
    atom.depth = 1 + max((a.depth for a in atom.parts), default=0)
    if atom.depth > DEPTH_LIMIT:
        raise TooDeep
    atom.has_delta = kind == "delta" or (kind in ("group", "contr") and any(a.has_delta for a in atom.parts))
    atom.indicator = kind == "fn" and name in COMPARISONS
    atom.positive = kind in ("size", "along") or (kind == "fn" and name in ("exp", "sigmoid", "softplus"))
    atom.positive = atom.positive or (kind in ("group", "contr") and _positive(body))
    atom.symmetric = kind in ("fn", "group", "whole") and len(dims) == 2 and dims[0] == dims[1] and relabel(body, {0: 1, 1: 0}) == body
    inside = cost(body)
    sums = {a for a in atom.parts if a.kind == "contr"}
    nested = kind == "group" and any(a.kind == "group" for a in atom.parts.union(*(a.parts for a in sums)))
    own = {"var": 2, "num": 2, "fn": 3, "contr": 2, "group": 1 + nested, "whole": 3, "over": 3, "along": 3}
    atom.cost = own.get(kind, 1) + inside + (6 if kind == "group" and atom.has_delta else 0)
    if atom.cost > COST_LIMIT:
        raise TooDeep
    atom.poly = Poly({((atom, tuple(range(len(dims))), 1),): 1})
    atoms[key] = atom
    return atom


def _positive(p: Poly) -> bool:
    """Can no entry be negative, whatever the values?"""
    return min(p.terms.values()) > 0 and all(a.positive or (q.__class__ is int and q % 2 == 0) for m in p.terms for a, _, q in m)


def var(name: str, dims: Iterable[str], indicator: bool = False) -> Atom:
    """The atom of a name."""
    atom = _make(("var", name), "var", name, tuple(dims))
    atom.indicator = atom.indicator or indicator
    return atom


def known(atom: Atom, symmetric: bool, positive: bool) -> Atom:
    """The atom of a variable of which something is assumed, beside that of the variable."""
    if not (symmetric or positive):
        return atom
    found = _make(("var", atom.name, symmetric, positive), "var", atom.name, atom.dims, place=atom + symmetric + 2 * positive)
    found.indicator, found.symmetric, found.positive = atom.indicator, symmetric, positive
    return found


def numeral(x: float) -> Poly:
    """A number that is no short fraction: an atom that prints as it was written."""
    sign, name = -1 if x < 0 else 1, repr(abs(x))
    return scale(_make(("num", abs(x)), "num", name if math.isfinite(x) else "np." + name, ()).poly, sign)


def size(dim: str) -> Poly:
    """How long an axis is."""
    return _make(("size", dim), "size", dim, ()).poly


def delta(dim: str) -> Atom:
    """1 where two labels are equal, else 0."""
    return _make(("delta", dim), "delta", "", (dim, dim))


def whole(name: str, p: Poly, in_dims: tuple[str, ...], dims: tuple[str, ...]) -> Poly:
    """A function of a whole matrix, such as its inverse; passengers of `p` would be lost and are refused."""
    if any(label >= PASSENGER for label in free(p)):
        raise TooDeep
    turned = relabel(p, {0: 1, 1: 0})
    if sorted(turned.terms.items()) < sorted(p.terms.items()):  # of A^T it is the transpose of what it is of A
        atom = _make(("whole", name, turned, dims[::-1]), "whole", name, dims[::-1], turned, in_dims[::-1])
        return factor(atom, tuple(range(len(dims)))[::-1])
    return _make(("whole", name, p, dims), "whole", name, dims, p, in_dims).poly


def over(name: str, p: Poly, gone: dict[int, str]) -> Poly:
    """A function of all entries along some axes, such as the maximum; passengers of p would be lost and are refused."""
    if any(label >= PASSENGER for label in free(p) - gone.keys()):
        raise TooDeep
    own = tuple(sorted(free(p) - gone.keys()))
    body = relabel(p, {label: k for k, label in enumerate((*own, *gone))})
    dims = {label: d for m in p.terms for label, d in dims_of(m).items()}
    atom = _make((name, body, len(own)), "over", name, tuple(dims[x] for x in own), body, tuple(gone.values()))
    return factor(atom, own)


def factor(atom: Atom, labels: Labels, power: Number = 1) -> Poly:
    """One atom at some labels, to a power."""
    return Poly({settle({(atom, labels): power}): 1})


# ---------------------------------------------------------------- labels


def free(p: Poly) -> set[int]:
    """The labels that occur in p."""
    return {label for m in p.terms for _, ls, _ in m for label in ls}


def labels_of(m: Mono) -> set[int]:
    """The labels that occur in one term."""
    return {label for _, ls, _ in m for label in ls}


def dims_of(m: Mono) -> dict[int, str]:
    """The dimension of each label of a term."""
    return {label: dim for a, ls, _ in m for label, dim in zip(ls, a.dims, strict=True)}


def relabel(p: Poly, names: Mapping[int, int]) -> Poly:
    """The same expression at other labels; labels that `names` lacks stay."""
    get = names.get
    out: dict[Mono, Number] = {}
    for m, c in p.terms.items():
        powers: dict[tuple[Atom, Labels], Number] = {}
        for a, ls, q in m:
            key = (a, tuple([get(label, label) for label in ls]))
            powers[key] = powers.get(key, 0) + q
        n = settle(powers)
        out[n] = out.get(n, 0) + c
    return Poly({m: c for m, c in out.items() if c})


def settle(powers: dict[tuple[Atom, Labels], Number]) -> Mono:
    """A term in its normal order, with deltas carried out on the other factors."""
    if any(a.symmetric and ls[0] > ls[1] for a, ls in powers):
        powers, given = {}, powers
        for (a, ls), q in given.items():
            key = a, tuple(sorted(ls)) if a.symmetric else ls
            powers[key] = powers.get(key, 0) + q
    m = tuple(sorted([(a, ls, 1 if a.indicator and q > 0 else number(q)) for (a, ls), q in powers.items() if q]))
    if not m or m[0][0] > 0:
        return m
    same: dict[int, int] = {}
    for a, ls, _ in m:
        if a < 0:
            low, high = sorted(_root(same, label) for label in ls)
            if low != high:
                same[high] = low
    merged: dict[tuple[Atom, Labels], Number] = {}
    for a, ls, q in m:
        if a > 0:
            key = (a, tuple([_root(same, label) for label in ls]))
            merged[key] = number(merged.get(key, 0) + q)
    kind = {label: a for a, ls, _ in m if a < 0 for label in ls}
    deltas = [(kind[high], (_root(same, high), high), 1) for high in same]
    return tuple(sorted([*deltas, *((a, ls, q) for (a, ls), q in merged.items() if q)]))


def _root(same: dict[int, int], label: int) -> int:
    while label in same:
        label = same[label]
    return label


def opened(a: Atom, ls: Labels) -> Poly:
    """What an atom is made of, at these labels."""
    return relabel(a.body, dict(enumerate(ls)))


def without(m: Mono, *gone: Factor) -> Mono:
    """The other factors of a term."""
    return tuple([f for f in m if f not in gone])


# ---------------------------------------------------------------- sums, products, powers


def add(*ps: Poly) -> Poly:
    """The sum."""
    out: dict[Mono, Number] = {}
    for p in ps:
        for m, c in p.terms.items():
            out[m] = out.get(m, 0) + c
    return Poly({m: number(c) for m, c in out.items() if c})


def scale(p: Poly, c: Number) -> Poly:
    """A number times p."""
    return p if c == 1 else Poly({m: number(v * c) for m, v in p.terms.items()}) if c else ZERO


def times(m: Mono, n: Mono) -> Mono:
    """The product of two terms; powers of equal factors add up, so y * y^-1 is gone."""
    if not m or not n:
        return m or n
    powers = {(a, ls): q for a, ls, q in m}
    for a, ls, q in n:
        powers[a, ls] = powers.get((a, ls), 0) + q
    return settle(powers)


def mul(p: Poly, q: Poly) -> Poly:
    """The product; sums stay together as factors of their own."""
    if not p.terms or not q.terms:
        return ZERO
    if len(p) == 1 and () in p.terms:
        return scale(q, p.terms[()])
    if len(q) == 1 and () in q.terms:
        return scale(p, q.terms[()])
    (m, c), (n, d) = wrap(p).only(), wrap(q).only()
    return Poly({times(m, n): number(c * d)})


def content(p: Poly) -> tuple[Number, Mono]:
    """The number and the factors (also denominators) that all terms share."""
    monos = [{(a, ls): q for a, ls, q in m} for m in p.terms]
    common = {}
    for key in {key: None for m in monos for key in m if key[0] > 0}:
        powers = [m.get(key, 0) for m in monos]
        low = max(powers) if key[0].kind == "size" and max(powers) <= 0 else min(powers)  # x - sum(x) / m stays as it is
        if low and not (key[0].kind == "size" and min(powers) < 0 < max(powers)):
            common[key] = low
    numbers = [Fraction(c) for c in p.terms.values()]
    top, bottom = math.gcd(*(c.numerator for c in numbers)), math.lcm(*(c.denominator for c in numbers))
    shared = Fraction(top, bottom)  # 0.5 x + y / 3 is not made 1/6 (3 x + 2 y), nor x + 0.001 made 0.001 (1000 x + 1)
    short = shared.denominator == 1 or (shared in map(abs, numbers) and max(map(abs, numbers)) < 10 * shared)
    exps = [key for key in common if key[0].name == "exp" and common[key] < 0]
    if len(exps) > 1:  # exp(-a) + exp(-b) is not made (exp(a) + exp(b)) / exp(a + b), which overflows
        common = {key: q for key, q in common.items() if key not in exps or all(key in m for m in monos)}
    return number(shared if short else Fraction(1)), settle(common)


def reciprocal(m: Mono) -> Mono:
    """1 over a term."""
    return tuple(sorted([(a, ls, -q) for a, ls, q in m]))


def wrap(p: Poly) -> Poly:
    """The same as one term: what all terms share, times a sum in parentheses."""
    if len(p) <= 1:
        return p
    c, m = content(p)
    inverse = reciprocal(m)
    rest = Poly({times(n, inverse): number(Fraction(d) / c) for n, d in p.terms.items()})
    body, order, sign = _canonical(rest)
    atom = _make(("group", body), "group", "", _dims(rest, order), body)
    return Poly({times(m, ((atom, order, 1),)): c * sign})


def power(p: Poly, k: Number) -> Poly:
    """p to a power that is a number; products come apart only where that is safe for negative factors."""
    k = number(k)
    if k == 1:
        return p
    if k == 0:
        return ONE
    if not p.terms:
        if k > 0:
            return ZERO
        raise ZeroDivisionError
    m, c = wrap(p).only()
    if m and m[0][0] < 0:  # a diagonal matrix to a power, entry by entry
        if k < 0:
            raise ZeroDivisionError
        deltas, rest = [f for f in m if f[0] < 0], tuple([f for f in m if f[0] > 0])
        return mul(Poly({tuple(deltas): 1}), power(Poly({rest: c}), k))
    if k.__class__ is int:
        out = Poly({settle({(a, ls): q * k for a, ls, q in m}): number(Fraction(c) ** k)})
        return _open(out) if any(a.kind == "group" and len(a.body.terms) == 1 for a, _, _ in m) else out
    safe = tuple([f for f in m if f[0].positive])
    rest = tuple([f for f in m if not f[0].positive])
    if c < 0 or len(rest) > 1 or any(q.__class__ is int and q % 2 == 0 for _, _, q in rest):
        body, order, sign = _canonical(Poly({rest: -1 if c < 0 else 1}))
        body = scale(body, sign)
        rest = ((_make(("group", body), "group", "", _dims(Poly({rest: 1}), order), body), order, 1),)
    powers = {(a, ls): q * k for a, ls, q in (*safe, *rest)}
    return mul(_root_of(-c if c < 0 else c, k), Poly({settle(powers): 1}))


def _open(p: Poly) -> Poly:
    """Groups of one term, made for a square root, dissolve when the power is whole again."""
    out = ONE
    for a, ls, q in p.only()[0]:
        single = a.kind == "group" and len(a.body.terms) == 1 and q.__class__ is int
        out = mul(out, power(opened(a, ls), q) if single else factor(a, ls, q))
    return scale(out, p.only()[1])


def _root_of(c: Number, k: Number) -> Poly:
    if c == 1:
        return ONE
    exact = Fraction(float(c) ** float(k)).limit_denominator(1000)
    if exact**k.denominator == Fraction(c) ** k.numerator:
        return constant(number(exact))
    return Poly({((_make(("num", float(c)), "num", repr(c) if c.__class__ is int else repr(float(c)), ()), (), k),): 1})


def _dims(p: Poly, order: Labels) -> tuple[str, ...]:
    dims: dict[int, str] = {}
    for m in p.terms:
        dims.update(dims_of(m))
    return tuple(dims[label] for label in order)


def _canonical(p: Poly, signed: bool = False) -> tuple[Poly, Labels, int]:
    """p at labels 0, 1, .. in an order, and unless `signed` with a sign, that depend on its structure alone."""
    ways = []
    for order in _orders(list(p.terms.items()), free(p)):
        q = relabel(p, {label: i for i, label in enumerate(order)})
        ways.append((sorted((m, c if signed else abs(c)) for m, c in q.terms.items()), order, q))
    _, order, q = min(ways, key=lambda way: way[:2])  # of equal ones the lowest labels
    if signed:
        return q, order, 1
    sign = 1 if q.terms[(max if only_lengths(q) else min)(q.terms)] > 0 else -1  # m - 1, but 1 - y
    return scale(q, sign), order, sign


def only_lengths(p: Poly) -> bool:
    """Is it made of numbers and lengths of axes alone?"""
    return all(a.kind == "size" for m in p.terms for a, _, _ in m)


def _orders(terms: list[tuple[Mono, Number]], labels: set[int]) -> Iterable[Labels]:
    """The orders of labels worth trying: sorted by where they occur, ties in every order."""
    if len(labels) < 2:
        return [tuple(labels)]
    marks: dict[int, list[Any]] = {label: [] for label in labels}
    for m, c in terms:
        for a, ls, q in m:
            for label in set(ls):
                if label in marks:
                    marks[label].append((a, q, tuple([0 if a.symmetric else i for i, x in enumerate(ls) if x == label]), abs(c)))
    for mark in marks.values():
        mark.sort()
    ranked = sorted(labels, key=lambda label: marks[label])
    ties: list[list[int]] = []
    for label in ranked:
        if ties and marks[ties[-1][0]] == marks[label]:
            ties[-1].append(label)
        else:
            ties.append([label])
    if math.prod(math.factorial(len(t)) for t in ties) > 720:
        return [tuple(ranked)]  # not canonical any more: like terms may stay apart, which is not wrong
    return (sum(choice, ()) for choice in product(*(permutations(t) for t in ties)))


# ---------------------------------------------------------------- contraction


def fresh(labels: Iterable[int]) -> dict[int, int]:
    """New labels to sum over, in place of these."""
    return {label: _fresh() for label in labels}


def contract(p: Poly, bound: dict[int, str], keep: bool = True) -> Poly:
    """The sum over labels, given with their dimensions.  With `keep`, a sum of terms is summed as a whole."""
    if not bound:
        return p
    if min(bound) < BOUND:  # a delta keeps the lower of its labels, which must not be the one that is summed
        names = fresh(bound)
        p, bound = relabel(p, names), {names[label]: dim for label, dim in bound.items()}
    if keep and len(p) > 1 and all(labels_of(m) >= bound.keys() for m in p.terms):
        p = wrap(p)
    return add(*(scale(_contract(m, dict(bound)), c) for m, c in p.terms.items()))


def _contract(m: Mono, bound: dict[int, str]) -> Poly:
    m = _flatten(m, bound)
    for i, (a, ls, q) in enumerate(m):
        if q == 1 and a.kind == "group" and a.has_delta and not bound.keys().isdisjoint(ls):
            spread = opened(a, ls)
            rest = m[:i] + m[i + 1 :]
            return contract(Poly({times(n, rest): c for n, c in spread.terms.items()}), bound, keep=False)
    out = ONE
    while m and m[0][0] < 0:  # a delta's higher label occurs nowhere else: summing over it removes the delta
        hit = next(((i, ls[1]) for i, (a, ls, _) in enumerate(m) if a < 0 and ls[1] in bound), None)
        if hit is None:
            break
        m = m[: hit[0]] + m[hit[0] + 1 :]
        del bound[hit[1]]
    parts: list[tuple[set[int], list[Factor]]] = []  # what is connected through summed labels
    for f in m:
        mine = bound.keys() & set(f[1])
        if not mine:
            out = Poly({times(next(iter(out.terms)), (f,)): 1})
            continue
        touching = [part for part in parts if part[0] & mine]
        parts = [part for part in parts if not part[0] & mine]
        parts.append((mine.union(*(t[0] for t in touching)), [f, *(x for t in touching for x in t[1])]))
    for label in bound.keys() - set().union(*(part[0] for part in parts)):
        out = mul(out, size(bound[label]))
    for labels, factors in parts:
        out = mul(out, _contraction(tuple(sorted(factors)), labels))
    return out


def _flatten(m: Mono, bound: dict[int, str]) -> Mono:
    """Contractions inside a contraction become one."""
    while True:
        i = next((i for i, (a, ls, q) in enumerate(m) if a.kind == "contr" and q == 1 and not bound.keys().isdisjoint(ls)), None)
        if i is None:
            return m
        a, ls, _ = m[i]
        n = len(ls)
        names = fresh(range(n, n + len(a.bound)))
        bound.update({names[n + k]: dim for k, dim in enumerate(a.bound)})
        inner = relabel(a.body, {**dict(enumerate(ls)), **names})
        m = times(m[:i] + m[i + 1 :], inner.only()[0])


def _contraction(m: Mono, bound: set[int]) -> Poly:
    dims = dims_of(m)
    ways = []
    for outer in _orders([(m, 1)], labels_of(m) - bound):
        for inner in _orders([(m, 1)], bound):
            ways.append((relabel(Poly({m: 1}), {label: i for i, label in enumerate(outer + inner)}).only()[0], outer, inner))
    n, outer, inner = min(ways)
    atom = _make(("contr", n, len(outer)), "contr", "", tuple(dims[x] for x in outer), Poly({n: 1}), tuple(dims[x] for x in inner))
    atom.symmetric = len(outer) == 2 and any(way[0] == n and way[1] == outer[::-1] for way in ways)
    return factor(atom, outer)


def inside(a: Atom, ls: Labels) -> tuple[Mono, dict[int, str]]:
    """What a contraction sums, at labels `ls`, and over which new labels."""
    n = len(ls)
    names = fresh(range(n, n + len(a.bound)))
    bound = {names[n + k]: dim for k, dim in enumerate(a.bound)}
    return relabel(a.body, {**dict(enumerate(ls)), **names}).only()[0], bound


# ---------------------------------------------------------------- functions of one operand


def fn(name: str, p: Poly) -> Poly:
    """A function applied entry by entry; exp and log know each other, and exp(-a) is exp(a)^-1."""
    found = _exp(p) if name == "exp" else _log(p) if name == "log" else _compared(name, p) if name in COMPARISONS else None
    if found is not None:
        return found
    if (
        name in SIGNED
        and len(p) == 1
        and p.only()[1] > 0
        and all(a.positive and a.kind not in ("group", "contr") for a, _, _ in p.only()[0])
    ):
        return p if SIGNED[name] is None else constant(SIGNED[name])  # type: ignore[arg-type]
    q, order, _ = _canonical(p, signed=True)
    return factor(_make(("fn", name, q), "fn", name, _dims(p, order), q), order)


def softmax(p: Poly, along: dict[int, str]) -> Poly:
    """exp(p) over its sum along labels, given with their dimensions; what is the same along them makes no difference."""
    p = Poly({m: c for m, c in p.terms.items() if not along.keys().isdisjoint(labels_of(m))})
    out = ONE
    for label in along.keys() - free(p):
        out = mul(out, power(size(along[label]), -1))
    if not p.terms:
        return out
    q, order, _ = _canonical(p, signed=True)
    axes = tuple([i for i, label in enumerate(order) if label in along])
    atom = _make(("softmax", axes, q), "along", "softmax", _dims(p, order), q)
    atom.over = axes
    return mul(out, factor(atom, order))


def exponent(m: Mono) -> Poly | None:
    """What a term that is nothing but exponentials is the exponential of; None for any other."""
    if not m or not all(a.kind == "fn" and a.name == "exp" and q.__class__ is int for a, _, q in m):
        return None
    return add(*(scale(opened(a, ls), q) for a, ls, q in m))


def _compared(name: str, p: Poly) -> Poly | None:
    """A number compared with 0, and whether a condition fails."""
    if p.terms.keys() <= {()}:
        c = p.terms.get((), 0)
        return constant(int({">": c > 0, ">=": c >= 0, "==": c == 0}[name]))
    _, c = wrap(p).only()
    if abs(c) != 1:  # 2 x > 0 where x > 0
        return fn(name, scale(p, abs(1 / Fraction(c))))
    if name == "==" and len(p) == 1 and all(a.indicator for a, _, _ in p.only()[0]):
        return add(ONE, Poly({p.only()[0]: -1}))
    return None


def _exp(p: Poly) -> Poly | None:
    if not p.terms:
        return ONE
    everywhere = free(p)
    apart = {m: c for m, c in p.terms.items() if labels_of(m) != everywhere}
    if apart and len(apart) < len(p):  # exp(z_i - c) = exp(z_i) exp(-c): what broadcasts comes out
        return mul(fn("exp", Poly({m: c for m, c in p.terms.items() if m not in apart})), fn("exp", Poly(apart)))
    if wrap(p).only()[1] < 0:
        return power(fn("exp", scale(p, -1)), -1)
    (m, c) = p.only()
    if len(p) > 1 or len(m) != 1 or m[0][2] != 1:
        return None
    a, ls, _ = m[0]
    if a.kind == "fn" and a.name == "log":
        return power(opened(a, ls), c)
    if a.kind == "over" and a.name == "logsumexp":
        names = fresh(range(len(ls), len(ls) + len(a.bound)))
        e = fn("exp", relabel(a.body, {**dict(enumerate(ls)), **names}))
        return power(contract(e, dict(zip(names.values(), a.bound, strict=True))), c)
    return None


def _log(p: Poly) -> Poly | None:
    if p == ONE:
        return ZERO
    m, c = wrap(p).only() if p.terms else ((), 0)
    if c != 1 or not all(a.positive for a, _, _ in m):
        return None
    logs = [_log_of(a, ls) for a, ls, _ in m]
    if not any(logs):
        return None
    return add(*(scale(x or fn("log", factor(a, ls)), q) for x, (a, ls, q) in zip(logs, m, strict=True)))


def _log_of(a: Atom, ls: Labels) -> Poly | None:
    """The logarithm of an exponential, of a sum of them, and of a softmax, in forms that do not overflow."""
    if a.kind == "fn" and a.name == "exp":
        return opened(a, ls)
    if a.kind == "along":
        names = fresh(a.over)
        x = opened(a, ls)
        shifted = relabel(a.body, {**dict(enumerate(ls)), **names})
        return add(x, scale(over("logsumexp", shifted, {names[i]: a.dims[i] for i in a.over}), -1))
    if a.kind == "contr":
        m, bound = inside(a, ls)
        e = exponent(m)
        return None if e is None or not bound.keys() <= free(e) else over("logsumexp", e, bound)
    return None


# ---------------------------------------------------------------- cost and rewriting


def cost(p: Poly) -> int:
    """How long the expression takes to read; denominators read worse than factors."""
    total = max(0, len(p) - 1)
    for m, c in p.terms.items():
        own = 0 if abs(c) == 1 else 1
        for a, _, q in m:
            own += a.cost + (0 if q == 1 else 1 if q > 0 else 0 if a.kind == "size" else 2 if q == -1 else 3)
        total += max(own, 1)
    return total


def atoms_in(p: Poly, known: Mapping[Atom, Any] = {}) -> list[Atom]:
    """Every atom in p, and in what those are made of, parts before wholes; not below those in `known`."""
    seen = {a for m in p.terms for a, _, _ in m if a not in known}
    stack = list(seen)
    while stack:
        for a in stack.pop().parts:
            if a not in seen and a not in known:
                seen.add(a)
                stack.append(a)
    return sorted(seen)


class Rewrite:
    """A rule on Polys, applied everywhere inside an expression, innermost first; remembers what it has seen."""

    def __init__(self, rule: Callable[[Poly], Poly], leaf: Callable[[Atom], Poly | None] | None = None) -> None:
        self._rule, self._leaf = rule, leaf
        self._made: dict[Atom, Poly] = {}

    def __call__(self, p: Poly) -> Poly:
        for a in atoms_in(p, self._made):
            self._made[a] = self._atom(a)
        return self._rule(self._assemble(p))

    def _atom(self, a: Atom) -> Poly:
        new = self._leaf(a) if self._leaf is not None else None
        if new is not None:
            return new
        if a.kind in LEAVES:
            return a.poly
        untouched = all(self._made[x] is x.poly for x in a.parts) and self._rule(a.body) == a.body
        if untouched and (a.kind != "contr" or self._rule(a.poly) == a.poly):
            return a.poly
        own = tuple(range(len(a.dims)))
        if a.kind == "contr":
            m, bound = inside(a, own)
            return contract(self._rule(self._assemble(Poly({m: 1}))), bound)
        body = self._rule(self._assemble(a.body))
        if a.kind == "group":
            return body
        if a.kind == "over":
            return over(a.name, body, {len(own) + k: d for k, d in enumerate(a.bound)})
        if a.kind == "along":
            return softmax(body, {i: a.dims[i] for i in a.over})
        return fn(a.name, body) if a.kind == "fn" else whole(a.name, body, a.bound, a.dims)

    def _assemble(self, p: Poly) -> Poly:
        made = self._made
        if all(made[a] is a.poly for m in p.terms for a, _, _ in m):
            return p
        parts = []
        for m, c in p.terms.items():
            t = constant(c)
            for a, ls, q in m:
                new = made[a]
                t = mul(t, factor(a, ls, q) if new is a.poly else power(relabel(new, dict(enumerate(ls))), q))
            parts.append(t)
        return add(*parts)


def substitute(p: Poly, table: Mapping[Atom, Poly]) -> Poly:
    """p with variables replaced by expressions over their own axes."""
    if not table or not any(a in table for a in atoms_in(p)):
        return p
    return Rewrite(lambda q: q, table.get)(p)
