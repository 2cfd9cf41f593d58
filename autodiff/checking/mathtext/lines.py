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
    """What a line is about: a gradient dE/dW2, a value y1, or a Jacobian dy1/dz1, all of it or its (off-)diagonal."""

    kind: str
    of: str
    wrt: str | None = None
    indices: tuple[str, ...] = ()

    @property
    def component(self) -> bool:
        """Was it written in components?"""
        return bool(self.indices)

    def __str__(self) -> str:
        return self.of if self.wrt is None else f"d{self.of}/d{self.wrt}"


@dataclass(frozen=True)
class Line:
    """One line as read: the formulas of a chain `dE/dz2 = A = B` are A and B."""

    text: str
    label: str
    target: Target | None
    formulas: tuple[Formula, ...]

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
    table = Names(names, root)
    parser = Parser(body, table)
    parts: list[Formula | None] = []
    while parser.sees("\\\\", "="):
        if parser.take().text == "=" and not parts:
            parts.append(None)
    parts.append(_part(parser))
    while parser.now.kind != "end":
        if parser.skip("\\\\", ".", ";"):
            continue
        if parser.sees(",", "(") or parser.now.kind in ("words", "name"):
            found = _closing(parser)
            if found is None:
                continue
            if isinstance(found, str):
                label = label or found
                continue
            parts.append(found)
            continue
        if not parser.skip("="):
            raise parser.error(f"{parser.shown()} has no meaning here")
        if parser.sees("=") or parser.now.kind == "end":
            raise parser.error("a formula is missing behind =")
        parts.append(_part(parser))
    return _line(text, label, parts, parser, after)


def read_target(text: str, names: Iterable[str] | Mapping[str, Any], root: str = "E", bare: str = GRADIENT) -> Target:
    """What "dE/dW2", "y1 =" or "dy1/dz1" is about; a name alone is about its `bare`, and with "=" behind it about its value.

    >>> read_target("W2", ["W2"]).kind, read_target("y1 =", ["y1"]).kind
    ('gradient', 'value')
    """
    table = Names(names, root)
    parser = Parser(text, table)
    if table.find(text.strip()) is None and table.loss(text.strip()):
        return Target(VALUE, root)
    leaf = parser.formula()
    equal = parser.skip("=")
    target = _target(leaf, table)
    if parser.now.kind in ("words", "name", "sign") and target is not None:
        parser.skip("(", ",")
        condition = parser.condition()
        parser.skip(")")
        target = _narrowed(target, condition) or target
    if parser.now.kind != "end" or target is None:
        raise problem(text, parser.now.start, "this names no gradient, value or Jacobian; write W2, dE/dW2, y1 = or dy1/dz1")
    if target.kind == VALUE and not equal and bare == GRADIENT and target.of != root:
        return Target(GRADIENT, root, target.of, target.indices)
    return target


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


def _part(parser: Parser) -> Formula:
    parser.skip("\\\\")
    value = parser.formula()
    return parser.comparison(value) if parser.sees("≠", "<", ">", "≤", "≥") else value


def _closing(parser: Parser) -> Formula | str | None:
    """What may follow a formula: a condition, in words or parentheses."""
    parser.skip(",")
    opened = parser.skip("(")
    if parser.now.kind == "end":
        return None
    condition = parser.condition()
    if opened:
        parser.expect(")", "the condition does not end")
    if condition is None:
        raise parser.error("otherwise than what?")
    return Formula("cases", (), condition)  # a mark; _line joins it to the formula before it


def _line(text: str, label: str, parts: list[Formula | None], parser: Parser, after: Target | None) -> Line:
    target = after
    condition: Formula | None = None
    formulas: list[Formula] = []
    turned = False
    for k, part in enumerate(parts):
        if part is None:
            continue
        if part.op == "cases" and not part.args:
            condition = part.value
        elif k == 0 and len([p for p in parts if p is None or p.args or p.op != "cases"]) > 1:
            leaf = part.args[0] if part.op == "T" else part
            target = _target(leaf, parser.names)
            turned = part.op == "T" and target is not None
            if target is None:
                formulas.append(part)
        else:
            formulas.append(Formula("T", (part,)) if turned else part)
    if target is not None and condition is not None and (narrow := _narrowed(target, condition)):
        target, condition = narrow, None
    if condition is not None:
        formulas = [Formula("cases", (f, condition)) for f in formulas]
    own = _leaf(target, parser.names) if target is not None else None
    if len(formulas) > 1:
        formulas = [f for f in formulas if f != own] or formulas[-1:]
    done = [parser.settled(_over(f, target)) for f in formulas]
    if target is not None and target.kind == VALUE and target.of == parser.names.root:
        done = [f.map(lambda g: replace(g, op="dot") if g.op == "cdot" else g) for f in done]
    return Line(text, label, target, tuple(done))


def _target(leaf: Formula, names: Names) -> Target | None:
    """What a left side is about; None if it is no name and no derivative."""
    letters: tuple[str, ...] = ()
    if leaf.op in ("index", "example") and leaf.args[0].op == "name":
        letters = leaf.value[0] if leaf.op == "index" else (leaf.value,)
        leaf = leaf.args[0]
    if leaf.op == "name":
        of, stroke, by = leaf.value[0].partition("/d")
        if stroke:
            return Target(GRADIENT, names.root, by, letters)
        return Target(VALUE, of, None, letters)
    if leaf.op == "entry":
        of, by = leaf.args[0].value
        left, right = leaf.value
        if left and left == right:
            return Target(DIAGONAL, of, by, left)
        return Target(JACOBIAN, of, by, left + right)
    return Target(JACOBIAN, *leaf.value) if leaf.op == "jacobian" else None


def _narrowed(target: Target, condition: Formula | None) -> Target | None:
    """The part of a Jacobian that `i = j` or `i ≠ j` restricts a line to."""
    if condition is None or condition.op != "same" or target.kind != JACOBIAN:
        return None
    return replace(target, kind=DIAGONAL if condition.value[2] else OFF_DIAGONAL)


def _leaf(target: Target, names: Names) -> Formula | None:
    if target.kind in (GRADIENT, VALUE):
        leaf = Formula("name", (), (str(target), False))
        return Formula("index", (leaf,), (target.indices, False)) if target.indices else leaf
    return None


def _over(f: Formula, target: Target | None) -> Formula:
    """A component formula, over the indices of the left side, which tell how far each counts."""
    if target is None or not target.indices:
        return f
    letters = tuple(dict.fromkeys(target.indices))
    if target.wrt is None or target.kind == GRADIENT:
        sources = [Formula("index", (Formula("name", (), (target.wrt or target.of, False)),), (target.indices, False))]
    else:
        sources = []
        rest = target.indices
        for name in (target.of, target.wrt):
            mine = rest[:1] if target.kind != DIAGONAL else target.indices
            rest = rest[1:]
            if mine:
                sources.append(Formula("index", (Formula("name", (), (name, False)),), (mine, False)))
    return Formula("entries", (f, *sources), letters)
