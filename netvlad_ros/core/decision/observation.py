"""Observation: the candidates of one image and what verification found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array
from netvlad_ros.core.verification.evidence import GeometricPose, Verification


@dataclass(frozen=True)
class Observation:
    """What one image shows, before anything is decided or remembered.

    Attributes:
        descriptor: float32 (D,), of the image.
        indices: int64 (k,), rows of the map, most similar first: the candidates.
        similarity: float32 (k,), cosines.
        T_map_cam: float64 (k, 4, 4), camera poses of the candidates.
        place_of: int64 (k,), the place that each candidate shows, see retrieval.Candidates.
        inliers: int64 (k,), of the verification, -1 where a candidate was not verified.
        pose_of_place: the geometric pose at a place, where there is one.
        against_places: float64 (k,), log odds that geometry adds to the candidate's place against
            other places; 0 where nothing was verified.
        against_unmapped: float64 (k,), the same against "none of the mapped places".
        edge_share: share of the image that has edges, 0..1.
        shows_something: whether that share is large enough. A covered lens is no evidence that the
            camera is elsewhere.
        verification: None where it was not tried.
        note: why verification was not tried, or is weaker than it could be.
    """

    descriptor: NDArray[np.float32]
    indices: NDArray[np.int64]
    similarity: NDArray[np.float32]
    T_map_cam: Array
    place_of: NDArray[np.int64]
    inliers: NDArray[np.int64]
    pose_of_place: Mapping[int, GeometricPose]
    against_places: Array
    against_unmapped: Array
    edge_share: float
    shows_something: bool
    verification: Verification | None
    note: str
