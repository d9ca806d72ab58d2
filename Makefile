# Two commands do everything on a fresh machine with Python 3.11 to 3.14:
#   make example    sets up and labels a real spreadsheet
#   make check      sets up, lints, type-checks, checks dependencies and runs every test
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

check: lint types contract licences audit test ## set up and check everything, tests included

test: $(DEV)/ready ## run the tests
	$(DEV)/bin/pytest

lint: $(DEV)/ready ## check format and style
	$(DEV)/bin/ruff format --check
	$(DEV)/bin/ruff check

types: $(DEV)/ready ## check the types, strictly
	$(DEV)/bin/mypy

contract: $(DEV)/ready ## check that imports run down the floors only
	$(DEV)/bin/lint-imports --no-logo

licences: $(DEV)/ready ## check the licences of what is needed at run time
	$(DEV)/bin/python -m tools.licences

audit: $(DEV)/ready ## ask for known vulnerabilities of the pinned versions
	$(DEV)/bin/python -m tools.audit

lock: $(DEV)/ready ## write constraints.txt, as .venv is now
	$(DEV)/bin/python -m tools.lock

fix: $(DEV)/ready ## format, and mend what can be mended
	$(DEV)/bin/ruff format
	$(DEV)/bin/ruff check --fix

torture: $(DEV)/ready ## kill, fuzz and starve it for longer than make check does; about an hour
	JOBBATCH_TORTURE_KILLS=300 JOBBATCH_FUZZ_CASES=1200 $(DEV)/bin/pytest -m 'fault or system'

reliability: $(DEV)/ready ## write docs/reliability.md from the tests that prove it
	$(DEV)/bin/python -m tests.reliability docs/reliability.md

bench: $(BENCH)/ready ## measure jobbatch and its peers; some hours
	$(BENCH)/bin/python -m benchmarks

bench-quick: $(BENCH)/ready ## the same on small inputs, once; some minutes
	$(BENCH)/bin/python -m benchmarks --quick

wheel: $(DEV)/ready ## build the wheel, the shipped model inside
	$(DEV)/bin/python -m build --wheel --no-isolation

sbom: $(DEV)/ready ## write the release's bill of materials into dist/
	$(DEV)/bin/python -m tools.sbom

clean: ## remove the environments and everything built
	rm -rf $(RUN) $(DEV) $(BENCH) build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(RUN)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(RUN)
	$(RUN)/bin/python $(PIP) --constraint constraints.txt --editable '.[cpu]'
	@touch $@

$(DEV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python $(PIP) --constraint constraints.txt pip
	$(DEV)/bin/python $(PIP) --constraint constraints.txt --editable '.[cpu,train]' --group dev
	@touch $@

$(BENCH)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python $(PIP) --constraint constraints.txt pip
	$(BENCH)/bin/python $(PIP) --constraint constraints.txt --editable '.[cpu,train]' --group bench
	@touch $@

.PHONY: help example check test lint types contract licences audit lock fix torture reliability bench bench-quick wheel sbom clean
