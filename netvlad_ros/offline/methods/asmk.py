"""Aggregated selective match kernels over binary residuals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.local_source import LocalSource
from netvlad_ros.offline.methods.recipe import Vector
from netvlad_ros.offline.methods.vocabulary import Vocabulary, sample_features, visual_words

PLACE_BYTES = 4  # of a posting, beside its bits
ALPHA = 3.0  # selectivity: what agrees half counts an eighth
THRESHOLD = 0.0  # of the agreement in -1..1

Aggregated = tuple[NDArray[np.int64], NDArray[np.uint8]]  # words (n,) ascending, bits (n, D / 8)


@dataclass
class Asmk:
    """Tolias, Avrithis and Jegou, ICCV 2013: ASMK*, one binarised residual per word and image."""

    source: LocalSource
    seed: int
    words: int = 1024
    _vocabulary: Vocabulary = field(init=False)
    _medians: Vector = field(init=False)

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn words, and the median residual, about which residuals are binarised."""
        self.source.fit(images)
        samples = sample_features(self.source, images, self.seed)
        self._vocabulary = Vocabulary(visual_words(samples, self.words, self.seed))
        nearest = self._vocabulary.assign(samples)[:, 0]
        self._medians = np.median(samples - self._vocabulary.words[nearest], axis=0)

    def describe(self, rgb: NDArray[np.uint8]) -> Aggregated:
        """The words of an image, and the signs of the residuals summed in each."""
        _, found = self.source.extract(rgb)
        nearest = self._vocabulary.assign(found)[:, 0]
        present, slot = np.unique(nearest, return_inverse=True)
        sums = np.zeros((len(present), found.shape[1]), np.float32)
        np.add.at(sums, slot, found - self._vocabulary.words[nearest] - self._medians)
        return present, np.packbits(sums > 0, axis=1)

    def index(self, database: list[Aggregated]) -> AsmkIndex:
        """The inverted file."""
        return AsmkIndex(database, *self._vocabulary.words.shape)


class AsmkIndex:
    """Words of all places, sorted by word; dim: bits of a residual."""

    def __init__(self, database: list[Aggregated], words: int, dim: int) -> None:
        counts = np.array([len(found) for found, _ in database])
        word_of = np.concatenate([found for found, _ in database])
        order = np.argsort(word_of, kind='stable')
        self._dim = dim
        self._places = np.repeat(np.arange(len(database)), counts)[order]
        self._bits = np.concatenate([bits for _, bits in database])[order]
        self._starts = np.searchsorted(word_of[order], np.arange(words + 1))
        self._norms = np.sqrt(np.maximum(counts, 1))  # a word agrees with itself by 1
        self.bytes_per_place = (PLACE_BYTES + -(-dim // 8)) * len(word_of) / max(len(database), 1)

    def rows(self, queries: list[Aggregated], order: NDArray[np.int64]) -> Iterable[NDArray[Any]]:
        """Yield kernels, 1 for an image and itself."""
        for words, bits in queries:
            scores = np.zeros(len(self._norms))
            for word, residual in zip(words, bits, strict=True):
                posting = slice(self._starts[word], self._starts[word + 1])
                apart = np.bitwise_count(self._bits[posting] ^ residual).sum(axis=1)
                agreement = 1 - 2 * apart.astype(np.float64) / self._dim
                agreement[agreement <= THRESHOLD] = 0
                scores[self._places[posting]] += agreement**ALPHA  # a place has a word once
            yield scores / (self._norms * np.sqrt(max(len(words), 1)))
