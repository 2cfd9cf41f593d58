"""Plots of training, as matplotlib figures: each function returns one, which shows itself in a notebook and has `.savefig(path)`.

No window is ever opened and no global state of matplotlib touched, so it works without a display.  Needs the package matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np

import autodiff as ad

from .data import Dataset, class_numbers, dataset_of
from .extras import need
from .layers import arrays, assign
from .train import History, Model, class_scores
from .watch import Watch

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#F0E442")  # Okabe and Ito: for all eyes
MOST_IMAGES = 64
DPI = 150
LONGEST = 20  # letters of a name


def learning_curves(history: History) -> Any:
    """Loss, on a logarithmic axis, and accuracy over the epochs, with the best epoch marked."""
    measured = [e.accuracy if e.val_accuracy is None else e.val_accuracy for e in history]
    panels = 1 if all(m is None for m in measured) else 2
    figure = _figure(4.2 * panels, 3.0)
    axes = np.ravel(figure.subplots(1, panels, squeeze=False))
    epochs = range(1, len(history) + 1)
    for ax, what, scale in zip(axes, ("loss", "accuracy"), (1, 100), strict=False):
        for name, label, colour in ((what, "learnt from", COLOURS[0]), (f"val_{what}", "held out", COLOURS[1])):
            numbers = [getattr(e, name) for e in history]
            if all(n is not None for n in numbers):
                ax.plot(epochs, [scale * n for n in numbers], color=colour, label=label, marker="." if len(history) < 20 else None)
        ax.set(xlabel="epoch", ylabel="loss E" if what == "loss" else "accuracy, %")
        if len(history) > 1:
            ax.axvline(history.best + 1, color="#999999", linewidth=0.8, linestyle=":", label="best")
        ax.legend(frameon=False)
        _whole_numbers(ax)
    if all(e.loss > 0 for e in history):
        axes[0].set_yscale("log")
    return figure


def boundary(model: Model, data: Any) -> Any:
    """The regions in which each class is likeliest, and the examples, a Dataset or a pair (x, t); for data of two numbers."""
    return boundaries(model, data, {0: arrays(model.parameters())}, titles=[""])


def boundaries(model: Model, data: Any, parameters: dict[int, dict[str, Any]], titles: Sequence[str] | None = None) -> Any:
    """The regions of the classes as they move: one picture for each set of parameters, such as `Watch.parameters`.

    Raises ShapeMismatch unless each example is two numbers, ValueError for targets that are no classes.  The model's own
    parameters stay as they are.
    """
    data = dataset_of(data)
    if data.x.shape[1] != 2:
        raise ad.ShapeMismatch(f"regions can be drawn of examples of 2 numbers; these have {data.x.shape[1]}")
    chosen = _spread(list(parameters), 8)
    titles = titles or ["before training" if k == 0 else f"after {k} epoch{'s' if k > 1 else ''}" for k in chosen]
    columns = min(len(chosen), 4)
    rows = math.ceil(len(chosen) / columns)
    side = 2.6 if len(chosen) > 1 else 4.0
    figure = _figure(side * columns + 0.8, side * rows + 0.2)
    axes = np.ravel(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False))
    margin = 0.12 * np.ptp(data.x, axis=0) + 1e-9
    low, high = data.x.min(axis=0) - margin, data.x.max(axis=0) + margin
    across, up = np.meshgrid(*(np.linspace(a, b, 120) for a, b in zip(low, high, strict=True)))
    own = arrays(model.parameters())
    try:
        for ax, k, title in zip(axes, chosen, titles, strict=False):
            assign(model.parameters(), parameters[k])
            scores = class_scores(model, np.column_stack([across.ravel(), up.ravel()]))
            _regions(ax, scores.reshape(*across.shape, -1), (low[0], high[0], low[1], high[1]))
            _points(ax, data)
            ax.set_title(title, fontsize=9)
    finally:
        assign(model.parameters(), own)
    for ax in axes[len(chosen) :]:
        ax.axis("off")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8, title="class")
    return figure


def _regions(ax: Any, scores: Any, extent: tuple[float, float, float, float]) -> None:
    """Each place in the colour of its class, the paler the less certain."""
    if np.any(scores < 0) or not np.allclose(scores.sum(axis=2), 1):
        scores = ad.softmax(scores, axis=2)
    palette = np.array([_rgb(c) for c in COLOURS])[np.arange(scores.shape[2]) % len(COLOURS)]
    best = scores.argmax(axis=2)
    sure = (scores.max(axis=2) - 1 / scores.shape[2]) / (1 - 1 / scores.shape[2])
    ax.imshow(1 - (1 - palette[best]) * (0.1 + 0.4 * sure[..., None]), origin="lower", extent=extent, aspect="auto")
    if best.min() < best.max():
        across, up = np.linspace(*extent[:2], best.shape[1]), np.linspace(*extent[2:], best.shape[0])
        for c in range(best.min(), best.max()):
            ax.contour(across, up, best > c, [0.5], colors="#333333", linewidths=0.6)


def _points(ax: Any, data: Dataset) -> None:
    labels = class_numbers(data.t)
    for c in np.unique(labels):
        name = _text(data.classes[c] if c < len(data.classes) else str(c))
        ax.scatter(*data.x[labels == c].T, color=COLOURS[c % len(COLOURS)], label=name, s=9, edgecolors="white", linewidths=0.4)
    names = [_text(f) for f in data.features] or ["x1", "x2"]
    ax.set(xlabel=names[0], ylabel=names[1])
    ax.label_outer()


def weights(W: Any, image: tuple[int, ...] | None = None, name: str = "W1", inputs: Sequence[str] = ()) -> Any:
    """The weights of a Linear: each unit's row as an image of shape `image`, or the whole matrix; blue is negative, red positive.

    `inputs` are the names of the inputs, shown if there are at most 40.
    """
    W = np.asarray(W.data if isinstance(W, ad.Tensor) else W)
    if W.ndim != 2 or (image is not None and math.prod(image) != W.shape[1]):
        raise ad.ShapeMismatch(
            f"weights have shape (units, inputs){f', inputs filling images of shape {image}' if image else ''}, not {W.shape}"
        )
    size = float(np.abs(W).max()) or 1.0
    options = {"cmap": "RdBu_r", "vmin": -size, "vmax": size}
    if image is None:
        tall = W.shape[0] > W.shape[1]  # the long side lies
        table = W.T if tall else W
        figure = _figure(min(2.2 + 0.25 * table.shape[1], 9), min(1.2 + 0.25 * table.shape[0], 7))
        ax = figure.subplots()
        shown = ax.imshow(table, aspect="auto" if max(W.shape) > 32 else "equal", **options)
        ax.set(xlabel="unit" if tall else "input", ylabel="input" if tall else "unit", title=name)
        _whole_numbers(ax, both=True)
        if len(inputs) == W.shape[1] <= 40 and tall:
            ax.set_yticks(range(len(inputs)), [_text(i) for i in inputs], fontsize=8)
        elif len(inputs) == W.shape[1] <= 40:
            ax.set_xticks(range(len(inputs)), [_text(i) for i in inputs], fontsize=8, rotation=40, ha="right")
        figure.colorbar(shown, ax=ax)
        return figure
    units = W[:MOST_IMAGES]
    columns = math.ceil(math.sqrt(len(units) * 1.6))
    rows = math.ceil(len(units) / columns)
    figure = _figure(0.72 * columns + 0.8, 0.72 * rows + 0.5)
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for ax in axes:
        ax.axis("off")
    for ax, row in zip(axes, units, strict=False):
        shown = ax.imshow(row.reshape(image), **options)
    figure.suptitle(f"{name}: " + (f"{len(units)} of {len(W)} units" if len(units) < len(W) else f"{len(W)} units"), fontsize=10)
    figure.colorbar(shown, ax=list(axes), shrink=0.8)
    return figure


def layers_over_time(watch: Watch) -> Any:
    """Four panels over the epochs, a line a layer: size of gradients, spread of activations, share of flat outputs, share of dead units.

    Flat outputs (sigmoid and tanh near their ends, relu at 0) let nearly no gradient pass; dead units are flat for every example.
    """
    epochs = [look.epoch for look in watch.looks]
    figure = _figure(8.4, 5.2)
    axes = np.ravel(figure.subplots(2, 2, sharex=True))
    panels = (
        ("gradient, root mean square", {p: [look.gradients[p] for look in watch.looks] for p in watch.looks[0].gradients if p[0] == "W"}),
        ("activation, standard deviation", {y: [look.activations[y][1] for look in watch.looks] for y in watch.looks[0].activations}),
        ("flat outputs, %", {y: [100 * look.flat[y] for look in watch.looks] for y in watch.looks[0].flat}),
        ("dead units, %", {y: [100 * look.dead[y] for look in watch.looks] for y in watch.looks[0].dead}),
    )
    for ax, (title, lines) in zip(axes, panels, strict=True):
        for (name, numbers), colour in zip(lines.items(), COLOURS * len(lines), strict=False):
            ax.plot(epochs, numbers, label=name, color=colour, marker="." if len(epochs) < 20 else None)
        ax.set_title(title, fontsize=10)
        if lines:
            ax.legend(frameon=False, ncols=math.ceil(len(lines) / 6), fontsize=8)
        else:
            ax.text(0.5, 0.5, "no sigmoid, tanh or relu", ha="center", va="center", transform=ax.transAxes, color="#777777")
        if title.endswith("%"):
            ax.set_ylim(-3, 103)
        _whole_numbers(ax)
    if all(n > 0 for numbers in panels[0][1].values() for n in numbers):
        axes[0].set_yscale("log")
    for ax in axes[2:]:
        ax.set_xlabel("epochs trained")
    return figure


def confusion(table: Any, classes: Sequence[str] = ()) -> Any:
    """The matrix of `train.confusion` with its counts; mistakes are orange, the darker the more of their class."""
    table = np.asarray(table)
    names = [_text(c) for c in classes] or [str(c) for c in range(len(table))]
    if table.shape != (len(names), len(names)):
        raise ad.ShapeMismatch(f"a confusion matrix has a row and a column for each of the {len(names)} classes, not shape {table.shape}")
    side = 1.4 + 0.45 * len(table) + 0.06 * max(map(len, names))
    figure = _figure(side + 0.4, side)
    ax = figure.subplots()
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(table), dtype=bool)
    shade = np.where(right, 0.15 + 0.5 * share, np.minimum(3 * share, 1) ** 0.5)[..., None]
    base = np.where(right[..., None], _rgb(COLOURS[0]), _rgb(COLOURS[1]))
    ax.imshow(1 - (1 - base) * np.where(table[..., None] > 0, shade, 0.0))
    for (i, j), count in np.ndenumerate(table):
        if count:
            ax.text(j, i, str(count), ha="center", va="center", fontsize=9, color="white" if shade[i, j, 0] > 0.55 else "black")
    steep = max(map(len, names)) > 3
    ax.set_xticks(range(len(names)), names, rotation=40 if steep else 0, ha="right" if steep else "center")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="taken for", ylabel="is")
    return figure


# ---------------------------------------------------------------- figures


@cache
def _figure_class() -> Any:
    class Picture(need("matplotlib.figure").Figure):  # type: ignore[misc]
        """A figure that shows itself in any notebook."""

        def _repr_png_(self) -> bytes:
            return png(self)

    return Picture


def _figure(width: float, height: float) -> Any:
    return _figure_class()(figsize=(width, height), layout="constrained")


def png(figure: Any) -> bytes:
    """A figure as the bytes of a PNG file."""
    out = BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()


def _whole_numbers(ax: Any, both: bool = False) -> None:
    ax.xaxis.get_major_locator().set_params(integer=True)
    if both:
        ax.yaxis.get_major_locator().set_params(integer=True)
    else:
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)


def _text(name: str) -> str:
    """A name as matplotlib prints it as it is, if it is not too long: a dollar would start a formula."""
    return (name if len(name) <= LONGEST else name[: LONGEST - 1] + "…").replace("$", r"\$")


def _rgb(colour: str) -> Any:
    return np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])


def _spread(items: list[int], most: int) -> list[int]:
    """At most so many of the items, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]
