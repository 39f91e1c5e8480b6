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
        # float32, in another program: a mean near zero is a sum of terms of order one
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


@pytest.mark.parametrize("family", ["Cauchy", "StudentT"])
def test_moments_that_do_not_exist_are_left_out(family, make_model, x):
    posterior = {"posterior": kv.Conditional(family, 2), "prior": kv.Unconditional(family, 2)}
    model = make_model(**posterior, bound=kv.ELBO(kl="sampled"))
    found = model.posterior_parameters(x)
    assert not {"mean", "standard_deviation"} & set(found)
    assert all(np.isfinite(values).all() for values in found.values())
    with pytest.raises(ValueError, match=r"has no mean for some.*Received: 'mean'"):
        model.encoding("mean")
    assert np.isfinite(model.encoding("sample")(x)).all()


def test_fixed_parameters_with_moments(make_model, x):
    posterior = {"posterior": kv.Conditional("StudentT", 2, df=5.0)}
    prior = {"prior": kv.Unconditional("StudentT", 2)}
    found = make_model(**posterior, **prior, bound=kv.ELBO(kl="sampled")).posterior_parameters(x)
    variance = 5 / 3 * found["scale"] ** 2
    np.testing.assert_allclose(found["standard_deviation"] ** 2, variance, rtol=1e-5)
