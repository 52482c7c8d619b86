"""The result: evidence of each candidate, a geometric pose of each place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.geometry import Array


@dataclass(frozen=True)
class CandidateEvidence:
    """What verification found out about one candidate.

    rank: its rank among the candidates given. matches: int64 (m, 2), keypoint of the query and of
    the map image. inliers: bool (m,). model: 'pnp', 'essential', 'homography', 'fundamental' or ''
    (no evidence). degenerate: '' or why no pose can be had of it.
    """

    rank: int
    matches: NDArray[np.int64]
    inliers: NDArray[np.bool_]
    model: str
    degenerate: str


@dataclass(frozen=True)
class GeometricPose:
    """Pose of the query's camera at one place.

    T_map_cam: (4, 4). covariance: (6, 6), x, y, z [m] and rotations about the map's axes [rad], as
    the residuals say, not inflated. method: 'landmarks' or 'relative_poses'. inliers: distinct
    query keypoints that support it. residual_px: root mean square, NaN for relative poses. place:
    the place, see Hypotheses.
    """

    T_map_cam: Array
    covariance: Array
    method: str
    inliers: int
    residual_px: float
    place: int


@dataclass(frozen=True)
class Verification:
    """evidence of the candidates looked at; poses, at most one a place, most inliers first; note:
    '' or why the answer is weaker than it could be; features of the query, for pictures;
    timings_ms: of extract, match and solve, where they were done. is_pose_expected: whether
    what is known of the cameras suffices for a pose at the place that is seen; views_needed: of how
    many of its images at least. not_verified: leaders of the places that time did not suffice for.
    """

    evidence: tuple[CandidateEvidence, ...]
    poses: tuple[GeometricPose, ...]
    note: str
    features: LocalFeatures
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    is_pose_expected: bool = False
    views_needed: int = 1
    not_verified: tuple[int, ...] = ()
