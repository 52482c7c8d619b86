"""MAC: maximum activations of convolutions (Razavian et al., 2016; Tolias et al., ICLR 2016)."""

from __future__ import annotations

import torch
from torch.nn import functional

from netvlad_ros.training.poolings.base import Pooling


class MAC(Pooling):
    """The largest answer of each channel, anywhere."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        return functional.normalize(features.amax(dim=(2, 3)), dim=1)
