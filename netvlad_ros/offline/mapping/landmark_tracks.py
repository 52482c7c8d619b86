"""LandmarkTracks: the landmarks of a map as they are without some of its keyframes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.place_map.feature_store import FeatureStore
from netvlad_ros.offline.mapping.landmarks import MIN_IMAGES, MIN_PARALLAX_DEG
from netvlad_ros.offline.mapping.triangulation import Observations, parallax_deg, triangulate


@dataclass(frozen=True)
class LandmarkTracks:
    """Which keypoints of a map show which landmark.

    Attributes:
        store: the features and landmarks of the map.
        T_map_cam: (N, 4, 4) [m], poses of the keyframes.
        camera: that the landmarks were triangulated with.
        rows: int64 (n,), keypoints that show a landmark, sorted by landmark.
        starts: int64 (L + 1,), landmark i owns rows[starts[i]:starts[i + 1]].
    """

    store: FeatureStore
    T_map_cam: Array
    camera: CameraModel
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, store: FeatureStore, T_map_cam: Array, camera: CameraModel) -> LandmarkTracks:
        """The tracks of a store that has landmarks; T_map_cam (N, 4, 4) [m]."""
        assert store.landmark_of is not None
        rows = np.flatnonzero(store.landmark_of >= 0)
        landmark = store.landmark_of[rows]
        order = np.argsort(landmark, kind='stable')
        starts = np.searchsorted(landmark[order], np.arange(len(store.points) + 1))
        return cls(store, T_map_cam, camera, rows[order], starts)

    def without(self, images: NDArray[np.int64]) -> FeatureStore:
        """The store, with the landmarks that `images` (k,) show triangulated from all others.

        A landmark that the others do not determine is lost. Landmarks keep their numbers.
        """
        store = self.store
        assert store.landmark_of is not None
        shown = [store.landmark_of[store.offsets[i] : store.offsets[i + 1]] for i in images]
        touched = np.unique(np.concatenate(shown)).astype(np.int64)
        touched = touched[touched >= 0]
        counts = self.starts[touched + 1] - self.starts[touched]
        track = np.repeat(np.arange(len(touched)), counts)
        first = np.repeat(self.starts[touched] - (np.cumsum(counts) - counts), counts)
        rows = self.rows[first + np.arange(len(track))]
        image = np.searchsorted(store.offsets, rows, side='right') - 1
        kept = ~np.isin(image, images)
        points, landmark_of = store.points.copy(), store.landmark_of.copy()
        determined = np.zeros(len(touched), dtype=bool)
        if kept.any():
            rays = self.camera.rays(store.keypoints[rows[kept]])
            seen = Observations(track[kept], image[kept], rays, len(touched))
            moved, _ = triangulate(seen, self.T_map_cam, store.points[touched])
            determined = np.bincount(seen.track, minlength=len(touched)) >= MIN_IMAGES
            determined &= parallax_deg(seen, self.T_map_cam, moved) >= MIN_PARALLAX_DEG
            determined &= np.isfinite(moved).all(axis=1)
            points[touched[determined]] = moved[determined]
        landmark_of[rows[~kept | ~determined[track]]] = -1
        return replace(store, points=points, landmark_of=landmark_of)
