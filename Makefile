# Two commands: `make run` builds the dataset and the model from data/raw, `make test` lints, types and tests.
# Both install what they need into .venv first (exactly the files that locks/ names, by digest) and cost little the second time.
SHELL := /bin/sh
BIN := .venv/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
APT := wordnet-base apertium apertium-eng-spa
# Only what is listed, each file by its digest, built with what is installed: nothing comes in beside the list.
LOCKED = $(BIN)/pip install -q --no-deps --no-build-isolation --require-hashes
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test slow serve install preset system bench docs deps lock audit gpu-check clean help

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: install preset ## Build dataset and model from data/raw; runs only what changed (MODEL=smollm2: from a real model; MODEL=scratch: back)
	@$(BIN)/pairwright run $(if $(MODEL),--model $(MODEL))

serve: install ## Serve the nightly deployment and the Prefect UI
	@$(BIN)/pairwright serve

test: install ## Lint, types and tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile

slow: install ## Tests that take minutes: a real server, a browser, killed stages
	@$(LOCKED) -r locks/servers.txt || echo "note: no servers of remotes to test with (locks/servers.txt): their tests are skipped"
	@$(BIN)/pytest -m slow -n 2 --dist loadfile

bench: install ## Measure every stage beside its peers (see tests/benchmarks)
	@$(BIN)/python -m tests.benchmarks

docs: install ## Build the documentation into site/, links checked; loads nothing from elsewhere
	@$(LOCKED) -r locks/docs.txt
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html   (with its search: $(BIN)/python -m http.server -d site)"

deps: install ## Write the code deps of dvc.yaml: what each stage imports
	@$(BIN)/python -m flows.dependencies

lock: install ## Write locks/ and constraints.txt anew: versions, and the digests that the index has of them
	@$(LOCKED) -r locks/supply.txt
	@$(BIN)/python -m flows.supply.lock

audit: install ## Ask for known vulnerabilities of what is installed; needs a service on the network
	@$(LOCKED) -r locks/supply.txt
	@$(BIN)/python -m flows.supply.audit

# Installs nothing: a rented GPU comes with a torch that fits it. What is missing is named.
gpu-check: ## Try every training on this machine's GPU, beside a bare loop; INTO=folder keeps the table
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,python3) -m trainer.gpu_check $(if $(INTO),--into $(INTO))

install: .venv/.installed system

.venv/.installed: locks/build.txt locks/dev.txt locks/cuda.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11; install python3.11"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv 2>/dev/null || { rm -rf .venv; \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv .venv; \
	  else echo "error: $(PYTHON) cannot make virtual environments; install python3-venv"; exit 1; fi; }
	@echo "Installing into .venv (once; some minutes) ..."
	@$(LOCKED) -r locks/build.txt
	@$(LOCKED) --no-index -r locks/elsewhere.txt 2>/dev/null || true # of two files that are right pip would take the larger torch
	@$(LOCKED) -r locks/dev.txt
	@if $(BIN)/pip show torch | grep -q '^Requires:.*cuda\|^Requires:.*nvidia'; then $(LOCKED) -r locks/cuda.txt; fi
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# What a preset of parameters needs beside the project; without its dependencies, because only its files are used.
preset: install
	@packages=trainer/presets/$(MODEL).txt; if [ -f $$packages ]; then $(LOCKED) -r $$packages; fi

# Word lists and a translator for the augmenters; without them those augmenters are off, and say so.
system:
	@missing=$$(for p in $(APT); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as="sudo -n"; else as=no; fi; \
	  if [ "$$as" = no ] || ! { $$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }; then \
	    echo "note: synonyms and back-translation are off: cannot install" $$missing "(run: sudo apt-get install" $$missing")"; \
	  fi; \
	fi

clean: ## Delete everything that was built (not the raw logs, not .venv)
	@rm -rf data/0* data/release data/models data/evaluation data/reports .dvc/cache .dvc/tmp
