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
# # 8. Train it
#
# So far we took derivatives. Here we *use* them: three networks learn, from four clouds of points to handwritten digits, and you look
# inside while they do. Then second derivatives train a neuron of three weights in six steps, and at the end the same network
# stands beside its PyTorch version, line by line.
#
# When you are through, you will be able to
#
# - write a training loop, and say what each of its four steps does;
# - read a learning curve, a decision boundary, a confusion matrix, and the weights of a first layer;
# - say what the second derivative knows that the first does not, and what it costs;
# - move a network of yours to PyTorch, and check that it still is the same.
#
# You need gradients, from [notebook 1](01_one_neuron.ipynb). Every number printed is asserted; where a number depends on the last bits of
# your machine, the assertion is a bound.

# %%
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
from lesson import check, formula, holds, show

import autodiff as ad
from nets import data, losses, mlp, optim, plots, train
from nets.watch import Watch

# %% [markdown]
# (`show` prints a number and stops the notebook unless it is the expected one, `holds` does so with a sentence; `check` judges your
# answers at the end.)
#
# ## Four clouds
#
# The oldest problem that one layer cannot solve, *exclusive or*: a point belongs to class 1 if the signs of its two coordinates differ.

# %%
clouds = data.xor(200, noise=0.3)
show("x", clouds.x.shape, [200, 2])
plt.figure(figsize=(3.4, 3.2))
for c, marker in ((0, "o"), (1, "x")):
    plt.scatter(*clouds.x[clouds.t == c].T, marker=marker, s=14, label=f"class {c}")
plt.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# A network without hidden units draws one straight line. **Predict:** what share of these points can a straight line get right at best?
# And what will training find?

# %%
line = mlp(2, 2, seed=0)
train.fit(line, clouds, epochs=30, optimizer=optim.Adam(line, lr=0.05), quiet=True)


def best_of_any_line(x, t):
    """The largest share of points that a straight line gets right, looked for in 720 directions."""
    found = 0.0
    for angle in np.linspace(0, 2 * np.pi, 720, endpoint=False):
        along = t[np.argsort(x @ [np.cos(angle), np.sin(angle)])]  # the classes as the line meets them
        zeros_before = np.append(0, np.cumsum(along == 0))
        ones_behind = np.sum(along == 1) - np.append(0, np.cumsum(along == 1))
        found = max(found, np.max(zeros_before + ones_behind) / len(t))
    return found


show("best line", best_of_any_line(clouds.x, clouds.t), 0.75, digits=2)
trained = train.evaluate(line, clouds)
show("trained", trained.accuracy, 0.43, digits=2)
show("its loss", trained.loss, 0.694, digits=3)

# %% [markdown]
# A line can cut off one cloud: three quarters. Training finds 43 %, no better than a coin, and its loss is that of a coin, $\log 2 =
# 0.693$. For it does not count right answers, it makes the *cross-entropy* small; and for that, no line is better than one half for every
# point.

# %% [markdown]
# Now eight hidden units. We do not call `fit` this time. Here is the loop itself; it is the same in PyTorch, and in every paper:
#
# 1. compute the loss of a batch, recording the graph;
# 2. forget the old gradients, since leaves *add up* ([notebook 2](02_the_engine.ipynb));
# 3. walk back;
# 4. take a step against the gradient. (The graph is stale now. The next round makes a new one.)

# %%
net = mlp(2, 8, 2, activation="tanh", seed=0)
adam = optim.Adam(net, lr=0.05)
history = []
for _ in range(60):
    E = losses.cross_entropy(net(clouds.x), clouds.t)
    net.zero_grad()
    E.backward()
    adam.step()
    history.append(E.item())

holds("the loss began near log 2 = 0.69", abs(history[0] - np.log(2)) < 0.3)
holds("and is now below 0.1", history[-1] < 0.1)
plots.boundary(net, clouds)

# %% [markdown]
# The colours say which class the network thinks likelier, and how sure it is. Two lines were enough, and each hidden unit can draw one.
#
# What was recorded in each round? Ask the picture; each layer is one box here, and `level=1` would open them.

# %%
fresh = mlp(2, 8, 2, activation="tanh", seed=0)
E = losses.cross_entropy(fresh(clouds.x), clouds.t)
E.backward()
ad.draw(E, level=0, rankdir="TB")

# %% [markdown]
# And ask for the formulas: they are those of [notebook 5](05_why_the_transpose.ipynb), with examples as rows.

# %%
W2 = fresh.parameters()["W2"]
formula(ad.derive(E, wrt=W2), "dE/dW2 = (softmax(z2, axis=1) - t).T @ y1 / m    using sum(t, axis=1) == 1")

# %% [markdown]
# ## Watching a boundary move
#
# Three arms of a spiral, two hidden layers of 16. `Watch` looks at the network after each epoch.

# %%
spirals = data.spirals(300)
net = mlp(2, 16, 16, 3, activation="tanh", seed=0)
watch = Watch(net, spirals)
history = train.fit(net, spirals, epochs=60, optimizer=optim.Adam(net, lr=0.02), each_epoch=watch, quiet=True)
holds("it gets more than 98 % right", history[-1].accuracy > 0.98)
plots.boundaries(net, spirals, watch.parameters)

# %% [markdown]
# First it draws straight lines, the best that one can do in a hurry. Then it bends them. In between, the loss may hardly move for a while;
# that is not the end, it is the bending.
#
# What happens inside, layer by layer? The size of the gradients, how far the activations spread, and which units have gone flat:

# %%
plots.layers_over_time(watch)

# %% [markdown]
# ## Digits
#
# 1,797 handwritten digits, 8 by 8 pixels. One in five is held out: the network never learns from it.

# %%
digits = data.digits()
learnt, held_out = digits.split(0.2, seed=0)
show("learnt from", len(learnt), 1438)
show("held out", len(held_out), 359)

figure, axes = plt.subplots(1, 10, figsize=(9, 1.2))
for ax, k in zip(axes, range(10), strict=True):
    ax.imshow(digits.x[k].reshape(8, 8), cmap="gray_r")
    ax.set_title(str(digits.t[k]))
    ax.axis("off")
plt.show()

# %% [markdown]
# A network of 32 hidden units. **Predict** how many numbers it has to learn: 64 inputs, 32 hidden units, 10 classes, and the biases.

# %%
net = mlp(64, 32, 10, activation="relu", seed=0)
show("parameters", 64 * 32 + 32 + 32 * 10 + 10, sum(p.size for p in net.parameters().values()))
print(net)

# %% [markdown]
# **Predict** the loss before it has learnt anything: it gives each of the ten classes about the same probability, $\frac1{10}$.

# %%
show("log 10", np.log(10), 2.3026)
holds("the untrained network has about that", abs(train.evaluate(net, held_out).loss - np.log(10)) < 0.5)

# %%
history = train.fit(net, learnt, epochs=20, held_out=held_out, optimizer=optim.Adam(net, lr=0.005), quiet=True)
accuracy = train.evaluate(net, held_out).accuracy
holds("more than 95 % of digits that it has never seen are right", accuracy > 0.95)
best, last = history[history.best], history[-1]
holds("what it learns from: the loss falls to less than a tenth", last.loss < history[0].loss / 10)
holds("never seen: in the best epoch, half as large again, or more", best.val_loss > 1.5 * best.loss)
holds("never seen: the last epoch is worse than the best by a tenth", last.val_loss > 1.1 * best.val_loss)
plots.learning_curves(history)

# %% [markdown]
# Read the curves. The loss on what it learns from falls nearly all the way. The loss on what it has never seen falls with it at first, and
# then lags behind: more and more it learns *these* digits, not digits. It does not fall smoothly, and its last epoch is
# not its best. So `fit` has put the weights of the best epoch back.
#
# Which digits does it mistake for which?

# %%
plots.confusion(train.confusion(net, held_out), digits.classes)

# %% [markdown]
# And what did it learn? The 64 weights of each hidden unit, as a picture: red is where it wants ink, blue where it wants none.

# %%
plots.weights(net.parameters()["W1"], image=(8, 8))

# %% [markdown]
# ## Second derivatives
#
# The gradient says which way is down. It does not say *how far*. Take a narrow valley, $E = \frac12 (a^2 + 100\, b^2)$, at $(a, b) =
# (10, 1)$. **Predict** the gradient, and where a step of length 0.01 against it leads. (A longer step than 0.02 would throw $b$ further
# out each time.)


# %%
def valley(w):
    """A valley a hundred times as steep in one direction as in the other."""
    return (w[0] ** 2 + 100 * w[1] ** 2) / 2


start = np.array([10.0, 1.0])
gradient = ad.grad(valley)(start)
show("gradient", gradient, [10, 100])
show("one step", start - 0.01 * gradient, [9.9, 0])

# %% [markdown]
# $b$ has arrived, $a$ has hardly moved, and needs hundreds of steps more. The *Hessian*, the table of second derivatives, knows the two
# steepnesses: $H = \begin{pmatrix} 1 & 0 \\ 0 & 100 \end{pmatrix}$. Newton's step divides by it: $\mathbf w - H^{-1} \mathbf g$.
#
# **Predict** where it leads.

# %%
H = ad.hessian(valley)(start)
show("H", H, [[1, 0], [0, 100]])
show("Newton", start - np.linalg.solve(H, gradient), [0, 0])

# %% [markdown]
# At once to the bottom, from anywhere, since this is a parabola. A real loss is one only nearly. Here is logistic regression on two
# clouds that overlap: three weights, and a small penalty.

# %%
moons = data.moons(60, noise=0.3)
X = np.column_stack([moons.x, np.ones(60)])


def loss(w):
    """The cross-entropy of logistic regression, and a penalty on large weights."""
    z = X @ w
    return np.mean(ad.softplus(z) - moons.t * z) + 0.005 * np.sum(w**2)


gradient, hessian = ad.grad(loss), ad.hessian(loss)

w = np.zeros(3)
by_newton = [loss(w)]
for _ in range(6):
    w = w - np.linalg.solve(hessian(w), gradient(w))
    by_newton.append(loss(w))
best = loss(w)

v = np.zeros(3)
by_descent = [loss(v)]
for _ in range(300):
    v = v - 0.5 * gradient(v)
    by_descent.append(loss(v))

show("Newton", by_newton[:5], [0.6931, 0.4155, 0.3939, 0.3931, 0.3931])
show("descent", [by_descent[k] for k in (0, 1, 10, 100, 300)], [0.6931, 0.6482, 0.4795, 0.3942, 0.3931])

# %%
for name, losses_so_far in {"gradient descent": by_descent, "Newton": by_newton}.items():
    plt.semilogy([max(E - best, 1e-14) for E in losses_so_far], label=name)
plt.xlabel("step")
plt.ylabel("above the best")
plt.legend()
plt.show()

# %% [markdown]
# Descent walks down a straight line on this scale: each step gains about the same factor. Newton falls off a cliff: near the bottom each
# step *doubles the number of right digits*.
#
# Why does nobody train large networks so? For a million weights the Hessian has $10^{12}$ entries. But as with softmax's table, one rarely
# needs it; one needs it *times a vector*, and that costs two gradients, however many weights there are:

# %%
direction = np.array([1.0, 2.0, -1.0])
product = ad.hvp(loss, (w,), (direction,))
assert np.allclose(product, hessian(w) @ direction, rtol=1e-12)
show("H d", product, hessian(w) @ direction)

# %% [markdown]
# ## The same net in PyTorch, line by line
#
# | here | in PyTorch |
# |---|---|
# | `ad.Tensor(array, name="W")` | `torch.tensor(array, requires_grad=True)` |
# | `ad.constant(array)`, or a plain array | `torch.tensor(array)` |
# | `ad.sigmoid(x @ W1.T + b1)` | `torch.sigmoid(x @ W1.T + b1)` |
# | `mlp(2, 8, 2, activation="tanh")` | `nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))` |
# | `losses.cross_entropy(net(x), t)` | `nn.functional.cross_entropy(net(x), t)` |
# | `net.zero_grad()` | `optimizer.zero_grad()` |
# | `E.backward()` | `E.backward()` |
# | `W.grad` | `W.grad` |
# | `adam.step()` | `adam.step()` |
# | `with ad.no_record():` | `with torch.no_grad():` |
# | `W.detach()` | `W.detach()` |
# | `ad.gradient(E, W, record=True)` | `torch.autograd.grad(E, W, create_graph=True)` |
# | `node.op.name` | `tensor.grad_fn` |
# | every node keeps its `.grad` | only leaves do; others after `.retain_grad()` |
#
# So much on paper. Here are five rounds of training, first ours, then the same lines in PyTorch. If PyTorch is installed where you are,
# the second cell runs them and insists that loss and gradients are the same; if not, it is there to be read.

# %%
ours = mlp(2, 8, 2, activation="tanh", seed=3)
first_weights = {name: p.data.copy() for name, p in ours.parameters().items()}
sgd = optim.SGD(ours, lr=0.5, momentum=0.9)
our_losses = []
for _ in range(5):
    E = losses.cross_entropy(ours(clouds.x), clouds.t)
    ours.zero_grad()
    E.backward()
    sgd.step()
    our_losses.append(E.item())

holds("the loss fell", our_losses[-1] < our_losses[0])


# %%
def the_same_in_pytorch():
    """The five rounds by PyTorch; returns its losses and its last gradients."""
    import torch
    from torch import nn

    theirs = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    for p, start in zip(theirs.parameters(), first_weights.values(), strict=True):
        p.data = torch.tensor(start)
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.5, momentum=0.9)
    x, t = torch.tensor(clouds.x), torch.tensor(clouds.t)
    their_losses = []
    for _ in range(5):
        E = nn.functional.cross_entropy(theirs(x), t)
        sgd.zero_grad()
        E.backward()
        sgd.step()
        their_losses.append(E.item())
    return their_losses, [p.grad.numpy() for p in theirs.parameters()]


same = True
if find_spec("torch"):
    their_losses, their_gradients = the_same_in_pytorch()
    pairs = zip(ours.parameters().values(), their_gradients, strict=True)
    alike = [np.allclose(p.grad, g, rtol=1e-9, atol=1e-12) for p, g in pairs]
    same = np.allclose(our_losses, their_losses, rtol=1e-12) and all(alike)
holds("where PyTorch is installed, its five losses and its last gradients are ours", same)

# %% [markdown]
# `nets.to_torch(net)` makes such a network from one of ours, and `nets.from_torch` goes back, so you can begin here, where you can look
# inside, and go on there, where there are graphics cards.
#
# ## Your turn
#
# Put your answer in the place of `None`. Solutions are at the end.
#
# **1.** How many numbers does `mlp(784, 100, 10)`, a network for the full-size digits, have to learn?

# %%
answer_1 = None
check(1, answer_1, sum(p.size for p in mlp(784, 100, 10).parameters().values()))

# %% [markdown]
# **2.** *Momentum.* Each step moves by `lr * v`, and `v = 0.9 * v + g`, starting at 0. The gradient is 1 three times in a row, `lr` is
# 0.1. How far has the weight moved?

# %%
w = ad.Tensor(0.0, name="w")
momentum = optim.SGD({"w": w}, lr=0.1, momentum=0.9)
for _ in range(3):
    w.zero_grad()
    (w * 1.0).backward()
    momentum.step()

answer_2 = None
check(2, answer_2, -w.data)

# %% [markdown]
# **3.** One Newton step on $E = w^4$ from $w = 1$. Where does it lead? (Newton is fast only where the bottom is curved like a parabola.)

# %%
quartic = lambda w: w**4
truth_3 = 1 - ad.grad(quartic)(1.0) / ad.grad(ad.grad(quartic))(1.0)

answer_3 = None
check(3, answer_3, truth_3)

# %% [markdown]
# **4.** A "network" that says 0 to every digit: what is its accuracy, as a share between 0 and 1, if 178 of the 1,797 digits are zeros? And
# what would be said of a network with 10 % accuracy?

# %%
answer_4 = None
check(4, answer_4, np.mean(digits.t == 0))

# %% [markdown]
# **5.** Adam's first step. It divides a running mean of the gradient by the root of a running mean of its square, both corrected for
# starting at 0. On the *first* step these are $g$ and $\sqrt{g^2}$. How far does a weight move with `lr` = 0.01 if $g = 1000$? If $g =
# 0.001$? Give both as a list.

# %%
steps_5 = []
for g in (1000.0, 0.001):
    w = ad.Tensor(0.0, name="w")
    adam = optim.Adam({"w": w}, lr=0.01)
    (w * g).backward()
    adam.step()
    steps_5.append(-w.data.item())

answer_5 = None
check(5, answer_5, steps_5)

# %% [markdown]
# ### Solutions
#
# **1.** $784 \cdot 100 + 100 + 100 \cdot 10 + 10$. **2.** $v$ is 1, 1.9, 2.71. **3.** $1 - \frac{4}{12}$. **4.** Nearly 10 %, so 10 % is
# what a network has that has learnt nothing. **5.** 0.01 both times: the first step does not depend on the size of the gradient at all.

# %%
check(1, 784 * 100 + 100 + 100 * 10 + 10, sum(p.size for p in mlp(784, 100, 10).parameters().values()))
check(2, 0.1 * (1 + 1.9 + 2.71), 0.561)
check(3, 2 / 3, truth_3)
check(4, 178 / 1797, np.mean(digits.t == 0))
check(5, [0.01, 0.01], steps_5)

# %% [markdown]
# Next: [for teachers](09_for_teachers.ipynb).
