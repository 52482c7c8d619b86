"""Reranking: candidates ordered by similarity and geometry together, without poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.features.matching import mutual_matches

RERANKED = 20  # most similar candidates; the right one is among them for 74 to 100 % of a set
# Of an image whose longer side has 480 px. A plane that is a little bent, or a camera that moved a
# little, still is one homography within so many pixels.
HOMOGRAPHY_PX = 6.0
EPIPOLAR_PX = 2.0
REFERENCE_SIDE_PX = 480
HOMOGRAPHY_ITERATIONS, EPIPOLAR_ITERATIONS = 1000, 2000
CONFIDENCE = 0.999
LEAST_MATCHES = 8


@dataclass(frozen=True)
class RerankWeights:
    """Log odds of one candidate against another, by similarity and by inliers.

    Attributes:
        similarity: per cosine.
        homography: per log(1 + inliers) of a homography.
        epipolar: per log(1 + inliers) of a fundamental matrix.
    """

    similarity: float = 40.0
    homography: float = 5.0
    epipolar: float = 3.0

    def log_odds(
        self, similarity: NDArray[np.floating], inliers: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Log odds (k,) of k candidates against each other.

        Args:
            similarity: (k,), cosines.
            inliers: int64 (k, 2), see geometric_inliers.
        """
        by_geometry = np.log1p(inliers) @ np.array([self.homography, self.epipolar])
        return np.asarray(self.similarity * similarity.astype(np.float64) + by_geometry)


@dataclass(frozen=True)
class SizedFeatures:
    """Local features and the image that they are of.

    Attributes:
        features: of the image.
        side_px: longer side of the image [px].
    """

    features: LocalFeatures
    side_px: int


def rerank(
    query: SizedFeatures,
    candidates: Sequence[SizedFeatures],
    similarity: NDArray[np.floating],
    metric: str,
    weights: RerankWeights | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Order candidates by similarity and inliers together.

    Inliers alone are no better order: in a corridor that looks the same everywhere they put a wrong
    place first where the similarity had it right.

    Args:
        query: features of the query.
        candidates: features of k candidates.
        similarity: (k,), their cosines.
        metric: of the local descriptors, see FeatureSpec.
        weights: of similarity and inliers; None: the defaults.

    Returns:
        int64 (k,), candidates, best first; float64 (k,), their log odds in that order.
    """
    matches = mutual_matches(
        query.features, [candidate.features for candidate in candidates], metric
    )
    inliers = np.array(
        [
            geometric_inliers(query, candidate, pairs)
            for candidate, pairs in zip(candidates, matches, strict=True)
        ],
        dtype=np.int64,
    ).reshape(-1, 2)
    log_odds = (weights or RerankWeights()).log_odds(similarity, inliers)
    order = np.argsort(-log_odds, kind='stable')
    return order, log_odds[order]


def geometric_inliers(
    query: SizedFeatures, candidate: SizedFeatures, matches: NDArray[np.int64]
) -> tuple[int, int]:
    """Matches that agree with one homography, and with one fundamental matrix.

    Args:
        query: features of the query.
        candidate: features of the candidate.
        matches: int64 (m, 2), keypoints of the query and of the candidate.

    Source:
        Barath et al., "MAGSAC++, a fast, reliable and accurate robust estimator", CVPR 2020.
    """
    if len(matches) < LEAST_MATCHES:
        return 0, 0
    a, b = (
        sized.features.keypoints[column].astype(np.float64) * (REFERENCE_SIDE_PX / sized.side_px)
        for sized, column in zip((query, candidate), matches.T, strict=True)
    )
    try:
        _, planar = cv2.findHomography(
            a,
            b,
            cv2.USAC_MAGSAC,
            HOMOGRAPHY_PX,
            maxIters=HOMOGRAPHY_ITERATIONS,
            confidence=CONFIDENCE,
        )
        _, epipolar = cv2.findFundamentalMat(
            a, b, cv2.USAC_MAGSAC, EPIPOLAR_PX, CONFIDENCE, EPIPOLAR_ITERATIONS
        )
    except cv2.error:  # degenerate points
        return 0, 0
    return _count(planar), _count(epipolar)


def _count(mask: NDArray[np.uint8] | None) -> int:
    return 0 if mask is None else int(np.count_nonzero(mask))
