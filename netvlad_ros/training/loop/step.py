"""TrainingStep: one update of the weights, exact over whole batches, in the memory of one chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.augmented_images import Pixels
from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.data.step_plan import MicroBatch, StepPlan
from netvlad_ros.training.loop.distillation import Distillation
from netvlad_ros.training.loop.distributed import Processes
from netvlad_ros.training.loop.optimizer import Optimizer
from netvlad_ros.training.loop.precision import Precision
from netvlad_ros.training.losses.base import Loss
from netvlad_ros.training.network.network import PlaceNetwork

NAMED = 8  # images of a bad batch that an error names


class _Pass(NamedTuple):
    """Descriptors (n, D) of one pass through the network, and its distance to the start."""

    rows: torch.Tensor
    distance: torch.Tensor | None  # summed over the images; None without distillation


class TrainingStep:
    """Makes updates of the weights.

    A loss that is separable into tuples is computed some tuples at a time; each process computes
    its own tuples. Other losses need all descriptors of a batch at once. For these, the images are
    described in chunks without a graph. The loss and its gradient with respect to the descriptors
    are computed from all of them. Then each chunk is described again with that gradient. If one
    chunk holds all images, this second pass is not needed. In both cases the processes add up the
    gradient of the one global batch.

    Source:
        Gao et al., "Scaling deep contrastive learning batch size under memory limited setup",
        RepL4NLP 2021: the gradient cache.

    Args:
        network: in training mode.
        loss: its own parameters train, too.
        optimizer: of network and loss.
        processes: that share the work.
        precision: of the passes through the network.
        images: paths, to name a bad batch.

    Attributes:
        distillation: its mean over all images of a step is added to the loss; None adds nothing.
    """

    def __init__(
        self,
        network: PlaceNetwork,
        loss: Loss,
        optimizer: Optimizer,
        processes: Processes,
        precision: Precision,
        images: Sequence[Path],
    ) -> None:
        self._network = network
        self._loss = loss
        self._optimizer = optimizer
        self._processes = processes
        self._precision = precision
        self._one_by_one = processes.device.type == 'cpu'  # images pass the network one by one
        self._images = images
        self.distillation: Distillation | None = None

    def update(
        self, plan: StepPlan, inputs: Iterable[tuple[MicroBatch, Sequence[Pixels]]]
    ) -> float:
        """Makes one step of the optimizer; returns the mean loss of the batches.

        Args:
            plan: of the step.
            inputs: each micro-batch of the plan with the images of its chunks, in order.

        Raises:
            NetvladError: loss or gradient are not finite; the weights are those before the step.
        """
        batches = plan.batches
        # Over all processes:
        parts = sum(max(len(batch.tuples), 1) for batch in batches)
        image = 1.0 / sum(len(batch) for batch in batches)  # weight of the distance of an image
        self._optimizer.set_rate(plan.step)
        self._optimizer.inner.zero_grad()
        total = torch.zeros((), dtype=torch.float64, device=self._processes.device)
        for micro_batch, chunks in inputs:
            if micro_batch.whole:
                total += self._whole(micro_batch, chunks, 1.0 / len(batches), image)
            else:
                total += self._parts(micro_batch, chunks, 1.0 / parts, image)
        gradients = [_gradient(parameter) for parameter in self._optimizer.parameters]
        self._processes.sum([total])
        self._processes.sum(gradients)
        value = float(total)
        if not np.isfinite(value):
            raise NetvladError(self._complaint(f'the loss is {value}', batches))
        if not self._precision.step(self._optimizer.inner, gradients):
            raise NetvladError(self._complaint('the gradient is not finite', batches))
        return value

    def _parts(
        self, micro_batch: MicroBatch, chunks: Sequence[Pixels], weight: float, image: float
    ) -> float:
        """Some tuples of a separable loss: described once, in one chunk."""
        (pixels,) = chunks
        passes = self._describe(pixels)
        descriptors = torch.cat([found.rows for found in passes]).detach().requires_grad_()
        rows = descriptors.split([len(part) for part in micro_batch.parts])
        losses = [self._loss(d, part) for d, part in zip(rows, micro_batch.parts, strict=True)]
        value = torch.stack(losses).sum() * weight
        self._precision.scale(value).backward()
        return value.item() + self._backward(passes, _gradient(descriptors), image)

    def _whole(
        self, micro_batch: MicroBatch, chunks: Sequence[Pixels], weight: float, image: float
    ) -> float:
        """A batch whose loss needs all descriptors: described twice, unless it is one chunk."""
        (batch,) = micro_batch.parts
        once = len(chunks) == 1
        with torch.set_grad_enabled(once):
            passes = [found for chunk in chunks for found in self._describe(chunk)]
        own = torch.cat([*(found.rows for found in passes), self._nothing()]).detach()
        descriptors = self._processes.gather(own, len(batch)).requires_grad_()
        value = self._loss(descriptors, batch) * weight
        self._precision.scale(value).backward()
        gradient = _gradient(descriptors)[self._processes.share(len(batch))]
        distance = 0.0
        if once:
            distance = self._backward(passes, gradient, image)
        else:
            for chunk, part in zip(chunks, gradient.split([len(c) for c in chunks]), strict=True):
                # Images without gradient are not described again, unless they are held.
                used = part.any(dim=1) | (self.distillation is not None)
                again = [pixels for pixels, use in zip(chunk, used.tolist(), strict=True) if use]
                distance += self._backward(self._describe(again), part[used], image)
        if self._processes.first:
            return value.item() + distance
        self._loss.zero_grad()  # every process computed the same gradient: it must count once
        return distance

    def _describe(self, pixels: Pixels) -> list[_Pass]:
        """The passes of images through the network; without gradient they have no distance."""
        passes = []
        for images in self._passes(pixels):
            batch = torch.from_numpy(images).to(self._processes.device)
            distance = None
            with self._precision.autocast():
                if self.distillation is None or not torch.is_grad_enabled():
                    rows = self._network.rank(batch)
                else:
                    rows, maps = self._network.rank_with_maps(batch)
                    distance = self.distillation(batch, maps)
            passes.append(_Pass(rows.float(), distance))
        return passes

    def _backward(self, passes: Sequence[_Pass], gradient: torch.Tensor, image: float) -> float:
        """Backward through the network; returns the weighted distances.

        Passes without gradient and distance are skipped, for example of negatives that are far
        enough.

        Args:
            passes: with their graphs.
            gradient: of their descriptors.
            image: weight of the distance of one image.
        """
        total = 0.0
        sizes = [len(found.rows) for found in passes]
        for found, part in zip(passes, gradient.split(sizes), strict=True):
            tensors, gradients = [], []
            if part.any():
                tensors, gradients = [found.rows], [part]
            if found.distance is not None:
                value = found.distance * image
                total += value.item()
                tensors.append(self._precision.scale(value))
                gradients.append(torch.ones_like(value))
            if tensors:
                torch.autograd.backward(tensors, gradients)
        return total

    def _passes(self, pixels: Pixels) -> Iterator[np.ndarray]:
        """uint8 (n, height, width, 3) images of each pass through the network."""
        if self._one_by_one:
            # A single image stays in the cache: it takes half the time that it takes among seven.
            yield from (image[None] for image in pixels)
            return
        for _, same in groupby(pixels, key=np.shape):  # sizes differ with keep_aspect
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


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    """The gradient of a tensor; zeros if there is none, so that all processes can add up."""
    if tensor.grad is None:
        tensor.grad = torch.zeros_like(tensor)
    return tensor.grad
