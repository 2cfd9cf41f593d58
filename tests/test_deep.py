"""Deep graphs and clean ones: nothing is recursive over a graph, and dropping its root frees it at once."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.node import order

SIZES = [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)]
KINDS = {"Value": ad.Value, "Tensor": ad.Tensor}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture
def low_recursion_limit() -> Iterator[None]:
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 150)
    try:
        yield
    finally:
        sys.setrecursionlimit(old)


def chain(kind: Any, n: int) -> tuple[Any, Any]:
    x = kind(1.0)
    y = x
    for _ in range(n):
        y = y + x
    return x, y


@every_kind
@pytest.mark.parametrize("n", SIZES)
def test_a_chain_builds_goes_back_and_is_freed(kind: Any, n: int, low_recursion_limit: None) -> None:
    x, y = chain(kind, n)
    assert y.item() == n + 1
    assert len(order(y)) == n + 1
    y.backward()
    assert x.grad == n + 1
    assert ad.gradient(y, x) == n + 1
    dead = weakref.ref(y) if kind is not ad.Value and hasattr(y, "__weakref__") else None
    del y
    assert dead is None or dead() is None


@every_kind
@pytest.mark.parametrize("n", SIZES)
def test_a_chain_is_pickled_and_copied(kind: Any, n: int, low_recursion_limit: None, tmp_path: Path) -> None:
    _, y = chain(kind, n if kind is ad.Value else n // 4)
    for back in (pickle.loads(pickle.dumps(y)), copy.deepcopy(y)):
        (x,) = (v for v in order(back)[:1])
        back.backward()
        assert x.grad == y.item()
        del back, x


@every_kind
def test_a_chain_is_saved(kind: Any, low_recursion_limit: None, tmp_path: Path) -> None:
    _, y = chain(kind, 5_000)
    ad.save(tmp_path / "chain.npz", y)
    back = ad.load(tmp_path / "chain.npz")
    back.backward()
    assert order(back)[0].grad == 5_001


@every_kind
def test_a_chain_is_recorded_differentiated_pushed_and_refused(kind: Any, low_recursion_limit: None) -> None:
    x = kind(0.999)
    y = x
    for _ in range(20_000):
        y = y * x
    (g,) = ad.gradient(y, [x], record=True)
    assert g.item() == pytest.approx(20_001 * 0.999**20_000)
    assert ad.gradient(g, x) == pytest.approx(20_001 * 20_000 * 0.999**19_999)
    x.data = 1.0
    with pytest.raises(ad.StaleGraph):
        y.backward()
    assert "Tensor" in repr(y) or "Value" in repr(y)


def test_forward_mode_goes_down_a_chain(low_recursion_limit: None) -> None:
    def f(x: Any) -> Any:
        y = x
        for _ in range(20_000):
            y = y + x
        return y

    assert ad.jvp(f, (1.0,), (1.0,)) == (20_001.0, 20_001.0)
    assert ad.grad(f)(1.0) == 20_001.0


@every_kind
def test_a_wide_graph(kind: Any, low_recursion_limit: None) -> None:
    x = kind(1.0)
    parts = [x * k for k in range(2_000)]
    E = ad.sum(parts) if kind is ad.Value else ad.stack(parts).sum()
    E.backward()
    assert x.grad == sum(range(2_000))


# ---------------------------------------------------------------- no garbage


def value_loss() -> Any:
    xs = [ad.Value(float(k)) for k in range(1, 4)]
    z = (xs[0] * xs[1] + 2 / xs[2]).tanh()
    return ad.sum([z, *xs, 1.0]) + ad.dot(xs, xs) + ad.maximum(z, 0.0) ** 2


def tensor_loss() -> Any:
    W, x = ad.Tensor(np.ones((3, 4)), name="W"), np.ones((4, 2))
    with ad.scope("layer"):
        z = ad.log_softmax(W @ x, axis=0)
    return (z[np.array([0, 1])] * 2).mean() + ad.where(z.data > 0, z, 0.0).sum() + np.sum(z)


def a_gradient_of_a_gradient() -> Any:
    x = ad.Tensor([1.0, 2.0])
    E = (x**3).sum()
    return ad.gradient(ad.gradient(E, x, record=True).sum(), x, record=True)


LOSSES = {"Value": value_loss, "Tensor": tensor_loss, "recorded gradient": a_gradient_of_a_gradient}
USES = {
    "backward": lambda loss: loss.backward() if loss.shape == () else loss.sum().backward(),
    "gradient": lambda loss: ad.gradient(loss if loss.shape == () else loss.sum(), [n for n in order(loss) if n.op is None and n.active]),
    "recorded gradient": lambda loss: ad.gradient(
        loss if loss.shape == () else loss.sum(), [n for n in order(loss) if n.op is None and n.active], record=True
    ),
    "deepcopy": copy.deepcopy,
    "pickle": lambda loss: pickle.loads(pickle.dumps(loss)),
    "repr": repr,
    "nothing": lambda loss: None,
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_dropping_the_loss_frees_the_graph_without_the_collector(loss: Any, use: Any) -> None:
    def once() -> None:
        root = loss()
        use(root)
        del root

    once()  # caches fill
    gc.collect()
    gc.disable()
    try:
        once()
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "use",
    [ad.grad, ad.jacobian, ad.hessian, lambda f: lambda x: ad.jvp(f, (x,), (x,)), lambda f: lambda x: ad.vjp(f, x)[1](1.0)],
    ids=["grad", "jacobian", "hessian", "jvp", "vjp"],
)
def test_transforms_leave_no_garbage(use: Any) -> None:
    f, x = (lambda x: np.sum(np.tanh(x) * x)), np.ones(3)
    use(f)(x)
    gc.collect()
    gc.disable()
    try:
        use(f)(x)
        assert gc.collect() == 0
    finally:
        gc.enable()


@every_kind
def test_a_training_loop_does_not_grow(kind: Any) -> None:
    w = kind(1.0)

    def step() -> None:
        loss = (w * 2 - 3.0) ** 2
        w.zero_grad()
        loss.backward()
        w.data -= 0.01 * w.grad

    for _ in range(3):
        step()
    gc.collect()
    before = sum(type(x) in (ad.Value, ad.Tensor) for x in gc.get_objects())
    gc.disable()
    try:
        for _ in range(50):
            step()
        assert sum(type(x) in (ad.Value, ad.Tensor) for x in gc.get_objects()) == before
    finally:
        gc.enable()
