"""BagOfWords: tf-idf over visual words, with and without spatial verification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from netvlad_ros.offline.methods.recipe import Vector
from netvlad_ros.offline.methods.visual_words.local_source import LocalSource
from netvlad_ros.offline.methods.visual_words.vocabulary import (
    Vocabulary,
    sample_features,
    visual_words,
)

POSTING_BYTES = 8  # of an inverted file: place and count
VERIFIED_BYTES = 12  # position and word of a feature that is stored for verification
# Spatial verification.
MAX_SHARE = 0.03  # reprojection error of an inlier, as a share of the query image's longer side
MIN_INLIERS = 5  # chance often finds four
MOST_OF_A_WORD = 3  # features in either image; a more frequent word does not show a position
SCALES = (0.25, 4.0)  # of one image relative to the other
ITERATIONS = 2000
CONFIDENCE = 0.99


@dataclass(frozen=True)
class Bag:
    """The features of an image.

    Attributes:
        words: (n,) int64.
        positions: (n, 2) [px].
        size: width, height [px] of the image.
    """

    words: NDArray[np.int64]
    positions: Vector
    size: tuple[int, int]


@dataclass
class BagOfWords:
    """tf-idf in an inverted file, compared by cosine.

    Attributes:
        source: of local features.
        seed: of the vocabulary.
        words: of the vocabulary.
        verified: how many first places of each ranking are ranked again by their inliers.

    Source: Sivic and Zisserman, ICCV 2003; Philbin et al., CVPR 2007, for verification.
    """

    source: LocalSource
    seed: int
    words: int = 4096
    verified: int = 0
    _vocabulary: Vocabulary = field(init=False)

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn the words."""
        self.source.fit(images)
        samples = sample_features(self.source, images, self.seed)
        self._vocabulary = Vocabulary(visual_words(samples, self.words, self.seed))

    def describe(self, rgb: NDArray[np.uint8]) -> Bag:
        """The words of an image."""
        positions, found = self.source.extract(rgb)
        words = self._vocabulary.assign(found)[:, 0]
        return Bag(words, positions, (rgb.shape[1], rgb.shape[0]))

    def index(self, database: list[Bag]) -> WordIndex:
        """The inverted file of the database."""
        return WordIndex(database, len(self._vocabulary), self.verified)


class WordIndex:
    """tf-idf vectors (N, W), sparse, with the idf of the database."""

    def __init__(self, database: list[Bag], words: int, verified: int) -> None:
        counts = _counts(database, words)
        holding = np.bincount(counts.indices, minlength=words)
        self._idf = np.log(len(database) / np.maximum(holding, 1))
        self._tf_idf = self._weighed(counts)
        self._verified = verified
        self._bags = database
        kept = sum(len(bag.words) for bag in database) if verified else 0
        total = POSTING_BYTES * counts.nnz + VERIFIED_BYTES * kept
        self.bytes_per_place = total / max(len(database), 1)

    def rows(self, queries: list[Bag]) -> Iterable[NDArray[Any]]:
        """Yield cosines; the number of inliers is added to those of verified places."""
        for query in queries:
            weights = self._weighed(_counts([query], len(self._idf)))
            cosines = np.asarray(self._tf_idf @ weights.toarray()[0])
            for row in np.argsort(-cosines, kind='stable')[: self._verified]:
                place = self._bags[row]
                cosines[row] += spatial_inliers(
                    query.words, query.positions, place.words, place.positions, query.size
                )
            yield cosines

    def _weighed(self, counts: csr_array) -> csr_array:
        """Rows of unit length: term frequency times inverse document frequency."""
        weighed = counts.astype(np.float64)
        weighed.data *= self._idf[weighed.indices]
        lengths = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1))).ravel()
        weighed.data /= np.repeat(np.where(lengths > 0, lengths, 1), np.diff(weighed.indptr))
        return weighed


def spatial_inliers(
    query_words: NDArray[np.int64],
    query_px: Vector,
    words: NDArray[np.int64],
    px: Vector,
    query_size: tuple[int, int],
) -> int:
    """Number of feature pairs of equal words that agree with one similarity transform.

    The transform is coarser than the true geometry of two views. Two pairs determine it, so that
    RANSAC finds it among many wrong pairs. Philbin et al. take it from one pair of affine regions.

    Args:
        query_words: (n,) int64.
        query_px: (n, 2) positions [px].
        words: (m,) int64, of the place.
        px: (m, 2) positions [px].
        query_size: width, height [px].

    Source: Philbin et al., CVPR 2007, section 4.
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
    # A feature can be in several pairs of its word, but counts once.
    kept = pairs[mask.ravel() > 0]
    count = min(len(np.unique(kept[:, 0])), len(np.unique(kept[:, 1])))
    return count if count >= MIN_INLIERS else 0


def _counts(bags: list[Bag], words: int) -> csr_array:
    rows = np.repeat(np.arange(len(bags)), [len(bag.words) for bag in bags])
    columns = np.concatenate([bag.words for bag in bags])
    counts = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(bags), words))
    counts.sum_duplicates()
    return counts


def _pairs(query_words: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows (p, 2) of features with equal words, without words that are frequent in an image.

    Ordered by word, then by the query's row, then by the other row.
    """
    i, j = _of_rare_words(query_words), _of_rare_words(words)
    first = np.searchsorted(words[j], query_words[i], side='left')
    many = np.searchsorted(words[j], query_words[i], side='right') - first
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    return np.stack([np.repeat(i, many), j[np.repeat(first, many) + within]], axis=1)


def _of_rare_words(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows, sorted by word, of words that are in the image at most MOST_OF_A_WORD times."""
    order = np.argsort(words, kind='stable')
    _, often = np.unique(words, return_counts=True)
    return order[np.repeat(often <= MOST_OF_A_WORD, often)]
