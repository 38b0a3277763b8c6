# Headrace: `make help` lists what there is. Needs Python 3.11 or newer, with venv.
PYTHON ?= python3
STORAGE ?=
PYTEST ?=
JOBS ?= 3
CHAOS ?=
FUZZ ?=
COVERAGE ?=

BIN := .venv/bin
RUN := .venv/.run
DEV := .venv/.dev
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make pins' --quiet pyproject.toml
# What plug-ins are written against, from this tree: nothing is downloaded for it, its build tool is one of the pins.
PLUGIN := clients/plugin
INSTALL_PLUGIN := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable $(PLUGIN)
CORPUS := ../shared/corpus

.DEFAULT_GOAL := help
.PHONY: up test test-s3 check audit sbom e2e chaos chaos-readers fuzz bench docs corpus pins clean help

up: $(RUN) ## start everything on this machine (STORAGE=s3://name/prefix: keep documents in a bucket); Ctrl-C stops it
	@$(if $(STORAGE),export HEADRACE_STORAGE_URL='$(STORAGE)';) exec $(BIN)/python -m devstack up

# Three files at a time: most tests wait for something. A file stays whole, since its tests share what takes long to start.
test: $(DEV) ## run the tests, without those that need a real S3 server (PYTEST='-k name': options for pytest; JOBS=0: one after the other; COVERAGE=1: and say what they reach)
	@$(BIN)/python -m pytest -m 'not s3 and not docker' -n $(JOBS) --dist loadfile --no-loadscope-reorder $(if $(COVERAGE),--cov --cov-report=term-missing:skip-covered) $(PYTEST)

test-s3: $(DEV) ## run the tests against a real S3 server (Ceph's RADOS Gateway must be installed)
	@HEADRACE_REQUIRE_S3=1 $(BIN)/python -m pytest -m s3 $(PYTEST)

e2e: $(DEV) ## run the black-box tests over a running stack of their own
	@$(BIN)/python -m pytest tests/e2e $(PYTEST)

chaos: $(DEV) ## kill, freeze, cut and wipe everything under load for five minutes, and look for what was lost (CHAOS='--seed 2 --seconds 60'; --help)
	@$(BIN)/python -m tests.chaos $(CHAOS)

fuzz: $(DEV) ## call the whole document 10,000 times with random parameters and bodies (FUZZ='--cases 1000 --seed 2')
	@$(BIN)/python -m tests.fuzz $(FUZZ)

check: $(DEV) ## lint, format, types, floors, compose file, Dockerfile, known holes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint deploy/Dockerfile
	@$(BIN)/python -m deploy.audit

audit: $(RUN) ## known holes in the pins, if pip-audit is there and reaches its service; it says when not
	@$(BIN)/python -m deploy.audit

sbom: $(RUN) ## print what the image holds, as CycloneDX
	@$(BIN)/python -m deploy.sbom

bench: $(DEV) ## measure what docs/performance.md says
	@$(BIN)/python -m bench

chaos-readers: $(DEV) ## 200 readers for a minute while all that serves them is killed, three times; with lost tails once (SEED=7: the first seed)
	@$(BIN)/python -m tests.faults.readers --times 3 $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.faults.readers --lost-tails $(if $(SEED),--seed $(SEED))

docs: $(DEV) ## write settings.md, openapi.json and asyncapi.json anew
	@$(BIN)/python -m docs.generate

corpus: $(RUN) ## check the running stack against the corpus of real documents, where there is one
	@if [ ! -f $(CORPUS)/MANIFEST.json ]; then echo 'make corpus: $(CORPUS) is absent, nothing to check'; exit 0; fi; \
	set -- $$($(BIN)/python -c 'from app.cli.connection import connect; c = connect(None, None, None); print(c.url, c.key)' 2>/dev/null); \
	if [ $$# -ne 2 ]; then echo 'make corpus: no stack runs here; start one with make up' >&2; exit 1; fi; \
	$(BIN)/python $(CORPUS)/check.py $(CORPUS)/MANIFEST.json --http "$$1" --user corpus --key "$$2" --strict

# With extras, or pip does not take the pin of coverage for the coverage[toml] that pytest-cov asks for.
pins: ## compile requirements/*.txt anew from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo 'make pins: uv is needed (pip install uv)' >&2; exit 1; }
	$(COMPILE) --output-file requirements/run.txt
	$(COMPILE) --group dev --no-strip-extras --output-file requirements/dev.txt

clean: ## remove what was made here: .venv and caches; the data in .headrace/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One .venv: dev.txt holds run.txt, so installing dev is good for both. A stamp is as new as the pins that were installed.
.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo 'make: $(PYTHON) is not here; Python 3.11 or newer is needed (PYTHON=… names one)' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'make: $(PYTHON) is older than 3.11 (PYTHON=… names another)' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo 'make: $(PYTHON) has no venv; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@$(PYTHON) -m venv .venv

$(RUN): requirements/run.txt $(PLUGIN)/pyproject.toml | .venv/bin/python
	@echo 'installing (once) …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements/run.txt
	@$(INSTALL_PLUGIN)
	@touch $@

$(DEV): requirements/dev.txt $(PLUGIN)/pyproject.toml | .venv/bin/python
	@echo 'installing the tools of development (once) …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements/dev.txt
	@$(INSTALL_PLUGIN)
	@touch $@ $(RUN)
