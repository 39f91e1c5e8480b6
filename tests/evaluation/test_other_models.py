"""Metrics of FullVB, and of models whose q(z|x) has dependent dimensions or no closed forms."""

import keras
import numpy as np
import pytest
from scipy import integrate, stats

import keras_aevb as kv
from keras_aevb import evaluation


def test_kl_by_dimension_from_samples(make_model, x):
    """KL(Laplace ‖ normal) equals quadrature within 6 standard errors of 4000 samples."""
    model = make_model(posterior=kv.Conditional("Laplace", 2))
    kl = evaluation.kl_by_dimension(model, x, num_samples=4000, seed=0)
    q = model.encode(x).distribution
    loc, scale = (np.asarray(p, "float64") for p in (q.loc, q.scale))
    for i, j in np.ndindex(3, 2):
        laplace = stats.laplace(loc[i, j], scale[i, j])

        def integrand(z, laplace=laplace):
            return laplace.pdf(z) * (laplace.logpdf(z) - stats.norm.logpdf(z))

        exact = integrate.quad(integrand, -30, 30, points=[loc[i, j]], limit=500)[0]
        # log q - log p has a spread of 2 nats or less where the scale is about 1
        assert abs(kl[i, j] - exact) < 6 * 2 / np.sqrt(4000)


def test_dependent_dimensions_are_refused(make_model, x):
    model = make_model(posterior=kv.Conditional("MultivariateNormalTriL", 2))
    with pytest.raises(ValueError, match=r"a `tfd.Independent`.*Received: tfp"):
        evaluation.kl_by_dimension(model, x)
    report = model.report(x, 30, seed=0, verbose=False)
    assert report.kl_by_dimension is None and "by latent dimension" not in str(report)
    assert np.isfinite(report.inference_gap.mean)
    assert evaluation.posterior_mean_variances(model, x).shape == (2,)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [kv.WakeSleep, kv.FullVB])
def test_other_algorithms(algorithm, make_model, x, capsys):
    model = make_model(algorithm)
    report = model.report(x, num_samples=30, seed=0)
    assert "inference gap" in capsys.readouterr().out
    # Positive, up to noise of 0.1 nats, and small before training
    assert -0.3 < report.inference_gap.mean < 2


def test_full_vb_averages_over_its_weights(make_model, x):
    """elbo_terms and model.elbo agree: 200 draws of each, within five standard errors."""
    model = make_model(kv.FullVB, initial_scale=0.3)
    terms = [evaluation.elbo_terms(model, x, 20, seed=s)["elbo"] for s in range(10)]
    bounds = [model.elbo(x, 20, seed=s) for s in range(10, 20)]
    difference = np.mean(terms, axis=0) - np.mean(bounds, axis=0)
    error = np.hypot(np.std(terms, axis=0, ddof=1), np.std(bounds, axis=0, ddof=1)) / np.sqrt(10)
    assert (abs(difference) < 5 * error).all()


def test_columns_of_a_report_with_large_values(make_model, x):
    model = make_model(likelihood=kv.Normal(6, scale=1e-4))
    for line in str(model.report(x, 30, seed=0, verbose=False)).splitlines():
        if line.startswith(("ELBO", "  reconstruction", "log p(x),")):
            mean, error = line.split()[-2:]
            assert float(mean) < -1e7 and float(error) > 0
            assert len(line) <= 64


def test_report(linear_gaussian, capsys):
    lg = linear_gaussian(200, scale=1.2)
    report = lg.model.report(lg.x, 200, seed=0)
    out = capsys.readouterr().out
    assert out.endswith(f"{report}\n") and "5/5" in out
    assert all(len(line.replace("\u0302", "")) <= 64 for line in str(report).splitlines())
    assert report.num_examples == 200 and report.pareto_k.shape == (200,)
    assert report.elbo.mean == pytest.approx(report.reconstruction.mean - report.kl.mean, abs=1e-4)
    gap = report.log_likelihood.mean - report.elbo.mean
    assert report.inference_gap.mean == pytest.approx(gap, abs=1e-4)
    # six standard errors of importance sampling, 0.0016 nats for the mean of 200 examples
    error = report.log_likelihood.mean - lg.log_likelihood.mean()
    assert abs(error) < 0.01
    assert report.log_likelihood.standard_error == pytest.approx(
        lg.log_likelihood.std(ddof=1) / np.sqrt(200), rel=0.01
    )
    np.testing.assert_allclose(
        report.kl_by_dimension, evaluation.kl_by_dimension(lg.model, lg.x).mean(0), rtol=1e-5
    )
    assert report.active_units.all()
    sorted_kl = [float(line.split()[-1]) for line in str(report).splitlines()[-2:]]
    assert sorted_kl == sorted(sorted_kl, reverse=True)
    lg.model.report(lg.x, 200, seed=0, verbose=False)
    assert capsys.readouterr().out == ""


def test_one_example_has_no_spread(make_model, x):
    with pytest.raises(ValueError, match=r"N ≥ 2\. Received: N=1"):
        make_model().report(x[:1], 10, verbose=False)
    with pytest.raises(ValueError, match=r"N ≥ 2\. Received: N=1"):
        evaluation.active_units(make_model(), x[:1])


def test_latents_with_two_axes(x):
    """z of shape [2, 1]."""
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        keras.Sequential([keras.layers.Dense(5)]),
        keras.Sequential([keras.layers.Flatten()]),
        kv.DiagonalNormal((2, 1)),
        kv.Bernoulli(6),
        seed=0,
    )
    assert evaluation.kl_by_dimension(model, x).shape == (13, 2, 1)
    assert evaluation.active_units(model, x).shape == (2, 1)
    assert evaluation.mutual_information(model, x, 3).shape == (13,)
    assert "z[1, 0]" in str(model.report(x, 30, verbose=False))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of NaN
def test_a_report_of_nan(make_model, x):
    model = make_model()
    for variable in model.posterior.trainable_variables:
        variable.assign(np.full(variable.shape, np.nan))
    assert "nan" in str(model.report(x, 10, verbose=False))
    with pytest.raises(ValueError, match="finite bounds"):
        kv.testing.assert_elbo_unchanged(model, x, "references.json")
