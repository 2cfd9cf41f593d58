# `make demo` and `make test` are all that is needed on a fresh machine; both make .venv themselves.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow trust lint format ops notebooks check-notebooks bench peers-tests limits clean

# One stamp a set of extras, renewed when pyproject.toml changes.
.venv/%.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@

demo: .venv/nets.stamp
	$(BIN)/python -m nets

test: .venv/test.stamp
	$(BIN)/python -m pytest --quiet --numprocesses=2

slow: .venv/dev.stamp
	$(BIN)/python -m pytest --quiet -m slow

# PyTorch and JAX are asked where they are installed; `.venv/bin/pip install torch jax` adds them.
trust: .venv/test.stamp
	$(BIN)/python -m tests.trust

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Without the package's __init__, which imports the very module that is made here.
BARE := import runpy, sys, types; p = types.ModuleType('autodiff'); p.__path__ = ['autodiff']; sys.modules['autodiff'] = p

ops: .venv/dev.stamp
	$(BIN)/python -c "$(BARE); runpy.run_module('autodiff.ops.generate', run_name='__main__')"
	$(BIN)/ruff format --quiet autodiff/value_ops.py

limits: .venv/dev.stamp
	$(BIN)/python -m autodiff.ops.limits

notebooks: .venv/dev.stamp
	$(BIN)/python notebooks/render.py

check-notebooks: .venv/dev.stamp
	$(BIN)/python notebooks/render.py --check

bench: .venv/bench.stamp
	$(BIN)/python -m benchmarks

# HIPS autograd's own tests, on this engine; downloads its source archive into build/.
peers-tests: .venv/test.stamp
	$(BIN)/python -m benchmarks.peers

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
