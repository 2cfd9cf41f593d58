"""What several files of nets share: packages that only some of them need, imported when first used; and a check of whole numbers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

_PACKAGES = {"sklearn": "scikit-learn"}  # where the package is not called like the module


def need(module: str) -> Any:
    """Import a module of an optional package; raises ModuleNotFoundError that says what to install.

    >>> need("json").dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # the package is there, and misses something itself
        package = _PACKAGES.get(top, top)
        how = f"pip install {package}" if top == "torch" else 'pip install "autodiff-graph[nets]"'
        raise ModuleNotFoundError(f"{package} must be installed for this: {how}", name=error.name) from None


def whole_number(what: str, number: Any, least: int) -> int:
    """The number, if it is a whole one that is large enough; ValueError otherwise.

    >>> whole_number("batch", 32, 1)
    32
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
        raise ValueError(f"{what} is a whole number, {least} or more, not {number!r}")
    return int(number)
