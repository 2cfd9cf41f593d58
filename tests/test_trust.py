"""The figures in the README are those that `make trust` prints."""

from __future__ import annotations

from itertools import islice

import pytest

from tests import trust

ANEW = "the README's figures are old; run `python -m tests.trust --write`"


def test_the_readme_tells_of_this_table() -> None:
    shown, there = (line.partition(" ops ")[0] for line in (trust.in_readme()[0], trust.table()))
    assert shown == there, ANEW


@pytest.mark.slow
def test_the_readme_s_figures_are_those_printed() -> None:
    shown = trust.in_readme()
    assert len(shown) == 4 + len(trust.PEERS)
    assert list(islice(trust.figures(), 4)) == shown[:4], ANEW


def test_nothing_shown_tells_of_a_failure() -> None:
    _, derivatives, mutants, programs, *peers = trust.in_readme()
    assert derivatives.endswith(", 0 disagree")
    tried, caught = (part.split()[0] for part in mutants.removeprefix("broken rules").split(","))
    assert tried == caught
    assert f"{trust.PROGRAMS} of {trust.PROGRAMS}" in programs
    assert not any("DIFFERENT" in line for line in peers)
