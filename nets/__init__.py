"""Networks built on autodiff as any user would build them: the exercise's network, proven, layers that train, and `python -m nets`."""

from typing import Any

from . import data, init, layers, losses, optim, scalar, train
from .layers import Linear, Module, ReLU, Sequential, Sigmoid, Softmax, Tanh, mlp
from .two_layer import ByRows, Pass, TwoLayer, array_of_values, forward

__all__ = [
    "ByRows",
    "Linear",
    "Module",
    "Pass",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "TwoLayer",
    "array_of_values",
    "data",
    "forward",
    "from_torch",
    "init",
    "layers",
    "losses",
    "mlp",
    "optim",
    "scalar",
    "to_torch",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in ("to_torch", "from_torch"):
        from . import torch_net

        return getattr(torch_net, name)
    raise AttributeError(f"module 'nets' has no attribute {name!r}")
