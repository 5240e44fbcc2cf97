# `make help` lists the targets.  Every target sets up what it needs by itself:
# a virtual environment in $(VENV), the packages, the C library.

PORT ?= 50051
WEB ?= 8080
HOST ?= 127.0.0.1
VENV ?= .venv

BIN := $(VENV)/bin
PY := $(BIN)/python
MARK := $(VENV)/.espalier
DEMO := .demo
PECOS := .venv-pecos/.ready
SETTINGS := pyproject.toml setup.py tools/setup.sh

C_FILES := $(wildcard native/include/*.h native/src/*.[ch] native/tests/*.[ch] \
	native/fuzz/*.[ch] native/bench/*.[ch])
TRAINING := $(wildcard native/include/*.h native/src/*.[ch] plugin/espalier/train/*.py \
	plugin/espalier/querylog/*.py plugin/espalier/settings/*.py)

.DEFAULT_GOAL := help
.PHONY: help run test test-native test-python soak bench bench-pecos lint format proto buf bounds install dev build clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- using it -----------------------------------------------------------------

run: install $(DEMO)/demo.esp $(DEMO)/products.esp ## train on a synthetic log, serve it, with a page (WEB=, PORT=, HOST=)
	@ESPALIER=$(BIN)/espalier sh tools/demo.sh $(DEMO) $(HOST):$(PORT) $(HOST):$(WEB)

# One command writes them all; the pairs are the last of them.
$(DEMO)/pairs.tsv: plugin/espalier/querylog | install
	@mkdir -p $(DEMO)
	$(BIN)/espalier demo-log --out $(DEMO)/log.tsv --catalogue $(DEMO)/catalogue.tsv --pairs $@

$(DEMO)/log.tsv: $(DEMO)/pairs.tsv
	@touch $@

# The tree alone: what the blender adds takes a minute to learn.
$(DEMO)/products.esp: $(DEMO)/pairs.tsv plugin/espalier/retrieval | install
	$(BIN)/espalier train --task retrieval --pairs $(DEMO)/pairs.tsv \
		--catalogue $(DEMO)/catalogue.tsv --out $@ --quiet --set blender=none

$(DEMO)/demo.esp: $(DEMO)/log.tsv $(TRAINING) | install
	$(BIN)/espalier train --log $(DEMO)/log.tsv --out $@

# ---- working on it --------------------------------------------------------------

test: lint ## lint, C tests under sanitizers, all Python tests with reduced counts
	$(MAKE) --no-print-directory -j2 test-native test-python

test-native:
	$(MAKE) --no-print-directory -j1 -C native test sanitize fuzz FUZZ_SECONDS=3

test-python:
	ESPALIER_PROFILE=ci $(PY) -m pytest -n 2 --dist loadfile

soak: dev $(PECOS) ## the long runs: full counts, sanitizers, fuzzing, libpecos, ten minutes of load
	ESPALIER_PROFILE=long $(MAKE) --no-print-directory -C native test sanitize analyze fuzz FUZZ_SECONDS=300
	ESPALIER_PROFILE=long $(PY) -m pytest
	$(PY) -m bench.serve_soak --seconds 600

bench: dev ## measure quality and speed (needs ESPALIER_DATA for the large part)
	$(MAKE) --no-print-directory -C native bench
	$(PY) -m bench

# Where libpecos cannot be installed there is nothing to compare with: said, not failed.
bench-pecos: dev ## the same models through libpecos and through us (QUICK=1: a tenth of the data)
	@test -n "$$ESPALIER_DATA" || { echo 'skipped: ESPALIER_DATA is not set'; exit 0; }; \
	$(MAKE) --no-print-directory $(PECOS) || { echo 'skipped: libpecos could not be installed'; exit 0; }; \
	$(PY) -m integration.peers.pecos --pecos .venv-pecos/bin/python $(if $(QUICK),--quick) $(ARGS)

lint: dev ## ruff, mypy --strict, clang-format
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: dev ## rewrite Python and C in the house style
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format --quiet
	$(BIN)/clang-format -i $(C_FILES)

proto: dev ## regenerate the stubs under plugin/espalier/v1
	$(PY) -m tools.gen_proto

buf: ## a second opinion on proto/, where npm is at hand; the tests are the gate
	npx --yes @bufbuild/buf@1.75.0 lint proto

bounds: ## all Python tests with the oldest versions pyproject.toml allows
	PIP_CONSTRAINT=$(CURDIR)/.venv-bounds.txt; export PIP_CONSTRAINT; \
	python3 tools/lower_bounds.py > .venv-bounds.txt && \
	$(MAKE) --no-print-directory dev VENV=.venv-bounds
	ESPALIER_PROFILE=dev .venv-bounds/bin/python -m pytest -m 'not slow'

clean: ## remove everything that was built, the virtual environments too
	rm -rf .venv .venv-pecos .venv-bounds .venv-bounds.txt build dist $(DEMO) plugin/*.egg-info \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis plugin/espalier/_native*.so
	$(MAKE) --no-print-directory -C native clean

# ---- setting up -----------------------------------------------------------------

install: $(MARK)-run build
dev: $(MARK)-dev build

$(MARK)-run: $(SETTINGS)
	@sh tools/setup.sh $(VENV) '.[http,retrieval]'
	@touch $@

$(MARK)-dev: $(SETTINGS)
	@sh tools/setup.sh $(VENV) '.[dev]'
	@touch $(MARK)-run $@

# libpecos wants a numpy of its own time, so it lives apart.  --no-deps: what it
# declares besides (torch, transformers) its linear models do not need.
$(PECOS):
	python3 -m venv .venv-pecos
	.venv-pecos/bin/pip install --quiet --disable-pip-version-check \
		'numpy<2' 'scipy<1.14' scikit-learn
	.venv-pecos/bin/pip install --quiet --disable-pip-version-check --no-deps libpecos==1.2.8
	@touch $@

# Compiles only if a source or header changed.
build: | $(MARK)-run
	@$(PY) native/cffi_build.py
