"""Tensor: what it holds, what it protects, indexing, methods, and NumPy's protocols."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import autodiff as ad

# ---------------------------------------------------------------- creation and data


def test_a_leaf_copies_its_data() -> None:
    a = np.array([1.0, 2.0])
    t = ad.Tensor(a)
    a[0] = 9.0
    assert t.data.tolist() == [1.0, 2.0]
    assert a.flags.writeable


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1, 2], "f8"),
        (np.float32([1]), "f4"),
        (np.array([True]), "f8"),
        (np.uint8([3]), "f8"),
        (3, "f8"),
        (np.float32(3), "f4"),
        ([], "f8"),
    ],
)
def test_dtypes(data: Any, dtype: str) -> None:
    assert ad.Tensor(data).dtype == np.dtype(dtype)
    assert ad.Tensor(data, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("data", [np.ones(1, np.float16), np.ones(1, np.longdouble), [1j], "abc", None, [None], ad.Value(1.0)], ids=repr)
def test_what_a_tensor_cannot_hold(data: Any) -> None:
    with pytest.raises(ad.BadOperand):
        ad.Tensor(data)


def test_a_ragged_list_is_a_shape_error() -> None:
    with pytest.raises(ad.ShapeMismatch, match="rectangular"):
        ad.Tensor([[1.0], [2.0, 3.0]])


def test_constants_do_not_wrap_around_as_integers_do() -> None:
    image = np.array([100], np.uint8)
    assert (ad.constant(image) - 128).data.tolist() == [-28.0]
    assert (-ad.constant(image)).data.tolist() == [-100.0]
    big = ad.constant(np.array([4_000_000_000]))
    assert (big * big).data.tolist() == [1.6e19]
    assert (ad.constant(np.array([2])) ** -1).data.tolist() == [0.5]
    x = ad.Tensor([1.0])
    assert (x * image - 128).data.tolist() == [-28.0]


def test_integer_arrays_beside_a_tensor_are_numbers() -> None:
    for dtype in (np.uint8, np.int8, np.int64, bool):
        n = np.array([0, 1, 1]).astype(dtype)
        ad.check_grads(lambda x, n=n: (x - n) ** n * n + n * x - n, np.array([2.0, 3.0, 4.0]))


def test_a_constant_array_is_held_by_reference() -> None:
    a = np.array([1.0, 2.0])
    c = ad.constant(a)
    assert np.shares_memory(c.data, a)
    assert a.flags.writeable
    assert not c.active


def test_an_array_operand_stays_the_caller_s_to_write() -> None:
    a, t = np.ones((2, 2)), ad.Tensor(np.ones((2, 2)))
    _ = (t + a, a @ t, ad.stop_gradient(a), ad.where(a > 0, t, a), ad.constant(a).reshape(4), ad.constant(a).T)
    a[0, 0] = 5.0


def test_float32_meets_plain_numbers_and_float64() -> None:
    t = ad.Tensor(np.ones(2, np.float32))
    for number in (2, 2.0, np.float64(2.0), np.int64(2), np.array(2.0)):
        for op in (operator.add, operator.mul, operator.sub, operator.truediv, operator.pow):
            assert op(t, number).dtype == np.float32
            assert op(number, t).dtype == np.float32
    wide = t * np.ones(2)
    assert wide.dtype == np.float64
    wide.sum().backward()
    assert t.grad.dtype == np.float32
    assert t.astype(np.float64).dtype == np.float64


def test_results_and_recorded_data_are_read_only() -> None:
    p = ad.Tensor([1.0, 2.0])
    for data in (p.data, (p * 2).data, p.reshape(2, 1).data):
        with pytest.raises(ad.ReadOnly, match=r"p\.data = new"):
            data[0] = 5.0
        with pytest.raises(ValueError, match="read-only"):
            data.sort()
        with pytest.raises(ValueError, match="read-only"):
            np.copyto(data, 0.0)
    assert p.data.tolist() == [1.0, 2.0]


def test_data_minus_equals_works_and_leaves_older_numbers_alone() -> None:
    p = ad.Tensor([1.0, 2.0])
    z = p.reshape(2)
    old = p.data
    (p * p).sum().backward()
    p.data -= 0.5 * p.grad
    assert p.data.tolist() == [0.0, 0.0]
    assert old.tolist() == z.data.tolist() == [1.0, 2.0]
    for op, want in ((operator.iadd, 2.0), (operator.imul, 4.0), (operator.itruediv, 2.0), (operator.ipow, 4.0)):
        p.data = op(p.data, 2.0)
        assert p.data[0] == want


def test_assigned_data_is_copied_and_keeps_shape_and_dtype() -> None:
    p, new = ad.Tensor(np.ones(2, np.float32)), np.array([3.0, 4.0])
    p.data = new
    new[0] = 9.0
    assert p.data.tolist() == [3.0, 4.0]
    assert p.dtype == np.float32
    with pytest.raises(ad.ShapeMismatch, match=r"\(2,\)"):
        p.data = np.ones(3)
    with pytest.raises(ad.ReadOnly, match="add"):
        (p + 1).data = new


@pytest.mark.parametrize(
    "make", [np.zeros_like, np.empty_like, np.copy, lambda d: d.copy(), np.ones_like, np.array, lambda d: d.astype("f4")]
)
def test_arrays_made_from_data_are_ordinary_arrays(make: Any) -> None:
    """`v = np.zeros_like(p.data)` is every hand-written optimizer's first line; `v *= 0.9` must change v itself."""
    fresh = make(ad.Tensor([1.0, 2.0]).data)
    fresh[...] = 1.0
    same = fresh
    same += 1
    same *= 3
    same -= 1
    same /= 5
    assert fresh.tolist() == [1.0, 1.0]
    assert same is fresh


def test_momentum_by_hand_updates_its_buffers() -> None:
    params = [ad.Tensor([1.0, 2.0])]
    velocity = [np.zeros_like(p.data) for p in params]
    for _ in range(2):
        for p, v in zip(params, velocity, strict=True):
            p.grad = None
            (p * p).sum().backward()
            v *= 0.5
            v += p.grad
            p.data -= 0.1 * v
    x, v = np.array([1.0, 2.0]), np.zeros(2)
    for _ in range(2):
        v = 0.5 * v + 2 * x
        x = x - 0.1 * v
    np.testing.assert_allclose(velocity[0], v)
    np.testing.assert_allclose(params[0].data, x)


def test_what_is_computed_from_data_is_plain() -> None:
    d = ad.Tensor([[1.0, 2.0]]).data
    for made in (d * 2, np.exp(d), d @ d.T, d + d):
        assert type(made) is np.ndarray
        made[...] = 0.0
    assert type(d.sum()) is np.float64


# ---------------------------------------------------------------- operators and protocols

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize(
    "other",
    [2, 2.0, np.float64(2), np.float32(2), np.int64(2), np.array(2.0), [2.0, 3.0], np.array([2.0, 3.0]), np.array([2, 3])],
    ids=repr,
)
def test_operators_with_plain_operands_on_either_side(op: Any, other: Any) -> None:
    x = np.array([[1.5, 2.5], [0.5, 3.0]])
    plain = np.array(other, float)
    for f in (lambda t: op(t, other), lambda t: op(other, t)):
        z = f(ad.Tensor(x))
        assert type(z) is ad.Tensor
        ad.check_grads(f, x)
    np.testing.assert_allclose(op(ad.Tensor(x), other).data, op(x, plain), rtol=1e-14)
    np.testing.assert_allclose(op(other, ad.Tensor(x)).data, op(plain, x), rtol=1e-14)


def test_matrix_products_on_either_side() -> None:
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), ad.Tensor([[1.0], [2.0]])
    assert (a @ b).data.tolist() == [[5.0], [11.0]]
    assert (b.T @ a).data.tolist() == [[7.0, 10.0]]
    (a @ b).sum().backward()
    assert b.grad.tolist() == [[4.0], [6.0]]
    assert (np.dot(a, b)).op.name == "dot"
    assert (a.tolist() @ b).data.tolist() == [[5.0], [11.0]]


def test_division_by_a_plain_zero_is_ieee() -> None:
    t = ad.Tensor([1.0, -1.0])
    with np.errstate(all="ignore"):
        for zero in (0, 0.0, np.float64(0.0)):
            z = t / zero
            assert z.data.tolist() == [np.inf, -np.inf]
            assert ad.gradient(z.sum(), t).tolist() == [np.inf, np.inf]


def test_divide_by_zero_of_single_numbers() -> None:
    t = ad.Tensor(1.0)
    with np.errstate(all="ignore"):
        for zero in (0, 0.0):
            (t / zero).backward()
    assert t.grad == np.inf


def test_numpy_functions_record() -> None:
    t = ad.Tensor([[1.0, 2.0], [3.0, 4.0]])
    cases = {
        "sum": np.sum(t, axis=0),
        "mean": np.mean(t, 1),
        "max": np.max(t, axis=1, keepdims=True),
        "where": np.where(t > 2, t, 0.0),
        "concatenate": np.concatenate([t, np.zeros((1, 2))]),
        "stack": np.stack((t, t), axis=1),
        "reshape": np.reshape(t, (4,)),
        "transpose": np.transpose(t),
        "broadcast_to": np.broadcast_to(t, (3, 2, 2)),
        "exp": np.exp(t),
        "maximum": np.maximum(0, t),
    }
    for name, z in cases.items():
        assert z.op.name == name
        assert np.array_equal(z.data, getattr(np, name)(*{
            "sum": (t.data, 0), "mean": (t.data, 1), "max": (t.data, 1, None, True), "where": (t.data > 2, t.data, 0.0),
            "concatenate": ([t.data, np.zeros((1, 2))],), "stack": ((t.data, t.data), 1), "reshape": (t.data, (4,)),
            "transpose": (t.data,), "broadcast_to": (t.data, (3, 2, 2)), "exp": (t.data,), "maximum": (0, t.data),
        }[name]))  # fmt: skip


def test_questions_give_plain_answers() -> None:
    t = ad.Tensor([[1.0, np.nan], [3.0, 4.0]])
    assert np.isnan(t).tolist() == [[False, True], [False, False]]
    assert (np.shape(t), np.ndim(t), np.size(t)) == ((2, 2), 2, 4)
    assert np.argmax(t[1]) == t[1].argmax() == 1
    assert type(np.zeros_like(t)) is np.ndarray
    assert np.zeros_like(ad.Tensor(np.ones(2, np.float32))).dtype == np.float32
    assert np.array_equal(t[1], [3.0, 4.0])
    assert np.allclose(t[1], [3.0, 4.0])
    assert np.any(t[1] > 3)


def test_comparisons_give_plain_arrays() -> None:
    t, u = ad.Tensor([1.0, 2.0]), ad.Tensor([2.0, 2.0])
    for op in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        for other in (u, u.data, 2, 2.0, np.float64(2)):
            for a, b in ((t, other), (other, t)):
                got = op(a, b)
                assert not isinstance(got, ad.Tensor)
                assert np.array_equal(got, op(np.asarray(getattr(a, "data", a)), np.asarray(getattr(b, "data", b))))
    assert hash(t) == hash(t)
    assert len({t, u}) == 2


NOT_RECORDED = {
    "np.median": lambda t: np.median(t),
    "np.linalg.qr": lambda t: np.linalg.qr(t),
    "np.heaviside": lambda t: np.heaviside(t, 0.5),
    "np.ravel in another order": lambda t: np.ravel(t, order="F"),
    "t.ravel in another order": lambda t: t.ravel(order="F"),
    "np.var with where": lambda t: np.var(t, where=np.array([True, False])),
    "np.norm of order 0": lambda t: np.linalg.norm(t, ord=0),
    "np.pad by a mode without a rule": lambda t: np.pad(t, 1, mode="mean"),
    "np.take into an array": lambda t: np.take(t, [0], out=np.zeros(1)),
    "np.linalg.svd, full": lambda t: np.linalg.svd(ad.Tensor(np.ones((2, 3)))),
    "np.add.reduce": lambda t: np.add.reduce(t),
    "np.multiply.outer": lambda t: np.multiply.outer(t, t),
    "np.sum with where": lambda t: np.sum(t, where=np.array([True, False])),
    "np.sum with dtype": lambda t: np.sum(t, dtype=np.float32),
    "np.sum with initial": lambda t: np.sum(t, initial=1.0),
    "np.max with initial": lambda t: np.max(t, initial=9.0),
    "np.exp with where": lambda t: np.exp(t, where=np.array([True, False])),
    "np.add with dtype": lambda t: np.add(t, 1, dtype=np.float32),
    "np.reshape in another order": lambda t: np.reshape(t, (2, 1), order="F"),
    "array += t": lambda t: operator.iadd(np.zeros(2), t),
    "out=": lambda t: np.add(t, 1.0, out=np.zeros(2)),
    "t // 2": lambda t: t // 2,
    "2 // t": lambda t: 2 // t,
    "np.ones(2) // t": lambda t: np.ones(2) // t,
    "t[0] = 1": lambda t: operator.setitem(t, 0, 1.0),
}


@pytest.mark.parametrize("name", NOT_RECORDED)
def test_what_has_no_rule_says_so(name: str) -> None:
    with pytest.raises(ad.NoRule):
        NOT_RECORDED[name](ad.Tensor([1.0, 2.0]))


def test_no_rule_names_the_nearest() -> None:
    with pytest.raises(ad.NoRule, match=r"np\.prod"):
        np.nanprod(ad.Tensor([1.0]))
    with pytest.raises(ad.NoRule, match=r"np\.cumsum"):
        np.nancumsum(ad.Tensor([1.0]))


DETACHES = {
    "np.asarray": lambda t: np.asarray(t),
    "np.array": lambda t: np.array([t, t]),
    "np.array of 0-d": lambda t: np.array([t[0], t[1]]),
    "array.dot": lambda t: np.ones((2, 2)).dot(t),
    "assignment into an array": lambda t: operator.setitem(np.zeros(2), slice(None), t),
    "np.sum of a list": lambda t: np.sum([t, t]),
    "Tensor of a list": lambda t: ad.Tensor([t, t]),
    "astype of a list": lambda t: np.float64(t),
}


@pytest.mark.parametrize("name", DETACHES)
def test_nothing_drops_the_graph_silently(name: str) -> None:
    with pytest.raises(ad.Detached, match=r"\.data"):
        DETACHES[name](ad.Tensor([1.0, 2.0], name="t"))


def test_writing_a_node_into_an_array_is_refused_inside_a_transform() -> None:
    def f(x: Any) -> Any:
        out = np.zeros(2)
        out[0] = x[0]
        return np.sum(out * x)

    with pytest.raises((ad.Detached, ValueError)):  # NumPy wraps ours
        ad.grad(f)(np.ones(2))


# ---------------------------------------------------------------- methods and manners


def test_methods_follow_ndarray() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    t = ad.Tensor(x)
    same = [
        (t.sum(), x.sum()),
        (t.sum(axis=(0, 2)), x.sum(axis=(0, 2))),
        (t.sum(0, True), x.sum(0, keepdims=True)),
        (t.mean(axis=-1), x.mean(axis=-1)),
        (t.max(axis=1), x.max(axis=1)),
        (t.min(), x.min()),
        (t.reshape(4, -1), x.reshape(4, -1)),
        (t.reshape((6, 4)), x.reshape(6, 4)),
        (t.transpose(), x.transpose()),
        (t.transpose(1, 0, 2), x.transpose(1, 0, 2)),
        (t.transpose((2, 0, 1)), x.transpose(2, 0, 1)),
        (t.transpose(-1, 0, 1), x.transpose(-1, 0, 1)),
        (t.T, x.T),
        (t.copy(), x),
        (t.tanh(), np.tanh(x)),
        (t.exp(), np.exp(x)),
    ]
    for got, want in same:
        assert got.shape == want.shape
        np.testing.assert_array_equal(got.data, want)
    assert (t.shape, t.ndim, t.size, t.dtype, len(t)) == (x.shape, 3, 24, x.dtype, 2)
    assert t.tolist() == x.tolist()
    assert t.softmax(axis=0).op.name == "softmax"


@pytest.mark.parametrize("axes", [(0,), ((),), (0, 1), (0, 0, 1), (0, 1, 3)])
def test_wrong_axes_of_a_transpose_raise_as_in_numpy(axes: Any) -> None:
    x = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r"axes|axis"):
        x.transpose(*axes)
    with pytest.raises(ad.ShapeMismatch):
        ad.Tensor(x).transpose(*axes)


@pytest.mark.parametrize(("shape", "to"), [((1, 3), (3,)), ((2, 3), (3,)), ((3,), (2, 4)), ((1, 1), ())])
def test_broadcasting_never_drops_axes(shape: Any, to: Any) -> None:
    with pytest.raises(ValueError, match=r"broadcast|dimensions"):
        np.broadcast_to(np.zeros(shape), to)
    with pytest.raises(ad.ShapeMismatch):
        np.broadcast_to(ad.Tensor(np.zeros(shape)), to)


def test_a_transpose_of_one_axis_given_as_a_number() -> None:
    assert ad.grad(lambda x: np.sum(np.transpose(x, 0) * np.arange(3.0)))(np.ones(3)).tolist() == [0.0, 1.0, 2.0]


def test_iteration_and_unpacking_keep_the_graph() -> None:
    t = ad.Tensor([[1.0, 2.0], [3.0, 4.0]])
    a, b = t
    (a * 2 + b * 3).sum().backward()
    assert t.grad.tolist() == [[2.0, 2.0], [3.0, 3.0]]
    assert [row.shape for row in t] == [(2,), (2,)]
    with pytest.raises(TypeError, match="one number"):
        iter(ad.Tensor(1.0))
    with pytest.raises(IndexError):
        t[5]


def test_an_index_array_may_be_changed_afterwards() -> None:
    t, index = ad.Tensor([1.0, 2.0, 3.0]), np.array([0, 0])
    z = t[index].sum()
    index[...] = 2
    z.backward()
    assert t.grad.tolist() == [2.0, 0.0, 0.0]


def test_a_node_is_no_index() -> None:
    t = ad.Tensor([1.0, 2.0])
    with pytest.raises(ad.BadOperand, match="index"):
        t[ad.Tensor(0.0)]
    assert t[t > 1].data.tolist() == [2.0]


def test_single_numbers() -> None:
    t = ad.Tensor(2.5)
    assert (float(t), int(t), bool(t), t.item(), f"{t:.1f}") == (2.5, 2, True, 2.5, "2.5")
    one = ad.Tensor([[2.5]])
    assert (one.item(), f"{one:.2f}") == (2.5, "2.50")
    assert float(one) == 2.5
    with pytest.raises((TypeError, ValueError)):
        float(ad.Tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(ad.Tensor([1.0, 2.0]))
    assert f"{ad.Tensor([1.0])}" == "Tensor([1.])"


def test_repr() -> None:
    t = ad.Tensor([1.0, 2.0], name="w")
    assert repr(t) == "Tensor([1., 2.], name='w')"
    assert repr(t * 2) == "Tensor([2., 4.], op='mul')"
    assert repr(ad.constant(np.ones(1, np.float32))) == "constant([1.], dtype=float32)"


def test_augmented_assignment_rebinds() -> None:
    a = b = ad.Tensor([2.0])
    a += 1
    a *= b
    assert b.data.tolist() == [2.0]
    a.sum().backward()
    assert b.grad.tolist() == [5.0]


def test_detach_stop_gradient_and_copy() -> None:
    t = ad.Tensor([2.0], name="t")
    (t * t.detach() + ad.stop_gradient(t) * 5 + t.copy()).sum().backward()
    assert t.grad.tolist() == [3.0]
    assert t.detach().name == "t"
    assert not t.detach().active


@pytest.mark.parametrize("bad", ["a", b"a", None, 1j, np.array([1j]), np.array(["a"]), np.array([None])], ids=repr)
def test_what_a_tensor_cannot_be_combined_with(bad: Any) -> None:
    with pytest.raises(TypeError):
        ad.Tensor([1.0]) + bad
    with pytest.raises(TypeError):
        bad + ad.Tensor([1.0])


def test_shapes_that_do_not_fit_raise_as_in_numpy() -> None:
    a, b = ad.Tensor(np.zeros((2, 3))), ad.Tensor(np.zeros((2, 4)))
    for f in (
        lambda: a + b,
        lambda: a @ b,
        lambda: ad.concatenate([a, b]),
        lambda: ad.stack([a, b]),
        lambda: a.reshape(5),
        lambda: np.dot(a, b),
    ):
        with pytest.raises(ad.ShapeMismatch):
            f()
        with pytest.raises(ValueError, match=r"shape|align|dimension|size"):
            f()
