"""The exercise's network: sigmoid, softmax, cross-entropy, with every quantity named as on paper.

    z1 = W1 x (+ b1)    y1 = sigmoid(z1)    z2 = W2 y1 (+ b2)    y2 = softmax(z2)    E = (1/m) sum_j -t_j . log y2_j

Columns are examples: `x` has shape (n0, m), `t` and `y2` (n2, m); biases are columns (n1, 1), (n2, 1).
`forward` is written once and runs on plain arrays, Tensors and arrays of Values.  How a net learns
stands in train.py, its gradients by hand in closed_form.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import autodiff as ad


class Pass(NamedTuple):
    """What one forward pass computes, by the exercise's names."""

    x: Any
    z1: Any
    y1: Any
    z2: Any
    y2: Any
    t: Any
    E: Any


def outputs(x: Any, W1: Any, W2: Any, b1: Any = None, b2: Any = None, *, fused: bool = False) -> tuple[Any, Any, Any, Any]:
    """z1, y1, z2, y2 for the examples `x`; everything of `forward` that needs no targets."""
    _check_columns("x", x, W1.shape[1], "one per input")
    z1 = _named("z1", W1 @ x if b1 is None else W1 @ x + b1)
    y1 = _named("y1", ad.sigmoid(z1) if fused else 1 / (1 + np.exp(-z1)))
    z2 = _named("z2", W2 @ y1 if b2 is None else W2 @ y1 + b2)
    y2 = _named("y2", ad.softmax(z2, axis=0) if fused else _softmax(z2))
    return z1, y1, z2, y2


def forward(x: Any, t: Any, W1: Any, W2: Any, b1: Any = None, b2: Any = None, *, fused: bool = False) -> Pass:
    """Run the network on m examples and name what it records.

    From primitives (exp, sum, divide) or, `fused`, by the ops sigmoid and softmax, which do not
    overflow for large z and are for Tensors and plain arrays.  E stands on log(y2) as in the exercise,
    so it is inf or nan once an entry of y2 is too small for a float.  Raises ShapeMismatch unless `x`
    and `t` are matrices with a column for each example.

    >>> run = forward(np.ones((2, 1)), np.array([[1.0], [0.0]]), np.zeros((3, 2)), np.zeros((2, 3)))
    >>> run.y1.ravel(), run.y2.ravel(), bool(run.E == np.log(2))
    (array([0.5, 0.5, 0.5]), array([0.5, 0.5]), True)
    """
    _check_columns("t", t, W2.shape[0], "one per class")
    z1, y1, z2, y2 = outputs(x, W1, W2, b1, b2, fused=fused)
    if x.shape[1] != t.shape[1]:
        raise ad.ShapeMismatch(f"x holds {x.shape[1]} examples and t {t.shape[1]}: both need one column per example")
    E = _named("E", np.mean(-np.sum(t * np.log(y2), axis=0)))
    return Pass(x, z1, y1, z2, y2, t, E)


class TwoLayer:
    """The network with its own weights, `W1`, `W2` and, with biases, `b1`, `b2`: Tensors, or arrays of Values.

    >>> net = TwoLayer.random(4, 5, 3)
    >>> list(net.parameters())
    ['W1', 'W2', 'b1', 'b2']
    """

    def __init__(self, W1: Any, W2: Any, b1: Any = None, b2: Any = None, *, fused: bool = True) -> None:
        self.W1, self.W2, self.b1, self.b2, self.fused = W1, W2, b1, b2, fused

    @classmethod
    def random(
        cls, n0: int, n1: int, n2: int, *, biases: bool = True, fused: bool = True, seed: int = 0, dtype: Any = np.float64
    ) -> TwoLayer:
        """A net of Tensors with n0 inputs, n1 hidden units and n2 >= 2 classes.

        Weights are normal with variance 1 / (units that feed them), so that z starts of size 1
        whatever the sizes are; biases start at 0.
        """
        rng = np.random.default_rng(seed)
        W1 = ad.Tensor(rng.normal(0, n0**-0.5, (n1, n0)), name="W1", dtype=dtype)
        W2 = ad.Tensor(rng.normal(0, n1**-0.5, (n2, n1)), name="W2", dtype=dtype)
        b1 = ad.Tensor(np.zeros((n1, 1)), name="b1", dtype=dtype) if biases else None
        b2 = ad.Tensor(np.zeros((n2, 1)), name="b2", dtype=dtype) if biases else None
        return cls(W1, W2, b1, b2, fused=fused)

    def of_values(self) -> TwoLayer:
        """The same net of primitives on single numbers: every weight a Value of its own."""
        arrays = {name: array_of_values(p.data, name) for name, p in self.parameters().items()}
        return TwoLayer(**arrays, fused=False)

    def parameters(self) -> dict[str, Any]:
        """The weights and biases there are, by name."""
        every = {"W1": self.W1, "W2": self.W2, "b1": self.b1, "b2": self.b2}
        return {name: p for name, p in every.items() if p is not None}

    def __call__(self, x: Any, t: Any) -> Pass:
        """The forward pass on examples `x` with targets `t`, recorded under the exercise's names."""
        if isinstance(self.W1, ad.Tensor):
            x, t = ad.constant(x, name="x"), ad.constant(t, name="t")
        return forward(x, t, **self.parameters(), fused=self.fused)

    def probabilities(self, x: Any) -> Any:
        """y2 for each column of `x` as a plain array, without recording."""
        plain = {name: p.data for name, p in self.parameters().items()}
        return outputs(x, **plain, fused=True)[3]


class ByRows:
    """A TwoLayer of Tensors as `train.fit` takes models: rows of `x` in, rows of probabilities y2 out, by the same weights.

    >>> ByRows(TwoLayer.random(4, 5, 3))(np.ones((6, 4))).shape
    (6, 3)
    """

    def __init__(self, net: TwoLayer) -> None:
        self.net, self.parameters = net, net.parameters

    def __call__(self, x: Any) -> Any:
        """y2 of each row of `x`, as rows."""
        return outputs(x.T, **self.parameters(), fused=self.net.fused)[3].T


def array_of_values(numbers: Any, name: str) -> Any:
    """An array of objects with one Value per number, named `name[i, j]`.

    >>> array_of_values(np.array([[1.0, 2.0]]), "W")[0, 1]
    Value(data=2.0, name='W[0, 1]')
    """
    values = np.empty(np.shape(numbers), object)
    for index, number in np.ndenumerate(numbers):
        values[index] = ad.Value(number)
    return _named(name, values)


def _softmax(z: Any) -> Any:
    e = np.exp(z)
    return e / np.sum(e, axis=0, keepdims=True)


def _named(name: str, result: Any) -> Any:
    """Name a node, or every Value of an array; plain numbers have no name."""
    if isinstance(result, ad.Tensor | ad.Value):
        return result.named(name)
    if isinstance(result, np.ndarray) and result.dtype == object:
        for index, value in np.ndenumerate(result):
            value.named(f"{name}[{', '.join(map(str, index))}]")
    return result


def _check_columns(name: str, array: Any, rows: int, meaning: str) -> None:
    if len(array.shape) != 2:
        hint = f"; write {name}[:, None] for a single example" if len(array.shape) == 1 else ""
        raise ad.ShapeMismatch(f"{name} has shape {array.shape}, but columns are examples, so it needs two axes{hint}")
    if array.shape[0] != rows:
        raise ad.ShapeMismatch(f"{name} has shape {array.shape}, but the weights ask for {rows} rows, {meaning}")
