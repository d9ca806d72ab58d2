# Two commands do everything on a fresh machine with Python 3.11 to 3.14:
#   make example    sets up and labels a real spreadsheet
#   make check      sets up, lints, type-checks and runs every test
PYTHON ?= python3
RUN := .venv-run
DEV := .venv
BENCH := .venv-bench
PIP := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

example: $(RUN)/ready ## set up and label jobs/examples/contacts.xlsx into out/
	@mkdir -p out
	$(RUN)/bin/jobbatch label jobs/examples/contacts.xlsx out/contacts-labelled.xlsx --overwrite

check: lint types contract test ## set up and check everything, tests included

test: $(DEV)/ready ## run the tests
	$(DEV)/bin/pytest

lint: $(DEV)/ready ## check format and style
	$(DEV)/bin/ruff format --check
	$(DEV)/bin/ruff check

types: $(DEV)/ready ## check the types, strictly
	$(DEV)/bin/mypy

contract: $(DEV)/ready ## check that imports run down the floors only
	$(DEV)/bin/lint-imports --no-logo

fix: $(DEV)/ready ## format, and mend what can be mended
	$(DEV)/bin/ruff format
	$(DEV)/bin/ruff check --fix

bench: $(BENCH)/ready ## measure jobbatch and its peers; some hours
	$(BENCH)/bin/python -m benchmarks

bench-quick: $(BENCH)/ready ## the same on small inputs, once; some minutes
	$(BENCH)/bin/python -m benchmarks --quick

wheel: $(DEV)/ready ## build the wheel, the shipped model inside
	$(DEV)/bin/python -m build --wheel

clean: ## remove the environments and everything built
	rm -rf $(RUN) $(DEV) $(BENCH) build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(RUN)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(RUN)
	$(RUN)/bin/python $(PIP) --constraint constraints.txt --editable '.[cpu]'
	@touch $@

$(DEV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python $(PIP) 'pip>=25.1'
	$(DEV)/bin/python $(PIP) --constraint constraints.txt --editable '.[cpu,train]' --group dev
	@touch $@

$(BENCH)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python $(PIP) 'pip>=25.1'
	$(BENCH)/bin/python $(PIP) --constraint constraints.txt --editable '.[cpu,train]' --group bench
	@touch $@

.PHONY: help example check test lint types contract fix bench bench-quick wheel clean
