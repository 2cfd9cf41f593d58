"""Neurons of Values beside micrograd's own."""

from __future__ import annotations

import gc
import random

import numpy as np
import pytest

import autodiff as ad
from autodiff.node import order
from nets.scalar import MLP, Layer, Neuron


def moons_demo(MLP, steps, X, y):
    """The training of micrograd's demonstration (demo.ipynb): hinge loss, decay, a learning rate that falls; its losses."""
    random.seed(1337)
    model = MLP(2, [16, 16, 1])
    losses = []
    for k in range(steps):
        if k % 5 == 0:
            gc.collect()
        scores = [model(list(map(float, row))) for row in X]
        data_loss = sum((1 + -yi * score).relu() for yi, score in zip(y, scores, strict=True)) * (1.0 / len(scores))
        total = data_loss + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
        losses.append(total.data)
    return losses


def both(steps):
    theirs = pytest.importorskip("micrograd.nn")
    sklearn = pytest.importorskip("sklearn.datasets")
    np.random.seed(1337)
    X, y = sklearn.make_moons(n_samples=100, noise=0.1)
    y = [int(v) for v in y * 2 - 1]
    gc.disable()  # micrograd's graphs are full of cycles, and looking for them all the time takes most of its time
    try:
        return moons_demo(MLP, steps, X, y), moons_demo(theirs.MLP, steps, X, y)
    finally:
        gc.enable()


def test_the_first_steps_are_micrograds():
    ours, theirs = both(2)
    assert np.allclose(ours, theirs, rtol=0, atol=1e-9)
    assert ours[0] == pytest.approx(0.8958441028683222)


@pytest.mark.slow
def test_micrograds_demonstration_has_the_same_loss_at_every_step():
    ours, theirs = both(100)
    assert np.allclose(ours, theirs, rtol=0, atol=1e-9)
    assert len(ours) == 100 and ours[-1] < 0.02 < ours[0]


def test_micrograds_interface():
    theirs = pytest.importorskip("micrograd.nn")
    models = []
    for kind in (MLP, theirs.MLP):
        random.seed(0)
        models.append(kind(3, [4, 2]))
    ours, theirs = models
    assert repr(ours) == repr(theirs)
    assert [p.data for p in ours.parameters()] == [p.data for p in theirs.parameters()]
    outputs = [[v.data for v in m([1.0, -2.0, 0.5])] for m in models]
    assert np.allclose(outputs[0], outputs[1], rtol=1e-15)
    assert isinstance(Layer(3, 1)([1, 2, 3]), ad.Value) and repr(Neuron(3, nonlin=False)) == "LinearNeuron(3)"


def test_scopes_and_shapes():
    model = MLP(2, [3, 1])
    scopes = {n.scope for n in order(model([1.0, 2.0])) if n.op is not None}
    assert scopes == {("layer1", f"neuron{k}") for k in (1, 2, 3)} | {("layer2", "neuron1")}
    with pytest.raises(ad.ShapeMismatch, match="a neuron of 2 weights was given 3 numbers"):
        model([1.0, 2.0, 3.0])
    assert model(np.array([1.0, 2.0])).data == model([1.0, 2.0]).data
