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
# # 2. The engine in one sitting
#
# What is inside PyTorch, JAX or this project, once you take away the speed? About sixty lines. You build them here, from nothing, and
# fall into the four holes that everybody falls into on the way.
#
# When you are through, you will be able to
#
# - write an automatic differentiation engine on one page, and explain every line of it;
# - say why backward needs an *order*, with the smallest graph on which a careless engine gives 6 or 8 instead of 4;
# - say why gradients are added (`+=`) and when they have to be set back to zero;
# - recognise a stale graph, and know what goes wrong silently if nobody watches for it.
#
# You need some Python, and the chain rule from [notebook 1](01_one_neuron.ipynb): *rates along a chain multiply, rates over several
# ways add up.*

# %%
import math

from lesson import check, refused, show

import autodiff as ad

# %% [markdown]
# (`show` prints a number and stops the notebook unless it is the expected one, `refused` does so with an error that must come;
# `check` judges your answers at the end.)
#
# ## A number that remembers
#
# To walk back, we have to know how each number was made. So a number keeps its operands, and beside each operand how fast it moves
# the result: the *local derivative*. For a sum these are 1 and 1, for a product the other factor.

# %%


class Number:
    """A number that remembers its operands and how fast each of them moves it."""

    def __init__(self, data, args=(), slopes=()):
        self.data, self.args, self.slopes = data, args, slopes
        self.grad = 0.0

    def __add__(self, other):
        return Number(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Number(self.data * other.data, (self, other), (other.data, self.data))


x, y = Number(3.0), Number(4.0)
p = x * y
show("x * y", p.data, 12)
show("slope of x", p.slopes[0], 4)
show("slope of y", p.slopes[1], 3)

# %% [markdown]
# That is the whole *recording*. Nothing clever happens while you compute; each result just writes down two things.
#
# ## First hole: a way at a time
#
# Now backward. The most direct idea: hand the derivative to each operand, multiplied by the slope; each operand hands it on in the
# same way. Every way from the end to a start is walked once, and the results add up. That is exactly what the chain rule says.


# %%
def by_ways(node, upstream):
    """Walk every way back; returns how many steps it took."""
    node.grad += upstream
    return 1 + sum(by_ways(arg, upstream * slope) for arg, slope in zip(node.args, node.slopes, strict=True))


a = Number(1.0)
b = a + a
c = b + b
steps = by_ways(c, 1.0)
show("a.grad", a.grad, 4)
show("steps", steps, 7)

# %% [markdown]
# Right: $c = 4a$, so the derivative is 4. But the small graph of three numbers took 7 steps.
#
# **Predict:** double twenty times instead of twice. How many steps?

# %%
end = Number(1.0)
for _ in range(16):  # not twenty: your time is dear
    end = end + end
show("16 times", by_ways(end, 1.0), 2**17 - 1)

# %% [markdown]
# With 16 doublings 131,071 steps; with 20 it would be two million, with 100 more than the universe has time for. The number of *ways*
# doubles with each level, while the graph grows by one. An engine must visit each number **once**, with everything it is going to get
# already added up.
#
# ## Second hole: the order
#
# So let each node *speak* to its operands: "here is your share of what I got." Two spellings come to mind first. In one, a node
# speaks to an operand and at once sends it off to speak further.


# %%
def eager(node):
    """Speak to one operand, let it speak, then turn to the next. WRONG."""
    for arg, slope in zip(node.args, node.slopes, strict=True):
        arg.grad += slope * node.grad
        eager(arg)


# %% [markdown]
# In the other, it speaks to all of its operands first and sends them off afterwards.


# %%
def patient(node):
    """Speak to all operands, then let each of them speak. WRONG."""
    for arg, slope in zip(node.args, node.slopes, strict=True):
        arg.grad += slope * node.grad
    for arg in node.args:
        patient(arg)


# %% [markdown]
# **Predict:** the truth for $b = a + a$, $c = b + b$ is 4. What do these two say? Take the pencil; the graph has three numbers.

# %%


def gradient_of_a(backward):
    """What a way of walking back says about c = (a + a) + (a + a)."""
    a = Number(1.0)
    b = a + a
    c = b + b
    c.grad = 1.0
    backward(c)
    return a.grad


show("eager", gradient_of_a(eager), 6)
show("patient", gradient_of_a(patient), 8)

# %% [markdown]
# Both wrong, and no error anywhere. Here is what happened, with `eager`:
#
# 1. $c$ tells $b$: 1. Now $b$ has 1.
# 2. $b$ tells $a$: 1 and 1. Now $a$ has 2.
# 3. $c$ tells $b$ again, since $b$ is both of its operands: 1. Now $b$ has 2.
# 4. $b$ speaks a second time, and repeats what it already said: 2 and 2. Now $a$ has 6.
#
# $b$ spoke **before it had heard everything**. The cure is one sentence: *a node speaks only after everyone who uses it has spoken.*
# Then once is enough.
#
# How do we find such an order? Look at how numbers are born. An operand exists before the result that uses it. So the order of
# birth, backwards, is an order in which every user comes before what it uses. It is called a *topological* order; and since births
# are counted anyway, it costs one sort.

# %%
births = 0


class Number:
    """The same with a birthday."""

    def __init__(self, data, args=(), slopes=()):
        global births
        births += 1
        self.birth = births
        self.data, self.args, self.slopes = data, args, slopes
        self.grad = 0.0

    def __add__(self, other):
        return Number(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Number(self.data * other.data, (self, other), (other.data, self.data))


def in_order(root):
    """All numbers that the root was made from, and the root, oldest first."""
    found, waiting = {root.birth: root}, [root]
    while waiting:
        for arg in waiting.pop().args:
            if arg.birth not in found:
                found[arg.birth] = arg
                waiting.append(arg)
    return [found[birth] for birth in sorted(found)]


def ordered(root):
    """Every node speaks once, the youngest first. RIGHT."""
    for node in reversed(in_order(root)):
        for arg, slope in zip(node.args, node.slopes, strict=True):
            arg.grad += slope * node.grad


show("ordered", gradient_of_a(ordered), 4)

# %% [markdown]
# And it takes as many turns as there are numbers:

# %%
end = Number(1.0)
for _ in range(100):
    end = end + end
show("numbers", len(in_order(end)), 101)

# %% [markdown]
# There is no recursion in it either, which Python would stop at a depth of about 1000: `waiting` is a plain list.
#
# ## Third hole: `=` or `+=`
#
# Beginners often write `arg.grad = slope * node.grad`. On a chain that works. **Predict:** on $y = x + x$ it gives ...

# %%


def forgetful(root):
    """= in the place of +=. WRONG."""
    for node in reversed(in_order(root)):
        for arg, slope in zip(node.args, node.slopes, strict=True):
            arg.grad = slope * node.grad


x = Number(5.0)
y = x + x
y.grad = 1.0
forgetful(y)
show("with =", x.grad, 1)

x.grad = 0.0
ordered(y)
show("with +=", x.grad, 2)

# %% [markdown]
# $y = 2x$, so 2 is right. The second share overwrote the first. Whoever is used twice is paid twice: that is the other half of the
# chain rule, and a real network uses every hidden number many times.
#
# `+=` has a price. Run backward twice, and everything is there twice, unless somebody clears it.
#
# **Predict** `x.grad` after another round on the same graph. It holds 2 now, and `y.grad` is 1.

# %%
ordered(y)
show("again", x.grad, 4)

# %% [markdown]
# For the *leaves*, the numbers you made yourself, that is useful: one can add up the gradients of many examples. So PyTorch does it,
# and you have to call `zero_grad()` when you do not want it. For numbers *in between* it is never useful, it is a trap: what is left
# over in them from the first round is handed down again in the second. micrograd has this trap. The truth for $(2x)^2$ at $x = 1.5$
# is $8x = 12$; a second call ought to add another 12.

# %%


def leftovers(root):
    """What micrograd does: only the root is set afresh."""
    root.grad = 1.0
    ordered(root)


x = Number(1.5)
z = x + x
y = z * z
leftovers(y)
show("first", x.grad, 12)
leftovers(y)
show("second", x.grad, 36)  # 24 would be 12 + 12

# %% [markdown]
# The cure: numbers in between start each round at zero, leaves keep what they have. Our engine does so.

# %%
x = ad.Value(1.5)
z = x + x
y = z * z
y.backward()
show("first", x.grad, 12)
y.backward()
show("second", x.grad, 24)
x.zero_grad()
y.backward()
show("cleared", x.grad, 12)

# %% [markdown]
# ## The whole engine
#
# Here it is on one page, with everything learned so far. There is nothing in it that you have not seen; only more operations. Each
# one is a line: what it computes, and its slopes.

# %%


class Number:
    """A number that remembers how it was made."""

    births = 0

    def __init__(self, data, args=(), slopes=()):
        Number.births += 1
        self.birth = Number.births
        self.data, self.args, self.slopes = data, args, slopes
        self.grad = 0.0

    def __add__(self, other):
        other = number(other)
        return Number(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = number(other)
        return Number(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n):
        return Number(self.data**n, (self,), (n * self.data ** (n - 1),))

    def tanh(self):
        t = math.tanh(self.data)
        return Number(t, (self,), (1 - t * t,))

    def exp(self):
        e = math.exp(self.data)
        return Number(e, (self,), (e,))

    def relu(self):
        return Number(max(0.0, self.data), (self,), (1.0 if self.data > 0 else 0.0,))

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -number(other)

    def __truediv__(self, other):
        return self * number(other) ** -1

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        nodes = in_order(self)
        for node in nodes:
            if node.args:
                node.grad = 0.0
        self.grad = 1.0
        for node in reversed(nodes):
            for arg, slope in zip(node.args, node.slopes, strict=True):
                arg.grad += slope * node.grad


def number(x):
    """A plain number as one that remembers."""
    return x if isinstance(x, Number) else Number(x)


# %% [markdown]
# With `in_order` above, about sixty lines. Is it any good? The same program on your engine and on ours: a formula that uses every
# operation, and its inputs several times.


# %%
def program(a, b):
    """Some formula; it does not know what kind of number it runs on."""
    c = a + b
    d = a * b + b**3
    e = (c - d).relu() + (a * b).exp() / 10
    f = (e * 0.1).tanh() - c * 2
    return f / (b * b + 1)


mine = [Number(2.0), Number(-1.0)]
out = program(*mine)
out.backward()

ours = [ad.Value(2.0), ad.Value(-1.0)]
out_of_ours = program(*ours)
out_of_ours.backward()

show("value", out.data, -0.8094)
show("da, mine", mine[0].grad, -0.9151)
show("da, ours", ours[0].grad, -0.9151)
show("db, mine", mine[1].grad, -1.9792)
show("db, ours", ours[1].grad, -1.9792)

# %% [markdown]
# The same, and not only in four digits:

# %%
for m, o in zip(mine, ours, strict=True):
    assert abs(m.grad - o.grad) <= 4 * math.ulp(o.grad)
print("equal, up to the last bits")

# %% [markdown]
# ## Fourth hole: staleness
#
# A graph is a record of a computation that *has happened*. If you change a leaf afterwards, results and slopes in the graph are
# still those of before. That is easy to forget in a training loop.
#
# $y = x^2$ at $x = 3$ has slope 6. Change $x$ to 10 and ask again. **Predict:** what does your engine say, and what ought it to say?

# %%
x = Number(3.0)
y = x**2
x.data = 10.0
y.backward()
show("y", y.data, 9)
show("x.grad", x.grad, 6)

# %% [markdown]
# $x$ is 10 and the answer is 6, which is wrong for $x = 10$, and nobody said a word. It is right for a point at which you no longer
# are. There is only one good answer here, to refuse:

# %%
x = ad.Value(3.0, name="x")
y = (x**2).named("y")
x.data = 10.0
refused(ad.StaleGraph, y.backward)

# %% [markdown]
# How does it know? With birthdays. Assigning `.data` gives a leaf a new stamp from the same counter; a leaf with a stamp younger than
# the results made from it is a contradiction. Checking that costs one comparison for each node.
#
# Compute again, and all is well:

# %%
y = x**2
y.backward()
show("x.grad", x.grad, 20)

# %% [markdown]
# ## What the sixty lines do not have
#
# Read on in the real thing; it is not much harder.
#
# - **Rules that are data.** In `autodiff/ops/` each operation is one record, and the *same* rule runs on numbers, on arrays, on nodes
#   (which gives derivatives of derivatives) and on symbols (which gives formulas). You wrote `1 - t * t`; there it is:

# %%
tanh = ad.TABLE["tanh"]
show("value", tanh.forward(math.log(2)), 0.6)
show("slope", tanh.partials[0](0.6, math.log(2)), 0.64)

# %% [markdown]
# - **Arrays.** One node for a whole matrix in the place of a thousand for its entries: [notebook 5](05_why_the_transpose.ipynb).
# - **Derivatives of derivatives.** With `record=True` the walk back is recorded as well:

# %%
x = ad.Value(5.0, name="x")
y = x**3
(slope,) = ad.gradient(y, [x], record=True)
show("3 x²", slope, 75)
show("6 x", ad.gradient(slope, x), 30)

# %% [markdown]
# - **Pictures**, of the graph on which all of this started:

# %%
a = ad.Value(1.0, name="a")
b = (a + a).named("b")
c = (b + b).named("c")
c.backward()
ad.draw(c, derivatives=True)

# %% [markdown]
# ## Your turn
#
# Put your answer in the place of `None`. Solutions are at the end.
#
# **1.** Double three times: $b = a + a$, $c = b + b$, $d = c + c$. The truth is 8. What does `eager` say? (Pencil first: what does
# $b$ say each time it speaks?)

# %%


def three_doublings(backward):
    """What a way of walking back says about 8 a."""
    a = Number(1.0)
    d = a + a
    for _ in range(2):
        d = d + d
    d.grad = 1.0
    backward(d)
    return a.grad


answer_1 = None
check(1, answer_1, three_doublings(eager))

# %% [markdown]
# **2.** Give `Number` a logarithm: write a function that takes a Number and returns one. (`math.log`, and the slope of $\log x$ is
# $1/x$.)

# %%
log_2 = None  # def log_2(x): return Number(...)


def test_of_log(log):
    """The derivative of x log x at x = 4, by a logarithm of yours."""
    x = Number(4.0)
    (x * log(x)).backward()
    return x.grad


check(2, log_2 and test_of_log(log_2), math.log(4) + 1)

# %% [markdown]
# **3.** $y = x \cdot x + x$ at $x = 7$. `x` is used three times. Which three shares does it get, in any order? Give them as a list.

# %%
x = Number(7.0)
square = x * x
shares_3 = [*square.slopes, *(square + x).slopes[1:]]

answer_3 = None
check(3, answer_3, shares_3, any_order=True)

# %% [markdown]
# **4.** One round of a training loop that somebody wrote without `zero_grad`: the leaf starts with `grad = 0`, the true gradient is 2
# in every round and the step is 0.1. By how much has the leaf moved after three rounds? (It should have been $3 \cdot 0.2$.)

# %%
w = ad.Value(0.0)
for _ in range(3):
    (w * 2).backward()
    w.data -= 0.1 * w.grad

answer_4 = None
check(4, answer_4, -w.data)

# %% [markdown]
# ### Solutions
#
# **1.** $b$ speaks four times, when it has 1, 2, 4 and 6, and hands $a$ twice that: $2 (1 + 2 + 4 + 6) = 26$. **3.** From the product the
# other factor, twice, and from the sum 1. **4.** $0.1 \cdot (2 + 4 + 6) = 1.2$: twice too far
# already, and it gets worse each round.

# %%
check(1, 2 * (1 + 2 + 4 + 6), three_doublings(eager))


def log_2(x):
    """The logarithm."""
    return Number(math.log(x.data), (x,), (1 / x.data,))


check(2, test_of_log(log_2), math.log(4) + 1)
check(3, [7, 7, 1], shares_3, any_order=True)
check(4, 0.1 * (2 + 4 + 6), -w.data)

# %% [markdown]
# Next: [the exercise](03_the_exercise.ipynb), a whole network with seven derivations, and two lines in it that are wrong.
