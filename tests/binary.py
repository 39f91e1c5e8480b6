"""Binary latent variables."""

from keras import ops

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions


class BinaryPosterior(kv.ConditionalDistribution):
    """Bernoulli latents."""

    def __init__(self, event_shape, logits=None, **kwargs):
        super().__init__(event_shape, {"logits": logits}, **kwargs)

    def distribution(self, logits):
        return tfd.Independent(tfd.Bernoulli(logits, dtype="float32"), len(self.event_shape))


class BinaryPrior(kv.Prior):
    """Fair coins."""

    def distribution(self):
        logits = ops.zeros(self.event_shape)
        return tfd.Independent(tfd.Bernoulli(logits, dtype="float32"), len(self.event_shape))
