"""Data sets, splits, batches, IDX files, and what is refused."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

import autodiff as ad
from nets import data
from nets.data import Dataset, batches, idx, read_idx

SIZES = {"digits": (1797, 64, 10), "iris": (150, 4, 3), "wine": (178, 13, 3), "breast_cancer": (569, 30, 2)}


@pytest.mark.parametrize("name", data.BY_NAME)
def test_every_set_is_whole(name):
    if name in SIZES:
        pytest.importorskip("sklearn")
    found = data.BY_NAME[name]()
    m, inputs, classes = SIZES.get(name, (len(found), 2, len(found.classes)))
    assert found.x.shape == (m, inputs) and found.t.shape == (m,) and len(found.features) == inputs
    assert set(found.t) == set(range(classes)) and len(found.classes) == classes
    assert np.array_equal(found.x, data.BY_NAME[name]().x)


def test_digits_are_pictures_between_0_and_1():
    pytest.importorskip("sklearn")
    found = data.digits()
    assert found.image == (8, 8) and found.x.min() == 0 and found.x.max() == 1


def test_splits_keep_the_shares_of_classes_and_follow_the_seed():
    whole = data.spirals(100, classes=4)
    train, test = whole.split(0.2, seed=3)
    assert len(train) + len(test) == 100 and np.bincount(test.t).tolist() == [5, 5, 5, 5]
    rows = {row.tobytes() for row in train.x} | {row.tobytes() for row in test.x}
    assert rows == {row.tobytes() for row in whole.x}
    again, other = whole.split(0.2, seed=3)[1], whole.split(0.2, seed=4)[1]
    assert np.array_equal(again.x, test.x) and not np.array_equal(other.x, test.x)
    regression = Dataset(np.arange(10.0)[:, None], np.arange(10.0))
    assert len(regression.split(0.3)[1]) == 3


def test_columns_are_rows_turned():
    found = data.xor(6).columns()
    assert found.x.shape == (2, 6) and np.array_equal(found.t.argmax(axis=0), found.labels) and (found.t.sum(axis=0) == 1).all()


def test_scaling():
    found = Dataset(np.random.default_rng(0).normal(5, 3, size=(50, 2)), np.zeros(50, int))
    scaled = found.scaled(*data.scale_of(found))
    assert np.allclose(scaled.x.mean(axis=0), 0) and np.allclose(scaled.x.std(axis=0), 1)


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_batches_go_through_every_example_once(size):
    parts = list(batches(7, size, np.random.default_rng(0)))
    assert sorted(k for part in parts for k in part) == list(range(7)) and max(map(len, parts)) == min(size, 7)
    again = list(batches(7, size, np.random.default_rng(0)))
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Dataset(np.zeros((0, 4)), []), ValueError, r"no examples: x has shape \(0, 4\)"),
        (lambda: Dataset(np.zeros((3, 0)), [0, 1, 2]), ValueError, "no examples"),
        (lambda: Dataset([1.0, 2.0], [0, 1]), ad.ShapeMismatch, r"x has shape \(2,\) and t \(2,\)"),
        (lambda: Dataset(np.zeros((4, 2)), [0, 1]), ad.ShapeMismatch, "a row and t an entry for each"),
        (lambda: Dataset([[1.0, np.nan]], [0]), ValueError, "x holds nan in row 0, column 1"),
        (lambda: Dataset([[1.0], [2.0]], [0.5, np.inf]), ValueError, "t holds inf in row 1"),
        (lambda: Dataset([["a"]], [0]), ValueError, "x holds numbers, not <U1"),
        (lambda: Dataset([[1.0], [2.0]], ["no", "yes"]), ValueError, r"t holds numbers, not <U3; write classes, t = np.unique"),
        (lambda: Dataset(np.ones(3), [0, 1, 1]), ad.ShapeMismatch, r"write x\[:, None\]"),
        (lambda: Dataset(np.ones((2, 3, 3)), [0, 1]), ad.ShapeMismatch, r"write x.reshape\(len\(x\), -1\)"),
        (lambda: Dataset([[1, 2], [3]], [0, 1]), ad.ShapeMismatch, "the rows of x are not equally long"),
        (lambda: Dataset([[1.0], [2.0]], [0.5, 1.0]).columns(), ValueError, "one-hot targets of class numbers from 0"),
        (lambda: data.xor(4).scaled(0.0, [1.0, 0.0]), ValueError, "a standard deviation of 0; scale_of gives 1"),
        (lambda: data.moons(2.5), ValueError, "count is a whole number, 1 or more, not 2.5"),
        (lambda: data.xor(4).split("0.2"), ValueError, "between 0 and 1, not '0.2'"),
        (lambda: data.xor(4).split(1.0), ValueError, "between 0 and 1, not 1.0"),
        (lambda: data.xor(2, noise=0).split(0.2), ValueError, "2 examples are too few"),
        (lambda: batches(3, 0, np.random.default_rng(0)), ValueError, "1 or more examples, not 0"),
        (lambda: data.moons(0), ValueError, "count is a whole number, 1 or more, not 0"),
        (lambda: data.spirals(10, classes=0), ValueError, "classes is a whole number, 1 or more, not 0"),
    ],
)
def test_bad_data_gets_a_sentence(make, error, says):
    with pytest.raises(error, match=says):
        make()


# ---------------------------------------------------------------- IDX


def idx_bytes(array, code=8):
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.astype(data._IDX_TYPES[code]).tobytes()


def mnist_like(folder, zipped):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, m in (("train", 6), ("t10k", 3)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, size=(m, 4, 5))
        arrays[f"{part}-labels-idx1-ubyte"] = rng.integers(0, 10, size=m)
    for name, array in arrays.items():
        raw = idx_bytes(array)
        (folder / (name + (".gz" if zipped else ""))).write_bytes(gzip.compress(raw) if zipped else raw)
    return arrays


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_of_idx_files(tmp_path, zipped):
    arrays = mnist_like(tmp_path, zipped)
    train, test = idx(tmp_path)
    assert train.image == (4, 5) and np.array_equal(train.x * 255, arrays["train-images-idx3-ubyte"].reshape(6, 20))
    assert np.array_equal(test.t, arrays["t10k-labels-idx1-ubyte"]) and len(test) == 3 and test.classes == train.classes


@pytest.mark.parametrize("code", data._IDX_TYPES)
def test_every_idx_type(tmp_path, code):
    array = np.array([[1, 2, 3], [4, 5, 100]])
    (tmp_path / "a").write_bytes(idx_bytes(array, code))
    assert np.array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is not an IDX file"),
        (b"PK\3\4 what is this", "is not an IDX file"),
        (b"\0\0\x08\3\0\0\0\1", "is not an IDX file"),
        (idx_bytes(np.ones((2, 3)))[:-1], r"holds \(2, 3\) numbers, but has 5"),
        (gzip.compress(idx_bytes(np.ones((2, 300))), mtime=0)[:-9], "is not a whole gzip file"),
        (b"\x1f\x8b nothing of the kind", "is not a whole gzip file"),
    ],
    ids=["empty", "other", "cut head", "cut numbers", "cut gzip", "no gzip"],
)
def test_damaged_idx_files_get_a_sentence(tmp_path, raw, says):
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(ValueError, match=says):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize(("read", "what"), [(data.from_csv, "a CSV file"), (read_idx, "an IDX file")])
def test_a_file_that_is_not_there_gets_a_sentence(read, what, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no file .*none; name {what}, by its whole path or from "):
        read(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match=f"is a folder; name {what}$"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none; name the one with the four IDX files"):
        idx(tmp_path / "none")


def test_a_missing_idx_file_is_named(tmp_path):
    mnist_like(tmp_path, False)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="no file t10k-labels"):
        idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.ones(99)))
    with pytest.raises(ValueError, match="do not belong together"):
        idx(tmp_path)


def test_a_missing_package_gets_a_sentence(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r'scikit-learn must be installed for this: pip install "autodiff-graph\[nets\]"'):
        data.iris()
