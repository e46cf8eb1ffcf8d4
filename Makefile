# `make demo` and `make test` set up everything they need; see CONTRIBUTING.md.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: install demo test lint docs bench dist test-wheel test-readers test-napari lock clean

# The Python that makes the environment: `make test PYTHON=python3.12`.
PYTHON ?= python3
# Of torch builds of one version, pip prefers the CPU build wherever its own settings
# let it find one. Any requirement will do: `make test TORCH=torch`.
TORCH ?= torch==2.13.0

BIN := .venv/bin

install: .venv/.installed

.venv/.installed: pyproject.toml scripts/install.sh scripts/system_packages.sh
	@bash scripts/install.sh "$(PYTHON)" "$(TORCH)"
	@touch $@

demo: install
	@$(BIN)/napari-fastnet demo

test: install
	@bash scripts/test.sh $(ARGS)

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/bandit -q -c pyproject.toml -r src
	find src -name '*.py' -print0 | xargs -0 $(BIN)/numpydoc lint

docs: install
	$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/mkdocs build --strict

bench: install
	@$(BIN)/napari-fastnet bench $(ARGS)

# What is uploaded, checked.
dist: install
	$(BIN)/python -m pip install --quiet --group dist
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	@grep -q '^Source = ' pyproject.toml || echo "note: no address of the repository, see Release in CONTRIBUTING.md"
	$(BIN)/python -m zipfile -l dist/*.whl | grep "napari_fastnet/__init__.pyi" > /dev/null    # names the public functions

# The wheel in an empty environment: `make test-wheel PYTHON=python3.12 TORCH=torch`.
test-wheel: install
	$(BIN)/python -m pip install --quiet --group dist
	@bash scripts/test_wheel.sh "$(PYTHON)" "$(TORCH)" $(ARGS)

# SpatialData and other readers that need an environment of their own.
test-readers:
	@bash scripts/test_readers.sh "$(PYTHON)" "$(TORCH)"

# The plugin with one napari: `make test-napari NAPARI=0.7.1`, `make test-napari NAPARI=--pre`.
NAPARI ?= 0.7.1
test-napari:
	@bash scripts/test_napari.sh "$(PYTHON)" "$(TORCH)" "$(NAPARI)" $(ARGS)

# The versions in the containers, taken anew.
lock: install
	$(BIN)/python -m pip install --quiet --group lock
	@bash scripts/lock.sh "$(TORCH)"

clean:
	rm -rf .venv build demo dist site .coverage .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
