"""What the localizer answers for one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """A map image that is similar to the query.

    Attributes:
        index: row in the map.
        rank: by similarity, 0 = the most similar; that of its evidence in a Verification.
        place_id: its id in the map.
        recording: the drive that it comes from.
        stamp_ns: when it was taken [ns].
        similarity: cosine.
        probability: that the camera is at its place and not at a rival or elsewhere; candidates of
            one place have the same.
        inliers: of the geometric verification, -1 = not verified.
        T_map_cam: float64 (4, 4), of the map image.
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
    """The answer for one image.

    Attributes:
        stamp_ns: when the image was taken [ns].
        status: the verdict.
        reason: the verdict in words.
        candidates: map images, best first.
        prior: pose of the camera optical frame; None unless the match is accepted.
        estimate: what the prior is, or would be if the match were accepted.
        probability: that the estimate is right; acceptance depends on it.
        elsewhere: probability that the camera is at none of the candidates' places.
        single_probability: as `probability`, by this image alone and without rivals.
        verification: None where it was not tried.
        map_id: of the map.
        model_id: of the model.
        descriptor: float32 (D,), of the image.
        timings_ms: describe, search, verify (of that extract, match, solve), decide, total [ms].
    """

    stamp_ns: int
    status: Status
    reason: str
    candidates: tuple[Candidate, ...]
    prior: PosePrior | None
    estimate: PosePrior
    probability: float
    elsewhere: float
    single_probability: float
    verification: Verification | None
    map_id: str
    model_id: str
    descriptor: NDArray[np.float32]
    timings_ms: Mapping[str, float] = field(default_factory=dict)
