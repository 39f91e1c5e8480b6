"""The bound and log p(x) of the paper's model by NumPyro's objectives, which sum over a batch."""

import jax
import numpy as np
from numpyro.infer import SVI, RenyiELBO, TraceMeanField_ELBO
from numpyro.optim import Adagrad
from peers import posterior_density_numpyro
from peers.numpyro_example import guide, model

OBJECTIVES = {"elbo": TraceMeanField_ELBO, "importance": RenyiELBO}


def epochs(work, method):
    """Evaluates all examples, then yields, repeatedly. The first evaluation also compiles."""
    if method == "density":
        yield from posterior_density_numpyro.epochs(work)
        return
    objective = OBJECTIVES[method](num_particles=work.num_samples)
    svi = SVI(model, guide, Adagrad(0.01, momentum=0.0), objective, work=work)
    x = work.data()
    state = svi.init(jax.random.key(0), x[: work.batch_size])
    evaluate = jax.jit(svi.evaluate)
    while True:
        for start in range(0, work.examples, work.batch_size):
            np.asarray(evaluate(state, x[start : start + work.batch_size]))
        yield
