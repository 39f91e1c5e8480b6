"""All figures and tables of the paper in order, with the budgets of a preset."""

from replication import gradient_variance, protocols, report
from replication.figures import cost, figure2, figure3, figure4, figure5
from replication.figures import gradient_variance as gradient_variance_table


def run(preset, data_dir, results, fresh):
    """Trains, draws and reports; continues where it stopped when it is called again.

    Args:
        preset: `Preset`.
        data_dir: folder with the data sets, or `None`.
        results: folder of the results.
        fresh: whether to discard each run's folder first.

    Yields:
        Paths of the files, as soon as they are written.
    """
    first = preset.datasets[0]
    with protocols.Protocol(preset.datasets, data_dir, results, fresh) as protocol:
        for name in preset.datasets:
            protocols.figure2(
                protocol,
                [name],
                ("aevb", "wake-sleep"),
                preset.latent_dims[name],
                preset.figure2[name],
                preset.seeds,
            )
        yield from figure2.build(results)
        for algorithm, budgets in preset.figure3.items():
            for n_train, samples in budgets.items():
                protocols.figure3(protocol, [first], [algorithm], [n_train], samples, preset.seeds)
        yield from figure3.build(results)

        def models(datasets, latent_dims):
            return protocols.aevb_models(protocol, datasets, latent_dims, preset.models)

        dataset = protocol.datasets[first]
        manifolds = models(preset.datasets, [protocols.MANIFOLD_LATENT_DIM])
        yield from figure4.build(manifolds, protocol.datasets, results)
        yield from figure5.build(models([first], preset.samples_dims), dataset, results)
        for experiment in models([first], [preset.gradient_dim]):
            gradient_variance.measure(experiment, dataset, results)
        yield from gradient_variance_table.build(results)
    yield from cost.build(results)
    yield from report.build(results)
