"""LIMITS.md is what NumPy's namespace and the table make; and what it says raises, raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.ops import BY_NUMPY
from autodiff.ops.limits import MODULES, dispatched, page
from autodiff.ops.operand import ABOUT, COMPARISONS

PAGE = Path(__file__).parent.parent / "LIMITS.md"
FREE = [
    (f"{prefix}.{name}", f)
    for prefix, module in MODULES.items()
    for name, f in dispatched(module)
    if not any(f is g for g in (*ABOUT, *COMPARISONS, *BY_NUMPY))
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_page_is_fresh() -> None:
    version = ".".join(np.__version__.split(".")[:2])
    if f"from NumPy {version} " not in PAGE.read_text():
        pytest.skip(f"the page was made with another NumPy than {version}")
    assert page() == PAGE.read_text()


@pytest.mark.parametrize(("name", "function"), FREE, ids=[name for name, _ in FREE])
def test_a_function_without_a_rule_raises(name: str, function: Any) -> None:
    t = ad.Tensor([[2.0, 1.0], [1.0, 3.0]])
    with pytest.raises(ad.NoRule, match=function.__name__):
        if isinstance(function, np.ufunc):
            function(*[t] * function.nin)
        else:
            t.__array_function__(function, (ad.Tensor,), (t,), {})


def test_there_are_such_functions() -> None:
    assert {"np.fft.fft", "np.interp", "np.linalg.qr", "np.floor_divide"} <= {name for name, _ in FREE}
