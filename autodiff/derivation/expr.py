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
import operator
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from fractions import Fraction
from functools import reduce
from itertools import chain, count, groupby, permutations, product
from typing import Any

Number = int | Fraction
Labels = tuple[int, ...]
Dims = Mapping[int, str]  # labels with their dimensions
Factor = tuple["Atom", Labels, Number]
Mono = tuple[Factor, ...]

NONE: Dims = {}
PASSENGER, BOUND = 100, 1000
COMPARISONS = {">": operator.gt, ">=": operator.ge, "==": operator.eq}  # functions that ask how an operand stands to 0
SIGNED = {"abs": None, "relu": None, "sign": 1, ">": 1, ">=": 1, "==": 0}  # of what is positive; None: that itself
EXTREMES = ("max", "min")  # never written by a name where entries are asked whether they are it: both sides must round alike
POSITIVE = ("exp", "sigmoid", "softplus", "softmax")
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

    kind: str  # var | num | size | delta | group | contr | fn
    name: str  # that of a variable is never that of a function
    dims: tuple[str, ...]
    body: Poly  # what it is made of (leaves: nothing), over labels 0, 1, ..: its own axes, then those it goes over
    gone: Dims  # the labels of the body that it goes over: contr sums, max and det take all entries together
    mixed: Dims  # of its own axes those along which every entry depends on all: softmax, inv
    parts: frozenset[Atom]
    depth: int
    cost: int
    has_delta: bool
    positive: bool  # can no entry be negative?
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
    _atoms.set({} if table is None else table)
    return _atoms.get()


def number(x: Number) -> Number:
    """The same number, as an int if it is whole."""
    return x.numerator if x.__class__ is Fraction and x.denominator == 1 else x


def constant(c: Number) -> Poly:
    """A plain number as a Poly."""
    return Poly({(): c}) if c else ZERO


# ---------------------------------------------------------------- atoms


def _make(
    kind: str, name: str, dims: tuple[str, ...], body: Poly = ZERO, gone: Dims = NONE, mixed: Dims = NONE, symmetric: bool = False
) -> Atom:
    atoms, key = _atoms.get(), (kind, name, dims, body, *gone.values(), *mixed)
    if key in atoms:
        return atoms[key]
    if len(atoms) > ATOM_LIMIT:
        raise TooDeep
    atom = Atom(-_ids() if kind == "delta" else _ids())
    atom.kind, atom.name, atom.dims, atom.body, atom.gone, atom.mixed, atom.symmetric = kind, name, dims, body, gone, mixed, symmetric
    atom.parts = frozenset(a for m in body.terms for a, _, _ in m)
    atom.depth = 1 + max((a.depth for a in atom.parts), default=0)
    compound = kind in ("group", "contr")
    atom.has_delta = kind == "delta" or (compound and any(a.has_delta for a in atom.parts))
    atom.indicator = name in COMPARISONS
    atom.positive = kind == "size" or (kind == "fn" and name in POSITIVE)
    if compound:
        even = (a.positive or (q.__class__ is int and q % 2 == 0) for m in body.terms for a, _, q in m)
        atom.positive = min(body.terms.values()) > 0 and all(even)
    sums = [a.parts for a in atom.parts if a.kind == "contr"]
    nested = kind == "group" and any(a.kind == "group" for a in atom.parts.union(*sums))
    own = {"var": 2, "num": 2, "fn": 3, "contr": 2}.get(kind, 1)
    atom.cost = own + nested + cost(body) + (6 if kind == "group" and atom.has_delta else 0)
    if atom.depth > DEPTH_LIMIT or atom.cost > COST_LIMIT:
        raise TooDeep
    atom.poly = Poly({((atom, tuple(range(len(dims))), 1),): 1})
    atoms[key] = atom
    return atom


def var(name: str, dims: Iterable[str], indicator: bool = False) -> Atom:
    """The atom of a name."""
    atom = _make("var", name, tuple(dims))
    atom.indicator = atom.indicator or indicator
    return atom


def known(atom: Atom, symmetric: bool, positive: bool) -> Atom:
    """The atom of a variable of which something is assumed, beside that of the variable."""
    atoms, key = _atoms.get(), (atom, symmetric, positive)
    if (symmetric or positive) and key not in atoms:
        found = atoms[key] = Atom(atom + symmetric + 2 * positive)
        vars(found).update(vars(atom), symmetric=symmetric, positive=positive)
        found.poly = Poly({((found, tuple(range(len(atom.dims))), 1),): 1})
    return atoms.get(key, atom)


def numeral(x: float) -> Poly:
    """A number, exact if it is a short fraction or the root of one, as 1 / sqrt(3); else an atom that prints as it was written."""
    if math.isfinite(x) and float(short := Fraction(x).limit_denominator(10**6)) == x:
        return constant(number(short))
    square = Fraction(x * x).limit_denominator(100) if abs(x) < 10 else 0
    if square and math.isclose(square, x * x, rel_tol=4e-16):
        size_of = power(constant(number(square)), Fraction(1, 2))
    else:
        size_of = _make("num", repr(abs(x)) if math.isfinite(x) else f"np.{abs(x)}", ()).poly
    return scale(size_of, -1 if x < 0 else 1)


def size(dim: str) -> Poly:
    """How long an axis is."""
    return _make("size", dim, ()).poly


def delta(dim: str) -> Atom:
    """1 where two labels are equal, else 0."""
    return _make("delta", "", (dim, dim), symmetric=True)


def made_of(p: Poly, kind: str, name: str = "", gone: Dims = NONE, mixed: Dims = NONE, signed: bool = True) -> tuple[Factor, int]:
    """The atom made of p, over labels in an order that depends on the structure of p alone, and if it is not `signed` the sign of p."""
    found = {label: dim for m in p.terms for a, ls, _ in m for label, dim in zip(ls, a.dims, strict=True)}
    dims = {**found, **mixed, **gone}
    ways = []
    for own, inner in product(_orders(p, dims.keys() - gone.keys()), _orders(p, gone.keys())):
        q = relabel(p, {label: i for i, label in enumerate(own + inner)})
        ways.append((sorted((m, c if signed else abs(c)) for m, c in q.terms.items()), own, inner, q))
    _, own, inner, q = min(ways, key=lambda way: way[:3])  # of equal ones the lowest labels
    sign = 1 if signed or q.terms[(max if only_lengths(q) else min)(q.terms)] > 0 else -1  # m - 1, but 1 - y
    symmetric = len(own) == 2 and len(mixed) != 1 and any(way[1] == own[::-1] and way[3] == q for way in ways)
    gone = {i: dims[label] for i, label in enumerate(inner, len(own))}
    mixed = {i: dims[label] for i, label in enumerate(own) if label in mixed}
    return (_make(kind, name, tuple([dims[label] for label in own]), scale(q, sign), gone, mixed, symmetric), own, 1), sign


def only_lengths(p: Poly) -> bool:
    """Is it made of numbers and lengths of axes alone?"""
    return all(a.kind == "size" for m in p.terms for a, _, _ in m)


def _orders(p: Poly, labels: Iterable[int]) -> list[Labels]:
    """The orders of labels worth trying: sorted by where they occur, ties in every order."""
    labels = tuple(labels)
    if len(labels) < 2:
        return [labels]
    marks: dict[int, list[Any]] = {label: [] for label in labels}
    for m, c in p.terms.items():
        for a, ls, q in m:
            for label in marks.keys() & ls:
                insort(marks[label], (a, q, tuple([0 if a.symmetric else i for i, x in enumerate(ls) if x == label]), abs(c)))
    ranked = sorted(labels, key=marks.__getitem__)
    ties = [tuple(tie) for _, tie in groupby(ranked, key=marks.__getitem__)]
    if math.prod(math.factorial(len(tie)) for tie in ties) > 720:
        return [tuple(ranked)]  # not canonical any more: like terms may stay apart, which is not wrong
    return [sum(choice, ()) for choice in product(*map(permutations, ties))]


def factor(a: Atom, ls: Labels, k: Number = 1) -> Poly:
    """One atom at some labels, to a power; a number or a group of one term, made for a root, dissolves where the power is whole again."""
    if a.name.isdigit() and k.__class__ is int:
        return constant(number(Fraction(int(a.name)) ** k))
    if a.kind == "group" and len(a.body) == 1 and k.__class__ is int:
        return power(opened(a, ls), k)
    return Poly({settle([(a, ls, k)]): 1})


def opened(a: Atom, ls: Labels) -> Poly:
    """What an atom is made of, at these labels."""
    return relabel(a.body, dict(enumerate(ls)))


def inside(a: Atom, ls: Labels) -> tuple[Poly, dict[int, str]]:
    """What an atom is made of, at these labels and new ones for those that it goes over, which come with their dimensions."""
    names = fresh(a.gone)
    return relabel(a.body, {**dict(enumerate(ls)), **names}), {names[label]: dim for label, dim in a.gone.items()}


# ---------------------------------------------------------------- terms and sums of terms


def fresh(labels: Iterable[int]) -> dict[int, int]:
    """New labels to sum over, in place of these."""
    return {label: _fresh() for label in labels}


def free(p: Poly) -> set[int]:
    """The labels that occur in p."""
    return {label for m in p.terms for _, ls, _ in m for label in ls}


def relabel(p: Poly, names: Mapping[int, int]) -> Poly:
    """The same expression at other labels; labels that `names` lacks stay."""
    get = names.get
    return _sum((settle([(a, tuple([get(x, x) for x in ls]), q) for a, ls, q in m]), c) for m, c in p.terms.items())


def settle(factors: Iterable[Factor]) -> Mono:
    """A term in its normal order: powers of equal factors added up, so that y * y^-1 is gone, and deltas carried out on the others."""
    powers: dict[tuple[Atom, Labels], Number] = {}
    for a, ls, q in factors:
        if a.symmetric and ls[0] > ls[1]:
            ls = ls[::-1]
        powers[a, ls] = powers.get((a, ls), 0) + q
    m = tuple(sorted([(a, ls, 1 if q == 1 or (a.indicator and q > 0) else number(q)) for (a, ls), q in powers.items() if q]))
    if not m or m[0][0] > 0:
        return m
    a, (low, high), _ = min([f for f in m if f[0] < 0], key=lambda f: f[1])
    rest = settle([(b, tuple([low if x == high else x for x in ls]), q) for b, ls, q in m if (b, ls) != (a, (low, high))])
    return rest if low == high else tuple(sorted([(a, (low, high), 1), *rest]))


def _sum(terms: Iterable[tuple[Mono, Number]]) -> Poly:
    out: dict[Mono, Number] = {}
    for m, c in terms:
        out[m] = out.get(m, 0) + c
    return Poly({m: c if c.__class__ is int else number(c) for m, c in out.items() if c})


def add(*ps: Poly) -> Poly:
    """The sum."""
    return _sum(chain.from_iterable(p.terms.items() for p in ps))


def scale(p: Poly, c: Number) -> Poly:
    """A number times p."""
    return p if c == 1 else Poly({m: number(v * c) for m, v in p.terms.items()}) if c else ZERO


def times(m: Mono, n: Mono) -> Mono:
    """The product of two terms."""
    return settle(m + n) if m and n else m or n


def spread(p: Poly, m: Mono, c: Number = 1) -> Poly:
    """p times a term, term by term."""
    return _sum((times(n, m), d * c) for n, d in p.terms.items())


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


def without(m: Mono, *gone: Factor) -> Mono:
    """The other factors of a term."""
    return tuple([f for f in m if f not in gone])


def others(p: Poly, *gone: Mono) -> Poly:
    """The other terms of a sum."""
    return Poly({m: c for m, c in p.terms.items() if m not in gone})


def reciprocal(m: Mono) -> Mono:
    """1 over a term."""
    return tuple([(a, ls, -q) for a, ls, q in m])


def content(p: Poly) -> tuple[Number, Mono]:
    """The number and the factors (also denominators) that all terms share."""
    monos = [{(a, ls): q for a, ls, q in m} for m in p.terms]
    common = []
    for a, ls in {key: None for m in monos for key in m if key[0] > 0}:
        powers = [m.get((a, ls), 0) for m in monos]
        low = min(powers)
        if low < 0 and a.kind == "size":  # x - sum(x) / m stays as it is
            low = min(max(powers), 0)
        if low:
            common.append((a, ls, low))
    numbers: list[Any] = [abs(c) for c in p.terms.values()]
    shared = Fraction(math.gcd(*(c.numerator for c in numbers)), math.lcm(*(c.denominator for c in numbers)))
    # 0.5 x + y / 3 is not made 1/6 (3 x + 2 y), nor x + 0.001 made 0.001 (1000 x + 1)
    short = shared.denominator == 1 or (shared in numbers and max(numbers) < 10 * shared)
    return number(shared) if short else 1, settle(common)


def wrap(p: Poly) -> Poly:
    """The same as one term: what all terms share, times a sum in parentheses."""
    if len(p) <= 1:
        return p
    c, m = content(p)
    group, sign = made_of(spread(p, reciprocal(m), 1 / Fraction(c)), "group", signed=False)
    return Poly({times(m, (group,)): c * sign})


def power(p: Poly, k: Number) -> Poly:
    """p to a power that is a number; products come apart only where that is safe for negative factors."""
    k = number(k)
    if k == 1:
        return p
    if k == 0:
        return ONE
    if not p.terms and k > 0:
        return ZERO
    m, c = wrap(p).only() if p.terms else ((), 0)
    deltas = tuple([f for f in m if f[0] < 0])
    if k < 0 and (deltas or not c):
        raise ZeroDivisionError
    if deltas:  # a diagonal matrix to a power, entry by entry
        return mul(Poly({deltas: 1}), power(Poly({without(m, *deltas): c}), k))
    if k.__class__ is int:
        out = Poly({settle([(a, ls, q * k) for a, ls, q in m]): number(Fraction(c) ** k)})
        return each_factor(out, lambda f: factor(*f)) if any(a.kind == "num" or len(a.body) == 1 for a, _, _ in m) else out
    rest = tuple([f for f in m if not f[0].positive])
    safe = without(m, *rest)
    if c < 0 or len(rest) > 1 or any(q.__class__ is int and q % 2 == 0 for _, _, q in rest):
        rest = (made_of(Poly({rest: -1 if c < 0 else 1}), "group")[0],)
    return mul(_root_of(-c if c < 0 else c, k), Poly({settle([(a, ls, q * k) for a, ls, q in safe + rest]): 1}))


def _root_of(c: Number, k: Number) -> Poly:
    exact = Fraction(float(c) ** float(k)).limit_denominator(1000)
    if exact**k.denominator == Fraction(c) ** k.numerator:
        return constant(number(exact))
    p, q = c.as_integer_ratio()
    if max(p, q) < 10**6:
        return Poly({settle([(_make("num", str(n), ()), (), k if n == p else -k) for n in (p, q) if n != 1]): 1})
    return factor(_make("num", repr(float(c)), ()), (), k)


# ---------------------------------------------------------------- contraction


def contract(p: Poly, bound: Dims, keep: bool = True) -> Poly:
    """The sum over labels, given with their dimensions.  With `keep`, a sum of terms is summed as a whole."""
    if not bound:
        return p
    if min(bound) < BOUND:  # a delta keeps the lower of its labels, which must not be the one that is summed
        names = fresh(bound)
        p, bound = relabel(p, names), {names[label]: dim for label, dim in bound.items()}
    if keep and len(p) > 1 and all(free(Poly({m: 1})) >= bound.keys() for m in p.terms):
        p = wrap(p)
    return add(*(scale(_contract(m, dict(bound)), c) for m, c in p.terms.items()))


def _contract(m: Mono, bound: dict[int, str]) -> Poly:
    for f in m:
        a, ls, q = f
        if q == 1 and (a.kind == "contr" or (a.kind == "group" and a.has_delta)) and not bound.keys().isdisjoint(ls):
            body, more = inside(a, ls)  # a contraction inside a contraction is one with it, and a delta is carried out
            return contract(spread(body, without(m, f)), bound | more, keep=False)
    used = [f for f in m if f[0] < 0 and f[1][1] in bound]  # the higher label of a delta occurs nowhere else
    m = without(m, *used)
    for _, (_, label), _ in used:
        del bound[label]
    out = Poly({tuple([f for f in m if bound.keys().isdisjoint(f[1])]): 1})
    parts: list[tuple[set[int], Mono]] = []  # what is connected through summed labels
    for f in m:
        if mine := bound.keys() & set(f[1]):
            touching = [part for part in parts if part[0] & mine]
            parts = [part for part in parts if not part[0] & mine]
            parts.append((mine.union(*(t[0] for t in touching)), (f, *(x for t in touching for x in t[1]))))
    for label in bound.keys() - set().union(*(part[0] for part in parts)):
        out = mul(out, size(bound[label]))
    for labels, factors in parts:
        out = mul(out, Poly({(made_of(Poly({tuple(sorted(factors)): 1}), "contr", gone={x: bound[x] for x in labels})[0],): 1}))
    return out


# ---------------------------------------------------------------- functions


def fn(name: str, p: Poly, mixed: Dims = NONE, gone: Dims = NONE) -> Poly:
    """A function of p: entry by entry, along the labels that it mixes, or of all entries along those that are then gone.

    Functions know what they are of numbers, of what is positive and of each other: exp(-a) is exp(a)^-1.
    """
    if name in COMPARISONS:
        found = _compared(name, p)
    else:
        found = _exp(p) if name == "exp" else _log(p) if name == "log" else _softmax(p, mixed) if name == "softmax" else None
    if found is None and name in SIGNED and len(p) == 1:
        m, c = p.only()
        if c > 0 and all(a.positive and a.kind not in ("group", "contr") for a, _, _ in m):  # a sum of squares may be 0
            found = p if (value := SIGNED[name]) is None else constant(value)
    return _call(name, p, mixed, gone) if found is None else found


def _call(name: str, p: Poly, mixed: Dims = NONE, gone: Dims = NONE) -> Poly:
    return Poly({(made_of(p, "fn", name, gone, mixed)[0],): 1})


def _softmax(p: Poly, along: Dims) -> Poly | None:
    """What is the same along the labels makes no difference."""
    q = Poly({m: c for m, c in p.terms.items() if not along.keys().isdisjoint(free(Poly({m: c})))})
    left = {label: dim for label, dim in along.items() if label in free(q)}
    if left == along and q == p:
        return None
    sizes = [power(size(dim), -1) for label, dim in along.items() if label not in left]
    return reduce(mul, sizes, _call("softmax", q, left) if left else ONE)


def exponent(m: Mono) -> Poly | None:
    """What a term that is nothing but exponentials is the exponential of; None for any other."""
    if not m or not all(a.kind == "fn" and a.name == "exp" and q.__class__ is int for a, _, q in m):
        return None
    return add(*(scale(opened(a, ls), q) for a, ls, q in m))


def _compared(name: str, p: Poly) -> Poly | None:
    """A number compared with 0, and whether a condition fails."""
    if p.terms.keys() <= {()}:
        return constant(int(COMPARISONS[name](p.terms.get((), 0), 0)))
    m, c = wrap(p).only()
    if abs(c) != 1 and (len(p) == 1 or math.frexp(c)[0] in (0.5, -0.5)):  # 2 x > y where x > y / 2, but x / 3 == h rounds as it is
        return fn(name, scale(p, abs(1 / Fraction(c))))
    if name == "==" and len(p) == 1 and all(a.indicator for a, _, _ in m):
        return add(ONE, Poly({m: -1}))
    return None


def _exp(p: Poly) -> Poly | None:
    if not p.terms:
        return ONE
    everywhere = free(p)
    apart = {m: c for m, c in p.terms.items() if free(Poly({m: c})) != everywhere}
    if apart and len(apart) < len(p):  # exp(z_i - c) = exp(z_i) exp(-c): what broadcasts comes out
        return mul(fn("exp", others(p, *apart)), fn("exp", Poly(apart)))
    if wrap(p).only()[1] < 0:
        return power(fn("exp", scale(p, -1)), -1)
    m, c = p.only()
    if len(p) == len(m) == 1 and m[0][2] == 1 and m[0][0].name in ("log", "logsumexp"):
        x, gone = inside(m[0][0], m[0][1])
        return power(contract(fn("exp", x), gone) if gone else x, c)
    return None


def _log(p: Poly) -> Poly | None:
    m, c = wrap(p).only() if p.terms else ((), 0)
    if c != 1 or not all(a.positive for a, _, _ in m):
        return None
    logs = [_log_of(a, ls) for a, ls, _ in m]
    if m and not any(logs):
        return None
    return add(*(scale(x or fn("log", factor(a, ls)), q) for x, (a, ls, q) in zip(logs, m, strict=True)))


def _log_of(a: Atom, ls: Labels) -> Poly | None:
    """The logarithm of an exponential, of a sum of them, and of a softmax, in forms that do not overflow."""
    if a.name == "exp":
        return opened(a, ls)
    if a.name == "softmax":
        names = fresh(a.mixed)
        x = relabel(a.body, {**dict(enumerate(ls)), **names})
        return add(opened(a, ls), scale(_call("logsumexp", x, gone={names[i]: dim for i, dim in a.mixed.items()}), -1))
    if a.kind == "contr":
        body, gone = inside(a, ls)
        e = exponent(body.only()[0])
        return None if e is None or not gone.keys() <= free(e) else _call("logsumexp", e, gone=gone)
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


def each_factor(p: Poly, change: Callable[[Factor], Poly]) -> Poly:
    """p with something else in place of each factor."""
    return add(*(reduce(mul, map(change, m), constant(c)) for m, c in p.terms.items()))


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
        body = self._rule(self._assemble(a.body))
        if body == a.body:
            return a.poly
        if a.kind == "fn":
            return fn(a.name, body, a.mixed, a.gone)
        return contract(body, a.gone)

    def _assemble(self, p: Poly) -> Poly:
        made = self._made
        if all(made[a] is a.poly for m in p.terms for a, _, _ in m):
            return p
        return each_factor(p, lambda f: power(relabel(made[f[0]], dict(enumerate(f[1]))), f[2]))


def divisors(p: Poly) -> set[Atom]:
    """The atoms that stand in denominators, also within others."""
    return {a for q in (p, *(b.body for b in atoms_in(p))) for m in q.terms for a, _, k in m if k < 0}


def substitute(p: Poly, table: Mapping[Atom, Poly]) -> Poly:
    """p with variables replaced by expressions over their own axes."""
    if not table or not any(a in table for a in atoms_in(p)):
        return p
    return Rewrite(lambda q: q, table.get)(p)
