"""pythae's VAE, with an encoder and a decoder of our own, trained by its `BaseTrainer`.

Each epoch is one call of `train()` for one epoch. The trainer then copies the best model and
saves it to `output_dir`; checkpoints are off, as by default. The optimizer persists between calls
of `train()`, as between epochs of one call. The Bernoulli loss takes probabilities, not logits.
Weight decay includes biases. Initial weights and biases are PyTorch's defaults.
"""

import logging
import os
import tempfile

os.environ["TQDM_DISABLE"] = "1"  # read when something first imports tqdm, as torch does

import torch
from pythae.data.preprocessors import DataProcessor
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import nn


class Encoder(BaseEncoder):
    def __init__(self, work):
        super().__init__()
        self.hidden = nn.Linear(work.x_dim, work.hidden_units)
        self.mean = nn.Linear(work.hidden_units, work.latent_dim)
        self.log_variance = nn.Linear(work.hidden_units, work.latent_dim)

    def forward(self, x):
        h = torch.tanh(self.hidden(x))
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):
    def __init__(self, work):
        super().__init__()
        self.hidden = nn.Linear(work.latent_dim, work.hidden_units)
        self.logits = nn.Linear(work.hidden_units, work.x_dim)

    def forward(self, z):
        return ModelOutput(reconstruction=torch.sigmoid(self.logits(torch.tanh(self.hidden(z)))))


class Trainer(BaseTrainer):
    optimizer = None

    def set_optimizer(self):
        if self.optimizer is None:
            super().set_optimizer()


def epochs(work):
    logging.disable(logging.INFO)
    torch.manual_seed(0)
    config = VAEConfig((work.x_dim,), work.latent_dim, reconstruction_loss="bce")
    model = VAE(config, Encoder(work), Decoder(work))
    processor = DataProcessor()

    def trainer(x, folder):
        config = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=work.batch_size,
            num_epochs=1,
            optimizer_cls="Adagrad",
            optimizer_params={"eps": 1e-8, "weight_decay": 1 / work.examples},
            learning_rate=0.01,
            no_cuda=True,
        )
        dataset = processor.to_dataset(processor.process_data(x))
        return Trainer(model, dataset, training_config=config)

    x = work.data()
    with tempfile.TemporaryDirectory() as folder:
        trainer(x[: work.batch_size], folder).train()
        whole = trainer(x, folder)
        while True:
            yield
            whole.train()
