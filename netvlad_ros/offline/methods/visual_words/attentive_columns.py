"""AttentiveColumns: the strongest columns of a network's feature map as local features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.global_descriptors.feature_maps import FeatureMaps
from netvlad_ros.offline.methods.method import spread
from netvlad_ros.offline.methods.recipe import Vector, unit
from netvlad_ros.offline.methods.visual_words.vocabulary import FIT_IMAGES

KEPT = 300  # columns of an image
DIM = 64


class AttentiveColumns:
    """The strongest columns of a feature map, reduced by PCA whitening.

    Differences to DELF: the attention is the norm of the column, which needs no labels, and there
    is one scale.

    Source: Noh et al., "DELF", ICCV 2017; Tolias et al., "HOW", ECCV 2020, for the attention.
    """

    def __init__(self, maps: FeatureMaps) -> None:
        self._maps = maps
        self._centre: NDArray[np.float64] = np.empty(0)
        self._axes: NDArray[np.float64] = np.empty((0, 0))

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn the whitening."""
        rows = spread(len(images), FIT_IMAGES)
        columns = np.concatenate([self._strongest(images[row])[1] for row in rows])
        self._centre = columns.mean(axis=0)
        values, axes = np.linalg.eigh(np.cov(columns - self._centre, rowvar=False))
        kept = np.argsort(-values)[: min(DIM, int((values > 1e-9 * values.max()).sum()))]
        self._axes = axes[:, kept] / np.sqrt(values[kept])

    def extract(self, rgb: NDArray[np.uint8]) -> tuple[Vector, Vector]:
        """Positions (n, 2) [px of rgb] and unit descriptors (n, 64), strongest first."""
        positions, columns = self._strongest(rgb)
        return positions, unit((columns - self._centre) @ self._axes)

    def _strongest(self, rgb: NDArray[np.uint8]) -> tuple[Vector, Vector]:
        maps = self._maps.read(rgb)
        channels, height, width = maps.shape
        columns = maps.reshape(channels, -1).T
        strength = np.linalg.norm(columns, axis=1)
        kept = np.argsort(-strength, kind='stable')[:KEPT]
        kept = kept[strength[kept] > 0]
        y, x = np.divmod(kept, width)
        scale = np.array([rgb.shape[1] / width, rgb.shape[0] / height])
        positions = (np.stack([x, y], axis=1) + 0.5) * scale - 0.5
        return positions.astype(np.float32), unit(columns[kept])
