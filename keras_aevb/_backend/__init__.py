"""The one place that asks which Keras backend runs.

Both flavours export the same names:

- `tfp`: TensorFlow Probability for the arrays of this backend.
- `Bernoulli`, `Normal`: TFP's distributions, with the noise that is fastest on this backend.
- `next_seed(generator)`: the next seed of a `keras.random.SeedGenerator`, as TFP wants it.
- `fixed_seed(seed, index)`: number `index` of the stream of seeds that an integer determines.
- `step(method)`: turns a stateful `method(self, data)` into the `train_step` or `test_step` that
  this backend's trainer calls.
- `minimize(model, loss)`: one optimizer step on the scalar that `loss()` returns.
- `gradients(function, variables, others=())`: derivatives of the scalar `function()`, zero where
  it does not depend on a variable. In a compiled program, `others` are all variables it reads.
- `compiled(model, function)`: `function`, which may read the model's variables, as one program.
- `full_precision()`: a context in which matrix products of float32 keep its digits on accelerators
  too, which else may round the factors to ten bits (TF32). `compiled` programs are made in it.
- `Model`: `keras.Model`, with the `fit` that is fastest on this backend.
- `ReplicaTrainer(models)`: trains several models side by side.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_aevb._backend.tensorflow import (
        compiled,
        fixed_seed,
        full_precision,
        gradients,
        minimize,
        next_seed,
        step,
        tfp,
    )
    from keras_aevb._backend.tensorflow_noise import Bernoulli, Normal
    from keras_aevb._backend.tensorflow_training import Model, ReplicaTrainer
elif keras.backend.backend() == "jax":
    from keras_aevb._backend.jax import (
        Bernoulli,
        Normal,
        compiled,
        fixed_seed,
        full_precision,
        gradients,
        minimize,
        next_seed,
        step,
        tfp,
    )
    from keras_aevb._backend.jax_training import (  # type: ignore[assignment]
        Model,
        ReplicaTrainer,
    )
else:
    raise ImportError(
        "keras_aevb runs on the Keras backends 'tensorflow' and 'jax'. "
        f"Received: {keras.backend.backend()!r}. "
        "Set the environment variable KERAS_BACKEND before keras is imported."
    )

__all__ = [
    "Bernoulli",
    "Model",
    "Normal",
    "ReplicaTrainer",
    "compiled",
    "fixed_seed",
    "full_precision",
    "gradients",
    "minimize",
    "next_seed",
    "step",
    "tfp",
]
