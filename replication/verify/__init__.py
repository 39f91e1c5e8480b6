"""Whether the results are still those of the runs, and of today's code."""
