"""Similarity calibration: P(right place | cosine), from images held out of training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.fitting.domain_balance import balanced_weights

MAX_SLOPE = 200.0  # of perfectly separable matches the best slope would be infinite
LOOKALIKE_QUANTILE = 0.95
BLOCK = 256  # queries whose similarities to the whole database are in memory at once


Weights = NDArray[np.float64] | None


@dataclass(frozen=True)
class BestMatches:
    """Cosine similarities of best matches in three kinds of maps.

    Attributes:
        right: the map holds the place, and the best match shows it.
        wrong: the map lacks the place and holds its definite negatives (of clips: other areas of
            other floors); or the map holds the place and the best match shows another one.
        lookalike: the map lacks the place and holds all similar places (of clips: all other floors
            of the building, where the same area is similar).
        weights: of the three kinds, each with a mean of 1; None: all matches count the same.
    """

    right: NDArray[np.float64]
    wrong: NDArray[np.float64]
    lookalike: NDArray[np.float64]
    weights: tuple[Weights, Weights, Weights] = (None, None, None)

    @classmethod
    def find(cls, descriptors: NDArray[np.float32], supervision: Supervision) -> BestMatches:
        """Matches every image that may be a query, as a robot does; one block at a time.

        In each kind of map, the matches of all domains together have the same weight.

        Args:
            descriptors: (N, D) unit rows, one for each image of the supervision.
            supervision: N held-out images.
        """
        database = supervision.database
        asked = np.flatnonzero(supervision.is_query)
        elsewhere, lookalike, revisit = (np.full(len(asked), -1.0) for _ in range(3))
        for start in range(0, len(asked), BLOCK):
            block = descriptors[asked[start : start + BLOCK]] @ descriptors[database].T
            for row, similarity in enumerate(block, start=start):
                query = int(asked[row])
                for found, mask in (
                    (elsewhere, supervision.is_negative(query, database)),
                    (lookalike, supervision.may_be_similar(query, database)),
                    (revisit, np.isin(database, supervision.positives(query))),
                ):
                    found[row] = similarity[mask].max(initial=-1.0)
        won = revisit > elsewhere
        lost = ~won & (revisit > -1.0)
        domains = supervision.domains[asked]
        # If the set holds no other place, an image gives no wrong match.
        other, similar = elsewhere > -1.0, lookalike > -1.0
        return cls(
            right=revisit[won],
            wrong=np.concatenate([elsewhere[other], elsewhere[lost]]),
            lookalike=lookalike[similar],
            weights=(
                balanced_weights(domains[won]),
                balanced_weights(np.concatenate([domains[other], domains[lost]])),
                balanced_weights(domains[similar]),
            ),
        )


def fit_calibration(matches: BestMatches) -> SimilarityCalibration:
    """Logistic regression, right and wrong matches weighted equally, then a safe midpoint.

    The midpoint is at least the 95 % quantile of the matches with similar places. A robot outside
    its map always gets some best match, and one accepted wrong answer costs more than one refused
    right answer.

    Raises:
        NetvladError: one kind is empty or not finite, or right matches are not more similar than
            wrong ones. A bundle may then be exported without calibration.
    """
    right, wrong = matches.right, matches.wrong
    of_right, of_wrong, of_lookalike = matches.weights
    if not len(right) or not len(wrong):
        raise NetvladError(
            'calibration needs held-out images with a revisit and with others of another place'
        )
    if not np.isfinite(np.concatenate([right, wrong, matches.lookalike])).all():
        raise NetvladError('calibration met similarities that are not finite')
    middles = _median(right, of_right), _median(wrong, of_wrong)
    if middles[0] <= middles[1]:
        raise NetvladError(
            'right matches are no more similar than wrong ones on the held-out images: '
            'the descriptor is unusable'
        )

    def cost(parameters: NDArray[np.float64]) -> float:
        midpoint, slope = parameters[0], np.exp(parameters[1])
        missed = np.average(np.logaddexp(0.0, -slope * (right - midpoint)), weights=of_right)
        believed = np.average(np.logaddexp(0.0, slope * (wrong - midpoint)), weights=of_wrong)
        return float(missed + believed)

    start = [(middles[0] + middles[1]) / 2, np.log(20.0)]
    midpoint, log_slope = minimize(cost, start, method='Nelder-Mead').x
    safe = _quantile(matches.lookalike, LOOKALIKE_QUANTILE, of_lookalike)
    return SimilarityCalibration(
        midpoint=float(np.clip(max(midpoint, safe), -1.0, 1.0)),
        slope=float(min(np.exp(log_slope), MAX_SLOPE)),
    )


def _median(values: NDArray[np.float64], weights: Weights) -> float:
    return float(np.median(values)) if weights is None else _quantile(values, 0.5, weights)


def _quantile(values: NDArray[np.float64], share: float, weights: Weights) -> float:
    if weights is None:
        return float(np.quantile(values, share))
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    return float(np.interp(share * weights.sum(), below, values[order]))
