"""Entries of the table: products of matrices and vectors, each known by its index form."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters, ascii_uppercase
from typing import Any

import numpy as np

from ..errors import ShapeMismatch
from .table import Case, Op, add_up, bilinear, shape_of, sum_to


def _matmul(x: Any, y: Any) -> Any:
    if 0 < x.ndim < 3 and 0 < y.ndim < 3:
        return x.dot(y)  # the same product, and half of the call's cost on small matrices
    return np.matmul(x, y)


def matmul_form(m: int, n: int) -> str:
    """The index form of `x @ y` for ranks m and n; leading axes are a batch, aligned at the right.

    >>> matmul_form(2, 2), matmul_form(1, 2), matmul_form(3, 2)
    ('ij,jk->ik', 'j,jk->k', 'aij,jk->aik')
    """
    batch = "abcdefgh"[: max(m - 2, n - 2, 0)]
    a, b = batch[len(batch) - max(m - 2, 0) :], batch[len(batch) - max(n - 2, 0) :]
    row, column = "i" if m > 1 else "", "k" if n > 1 else ""
    return f"{a}{row}j,{b}j{column}->{batch}{row}{column}"


def _matmul_direct(i: int, g: Any, x: Any, y: Any) -> Any:
    return g.dot(y.T) if i == 0 else x.T.dot(g)


def dot_form(m: int, n: int) -> str:
    """The index form of np.dot(x, y): the last axis of x meets the last but one of y (its only one)."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    a, b = letters[:m], letters[m : m + n]
    if m and n:
        k = max(n - 2, 0)
        b = b[:k] + a[-1] + b[k + 1 :]
        return f"{a},{b}->{a[:-1]}{b[:k]}{b[k + 1 :]}"
    return f"{a},{b}->{a}{b}"


def _sampler(*ranks: tuple[tuple[int, ...], tuple[int, ...]]) -> Any:
    def sample(rng: np.random.Generator) -> list[Case]:
        return [((rng.normal(size=a), rng.normal(size=b)), {}) for a, b in ranks]

    return sample


_COMMON = (((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)))
matmul = bilinear(
    "matmul",
    _matmul,
    matmul_form,
    _matmul_direct,
    numpy=(np.matmul,),
    symbol="@",
    sample=_sampler(*_COMMON, ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)), ((3,), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4))),
)
dot = bilinear(
    "dot", np.dot, dot_form, _matmul_direct, numpy=(np.dot,), symbol="·", sample=_sampler(*_COMMON, ((2, 3), (5, 3, 4)), ((), (2, 3)))
)


def _outer(x: Any, y: Any) -> Any:
    if len(shape_of(x)) != 1 or len(shape_of(y)) != 1:
        raise ShapeMismatch(f"outer of shapes {shape_of(x)} and {shape_of(y)}: both operands must be vectors (for columns write x @ y.T)")
    return np.outer(x, y)


outer = bilinear("outer", _outer, lambda m, n: "i,j->ij", numpy=(np.outer,), symbol="⊗", sample=_sampler(((2,), (3,))))


# ---------------------------------------------------------------- einsum


def explicit(subscripts: str, ranks: Sequence[int]) -> str:
    """Einstein's notation with its result written out and without dots or blanks.

    >>> explicit("ij,jk", (2, 2)), explicit("...i,i->...", (3, 1))
    ('ij,jk->ik', 'ABi,i->AB')
    """
    before, arrow, out = subscripts.replace(" ", "").partition("->")
    parts = before.split(",")
    if len(parts) != len(ranks):
        raise ShapeMismatch(f"einsum {subscripts!r} names {len(parts)} operands, but {len(ranks)} came")
    longest = max((n - len(p.replace("...", "")) for p, n in zip(parts, ranks, strict=True) if "..." in p), default=0)
    dots = ascii_uppercase[:longest]
    filled = [p.replace("...", dots[len(dots) - (n - len(p) + 3) :]) if "..." in p else p for p, n in zip(parts, ranks, strict=True)]
    for p, n in zip(filled, ranks, strict=True):
        if len(p) != n:
            raise ShapeMismatch(f"einsum {subscripts!r}: {p!r} names {len(p)} axes of an operand that has {n}")
    if not arrow:
        joined = "".join(filled)
        out = dots + "".join(sorted(s for s in set(joined) if joined.count(s) == 1 and s not in dots))
    return f"{','.join(filled)}->{out.replace('...', dots)}"


def _einsum(*xs: Any, subscripts: str) -> Any:
    if len(xs) > 2:  # contracted in pairs, of which two of booleans would give "or" and not a sum
        xs = tuple(np.asarray(x, dtype=np.result_type(*xs)) for x in xs)
    return np.einsum(explicit(subscripts, [len(shape_of(x)) for x in xs]), *xs, optimize=len(xs) > 2)


def _einsum_vjp(i: int, g: Any, z: Any, *xs: Any, subscripts: str) -> Any:
    before, _, out = explicit(subscripts, [len(shape_of(x)) for x in xs]).partition("->")
    parts = before.split(",")
    others = [(p, x) for j, (p, x) in enumerate(zip(parts, xs, strict=True)) if j != i]
    given = set("".join([out, *(p for p, _ in others)]))
    spare = iter(s for s in ascii_letters if s not in before)
    target, factors = "", [(out, g), *others]
    for axis, letter in enumerate(parts[i]):
        n = int(shape_of(xs[i])[axis])
        if letter in target:  # a diagonal was taken: its transpose writes onto the diagonal
            new = next(spare)
            factors.append((letter + new, np.eye(n)))
            letter = new
        elif letter not in given:  # an axis that was summed on its own: its transpose repeats
            factors.append((letter, np.ones(n)))
        target += letter
    return sum_to(einsum([x for _, x in factors], f"{','.join(p for p, _ in factors)}->{target}"), shape_of(xs[i]))


def _einsum_jvp(ts: Sequence[Any], z: Any, *xs: Any, subscripts: str) -> Any:
    return add_up(None if t is None else einsum([*xs[:i], t, *xs[i + 1 :]], subscripts) for i, t in enumerate(ts))


def _sample_einsum(rng: np.random.Generator) -> list[Case]:
    calls: list[tuple[str, list[tuple[int, ...]]]] = [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ii->i", [(3, 3)]),
        ("ii", [(3, 3)]),
        ("ij->j", [(2, 3)]),
        ("bij,bjk,k->bi", [(2, 3, 4), (2, 4, 5), (5,)]),
    ]
    return [(([rng.normal(size=s) for s in shapes],), {"subscripts": text}) for text, shapes in calls]


class _Einsum(Op):
    """np.einsum's subscripts come before its operands."""

    def bind(self, args: Sequence[Any], kw: dict[str, Any]) -> Case:
        if len(args) == 1 and isinstance(args[0], tuple) and args[0] and isinstance(args[0][0], str):
            args = args[0]  # as NumPy's protocol hands them on
        if args and isinstance(args[0], str):
            return tuple(args[1:]), {"subscripts": args[0]}
        return super().bind(args, kw)


einsum = _Einsum(
    "einsum",
    "general",
    _einsum,
    _einsum_vjp,
    _einsum_jvp,
    arity=None,
    sample=_sample_einsum,
    symbol="einsum",
    numpy=(np.einsum,),
    index=lambda *xs, subscripts: explicit(subscripts, [len(shape_of(x)) for x in xs]),
)
