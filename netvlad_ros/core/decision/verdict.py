"""The verdict on an image: accepted, ambiguous or no match, and the reason in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision.hypotheses import Hypotheses
from netvlad_ros.core.decision.match import Status, Verdict


def decide(
    hypotheses: Hypotheses,
    similarity: NDArray[np.float32],
    seen: float,
    *,
    accept_probability: float,
    min_edge_share: float,
    geometry: str = '',
) -> Verdict:
    """Accept the best place, or say why not. Every acceptance passes through this function.

    Args:
        hypotheses: where the camera may be.
        similarity: float32 (k,), of the candidates.
        seen: share of the image that has edges, see camera.image.edge_share.
        accept_probability: least probability of a place that is accepted.
        min_edge_share: least share of edges of an image that can match.
        geometry: what verification found, in words.
    """
    best = f'similarity {similarity[hypotheses.best]:.2f}'
    best += f', {geometry}' if geometry else ''
    probability = float(hypotheses.probability[hypotheses.best])
    if seen < min_edge_share:
        return Verdict(
            Status.NO_MATCH,
            f'too little to see: edges on {100 * seen:.1f} % of the image, '
            f'{100 * min_edge_share:.1f} % needed',
        )
    if hypotheses.single_probability < accept_probability:
        return Verdict(
            Status.NO_MATCH,
            f'no mapped place looks alike enough: best {best}, right with probability '
            f'{hypotheses.single_probability:.2f} of {accept_probability:.2f} needed',
        )
    if probability >= accept_probability:
        return Verdict(
            Status.ACCEPTED,
            f'best {best}, probability {probability:.2f}, '
            f'{len(hypotheses.supporters)} map images agree',
        )
    needed = f'probability {probability:.2f} of {accept_probability:.2f} needed'
    rival = hypotheses.rival
    if rival is not None and hypotheses.probability[rival] >= hypotheses.elsewhere:
        return Verdict(
            Status.AMBIGUOUS,
            f'two places look alike: best {best}, a rival elsewhere {similarity[rival]:.2f}; '
            f'{needed}',
        )
    return Verdict(Status.NO_MATCH, f'not sure enough yet: best {best}; {needed}')
