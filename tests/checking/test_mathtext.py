"""The reader of formula text: what is read as what, what it evaluates to, what is refused, and where the caret points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.checking.mathtext import Formula, read, read_target
from autodiff.errors import BadFormula
from autodiff.node import order

RNG = np.random.default_rng(0)
SHAPES: dict[str, tuple[int, ...]] = {"x": (4, 1), "t": (3, 1), "W1": (5, 4), "W2": (3, 5), "b2": (3, 1), "A": (3, 3), "B": (3, 3)}
SHAPES |= {"z1": (5, 1), "y1": (5, 1), "z2": (3, 1), "y2": (3, 1), "X": (4, 6), "Y": (3, 6), "v": (3,), "w": (5,)}
SHAPES |= {"the_last_x": (4, 1)} | dict.fromkeys(("m_", "lam", "m", "E"), ())
ENV: dict[str, Any] = {name: RNG.uniform(0.2, 0.9, shape) for name, shape in SHAPES.items()}
ENV["t"] = np.array([[0.0], [1.0], [0.0]])
ENV |= {f"dE/d{name}": RNG.normal(size=shape) for name, shape in SHAPES.items()}
ENV |= {
    f"d{y}/d{z}": RNG.normal(size=SHAPES[y] + SHAPES[z])
    for y, z in [("y2", "z2"), ("y1", "z1"), ("z2", "W2"), ("z2", "y1"), ("E", "x")]
    if y in SHAPES
}
NAMES = tuple(SHAPES)
x, t, W1, W2, b2, A, B, z1, y1, z2, y2, X, Y, v, w, the_last_x, m_, lam, m, _ = (ENV[name] for name in SHAPES)
delta2, delta1 = ENV["dE/dz2"], ENV["dE/dz1"]
J = ENV["dy2/dz2"].reshape(3, 3)
sigma = 1 / (1 + np.exp(-z1))
softmax = np.exp(z2) / np.exp(z2).sum(0)
log = np.log


def value(text: str) -> Any:
    return read(text, NAMES).formula.evaluate(ENV)


# ---------------------------------------------------------------- what a text means

ONE_FORMULA = {  # every spelling of each value
    "W2's gradient": (
        (y2 - t) @ y1.T,
        [
            "(y2 - t) @ y1.T",
            "np.dot(y2 - t, y1.T)",
            "np.matmul((y2 - t), np.transpose(y1))",
            "np.outer(y2 - t, y1)",
            "(y2 - t) y1^T",
            "(y2 − t) y1ᵀ",
            "(y_2 - t) y_1'",
            "(Y2 - t)*y1^T",
            r"(\mathbf{y}^{(2)} - \mathbf{t}) \mathbf{y}^{(1)\top}",
            r"\left( \mathbf{y}_2 - \mathbf{t} \right) \, \mathbf{y}_{1}^{\top}",
            r"(y^{[2]} - t)\,{y^{[1]}}^T",
            r"\bigl(\vec{y}_2 - \vec{t}\bigr) \cdot \vec{y}_1^{\mathsf{T}}".replace(r"\mathsf{T}", "T"),
            r"dE/dW2 = \frac{2}{2} (y_2 - t) y_1^\top",
            r"(y_{2,u} - t_u) y_{1,v}",
            r"(y_u^{(2)} - t_u) y_v^{(1)}",
            "(y₂ - t) y₁ᵀ",
            "(y⁽²⁾ − t) y⁽¹⁾ᵀ",
            r"\left[ \mathbf{y}_2 - \mathbf{t} \right] y^{(1)T}",
            "[y2 - t] y1^T",
            "np.dot(np.subtract(y2, t), y1.T)  # the outer product",
            r"$$(y_2 - t)\, y_1^{T}$$",
        ],
    ),
    "z1's gradient": (
        (W2.T @ delta2) * y1 * (1 - y1),
        [
            "(W2.T @ dE_dz2) * y1 * (1 - y1)",
            "W2.T @ dz2 * y1 * (1-y1)",
            "y1*(1-y1)*(W2.T@(dE/dz2))",
            "W2^T delta2 .* y1 .* (1 - y1)",
            r"W_2^\top \delta_2 \odot \mathbf{y}_1 \odot (\mathbf{1} - \mathbf{y}_1)",
            r"(\mathbf{W}^{(2)})^T \delta^{(2)} \cdot * y_1 \cdot * (1 - y_1)",
            r"\text{diag}(y_1 \odot (1 - y_1)) W_2^\top \frac{\partial E}{\partial \mathbf{z}^{(2)}}",
            r"\sum_k w^{(2)}_{ki} \frac{\partial E}{\partial z_k^{(2)}} y^{(1)}_i (1 - y^{(1)}_i)",
            "sum_k W2_ki dE/dz2_k y1_i (1 - y1_i)",
            "y1 (1 - y1) (W2' ∂E/∂z2)",
        ],
    ),
    "sigmoid": (
        sigma,
        ["sigmoid(z1)", "1/(1+np.exp(-z1))", "1 / (1 + e^(-z1))", "1/(1+e^-z1)", r"\frac{1}{1 + e^{-\mathbf{z}_1}}", "σ(z1)"],
    ),
    "its slope": (
        sigma * (1 - sigma),
        ["σ'(z1)", r"\sigma'(\mathbf{z}^{(1)})", "sigmoid(z1) ⊙ (1 - sigmoid(z1))", r"\sigma(z_1) - \sigma(z_1)^2"],
    ),
    "softmax": (
        softmax,
        [
            "softmax(z2)",
            "softmax(z2, axis=0)",
            r"\operatorname{softmax}(\mathbf{z}_2)",
            "np.exp(z2) / np.sum(np.exp(z2), axis=0, keepdims=True)",
            r"\frac{e^{z_{2,i}}}{\sum_{k=1}^{K} e^{z_{2,k}}}",
            r"\frac{\exp(z_i^{(2)})}{\sum\limits_{k} \exp(z_k^{(2)})}",
            "e^z2_i / sum_k e^z2_k",
        ],
    ),
    "softmax's Jacobian": (
        np.diagflat(y2) - y2 @ y2.T,
        [
            "diag(y2) - y2 y2^T",
            r"\text{diag}(\mathbf{y}_2) - \mathbf{y}_2 \mathbf{y}_2^\top",
            r"y_{2,i} (\delta_{ij} - y_{2,j})",
            r"\begin{cases} y_{2,i}(1 - y_{2,i}) & i = j \\ -y_{2,i} y_{2,j} & i \neq j \end{cases}",
            r"y_{2,i} (\mathbb{1}[i = j] - y_{2,j})",
            "y2_i (δ_ij - y2_j)",
        ],
    ),
    "cases": (
        np.where(t == 1, -1 / y2, 0),
        [
            r"\begin{cases} -\frac{1}{y_i^{(2)}} & \text{when } t_i = 1 \\ 0 & \text{otherwise} \end{cases}",
            r"\begin{cases} -1/y_{2,i}, & \text{if } t_i = 1, \\ 0, & t_i = 0 \end{cases}",
            "np.where(t == 1, -1/y2, 0)",
            "-1/y2 if t == 1 else 0",
            "-1/y_{2,i} when t_i = 1, 0 otherwise",
            "-(t == 1) / y2",
            "-t / y2",
        ],
    ),
    "chain rule through softmax": (
        J.T @ delta2,
        [r"\sum_k \frac{\partial E}{\partial z_k^{(2)}} \frac{\partial y_k^{(2)}}{\partial z_i^{(2)}}", "(dy2/dz2)^T delta2"],
    ),
    "a step": (
        np.heaviside(z1 - 0.5, 0.5),
        ["np.heaviside(z1 - 0.5, 0.5)", "heaviside(z1 - 0.5, 1/2)", r"\mathrm{H}_{1/2}\left(\mathbf{z}_1 - 0.5\right)"],
    ),
    "comparisons are numbers": (
        1.0 * (z1 > 0.5) - (z1 < 0.4),
        ["(z1 > 0.5) - (z1 < 0.4)", "-(z1 < 0.4) + (z1 > 0.5)", r"\mathbb{1}\left[z_1 - 0.5 > 0\right] - \mathbb{1}\left[0.4 > z_1\right]"],
    ),
    "along an axis": (
        np.exp(X) / np.exp(X).sum(1, keepdims=True),
        ["softmax(X, axis=1)", r"\mathrm{softmax}_{\mathrm{axis}=1}\left(\mathbf{X}\right)"],
    ),
    "along two axes": (
        np.abs(X).max() + X.sum(),
        ["X.sum((0, 1)) + np.max(X, axis=(0, 1))", "X.sum((1, 0)) + X.max()"],
    ),
    "other functions": (
        np.log2(z1) * np.linalg.det(A) + np.cbrt(z1),
        ["np.log2(z1) * np.linalg.det(A) + np.cbrt(z1)", "log2(z1) * det(A) + cbrt(z1)", r"\log_2(z_1) \det(A) + \sqrt[3]{z_1}"],
    ),
    "Einstein's sum": (
        (A * B.T).sum(1),
        ["np.einsum('ij,ji->i', A, B)", 'einsum("ab,ba->a", A, B)', "np.sum(A * B.transpose(1, 0), axis=1)"],
    ),
    "ones and zeros": (
        X + 1,
        ["X + np.ones(6)", "X + ones((4, 1)) + zeros((4, 6))", "np.ones((4, 6)) * (X + 1) + np.zeros(6)"],
    ),
    "names with underscores": (
        m_ * the_last_x + x,
        ["m_ * the_last_x + x", r"\mathrm{m\_} \, \mathrm{the}_{\mathrm{last\_x}} + \mathbf{x}", r"\mathrm{the\_last\_x} m_ + x"],
    ),
    "one number": (
        -(t * log(y2)).sum(),
        [
            "-sum(t * log(y2))",
            "-np.sum(t * np.log(y2))",
            r"-\sum_k t_k \log y_k^{(2)}",
            "E = -t · log(y2)",
            r"-\mathbf{t}^\top \log \mathbf{y}_2",
            "-log(y2)' t",
            r"-\left\langle t, \log y_2 \right\rangle",
        ],
    ),
    "sum of all but one": (y2.sum() - y2, [r"\sum_{k \neq i} y_{2,k} + 0 y_{2,i}", "sum(y2) - y2"]),
    "batch bias": (
        (Y - 1).sum(1, keepdims=True) / m,
        ["np.sum(Y - 1, axis=1, keepdims=True) / m", r"\frac{1}{m} (\mathbf{Y} - 1) \mathbf{1}", "(Y - 1).sum(1, keepdims=True)/m"],
    ),
    "column sums": (Y.sum(0, keepdims=True), [r"\mathbf{1}^\top \mathbf{Y}", "Y.sum(0, keepdims=True)"]),
    "vectors": (np.outer(v, w), ["v w^T", "np.outer(v, w)", "v[:, None] * w[None, :]", "v[:, np.newaxis] * w"]),
    "inverse": (np.linalg.inv(A).T @ y2, [r"\mathbf{A}^{-\top} y_2", "np.linalg.inv(A).T @ y2", r"(A^{-1})^T y_2"]),
    "unit matrix": (np.eye(3) - y2 @ y2.T, ["I - y2 y2'", r"\mathbf{I} - \mathbf{y}_2 \mathbf{y}_2^\top"]),
    "norm": (np.sum((y2 - t) ** 2), [r"\lVert y_2 - t \rVert^2", "norm(y2 - t)**2", "sum((y2 - t)**2)", "sum((y2-t)²)"]),
    "greek names": (2 * lam * A, ["2 lam A", r"2 \lambda A", "2*λ*A", "2 * lam * A"]),
    "powers": (y2**2 / 2, ["y2**2 / 2", "y2^2/2", "½ y2²", r"\tfrac12 y_2^2", "0.5 y_2^{2}", "np.square(y2) * 5e-1"]),
    "written together": (W2 @ y1, ["W2y1", "W2 y1", "W2*y1", r"W_2y_1"]),
    "relu's mask": (
        delta1 * (z1 > 0.5),
        [
            "delta1 * (z1 > 0.5)",
            r"\delta_1 \odot \mathbb{1}[z_1 > 0.5]",
            "np.where(z1 > 0.5, delta1, 0)",
            "dz1 * (z1 >= 0.5)",
            "dz1 * 1[z1 > 0.5]",
            r"\mathbb{1}_{\{z_1 > 0.5\}} \odot \delta_1",
        ],
    ),
    "entries of a product": (W2 @ y1, [r"(W_2 y_1)_i", r"\sum_j w_{ij}^{(2)} y_j^{(1)}"]),
    "diagonal": (np.diag(A), ["A_ii", "diag(A)", r"\mathrm{diag}(A)"]),
    "trace": (np.trace(A @ B), ["tr(A B)", "np.trace(A @ B)", r"\sum_{i,j} A_{ij} B_{ji}"]),
    "the larger": (np.maximum(z1, 0.5), ["max(z1, 0.5)", "np.maximum(0.5, z1)", r"\max(0.5, z_1)"]),
    "the largest": (Y.max(0), ["np.max(Y, 0)", "Y.max(axis=0)"]),
    "absolute": (abs(y2 - t), ["|y2 - t|", "np.abs(y2 - t)", r"\left| y_2 - t \right|"]),
}
SPELLINGS = [(name, text) for name, (_, texts) in ONE_FORMULA.items() for text in texts]


@pytest.mark.parametrize(("name", "text"), SPELLINGS, ids=[text for _, text in SPELLINGS])
def test_spellings(name: str, text: str) -> None:
    wanted, found = np.squeeze(ONE_FORMULA[name][0]), np.squeeze(value(text))
    assert wanted.shape == found.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


@pytest.mark.parametrize(
    "text", ["det(A) inv(B)", "norm(X)", "solve(A, B)", "A.transpose(1, 0) + zeros((3, 3))", 'einsum("ij,j->i", A, v)', "cbrt(A)"]
)
def test_numpy_text_that_is_printed_runs(text: str) -> None:
    formula = read(text, NAMES).formula.settled(ENV)
    np.testing.assert_allclose(eval(formula.numpy, {"np": np, **ENV}), formula.evaluate(ENV), rtol=1e-13)


@pytest.mark.parametrize(("name", "text"), SPELLINGS, ids=[text for _, text in SPELLINGS])
def test_what_is_printed_reads_the_same(name: str, text: str) -> None:
    formula = read(text, NAMES).formula
    wanted = np.squeeze(formula.evaluate(ENV))
    settled = formula.settled(ENV)
    vectors = formula.names & {"v", "w"}  # as columns, which NumPy text cannot say
    for again in {formula.text, formula.plain, settled.plain, *(() if formula.component or vectors else (settled.numpy,))}:
        np.testing.assert_allclose(np.squeeze(value(again)), wanted, rtol=1e-13, err_msg=again)


def test_readings_of_an_ambiguous_product() -> None:
    formula = read("t · log y2", NAMES).formula
    assert formula.evaluate(ENV).shape == (3, 1)
    np.testing.assert_allclose([f.evaluate(ENV) for f in formula.readings() if "dot" in {g.op for g in f.walk()}], np.sum(t * log(y2)))
    rows = [f.evaluate(ENV) for f in read("softmax(Y)", NAMES).formula.readings()]
    assert any(np.allclose(r.sum(1), 1) for r in rows)
    bold = read(r"\mathbf{y}^{(2)}_i - \mathbf{t}_i", NAMES).formula
    assert any(f.evaluate(ENV).shape == (3, 1) for f in bold.readings())
    vectors = read("v @ w.T", NAMES).formula
    assert any(np.array_equal(f.evaluate(ENV), np.outer(v, w)) for f in vectors.readings())
    assert read("y2 - t", NAMES).formula not in read("y2 - t", NAMES).formula.readings()


# ---------------------------------------------------------------- lines

TARGETS = [
    ("dE/dW2 = y2", "gradient", "E", "W2", ""),
    ("dW2 = y2", "gradient", "E", "W2", ""),
    ("delta2 = y2", "gradient", "E", "z2", ""),
    (r"\delta^{(1)} = y1", "gradient", "E", "z1", ""),
    ("dE_dW2 = y2", "gradient", "E", "W2", ""),
    ("∂E/∂W_2 = y2", "gradient", "E", "W2", ""),
    (r"\frac{\partial L}{\partial \mathbf{W}^{(2)}} = y2", "gradient", "E", "W2", ""),
    (r"\frac{dE}{dW_2} = y2", "gradient", "E", "W2", ""),
    (r"\frac{\mathrm{d}E}{\mathrm{d}W_2} = y2", "gradient", "E", "W2", ""),
    (r"\nabla_{W_2} E = y2", "gradient", "E", "W2", ""),
    (r"\left(\frac{\partial E}{\partial w_{uv}^{(2)}}\right) = y_u^{(2)} y_v^{(1)}", "gradient", "E", "W2", ""),
    ("y1 = z1", "value", "y1", None, ""),
    (r"y_i^{(1)} = \sigma(z_i^{(1)}) \quad (9)", "value", "y1", None, "(9)"),
    ("E = sum(t)", "value", "E", None, ""),
    ("dy1/dz1 = diag(y1)", "jacobian", "y1", "z1", ""),
    ("dy1_i/dz1_i = y1_i", "jacobian_diagonal", "y1", "z1", ""),
    ("dy1_i/dz1_j = y1_i x_j", "jacobian", "y1", "z1", ""),
    ("dy1_i/dz1_j = 0 (i != j)", "jacobian_off_diagonal", "y1", "z1", ""),
    (r"\frac{\partial y_i^{(1)}}{\partial z_j^{(1)}} = 0 \text{ When } i \neq j \tag{11}", "jacobian_off_diagonal", "y1", "z1", "(11)"),
    ("dy1_i/dz1_j = y1_i for i = j", "jacobian_diagonal", "y1", "z1", ""),
    ("(5) dE/dz2 = y2 - t", "gradient", "E", "z2", "(5)"),
    ("step 3: dE/dz2 = y2 - t", "gradient", "E", "z2", "step 3"),
    ("4) dE/dW2 = y2 x'", "gradient", "E", "W2", "4)"),
    (r"\Rightarrow \frac{\partial E}{\partial \mathbf{z}^{(2)}} &= y_2 - t", "gradient", "E", "z2", ""),
    ("y2 - t", None, None, None, ""),
    ("(y2) - t", None, None, None, ""),
]


@pytest.mark.parametrize(("text", "kind", "of", "wrt", "label"), TARGETS, ids=[row[0] for row in TARGETS])
def test_targets(text: str, kind: str | None, of: str, wrt: str | None, label: str) -> None:
    line = read(text, NAMES)
    assert line.label == label
    assert (line.target is None) == (kind is None)
    if line.target is not None:
        assert (line.target.kind, line.target.of, line.target.wrt) == (kind, of, wrt)


def test_a_chain_of_equalities() -> None:
    line = read(r"\frac{\partial E}{\partial W_2} = dz2 @ y1.T = \delta_2 y_1^T \\ &= (y_2 - t) y_1^\top", NAMES)
    assert str(line.target) == "dE/dW2"
    assert len(line.formulas) == 3 and line.formula.text == "(y2 - t) y1^T"
    onward = read("= (y2 - t) @ y1.T", NAMES, after=line.target)
    assert onward.target == line.target and onward.formula.numpy == "(y2 - t) @ y1.T"
    same = read("dE/dW2 = delta2 y1^T = dE/dW2", NAMES)
    assert len(same.formulas) == 1


def test_targets_alone() -> None:
    assert str(read_target("W2", NAMES)) == "dE/dW2"
    assert read_target("y1 =", NAMES).kind == "value"
    assert read_target("y1", NAMES, bare="value").kind == "value"
    assert read_target("dy1/dz1", NAMES).kind == "jacobian"
    assert read_target("E", NAMES).kind == "value"
    for text in ("y2 - t", "W2 W1", "nonsense", ""):
        with pytest.raises(BadFormula):
            read_target(text, NAMES)


def test_names_of_formulas_and_spellings() -> None:
    assert read(r"\hat{\mathbf{y}} - \bar y", ["y_hat", "ybar", "y"]).formula.names == {"y_hat", "ybar"}
    assert read("(Y - T)^T X", ["Y", "T", "X"]).formula.names == {"Y", "T", "X"}
    assert read("dE/dz2 - dz2", ["z2", "dz2"]).formula.names == {"dE/dz2", "dz2"}
    formula = read("dE/dz2 @ W2 + dy2/dz2 @ delta1 - y_0", {**dict.fromkeys(NAMES), "y0": "x"}).formula
    assert formula.names == {"dE/dz2", "W2", "dy2/dz2", "dE/dz1", "x"}
    assert read("E1 - E", ["E1", "E"]).formula.names == {"E1", "E"}
    assert read("W_xh x", ["W_xh", "x"]).formula.names == {"W_xh", "x"}
    assert read("delta2", ["delta2", "z2"]).formula.names == {"delta2"}


# ---------------------------------------------------------------- refusals

REFUSED = [  # the text, where the caret stands (from 0), and some of the sentence
    ("y2 -* t", 4, "is missing before '*'"),
    ("(y2 - t", 7, "'(' is not closed"),
    ("dE/dz2 = y2 - t)", 15, "')' has no meaning here"),
    ("dE/dz2 = (W2.T @ q2) * y1", 17, "q2 is not known; did you mean"),
    ("sotfmax(z2)", 0, "did you mean softmax"),
    ("np.sotfmax(z2)", 3, "did you mean softmax"),
    ("y2 $ t ?", 7, "'?'"),
    ("y2.data", 3, ".data is not known here"),
    ("y2.__class__", 3, "'_' has no meaning"),
    ("__import__('os').system('true')", 0, "'_'"),
    ("open('f')", 0, "open is not known"),
    ("(lambda: 0)()", 7, "'(' is not closed"),
    ("softmax(z2, axis=7.5)", 17, "whole number"),
    ("softmax(z2, out=y2)", 12, "the name out is not known"),
    ("exp(y1, y2)", 0, "takes 1 operand"),
    ("", 0, "ends too early"),
    ("y2 =", 4, "a formula is missing behind ="),
    (r"\frac{y2}", 9, "a denominator is missing"),
    (r"\sum_{k=2}^{4} y_{2,k}", 8, "part of an axis"),
    (r"\begin{cases} 1 & t = 1", 23, "the cases do not end"),
    ("y2^", 3, "an exponent is missing"),
    ("y2.sum", 6, "is a method"),
    ("log", 3, "log of what?"),
    ("|y2", 0, "is not closed"),
    ("y2[]", 2, "the brackets are empty"),
    ("y2[t]", 3, "brackets hold whole numbers"),
    ("np.sum(y2, axis=0, axis=1)", 3, "takes no axis twice"),
    ("softmax'(z2)", 0, "no entrywise function's derivative"),
    (r"\sum_{k,k} A_{kk}", 0, "summed over twice"),
    (r"\begin{cases} 1 \end{cases}", 27, "cases without a condition"),
    ("y2 otherwise", 12, "otherwise than what?"),
    ("a" * 80, 0, "a name of 80 letters"),
    ("T y2", 0, "T stands alone"),
    ("dE/dz2 = y2\n  + * t", 4, "line 2, column 5"),
]


@pytest.mark.parametrize(("text", "column", "said"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_point_at_the_column(text: str, column: int, said: str) -> None:
    with pytest.raises(BadFormula) as caught:
        read(text, NAMES)
    message = str(caught.value)
    assert said in message
    assert message.splitlines()[-1] == " " * (4 + column) + "^"


@pytest.mark.parametrize(
    "text",
    [
        *("y2 + " * 2000 + "y2", "(" * 1500 + "y2" + ")" * 1500, "{" * 300, "-" * 3000 + "y2", "y2" + "'" * 3000, "y2" + ".T" * 1500),
        *("2**" * 1000 + "2", "2^" * 1000 + "2", "exp " * 900 + "y2", r"\sum_k " * 500, "∑" * 3000, "y2 if t == 1 else " * 200 + "0"),
        *(r"\frac{1}{" * 400, "a*b@c" * 700, "y2*y1@" * 600 + "y2", "y2/" * 1200 + "2", "|" * 3999, "∂" * 3999, r"\begin{cases}" * 300),
    ],
    ids=lambda text: text[:12],
)
def test_long_and_deep_text_is_bounded(text: str) -> None:
    try:
        line = read(text, NAMES)
    except BadFormula:
        return
    assert np.size(line.formula.evaluate({**ENV, "y1": y2})) and line.formula.text and line.formula.numpy


def test_long_sums_are_read() -> None:
    np.testing.assert_allclose(value(" + ".join(["y2"] * 500)), 500 * y2)


MISFITS = [
    ("W2 x", "W2 x multiplies 3×5 by 4×1: the inner sizes 5 and 4 differ"),
    ("W2 @ x", "W2 @ x multiplies 3×5 by 4×1"),
    ("W2 + W1", "shapes 3×5 and 5×4 do not fit together in W2 + W1"),
    ("y_{2,i} + z_{1,i}", "do not fit together"),
    ("2 @ y2", "has @ beside a single number"),
    ("sum_k y2_i", "sums over k, but nothing in it has the index k"),
    ("dE/dz2_i = y2_i - t_j", "the index j of y2_i - t_j is neither summed over nor on the left side"),
    ("delta_ij", "how far the indices i and j count is not known"),
    ("inv(W2)", "square matrix"),
    ("m_i", "is a single number"),
    ("dz2/dW2", "is no matrix; write it in components"),
    ("Y[5, 0]", "picks entries that Y of shape (3, 6) has not"),
    (r"\mathbf{m}_j", "is an example's vector"),
    ("I", "the size of the unit matrix"),
    ("softmax(y2_i)", "softmax takes whole vectors"),
]


@pytest.mark.parametrize(("text", "said"), MISFITS, ids=[row[0] for row in MISFITS])
def test_misfits_name_the_factors(text: str, said: str) -> None:
    formula = read(text, NAMES).formula
    with pytest.raises(ad.ShapeMismatch) as caught:
        formula.evaluate(ENV)
    assert said in str(caught.value)


def test_results_are_bounded() -> None:
    wide = {"a": np.broadcast_to(1.0, (1000,))}
    with pytest.raises(ad.ShapeMismatch, match="would have 1,000,000,000 entries"):
        read("a_i a_j a_k", wide).formula.evaluate(wide)


def test_batches_in_components() -> None:
    np.testing.assert_allclose(value(r"\frac{1}{6} \sum_j X_{ij}"), X.mean(1))
    np.testing.assert_allclose(value("E = sum_j -t_k log(Y_kj)".replace("sum_j", "sum_{j,k}")), -np.sum(t * log(Y)))
    np.testing.assert_allclose(value(r"\frac{1}{m} \sum_j \mathbf{Y}_j \mathbf{X}_j^\top"), Y @ X.T / m)  # a sum over examples
    np.testing.assert_allclose(value("mean(Y_k)"), Y.mean(1))


def test_a_transposed_left_side() -> None:
    line = read(r"\left(\frac{\partial E}{\partial \mathbf{z}_2}\right)^\top = (y_2 - t)^\top", NAMES)
    assert str(line.target) == "dE/dz2"
    np.testing.assert_array_equal(line.formula.evaluate(ENV), y2 - t)


def test_cases_that_say_nothing_are_nan() -> None:
    assert np.isnan(value(r"\begin{cases} 1 & t_i = 1 \end{cases}")).ravel().tolist() == [True, False, True]
    assert np.isnan(value("dE/dz2_i = y2_i - 1 when t_i = 1")).ravel().tolist() == [True, False, True]


# ---------------------------------------------------------------- nodes and symbols


def test_formulas_record_on_tensors() -> None:
    leaves = {name: ad.Tensor(ENV[name], name=name) for name in ("y2", "t", "y1", "W2")}
    for text in (
        "(W2.T @ (y2 - t)) * y1 * (1 - y1)",
        r"\sum_k w_{ki}^{(2)} (y_k^{(2)} - t_k) y_i^{(1)} (1 - y_i^{(1)})",
        "W2' softmax(y2)",
        "tanh'(y1)",
    ):
        formula = read(text, leaves).formula
        node = formula.evaluate(leaves)
        assert isinstance(node, ad.Tensor) and node.op is not None
        np.testing.assert_allclose(node.data, formula.evaluate({k: n.data for k, n in leaves.items()}), rtol=1e-14)


def test_formulas_run_on_symbols() -> None:
    names = ("x", "t", "W1", "W2")
    tx, tt, tW1, tW2 = (ad.Tensor(ENV[name], name=name) for name in names)
    ty1 = ad.sigmoid(tW1 @ tx).named("y1")
    E = np.sum((tW2 @ ty1).named("y2") * tt).named("E")
    graph = ad.derive(E, tW2)._graph
    symbols = {n.name: graph.symbol(n) for n in order(E) if n.name and n is not E}

    def poly(text: str) -> Any:
        return read(text, symbols).formula.evaluate(symbols).poly

    assert poly("(W2 W1) x") == poly(r"W_2 (W_1 x)")
    assert poly("y1 - y1*y1") == poly(r"y_{1,i} - y_{1,i}^2") == poly("-(y1^2 - y1)")
    assert poly("y2 if t == 1 else 0") == poly("(t == 1) * y2") != poly("y2")
    assert poly("(y2 t')'") == poly("t_i y2_j") != poly("y2 t'")


def test_what_is_derived_can_be_read() -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(3), size=6).T
    tX, tt = ad.constant(rng.normal(size=(4, 6)), name="x"), ad.constant(shares, name="t")
    tW1, tW2, tb = (ad.Tensor(rng.normal(size=s), name=n) for n, s in (("W1", (5, 4)), ("W2", (3, 5)), ("b", (3, 1))))
    ty1 = ad.sigmoid((tW1 @ tX).named("z1")).named("y1")
    ty2 = ad.softmax((tW2 @ ty1 + tb).named("z2"), axis=0).named("y2")
    E = np.mean(-np.sum(tt * np.log(ty2), axis=0)).named("E")
    nodes = {n.name: n for n in order(E) if n.name}
    env = {**{name: n.data for name, n in nodes.items()}, "m": 6}
    read_back = 0
    for result in ad.derive(E, [n for n in nodes.values() if n.active and n is not E]).results:
        truth = np.asarray(ad.gradient(E, nodes[result.left.split("/d")[1]]))
        for text in (result.text, result.numpy, result.latex):
            formula = read(text, env).formula
            tried = [np.squeeze(f.evaluate(env)) for f in (formula, *formula.readings())]
            assert any(f.shape == np.squeeze(truth).shape and np.allclose(f, np.squeeze(truth)) for f in tried), text
            read_back += 1
    assert read_back == 3 * 7


# ---------------------------------------------------------------- edits

EDITS = [  # a wrong formula, the right one, and the sentence
    ("(t - y2) @ y1.T", "-((t - y2) @ y1.T)", "change the sign of (t - y2) @ y1.T"),
    ("(y2 + t) @ y1.T", "(y2 - t) @ y1.T", "change the sign of t in y2 + t"),
    ("W2 (y2 - t)", "W2^T (y2 - t)", "transpose W2"),
    ("A.T @ y2", "A @ y2", "leave A without its transpose"),
    ("y1.T @ (y2 - t)", "(y2 - t) @ y1.T", "exchange the factors y1.T and y2 - t"),
    ("delta1 * y1 * y1", "delta1 * y1", "leave out the factor y1 of dE/dz1 * y1 * y1"),
    ("W2.T @ dz2 * y1", "W2.T @ dz2 * (1 - y1)", "write 1 - y1 instead of y1"),
    ("1 / (1 + exp(z1))", "1 / (1 + exp(-z1))", "change the sign of the exponent in np.exp(z1)"),
    ("(y2 - t) @ z1.T", "(y2 - t) @ y1.T", "write y1 instead of z1"),
    ("(y2 - t) @ y1.T", "(y2 - t) @ y1.T / m", "divide (y2 - t) @ y1.T by m"),
    ("2 * y2", "y2", "leave out the factor 2 of 2 * y2"),
    ("y2**3", "y2**2", "write 2 instead of 3"),
    ("np.sum(Y, axis=0)", "np.sum(Y, axis=1)", "take the sum over axis 1 in np.sum(Y, axis=0)"),
    ("t / y2", "y2 / t", "turn the fraction t / y2 upside down"),
    ("y2 - y2", "y2 - y2**2", "square y2"),
    ("A * B", "A @ B", "make A * B a matrix product"),
    ("A @ B", "A * B", "make A @ B an entrywise product"),
    ("tanh(z1)", "sigmoid(z1)", "write sigmoid instead of tanh in np.tanh(z1)"),
    ("log(y2)", "y2", "leave out the log of y2"),
    (
        "dE/dz1 = (W2.T @ delta2) * sigmoid(z1)",
        "(W2.T @ delta2) * sigmoid'(z1)",
        "write the derivative of sigmoid instead of it in sigmoid(z1)",
    ),
    (r"\sum_k y_{2,k} t_k", r"y_{2,k} t_k", None),
    ("0 if t == 1 else y2", "y2 if t == 1 else 0", None),
    ("1 - y2", "y2", "write y2 instead of 1 - y2"),
    ("σ'(z1)", "σ(z1)", "write sigmoid instead of sigmoid'"),
]


@pytest.mark.parametrize(("wrong", "right", "said"), EDITS, ids=[row[0] for row in EDITS])
def test_one_edit_away(wrong: str, right: str, said: str | None) -> None:
    wanted = read(right, NAMES).formula.evaluate(ENV)
    found = {}
    for sentence, formula in read(wrong, NAMES).formula.edits(SHAPES):
        try:
            got = formula.evaluate(ENV)
        except ad.ShapeMismatch:
            continue
        if np.shape(got) == np.shape(wanted) and np.allclose(got, wanted, rtol=1e-12):
            found[sentence] = formula
    assert found and (said is None or said in found), found


def test_edits_are_formulas_of_their_own() -> None:
    formula = read("dE/dw_uv^{(2)} = (y_u^{(2)} - t_u) y_v^{(1)} / 2".replace("w_uv", "w_{uv}"), NAMES).formula
    variants = list(formula.edits(SHAPES))
    assert len(variants) > 30
    assert len({f for _, f in variants}) == len(variants) and formula not in {f for _, f in variants}
    assert all(isinstance(f, Formula) and f.op == "entries" and f.text and said for said, f in variants)


# ---------------------------------------------------------------- any text at all

SIGNS = "( ) { } [ ] ^ _ ' + - * @ / = , : . & | 0 2 0.5 i k i=j ≠ > == ** .* · ⊙ ⊤ ² ½ δ ∑ ∂ ∇ ‖ ⟨ ⟩ 𝟙 (5) ^T ^{(2)} ^{-1}"
WORDS = """e e^ I T if else when otherwise y2 y_i W2 t x z_k Y dE/dz2 dE_dW2 delta2 dy2/dz2 ∂E/∂W2 sum_k σ'( diag( softmax( exp(
    np. where( None 1[ .T .sum( axis=0"""
LATEX = r"""\frac \partial \mathbf{y} \sum_k \sum \begin{cases} \end{cases} \\ \delta_{ij} \sigma \log \text{if} \text{ \top \mathbf{1}
    \left( \right) \quad \tag{3} \nabla_{W2} \stackrel{m=1}{=} \sqrt{ \odot \cdot \mathbb{1} \neq"""
PIECES = [*SIGNS.split(), *WORDS.split(), *LATEX.split()]
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=16).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=16).map("".join),
)


def _any_text(text: str) -> None:
    """Read, it evaluates or does not fit, and prints; or it is refused, with a sentence."""
    try:
        line = read(text, NAMES)
    except BadFormula as error:
        assert "\n" in str(error) or "deep" in str(error) or "characters" in str(error)
        return
    for formula in line.formulas:
        assert formula.text and formula.numpy and isinstance(formula.names, set)
        try:
            formula.evaluate(ENV)
        except ad.ShapeMismatch:
            continue
        except KeyError as error:
            assert "/d" in str(error)  # a derivative that ENV lacks


test_any_text = settings(max_examples=500, deadline=None, derandomize=True)(given(TEXTS)(_any_text))
test_any_text_at_length = pytest.mark.slow(settings(max_examples=10_000, deadline=None)(given(TEXTS)(_any_text)))
