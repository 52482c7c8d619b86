"""One image against the map images of one place: evidence, and the pose that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.features.matching import keypoint_cells
from netvlad_ros.core.geometry import distance_m
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.pose.absolute_pose import SIGMA_PX, AbsolutePose, absolute_pose
from netvlad_ros.core.pose.bearing_intersection import MIN_BEARINGS, Bearing, intersect_bearings
from netvlad_ros.core.pose.correspondences import Correspondences
from netvlad_ros.core.pose.two_view import TwoView, two_view
from netvlad_ros.core.verification.evidence import CandidateEvidence, GeometricPose

# A camera farther from every map image that shares its landmarks than so many times their distance
# would have to recognise them at twice the size or half of it.
MAX_DEPTHS = 1.5
# Of the image's width; a third of it is a turn by 20 degrees of a camera that sees 60.
MAX_SHIFT = 0.35
MAX_ZOOM = 1.6  # things from a third nearer, or half as far again
MIN_SHARE = 0.08  # of an image's features; who walks around a thing sees it, but little else again


@dataclass(frozen=True)
class MatchedImage:
    """A map image of the place: its rank, its row in the map, matches int64 (m, 2)."""

    rank: int
    index: int
    matches: NDArray[np.int64]


class PlacePoseSolver:
    """Everything about one query image; `note` says why its answers are weaker than they could be.

    size: width, height [px] of the image. camera: for images of that size; None: `note` says why.
    """

    def __init__(
        self,
        place_map: PlaceMap,
        config: LocalizerConfig,
        query: LocalFeatures,
        size: tuple[int, int],
        camera: CameraModel | None,
        note: str,
    ) -> None:
        if place_map.features is None:
            raise NetvladError('the map has no local features, so nothing can be verified on it')
        self._map, self._store, self._config = place_map, place_map.features, config
        self._query, self._size = query, size
        self._keypoint_cells = keypoint_cells(query.keypoints)
        # Keypoints of a large image are found in a small one: their error grows with it.
        self._scale = max(1.0, max(size) / self._store.spec.max_side_px)
        self._max_px = config.max_reprojection_px * self._scale
        self._camera, self.note = camera, note
        if not self.note and not self._store.has_landmarks:
            self.note = 'the map has no landmarks'
            if place_map.camera is None:
                self.note += ' and does not know its camera'

    @property
    def is_pose_expected(self) -> bool:
        """Whether a place that is seen gives a pose: the cameras are known."""
        return self._camera is not None and (
            self._store.has_landmarks or self._map.camera is not None
        )

    @property
    def views_needed(self) -> int:
        """Of how many images of a place at least a pose can be had."""
        return 1 if self._store.has_landmarks else MIN_BEARINGS

    def solve(
        self, place: int, candidates: list[MatchedImage]
    ) -> tuple[list[CandidateEvidence], GeometricPose | None]:
        """Evidence of the candidates of a place, by its place, and the pose of the camera there.

        By landmarks where the map has them and the camera is known; else each candidate by itself.
        """
        if self._store.has_landmarks and self._camera is not None:
            evidence, pose, refused = self._from_landmarks(place, candidates, self._camera)
            return evidence or [_refused(c, refused) for c in candidates], pose
        views = [self._two_view(candidate) for candidate in candidates]
        evidence = [
            CandidateEvidence(c.rank, c.matches, view.inliers, view.model, view.degenerate)
            for c, view in zip(candidates, views, strict=True)
        ]
        if self._store.has_landmarks:
            return evidence, None
        return evidence, self._from_directions(place, candidates, views)

    def _two_view(self, candidate: MatchedImage) -> TwoView:
        of_query, of_mapped = candidate.matches.T
        query_px = self._query.keypoints[of_query]
        mapped_px = self._store.features(candidate.index).keypoints[of_mapped]
        view = two_view(
            query_px,
            mapped_px,
            self._camera,
            self._map.camera,
            self._size,
            max_px=self._max_px,
            min_inliers=self._config.min_inliers,
        )
        if self.is_pose_expected or not view.inliers.any():
            return view
        width = self._size[0] if self._map.camera is None else self._map.camera.width
        seen = query_px[view.inliers] / self._size[0], mapped_px[view.inliers] / width
        keypoints = min(len(self._query.keypoints), len(self._store.landmarks(candidate.index)))
        if view.inliers.sum() >= MIN_SHARE * keypoints and _is_same_view(*seen):
            return view
        return replace(view, inliers=np.zeros_like(view.inliers), degenerate='seen from elsewhere')

    def _from_landmarks(
        self, place: int, candidates: list[MatchedImage], camera: CameraModel
    ) -> tuple[list[CandidateEvidence], GeometricPose | None, str]:
        """Pose from the landmarks that the candidates share, or none and why."""
        landmarks = [
            self._store.landmarks(c.index)[c.matches[:, 1]].astype(np.int64) for c in candidates
        ]
        pairs = np.concatenate(
            [
                np.column_stack([c.matches[:, 0], of_image])[of_image >= 0]
                for c, of_image in zip(candidates, landmarks, strict=True)
            ]
        )
        # A landmark that several map images show is one: the same pair counts once.
        pairs = np.unique(pairs, axis=0)
        sightings, found = self._absolute_pose(pairs, camera)
        if found.T_map_cam is None or found.covariance is None:
            return [], None, found.degenerate
        fits = sightings.error_px(found.T_map_cam) <= self._max_px
        good = set(
            zip(sightings.keypoint[fits].tolist(), sightings.landmark[fits].tolist(), strict=True)
        )
        evidence = []
        for c, of_image in zip(candidates, landmarks, strict=True):
            spot = self._keypoint_cells[c.matches[:, 0]]
            seen = zip(spot.tolist(), of_image.tolist(), strict=True)
            inliers = np.array([pair in good for pair in seen], dtype=bool)
            evidence.append(CandidateEvidence(c.rank, c.matches, inliers, 'pnp', ''))
        supporting = [c.index for c, e in zip(candidates, evidence, strict=True) if e.inliers.any()]
        near = self._map.T_map_cam[supporting]
        away_m = distance_m(near, found.T_map_cam)
        seen_from = near[np.argmin(away_m), :3, 3]
        points = sightings.points[found.inliers]
        depth_m = float(np.median(np.linalg.norm(points - seen_from, axis=1)))
        if away_m.min() > MAX_DEPTHS * depth_m:
            return [], None, 'too far from the map images'
        pose = GeometricPose(
            T_map_cam=found.T_map_cam,
            covariance=found.covariance,
            method='landmarks',
            inliers=int(found.inliers.sum()),
            residual_px=found.residual_px,
            place=place,
        )
        return evidence, pose, ''

    def _absolute_pose(
        self, pairs: NDArray[np.int64], camera: CameraModel
    ) -> tuple[Correspondences, AbsolutePose]:
        """Pose from pairs (n, 2) of keypoint and landmark."""
        keypoint, landmark = pairs.T
        sightings = Correspondences.create(
            camera,
            self._query.keypoints[keypoint],
            self._store.points[landmark],
            self._keypoint_cells[keypoint],
            landmark,
        )
        found = absolute_pose(
            sightings,
            max_reprojection_px=self._max_px,
            min_inliers=self._config.min_inliers,
            sigma_px=SIGMA_PX * self._scale,
        )
        return sightings, found

    def _from_directions(
        self, place: int, candidates: list[MatchedImage], views: list[TwoView]
    ) -> GeometricPose | None:
        usable, relative = [], []
        for c, view in zip(candidates, views, strict=True):
            if view.R_map_query is not None and view.direction is not None:
                usable.append(self._keypoint_cells[c.matches[view.inliers, 0]])
                relative.append(
                    Bearing(
                        self._map.T_map_cam[c.index],
                        view.R_map_query,
                        view.direction,
                        view.sigma_deg,
                    )
                )
        found = intersect_bearings(relative)
        if found.T_map_cam is None or found.covariance is None:
            return None
        seen = np.concatenate([usable[i] for i in np.flatnonzero(found.used)])
        return GeometricPose(
            T_map_cam=found.T_map_cam,
            covariance=found.covariance,
            method='relative_poses',
            inliers=len(np.unique(seen)),
            residual_px=float('nan'),
            place=place,
        )


def _is_same_view(query: NDArray[np.floating], mapped: NDArray[np.floating]) -> bool:
    """Whether features (n, 2), in widths of their images, lie where they do in the map image.

    Without intrinsics no pose can be computed, so that of the map image must do: it does if the
    two images were taken from about one spot in about one direction.
    """
    shift = float(np.linalg.norm(np.median(query - mapped, axis=0)))
    spread_query, spread_mapped = (
        float(np.median(np.linalg.norm(each - np.median(each, axis=0), axis=1)))
        for each in (query, mapped)
    )
    zoom = spread_query / max(spread_mapped, 1e-9)
    return shift <= MAX_SHIFT and 1.0 / MAX_ZOOM <= zoom <= MAX_ZOOM


def _refused(candidate: MatchedImage, reason: str) -> CandidateEvidence:
    none = np.zeros(len(candidate.matches), dtype=bool)
    return CandidateEvidence(candidate.rank, candidate.matches, none, '', reason)
