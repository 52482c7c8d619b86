"""SPoC: sum-pooled convolutional features (Babenko and Lempitsky, ICCV 2015)."""

from __future__ import annotations

import torch
from torch.nn import functional

from netvlad_ros.training.poolings.base import Pooling


class SPoC(Pooling):
    """The mean answer of each channel; without the paper's prior for the middle of the image."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        return functional.normalize(features.mean(dim=(2, 3)), dim=1)
