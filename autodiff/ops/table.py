"""The table of ops: what a primitive is, and the four ways to declare one.

A primitive is declared once, by `elementwise`, `linear`, `bilinear` or `general`; everything that
backward, forward mode, the pictures or the checks need to know of it is a field of that record.
This file holds the records' shape and what every rule may use; the entries stand in the files
beside it.  It knows neither nodes nor readers.

The contract of a rule
----------------------
A rule gets `z`, the op's result, and `xs`, its operands, and is ordinary code:

- it uses operators, plain NumPy functions and ops of the table, nothing else.  So the same rule
  runs on floats and arrays (numbers come out), on nodes (it is recorded, and gradients can be
  differentiated again), on symbols (a formula comes out) and on text (source code comes out);
- it changes nothing in place, least of all the cotangent `g`, and never writes again into an array it gave;
- it prefers `z` to recomputing, and takes no `if` on data: it uses `where` and comparisons;
- it is never asked for the derivative with respect to a constant (`x ** 2` takes no logarithm);
- None means that the derivative is zero by structure.

What is no op
-------------
A function that can be written with ops of the table is a `Composition`, declared by `composed`: it stands for
functions of NumPy's and has a sampler as an op has, but a call of it records the ops it consists of.  A function
with several results (eigh, svd, slogdet) is a composition of one op for each.

The index form of an op
-----------------------
`form` (bilinear) and `index` (linear, general, elementwise) say what an op is in Einstein's notation.
`index(*xs, **kw)` gives one of

- a text such as "ij->ji" or "ij->i1": letters are indices, those that do not reach the result are
  summed, "1" is an axis of length 1; or a text and a shape, if the result has indices of its own;
- such a text after the op's name, "max ij->i": the op stands for itself over the indices that are gone;
- an expression in other ops of the table, such as `exp(x) / sum(exp(x))`;
- None if this call has no index form.

`index="ij->ij"`, the text itself and not a function, says that every entry of the result depends on the
whole operand, and that the op commutes with transposition: it stands for itself (the inverse of a matrix).
An elementwise op of one operand needs no `index`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, MutableSequence, Sequence
from functools import cache, lru_cache, wraps
from typing import Any, NamedTuple

import numpy as np

from ..errors import AutodiffError, BadIndex, BadOperand, NameTaken, NoRule, ShapeMismatch

Case = tuple[tuple[Any, ...], dict[str, Any]]  # the operands and keyword arguments of one call
Sampler = Callable[["np.random.Generator"], list[Case]]  # as text: NumPy loads its random numbers when first asked


class WrongRule(NamedTuple):
    """A wrong derivative that people typically write for an op, for the checker to recognise.

    `code` is a `checking.Mistake`, `text` a sentence in which {z} is the result's name and {x} the operand's.
    `rule` is, of an elementwise op, the wrong partial derivative `(z, *xs)`; of others the wrong vjp `(g, z, *xs, **kw)`.
    """

    code: str
    text: str
    rule: Callable[..., Any]
    operand: int = 0


ndarray = np.ndarray
changes = 0  # how often a field of a declared op was assigned anew
TABLE: dict[str, Op] = {}
RESERVED: set[str] = set()  # the built-in names, once all are declared; an op of the user may be declared anew
COMPOSED: dict[str, Composition] = {}  # functions written with ops of the table
BY_NUMPY: dict[Any, Any] = {}  # NumPy's functions, and the op or composition that stands for each


class Op:
    """One primitive operation; made by `elementwise`, `linear`, `bilinear` and `general`.

    Called on plain numbers and arrays it computes; called with a node among its operands it records.

    >>> import numpy as np
    >>> from autodiff.ops import tanh
    >>> float(tanh(np.array(0.5))) == float(np.tanh(0.5))
    True
    """

    def __init__(
        self,
        name: str,
        kind: str,  # elementwise | linear | bilinear | general
        forward: Callable[..., Any],
        vjp: Callable[..., Any],  # (i, g, z, *xs, **kw): what cotangent g gives operand i, or None
        jvp: Callable[..., Any],  # (ts, z, *xs, **kw): the tangent; ts[i] is None if operand i rests
        arity: int | None,  # how many operands; None: any number, given as one sequence
        sample: Sampler = lambda rng: [],  # calls inside the op's domain, for the tests over the table
        symbol: str = "",  # what a picture shows
        numpy: tuple[Any, ...] = (),  # the NumPy functions that mean this op
        partials: tuple[Any, ...] = (),  # elementwise only
        carry: tuple[Any, ...] = (),  # elementwise only: (g, z, xs) times each partial, before broadcasting is undone
        apart: Callable[..., Any] | None = None,  # (g, xs, **kw): the vjp of all operands at once, of ops that take thousands
        form: Callable[..., str] | None = None,  # bilinear only: the index form, e.g. "ij,jk->ik"
        scalar: str | None = None,  # the op on Python floats, as source text
        analytic: bool = True,  # may the forward be run on complex numbers?
        monotone: bool = False,  # is no derivative ever negative? (magnitudes then pass by the jvp)
        index: Callable[..., Any] | str | None = None,  # how the op reads in index form, see above; None: it has none
        latex: str | None = None,  # the op in LaTeX, "{0}" for its operand; None: its name
        source: str | None = None,  # the op as NumPy source of its operand and options, where no NumPy function means it; the last
        # line is the result
        mistakes: tuple[WrongRule, ...] = (),  # wrong derivatives people write, beside those of every op of its kind
    ) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"an op's first argument is its name, a text, not {name!r}")
        for part, rule in {"forward": forward, "vjp": vjp, "jvp": jvp, "form": form or forward}.items():
            if not callable(rule):
                raise TypeError(f"{name}: {part} must be a function, not {rule!r}")
        forward = _real(name, forward) if RESERVED else forward
        self.name, self.kind, self.arity = name, kind, arity
        self.forward, self.vjp, self.jvp = forward, vjp, jvp
        self.partials, self.carry, self.apart, self.form, self.sample = partials, carry, apart, form, sample
        self.symbol, self.numpy, self.scalar = symbol or name, numpy, scalar
        self.analytic, self.monotone = analytic, monotone
        self.index, self.latex, self.source, self.mistakes = index, latex, source, mistakes
        self.statics = _statics(forward, arity)  # names of the keyword arguments
        self.known = frozenset(self.statics)  # the same, to look names up in
        self.watched = 2 if kind == "elementwise" and arity == 2 else -1  # a result of this rank may be a vector's with a column
        self.__doc__ = _described(self)
        taken = [name] if name in RESERVED else [called(f) for f in numpy if getattr(BY_NUMPY.get(f), "name", "") in RESERVED]
        if taken:
            raise NameTaken(f"{taken[0]} already means a built-in op of the table; declare {name!r} under another name")
        TABLE[name] = self
        BY_NUMPY.update(dict.fromkeys(numpy, self))

    def __setattr__(self, field: str, value: Any) -> None:
        global changes
        changes += TABLE.get(getattr(self, "name", "")) is self
        super().__setattr__(field, value)

    def __call__(self, *args: Any, **kw: Any) -> Any:
        if len(args) != self.arity or (kw and not self.known.issuperset(kw)):
            args, kw = self.bind(args, kw)
        lists = False
        for x in args:
            if x.__class__ is not ndarray:
                apply = getattr(x, "__apply__", None)
                if apply is not None:
                    return apply(self, args, kept(kw) if kw else kw)
                if isinstance(x, (list, tuple)):
                    lists = True
                    if any(hasattr(item, "__apply__") for item in x):
                        raise BadOperand(
                            f"{self.name} got a list of nodes. Of Tensors make one with ad.stack or ad.concatenate; lists of Values go "
                            "into ad.sum and ad.dot only"
                        )
        if lists:
            args = tuple(np.asarray(x) if isinstance(x, (list, tuple)) else x for x in args)
        return self.forward(*args, **kw) if kw else self.forward(*args)  # an empty **kw costs more than the test

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return op_by_name, (self.name,)

    def bind(self, args: Sequence[Any], kw: dict[str, Any]) -> Case:
        """Split a call into operands and named static arguments."""
        if self.arity is None:
            operands, rest = tuple(args[0]) if args else (), args[1:]
        else:
            operands, rest = tuple(args[: self.arity]), args[self.arity :]
        if self.arity is not None and len(operands) < self.arity:
            raise TypeError(f"{self.name} takes {self.arity} operands, but {len(operands)} came")
        if len(rest) > len(self.statics):
            raise TypeError(f"{self.name} takes no more than {', '.join(self.statics) or 'its operands'} after its operands")
        statics = dict(zip(self.statics, rest, strict=False))
        for key, value in kw.items():
            if key not in self.statics:
                raise no_keyword(self, key)
            if key in statics:
                raise TypeError(f"{self.name} got two values for {key}=")
            statics[key] = value
        return operands, statics


class Composition:
    """A function of NumPy's, or like them, that is written with ops of the table; made by `composed`.

    Nothing of its own is recorded: a call records the ops it consists of, so that every reader knows it already.

    >>> import autodiff as ad, numpy as np
    >>> ad.grad(lambda x: np.var(x, ddof=1))(np.array([1.0, 3.0]))
    array([-2.,  2.])
    """

    kind = "composed"

    def __init__(self, function: Callable[..., Any], numpy: tuple[Any, ...], sample: Sampler, arity: int) -> None:
        self.name, self.function, self.numpy, self.sample, self.arity = function.__name__, function, numpy, sample, arity
        self.statics = _statics(function, arity)
        self.known = frozenset(self.statics)
        self.__doc__ = function.__doc__
        COMPOSED[self.name] = self
        BY_NUMPY.update(dict.fromkeys(numpy, self))

    def __call__(self, *args: Any, **kw: Any) -> Any:
        for key in kw:
            if key not in self.known:
                raise no_keyword(self, key)
        try:
            return self.function(*map(as_operand, args[: self.arity]), *args[self.arity :], **kw)
        except AutodiffError:
            raise
        except REFUSALS as error:
            raise misfit(self, args, kw, error) from None

    def __repr__(self) -> str:
        return f"<composition {self.name}>"

    def bind(self, args: Sequence[Any], kw: dict[str, Any]) -> Case:
        """The call as it is: Python binds the arguments of a function better than anyone."""
        return tuple(args), kw


def composed(*numpy: Any, sample: Sampler, arity: int = 1) -> Callable[[Callable[..., Any]], Composition]:
    """Declare that a function written with ops stands for functions of NumPy's; `arity` counts its operands."""
    return lambda function: Composition(function, numpy, sample, arity)


def no_keyword(op: Op | Composition, key: str) -> NoRule:
    """The error for a keyword argument without a rule."""
    known = f"it knows {', '.join(s + '=' for s in op.statics)}" if op.statics else "it takes operands only"
    return NoRule(f"{op.name} has no rule for the keyword {key}=; {known}.")


REFUSALS = (ValueError, TypeError, IndexError)  # what NumPy raises for a call that it does not take


def misfit(op: Op | Composition, operands: Sequence[Any], options: dict[str, Any], error: Exception) -> AutodiffError:
    """What NumPy refused, told with the operands' names; of the kind that NumPy's own error is."""
    from ..naming import describe

    given = "".join(f", {k}={v}" for k, v in options.items())
    kind = ShapeMismatch if isinstance(error, ValueError) else BadIndex if isinstance(error, IndexError) else BadOperand
    return kind(f"{op.name} does not fit {describe(operands)}{given}: {error}")


def kept(statics: dict[str, Any]) -> dict[str, Any]:
    """Static arguments as they are now, whatever becomes of the caller's lists and arrays."""
    for value in statics.values():
        if value.__class__ not in _FIXED:
            return {key: _kept(value) for key, value in statics.items()}
    return statics


_FIXED = {type(None), bool, int, float, str, slice}


def _kept(static: Any) -> Any:
    if static.__class__ in _FIXED:
        return static
    if static.__class__ is list or static.__class__ is tuple:
        return static.__class__([_kept(part) for part in static])
    if isinstance(static, dict):
        return {key: _kept(part) for key, part in static.items()}
    return np.array(static) if _can_change(static) else static


def _can_change(static: Any) -> bool:
    """Is this numbers in an array or a sequence that its owner may write into, from NumPy or elsewhere?"""
    if isinstance(static, np.generic | type) or hasattr(static, "__apply__"):
        return False
    return isinstance(static, MutableSequence) or hasattr(static, "__array__")


def floats(x: Any) -> Any:
    """Numbers that can be negative and do not wrap around: integers and booleans of NumPy's become float64."""
    return x.astype(np.float64) if hasattr(x, "dtype") and x.dtype.kind in "iub" else x


def as_operand(x: Any) -> Any:
    """An operand as rules count on it: lists of numbers are arrays, and so they are in a list of operands."""
    if not isinstance(x, list | tuple):
        return x
    return [as_operand(part) for part in x] if any(hasattr(part, "shape") for part in x) else np.asarray(x)


def _real(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward of a user's op, whose result must be real numbers: what is recorded of it is a float."""

    @wraps(forward)
    def checked(*xs: Any, **kw: Any) -> Any:
        z = forward(*xs, **kw)
        kind = np.asarray(z).dtype.kind
        if kind in "iub":
            return np.asarray(z, float)
        if isinstance(z, tuple | list) or (kind != "f" and not any(np.iscomplexobj(x) for x in xs)):
            what = f"a {type(z).__name__}" if isinstance(z, tuple | list) else f"numbers of dtype {np.asarray(z).dtype}"
            raise BadOperand(f"the forward of {name} gave {what}; an op has one result, an array of real numbers")
        return z

    return checked


def _described(op: Op) -> str:
    """What help shows for one op: its call, its kind, and the NumPy functions that mean it."""
    operands = ("xs",) if op.arity is None else ("x", "y", "z")[: op.arity] if op.arity <= 3 else ("x1", "...", f"x{op.arity}")
    call = ", ".join((*operands, *(s + "=" for s in op.statics)))
    like = " and ".join(map(called, op.numpy))
    return f"{op.name}({call}): {op.kind} op of the table{', as ' + like if like else ''}; records when an operand is a node."


def _statics(forward: Callable[..., Any], arity: int | None) -> tuple[str, ...]:
    while hasattr(forward, "__wrapped__"):  # a decorator's wrapper takes *args and tells nothing
        forward = forward.__wrapped__
    code = getattr(forward, "__code__", None)
    if code is None:  # a ufunc, or another builtin: operands only
        return ()
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    return code.co_varnames[(positional if arity is None else arity) : positional + keyword]  # type: ignore[no-any-return]


def op_by_name(name: str) -> Op:
    """The op of that name; raises NoRule if the table has none."""
    try:
        return TABLE[name]
    except KeyError:
        raise NoRule(f"no op is named {name!r}; if it is one of yours, declare it before a graph that uses it is loaded") from None


@cache
def _numpy_parameters(func: Any) -> dict[str, Any] | None:
    """The parameters of a NumPy function with their defaults; None where it does not tell, or takes any number of them."""
    import inspect  # only calls of NumPy's functions need it, and it takes its time to load

    try:
        parameters = inspect.signature(func).parameters.values()
    except ValueError:  # some of NumPy's C functions do not tell
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}


def bind_numpy(func: Any, args: Sequence[Any], kw: dict[str, Any]) -> tuple[Any, Case]:
    """The op or composition, and the bound call, that a call of a NumPy function means; raises NoRule if none does."""
    op = BY_NUMPY.get(func)
    if op is None:
        raise no_rule(called(func), getattr(func, "__name__", ""))
    try:
        return op, op.bind(*_by_name(op, func, args, kw))
    except NoRule as error:
        raise NoRule(f"{called(func)}: {error}") from None


def _by_name(op: Any, func: Any, args: Sequence[Any], kw: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """A call as NumPy's signature reads it: operands first, the others by name, without those left at their defaults."""
    defaults = None if isinstance(func, np.ufunc) else _numpy_parameters(func)
    if defaults is None:
        return args, kw
    given = {**dict(zip(defaults, args, strict=False)), **kw}  # NumPy has seen to it that the call fits
    given = {**{name: given[name] for name in defaults if name in given}, **given}
    count = 1 if op.arity is None else op.arity
    operands, statics = list(given.values())[:count], dict(list(given.items())[count:])
    for name in list(statics):
        if statics[name] is np._NoValue or (name not in op.known and name in defaults and statics[name] is defaults[name]):
            del statics[name]
    for name in statics:
        if name not in op.known:
            raise no_keyword(op, name)
    return operands, statics


def called(func: Any) -> str:
    """A function of NumPy's as one writes it: "np.linalg.norm"."""
    return f"{getattr(func, '__module__', None) or 'numpy'}.{getattr(func, '__name__', func)}".replace("numpy.", "np.", 1)


def no_rule(what: str, name: str) -> NoRule:
    """The error for a call without a rule: what there is, the nearest name, and the way out."""
    import difflib

    known = sorted({called(f) for f in BY_NUMPY} | {f"ad.{op.name}" for op in functions() if _is_called_by_name(op)})
    last = {k: k.rpartition(".")[2] for k in known}
    near = difflib.get_close_matches(name, last.values(), n=2, cutoff=0.7)
    hint = f" Did you mean {' or '.join(k for k in known if last[k] in near)}?" if near else ""
    return NoRule(
        f"{what} has no derivative rule here, so it cannot be recorded.{hint} For the plain numbers write .data, which cuts the graph; "
        f"for an op of your own see ad.elementwise, ad.linear, ad.bilinear and ad.general. What records: operators, indexing, "
        f"{', '.join(known)}."
    )


def functions() -> list[Any]:
    """Everything that can be called: the compositions, and the ops."""
    return [*COMPOSED.values(), *TABLE.values()]


def _is_called_by_name(op: Any) -> bool:
    required = len(op.statics) - len(getattr(getattr(op, "forward", None) or op.function, "__defaults__", None) or ())
    return not op.numpy and op.arity == 1 and required <= 0


# ---------------------------------------------------------------- the four kinds


def elementwise(
    name: str,
    forward: Callable[..., Any],
    *partials: Any,
    domain: tuple[float, float] = (-2.0, 2.0),
    **fields: Any,
) -> Op:
    """Declare an op that works entry by entry, by its partial derivatives.

    `partials[i]` is `dz/dx_i`: a function of `(z, *xs)`, a constant number, or None for zero.  Both
    modes follow.  `domain` is the interval that test operands are drawn from.  `numpy=` names the
    NumPy functions that mean the op, `symbol=` what pictures show, `scalar=` the op as Python source
    on floats, `analytic=False` that it cannot run on complex numbers.

    >>> import autodiff as ad, numpy as np
    >>> cube = ad.elementwise("cube_example", lambda x: x * x * x, lambda z, x: 3 * x * x)
    >>> ad.grad(cube)(2.0)
    12.0
    """
    arity = len(partials)
    if arity == 0:
        raise TypeError(f"{name}: an elementwise op needs one partial derivative for each of its operands")
    if callable(forward) and _statics(forward, arity):
        extra = ", ".join(_statics(forward, arity))
        raise TypeError(f"{name}: an elementwise op has one partial for each operand and no options, but {extra} has none; see ad.general")
    carry = tuple(_carrier(partial, arity) for partial in partials)

    def vjp(i: int, g: Any, z: Any, *xs: Any) -> Any:
        d = carry[i](g, z, xs)
        return d if d is None or shape_of(d) != shape_of(z) else sum_to(d, shape_of(xs[i]))

    def jvp(ts: Sequence[Any], z: Any, *xs: Any) -> Any:
        return _broadcast_like(add_up(c(t, z, xs) for t, c in zip(ts, carry, strict=True) if t is not None), z)

    fields.setdefault("sample", _sample_elementwise(arity, domain))
    return Op(name, "elementwise", forward, vjp, jvp, arity=arity, partials=partials, carry=carry, **fields)


def linear(name: str, forward: Callable[..., Any], transpose: Callable[..., Any], *, arity: int | None = 1, **fields: Any) -> Op:
    """Declare an op that is linear in its operands together, by its transpose.

    `transpose(i, g, *xs, **kw)` applies the adjoint for operand i; of `xs` only the shapes may be used.
    The jvp is the op itself on the tangents.  `arity=None`: the operands come as one sequence.

    >>> import autodiff as ad, numpy as np
    >>> twice = ad.linear("twice_example", lambda x: 2 * x, lambda i, g, x: 2 * g, sample=lambda rng: [((rng.normal(size=3),), {})])
    >>> ad.grad(lambda x: np.sum(twice(x)))(np.ones(3))
    array([2., 2., 2.])
    """

    def vjp(i: int, g: Any, z: Any, *xs: Any, **kw: Any) -> Any:
        return transpose(i, g, *xs, **kw)

    def jvp(ts: Sequence[Any], z: Any, *xs: Any, **kw: Any) -> Any:
        moving = [np.zeros(shape_of(x)) if t is None else t for t, x in zip(ts, xs, strict=True)]
        return op(*moving, **kw) if arity is not None else op(moving, **kw)

    op = Op(name, "linear", forward, vjp, jvp, arity=arity, **fields)
    return op


def bilinear(
    name: str, forward: Callable[..., Any], form: Callable[..., str], direct: Callable[..., Any] | None = None, **fields: Any
) -> Op:
    """Declare an op that is linear in each of two operands, by its index form.

    `form(rank_x, rank_y, **kw)` is the op in Einstein's notation for operands of those ranks, such as
    "ij,jk->ik".  The vjp contracts the cotangent with the other operand; the jvp is the product rule.
    `direct(i, g, x, y)` may state the vjp for two plain matrices once more, where that is faster.

    >>> import autodiff as ad, numpy as np
    >>> pairs = ad.bilinear("pairs_example", lambda x, y: np.einsum("ik,jk->ij", x, y), lambda i, j: "ik,jk->ij",
    ...                     sample=lambda rng: [((rng.normal(size=(2, 3)), rng.normal(size=(4, 3))), {})])
    >>> ad.grad(lambda x: np.sum(pairs(x, np.ones((4, 3)))))(np.ones((2, 3)))
    array([[4., 4., 4.],
           [4., 4., 4.]])
    """

    @cache
    def backward_forms(m: int, n: int, **kw: Any) -> tuple[str, str]:
        a, b, out = _split(form(m, n, **kw))
        return f"{out},{b}->{a}", f"{a},{out}->{b}"

    def vjp(i: int, g: Any, z: Any, x: Any, y: Any, **kw: Any) -> Any:
        if direct is not None and g.__class__ is x.__class__ is y.__class__ is np.ndarray and x.ndim == y.ndim == 2:
            return direct(i, g, x, y, **kw)
        back = backward_forms(len(shape_of(x)), len(shape_of(y)), **kw)
        if i == 0:
            return sum_to(contract(back[0], g, y), shape_of(x))
        return sum_to(contract(back[1], x, g), shape_of(y))

    def jvp(ts: Sequence[Any], z: Any, x: Any, y: Any, **kw: Any) -> Any:
        u, v = ts
        return add_up((None if u is None else op(u, y, **kw), None if v is None else op(x, v, **kw)))

    op = Op(name, "bilinear", forward, vjp, jvp, arity=2, form=form, **fields)
    return op


def general(
    name: str,
    forward: Callable[..., Any],
    vjp: Callable[..., Any],
    jvp: Callable[..., Any],
    *,
    arity: int | None = 1,
    **fields: Any,
) -> Op:
    """Declare an op by both of its derivatives, where none of the other kinds fits.

    `vjp(i, g, z, *xs, **kw)` is the cotangent of operand i, `jvp(ts, z, *xs, **kw)` the tangent of the
    result, where `ts[i]` is None for an operand that does not move.

    >>> import autodiff as ad, numpy as np
    >>> length = ad.general("length_example", lambda x: np.sqrt(np.sum(x * x)), lambda i, g, z, x: g * x / z,
    ...                     lambda ts, z, x: np.sum(ts[0] * x) / z, sample=lambda rng: [((rng.normal(size=3),), {})])
    >>> ad.grad(length)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    return Op(name, "general", forward, vjp, jvp, arity=arity, **fields)


def _sample_elementwise(arity: int, domain: tuple[float, float]) -> Sampler:
    def sample(rng: np.random.Generator) -> list[Case]:
        def draw(*shape: int) -> Any:
            return rng.uniform(*domain, shape)

        if arity == 1:
            return [((draw(3, 4),), {}), ((draw(),), {}), ((draw(0),), {})]
        return [
            (tuple(draw(3, 4) for _ in range(arity)), {}),
            ((draw(4), *(draw(3, 1) for _ in range(arity - 1))), {}),
            ((draw(2, 3), *(draw() for _ in range(arity - 1))), {}),
        ]

    return sample


# ---------------------------------------------------------------- what rules are made of


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an operand; plain numbers have ()."""
    try:
        return x.shape  # type: ignore[no-any-return]
    except AttributeError:
        return ()


def dtype_of(*xs: Any) -> Any:
    """The dtype that the operands have together; plain numbers take their partners'."""
    own = [x.dtype for x in xs if hasattr(x, "dtype") and (shape_of(x) or hasattr(x, "__apply__"))]
    return np.result_type(*(own or [np.float64]))


def add_up(terms: Iterable[Any]) -> Any:
    """The sum of the terms that are not None; None if there are none."""
    total = None
    for t in terms:
        if t is not None:
            total = t if total is None else total + t
    return total


def sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` back over the axes that broadcasting from `shape` added: broadcasting's adjoint."""
    have = shape_of(g)
    if have == shape:
        return g
    axes = _grown_axes(have, shape)
    if axes != ():
        g = TABLE["sum"](g, axis=axes, keepdims=True)
    return TABLE["reshape"](g, shape=shape) if shape_of(g) != shape else g


@lru_cache(4096)
def _grown_axes(have: tuple[int, ...], shape: tuple[int, ...]) -> int | tuple[int, ...]:
    extra = len(have) - len(shape)
    axes = tuple(range(extra)) + tuple(i for i, n in enumerate(have) if i >= extra and shape[i - extra] == 1 and n != 1)
    return axes[0] if len(axes) == 1 else axes


def _carrier(partial: Any, arity: int) -> Callable[[Any, Any, tuple[Any, ...]], Any]:
    """How a cotangent or tangent passes a partial derivative: times it, but nothing is done for 1, -1 and 0."""
    if callable(partial):
        if arity == 1:
            return lambda g, z, xs: g * partial(z, xs[0])
        if arity == 2:  # a call with a star takes twice as long
            return lambda g, z, xs: g * partial(z, xs[0], xs[1])
        return lambda g, z, xs: g * partial(z, *xs)
    if partial is None:
        return lambda g, z, xs: None
    if partial == 1:
        return lambda g, z, xs: g
    return (lambda g, z, xs: -g) if partial == -1 else (lambda g, z, xs: g * partial)


def _broadcast_like(t: Any, z: Any) -> Any:
    # A tangent has its result's shape, also where the operand that moves was the smaller one.
    return TABLE["broadcast_to"](t, shape=shape_of(z)) if t is not None and shape_of(t) != shape_of(z) else t


def _split(form: str) -> tuple[str, str, str]:
    operands, out = form.split("->")
    a, b = operands.split(",")
    return a, b, out


class _Plan(NamedTuple):
    """How to lower a two-operand index form to one matrix product.

    Indices are batch (in a, b and out), row (a and out), column (b and out) or summed (a and b only);
    an index of one operand alone that does not reach the result is summed beforehand.  Orders are axes
    for transpose, None where they are in order already.
    """

    alone_a: tuple[int, ...]
    alone_b: tuple[int, ...]
    order_a: tuple[int, ...] | None
    order_b: tuple[int, ...] | None
    order_out: tuple[int, ...] | None
    batch: int
    rows: int
    summed: int
    simple: bool  # one row, one column, one summed index: a product of two matrices as they are


@cache
def _plan(form: str) -> _Plan:
    a, b, out = _split(form)
    if set(out) - set(a) - set(b) or any(len(set(s)) < len(s) for s in (a, b, out)):
        raise ValueError(f"the index form {form!r} repeats an index or makes one up")
    alone_a = tuple(i for i, s in enumerate(a) if s not in b and s not in out)
    alone_b = tuple(i for i, s in enumerate(b) if s not in a and s not in out)
    a = "".join(s for s in a if s in b or s in out)
    b = "".join(s for s in b if s in a or s in out)
    batch = [s for s in out if s in a and s in b]
    rows, columns = [s for s in out if s not in b], [s for s in out if s not in a]
    summed = [s for s in a if s not in out]
    result = batch + rows + columns

    def order(axes: Sequence[int]) -> tuple[int, ...] | None:
        return tuple(axes) if list(axes) != list(range(len(axes))) else None

    return _Plan(
        alone_a,
        alone_b,
        order([a.index(s) for s in batch + rows + summed]),
        order([b.index(s) for s in batch + summed + columns]),
        order([result.index(s) for s in out]),
        len(batch),
        len(rows),
        len(summed),
        simple=not (batch or alone_a or alone_b) and len(rows) == len(columns) == len(summed) == 1,
    )


def contract(form: str, a: Any, b: Any) -> Any:
    """The product of `a` and `b` summed as `form` says, by transposes and one matrix product.

    np.einsum takes 6 to 8 times as long at the sizes of small networks.

    >>> contract("ij,kj->ik", np.ones((2, 3)), np.ones((4, 3))).shape
    (2, 4)
    """
    plan = _plan(form)
    sum_, matmul = TABLE["sum"], TABLE["matmul"]
    if plan.alone_a:
        a = sum_(a, axis=plan.alone_a)
    if plan.alone_b:
        b = sum_(b, axis=plan.alone_b)
    if plan.order_a:
        a = _turned(a, plan.order_a)
    if plan.order_b:
        b = _turned(b, plan.order_b)
    z = matmul(a, b) if plan.simple else _flattened_product(plan, a, b)
    return _turned(z, plan.order_out) if plan.order_out else z


def _turned(x: Any, axes: tuple[int, ...]) -> Any:
    # A matrix's own attribute takes a tenth of the op's call, which counts on small networks.
    return x.T if axes == (1, 0) else TABLE["transpose"](x, axes=axes)


def _flattened_product(plan: _Plan, a: Any, b: Any) -> Any:
    """Several row, column or summed indices become one of each for the product, and come back after it."""
    matmul, reshape = TABLE["matmul"], TABLE["reshape"]
    batch_a, left, inner = _cut(shape_of(a), plan.batch, plan.rows)
    batch_b, _, right = _cut(shape_of(b), plan.batch, plan.summed)
    z = matmul(reshape(a, (*batch_a, math.prod(left), math.prod(inner))), reshape(b, (*batch_b, math.prod(inner), math.prod(right))))
    return reshape(z, (*np.broadcast_shapes(batch_a, batch_b), *left, *right))


def _cut(shape: tuple[int, ...], first: int, second: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    return shape[:first], shape[first : first + second], shape[first + second :]
