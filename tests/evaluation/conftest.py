"""The linear-Gaussian model of the estimators of log p(x)."""

from marginal_likelihood.conftest import linear_gaussian  # noqa: F401
