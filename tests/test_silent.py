"""Attempts to get a silently wrong number out of the engine: aliasing, views, writing in place, dtypes, mutable arguments, odd ops.

Each test is an attempt; most of those that once succeeded have their mending named in the test.
"""

from __future__ import annotations

from array import array
from collections import UserList, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from tests.cases import close, declared

T = ad.Tensor


# ---------------------------------------------------------------- writing into recorded numbers

WRITES: dict[str, Callable[[Any], Any]] = {
    "np.add.at": lambda d: np.add.at(d, [0], 1.0),  # NumPy itself does not look whether it may
    "np.subtract.at": lambda d: np.subtract.at(d, [0], 1.0),
    "out=": lambda d: np.multiply(d, 2.0, out=d),
    "out of another": lambda d: np.exp(np.zeros(2), out=d),
    "item": lambda d: d.__setitem__(0, 5.0),
    "transpose": lambda d: d.T.__setitem__(0, 5.0),
    "view": lambda d: d.view(np.ndarray).__setitem__(0, 5.0),
    "asarray": lambda d: np.asarray(d).__setitem__(0, 5.0),
    "flat": lambda d: d.flat.__setitem__(0, 5.0),
    "sort": lambda d: d.sort(),
    "fill": lambda d: d.fill(0.0),
    "copyto": lambda d: np.copyto(d, 0.0),
    "put": lambda d: np.put(d, 0, 5.0),
    "shuffle": lambda d: np.random.default_rng(0).shuffle(d),
    "writeable": lambda d: d.setflags(write=True),
    "memory": lambda d: memoryview(d).__setitem__(0, 5.0),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("of", [lambda x: x, lambda x: x * 1.0], ids=["leaf", "result"])
def test_recorded_numbers_are_not_written(name: str, of: Any) -> None:
    x = T([3.0, 1.0])
    y = of(x)
    E = np.sum(y * y)
    with pytest.raises((ad.ReadOnly, ValueError, TypeError)):
        WRITES[name](y.data)
    E.backward()
    assert y.data.tolist() == [3.0, 1.0]
    assert x.grad.tolist() == [6.0, 2.0]


@pytest.mark.parametrize("update", ["-=", "//=", "%=", "**=", "*="])
def test_updates_of_data_take_a_new_array(update: str) -> None:
    x = T([3.0, 1.0])
    old, want = x.data, np.array([3.0, 1.0])
    exec(f"x.data {update} 2.0; want {update} 2.0", {"x": x, "want": want})
    assert np.array_equal(x.data, want)
    assert old.tolist() == [3.0, 1.0]


def test_what_is_computed_from_data_is_an_ordinary_array() -> None:
    d = T([3.0, 1.0]).data
    for z in (d * 2, 2 - d, np.exp(d), np.add(d, d), d.sum(axis=0, keepdims=True), np.stack([d, d]), np.add.outer(d, d), -d):
        assert type(z) is np.ndarray
        assert z.flags.writeable
    assert isinstance(d.sum(), float)
    x = T([1.0, 2.0])
    y = d * x
    assert isinstance(y, T)
    assert ad.gradient(y.sum(), x).tolist() == [3.0, 1.0]


# ---------------------------------------------------------------- arguments that change later


def test_lists_and_arrays_given_as_static_arguments_are_kept_as_they_were() -> None:
    x, w = T(np.arange(8.0).reshape(2, 2, 2)), np.random.default_rng(0).normal(size=(2, 2, 2))
    for transposed in (lambda axes: x.transpose(axes), lambda axes: np.transpose(x, axes), lambda axes: ad.transpose(x, axes=axes)):
        axes = [1, 2, 0]
        E = np.sum(transposed(axes) * w)
        axes[:] = [0, 1, 2]
        close(ad.gradient(E, x), np.transpose(w, (2, 0, 1)))
    index = np.array([0, 0])
    E = np.sum(ad.ops.getitem(x, index) * w)
    index[:] = 1
    assert ad.gradient(E, x)[1].tolist() == [[0.0, 0.0], [0.0, 0.0]]


OTHER_SEQUENCES: dict[str, Callable[[list[int]], Any]] = {
    "array.array": lambda places: array("i", places),
    "deque": deque,
    "UserList": UserList,
    "memoryview": lambda places: memoryview(array("q", places)),
    "subclass": lambda places: np.array(places).view(type("Own", (np.ndarray,), {})),
    "foreign": lambda places: type("Foreign", (), {"__array__": lambda self, dtype=None, copy=None: np.array(places, dtype)})(),
    "tuple in a tuple": lambda places: (tuple(places),),
}


@pytest.mark.parametrize("picked", [lambda x, i: x[i], lambda x, i: ad.ops.getitem(x, i)], ids=["[]", "getitem"])
@pytest.mark.parametrize("kind", OTHER_SEQUENCES)
def test_an_entry_that_any_kind_of_index_picks_twice_counts_twice(kind: str, picked: Any) -> None:
    x = T(np.arange(4.0))
    E = np.sum(picked(x, OTHER_SEQUENCES[kind]([0, 0, 1])) * [1.0, 10.0, 100.0])
    assert ad.gradient(E, x).tolist() == [11.0, 100.0, 0.0, 0.0]  # only lists and plain arrays were added up


def test_an_integer_of_another_kind_is_an_index() -> None:
    place = type("Two", (), {"__index__": lambda self: 2})()
    x = T(np.arange(4.0))
    assert ad.gradient(x[place], x).tolist() == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("kind", ["array.array", "deque", "UserList", "subclass"])
def test_options_of_any_kind_are_kept_as_they_were(kind: str) -> None:
    x, places = T(np.arange(4.0)), OTHER_SEQUENCES[kind]([0, 0, 1])
    E = np.sum(np.take(x, places) * [1.0, 10.0, 100.0])
    for k in range(3):
        places[k] = 3
    assert ad.gradient(E, x).tolist() == [11.0, 100.0, 0.0, 0.0]
    width = {0: (1, 2)}
    E = np.sum(np.pad(x, width, mode="edge"))
    width[0] = (0, 0)
    assert ad.gradient(E, x).tolist() == [2.0, 1.0, 1.0, 3.0]


def test_sequences_of_operands_are_taken_as_they_were() -> None:
    xs = [ad.Value(1.0), ad.Value(2.0)]
    total = ad.sum(xs)
    xs.append(ad.Value(5.0))
    total.backward()
    assert [x.grad for x in xs] == [1.0, 1.0, None]


@pytest.mark.parametrize("kind", [iter, set, lambda xs: dict(enumerate(xs)).values(), lambda xs: (x for x in xs), lambda xs: map(abs, xs)])
def test_a_sum_goes_through_every_collection_of_values(kind: Any) -> None:
    xs = [ad.Value(1.0), ad.Value(2.0)]
    total = ad.sum(kind(xs))
    assert total.data == 3.0
    total.backward()
    assert [x.grad for x in xs] == [1.0, 1.0]


def test_seeds_and_answers_are_nobody_else_s() -> None:
    x, w, seed = T([1.0, 2.0]), T([3.0, 4.0]), np.ones(2)
    (x + w).backward(seed=seed)
    x.grad *= 5.0
    assert w.grad.tolist() == seed.tolist() == [1.0, 1.0]
    a, b = ad.gradient(np.sum(x + w), [x, w])
    a[:] = 9.0
    assert b.tolist() == [1.0, 1.0]
    own = np.ones(2)
    x.grad = own
    np.sum(x * 3).backward()
    assert own.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [4.0, 4.0]


# ---------------------------------------------------------------- integers and booleans that would wrap around

INTEGERS: dict[str, tuple[Callable[[Any, Any], Any], Any, list[float]]] = {
    "power": (lambda x, n: x**n, np.array([0, 2], np.uint8), [0.0, 6.0]),  # n - 1 was 255, and inf * 0 nan
    "power of bool": (lambda x, n: x**n, np.array([False, True]), [0.0, 1.0]),
    "product": (lambda x, n: x * n * n, np.array([200, 100], np.uint8), [40000.0, 10000.0]),
    "difference": (lambda x, n: (n - x) * n, np.array([200, 100], np.uint8), [-200.0, -100.0]),
    "quotient": (lambda x, n: x / n / n, np.array([200, 100], np.uint8), [1 / 40000, 1 / 10000]),
    "matrix": (lambda x, n: n @ x * 1.0, np.array([200, 100], np.uint8), [200.0, 100.0]),
    "einsum of two": (lambda x, n: np.einsum("i,i,i->i", x, n, n), np.array([200, 100], np.uint8), [40000.0, 10000.0]),
    "einsum of masks": (lambda x, n: np.einsum("i,ij,jk->", x, n, n), np.ones((2, 2), bool), [4.0, 4.0]),  # True + True is 2
    "choice": (lambda x, n: np.where(n, x, 0.0), np.array([3, 0], np.int8), [1.0, 0.0]),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_beside_a_tensor_are_numbers(name: str) -> None:
    f, n, want = INTEGERS[name]
    x = T([1e200 if name == "power" else 100.0, 3.0])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(ad.gradient(np.sum(f(x, n)), x), want, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64, bool])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_result_s_dtype_is_numpy_s(dtype: Any, kind: Any) -> None:
    x, n = np.ones(2, kind), np.ones(2, dtype)
    assert (T(x) * n).dtype == (x * n).dtype
    assert (n + T(x)).dtype == (n + x).dtype


# ---------------------------------------------------------------- ops and rules of one's own that go wrong


@pytest.fixture
def own_ops() -> Iterator[None]:
    with declared():
        yield


@pytest.mark.usefixtures("own_ops")
def test_what_a_forward_of_one_s_own_may_give() -> None:
    whole = ad.elementwise("odd_int", lambda x: (2 * x).astype(int), lambda z, x: 2.0)
    assert whole(T([1.5])).dtype == np.float64
    for wrong in (lambda x: x + 0j, lambda x: (x, x), lambda x: np.array(["a"])):
        op = ad.elementwise("odd_result", wrong, lambda z, x: 2.0)
        with pytest.raises(ad.BadOperand, match="odd_result gave"):
            op(T([1.5]))


@pytest.mark.usefixtures("own_ops")
def test_a_complex_derivative_is_refused() -> None:
    op = ad.general("odd_complex", lambda x: 2 * x, lambda i, g, z, x: 2j * g, lambda ts, z, x: 2j * ts[0])
    with pytest.raises(ad.BadOperand, match="rule of odd_complex gave a derivative of dtype complex128"):
        np.sum(op(T([1.0]))).backward()
    with pytest.raises(ad.BadOperand, match="odd_complex"):
        ad.jvp(op, (np.ones(2),), (np.ones(2),))


@pytest.mark.usefixtures("own_ops")
def test_rules_that_write_are_stopped() -> None:
    doubled = ad.elementwise("odd_inplace", lambda x: np.multiply(x, 2, out=x), lambda z, x: 2.0)
    x = T([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        doubled(x)
    assert x.data.tolist() == [1.0, 2.0]
    greedy = ad.general("odd_greedy", lambda x: 2 * x, lambda i, g, z, x: np.multiply(g, 2, out=g), lambda ts, z, x: 2 * ts[0])
    with pytest.raises(ValueError, match="read-only"):
        np.sum(greedy(x)).backward()


# ---------------------------------------------------------------- subscripts


@st.composite
def subscripts(draw: Any) -> tuple[str, list[tuple[int, ...]]]:
    """Einstein's notation of one to three operands, with repeats, diagonals and axes that are summed alone."""
    sizes = {letter: draw(st.integers(1, 3)) for letter in "ijk"}
    names = ["".join(draw(st.lists(st.sampled_from("ijk"), max_size=3))) for _ in range(draw(st.integers(1, 3)))]
    there = sorted(set("".join(names)))
    out = "".join(draw(st.permutations([s for s in there if draw(st.booleans())])))
    return f"{','.join(names)}->{out}", [tuple(sizes[s] for s in name) for name in names]


@given(subscripts(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_kind_of_subscripts_has_its_derivatives(call: tuple[str, list[tuple[int, ...]]], seed: int) -> None:
    text, shapes = call
    rng = np.random.default_rng(seed)
    xs = [np.asarray(rng.normal(size=shape)) for shape in shapes]
    close(np.einsum(text, *map(T, xs)).data, np.einsum(text, *xs))
    ad.check_grads(lambda *xs: np.einsum(text, *xs), *xs, order=2)


# ---------------------------------------------------------------- ops called in ways that only the table's own code calls them


@pytest.mark.parametrize("dtype", [int, bool, complex, np.float16, np.longdouble, ">f8"], ids=str)
def test_a_node_is_cast_to_the_dtypes_nodes_have(dtype: Any) -> None:
    x = T([1.5, 2.5])
    for cast in (x.astype, lambda dtype: ad.ops.TABLE["cast"](x, dtype=dtype)):  # the op cut off digits, with derivative 1
        with pytest.raises(ad.BadOperand, match="a Tensor is float64 or float32, not"):
            cast(dtype)


@pytest.mark.parametrize("mode", ["constant", "mean", "maximum", "linear_ramp", "empty"])
def test_borders_are_of_entries_as_they_are(mode: str) -> None:
    with pytest.raises(ad.NoRule, match="edge, reflect, symmetric, wrap"):
        ad.ops.TABLE["borders"](T([1.0, 2.0]), 1, mode=mode)  # means were given back to single entries


def test_sinc_has_no_derivative_of_negative_order() -> None:
    with pytest.raises(ValueError, match="not negative"):
        ad.ops.TABLE["sinc"](T([1.0, 2.0]), n=-1)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64, bool])
@pytest.mark.parametrize("name", ["sigmoid", "softmax", "log_softmax", "logsumexp", "norm", "softplus", "relu", "gelu", "std", "var"])
def test_functions_of_plain_integers_are_those_of_the_same_floats(name: str, dtype: Any) -> None:
    x, f = np.array([100, 0, 100]).astype(dtype), getattr(ad, name)
    np.testing.assert_allclose(f(x), f(x.astype(float)), rtol=1e-3)  # uint8 - 1 was 255, int8(100)**2 was 16


def test_lists_of_numbers_are_arrays_among_plain_numbers_too() -> None:
    assert ad.inv([[2.0, 0.0], [0.0, 4.0]]).tolist() == [[0.5, 0.0], [0.0, 0.25]]
    assert ad.einsum("i,i", [1, 2], [3, 4]) == 11
    assert ad.softmax([0.0, 0.0]).tolist() == [0.5, 0.5]


# ---------------------------------------------------------------- constants of one face among nodes of the other


CONSTANTS: dict[str, tuple[Any, Any, Callable[[Any], Any]]] = {
    "Value beside a Tensor": (T, 2.0, lambda c: c),
    "computed Value beside a Tensor": (T, 2.0, lambda c: c * 3.0),
    "Tensor beside a Tensor": (T, np.array(2.0), lambda c: c * 3.0),
    "Value beside a Value": (ad.Value, 2.0, lambda c: c * 3.0),
    "Tensor beside a Value": (ad.Value, np.array(2.0), lambda c: c),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_assigned_later_makes_graphs_stale_wherever_it_stands(name: str) -> None:
    variable, number, used = CONSTANTS[name]
    x, c = variable(1.0), ad.constant(number, name="c")
    d = used(c)
    y = x * d
    c.data = 5.0
    with pytest.raises(ad.StaleGraph, match="c was assigned"):
        y.backward()  # the old number passed for the new one
    y = x * used(c)
    y.backward()
    assert x.grad == used(5.0)


# ---------------------------------------------------------------- arrays with rules of their own

MASKED: dict[str, Callable[[Any], Any]] = {
    "masked * x": lambda x: np.ma.ones(2) * x,  # np.ma took x._data, and the graph was cut
    "x * masked": lambda x: x * np.ma.ones(2),
    "np.ma.exp": lambda x: np.ma.exp(x),
    "np.ma.where": lambda x: np.ma.where([True, False], x, 0.0),
    "np.ma.power": lambda x: np.ma.power(x, 2.0),
    "one masked number": lambda x: x * np.ma.masked,  # it counted as 0
    "masked number * x": lambda x: np.ma.masked * x,
    "subclass": lambda x: x + type("Own", (np.ma.MaskedArray,), {})(np.ones(2), mask=[True, False]),
    "matrix": lambda x: x * type("Own", (np.matrix,), {})(np.ones(2)),
}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("variable", [lambda: T([1.0, 2.0]), lambda: ad.Value(1.0)], ids=["Tensor", "Value"])
@pytest.mark.parametrize("name", MASKED)
def test_masked_arrays_and_matrices_are_refused(name: str, variable: Any) -> None:
    with pytest.raises((ad.BadOperand, ad.Detached), match=r"np\.asarray\("):
        MASKED[name](variable())
