# `make` lists what there is.  Everything works on a machine with Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
TESTS  ?= tests
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help env demo test check run bench chaos audit lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(STAMP) ## the environment in .venv, exactly as requirements.lock says

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) comes without venv or ensurepip; install them (Debian: apt install python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "Installing the environment into $(VENV); the first time takes some minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

demo: env ## a year of the platform in minutes, told as a story, with the audit at its end
	@$(BIN)/python -m deploy.demo $(ARGS)

test: env ## all tests, on real PostgreSQL and NATS; TESTS=tests/billing for some of them
	@$(BIN)/python -m pytest -n $(JOBS) $(TESTS) $(ARGS)

check: env ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy shared services deploy tests
	@$(BIN)/lint-imports

run: env ## the platform with its sandbox on local ports, until Ctrl-C
	@$(BIN)/python -m deploy.platform $(ARGS)

bench: env ## measured speed, with the ceilings of this machine beside it
	@$(BIN)/python -m deploy.bench $(ARGS)

chaos: env ## a billing day under fire, its books compared with the same day in peace; SEED= CHARGES=
	@SEED=$(SEED) CHARGES=$(CHARGES) $(BIN)/python -m deploy.chaos $(ARGS)

audit: env ## compare all books of a running platform; fails when they differ
	@$(BIN)/python -m deploy.cli audit $(ARGS)

lock: env ## resolve the dependencies anew into requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes \
	  --no-emit-index-url --quiet --output-file requirements.lock

clean: ## forget what runs left behind (var/ and caches), not the environment
	@rm -rf var .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find shared services deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +
