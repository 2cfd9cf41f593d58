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
    "log2": lambda a, b: torch.log2(1 + a * a),
    "log10": lambda a, b: torch.log10(1 + b * b),
    "exp2": lambda a, b: torch.exp2(torch.tanh(a)),
    "reciprocal": lambda a, b: torch.reciprocal(1 + a * a),
    "tan": lambda a, b: torch.tan(torch.tanh(a)),
    "arcsin": lambda a, b: torch.arcsin(0.9 * torch.tanh(a)),
    "arccos": lambda a, b: torch.arccos(0.9 * torch.tanh(b)),
    "arctan": lambda a, b: torch.arctan(a),
    "arctan2": lambda a, b: torch.arctan2(a, 1 + b * b),
    "sinh": lambda a, b: torch.sinh(torch.tanh(a)),
    "cosh": lambda a, b: torch.cosh(torch.tanh(b)),
    "arcsinh": lambda a, b: torch.arcsinh(a),
    "arccosh": lambda a, b: torch.arccosh(2 + a * a),
    "arctanh": lambda a, b: torch.arctanh(0.9 * torch.tanh(a)),
    "hypot": lambda a, b: torch.hypot(a, 1 + b * b),
    "logaddexp": lambda a, b: torch.logaddexp(a, b),
    "logaddexp2": lambda a, b: torch.logaddexp2(a, b),
    "erf": lambda a, b: torch.erf(a),
    "erfc": lambda a, b: torch.erfc(b),
    "gelu": lambda a, b: torch.nn.functional.gelu(a),
    "sinc": lambda a, b: torch.sinc(torch.tanh(a)),
    "clip": lambda a, b: torch.clamp(a, -0.5, 0.5),
    "clamp": lambda a, b: torch.clamp(a, torch.full_like(a, -0.5), b),
    "fmax": lambda a, b: torch.fmax(a, b),
    "fmin": lambda a, b: torch.fmin(a, b),
    "floor": lambda a, b: torch.floor(a) * b,
    "ceil": lambda a, b: torch.ceil(b) * a,
    "trunc": lambda a, b: torch.trunc(a) + b,
    "rint": lambda a, b: torch.round(a) * b,
    "mod": lambda a, b: torch.remainder(a, 1.5 + torch.tanh(b)),
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


# ---------------------------------------------------------------- functions of whole arrays

L, TL = np.linalg, torch.linalg
INDEX = np.array([[0, 2, 2, 1], [2, 1, 0, 0], [1, 1, 1, 0]])


def definite(a: Any) -> Any:
    return a @ a.T + np.eye(3) if not isinstance(a, torch.Tensor) else a @ a.T + torch.eye(3, dtype=a.dtype)


# Ours in NumPy's names and PyTorch's, of an array of shape (3, 4) or, by name, another.
ARRAYS: dict[str, tuple[Any, Any]] = {
    "prod": (lambda a: np.prod(a, axis=1), lambda a: torch.prod(a, 1)),
    "var": (lambda a: np.var(a, axis=0, ddof=1), lambda a: torch.var(a, 0)),
    "std": (lambda a: np.std(a, axis=1), lambda a: torch.std(a, 1, correction=0)),
    "cumsum": (lambda a: np.cumsum(a, axis=1), lambda a: torch.cumsum(a, 1)),
    "cumprod": (lambda a: np.cumprod(a, axis=0), lambda a: torch.cumprod(a, 0)),
    "sort": (lambda a: np.sort(a, axis=1), lambda a: torch.sort(a, 1)[0]),
    "roll": (lambda a: np.roll(a, 3), lambda a: torch.roll(a, 3)),
    "flip": (lambda a: np.flip(a, 1), lambda a: torch.flip(a, (1,))),
    "rot90": (lambda a: np.rot90(a, 3), lambda a: torch.rot90(a, 3)),
    "tile": (lambda a: np.tile(a, (2, 3)), lambda a: torch.tile(a, (2, 3))),
    "repeat": (lambda a: np.repeat(a, 3, axis=0), lambda a: torch.repeat_interleave(a, 3, 0)),
    "take": (lambda a: np.take(a, [0, 2, 2], axis=1), lambda a: torch.index_select(a, 1, torch.tensor([0, 2, 2]))),
    "take_along_axis": (lambda a: np.take_along_axis(a, INDEX, 1), lambda a: torch.take_along_dim(a, torch.tensor(INDEX), 1)),
    "pad": (lambda a: np.pad(a, ((1, 0), (2, 3))), lambda a: torch.nn.functional.pad(a, (2, 3, 1, 0))),
    "pad, reflect": (lambda a: np.pad(a, 2, mode="reflect")[2:-2], lambda a: torch.nn.functional.pad(a, (2, 2), mode="reflect")),
    "tril": (lambda a: np.tril(a, 1), lambda a: torch.tril(a, 1)),
    "triu": (lambda a: np.triu(a, -1), lambda a: torch.triu(a, -1)),
    "diagonal": (lambda a: np.diagonal(a, 1), lambda a: torch.diagonal(a, 1)),
    "diff": (lambda a: np.diff(a, n=2), lambda a: torch.diff(a, n=2)),
    "gradient": (lambda a: np.gradient(a, axis=1), lambda a: torch.gradient(a, dim=1)[0]),
    "split": (lambda a: np.split(a, [1, 3], axis=1)[1], lambda a: torch.tensor_split(a, (1, 3), 1)[1]),
    "kron": (lambda a: np.kron(a, a), lambda a: torch.kron(a, a)),
    "cross": (lambda a: np.cross(a[:, :3], a[:, 1:]), lambda a: TL.cross(a[:, :3], a[:, 1:])),
    "tensordot": (lambda a: np.tensordot(a, a, ([0], [0])), lambda a: torch.tensordot(a, a, ([0], [0]))),
    "inner": (lambda a: np.inner(a, a), lambda a: torch.inner(a, a)),
    "einsum": (lambda a: np.einsum("ij,kj->ik", a, a), lambda a: torch.einsum("ij,kj->ik", a, a)),
    "norm": (lambda a: L.norm(a, axis=0), lambda a: TL.norm(a, dim=0)),
    "norm, 3": (lambda a: L.norm(a, 3, axis=1), lambda a: TL.vector_norm(a, 3, 1)),
    "norm, inf": (lambda a: L.norm(a, np.inf), lambda a: TL.matrix_norm(a, float("inf"))),
    "norm, -1": (lambda a: L.norm(a, -1), lambda a: TL.matrix_norm(a, -1)),
    "norm, 2": (lambda a: L.norm(a, 2), lambda a: TL.matrix_norm(a, 2)),
    "norm, nuc": (lambda a: L.norm(a, "nuc"), lambda a: TL.matrix_norm(a, "nuc")),
    "inv": (lambda a: L.inv(definite(a)), lambda a: TL.inv(definite(a))),
    "solve": (lambda a: L.solve(definite(a), a), lambda a: TL.solve(definite(a), a)),
    "det": (lambda a: L.det(a[:, :3]), lambda a: TL.det(a[:, :3])),
    "slogdet": (lambda a: L.slogdet(a[:, 1:])[1], lambda a: TL.slogdet(a[:, 1:])[1]),
    "cholesky": (lambda a: L.cholesky(definite(a)), lambda a: TL.cholesky(definite(a))),
    "eigvalsh": (lambda a: L.eigvalsh(definite(a)), lambda a: TL.eigvalsh(definite(a))),
    "eigh": (lambda a: L.eigh(definite(a))[1] ** 2, lambda a: TL.eigh(definite(a))[1] ** 2),
    "svd": (lambda a: L.svd(a, full_matrices=False)[0] ** 2, lambda a: TL.svd(a, full_matrices=False)[0] ** 2),
    "svd, right": (lambda a: L.svd(a, full_matrices=False)[2] ** 2, lambda a: TL.svd(a, full_matrices=False)[2] ** 2),
    "svdvals": (L.svdvals, TL.svdvals),
    "pinv": (L.pinv, TL.pinv),
    "matrix_power": (lambda a: L.matrix_power(definite(a), -2), lambda a: TL.matrix_power(definite(a), -2)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_functions_of_arrays_agree(name: str) -> None:
    ours_, theirs = ARRAYS[name]
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 4))
    t, q = ad.Tensor(x), torch.tensor(x, requires_grad=True)
    y, z = ours_(t), theirs(q)
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-11, atol=1e-13)
    w = rng.normal(size=y.shape)
    np.sum(y * w).backward()
    (z * torch.tensor(w)).sum().backward()
    np.testing.assert_allclose(t.grad, q.grad.numpy(), rtol=1e-9, atol=1e-11)
