"""Value: operators in every spelling, comparisons, numbers' manners, and what it refuses."""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.node import order

BINARY = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow}
DERIVATIVES = {
    "+": lambda a, b: (1.0, 1.0),
    "-": lambda a, b: (1.0, -1.0),
    "*": lambda a, b: (b, a),
    "/": lambda a, b: (1 / b, -a / b**2),
    "**": lambda a, b: (b * a ** (b - 1), a**b * np.log(a)),
}
NUMBERS = {
    "float": lambda x: float(x),
    "int": lambda x: int(x),
    "np.float64": np.float64,
    "np.float32": np.float32,
    "np.int64": np.int64,
    "0-d array": np.array,
    "0-d int array": lambda x: np.array(int(x)),
    "constant": ad.constant,
    "named constant": lambda x: ad.constant(x, name="c"),
}


@pytest.mark.parametrize("sign", BINARY)
def test_two_values(sign: str) -> None:
    a, b = ad.Value(3.0), ad.Value(2.0)
    z = BINARY[sign](a, b)
    z.backward()
    assert type(z) is ad.Value
    assert z.data == BINARY[sign](3.0, 2.0)
    assert (a.grad, b.grad) == pytest.approx(DERIVATIVES[sign](3.0, 2.0))
    assert z.args == (a, b)


@pytest.mark.parametrize("sign", BINARY)
@pytest.mark.parametrize("kind", NUMBERS)
def test_a_value_and_a_number_on_either_side(sign: str, kind: str) -> None:
    for flipped in (False, True):
        v, number = ad.Value(3.0), NUMBERS[kind](2.0)
        z = BINARY[sign](number, v) if flipped else BINARY[sign](v, number)
        assert type(z) is ad.Value
        assert type(z.data) is float
        a, b = (2.0, 3.0) if flipped else (3.0, 2.0)
        assert z.data == pytest.approx(BINARY[sign](a, b), rel=1e-15)
        z.backward()
        assert v.grad == pytest.approx(DERIVATIVES[sign](a, b)[flipped], rel=1e-14)
        assert ad.gradient(z, v) == v.grad
        assert z.args[flipped] is v
        assert z.args[not flipped] == 2


@pytest.mark.parametrize("sign", BINARY)
def test_recorded_gradients_of_number_variants(sign: str) -> None:
    for flipped in (False, True):
        v = ad.Value(3.0)
        z = BINARY[sign](2.0, v) if flipped else BINARY[sign](v, 2.0)
        dz = ad.gradient(z, v, record=True)
        second = ad.gradient(dz, v)
        f = (lambda x: BINARY[sign](2.0, x)) if flipped else (lambda x: BINARY[sign](x, 2.0))
        want = (f(3.0 + 1e-4) - 2 * f(3.0) + f(3.0 - 1e-4)) / 1e-8
        assert second == pytest.approx(want, rel=1e-5, abs=1e-6)


UNARY = {
    "neg": (operator.neg, -2.0, -1.0),
    "pos": (operator.pos, 2.0, 1.0),
    "abs": (abs, 2.0, 1.0),
    "exp": (lambda v: v.exp(), np.exp(2.0), np.exp(2.0)),
    "log": (lambda v: v.log(), np.log(2.0), 0.5),
    "sqrt": (lambda v: v.sqrt(), np.sqrt(2.0), 0.5 / np.sqrt(2.0)),
    "tanh": (lambda v: v.tanh(), np.tanh(2.0), 1 - np.tanh(2.0) ** 2),
    "relu": (lambda v: v.relu(), 2.0, 1.0),
    "np.exp": (np.exp, np.exp(2.0), np.exp(2.0)),
    "np.sin": (np.sin, np.sin(2.0), np.cos(2.0)),
    "np.square": (np.square, 4.0, 4.0),
    "np.maximum": (lambda v: np.maximum(v, 3), 3.0, 0.0),
    "ad.maximum": (lambda v: ad.maximum(v, 1), 2.0, 1.0),
    "np.negative": (np.negative, -2.0, -1.0),
    "np.add": (lambda v: np.add(v, 1), 3.0, 1.0),
    "ad.where": (lambda v: ad.where(v > 0, 3 * v, v), 6.0, 3.0),
    "ad.where, number": (lambda v: ad.where(v < 0, v, 7), 7.0, 0.0),
    "np.where": (lambda v: np.where(v > 0, v, 0.0), 2.0, 1.0),
}


@pytest.mark.parametrize("name", UNARY)
def test_one_value(name: str) -> None:
    f, value, derivative = UNARY[name]
    v = ad.Value(2.0)
    z = f(v)
    assert type(z.data) is float
    assert z.data == pytest.approx(value, rel=1e-15)
    z.backward()
    assert v.grad == pytest.approx(derivative, rel=1e-14)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_a_method_with_an_int_gives_a_float(name: str) -> None:
    z = getattr(ad.Value(1.0), name)(1)
    assert type(z.data) is float


# ---------------------------------------------------------------- arrays of objects


def test_an_array_beside_a_value_becomes_an_array_of_values() -> None:
    v, arr = ad.Value(3.0), np.array([1.0, 2.0, 4.0])
    for z in (arr * v, v * arr):
        assert z.dtype == object
        assert z.shape == (3,)
        assert [float(x) for x in z] == [3.0, 6.0, 12.0]
    (arr**v).sum().backward()
    assert v.grad == pytest.approx(np.sum(arr**3 * np.log(arr)))
    matrix = np.array([[1, 2], [3, 4]]) + ad.Value(1.0)
    assert matrix.shape == (2, 2)
    assert matrix[1, 0].data == 4.0
    assert (arr > v).tolist() == [False, False, True]
    assert (v > arr).tolist() == [True, True, False]


def test_an_array_of_values_goes_through_numpy() -> None:
    a, b = ad.Value(1.0), ad.Value(2.0)
    values = np.array([a, b])
    assert values.dtype == object
    np.sum(np.exp(values) * values).backward()
    assert a.grad == pytest.approx(2 * np.e)
    assert b.grad == pytest.approx(3 * np.exp(2.0))
    w = np.array([3.0, 4.0])
    z = w @ values
    assert z.data == 11.0
    assert ad.gradient(z, [a, b]) == [3.0, 4.0]


def test_each_entry_of_a_spread_is_recorded_once() -> None:
    v = ad.Value(2.0)
    z = np.array([1.0, 1.0]) * v
    z.sum().backward()
    assert v.grad == 2.0
    assert z[0] is not z[1]


# ---------------------------------------------------------------- one node for a list


def test_sum_and_dot_record_one_node() -> None:
    vs = [ad.Value(float(k)) for k in range(1, 5)]
    total = ad.sum(vs)
    assert total.args == tuple(vs)
    assert total.data == 10.0
    product = ad.dot(vs, [1.0, 2.0, 3.0, 4.0])
    assert product.data == 30.0
    assert ad.gradient(total, vs) == [1.0] * 4
    assert ad.gradient(product, vs) == [1.0, 2.0, 3.0, 4.0]
    assert ad.gradient(ad.dot(vs, vs), vs) == [2.0, 4.0, 6.0, 8.0]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_sum_and_dot_with_plain_numbers_among_the_values(count: int, where: int) -> None:
    v = ad.Value(5.0)
    items: list[Any] = [v] * count
    items.insert(where, 3)
    z = ad.sum(items)
    assert z.data == 5.0 * count + 3
    z.backward()
    assert v.grad == count
    assert [x is v for x in z.args].count(True) == count
    y = ad.dot(items, list(range(1, count + 2)))
    partners = [k for k, x in zip(range(1, count + 2), items, strict=True) if x is v]
    assert ad.gradient(y, v) == sum(partners)
    assert ad.gradient(ad.gradient(ad.dot(items, items), v, record=True), v) == 2.0 * count


def test_sum_of_one_value_and_python_s_sum() -> None:
    v = ad.Value(2.0)
    assert ad.sum([v]).data == 2.0
    assert ad.sum([]) == 0.0
    sum([v, v, 1], 0.0).backward()
    assert v.grad == 2.0


def test_sum_of_a_generator_is_refused_or_summed() -> None:
    v = ad.Value(2.0)
    try:
        z = ad.sum(x * x for x in [v, v])
    except (TypeError, ValueError):
        return
    assert z.data == 8.0


def test_dot_needs_two_lists_of_one_length() -> None:
    with pytest.raises(ad.ShapeMismatch, match="2 and 1"):
        ad.dot([ad.Value(1.0), ad.Value(2.0)], [1.0])
    with pytest.raises(ad.ShapeMismatch, match="axis"):
        ad.sum([ad.Value(1.0)], axis=0)


# ---------------------------------------------------------------- numbers' manners


def test_comparisons_are_about_the_numbers() -> None:
    a, b = ad.Value(1.0), ad.Value(2.0)
    assert a < b
    assert a <= 1
    assert b > 1.5
    assert b >= np.float64(2.0)
    assert a == 1
    assert a == ad.Value(1.0)
    assert a != b
    assert np.float64(1.0) == a
    assert np.int64(3) > b
    assert np.array(1.0) < b
    assert b < 3
    assert a != "1.0"
    assert a != None  # noqa: E711
    assert max([a, b]) is b
    assert sorted([b, a]) == [a, b]


def test_nan_is_not_equal_to_itself() -> None:
    v = ad.Value(np.nan)
    assert v != v
    assert not v == v  # noqa: SIM201


def test_hash_is_by_identity() -> None:
    a, b = ad.Value(1.0), ad.Value(1.0)
    assert len({a, b}) == 2
    assert {a: "a", b: "b"}[b] == "b"
    assert hash(a) == hash(a)


def test_conversions_and_text() -> None:
    v = ad.Value(2.7, name="w")
    assert (float(v), int(v), bool(v), v.item()) == (2.7, 2, True, 2.7)
    assert not ad.Value(0.0)
    assert f"{v:.3f}" == "2.700"
    assert f"{v}" == repr(v) == str(v) == "Value(data=2.7, name='w')"
    assert repr(ad.Value(1.0) + 1) == "Value(data=2.0, op='add')"
    assert repr(ad.constant(1.0)) == "constant(data=1.0)"
    (w := ad.Value(1.0)).backward()
    assert repr(w) == "Value(data=1.0, grad=1.0)"


def test_data_is_always_a_python_float() -> None:
    for x in (1, True, np.float64(1), np.float32(1), np.int8(1), np.array(1), np.bool_(True)):
        assert type(ad.Value(x).data) is float
    v = ad.Value(1.0)
    v.data = np.float32(0.5)
    assert type(v.data) is float


def test_augmented_assignment_rebinds() -> None:
    a = b = ad.Value(2.0)
    a += 1
    a *= b
    a -= 0.5
    a /= 2
    a **= 2
    assert b.data == 2.0
    assert a is not b
    a.backward()
    assert b.grad == pytest.approx(2 * (2.0 * 3 - 0.5) / 4 * 5)


def test_assigning_data_of_leaves_and_results() -> None:
    v = ad.Value(1.0)
    v.data -= 0.25
    assert v.data == 0.75
    with pytest.raises(ad.ReadOnly, match="mul"):
        (v * 2).data = 3.0


def test_names_and_notes() -> None:
    v = ad.Value(1.0, name="w")
    assert v.name == "w"
    z = (v * 2).named("z")
    assert z.name == "z"
    assert (v * 2).name is None
    z.name = None
    assert z.name is None
    with pytest.raises(TypeError, match="name"):
        v.named("")
    with pytest.raises(AttributeError):
        v.label = "x"


def test_numpy_s_questions_about_a_value() -> None:
    v = ad.Value(2.0)
    assert np.shape(v) == ()
    assert np.ndim(v) == 0
    assert np.isfinite(v)
    assert not np.isnan(v)
    assert np.isclose(v, 2.0)


# ---------------------------------------------------------------- constants


def test_a_constant_is_part_of_the_graph_and_is_not_moved() -> None:
    x, c = ad.Value(3.0), ad.constant(2.0, name="c")
    y = c * x
    assert y.args == (c, x)
    y.backward()
    assert x.grad == 2.0
    assert c.grad is None
    assert (c * 2).active is False
    assert (c + c).active is False


def test_results_of_constants_stand_beside_tensors_as_the_constants_do() -> None:
    lam, w, v = ad.constant(0.5), ad.Tensor([1.0, 2.0], name="w"), ad.Tensor([3.0], name="v")
    E = lam / 2 * ad.sum(w**2) + ad.exp(-lam) * ad.sum(w) + ad.sum([lam, lam]) * ad.sum(v)
    E.backward()
    assert np.allclose(w.grad, 0.5 * w.data + np.exp(-0.5))
    assert np.allclose(v.grad, 1.0)
    assert "lam" in ad.derive(E, wrt=v).text
    assert len([n for n in order(E) if n.op is None]) == 3  # the same lam wherever it stands


@pytest.mark.parametrize("name", ["exp", "tanh", "relu", "sigmoid", "sqrt", "log", "sin", "square"])
def test_a_constant_has_every_method_a_value_has(name: str) -> None:
    assert getattr(ad.constant(2.0), name)().data == getattr(ad.Value(2.0), name)().data


def test_methods_work_where_nothing_is_recorded() -> None:
    v = ad.Value(2.0)
    with ad.no_record():
        z = (v * 3).relu().tanh()
    assert z.data == np.tanh(6.0)
    assert not z.active


def test_no_rule_for_floor_division() -> None:
    v = ad.Value(2.0)
    for f in (lambda: v // 2, lambda: 2 // v, lambda: np.float64(2.0) // v):
        with pytest.raises(ad.NoRule):
            f()


@pytest.mark.parametrize("bad", [1j, "2", None, [1.0], np.ones(2), np.complex128(1), Fraction(1, 2)], ids=repr)
def test_what_a_value_cannot_hold(bad: Any) -> None:
    with pytest.raises(ad.BadOperand):
        ad.Value(bad)
    with pytest.raises(TypeError):
        ad.Value(bad)


@pytest.mark.parametrize("bad", [1j, "2", None, [1.0]], ids=repr)
def test_what_a_value_cannot_be_combined_with(bad: Any) -> None:
    for sign in BINARY.values():
        with pytest.raises(TypeError):
            sign(ad.Value(1.0), bad)
        with pytest.raises(TypeError):
            sign(bad, ad.Value(1.0))


def test_a_value_and_a_tensor_in_one_expression_raise() -> None:
    v, t = ad.Value(1.0), ad.Tensor([1.0])
    for f in (lambda: v * t, lambda: t * v, lambda: ad.maximum(v, t), lambda: ad.where(True, t, v)):
        with pytest.raises(ad.BadOperand, match="Value and a Tensor"):
            f()
