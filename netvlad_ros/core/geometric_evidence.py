"""What geometry says about an image: evidence of each candidate, a pose at each place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    query keypoints that support it. residual_px: root mean square, NaN for relative poses. leader:
    the place, see Hypotheses.
    """

    T_map_cam: Array
    covariance: Array
    method: str
    inliers: int
    residual_px: float
    leader: int
