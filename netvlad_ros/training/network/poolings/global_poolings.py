"""Poolings to one number a channel: MAC, SPoC, GeM, CroW and R-MAC."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.poolings.base import Pooling

_SMALLEST = (
    1e-6  # GeM: smaller and negative values count as this; a power of them has no real value
)
_EPSILON = 1e-6  # CroW: keeps the slope of its root finite where all values are 0
_LEVELS = 3  # R-MAC: sizes of regions
_OVERLAP = 0.4  # R-MAC: wanted between neighbours of the largest regions
_MOST_EXTRA = 6  # R-MAC: regions that the longer side may get beyond the shorter


class GlobalPooling(Pooling):
    """A pooling with one number a channel, then L2.

    Args:
        dim: D, channels of the local descriptors and width of the vector.
    """

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to (N, D), before L2."""
        raise NotImplementedError

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        return functional.normalize(self.pool(features), dim=1)


class MAC(GlobalPooling):
    """The maximum of each channel.

    Source:
        Tolias, Sicre and Jegou, ICLR 2016, section 3.1.
    """

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to (N, D)."""
        return features.amax(dim=(2, 3))


class SPoC(GlobalPooling):
    """The mean of each channel, without the centre prior of the paper.

    Source:
        Babenko and Lempitsky, ICCV 2015.
    """

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to (N, D)."""
        return features.mean(dim=(2, 3))


class GeM(GlobalPooling):
    """(mean x^p)^(1/p) of each channel: p = 1 is the mean, p -> infinity the maximum.

    Source:
        Radenovic, Tolias and Chum, TPAMI 2019, equation 3.

    Args:
        channels: D, width of the local descriptors and of the vector.
        p: initial exponent; it is trained, one for all channels.
    """

    def __init__(self, channels: int, p: float = 3.0) -> None:
        super().__init__(channels)
        self.p = nn.Parameter(torch.tensor([p]))

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to (N, D)."""
        return generalised_mean(features, self.p)


class CroW(GlobalPooling):
    """The sum of each channel, weighted by salient positions and rare channels.

    Negative values count as 0. With S' the sum over channels, the weight of a position is
    (S' / |S'|_2)^(1/2) (section 4.1, a = b = 2). Q_k is the share of positions where channel k is
    above 0; its weight is log(sum_h Q_h / Q_k) (section 4.2).

    Source:
        Kalantidis, Mellina and Osindero, ECCV Workshops 2016.
    """

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to (N, D)."""
        x = features.relu().flatten(2)  # (N, D, P)
        salience = (functional.normalize(x.sum(dim=1, keepdim=True), dim=2) + _EPSILON).sqrt()
        share = (x > 0).to(x.dtype).mean(dim=2)  # (N, D)
        total = share.sum(dim=1, keepdim=True) + self.dim * _EPSILON
        rarity = (total / (share + _EPSILON)).log()
        return (x * salience).sum(dim=2) * rarity


class RMAC(GlobalPooling):
    """The sum of the MAC of the whole grid and of square regions of three sizes, each after L2.

    At level l the shorter side holds l regions of side 2 / (l + 1) of it. The longer side holds as
    many more as bring their overlap nearest to 40 % (section 3.2). The regions are laid out in
    Python for the size of the grid. So an exported graph is right only for the image size that it
    was traced at, and configurations with R-MAC resize by `stretch`.

    Source:
        Tolias, Sicre and Jegou, ICLR 2016, section 3.2.
    """

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to (N, D)."""
        pooled = self.unit(features.amax(dim=(2, 3)))
        for top, left, side in regions(int(features.shape[2]), int(features.shape[3])):
            part = features[:, :, top : top + side, left : left + side]
            pooled = pooled + self.unit(part.amax(dim=(2, 3)))
        return pooled

    def unit(self, pooled: torch.Tensor) -> torch.Tensor:
        """L2 of the rows (N, D) of one region."""
        return functional.normalize(pooled, dim=1)


def generalised_mean(features: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """(mean x^p)^(1/p) of each channel of features (N, D, H, W), (N, D); p is (1,)."""
    return features.clamp(min=_SMALLEST).pow(p).mean(dim=(2, 3)).pow(1.0 / p)


def regions(height: int, width: int) -> list[tuple[int, int, int]]:
    """The squares (top, left, side) of R-MAC in a grid.

    All numbers are in single precision, as in the code that public checkpoints were trained with.
    A position is rounded down, so another precision may give another position.
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
