"""Calls as users of NumPy write them, with all their options: the answer is NumPy's, in value, shape and dtype, or an error.

Each was once a wrong number, a raw Python error or a wrong dtype.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.containers import leaves

RNG = np.random.default_rng(3)
X, V, W, COLUMN = RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=3), RNG.normal(size=(3, 1))
SQUARE, STACK, NUMBER = RNG.normal(size=(3, 3)), RNG.normal(size=(2, 3, 4)), np.array(0.7)
LIST = [1.0, -2.0, 3.0]

CALLS: dict[str, tuple[Any, ...]] = {
    # single numbers have an axis 0 and -1 in NumPy's reductions
    **{f"{f.__name__} of a number over axis 0": (lambda x, f=f: f(x, axis=0), NUMBER) for f in (np.sum, np.max, np.min, np.prod)},
    "cumsum of a number": (lambda x: np.cumsum(x, axis=0), NUMBER),
    "cumprod of a number": (lambda x: np.cumprod(x, axis=-1), NUMBER),
    "pad of a number": (lambda x: np.pad(x, 0), NUMBER),
    "where of numbers": (lambda x: np.where(False, 2.0, x) + np.where(np.bool_(True), x, 2.0), NUMBER),
    # einsum
    "einsum, dots beside capitals": (lambda x, y: np.einsum("...A,A->...A", x, y), X, V),
    "einsum, dots after capitals": (lambda x: np.einsum("A...->...", x), SQUARE),
    "einsum, dots left and capitals": (lambda x: np.einsum("...A->A...", x), STACK),
    "einsum by places, sorted": (lambda x, y: np.einsum(x, [30, 1], y, [1, 2]), X, X.T),
    "einsum by places and dots": (lambda x: np.einsum(x, [0, ...], [..., 0]), STACK),
    "einsum, a length of 1 beside a longer one": (lambda x, y: np.einsum("ij,j->i", x, y), X, W[:1]),
    "einsum, a column in a product": (lambda x, y: np.einsum("ij,jk->ik", x, y), COLUMN, X.T),
    "einsum, a diagonal and a length of 1": (lambda x, y: np.einsum("ii,i->i", x, y), SQUARE, W[:1]),
    "einsum of three, one of length 1": (lambda x, y, z: np.einsum("ij,j,i->", x, y, z), X, W[:1], W),
    # lists of numbers as operands
    "inner with a list": (lambda x: np.inner(LIST, x), W),
    "inner by a list": (lambda x: np.inner(x, LIST), SQUARE),
    "kron with a list": (lambda x: np.kron(LIST, x), W),
    "tensordot with a list": (lambda x: np.tensordot(x, LIST, 1), SQUARE),
    "cross with a list": (lambda x: np.cross(LIST, x), SQUARE),
    "append of lists": (lambda x: np.append(x, [LIST], axis=0), SQUARE),
    "tensordot over one pair of axes": (lambda x, y: np.tensordot(x, y, axes=(0, -1)), X, SQUARE[:, : len(X)]),
    "tensordot over a NumPy number of axes": (lambda x, y: np.tensordot(x, y, axes=np.int64(1)), X, X.T),
    "tensordot over axes in an array": (lambda x, y: np.tensordot(x, y, axes=np.array([0, 1])), X, X.T),
    "tensordot over a matrix of axes": (lambda x, y: np.tensordot(x, y, axes=np.array([[0, 1], [1, 0]])), X, X.T),
    "tensordot over no axes": (lambda x, y: np.tensordot(x, y, axes=[[], []]), X, V),
    "column_stack with a list": (lambda x: np.column_stack([x, [[1.0, 2.0]] * 3]), W),
    "vstack with a list": (lambda x: np.vstack([LIST, x]), SQUARE),
    "hstack with a list": (lambda x: np.hstack([LIST, x]), W),
    "dstack with a list": (lambda x: np.dstack((LIST, x)), W),
    "broadcast_arrays with a list": (lambda x: np.broadcast_arrays([[1.0], [2.0]], x)[1], W),
    "linspace from a list": (lambda x: np.linspace([0.0, 0.0, 0.0], x, 4), W),
    "atleast_2d of two": (lambda x: np.atleast_2d(x, LIST)[0], W),
    # shapes
    "tril of a vector": (np.tril, V),
    "triu of a vector": (lambda x: np.triu(x, k=1), V),
    "mT": (lambda x: x.mT if isinstance(x, ad.Tensor) else np.matrix_transpose(x), STACK),
    "index with nothing": (lambda x: x[[]], X),
    "index with nothing, twice": (lambda x: x[:, [[], []]], X),
    "delete nothing": (lambda x: np.delete(x, [], axis=0), X),
    "gradient with a NumPy number": (lambda x: np.gradient(x, np.float64(2.0)), V),
    # norms
    "norm f": (lambda x: np.linalg.norm(x, "f"), X),
    "norm of a NumPy order": (lambda x: np.linalg.norm(x, np.float64(3)), V),
    # numbers and arrays of other dtypes
    "float16": (lambda x: x / np.array([1, 3, 3, 7], np.float16), X),
    "float16 on the left": (lambda x: np.array([1, 3, 3, 7], np.float16) ** x, X),
    "int8": (lambda x: np.hypot(np.array([1, 3, 3, 7], np.int8), x), X),
}


def parts(z: Any) -> list[Any]:
    return [getattr(leaf, "_data", leaf) for _, leaf in leaves(tuple(z) if isinstance(z, list) else z)]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_numpy_s(name: str) -> None:
    f, *xs = CALLS[name]
    for dtype, rtol in ((np.float64, 1e-14), (np.float32, 1e-5)):
        arrays = [np.asarray(x, dtype) for x in xs]
        got, want = parts(f(*map(ad.Tensor, arrays))), parts(f(*arrays))
        assert [np.shape(z) for z in got] == [np.shape(z) for z in want]
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
            assert np.asarray(a).dtype == np.asarray(b).dtype


@pytest.mark.parametrize("name", CALLS)
def test_its_derivatives_are_right(name: str) -> None:
    f, *xs = CALLS[name]
    ad.check_grads((lambda x: f(ad.identity(x))) if name == "mT" else f, *xs)


REFUSED: dict[str, Any] = {
    "gradient with uneven spacing as a list": lambda t: np.gradient(t, [0.0, 1.0, 4.0]),
    "norm over one axis twice": lambda t: np.linalg.norm(np.outer(t, t), 1, axis=(0, 0)),
    "norm over an axis there is not": lambda t: np.linalg.norm(t, 1, axis=2),
    "vsplit of a vector": lambda t: np.vsplit(t, 3),
    "dsplit of a vector": lambda t: np.dsplit(t, 3),
    "diff along an axis there is not": lambda t: np.diff(t, axis=2),
    "cross along an axis there is not": lambda t: np.cross(t, t, axis=1),
    "inner of different lengths": lambda t: np.inner(t[:1], np.ones((4, 0))),
    "matmul by a number": lambda t: t @ 2.0,
    "matmul by a constant number": lambda t: ad.constant(2.0) @ t,
    "tensordot over the same axis twice": lambda t: np.tensordot(np.outer(t, t), np.outer(t, t), axes=((0, 0), (0, 0))),
    "norm over no axes": lambda t: np.linalg.norm(t, axis=()),
    "norm over an axis twice": lambda t: np.linalg.norm(np.outer(t, t), axis=(0, 0)),
    "norm over three axes": lambda t: np.linalg.norm(t[:, None, None], axis=(0, 1, 2)),
    "einsum by a negative place": lambda t: np.einsum(t, [-1]),
    "einsum by a place beyond the letters": lambda t: np.einsum(t, [60]),
    "einsum whose result forgets the dots": lambda t: np.einsum("...->", t),
    "longdouble": lambda t: t * np.ones(3, np.longdouble),
    "a node as the fill value": lambda t: np.full_like(t, t[0]),
    "a node as the order of a norm": lambda t: np.linalg.norm(t, t[0]),
    "a masked array as data": lambda t: ad.Tensor(np.ma.array([1.0, 2.0], mask=[True, False])),
    "a masked array as a constant": lambda t: ad.constant(np.ma.array([1.0, 2.0], mask=[True, False])),
    "a masked array in a transform": lambda t: ad.grad(np.sum)(np.ma.array([1.0, 2.0], mask=[True, False])),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_numpy_refuses_is_refused_as_it_does(name: str) -> None:
    with pytest.raises((ValueError, ad.AutodiffError)):
        REFUSED[name](ad.Tensor([1.0, 2.0, 5.0]))


# ---------------------------------------------------------------- dtypes of constants

CONSTANTS: dict[str, Any] = {
    "function": lambda c: np.exp(c),
    "index": lambda c: c[None],
    "reshape": lambda c: c.reshape(1),
    "product of two": lambda c: c * c,
    "product with a number": lambda c: 2.0 * c,
    "stack": lambda c: np.stack([c, c]),
    "choice": lambda c: np.where(True, c, 0.0),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_number_of_float32_stays_one(name: str) -> None:
    t = ad.Tensor(np.ones(3, np.float32))
    z = CONSTANTS[name](t.sum().detach())
    assert z.dtype == np.float32
    assert (np.broadcast_to(np.sum(z), (3,)) * t).dtype == np.float32


def test_options_of_questions_may_be_nodes() -> None:
    """It went round in circles."""
    t = ad.Tensor(LIST)
    assert np.allclose(t, t + 1e-3, atol=ad.Tensor(1e-2))
    assert np.full_like(t, ad.constant(2.0)).tolist() == np.full_like(a=t, fill_value=2.0).tolist() == [2.0] * 3


def test_a_single_longdouble_is_a_number() -> None:
    assert (ad.Tensor(np.ones(2, np.float32)) * np.longdouble(2)).dtype == np.float32


def test_what_is_computed_from_a_constant_number_stands_beside_tensors() -> None:
    lam, w = ad.constant(0.5, name="lam"), ad.Tensor([1.0, 2.0])
    E = lam / 2 * np.sum(w**2)
    E.backward()
    assert w.grad.tolist() == [0.5, 1.0]


def test_a_transform_under_no_record_differentiates_and_gives_plain_numbers() -> None:
    t = ad.Tensor(LIST)
    with ad.no_record():
        found = ad.grad(lambda x: np.sum(x**2))(t)
    assert found.tolist() == [2.0, -4.0, 6.0]


def test_argnums_may_be_a_numpy_integer() -> None:
    assert ad.grad(lambda x, y: np.sum(x * y), np.int64(1))(W, W).tolist() == W.tolist()


# ---------------------------------------------------------------- many operands


@pytest.mark.parametrize("join", [np.stack, np.concatenate, np.vstack])
def test_the_time_of_backward_is_linear_in_the_operands(join: Any) -> None:
    """One by one the rules of n operands would look at n operands each: 7 seconds for these."""
    ts = [ad.Tensor([float(i), 1.0]) for i in range(8000)]
    E = np.sum(join(ts) * 2.0)
    start = time.perf_counter()
    E.backward()
    assert time.perf_counter() - start < 2.0
    assert ts[0].grad.tolist() == ts[-1].grad.tolist() == [2.0, 2.0]
    (last,) = ad.gradient(E, [ts[-1]], record=True)
    assert last.data.tolist() == [2.0, 2.0]


# ---------------------------------------------------------------- second derivatives where there is no first


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (np.linalg.norm, np.zeros(3)),
        (lambda x: np.linalg.norm(x, 3), np.zeros(3)),
        (np.std, np.full(3, 2.5)),
        (lambda x: np.hypot(x[0], x[1]), np.zeros(2)),
        (lambda x: np.arctan2(x[0], x[1]), np.zeros(2)),
    ],
)
def test_where_the_derivative_is_taken_for_0_so_are_the_next(f: Any, at: Any) -> None:
    """They were those of x / 1: the unit matrix."""
    assert not np.any(ad.hessian(f)(at))
    assert not np.any(ad.hvp(f, (at,), (np.ones(len(at)),)))


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_the_second_derivative_of_det_at_every_rank(rank: int) -> None:
    """det is linear in each entry, so the mixed differences of step 1 are exact."""
    n, rng = 4, np.random.default_rng(rank)
    a = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, n))

    def moved(*places: Any) -> float:
        b = a.copy()
        for p in places:
            b[p] += 1.0
        return float(np.linalg.det(b))

    places = list(np.ndindex(n, n))
    want = [[0.0 if p == q else moved(p, q) - moved(p) - moved(q) + moved() for q in places] for p in places]
    np.testing.assert_allclose(ad.hessian(np.linalg.det)(a).reshape(n * n, n * n), want, atol=1e-12)
