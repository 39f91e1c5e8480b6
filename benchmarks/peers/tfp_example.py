"""TensorFlow Probability's example of a VAE: a `tf_keras` model of probabilistic layers, and `fit`.

Unlike the example, it uses the exact KL divergence. `IndependentNormal` has one dense layer for
both heads; the scale is the softplus of the second.
"""

import tf_keras as tfk
from tensorflow_probability import distributions as tfd
from tensorflow_probability import layers as tfpl


def build(work):
    def dense(units, activation=None):
        return tfk.layers.Dense(
            units,
            activation,
            kernel_initializer=tfk.initializers.RandomNormal(stddev=0.01),
            kernel_regularizer=tfk.regularizers.L2(0.5 / work.examples),
        )

    prior = tfd.Independent(tfd.Normal([0.0] * work.latent_dim, 1), 1)
    encoder = tfk.Sequential(
        [
            tfk.layers.InputLayer([work.x_dim]),
            dense(work.hidden_units, "tanh"),
            dense(tfpl.IndependentNormal.params_size(work.latent_dim)),
            tfpl.IndependentNormal(
                work.latent_dim,
                activity_regularizer=tfpl.KLDivergenceRegularizer(prior, use_exact_kl=True),
            ),
        ]
    )
    decoder = tfk.Sequential(
        [
            tfk.layers.InputLayer([work.latent_dim]),
            dense(work.hidden_units, "tanh"),
            dense(tfpl.IndependentBernoulli.params_size(work.x_dim)),
            tfpl.IndependentBernoulli(work.x_dim, tfd.Bernoulli.logits),
        ]
    )
    return tfk.Model(encoder.inputs, decoder(encoder.outputs[0]))


def epochs(work):
    tfk.utils.set_random_seed(0)
    vae = build(work)
    optimizer = tfk.optimizers.Adagrad(0.01, initial_accumulator_value=0.0, epsilon=1e-8)
    vae.compile(optimizer, loss=lambda x, distribution: -distribution.log_prob(x))
    x = work.data()
    first = x[: work.batch_size]
    vae.fit(first, first, batch_size=work.batch_size, verbose=0)
    while True:
        yield
        vae.fit(x, x, batch_size=work.batch_size, verbose=0)
