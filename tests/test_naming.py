"""Names found where a reader was called: variables, then attributes one level down; nothing stored, no property run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.naming import describe, label, user_frame, variables


def test_the_first_name_without_underscore_wins() -> None:
    _hidden = first = second = ad.Tensor([1.0])
    assert label(first) == "first"
    assert second.name is None


def test_the_node_s_own_name_wins() -> None:
    local = ad.Tensor([1.0], name="W")
    assert label(local) == "W"


class Owner:
    def __init__(self) -> None:
        self.W2 = ad.Tensor([1.0])
        self._private = ad.Tensor([2.0])
        self.nested = [ad.Tensor([3.0])]
        self.ran = False

    @property
    def trap(self) -> Any:
        self.ran = True
        return ad.Tensor([4.0])


def test_attributes_one_level_down_but_no_properties() -> None:
    net = Owner()
    assert label(net.W2) == "W2"
    assert label(net._private) == "an unnamed leaf"
    assert label(net.nested[0]) == "an unnamed leaf"
    assert net.ran is False
    assert net.W2.name is None


def test_an_object_that_lies_about_its_attributes_is_left_alone() -> None:
    class Odd:
        def __getattribute__(self, name: str) -> Any:
            if name.startswith("__"):
                return object.__getattribute__(self, name)
            raise RuntimeError("asked")

    odd = Odd()
    x = ad.Tensor([1.0])
    assert label(x) == "x"
    del odd


def test_a_variable_beats_an_attribute() -> None:
    net = Owner()
    weights = net.W2
    assert label(weights) == "weights"


def test_results_and_plain_things_without_a_name() -> None:
    assert label(ad.Tensor([1.0]) * 2) == "the result of mul"
    assert label(ad.Tensor([1.0])) == "an unnamed leaf"
    assert label(3.0) == "a constant"


def test_describe_names_nodes_and_arrays() -> None:
    W, x = ad.Tensor(np.zeros((2, 3))), np.zeros(4)
    assert describe((W, x, 2)) == "W of shape (2, 3) and x of shape (4,) and 2"


GLOBAL_WEIGHT = ad.Tensor([1.0])


def test_globals_are_seen_too() -> None:
    assert label(GLOBAL_WEIGHT) == "GLOBAL_WEIGHT"


def test_variables_of_no_frame() -> None:
    assert variables(None) == {}
    frame = user_frame()
    assert frame is not None
    assert frame.f_code.co_name == "test_variables_of_no_frame"


def test_a_user_s_file_beside_the_package_is_the_user_s(tmp_path: Path) -> None:
    """A directory whose name merely begins like the package's is no part of it."""
    package = Path(ad.__file__).parent
    source = (
        "import autodiff as ad\nfrom autodiff.naming import label\n\ndef where():\n    mine = ad.Tensor([1.0])\n    return label(mine)\n"
    )
    code = compile(source, str(package) + "_lessons/lesson.py", "exec")
    space: dict[str, Any] = {"__name__": "lesson"}
    exec(code, space)
    assert space["where"]() == "mine"


def test_no_reader_stores_a_name_it_found() -> None:
    W = ad.Tensor([1.0, 2.0])
    with pytest.raises(ad.NotScalar, match="W"):
        (W := W).backward()
    assert W.name is None


def test_a_notebook_cell_is_named_by_its_line_only() -> None:
    scope: dict[str, Any] = {"ad": ad}
    with ad.trace_lines():
        exec(compile("x = ad.Value(1.0)\ny = x * 2", "/somewhere/ipykernel_77/1234.py", "exec"), scope)
        here = ad.Value(1.0) * 2
    assert scope["y"].line == "line 2 of its cell"
    assert here.line is not None and here.line.startswith("test_naming.py:")
