# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10. For researchers: your own op, your own loss, a certificate
#
# Your loss is not in any textbook, and your paper has its gradient in equation (17). Is it right? Published equations have been wrong in
# lecture notes, in books and in released libraries. Here you declare an operation of your own, write a loss of your own, have its
# gradient and Hessian derived as formulas, compare them with what the paper says, and write a certificate that you can attach.
#
# When you are through, you will be able to
#
# - declare an operation with its derivative in two lines, and have a wrong derivative caught before it does harm;
# - get closed forms of a loss of yours, in your own names, and know what they assume;
# - have the equations of a paper checked, and the wrong ones explained;
# - certify a gradient: by the graph, by forward mode, by differences with an error bar, and by PyTorch and JAX where they are installed.
#
# You need matrices and derivatives, and nothing of this project; see [notebook 1](01_one_neuron.ipynb) for the ideas.

# %%
import json
import tempfile
from pathlib import Path

import numpy as np
from lesson import check, formula, holds, show

import autodiff as ad

# %% [markdown]
# (`show` prints a number and stops the notebook unless it is the expected one; `formula` does so for formulas, `holds` for sentences.)
#
# ## An operation of your own
#
# *Swish* is $s(x) = x \, \sigma(x)$, a smooth relative of relu. Its derivative by the product rule, with $\sigma' = \sigma (1 - \sigma)$:
#
# $$ s' = \sigma + x\, \sigma (1 - \sigma) = s + \sigma (1 - s) $$
#
# The second form uses the result $s$ itself, which has been computed already. **Predict** $s(0)$ and $s'(0)$.

# %%
swish = ad.elementwise("swish", lambda x: x / (1 + np.exp(-x)), lambda z, x: z + ad.sigmoid(x) * (1 - z))
show("s(0)", swish(0.0), 0)
show("s'(0)", ad.grad(swish)(0.0), 0.5)

# %% [markdown]
# A name, the function, its derivative in terms of the result `z` and the operand `x`. That is all, and everything follows from it: arrays
# and single numbers, forward mode, and derivatives of every order, since the rule is ordinary code that can itself be differentiated.
# **Predict** $s''(0)$: differentiate $\sigma + x \sigma'$ once more, and put in $x = 0$.

# %%
show("s''(0)", ad.grad(ad.grad(swish))(0.0), 0.5)
show("forward", ad.jvp(swish, (0.0,), (1.0,)), [0, 0.5])

# %% [markdown]
# ## A wrong rule
#
# Would anybody notice a mistake? Here the first term is forgotten. `check_grads` compares with differences whose error it computes, so
# there is no tolerance to choose.

# %%
broken = ad.elementwise("broken_swish", lambda x: x / (1 + np.exp(-x)), lambda z, x: ad.sigmoid(x) * (1 - z))

ad.check_grads(swish, np.array([-1.0, 0.0, 2.0]))  # passes
try:
    ad.check_grads(broken, np.array([-1.0, 0.0, 2.0]))
except ad.GradientMismatch as error:
    message = str(error)

holds("the broken one is caught by differences", "differences give" in message)
holds("it says which entry", "with respect to x[2]" in message)
holds("and which operation", "broken_swish" in message)
begins = "order 1, forward mode: the derivative of broken_swish[2] with respect to x[2] is -0.67"
holds(f"it begins so: {begins}...", message.startswith(begins))
holds("and goes on: but differences give 1.09...", "but differences give 1.09" in message)

# %% [markdown]
# Both numbers stand there with their error bars. ("Order 1" is the first derivative, and forward mode is where the rule was asked first.)
#
# ## A loss of your own
#
# A Gaussian with mean $\boldsymbol\mu$ and *precision* $P$, the inverse of its covariance. For $m$ observations, the rows of $X$, the mean
# negative log-likelihood is, up to a constant,
#
# $$ E = \frac12 \Big( \frac1m \sum_j \mathbf d_j^\top P\, \mathbf d_j - \log \det P \Big), \qquad \mathbf d_j = \mathbf x_j -
#    \boldsymbol\mu . $$
#
# Four observations in two dimensions, $\boldsymbol\mu = \mathbf 0$, $P = I$. **Predict** $E$: the squared lengths are 5, 5, 1, 1.

# %%
X = ad.constant([[2.0, 1.0], [-2.0, -1.0], [0.0, 1.0], [0.0, -1.0]], name="X")
mu = ad.Tensor([0.0, 0.0], name="mu")
P = ad.Tensor(np.eye(2), name="P")


def likelihood(mu, P):
    """The mean negative log-likelihood of the rows of X, without its constant."""
    D = (X - mu).named("D")
    return ((np.mean(np.sum((D @ P) * D, axis=1)) - ad.logdet(P)) / 2).named("E")


E = likelihood(mu, P)
show("E", E, 1.5)

# %% [markdown]
# ## Its closed form
#
# By the precision first. **Predict** it, if you know that the derivative of $\log \det P$ is the transposed inverse of $P$.

# %%
formula(ad.derive(E, wrt=P, assume=["P == P.T"]), "dE/dP = 0.5 * (D.T @ D / m - inv(P))    using P == P.T")

# %% [markdown]
# Read the last line. A precision is symmetric, so we let it use that, and the result says so; the lines before are true without. (It
# treats the two halves of $P$ as independent entries, as gradient descent does. Some books count each off-diagonal pair once, and get
# twice the number there.)
#
# The formula solves the problem: it is zero where $P^{-1} = \frac1m D^\top D$. *The best precision is the inverse of the observed
# covariance*, and nobody had to look it up. **Predict** the covariance of our four points, and the gradient at $P = I$.

# %%
covariance = X.data.T @ X.data / 4
show("covariance", covariance, [[2, 1], [1, 1]])
show("dE/dP", ad.gradient(E, P), [[0.5, 0.5], [0.5, 0]])

best = likelihood(mu, ad.Tensor(np.linalg.inv(covariance), name="P"))
show("best P", np.linalg.inv(covariance), [[1, -1], [-1, 2]])
show("best E", best, 1)

# %% [markdown]
# Second derivatives are formulas, too. **Predict** the Hessian by $\boldsymbol\mu$. (How certain is the mean? Statisticians call the
# answer the Fisher information.)

# %%
formula(ad.derive(E, wrt=(mu, mu), assume=["P == P.T"]), "d²E/dmu² = P    using P == P.T")

# %% [markdown]
# Your own operations may take part. They appear in the formulas under their names, with their own rule:

# %%
W = ad.Tensor([[1.0, 2.0], [0.0, -1.0]], name="W")
x = ad.Tensor([1.0, 2.0], name="x")
z = (W @ x).named("z")
loss = np.sum(swish(z)).named("E")
formula(ad.derive(loss, wrt=W), "dE/dW = (sigmoid(z) * (1 - swish(z)) + swish(z)) @ x.T")

# %% [markdown]
# ## Is equation (17) right?
#
# Here are four versions of an equation for $\partial E / \partial P$, as one finds them in drafts. **Predict** which is right, and what is
# wrong with the others.

# %%
versions = {
    "(17)": "D.T @ D / m - inv(P)",
    "(17a)": "(D.T @ D / m + inv(P)) / 2",
    "(17b)": "(D @ D.T / m - inv(P)) / 2",
    "(17c)": "(D.T @ D / m - inv(P)) / 2",
}
for label, equation in versions.items():
    report = ad.check(E, {"P": equation})
    assert report.ok == (label == "(17c)")
    needs = report.verdicts[0].assumptions
    if report.ok:
        verdict = f"right, and needs {' and '.join(needs)}"
    else:
        verdict = f"wrong; write {report.first_wrong.fix}"
    print(f"{label:6} {equation:28}", verdict)

assert needs == ("symmetric P",)
for_any = ad.check(E, {"P": "(D.T @ D / m - inv(P).T) / 2"})
holds("with inv(P).T it is right, and needs nothing", for_any.ok and for_any.verdicts[0].assumptions == ())

# %% [markdown]
# (17) forgot the factor $\frac12$, (17a) has a wrong sign, (17b) a wrong transpose, whose shape gives it away. (17c) is
# right for a symmetric $P$, as every precision is, and the report says that it needs this. With `inv(P).T` it is right for any $P$.
# The numbers are compared at the recorded point and at others, so an equation cannot be right by accident. Keep such a check beside
# your paper, and run it when the paper changes: `report.require()` raises an error if something is wrong.
#
# ## A certificate
#
# Agreement of one program with itself proves little. `E.certificate()` computes the gradient of *this very graph* in every way
# there is: backward, forward, by differences that bring an error bar, with complex numbers where every operation allows it, and by PyTorch
# and JAX if they are installed. The comparisons are in *ulps*, units of the last place, against a bound that is computed. Let us look at
# those that are made everywhere. (The whole text also has the versions of everything, so it differs from machine to machine.)

# %%
certificate = E.certificate()
certificate.require()
for row in certificate.rows:
    if row.what.startswith(("graph", "backward")):
        assert row.ok
        print(row.what)
holds("all comparisons agree, PyTorch's and JAX's among them where there are any", certificate.ok)

# %% [markdown]
# Write it down, and attach it:

# %%
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "equation_17.json"
    file.write_text(certificate.json)
    again = json.loads(file.read_text())

holds("the file says that all is well", again["ok"])
holds("it names the versions", {"NumPy", "Python"} <= set(again["versions"]))

# %% [markdown]
# A certificate that cannot fail would be worth nothing. So let it look at the broken swish:

# %%
failed = np.sum(broken(z)).named("E").certificate()
holds("it does not pass", not failed.ok)
forward = [r.ok for r in failed.rows if "forward mode" in r.what]
holds("forward mode agrees with backward: both believe the rule", forward and all(forward))
(row,) = (r for r in failed.rows if r.what == "backward = differences")
holds("the differences do not", row.verdict == "different")
holds("and the operation is named", "broken_swish" in row.detail)

# %% [markdown]
# Note the second line. Backward and forward mode use the *same* rule, and so they agree on a wrong one. Only a witness who does not know
# the rule can convict it. That is why the certificate calls several.
#
# ## Your turn
#
# Put your answer in the place of `None`. Solutions are at the end.
#
# **1.** *Softsign*, $f(x) = \frac{x}{1 + |x|}$. Its slope is $\frac{1}{(1 + |x|)^2}$. Declare it. (Use `np.abs`.)


# %%
def is_declared_well(op):
    """The slopes of an op at -1, 0.5 and 3, after check_grads has passed."""
    points = np.array([-1.0, 0.5, 3.0])
    ad.check_grads(op, points)
    return ad.grad(lambda x: np.sum(op(x)))(points)


softsign = None  # ad.elementwise("softsign", lambda x: ..., lambda z, x: ...)
check(1, softsign and is_declared_well(softsign), np.array([1 / 4, 4 / 9, 1 / 16]))

# %% [markdown]
# **2.** Move the mean: at $\boldsymbol\mu = (1, 0)$ and $P = I$, what is $\partial E/\partial \boldsymbol\mu$? (The formula is $-P$ times
# the mean of the $\mathbf d_j$.)

# %%
moved = ad.Tensor([1.0, 0.0], name="mu")
truth_2 = ad.gradient(likelihood(moved, P), moved)

answer_2 = None
check(2, answer_2, truth_2)

# %% [markdown]
# **3.** *Ridge regression*: $J = \sum_j (\mathbf x_j \cdot \mathbf w - y_j)^2 + \lambda \sum_i w_i^2$. Write $\partial J/\partial \mathbf
# w$ as a formula in text, with the names `A` for the matrix of inputs, `y`, `w` and `lam`; the checker judges it.

# %%
rng = np.random.default_rng(0)
A, y = ad.constant(rng.normal(size=(6, 3)), name="A"), ad.constant(rng.normal(size=6), name="y")
w, lam = ad.Tensor(rng.normal(size=3), name="w"), ad.constant(0.1, name="lam")
J = (np.sum((A @ w - y) ** 2) + lam * np.sum(w**2)).named("J")

answer_3 = None  # "..."
check(3, answer_3 and ad.check(J, {"w": answer_3}).ok, True)

# %% [markdown]
# **4.** And its Hessian, by $\mathbf w$ twice? Have the engine derive it, and count: how many of its nine entries are changed by $\lambda$?

# %%
ridge = lambda w, lam: np.sum((A.data @ w - y.data) ** 2) + lam * np.sum(w**2)
with_lam, without = (ad.hessian(lambda w, lam=lam: ridge(w, lam))(np.zeros(3)) for lam in (0.1, 0.0))
changed = np.sum(np.abs(with_lam - without) > 0.1)

answer_4 = None
check(4, answer_4, changed)

# %% [markdown]
# ### Solutions
#
# **2.** The mean of the $\mathbf d_j$ is $(-1, 0)$. **3.** $2 A^\top (A \mathbf w - \mathbf y) + 2 \lambda \mathbf w$. **4.** $2 A^\top A +
# 2 \lambda I$: only the diagonal. That is what makes it invertible.

# %%
softsign = ad.elementwise("softsign", lambda x: x / (1 + np.abs(x)), lambda z, x: 1 / (1 + np.abs(x)) ** 2)
check(1, is_declared_well(softsign), np.array([1 / 4, 4 / 9, 1 / 16]))
check(2, [1, 0], truth_2)
check(3, ad.check(J, {"w": "2 * A.T @ (A @ w - y) + 2 * lam * w"}).ok, True)
check(4, 3, changed)

# %%
formula(ad.derive(J, wrt=(w, w)), "d²J/dw² = 2 * lam * eye(n0) + 2 * A.T @ A")
