"""Screening: which of several places an image is worth to be verified at first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.features.matching import mutual_matches

SCREENED_PLACES = 10  # most similar places whose best image is compared
SCREENED_KEYPOINTS = 400  # strongest keypoints of an image: a sixth of the products of a thousand
RATIO = 0.9
SLOPE = 4.0  # log odds per log(1 + matches); chosen on nine sets, beside a rival_slope of 40


def screen_places(
    place_of: NDArray[np.int64],
    log_odds: NDArray[np.float64],
    query: LocalFeatures,
    features: Sequence[LocalFeatures],
    metric: str,
) -> NDArray[np.int64]:
    """Order places by similarity and matches, so that the right one may win from rank seven.

    Args:
        place_of: int64 (k,), place of each candidate, -1 for none, most similar first.
        log_odds: (k,), of the candidates by similarity.
        query: features of the image.
        features: of the best image of each of the first places, see first_places.
        metric: of the local descriptors, see FeatureSpec.

    Returns:
        int64 (p,), the places of first_places, most promising first.
    """
    places = first_places(place_of)
    matches = mutual_matches(
        strongest(query), [strongest(each) for each in features], metric, ratio=RATIO
    )
    counts = np.array([len(pairs) for pairs in matches])
    score = log_odds[places] + SLOPE * np.log1p(counts)
    return places[np.argsort(-score, kind='stable')]


def first_places(place_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first SCREENED_PLACES places, int64 (p,): a place is the rank of its best image."""
    return np.flatnonzero(place_of == np.arange(len(place_of)))[:SCREENED_PLACES]


def strongest(features: LocalFeatures) -> LocalFeatures:
    """The first keypoints, which are the strongest."""
    kept = slice(SCREENED_KEYPOINTS)
    return LocalFeatures(features.keypoints[kept], features.descriptors[kept])
