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
# # 4. Where did softmax's Jacobian go?
#
# A network for $K$ classes ends with softmax and the cross-entropy, and every book says that the derivative by the scores is simply
#
# $$ \frac{\partial E}{\partial \mathbf z} = \mathbf y - \mathbf t . $$
#
# But softmax has $K$ inputs and $K$ outputs, and everything depends on everything: its derivative is a table of $K \times K$ numbers.
# Where did the table go? It is the most asked question about backpropagation, and here is the answer with numbers for a pencil.
#
# When you are through, you will be able to
#
# - write down the whole table for a softmax, and check it without a computer;
# - see it collapse to $\mathbf y - \mathbf t$, and say at which step and why;
# - name the mistake of using only its diagonal, and prove it wrong on a napkin;
# - say when $\mathbf y - \mathbf t$ is *not* right, and what is right then.
#
# You need the chain rule of [notebook 1](01_one_neuron.ipynb).

# %%
import matplotlib.pyplot as plt
import numpy as np
from lesson import check, formula, show

import autodiff as ad

# %% [markdown]
# (`show` prints a number and stops the notebook unless it is the one given by hand, `formula` does so for formulas; `check` judges your
# answers at the end.)
#
# ## Softmax
#
# It turns scores, any numbers, into probabilities: positive, and together 1.
#
# $$ y_i = \frac{e^{z_i}}{e^{z_1} + e^{z_2} + \dots + e^{z_K}} $$
#
# **Predict:** the scores are $(0, \log 2, 0)$, so the exponentials are $1, 2, 1$. What is $\mathbf y$?


# %%
def softmax(z):
    """Softmax as in the formula."""
    e = np.exp(z)
    return e / np.sum(e)


z = np.array([0.0, np.log(2), 0.0])
y = softmax(z)
show("y", y, [1 / 4, 1 / 2, 1 / 4])

# %% [markdown]
# ## One push moves all
#
# Push the *first* score up a little. Its own probability grows. But the probabilities add up to 1, so somebody has to pay.
#
# **Predict** the signs: which of the three grow, which shrink, and what do the three slopes add up to?

# %%
h = 0.001
push = np.array([h, 0, 0])
slopes = (softmax(z + push) - softmax(z - push)) / (2 * h)
show("slopes", slopes, [0.1875, -0.125, -0.0625])
show("their sum", np.sum(slopes), 0)

# %% [markdown]
# As fractions: $\frac{3}{16}, -\frac{1}{8}, -\frac{1}{16}$. The quotient rule gives them without any bumping:
#
# $$ \frac{\partial y_i}{\partial z_i} = y_i - y_i^2 = y_i (1 - y_i) \qquad\qquad \frac{\partial y_k}{\partial z_i} = -\,y_k\, y_i
#    \quad (k \ne i) $$
#
# The first is what everybody remembers, since it looks like the sigmoid's. The second is what everybody forgets. In one table, the
# *Jacobian*, row $k$ and column $i$ hold $\partial y_k / \partial z_i$:
#
# $$ J = \mathrm{diag}(\mathbf y) - \mathbf y \mathbf y^\top = \frac1{16} \begin{pmatrix} 3 & -2 & -1 \\ -2 & 4 & -2 \\ -1 & -2 & 3
#    \end{pmatrix} $$
#
# **Predict** the middle entry with a pencil: $\frac12 (1 - \frac12)$. Then let the engine find all nine.

# %%
J = ad.jacobian(ad.softmax)(z)
show("16 J", 16 * J, [[3, -2, -1], [-2, 4, -2], [-1, -2, 3]])
show("formula", 16 * (np.diag(y) - np.outer(y, y)), [[3, -2, -1], [-2, 4, -2], [-1, -2, 3]])

# %% [markdown]
# Two checks that need no computer. Each **column** adds up to 0: what one probability gains, the others lose. Each **row** adds up to
# 0: raise *all* scores by the same amount, and nothing changes, since $e^{z + c} = e^c e^z$ and the $e^c$ cancels.

# %%
show("columns", J.sum(axis=0), [0, 0, 0])
show("rows", J.sum(axis=1), [0, 0, 0])

# %% [markdown]
# ## The loss
#
# The target $\mathbf t$ says what should have come out, here the second class, $\mathbf t = (0, 1, 0)$. The cross-entropy is
#
# $$ E = -\sum_k t_k \log y_k $$
#
# Its derivative by each probability is $-t_k / y_k$: an error that grows without limit as the right class gets less likely.
#
# **Predict** $\partial E/\partial \mathbf y$ for $\mathbf y = (\frac14, \frac12, \frac14)$.

# %%
t = np.array([0.0, 1.0, 0.0])
dE_dy = ad.grad(lambda y: -np.sum(t * np.log(y)))(y)
show("dE/dy", dE_dy, [0, -2, 0])

# %% [markdown]
# ## The collapse
#
# Three ways lead from a score $z_i$ to the loss, one through each probability. Rates along a way multiply, and over the ways they add
# up:
#
# $$ \frac{\partial E}{\partial z_i} = \sum_k \frac{\partial E}{\partial y_k} \frac{\partial y_k}{\partial z_i} $$
#
# That is the row $(0, -2, 0)$ times the table. **Predict** it: $-2$ times the middle row.

# %%
show("row times J", dE_dy @ J, [1 / 4, -1 / 2, 1 / 4])
show("y - t", y - t, [1 / 4, -1 / 2, 1 / 4])

# %% [markdown]
# There it is. In a picture, blue is negative and red is positive:

# %%


def strip(axes, numbers, title):
    """A table of numbers as colours, with the numbers in it."""
    numbers = np.atleast_2d(numbers)
    axes.imshow(numbers, cmap="RdBu_r", vmin=-0.6, vmax=0.6)
    axes.set(xticks=[], yticks=[], title=title)
    if numbers.size <= 9:
        for (row, column), v in np.ndenumerate(numbers):
            ink = "white" if abs(v) > 0.4 else "black"
            axes.text(column, row, f"{v + 0:g}", ha="center", va="center", color=ink)


figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 2.6), width_ratios=[1, 1, 1])
strip(left, dE_dy, "$-t/y$")
strip(middle, J, r"times $\mathrm{diag}(y) - y y^\top$")
strip(right, dE_dy @ J, "is $y - t$")
plt.show()

# %% [markdown]
# Now in letters, where one sees *why*. Take the diagonal way out of the sum:
#
# $$ \frac{\partial E}{\partial z_i} = \underbrace{-\frac{t_i}{y_i}\, y_i (1 - y_i)}_{\text{through } y_i} + \underbrace{\sum_{k \ne i}
#    \frac{t_k}{y_k}\, y_k\, y_i}_{\text{through the others}} = -t_i + t_i y_i + \sum_{k \ne i} t_k y_i = y_i \sum_k t_k - t_i $$
#
# Two things happened. In every way the $1/y$ of the logarithm met the $y$ of softmax, and both vanished. And the off-diagonal ways,
# far from being a nuisance, are just what completes $t_i y_i$ to $\big(\sum_k t_k\big)\, y_i$. The targets are probabilities,
# $\sum_k t_k = 1$, and $\mathbf y - \mathbf t$ is left. The table is not gone; it is used up.
#
# The engine can find that on its own. It takes the graph of the loss and derives the formula, step by step. ($\odot$ and
# $\oslash$ multiply and divide entry by entry, and $\mathbf 1$ is a column of ones: $\mathbf 1^\top \mathbf t$ is the sum of
# $\mathbf t$.)

# %%
scores = ad.Tensor(z, name="z")
target = ad.constant(t, name="t")
probabilities = ad.softmax(scores).named("y")
E = (-np.sum(target * np.log(probabilities))).named("E")
formula(ad.derive(E, wrt=scores), "dE/dz = y - t    using sum(t) == 1")

# %% [markdown]
# ## The diagonal mistake
#
# Many people write $\partial E/\partial z_i = \partial E/\partial y_i \cdot \partial y_i/\partial z_i$, with the remembered slope
# $y_i(1 - y_i)$ and nothing else. That keeps one way out of three.
#
# **Predict** what comes out, and in which entries it is right.

# %%
only_diagonal = dE_dy * y * (1 - y)
show("diagonal", only_diagonal, [0, -1 / 2, 0])
show("all ways", y - t, [1 / 4, -1 / 2, 1 / 4])

# %% [markdown]
# Right for the true class, and 0 everywhere else: the wrong classes are never pushed down. Training with it half works, which is what
# makes it hard to find. There is a test without any computing: a true gradient adds up to 0, because raising all scores together
# changes nothing.

# %%
show("true sum", np.sum(y - t), 0)
show("its sum", np.sum(only_diagonal), -1 / 2)

# %% [markdown]
# ## When the targets do not add up to 1
#
# Look at the last step again: $y_i \sum_k t_k - t_i$. Nothing in it asks for a one-hot target. *Soft* targets are as good, as long as
# they add up to 1.
#
# **Predict** the gradient for $\mathbf t = (\frac14, \frac14, \frac12)$, with $\mathbf y = (\frac14, \frac12, \frac14)$.


# %%
def slope_by_scores(t):
    """The true derivative of the cross-entropy by the scores, for any target."""
    return ad.grad(lambda z: -np.sum(t * np.log(ad.softmax(z))))(z)


soft = np.array([1 / 4, 1 / 4, 1 / 2])
show("soft", slope_by_scores(soft), [0, 1 / 4, -1 / 4])
show("y - t", y - soft, [0, 1 / 4, -1 / 4])

# %% [markdown]
# But suppose somebody weights an example three times, by writing $\mathbf t = (0, 3, 0)$. Or scores several labels at once, $\mathbf t
# = (1, 1, 1)$. Then $\sum_k t_k = 3$, and the truth is $3 \mathbf y - \mathbf t$.
#
# **Predict** for $(1, 1, 1)$ what the truth is, and what $\mathbf y - \mathbf t$ would say.

# %%
several = np.array([1.0, 1.0, 1.0])
show("truth", slope_by_scores(several), [-1 / 4, 1 / 2, -1 / 4])
show("3 y - t", 3 * y - several, [-1 / 4, 1 / 2, -1 / 4])
show("y - t", y - several, [-3 / 4, -1 / 2, -3 / 4])

# %% [markdown]
# The signs do not even agree: the second class should go down, since it has more than its share of a third, and the famous formula
# pushes it up. Nothing warns you; the numbers look like any others. So the engine says what it used. For this target it derives
# another formula, and it used nothing:

# %%
target = ad.constant(several, name="t")
E_several = (-np.sum(target * np.log(ad.softmax(scores).named("y")))).named("E")
formula(ad.derive(E_several, wrt=scores), "dE/dz = sum(t) * y - t")

# %% [markdown]
# ## Why is there no slope of the output in $\mathbf y - \mathbf t$?
#
# Other losses have one. Take a single output, the sigmoid $y = \sigma(z)$ with slope $y(1 - y)$, and a target of 1.
#
# | loss | by $y$ | times $y(1 - y)$ |
# |---|---|---|
# | cross-entropy, $-\log y$ | $-1/y$ | $y - 1$ |
# | half the squared error, $\frac12 (y - 1)^2$ | $y - 1$ | $(y - 1)\, y\, (1 - y)$ |
#
# In the first, the $1/y$ cancels the $y$, as above. In the second the slope stays. It matters when the network is sure *and wrong*:
# say $y = 0.01$, though the target is 1.
#
# **Predict** both derivatives by $z$. How many times does the second learn more slowly?

# %%
z_wrong = -np.log(99.0)  # the sigmoid of it is 1 / (1 + 99)
by_entropy = ad.grad(lambda z: -np.log(ad.sigmoid(z)))(z_wrong)
by_square = ad.grad(lambda z: (ad.sigmoid(z) - 1) ** 2 / 2)(z_wrong)
show("entropy", by_entropy, -0.99)
show("square", by_square, -0.0098)
show("ratio", by_entropy / by_square, 101.0101)

# %% [markdown]
# A hundred times. That is why classifiers are trained with the cross-entropy: the slope of the squeeze is cancelled exactly where it
# would stop the learning.
#
# ## Nobody ever builds the table
#
# With $K = 1000$ classes the table has a million entries. But it is only ever *used*, as a row times a table; and $\mathbf g J$ needs
# no $J$:
#
# $$ \mathbf g J = \mathbf g \odot \mathbf y - (\mathbf g \cdot \mathbf y)\, \mathbf y = \mathbf y \odot \big(\mathbf g - \mathbf g \cdot
#    \mathbf y\big) $$
#
# ($\odot$ multiplies entry by entry.) That is softmax's rule in every engine, also in this one. **Predict** it for $\mathbf g = (0,
# -2, 0)$: first $\mathbf g \cdot \mathbf y = -1$.

# %%
g = np.array([0.0, -2.0, 0.0])
show("short rule", y * (g - np.sum(g * y)), [1 / 4, -1 / 2, 1 / 4])
show("the table's", ad.TABLE["softmax"].vjp(0, g, y, z), [1 / 4, -1 / 2, 1 / 4])

# %% [markdown]
# Such a rule, from the derivative by the result to the derivative by the operand, is called a *vector-Jacobian product*. Reverse mode
# consists of nothing else: **no engine ever needs a Jacobian, only rows times Jacobians.**
#
# ## Your turn
#
# Put your answer in the place of `None`. Solutions are at the end.
#
# **1.** Two classes, scores $(\log 3, 0)$. What is the $2 \times 2$ Jacobian? Fractions, please.

# %%
answer_1 = None
check(1, answer_1, ad.jacobian(ad.softmax)(np.array([np.log(3), 0])))

# %% [markdown]
# **2.** The target $\mathbf t = (\frac12, \frac12, 0)$, with $\mathbf y = (\frac14, \frac12, \frac14)$ as above. What is $\partial
# E/\partial \mathbf z$?

# %%
answer_2 = None
check(2, answer_2, slope_by_scores(np.array([1 / 2, 1 / 2, 0])))

# %% [markdown]
# **3.** An example without a label: $\mathbf t = (0, 0, 0)$. What is $\partial E/\partial \mathbf z$, and what would $\mathbf y -
# \mathbf t$ do to the network?

# %%
answer_3 = None
check(3, answer_3, slope_by_scores(np.zeros(3)))

# %% [markdown]
# **4.** *Temperature.* People soften a softmax by dividing the scores: $\mathbf y = \mathrm{softmax}(\mathbf z / T)$. What is $\partial
# E/\partial \mathbf z$ for $T = 2$ and $\mathbf z = (0, 2 \log 2, 0)$, $\mathbf t = (0, 1, 0)$?

# %%
truth_4 = ad.grad(lambda z: -np.sum(t * np.log(ad.softmax(z / 2))))(2 * z)

answer_4 = None
check(4, answer_4, truth_4)

# %% [markdown]
# **5.** The squared error after softmax, $E = \frac12 \sum_k (y_k - t_k)^2$, does not cancel. Use the short rule $\mathbf y \odot
# (\mathbf g - \mathbf g \cdot \mathbf y)$ with $\mathbf g = \mathbf y - \mathbf t$: what is $\partial E/\partial \mathbf z$ for
# $\mathbf y = (\frac14, \frac12, \frac14)$ and $\mathbf t = (0, 1, 0)$?

# %%
truth_5 = ad.grad(lambda z: np.sum((ad.softmax(z) - t) ** 2) / 2)(z)

answer_5 = None
check(5, answer_5, truth_5)

# %% [markdown]
# ### Solutions
#
# **3.** Zero: with no target there is no loss at all. The famous formula would push *every* class down, and with batches that are
# padded with empty examples that is a real bug. **4.** The chain rule adds one factor, $1/T$. **5.** $\mathbf g = (\frac14, -\frac12,
# \frac14)$ and $\mathbf g \cdot \mathbf y = \frac1{16} - \frac14 + \frac1{16} = -\frac18$.

# %%
check(1, [[3 / 16, -3 / 16], [-3 / 16, 3 / 16]], ad.jacobian(ad.softmax)(np.array([np.log(3), 0])))
check(2, [-1 / 4, 0, 1 / 4], slope_by_scores(np.array([1 / 2, 1 / 2, 0])))
check(3, [0, 0, 0], slope_by_scores(np.zeros(3)))
check(4, [1 / 8, -1 / 4, 1 / 8], truth_4)
check(5, [3 / 32, -3 / 16, 3 / 32], truth_5)

# %% [markdown]
# Next: [why the transpose](05_why_the_transpose.ipynb), for weights, batches and biases.
