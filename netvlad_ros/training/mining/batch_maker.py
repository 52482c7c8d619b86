"""BatchMaker: from mined indices to batches with positive and negative pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.training.data.batch import TrainingBatch, TrainingTuple, tuple_positions
from netvlad_ros.training.data.supervision import Supervision


class BatchMaker:
    """Marks the positive and negative pairs of each batch, as the supervision knows them."""

    def __init__(self, supervision: Supervision) -> None:
        self._supervision = supervision
        self._labels, _ = supervision.cells()

    def of_tuples(self, tuples: Sequence[TrainingTuple]) -> TrainingBatch:
        """One batch of tuples. Only the chosen positive of a query is its positive."""
        positions = tuple_positions(tuples)
        images = np.array([index for entry in tuples for index in entry.images], dtype=np.int64)
        positive = np.zeros((len(images), len(images)), dtype=bool)
        positive[positions[:, 0], positions[:, 1]] = True
        positive |= positive.T
        negative = self._negative(images) & ~positive
        return TrainingBatch(images, positions, positive, negative, self._labels[images])

    def of_groups(self, images: NDArray[np.int64]) -> TrainingBatch:
        """One batch without tuples. Potential positives and copies of an image are positives."""
        unique, place = np.unique(images, return_inverse=True)
        near = np.stack([np.isin(unique, self._supervision.positives(int(i))) for i in unique])
        near |= near.T | np.eye(len(unique), dtype=bool)
        positive = near[np.ix_(place, place)]
        negative = self._negative(images) & ~positive
        np.fill_diagonal(positive, False)
        tuples = np.empty((0, 2), dtype=np.int64)
        return TrainingBatch(images, tuples, positive, negative, self._labels[images])

    def _negative(self, images: NDArray[np.int64]) -> NDArray[np.bool_]:
        unique, place = np.unique(images, return_inverse=True)
        elsewhere = np.stack([self._supervision.is_negative(int(i), unique) for i in unique])
        elsewhere |= elsewhere.T  # sure in one direction is enough
        return elsewhere[np.ix_(place, place)]
