"""PooledMaps: MAC, SPoC, CroW, GeM and R-MAC of a feature map, without learned parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.global_descriptors.feature_maps import FeatureMaps
from netvlad_ros.offline.methods.recipe import GlobalRecipe, Vector, unit

GEM_POWER = 3.0
LEVELS = 3  # of R-MAC; the side of a square is 2 / (level + 1) of the map's shorter side
OVERLAP = 0.4  # of neighbouring squares, share of a side

Pooling = Callable[[Vector], Vector]


class PooledMaps(GlobalRecipe):
    """A pooling over the map (C, h, w) of a backbone."""

    def __init__(self, maps: FeatureMaps, pooling: Pooling) -> None:
        self._maps, self._pooling = maps, pooling

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Pooled features, float32 (C,), of unit length."""
        return unit(self._pooling(self._maps.read(rgb)))


def mac(maps: Vector) -> Vector:
    """Largest value of each channel (C,).

    Source: Tolias et al., ICLR 2016.
    """
    return np.asarray(maps.max(axis=(1, 2)))


def spoc(maps: Vector) -> Vector:
    """Sum weighted by a Gaussian around the centre (C,); sigma is a sixth of the shorter side.

    Source: Babenko and Lempitsky, ICCV 2015, without their PCA whitening.
    """
    _, height, width = maps.shape
    sigma = min(height, width) / 2 / 3
    y, x = np.ogrid[:height, :width]
    squared = (y - (height - 1) / 2) ** 2 + (x - (width - 1) / 2) ** 2
    return np.asarray((maps * np.exp(-squared / (2 * sigma**2))).sum(axis=(1, 2)))


def crow(maps: Vector) -> Vector:
    """Sum weighted by position, and by the rarity of each channel (C,).

    Source: Kalantidis et al., ECCV workshops 2016.
    """
    strength = maps.sum(axis=0)
    place = np.sqrt(strength / max(float(np.linalg.norm(strength)), 1e-12))
    pooled = (maps * place).sum(axis=(1, 2))
    firing = (maps > 0).mean(axis=(1, 2))
    rarity = np.log(max(float(firing.sum()), 1e-12) / np.maximum(firing, 1e-12))
    return np.asarray(pooled * np.where(firing > 0, rarity, 0))


def gem(maps: Vector) -> Vector:
    """Generalised mean of power 3 (C,).

    Source: Radenovic et al., PAMI 2019.
    """
    return np.asarray((maps.astype(np.float64) ** GEM_POWER).mean(axis=(1, 2)) ** (1 / GEM_POWER))


def rmac(maps: Vector) -> Vector:
    """Sum of unit MACs over a grid of squares of three sizes (C,).

    Source: Tolias et al., ICLR 2016, without their PCA whitening.
    """
    total = np.zeros(len(maps), np.float32)
    for top, left, side in squares(*maps.shape[1:]):
        total += unit(maps[:, top : top + side, left : left + side].max(axis=(1, 2)))
    return total


def squares(height: int, width: int) -> list[tuple[int, int, int]]:
    """Top, left and side of the squares of R-MAC on a map."""
    short, long = sorted((height, width))
    # So many along the longer side that they overlap by about 40 %.
    counts = np.arange(2, 8)
    overlaps = 1 - (long - short) / (counts - 1) / short
    extra = int(np.abs(overlaps - OVERLAP).argmin()) + 1 if long > short else 0
    found = []
    for level in range(1, LEVELS + 1):
        side = max(2 * short // (level + 1), 1)
        along_height = level + (extra if height > width else 0)
        along_width = level + (extra if width > height else 0)
        for top in np.linspace(0, height - side, along_height).astype(int):
            for left in np.linspace(0, width - side, along_width).astype(int):
                found.append((int(top), int(left), side))
    return found
