"""Chains of layers as PyTorch's, and back, for comparing both and for going on in the other; needs the package torch."""

from __future__ import annotations

from typing import Any

import numpy as np

import autodiff as ad

from .extras import need
from .layers import Linear, Module, ReLU, Sequential, Sigmoid, Softmax, Tanh


def to_torch(model: Module) -> Any:
    """A torch.nn.Sequential, or torch.nn.Linear, ..., with copies of the same numbers in the same dtype.

    Raises TypeError for a module of your own, which PyTorch cannot know; ModuleNotFoundError without torch.
    """
    torch = need("torch")
    if isinstance(model, Sequential):
        return torch.nn.Sequential(*(to_torch(m) for m in model.modules))
    if isinstance(model, Linear):
        dtype = torch.float32 if model.W.dtype == np.float32 else torch.float64
        made = torch.nn.Linear(model.inputs, model.units, bias=model.b is not None, dtype=dtype)
        with torch.no_grad():
            made.weight.copy_(torch.from_numpy(np.array(model.W.data)))
            if model.b is not None:
                made.bias.copy_(torch.from_numpy(np.array(model.b.data)))
        return made
    for ours, name, options in _ACTIVATIONS:
        if type(model) is ours:
            return getattr(torch.nn, name)(**options)
    raise TypeError(f"a {type(model).__name__} has no counterpart in torch.nn; translate its forward by hand")


def from_torch(module: Any) -> Module:
    """The reverse of `to_torch`: Sequential, Linear, Sigmoid, Tanh, ReLU and Softmax over axis 1 or -1, with copies of their numbers.

    Raises TypeError for any other module.
    """
    torch = need("torch")
    nn = torch.nn
    if type(module) is nn.Sequential:
        return Sequential(*(from_torch(m) for m in module))
    if type(module) is nn.Linear:
        if module.weight.dtype not in (torch.float32, torch.float64):
            raise ad.BadOperand(f"the weights are {module.weight.dtype}; write module.float() or module.double()")
        W = module.weight.detach().cpu().numpy()
        made = Linear(module.in_features, module.out_features, bias=module.bias is not None, dtype=W.dtype)
        made.W.data = W
        if made.b is not None:
            made.b.data = module.bias.detach().cpu().numpy()
        return made
    for ours, name, _ in _ACTIVATIONS:
        if type(module) is getattr(nn, name) and (name != "Softmax" or module.dim in (1, -1)):
            return ours()
    raise TypeError(f"{module!r} has no counterpart in nets.layers")


_ACTIVATIONS: tuple[tuple[type[Module], str, dict[str, Any]], ...] = (
    (Sigmoid, "Sigmoid", {}),
    (Tanh, "Tanh", {}),
    (ReLU, "ReLU", {}),
    (Softmax, "Softmax", {"dim": 1}),
)
