"""What `ad.derive` prints, `ad.check` reads and calls right; what it cannot judge it leaves undecided and says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from tests.derivation.random_graphs import LENGTHS, random_graph
from tests.derivation.test_goldens import ZOO, exercise, mu

RNG = np.random.default_rng(0)


def T(name: str, *shape: int) -> Any:
    return ad.Tensor(RNG.normal(size=shape), name)


def printed(d: Any) -> list[str]:
    """All that a derivation prints: results, and each of them without its name."""
    return [d.text, d.latex, d.numpy, str(d), d._repr_latex_()]


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo(name: str) -> None:
    made = ZOO[name][0]()
    E, v = made if isinstance(made, tuple) else (made, mu)
    d = ad.derive(E.named("E"), v)
    (result,) = d.results
    for claim in (d.text, d.latex, d.numpy, *({v.name: text} for text in (result.text, result.latex, result.numpy))):
        report = ad.check(E, claim)
        assert report.ok and report.verdicts, f"{claim}\n{report}"


def losses() -> dict[str, Any]:
    A, X, S, Q, x_, b = T("A", 3, 3), T("X", 6, 3), T("S", 2, 3, 3), T("Q", 2, 3, 3), T("x_", 4), T("b", 3)
    clipped = ad.Tensor([0.3, -1.2, 0.8], "x")
    centred = X - np.mean(X, axis=0)
    return {
        "a determinant and maxima": np.linalg.det(A) * np.sum(np.max(A, axis=1) * b),
        "norms of rows": np.sum(np.linalg.norm(A, axis=1)),
        "unnamed activations": np.sum(np.tanh(X @ b) ** 2),
        "a batch of products": np.sum(np.tanh(S @ Q)),
        "clip": np.sum(np.clip(clipped, -0.5, 0.7) ** 2),
        "a log-determinant": ad.logdet(centred.T @ centred),
        "an underscore": np.sum(x_**2),
        "a trace": np.mean(A) + np.trace(A),
        "nothing but a trace": np.trace(A),
        "the diagonal": np.linalg.norm(np.diag(A) + b) + np.sum(b),
        "an unnamed number": np.sum(np.tanh(x_ * np.array([0.3]))),
        "an array of one": np.sum(T("s", 1) * T("r", 1, 1)),
        "the exercise": exercise("softmax"),
        "the exercise in batches": exercise("log_softmax", m=6),
    }


@pytest.mark.parametrize("name", losses())
def test_whole_derivations_in_several_lines(name: str) -> None:
    E = losses()[name].named("E")
    d = ad.derive(E)
    for text in printed(d):
        report = ad.check(E, text)
        assert report.ok and report.verdicts, f"{text}\n{report}"


def check_random_graphs(kind: str, seeds: range) -> None:
    for seed in seeds:
        E = random_graph(seed, kind)
        if not getattr(E, "active", False):
            continue
        try:
            d = ad.derive(E.named("E"))
        except ad.AutodiffError:  # not every random graph has a closed form
            continue
        for text in (d.text, d.latex, d.numpy):
            verdicts = ad.check(E, text).verdicts
            unnamed = "c1" in d.text
            assert verdicts and all(v.status == "right" or (unnamed and v.status == "undecided") for v in verdicts), (
                f"{seed}\n{text}\n{[str(v) for v in verdicts]}"
            )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", LENGTHS)
def test_random_graphs(kind: str) -> None:
    check_random_graphs(kind, range(12))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", LENGTHS)
def test_many_random_graphs(kind: str) -> None:
    check_random_graphs(kind, range(12, 150))


def test_recorded_arrays_without_a_name_leave_what_uses_them_undecided() -> None:
    x, z = T("x", 5), T("z", 40)
    for E, form in [(np.sum(x * (x.data > 0) + x**2), "condition"), (np.sum(np.sin(z) * RNG.normal(size=40)), "constant")]:
        d = ad.derive(E.named("E"))
        for text in printed(d):
            (verdict,) = ad.check(E, text).verdicts
            assert verdict.status == "undecided" and "c1" in verdict.sentence, str(verdict)
        assert f"is a recorded {form}" in d.text


def test_a_function_that_the_reader_does_not_know_is_no_mistake() -> None:
    E = np.sum(np.sinc(T("x", 3))).named("E")
    (verdict,) = ad.check(E, "dE/dx = heavyside(x) + i0(x)").verdicts
    assert verdict.status == "wrong" and "did you mean heaviside" in verdict.sentence
    (verdict,) = ad.check(E, "dE/dx = i0(x)").verdicts
    assert verdict.status == "undecided" and "i0 is not known here" in verdict.sentence
