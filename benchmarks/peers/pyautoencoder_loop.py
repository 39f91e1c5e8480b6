"""pyautoencoder's VAE and loss, in the training loop of its README: eager, with a `DataLoader`.

Initial weights and Adagrad are those of its own example of the paper.
"""

import torch
from pyautoencoder.variational import VAE
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def build(work):
    encoder = nn.Sequential(nn.Linear(work.x_dim, work.hidden_units), nn.Tanh())
    decoder = nn.Sequential(
        nn.Linear(work.latent_dim, work.hidden_units),
        nn.Tanh(),
        nn.Linear(work.hidden_units, work.x_dim),
    )
    vae = VAE(encoder=encoder, decoder=decoder, latent_dim=work.latent_dim)
    vae.build(torch.zeros(1, work.x_dim))
    vae.apply(initialise)
    return vae


def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


def adagrad(vae, work):
    weights = [p for p in vae.parameters() if p.ndim == 2]
    biases = [p for p in vae.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": 1 / work.examples}, {"params": biases}]
    return torch.optim.Adagrad(groups, lr=0.01, eps=1e-8)


def epochs(work):
    torch.manual_seed(0)
    vae = build(work)
    optimizer = adagrad(vae, work)
    x = torch.from_numpy(work.data())

    def train(examples):
        for (batch,) in DataLoader(TensorDataset(examples), work.batch_size, shuffle=True):
            optimizer.zero_grad()
            loss = vae.compute_loss(batch, vae(batch), beta=1, likelihood="bernoulli")
            loss.objective.backward()
            optimizer.step()

    train(x[: work.batch_size])
    while True:
        yield
        train(x)
