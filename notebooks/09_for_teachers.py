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
# # 9. For teachers
#
# Forty students hand in a derivation. You know the grader's choice: compare with the answer key, and write "wrong" under forty different
# mistakes; or find out what each of them did, and lose the weekend. Here is a third way.
#
# When you are through, you will be able to
#
# - make an exercise with friendly numbers, a different one for each student if you like, with its answer key;
# - see beforehand how the common mistakes will look, and that they can be told apart in the rounded answers;
# - have one answer judged: the first wrong step, what was done, and which later steps follow correctly from it;
# - grade a folder, with a report for each student, and one line on what the class has not understood.
#
# Your students need nothing of this: they hand in numbers, or formulas as they write them.

# %%
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from IPython.display import Math, display
from lesson import check, holds, show

import autodiff as ad
from nets import exercise

# %% [markdown]
# (`show` prints a number and stops the notebook unless it is the expected one; `check` judges your answers at the end.)
#
# ## An exercise
#
# The network is that of [notebook 3](03_the_exercise.ipynb): two inputs, sigmoids, softmax, cross-entropy, one example, no biases.
# `make` draws whole numbers and halves, until it finds some at which each of eight common mistakes shows in the *rounded* answers, in a way
# of its own. (A transpose is none of the eight: with other sizes the shapes give it away, and with two hidden units, as here, $W_1$ is
# square and its transpose fits. `hidden=3` helps.) The same seed gives the same exercise.

# %%
made = exercise.make(seed=1, hidden=2, classes=3, decimals=4)


def typeset(answers, names):
    """Some of the numbers of an exercise, as matrices."""
    parts = []
    for name in names:
        array = np.atleast_2d(answers[name])
        rows = r" \\ ".join(" & ".join(f"{v:g}" for v in row) for row in array)
        symbol = name.removesuffix(" =").replace("1", "_1").replace("2", "_2")
        if "/" in symbol:
            above, below = symbol.split("/")
            symbol = rf"\frac{{\partial {above[1:]}}}{{\partial {below[1:]}}}"
        matrix = rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}"
        parts.append(f"{symbol} = {matrix if array.size > 1 else rows}")
    return Math(r" \qquad ".join(parts))


typeset(made.data, ["x", "t", "W1", "W2"])

# %% [markdown]
# That is the sheet. *Compute all values of the network, and the derivatives of $E$ by $z_2, y_1, W_2, z_1, W_1$, to four decimals.*
#
# **Predict** $\mathbf z_1$, and with $\sigma(0) = \frac12$ and $\sigma(2) = 0.8808$ also $\mathbf y_1$.

# %%
show("z1", made.key["z1 ="], [[0], [2]])
show("y1", made.key["y1 ="], [[0.5], [0.8808]])

# %% [markdown]
# The answer key, forward and backward:

# %%
typeset(made.key, ["z1 =", "y1 =", "z2 =", "y2 =", "E ="])

# %%
typeset(made.key, ["dE/dz2", "dE/dy1", "dE/dW2"])

# %%
typeset(made.key, ["dE/dz1", "dE/dW1"])

# %% [markdown]
# Is the key right? A key with a mistake in it costs a teacher more than anything else. `run()` records the network on these numbers, and
# the checker compares the key with the graph. It sees that the key is rounded, and judges it at four decimals.

# %%
E = made.run().E
report = ad.check(E, made.key)
report.require()
show("right", sum(v.status == "right" for v in report.verdicts), 10)

# %% [markdown]
# ## What will go wrong
#
# For each of the common mistakes, `made.wrong` has the answers of a student who makes that one and is careful otherwise. **Predict** which
# of them change $\partial E/\partial W_2$.

# %%
changed = []
for name, answers in made.wrong.items():
    changed.append(not np.array_equal(answers["dE/dW2"], made.key["dE/dW2"]))
    print(f"{name:60} {'changes dE/dW2' if changed[-1] else ''}")
show("of 8 change it", sum(changed), 4)

# %% [markdown]
# The three at the output, and the last one; the others lie behind $W_2$, seen from the loss. Now let the checker name all eight from the
# rounded numbers alone. It does not know how they were made.

# %%
for name, answers in made.wrong.items():
    first = ad.check(E, answers).first_wrong
    print(f"made:   {name}\nnamed:  {first.label}: {first.sentence}\n")

mistakes = [ad.check(E, answers).first_wrong.mistake.value for answers in made.wrong.values()]
assert mistakes == [
    "sign",
    "softmax_diagonal",
    "entrywise_factor",
    "derivative_missing",
    "derivative_elsewhere",
    "derivative_wrong",
    "derivative_wrong",
    "other_value",
]

# %% [markdown]
# ## One answer
#
# Ben has forgotten the sigmoid's derivative. So his $\partial E/\partial \mathbf z_1$ is wrong; and $\partial E/\partial W_1$, which he
# computes from it, is a wrong number as well, but a *right step*.
#
# **Predict:** how many points of the six below would you give him?

# %%
ben = made.wrong["sigmoid's derivative forgotten"]
points = {"dE/dz2": 2, "dE/dW2": 1, "dE/dz1": 2, "dE/dW1": 1}
report = ad.check(E, ben)
show("points", report.score(points), 4)
display(report)

# %% [markdown]
# The last line of the table is marked *carried forward*: it follows correctly from the mistake before, and earns its point. So a student
# pays once for one mistake. The picture shows where it was made:

# %%
E.backward()
ad.draw(E, report=report, rankdir="TB")

# %% [markdown]
# ## A folder
#
# Now a class of seven, each with a file. An answer is a JSON file of numbers or formulas by name, or a Python file with a function that
# returns them; formulas may be written as on paper.

# %%
room = tempfile.TemporaryDirectory()  # gone when the notebook is closed
folder = Path(room.name)
answers = folder / "answers"
answers.mkdir()


def hand_in(student, claims):
    """Write one student's file."""
    plain = {
        name: claim if isinstance(claim, str) else np.asarray(claim).tolist()
        for name, claim in claims.items()
    }  # fmt: skip
    (answers / f"{student}.json").write_text(json.dumps(plain))


(answers / "gus.py").write_text("while True:\n    pass\n")
hand_in("ada", made.key)
hand_in("ben", ben)
hand_in("cleo", made.wrong["only the diagonal of softmax's Jacobian"])
hand_in("dan", ben)
hand_in("eva", {name: value for name, value in made.key.items() if name != "dE/dW1"})
hand_in(
    "finn",
    {
        "dE/dz2": "y2 - t",
        "dE/dW2": "(y2 - t) y1^T",
        "dE/dz1": "W2 (y2 - t) .* y1 .* (1 - y1)",
        "dE/dW1": "dE/dz1 x^T",
    },
)

# %% [markdown]
# Finn has handed in formulas, with a transpose forgotten. Gus has handed in a program that never ends. The exercise is a small script: it
# records the graph as `E`, and may say what is worth how many points.

# %%
(folder / "sheet.py").write_text(
    f"""
from nets import exercise

E = exercise.make(seed=1, hidden=2, classes=3, decimals=4).run().E
points = {points}
"""
)
arguments = ["grade", "sheet.py", "answers", "-o", "graded", "--time", "10"]
command = [sys.executable, "-m", "autodiff", *arguments]
path = os.pathsep.join([str(Path(ad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
environment = {**os.environ, "PYTHONPATH": path}
done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
assert done.returncode == 0, done.stderr
print(done.stdout)

# %% [markdown]
# (In a terminal: `python -m autodiff grade sheet.py answers/ -o graded`.) Each answer runs in a process of its own, with a limit on time
# and memory, so Gus' program harms nobody. That is a guard against accidents, not against malice: grade answers of people whom you do not
# trust in a container.
#
# The lower half is for you: what the class has not understood, most common first. Each student has a report, as text and as a page; here
# is what stands in Finn's about the line that is wrong.

# %%
reports = folder / "graded"
finn = (reports / "finn.json.txt").read_text()
assert finn.count("✗") == 1 and "transpose W2" in finn
print(finn[finn.index("✗") :].split("✓")[0])

# %% [markdown]
# It shows him the fix, and the smallest numbers at which his formula and the truth differ, so that he can see it himself. And
# `summary.csv` goes into your spreadsheet:

# %%
rows = list(csv.DictReader((reports / "summary.csv").open()))
for row in rows:
    print(f"{row['answer']:10} {row['score']:>2} of {row['of']}")
show("the scores", [float(row["score"]) for row in rows], [6, 4, 4, 4, 5, 4, 0])

# %% [markdown]
# ## To each their own
#
# Copying is easy as long as all have the same numbers. Take the student's number as the seed; the exercises are equally hard, and each has
# its key. **Predict:** will two of a hundred students get the same sheet?

# %%
sheets = [exercise.make(seed=student, decimals=4) for student in range(100)]
numbers = [np.concatenate([array.ravel() for array in sheet.data.values()]) for sheet in sheets]
different = set(map(tuple, numbers))
holds("a hundred students, a hundred sheets", len(different) == 100)

# %% [markdown]
# You are not bound to this network. *Any* recorded graph is an exercise: `ad.check` and `grade` take whatever your course computes, if the
# quantities have names.
#
# ## Your turn
#
# Put your answer in the place of `None`. Solutions are at the end.
#
# **1.** An exercise with 3 hidden units and 4 classes. How many numbers must a student give for $\partial E/\partial W_2$?

# %%
larger = exercise.make(seed=2, hidden=3, classes=4, decimals=4)

answer_1 = None
check(1, answer_1, larger.key["dE/dW2"].size)

# %% [markdown]
# **2.** Hal took $\mathbf z_1$ for $\mathbf y_1$ in $\partial E/\partial W_2$, and is careful otherwise. With `points` as above: how many
# does he get?

# %%
hal = ad.check(E, made.wrong["z1 for y1 in dE/dW2"])

answer_2 = None
check(2, answer_2, hal.score(points))

# %% [markdown]
# **3.** A student rounds to *one* decimal, and hands in $(-0.9, 0.7, 0.2)$ for $\partial E/\partial \mathbf z_2 = (-0.9207, 0.6752,
# 0.2455)$. Which verdict do you expect, "right", "wrong" or "undecided"?

# %%
rounded = ad.check(E, {"dE/dz2": np.array([[-0.9], [0.7], [0.2]])}).verdicts[0].status

answer_3 = None
check(3, answer_3 and answer_3.lower() == rounded, True)

# %% [markdown]
# **4.** Make a sheet of your own for a class, with a seed of your choice, and have the checker confirm its key: put the report in the place
# of `None`.

# %%
answer_4 = None  # ad.check(...)
check(4, answer_4 and answer_4.ok and len(answer_4.verdicts) == 10, True)

# %% [markdown]
# ### Solutions
#
# **1.** As many as $W_2$ has: 4 rows of 3. **2.** He pays for $W_2$, 1 point of 6: no later step is made from it.
# **3.** It is right as far as one can see, and one can see enough: the numbers are large beside a tenth.

# %%
check(1, 4 * 3, larger.key["dE/dW2"].size)
check(2, 6 - 1, hal.score(points))
check(3, rounded == "right", True)
mine = exercise.make(seed=2026, decimals=4)
own = ad.check(mine.run().E, mine.key)
check(4, own.ok and len(own.verdicts) == 10, True)

# %% [markdown]
# Next: [for researchers](10_for_researchers.ipynb).
