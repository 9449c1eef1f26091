# Two commands matter: `make demo` and `make test`. Both do all set-up on a machine with Python 3.11+ and Node 20.9+;
# what they set up stays inside this folder (.venv, .build, web/node_modules). Each step is said in one line.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
FILE ?=
CLASSES ?=
PORT ?= 8000
NODE := $(shell command -v npm 2>/dev/null)
say = @printf '\033[2m· %s\033[0m\n'

.PHONY: help setup demo serve test lint bench web docs lock clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .build/python web ## set up, import and pre-label a data set (FILE=yours.csv), open the workspace
	@$(BIN)/labelcrew demo --port $(PORT) $(if $(FILE),--file "$(FILE)") $(if $(CLASSES),--classes "$(CLASSES)")

setup: .build/python web ## set up only: the command is then .venv/bin/labelcrew

serve: .build/python web ## set up and start the server on the data folder of this machine
	@$(BIN)/labelcrew serve --port $(PORT)

test: .build/python-dev .build/tools web lint ## set up and run every check and test
	$(say) "tests (about eight minutes on two cores)"
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: .build/python-dev ## format, imports, types, layers
	$(say) "ruff, mypy, import-linter"
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --config pyproject.toml >.build/imports.txt || (cat .build/imports.txt; exit 1)

bench: .build/python-dev .build/tools ## measure against peers and limits, print the tables
	@$(BIN)/python -m bench $(BENCH)

ifeq ($(NODE),)
web: ## build the workspace
	$(say) "no Node here: the API runs without the workspace (Node 20.9+ builds it)"
else
web: .build/web
endif

docs: .build/python-dev ## write the pages of docs/ that are made from code
	@$(BIN)/python docs/generate.py

.build/web: web/package-lock.json $(shell find web/app web/components web/lib web/public web/*.ts web/*.mjs web/*.json -type f -not -name "*.d.ts" 2>/dev/null)
	$(say) "workspace: packages"
	@mkdir -p .build && cd web && npm ci --silent --no-audit --no-fund --prefer-offline
	$(say) "workspace: build"
	@cd web && NEXT_TELEMETRY_DISABLED=1 npm run --silent build >../.build/web.log 2>&1 || (tail -40 ../.build/web.log; exit 1)
	@touch $@

.build/uv: requirements-setup.lock
	$(say) "python environment"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "LabelCrew needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 demo")'
	@mkdir -p .build && $(PYTHON) -m venv .venv && $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-setup.lock
	@touch $@

.build/python: .build/uv requirements.lock pyproject.toml
	$(say) "python packages"
	@[ -f .build/python-dev ] || $(BIN)/uv pip install -q -p .venv --require-hashes -r requirements.lock
	@$(BIN)/uv pip install -q -p .venv --no-deps -e .
	@touch $@

.build/python-dev: .build/uv requirements-dev.lock pyproject.toml
	$(say) "python packages for tests"
	@$(BIN)/uv pip install -q -p .venv --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install -q -p .venv --no-deps -e .
	@touch $@ .build/python

.build/tools: tests/support/tools/package-lock.json
	@mkdir -p .build
	@if [ -n "$(NODE)" ]; then cd tests/support/tools && npm ci --silent --no-audit --no-fund --prefer-offline; \
	else printf '\033[2m· no Node here: the tests over PostgREST are skipped\033[0m\n'; fi
	@touch $@

lock: .build/uv ## resolve the dependencies anew
	@$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -c requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

clean: ## remove everything that set-up made
	@rm -rf .venv .build web/node_modules web/out web/.next tests/support/tools/node_modules
