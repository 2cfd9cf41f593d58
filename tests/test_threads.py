"""Threads: graphs are built and differentiated at the same time; which switches are of a thread and which of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import node as switches
from autodiff.node import order


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    """Run the works at the same time; what each returned, or the first error."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(i: int) -> None:
        try:
            start.wait()
            results[i] = works[i]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def train(leaf: Any, seed: int) -> tuple[float, float]:
    """A chain of operations with backward passes on the way; its end and its gradient."""
    rng = np.random.default_rng(seed)
    w, total = leaf(rng.normal()), 0.0
    for _ in range(60):
        y = w
        for factor in rng.normal(size=10):
            y = ad.sin(y * factor + w)
        w.zero_grad()
        y.backward()
        total += float(w.grad)
        w.data = w.data - 0.1 * w.grad
    return float(w.data), total


@pytest.mark.parametrize("leaf", [ad.Value, ad.Tensor])
def test_graphs_built_at_the_same_time_are_those_built_one_after_the_other(leaf: Any) -> None:
    alone = [train(leaf, seed) for seed in range(4)]
    together = in_threads(*(lambda seed=seed: train(leaf, seed) for seed in range(4)))
    assert together == alone


def test_ids_are_never_given_twice_and_operands_are_older() -> None:
    def build() -> list[Any]:
        y = x = ad.Value(1.0)
        for _ in range(2000):
            y = y + x
        return order(y)

    graphs = in_threads(*[build] * 4)
    ids = [n.id for nodes in graphs for n in nodes]
    assert len(set(ids)) == len(ids)
    assert all(a.id < n.id for nodes in graphs for n in nodes for a in n.args)


def test_a_graph_may_grow_on_from_another_thread_s_and_both_be_read() -> None:
    """The leaves are shared; only `.grad` is written, so passes over shared leaves take `gradient`, which writes nothing."""
    w = ad.Tensor(np.arange(1.0, 5.0))
    h = np.sin(w)
    works = [lambda k=k: ad.gradient(np.sum(np.tanh(h * float(k)) ** 2), w) for k in range(4)]
    for got, work in zip(in_threads(*works), works, strict=True):
        assert np.array_equal(got, work())


@pytest.mark.parametrize(
    ("block", "of_thread"),
    [(ad.no_record, True), (lambda: ad.scope("mine"), True), (ad.trace_lines, True), (ad.debug, False)],
    ids=["no_record", "scope", "trace_lines", "debug"],
)
def test_which_blocks_other_threads_see(block: Any, of_thread: bool) -> None:
    x = ad.Value(1.0)

    def marks() -> tuple[bool, tuple[str, ...], bool]:
        y = x * 2
        return y.active, y.scope, y.line is not None

    with block():
        here = marks()
        (there,) = in_threads(marks)
    outside = marks()
    assert outside == (True, (), False)
    assert here != outside
    assert there == (outside if of_thread else here)


def test_blocks_opened_and_closed_in_many_threads_leave_nothing_open() -> None:
    before = switches.special

    def work() -> None:
        for _ in range(200):
            with ExitStack() as stack:
                stack.enter_context(ad.debug())
                stack.enter_context(ad.scope("a"))
                stack.enter_context(ad.no_record())
                assert not (ad.Value(1.0) * 2).active
            assert (ad.Value(1.0) * 2).active

    in_threads(*[work] * 4)
    assert switches.special == before
    assert switches.watch is None


def test_a_transform_in_one_thread_does_not_make_others_record() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def f(x: Any) -> Any:
        inside.set()
        assert go_on.wait(10)
        return x * x

    def other() -> Any:
        assert inside.wait(10)
        with ad.no_record():
            y = ad.Value(3.0) * 2
        go_on.set()
        return y.active, float(ad.Value(2.0))  # float() of a node is refused inside a transform only

    derivative, (active, number) = in_threads(lambda: ad.grad(f)(3.0), other)
    assert (derivative, active, number) == (6.0, False, 2.0)


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What a thread of its own makes of it."""
    return in_threads(work)[0]


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: in_a_thread(lambda: x * x * 2), 12.0),
        (lambda x: x * in_a_thread(lambda: ad.grad(lambda z: z * x)(2.0)), 6.0),  # was 3: the inner gradient came out plain
        (lambda x: in_a_thread(lambda: ad.jvp(lambda z: z * x * x, (2.0,), (1.0,))[1]), 6.0),
        (lambda x: in_a_thread(lambda: ad.vjp(lambda z: z * x * x, 2.0)[1](1.0)[0]), 6.0),
        (lambda x: in_a_thread(lambda: ad.hessian(lambda z: z**3 * x)(2.0)), 12.0),
    ],
)
def test_a_transform_in_a_thread_that_an_outer_one_s_function_started(f: Any, slope: float) -> None:
    assert ad.grad(f)(3.0) == ad.jvp(f, (3.0,), (1.0,))[1] == slope
    assert not switches.moving


def test_a_number_is_not_taken_out_of_a_transform_by_another_thread() -> None:
    with pytest.raises(ad.Detached):
        ad.grad(lambda x: x * in_a_thread(lambda: float(x * 2)))(3.0)
    assert in_a_thread(lambda: float(ad.Tensor(2.0) * 2)) == 4.0
    assert not switches.moving
