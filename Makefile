# Everything a developer or CI runs. `make help` lists it; CONTRIBUTING.md says when to use what.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PORT ?= 8000
# One more than there are cores: tests that start programs also wait.
JOBS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores + 1 : 8)))
ARGS ?=
TAG ?=
PYTHON ?= python3
# The versions that setup installs; empty for the newest.
CONSTRAINTS ?= constraints.txt
export VENV PORT CONSTRAINTS
# Compiled once, not again by each of a hundred processes, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

PY := $(VENV)/bin/python

.PHONY: help setup browser frameworks mariadb nginx pgbouncer programs demo \
        lint lint-format lint-rules lint-mypy lint-pyright lint-imports format \
        test test-quick test-unit mutation audit constraints docs interface fuzz screenshots \
        bench bench-admin-load bench-changes bench-cleanup bench-exactly-once bench-failover bench-fleet \
        bench-hosts bench-log bench-outages bench-pages bench-retention bench-sizing bench-storage \
        bench-tabs \
        bench-verdict \
        compat compat-frameworks compat-python build smoke release-check clean

help: ## list these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## make the environment (.venv, node_modules), or see that it is made
	@scripts/setup dev

browser: setup ## find a Chromium for the tests, or install one
	@$(PY) -m scripts.chromium --install

frameworks: setup ## make the environment in which the recipes of docs/frameworks.md run
	@$(PY) -m scripts.frameworks --install

mariadb: setup ## find a MariaDB for the tests, or install one
	@$(PY) -m scripts.mariadb --install

nginx: setup ## find an nginx for the tests, or unpack one
	@$(PY) -m scripts.nginx --install

pgbouncer: setup ## find a PgBouncer for the tests, or unpack one
	@$(PY) -m scripts.pgbouncer --install

demo: ## start the example with traffic and open it on PORT (8000) until Ctrl-C
	@scripts/setup demo
	@exec $(PY) -m example_project $(ARGS)

lint: setup ## format, rules, types and layers
	@$(MAKE) -k -j$(JOBS) --output-sync=target lint-mypy lint-pyright lint-format lint-rules lint-imports

lint-format:
	@$(VENV)/bin/ruff format --check --quiet --output-format concise . || { echo "unformatted: run make format"; exit 1; }

lint-rules:
	@$(VENV)/bin/ruff check --quiet --output-format concise .

lint-mypy:
	@$(PY) -m mypy

lint-pyright:
	@node_modules/.bin/pyright --pythonpath $(PY)

lint-imports:
	@report=$$($(VENV)/bin/lint-imports --no-cache) || { echo "$$report"; exit 1; }

format: setup ## let ruff format and put right what it can
	@$(VENV)/bin/ruff check --quiet --fix-only .
	@$(VENV)/bin/ruff format .

programs: ## find the browser and the servers that the tests start, or install them one by one
	@for each in browser frameworks mariadb nginx pgbouncer; do $(MAKE) $$each; done

test: setup ## lint and the whole suite with coverage, as CI runs it; FRESH=1: what has passed, too
	@$(MAKE) lint & lint=$$!; $(MAKE) programs || { wait $$lint; exit 1; }; wait $$lint
	@$(PY) -m scripts.suite -n $(JOBS) --dist loadscope --no-loadscope-reorder -- "program or unmeasured" $(ARGS)

test-unit: setup ## more than eight hundred tests in a few seconds: what is marked as unit
	@$(PY) -m pytest $$(grep -rl --include='test_*.py' '^pytestmark = pytest.mark.unit' tests) $(ARGS)

test-quick: setup ## all but what starts a browser, a server, a database server or a build
	@$(PY) -m pytest -m "not program" $(ARGS)

mutation: setup ## do the tests notice changed code? tests/mutation/RESULTS.md; ARGS="status drain"
	@$(PY) -m scripts.mutation $(ARGS)

audit: setup ## known vulnerabilities of what the package needs; AUDIT=offline where there is no network
	@$(PY) -m scripts.audit

constraints: setup ## write constraints.txt anew, and that of frameworks: the newest versions that pyproject.toml allows
	@$(PY) -m scripts.constraints

docs: setup ## build the documentation site into .docs/site, and check its links
	@$(PY) -m scripts.docs_settings
	@$(PY) -m scripts.docs_quotes
	@$(PY) -m scripts.docs_site

interface: setup ## write down the public interface as it is: tests/interface and docs/*.schema.json
	@$(PY) -m scripts.report_schema
	@$(PY) -m scripts.notification_schema
	@$(PY) -m scripts.interface

fuzz: setup ## 20,000 requests of every kind to every page of the admin, in four minutes
	@$(PY) -m tests.attack.fuzz $(ARGS)

screenshots: setup browser ## take docs/screenshots/ from the running demo
	@$(PY) -m scripts.screenshots

bench: ## what recording costs, beside other packages: benchmarks/RESULTS.md in five minutes
	@scripts/setup demo
	@$(PY) -m benchmarks.recording $(ARGS)

bench-admin-load: setup ## fifty reports at once, without a key and with one: benchmarks/RESULTS.md
	@$(PY) -m benchmarks.admin_load $(ARGS)

bench-changes: setup ## is what changed found, and nothing else: benchmarks/RESULTS.md in some minutes
	@$(PY) -m benchmarks.changes $(ARGS)

bench-failover: setup ## a primary is killed under load and every call recounted: benchmarks/RESULTS.md
	@$(PY) -m benchmarks.failover $(ARGS)

bench-fleet: setup ## up to 1,024 workers on one PostgreSQL: benchmarks/RESULTS.md in eight minutes
	@$(PY) -m benchmarks.fleet $(ARGS)

bench-hosts: setup ## two hosts, one cut off for a minute, and every call recounted: benchmarks/RESULTS.md
	@$(PY) -m benchmarks.hosts $(ARGS)

bench-log: setup ## what the request log adds to a request: benchmarks/RESULTS.md in half a minute
	@$(PY) -m benchmarks.log_cost $(ARGS)

bench-outages: setup ## what requests notice of a database in trouble: benchmarks/RESULTS.md
	@$(PY) -m benchmarks.outages $(ARGS)

bench-pages: setup browser ## how quick pages are with thousands of endpoints: benchmarks/RESULTS.md
	@$(PY) -m benchmarks.pages $(ARGS)

bench-retention: setup ## what requests and flushes notice of a deletion: benchmarks/RESULTS.md
	@$(PY) -m benchmarks.retention $(ARGS)

bench-sizing: setup ## how large the database becomes: the tables of docs/storage.md
	@$(PY) -m benchmarks.sizing $(ARGS)

bench-cleanup: setup ## how quick the cleanup page is with 1,000 endpoints: benchmarks/RESULTS.md
	@$(PY) -m benchmarks.cleanup $(ARGS)

bench-exactly-once: setup mariadb ## every count once, whatever fails: benchmarks/RESULTS.md in four minutes
	@$(PY) -m benchmarks.exactly_once $(ARGS)

bench-storage: setup ## reports at a billion requests, on SQLite and PostgreSQL: benchmarks/RESULTS.md
	@$(PY) -m benchmarks.storage $(ARGS)

bench-tabs: setup ## what twenty open tabs cost the server: benchmarks/RESULTS.md in three minutes
	@$(PY) -m benchmarks.tabs $(ARGS)

bench-verdict: setup ## do verdicts come true, in 4.5 simulated years: benchmarks/RESULTS.md in some minutes
	@$(PY) -m benchmarks.verdict $(ARGS)

compat: setup ## the recording tests with FastAPI from its minimum to today's: docs/compatibility.md
	@$(PY) -m scripts.compat $(ARGS)

compat-python: setup ## the tests on every supported Python, with the oldest and today's FastAPI
	@$(PY) -m scripts.compat_python $(ARGS)

compat-frameworks: setup ## the recipes of docs/frameworks.md on every supported Python
	@$(PY) -m scripts.compat_frameworks $(ARGS)

build: setup ## wheel and sdist into dist/
	@rm -rf dist
	@$(PY) -m build --no-isolation --outdir dist

smoke: ## try the wheel of dist/ in an empty environment; PYTHON=python3.14
	@$(PYTHON) -m scripts.smoke dist

release-check: setup ## from a clean clone: build both files, check and try them; TAG=v1.2.3
	@$(PY) -m scripts.release_check $(TAG)

clean: ## remove what setup, builds and tests have made
	@rm -rf $(VENV) node_modules static/fastapi_lens/vendor build dist htmlcov .coverage .coverage.* \
	    .audit .bench .compat .docs .frameworks .mutation .nginx .pgbouncer .hypothesis .import_linter_cache \
	    example_project/var .mypy_cache \
	    .pytest_cache .ruff_cache
