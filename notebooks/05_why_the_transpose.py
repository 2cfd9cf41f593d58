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
# # 5. Why the transpose?
#
# In the formulas of backpropagation matrices stand on their heads: $W^\top$ here, $\mathbf x^\top$ there, now on the left, now on the
# right. Many people get them right by trying until the shapes fit, and never know why. When the matrices are square, everything fits,
# and trying ends in a wrong gradient. Here is the reason; it is a small one.
#
# When you are through, you will be able to
#
# - derive $\frac{\partial E}{\partial W}$ and $\frac{\partial E}{\partial \mathbf x}$ for $\mathbf z = W \mathbf x$ from indices, without
#   knowing any matrix calculus;
# - say which way a transpose must go, also when the shapes do not tell;
# - read the same result in the three layouts that books use;
# - say where the sum over a batch is hidden, where $1/m$ belongs, and why a bias gets a sum.
#
# You need to know how a matrix is multiplied, and *rates along a chain multiply, rates over several ways add up* from
# [notebook 1](01_one_neuron.ipynb).

# %%
import numpy as np
from lesson import check, formula, refused, show

import autodiff as ad

# %% [markdown]
# (`show` prints a number and stops the notebook unless it is the expected one, `formula` does so for formulas; `check` judges your
# answers at the end.)
#
# ## One layer
#
# Three inputs, two outputs, $\mathbf z = W \mathbf x$. Behind it is some loss $E$, and we suppose that the way back has already
# brought us $\partial E/\partial \mathbf z$, two numbers; call them $\mathbf g$.
#
# $$ W = \begin{pmatrix} 1 & 2 & 0 \\ 0 & -1 & 3 \end{pmatrix} \quad \mathbf x = \begin{pmatrix} 2 \\ 1 \\ -1 \end{pmatrix} \quad
#    \mathbf g = \begin{pmatrix} 1 \\ -2 \end{pmatrix} $$
#
# (A loss that has such a derivative: $E = z_1 - 2 z_2$.) **Predict** $\mathbf z$ and $E$.

# %%
W = ad.Tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]], name="W")
x = ad.Tensor([2.0, 1.0, -1.0], name="x")
g = ad.constant([1.0, -2.0], name="g")

z = (W @ x).named("z")
E = np.sum(g * z).named("E")
show("z", z, [4, -4])
show("E", E, 12)

# %% [markdown]
# Forget matrices for a moment. One output at a time, the layer says
#
# $$ z_u = \sum_v w_{uv}\, x_v $$
#
# The row $u$ of $W$ is met by all of $\mathbf x$. **Remember the two indices: $u$ counts outputs, $v$ counts inputs.** Everything
# follows from them.
#
# ## By the input
#
# How does $x_2$ reach the loss? Through $z_1$, with rate $w_{12} = 2$, and through $z_2$, with rate $w_{22} = -1$. Two ways, so their
# rates add up: $g_1 w_{12} + g_2 w_{22} = 1 \cdot 2 + (-2)(-1) = 4$. In general
#
# $$ \frac{\partial E}{\partial x_v} = \sum_u g_u\, w_{uv} $$
#
# Compare the two sums. Forward, we add over $v$: along a **row** of $W$. Backward, we add over $u$: down a **column**. A matrix product
# always adds along rows of the left matrix. To make it add down columns, you turn the matrix:
#
# $$ \frac{\partial E}{\partial \mathbf x} = W^\top \mathbf g $$
#
# That is all there is to the first transpose: *going forward an input meets the outputs along one index, going backward along the
# other.*
#
# **Predict** the other two entries by walking down the columns.

# %%
dE_dx = ad.gradient(E, x)
show("dE/dx", dE_dx, [1, 4, -6])
show("formula", W.data.T @ g.data, [1, 4, -6])

# %% [markdown]
# And by bumping, since one should never believe a formula that one has not bumped:

# %%
h = 0.001


def bumped(array, f):
    """The derivative of f by each entry of an array, by bumping one after another."""
    slopes = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        push = np.zeros(array.shape)
        push[index] = h
        slopes[index] = (f(array + push) - f(array - push)) / (2 * h)
    return slopes


show("by bumps", bumped(x.data, lambda x: np.sum(g.data * (W.data @ x))), [1, 4, -6])

# %% [markdown]
# ## By the weights
#
# The weight $w_{uv}$ touches nothing but $z_u$, and moves it by $x_v$. One way only:
#
# $$ \frac{\partial E}{\partial w_{uv}} = g_u\, x_v $$
#
# No sum at all: every $g$ meets every $x$. A table of all products, with $u$ down and $v$ across, is what a *column times a row* gives:
#
# $$ \frac{\partial E}{\partial W} = \mathbf g\, \mathbf x^\top = \begin{pmatrix} 1 \\ -2 \end{pmatrix} \begin{pmatrix} 2 & 1 & -1
#    \end{pmatrix} $$
#
# That is the second transpose: it lays $\mathbf x$ down, so that its index runs *across*, as it does in $W$. And $\mathbf g$ stands on
# the left since its index runs *down*, as it does in $W$. **Predict** the table.

# %%
show("dE/dW", ad.gradient(E, W), [[2, 1, -1], [-4, -2, 2]])
show("formula", np.outer(g.data, x.data), [[2, 1, -1], [-4, -2, 2]])
show("by bumps", bumped(W.data, lambda W: np.sum(g.data * (W @ x.data))), [[2, 1, -1], [-4, -2, 2]])

# %% [markdown]
# The engine finds both formulas from the graph. It works with indices, as we did, and turns them into matrices only at the end:

# %%
formula(ad.derive(E, wrt=[x, W]), "dE/dx = W.T @ g", "dE/dW = g @ x.T")

# %% [markdown]
# ## Why "until the shapes fit" is not enough
#
# Here the shapes help: $W \mathbf g$ is not even possible.

# %%
refused(ad.ShapeMismatch, lambda: W @ g)

# %% [markdown]
# But take a square layer, two in and two out. Now $V \mathbf g$ and $V^\top \mathbf g$ both exist.
#
# **Predict** both for $V = \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$ and $\mathbf g = (1, -2)$. Only one of them is the gradient.

# %%
V = ad.Tensor([[1.0, 2.0], [3.0, 4.0]], name="V")
s = ad.Tensor([5.0, 6.0], name="s")
E_square = np.sum(g * (V @ s))
show("V g", V.data @ g.data, [-3, -5])
show("V^T g", V.data.T @ g.data, [-5, -6])
show("truth", ad.gradient(E_square, s), [-5, -6])

# %% [markdown]
# And for the weights, $\mathbf g \mathbf s^\top$ and $\mathbf s \mathbf g^\top$ have the same shape. Training with the wrong one does
# not crash. Worse, it may even learn ([notebook 6](06_break_it.ipynb) shows a network that does), and then nobody looks for the mistake.
# Whenever you set sizes yourself, for a test, make them all different.
#
# ## Three layouts
#
# Look up the same gradient in three books, and you find $W^\top \mathbf g$, $\mathbf g^\top W$, and both of them in one book. They do
# not disagree. They *lay down* the result differently:
#
# | layout | a derivative by a column is | a derivative by a matrix is |
# |---|---|---|
# | denominator (this project, and all code) | a column | of the shape of the matrix |
# | numerator | a row | turned |
# | mixed (many lecture notes) | a row | of the shape of the matrix |
#
# In code, only the first makes sense: you want to subtract the gradient from the thing. On paper you will meet them all, and now you
# can translate: *turn the whole product, and its factors change places*, $(W^\top \mathbf g)^\top = \mathbf g^\top W$.

# %%
formula(ad.derive(E, wrt=[x, W], layout="numerator"), "dE/dx = g.T @ W", "dE/dW = x @ g.T")

# %%
formula(ad.derive(E, wrt=[x, W], layout="mixed"), "dE/dx = g.T @ W", "dE/dW = g @ x.T")

# %% [markdown]
# ## A batch
#
# Now two examples at once, as the columns of $X$. The layer is $Z = W X + \mathbf b$ with a bias, and the loss half the squared
# distance to targets $T$, so that $\partial E/\partial Z = Z - T$; call that table $G$, one column for each example.

# %%
X = ad.Tensor([[2.0, 1.0], [1.0, 0.0], [-1.0, 2.0]], name="X")
b = ad.Tensor([[1.0], [0.0]], name="b")
T = ad.constant([[5.0, 0.0], [-5.0, 4.0]], name="T")

Z = (W @ X + b).named("Z")
E = (np.sum((Z - T) ** 2) / 2).named("E")
E.backward()

G = Z.data - T.data
show("Z", Z, [[5, 2], [-4, 6]])
show("G", G, [[0, 2], [1, 2]])

# %% [markdown]
# With indices, $j$ for the example: $z_{uj} = \sum_v w_{uv} x_{vj} + b_u$. The weight $w_{uv}$ now reaches the loss once through
# *every* example, so its ways add up over $j$:
#
# $$ \frac{\partial E}{\partial w_{uv}} = \sum_j g_{uj}\, x_{vj} \qquad\Longleftrightarrow\qquad \frac{\partial E}{\partial W} = G
#    X^\top $$
#
# The matrix product hides the sum over the examples: it is what it adds over. **Predict:** is $G X^\top$ the sum of the two tables
# $\mathbf g_j \mathbf x_j^\top$ for each example?

# %%
first = np.outer(G[:, 0], X.data[:, 0])
second = np.outer(G[:, 1], X.data[:, 1])
show("example 1", first, [[0, 0, 0], [2, 1, -1]])
show("example 2", second, [[2, 0, 4], [2, 0, 4]])
show("their sum", first + second, [[2, 0, 4], [4, 1, 3]])
show("G X^T", G @ X.data.T, [[2, 0, 4], [4, 1, 3]])
show("dE/dW", W.grad, [[2, 0, 4], [4, 1, 3]])

# %% [markdown]
# By the inputs nothing is added over examples, since each example has inputs of its own: $\partial E/\partial X = W^\top G$, column by
# column as before.

# %%
show("dE/dX", X.grad, [[0, 2], [-1, 2], [3, 6]])
show("formula", W.data.T @ G, [[0, 2], [-1, 2], [3, 6]])

# %% [markdown]
# ## Why a bias gets a sum
#
# $\mathbf b$ is a column of two numbers, but it was added to a table of $2 \times 2$: NumPy copied it for each example. $b_u$ is used
# once in **every** column, so it reaches the loss in as many ways, each with rate 1. Ways add up:
#
# $$ \frac{\partial E}{\partial b_u} = \sum_j g_{uj} $$
#
# Whatever is *copied* forward is *summed* backward. (And the other way round: what is summed forward is copied backward.)
#
# **Predict** the two numbers: the row sums of $G$.

# %%
show("dE/db", b.grad, [[2], [3]])
show("row sums", G.sum(axis=1, keepdims=True), [[2], [3]])

# %% [markdown]
# Another way to see it: a bias is a weight for one more input, which is always 1. So its gradient is $G$ times a row of ones turned,
# $G\, \mathbf 1$, as with any other weight.

# %%
ones = np.ones((1, 2))
show("G 1^T", G @ ones.T, [[2], [3]])

# %% [markdown]
# Here is all of it in one picture. Each box has its value and its gradient, as colours (red is positive, blue negative), and the formula
# that the engine found.

# %%
ad.draw(E, formulas=True, rankdir="TB")

# %% [markdown]
# ## Where does $1/m$ belong?
#
# Losses are usually *averaged* over the $m$ examples, so that a batch of 100 does not take steps 100 times as large as a batch of 1.
# A factor before the loss is a factor before everything behind it. It enters **once**, in $G$, and every other formula stays as it
# was.
#
# **Predict** what becomes of $\partial E/\partial W$, with $m = 2$.

# %%
E_mean = (np.mean(np.sum((Z - T) ** 2, axis=0)) / 2).named("E")
show("dE/dW", ad.gradient(E_mean, W), [[1, 0, 2], [2, 0.5, 1.5]])
formula(
    ad.derive(E_mean),
    "dE/dZ = (Z - T) / m",
    "dE/db = (Z - T).sum(1, keepdims=True) / m",
    "dE/dX = W.T @ (Z - T) / m",
    "dE/dW = (Z - T) @ X.T / m",
)

# %% [markdown]
# (Written $\mathbf 1$ for a column of ones, the row sums are a product as well. And the engine asks whether the 2 in the loss was meant
# to be $m$, since here both are 2. It was not: it is the 2 of "half the squared distance".)
#
# The famous mistake is to divide in $G$ *and* again in $\partial E/\partial W$. Some courses define $G$ without the $1/m$, as the
# derivative of each example's own loss, and divide later. That is fine too, as long as it is done once. If your gradients are all off by
# the same factor, count the examples.
#
# ## Rows for columns
#
# In NumPy and PyTorch one usually keeps examples as **rows**. Then the layer is $Z = X V + \mathbf b$ with $V = W^\top$, and all
# formulas look different again: the factors change places, and the bias is summed the other way.

# %%
V = ad.Tensor(W.data.T, name="V")
R = ad.Tensor(X.data.T, name="X")
c = ad.Tensor([1.0, 0.0], name="b")
targets = ad.constant(T.data.T, name="T")

Z_rows = (R @ V + c).named("Z")
E_rows = (np.sum((Z_rows - targets) ** 2) / 2).named("E")
show("dE/dV", ad.gradient(E_rows, V), [[2, 4], [0, 1], [4, 3]])
formula(
    ad.derive(E_rows, wrt=[V, R, c]),
    "dE/dV = X.T @ (Z - T)",
    "dE/dX = (Z - T) @ V.T",
    "dE/db = (Z - T).sum(0)",
)

# %% [markdown]
# The same numbers as before, turned. So *never learn the formulas by heart*. Learn the index form; it is the same in every layout and
# convention:
#
# > the derivative by a thing has the thing's indices; every index that it does not have is summed over.
#
# ## Your turn
#
# Put your answer in the place of `None`. Solutions are at the end.
#
# **1.** $E = \mathbf a^\top W \mathbf x$ with $\mathbf a = (1, 3)$ and $W$, $\mathbf x$ as at the top. What is $\partial E/\partial W$?

# %%
a = np.array([1.0, 3.0])
truth_1 = ad.gradient(a @ W @ x, W)

answer_1 = None
check(1, answer_1, truth_1)

# %% [markdown]
# **2.** A layer with turned weights, $\mathbf z = V^\top \mathbf x$, with a $V$ of shape $(3, 2)$. First indices: $z_u = \sum_v v_{vu}
# x_v$. What is $\partial E/\partial V$ in matrices? Write it as a function of `g` and `x`, both columns of shape $(n, 1)$.

# %%
column_x, column_g = np.array([[2.0], [1.0], [-1.0]]), np.array([[1.0], [-2.0]])
turned = ad.Tensor(np.zeros((3, 2)))
truth_2 = ad.gradient(np.sum(column_g * (turned.T @ column_x)), turned)

answer_2 = None  # lambda g, x: ...
check(2, answer_2 and answer_2(column_g, column_x), truth_2)

# %% [markdown]
# **3.** $E = \mathbf s^\top A\, \mathbf s$ with $A = \begin{pmatrix} 1 & 2 \\ 0 & 3 \end{pmatrix}$ and $\mathbf s = (1, 2)$. Here
# $\mathbf s$ is used twice. What is $\partial E/\partial \mathbf s$?

# %%
A = np.array([[1.0, 2.0], [0.0, 3.0]])
s = ad.Tensor([1.0, 2.0])
truth_3 = ad.gradient(s @ A @ s, s)

answer_3 = None
check(3, answer_3, truth_3)

# %% [markdown]
# **4.** A friend computes with averages over $m = 8$ examples, `G = (Z - T) / m`, then `dW = G @ X.T / m` and `db = G.mean(axis=1)`.
# By which factor is each too small? Give the two factors as a list.

# %%
inputs, off = np.ones((3, 8)), np.arange(16.0).reshape(2, 8)
weights, bias = ad.Tensor(np.zeros((2, 3))), ad.Tensor(np.zeros((2, 1)))
half_square = np.mean(np.sum((weights @ inputs + bias - off) ** 2, axis=0)) / 2
true_dW, true_db = ad.gradient(half_square, [weights, bias])
G_friend = (0 - off) / 8
truth_4 = [(true_dW / (G_friend @ inputs.T / 8))[0, 0], true_db[0, 0] / G_friend.mean(axis=1)[0]]

answer_4 = None
check(4, answer_4, truth_4)

# %% [markdown]
# **5.** A *scale* for each output, $z_{uj} = s_u \cdot (W X)_{uj}$. Which sum is $\partial E/\partial s_u$? Compute it for $G$ and
# $WX$ as below.

# %%
WX = W.data @ X.data
scale = ad.Tensor([[1.0], [1.0]])
truth_5 = ad.gradient(np.sum(G * (scale * WX)), scale)
show("G", G, [[0, 2], [1, 2]])
show("W X", WX, [[4, 1], [-4, 6]])

answer_5 = None
check(5, answer_5, truth_5)

# %% [markdown]
# ### Solutions
#
# **1.** $\mathbf a$ plays the part of $\mathbf g$. **2.** $\partial E/\partial v_{vu} = x_v g_u$: now $v$ runs down, so $\mathbf x$
# stands on the left. **3.** $A^\top \mathbf s$ for the one use and $A \mathbf s$ for the other. **4.** Each divides once too often: a
# mean is a sum divided by $m$. **5.** $s_u$ is copied along the row, so its ways are summed over $j$.

# %%
check(1, np.outer(a, [2, 1, -1]), truth_1)
check(2, column_x @ column_g.T, truth_2)
check(3, [1 + 2 * 2 + 1, 3 * 2 + 2 * 1 + 3 * 2], truth_3)
check(4, [8, 8], truth_4)
check(5, [[0 * 4 + 2 * 1], [1 * -4 + 2 * 6]], truth_5)

# %% [markdown]
# Next: [break it](06_break_it.ipynb), where you plant the ten commonest mistakes and have them named.
