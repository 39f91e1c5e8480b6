"""What was measured: the run folders, and one table of all of them beside the paper's curves."""
