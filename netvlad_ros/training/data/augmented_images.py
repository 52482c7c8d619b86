"""The augmented images of many steps, read ahead by other processes, in the order of use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.augmentation import Augmentation


class ImageKey(NamedTuple):
    """Which image, and which draw of its augmentation: its position in the images of a step."""

    step: int
    position: int
    image: int


class StepImages(Dataset[Any]):
    """Augmented images by key.

    An image is a pure function of (seed, key): it does not matter which process draws it, how
    steps are cut into chunks, or whether the run was interrupted.

    Args:
        images: paths that keys index.
        augment: applied to each, drawing from torch's generator.
        seed: of the run.
    """

    def __init__(self, images: Sequence[Path], augment: Augmentation, seed: int) -> None:
        self._images = images
        self._augment = augment
        self._seed = seed

    def __getitem__(self, key: ImageKey) -> np.ndarray | NetvladError:
        """uint8 (height, width, 3) RGB, or why not: errors that workers raise lose their text."""
        draw = np.random.SeedSequence((self._seed, key.step, key.position)).generate_state(2)
        torch.manual_seed(int(draw[0]) << 32 | int(draw[1]))
        try:
            image = self._augment(read_image(self._images[key.image]))
        except NetvladError as error:
            return error
        # One memory layout, whichever process made it: another one rounds differently.
        return image.contiguous().numpy()

    def chunks(
        self, keys: Sequence[Sequence[ImageKey]], workers: int
    ) -> Iterator[list[np.ndarray]]:
        """Yields the images, uint8 (height, width, 3), of each chunk of keys, in order.

        Args:
            keys: chunks, none of them empty.
            workers: processes that read ahead, two chunks each; 0 reads in this one.

        Raises:
            NetvladError: an image that cannot be read, by name.
        """
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


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
