"""Pictures drawn for the parity gate, where no photographs are given."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def drawn_images(height: int, width: int, count: int = 3) -> list[NDArray[np.uint8]]:
    """Images uint8 (height, width, 3) with shades, edges and texture, the same at every call.

    Patches of colour at four scales, smooth and sharp, so that filters of every layer answer.
    """
    images = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        image = np.zeros((height, width, 3), dtype=np.float32)
        for cells in (3, 8, 24, 96):
            patches = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
            method = cv2.INTER_NEAREST if rng.random() < 0.5 else cv2.INTER_CUBIC
            image += cv2.resize(patches, (width, height), interpolation=method) / 4
        images.append(image.clip(0, 255).astype(np.uint8))
    return images
