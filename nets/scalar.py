"""Neurons of single numbers, with micrograd's interface: Neuron, Layer and MLP of `ad.Value`s.

The same first weights from the same `random.seed`, the same `parameters()` (a list), and the same numbers
as micrograd.nn (Karpathy, 2020); each neuron's sum is one node, `ad.dot`, and pictures show layers and neurons as boxes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import autodiff as ad


class Module:
    """Something with a list of parameters."""

    def parameters(self) -> list[ad.Value]:
        """Every weight and bias."""
        return []

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.zero_grad()


class Neuron(Module):
    """w . x + b, then relu if `nonlin`; weights are uniform between -1 and 1 by Python's `random`, the bias starts at 0.

    >>> n = Neuron(2)
    >>> n, len(n.parameters()), n([0.0, 0.0]).data
    (ReLUNeuron(2), 3, 0.0)
    """

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [ad.Value(random.uniform(-1, 1), name=f"w{i}") for i in range(1, nin + 1)]
        self.b = ad.Value(0.0, name="b")
        self.nonlin = nonlin

    def __call__(self, x: Sequence[Any]) -> Any:
        """The neuron's output for as many numbers or Values as it has weights; raises ShapeMismatch for another number."""
        if len(x) != len(self.w):
            raise ad.ShapeMismatch(f"a neuron of {len(self.w)} weights was given {len(x)} numbers")
        z = ad.dot(self.w, list(x)) + self.b
        return z.relu() if self.nonlin else z

    def parameters(self) -> list[ad.Value]:
        """The weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """`nout` neurons that look at the same `nin` numbers; its result is a list, or one Value if it is one neuron.

    >>> [type(y).__name__ for y in Layer(2, 3)([1.0, -2.0])]
    ['Value', 'Value', 'Value']
    """

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        """What each neuron makes of `x`."""
        out = []
        for k, neuron in enumerate(self.neurons, 1):
            with ad.scope(f"neuron{k}"):
                out.append(neuron(x))
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[ad.Value]:
        """Those of each neuron in order."""
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(Module):
    """Layers one after the other: relu in all but the last.

    >>> random.seed(1337)
    >>> model = MLP(2, [16, 16, 1])
    >>> len(model.parameters()), round(model([1.0, -2.0]).data, 6)
    (337, -1.332431)
    """

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        sizes = [nin, *nouts]
        self.layers = [Layer(sizes[i], sizes[i + 1], nonlin=i != len(nouts) - 1) for i in range(len(nouts))]

    def __call__(self, x: Any) -> Any:
        """The last layer's result for one example `x`."""
        for k, layer in enumerate(self.layers, 1):
            with ad.scope(f"layer{k}"):
                x = layer(x if isinstance(x, list) else [x] if isinstance(x, ad.Value) else list(x))
        return x

    def parameters(self) -> list[ad.Value]:
        """Those of each layer in order."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(str, self.layers))}]"
