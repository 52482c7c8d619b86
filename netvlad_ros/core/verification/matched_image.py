"""MatchedImage: a map image whose features were matched to those of the query image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.place_map.feature_store import FeatureStore


@dataclass(frozen=True)
class MatchedImage:
    """A map image of a place, matched to the query image.

    Attributes:
        rank: rank among the candidates.
        index: row of the map.
        matches: int64 (m, 2), indices of the query's and the map image's keypoint.
    """

    rank: int
    index: int
    matches: NDArray[np.int64]

    def landmarks(self, store: FeatureStore) -> NDArray[np.int64]:
        """Number of the landmark of each match, int64 (m,), -1 = none."""
        return store.landmarks(self.index)[self.matches[:, 1]].astype(np.int64)


def landmark_pairs(store: FeatureStore, matched_images: list[MatchedImage]) -> NDArray[np.int64]:
    """Keypoints of a query image and the landmarks that they were matched to.

    Args:
        store: features of the map, with landmarks.
        matched_images: map images of one place.

    Returns:
        int64 (n, 2), index of the keypoint and number of the landmark. Several map images show the
        same landmark: a pair occurs once.
    """
    pairs = [
        np.column_stack([image.matches[:, 0], of_image])[of_image >= 0]
        for image in matched_images
        for of_image in [image.landmarks(store)]
    ]
    return np.unique(np.concatenate(pairs), axis=0)
