"""`make trust`: the figures of the README's section "Can I trust it?", each made by running what it tells of.

`python -m tests.trust` prints them, `--write` puts them into the README; tests compare the two.  Lines that
begin with a library's name depend on what is installed, and are not compared.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import autodiff as ad
from autodiff.checking import certificate
from autodiff.checking.grads import examine
from autodiff.checking.peers import PEERS, Peer, installed
from tests.cases import BUILT_IN, CASES, caller, packed, tensors, weighted
from tests.mutants import Tally
from tests.programs import CALLS, run_table

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- printed by make trust -->\n```\n", "```\n<!-- end -->\n"
PROGRAMS = 200


def table() -> str:
    kinds = [op.kind for op in BUILT_IN]
    parts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("elementwise", "linear", "bilinear", "general"))
    return f"the table        {len(BUILT_IN)} ops ({parts}), sampled in {len(CASES)} calls"


def derivatives() -> str:
    comparisons = wrong = 0
    for op, args, kw in CASES:
        report = examine(caller(op, kw), args, order=2)
        comparisons += report.comparisons
        wrong += sum(f.trouble is not None for _, f in report.findings)
    return f"derivatives      {comparisons} comparisons (both modes, orders 1 and 2, differences, complex step), {wrong} disagree"


def mutation() -> str:
    tally = Tally()
    for op in BUILT_IN:
        tally.add(op)
    return f"broken rules     {tally}"


def programs() -> str:
    agreed = 0
    with patch.object(certificate, "PEERS", ()):
        for seed in range(PROGRAMS):
            agreed += _random_program(seed).certificate(seed).ok
    return f"random programs  {agreed} of {PROGRAMS} random programs over the table certified"


def _random_program(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    program = [(CALLS[rng.integers(len(CALLS))], int(rng.integers(1000))) for _ in range(rng.integers(1, 9))]
    return run_table(program, [ad.Tensor(rng.normal(size=shape)) for shape in ((2, 3), (4,))])


def peer(kind: type[Peer]) -> str:
    if not installed(kind):
        return f"{kind.name:<16} not installed here"
    agreed, skipped, differ, worst = 0, set(), [], 0.0
    first = {op.name: (op, args, kw) for op, args, kw in reversed(CALLS)}  # JAX compiles every call anew
    for op, args, kw in first.values():
        with patch.object(certificate, "PEERS", (kind,)):
            rows = weighted(op(*packed(op, tensors(op, args)), **kw)).certificate().rows
        theirs = [row for row in rows if row.what.startswith(kind.name)]
        if theirs[-1].verdict == "skipped":
            skipped.add(op.name)
        elif all(row.ok for row in theirs):
            agreed += 1
            worst = max(worst, *(row.ulps or 0.0 for row in theirs))
        else:
            differ.append(op.name)
    rest = f", {len(skipped)} have no counterpart there" if skipped else ""
    odd = f", DIFFERENT: {', '.join(differ)}" if differ else ""
    version = kind().version.partition("+")[0]
    return f"{f'{kind.name} {version}':<16} {agreed} ops agree in value and gradient, {np.ceil(worst):.0f} ulp apart at most{rest}{odd}"


def figures() -> Iterator[str]:
    """The lines, in order."""
    with np.errstate(all="ignore"):
        yield table()
        yield derivatives()
        yield mutation()
        yield programs()
        for kind in PEERS:
            yield peer(kind)


def in_readme() -> list[str]:
    """The lines that the README shows."""
    return README.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()


def main(arguments: list[str]) -> None:
    lines = []
    for line in figures():
        print(line, flush=True)
        lines.append(line)
    if arguments == ["--write"]:
        before, begin, rest = README.read_text().partition(BEGIN)
        README.write_text(before + begin + "\n".join(lines) + "\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    main(sys.argv[1:])
