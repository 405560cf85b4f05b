# Everything a fresh machine with Python 3.11, pip, make and git needs. State lives in .venv and .energy.
PYTHON ?= python3
BIN := .venv/bin
UV := .boot/bin/uv
LOCK := deploy/requirements.lock
HEAVY := dagster._cli, dagster_webserver.cli, dbt.cli.main, dbt.adapters.duckdb, mlflow.pyfunc, mlflow.server, \
  great_expectations, lightgbm, sklearn.linear_model, statsforecast, altair, vl_convert, boto3, pandas, pyarrow.compute, typer, rich.console

.DEFAULT_GOAL := help
.PHONY: help setup run ui test check format docs lock benchmark peers clean

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/ready  ## the environment in .venv, exactly as locked

# uv installs the lock in seconds where pip takes minutes; it comes by pip into a folder of its own.
$(UV):
	$(PYTHON) -m venv .boot
	.boot/bin/pip install --quiet --disable-pip-version-check uv

.venv/ready: $(LOCK) pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) .venv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m energy_platform.defs.warehouse.project
	# Compiled once here: where PYTHONDONTWRITEBYTECODE is set, every start of `energy` would compile 2,000 modules again.
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -W ignore -c "import energy_platform.definitions, $(HEAVY)"
	$(BIN)/python -m compileall -q energy_platform
	@touch $@

run: setup  ## the whole flow on the real sample homes; prints a table and where the report is
	@$(BIN)/energy run

ui: setup  ## the Dagster UI on port 3000 and the MLflow UI on port 5000, until Ctrl-C
	@$(BIN)/energy ui

# Byte code is kept where the environment says not to, too: some hundred processes of the tests would compile their
# imports again. Files with slow tests go first, as conftest.py orders them.
test: setup  ## all tests
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup  ## linters, types, import rules, SQL style, lock and generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 dbt_project/models dbt_project/tests dbt_project/macros
	$(BIN)/python -m energy_platform.serving.dictionary --check docs/data_dictionary.md

format: setup  ## put code into the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix --processes 2 dbt_project/models dbt_project/tests

docs: setup  ## write the generated pages
	$(BIN)/python -m energy_platform.serving.dictionary docs/data_dictionary.md

lock: $(UV)  ## resolve pyproject.toml anew, with hashes and without index addresses
	$(UV) pip compile pyproject.toml --group dev --all-extras --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet --output-file $(LOCK)

benchmark: setup  ## the measured tables of docs/measurements.md
	$(BIN)/python benchmarks/spine.py

peers: .peers/ready  ## PySpark in .peers, for benchmarks/pyspark_peer.py alone; needs Java 17

.peers/ready: deploy/peers.lock | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) .peers
	$(UV) pip install --quiet --python .peers/bin/python --require-hashes -r deploy/peers.lock
	@touch $@

clean:  ## remove the environments, never your data
	rm -rf .venv .boot dbt_project/target dbt_project/logs
