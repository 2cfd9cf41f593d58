"""The command line of the benchmarks: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import chain, drawing, harness, imports, scalars, tensors

WORKLOADS = {"S1": scalars.run, "T1": tensors.run, "D1": chain.run, "P1": drawing.run, "C1": imports.run}


def _keys(text: str) -> list[str]:
    keys = text.split(",")
    unknown = [key for key in keys if key not in WORKLOADS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no workload; there are {', '.join(WORKLOADS)}")
    return keys


def main() -> int:
    """Run the workloads asked for, print a table of each and write the report; 1 if some peer computed wrong numbers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="autodiff beside its peers: ratios of times, one thread.")
    parser.add_argument("--quick", action="store_true", help="shorter slices, fewer rounds and no large cases: rougher ratios")
    parser.add_argument("--only", type=_keys, default=list(WORKLOADS), metavar="S1,T1", help=f"which of {', '.join(WORKLOADS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE too")
    options = parser.parse_args()
    cpu = harness.one_thread_one_cpu()
    results = []
    for key in options.only:
        result = WORKLOADS[key](options.quick)
        print(harness.table(result), end="\n\n", flush=True)
        results.append(result)
    report = harness.report(results, options.quick, cpu)
    print(", ".join(f"{name} {number}" for name, number in report["versions"].items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if any(result.wrong for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
