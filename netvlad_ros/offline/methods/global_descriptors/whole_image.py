"""Thumbnail and Hog: one vector of grey values or gradients for the whole image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.sift_orb import shrunken_grey
from netvlad_ros.offline.methods.recipe import GlobalRecipe, Vector, unit

WIDTH, HEIGHT = 64, 32  # [px], as Milford and Wyeth use them
HOG_WIDTH, HOG_HEIGHT = 256, 192  # [px]
CELL = 16  # [px]
BINS = 9  # over 180 degrees
CLIP = 0.2  # of a block's unit vector


class Thumbnail(GlobalRecipe):
    """Normalised cross-correlation of small grey images.

    Source: Milford and Wyeth, ICRA 2012, section III.
    """

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Grey values less their mean, float32 (2048,), of unit length."""
        stamp = grey_stamp(rgb, WIDTH, HEIGHT).ravel()
        return unit(stamp - stamp.mean())


class Hog(GlobalRecipe):
    """Histograms of oriented gradients: 9 unsigned bins, blocks of 2 x 2 cells, L2-Hys.

    Source: Dalal and Triggs, CVPR 2005.
    """

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Blocks of an image of 256 x 192 px, float32 (11 * 15 * 36,), of unit length."""
        grey = np.sqrt(grey_stamp(rgb, HOG_WIDTH, HOG_HEIGHT))
        dx = cv2.filter2D(grey, -1, np.array([[-1.0, 0.0, 1.0]]))
        dy = cv2.filter2D(grey, -1, np.array([[-1.0], [0.0], [1.0]]))
        strength, angle = np.hypot(dx, dy), np.arctan2(dy, dx) % np.pi
        # Each gradient is shared between the two nearest bins.
        at = angle / np.pi * BINS - 0.5
        lower = np.floor(at).astype(int)
        cells = np.zeros((HOG_HEIGHT // CELL, HOG_WIDTH // CELL, BINS))
        rows, columns = np.indices(grey.shape) // CELL
        for shift, share in ((0, 1 - (at - lower)), (1, at - lower)):
            np.add.at(cells, (rows, columns, (lower + shift) % BINS), strength * share)
        blocks = np.concatenate(
            [cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]], axis=2
        )
        return unit(unit(np.minimum(unit(blocks), CLIP)).ravel())


def grey_stamp(rgb: NDArray[np.uint8], width: int, height: int) -> Vector:
    """Brightness of rgb, uint8 (H, W, 3), averaged to float32 (height, width)."""
    grey = shrunken_grey(rgb, max(rgb.shape))
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
