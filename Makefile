# Everything a developer runs. Each target makes the virtual environment that it needs; only python3 and make are assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := .build
# Test processes side by side: most tests wait for servers rather than compute.
WORKERS ?= 3
COMPONENTS := wire net client namesrv broker operator cli
SOURCES := $(COMPONENTS) tests benchmarks examples

# make images: whichever builder is there, and what it needs to be told on this machine.
BUILDER ?= $(firstword $(foreach builder,docker podman buildah,$(if $(shell command -v $(builder)),$(builder))))
BASE_IMAGE ?= docker.io/library/python:3.13-slim
BUILD_IMAGE ?= $(BASE_IMAGE)
BUILD_FLAGS ?=
PUSH_FLAGS ?=
IMAGE_PREFIX ?= localhost
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE_TAG ?= $(VERSION)
IMAGES := broker namesrv operator

# make golden: where the store directories go, and the version of Apache's broker that writes them.
GOLDEN ?= tests/golden/apache
ROCKETMQ ?= 5.3.3

.DEFAULT_GOAL := help
.PHONY: help run demo test check format interop golden crash-matrix chart kubernetes faults e2e bench bench-compare images push lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/ready  ## start the quickstart cluster, show ten messages through it, stay up until Ctrl-C
	$(BIN)/rocketctl run examples/quickstart/cluster.yaml

demo: $(VENV)/ready  ## the same, then stop; fails unless all ten messages came through once
	$(BIN)/rocketctl demo examples/quickstart/cluster.yaml

test: $(VENV)/ready  ## every test that needs only Python
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not interop and not e2e and not chart" tests
	@echo "left out: real Java, Go and C++ clients (make interop), long fault runs (make faults), a real Kubernetes (make e2e)"

check: $(VENV)/ready  ## format, lint, types, import contracts, unit tests
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(COMPONENTS)
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n $(WORKERS) tests/unit

format: $(VENV)/ready  ## rewrite the sources in the project's format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

interop: $(VENV)/ready  ## official Java, Go and C++ clients against a cluster of ours
	$(BIN)/python tests/interop/run.py --up

golden: $(VENV)/ready  ## Apache's own broker writes store directories for the tests (JDK, Maven; GOLDEN=DIR, ROCKETMQ=version)
	$(BIN)/python tests/interop/golden.py --version $(ROCKETMQ) $(GOLDEN)

crash-matrix: $(VENV)/ready  ## the operator killed after each of its writes, in every scenario
	$(BIN)/python -m pytest -m slow --timeout 900 tests/integration/operator

chart: $(VENV)/ready kubernetes  ## the Helm chart against a real API server, its alerts with promtool (Go; builds what is missing)
	@command -v go >/dev/null || { echo "make chart needs Go: it builds helm, promtool and an API server"; exit 1; }
	$(BIN)/python -m pytest -m chart tests/integration/chart

kubernetes:  ## build the Kubernetes of chart and e2e from Go modules: minutes once, seconds from then on
	@if command -v go >/dev/null; then tests/kubernetes/build-kubernetes.sh all >/dev/null; fi

faults: $(VENV)/ready  ## the long fault runs: kill -9, full disk, cut logs
	$(BIN)/python -m pytest -m slow --timeout 900 tests

e2e: $(VENV)/ready kubernetes  ## the operator on a real Kubernetes with a real node (root, Go, buildah; builds what is missing)
	$(BIN)/python -m pytest -m e2e -v tests/e2e

bench: $(VENV)/ready  ## throughput, latency, CPU and memory of the broker; prints a table, writes .build/bench
	$(BIN)/python benchmarks/run.py

bench-compare: $(VENV)/ready  ## the same beside Apache's own broker (needs a JDK and Maven)
	$(BIN)/python benchmarks/compare_apache.py

images: $(addprefix image-,$(IMAGES))  ## build the images (BUILDER, BASE_IMAGE, BUILD_FLAGS, IMAGE_PREFIX, IMAGE_TAG)
	@$(BUILDER) images | grep -E 'REPOSITORY|$(IMAGE_PREFIX)/rocket-'

push: $(addprefix push-,$(IMAGES))  ## push the images to where IMAGE_PREFIX says

push-%:
	$(BUILDER) push $(PUSH_FLAGS) $(IMAGE_PREFIX)/rocket-$*:$(IMAGE_TAG)

image-%:
	@test -n "$(BUILDER)" || { echo "no docker, podman or buildah is there to build images with"; exit 1; }
	$(BUILDER) build $(BUILD_FLAGS) --build-arg BASE_IMAGE=$(BASE_IMAGE) --build-arg BUILD_IMAGE=$(BUILD_IMAGE) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
		-t $(IMAGE_PREFIX)/rocket-$*:$(IMAGE_TAG) -f Dockerfile.$* .

lock:  ## resolve the lock files anew (maintainers)
	$(PYTHON) -m venv $(BUILD)/lock
	$(BUILD)/lock/bin/pip install --quiet pip-tools
	$(call resolve,dev,requirements.lock)
	$(call resolve,build,requirements-build.lock,--constraint requirements.lock)
	$(call resolve,server,requirements-server.lock,--constraint requirements.lock)
	$(call resolve,operator,requirements-operator.lock,--constraint requirements.lock)

# What an extra needs, exact versions with hashes: $(1) the extra, $(2) the file, $(3) further options.
define resolve
	$(BUILD)/lock/bin/pip-compile --quiet --strip-extras --extra $(1) --generate-hashes --no-header --no-emit-index-url \
		--no-annotate --no-emit-find-links --no-emit-trusted-host --unsafe-package rocketcluster $(3) --output-file $(2) pyproject.toml
	sed -i '/^# WARNING/,$$d' $(2)
endef

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
