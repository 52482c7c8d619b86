"""CroW: cross-dimensional weighting (Kalantidis, Mellina and Osindero, ECCV workshops 2016)."""

from __future__ import annotations

import torch
from torch.nn import functional

from netvlad_ros.training.poolings.base import Pooling

_EPSILON = 1e-6


class CroW(Pooling):
    """Sum pooling where salient positions and rare channels count more.

    With X >= 0 (negative answers are cut off): S' = sum over channels; the weight of a position is
    (S' / |S'|_2)^(1/2) (section 4.1, a = b = 2). Q_k is the share of positions where channel k
    answers; its weight is log(sum_h Q_h / Q_k) (section 4.2).
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        x = features.relu().flatten(2)  # (N, D, P)
        # The small term keeps the root's slope finite where nothing answers.
        salience = (functional.normalize(x.sum(dim=1, keepdim=True), dim=2) + _EPSILON).sqrt()
        share = (x > 0).to(x.dtype).mean(dim=2)  # (N, D)
        total = share.sum(dim=1, keepdim=True) + self.dim * _EPSILON
        rarity = (total / (share + _EPSILON)).log()
        return functional.normalize((x * salience).sum(dim=2) * rarity, dim=1)
