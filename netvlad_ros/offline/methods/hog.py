"""Histograms of oriented gradients over the whole image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.methods.recipe import GlobalRecipe, Vector, unit
from netvlad_ros.offline.methods.thumbnail import grey_stamp

WIDTH, HEIGHT = 256, 192  # px
CELL = 16  # px
BINS = 9  # over 180 degrees
CLIP = 0.2  # of a block's unit vector


class Hog(GlobalRecipe):
    """Dalal and Triggs, CVPR 2005: 9 unsigned bins, blocks of 2 x 2 cells, L2-Hys."""

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Blocks of an image of 256 x 192 px, float32 (11 * 15 * 36,), of unit length."""
        grey = np.sqrt(grey_stamp(rgb, WIDTH, HEIGHT))
        dx = cv2.filter2D(grey, -1, np.array([[-1.0, 0.0, 1.0]]))
        dy = cv2.filter2D(grey, -1, np.array([[-1.0], [0.0], [1.0]]))
        strength, angle = np.hypot(dx, dy), np.arctan2(dy, dx) % np.pi
        # Each gradient is shared between the two nearest bins.
        at = angle / np.pi * BINS - 0.5
        lower = np.floor(at).astype(int)
        cells = np.zeros((HEIGHT // CELL, WIDTH // CELL, BINS))
        rows, columns = np.indices(grey.shape) // CELL
        for shift, share in ((0, 1 - (at - lower)), (1, at - lower)):
            np.add.at(cells, (rows, columns, (lower + shift) % BINS), strength * share)
        blocks = np.concatenate(
            [cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]], axis=2
        )
        return unit(unit(np.minimum(unit(blocks), CLIP)).ravel())
