"""E.certificate(): it agrees where all is right, and says node and numbers where something is not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.checking import certificate as module
from autodiff.checking import peers
from tests import programs
from tests.cases import BUILT_IN, declared, every_case, packed, tensors, weighted
from tests.mutants import mutants

X = np.array([[0.3, -0.7], [1.1, 0.4], [-0.2, 2.0]])


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other library is asked: what the engine can say by itself."""
    monkeypatch.setattr(module, "PEERS", ())


def network() -> Any:
    W1, W2 = ad.Tensor(X, name="W1"), ad.Tensor(X.T, name="W2")
    h = np.tanh(W1 @ np.array([[1.0, 2.0], [0.5, -1.0]])).named("h")
    return np.sum((W2 @ h) ** 2).named("E")


def verdicts(E: Any) -> dict[str, str]:
    return {row.what: row.verdict for row in E.certificate().rows}


@pytest.mark.usefixtures("alone")
def test_what_it_compares() -> None:
    found = network().certificate()
    assert [row.what for row in found.rows] == [
        "graph",
        "backward = recorded gradient",
        "backward = forward mode",
        "backward = differences",
        "backward = complex step",
    ]
    assert found.ok
    found.require()
    assert found.text.startswith("certificate of E (node 7 of 7): 5 operations, 2 variables with 12 entries of float64, seed 0\n")
    assert "5 of 5 comparisons agree; autodiff " in found.text
    assert f"NumPy {np.__version__}" in found.text
    assert repr(found) == found.text


@pytest.mark.usefixtures("alone")
def test_json_says_the_same() -> None:
    found = network().certificate(seed=3)
    read = json.loads(found.json)
    assert read["ok"] is True
    assert read["seed"] == 3
    assert [row["what"] for row in read["rows"]] == [row.what for row in found.rows]
    assert read["versions"]["NumPy"] == np.__version__
    with declared():
        bad = ad.elementwise("odd_nan", np.tanh, lambda z, x: np.nan * z)
        assert json.loads(bad(ad.Tensor([1.0])).certificate().json)["ok"] is False


@pytest.mark.usefixtures("alone")
def test_it_changes_nothing() -> None:
    E = network()
    E.certificate()
    assert all(n.grad is None for n in module.in_order(E))


@pytest.mark.usefixtures("alone")
def test_values_and_arrays_and_float32() -> None:
    a, b = ad.Value(2.0), ad.Value(3.0)
    assert (ad.tanh(a) * b + a**2).certificate().ok
    assert (ad.Tensor(X) ** 2).certificate().ok
    found = np.sum(np.tanh(ad.Tensor(X, dtype=np.float32)) ** 2).certificate()
    assert found.ok
    assert "float32" in found.text


@pytest.mark.usefixtures("alone")
def test_a_wrong_rule_is_named_with_its_node() -> None:
    with declared():
        bad = ad.elementwise("odd_tanh", np.tanh, lambda z, x: 1 - z)
        w = ad.Tensor(X, name="w")
        E = np.sum(bad(np.sin(w)).named("h") * 2)
        found = E.certificate()
        assert not found.ok
        assert "they part at h (node 3 of 5), odd_tanh of shape (3, 2)" in found.text
        with pytest.raises(ad.GradientMismatch, match="odd_tanh"):
            found.require()


@pytest.mark.usefixtures("alone")
def test_broken_rules_of_built_in_ops_are_not_certified() -> None:
    w = ad.Tensor(X, name="w")
    for op in BUILT_IN:
        if op.name in ("tanh", "matmul"):
            for mutant in mutants(op):
                with mutant.in_place():
                    assert not weighted(np.tanh(w).T @ (2 * w + 1)).certificate().ok, mutant.what


OWN: dict[str, tuple[Any, Any]] = {
    "forward is not analytic, though declared so": (lambda x: 2 * np.abs(x), lambda z, x: 2 * np.sign(x)),
    "forward takes no complex numbers": (lambda x: np.floor(x).astype(int), None),
    "forward gives float32": (lambda x: (2 * x).astype(np.float32), lambda z, x: 2.0),
}


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", OWN)
def test_what_the_complex_step_cannot_see_is_skipped(name: str) -> None:
    with declared():
        op = ad.elementwise("odd_own", *OWN[name])
        found = np.sum(op(ad.Tensor([0.25, -1.2, 0.7]))).certificate()
        assert found.ok
        assert {row.what: row.verdict for row in found.rows}["complex step"] == "skipped"


@pytest.mark.usefixtures("alone")
def test_a_wiggle_too_fast_for_the_first_differences_is_seen() -> None:
    with declared():
        op = ad.elementwise("odd_wiggle", lambda x: x + 1e-8 * np.sin(x * 1e8), lambda z, x: 1.0)
        x = ad.Tensor([0.25, -1.2, 0.7])
        assert not np.sum(op(x)).certificate().ok
        with pytest.raises(ad.GradientMismatch):
            ad.check_grads(op, x)


@pytest.mark.usefixtures("alone")
def test_a_changed_constant_is_found_in_the_graph() -> None:
    buffer = np.ones(2)
    E = np.sum(ad.Tensor([1.0, 2.0], name="w") * buffer)
    buffer[0] = 5.0
    found = E.certificate()
    assert found.rows[0].verdict == "different"
    assert "mul, no longer follows from its operands" in found.text


@pytest.mark.usefixtures("alone")
def test_kinks_skipped_rows_and_refusals() -> None:
    kink = np.sum(ad.relu(ad.Tensor([0.0, 1.0]))).certificate()
    assert not kink.ok
    assert "not differentiable here" in kink.text
    assert "relu takes no complex numbers" in kink.text
    with pytest.raises(ad.NotConnected):
        ad.constant(1.0).certificate()
    w = ad.Tensor([1.0])
    E = w * 2
    w.data = [3.0]
    with pytest.raises(ad.StaleGraph):
        E.certificate()


@pytest.mark.usefixtures("alone")
@every_case
def test_every_op_is_certified(op: Any, args: Any, kw: Any) -> None:
    found = weighted(op(*packed(op, tensors(op, args)), **kw)).certificate()
    assert found.ok, found.text


@given(programs.table_programs(programs.CALLS), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_programs_over_the_table_are_certified(program: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    E = programs.run_table(program, [ad.Tensor(rng.normal(size=shape)) for shape in ((2, 3), (4,))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PEERS", ())
        found = E.certificate(seed)
    assert found.ok, found.text


# ---------------------------------------------------------------- the peers


@pytest.mark.parametrize("peer", peers.PEERS)
def test_a_peer_that_is_not_installed_is_said(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PEERS", (peer,))
    monkeypatch.setattr(module, "installed", lambda peer: False)
    found = network().certificate()
    assert found.rows[-1] == module.Row(peer.name, "skipped", "not installed")
    assert found.ok


slow_for_jax = [peers.PyTorch, pytest.param(peers.JAX, marks=pytest.mark.slow)]


@pytest.mark.parametrize("peer", slow_for_jax)
def test_a_peer_agrees_on_this_very_graph(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(peer.module)
    monkeypatch.setattr(module, "PEERS", (peer,))
    found = network().certificate()
    assert found.ok
    assert [row.what for row in found.rows[-2:]] == [f"{peer.name}: value", f"{peer.name}: gradient"]
    assert all(row.verdict in ("identical", "rounding only") for row in found.rows[-2:])
    assert peer.name in found.versions


@pytest.mark.parametrize("peer", slow_for_jax)
def test_a_peer_that_disagrees_is_said_with_the_node(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(peer.module)
    monkeypatch.setattr(module, "PEERS", (peer,))
    tanh = next(op for op in BUILT_IN if op.name == "tanh")
    for mutant in mutants(tanh):
        if mutant.what == "factor 2, both modes":
            with mutant.in_place():
                rows = network().certificate().rows
            assert rows[-2].ok
            assert not rows[-1].ok
            assert "they part at h (node 4 of 7), tanh" in rows[-1].detail


@pytest.mark.parametrize("peer", slow_for_jax)
def test_an_op_without_a_counterpart_is_said(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(peer.module)
    monkeypatch.setattr(module, "PEERS", (peer,))
    with declared():
        cube = ad.elementwise("odd_cube", lambda x: x**3, lambda z, x: 3 * x**2)
        found = np.sum(cube(ad.Tensor(X))).certificate()
    assert found.ok
    assert found.rows[-1] == module.Row(peer.name, "skipped", f"{peer.name} has no counterpart of odd_cube")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({op.name for op in BUILT_IN}))
def test_jax_agrees_on_every_op(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    monkeypatch.setattr(module, "PEERS", (peers.JAX,))
    op, args, kw = next(call for call in programs.CALLS if call[0].name == name)  # one call: JAX compiles each anew
    found = weighted(op(*packed(op, tensors(op, args)), **kw)).certificate()
    assert found.ok, found.text
