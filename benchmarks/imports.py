"""C1: how long imports take, each in fresh interpreters.

NumPy comes first and is the baseline; the others are timed after `import numpy`, so a figure is what a
library adds to it.
"""

from __future__ import annotations

import os
import subprocess
import sys

from .harness import Case, Result, compare, missing

MODULES = {
    "NumPy": "numpy",
    "autodiff": "autodiff",
    "micrograd": "micrograd.engine",
    "HIPS autograd": "autograd.numpy",
    "PyTorch": "torch",
    "JAX": "jax",
}


def import_time(module: str) -> float:
    """Seconds that the import takes in a new interpreter, where NumPy has been imported unless it is the question."""
    first = "" if module == "numpy" else "import numpy"
    code = f"{first}\nfrom time import perf_counter\nstart = perf_counter()\nimport {module}\nprint(perf_counter() - start)"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # or every import would be one of sources
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout)


def run(quick: bool) -> Result:
    """C1; the baseline is NumPy."""
    result = Result("C1", "import time beyond NumPy's own; ratio = time : NumPy's own import")
    slices: dict[str, list[float]] = {}
    for name, module in MODULES.items():
        if missing([module.partition(".")[0]]):
            result.skipped.append(f"{name}: it is not installed")
        else:
            slices[name] = []
            import_time(module)  # so that compiled files exist and the disk is warm
    print("C1 ...", file=sys.stderr, flush=True)
    for _ in range(3 if quick else 5):
        for name, times in slices.items():
            times.append(import_time(MODULES[name]))
    result.rows = compare(Case("import", None, 0, 0, {"autodiff": "at most 25 ms"}), "NumPy", slices, {})
    return result
