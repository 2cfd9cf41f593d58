"""Formulas as Python's own syntax trees, for the tests: right ones rewritten by algebra, and wrong ones by one edit.

Nothing here knows the checker's reader, its edits or its catalogue.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Tree = Any


def parsed(text: str) -> Tree:
    return ast.parse(text, mode="eval").body


def text_of(tree: Tree) -> str:
    return ast.unparse(ast.fix_missing_locations(tree))


def value(text: str, names: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        return eval(compile(text, "<formula>", "eval"), {"np": np, **names})


def places(tree: Tree) -> Iterator[tuple[Tree, Callable[[Tree], Tree]]]:
    """Every node, with the function that gives the whole with another one in its place; only where a value may stand."""

    def visit(node: Tree, put: Callable[[Tree], Tree]) -> Iterator[tuple[Tree, Callable[[Tree], Tree]]]:
        yield node, put
        fields = {ast.BinOp: ("left", "right"), ast.UnaryOp: ("operand",), ast.Attribute: ("value",), ast.Compare: ("left",)}
        for name in fields.get(type(node), ()):
            if isinstance(node, ast.Attribute) and node.attr != "T":
                continue
            yield from visit(getattr(node, name), lambda new, name=name: put(changed(node, **{name: new})))
        if isinstance(node, ast.Call):
            for k, argument in enumerate(node.args):
                yield from visit(
                    argument, lambda new, k=k: put(changed(node, args=[new if i == k else a for i, a in enumerate(node.args)]))
                )

    yield from visit(tree, lambda new: new)


def changed(node: Tree, **fields: Any) -> Tree:
    new = copy.copy(node)
    for name, part in fields.items():
        setattr(new, name, part)
    return new


def binary(op: type, a: Tree, b: Tree) -> Tree:
    return ast.BinOp(a, op(), b)


def transposed(a: Tree) -> Tree:
    return ast.Attribute(a, "T", ast.Load())


def is_op(node: Tree, *ops: type) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ops)


def number(x: float) -> Tree:
    return ast.Constant(x)


# ---------------------------------------------------------------- identities


def identities(n: Tree) -> Iterator[Tree]:
    """Other ways to write the same."""
    if is_op(n, ast.Add, ast.Mult):
        yield binary(type(n.op), n.right, n.left)
    if is_op(n, ast.Sub):
        yield ast.UnaryOp(ast.USub(), binary(ast.Sub, n.right, n.left))
        yield binary(ast.Add, n.left, ast.UnaryOp(ast.USub(), n.right))
        yield binary(ast.Add, ast.UnaryOp(ast.USub(), n.right), n.left)
    if is_op(n, ast.Mult) and is_op(n.right, ast.Add, ast.Sub):
        yield binary(type(n.right.op), binary(ast.Mult, n.left, n.right.left), binary(ast.Mult, n.left, n.right.right))
    if is_op(n, ast.MatMult) and is_op(n.left, ast.Add, ast.Sub):
        yield binary(type(n.left.op), binary(ast.MatMult, n.left.left, n.right), binary(ast.MatMult, n.left.right, n.right))
    if is_op(n, ast.MatMult) and is_op(n.right, ast.Add, ast.Sub):
        yield binary(type(n.right.op), binary(ast.MatMult, n.left, n.right.left), binary(ast.MatMult, n.left, n.right.right))
    if is_op(n, ast.MatMult):
        yield transposed(binary(ast.MatMult, transposed(n.right), transposed(n.left)))
    if is_op(n, ast.MatMult) and is_op(n.left, ast.MatMult):
        yield binary(ast.MatMult, n.left.left, binary(ast.MatMult, n.left.right, n.right))
    if is_op(n, ast.Mult) and is_op(n.left, ast.Mult):
        yield binary(ast.Mult, n.left.left, binary(ast.Mult, n.left.right, n.right))
    if is_op(n, ast.Div):
        yield binary(ast.Mult, n.left, binary(ast.Div, number(1), n.right))
    if is_op(n, ast.Pow) and isinstance(n.right, ast.Constant) and n.right.value == 2:
        yield binary(ast.Mult, n.left, n.left)
    if is_op(n, ast.Sub) and is_op(n.right, ast.Pow) and isinstance(n.left, ast.Constant):  # 1 - h**2
        yield binary(ast.Mult, binary(ast.Sub, number(1), n.right.left), binary(ast.Add, number(1), n.right.left))
    if not isinstance(n, ast.Compare):
        yield binary(ast.Div, binary(ast.Mult, number(2), n), number(2))
        yield ast.UnaryOp(ast.USub(), ast.UnaryOp(ast.USub(), n))
        yield binary(ast.Sub, binary(ast.Mult, number(3), n), binary(ast.Mult, number(2), n))


def rewritten(text: str, rng: np.random.Generator, steps: int) -> str:
    """The formula after some identities at random places."""
    tree = parsed(text)
    for _ in range(steps):
        options = [put(new) for node, put in places(tree) for new in identities(node)]
        tree = options[rng.integers(len(options))]
    return text_of(tree)


# ---------------------------------------------------------------- one edit


def mutations(n: Tree, names: dict[str, Any]) -> Iterator[tuple[str, Tree]]:
    """What a person may write for a part of a formula, by kind of mistake."""
    if isinstance(n, ast.BinOp):
        a, b = n.left, n.right
        swaps: dict[type, tuple[type, ...]] = {
            ast.Add: (ast.Sub,),
            ast.Sub: (ast.Add,),
            ast.Mult: (ast.Div, ast.Add, ast.MatMult),
            ast.Div: (ast.Mult,),
            ast.MatMult: (ast.Mult,),
        }
        for op in swaps.get(type(n.op), ()):
            yield f"{type(n.op).__name__} to {op.__name__}", binary(op, a, b)
        if is_op(n, ast.Sub, ast.MatMult, ast.Div):
            yield "operands exchanged", binary(type(n.op), b, a)
        if not is_op(n, ast.Pow):
            yield "right operand left out", a
            yield "left operand left out", b
        else:
            yield "exponent left out", a
            yield "exponent changed", binary(ast.Pow, a, number(3))
    if isinstance(n, ast.Attribute) and n.attr == "T":
        yield "transpose left out", n.value
    if isinstance(n, ast.Name) and n.id in names:
        yield "transpose put", transposed(n)
        yield "squared", binary(ast.Pow, n, number(2))
        yield "one minus it", binary(ast.Sub, number(1), n)
        yield "doubled", binary(ast.Mult, number(2), n)
        for other in names:
            if other != n.id:
                yield "another name", ast.Name(other, ast.Load())
    if isinstance(n, ast.Constant):
        for x in (1, 2, 3, 0.5):
            if x != n.value:
                yield "another number", number(x)
    if isinstance(n, ast.UnaryOp):
        yield "sign", n.operand
    if isinstance(n, ast.Call):
        name = n.func.attr if isinstance(n.func, ast.Attribute) else ""
        if n.keywords:
            other = [ast.keyword(k.arg, number(1 - k.value.value)) if k.arg == "axis" else k for k in n.keywords]
            yield "another axis", changed(n, keywords=other)
        if name in ("sum", "mean", "exp"):
            yield "function left out", n.args[0]
            new = {"sum": "mean", "mean": "sum", "exp": "log"}[name]
            yield f"{name} to {new}", changed(n, func=changed(n.func, attr=new))
    if not isinstance(n, ast.Compare | ast.Constant):
        yield "sign", ast.UnaryOp(ast.USub(), n)


def mutants(text: str, names: dict[str, Any]) -> dict[str, str]:
    """The formulas one edit away, with the kind of edit."""
    tree, found = parsed(text), {}
    for node, put in places(tree):
        for kind, new in mutations(node, names):
            found.setdefault(text_of(put(new)), kind)
    found.pop(text_of(tree), None)
    return found
