"""Models that can be exported to files that run without Keras."""

from os import PathLike
from typing import Any

import keras
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb._backend import tfp
from keras_aevb.models import serving
from keras_aevb.models.batched_model import BatchedModel
from keras_aevb.typing import Tensor


class ExportableModel(BatchedModel):
    """A model with `export`; subclasses implement `decode` and `sample_joint`."""

    def endpoints(self) -> dict[str, serving.Endpoint]:
        """The endpoints of `export`: a dict from names to `Endpoint`s; the first is the default."""
        z = serving.batch_of(self.prior.event_shape, self.prior.density_dtype)
        n = {"n": serving.scalar()} if self.condition is None else {}
        return {
            "decode": serving.Endpoint(self._decoded, {"z": z, **self._condition_spec()}),
            "sample": serving.Endpoint(
                self._sampled, {**n, "seed": serving.scalar(), **self._condition_spec()}
            ),
        }

    def _condition_spec(self) -> dict[str, keras.InputSpec]:
        if self.condition is None:
            return {}
        return {"condition": serving.batch_of(self.condition.shape, self.condition.data_dtype)}

    def _decoded(self, z: Tensor, condition: Tensor | None = None) -> Any:
        def decoded(seed: Any, z: Tensor) -> Tensor:
            return self._point_estimate("likelihood", self.decode(z), seed)

        return self.over_examples(decoded, self._estimate_seed(), z, condition)

    def _sampled(self, seed: Any, n: Any = None, condition: Any = None) -> Any:
        """x ~ p(x), one for each row of the array n; or x ~ p(x|y), one for each condition."""
        rows = n if condition is None else condition
        return self.over_examples(self._draws, _backend.seed_of(seed), rows, condition)

    def _draws(self, seed: Any, rows: Tensor) -> Tensor:
        return self.sample_joint(ops.shape(rows)[0], *tfp.random.split_seed(seed))[0]

    def export(
        self,
        filepath: str | PathLike[str],
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports the model to a file that runs without Keras, for batches of any size.

        A SavedModel has every endpoint of `endpoints()`: `decode(z)`, the mean of p(x|z);
        `sample(n, seed)`, samples of p(x); and, with an encoder, `serve(x)`, the reconstruction,
        `encode(x)`, a dict of moments and parameters of q(z|x), and `elbo(x, seed)`. With a
        condition, each endpoint takes `condition` as the last argument, and `sample` takes no n.
        If a distribution has no mean, `point_estimates` names the replacement.

        The other formats store one endpoint. Their runtimes have no seeded random numbers, so only
        a SavedModel has `sample` and `elbo`.

        Args:
            filepath: path of the file or folder.
            format: `"tf_saved_model"`, which needs TensorFlow on JAX too; `"onnx"`, `"litert"`,
                or another format of Keras.
            verbose: whether to print a summary.
            input_signature: as for Keras. If given, Keras exports only the call of the model.
            **kwargs: `endpoint`, the name of the endpoint in the other formats; and arguments of
                `keras.Model.export`. With any of them, a SavedModel too has one endpoint.

        Raises:
            ValueError: if there is no such endpoint, or Keras has no such format on the backend.
        """
        if input_signature is not None:
            super().export(filepath, format, verbose, input_signature, **kwargs)
            return
        endpoints = self.endpoints()
        if format == "tf_saved_model" and not kwargs:
            serving.export_saved_model(self, filepath, endpoints, verbose is not False)
            return
        without_noise = [name for name, e in endpoints.items() if "seed" not in e.inputs]
        name = arguments.choice("endpoint", kwargs.pop("endpoint", without_noise[0]), without_noise)
        serving.export_endpoint(self, endpoints[name], filepath, format, verbose, **kwargs)
