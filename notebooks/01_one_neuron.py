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
# # 1. One neuron by hand
#
# A neural network learns by asking one question over and over: *if I turn this knob a little, how does the error move?* The answer
# is a derivative, and *backpropagation* is a cheap way to get all of them at once. In this notebook you do it yourself, for one
# neuron with five knobs.
#
# When you are through, you will be able to
#
# - find any derivative by the crudest way there is, by bumping a number and looking;
# - find the same numbers with the chain rule and a pencil;
# - read the picture of a computation with its derivatives, and say where each number in it comes from;
# - say what `backward()` does, because you will have done it before the computer does.
#
# You need to know what a function is. A pencil helps: the numbers are chosen so that you can redo all of them. Where a line says
# **Predict**, stop and write down your guess before you run the next cell. That is where the learning is.

# %%
import math

from lesson import check, refused, show

import autodiff as ad

# %% [markdown]
# (`show` prints a number *and* insists on it: had the computer found another number than the one given by hand, this page would
# not exist. `refused` prints an error that must come, and `check` judges your answers at the end.)
#
# ## The neuron
#
# A neuron has inputs, here $x_1$ and $x_2$. It multiplies each by a *weight*, adds a *bias* $b$, and squashes the sum between $-1$
# and $1$ with a function called $\tanh$:
#
# $$ n = x_1 w_1 + x_2 w_2 + b \qquad\qquad o = \tanh(n) $$
#
# We want the output to be a *target* of 1. How far off are we? The *loss* says it, the square of the distance:
#
# $$ L = (o - 1)^2 $$
#
# The bias looks odd, and is chosen on purpose: it makes $n = \log 2$, and $\tanh(\log 2) = \frac{2 - 1/2}{2 + 1/2}$.
#
# **Predict:** what are $o$ and $L$?

# %%
x1, x2 = 2.0, 0.5
w1, w2 = -3.0, 4.0
b = 4 + math.log(2)


def loss(x1, x2, w1, w2, b):
    """The loss of the neuron, in plain Python."""
    n = x1 * w1 + x2 * w2 + b
    o = math.tanh(n)
    return (o - 1) ** 2


show("o", math.tanh(x1 * w1 + x2 * w2 + b), 0.6)
show("L", loss(x1, x2, w1, w2, b), 0.16)

# %% [markdown]
# ## Bump it
#
# Take the bias and push it up by a very little, $h = 0.001$. The loss moves. How much does it move *for each unit of push*? That
# ratio is the slope, or derivative, of $L$ with respect to $b$, written $\partial L / \partial b$.
#
# **Predict** only the sign: a larger $b$ makes $o$ larger, nearer to the target of 1. So the loss goes ...

# %%
h = 0.001
slope_b = (loss(x1, x2, w1, w2, b + h) - loss(x1, x2, w1, w2, b)) / h
show("slope of b", slope_b, -0.5113)

# %% [markdown]
# Down, by about half a unit for each unit of push. Almost: while we push, the slope itself changes a little. Going one step up *and*
# one step down and dividing by $2h$ is fairer to both sides, and far more exact for the same $h$:

# %%
slope_b = (loss(x1, x2, w1, w2, b + h) - loss(x1, x2, w1, w2, b - h)) / (2 * h)
show("slope of b", slope_b, -0.5120)

# %% [markdown]
# Now all five. One bump after another, each time the whole neuron is computed twice.
#
# **Predict:** $x_1 = 2$ stands before $w_1$. If $b$ has a slope of $-0.512$, what is the slope of $w_1$?

# %%
point = {"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b}


def bumped(name, step):
    """The loss with one number moved by `step`."""
    return loss(**{**point, name: point[name] + step})


slopes = {name: (bumped(name, h) - bumped(name, -h)) / (2 * h) for name in point}
show("x1", slopes["x1"], 1.5360)
show("x2", slopes["x2"], -2.0480)
show("w1", slopes["w1"], -1.0240)
show("w2", slopes["w2"], -0.2560)
show("b", slopes["b"], -0.5120)

# %% [markdown]
# That is all a derivative is: **how much the end moves for each unit of push at the start.** The trouble with bumping is the price.
# Five numbers need ten runs. A net with a million weights would need two million runs for a single step of learning.
#
# ## The small steps
#
# The way out: do not look at the neuron as one thing. Look at each small step and ask what *it* does to a push. There are only four
# kinds of steps here, and each has a slope that you can find without the rest:
#
# | step | how fast it moves |
# |---|---|
# | $c = a + b$ | push $a$ by 1, and $c$ moves by $1$; the same for $b$ |
# | $c = a \cdot b$ | push $a$ by 1, and $c$ moves by $b$; push $b$ by 1, and $c$ moves by $a$: *the other factor* |
# | $o = \tanh n$ | $1 - o^2$ |
# | $L = d^2$ | $2 d$ |
#
# Do not believe a table. Bump the third line, at our $n$.
#
# **Predict:** $o = 0.6$, so $1 - o^2$ is ...

# %%
n = x1 * w1 + x2 * w2 + b
show("tanh", (math.tanh(n + h) - math.tanh(n - h)) / (2 * h), 0.64)
show("square", ((0.6 - 1 + h) ** 2 - (0.6 - 1 - h) ** 2) / (2 * h), 2 * (0.6 - 1))

# %% [markdown]
# ## The chain rule
#
# Suppose a bicycle goes twice as fast as a walker, and a car four times as fast as the bicycle. Then the car goes $4 \cdot 2 = 8$
# times as fast as the walker. **Rates along a chain multiply.** That is the chain rule; there is nothing else to it.
#
# So we walk *backward*, from the loss to the knobs, and at each step multiply by what that step does. Start with $\partial L/\partial
# L = 1$: the loss moves exactly as much as itself.
#
# **Predict** each line with your pencil before you look at it.

# %%
o = 0.6
dL_dL = 1.0
dL_do = dL_dL * 2 * (o - 1)  # L = (o - 1)²
dL_dn = dL_do * (1 - o**2)  # o = tanh(n)
show("dL/do", dL_do, -0.8)
show("dL/dn", dL_dn, -0.512)

# %% [markdown]
# $n$ is a sum of three things. A sum hands the push on as it is, so $x_1 w_1$, $x_2 w_2$ and $b$ each get $-0.512$. The two products
# hand it on multiplied by the other factor.

# %%
dL_db = dL_dn
dL_dw1, dL_dx1 = dL_dn * x1, dL_dn * w1
dL_dw2, dL_dx2 = dL_dn * x2, dL_dn * w2
show("dL/db", dL_db, -0.512)
show("dL/dw1", dL_dw1, -1.024)
show("dL/dx1", dL_dx1, 1.536)
show("dL/dw2", dL_dw2, -0.256)
show("dL/dx2", dL_dx2, -2.048)

# %% [markdown]
# The same five numbers as by bumping. But look at the price: **one** walk backward, for all of them. The walk costs about as much as
# the computation itself, for five knobs as for a million. That is why networks can learn at all.
#
# ## The graph
#
# A computer can take this walk if it remembers how each number was made. That is what `ad.Value` is: a number that remembers. You
# compute as always, and it keeps the graph.

# %%
x1, x2 = ad.Value(2.0, name="x1"), ad.Value(0.5, name="x2")
w1, w2 = ad.Value(-3.0, name="w1"), ad.Value(4.0, name="w2")
b = ad.Value(4 + math.log(2), name="b")

p1, p2 = (x1 * w1).named("p1"), (x2 * w2).named("p2")
s = (p1 + p2).named("s")
n = (s + b).named("n")
o = n.tanh().named("o")
d = (o - 1).named("d")
L = (d**2).named("L")

ad.draw(L, derivatives=True, rankdir="LR")

# %% [markdown]
# (The products are called $p_1$ and $p_2$, their sum $s$, and $d = o - 1$ is the distance to the target.) Read it from left to right:
# that is the computation, and each box shows its value. On each line stands what you found in the table above: how fast that step moves,
# as a formula and as a number. Under each value there is room for the derivative of $L$, and nothing has been computed yet.
#
# ## Watching backward
#
# Now the walk. Press play, or use the arrows, and compare each step with what you wrote down. (Where this page does not allow it to
# play, as on GitHub, you see the still picture at the end of this section.)

# %%
ad.draw(L).viewer()

# %% [markdown]
# And this is all you have to write in Python. Afterwards each number knows its derivative; it is called `.grad`.

# %%
L.backward()
show("o.grad", o.grad, -0.8)
show("n.grad", n.grad, -0.512)
show("b.grad", b.grad, -0.512)
show("w1.grad", w1.grad, -1.024)
show("x1.grad", x1.grad, 1.536)
show("w2.grad", w2.grad, -0.256)
show("x2.grad", x2.grad, -2.048)

# %%
ad.draw(L, derivatives=True, rankdir="LR")

# %% [markdown]
# The picture is now complete. Pick any box and follow the lines from it to $L$: the product of the numbers on the lines is the
# derivative in the box. For $w_1$: $2 \cdot 1 \cdot 1 \cdot 0.64 \cdot 1 \cdot (-0.8) = -1.024$.
#
# ## Learning is one line
#
# The derivatives say which way is up. We want *down*, so each weight takes a small step against its derivative. (Not the inputs:
# they are given. Only $w_1$, $w_2$ and $b$ are ours to turn.)
#
# **Predict:** the loss was 0.16. After a step of size 0.1 it is larger or smaller?

# %%
for knob in (w1, w2, b):
    knob.data -= 0.1 * knob.grad

show("new w1", w1, -3 + 0.1024)
show("new L", loss(2.0, 0.5, w1.data, w2.data, b.data), 0.0650)

# %% [markdown]
# Less than half of what it was. Do that a thousand times, with a few more neurons, and you have trained a network; nothing is added
# but numbers. `L` itself still shows the old loss, since it was computed with the old weights. The engine knows that, and will not
# take a derivative of it any more:

# %%
refused(ad.StaleGraph, L.backward)

# %% [markdown]
# ## Your turn
#
# Put your answer in the place of `None` and run the cell. Use the pencil first. Solutions are at the end.
#
# **1.** Back to the old weights, but the target is now $-1$: the loss is $(o + 1)^2$ with $o = 0.6$. What is $\partial L/\partial b$?

# %%
b1 = ad.Value(4 + math.log(2))
L1 = ((2.0 * -3.0 + 0.5 * 4.0 + b1).tanh() + 1) ** 2

answer_1 = None
check(1, answer_1, ad.gradient(L1, b1))

# %% [markdown]
# **2.** A neuron with a *sigmoid* in place of $\tanh$: $s = 1/(1 + e^{-n})$. Its slope is $s (1 - s)$. With $n = \log 3$ it gives
# $s = \frac34$. The loss is $(s - 1)^2$. What is $\partial L/\partial n$, as a fraction?

# %%
n2 = ad.Value(math.log(3))
L2 = (1 / (1 + ad.exp(-n2)) - 1) ** 2

answer_2 = None
check(2, answer_2, ad.gradient(L2, n2))

# %% [markdown]
# **3.** A *relu* neuron gives $n$ if $n > 0$, and $0$ otherwise. Ours has $n = -1$. The target is 1, so the loss is large. What is
# $\partial L/\partial n$, and can this neuron learn from this example?

# %%
n3 = ad.Value(-1.0)
L3 = (n3.relu() - 1) ** 2

answer_3 = None
check(3, answer_3, ad.gradient(L3, n3))

# %% [markdown]
# **4.** A number that is used twice: $L = c \cdot c + 3c$ at $c = 5$. There are three ways from $c$ to $L$; pushes along several ways
# *add up*. What is $\partial L/\partial c$?

# %%
c4 = ad.Value(5.0)
L4 = c4 * c4 + 3 * c4

answer_4 = None
check(4, answer_4, ad.gradient(L4, c4))

# %% [markdown]
# **5.** Why not make $h$ tiny, to be exact? Bump $b$ in the old neuron with $h = 10^{-13}$ and compare with $-0.512$. Which $h$ of
# $10^{-1}, 10^{-5}, 10^{-13}$ comes nearest?


# %%
def error_of(h):
    """How far the bumped slope of b is off, for a step h."""
    old = (2.0, 0.5, -3.0, 4.0)
    bias = 4 + math.log(2)
    return abs((loss(*old, bias + h) - loss(*old, bias - h)) / (2 * h) + 0.512)


answer_5 = None
check(5, answer_5, min([1e-1, 1e-5, 1e-13], key=error_of), digits=9)

# %% [markdown]
# ### Solutions
#
# **1.** $2 (0.6 + 1) \cdot 0.64 = 2.048$. **2.** $2 \cdot (-\frac14) \cdot \frac34 \cdot \frac14 = -\frac{3}{32}$. **3.** 0: whichever
# way you push, relu stays 0. No, not from this example: a step moves nothing. (A neuron that is off for *every* example is called
# *dead*.) **4.** $5 + 5 + 3 = 13$. **5.** $10^{-5}$: a large step misses the bend of the curve, a tiny one drowns in rounding, since 16
# digits of two nearly equal losses cancel.

# %%
check(1, 2 * (0.6 + 1) * 0.64, ad.gradient(L1, b1))
check(2, -3 / 32, ad.gradient(L2, n2))
check(3, 0, ad.gradient(L3, n3))
show("n, after a step", n3.data - 0.1 * ad.gradient(L3, n3), -1)
check(4, 13, ad.gradient(L4, c4))
check(5, 1e-5, min([1e-1, 1e-5, 1e-13], key=error_of), digits=9)

# %% [markdown]
# Next: [the engine in one sitting](02_the_engine.ipynb), where you build `Value` and `backward` from nothing.
