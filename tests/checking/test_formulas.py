"""Right formulas, however they are written, are never called wrong; wrong ones are caught and explained."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest

import autodiff as ad
from autodiff.checking.mathtext import read
from autodiff.checking.mistakes import Mistake
from autodiff.checking.points import Recorded
from tests.checking.graphs import GRAPHS, Derived
from tests.checking.rewriting import mutants, rewritten, value


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_right_formulas_are_right(graph: Any) -> None:
    d = graph(np.random.default_rng(0))
    report = ad.check(d.E, d.formulas)
    assert report.ok, str(report)
    assert all(v.comparison.verdict in ("identical", "rounding only") for v in report.verdicts)


def check_rewritings(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    for k in range(count):
        d = GRAPHS[k % len(GRAPHS)](np.random.default_rng([seed, k]))
        name = list(d.formulas)[rng.integers(len(d.formulas))]
        text = rewritten(d.formulas[name], rng, int(rng.integers(1, 7)))
        graph = Recorded(d.E, {})
        point = graph.recorded()
        env = {**{n: np.asarray(point.value_of(x)) for n, x in graph.by_name.items()}, **graph.sizes}
        numbers = value(text, env)
        decimals = int(rng.integers(3, 8))
        for claim in (text, lambda v, text=text: value(text, vars(v)), numbers, np.round(numbers, decimals)):
            v = ad.check(d.E, {name: claim}).verdicts[0]
            assert v.status == "right" or (claim is not text and v.status == "undecided"), (text, str(v))
        assert ad.check(d.E, {name: text}).ok


def test_a_hundred_rewritings_of_right_formulas_are_right() -> None:
    check_rewritings(0, 100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_a_thousand_rewritings_of_right_formulas_are_right(seed: int) -> None:
    check_rewritings(seed, 250)


# ---------------------------------------------------------------- mutants


class Mutant(NamedTuple):
    """A right formula with one edit: what it is for, the text, the kind of edit."""

    d: Derived
    name: str
    text: str
    kind: str

    @property
    def own(self) -> bool:
        """Is the way back to the right formula one of the reader's own edits?  Of these the checker cannot but find the fix."""
        graph = Recorded(self.d.E, {})
        names = [*graph.by_name, *graph.sizes]
        right = read(self.d.formulas[self.name], names).formula.numpy
        shapes = {**{n: np.shape(getattr(x, "data", x)) for n, x in graph.by_name.items()}, **dict.fromkeys(graph.sizes, ())}
        return right in {f.numpy for _, f in read(self.text, names).formula.edits(shapes)}


def wrong_mutants(rng: np.random.Generator, each: int) -> list[Mutant]:
    """At most `each` mutants of every formula that give other numbers, or none, at several points; transposes are another layout."""
    found = []
    for make in GRAPHS:
        d = make(np.random.default_rng(0))
        graph = Recorded(d.E, {})
        points = [graph.recorded(), *graph.drawn(2, seed=9)]
        envs = [
            {
                **{n: np.asarray(p.value_of(x)) for n, x in graph.by_name.items()},
                **{n: np.float64(k) for n, k in graph.sizes.items() if n == "m"},
            }
            for p in points
        ]
        for name, formula in d.formulas.items():
            node = graph.by_name[name]
            right = [p.gradient(node.id) for p in points]
            drawn = list(mutants(formula, envs[0]).items())
            rng.shuffle(drawn)
            found += [Mutant(d, name, text, kind) for text, kind in drawn[:each] if not gives(text, envs, right)]
    return found


def gives(text: str, envs: list[dict[str, Any]], right: list[Any]) -> bool:
    try:
        values = [value(text, env) for env in envs]
    except Exception:
        return False
    same = all(
        np.size(v) == np.size(r) and np.allclose(np.reshape(v, np.shape(r)), r, rtol=1e-9) for v, r in zip(values, right, strict=True)
    )
    return same or all(
        np.shape(np.transpose(v)) == np.shape(r) and np.allclose(np.transpose(v), r, rtol=1e-9) for v, r in zip(values, right, strict=True)
    )


def check_mutants(seed: int, each: int) -> tuple[Counter[str], list[tuple[str, str, str]]]:
    """How many mutants there were, and how many of them were explained, by whether the edit is of the reader's own kind."""
    count: Counter[str] = Counter()
    unexplained = []
    for m in wrong_mutants(np.random.default_rng(seed), each):
        v = ad.check(m.d.E, {m.name: m.text}).verdicts[0]
        assert v.status == "wrong", (m.name, m.text, m.kind, str(v))
        kind = "own" if m.own else "foreign"
        count[kind] += 1
        if v.mistake is Mistake.UNKNOWN:
            unexplained.append((kind, m.kind, m.text))
        else:
            count[f"{kind} explained"] += 1
    return count, unexplained


def test_mutants_are_caught_and_most_are_explained() -> None:
    count, unexplained = check_mutants(0, 1)
    assert count["own explained"] + count["foreign explained"] >= 0.95 * (count["own"] + count["foreign"]), unexplained


@pytest.mark.slow
def test_many_mutants_are_caught_and_explained_whether_of_the_reader_s_own_kind_or_not() -> None:
    count, unexplained = check_mutants(1, 14)
    assert count["own"] > 200
    assert count["foreign"] > 200
    assert count["own explained"] + count["foreign explained"] >= 0.95 * (count["own"] + count["foreign"]), unexplained
    assert count["foreign explained"] >= 0.9 * count["foreign"], unexplained


# ---------------------------------------------------------------- what language a text is in


def row_softmax(shape: tuple[int, int]) -> Any:
    rng = np.random.default_rng(1)
    S, T = ad.Tensor(rng.normal(size=shape), name="S"), ad.constant(rng.normal(size=shape), name="T")
    A = ad.softmax(S, axis=1).named("A")
    return (0.5 * np.sum((A - T) ** 2)).named("E")


def vectors() -> Any:
    rng = np.random.default_rng(1)
    W, V, x, t = (ad.Tensor(rng.normal(size=s), name=n) for n, s in (("W", (3, 3)), ("V", (2, 3)), ("x", 3), ("t", 2)))
    h = np.tanh(W @ x).named("h")
    y = (V @ h).named("y")
    return (0.5 * np.sum((y - t) ** 2)).named("E")


def chain_of_matrices() -> Any:
    rng = np.random.default_rng(1)
    B, C, D = (ad.Tensor(rng.normal(size=s), name=n) for n, s in (("B", (4, 5)), ("C", (5, 3)), ("D", (3, 4))))
    return np.sum(B @ C @ D).named("E")


LANGUAGES: list[tuple[Any, str, str, str]] = [  # a graph, a line, what it is, and what is said of it
    (row_softmax((3, 5)), "dE/dS = A*((A-T) - np.sum((A-T)*A, axis=1))", "wrong", "keepdims=True"),
    (row_softmax((4, 4)), "dE/dS = A*((A-T) - np.sum((A-T)*A, axis=1))", "wrong", "keepdims=True"),
    (row_softmax((4, 4)), "dE/dS = A*((A-T) - ((A-T)*A).sum(1))", "wrong", "keepdims=True"),
    (row_softmax((3, 5)), "dE/dS = A*((A-T) - np.sum((A-T)*A, axis=1, keepdims=True))", "right", ""),
    (row_softmax((3, 5)), "dE/dS = A*((A-T) - np.sum((A-T)*A, axis=1)[:, None])", "right", ""),
    (vectors(), "dh/dx = (1-h**2)*W", "wrong", "diag(1 - h**2) @ W"),
    (vectors(), r"\frac{\partial h}{\partial x} = (1-h**2)*W", "wrong", "diag(1 - h**2) @ W"),
    (vectors(), "dh/dx = (1-h**2)[:, None]*W", "right", ""),
    (vectors(), r"dh/dx = (1-h^2) \odot W", "right", ""),
    (vectors(), "dE/dV = (y - t) @ h.T", "right", "read with vectors as columns; NumPy's 1-D arrays have no h.T: write np.outer"),
    (vectors(), "dE/dV = (y - t) * h", "wrong", "np.outer(y - t, h)"),
    (vectors(), "dE/dV = (y - t) h^T", "right", ""),
    (vectors(), "dE/dV = np.outer(y - t, h)", "right", ""),
    (vectors(), "dE/dW = ((V^T (y - t)) (1 - h^2)) x^T", "right", "read with entrywise products: V^T (y - t) (1 - h^2)"),
    (vectors(), r"\frac{\partial E}{\partial W} = [(V^T(y-t)) (1-h^2)] x^T", "right", "write them with ⊙"),
    (vectors(), r"\frac{\partial E}{\partial W} = [(V^T(y-t)) \odot (1-h^2)] x^T", "right", ""),
    (
        chain_of_matrices(),
        "dE/dC = B.sum(0) @ D.sum(1).T",
        "right",
        "NumPy's 1-D arrays have no np.sum(D, axis=1).T",
    ),
    (chain_of_matrices(), "dE/dC = B.sum(1) @ D.sum(1).T", "wrong", "the inner sizes 4 and 3 differ"),
    (chain_of_matrices(), "dE/dB = ones(4) @ (C @ D.sum(1))[None, :]", "right", "read with vectors as columns; write np.outer"),
    (chain_of_matrices(), "dE/dB = ones(4) @ (C @ D.sum(1)).T", "right", "read with vectors as columns"),
    (chain_of_matrices(), r"dE/dB = \mathbf{1} (C D \mathbf{1})^T", "right", ""),
    (chain_of_matrices(), r"dE/dB = (C D \mathbf{1})^T", "wrong", "(1, 5), but dE/dB has shape (4, 5)"),
]


@pytest.mark.parametrize(("E", "line", "status", "said"), LANGUAGES)
def test_numpy_text_means_what_numpy_computes_and_mathematics_says_how_it_was_read(E: Any, line: str, status: str, said: str) -> None:
    v = ad.check(E, [line]).verdicts[0]
    assert v.status == status and said in str(v), str(v)
    assert status == "wrong" or said or not v.notes


def least_squares() -> Any:
    rng = np.random.default_rng(1)
    X, y, w = (
        ad.constant(rng.normal(size=(6, 3)), name="X"),
        ad.constant(rng.normal(size=6), name="y"),
        ad.Tensor(rng.normal(size=3), name="w"),
    )
    r = (X @ w - y).named("r")
    p = ad.sigmoid(r).named("p")
    return (np.mean(r**2) / 2 - np.sum(y * np.log(p))).named("J")


REST = " + X.T @ (y * (p - 1))"


@pytest.mark.parametrize(
    "text",
    [
        "dJ/dw = 1/m sum_i (x_i^T w - y_i) x_i + sum_i y_i (p_i - 1) x_i",
        r"dJ/dw = \frac{1}{m} \sum_{i=1}^m (x_i^T w - y_i) x_i + \sum_{i=1}^{m} y_i (p_i - 1) x_i",
        r"dJ/dw = 1/m ∑_i r_i x_i + ∑_i y_i (p_i - 1) x_i",
        "dJ/dw_j = 1/m sum_i r_i X_ij + sum_i y_i (p_i - 1) X_ij",
        "dJ/dw = X.T @ r / len(y)" + REST,
        "dJ/dw = X.T @ r / X.shape[0]" + REST,
        "dJ/dw = X.T @ r / y.shape[-1]" + REST,
        "dJ/dw = X.T @ r / np.size(y)" + REST,
        "dJ/dw = X.T @ r / r.size" + REST,
    ],
)
def test_sums_over_examples_and_lengths_are_read_in_plain_text(text: str) -> None:
    v = ad.check(least_squares(), [text]).verdicts[0]
    assert (v.status, v.how) == ("right", "algebra"), str(v)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Z^T 1 / m", "right"),
        (r"\frac{1}{m} Z^T \mathbf{1}", "right"),
        ("1^T Z / m", "right"),
        ("1/m Z^T 1", "right"),
        ("np.ones(m) @ Z / m", "right"),
        ("np.ones((1, len(Z))) @ Z / m", "right"),
        ("Z.T @ np.ones((m, 1)) / Z.shape[0]", "right"),
        ("np.ones(3) @ Z / m", "wrong"),
        ("np.ones(0.5) @ Z / m", "wrong"),
        ("np.ones(b) @ Z / m", "wrong"),
        ("1 Z / m", "wrong"),
    ],
)
def test_vectors_of_ones_sum(text: str, status: str) -> None:
    rng = np.random.default_rng(0)
    b, X = ad.Tensor(rng.normal(size=3), name="b"), ad.constant(rng.normal(size=(5, 3)), name="X")
    Z = (X + b).named("Z")
    E = (np.mean(np.sum(Z**2, axis=1)) / 2).named("E")
    v = ad.check(E, [f"dE/db = {text}"]).verdicts[0]
    assert v.status == status, str(v)


@pytest.mark.parametrize("length", ["X.shape[1]", "X.size", "X.shape[2]", "w.size"])
def test_other_lengths_are_wrong(length: str) -> None:
    assert ad.check(least_squares(), [f"dJ/dw = X.T @ r / {length}{REST}"]).verdicts[0].status == "wrong"


def test_two_equations_of_one_line_are_two_and_a_semicolon_between_cases_is_none() -> None:
    p = "dJ/dr = r/m + y * (p - 1); dJ/dw = X^T dJ/dr"
    for claims in (p, [p]):
        assert [v.status for v in ad.check(least_squares(), claims).verdicts] == ["right", "right"]
    assert [v.target for v in ad.check(least_squares(), ["dJ/dp = -y/p if y > 0; -y/p otherwise"]).verdicts] == ["dJ/dp"]


@pytest.mark.parametrize("claim", ["p * (1 - p)", r"p \odot (1 - p)", lambda p: p * (1 - p)])
def test_the_derivative_of_an_entrywise_function_may_be_given_by_its_diagonal(claim: Any) -> None:
    v = ad.check(least_squares(), {"dp/dr": claim}).verdicts[0]
    assert (v.status, v.layout) == ("right", "entrywise")
    assert v.notes[-1].startswith("read as the diagonal of the Jacobian, off which it is 0")
    assert ad.check(least_squares(), {"dp/dr": "p * (1 + p)"}).verdicts[0].fix.startswith("p * (1 - p)")


def test_a_diagonal_stands_for_no_jacobian_that_has_more() -> None:
    rng = np.random.default_rng(0)
    z, t = ad.Tensor(rng.normal(size=3), name="z"), ad.constant(np.eye(3)[0], name="t")
    y = ad.softmax(z).named("y")
    E = (-np.sum(t * np.log(y))).named("E")
    v = ad.check(E, {"dy/dz": "y * (1 - y)"}).verdicts[0]
    assert v.status == "wrong" and "diagonal" in v.sentence


def test_a_fix_is_written_out_and_names_no_derivative_by_a_stroke() -> None:
    x, t = ad.Tensor([0.5, 2.0], name="x"), ad.constant([1.0, 3.0], name="t")
    E = (-np.sum(t * np.log(x))).named("E")
    v = ad.check(E, {"x": "-t * log(x)"}).verdicts[0]
    assert v.fix == "dE/dx = -t / x" and "'" not in str(v)


def masked() -> Any:
    """A factorisation with a row for each user and each item, some ratings missing."""
    rng = np.random.default_rng(3)
    U, V = ad.Tensor(rng.normal(size=(5, 2)), name="U"), ad.Tensor(rng.normal(size=(4, 2)), name="V")
    R, M = ad.constant(rng.integers(1, 6, (5, 4)), name="R"), ad.constant(np.tri(5, 4), name="M")
    return (0.5 * np.sum(M * (R - U @ V.T) ** 2)).named("E")


@pytest.mark.parametrize(
    ("claim", "status"),
    [
        (r"\frac{\partial E}{\partial u_i} = -\sum_j M_{ij} (R_{ij} - u_i^\top v_j) v_j", "right"),
        (r"\frac{\partial E}{\partial v_j} = -\sum_i M_{ij} (R_{ij} - u_i^\top v_j) u_i", "right"),
        (r"\frac{\partial E}{\partial u_i} = -\sum_j M_{ij} (R_{ij} - u_i^\top v_j) u_i", "wrong"),
        (r"\frac{\partial E}{\partial u_i} = \sum_j M_{ij} (R_{ij} - u_i^\top v_j) v_j", "wrong"),
        (r"\nabla_U E = -[M \circ (R - U V^\top)] V", "right"),
        ("dE/dU = [(R - U V^T) .* M] V", "wrong"),
    ],
)
def test_rows_of_matrices_have_inner_products(claim: str, status: str) -> None:
    assert ad.check(masked(), claim).verdicts[0].status == status


def averaged() -> Any:
    rng = np.random.default_rng(0)
    X, w, b = ad.constant(rng.normal(size=(8, 3)), name="X"), ad.Tensor(rng.normal(size=3), name="w"), ad.Tensor(0.2, name="b")
    q = (X @ w + b).named("q")
    h = np.tanh(q).named("h")
    return (np.mean(h**2) / 2).named("E")


@pytest.mark.parametrize(
    ("claim", "status"),
    [
        (r"\frac{\partial E}{\partial b} = \frac{1}{m} \mathbf{1}^\top (h \odot (1 - h^2))", "right"),
        (r"\frac{\partial E}{\partial b} = \frac{1}{m} (h \odot (1 - h^2))^\top \mathbf{1}", "right"),
        (r"\frac{\partial E}{\partial b} = \mathbf{1}^\top (h \odot (1 - h^2))", "wrong"),
        (r"\frac{\partial E}{\partial q} = \frac{1}{m} [ h \odot (1 - h^2) ]", "right"),
        (r"\frac{\partial E}{\partial q} = \frac{1}{m} h \operatorname{sech}^2(q)", "right"),
        (r"\frac{\partial E}{\partial q} = \frac{h}{m \cosh^2(q)}", "right"),
        ("dE/dq = h / np.cosh(q)**2 / m", "right"),
        ("dE/dq = h / np.cosh(q) / m", "wrong"),
        ("dE/dw = np.sum((h * (1 - h**2)).reshape(-1, 1) * X, axis=0) / m", "right"),
        ("dE/dw = np.sum((h * (1 - h**2)).reshape(-1, 1) * X, axis=0)", "wrong"),
        ("dE/dw = X.T @ (h * (1 - h**2)).ravel() / m", "right"),
    ],
)
def test_ones_brackets_and_functions_as_people_write_them(claim: str, status: str) -> None:
    assert ad.check(averaged(), claim).verdicts[0].status == status


def cosine() -> Any:
    rng = np.random.default_rng(4)
    u, v = ad.Tensor(rng.normal(size=4), name="u"), ad.Tensor(rng.normal(size=4), name="v")
    return (u @ v / (np.linalg.norm(u) * np.linalg.norm(v))).named("c")


@pytest.mark.parametrize(
    ("claim", "status"),
    [("dc/du = v/(|u||v|) - c u/|u|^2", "right"), ("dc/du = v/(|u||v|) - c u/|u|", "wrong"), ("dc/du = v/|u|", "wrong")],
)
def test_bars_around_a_vector_are_its_length(claim: str, status: str) -> None:
    assert ad.check(cosine(), claim).verdicts[0].status == status


def test_an_accent_is_no_index() -> None:
    v = ad.check(cosine(), {"u": r"\frac{1}{\|u\|} (\hat v - c \hat u)"}).verdicts[0]
    assert v.mistake is Mistake.UNREADABLE and "the name v_hat is not known" in v.sentence


def rows_of_scores() -> Any:
    rng = np.random.default_rng(2)
    X, W = ad.constant(rng.normal(size=(6, 4)), name="X"), ad.Tensor(rng.normal(size=(4, 3)), name="W")
    T, b = ad.constant(np.eye(3)[[0, 2, 1, 1, 0, 2]], name="T"), ad.Tensor(rng.normal(size=3), name="b")
    Z = (X @ W + b).named("Z")
    P = ad.softmax(Z, axis=1).named("P")
    return (-np.sum(T * np.log(P)) / 6).named("L")


@pytest.mark.parametrize(
    ("claim", "status"),
    [
        (r"\frac{\partial P_{ik}}{\partial Z_{il}} = P_{ik} (\delta_{kl} - P_{il})", "right"),
        (r"\frac{\partial P_{ik}}{\partial Z_{il}} = P_{ik} (\delta_{kl} + P_{il})", "wrong"),
        (r"\frac{\partial P_{ik}}{\partial Z_{il}} = P_{ik} (1 - P_{il})", "wrong"),
        ("dL/db = sum_i (P - T) / m", "right"),
        ("dL/db = sum_i (P - T)", "wrong"),
    ],
)
def test_a_row_s_jacobian_and_a_sum_over_rows_may_be_written_in_short(claim: str, status: str) -> None:
    assert ad.check(rows_of_scores(), claim).verdicts[0].status == status
