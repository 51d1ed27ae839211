# Everything runs in .venv, made on first use from pyproject.toml with the tested versions of constraints.txt,
# and made anew when either file changes. Needed beforehand: Python 3.10 or later, make, a C++ compiler.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-thorough lint format types project generated generated-check docs wheel check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: $(INSTALLED) ## from the equation to a proof, its kernels and their check
	$(BIN)/symgru demo

test: $(INSTALLED) ## the test suite
	$(PYTEST)

test-thorough: $(INSTALLED) ## the same with many more examples, and the tests that take minutes
	HYPOTHESIS_PROFILE=thorough $(PYTEST) -m ""

lint: $(INSTALLED) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy

project: $(INSTALLED) ## pyproject.toml and the hooks are well formed
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/pre-commit validate-config

generated: $(INSTALLED) ## emit kernels/generated anew from the equations
	$(BIN)/python -m symgru.lowering.emit

generated-check: $(INSTALLED) ## kernels/generated is what the equations give
	$(BIN)/python -m symgru.lowering.emit --check

docs: $(INSTALLED) ## docs/ as a site in site/; broken links are errors
	$(BIN)/python -m symgru.documents --check
	$(BIN)/mkdocs build --quiet --strict --config-file .mkdocs.yml

wheel: $(INSTALLED) ## build the wheel into dist/ and check what it holds
	rm -rf build dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist
	rm -rf build
	$(BIN)/python -m pytest tests/project/test_packaging.py

check: lint types project generated-check docs wheel test ## all of the above but the thorough tests

clean: ## remove .venv and everything built
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find symgru kernels tests -name __pycache__ -type d -prune -exec rm -rf {} +
