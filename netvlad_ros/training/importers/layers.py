"""Global poolings and L2 normalisation, as public trainers write them.

They reuse the poolings of our own networks, without the L2 at their end.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.poolings.global_poolings import (
    RMAC,
    GlobalPooling,
    generalised_mean,
)


class WithoutL2(nn.Module):
    """A global pooling whose result keeps its length: public trainers choose where L2 stands.

    Args:
        pooling: of local descriptors.
    """

    def __init__(self, pooling: GlobalPooling) -> None:
        super().__init__()
        self.pooling = pooling

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        return self.pooling.pool(x)


class GeneralisedMean(nn.Module):
    """GeM with a fixed exponent, without L2.

    The exponent is no GeM.p because its name in the graph, `power`, is part of the model's id.

    Args:
        power: the exponent, (1,).
    """

    power: torch.Tensor

    def __init__(self, power: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer('power', power)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        return generalised_mean(x, self.power)


class BenchmarkRMAC(RMAC):
    """R-MAC of the visual geo-localization benchmark.

    Its L2 of a region divides by |x| + 1e-6. Ours divides by max(|x|, 1e-12). Its regions have
    another length than ours where |x| is small, so this division must stay its own.
    """

    def unit(self, pooled: torch.Tensor) -> torch.Tensor:
        """L2 of the rows (N, D) of one region."""
        return pooled / (pooled.norm(dim=1, keepdim=True) + 1e-6)


class UnitLength(nn.Module):
    """x / |x| along one axis.

    The two formulas differ where |x| is small, for example for the residuals of a cluster that no
    local descriptor is near. With torch's formula these get length 1; with MatConvNet's they stay
    short.

    Args:
        dim: the axis.
        epsilon: 0 for torch's formula, x / max(|x|, 1e-12); above 0 for MatConvNet's,
            x / sqrt(|x|^2 + epsilon).
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
