"""Observations of tracks by known cameras, and the points triangulated from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array

ITERATIONS = 6
AGAIN = 3  # iterations from points that were triangulated before, from more observations
CAUCHY = 2.0 / 500.0  # errors beyond about 2 px at a usual focal length count with falling weight
NEAR = 1e-3  # [m] in front of a camera; below, a point is behind it


@dataclass(frozen=True)
class Observations:
    """n observations of tracks.

    Attributes:
        track: int64 (n,), number of the track.
        image: int64 (n,), number of the image.
        rays: float64 (n, 2), x/z and y/z in the camera.
        of_tracks: how many tracks there are, if not all of them have an observation here; -1: all
            of them have one.
    """

    track: NDArray[np.int64]
    image: NDArray[np.int64]
    rays: Array
    of_tracks: int = -1

    @property
    def tracks(self) -> int:
        """Number of tracks, those without an observation included."""
        if self.of_tracks >= 0:
            return self.of_tracks
        return int(self.track.max()) + 1 if len(self.track) else 0

    def where(self, kept: NDArray[np.bool_]) -> Observations:
        """Some of the observations; the tracks keep their numbers."""
        return Observations(self.track[kept], self.image[kept], self.rays[kept], self.tracks)


def triangulate(
    seen: Observations, T_map_cam: Array, start: Array | None = None
) -> tuple[Array, Array]:
    """Triangulate all tracks at once.

    The start is the point nearest to all rays of a track. Gauss-Newton on the reprojection follows,
    with Cauchy's weights.

    Args:
        seen: n observations.
        T_map_cam: (N, 4, 4) [m], the poses of the images.
        start: (tracks, 3) [m], points near the result; None: unknown.

    Returns:
        Points (tracks, 3) [m] in the map frame, and the error (n,) of each observation, as a
        tangent. The error is infinite if the point lies behind the camera, or if its rays do not
        determine it.

    Source:
        Triggs et al., Bundle Adjustment - A Modern Synthesis, 2000.
    """
    centres = T_map_cam[seen.image, :3, 3]
    to_cam = np.swapaxes(T_map_cam[seen.image, :3, :3], 1, 2)
    points = _nearest_to_rays(seen, centres, to_cam) if start is None else start
    for _ in range(ITERATIONS if start is None else AGAIN):
        residual, jacobian, _ = _reproject(seen, points, centres, to_cam)
        weight = 1.0 / (1.0 + (residual**2).sum(axis=1) / CAUCHY**2)
        normal = np.einsum('nki,n,nkj->nij', jacobian, weight, jacobian)
        gradient = np.einsum('nki,n,nk->ni', jacobian, weight, residual)
        points = points - _solve(seen, normal, gradient)
    residual, _, depth = _reproject(seen, points, centres, to_cam)
    error = np.linalg.norm(residual, axis=1)
    error[(depth <= NEAR) | ~np.isfinite(error)] = np.inf
    return points, error


def parallax_deg(seen: Observations, T_map_cam: Array, points: Array) -> Array:
    """Largest angle (tracks,) [deg] between the rays to each point, underestimated by at most half.

    It is measured against the first ray of each track, which costs n instead of n squared.
    """
    towards = T_map_cam[seen.image, :3, 3] - points[seen.track]
    towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
    first = np.zeros((seen.tracks, 3))
    first[seen.track[::-1]] = towards[::-1]
    chord = np.linalg.norm(towards - first[seen.track], axis=1)
    angle = np.degrees(2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0)))
    widest = np.zeros(seen.tracks)
    np.maximum.at(widest, seen.track, angle)
    return widest


def _nearest_to_rays(seen: Observations, centres: Array, to_cam: Array) -> Array:
    """Points (tracks, 3) nearest to the rays of their observations."""
    directions = np.einsum(
        'nij,ni->nj', to_cam, np.column_stack([seen.rays, np.ones(len(seen.rays))])
    )
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    across = np.eye(3) - directions[:, :, np.newaxis] * directions[:, np.newaxis, :]
    return _solve(seen, across, np.einsum('nij,nj->ni', across, centres))


def _reproject(
    seen: Observations, points: Array, centres: Array, to_cam: Array
) -> tuple[Array, Array, Array]:
    """Residuals (n, 2), their derivatives by the point (n, 2, 3), depths (n,) [m]."""
    local = np.einsum('nij,nj->ni', to_cam, points[seen.track] - centres)
    depth = local[:, 2]
    safe = np.where(np.abs(depth) > NEAR, depth, NEAR)
    projected = local[:, :2] / safe[:, np.newaxis]
    jacobian = (to_cam[:, :2] - projected[:, :, np.newaxis] * to_cam[:, 2:]) / safe[
        :, np.newaxis, np.newaxis
    ]
    return projected - seen.rays, jacobian, depth


def _solve(seen: Observations, matrices: Array, vectors: Array) -> Array:
    """Sum (n, 3, 3) and (n, 3) over the observations of each track, and solve; 0 where singular."""
    total, right = np.zeros((seen.tracks, 9)), np.zeros((seen.tracks, 3))
    for column, values in enumerate(matrices.reshape(-1, 9).T):
        total[:, column] = np.bincount(seen.track, values, minlength=seen.tracks)
    for column, values in enumerate(vectors.T):
        right[:, column] = np.bincount(seen.track, values, minlength=seen.tracks)
    normal = total.reshape(-1, 3, 3)
    # A track of nearly parallel rays is singular. This damping is too small to change the others.
    damping = 1e-9 * np.trace(normal, axis1=1, axis2=2) + 1e-12
    normal = normal + damping[:, np.newaxis, np.newaxis] * np.eye(3)
    return np.asarray(np.linalg.solve(normal, right[:, :, np.newaxis])[:, :, 0])
