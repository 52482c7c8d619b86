"""Landmarks of a map: covisible pairs of keyframes, tracks of keypoints, triangulated points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.features.matching import match_features
from netvlad_ros.core.geometry import Array, distance_m, invert, rotation_angle_deg
from netvlad_ros.core.pose.relative_motion import essential_matrix, sampson_distance
from netvlad_ros.offline.mapping.self_calibration import refine_camera
from netvlad_ros.offline.mapping.triangulation import Observations, parallax_deg, triangulate
from netvlad_ros.offline.progress import Progress, no_progress

if TYPE_CHECKING:
    from netvlad_ros.core.place_map.feature_store import FeatureStore


EPIPOLAR_PX = 4.0  # wider than the error of a feature, for known poses err by centimetres too
REPROJECTION_PX = 4.0
MIN_PARALLAX_DEG = 1.0  # with less parallax the depth of a point is not determined
MIN_IMAGES = 2
MIN_SHARE = 0.5  # of a track's observations; a track that joins two things is no landmark
PRUNINGS = 2


@dataclass(frozen=True)
class Landmarks:
    """Triangulated points of a map, and which keypoints show them.

    Attributes:
        points: float64 (L, 3) [m], in the map frame.
        landmark_of: int32 (M,), for each of the map's keypoints the row of its point, or -1.
    """

    points: Array
    landmark_of: NDArray[np.int32]


def find_landmarks(
    store: FeatureStore,
    T_map_cam: Array,
    camera: CameraModel,
    *,
    progress: Progress = no_progress,
) -> tuple[Landmarks, CameraModel | None]:
    """Triangulate what the keyframes of one camera see.

    Features are matched between keyframes near each other. Matches are kept where they agree with
    the epipolar geometry of the known poses. They are joined to tracks, and every track is
    triangulated by least squares over all its views. A point stays if most of its track lies
    within REPROJECTION_PX, in front of the cameras, and two of its rays differ by
    MIN_PARALLAX_DEG. A calibration that images and poses contradict is refined first: see
    refine_camera.

    Args:
        store: the features of N keyframes.
        T_map_cam: (N, 4, 4) [m], poses of the keyframes in the map frame.
        camera: the calibration that the drive states.
        progress: called with (pairs of keyframes matched, in all).

    Returns:
        The landmarks, and the refined camera that they were triangulated with; None if images and
        poses do not contradict `camera`.

    Source:
        Hartley and Zisserman, Multiple View Geometry, 2nd ed., chapters 11 and 12.
    """
    keypoints = [store.features(i).keypoints for i in range(len(store))]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in keypoints])]).astype(np.int64)
    pixels = np.concatenate(keypoints)
    pairs = covisible_pairs(T_map_cam)
    matches = []
    for done, (a, b) in enumerate(pairs):
        progress(done, len(pairs))
        matched = match_features(
            store.features(a), store.features(b), store.spec.metric, ratio=store.spec.landmark_ratio
        )
        matches.append(matched + starts[[a, b]])
    progress(len(pairs), len(pairs))
    links = np.concatenate([*matches, np.empty((0, 2), dtype=np.int64)])
    # Keypoints of a large image are found in a small one: their error grows with it.
    scale = store.spec.scale(camera.width, camera.height)
    joins = _Joins(links, starts, pixels, T_map_cam)
    refined = _refined(joins.wider_half(), camera, scale)
    camera = refined or camera
    rows, seen = joins.tracks(camera, scale * EPIPOLAR_PX)
    landmark_of = np.full(len(pixels), -1, dtype=np.int32)
    limit = scale * REPROJECTION_PX / camera.focal_px
    return _triangulated(rows, seen, T_map_cam, limit, landmark_of), refined


def _refined(joins: _Joins, camera: CameraModel, scale: float) -> CameraModel | None:
    """The refined camera, or None; joins: of images far apart, which do not fit just any camera."""
    refined: CameraModel | None = None
    # The first limit is wide: a wrong calibration must not hide the matches that contradict it.
    for limit_px in (3 * EPIPOLAR_PX, EPIPOLAR_PX):
        now = refined or camera
        rows, seen = joins.tracks(now, scale * limit_px)
        better = refine_camera(now, seen, joins.pixels[rows], joins.T_map_cam, scale=scale)
        if better is None:
            break
        refined = better
    return refined


def _triangulated(
    rows: NDArray[np.int64],
    seen: Observations,
    T_map_cam: Array,
    limit: float,
    landmark_of: NDArray[np.int32],
) -> Landmarks:
    """limit: largest error of an observation, as a tangent; landmark_of: filled in."""
    if not len(rows):
        return Landmarks(np.empty((0, 3)), landmark_of)
    points, error = triangulate(seen, T_map_cam)
    # Triangulate again without what did not fit, with one keypoint an image for each point.
    kept = _best_of_each_image(seen, error, error <= limit)
    for _ in range(PRUNINGS):
        points, error = triangulate(seen.where(kept), T_map_cam)
        kept[kept] = error <= limit
    images = np.bincount(seen.track[kept], minlength=seen.tracks)
    good = images >= MIN_IMAGES
    good &= images >= MIN_SHARE * np.bincount(seen.track, minlength=seen.tracks)
    good &= parallax_deg(seen.where(kept), T_map_cam, points) >= MIN_PARALLAX_DEG
    kept &= good[seen.track]
    numbers = (np.cumsum(good) - 1).astype(np.int32)
    landmark_of[rows[kept]] = numbers[seen.track[kept]]
    return Landmarks(points[good], landmark_of)


@dataclass(frozen=True)
class _Joins:
    """Matched keypoints of all images.

    Attributes:
        links: (m, 2), rows of `pixels` that were matched.
        starts: (N + 1,), image i owns the rows starts[i] to starts[i + 1] of `pixels`.
        pixels: (M, 2) [px], the keypoints.
        T_map_cam: (N, 4, 4) [m], the poses of the images.
    """

    links: NDArray[np.int64]
    starts: NDArray[np.int64]
    pixels: NDArray[np.float32]
    T_map_cam: Array

    def wider_half(self) -> _Joins:
        """The half of the links whose images are farther apart."""
        image = np.searchsorted(self.starts, self.links, side='right') - 1
        apart = distance_m(self.T_map_cam[image[:, 0]], self.T_map_cam[image[:, 1]])
        wide = apart >= np.median(apart) if len(apart) else np.zeros(0, dtype=bool)
        return replace(self, links=self.links[wide])

    def tracks(
        self, camera: CameraModel, limit_px: float
    ) -> tuple[NDArray[np.int64], Observations]:
        """Keypoints (n,) joined by matches that fit the known poses, and their observations."""
        rays = camera.rays(self.pixels)
        a, b = self.links.T
        image = np.searchsorted(self.starts, np.arange(len(rays)), side='right') - 1
        error = epipolar_error(rays[a], rays[b], self.T_map_cam[image[a]], self.T_map_cam[image[b]])
        links = self.links[error * camera.focal_px <= limit_px]  # NaN, outside the lens, fails
        graph = coo_matrix(
            (np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])),
            shape=(len(rays), len(rays)),
        )
        _, component = connected_components(graph, directed=False)
        rows = np.unique(links)
        _, track = np.unique(component[rows], return_inverse=True)
        return rows, Observations(track, image[rows], rays[rows])


def epipolar_error(rays_a: Array, rays_b: Array, T_map_a: Array, T_map_b: Array) -> Array:
    """Sampson distance (m,) of matched rays (m, 2) to the geometry of known poses (m, 4, 4).

    In the unit of the rays, the tangent: times the focal length it is pixels.
    """
    T_b_a = invert(T_map_b) @ T_map_a
    essential = essential_matrix(T_b_a[:, :3, :3], T_b_a[:, :3, 3])
    a, b = (np.column_stack([rays, np.ones(len(rays))]) for rays in (rays_a, rays_b))
    return np.abs(sampson_distance(a, b, essential))


def _best_of_each_image(
    seen: Observations, error: Array, fits: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Of a track's keypoints in one image the one that fits best, if it fits: bool (n,)."""
    order = np.lexsort([error, seen.image, seen.track])
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(seen.track[order]) != 0) | (np.diff(seen.image[order]) != 0)
    best = np.zeros(len(order), dtype=bool)
    best[order[first]] = True
    return best & fits


# Near keyframes match best, far ones give parallax. A map may hold an image every centimetre or
# every four metres. So neighbours are chosen by rank, the farther the sparser.
RANKS = (1, 2, 4, 7, 12, 20, 33, 55, 90, 150, 250)
MAX_ANGLE_DEG = 60.0


def covisible_pairs(T_map_cam: Array) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, of keyframes T_map_cam (N, 4, 4) to match, about 9 N of them."""
    positions = T_map_cam[:, :3, 3]
    tree = cKDTree(positions)
    pairs = set()
    for a in range(len(positions)):
        _, near = tree.query(positions[a], k=min(2 * RANKS[-1], len(positions)))
        near = np.atleast_1d(near)
        turned = rotation_angle_deg(T_map_cam[near], T_map_cam[a : a + 1])
        near = near[(turned <= MAX_ANGLE_DEG) & (near != a)]
        for rank in RANKS:
            if rank <= len(near):
                b = int(near[rank - 1])
                pairs.add((min(a, b), max(a, b)))
    return sorted(pairs)
