"""How much there is to see in an image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 160, 120  # [px]; averaging down to this takes sensor noise away, edges stay
EDGE = 2.0  # grey levels per pixel


def detail(rgb: NDArray[np.uint8]) -> float:
    """Share (0..1) of an image, uint8 (H, W, 3), where brightness changes from pixel to pixel.

    A wall from near, a covered lens and a dark room stay below a few percent; places show a tenth
    or more. To a descriptor all blank images are alike: it would match one wall with any other.
    """
    small = cv2.resize(rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    return float(np.mean(cv2.magnitude(across, down) > EDGE))
