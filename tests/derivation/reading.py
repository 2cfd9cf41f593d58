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
    """An array in a formula that is being read; `row`: the transpose of a vector."""

    __array_ufunc__ = None

    def __init__(self, a: Any, row: bool = False) -> None:
        self.a, self.row = np.asarray(a, float), row

    def __matmul__(self, other: Read) -> Read:
        left, right = (x[:, None] if x.ndim == 1 else x for x in (self.a, other.a))
        z = left @ right
        z = z[:, 0] if other.a.ndim == 1 else z
        return Read(z[0], False) if self.row and other.a.ndim == 1 else Read(z, self.row)

    def __getitem__(self, key: Any) -> Read:
        return Read(self.a[key])

    @property
    def T(self) -> Read:
        if self.row:
            return Read(self.a[0])
        return Read(self.a[None, :], True) if self.a.ndim == 1 else Read(self.a.T)

    def sum(self, *args: Any, **kw: Any) -> Read:
        return Read(self.a.sum(*args, **kw))

    def __neg__(self) -> Read:
        return Read(-self.a, self.row)


def _number(x: Any) -> Any:
    return x.a if isinstance(x, Read) else x


def _stays_row(x: Read, y: Any) -> bool:
    return any(a.row and (np.ndim(_number(b)) == 0 or b.row) for a, b in ((x, y), (y, x)) if isinstance(a, Read))


for _name in ("add", "sub", "mul", "truediv", "pow", "lt", "le", "gt", "ge", "eq"):

    def _operate(self: Read, other: Any, name: str = f"__{_name}__") -> Read:
        return Read(getattr(self.a, name)(_number(other)), _stays_row(self, other))

    def _reflected(self: Read, other: Any, name: str = f"__{_name}__") -> Read:
        return Read(getattr(np.asarray(other, float), name)(self.a), _stays_row(self, other))

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


_NUMPY = (
    "sum",
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tanh",
    "sign",
    "abs",
    "max",
    "min",
    "diag",
    "trace",
    "einsum",
    "log1p",
    "expm1",
    "reshape",
    "heaviside",
)
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
    """Does the text, as it is read, give these numbers in this shape?"""
    found = np.asarray(read(text, root, values), float)
    if found.shape != np.shape(truth):
        return False
    return bool(np.allclose(found, truth, rtol=1e-6, atol=1e-8 * (1 + np.abs(truth).max(initial=0))))
