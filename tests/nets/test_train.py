"""Training: histories, early stopping, checkpoints that resume to the same bits, Ctrl-C, numbers that are born infinite."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import autodiff as ad
from nets import Linear, Sequential, Sigmoid, Softmax, TwoLayer, data, losses, mlp, optim, scalar, train
from nets.data import Dataset
from nets.train import Diverged, OtherSettings, born, confusion, evaluate, fit, predict
from nets.two_layer import ByRows

POINTS = data.spirals(90, noise=0.02)
TRAIN, HELD_OUT = POINTS.split(0.3)
quiet = partial(fit, quiet=True)


def net(seed=0):
    return mlp(2, 8, 3, activation="tanh", seed=seed)


def bits(model):
    return {name: np.array(p.data).tobytes() for name, p in model.parameters().items()}


# ---------------------------------------------------------------- what fit does


def test_training_learns_repeats_and_tells():
    runs = []
    for _ in range(2):
        model = net()
        history = quiet(model, TRAIN, held_out=HELD_OUT, epochs=80, batch=8, optimizer=optim.Adam(model, 0.05), keep_best=False, seed=4)
        runs.append((history.epochs, bits(model)))
    assert runs[0] == runs[1] and len(history) == 80 and history.stopped == "finished"
    assert history[-1].loss < 0.3 * history[0].loss and history[-1].accuracy > 0.9 > history[0].accuracy
    assert (history[-1].val_loss, history[-1].val_accuracy) == evaluate(model, HELD_OUT)
    assert repr(history).startswith(f"History(80 epochs, finished, best [{history.best}]: Epoch(loss=")
    assert history.best == int(np.argmin([e.val_loss for e in history]))
    assert quiet(net(), TRAIN, epochs=1, seed=5)[0] != quiet(net(), TRAIN, epochs=1, seed=6)[0]


def test_a_batch_larger_than_the_data_is_all_of_it():
    model, by_hand = net(), net()
    history = quiet(model, TRAIN, epochs=1, batch=10**6, optimizer=optim.SGD(model, 0.1))
    E = losses.cross_entropy(by_hand(TRAIN.x), TRAIN.t)
    E.backward()
    for p in by_hand.parameters().values():
        p.data -= 0.1 * p.grad
    assert history[0].loss == pytest.approx(E.item(), rel=1e-14)
    for p, q in zip(model.parameters().values(), by_hand.parameters().values(), strict=True):
        assert np.allclose(p.data, q.data, rtol=1e-12)


def test_the_best_parameters_come_back():
    model, seen = net(), []
    settings = {"held_out": HELD_OUT, "epochs": 6, "optimizer": optim.SGD(model, lr=3.0)}
    history = quiet(model, TRAIN, **settings, each_epoch=lambda k: seen.append(bits(model)))
    assert history.best < 5 and bits(model) == seen[history.best] != seen[-1]
    assert evaluate(model, HELD_OUT).loss == min(e.val_loss for e in history)


def test_patience():
    model = net()
    history = quiet(model, TRAIN, held_out=HELD_OUT, epochs=500, patience=3, optimizer=optim.SGD(model, lr=3.0))
    assert history.stopped == "patience" and len(history) == history.best + 4


@pytest.mark.parametrize(
    ("loss", "units", "targets", "end"),
    [
        (losses.hinge, 1, lambda t: 2 * t - 1, ()),
        (losses.binary_cross_entropy, 1, lambda t: t, ()),
        (partial(losses.cross_entropy, from_logits=False), 2, lambda t: t, (Softmax(),)),
        (losses.cross_entropy, 2, lambda t: np.eye(2)[t], ()),
    ],
)
def test_every_loss_knows_what_right_is(loss, units, targets, end):
    points = data.moons(80, noise=0.05)
    points = replace(points, t=targets(points.t))
    model = Sequential(Linear(2, 8), *mlp(8, 8, units, activation="tanh").modules, *end, seed=0)
    history = quiet(model, points, loss=loss, epochs=60, batch=16, optimizer=optim.Adam(model, 0.02))
    assert history[-1].accuracy > 0.93 and evaluate(model, points, loss=loss).accuracy > 0.93


def test_regression_has_no_accuracy():
    line = Dataset(np.linspace(-1, 1, 20)[:, None], 3 * np.linspace(-1, 1, 20) + 1)
    model = Linear(1, 1, seed=0)
    history = quiet(model, line, loss=losses.mse, epochs=100, optimizer=optim.SGD(model, 0.1))
    assert history[-1].accuracy is None and history[-1].loss < 1e-6
    assert np.allclose([model.W.data.item(), model.b.data.item()], [3, 1], atol=1e-2)


def test_the_exercises_network_trains_as_one_step_by_hand():
    columns = TwoLayer.random(2, 5, 3, seed=1)
    x, t = TRAIN.columns().x, TRAIN.columns().t
    E = columns(x, t).E
    wanted = {name: p.data - 0.5 * ad.gradient(E, p) for name, p in columns.parameters().items()}
    loss = partial(losses.cross_entropy, from_logits=False)
    history = quiet(ByRows(columns), TRAIN, epochs=1, batch=len(TRAIN), optimizer=optim.SGD(columns, 0.5), loss=loss)
    assert history[0].loss == pytest.approx(E.item(), rel=1e-13)
    assert all(np.allclose(p.data, wanted[name], rtol=1e-11, atol=1e-15) for name, p in columns.parameters().items())


def test_predictions_and_confusion(monkeypatch):
    model = net()
    whole = predict(model, POINTS.x)
    monkeypatch.setattr(train, "AT_ONCE", 7)
    assert type(whole) is np.ndarray and np.allclose(predict(model, POINTS.x), whole, rtol=1e-13)
    table = confusion(model, POINTS)
    assert table.sum(axis=1).tolist() == [30, 30, 30] and np.trace(table) / 90 == evaluate(model, POINTS).accuracy
    assert table[0, 1] == np.sum((POINTS.t == 0) & (whole.argmax(axis=1) == 1))
    assert predict(model, np.zeros((0, 2))).shape == (0, 3)


class Cube(Linear):
    def __init__(self):
        super().__init__(2, 2, seed=0)

    def forward(self, x):
        return super().forward(x).reshape((-1, 1, 2))


@pytest.mark.parametrize("targets", [lambda t: t, lambda t: 2 * t - 1, lambda t: t[:, None], lambda t: 0.1 + 0.8 * t])
def test_confusion_of_one_output(targets):
    points, by_score = data.xor(40), mlp(2, 8, 1, activation="tanh", seed=1)
    by_probability = Sequential(*by_score.modules, Sigmoid())
    scores = predict(by_score, points.x)[:, 0]
    want = [[np.sum((points.t == i) & ((scores > 0) == j)) for j in (0, 1)] for i in (0, 1)]
    assert np.array(want).min() > 0
    for model in (by_score, by_probability):
        assert confusion(model, (points.x, targets(points.t))).tolist() == want


def test_the_history_tells_the_lr_of_each_epochs_last_step(tmp_path):
    lrs = [0.1 / (k + 1) for k in range(9)]  # there is no tenth
    model = net()
    steps = {"epochs": 3, "batch": -(-len(TRAIN) // 3), "optimizer": optim.SGD(model, lr=lambda k: lrs[k])}
    history = quiet(model, TRAIN, **steps, checkpoint=tmp_path / "c.npz")
    assert [epoch.lr for epoch in history] == [lrs[2], lrs[5], lrs[8]]


def test_a_model_is_loaded_from_the_parameters_of_another():
    one, other = net(1), net(2)
    before = bits(other)
    one.load(other.parameters())
    assert bits(one) == before
    quiet(one, TRAIN, epochs=1)
    assert bits(one) != before == bits(other)


def test_a_bar_shows_loss_and_accuracy(monkeypatch, capsys):
    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(tqdm, "tqdm", partial(tqdm.tqdm, mininterval=0))
    fit(net(), TRAIN, epochs=2)
    assert capsys.readouterr().err == ""  # no terminal, no bar
    real = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda **kw: real(**{**kw, "disable": False}))
    fit(net(), TRAIN, held_out=HELD_OUT, epochs=2)
    shown = capsys.readouterr().err
    assert all(word in shown for word in ("loss=", "held_out=", "accuracy="))


# ---------------------------------------------------------------- checkpoints


def settings(model, path, **more):
    optimizer = optim.Adam(model, optim.cosine(0.05, 100), weight_decay=1e-3)
    return {"held_out": HELD_OUT, "batch": 10, "seed": 2, "checkpoint": path, "optimizer": optimizer, **more}


@pytest.mark.parametrize("after", [1, 6, 7, 10, 21])  # steps; an epoch has 7
def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path, after):
    model = net()
    whole = quiet(model, TRAIN, epochs=4, **settings(model, None))

    class Interrupting(optim.Adam):
        def step(self):
            super().step()
            if self.steps == after:
                os.kill(os.getpid(), signal.SIGINT)

    first = net()
    given = settings(first, tmp_path / "c.npz")
    given["optimizer"].__class__ = Interrupting
    Interrupting.__name__ = "Adam"
    stopped = quiet(first, TRAIN, epochs=4, **given)
    assert stopped.stopped == "interrupted" and len(stopped) == after // 7
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    second = net(seed=99)
    resumed = quiet(second, TRAIN, epochs=4, resume=True, **settings(second, tmp_path / "c.npz"))
    assert resumed.epochs == whole.epochs and resumed.best == whole.best and bits(second) == bits(model)


def test_more_epochs_continue_a_finished_run(tmp_path):
    whole, first, second = net(), net(), net(seed=9)
    long = quiet(whole, TRAIN, epochs=5, **settings(whole, None))
    quiet(first, TRAIN, epochs=2, **settings(first, tmp_path / "c.npz"))
    history = quiet(second, TRAIN, epochs=5, resume=True, **settings(second, tmp_path / "c.npz"))
    assert history.epochs == long.epochs and bits(second) == bits(whole)
    third = net(seed=8)
    assert quiet(third, TRAIN, epochs=5, resume=True, **settings(third, tmp_path / "c.npz")).epochs == long.epochs
    assert bits(third) == bits(whole)


def test_a_resumed_run_with_nothing_left_says_so(tmp_path):
    path, first = tmp_path / "c.npz", net()
    quiet(first, TRAIN, epochs=4, **settings(first, path))
    before, second = path.read_bytes(), net(seed=9)
    with pytest.warns(UserWarning, match=r"nothing was left to do: .*c\.npz has 4 epochs, and epochs=3 counts them all; .* more than 4"):
        history = quiet(second, TRAIN, epochs=3, resume=True, **settings(second, path))
    assert history.stopped == "nothing left" and len(history) == 4 and bits(second) == bits(first)
    assert quiet(second, TRAIN, epochs=4, resume=True, **settings(second, path)).stopped == "nothing left"  # a script that is run again
    assert path.read_bytes() == before


def test_a_checkpoint_that_cannot_be_is_told_before_training(tmp_path, monkeypatch):
    model = net()
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*c\.npz to resume; to begin with the first epoch, leave resume=True out"):
        quiet(model, TRAIN, resume=True, **settings(model, tmp_path / "c.npz"))
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        quiet(model, TRAIN, **settings(model, tmp_path / "no" / "c.npz"))
    monkeypatch.setattr(os, "access", lambda path, how: False)
    with pytest.raises(PermissionError, match="is read-only for you"):
        quiet(model, TRAIN, **settings(model, tmp_path / "c.npz"))
    assert bits(model) == bits(net()) and not list(tmp_path.iterdir())


def test_a_second_ctrl_c_raises():
    def twice(k):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        quiet(net(), TRAIN, epochs=5, each_epoch=twice)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def made(tmp_path):
    model = net()
    quiet(model, TRAIN, epochs=1, **settings(model, tmp_path / "c.npz"))
    return tmp_path / "c.npz"


def test_an_earlier_checkpoint_is_not_overwritten(tmp_path):
    path = made(tmp_path)
    before = path.read_bytes()
    model = net()
    with pytest.raises(FileExistsError, match="write resume=True to go on from it"):
        quiet(model, TRAIN, epochs=2, **settings(model, path))
    assert path.read_bytes() == before


def test_checkpoints_take_little_of_the_time(tmp_path, monkeypatch):
    saved, clock, right = [], iter(np.arange(0.0, 99.0, 0.3)), ad.save
    monkeypatch.setattr(train.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(ad, "save", lambda path, tree: saved.append(len(tree["history"])) or right(path, tree))
    model = net()
    quiet(model, TRAIN, epochs=14, **settings(model, tmp_path / "c.npz"))
    assert saved == [1, 12, 14]  # a save takes 0.3 s by this clock, so the next is due after 3 s


def test_a_failure_while_saving_leaves_the_last_whole_checkpoint(tmp_path, monkeypatch):
    path = made(tmp_path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    model = net()
    with pytest.raises(OSError, match="No space left"):
        quiet(model, TRAIN, epochs=2, resume=True, **settings(model, path))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m, s: s.update(batch=11), "it was made with batch = 10, and now batch = 11"),
        (lambda m, s: s.update(seed=3), "seed = 2, and now seed = 3"),
        (lambda m, s: s.update(held_out=None), "held_out = Dataset"),
        (lambda m, s: s.update(held_out=HELD_OUT.scaled(0, 2)), "held_out = Dataset"),
        (lambda m, s: s.update(loss=losses.hinge), "loss = cross_entropy, and now loss = hinge"),
        (lambda m, s: s.update(optimizer=optim.SGD(m, 0.1)), "optimizer = Adam, and now optimizer = SGD"),
        (lambda m, s: s.update(optimizer=optim.Adam(m, optim.cosine(0.05, 99), weight_decay=1e-3)), r"steps=100.*steps=99"),
    ],
)
def test_other_settings_are_refused(tmp_path, change, says):
    path, model = made(tmp_path), net(seed=5)
    given, before = settings(model, path), bits(model)
    change(model, given)
    with pytest.raises(OtherSettings, match=says):
        quiet(model, TRAIN, epochs=2, resume=True, **given)
    assert bits(model) == before


def test_another_model_and_other_data_are_refused(tmp_path):
    path, other = made(tmp_path), mlp(2, 9, 3)
    with pytest.raises(OtherSettings, match=r"with model = Sequential, Linear\(2, 8\), Tanh, .*and now model = Sequential, Linear\(2, 9\)"):
        quiet(other, TRAIN, epochs=2, resume=True, **settings(other, path))
    same_shapes = mlp(2, 8, 3, activation="relu")
    with pytest.raises(OtherSettings, match=r"Tanh, .*and now model = Sequential, Linear\(2, 8\), ReLU"):
        quiet(same_shapes, TRAIN, epochs=2, resume=True, **settings(same_shapes, path))
    model = net()
    with pytest.raises(OtherSettings, match="it was made with data = "):
        quiet(model, HELD_OUT, epochs=2, resume=True, **settings(model, path))


@pytest.mark.parametrize("spoil", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"x" * 100, lambda b: b[:-50]])
def test_a_damaged_checkpoint_is_refused(tmp_path, spoil):
    path = made(tmp_path)
    path.write_bytes(spoil(path.read_bytes()))
    model = net(seed=5)
    before = bits(model)
    with pytest.raises(ad.BadFile, match="is not a whole file"):
        quiet(model, TRAIN, epochs=2, resume=True, **settings(model, path))
    assert bits(model) == before


def test_other_files_and_newer_versions_are_refused(tmp_path):
    path, model = tmp_path / "c.npz", net()
    for tree, says in (
        ({"W": ad.Tensor(1.0)}, "not a checkpoint of train.fit"),
        ({"nets checkpoint": 2}, "of version 2; this program reads"),
    ):
        ad.save(path, tree)
        with pytest.raises(ad.BadFile, match=says):
            quiet(model, TRAIN, epochs=2, resume=True, **settings(model, path))
    with pytest.raises(FileNotFoundError):
        quiet(model, TRAIN, epochs=2, resume=True, **settings(model, tmp_path / "none.npz"))
    with pytest.raises(ValueError, match="needs checkpoint="):
        quiet(model, TRAIN, epochs=2, resume=True)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        quiet(model, TRAIN, epochs=2, **settings(model, tmp_path / "no" / "c.npz"))


# ---------------------------------------------------------------- what goes wrong


def test_steps_too_long_are_told_with_the_node():
    columns = TwoLayer.random(2, 4, 3)
    with pytest.raises(
        Diverged, match=r"in epoch \d: steps of lr = 1e\+06 are too long.*is -inf at entry \(\d+, \d\) of the result of log, from"
    ) as info:
        quiet(ByRows(columns), TRAIN, epochs=9, optimizer=optim.SGD(columns, 1e6), loss=partial(losses.cross_entropy, from_logits=False))
    assert "0.0 there" in str(info.value)
    assert all(np.isfinite(p.data).all() for p in columns.parameters().values())


def test_a_parameter_that_became_infinite_is_named():
    model = Linear(2, 3, seed=0)
    with pytest.raises(Diverged, match=r"is -?inf at entry \(\d, \d\) of W, which was set so by a step"):
        quiet(model, TRAIN.scaled(0, 1e-3), epochs=9, optimizer=optim.SGD(model, 1e308), batch=8)


def test_what_is_born_where():
    x = ad.constant(np.array([1.0, np.nan]), name="x")
    assert born(x * 2) == "The first number that is not finite is nan at entry (1,) of x, which was given so."
    assert born(ad.Tensor([1.0]) * 2) == ""
    with ad.scope("layer1"), np.errstate(all="ignore"):
        y = np.exp(ad.Tensor(1000.0, name="z"))
        assert born(y - y) == "The first number that is not finite is inf, the result of exp in layer1, from z."
        assert born(y.named("y")) == "The first number that is not finite is inf, y, made by exp in layer1, from z."


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epochs": 0}, "epochs is a whole number, 1 or more, not 0"),
        ({"batch": 2.5}, "batch is a whole number, 1 or more, not 2.5"),
        ({"batch": -1}, "batch is a whole number"),
        ({"seed": -1}, "seed is a whole number, 0 or more, not -1"),
        ({"patience": -2}, "patience is a whole number, 1 or more, not -2"),
        ({"patience": 0}, "patience is a whole number, 1 or more, not 0"),
        ({"epochs": True}, "epochs is a whole number, 1 or more, not True"),
        ({"seed": None}, "seed is a whole number"),
    ],
)
def test_wrong_options_get_a_sentence(options, says):
    with pytest.raises(ValueError, match=says):
        quiet(net(), TRAIN, **options)


def test_shapes_and_labels_that_do_not_fit_are_told():
    with pytest.raises(ad.ShapeMismatch, match="W1 takes rows of 4 numbers"):
        quiet(mlp(4, 3), TRAIN)
    with pytest.raises(ValueError, match="class numbers go from 0 to 1, but one is 2"):
        quiet(mlp(2, 2), TRAIN)
    with pytest.raises(ValueError, match="with 2 classes, class numbers go from 0 to 1, but one is 2"):
        confusion(mlp(2, 1), TRAIN)
    with pytest.raises(ValueError, match=r"targets of classes are .* these go from 0\.5 to 2\.5"):
        confusion(mlp(2, 1), (POINTS.x, POINTS.t + 0.5))
    with pytest.raises(ad.ShapeMismatch, match=r"classes need a row of scores for each example, but the outputs have shape \(63, 1, 2\)"):
        confusion(Cube(), TRAIN)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (
            lambda: quiet(net(), TRAIN, metric=lambda y, t: y > 0),
            ad.ShapeMismatch,
            r"metric says of each of the 32 examples whether it is right, not shape \(32, 3\)",
        ),
        (
            lambda: evaluate(net(), TRAIN, metric=lambda y, t: 0.5),
            ad.ShapeMismatch,
            r"metric says of each of the 63 examples whether it is right, not shape \(\)",
        ),
        (lambda: quiet(net(), TRAIN.x), TypeError, r"a Dataset, or a pair \(x, t\), not ndarray"),
        (lambda: quiet(net(), (TRAIN.x, TRAIN.t[:, None])), ad.ShapeMismatch, r"not \(32, 1\); write t\[:, 0\]"),
        (lambda: quiet(net(), TRAIN, held_out=(np.ones((1, 5)), [0])), ad.ShapeMismatch, "held-out examples have 5 numbers each"),
        (lambda: quiet(net(), TRAIN, optimizer=optim.SGD(net(), 0.1)), ValueError, "moves W1, b1, W2, b2 of another model"),
        (lambda: quiet(net(), TRAIN, optimizer=optim.SGD), TypeError, r"such as optim.SGD\(model, lr=0.1\)"),
        (lambda: quiet(net(), TRAIN, loss="mse"), TypeError, "such as losses.mse, not 'mse'"),
        (lambda: quiet(net(), TRAIN, loss=lambda y, t: y), ad.NotScalar, r"not shape \(32, 3\); write ad.mean"),
        (lambda: quiet(net(), TRAIN, loss=lambda y, t: 1.0), ad.NotConnected, "plain float that depends on no parameter"),
        (lambda: quiet(net(), TRAIN, loss=lambda y, t: losses.cross_entropy(y.data, t)), ad.NotConnected, "depends on no parameter"),
        (lambda: quiet(scalar.MLP(2, [3]), TRAIN), TypeError, "a dict of Tensors by name"),
        (lambda: quiet(net(), TRAIN, metric="accuracy"), TypeError, "metric is a function of outputs and targets"),
        (lambda: quiet(net(), TRAIN, each_epoch=3), TypeError, "each_epoch is a function of the number of an epoch"),
        (lambda: quiet(Sequential, TRAIN), TypeError, r"Sequential is a class of models; fit trains one that is made"),
        (lambda: quiet(None, TRAIN), TypeError, "a dict of Tensors by name, such as a layers.Module, not NoneType"),
        (lambda: evaluate(net(), (TRAIN.x, TRAIN.t + 1)), ValueError, "one is 3"),
        (lambda: evaluate(Sequential(net(), Softmax()), TRAIN), ValueError, "apply softmax a second time"),
    ],
)
def test_what_fit_cannot_use_is_told(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_pairs_and_plain_functions_will_do():
    pair = (TRAIN.x.tolist(), TRAIN.t.tolist())
    assert quiet(net(), pair, epochs=2).epochs == quiet(net(), TRAIN, epochs=2).epochs
    assert evaluate(lambda x: np.eye(3)[np.zeros(len(x), int)], pair).accuracy == pytest.approx(1 / 3, abs=0.01)


def test_a_frozen_layer_stays():
    model = net()
    first = bits(model)
    quiet(model, TRAIN, epochs=1, optimizer=optim.SGD({n: p for n, p in model.parameters().items() if n[1] == "2"}, 0.1))
    assert [n for n, b in bits(model).items() if b != first[n]] == ["W2", "b2"]


def test_without_tqdm_it_says_so(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ModuleNotFoundError, match="tqdm must be installed"):
        fit(net(), TRAIN, epochs=1)
    assert len(quiet(net(), TRAIN, epochs=1)) == 1
