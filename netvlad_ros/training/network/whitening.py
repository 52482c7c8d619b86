"""Whitening: the last layers of a network, a linear layer and L2."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.network import NetworkConfig


class Projection(NamedTuple):
    """y = matrix (x - mean).

    Attributes:
        matrix: float64 (dim, dim_in), the most informative direction first.
        mean: float64 (dim_in,).
    """

    matrix: np.ndarray
    mean: np.ndarray


class Whitening(nn.Module):
    """y = W x + b, then y / |y|.

    Args:
        dim_in: width of the pooled descriptors.
        dim: width that is kept.
        trained: whether the layer trains with the network; else it is fitted after training.

    Attributes:
        dim: width that is kept.

    Raises:
        NetvladError: dim is larger than dim_in.
    """

    def __init__(self, dim_in: int, dim: int, *, trained: bool = False) -> None:
        super().__init__()
        if not 1 <= dim <= dim_in:
            raise NetvladError(
                f'whitening to {dim} dimensions is impossible: pooled descriptors have {dim_in}'
            )
        self.dim = dim
        self.linear = nn.Linear(dim_in, dim)
        self.linear.requires_grad_(trained)
        with torch.no_grad():  # zero, not random, until it is fitted or loaded
            self.linear.weight.zero_()
            self.linear.bias.zero_()

    @property
    def fitted(self) -> bool:
        """Whether the layer was fitted or loaded."""
        return bool(self.linear.weight.any())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, dim_in) to unit rows (N, dim)."""
        return functional.normalize(self.linear(x), dim=1)

    @torch.no_grad()
    def set(self, projection: Projection) -> None:
        """Sets W and b by a projection to dim directions."""
        self.linear.weight.copy_(torch.from_numpy(projection.matrix))
        self.linear.bias.copy_(torch.from_numpy(-projection.matrix @ projection.mean))


class NoWhitening(nn.Module):
    """The pooled descriptor as it is.

    Args:
        dim: width of the pooled descriptors.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.fitted = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps unit rows (N, dim) to themselves."""
        return x


def make_whitening(config: NetworkConfig, dim_in: int) -> Whitening | NoWhitening:
    """The layer that a configuration asks for, zero until it is fitted or loaded.

    Raises:
        NetvladError: dim does not fit dim_in; without whitening the two must be equal.
    """
    if config.whitening != 'none':
        return Whitening(dim_in, config.dim, trained=config.whitening == 'linear')
    if config.dim != dim_in:
        raise NetvladError(
            f'without whitening dim is that of the pooling: set dim to {dim_in}, not {config.dim}'
        )
    return NoWhitening(dim_in)
