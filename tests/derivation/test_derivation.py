"""What surrounds the formulas: refusals, checking, printing, random graphs."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.derivation import derivation as module
from autodiff.errors import DerivationFailed, NoIndexForm, NotConnected, NotScalar, NotVerified, StaleGraph, TooBig
from autodiff.node import order
from autodiff.ops import TABLE
from tests.derivation.random_graphs import LENGTHS, random_graph
from tests.derivation.reading import reads_as

RNG = np.random.default_rng(1)


def T(name: str, *shape: int) -> Any:
    return ad.Tensor(RNG.normal(size=shape), name)


# ---------------------------------------------------------------- random graphs


def check(seed: int) -> None:
    """Closed forms, as source and as text, are the engine's gradients in shape and numbers; derive refuses by name or not at all."""
    with np.errstate(all="ignore"):
        E = random_graph(seed, list(LENGTHS)[seed % 3])
        if not E.active or not np.isfinite(E.data):
            return
        try:
            d = ad.derive(E)
        except (TooBig, NoIndexForm, NotVerified, NotConnected):
            return
        named = {n.name: n for n in order(E)}
        scope: dict[str, Any] = {"np": np, **dict(d._graph.data()), **{k: n.data for k, n in named.items() if k}}
        exec(d.numpy, scope)
        for s in d.steps:
            exec("\n".join(s.rule.prelude + s.inserted.prelude), scope)
        values = {k: v for k, v in scope.items() if isinstance(v, np.ndarray | float | int)} | d._graph.sizes
        values |= {"∂" + s.name: ad.gradient(E, s.node) for s in d.steps}
        for s in d.steps:
            truth = values["∂" + s.name]
            for text in s.chain("text"):
                assert reads_as(text, "E", values, truth), text
            assert np.allclose(scope[s.result.variable], truth, rtol=1e-6, atol=1e-8 * (1 + np.abs(truth).max(initial=0)))
            assert sane_latex(s.rule.latex) and sane_latex(s.result.latex)


def sane_latex(text: str) -> bool:
    depth = 0
    for c in text:
        depth += (c == "{") - (c == "}")
        if depth < 0:
            return False
    double = re.search(r"\^\{[^{}]*\}\^|\^[^{\\]\^", text)
    return depth == 0 and double is None and text.count(r"\left") == text.count(r"\right") and "?" not in text


@pytest.mark.filterwarnings("ignore::autodiff.errors.BroadcastWarning")  # random shapes mean every pair
@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_random_graphs(seed: int) -> None:
    check(seed)


@pytest.mark.filterwarnings("ignore::autodiff.errors.BroadcastWarning")  # random shapes mean every pair
@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 2000, 100))
def test_2000_random_graphs(start: int) -> None:
    for seed in range(start, start + 100):
        check(seed)


def complex_step(E: Any, x: Any) -> Any:
    """The derivative by running the recorded ops on complex numbers: exact up to rounding."""
    out = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        value: dict[int, Any] = {}
        for n in order(E):
            if n.op is None:
                value[n.id] = np.array(n.data, complex)
                if n is x:
                    value[n.id][k] += 1e-30j
            else:
                args = [value[a.id] if hasattr(a, "id") else a for a in n.args]
                value[n.id] = n.op.forward(*args, **n.kw)
        out[k] = np.imag(value[E.id]) / 1e-30
    return out


def test_against_complex_step() -> None:
    A, x, b = ad.Tensor(RNG.normal(size=(4, 4)) + 4 * np.eye(4), "A"), T("x", 4), T("b", 4)
    h = np.tanh(A @ x).named("h")
    E = np.sum(np.exp(h) * b) + x @ np.linalg.inv(A) @ b + np.log(1 + np.sum(x * x)) + np.trace(A @ A)
    for v in (A, x, b):
        assert np.allclose(ad.derive(E, v)(), complex_step(E, v), rtol=1e-12)


# ---------------------------------------------------------------- never wrong


def test_a_wrong_formula_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    x = T("x", 4)
    E = np.sum(x**3)
    real = module.to_matrix
    monkeypatch.setattr(module, "to_matrix", lambda p, want: real(module.expr.scale(p, 2), want))
    with pytest.raises(DerivationFailed, match="differs"):
        ad.derive(E)


def test_a_wrong_rule_in_the_simplifier_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from autodiff.derivation import simplify

    monkeypatch.setattr(simplify, "known_functions", lambda q: simplify.expr.scale(q, 3))
    x = T("x", 4)
    with pytest.raises(DerivationFailed):
        ad.derive(np.sum(x**2))


def test_undefined_near_the_data() -> None:
    x = T("x", 3)
    h = (x - x).named("h")
    with pytest.raises(NotVerified, match="undefined"):
        ad.derive(np.linalg.norm(h) + np.sum(x))


def test_derive_leaves_the_graph_alone() -> None:
    x = T("x", 3)
    E = np.sum(x**2)
    ad.derive(E)
    assert x.grad is None and E.grad is None and E.name is None


def test_same_formula_every_time() -> None:
    x, A = T("x", 4), T("A", 4, 4)
    texts = {str(ad.derive(x @ A @ A @ x + np.sum(np.tanh(A @ x)))) for _ in range(5)}
    assert len(texts) == 1


# ---------------------------------------------------------------- refusals


def test_refusals() -> None:
    x, w = T("x", 4), T("w", 4)
    with pytest.raises(NotConnected, match="w does not reach"):
        ad.derive(np.sum(x), w)
    with pytest.raises(NotScalar, match="Jacobian"):
        ad.derive((x * 2).named("y"))
    with pytest.raises(NotConnected, match="no recorded graph"):
        ad.derive(3.0)
    with pytest.raises(ValueError, match="layout"):
        ad.derive(np.sum(x), layout="rows")
    with pytest.raises(NoIndexForm, match="opaque"):
        ad.derive(np.sum(x[1:] ** 2))
    E = np.sum(x * x)
    x.data = x.data * 2
    with pytest.raises(StaleGraph):
        ad.derive(E)


def test_opaque_nodes() -> None:
    x = T("x", 4)
    g = x[1:].named("g")
    E = np.sum(g**2) + np.sum(x)
    assert ad.derive(E, g, opaque=[g]).text == "dE/dg = 2 * g"
    h = np.sum(x[1:] ** 2 * np.ones((2, 3)), axis=0)
    assert ad.derive(np.sum(h**2), h, opaque=[h]).text == "dE/dh = 2 * h"  # what lies below needs no form
    with pytest.raises(NotConnected, match="opaque"):
        ad.derive(np.sum(g**2), x, opaque=[g])


def test_too_big() -> None:
    x = T("x", 3)
    z = x
    for _ in range(300):
        z = np.sin(z)
    with pytest.raises(TooBig, match="named"):
        ad.derive(np.sum(z))
    z = x * 0.1
    for _ in range(40):
        z = z * z - 0.5 * z
    with pytest.raises(TooBig):
        ad.derive(np.sum(z), x)


def test_sums_within_sums_are_refused() -> None:
    x = z = T("x", 3)
    for _ in range(25):
        z = z / (1 + 0.1 * np.sum(z * z))
    with pytest.raises(TooBig):  # without a limit on multiplying out it takes for ever
        ad.derive(np.sum(z), x)


def test_names_that_formulas_use_themselves() -> None:
    a, b = ad.Tensor(np.ones(3), "sum"), ad.Tensor(np.ones(3), "sigmoid")
    assert ad.derive(np.sum(np.tanh(a * b)), a).text == "dE/dsum_2 = sigmoid_2 * (1 - tanh(sum_2 * sigmoid_2)**2)"


def test_long_chains_without_recursion() -> None:
    x = T("x", 3)
    z = x
    for _ in range(5000):
        z = z * 1.0001 + 0.001
    assert ad.derive(np.sum(z), x).text.startswith("dE/dx = ")


def test_long_nets_are_written_in_the_gradients_above() -> None:
    h = T("x", 3)
    for i in range(12):
        h = np.tanh((T(f"W{i}", 3, 3) @ h).named(f"z{i}")).named(f"h{i}")
    E = np.sum(h**2)
    W0 = next(n for n in order(E) if n.name == "W0")
    d = ad.derive(E, W0)
    assert len(d.text) < 400
    assert d.text.startswith("dE/dW0 = dE/dz0 @ x.T\nwhere dE/dz6 = ") and ", dE/dz0 = (W1.T @" in d.text  # nothing is left unsaid
    assert np.allclose(d(), ad.gradient(E, W0))


# ---------------------------------------------------------------- printing


def test_every_output() -> None:
    X, w = RNG.normal(size=(5, 3)), T("w", 3)
    y = RNG.normal(size=5)
    E = np.mean((X @ w - y) ** 2).named("E")
    d = ad.derive(E, w)
    assert repr(d) == d.text == "dE/dw = 2 * X.T @ (X @ w - y) / m"
    assert str(d) == "dE/dw = 2 * X.T @ (X @ w - y) / m"
    assert d.numpy == "m = X.shape[0]\ndE_dw = 2 * X.T @ (X @ w - y) / m"
    right = r"\frac{2}{m} \, \mathbf{X}^{\top} \, \left(\mathbf{X} \, \mathbf{w} - \mathbf{y}\right)"
    assert d.latex == r"\frac{\partial E}{\partial \mathbf{w}} = " + right
    assert d._repr_latex_().startswith("$") and d._repr_markdown_().startswith("$$")
    assert np.allclose(d(w=np.zeros(3)), -2 * X.T @ y / 5)
    with pytest.raises(TypeError, match="no variable is called v"):
        d(v=1)


def test_rules_for_pictures() -> None:
    x, W = T("x", 3), T("W", 2, 3)
    z = (W @ x).named("z")
    E = np.sum(np.tanh(z).named("y"))
    d = ad.derive(E)
    assert d.rule(z, 0) == "dE/dz @ x.T"
    assert d.rule(z, 1) == "W.T @ dE/dz"
    assert d.rule(E, 0) == "ones(n1)"
    assert d.formula(z).text == "1 - y**2"


def test_greek_and_subscripts_in_latex() -> None:
    sigma_2, lam = ad.Value(2.0, "sigma_2"), ad.Value(3.0, "lam")
    assert ad.derive(lam * sigma_2**2, sigma_2).latex == r"\frac{\partial E}{\partial \sigma_{2}} = 2 \, \sigma_{2} \, \lambda"


def test_names_that_latex_would_write_alike() -> None:
    a, b = T("a1", 3), T("a_1", 3)
    assert ad.derive(np.sum(a * b), a).latex == r"\frac{\partial E}{\partial \mathbf{a}_{1}} = \mathrm{a\_1}"


def test_equal_and_awkward_names() -> None:
    a, b, c = ad.Tensor(np.ones(3), "h"), ad.Tensor(np.ones(3), "h"), ad.Tensor(np.ones(3), "my weight")
    d = ad.derive(np.sum(a * b * c))
    assert d.text.splitlines() == ["dE/dmy_weight = h * h_2", "dE/dh_2 = h * my_weight", "dE/dh = h_2 * my_weight"]


def test_float32_and_sizes_of_one() -> None:
    X, w, b = (np.ones((5, 3), np.float32), ad.Tensor(np.ones((3, 1), np.float32), "w"), ad.Tensor(np.zeros((1, 1), np.float32), "b"))
    y = np.arange(5.0, dtype=np.float32).reshape(5, 1)
    E = np.mean((X @ w + b - y) ** 2)
    d = ad.derive(E, [w, b])
    assert all(np.allclose(d()[f"dE/d{n.name}"], ad.gradient(E, n)) for n in (w, b))


def test_a_users_op_is_derived_too() -> None:
    cube = ad.elementwise("cube_of_tests", lambda x: x * x * x, lambda z, x: 3 * x * x)
    x = T("x", 3)
    try:
        assert ad.derive(np.sum(cube(x)), x).text == "dE/dx = 3 * x**2"
    finally:
        del TABLE["cube_of_tests"]


def test_import_of_autodiff_does_not_load_the_reader() -> None:
    code = "import sys, autodiff; sys.exit('autodiff.derivation' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", [n for n, op in TABLE.items() if op.index is not None or op.form is not None])
def test_index_forms_agree_with_the_ops(name: str) -> None:
    """Each op of the table with an index form: the loss sum(c * op(x)) derives, or is refused by name."""
    op = TABLE[name]
    rng = np.random.default_rng(0)
    derived = 0
    for args, kw in op.sample(rng):
        operands = list(args[0] if op.arity is None else args)
        if any(np.size(a) == 0 for a in operands):
            continue
        moving = [ad.Tensor(a, f"x{i}") if np.asarray(a).dtype.kind == "f" else a for i, a in enumerate(operands)]
        z = op(moving, **kw) if op.arity is None else op(*moving, **kw)
        E = ad.sum(z * rng.normal(size=z.shape))
        try:
            ad.derive(E)  # compares with the engine by itself
        except (NoIndexForm, NotConnected):
            continue
        derived += 1
    assert derived


@pytest.mark.parametrize("count", [4, 5])
def test_a_literal_that_may_be_the_number_of_examples_is_called_one(count: int) -> None:
    X = ad.constant(np.ones((count, 2)), name="X")
    y, w = ad.constant(np.ones(count), name="y"), ad.Tensor(np.ones(2), name="w")
    e = (X @ w - y) ** 2
    says = f"{count} is a literal of the recording; where it stands for m, the number of examples, write np.mean, which gives m"
    for E in (np.sum(e) / count, np.sum(e) * (1 / count)):
        assert str(ad.derive(E, wrt=w)).splitlines()[-1] == says
    for E in (np.mean(e), np.sum(e) / 3, np.sum(e)):
        assert "literal" not in str(ad.derive(E, wrt=w))
