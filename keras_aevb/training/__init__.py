"""How `fit`, `evaluate` and `predict` run: checked data, epochs of batches, and the loops.

`inputs` checks and converts what users pass, `epochs` makes batches of it, `loop` runs programs on
them and calls the callbacks, and `fingerprint` tells when a program is out of date.
"""
