"""The implementation of `fit`, `evaluate` and `predict`.

`inputs` and `sources` validate and convert data, `epochs` makes batches of it, `loop` runs compiled
programs on them and calls the callbacks, and `fingerprint` detects programs that are out of date.
"""
