"""PCA whitening of pooled descriptors: one linear layer and L2 (after Jegou and Chum, 2012)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.core.errors import NetvladError


class Whitening(nn.Module):
    """y = P (x - mean), then y / |y|.

    Args:
        dim_in: width of the pooled descriptors.
        dim: width that is kept, the directions of largest variance.
    """

    def __init__(self, dim_in: int, dim: int) -> None:
        super().__init__()
        if not 1 <= dim <= dim_in:
            raise NetvladError(
                f'whitening to {dim} dimensions is impossible: pooled descriptors have {dim_in}'
            )
        self.dim = dim
        self.linear = nn.Linear(dim_in, dim)
        self.linear.requires_grad_(False)  # fitted, not trained

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, dim_in) to unit rows (N, dim)."""
        return functional.normalize(self.linear(x), dim=1)

    @torch.no_grad()
    def fit(self, descriptors: np.ndarray, shrinkage: float = 0.0) -> None:
        """Principal directions of descriptors (M, dim_in), each scaled to unit variance.

        Args:
            descriptors: float32 (M, dim_in), of training images only, M > dim.
            shrinkage: in [0, 1]: 0 whitens fully, 1 only rotates; a variance v is taken as
                v^(1 - shrinkage) * (largest variance)^shrinkage, so weak directions are lifted
                less.

        Raises:
            NetvladError: too few descriptors, or they span fewer directions than dim.
        """
        count = len(descriptors)
        if count <= self.dim:
            raise NetvladError(
                f'whitening to {self.dim} dimensions needs more than {self.dim} training images, '
                f'got {count}'
            )
        x = descriptors.astype(np.float64)
        mean = x.mean(axis=0)
        x -= mean
        # With fewer images than dimensions, the smaller Gram matrix has the same spectrum.
        if count < x.shape[1]:
            variance, u = np.linalg.eigh(x @ x.T / (count - 1))
            variance, u = variance[::-1][: self.dim], u[:, ::-1][:, : self.dim]
            self._check_rank(variance)
            directions = (u.T @ x) / np.sqrt(variance * (count - 1))[:, None]
        else:
            variance, u = np.linalg.eigh(x.T @ x / (count - 1))
            variance, directions = variance[::-1][: self.dim], u[:, ::-1][:, : self.dim].T
            self._check_rank(variance)
        scale = variance ** (1.0 - shrinkage) * variance[0] ** shrinkage
        projection = directions / np.sqrt(scale)[:, None]
        self.linear.weight.copy_(torch.from_numpy(projection))
        self.linear.bias.copy_(torch.from_numpy(-projection @ mean))

    def _check_rank(self, variance: np.ndarray) -> None:
        if not variance[-1] > 1e-12 * variance[0]:
            raise NetvladError(
                f'training descriptors span fewer than {self.dim} directions: '
                'give more varied images or a smaller dim'
            )
