"""The floor of every comparison: images shrunk to a stamp and correlated."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.sift_orb import shrunken_grey
from netvlad_ros.offline.methods.recipe import GlobalRecipe, Vector, unit

WIDTH, HEIGHT = 64, 32  # px, as Milford and Wyeth use them


class Thumbnail(GlobalRecipe):
    """Normalised cross-correlation of grey stamps (Milford and Wyeth, ICRA 2012, section III)."""

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Grey values less their mean, float32 (2048,), of unit length."""
        return unit((stamp := grey_stamp(rgb, WIDTH, HEIGHT).ravel()) - stamp.mean())


def grey_stamp(rgb: NDArray[np.uint8], width: int, height: int) -> Vector:
    """Brightness of rgb, uint8 (H, W, 3), averaged to float32 (height, width)."""
    grey = shrunken_grey(rgb, max(rgb.shape))
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
