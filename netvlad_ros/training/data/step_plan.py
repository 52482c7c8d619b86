"""StepPlan: the batches of one training step, and the micro-batches that a process computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netvlad_ros.training.data.batch import TrainingBatch


class ImageKey(NamedTuple):
    """Which image a step uses, and which draw of its augmentation.

    Attributes:
        step: number of the step.
        position: of the image among all images of the step.
        image: index of the image in the supervision.
    """

    step: int
    position: int
    image: int


@dataclass(frozen=True)
class MicroBatch:
    """What one loss value is computed from: a whole batch, or some tuples of a separable loss.

    Attributes:
        parts: batches whose losses are added, one after the other over the same images.
        chunks: keys of this process's images, in order. No chunk is empty.
        whole: parts holds one batch, whose images are divided among all processes.
    """

    parts: tuple[TrainingBatch, ...]
    chunks: tuple[tuple[ImageKey, ...], ...]
    whole: bool


@dataclass(frozen=True)
class StepPlan:
    """One update of the weights.

    Attributes:
        step: its number.
        batches: over all processes; the update averages their losses.
        micro_batches: what this process computes of them, in order.
    """

    step: int
    batches: Sequence[TrainingBatch]
    micro_batches: Sequence[MicroBatch]
