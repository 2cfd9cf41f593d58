"""Every op of the table, on every call its sampler makes: values, both modes, recorded, both faces, both dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.containers import leaves, map_leaves
from autodiff.ops import Op
from tests.cases import (
    BUILT_IN,
    COMPOSED,
    Args,
    Kw,
    caller,
    close,
    declared,
    every_call,
    every_case,
    every_composed_call,
    every_op,
    is_moving,
    moving,
    operands,
    packed,
    tensors,
    ulps_apart,
    variables,
    weighted,
)

# ---------------------------------------------------------------- derivatives


@every_call
def test_both_modes_agree_with_differences_to_order_2(op: Any, args: Args, kw: Kw) -> None:
    ad.check_grads(caller(op, kw), *args, order=2)


@pytest.mark.slow
@every_call
def test_both_modes_agree_with_differences_to_order_3(op: Any, args: Args, kw: Kw) -> None:
    ad.check_grads(caller(op, kw), *args, order=3)


@every_case
def test_vjp_and_jvp_are_dual(op: Op, args: Args, kw: Kw) -> None:
    xs, rng = operands(op, args), np.random.default_rng(1)
    z = np.asarray(op.forward(*xs, **kw))
    g = rng.normal(size=z.shape)
    for subset in [[i] for i in moving(xs)] + [moving(xs)]:
        ts = [rng.normal(size=np.shape(x)) if i in subset else None for i, x in enumerate(xs)]
        tangent = op.jvp(ts, z, *xs, **kw)
        left = 0.0 if tangent is None else np.sum(g * tangent)
        terms = [op.vjp(i, g, z, *xs, **kw) * ts[i] for i in subset if op.vjp(i, g, z, *xs, **kw) is not None]
        right = sum(np.sum(t) for t in terms)
        size = sum(np.sum(np.abs(t)) for t in terms)
        assert abs(left - right) <= 1e-12 * size


@every_case
def test_jvp_agrees_with_the_complex_step(op: Op, args: Args, kw: Kw) -> None:
    if not op.analytic:
        pytest.skip(f"{op.name} cannot run on complex numbers")
    xs, rng, h = operands(op, args), np.random.default_rng(2), 1e-30
    ts = [rng.normal(size=np.shape(x)) for x in xs]
    z = np.asarray(op.forward(*xs, **kw))
    step = np.imag(op.forward(*(x + 1j * h * t for x, t in zip(xs, ts, strict=True)), **kw)) / h
    close(op.jvp(ts, z, *xs, **kw), step)


@every_call
def test_recorded_gradient_equals_the_plain_one(op: Any, args: Args, kw: Kw) -> None:
    made, xs = variables(args)
    E = weighted(op(*made, **kw))
    for plain, recorded in zip(ad.gradient(E, xs), ad.gradient(E, xs, record=True), strict=True):
        assert isinstance(recorded, ad.Tensor)
        close(recorded.data, plain, 1e-14)


@every_call
def test_backward_transforms_and_gradient_are_the_same_numbers(op: Any, args: Args, kw: Kw) -> None:
    made, xs = variables(args)
    E = weighted(op(*made, **kw))
    E.backward()
    by_transform = ad.grad(lambda args: weighted(op(*args, **kw)))(args)
    flat = [g for _, g in leaves(by_transform) if g is not None]
    for leaf, got, transformed in zip(xs, ad.gradient(E, xs), flat, strict=True):
        assert leaf.grad.shape == leaf.shape
        assert np.array_equal(leaf.grad, got)
        assert np.array_equal(leaf.grad, transformed)


# ---------------------------------------------------------------- values


@every_case
def test_a_node_has_the_forward_s_value(op: Op, args: Args, kw: Kw) -> None:
    z = op(*packed(op, tensors(op, args)), **kw)
    assert z.op is op
    assert np.array_equal(z.data, op.forward(*operands(op, args), **kw))


SCALAR = [op for op in BUILT_IN if op.scalar is not None and op.kind == "elementwise"]


@pytest.mark.parametrize("op", SCALAR, ids=lambda op: op.name)
def test_value_equals_tensor_equals_numpy(op: Op) -> None:
    rng = np.random.default_rng(5)
    for args, _ in op.sample(rng):
        for xs in np.broadcast(*args) if len(args) > 1 else ((x,) for x in args[0].flat):
            numbers = [float(x) for x in xs]
            vs, ts = [ad.Value(x) for x in numbers], [ad.Tensor(x) for x in numbers]
            method = getattr(ad.Value, op.name, None)
            v = method(*vs) if method is not None else op(*vs)
            t = op(*ts)
            assert type(v) is ad.Value
            assert type(v.data) is float
            assert ulps_apart(v.data, float(op.forward(*map(np.float64, numbers)))) <= 4
            assert ulps_apart(v.data, t.item()) <= 4
            v.backward()
            t.backward()
            for a, b in zip(vs, ts, strict=True):
                assert type(a.grad) is float
                assert a.grad == pytest.approx(b.grad.item(), rel=4e-15, abs=4e-16)


@every_call
def test_float32_stays_float32(op: Any, args: Args, kw: Kw) -> None:
    (small, xs), (big, ys) = variables(args, np.float32), variables(args)
    z, wide = op(*small, **kw), op(*big, **kw)
    for (_, a), (_, b) in zip(leaves(z), leaves(wide), strict=True):
        assert a.dtype == kw.get("dtype", np.float32)
        close(a.data, b.data, 2e-6)
    weighted(z).backward()
    weighted(wide).backward()
    for x, y in zip(xs, ys, strict=True):
        assert x.grad.dtype == np.float32
        close(x.grad, y.grad, 2e-5)
    plain = map_leaves(lambda x: np.asarray(x, np.float32) if is_moving(x) else x, args)
    tangents = map_leaves(lambda x: np.ones_like(x) if is_moving(x) else None, plain)
    moved = ad.jvp(lambda args: op(*args, **kw), (plain,), (tangents,))[1]
    for (_, t), (_, a) in zip(leaves(moved), leaves(z), strict=True):
        assert np.asarray(t).dtype == a.dtype or np.shape(t) == ()


def _scattered(x: Any) -> Any:
    """The same array with its axes in reverse order in memory and gaps between the entries."""
    x = np.asarray(x)
    wide = np.zeros((*x.shape[::-1], 2), x.dtype)
    view = wide[..., 0].T
    view[...] = x
    return view


@every_case
def test_where_operands_lie_in_memory_does_not_matter(op: Op, args: Args, kw: Kw) -> None:
    xs, rng = operands(op, args), np.random.default_rng(4)
    z = np.asarray(op.forward(*xs, **kw))
    g, ts = rng.normal(size=z.shape), [rng.normal(size=np.shape(x)) for x in xs]
    far = [_scattered(x) for x in xs]
    close(op.forward(*far, **kw), z, 1e-14)
    for i in moving(xs):
        want = op.vjp(i, g, z, *xs, **kw)
        if want is not None:
            close(op.vjp(i, _scattered(g), _scattered(z), *far, **kw), want, 1e-14)
    tangents = [t if i in moving(xs) else None for i, t in enumerate(ts)]
    want = op.jvp(tangents, z, *xs, **kw)
    if want is not None:
        close(op.jvp([t if t is None else _scattered(t) for t in tangents], _scattered(z), *far, **kw), want, 1e-14)


def by_numpy(op: Any, function: Any, args: Args, kw: Kw) -> Any:
    """The call as NumPy writes it."""
    return function(kw["subscripts"], *args[0]) if op.name == "einsum" else function(*args, **kw)


@every_call
def test_numpy_s_own_functions_record_the_op(op: Any, args: Args, kw: Kw) -> None:
    for function in op.numpy:
        made, xs = variables(args)
        z = by_numpy(op, function, made, kw)
        same, ys = variables(args)
        plain = op(*same, **kw)
        want = by_numpy(op, function, args, kw)
        for (_, a), (_, b), (_, c) in zip(leaves(z), leaves(plain), leaves(want), strict=True):
            assert op.kind == "composed" or a.op is op
            assert np.array_equal(a.data, b.data)
            close(a.data, c, 1e-13)  # NumPy's own number
        assert type(z) is type(plain)
        for got, expected in zip(ad.gradient(weighted(z), xs), ad.gradient(weighted(plain), ys), strict=True):
            assert np.array_equal(got, expected)


@every_composed_call
def test_methods_are_the_functions(op: Any, args: Args, kw: Kw) -> None:
    if not hasattr(ad.Tensor, op.name) or isinstance(args[0], list):
        pytest.skip(f"{op.name} is no method")
    made, _ = variables(args)
    z, want = getattr(made[0], op.name)(*made[1:], **kw), op(*made, **kw)
    for (_, a), (_, b) in zip(leaves(z), leaves(want), strict=True):
        assert np.array_equal(a.data, b.data)


def test_tensors_have_the_methods_of_arrays() -> None:
    """What ndarray has and Tensor lacks is in-place, complex, about memory, or bytes."""
    missing = {name for name in dir(np.ndarray) if not name.startswith("_") and not hasattr(ad.Tensor, name)}
    assert missing == MISSING


MISSING = {
    *("fill", "put", "resize", "setfield", "setflags", "byteswap"),
    *(
        "base",
        "ctypes",
        "device",
        "dump",
        "dumps",
        "flags",
        "flat",
        "getfield",
        "itemsize",
        "nbytes",
        "strides",
        "to_device",
        "tobytes",
        "tofile",
        "view",
    ),
    *(
        "choose",
        "compress",
        "conj",
        "conjugate",
        "imag",
        "real",
        "round",
    ),
}


@every_case
def test_rules_write_into_nothing_they_are_given(op: Op, args: Args, kw: Kw) -> None:
    def frozen(x: Any) -> Any:
        x = np.array(x)
        x.flags.writeable = False
        return x

    xs = [frozen(x) for x in operands(op, args)]
    z = frozen(op.forward(*xs, **kw))
    g, ts = frozen(np.ones(z.shape)), [frozen(np.ones(x.shape)) for x in xs]
    before = [x.copy() for x in (*xs, z, g, *ts)]
    for i in moving(tuple(xs)):
        op.vjp(i, g, z, *xs, **kw)
    op.jvp([t if i in moving(tuple(xs)) else None for i, t in enumerate(ts)], z, *xs, **kw)
    assert all(np.array_equal(a, b) for a, b in zip(before, (*xs, z, g, *ts), strict=True))


# Calls as people write them, of an array or a Tensor of shape (3, 4): by position, by keyword, as a method.
SPELLINGS: dict[str, Any] = {
    name: eval(f"lambda x: {name}", {"np": np})
    for name in (
        *(
            "np.sum(x, 0)",
            "np.sum(a=x, axis=1)",
            "np.mean(x, (0, 1))",
            "np.max(x, 1, None, True)",
            "np.min(x, axis=-1, out=None)",
            "np.amax(x, 0)",
        ),
        *(
            "np.std(x, 0, None, None, 1)",
            "np.var(x, axis=(0, 1), ddof=2, dtype=None)",
            "np.std(x, keepdims=True)",
            "np.prod(x, -1)",
            "np.prod(x, (0, 1))",
        ),
        *("np.cumsum(x)", "np.cumsum(x, 1)", "np.cumprod(x, axis=None)", "np.sort(x, 0)", "np.sort(x, None)", "np.sort(x, kind='stable')"),
        *(
            "np.clip(x, None, 0.5)",
            "np.clip(x, 0, None)",
            "np.clip(x, -0.1, 0.1)",
            "np.clip(x, a_min=0, a_max=1, out=None)",
            "np.clip(x, min=0.2)",
        ),
        *("np.take(x, 1)", "np.take(x, [[0, 1], [2, 2]], 0)", "np.squeeze(x[None], 0)", "np.expand_dims(x, (0, 2))", "np.trace(x, 1)"),
        *(
            "np.roll(x, 1, 0)",
            "np.roll(x, (1, 2), (0, 1))",
            "np.flip(x, (0, 1))",
            "np.rot90(x, -1, (1, 0))",
            "np.tile(x, 2)",
            "np.repeat(x, [1, 2, 0], 0)",
        ),
        *(
            "np.pad(x, 1)",
            "np.pad(x, ((1, 2), (0, 1)), 'edge')",
            "np.pad(x, 2, mode='wrap')",
            "np.pad(x, 1, constant_values=(1, 2))",
            "np.tril(x, -1)",
        ),
        *(
            "np.diff(x, 2)",
            "np.diff(x, n=1, axis=0)",
            "np.split(x, 2, 1)[1]",
            "np.array_split(x, 3, axis=1)[0]",
            "np.vsplit(x, [1])[1]",
            "np.gradient(x, 0.5)[1]",
        ),
        *(
            "np.moveaxis(x, 0, 1)",
            "np.swapaxes(x, 0, -1)",
            "np.transpose(x, (1, 0))",
            "np.atleast_3d(x)",
            "np.ravel(x, order='C')",
            "np.reshape(x, -1)",
        ),
        *(
            "np.tensordot(x, x, ([0, 1], [0, 1]))",
            "np.tensordot(x, x.T, 1)",
            "np.tensordot(x, x, axes=0)",
            "np.inner(x, x)",
            "np.vdot(x, x)",
            "np.kron(x, x)",
        ),
        *(
            "np.einsum('ij,ij', x, x, optimize=True)",
            "np.einsum('...j->...', x)",
            "np.einsum(x, [0, 1], x, [2, 1])",
            "np.cross(x[:, :3], x[:, 1:])",
        ),
        *(
            "np.linalg.norm(x, None, 1)",
            "np.linalg.norm(x, 1)",
            "np.linalg.norm(x, axis=(0, 1), ord='nuc')",
            "np.linalg.norm(x, 2, keepdims=True)",
        ),
        *(
            "np.linalg.svd(x, False)[1]",
            "np.linalg.svd(x, compute_uv=False)",
            "np.linalg.eigh(x @ x.T, UPLO='U').eigenvalues",
            "np.linalg.slogdet(x @ x.T)[1]",
        ),
        *(
            "np.vstack([x, x[0]])",
            "np.hstack((x, x))",
            "np.dstack([x, x])",
            "np.column_stack([x, x[:, 0]])",
            "np.append(x, x[:1], 0)",
            "np.concatenate([x, x], None)",
        ),
        *(
            "np.linspace(x, 1.0, 3)",
            "np.linspace(0, x[0], 4, axis=1)",
            "np.select([np.full((3, 4), True)], [x])",
            "np.broadcast_arrays(x, x[0])[1]",
        ),
        *(
            "np.diag(x)",
            "np.diag(x, -1)",
            "np.diag(x[0], 2)",
            "np.diagonal(x, 1)",
            "np.stack([x, x], -1)",
            "np.delete(x, 1, 1)",
            "np.partition(x, 2)",
        ),
        *(
            "x.std(0)",
            "x.std(axis=1, ddof=1)",
            "x.var(ddof=1)",
            "x.prod(0)",
            "x.cumsum(0)",
            "x.cumprod()",
            "x.clip(0, 1)",
            "x.clip(max=0.3)",
        ),
        *(
            "x.ravel()",
            "x.flatten()",
            "x[None].squeeze()",
            "x.swapaxes(0, 1)",
            "x.repeat(2, 0)",
            "x.take([0, 1], 1)",
            "x.trace(1)",
            "x.diagonal(-1)",
        ),
        *(
            "x.dot(x.T)",
            "x.sum(0)",
            "x.mean(keepdims=True)",
            "x.max(1)",
            "x.reshape(4, 3)",
            "x.reshape((2, 6))",
            "x.transpose(1, 0)",
            "x.copy()",
            "x.T",
        ),
        *(
            "x % 0.7",
            "-7 % (x * x + 1)",
            "abs(x)",
            "+x",
            "x[..., None] * x[0]",
            "2.0**x",
            "np.arctan2(x, 2)",
            "np.hypot(3, x)",
            "np.logaddexp(x, 0)",
        ),
    )
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_calls_as_people_write_them(name: str) -> None:
    f = SPELLINGS[name]
    x = np.random.default_rng(2).normal(size=(3, 4))
    z = f(ad.Tensor(x))
    close(z.data, f(x), 1e-13)
    ad.check_grads(f, x, order=1)


def test_the_sort_method_returns_what_it_sorted() -> None:
    t = ad.Tensor([3.0, 1.0, 2.0])
    assert t.sort().data.tolist() == [1.0, 2.0, 3.0]
    assert t.data.tolist() == [3.0, 1.0, 2.0]


# ---------------------------------------------------------------- the records


def test_every_composition_has_a_sample_and_a_sentence() -> None:
    for f in COMPOSED:
        assert f.sample(np.random.default_rng(0))
        assert f.__doc__
        assert all(ops.BY_NUMPY[function] is f for function in f.numpy)
        assert f.name not in ops.TABLE or ops.TABLE[f.name].numpy == ()


@every_op
def test_every_field_holds_something(op: Op) -> None:
    assert ops.TABLE[op.name] is op
    assert op.kind in ("elementwise", "linear", "bilinear", "general")
    assert op.symbol.strip()
    assert op.sample(np.random.default_rng(0))
    assert (op.partials != ()) == (op.kind == "elementwise")
    assert (op.form is not None) == (op.kind == "bilinear")
    assert op.kind != "elementwise" or len(op.partials) == op.arity
    assert all(set(kw) <= set(op.statics) for _, kw in op.sample(np.random.default_rng(0)))
    assert all(ops.BY_NUMPY[f] is op for f in op.numpy)
    assert repr(op) == f"<op {op.name}>"


def test_no_two_ops_claim_one_name_or_one_numpy_function() -> None:
    assert len({op.name for op in BUILT_IN}) == len(BUILT_IN)
    claimed = [f for op in BUILT_IN for f in op.numpy]
    assert len(set(claimed)) == len(claimed)


@pytest.mark.parametrize("name", ["sum", "exp", "reshape"])
def test_a_built_in_op_is_not_replaced_by_declaring_another_of_its_name(name: str) -> None:
    with declared(), pytest.raises((ad.AutodiffError, ValueError), match=name):
        ad.elementwise(name, np.positive, 7.0)


@pytest.mark.parametrize("op", [op for op in BUILT_IN if op.monotone], ids=lambda op: op.name)
def test_a_monotone_op_has_no_negative_derivative(op: Op) -> None:
    for args, kw in op.sample(np.random.default_rng(11)):
        xs = operands(op, args)
        z = np.asarray(op.forward(*xs, **kw))
        for i in moving(xs):
            for k in range(z.size):
                g = np.zeros(z.shape)
                g.flat[k] = 1.0
                d = op.vjp(i, g, z, *xs, **kw)
                assert d is None or np.all(np.asarray(d) >= 0)


# ---------------------------------------------------------------- ranks and empty arrays

RANKS = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (1, 3, 4)),
    ((6, 5, 2, 3), (3, 4)),
    ((2, 3), (6, 5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((6, 5, 2, 3), (3,)),
    ((2, 0), (0, 3)),
    ((0, 2), (2, 3)),
]


@pytest.mark.parametrize(("a", "b"), RANKS)
def test_matmul_of_all_ranks(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a), rng.normal(size=b)
    close(ad.matmul(ad.Tensor(x), ad.Tensor(y)).data, x @ y)
    ad.check_grads(np.matmul, x, y)


@pytest.mark.parametrize("a", [(), (3,), (2, 3), (4, 2, 3)])
@pytest.mark.parametrize("b", [(), (3,), (3, 2), (2, 3, 2)])
def test_dot_of_all_ranks(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a), rng.normal(size=b)
    close(np.dot(ad.Tensor(x), ad.Tensor(y)).data, np.dot(x, y))
    ad.check_grads(lambda x, y: np.dot(x, y), x, y)


EMPTY = {
    "sum": (lambda x: x.sum(axis=0), (0, 3)),
    "mean over the full axis": (lambda x: x.mean(axis=1), (0, 3)),
    "max over the full axis": (lambda x: x.max(axis=1), (0, 3)),
    "softmax": (lambda x: ad.softmax(x, axis=1), (0, 3)),
    "log_softmax": (lambda x: ad.log_softmax(x, axis=1), (0, 3)),
    "logsumexp": (lambda x: ad.logsumexp(x, axis=1), (0, 3)),
    "reshape": (lambda x: x.reshape(3, 0), (0, 3)),
    "transpose": (lambda x: x.T, (0, 3)),
    "index": (lambda x: x[2:1], (4,)),
    "no indices": (lambda x: x[np.array([], int)], (4,)),
    "concatenate": (lambda x: ad.concatenate([x, np.ones((2, 3))]), (0, 3)),
    "stack": (lambda x: ad.stack([x, x]), (0, 3)),
    "matmul": (lambda x: x @ np.ones((3, 2)), (0, 3)),
    "inner axis": (lambda x: x.T @ np.ones((0, 2)), (0, 3)),
    "broadcast": (lambda x: x + np.ones((4, 0, 3)), (0, 3)),
    "where": (lambda x: np.where(x > 0, x, 0.0), (0, 3)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_arrays_pass(name: str) -> None:
    f, shape = EMPTY[name]
    x = ad.Tensor(np.ones(shape))
    np.sum(f(x)).backward()
    assert x.grad.shape == shape
    assert ad.jvp(f, (np.ones(shape),), (np.ones(shape),), allow_unused=True)[1].shape == f(x).shape


INDICES = {
    "int": 1,
    "negative": -1,
    "np.int64": np.int64(2),
    "slice": slice(0, 3, 2),
    "backwards": slice(None, None, -1),
    "list with repeats": [0, 0, 2],
    "array with repeats": np.array([2, 2]),
    "0-d array": np.array(1),
    "two arrays": (np.array([0, 0]), np.array([1, 1])),
    "lists in a tuple": ([0, 0], [1, 1]),
    "tuple in a tuple": ((0, 0), slice(None)),
    "tuple in a tuple, last": (slice(None), (1, 1)),
    "mixed": (slice(None), [1, 1, 0]),
    "newaxis": (None, Ellipsis, 0),
    "mask": np.eye(3, 4, dtype=bool),
    "mask of rows": np.array([True, False, True]),
    "list mask": [True, False, True],
    "True": True,
    "2-d array": np.array([[0, 1], [1, 1]]),
    "range": range(2),
    "empty tuple": (),
}


@pytest.mark.parametrize("name", INDICES)
def test_every_kind_of_index_has_its_gradient(name: str) -> None:
    index = INDICES[name]
    x = np.arange(12.0).reshape(3, 4)
    t = ad.Tensor(x)
    assert np.array_equal(t[index].data, x[index])
    ad.check_grads(lambda t: t[index] ** 2, x + 1.0)
    want = np.zeros((3, 4))
    np.add.at(want, index, 1.0)
    assert np.array_equal(ad.grad(lambda t: t[index].sum())(x), want)


def test_getitem_as_a_function_counts_a_list_s_repeats_too() -> None:
    assert ad.grad(lambda t: ops.getitem(t, [0, 0]).sum())(np.ones(3)).tolist() == [2.0, 0.0, 0.0]
