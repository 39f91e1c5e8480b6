"""At which numbers of training samples a run is evaluated and kept."""

# Ten evaluations per decade (Renard's preferred numbers R10), so that 1, 2 and 5 are among them.
MANTISSAS = (100, 125, 160, 200, 250, 320, 400, 500, 630, 800)
FIRST_EVALUATION = 10_000
CHECKPOINT_INTERVAL = 100_000


def evaluations(samples):
    """0, then log-spaced counts from `FIRST_EVALUATION` on, and `samples` itself."""
    counts, decade = {0, samples}, FIRST_EVALUATION
    while decade <= samples:
        counts.update(m * decade // 100 for m in MANTISSAS if m * decade // 100 <= samples)
        decade *= 10
    return sorted(counts)


def stops(done, samples):
    """Counts after `done` at which training pauses to save a checkpoint, in order."""
    grid = range(0, samples, CHECKPOINT_INTERVAL)
    return [count for count in sorted({*grid, *evaluations(samples)}) if count > done]
