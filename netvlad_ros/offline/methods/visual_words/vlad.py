"""Vlad: vectors of locally aggregated descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.recipe import GlobalRecipe, Vector, unit
from netvlad_ros.offline.methods.visual_words.local_source import LocalSource
from netvlad_ros.offline.methods.visual_words.vocabulary import (
    Vocabulary,
    sample_features,
    visual_words,
)


@dataclass
class Vlad(GlobalRecipe):
    """Residuals of local features to their words, summed for each word.

    Attributes:
        source: of local features.
        seed: of the vocabulary.
        words: of the vocabulary.
        intra: whether each word is normalised; else components are square-rooted.

    Source: Jegou et al., CVPR 2010, and PAMI 2012 for square roots; Arandjelovic and Zisserman,
    CVPR 2013, for `intra`.
    """

    source: LocalSource
    seed: int
    words: int = 64
    intra: bool = False
    _vocabulary: Vocabulary = field(init=False)

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn the words."""
        self.source.fit(images)
        samples = sample_features(self.source, images, self.seed)
        self._vocabulary = Vocabulary(visual_words(samples, self.words, self.seed))

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Summed residuals, float32 (W * D,), of unit length."""
        _, found = self.source.extract(rgb)
        words = self._vocabulary.words
        sums = np.zeros_like(words)
        nearest = self._vocabulary.assign(found)[:, 0]
        np.add.at(sums, nearest, found - words[nearest])
        sums = unit(sums) if self.intra else np.sign(sums) * np.sqrt(np.abs(sums))
        return unit(sums.ravel())
