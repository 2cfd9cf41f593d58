"""micrograd's programs run on our Value: its `nn` module unmodified, and programs in the manner of its test_engine."""

from __future__ import annotations

import importlib.util
import random
import sys
import types
from typing import Any

import pytest

import autodiff as ad

micrograd = pytest.importorskip("micrograd.engine", reason="micrograd is not installed")


def nn_on(kind: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """micrograd's nn, its file as it is, with `Value` of micrograd.engine replaced."""
    engine = types.ModuleType("micrograd.engine")
    engine.Value = kind  # type: ignore[attr-defined]
    spec = importlib.util.find_spec("micrograd.nn")
    assert spec is not None
    assert spec.origin is not None
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "micrograd.engine", engine)
        fresh = importlib.util.spec_from_file_location("nn_on_" + kind.__module__.replace(".", "_"), spec.origin)
        assert fresh is not None
        assert fresh.loader is not None
        module = importlib.util.module_from_spec(fresh)
        fresh.loader.exec_module(module)
    assert module.Value is kind
    return module


def train(nn: Any, steps: int) -> tuple[list[float], list[float], list[float], str]:
    """The demo's loop: SVM margin loss, L2 regularization, plain gradient descent."""
    random.seed(1337)
    model = nn.MLP(2, [8, 8, 1])
    points = [[random.uniform(-1, 1), random.uniform(-1, 1)] for _ in range(12)]
    labels = [1 if a * b > 0 else -1 for a, b in points]
    losses = []
    for k in range(steps):
        scores = [model(list(map(nn.Value, p))) for p in points]
        margins = [(1 + -y * s).relu() for y, s in zip(labels, scores, strict=True)]
        loss = sum(margins) * (1.0 / len(margins)) + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        loss.backward()
        losses.append(loss.data)
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
    return losses, [p.data for p in model.parameters()], [p.grad for p in model.parameters()], repr(model)


def test_its_nn_module_trains_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = train(nn_on(ad.Value, monkeypatch), 5)
    theirs = train(nn_on(micrograd.Value, monkeypatch), 5)
    for a, b in zip(ours[:3], theirs[:3], strict=True):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-12)
    assert ours[3] == theirs[3]
    assert ours[0][-1] < ours[0][0]


def test_its_nn_module_runs_where_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    nn = nn_on(ad.Value, monkeypatch)
    random.seed(1)
    model = nn.MLP(3, [4, 4, 1])
    want = model([1.0, -2.0, 0.5]).data
    with ad.no_record():
        got = model([1.0, -2.0, 0.5])
    assert got.data == want
    assert not got.active


def small(V: Any) -> list[Any]:
    x = V(-4.0)
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    y = h + q + q * x
    y.backward()
    return [x, y]


def more_ops(V: Any) -> list[Any]:
    a, b = V(-4.0), V(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    return [a, b, g]


def every_constant_side(V: Any) -> list[Any]:
    a, b = V(1.5), V(-0.7)
    z = (3 - a) * (b - 2) / 4 + 5 / (1 - b) - (-a) ** 2 + a**-1 + (a / b) ** 3
    z = z + 0.5 * z - z / 7
    z.backward()
    return [a, b, z]


def shared(V: Any) -> list[Any]:
    a = V(0.3)
    b = a * a + a
    for _ in range(6):
        b = b * a + b.relu() - 0.1
    b.backward()
    return [a, b]


def cleared_by_zero(V: Any) -> list[Any]:
    a = V(2.0)
    (a * a).backward()
    a.grad = 0
    (a * 3).backward()
    return [a]


@pytest.mark.parametrize("program", [small, more_ops, every_constant_side, shared, cleared_by_zero], ids=lambda f: f.__name__)
def test_programs_give_its_values_and_gradients(program: Any) -> None:
    for ours, theirs in zip(program(ad.Value), program(micrograd.Value), strict=True):
        assert ours.data == pytest.approx(theirs.data, rel=1e-14)
        assert ours.grad == pytest.approx(theirs.grad, rel=1e-14)


def test_a_number_one_can_check_by_hand() -> None:
    x, y = small(ad.Value)
    assert (y.data, x.grad) == (-20.0, 46.0)
