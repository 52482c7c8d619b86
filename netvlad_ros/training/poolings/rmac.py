"""R-MAC: maxima over regions (Tolias, Sicre and Jegou, ICLR 2016)."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from netvlad_ros.training.poolings.base import Pooling

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
