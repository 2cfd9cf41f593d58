"""Rounding told from mistakes: the comparison, and the bound it uses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.ulps import compare, rounding
from tests.cases import every_case, packed, tensors

EPS = float(np.finfo(float).eps)


def test_three_verdicts() -> None:
    assert str(compare(1.0, 1.0, 1.0, 4)) == "identical"
    assert str(compare(1.0 + 3 * EPS, 1.0, 1.0, 4)) == "rounding only (3 ulp, bound 4)"
    assert compare(1.0 + 5 * EPS, 1.0, 1.0, 4).verdict == "different"
    assert str(compare(2.0, 1.0, 1.0, 4)) == "different (4.5e+15 ulp, bound 4)"


def test_an_ulp_is_of_the_terms_not_of_the_sum() -> None:
    a = 1e8
    got = (a + 0.1) - a
    assert compare(got, 0.1, 2 * a, 2).verdict == "rounding only"
    assert compare(got, 0.1, 0.1, 2).verdict == "different"


def test_the_worst_entry_counts() -> None:
    assert compare([1.0, 2.0], [1.0, 2.1], 1.0, 4).verdict == "different"
    assert compare([1.0, 2.0], [1.0, 2.0 + 2 * EPS], [1.0, 2.0], 4).verdict == "rounding only"


def test_nan_inf_and_shapes() -> None:
    assert compare([np.nan, np.inf], [np.nan, np.inf], 1.0, 4).verdict == "identical"
    for wrong in ([0.0, np.inf], [np.nan, 1.0], [np.nan, -np.inf]):
        found = compare(wrong, [np.nan, np.inf], 1.0, 4)
        assert found.verdict == "different"
        assert found.ulps == math.inf
    assert compare(np.ones(2), np.ones(3), 1.0, 4).verdict == "different"
    assert compare(np.ones((2, 1)), np.ones(2), 1.0, 4).verdict == "different"
    assert compare(1e-300, 0.0, 0.0, 4).verdict == "different"
    assert compare([], [], 1.0, 4).verdict == "identical"


def test_float32_has_coarser_ulps() -> None:
    assert compare(np.float32(1.0) + np.float32(2e-7), np.float32(1.0), 1.0, 4).verdict == "rounding only"
    assert compare(np.float64(1.0 + 2e-7), 1.0, 1.0, 4).verdict == "different"


@every_case
def test_the_bound_holds_what_rounding_does_to_one_op(op: Any, args: Any, kw: Any) -> None:
    """float32 is float64 with large rounding: the two differ by less than the bound says, and the bound says something."""
    if "dtype" in kw:
        pytest.skip("a cast has a dtype of its own")
    small = [np.float32(x) if np.asarray(x).dtype == float else x for x in (args[0] if op.arity is None else args)]
    exact = op(*packed(op, [x.astype(float) if getattr(x, "dtype", None) == np.float32 else x for x in small]), **kw)
    got = op(*packed(op, tensors(op, args, np.float32)), **kw)
    ((magnitude, bound),) = rounding(got)
    assert np.all(np.isfinite(magnitude))
    assert np.shape(magnitude) == got.shape
    assert compare(got.data, np.asarray(exact).astype(np.float32), magnitude, bound).verdict != "different"
    assert bound < 200


@pytest.mark.parametrize("f", [lambda x: x**2, lambda x: x**3, lambda x: x**-1, lambda x: x**0], ids=["2", "3", "-1", "0"])
def test_a_power_of_negative_numbers_has_a_bound(f: Any) -> None:
    for x in (ad.Tensor([-0.7, 1.1]), ad.Value(-0.7)):
        ((magnitude, bound),) = rounding(f(x))
        assert np.all(np.isfinite(magnitude))
        assert bound >= 4
        ((twice, _),) = rounding(f(x) * 2.0)
        assert np.all(np.isfinite(twice))


def test_cancellation_is_granted_and_mistakes_are_not() -> None:
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(6, 6)), rng.normal(size=6)
    t = ad.Tensor(x)
    got, want = (A @ t - A @ x).sum(), 0.0
    ((magnitude, bound),) = rounding(got)
    assert compare(got.data, want, magnitude, bound).verdict != "different"
    wrong = (A @ t - A.T @ x).sum()
    ((magnitude, bound),) = rounding(wrong)
    assert compare(wrong.data, 0.0, magnitude, bound).verdict == "different"


def test_the_bound_grows_with_the_terms() -> None:
    bounds = [rounding(ad.Tensor(np.ones(n)).sum())[0][1] for n in (2, 20, 200)]
    assert bounds[0] < bounds[1] < bounds[2]
    assert rounding(ad.Tensor(1.0))[0][1] == 0


def test_an_infinite_slope_at_an_exact_zero_leaves_magnitudes_finite() -> None:
    ((magnitude, _),) = rounding(np.sqrt(ad.Tensor([0.0, 2.0])))
    assert magnitude.tolist() == [0.0, np.sqrt(2.0)]
