"""Types of the public API: mypy accepts a correct program, and reports the line of each mistake."""

import pathlib
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).parent.parent

RIGHT = """
from typing import Any

import keras
import numpy as np
from keras import ops

import keras_aevb as kv
from keras_aevb.typing import Decode, Distribution, Objective, Tensor, Terms


class Own(kv.Bound):
    def __call__(
        self, x: Tensor, q: Distribution, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        z = q.sample(self.num_samples, seed=seed)
        reconstruction = ops.mean(decode(z).log_prob(x), axis=0)
        kl = q.kl_divergence(prior)
        return {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}


class Centred(kv.VariationalModel):
    extra_terms = ("spread",)

    def objective(self, x: Tensor, training: bool) -> Objective:
        value, terms = self._bound_terms(x, self.encode(x, training), training)
        spread: Tensor = ops.sum(ops.square(self.encode(x).mean()), axis=1)
        return Objective(spread - value, {**terms, "spread": spread})


class OwnPosterior(kv.ConditionalDistribution):
    def __init__(self, event_shape: int, **kwargs: Any) -> None:
        super().__init__(event_shape, {"loc": None, "log_scale": None}, **kwargs)

    def distribution(self, loc: Tensor, log_scale: Tensor) -> Distribution:
        return kv.DiagonalNormal(self.event_shape).distribution(loc, log_scale)


x = np.zeros((10, 16), "float32")
parts = kv.networks.bernoulli_mlp(16, latent_dim=2)
model = kv.AEVB(**{**parts, "posterior": OwnPosterior(2)}, bound=Own(3), seed=0)
model.compile("adam")
model.fit(x, epochs=1, verbose=0)
model.fit(((x, None) for _ in range(3)), steps_per_epoch=3)
y = kv.Condition(num_classes=3, name="digit")
conditional = kv.AEVB(
    encoder=kv.networks.Joined(keras.layers.Dense(8, "tanh")),
    decoder=kv.networks.Joined(keras.layers.Dense(8, "tanh")),
    posterior=kv.DiagonalNormal(2),
    likelihood=kv.Bernoulli((4, 4)),
    condition=y,
    name="conditional",
)
conditional.compile("adam")
conditional.fit({"x": x.reshape(10, 4, 4), "condition": [0] * 10}, validation_split=0.1)
mean = model.elbo(x.tolist(), num_samples=2, condition=None).mean()
log_p, error = model.log_likelihood(x, method="annealed", return_standard_error=True)
print(kv.evaluation.report(model, x, verbose=False).elbo.standard_error / 2)
kv.plots.samples(model, 4, image_shape=(4, 4)).set_title("samples")
beta = kv.ELBO(beta=0.5, kl="sampled")
"""

# Lines with a comment have the error code that mypy must report.
WRONG = """
from typing import Any

import keras_aevb as kv
from keras_aevb.typing import Decode, Distribution, Objective, Tensor, Terms


class Own(kv.Bound):
    def __call__(
        self, x: Tensor, q: Distribution, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        z = q.sample(seed=seed)
        print(q.logprob(z))  # attr-defined
        return decode(z).log_prob(x)  # return-value


class Scalar(kv.Bound):
    def __call__(self, *args: Any, **kwargs: Any) -> float:  # override
        return 0.0


class Centred(kv.VariationalModel):
    def objective(self, x: Tensor, training: bool) -> Objective:
        return Objective({"loss": x}, {})  # arg-type


class IntegerPrior(kv.Prior):
    def distribution(self) -> int:  # override
        return 0


kv.networks.bernoulli_mlp(16, latent_dim="2")  # arg-type
kv.DiagonalNormal("two")  # arg-type
kv.DiagonalNormal((2.5,))  # arg-type
kv.ELBO(kl="analytical")  # arg-type
kv.ELBO(beta="warm")  # arg-type
kv.ImportanceWeightedBound()  # call-arg
kv.ELBO(num_sample=3)  # call-arg
kv.HierarchicalELBO(2, bet=0.5)  # call-arg
kv.AEVB(**kv.networks.bernoulli_mlp(16, 2), latent_dim=2)  # call-arg
kv.EpochMinibatches("images.npy", 32)  # arg-type
model = kv.AEVB(**kv.networks.bernoulli_mlp(16, 2), seed="0")  # arg-type
kv.AEVB(3, posterior=kv.DiagonalNormal(2))  # call-arg
model.elbo("images.npy")  # arg-type
model.elbo([0.0], samples=3)  # call-arg
model.fit([0.0])  # list-item
model.fit(model.elbo([0.0]), epochs="ten")  # arg-type
model.log_likelihood([0.0], method="anealed")  # arg-type
name: str = model.elbo([0.0])  # assignment
kv.evaluation.report(model, [0.0]).elbow  # attr-defined
kv.gradient_variance(model, [0.0]).phi.total.mean()  # attr-defined
"""


def errors(tmp_path, source):
    """Pairs of a line and its error code, and the whole output of mypy."""
    path = tmp_path / "user.py"
    path.write_text(source, "utf-8")
    cache = ROOT / "build" / "mypy"
    command = [sys.executable, "-m", "mypy", "--config-file=", f"--cache-dir={cache}", str(path)]
    command += ["--disallow-untyped-defs", "--ignore-missing-imports", "--follow-imports=silent"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    lines = [line for line in run.stdout.splitlines() if ": error: " in line]
    found = [(int(line.split(":")[1]), line.rpartition("[")[2].rstrip("]")) for line in lines]
    return found, run.stdout


pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="types do not depend on the backend"
)


def test_a_correct_program_has_no_error(tmp_path):
    found, output = errors(tmp_path, RIGHT)
    assert not found, output


def test_every_mistake_is_reported_with_its_line(tmp_path):
    expected = [
        (i, line.rpartition("  # ")[2])
        for i, line in enumerate(WRONG.splitlines(), 1)
        if "  # " in line
    ]
    found, output = errors(tmp_path, WRONG)
    assert found == expected, output
