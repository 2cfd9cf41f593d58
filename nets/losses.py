"""Losses: how far a batch of outputs is from its targets, as one recorded number called E, the mean over the batch.

Rows are examples; plain arrays give a plain number.  Scores are what a last Linear gives ("logits"),
probabilities what Softmax or Sigmoid make of them.  From scores nothing overflows; from probabilities E is
inf or nan once one of them is too small for a float, as written on paper.  Every loss is made of ops with a
matrix form, so `ad.derive` writes its gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autodiff as ad


def cross_entropy(scores: Any, t: Any, *, from_logits: bool = True) -> Any:
    """-sum(t * log(p)) averaged over the rows, p = softmax(scores), or `scores` themselves if not `from_logits`.

    `scores` (m, classes), classes >= 2.  `t` is (m,) class numbers from 0, or (m, classes) targets, usually
    probabilities.  Raises ShapeMismatch; ValueError for a class number there is not, and for probabilities
    given as scores or the reverse.

    >>> scores = np.log([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    >>> round(cross_entropy(scores, np.array([0, 1])).item(), 6)
    0.693147
    """
    y = _node(scores)
    if y.ndim != 2 or y.shape[1] < 2:
        raise ad.ShapeMismatch(
            f"cross_entropy needs a row of at least 2 scores an example, not shape {y.shape}; for one score write binary_cross_entropy"
        )
    target = t if _is_ready(t, y) else _constant(as_targets(t, y.shape), y)
    if from_logits:
        _not_probabilities(y, "softmax", "cross_entropy")
        log_p = ad.log_softmax(y, axis=1)
    else:
        _probabilities(y, rows=True)
        log_p = ad.log(y)
    return _named(-ad.mean(ad.sum(target * log_p, axis=1)))


def binary_cross_entropy(scores: Any, t: Any, *, from_logits: bool = True) -> Any:
    """-(t log(p) + (1 - t) log(1 - p)) averaged over all entries, p = sigmoid(scores), or `scores` if not `from_logits`.

    `scores` and `t` have the same shape; a column of scores (m, 1) also takes (m,).  Targets lie between 0 and 1.

    >>> binary_cross_entropy(np.array([0.0, 0.0]), np.array([0, 1])).item()
    0.6931471805599453
    """
    y = _node(scores)
    target = _same_shape(y, t, "binary_cross_entropy")
    values = plain(target)
    outside = values[(values < 0) | (values > 1)]
    if outside.size:
        raise ValueError(f"binary_cross_entropy needs targets between 0 and 1, not {outside[0]}; for -1 and 1 write (t + 1) / 2")
    if from_logits:
        _not_probabilities(y, "sigmoid", "binary_cross_entropy")
        return _named(ad.mean(ad.softplus(y) - target * y))
    _probabilities(y, rows=False)
    return _named(-ad.mean(target * ad.log(y) + (1 - target) * ad.log(1 - y)))


def hinge(scores: Any, t: Any) -> Any:
    """max(0, 1 - t * scores) averaged over all entries, for targets -1 and 1: what a support vector machine minimises.

    >>> hinge(np.array([2.0, 0.5]), np.array([1, -1])).item()
    0.75
    """
    y = _node(scores)
    target = _same_shape(y, t, "hinge")
    if not np.all(np.abs(plain(target)) == 1):
        raise ValueError("hinge needs targets -1 and 1; for 0 and 1 write 2 * t - 1")
    return _named(ad.mean(ad.relu(1 - target * y)))


def mse(y: Any, t: Any) -> Any:
    """(y - t)**2 averaged over all entries.

    >>> mse(np.array([[1.0], [2.0]]), np.array([0.0, 2.0])).item()
    0.5
    """
    y = _node(y)
    return _named(ad.mean((y - _same_shape(y, t, "mse")) ** 2))


def as_targets(t: Any, shape: tuple[int, ...]) -> Any:
    """Targets (m, classes) from themselves or from class numbers (m,); raises as `cross_entropy` does.

    >>> as_targets([1, 0], (2, 3))
    array([[0., 1., 0.],
           [1., 0., 0.]])
    """
    t = plain(t)
    m, classes = shape
    if t.shape == shape and t.dtype.kind in "fiub":
        return _finite(t)
    if t.shape != (m,):
        hint = "; write t[:, 0]" if t.shape == (m, 1) else ""
        raise ad.ShapeMismatch(f"for scores of shape {shape} targets have shape ({m},), class numbers, or {shape}, not {t.shape}{hint}")
    if t.dtype.kind not in "iu":
        raise ValueError(f"class numbers are integers, not {t.dtype}; write t.astype(int) if they are whole numbers")
    wrong = t[(t < 0) | (t >= classes)]
    if wrong.size:
        hint = "; counted from 1? Write t - 1" if t.min() == 1 and t.max() == classes else ""
        raise ValueError(f"with {classes} classes, class numbers go from 0 to {classes - 1}, but one is {wrong[0]}{hint}")
    return np.eye(classes)[t]


def _node(y: Any) -> Any:
    return y if isinstance(y, ad.Tensor) else np.asarray(y, np.result_type(np.asarray(y), np.float32))


def _constant(t: Any, y: Any) -> Any:
    t = _finite(t).astype(y.dtype, copy=False)
    return ad.constant(t, name="t") if isinstance(y, ad.Tensor) else t


def plain(x: Any) -> Any:
    """The numbers of a node, or whatever else holds some, as an array."""
    return np.asarray(x.data if isinstance(x, ad.Tensor) else x)


def _named(E: Any) -> Any:
    return E.named("E") if isinstance(E, ad.Tensor) else E


def _same_shape(y: Any, t: Any, loss: str) -> Any:
    if _is_ready(t, y):
        return t
    t = plain(t)
    if y.shape == (*t.shape, 1):
        t = t[..., None]
    if t.shape != y.shape:
        raise ad.ShapeMismatch(f"{loss} needs targets of the shape of the outputs, {y.shape}, not {t.shape}")
    return _constant(t, y)


def _is_ready(t: Any, y: Any) -> bool:
    """Is `t` a node that can stand in the graph, under its own name, as it is?"""
    return isinstance(t, ad.Tensor) and t.shape == y.shape and bool(np.all(np.isfinite(t.data)))


def _finite(t: Any) -> Any:
    if t.dtype.kind not in "fiub":
        raise ValueError(f"targets are numbers, not {t.dtype}")
    if not np.all(np.isfinite(t)):
        raise ValueError(f"a target is {t[~np.isfinite(t)][0]}")
    return t


def made_by(y: Any) -> str | None:
    """The name of the op whose result outputs are; None for plain arrays and leaves."""
    return getattr(getattr(y, "op", None), "name", None)


def _not_probabilities(y: Any, op: str, loss: str) -> None:
    if made_by(y) == op:
        raise ValueError(
            f"{loss} takes scores and would apply {op} a second time, to what is {op}'s result already. "
            f"Leave {op} out of the network, or write from_logits=False"
        )


def _probabilities(y: Any, rows: bool) -> None:
    # A nan passes: fit says where it was born, which helps more.
    p = plain(y)
    if np.any((p < 0) | (p > 1)) or (rows and np.any(np.abs(p.sum(axis=1) - 1) > 1e-3)):
        raise ValueError(f"from_logits=False needs probabilities{', rows that sum to 1' if rows else ''}; these are scores: leave it out")
