"""tf-idf, with and without a spatial check."""

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
VERIFIED_BYTES = 12  # position and word of a feature that is kept for verification


@dataclass(frozen=True)
class Bag:
    """Words (n,) of an image's features, at positions (n, 2) [px]; size: width, height [px]."""

    words: NDArray[np.int64]
    positions: Vector
    size: tuple[int, int]


@dataclass
class BagOfWords:
    """Sivic and Zisserman, ICCV 2003: tf-idf in an inverted file, compared by cosine.

    verified: the first so many of each ranking are ranked anew by inliers (Philbin et al., CVPR
    2007), 0 = none.
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
    """tf-idf vectors (N, W), sparse; idf is that of the database."""

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
        """Yield cosines; verified places have the number of their inliers on top."""
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


def _counts(bags: list[Bag], words: int) -> csr_array:
    rows = np.repeat(np.arange(len(bags)), [len(bag.words) for bag in bags])
    columns = np.concatenate([bag.words for bag in bags])
    counts = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(bags), words))
    counts.sum_duplicates()
    return counts


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
