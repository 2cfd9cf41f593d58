"""`ad.check_code`: where a person's own code failed, what its arrays are called, and the precision it computes in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from tests.checking.graphs import classification


@pytest.fixture(scope="module")
def E() -> Any:
    return classification(np.random.default_rng(0)).E


def product(a: Any, b: Any) -> Any:
    return a @ b


def sentence(E: Any, f: Any) -> list[str]:
    return list(ad.check_code(E, f).first_wrong.sentence.splitlines())


def test_the_line_that_failed_and_the_shapes_in_it(E: Any) -> None:
    def backward(x: Any, t: Any, y1: Any, y2: Any) -> dict[str, Any]:
        delta = y2 - t
        return {"dW2": product(delta, y1), "dW1": x}

    what, where = sentence(E, backward)
    assert what.startswith("ValueError: matmul: ")
    assert where == f"in line {product.__code__.co_firstlineno + 1}: return a @ b, where a has shape (2, 5) and b has shape (4, 5)"


def test_only_the_part_that_failed_is_measured(E: Any) -> None:
    def backward(x: Any, t: Any, W2: Any, y1: Any, y2: Any) -> dict[str, Any]:
        return {"dW1": ((W2.T @ (y2 - t)) * y1) @ x.T + np.outer(x, x) @ t}

    assert sentence(E, backward)[1].endswith(" + np.outer(x, x) @ t}, where x has shape (3, 5) and t has shape (2, 5)")


def test_what_fails_without_arrays(E: Any) -> None:
    def backward(x: Any, W1: Any) -> dict[str, Any]:
        return {"dW1": {}["W1"]}

    assert sentence(E, backward) == ["KeyError: 'W1'", f'in line {backward.__code__.co_firstlineno + 1}: return {{"dW1": {{}}["W1"]}}']


def test_an_array_of_a_wrong_shape_is_named(E: Any) -> None:
    report = ad.check_code(E, lambda W1, W2: {"dW2": W2[:, :3]})
    assert report.first_wrong.sentence == "dW2 has shape (2, 3), but dE/dW2 has shape (2, 4)"


def test_a_result_s_own_name_is_taken_for_its_value_and_said_to_be(E: Any) -> None:
    report = ad.check_code(E, lambda t, y2: {"z2": (y2 - t) / t.shape[1]})
    assert report.remarks == ("z2 was taken for the value of z2; a gradient is called dz2.",)
    assert ad.check_code(E, lambda t, y2: {"dz2": (y2 - t) / t.shape[1], "y2": y2}).remarks == ()


def test_a_parameter_that_is_nothing_in_the_graph(E: Any) -> None:
    with pytest.raises(ad.NotConnected, match=r"the parameter X of <lambda> is nothing in the graph of E\. Did you mean x\? It has .*t"):
        ad.check_code(E, lambda X, t: {})


def test_what_is_returned_and_is_no_array(E: Any) -> None:
    report = ad.check_code(E, lambda: {"dW1": None, "dW2": "hello"})
    assert {v.label: v.sentence for v in report.verdicts} == {
        "dW1": "None holds no numbers",
        "dW2": "the text 'hello' holds no numbers",
    }


def test_numbers_of_the_user_s_are_parameters_too(E: Any) -> None:
    lam = 0.5
    assert ad.check_code(E + 0 * lam, lambda y1, lam: {"y1": y1 * lam * 2}).ok


T = np.eye(3)


def test_an_attribute_is_nothing_from_outside(E: Any) -> None:
    def backward(t: Any, y1: Any, y2: Any) -> dict[str, Any]:
        return {"dW2": (y2 - t) @ y1.T / t.shape[1]}

    assert ad.check_code(E, backward).remarks == ()
    assert "use T from outside" in ad.check_code(E, lambda y1: {"y1": y1 * T[0, 0]}).remarks[0]


def test_single_precision_is_judged_as_such(E: Any) -> None:
    def backward(x: Any, t: Any, W2: Any, y1: Any, y2: Any) -> dict[str, Any]:
        delta = (y2 - t) / t.shape[1]
        return {"dW2": delta @ y1.T, "dW1": ((W2.T @ delta) * y1 * (1 - y1)) @ x.T}

    def single(factor: float) -> Any:
        def f(x: Any, t: Any, W2: Any, y1: Any, y2: Any) -> dict[str, Any]:
            found = backward(*(np.asarray(a, np.float32) for a in (x, t, W2, y1, y2)))
            return {k: v * np.float32(factor) for k, v in found.items()}

        return f

    report = ad.check_code(E, single(1.0))
    assert report.ok
    assert "judged in single precision, in which these numbers are" in report.verdicts[0].notes
    assert {v.status for v in ad.check_code(E, single(1.001)).verdicts} == {"wrong"}


def test_what_agrees_to_single_precision_only_is_not_called_wrong(E: Any) -> None:
    def mixed(t: Any, y1: Any, y2: Any) -> dict[str, Any]:
        return {"dW2": ((y2 - t) / t.shape[1]).astype(np.float32) @ y1.T}

    (v,) = ad.check_code(E, mixed).verdicts
    assert v.status == "undecided"
    assert "as difference quotients and single precision do" in v.sentence
