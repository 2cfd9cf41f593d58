"""What every notebook uses: print a number and insist on it, and tell a reader whether an answer is right.

`show` stops the notebook unless the number it prints is the expected one, to its last printed digit;
`formula` does so with a derived formula, `refused` with an error that must come, `holds` with a sentence;
`check` judges an answer to an exercise.  No notebook prints a number in another way without asserting it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

import autodiff as ad


def show(name: str, got: Any, want: Any, digits: int = 4) -> None:
    """Print `got`, a number, an array or a node, rounded; AssertionError unless that is what `want` rounds to.

    >>> show("half", 1 / 2, 0.5)
    half       = 0.5
    >>> show("column", np.array([[1 / 3], [-1.0]]), [[0.3333], [-1]])
    column     = (0.3333, -1)  as a column
    """
    assert agrees(got, want, digits), f"{name} is {text(got, digits)}, not {text(want, digits)}"
    print(f"{name:10} = {text(got, digits, ' ' * max(13, len(name) + 3))}")


def holds(sentence: str, truth: Any) -> None:
    """Print a sentence that is true, for what differs in its last digits from machine to machine; AssertionError if it is not.

    >>> holds("10 is more than 9", 10 > 9)
    ✓ 10 is more than 9
    """
    assert truth, f"it is not so that {sentence}"
    print("✓", sentence)


def check(number: int, answer: Any, truth: Any, digits: int = 3, any_order: bool = False) -> None:
    """Say whether an answer (None: still open) is `truth`; AssertionError with a hint if it is not.

    Numbers may be fractions in text, a column may lie down and a row stand up, and a single number may be in a list.

    >>> check(1, None, 4.0), check(2, 1 / 3, np.array(0.3333333)), check(3, ["1/2", "-3"], [[0.5], [-3.0]])
    exercise 1: still open
    exercise 2: right
    exercise 3: right
    (None, None, None)
    >>> check(4, {7, 1}, [1, 7], any_order=True)
    exercise 4: right
    """
    if answer is None:
        print(f"exercise {number}: still open")
        return
    truth = plain(truth).astype(float)
    try:
        given = plain(list(answer) if isinstance(answer, set) else answer)
        answer = np.vectorize(number_in, otypes=[float])(given)
    except (TypeError, ValueError, ZeroDivisionError):
        raise AssertionError(f"exercise {number}: the answer should be numbers of shape {truth.shape}, not {answer!r}") from None
    if answer.squeeze().shape == truth.squeeze().shape:
        answer = answer.reshape(truth.shape)
    if any_order:
        answer, truth = np.sort(answer, axis=None), np.sort(truth, axis=None)
    assert answer.shape == truth.shape, f"exercise {number}: the answer should have shape {truth.shape}, not {answer.shape}"
    right = np.abs(answer - truth) <= 0.5 * 10.0**-digits
    assert right.any(), f"exercise {number}: not yet"
    assert right.all(), f"exercise {number}: not yet; {right.sum()} of {right.size} entries are right"
    print(f"exercise {number}: right")


def formula(derivation: Any, *want: str) -> Any:
    """The derivation, to be typeset; AssertionError unless its results read so, one a line.

    >>> x = ad.Value(3.0, name="x")
    >>> formula(ad.derive(x**2, wrt=x), "dE/dx = 2 * x")
    dE/dx = 2 * x
    """
    assert derivation.text == "\n".join(want), derivation.text
    return derivation


def refused(kind: type[Exception], call: Callable[[], Any]) -> None:
    """Print the error that `call()` raises; AssertionError if it raises none of that kind.

    >>> refused(ZeroDivisionError, lambda: 1 / 0)
    ZeroDivisionError: division by zero
    """
    try:
        call()
    except kind as error:
        print(textwrap.fill(f"{type(error).__name__}: {error}", 110))
        return
    raise AssertionError(f"no {kind.__name__} was raised")


def number_in(entry: Any) -> float:
    """A number as a float, also if it is text, such as "1/2"."""
    return float(Fraction(entry) if isinstance(entry, str) else entry)


def plain(number: Any) -> Any:
    """A number, list, array or node as a plain array."""
    return np.asarray(number.data if isinstance(number, ad.Tensor | ad.Value) else number)


def agrees(got: Any, want: Any, digits: int) -> bool:
    """Are two arrays of one shape the same to so many digits after the point? inf is inf, and nan is nan."""
    got, want = plain(got).astype(float), plain(want).astype(float)
    if got.shape != want.shape:
        return False
    with np.errstate(invalid="ignore"):
        close = np.abs(got - want) <= 0.5001 * 10.0**-digits
    return bool(np.all(close | (got == want) | (np.isnan(got) & np.isnan(want))))


def text(number: Any, digits: int = 4, indent: str = "") -> str:
    """A number or an array as a reader would write it; a column lies down."""
    array = plain(number)
    if array.dtype == bool:
        return str(array)
    rounded = np.round(array.astype(float), digits) + 0.0  # no -0
    written = [f"{v:.{digits + 6}g}" for v in rounded.flat]
    if rounded.ndim == 0:
        return written[0]
    if rounded.ndim == 2 and rounded.shape[1] == 1 and len(rounded) > 1:
        return f"({', '.join(written)})  as a column"
    width = max(map(len, written), default=0)
    return np.array2string(rounded, prefix=indent, formatter={"float_kind": lambda v: f"{v:.{digits + 6}g}".rjust(width)})
