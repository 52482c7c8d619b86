"""is_structured(): whether a view shows enough to be recognised."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_EDGE = 0.35  # gradient of an edge pixel, as a share of the mean brightness
_STRUCTURED = 0.15  # share of edge pixels in a view that can be recognised


def is_structured(image: NDArray[np.uint8]) -> bool:
    """Whether a view, uint8 (H, W, 3) RGB, shows more than a bare wall or a clear sky."""
    small = cv2.resize(image, (116, 88), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1))
    return bool((slope > _EDGE * max(float(grey.mean()), 1.0)).mean() > _STRUCTURED)
