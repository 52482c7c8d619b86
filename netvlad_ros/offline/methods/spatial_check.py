"""How many features that share a word also lie alike."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.recipe import Vector

MAX_SHARE = 0.03  # of the query image's longer side, that an inlier may be off: views differ
MIN_INLIERS = 5  # one more than chance often finds
MOST_OF_A_WORD = 3  # features on either side: a word of a wall of bricks says nothing of where
SCALES = (0.25, 4.0)  # of one image to the other
ITERATIONS = 2000
CONFIDENCE = 0.99


def spatial_inliers(
    query_words: NDArray[np.int64],
    query_px: Vector,
    words: NDArray[np.int64],
    px: Vector,
    query_size: tuple[int, int],
) -> int:
    """Pairs of features of equal words (n,), (m,) that one similarity transform explains.

    query_px (n, 2), px (m, 2) [px]; query_size: width, height [px]. The transform is, as those of
    Philbin et al., CVPR 2007, section 4, coarser than two views' true geometry, but two pairs fix
    it, so that it is found among many wrong ones; theirs come from one pair of affine regions.
    """
    pairs = _pairs(query_words, words)
    if len(pairs) < MIN_INLIERS:
        return 0
    cv2.setRNGSeed(0)
    transform, mask = cv2.estimateAffinePartial2D(
        px[pairs[:, 1]],
        query_px[pairs[:, 0]],
        method=cv2.RANSAC,
        ransacReprojThreshold=MAX_SHARE * max(query_size),
        maxIters=ITERATIONS,
        confidence=CONFIDENCE,
    )
    if transform is None or not np.isfinite(transform).all():
        return 0
    if not SCALES[0] <= np.hypot(transform[0, 0], transform[1, 0]) <= SCALES[1]:
        return 0
    # A feature is in as many pairs as there are features of its word, and counts once.
    kept = pairs[mask.ravel() > 0]
    count = min(len(np.unique(kept[:, 0])), len(np.unique(kept[:, 1])))
    return count if count >= MIN_INLIERS else 0


def _pairs(query_words: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows (p, 2) of both whose words are equal, words that are common in an image left out.

    In the order of words, then of the query's rows, then of the other's.
    """
    i, j = _of_rare_words(query_words), _of_rare_words(words)
    first = np.searchsorted(words[j], query_words[i], side='left')
    many = np.searchsorted(words[j], query_words[i], side='right') - first
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    return np.stack([np.repeat(i, many), j[np.repeat(first, many) + within]], axis=1)


def _of_rare_words(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows, sorted by word, of those words that the image has at most MOST_OF_A_WORD times."""
    order = np.argsort(words, kind='stable')
    _, often = np.unique(words, return_counts=True)
    return order[np.repeat(often <= MOST_OF_A_WORD, often)]
