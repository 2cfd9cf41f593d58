"""The packages that only some of nets needs, imported when first used; a missing one is told in a sentence."""

from __future__ import annotations

from importlib import import_module
from typing import Any

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
