"""Plots and the watch behind them: what they show, and that they draw for every kind of model."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import autodiff as ad
from nets import Linear, ReLU, Sequential, Sigmoid, Softmax, TwoLayer, data, losses, mlp, train
from nets.train import Epoch, History, fit
from nets.two_layer import ByRows
from nets.watch import Watch

pytest.importorskip("matplotlib")
from nets import plots


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(plots, "DPI", 40)


POINTS = data.spirals(60)


def drawn(figure):
    assert figure._repr_png_().startswith(b"\x89PNG")
    return figure


def test_curves_show_the_numbers_of_the_history():
    history = History([Epoch(1.0 / k, 0.5, 2.0 / k, 0.4, 0.1) for k in (1, 2, 4)], best=2)
    loss, accuracy = drawn(plots.learning_curves(history)).axes
    assert [list(line.get_ydata()) for line in loss.lines[:2]] == [[1.0, 0.5, 0.25], [2.0, 1.0, 0.5]]
    assert list(accuracy.lines[0].get_ydata()) == [50.0] * 3 and loss.get_yscale() == "log"
    assert list(loss.lines[2].get_xdata()) == [3, 3]


@pytest.mark.parametrize(
    "epochs",
    [
        [Epoch(1.0, None, None, None, 0.1)],
        [Epoch(0.0, 1.0, 0.0, 1.0, 0.1)] * 2,
        [Epoch(1.0, 0.5, float("inf"), 0.5, 0.1), Epoch(1.0, 0.5, float("nan"), 0.5, 0.1)],
    ],
)
def test_curves_of_odd_histories(epochs):
    drawn(plots.learning_curves(History(epochs, best=0)))


def test_regions_follow_the_parameters_and_leave_the_model():
    model = mlp(2, 3, seed=0)
    before = np.array(model.parameters()["W1"].data)
    sure = {"W1": [[30.0, 0.0], [-30.0, 0.0], [0.0, 0.0]], "b1": [0.0, 0.0, -9.0]}
    figure = drawn(plots.boundaries(model, POINTS, {0: {n: np.array(a) for n, a in sure.items()}}))
    image = figure.axes[0].images[0].get_array()
    left, right = np.array(image)[60, 5], np.array(image)[60, -5]
    assert right[2] > right[0] and left[0] > left[2]  # blue, class 0, on the right; orange, class 1, on the left
    assert np.array_equal(model.parameters()["W1"].data, before)
    with pytest.raises(ad.ShapeMismatch, match="regions can be drawn of examples of 2 numbers; these have 4"):
        plots.boundary(mlp(4, 2), data.Dataset(np.ones((2, 4)), [0, 1]))


@pytest.mark.parametrize(
    "model", [mlp(2, 1, seed=0), mlp(2, 4, 3, seed=0), Sequential(Linear(2, 3), Softmax()), ByRows(TwoLayer.random(2, 4, 3))]
)
def test_regions_of_every_kind_of_model(model):
    drawn(plots.boundary(model, POINTS))


def test_regions_of_one_output_are_the_same_by_score_and_by_probability():
    model, points = mlp(2, 8, 1, activation="tanh", seed=1), data.xor(40)
    score, probability = (
        drawn(plots.boundary(m, (points.x, points.t))).axes[0] for m in (model, Sequential(*model.modules, Sigmoid()))
    )  # fmt: skip
    by_score, by_probability = (np.array(ax.images[0].get_array()) for ax in (score, probability))
    assert np.allclose(by_score, by_probability)
    blue = by_score[..., 2] > by_score[..., 0]
    assert 0.05 < blue.mean() < 0.95  # there are regions of both classes


@pytest.mark.parametrize(
    "targets", [lambda t: t, lambda t: 2 * t - 1, lambda t: t[:, None], lambda t: 0.1 + 0.8 * t, lambda t: np.eye(2)[t]]
)
def test_points_have_the_colour_and_the_name_of_their_class(targets):
    points = data.xor(40)
    figure = drawn(plots.boundary(mlp(2, 1, seed=0), data.Dataset(points.x, targets(points.t), classes=("no", "yes"))))
    for c, shown in enumerate(figure.axes[0].collections[-2:]):
        assert np.array_equal(shown.get_offsets(), points.x[points.t == c])
        assert np.allclose(shown.get_facecolor()[0, :3], plots._rgb(plots.COLOURS[c]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no", "yes"]
    second = data.Dataset(points.x[points.t == 1], points.t[points.t == 1])
    alone = plots.boundary(mlp(2, 2, seed=0), second).axes[0].collections[-1]
    assert np.allclose(alone.get_facecolor()[0, :3], plots._rgb(plots.COLOURS[1]))  # class 1, though there is no other
    with pytest.raises(ValueError, match="targets of classes are class numbers"):
        plots.boundary(mlp(2, 1, seed=0), (points.x, points.x[:, 0]))


def test_weights_as_images_and_as_a_matrix(monkeypatch):
    monkeypatch.setattr(plots, "MOST_IMAGES", 4)
    W = np.arange(7 * 6.0).reshape(7, 6) - 20
    images = drawn(plots.weights(ad.Tensor(W), (2, 3)))
    assert "4 of 7 units" in images.get_suptitle()
    assert np.array_equal(images.axes[1].images[0].get_array(), W[1].reshape(2, 3)) and images.axes[0].images[0].get_clim() == (-21, 21)
    assert np.array_equal(drawn(plots.weights(W)).axes[0].images[0].get_array(), W.T)
    assert [label.get_text() for label in drawn(plots.weights(W[:3], inputs=list("abcde$"))).axes[0].get_xticklabels()][-1] == r"\$"
    drawn(plots.weights(np.zeros((1, 1))))


def test_confusion_shows_counts_and_any_names():
    ax = drawn(plots.confusion([[3, 1], [0, 0]], ["$\\bad", "<b>"])).axes[0]
    assert [text.get_text() for text in ax.texts] == ["3", "1"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: plots.weights(np.ones(3)), r"\(units, inputs\), not \(3,\)"),
        (lambda: plots.weights(np.ones((3, 5)), (2, 3)), r"images of shape \(2, 3\), not \(3, 5\)"),
        (lambda: plots.confusion([1, 2]), r"each of the 2 classes, not shape \(2,\)"),
        (lambda: plots.confusion([[1, 2], [3, 4]], ["a"]), "each of the 1 classes"),
    ],
)
def test_shapes_that_cannot_be_drawn(make, says):
    with pytest.raises(ad.ShapeMismatch, match=says):
        make()


def test_the_watch_names_what_has_no_name_by_its_place():
    class Gated(Linear):
        def forward(self, x):
            z = super().forward(x)
            return z * ad.sigmoid(z) + ad.sigmoid(z + 1)

    watch = Watch(Sequential(Linear(2, 4), Gated(4, 3), seed=0), (POINTS.x, POINTS.t))
    assert list(watch.looks[0].flat) == ["layer2/sigmoid", "layer2/sigmoid 2"]


def test_the_watch_sees_dead_units_and_gradients():
    model = Sequential(Linear(2, 4, seed=0), ReLU(), Linear(4, 3, seed=0))
    model[0].W.data = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    model[0].b.data = np.array([0.0, 0.0, -1.0, 1.0])
    x = np.array([[1.0, 0.0], [-1.0, 0.0]])
    look = Watch(model, data.Dataset(x, [0, 1])).looks[0]
    assert look.dead == {"y1": 0.25} and look.flat == {"y1": 0.5}
    E = losses.cross_entropy(model(x), [0, 1])
    assert look.gradients["W1"] == pytest.approx(np.sqrt(np.mean(ad.gradient(E, model[0].W) ** 2)))
    assert look.activations["y1"] == (pytest.approx(0.5), pytest.approx(0.5))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_the_watch_sees_saturation(activation):
    model = mlp(2, 5, 3, activation=activation, seed=0)
    assert Watch(model, POINTS).looks[0].flat["y1"] < 0.05
    model[0].W.data *= 1e6
    look = Watch(model, POINTS).looks[0]
    assert look.flat["y1"] > 0.95 and look.dead["y1"] > 0.5


@pytest.mark.parametrize("make", [lambda: mlp(2, 5, 3, seed=0), lambda: mlp(2, 3, seed=0), lambda: ByRows(TwoLayer.random(2, 4, 3))])
def test_layers_over_time(make):
    model = make()
    loss = losses.cross_entropy if isinstance(model, Sequential) else train.partial(losses.cross_entropy, from_logits=False)
    watch = Watch(model, POINTS, loss=loss)
    fit(model, POINTS, epochs=5, each_epoch=watch, loss=loss, quiet=True)
    assert [look.epoch for look in watch.looks] == list(range(6)) and sorted(watch.parameters) == [0, 1, 2, 4, 5]
    figure = drawn(plots.layers_over_time(watch))
    assert [line.get_label() for line in figure.axes[0].lines] == [n for n in model.parameters() if n[0] == "W"]


def test_watching_changes_no_training(tmp_path):
    bare, watched = mlp(2, 5, 3, seed=0), mlp(2, 5, 3, seed=0)
    watch = Watch(watched, POINTS)
    fit(bare, POINTS, epochs=3, quiet=True)
    fit(watched, POINTS, epochs=3, each_epoch=watch, quiet=True)
    assert all(np.array_equal(p.data, watched.parameters()[n].data) for n, p in bare.parameters().items())
    options = {"epochs": 2, "checkpoint": tmp_path / "c.npz", "quiet": True}
    first, second = mlp(2, 5, 3, seed=0), mlp(2, 5, 3, seed=1)
    fit(first, POINTS, each_epoch=Watch(first, POINTS), **options)
    again = Watch(second, POINTS)
    fit(second, POINTS, each_epoch=again, resume=True, **{**options, "epochs": 3})
    assert again.looks == watch.looks and sorted(again.parameters) == sorted(watch.parameters)


def test_no_display_and_no_global_state():
    drawn(plots.learning_curves(History([Epoch(1.0, 0.5, None, None, 0.1)], best=0)))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_without_matplotlib_it_says_so(monkeypatch):
    plots._figure_class.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match="matplotlib must be installed"):
        plots.weights(np.ones((2, 2)))
    plots._figure_class.cache_clear()
