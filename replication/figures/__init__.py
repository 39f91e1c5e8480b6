"""Tables and pictures of the paper's figures, generated from run folders.

A module's `build` writes a folder of the results and returns the paths of its files. It raises a
`ReplicationError` if there are no runs.
"""
