"""One update of the weights: exact over a whole batch, in memory that a chunk of it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.augmented_images import ImageKey
from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.loop.distributed import Processes
from netvlad_ros.training.loop.optimizer import Optimizer
from netvlad_ros.training.loop.precision import Precision
from netvlad_ros.training.losses.base import Loss
from netvlad_ros.training.network.network import PlaceNetwork

Pixels = list[np.ndarray]  # of a chunk
NAMED = 8  # images of a bad batch that an error names


@dataclass(frozen=True)
class MicroBatch:
    """What one loss value is computed from: a whole batch, or some tuples of a separable loss.

    Attributes:
        parts: batches whose losses are added, one after the other over the same images.
        chunks: keys of this process's images, in order, none of the chunks empty.
        whole: the images of all processes belong together (parts holds one batch).
    """

    parts: tuple[TrainingBatch, ...]
    chunks: tuple[tuple[ImageKey, ...], ...]
    whole: bool


class TrainingStep:
    """Makes updates.

    A loss that is separable into tuples is computed some tuples at a time, each process its own.
    Other losses need all descriptors of a batch at once: the images are described in chunks
    without a graph, the loss and its gradient with respect to the descriptors are computed from
    all of them, and each chunk is described again with that gradient (Gao et al. 2021, gradient
    cache). The second pass is spared where one chunk holds everything. Either way two processes
    add up the gradient of the one global batch.

    Args:
        network: in training mode.
        loss: its own parameters train, too.
        optimizer: of both.
        processes: that share the work.
        precision: of the passes through the network.
        chunk: images whose activations are in memory at once.
        images: paths, to name a bad batch.
    """

    def __init__(
        self,
        network: PlaceNetwork,
        loss: Loss,
        optimizer: Optimizer,
        processes: Processes,
        precision: Precision,
        chunk: int,
        images: Sequence[Path],
    ) -> None:
        self._network = network
        self._loss = loss
        self._optimizer = optimizer
        self._processes = processes
        self._precision = precision
        self._chunk = chunk
        self._alone = processes.device.type == 'cpu'  # each image passes alone
        self._images = images

    def plan(self, step: int, batches: Sequence[TrainingBatch]) -> list[MicroBatch]:
        """Cuts the batches of a step into what this process computes, in order."""
        portions, position = [], 0
        for batch in batches:
            if not (self._loss.separable and len(batch.tuples)):
                keys = _keys(step, position, batch)[self._processes.share(len(batch))]
                cut = tuple(keys[i : i + self._chunk] for i in range(0, len(keys), self._chunk))
                portions.append(MicroBatch((batch,), cut, whole=True))
                position += len(batch)
                continue
            parts = batch.parts()
            starts = position + np.cumsum([0, *map(len, parts)])
            position = int(starts[-1])
            own = self._processes.share(len(parts))
            waiting: list[TrainingBatch] = []
            keys = ()
            for start, part in zip(starts[:-1][own], parts[own], strict=True):
                if waiting and (self._alone or len(keys) + len(part) > self._chunk):
                    portions.append(MicroBatch(tuple(waiting), (keys,), whole=False))
                    waiting, keys = [], ()
                waiting.append(part)
                keys += _keys(step, int(start), part)
            if waiting:
                portions.append(MicroBatch(tuple(waiting), (keys,), whole=False))
        return portions

    def update(
        self,
        batches: Sequence[TrainingBatch],
        portions: Sequence[MicroBatch],
        pixels: Iterator[Pixels],
    ) -> float:
        """One step of the optimizer; returns the mean loss of the batches.

        Args:
            batches: of the step, over all processes.
            portions: plan() of them.
            pixels: uint8 (height, width, 3) images of every chunk of the portions, in order.

        Raises:
            NetvladError: loss or gradient are not finite; the weights are those before the step.
        """
        self._optimizer.inner.zero_grad()
        total = torch.zeros((), dtype=torch.float64, device=self._processes.device)
        for portion in portions:
            if portion.whole:
                total += self._whole(portion, pixels, len(batches))
            else:
                weight = 1.0 / sum(len(batch.parts()) for batch in batches)
                total += self._parts(portion, pixels, weight)
        gradients = [_gradient(parameter) for parameter in self._optimizer.parameters]
        self._processes.sum([total])
        self._processes.sum(gradients)
        value = float(total)
        if not np.isfinite(value):
            raise NetvladError(self._complaint(f'the loss is {value}', batches))
        if not self._precision.step(self._optimizer.inner, gradients):
            raise NetvladError(self._complaint('the gradient is not finite', batches))
        return value

    def _parts(self, portion: MicroBatch, pixels: Iterator[Pixels], weight: float) -> float:
        passes = self._describe(next(pixels))
        descriptors = torch.cat(passes).detach().requires_grad_()
        rows = descriptors.split([len(part) for part in portion.parts])
        losses = [self._loss(d, part) for d, part in zip(rows, portion.parts, strict=True)]
        value = torch.stack(losses).sum() * weight
        self._precision.scale(value).backward()
        _backward(passes, _gradient(descriptors))
        return value.item()

    def _whole(self, portion: MicroBatch, pixels: Iterator[Pixels], batches: int) -> float:
        (batch,) = portion.parts
        once = len(portion.chunks) == 1
        kept = [next(pixels) for _ in portion.chunks]
        with torch.set_grad_enabled(once):
            passes = [rows for chunk in kept for rows in self._describe(chunk)]
        own = torch.cat([*passes, self._nothing()]).detach()
        descriptors = self._processes.gather(own, len(batch)).requires_grad_()
        value = self._loss(descriptors, batch) / batches
        self._precision.scale(value).backward()
        gradient = _gradient(descriptors)[self._processes.share(len(batch))]
        if once:
            _backward(passes, gradient)
        else:
            for chunk, part in zip(kept, gradient.split([len(c) for c in kept]), strict=True):
                felt = part.any(dim=1)
                images = [image for image, feels in zip(chunk, felt.tolist(), strict=True) if feels]
                _backward(self._describe(images), part[felt])
        if self._processes.first:
            return value.item()
        self._loss.zero_grad()  # every process computed the same: it counts once
        return 0.0

    def _describe(self, pixels: Pixels) -> list[torch.Tensor]:
        """Descriptors, float32 (n, D) of each pass through the network."""
        passes = []
        for images in self._passes(pixels):
            with self._precision.autocast():
                found = self._network.rank(torch.from_numpy(images).to(self._processes.device))
            passes.append(found.float())
        return passes

    def _passes(self, pixels: Pixels) -> Iterator[np.ndarray]:
        """uint8 (n, height, width, 3): what goes through the network at once."""
        if self._alone:
            # One image stays in the cache: it takes half the time that it takes among seven.
            yield from (image[None] for image in pixels)
            return
        for _, same in groupby(pixels, key=np.shape):  # sizes differ where the aspect is kept
            yield np.stack(list(same))

    def _nothing(self) -> torch.Tensor:
        return torch.zeros((0, self._network.rank_dim), device=self._processes.device)

    def _complaint(self, what: str, batches: Sequence[TrainingBatch]) -> str:
        indices = dict.fromkeys(int(i) for batch in batches for i in batch.images)
        names = [str(self._images[i]) for i in indices]
        more = f' and {len(names) - NAMED} more' if len(names) > NAMED else ''
        return (
            f'{what} on the batch of {", ".join(names[:NAMED])}{more}: training stopped, the last '
            'checkpoint is kept; lower the learning rates'
        )


def _keys(step: int, position: int, batch: TrainingBatch) -> tuple[ImageKey, ...]:
    return tuple(ImageKey(step, position + i, int(n)) for i, n in enumerate(batch.images))


def _backward(passes: Sequence[torch.Tensor], gradient: torch.Tensor) -> None:
    """Through the network from the gradient of its descriptors.

    Many have none, such as negatives that are far enough: their pass is spared.
    """
    for rows, part in zip(passes, gradient.split([len(rows) for rows in passes]), strict=True):
        if part.any():
            rows.backward(part)


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    """Its gradient; zeros where this process met none, so that all processes add up the same."""
    if tensor.grad is None:
        tensor.grad = torch.zeros_like(tensor)
    return tensor.grad
