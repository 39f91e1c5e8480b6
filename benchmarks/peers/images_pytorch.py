"""A convolutional VAE in PyTorch, written by hand, with fused Adam."""

import logging
import math

import torch
from peers.pytorch import trained
from torch import nn
from torch.nn import functional


class VAE(nn.Module):
    def __init__(self, work):
        super().__init__()
        size, filters = math.prod(work.encoded_shape), work.filters
        self.encoder = nn.Sequential(
            *with_relu(
                nn.Conv2d(1 if i == 0 else filters, filters, 4, stride=2, padding=1)
                for i in range(4)
            ),
            nn.Flatten(),
            *with_relu([nn.Linear(size, work.dense_units)]),
        )
        self.mean = nn.Linear(work.dense_units, work.latent_dim)
        self.log_variance = nn.Linear(work.dense_units, work.latent_dim)
        self.decoder = nn.Sequential(
            *with_relu(
                [nn.Linear(work.latent_dim, work.dense_units), nn.Linear(work.dense_units, size)]
            ),
            nn.Unflatten(1, (filters, *work.encoded_shape[:2])),
            *with_relu(
                nn.ConvTranspose2d(filters, filters, 4, stride=2, padding=1) for _ in range(3)
            ),
            nn.ConvTranspose2d(filters, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        """Minus the bound, as a mean over examples."""
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        minus_log_likelihood = functional.binary_cross_entropy_with_logits(
            self.decoder(z), x, reduction="sum"
        )
        kl = -0.5 * torch.sum(1 + log_variance - mean**2 - torch.exp(log_variance))
        return (kl + minus_log_likelihood) / len(x)


def with_relu(layers):
    return [part for layer in layers for part in (layer, nn.ReLU())]


def epochs(work, compiled=False, channels_last=False):
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    model = VAE(work).to(memory_format=memory_format)
    optimizer = torch.optim.Adam(model.parameters(), eps=1e-7, fused=True)
    loss = torch.compile(model) if compiled else model
    x = torch.from_numpy(work.data()).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    return trained(loss, optimizer, x, work.batch_size)
