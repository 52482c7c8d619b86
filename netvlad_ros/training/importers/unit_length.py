"""L2 normalisation as a layer."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


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
