"""Pooling: the interface of all poolings."""

from __future__ import annotations

import torch
from torch import nn

from netvlad_ros.training.config.network import NetworkConfig


class Pooling(nn.Module):
    """Maps a grid of local descriptors to one unit vector.

    Args:
        dim: width of the vector; of most poolings one number a channel.

    Attributes:
        dim: width of the vector.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    @classmethod
    def of(cls, config: NetworkConfig, channels: int) -> Pooling:
        """The pooling of a configuration, for local descriptors of that many channels."""
        return cls(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, channels, H, W) to unit rows (N, dim)."""
        raise NotImplementedError
