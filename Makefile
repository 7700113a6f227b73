# Everything a developer runs. Each target makes the virtual environment that it needs; only python3 and make are assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := .build
COMPONENTS := wire net client namesrv broker operator cli
SOURCES := $(COMPONENTS) tests benchmarks examples

.DEFAULT_GOAL := help
.PHONY: help run demo test check format interop faults bench bench-compare lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/ready  ## start the quickstart cluster, show ten messages through it, stay up until Ctrl-C
	$(BIN)/rocketctl run examples/quickstart/cluster.yaml

demo: $(VENV)/ready  ## the same, then stop; fails unless all ten messages came through once
	$(BIN)/rocketctl demo examples/quickstart/cluster.yaml

test: $(VENV)/ready  ## every test that needs only Python
	$(BIN)/python -m pytest -m "not slow and not interop" tests
	@echo "left out: real Java, Go and C++ clients (make interop), long fault runs (make faults)"

check: $(VENV)/ready  ## format, lint, types, import contracts, unit tests
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(COMPONENTS)
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest tests/unit

format: $(VENV)/ready  ## rewrite the sources in the project's format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

interop: $(VENV)/ready  ## official Java, Go and C++ clients against a cluster of ours
	$(BIN)/python tests/interop/run.py --up

faults: $(VENV)/ready  ## the long fault runs: kill -9, full disk, cut logs
	$(BIN)/python -m pytest -m slow --timeout 600 tests

bench: $(VENV)/ready  ## throughput, latency, CPU and memory of the broker; prints a table, writes .build/bench
	$(BIN)/python benchmarks/run.py

bench-compare: $(VENV)/ready  ## the same beside Apache's own broker (needs a JDK and Maven)
	$(BIN)/python benchmarks/compare_apache.py

lock:  ## resolve requirements.lock anew (maintainers)
	$(PYTHON) -m venv $(BUILD)/lock
	$(BUILD)/lock/bin/pip install --quiet pip-tools
	$(BUILD)/lock/bin/pip-compile --quiet --strip-extras --extra dev --generate-hashes --no-header --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --unsafe-package rocketcluster --output-file requirements.lock pyproject.toml
	sed -i '/^# WARNING/,$$d' requirements.lock

clean:  ## remove the environment, build files and the clusters' data
	rm -rf $(VENV) $(BUILD) data .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "python3 is too old: rocketcluster needs 3.11 or newer (PYTHON=/path/to/python3 make ...)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "python3 cannot make virtual environments: install ensurepip (Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "making the environment in $(VENV), once; it takes a minute or two"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
