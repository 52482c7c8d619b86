"""GeM: generalised-mean pooling (Radenovic, Tolias and Chum, TPAMI 2019)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.poolings.base import Pooling

_FLOOR = 1e-6  # negative answers count as this: a power of them has no real value


class GeM(Pooling):
    """(mean x^p)^(1/p) of each channel (eq. 3): p = 1 is the mean, p -> infinity the maximum.

    Args:
        channels: D, width of the local descriptors, and of the answer.
        p: where the exponent starts; it is trained, one for all channels.
    """

    def __init__(self, channels: int, p: float = 3.0) -> None:
        super().__init__(channels)
        self.p = nn.Parameter(torch.tensor([p]))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        powers = features.clamp(min=_FLOOR).pow(self.p).mean(dim=(2, 3))
        return functional.normalize(powers.pow(1.0 / self.p), dim=1)
