"""TrainingTuple and TrainingBatch: images of a step, and which of them show one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainingTuple:
    """A query, its positive and its negatives.

    Attributes:
        query: index of an image.
        positive: index of an image.
        negatives: indices of images, at least one.
    """

    query: int
    positive: int
    negatives: tuple[int, ...]

    @property
    def images(self) -> tuple[int, ...]:
        """Query, positive, negatives."""
        return (self.query, self.positive, *self.negatives)


@dataclass(frozen=True)
class TrainingBatch:
    """Images of one loss value. All fields but `images` refer to their positions 0..M-1.

    Attributes:
        images: (M,) int64, indices of the images to describe, in this order. One image may appear
            twice; each time it is augmented anew.
        tuples: (B, 2 + J) int64, positions of query, positive and negatives; -1 where a query has
            fewer than J negatives. B is 0 in batches of groups. No position is in two tuples.
        positive: (M, M) bool, symmetric, its diagonal False: pairs that show one place.
        negative: (M, M) bool, symmetric: pairs that show two places. Other pairs are unknown.
        labels: (M,) int64, spatial cells; -1 where an image has none.
    """

    images: NDArray[np.int64]
    tuples: NDArray[np.int64]
    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def parts(self) -> list[TrainingBatch]:
        """One batch for each tuple, in order; a batch without tuples is its own single part."""
        if not len(self.tuples):
            return [self]
        return [self._only(positions[positions >= 0]) for positions in self.tuples]

    def _only(self, positions: NDArray[np.int64]) -> TrainingBatch:
        block = np.ix_(positions, positions)
        return TrainingBatch(
            self.images[positions],
            np.arange(len(positions), dtype=np.int64)[None],
            self.positive[block],
            self.negative[block],
            self.labels[positions],
        )


def tuple_positions(tuples: Sequence[TrainingTuple]) -> NDArray[np.int64]:
    """Positions (B, 2 + J) int64 of the images of the tuples in one row of images; -1 pads."""
    width = max(len(entry.images) for entry in tuples)
    positions = np.full((len(tuples), width), -1, dtype=np.int64)
    start = 0
    for row, entry in zip(positions, tuples, strict=True):
        end = start + len(entry.images)
        row[: end - start] = np.arange(start, end)
        start = end
    return positions
