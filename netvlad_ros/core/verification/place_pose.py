"""PlacePoseSolver: evidence and pose of a query image at one place of the map."""

from __future__ import annotations

from dataclasses import replace

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
from netvlad_ros.core.pose.calibration_error import covariance_by_calibration
from netvlad_ros.core.pose.correspondences import Correspondences
from netvlad_ros.core.pose.two_view import TwoView, two_view
from netvlad_ros.core.verification.checked_camera import CheckedCamera
from netvlad_ros.core.verification.evidence import CandidateEvidence, GeometricPose
from netvlad_ros.core.verification.matched_image import MatchedImage, landmark_pairs
from netvlad_ros.core.verification.view_change import ViewChange

# Largest distance to the nearest map image that shares landmarks, in distances from that image to
# the landmarks. From farther away, the landmarks would have twice the size in the image or half.
MAX_DEPTHS = 1.5
MIN_SHARE = 0.08  # of an image's features; from another side of an object few others are seen again


class PlacePoseSolver:
    """Finds the pose of one query image at a place.

    Attributes:
        note: '' or why its answers are weaker than they could be.
        is_held_back: whether a pose was left out because the calibration of the camera is not known
            well enough.
    """

    def __init__(
        self,
        place_map: PlaceMap,
        config: LocalizerConfig,
        query: LocalFeatures,
        size: tuple[int, int],
        checked: CheckedCamera,
    ) -> None:
        """Prepare for one query image.

        Args:
            place_map: a map with features.
            config: min_inliers and max_reprojection_px are used.
            query: features of the query image.
            size: width and height of the query image [px].
            checked: its calibration.
        """
        if place_map.features is None:
            raise NetvladError('the map has no local features, so nothing can be verified on it')
        self._map, self._store, self._config = place_map, place_map.features, config
        self._query, self._size = query, size
        self._keypoint_cells = keypoint_cells(query.keypoints)
        # Keypoints of a large image are found in a shrunken one, so their error is larger.
        self._scale = self._store.spec.scale(*size)
        self._max_px = config.max_reprojection_px * self._scale * self._store.spec.inlier_factor
        self._camera, self.note = checked.camera, checked.note
        self._calibration_error = checked.error
        self.is_held_back = False
        if not self.note and not self._store.has_landmarks:
            self.note = 'the map has no landmarks'
            if place_map.camera is None:
                self.note += ' and does not know its camera'

    @property
    def is_pose_expected(self) -> bool:
        """Whether the cameras are known, so that a place in view should give a pose."""
        return self._camera is not None and (
            self._store.has_landmarks or self._map.camera is not None
        )

    @property
    def views_needed(self) -> int:
        """Smallest number of images of a place that can give a pose."""
        return 1 if self._store.has_landmarks else MIN_BEARINGS

    def solve(
        self, place: int, matched_images: list[MatchedImage]
    ) -> tuple[list[CandidateEvidence], GeometricPose | None]:
        """Find evidence of the images of a place, and the pose of the query camera there.

        If the map has landmarks and the camera is known, all images together give a pose from
        landmarks. Otherwise each image is compared alone, and their bearings give the pose.

        Args:
            place: the place, see retrieval.Candidates.
            matched_images: its images.

        Returns:
            The evidence of each image, and the pose or None.
        """
        if self._store.has_landmarks and self._camera is not None:
            evidence, pose, refused = self._from_landmarks(place, matched_images, self._camera)
            return evidence or [_refused(image, refused) for image in matched_images], pose
        views = [self._two_view(matched_image) for matched_image in matched_images]
        evidence = [
            CandidateEvidence(
                image.rank, image.matches, view.inliers, view.model, view.degenerate, roll_deg
            )
            for image, (view, roll_deg) in zip(matched_images, views, strict=True)
        ]
        if self._store.has_landmarks:
            return evidence, None
        only_views = [view for view, _ in views]
        return evidence, self._from_directions(place, matched_images, only_views)

    def _two_view(self, matched_image: MatchedImage) -> tuple[TwoView, float]:
        """Geometry of the query and a map image, and the roll of the content [deg]."""
        of_query, of_mapped = matched_image.matches.T
        query_px = self._query.keypoints[of_query]
        mapped_px = self._store.features(matched_image.index).keypoints[of_mapped]
        view = two_view(
            query_px,
            mapped_px,
            self._camera,
            self._map.camera,
            self._size,
            max_px=self._max_px,
            min_inliers=self._config.min_inliers,
        )
        if not view.inliers.any():
            return view, 0.0
        mapped_size = self._size if self._map.camera is None else self._map.camera.size
        change = ViewChange.of(
            query_px[view.inliers], mapped_px[view.inliers], self._size, mapped_size
        )
        if self.is_pose_expected:
            return view, change.roll_deg
        keypoints = min(len(self._query.keypoints), len(self._store.landmarks(matched_image.index)))
        if view.inliers.sum() >= MIN_SHARE * keypoints and change.is_same_view:
            return view, change.roll_deg
        none = np.zeros_like(view.inliers)
        return replace(view, inliers=none, degenerate='seen from elsewhere'), 0.0

    def _from_landmarks(
        self, place: int, matched_images: list[MatchedImage], camera: CameraModel
    ) -> tuple[list[CandidateEvidence], GeometricPose | None, str]:
        """Evidence and pose from the landmarks of the matched images, or why there is none."""
        pairs = landmark_pairs(self._store, matched_images)
        correspondences, found = self._absolute_pose(pairs, camera)
        if found.T_map_cam is None or found.covariance is None:
            return [], None, found.degenerate
        fits = correspondences.error_px(found.T_map_cam) <= self._max_px
        good = set(
            zip(
                correspondences.keypoint[fits].tolist(),
                correspondences.landmark[fits].tolist(),
                strict=True,
            )
        )
        evidence = []
        for image in matched_images:
            of_image = image.landmarks(self._store)
            cells = self._keypoint_cells[image.matches[:, 0]]
            seen = zip(cells.tolist(), of_image.tolist(), strict=True)
            inliers = np.array([pair in good for pair in seen], dtype=bool)
            evidence.append(CandidateEvidence(image.rank, image.matches, inliers, 'pnp', ''))
        supporting = [
            image.index
            for image, e in zip(matched_images, evidence, strict=True)
            if e.inliers.any()
        ]
        near = self._map.T_map_cam[supporting]
        away_m = distance_m(near, found.T_map_cam)
        seen_from = near[np.argmin(away_m), :3, 3]
        points = correspondences.points[found.inliers]
        depth_m = float(np.median(np.linalg.norm(points - seen_from, axis=1)))
        if away_m.min() > MAX_DEPTHS * depth_m:
            return [], None, 'too far from the map images'
        by_camera = covariance_by_calibration(
            correspondences, found.T_map_cam, found.inliers, self._calibration_error, depth_m
        )
        if by_camera is None:
            self.is_held_back = True
            return [], None, 'too uncertain'
        pose = GeometricPose(
            T_map_cam=found.T_map_cam,
            covariance=found.covariance,
            method='landmarks',
            inliers=int(found.inliers.sum()),
            residual_px=found.residual_px,
            place=place,
            covariance_by_camera=by_camera,
        )
        return evidence, pose, ''

    def _absolute_pose(
        self, pairs: NDArray[np.int64], camera: CameraModel
    ) -> tuple[Correspondences, AbsolutePose]:
        """Correspondences of pairs (n, 2) of keypoint and landmark, and the pose from them."""
        keypoint, landmark = pairs.T
        correspondences = Correspondences.create(
            camera,
            self._query.keypoints[keypoint],
            self._store.points[landmark],
            self._keypoint_cells[keypoint],
            landmark,
        )
        found = absolute_pose(
            correspondences,
            max_reprojection_px=self._max_px,
            min_inliers=self._config.min_inliers,
            sigma_px=SIGMA_PX * self._scale,
        )
        return correspondences, found

    def _from_directions(
        self, place: int, matched_images: list[MatchedImage], views: list[TwoView]
    ) -> GeometricPose | None:
        cells, bearings = [], []
        for image, view in zip(matched_images, views, strict=True):
            if view.R_map_query is not None and view.direction is not None:
                cells.append(self._keypoint_cells[image.matches[view.inliers, 0]])
                bearings.append(
                    Bearing(
                        self._map.T_map_cam[image.index],
                        view.R_map_query,
                        view.direction,
                        view.sigma_deg,
                    )
                )
        found = intersect_bearings(bearings)
        if found.T_map_cam is None or found.covariance is None:
            return None
        seen = np.concatenate([cells[i] for i in np.flatnonzero(found.used)])
        return GeometricPose(
            T_map_cam=found.T_map_cam,
            covariance=found.covariance,
            method='relative_poses',
            inliers=len(np.unique(seen)),
            residual_px=float('nan'),
            place=place,
        )


def _refused(matched_image: MatchedImage, reason: str) -> CandidateEvidence:
    none = np.zeros(len(matched_image.matches), dtype=bool)
    return CandidateEvidence(matched_image.rank, matched_image.matches, none, '', reason)
