# The README's two commands are `make demo` and `make test`; `make help` lists the rest.

VENV ?= .venv
BIN := $(VENV)/bin
IN_RANGE := 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c $(IN_RANGE) 2>/dev/null && echo $$p && break; done)
DATASET ?= auto
OUT ?= runs/demo
WORKERS ?= 2
KILLS ?= 100
SEED ?= 0
CHAOS_OUT ?= chaos.json
SECONDS ?= 3600
FUZZ_SEED ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-all chaos fuzz sanitize wheel test-device test-torch test-pythons check lint \
  format bench results notebook notebook-check docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/core ## the study in minutes: train, audit, deploy; a report (DATASET=, OUT=)
	$(BIN)/qfm compare --preset demo --dataset $(DATASET) \
	  $(if $(wildcard $(OUT)/comparison.toml),--resume,--out) $(OUT)
	$(BIN)/qfm audit hybrid-cnn --dataset $(DATASET) --epochs 2 --min-steps 120 --rate-factors 1 \
	  --controls frozen removed linear --baselines logistic-regression \
	  $(if $(wildcard $(OUT)/audit/audit.toml),--resume,--out) $(OUT)/audit
	$(BIN)/qfm evaluate $(OUT)/hybrid-cnn --device aer fake_torino --samples 360
	$(BIN)/qfm cost $(OUT)/hybrid-cnn --backend fake_torino
	$(BIN)/qfm compare --resume $(OUT)

test: $(VENV)/dev ## run the tests
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

test-all: $(VENV)/dev ## run the tests, the slow ones too
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not chaos"

chaos: $(VENV)/dev ## kill, fill disks, damage files; count what is lost (KILLS=, SEED=)
	CHAOS_KILLS=$(KILLS) CHAOS_SEED=$(SEED) CHAOS_OUT=$(CHAOS_OUT) \
	  $(BIN)/python -m pytest -q tests/chaos -m chaos \
	  -W ignore::pytest.PytestUnraisableExceptionWarning

fuzz: $(VENV)/dev ## feed damaged files to every parser (SECONDS=3600, FUZZ_SEED=)
	QFM_FUZZ_SECONDS=$(SECONDS) QFM_FUZZ_SEED=$(FUZZ_SEED) $(BIN)/python -m pytest -q tests/fuzz

test-pythons: ## run the tests on each of Python 3.11 to 3.13 that is installed
	@for version in 3.11 3.12 3.13; do \
	  if python$$version -c '' 2>/dev/null; then \
	    $(MAKE) test VENV=.venv-$$version PYTHON=python$$version || exit 1; \
	  else echo "python$$version is not installed: skipped"; fi; done

check: lint test ## what CI runs: linters, type checker, tests

test-device: $(VENV)/dev ## run PennyLane's own tests of a device on qfm.statevector
	PATH=$(abspath $(BIN)):$$PATH JAX_ENABLE_X64=1 pl-device-test --device=qfm.statevector \
	  --shots=None --skip-ops -q -n $(WORKERS)
	PATH=$(abspath $(BIN)):$$PATH JAX_ENABLE_X64=1 pl-device-test --device=qfm.statevector \
	  --shots=20000 --skip-ops -q -n $(WORKERS)

test-torch: $(VENV)/dev $(VENV)/torch ## install PyTorch too, and run its tests
	$(BIN)/python -m pytest -q tests/simulator/test_torch.py \
	  tests/simulator/test_any_program_torch.py
	$(BIN)/python -m pytest -q tests/experiments/test_bench_simulator.py -k pytorch

sanitize: $(VENV)/dev ## test the native kernels with AddressSanitizer and UBSan
	cmake -S qfm_jax/simulator/native -B build/sanitize -DQFM_SANITIZE=ON \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPython_EXECUTABLE=$(abspath $(BIN))/python
	cmake --build build/sanitize --parallel
	QFM_KERNELS=$(abspath build/sanitize/kernels.so) ASAN_OPTIONS=detect_leaks=0 \
	  LD_PRELOAD="$$($${CXX:-c++} -print-file-name=libasan.so) $$($${CXX:-c++} -print-file-name=libubsan.so)" \
	  $(BIN)/python -m pytest -q -n $(WORKERS) tests/simulator/test_native.py \
	  -k "not threads and not narrower and not switched and not large and not derivatives"

wheel: $(VENV)/dev ## build a wheel and try it in an environment of its own
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps -w build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet -c constraints.txt build/wheel/*.whl
	cd build/wheel && venv/bin/python -c "from qfm_jax.simulator import native; \
	  print(native.why_missing() or 'The native kernels are there.')"
	cd build/wheel && venv/bin/qfm --version

notebook: $(VENV)/notebook ## make experiments/fashion_mnist.ipynb from its text source
	$(BIN)/python tests/execute_notebook.py --write

notebook-check: $(VENV)/notebook ## execute the notebook in a fresh kernel, check outputs
	$(BIN)/python tests/execute_notebook.py

docs: $(VENV)/docs ## write the documentation into build/docs
	$(BIN)/python -m sphinx -qW --keep-going -b html docs build/docs
	@echo "Written: build/docs/index.html"

lint: $(VENV)/dev ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/core ## measure what experiments/README.md claims (long)
	$(BIN)/python experiments/bench_simulator.py --short
	$(BIN)/python experiments/bench_simulator.py --cases 20,4,1 \
	  --peers "one mean" "one mean on lightning.qubit" --out build/bench_one_mean.json
	$(BIN)/python experiments/bench_training.py

results: $(VENV)/core ## write the tables of the READMEs from experiments/results
	$(BIN)/python experiments/write_results.py

lock: ## pin every transitive version again (needs uv)
	uv pip compile --universal --python-version 3.11 --all-extras pyproject.toml \
	  --custom-compile-command "make lock" -o constraints.txt

clean: ## remove what was built and installed, but no run
	rm -rf .venv .venv-3.* build dist *.egg-info .*_cache .hypothesis
	find qfm_jax experiments tests -name __pycache__ -exec rm -rf {} +

$(VENV)/core: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing qfm_jax and what it stands on into $(VENV) (a few minutes, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e .
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing qfm_jax with its test tools into $(VENV) (a few minutes, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e '.[dev]'
	@touch $@

$(addprefix $(VENV)/,notebook docs torch): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing qfm_jax with what its $(@F) needs into $(VENV) (once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e '.[$(@F)]'
	@touch $@

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed; name one with PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
