"""TwoView: inliers of two images of one scene, and the direction between their cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.pose.inlier_statistics import (
    CONFIDENCE,
    MIN_ITERATIONS,
    disc_share,
    is_clustered,
    iterations,
    min_significant_inliers,
    strip_share,
)
from netvlad_ros.core.pose.relative_motion import refine_motion, rotation_between, turned_by

NO_CALIBRATION = 'no camera calibration'
SAME_MODEL_SHARE = 0.9  # of the inliers: a simpler model that explains so many is the true one
FAR = 1000.0  # baselines; for points beyond, front and behind cannot be distinguished
MAX_DIRECTION_SIGMA_DEG = 8.0  # above, noise decides the direction of the translation
MIN_IN_FRONT = 0.75  # share of the inliers that must lie in front of both cameras
# Graph-Cut RANSAC (Barath and Matas, CVPR 2018). On two views it takes a third of the time of
# MAGSAC and is more accurate. It draws the same samples every time.
ROBUST = cv2.USAC_ACCURATE


@dataclass(frozen=True)
class TwoView:
    """Geometry that explains m matches of a query image and a map image.

    Attributes:
        inliers: bool (m,), all False where they are no evidence.
        model: 'essential', 'homography', 'fundamental', or '' if none fits.
        R_map_query: (3, 3), axes of the query camera in the map camera's frame; None if degenerate.
        direction: (3,), unit vector to the query camera in the map camera's frame; None if
            degenerate.
        sigma_deg: standard deviation of the direction [deg]; NaN if degenerate.
        degenerate: '' or why there is no relative pose.
    """

    inliers: NDArray[np.bool_]
    model: str
    R_map_query: Array | None
    direction: Array | None
    sigma_deg: float
    degenerate: str


def two_view(
    query_px: NDArray[np.floating],
    mapped_px: NDArray[np.floating],
    query_camera: CameraModel | None,
    map_camera: CameraModel | None,
    query_size: tuple[int, int],
    *,
    max_px: float,
    min_inliers: int,
) -> TwoView:
    """Explain m matched keypoints by one rigid motion of the camera.

    If both cameras are known, the model is an essential matrix on undistorted rays. Otherwise it
    is a fundamental matrix, or a homography if that explains nearly as many matches. Inliers are no
    evidence if they are fewer than min_inliers, so few that chance explains them, or in one spot of
    the query image.

    Args:
        query_px: (m, 2), keypoints of the query image [px].
        mapped_px: (m, 2), the matched keypoints of the map image [px].
        query_camera: calibration of the query image, None if unknown.
        map_camera: calibration of the map image, None if unknown.
        query_size: width and height of the query image [px].
        max_px: largest error of an inlier in the query image [px].
        min_inliers: fewest inliers that are evidence.
    """
    matches = len(query_px)
    if query_camera is None or map_camera is None:
        return _uncalibrated(query_px, mapped_px, query_size, max_px, min_inliers)
    needed = min_significant_inliers(
        matches, min_inliers, sample=5, solutions=10, share=strip_share(max_px, *query_size)
    )
    rays_query, rays_map = query_camera.rays(query_px), map_camera.rays(mapped_px)
    usable = np.isfinite(rays_query).all(axis=1) & np.isfinite(rays_map).all(axis=1)
    if usable.sum() < needed:
        return _nothing(matches, 'too few matches')
    # The same error on both sides, as a share of the image, whatever the two resolutions.
    map_px = max_px * map_camera.width / query_camera.width
    max_tangent = max(max_px / query_camera.focal_px, map_px / map_camera.focal_px)
    found = _calibrated(rays_query[usable], rays_map[usable], max_tangent, needed)
    inliers = np.zeros(matches, dtype=bool)
    inliers[usable] = found.inliers
    if found.model and is_clustered(query_px[inliers], *query_size):
        return _nothing(matches, 'inliers in one spot')
    return replace(found, inliers=inliers)


def _calibrated(rays_query: Array, rays_map: Array, max_tangent: float, needed: int) -> TwoView:
    """Essential matrix of matched rays (m, 2), and whether it determines a direction."""
    matches = len(rays_query)
    most = iterations(needed / matches, 5)
    essential, inliers = _robust(
        lambda: cv2.findEssentialMat(
            rays_query, rays_map, np.eye(3), ROBUST, CONFIDENCE, max_tangent, most
        ),
        matches,
    )
    count = int(inliers.sum())
    if essential is None or essential.shape != (3, 3) or count < needed:
        return _nothing(matches, 'no more inliers than chance')
    a, b = rays_query[inliers], rays_map[inliers]
    in_front, R, t, *_ = cv2.recoverPose(essential, a, b, np.eye(3), distanceThresh=FAR)
    motion = refine_motion(
        a, b, np.asarray(R, np.float64), np.asarray(t, np.float64).ravel(), max_tangent
    )
    reason, model = '', 'essential'
    if turned_by(a, b, rotation_between(a, b), max_tangent).sum() >= SAME_MODEL_SHARE * count:
        reason, model = 'pure rotation', 'homography'
    elif _homography(a, b, max_tangent, MIN_ITERATIONS).sum() >= SAME_MODEL_SHARE * count:
        reason, model = 'one plane', 'homography'
    elif not motion.sigma_deg <= MAX_DIRECTION_SIGMA_DEG:
        reason = 'too little parallax'
    elif in_front < MIN_IN_FRONT * count:
        reason = 'points behind a camera'
    if reason:
        return TwoView(inliers, model, None, None, float('nan'), reason)
    return TwoView(inliers, model, motion.R, motion.direction, motion.sigma_deg, '')


def _uncalibrated(
    query_px: NDArray[np.floating],
    mapped_px: NDArray[np.floating],
    query_size: tuple[int, int],
    max_px: float,
    min_inliers: int,
) -> TwoView:
    a, b = np.asarray(query_px, np.float64), np.asarray(mapped_px, np.float64)
    matches = len(a)
    for_plane = min_significant_inliers(
        matches, min_inliers, sample=4, solutions=1, share=disc_share(max_px, *query_size)
    )
    for_curved = min_significant_inliers(
        matches, min_inliers, sample=7, solutions=3, share=strip_share(max_px, *query_size)
    )
    if matches < for_plane:
        return _nothing(matches, 'too few matches')
    plane = _homography(a, b, max_px, iterations(for_plane / matches, 4))
    curved = np.zeros(matches, dtype=bool)
    if matches >= for_curved:
        most = iterations(for_curved / matches, 7)
        _, curved = _robust(
            lambda: cv2.findFundamentalMat(a, b, ROBUST, max_px, CONFIDENCE, most), matches
        )
    model, inliers, needed = 'fundamental', curved, for_curved
    if plane.sum() >= SAME_MODEL_SHARE * curved.sum():
        model, inliers, needed = 'homography', plane, for_plane
    if inliers.sum() < needed:
        return _nothing(matches, 'no more inliers than chance')
    if is_clustered(query_px[inliers], *query_size):
        return _nothing(matches, 'inliers in one spot')
    return TwoView(inliers, model, None, None, float('nan'), NO_CALIBRATION)


def _homography(a: Array, b: Array, limit: float, most: int) -> NDArray[np.bool_]:
    """Inliers, bool (m,), of one homography from a to b (m, 2); limit: in their unit."""
    return _robust(
        lambda: cv2.findHomography(a, b, ROBUST, limit, maxIters=most, confidence=CONFIDENCE),
        len(a),
    )[1]


def _robust(
    estimate: Callable[[], tuple[Any, Any]], matches: int
) -> tuple[Array | None, NDArray[np.bool_]]:
    """Run one of OpenCV's estimators; no model and no inliers where it finds none."""
    try:
        model, mask = estimate()
    except cv2.error:  # raised on degenerate samples, as points that coincide
        model, mask = None, None
    if model is None or mask is None or not np.isfinite(model).all():
        return None, np.zeros(matches, dtype=bool)
    return model, mask.ravel() > 0


def _nothing(matches: int, reason: str) -> TwoView:
    return TwoView(np.zeros(matches, dtype=bool), '', None, None, float('nan'), reason)
