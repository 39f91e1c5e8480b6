"""Regression tests for numbers with Monte Carlo noise, such as a model's bound.

A JSON file stores the expected numbers. To update them, run the tests with the environment variable
KERAS_AEVB_UPDATE=1:

    KERAS_AEVB_UPDATE=1 python -m pytest tests/test_bound.py
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np

from keras_aevb import arguments
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.typing import ArrayLike, ConditionLike, Examples, Seed

UPDATE = "KERAS_AEVB_UPDATE"
# The relative rounding error of a float32 number when the order of summation changes.
ROUNDING = 1e-5


class Reference(TypedDict):
    """A mean over values, as a file stores it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "references.json"
        >>> assert_unchanged([1.0, 2.0], path, "name", update=True)
        >>> references: dict[str, Reference] = json.loads(path.read_text())
        >>> references["name"]
        {'mean': 1.5, 'num_values': 2, 'standard_error': 0.5}
    """

    mean: float
    standard_error: float
    num_values: int


def assert_elbo_unchanged(
    model: VariationalModel,
    x: Examples,
    path: str | os.PathLike[str],
    name: str = "elbo",
    num_repeats: int = 10,
    num_samples: int | None = None,
    max_standard_errors: float = 5.0,
    batch_size: int = 1000,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
    update: bool | None = None,
) -> None:
    r"""Asserts that the mean bound on some examples equals a stored one, within Monte Carlo error.

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`.
        path, name, max_standard_errors, update: as for `assert_unchanged`.
        num_repeats: independent estimates of the mean over the examples, at least 2.
        num_samples, batch_size, condition: as for `model.elbo`.
        seed: integer that fixes the noise. Default: 0.

    Raises:
        AssertionError: as `assert_unchanged`.
        ValueError: if the model has no q(z|x), its bound is not finite, `num_repeats` is not an
            integer of at least 2, or `model.elbo` or `assert_unchanged` rejects an argument.

    Example:
        >>> import tempfile, numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> path = tempfile.mkdtemp() + "/references.json"
        >>> kv.testing.assert_elbo_unchanged(model, x, path, update=True)  # stores it
        >>> kv.testing.assert_elbo_unchanged(model, x, path)
    """
    check_type("model", model, VariationalModel)
    num_repeats = arguments.integer("num_repeats", num_repeats, at_least=2)
    bounds = [
        model.elbo(x, num_samples, batch_size, s, condition)
        for s in arguments.seeds(seed, num_repeats)
    ]
    means = np.mean(bounds, axis=1, dtype="float64")
    if not np.isfinite(means).all():
        raise ValueError(f"Expected a model with finite bounds on log p(x). Received: {means}")
    assert_unchanged(means, path, name, max_standard_errors, update)


def assert_unchanged(
    values: ArrayLike,
    path: str | os.PathLike[str],
    name: str,
    max_standard_errors: float = 5.0,
    update: bool | None = None,
) -> None:
    r"""Asserts that the mean of independent values equals a stored one, within Monte Carlo error.

    $$|m - m_0| \le c \sqrt{s^2 + s_0^2 + (10^{-5} m_0)^2}$$

    with the mean m of R values, its standard error s, and the stored m₀ and s₀; the last term is
    the rounding of float32. For normal noise
    and c = 5, an unchanged mean fails with probability 1e-4 for 10 values each, and 1e-3 for 5. If
    integer seeds fix all noise, it never fails on the machine that stored the reference.

    Args:
        values: R ≥ 2 independent estimates of a number, for example from different seeds.
        path: JSON file of references; one file can store many.
        name: name of this reference.
        max_standard_errors: c.
        update: whether to store the values instead of comparing them. Default: whether the
            environment variable KERAS_AEVB_UPDATE is 1.

    Raises:
        AssertionError: if the mean differs from the stored one, or none is stored.
        ValueError: if the values are not at least two finite numbers, `max_standard_errors` is not
            positive, or the file does not contain references.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/references.json"
        >>> assert_unchanged([-98.1, -97.9, -98.0], path, "digits", update=True)
        >>> assert_unchanged([-98.2, -97.9, -98.0], path, "digits")
        >>> assert_unchanged([-99.2, -98.9, -99.0], path, "digits")
        Traceback (most recent call last):
        ...
        AssertionError: 'digits' has changed. Expected -98.0000 ± 0.0577, ...
    """
    values = np.asarray(values, "float64")
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"Expected `values` to be two or more finite numbers. Received: {values}")
    arguments.number("max_standard_errors", max_standard_errors)
    path = Path(path)
    received: Reference = {
        "mean": values.mean(),
        "standard_error": values.std(ddof=1) / math.sqrt(len(values)),
        "num_values": len(values),
    }
    references = _read(path)
    if os.environ.get(UPDATE) == "1" if update is None else update:
        _write(path, {**references, name: received})
        return
    if name not in references:
        raise AssertionError(
            f"Expected a reference {name!r} in {path}. Received: {sorted(references) or 'none'}. "
            f"Run the test with {UPDATE}=1 in the environment to store this one, "
            f"{_shown(received)}"
        )
    expected = references[name]
    error = math.hypot(
        expected["standard_error"], received["standard_error"], ROUNDING * expected["mean"]
    )
    distance = (received["mean"] - expected["mean"]) / error
    if abs(distance) > max_standard_errors:
        raise AssertionError(
            f"{name!r} has changed. Expected {_shown(expected)}, as in {path}. "
            f"Received: {_shown(received)}. They differ by {distance:+.1f} standard errors, more "
            f"than {max_standard_errors:g}. If the change is intended, run the test with "
            f"{UPDATE}=1 in the environment"
        )


def _shown(reference: Reference) -> str:
    return f"{reference['mean']:.4f} ± {reference['standard_error']:.4f}"


def _read(path: Path) -> dict[str, Reference]:
    if not path.exists():
        return {}
    try:
        references = json.loads(path.read_text("utf-8"))
        for reference in references.values():
            float(reference["mean"]), float(reference["standard_error"])
        return references
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"Expected {path} to contain references stored with {UPDATE}=1. Received: {error!r}"
        ) from None


def _write(path: Path, references: Mapping[str, Reference]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps(references, indent=2, sort_keys=True) + "\n", "utf-8")
    new.replace(path)
