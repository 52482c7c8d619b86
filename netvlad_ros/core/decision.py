"""Which places the look-alikes speak for, how probably, and whether that suffices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array, distance_m, rotation_angle_deg
from netvlad_ros.core.match import Status, Verdict


@dataclass(frozen=True)
class Hypotheses:
    """The look-alikes of an image, sorted into places.

    leader: int64 (k,), for each look-alike the rank of the most similar one at its place.
    probability: float64 (k,), of that place. alone: probability of the best place if it had no
    rival. supporters: ranks of the best place's look-alikes. rival: rank of its strongest rival.
    """

    leader: NDArray[np.int64]
    probability: Array
    alone: float
    supporters: NDArray[np.int64]
    rival: int | None


def weigh(T_map_cam: Array, log_odds: Array, radius_m: float, radius_deg: float) -> Hypotheses:
    """Turn look-alikes (k, 4, 4), most similar first, with their log odds (k,) into hypotheses.

    Look-alikes around the most similar unclaimed one show one place. A place weighs as much as
    its best image: a hundred neighbouring map frames are one witness, not a hundred. Against them
    all stands "none of these" with odds 1.
    """
    k = len(log_odds)
    leader = np.full(k, -1, dtype=np.int64)
    weight = np.zeros(k)
    for i in range(k):
        if leader[i] >= 0:
            continue
        distance, angle = _apart(T_map_cam, i)
        unclaimed = leader < 0
        leader[unclaimed & (distance <= radius_m) & (angle <= radius_deg)] = i
        leader[i] = i
        weight[i] = log_odds[i]
    # A map image just outside the best place is its outskirts, neither witness nor rival.
    distance, angle = _apart(T_map_cam, 0)
    is_leader = leader == np.arange(k)
    outskirts = (distance <= 2 * radius_m) & (angle <= 2 * radius_deg) & (np.arange(k) > 0)
    rivals = np.flatnonzero(is_leader & ~outskirts & (np.arange(k) > 0))
    competing = np.concatenate([[0], rivals]).astype(np.int64)
    top = max(float(weight[competing].max()), 0.0)  # keeps the exponentials finite
    odds = np.exp(np.clip(weight - top, -700.0, 0.0))
    total = odds[competing].sum() + np.exp(-top)
    return Hypotheses(
        leader=leader,
        probability=np.minimum(odds / total, 1.0)[leader],
        alone=float(1.0 / (1.0 + np.exp(np.clip(-log_odds[0], -700.0, 700.0)))),
        supporters=np.flatnonzero(leader == 0),
        rival=int(rivals[0]) if len(rivals) else None,
    )


def judge(hypotheses: Hypotheses, similarity: NDArray[np.float32], accept: float) -> Verdict:
    """Accept the best place, or say why not. The one function through which acceptance passes."""
    best = f'best similarity {similarity[0]:.2f}'
    if hypotheses.alone < accept:
        return Verdict(
            Status.NO_MATCH,
            f'no mapped place looks alike enough: {best}, right with probability '
            f'{hypotheses.alone:.2f} of {accept:.2f} needed',
        )
    probability = float(hypotheses.probability[0])
    if probability < accept and hypotheses.rival is not None:
        return Verdict(
            Status.AMBIGUOUS,
            f'two places look alike: {best}, a rival elsewhere {similarity[hypotheses.rival]:.2f}; '
            f'probability {probability:.2f} of {accept:.2f} needed',
        )
    return Verdict(
        Status.ACCEPTED,
        f'{best}, probability {probability:.2f}, {len(hypotheses.supporters)} map images agree',
    )


def _apart(T_map_cam: Array, i: int) -> tuple[Array, Array]:
    return distance_m(T_map_cam, T_map_cam[i]), rotation_angle_deg(T_map_cam, T_map_cam[i : i + 1])
