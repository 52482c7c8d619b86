"""How sure a similarity makes: P(right place | cosine) from frames held out of training."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model_metadata import Calibration
from netvlad_ros.training.clips import ClipSet


def revisits_and_impostors(
    descriptors: np.ndarray, clips: ClipSet, gap_s: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Similarities of right matches and of the best wrong ones.

    A revisit is the most similar frame of a query's own clip, gap_s [s] away. An impostor is the
    most similar frame of all *other* clips: what a map that lacks the place would answer.

    Args:
        descriptors: (N, D) unit rows of clips.
        clips: N frames.
        gap_s: shortest and longest time between query and revisit [s].

    Returns:
        (Q,) revisits and (N,) impostors, cosine.
    """
    similarity = descriptors @ descriptors.T
    impostors = np.where(clips.clips[:, None] != clips.clips[None], similarity, -np.inf).max(axis=1)
    revisits = [
        similarity[query, near].max()
        for query in range(len(clips))
        if len(near := clips.positives(query, gap_s))
    ]
    return np.array(revisits), impostors


def fit_calibration(
    revisits: np.ndarray, impostors: np.ndarray, impostor_quantile: float = 0.95
) -> Calibration:
    """Logistic regression with equal weight on both sides, then moved to the safe side.

    The midpoint is not allowed below the impostors' quantile: a robot that stands where its map
    has never been always gets a best impostor, and one such answer believed costs more than a
    right one refused.

    Args:
        revisits: (Q,) similarities of right matches.
        impostors: (M,) similarities of best wrong matches.
        impostor_quantile: share of impostors that must lie below the midpoint.

    Raises:
        NetvladError: one side is empty or not finite, or right matches are not more similar.
    """
    if not len(revisits) or not len(impostors):
        raise NetvladError('calibration needs held-out frames with revisits and with other clips')
    if not np.isfinite(np.concatenate([revisits, impostors])).all():
        raise NetvladError('calibration met similarities that are not finite')
    if np.median(revisits) <= np.median(impostors):
        raise NetvladError(
            'right matches are no more similar than wrong ones on the held-out frames: '
            'the descriptor is unusable'
        )

    def cost(parameters: np.ndarray) -> float:
        midpoint, slope = parameters[0], np.exp(parameters[1])
        right = np.logaddexp(0.0, -slope * (revisits - midpoint)).mean()
        wrong = np.logaddexp(0.0, slope * (impostors - midpoint)).mean()
        return float(right + wrong)

    start = [(np.median(revisits) + np.median(impostors)) / 2, np.log(20.0)]
    fit = minimize(cost, start, method='Nelder-Mead').x
    # 200 keeps a perfectly separated set from asking for an infinite slope.
    slope = float(min(np.exp(fit[1]), 200.0))
    midpoint = max(float(fit[0]), float(np.quantile(impostors, impostor_quantile)))
    return Calibration(midpoint=midpoint, slope=slope)
