"""SeqSlam: matching sequences of thumbnails instead of single images."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from netvlad_ros.offline.methods.global_descriptors.whole_image import HEIGHT, WIDTH, grey_stamp
from netvlad_ros.offline.methods.recipe import GlobalRecipe, Index, Vector

PATCH = 8  # px, normalised one by one
CONTRAST_WINDOW = 10  # neighbouring database images for contrast enhancement
SEQUENCE = 10  # images; the query is the last, because a robot does not know later ones
AT_ONCE = 2**12  # places compared at once, about 30 MB
SPEEDS = np.arange(0.8, 1.25, 0.1)  # database images per query image


class SeqSlam(GlobalRecipe):
    """Lines through the matrix of differences, online.

    Database and queries are drives in order of time. A query is matched together with the queries
    before it.

    Source: Milford and Wyeth, ICRA 2012.
    """

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """A thumbnail (2048,) with each patch of 8 x 8 px at mean 0 and deviation 1."""
        stamp = grey_stamp(rgb, WIDTH, HEIGHT)
        patches = stamp.reshape(HEIGHT // PATCH, PATCH, WIDTH // PATCH, PATCH)
        centred = patches - patches.mean(axis=(1, 3), keepdims=True)
        deviation = np.maximum(patches.std(axis=(1, 3), keepdims=True), 1.0)  # grey levels
        return np.asarray(centred / deviation, np.float32).ravel()

    def index(self, database: list[Vector]) -> Index:
        """Make thumbnails searchable, in order of time."""
        return StampIndex(np.array(database, np.float32))


class StampIndex:
    """Thumbnails (N, 2048)."""

    def __init__(self, stamps: Vector) -> None:
        self._stamps = stamps
        self.bytes_per_place = float(stamps.shape[1] * stamps.itemsize)

    def rows(self, queries: list[Vector]) -> Iterable[NDArray[Any]]:
        """Yield the negative mean of contrast-enhanced differences along the best line."""
        ends = np.arange(len(self._stamps))
        recent: deque[NDArray[np.float64]] = deque(
            maxlen=SEQUENCE
        )  # the row of the query itself is first
        for query in queries:
            recent.appendleft(self._enhanced(query))
            enhanced, back = np.array(recent), np.arange(len(recent))
            best = np.full(len(ends), np.inf)
            for speed in SPEEDS:
                places = np.rint(ends[:, None] - speed * back).astype(int)
                # The line ends at the first place.
                inside = places >= 0
                along = np.where(inside, enhanced[back, np.maximum(places, 0)], 0)
                best = np.minimum(best, along.sum(axis=1) / inside.sum(axis=1))
            yield -best

    def _enhanced(self, query: Vector) -> NDArray[np.float64]:
        """Differences (N,) of a query to all places, normalised over neighbouring places."""
        difference = np.concatenate(
            [
                np.abs(self._stamps[start : start + AT_ONCE] - query).mean(axis=1, dtype=np.float64)
                for start in range(0, len(self._stamps), AT_ONCE)
            ]
        )
        window = min(CONTRAST_WINDOW + 1, len(difference))
        mean = uniform_filter1d(difference, window, mode='nearest')
        squared = uniform_filter1d(difference**2, window, mode='nearest')
        deviation = np.sqrt(np.maximum(squared - mean**2, 1e-12))
        return np.asarray((difference - mean) / deviation)
