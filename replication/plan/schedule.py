"""The sample counts at which a run is evaluated and saved."""

import bisect

# The paper's axes begin at 10⁵ samples; runs of the digits are short.
FIRST_SAMPLES = {"mnist": 100_000, "frey": 100_000, "digits": 10_000}
# Evaluations in each decade, as percentages of its start. The bound has ten (Renard's rounded
# preferred numbers R′10, which include 1, 2 and 5). The likelihood, which takes longer to evaluate,
# has two.
PERCENTAGES = {
    "bound": (100, 125, 160, 200, 250, 320, 400, 500, 630, 800),
    "likelihood": (100, 300),
}
# The largest number of training samples between pauses, in which progress is shown and may be
# saved.
LONGEST_STRETCH = 100_000


def evaluations(samples, step=1, measure="bound", first=100_000):
    """0, then log-spaced counts, and `samples` itself.

    Args:
        samples: total number of training samples.
        step: samples per training step; counts are rounded up to whole steps.
        measure: the evaluated quantity, a key of `PERCENTAGES`.
        first: the power of ten at which evaluations begin.
    """
    counts = {0, samples}
    while first <= samples:
        decade = {percentage * first // 100 for percentage in PERCENTAGES[measure]}
        counts.update(count for count in decade if count <= samples)
        first *= 10
    return sorted({whole(count, step) for count in counts})


class Schedule:
    """The counts at which a run of `samples` training samples pauses.

    Args:
        samples: total number of training samples, a multiple of `step`.
        step: samples per training step.
        measure: the evaluated quantity.
        first: the power of ten at which evaluations begin.
        also: an additional count to evaluate at.
    """

    def __init__(self, samples, step=1, measure="bound", first=100_000, also=0):
        self.samples = samples
        counts = evaluations(samples, step, measure, first)
        self.evaluations = frozenset(counts) | {min(also, samples)}
        pauses = {whole(count, step) for count in range(0, samples, LONGEST_STRETCH)}
        self.stops = sorted(self.evaluations | pauses)

    def next_stop(self, done):
        """The next count at which training pauses, to evaluate or only to show progress."""
        return self.stops[bisect.bisect_right(self.stops, done)]


def whole(samples, step):
    """`samples` rounded up to a whole number of training steps."""
    return -(-samples // step) * step


def is_round(samples, digits="125"):
    """Whether a count is one of the digits times a power of ten."""
    return str(samples).rstrip("0") in {*digits}


def is_decade(samples):
    return is_round(samples, "1")
