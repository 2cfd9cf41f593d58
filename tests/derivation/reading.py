"""Runs the plain text of a formula as its reader understands it, to prove that the text says what the source computes.

Elementwise operations are NumPy's.  In products a vector is a column, and `v.T` is a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autodiff.ops import TABLE


class Read:
    """An array in a formula that is being read."""

    __array_ufunc__ = None

    def __init__(self, a: Any) -> None:
        self.a = np.asarray(a, float)

    def __matmul__(self, other: Read) -> Read:
        left, right = (x[:, None] if x.ndim == 1 else x for x in (self.a, other.a))
        z = left @ right
        return Read(z.reshape(-1) if other.a.ndim == 1 and z.shape[0] > 1 else z.item() if z.size == 1 else z)

    def __getitem__(self, key: Any) -> Read:
        return Read(self.a[key])

    @property
    def T(self) -> Read:
        return Read(self.a[None, :] if self.a.ndim == 1 else self.a.T)

    def sum(self, *args: Any, **kw: Any) -> Read:
        return Read(self.a.sum(*args, **kw))

    def __neg__(self) -> Read:
        return Read(-self.a)


def _number(x: Any) -> Any:
    return x.a if isinstance(x, Read) else x


for _name in ("add", "sub", "mul", "truediv", "pow", "lt", "le", "gt", "ge", "eq"):

    def _operate(self: Read, other: Any, name: str = f"__{_name}__") -> Read:
        return Read(getattr(self.a, name)(_number(other)))

    def _reflected(self: Read, other: Any, name: str = f"__{_name}__") -> Read:
        return Read(getattr(np.asarray(other, float), name)(self.a))

    setattr(Read, f"__{_name}__", _operate)
    setattr(Read, f"__r{_name}__", _reflected)


def _function(f: Callable[..., Any]) -> Callable[..., Read]:
    return lambda *args, **kw: Read(f(*(tuple(map(_number, a)) if isinstance(a, tuple) else _number(a) for a in args), **kw))


def _softmax(x: Any, axis: Any = None) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _eye(n: Any) -> Any:
    return np.eye(int(n))


def _ones(n: Any) -> Any:
    return np.ones(np.asarray(n, int))


def _zeros(n: Any) -> Any:
    return np.zeros(np.asarray(n, int))


_NUMPY = ("sum", "exp", "log", "sqrt", "sin", "cos", "tanh", "sign", "abs", "max", "min", "diag", "trace", "einsum", "log1p", "expm1")
FUNCTIONS: dict[str, Any] = {
    **{name: op.forward for name, op in TABLE.items() if op.arity == 1},
    **{name: getattr(np, name) for name in _NUMPY},
    **{name: getattr(np.linalg, name) for name in ("inv", "norm")},
    "softmax": _softmax,
    "eye": _eye,
    "ones": _ones,
    "zeros": _zeros,
}


def read(text: str, root: str, values: Mapping[str, Any]) -> Any:
    """The numbers of a formula's text; gradients in it, dE/dy, are found in `values` as ∂y."""
    text = re.sub(rf"\bd{root}/d(\w+)", r"∂\1", text).replace("∂", "gradient_")
    scope: dict[str, Any] = {name: _function(f) for name, f in FUNCTIONS.items()}
    scope |= {name.replace("∂", "gradient_"): Read(x) for name, x in values.items()}
    return _number(eval(text, scope))


def reads_as(text: str, root: str, values: Mapping[str, Any], truth: Any) -> bool:
    """Does the text, as it is read, give these numbers in this shape, up to axes of length 1?"""
    found = np.asarray(read(text, root, values), float)
    shape = [n for n in np.shape(truth) if n != 1]
    if [n for n in found.shape if n != 1] != shape:
        return False
    return bool(np.allclose(found.reshape(shape), np.reshape(truth, shape), rtol=1e-6, atol=1e-8 * (1 + np.abs(truth).max(initial=0))))
