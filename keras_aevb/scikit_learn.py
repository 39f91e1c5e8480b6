"""A variational model as a scikit-learn transformer. Only this module imports scikit-learn.

```python
from keras_aevb.scikit_learn import EncodingTransformer
```
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import keras
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    check_random_state,
    validate_data,
)

from keras_aevb import arguments, networks
from keras_aevb.models import AEVB, VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.pictures import decoded
from keras_aevb.typing import ArrayLike, Config, Seed, Verbose

MLPS: Mapping[str, Callable[..., Config]] = {
    "bernoulli": networks.bernoulli_mlp,
    "normal": networks.gaussian_mlp,
}


def build_mlp(
    x_dim: int,
    latent_dim: int = 2,
    hidden_units: int = 100,
    likelihood: Literal["bernoulli", "normal"] = "bernoulli",
    seed: Seed = None,
) -> AEVB:
    """Builds the paper's MLP with scaled initial weights, compiled with Adam.

    Args:
        x_dim: number of features.
        latent_dim, hidden_units: numbers of latent variables, and of tanh units in each network.
        likelihood: `"bernoulli"`, for features in [0, 1], or `"normal"`.
        seed: integer that fixes weights and noise.

    Returns:
        A compiled `AEVB`.

    Example:
        >>> from keras_aevb.scikit_learn import build_mlp
        >>> model = build_mlp(16, latent_dim=3, seed=0)
        >>> history = model.fit(np.zeros((20, 16)), verbose=0)
        >>> model.elbo(np.zeros((4, 16))).shape
        (4,)
    """
    mlp = MLPS[arguments.choice("likelihood", likelihood, list(MLPS))]
    stddev = 1 / np.sqrt(max(x_dim, hidden_units))
    model = AEVB(**mlp(x_dim, latent_dim, hidden_units, stddev=stddev, seed=seed), seed=seed)
    model.compile(keras.optimizers.Adam())
    return model


class EncodingTransformer(TransformerMixin, BaseEstimator):
    """Encodes rows as the means of q(z|x), or as its moments and parameters.

    NaN in X marks a missing value if the model's likelihood is `Observed`, else it is an error.

    Args:
        build: function from the number of features, `seed` and `build_arguments` to a compiled
            `VariationalModel` without a condition. Default: `build_mlp`.
        build_arguments: dict of further arguments of `build`. A grid search takes a list of dicts.
        output: `"mean"`, the means of q(z|x), or `"parameters"`, the output of the model's
            `posterior_parameters`.
        epochs, batch_size, verbose: as for the model's `fit`.
        random_state: integer or `numpy.random.RandomState` that fixes weights and noise. Default:
            NumPy's global random state.

    Attributes:
        model_: the model, after `fit`.

    Example:
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.linear_model import LogisticRegression
        >>> x, y = np.random.default_rng(0).random((20, 8)), np.arange(20) % 2
        >>> encoder = EncodingTransformer(build_arguments={"latent_dim": 3}, random_state=0)
        >>> make_pipeline(encoder, LogisticRegression()).fit(x, y).predict(x).shape
        (20,)
        >>> encoder.fit(x).get_feature_names_out().tolist()
        ['mean_0', 'mean_1', 'mean_2']
    """

    def __init__(
        self,
        build: Callable[..., VariationalModel] = build_mlp,
        build_arguments: Config | None = None,
        output: Literal["mean", "parameters"] = "mean",
        epochs: int = 10,
        batch_size: int = 100,
        random_state: Any = None,
        verbose: Verbose = 0,
    ) -> None:
        self.build = build
        self.build_arguments = build_arguments
        self.output = output
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = [keras.config.floatx()]
        return tags

    def fit(self, X: ArrayLike, y: Any = None) -> Self:  # noqa: N803  scikit-learn's name
        """Builds a model and trains it on the rows of X; y is ignored."""
        self._check_output()
        rows = self._rows(X)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        model = self.build(rows.shape[1], seed=seed, **(self.build_arguments or {}))
        check_type("build(…)", model, VariationalModel)
        model.fit(
            self._as_events(rows, model),
            epochs=self.epochs,
            batch_size=self.batch_size,
            verbose=self.verbose,
        )
        self.model_ = model
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """The encodings, an array of shape `[N, columns]`."""
        x = self._model_input(X)
        parameters = self._chosen(self.model_.posterior_parameters(x, verbose=self.verbose))
        return np.concatenate([p.reshape(len(p), -1) for p in parameters.values()], axis=1)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Decodes the means in X: returns the means of p(x|z), of shape `[N, features]`.

        If p(x|z) has no mean, returns its mode or a sample, as in the model's `point_estimates`.

        Raises:
            ValueError: if X has another number of columns than the output of `transform`, or q(z|x)
                has no mean in the support of p(z).
        """
        columns = self.get_feature_names_out()
        if self.model_.point_estimates["posterior"] != "mean":
            raise ValueError(
                "Expected a posterior with a mean in the support of p(z), as the mean is decoded. "
                f"Received: {self.model_.posterior.__class__.__name__}"
            )
        encoded = check_array(X)
        if encoded.shape[1] != len(columns):
            raise ValueError(
                f"Expected the {len(columns)} columns {', '.join(columns)} of `transform`. "
                f"Received: {encoded.shape[1]} columns"
            )
        z_shape = self.model_.prior.event_shape
        z = encoded[:, : int(np.prod(z_shape))].reshape(-1, *z_shape)
        return decoded(self.model_, z, seed=0).reshape(len(z), -1)

    def score(self, X: ArrayLike, y: Any = None) -> float:  # noqa: N803
        """The mean of the bound on log p(x) over the rows of X, in nats."""
        bounds = self.model_.elbo(self._model_input(X), seed=0, verbose=self.verbose)
        return float(bounds.mean(dtype="float64"))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """`mean_0`, `mean_1`, …, and likewise for other parameters."""
        check_is_fitted(self)
        columns = self._chosen(self.model_.example_parameters())
        sizes = {name: int(np.prod(values.shape)) for name, values in columns.items()}
        names = [f"{name}_{i}" for name, size in sizes.items() for i in range(size)]
        return np.array(names, dtype=object)

    def _model_input(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        check_is_fitted(self)
        return self._as_events(self._rows(X, reset=False), self.model_)

    def _rows(self, X: ArrayLike, reset: bool = True) -> np.ndarray:  # noqa: N803
        # The model refuses NaN unless its likelihood is `Observed`, and converts to its precision.
        dtypes = ["float64", "float32"]
        return validate_data(self, X, dtype=dtypes, ensure_all_finite="allow-nan", reset=reset)

    @staticmethod
    def _as_events(rows: np.ndarray, model: VariationalModel) -> np.ndarray:
        return rows.reshape(len(rows), *model.likelihood.event_shape)

    def _check_output(self) -> None:
        arguments.choice("output", self.output, ("mean", "parameters"))

    def _chosen(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters of q(z|x) that `output` names."""
        self._check_output()  # `set_params` may have changed it
        if self.output == "mean" and "mean" not in parameters:
            raise ValueError(
                "Expected a posterior with a mean, or `output='parameters'`. Received: "
                f"{self.model_.posterior.__class__.__name__} with {sorted(parameters)}"
            )
        return {"mean": parameters["mean"]} if self.output == "mean" else parameters
