"""Small pictures for the report."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LONGEST_PX = 200
_QUALITY = 80


def thumbnail(rgb: NDArray[np.uint8]) -> bytes:
    """Shrink rgb, uint8 (H, W, 3) RGB, to LONGEST_PX at most on its longer side; JPEG."""
    height, width = rgb.shape[:2]
    scale = min(1.0, LONGEST_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    bgr = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return jpeg.tobytes()
