"""Subclasses of TensorFlow Probability's classes, loaded when first used.

A class statement needs its base class, so these modules load TFP, which takes most of a second. All
other modules use TFP inside functions alone, and these classes as `tfp_classes.Normal`: then
`import keras_aevb` does not load it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_aevb.tfp_classes.bernoulli import BernoulliFromLogits
    from keras_aevb.tfp_classes.discretized_logistic import DiscretizedLogistic
    from keras_aevb.tfp_classes.hamiltonian_monte_carlo import HamiltonianMonteCarlo
    from keras_aevb.tfp_classes.hierarchy import Hierarchy
    from keras_aevb.tfp_classes.normal import Normal
    from keras_aevb.tfp_classes.observed_elements import ObservedElements
    from keras_aevb.tfp_classes.simplex import Simplex

MODULES = {
    "BernoulliFromLogits": "bernoulli",
    "DiscretizedLogistic": "discretized_logistic",
    "HamiltonianMonteCarlo": "hamiltonian_monte_carlo",
    "Hierarchy": "hierarchy",
    "Normal": "normal",
    "ObservedElements": "observed_elements",
    "Simplex": "simplex",
}

__all__ = [
    "BernoulliFromLogits",
    "DiscretizedLogistic",
    "HamiltonianMonteCarlo",
    "Hierarchy",
    "Normal",
    "ObservedElements",
    "Simplex",
]


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
