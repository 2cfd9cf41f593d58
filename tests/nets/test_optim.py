"""Optimisers beside PyTorch's, schedules, states, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff as ad
from nets import losses, mlp
from nets.optim import SGD, Adam, cosine, linear, stairs, warmup

X, T = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2


def losses_of(make, steps=12):
    model = mlp(3, 4, 2, seed=0)
    optimizer = make(model)
    found = []
    for _ in range(steps):
        E = losses.cross_entropy(model(X), T)
        optimizer.zero_grad()
        E.backward()
        optimizer.step()
        found.append(E.item())
    return found, [p.data for p in model.parameters().values()]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.5}),
        ("SGD", {"lr": 0.5, "momentum": 0.9}),
        ("SGD", {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.01}),
        ("Adam", {"lr": 0.05}),
        ("Adam", {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-4, "weight_decay": 0.1}),
    ],
)
def test_pytorch_takes_the_same_steps(name, options):
    torch = pytest.importorskip("torch")
    from nets import to_torch

    ours = losses_of(lambda model: {"SGD": SGD, "Adam": Adam}[name](model, **options))
    theirs = to_torch(mlp(3, 4, 2, seed=0))
    optimizer = getattr(torch.optim, name)(theirs.parameters(), **options)
    found = []
    for _ in range(12):
        E = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(X)), torch.from_numpy(T))
        optimizer.zero_grad()
        E.backward()
        optimizer.step()
        found.append(E.item())
    assert np.allclose(ours[0], found, rtol=1e-12)
    for p, q in zip(ours[1], theirs.parameters(), strict=True):
        assert np.allclose(p, q.detach().numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("make", [lambda p: SGD(p, 0.1, momentum=0.9), lambda p: Adam(p, lr=cosine(0.1, 20))])
def test_a_state_goes_on_to_the_same_bits(make):
    whole, end = losses_of(make)
    model = mlp(3, 4, 2, seed=0)
    optimizer = make(model)
    found = []
    for k in range(12):
        if k == 5:
            state, arrays = optimizer.state(), {n: np.array(p.data) for n, p in model.parameters().items()}
            model, optimizer = mlp(3, 4, 2, seed=99), None
            model.load(arrays)
            optimizer = make(model)
            optimizer.load(state)
        E = losses.cross_entropy(model(X), T)
        optimizer.zero_grad()
        E.backward()
        optimizer.step()
        found.append(E.item())
    assert found == whole
    assert all(np.array_equal(p.data, q) for p, q in zip(model.parameters().values(), end, strict=True))


def test_steps_assign_out_of_place():
    w = ad.Tensor([1.0], name="w")
    before, E = w.data, (w * w).sum()
    E.backward()
    SGD(w, 0.1).step()
    assert before.tolist() == [1.0] and w.data.tolist() == [0.8]
    with pytest.raises(ad.StaleGraph):
        E.backward()


def test_values_and_parameters_without_gradient():
    v, idle = ad.Value(3.0, name="v"), ad.Tensor([1.0], name="idle")
    (v * v).backward()
    optimizer = Adam([v, idle], lr=0.5, weight_decay=0.1)
    optimizer.step()
    assert v.data == pytest.approx(2.5) and idle.data.tolist() == [1.0]


def test_schedules_are_followed_step_by_step():
    w = ad.Tensor([0.0])
    optimizer = SGD([w], lr=lambda k: 1.0 - 0.25 * k)
    lengths = []
    for _ in range(4):
        before = w.data[0]
        w.grad = np.array([-1.0])
        optimizer.step()
        lengths.append(w.data[0] - before)
    assert lengths == [1.0, 0.75, 0.5, 0.25] and optimizer.lr == 0.0
    assert [warmup(2, stairs(1.0, 2, 0.5))(k) for k in range(5)] == [0.5, 1.0, 0.5, 0.5, 0.25]
    assert [linear(1.0, 4)(k) for k in (0, 1, 4, 9)] == [1.0, 0.75, 0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: SGD([ad.Tensor(1.0)], lr=0), ValueError, "lr is a number larger than 0, not 0"),
        (lambda: SGD([ad.Tensor(1.0)], lr=np.nan), ValueError, "lr is a number larger than 0, not nan"),
        (lambda: SGD([ad.Tensor(1.0)], lr="fast"), ValueError, "not 'fast'"),
        (lambda: SGD([ad.Tensor(1.0)], 0.1, momentum=1), ValueError, "momentum is a number from 0 to below 1, not 1"),
        (lambda: SGD([ad.Tensor(1.0)], 0.1, weight_decay=-1), ValueError, "weight_decay is a number 0 or more"),
        (lambda: Adam([ad.Tensor(1.0)], betas=(0.9, 1.0)), ValueError, "a beta is a number from 0 to below 1"),
        (lambda: Adam([ad.Tensor(1.0)], betas=0.9), ValueError, r"betas are two numbers, such as \(0.9, 0.999\), not 0.9"),
        (lambda: SGD([ad.Tensor(1.0)], lr=lambda k: None).step(), ValueError, "0 or more, also at step 0, not None"),
        (lambda: Adam([]), ValueError, "no parameters"),
        (lambda: Adam([ad.Tensor(1.0) * 2]), TypeError, "not a parameter"),
        (lambda: Adam([np.ones(2)]), TypeError, "not a parameter"),
        (lambda: Adam(3), TypeError, "takes a model, or its parameters"),
        (lambda: SGD([ad.Tensor(1.0)], lr=lambda k: -1.0).step(), ValueError, "0 or more, also at step 0"),
        (lambda: cosine(0.1, 0), ValueError, "steps is a number 1 or more, not 0"),
        (lambda: stairs(0.1, 0), ValueError, "every is a number 1 or more, not 0"),
        (lambda: SGD([ad.Tensor(1.0)], 0.1).load(Adam([ad.Tensor(1.0)]).state()), ad.ShapeMismatch, "not a state of SGD"),
    ],
)
def test_mistakes_get_a_sentence(make, error, says):
    with pytest.raises(error, match=says):
        make()
