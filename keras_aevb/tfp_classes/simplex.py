"""Unconstrained coordinates of the probability simplex."""

from typing import Any

from keras import ops

from keras_aevb._backend import tfb
from keras_aevb.typing import Tensor


class Simplex(tfb.Bijector):
    r"""The bijector $z = \operatorname{softmax}(u_1, …, u_n, 0)$ from ℝⁿ onto the simplex in ℝⁿ⁺¹.

    $$u_i = \log z_i - \log z_{n+1}, \qquad
    \log \left|\det \frac{∂(z_1, …, z_n)}{∂u}\right| = \sum_{i=1}^{n+1} \log z_i$$

    It replaces TFP's `SoftmaxCentered`: in TFP 0.25 that class uses an argument of `np.reshape`
    which NumPy 2.4 removed, https://github.com/numpy/numpy/pull/29994.

    Example:
        >>> ops.convert_to_numpy(Simplex().forward(ops.zeros(3))).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    def __init__(self, name: str = "simplex") -> None:
        super().__init__(forward_min_event_ndims=1, parameters={"name": name}, name=name)

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {}

    def _forward_event_shape(self, shape: Any) -> Any:
        return shape[:-1].concatenate(shape[-1] + 1)

    def _inverse_event_shape(self, shape: Any) -> Any:
        return shape[:-1].concatenate(shape[-1] - 1)

    def _forward(self, u: Tensor) -> Tensor:
        return ops.softmax(with_zero(u), axis=-1)

    def _inverse(self, z: Tensor) -> Tensor:
        log_z = ops.log(z)
        return log_z[..., :-1] - log_z[..., -1:]

    def _forward_log_det_jacobian(self, u: Tensor) -> Tensor:
        return ops.sum(ops.log_softmax(with_zero(u), axis=-1), axis=-1)


def with_zero(u: Tensor) -> Tensor:
    return ops.concatenate([u, ops.zeros_like(u[..., :1])], axis=-1)
