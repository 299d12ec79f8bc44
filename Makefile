# make demo    everything from a fresh clone, then `pact-hw demo`
# make test    the same set-up, then the tests
# make setup   the set-up alone: .venv with the pact-hw command in it
PYTHON ?= python3
PIP_ARGS ?=
WORKERS ?= auto

READY := .venv/.ready

.PHONY: demo test test-slow lint setup clean
.DEFAULT_GOAL := setup

setup: $(READY)

demo: $(READY)
	.venv/bin/pact-hw demo

test: $(READY)
	.venv/bin/python -m pytest -q -n $(WORKERS)

test-slow: $(READY)
	.venv/bin/python -m pytest -q -m slow

lint: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and f"pact-hw: Python 3.11 to 3.13 is needed, not {sys.version.split()[0]}: make setup PYTHON=python3.12")'
	@$(PYTHON) -m pact_hw.tools
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv out
