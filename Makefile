# Everything that a developer or a CI types. Each target makes the environment it needs; all can be run again.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# Ready when this is newer than what it was made from.
READY := $(VENV)/.ready
CODE := setup.py src replay grammars db tests bench lab docs
# What is made of the grammars (setup.py) is made anew when one of these changes.
MADE_OF := setup.py replay/wire.c $(filter-out grammars/_expressions.py,$(wildcard grammars/*.lark grammars/*.py grammars/*.[ch]))
# Compiled anew for what measures or shows the tool; tests run edited sources as they are.
COMPILED := .compiled/digest
COMPILED_OF := $(wildcard replay/*.py replay/model/*.py replay/bind/*.py db/*.py)
# Of fuzzing.
SECONDS := 600
# Of mutation testing.
MUTATING := mutmut==3.3.1 coverage
# Of benchmarks.
PEERS := .bench/venv
DEMO := fixtures/captures/mono-b1.trace.gz

.PHONY: help demo test exhaustive check bench peers fuzz lab linear mutation format docs clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

$(READY): pyproject.toml constraints.txt $(MADE_OF)
	@test -x $(BIN)/python || for python in $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14; do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    echo "making $(VENV) with $$($$python --version)"; $$python -m venv $(VENV); exit; \
	  done
	@test -x $(BIN)/python || { echo "make: Python 3.11 or later is needed (PYTHON=/path/to/python3.11)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt setuptools lark
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --no-build-isolation --editable '.[dev]'
	@touch $@
	@$(MAKE) --no-print-directory -o $@ $(COMPILED)

$(COMPILED): $(READY) $(COMPILED_OF)
	@echo "compiling what every event goes through (a minute)"
	@mkdir -p build .compiled && $(BIN)/python setup.py -q compiled >build/compiled.log 2>&1 || { tail -20 build/compiled.log; false; }
	@mkdir -p .compiled && touch $@ # empty where nothing could be compiled: the sources run

demo: $(COMPILED) ## replay a capture of a kernel with a bug, explain what is wrong, ask the database
	@sh docs/demo.sh $(BIN)/python $(DEMO)

test: $(READY) ## the tests, on all cores (ARGS="-k name" for some)
	$(BIN)/python -m pytest -q -n auto $(ARGS)

exhaustive: $(READY) ## all interleavings of the patch's steps, by more tasks than the tests try (minutes)
	EXHAUSTIVE=1 $(BIN)/python -m pytest -q tests/test_exhaustive.py $(ARGS)

check: $(READY) ## format, lint, types, layers, packaging
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/mypy bench docs lab
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_packaging.py

bench: $(COMPILED) ## how fast, beside other programs (FILE=log for one of yours; ARGS="--lines 10000000")
	PYTHONPATH=bench $(BIN)/python -m speed $(ARGS) $(FILE)

peers: $(READY) ## the libraries that `make bench` compares with, in an environment of their own (1.3 GB)
	@test -x $(PEERS)/bin/python || $(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt setuptools lark
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --no-build-isolation --editable '.[bench]'

fuzz: $(READY) ## seek inputs that break the parser or the replay (SECONDS=600)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --only-binary atheris \
	  --no-build-isolation --editable '.[fuzz]' || \
	  { echo "make: atheris has no wheel for $$($(BIN)/python --version) here: rm -r $(VENV); make fuzz PYTHON=python3.11" >&2; exit 1; }
	$(BIN)/python tests/fuzz.py --seconds $(SECONDS)

lab: $(COMPILED) ## capture from Debian's own kernels in QEMU, and replay it (ARGS="--suite trixie-backports"; minutes)
	$(BIN)/python -m lab $(ARGS)

linear: $(READY) ## whether time grows with the input's size alone, whatever stands in it
	$(BIN)/python bench/linear.py

score: $(COMPILED) ## how often the verdict is right, on simulated kernels (ARGS="--small 1000 --seeds 10 --large 5")
	$(BIN)/python bench/score.py $(ARGS)

mutation: $(READY) ## which changes of the model and the invariants no test notices (ARGS="--seed 5 --sample 200 --in replay/model")
	@$(BIN)/python -c 'import mutmut, coverage' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check $(MUTATING)
	PYTHONPATH=bench:src $(BIN)/python -m mutation $(ARGS)

format: $(READY) ## put the code into the project's format
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

docs: $(READY) ## write the generated pages anew
	$(BIN)/python docs/generate.py

clean: ## remove what was made here, but not the environment
	rm -rf build .compiled dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .bench/logs
