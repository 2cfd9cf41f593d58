"""Write LIMITS.md: which of NumPy's functions record, with which keywords, and which raise NoRule: `make limits`.

The page is made of NumPy's namespace and the table, so that it says what is, not what was meant.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .operand import ABOUT, COMPARISONS
from .table import BY_NUMPY, COMPOSED, functions

TARGET = Path(__file__).parents[2] / "LIMITS.md"
MODULES = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft}
# Where results go, how they are computed and of which dtype: a node has one answer to each.
NEVER = {"out", "dtype", "casting", "order", "subok", "like", "device", "copy"}

_HEAD = """# What records, and what does not

Written by `make limits` from NumPy {version} and the table of ops; a test compares.

A function of NumPy's that is not on the first list raises `NoRule` when it meets a node; so does a keyword argument
that its line leaves out. `out=`, `dtype=` and the like are left out everywhere: a node's array is its own. Where NumPy
asks no operand (`np.array`, `np.asarray`, `np.r_`, `np.c_`, lists of nodes as an operand), `Detached` is raised: write
`ad.stack` or `ad.concatenate`.
"""

_NOTES = """
## Where derivatives do not exist

- Kinks: `abs`, `relu` and `sign` at 0, `norm` and `std` of all zeros, `hypot` and `arctan2` at the origin have derivatives 0;
  `maximum`, `max`, `min` share it among equal entries; on a bound `clip` gives it to the operand; of equal entries `sort`
  moves it with some order of them. These are PyTorch's answers (which has nan for `hypot` there).
- `floor`, `ceil`, `trunc`, `rint` and `sign` have derivative 0 between their jumps.
- `prod` and `cumprod` divide by nothing and are right where entries are 0; so are the first and second derivatives of `det` of a
  singular matrix.
- `Degenerate` is raised for the inverse of a singular matrix, the derivative of eigenvectors or singular vectors whose values
  coincide (that of the values alone exists), the derivative of `pinv` below full rank, and the third derivative of
  `det` of a matrix that is singular or nearly so.
- `cholesky` and `eigh` read one triangle of their operand, as in NumPy, and their derivative is with respect to that
  triangle. For the symmetric gradient write them of `(x + x.T) / 2`.
- `t.sort()` returns the sorted Tensor; an array's method sorts in place.
- Numbers are real: there are no derivatives of complex functions.
"""


def dispatched(module: Any) -> Iterator[tuple[str, Any]]:
    """The public functions of a module of NumPy's that ask their operands, by name."""
    for name in sorted(dir(module)):
        function = getattr(module, name)
        if not name.startswith("_") and (isinstance(function, np.ufunc) or type(function) is type(np.sum)):
            yield name, function


def keywords(function: Any) -> list[str]:
    """The names of a NumPy function's parameters that have a default; none if it does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return []
    if isinstance(function, np.ufunc):
        return ["where"]
    return [p.name for p in parameters if p.default is not p.empty]


def _known(op: Any, function: Any) -> tuple[list[str], list[str]]:
    """Of a NumPy function's keywords those that have a rule, and those that have none."""
    count = 1 if op.arity is None else op.arity
    names = [name for name in keywords(function) if name not in NEVER]
    try:
        operands = list(inspect.signature(function).parameters)[:count]
    except ValueError:
        operands = []
    known = [name for name in names if name in op.known or name in operands]
    if op.kind == "composed" and any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
        known += [name for name in op.statics if name not in inspect.signature(function).parameters]
    return known, [name for name in names if name not in known and (function is not np.einsum or name != "optimize")]


def _recorded() -> Iterator[str]:
    for prefix, module in MODULES.items():
        for name, function in dispatched(module):
            op = BY_NUMPY.get(function)
            if op is not None and name == function.__name__:
                known, missing = _known(op, function)
                without = f"without `{', '.join(missing)}`" if missing and not isinstance(function, np.ufunc) else ""
                yield f"| `{prefix}.{name}` | {' '.join(f'`{k}=`' for k in known)} | {without} |"


def _ours() -> list[str]:
    return sorted(
        f"`ad.{op.name}`"
        for op in functions()
        if not op.numpy and not hasattr(np, op.name) and op.kind != "composed" and op.name not in COMPOSED
    )


def _listed(prefix: str, module: Any) -> list[str]:
    free = [*ABOUT, *COMPARISONS, *BY_NUMPY]
    return [f"`{prefix}.{name}`" for name, function in dispatched(module) if not any(function is f for f in free)]


def page() -> str:
    """The text of LIMITS.md."""
    answering: set[Any] = {*ABOUT, *COMPARISONS}
    about = sorted(f"`np.{f.__name__}`" for f in answering)
    parts = [_HEAD.format(version=".".join(np.__version__.split(".")[:2]))]
    parts += ["## What records", "", "| function | keywords | left out |", "|---|---|---|", *_recorded(), ""]
    parts += ["Ufuncs take no `where=`, and of their methods (`np.add.reduce`, ...) none records.", ""]
    parts += ["Ops without a NumPy function: " + ", ".join(_ours()) + ".", ""]
    parts += ["## What answers with plain numbers", "", ", ".join(about) + ".", ""]
    parts += ["## What raises NoRule"]
    for prefix, module in MODULES.items():
        parts += ["", f"`{prefix}`: " + ", ".join(_listed(prefix, module)) + "."]
    return "\n".join(parts) + "\n" + _NOTES


if __name__ == "__main__":
    TARGET.write_text(page())
