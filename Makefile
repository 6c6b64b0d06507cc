# Two commands do all set-up on a machine with Python 3.10+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
RESULTS ?= results

.PHONY: demo test test-slow lint types bench bench-estimates bench-orchestration clean help

help:            ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/.run  ## create the environment and run the quickstart scenario
	$(RUN)/fedmf-ray run scenarios/quickstart.yaml --results $(RESULTS)

test: $(VENV)/.test  ## run the test suite (slow tests excluded)
	$(RUN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.test  ## run only the slow tests
	$(RUN)/python -m pytest -m slow

lint: $(VENV)/.test  ## check style
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: $(VENV)/.test  ## check types
	$(RUN)/mypy

bench: $(VENV)/.run  ## print speed and memory as ratios within one run (needs ml-latest-small; some minutes)
	$(RUN)/python benchmarks/crypto.py
	$(RUN)/python benchmarks/reference_round.py
	$(RUN)/python benchmarks/memory.py
	$(RUN)/python benchmarks/writing.py

bench-estimates: $(VENV)/.run  ## compare estimates and calibrated runs with real ones (needs ml-latest-small; ten minutes)
	$(RUN)/python benchmarks/estimates.py

bench-orchestration: $(VENV)/.run  ## compare speed and memory with Flower, pfl and NumPy (Linux; half an hour)
	$(RUN)/python benchmarks/orchestration/compare.py

clean:           ## remove the environment and caches
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $@ $(VENV)/.run
