"""What the claims are judged by: the curves with the chosen step sizes, and all runs."""

from replication import step_sizes
from replication.figures.curves import Panel, shown_curves
from replication.protocols import FIGURE3_LATENT_DIM, figure3_choice_runs, of_figure2, of_figure3
from replication.records import read_runs


class Evidence:
    """Everything that was measured below a folder of results.

    Args:
        results: the folder.

    Attributes:
        results: the folder.
        runs: list of all `Run`.
        curves: list of `Curve` of figures 2 and 3, one for each panel and algorithm: the step size
            that was chosen, or the only one there is.
    """

    def __init__(self, results):
        self.results = results
        self.runs = read_runs(results)
        second, third = of_figure2(self.runs), of_figure3(self.runs)
        shown = shown_curves(second, step_sizes.pilots(second))
        shown += shown_curves(third, step_sizes.pilots(figure3_choice_runs(third)))
        self.curves = _main(shown)

    def figure2(self, dataset, latent_dim, algorithm):
        """The `Curve` of a panel, or `None`."""
        return self._curve(Panel(2, dataset, latent_dim), algorithm)

    def figure3(self, n_train, algorithm):
        """The `Curve` of a panel, or `None`."""
        return self._curve(Panel(3, "mnist", FIGURE3_LATENT_DIM, n_train), algorithm)

    def _curve(self, panel, algorithm):
        keys = (
            curve for curve in self.curves if (curve.panel, curve.algorithm) == (panel, algorithm)
        )
        return next(keys, None)


def _main(shown):
    groups = {}
    for curve in shown:
        groups.setdefault((curve.panel, curve.algorithm), []).append(curve)
    chosen = [
        [c for c in group if "chosen" in c.role] or (group if len(group) == 1 else [])
        for group in groups.values()
    ]
    return [curve for group in chosen for curve in group]
