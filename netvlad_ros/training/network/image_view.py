"""ImageView: mirrored and zoomed views of an image, to fit a whitening on few images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import read_image

PLACES = 3  # along each side, for the zoomed window


@dataclass(frozen=True)
class ImageView:
    """An image as it is, mirrored, zoomed to half its sides, or both.

    Nothing is random, so a fit on views is repeatable.

    Attributes:
        path: of the image.
        kind: 0 whole, 1 mirrored, 2 zoomed, 3 zoomed and mirrored.
        number: of the image among many; decides where the zoomed window lies.
    """

    path: Path
    kind: int
    number: int

    def read(self) -> NDArray[np.uint8]:
        """uint8 (h, w, 3) RGB; raises NetvladError if the file cannot be read, by name."""
        rgb = read_image(self.path)
        if self.kind >= 2:
            high, wide = (max(side // 2, 1) for side in rgb.shape[:2])
            row, column = divmod((self.number + (self.kind - 2) * 4) % PLACES**2, PLACES)
            top = (rgb.shape[0] - high) * row // (PLACES - 1)
            left = (rgb.shape[1] - wide) * column // (PLACES - 1)
            rgb = rgb[top : top + high, left : left + wide]
        if self.kind % 2:
            rgb = rgb[:, ::-1]
        return np.ascontiguousarray(rgb)
