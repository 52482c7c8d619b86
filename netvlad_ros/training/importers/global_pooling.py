"""Pooling without clusters, as the geo-localization benchmark writes it: nothing normalised after.

Each maps local descriptors (N, D, H, W) to (N, D).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class GeneralisedMean(nn.Module):
    """GeM (Radenovic et al., 2018): (mean max(x, 1e-6)^p)^(1/p).

    Args:
        power: p, (1,).
    """

    power: torch.Tensor

    def __init__(self, power: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer('power', power)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        return x.clamp(min=1e-6).pow(self.power).mean(dim=(2, 3)).pow(1.0 / self.power)


class Average(nn.Module):
    """SPoC (Babenko and Lempitsky, 2015), without its centre prior: the mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        return x.mean(dim=(2, 3))


class Maximum(nn.Module):
    """MAC (Tolias et al., 2016): the largest answer of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        return x.amax(dim=(2, 3))


class RegionalMaximum(nn.Module):
    """R-MAC (Tolias et al., 2016): MAC of the whole and of square regions, each normalised, summed.

    The regions follow from the grid's size, so an exported graph holds for one size of image.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, D)."""
        total = _unit(x.amax(dim=(2, 3)))
        for top, left, side in regions(int(x.shape[2]), int(x.shape[3])):
            total = total + _unit(x[:, :, top : top + side, left : left + side].amax(dim=(2, 3)))
        return total


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / (x.norm(dim=1, keepdim=True) + 1e-6)


def regions(height: int, width: int, levels: int = 3) -> list[tuple[int, int, int]]:
    """Squares (top, left, side) of a grid: at level l their side is 2 min(height, width) / (l + 1).

    Along the longer axis a level has as many more squares as let those of level 1 overlap nearest
    to 40 %. Single precision throughout, as where the files come from: a position is rounded down,
    and may lie on the brink.
    """
    short, extra = min(height, width), 0
    if height != width:
        counts = np.arange(2, 8, dtype=np.float32)
        steps = np.float32(max(height, width) - short) / (counts - 1)
        overlap = (np.float32(short**2) - np.float32(short) * steps) / np.float32(short**2)
        extra = int(np.abs(overlap - np.float32(0.4)).argmin()) + 1
    squares = []
    for level in range(1, levels + 1):
        side = 2 * short // (level + 1)
        if side == 0:
            continue
        tops = _starts(height, side, level + (extra if height > width else 0))
        lefts = _starts(width, side, level + (extra if width > height else 0))
        squares += [(top, left, side) for top in tops for left in lefts]
    return squares


def _starts(length: int, side: int, count: int) -> list[int]:
    half = side // 2 - 1
    step = np.float32(0.0 if count == 1 else (length - side) / (count - 1))
    centres = np.floor(np.float32(half) + np.arange(count, dtype=np.float32) * step)
    return [int(centre) - half for centre in centres]
