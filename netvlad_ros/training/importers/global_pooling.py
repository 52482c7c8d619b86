"""Pooling without clusters, as the geo-localization benchmark writes it: nothing normalised after.

Each maps local descriptors (N, D, H, W) to (N, D).
"""

from __future__ import annotations

import torch
from torch import nn

from netvlad_ros.training.poolings.rmac import regions


class GeneralisedMean(nn.Module):
    """GeM (Radenovic et al., 2018): (mean max(x, 1e-6)^p)^(1/p).

    Args:
        power: p, (1,).
    """

    power: torch.Tensor

    def __init__(self, power: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer('power', power)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        return x.clamp(min=1e-6).pow(self.power).mean(dim=(2, 3)).pow(1.0 / self.power)


class Average(nn.Module):
    """SPoC (Babenko and Lempitsky, 2015), without its centre prior: the mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        return x.mean(dim=(2, 3))


class Maximum(nn.Module):
    """MAC (Tolias et al., 2016): the largest answer of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        return x.amax(dim=(2, 3))


class RegionalMaximum(nn.Module):
    """R-MAC (Tolias et al., 2016): MAC of the whole and of square regions, each normalised, summed.

    The regions follow from the grid's size, so an exported graph holds for one size of image.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        total = _unit(x.amax(dim=(2, 3)))
        for top, left, side in regions(int(x.shape[2]), int(x.shape[3])):
            total = total + _unit(x[:, :, top : top + side, left : left + side].amax(dim=(2, 3)))
        return total


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / (x.norm(dim=1, keepdim=True) + 1e-6)
