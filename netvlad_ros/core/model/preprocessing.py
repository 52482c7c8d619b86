"""Preprocessing of an image for the network: the same in training, mapping and the node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import MIN_SIDE_PX, check_rgb, resize
from netvlad_ros.core.errors import NetvladError


@dataclass(frozen=True)
class Preprocessing:
    """Resizing and layout of an image before it enters the graph of a model bundle.

    Attributes:
        height: working height [px].
        width: working width [px].
        resize: 'stretch' gives every image the working size; 'keep_aspect' keeps its aspect ratio
            and gives it the area of the working size.
        multiple: 'keep_aspect' rounds both sides to multiples of this [px].
        layout: of the graph's input, 'NHWC' or 'NCHW'.
        dtype: of the graph's input, 'uint8' or 'float32'.
        mean: RGB, of x/255, subtracted for float32 graphs that do not normalise; else None.
        std: RGB, of x/255, divided by for float32 graphs that do not normalise; else None.
    """

    height: int
    width: int
    resize: str = 'stretch'
    multiple: int = 16
    layout: str = 'NHWC'
    dtype: str = 'uint8'
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        problem = None
        if not all(MIN_SIDE_PX <= side <= 4096 for side in (self.height, self.width)):
            problem = f'size {self.width}x{self.height} is outside {MIN_SIDE_PX}..4096 px'
        elif self.resize not in ('stretch', 'keep_aspect'):
            problem = f"resize '{self.resize}' is neither stretch nor keep_aspect"
        elif not 1 <= self.multiple <= 256:
            problem = f'multiple {self.multiple} is outside 1..256'
        elif self.layout not in ('NHWC', 'NCHW'):
            problem = f"layout '{self.layout}' is neither NHWC nor NCHW"
        elif self.dtype not in ('uint8', 'float32'):
            problem = f"dtype '{self.dtype}' is neither uint8 nor float32"
        elif (self.mean is None) != (self.std is None):
            problem = 'mean and std come together or not at all'
        elif self.mean is not None and self.dtype == 'uint8':
            problem = 'mean and std make no sense for a uint8 input'
        elif self.mean is not None and self.std is not None:
            values = np.array([*self.mean, *self.std], dtype=np.float64)
            if values.shape != (6,) or not np.isfinite(values).all() or min(self.std) <= 0:
                problem = 'mean and std must be three finite numbers each, std above zero'
        if problem:
            raise NetvladError(f'the model metadata asks for an impossible input: {problem}')

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width [px] that an image of this height and width is resized to."""
        if self.resize == 'stretch':
            return self.height, self.width
        scale = np.sqrt(self.height * self.width / (height * width))
        # A very long image must not become a graph input of one pixel by ten thousand.
        limit = 4 * max(self.height, self.width)

        def rounded(side: int) -> int:
            return round_side(side * scale, self.multiple, least=1, most=limit)

        return rounded(height), rounded(width)

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize rgb, uint8 (H, W, 3), to the working size, uint8 (h, w, 3).

        Raises:
            NetvladError: rgb is no such image.
        """
        check_rgb(rgb)
        return np.ascontiguousarray(resize(rgb, *self.working_size(*rgb.shape[:2])))

    def to_input(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.generic]:
        """Stack resized images, each uint8 (h, w, 3), into the graph's input batch."""
        batch: NDArray[np.generic] = np.stack(images)
        if self.dtype == 'float32':
            scaled = batch.astype(np.float32) / np.float32(255)
            if self.mean is not None and self.std is not None:
                scaled -= np.array(self.mean, dtype=np.float32)
                scaled /= np.array(self.std, dtype=np.float32)
            batch = scaled
        return in_layout(batch, self.layout)


def round_side(side: float, multiple: int, *, least: int, most: int) -> int:
    """Round a side to a multiple.

    Args:
        side: [px].
        multiple: [px].
        least: the answer is at least the first multiple from here on [px].
        most: the answer is at most this, multiple or not [px].
    """
    steps = max(round(side / multiple), -(-least // multiple))
    return min(steps * multiple, most)


def in_layout(batch: NDArray[Any], layout: str) -> NDArray[Any]:
    """Bring images (N, H, W, C) into the layout of a graph's input, 'NHWC' or 'NCHW'."""
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2) if layout == 'NCHW' else batch)
