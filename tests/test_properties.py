"""Random programs over the table: reverse mode = forward mode = differences, whatever is composed and broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, broadcastable_shapes, mutually_broadcastable_shapes

import autodiff as ad
from tests.cases import close
from tests.programs import SMOOTH, programs, total

pytestmark = pytest.mark.filterwarnings("ignore::autodiff.errors.BroadcastWarning")  # random shapes mean every pair

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)


def _inputs(shapes: Any, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1.5, 1.5, shape) for shape in shapes]


shapes = mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3, min_side=1)


@given(programs(), shapes, seeds)
@few
def test_forward_mode_is_the_transpose_of_reverse_mode(program: Any, shapes: Any, seed: int) -> None:
    xs = _inputs(shapes.input_shapes, seed)
    us = _inputs(shapes.input_shapes, seed + 1)
    f = lambda *xs: total(program, xs)
    value, tangent = ad.jvp(f, xs, us, allow_unused=True)
    value_too, pull = ad.vjp(f, *xs, allow_unused=True)
    grads = pull(1.0)
    terms = [np.sum(g * u) for g, u in zip(grads, us, strict=True)]
    size = 1 + sum(np.sum(np.abs(g * u)) for g, u in zip(grads, us, strict=True))
    assert value == value_too
    assert abs(tangent - sum(terms)) <= 1e-11 * size
    assert all(np.shape(g) == np.shape(x) for g, x in zip(grads, xs, strict=True))


@given(programs(SMOOTH, most=6), shapes, seeds)
@settings(max_examples=25, deadline=None)
def test_smooth_programs_pass_the_check_to_second_order(program: Any, shapes: Any, seed: int) -> None:
    ad.check_grads(lambda *xs: total(program, xs), *_inputs(shapes.input_shapes, seed), order=2)


@given(programs(), shapes, seeds)
@few
def test_the_recorded_gradient_is_the_plain_one(program: Any, shapes: Any, seed: int) -> None:
    ts = [ad.Tensor(x) for x in _inputs(shapes.input_shapes, seed)]
    E = total(program, ts)
    reached = {n.id for n in _below(E)}
    wanted = [t for t in ts if t.id in reached]
    if not wanted:
        return
    for plain, recorded in zip(ad.gradient(E, wanted), ad.gradient(E, wanted, record=True), strict=True):
        np.testing.assert_allclose(recorded.data, plain, rtol=1e-11, atol=1e-11)


def _below(E: Any) -> list[Any]:
    from autodiff.node import order

    return order(E) if isinstance(E, ad.Tensor) and E.active else []


@given(programs(SMOOTH, most=5, inputs=2), seeds)
@settings(max_examples=25, deadline=None)
def test_forward_over_reverse_is_reverse_over_forward(program: Any, seed: int) -> None:
    (x, u) = _inputs([(2, 2), (2, 2)], seed)
    f = lambda x: total(program, [x[0], x[1]])
    one = ad.jvp(ad.grad(f, allow_unused=True), (x,), (u,), allow_unused=True)[1]
    two = ad.grad(lambda x: ad.jvp(f, (x,), (u,), allow_unused=True)[1], allow_unused=True)(x)
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


@given(shapes, seeds)
@few
def test_broadcasting_s_gradient_sums_over_the_copies(shapes: Any, seed: int) -> None:
    xs = _inputs(shapes.input_shapes, seed)
    w = np.random.default_rng(seed).normal(size=shapes.result_shape)
    grads = ad.grad(lambda a, b, c: np.sum(w * (a + 2.0 * b - c)), (0, 1, 2))(*xs)
    for x, g, factor in zip(xs, grads, (1.0, 2.0, -1.0), strict=True):
        extra = w.ndim - x.ndim
        want = w.sum(axis=tuple(range(extra)))
        want = want.sum(axis=tuple(i for i, n in enumerate(x.shape) if n == 1), keepdims=True)
        np.testing.assert_allclose(g, factor * want, atol=1e-13)


@given(array_shapes(max_dims=4, max_side=4, min_side=0), st.data())
@few
def test_reductions_over_any_axes(shape: Any, data: Any) -> None:
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1))))
    keepdims = data.draw(st.booleans())
    x = np.random.default_rng(0).normal(size=shape)
    z = np.sum(ad.Tensor(x), axis=axes, keepdims=keepdims)
    close(z.data, np.sum(x, axis=axes, keepdims=keepdims))
    g = np.random.default_rng(1).normal(size=z.shape)
    kept = np.sum(x, axis=axes, keepdims=True).shape
    (found,) = ad.vjp(lambda x: np.sum(x, axis=axes, keepdims=keepdims), x)[1](g)
    close(found, np.broadcast_to(g.reshape(kept), shape))


@given(array_shapes(max_dims=3, max_side=3), st.data())
@few
def test_broadcast_to_any_shape(shape: Any, data: Any) -> None:
    to = data.draw(broadcastable_shapes(shape, min_dims=len(shape), max_dims=4, max_side=3))
    try:
        np.broadcast_to(np.zeros(shape), to)
    except ValueError:
        return
    x = np.random.default_rng(0).normal(size=shape)
    ad.check_grads(lambda x: np.broadcast_to(x, to), x, order=1)
