"""Entries of the table: products of matrices and vectors, each known by its index form."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import Case, bilinear, shape_of


def _matmul(x: Any, y: Any) -> Any:
    if len(shape_of(x)) in (1, 2) and len(shape_of(y)) in (1, 2):
        return np.dot(x, y)  # the same product, and a third of the call's cost on small matrices
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
    return np.dot(g, y.T) if i == 0 else np.dot(x.T, g)


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
