# One front door. `make setup` prepares .venv; everything else uses it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
SHELL := /bin/bash

.PHONY: run bench test sim fuzz crash endure conformance parity check setup dev docs bundle format lock messages records help

help: ## list these words
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(UV): requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "Ottla needs Python 3.11 or newer, and none was found; install it and run make again."; exit 1; }
	@echo "[1/3] creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@echo "[2/3] installing uv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

$(VENV)/.run-ready: $(UV) requirements/run.txt pyproject.toml
	@echo "[3/3] installing Ottla and its libraries"
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/run.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev-ready: $(UV) requirements/dev.txt pyproject.toml
	@echo "[3/3] installing Ottla, its libraries and the tools of its tests"
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.run-ready

$(VENV)/.fuzz-ready: $(VENV)/.dev-ready requirements/fuzz.txt
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/fuzz.txt
	@touch $@

setup: $(VENV)/.run-ready ## prepare .venv with what `make run` needs

dev: $(VENV)/.dev-ready ## prepare .venv with what the tests need, too

run: $(VENV)/.run-ready ## start the platform, with the analytics demo's traffic and dashboard
	@$(BIN)/ottla up --demo analytics --dash $(ARGS)

# Playwright keeps an event loop running in its process, so the browser's tests have their own.
test: $(VENV)/.dev-ready ## run the tests
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@$(BIN)/pytest -n 2 --ignore=tests/browser $(AGAIN)
	@$(BIN)/pytest -n 2 tests/browser $(AGAIN)
endif

# A fixed hash seed, so that sets come in the same order in every run.
sim: $(VENV)/.dev-ready ## simulate power cuts and prove that each safety step is needed
	@PYTHONHASHSEED=0 $(BIN)/python -m simulation $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: $(VENV)/.fuzz-ready ## throw bytes at everything that takes some, guided by coverage (7 minutes; Linux, x86-64)
	@$(BIN)/python -m fuzzing $(ARGS)

crash: $(VENV)/.dev-ready ## kill a real broker under load at named steps, ROUNDS=60 times, and read what is left
	@$(BIN)/python -m tests.crash.rounds --rounds $(or $(ROUNDS),60) $(ARGS)

endure: $(VENV)/.dev-ready ## overload, attack, and recover 10 GB after a crash, with figures (10 minutes)
	@$(BIN)/python -m endurance $(ARGS)

conformance: $(VENV)/.dev-ready ## compare with real Apache Kafka (needs Java 17 and Maven)
	@OTTLA_CONFORMANCE=1 $(BIN)/pytest tests/conformance $(ARGS)

parity: $(VENV)/.dev-ready ## run the applications' tests on Apache Kafka, one node and three
	@$(BIN)/python -m tests.parity $(ARGS)

tour: $(VENV)/.dev-ready ## type the write-ups' lines, and show each promise
	@$(BIN)/python -m tour $(ARGS)

# -W: a link that leads nowhere is an error. Nothing is fetched, neither now nor by the pages.
docs: $(VENV)/.dev-ready ## build the documentation site, off-line
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs $(ARGS)
	@echo "The site is in build/docs: open build/docs/index.html in a browser."

bundle: $(VENV)/.dev-ready ## write wheels for Linux, macOS and Windows, for machines without a network
	@$(BIN)/python tools/bundle.py $(ARGS)

# The last line finds entries of docs/compatibility.toml that are patterns, or that no talk needs.
check: $(VENV)/.dev-ready ## format, lint, types, import rules, register of differences
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/tidy/test_compatibility_register.py tests/conformance/test_raw_protocol.py -k "not apache_kafka_answers"

bench: $(VENV)/.dev-ready ## measure, beside Apache Kafka (2 minutes; ARGS=--full: 15)
	@$(BIN)/python -m benchmarks $(ARGS)

format: $(VENV)/.dev-ready ## format the sources and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(UV) ## compile the locked requirements again
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra all requirements/build.in pyproject.toml -o requirements/run.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --group dev --extra all requirements/build.in pyproject.toml -c requirements/run.txt -o requirements/dev.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links requirements/uv.in -o requirements/uv.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links requirements/fuzz.in -o requirements/fuzz.txt

messages: $(VENV)/.dev-ready ## write the message classes from kio's schemas again
	@$(BIN)/python tools/generate_messages.py

records: $(VENV)/.dev-ready ## write the classes of the coordinators' records again
	@$(BIN)/python tools/generate_records.py
