"""Which places the look-alikes speak for, how probably, and whether that suffices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array, distance_m, rotation_angle_deg
from netvlad_ros.core.match import Status, Verdict
from netvlad_ros.core.model_metadata import Calibration

MAX_PLACES = 50  # an image that resembles more places equally says nothing about any of them


@dataclass(frozen=True)
class Hypotheses:
    """The look-alikes of an image, sorted into places.

    leader: int64 (k,), for each look-alike the rank of the most similar one at its place; -1
    beyond MAX_PLACES.
    probability: float64 (k,), of that place. alone: probability of the best place if it had no
    rival. supporters: ranks of the best place's look-alikes. rival: rank of its strongest rival.
    """

    leader: NDArray[np.int64]
    probability: Array
    alone: float
    supporters: NDArray[np.int64]
    rival: int | None


def weigh(
    T_map_cam: Array,
    similarity: NDArray[np.float32],
    calibration: Calibration,
    radius_m: float,
    radius_deg: float,
) -> Hypotheses:
    """Turn look-alikes (k, 4, 4), most similar first, with their cosines (k,) into hypotheses.

    Look-alikes around the most similar unclaimed one show one place. A place weighs as much as
    its best image: a hundred neighbouring map frames are one witness, not a hundred. Against the
    best place stand its rivals and "none of these".
    """
    ranks = np.arange(len(similarity))
    leader = np.full(len(similarity), -1, dtype=np.int64)
    for _ in range(MAX_PLACES):
        unclaimed = np.flatnonzero(leader < 0)
        if not len(unclaimed):
            break
        around = _around(T_map_cam[unclaimed], 0, radius_m, radius_deg)
        leader[unclaimed[around]] = unclaimed[0]
    # A map image just outside the best place is its outskirts, neither witness nor rival.
    outskirts = _around(T_map_cam, 0, 2 * radius_m, 2 * radius_deg)
    rivals = np.flatnonzero((leader == ranks) & ~outskirts)
    against_best = similarity.astype(np.float64) - float(similarity[0])
    odds = np.exp(np.maximum(calibration.rival_slope * against_best, -700.0))  # best place: 1
    none = np.exp(np.clip(-calibration.log_odds(similarity[0]), -700.0, 700.0))
    total = 1.0 + none + odds[rivals].sum()
    return Hypotheses(
        leader=leader,
        probability=np.where(leader >= 0, (odds / total)[leader], 0.0),
        alone=float(1.0 / (1.0 + none)),
        supporters=np.flatnonzero(leader == 0),
        rival=int(rivals[0]) if len(rivals) else None,
    )


def judge(
    hypotheses: Hypotheses,
    similarity: NDArray[np.float32],
    seen: float,
    *,
    accept_probability: float,
    min_detail: float,
) -> Verdict:
    """Accept the best place, or say why not. The one function through which acceptance passes.

    similarity: (k,), of the look-alikes. seen: detail() of the image.
    """
    best = f'best similarity {similarity[0]:.2f}'
    needed = f'of {accept_probability:.2f} needed'
    probability = float(hypotheses.probability[0])
    if seen < min_detail:
        return Verdict(
            Status.NO_MATCH,
            f'too little to see: edges on {100 * seen:.1f} % of the image, '
            f'{100 * min_detail:.1f} % needed',
        )
    if hypotheses.alone < accept_probability:
        return Verdict(
            Status.NO_MATCH,
            f'no mapped place looks alike enough: {best}, right with probability '
            f'{hypotheses.alone:.2f} {needed}',
        )
    if probability < accept_probability and hypotheses.rival is not None:
        return Verdict(
            Status.AMBIGUOUS,
            f'two places look alike: {best}, a rival elsewhere {similarity[hypotheses.rival]:.2f}; '
            f'probability {probability:.2f} {needed}',
        )
    return Verdict(
        Status.ACCEPTED,
        f'{best}, probability {probability:.2f}, {len(hypotheses.supporters)} map images agree',
    )


def _around(T_map_cam: Array, i: int, radius_m: float, radius_deg: float) -> NDArray[np.bool_]:
    near = distance_m(T_map_cam, T_map_cam[i]) <= radius_m
    return near & (rotation_angle_deg(T_map_cam, T_map_cam[i : i + 1]) <= radius_deg)
