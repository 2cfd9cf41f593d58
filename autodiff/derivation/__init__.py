"""Closed forms: a recorded graph read as the formulas that a person would write.

`derive(E)` runs the op table's own rules on symbols, in an index normal form (expr.py, forms.py), simplifies
(simplify.py), goes back to matrix notation (matrix.py) and prints (show.py, latex.py).  Nothing is shown before
the printed source has been executed and compared with the engine's gradient (verify.py).
"""

from .algebra import Algebra
from .assume import Assumption, orthogonal, positive, sums_to_one, symmetric
from .derivation import Derivation, derive

__all__ = ["Algebra", "Assumption", "Derivation", "derive", "orthogonal", "positive", "sums_to_one", "symmetric"]
