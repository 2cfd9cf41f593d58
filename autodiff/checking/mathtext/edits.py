"""The formulas that are one slip of the pen away from a given one, each with a sentence of what was edited.

Knows nothing of right and wrong: who checks a claim tries these and says which one would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from ...ops import TABLE
from .formula import Formula

Shapes = Mapping[str, tuple[int, ...]]
Edit = tuple[str, Formula]
_ONE = Formula("number", value=1)
_PRODUCTS = ("juxt", "star", "cdot", "mul", "matmul", "dot")
_MIXED = {"juxt": "mul", "matmul": "mul", "star": "mul", "cdot": "dot", "dot": "mul", "mul": "matmul"}
MOST_ROWS = 500  # of a diagonal matrix that is tried
_ALIKE = (("sigmoid", "tanh", "relu", "softplus"), ("exp", "log"), ("softmax", "sigmoid", "log_softmax"), ("sin", "cos"), ("sum", "mean"))


def edits(formula: Formula, shapes: Shapes) -> Iterator[Edit]:
    """Every formula one edit away, the commonest slips first; none twice, and never the formula itself.

    `shapes` gives the names that may stand in for others, and the sizes, those of shape (), that may be factors.

    >>> from autodiff.checking.mathtext import read
    >>> [f.text for said, f in edits(read("y - t", ["y", "t"]).formula, {}) if said.startswith("change the sign")]
    ['-(y - t)', '-y - t', 'y + t']
    """
    seen = {formula}
    for rule in (_signs, _transposes, _factors, _products, _lengths, _numbers, _fractions, _functions, _complements, _names, _sizes, _sums):
        for said, edited in _everywhere(formula, lambda f, rule=rule: rule(f, shapes)):  # type: ignore[misc]
            if edited not in seen:
                seen.add(edited)
                yield said, edited


def _everywhere(f: Formula, rule: Callable[[Formula], Iterator[Edit]]) -> Iterator[Edit]:
    """A rule's edits of the whole, within a left side's indices, and of every node below.

    Rules speak of a node's operands, so a node named "whole" stands above all others.
    """
    if f.op == "entries":
        for said, edited in _everywhere(f.args[0], rule):
            yield said, _with(f, 0, edited)
        return
    for said, whole in _within(Formula("whole", (f,)), rule):
        yield said, whole.args[0]


def _within(f: Formula, rule: Callable[[Formula], Iterator[Edit]]) -> Iterator[Edit]:
    yield from rule(f)
    for k, a in enumerate(f.args):
        for said, edited in _within(a, rule):
            yield said, _with(f, k, edited)


def _with(f: Formula, k: int, new: Formula | None) -> Formula:
    """The same node with another operand k, or without it."""
    return replace(f, args=(*f.args[:k], *([] if new is None else [new]), *f.args[k + 1 :]))


def _without(f: Formula, k: int) -> Formula:
    rest = _with(f, k, None)
    return rest.args[0] if len(rest.args) == 1 else rest


def _negative(f: Formula) -> Formula:
    return f.args[0] if f.op == "neg" else Formula("neg", (f,))


def _positive(f: Formula) -> Formula:
    return f.args[0] if f.op == "neg" else f


def _terms(f: Formula) -> list[int]:
    """The operands whose sign, or constant factor, is not a matter of the node above them."""
    if f.op == "call":
        return [0] if len(f.args) == 1 else []
    return {"whole": [0], "add": list(range(len(f.args))), "pow": [1], "cases": list(range(0, len(f.args), 2))}.get(f.op, [])


# ---------------------------------------------------------------- signs and transposes


def _signs(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    for k in _terms(f):
        a = f.args[k]
        where = "" if f.op == "whole" else f" in {f.text}"
        what = "the exponent" if f.op == "pow" or (f.op == "call" and f.value[0] == "exp") else _positive(a).text
        if a not in (Formula("number", value=0), Formula("number", value=0.0)):
            yield f"change the sign of {what}{where}", _with(f, k, _negative(a))


def _transposes(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    for k, a in enumerate(f.args):
        if a.op == "T":
            yield f"leave {a.args[0].text} without its transpose", _with(f, k, a.args[0])
        elif f.op in ("whole", "juxt", "matmul", "star", "cdot") and a.op not in ("number", "neg", "ones", "eye"):
            yield f"transpose {a.text}", _with(f, k, Formula("T", (a,)))


# ---------------------------------------------------------------- factors and terms


def _factors(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    if f.op in (*_PRODUCTS, "add") and len(f.args) > 1:
        what = "term" if f.op == "add" else "factor"
        for k, a in enumerate(f.args):
            yield f"leave out the {what} {a.text} of {f.text}", _without(f, k)
        for a in f.args if f.op != "add" else ():
            yield f"write the factor {a.text} of {f.text} twice", Formula("mul", (f, a))
    elif f.op == "div":
        yield f"leave out the denominator {f.args[1].text} of {f.text}", f.args[0]
        yield f"write the denominator {f.args[1].text} of {f.text} twice", Formula("div", (f, f.args[1]))
    elif f.op == "pow":
        yield f"leave out the exponent {f.args[1].text} of {f.text}", f.args[0]


def _products(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    if f.op not in _PRODUCTS:
        return
    if f.op in ("matmul", "mul") and len(f.args) == 2:
        a, b = (x.args[0] if x.op == "T" else x for x in f.args)
        yield f"write the outer product of {a.text} and {b.text}", Formula("call", (a, b), ("outer", ()))
        rows = shapes.get(b.value[0], ())[:-1] if b.op == "name" else ()
        if len(rows) == 1 and 1 < rows[0] <= MOST_ROWS:
            yield f"write the diagonal matrix of {a.text}", Formula("matmul", (Formula("call", (a,), ("diag", ())), f.args[1]))
    if f.op in ("juxt", "matmul", "star"):
        for k in range(len(f.args) - 1):
            a, b = f.args[k : k + 2]
            yield f"exchange the factors {a.text} and {b.text}", replace(f, args=(*f.args[:k], b, a, *f.args[k + 2 :]))
    means = {"mul": "an entrywise product", "matmul": "a matrix product", "dot": "a dot product"}
    for other in dict.fromkeys((_MIXED[f.op], "matmul", "mul")):
        if other != f.op:
            yield f"make {f.text} {means[other]}", replace(f, op=other)


# ---------------------------------------------------------------- numbers, fractions, functions


def _lengths(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    below = f.args[1] if f.op == "div" else f
    if f.op == "div" and (below.op in ("number", "length") or (below.op == "name" and shapes.get(below.value[0]) == ())):
        for other in (Formula("name", (), (name, False)) for name, shape in shapes.items() if shape == () and "/d" not in name):
            yield f"divide by {other.text} instead of {below.text}", _with(f, 1, other)


def _numbers(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    if f.op == "number" and isinstance(f.value, int | float):
        c = f.value
        for new in dict.fromkeys((c + 1, c - 1, 2 * c, c / 2, 1 / c if c else 1)):
            yield f"write {_shown(new)} instead of {_shown(c)}", replace(f, value=new)
    for k in _terms(f):
        a = f.args[k]
        if a.op != "number":
            two = Formula("number", value=2)
            yield f"multiply {a.text} by 2", _with(f, k, Formula("mul", (two, a)))
            yield f"divide {a.text} by 2", _with(f, k, Formula("div", (a, two)))


def _shown(x: float) -> str:
    return f"{x:g}"


def _fractions(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    if f.op == "div":
        yield f"turn the fraction {f.text} upside down", replace(f, args=f.args[::-1])
        yield f"multiply by {f.args[1].text} instead of dividing by it", Formula("mul", f.args)


def _functions(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    if f.op == "prime":
        yield f"write {f.value} instead of {f.value}'", Formula("call", f.args, (f.value, ()))
    if f.op in _PRODUCTS:
        for k, a in enumerate(f.args):
            if a.op in ("name", "index"):
                for name in ("log", "exp"):
                    yield f"take the {name} of {a.text}", _with(f, k, Formula("call", (a,), (name, ())))
    if f.op != "call" or len(f.args) != 1:
        return
    name, options = f.value
    yield f"leave out the {name} of {f.args[0].text}", f.args[0]
    for alike in _ALIKE:
        for other in alike:
            if name in alike and other != name:
                yield f"write {other} instead of {name} in {f.text}", replace(f, value=(other, options))
    if TABLE[name].kind == "elementwise" and TABLE[name].arity == 1:
        yield f"write the derivative of {name} instead of it in {f.text}", Formula("prime", f.args, name)


def _complements(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    """1 - v for v, v for 1 - v, and v^2 for v in a sum."""
    if f.op == "add" and len(f.args) == 2 and f.args[0] in (_ONE, Formula("ones")) and f.args[1].op == "neg":
        yield f"write {f.args[1].args[0].text} instead of {f.text}", f.args[1].args[0]
    for k, a in enumerate(f.args):
        v, is_name = _positive(a), _positive(a).op in ("name", "index") and a.op != "T" and f.op != "index"
        if is_name and f.op != "T":
            yield f"write 1 - {v.text} instead of {v.text}", _with(f, k, _sign_of(a, Formula("add", (_ONE, Formula("neg", (v,))))))
        if is_name and f.op in ("add", "whole"):
            yield f"square {v.text}", _with(f, k, _sign_of(a, Formula("pow", (v, Formula("number", value=2)))))


def _sign_of(a: Formula, new: Formula) -> Formula:
    return Formula("neg", (new,)) if a.op == "neg" else new


# ---------------------------------------------------------------- names and sums


def _names(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    if f.op == "name":
        key = f.value[0]
        for other, shape in shapes.items():
            if other != key and key in shapes and tuple(shape) == tuple(shapes[key]):
                yield f"write {other} instead of {key}", replace(f, value=(other, f.value[1]))


def _sizes(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    sizes = [Formula("name", (), (name, False)) for name, shape in shapes.items() if tuple(shape) == () and "/d" not in name]
    for k in _terms(f) if f.op in ("whole", "add") else ():
        a = f.args[k]
        for size in sizes:
            yield f"divide {a.text} by {size.text}", _with(f, k, Formula("div", (a, size)))
            yield f"multiply {a.text} by {size.text}", _with(f, k, Formula("mul", (a, size)))


def _sums(f: Formula, shapes: Shapes) -> Iterator[Edit]:
    if f.op == "call" and f.value[0] in ("sum", "mean", "max", "min", "softmax", "log_softmax", "logsumexp"):
        name, options = f.value
        given = dict(options)
        for axis in (0, 1):
            if given.get("axis") != axis:
                changed = {**given, "axis": axis}
                yield f"take the {name} over axis {axis} in {f.text}", replace(f, value=(name, tuple(changed.items())))
        if "axis" in given and not given.get("keepdims") and name not in ("softmax", "log_softmax"):
            yield (
                f"keep the axis that {name} drops in {f.text}, with keepdims=True",
                replace(f, value=(name, (*options, ("keepdims", True)))),
            )
        if "axis" in given and name in ("sum", "mean"):
            yield f"take the {name} over everything in {f.text}", replace(f, value=(name, ()))
    elif f.op == "total":
        yield f"leave out the sum of {f.text}", f.args[0]
    elif f.op == "cases" and len(f.args) == 3:
        a, condition, b = f.args
        yield f"exchange the cases of {f.text}", Formula("cases", (b, condition, a))
        yield f"write {a.text} in every case", a
        yield f"write {b.text} in every case", b
