"""Whitening: the last layers of a network, a linear layer and L2."""

from __future__ import annotations

from collections.abc import Sequence
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


class BranchWhitening(nn.Module):
    """A whitening for each branch of a network; a branch keeps its share of the similarity.

    One whitening over both would mix their directions, and have twice as many weights. The
    dimensions are those of the branches in turns, so that the first ones are the most informative
    of each, and a descriptor can be cut like any other.

    Args:
        dims_in: width of the pooled descriptors of each branch.
        dim: width that is kept in all, the same of each branch.
        shares: of each branch in the similarity, with a sum of 1.

    Raises:
        NetvladError: dim is odd or too large.
    """

    def __init__(self, dims_in: Sequence[int], dim: int, shares: Sequence[float]) -> None:
        super().__init__()
        if dim % len(dims_in):
            raise NetvladError(f'dim {dim} cannot be divided among {len(dims_in)} branches')
        self.dim = dim
        self.dims_in = tuple(dims_in)
        self.shares = tuple(shares)
        self.branches = nn.ModuleList(Whitening(width, dim // len(dims_in)) for width in dims_in)

    @property
    def layers(self) -> list[Whitening]:
        """The whitening of each branch."""
        return [branch for branch in self.branches if isinstance(branch, Whitening)]

    @property
    def fitted(self) -> bool:
        """Whether all layers were fitted or loaded."""
        return all(layer.fitted for layer in self.layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, sum of dims_in) to unit rows (N, dim)."""
        parts = zip(self.layers, x.split(self.dims_in, dim=1), self.shares, strict=True)
        rows = [layer(part) * share**0.5 for layer, part, share in parts]
        return torch.stack(rows, dim=2).flatten(1)


AnyWhitening = Whitening | BranchWhitening | NoWhitening


def make_whitening(config: NetworkConfig, dims_in: Sequence[int]) -> AnyWhitening:
    """The layer that a configuration asks for, zero until it is fitted or loaded.

    Args:
        config: which whitening.
        dims_in: width of the pooled descriptors of each branch.

    Raises:
        NetvladError: dim does not fit; without whitening it must be the sum of dims_in.
    """
    dim_in = sum(dims_in)
    if config.whitening != 'none' and len(dims_in) > 1:
        return BranchWhitening(dims_in, config.dim, (1.0 - config.local_share, config.local_share))
    if config.whitening != 'none':
        return Whitening(dim_in, config.dim, trained=config.whitening == 'linear')
    if config.dim != dim_in:
        raise NetvladError(
            f'without whitening dim is that of the pooling: set dim to {dim_in}, not {config.dim}'
        )
    return NoWhitening(dim_in)
