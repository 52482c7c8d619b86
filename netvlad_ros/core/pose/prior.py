"""From places that agree to a pose with an honest covariance."""

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
    """A pose in the map frame and how sure it is.

    T: float64 (4, 4). covariance: float64 (6, 6) of x, y, z [m] and rotations about the map's x,
    y, z axes [rad]; diagonal and positive, so that every consumer's validator takes it. method:
    what it was computed from, one of map_calibration.METHODS.
    """

    T: Array
    covariance: Array
    method: str

    def of_base(self, T_base_cam: Array) -> PosePrior:
        """Prior of the base, this one being of the camera: T_map_base = T_map_cam T_cam_base."""
        T = self.T @ invert(T_base_cam)
        # A camera turned by w (map axes) swings the base by w x lever, lever from camera to base.
        lever = T[:3, 3] - self.T[:3, 3]
        jacobian = np.eye(6)
        jacobian[:3, 3:] = -cross_matrix(lever)
        return PosePrior(T, diagonal_bound(jacobian @ self.covariance @ jacobian.T), self.method)


def pose_prior(
    T_map_cam: Array, weights: Array, *, sigma_m: float, sigma_deg: float, inflation: float
) -> PosePrior:
    """Pose of the camera from k >= 1 mapped poses (k, 4, 4) that show the same place.

    weights: (k,), positive. The mean resists outliers by iterated reweighting (Huber, Robust
    Statistics, 1981). Covariance: the weighted spread of the poses times `inflation`, plus
    sigma_m [m] and sigma_deg [deg] squared on every axis: agreement among a few map images says
    little below the map's own spacing.
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
    """Smallest-looking diagonal matrix that is nowhere tighter than a covariance (..., 6, 6).

    Nav2 refuses negative correlations and reads hardly any; dropping them would claim too much in
    some directions. With variance_i (1 + sum_j |rho_ij|) the difference is diagonally dominant,
    hence positive semidefinite (Gershgorin).
    """
    sigma = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    correlation = np.abs(covariance / (sigma[..., :, np.newaxis] * sigma[..., np.newaxis, :]))
    return np.asarray((sigma**2 * correlation.sum(axis=-1))[..., np.newaxis] * np.eye(6))


def _weights_by_median(residuals: Array) -> Array:
    """Huber weights (k,) with their limit at 1.5 times the median residual; none is zero."""
    return huber_weights(residuals, 1.5 * float(np.median(residuals)) + 1e-9)
