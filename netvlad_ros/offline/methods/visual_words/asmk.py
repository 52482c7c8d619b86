"""Asmk: aggregated selective match kernels over binary residuals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.recipe import Vector
from netvlad_ros.offline.methods.visual_words.local_source import LocalSource
from netvlad_ros.offline.methods.visual_words.posting_lists import PostingLists, Signed
from netvlad_ros.offline.methods.visual_words.vocabulary import (
    Vocabulary,
    sample_features,
    visual_words,
)

PLACE_BYTES = 4  # of a posting, beside its bits
ALPHA = 3.0  # selectivity: an agreement of 1/2 counts 1/8
THRESHOLD = 0.0  # of the agreement, in -1..1


@dataclass
class Asmk:
    """ASMK*: one binarised residual per word and image.

    Source: Tolias, Avrithis and Jegou, ICCV 2013.
    """

    source: LocalSource
    seed: int
    words: int = 1024
    _vocabulary: Vocabulary = field(init=False)
    _medians: Vector = field(init=False)

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn words, and the median residual, which is the threshold of binarisation."""
        self.source.fit(images)
        samples = sample_features(self.source, images, self.seed)
        self._vocabulary = Vocabulary(visual_words(samples, self.words, self.seed))
        nearest = self._vocabulary.assign(samples)[:, 0]
        self._medians = np.median(samples - self._vocabulary.words[nearest], axis=0)

    def describe(self, rgb: NDArray[np.uint8]) -> Signed:
        """The ascending words of an image, and the signs of the summed residuals of each word."""
        _, found = self.source.extract(rgb)
        nearest = self._vocabulary.assign(found)[:, 0]
        present, row_of = np.unique(nearest, return_inverse=True)
        sums = np.zeros((len(present), found.shape[1]), np.float32)
        np.add.at(sums, row_of, found - self._vocabulary.words[nearest] - self._medians)
        return present, np.packbits(sums > 0, axis=1)

    def index(self, database: list[Signed]) -> AsmkIndex:
        """The inverted file."""
        return AsmkIndex(database, *self._vocabulary.words.shape)


class AsmkIndex:
    """Binary residuals of all places, in an inverted file."""

    def __init__(self, database: list[Signed], words: int, dim: int) -> None:
        """Sort by word; dim: bits of a residual."""
        self._dim = dim
        self._lists = PostingLists(database, words)
        self._norms = np.sqrt(
            np.maximum(self._lists.counts, 1)
        )  # the agreement of a word with itself is 1
        total = (PLACE_BYTES + -(-dim // 8)) * len(self._lists.word_of)
        self.bytes_per_place = total / max(len(database), 1)

    def rows(self, queries: list[Signed]) -> Iterable[NDArray[Any]]:
        """Yield kernels, 1 for an image and itself."""
        # Weight of an agreement, by the number of different bits.
        agreement = 1 - 2 * np.arange(self._dim + 1) / self._dim
        counts = np.where(agreement > THRESHOLD, np.maximum(agreement, 0) ** ALPHA, 0)
        for query in queries:
            scores = np.zeros(len(self._norms))
            for _, places, apart in self._lists.matches(query):
                scores += np.bincount(places, counts[apart], minlength=len(scores))
            yield scores / (self._norms * np.sqrt(max(len(query[0]), 1)))
