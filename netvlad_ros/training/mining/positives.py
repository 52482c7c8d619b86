"""The choice of a positive for a query: the best, a random or a geometrically verified one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import read_image

Indices = NDArray[np.int64]
Similarities = NDArray[np.float32]

# Chooses one of the potential positives (P,); returns its position. Potential positives are only
# near the query and need not show the same scene. Arguments: the query, its potential positives,
# their similarities to it (P,), and a random generator.
PositiveChoice = Callable[[int, Indices, Similarities, Generator], int]

LONGEST_SIDE_PX = 640
KEYPOINTS = 1000
RATIO = 0.8  # Lowe's: the nearest descriptor against the second nearest
THRESHOLD_PX = 1.5
REMEMBERED_IMAGES = 512  # 66 MB of features
REMEMBERED_PAIRS = 1_000_000


def best_positive(query: int, potential: Indices, similar: Similarities, rng: Generator) -> int:
    """The most similar positive (paper, equation 5)."""
    return int(similar.argmax())


def random_positive(query: int, potential: Indices, similar: Similarities, rng: Generator) -> int:
    """A random positive: the baseline for the other choices."""
    return int(rng.integers(len(potential)))


class GeometricPositive:
    """The least similar among the nearest potential positives that share geometry with the query.

    The most similar positive teaches little: the network already knows it. This choice takes a
    positive whose overlap with the query is verified by geometry, also if it looks different. The
    `candidates` most similar positives are matched with SIFT (ratio test) and a homography or a
    fundamental matrix (MAGSAC++); the one with more inliers counts. Of the positives with at least
    `inliers` matches, the least similar is taken. If there is none, the most similar is taken.

    Source:
        Radenovic et al., "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2019.

    Args:
        images: path of each image.
        candidates: number of most similar positives that are checked.
        inliers: matches that verify a positive.
    """

    def __init__(self, images: Sequence[Path], candidates: int, inliers: int) -> None:
        self._images = images
        self._candidates = candidates
        self._needed = inliers
        self._pairs: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._features = lru_cache(maxsize=REMEMBERED_IMAGES)(self._extract)

    def __call__(
        self, query: int, potential: Indices, similar: Similarities, rng: Generator
    ) -> int:
        """See PositiveChoice; raises NetvladError for an image that cannot be read."""
        nearest = np.argsort(-similar, kind='stable')[: self._candidates]
        for position in nearest[::-1]:
            if self.inliers(query, int(potential[position])) >= self._needed:
                return int(position)
        return int(nearest[0])

    def inliers(self, first: int, second: int) -> int:
        """Matches of two images that agree with one geometry; the number is kept for the pair.

        Raises:
            NetvladError: an image that cannot be read, by name.
        """
        pair = (first, second)
        if pair not in self._pairs:
            self._pairs[pair] = _count_inliers(self._features(first), self._features(second))
            if len(self._pairs) > REMEMBERED_PAIRS:
                self._pairs.popitem(last=False)
        return self._pairs[pair]

    def _extract(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        gray = cv2.cvtColor(read_image(self._images[index]), cv2.COLOR_RGB2GRAY)
        scale = LONGEST_SIDE_PX / max(gray.shape)
        if scale < 1.0:
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        keypoints, descriptors = cv2.SIFT.create(nfeatures=KEYPOINTS).detectAndCompute(gray, None)
        points = np.array([point.pt for point in keypoints], dtype=np.float32).reshape(-1, 2)
        if descriptors is None:
            descriptors = np.empty((0, 128), dtype=np.float32)
        return points, descriptors.astype(np.uint8)  # SIFT gives whole numbers 0..255


def _count_inliers(
    first: tuple[NDArray[np.float32], NDArray[np.uint8]],
    second: tuple[NDArray[np.float32], NDArray[np.uint8]],
) -> int:
    if min(len(first[0]), len(second[0])) < 2:
        return 0
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    found = matcher.knnMatch(first[1].astype(np.float32), second[1].astype(np.float32), k=2)
    good = [near for near, next_ in found if near.distance < RATIO * next_.distance]
    if len(good) < 8:
        return 0
    left = first[0][[match.queryIdx for match in good]]
    right = second[0][[match.trainIdx for match in good]]
    return max(
        _agreeing(cv2.findHomography, left, right), _agreeing(cv2.findFundamentalMat, left, right)
    )


def _agreeing(
    find: Callable[..., Any], left: NDArray[np.float32], right: NDArray[np.float32]
) -> int:
    try:
        mask = find(left, right, cv2.USAC_MAGSAC, THRESHOLD_PX, maxIters=2000, confidence=0.999)[1]
    except cv2.error:  # raised for points on one plane: they have no fundamental matrix
        return 0
    return 0 if mask is None else int(np.count_nonzero(mask))
