"""How many features that share a word also lie alike."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.two_view import two_view
from netvlad_ros.offline.methods.recipe import Vector

MAX_PX = 6.0  # of a query image of 480 px on its longer side; grows with it
REFERENCE_SIDE_PX = 480
MIN_INLIERS = 8
MOST_OF_A_WORD = 4  # features on either side: a word of a wall of bricks says nothing of where


def spatial_inliers(
    query_words: NDArray[np.int64],
    query_px: Vector,
    words: NDArray[np.int64],
    px: Vector,
    query_size: tuple[int, int],
) -> int:
    """Pairs of features of equal words (n,), (m,) that one geometry of two views explains.

    query_px (n, 2), px (m, 2) [px]; query_size: width, height [px]. 0 where chance explains them.
    """
    pairs = _pairs(query_words, words)
    if len(pairs) < MIN_INLIERS:
        return 0
    cv2.setRNGSeed(0)
    found = two_view(
        query_px[pairs[:, 0]],
        px[pairs[:, 1]],
        None,
        None,
        query_size,
        max_px=MAX_PX * max(query_size) / REFERENCE_SIDE_PX,
        min_inliers=MIN_INLIERS,
    )
    # A feature is in as many pairs as there are features of its word, and counts once.
    kept = pairs[found.inliers]
    return min(len(np.unique(kept[:, 0])), len(np.unique(kept[:, 1])))


def _pairs(query_words: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows (p, 2) of both whose words are equal, words that are common in an image left out."""
    pairs = [
        (i, j)
        for word in np.intersect1d(query_words, words)
        if len(a := np.flatnonzero(query_words == word)) <= MOST_OF_A_WORD
        and len(b := np.flatnonzero(words == word)) <= MOST_OF_A_WORD
        for i in a
        for j in b
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)
