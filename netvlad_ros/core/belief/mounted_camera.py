"""MountedCamera: a camera on the robot; its measurements expressed at the reference camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from netvlad_ros.core.geometry import Array, distance_m, invert, rotation_angle_deg

# TF may give a slightly different mount for each image, because joints tremble. That is one mount:
# a camera that is new to the belief would count as another independent measurement.
SAME_MOUNT_M, SAME_MOUNT_DEG = 0.05, 2.0


class MountedCamera:
    """A camera mounted on the robot beside the reference camera.

    If it sees what map image j shows, the reference camera is at T_map_cam[j] T_cam_ref. That
    supports the places within a radius and an angle of this pose.

    Args:
        T_map_cam: float64 (N, 4, 4), camera poses of the places.
        T_ref_cam: float64 (4, 4), this camera in the reference camera's frame.
        radius_m: of a place [m].
        radius_deg: of a place [deg].
    """

    def __init__(
        self, T_map_cam: Array, T_ref_cam: Array, *, radius_m: float, radius_deg: float
    ) -> None:
        self._T_ref_cam, self._T_cam_ref = T_ref_cam, invert(T_ref_cam)
        self._source: NDArray[np.int64] | None = (
            None  # map image that supports each place, -1: none
        )
        if not np.allclose(T_ref_cam, np.eye(4)):
            scale = np.r_[np.full(3, radius_m), np.full(9, np.sqrt(2.0) * np.radians(radius_deg))]
            supported = _embed(self.of_reference(T_map_cam)) / scale
            away, nearest = cKDTree(supported).query(_embed(T_map_cam) / scale)
            self._source = np.where(away <= 1.0, nearest, -1)

    def is_at(self, T_ref_cam: Array) -> bool:
        """Whether a mount (4, 4) is this camera's, within SAME_MOUNT_M and SAME_MOUNT_DEG."""
        near = distance_m(T_ref_cam, self._T_ref_cam) <= SAME_MOUNT_M
        return bool(near and rotation_angle_deg(T_ref_cam, self._T_ref_cam) <= SAME_MOUNT_DEG)

    def of_reference(self, T_map_cam: Array) -> Array:
        """Poses of the reference camera (..., 4, 4) where this one's are T_map_cam (..., 4, 4)."""
        return np.asarray(T_map_cam @ self._T_cam_ref)

    def states(self, log_likelihood: Array, elsewhere: float) -> Array:
        """Likelihoods at the reference camera's places, from those at this camera's map images.

        Args:
            log_likelihood: float64 (N,), of the image at each map image.
            elsewhere: log-likelihood where nothing is mapped; it holds for places that no map
                image supports.

        Returns:
            float64 (N,), log-likelihood at each place of the reference camera.
        """
        if self._source is None:
            return log_likelihood
        return np.where(self._source >= 0, log_likelihood[self._source], elsewhere)


def _embed(T: Array) -> Array:
    return np.hstack([T[:, :3, 3], T[:, :3, :3].reshape(-1, 9)])
