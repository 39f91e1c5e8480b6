"""At which numbers of training samples a run is evaluated and kept."""

import bisect

# The paper's axes begin at 10⁵ samples; runs of the digits are short.
FIRST_SAMPLES = {"mnist": 100_000, "frey": 100_000, "digits": 10_000}
# Evaluations in each decade from there on, as percentages of its start: so few that evaluation is a
# small part of a run. A bound has ten (Renard's preferred numbers R10, with 1, 2 and 5 among them),
# a likelihood two.
PERCENTAGES = {
    "bound": (100, 125, 160, 200, 250, 320, 400, 500, 630, 800),
    "likelihood": (100, 300),
}
# Training samples after which training pauses, at the latest, to be shown and perhaps kept.
LONGEST_STRETCH = 100_000


def evaluations(samples, step=1, measure="bound", first=100_000):
    """0, then log-spaced counts, and `samples` itself.

    Args:
        samples: training samples in all.
        step: samples of one training step; counts are rounded up to whole steps.
        measure: what is evaluated, a key of `PERCENTAGES`.
        first: the power of ten at which evaluations begin.
    """
    counts = {0, samples}
    while first <= samples:
        decade = {percentage * first // 100 for percentage in PERCENTAGES[measure]}
        counts.update(count for count in decade if count <= samples)
        first *= 10
    return sorted({whole(count, step) for count in counts})


class Schedule:
    """When a run of `samples` training samples stops.

    Args:
        samples: training samples in all, whole training steps.
        step: samples of one training step.
        measure: what is evaluated.
        first: the power of ten at which evaluations begin.
        also: a count that is evaluated too.
    """

    def __init__(self, samples, step=1, measure="bound", first=100_000, also=0):
        self.samples = samples
        counts = evaluations(samples, step, measure, first)
        self.evaluations = frozenset(counts) | {min(also, samples)}
        pauses = {whole(count, step) for count in range(0, samples, LONGEST_STRETCH)}
        self.stops = sorted(self.evaluations | pauses)

    def next_stop(self, done):
        """The next count at which training pauses, perhaps to evaluate."""
        return self.stops[bisect.bisect_right(self.stops, done)]


def whole(samples, step):
    """`samples` rounded up to a whole number of training steps."""
    return -(-samples // step) * step
