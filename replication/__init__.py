"""Replicates the experiments of Auto-Encoding Variational Bayes (arXiv:1312.6114)."""
