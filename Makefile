# Two commands for a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= lutra-demo
SEED ?= 1
FILES ?= 20000
MOMENTS ?= 200

.PHONY: demo test test-integration fuzz kill bench bench-peers fast-kinetics lint types contracts check lock clean

demo: $(VENV)/ready
	@rm -rf $(DEMO)
	@# Exit 3 and 4 mean "done, with Findings": for a demo that is as good as 0.
	@$(BIN)/lutra demo --out $(DEMO) || [ $$? -ge 3 ]

test: $(VENV)/ready
	$(BIN)/python -m pytest

# Against a real archive (Debian: orthanc orthanc-dicomweb dcmtk iproute2), in a network namespace of its own: needs root.
test-integration: $(VENV)/ready
	$(BIN)/python -m pytest tests/integration

bench: $(VENV)/ready
	@for script in bench/*.py bench/segment/delineation.py bench/kinetics/*.py bench/dose/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# Beside other programs, which live in an environment of their own.
bench-peers: $(VENV)/ready
	$(PYTHON) -m venv .peers
	.peers/bin/python -m pip install --quiet --disable-pip-version-check "PyTheranostics==0.1" "lmfit==1.3.4"
	$(BIN)/python bench/peers/run.py .peers/bin/python --write docs/side-by-side.md

# The closed curves of the simulated kinetics, made anew from its equations: after any change of these.
fast-kinetics: $(VENV)/ready
	$(BIN)/python bench/fit/fast_kinetics.py

# Long: mutated series of scanners through the readers. SEED and FILES as wanted; a case is repeated with CASE=number.
fuzz: $(VENV)/ready
	PYTHONPATH=tests $(BIN)/python -m fuzz.run --seed $(SEED) --files $(FILES) $(if $(CASE),--case $(CASE))

# Long: runs, edits, reports and visits to the reading room, killed at seeded moments. SEED and MOMENTS as wanted.
kill: $(VENV)/ready
	LUTRA_KILL_SEED=$(SEED) LUTRA_KILL_MOMENTS=$(MOMENTS) $(BIN)/python -m pytest -s tests/integration/test_killed_runs.py

lint: $(VENV)/ready
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests

types: $(VENV)/ready
	$(BIN)/mypy

contracts: $(VENV)/ready
	$(BIN)/lint-imports

check: test lint types contracts

# The lock holds hashes and no addresses; the project itself is installed from this folder.
$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Lutra needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra dev --no-header --no-annotate \
	  pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) $(DEMO)
