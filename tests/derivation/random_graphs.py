"""Random recorded graphs over the op table, for the tests of the closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np

import autodiff as ad
from autodiff import ops

UNARY = ["exp", "tanh", "sigmoid", "sin", "cos", "square", "relu", "softplus", "neg", "abs", "expm1"]
POSITIVE = ["log", "sqrt", "log1p"]


LENGTHS = {"different": [2, 3, 4, 5], "equal": [3], "some of 1": [1, 2, 3]}


def random_graph(seed: int, lengths: str = "different") -> Any:
    """A loss of a few named leaves of mixed shapes, with named and anonymous results in between."""
    rng = np.random.default_rng(seed)
    n, m, k = (int(x) for x in rng.choice(LENGTHS[lengths], 3))
    shapes = [(n,), (m,), (n, m), (m, k), (n, n), (n, 1), (1, m), ()]
    pool: list[Any] = []
    for i in range(int(rng.integers(2, 5))):
        data = rng.normal(size=shapes[rng.integers(len(shapes))])
        if rng.random() < 0.2:
            data = np.abs(data) + 0.3
        pool.append(ad.Tensor(data, name=f"x{i}") if rng.random() < 0.85 else data)
    pool.append(ad.Tensor(rng.normal(size=(n,)), name="x9"))
    for i in range(int(rng.integers(2, 11))):
        new = step(rng, pool)
        if new is None or not isinstance(new, ad.Tensor) or not np.all(np.isfinite(new.data)) or np.abs(new.data).max() > 30:
            continue
        if rng.random() < 0.4:
            new.name = f"h{i}"
        pool.append(new)
    total = None
    for p in [p for p in pool if isinstance(p, ad.Tensor)][-3:]:
        if p.active:
            part = [ops.sum, ops.mean, lambda x: ops.sum(x * x), lambda x: ops.norm(x + 0.1)][rng.integers(4)](p)
            total = part if total is None else total + part
    return total.named("E")


def step(rng: np.random.Generator, pool: list[Any]) -> Any:
    """One random op on random operands that fit; None if these do not."""
    a, b = pool[rng.integers(len(pool))], pool[rng.integers(len(pool))]
    kind = rng.integers(14)
    sa, sb = np.shape(a), np.shape(b)
    data = a.data if isinstance(a, ad.Tensor) else a
    fits = _broadcasts(sa, sb)
    if kind in (0, 1):
        return ops.TABLE[UNARY[rng.integers(len(UNARY))]](a)
    if kind == 2 and np.all(data > 0.1):
        return ops.TABLE[POSITIVE[rng.integers(len(POSITIVE))]](a)
    if kind in (3, 4) and fits:
        return [ops.add, ops.sub, ops.mul, ops.mul, ops.maximum][rng.integers(5)](a, b)
    if kind == 5 and fits and np.all(np.abs(b.data if isinstance(b, ad.Tensor) else b) > 0.2):
        return a / b
    if kind in (6, 7) and sa and sb and sa[-1] == sb[0]:
        return ops.matmul(a, b)
    if kind == 8 and len(sa) == 2:
        return ops.transpose(a)
    if kind == 9 and sa:
        axis = int(rng.integers(len(sa)))
        reduce = [ops.sum, ops.mean, ops.logsumexp][rng.integers(3)]
        return reduce(a, axis=axis, keepdims=bool(rng.integers(2)))
    if kind == 10 and sa:
        axis = int(rng.integers(len(sa)))
        return [ops.softmax, ops.log_softmax][rng.integers(2)](a, axis=axis) if sa[axis] > 1 else None
    if kind == 11:
        simple = [lambda: a * 2.5, lambda: a - 1, lambda: 1 - a, lambda: a**2, lambda: a**3, lambda: 1 / (1 + a * a), lambda: a / 3]
        return simple[rng.integers(7)]()
    if kind == 12 and len(sa) == 2 and sa[0] == sa[1] > 1:
        shifted = a + 4 * np.eye(sa[0])
        return [lambda: ops.trace(a), lambda: ops.diag(a), lambda: ops.inv(shifted), lambda: ops.logdet(shifted)][rng.integers(4)]()
    if kind == 13 and len(sa) == 1 and len(sb) == 1:
        return [lambda: ops.outer(a, b), lambda: ops.diag(a), lambda: ops.norm(a)][rng.integers(3)]()
    return None


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True
