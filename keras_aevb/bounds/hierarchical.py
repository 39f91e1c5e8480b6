"""The bound of a model with several levels of latent variables."""

from typing import Any, Unpack

import keras
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb.bounds.elbo import ELBO, ELBOArguments, has_closed_form
from keras_aevb.bounds.gradient import zero_with_gradient
from keras_aevb.typing import Config, Tensor, Terms


@keras.saving.register_keras_serializable(package="keras_aevb")
class HierarchicalELBO(ELBO):
    r"""The evidence lower bound, with one divergence for each level of latent variables.

    $$\tilde{L} = \frac1L \sum_l \log p(x|z_l) - \sum_i KL_i$$

    where the divergence of level i is the mean over the samples of

    $$\log q(z_i|\cdot) - \log p(z_i|z_{i+1})$$

    or, for a top-down q, the closed form of $KL(q(z_i|z_{i+1}, x) \,\|\, p(z_i|z_{i+1}))$ if all
    levels have one and `kl` and `gradient` do not ask for samples. Terms: those of `ELBO` and
    `kl_1`, `kl_2`, …, which sum to `kl`. In a bottom-up q, level i is conditioned on a different
    level than in p. A single `kl_i` may then be negative, but the sum is the divergence.

    Args:
        num_levels: number of levels of `HierarchicalPosterior` and `HierarchicalPrior`.
        free_bits: as for `ELBO`, for each level.
        **kwargs: arguments of `ELBO`.

    Raises:
        ValueError: as for `ELBO`, or if `num_levels` is not an integer of at least 2.

    Reference: Sønderby et al. (2016), arXiv:1602.02282, eqs. 4 and 5; Kingma et al. (2016), App. C,
    for free bits of groups.

    Example:
        >>> import keras_aevb as kv
        >>> HierarchicalELBO(2).terms
        ('elbo', 'reconstruction', 'kl', 'kl_1', 'kl_2')
    """

    def __init__(
        self, num_levels: int, num_samples: int = 1, **kwargs: Unpack[ELBOArguments]
    ) -> None:
        super().__init__(num_samples, **kwargs)
        self.num_levels = arguments.integer("num_levels", num_levels, at_least=2)

    @property
    def terms(self) -> tuple[str, ...]:  # type: ignore[override]  # computed
        return ELBO.terms + tuple(f"kl_{i}" for i in range(1, self.num_levels + 1))

    def _divergences(self, q: Any, prior: Any, z: Tensor) -> Terms:
        by_level = [_backend.mean(values, axis=0) for values in self._by_level(q, prior, z)]
        names = self.terms[-self.num_levels :]
        return {"kl": sum(by_level), **dict(zip(names, by_level))}

    def _by_group(self, q: Any, prior: Any, z: Tensor, divergences: Terms) -> Tensor:
        return ops.stack([divergences[name] for name in self.terms[-self.num_levels :]], axis=-1)

    def _by_level(self, q: Any, prior: Any, z: Tensor) -> list[Tensor]:
        """List with a tensor of shape `[L, B]` for each level."""
        if self._is_analytic(q, prior):
            zeros = ops.zeros_like(z[..., 0])  # the top level has one divergence for all samples
            pairs = zip(q.levels(z), prior.levels(z))
            return [zeros + q_i.kl_divergence(p_i) for q_i, p_i in pairs]
        log_q = q.log_probs(z)
        if self.gradient == "stl":
            scores = q.log_probs(ops.stop_gradient(z))
            log_q = [log_q_i - zero_with_gradient(s) for log_q_i, s in zip(log_q, scores)]
        return [log_q_i - log_p_i for log_q_i, log_p_i in zip(log_q, prior.log_probs(z))]

    def _has_closed_form(self, q: Any, prior: Any) -> bool:
        pairs = zip(q.example_levels(), prior.example_levels())
        return q.top_down and all(has_closed_form(*pair) for pair in pairs)

    def _check_groups(self, q: Any, prior: Any) -> None:
        """Nothing to check: free bits apply to levels, which may have dependent dimensions."""

    def check(self, q: Any, prior: Any) -> None:
        for name, distribution in {"posterior": q, "prior": prior}.items():
            if len(getattr(distribution, "sizes", ())) != self.num_levels:
                raise ValueError(
                    f"Expected a {name} with {self.num_levels} levels, such as "
                    f"Hierarchical{name.capitalize()}. Received: {distribution}"
                )
        if q.sizes != prior.sizes:
            raise ValueError(
                "Expected levels of posterior and prior to have the same sizes. Received: "
                f"{q.sizes} and {prior.sizes}"
            )
        super().check(q, prior)

    def get_config(self) -> Config:
        return {**super().get_config(), "num_levels": self.num_levels}
