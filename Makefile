# Everything runs from .venv, which `make setup` makes; ./quickstart installs what the system lacks first.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
SHELL_FILES = $(shell git ls-files -- quickstart .ci lab slurm | grep -v '\.j2$$' | xargs -r grep -lE '^\#!.*/(env )?(ba|da)?sh$$')

.PHONY: help install setup lint format check unit stand test sites faults siteless alone lab lab-down demo picture docs bench

help:
	@echo "make check    format, lint, types, import contract, unit tests, docs: no containers, under a minute"
	@echo "make test     everything, with the lab"
	@echo "make demo     ship the example through the lab and print the report"
	@echo "make lab      bring the lab up; make lab-down takes it down"
	@echo "make docs     the docs as a site in build/site, every link checked"
	@echo "make format   mend what a formatter can mend"

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check -e .
	@$(BIN)/python -m compileall -q hpcbake
	@touch $@

$(VENV)/.set-up: pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[dev,abi-fixtures]'
	@$(BIN)/python -m compileall -q hpcbake
	@touch $(VENV)/.installed $@

# Bytecode is compiled at once, as for a wheel: where Python may not write it, every start would pay for it.
# hpcbake alone, to use it; and with everything its checks and tests need, to work on it.
install: $(VENV)/.installed
setup: $(VENV)/.set-up

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/shellcheck $(SHELL_FILES)
	$(BIN)/python docs/generate.py --check

unit: setup
	$(BIN)/pytest -q -n auto -m "not stand" tests/unit tests/golden

# What starts shells, servers and programs: the site's scripts with stand-ins for Slurm and apptainer, and others.
stand: setup
	$(BIN)/pytest -q -n auto -m stand tests/unit tests/golden

# Side by side: types on one core while tests have the other.
check: setup
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint unit

# The docs as a site; any link or heading that leads nowhere ends it.
docs: setup
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Tests of the lab mostly wait, so three run at a time; those that stop or freeze a part of it come after all others.
# They share one lab, which stays up: `hpcbake lab down` takes it away. Where it cannot run they say so and skip; in CI
# that is a failure.
test: check stand docs
	@$(BIN)/hpcbake lab up || [ -z "$$CI" ]
	@$(MAKE) --no-print-directory -j3 --output-sync=target sites faults siteless
	@$(MAKE) --no-print-directory alone

sites: setup
	$(BIN)/pytest --durations=12 -m "lab and not siteless and not alone" tests/integration

faults: setup
	$(BIN)/pytest --durations=12 -m "lab and not alone" tests/faults

siteless: setup
	$(BIN)/pytest --durations=12 -m "not lab or siteless" tests/integration

alone: setup
	$(BIN)/pytest --durations=12 -m "lab and alone" tests/integration tests/faults

lab: install
	$(BIN)/hpcbake lab up

lab-down: install
	$(BIN)/hpcbake lab down

demo:
	./quickstart demo

# The pictures of the README and the docs, drawn from real runs.
picture: setup
	$(BIN)/python docs/picture.py
