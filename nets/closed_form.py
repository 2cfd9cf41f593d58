"""The exercise's seven results, and the bias gradients, by hand in NumPy: what the graph is proven against.

This file never imports autodiff.  Equation numbers are the exercise's; two of its lines are put right
here: (9) needs e^{-z}, and (5), which keeps only the diagonal of softmax's Jacobian, is not used.
Columns are examples, m = the number of columns; the 1/m of (1) is in every result that is a
derivative of E.  A derivative has the shape of what it is taken by; the exercise writes those by
vectors as rows, which are the transposes of the columns here.

`sum_t` is the sum of each example's targets.  The exercise takes it as 1, which is right for one-hot
targets and for any probabilities (`sum_t=1`); left out, it is computed and the results hold for any t.

Only operators and NumPy's functions are used, so each formula also runs on anything that speaks them.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def sigmoid(z1: Any) -> Any:
    """Equation (9) with the exponent's sign put right: 1 / (1 + e^{-z}); as written it is sigmoid(-z).

    >>> float(sigmoid(np.array(0.0)))
    0.5
    """
    return 1 / (1 + np.exp(-z1))


def softmax(z2: Any) -> Any:
    """Equation (2), down each column.

    >>> softmax(np.array([[0.0], [0.0]])).ravel()
    array([0.5, 0.5])
    """
    e = np.exp(z2)
    return e / np.sum(e, axis=0, keepdims=True)


def forward(x: Any, W1: Any, W2: Any, b1: Any = None, b2: Any = None) -> tuple[Any, Any, Any, Any]:
    """z1, y1, z2, y2 for examples `x` of shape (n0, m)."""
    z1 = W1 @ x if b1 is None else W1 @ x + b1
    y1 = sigmoid(z1)
    z2 = W2 @ y1 if b2 is None else W2 @ y1 + b2
    return z1, y1, z2, softmax(z2)


def E(y2: Any, t: Any) -> Any:
    """Result 1, equation (1): the cross-entropy, averaged over the examples; a single number.

    >>> bool(E(np.array([[0.5], [0.5]]), np.array([[1.0], [0.0]])) == np.log(2))
    True
    """
    m = y2.shape[1]
    return -np.sum(t * np.log(y2)) / m


def dE_dz2(y2: Any, t: Any, sum_t: Any = None) -> Any:
    """Result 2, equation (6): (sum(t) y2 - t) / m, shape (n2, m); with sum(t) = 1 it is (y2 - t) / m.

    The whole Jacobian of softmax, diag(y2) - y2 y2^T, times -t / y2.

    >>> dE_dz2(np.array([[0.25], [0.75]]), np.array([[1.0], [0.0]])).ravel()
    array([-0.75,  0.75])
    """
    m = y2.shape[1]
    if sum_t is None:
        sum_t = np.sum(t, axis=0, keepdims=True)
    return (sum_t * y2 - t) / m


def dE_dy1(y2: Any, t: Any, W2: Any, sum_t: Any = None) -> Any:
    """Result 3, equation (7): W2^T dE/dz2, shape (n1, m)."""
    return W2.T @ dE_dz2(y2, t, sum_t)


def dE_dW2(y2: Any, t: Any, y1: Any, sum_t: Any = None) -> Any:
    """Result 4: dE/dz2 y1^T = (y2 - t) y1^T / m, shape (n2, n1); the product adds the examples up."""
    return dE_dz2(y2, t, sum_t) @ y1.T


def dy1_dz1(y1: Any) -> Any:
    """Result 5, equations (10) to (12): diag(y1 * (1 - y1)) of each example, shape (m, n1, n1).

    >>> dy1_dz1(np.array([[0.5], [0.25]]))
    array([[[0.25  , 0.    ],
            [0.    , 0.1875]]])
    """
    return (y1 * (1 - y1)).T[:, :, None] * np.eye(y1.shape[0], dtype=y1.dtype)


def dE_dz1(y2: Any, t: Any, W2: Any, y1: Any, sum_t: Any = None) -> Any:
    """Result 6: dE/dy1 * y1 * (1 - y1), shape (n1, m); multiplying by a diagonal matrix is multiplying entries."""
    return dE_dy1(y2, t, W2, sum_t) * y1 * (1 - y1)


def dE_dW1(y2: Any, t: Any, W2: Any, y1: Any, x: Any, sum_t: Any = None) -> Any:
    """Result 7: dE/dz1 x^T = ((W2^T (y2 - t)) * y1 * (1 - y1)) x^T / m, shape (n1, n0)."""
    return dE_dz1(y2, t, W2, y1, sum_t) @ x.T


def dE_db2(y2: Any, t: Any, sum_t: Any = None) -> Any:
    """The gradient by b2, which the exercise has not: dE/dz2 added up over the examples, shape (n2, 1)."""
    return np.sum(dE_dz2(y2, t, sum_t), axis=1, keepdims=True)


def dE_db1(y2: Any, t: Any, W2: Any, y1: Any, sum_t: Any = None) -> Any:
    """The gradient by b1, which the exercise has not: dE/dz1 added up over the examples, shape (n1, 1)."""
    return np.sum(dE_dz1(y2, t, W2, y1, sum_t), axis=1, keepdims=True)


def results(x: Any, t: Any, W1: Any, W2: Any, b1: Any = None, b2: Any = None, sum_t: Any = None) -> dict[str, Any]:
    """The seven results in the exercise's order, and with biases their gradients, from the leaves alone.

    >>> every = results(np.ones((2, 1)), np.array([[1.0], [0.0]]), np.zeros((3, 2)), np.zeros((2, 3)))
    >>> list(every)
    ['E', 'dE/dz2', 'dE/dy1', 'dE/dW2', 'dy1/dz1', 'dE/dz1', 'dE/dW1']
    """
    _, y1, _, y2 = forward(x, W1, W2, b1, b2)
    found = {
        "E": E(y2, t),
        "dE/dz2": dE_dz2(y2, t, sum_t),
        "dE/dy1": dE_dy1(y2, t, W2, sum_t),
        "dE/dW2": dE_dW2(y2, t, y1, sum_t),
        "dy1/dz1": dy1_dz1(y1),
        "dE/dz1": dE_dz1(y2, t, W2, y1, sum_t),
        "dE/dW1": dE_dW1(y2, t, W2, y1, x, sum_t),
    }
    if b2 is not None:
        found["dE/db2"] = dE_db2(y2, t, sum_t)
    if b1 is not None:
        found["dE/db1"] = dE_db1(y2, t, W2, y1, sum_t)
    return found
