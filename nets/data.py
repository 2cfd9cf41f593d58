"""Scikit-learn's digits, 1,797 real 8x8 images, as columns, with some held out; and batches of columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np


class Examples(NamedTuple):
    """Examples as columns: `x` (64, m) between 0 and 1, one-hot `t` (10, m), and the classes as integers (m,)."""

    x: Any
    t: Any
    labels: Any


def digits(seed: int = 0, held_out: float = 0.2) -> tuple[Examples, Examples]:
    """The digits in two parts: to train on, and held out (that share of every class).

    Raises ModuleNotFoundError without scikit-learn.  Optical Recognition of Handwritten Digits,
    Alpaydin and Kaynak, UCI Machine Learning Repository (1998).
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    test = np.zeros(len(labels), bool)
    for c in range(10):
        of_class = order[labels[order] == c]
        test[of_class[: round(held_out * len(of_class))]] = True
    return _columns(images[~test], labels[~test]), _columns(images[test], labels[test])


def _columns(images: Any, labels: Any) -> Examples:
    return Examples(images.T / 16.0, one_hot(labels, 10), labels)


def one_hot(labels: Any, classes: int) -> Any:
    """A column for each label, with a 1 in the row of its class.

    >>> one_hot(np.array([1, 0]), 3)
    array([[0., 1.],
           [1., 0.],
           [0., 0.]])
    """
    return np.eye(classes)[:, labels]


def batches(x: Any, t: Any, size: int, rng: np.random.Generator) -> Iterator[tuple[Any, Any]]:
    """All columns once, in random order, `size` at a time; the last batch may be smaller.

    >>> rng = np.random.default_rng(0)
    >>> [x.shape[1] for x, t in batches(np.zeros((4, 7)), np.zeros((2, 7)), 3, rng)]
    [3, 3, 1]
    """
    order = rng.permutation(x.shape[1])
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield x[:, chosen], t[:, chosen]
