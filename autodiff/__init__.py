"""autodiff: a graph that remembers how every number was made, and many readers of it.

Variables are `Value` (one number) and `Tensor` (an array); operators and NumPy's functions record;
`E.backward()`, `ad.gradient` and the transforms `ad.grad`, `ad.vjp`, `ad.jvp`, ... read what was recorded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .constants import constant, stop_gradient
from .errors import (
    AutodiffError,
    BadFile,
    BadFormula,
    BadIndex,
    BadOperand,
    BroadcastWarning,
    Degenerate,
    DerivationFailed,
    Detached,
    GradientMismatch,
    NameTaken,
    NoIndexForm,
    NonFinite,
    NoRule,
    NotConnected,
    NotDifferentiable,
    NotScalar,
    NotVerified,
    ReadOnly,
    ShapeMismatch,
    StaleGraph,
    TooBig,
    WrongClaim,
)
from .functional import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .node import no_record, scope, trace_lines
from .ops import (
    TABLE,
    Op,
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
    reciprocal,
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
from .ops.table import COMPOSED, RESERVED
from .reverse import gradient
from .tensor import Tensor
from .value import dot, sum
from .value_ops import Value

if TYPE_CHECKING:
    from .checking.check import check, check_code
    from .checking.grads import check_grads
    from .debugging import debug
    from .derivation import derive
    from .drawing import draw, draw_dot
    from .persistence import load, save

__all__ = [
    "abs",
    "AutodiffError",
    "BadFile",
    "BadFormula",
    "BadIndex",
    "BadOperand",
    "bilinear",
    "BroadcastWarning",
    "broadcast_to",
    "check",
    "check_code",
    "check_grads",
    "concatenate",
    "constant",
    "cos",
    "debug",
    "Degenerate",
    "DerivationFailed",
    "derive",
    "diag",
    "Detached",
    "dot",
    "draw",
    "draw_dot",
    "einsum",
    "elementwise",
    "exp",
    "expm1",
    "general",
    "grad",
    "gradient",
    "GradientMismatch",
    "hessian",
    "hvp",
    "inv",
    "jacobian",
    "jvp",
    "linear",
    "load",
    "log",
    "log1p",
    "log_softmax",
    "logdet",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "norm",
    "NameTaken",
    "no_record",
    "NoIndexForm",
    "NonFinite",
    "NoRule",
    "NotConnected",
    "NotDifferentiable",
    "NotScalar",
    "NotVerified",
    "Op",
    "outer",
    "ReadOnly",
    "reciprocal",
    "relu",
    "reshape",
    "save",
    "scope",
    "ShapeMismatch",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "solve",
    "sqrt",
    "square",
    "stack",
    "StaleGraph",
    "stop_gradient",
    "sum",
    "TABLE",
    "tanh",
    "TooBig",
    "trace",
    "Tensor",
    "trace_lines",
    "transpose",
    "Value",
    "value_and_grad",
    "vjp",
    "where",
    "WrongClaim",
]


# Readers are loaded when first used, so that importing autodiff stays quick.
_READERS = {
    "check": "checking.check",
    "check_code": "checking.check",
    "check_grads": "checking.grads",
    "debug": "debugging",
    "derive": "derivation",
    "draw": "drawing",
    "draw_dot": "drawing",
    "load": "persistence",
    "save": "persistence",
}


def __getattr__(name: str) -> Any:
    if name in _READERS:
        return getattr(import_module(f"{__name__}.{_READERS[name]}"), name)
    if name in RESERVED:  # every built-in function of the table is ad.<its name>
        found = globals()[name] = COMPOSED.get(name) or TABLE[name]
        return found
    raise AttributeError(f"module 'autodiff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *RESERVED})
