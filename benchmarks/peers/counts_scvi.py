"""scVI of scvi-tools, trained by its `train`."""

import logging
import warnings

import anndata
import lightning.pytorch as pl
import scipy.sparse
import scvi
import torch
from peers.turns import turns


class Pause(pl.Callback):
    def __init__(self, pause):
        self.pause = pause

    def on_train_epoch_end(self, trainer, module):
        self.pause()


def epochs(work):
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    data = anndata.AnnData(scipy.sparse.csr_matrix(work.data()))
    scvi.model.SCVI.setup_anndata(data)
    model = scvi.model.SCVI(
        data,
        n_hidden=work.hidden_units,
        n_latent=work.latent_dim,
        n_layers=1,
        gene_likelihood="nb",
        dispersion="gene",
    )

    def train(pause):
        model.train(
            max_epochs=10**6,
            train_size=1.0,
            batch_size=work.batch_size,
            accelerator="cpu",
            callbacks=[Pause(pause)],
            enable_progress_bar=False,
            logger=False,
        )

    yield from turns(train)
