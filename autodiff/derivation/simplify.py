"""The simplifier: a handful of rewrites on the normal form, and the choice of the result that reads shortest.

The normal form already does most of the work.  What is left: multiply out, put names back in place of what they
stand for, use what is known to sum to one, recognise sigmoid and softmax, rely on conditions, take common factors out.  All but
what functions and conditions say is done only where the reading cost drops.  Nothing here is trusted: verify.py checks each result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations, permutations, product

from . import expr
from .expr import ONE, Atom, Factor, Mono, Number, Poly, Rewrite, add, contract, cost, factor, free, inside, mul, opened, power, scale, wrap

EXPAND_LIMIT = 40  # terms; beyond, multiplying out helps nobody

Rule = Callable[[Poly], Poly]
Ways = Callable[[Poly], Iterator[Poly]]  # other ways to write an expression, best first
Replacement = tuple[frozenset[Atom], Rewrite]  # the atoms that something to be replaced is made of, and the rule


def settled(q: Poly, ways: Ways) -> Poly:
    """q written in the first of the ways that there are, again and again until there is none."""
    while (new := next(ways(q), None)) is not None:
        q = new
    return q


def shorter(ways: Ways) -> Rule:
    """The rule that takes those of the ways that are shorter."""
    return lambda q: settled(q, lambda p: (new for new in ways(p) if cost(new) < cost(p)))


def termwise(ways: Callable[[Mono], Iterator[Poly]]) -> Ways:
    """The ways to write a sum with one of its terms written in another way."""

    def each(q: Poly) -> Iterator[Poly]:
        for m, c in q.terms.items():
            yield from (add(expr.others(q, m), scale(new, c)) for new in ways(m))

    return each


# ---------------------------------------------------------------- multiplying out


def _expand(q: Poly) -> Poly:
    """Products over sums multiplied out, also inside contractions; q itself if that gives too many terms."""
    wide = q
    while (wider := next(_wider(wide), None)) is not None:
        if len(wider) > EXPAND_LIMIT:
            return q
        wide = wider
    return wide


@termwise
def _wider(m: Mono) -> Iterator[Poly]:
    for f in m:
        if _opens(f, m) or (f[0].kind == "contr" and f[2] == 1 and any(_opens(g, n) for n in f[0].body.terms for g in n)):
            body, bound = inside(f[0], f[1])
            wider = next(_wider(body)) if bound else body
            yield expr.spread(contract(wider, bound, keep=False), expr.without(m, f))


def _is_sum(f: Factor) -> bool:
    return f[0].kind == "group" and f[2] == 1


def _opens(f: Factor, m: Mono) -> bool:
    """Is it a sum to multiply out?  Not one that meets itself, as in C^T C: its parts may be larger than what is left of them."""
    return _is_sum(f) and sum(g[0] is f[0] for g in m) == 1


# ---------------------------------------------------------------- putting names back


def _found(lhs: Mono, m: Mono, fixed: Mapping[int, int] = {}) -> Iterator[tuple[dict[int, int], int, Mono]]:
    """Every way to find a product in a term: its labels there, how many times it is there (below 0: its reciprocal), and the others.

    Lengths are plain numbers, which it may borrow: s = sum(x) / n is found in sum(x) too.
    """
    important = sorted((f for f in lhs if f[0].kind != "size"), key=lambda f: -f[0].cost)
    have = {(a, ls): q for a, ls, q in m}
    ways = [(0, dict(fixed))]
    while ways:
        i, names = ways.pop()
        if i < len(important):
            a, ls, q = important[i]
            for b, lb, r in m:
                if a is b and not -1 < r / q < 1 and all(names.get(x, y) == y for x, y in zip(ls, lb, strict=True)):
                    ways.append((i + 1, {**names, **dict(zip(ls, lb, strict=True))}))
            continue
        taken = expr.relabel(Poly({lhs: 1}), names).only()[0]
        counts = [int(have.get((a, ls), 0) / q) for a, ls, q in taken if a.kind != "size"]
        if counts and min(counts) * max(counts) > 0:
            k = min(counts, key=abs)
            yield names, k, expr.times(m, tuple([(a, ls, -k * q) for a, ls, q in taken]))


def _instead(lhs: Mono, c: Number, rhs: Poly, m: Mono, fixed: Mapping[int, int] = {}) -> Iterator[Poly]:
    """Ways to write a term with rhs in place of c * lhs, as often as it is there."""
    for names, k, rest in _found(lhs, m, fixed):
        if k > 0 or len(rhs) == 1:
            yield mul(Poly({rest: expr.number(1 / Fraction(c) ** k)}), power(expr.relabel(rhs, names), k))


def _instead_of_sum(lhs: Mono, summed: Iterable[int], rhs: Poly, m: Mono) -> Iterator[Poly]:
    """Ways to write a term with rhs in place of the sum of lhs over labels, alone or inside a longer sum: O = P V in G P V."""
    for f in m:
        if f[0].kind == "contr" and all(a in f[0].parts for a, _, _ in lhs) and (rhs.terms or f[2] > 0):
            body, bound = inside(f[0], f[1])
            for names, k, rest in _found(lhs, body.only()[0]):
                gone = {names[x] for x in summed}
                kept = free(Poly({rest: 1})).union(y for x, y in names.items() if x not in summed)
                if k == 1 and len(gone) == len(tuple(summed)) and gone <= bound.keys() and not gone & kept:
                    left = {x: dim for x, dim in bound.items() if x not in gone}
                    yield mul(Poly({expr.without(m, f): 1}), power(contract(mul(Poly({rest: 1}), expr.relabel(rhs, names)), left), f[2]))


def replace(lhs: Mono, c: Number, rhs: Poly) -> Replacement:
    """The rule c * lhs -> rhs wherever a term holds lhs, or 1/lhs, or a contraction lhs if that is one."""
    if len(lhs) == 1 and lhs[0][0].kind == "contr" and lhs[0][2] == 1:
        body, bound = inside(lhs[0][0], lhs[0][1])
        inner, value = body.only()[0], scale(rhs, 1 / Fraction(c))
        return lhs[0][0].parts, Rewrite(shorter(termwise(lambda m: _instead_of_sum(inner, bound, value, m))))
    needed = frozenset(a for a, _, _ in lhs if a.kind != "size")

    def ways(m: Mono) -> Iterator[Poly]:
        if needed.issubset([a for a, _, _ in m]):
            yield from _instead(lhs, c, rhs, m)

    return needed, Rewrite(shorter(termwise(ways)))


def replace_sum(body: Poly, rhs: Poly) -> Replacement:
    """The rule for a name that stands for a sum: found up to a factor, whole or as part of a longer sum."""
    axes = sorted(free(body))
    needed = frozenset(a for m in body.terms for a, _, _ in m)

    def ways(q: Poly) -> Iterator[Poly]:
        labels = sorted(free(q))
        possible = len(q) >= len(body) and len(labels) <= 4 and needed.issubset([a for m in q.terms for a, _, _ in m])
        for chosen in permutations(labels, len(axes)) if possible else ():
            names = dict(zip(axes, chosen, strict=True))
            b = expr.relabel(body, names)
            m, d = b.only()
            k = expr.number(Fraction(q.terms.get(m, 0)) / d)
            if k and all(q.terms.get(n) == k * d for n, d in b.terms.items()):
                yield add(expr.others(q, *b.terms), scale(expr.relabel(rhs, names), k))

    return needed, Rewrite(shorter(ways))


def _folds(atom: Atom, body: Poly) -> list[Replacement]:
    """The rules that put the name `atom` back in place of what it stands for."""
    rhs = atom.poly
    if not body.terms or free(body) != free(rhs):  # the name broadcasts what it stands for
        return []
    if len(body) > 1:
        return [replace_sum(body, rhs)]
    m, c = body.only()
    if not m or (len(m) == 1 and (m[0][0].kind == "var" or m[0][0].name in expr.EXTREMES)) or any(a < 0 for a, _, _ in m):
        return []
    whole = replace(m, c, rhs)
    under = tuple([f for f in m if f[0].kind == "group" and f[2] < 0])
    if under:  # y = N / D: then (D - N) / D is 1 - y
        below = Poly({expr.reciprocal(under): 1})
        rest = add(_expand(below), scale(_expand(mul(body, below)), -1))
        if rest.terms and free(rest) <= free(body):
            complement, other = mul(wrap(rest), Poly({under: 1})), add(ONE, scale(rhs, -1))
            return [replace(*complement.only(), other), whole, replace(*wrap(whole[1](complement)).only(), other)]
    return [whole]


# ---------------------------------------------------------------- what needs no name


def known_functions(q: Poly) -> Poly:
    """exp / (exp + 1) is sigmoid, exp / sum(exp) is softmax, which sums to 1, sinh / cosh and 2 sigmoid(2 x) - 1 are tanh."""
    return settled(q, _known)


def _known(q: Poly) -> Iterator[Poly]:
    yield from _in_terms(q)
    for m, c in q.terms.items() if len(q) > 1 else ():
        for f in m:
            if f[0].name == "sigmoid" and f[2] == 1 and 2 * q.terms.get(expr.without(m, f), 0) == -c:
                rest, half = expr.without(m, f), scale(opened(f[0], f[1]), Fraction(1, 2))
                if all(k.__class__ is int for k in half.terms.values()):
                    yield add(expr.others(q, m, rest), mul(Poly({rest: expr.number(Fraction(c) / 2)}), expr.fn("tanh", half)))


@termwise
def _in_terms(m: Mono) -> Iterator[Poly]:
    for f in m:
        for whole, value in _identities(f):
            lhs, c = whole.only()
            fixed = {x: x for x in f[1]}
            yield from _instead(lhs, c, value, m, fixed)
            for g in m if f[0].kind == "contr" else ():  # what stands before a sum counts inside
                if g[0].kind == "contr" and g[2] == 1:
                    body, bound = inside(g[0], g[1])
                    for new in _instead(lhs, c, value, expr.times(body.only()[0], ((f[0], f[1], -1),)), fixed):
                        yield mul(Poly({expr.times(expr.without(m, g), ((f[0], f[1], 1),)): 1}), contract(new, bound))
        for a in f[0].parts if f[0].kind == "contr" else ():
            if a.name == "softmax":
                yield from _instead_of_sum(a.poly.only()[0], a.mixed, ONE, m)
        if f[0].indicator or f[0].name == "relu":
            new = mul(Poly({(f,): 1}), _relying(Poly({expr.without(m, f): 1}), f))
            if new != Poly({m: 1}):
                yield new
        elif _is_sum(f) and any(a.indicator for a in f[0].parts):  # ((a > b) + (a == b)) (a - b)
            body, rest = opened(f[0], f[1]), expr.without(m, f)
            if gone := [n for n in body.terms if any(h[0].indicator and _value(g, h) == 0 for h in n for g in rest)]:
                yield mul(Poly({rest: 1}), expr.others(body, *gone))


def _identities(f: Factor) -> Iterator[tuple[Poly, Poly]]:
    """Products with the factor f, and what each is."""
    a, ls, q = f
    if q > 0 and a.name != "sign":
        return
    one, below, x = factor(a, ls), factor(a, ls, -1), opened(a, ls)
    if a.name == "sign":
        yield mul(expr.fn("abs", x), one), x
        yield mul(x, one), expr.fn("abs", x)
    elif a.name == "cosh":
        yield mul(expr.fn("sinh", x), below), expr.fn("tanh", x)
    elif a.kind == "group" and len(x) == 2 and x.terms.get(()) == 1:
        e = expr.others(x, ())
        (m, c), z = e.only(), expr.exponent(e.only()[0])
        if c == 1 and len(m) == 1 and m[0][2] > 0 and z is not None:
            yield mul(e, below), expr.fn("sigmoid", z)
            yield below, add(ONE, scale(expr.fn("sigmoid", z), -1))
    elif a.kind == "contr":
        body, bound = inside(a, ls)
        if (z := expr.exponent(body.only()[0])) is not None:
            yield mul(body, below), expr.fn("softmax", z, bound)


def _relying(q: Poly, f: Factor) -> Poly:
    """q where the condition f holds, as it does wherever f counts as a factor; relu(x) counts where x > 0."""

    def change(g: Factor) -> Poly:
        a, ls, k = g
        if (value := _value(g, f)) is not None:
            return expr.constant(value)
        return power(_relying(opened(a, ls), f), k) if a.kind == "group" and k > 0 else factor(a, ls, k)

    return expr.each_factor(q, change)


def _value(g: Factor, f: Factor) -> int | None:
    """What the factor g is where the condition f holds; None if that depends."""
    (a, at, k), (condition, ls, _) = g, f
    if g == f and a.indicator:
        return 1
    if condition.kind == "var" or k < 0:
        return None
    name, x = ">" if condition.name == "relu" else condition.name, opened(condition, ls)
    either = x, scale(x, -1)
    if a.name in (">", "==") and (y := opened(a, at)) in either and (name != ">=" or (a.name == ">" and y != x)):
        return int(a.name == name and (y == x or name == "=="))
    return 0 if name == "==" and (opened(a, at) if a.kind == "group" else factor(a, at)) in either else None


def for_print(p: Poly) -> Poly:
    """What is written otherwise than it is worked with: numbers as one, (d > 0) + (d == 0) / 2 as a step, no common denominators of exp."""
    return Rewrite(lambda q: _flat(settled(settled(_one_number(q), _steps), _UNSHARED)))(p)


def _one_number(q: Poly) -> Poly:
    """Numbers that are neither short fractions nor roots, and what multiplies them, as one."""
    out = []
    for m, c in expr.each_factor(q, lambda f: factor(*f)).terms.items():
        numbers = [f for f in m if f[0].kind == "num" and not f[0].name.isdigit()]
        value = math.prod((float(a.name.removeprefix("np.")) ** float(k) for a, _, k in numbers), start=float(c))
        alone = len(numbers) == 1 and abs(c) == 1
        joined = numbers and not alone and math.isfinite(value)
        out.append(mul(expr.numeral(value), Poly({expr.without(m, *numbers): 1})) if joined else Poly({m: c}))
    return add(*out)


def _steps(q: Poly) -> Iterator[Poly]:
    """Half at a tie: u (d > 0) + v (d < 0) + (u + v) / 2 (d == 0) is v + (u - v) heaviside(d)."""
    for m, c in q.terms.items():
        for f in m:
            if f[0].name == "==":
                rest, d = expr.without(m, f), opened(f[0], f[1])
                d = scale(d, -1) if wrap(d).only()[1] < 0 else d
                up, down = (expr.times(rest, expr.fn(">", scale(d, k)).only()[0]) for k in (1, -1))
                u, v = q.terms.get(up, 0), q.terms.get(down, 0)
                if u + v == 2 * c:
                    step = expr.fn("heaviside", d if u else scale(d, -1))
                    parts = scale(step, u - v if u else v), expr.constant(v if u else 0)
                    yield add(expr.others(q, m, up, down), mul(Poly({rest: 1}), add(*parts)))


def _unshared(m: Mono) -> Iterator[Poly]:
    """exp(-a) (1 + exp(a)) is exp(-a) + 1: exponentials are written where they belong, for the other overflows."""
    for f, g in permutations(m, 2):
        body = opened(*g[:2]) if f[0].name == "exp" and f[2] < 0 and _is_sum(g) else expr.ZERO
        if any(_meets(n, f) for n in body.terms):
            body = settled(expr.spread(body, (f,)), _UNSHARED)
            (atom, sign) = expr.made_of(body, "group", signed=False)  # not by mul, which takes common factors out
            yield Poly({expr.times(expr.without(m, f, g), (atom,)): sign})


def _meets(m: Mono, f: Factor) -> bool:
    """Does a term hold the reciprocal of f, also in a sum?"""
    return any((g[:2] == f[:2] and g[2] > 0) or (_is_sum(g) and any(_meets(n, f) for n in opened(*g[:2]).terms)) for g in m)


_UNSHARED = termwise(_unshared)


def _flat(q: Poly) -> Poly:
    """A sum within a sum as one."""
    lone = [m for m in q.terms if len(m) == 1 and _is_sum(m[0])] if len(q) > 1 else []
    return add(expr.others(q, *lone), *(scale(opened(*m[0][:2]), q.terms[m]) for m in lone)) if lone else q


def _joined(q: Poly) -> Iterator[Poly]:
    """A x + B x -> (A + B) x: two contractions that share factors become one."""
    for (m, c), (n, d) in combinations(q.terms.items(), 2):
        for f, g in product(m, n):
            if not (f[2] == g[2] == 1 and f[0].kind == g[0].kind == "contr" and f[0].parts & g[0].parts):
                continue
            if sorted(f[0].gone.values()) != sorted(g[0].gone.values()) or len(f[0].gone) > 3 or expr.without(m, f) != expr.without(n, g):
                continue
            one, bound = inside(f[0], f[1])
            for order in permutations(bound):
                two = expr.relabel(g[0].body, dict(enumerate((*g[1], *order))))
                common = tuple([h for h in one.only()[0] if h in two.only()[0]])
                total = add(*(Poly({expr.without(p.only()[0], *common): k}) for p, k in ((one, c), (two, d))))
                if common and len(free(total)) <= 2:  # else it would have no matrix form
                    joined = contract(mul(Poly({common: 1}), total), bound)
                    yield add(expr.others(q, m, n), mul(Poly({expr.without(m, f): 1}), joined))


# ---------------------------------------------------------------- the choice


class Simplifier:
    """Simplifies expressions in which names stand for definitions, given relations that hold and variables to put for others."""

    def __init__(self, definitions: dict[Atom, Poly], relations: Sequence[Replacement] = (), known: Mapping[Atom, Atom] = {}) -> None:
        self.put = {a: k.poly for a, k in known.items() if k is not a}
        self.definitions: dict[Atom, Poly] = {}
        for a, p in definitions.items():  # a result that equals its transpose is known to, as variables may be
            p = expr.substitute(p, self.put)
            k = expr.known(a, len(a.dims) == 2 and a.dims[0] == a.dims[1] and expr.relabel(p, {0: 1, 1: 0}) == p, False)
            self.put.update({a: k.poly} if k is not a else {})
            self.definitions[k] = p
        self._expand = Rewrite(_expand)
        self._sums = Rewrite(shorter(termwise(self._term_by_term)))
        self._known = Rewrite(known_functions)
        self._out = Rewrite(shorter(_joined))
        self._flat = Rewrite(_flat)
        self._folds = [fold for atom, body in reversed(self.definitions.items()) for fold in _folds(atom, body)]
        self._relations = list(relations)
        self._learn()

    def _learn(self) -> None:
        """What definitions say by themselves: softmax sums to 1, what was centred sums to 0."""
        for atom, body in self.definitions.items():
            for (axis, dim), k in product(enumerate(atom.dims), (1, 2)):
                total = self._known(self._expand(contract(power(body, k), {axis: dim}, keep=False)))
                total = _put(_put(total, self._relations), self._folds)
                m, c = contract(power(atom.poly, k), {axis: dim}).only()
                if expr.only_lengths(total) and len(total) <= 1:
                    self._relations.append(replace(m, c, total))

    def __call__(self, p: Poly, unfold: Sequence[Atom] = ()) -> Poly:
        """The cheapest form of p found; names in `unfold` may be replaced by what they stand for."""
        p = expr.substitute(p, self.put)
        named = [self.put.get(a, a.poly).only()[0][0][0] for a in unfold]
        unfolded = expr.substitute(p, {a: self.definitions[a] for a in named if a in self.definitions})
        tried = dict.fromkeys([p, self._expand(p), unfolded, self._expand(unfolded)])
        return min(map(self._polish, tried), key=cost)

    def _polish(self, p: Poly) -> Poly:
        for _ in range(6):
            q = _put(p, self._relations)
            if q != p:
                q = min(q, self._expand(q), key=cost)
            q = self._known(self._sums(_put(q, self._folds)))
            q = self._flat(min(q, self._out(q), key=cost))
            q = min(wrap(q), q, key=cost)
            if q == p:
                break
            p = q
        return p

    def _term_by_term(self, m: Mono) -> Iterator[Poly]:
        """The sum of a sum term by term: what was centred sums to 0."""
        for f in m:
            if f[0].kind == "contr" and f[2] == 1:
                body, bound = inside(f[0], f[1])
                n = body.only()[0]
                if len(n) == 1 and _is_sum(n[0]):
                    yield mul(Poly({expr.without(m, f): 1}), self._sums(contract(opened(n[0][0], n[0][1]), bound, keep=False)))


def _put(p: Poly, replacements: Sequence[Replacement]) -> Poly:
    """p with those of the replacements that make it shorter."""
    present = set(expr.atoms_in(p))
    for needed, rule in replacements:
        if needed <= present and cost(q := rule(p)) < cost(p):
            p, present = q, set(expr.atoms_in(q))
    return p
