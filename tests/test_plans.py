"""Plans of the reverse sweep: the same bits as the sweep, for every op of the table, and only for the graphs they were written for."""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import plans, reverse
from autodiff.ops import Op
from tests.cases import BUILT_IN, caller, declared, variables, weighted
from tests.programs import programs, run

ONE = np.array(1.0)


@pytest.fixture(autouse=True)
def no_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_store", plans._Store())


def swept(root: Any, start: Any = ONE) -> list[tuple[Any, Any]]:
    return reverse.sweep([(root, start)], None, reverse.of_arrays, reverse.add_arrays)


def written(root: Any, start: Any = ONE) -> Any:
    return plans.tried(plans.write, root, start)


def calls(op: Op) -> list[list[Any]]:
    """The calls of the sampler, each with the same call on two other sets of numbers."""
    samples = [op.sample(np.random.default_rng(seed)) for seed in (7, 8, 9)]
    return [list(alike) for alike in zip(*samples, strict=True)]


def has_plan(op: Op, alike: list[Any]) -> bool:
    """Has the call a plan?  If so, it is compared with the sweep on the numbers it was written from and on others."""
    plan = None
    for args, kw in alike:
        root = weighted(caller(op, kw)(*variables(args)[0]))
        plan = plan or written(root)
        if plan is None:
            return False
        assert plans.same(plan(root, ONE), swept(root)), (op, kw)
    return True


# Arrays among the static arguments, which are not compared, and rules that look at their numbers.
WITHOUT = {
    *("getitem", "scatter", "repeat", "take", "take_along_axis", "delete"),
    *("cofactors_moved", "eigvecsh", "left_vectors", "right_vectors", "pinv"),
}


@pytest.mark.parametrize("op", BUILT_IN, ids=lambda op: op.name)
def test_a_plan_gives_the_bits_of_the_sweep_also_on_other_numbers(op: Op) -> None:
    found = [has_plan(op, alike) for alike in calls(op)]
    assert all(found) == (op.name not in WITHOUT)


@given(programs(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_random_programs_have_the_bits_of_the_sweep(program: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [[(3,), (2, 1), (2, 3)][k] for k in rng.integers(0, 3, size=3)]
    roots = [np.sum(run(program, [ad.Tensor(rng.normal(size=shape)) for shape in shapes])) for _ in range(2)]
    plan = written(roots[0])
    assert plan is not None
    for root in roots:
        assert plans.same(plan(root, ONE), swept(root))


def arguments(dtype: Any = np.float64, n: int = 3) -> tuple[Any, ...]:
    rng = np.random.default_rng(n)
    return ad.Tensor(rng.normal(size=(4, n)), dtype=dtype), ad.Tensor(rng.normal(size=(n, 2)), dtype=dtype), np.array([1.0, 2.0], dtype)


def graph(x: Any, w: Any, c: Any, f: Any = ad.tanh, k: Any = 0, third: Any = 3, **kw: Any) -> Any:
    h = f(x @ w)
    return np.sum((h * h)[k] * c, **kw) / third


def twice_computed(x: Any, w: Any, c: Any) -> Any:
    return np.sum((ad.tanh(x @ w) * ad.tanh(x @ w))[0] * c) / 3


X, W, C = arguments()
UNLIKE_IT: dict[str, Callable[[], Any]] = {
    "another shape": lambda: graph(*arguments(n=5)),
    "another dtype": lambda: graph(*arguments(np.float32)),
    "another index": lambda: graph(X, W, C, k=1),
    "an index that is equal and means something else": lambda: graph(X, W, C, k=False),
    "an index that is an array": lambda: graph(X, W, C, k=np.array([0])),
    "an array that is a variable": lambda: graph(X, W, ad.Tensor(C)),
    "a variable that is an array": lambda: graph(np.array(X.data), W, C),
    "a variable that is a constant": lambda: graph(ad.constant(np.array(X.data)), W, C),
    "two equal nodes for one": lambda: twice_computed(X, W, C),
    "a float for an integer": lambda: graph(X, W, C, third=3.0),
    "another op": lambda: graph(X, W, C, f=ad.sin),
    "another keyword": lambda: graph(X, W, C, axis=0),
    "an op more": lambda: graph(X, W, C, f=lambda z: ad.tanh(ad.tanh(z))),
}


def test_a_plan_is_for_all_graphs_of_its_structure() -> None:
    plan = written(graph(X, W, C))
    assert plan is not None
    for third in (3, 7):
        root = graph(*(a + 1 if isinstance(a, np.ndarray) else ad.Tensor(a.data + 1) for a in (X, W, C)), third=third)
        assert plans.same(plan(root, ONE), swept(root))


@pytest.mark.parametrize("what", UNLIKE_IT)
def test_another_structure_is_left_to_the_sweep(what: str) -> None:
    pair = graph(X, W, C), UNLIKE_IT[what]()
    starts = [np.ones((), root.dtype) for root in pair]
    for root, other in ((0, 1), (1, 0)):
        plan = written(pair[root], starts[root])
        assert plan is None or (plan(pair[root], starts[root]) is not None and plan(pair[other], starts[other]) is None)


def test_an_array_that_bounds_a_slice_may_be_changed_later() -> None:
    start, w = np.array(2), ad.Tensor([1.0, 2.0, 3.0])
    train(w, plans.MEETINGS + 1, lambda w: np.mean(w[start:]))
    start -= 1
    assert np.array_equal(train(w, 1, lambda w: np.mean(w[start:]))[0], [0.0, 0.5, 0.5])


def test_one_leaf_in_two_places_is_another_structure_than_two_leaves() -> None:
    x = ad.Tensor(np.eye(3))
    one, two = np.sum(x @ x), np.sum(x @ ad.Tensor(np.eye(3)))
    for root, other in ((one, two), (two, one)):
        plan = written(root)
        assert plan is not None and plan(root, ONE) is not None and plan(other, ONE) is None


def test_a_deeper_graph_is_another_structure() -> None:
    x = ad.Tensor(np.eye(3) / 2)

    def power(n: int) -> Any:
        h = x
        for _ in range(n):
            h = h @ x
        return np.sum(h)

    for n, other in ((1, 2), (2, 1), (3, 7)):
        plan = written(power(n))
        assert plan is not None and plan(power(n), ONE) is not None and plan(power(other), ONE) is None


def one_operation(made: list[Any]) -> list[Any]:
    pairs = [(a, b) for a, b in itertools.product(made, repeat=2) if isinstance(a, ad.Tensor) or isinstance(b, ad.Tensor)]
    return [ad.exp(a) for a in made if isinstance(a, ad.Tensor)] + [op(a, b) for op in (ad.add, ad.mul) for a, b in pairs]


def small_graphs() -> list[Any]:
    """Everything that two operations make of two leaves and a plain array."""
    leaves = [ad.Tensor([1.0, 0.5]), ad.Tensor([0.25, 2.0]), np.array([3.0, 1.5])]
    return [np.sum(z) for h in one_operation(leaves) for z in one_operation([*leaves, h]) if any(a is h for a in z.args)]


def test_no_plan_is_used_where_it_would_be_wrong() -> None:
    graphs = small_graphs()
    truth = [swept(root) for root in graphs]
    for graph in graphs:
        plan = written(graph)
        assert plan is not None
        for root, found in zip(graphs, truth, strict=True):
            planned = plan(root, ONE)
            assert (planned is not None) if root is graph else True
            assert planned is None or plans.same(planned, found)


@given(programs(), st.integers(0, 24), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_no_plan_is_used_for_a_program_with_another_step(program: Any, k: int, i: int, j: int) -> None:
    other = list(program)
    name, a, b = other[k % len(other)]
    other[k % len(other)] = (name, a + i, b + j)
    leaves = [ad.Tensor([1.0, 0.5]), ad.Tensor([0.25, 2.0]), ad.Tensor([3.0, 1.5])]
    plan = written(np.sum(run(program, leaves)))
    root = np.sum(run(other, leaves))
    found = plan(root, ONE) if plan is not None else None
    assert found is None or plans.same(found, swept(root))


def train(w: Any, steps: int, f: Callable[[Any], Any]) -> list[Any]:
    found = []
    for k in range(steps):
        w.zero_grad()
        E = f(w)
        E.backward()
        found.append(w.grad)
        w.data = w.data + 0.1 * k
    return found


def test_the_third_backward_alike_writes_the_plan_that_the_others_use(monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps = counted(monkeypatch)
    found = train(ad.Tensor([1.0, 2.0]), 10, lambda w: np.sum(ad.exp(w) * w))
    assert len(sweeps) == plans.MEETINGS + 1  # and the one it was written by
    w = np.array([1.0, 2.0])
    for k, g in enumerate(found):
        assert np.array_equal(g, np.exp(w) * w + np.exp(w))
        w = w + 0.1 * k
    assert len({g.__array_interface__["data"] for g in found}) == 10  # each gradient is an array of its own
    assert all(g.flags.writeable for g in found)


def test_gradients_add_up_and_those_of_results_are_read_only() -> None:
    w = ad.Tensor([1.0, 2.0])
    for k in range(1, 8):
        h = ad.exp(w)
        np.sum(h + 0).backward()
        assert np.allclose(w.grad, k * np.exp(w.data), rtol=1e-15)
        assert not h.grad.flags.writeable


def test_a_rule_replaced_is_used_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    w = ad.Tensor([1.0, 2.0])
    train(w, 6, lambda w: np.sum(ad.exp(w)))
    monkeypatch.setattr(ad.exp, "carry", (lambda g, z, xs: 2 * g * z,))
    for g in train(w, 6, lambda w: np.sum(ad.exp(w))):
        assert g[0] > 10
    monkeypatch.undo()
    (g,) = train(w, 1, lambda w: np.sum(ad.exp(w)))
    assert np.array_equal(g, np.exp(w.data))


def made_in_order(x: Any, order: list[int]) -> Any:
    """The same sum whatever the order in which its terms are made."""
    terms = {k: (ad.exp, ad.sin, ad.tanh, ad.cos)[k](x) for k in order}
    return np.sum(terms[0] + terms[1] + terms[2] + terms[3])


def test_the_order_in_which_results_were_made_is_the_order_of_adding_up() -> None:
    x = ad.Tensor(np.random.default_rng(0).normal(size=50))
    plan = written(made_in_order(x, [0, 1, 2, 3]))
    orders = list(itertools.permutations(range(4)))
    bits = {swept(made_in_order(x, list(order)))[-1][1].tobytes() for order in orders}
    assert len(bits) > 1  # else it would not matter
    used = [plan(made_in_order(x, list(order)), ONE) is not None for order in orders]
    assert used == [True] + 23 * [False]


def test_a_seed_that_is_a_node_has_the_dtype_of_its_root() -> None:
    for _ in range(plans.MEETINGS + 2):
        for dtype in (np.float64, np.float32):
            x = ad.Tensor([1.0, 2.0])
            z, seed = x + x, np.ones(2, dtype)
            z.backward(seed=ad.constant(seed))
            assert x.grad.dtype == z.grad.dtype == np.float64
            seed[:] = 2.0  # it is the user's to write
            assert np.array_equal(z.grad, [1.0, 1.0])


def told(n: int, f: Callable[[Any], Any], x: Any, **errors: Any) -> list[Any]:
    """What backward says of a graph with x after n others of its structure: the error, and the warnings with their places."""
    with np.errstate(all="ignore"):
        roots = [f(ad.Tensor(np.full(np.shape(x), 0.5))) for _ in range(n)] + [f(ad.Tensor(x))]
    found = []
    for root in roots:
        with warnings.catch_warnings(record=True) as caught, np.errstate(**errors):
            warnings.simplefilter("always")
            try:
                root.backward()
            except (ArithmeticError, ad.errors.AutodiffError) as error:
                found = [type(error), str(error)]
            found += [(str(w.message), w.filename, w.lineno) for w in caught]
    return found


TROUBLE: dict[str, Any] = {
    "a division by zero": (lambda x: np.sum(ad.log(x)), [0.0, 1.0]),
    "an overflow": (lambda x: np.sum(ad.exp(x * 1e200) / 1e200), [1e-199, 1e-198]),
    "an overflow in what no derivative needs": (lambda x: np.sum(np.cumprod(x)), [1e200, 1e200, 1e-300, 1e200, 1e200]),
    "infinities of both signs": (lambda x: np.sum(x[1:] * x[:-1] - x[0]), [np.inf, -np.inf, 1.0]),
    "ties at infinity": (lambda x: np.max(x), [np.nan, np.inf, np.inf]),
}


@pytest.mark.parametrize("what", TROUBLE)
@pytest.mark.parametrize("answer", ["warn", "raise", "ignore"])
def test_errors_and_warnings_are_those_of_the_sweep(what: str, answer: str) -> None:
    f, x = TROUBLE[what]
    first = told(0, f, x, all=answer)
    for n in range(1, plans.MEETINGS + 2):
        assert told(n, f, x, all=answer) == first


def test_writing_a_plan_warns_of_nothing() -> None:
    f, x = TROUBLE["a division by zero"]
    for _ in range(plans.MEETINGS + 2):
        assert len(told(0, f, x, all="warn")) == 1


def test_a_plan_holds_no_array_of_the_user_s() -> None:
    refs = []
    for _ in range(plans.MEETINGS + 2):
        w, c, k = ad.Tensor(np.ones(9)), np.ones(9), np.ones(9)
        h = ad.exp(w) * c * ad.constant(k)
        np.sum(h[2:5]).backward()
        refs += map(weakref.ref, (w._data, c, k, h._data, h.grad, w.grad))
    assert len(plans._store.plans) == 1
    del w, c, k, h
    assert not any(ref() is not None for ref in refs)


def test_a_plan_written_while_a_rule_is_replaced_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(root: Any, start: Any, own: Any = plans.write) -> Any:
        plan = own(root, start)
        monkeypatch.setattr(ad.exp, "carry", (lambda g, z, xs: 2 * g * z,))
        plans.learn(root, start, swept(root))  # another thread notices
        return plan

    monkeypatch.setattr(plans, "write", write)
    w = ad.Tensor([1.0, 2.0])
    *_, g = train(w, plans.MEETINGS + 1, lambda w: np.sum(ad.exp(w)))
    assert g[0] > 5


def test_where_there_is_much_to_write_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(plans, "write", lambda root, start: tried.append(1))
    w, arrays = ad.Tensor([1.0]), [np.ones(1)] * plans.NODES
    large = ad.Tensor(np.ones(plans.ENTRIES))
    for _ in range(plans.MEETINGS):
        np.sum(ad.concatenate([w, *arrays])).backward()
        np.sum(large).backward()
    assert not tried


def test_a_rule_of_the_user_s_is_asked_each_time() -> None:
    scale = [1.0]
    with declared():
        op = ad.linear("reversed_test", lambda x: x * 1.0, lambda i, g, x: -scale[0] * g)
        for k in range(8):
            scale[0] = k
            (g,) = train(ad.Tensor([1.0, 2.0]), 1, lambda w: np.sum(op(w)))
            assert np.array_equal(g, [-k, -k])


def test_what_cannot_be_planned_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(plans, "write", lambda root, start, own=plans.write: tried.append(1) or own(root, start))
    train(ad.Tensor([1.0, 2.0]), 12, lambda w: np.sum(w[np.array([0, 0, 1])]))
    assert len(tried) == 1


def test_a_stale_graph_is_refused_with_a_plan_too() -> None:
    w = ad.Tensor([1.0, 2.0])
    train(w, 6, lambda w: np.sum(ad.exp(w)))
    E = np.sum(ad.exp(w))
    w.data = [3.0, 4.0]
    with pytest.raises(ad.errors.StaleGraph):
        E.backward()


def test_debug_looks_at_every_step_with_a_plan_too() -> None:
    w = ad.Tensor([1.0, 2.0])
    train(w, 6, lambda w: np.sum(ad.sqrt(w)))
    w.data = [0.0, 1.0]
    with ad.debug(), np.errstate(all="ignore"), pytest.raises(ad.errors.NonFinite, match="sqrt"):
        np.sum(ad.sqrt(w)).backward()


def test_other_structures_of_the_same_size_have_plans_beside_each_other() -> None:
    shapes = [(2,), (3,), (2, 2), (4, 1)]
    for k in range(40):
        w = ad.Tensor(np.full(shapes[k % 4], float(k)))
        np.sum(w * w).backward()
        assert np.array_equal(w.grad, np.full(w.shape, 2.0 * k))
    assert [len(p) for p in plans._store.plans.values()] == [4]


def test_there_is_an_end_to_writing_plans() -> None:
    for n in range(1, plans.PLANS + 20):
        for _ in range(plans.MEETINGS):
            w = ad.Tensor(np.ones(n))
            np.sum(w * w).backward()
            assert np.array_equal(w.grad, np.full(n, 2.0))
    assert sum(map(len, plans._store.plans.values())) == plans.PLANS


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sweeps: list[int] = []
    monkeypatch.setattr(reverse, "sweep", lambda *a, own=reverse.sweep: sweeps.append(1) or own(*a))
    return sweeps


def test_transforms_and_gradient_use_plans_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps = counted(monkeypatch)
    f = ad.value_and_grad(lambda w, v: np.sum(ad.exp(w) * v), argnums=(0, 1))
    for k in range(10):
        w, v = np.array([1.0, k]), np.array([2.0, 3.0])
        _, (dw, dv) = f(w, v)
        assert np.array_equal(dw, np.exp(w) * v) and np.array_equal(dv, np.exp(w))
        dw[:] = 0.0  # the caller's own
    assert len(sweeps) == plans.MEETINGS + 1
    with pytest.raises(ad.errors.NotConnected, match="argument 1"):
        ad.grad(lambda w, v: np.sum(ad.exp(w) * w), argnums=1)(w, v)


def test_where_fewer_variables_are_asked_for_the_sweep_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps = counted(monkeypatch)
    w, v = ad.Tensor([1.0, 2.0]), ad.Tensor([3.0, 4.0])
    for _ in range(6):
        np.sum(ad.exp(w) * v).backward()
    before = len(sweeps)
    for _ in range(6):
        E = np.sum(ad.exp(w) * v)
        assert np.array_equal(ad.gradient(E, v), np.exp(w.data))
    assert len(sweeps) > before + 5
    dw, dh = ad.gradient(E, [w, E.args[0]])
    assert np.array_equal(dw, np.exp(w.data) * v.data) and np.array_equal(dh, [1.0, 1.0])
