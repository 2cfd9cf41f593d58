"""What a formula must say or refuse beyond being right at the recorded values: names, assumptions, recorded constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.derivation.graph import Graph
from autodiff.errors import DerivationFailed


def V(name: str, *entries: float) -> Any:
    return ad.Tensor(np.array(entries), name)


# ---------------------------------------------------------------- names


def test_constants_without_names_are_kept_apart_from_the_users_names() -> None:
    c1, a = V("c1", 1, 2, 3), V("a", 4, 5, 6)
    E = np.sum(a * np.array([1.0, 0.0, 2.0]) * c1)
    d = ad.derive(E, wrt=a)
    assert "c1**2" not in d.text and "c2" in d.text
    assert np.array_equal(d(), [1, 0, 6])
    assert np.array_equal(d(c1=np.ones(3)), [1, 0, 2])


def test_axes_are_kept_apart_from_the_users_names() -> None:
    m, m_, x = V("m", 2), V("m_", 3), ad.Tensor(np.ones((4, 3)), "x")
    w = V("w", 1, 2, 3)
    d = ad.derive(np.mean((ad.constant(np.ones((4, 3)), name="X") @ w) ** 2) * np.sum(m) * np.sum(m_) * np.sum(x), wrt=w)
    assert "m__ = " in d.numpy
    assert np.allclose(d(), ad.gradient(d._graph.root, w))


def test_two_things_under_one_name_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Graph, "_unique", lambda self, name: name)
    a, b = V("h", 1, 2), V("h", 3, 4)
    with pytest.raises(DerivationFailed, match="both called h"):
        ad.derive(np.sum(a * b))
