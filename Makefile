# `make test` and `make demo` set everything up by themselves, in .venv, and need nothing but Python 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: test demo check setup browser clean

setup: $(READY)

# torch first, with what it needs; then the pinned list without resolving, because the engine's
# wheel asks for torchvision, torchaudio and torchcodec, which the harness does not need and whose
# default builds break `transformers` beside a CPU torch.
$(READY): requirements.txt pyproject.toml
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

# The page is tested in a real browser, which is a system package.
browser:
	@command -v chromedriver >/dev/null || { \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium chromium-driver; } || { \
		echo "the page's tests need Chromium and its driver: apt-get install chromium chromium-driver"; exit 1; }

test: check browser
	$(BIN)/python -m pytest

# The main job on the three embedded models, then their ranking; run again, it only shows it.
demo: $(READY)
	for model in terse verbose wanderer; do \
		$(BIN)/reghar run --model demo:$$model --out results/demo/$$model --resume || exit $$?; \
	done
	$(BIN)/reghar report results/demo/terse results/demo/verbose results/demo/wanderer --out results/demo

clean:
	rm -rf $(VENV) dist build
