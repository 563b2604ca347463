"""A diffusion problem with an exact answer: data from N(mean, std^2), independent in each coordinate.

The best denoiser is linear, ``x0 = mean + std^2 / (std^2 + sigma^2) (x - mean)``, and the probability-flow ODE scales
the distance from the mean by ``sqrt(std^2 + sigma^2)``.
"""

import torch

MEAN, STD = 0.7, 0.5


def denoiser(x, sigma):
    return MEAN + STD**2 / (STD**2 + sigma**2) * (x - MEAN)


def exact(x, sigma, sigma_next):
    return MEAN + (x - MEAN) * ((STD**2 + sigma_next**2) / (STD**2 + sigma**2)) ** 0.5


def start(sigma):
    generator = torch.Generator().manual_seed(3)
    return MEAN + (STD**2 + sigma**2) ** 0.5 * torch.randn(64, generator=generator, dtype=torch.float64)


def geometric_sigmas(sigma, sigma_next, steps):
    return torch.logspace(torch.tensor(sigma).log10(), torch.tensor(sigma_next).log10(), steps + 1, dtype=torch.float64)
