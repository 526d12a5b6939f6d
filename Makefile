# The front door: `make run` and `make test` are all that a newcomer needs.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
FIRST  := colonnade-runs/first
PYTEST := $(BIN)/python -m pytest

.PHONY: run test test-all test-services chaos engines test-engines bench lint docs clean

run: $(VENV)/installed
	@if [ -f $(FIRST)/result.json ]; then $(BIN)/colonnade report $(FIRST) --no-refresh; \
	else $(BIN)/colonnade run structure.affinity --example 3BZD --output $(FIRST); fi
	@$(BIN)/colonnade serve

test: $(VENV)/installed-dev
	$(PYTEST) -n 2 --dist worksteal

test-all: $(VENV)/installed-dev
	$(PYTEST) -n 2 --dist worksteal -m "slow or not slow"

chaos: $(VENV)/installed-dev
	$(PYTEST) -m "slow or not slow" -s tests/gateway/test_chaos.py

test-services: $(VENV)/installed-dev
	$(PYTEST) -n 2 --dist worksteal -m "slow or not slow" tests/gateway/accounts tests/gateway/test_postgres.py tests/gateway/test_batch.py tests/gateway/test_storage.py tests/gateway/test_isolation.py tests/gateway/test_faults.py tests/gateway/test_thousand_jobs.py tests/gateway/test_workflows.py tests/gateway/test_backup.py tests/browser/test_browser_accounts.py tests/browser/test_browser_workflows.py

# External engines, each in an environment of its own; its terms (CNS: free for non-profit use only) are thereby accepted.
engines: $(VENV)/installed-dev
	XDG_DATA_HOME=$(abspath $(VENV)) $(BIN)/colonnade engines install haddock3 --accept-terms

test-engines: $(VENV)/installed-dev
	COLONNADE_HADDOCK3=$(abspath $(VENV))/colonnade/engines/haddock3/venv/bin/python \
	$(PYTEST) -m "slow or not slow" tests/structure/test_haddock.py

bench: $(VENV)/installed-dev
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) colonnade-runs

# torch comes first, pinned: no other package can then pull another build of it.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[all]"
	@$(BIN)/python -m colonnade.lattice  # its kernels would else be compiled by the first job
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[all,dev]"
	@touch $@
