"""Normal variables with an accurate density."""

import math

from keras import ops

from keras_aevb import _backend
from keras_aevb.typing import Tensor


class Normal(_backend.Normal):
    """TFP's normal distribution, with a density that stays accurate for small σ.

    TFP computes x/σ - μ/σ, a difference of large numbers; this class computes (x - μ)/σ.
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        residual = (x - self.loc) / self.scale
        return -0.5 * ops.square(residual) - ops.log(self.scale) - 0.5 * math.log(2 * math.pi)
