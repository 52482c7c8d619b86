"""What the localizer answers for one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array
from netvlad_ros.core.pose.prior import PosePrior
from netvlad_ros.core.verification.evidence import Verification


class Status(str, Enum):
    """The verdict on an image."""

    ACCEPTED = 'accepted'
    NO_MATCH = 'no_match'
    AMBIGUOUS = 'ambiguous'


@dataclass(frozen=True)
class Candidate:
    """A mapped place that looks like the image.

    index: row in the map. rank: by similarity, 0 the most similar; that of its evidence in a
    Verification. similarity: cosine. probability: that the robot stands at this place,
    against its rivals and against "at none"; candidates that show one place carry the same.
    inliers: of the geometric verification, -1 = not verified. T_map_cam: (4, 4), of the map image.
    """

    index: int
    rank: int
    place_id: int
    recording: str
    stamp_ns: int
    similarity: float
    probability: float
    inliers: int
    T_map_cam: Array


@dataclass(frozen=True)
class Verdict:
    """Whether the best place is accepted, and the reason in words."""

    status: Status
    reason: str


@dataclass(frozen=True)
class Match:
    """The answer for one image: verdict, candidates (best first), prior only if accepted.

    prior: of the camera optical frame. estimate: what the prior is, or would be if the match were
    accepted. probability: that the estimate is right; what acceptance looks at. elsewhere: that
    the camera is at none of the places that it looks like. alone: as probability, by this image
    and without rivals. verification: None where none was tried. descriptor: float32 (D,).
    timings_ms: describe, search, verify (of that extract,
    match, solve), decide, total.
    """

    stamp_ns: int
    status: Status
    reason: str
    candidates: tuple[Candidate, ...]
    prior: PosePrior | None
    estimate: PosePrior
    probability: float
    elsewhere: float
    alone: float
    verification: Verification | None
    map_id: str
    model_id: str
    descriptor: NDArray[np.float32]
    timings_ms: Mapping[str, float]
