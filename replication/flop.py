"""The arithmetic of training, counted from the networks' sizes.

Symbols: D pixels of x, H hidden units, N_z latent variables, L samples of z for each example.
"""

from replication.experiment import MCEM_LEAPFROG_STEPS, MCEM_UPDATES

PIXELS = {"mnist": 28 * 28, "frey": 28 * 20, "digits": 8 * 8}
DECODER_HEADS = {"mnist": 1, "frey": 2, "digits": 1}  # p, or μ and log σ²


def flop_per_sample(experiment):
    r"""Floating point operations in matrix products that one training sample needs.

    A weight costs 2 (a product and a sum) in each direction: forwards, backwards to the weight, and
    backwards to the layer's input. Nothing needs the derivative in x, nor that in z where z is
    given. With the numbers of weights

    $$E = DH + 2HN_z, \qquad G = N_zH + kHD$$

    of the encoder and the decoder, whose output has k = 1 head (Bernoulli) or 2 (Gaussian):

    - AEVB: $6E - 2DH + 6LG$. For 784-500-20-500-784 and L = 1 that is 4.1 MFLOP.
    - Wake-sleep: $2E + L(6G - 2N_zH)$ awake, and $2G + 6E - 2DH$ asleep.
    - Monte Carlo EM, where a step counts as 15 samples of each image: $11 \cdot 4G$ for 10 leapfrog
      steps and the gradient that they start from, $5(6G - 2N_zH)$ for 5 updates.

    Args:
        experiment: `Experiment`.

    Returns:
        A number, whole but for Monte Carlo EM.

    Example:
        >>> from replication.experiment import Experiment
        >>> flop_per_sample(Experiment("mnist", "aevb", 20, 0.01))
        4100000
    """
    e = experiment
    from_x, from_z = PIXELS[e.dataset] * e.hidden_units, e.latent_dim * e.hidden_units
    encoder, decoder = from_x + 2 * from_z, from_z + DECODER_HEADS[e.dataset] * from_x
    train_encoder = 6 * encoder - 2 * from_x
    train_decoder = 6 * decoder - 2 * from_z  # with z given
    if e.algorithm == "aevb":
        return train_encoder + e.num_samples * 6 * decoder
    if e.algorithm == "wake-sleep":
        return 2 * encoder + e.num_samples * train_decoder + 2 * decoder + train_encoder
    step = (MCEM_LEAPFROG_STEPS + 1) * 4 * decoder + MCEM_UPDATES * train_decoder
    return step / (MCEM_LEAPFROG_STEPS + MCEM_UPDATES)
