"""Tables and pictures of the paper's figures, drawn from run folders alone.

`build` of every module writes a folder of the results and returns the paths of its files. It raises
a `ReplicationError` if there is nothing to draw.
"""
