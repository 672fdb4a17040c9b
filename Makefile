# `make demo` trains a generator of digits and says where to look; `make test` checks everything.
# Each makes its own virtual environment in .venv first, so nothing has to be installed before, and keeps it: the demo
# takes what genkit needs to run, and all else adds what its tests need.

PYTHON ?= python3
BIN := .venv/bin
RUNS := .venv/.runs
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip install --disable-pip-version-check
DEMO := recipes/digits/wgan_ratio_clipping.yaml
SMOKE := runs/smoke

.PHONY: demo test install lint types smoke unit clean

# Goes on where it was stopped; says so when it has finished already.
demo: $(RUNS)
	$(BIN)/genkit train $(DEMO) --out runs/demo --resume

test: lint types smoke unit

install: $(STAMP)

$(RUNS): setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	touch $@

$(STAMP): $(RUNS)
	$(PIP) -e '.[dev]'
	touch $@

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy genkit

# The main job end to end on real data: train, sample, score, explain.
smoke: export OMP_NUM_THREADS := 1
smoke: $(STAMP)
	rm -rf $(SMOKE)
	$(BIN)/genkit train $(DEMO) train.steps=12 every.log=4 every.grid=6 every.checkpoint=6 evaluate.n=200 --out $(SMOKE)
	$(BIN)/genkit sample $(SMOKE) -n 256 --grid --out $(SMOKE)/images
	$(BIN)/genkit evaluate $(SMOKE)/images --against digits -n 200
	$(BIN)/genkit info $(SMOKE)

unit: export OMP_NUM_THREADS := 1
unit: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile --durations=25

clean:
	rm -rf .venv runs/demo $(SMOKE)
