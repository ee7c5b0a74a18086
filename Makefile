# Each target makes what it needs in .venv and uses it again the next time.
#
#   make demo      the whole story on a real service, into demo-out/
#   make test      lint, types and all tests
#   make lab       JupyterLab on the notebooks
#   make lint      ruff and mypy
#   make captures  make the small captures anew
#   make bench     the benchmarks

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-out
TESTS ?= tests
PYTEST_FLAGS ?=

# What is installed depends on these files alone (the package itself is installed editable).
SOURCES_OF_INSTALL := pyproject.toml setup.py $(wildcard captures/*.tar.xz) $(wildcard forensics/agent/native/*.c forensics/agent/native/*.h)

.DEFAULT_GOAL := help
.PHONY: help demo test lab lint captures bench clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Say which: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(SOURCES_OF_INSTALL) | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@$(BIN)/python -m forensics.resources >/dev/null
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@# It pins an older aiobotocore than the one above; what the tests use of it runs with that one.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps aioboto3==15.5.0
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/forensics demo --out $(OUT)

lab: $(VENV)/.installed
	$(BIN)/forensics lab $(CAPTURE)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(TESTS)

captures: $(VENV)/.installed
	$(BIN)/python -m forensics.specimens.captures captures
	$(BIN)/python -m forensics.specimens.profile_captures captures

bench: $(VENV)/.installed-test
	@set -e; for benchmark in $$(ls tests/benchmarks/*.py); do \
		echo "== $$benchmark"; $(BIN)/python $$benchmark; \
	done

clean:
	rm -rf $(VENV) build dist *.egg-info $(OUT)
