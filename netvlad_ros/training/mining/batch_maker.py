"""From mined indices to batches: who shares a place with whom, and who surely does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.training.data.batch import TrainingBatch, TrainingTuple, tuple_positions
from netvlad_ros.training.data.supervision import Supervision


class BatchMaker:
    """Marks the pairs of each batch by what the supervision knows."""

    def __init__(self, supervision: Supervision) -> None:
        self._supervision = supervision
        self._labels, _ = supervision.cells()

    def of_tuples(self, tuples: Sequence[TrainingTuple]) -> TrainingBatch:
        """One batch; only the chosen positive is a query's positive, the others may show less."""
        positions = tuple_positions(tuples)
        images = np.array([index for entry in tuples for index in entry.images], dtype=np.int64)
        positive = np.zeros((len(images), len(images)), dtype=bool)
        positive[positions[:, 0], positions[:, 1]] = True
        positive |= positive.T
        negative = self._negative(images) & ~positive
        return TrainingBatch(images, positions, positive, negative, self._labels[images])

    def of_groups(self, images: NDArray[np.int64]) -> TrainingBatch:
        """One batch without tuples; all potential positives are positives, so is an image again."""
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
        elsewhere |= elsewhere.T  # sure in one direction is sure
        return elsewhere[np.ix_(place, place)]
