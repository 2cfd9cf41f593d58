"""PyTorch and JAX as second opinions: a recorded graph run by their functions instead of ours.

An op finds its counterpart through the table: in JAX by the name of its NumPy function, which JAX keeps
with all keyword arguments; in PyTorch by that name where the op is elementwise, else in the list below.
What has no counterpart raises NoCounterpart and is said.  Neither library is needed: `installed` looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..node import Node
from ..ops import Op
from ..ops.products import explicit
from ..tensor import Tensor
from .replay import replay

Kw = dict[str, Any]


class NoCounterpart(Exception):
    """A peer has no function for an op of the graph."""


class Peer:
    """A library that computes a graph's numbers and gradients by functions of its own."""

    name = ""
    module = ""

    def __init__(self) -> None:
        self.version = metadata.version(self.module)
        self.own = self._own_names()

    def _own_names(self) -> dict[str, Callable[..., Any]]:
        """Counterparts of ops by name, as functions of the list of operands and the keyword arguments."""
        raise NotImplementedError

    def _by_numpy_name(self, op: Op) -> Callable[..., Any] | None:
        raise NotImplementedError

    def _operand(self, x: Any, dtype: Any) -> Any:
        raise NotImplementedError

    def numpy(self, x: Any) -> Any:
        """A result of the peer as an array."""
        raise NotImplementedError

    def pull(self, f: Callable[..., Any], xs: Sequence[Any], w: Any) -> tuple[Any, list[Any]]:
        """`f(*xs)` and the cotangents of xs for the cotangent `w` of the result, as arrays."""
        raise NotImplementedError

    def compute(self, op: Op, xs: list[Any], kw: Kw) -> Any:
        """The op on operands of either library; raises NoCounterpart."""
        call = _moved(op) if op.name in MOVES else self.own.get(op.name) or self._by_numpy_name(op)
        if call is None:
            raise NoCounterpart(f"{self.name} has no counterpart of {op.name}")
        dtype = np.result_type(*[self._dtype(x) for x in xs if self._dtype(x).kind == "f"] or [np.float64])
        operands = [self._operand(x, dtype) for x in xs]
        try:
            return call(operands, kw)
        except Exception as error:  # whatever a library says to arguments that it does not take
            raise NoCounterpart(f"{self.name} does not take {op.name} like this: {str(error).partition(chr(10))[0]}") from None

    def _dtype(self, x: Any) -> Any:
        """The dtype an operand asks for: a plain number, and a constant of no axes, takes its partner's."""
        if not isinstance(x, np.ndarray):
            return np.dtype(bool) if isinstance(x, bool | int | float | np.generic) else self.numpy_dtype(x)
        return x.dtype if x.ndim else np.dtype(bool)

    def numpy_dtype(self, x: Any) -> Any:
        raise NotImplementedError

    def value_and_gradient(self, nodes: list[Any], root: Any, targets: list[Any], w: Any) -> tuple[Any, list[Any]]:
        """The root's numbers and the gradients of the targets, computed by the peer from the targets' numbers."""

        def run(*xs: Any) -> Any:
            values = {t.id: x for t, x in zip(targets, xs, strict=True)}
            replay(nodes, values, self.compute)
            return values[root.id]

        return self.pull(run, [np.asarray(t._data) for t in targets], np.asarray(w, root.dtype if isinstance(root, Tensor) else float))

    def local(self, n: Any, w: Any) -> tuple[Any, list[Any]]:
        """One node alone: its numbers and what a cotangent gives each active operand."""
        places = [i for i, a in enumerate(n.args) if isinstance(a, Node) and a.active]

        def run(*moved: Any) -> Any:
            xs = [a._data if isinstance(a, Node) else a for a in n.args]
            for i, x in zip(places, moved, strict=True):
                xs[i] = x
            return self.compute(n.op, xs, n.kw)

        return self.pull(run, [np.asarray(n.args[i]._data) for i in places], w)


# Ops that choose and repeat entries and do nothing else: what they do to the places 0, 1, 2, ... says all.
MOVES = {"flip", "flipud", "fliplr", "roll", "rot90", "tile", "repeat", "take", "take_along_axis", "delete", "diagonal", "borders"}


def _moved(op: Op) -> Callable[..., Any]:
    def call(xs: list[Any], kw: Kw) -> Any:
        shape = tuple(xs[0].shape)
        return xs[0].reshape(-1)[np.array(op.forward(np.arange(int(np.prod(shape))).reshape(shape), **kw))]

    return call


def _mirrored(f: Callable[..., Any], home: Any) -> Callable[..., Any]:
    """A function of a symmetric matrix, given one triangle of it as NumPy is; the peers' own derivative is the symmetric part."""

    def call(xs: list[Any], kw: Kw) -> Any:
        upper = kw.get("UPLO", "L").upper() == "U"
        half, beside = (home.triu(xs[0]), home.triu(xs[0], 1)) if upper else (home.tril(xs[0]), home.tril(xs[0], -1))
        return f(half + beside.swapaxes(-1, -2))

    return call


def _flat_index(x: Any, index: Any) -> Any:
    """Which entries, counted through, an index picks: so every kind of index is one that both libraries have."""
    return np.array(np.arange(int(np.prod(x.shape))).reshape(tuple(x.shape))[index])


class PyTorch(Peer):
    """PyTorch on the CPU, through autograd."""

    name, module = "PyTorch", "torch"

    def _operand(self, x: Any, dtype: Any) -> Any:
        torch = self.torch
        x = torch.as_tensor(np.array(x)) if not isinstance(x, torch.Tensor) else x
        return x if x.dtype == torch.bool else x.to(getattr(torch, np.dtype(dtype).name))

    def numpy(self, x: Any) -> Any:
        return x.detach().numpy()

    def numpy_dtype(self, x: Any) -> Any:
        return np.dtype(str(x.dtype).removeprefix("torch."))

    def pull(self, f: Callable[..., Any], xs: Sequence[Any], w: Any) -> tuple[Any, list[Any]]:
        torch = self.torch
        moving = [torch.tensor(x, requires_grad=True) for x in xs]
        y = f(*moving)
        if not y.requires_grad:
            return self.numpy(y), [np.zeros_like(x) for x in xs]
        found = torch.autograd.grad(y, moving, torch.as_tensor(np.array(w)).to(y.dtype).reshape(y.shape), allow_unused=True)
        return self.numpy(y), [np.zeros_like(x) if g is None else self.numpy(g) for g, x in zip(found, xs, strict=True)]

    def _by_numpy_name(self, op: Op) -> Callable[..., Any] | None:
        if op.kind != "elementwise" or op.name == "sinc":  # PyTorch's derivative of sinc is 0 nearer to 0 than 1e-8
            return None
        found = [getattr(self.torch, f.__name__, None) for f in op.numpy]
        return next((lambda xs, kw, f=f: f(*xs, **kw) for f in found if f is not None), None)

    def _own_names(self) -> dict[str, Callable[..., Any]]:
        self.torch = torch = import_module("torch")

        def axes(x: Any, axis: Any) -> tuple[int, ...]:
            return tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)

        def reduction(f: Callable[..., Any]) -> Callable[..., Any]:
            def call(xs: list[Any], kw: Kw) -> Any:
                dims = axes(xs[0], kw.get("axis"))
                return f(xs[0], dim=dims, keepdim=kw.get("keepdims", False)) if xs[0].ndim else xs[0]

            return call

        def along(f: Callable[..., Any]) -> Callable[..., Any]:
            return lambda xs, kw: f(xs[0], dim=0 if kw.get("axis") is None else kw["axis"])

        def scatter(xs: list[Any], kw: Kw) -> Any:
            into = torch.zeros(int(np.prod(kw["shape"])), dtype=xs[0].dtype)
            places = _flat_index(np.empty(kw["shape"]), kw["index"])
            return into.index_add(0, torch.as_tensor(places.ravel()), xs[0].broadcast_to(places.shape).reshape(-1)).reshape(kw["shape"])

        def norm(xs: list[Any], kw: Kw) -> Any:
            return torch.linalg.vector_norm(xs[0], kw.get("p", 2), axes(xs[0], kw.get("axis")), kw.get("keepdims", False))

        def dot(xs: list[Any], kw: Kw) -> Any:
            x, y = xs
            if x.ndim == 0 or y.ndim == 0:
                return x * y
            return x @ y if y.ndim < 3 else torch.tensordot(x, y, dims=([-1], [-2]))

        def running(f: Callable[..., Any]) -> Callable[..., Any]:
            return lambda xs, kw: f(xs[0].reshape(-1), dim=0) if kw.get("axis") is None else f(xs[0], dim=kw["axis"])

        def prod(xs: list[Any], kw: Kw) -> Any:
            keep, product = kw.get("keepdims", False), xs[0]
            for axis in sorted((a % product.ndim for a in axes(product, kw.get("axis"))), reverse=True):
                product = torch.prod(product, dim=axis, keepdim=keep)
            return product

        def sort(xs: list[Any], kw: Kw) -> Any:
            axis = kw.get("axis", -1)
            return torch.sort(xs[0].reshape(-1) if axis is None else xs[0], dim=-1 if axis is None else axis).values

        def det(xs: list[Any], kw: Kw) -> Any:
            z = torch.linalg.det(xs[0])
            if torch.any(z == 0):
                raise NoCounterpart("PyTorch takes the derivative of det of a singular matrix for 0, which it is not")
            return z

        def joined(xs: list[Any], kw: Kw) -> Any:
            axis = kw.get("axis", 0)
            return torch.cat([x.reshape(-1) for x in xs]) if axis is None else torch.cat(xs, dim=axis)

        return {
            "pow": lambda xs, kw: torch.pow(*xs),
            "identity": lambda xs, kw: xs[0].clone(),
            "sigmoid": lambda xs, kw: torch.sigmoid(*xs),
            "relu": lambda xs, kw: torch.relu(*xs),
            "softplus": lambda xs, kw: torch.logaddexp(xs[0], torch.zeros_like(xs[0])),
            "where": lambda xs, kw: torch.where(xs[0].bool(), xs[1], xs[2]),
            "sum_of": lambda xs, kw: sum(xs[1:], xs[0]),
            "dot_of": lambda xs, kw: sum(a * b for a, b in zip(xs[: len(xs) // 2], xs[len(xs) // 2 :], strict=True)),
            "attach": lambda xs, kw: xs[0].clone(),
            "sum": reduction(torch.sum),
            "mean": reduction(torch.mean),
            "max": reduction(torch.amax),
            "min": reduction(torch.amin),
            "logsumexp": reduction(torch.logsumexp),
            "softmax": along(torch.softmax),
            "log_softmax": along(torch.log_softmax),
            "matmul": lambda xs, kw: torch.matmul(*xs),
            "dot": dot,
            "outer": lambda xs, kw: torch.outer(*xs),
            "einsum": lambda xs, kw: torch.einsum(explicit(kw["subscripts"], [x.ndim for x in xs]), *xs),
            "trace": lambda xs, kw: torch.trace(*xs),
            "diag": lambda xs, kw: torch.diag(*xs),
            "norm": norm,
            "inv": lambda xs, kw: torch.linalg.inv(*xs),
            "solve": lambda xs, kw: torch.linalg.solve(*xs),
            "logdet": lambda xs, kw: torch.linalg.slogdet(*xs)[1],
            "reshape": lambda xs, kw: torch.reshape(xs[0], (kw["shape"],) if isinstance(kw["shape"], int) else kw["shape"]),
            "transpose": lambda xs, kw: xs[0].permute(*(kw.get("axes") or reversed(range(xs[0].ndim)))) if xs[0].ndim else xs[0],
            "broadcast_to": lambda xs, kw: torch.broadcast_to(xs[0], (kw["shape"],) if isinstance(kw["shape"], int) else kw["shape"]),
            "cast": lambda xs, kw: xs[0].to(getattr(torch, np.dtype(kw["dtype"]).name)),
            "getitem": lambda xs, kw: xs[0].reshape(-1)[torch.as_tensor(_flat_index(xs[0], kw["index"]))],
            "scatter": scatter,
            "concatenate": joined,
            "stack": lambda xs, kw: torch.stack(xs, dim=kw.get("axis", 0)),
            "clip": lambda xs, kw: torch.clip(*torch.broadcast_tensors(*xs)),
            "erf": lambda xs, kw: torch.erf(*xs),
            "erfc": lambda xs, kw: torch.erfc(*xs),
            "gelu": lambda xs, kw: 0.5 * xs[0] * torch.erfc(-xs[0] * 0.5**0.5),  # its own loses all digits far to the left
            "rint": lambda xs, kw: torch.round(*xs),
            "prod": prod,
            "cumsum": running(torch.cumsum),
            "cumprod": running(torch.cumprod),
            "sort": sort,
            "tril": lambda xs, kw: torch.tril(xs[0], kw.get("k", 0)),
            "triu": lambda xs, kw: torch.triu(xs[0], kw.get("k", 0)),
            "det": det,
            "detsign": lambda xs, kw: torch.linalg.slogdet(*xs)[0],
            "pinv": lambda xs, kw: torch.linalg.pinv(*xs),
            "svdvals": lambda xs, kw: torch.linalg.svdvals(*xs),
            "eigvalsh": _mirrored(torch.linalg.eigvalsh, torch),
            "cholesky": _mirrored(torch.linalg.cholesky, torch),
        }


class JAX(Peer):
    """JAX in double precision, which is switched on for the run only."""

    name, module = "JAX", "jax"

    def _operand(self, x: Any, dtype: Any) -> Any:
        x = self.jnp.asarray(x)
        return x if x.dtype == bool else x.astype(dtype)

    def numpy(self, x: Any) -> Any:
        return np.asarray(x)

    def numpy_dtype(self, x: Any) -> Any:
        return np.dtype(x.dtype)

    def pull(self, f: Callable[..., Any], xs: Sequence[Any], w: Any) -> tuple[Any, list[Any]]:
        with self.enable_x64(True):
            y, back = self.jax.vjp(f, *map(self.jnp.asarray, xs))
            found = back(self.jnp.asarray(w, y.dtype).reshape(y.shape))
            return self.numpy(y), [self.numpy(g) for g in found]

    def _by_numpy_name(self, op: Op) -> Callable[..., Any] | None:
        homes = (self.jnp, self.jnp.linalg)
        found = [getattr(home, f.__name__, None) for f in op.numpy for home in homes]
        found += [] if op.numpy else [getattr(self.jax.nn, op.name, None)]
        call = next((f for f in found if f is not None), None)
        if call is None:
            return None
        return lambda xs, kw: call(*((xs,) if op.arity is None else xs), **kw)

    def _own_names(self) -> dict[str, Callable[..., Any]]:
        self.jax, self.jnp = import_module("jax"), import_module("jax.numpy")
        home = self.jax if hasattr(self.jax, "enable_x64") else import_module("jax.experimental")
        self.enable_x64 = home.enable_x64
        jnp = self.jnp

        def scatter(xs: list[Any], kw: Kw) -> Any:
            return jnp.zeros(kw["shape"], xs[0].dtype).at[kw["index"]].add(xs[0])

        return {
            "sum_of": lambda xs, kw: sum(xs[1:], xs[0]),
            "dot_of": lambda xs, kw: sum(a * b for a, b in zip(xs[: len(xs) // 2], xs[len(xs) // 2 :], strict=True)),
            "attach": lambda xs, kw: xs[0],
            "where": lambda xs, kw: jnp.where(*xs),
            "einsum": lambda xs, kw: jnp.einsum(kw["subscripts"], *xs),
            "logdet": lambda xs, kw: jnp.linalg.slogdet(xs[0])[1],
            "cast": lambda xs, kw: xs[0].astype(kw["dtype"]),
            "getitem": lambda xs, kw: xs[0].reshape(-1)[_flat_index(xs[0], kw["index"])],
            "scatter": scatter,
            "norm": lambda xs, kw: jnp.linalg.vector_norm(
                xs[0], ord=kw.get("p", 2), axis=kw.get("axis"), keepdims=kw.get("keepdims", False)
            ),
            "trace": lambda xs, kw: jnp.trace(xs[0], **kw),
            "diag": lambda xs, kw: jnp.diag(xs[0], **kw),
            "clip": lambda xs, kw: jnp.clip(*xs),
            "erf": lambda xs, kw: self.jax.scipy.special.erf(*xs),
            "erfc": lambda xs, kw: self.jax.scipy.special.erfc(*xs),
            "gelu": lambda xs, kw: self.jax.nn.gelu(*xs, approximate=False),
            "detsign": lambda xs, kw: jnp.linalg.slogdet(xs[0])[0],
            "eigvalsh": _mirrored(jnp.linalg.eigvalsh, jnp),
            "cholesky": _mirrored(jnp.linalg.cholesky, jnp),
        }


PEERS: tuple[type[Peer], ...] = (PyTorch, JAX)


def installed(peer: type[Peer]) -> bool:
    """Can the peer be asked?  Looks for it without importing it."""
    return find_spec(peer.module) is not None
