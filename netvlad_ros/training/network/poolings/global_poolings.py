"""MAC, SPoC, GeM, CroW, R-MAC."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.poolings.base import Pooling

_LEVELS = 3
_OVERLAP = 0.4  # wanted between neighbours of the largest regions
_MOST_EXTRA = 6  # regions that the longer side may get beyond the shorter


class RMAC(Pooling):
    """MAC of square regions of three sizes and of the whole, each L2-normalised, then summed.

    At level l the shorter side holds l regions of side 2 / (l + 1) of it, the longer side as many
    more as bring their overlap nearest to 40 % (section 3.2). The regions are laid out in Python
    for the size at hand: an exported graph answers for the size that it was traced at, so
    configurations with R-MAC resize by `stretch`.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        pooled = functional.normalize(features.amax(dim=(2, 3)), dim=1)
        for top, left, side in regions(int(features.shape[2]), int(features.shape[3])):
            part = features[:, :, top : top + side, left : left + side]
            pooled = pooled + functional.normalize(part.amax(dim=(2, 3)), dim=1)
        return functional.normalize(pooled, dim=1)


def regions(height: int, width: int) -> list[tuple[int, int, int]]:
    """The squares (top, left, side) of a grid.

    In single precision throughout, as in the code that public checkpoints were trained with: a
    position is rounded down, and may lie on the brink.
    """
    short, extra = min(height, width), 0
    if height != width:
        counts = np.arange(2, _MOST_EXTRA + 2, dtype=np.float32)
        steps = np.float32(max(height, width) - short) / (counts - 1)
        overlap = (np.float32(short**2) - np.float32(short) * steps) / np.float32(short**2)
        extra = int(np.abs(overlap - np.float32(_OVERLAP)).argmin()) + 1
    squares = []
    for level in range(1, _LEVELS + 1):
        side = 2 * short // (level + 1)
        if side == 0:
            break
        tops = _starts(height, side, level + (extra if height > width else 0))
        lefts = _starts(width, side, level + (extra if width > height else 0))
        squares += [(top, left, side) for top in tops for left in lefts]
    return squares


def _starts(length: int, side: int, count: int) -> list[int]:
    """Where `count` squares of a side begin, spread evenly over a length."""
    half = side // 2 - 1
    step = np.float32(0.0 if count == 1 else (length - side) / (count - 1))
    centres = np.floor(np.float32(half) + np.arange(count, dtype=np.float32) * step)
    return [int(centre) - half for centre in centres]


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


class MAC(Pooling):
    """The largest answer of each channel, anywhere."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        return functional.normalize(features.amax(dim=(2, 3)), dim=1)


class SPoC(Pooling):
    """The mean answer of each channel; without the paper's prior for the middle of the image."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        return functional.normalize(features.mean(dim=(2, 3)), dim=1)
