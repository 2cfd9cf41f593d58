"""Kinks, ties, poles and infinities: Value, Tensor and NumPy say the same, and the conventions are pinned."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from tests.cases import ulps_apart

inf, nan = np.inf, np.nan

# (function, operands, value, gradient)
TABLE: list[tuple[str, Callable[..., Any], tuple[float, ...], float, tuple[float, ...]]] = [
    ("relu at 0", ad.relu, (0.0,), 0.0, (0.0,)),
    ("relu at -0", ad.relu, (-0.0,), 0.0, (0.0,)),
    ("relu of nan", ad.relu, (nan,), nan, (0.0,)),
    ("relu of -inf", ad.relu, (-inf,), 0.0, (0.0,)),
    ("abs at 0", abs, (0.0,), 0.0, (0.0,)),
    ("abs below 0", abs, (-2.0,), 2.0, (-1.0,)),
    ("sign above 0", ad.sign, (3.0,), 1.0, (0.0,)),
    ("sign at 0", ad.sign, (0.0,), 0.0, (0.0,)),
    ("sign of nan", ad.sign, (nan,), nan, (0.0,)),
    ("maximum, tie", ad.maximum, (1.5, 1.5), 1.5, (0.5, 0.5)),
    ("minimum, tie", ad.minimum, (1.5, 1.5), 1.5, (0.5, 0.5)),
    ("maximum, left", ad.maximum, (2.0, 1.0), 2.0, (1.0, 0.0)),
    ("minimum, left", ad.minimum, (2.0, 1.0), 1.0, (0.0, 1.0)),
    ("maximum with nan", ad.maximum, (nan, 1.0), nan, (0.0, 0.0)),
    ("maximum with nan, right", ad.maximum, (1.0, nan), nan, (0.0, 0.0)),
    ("x**0 at 0", lambda x: x**0, (0.0,), 1.0, (0.0,)),
    ("x**0.0 at 0", lambda x: x**0.0, (0.0,), 1.0, (0.0,)),
    ("x**1 at 0", lambda x: x**1, (0.0,), 0.0, (1.0,)),
    ("x**2 at 0", lambda x: x**2, (0.0,), 0.0, (0.0,)),
    ("x**2 below 0", lambda x: x**2, (-3.0,), 9.0, (-6.0,)),
    ("x**3 below 0", lambda x: x**3, (-2.0,), -8.0, (12.0,)),
    ("x**-1 below 0", lambda x: x**-1, (-2.0,), -0.5, (-0.25,)),
    ("0**y", lambda y: 0.0**y, (2.0,), 0.0, (0.0,)),
    ("0**0 in y", lambda y: 0.0**y, (0.0,), 1.0, (0.0,)),
    ("0**y, both", lambda x, y: x**y, (0.0, 2.0), 0.0, (0.0, 0.0)),
    ("2**y", lambda y: 2**y, (3.0,), 8.0, (8.0 * np.log(2.0),)),
    ("sqrt at 0", ad.sqrt, (0.0,), 0.0, (inf,)),
    ("sqrt below 0", ad.sqrt, (-1.0,), nan, (nan,)),
    ("log at 0", ad.log, (0.0,), -inf, (inf,)),
    ("log below 0", ad.log, (-1.0,), nan, (-1.0,)),
    ("log1p at -1", ad.log1p, (-1.0,), -inf, (inf,)),
    ("1/x at 0", lambda x: 1 / x, (0.0,), inf, (-inf,)),
    ("1/x at -0", lambda x: 1 / x, (-0.0,), -inf, (-inf,)),
    ("x/0", lambda x: x / 0, (1.0,), inf, (inf,)),
    ("0/0", lambda x, y: x / y, (0.0, 0.0), nan, (inf, nan)),
    ("0**-1", lambda x: x**-1, (0.0,), inf, (-inf,)),
    ("(-8)**(1/3)", lambda x: x ** (1 / 3), (-8.0,), nan, (nan,)),
    ("exp overflows", ad.exp, (1000.0,), inf, (inf,)),
    ("exp underflows", ad.exp, (-1000.0,), 0.0, (0.0,)),
    ("expm1 overflows", ad.expm1, (1000.0,), inf, (inf,)),
    ("sin of inf", ad.sin, (inf,), nan, (nan,)),
    ("tanh far out", ad.tanh, (1e300,), 1.0, (0.0,)),
    ("sigmoid far below", ad.sigmoid, (-1e300,), 0.0, (0.0,)),
    ("sigmoid below exp's range", ad.sigmoid, (-750.0,), 0.0, (0.0,)),
    ("sigmoid far above", ad.sigmoid, (1e300,), 1.0, (0.0,)),
    ("softplus far below", ad.softplus, (-1e300,), 0.0, (0.0,)),
    ("softplus below exp's range", ad.softplus, (-750.0,), 0.0, (0.0,)),
    ("softplus far above", ad.softplus, (1e300,), 1e300, (1.0,)),
    ("square overflows", ad.square, (1e200,), inf, (2e200,)),
    ("product overflows", lambda x: x * 1e200, (1e200,), inf, (1e200,)),
    ("inf - inf", lambda x: x - inf, (inf,), nan, (1.0,)),
    ("hypot at the origin", ad.hypot, (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("hypot near overflow", ad.hypot, (1e200, 1e200), np.hypot(1e200, 1e200), (np.sqrt(0.5), np.sqrt(0.5))),
    ("arctan2 at the origin", ad.arctan2, (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("arctan2 far out", ad.arctan2, (1e200, 1e200), np.pi / 4, (5e-201, -5e-201)),
    ("arctan far out", ad.arctan, (1e160,), np.pi / 2, (1e-320,)),
    ("arctan of inf", ad.arctan, (inf,), np.pi / 2, (0.0,)),
    ("arcsinh far out", ad.arcsinh, (1e300,), np.arcsinh(1e300), (1e-300,)),
    ("arccosh far out", ad.arccosh, (1e300,), np.arccosh(1e300), (1e-300,)),
    ("arccosh at 1", ad.arccosh, (1.0,), 0.0, (inf,)),
    ("arccosh below 1", ad.arccosh, (0.5,), nan, (nan,)),
    ("arcsin at 1", ad.arcsin, (1.0,), np.pi / 2, (inf,)),
    ("arcsin beyond 1", ad.arcsin, (1.5,), nan, (nan,)),
    ("arccos at -1", ad.arccos, (-1.0,), np.pi, (-inf,)),
    ("arctanh at 1", ad.arctanh, (1.0,), inf, (inf,)),
    ("cbrt at 0", ad.cbrt, (0.0,), 0.0, (inf,)),
    ("cbrt below 0", ad.cbrt, (-8.0,), -2.0, (1 / 12,)),
    ("log2 at 0", ad.log2, (0.0,), -inf, (inf,)),
    ("log10 below 0", ad.log10, (-1.0,), nan, (-1 / np.log(10.0),)),
    ("exp2 overflows", ad.exp2, (2000.0,), inf, (inf,)),
    ("sinh overflows", ad.sinh, (1000.0,), inf, (inf,)),
    ("cosh overflows", ad.cosh, (-1000.0,), inf, (-inf,)),
    ("tan of inf", ad.tan, (inf,), nan, (nan,)),
    ("logaddexp, two of -inf", ad.logaddexp, (-inf, -inf), -inf, (0.5, 0.5)),
    ("logaddexp, two of inf", ad.logaddexp, (inf, inf), inf, (0.5, 0.5)),
    ("logaddexp, one of -inf", ad.logaddexp, (-inf, 1.0), 1.0, (0.0, 1.0)),
    ("logaddexp far apart", ad.logaddexp, (1e300, -1e300), 1e300, (1.0, 0.0)),
    ("logaddexp2, equal", ad.logaddexp2, (3.0, 3.0), 4.0, (0.5, 0.5)),
    ("erf far out", ad.erf, (1e300,), 1.0, (0.0,)),
    ("erfc far out", ad.erfc, (27.0,), 5.237048923789256e-319, (-2 / np.sqrt(np.pi) * np.exp(-729.0),)),
    ("gelu far below", ad.gelu, (-1e300,), -0.0, (0.0,)),
    ("gelu far above", ad.gelu, (1e300,), 1e300, (1.0,)),
    ("sinc at 0", ad.sinc, (0.0,), 1.0, (0.0,)),
    ("sinc's slope at 1", ad.sinc, (1.0,), float(np.sinc(1.0)), (-1.0,)),
    ("clip on its lower bound", lambda x: ad.clip(x, 0.0, 1.0), (0.0,), 0.0, (1.0,)),
    ("clip on its upper bound", lambda x: ad.clip(x, 0.0, 1.0), (1.0,), 1.0, (1.0,)),
    ("clip outside", lambda x: ad.clip(x, 0.0, 1.0), (-2.0,), 0.0, (0.0,)),
    ("clip by moving bounds", ad.clip, (2.0, 0.0, 1.0), 1.0, (0.0, 0.0, 1.0)),
    ("clip by crossing bounds", ad.clip, (0.5, 2.0, 1.0), 1.0, (0.0, 0.0, 1.0)),
    ("clip by one bound", lambda x: ad.clip(x, a_max=1.0), (-5.0,), -5.0, (1.0,)),
    ("clip of nan", lambda x: ad.clip(x, 0.0, 1.0), (nan,), nan, (0.0,)),
    ("fmax with nan", ad.fmax, (nan, 1.0), 1.0, (0.0, 1.0)),
    ("fmin with nan, right", ad.fmin, (1.0, nan), 1.0, (1.0, 0.0)),
    ("fmax, tie", ad.fmax, (1.5, 1.5), 1.5, (0.5, 0.5)),
    ("floor at a jump", ad.floor, (2.0,), 2.0, (0.0,)),
    ("floor of inf", ad.floor, (inf,), inf, (0.0,)),
    ("ceil", ad.ceil, (1.2,), 2.0, (0.0,)),
    ("trunc below 0", ad.trunc, (-1.7,), -1.0, (0.0,)),
    ("rint, half to even", ad.rint, (2.5,), 2.0, (0.0,)),
    ("mod below 0", lambda x, y: x % y, (-1.0, 3.0), 2.0, (1.0, 1.0)),
    ("mod by a number below 0", lambda x, y: x % y, (7.0, -3.0), -2.0, (1.0, 3.0)),
    ("mod of a plain number", lambda y: 7.0 % y, (3.0,), 1.0, (-2.0,)),
    ("mod by 0", lambda x: x % 0.0, (1.0,), nan, (1.0,)),
    ("nan_to_num of inf", ad.nan_to_num, (inf,), np.finfo(float).max, (0.0,)),
    ("nan_to_num of nan", ad.nan_to_num, (nan,), 0.0, (0.0,)),
    ("degrees", ad.rad2deg, (np.pi,), 180.0, (180 / np.pi,)),
    ("sign's zero is structural", lambda x: ad.sign(x) * inf, (2.0,), inf, (0.0,)),
]


def _same(a: float, b: float) -> bool:
    return ulps_apart(float(a), float(b)) <= 4


@pytest.mark.parametrize(("f", "xs", "value", "grads"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_value_tensor_and_numpy_agree(f: Any, xs: Any, value: float, grads: Any) -> None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        vs, ts, arrays = [ad.Value(x) for x in xs], [ad.Tensor(x) for x in xs], [ad.Tensor([x, x]) for x in xs]
        v, t, a = f(*vs), f(*ts), f(*arrays)
        v.backward()
        t.backward()
        a.backward(seed=np.ones(2))
        plain = ad.gradient(f(*(again := [ad.Value(x) for x in xs])), again)
    assert _same(v.data, value), "Value's number"
    assert _same(t.item(), value), "Tensor's number"
    assert _same(a.data[1], value), "an array's number"
    for i, want in enumerate(grads):
        assert _same(vs[i].grad, want), f"Value's derivative {i}"
        assert _same(ts[i].grad, want), f"Tensor's derivative {i}"
        assert _same(arrays[i].grad[1], want), f"an array's derivative {i}"
        assert _same(plain[i], want), f"gradient's derivative {i}"


def test_a_constant_power_takes_no_logarithm_and_warns_of_nothing() -> None:
    x = ad.Tensor([-2.0, 0.0, 3.0])
    (x**2).sum().backward()  # a warning would be an error here
    assert x.grad.tolist() == [-4.0, 0.0, 6.0]
    v = ad.Value(-2.0)
    (v**2).backward()
    assert v.grad == -4.0
    assert ad.grad(ad.grad(ad.grad(lambda x: x**2)))(0.0) == 0.0


@pytest.mark.parametrize("y", [0.0, 1.0, 2.0, 0.5])
@pytest.mark.parametrize("kind", [float, lambda x: np.array([x])], ids=["float", "array"])
def test_the_mixed_second_derivative_of_a_power(y: float, kind: Any) -> None:
    """d2(x**y)/dxdy = x**(y-1) (1 + y log x), at y = 0 too, whichever is taken first."""
    x, want = 2.0, 2.0 ** (y - 1) * (1 + y * np.log(2.0))
    first_x = ad.grad(lambda y: np.sum(ad.grad(lambda x: np.sum(x**y))(kind(x))))(kind(y))
    first_y = ad.grad(lambda x: np.sum(ad.grad(lambda y: np.sum(x**y))(kind(y))))(kind(x))
    assert first_x == pytest.approx(want)
    assert first_y == pytest.approx(want)


def test_entries_that_share_the_maximum_share_the_derivative() -> None:
    x = ad.Tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    x.max(axis=1).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]
    x.zero_grad()
    x.max().backward()
    assert x.grad.tolist() == [[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]]
    y = ad.Tensor([1.0, 1.0])
    y.min().backward()
    assert y.grad.tolist() == [0.5, 0.5]


def test_where_gives_the_branch_not_taken_an_exact_zero() -> None:
    x, y = ad.Tensor([1.0, 2.0]), ad.Tensor([nan, inf])
    np.where(np.array([True, True]), x * 3, y).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert y.grad.tolist() == [0.0, 0.0]


# ---------------------------------------------------------------- softmax and its logarithms

BIG = [
    ("two far apart", [1e300, -1e300], [1.0, 0.0], [0.0, -2e300], 1e300),
    ("two equal", [1e300, 1e300], [0.5, 0.5], [-np.log(2)] * 2, 1e300),
    ("both far below", [-1e300, -1e300], [0.5, 0.5], [-np.log(2)] * 2, -1e300),
    ("an impossible one", [0.0, -inf], [1.0, 0.0], [0.0, -inf], 0.0),
    ("two of three", [0.0, 0.0, -inf], [0.5, 0.5, 0.0], [-np.log(2)] * 2 + [-inf], np.log(2)),
    ("beyond exp's range", [1000.0, 1000.0], [0.5, 0.5], [-np.log(2)] * 2, 1000.0 + np.log(2)),
]


@pytest.mark.parametrize(("x", "soft", "log_soft", "lse"), [pytest.param(*row[1:], id=row[0]) for row in BIG])
def test_softmaxes_are_stable(x: Any, soft: Any, log_soft: Any, lse: float) -> None:
    t = ad.Tensor(x)  # no warning either: warnings are errors here
    np.testing.assert_allclose(ad.softmax(t).data, soft, rtol=1e-15)
    np.testing.assert_allclose(ad.log_softmax(t).data, log_soft, rtol=1e-15)
    assert ad.logsumexp(t).item() == pytest.approx(lse, rel=1e-15)
    g = np.arange(1.0, len(x) + 1)
    np.testing.assert_allclose(ad.vjp(ad.softmax, np.array(x))[1](g)[0], soft * (g - np.dot(soft, g)), atol=1e-15)
    np.testing.assert_allclose(ad.vjp(ad.log_softmax, np.array(x))[1](g)[0], g - np.array(soft) * g.sum(), atol=1e-15)
    np.testing.assert_allclose(ad.grad(ad.logsumexp)(np.array(x)), soft, atol=1e-15)
    np.testing.assert_allclose(ad.jvp(ad.softmax, (np.array(x),), (g,))[1], soft * (g - np.dot(soft, g)), atol=1e-15)


def test_logsumexp_of_infinities_is_exact_and_quiet() -> None:
    assert ad.logsumexp(np.array([inf, -inf])) == inf
    assert ad.logsumexp(np.array([-inf, -inf])) == -inf
    assert ad.logsumexp(np.array([1.7e308, 1.7e308])) == 1.7e308


@pytest.mark.parametrize("gap", [1.0, 14.0, 40.0, 800.0])
def test_log_softmax_keeps_its_digits_near_0(gap: float) -> None:
    """log p of what is nearly certain is -(e^-gap) * classes: a logarithm of 1 + that would leave nothing of it."""
    want = -math.log1p(2 * math.exp(-gap))
    np.testing.assert_allclose(ad.log_softmax(np.array([0.0, -gap, -gap])), [want, want - gap, want - gap], rtol=4e-16)
    np.testing.assert_allclose(ad.log_softmax(np.array([[gap], [gap]]), axis=0), [[-math.log(2)]] * 2, rtol=4e-16)
    assert ad.log_softmax(np.array([0.0, -gap], np.float32)).dtype == np.float32
    with np.errstate(invalid="ignore"):
        assert all(np.isnan(ad.log_softmax(np.array([strange, 1.0]))).all() for strange in (inf, nan))


@pytest.mark.parametrize("op", [ad.softmax, ad.log_softmax])
@pytest.mark.parametrize(("shape", "axis"), [((1,), None), ((1, 3), 0), ((3, 1), 1), ((3, 1), -1)])
def test_a_softmax_over_one_entry_raises(op: Any, shape: Any, axis: Any) -> None:
    with pytest.raises(ad.ShapeMismatch, match="length 1"):
        op(ad.Tensor(np.zeros(shape)), axis=axis)


@pytest.mark.parametrize("op", [ad.softmax, ad.log_softmax])
def test_a_softmax_of_a_matrix_asks_for_its_axis(op: Any) -> None:
    with pytest.raises(ad.ShapeMismatch, match="which axis"):
        op(ad.Tensor(np.zeros((2, 3))))


@pytest.mark.parametrize("op", [ad.softmax, ad.log_softmax, ad.logsumexp, ad.sum, ad.mean, ad.max])
def test_an_axis_that_is_not_there_is_a_shape_error(op: Any) -> None:
    with pytest.raises(ad.ShapeMismatch, match="axis"):
        op(ad.Tensor(np.zeros((2, 3))), axis=5)
