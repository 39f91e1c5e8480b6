"""Subclasses of TensorFlow Probability's classes, imported on first use.

A class statement needs its base class, so these modules import TFP, which takes most of a second.
All other modules use TFP only inside functions, and these classes as `tfp_classes.Normal`, so that
`import keras_aevb` does not import TFP.
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
    globals()[name] = value  # the next access does not call this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
