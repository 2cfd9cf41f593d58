"""Every mistake has its class and its words: a table of snippets, what they raise, and what the message must hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from tests.cases import declared

BUILT_IN = {
    ad.NoRule: TypeError,
    ad.BadOperand: TypeError,
    ad.ShapeMismatch: ValueError,
    ad.BadIndex: IndexError,
    ad.NotScalar: ValueError,
    ad.NotConnected: ValueError,
    ad.StaleGraph: RuntimeError,
    ad.ReadOnly: ValueError,
    ad.Detached: TypeError,
    ad.BadFile: ValueError,
    ad.GradientMismatch: AssertionError,
    ad.NoIndexForm: TypeError,
    ad.TooBig: ValueError,
    ad.DerivationFailed: ArithmeticError,
    ad.NotVerified: ArithmeticError,
}


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda k: k.__name__)
def test_every_class_is_what_a_numpy_user_would_catch(kind: Any) -> None:
    assert issubclass(kind, ad.AutodiffError)
    assert issubclass(kind, BUILT_IN[kind])


def shapes_do_not_fit() -> None:
    W1, x = ad.Tensor(np.zeros((3, 4))), np.zeros((5, 2))
    W1 @ x


def broadcasting_does_not_fit() -> None:
    y2, t = ad.Tensor(np.zeros((3, 2))) * 1.0, ad.constant(np.zeros((2, 3)))
    y2 - t


def names_given_win() -> None:
    local = ad.Tensor(np.zeros(3), name="weights")
    local @ ad.Tensor(np.zeros(4), name="inputs")


def names_of_attributes() -> None:
    class Net:
        def __init__(self) -> None:
            self.W2 = ad.Tensor(np.zeros((3, 4)))

    net = Net()
    net.W2 @ np.zeros(7)


def not_scalar() -> None:
    z2 = ad.Tensor(np.zeros((3, 5))) + 1
    z2.backward()


def stale_by_name() -> None:
    W2 = ad.Tensor(np.ones(2))
    loss = (W2 * W2).sum()
    W2.data -= 0.1
    loss.backward()


def stale_value() -> None:
    slope = ad.Value(2.0)
    error = slope * slope
    slope.data = 1.0
    error.backward()


def not_connected() -> None:
    W, b2 = ad.Tensor(1.0), ad.Tensor(1.0)
    ad.gradient(W * 2, b2)


def constant_target() -> None:
    w, t = ad.Tensor(1.0), ad.constant(np.ones(()))
    ad.gradient(w * t, t)


def backward_of_a_constant() -> None:
    total = ad.constant(np.ones(2)).sum()
    total.backward()


def backward_of_a_constant_value() -> None:
    (ad.constant(1.0) * 2).backward()


def complex_data() -> None:
    ad.Tensor([1j])


def complex_operand() -> None:
    ad.Tensor([1.0]) * np.array([1j])


def value_with_tensor() -> None:
    ad.Value(1.0) + ad.Tensor([1.0])


def text_operand() -> None:
    ad.Tensor([1.0]) + "a"


def unknown_function() -> None:
    np.nanmean(ad.Tensor([1.0]))


def unknown_keyword() -> None:
    np.sum(ad.Tensor([1.0]), dtype=np.float32)


def unknown_keyword_of_ours() -> None:
    ad.softmax(ad.Tensor([1.0, 2.0]), dim=0)


def write_into_data() -> None:
    ad.Tensor([1.0, 2.0]).data[0] = 1.0


def write_into_a_tensor() -> None:
    ad.Tensor([1.0, 2.0])[0] = 1.0


def asarray() -> None:
    np.asarray(ad.Tensor([1.0, 2.0], name="y1"))


def softmax_of_one() -> None:
    ad.softmax(ad.Tensor(np.zeros((1, 4))), axis=0)


def softmax_without_axis() -> None:
    ad.softmax(ad.Tensor(np.zeros((3, 4))))


def wrong_seed() -> None:
    y1 = ad.Tensor(np.zeros(3)) * 2
    y1.backward(seed=np.ones(4))


def wrong_data() -> None:
    ad.Tensor(np.zeros(3), name="b").data = np.zeros(4)


def assigned_result() -> None:
    (ad.Tensor([1.0]) * 2).data = np.ones(1)


def unused_argument() -> None:
    ad.grad(lambda p: p["W"] * 2)({"W": 1.0, "b": 2.0})


def integer_argument() -> None:
    ad.grad(lambda x: x)(3)


def several_results() -> None:
    ad.grad(lambda x: (x, x))(1.0)


def math_function() -> None:
    import math

    ad.grad(math.sin)(1.0)


def fractions_of_two_lists() -> None:
    ad.dot([ad.Value(1.0)], [1.0, 2.0])


TABLE: list[tuple[Callable[[], None], Any, list[str]]] = [
    (shapes_do_not_fit, ad.ShapeMismatch, ["matmul", "W1", "(3, 4)", "x", "(5, 2)"]),
    (broadcasting_does_not_fit, ad.ShapeMismatch, ["sub", "y2", "(3, 2)", "t", "(2, 3)"]),
    (names_given_win, ad.ShapeMismatch, ["weights", "(3,)", "inputs", "(4,)"]),
    (names_of_attributes, ad.ShapeMismatch, ["W2", "(3, 4)", "(7,)"]),
    (not_scalar, ad.NotScalar, ["z2", "(3, 5)", "15", "z2.sum().backward()", "seed=", "loss"]),
    (stale_by_name, ad.StaleGraph, ["W2", "assigned", "forward"]),
    (stale_value, ad.StaleGraph, ["slope", "error", "assigned"]),
    (not_connected, ad.NotConnected, ["b2", "does not reach"]),
    (constant_target, ad.NotConnected, ["t ", "constant"]),
    (backward_of_a_constant, ad.NotConnected, ["total", "constant", "ad.Tensor"]),
    (backward_of_a_constant_value, ad.NotConnected, ["constant", "variable"]),
    (complex_data, ad.BadOperand, ["complex", ".real"]),
    (complex_operand, ad.BadOperand, ["mul", "complex", ".real"]),
    (value_with_tensor, ad.BadOperand, ["Value", "Tensor", "add"]),
    (text_operand, ad.BadOperand, ["add", "'a'"]),
    (unknown_function, ad.NoRule, ["np.nanmean", "np.mean", ".data", "ad.elementwise"]),
    (unknown_keyword, ad.NoRule, ["np.sum", "dtype=", "axis="]),
    (unknown_keyword_of_ours, ad.NoRule, ["softmax", "dim=", "axis="]),
    (write_into_data, ad.ReadOnly, ["in place", "p.data = new"]),
    (write_into_a_tensor, ad.NoRule, ["ad.where", "ad.concatenate"]),
    (asarray, ad.Detached, ["y1", "(2,)", ".data", "ad.stack"]),
    (softmax_of_one, ad.ShapeMismatch, ["softmax", "length 1", "(1, 4)"]),
    (softmax_without_axis, ad.ShapeMismatch, ["which axis", "(3, 4)", "axis=0", "axis=-1"]),
    (wrong_seed, ad.ShapeMismatch, ["seed", "(4,)", "y1", "(3,)"]),
    (wrong_data, ad.ShapeMismatch, ["b ", "(3,)", "(4,)"]),
    (assigned_result, ad.ReadOnly, ["mul", "leaves"]),
    (unused_argument, ad.NotConnected, ["argument 0['b']", "allow_unused=True"]),
    (integer_argument, ad.BadOperand, ["argument 0", "int 3", "3.0"]),
    (several_results, ad.NotScalar, ["tuple", "ad.jacobian", "ad.vjp"]),
    (math_function, ad.Detached, ["np.exp", "math.exp"]),
    (fractions_of_two_lists, ad.ShapeMismatch, ["1 and 2", "length"]),
]


@pytest.mark.parametrize(("snippet", "kind", "words"), [pytest.param(*row, id=row[0].__name__) for row in TABLE])
def test_a_mistake_is_told_in_the_user_s_names(snippet: Any, kind: Any, words: list[str]) -> None:
    with pytest.raises(kind) as caught:
        snippet()
    message = str(caught.value)
    assert [w for w in words if w not in message] == []
    assert " at 0x" not in message


def test_following_the_advice_for_a_value_beside_a_tensor_works() -> None:
    v, t = ad.Value(2.0), ad.Tensor([1.0])
    with pytest.raises(ad.BadOperand) as caught:
        v * t
    if "ad.Tensor(v)" in str(caught.value):
        assert (ad.Tensor(v) * t).data.tolist() == [2.0]


# ---------------------------------------------------------------- a broadcast that is seldom meant


def test_a_broadcast_that_grows_both_operands_warns_once_a_line_with_names_and_shapes() -> None:
    prediction, target = ad.Tensor(np.ones((3, 1)), name="prediction"), np.ones(3)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            prediction - target
    assert len(told) == 1
    assert told[0].category is ad.BroadcastWarning
    assert told[0].filename == __file__
    for words in ("sub", "prediction of shape (3, 1)", "target of shape (3,)", "(3, 3)", "[:, None]"):
        assert words in str(told[0].message)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3,), (3,)),
        ((3, 1), (1, 3)),
        ((2, 3), (3,)),
        ((3,), ()),
        ((3, 1), ()),
        ((2, 3), (2, 1)),
        ((1, 3), (3,)),
        ((2, 1, 3), (3,)),
        ((3, 1), (1,)),
        ((3, 1), (4,)),
    ],
)
def test_other_broadcasts_are_silent(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    x, y = ad.Tensor(np.ones(a)), ad.Tensor(np.ones(b))
    (x * y + y / x).sum().backward()  # a warning would be an error here


# ---------------------------------------------------------------- what NumPy refuses, told with the operands' names

REFUSED: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "an axis in a list": (lambda x: x.sum(axis=[0]), ad.BadOperand, r"sum does not fit x of shape \(3, 4\), axis=\[0\]"),
    "an axis that is not there": (
        lambda x: np.expand_dims(x, 5),
        ad.ShapeMismatch,
        r"expand_dims does not fit x of shape \(3, 4\), axis=5: ",
    ),
    "an axis that is not one long": (lambda x: x.squeeze(0), ad.ShapeMismatch, r"squeeze does not fit x of shape \(3, 4\) and 0: cannot"),
    "a place that is not there": (
        lambda x: np.take(x, [99]),
        ad.BadIndex,
        r"take does not fit x of shape \(3, 4\), indices=\[99\]: index 99",
    ),
    "an index that is not there": (lambda x: x[7], ad.BadIndex, r"getitem does not fit x of shape \(3, 4\), index=7: index 7"),
    "an index that is no index": (lambda x: x["a"], ad.BadIndex, r"getitem does not fit x of shape \(3, 4\), index=a: "),
    "unequal parts": (lambda x: np.split(x, 5), ad.ShapeMismatch, r"split does not fit x of shape \(3, 4\), indices_or_sections=5: "),
    "an order of entries": (lambda x: x.ravel("F"), ad.BadOperand, r"ravel does not fit x of shape \(3, 4\) and 'F': "),
    "operands that do not broadcast": (
        lambda x: np.broadcast_arrays(x, np.ones(3)),
        ad.ShapeMismatch,
        r"broadcast_arrays does not fit x of shape \(3, 4\) and an array of shape \(3,\)",
    ),
    "Values that are no matrices": (lambda x: ad.matmul(ad.Value(1.0), 2.0), ad.ShapeMismatch, r"matmul does not fit an operand of shape"),
    "a namesake": (
        lambda x: np.linalg.trace(x),
        ad.NoRule,
        r"^np\.linalg\.trace has no derivative rule here.* Did you mean (ad.trace or )?np\.trace",
    ),
    "a keyword": (lambda x: np.linalg.pinv(x, rtol=0.1), ad.NoRule, r"^np\.linalg\.pinv: pinv has no rule for the keyword rtol="),
    "writing": (lambda x: np.full_like(np.ones((3, 4)), x), ad.NoRule, r"^np\.copyto writes into an array, .* ad\.broadcast_to fills"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_numpy_refuses_is_told_with_names(name: str) -> None:
    x = ad.Tensor(np.ones((3, 4)))
    call, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words) as caught:
        call(x)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_mistake_inside_a_forward_of_one_s_own_shows_where() -> None:
    with declared():
        lost = ad.elementwise("lost", lambda x: x + None, 1)
        with pytest.raises(ad.BadOperand, match="lost does not fit x of shape") as caught:
            x = ad.Tensor(np.ones(2))
            lost(x)
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("name", ["any", "all", "argsort", "argmax", "argmin", "nonzero", "searchsorted", "argpartition"])
def test_methods_that_answer_with_plain_numbers(name: str) -> None:
    a = np.array([3.0, 0.0, 5.0])
    args = {"searchsorted": (4.0,), "argpartition": (1,)}.get(name, ())
    np.testing.assert_equal(getattr(ad.Tensor(a), name)(*args), getattr(a, name)(*args))
