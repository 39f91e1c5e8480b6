"""Independent elements, some of which are missing."""

from typing import Any

from keras import ops

from keras_aevb._backend import tfd
from keras_aevb._backend.kinds import is_kind
from keras_aevb.typing import Tensor


class ObservedElements(tfd.Independent):
    """Independent elements; the density ignores NaN."""

    def __init__(self, base: Any, fill: Any) -> None:
        elements = getattr(base, "distribution", base)
        if not is_kind(base, tfd.Independent) or len(elements.event_shape):
            raise ValueError(f"Expected a likelihood with independent elements. Received: {base}")
        super().__init__(elements, len(base.event_shape))
        self.fill = fill

    def _log_prob(self, x: Tensor, **kwargs: Any) -> Tensor:
        x = ops.convert_to_tensor(x)
        missing = ops.isnan(x)
        values = ops.where(missing, ops.convert_to_tensor(self.fill, x.dtype), x)
        log_probs = self.distribution.log_prob(values)
        axes = tuple(range(-len(self.event_shape), 0))
        return ops.sum(ops.where(missing, ops.zeros_like(log_probs), log_probs), axis=axes)
