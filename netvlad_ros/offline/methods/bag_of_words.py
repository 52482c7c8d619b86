"""Bags of visual words: images as texts, and words weighed by how much they tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from netvlad_ros.offline.methods.local_source import LocalSource
from netvlad_ros.offline.methods.recipe import Vector
from netvlad_ros.offline.methods.spatial_check import spatial_inliers
from netvlad_ros.offline.methods.vocabulary import Vocabulary, sample_features, visual_words

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
