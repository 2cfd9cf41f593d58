"""The net that students derive by hand, in both conventions, and their code with any of its steps wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import autodiff as ad

Arrays = dict[str, Any]


def net(
    m: int = 5, biases: bool = True, rows: bool = False, shape: tuple[int, int, int] = (4, 7, 3), soft: bool = False, seed: int = 0
) -> Any:
    """The net recorded; `rows` if each row of x is an example.  The parameters are nodes called W1, W2, b1, b2."""
    rng = np.random.default_rng(seed)
    n0, n1, n2 = shape
    turn = (lambda a: a.T.copy()) if rows else (lambda a: a)
    t = np.eye(n2)[:, rng.integers(0, n2, m)]
    if soft:
        t = rng.dirichlet(np.ones(n2), m).T
    data = {"x": rng.normal(size=(n0, m)), "W1": rng.normal(size=(n1, n0)), "W2": rng.normal(size=(n2, n1))}
    p = {name: ad.Tensor(turn(data[name]), name=name) for name in ("W1", "W2")}
    if biases:
        bs = {"b1": rng.normal(size=(n1, 1)), "b2": rng.normal(size=(n2, 1))}
        p |= {name: ad.Tensor(b[:, 0] if rows else b, name=name) for name, b in bs.items()}
    x, t = ad.constant(turn(data["x"]), name="x"), ad.constant(turn(t), name="t")
    z1 = ((x @ p["W1"] if rows else p["W1"] @ x) + (p["b1"] if biases else 0.0)).named("z1")
    y1 = ad.sigmoid(z1).named("y1")
    z2 = ((y1 @ p["W2"] if rows else p["W2"] @ y1) + (p["b2"] if biases else 0.0)).named("z2")
    y2 = ad.softmax(z2, axis=1 if rows else 0).named("y2")
    E = ad.mean(-ad.sum(t * ad.log(y2), axis=1 if rows else 0)).named("E")
    return SimpleNamespace(**p, x=x, t=t, z1=z1, y1=y1, z2=z2, y2=y2, E=E, rows=rows, biases=biases, m=m)


def student(run: Any, **slip: Any) -> Arrays:
    """A student's gradients for the net; each step can be replaced by a function of the values `v` so far (columns are examples)."""
    turn = (lambda a: a.T) if run.rows else (lambda a: a)
    v = SimpleNamespace(**{k: turn(getattr(run, k).data) for k in ("x", "t", "z1", "y1", "z2", "y2", "W1", "W2")}, m=run.m)
    steps = {
        "d2": lambda v: (v.y2 - v.t) / v.m,
        "dW2": lambda v: v.d2 @ v.y1.T,
        "db2": lambda v: v.d2.sum(1, keepdims=True),
        "back": lambda v: v.W2.T @ v.d2,
        "slope": lambda v: v.y1 * (1 - v.y1),
        "d1": lambda v: v.back * v.slope,
        "dW1": lambda v: v.d1 @ v.x.T,
        "db1": lambda v: v.d1.sum(1, keepdims=True),
    }
    for name, right in steps.items():
        setattr(v, name, slip.get(name, right)(v))
    found = {"W2": turn(v.dW2), "W1": turn(v.dW1)}
    if run.biases:
        found |= {name: b[:, 0] if run.rows and b.shape[1] == 1 else turn(b) for name, b in (("b2", v.db2), ("b1", v.db1))}
    return found
