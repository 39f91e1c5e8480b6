# make replicate   environment, install, Figure 2's protocol on scikit-learn's digits
# make check       lint, types, and tests of exact values on one backend; run it between edits
# make test        lint, types, and tests on both backends
# make coverage    lines and branches that the tests of both backends run
# make docs        the site, in build/site
# make notebooks   the site's notebooks alone, in build/notebooks

VENV ?= .venv
PYTHON ?= python3
RESULTS ?= build/results
KERAS_BACKEND ?= jax
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: replicate check coverage docs notebooks test lint types test-jax test-tensorflow cover-jax cover-tensorflow clean

# Only the packages for one backend; `make test` adds the rest to the same environment.
replicate: $(VENV)/installed-$(KERAS_BACKEND)
	KERAS_BACKEND=$(KERAS_BACKEND) $(BIN)/python -m replication figure2 \
		--dataset digits --samples 1e5 --results $(RESULTS)

# Tests of exact values, for the parts that most changes affect.
EXACT := $(addprefix tests/,bounds/test_elbo.py distributions/test_likelihoods.py \
	distributions/test_posteriors.py distributions/test_priors.py test_batches.py test_checks.py \
	test_release.py test_weight_prior.py)

check: lint types
	KERAS_BACKEND=$(KERAS_BACKEND) $(BIN)/python -m pytest -q -n 2 --dist loadfile $(EXACT)

test: lint types test-jax test-tensorflow

lint: $(VENV)/installed-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-all
	$(BIN)/mypy

# Test files run in parallel; a worker needs a core and up to 1.5 gigabytes.
test-jax test-tensorflow: test-%: $(VENV)/installed-all
	KERAS_BACKEND=$* $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

coverage: cover-jax cover-tensorflow
	$(BIN)/coverage combine --quiet --keep --data-file build/coverage/all build/coverage/[jt]*
	$(BIN)/coverage report --data-file build/coverage/all

cover-jax cover-tensorflow: cover-%: $(VENV)/installed-all
	rm -f build/coverage/$*
	COVERAGE_FILE=build/coverage/$* KERAS_BACKEND=$* $(BIN)/python -m pytest -q -n auto \
		--maxprocesses 4 --dist loadfile --cov --cov-report=

# Runs each notebook and shows its output; a second `make docs` runs only changed notebooks.
NOTEBOOKS := $(patsubst docs/notebooks/%.py,build/notebooks/%.md,$(wildcard docs/notebooks/*.py))

notebooks: $(NOTEBOOKS)

docs: notebooks
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

build/notebooks/%.md: docs/notebooks/%.py docs/site/notebooks.py | $(VENV)/installed-docs
	KERAS_BACKEND=$(KERAS_BACKEND) $(BIN)/python docs/site/notebooks.py $< build/notebooks

$(VENV)/installed-docs: EXTRAS = $(KERAS_BACKEND),plots,docs
$(VENV)/installed-all: EXTRAS = tensorflow,jax,plots,replication,dask,test
$(VENV)/installed-%: EXTRAS = $*,replication

# Installs with uv if available: it is much faster than pip. Compiles bytecode, as pip does: otherwise
# each process would compile the packages again where Python may not write to their folder.
$(VENV)/installed-%: pyproject.toml
	if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python -e '.[$(EXTRAS)]'; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS)]'; \
	fi
	touch $@

clean:
	rm -rf build dist $(VENV)
