"""At which numbers of training samples a run is evaluated and kept."""

import bisect

# By what is measured: the first evaluation, and the hundredths of each decade. A bound costs little
# and has ten (Renard's preferred numbers R10, with 1, 2 and 5 among them), a likelihood two.
GRIDS = {
    "bound": (10_000, (100, 125, 160, 200, 250, 320, 400, 500, 630, 800)),
    "likelihood": (100_000, (100, 300)),
}
CHECKPOINT_INTERVAL = 100_000


def evaluations(samples, step=1, measure="bound"):
    """0, then log-spaced counts, and `samples` itself.

    Args:
        samples: training samples in all.
        step: samples of one training step; counts are rounded up to whole steps.
        measure: what is evaluated, a key of `GRIDS`.
    """
    decade, hundredths = GRIDS[measure]
    counts = {0, samples}
    while decade <= samples:
        counts.update(h * decade // 100 for h in hundredths if h * decade // 100 <= samples)
        decade *= 10
    return sorted({whole(count, step) for count in counts})


class Schedule:
    """When a run of `samples` training samples stops.

    Args:
        samples: training samples in all, whole training steps.
        step: samples of one training step.
        measure: what is evaluated.
        also: a count that is evaluated too.
    """

    def __init__(self, samples, step=1, measure="bound", also=0):
        self.samples = samples
        self.evaluations = frozenset(evaluations(samples, step, measure)) | {min(also, samples)}
        kept = {whole(count, step) for count in range(0, samples, CHECKPOINT_INTERVAL)}
        self.stops = sorted(self.evaluations | kept)

    def next_stop(self, done):
        """The next count at which training pauses to save a checkpoint, or also to evaluate."""
        return self.stops[bisect.bisect_right(self.stops, done)]


def whole(samples, step):
    """`samples` rounded up to a whole number of training steps."""
    return -(-samples // step) * step
