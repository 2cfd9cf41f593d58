"""Data to learn from: scikit-learn's real sets, made-up ones, CSV files, IDX files such as MNIST's; splits, scaling and batches.

Rows are examples here, as in layers.py; `Dataset.columns()` turns them for the exercise's network, whose
columns are examples.  Nothing is ever downloaded.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad
from autodiff.persistence import no_file

from .extras import need, whole_number


class Examples(NamedTuple):
    """Examples as columns: `x` (inputs, m), one-hot `t` (classes, m), and the classes as integers (m,)."""

    x: Any
    t: Any
    labels: Any


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples as rows: `x` (m, inputs), and `t`, class numbers (m,) or targets (m, ...); with the names people know them by.

    `classes` and `features` are names, `image` the shape of a row that is a picture.  Raises ShapeMismatch
    unless x is a matrix with as many rows as t; ValueError if there are no examples, or where x is not finite.

    >>> Dataset([[0.0, 1.0], [1.0, 1.0]], [1, 0], classes=("no", "yes"))
    Dataset(2 examples of 2 numbers, 2 classes)
    """

    x: Any
    t: Any
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    image: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        x, t = _array("x", self.x), _array("t", self.t)
        if x.ndim != 2 or t.ndim == 0 or len(x) != len(t):
            hint = {1: "; write x[:, None] if each is one number", 2: ""}.get(x.ndim, "; write x.reshape(len(x), -1)" if x.ndim else "")
            raise ad.ShapeMismatch(f"x has shape {x.shape} and t {t.shape}: x needs a row and t an entry for each example{hint}")
        if x.size == 0:
            raise ValueError(f"there are no examples: x has shape {x.shape}")
        for name, array in (("x", x), ("t", t)):
            if array.dtype.kind not in "fiub":
                hint = "; write classes, t = np.unique(t, return_inverse=True)" if name == "t" and array.dtype.kind in "UO" else ""
                raise ValueError(f"{name} holds numbers, not {array.dtype}{hint}")
            if not np.all(np.isfinite(array)):
                index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                raise ValueError(f"{name} holds {array[index]} in row {index[0]}{f', column {index[1]}' if len(index) > 1 else ''}")
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "t", t)

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Dataset({len(self)} examples of {self.x.shape[1]} numbers{classes})"

    def take(self, rows: Any) -> Dataset:
        """These rows, given by numbers or booleans."""
        return replace(self, x=self.x[rows], t=self.t[rows])

    def split(self, share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Two parts: to train on, and held out, which is that share of every class, drawn at random.

        Raises ValueError unless both parts have examples.

        >>> train, held_out = xor(100).split(0.2)
        >>> len(train), len(held_out), np.bincount(held_out.t)
        (80, 20, array([10, 10]))
        """
        if not isinstance(share, int | float | np.number) or not 0 < share < 1:
            raise ValueError(f"the share to hold out lies between 0 and 1, not {share!r}")
        order = np.random.default_rng(seed).permutation(len(self))
        held_out = np.zeros(len(self), bool)
        groups = [order[self.t[order] == c] for c in np.unique(self.t)] if _is_classes(self.t) else [order]
        for rows in groups:
            held_out[rows[: round(share * len(rows))]] = True
        if held_out.all() or not held_out.any():
            raise ValueError(f"{len(self)} examples are too few to hold out a share of {share:g}")
        return self.take(~held_out), self.take(held_out)

    def scaled(self, mean: Any, std: Any) -> Dataset:
        """(x - mean) / std, column by column; `mean` and `std` are usually `scale_of` the part that is trained on."""
        if np.any(np.asarray(std) == 0):
            raise ValueError("a column cannot be divided by a standard deviation of 0; scale_of gives 1 for a column that never changes")
        return replace(self, x=(self.x - mean) / std)

    def columns(self) -> Examples:
        """The same examples as columns, with one-hot targets; raises ValueError unless t is class numbers from 0."""
        if not _is_classes(self.t) or self.t.min() < 0:
            raise ValueError("columns() makes one-hot targets of class numbers from 0, which t is not")
        return Examples(self.x.T, one_hot(self.t, len(self.classes) or int(self.t.max()) + 1), self.t)


def dataset_of(data: Any) -> Dataset:
    """A Dataset as it is, or that of a pair (x, t); raises TypeError for anything else.

    >>> dataset_of(([[0.0], [1.0]], [1, 0]))
    Dataset(2 examples of 1 numbers)
    """
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"data is a Dataset, or a pair (x, t), not {type(data).__name__}")
    return Dataset(*data)


def class_numbers(t: Any) -> Any:
    """Targets of any loss as class numbers: of a row the largest, of one number the side of 0 it is on, or of 1/2 if none is below 0.

    Raises ValueError for targets that are no classes.

    >>> class_numbers(np.array([2, 1])), class_numbers(np.array([-1, 1])), class_numbers(np.array([[0.25], [1.0]]))
    (array([2, 1]), array([0, 1]), array([0, 1]))
    """
    t = t[:, 0] if t.shape[1:] == (1,) else t
    if t.ndim == 2:
        return t.argmax(axis=1)
    if np.all(t == np.round(t)):
        return t.astype(int) if t.min() >= 0 else (t > 0).astype(int)
    if t.min() < 0 or t.max() > 1:
        raise ValueError(f"targets of classes are class numbers, -1 and 1, or from 0 to 1; these go from {t.min():g} to {t.max():g}")
    return (t > 0.5).astype(int)


def scale_of(dataset: Dataset) -> tuple[Any, Any]:
    """Mean and standard deviation of each column of x; 1 for a column that never changes.

    >>> scale_of(Dataset([[1.0, 5.0], [3.0, 5.0]], [0, 1]))
    (array([2., 5.]), array([1., 1.]))
    """
    std = dataset.x.std(axis=0)
    return dataset.x.mean(axis=0), np.where(std > 0, std, 1.0)


def one_hot(labels: Any, classes: int) -> Any:
    """A column for each label, with a 1 in the row of its class.

    >>> one_hot(np.array([1, 0]), 3)
    array([[0., 1.],
           [1., 0.],
           [0., 0.]])
    """
    return np.eye(classes)[:, labels]


def batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Any]:
    """The numbers of all examples once, in random order, `size` at a time; the last batch may be smaller.

    >>> [len(rows) for rows in batches(7, 3, np.random.default_rng(0))]
    [3, 3, 1]
    """
    if size < 1:
        raise ValueError(f"a batch has 1 or more examples, not {size!r}")
    order = rng.permutation(count)
    return (order[start : start + size] for start in range(0, count, size))


def _array(name: str, values: Any) -> Any:
    try:
        return np.asarray(values)
    except ValueError:
        raise ad.ShapeMismatch(f"the rows of {name} are not equally long") from None


def _is_classes(t: Any) -> bool:
    return t.ndim == 1 and t.dtype.kind in "iub"


# ---------------------------------------------------------------- real sets


def digits() -> Dataset:
    """1,797 handwritten digits, 8 x 8 pixels between 0 and 1.

    Optical Recognition of Handwritten Digits, Alpaydin and Kaynak, UCI Machine Learning Repository (1998).
    """
    found = _sklearn("digits")
    return replace(found, x=found.x / 16.0, image=(8, 8))


def iris() -> Dataset:
    """150 irises of 3 kinds by 4 lengths in cm.  Fisher, The use of multiple measurements in taxonomic problems (1936)."""
    return _sklearn("iris")


def wine() -> Dataset:
    """178 wines of 3 cultivars by 13 chemical measurements.  Forina and others, UCI Machine Learning Repository (1991)."""
    return _sklearn("wine")


def breast_cancer() -> Dataset:
    """569 tumours, malignant or benign, by 30 measurements.  Wolberg, Street and Mangasarian, UCI Machine Learning Repository (1993)."""
    return _sklearn("breast_cancer")


def _sklearn(name: str) -> Dataset:
    bunch = getattr(need("sklearn.datasets"), f"load_{name}")()
    return Dataset(bunch.data, bunch.target, tuple(str(c) for c in bunch.target_names), tuple(str(f) for f in bunch.feature_names))


# ---------------------------------------------------------------- made-up sets


def moons(count: int = 200, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Two half circles that reach into each other, with normal noise: what micrograd's demonstration learns, by another generator.

    >>> moons(10)
    Dataset(10 examples of 2 numbers, 2 classes)
    """
    rng, labels = np.random.default_rng(seed), _labels(count, 2)
    angle = rng.uniform(0, math.pi, count)
    upper, lower = np.array([np.cos(angle), np.sin(angle)]), np.array([1 - np.cos(angle), 0.5 - np.sin(angle)])
    return _plane(np.where(labels == 0, upper, lower).T, labels, noise, rng)


def spirals(count: int = 300, classes: int = 3, noise: float = 0.03, seed: int = 0) -> Dataset:
    """Arms of a spiral, one a class, each going three quarters of a turn out from the centre.

    >>> spirals(30, classes=5)
    Dataset(30 examples of 2 numbers, 5 classes)
    """
    rng, labels = np.random.default_rng(seed), _labels(count, classes)
    radius = rng.uniform(0.05, 1.0, count)
    angle = 2 * math.pi * (labels / classes + 0.75 * radius)
    return _plane(np.array([radius * np.cos(angle), radius * np.sin(angle)]).T, labels, noise, rng)


def xor(count: int = 200, noise: float = 0.15, seed: int = 0) -> Dataset:
    """Four clouds around the corners of a square; class 1 where the signs of x1 and x2 differ.

    >>> xor(4, noise=0.0).x.tolist(), xor(4).t.tolist()
    ([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    corner = _labels(count, 4)
    x = 2.0 * np.array([corner // 2, corner % 2]).T - 1
    return _plane(x, (corner // 2) ^ (corner % 2), noise, np.random.default_rng(seed))


def _labels(count: int, classes: int) -> Any:
    return np.arange(whole_number("count", count, 1)) % whole_number("classes", classes, 1)


def _plane(x: Any, labels: Any, noise: float, rng: np.random.Generator) -> Dataset:
    classes = tuple(str(c) for c in range(int(labels.max(initial=0)) + 1))
    return Dataset(x + noise * rng.normal(size=x.shape), labels, classes, ("x1", "x2"))


BY_NAME: dict[str, Callable[[], Dataset]] = {
    "digits": digits,
    "iris": iris,
    "wine": wine,
    "breast_cancer": breast_cancer,
    "moons": moons,
    "spirals": spirals,
    "xor": xor,
}


# ---------------------------------------------------------------- CSV files


class Table(NamedTuple):
    """A CSV file: the names of its columns, if its first line is not numbers alone; its rows as texts, and the line each stands on."""

    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]


def read_csv(path: str | Path) -> Table:
    """A CSV file with commas, semicolons or tabs.

    Raises ValueError, with the line, unless all rows have the same number of cells; FileNotFoundError.
    """
    if not Path(path).is_file():
        raise no_file(path, "a CSV file")
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            head = file.read(4096).partition("\n")[0]
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=head.count), skipinitialspace=True)
            found = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path} is not a text file of comma-separated values: {error}") from None
    if not found:
        raise ValueError(f"{path} is empty")
    width = len(found[0][1])
    for line, row in found:
        if len(row) != width:
            raise ValueError(f"{path}, line {line}: {len(row)} cells, but the first line has {width}")
    named = not any(_is_number(cell) for cell in found[0][1])
    twice = next((name for name in found[0][1] if found[0][1].count(name) > 1), None)
    if named and twice is not None:
        raise ValueError(f"{path} has two columns called {twice!r}")
    body = found[1:] if named else found
    if not body:
        raise ValueError(f"{path} has names of columns, but no rows")
    return Table(tuple(found[0][1]) if named else (), [row for _, row in body], [line for line, _ in body])


def from_csv(path: str | Path) -> Dataset:
    """Examples from a CSV file whose last column is the class, as text or whole numbers; the others are numbers.

    Raises ValueError for anything else, naming line and column.
    """
    table = read_csv(path)
    width = len(table.rows[0])
    if width < 2:
        raise ValueError(f"{path} has one column; the last is the class, so there must be another to learn from")
    labels = [row[-1] for row in table.rows]
    if "" in labels:
        raise ValueError(f"{path}, line {table.lines[labels.index('')]}: no class")
    for line, label in zip(table.lines, labels, strict=True):
        if _is_number(label) and _number(label) is None:
            raise ValueError(f"{path}, line {line}: {label} is no class")
    numbers = [_number(label) for label in labels]
    if any(n is not None and n != round(n) for n in numbers):
        raise ValueError(
            f"{path}: the last column is the class, text or whole numbers, but one is {next(n for n in numbers if n and n % 1)}"
        )
    classes = sorted(set(labels), key=lambda c: (_number(c) is None, _number(c) or 0.0, c))
    if len(classes) < 2:
        raise ValueError(f"{path}: the last column is the class, and is {classes[0]} in every row; there is nothing to tell apart")
    t = np.array([classes.index(label) for label in labels])
    return Dataset(numbers_of(path, table, list(range(width - 1))), t, tuple(classes), table.names[:-1])


def numbers_of(path: str | Path, table: Table, columns: Sequence[int]) -> Any:
    """Columns of a table as an array of rows; raises ValueError, with line and column, for a cell that is no finite number."""
    x = np.empty((len(table.rows), len(columns)))
    for i, row in enumerate(table.rows):
        for j, column in enumerate(columns):
            number = _number(row[column])
            if number is None:
                name = table.names[column] if table.names else column + 1
                raise ValueError(f"{path}, line {table.lines[i]}, column {name}: {row[column]!r} is no number")
            x[i, j] = number
    return x


def _number(text: str) -> float | None:
    """The finite number that a cell is, if it is one."""
    return float(text) if _is_number(text) and math.isfinite(float(text)) else None


def _is_number(text: str) -> bool:
    """Is a cell a number, be it nan or too large? Then its line is not one of names."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python, but no one else, reads 1_000 as a number


# ---------------------------------------------------------------- IDX files

_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def idx(folder: str | Path) -> tuple[Dataset, Dataset]:
    """The parts to train and to test on of MNIST, Fashion-MNIST, ... from the four IDX files in a folder, gzipped or not.

    The files are called `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images...`, `t10k-labels...`,
    with or without `.gz`.  Pixels are divided by 255.  Raises FileNotFoundError, and ValueError for a file that is not whole.
    LeCun, Cortes and Burges, The MNIST database (1998).
    """
    parts = []
    for part in ("train", "t10k"):
        images, labels = read_idx(_idx_file(folder, f"{part}-images")), read_idx(_idx_file(folder, f"{part}-labels"))
        if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels):
            raise ValueError(
                f"{folder}: the {part} images have shape {images.shape}, the labels {labels.shape}; they do not belong together"
            )
        parts.append((images, labels.astype(int)))
    classes = tuple(str(c) for c in range(1 + max(int(labels.max(initial=0)) for _, labels in parts)))
    made = [Dataset(x.reshape(len(x), -1) / 255.0, t, classes, image=x.shape[1:]) for x, t in parts]
    return made[0], made[1]


def _idx_file(folder: str | Path, stem: str) -> Path:
    found = sorted(path for path in Path(folder).glob(f"{stem}*") if path.is_file())
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; name the one with the four IDX files")
    if not found:
        raise FileNotFoundError(f"{folder} holds no file {stem}-idx?-ubyte, plain or .gz")
    return found[0]


def read_idx(path: str | Path) -> Any:
    """The array of one IDX file, gzipped or not: a type, the lengths of the axes, then the numbers, big-endian.

    Raises ValueError if the file is not one, or not whole.
    """
    if not Path(path).is_file():
        raise no_file(path, "an IDX file")
    raw = Path(path).read_bytes()
    try:
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file: {error}") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES or len(raw) < 4 + 4 * raw[3]:
        raise ValueError(f"{path} is not an IDX file")
    start = 4 + 4 * raw[3]
    shape, dtype = tuple(int(n) for n in np.frombuffer(raw[4:start], ">u4")), np.dtype(_IDX_TYPES[raw[2]])
    if len(raw) - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{path} says that it holds {shape} numbers, but has {(len(raw) - start) / dtype.itemsize:g}")
    return np.frombuffer(raw[start:], dtype).reshape(shape).astype(dtype.newbyteorder("="))
