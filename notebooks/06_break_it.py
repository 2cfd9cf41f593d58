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
# # 6. Break it
#
# Your gradient is wrong. The grader says `Wrong values for dW1`, and nothing else. What now? In this notebook you make the ten commonest
# mistakes *on purpose*, one after another, look at what each does to training, and have each named by a checker that sees nothing but
# your numbers.
#
# When you are through, you will be able to
#
# - recognise each of the ten by what it leaves in the numbers: a ratio, a sum that is not 0, a shape;
# - say which of them stop a network from learning, and which ones nobody ever notices;
# - check a gradient of your own with `ad.check`, from numbers or from formulas, and read its report.
#
# You need the formulas of [the exercise](03_the_exercise.ipynb). The mistakes are collected from real questions: forums, issue trackers
# and lecture notes, where each has cost many people many evenings.

# %%
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
from lesson import check, holds, refused, show, text

import autodiff as ad
from nets import TwoLayer, data

as_it_was = np.seterr(all="ignore")  # no warnings where a training with a mistake overflows

# %% [markdown]
# (`show` prints a number and stops the notebook unless it is the expected one, `holds` does so with a sentence; `check` judges your
# answers at the end.)
#
# ## The network, by hand
#
# 150 irises of three kinds, by four lengths; three hidden units with sigmoids, softmax and cross-entropy. No engine in it: forward and
# backward by hand, as in an assignment. Examples are columns.

# %%
irises = data.iris()
examples = irises.scaled(*data.scale_of(irises)).columns()


def first_weights():
    """The weights that every training begins with."""
    rng = np.random.default_rng(0)
    shapes = {"W1": (3, 4), "b1": (3, 1), "W2": (3, 3), "b2": (3, 1)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def forward(weights, x=examples.x, t=examples.t):
    """One forward pass: every value by its name."""
    f = SimpleNamespace(x=x, t=t, m=x.shape[1], **weights)
    f.z1 = f.W1 @ f.x + f.b1
    f.y1 = 1 / (1 + np.exp(-f.z1))
    f.z2 = f.W2 @ f.y1 + f.b2
    f.y2 = ad.softmax(f.z2, axis=0)
    f.E = np.mean(-np.sum(f.t * np.log(f.y2), axis=0))
    return f


# %% [markdown]
# And the way back, a line a method, so that we can break one line at a time. `f` has all the values of the forward pass; `d2` is
# $\partial E/\partial \mathbf z_2$ and `d1` is $\partial E/\partial \mathbf z_1$.


# %%
class ByHand:
    """The way back, right in every line."""

    def error(self, f):
        return (f.y2 - f.t) / f.m

    def dW2(self, f, d2):
        return d2 @ f.y1.T

    def db2(self, f, d2):
        return d2.sum(axis=1, keepdims=True)

    def back(self, f, d2):
        return f.W2.T @ d2

    def slope(self, f):
        return f.y1 * (1 - f.y1)

    def dW1(self, f, d1):
        return d1 @ f.x.T

    def db1(self, f, d1):
        return d1.sum(axis=1, keepdims=True)

    def gradients(self, f):
        d2 = self.error(f)
        d1 = self.back(f, d2) * self.slope(f)
        return {"W2": self.dW2(f, d2), "b2": self.db2(f, d2), "W1": self.dW1(f, d1), "b1": self.db1(f, d1)}


def train(hand, steps=300, lr=1.0):
    """Plain gradient descent with gradients by hand; the loss at every step."""
    weights, losses = first_weights(), []
    for _ in range(steps + 1):
        f = forward(weights)
        losses.append(float(f.E))
        gradients = hand.gradients(f)
        weights = {name: weights[name] - lr * gradients[name] for name in weights}
    return losses


right = train(ByHand())
show("at first", right[0], 1.26, digits=2)
show("at the end", right[-1], 0.07, digits=2)

# %% [markdown]
# It learns. And the checker? `ad.check` takes a recorded graph of the same network, and *numbers* by the names of what they are
# gradients of. (A number is right if it differs by no more than what rounding alone can do, which the checker computes. Nobody guessed a
# tolerance.)

# %%
net = TwoLayer(**{name: ad.Tensor(array, name=name) for name, array in first_weights().items()})
E = net(examples.x, examples.t).E
report = ad.check(E, ByHand().gradients(forward(first_weights())))
for verdict in report.verdicts:
    print(verdict.label, verdict.status)
assert report.ok

# %% [markdown]
# ## The ten
#
# `plant` trains with a mistake, says what became of the training, and asks the checker.

# %%
FATES = {
    "learns as well": lambda losses: losses[-1] < 0.1,
    "learns badly": lambda losses: 0.1 < losses[-1] < losses[0] - 0.1,
    "does not learn at all": lambda losses: abs(losses[-1] - losses[0]) < 1e-9,
    "gets worse": lambda losses: not losses[-1] < losses[0] + 0.1,
}
curves, broken = {}, {}


def plant(mistake, fate, label, code):
    """Train with a mistake, and have it named; stop unless both come out as said."""
    name = mistake.__doc__
    curves[name], broken[name] = train(mistake()), mistake
    assert FATES[fate](curves[name]), curves[name][-1]
    first = ad.check(E, mistake().gradients(forward(first_weights()))).first_wrong
    assert (first.label, first.mistake) == (label, code), first
    print(f"training:  {fate}\nchecker:   {first.label}: {first.sentence}")


# %% [markdown]
# **One: the sign.** $\mathbf t - \mathbf y$ in the place of $\mathbf y - \mathbf t$, often because somebody thinks of "the error".
# **Predict** what the training will do. (In each cell: first the training, then what the checker will say.)


# %%
class Sign(ByHand):
    """1 sign"""

    def error(self, f):
        return (f.t - f.y2) / f.m


plant(Sign, "gets worse", "W2", "sign")

# %% [markdown]
# It climbs. This one you notice. In the numbers: every ratio of yours to the truth is exactly $-1$.
#
# **Two: $1/m$.** The loss is a mean, the gradient is a sum. **Predict:** with 150 examples, how long are the steps?


# %%
class NoMean(ByHand):
    """2 no 1/m"""

    def error(self, f):
        return f.y2 - f.t


plant(NoMean, "gets worse", "W2", "batch_factor")

# %% [markdown]
# 150 times too long, so it jumps about. Many people then turn the learning rate down until it works, and never find out. In the numbers:
# one ratio for everything, and it is the number of examples. (Dividing twice is as common: the ratio is $1/m$, and it learns too
# slowly.)
#
# **Three: a transpose.** $W_2$ for $W_2^\top$, on the way back. Here both are $3 \times 3$, so no shape complains. **Predict.**


# %%
class Transpose(ByHand):
    """3 transpose"""

    def back(self, f, d2):
        return f.W2 @ d2


plant(Transpose, "learns as well", "W1", "transposed")

# %% [markdown]
# Look at that. *The gradient is wrong, and the network learns.* The second layer is right, and it is clever enough to live with a first
# layer that goes somewhere. So a falling loss proves nothing. With other sizes the shapes would have told:

# %%
refused(ValueError, lambda: np.ones((3, 5)) @ np.ones((3, 150)))

# %% [markdown]
# **Four: only the diagonal of softmax's Jacobian.** See [notebook 4](04_where_did_the_jacobian_go.ipynb). **Predict:** which classes
# are never pushed down?


# %%
class Diagonal(ByHand):
    """4 diagonal"""

    def error(self, f):
        return -f.t * (1 - f.y2) / f.m


plant(Diagonal, "learns badly", "W2", "softmax_diagonal")

# %% [markdown]
# It half works. In the numbers: a true $\partial E/\partial \mathbf z_2$ adds up to 0 in every column. This one does not:

# %%
f = forward(first_weights())
holds("the columns of the right one add up to 0", np.allclose(ByHand().error(f).sum(axis=0), 0))
holds("the columns of this one do not", np.all(np.abs(Diagonal().error(f).sum(axis=0)) > 1e-6))

# %% [markdown]
# **Five: a derivative too much at the output.** Someone remembers that there must be a slope, and writes $(\mathbf y - \mathbf t)\,
# \mathbf y (1 - \mathbf y)$. **Predict:** what happens to examples on which the network is sure and wrong?


# %%
class Extra(ByHand):
    """5 extra slope"""

    def error(self, f):
        return (f.y2 - f.t) * f.y2 * (1 - f.y2) / f.m


plant(Extra, "learns badly", "W2", "entrywise_factor")

# %% [markdown]
# They hardly teach it anything, since the slope is next to nothing there. (It would be right for another loss, the squared error of
# sigmoids.) In the numbers: on one example the ratio depends on the row only, and is $y_k (1 - y_k)$.
#
# **Six: the hidden slope forgotten.** $\sigma'$ missing on the way through the hidden layer. **Predict:** which of the four gradients
# stay right?


# %%
class NoSlope(ByHand):
    """6 no slope"""

    def slope(self, f):
        return 1


plant(NoSlope, "learns badly", "W1", "derivative_missing")

# %% [markdown]
# `W2` and `b2` are right: they lie before the mistake, seen from the loss. So the first wrong gradient tells you *where* to look, and the
# ratio *what* to look for. On a single example it is $1/(y_1 (1 - y_1))$, one number a row. Over a batch the examples blend, and the rows
# are no longer even.

# %%
first, both = (forward(first_weights(), examples.x[:, :m], examples.t[:, :m]) for m in (1, 2))
ratio = {f.m: NoSlope().gradients(f)["W1"] / ByHand().gradients(f)["W1"] for f in (first, both)}
slope = first.y1 * (1 - first.y1)
holds("one example: the ratio is 1 / (y1 (1 - y1)) all along a row", np.allclose(ratio[1], 1 / slope))
holds("two examples: it is not the same all along a row", not np.allclose(ratio[2], ratio[2][:, :1]))

# %% [markdown]
# **Seven: another layer's value.** $\mathbf z_1$ where $\mathbf y_1$ belongs, a slip of the pen. **Predict.**


# %%
class OtherLayer(ByHand):
    """7 other layer"""

    def dW2(self, f, d2):
        return d2 @ f.z1.T


plant(OtherLayer, "learns as well", "W2", "other_value")

# %% [markdown]
# Even a little faster than the right one, this time. It still is wrong: it goes down *here*, for these weights and these flowers, and
# nothing says that it will elsewhere.
#
# **Eight: $W_2$ updated before it is used.** The lines are all right, and in the wrong order: first the step for $W_2$, then the way back
# through the *new* $W_2$. **Predict:** will anybody notice?


# %%
class TooEarly(ByHand):
    """8 updated too early"""

    def back(self, f, d2):
        return (f.W2 - 1.0 * self.dW2(f, d2)).T @ d2


plant(TooEarly, "learns as well", "W1", "other_value")

right_now, too_early = ByHand().gradients(f), TooEarly().gradients(f)
for name in ("W1", "b1"):
    off = np.max(np.abs(too_early[name] - right_now[name])) / np.max(np.abs(right_now[name]))
    show(f"{name}, off", off, {"W1": 0.20, "b1": 0.16}[name], digits=2)
show("loss", [right[-1], curves["8 updated too early"][-1]], [0.066, 0.066], digits=3)

# %% [markdown]
# Nobody who looks at the loss: after 300 steps it is the same to three digits. Yet the gradient of $W_1$ was off, at the first step, by a
# fifth of its largest entry, and that of $\mathbf b_1$ by a sixth. The checker sees it, and names it, with the learning rate.
#
# **Nine: the bias averaged.** What is copied forward is *summed* backward ([notebook 5](05_why_the_transpose.ipynb)). **Predict** the
# ratio.


# %%
class Averaged(ByHand):
    """9 bias averaged"""

    def db2(self, f, d2):
        return d2.mean(axis=1, keepdims=True)


plant(Averaged, "learns as well", "b2", "sum_averaged")

# %% [markdown]
# The bias learns 150 times too slowly, and the others do its work.
#
# **Ten: the Jacobian without its vector.** Somebody computes softmax's Jacobian, does not know what to multiply it with, and adds up its
# rows. **Predict** what every row adds up to.


# %%
class RowSums(ByHand):
    """10 row sums"""

    def error(self, f):
        jacobians = [np.diag(y) - np.outer(y, y) for y in f.y2.T]
        return np.stack([J.sum(axis=1) for J in jacobians], axis=1) / f.m


plant(RowSums, "does not learn at all", "W2", "zero")

# %% [markdown]
# ## All of them
#
# Thick is the right one. (The third panel shows the first steps only.)

# %%
figure, panels = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True)
groups = ["learns as well"], ["learns badly"], ["gets worse", "does not learn at all"]
for ax, fates, steps in zip(panels, groups, (300, 300, 12), strict=True):
    for name, losses in curves.items():
        if any(FATES[fate](losses) for fate in fates):
            ax.plot(np.clip(losses[: steps + 1], None, 20), label=name)
    ax.plot(right[: steps + 1], color="black", linewidth=3, alpha=0.4)
    ax.set(title=" or ".join(fates), xlabel="step", yscale="log")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize="small")
panels[0].set_ylabel("loss")
plt.show()

holds("four of the ten learn as well", sum(FATES["learns as well"](losses) for losses in curves.values()) == 4)

# %% [markdown]
# **Four of the ten mistakes learn as well as the right answer.** That is the lesson of this notebook. The loss is a bad witness: it tells
# you that *something* goes down. Only a comparison of the gradient itself tells you whether it is the gradient.
#
# ## From paper
#
# You need not have code. Numbers copied off paper, rounded to three decimals, are enough, and the report says that it judged them so:

# %%
on_paper = {name: np.round(g, 3) for name, g in NoSlope().gradients(forward(first_weights())).items()}
report = ad.check(E, on_paper)
assert report.first_wrong.mistake == "derivative_missing"
assert "judged at the 3 decimals given" in report.verdicts[0].notes
for verdict in report.verdicts:
    print(*filter(None, [verdict.label, verdict.status, verdict.sentence, *verdict.notes]), sep="; ")

# %% [markdown]
# Or the formulas themselves, line by line. It finds the *first* wrong line. The lines after it are right, given the one before, and so
# it says: a teacher would not subtract points twice.

# %%
report = ad.check(
    E,
    [
        "dz2 = (y2 - t) / m",
        "dW2 = dz2 @ y1.T",
        "dy1 = W2 @ dz2",
        "dz1 = dy1 * y1 * (1 - y1)",
        "dW1 = dz1 @ x.T",
    ],
)
assert report.first_wrong.label == "line 3" and report.first_wrong.mistake == "transposed"
for verdict in report.verdicts:
    print(verdict.label, verdict.target, verdict.status, verdict.sentence, sep="  ")

# %% [markdown]
# ## Your turn
#
# Three mistakes of the ten, drawn by lot, on a single example. You see the ratio of the wrong gradient to the right one, entry by entry,
# and the values of the layer. Which number has the mistake? Put it in the place of `None`; solutions are at the end.

# %%
drawn = np.random.default_rng(15).permutation(10)[:3] + 1
one = forward(first_weights(), examples.x[:, :1], examples.t[:, :1])
truth = ByHand().gradients(one)


def ratios(k):
    """The ratio of a mystery's gradients to the right ones."""
    wrong = list(broken.values())[drawn[k - 1] - 1]().gradients(one)
    for name in ("W2", "W1"):
        ratio = wrong[name] / truth[name]
        print(f"{name}, wrong / right:\n{text(ratio, digits=2)}")


VALUES = {
    "z1": [[-3.5692], [-2.3613], [-1.1206]],
    "y1": [[0.0274], [0.0862], [0.2459]],
    "y2": [[0.5588], [0.3082], [0.1330]],
    "t": [[1], [0], [0]],
}
for name in VALUES:
    show(name, getattr(one, name), VALUES[name])

# %% [markdown]
# **1.**

# %%
ratios(1)

answer_1 = None
check(1, answer_1, drawn[0])

# %% [markdown]
# **2.**

# %%
ratios(2)

answer_2 = None
check(2, answer_2, drawn[1])

# %% [markdown]
# **3.**

# %%
ratios(3)

answer_3 = None
check(3, answer_3, drawn[2])

# %% [markdown]
# **4.** Two of the ten cannot be seen at all on a single example. Which? Give the two numbers as a list, in any order. (So never check on
# one example; the checker says so, if you try.)


# %%
def unseen(mistake):
    """Are all its gradients on this example the right ones?"""
    return all(np.array_equal(g, truth[name]) for name, g in mistake().gradients(one).items())


hidden = [k for k, mistake in enumerate(broken.values(), 1) if unseen(mistake)]

answer_4 = None
check(4, answer_4, hidden, any_order=True)

# %% [markdown]
# ### Solutions
#
# **1.** `W2` is right, and the ratios of `W1` depend on the row only: so the fault is in the hidden slope. Row 3:
# $1/(0.2459 \cdot 0.7541) = 5.39$: the slope is missing, number **6**. **2.** The row of the true class is right, the others are 0: only
# the diagonal, number **4**. (`W1` is wrong too, since it is made from the same error.) **3.** Only `W2` is wrong, and the ratios depend
# on the column only: another value stands in the place of $\mathbf y_1$. Column 3: $-1.1206/0.2459 = -4.56$: $\mathbf z_1$, number **7**.
# **4.** What has to do with the batch, numbers **2** and **9**: a mean over one example is a sum.

# %%
check(1, 6, drawn[0])
check(2, 4, drawn[1])
check(3, 7, drawn[2])
check(4, [9, 2], hidden, any_order=True)
show("ratio, 1", 1 / (0.2459 * 0.7541), 5.39, digits=2)
show("ratio, 3", -1.1206 / 0.2459, -4.56, digits=2)

# %% [markdown]
# Next: [when numbers die](07_when_numbers_die.ipynb).
