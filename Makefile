# `make test` and `make demo` set everything up by themselves, in .venv, and need nothing but Python 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

DOCS := .venv-docs
TRACKERS := .venv-trackers

.PHONY: test mutants demo check docs setup browser sandbox clean

setup: $(READY)

# torch first, with what it needs; then the pinned list without resolving, because the engine's
# wheel asks for torchvision, torchaudio and torchcodec, which the harness does not need and whose
# default builds break `transformers` beside a CPU torch.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.platform != "linux" or sys.version_info < (3, 11))' || { \
		echo "reghar needs Linux and Python 3.11 or later: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "torch==2.13.0"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/biome ci .

# The page is tested in a real browser, which is a system package: installed where that is allowed; elsewhere
# the page's tests are skipped with a line that names it, and fail in CI.
browser:
	@if ! command -v chromedriver >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Chromium and its driver with apt-get, for the page's tests"; \
		{ apt-get update -qq && apt-get install -y -qq chromium chromium-driver >/dev/null; } || true; \
	fi

# Programs that a model wrote run in bubblewrap, a system package too; its tests are treated likewise.
sandbox:
	@if ! command -v bwrap >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing bubblewrap with apt-get, for the tests of code"; \
		{ apt-get update -qq && apt-get install -y -qq bubblewrap >/dev/null; } || true; \
	fi

# Experiment trackers and inspect_ai, laid over .venv: what is installed here wins, all else is found there.
$(TRACKERS)/.ready: requirements-trackers.txt $(READY)
	$(PYTHON) -m venv --without-pip $(TRACKERS)
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(TRACKERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
	$(BIN)/pip --python $(TRACKERS)/bin/python install --quiet --disable-pip-version-check --no-deps \
		-r requirements-trackers.txt
	touch $@

# Tests with the real engine take the whole machine, one after the other; all others run beside each other, a file
# in one process, of one thread each: threads of several processes on the same cores wait for one another.
test: check browser sandbox $(TRACKERS)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not engine" --numprocesses=logical --maxprocesses=4 --dist=loadfile
	$(BIN)/python -m pytest -m engine

# Every fault of tests/mutants/faults.txt in a copy of the tree: names those that no test finds (slow).
mutants: $(READY)
	PYTHONPATH=tests $(BIN)/python -m mutants

# The main job on the three embedded models, their ranking, and the budget to serve the one that overthinks
# with; run again, it only shows them.
demo: $(READY)
	for model in terse verbose wanderer; do \
		$(BIN)/reghar run --model demo:$$model --out results/demo/$$model --resume || exit $$?; \
	done
	$(BIN)/reghar report results/demo/terse results/demo/verbose results/demo/wanderer --out results/demo
	$(BIN)/reghar recommend results/demo/wanderer

# The site of docs/, into site/: an environment of its own, since it only reads the package's source.
docs: $(DOCS)/.ready
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

$(DOCS)/.ready: docs/requirements.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r docs/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) $(DOCS) $(TRACKERS) dist build site
