# Everything starts here; each target sets up what it needs in $(VENV), from nothing.
PYTHON ?= python3
VENV ?= .venv
# How many test files run side by side; each worker holds a torch of its own, half a gigabyte.
JOBS ?= 2
# More words for pip, where a machine needs them. For instance, the CPU build of torch on Linux (a tenth of the download):
#     make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
# A second environment, without torch: what a reader on a board has.
BOARD = $(VENV)-board

# -c holds every install to the set that the tests passed with; pyproject.toml has the ranges.
PIP_INSTALL = -m pip install --disable-pip-version-check -q -c constraints.txt $(PIP_ARGS)
INSTALL = $(VENV)/bin/python $(PIP_INSTALL)
NBVAL = --nbval --nbval-current-env --nbval-cell-timeout=120 --nbval-sanitize-with=tests/nbval_sanitize.cfg

.PHONY: help demo test test-arm64 test-browser notebooks-full bench lab book lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    matte the sample clips with the shipped network (installs no torch) -> outputs/demo/"
	@echo "make test    everything the project checks: style, unit tests, notebooks"
	@echo "make test-arm64   the engine on an emulated aarch64 (QEMU, fetched into .cache) against this x86-64"
	@echo "make test-browser   notebooks in JupyterLab in a real browser: screenshots in outputs/browser/"
	@echo "make notebooks-full   every notebook with MODE = full (up to 40 minutes) -> outputs/notebooks-full/"
	@echo "make bench   time a frame, beside RVM in torch and onnxruntime (some minutes)"
	@echo "make lab     open the first notebook in JupyterLab"
	@echo "make book    the notebooks and docs as web pages that open without a server or network -> _book/index.html"
	@echo "make lint    style only (ruff)"
	@echo "make clean   remove $(VENV), $(BOARD), caches, _book and outputs/demo"
	@echo "variables:   PYTHON=$(PYTHON) (3.10 or newer)  VENV=$(VENV)  JOBS=$(JOBS) (of make test)  PIP_ARGS=..."

demo: $(VENV)/.base
	@echo "make demo: matting the sample clips"
	@$(VENV)/bin/python -m bivm_ref.demo

# One pytest run over both folders, so that one closing line counts everything. A file stays with one worker: a
# notebook's cells need each other. One thread each, as two workers with two would wait for one another.
test: $(VENV)/.test
	@echo "make test: ruff"
	@$(VENV)/bin/ruff check .
	@echo "make test: unit tests, then every notebook against its committed output"
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n $(JOBS) --dist loadfile $(NBVAL) tests notebooks

# Proves results, never speed. What it fetches (100 MB, once) lies in .cache/arm64, or where ARM64_CACHE says.
test-arm64: $(VENV)/.base
	@echo "make test-arm64: the engine on an emulated aarch64 against this machine"
	@$(VENV)/bin/python -m tools.arm64.run

# The machine's own Chromium or Chrome, or CHROMIUM=/path/to/one; where there is none, Debian's (110 MB, once) is
# fetched into .cache/browser, or where BROWSER_CACHE says.
test-browser: $(VENV)/.browser
	@echo "make test-browser: notebooks in JupyterLab in a browser"
	@$(VENV)/bin/python -m tools.browser
	@$(VENV)/bin/python -m pytest -q tests/browser

# Notebooks that import no torch run in an environment that has none: they are a board's as well.
notebooks-full: $(VENV)/.lab $(BOARD)/.board
	@echo "make notebooks-full: every notebook with MODE = full"
	@$(VENV)/bin/python tools/notebooks_full.py --board-python $(BOARD)/bin/python

# More words for it: make bench BENCH_ARGS="--layers --json timings.json"
bench: $(VENV)/.bench
	@$(VENV)/bin/bivm-ref bench $(BENCH_ARGS)

lab: $(VENV)/.lab
	@echo "make lab: JupyterLab (Ctrl-C twice to stop)"
	@$(VENV)/bin/python -m jupyter lab notebooks/00_start_here.ipynb

# Nothing is run: the pages show the committed outputs.
book: $(VENV)/.book
	@echo "make book: the notebooks and docs as web pages"
	@$(VENV)/bin/python -m tools.book.build

lint: $(VENV)/.lint
	@$(VENV)/bin/ruff check .

# Trained runs (runs/) and the other outputs are the user's work: they stay.
clean:
	find . \( -path "./$(VENV)" -o -path "./$(BOARD)" \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf outputs/demo outputs/browser outputs/notebooks-full _book build .cache .pytest_cache .ruff_cache *.egg-info
	@for venv in "$(VENV)" "$(BOARD)"; do \
	  if [ -f "$$venv/pyvenv.cfg" ]; then echo "rm -rf \"$$venv\""; rm -rf "$$venv"; fi; done

# ---- setting up. A stamp is touched only after its install succeeded, and is stale when a list of packages changed.

# bin/pip is the last thing that venv writes, so a venv that broke off half way is made again.
$(VENV)/bin/pip $(BOARD)/bin/pip:
	@command -v "$(PYTHON)" >/dev/null || \
	  { echo "no $(PYTHON) here: install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "$(PYTHON) is older than Python 3.10: name a newer one, for instance make PYTHON=python3.12" >&2; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make environments: sudo apt install python3-venv (Debian, Ubuntu), then again" >&2; exit 2; }
	@echo "setup: an environment in $(@:/bin/pip=)"
	@"$(PYTHON)" -m venv $(@:/bin/pip=)

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "setup: the engine and video in and out (no torch; about a minute)"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.lab: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "setup: torch and JupyterLab (some minutes)"
	@$(INSTALL) -e '.[train,notebooks]'
	@touch $(VENV)/.base $@

$(BOARD)/.board: pyproject.toml constraints.txt | $(BOARD)/bin/pip
	@echo "setup: JupyterLab without torch, in an environment of its own (a minute or two)"
	@$(BOARD)/bin/python $(PIP_INSTALL) -e '.[notebooks]'
	@touch $@

$(VENV)/.browser: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "setup: JupyterLab and playwright, which drives a browser (some minutes)"
	@$(INSTALL) -e '.[notebooks,browser]' pytest
	@touch $(VENV)/.base $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "setup: torch and onnxruntime (some minutes)"
	@$(INSTALL) -e '.[train,bench]'
	@touch $(VENV)/.base $@

$(VENV)/.book: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "setup: Sphinx (no torch; about a minute)"
	@$(INSTALL) -e '.[book]'
	@touch $(VENV)/.base $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "setup: torch, onnxruntime, JupyterLab, Sphinx and the test tools (some minutes)"
	@$(INSTALL) -e '.[train,bench,notebooks,book,dev]'
	@touch $(VENV)/.base $(VENV)/.bench $(VENV)/.lab $(VENV)/.book $(VENV)/.lint $@

$(VENV)/.lint: constraints.txt | $(VENV)/bin/pip
	@echo "setup: ruff"
	@$(INSTALL) ruff
	@touch $@
