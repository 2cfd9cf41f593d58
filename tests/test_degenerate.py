"""Where a derivative is delicate or does not exist: the right number or a clear error, never a silent wrong one or nan."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from tests.cases import close

# ---------------------------------------------------------------- products with zeros, spreads of equal numbers, ties


def without_one(x: Any) -> Any:
    return np.array([np.prod(np.delete(x, i)) for i in range(len(x))])


@pytest.mark.parametrize("x", [[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0], [2.0, 3.0, 4.0, 0.0, 5.0], [0.0, 0.0, 0.0]], ids=str)
def test_prod_of_zeros(x: Any) -> None:
    x = np.array(x)
    assert ad.grad(np.prod)(x).tolist() == without_one(x).tolist()
    n = len(x)
    twice = [[0.0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(n)] for i in range(n)]
    assert ad.hessian(np.prod)(x).tolist() == twice


@pytest.mark.parametrize("x", [[2.0, 0.0, 3.0], [0.0, 0.0, 3.0, 1.0], [0.0], []], ids=str)
def test_cumprod_of_zeros(x: Any) -> None:
    x = np.array(x)
    want = np.array([[np.prod(np.delete(x[: k + 1], i)) if i <= k else 0.0 for i in range(len(x))] for k in range(len(x))])
    close(ad.jacobian(np.cumprod)(x), want.reshape(len(x), len(x)))
    if len(x):
        ad.check_grads(np.cumprod, x, order=3)


def test_std_of_equal_numbers_has_derivative_zero() -> None:
    assert ad.grad(np.std)(np.full(3, 2.5)).tolist() == [0.0, 0.0, 0.0]
    assert ad.grad(lambda x: np.std(x, axis=0).sum())(np.array([[1.0, 2.0], [1.0, 5.0]])).tolist() == [[0.0, -0.5], [0.0, 0.5]]
    assert ad.grad(np.var)(np.full(3, 2.5)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("ord", [None, 1, 2, 3, 1.5, np.inf, -np.inf])
def test_norms_at_zero(ord: Any) -> None:
    assert np.all(ad.grad(lambda x: np.linalg.norm(x, ord=ord))(np.zeros(3)) == 0.0)


def test_norms_with_a_zero_entry() -> None:
    for ord in (1, 1.5, 2, 3):
        x = np.array([0.0, 3.0, -4.0])
        got = ad.grad(lambda x, ord=ord: np.linalg.norm(x, ord=ord))(x)
        close(got, np.sign(x) * np.abs(x) ** (ord - 1) * np.linalg.norm(x, ord=ord) ** (1 - ord))


def test_a_norm_of_negative_order_with_a_zero_entry_is_flat() -> None:
    with np.errstate(divide="ignore"):  # NumPy divides by the zero, too
        assert ad.grad(lambda x: np.linalg.norm(x, ord=-1))(np.array([0.0, 3.0])).tolist() == [0.0, 0.0]
    ad.check_grads(lambda x: np.linalg.norm(x, ord=-2), np.array([1.0, 3.0]))


def test_sort_with_ties_moves_each_cotangent_once() -> None:
    x = np.array([2.0, 1.0, 2.0, 1.0])
    g = np.array([1.0, 10.0, 100.0, 1000.0])
    pulled = ad.vjp(np.sort, x)[1](g)[0]
    assert sorted(pulled.tolist()) == sorted(g.tolist())
    assert sorted(pulled[[1, 3]].tolist()) == [1.0, 10.0]


def test_sinc_near_zero_to_fourth_order() -> None:
    """sinc(x) = sum of (-1)^k (pi x)^(2k) / (2k+1)!, so its derivatives at 0 are 0, -pi²/3, 0, pi⁴/5."""
    f: Any = np.sinc
    for want in (0.0, -(np.pi**2) / 3, 0.0, np.pi**4 / 5):
        f = ad.grad(f)
        assert f(0.0) == pytest.approx(want, abs=1e-12)
    second = ad.grad(ad.grad(np.sinc))
    for x in (1e-9, 1e-4, 0.3, 0.318, 0.319, 0.6366, 0.6367, 1.0, 3.7):
        u = np.pi * x
        truth = (
            -(np.pi**2) * (1 / 3 - u**2 / 10 + u**4 / 168)
            if x < 1e-2
            else np.pi**2 * ((2 - u * u) * math.sin(u) - 2 * u * math.cos(u)) / u**3
        )
        assert second(x) == pytest.approx(truth, rel=1e-13)


# ---------------------------------------------------------------- accuracy of the error function


def test_erf_is_math_s() -> None:
    x = np.linspace(-6, 6, 1001)
    assert ad.erf(x).tolist() == [math.erf(v) for v in x]
    assert ad.erfc(x).tolist() == [math.erfc(v) for v in x]
    assert ad.erf(np.float32(0.5)).dtype == np.float32


def test_gelu_keeps_its_digits_far_below_zero() -> None:
    for x in (-6.0, -12.0, -30.0):
        assert ad.gelu(np.float64(x)) == pytest.approx(x * 0.5 * math.erfc(-x / math.sqrt(2)), rel=1e-14)


# ---------------------------------------------------------------- matrices

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def test_det_of_a_singular_matrix() -> None:
    """The derivative of the determinant is the matrix of cofactors, which needs no inverse."""
    close(ad.grad(np.linalg.det)(SINGULAR), np.array([[4.0, -2.0], [-2.0, 1.0]]))
    assert ad.grad(np.linalg.det)(np.zeros((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert ad.grad(np.linalg.det)(np.zeros((1, 1))).tolist() == [[1.0]]
    a = np.arange(9.0).reshape(3, 3)
    close(ad.grad(np.linalg.det)(a), np.array([[-3.0, 6, -3], [6, -12, 6], [-3, 6, -3]]), 1e-13)


DEGENERATE = {
    "inverse": lambda: np.linalg.inv(ad.Tensor(SINGULAR)),
    "solve": lambda: np.linalg.solve(ad.Tensor(SINGULAR), np.ones(2)),
    "solve, constant matrix": lambda: np.linalg.solve(SINGULAR, ad.Tensor(np.ones(2))),
    "third derivative of det": lambda: ad.jacobian(ad.hessian(np.linalg.det))(SINGULAR),
    "the same, singular to rounding": lambda: ad.jacobian(ad.hessian(np.linalg.det))(np.outer([0.1, 0.3, 0.7], [0.2, 0.9, 0.6])),
    "logdet": lambda: ad.grad(lambda a: np.linalg.slogdet(a)[1])(SINGULAR),
    "cholesky": lambda: np.linalg.cholesky(ad.Tensor(-np.eye(2))),
    "eigenvectors of the unit matrix": lambda: ad.grad(lambda a: np.linalg.eigh(a)[1][0, 0])(np.eye(3)),
    "the same, forward": lambda: ad.jvp(lambda a: np.linalg.eigh(a)[1], (np.eye(3),), (np.ones((3, 3)),)),
    "a function of a matrix by its eigenvectors": lambda: ad.grad(lambda a: ((lambda w, v: (v * w**2) @ v.T)(*np.linalg.eigh(a)))[0, 1])(
        np.eye(2)
    ),
    "singular vectors of the unit matrix": lambda: ad.grad(lambda a: np.linalg.svd(a)[0][0, 0])(np.eye(3)),
    "singular vectors of the value 0": lambda: ad.grad(lambda a: np.linalg.svd(a, full_matrices=False)[0].sum())(
        np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    ),
    "pinv below full rank": lambda: ad.grad(lambda a: np.linalg.pinv(a).sum())(SINGULAR),
    "pinv below full rank, forward": lambda: ad.jvp(np.linalg.pinv, (SINGULAR,), (np.ones((2, 2)),)),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_what_does_not_exist_says_so(name: str) -> None:
    with pytest.raises(ad.Degenerate) as caught:
        DEGENERATE[name]()
    assert isinstance(caught.value, np.linalg.LinAlgError)
    assert len(str(caught.value)) > 40


def test_values_may_coincide() -> None:
    """Functions of all eigenvalues or singular values are smooth where these coincide."""
    close(ad.grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 3))(2 * np.eye(3)), 12 * np.eye(3))
    close(ad.grad(lambda a: np.sum(np.linalg.eigh(a)[0] ** 2))(np.eye(2)), 2 * np.eye(2))
    close(ad.grad(lambda a: np.linalg.norm(a, "nuc"))(np.eye(3)), np.eye(3))
    t = ad.jvp(lambda a: np.sum(np.linalg.svd(a, compute_uv=False)), (np.eye(3),), (np.diag([1.0, 2.0, 3.0]),))[1]
    assert t == pytest.approx(6.0)


def test_vectors_of_a_simple_value_beside_a_double_one() -> None:
    a = np.diag([1.0, 2.0, 2.0])
    found = ad.grad(lambda a: np.sum(np.linalg.eigh(a)[1][:, 0] ** 2 * np.array([1.0, 2.0, 5.0])))(a)
    close(found, np.zeros((3, 3)))
    tilt = ad.grad(lambda a: np.linalg.eigh(a)[1][1, 0] * np.linalg.eigh(a)[1][0, 0])(a)
    want = np.zeros((3, 3))
    want[1, 0] = 1 / (1.0 - 2.0)
    close(tilt, want)


def test_cholesky_and_eigh_read_one_triangle() -> None:
    a = np.array([[4.0, 1.0], [1.0, 3.0]])
    for f in (lambda a: np.sum(np.linalg.cholesky(a)), lambda a: np.linalg.eigh(a)[0][0], lambda a: np.linalg.eigvalsh(a)[1]):
        lower = ad.grad(f)(a)
        assert lower[0, 1] == 0.0
        symmetric = ad.grad(lambda a, f=f: f((a + a.T) / 2))(a)
        close(symmetric, (lower + lower.T) / 2)
    upper = ad.grad(lambda a: np.linalg.eigh(a, "U")[0][0])(a)
    assert upper[1, 0] == 0.0
    junk = a + np.array([[0.0, 7.0], [0.0, 0.0]])
    assert np.array_equal(np.linalg.cholesky(ad.Tensor(junk)).data, np.linalg.cholesky(junk))


def test_results_with_several_parts_are_named_as_numpy_names_them() -> None:
    t = ad.Tensor(np.array([[2.0, 1.0], [1.0, 3.0]]))
    for f in (np.linalg.eigh, np.linalg.svd, np.linalg.slogdet):
        ours, theirs = f(t), f(t.data)
        assert ours._fields == theirs._fields
        for a, b in zip(ours, theirs, strict=True):
            close(a.data, b)


def test_a_factorisation_is_known_by_its_contents() -> None:
    """The factors are kept for the next op of the same operand, and a changed operand has others."""
    a = np.array([[2.0, 1.0], [1.0, 3.0]])
    first = ad.TABLE["eigvalsh"](a)
    first[:] = 0.0
    close(ad.TABLE["eigvalsh"](a), np.linalg.eigvalsh(a))
    a[0, 0] = 5.0
    close(ad.TABLE["eigvalsh"](a), np.linalg.eigvalsh(a))
    close(ad.TABLE["svdvals"](a.astype(np.float32)), np.linalg.svdvals(a), 1e-6)


def test_a_singular_matrix_is_told_with_its_name() -> None:
    A = ad.Tensor(SINGULAR, name="A")
    with pytest.raises(ad.Degenerate, match=r"inv of a matrix of shape \(2, 2\).*[Ss]ingular"):
        np.linalg.inv(A)


# ---------------------------------------------------------------- empty and 0-d

EMPTY = {
    "prod": (np.prod, (0, 3)),
    "prod over the full axis": (lambda x: np.prod(x, axis=1), (0, 3)),
    "prod over the empty axis": (lambda x: np.prod(x, axis=0), (0, 3)),
    "cumsum": (lambda x: np.cumsum(x, axis=1), (0, 3)),
    "cumprod": (lambda x: np.cumprod(x, axis=0), (0, 3)),
    "sort": (lambda x: np.sort(x, axis=0), (0, 3)),
    "var": (lambda x: np.var(x, axis=1), (0, 3)),
    "std": (lambda x: np.std(x, axis=1), (0, 3)),
    "roll": (lambda x: np.roll(x, 2), (0, 3)),
    "flip": (np.flip, (0, 3)),
    "tile": (lambda x: np.tile(x, (2, 0)), (2, 3)),
    "repeat": (lambda x: np.repeat(x, 0), (2, 3)),
    "take": (lambda x: np.take(x, np.array([], int)), (3,)),
    "pad": (lambda x: np.pad(x, 1), (0, 3)),
    "split": (lambda x: ad.concatenate(np.split(x, [0, 2])), (2, 3)),
    "tril": (np.tril, (0, 0)),
    "diag": (np.diag, (0,)),
    "trace": (np.trace, (0, 0)),
    "kron": (lambda x: np.kron(x, np.ones((2, 2))), (0, 3)),
    "tensordot": (lambda x: np.tensordot(x, np.ones((3, 0)), 1), (2, 3)),
    "inner": (lambda x: np.inner(x, np.ones((4, 0))), (2, 0)),
    "norm": (np.linalg.norm, (0,)),
    "inv": (np.linalg.inv, (0, 0)),
    "det": (np.linalg.det, (0, 0)),
    "logdet": (ad.logdet, (0, 0)),
    "stack of none": (np.linalg.inv, (0, 2, 2)),
    "cholesky": (np.linalg.cholesky, (0, 0)),
    "eigvalsh": (np.linalg.eigvalsh, (0, 0)),
    "eigh": (lambda x: np.linalg.eigh(x)[1], (0, 0)),
    "svd": (lambda x: np.linalg.svd(x, full_matrices=False)[0], (2, 0)),
    "svdvals": (np.linalg.svdvals, (0, 2)),
    "pinv": (np.linalg.pinv, (0, 2)),
    "solve": (lambda x: np.linalg.solve(np.eye(2), x), (2, 0)),
    "gelu": (ad.gelu, (0,)),
    "erf": (ad.erf, (0,)),
    "clip": (lambda x: np.clip(x, 0, 1), (0, 3)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_arrays_pass(name: str) -> None:
    f, shape = EMPTY[name]
    x = np.ones(shape)
    t = ad.Tensor(x)
    z = f(t)
    assert np.array_equal(z.data, f(x))
    np.sum(z).backward()
    assert t.grad is not None
    assert t.grad.shape == shape
    assert np.shape(ad.jvp(f, (x,), (x,), allow_unused=True)[1]) == z.shape


SINGLE = {
    "ravel": np.ravel,
    "squeeze": np.squeeze,
    "prod": np.prod,
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "var": np.var,
    "flip": np.flip,
    "tile": lambda x: np.tile(x, 2),
    "repeat": lambda x: np.repeat(x, 3),
    "take": lambda x: np.take(x, 0),
    "atleast_2d": np.atleast_2d,
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "inner": lambda x: np.inner(x, 2.0),
    "kron": lambda x: np.kron(x, np.ones(2)),
    "tensordot": lambda x: np.tensordot(x, np.ones(2), 0),
    "outer by dot": lambda x: np.dot(x, np.ones(2)),
    "pad": lambda x: np.pad(np.atleast_1d(x), 1),
    "sort": lambda x: np.sort(x, axis=None),
    "norm": np.linalg.norm,
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_numbers_pass(name: str) -> None:
    f = SINGLE[name]
    z = f(ad.Tensor(1.5))
    want = f(np.array(1.5))
    assert np.array_equal(z.data, want)
    assert z.shape == np.shape(want)
    ad.check_grads(f, 1.5)


# ---------------------------------------------------------------- options


def test_indices_are_copied() -> None:
    x, where = ad.Tensor([1.0, 2.0, 3.0]), np.array([0, 0])
    E = np.sum(np.take(x, where))
    where[:] = 2
    E.backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]


def test_indices_are_no_nodes() -> None:
    with pytest.raises(ad.BadOperand, match="take"):
        np.take(ad.Tensor([1.0, 2.0]), ad.Tensor([0.0]))
    with pytest.raises(ad.BadOperand, match="roll"):
        np.roll(ad.Tensor([1.0, 2.0]), ad.Tensor(1.0))


MISFITS = {
    "split": lambda t: np.split(t, 2),
    "cross": lambda t: np.cross(t, np.ones(2)),
    "tensordot": lambda t: np.tensordot(t, np.ones(2), 1),
    "squeeze": lambda t: np.squeeze(t, axis=0),
    "inner": lambda t: np.inner(t, np.ones(2)),
    "det": lambda t: np.linalg.det(t),
    "inv": lambda t: np.linalg.inv(np.ones((2, 3)) * t),
    "svd": lambda t: np.linalg.svd(t),
    "norm": lambda t: np.linalg.norm(t, axis=3),
    "take": lambda t: np.take(t, 7),
    "norm of three axes": lambda t: np.linalg.norm(t.reshape(1, 1, 3), "fro"),
    "matrix_power of a fraction": lambda t: np.linalg.matrix_power(np.diag(t), 2.5),
    "gradient of uneven spacing": lambda t: np.gradient(t, np.array([0.0, 1.0, 3.0])),
    "einsum of too few": lambda t: np.einsum("i,i", t),
    "roll along no axis": lambda t: np.roll(t, 1, axis=4),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_told_when_it_is_called(name: str) -> None:
    with pytest.raises((ValueError, IndexError, TypeError)):
        MISFITS[name](ad.Tensor(np.ones(3)))


# ---------------------------------------------------------------- entries that are not finite

NOT_FINITE = [np.diag([x, 2.0, 3.0]) for x in (np.inf, -np.inf, np.nan)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("a", NOT_FINITE, ids=["inf", "-inf", "nan"])
def test_the_derivatives_of_det_end_where_an_entry_is_not_finite(a: Any) -> None:
    x = ad.Tensor(np.stack([np.eye(3), a]))
    np.sum(np.linalg.det(x)).backward()  # LAPACK searched for singular values of inf for ever
    assert x.grad[0].tolist() == np.eye(3).tolist()
    assert np.isnan(x.grad[1]).all()
    assert np.isnan(ad.hessian(np.linalg.det)(a)).all()


@pytest.mark.parametrize("f", [np.linalg.svdvals, np.linalg.pinv, lambda x: np.linalg.norm(x, 2)], ids=["svdvals", "pinv", "norm"])
@pytest.mark.parametrize("a", NOT_FINITE, ids=["inf", "-inf", "nan"])
def test_singular_values_of_what_is_not_finite_are_refused(a: Any, f: Any) -> None:
    with pytest.raises(ad.Degenerate, match="an entry is not finite"):
        f(ad.Tensor(a))


@pytest.mark.parametrize("a", NOT_FINITE, ids=["inf", "-inf", "nan"])
def test_eigenvalues_that_are_nan_have_no_finite_derivative(a: Any) -> None:
    x = ad.Tensor(a)
    E = np.sum(np.linalg.eigvalsh(x))
    E.backward()
    assert np.isnan(E.item())
    assert np.isnan(x.grad[np.tril_indices(3)]).all()  # were those of any vectors
