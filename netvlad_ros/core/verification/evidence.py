"""Result of verification: evidence of each candidate, and a geometric pose of each place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.geometry import Array


@dataclass(frozen=True)
class CandidateEvidence:
    """Evidence that one candidate shows the same scene.

    Attributes:
        rank: rank among the candidates.
        matches: int64 (m, 2), indices of the query's and the map image's keypoint.
        inliers: bool (m,), matches that agree with the model.
        model: 'pnp', 'essential', 'homography', 'fundamental', or '' without evidence.
        degenerate: '' or why the candidate gives no pose.
        roll_deg: clockwise turn of the content from the map image to the query [deg].
    """

    rank: int
    matches: NDArray[np.int64]
    inliers: NDArray[np.bool_]
    model: str
    degenerate: str
    roll_deg: float = 0.0


@dataclass(frozen=True)
class GeometricPose:
    """Pose of the query's camera at one place.

    Attributes:
        T_map_cam: (4, 4), camera in the map frame.
        covariance: (6, 6), x, y, z [m] and rotations about the map's axes [rad], from the
            residuals alone, not scaled by the map's calibration.
        method: 'landmarks' or 'relative_poses'.
        inliers: number of distinct query keypoints that support the pose.
        residual_px: root mean square of the residuals [px]; NaN for relative poses.
        place: the place, see retrieval.Candidates.
        covariance_by_camera: (6, 6), as `covariance`, from what is not known of the camera's
            calibration; it is not scaled.
    """

    T_map_cam: Array
    covariance: Array
    method: str
    inliers: int
    residual_px: float
    place: int
    covariance_by_camera: Array = field(default_factory=lambda: np.zeros((6, 6)))


@dataclass(frozen=True)
class Verification:
    """Result of verifying the candidates of one image.

    Attributes:
        evidence: of the candidates that were compared, by rank.
        poses: at most one for each place, most inliers first.
        note: '' or why the answer is weaker than it could be.
        features: of the query image, for drawing.
        timings_ms: 'extract', 'match' and 'solve' -> time [ms]; empty if verification was skipped.
        is_pose_expected: whether the cameras are known, so that a place in view should give a pose.
        views_needed: smallest number of images of a place that can give a pose.
        camera_problem: '' or why the check against the map kept the camera's calibration from use.
        not_verified: places that were skipped for lack of time, see retrieval.Candidates.
    """

    evidence: tuple[CandidateEvidence, ...]
    poses: tuple[GeometricPose, ...]
    note: str
    features: LocalFeatures
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    is_pose_expected: bool = False
    views_needed: int = 1
    camera_problem: str = ''
    not_verified: tuple[int, ...] = ()
