# make demo | test | lint: everything is installed into .venv on the first call.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint constraints clean

VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo
# More workers than this gain nothing: each loads torch anew.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
WORKERS ?= $(shell n=$(CORES); echo $$(( n < 8 ? n : 8 )))
PIP := $(BIN)/python -m pip --disable-pip-version-check

help:
	@echo "make demo         install, then recognize real characters; a report in $(OUT)/"
	@echo "make test         install the development tools, then run the tests"
	@echo "make lint         ruff, mypy and the import floors"
	@echo "make constraints  pin what $(VENV) holds now"
	@echo "make clean        remove $(VENV), caches and $(OUT)/"

demo: $(VENV)/.installed
	@$(BIN)/handful demo --out "$(OUT)"
	@echo "The report: $(abspath $(OUT))/report.html"

# One thread a worker: the workers already fill the cores.
test: $(VENV)/.installed-dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

constraints: $(VENV)/.installed-dev
	@{ sed -n '/^#/p' constraints.txt; $(PIP) freeze --all --exclude-editable \
	  | grep -v -E '^(nvidia-|cuda-|triton=|pip=)| @ '; } > constraints.txt.part
	@mv constraints.txt.part constraints.txt

clean:
	rm -rf $(VENV) "$(OUT)" build dist .cache .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.installed $@

# Debian keeps ensurepip in a package of its own, so `python -m venv` alone may fail there.
PYTHONS := python3.11 python3.12 python3.13 python3
$(BIN)/pip:
	@found=""; whole=""; \
	for candidate in $(or $(PYTHON),$(PYTHONS)); do \
	  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  found="$${found:-$$candidate}"; \
	  if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then whole="$$candidate"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "handful needs Python 3.11 or newer: install it, or name one: make PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	python="$${whole:-$$found}"; \
	if "$$python" -m venv $(VENV) >/dev/null 2>&1; then exit 0; fi; \
	rm -rf $(VENV); \
	package="$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing $$package, which $$python needs to make $(VENV)"; \
	  { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$$package" \
	    || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } >/dev/null || true; \
	fi; \
	"$$python" -m venv $(VENV) >/dev/null 2>&1 || { \
	  rm -rf $(VENV); \
	  echo "$$python cannot make $(VENV); on Debian or Ubuntu run: sudo apt-get install $$package" >&2; \
	  exit 1; \
	}
