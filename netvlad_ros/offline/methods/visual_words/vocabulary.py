"""Vocabulary: visual words, the cluster centres of local descriptors."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.methods.method import spread
from netvlad_ros.offline.methods.recipe import Vector
from netvlad_ros.offline.methods.visual_words.local_source import LocalSource

FIT_IMAGES = 200
FIT_FEATURES = 50_000
PER_WORD = 10  # least features for each word; fewer features give fewer words
ITERATIONS = 15


def sample_features(source: LocalSource, images: Sequence[NDArray[np.uint8]], seed: int) -> Vector:
    """Up to 50,000 descriptors (n, D) of up to 200 of the images, evenly spread.

    Raises:
        NetvladError: no image has a feature.
    """
    rng = np.random.default_rng(seed)
    rows = list(spread(len(images), FIT_IMAGES))
    share = -(-FIT_FEATURES // max(len(rows), 1))
    samples = []
    for row in rows:
        _, found = source.extract(images[row])
        if len(found) > share:
            found = found[rng.choice(len(found), share, replace=False)]
        samples.append(found)
    if not sum(map(len, samples)):
        raise NetvladError(f'none of the {len(rows)} images to learn from has a local feature')
    return np.concatenate(samples)


def visual_words(samples: Vector, words: int, seed: int) -> Vector:
    """Centres (W, D) by k-means; W is `words`, or a tenth of the samples if these are few."""
    count = max(min(words, len(samples) // PER_WORD), 1)
    kmeans = faiss.Kmeans(
        samples.shape[1], count, niter=ITERATIONS, seed=seed, min_points_per_centroid=1
    )
    kmeans.train(np.ascontiguousarray(samples))
    return np.asarray(kmeans.centroids, np.float32)


class Vocabulary:
    """Assigns descriptors to words (W, D)."""

    def __init__(self, words: Vector) -> None:
        self.words = words
        self._index = faiss.IndexFlatL2(words.shape[1])
        self._index.add(words)

    def __len__(self) -> int:
        return len(self.words)

    def assign(self, descriptors: Vector, nearest: int = 1) -> NDArray[np.int64]:
        """The nearest words of descriptors (n, D): int64 (n, nearest), nearest first."""
        if not len(descriptors):
            return np.empty((0, nearest), np.int64)
        _, found = self._index.search(np.ascontiguousarray(descriptors), nearest)
        return np.asarray(found, np.int64)
