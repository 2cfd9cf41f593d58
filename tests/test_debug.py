"""ad.debug: the first number that is not finite is reported where it is born; held arrays that were changed are caught."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import node as switches
from tests.cases import every_case, packed, tensors, weighted

T = ad.Tensor


def said(f: Callable[[], Any]) -> str:
    with ad.debug(), pytest.raises(ad.NonFinite) as caught:
        f()
    return str(caught.value)


def test_the_cause_of_an_overflow_with_the_user_s_name_and_the_bound() -> None:
    z2 = T([1.0, 1000.0])
    with ad.debug(), pytest.raises(ad.NonFinite) as caught:
        np.exp(z2)
    assert str(caught.value) == "exp(z2)[1] = inf because z2[1] = 1000 > 709.78"


FORWARD: dict[str, tuple[Callable[[], Any], str]] = {
    "named leaf": (lambda: np.log(T([[0.5], [0.0]], name="p")), "log(p)[1, 0] = -inf because p[1, 0] = 0"),
    "below the domain": (lambda: np.log(T([-1.0], name="p")), "log(p)[0] = nan because p[0] = -1 ≤ 0"),
    "domain closed": (lambda: np.sqrt(T([-1.0], name="p")), "sqrt(p)[0] = nan because p[0] = -1 < 0"),
    "domain from -1": (lambda: np.log1p(T([-2.0], name="p")), "log1p(p)[0] = nan because p[0] = -2 < -1"),
    "float32": (lambda: np.exp(T([89.0], name="p", dtype=np.float32)), "exp(p)[0] = inf because p[0] = 89 > 88.723"),
    "broadcast": (
        lambda: T([[1.0, 2.0]], name="a") / T([[1.0], [0.0]], name="b"),
        "div(a, b)[1, 0] = inf because a[0, 0] = 1 and b[1, 0] = 0",
    ),
    "plain number": (lambda: 1 / T([0.0], name="b"), "div(1, b)[0] = inf because b[0] = 0"),
    "of a result": (lambda: np.exp(T([500.0]) * 2), "exp(mul(…))[0] = inf because mul(…)[0] = 1000 > 709.78"),
    "not elementwise": (
        lambda: T([[1e200]], name="A") @ T([[1e200]], name="B"),
        "matmul(A, B)[0, 0] = inf because the largest entry of A is 1e+200 at [0, 0] and the largest entry of B is 1e+200 at [0, 0]",
    ),
    "came in": (lambda: T([np.nan], name="x") + 1.0, "add(x, 1)[0] = nan because x[0] = nan, which came in as data"),
    "inf - inf": (lambda: T([np.inf], name="x") - np.inf, "sub(x, inf)[0] = nan because x[0] = inf"),
    "Value": (lambda: ad.exp(ad.Value(1000.0, name="v")), "exp(v) = inf because v = 1000 > 709.78"),
    "Value by zero": (lambda: 1 / ad.Value(0.0, name="v"), "div(1, v) = inf because v = 0"),
}


@pytest.mark.parametrize("name", FORWARD)
def test_where_a_number_is_born_in_the_forward_computation(name: str) -> None:
    f, words = FORWARD[name]
    assert words in said(f)


BACKWARD: dict[str, tuple[Callable[[], Any], str]] = {
    "Tensor": (
        lambda: np.sum(2 * np.sqrt(T([0.0, 4.0], name="p"))).backward(),
        "backward through sqrt(p) (made at test_debug.py:",
    ),
    "Value": (lambda: ad.sqrt(ad.Value(0.0, name="p")).backward(), "the derivative with respect to p is inf because p = 0"),
    "gradient": (lambda: ad.gradient(np.sqrt(x0), x0), "the derivative with respect to x0 is inf because x0 = 0"),
    "recorded": (lambda: ad.gradient(np.sqrt(x0), x0, record=True), "in the derivative rule of sqrt(x0)"),
    "transform": (lambda: ad.grad(np.sqrt)(0.0), "backward through sqrt("),
    "forward mode": (lambda: ad.jvp(np.sqrt, (0.0,), (1.0,)), "forward mode through sqrt("),
    "where it came in": (lambda: np.sum(3 * np.sqrt(x0)).backward(), "where the derivative came in as 3"),
}
x0 = T(0.0)


@pytest.mark.parametrize("name", BACKWARD)
def test_whose_rule_made_it_in_backward(name: str) -> None:
    f, words = BACKWARD[name]
    assert words in said(f)


def test_an_inf_that_was_put_in_may_pass() -> None:
    mask = np.array([0.0, -np.inf, 0.0])
    x = T([1.0, 2.0, 3.0])
    with ad.debug():
        np.sum(ad.softmax(x + mask) * np.arange(3.0)).backward()
    assert np.all(np.isfinite(x.grad))


def test_results_without_a_history_are_looked_at_too() -> None:
    with ad.debug(), ad.no_record(), pytest.raises(ad.NonFinite):
        np.log(T([0.0]))


@pytest.mark.parametrize("hold", [lambda a: a, lambda a: ad.constant(a, name="buffer")], ids=["array", "constant"])
def test_a_held_array_that_was_changed_is_caught(hold: Any) -> None:
    x, buffer = T([1.0, 2.0]), np.array([3.0, 4.0])
    with ad.debug():
        E = np.sum(x * hold(buffer))
        E.backward()
        buffer[:] = 0.0
        with pytest.raises(ad.StaleGraph, match=r"buffer, operand 1 of mul \(made at test_debug.py:\d+\), was changed"):
            E.backward()
        with pytest.raises(ad.StaleGraph, match="buffer"):
            ad.gradient(E, x)
        assert x.grad.tolist() == [3.0, 4.0]
        buffer[:] = [3.0, 4.0]
        E.backward()  # as it was


def test_changed_conditions_and_views_are_caught() -> None:
    x, base = T([1.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0]])
    mask = np.array([True, False])
    with ad.debug():
        E = np.sum(np.where(mask, x, 0.0) * base[:, 0])
        mask[0] = False
        with pytest.raises(ad.StaleGraph, match="mask, operand 0 of where"):
            E.backward()
        mask[0] = True
        base[1, 0] = 7.0
        with pytest.raises(ad.StaleGraph, match="operand 1 of mul"):
            E.backward()


def test_nodes_remember_their_line() -> None:
    with ad.debug():
        x = T([1.0])
        y = x * 2
        v = ad.Value(1.0) + 1
    assert x.line.startswith("test_debug.py:")
    assert int(y.line.split(":")[1]) == int(x.line.split(":")[1]) + 1
    assert v.line.startswith("test_debug.py:")
    assert (y + 1).line is None


def test_off_is_off_and_blocks_nest() -> None:
    assert switches.watch is None
    before = switches.special
    with pytest.raises(ZeroDivisionError), ad.debug():
        with ad.debug():
            pass
        assert switches.watch is not None
        raise ZeroDivisionError
    assert switches.watch is None
    assert switches.special == before
    with np.errstate(all="ignore"):
        assert np.log(T([0.0])).data[0] == -np.inf


@every_case
def test_it_changes_no_number(op: Any, args: Any, kw: Any) -> None:
    def run() -> Any:
        xs = tensors(op, args)
        E = weighted(op(*packed(op, xs), **kw))
        E.backward()
        return E.data, [x.grad for x in xs if isinstance(x, T)]

    plain, grads = run()
    with ad.debug():
        watched, same = run()
    assert plain == watched
    assert all(np.array_equal(a, b) for a, b in zip(grads, same, strict=True))


def test_it_is_open_in_every_thread() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with np.errstate(all="ignore"):
                np.log(T([0.0], name="p"))
        except ad.NonFinite as error:
            errors.append(error)

    with ad.debug():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [str(e) for e in errors] == ["log(p)[0] = -inf because p[0] = 0"]


def test_a_sum_of_finite_derivatives_that_overflows_is_said_of_the_node_it_reached() -> None:
    w = T([1e-10], name="w")
    h = (w * 1.0).named("h")
    E = np.sum(h * 1e308 + h * 1e308 - h)
    with ad.debug(), pytest.raises(ad.NonFinite, match=r"the derivative with respect to h.*\[0\] is inf because its finite parts add up"):
        E.backward()
    assert w.grad is None
