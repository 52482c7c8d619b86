"""StepImages: augmented images of many training steps, read ahead in the order of use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.augmentation import Augmentation
from netvlad_ros.training.data.step_plan import ImageKey, MicroBatch, StepPlan

Pixels = list[np.ndarray]  # images of one chunk, uint8 (height, width, 3) RGB
Inputs = Iterator[tuple[MicroBatch, list[Pixels]]]  # micro-batches with the images of their chunks


class StepImages(Dataset[Any]):
    """Augmented images by key.

    An image is a pure function of (seed, key). It does not depend on the process that draws it,
    on the chunks, or on interruptions of the run.

    Args:
        images: paths that keys index.
        augment: applied to each, drawing from torch's generator.
        seed: of the run.
        domains: (N,) int64, domain of each image; None: one.
    """

    def __init__(
        self,
        images: Sequence[Path],
        augment: Augmentation,
        seed: int,
        domains: NDArray[np.int64] | None = None,
    ) -> None:
        self._images = images
        self._augment = augment
        self._seed = seed
        self._domains = np.zeros(len(images), np.int64) if domains is None else domains
        self._members = [np.flatnonzero(self._domains == d) for d in np.unique(self._domains)]

    def __getitem__(self, key: ImageKey) -> np.ndarray | NetvladError:
        """uint8 (height, width, 3) RGB, or the error: raised in a worker it would lose its text."""
        draw = np.random.SeedSequence((self._seed, key.step, key.position)).generate_state(2)
        torch.manual_seed(int(draw[0]) << 32 | int(draw[1]))
        try:
            stranger = partial(self._stranger, key.image) if len(self._members) > 1 else None
            image = self._augment(read_image(self._images[key.image]), stranger)
        except NetvladError as error:
            return error
        # Every process gives the same memory layout: another layout rounds differently.
        return image.contiguous().numpy()

    def _stranger(self, index: int) -> NDArray[np.uint8]:
        """An image of another domain; all other domains are equally likely."""
        others = [rows for rows in self._members if self._domains[rows[0]] != self._domains[index]]
        rows = others[int(torch.randint(len(others), ()))]
        return read_image(self._images[rows[int(torch.randint(len(rows), ()))]])

    def read(self, plans: Sequence[StepPlan], workers: int) -> Iterator[tuple[StepPlan, Inputs]]:
        """Yields each plan with its micro-batches and their images.

        The images of a plan are read while its inputs are iterated: iterate all of them before the
        next plan.

        Args:
            plans: steps, in the order of use.
            workers: processes that read ahead, two chunks each; 0 reads in this process.

        Raises:
            NetvladError: an image that cannot be read, by name.
        """
        micro_batches = [micro_batch for plan in plans for micro_batch in plan.micro_batches]
        pixels = self._chunks([keys for each in micro_batches for keys in each.chunks], workers)
        for plan in plans:
            yield plan, _inputs(plan, pixels)

    def _chunks(self, keys: Sequence[Sequence[ImageKey]], workers: int) -> Iterator[Pixels]:
        loader: DataLoader[Any] = DataLoader(
            self,
            batch_sampler=keys,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=list,  # arrays, not tensors: /dev/shm is small in containers
            worker_init_fn=_one_thread,
        )
        for chunk in loader:
            for image in chunk:
                if isinstance(image, NetvladError):
                    raise image
            yield chunk


def _inputs(plan: StepPlan, pixels: Iterator[Pixels]) -> Inputs:
    for micro_batch in plan.micro_batches:
        yield micro_batch, [next(pixels) for _ in micro_batch.chunks]


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
