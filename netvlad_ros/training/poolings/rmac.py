"""R-MAC: maxima over regions (Tolias, Sicre and Jegou, ICLR 2016)."""

from __future__ import annotations

import torch
from torch.nn import functional

from netvlad_ros.training.network_config import NetworkConfig
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

    Args:
        channels: D, width of the local descriptors, and of the answer.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dim = channels

    @classmethod
    def of(cls, config: NetworkConfig, channels: int) -> RMAC:
        """As a configuration wants it."""
        return cls(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, D)."""
        height, width = int(features.shape[2]), int(features.shape[3])
        pooled = torch.zeros_like(features[:, :, 0, 0])
        for top, left, rows, columns in regions(height, width):
            part = features[:, :, top : top + rows, left : left + columns]
            pooled = pooled + functional.normalize(part.amax(dim=(2, 3)), dim=1)
        return functional.normalize(pooled, dim=1)


def regions(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """The regions of a grid: (top, left, rows, columns), the whole grid first."""
    short, long = min(height, width), max(height, width)
    extra = 0
    if long > short:
        # Overlap of neighbours if the longer side gets n regions of the side of the shorter.
        overlaps = {n: 1.0 - (long - short) / (n - 1) / short for n in range(2, _MOST_EXTRA + 2)}
        extra = min(overlaps, key=lambda n: abs(overlaps[n] - _OVERLAP)) - 1
    found = [(0, 0, height, width)]
    for level in range(1, _LEVELS + 1):
        side = 2 * short // (level + 1)
        if side < 1:
            break
        tops = _starts(height, side, level + (extra if height > width else 0))
        lefts = _starts(width, side, level + (extra if width > height else 0))
        found += [(top, left, side, side) for top in tops for left in lefts]
    return found


def _starts(length: int, side: int, count: int) -> list[int]:
    """Where `count` regions of a side begin, spread evenly over a length."""
    if count == 1:
        return [0]
    return [(length - side) * index // (count - 1) for index in range(count)]
