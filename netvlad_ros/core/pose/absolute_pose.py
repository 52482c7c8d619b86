"""Pose of a camera from landmarks that it sees (PnP), with an honest covariance or a refusal."""

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

SIGMA_PX = 1.0  # of a keypoint: no residual of a few inliers argues it down
MAX_SIGMA_M = 1.0  # a pose looser than this says no more than the map image it was found by
MAX_SIGMA_DEG = 10.0
MAX_SIGMA_DEPTH = 0.25  # of the landmarks' median distance: depth and focal length trade off
RIVAL_SHARE = 0.6  # of the inliers: a second pose with as many makes both doubtful
SAME_POSE_DEPTH = 0.1  # of the landmarks' median distance: as far as one pose splits into two
SAME_POSE_DEG = 5.0
REFINEMENTS = 2
GAUSS_NEWTON_STEPS = 5  # from consensus on; the last ones move by less than a tenth of a sigma
# Plain RANSAC on P3P: what follows refines and re-counts anyway; on real maps MAGSAC++ found the
# same poses in twice the time. It draws the same numbers every time.
SOLVER = cv2.SOLVEPNP_P3P


@dataclass(frozen=True)
class AbsolutePose:
    """A pose, or why there is none.

    T_map_cam: (4, 4), None where `degenerate` says why. covariance: (6, 6) of x, y, z [m] and
    rotations about the map's axes [rad], None without a pose. inliers: bool (n,), of the sightings
    given; each keypoint and each landmark counts once. residual_px: root mean square.
    """

    T_map_cam: Array | None
    covariance: Array | None
    inliers: NDArray[np.bool_]
    residual_px: float
    degenerate: str


def absolute_pose(
    sightings: Correspondences,
    *,
    max_reprojection_px: float,
    min_inliers: int,
    sigma_px: float = SIGMA_PX,
) -> AbsolutePose:
    """Estimate the pose of the camera that made n sightings, robust to many wrong ones.

    RANSAC on P3P over undistorted rays, then Gauss-Newton with Huber weights on residuals in
    pixels. sigma_px: error of a keypoint, at least, for the covariance. Refused: fewer than
    min_inliers distinct inliers or so few that chance explains them, inliers in one spot, standard
    deviations above MAX_SIGMA_M, MAX_SIGMA_DEG or MAX_SIGMA_DEPTH of the distance, and two poses
    that fit nearly equally well.
    """
    n = len(sightings.rays)

    def refused(reason: str) -> AbsolutePose:
        return AbsolutePose(None, None, np.zeros(n, dtype=bool), float('nan'), reason)

    camera = sightings.camera
    distinct = int(sightings.distinct(np.ones(n, dtype=bool)).sum())
    needed = min_significant_inliers(
        n, min_inliers, sample=3, solutions=4,
        share=disc_share(max_reprojection_px, camera.width, camera.height),
    )  # fmt: skip
    if distinct < needed:
        return refused('too few matches')
    found = _search(sightings, max_reprojection_px, needed)
    if found is None:
        return refused('no pose fits')
    T, inliers = found
    count = int(inliers.sum())
    if is_clustered(sightings.pixels[inliers], camera.width, camera.height):
        return refused('inliers in one spot')
    residual, jacobian = sightings.linearize(T, inliers)
    rms = float(np.sqrt(np.mean((residual**2).sum(axis=1)) / 2))
    covariance = _covariance(residual, jacobian, max_reprojection_px, max(sigma_px, rms))
    if covariance is None:
        return refused('too uncertain')
    sigma_m = float(np.sqrt(np.linalg.eigvalsh(covariance[:3, :3])[-1]))
    sigma_deg = float(np.degrees(np.sqrt(np.linalg.eigvalsh(covariance[3:, 3:])[-1])))
    depth_m = float(np.median(np.linalg.norm(sightings.points[inliers] - T[:3, 3], axis=1)))
    if sigma_m > min(MAX_SIGMA_M, MAX_SIGMA_DEPTH * depth_m) or sigma_deg > MAX_SIGMA_DEG:
        return refused('too uncertain')
    # What is left over: does it agree on another pose? (A repeated pattern, a mirror, a twin.)
    left = ~np.isin(sightings.keypoint, sightings.keypoint[inliers])
    needed = max(needed, int(np.ceil(RIVAL_SHARE * count)))
    if sightings.distinct(left).sum() >= needed:
        rival = _search(sightings.where(left), max_reprojection_px, needed)
        if rival is not None:
            step = pose_step(T, rival[0])
            if np.linalg.norm(step[:3]) > SAME_POSE_DEPTH * depth_m:
                return refused('two poses fit')
            if np.linalg.norm(step[3:]) > np.radians(SAME_POSE_DEG):
                return refused('two poses fit')
            covariance = covariance + np.outer(step, step)  # a calibration that is off splits one
    return AbsolutePose(T, covariance, inliers, rms, '')


def _search(
    sightings: Correspondences, max_px: float, min_inliers: int
) -> tuple[Array, NDArray[np.bool_]] | None:
    """Pose with the best consensus and its distinct inliers, or None."""
    focal = sightings.camera.focal_px
    K = np.diag([focal, focal, 1.0])
    try:
        ok, rvec, tvec, _ = cv2.solvePnPRansac(
            sightings.points, sightings.rays * focal, K, None,
            iterationsCount=iterations(min_inliers / len(sightings.rays), 3),
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
        inliers = sightings.inliers(T, reach * max_px)
        if inliers.sum() < max(4, min_inliers):
            return None
        refined = _refine(sightings, T, inliers, max_px)
        if refined is None:
            return None
        T = refined
    inliers = sightings.inliers(T, max_px)
    return (T, inliers) if inliers.sum() >= min_inliers else None


def pose_step(T: Array, T_other: Array) -> Array:
    """Translation [m] and rotation about the map's axes [rad] from one pose to another, (6,)."""
    turn = Rotation.from_matrix(T_other[:3, :3] @ T[:3, :3].T).as_rotvec()
    return np.concatenate([T_other[:3, 3] - T[:3, 3], turn])


def _refine(
    sightings: Correspondences, T: Array, inliers: NDArray[np.bool_], max_px: float
) -> Array | None:
    """Gauss-Newton with Huber weights on the inliers' residuals; None where it breaks down."""
    for _ in range(GAUSS_NEWTON_STEPS):
        residual, jacobian = sightings.linearize(T, inliers)
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
