"""StepPlanner: divides the batches of a training step into micro-batches that fit in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.data.step_plan import ImageKey, MicroBatch, StepPlan
from netvlad_ros.training.loop.distributed import Processes


class StepPlanner:
    """Plans what one process computes of each step.

    The batches of a separable loss are divided by tuples: each process computes its own tuples,
    some at a time. The batches of other losses stay whole: each process describes its own images,
    in chunks.

    Args:
        separable: whether the loss is (Loss.separable).
        processes: that share the work.
        chunk: images whose activations are in memory at once.
    """

    def __init__(self, separable: bool, processes: Processes, chunk: int) -> None:
        self._separable = separable
        self._processes = processes
        self._chunk = chunk
        self._one_by_one = processes.device.type == 'cpu'  # each tuple is its own micro-batch

    def plan(self, step: int, batches: Sequence[TrainingBatch]) -> StepPlan:
        """Plans one step.

        Args:
            step: its number.
            batches: of the step, over all processes.
        """
        micro_batches: list[MicroBatch] = []
        position = 0  # of the batch's first image among all images of the step
        for batch in batches:
            if self._separable and len(batch.tuples):
                micro_batches += self._of_tuples(step, position, batch)
            else:
                micro_batches.append(self._whole(step, position, batch))
            position += len(batch)
        return StepPlan(step, batches, micro_batches)

    def _whole(self, step: int, position: int, batch: TrainingBatch) -> MicroBatch:
        keys = _keys(step, position, batch)[self._processes.share(len(batch))]
        chunks = tuple(keys[i : i + self._chunk] for i in range(0, len(keys), self._chunk))
        return MicroBatch((batch,), chunks, whole=True)

    def _of_tuples(self, step: int, position: int, batch: TrainingBatch) -> list[MicroBatch]:
        """As many tuples in each as fit into one chunk; a larger tuple is a chunk of its own."""
        parts = batch.parts()
        starts = position + np.cumsum([0, *map(len, parts)])
        own = self._processes.share(len(parts))
        micro_batches = []
        waiting: list[TrainingBatch] = []
        keys: tuple[ImageKey, ...] = ()
        for start, part in zip(starts[:-1][own], parts[own], strict=True):
            if waiting and (self._one_by_one or len(keys) + len(part) > self._chunk):
                micro_batches.append(MicroBatch(tuple(waiting), (keys,), whole=False))
                waiting, keys = [], ()
            waiting.append(part)
            keys += _keys(step, int(start), part)
        if waiting:
            micro_batches.append(MicroBatch(tuple(waiting), (keys,), whole=False))
        return micro_batches


def _keys(step: int, position: int, batch: TrainingBatch) -> tuple[ImageKey, ...]:
    return tuple(ImageKey(step, position + i, int(n)) for i, n in enumerate(batch.images))
