"""Global poolings and normalisation, as public trainers write them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.poolings.global_poolings import regions


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


class UnitLength(nn.Module):
    """x / |x| along one axis.

    Args:
        dim: that axis.
        epsilon: 0 for torch's way, x / max(|x|, 1e-12); above it MatConvNet's, x / sqrt(|x|^2 +
            epsilon). They part where |x| is small, as the residuals of a cluster that no local
            descriptor is near: torch's way blows them up to length 1, MatConvNet's does not.
    """

    def __init__(self, dim: int = 1, epsilon: float = 0.0) -> None:
        super().__init__()
        self.dim = dim
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalises x of any shape."""
        if self.epsilon == 0.0:
            return functional.normalize(x, dim=self.dim)
        return x / (x.square().sum(dim=self.dim, keepdim=True) + self.epsilon).sqrt()
