# Every target sets up what it needs in .venv; only python3 (3.11 or newer) is assumed.
#
#   make serve     start Headwater on an embedded default; FLAGS="--port 8081" and so on
#   make demo-web  serve a demo shop to click in, on this machine; needs npm
#   make test      run all tests, two at a time; JOBS=4, FLAGS="tests/config" and so on
#   make lint      ruff and mypy
#   make load      measure a deployment that is started for it; FLAGS="--mode single --seconds 10"
#   make lock      resolve the dependencies anew

PYTHON ?= python3
FLAGS ?=
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
COMPILED := $(VENV)/.compiled
PACKAGES := server actors config load_tests
WEB_SDK := .demo/node_modules/@mparticle/web-sdk/dist/mparticle.js

.PHONY: install serve demo-web test lint load lock audit

install: $(COMPILED)

serve: $(COMPILED)
	@exec $(BIN)/headwater serve $(FLAGS)

demo-web: $(COMPILED) $(WEB_SDK)
	@exec $(BIN)/headwater demo-web --web-sdk-file $(WEB_SDK) --data-dir .demo/data $(FLAGS)

test: $(DEV) $(COMPILED)
	$(BIN)/python -m pytest --numprocesses $(JOBS) $(FLAGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

load: $(COMPILED)
	$(BIN)/python -m load_tests.local $(FLAGS)

lock: $(DEV)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --upgrade pyproject.toml build.in -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --extra dev \
		-c requirements.lock pyproject.toml build.in -o requirements-dev.lock

$(WEB_SDK):
	@mkdir -p .demo
	npm install --prefix .demo --no-audit --no-fund --silent @mparticle/web-sdk@2.68.0

audit: $(DEV)
	$(BIN)/uv tool run pip-audit --disable-pip --require-hashes -r requirements.lock $(FLAGS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Headwater needs Python 3.11 or newer; make PYTHON=python3.12 names another one."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# A process that died is back sooner; also where Python is told to write no bytecode by itself.
$(COMPILED): $(RUNTIME) $(shell find $(PACKAGES) -name '*.py')
	@$(BIN)/python -m compileall -q $(PACKAGES)
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
