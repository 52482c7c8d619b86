"""Which places the look-alikes of an image speak for, and how probably."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array, around
from netvlad_ros.core.model.metadata import SimilarityCalibration


@dataclass(frozen=True)
class Hypotheses:
    """The look-alikes of an image, sorted into places.

    leader: int64 (k,), for each look-alike the rank of the most similar one at its place; -1
    beyond MAX_PLACES. best: leader of the most probable place. probability: float64 (k,), of each
    one's place. elsewhere: probability of none of them. alone: probability of the best place by
    this image and if it had no rival. supporters: ranks of the best place's look-alikes. rival:
    leader of its strongest rival.
    """

    leader: NDArray[np.int64]
    best: int
    probability: Array
    elsewhere: float
    alone: float
    supporters: NDArray[np.int64]
    rival: int | None


def weigh(
    leader: NDArray[np.int64],
    T_map_cam: Array,
    similarity: NDArray[np.float32],
    geometry: Array,
    calibration: SimilarityCalibration,
    radius_m: float,
    radius_deg: float,
    *,
    by_itself: Array | None = None,
    allies: Collection[int] = (),
) -> Hypotheses:
    """Turn look-alikes (k, 4, 4), most similar first, with their cosines (k,) into hypotheses.

    geometry: (k,) log odds that verification adds to each one's place, 0 where it was not tried;
    by_itself: (k,) those that it adds against "none of these", where they differ.
    allies: leaders whose landmarks put the camera where those of the best place do.

    A place weighs as much as its best image: a hundred neighbouring map frames are one witness,
    not a hundred. Against the best place stand its rivals and "none of these".
    """
    ranks = np.arange(len(similarity))
    score = calibration.rival_slope * (similarity.astype(np.float64) - float(similarity[0]))
    score = np.where(leader == ranks, score + geometry, -np.inf)
    best = int(np.argmax(score))
    # A map image just outside the best place is its outskirts, neither witness nor rival.
    outskirts = around(T_map_cam, T_map_cam[best], 2 * radius_m, 2 * radius_deg)
    rivals = np.flatnonzero((leader == ranks) & ~outskirts & ~np.isin(leader, list(allies)))
    odds = np.exp(np.clip(score - score[best], -700.0, 0.0))  # best place: 1
    own = geometry if by_itself is None else by_itself
    log_odds = float(calibration.log_odds(similarity[best]) + own[best])
    none = np.exp(np.clip(-log_odds, -700.0, 700.0))
    total = 1.0 + none + odds[rivals].sum()
    return Hypotheses(
        leader=leader,
        best=best,
        probability=np.where(leader >= 0, (odds / total)[leader], 0.0),
        elsewhere=float(none / total),
        alone=float(1.0 / (1.0 + none)),
        supporters=np.flatnonzero(leader == best),
        rival=int(rivals[np.argmax(score[rivals])]) if len(rivals) else None,
    )
