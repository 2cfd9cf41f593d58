"""autodiff: a graph that remembers how every number was made, and many readers of it.

Variables are `Value` (one number) and `Tensor` (an array); operators and NumPy's functions record;
`E.backward()`, `ad.gradient` and the transforms `ad.grad`, `ad.vjp`, `ad.jvp`, ... read what was recorded.
"""

from .errors import (
    AutodiffError,
    BadFile,
    BadOperand,
    Detached,
    GradientMismatch,
    NoRule,
    NotConnected,
    NotScalar,
    ReadOnly,
    ShapeMismatch,
    StaleGraph,
)
from .functional import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .node import no_record, scope
from .ops import (
    abs,
    bilinear,
    broadcast_to,
    concatenate,
    cos,
    diag,
    einsum,
    elementwise,
    exp,
    expm1,
    general,
    inv,
    linear,
    log,
    log1p,
    log_softmax,
    logdet,
    logsumexp,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    norm,
    outer,
    relu,
    reshape,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    solve,
    sqrt,
    square,
    stack,
    tanh,
    trace,
    transpose,
    where,
)
from .reverse import gradient
from .tensor import Tensor
from .value import dot, sum
from .value_ops import Value


def __getattr__(name: str) -> object:
    if name == "derive":  # readers are loaded when they are first used
        from .derivation import derive

        return derive
    raise AttributeError(f"module 'autodiff' has no attribute {name!r}")
