# make replicate   environment, install, Figure 2's protocol on embedded data
# make test        lint, types, and all tests on both backends

VENV ?= .venv
PYTHON ?= python3
RESULTS ?= build/results
KERAS_BACKEND ?= jax
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: replicate test lint types test-jax test-tensorflow clean

# Only what one backend needs; `make test` adds the rest to the same environment.
replicate: $(VENV)/installed-$(KERAS_BACKEND)
	KERAS_BACKEND=$(KERAS_BACKEND) $(BIN)/python -m replication figure2 \
		--dataset digits --samples 1e5 --results $(RESULTS)

test: lint types test-jax test-tensorflow

lint: $(VENV)/installed-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-all
	$(BIN)/mypy

# Files are tested side by side; a worker takes a core and a gigabyte.
test-jax test-tensorflow: test-%: $(VENV)/installed-all
	KERAS_BACKEND=$* $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

$(VENV)/installed-all: EXTRAS = tensorflow,jax,plots,replication,test
$(VENV)/installed-%: EXTRAS = $*,replication

# uv installs in seconds what takes pip minutes; either will do.
$(VENV)/installed-%: pyproject.toml
	if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python -e '.[$(EXTRAS)]'; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS)]'; \
	fi
	touch $@

clean:
	rm -rf build dist $(VENV)
