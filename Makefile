# Needs Debian (or any Linux), python3 >= 3.11 with venv, and make. `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SDK    := .venv-sagemaker
# what jobs of the built-in images import: compiled when installed, because a job cannot
WARM   := cloudpickle pandas pyarrow.parquet sklearn.ensemble sklearn.impute sklearn.compose sklearn.pipeline xgboost duckdb sqlglot.dialects.duckdb

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-sagemaker test test-long check bench lock docs format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.done ## build .venv from the pinned dependencies

$(VENV)/.done: requirements/demo.txt pyproject.toml tools/setup.py
	@$(PYTHON) tools/setup.py $(VENV) requirements/demo.txt --editable . --warm $(WARM)

$(VENV)/.dev: requirements/dev.txt $(VENV)/.done
	@$(PYTHON) tools/setup.py $(VENV) requirements/dev.txt && touch $(VENV)/.done $@

$(SDK)/.done: requirements/sagemaker.txt tools/setup.py
	@$(PYTHON) tools/setup.py $(SDK) requirements/sagemaker.txt

demo: setup ## run the Abalone pipeline, make its model live, and watch it
	@$(BIN)/clary demo

demo-sagemaker: setup $(SDK)/.done ## the same through the unmodified sagemaker SDK
	@SAGEMAKER_SUPPRESS_V2_WARNING=1 $(BIN)/clary run -- $(SDK)/bin/python examples/abalone_sagemaker/pipeline.py

test: $(VENV)/.dev $(SDK)/.done ## run the tests
	@$(BIN)/pytest -n 2 --dist loadfile

test-long: $(VENV)/.dev $(SDK)/.done ## run the slow suites: every kill point, the long fuzzers
	@$(BIN)/pytest -n 2 --dist loadfile -m "long or not long" --timeout 1800

check: $(VENV)/.dev ## lint, types, layers, file sizes, docs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/guards.py

bench: $(VENV)/.dev ## measure every figure against its peer or limit; NAME=… for one
	@$(BIN)/python benchmarks/run.py $(NAME)

docs: $(VENV)/.dev ## write the generated reference pages again
	@$(BIN)/python tools/reference.py

format: $(VENV)/.dev ## format and fix what can be fixed
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

lock: ## resolve pyproject.toml into requirements/*.txt
	@$(PYTHON) tools/lock.py

clean: ## remove what was built
	rm -rf $(VENV) $(SDK) .cache .mypy_cache .ruff_cache .pytest_cache dist
