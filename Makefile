# make demo, make test: each sets up .venv on its first call.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ROOT ?= ctrl_root
IMAGE ?= ctrl:latest
DEVICE ?= cpu

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-movielens lint lock image clean

help:
	@echo "make setup           create .venv from requirements.lock and install the package"
	@echo "make demo            run the pipeline on the sample log, serve the model, query it"
	@echo "make test            unit and end-to-end tests"
	@echo "make test-movielens  tests on MovieLens; MOVIELENS=<folder that holds ml-100k and ml-1m>"
	@echo "make lint            ruff"
	@echo "make lock            requirements.in to requirements.lock (needs uv)"
	@echo "make image           the container image for a cluster; IMAGE=<name> DEVICE=cpu|gpu (needs Docker)"

setup: $(STAMP)

$(STAMP): requirements.lock install.sh setup.py
	@if python3.10 -c 'import ensurepip' 2>/dev/null; then \
	  python3.10 -m venv --clear $(VENV) && pip="$(BIN)/python -m pip install -qq --disable-pip-version-check"; \
	elif command -v uv >/dev/null; then \
	  uv venv --quiet --clear --python 3.10 $(VENV) && pip="uv pip install --quiet --python $(BIN)/python"; \
	else \
	  echo "make: needs python3.10 (Debian, Ubuntu: python3.10 and python3.10-venv) or uv" >&2; exit 1; \
	fi && \
	echo "setting up $(VENV) (a few minutes)" && \
	./install.sh cpu $$pip && \
	$$pip --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	@PATH="$(abspath $(BIN)):$$PATH" ROOT="$(ROOT)" ./demo.sh

# Files of tests side by side; the tests of a file share its runs of the pipeline.
test: setup
	$(BIN)/python -m pytest tests -n auto --dist loadfile

test-movielens: setup
	CTRL_MOVIELENS_DIR="$(MOVIELENS)" $(BIN)/python -m pytest tests -m movielens

lint: setup
	$(BIN)/ruff check .

lock:
	for name in requirements requirements-gpu; do \
	  uv pip compile --no-deps --generate-hashes --python-version 3.10 \
	    --python-platform x86_64-unknown-linux-gnu --no-header --no-annotate --no-emit-index-url \
	    --no-emit-find-links -o $$name.lock $$name.in || exit 1; \
	done

# The image of the steps on a cluster.
image:
	docker build --build-arg DEVICE=$(DEVICE) -t $(IMAGE) .

clean:
	rm -rf $(VENV) $(ROOT) build *.egg-info
