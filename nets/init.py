"""First weights: arrays of shape (units, inputs) drawn from a generator.  What they are for stands in layers.py.

Each function takes a NumPy generator and the shape, and keeps numbers near size 1 on their way through
a layer, for the kind of layer that its docstring names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Rng = np.random.Generator


def lecun_normal(rng: Rng, shape: tuple[int, int]) -> Any:
    """Normal with variance 1 / inputs, so that sums of inputs of size 1 have size 1: for sigmoid, tanh, softmax and no activation.

    LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), equation (16).

    >>> W = lecun_normal(np.random.default_rng(0), (100, 400))
    >>> W.shape, bool(abs(W.std() - 0.05) < 0.001)
    ((100, 400), True)
    """
    return rng.normal(0, shape[1] ** -0.5, shape)


def he_normal(rng: Rng, shape: tuple[int, int]) -> Any:
    """Normal with variance 2 / inputs, because relu lets half of its inputs pass.

    He, Zhang, Ren and Sun, Delving Deep into Rectifiers (2015), equation (10).

    >>> bool(abs(he_normal(np.random.default_rng(0), (100, 200)).std() - 0.1) < 0.001)
    True
    """
    return rng.normal(0, (2 / shape[1]) ** 0.5, shape)


def glorot_uniform(rng: Rng, shape: tuple[int, int]) -> Any:
    """Uniform with variance 2 / (inputs + units), between what forward and backward ask for: for tanh.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks (2010), equation (16).

    >>> bool(abs(glorot_uniform(np.random.default_rng(0), (3, 3))).max() <= 1)
    True
    """
    bound = (6 / sum(shape)) ** 0.5
    return rng.uniform(-bound, bound, shape)


def torch_uniform(rng: Rng, shape: tuple[int, int]) -> Any:
    """Uniform between -1 and 1 over the root of the number of inputs: what torch.nn.Linear draws.

    >>> bool(abs(torch_uniform(np.random.default_rng(0), (3, 4))).max() <= 0.5)
    True
    """
    bound = shape[1] ** -0.5
    return rng.uniform(-bound, bound, shape)


def zeros(rng: Rng, shape: tuple[int, int]) -> Any:
    """Nothing but 0, from which hidden layers do not learn: all units of a layer stay alike.

    >>> zeros(np.random.default_rng(0), (1, 2))
    array([[0., 0.]])
    """
    return np.zeros(shape)
