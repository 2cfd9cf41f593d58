r"""The exercise: every equation of an answer that was handed in, as claims that can be judged; and more exercises like it.

The answer derives, for the net of two_layer.py with one example and no biases, its seven results.  It is restated
here line by line in its own LaTeX, mistakes included.  Which lines are wrong is nowhere written down: that is for
a checker to find.  This file holds texts and numbers, and imports neither the engine nor its checker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad

from . import closed_form
from .two_layer import Pass, TwoLayer


class Claim(NamedTuple):
    """One equation: its label, its LaTeX `left = right`, what the left side is, and names spelt in a way of its own.

    The label is the number that the answer gives it, "(5)", or the result it belongs to, "4)", and the line of a chain of
    equalities.  The target is written as in `ad.check`: "dE/dz2", "y1 =", "dy1/dz1".
    """

    label: str
    target: str
    text: str
    spellings: Mapping[str, str]


class Derivation(NamedTuple):
    """A chain of equalities: every right side is claimed of the left one."""

    label: str
    target: str
    left: str
    rights: tuple[str, ...]
    spellings: Mapping[str, str] = {"y0": "x"}  # y^{(0)} is the input

    def claims(self) -> Iterator[Claim]:
        """One claim for each line."""
        for k, right in enumerate(self.rights, 1):
            label = f"{self.label} line {k}" if len(self.rights) > 1 else self.label
            yield Claim(label, self.target, f"{self.left} = {right}", self.spellings)


def _d(of: str, by: str) -> str:
    return rf"\frac{{\partial {of}}}{{\partial {by}}}"


_Z1, _Y1, _Z2, _Y2 = r"\mathbf{z}^{(1)}", r"\mathbf{y}^{(1)}", r"\mathbf{z}^{(2)}", r"\mathbf{y}^{(2)}"
_W1, _W2 = r"\mathbf{W}^{(1)}", r"\mathbf{W}^{(2)}"

DERIVATIONS = (
    Derivation(
        "(1)",
        "E =",
        "E",
        (r"\frac{1}{m} \sum_{j=1}^m -\mathbf{t}_j \cdot \log(\mathbf{y}_j)", r"-\mathbf{t}_1 \cdot \log(\mathbf{y}_1)"),
        {"y": "y2", "y1": "y2", "t1": "t"},  # here, and only here, y_j is the net's output for example j
    ),
    Derivation("(2)", "y2 =", r"y_i^{(2)}", (r"\frac{e^{z_i^{(2)}}}{\sum_k e^{z_k^{(2)}}}",)),
    Derivation(
        "(3)",
        "dy2/dz2",
        _d("y_i^{(2)}", "z_i^{(2)}"),
        (
            r"\frac{e^{z_i^{(2)}}}{\sum_k e^{z_k^{(2)}}} - e^{z_i^{(2)}} \frac{e^{z_i^{(2)}}}{(\sum_k e^{z_k^{(2)}})^2}",
            r"y_i^{(2)} - (y_i^{(2)})^2",
        ),
    ),
    Derivation(
        "(4)",
        "dE/dy2",
        _d("E", "y_i^{(2)}"),
        (r"\begin{cases} -\frac{1}{y_i^{(2)}} & \text{when } t_i = 1 \\ 0 & \text{otherwise} \end{cases}",),
    ),
    Derivation(
        "(5)",
        "dE/dz2",
        _d("E", "z_i^{(2)}"),
        (
            rf"{_d('E', 'y_i^{(2)}')} {_d('y_i^{(2)}', 'z_i^{(2)}')}",
            r"\begin{cases} (y_i^{(2)} - 1) & \text{when } t_i = 1 \\ 0 & \text{otherwise} \end{cases}",
        ),
    ),
    Derivation("(6)", "dE/dz2", _d("E", _Z2), (rf"{_d('E', _Y2)} {_d(_Y2, _Z2)}", rf"({_Y2} - \mathbf{{t}})^\top")),
    Derivation(
        "(7)",
        "dE/dy1",
        _d("E", _Y1),
        (rf"{_d('E', _Z2)} {_d(_Z2, _Y1)}", rf"{_d('E', _Z2)} {_W2}", rf"({_Y2} - \mathbf{{t}})^\top {_W2}"),
    ),
    Derivation(
        "4)",
        "dE/dW2",
        _d("E", "w_{uv}^{(2)}"),
        (
            rf"{_d('E', _Z2)} {_d(_Z2, 'w_{uv}^{(2)}')}",
            rf"{_d('E', 'z_u^{(2)}')} y_v^{{(1)}}",
            r"(y_u^{(2)} - t_u) y_v^{(1)}",
        ),
    ),
    Derivation("4) line 4", "dE/dW2", _d("E", _W2), (rf"({_Y2} - \mathbf{{t}}) \mathbf{{y}}^{{(1)\top}}",)),
    Derivation("(8)", "y1 =", _Y1, (rf"\sigma({_Z1})",)),
    Derivation("(9)", "y1 =", r"y_i^{(1)}", (r"\sigma(z_i^{(1)})", r"\frac{1}{1 + e^{z_i^{(1)}}}")),
    Derivation(
        "(10)",
        "dy1/dz1",
        _d("y_i^{(1)}", "z_i^{(1)}"),
        (
            r"\frac{e^{z_i^{(1)}}}{(1 + e^{z_i^{(1)}})^2}",
            r"\frac{1}{1 + e^{z_i^{(1)}}} - \frac{1}{(1 + e^{z_i^{(1)}})^2}",
            r"y_i^{(1)} - (y_i^{(1)})^2",
            r"y_i^{(1)}(1 - y_i^{(1)})",
        ),
    ),
    Derivation("(11)", "dy1/dz1", _d("y_i^{(1)}", "z_j^{(1)}"), (r"0 \text{ When } i \neq j",)),
    Derivation("(12)", "dy1/dz1", _d(_Y1, _Z1), (rf"\text{{diag}}({_Y1} \cdot * (\mathbf{{1}} - {_Y1}))",)),
    Derivation(
        "6)",
        "dE/dz1",
        _d("E", _Z1),
        (
            rf"{_d('E', _Y1)} {_d(_Y1, _Z1)}",
            rf"({_Y2} - \mathbf{{t}})^\top {_W2} \text{{diag}}({_Y1} \cdot * (\mathbf{{1}} - {_Y1}))",
        ),
    ),
    Derivation(
        "7)",
        "dE/dW1",
        _d("E", "w_{uv}^{(1)}"),
        (
            rf"{_d('E', _Z1)} {_d(_Z1, 'w_{uv}^{(1)}')}",
            rf"{_d('E', 'z_u^{(1)}')} y_v^{{(0)}}",
            rf"{_d('E', 'z_u^{(1)}')} x_v",
        ),
    ),
    Derivation("7) line 4", "dE/dW1", _d("E", _W1), (rf"\left({_d('E', _Z1)} \right)^\top \mathbf{{x}}^\top",)),
)

CLAIMS: tuple[Claim, ...] = tuple(claim for derivation in DERIVATIONS for claim in derivation.claims())


# ---------------------------------------------------------------- more like it

Answers = dict[str, Any]


class Forward(NamedTuple):
    """The values of one forward pass, as plain arrays."""

    z1: Any
    y1: Any
    y2: Any
    t: Any


# The three steps of the way back that people get wrong, right; and what they write instead.
_RIGHT: dict[str, Callable[[Forward], Any]] = {
    "error": lambda f: f.y2 - f.t,  # dE/dz2
    "slope": lambda f: f.y1 * (1 - f.y1),  # dy1/dz1, its diagonal
    "input": lambda f: f.y1,  # what W2 multiplies
}
_SLIPS: dict[str, tuple[str, Callable[[Forward], Any]]] = {
    "the sign of the error at the output: t - y2": ("error", lambda f: f.t - f.y2),
    "only the diagonal of softmax's Jacobian": ("error", lambda f: -f.t * (1 - f.y2)),
    "softmax's derivative once too often: (y2 - t) y2 (1 - y2)": ("error", lambda f: (f.y2 - f.t) * f.y2 * (1 - f.y2)),
    "sigmoid's derivative forgotten": ("slope", lambda f: np.ones_like(f.y1)),
    "sigmoid's derivative taken at z1: z1 (1 - z1)": ("slope", lambda f: f.z1 * (1 - f.z1)),
    "tanh's derivative for sigmoid's: 1 - y1^2": ("slope", lambda f: 1 - f.y1**2),
    "a factor of sigmoid's derivative forgotten: y1": ("slope", lambda f: f.y1),
    "z1 for y1 in dE/dW2": ("input", lambda f: f.z1),
}


class Exercise(NamedTuple):
    """Numbers to derive with by hand: the `data`, the `key`, and for each common mistake the answers that it leads to.

    All answers are rounded to `decimals`; the keys say what they are, as `ad.check` takes them: "y1 =", "dE/dW1".
    """

    data: Answers
    key: Answers
    wrong: dict[str, Answers]
    decimals: int

    def run(self) -> Pass:
        """The forward pass on the data, recorded."""
        net = TwoLayer(ad.Tensor(self.data["W1"], name="W1"), ad.Tensor(self.data["W2"], name="W2"))
        return net(self.data["x"], self.data["t"])


def make(seed: int = 0, hidden: int = 2, classes: int = 3, decimals: int = 2) -> Exercise:
    """An exercise for a net of 2 inputs, with whole numbers and halves to begin with; the same for the same arguments.

    The numbers are drawn so that every mistake shows in the rounded answers, each in its own way.  Raises ValueError if
    none are found, as with too few decimals, and for less than 1 hidden unit or 2 classes.

    >>> made = make(seed=7)
    >>> made.data["W1"].tolist(), made.key["dE/dz2"].ravel().tolist()
    ([[1.0, 0.5], [-0.5, 1.0]], [-0.47, 0.4, 0.07])
    """
    if hidden < 1 or classes < 2 or decimals < 1:
        raise ValueError(f"an exercise needs a hidden unit, 2 classes and 1 decimal, not {hidden}, {classes} and {decimals}")
    rng = np.random.default_rng([seed, hidden, classes, decimals])
    for _ in range(1000):
        data = {
            "x": rng.choice([-2.0, -1.0, 1.0, 2.0], (2, 1)),
            "t": np.eye(classes)[:, [rng.integers(classes)]],
            "W1": rng.choice([-1.0, -0.5, 0.5, 1.0], (hidden, 2)),
            "W2": rng.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], (classes, hidden)),
        }
        key = _answers(data, decimals)
        wrong = {name: _answers(data, decimals, {step: rule}) for name, (step, rule) in _SLIPS.items()}
        if _telling([key, *wrong.values()]):
            return Exercise(data, key, wrong, decimals)
    raise ValueError(
        f"no numbers found at which {decimals} decimals tell the mistakes of {hidden} hidden units and {classes} classes apart"
    )


def _answers(data: Answers, decimals: int, slip: Mapping[str, Callable[[Forward], Any]] | None = None) -> Answers:
    """All that is asked for, with the steps of `slip` taken in place of the right ones."""
    z1, y1, z2, y2 = closed_form.forward(data["x"], data["W1"], data["W2"])
    forward = Forward(z1, y1, y2, data["t"])
    step = {name: rule(forward) for name, rule in {**_RIGHT, **(slip or {})}.items()}
    back = data["W2"].T @ step["error"]
    hidden = back * step["slope"]
    found = {"z1 =": z1, "y1 =": y1, "z2 =": z2, "y2 =": y2, "E =": closed_form.E(y2, data["t"])}
    found |= {"dE/dz2": step["error"], "dE/dy1": back, "dE/dW2": step["error"] @ step["input"].T}
    found |= {"dE/dz1": hidden, "dE/dW1": hidden @ data["x"].T}
    return {name: np.round(value, decimals) + 0.0 for name, value in found.items()}  # + 0.0: no minus zero


def _telling(sheets: list[Answers]) -> bool:
    """Do all sheets of answers differ from each other, and does no right answer round to 0?"""
    lines = {tuple(np.concatenate([np.ravel(v) for v in sheet.values()]).tolist()) for sheet in sheets}
    gradients = [v for name, v in sheets[0].items() if name.startswith("dE/")]
    return len(lines) == len(sheets) and all(np.all(v) for v in gradients)
