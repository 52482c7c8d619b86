"""HammingEmbedding: visual words with binary signatures of 64 bits."""

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

BITS = 64
MAX_DISTANCE = 24  # bits, the threshold of the paper
POSTING_BYTES = 4 + BITS // 8  # of a feature: place and signature
LEAST_SAMPLES = 8  # of a word with own medians; other words have the medians of all


@dataclass
class HammingEmbedding:
    """Features match if word and signature agree.

    Scores are sums of squared idf over the matches, divided by the square roots of the numbers of
    features. Weak geometric consistency is not implemented.

    Source: Jegou, Douze and Schmid, ECCV 2008.
    """

    source: LocalSource
    seed: int
    words: int = 1024
    _vocabulary: Vocabulary = field(init=False)
    _projection: Vector = field(init=False)
    _medians: Vector = field(init=False)

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn words, and the median of every projected component in each word."""
        self.source.fit(images)
        samples = sample_features(self.source, images, self.seed)
        self._vocabulary = Vocabulary(visual_words(samples, self.words, self.seed))
        dim = samples.shape[1]
        random = np.random.default_rng(self.seed).standard_normal((max(dim, BITS), BITS))
        self._projection = np.linalg.qr(random)[0][:dim].astype(np.float32)
        projected = samples @ self._projection
        nearest = self._vocabulary.assign(samples)[:, 0]
        self._medians = np.tile(np.median(projected, axis=0), (len(self._vocabulary), 1))
        for word in np.flatnonzero(np.bincount(nearest) >= LEAST_SAMPLES):
            self._medians[word] = np.median(projected[nearest == word], axis=0)

    def describe(self, rgb: NDArray[np.uint8]) -> Signed:
        """Words and signatures of an image's features."""
        _, found = self.source.extract(rgb)
        words = self._vocabulary.assign(found)[:, 0]
        return words, np.packbits(found @ self._projection > self._medians[words], axis=1)

    def index(self, database: list[Signed]) -> SignatureIndex:
        """The inverted file."""
        return SignatureIndex(database, len(self._vocabulary))


class SignatureIndex:
    """Features of all places, in an inverted file."""

    def __init__(self, database: list[Signed], words: int) -> None:
        self._lists = PostingLists(database, words)
        held = np.unique(np.stack([self._lists.word_of, self._lists.place_of]), axis=1)[0]
        self._idf = np.log(len(database) / np.maximum(np.bincount(held, minlength=words), 1))
        self._norms = np.sqrt(np.maximum(self._lists.counts, 1))
        self.bytes_per_place = POSTING_BYTES * len(self._lists.word_of) / max(len(database), 1)

    def rows(self, queries: list[Signed]) -> Iterable[NDArray[Any]]:
        """Yield scores."""
        for query in queries:
            words = query[0]
            scores = np.zeros(len(self._norms))
            for row_of, places, apart in self._lists.matches(query):
                near = apart <= MAX_DISTANCE
                weights = self._idf[words[row_of[near]]] ** 2
                scores += np.bincount(places[near], weights, minlength=len(scores))
            yield scores / (self._norms * np.sqrt(max(len(words), 1)))
