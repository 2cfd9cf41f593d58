"""The smallest numbers at which a wrong claim fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .points import Point, Recorded

if TYPE_CHECKING:
    from .check import Judged


def counterexample(j: Judged, graph: Recorded, recorded: Point) -> str:
    """Claim and truth side by side, in words; "" if they cannot be compared."""
    return ""
