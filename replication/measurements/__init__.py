"""Measurements: the run folders, and one table of all runs with the paper's curves."""
