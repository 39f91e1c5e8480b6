"""Reconstructions from distributions without a mean."""

import keras
import numpy as np
import pytest

import keras_aevb as kv

KINDS = {
    "mean": [kv.DiagonalNormal(3), kv.Conditional("Gamma", 3), kv.Conditional("VonMises", 3)],
    "mode": [
        kv.Conditional("Cauchy", 3),
        kv.Conditional("StudentT", 3),  # its mean needs more than one degree of freedom
        kv.Conditional("Categorical", 3, num_classes=4),
        kv.Conditional("VonMisesFisher", 3),
    ],
    "sample": [kv.Conditional("F", 3, df2=9.0)],  # with smaller df2, samples overflow float32
}


@pytest.mark.parametrize("kind, part", [(k, part) for k, parts in KINDS.items() for part in parts])
def test_kinds(kind, part, make_model):
    model = make_model(likelihood=part)
    assert model.point_estimates == {"posterior": "mean", "likelihood": kind}
    model.compile(jit_compile=False)
    family = part.get_config().get("family")
    value = {"Categorical": 1, "VonMisesFisher": 3**-0.5}.get(family, 0.5)  # in every support
    x = np.full((4, 3), value, "float32")
    reconstruction = model.reconstruct(x)
    assert reconstruction.shape == x.shape
    assert np.isfinite(reconstruction).all()
    if kind != "sample":
        p = model.decode(model.encode(x).mean())
        # float32 in another program; a mean near zero has the rounding of its features of order one
        np.testing.assert_allclose(reconstruction, getattr(p, kind)(), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_posterior_without_a_mean(make_model, x):
    """z is the mode of a Cauchy distribution, which is its location."""
    model = make_model(
        posterior=kv.Conditional("Cauchy", 2),
        prior=kv.Unconditional("Cauchy", 2),
        bound=kv.ELBO(kl="sampled"),
    )
    assert model.point_estimates["posterior"] == "mode"
    loc, _ = model.posterior(model.encoder(x))
    expected = model.decode(keras.ops.convert_to_tensor(loc)).mean()
    np.testing.assert_allclose(model.reconstruct(x), expected, rtol=1e-6)
