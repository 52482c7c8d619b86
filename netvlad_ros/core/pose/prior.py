"""PosePrior: a pose with its covariance, and its estimate from mapped poses of one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from netvlad_ros.core.geometry import (
    Array,
    cross_matrix,
    distance_m,
    invert,
    mean_pose,
    rotation_angle_deg,
)
from netvlad_ros.core.pose.huber import huber_weights


@dataclass(frozen=True)
class PosePrior:
    """A pose in the map frame and its covariance.

    Attributes:
        T: float64 (4, 4), the pose in the map frame.
        covariance: float64 (6, 6), x, y, z [m] and rotations about the map's axes [rad]; diagonal
            and positive, so that every receiver accepts it.
        method: what the pose was computed from, one of place_map.calibration.METHODS.
    """

    T: Array
    covariance: Array
    method: str

    def of_base(self, T_base_cam: Array) -> PosePrior:
        """Turn the prior of a camera into that of the base: T_map_base = T_map_cam T_cam_base."""
        T = self.T @ invert(T_base_cam)
        # A rotation w of the camera (map axes) moves the base by w x lever, from camera to base.
        lever = T[:3, 3] - self.T[:3, 3]
        jacobian = np.eye(6)
        jacobian[:3, 3:] = -cross_matrix(lever)
        return PosePrior(T, diagonal_bound(jacobian @ self.covariance @ jacobian.T), self.method)


def pose_prior(
    T_map_cam: Array, weights: Array, *, sigma_m: float, sigma_deg: float, inflation: float
) -> PosePrior:
    """Pose of the camera from k >= 1 mapped poses that show the same place.

    A mean that is robust to outliers, by iterated reweighting. The covariance is the weighted
    spread of the poses times `inflation`, plus sigma_m and sigma_deg squared on every axis:
    agreement of a few map images says little below the spacing of the map.

    Args:
        T_map_cam: (k, 4, 4), the mapped poses.
        weights: (k,), positive.
        sigma_m: standard deviation that is added to positions [m].
        sigma_deg: standard deviation that is added to rotations [deg].
        inflation: factor on the spread.

    Source:
        Huber, Robust Statistics, 1981.
    """
    T = mean_pose(T_map_cam, weights)
    robust = weights
    for _ in range(3):
        robust = weights * _weights_by_median(distance_m(T_map_cam, T))
        robust = robust * _weights_by_median(rotation_angle_deg(T_map_cam, T[np.newaxis]))
        T = mean_pose(T_map_cam, robust)
    shares = robust / robust.sum()
    offsets = T_map_cam[:, :3, 3] - T[:3, 3]
    turns = Rotation.from_matrix(T_map_cam[:, :3, :3] @ T[:3, :3].T).as_rotvec()
    residuals = np.hstack([offsets, turns])
    covariance = inflation * (residuals.T * shares) @ residuals
    floor = [sigma_m**2] * 3 + [np.radians(sigma_deg) ** 2] * 3
    return PosePrior(T, diagonal_bound(covariance + np.diag(floor)), 'map_images')


def diagonal_bound(covariance: Array) -> Array:
    """Diagonal matrix (..., 6, 6) that is in no direction smaller than a covariance (..., 6, 6).

    Nav2 refuses negative correlations and uses hardly any others. A covariance without them would
    be too small in some directions. With variance_i (1 + sum_j |rho_ij|) the difference is
    diagonally dominant, hence positive semidefinite (Gershgorin).
    """
    sigma = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    correlation = np.abs(covariance / (sigma[..., :, np.newaxis] * sigma[..., np.newaxis, :]))
    return np.asarray((sigma**2 * correlation.sum(axis=-1))[..., np.newaxis] * np.eye(6))


def _weights_by_median(residuals: Array) -> Array:
    """Huber weights (k,) with their limit at 1.5 times the median residual; none is zero."""
    return huber_weights(residuals, 1.5 * float(np.median(residuals)) + 1e-9)
