# GNU make 3.81 (macOS) is enough. What needs more than a line is a Python script in tools/.
.DEFAULT_GOAL := help
.PHONY: help environment report test check notebooks manual parity data truth bench-endpoints bench-survival \
  bench-longitudinal bench-load recovery-endpoints recovery-survival recovery-longitudinal convergence-longitudinal lock clean \
  distclean

BIN := .venv/bin
STAMP := .venv/.stamp-environment
PYTHONS := python3.14 python3.13 python3.12 python3.11 python3
IN_RANGE := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
PLAN := reports/plans/synthetic.toml

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -e 's/:.*##/	/' | expand -t 21

environment: $(STAMP)  ## make or renew .venv from requirements.lock (needs the network; nothing later does)

# The first Python that really runs (a version manager's shim may stand there without one) and is in range.
$(STAMP): requirements.lock pyproject.toml tools/bootstrap.py
	@for python in $(PYTHONS); do \
	  if $$python -c '$(IN_RANGE)' >/dev/null 2>&1; then \
	    $$python tools/bootstrap.py && touch $@; exit $$?; fi; \
	done; \
	echo "No Python from 3.11 to 3.14 found (looked for: $(PYTHONS)). Install one, e.g. from python.org, your" >&2; \
	echo "system's packages or Homebrew, see that it is on the PATH, and run make again." >&2; exit 1

report: $(STAMP)  ## the report of the synthetic study, in reports/output/synthetic/ (another: PLAN=reports/plans/x.toml)
	$(BIN)/aih-outcomes report $(PLAN)

test: $(STAMP)  ## all tests (some of them: ARGS="tests/models -k cox")
	$(BIN)/python -m pytest $(ARGS)

check: $(STAMP)  ## format, lint, types, who imports whom, lock in step, tree clean
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/lock.py check
	$(BIN)/python tools/check_tree.py

notebooks: $(STAMP)  ## Jupyter Lab in notebooks/
	$(BIN)/jupyter lab --notebook-dir=notebooks

manual: $(STAMP)  ## the endpoint manual, from the criteria and the spec tests, in reports/output/endpoint-manual/
	$(BIN)/python tools/manual.py reports/output/endpoint-manual/index.html

parity: $(STAMP)  ## every figure compared with R or SAS, in reports/output/parity/ (needs the reference data beside the clone)
	$(BIN)/python tools/parity.py $(ARGS)

data: $(STAMP)  ## write data/synthetic anew, byte for byte
	$(BIN)/aih-outcomes simulate data/synthetic

truth: $(STAMP)  ## count the truth behind the synthetic cohort and its calibration anew (4 minutes)
	$(BIN)/python -m aih_outcomes.simulate.truth data/synthetic/truth.json
	$(BIN)/python -m aih_outcomes.simulate.calibration data/synthetic/calibration.csv

bench-endpoints: $(STAMP)  ## how fast endpoints are derived; a million patients, 2 minutes (fewer: ARGS=100000)
	$(BIN)/python tools/bench_endpoints.py $(ARGS)

bench-survival: $(STAMP)  ## how fast the survival models are, beside R where it is installed, 4 minutes (fewer rows: ARGS=100000)
	$(BIN)/python tools/bench_survival.py $(ARGS)

bench-longitudinal: $(STAMP)  ## how fast the mixed models are, beside R and statsmodels, 2 minutes (fewer rows: ARGS=100000)
	$(BIN)/python tools/bench_longitudinal.py $(ARGS)

bench-load: $(STAMP)  ## how fast sources are read: OMOP, FHIR, REDCap; 20 million rows, 5 minutes (fewer: ARGS=20000)
	$(BIN)/python tools/bench_load.py $(ARGS)

recovery-endpoints: $(STAMP)  ## endpoints against the simulated truth, 3 minutes (fewer children: ARGS="700 5000")
	$(BIN)/python tools/recovery_endpoints.py $(ARGS)

recovery-survival: $(STAMP)  ## survival models against simulated truths, and their coverage, an hour (fewer replicates: ARGS=200)
	$(BIN)/python tools/recovery_survival.py $(ARGS)

recovery-longitudinal: $(STAMP)  ## mixed models against simulated truths, and their coverage, half an hour (fewer replicates: ARGS=200)
	$(BIN)/python tools/recovery_longitudinal.py $(ARGS)

convergence-longitudinal: $(STAMP)  ## small cohorts with a variance of 0: every fit ends with an answer or its reason, 3 minutes (fewer: ARGS=100)
	$(BIN)/python tools/convergence_longitudinal.py $(ARGS)

lock: $(STAMP)  ## resolve the dependencies anew, keeping what still fits (all to their newest: ARGS=--upgrade)
	$(BIN)/python tools/lock.py write $(ARGS)

clean:  ## remove outputs and caches, keep .venv
	rm -rf reports/output build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests tools notebooks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## remove .venv too
	rm -rf .venv
