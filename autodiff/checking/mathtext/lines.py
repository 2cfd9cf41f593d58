"""A line of a derivation: its label, what it claims something of, and one or more formulas for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...errors import BadFormula
from .formula import Formula
from .names import Names
from .parser import Parser
from .tokens import problem

GRADIENT, VALUE = "gradient", "value"
JACOBIAN, DIAGONAL, OFF_DIAGONAL = "jacobian", "jacobian_diagonal", "jacobian_off_diagonal"


@dataclass(frozen=True)
class Target:
    """What a line is about: a gradient dE/dW2, a value y1, or a Jacobian dy1/dz1, all of it or its (off-)diagonal.

    The indices are those that the left side was written with, behind `of` and behind `wrt`.
    """

    kind: str
    of: str
    wrt: str | None = None
    of_indices: tuple[str, ...] = ()
    wrt_indices: tuple[str, ...] = ()

    @property
    def component(self) -> bool:
        """Was it written in components?"""
        return bool(self.of_indices or self.wrt_indices)

    def __str__(self) -> str:
        return self.of if self.wrt is None else f"d{self.of}/d{self.wrt}"


@dataclass(frozen=True)
class Line:
    """One line as read: the formulas of a chain `dE/dz2 = A = B` are A and B; `numpy` if these are Python, and no mathematics.

    `aside` if something stands on the left that is no target, so that the line is about nothing.
    """

    text: str
    label: str
    target: Target | None
    formulas: tuple[Formula, ...]
    numpy: bool = False
    aside: bool = False

    @property
    def formula(self) -> Formula:
        """The last formula of the chain."""
        return self.formulas[-1]


def read(text: str, names: Iterable[str] | Mapping[str, Any], root: str = "E", after: Target | None = None) -> Line:
    """Read one line: `label: target = formula = formula ...`, of which only one formula is needed.

    `names` are the variables' names, and where they map to texts, spellings of those; `root` is the loss's.  A line that begins with "="
    goes on with the target `after`.  Raises BadFormula, which points at the column.

    >>> line = read(r"(6) \\frac{\\partial E}{\\partial \\mathbf{W}^{(2)}} = (y_2 - t) y_1^T", ["W2", "y1", "y2", "t"])
    >>> line.label, str(line.target), line.formula.text
    ('(6)', 'dE/dW2', '(y2 - t) y1^T')
    """
    label, body = _labelled(text)
    parser = Parser(body, Names(names, root))
    parts: list[Formula | None] = []  # None for a left side that stands in an earlier line
    condition: Formula | None = None
    while parser.skip("\\\\"):
        continue
    if parser.skip("="):
        parts.append(None)
    parts.append(parser.part())
    left = parser.math and parser.sees("=")
    if parser.sees("="):  # the left side may be mathematics, and what follows Python
        parser.math = parser.mathematical(parser.now.start)
    while parser.now.kind != "end":
        if parser.skip("="):
            parts.append(parser.part())
        elif not parser.skip("\\\\", ".", ";", ","):
            condition = parser.closing()
    numpy = parser.numpy and not parser.math
    parser.math = parser.math or (left and not numpy)
    aside = len(parts) > 1 and parts[0] is not None and _target(_straight(parts[0]), parser.names) is None
    return Line(text, label, *_sides(parts, condition, parser, after), numpy, aside)


def read_target(text: str, names: Iterable[str] | Mapping[str, Any], root: str = "E", bare: str = GRADIENT) -> Target:
    """What "dE/dW2", "y1 =" or "dy1/dz1" is about; a name alone is about its `bare`, and with "=" behind it about its value.

    >>> read_target("W2", ["W2"]).kind, read_target("y1 =", ["y1"]).kind
    ('gradient', 'value')
    """
    left = text.rstrip().removesuffix("=")
    target = read(f"{left} = 0", names, root).target
    if target is None:
        raise problem(text, 0, "this names no gradient, value or Jacobian; write W2, dE/dW2, y1 = or dy1/dz1")
    if target.kind == VALUE and left == text.rstrip() and bare == GRADIENT and target.of != root:
        return Target(GRADIENT, root, target.of, (), target.of_indices)
    return target


def defined(text: str, names: Names) -> tuple[str, str] | None:
    """The new name, and the text for it, of a line that gives something a name of the writer's own; None if it is no such line.

    >>> defined(r"(3) \\delta_2 = (y - t)/m", Names(["y", "t", "m"], "E"))
    ('delta2', ' (y - t)/m')
    """
    left, sign, right = _labelled(text)[1].partition("=")
    name = re.sub(r"\\(?:mathbf|boldsymbol|bm|vec|mathrm)\b|[\\{}()_^&]", "", left).strip()
    new = sign and re.fullmatch(r"[^\W\d]\w*", name) and not names.loss(name) and names.resolve(name, []) is None
    return (name, right) if new else None


_LABEL = re.compile(
    r"""\s*(?:\\(?:therefore|because|Rightarrow|Longrightarrow)\s*)?
    (?P<label>\([\w.*']{1,12}\)(?:\s?(?:line|l\.)?\s?\d+)?(?=[\s:])  # (5), (5) line 2
    | \d[\w.]{0,8}\)(?=\s)  # 4)
    | (?:[\w.][\w.\ ]{0,23}|\([\w.\ ]{1,22}\))(?=:(?!=)))  # step 3:
    \s*:?\s*""",
    re.VERBOSE,
)


def _labelled(text: str) -> tuple[str, str]:
    """The label in front of a line, and the line with blanks in its place, so that columns stay right."""
    if not isinstance(text, str):
        raise BadFormula(f"a formula is text, not {type(text).__name__}")
    tag = re.search(r"\\(?:tag\{([^{}]{1,24})\}|q?quad\s*(\([\w.*']{1,12}\))\s*(?:\\\\)?\s*$)", text[:4000])
    if tag:
        label = tag[2] or f"({tag[1]})"
        return label, text[: tag.start()] + " " * (tag.end() - tag.start()) + text[tag.end() :]
    m = _LABEL.match(text)
    if m and (":" in m[0] or "=" in text[m.end() :]):
        return m["label"].strip(), " " * m.end() + text[m.end() :]
    return "", text


def _sides(
    parts: list[Formula | None], condition: Formula | None, parser: Parser, after: Target | None
) -> tuple[Target | None, tuple[Formula, ...]]:
    """What a chain of equalities is about, and its formulas."""
    first, *rights = parts
    formulas = [f for f in rights if f is not None]
    turned = first is not None and first.op == "T"
    target = after if first is None else _target(_straight(first), parser.names) if formulas else None
    if first is not None and target is None:
        formulas.insert(0, first)
        target = after
    elif turned:
        formulas = [Formula("T", (f,)) for f in formulas]
    if target is not None and target.kind == JACOBIAN and condition is not None and condition.op == "same":
        target = replace(target, kind=DIAGONAL if condition.value[2] else OFF_DIAGONAL)
    elif condition is not None:
        formulas = [Formula("cases", (f, condition)) for f in formulas]
    formulas = [f for f in formulas if f != first] or formulas[-1:]
    done = [parser.settled(_over(f, target)) for f in formulas]
    if target is not None and target.kind == VALUE and target.of == parser.names.root:
        done = [f.map(lambda g: replace(g, op="dot") if g.op == "cdot" else g) for f in done]
    return target, tuple(done)


def _straight(f: Formula) -> Formula:
    """A left side without its transpose."""
    return f.args[0] if f.op == "T" else f


def _target(leaf: Formula, names: Names) -> Target | None:
    """What a left side is about; None if it is no name and no derivative."""
    letters: tuple[str, ...] = ()
    if leaf.op in ("index", "example") and leaf.args[0].op == "name":
        letters, leaf = tuple(leaf.value[0]), leaf.args[0]
    if leaf.op == "name":
        of, stroke, by = leaf.value[0].partition("/d")
        return Target(GRADIENT, names.root, by, (), letters) if stroke else Target(VALUE, of, None, letters)
    if leaf.op == "entry":
        (of, by), (left, right) = leaf.args[0].value, leaf.value
        return Target(DIAGONAL if left == right else JACOBIAN, of, by, left, right)
    return Target(JACOBIAN, *leaf.value) if leaf.op == "jacobian" else None


def _over(f: Formula, target: Target | None) -> Formula:
    """A component formula, over the indices of the left side, which tell how far each counts."""
    if target is None or not target.component:
        return f
    below = target.wrt_indices
    if target.kind == JACOBIAN:  # of p_ik by z_il only the entries of the same i are given, and all others are 0
        for s in sorted({*target.of_indices} & {*below}):
            other = next(c for c in "zyxwvutsrqp" if c not in target.of_indices + below)
            below = tuple(other if c == s else c for c in below)
            f = Formula("mul", (f, Formula("delta", (), (s, other))))
    sides = [(target.of, target.of_indices), (target.wrt, below)]
    named = [Formula("index", (Formula("name", (), (name, False)),), (letters, False)) for name, letters in sides if letters]
    return Formula("entries", (f, *named), tuple(dict.fromkeys(target.of_indices + below)))
