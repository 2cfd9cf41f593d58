"""The reader of formula text: from a line as a person writes it to a tree that can be evaluated.

`read` takes NumPy text, plain mathematics and LaTeX.  Text is parsed, never run.
"""

from .formula import Formula
from .lines import Line, Target, defined, read, read_target

__all__ = ["Formula", "Line", "Target", "defined", "read", "read_target"]
