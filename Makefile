# make setup: .venv with everything under pinned versions; does nothing when nothing changed.
# make demo: ten clients with private shards of IMDB. make test: the whole suite.
# make docs: these pages as a site in site/, with every link checked.
# make records: which official records are stale, and how each is made again. make records-quick: whether those commands work.
# make deployment: three sites over TLS, on this machine. make faults: 30 of their nodes and servers killed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test deployment faults docs records records-quick

setup: $(VENV)/.stamp

$(VENV)/.stamp: pyproject.toml constraints.txt setup.py $(wildcard fedseed/training/kernels/*.c fedseed/training/kernels/*.inc)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fedseed needs Python 3.11 or newer: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo:
	@echo "ten clients with private shards of IMDB, three rounds, two newcomers: about a minute on two cores (AMX), up to five the first time (AVX2), and installing before that"
	@$(MAKE) --no-print-directory setup
	$(BIN)/python simulations/run_fed.py --clients 10

deployment: setup
	$(BIN)/python examples/deployment/run.py

faults: setup
	$(BIN)/python examples/deployment/faults.py --faults 30

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

records: setup
	$(BIN)/python -m benchmarks.records

records-quick: setup
	$(BIN)/python -m benchmarks.records --quick

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

$(VENV)/.docs: $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@
