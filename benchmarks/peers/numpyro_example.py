"""NumPyro's example of a VAE: stax networks, `SVI`, and an epoch as a jitted `fori_loop`.

The model is the paper's. Unlike the example, it uses the analytic KL divergence
(`TraceMeanField_ELBO`) and Bernoulli logits. Sums over a batch are not divided by its size, but
Adagrad is invariant to this factor.
"""

import jax
import numpy as np
import numpyro
from jax import lax, random
from jax import numpy as jnp
from jax.example_libraries import stax
from numpyro import distributions as dist
from numpyro import optim
from numpyro.infer import SVI, TraceMeanField_ELBO


def dense(units):
    return stax.Dense(units, W_init=stax.randn())


def encoder(work):
    log_variance_to_scale = stax.elementwise(lambda v: jnp.exp(0.5 * v))
    return stax.serial(
        dense(work.hidden_units),
        stax.Tanh,
        stax.FanOut(2),
        stax.parallel(
            dense(work.latent_dim), stax.serial(dense(work.latent_dim), log_variance_to_scale)
        ),
    )


def decoder(work):
    return stax.serial(dense(work.hidden_units), stax.Tanh, dense(work.x_dim))


def model(batch, work):
    decode = numpyro.module("decoder", decoder(work), (work.batch_size, work.latent_dim))
    parameters = jax.tree.leaves((decode.args, numpyro.param("encoder$params")))
    squares = sum(jnp.sum(w**2) for w in parameters if w.ndim == 2)
    numpyro.factor("weight prior", -0.5 * work.batch_size / work.examples * squares)
    with numpyro.plate("batch", work.batch_size):
        z = numpyro.sample("z", dist.Normal(0, 1).expand([work.latent_dim]).to_event(1))
        pixels = dist.Bernoulli(logits=decode(z), validate_args=False)  # they need not be binary
        numpyro.sample("x", pixels.to_event(1), obs=batch)


def guide(batch, work):
    encode = numpyro.module("encoder", encoder(work), (work.batch_size, work.x_dim))
    mean, scale = encode(batch)
    with numpyro.plate("batch", work.batch_size):
        numpyro.sample("z", dist.Normal(mean, scale).to_event(1))


def epochs(work):
    svi = SVI(model, guide, optim.Adagrad(0.01, momentum=0.0), TraceMeanField_ELBO(), work=work)

    @jax.jit
    def train(state, x, order, batches):
        def step(i, value):
            loss_sum, state = value
            rows = lax.dynamic_slice_in_dim(order, i * work.batch_size, work.batch_size)
            state, loss = svi.update(state, x[rows])
            return loss_sum + loss, state

        return lax.fori_loop(0, batches, step, (0.0, state))

    x = jnp.asarray(work.data())
    rng = np.random.default_rng(0)
    state = svi.init(random.key(0), x[: work.batch_size])
    loss, state = train(state, x, rng.permutation(work.examples), 1)
    while True:
        jax.block_until_ready((loss, state))
        yield
        order = rng.permutation(work.examples)
        loss, state = train(state, x, order, work.examples // work.batch_size)
