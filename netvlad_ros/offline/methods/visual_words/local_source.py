"""LocalSource: local features of an image, as sparse or dense SIFT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.extractor import open_extractor
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.features.sift_orb import shrunken_grey
from netvlad_ros.offline.methods.extraction_cache import Arrays, ExtractionCache
from netvlad_ros.offline.methods.recipe import Vector, unit

GRID_PX = 8  # distance between dense keypoints
DENSE_BINS_PX = (4, 6, 8, 10)  # sizes of a bin; a patch has 4 x 4 bins
BINS_OF_SIZE = 1.5  # bins of OpenCV in the size of a keypoint
DENSE_SIDE_PX = 320


class LocalSource(Protocol):
    """Finds local features of an image."""

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn from images, if the source learns."""

    def extract(self, rgb: NDArray[np.uint8]) -> tuple[Vector, Vector]:
        """Positions (n, 2) [px of rgb] and descriptors (n, D), both float32, n may be 0."""


class SparseSift:
    """RootSIFT at keypoints, as in maps."""

    def __init__(self, cache: ExtractionCache) -> None:
        self._extractor = open_extractor(FeatureSpec.built_in('sift'))
        self._cache = cache

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Nothing to learn."""

    def extract(self, rgb: NDArray[np.uint8]) -> tuple[Vector, Vector]:
        """At most 1000 features: positions (n, 2), unit descriptors (n, 128)."""
        positions, found = self._cache.of(str(self._extractor.spec), rgb, lambda: self._found(rgb))
        return positions, unit(found.astype(np.float32))

    def _found(self, rgb: NDArray[np.uint8]) -> Arrays:
        found = self._extractor.extract(rgb)
        return found.keypoints, found.descriptors


class DenseSift:
    """Upright RootSIFT on a grid, in several sizes.

    Source: Torii et al., CVPR 2015.
    """

    def __init__(self, cache: ExtractionCache) -> None:
        self._sift = cv2.SIFT.create()
        self._cache = cache

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Nothing to learn."""

    def extract(self, rgb: NDArray[np.uint8]) -> tuple[Vector, Vector]:
        """Grid positions (n, 2) and unit descriptors (n, 128)."""
        kind = f'dense SIFT {GRID_PX} {DENSE_BINS_PX} {DENSE_SIDE_PX}'
        positions, found = self._cache.of(kind, rgb, lambda: self._found(rgb))
        total = np.maximum(found.sum(axis=1, keepdims=True, dtype=np.float32), 1e-12)
        return positions, unit(np.sqrt(found.astype(np.float32) / total))

    def _found(self, rgb: NDArray[np.uint8]) -> Arrays:
        grey = shrunken_grey(rgb, DENSE_SIDE_PX)
        keypoints = [
            cv2.KeyPoint(float(x), float(y), width / BINS_OF_SIZE, 0.0)
            for width in DENSE_BINS_PX
            for y in range(GRID_PX, grey.shape[0] - GRID_PX + 1, GRID_PX)
            for x in range(GRID_PX, grey.shape[1] - GRID_PX + 1, GRID_PX)
        ]
        if not keypoints:
            return np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8)
        kept, histograms = self._sift.compute(grey, keypoints)
        points = np.array([point.pt for point in kept], np.float32)
        # The histograms of OpenCV are whole numbers up to 255.
        return points * np.float32(rgb.shape[1] / grey.shape[1]), histograms.astype(np.uint8)
