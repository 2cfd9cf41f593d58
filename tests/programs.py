"""Random programs over the table, for the tests that compare two ways to differentiate the same thing.

A program is a list of steps; each applies one op to numbers made before.  Domains are respected by
construction (the logarithm is of 1 + x**2), so every program is smooth and finite.  `table_programs` draw
from all calls that the ops' samplers make, so that an op added to the table is in them, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import autodiff as ad
from autodiff.ops import Op
from tests.cases import CASES, operands, packed

Step = tuple[str, int, int]

SMOOTH: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: ad.tanh(a) * b,
    "div": lambda a, b: a / (1 + b * b),
    "pow": lambda a, b: (1 + a * a) ** ad.sin(b),
    "neg": lambda a, b: -a,
    "radd": lambda a, b: 2 + a,
    "rsub": lambda a, b: 1.5 - a,
    "rmul": lambda a, b: 0.5 * a,
    "rdiv": lambda a, b: 2 / (2 + ad.cos(a)),
    "rpow": lambda a, b: 2 ** ad.tanh(a),
    "square": lambda a, b: ad.square(ad.tanh(a)),
    "cube": lambda a, b: ad.sin(a) ** 3,
    "sqrt": lambda a, b: ad.sqrt(1 + b * b),
    "exp": lambda a, b: ad.exp(ad.tanh(a)),
    "expm1": lambda a, b: ad.expm1(ad.sin(a)),
    "log": lambda a, b: ad.log(1 + a * a),
    "log1p": lambda a, b: ad.log1p(b * b),
    "sin": lambda a, b: ad.sin(a),
    "cos": lambda a, b: ad.cos(b),
    "tanh": lambda a, b: ad.tanh(a),
    "sigmoid": lambda a, b: ad.sigmoid(a),
    "softplus": lambda a, b: ad.softplus(a),
    "log2": lambda a, b: np.log2(1 + a * a),
    "log10": lambda a, b: np.log10(1 + b * b),
    "exp2": lambda a, b: np.exp2(np.tanh(a)),
    "reciprocal": lambda a, b: np.reciprocal(1 + a * a),
    "tan": lambda a, b: np.tan(np.tanh(a)),
    "arcsin": lambda a, b: np.arcsin(0.9 * np.tanh(a)),
    "arccos": lambda a, b: np.arccos(0.9 * np.tanh(b)),
    "arctan": lambda a, b: np.arctan(a),
    "arctan2": lambda a, b: np.arctan2(a, 1 + b * b),
    "sinh": lambda a, b: np.sinh(np.tanh(a)),
    "cosh": lambda a, b: np.cosh(np.tanh(b)),
    "arcsinh": lambda a, b: np.arcsinh(a),
    "arccosh": lambda a, b: np.arccosh(2 + a * a),
    "arctanh": lambda a, b: np.arctanh(0.9 * np.tanh(a)),
    "hypot": lambda a, b: np.hypot(a, 1 + b * b),
    "logaddexp": lambda a, b: np.logaddexp(a, b),
    "logaddexp2": lambda a, b: np.logaddexp2(a, b),
    "erf": lambda a, b: ad.erf(a),
    "erfc": lambda a, b: ad.erfc(b),
    "gelu": lambda a, b: ad.gelu(a),
    "sinc": lambda a, b: np.sinc(np.tanh(a)),
}
# What differences would not confirm: kinks, jumps, and derivatives that are stopped.
ROUGH: dict[str, Any] = {
    "stop_gradient": lambda a, b: a * ad.stop_gradient(ad.tanh(b)),
    "relu": lambda a, b: ad.relu(a),
    "abs": lambda a, b: abs(a),
    "maximum": lambda a, b: ad.maximum(a, b),
    "minimum": lambda a, b: ad.minimum(a, 0.25),
    "sign": lambda a, b: ad.sign(a) * b,
    "where": lambda a, b: ad.where(a > 0, b, a),
    "clip": lambda a, b: ad.clip(a, -0.5, 0.5),
    "clamp": lambda a, b: ad.clip(a, -0.5, b),
    "fmax": lambda a, b: np.fmax(a, b),
    "fmin": lambda a, b: np.fmin(a, b),
    "floor": lambda a, b: np.floor(a) * b,
    "ceil": lambda a, b: np.ceil(b) * a,
    "trunc": lambda a, b: np.trunc(a) + b,
    "rint": lambda a, b: np.rint(a) * b,
    "mod": lambda a, b: a % (1.5 + ad.tanh(b)),
}
ALL = {**SMOOTH, **ROUGH}


def programs(names: Any = ALL, inputs: int = 3, most: int = 25) -> st.SearchStrategy[list[Step]]:
    place = st.integers(0, inputs + most)
    return st.lists(st.tuples(st.sampled_from(sorted(names)), place, place), min_size=1, max_size=most)


def run(program: list[Step], inputs: Any) -> Any:
    """The sum of the last three things made, so that results fan out as well as in."""
    made = list(inputs)
    for name, i, j in program:
        made.append(ALL[name](made[i % len(made)], made[j % len(made)]))
    return made[-1] + made[-2] * 0.5 + made[-1 - len(made) // 2] * 0.25


def total(program: list[Step], inputs: Any) -> Any:
    """The program on arrays, as a single number."""
    z = run(program, inputs)
    return np.sum(z * np.linspace(0.5, 1.5, int(np.size(z))).reshape(np.shape(z)))


# ---------------------------------------------------------------- over the whole table

Call = tuple[Op, tuple[Any, ...], dict[str, Any]]
CALLS: list[Call] = [call for call in CASES if all(np.size(x) for x in operands(call[0], call[1]))]


def table_programs(calls: list[Call], most: int = 8) -> st.SearchStrategy[list[tuple[Call, int]]]:
    """Calls of the table's samplers, each with a number that says which of the things made before it reads."""
    return st.lists(st.tuples(st.sampled_from(calls), st.integers(0, 1000)), min_size=1, max_size=most)


def run_table(program: list[tuple[Call, int]], inputs: list[Any]) -> Any:
    """A number that depends on everything a program makes.

    Every operand is the sampler's own, moved a little by entries of something made before: so it has the
    shape and lies in the domain that the op asks for.
    """
    made = list(inputs)
    for (op, args, kw), pick in program:
        xs = []
        for j, x in enumerate(operands(op, args)):
            if np.asarray(x).dtype.kind == "f":
                source = ad.reshape(made[(pick + j) % len(made)], -1)
                x = x + 0.05 * ad.reshape(np.tanh(source[np.arange(np.size(x)) % source.size]), np.shape(x))
            xs.append(x)
        made.append(op(*packed(op, xs), **kw))
    return sum(np.sum(z * np.cos(np.arange(z.size)).reshape(z.shape)) for z in made)
