"""Download HIPS autograd's source archive, run its tests on this engine, and report the rate by file: `make peers-tests`.

What is out of scope is listed here by name with its reason, and counted; everything else counts, passed or not.
Ends with an error if less than `WANTED` of what is in scope passes, or if a test listed as out of scope passes after all.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

VERSION = "1.9.1"
BUILD = Path(__file__).parents[2] / "build" / "peers"
WANTED = 0.97

NO_HOOK = "makes an array of a list of nodes by np.array, np.r_, np.c_ or a conversion, where NumPy asks no operand"
COMPLEX = "complex numbers only"
EXTENSIONS = "autograd's own interface: primitive, defvjp, const_graph, flatten, checkpoint, its docstrings"
NAMESPACE = "autograd's own functions, which NumPy lacks, or what its where does beyond NumPy's"
DTYPES = "float16 and longdouble"
XARRAY = "xarray holding nodes"

# Files that are not run, and why.
FILES = {
    "test_fft.py": "Fourier transforms, which are complex",
    "test_scipy.py": "autograd's wrappers of SciPy",
    "test_vspaces.py": "autograd's own class of vector spaces",
    "test_complex.py": COMPLEX,
    "test_performance.py": "no tests",
    "test_misc.py": EXTENSIONS,
    "test_tests.py": EXTENSIONS,
}
# Tests that are run, but do not count.
TESTS = {
    "test_numpy.py": {
        NO_HOOK: "mean_list_of_boxes std_list_of_boxes var_list_of_boxes 1d_array 2d_array 1d_array_fanout 2d_array_fanout "
        "array_from_scalar array_from_arrays array_from_arrays_2 r_basic r_double r_node_and_const r_mixed r_slicing c_ c_mixed "
        "cast_to_int max_equal_values max_equal_values_2d min_3_way_equality maximum_equal_values_2d",
        NAMESPACE: "make_diagonal diagonal",
    },
    "test_linalg.py": {NO_HOOK: "norm_list_of_boxes", NAMESPACE: "pinv", COMPLEX: "eig_real"},
    "test_systematic.py": {COMPLEX: "imag angle"},
    "test_graphs.py": {COMPLEX: "complex_mutating_outgrad_from_indexing"},
    "test_direct.py": {COMPLEX: "holomorphic_grad"},
    "test_jacobian.py": {NO_HOOK: "jacobian_scalar_to_vector jacobian_against_stacked_grads"},
    "test_tuple.py": {NO_HOOK: "nested_higher_order"},
    "test_logic.py": {EXTENSIONS: "no_vjp_def no_jvp_def"},
    "test_wrappers.py": {
        EXTENSIONS: "deprecated_defgrad_wrapper deprecated_defvjp_wrapper deprecated_defvjp_is_zero_wrapper wrapped_name_and_docs",
        NAMESPACE: "custom_where_dtypes[int-True-1-2] custom_where_dtypes[float-True-3.0-4.0] custom_where_dtypes[float-False-1-2.0] "
        "custom_where_dtypes[list-True-x3-y3] custom_where",
        DTYPES: "dtypes",
    },
}
EXCLUDED = {(file, f"test_{name}"): why for file, reasons in TESTS.items() for why, names in reasons.items() for name in names.split()}


def archive() -> Path:
    """The unpacked source archive, downloaded if it is not there yet."""
    source = BUILD / f"autograd-{VERSION}"
    if not source.exists():
        pip = [sys.executable, "-m", "pip", "download", f"autograd=={VERSION}", "--no-binary", ":all:", "--no-deps", "--quiet"]
        subprocess.run([*pip, "--dest", str(BUILD)], check=True)
        with tarfile.open(BUILD / f"autograd-{VERSION}.tar.gz") as tar:
            tar.extractall(BUILD, filter="data")
    return source


def run(source: Path) -> list[dict[str, Any]]:
    """One row for each test that was run."""
    results = BUILD / "results.jsonl"
    results.write_text("")
    here = str(Path(__file__).parents[2])
    env = {**os.environ, "AUTOGRAD_SOURCE": str(source), "PEERS_RESULTS": str(results), "PYTHONPATH": here}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "benchmarks.peers.shim",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir=.",
    ]
    skipped = [f"--ignore={name}" for name in FILES]
    done = subprocess.run([*command, *skipped, "."], cwd=source / "tests", env=env, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    return [json.loads(line) for line in results.read_text().splitlines()]


def verdict(row: dict[str, Any]) -> str:
    """What one test counts as: passed, failed, or why it is out of scope."""
    if row["outcome"] == "skipped":
        return XARRAY if "dataarray" in row["test"] else row["text"]
    if row["complex"] and not row["real"]:
        return COMPLEX
    return EXCLUDED.get((row["file"], row["test"]), row["outcome"])


def report(rows: list[dict[str, Any]], source: Path) -> tuple[str, float]:
    """The table by file, what is out of scope and why, what failed; and the rate."""
    by_file: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    for row in rows:
        what = verdict(row)
        counts = by_file.setdefault(row["file"], Counter())
        counts[what if what in ("passed", "failed") else "out of scope"] += 1
        if what not in ("passed", "failed"):
            reasons[what] += 1
    for name, why in FILES.items():
        tree = ast.parse((source / "tests" / name).read_text())
        count = len({node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")})
        by_file[name] = Counter({"out of scope": count})
        reasons[why] += count
    lines = [f"HIPS autograd {VERSION}: its own tests on this engine", "", f"{'file':26}{'passed':>8}{'failed':>8}{'out of scope':>14}"]
    total: Counter[str] = Counter()
    for name in sorted(by_file):
        total.update(by_file[name])
        lines.append(f"{name:26}{by_file[name]['passed']:8}{by_file[name]['failed']:8}{by_file[name]['out of scope']:14}")
    in_scope = total["passed"] + total["failed"]
    rate = total["passed"] / in_scope
    lines += [f"{'all':26}{total['passed']:8}{total['failed']:8}{total['out of scope']:14}", ""]
    lines += [f"in scope: {total['passed']} of {in_scope} pass, {rate:.1%}; of {sum(total.values())} tests in all"]
    halves = sum(1 for row in rows if row["real"] and row["complex"] and verdict(row) == "passed")
    no_hook = reasons[NO_HOOK]
    lines += [f"counting as failures what NumPy gives no hook for as well: {total['passed'] / (in_scope + no_hook):.1%}"]
    lines += [f"of those that pass, {halves} have complex arguments, too, which were left out", "", "out of scope:"]
    lines += [f"{count:5}  {why}" for why, count in reasons.most_common() if count]
    failed = [row for row in rows if verdict(row) == "failed"]
    lines += ["", "failed:"] + [f"  {row['file']}::{row['test']}: {row['kind']}: {row['text'][:110]}" for row in failed]
    return "\n".join(lines), rate


def main() -> None:
    source = archive()
    rows = run(source)
    text, rate = report(rows, source)
    print(text)
    idle = [f"{r['file']}::{r['test']}" for r in rows if r["outcome"] == "passed" and (r["file"], r["test"]) in EXCLUDED]
    gone = [f"{f}::{t}" for f, t in EXCLUDED if not any((r["file"], r["test"]) == (f, t) for r in rows)]
    if idle or gone:
        raise SystemExit(f"listed as out of scope, but passed or not there: {', '.join(idle + gone)}")
    if rate < WANTED:
        raise SystemExit(f"{rate:.1%} is less than {WANTED:.0%}")


if __name__ == "__main__":
    BUILD.mkdir(parents=True, exist_ok=True)
    main()
