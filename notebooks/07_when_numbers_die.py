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
# # 7. When numbers die
#
# The formulas are right, the code is right, and in epoch 3 the loss says `nan`. A computer does not calculate with numbers; it calculates
# with *floats*, and those can overflow, vanish and drown. This notebook shows every way in which they die, and what to write so that
# they live.
#
# When you are through, you will be able to
#
# - say from a formula where it will break, before it breaks;
# - write softmax, cross-entropy, sigmoid and logarithms in their *stable* forms, and say why these are the same functions;
# - explain why a gradient can be `nan` though the loss is a fine number;
# - find the operation where the first bad number was born, in one line.
#
# You need softmax and cross-entropy, from [notebook 3](03_the_exercise.ipynb), and what a gradient is, from
# [notebook 1](01_one_neuron.ipynb).

# %%
import matplotlib.pyplot as plt
import numpy as np
from lesson import check, holds, refused, show

import autodiff as ad
from nets import data, mlp, optim, train

as_it_was = np.seterr(all="ignore")

# %% [markdown]
# (NumPy would print warnings here, from deep inside. The last line turns them off, so that we see how *silently* numbers die. `show`
# prints a number and stops the notebook unless it is the expected one.)
#
# ## The walls
#
# A float has 64 bits. The largest is about $1.8 \cdot 10^{308}$, and $e^z$ gets there sooner than one thinks: at $z = 709.78$. Beyond
# is `inf`. The smallest is about $5 \cdot 10^{-324}$; below is 0. And between them there are only 16 digits: $1 + 10^{-17}$ is 1.
#
# **Predict:** $e^{709}$, $e^{710}$, $e^{-745}$, $e^{-746}$: which of them are inf, and which are 0?

# %%
holds("e^709 is a number", np.exp(709.0) < np.inf)
holds("e^710 is inf", np.exp(710.0) == np.inf)
holds("e^-745 is more than 0", np.exp(-745.0) > 0)
holds("e^-746 is 0", np.exp(-746.0) == 0)
holds("1 + 1e-17 is 1", 1 + 1e-17 == 1)

# %% [markdown]
# `inf` is not yet death: $1/\infty = 0$ is even useful. Death is `nan`, "not a number", the answer to questions that have none:
# $\infty - \infty$, $\infty / \infty$, $0 \cdot \infty$. And it is contagious: what is computed from a `nan` is one, too. (The exceptions
# are few: anything to the power 0 is 1.)

# %%
inf = np.inf
show("inf - inf", inf - inf, np.nan)
show("inf / inf", np.float64(inf) / inf, np.nan)
show("0 * inf", 0 * inf, np.nan)
show("nan + 1", np.nan + 1, np.nan)
show("nan * 0", np.nan * 0, np.nan)
show("nan ** 0", np.nan**0, 1)

# %% [markdown]
# ## Softmax of (0, 1000)
#
# A network that is very sure gives scores like these. The right answer is easy: the second probability is 1, the first is $e^{-1000}$,
# next to nothing.
#
# **Predict** what the textbook formula gives.

# %%
z = np.array([0.0, 1000.0])
e = np.exp(z)
show("e", e, [1, np.inf])
show("sum", np.sum(e), np.inf)
show("softmax", e / np.sum(e), [0, np.nan])

# %% [markdown]
# $\infty / \infty$: the *surest* answer has become `nan`. The cure is a fact from [notebook 4](04_where_did_the_jacobian_go.ipynb):
# adding the same number to all scores changes no probability. So subtract the largest score from all of them. Then the largest is 0,
# its exponential is 1, and nothing can overflow. What underflows to 0 was next to nothing anyway.
#
# **Predict** the exponentials now.

# %%
e = np.exp(z - np.max(z))
show("e", e, [0, 1])
show("softmax", e / np.sum(e), [0, 1])
show("ad.softmax", ad.softmax(z), [0, 1])

# %% [markdown]
# ## log 0
#
# Now the loss. Suppose the *first* class was right, $\mathbf t = (1, 0)$. The network was sure and wrong. How bad is it? $-\log
# e^{-1000} = 1000$: bad, but a plain number. **Predict** what comes out of `-np.sum(t * np.log(y))`.

# %%
t = np.array([1.0, 0.0])
y = ad.softmax(z)
show("log y", np.log(y), [-np.inf, 0])
show("E", -np.sum(t * np.log(y)), np.inf)

# %% [markdown]
# Infinite: the probability had already been rounded to 0, and a logarithm cannot bring it back. (Had the second class been right, it
# would be worse: $0 \cdot (-\infty)$ is `nan`, though the network did everything right.)

# %%
show("E, right", -np.sum(np.array([0.0, 1.0]) * np.log(y)), np.nan)

# %% [markdown]
# The cure is to do two steps at once. With $y_i = e^{z_i} / \sum_k e^{z_k}$,
#
# $$ \log y_i = z_i - \log \sum_k e^{z_k} . $$
#
# No probability is ever formed. The last term is called *log-sum-exp*; it, too, subtracts the largest score inside. **Predict** both
# entries of $\log \mathbf y$.

# %%
show("logsumexp", ad.logsumexp(z), 1000)
show("log_softmax", ad.log_softmax(z), [-1000, 0])
show("E", -np.sum(t * ad.log_softmax(z)), 1000)

# %% [markdown]
# And its gradient is what it always is, $\mathbf y - \mathbf t$, without a single infinity on the way:

# %%
gradient = ad.grad(lambda z: -np.sum(t * ad.log_softmax(z)))(z)
show("gradient", gradient, [-1, 1])

# %% [markdown]
# That is why losses take **scores**, not probabilities: `nets.losses.cross_entropy`, and PyTorch's `CrossEntropyLoss` as well. Putting
# a softmax before them is a very common mistake; it runs, and it learns badly.
#
# ## Alive in value, dead in gradient
#
# The sneakiest death. Somebody knows that $\log 0$ is dangerous, and guards against it: where $x > 0$ take the logarithm, elsewhere
# take 0.
#
# **Predict** value and gradient for $\mathbf x = (0, 4)$. The derivative of $\log x$ is $1/x$.

# %%
x = ad.Tensor([0.0, 4.0], name="x")
guarded = np.sum(np.where(x.data > 0, np.log(x), 0.0))
show("value", guarded, np.log(4))
show("gradient", ad.gradient(guarded, x), [np.nan, 0.25])

# %% [markdown]
# The value is fine, the gradient is `nan`. What happened? The way back comes to `where`, which sends 0 to the branch that was not
# taken. Then comes the rule of the logarithm: $0 \cdot \frac10 = 0 \cdot \infty$. **A branch that is not taken is still walked back,
# with a zero, and a zero does not survive an infinity.** All engines do that; it is the chain rule.
#
# The cure is to keep the *input* of the dangerous operation safe, not its output:

# %%
safe = np.where(x.data > 0, x, 1.0)  # first make it harmless ...
guarded = np.sum(np.where(x.data > 0, np.log(safe), 0.0))  # ... then choose
show("value", guarded, np.log(4))
show("gradient", ad.gradient(guarded, x), [0, 0.25])

# %% [markdown]
# ## One is enough
#
# How far does one bad number get? Four examples, a small layer, the mean of their losses; one input is `nan`.
#
# **Predict:** of the six weights, how many have a gradient that is still a number?

# %%
W = ad.Tensor(np.ones((2, 3)), name="W")
X = np.ones((3, 4))
X[1, 2] = np.nan
mean = np.mean(np.sum((W @ X) ** 2, axis=0))
show("loss", mean, np.nan)
show("dE/dW", ad.gradient(mean, W), np.full((2, 3), np.nan))

# %% [markdown]
# None, from one number in twelve. After one step of training all weights are `nan`, and they stay it. So the time to look is *before*
# the first step. `nets` refuses such data at the door:

# %%
examples = X.T
refused(ValueError, lambda: data.Dataset(examples, np.array([0, 1, 0, 1])))

# %% [markdown]
# ## Where was it born?
#
# You see a `nan` at the end. The mistake is somewhere before. Here is the textbook softmax again, now recorded, with its loss. In the
# tree below, the operands of each operation stand under it. Follow the trail down from $E$: which operation made the first bad number?


# %%
def textbook(z):
    """Softmax and cross-entropy as they stand in the book."""
    e = np.exp(z).named("e")
    y = (e / np.sum(e)).named("y")
    return np.sum(ad.constant(-t, name="minus_t") * np.log(y)).named("E")


z = ad.Tensor([0.0, 1000.0], name="z")
tree = ad.draw(textbook(z)).text
assert "exp e ··················· (2,) max |·| 1, 1 not finite" in tree
print(tree)

# %% [markdown]
# You can find it: `E` is `nan` because of `log`, because of the division, because of `exp`. In a graph of a thousand
# nodes you would rather not. `ad.debug` looks at every number once, when it is made, and stops at the first that is not finite:

# %%


def watched(f):
    """Run f() under ad.debug."""
    with ad.debug():
        return f()


refused(ad.NonFinite, lambda: watched(lambda: textbook(z)))

# %% [markdown]
# The operation, the entry, the cause, and the wall it ran into. Compare with what you get elsewhere for the same program: a warning
# about an invalid value in a division, or the name of the *logarithm*, which was only the victim.
#
# It watches backward too. $\sqrt x$ is fine at 0, its slope $1/(2\sqrt x)$ is not:

# %%


def root():
    """The root of 0, and back."""
    x = ad.Tensor([0.0, 4.0], name="x")
    np.sum(np.sqrt(x)).backward()


refused(ad.NonFinite, lambda: watched(root))

# %% [markdown]
# And training stops by itself: `fit` looks at the loss before each step, and takes none from a loss that is not finite. Here the first step
# is far too long. **Predict:** are the weights `nan` when it stops?

# %%
model = mlp(2, 4, 2, activation="tanh", seed=0)
too_long = optim.SGD(model, lr=1e308)
refused(train.Diverged, lambda: train.fit(model, data.moons(), optimizer=too_long, quiet=True))
weights = np.concatenate([p.data.ravel() for p in model.parameters().values()])
holds("every weight is a number still", np.all(np.isfinite(weights)))
holds("but the first step was taken: one is larger than 1e307", np.max(np.abs(weights)) > 1e307)

# %% [markdown]
# They are numbers, and useless ones: the step that spoils the weights is the one *before* the loss that shows it. Begin again, with shorter
# steps.

# %% [markdown]
# ## Saturation
#
# Not every death is loud. The slope of the sigmoid is $y (1 - y)$, at most $\frac14$, and next to nothing where the sigmoid is flat.
#
# **Predict:** at which of $z = 0, 5, 10, 40$ is the computed slope exactly 0? (Remember: $1 - 10^{-17}$ is 1.)

# %%
points = np.array([0.0, 5.0, 10.0, 40.0])
slopes = ad.grad(lambda z: np.sum(ad.sigmoid(z)))(points)
show("slopes", slopes, [0.25, 0.006648, 0.000045, 0], digits=6)
show("exactly 0", slopes == 0, [False, False, False, True])

# %% [markdown]
# A unit at $z = 40$ is *saturated*: no gradient gets through it, and none will ever bring it back. And through many layers even a good
# slope dies. **Predict** the most that can be left of a gradient after ten sigmoids: $(\frac14)^{10}$.

# %%
value = ad.Value(0.0, name="z")
deep = value
for _ in range(10):
    deep = ad.sigmoid(deep)
show("millionths", 1e6 * ad.gradient(deep, value), 0.3875)
show("at most", 1e6 * 0.25**10, 0.9537)

# %% [markdown]
# Less than a millionth. Here are the slopes of three activations; the scale is logarithmic, so a straight line down is an exponential
# death. Relu does not saturate on the right, which is the reason for its success; on the left it is dead at once.

# %%
points = np.linspace(-12, 12, 241)
for name, f in {"sigmoid": ad.sigmoid, "tanh": ad.tanh, "relu": ad.relu}.items():
    slopes = ad.grad(lambda z, f=f: np.sum(f(z)))(points)
    plt.semilogy(points, np.where(slopes > 0, slopes, np.nan), label=name)
plt.xlabel("z")
plt.ylabel("slope")
plt.ylim(1e-11, 3)
plt.legend()
plt.show()

# %% [markdown]
# ## A table of stable forms
#
# | you want | do not write | write |
# |---|---|---|
# | probabilities | `np.exp(z) / np.sum(np.exp(z))` | `ad.softmax(z)` |
# | their logarithm | `np.log(ad.softmax(z))` | `ad.log_softmax(z)` |
# | $\log \sum e^{z}$ | `np.log(np.sum(np.exp(z)))` | `ad.logsumexp(z)` |
# | $\log(1 + e^z)$ | `np.log(1 + np.exp(z))` | `ad.softplus(z)` |
# | $\log \sigma(z)$ | `np.log(ad.sigmoid(z))` | `-ad.softplus(-z)` |
# | $\log(1 + x)$ for tiny $x$ | `np.log(1 + x)` | `np.log1p(x)` |
# | $e^x - 1$ for tiny $x$ | `np.exp(x) - 1` | `np.expm1(x)` |
# | $\sigma(z)$ for large $z$ | `np.exp(z) / (1 + np.exp(z))` | `ad.sigmoid(z)` |
#
# They are the *same functions*, so they have the same derivatives; only the order of the calculation differs. **Predict** the left and
# the right column for each line below.

# %%
show("log(1+e^z)", [np.log(1 + np.exp(1000.0)), ad.softplus(1000.0)], [np.inf, 1000])
show("log sigmoid", [np.log(ad.sigmoid(-1000.0)), -ad.softplus(1000.0)], [-np.inf, -1000])
show("log(1+x)/x", [np.log(1 + 1e-17) / 1e-17, np.log1p(1e-17) / 1e-17], [0, 1])
show("(e^x-1)/x", [(np.exp(1e-17) - 1) / 1e-17, np.expm1(1e-17) / 1e-17], [0, 1])

# %% [markdown]
# ## Drowning
#
# The last death is slow: subtracting two large, nearly equal numbers. The variance is the mean of the squares minus the square of the
# mean, says the book. **Predict** the variance of $10^8 + (1, 2, 3)$ by that formula; it should be $\frac23$.

# %%
far = 1e8 + np.array([1.0, 2.0, 3.0])
by_book = np.mean(far**2) - np.mean(far) ** 2
holds("the book is off by more than 0.5", abs(by_book - 2 / 3) > 0.5)
show("np.var", np.var(far), 2 / 3)
show("digits", len(str(100_000_001**2)), 17)

# %% [markdown]
# The squares have 17 digits before the point; the answer would begin in the eighteenth, and a float has 16. Subtract the mean *first*,
# as `np.var` does. It is always the same advice: **subtract before you square or exponentiate, take logarithms before you multiply, and
# never compute a probability that you only want the logarithm of.**
#
# ## Your turn
#
# Put your answer in the place of `None`. Solutions are at the end.
#
# **1.** $\log(e^{1000} + e^{1000})$, with a pencil.

# %%
answer_1 = None
check(1, answer_1, ad.logsumexp(np.array([1000.0, 1000.0])))

# %% [markdown]
# **2.** Write $\log(1 + e^z)$ so that it works at $-1000$, $0$ and $1000$, with nothing but `np.maximum`, `np.abs`, `np.exp` and
# `np.log1p`. (Take the larger of $0$ and $z$ out.)

# %%
hard = np.array([-1000.0, 0.0, 1000.0])

answer_2 = None  # lambda z: ...
check(2, answer_2 and answer_2(hard), ad.softplus(hard))

# %% [markdown]
# **3.** The length of a vector, $\sqrt{\sum_i x_i^2}$, has no derivative at $\mathbf 0$, and `np.sqrt(np.sum(x**2))` gives `nan` there.
# Write a length with a guard that gives the gradient 0 at $\mathbf 0$, and is right elsewhere.


# %%
def gradients_of(length):
    """The gradients of a length at (0, 0) and at (3, 4), one below the other."""
    return np.array([ad.grad(length)(np.array(point)) for point in ([0.0, 0.0], [3.0, 4.0])])


answer_3 = None  # lambda x: ...
check(3, answer_3 and gradients_of(answer_3), np.array([[0, 0], [0.6, 0.8]]))

# %% [markdown]
# **4.** In half the precision (`float32`) there are 7 digits, and the largest number is $3.4 \cdot 10^{38}$. Which is the smallest whole
# number $n$ for which $e^n$ is inf? ($\log 3.4 \approx 1.22$, $\log 10 \approx 2.303$.)

# %%
truth_4 = next(n for n in range(1000) if np.isinf(np.exp(np.float32(n))))

answer_4 = None
check(4, answer_4, truth_4)

# %% [markdown]
# ### Solutions
#
# **1.** $1000 + \log 2$. **2.** $\max(0, z) + \log(1 + e^{-|z|})$: the exponent is never positive. **3.** Make the input of the root
# harmless first, then choose. **4.** $38 \cdot 2.303 + 1.22 = 88.7$, so 89.

# %%
check(1, 1000 + np.log(2), ad.logsumexp(np.array([1000.0, 1000.0])))
check(2, np.maximum(0, hard) + np.log1p(np.exp(-np.abs(hard))), ad.softplus(hard))


def length(x):
    """The length of x, with derivative 0 at 0."""
    square = np.sum(x**2)
    nonzero = square > 0
    return np.where(nonzero, np.sqrt(np.where(nonzero, square, 1.0)), 0.0)


check(3, gradients_of(length), np.array([[0, 0], [0.6, 0.8]]))
check(4, 89, truth_4)

# %% [markdown]
# Next: [train it](08_train_it.ipynb).
