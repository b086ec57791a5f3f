# The front door: each target sets up what it needs in $(VENV) and then does its work.
#   make demo    a real model server and two applications, seen while they run
#   make test    the tests, on WORKERS processes (ARGS="-k name" goes to pytest)
#   make test-majors       the instrumentation's tests with each major version of the SDKs (ARGS="groq==0.9.0" for one)
#   make test-neighbours   the tests beside other tools, each in an environment of its own (ARGS="logfire" for one)
#   make test-frameworks   the frameworks above the SDKs, each in an environment of its own (ARGS="langchain" for one)
#   make test-dashboards   the dashboards, drawn by Grafana's own panel code from npm (GRAFANA=12 or 11: of that version);
#                          pictures in build/dashboards
#   make dashboards   write grafana/ anew
#   make check   format, lint, types, sizes, tests
#   make bench   what midspan costs
#   make bench-peers   what it costs next to other tools, each in an environment of its own
#   make lock    resolve requirements-dev.txt anew
# PYTHON chooses the interpreter, VENV where it is set up, so several can stand side by side.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
ARGS ?=

PY := $(VENV)/bin/python
# A file stays on one process: what its tests share is set up once.
TEST := $(PY) -m pytest -n $(WORKERS) --dist loadfile
READY := $(VENV)/.ready

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What is started here is hundreds of processes: each of them would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-neighbours test-majors test-frameworks test-dashboards dashboards check bench bench-peers lock picture telemetry clean
.DEFAULT_GOAL := test

demo: $(READY)
	@$(PY) -m midspan demo

test: $(READY)
	@$(TEST) $(ARGS)

test-neighbours: $(READY)
	@$(PY) -m tests.neighbours $(ARGS)

test-majors: $(READY)
	@$(PY) -m tests.majors $(ARGS)

test-frameworks: $(READY)
	@$(PY) -m tests.frameworks $(ARGS)

test-dashboards: $(READY)
	@$(PY) -m pytest tests/grafana/render/drawn.py $(ARGS)

dashboards: $(READY)
	@PYTHONPATH=src $(PY) grafana/make_files.py

check: $(READY)
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/basedpyright --pythonpath $(PY)
	@$(PY) .ci/sizes.py src instrumentation
	@$(TEST) $(ARGS)

bench: $(READY)
	@$(PY) -m benchmarks $(ARGS)

bench-peers: $(READY)
	@$(PY) -m benchmarks.peers $(ARGS)

picture: $(READY)
	@$(PY) docs/make_picture.py

telemetry: $(READY)
	@$(PY) docs/make_telemetry.py

lock: $(READY)
	@$(VENV)/bin/uv lock --quiet --upgrade
	@$(VENV)/bin/uv export --quiet --frozen --format requirements-txt --no-emit-project --no-header \
		--output-file requirements-dev.txt >/dev/null
	@rm -f uv.lock

clean:
	@rm -rf .venv .venv-* build dist .ruff_cache

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "midspan needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "'$(PYTHON) -m venv' failed: install the venv module of that Python" >&2; exit 1; }

# uv first, in the locked version; where it has no build, pip does the same from the same lock.
$(READY): requirements-dev.txt pyproject.toml | $(PY)
	@echo "setting up $(VENV)" >&2
	@$(PY) -m pip install -qq "$$(grep -o '^uv==[^ ]*' requirements-dev.txt)" || true
	@if $(VENV)/bin/uv --version >/dev/null 2>&1; then \
		$(VENV)/bin/uv pip sync --quiet --python $(PY) --require-hashes requirements-dev.txt && \
		$(VENV)/bin/uv pip install -qq --python $(PY) --no-deps --no-build-isolation --editable .; \
	else \
		$(PY) -m pip install -qq --no-deps --require-hashes --requirement requirements-dev.txt && \
		$(PY) -m pip install -qq --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@
