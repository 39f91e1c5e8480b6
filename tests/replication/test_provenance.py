"""The recorded provenance of a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from replication import environment
from replication.measurements import provenance

ROOT = Path(__file__).parent.parent.parent


def test_command_leaves_out_paths():
    arguments = ["figure2", "--results", "here", "--seeds", "2", "--data-dir=there", "--fresh"]
    assert provenance.command(arguments) == "python -m replication figure2 --seeds 2 --fresh"


def test_commit_is_that_of_the_source():
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    assert (provenance.commit() or "").removesuffix("-dirty") == head


def test_versions_name_the_packages():
    assert {"keras", "numpy"} <= set(provenance.versions())


def test_gpus_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.gpus() == []
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'A GPU'\necho 'Another GPU'\n")
    driver.chmod(0o755)
    assert provenance.gpus() == ["A GPU", "Another GPU"]
    driver.write_text("#!/bin/sh\nexit 9\n")  # a driver without a device
    assert provenance.gpus() == []


@pytest.mark.parametrize("chosen, expected", [(None, "HIGHEST"), ("bfloat16", "DEFAULT")])
def test_products_are_those_of_float32_unless_the_user_chooses(monkeypatch, chosen, expected):
    """Also on a GPU, whose default is TF32."""
    monkeypatch.setattr(os, "environ", {**os.environ})
    os.environ.pop(environment.PRECISION, None)
    if chosen:
        os.environ[environment.PRECISION] = chosen
    environment.set_defaults()
    program = "import jax, jax.numpy as n; print(jax.make_jaxpr(n.dot)(n.eye(2), n.eye(2)))"
    python = [sys.executable, "-c", program]
    output = subprocess.run(python, env=os.environ, check=True, capture_output=True, text=True)
    assert f"Precision.{expected}" in output.stdout
    assert provenance.session()["precision"] == (chosen or "highest")
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


@pytest.mark.parametrize("name", ["PJRT_NPROC", "TF_NUM_INTRAOP_THREADS"])
def test_a_limit_of_zero_threads_is_the_default(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert environment.cores() == 1
    monkeypatch.setenv(name, "0")
    assert environment.cores() == environment.available_cores()


def test_the_backend_is_that_of_keras(tmp_path, monkeypatch):
    """KERAS_BACKEND, else Keras' own configuration."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert environment.backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    program = "import keras; print(keras.backend.backend())"
    keras_own = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert environment.backend() == keras_own.stdout.strip() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert environment.backend() == "tensorflow"
