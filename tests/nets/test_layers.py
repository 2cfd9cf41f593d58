"""Modules: names, scopes, shapes, derivatives and formulas; losses; the way to PyTorch and back."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import autodiff as ad
import nets
from autodiff.checking.ulps import agree
from autodiff.node import order
from nets import Linear, Module, ReLU, Sequential, Sigmoid, Softmax, Tanh, TwoLayer, init, losses, mlp

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(6, 4)), np.array([0, 2, 1, 1, 0, 2])
SOFT = RNG.dirichlet(np.ones(3), size=6)


def chain(*ends):
    return Sequential(Linear(4, 5), Sigmoid(), Linear(5, 3), *ends, seed=0)


# ---------------------------------------------------------------- modules


def test_a_chain_names_what_it_records_as_on_paper():
    E = losses.cross_entropy(chain(Softmax())(X), LABELS, from_logits=False)
    named = {n.name: n.scope for n in order(E) if n.name}
    assert named == {"W1": (), "b1": (), "W2": (), "b2": (), "x": (), "t": (), "E": ()} | {
        name: (f"layer{name[1]}",) for name in ("z1", "y1", "z2", "y2")
    }
    assert ad.derive(E).text.splitlines()[-1] == "dE/dW1 = (((y2 - t) @ W2) * y1 * (1 - y1)).T @ x / m    using sum(t, axis=1) == 1"


def test_a_chain_is_the_exercises_network_turned():
    rows, columns = mlp(4, 5, 3, seed=7), TwoLayer.random(4, 5, 3, seed=7)
    assert all(np.array_equal(rows.parameters()[n].data, columns.parameters()[n].data) for n in ("W1", "W2"))
    assert np.allclose(ad.softmax(rows(X), axis=1).data, columns.probabilities(X.T).T, rtol=1e-14)


def test_nested_modules_have_names_of_their_own():
    class Net(Module):
        def __init__(self):
            self.body = Sequential(Linear(4, 5), Sequential(Linear(5, 5), ReLU()), Tanh())
            self.V = ad.Tensor(np.ones((3, 5)), name="other")
            self.head = Linear(5, 3, bias=False)

        def forward(self, x):
            y = self.body(x)
            return self.head(y) + y @ self.V.T

    net = Net()
    names = ["V", "W_body1", "b_body1", "W_body2_1", "b_body2_1", "W_head"]
    assert list(net.parameters()) == names == [p.name for p in net.parameters().values()]
    nodes = {n.name: n.scope for n in order(net(X))}
    assert nodes["z_body2_1"] == ("body", "layer2", "layer1") and nodes["z_head"] == ("head",)
    assert repr(net).splitlines()[0].split() == ["Net", "V", "(3,", "5):", "85", "parameters"]
    assert any(
        line.split() == ["Linear(5,", "3,", "bias=False)", "W_head", "(3,", "5):", "15", "parameters"] for line in repr(net).splitlines()
    )


def test_a_shared_module_counts_once():
    class Twice(Module):
        def __init__(self):
            self.inner = Linear(2, 2, seed=0)
            self.same = self.inner

        def forward(self, x):
            return self.same(self.inner(x))

    assert list(Twice().parameters()) == ["W_inner", "b_inner"]
    assert Twice()(np.ones((3, 2))).shape == (3, 2)


def test_names_that_would_meet_are_refused():
    class Net(Module):
        def __init__(self):
            self.a = Linear(1, 1)
            self.W_a = ad.Tensor(1.0)

    with pytest.raises(ValueError, match="both be called W_a"):
        Net()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Linear(0, 3), ValueError, "Linear's number of inputs is a whole number, 1 or more, not 0"),
        (lambda: Linear(3, 2.5), ValueError, "number of units is a whole number, 1 or more, not 2.5"),
        (lambda: Sequential(Linear(2, 3), Sigmoid), TypeError, r"write Sigmoid\(\)"),
        (lambda: Linear(True, 3), ValueError, "not True"),
        (lambda: Sequential(np.tanh), TypeError, "takes modules"),
        (lambda: Sequential([Linear(2, 3)]), TypeError, r"write Sequential\(\*modules\)"),
        (lambda: mlp([3, 2]), ValueError, r"write mlp\(\*sizes\)"),
        (lambda: Sequential(*[ReLU()] * 2), ValueError, "one module twice"),
        (lambda: setattr(Module(), "layers", [Linear(1, 1)]), TypeError, "set layers to a Sequential"),
        (lambda: Module()(X), NotImplementedError, r"needs a method forward"),
        (lambda: mlp(3), ValueError, "at least the number of inputs and of outputs"),
        (lambda: mlp(3, 2, activation="gelu"), ValueError, "one of sigmoid, tanh, relu, not 'gelu'"),
        (lambda: chain()(X[0]), ad.ShapeMismatch, r"W1 takes rows of 4 numbers.*write x\[None, :\] for a single example"),
        (lambda: chain()(X.T), ad.ShapeMismatch, r"shape \(4, 6\); are your examples columns\? Write x.T"),
        (lambda: chain()(X.reshape(6, 2, 2)), ad.ShapeMismatch, r"write x.reshape\(6, -1\)"),
        (lambda: chain()(np.ones((2, 7))), ad.ShapeMismatch, r"got shape \(2, 7\)$"),
        (lambda: chain().load({}), ad.ShapeMismatch, "the arrays given are none"),
        (lambda: chain()(X.astype(str)), ad.BadOperand, "not an array of real numbers"),
    ],
)
def test_mistakes_get_a_sentence(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_loading_is_all_or_nothing():
    net = chain()
    before = {name: np.array(p.data) for name, p in net.parameters().items()}
    with pytest.raises(ad.ShapeMismatch):
        net.load({**before, "W1": np.ones((5, 4)), "b2": np.ones(4)})
    assert all(np.array_equal(p.data, before[name]) for name, p in net.parameters().items())
    net.load({name: a + 1 for name, a in before.items()})
    assert np.array_equal(net.parameters()["W2"].data, before["W2"] + 1)


@pytest.mark.parametrize("draw", [init.lecun_normal, init.he_normal, init.glorot_uniform, init.torch_uniform, init.zeros])
def test_first_weights_follow_the_seed(draw):
    a, b = (Linear(30, 20, draw=draw, seed=5).W.data for _ in range(2))
    assert np.array_equal(a, b) and a.shape == (20, 30)
    assert np.array_equal(Sequential(Linear(30, 20, draw=draw), seed=5).parameters()["W1"].data, a)


@pytest.mark.parametrize("draw", [init.lecun_normal, init.glorot_uniform])
def test_numbers_keep_their_size(draw):
    z = Linear(400, 400, draw=draw, seed=0)(np.random.default_rng(1).normal(size=(200, 400)))
    assert 0.95 < z.data.std() < 1.05
    y = np.random.default_rng(1).normal(size=(200, 400))
    for _ in range(4):  # relu halves the squares, he_normal doubles them
        y = ReLU()(Linear(400, 400, draw=init.he_normal, seed=3)(y)).data
    assert 0.7 < (y**2).mean() < 1.4


def test_float32_stays():
    net = mlp(4, 5, 3, seed=0, dtype=np.float32)
    E = losses.cross_entropy(net(X.astype(np.float32)), LABELS)
    E.backward()
    assert E.dtype == np.float32 and all(p.dtype == p.grad.dtype == np.float32 for p in net.parameters().values())


# ---------------------------------------------------------------- losses

SIGNS, BITS = np.where(LABELS > 0, 1, -1), (LABELS > 0).astype(int)
CASES = [
    ("class numbers", losses.cross_entropy, 3, (), LABELS),
    ("soft targets", losses.cross_entropy, 3, (), SOFT),
    ("probabilities", partial(losses.cross_entropy, from_logits=False), 3, (Softmax,), LABELS),
    ("soft, probabilities", partial(losses.cross_entropy, from_logits=False), 3, (Softmax,), SOFT),
    ("binary", losses.binary_cross_entropy, 1, (), BITS),
    ("binary, probabilities", partial(losses.binary_cross_entropy, from_logits=False), 1, (Sigmoid,), BITS),
    ("hinge", losses.hinge, 1, (), SIGNS),
    ("mse", losses.mse, 2, (), RNG.normal(size=(6, 2))),
]


def model_of(units, ends):
    return Sequential(Linear(4, 5), Tanh(), Linear(5, units), *(end() for end in ends), seed=1)


@pytest.mark.parametrize(("name", "loss", "units", "ends", "t"), CASES, ids=[c[0] for c in CASES])
def test_every_loss_has_right_derivatives_and_formulas(name, loss, units, ends, t):
    model = model_of(units, ends)
    names, arrays = list(model.parameters()), [np.array(p.data) for p in model.parameters().values()]

    def f(*parameters):
        y = X
        for k in range(0, len(parameters), 2):
            y = y @ parameters[k].T + parameters[k + 1]
            y = np.tanh(y) if k == 0 else y
        ops = {Softmax: partial(ad.softmax, axis=1), Sigmoid: ad.sigmoid}
        for end in ends:
            y = ops[end](y)
        return loss(y, t)

    ad.check_grads(f, *arrays, order=1)
    E = loss(model(X), t)
    E.backward()
    derivation = ad.derive(E, wrt=list(model.parameters().values()))
    assert [r.left for r in derivation.results] == [f"dE/d{n}" for n in names]
    assert E.shape == () and E.name == "E" and isinstance(loss(model(X).data, t), float)


def test_losses_agree_with_each_other_and_with_their_definitions():
    z = RNG.normal(size=(6, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    want = -np.log(p[np.arange(6), LABELS]).mean()
    for found in (
        losses.cross_entropy(z, LABELS),
        losses.cross_entropy(z, np.eye(3)[LABELS]),
        losses.cross_entropy(p, LABELS, from_logits=False),
        losses.cross_entropy(ad.Tensor(z), ad.constant(np.eye(3)[LABELS], name="labels")),
    ):
        assert found.item() == pytest.approx(want, rel=1e-14)
    s, q = z[:, :1], 1 / (1 + np.exp(-z[:, :1]))
    want = -(BITS * np.log(q[:, 0]) + (1 - BITS) * np.log(1 - q[:, 0])).mean()
    assert losses.binary_cross_entropy(s, BITS).item() == pytest.approx(want, rel=1e-14)
    assert losses.binary_cross_entropy(q, BITS[:, None], from_logits=False).item() == pytest.approx(want, rel=1e-14)
    two = losses.cross_entropy(np.concatenate([np.zeros((6, 1)), s], axis=1), BITS)
    assert two.item() == pytest.approx(want, rel=1e-14)
    assert losses.hinge(s, SIGNS).item() == pytest.approx(np.maximum(0, 1 - SIGNS[:, None] * s).mean(), rel=1e-14)
    assert losses.mse(z, SOFT).item() == pytest.approx(((z - SOFT) ** 2).mean(), rel=1e-14)


def test_scores_of_any_size_are_fine():
    assert losses.cross_entropy(np.array([[1e4, -1e4]]), [1]).item() == 2e4
    assert losses.binary_cross_entropy(np.array([1e4, -1e4]), [0, 1]).item() == 1e4


def test_a_named_target_keeps_its_name():
    t = ad.constant(np.eye(3)[LABELS], name="truth")
    assert "truth" in {n.name for n in order(losses.cross_entropy(chain()(X), t))}


Z = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: losses.cross_entropy(Z, [0, 3]), ValueError, "class numbers go from 0 to 2, but one is 3$"),
        (lambda: losses.cross_entropy(np.zeros((3, 3)), [1, 2, 3]), ValueError, "counted from 1"),
        (lambda: losses.cross_entropy(Z, [0, -1]), ValueError, "but one is -1"),
        (lambda: losses.cross_entropy(Z, [0.0, 1.0]), ValueError, "class numbers are integers, not float64"),
        (
            lambda: losses.cross_entropy(Z, [0, 1, 2]),
            ad.ShapeMismatch,
            r"targets have shape \(2,\), class numbers, or \(2, 3\), not \(3,\)",
        ),
        (lambda: losses.cross_entropy(Z, Z.T), ad.ShapeMismatch, r"not \(3, 2\)"),
        (lambda: losses.cross_entropy(Z, Z + np.nan), ValueError, "a target is nan"),
        (lambda: losses.cross_entropy(np.zeros((2, 1)), [0, 0]), ad.ShapeMismatch, "write binary_cross_entropy"),
        (lambda: losses.cross_entropy(Z, ["a", "b"]), ValueError, "class numbers are integers"),
        (lambda: losses.cross_entropy(Z + 2, [0, 1], from_logits=False), ValueError, "rows that sum to 1"),
        (lambda: losses.cross_entropy(chain(Softmax())(X), LABELS), ValueError, "apply softmax a second time.*from_logits=False"),
        (lambda: losses.binary_cross_entropy(ad.sigmoid(ad.Tensor([0.5])), [1]), ValueError, "apply sigmoid a second time"),
        (lambda: losses.binary_cross_entropy([0.5, 3.0], [1, 0], from_logits=False), ValueError, "these are scores"),
        (lambda: losses.binary_cross_entropy([0.5, 3.0], [1, -1]), ValueError, r"between 0 and 1, not -1.*write \(t \+ 1\) / 2"),
        (lambda: losses.hinge([0.5, 3.0], [1, 0]), ValueError, "targets -1 and 1"),
        (lambda: losses.mse(Z, [1.0, 2.0]), ad.ShapeMismatch, r"\(2, 3\), not \(2,\)"),
        (lambda: losses.mse(np.zeros((2, 1)), [1.0, 2.0, 3.0]), ad.ShapeMismatch, r"\(2, 1\), not \(3,\)"),
    ],
)
def test_wrong_targets_get_a_sentence(make, error, says):
    with pytest.raises(error, match=says):
        make()


# ---------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pytorch_has_the_same_gradients_within_rounding(dtype):
    torch = pytest.importorskip("torch")
    model = Sequential(Linear(4, 5, dtype=dtype), Tanh(), Linear(5, 5, dtype=dtype), ReLU(), Linear(5, 3, bias=False, dtype=dtype), seed=0)
    theirs = nets.to_torch(model)
    x = X.astype(dtype)
    E = losses.cross_entropy(model(x), LABELS)
    ours = ad.gradient(E, list(model.parameters().values()), record=True)
    torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(LABELS)).backward()
    for node, p in zip(ours, theirs.parameters(), strict=True):
        assert p.grad.numpy().dtype == dtype
        assert agree(node, ad.constant(p.grad.numpy())).verdict != "different"


def test_pytorch_and_back():
    torch = pytest.importorskip("torch")
    model = Sequential(Linear(4, 5), Sequential(Sigmoid(), Linear(5, 3, bias=False)), Softmax(), seed=0)
    back = nets.from_torch(nets.to_torch(model))
    assert repr(back) == repr(model)
    assert all(np.array_equal(p.data, model.parameters()[name].data) for name, p in back.parameters().items())
    assert np.array_equal(back(X).data, model(X).data)
    with pytest.raises(TypeError, match="no counterpart"):
        nets.from_torch(torch.nn.Dropout())
    with pytest.raises(TypeError, match="no counterpart"):
        nets.from_torch(torch.nn.Softmax(dim=0))
    for half in (torch.nn.Linear(2, 2).half(), torch.nn.Linear(2, 2).bfloat16()):
        with pytest.raises(ad.BadOperand, match=r"float16; write module.float\(\)"):
            nets.from_torch(half)

    class Own(Module): ...

    with pytest.raises(TypeError, match="a Own has no counterpart"):
        nets.to_torch(Own())
