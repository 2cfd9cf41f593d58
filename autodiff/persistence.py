"""Graphs as plain rows of data: pickling, deep copies, and files that hold no code.

A graph becomes one row a node, operands before results, with ops by name; so nothing here is recursive
and a graph of a million nodes is saved like any other.  Loading gives every node a fresh id in the same
order, and a stale graph stays stale.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from . import node as switches
from .containers import leaves
from .errors import BadFile, BadOperand, NoRule
from .node import Node, check_fresh, order, tick
from .ops import op_by_name
from .ops.operand import NO_KW
from .tensor import Tensor
from .value import ConstantValue, ValueBase, many
from .value_ops import Value

FORMAT = 1
Arrays = dict[int, tuple[int, Any]]  # by id(): the number of an array in the file, and the array, which keeps its id()
_CLASSES: dict[str, Any] = {"Value": Value, "ConstantValue": ConstantValue, "Tensor": Tensor}


class Row(NamedTuple):
    """What there is to know of one node; `time` and `stamp` are ranks among all ids and stamps saved."""

    kind: str
    active: bool
    op: str | None
    args: tuple[int, ...]  # places of rows, -1 for a plain number or array
    raw: tuple[Any, ...]  # those, in order
    kw: dict[str, Any]
    data: Any
    grad: Any
    name: str | None
    scope: tuple[str, ...]
    partials: tuple[float | None, ...] | None
    time: int
    stamp: int | None  # leaves only


def rows_of(nodes: list[Any]) -> list[Row]:
    """One row a node, for nodes that are in order and complete."""
    place = {n.id: i for i, n in enumerate(nodes)}
    times = sorted({n.id for n in nodes} | {n.stamp for n in nodes if n.op is None})
    rank = {t: i for i, t in enumerate(times)}
    return [
        Row(
            kind="Value" if isinstance(n, Value) else type(n).__name__,
            active=n.active,
            op=None if n.op is None else n.op.name,
            args=tuple(place[a.id] if isinstance(a, Node) else -1 for a in n.args),
            raw=tuple(a for a in n.args if not isinstance(a, Node)),
            kw=n.kw,
            data=n._data,
            grad=n.grad,
            name=n.name,
            scope=n.scope,
            partials=n.partials if isinstance(n, ValueBase) else None,
            time=rank[n.id],
            stamp=rank[n.stamp] if n.op is None else None,
        )
        for n in nodes
    ]


def nodes_of(rows: list[Row], ready: dict[int, Any]) -> list[Any]:
    """The nodes that rows describe; the places in `ready` are filled by nodes that exist already.

    A result that was stale stays stale: where the leaf that it used too early exists already, and other graphs
    may use it freshly, the result gets a copy of that leaf to itself, assigned after it.
    """
    times = [tick() for _ in range(1 + max((max(r.time, r.stamp or 0) for r in rows), default=-1))]
    nodes: list[Any] = []
    outdated: dict[int, Any] = {}

    def operand(place: int, user: Row) -> Any:
        stamp = rows[place].stamp
        if place not in ready or stamp is None or stamp < user.time:
            return nodes[place]
        if place not in outdated:
            outdated[place] = copy_node(ready[place])
            outdated[place].id = times[rows[place].time]
            switches.restamp(outdated[place], times[stamp])
        return outdated[place]

    with switches.Block(switches.recording, True):
        for i, row in enumerate(rows):
            if i in ready:
                nodes.append(ready[i])
                continue
            rest = iter(row.raw)
            n = _node(row, tuple(operand(a, row) if a >= 0 else next(rest) for a in row.args))
            n.id, n.grad, n.name, n.scope = times[row.time], row.grad, row.name, tuple(row.scope)
            if row.stamp is not None:
                switches.restamp(n, times[row.stamp])
            nodes.append(n)
    return nodes


def _node(row: Row, operands: tuple[Any, ...]) -> Any:
    if row.kind not in _CLASSES:
        raise BadFile(f"a row describes a {row.kind!r}, which is neither a Value nor a Tensor")
    if row.op is not None and row.partials is not None:
        moving = [i for i, a in enumerate(operands) if isinstance(a, Node) and a.active]
        n = many(op_by_name(row.op), operands, row.data, [operands[i] for i in moving], [row.partials[i] for i in moving])
        if row.kw:
            n._write("kw", row.kw)
        return n
    n = object.__new__(_CLASSES[row.kind])
    n._data = row.data
    if isinstance(n._data, np.ndarray) and row.active:
        n._data.setflags(write=False)
    n.op = None if row.op is None else op_by_name(row.op)
    if isinstance(n, Tensor):
        n.args, n.kw, n.active = operands, row.kw, row.active
    else:
        n.mark = 0
    return n


# ---------------------------------------------------------------- pickle and copy


def reduce_node(node: Any) -> tuple[Any, ...]:
    """What pickle keeps.  Leaves go as objects of their own, so that graphs pickled together share them."""
    if node.op is None:
        return _leaf_back, (type(node).__name__, node.active, node._data, node.grad, node.name, node.scope)
    nodes = order(node)
    rows = rows_of(nodes)
    own = {i: n for i, n in enumerate(nodes) if n.op is None}
    plain = [tuple(r._replace(data=None, grad=None)) if i in own else tuple(r) for i, r in enumerate(rows)]
    return _result_back, (plain, own)


def _leaf_back(kind: str, active: bool, data: Any, grad: Any, name: str | None, scope: tuple[str, ...]) -> Any:
    (leaf,) = nodes_of([Row(kind, active, None, (), (), NO_KW, data, grad, name, scope, None, 0, 0)], {})
    return leaf


def _result_back(plain: list[tuple[Any, ...]], own: dict[int, Any]) -> Any:
    return nodes_of([Row(*r) for r in plain], own)[-1]


def deepcopy_node(node: Any, memo: dict[int, Any]) -> Any:
    """A copy of the whole graph below a node; what `memo` holds already is shared, as deepcopy has it."""
    nodes = order(node)
    ready = {i: memo[id(n)] for i, n in enumerate(nodes) if id(n) in memo}
    rows = [
        r._replace(raw=copy.deepcopy(r.raw, memo), grad=copy.deepcopy(r.grad, memo), data=r.data if r.active else copy.deepcopy(r.data))
        for r in rows_of(nodes)
    ]
    for old, new in zip(nodes, nodes_of(rows, ready), strict=True):
        memo.setdefault(id(old), new)
    return memo[id(node)]


def copy_node(node: Any) -> Any:
    """A second node with the same data, operands and name, and no gradient; a stale result cannot be copied.

    Raises StaleGraph: the copy would be younger than the assignment, and no longer know that it is stale.
    """
    check_fresh(order(node))
    out = object.__new__(type(node))
    for slot in (slot for cls in type(node).__mro__ for slot in getattr(cls, "__slots__", ())):
        if hasattr(node, slot):
            setattr(out, slot, copy.copy(node._notes) if slot == "_notes" else getattr(node, slot))
    out.id, out.grad = tick(), None
    if out.op is None:
        out.stamp = out.id
    return out


# ---------------------------------------------------------------- files


def save(path: str | os.PathLike[str], tree: Any) -> None:
    """Write nodes with the graphs below them, in nested lists, tuples and dicts, to one file.

    The file is a NumPy .npz archive of arrays and one JSON text; it holds no code, and loading it runs
    none.  It is replaced as a whole, so a failure leaves the old file as it was.  Raises BadOperand for
    what is neither a node, an array, a number, text nor None.

    >>> import autodiff as ad, tempfile, os
    >>> w = ad.Value(3.0, name="w")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ad.save(os.path.join(folder, "w.npz"), {"w": w, "loss": w * w})
    ...     back = ad.load(os.path.join(folder, "w.npz"))
    >>> back["loss"].backward(); back["w"].grad
    6.0
    """
    roots = [leaf for _, leaf in leaves(tree) if isinstance(leaf, Node)]
    nodes = order(*roots) if roots else []
    arrays: Arrays = {}
    place = {n.id: i for i, n in enumerate(nodes)}
    document = {
        "format": FORMAT,
        "rows": [_encode(tuple(row), arrays, place) for row in rows_of(nodes)],
        "tree": _encode(tree, arrays, place),
    }
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    with whole(path) as file:
        np.savez(file, graph=text, **{f"array{i}": a for i, a in arrays.values()})


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write bytes to, which takes its name only once all of them are on the disk; a failure leaves an old one as it was."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else the name could reach the disk before the bytes
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote: the same containers, with fresh nodes in them.

    Raises FileNotFoundError; BadFile for what is not such a file or is of a newer format; NoRule if an op
    of the graph has not been declared in this program.
    """
    if not Path(path).is_file():
        raise no_file(path, "a file that ad.save wrote")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            document = json.loads(archive["graph"].tobytes())
            arrays = [archive[f"array{i}"] for i in range(len(archive.files) - 1)]
        version = document["format"]
        if version > FORMAT:
            raise BadFile(f"{os.fspath(path)} is of format {version}; this version reads formats up to {FORMAT}. Use a newer autodiff")
        rows = [Row(*_decode(row, arrays, [])) for row in document["rows"]]
        nodes = nodes_of(rows, {})
        return _decode(document["tree"], arrays, nodes)
    except Exception as error:  # whatever a damaged file makes go wrong, it is the file that is to blame
        if isinstance(error, BadFile | NoRule | OSError):
            raise
        raise BadFile(f"{os.fspath(path)} is not a whole file that ad.save wrote") from error


def no_file(path: str | os.PathLike[str], wanted: str) -> OSError:
    """The error for a path where `wanted` should be and is not."""
    if Path(path).is_dir():
        return IsADirectoryError(f"{os.fspath(path)} is a folder; name {wanted}")
    return FileNotFoundError(f"there is no file {os.fspath(path)}; name {wanted}, by its whole path or from {Path.cwd()}")


def _encode(x: Any, arrays: Arrays, place: dict[int, int]) -> Any:
    """A thing as JSON: plain where JSON can, else a list that starts with what it is."""
    if x is None or isinstance(x, bool | str) or type(x) in (int, float):
        return x
    if isinstance(x, Node):
        return ["node", place[x.id]]
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub":
        return ["array", arrays.setdefault(id(x), (len(arrays), x))[0]]  # an array used twice stays one array
    if isinstance(x, np.generic) and x.dtype.kind in "fiub":
        return ["number", str(x.dtype), x.item()]
    if isinstance(x, list | tuple):
        return [type(x).__name__ if type(x) in (list, tuple) else "tuple", *(_encode(item, arrays, place) for item in x)]
    if isinstance(x, dict):
        return ["dict", *([_encode(k, arrays, place), _encode(v, arrays, place)] for k, v in x.items())]
    if isinstance(x, slice):
        return ["slice", *(_encode(part, arrays, place) for part in (x.start, x.stop, x.step))]
    if x is Ellipsis:
        return ["..."]
    if isinstance(x, np.dtype) or (isinstance(x, type) and issubclass(x, np.generic)):
        return ["dtype", np.dtype(x).str]
    raise BadOperand(f"a {type(x).__name__} cannot be saved: only nodes, arrays and numbers, text and None, in lists, tuples and dicts")


def _decode(x: Any, arrays: list[Any], nodes: list[Any]) -> Any:
    if not isinstance(x, list):
        return x
    kind, *rest = x
    if kind in ("list", "tuple"):
        items = [_decode(item, arrays, nodes) for item in rest]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        return {_decode(k, arrays, nodes): _decode(v, arrays, nodes) for k, v in rest}
    if kind == "node":
        return nodes[rest[0]]
    if kind == "array":
        return arrays[rest[0]]
    if kind == "number":
        return np.dtype(rest[0]).type(rest[1])
    if kind == "slice":
        return slice(*(_decode(part, arrays, nodes) for part in rest))
    if kind == "dtype":
        return np.dtype(rest[0])
    if kind == "...":
        return Ellipsis
    raise BadFile(f"the file holds a {kind!r}, which this version does not know")
