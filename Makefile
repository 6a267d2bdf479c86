# Everything runs from .venv; `make setup` (or ./quickstart) makes it.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
SHELL_FILES = $(shell git ls-files -- '*.sh' 'lab/image/*' quickstart .ci/run 2>/dev/null | xargs -r grep -lE '^\#!.*\b(ba|da)?sh\b' 2>/dev/null)

.PHONY: help setup format check test unit lab lab-down demo clean

help:
	@echo "make check   format, lint, types, import contract, unit tests, docs (no containers, under a minute)"
	@echo "make test    everything, with the lab"
	@echo "make demo    ship the example through the lab and print the report"
	@echo "make lab     bring the lab up; make lab-down stops it"

$(VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

setup: $(VENV)/.done

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/shellcheck $(SHELL_FILES)
	$(BIN)/pytest -q tests/unit tests/golden

unit: setup
	$(BIN)/pytest -q tests/unit tests/golden
