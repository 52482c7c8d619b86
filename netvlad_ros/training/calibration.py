"""How sure a similarity makes: P(right place | cosine) from frames held out of training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model_metadata import Calibration
from netvlad_ros.training.clips import ClipSet

MAX_SLOPE = 200.0  # where both sides separate perfectly the best slope would be infinite
LOOKALIKE_QUANTILE = 0.95


@dataclass(frozen=True)
class BestMatches:
    """Cosine similarity of the best match in three kinds of maps.

    Attributes:
        right: the map holds the place, and the best match shows it.
        wrong: the map lacks the place (it holds other areas of other floors), or holds it and
            another place won.
        lookalike: the map lacks the place but holds all other floors of the building, where the
            same area looks nearly the same.
    """

    right: np.ndarray
    wrong: np.ndarray
    lookalike: np.ndarray

    @classmethod
    def find(
        cls, descriptors: np.ndarray, clips: ClipSet, gap_s: tuple[float, float]
    ) -> BestMatches:
        """Matches every frame as a robot would.

        Args:
            descriptors: (N, D) unit rows.
            clips: N held-out frames.
            gap_s: shortest and longest time between query and revisit, in one clip [s].
        """
        similarity = descriptors @ descriptors.T
        floor = clips.floors[:, None] != clips.floors[None]
        place = floor & (clips.areas[:, None] != clips.areas[None])
        elsewhere = np.where(place, similarity, -1.0).max(axis=1)
        near = [clips.positives(query, gap_s) for query in range(len(clips))]
        revisit = np.array([similarity[q, n].max() if len(n) else -1.0 for q, n in enumerate(near)])
        won = revisit > elsewhere
        lost = ~won & (revisit > -1.0)
        return cls(
            right=revisit[won],
            wrong=np.concatenate([elsewhere, elsewhere[lost]]),
            lookalike=np.where(floor, similarity, -1.0).max(axis=1),
        )


def fit_calibration(matches: BestMatches) -> Calibration:
    """Logistic regression, right and wrong weighing the same, then moved to the safe side.

    The midpoint is not allowed below the 95 % quantile of look-alikes: a robot where its map has
    never been always gets some best match, and one such answer believed costs more than a right
    one refused.

    Raises:
        NetvladError: one kind is empty or not finite, or right matches are not more similar.
    """
    right, wrong = matches.right, matches.wrong
    if not len(right) or not len(wrong):
        raise NetvladError(
            'calibration needs held-out frames with a revisit in their clip and with other floors'
        )
    if not np.isfinite(np.concatenate([right, wrong, matches.lookalike])).all():
        raise NetvladError('calibration met similarities that are not finite')
    if np.median(right) <= np.median(wrong):
        raise NetvladError(
            'right matches are no more similar than wrong ones on the held-out frames: '
            'the descriptor is unusable'
        )

    def cost(parameters: np.ndarray) -> float:
        midpoint, slope = parameters[0], np.exp(parameters[1])
        missed = np.logaddexp(0.0, -slope * (right - midpoint)).mean()
        believed = np.logaddexp(0.0, slope * (wrong - midpoint)).mean()
        return float(missed + believed)

    start = [(np.median(right) + np.median(wrong)) / 2, np.log(20.0)]
    midpoint, log_slope = minimize(cost, start, method='Nelder-Mead').x
    safe = np.quantile(matches.lookalike, LOOKALIKE_QUANTILE)
    return Calibration(
        midpoint=float(np.clip(max(midpoint, safe), -1.0, 1.0)),
        slope=float(min(np.exp(log_slope), MAX_SLOPE)),
    )
