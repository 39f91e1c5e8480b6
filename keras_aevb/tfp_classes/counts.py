"""Count distributions that replace TFP classes unsuitable as likelihoods.

Each docstring says how the class differs from TFP's. `Family` prefers it to the TFP class of the
same name.
"""

import math
from typing import Any

from keras import ops
from keras.backend import standardize_dtype

from keras_aevb._backend import tfb, tfd
from keras_aevb.tfp_classes.compositions import parameter
from keras_aevb.tfp_classes.stirling import LARGEST, log_coefficient, remainder
from keras_aevb.typing import Tensor

# The exponential of this, times a count, is finite in float32.
LARGEST_LOG_RATE = 40.0
# Stirling's series is exact in float32 from this count on.
LARGE_COUNT = 10.0
# With the next term of the series, 1 / (1260 x⁵), it is exact in float64 from this count on.
LARGE_COUNT_OF_FLOAT64 = 100.0
# Replaces infinite logits, for example from overflow in a float16 layer.
LARGEST_LOGIT = 1e30


class Poisson(tfd.Poisson):
    r"""TFP's Poisson distribution, with a density that stays accurate for large counts.

    TFP computes $x \log λ - λ - \log x!$. For counts of a million the terms have size 10⁷, but
    their difference may be 10. With $r = \log λ - \log x$ and Stirling's series for $\log x!$,

    $$\log p(x) = -x (e^r - 1 - r) - ½ \log(2 π x) - \frac{1}{12 x} + \frac{1}{360 x^3}$$

    The log rate is clipped to [-40, 40], so that no density overflows.

    Reference: Loader (2000), Fast and Accurate Computation of Binomial Probabilities, sec. 4.

    Example:
        >>> import math
        >>> float(Poisson(log_rate=math.log(1e6)).log_prob(1e6))
        -7.827
    """

    def __init__(
        self, rate: Tensor | None = None, log_rate: Tensor | None = None, **kwargs: Any
    ) -> None:
        if log_rate is not None:
            log_rate = ops.convert_to_tensor(log_rate)
            log_rate = ops.clip(log_rate, -LARGEST_LOG_RATE, LARGEST_LOG_RATE)
        super().__init__(rate, log_rate, **kwargs)

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return super()._parameter_properties(dtype, num_classes)

    def _log_prob(self, x: Tensor) -> Tensor:
        x = ops.cast(x, self.dtype)
        is_double = standardize_dtype(self.dtype) == "float64"
        large = LARGE_COUNT_OF_FLOAT64 if is_double else LARGE_COUNT
        small = super()._log_prob(ops.minimum(x, large))
        n = ops.maximum(x, large)
        r = self.log_rate_parameter() - ops.log(n)
        stirling = 0.5 * ops.log(2 * math.pi * n) + remainder(n)
        if is_double:
            stirling += 1 / (1260 * n**5)
        return ops.where(x < large, small, -n * (ops.expm1(r) - r) - stirling)


class Geometric(tfd.Geometric):
    r"""TFP's geometric distribution, with a density that stays finite for all logits.

    $$\log p(x) = x \log σ(-l) + \log σ(l)$$

    TFP computes the logarithm of a probability that float32 rounds to 0 or 1.

    Example:
        >>> float(Geometric(logits=20.0).log_prob(1.0))
        -20.0
    """

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return super()._parameter_properties(dtype, num_classes)

    def _log_prob(self, x: Tensor) -> Tensor:
        x = ops.cast(x, self.dtype)
        logits = ops.clip(self.logits_parameter(), -LARGEST_LOGIT, LARGEST_LOGIT)
        return x * ops.log_sigmoid(-logits) + ops.log_sigmoid(logits)


class NegativeBinomial(tfd.NegativeBinomial):
    r"""TFP's negative binomial distribution, with a faster density, and any `total_count` above 0.

    $$\log p(x) = x \log σ(l) + r \log σ(-l) + \log\frac{Γ(r + x)}{Γ(r)\, x!}$$

    In float32 the last term comes from Stirling's series (`stirling.log_coefficient`), where TFP
    evaluates several branches of the beta function. Values of x and r above 10⁹ count as 10⁹.

    TFP's argument validation, which finds impossible counts, also rejects a `total_count` that is
    not an integer. Here it does not, unless `require_integer_total_count=True`.

    Example:
        >>> float(NegativeBinomial(0.5, 0.0, validate_args=True).prob(0.0))  # ½ to the ½
        0.7071
    """

    def __init__(
        self,
        total_count: Tensor,
        logits: Tensor | None = None,
        probs: Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs = {"require_integer_total_count": False, **kwargs}
        super().__init__(total_count, logits, probs, **kwargs)

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return super()._parameter_properties(dtype, num_classes)

    def _log_prob(self, x: Tensor) -> Tensor:
        if standardize_dtype(self.dtype) == "float64":
            return super()._log_prob(x)
        x = ops.minimum(ops.cast(x, self.dtype), LARGEST)
        r = ops.minimum(self.total_count, LARGEST)
        logits = ops.clip(self.logits_parameter(), -LARGEST_LOGIT, LARGEST_LOGIT)
        negative = logits < 0  # `low` and `high` share it: the gradient at 0 is right
        low, high = ops.where(negative, logits, 0.0), ops.where(negative, 0.0, logits)
        log_powers = x * low - r * high - (x + r) * ops.log1p(ops.exp(low - high))
        # The term is 0 at x = 0; its rounding error could exceed |log p| of a rare gene's zeros.
        return log_powers + ops.where(x > 0, log_coefficient(x, r), 0.0)


class ZeroInflatedNegativeBinomial(tfd.Inflated):
    r"""Zero-inflated negative binomial counts: with probability π a count is zero regardless of NB.

    $$p(x) = π [x = 0] + (1 - π) NB(x; r, l), \qquad \log\frac{π}{1 - π} = l_0$$

    TFP's class of the same name expects $l_0 / 2$, and its `copy` fails.

    Args:
        total_count: r > 0, a real number. The mean of NB is $r e^l$.
        logits: l.
        inflated_logits: $l_0$.

    Reference: Greene (1994), Accounting for Excess Zeros and Sample Selection in Poisson and
    Negative Binomial Regression Models, sec. 2.

    Example:
        >>> float(ZeroInflatedNegativeBinomial(1.0, 0.0, 0.0).prob(0.0))  # ½ + ½ ½
        0.75
    """

    def __init__(
        self,
        total_count: Tensor,
        logits: Tensor,
        inflated_logits: Tensor,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "ZeroInflatedNegativeBinomial",
    ) -> None:
        parameters = dict(locals())
        counts = NegativeBinomial(
            total_count, logits, validate_args=validate_args, allow_nan_stats=allow_nan_stats
        )
        super().__init__(
            counts,
            inflated_loc_logits=0.5 * ops.convert_to_tensor(inflated_logits),
            inflated_loc=0.0,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            name=name,
        )
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        counts = NegativeBinomial.parameter_properties(dtype, num_classes)
        return {
            **{name: counts[name] for name in ("total_count", "logits")},
            "inflated_logits": parameter(bijector=tfb.Identity),
        }
