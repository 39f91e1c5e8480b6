"""PyTorch, written by hand: eager, or the loss compiled by `torch.compile`.

Adagrad is `fused`, with one pass over the weights, or PyTorch's default, with one for each
operation of the update.
"""

import logging

import torch
from torch import nn
from torch.nn import functional


class VAE(nn.Module):
    def __init__(self, work):
        super().__init__()
        self.hidden = nn.Linear(work.x_dim, work.hidden_units)
        self.mean = nn.Linear(work.hidden_units, work.latent_dim)
        self.log_variance = nn.Linear(work.hidden_units, work.latent_dim)
        self.decoder = nn.Linear(work.latent_dim, work.hidden_units)
        self.logits = nn.Linear(work.hidden_units, work.x_dim)
        for layer in self.children():
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        """Minus the bound, as a mean over examples."""
        h = torch.tanh(self.hidden(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = self.logits(torch.tanh(self.decoder(z)))
        minus_log_likelihood = functional.binary_cross_entropy_with_logits(
            logits, x, reduction="sum"
        )
        kl = -0.5 * torch.sum(1 + log_variance - mean**2 - torch.exp(log_variance))
        return (kl + minus_log_likelihood) / len(x)


def adagrad(model, work, fused):
    """Decays weights, not biases, as a standard normal prior on weights does."""
    weights = [p for p in model.parameters() if p.ndim == 2]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": 1 / work.examples}, {"params": biases}]
    return torch.optim.Adagrad(groups, lr=0.01, eps=1e-8, fused=fused)


def epochs(work, compiled=False, fused=True):
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    model = VAE(work)
    optimizer = adagrad(model, work, fused)
    loss = torch.compile(model) if compiled else model
    x = torch.from_numpy(work.data())

    def train(batches):
        for rows in batches:
            optimizer.zero_grad()
            loss(x[rows]).backward()
            optimizer.step()

    train([torch.arange(work.batch_size)])
    while True:
        yield
        train(torch.randperm(work.examples).split(work.batch_size))
