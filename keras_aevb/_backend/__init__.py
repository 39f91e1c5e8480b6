"""Selects the code of the Keras backend.

Both backends export the same names:

- `tfp`: TensorFlow Probability for the arrays of this backend; `tfd` its distributions, `tfb` its
  bijectors, and `linalg` its linear operators. They are loaded when first used (`lazy_module`).
- `mean`, `variance`, `tanh`: those of `keras.ops`, but in the precision of their
  arguments. On JAX, Keras computes them in float32, also for float64.
- `Bernoulli`, `Normal`: TFP's distributions, with the fastest sampling on this backend. The first
  use loads TFP.
- `next_seed(generator)`: the next seed of a `keras.random.SeedGenerator`, in TFP's format.
- `fixed_seed(seed, index)`: seed number `index` of the stream derived from an integer.
- `step(method)`: turns a stateful `method(self, data)` into the `train_step` or `test_step` that
  this backend's trainer calls.
- `mean_metric(name, dtype)`: `keras.metrics.Mean`, but precise over millions of batches too.
- `minimize(model, loss)`: one optimizer step on the scalar that `loss()` returns.
- `gradients(function, variables, others=())`: derivatives of the scalar `function()`, zero where
  it does not depend on a variable. In a compiled program, `others` must be all other variables that
  `function` reads.
- `with_derivatives(function, *derivatives)`: an elementwise function of tensors of one shape, with
  given partial derivatives.
- `compiled(model, function)`: `function`, which may read the model's variables, as one program.
- `full_precision()`: on JAX, a context in which accelerators multiply float32 matrices in full
  precision. By default they may round the factors, to ten bits in TF32. `compiled` programs use it.
  On TensorFlow it does nothing.
- `Program(models, kind)`: many training or test steps, of one model or several, in one call.
- `PredictProgram(model)`: a model's outputs for a batch.
- `representable(array)`: an array in a type that the device supports. On JAX, native byte order,
  and float32, which rounds, for integers beyond JAX's integer type (by default 32 bits).
- `device_bytes()`: memory of the accelerator, `None` for a CPU or if unknown.
- `has_replicas(model)`: whether a TensorFlow strategy runs the model's steps on several devices.
- `is_first_process(model)`: whether this is the only process, or the one that writes files.
- `seed_of(tensor)`, `fold_in(seed, i)`: seeds derived from integer tensors.
- `over_examples(function, seed, *arrays)`: `function(seed, *arrays)` for a batch whose size may be
  symbolic, which TFP does not support on JAX.
- `num_replicas()`, `sum_over_replicas(value)`: for a step under a TensorFlow strategy; else 1 and
  the value itself.
"""

# ruff: noqa: F403, F405 - the modules' `__all__` are the names above

from typing import Any

import keras

if keras.backend.backend() == "tensorflow":
    from keras_aevb._backend.tensorflow import *
    from keras_aevb._backend.tensorflow_program import *
elif keras.backend.backend() == "jax":
    from keras_aevb._backend.jax import *
    from keras_aevb._backend.jax_program import *  # type: ignore[assignment]
else:
    raise ImportError(
        "keras_aevb runs on the Keras backends 'tensorflow' and 'jax'. "
        f"Received: {keras.backend.backend()!r}. "
        "Set the environment variable KERAS_BACKEND before keras is imported."
    )


def __getattr__(name: str) -> Any:
    if name not in ("Bernoulli", "Normal"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if keras.backend.backend() == "jax":
        return getattr(tfd, name)
    from keras_aevb._backend import tensorflow_noise

    return getattr(tensorflow_noise, name)
