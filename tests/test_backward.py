"""Backward and gradient: accumulation, seeds, constants, staleness, and who owns which array."""

from __future__ import annotations

import itertools
import operator
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.node import order
from autodiff.reverse import of_values, sweep
from tests.cases import declared
from tests.programs import programs, run

LEAF = {"Value": lambda x: ad.Value(x), "Tensor": lambda x: ad.Tensor(x), "array": lambda x: ad.Tensor([x, x])}
both = pytest.mark.parametrize("leaf", LEAF.values(), ids=LEAF)


def back(z: Any) -> None:
    z.backward(seed=np.ones(z.shape)) if z.shape else z.backward()


def number(g: Any) -> float:
    return float(np.ravel(g)[0])


# ---------------------------------------------------------------- what .grad holds


@both
def test_grad_is_none_until_backward_reaches_the_node(leaf: Any) -> None:
    x, y, other = leaf(2.0), leaf(3.0), leaf(1.0)
    z = x * y
    assert x.grad is y.grad is z.grad is None
    back(z)
    assert (number(x.grad), number(y.grad), number(z.grad)) == (3.0, 2.0, 1.0)
    assert other.grad is None


@both
def test_leaves_accumulate_and_results_are_set_afresh(leaf: Any) -> None:
    x = leaf(2.0)
    y = x * x
    z = y * 3
    for k in (1, 2, 3):
        back(z)
        assert number(x.grad) == 12.0 * k
        assert number(y.grad) == 3.0
        assert number(z.grad) == 1.0
    for clear in (lambda: x.zero_grad(), lambda: setattr(x, "grad", None), lambda: setattr(x, "grad", 0)):
        clear()
        back(z)
        assert number(x.grad) == 12.0


@both
def test_micrograd_s_wrong_second_backward(leaf: Any) -> None:
    a = leaf(2.0)
    b = a + a
    c = b * b
    back(c)
    assert number(a.grad) == 16.0
    back(c)
    assert number(a.grad) == 32.0
    assert number(b.grad) == 8.0


@both
def test_two_results_share_leaves(leaf: Any) -> None:
    x = leaf(3.0)
    y = x * x
    back(y * 2)
    back(y + x)
    assert number(x.grad) == 12.0 + 7.0
    assert number(y.grad) == 1.0


@both
def test_repeats_and_diamonds(leaf: Any) -> None:
    x = leaf(3.0)
    assert number(ad.gradient(x + x, x) if not x.shape else ad.gradient((x + x).sum(), x)) == 2.0
    back(x * x * x)
    assert number(x.grad) == 27.0
    x = leaf(1.0)
    y = x
    for _ in range(20):  # 2**20 paths, 20 nodes
        y = y + y
    back(y)
    assert number(x.grad) == 2.0**20


@both
def test_the_naive_order_s_counter_example(leaf: Any) -> None:
    a = leaf(1.0)
    b = a + a
    c = b + a
    d = c * b
    back(d)
    assert number(a.grad) == 12.0  # d = (3a)(2a) = 6 a^2


@both
def test_backward_from_a_leaf_and_from_within(leaf: Any) -> None:
    x = leaf(2.0)
    back(x)
    back(x)
    assert number(x.grad) == 2.0
    x.zero_grad()
    y = x * 3
    z = y * y
    back(y)
    assert number(x.grad) == 3.0
    assert z.grad is None


def test_an_interior_node_that_does_not_matter_has_gradient_zero() -> None:
    x = ad.Tensor([1.0, -2.0])
    y = x * 2
    (ad.sign(y) + 0.0 * x).sum().backward()
    assert y.grad.tolist() == [0.0, 0.0]
    assert x.grad.tolist() == [0.0, 0.0]


# ---------------------------------------------------------------- seeds


def test_seeds() -> None:
    x = ad.Tensor([1.0, 2.0])
    z = x * x
    z.backward(seed=[1, 10])
    assert x.grad.tolist() == [2.0, 40.0]
    x.zero_grad()
    z.backward(seed=ad.Tensor([0.0, 1.0]))
    assert x.grad.tolist() == [0.0, 4.0]
    x.zero_grad()
    z.sum().backward(2.0)
    assert x.grad.tolist() == [4.0, 8.0]
    v = ad.Value(3.0)
    (v * v).backward(0.5)
    assert v.grad == 3.0


def test_a_seed_is_not_changed_and_not_kept() -> None:
    x, seed = ad.Tensor([1.0, 2.0]), np.array([1.0, 1.0])
    x.backward(seed=seed)
    x.backward(seed=seed)
    x.grad *= 5
    assert seed.tolist() == [1.0, 1.0]
    assert seed.flags.writeable
    z = x + 0
    z.backward(seed=seed)
    seed[...] = 9.0
    assert z.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("seed", [np.ones(3), 1.0, np.ones((2, 1)), ad.Tensor([1.0])], ids=repr)
def test_wrong_seeds_raise(seed: Any) -> None:
    x = ad.Tensor([1.0, 2.0])
    with pytest.raises(ad.ShapeMismatch, match="seed"):
        (x * 2).backward(seed=seed)
    assert x.grad is None


@pytest.mark.parametrize("seed", [np.array([1j, 1j]), ["1", "2"]], ids=repr)
def test_a_seed_is_real_numbers(seed: Any) -> None:
    x = ad.Tensor([1.0, 2.0])
    with pytest.raises(ad.BadOperand, match="the seed is of dtype"):
        (x * 2).backward(seed=seed)
    assert x.grad is None


def test_a_single_number_of_any_shape_needs_no_seed() -> None:
    for shape in ((), (1,), (1, 1)):
        x = ad.Tensor(np.full(shape, 3.0))
        (x * x).backward()
        assert x.grad.shape == shape
        assert x.grad.item() == 6.0


def test_several_numbers_say_what_one_can_mean() -> None:
    z2 = ad.Tensor(np.ones((3, 5))) * 2
    with pytest.raises(ad.NotScalar, match=r"(?s)z2 .*\(3, 5\).*15.*\.sum\(\)\.backward\(\).*seed=.*loss"):
        z2.backward()


# ---------------------------------------------------------------- constants, no_record, stop_gradient, scopes


@both
def test_constants_are_left_alone(leaf: Any) -> None:
    x = leaf(3.0)
    c = ad.constant(2.0 if isinstance(x, ad.Value) else np.array(2.0), name="c")
    arr = np.full(x.shape, 2.0)
    back(x * c * arr * 2.0 if x.shape else x * c * 2.0)
    assert c.grad is None
    assert np.all(arr == 2.0)
    assert arr.flags.writeable
    with pytest.raises(ad.NotConnected, match="constant"):
        ad.gradient(x * c if not x.shape else (x * c).sum(), c)


@both
def test_backward_from_a_constant_says_so(leaf: Any) -> None:
    x = leaf(3.0)
    with ad.no_record():
        y = x * 2
    for z in (y, ad.constant(1.0) * 2, ad.stop_gradient(x), x.detach(), ad.constant(np.ones(1)), y + y):
        with pytest.raises(ad.NotConnected, match="constant"):
            back(z)


@both
def test_no_record_and_stop_gradient_cut(leaf: Any) -> None:
    x = leaf(3.0)
    with ad.no_record():
        factor = x * 2
    assert not factor.active
    assert factor.args == ()
    back(x * factor + x * ad.stop_gradient(x))
    assert number(x.grad) == 9.0


def test_no_record_ends_with_its_block_also_after_an_error() -> None:
    x = ad.Value(1.0)
    with pytest.raises(RuntimeError), ad.no_record(), ad.no_record():
        raise RuntimeError
    assert (x * 2).active
    with ad.no_record():
        assert ad.Value(1.0).active


def test_no_record_and_scope_are_of_their_thread() -> None:
    x, seen = ad.Value(1.0), []
    with ad.no_record(), ad.scope("mine"):
        thread = threading.Thread(target=lambda: seen.append(x * 2))
        thread.start()
        thread.join()
    assert seen[0].active
    assert seen[0].scope == ()


@both
def test_scopes_mark_nodes_and_change_no_number(leaf: Any) -> None:
    x = leaf(3.0)
    with ad.scope("outer"):
        y = x * 2
        with ad.scope("inner"):
            z = y * y
            w = leaf(1.0)
    assert (x.scope, y.scope, z.scope, w.scope) == ((), ("outer",), ("outer", "inner"), ("outer", "inner"))
    back(z)
    assert number(x.grad) == 24.0
    with pytest.raises(TypeError, match="scope"):
        ad.scope("")


# ---------------------------------------------------------------- ownership


def _leaves() -> list[Any]:
    return [ad.Tensor(np.ones((2, 2)), name=n) for n in "abcd"]


GRAPHS = {
    "sum": lambda a, b, c, d: (a + b + c + d).sum(),
    "difference": lambda a, b, c, d: (a - b - (c - d)).sum(),
    "views": lambda a, b, c, d: (a.T + b.reshape(2, 2) + c[:] + d.copy()).sum(),
    "stack": lambda a, b, c, d: ad.stack([a, b, c, d]).sum(),
    "concatenate": lambda a, b, c, d: ad.concatenate([a, b, c, d], axis=None).sum(),
    "broadcast": lambda a, b, c, d: (a[0] + b[0] + c + d).sum(),
    "where": lambda a, b, c, d: ad.where(np.ones((2, 2)) > 0, a + c, b + d).sum(),
    "no sum": lambda a, b, c, d: a + b + c + d,
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("passes", [1, 2])
def test_every_leaf_owns_its_gradient(name: str, passes: int) -> None:
    """People scale and clip gradients in place; no other gradient may move with them."""
    variables = _leaves()
    z = GRAPHS[name](*variables)
    for _ in range(passes):
        z.backward(seed=np.ones(z.shape))
    kept = [v.grad.copy() for v in variables]
    interior = [(n, n.grad.copy()) for n in order(z) if n.op is not None and n.grad is not None]
    for p, q in itertools.combinations(variables, 2):
        assert not np.shares_memory(p.grad, q.grad)
    for v in variables:
        v.grad[...] = 99.0
    assert all(np.array_equal(n.grad, g) for n, g in interior)
    for v in variables:
        v.zero_grad()
    z.backward(seed=np.ones(z.shape))
    assert all(np.array_equal(v.grad * passes, g) for v, g in zip(variables, kept, strict=True))


@pytest.mark.parametrize("name", [n for n in GRAPHS if n != "no sum"])
def test_gradients_that_are_returned_alias_nothing(name: str) -> None:
    variables = _leaves()
    z = GRAPHS[name](*variables)
    found = ad.gradient(z, variables)
    transformed = ad.grad(lambda *xs: GRAPHS[name](*xs), (0, 1, 2, 3))(*[np.ones((2, 2))] * 4)
    cotangents = ad.vjp(lambda *xs: GRAPHS[name](*xs), *[np.ones((2, 2))] * 4)[1](1.0)
    for grads in (found, transformed, cotangents):
        for p, q in itertools.combinations(grads, 2):
            assert not np.shares_memory(p, q)
        assert all(g.flags.writeable for g in grads)


def test_a_vjp_gives_neither_the_cotangent_nor_one_array_twice() -> None:
    g = np.ones(2)
    _, pull = ad.vjp(lambda x, y: x + y, np.ones(2), np.ones(2))
    a, b = pull(g)
    assert not np.shares_memory(a, b)
    assert not np.shares_memory(a, g)
    y, tangent = ad.jvp(lambda x: x, (x := np.ones(2),), (g,))
    assert not np.shares_memory(tangent, g)
    assert not np.shares_memory(y, x)


def test_the_same_node_asked_for_twice_gets_two_arrays() -> None:
    x = ad.Tensor([1.0, 2.0])
    a, b = ad.gradient((x * x).sum(), [x, x])
    assert np.array_equal(a, b)
    assert not np.shares_memory(a, b)


@pytest.mark.parametrize("f", [lambda x: x * 3, lambda x: x * x, lambda x: x + x, lambda x: x * x * x], ids=["3x", "xx", "x+x", "xxx"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_gradient_of_a_0_d_tensor_is_a_0_d_array(f: Any, dtype: Any) -> None:
    x = ad.Tensor(2.0, dtype=dtype)
    for _ in range(2):
        f(x).backward()
        assert type(x.grad) is np.ndarray
        assert x.grad.dtype == dtype
        x.grad[...] = 1.0  # its own, to be written
    assert type(ad.gradient(f(x), x)) is np.ndarray


def test_interior_gradients_are_read_only_arrays() -> None:
    x = ad.Tensor([1.0, 2.0])
    y = x * 2
    (y + y).sum().backward()
    with pytest.raises(ValueError, match="read-only"):
        y.grad[0] = 5.0


def test_gradient_touches_no_grad() -> None:
    x = ad.Tensor([1.0, 2.0])
    y = x * x
    E = y.sum()
    ad.gradient(E, [x, y])
    ad.gradient(E, x, record=True)
    assert x.grad is y.grad is E.grad is None
    v = ad.Value(2.0)
    w = v * v
    assert ad.gradient(w, [v, w]) == [4.0, 1.0]
    assert v.grad is w.grad is None


# ---------------------------------------------------------------- gradient


def test_gradient_towards_results_and_itself() -> None:
    x = ad.Tensor([1.0, 2.0])
    y = x * 3
    E = (y * y).sum()
    gx, gy, gE = ad.gradient(E, (x, y, E))
    assert (gx.tolist(), gy.tolist(), gE.tolist()) == ([18.0, 36.0], [6.0, 12.0], 1.0)


def test_gradient_of_what_is_not_connected_raises() -> None:
    x, y = ad.Tensor(1.0, name="x"), ad.Tensor(1.0, name="y")
    with pytest.raises(ad.NotConnected, match="y does not reach"):
        ad.gradient(x * 2, y)
    with pytest.raises(ad.NotConnected, match="float"):
        ad.gradient(2.0, x)
    with pytest.raises(ad.NotConnected, match=r"ad\.Tensor"):
        ad.gradient(x * 2, np.ones(1))
    with pytest.raises(ad.NotScalar):
        ad.gradient(x * np.ones(2), x)


def test_a_recorded_gradient_can_be_differentiated_again_and_again() -> None:
    for x in (ad.Value(2.0), ad.Tensor(2.0)):
        E = x**4
        for want in (32.0, 48.0, 48.0, 24.0, 0.0, 0.0):
            E = ad.gradient(E, x, record=True)
            assert E.item() == want


def test_gradient_of_values_reaches_the_same_numbers_by_the_generic_sweep() -> None:
    x = ad.Value(2.0)
    assert ad.gradient(x.exp() * x, x) == pytest.approx(3 * np.exp(2.0), rel=1e-15)


# ---------------------------------------------------------------- staleness

READERS = {
    "backward": lambda E, x: E.backward(),
    "gradient": lambda E, x: ad.gradient(E, x),
    "gradient, recorded": lambda E, x: ad.gradient(E, x, record=True),
    "a vjp of it": lambda E, x: ad.grad(lambda s: s * E)(1.0) if isinstance(E, ad.Tensor) else ad.gradient(E * 1.0, x),
    "a jvp of it": lambda E, x: ad.jvp(lambda s: s * E, (1.0,), (1.0,)) if isinstance(E, ad.Tensor) else ad.gradient(E + 1.0, x),
    "backward of a later result": lambda E, x: (E * 2).backward(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", [ad.Value, ad.Tensor])
def test_every_reader_refuses_a_stale_graph(reader: str, kind: Any) -> None:
    x, c = kind(3.0), kind(2.0)
    for w in (x, c):
        E = x * x * c
        w.data = 5.0
        with pytest.raises(ad.StaleGraph, match=r"x|c|assigned"):
            READERS[reader](E, x)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", [float, lambda x: np.array([x])], ids=["number", "array"])
def test_assigning_a_constant_makes_stale_too(reader: str, kind: Any) -> None:
    c = ad.constant(kind(2.0), name="c")
    x = ad.Value(3.0) if not c.shape else ad.Tensor([3.0])
    E = x * c if not c.shape else (x * c).sum()
    c.data = kind(5.0)
    with pytest.raises(ad.StaleGraph, match="c "):
        READERS[reader](E, x)


@pytest.mark.parametrize("reader", READERS)
def test_a_computed_constant_older_than_every_variable_s_result_makes_stale_too(reader: str) -> None:
    c = ad.constant(np.array([2.0]), name="c")
    doubled = c * 2
    c.data = [5.0]
    x = ad.Tensor([3.0])
    E = (x * doubled).sum()
    with pytest.raises(ad.StaleGraph, match="c "):
        READERS[reader](E, x)


@pytest.mark.parametrize("kind", [ad.Value, ad.Tensor])
def test_a_refused_backward_changes_no_gradient(kind: Any) -> None:
    x = kind(3.0)
    y = x * x
    z = y * 2
    x.data = 5.0
    with pytest.raises(ad.StaleGraph):
        z.backward()
    assert x.grad is None
    assert y.grad is None
    assert z.grad is None


@pytest.mark.parametrize("kind", [ad.Value, ad.Tensor])
def test_only_graphs_that_used_the_old_value_are_stale(kind: Any) -> None:
    x, y = kind(3.0), kind(4.0)
    old, other = x * x, y * y
    x.data = 5.0
    other.backward()
    new = x * x + other
    new.backward()
    assert number(x.grad) == 10.0
    with pytest.raises(ad.StaleGraph):
        (new + old).backward()


@pytest.mark.parametrize("kind", [ad.Value, ad.Tensor])
def test_assigning_the_same_number_is_an_assignment(kind: Any) -> None:
    x = kind(3.0)
    y = x * x
    x.data = x.data
    with pytest.raises(ad.StaleGraph):
        y.backward()


def test_a_training_step_in_the_usual_habit() -> None:
    w = ad.Tensor([1.0, -1.0])
    for _ in range(3):
        loss = ((w - 3.0) ** 2).sum()
        w.zero_grad()
        loss.backward()
        w.data -= 0.5 * w.grad
    assert w.data.tolist() == [3.0, 3.0]


# ---------------------------------------------------------------- the fast sweep of Values is the generic one


def generic(E: Any) -> dict[int, float]:
    return {n.id: 0.0 if g is None else g for n, g in sweep([(E, 1.0)], None, of_values, operator.add)}


@given(programs(), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
@settings(max_examples=150, deadline=None)
def test_value_s_own_backward_is_the_generic_sweep(program: Any, numbers: Any) -> None:
    xs = [ad.Value(x) for x in numbers]
    E = run(program, xs)
    if not E.active:
        return
    E.backward()
    reference = generic(E)
    for n in order(E):
        if n.active:
            assert n.grad == pytest.approx(reference[n.id], rel=1e-12, abs=1e-12)


@given(programs(), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
@settings(max_examples=100, deadline=None)
def test_value_and_tensor_agree_on_random_programs(program: Any, numbers: Any) -> None:
    vs, ts = [ad.Value(x) for x in numbers], [ad.Tensor(x) for x in numbers]
    a, b = run(program, vs), run(program, ts)
    assert a.data == pytest.approx(b.item(), rel=1e-12, abs=1e-12)
    if not a.active:
        return
    a.backward()
    b.backward()
    for v, t in zip(vs, ts, strict=True):
        assert (v.grad is None) == (t.grad is None)
        if v.grad is not None:
            assert v.grad == pytest.approx(t.grad.item(), rel=1e-10, abs=1e-10)


def test_where_chooses_between_single_tensors() -> None:
    for condition in (True, np.True_, np.array(True)):
        x, y = ad.Tensor(2.0), ad.Tensor(3.0)
        ad.where(condition, x, y).backward()
        assert (x.grad, y.grad) == (1.0, 0.0)


READING = {
    "backward": lambda E, x: (E.backward(), x.grad)[1],
    "gradient": lambda E, x: ad.gradient(E, x),
}


@pytest.mark.parametrize("reader", READING)
def test_a_rule_that_writes_into_its_cotangent_is_refused(reader: str) -> None:
    """The cotangent is shared by the paths of a sum: written in place, it would make the other path wrong."""
    with declared():
        rude = ad.general(
            "rude_example", lambda x: 2 * x, lambda i, g, z, x: g.__imul__(2), lambda ts, z, x: 2 * ts[0], sample=lambda rng: []
        )
        x = ad.Tensor([1.0, 2.0])
        with pytest.raises(ValueError, match="read-only"):
            READING[reader]((rude(x) + x).sum(), x)


@pytest.mark.parametrize("in_place", [operator.iadd, operator.isub, operator.imul, operator.itruediv])
@pytest.mark.parametrize("leaf", [lambda: ad.Value(2.0, name="v"), lambda: ad.Tensor([2.0], name="v")], ids=["Value", "Tensor"])
def test_an_update_in_place_binds_the_name_anew_and_is_refused_where_data_was_meant(leaf: Any, in_place: Any) -> None:
    v = leaf()
    w = in_place(v, 3.0)
    assert w is not v and w.op is not None and v.item() == 2.0
    with ad.no_record(), pytest.raises(ad.errors.NoRule, match=r"write `v.data"):
        in_place(v, 3.0)
