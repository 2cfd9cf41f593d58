"""A package `autograd` that is this engine: what lets HIPS autograd's own test files run on it, unchanged.

`autograd.numpy` is plain NumPy, and `grad`, `jacobian`, ... are our transforms.  The checks themselves
(`autograd.test_util`, with `wrap_util` and `util`) are the archive's own files; they need to know how to add and
multiply results in nested containers, which is `Space`.  Complex arguments are left out of a check, and counted.

It is a plugin of pytest: `-p benchmarks.peers.shim`, with the unpacked archive in the environment's AUTOGRAD_SOURCE.
"""

from __future__ import annotations

import builtins
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.containers import leaves, map_leaves, rebuild
from autodiff.node import Node

SOURCE = Path(os.environ["AUTOGRAD_SOURCE"])
checks = {"real": 0, "complex": 0}  # of the test that runs

# ---------------------------------------------------------------- transforms


def make_vjp(f: Any, x: Any) -> Any:
    y, pull = ad.vjp(f, x, allow_unused=True)
    return lambda g: pull(g)[0], y


def make_jvp(f: Any, x: Any) -> Any:
    return lambda v: ad.jvp(f, (x,), (v,), allow_unused=True)


def _one_or_several(argnum: Any) -> Any:
    return argnum if isinstance(argnum, int) else tuple(argnum)


def grad(f: Any, argnum: Any = 0) -> Any:
    return ad.grad(f, _one_or_several(argnum), allow_unused=True)


def value_and_grad(f: Any, argnum: Any = 0) -> Any:
    return ad.value_and_grad(f, _one_or_several(argnum), allow_unused=True)


def elementwise_grad(f: Any, argnum: Any = 0) -> Any:
    return grad(lambda *args, **kw: np.sum(f(*args, **kw)), argnum)


def deriv(f: Any, argnum: int = 0) -> Any:
    def of(*args: Any) -> Any:
        g = lambda x: f(*args[:argnum], x, *args[argnum + 1 :])
        return ad.jvp(g, (args[argnum],), (map_leaves(np.ones_like, args[argnum]),), allow_unused=True)[1]

    return of


def jacobian(f: Any, argnum: Any = 0) -> Any:
    return ad.jacobian(f, argnum, allow_unused=True)


def make_hvp(f: Any, argnum: int = 0) -> Any:
    return lambda x: (lambda v: ad.hvp(f, (x,), (v,)), None)


def tensor_jacobian_product(f: Any, argnum: int = 0) -> Any:
    return lambda x, v: jacobian(lambda x: np.tensordot(v, f(x), axes=np.ndim(v)))(x)


def tensor_hessian_product(f: Any, argnum: int = 0) -> Any:
    return lambda x, v: ad.hvp(f, (x,), (v,))


def make_ggnvp(f: Any, g: Any = lambda y: 0.5 * np.sum(y * y), argnum: int = 0) -> Any:
    def of(x: Any) -> Any:
        def product(v: Any) -> Any:
            y, tangent = ad.jvp(f, (x,), (v,))
            return ad.vjp(f, x)[1](ad.hvp(g, (y,), (tangent,)))[0]

        return product

    return of


def grad_and_aux(f: Any, argnum: int = 0) -> Any:
    def of(*args: Any) -> Any:
        (_, aux), pull = ad.vjp(lambda x: f(*args[:argnum], x, *args[argnum + 1 :]), args[argnum])
        return pull((1.0, np.zeros_like(aux)))[0], aux

    return of


# ---------------------------------------------------------------- spaces of nested numbers


class Space:
    """How results of one shape, which may be nested, are added, scaled and drawn at random."""

    def __init__(self, x: Any) -> None:
        self.tree = map_leaves(lambda leaf: np.zeros(np.shape(leaf), leaf.dtype if hasattr(leaf, "dtype") else float), x)
        self.leaves = [leaf for _, leaf in leaves(self.tree)]
        self.size = sum(leaf.size for leaf in self.leaves)
        self.shape = self.leaves[0].shape if len(self.leaves) == 1 else None

    def __eq__(self, other: Any) -> bool:
        return [(p, x.shape) for p, x in leaves(self.tree)] == [(p, x.shape) for p, x in leaves(other.tree)]

    def __repr__(self) -> str:
        return f"Space({[(p, x.shape) for p, x in leaves(self.tree)]})"

    def _made(self, f: Any) -> Any:
        return map_leaves(lambda leaf: f(*leaf.shape) if leaf.shape else float(f()), self.tree)

    def zeros(self) -> Any:
        return self._made(lambda *shape: np.zeros(shape))

    def ones(self) -> Any:
        return self._made(lambda *shape: np.ones(shape))

    def randn(self) -> Any:
        return self._made(lambda *shape: np.random.randn(*shape))

    def covector(self, x: Any) -> Any:
        return x

    def add(self, x: Any, y: Any) -> Any:
        return rebuild(x, iter([a + b for (_, a), (_, b) in zip(leaves(x), leaves(y), strict=True)]))

    def scalar_mul(self, x: Any, a: float) -> Any:
        return map_leaves(lambda leaf: leaf * a, x)

    def inner_prod(self, x: Any, y: Any) -> Any:
        return sum((np.sum(a * b) for (_, a), (_, b) in zip(leaves(x), leaves(y), strict=True)), 0.0)


# ---------------------------------------------------------------- the package


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def _of_archive(name: str) -> ModuleType:
    """One of autograd's own files, with this package around it."""
    path = SOURCE / (name.replace(".", "/") + ".py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    setattr(sys.modules["autograd"], name.rpartition(".")[2], module)
    spec.loader.exec_module(module)
    return module


def _theirs(*args: Any, **kw: Any) -> Any:
    raise NotImplementedError("autograd's own interface for extensions is not part of this engine")


def _real_only(check_grads: Any) -> Any:
    """The archive's check, left out where an argument is complex."""

    def checker(f: Any, *options: Any, **more: Any) -> Any:
        check = check_grads(f, *options, **more)

        def checked(*args: Any, **kw: Any) -> Any:
            if any(np.iscomplexobj(x) for _, x in leaves((args, kw)) if not isinstance(x, Node)):
                checks["complex"] += 1
                return None
            checks["real"] += 1
            return check(*args, **kw)

        return checked

    return checker


def install() -> None:
    """Put the package into sys.modules."""
    names = ("grad", "value_and_grad", "elementwise_grad", "deriv", "jacobian", "make_hvp", "tensor_jacobian_product", "make_ggnvp")
    transforms = {name: globals()[name] for name in (*names, "grad_and_aux")}
    transforms |= {"hessian": ad.hessian, "hessian_tensor_product": tensor_hessian_product}
    transforms |= dict.fromkeys(("holomorphic_grad", "checkpoint", "primitive"), _theirs)
    containers = {name: getattr(builtins, name) for name in ("tuple", "list", "dict", "isinstance")}
    package = _module("autograd", __path__=[], **transforms, **containers)
    sys.modules["autograd.numpy"] = package.numpy = np  # type: ignore[attr-defined]
    sys.modules["autograd.numpy.random"] = np.random
    sys.modules["autograd.numpy.linalg"] = np.linalg
    _module("autograd.builtins", **containers)
    _module("autograd.core", make_vjp=make_vjp, make_jvp=make_jvp, vspace=Space, primitive_vjps={}, primitive=_theirs)
    _module("autograd.extend", primitive=_theirs, defvjp=_theirs)
    _module("autograd.tracer", primitive=_theirs, isbox=lambda x: isinstance(x, Node))
    _module("autograd.misc", const_graph=_theirs, flatten=_theirs)
    _of_archive("autograd.util")
    unary_to_nary = _of_archive("autograd.wrap_util").unary_to_nary
    package.make_vjp, package.make_jvp = unary_to_nary(make_vjp), unary_to_nary(make_jvp)  # type: ignore[attr-defined]
    util = _of_archive("autograd.test_util")
    util.check_grads = _real_only(util.check_grads)  # type: ignore[attr-defined]


install()

# ---------------------------------------------------------------- what pytest says


def pytest_runtest_setup(item: pytest.Item) -> None:
    checks.update(real=0, complex=0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    report = yield
    if call.when == "call" or report.outcome != "passed":
        text = str(call.excinfo.value).splitlines()[0] if call.excinfo and str(call.excinfo.value) else ""
        kind = call.excinfo.type.__name__ if call.excinfo else ""
        row = {"file": item.path.name, "test": item.name, "outcome": report.outcome, "kind": kind, "text": text, **checks}
        with open(os.environ["PEERS_RESULTS"], "a") as out:
            out.write(json.dumps(row) + "\n")
    return report
