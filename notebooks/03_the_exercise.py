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
# # 3. The exercise: backpropagation through two layers
#
# A classic exercise asks for seven results: the loss of a small neural network, and six derivatives:
#
# $$ \mathbf z_1 = W_1 \mathbf x \qquad \mathbf y_1 = \sigma(\mathbf z_1) \qquad \mathbf z_2 = W_2 \mathbf y_1 \qquad
#    \mathbf y_2 = \mathrm{softmax}(\mathbf z_2) \qquad E = -\,\mathbf t \cdot \log \mathbf y_2 $$
#
# Here we derive each of them with numbers small enough to redo with a pencil, and each time we ask a second witness: a
# *graph* that remembered how every number was made.
#
# When you are through, you will be able to
#
# - derive all seven results for a network of two layers, and compute each with a pencil;
# - prove a line of such a derivation, or catch it: by a bump, by a sum that must be 0, by an example on a napkin;
# - explain how an answer with wrong lines can end in right results;
# - have the engine derive the formulas, and read them off its picture.
#
# You need to know what a derivative is and how matrices multiply; nothing else. Where a line says **Predict**, stop and write down
# your guess before you run the next cell.
#
# The exercise was once handed in with an answer that has mistakes in it, and yet all of its final results are right. We shall meet
# those lines too, and see why they are wrong and why it did not show. (Numbers in brackets, such as (5), are the equations of that
# answer.)
#
# Every number printed below is also *asserted*: if one were wrong, this page would not exist.

# %%
import numpy as np
from IPython.display import Math
from lesson import check, formula, show

import autodiff as ad
from autodiff.checking.ulps import compare, rounding
from nets import TwoLayer, exercise
from nets.prove import prove


def proven(name, got, by_hand):
    """Show a quantity of the graph, and stop here if it is not what we worked out by hand, up to rounding."""
    ((magnitude, bound),) = rounding(got)  # how large its rounding errors can be
    assert compare(got.data, by_hand, magnitude, bound).verdict != "different", name
    show(name, got, by_hand)


# %% [markdown]
# ## The network and its numbers
#
# Two inputs, two hidden units, three classes. The weights are chosen so that everything comes out as a fraction: recall
# $e^{\log 3} = 3$ and $e^{\log 2} = 2$.
#
# $$ \mathbf x = \begin{pmatrix} 1 \\ 2 \end{pmatrix} \quad
#    W_1 = \begin{pmatrix} 2 & -1 \\ \log 3 & 0 \end{pmatrix} \quad
#    W_2 = \begin{pmatrix} 3/2 & -1 \\ 2 \log 2 & 0 \\ -3 & 2 \end{pmatrix} \quad
#    \mathbf t = \begin{pmatrix} 0 \\ 1 \\ 0 \end{pmatrix} $$
#
# `ad.Tensor` is an array that remembers; `ad.constant` is one that is never differentiated. Names are for the picture at the end.

# %%
log2, log3 = np.log(2.0), np.log(3.0)

x = ad.constant(np.array([[1.0], [2.0]]), name="x")
t = ad.constant(np.array([[0.0], [1.0], [0.0]]), name="t")
W1 = ad.Tensor([[2.0, -1.0], [log3, 0.0]], name="W1")
W2 = ad.Tensor([[1.5, -1.0], [2 * log2, 0.0], [-3.0, 2.0]], name="W2")

z1 = (W1 @ x).named("z1")
y1 = ad.sigmoid(z1).named("y1")
z2 = (W2 @ y1).named("z2")
y2 = ad.softmax(z2, axis=0).named("y2")
E = np.sum(-t * np.log(y2)).named("E")

# %% [markdown]
# Now by hand. $\mathbf z_1 = (2 \cdot 1 - 1 \cdot 2,\; \log 3) = (0, \log 3)$. The sigmoid is $\sigma(z) = 1/(1 + e^{-z})$, so
# $\sigma(0) = 1/2$ and $\sigma(\log 3) = 1/(1 + 1/3) = 3/4$. Then $\mathbf z_2 = (3/4 - 3/4,\; \log 2,\; -3/2 + 3/2) = (0, \log 2, 0)$;
# its exponentials are $1, 2, 1$ and their sum is 4, so $\mathbf y_2 = (1/4, 1/2, 1/4)$: softmax turns scores into probabilities.

# %%
proven("z1", z1, [[0], [log3]])
proven("y1", y1, [[1 / 2], [3 / 4]])
proven("z2", z2, [[0], [log2], [0]])
proven("y2", y2, [[1 / 4], [1 / 2], [1 / 4]])

# %% [markdown]
# The graph remembers all of it. From the leaves at the top to $E$ at the bottom, each box shows its value, as colours where it is
# more than one number: red is positive, blue negative. There are no derivatives in it yet.

# %%
ad.draw(E, rankdir="TB")

# %% [markdown]
# ## Result 1: the loss
#
# $$ E = -\sum_k t_k \log y_{2,k} \tag{1} $$
#
# The target $\mathbf t$ is *one-hot*: it says that the second class is the right one. Only that term is left, $E = -\log \tfrac12 =
# \log 2$.

# %%
proven("E", E, log2)

# %% [markdown]
# ## What a derivative asks
#
# Before any rule: push one number a little and watch $E$. Raise the second score, $z_{2,2}$, by $h = 0.001$, then lower it by as
# much. How fast does $E$ move?


# %%
def E_of_scores(z):
    """The loss as a function of the three scores."""
    return -np.sum(t.data * np.log(np.exp(z) / np.sum(np.exp(z))))


h = 0.001
bump = np.array([[0.0], [h], [0.0]])
slope = (E_of_scores(z2.data + bump) - E_of_scores(z2.data - bump)) / (2 * h)
assert round(slope, 4) == -0.5
print(f"E moves by {slope:.4f} for each unit of the second score")

# %% [markdown]
# Raising the score of the right class lowers the loss, half a unit for each unit. Bumping each number in turn gives every derivative; it
# takes as many runs as there are numbers, and is never exact. The chain rule gives them all at once. The graph can do that too:
# `ad.gradient(E, node)` walks from `E` back to the node. (`record=True` makes the answer a graph as well, which is how `proven`
# knows how far its rounding can go.) `E.backward()` does the same for all nodes at once and writes each derivative into the picture.

# %%
E.backward()
dE_dz2, dE_dy1, dE_dW2, dE_dz1, dE_dW1 = ad.gradient(E, [z2, y1, W2, z1, W1], record=True)

# %% [markdown]
# And there is a third witness. The engine can derive the *formula* from the graph, as a person would, and it checks it before it shows
# it. We ask for it below each result.


# %%
def derived(node, want):
    """The engine's own formula for dE/dnode, typeset, if it is the one we derived."""
    return Math(formula(ad.derive(E, wrt=node), want).latex)


# %% [markdown]
# ## Result 2: the derivative by the scores
#
# First by $\mathbf y_2$. From (1), $\partial E / \partial y_{2,k} = -t_k / y_{2,k}$. With our numbers: $(0, -2, 0)$.
#
# Then by $\mathbf z_2$; write $y_i$ and $z_i$ for the entries of $\mathbf y_2$ and $\mathbf z_2$. **Every** score moves **every**
# probability, because they share the sum. From $y_i = e^{z_i} / \sum_k e^{z_k}$, (2), the quotient rule gives
#
# $$ \frac{\partial y_i}{\partial z_i} = y_i - y_i^2 \qquad\qquad \frac{\partial y_k}{\partial z_i} = -y_k y_i \quad (k \ne i), $$
#
# together one matrix, $\mathrm{diag}(\mathbf y) - \mathbf y \mathbf y^\top$. The handed-in answer has the first of these, as (3),
# and never the second. (Python counts from 0: `y2[0]` is the first entry.)

# %%
(dE_dy2,) = ad.gradient(E, [y2], record=True)
proven("dE/dy2", dE_dy2, [[0], [-2], [0]])

for entry, row in enumerate([[3 / 16, -1 / 8, -1 / 16], [-1 / 8, 1 / 4, -1 / 8], [-1 / 16, -1 / 8, 3 / 16]]):
    proven(f"dy2[{entry}]/dz2", ad.gradient(y2[entry], z2, record=True), np.array(row)[:, None])

# %% [markdown]
# The chain rule adds up every way from a score to $E$. There are three, one through each probability:
#
# $$ \frac{\partial E}{\partial z_i} = \sum_k \frac{\partial E}{\partial y_k} \frac{\partial y_k}{\partial z_i}
#    = -t_i (1 - y_i) + \sum_{k \ne i} t_k y_i = \Big(\sum_k t_k\Big) y_i - t_i . $$
#
# The targets are probabilities, $\sum_k t_k = 1$, and what is left is famous:
#
# $$ \frac{\partial E}{\partial \mathbf z_2} = \mathbf y_2 - \mathbf t \tag{6} $$
#
# What the net said minus what it should have said: $(1/4, 1/2, 1/4) - (0, 1, 0)$. And there is the $-0.5$ that the bump found.

# %%
proven("dE/dz2", dE_dz2, [[1 / 4], [-1 / 2], [1 / 4]])
proven("formula", y2 - t, [[1 / 4], [-1 / 2], [1 / 4]])

# %% [markdown]
# The engine agrees. It adds what it used, and we shall come to that:

# %%
derived(z2, "dE/dz2 = y2 - t    using sum(t) == 1")

# %%
ad.draw(E, focus=z2, formulas=True, rankdir="TB")

# %% [markdown]
# ### A wrong line: (5)
#
# The handed-in answer takes a short cut: $\partial E/\partial z_i = \partial E/\partial y_i \cdot \partial y_i/\partial z_i$, which
# is $y_i - 1$ when $t_i = 1$, and 0 otherwise. That keeps one way out of three. It is the rule for functions that work entry by
# entry, and softmax is none. **Predict** its three numbers, and where they are right.

# %%
line_5 = dE_dy2 * (y2 - y2**2)
proven("line (5)", line_5, [[0], [-1 / 2], [0]])
assert not np.allclose(line_5.data, dE_dz2.data)

# %% [markdown]
# Right where $t_i = 1$, since there the other ways carry a 0; wrong everywhere else. There is a proof without any computing: adding
# the same number to all scores changes no probability, hence not $E$. So the entries of $\partial E/\partial \mathbf z_2$ must add
# up to 0.

# %%
proven("sum of (6)", np.sum(dE_dz2), 0)
proven("sum of (5)", np.sum(line_5), -1 / 2)

# %% [markdown]
# The smallest example you can put on a napkin: $\mathbf z = (0, 0)$, $\mathbf t = (1, 0)$. Line (5) says $(-\tfrac12, 0)$.

# %%
napkin_t = np.array([1.0, 0.0])
napkin = ad.grad(lambda z: -np.sum(napkin_t * np.log(ad.softmax(z))))(np.zeros(2))
assert napkin.tolist() == [-0.5, 0.5]
print("the truth is", napkin)

# %% [markdown]
# Why did the handed-in results come out right? Its next line, (6), starts afresh with the *whole* matrix
# $\partial \mathbf y_2 / \partial \mathbf z_2$, and (5) is never used again. Had someone coded (5), training would still half work: in
# $\partial E / \partial W_2$ below, only the row of the right class would be there.
#
# ### Fine print: (4) and (6)
#
# Two assumptions went in silently. (4) says $\partial E/\partial y_i = -1/y_i$ when $t_i = 1$ and 0 otherwise: that needs a one-hot
# $\mathbf t$. The general form, $-t_i / y_i$, also holds for *soft* targets such as $(\tfrac14, \tfrac14, \tfrac12)$, where no
# entry is 1. And (6) needs $\sum_k t_k = 1$.


# %%
def slope_by_scores(targets):
    """dE/dz2 for other targets, at the same scores."""
    scores = ad.Tensor(z2.data)
    p = ad.softmax(scores, axis=0)
    loss = np.sum(-targets * np.log(p))
    return ad.gradient(loss, [p, scores], record=True)


soft = np.array([[1 / 4], [1 / 4], [1 / 2]])
by_y2, by_z2 = slope_by_scores(soft)
proven("soft: y2", by_y2, [[-1], [-1 / 2], [-2]])  # (4) read as cases would say (0, 0, 0)
proven("soft: z2", by_z2, y2.data - soft)  # (6) holds

heavy = np.array([[0.0], [3.0], [0.0]])  # adds up to 3
by_y2, by_z2 = slope_by_scores(heavy)
proven("heavy: z2", by_z2, 3 * y2.data - heavy)  # sum(t) y2 - t
assert not np.allclose(by_z2.data, y2.data - heavy)  # (6) does not hold

# %% [markdown]
# ## Result 3: the derivative by the hidden activations
#
# **Predict:** how many ways lead from one hidden unit to $E$, and what are their rates?
#
# $\mathbf z_2 = W_2 \mathbf y_1$: the activation of hidden unit $v$ reaches score $u$ with weight $w_{uv}$. Adding up its ways,
# $\partial E/\partial y_{1,v} = \sum_u \partial E/\partial z_{2,u} \cdot w_{uv}$, which walks down *column* $v$ of $W_2$:
#
# $$ \frac{\partial E}{\partial \mathbf y_1} = W_2^\top (\mathbf y_2 - \mathbf t) \tag{7} $$
#
# That is where the transpose comes from. By hand: $\tfrac32 \cdot \tfrac14 - 2 \log 2 \cdot \tfrac12 - 3 \cdot \tfrac14 =
# -\tfrac38 - \log 2$ and $-1 \cdot \tfrac14 + 0 + 2 \cdot \tfrac14 = \tfrac14$.
#
# (The exercise writes it as a row, $(\mathbf y_2 - \mathbf t)^\top W_2$: the same numbers, laid down flat. Here a derivative has
# the shape of what it is taken by.)

# %%
proven("dE/dy1", dE_dy1, [[-3 / 8 - log2], [1 / 4]])
proven("formula", W2.T @ (y2 - t), [[-3 / 8 - log2], [1 / 4]])

# %%
derived(y1, "dE/dy1 = W2.T @ (y2 - t)    using sum(t) == 1")

# %% [markdown]
# ## Result 4: the derivative by the second weights
#
# The weight $w_{uv}$ touches nothing but $z_{2,u}$, and moves it by $y_{1,v}$. So $\partial E/\partial w_{uv} = (y_{2,u} - t_u)\,
# y_{1,v}$: a table of all products,
#
# $$ \frac{\partial E}{\partial W_2} = (\mathbf y_2 - \mathbf t)\, \mathbf y_1^\top
#    = \begin{pmatrix} 1/4 \\ -1/2 \\ 1/4 \end{pmatrix} \begin{pmatrix} 1/2 & 3/4 \end{pmatrix} . $$

# %%
by_hand = [[1 / 8, 3 / 16], [-1 / 4, -3 / 8], [1 / 8, 3 / 16]]
proven("dE/dW2", dE_dW2, by_hand)
proven("formula", (y2 - t) @ y1.T, by_hand)

# %%
derived(W2, "dE/dW2 = (y2 - t) @ y1.T    using sum(t) == 1")

# %% [markdown]
# ## Result 5: the derivative of the sigmoid
#
# $$ \sigma'(z) = \frac{e^{-z}}{(1 + e^{-z})^2} = \frac{1}{1 + e^{-z}} - \frac{1}{(1 + e^{-z})^2} = y - y^2 = y (1 - y) \tag{10} $$
#
# The sigmoid *does* work entry by entry, so here there is nothing but the diagonal, (11) and (12): $\partial \mathbf y_1 / \partial
# \mathbf z_1 = \mathrm{diag}(\mathbf y_1 (1 - \mathbf y_1))$. With $\mathbf y_1 = (\tfrac12, \tfrac34)$ the diagonal is $(\tfrac14,
# \tfrac3{16})$.

# %%
proven("dy1[0]/dz1", ad.gradient(y1[0], z1, record=True), [[1 / 4], [0]])
proven("dy1[1]/dz1", ad.gradient(y1[1], z1, record=True), [[0], [3 / 16]])
proven("formula", y1 * (1 - y1), [[1 / 4], [3 / 16]])

# %% [markdown]
# To ask the engine for the diagonal as a formula, add up the entries: since each depends on its own score only, nothing is mixed. It
# stops at the form before the last of (10).

# %%
s = np.sum(y1).named("s")
Math(formula(ad.derive(s, wrt=z1), "ds/dz1 = y1 - y1**2").latex)

# %% [markdown]
# ### A wrong line: (9)
#
# The handed-in answer writes $\sigma(z) = 1/(1 + e^{z})$ in (9): the minus is lost. That is the sigmoid in a mirror, $\sigma(-z)$,
# which *falls*. Its derivative is *minus* $y(1 - y)$, but (10) then loses a sign as well, and the two slips cancel.

# %%
mirrored = 1 / (1 + np.exp(z1))
proven("(9)", mirrored, [[1 / 2], [1 / 4]])  # the truth is 1/2, 3/4
proven("its slope", ad.gradient(np.sum(mirrored), z1, record=True), [[-1 / 4], [-3 / 16]])
proven("y(1 - y)", mirrored * (1 - mirrored), [[1 / 4], [3 / 16]])

# %% [markdown]
# ## Result 6: the derivative by the hidden scores
#
# Each activation depends on its own score only, so the chain rule has one term an entry:
#
# $$ \frac{\partial E}{\partial \mathbf z_1} = W_2^\top (\mathbf y_2 - \mathbf t) \odot \mathbf y_1 \odot (1 - \mathbf y_1) $$
#
# ($\odot$ multiplies entry by entry, which is what a diagonal matrix does.) By hand: $-(\tfrac38 + \log 2) \cdot \tfrac14$ and
# $\tfrac14 \cdot \tfrac3{16} = \tfrac3{64}$.

# %%
by_hand = [[-(3 / 8 + log2) / 4], [3 / 64]]
proven("dE/dz1", dE_dz1, by_hand)
proven("formula", W2.T @ (y2 - t) * y1 * (1 - y1), by_hand)

# %%
derived(z1, "dE/dz1 = (W2.T @ (y2 - t)) * y1 * (1 - y1)    using sum(t) == 1")

# %% [markdown]
# ## Result 7: the derivative by the first weights
#
# Exactly as in result 4, with $\mathbf x$ in the place of $\mathbf y_1$:
#
# $$ \frac{\partial E}{\partial W_1} = \frac{\partial E}{\partial \mathbf z_1}\, \mathbf x^\top
#    = \big(W_2^\top (\mathbf y_2 - \mathbf t) \odot \mathbf y_1 \odot (1 - \mathbf y_1)\big)\, \mathbf x^\top $$

# %%
by_hand = [[-(3 / 8 + log2) / 4, -(3 / 8 + log2) / 2], [3 / 64, 3 / 32]]
proven("dE/dW1", dE_dW1, by_hand)
proven("formula", (W2.T @ (y2 - t) * y1 * (1 - y1)) @ x.T, by_hand)

# %%
derived(W1, "dE/dW1 = ((W2.T @ (y2 - t)) * y1 * (1 - y1)) @ x.T    using sum(t) == 1")

# %% [markdown]
# ## What if someone had coded (9)?
#
# Run the whole net with the mirrored sigmoid and compare the graph with the formulas. The formula for $W_2$ does not care what
# $\mathbf y_1$ is. **Predict** what happens to the formula for $W_1$: its two slips no longer cancel, since the forward pass has one
# and the slope $y (1 - y)$ has none.

# %%
z2_9 = W2 @ mirrored
y2_9 = ad.softmax(z2_9, axis=0)
E_9 = np.sum(-t * np.log(y2_9))
true_dW2, true_dW1 = ad.gradient(E_9, [W2, W1], record=True)
formula_dW2 = (y2_9 - t) @ mirrored.T
formula_dW1 = (W2.T @ (y2_9 - t) * mirrored * (1 - mirrored)) @ x.T

proven("z2", z2_9, [[1 / 2], [log2], [-1]])
proven("W2: graph", true_dW2, formula_dW2.data)
proven("W1: graph", true_dW1, -formula_dW1.data)
proven("W1: form.", formula_dW1, -true_dW1.data)

# %% [markdown]
# Exactly **minus** the gradient: the first layer would climb the loss while the second one descends it.

# %% [markdown]
# ## The graph
#
# `E.backward()` did what we did, for every node at once, and left each derivative in the node's `.grad`. Here is all of it in one
# picture, from the leaves down to $E$: each box shows a node's value, the derivative you have just worked out, and its formula.

# %%
assert W1.grad.shape == W1.shape and np.array_equal(z2.grad, ad.gradient(E, z2))
ad.draw(E, formulas=True, rankdir="TB")

# %% [markdown]
# Why did the exercise's own answer write rows, such as $(\mathbf y_2 - \mathbf t)^\top W_2$, where we write columns? It uses the
# *mixed* layout: derivatives by vectors lie down, those by matrices stand. Ask for that, and its very lines come out, the diagonal
# matrix of (12) included:

# %%
in_rows = ad.derive(E, wrt=[z2, y1, z1, W2, W1], layout="mixed")
assert "dE/dz1 = (y2 - t).T @ W2 @ diag(" in in_rows.text
Math(in_rows.latex)

# %% [markdown]
# ## The whole answer, judged
#
# We have been through it by hand, with a pencil. Now let a machine do it. `nets.exercise.CLAIMS` has every line of the handed-in answer,
# 32 of them, in its own LaTeX; here is one as it was written. `ad.check` reads them, compares each with the graph at our numbers and at
# others, and says what is wrong, and why.

# %%
claims = {claim.label: claim for claim in exercise.CLAIMS}
show("lines", len(claims), 32)
Math(claims["(5) line 2"].text)

# %% [markdown]
# **Predict:** you know the two wrong lines. What should it say of the lines that come after them, and of (10), where a second slip
# cancels the first?

# %%
report = ad.check(E, exercise.CLAIMS)
for verdict in report.verdicts:
    needs = [f"needs {a}" for a in verdict.assumptions]
    remarks = "; ".join(filter(None, [verdict.sentence, *verdict.notes, *needs]))
    print(f"{verdict.label:12} {verdict.target:18} {verdict.status:16} {remarks}".rstrip())

assert report.first_wrong.label == "(5) line 1"
assert {v.label: v.status for v in report.verdicts if v.status != "right"} == {
    "(5) line 1": "wrong",
    "(5) line 2": "carried forward",
    "(9) line 2": "wrong",
}

# %% [markdown]
# It found what we found: (5) keeps only the diagonal; its second line follows correctly from that; (6) is right, but does not follow from
# (5); (9) has the sign of the exponent wrong, and (10) a second slip that cancels it. It also says what each line *needs*: (4) a one-hot
# target, (6) and all that use it, targets that add up to 1. In the picture:

# %%
ad.draw(E, report=report, rankdir="TB")

# %% [markdown]
# ## Many examples, and biases
#
# A real net sees $m$ examples at a time, as the columns of a matrix $X$, and averages their losses. That factor $1/m$ then is in
# every derivative, and each matrix product adds up the examples by itself. Biases add a column $\mathbf b$ to every example, so
# their derivative is a sum over the columns. `nets.TwoLayer` is this network, `nets.closed_form` holds the formulas above, and
# `prove` sets three witnesses side by side: the graph, the formulas, and bumps like the one at the beginning.

# %%
net = TwoLayer.random(n0=4, n1=5, n2=3, seed=1)
rng = np.random.default_rng(0)
proof = prove(net, rng.normal(size=(4, 6)), rng.dirichlet(np.ones(3), size=6).T)
for row in proof.rows:
    assert row.ok
    print(f"{row.name:8} {row.by_hand:41} graph = by hand{' = differences' if row.differences else ''}")

# %% [markdown]
# ## Your turn
#
# Put an answer in the place of `None` and run the cell. Solutions are at the end.


# %% [markdown]
# **1.** Suppose the *third* class is the right one, $\mathbf t = (0, 0, 1)$. What is $\partial E/\partial W_2$ now? Use a pencil;
# the answer is a $3 \times 2$ array of fractions.

# %%
answer_1 = None

E_third = -np.log(y2[2, 0])
truth_1 = ad.gradient(E_third, W2, record=True)
check(1, answer_1, truth_1)

# %% [markdown]
# **2.** Use $\tanh$ in the hidden layer, $\mathbf y_1 = \tanh(\mathbf z_1)$. Which formula takes the place of result 6? (The
# derivative of $\tanh$ is $1 - \tanh^2$.) Write it with `W2`, `t`, and `h1` and `p`, the new $\mathbf y_1$ and $\mathbf y_2$.

# %%
h1 = np.tanh(z1)
scores = W2 @ h1
p = ad.softmax(scores, axis=0)
truth_2 = ad.gradient(np.sum(-t * np.log(p)), z1, record=True)

answer_2 = None
check(2, answer_2, truth_2)

# %% [markdown]
# **3.** Replace the cross-entropy by half the squared error, $E = \tfrac12 \sum_k (y_{2,k} - t_k)^2$. What is $\partial E/\partial
# \mathbf z_2$? All three ways from a score to $E$ count, and do not collapse this time; `d = y2 - t` may help.

# %%
truth_3 = ad.gradient(np.sum((y2 - t) ** 2) / 2, z2, record=True)

answer_3 = None
check(3, answer_3, truth_3)

# %% [markdown]
# **4.** A friend trains with batches of 20 and codes $\partial E/\partial W_2$ as `(Y2 - T) @ Y1.T`. By which number is every entry
# too large?

# %%
many = TwoLayer.random(n0=4, n1=5, n2=3, biases=False, seed=2)
batch = many(rng.normal(size=(4, 20)), rng.dirichlet(np.ones(3), size=20).T)
friend = (batch.y2 - batch.t) @ batch.y1.T
gradient = ad.gradient(batch.E, many.W2, record=True)
truth_4 = (friend / gradient)[0, 0]

answer_4 = None
check(4, answer_4, truth_4)

# %% [markdown]
# ### Solutions

# %%
check(1, [[1 / 8, 3 / 16], [1 / 4, 3 / 8], [-3 / 8, -9 / 16]], truth_1)
check(2, W2.T @ (p - t) * (1 - h1**2), truth_2)
d = y2 - t
check(3, y2 * (d - np.sum(d * y2)), truth_3)
check(4, 20, truth_4)

# %% [markdown]
# Next: [where did softmax's Jacobian go?](04_where_did_the_jacobian_go.ipynb)
