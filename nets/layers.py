"""Layers: modules that hold parameters, and chains of them.

Rows are examples, as in PyTorch and scikit-learn: `x` has shape (m, inputs), `Linear` computes `x @ W.T + b`
with W of shape (units, inputs) and b of shape (units,).  (In two_layer.py columns are examples, as in the
exercise; W1 and W2 have the same shapes in both.)  A module is called with an array, or a node; what it
computes is recorded under names as on paper: z1 = x @ W1.T + b1, y1 = sigmoid(z1), z2, ...
How first weights are drawn stands in init.py, how they learn in train.py and optim.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

import autodiff as ad

from . import init
from .extras import whole_number

Draw = Callable[[np.random.Generator, tuple[int, int]], Any]


class Module:
    """Something with parameters that is called with examples; subclasses set attributes and write `forward(x)`.

    Parameters are the Tensors, and those of the modules, among its attributes.  Each has a name: its own,
    then where it is, so `self.V = ad.Tensor(...)` is "V" and the weights of `self.top = Linear(2, 3)` are "W_top".
    A module that is part of two others is recorded under the names it was given last.

    >>> class Scaled(Module):
    ...     def __init__(self):
    ...         self.top, self.s = Linear(2, 3), ad.Tensor(1.0)
    ...     def forward(self, x):
    ...         return self.s * self.top(x)
    >>> list(Scaled().parameters()), Scaled()(np.ones((5, 2))).shape
    (['s', 'W_top', 'b_top'], (5, 3))
    """

    symbol: ClassVar[str] = ""  # what the result is called, if it has a name: z, y
    _place = ""  # "1" in a chain, "_top" as an attribute; what names end with
    _scope = ""  # the box that pictures put it in

    def forward(self, x: Any) -> Any:
        """The result for the examples `x`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, x)")

    def __call__(self, x: Any) -> Any:
        """Run `forward` on an array or node, recorded in the module's scope; a plain array becomes the constant "x"."""
        if not isinstance(x, ad.Tensor):
            x = ad.constant(np.asarray(x), name="x")
        with ad.scope(self._scope) if self._scope else nullcontext():
            y = self.forward(x)
        return y.named(self.symbol + self._place) if self.symbol and y.op is not None else y

    def __setattr__(self, name: str, value: Any) -> None:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        if any(isinstance(thing, Module | ad.Tensor) for thing in inside):
            raise TypeError(
                f"parameters inside a {type(value).__name__} would not be found: set {name} to a Sequential, or each as an attribute"
            )
        object.__setattr__(self, name, value)
        if isinstance(value, Module | ad.Tensor):
            self._settle()

    def children(self) -> Iterator[tuple[str, str, Module]]:
        """The modules among the attributes: how names of theirs end, their scope, and themselves."""
        for name, thing in vars(self).items():
            if isinstance(thing, Module):
                yield f"_{name}", name, thing

    def parameters(self) -> dict[str, ad.Tensor]:
        """Every parameter once, by its name: the module's own, then those of the modules inside."""
        found: dict[int, tuple[str, ad.Tensor]] = {}
        _collect(self, "", found)
        names = [name for name, _ in found.values()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two parameters of {type(self).__name__} would both be called {twice}; rename an attribute")
        return dict(found.values())

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters().values():
            p.zero_grad()

    def load(self, parameters: dict[str, Any]) -> None:
        """Assign arrays, or Tensors such as `parameters()` of another module of this kind, to all parameters by name.

        Raises ShapeMismatch, and changes nothing, unless names and shapes are those of `parameters()`.
        """
        assign(self.parameters(), parameters)

    def reset(self, rng: np.random.Generator) -> None:
        """Draw the first parameters anew, those of the modules inside in order."""
        for _, _, child in self.children():
            child.reset(rng)

    def _settle(self) -> None:
        """Names and places follow from the outermost module: called whenever a part is put in."""
        _place(self, self._place, "")
        for name, p in self.parameters().items():
            p.name = name

    def _title(self) -> str:
        return type(self).__name__

    def titles(self) -> str:
        """The modules in one line, without their parameters."""
        return ", ".join(title.strip() for title, _ in _lines(self, 0))

    def __repr__(self) -> str:
        """The tree of modules with the shapes and counts of parameters."""
        lines = _lines(self, 0)
        if len(lines) == 1:
            return lines[0][0]
        width = max(len(title) for title, _ in lines)
        return "\n".join(f"{title.ljust(width)}  {size}".rstrip() for title, size in lines)


def arrays(parameters: dict[str, Any]) -> dict[str, Any]:
    """Copies of the numbers of parameters, by name: what `assign` takes."""
    return {name: p.data if isinstance(p, ad.Value) else np.array(p.data) for name, p in parameters.items()}


def assign(parameters: dict[str, ad.Tensor], arrays: dict[str, Any]) -> None:
    """Give every parameter the array of its name; ShapeMismatch, with nothing changed, unless names and shapes fit.

    >>> layer = Linear(2, 1)
    >>> assign(layer.parameters(), {"W": np.ones((1, 2))})
    Traceback (most recent call last):
        ...
    autodiff.errors.ShapeMismatch: the parameters are W (1, 2), b (1,), but the arrays given are W (1, 2)
    """
    have, given = ({name: np.shape(p.data if isinstance(p, ad.Tensor) else p) for name, p in d.items()} for d in (parameters, arrays))
    if have != given:
        raise ad.ShapeMismatch(f"the parameters are {_shapes(have)}, but the arrays given are {_shapes(given)}")
    for name, p in parameters.items():
        array = arrays[name]
        p.data = array.data if isinstance(array, ad.Tensor) else array


def _shapes(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"


def _collect(module: Module, place: str, found: dict[int, tuple[str, ad.Tensor]]) -> None:
    for name, thing in vars(module).items():
        if isinstance(thing, ad.Tensor):
            found.setdefault(thing.id, (name + place, thing))
    for end, _, child in module.children():
        _collect(child, _joined(place, end), found)


def _place(module: Module, place: str, scope: str) -> None:
    object.__setattr__(module, "_place", place)
    object.__setattr__(module, "_scope", scope)
    for end, inner, child in module.children():
        _place(child, _joined(place, end), inner)


def _joined(place: str, end: str) -> str:
    return f"{place}_{end}" if place[-1:].isdigit() and end[:1].isdigit() else place + end


def _lines(module: Module, depth: int) -> list[tuple[str, str]]:
    own = {name: p for name, p in vars(module).items() if isinstance(p, ad.Tensor)}
    every = module.parameters()
    count = sum(p.size for p in every.values())
    size = ", ".join(f"{name}{module._place} {p.shape}" for name, p in own.items())
    total = f"{count} parameter{'s' if count != 1 else ''}" if every else ""
    lines = [("  " * depth + module._title(), f"{size}: {total}" if size else total)]
    for _, _, child in module.children():
        lines += _lines(child, depth + 1)
    return lines


class Linear(Module):
    """`x @ W.T + b`: each unit adds up its inputs by its row of weights.

    `Linear(inputs, units, bias=True, draw=init.lecun_normal, seed=None, dtype=np.float64)`: `seed` is a
    number or a NumPy generator; None draws other weights each time.  Biases start at 0.  Raises
    ShapeMismatch when called with anything but rows of that many inputs.

    >>> layer = Linear(2, 3, seed=0)
    >>> layer(np.ones((5, 2))).shape
    (5, 3)
    >>> {name: p.shape for name, p in layer.parameters().items()}
    {'W': (3, 2), 'b': (3,)}
    """

    symbol = "z"

    def __init__(
        self, inputs: int, units: int, bias: bool = True, *, draw: Draw = init.lecun_normal, seed: Any = None, dtype: Any = np.float64
    ) -> None:
        self.inputs, self.units = (
            whole_number(f"Linear's number of {what}", number, 1) for what, number in (("inputs", inputs), ("units", units))
        )
        self.draw = draw
        self.W = ad.Tensor(np.zeros((units, inputs)), name="W", dtype=dtype)
        self.b = ad.Tensor(np.zeros(units), name="b", dtype=dtype) if bias else None
        self.reset(np.random.default_rng(seed))

    def reset(self, rng: np.random.Generator) -> None:
        """Draw W anew and set b to 0."""
        self.W.data = self.draw(rng, (self.units, self.inputs))
        if self.b is not None:
            self.b.data = np.zeros(self.units)

    def forward(self, x: Any) -> Any:
        """`x @ W.T + b`."""
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise ad.ShapeMismatch(
                f"{self.W.name} takes rows of {self.inputs} numbers, one row an example, but got shape {x.shape}{self._hint(x)}"
            )
        z = x @ self.W.T
        return z if self.b is None else z + self.b

    def _hint(self, x: Any) -> str:
        if x.shape == (self.inputs,):
            return "; write x[None, :] for a single example"
        if x.ndim == 2 and x.shape[0] == self.inputs:
            return "; are your examples columns? Write x.T"
        return f"; write x.reshape({x.shape[0]}, -1)" if x.ndim > 2 and x.size == x.shape[0] * self.inputs else ""

    def _title(self) -> str:
        return f"Linear({self.inputs}, {self.units}{', bias=False' if self.b is None else ''})"


class _Activation(Module):
    symbol = "y"


class Sigmoid(_Activation):
    """1 / (1 + e^-z), entry by entry.

    >>> Sigmoid()(np.zeros((1, 2))).data
    array([[0.5, 0.5]])
    """

    def forward(self, x: Any) -> Any:
        """sigmoid(x)."""
        return ad.sigmoid(x)


class Tanh(_Activation):
    """The hyperbolic tangent, entry by entry.

    >>> Tanh()(np.zeros((1, 2))).data
    array([[0., 0.]])
    """

    def forward(self, x: Any) -> Any:
        """tanh(x)."""
        return ad.tanh(x)


class ReLU(_Activation):
    """max(z, 0), entry by entry, with derivative 0 at 0.

    >>> ReLU()(np.array([[-1.0, 2.0]])).data
    array([[0., 2.]])
    """

    def forward(self, x: Any) -> Any:
        """relu(x)."""
        return ad.relu(x)


class Softmax(_Activation):
    """Scores into probabilities: each row positive, with sum 1.  The losses that take scores do not want it.

    >>> Softmax()(np.zeros((1, 4))).data
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    def forward(self, x: Any) -> Any:
        """softmax of each row."""
        return ad.softmax(x, axis=1)


class Sequential(Module):
    """Modules one after the other, in layers that are counted from 1; a layer is a module with parameters and what follows it.

    `seed`, a number or a NumPy generator, draws all first parameters anew from one generator.

    >>> net = Sequential(Linear(4, 5), Sigmoid(), Linear(5, 3), Softmax(), seed=0)
    >>> net
    Sequential      43 parameters
      Linear(4, 5)  W1 (5, 4), b1 (5,): 25 parameters
      Sigmoid
      Linear(5, 3)  W2 (3, 5), b2 (3,): 18 parameters
      Softmax
    >>> y2 = net(np.ones((6, 4)))
    >>> y2.name, y2.scope, y2.shape
    ('y2', ('layer2',), (6, 3))
    """

    modules: tuple[Module, ...]

    def __init__(self, *modules: Module, seed: Any = None) -> None:
        for module in modules:
            if not isinstance(module, Module):
                hint = f"; write {module.__name__}()" if isinstance(module, type) and issubclass(module, Module) else ""
                hint = "; write Sequential(*modules)" if isinstance(module, list | tuple) else hint
                raise TypeError(f"Sequential takes modules, not {module!r}{hint}")
        if len({id(m) for m in modules}) < len(modules):
            raise ValueError("Sequential was given one module twice; make a second one, or write a Module whose forward uses it twice")
        object.__setattr__(self, "modules", modules)
        self._settle()
        if seed is not None:
            self.reset(np.random.default_rng(seed))

    def children(self) -> Iterator[tuple[str, str, Module]]:
        """The modules with the number of their layer."""
        layer = 0
        for module in self.modules:
            layer += bool(module.parameters())
            yield str(max(layer, 1)), f"layer{max(layer, 1)}", module

    def forward(self, x: Any) -> Any:
        """The last module's result."""
        for module in self.modules:
            x = module(x)
        return x

    def __getitem__(self, index: int) -> Module:
        return self.modules[index]

    def __len__(self) -> int:
        return len(self.modules)


ACTIVATIONS: dict[str, type[Module]] = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU}


def mlp(*sizes: int, activation: str = "sigmoid", seed: Any = None, dtype: Any = np.float64) -> Sequential:
    """A chain of Linear layers with an activation after each but the last: `mlp(inputs, hidden, ..., outputs)`.

    `activation` is "sigmoid", "tanh" or "relu", which also decides how weights are drawn (see init.py).

    >>> mlp(2, 8, 3, activation="relu", seed=0)
    Sequential      51 parameters
      Linear(2, 8)  W1 (8, 2), b1 (8,): 24 parameters
      ReLU
      Linear(8, 3)  W2 (3, 8), b2 (3,): 27 parameters
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is one of {', '.join(ACTIVATIONS)}, not {activation!r}")
    if len(sizes) < 2:
        hint = "; write mlp(*sizes)" if sizes and isinstance(sizes[0], list | tuple) else ""
        raise ValueError(f"mlp needs at least the number of inputs and of outputs, not {sizes!r}{hint}")
    draw = init.he_normal if activation == "relu" else init.lecun_normal
    modules: list[Module] = []
    for inputs, units in pairwise(sizes):
        modules += [Linear(inputs, units, draw=draw, dtype=dtype), ACTIVATIONS[activation]()]
    return Sequential(*modules[:-1], seed=np.random.default_rng(seed))
