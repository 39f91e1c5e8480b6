"""PyTorch, written by hand: eager, or the loss compiled by `torch.compile`.

Adagrad is `fused`, with one pass over the weights, or PyTorch's default, with one for each
operation of the update.
"""

import logging
import math

import torch
from torch import nn
from torch.nn import functional


class VAE(nn.Module):
    def __init__(self, work, importance_weighted=False):
        super().__init__()
        self.num_samples = work.num_samples if importance_weighted else None
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
        if self.num_samples is not None:
            return -self.importance_weighted(x, mean, log_variance)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = self.logits(torch.tanh(self.decoder(z)))
        minus_log_likelihood = functional.binary_cross_entropy_with_logits(
            logits, x, reduction="sum"
        )
        kl = -0.5 * torch.sum(1 + log_variance - mean**2 - torch.exp(log_variance))
        return (kl + minus_log_likelihood) / len(x)

    def importance_weighted(self, x, mean, log_variance):
        """The importance-weighted bound, as a mean over examples."""
        noise = torch.randn(self.num_samples, *mean.shape)
        z = mean + torch.exp(0.5 * log_variance) * noise
        logits = self.logits(torch.tanh(self.decoder(z)))
        losses = functional.binary_cross_entropy_with_logits(
            logits, x.expand_as(logits), reduction="none"
        )
        log_ratio = 0.5 * torch.sum(noise**2 + log_variance - z**2, -1)  # log p(z) / q(z|x)
        log_weights = log_ratio - losses.sum(-1)
        return torch.mean(torch.logsumexp(log_weights, 0)) - math.log(self.num_samples)


def adagrad(model, work, fused):
    """Decays weights, not biases, as a standard normal prior on weights does."""
    weights = [p for p in model.parameters() if p.ndim == 2]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": 1 / work.examples}, {"params": biases}]
    return torch.optim.Adagrad(groups, lr=0.01, eps=1e-8, fused=fused)


def epochs(work, compiled=False, fused=True, importance_weighted=False):
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    model = VAE(work, importance_weighted)
    optimizer = adagrad(model, work, fused)
    loss = torch.compile(model) if compiled else model
    return trained(loss, optimizer, torch.from_numpy(work.data()), work.batch_size)


def trained(loss, optimizer, x, batch_size):
    """A generator that yields after a first step, and then after each epoch."""

    def train(batches):
        for rows in batches:
            optimizer.zero_grad()
            loss(x[rows]).backward()
            optimizer.step()

    train([torch.arange(batch_size)])
    while True:
        yield
        train(torch.randperm(len(x)).split(batch_size))
