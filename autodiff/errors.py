"""One class per mistake a person can make with the engine.

Every class is also a subclass of the built-in error that a NumPy user would catch for the same
mistake.  The message is written where the mistake is found; this file only names the kinds.
"""

from numpy.linalg import LinAlgError


class AutodiffError(Exception):
    """The base of every error that autodiff raises itself."""


class NoRule(AutodiffError, TypeError):
    """An operation for which the table of ops holds no rule was asked of a node."""


class BadOperand(AutodiffError, TypeError):
    """An operand is of a kind that cannot be recorded: complex, text, a Value beside a Tensor."""


class ShapeMismatch(AutodiffError, ValueError):
    """The shapes of the operands do not fit the operation."""


class BadIndex(AutodiffError, IndexError):
    """An index, or a place among options, is not there or is no index at all."""


class Degenerate(AutodiffError, LinAlgError):
    """A matrix is singular, or so special (repeated eigenvalues) that a derivative does not exist."""


class NotScalar(AutodiffError, ValueError):
    """A gradient was asked of something that is not a single number."""


class NotConnected(AutodiffError, ValueError):
    """A derivative was asked for a variable that does not reach the output."""


class StaleGraph(AutodiffError, RuntimeError):
    """A leaf was assigned, or a held array changed, after the graph was recorded, so its values no longer hold."""


class ReadOnly(AutodiffError, ValueError):
    """Recorded data was about to be changed in place."""


class Detached(AutodiffError, TypeError):
    """A node was about to become a plain number or array, which would drop its graph silently."""


class NameTaken(AutodiffError, ValueError):
    """An op is declared under the name, or for the NumPy function, of a built-in one."""


class BadFile(AutodiffError, ValueError):
    """A file is not one that `save` wrote, or is of a newer format."""


class GradientMismatch(AutodiffError, AssertionError):
    """A derivative disagrees with a second, independent computation of it."""


class NotDifferentiable(GradientMismatch):
    """A derivative was checked at a point where the function bends, jumps or is infinitely steep, and so has none."""


class NonFinite(AutodiffError, FloatingPointError):
    """Inside `ad.debug`, an operation or a rule made an inf or a nan out of finite numbers."""


class NoIndexForm(AutodiffError, TypeError):
    """A closed form was asked of an operation that has none, such as picking entries by index."""


class TooBig(AutodiffError, ValueError):
    """A formula would be longer than anyone can read."""


class DerivationFailed(AutodiffError, ArithmeticError):
    """A derived formula did not give the engine's numbers, and so was not shown."""


class NotVerified(AutodiffError, ArithmeticError):
    """A derived formula could not be checked, because nothing is finite near the recorded values."""


class BadFormula(AutodiffError, ValueError):
    """The text of a formula cannot be read, or uses names that there are not."""


class NotRead(BadFormula):
    """The text of a formula calls what NumPy or LaTeX has and the reader of formulas does not know, so it is not judged."""


class WrongClaim(AutodiffError, AssertionError):
    """A claim of a derivation, which was required to be right, is not."""


class BroadcastWarning(UserWarning):
    """A vector and a column, (n,) and (n, 1), were broadcast to a matrix larger than both, which is seldom meant."""
