"""The simplifier: a handful of rewrites on the normal form, and the choice of the result that reads shortest.

The normal form already does most of the work.  What is left: multiply out, put names back in place of what they
stand for, use what is known to sum to one, recognise sigmoid and softmax, rely on conditions, take common factors out.  Every
rewrite is kept only if the reading cost drops.  Nothing here is trusted: verify.py checks each result in numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations, count, permutations

from . import expr
from .expr import (
    ONE,
    Atom,
    Factor,
    Labels,
    Mono,
    Number,
    Poly,
    Rewrite,
    add,
    constant,
    contract,
    cost,
    factor,
    free,
    inside,
    labels_of,
    mul,
    number,
    opened,
    power,
    reciprocal,
    relabel,
    scale,
    times,
    without,
    wrap,
)

EXPAND_LIMIT = 40  # terms; beyond, multiplying out helps nobody

# ---------------------------------------------------------------- multiplying out


def _expand(q: Poly) -> Poly:
    """Products over sums multiplied out, also inside contractions; q itself if that gives too many terms."""
    return q if _terms(q) > EXPAND_LIMIT else _multiplied_out(q, count(EXPAND_LIMIT * 10, -1).__next__) or q


def _multiplied_out(q: Poly, left: Callable[[], int]) -> Poly | None:
    todo, done = [q], []
    while todo:
        for m, c in todo.pop().terms.items():
            if left() < 0:  # sums within sums turned out to give more
                return None
            if (i := _sum_in(m)) is not None:
                a, ls, _ = m[i]
                rest = m[:i] + m[i + 1 :]
                body = opened(a, ls)
                todo.append(add(*(Poly({times(n, rest): number(c * d)}) for n, d in body.terms.items())))
                continue
            i = next((i for i, (a, _, k) in enumerate(m) if k == 1 and a.kind == "contr" and _sum_in(a.body.only()[0]) is not None), None)
            if i is not None:
                inner, bound = inside(m[i][0], m[i][1])
                wide = _multiplied_out(Poly({inner: 1}), left)
                if wide is None:
                    return None
                spread = contract(wide, bound, keep=False)
                rest = m[:i] + m[i + 1 :]
                todo.append(add(*(Poly({times(n, rest): number(c * d)}) for n, d in spread.terms.items())))
                continue
            done.append(Poly({m: c}))
    return add(*done)


def _terms(q: Poly) -> int:
    """How many terms multiplying out would give."""
    total, todo = 0, [(1, list(m)) for m in q.terms]
    while todo and total <= EXPAND_LIMIT:
        n, factors = todo.pop()
        while factors and n <= EXPAND_LIMIT:
            a, _, k = factors.pop()
            if a.kind == "group" and k == 1:
                n *= len(a.body)
            elif a.kind == "contr" and k == 1:
                factors += a.body.only()[0]
        total += n
    return total


def _sum_in(m: Mono) -> int | None:
    """Where a term has a sum to multiply out: not one that meets itself, as in C^T C, whose parts may be larger than the whole."""
    sums = [(a, i) for i, (a, _, k) in enumerate(m) if a.kind == "group" and k == 1]
    return next((i for a, i in sums if sum(b is a for b, _ in sums) == 1), None)


# ---------------------------------------------------------------- putting names back


def matches(lhs: Sequence[Factor], m: Mono, start: dict[int, int] | None = None) -> Iterator[dict[int, int]]:
    """Every way to find the factors `lhs` among those of m, as a map from its labels to m's."""
    found: list[tuple[int, dict[int, int]]] = [(0, start or {})]
    while found:
        i, names = found.pop()
        if i == len(lhs):
            yield names
            continue
        a, ls, q = lhs[i]
        for b, lb, r in m:
            if a is b and (r >= q > 0 or r <= q < 0) and all(names.get(x, y) == y for x, y in zip(ls, lb, strict=True)):
                found.append((i + 1, {**names, **dict(zip(ls, lb, strict=True))}))


def _important(m: Mono) -> list[Factor]:
    # Lengths are plain numbers, which a match may borrow: s = sum(x) / n is found in sum(x) too.
    return sorted((f for f in m if f[0].kind != "size"), key=lambda f: -f[0].cost)


def replace_term(lhs: Mono, c: Number, rhs: Poly) -> Callable[[Poly], Poly]:
    """The rule c * lhs -> rhs wherever a term holds lhs, or 1/lhs, as often as it does."""
    rules = [(lhs, _important(lhs), Fraction(c), rhs)]
    if len(rhs) == 1 and rhs.only()[0]:
        rules.append((reciprocal(lhs), _important(reciprocal(lhs)), 1 / Fraction(c), power(rhs, -1)))
    needed = frozenset(a for a, _, _ in rules[0][1])

    def shorter(q: Poly) -> Iterator[Poly]:
        for m, d in q.terms.items():
            if needed.issubset([a for a, _, _ in m]):
                yield from (new for r in rules for new in _replaced(q, m, d, r) if cost(new) < cost(q))

    return lambda q: _settled(q, shorter) if needed else q


def _settled(q: Poly, ways: Callable[[Poly], Iterator[Poly]]) -> Poly:
    """q changed in the first of the ways that there are, again and again until there is none."""
    while (new := next(ways(q), None)) is not None:
        q = new
    return q


def _replaced(q: Poly, m: Mono, d: Number, rule: tuple[Mono, list[Factor], Fraction, Poly]) -> Iterator[Poly]:
    lhs, important, c, rhs = rule
    for names in matches(important, m):
        taken = relabel(Poly({lhs: 1}), names).only()[0]
        have = {(a, ls): p for a, ls, p in m}
        k = min((have.get((a, ls), 0) / p for a, ls, p in taken if a.kind != "size"), default=0)
        k = int(k)  # as many times as it goes
        if k < 1:
            continue
        rest = times(m, tuple([(a, ls, -k * p) for a, ls, p in taken]))
        others = Poly({n: e for n, e in q.terms.items() if n != m})
        yield add(others, mul(Poly({rest: number(d / c**k)}), power(relabel(rhs, names), k)))


def replace_contraction(a: Atom, rhs: Poly) -> Callable[[Poly], Poly]:
    """The rule for a name that stands for one contraction (O = P V): also found inside larger ones (G P V)."""
    n = len(a.dims)
    lhs = a.body.only()[0]
    needed = frozenset(b for b, _, _ in lhs)

    def rule(q: Poly) -> Poly:
        if not any(b.kind == "contr" and needed <= b.parts for m in q.terms for b, _, _ in m):
            return q
        out = []
        for m, c in q.terms.items():
            t = constant(c)
            for b, ls, p in m:
                hit = needed <= b.parts and b.kind == "contr"
                t = mul(t, power(_within(b, ls), p) if hit else factor(b, ls, p))
            out.append(t)
        return add(*out)

    def _within(b: Atom, ls: Labels) -> Poly:
        m, bound = inside(b, ls)
        for names in matches(_important(lhs), m):
            summed = {names[n + k] for k in range(len(a.bound))}
            taken = {(x, at): p for x, at, p in relabel(Poly({lhs: 1}), names).only()[0]}
            rest = tuple([(x, at, p) for x, at, p in m if taken.get((x, at)) != p])
            if len(rest) != len(m) - len(taken) or len(summed) < len(a.bound) or not summed <= bound.keys() or summed & labels_of(rest):
                continue
            left = {label: dim for label, dim in bound.items() if label not in summed}
            return contract(mul(Poly({rest: 1}), relabel(rhs, names)), left)
        return factor(b, ls)

    return rule


def replace_sum(body: Poly, rhs: Poly) -> Callable[[Poly], Poly]:
    """The rule for a name that stands for a sum: found up to a factor, whole or as part of a longer sum."""
    axes = sorted(free(body))
    key = frozenset(a for m in body.terms for a, _, _ in m)

    def rule(q: Poly) -> Poly:
        if len(q) < len(body) or not key.issubset([a for m in q.terms for a, _, _ in m]):
            return q
        labels = free(q)
        if len(labels) < len(axes) or len(labels) > 4:
            return q
        for chosen in permutations(sorted(labels), len(axes)):
            names = dict(zip(axes, chosen, strict=True))
            b = relabel(body, names)
            if not b.terms.keys() <= q.terms.keys():
                continue
            m = next(iter(b.terms))
            k = number(Fraction(q.terms[m]) / b.terms[m])
            if all(q.terms[n] == k * d for n, d in b.terms.items()):
                return add(Poly({n: c for n, c in q.terms.items() if n not in b.terms}), scale(relabel(rhs, names), k))
        return q

    return rule


Fold = tuple[frozenset[Atom], Callable[[Poly], Poly]]  # the atoms it looks for, and the rule


def _parts(*ps: Poly) -> frozenset[Atom]:
    return frozenset(a for p in ps for m in p.terms for a, _, _ in m if a.kind != "size")


def _folds(atom: Atom, body: Poly) -> list[Fold]:
    """The rules that put the name `atom` back in place of what it stands for."""
    rhs = atom.poly
    if free(body) != free(rhs):  # the name broadcasts what it stands for
        return []
    if len(body) != 1:
        return [(_parts(body), replace_sum(body, rhs))] if body.terms else []
    m, c = body.only()
    if not m or (len(m) == 1 and m[0][0].kind == "var") or any(a < 0 for a, _, _ in m):
        return []
    rules = [(_parts(body), replace_term(m, c, rhs))]
    if len(m) == 1 and m[0][0].kind == "contr" and m[0][2] == 1 and c == 1:
        whole = m[0][0]
        rules.append((whole.parts, replace_contraction(whole, relabel(rhs, {label: i for i, label in enumerate(m[0][1])}))))
    under = tuple([f for f in m if f[0].kind == "group" and f[2] < 0])
    if under:  # y = N / D: then (D - N) / D is 1 - y
        over = _expand(mul(body, Poly({reciprocal(under): 1})))
        rest = add(_expand(Poly({reciprocal(under): 1})), scale(over, -1))
        if rest.terms and free(rest) <= free(body):
            n, d = mul(wrap(rest), Poly({under: 1})).only()
            other = add(ONE, scale(rhs, -1))
            rules.insert(0, (_parts(Poly({n: 1})), replace_term(n, d, other)))
            n, d = replace_term(m, c, rhs)(Poly({n: d})).only()
            rules.append((_parts(Poly({n: 1})), replace_term(n, d, other)))
    return rules


# ---------------------------------------------------------------- what needs no name


def known_functions(q: Poly) -> Poly:
    """exp / (exp + 1) is sigmoid, exp / sum(exp) is softmax, which sums to 1, sinh / cosh and 2 sigmoid(2 x) - 1 are tanh."""
    return _settled(q, _recognised)


def _recognised(q: Poly) -> Iterator[Poly]:
    for m, c in q.terms.items():
        others = Poly({n: d for n, d in q.terms.items() if n != m})
        yield from (add(others, scale(new, c)) for f in m for new in _known(m, f))
        yield from (new for f in m if len(q) > 1 and f[0].name == "sigmoid" and f[2] == 1 for new in _shifted(others, m, c, f))


def _shifted(others: Poly, m: Mono, c: Number, f: Factor) -> Iterator[Poly]:
    """2 sigmoid(2 x) - 1 is tanh(x)."""
    rest, half = without(m, f), scale(opened(f[0], f[1]), Fraction(1, 2))
    if 2 * others.terms.get(rest, 0) == -c and all(k.__class__ is int for k in half.terms.values()):
        left = Poly({n: d for n, d in others.terms.items() if n != rest})
        yield add(left, mul(Poly({rest: number(Fraction(c) / 2)}), expr.fn("tanh", half)))


def _known(m: Mono, f: Factor) -> Iterator[Poly]:
    yield from _choices(m, f)
    if f[0].name == "sign" and f[0].kind == "fn" and f[2] > 0:
        yield from _magnitude(m, f)
    if f[0].indicator:
        yield from _compared(m, f)
    elif f[2] < 0:
        yield from _sigmoid(m, f)
        yield from _tangent(m, f)
        yield from _softmax(m, f)
    elif f[0].kind == "contr":
        yield from _sums_to_one(m, f)


def _compared(m: Mono, f: Factor) -> Iterator[Poly]:
    """Where a condition counts it holds: other factors may rely on it, and relu is 0 where it does not."""
    rest = without(m, f)
    for g in rest:
        b, lb, k = g
        if b.indicator or (b.kind == "fn" and b.name == "relu"):
            known = _implied(f, g)
            if known is not None:
                yield scale(Poly({without(m, f if b.name == "relu" else g): 1}), known)
        elif b.kind == "group" and k > 0 and (b.parts & f[0].parts or f[0] in b.parts):
            body = opened(b, lb)
            relied = add(*(_relying(n, c, f) for n, c in body.terms.items()))
            if relied != body:
                yield mul(Poly({without(m, g): 1}), power(relied, k))


def _choices(m: Mono, f: Factor) -> Iterator[Poly]:
    """Sums of comparisons: (a > b) + (a == b) times another such sum, or times a - b, which is 0 where a == b."""
    a, ls, k = f
    if a.kind != "group" or k != 1 or not any(b.indicator for b in a.parts):
        return
    body = opened(a, ls)
    for g in m:
        rest = Poly({without(m, f, g): 1})
        b, lb, q = g
        if g != f and q == 1 and b.kind == "group" and all(x.indicator for x in (*a.parts, *b.parts)):
            both = known_functions(_expand(mul(body, opened(b, lb))))
            if cost(both) < cost(Poly({(f, g): 1})):
                yield mul(rest, both)
        elif g != f and q > 0:
            x = opened(b, lb) if b.kind == "group" else factor(b, lb)
            left = Poly({n: c for n, c in body.terms.items() if not any(_asks(h, x) for h in n)})
            if left != body:
                yield mul(mul(rest, Poly({(g,): 1})), left)


def _magnitude(m: Mono, f: Factor) -> Iterator[Poly]:
    """x sign(x) is abs(x), and abs(x) sign(x) is x."""
    x = opened(f[0], f[1])
    rest = without(m, f) if f[2] == 1 else times(m, ((f[0], f[1], -1),))
    for old, new in (expr.fn("abs", x), x), (x if len(x) == 1 else wrap(x), expr.fn("abs", x)):
        n, c = old.only()
        have = {(a, ls): k for a, ls, k in rest}
        if all(0 < k <= have.get((a, ls), 0) for a, ls, k in n):
            yield mul(Poly({times(rest, reciprocal(n)): number(Fraction(1) / c)}), new)


def _asks(f: Factor, x: Poly) -> bool:
    """Is it the question whether x is 0?"""
    return f[0].kind == "fn" and f[0].name == "==" and opened(f[0], f[1]) in (x, scale(x, -1))


def _relying(m: Mono, c: Number, f: Factor) -> Poly:
    """A term where the condition f holds."""
    for g in m:
        if g[0].indicator and g[2] > 0 and (known := 1 if g == f else _implied(f, g)) is not None:
            return scale(Poly({without(m, g): c}), known)
    return Poly({m: c})


def _implied(f: Factor, g: Factor) -> int | None:
    """What the comparison g is where the comparison f holds, 1 for a relu of the same; None if that depends."""
    if "var" in (f[0].kind, g[0].kind):
        return None
    x, y = (opened(a, ls) for a, ls, _ in (f, g))
    if g[0].name == "relu":
        return 1 if f[0].name == ">" and x == y else None
    same, turned = x == y, x == scale(y, -1)
    if not (same or turned) or (f[0].name, g[0].name) not in ((">", ">"), (">", "=="), ("==", ">"), ("==", "==")):
        return None
    return int(f[0].name == g[0].name and (same or f[0].name == "=="))


def _sigmoid(m: Mono, f: Factor) -> Iterator[Poly]:
    a, ls, _ = f
    if a.kind != "group" or len(a.body.terms) != 2 or a.body.terms.get(()) != 1:
        return
    n, c = next((n, c) for n, c in a.body.terms.items() if n)
    if c != 1 or len(n) != 1 or n[0][0].name != "exp" or n[0][2].__class__ is not int or n[0][2] < 0:
        return
    e, at, power_of = n[0][0], tuple([ls[x] for x in n[0][1]]), n[0][2]
    s = expr.fn("sigmoid", scale(opened(e, at), power_of))
    if any(b is e and lb == at and k >= power_of for b, lb, k in m):
        yield mul(Poly({times(m, ((a, ls, 1), (e, at, -power_of))): 1}), s)
    else:
        yield mul(Poly({times(m, ((a, ls, 1),)): 1}), add(ONE, scale(s, -1)))


def _tangent(m: Mono, f: Factor) -> Iterator[Poly]:
    """sinh / cosh is tanh."""
    for a, ls, k in m if f[0].name == "cosh" else ():
        if a.name == "sinh" and k > 0 and opened(a, ls) == opened(f[0], f[1]):
            yield mul(Poly({times(m, ((a, ls, -1), (f[0], f[1], 1))): 1}), expr.fn("tanh", opened(a, ls)))


def _softmax(m: Mono, f: Factor) -> Iterator[Poly]:
    """Exponentials over their sum, side by side or inside another sum."""
    a, ls, _ = f
    if a.kind != "contr":
        return
    es, bound = inside(a, ls)
    x = expr.exponent(es)
    if x is None:
        return
    fixed = {k: k for k in ls}
    soft = mul(Poly({reciprocal(es): 1}), expr.softmax(x, bound))
    for names in matches(es, m, fixed):
        yield mul(Poly({times(m, ((a, ls, 1),)): 1}), relabel(soft, names))
    for b, lb, k in m:
        if b.kind == "contr" and k == 1:
            n, inner = inside(b, lb)
            for names in matches(es, n, fixed):
                total = contract(mul(Poly({n: 1}), relabel(soft, names)), inner)
                yield mul(Poly({times(m, ((a, ls, 1), (b, lb, -1))): 1}), total)


def _sums_to_one(m: Mono, f: Factor) -> Iterator[Poly]:
    """The sum of a softmax along its axes, as far as nothing else in the sum depends on them."""
    inner, bound = inside(f[0], f[1])
    for b, lb, k in inner:
        if b.kind == "along" and k == 1:
            mixed = {lb[i] for i in b.over}
            rest = without(inner, (b, lb, k))
            if mixed <= bound.keys() and len(set(lb)) == len(lb) and not mixed & labels_of(rest):
                left = {x: d for x, d in bound.items() if x not in mixed}
                yield mul(Poly({without(m, f): 1}), contract(Poly({rest: 1}), left))


def for_print(p: Poly) -> Poly:
    """What is written otherwise than it is worked with: numbers as one, and (d > 0) + (d == 0) / 2 as a step."""
    odd = [a for a in expr.atoms_in(p) if a.kind == "num" or (a.kind == "fn" and a.name == "==")]
    return Rewrite(lambda q: _settled(_one_number(q), _steps))(p) if odd else p


def _one_number(q: Poly) -> Poly:
    """Numbers that are no short fractions, and what multiplies them, as one."""
    out = []
    for m, c in q.terms.items():
        numbers = [f for f in m if f[0].kind == "num"]
        value = math.prod((float(a.name.removeprefix("np.")) ** float(k) for a, _, k in numbers), start=float(c))
        alone = len(numbers) == 1 and abs(c) == 1
        out.append(
            Poly({m: c}) if alone or not numbers or not math.isfinite(value) else mul(expr.numeral(value), Poly({without(m, *numbers): 1}))
        )
    return add(*out)


def _steps(q: Poly) -> Iterator[Poly]:
    """Half at a tie: u (d > 0) + v (d < 0) + (u + v) / 2 (d == 0) is v + (u - v) heaviside(d)."""
    for m, c in q.terms.items():
        for f in m:
            if f[0].name == "==" and f[0].kind == "fn":
                rest, d = without(m, f), opened(f[0], f[1])
                d = scale(d, -1) if wrap(d).only()[1] < 0 else d
                up, down = (times(rest, expr.fn(">", scale(d, k)).only()[0]) for k in (1, -1))
                u, v = q.terms.get(up, 0), q.terms.get(down, 0)
                if u + v == 2 * c:
                    others = Poly({n: k for n, k in q.terms.items() if n not in (m, up, down)})
                    step = expr.fn("heaviside", d if u else scale(d, -1))
                    parts = scale(step, u - v if u else v), constant(v if u else 0)
                    yield add(others, mul(Poly({rest: 1}), add(*parts)))


def _flat(q: Poly) -> Poly:
    """A sum within a sum as one."""
    lone = [m for m in q.terms if len(m) == 1 and m[0][0].kind == "group" and m[0][2] == 1] if len(q) > 1 else []
    rest = Poly({m: c for m, c in q.terms.items() if m not in lone})
    return add(rest, *(scale(opened(*m[0][:2]), q.terms[m]) for m in lone)) if lone else q


def _take_out(q: Poly) -> Poly:
    """A x + B x -> (A + B) x: two contractions that share factors become one."""
    return _settled(q, _shared)


def _shared(q: Poly) -> Iterator[Poly]:
    for (m, c), (n, d) in combinations(q.terms.items(), 2):
        yield from (new for new in _joined(q, m, c, n, d) if cost(new) < cost(q))


def _joined(q: Poly, m: Mono, c: Number, n: Mono, d: Number) -> Iterator[Poly]:
    for f in m:
        for g in n:
            if f[2] != 1 or g[2] != 1 or f[0].kind != "contr" or g[0].kind != "contr" or not f[0].parts & g[0].parts:
                continue
            if sorted(f[0].bound) != sorted(g[0].bound) or len(f[0].bound) > 3:
                continue
            rest = without(m, f)
            if rest != without(n, g):
                continue
            one, bound = inside(f[0], f[1])
            two, other = inside(g[0], g[1])
            for order in permutations(bound):
                moved = relabel(Poly({two: 1}), dict(zip(other, order, strict=True))).only()[0]
                common = tuple(sorted(set(one) & set(moved)))
                if not common:
                    continue
                inverse = reciprocal(common)
                total = add(Poly({times(one, inverse): c}), Poly({times(moved, inverse): d}))
                if len(free(total)) <= 2:  # else it would have no matrix form
                    joined = contract(mul(Poly({common: 1}), total), bound)
                    yield add(Poly({k: v for k, v in q.terms.items() if k not in (m, n)}), mul(Poly({rest: 1}), joined))


# ---------------------------------------------------------------- the choice


Rule = Callable[[Poly], Poly]


class Simplifier:
    """Simplifies expressions in which names stand for definitions, given relations that hold and variables to put for others."""

    def __init__(self, definitions: dict[Atom, Poly], relations: Sequence[Rule] = (), known: Mapping[Atom, Atom] = {}) -> None:
        self.put = {a: k.poly for a, k in known.items() if k is not a}
        self.definitions: dict[Atom, Poly] = {}
        for a, p in definitions.items():  # a result that equals its transpose is known to, as variables may be
            p = expr.substitute(p, self.put)
            k = expr.known(a, len(a.dims) == 2 and a.dims[0] == a.dims[1] and relabel(p, {0: 1, 1: 0}) == p, False)
            self.put.update({a: k.poly} if k is not a else {})
            self.definitions[k] = p
        self._expand = Rewrite(_expand)
        self._sums = Rewrite(lambda q: _settled(q, self._termwise))
        self._known = Rewrite(known_functions)
        self._out = Rewrite(_take_out)
        self._flat = Rewrite(_flat)
        folds = [fold for atom, body in reversed(self.definitions.items()) for fold in _folds(atom, body)]
        self._folds = [(needed, Rewrite(fold)) for needed, fold in folds]
        self._relations = [Rewrite(r) for r in relations]
        self._learn()

    def _learn(self) -> None:
        """What definitions say by themselves: softmax sums to 1, what was centred sums to 0."""
        for atom, body in self.definitions.items():
            for axis, dim in enumerate(atom.dims):
                for k in (1, 2):
                    total = self._known(self._expand(contract(power(body, k), {axis: dim}, keep=False)))
                    for known in self._relations:
                        total = known(total)
                    total = self._named(total)
                    m, c = contract(factor(atom, tuple(range(len(atom.dims))), k), {axis: dim}).only()
                    if not total.terms or (len(total) == 1 and all(a.kind == "size" for a, _, _ in total.only()[0])):
                        self._relations.append(Rewrite(replace_term(m, 1, scale(total, Fraction(1) / c))))

    def __call__(self, p: Poly, unfold: Sequence[Atom] = ()) -> Poly:
        """The cheapest form of p found; names in `unfold` may be replaced by what they stand for."""
        starts = [p := expr.substitute(p, self.put)]
        named = [self.put.get(a, a.poly).only()[0][0][0] for a in unfold]
        unfolded = {a: self.definitions[a] for a in named if a in self.definitions}
        if unfolded:
            starts.append(expr.substitute(p, unfolded))
        tried = dict.fromkeys(q for start in dict.fromkeys(starts) for q in (start, self._expand(start)))
        return min(map(self._polish, tried), key=cost)

    def _polish(self, p: Poly) -> Poly:
        for _ in range(6):
            q = p
            for relation in self._relations:
                q = relation(q)
            if q != p:
                q = _cheaper(q, self._expand(q))
            q = self._named(q)
            q = self._known(self._sums(q))
            q = self._flat(_cheaper(q, self._out(q)))
            q = min(wrap(q), q, key=cost)
            if q == p:
                break
            p = q
        return p

    def _termwise(self, q: Poly) -> Iterator[Poly]:
        """The sum of a sum term by term, where that is shorter: what was centred sums to 0."""
        for m, c in q.terms.items():
            for f in m:
                if f[0].kind == "contr" and f[2] == 1:
                    n, bound = inside(f[0], f[1])
                    if len(n) == 1 and n[0][0].kind == "group" and n[0][2] == 1:
                        total = self._sums(contract(opened(n[0][0], n[0][1]), bound, keep=False))
                        others = Poly({k: d for k, d in q.terms.items() if k != m})
                        new = add(others, mul(Poly({without(m, f): c}), total))
                        if cost(new) < cost(q):
                            yield new

    def _named(self, p: Poly) -> Poly:
        """p with names in place of what they stand for, where that is shorter."""
        present = set(expr.atoms_in(p))
        for needed, fold in self._folds:
            if needed <= present:
                q = fold(p)
                if q != p and cost(q) < cost(p):
                    p, present = q, set(expr.atoms_in(q))
        return p


def _cheaper(p: Poly, q: Poly) -> Poly:
    return q if cost(q) < cost(p) else p
