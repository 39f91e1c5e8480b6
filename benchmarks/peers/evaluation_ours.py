"""The bound and log p(x) of the paper's model, by keras_aevb."""

from peers.ours import build


def epochs(work, method, **compile_options):
    """Evaluates all examples, then yields, repeatedly. The first evaluation also compiles."""
    model = build(work, 0, **compile_options)
    x = work.data()
    settings = {"batch_size": work.batch_size, "seed": 0, "verbose": 0}
    while True:
        if method == "elbo":
            model.elbo(x, work.num_samples, **settings)
        else:
            model.log_likelihood(x, work.num_samples, method, **settings)
        yield
