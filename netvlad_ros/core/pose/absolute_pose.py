"""Pose of a camera from landmarks that it sees (PnP), with its covariance, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.geometry import Array
from netvlad_ros.core.pose.correspondences import Correspondences
from netvlad_ros.core.pose.huber import huber_weights
from netvlad_ros.core.pose.inlier_statistics import (
    CONFIDENCE,
    disc_share,
    is_clustered,
    iterations,
    min_significant_inliers,
)

SIGMA_PX = 1.0  # least error of a keypoint: small residuals of a few inliers are no proof of less
MAX_SIGMA_M = 1.0  # a less certain pose says no more than the map image by which it was found
MAX_SIGMA_DEG = 10.0
MAX_SIGMA_DEPTH = 0.25  # share of the landmarks' median distance: depth depends on focal length
RIVAL_SHARE = 0.6  # of the inliers: a second pose with as many makes both doubtful
SAME_POSE_DEPTH = 0.1  # share of the landmarks' median distance: nearer poses are one pose
SAME_POSE_DEG = 5.0
REFINEMENTS = 2
GAUSS_NEWTON_STEPS = 5  # the last ones change the pose by less than a tenth of its sigma
# Plain RANSAC on P3P, because the steps after it refine the pose and count inliers again. On real
# maps MAGSAC++ found the same poses in twice the time. It draws the same samples every time.
SOLVER = cv2.SOLVEPNP_P3P


@dataclass(frozen=True)
class AbsolutePose:
    """A pose of a camera from its landmarks, or why there is none.

    Attributes:
        T_map_cam: (4, 4), camera in the map frame; None without a pose.
        covariance: (6, 6), x, y, z [m] and rotations about the map's axes [rad]; None without a
            pose.
        inliers: bool (n,), of the given correspondences; each keypoint and each landmark counts
            once.
        residual_px: root mean square of the inliers' residuals [px]; NaN without a pose.
        degenerate: '' or why there is no pose.
    """

    T_map_cam: Array | None
    covariance: Array | None
    inliers: NDArray[np.bool_]
    residual_px: float
    degenerate: str


def absolute_pose(
    correspondences: Correspondences,
    *,
    max_reprojection_px: float,
    min_inliers: int,
    sigma_px: float = SIGMA_PX,
) -> AbsolutePose:
    """Estimate the pose of a camera from n correspondences, many of which may be wrong.

    RANSAC on P3P over undistorted rays finds the pose. Gauss-Newton with Huber weights on
    residuals in pixels refines it. A pose is refused in these cases:

    - fewer than min_inliers distinct inliers, or so few that chance explains them,
    - inliers in one spot of the image,
    - standard deviations above MAX_SIGMA_M, MAX_SIGMA_DEG or MAX_SIGMA_DEPTH of the distance,
    - a second pose that fits nearly as well.

    Args:
        correspondences: n keypoints with the landmarks that they were matched to.
        max_reprojection_px: largest residual of an inlier [px].
        min_inliers: fewest distinct inliers of a pose.
        sigma_px: least error of a keypoint that the covariance assumes [px].
    """
    n = len(correspondences.rays)

    def refused(reason: str) -> AbsolutePose:
        return AbsolutePose(None, None, np.zeros(n, dtype=bool), float('nan'), reason)

    camera = correspondences.camera
    distinct = int(correspondences.distinct(np.ones(n, dtype=bool)).sum())
    needed = min_significant_inliers(
        n, min_inliers, sample=3, solutions=4,
        share=disc_share(max_reprojection_px, camera.width, camera.height),
    )  # fmt: skip
    if distinct < needed:
        return refused('too few matches')
    found = _search(correspondences, max_reprojection_px, needed)
    if found is None:
        return refused('no pose fits')
    T, inliers = found
    count = int(inliers.sum())
    if is_clustered(correspondences.pixels[inliers], camera.width, camera.height):
        return refused('inliers in one spot')
    residual, jacobian = correspondences.linearize(T, inliers)
    rms = float(np.sqrt(np.mean((residual**2).sum(axis=1)) / 2))
    covariance = _covariance(residual, jacobian, max_reprojection_px, max(sigma_px, rms))
    if covariance is None:
        return refused('too uncertain')
    sigma_m = float(np.sqrt(np.linalg.eigvalsh(covariance[:3, :3])[-1]))
    sigma_deg = float(np.degrees(np.sqrt(np.linalg.eigvalsh(covariance[3:, 3:])[-1])))
    depth_m = float(np.median(np.linalg.norm(correspondences.points[inliers] - T[:3, 3], axis=1)))
    if sigma_m > min(MAX_SIGMA_M, MAX_SIGMA_DEPTH * depth_m) or sigma_deg > MAX_SIGMA_DEG:
        return refused('too uncertain')
    # Do the other correspondences agree on another pose? A repeated pattern, a mirror and a
    # similar place make them.
    left = ~np.isin(correspondences.keypoint, correspondences.keypoint[inliers])
    needed = max(needed, int(np.ceil(RIVAL_SHARE * count)))
    if correspondences.distinct(left).sum() >= needed:
        rival = _search(correspondences.where(left), max_reprojection_px, needed)
        if rival is not None:
            step = _pose_step(T, rival[0])
            if np.linalg.norm(step[:3]) > SAME_POSE_DEPTH * depth_m:
                return refused('two poses fit')
            if np.linalg.norm(step[3:]) > np.radians(SAME_POSE_DEG):
                return refused('two poses fit')
            # A wrong calibration splits one pose into two: both lie within the covariance.
            covariance = covariance + np.outer(step, step)
    return AbsolutePose(T, covariance, inliers, rms, '')


def _search(
    correspondences: Correspondences, max_px: float, min_inliers: int
) -> tuple[Array, NDArray[np.bool_]] | None:
    """Pose with the best consensus and its distinct inliers, or None."""
    focal = correspondences.camera.focal_px
    K = np.diag([focal, focal, 1.0])
    try:
        ok, rvec, tvec, _ = cv2.solvePnPRansac(
            correspondences.points, correspondences.rays * focal, K, None,
            iterationsCount=iterations(min_inliers / len(correspondences.rays), 3),
            reprojectionError=max_px, confidence=CONFIDENCE, flags=SOLVER,
        )  # fmt: skip
    except cv2.error:  # raised on degenerate samples, as points that coincide
        return None
    if not ok or not np.isfinite([rvec, tvec]).all():
        return None
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(rvec)[0].T
    T[:3, 3] = -T[:3, :3] @ tvec.ravel()
    for reach in (2.0, *[1.0] * REFINEMENTS):
        inliers = correspondences.inliers(T, reach * max_px)
        if inliers.sum() < max(4, min_inliers):
            return None
        refined = _refine(correspondences, T, inliers, max_px)
        if refined is None:
            return None
        T = refined
    inliers = correspondences.inliers(T, max_px)
    return (T, inliers) if inliers.sum() >= min_inliers else None


def _pose_step(T: Array, T_other: Array) -> Array:
    """Translation [m] and rotation about the map's axes [rad] from one pose to another, (6,)."""
    turn = Rotation.from_matrix(T_other[:3, :3] @ T[:3, :3].T).as_rotvec()
    return np.concatenate([T_other[:3, 3] - T[:3, 3], turn])


def _refine(
    correspondences: Correspondences, T: Array, inliers: NDArray[np.bool_], max_px: float
) -> Array | None:
    """Gauss-Newton with Huber weights on the inliers' residuals; None where it fails."""
    for _ in range(GAUSS_NEWTON_STEPS):
        residual, jacobian = correspondences.linearize(T, inliers)
        weights = _weights(residual, max_px)
        weighted = jacobian * weights[:, np.newaxis, np.newaxis]
        hessian = np.einsum('nki,nkj->ij', weighted, jacobian)
        gradient = np.einsum('nki,nk->i', weighted, residual)
        try:
            step = np.linalg.solve(hessian + 1e-9 * np.diag(np.diag(hessian)), -gradient)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(step).all():
            return None
        T = T.copy()
        T[:3, 3] += step[:3]
        T[:3, :3] = Rotation.from_rotvec(step[3:]).as_matrix() @ T[:3, :3]
        if np.abs(step).max() < 1e-5:  # [m], [rad]
            break
    return T


def _covariance(residual: Array, jacobian: Array, max_px: float, sigma_px: float) -> Array | None:
    weighted = jacobian * _weights(residual, max_px)[:, np.newaxis, np.newaxis]
    hessian = np.einsum('nki,nkj->ij', weighted, jacobian)
    try:
        covariance = np.linalg.inv(hessian) * sigma_px**2
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None
    return np.asarray((covariance + covariance.T) / 2)


def _weights(residual: Array, max_px: float) -> Array:
    """Huber weights (m,) of residuals (m, 2) [px]; at the inlier threshold max_px it is a half."""
    return huber_weights(np.linalg.norm(residual, axis=1), max_px / 2)
