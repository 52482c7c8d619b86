"""PhotoShelf: real photographs as textures for the walls of a rendered world."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.files.image_files import image_names
from netvlad_ros.world.rendering.texture import MATERIALS, Rgb

_KEPT = 64  # decoded photographs that stay in memory


class Shelf(Protocol):
    """A source of pictures for walls."""

    def crop(self, rng: np.random.Generator, height: int, width: int) -> Rgb:
        """Give a picture, uint8 (height, width, 3) RGB."""
        ...


class PhotoShelf:
    """A folder of photographs. Pieces of them give walls the statistics of real images."""

    def __init__(self, folder: Path) -> None:
        """Open a folder; its images are read later.

        Raises:
            NetvladError: the folder holds no image.
        """
        if not folder.is_dir():
            raise NetvladError(f'--textures: {folder} is no folder')
        self._folder = folder
        self._names = image_names(folder)
        if not self._names:
            raise NetvladError(f'--textures: {folder} holds no image (jpg, png, ...)')
        self._read = lru_cache(maxsize=_KEPT)(self._photo)

    def crop(self, rng: np.random.Generator, height: int, width: int) -> Rgb:
        """Cut a piece of a photograph, scaled to uint8 (height, width, 3) RGB, perhaps mirrored.

        Raises:
            NetvladError: the photograph is unreadable.
        """
        photo = self._read(self._names[int(rng.integers(len(self._names)))])
        high, wide = photo.shape[:2]
        share = rng.uniform(0.55, 1.0) * min(high / height, wide / width)
        h, w = max(2, int(share * height)), max(2, int(share * width))
        y, x = int(rng.integers(high - h + 1)), int(rng.integers(wide - w + 1))
        piece = photo[y : y + h, x : x + w]
        if rng.uniform() < 0.5:
            piece = piece[:, ::-1]
        method = cv2.INTER_AREA if share > 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(piece, (width, height), interpolation=method), np.uint8)

    def _photo(self, name: str) -> Rgb:
        return read_image(self._folder / name)


class MaterialShelf:
    """Painted materials instead of photographs."""

    def crop(self, rng: np.random.Generator, height: int, width: int) -> Rgb:
        """Paint a random material, uint8 (height, width, 3) RGB."""
        return MATERIALS[str(rng.choice(list(MATERIALS)))](rng, height, width)


def hang(
    rng: np.random.Generator, wall: Rgb, shelf: Shelf, px_per_m: float, size_m: float = 2.2
) -> None:
    """Draw a framed photograph on a wall, in place, at a random position near eye level."""
    height, width = wall.shape[:2]
    h = int(min(rng.uniform(0.4, 1.0) * size_m * px_per_m, 0.7 * height))
    w = int(min(h * rng.uniform(0.7, 1.6), 0.8 * width))
    if h < 8 or w < 8:
        return
    reach = min(height, int(3.4 * px_per_m))  # not in the third storey
    y = height - reach + int(rng.integers(max(1, reach - h)))
    x = int(rng.integers(width - w))
    wall[max(0, y - 3) : y + h + 3, max(0, x - 3) : x + w + 3] = rng.integers(20, 240, 3)
    wall[y : y + h, x : x + w] = shelf.crop(rng, h, w)[: height - y]
