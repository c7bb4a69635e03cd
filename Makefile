# Needs Python 3.11 or newer and pip, nothing else: the first target that you run makes .venv.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
DEV_READY := $(VENV)/.ready-dev
ONCE ?=
ARGS ?=

# A server starts a third of a second sooner from compiled files, also where the environment forbids them.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help demo prove run check test lint format bench clients screenshots setup lock clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: $(READY) ## a prompt becomes an MP4 (ONCE=1 ends afterwards)
	@$(RUN) -m app.cli demo $(if $(filter-out 0,$(ONCE)),--once) $(ARGS)

prove: $(READY) ## one film through refusals, deaths and a crash, made once and paid once
	@$(RUN) -m app.cli prove $(ARGS)

run: $(READY) ## the gateway, on http://127.0.0.1:8000
	@$(RUN) -m app.cli serve $(ARGS)

# Much of a test's time is waiting for silences and deadlines, so four workers suit two cores. A file stays
# on one worker, which keeps its servers to itself; in the order of their names, as those that would come last by
# their number of tests take longest.
test: lint ## everything that checks this code (ARGS="-k name" narrows the tests)
	$(RUN) -m pytest -n 4 --dist loadfile --no-loadscope-reorder --ignore tests/test_house_rules.py $(ARGS)

check: lint ## before each commit: lint, and the tests that need no server, browser or Node.js (a few minutes)
	$(RUN) -m pytest -n 4 --dist loadfile -m "not server" --ignore tests/test_house_rules.py $(ARGS)

lint: $(DEV_READY) ## style, types, the direction of imports, house rules
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-cache
	$(RUN) -m tests.panel.style
	$(RUN) -m pytest -p no:cacheprovider tests/test_house_rules.py

format: $(DEV_READY) ## put every file into the one style
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .
	$(RUN) -m tests.panel.style --fix

bench: $(DEV_READY) ## the speed table, beside a bare pass-through (bench.simulation is about the pool)
	$(RUN) -m bench.run $(ARGS)

clients: $(DEV_READY) ## other people's clients in their newest versions, and a table (ARGS="llm genblaze" for some)
	$(RUN) -m tests.clients $(ARGS)

screenshots: $(DEV_READY) ## every page of the panel into docs/screenshots (needs chromium)
	$(RUN) -m tests.panel.screenshots

setup: $(READY) ## only what the others do first

lock: $(DEV_READY) ## new versions into the lock files (needs uv)
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header \
		--no-annotate --extra oidc --extra c2pa --extra mcp --extra import --extra otel --upgrade --output-file requirements.lock pyproject.toml
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header \
		--no-annotate --extra dev --extra oidc --extra c2pa --extra mcp --extra import --extra otel --constraints requirements.lock --output-file requirements-dev.lock pyproject.toml

clean: ## forget .venv and what tools keep
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Filmgate needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

# A marker is newer than its lock file, or the packages are installed again.
$(READY): requirements.lock | $(VENV)/bin/python
	@echo "Setting up $(VENV) …"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# The lock names all there is; --no-deps because it overrides one package's opinion (see [tool.uv]).
$(DEV_READY): requirements-dev.lock $(READY)
	@echo "Adding what tests need to $(VENV) …"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@touch $@
