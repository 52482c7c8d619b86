"""FreeCalibration: the calibration with which one image agrees with its landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.intrinsics import (
    COUNT,
    RADIAL,
    intrinsics_of,
    linearized,
    with_intrinsics,
)
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, cross_matrix
from netvlad_ros.core.pose.correspondences import distinct
from netvlad_ros.core.pose.huber import huber_weights
from netvlad_ros.core.pose.inlier_statistics import (
    disc_share,
    is_clustered,
    min_significant_inliers,
)

# Focal lengths [image widths] from which the search starts, beside the calibrations that it is
# given: fields of view from 96 to 27 degrees.
FOCAL_STARTS = (0.45, 0.65, 0.95, 1.4, 2.1)
SEARCHED = 256  # most matches that the search looks at
SEARCH_REACH = 3.0  # inlier thresholds: the focal length of a start is off by up to 20 %
SEARCH_ITERATIONS = 60  # of RANSAC for each start; three of ten matches right: four samples of them
# Inlier thresholds of the refinement, one a step of Gauss-Newton.
REACHES = (4.0, 3.0, 2.0, 1.5, 1.0, 1.0, 1.0, 1.0)
MAX_STEP = 0.5  # of one number of the intrinsics
MIN_INLIERS = 20  # for 6 numbers of the pose and 5 of the camera
# Standard deviations of the intrinsics about an ideal camera of the start's focal length. They
# keep what the landmarks leave open from running away, and are taken out of the result.
WEAK_SIGMA = np.array([1.0, 0.2, 0.2, 0.2, 0.2])


@dataclass(frozen=True)
class FreeCalibration:
    """Intrinsics from the landmarks in one image, whatever its camera_info says.

    Attributes:
        intrinsics: (5,), see camera.intrinsics.
        information: (5, 5), inverse of their covariance after the pose is eliminated; nearly zero
            in directions that the landmarks leave open: one plane, or a scene far away.
        inliers: number of distinct landmarks that agree.
    """

    intrinsics: Array
    information: Array
    inliers: int


def free_calibration(
    starts: Sequence[CameraModel],
    pixels: NDArray[np.floating],
    points: NDArray[np.floating],
    keypoint: NDArray[np.int64],
    landmark: NDArray[np.int64],
    *,
    max_px: float,
    sigma_px: float,
) -> FreeCalibration | None:
    """Estimate pose and intrinsics of a camera together from n matched landmarks.

    RANSAC on P3P with several focal lengths finds the start that most matches agree with.
    Gauss-Newton with Huber weights refines pose and intrinsics.

    Args:
        starts: calibrations to start from, for this image size; the distortion model of the first
            one is refined.
        pixels: (n, 2), keypoints [px].
        points: (n, 3), landmarks [m], in the map frame.
        keypoint: int64 (n,), number of each keypoint.
        landmark: int64 (n,), number of each landmark.
        max_px: largest residual of an inlier [px].
        sigma_px: least error of a keypoint [px].

    Returns:
        The calibration; None where too few landmarks agree to tell one.
    """
    first = starts[0]
    needed = min_significant_inliers(
        len(pixels), MIN_INLIERS, sample=6, solutions=1,
        share=disc_share(max_px, first.width, first.height),
    )  # fmt: skip
    every = np.ones(len(pixels), dtype=bool)
    if distinct(keypoint, landmark, every).sum() < needed:
        return None
    at = np.asarray(pixels, dtype=np.float64)
    # Coordinates of thousands of metres would cost digits.
    local = np.asarray(points, dtype=np.float64) - np.median(points, axis=0)
    some = slice(None, None, -(-len(at) // SEARCHED))
    found = [
        _search(camera, at[some], local[some], SEARCH_REACH * max_px) for camera in _starts(starts)
    ]
    known = [one for one in found if one is not None]
    if not known:
        return None
    best = max(known, key=lambda one: one.score)
    try:
        solved = _refine(best, at, local, max_px)
        if solved is None:
            return None
        off, by_pose, by_camera = _linearize(solved, at, local)
    except (NetvladError, np.linalg.LinAlgError):  # the search ran out of what a camera can be
        return None
    error = np.linalg.norm(off, axis=1)
    good = distinct(keypoint, landmark, error <= max_px, error)
    if good.sum() < needed or is_clustered(at[good], first.width, first.height):
        return None
    weights = huber_weights(error[good], max_px / 2)
    rms = float(np.sqrt(np.mean(error[good] ** 2) / 2))
    jacobian = np.concatenate([by_pose, by_camera], axis=2)[good]
    hessian = _hessian(jacobian, weights) / max(sigma_px, rms) ** 2
    # What 2 n equations tell beyond the unknowns.
    hessian *= max(1.0 - (6 + COUNT) / (2.0 * good.sum()), 0.1)
    to_pose = np.linalg.solve(
        hessian[:6, :6] + 1e-12 * np.diag(np.diag(hessian[:6, :6])), hessian[:6, 6:]
    )
    information = hessian[6:, 6:] - hessian[6:, :6] @ to_pose
    return FreeCalibration(
        intrinsics_of(solved.camera), (information + information.T) / 2, int(good.sum())
    )


@dataclass(frozen=True)
class _Solution:
    """A camera and its pose; R (3, 3) and t (3,) map points of the map into the camera."""

    camera: CameraModel
    R: Array
    t: Array
    score: float


def _starts(given: Sequence[CameraModel]) -> list[CameraModel]:
    first = given[0]
    ideal = intrinsics_of(first)
    ideal[1:RADIAL] = 0.0, 0.5, 0.5 * first.height / first.width
    ladder = []
    for focal in FOCAL_STARTS:
        ideal[0] = np.log(focal)
        ladder.append(with_intrinsics(first, ideal))
    return [*given, *ladder]


def _search(camera: CameraModel, pixels: Array, points: Array, max_px: float) -> _Solution | None:
    """The pose with which most matches agree, if the camera is this one."""
    rays = camera.rays(pixels)
    usable = np.isfinite(rays).all(axis=1)
    if usable.sum() < MIN_INLIERS:
        return None
    focal = camera.focal_px
    try:
        ok, rvec, tvec, _ = cv2.solvePnPRansac(
            points[usable], rays[usable] * focal, np.diag([focal, focal, 1.0]), None,
            iterationsCount=SEARCH_ITERATIONS, reprojectionError=max_px, confidence=0.9999,
            flags=cv2.SOLVEPNP_P3P,
        )  # fmt: skip
    except cv2.error:  # raised on degenerate samples, as points that coincide
        return None
    if not ok or not np.isfinite([rvec, tvec]).all():
        return None
    R: Array = np.asarray(cv2.Rodrigues(rvec)[0], dtype=np.float64)
    found = _Solution(camera, R, np.asarray(tvec, dtype=np.float64).ravel(), 0.0)
    off = _residuals(found, pixels, points)
    share = np.minimum(np.linalg.norm(off, axis=1) / max_px, 1.0)
    return _Solution(camera, found.R, found.t, float((1.0 - share**2).sum()))


def _refine(start: _Solution, pixels: Array, points: Array, max_px: float) -> _Solution | None:
    """Gauss-Newton on pose and intrinsics, with fewer and fewer outliers."""
    ideal = intrinsics_of(start.camera)
    ideal[1:] = 0.0, 0.5, 0.5 * start.camera.height / start.camera.width, ideal[RADIAL]
    at = start
    for reach in REACHES:
        off, by_pose, by_camera = _linearize(at, pixels, points)
        error = np.linalg.norm(off, axis=1)
        good = error <= reach * max_px
        if good.sum() < MIN_INLIERS:
            return None
        jacobian = np.concatenate([by_pose, by_camera], axis=2)[good]
        weights = huber_weights(error[good], reach * max_px / 2)
        variance = max(1.0, float(np.mean(error[good] ** 2)) / 2)
        hessian = _hessian(jacobian, weights)
        gradient = np.einsum('nki,nk->i', jacobian, weights[:, None] * off[good])
        weak = variance / WEAK_SIGMA**2
        hessian[range(6, 6 + COUNT), range(6, 6 + COUNT)] += weak
        gradient[6:] += weak * (intrinsics_of(at.camera) - ideal)
        step = -np.linalg.solve(hessian + 1e-9 * np.diag(np.diag(hessian)), gradient)
        camera = with_intrinsics(
            at.camera, intrinsics_of(at.camera) + np.clip(step[6:], -MAX_STEP, MAX_STEP)
        )
        R = Rotation.from_rotvec(step[:3]).as_matrix() @ at.R
        at = _Solution(camera, R, at.t + step[3:6], at.score)
    return at


def _hessian(jacobian: Array, weights: Array) -> Array:
    """Sum (11, 11) of weighted products of derivatives (n, 2, 11)."""
    flat = jacobian.reshape(-1, jacobian.shape[2])
    return np.asarray((flat * np.repeat(weights, 2)[:, None]).T @ flat)


def _residuals(at: _Solution, pixels: Array, points: Array) -> Array:
    """Projected minus seen (n, 2) [px]; infinite where the camera does not see the point."""
    projected = at.camera.project(points @ at.R.T + at.t)
    return np.where(np.isfinite(projected), projected - pixels, np.inf)


def _linearize(at: _Solution, pixels: Array, points: Array) -> tuple[Array, Array, Array]:
    """Residuals (n, 2) [px] and derivatives by rotation and translation (n, 2, 6), and camera
    (n, 2, 5).

    The rotation is about the camera's axes, before the translation. A residual is infinite where
    the camera does not see the point.
    """
    turned = points @ at.R.T
    in_camera = turned + at.t
    z = np.where(in_camera[:, 2] < 1e-9, np.nan, in_camera[:, 2])
    rays = in_camera[:, :2] / z[:, None]
    projected, by_ray, by_camera = linearized(at.camera, rays)
    by_point = np.zeros((len(z), 2, 3))
    by_point[:, 0, 0] = by_point[:, 1, 1] = 1 / z
    by_point[:, :, 2] = -rays / z[:, None]
    by_point = by_ray @ by_point
    by_pose = np.concatenate([by_point @ -cross_matrix(turned), by_point], axis=2)
    return np.where(np.isfinite(projected), projected - pixels, np.inf), by_pose, by_camera
