"""What every pooling is."""

from __future__ import annotations

import torch
from torch import nn

from netvlad_ros.training.config.network import NetworkConfig


class Pooling(nn.Module):
    """A grid of local descriptors to one unit vector.

    Args:
        dim: width of the answer; most answer one number a channel.

    Attributes:
        dim: that.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    @classmethod
    def of(cls, config: NetworkConfig, channels: int) -> Pooling:
        """As a configuration wants it, for local descriptors of so many channels."""
        return cls(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, channels, H, W) to unit rows (N, dim)."""
        raise NotImplementedError
