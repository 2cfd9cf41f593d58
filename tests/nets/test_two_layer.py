"""The network as a thing to use: names, shapes, spellings, errors; its data and its training."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.ulps import agree
from autodiff.node import order
from nets import TwoLayer, array_of_values, forward
from nets.data import one_hot
from nets.two_layer import outputs


def small(m=2, **options):
    net = TwoLayer.random(4, 5, 3, **options)
    rng = np.random.default_rng(0)
    return net, rng.normal(size=(4, m)), one_hot(rng.integers(3, size=m), 3)


def test_every_quantity_has_its_name_and_shape():
    net, x, t = small(m=2)
    run = net(x, t)
    shapes = {"x": (4, 2), "z1": (5, 2), "y1": (5, 2), "z2": (3, 2), "y2": (3, 2), "t": (3, 2), "E": ()}
    assert {name: node.shape for name, node in run._asdict().items()} == shapes
    assert all(node.name == name for name, node in run._asdict().items())
    in_graph = [n.name for n in order(run.E) if n.name]
    assert sorted(in_graph) == sorted([*shapes, "W1", "W2", "b1", "b2"])


def test_inputs_and_targets_are_constants_unless_asked_otherwise():
    net, x, t = small()
    run = net(x, t)
    assert not run.x.active and not run.t.active and run.E.active
    x = ad.Tensor(x, name="x")
    assert ad.gradient(forward(x, t, **net.parameters()).E, x).shape == (4, 2)


@pytest.mark.parametrize("biases", [False, True])
def test_parameters(biases):
    net, x, t = small(biases=biases)
    assert list(net.parameters()) == ["W1", "W2", "b1", "b2"][: 4 if biases else 2]
    assert all(p.name == name for name, p in net.parameters().items())
    assert len([n for n in order(net(x, t).E) if n.op is None and n.active]) == len(net.parameters())


def test_both_spellings_agree_within_rounding():
    net, x, t = small(m=6)
    primitives, fused = (forward(x, t, **net.parameters(), fused=f) for f in (False, True))
    for a, b in zip(primitives[1:5] + primitives[6:], fused[1:5] + fused[6:], strict=True):
        assert agree(a, b).verdict != "different"
    for p in net.parameters().values():
        assert agree(*(ad.gradient(run.E, p, record=True) for run in (primitives, fused))).verdict != "different"
    assert {n.op.name for n in order(fused.E) if n.op} == {"matmul", "add", "sigmoid", "softmax", "log", "mul", "sum", "neg", "mean"}
    assert not {"sigmoid", "softmax"} & {n.op.name for n in order(primitives.E) if n.op}


def test_biases_of_zero_change_no_number():
    net, x, t = small()
    with_biases = net(x, t)
    without = TwoLayer(net.W1, net.W2)(x, t)
    assert np.array_equal(with_biases.y2.data, without.y2.data)


def test_float32_stays():
    net, x, t = small(dtype=np.float32)
    run = net(x.astype(np.float32), t.astype(np.float32))
    assert all(node.dtype == np.float32 for node in run)


def test_the_fused_ops_bear_large_scores():
    W2 = np.array([[1000.0, 0.0], [-1000.0, 0.0], [0.0, 999.0]])
    with np.errstate(over="raise", invalid="raise"):
        *_, y2 = outputs(np.array([[800.0]]), np.array([[1.0], [-1.0]]), W2, fused=True)
    assert y2.ravel().tolist() == [1.0, 0.0, 0.0]


def test_values_are_the_same_net_on_single_numbers():
    net, x, t = small(fused=False)
    scalar = net.of_values()
    run, tensors = scalar(x, t), net(x, t)
    assert isinstance(run.E, ad.Value) and run.E.name == "E"
    assert [v.name for v in scalar.W1[0]] == ["W1[0, 0]", "W1[0, 1]", "W1[0, 2]", "W1[0, 3]"]
    assert run.z1[4, 1].name == "z1[4, 1]" and run.y2[2, 0].name == "y2[2, 0]"
    assert np.allclose(run.y2.astype(float), tensors.y2.data, rtol=1e-13)
    moved = net.W1.data[0, 0]
    scalar.W1[0, 0].data = moved + 1
    assert net.W1.data[0, 0] == moved


def test_an_array_of_values_has_one_leaf_per_number():
    values = array_of_values(np.arange(6.0).reshape(2, 3), "a")
    assert values.shape == (2, 3) and len({v.id for v in values.flat}) == 6
    assert values[1, 2].name == "a[1, 2]" and values[1, 2].data == 5.0


def test_probabilities_are_plain_and_record_nothing():
    net, x, t = small(m=6)
    y2 = net.probabilities(x)
    assert type(y2) is np.ndarray and y2.shape == (3, 6)
    assert np.allclose(y2, net(x, t).y2.data, rtol=1e-13)


def test_random_nets_follow_the_seed_and_start_at_size_1():
    a, b, c = (TwoLayer.random(400, 300, 10, seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.W1.data, b.W1.data) and not np.array_equal(a.W1.data, c.W1.data)
    z1 = a.W1.data @ np.random.default_rng(0).normal(size=(400, 100))
    assert 0.9 < z1.std() < 1.1


@pytest.mark.parametrize(
    ("x", "t", "says"),
    [
        ((4,), (3, 1), r"x has shape \(4,\).*write x\[:, None\]"),
        ((4, 2), (3,), r"t has shape \(3,\).*write t\[:, None\]"),
        ((2, 4), (3, 2), r"x has shape \(2, 4\).*4 rows, one per input"),
        ((4, 2), (2, 3), r"t has shape \(2, 3\).*3 rows, one per class"),
        ((4, 2), (3, 5), "x holds 2 examples and t 5"),
        ((4, 3), (3, 1), "x holds 3 examples and t 1"),  # would broadcast, silently
    ],
)
def test_wrong_shapes_are_told(x, t, says):
    net = TwoLayer.random(4, 5, 3)
    with pytest.raises(ad.ShapeMismatch, match=says):
        net(np.ones(x), np.ones(t))
