"""PyTorch as a second opinion: every op of the table, and random programs over it, give its values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.checking.peers import NoCounterpart, PyTorch
from autodiff.checking.ulps import compare, rounding
from autodiff.node import order
from tests import programs as ours
from tests.cases import every_case, packed, tensors, weighted

torch = pytest.importorskip("torch", reason="torch is not installed")
torch.set_num_threads(1)  # for such small arrays its threads only wait for each other
PEER = PyTorch()

TORCH: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: torch.tanh(a) * b,
    "div": lambda a, b: a / (1 + b * b),
    "pow": lambda a, b: (1 + a * a) ** torch.sin(b),
    "neg": lambda a, b: -a,
    "radd": lambda a, b: 2 + a,
    "rsub": lambda a, b: 1.5 - a,
    "rmul": lambda a, b: 0.5 * a,
    "rdiv": lambda a, b: 2 / (2 + torch.cos(a)),
    "rpow": lambda a, b: 2 ** torch.tanh(a),
    "square": lambda a, b: torch.square(torch.tanh(a)),
    "cube": lambda a, b: torch.sin(a) ** 3,
    "sqrt": lambda a, b: torch.sqrt(1 + b * b),
    "exp": lambda a, b: torch.exp(torch.tanh(a)),
    "expm1": lambda a, b: torch.expm1(torch.sin(a)),
    "log": lambda a, b: torch.log(1 + a * a),
    "log1p": lambda a, b: torch.log1p(b * b),
    "sin": lambda a, b: torch.sin(a),
    "cos": lambda a, b: torch.cos(b),
    "tanh": lambda a, b: torch.tanh(a),
    "sigmoid": lambda a, b: torch.sigmoid(a),
    "softplus": lambda a, b: torch.nn.functional.softplus(a, threshold=1e9),
    "stop_gradient": lambda a, b: a * torch.tanh(b).detach(),
    "relu": lambda a, b: torch.relu(a),
    "abs": lambda a, b: torch.abs(a),
    "maximum": lambda a, b: torch.maximum(a, b),
    "minimum": lambda a, b: torch.minimum(a, torch.full_like(a, 0.25)),
    "sign": lambda a, b: torch.sign(a) * b,
    "where": lambda a, b: torch.where(a > 0, b, a),
}


def test_every_step_has_its_twin() -> None:
    assert TORCH.keys() == ours.ALL.keys()


@given(ours.programs(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_programs_agree(program: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1.5, 1.5, (2, 3)) for _ in range(3)]
    ts = [ad.Tensor(a) for a in arrays]
    E = ours.run(program, ts).sum()
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    made = list(theirs)
    for name, i, j in program:
        made.append(TORCH[name](made[i % len(made)], made[j % len(made)]))
    F = (made[-1] + made[-2] * 0.5 + made[-1 - len(made) // 2] * 0.25).sum()
    assert E.item() == pytest.approx(F.item(), rel=1e-11, abs=1e-11)
    if not E.active or not F.requires_grad:
        assert E.active == F.requires_grad
        return
    E.backward()
    F.backward()
    for a, b in zip(ts, theirs, strict=True):
        got = np.zeros(a.shape) if a.grad is None else a.grad
        want = np.zeros(a.shape) if b.grad is None else b.grad.numpy()
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10)


# ---------------------------------------------------------------- the table, by itself


def agrees(E: Any, leaves: list[Any]) -> None:
    """Value and gradient are PyTorch's, within the rounding of both; raises NoCounterpart."""
    value, gradient = PEER.value_and_gradient(order(E), E, leaves, np.ones(E.shape))
    found = ad.gradient(E, leaves, record=True)
    (magnitude, bound), *roundings = rounding(E, *found)
    assert compare(value, E.data, magnitude, 2 * bound).verdict != "different"
    for mine, other, (m, k) in zip(found, gradient, roundings, strict=True):
        assert compare(mine.data, other, m, 2 * k).verdict != "different"


@every_case
def test_every_op_agrees(op: Any, args: Any, kw: Any) -> None:
    xs = tensors(op, args)
    try:
        agrees(weighted(op(*packed(op, xs), **kw)), [x for x in xs if isinstance(x, ad.Tensor)])
    except NoCounterpart as reason:
        pytest.skip(str(reason))


def _has_counterpart(call: ours.Call) -> bool:
    op, args, kw = call
    try:
        PEER.local(op(*packed(op, tensors(op, args)), **kw), np.ones(()))
    except NoCounterpart:
        return False
    except RuntimeError:  # of the cotangent's shape: the op itself ran
        return True
    return True


CALLS = [call for call in ours.CALLS if _has_counterpart(call)]


def test_most_of_the_table_has_a_counterpart() -> None:
    assert len(CALLS) > 0.5 * len(ours.CALLS)


@given(ours.table_programs(CALLS), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_programs_over_the_table_agree(program: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    leaves = [ad.Tensor(rng.normal(size=shape)) for shape in ((2, 3), (4,))]
    agrees(ours.run_table(program, leaves), leaves)


def test_a_network_agrees() -> None:
    rng = np.random.default_rng(0)
    W1, b1, W2, x = rng.normal(size=(5, 4)), rng.normal(size=(5, 1)), rng.normal(size=(3, 5)), rng.normal(size=(4, 7))
    t = np.eye(3)[:, rng.integers(0, 3, 7)]
    ps = [ad.Tensor(p) for p in (W1, b1, W2)]
    loss = -(t * ad.log_softmax(ps[2] @ ad.sigmoid(ps[0] @ x + ps[1]), axis=0)).sum() / 7
    loss.backward()
    qs = [torch.tensor(p, requires_grad=True) for p in (W1, b1, W2)]
    other = -(torch.tensor(t) * torch.log_softmax(qs[2] @ torch.sigmoid(qs[0] @ torch.tensor(x) + qs[1]), dim=0)).sum() / 7
    other.backward()
    assert loss.item() == pytest.approx(other.item(), rel=1e-13)
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("reduce", ["max", "min"])
def test_ties_are_shared_as_amax_shares_them(reduce: str) -> None:
    x = np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    t, q = ad.Tensor(x), torch.tensor(x, requires_grad=True)
    getattr(t, reduce)(axis=1).sum().backward()
    getattr(torch, "a" + reduce)(q, 1).sum().backward()
    np.testing.assert_array_equal(t.grad, q.grad.numpy())
