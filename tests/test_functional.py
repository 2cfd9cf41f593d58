"""The transforms: JAX's returns, containers, closures, nesting at any depth, and second order against closed forms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess, rosen_hess_prod

import autodiff as ad
from tests.cases import close


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


POINT = np.array([-1.2, 1.0, 0.7, 1.3])
A = np.array([[2.0, 1.0, 0.5], [0.0, 3.0, -1.0], [1.0, 0.0, 1.0]])

# ---------------------------------------------------------------- returns


def test_float_in_float_out() -> None:
    for g in (ad.grad(np.sin), ad.jacobian(np.sin), ad.hessian(lambda x: x**2)):
        assert type(g(0.5)) is float
    value, g = ad.value_and_grad(lambda x: x * x)(3.0)
    assert (type(value), type(g), value, g) == (float, float, 9.0, 6.0)
    y, t = ad.jvp(np.exp, (0.0,), (2.0,))
    assert (type(y), type(t), y, t) == (float, float, 1.0, 2.0)
    y, pull = ad.vjp(np.exp, 0.0)
    assert (type(y), pull(3.0)) == (float, (3.0,))
    assert isinstance(ad.grad(lambda x: x * 2)(np.float64(1.0)), float)
    assert type(ad.grad(lambda x: x * 2)(np.float32(1.0))) is np.float32


def test_arrays_in_arrays_out() -> None:
    g = ad.grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0], np.float32))
    assert type(g) is np.ndarray
    assert g.dtype == np.float32
    g = ad.grad(lambda x: x**2)(np.array(3.0))
    assert np.shape(g) == ()
    assert g == 6.0


@pytest.mark.parametrize("kind", [float, np.float64, np.float32, np.array])
def test_the_jacobian_of_an_array_in_a_single_number(kind: Any) -> None:
    found = ad.jacobian(lambda x: ad.stack([x, x * x, 3.0 * x]))(kind(2.0))
    assert np.shape(found) == (3,)
    assert np.asarray(found).tolist() == [1.0, 4.0, 3.0]


def test_argnums() -> None:
    f = lambda x, y, z: x * y**2 + z
    assert ad.grad(f)(2.0, 3.0, 1.0) == 9.0
    assert ad.grad(f, 1)(2.0, 3.0, 1.0) == 12.0
    assert ad.grad(f, -1)(2.0, 3.0, 1.0) == 1.0
    assert ad.grad(f, (1, 0))(2.0, 3.0, 1.0) == (12.0, 9.0)
    assert ad.grad(f, (1,))(2.0, 3.0, 1.0) == (12.0,)
    assert ad.value_and_grad(f, (0, 2))(2.0, 3.0, 1.0) == (19.0, (9.0, 1.0))
    assert ad.jacobian(f, (0, 1))(2.0, 3.0, 1.0) == (9.0, 12.0)
    with pytest.raises(TypeError, match="argument 3"):
        ad.grad(f, 3)(2.0, 3.0, 1.0)


def test_static_arguments_stay_as_they_are() -> None:
    def f(x: Any, n: int, how: str, *, flag: bool = False, table: Any = None) -> Any:
        assert (type(n), how, flag, table) == (int, "sum", True, [1])
        return np.sum(x**n)

    assert ad.grad(f)(np.array([1.0, 2.0]), 3, "sum", flag=True, table=[1]).tolist() == [3.0, 12.0]
    assert ad.grad(lambda d: d["x"] * d["n"])({"x": 2.0, "n": 3, "s": "a", "z": None}) == {"x": 3.0, "n": None, "s": None, "z": None}


class Layer(NamedTuple):
    W: Any
    b: Any


def test_nested_containers() -> None:
    params = {"layers": [Layer(A, np.ones(3)), (2.0, [np.array([1.0])])], "n": 3}

    def f(p: Any) -> Any:
        layer, (scale, (shift,)) = p["layers"]
        return np.sum(layer.W @ layer.b * scale) + shift[0] ** 2 * p["n"]

    value, g = ad.value_and_grad(f)(params)
    assert value == pytest.approx(2 * A.sum() + 3)
    assert type(g["layers"][0]) is Layer
    close(g["layers"][0].W, np.full((3, 3), 2.0))
    close(g["layers"][0].b, 2 * A.sum(axis=0))
    assert g["layers"][1][0] == pytest.approx(A.sum())
    assert g["layers"][1][1][0].tolist() == [6.0]
    assert g["n"] is None
    _, tangent = ad.jvp(lambda p: {"out": (f(p), p["layers"][1][0] * 2)}, (params,), ({**params, "n": None},))
    assert tangent["out"][1] == 4.0
    assert tangent["out"][0] == pytest.approx(ad.vjp(f, params)[1](1.0)[0]["layers"][1][0] * 2.0 + 2 * 2 * A.sum() + 6.0)
    ad.check_grads(f, params)


def test_a_vjp_of_several_results() -> None:
    y, pull = ad.vjp(lambda x, z: {"a": x * z, "b": [z, 5.0]}, 2.0, 3.0)
    assert y == {"a": 6.0, "b": [3.0, 5.0]}
    assert pull({"a": 1.0, "b": [10.0, 0.0]}) == (3.0, 12.0)
    assert pull({"a": 0.0, "b": [1.0, 7.0]}) == (0.0, 1.0)
    with pytest.raises(ad.ShapeMismatch):
        pull({"a": 1.0})


def test_a_constant_result_has_an_exact_zero_tangent() -> None:
    _, t = ad.jvp(lambda x: (x, np.inf, np.array([np.nan]), 3), (1.0,), (2.0,))
    assert t[0] == 2.0
    assert t[1] == 0.0
    assert t[2].tolist() == [0.0]


def test_nodes_as_arguments_are_differentiated_through() -> None:
    x = ad.Tensor(2.0)
    g = ad.grad(lambda y: y**3)(x)
    assert isinstance(g, ad.Tensor)
    assert ad.gradient(g, x) == 12.0
    v = ad.Value(2.0)
    h = ad.grad(lambda y: y**3)(v)
    assert ad.gradient(h, v) == 12.0


def test_a_function_is_wrapped() -> None:
    def loss(x: float) -> float:
        """What it is."""
        return x

    assert ad.grad(loss).__name__ == "loss"
    assert ad.grad(loss).__doc__ == "What it is."


# ---------------------------------------------------------------- closed forms


def test_scipy_takes_value_and_grad_as_jac_true() -> None:
    start = np.array([0.8, 1.2, 0.7, 1.3])
    found = minimize(ad.value_and_grad(rosenbrock), start, jac=True, method="BFGS")
    np.testing.assert_allclose(found.x, 1.0, atol=1e-4)
    newton = minimize(rosenbrock, start, jac=ad.grad(rosenbrock), hess=ad.hessian(rosenbrock), method="Newton-CG")
    np.testing.assert_allclose(newton.x, 1.0, atol=1e-4)


def test_rosenbrock_s_derivatives() -> None:
    u = np.array([1.0, -2.0, 0.5, 3.0])
    value, g = ad.value_and_grad(rosenbrock)(POINT)
    close(value, rosen(POINT))
    close(g, rosen_der(POINT))
    close(ad.hessian(rosenbrock)(POINT), rosen_hess(POINT))
    close(ad.hvp(rosenbrock, (POINT,), (u,)), rosen_hess_prod(POINT, u))


def test_closed_forms_of_second_order() -> None:
    x = np.array([0.3, -0.7, 1.1])
    quadratic = lambda x: x @ A @ x
    close(ad.grad(quadratic)(x), (A + A.T) @ x)
    close(ad.hessian(quadratic)(x), A + A.T)
    close(ad.jacobian(lambda x: A @ x)(x), A)
    s = np.exp(x) / np.exp(x).sum()
    close(ad.jacobian(ad.softmax)(x), np.diag(s) - np.outer(s, s))
    close(ad.hessian(ad.logsumexp)(x), np.diag(s) - np.outer(s, s))
    close(ad.jacobian(ad.log_softmax)(x), np.eye(3) - s)
    X = A + 3 * np.eye(3)
    close(ad.jacobian(lambda X: X @ x)(X), np.einsum("ik,l->ikl", np.eye(3), x))
    close(ad.hessian(lambda X: np.sum(X**3))(X), np.einsum("ij,ik,jl->ijkl", 6 * X, np.eye(3), np.eye(3)))
    close(ad.hessian(lambda x, y: x @ A @ y, 0)(x, x), np.zeros((3, 3)))


def test_hvp_of_several_arguments() -> None:
    x, y, u, v = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([1.0, 0.5]), np.array([2.0, -1.0])
    hx, hy = ad.hvp(lambda x, y: np.sum(x**2 * y), (x, y), (u, v))
    close(hx, 2 * y * u + 2 * x * v)
    close(hy, 2 * x * u)


def test_jacobian_of_containers_and_shapes() -> None:
    x = np.arange(6.0).reshape(2, 3)
    J = ad.jacobian(lambda x: {"s": np.sum(x, axis=0), "t": x[0, 0] * 2.0})(x)
    assert J["s"].shape == (3, 2, 3)
    assert J["t"].shape == (2, 3)
    close(J["s"], np.einsum("jl,k->jkl", np.eye(3), np.ones(2)))
    assert ad.jacobian(lambda x: x[:0])(np.ones(2)).shape == (0, 2)


# ---------------------------------------------------------------- nesting

NESTED = {
    "Siskind and Pearlmutter 2005": (lambda D: D(lambda x: x * D(lambda y: x + y)(1.0))(1.0), 1.0),
    "x times d(x y)/dy": (lambda D: D(lambda x: x * D(lambda y: x * y)(2.0))(3.0), 6.0),
    "the inner at the outer's point": (lambda D: D(lambda x: D(lambda y: x * y * y)(x))(3.0), 12.0),
    "shadowed": (lambda D: D(lambda x: D(lambda x: x**3)(x) * x)(2.0), 36.0),
    "three deep": (lambda D: D(lambda x: D(lambda y: D(lambda z: x**2 * y**3 * z**4)(1.0))(1.0))(1.0), 24.0),
    "three deep, all closed over": (lambda D: D(lambda x: x * D(lambda y: y * D(lambda z: x * y * z)(y))(x))(2.0), 24.0),
    "third derivative": (lambda D: D(D(D(lambda x: x**5)))(2.0), 240.0),
    "sixth derivative": (lambda D: D(D(D(D(D(D(np.sin))))))(0.5), -np.sin(0.5)),
    "inner not depending on the outer": (lambda D: D(lambda x: x * D(np.sin)(0.0))(7.0), 1.0),
    "the inner's value only": (lambda D: D(lambda x: D(lambda y: x * 3 + y)(x) * x)(2.0), 1.0),
    "curried": (lambda D: D(lambda x: D(curried(x))(2.0))(3.0), 6.0),
}


def curried(x: Any) -> Any:
    return lambda y: x**2 * y


def by_jvp(f: Any) -> Any:
    return lambda x: ad.jvp(f, (x,), (1.0,))[1]


def by_vjp(f: Any) -> Any:
    return lambda x: ad.vjp(f, x)[1](1.0)[0]


def by_hand_turn(f: Any) -> Any:
    """Forward and reverse mode in turn, from the outside in."""
    by_hand_turn.turn = not by_hand_turn.turn  # type: ignore[attr-defined]
    return by_jvp(f) if by_hand_turn.turn else ad.grad(f)  # type: ignore[attr-defined]


by_hand_turn.turn = False  # type: ignore[attr-defined]
MODES = {"grad": ad.grad, "jvp": by_jvp, "vjp": by_vjp, "jacobian": ad.jacobian, "in turn": by_hand_turn}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NESTED)
def test_nested_derivatives_do_not_confuse_perturbations(name: str, mode: str) -> None:
    program, want = NESTED[name]
    assert program(MODES[mode]) == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_every_mode_over_every_mode(outer: str, inner: str) -> None:
    f = lambda x: np.exp(np.sin(x) * x) / (1 + x**2)
    want = ad.grad(ad.grad(f))(0.7)
    assert MODES[outer](MODES[inner](f))(0.7) == pytest.approx(want, rel=1e-12)


def test_closures_over_outer_arrays() -> None:
    x, W = np.array([0.5, -1.0]), np.array([[1.0, 2.0], [3.0, 4.0]])

    def outer(W: Any) -> Any:
        inner = ad.grad(lambda x: np.sum(np.tanh(W @ x)))(x)
        return np.sum(inner**2)

    ad.check_grads(outer, W)
    deeper = lambda x: np.sum(ad.grad(lambda W: np.sum(ad.jacobian(lambda y: np.tanh(W @ (x * y)))(x) ** 2))(W))
    ad.check_grads(deeper, x, order=1)


def test_forward_over_reverse_is_reverse_over_forward() -> None:
    f = lambda x: np.sum(np.log(1 + np.exp(A @ x)) * ad.softmax(x))
    x, u = np.array([0.3, -0.7, 1.1]), np.array([1.0, 2.0, -0.5])
    forward_over_reverse = ad.jvp(ad.grad(f), (x,), (u,))[1]
    reverse_over_forward = ad.grad(lambda x: ad.jvp(f, (x,), (u,))[1])(x)
    reverse_over_reverse = ad.grad(lambda x: np.sum(ad.grad(f)(x) * u))(x)
    close(forward_over_reverse, ad.hessian(f)(x) @ u)
    close(reverse_over_forward, forward_over_reverse)
    close(reverse_over_reverse, forward_over_reverse)
    close(ad.hvp(f, (x,), (u,)), forward_over_reverse)


def test_a_jvp_s_tangents_can_be_differentiated() -> None:
    assert ad.grad(lambda t: ad.jvp(np.exp, (1.0,), (t * t,))[1])(3.0) == pytest.approx(6 * np.e)
    assert ad.grad(lambda g: ad.vjp(np.exp, 1.0)[1](g * g)[0])(3.0) == pytest.approx(6 * np.e)


def test_a_pullback_may_be_used_later_and_again() -> None:
    _, pull = ad.vjp(lambda x: x**3, 2.0)
    assert pull(1.0) == pull(1.0) == (12.0,)
    assert ad.grad(lambda g: pull(g)[0] * g)(3.0) == 72.0


def test_transforms_inside_no_record_and_recording_inside_transforms() -> None:
    with ad.no_record():
        assert ad.grad(ad.grad(lambda x: x**3))(2.0) == 12.0
        assert not (ad.Value(1.0) * 2).active

    def f(x: Any) -> Any:
        with ad.no_record():
            factor = x * 2
        return x * factor

    assert ad.grad(f)(3.0) == 6.0
    assert ad.grad(ad.grad(f))(3.0) == 0.0 or ad.grad(ad.grad(f, allow_unused=True), allow_unused=True)(3.0) == 0.0


# ---------------------------------------------------------------- structural zeros


@pytest.mark.parametrize(
    "f", [lambda x: 3 * x, lambda x: x, lambda x: ad.relu(x) + x, lambda x: ad.maximum(x, 0) * 2, abs, lambda x: x + 1], ids=range(6)
)
@pytest.mark.parametrize("mode", MODES)
def test_a_derivative_that_is_zero_by_structure_is_an_exact_zero(f: Any, mode: str) -> None:
    D = MODES[mode]
    assert D(D(f))(2.0) == 0.0
    assert D(D(D(f)))(2.0) == 0.0


def test_structural_zeros_of_arrays() -> None:
    x = np.array([1.0, 2.0])
    assert ad.hessian(lambda x: np.sum(3 * x))(x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert ad.hessian(lambda x: np.max(x))(x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert ad.hessian(lambda x: x[0] * 2)(x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert ad.jacobian(lambda x: ad.grad(lambda y: np.sum(y))(x))(x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert ad.grad(ad.sign)(3.0) == 0.0
    assert ad.hvp(lambda x, y: np.sum(x) + np.sum(y), (x, x), (x, x))[0].tolist() == [0.0, 0.0]


def test_what_is_not_used_raises_unless_allowed() -> None:
    f = lambda x, y: x * 2
    with pytest.raises(ad.NotConnected, match="argument 1"):
        ad.grad(f, (0, 1))(1.0, 2.0)
    assert ad.grad(f, (0, 1), allow_unused=True)(1.0, 2.0) == (2.0, 0.0)
    assert ad.grad(lambda x: 5.0, allow_unused=True)(np.ones(2)).tolist() == [0.0, 0.0]
    with pytest.raises(ad.NotConnected, match=r"argument 0\['b'\]"):
        ad.grad(lambda p: p["a"] * 2)({"a": 1.0, "b": 2.0})
    with pytest.raises(ad.NotConnected, match=r"\.data"):
        ad.grad(lambda x: np.sum(x.data * 2))(np.ones(2))
    with pytest.raises(ad.NotConnected):
        ad.jvp(lambda x: 5.0, (1.0,), (1.0,))
    assert ad.jvp(lambda x: 5.0, (1.0,), (1.0,), allow_unused=True) == (5.0, 0.0)
    assert ad.vjp(f, 1.0, 2.0, allow_unused=True)[1](1.0) == (2.0, 0.0)


# ---------------------------------------------------------------- refusals


def test_integers_do_not_move() -> None:
    for bad in (3, np.array([1, 2]), "a", None, True):
        with pytest.raises(ad.BadOperand, match="argument 0"):
            ad.grad(lambda x: x)(bad)


def test_results_of_several_numbers_are_refused() -> None:
    for f in (lambda x: x * np.ones(2), lambda x: (x, x), lambda x: {"a": x}):
        with pytest.raises(ad.NotScalar):
            ad.grad(f)(1.0)


def test_math_on_a_node_is_refused_inside_a_transform() -> None:
    import math

    for f in (math.exp, lambda x: float(x) * 2, lambda x: int(x) * x):
        with pytest.raises(ad.Detached, match=r"np\.exp"):
            ad.grad(f)(1.0)
    assert ad.grad(lambda x: x.item() * x)(2.0) == 2.0


def test_tangents_are_shaped_like_their_primals() -> None:
    with pytest.raises(ad.ShapeMismatch, match=r"\(2,\).*\(3,\)"):
        ad.jvp(np.sin, (np.ones(2),), (np.ones(3),))
    with pytest.raises(ad.ShapeMismatch, match="1 primals and 2"):
        ad.jvp(np.sin, (1.0,), (1.0, 2.0))
    with pytest.raises(ad.ShapeMismatch, match="containers"):
        ad.jvp(lambda x: x[0], ([1.0],), (1.0,))
    with pytest.raises(TypeError, match="tuples"):
        ad.jvp(np.sin, 1.0, 1.0)
    with pytest.raises(ad.ShapeMismatch):
        ad.vjp(np.sin, np.ones(2))[1](np.ones(3))


def test_a_transform_leaves_no_switch_behind() -> None:
    def broken(x: Any) -> Any:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ad.grad(broken)(1.0)
    x = ad.Tensor(2.0)
    assert float(x * 2) == 4.0
    assert type(ad.grad(lambda x: x)(1.0)) is float


# ---------------------------------------------------------------- cotangents and tangents in containers


def test_a_cotangent_s_dict_goes_by_its_keys() -> None:
    _, pull = ad.vjp(lambda x: {"b": x, "a": 10 * x}, 2.0)
    assert pull({"a": 1.0, "b": 0.0}) == pull({"b": 0.0, "a": 1.0}) == (10.0,)  # the order of the keys decided, silently


def test_a_tangent_s_dict_goes_by_its_keys() -> None:
    def f(p: Any) -> Any:
        return 10 * p["b"] ** 2 + p["a"] ** 2

    p, t = {"b": 1.0, "a": 2.0}, {"a": 1.0, "b": 0.0}
    assert ad.jvp(f, (p,), (t,))[1] == 4.0
    assert ad.hvp(f, (p,), (t,)) == {"b": 0.0, "a": 2.0}


@pytest.mark.parametrize("given", [(1.0, 2.0), {"a": 1.0}, {"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 1.0, "b": (1.0,)}])
def test_a_cotangent_in_other_containers_is_told(given: Any) -> None:
    _, pull = ad.vjp(lambda x: {"a": x, "b": x}, 2.0)
    with pytest.raises(ad.ShapeMismatch, match=r"the function's result, which has \['a'\], \['b'\]; the cotangent has"):
        pull(given)


@pytest.mark.parametrize("tangent", [1.0, np.ones(2), "3", 1j])
def test_what_does_not_move_has_no_tangent(tangent: Any) -> None:
    with pytest.raises(ad.BadOperand, match=r"argument 1 is the int 3, which does not move, so its tangent is None or 0"):
        ad.jvp(lambda x, n: x**n, (2.0, 3), (1.0, tangent))  # the tangent was dropped
    assert ad.jvp(lambda x, n: x**n, (2.0, 3), (1.0, None)) == ad.jvp(lambda x, n: x**n, (2.0, 3), (1.0, 0)) == (8.0, 12.0)


@pytest.mark.parametrize("tangent", [np.array([1j, 1.0]), np.array(["1", "2"]), ["a", "b"]])
def test_a_tangent_is_real_numbers(tangent: Any) -> None:
    with pytest.raises((ad.BadOperand, ad.ShapeMismatch)):
        ad.jvp(np.square, (np.ones(2),), (tangent,))  # the imaginary part was dropped
    with pytest.raises(ad.BadOperand, match="real numbers"):
        ad.vjp(np.square, np.ones(2))[1](np.asarray(tangent))


@pytest.mark.parametrize("seed", [ad.constant(2.0), ad.Value(2.0), ad.Tensor(2.0), ad.Tensor(2.0, dtype=np.float32)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_node_may_be_the_seed(seed: Any, dtype: Any) -> None:
    x = ad.Tensor(3.0, dtype=dtype)
    y = x * x
    y.backward(seed)
    assert x.grad == 12.0
    assert x.grad.dtype == y.grad.dtype == dtype


@pytest.mark.parametrize(
    ("argnums", "words"),
    [
        ((0, 0), "arguments 0, 0, of which one is named twice"),  # argument 0 was told not to reach the result
        ((0, -2), "arguments 0, -2, of which one is named twice"),
        (2, r"argument 2, but the function was called with 2 arguments by position"),
        (1.0, "argnums is the place of an argument"),
        ("a", "argnums is the place of an argument"),
    ],
)
def test_argnums_that_name_no_arguments(argnums: Any, words: str) -> None:
    for transform in (ad.grad, ad.jacobian):
        with pytest.raises(TypeError, match=words):
            transform(lambda x, y: x * y, argnums=argnums)(2.0, 3.0)
