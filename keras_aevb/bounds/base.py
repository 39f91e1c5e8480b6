"""What the estimators of a bound share."""

import numbers


class Bound:
    """An estimator of a lower bound on log p(x) from L samples of z.

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.

    Raises:
        ValueError: if `num_samples` is not a positive integer.
    """

    # The bound's name in the logs, and the names of all that `__call__` returns.
    name: str
    terms: tuple[str, ...]

    def __init__(self, num_samples=1):
        if not isinstance(num_samples, numbers.Integral) or num_samples < 1:
            raise ValueError(
                f"Expected `num_samples` to be a positive integer. Received: {num_samples}"
            )
        self.num_samples = int(num_samples)

    def __call__(self, x, q, prior, decode, seed):
        """The bound and its terms for each example.

        Args:
            x: data of shape `[B, *event_shape]`.
            q: TFP distribution q(z|x) of batch shape `[B]`.
            prior: TFP distribution p(z) of batch shape `[]`.
            decode: function from z of shape `[L, B, ...]` to the TFP distribution p(x|z).
            seed: TFP seed of the samples.

        Returns:
            Dict from each of `terms` to a tensor of shape `[B]`, in nats.
        """
        raise NotImplementedError

    def check(self, q, prior):
        """Raises a `ValueError` if the bound cannot be computed for q(z|x) and p(z)."""

    def check_gradient(self, q):
        """Raises a `ValueError` if the bound's gradient does not train q(z|x)."""

    def get_config(self):
        return {"num_samples": self.num_samples}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
