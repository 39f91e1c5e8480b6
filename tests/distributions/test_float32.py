"""Moments, log densities and divergences in float32 equal those in float64."""

import keras
import numpy as np
import pytest

from keras_aevb.distributions.family import _family_class

if keras.backend.backend() == "jax":
    pytest.skip("JAX has no float64 by default", allow_module_level=True)

N = 500
LIMITS = np.finfo("float32")
# Kinds of parameters: functions of a generator. Known limits has the errors for larger ones.
KINDS = {
    "location": lambda rng: rng.normal(size=N) * rng.choice([0.1, 1, 10], N),
    "scale": lambda rng: 10 ** rng.uniform(-2, 2, N),
    "concentration": lambda rng: 10 ** rng.uniform(-1, 3, N),
    "logits": lambda rng: rng.normal(size=N) * rng.choice([1, 5], N),
    "above 2": lambda rng: 2 + 10 ** rng.uniform(-1, 2, N),
    "below 1/2": lambda rng: rng.uniform(-1, 0.45, N) * rng.choice([1e-6, 1e-3, 1], N),
    "around 1": lambda rng: 10 ** rng.uniform(-0.5, 0.5, N),
    "skewness": lambda rng: rng.uniform(-1, 1, N),
    "small": lambda rng: 10 ** rng.uniform(-2, np.log10(0.45), N),
    "wide": lambda rng: 10 ** rng.uniform(-1, 2, N),
    "above 4": lambda rng: 4 + 10 ** rng.uniform(-2, 1, N),
    "low": lambda rng: np.clip(rng.normal(size=N), -3, 3),
    "ten": lambda rng: np.full(N, 10.0),
}
FAMILIES = {
    "Bernoulli": {"logits": "logits"},
    "Beta": {"concentration1": "concentration", "concentration0": "concentration"},
    "BetaBinomial": {
        "total_count": "ten",
        "concentration1": "concentration",
        "concentration0": "concentration",
    },
    "Binomial": {"total_count": "ten", "logits": "logits"},
    "Cauchy": {"loc": "location", "scale": "scale"},
    "Chi": {"df": "above 2"},
    "Chi2": {"df": "concentration"},
    "ContinuousBernoulli": {"logits": "logits"},
    "ExpGamma": {"concentration": "concentration", "rate": "scale"},
    "ExpInverseGamma": {"concentration": "concentration", "scale": "scale"},
    "Exponential": {"rate": "scale"},
    "ExponentiallyModifiedGaussian": {"loc": "location", "scale": "scale", "rate": "scale"},
    "Gamma": {"concentration": "concentration", "rate": "scale"},
    "GammaGamma": {
        "concentration": "around 1",
        "mixing_concentration": "above 2",
        "mixing_rate": "scale",
    },
    "GeneralizedExtremeValue": {"loc": "location", "scale": "scale", "concentration": "below 1/2"},
    "GeneralizedNormal": {"loc": "location", "scale": "scale", "power": "around 1"},
    "GeneralizedPareto": {"loc": "low", "scale": "scale", "concentration": "below 1/2"},
    "Geometric": {"logits": "logits"},
    "Gumbel": {"loc": "location", "scale": "scale"},
    "HalfCauchy": {"loc": "low", "scale": "scale"},
    "HalfNormal": {"scale": "scale"},
    "HalfStudentT": {"df": "above 2", "loc": "low", "scale": "scale"},
    "InverseGamma": {"concentration": "above 2", "scale": "scale"},
    "InverseGaussian": {"loc": "scale", "concentration": "scale"},
    "JohnsonSU": {
        "skewness": "skewness",
        "tailweight": "around 1",
        "loc": "low",
        "scale": "scale",
    },
    "Kumaraswamy": {"concentration1": "concentration", "concentration0": "concentration"},
    "Laplace": {"loc": "location", "scale": "scale"},
    "LogLogistic": {"loc": "low", "scale": "small"},
    "Logistic": {"loc": "location", "scale": "scale"},
    "LogitNormal": {"loc": "location", "scale": "scale"},
    "LogNormal": {"loc": "low", "scale": "small"},
    "Moyal": {"loc": "location", "scale": "scale"},
    "NegativeBinomial": {"total_count": "concentration", "logits": "logits"},
    "Normal": {"loc": "location", "scale": "scale"},
    "NormalInverseGaussian": {
        "loc": "low",
        "scale": "scale",
        "tailweight": "above 2",
        "skewness": "skewness",
    },
    "PERT": {"low": "low", "high": "above 4", "peak": "peak"},
    "Pareto": {"concentration": "above 2", "scale": "scale"},
    "Poisson": {"log_rate": "low"},
    "SinhArcsinh": {
        "loc": "low",
        "scale": "scale",
        "skewness": "skewness",
        "tailweight": "around 1",
    },
    "Skellam": {"rate1": "scale", "rate2": "scale"},
    "StudentT": {"df": "above 2", "loc": "location", "scale": "scale"},
    "Triangular": {"low": "low", "high": "above 4", "peak": "peak"},
    "TruncatedNormal": {"loc": "location", "scale": "wide", "low": "low", "high": "above 4"},
    "TwoPieceNormal": {"loc": "low", "scale": "scale", "skewness": "around 1"},
    "Uniform": {"low": "low", "high": "above 4"},
    "VonMises": {"loc": "low", "concentration": "concentration"},
    "Weibull": {"concentration": "concentration", "scale": "scale"},
}


def parameters(name, seed):
    """Values in float32."""
    rng = np.random.default_rng(seed)
    kinds = FAMILIES[name]
    values = {n: KINDS[kind](rng) for n, kind in kinds.items() if kind != "peak"}
    if "peak" in kinds:
        values["peak"] = values["low"] + rng.random(N) * (values["high"] - values["low"])
    return {n: value.astype("float32") for n, value in values.items()}


def both(name, seed):
    """The same distributions in float32 and in float64."""
    values = parameters(name, seed)
    for dtype in ("float32", "float64"):
        tensors = {n: keras.ops.convert_to_tensor(v, dtype) for n, v in values.items()}
        yield _family_class(name)(**tensors)


def numbers(x):
    return np.asarray(x, "float64")


def close(actual, desired, scale, tolerance):
    """Asserts that errors are below `tolerance * scale`; infinite above float32's range."""
    desired = np.where(desired > LIMITS.max, np.inf, desired)
    finite = np.isfinite(desired)
    np.testing.assert_array_equal(actual[~finite], desired[~finite])
    error = np.abs(actual[finite] - desired[finite]) / scale[finite]
    assert error.max(initial=0) < tolerance, (actual[finite], desired[finite])


@pytest.mark.parametrize("name", FAMILIES)
def test_moments(name):
    small, exact = both(name, 0)
    compared = 0
    for moment in ("mean", "stddev", "variance"):
        try:
            desired = numbers(getattr(exact, moment)())
        except NotImplementedError:
            continue
        compared += 1
        # A mean is accurate to a fraction of the standard deviation or of itself.
        spread = numbers(exact.stddev()) if moment == "mean" else 0
        scale = np.maximum(np.abs(desired), spread)
        # float32's rounding, times up to 10⁴ where terms of a formula cancel
        close(numbers(getattr(small, moment)()), desired, scale, 1e-3)
    if not compared:
        pytest.skip("TFP has no moments")


@pytest.mark.parametrize("name", FAMILIES)
def test_log_densities(name, noise):
    small, exact = both(name, 1)
    x = numbers(exact.sample(20, seed=noise(0))).astype("float32")
    received, desired = (
        numbers(q.log_prob(keras.ops.convert_to_tensor(x, dtype)))
        for q, dtype in ((small, "float32"), (exact, "float64"))
    )
    normal = (x == 0) | (np.abs(x) >= LIMITS.tiny)  # processors treat subnormal numbers as 0
    received, desired = received[normal], desired[normal]
    # At concentrations of 10³, terms of 10⁴ nats cancel, each rounded to 10⁻³.
    close(received, desired, np.maximum(1, np.abs(desired)), 5e-3)


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_divergences(name, equal):
    (q32, q64), (p32, p64) = both(name, 2), both(name, 2 if equal else 3)
    try:
        desired = numbers(q64.kl_divergence(p64))
    except NotImplementedError:
        pytest.skip("TFP has no closed form")
    # as for log densities; most terms are differences of two concentrations
    close(numbers(q32.kl_divergence(p32)), desired, np.maximum(1, np.abs(desired)), 1e-3)
