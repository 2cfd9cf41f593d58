"""Copies and files: pickle, deepcopy, copy, ad.save and ad.load give back the same graph, and bad files are told from good ones."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.node import order
from tests.cases import declared


def by_file(tree: Any) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        ad.save(os.path.join(folder, "graph.npz"), tree)
        return ad.load(os.path.join(folder, "graph.npz"))


WAYS = {
    "pickle": lambda tree: pickle.loads(pickle.dumps(tree)),
    "pickle, protocol 2": lambda tree: pickle.loads(pickle.dumps(tree, protocol=2)),
    "deepcopy": copy.deepcopy,
    "file": by_file,
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def scalar_graph() -> Any:
    a, b = ad.Value(2.0, name="a"), ad.Value(-3.0, name="b")
    with ad.scope("net"):
        z = (a * b + 2 * a - 1 / b) ** 2
    z = ad.maximum(z, 3.0) * ad.constant(0.5, name="half") + ad.where(a > 0, b, a)
    return (ad.sum([z, a, 1.0, b]) + ad.dot([a, 2.0, b], [b, a, 1.0])).named("E"), [a, b]


def tensor_graph() -> Any:
    rng = np.random.default_rng(0)
    W = ad.Tensor(rng.normal(size=(3, 4)), name="W")
    b = ad.Tensor(rng.normal(size=3).astype(np.float32), name="b")
    x = ad.constant(rng.normal(size=(4, 2)), name="x")
    with ad.scope("layer"):
        z = ad.log_softmax(W @ x + b.reshape(3, 1), axis=0)
    y = z[np.array([0, 2, 2])][:, ::-1] * np.array([[1.0, 2.0]])
    y = ad.concatenate([y, ad.stack([z[0], z[..., 1, :]])], axis=0)
    mask = np.array([True, False, True, True, False])
    return (y[mask, None].mean(axis=(0, 2)) * np.float32(2) + z.max(keepdims=True)).sum(axis=None).named("E"), [W, b]


GRAPHS = {"Value": scalar_graph, "Tensor": tensor_graph}
every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)


def same_graph(a: Any, b: Any) -> None:
    # Pickle keeps leaves as objects of their own, which come back before the results do.
    ours, theirs = ([*(n for n in order(x) if n.op is None), *(n for n in order(x) if n.op is not None)] for x in (a, b))
    for m, n in zip(ours, theirs, strict=True):
        assert type(m) is type(n)
        assert (m.op, m.name, m.scope, m.active, m.shape) == (n.op, n.name, n.scope, n.active, n.shape)
        assert np.array_equal(m._data, n._data)
        assert np.asarray(m._data).dtype == np.asarray(n._data).dtype
        assert np.array_equal(m.grad, n.grad) if m.grad is not None else n.grad is None
        assert m.id != n.id
        assert len(m.args) == len(n.args)
        assert str(m.kw) == str(n.kw)


@every_way
@every_graph
@pytest.mark.parametrize("after_backward", [False, True])
def test_the_same_graph_comes_back(way: Any, graph: Any, after_backward: bool) -> None:
    E, variables = graph()
    if after_backward:
        E.backward()
    want = ad.gradient(E, variables)
    back = way(E)
    same_graph(E, back)
    twins = [n for n in order(back) if n.op is None and n.active]
    for g, h in zip(want, ad.gradient(back, sorted(twins, key=lambda n: [v.name for v in variables].index(n.name))), strict=True):
        assert np.array_equal(g, h)
    for g, h in zip(want, ad.gradient(back, twins, record=True), strict=False):
        assert h.shape == np.shape(g)
    back.backward()
    for v in variables:
        assert v.grad is None or after_backward


@every_way
def test_shared_leaves_stay_shared(way: Any) -> None:
    for w in (ad.Value(3.0), ad.Tensor([3.0])):
        back = way({"w": w, "losses": [w * w, w * 2], "again": (w,)})
        assert back["again"][0] is back["w"]
        for loss in back["losses"]:
            loss.backward()
        assert back["w"].grad == 8.0
        assert w.grad is None


@every_way
@every_graph
def test_a_stale_graph_stays_stale(way: Any, graph: Any) -> None:
    E, variables = graph()
    fresh = variables[0] * 2
    variables[0].data = variables[0].data * 2
    newer = variables[0] * 3
    back = way([E, newer, variables[0]])
    with pytest.raises(ad.StaleGraph):
        back[0].backward()
    back[1].backward(*([] if back[1].shape == () else [np.ones(back[1].shape)]))
    assert np.all(back[2].grad == 3.0)
    with pytest.raises(ad.StaleGraph):
        ad.gradient(way(fresh if fresh.shape == () else fresh.sum()), [])


@every_way
@every_graph
def test_the_copy_and_the_original_are_independent(way: Any, graph: Any) -> None:
    E, variables = graph()
    want = ad.gradient(E, variables)
    back = way(E)
    for n in order(back):
        if n.op is None:
            n.data = np.zeros(n.shape) if n.shape else 0.0
    E.backward()
    assert all(np.array_equal(v.grad, g) for v, g in zip(variables, want, strict=True))
    with pytest.raises(ad.StaleGraph):
        back.backward()


def test_a_deep_copy_does_not_see_a_constant_s_array_change() -> None:
    a = np.array([1.0, 2.0])
    x, c = ad.Tensor([3.0, 4.0]), ad.constant(a)
    back = copy.deepcopy([x, (x * c * a).sum()])
    a[...] = 100.0
    back[1].backward()
    assert back[0].grad.tolist() == [1.0, 4.0]


@every_way
def test_data_that_comes_back_is_read_only(way: Any) -> None:
    x = ad.Tensor([1.0, 2.0])
    with ad.no_record():
        fixed = x * 2
    back = way([x, x * 2, fixed, fixed * 2])
    for n in back:
        with pytest.raises(ValueError, match=r"recorded data|read-only"):
            n.data[0] = 5.0


@every_way
def test_what_is_recorded_afterwards_is_younger(way: Any) -> None:
    x = way(ad.Value(2.0))
    y = x * x
    back = way(y)
    (back * x).backward()
    assert x.grad == 4.0


@pytest.mark.parametrize("kind", [ad.Value, ad.Tensor])
def test_copy_copy_is_a_second_node_of_the_same_making(kind: Any) -> None:
    x = kind(3.0, name="x")
    y = (x * x).named("y")
    y.backward()
    z = copy.copy(y)
    assert z is not y
    assert (z.op, z.name, z.grad) == (y.op, "y", None)
    assert all(a is b for a, b in zip(z.args, y.args, strict=True))
    x.zero_grad()
    (z + y).backward()
    assert x.grad == 12.0
    leaf = copy.copy(x)
    leaf.data = 5.0
    assert x.item() == 3.0
    (x * 2).backward()


@pytest.mark.parametrize("kind", [ad.Value, ad.Tensor])
def test_a_stale_result_cannot_be_copied(kind: Any) -> None:
    x = kind(3.0)
    y = x * x
    x.data = 5.0
    with pytest.raises(ad.StaleGraph):
        copy.copy(y).backward()


@every_way
def test_loading_while_nothing_is_recorded_or_in_a_scope(way: Any) -> None:
    x = ad.Value(2.0)
    y = x * x
    with ad.no_record(), ad.scope("here"):
        back = way(y)
    assert back.active
    assert back.scope == ()
    back.backward()


def test_gradients_of_a_pickle_are_its_own() -> None:
    x = ad.Tensor([1.0, 2.0])
    (x * 2).sum().backward()
    back = copy.deepcopy(x)
    back.grad[...] = 9.0
    assert x.grad.tolist() == [2.0, 2.0]


# ---------------------------------------------------------------- files


def test_a_file_holds_containers_arrays_and_plain_things(tmp_path: Path) -> None:
    tree = {
        "w": ad.Tensor(np.ones((2, 2), np.float32)),
        3: [1, 2.5, True, None, "text", (1, (2,))],
        "array": np.arange(3),
        "mask": np.array([True]),
        "numbers": [np.float32(0.1), np.int64(7), np.inf, -0.0],
        "empty": {},
        ("tuple", 1): np.zeros((0, 3)),
    }
    ad.save(tmp_path / "t.npz", tree)
    back = ad.load(str(tmp_path / "t.npz"))
    assert list(back) == list(tree)
    assert back[3] == tree[3]
    assert [type(x) for x in back[3]] == [type(x) for x in tree[3]]
    assert back["array"].tolist() == [0, 1, 2]
    assert back["mask"].dtype == bool
    assert [type(x) for x in back["numbers"]] == [type(x) for x in tree["numbers"]]
    assert np.signbit(back["numbers"][3])
    assert back["numbers"][0] == np.float32(0.1)
    assert back["tuple", 1].shape == (0, 3)
    assert back["w"].dtype == np.float32


def test_nan_inf_and_denormals_survive(tmp_path: Path) -> None:
    numbers = [np.nan, np.inf, -np.inf, 5e-324, -0.0, 0.1 + 0.2, 1e308]
    ad.save(tmp_path / "n.npz", [ad.Value(x) for x in numbers])
    for x, v in zip(numbers, ad.load(tmp_path / "n.npz"), strict=True):
        assert np.array(x).tobytes() == np.array(v.data).tobytes() or (np.isnan(x) and np.isnan(v.data))


@pytest.mark.parametrize("bad", [object(), {1, 2}, lambda: 0, np.array([object()]), 1j, np.array(["a"])], ids=lambda x: type(x).__name__)
def test_what_cannot_be_saved_is_refused_and_leaves_the_old_file(bad: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    ad.save(path, {"w": 1.0})
    with pytest.raises(ad.BadOperand, match="cannot be saved"):
        ad.save(path, {"w": 2.0, "bad": bad})
    assert ad.load(path) == {"w": 1.0}
    assert os.listdir(tmp_path) == ["w.npz"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.npz"
    ad.save(path, {"w": 1.0})

    def full(*args: Any, **kw: Any) -> None:
        args[0].write(b"half")
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OSError, match="no space"):
            ad.save(path, {"w": 2.0})
    assert ad.load(path) == {"w": 1.0}
    assert os.listdir(tmp_path) == ["w.npz"]


def test_a_file_takes_its_name_only_when_its_bytes_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        right = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, right=right: done.append(name) or right(*args))
    ad.save(tmp_path / "w.npz", {"w": 1.0})
    assert done == ["fsync", "replace"]


def test_the_path_is_taken_as_it_is(tmp_path: Path) -> None:
    ad.save(tmp_path / "no_suffix", 1.0)
    assert ad.load(tmp_path / "no_suffix") == 1.0
    with pytest.raises(FileNotFoundError, match=r"there is no file .*absent\.npz; name a file that ad\.save wrote"):
        ad.load(tmp_path / "absent.npz")
    with pytest.raises(IsADirectoryError, match=r"is a folder; name a file that ad\.save wrote"):
        ad.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        ad.save(tmp_path / "absent" / "w.npz", 1.0)


def good_file(tmp_path: Path) -> Path:
    E, _ = tensor_graph()
    ad.save(tmp_path / "good.npz", {"E": E, "x": np.ones(3)})
    return tmp_path / "good.npz"


def rewritten(path: Path, change: Any) -> Path:
    """The file with its JSON text changed."""
    with np.load(path) as archive:
        arrays = dict(archive)
    document = json.loads(arrays["graph"].tobytes())
    document = change(document) or document
    arrays["graph"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
    np.savez(path, **arrays)
    return path


def test_a_newer_format_is_told(tmp_path: Path) -> None:
    path = rewritten(good_file(tmp_path), lambda d: d.update(format=99))
    with pytest.raises(ad.BadFile, match=r"good\.npz is of format 99.*newer autodiff"):
        ad.load(path)


DAMAGE = {
    "no format": lambda d: d.pop("format"),
    "format a text": lambda d: d.update(format="1"),
    "no rows": lambda d: d.pop("rows"),
    "no tree": lambda d: d.pop("tree"),
    "a list": lambda d: [1],
    "a row too short": lambda d: d["rows"][0].pop(),
    "a row of nothing": lambda d: d["rows"].__setitem__(0, ["tuple"]),
    "a node that is not there": lambda d: d.update(tree=["node", 10_000]),
    "an array that is not there": lambda d: d.update(tree=["array", 10_000]),
    "an unknown kind": lambda d: d.update(tree=["code", "print()"]),
    "a wrong dtype": lambda d: d.update(tree=["number", "nonsense", 1]),
    "an operand from below zero": lambda d: d["rows"][-1].__setitem__(4, ["tuple", -7, -7]),
    "operands that are not there": lambda d: d["rows"][-1].__setitem__(4, ["tuple", 500, 501]),
    "another class": lambda d: d["rows"][0].__setitem__(1, "Popen"),
    "no rows in the list": lambda d: d.update(rows=[]),
    "rows of numbers": lambda d: d.update(rows=[1, 2, 3]),
    "an empty list": lambda d: d.update(tree=[]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_a_bad_file(name: str, tmp_path: Path) -> None:
    path = rewritten(good_file(tmp_path), DAMAGE[name])
    with pytest.raises(ad.BadFile, match=r"good\.npz|kind|'code'|Popen|row"):
        ad.load(path)


def test_truncated_files_are_bad_files(tmp_path: Path) -> None:
    path = good_file(tmp_path)
    whole = path.read_bytes()
    for length in {0, 1, 10, len(whole) // 3, len(whole) // 2, len(whole) - 30, len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(ad.BadFile):
            ad.load(path)


def test_flipped_bytes_are_bad_files_or_harmless(tmp_path: Path) -> None:
    path = good_file(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 200, replace=False):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(ad.BadFile):
            ad.load(path)


def test_foreign_files_are_bad_files(tmp_path: Path) -> None:
    foreign = {
        "text": b"not an archive",
        "json": b'{"format": 1}',
        "pickle": pickle.dumps({"w": 1.0}),
    }
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    foreign["npy"] = buffer.getvalue()
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.ones(3))
    foreign["npz"] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("graph.npy", b"nonsense")
    foreign["zip"] = buffer.getvalue()
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ad.BadFile, match=name):
            ad.load(tmp_path / name)


def test_a_file_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    np.savez(tmp_path / "evil.npz", graph=np.array([Evil()], dtype=object))
    with pytest.raises(ad.BadFile):
        ad.load(tmp_path / "evil.npz")
    assert not (tmp_path / "ran").exists()


def test_an_op_of_one_s_own_must_be_declared_before_loading(tmp_path: Path) -> None:
    with declared():
        cube = ad.elementwise("cube_saved", lambda x: x * x * x, lambda z, x: 3 * x * x)
        ad.save(tmp_path / "w.npz", cube(ad.Tensor(2.0)))
        dumped = pickle.dumps(cube(ad.Tensor(2.0)))
    with pytest.raises(ad.NoRule, match="cube_saved"):
        ad.load(tmp_path / "w.npz")
    with pytest.raises(ad.NoRule, match="cube_saved"):
        pickle.loads(dumped)


def test_a_saved_file_is_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    ad.save(tmp_path / "w.npz", 1.0)
    assert (tmp_path / "w.npz").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("keep", [copy.deepcopy, lambda world: pickle.loads(pickle.dumps(world))], ids=["deepcopy", "pickle"])
def test_of_graphs_kept_together_the_stale_stay_stale_and_the_fresh_stay_fresh(keep: Any) -> None:
    x = ad.Tensor([1.0, 2.0], name="x")
    early = np.sum(x * 3)
    x.data = np.array([5.0, 6.0])
    late = np.sum(x * x)
    early_too = np.sum(x * 3 + early)
    for world in ([x, early, late, early_too], [x, late, early, early_too], [late, early_too, x, early], [early, x, late, early_too]):
        back = dict(zip(map(id, world), keep(world), strict=True))
        back[id(late)].backward()
        assert back[id(x)].grad.tolist() == [10.0, 12.0]
        for root in (early, early_too):
            with pytest.raises(ad.StaleGraph):
                back[id(root)].backward()
            assert back[id(root)].item() == root.item()
