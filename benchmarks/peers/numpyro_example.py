"""NumPyro's example of a VAE: stax networks, `SVI`, and an epoch in a jitted `fori_loop`.

Unlike the example it computes the KL divergence analytically, by `TraceMeanField_ELBO`, and draws
the batches from data that it shuffles as the example's `load_dataset` does.
"""
