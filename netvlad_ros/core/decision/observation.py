"""What one image shows, before anything is decided or remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.verification.evidence import Verification
from netvlad_ros.core.verification.verifier import GeometricPose


@dataclass(frozen=True)
class Observation:
    """The look-alikes of an image, most similar first, and what verification made of them.

    descriptor: float32 (D,). indices: int64 (k,), rows of the map; similarity: float32 (k,);
    leader: int64 (k,), see Hypotheses. edge_share: share of the image with edges;
    shows_something: whether that suffices: a covered lens is no evidence of being elsewhere.
    verification: None where it was not tried, `note` says why. timings_ms: stage -> milliseconds.
    """

    stamp_ns: int
    descriptor: NDArray[np.float32]
    indices: NDArray[np.int64]
    similarity: NDArray[np.float32]
    leader: NDArray[np.int64]
    edge_share: float
    shows_something: bool
    verification: Verification | None
    note: str
    timings_ms: Mapping[str, float]

    def pose_at(self, leader: int) -> GeometricPose | None:
        """The geometric pose at a place, by its leader."""
        poses = self.verification.poses if self.verification else ()
        return next((pose for pose in poses if pose.leader == leader), None)

    def inliers(self) -> NDArray[np.int64]:
        """Inliers (k,) of each look-alike, -1 where it was not verified."""
        counts = np.full(len(self.indices), -1, dtype=np.int64)
        for evidence in self.verification.evidence if self.verification else ():
            counts[evidence.rank] = int(evidence.inliers.sum())
        return counts
