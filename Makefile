# edgekd: `make` lists what there is. Everything runs in .venv, made by `make setup`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRA_PIP ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check bench bench-peers docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/ready ## make .venv with everything (EXTRA_PIP adds pip options, such as a CPU-only index)

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(EXTRA_PIP) --constraint constraints.txt --editable '.[train,report,search,litert,mnn,dev]'
	touch $@

demo: setup ## the whole chain on the embedded data set, with the verdict
	PATH="$(abspath $(BIN)):$$PATH" bash docs/demo.sh

test: setup ## ruff, mypy and the default tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

test-all: setup ## every test, the slow and GPU ones too
	$(BIN)/python -m pytest -q -m "slow or gpu or not slow"

check: setup ## ruff and mypy alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup ## the benchmarks (an hour; ratios from interleaved runs)
	$(BIN)/python benchmarks/plain.py
	$(BIN)/python benchmarks/floor.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/search_overhead.py
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/work.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/operators.py
	$(BIN)/python benchmarks/cache_reader.py
	$(BIN)/python benchmarks/cache_training.py
	$(BIN)/python benchmarks/cache_scale.py

bench-peers: setup ## against torchdistill and timm (hours; needs a package index once)
	$(BIN)/python benchmarks/peers.py setup
	$(BIN)/python benchmarks/peers.py

docs: setup ## write docs/cli.md anew
	$(BIN)/python docs/generate.py

clean: ## remove .venv, caches, runs and builds
	rm -rf $(VENV) build dist runs cache demo .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
