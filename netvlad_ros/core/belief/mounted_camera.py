"""A camera's evidence told in terms of where the reference camera stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from netvlad_ros.core.geometry import Array, distance_m, invert, rotation_angle_deg

# A mount that TF tells anew for each image, by joints that tremble, is one mount: a camera that the
# belief does not know would count as a witness of its own.
SAME_MOUNT_M, SAME_MOUNT_DEG = 0.05, 2.0


class MountedCamera:
    """A camera mounted at T_ref_cam (4, 4) in the reference camera's frame.

    Seeing what map image j shows, it puts the reference camera at T_map_cam[j] T_cam_ref, and
    speaks for the places of T_map_cam (N, 4, 4) within radius_m [m] and radius_deg [deg] of that.
    """

    def __init__(
        self, T_map_cam: Array, T_ref_cam: Array, *, radius_m: float, radius_deg: float
    ) -> None:
        self._T_ref_cam, self._T_cam_ref = T_ref_cam, invert(T_ref_cam)
        self._source: NDArray[np.int64] | None = None  # of each place, the map image that tells
        if not np.allclose(T_ref_cam, np.eye(4)):
            scale = np.r_[np.full(3, radius_m), np.full(9, np.sqrt(2.0) * np.radians(radius_deg))]
            told = _embed(self.of_reference(T_map_cam)) / scale
            away, nearest = cKDTree(told).query(_embed(T_map_cam) / scale)
            self._source = np.where(away <= 1.0, nearest, -1)

    def is_at(self, T_ref_cam: Array) -> bool:
        """Whether a mount (4, 4) is this camera's, but for a trembling."""
        near = distance_m(T_ref_cam, self._T_ref_cam) <= SAME_MOUNT_M
        return bool(near and rotation_angle_deg(T_ref_cam, self._T_ref_cam) <= SAME_MOUNT_DEG)

    def of_reference(self, T_map_cam: Array) -> Array:
        """Poses of the reference camera (..., 4, 4) where this one's are T_map_cam (..., 4, 4)."""
        return np.asarray(T_map_cam @ self._T_cam_ref)

    def states(self, log_likelihood: Array, elsewhere: float) -> Array:
        """Log-likelihoods of the reference camera's places (N,), from those of map images (N,).

        Where the map has no image that would tell, this camera sees what is not mapped.
        """
        if self._source is None:
            return log_likelihood
        return np.where(self._source >= 0, log_likelihood[self._source], elsewhere)


def _embed(T: Array) -> Array:
    return np.hstack([T[:, :3, 3], T[:, :3, :3].reshape(-1, 9)])
