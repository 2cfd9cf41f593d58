"""The graph's gradients against the formulas by hand, for every result and every way of asking the graph;
and the exercise's wrong lines, wrong exactly where they are."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.ulps import agree, compare, rounding
from nets import TwoLayer, closed_form, forward
from nets.prove import by_graph

SHAPES = [(2, 3, 2, 1), (4, 5, 3, 1), (1, 1, 2, 2), (3, 3, 3, 3), (4, 5, 3, 7), (6, 2, 4, 5)]  # n0, n1, n2, m
TARGETS = ["one-hot", "soft", "arbitrary"]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
each_target = pytest.mark.parametrize("kind", TARGETS)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])
each_spelling = pytest.mark.parametrize("fused", [False, True], ids=["primitives", "fused"])
with_and_without_biases = pytest.mark.parametrize("biases", [False, True], ids=["no biases", "biases"])


def targets(kind, n2, m, rng):
    if kind == "one-hot":
        return np.eye(n2)[:, rng.integers(n2, size=m)]
    if kind == "soft":
        return rng.dirichlet(np.ones(n2), m).T
    return rng.normal(size=(n2, m))


def case(shape, kind, dtype=np.float64, biases=True, fused=False):
    """A net with weights of size 1, and a batch for it."""
    n0, n1, n2, m = shape
    rng = np.random.default_rng([*shape, TARGETS.index(kind)])
    net = TwoLayer.random(n0, n1, n2, biases=biases, fused=fused, dtype=dtype)
    for p in net.parameters().values():
        p.data = rng.normal(size=p.shape)
    return net, rng.normal(size=(n0, m)).astype(dtype), targets(kind, n2, m, rng).astype(dtype)


def by_hand(net, x, t, sum_t=None):
    """The results by hand as recorded nodes, so that their own rounding is known."""
    return closed_form.results(ad.constant(x), ad.constant(t), **net.parameters(), sum_t=sum_t)


def within_rounding(got, recorded, want):
    """Do plain numbers agree with a result by hand, when `recorded` is the same derivative as a graph?"""
    (m, k), (n, j) = rounding(recorded, want)
    verdict = compare(got, want.data, np.maximum(m, n), k + j)
    assert verdict.verdict != "different", str(verdict)


# ---------------------------------------------------------------- the graph is right, however it is asked


@each_shape
@each_target
@each_dtype
@each_spelling
@with_and_without_biases
def test_recorded_gradients_are_the_closed_form(shape, kind, dtype, fused, biases):
    net, x, t = case(shape, kind, dtype, biases, fused)
    graph = by_graph(net, net(x, t))
    for sum_t in [None] if kind == "arbitrary" else [None, 1]:
        hand = by_hand(net, x, t, sum_t)
        assert list(graph) == list(hand)
        for name in graph:
            assert graph[name].dtype == dtype
            assert agree(graph[name], hand[name]).verdict != "different", name


@each_shape
@each_target
@each_dtype
@each_spelling
def test_backward_leaves_the_closed_form_in_every_grad(shape, kind, dtype, fused):
    net, x, t = case(shape, kind, dtype, fused=fused)
    run = net(x, t)
    run.E.backward()
    recorded, hand = by_graph(net, run), by_hand(net, x, t)
    nodes = {"z2": run.z2, "y1": run.y1, "z1": run.z1, **net.parameters()}
    assert len(nodes) == 7
    for name, node in nodes.items():
        assert node.grad.dtype == dtype
        within_rounding(node.grad, recorded[f"dE/d{name}"], hand[f"dE/d{name}"])


@each_shape
@each_target
@each_spelling
@with_and_without_biases
def test_grad_of_a_plain_function_is_the_closed_form(shape, kind, fused, biases):
    net, x, t = case(shape, kind, biases=biases, fused=fused)
    weights = {name: np.array(p.data) for name, p in net.parameters().items()}
    value, grads = ad.value_and_grad(lambda w: forward(x, t, **w, fused=fused).E)(weights)
    recorded, hand = by_graph(net, net(x, t)), by_hand(net, x, t)
    within_rounding(value, recorded["E"], hand["E"])
    for name, g in grads.items():
        within_rounding(g, recorded[f"dE/d{name}"], hand[f"dE/d{name}"])


@each_shape
def test_jacobian_of_sigmoid_is_diagonal_in_units_and_examples(shape):
    net, x, t = case(shape, "soft")
    run = net(x, t)
    z1, n1, m = np.array(run.z1.data), shape[1], shape[3]
    full = ad.jacobian(closed_form.sigmoid)(z1)  # entry (i, j) of y1 by entry (k, l) of z1
    diagonal = by_hand(net, x, t)["dy1/dz1"]
    found = np.stack([full[:, j, :, j] for j in range(m)])
    within_rounding(found, by_graph(net, run)["dy1/dz1"], diagonal)
    elsewhere = (np.eye(n1)[:, None, :, None] * np.eye(m)[None, :, None, :]) == 0
    assert not full[elsewhere].any()


@each_shape
@each_target
@each_spelling
@with_and_without_biases
def test_forward_mode_is_the_closed_form_in_every_direction(shape, kind, fused, biases):
    net, x, t = case(shape, kind, biases=biases, fused=fused)
    weights = {name: np.array(p.data) for name, p in net.parameters().items()}
    rng = np.random.default_rng(1)
    recorded, hand = by_graph(net, net(x, t)), by_hand(net, x, t)
    for name in weights:
        for _ in range(2):
            direction = {key: rng.normal(size=w.shape) * (key == name) for key, w in weights.items()}
            _, moved = ad.jvp(lambda w: forward(x, t, **w, fused=fused).E, (weights,), (direction,))
            along = [np.sum(g[f"dE/d{name}"] * direction[name]) for g in (recorded, hand)]
            within_rounding(moved, *along)


@each_shape
@each_target
@each_spelling
def test_transforms_of_the_rest_of_the_net_give_the_inner_results(shape, kind, fused):
    net, x, t = case(shape, kind, fused=fused)
    run = net(x, t)
    recorded, hand = by_graph(net, run), by_hand(net, x, t)
    W2, b2 = np.array(net.W2.data), np.array(net.b2.data)
    softmax = (lambda z: ad.softmax(z, axis=0)) if fused else closed_form.softmax
    sigmoid = ad.sigmoid if fused else closed_form.sigmoid
    rest = {
        "z2": lambda z2: closed_form.E(softmax(z2), t),
        "y1": lambda y1: closed_form.E(softmax(W2 @ y1 + b2), t),
        "z1": lambda z1: closed_form.E(softmax(W2 @ sigmoid(z1) + b2), t),
    }
    direction = np.random.default_rng(2)
    for name, f in rest.items():
        at, g = np.array(getattr(run, name).data), (recorded[f"dE/d{name}"], hand[f"dE/d{name}"])
        within_rounding(ad.grad(f)(at), *g)
        u = direction.normal(size=at.shape)
        within_rounding(ad.jvp(f, (at,), (u,))[1], np.sum(g[0] * u), np.sum(g[1] * u))


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[3] < 4], ids=str)
@each_target
@with_and_without_biases
def test_values_give_the_closed_form(shape, kind, biases):
    net, x, t = case(shape, kind, biases=biases)
    scalar = net.of_values()
    run = scalar(x, t)
    nodes = {"z2": run.z2, "y1": run.y1, "z1": run.z1, **scalar.parameters()}
    hand = by_hand(net, x, t)
    assert_entries([run.E], np.reshape(hand["E"].data, 1), rounding(hand["E"])[0])
    run.E.backward()
    for name, values in nodes.items():
        want = hand[f"dE/d{name}"]
        recorded = ad.gradient(run.E, list(values.flat), record=True)
        assert_entries(recorded, want.data.ravel(), rounding(want)[0])
        plain = np.array([v.grad for v in values.flat])
        assert_entries(recorded, want.data.ravel(), rounding(want)[0], plain)


def assert_entries(nodes, want, known, got=None):
    """Recorded Values, or plain numbers computed like them, against an array by hand."""
    magnitude, ulps = known
    own = rounding(*nodes)
    magnitude = np.maximum(np.ravel(magnitude), [m for m, _ in own])
    bound = ulps + max(k for _, k in own)
    verdict = compare(np.array([n.data for n in nodes]) if got is None else got, want, magnitude, bound)
    assert verdict.verdict != "different", str(verdict)


def test_a_value_moves_its_own_activation_only():
    net, x, t = case((4, 5, 3, 1), "soft")
    run = net.of_values()(x, t)
    for i in range(5):
        y, z = run.y1[i, 0], run.z1[i, 0]
        assert agree(ad.gradient(y, z, record=True), y * (1 - y)).verdict != "different"
    with pytest.raises(ad.NotConnected, match=r"z1\[1, 0\]"):  # equation (11): there is no path at all
        ad.gradient(run.y1[0, 0], run.z1[1, 0])


def test_the_comparison_bites():
    net, x, t = case((4, 5, 3, 7), "soft")
    graph, hand = by_graph(net, net(x, t)), by_hand(net, x, t)
    for name in graph:
        if name != "E":
            assert agree(graph[name], hand[name] * (1 + 1e-11)).verdict == "different"
            assert agree(graph[name], -hand[name]).verdict == "different"
    assert agree(graph["dE/dW2"], hand["dE/dW2"] * 7).verdict == "different"  # 1/m forgotten
    assert agree(graph["dE/dz2"], hand["dE/dy1"]).verdict == "different"  # not even the shape


def test_the_closed_form_never_imports_autodiff():
    tree = ast.parse(inspect.getsource(closed_form))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", "typing", "numpy"}


# ---------------------------------------------------------------- the exercise's wrong lines


def softmax_part(kind):
    """z2, t as columns and recorded y2, E for m = 1."""
    rng = np.random.default_rng(TARGETS.index(kind))
    z2 = ad.Tensor(rng.normal(size=(3, 1)), name="z2")
    t = ad.constant(targets(kind, 3, 1, rng), name="t")
    y2 = ad.softmax(z2, axis=0)
    return z2, t, y2, np.sum(-t * np.log(y2))


def truth(E, node):
    return ad.gradient(E, node, record=True)


def test_3_is_the_diagonal_only():
    z2 = ad.Tensor([0.3, -1.2, 0.5])
    y2 = ad.softmax(z2)
    for i in range(3):
        row = ad.gradient(y2[i], z2, record=True)
        assert agree(row[i], y2[i] - y2[i] ** 2).verdict != "different"
        for k in {0, 1, 2} - {i}:
            assert agree(row[k], -y2[i] * y2[k]).verdict != "different"
            assert row.data[k] < -0.01


@each_target
def test_4_as_cases_needs_one_hot_targets(kind):
    _, t, y2, E = softmax_part(kind)
    dE_dy2 = truth(E, y2)
    assert agree(dE_dy2, -t / y2).verdict != "different"
    as_cases = ad.where(t.data == 1, -1 / y2, 0.0)
    assert (agree(dE_dy2, as_cases).verdict != "different") == (kind == "one-hot")


def test_5_is_wrong_wherever_t_is_0():
    z2, t, y2, E = softmax_part("one-hot")
    right, as_written = truth(E, z2), (y2 - t) * t
    assert agree(right, as_written).verdict == "different"
    c = int(np.argmax(t.data))
    others = [i for i in range(3) if i != c]
    assert agree(right[c], as_written[c]).verdict != "different"  # case t_i = 1: right
    assert not as_written.data[others].any()  # otherwise: 0
    assert agree(right[np.array(others)], y2[np.array(others)]).verdict != "different"  # but it is y_i


def test_5_is_refuted_by_shift_invariance():
    z2, t, y2, E = softmax_part("one-hot")
    right, as_written = np.sum(truth(E, z2)), np.sum((y2 - t) * t)
    assert agree(right, 0 * right).verdict != "different"
    assert agree(as_written, np.sum(y2 * t) - 1).verdict != "different"
    assert as_written.data < -0.1


def test_5_smallest_counterexample():
    t = np.array([1.0, 0.0])
    right = ad.grad(lambda z: -np.sum(t * np.log(ad.softmax(z))))(np.zeros(2))
    y2 = ad.softmax(np.zeros(2))
    assert right.tolist() == [-0.5, 0.5]
    assert ((y2 - t) * t).tolist() == [-0.5, 0.0]


def test_5_used_downstream_fills_one_row_and_still_points_downhill():
    net, x, t = case((4, 5, 3, 1), "one-hot")
    run = net(x, t)
    right = ad.gradient(run.E, net.W2, record=True)
    wrong = ((run.y2 - t) * t) @ run.y1.T
    c = int(np.argmax(t))
    assert np.flatnonzero(wrong.data.any(axis=1)).tolist() == [c]
    assert agree(wrong[c], right[c]).verdict != "different"
    cosine = np.vdot(wrong.data, right.data) / np.linalg.norm(wrong.data) / np.linalg.norm(right.data)
    assert 0.5 < cosine < 0.99


@each_target
def test_6_line_2_needs_targets_that_sum_to_1(kind):
    z2, t, y2, E = softmax_part(kind)
    right = truth(E, z2)
    assert agree(right, np.sum(t) * y2 - t).verdict != "different"
    assert (agree(right, y2 - t).verdict != "different") == (kind != "arbitrary")


@pytest.mark.parametrize("name", ["dE/dy1", "dE/dW2", "dE/dz1", "dE/dW1"])
@each_target
def test_what_follows_from_6_needs_it_too(name, kind):
    net, x, t = case((4, 5, 3, 1), kind)
    verdict = agree(by_graph(net, net(x, t))[name], by_hand(net, x, t, sum_t=1)[name]).verdict
    assert (verdict != "different") == (kind != "arbitrary")


def as_9_is_written(z1):
    return 1 / (1 + np.exp(z1))


def test_9_as_written_is_the_mirrored_sigmoid():
    z1 = ad.Tensor([[-2.0], [0.7], [1.5]])
    assert agree(as_9_is_written(z1), ad.sigmoid(-z1)).verdict != "different"
    assert agree(as_9_is_written(z1), 1 - ad.sigmoid(z1)).verdict != "different"
    assert agree(as_9_is_written(z1), ad.sigmoid(z1)).verdict == "different"


def test_10_undoes_9():
    z1 = ad.Tensor([[-2.0], [0.7], [1.5]])
    line_1 = np.exp(z1) / (1 + np.exp(z1)) ** 2
    assert agree(truth(np.sum(as_9_is_written(z1)), z1), -line_1).verdict != "different"
    assert agree(truth(np.sum(ad.sigmoid(z1)), z1), line_1).verdict != "different"
    for y in (as_9_is_written(z1), ad.sigmoid(z1)):  # lines 2 to 4 hold with either y
        assert agree(line_1, y - y**2).verdict != "different"
        assert agree(line_1, y * (1 - y)).verdict != "different"


@each_target
@pytest.mark.parametrize("m", [1, 4])
def test_9_coded_makes_the_W1_formula_minus_the_gradient(kind, m):
    net, x, t = case((4, 5, 3, m), kind, biases=False)
    x, t = ad.constant(x), ad.constant(t)
    z1 = net.W1 @ x
    y1 = as_9_is_written(z1)
    y2 = closed_form.softmax(net.W2 @ y1)
    E = closed_form.E(y2, t)
    formula = {
        "W2": closed_form.dE_dW2(y2, t, y1),
        "y1": closed_form.dE_dy1(y2, t, net.W2),
        "z1": closed_form.dE_dz1(y2, t, net.W2, y1),
        "W1": closed_form.dE_dW1(y2, t, net.W2, y1, x),
    }
    dW2, dy1, dz1, dW1 = ad.gradient(E, [net.W2, y1, z1, net.W1], record=True)
    assert agree(dW2, formula["W2"]).verdict != "different"
    assert agree(dy1, formula["y1"]).verdict != "different"
    assert agree(dz1, -formula["z1"]).verdict != "different"
    assert agree(dW1, -formula["W1"]).verdict != "different"
    assert agree(dW1, formula["W1"]).verdict == "different"


@pytest.mark.parametrize("name", ["dE/dz2", "dE/dy1", "dE/dW2", "dE/dz1", "dE/dW1"])
def test_without_1_over_m_the_results_are_m_times_too_large(name):
    net, x, t = case((4, 5, 3, 7), "soft", biases=False)
    run = net(x, t)
    graph = by_graph(net, run)[name]
    W2, y1, y2 = net.W2, run.y1, run.y2
    dz1 = W2.T @ (y2 - t) * y1 * (1 - y1)
    as_written = {"dE/dz2": y2 - t, "dE/dy1": W2.T @ (y2 - t), "dE/dW2": (y2 - t) @ y1.T, "dE/dz1": dz1, "dE/dW1": dz1 @ x.T}[name]
    assert agree(graph * 7, as_written).verdict != "different"
    assert agree(graph, as_written).verdict == "different"


def test_the_exercise_writes_vectors_as_rows_and_matrices_as_they_are():
    net, x, t = case((4, 5, 3, 1), "one-hot", biases=False)
    run = net(x, t)
    graph = by_graph(net, run)
    y1, y2 = run.y1, run.y2
    dE_dz2 = np.transpose(y2 - t)  # (6)
    dE_dy1 = dE_dz2 @ net.W2  # (7)
    dE_dz1 = dE_dy1 @ (y1 * (1 - y1) * np.eye(5))  # 6)
    rows = {"dE/dz2": dE_dz2, "dE/dy1": dE_dy1, "dE/dz1": dE_dz1}
    for name, row in rows.items():
        assert agree(np.transpose(graph[name]), row).verdict != "different"
    assert agree(graph["dE/dW1"], np.transpose(dE_dz1) @ x.T).verdict != "different"  # 7), the last line
