"""Pose of a camera from the directions in which several map images see it, without landmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.geometry import Array, rotation_angle_deg
from netvlad_ros.core.pose.huber import huber_weights

MIN_BEARINGS = 3
MAX_DISAGREEMENT_DEG = 8.0  # largest error of an inlier's rotation and direction
SIGMA_DEG = 1.0  # least error of a direction: calibrations and map poses have errors, too
MAX_SIGMA_M = 1.0
MAX_SIGMA_DEG = 10.0
MIN_ANGLE_DEG = 5.0  # between two directions: lines that are nearly parallel meet anywhere
MAX_REACH = 10.0  # baselines: from farther away all map images see the camera in one direction


@dataclass(frozen=True)
class Bearing:
    """Direction and rotation of the query camera as one map image sees it.

    Attributes:
        T_map_cam: (4, 4), the map image's camera in the map frame.
        R_map_query: (3, 3), axes of the query camera in the map image's camera frame.
        direction: (3,), unit vector to the query camera in the map image's camera frame.
        sigma_deg: standard deviation of the direction [deg].
    """

    T_map_cam: Array
    R_map_query: Array
    direction: Array
    sigma_deg: float


@dataclass(frozen=True)
class BearingPose:
    """A pose of a camera from bearings, or why there is none.

    Attributes:
        T_map_cam: (4, 4), camera in the map frame; None without a pose.
        covariance: (6, 6), x, y, z [m] and rotations about the map's axes [rad]; None without a
            pose.
        used: bool (k,), the bearings that agree.
        degenerate: '' or why there is no pose.
    """

    T_map_cam: Array | None
    covariance: Array | None
    used: NDArray[np.bool_]
    degenerate: str


def intersect_bearings(bearings: list[Bearing]) -> BearingPose:
    """Intersect the directions in which k map images see the camera.

    The pair of bearings with which most others agree gives the first position. It is refined over
    all bearings that agree: the rotation by averaging, the position by Gauss-Newton on the angles
    between directions. A pose is refused in these cases:

    - fewer than MIN_BEARINGS bearings agree,
    - the map images lie too near to each other, compared with their distance to the camera,
    - standard deviations above MAX_SIGMA_M or MAX_SIGMA_DEG. The covariance assumes that any one
      of the bearings may be wrong: see _least_certain.

    Source:
        Hartley et al., "Rotation Averaging", IJCV 2013 (the mean rotation).
    """
    unused = np.zeros(len(bearings), dtype=bool)
    if len(bearings) < MIN_BEARINGS:
        return BearingPose(
            None, None, unused, f'fewer than {MIN_BEARINGS} map images know a direction'
        )
    centres = np.stack([bearing.T_map_cam[:3, 3] for bearing in bearings])
    rotations = np.stack([bearing.T_map_cam[:3, :3] @ bearing.R_map_query for bearing in bearings])
    directions = np.stack([bearing.T_map_cam[:3, :3] @ bearing.direction for bearing in bearings])
    sigma = np.radians([max(bearing.sigma_deg, SIGMA_DEG) for bearing in bearings])
    weights = sigma**-2.0
    best = _consensus(centres, directions, rotations, weights)
    if best is None:
        return BearingPose(None, None, unused, 'the map images do not see it in one place')
    used, position = best
    R = Rotation.from_matrix(rotations[used]).mean(weights[used])
    if used.sum() < MIN_BEARINGS:
        return BearingPose(None, None, used, 'the map images do not see it in one place')
    position, covariance = _least_certain(centres[used], directions[used], sigma[used], position)
    turns = np.radians(rotation_angle_deg(rotations[used], R.as_matrix()[np.newaxis]))
    sigma_turn = max(float(np.sqrt(np.mean(turns**2))), math.radians(SIGMA_DEG))
    full = np.zeros((6, 6))
    full[:3, :3] = covariance
    full[3:, 3:] = np.eye(3) * sigma_turn**2 / max(used.sum() - 1, 1)
    reach = np.linalg.norm(position - centres[used], axis=1).min()
    baseline = np.linalg.norm(centres[used] - centres[used].mean(axis=0), axis=1).max() * 2
    sigma_m = float(np.sqrt(np.linalg.eigvalsh(covariance)[-1]))
    if not (sigma_m <= MAX_SIGMA_M and math.degrees(np.sqrt(full[3, 3])) <= MAX_SIGMA_DEG):
        return BearingPose(None, None, used, 'too uncertain')
    if reach > MAX_REACH * baseline:
        return BearingPose(None, None, used, 'too little baseline between the map images')
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R.as_matrix(), position
    return BearingPose(T, full, used, '')


def _consensus(
    centres: Array, directions: Array, rotations: Array, weights: Array
) -> tuple[NDArray[np.bool_], Array] | None:
    """Bearings (k,) that agree with the best pair of them, and the point (3,) where it meets."""
    best: tuple[float, NDArray[np.bool_], Array] | None = None
    for i in range(len(centres)):
        for j in range(i):
            pair = [i, j]
            angle = math.degrees(math.acos(np.clip(directions[i] @ directions[j], -1, 1)))
            if not MIN_ANGLE_DEG <= angle <= 180 - MIN_ANGLE_DEG:
                continue
            position = _meeting(centres[pair], directions[pair])
            off = _off_deg(centres, directions, position)
            turned = np.maximum(
                rotation_angle_deg(rotations, rotations[i : i + 1]),
                rotation_angle_deg(rotations, rotations[j : j + 1]),
            )
            agrees = (off <= MAX_DISAGREEMENT_DEG) & (turned <= MAX_DISAGREEMENT_DEG)
            if not agrees[pair].all():
                continue
            support = float(weights[agrees].sum())
            if best is None or support > best[0]:
                best = support, agrees, position
    return None if best is None else best[1:]


def _least_certain(
    centres: Array, directions: Array, sigma: Array, position: Array
) -> tuple[Array, Array]:
    """Position (3,) by all directions (k, 3), and a covariance (3, 3) that allows for a wrong one.

    If all directions but one are nearly parallel, that one alone decides where along them the
    camera is, and no other direction contradicts it. So each direction is left out once. The
    covariance is the largest of the results, plus the square of how far the position moved.
    """
    position, covariance = _refine(centres, directions, sigma, position)
    for i in range(len(centres)):
        rest = np.arange(len(centres)) != i
        other, doubt = _refine(centres[rest], directions[rest], sigma[rest], position)
        doubt = doubt + np.outer(other - position, other - position)
        if np.trace(doubt) > np.trace(covariance):
            covariance = doubt
    return position, covariance


def _meeting(centres: Array, directions: Array) -> Array:
    """Point nearest to all lines (k, 3) through centres (k, 3)."""
    across = np.eye(3) - directions[:, :, np.newaxis] * directions[:, np.newaxis, :]
    return np.asarray(
        np.linalg.solve(
            across.sum(axis=0) + 1e-12 * np.eye(3), np.einsum('kij,kj->i', across, centres)
        )
    )


def _off_deg(centres: Array, directions: Array, position: Array) -> Array:
    """Angle [deg] (k,) between each direction and that to a position; 180 at the centre itself."""
    towards = position - centres
    length = np.linalg.norm(towards, axis=1)
    cosine = (towards * directions).sum(axis=1) / np.maximum(length, 1e-12)
    return np.asarray(np.degrees(np.arccos(np.clip(np.where(length > 1e-9, cosine, -1), -1, 1))))


def _refine(
    centres: Array, directions: Array, sigma: Array, position: Array
) -> tuple[Array, Array]:
    """Refine a position (3,); returns it with its covariance (3, 3).

    It has the smallest angles to the directions (k, 3), each in units of its standard deviation
    sigma (k,) [rad].
    """
    across = np.eye(3) - directions[:, :, np.newaxis] * directions[:, np.newaxis, :]
    for _ in range(10):
        towards = position - centres
        length = np.maximum(np.linalg.norm(towards, axis=1), 1e-9) * sigma
        error = np.einsum('kij,kj->ki', across, towards) / length[:, np.newaxis]
        weights = huber_weights(np.linalg.norm(error, axis=1), 2.0)
        # The length changes slowly, so the derivative keeps only the part across the direction.
        normal = np.einsum('k,kij->ij', weights / length**2, across)
        gradient = np.einsum('k,kij,kj->i', weights / length, across, error)
        step = -np.linalg.solve(normal + 1e-12 * np.trace(normal) * np.eye(3), gradient)
        position = position + step
        if np.linalg.norm(step) < 1e-7:
            break
    freedom = max(2 * len(centres) - 3, 1)
    variance = max(float((weights[:, np.newaxis] * error**2).sum()) / freedom, 1.0)
    return position, np.asarray(np.linalg.inv(normal + 1e-12 * np.eye(3)) * variance)
