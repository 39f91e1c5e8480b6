"""Training of runs: data, model, training and evaluation."""
