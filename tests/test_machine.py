"""A state machine against a slow reference: in whatever order things are done, no number is silently wrong.

Hypothesis interleaves building, backward, gradients that are graphs again, nested transforms, assigning,
copying, pickling, saving, dropping, recording off and on, and scribbling over every array it was given.
Each result and each gradient is compared with reference.py, which knows nothing of graphs; a graph whose
leaf was assigned since must raise StaleGraph, and only such a graph.
"""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

import autodiff as ad
from autodiff import reverse, tensor, value
from tests import reference as ref

Env = dict[int, Any]

numbers = st.floats(-1.5, 1.5).map(lambda x: round(x, 3))
picks = st.integers(0, 1000)

UNARY: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sin": (ad.sin, ref.sin),
    "square": (lambda x: ad.sin(x) ** 2, lambda x: ref.mul(ref.sin(x), ref.sin(x))),
    "neg": (lambda x: -x, lambda x: ref.mul(-1.0, x)),
    "lorentz": (lambda x: 1 / (1 + x * x), lambda x: ref.reciprocal(ref.add(1.0, ref.mul(x, x)))),
    "shift": (lambda x: 0.5 - x, lambda x: ref.add(0.5, ref.mul(-1.0, x))),
}
BINARY: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "add": (lambda x, y: x + y, ref.add),
    "sub": (lambda x, y: x - y, lambda x, y: ref.add(x, ref.mul(-1.0, y))),
    "mul": (lambda x, y: ad.sin(x) * y, lambda x, y: ref.mul(ref.sin(x), y)),
    "div": (lambda x, y: x / (2 + ad.cos(y)), lambda x, y: ref.mul(x, ref.reciprocal(ref.add(2.0, ref.cos(y))))),
}


@dataclass
class Twin:
    """A node and what it ought to be: its value as a function of the variables, and which versions of them it used."""

    node: Any
    value: Any
    of: Callable[[Env], Any]  # by the id() of a leaf's twin
    uses: dict[int, int] = field(default_factory=dict)  # versions by the id() of each variable's twin
    leaf: bool = False
    version: int = 0
    order: int = 0  # how often it was derived
    grad: Any = None

    @property
    def active(self) -> bool:
        return self.leaf or bool(self.uses)


def total(node: Any) -> Any:
    return np.sum(node) if isinstance(node, ad.Tensor) else node


class Machine(RuleBasedStateMachine):
    """All nodes are Values, or all are Tensors of two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.twins: list[Twin] = []
        self.leaves: dict[int, Twin] = {}
        self.values = False

    # ------------------------------------------------------------ helpers

    def array(self, a: float, b: float) -> Any:
        return a if self.values else np.array([a, b])

    def pick(self, k: int, among: list[Twin] | None = None) -> Twin:
        twins = self.twins if among is None else among
        return twins[k % len(twins)]

    def own_leaves(self) -> list[Twin]:
        return [t for t in self.twins if t.leaf]

    def env(self, twin: Twin) -> Env:
        return {key: self.leaves[key].value for key in twin.uses}

    def is_stale(self, *twins: Twin) -> bool:
        return any(self.leaves[key].version != version for t in twins for key, version in t.uses.items())

    def uses_of(self, *twins: Twin) -> dict[int, int]:
        """What a result uses of its operands; of a stale one the older version, which keeps the result stale."""
        uses: dict[int, int] = {}
        for t in twins:
            for key, version in ({id(t): t.version} if t.leaf else t.uses).items():
                uses[key] = min(version, uses.get(key, version))
        return uses

    def keep(self, node: Any, of: Callable[[Env], Any], operands: list[Twin], order: int = 0) -> None:
        if len(self.twins) > 14:
            self.twins.pop(next((i for i, t in enumerate(self.twins) if not t.leaf), 0))
        # The number as recorded: of stale operands it is the one that follows from their old values.
        order += max((t.order for t in operands), default=0)
        self.twins.append(Twin(node, np.array(node.data), of, self.uses_of(*operands), order=order))

    def check_value(self, twin: Twin, want: Any) -> None:
        np.testing.assert_allclose(np.asarray(twin.node.data), want, rtol=1e-8, atol=1e-9)

    def derivative_of(self, twin: Twin, leaf: Twin) -> Callable[[Env], Any]:
        return lambda env: ref.derivative(lambda x: twin.of({**env, id(leaf): x}), env[id(leaf)])

    def tame(self, *twins: Twin) -> bool:
        """Are the numbers such that the next ones can be compared?  Derivatives of high order grow without bound."""
        return sum(t.order for t in twins) < 3 and all(np.max(np.abs(t.value)) < 20 for t in twins)

    # ------------------------------------------------------------ building

    @initialize(values=st.booleans(), a=numbers, b=numbers)
    def start(self, values: bool, a: float, b: float) -> None:
        self.values = values
        self.variable(a, b)

    @rule(a=numbers, b=numbers)
    def variable(self, a: float, b: float) -> None:
        if len(self.own_leaves()) > 4:
            return
        array = self.array(a, b)
        node = ad.Value(array) if self.values else ad.Tensor(array)
        leaf = Twin(node, np.array(array), lambda env: None, leaf=True)
        leaf.of = lambda env: env[id(leaf)]
        self.leaves[id(leaf)] = leaf
        self.twins.append(leaf)
        if not self.values:
            array[:] = 77.0  # a leaf has copied it

    @rule(a=numbers, b=numbers)
    def constant(self, a: float, b: float) -> None:
        array = self.array(a, b)
        self.keep(ad.constant(array), lambda env: array, [])

    @rule(name=st.sampled_from(sorted(UNARY)), k=picks)
    def unary(self, name: str, k: int) -> None:
        x, (ours, theirs) = self.pick(k), UNARY[name]
        if not self.tame(x):
            return
        self.keep(ours(x.node), lambda env: theirs(x.of(env)), [x])
        self.check_result(theirs, x)

    @rule(name=st.sampled_from(sorted(BINARY)), k=picks, m=picks)
    def binary(self, name: str, k: int, m: int) -> None:
        x, y, (ours, theirs) = self.pick(k), self.pick(m), BINARY[name]
        if not self.tame(x, y):
            return
        self.keep(ours(x.node, y.node), lambda env: theirs(x.of(env), y.of(env)), [x, y])
        self.check_result(theirs, x, y)

    def check_result(self, theirs: Callable[..., Any], *operands: Twin) -> None:
        self.check_value(self.twins[-1], theirs(*(np.asarray(t.node.data) for t in operands)))

    @rule(k=picks, m=picks, how=st.sampled_from(["no_record", "detach", "stop_gradient"]))
    def cut(self, k: int, m: int, how: str) -> None:
        x, y = self.pick(k), self.pick(m)
        if how == "no_record":
            with ad.no_record():
                node = x.node + y.node
        else:
            node = x.node.detach() if how == "detach" else ad.stop_gradient(x.node)
        fixed = np.array(node.data)
        assert not node.active
        self.keep(node, lambda env: fixed, [])
        self.check_value(self.twins[-1], np.asarray(x.node.data) + (np.asarray(y.node.data) if how == "no_record" else 0.0))

    @rule(k=picks, m=picks)
    def under_debug(self, k: int, m: int) -> None:
        with ad.debug(), ad.scope("debugged"):
            self.binary("mul", k, m)

    # ------------------------------------------------------------ derivatives that are graphs again

    @rule(k=picks, m=picks)
    def transform(self, k: int, m: int) -> None:
        """A derivative of a function that closes over another node: it depends on both."""
        x, y = self.pick(k), self.pick(m)
        if not x.active or not self.tame(x, y):
            return
        ask = lambda: ad.grad(lambda t: total(ad.sin(t * y.node) * t))(x.node)
        if self.is_stale(x, y):
            with pytest.raises(ad.StaleGraph):
                ask()
            return
        node = ad.sin(ask())
        theirs = lambda a, b: ref.sin(ref.derivative(lambda t: ref.mul(ref.sin(ref.mul(t, b)), t), a))
        self.keep(node, lambda env: theirs(x.of(env), y.of(env)), [x, y], 1)
        self.check_result(theirs, x, y)

    @rule(k=picks)
    def transform_of_transform(self, k: int) -> None:
        x = self.pick(k)
        if not x.active or not self.tame(x):
            return
        inner = lambda t: ad.grad(lambda s: total(ad.sin(s) * s * t))(t)
        ask = lambda: ad.jvp(inner, (x.node,), (x.node,))[1]
        if self.is_stale(x):
            with pytest.raises(ad.StaleGraph):
                ask()
            return
        node = ad.sin(ask())
        first = lambda t: ref.derivative(lambda s: ref.mul(ref.mul(ref.sin(s), s), t), t)
        theirs = lambda a: ref.sin(ref.mul(ref.derivative(first, a), a))
        self.keep(node, lambda env: theirs(x.of(env)), [x], 2)
        self.check_result(theirs, x)

    @precondition(lambda self: any(t.active and not t.leaf for t in self.twins))
    @rule(k=picks, m=picks)
    def recorded_gradient(self, k: int, m: int) -> None:
        E = self.pick(k, [t for t in self.twins if t.active and not t.leaf])
        leaf = self.pick(m, self.own_leaves())
        if not self.tame(E):
            return
        ask = lambda: ad.gradient(total(E.node), leaf.node, record=True)
        if self.is_stale(E):
            with pytest.raises((ad.StaleGraph, ad.NotConnected)):  # perhaps the leaf is none of its own
                ask()
        elif id(leaf) not in E.uses:
            with pytest.raises(ad.NotConnected):
                ask()
        else:
            of = self.derivative_of(E, leaf)
            self.keep(ask(), of, [E], 1)
            self.check_value(self.twins[-1], of(self.env(E)) + np.zeros(np.shape(leaf.value)))

    # ------------------------------------------------------------ backward

    @precondition(lambda self: any(t.active and not t.leaf for t in self.twins))
    @rule(k=picks, times=st.integers(1, 2))
    def backward(self, k: int, times: int) -> None:
        E = self.pick(k, [t for t in self.twins if t.active and not t.leaf])
        if not self.tame(E):
            return
        root = total(E.node)
        for _ in range(times):
            if self.is_stale(E):
                with pytest.raises(ad.StaleGraph):
                    root.backward()
                return
            root.backward()
            for key in E.uses:
                leaf = self.leaves[key]
                g = self.derivative_of(E, leaf)(self.env(E)) + np.zeros(np.shape(leaf.value))
                leaf.grad = g if leaf.grad is None else leaf.grad + g

    @precondition(lambda self: any(t.active and not t.leaf for t in self.twins))
    @rule(k=picks)
    def plain_gradient(self, k: int) -> None:
        E = self.pick(k, [t for t in self.twins if t.active and not t.leaf])
        if not self.tame(E):
            return
        wrt = [t for t in self.own_leaves() if id(t) in E.uses]
        ask = lambda: ad.gradient(total(E.node), [t.node for t in wrt])
        if self.is_stale(E):
            with pytest.raises(ad.StaleGraph):
                ask()
            return
        for leaf, g in zip(wrt, ask(), strict=True):
            want = self.derivative_of(E, leaf)(self.env(E)) + np.zeros(np.shape(leaf.value))
            np.testing.assert_allclose(g, want, rtol=1e-7, atol=1e-9 * (1 + np.max(np.abs(want))))
            if not self.values:
                g[:] = 55.0  # the answer belongs to whoever asked

    @rule(k=picks, how=st.sampled_from(["zero_grad", "None", "scale", "scribble"]))
    def change_gradient(self, k: int, how: str) -> None:
        leaf = self.pick(k, self.own_leaves())
        if how == "zero_grad":
            leaf.node.zero_grad()
            leaf.grad = None
        elif how == "None":
            leaf.node.grad = None
            leaf.grad = None
        elif leaf.grad is not None and how == "scale":
            leaf.node.grad *= 0.5
            leaf.grad = leaf.grad * 0.5
        elif leaf.grad is not None and not self.values:
            leaf.node.grad[:] = 3.0
            leaf.grad = np.full(np.shape(leaf.grad), 3.0)

    # ------------------------------------------------------------ assigning, copying, keeping

    @rule(k=picks, a=numbers, b=numbers, how=st.sampled_from(["assign", "update", "in place"]))
    def assign(self, k: int, a: float, b: float, how: str) -> None:
        leaf = self.pick(k, self.own_leaves())
        array = self.array(a, b)
        if how == "assign":
            leaf.node.data, leaf.value = array, np.array(array)
        elif how == "update":
            leaf.node.data -= 0.1 * np.asarray(array)
            leaf.value = leaf.value - 0.1 * np.asarray(array)
        elif not self.values:
            with pytest.raises(ad.ReadOnly):
                leaf.node.data[:] = array
            return
        else:
            return
        leaf.version += 1
        if not self.values and how == "assign":
            array[:] = -99.0

    @rule(k=picks)
    def copy_one(self, k: int) -> None:
        x = self.pick(k)
        if x.leaf:
            return
        if self.is_stale(x):
            with pytest.raises(ad.StaleGraph):
                copy.copy(x.node)
            return
        self.keep(copy.copy(x.node), x.of, [x])

    @rule(how=st.sampled_from(["deepcopy", "pickle", "save"]))
    def keep_all(self, how: str) -> None:
        """The whole world goes through a file, or a copy, and comes back; stale graphs stay stale."""
        nodes = [t.node for t in self.twins]
        lost = [t for t in self.leaves.values() if not any(t is twin for twin in self.twins)]
        nodes += [t.node for t in lost]
        if how == "deepcopy":
            back = copy.deepcopy(nodes)
        elif how == "pickle":
            back = pickle.loads(pickle.dumps(nodes))
        else:
            with tempfile.TemporaryDirectory() as folder:
                ad.save(os.path.join(folder, "world.npz"), nodes)
                back = ad.load(os.path.join(folder, "world.npz"))
        for twin, node in zip([*self.twins, *lost], back, strict=True):
            assert node is not twin.node
            twin.node = node

    @precondition(lambda self: len(self.twins) > 2)
    @rule(k=picks)
    def drop(self, k: int) -> None:
        twin = self.pick(k)
        if not twin.leaf:
            self.twins = [t for t in self.twins if t is not twin]

    # ------------------------------------------------------------ always

    @invariant()
    def what_was_computed_stays(self) -> None:
        for t in self.twins:
            np.testing.assert_allclose(np.asarray(t.node.data), t.value, rtol=1e-12, atol=1e-12)
            assert t.node.active == t.active
            if t.leaf:
                assert (t.node.grad is None) == (t.grad is None)
                if t.grad is not None:
                    np.testing.assert_allclose(t.node.grad, t.grad, rtol=1e-7, atol=1e-9)


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestMachine = Machine.TestCase


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # long runs are not shrunk: that would take minutes


class LongMachine(Machine):
    pass


LongMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, phases=PHASES)


@pytest.mark.slow
class TestLongMachine(LongMachine.TestCase):  # type: ignore[name-defined,misc]
    pass


# ---------------------------------------------------------------- the machine has teeth


def _no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reverse, "check_fresh", lambda nodes: None)
    monkeypatch.setattr(value, "check_fresh", lambda nodes: None)


def _wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    vjp = ad.sin.vjp
    monkeypatch.setattr(ad.sin, "carry", (lambda g, z, xs: g * np.cos(xs[0] + 1e-4),))
    monkeypatch.setattr(ad.sin, "vjp", lambda i, g, z, x: vjp(i, g, z, x + 1e-4))


def _leaves_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor, "_own", lambda data, dtype=None: np.asarray(data))


def _forgotten_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    contributions = reverse.of_arrays
    monkeypatch.setattr(reverse, "of_arrays", lambda n, g, path: contributions(n, g, path)[-1:])


@pytest.mark.parametrize("sabotage", [_no_check, _wrong_rule, _leaves_not_copied, _forgotten_paths])
def test_the_machine_notices(sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError)):
        run_state_machine_as_test(
            Machine,
            settings=settings(max_examples=100, stateful_step_count=25, deadline=None, phases=PHASES, database=None, derandomize=True),
        )
