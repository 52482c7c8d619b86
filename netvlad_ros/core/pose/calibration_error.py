"""Covariance of a pose by landmarks that follows from an uncertain calibration."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.intrinsics import linearized
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.pose.correspondences import Correspondences

# Largest standard deviations by an error of the calibration. It is one error for all images, so
# what it does to a pose must be small before the pose is of use.
MAX_SIGMA_M = 0.5
MAX_SIGMA_DEPTH = 0.1  # share of the landmarks' median distance
MAX_SIGMA_DEG = 5.0


def covariance_by_calibration(
    correspondences: Correspondences,
    T_map_cam: Array,
    inliers: NDArray[np.bool_],
    error: Array | None,
    depth_m: float,
) -> Array | None:
    """Carry the uncertainty of intrinsics over to the pose that was solved with them.

    Args:
        correspondences: n keypoints with their landmarks.
        T_map_cam: (4, 4), the pose.
        inliers: bool (n,), the correspondences that it was solved from.
        error: (5, 5), second moment of the intrinsics' errors, see camera.intrinsics; None: they
            are right.
        depth_m: median distance of the landmarks [m].

    Returns:
        (6, 6), x, y, z [m] and rotations about the map's axes [rad]; None where it is too large for
        the pose to be of use.

    Source:
        Jazwinski, Stochastic Processes and Filtering Theory, 1970 (consider parameters).
    """
    if error is None:
        return np.zeros((6, 6))
    _, by_pose = correspondences.linearize(T_map_cam, inliers)
    points_cam = (correspondences.points[inliers] - T_map_cam[:3, 3]) @ T_map_cam[:3, :3]
    rays = points_cam[:, :2] / np.maximum(points_cam[:, 2:], 1e-9)
    by_camera = linearized(correspondences.camera, rays)[2]
    seen = np.isfinite(by_camera).all(axis=(1, 2))
    flat, of_camera = by_pose[seen].reshape(-1, 6), by_camera[seen].reshape(-1, len(error))
    try:
        step = np.linalg.solve(flat.T @ flat, flat.T @ of_camera)
    except np.linalg.LinAlgError:
        return None
    found = np.asarray(step @ error @ step.T)
    variance_m, variance_rad = (
        np.linalg.eigvalsh(part)[-1] for part in (found[:3, :3], found[3:, 3:])
    )
    is_small = (
        variance_m <= min(MAX_SIGMA_M, MAX_SIGMA_DEPTH * depth_m) ** 2
        and variance_rad <= math.radians(MAX_SIGMA_DEG) ** 2
    )
    return found if is_small else None
