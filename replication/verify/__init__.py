"""Checks that the stored results follow from the runs, and the runs from the current code."""
