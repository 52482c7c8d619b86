"""night: a photograph by day as by night: darkness, lamps, glare, noise and blur."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

CELL_PX = 8  # light is drawn in cells of this size and interpolated
LAMPS = 6  # most lamps
BRIGHTEST = 2.0  # factor of light near lamps
SKY_BLUE = np.array([0.75, 0.9, 1.25])  # colour of the darkness, RGB
ORANGE = np.array([1.3, 0.95, 0.55])  # sodium lamps, RGB
WHITE = np.array([1.0, 1.0, 1.0])


def night(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (h, w, 3) RGB by day -> the same by night; draws from torch's global generator.

    The image is darkened by a strong curve and tinted blue or orange. A few lamps light pools
    around them and glare. Blur and noise are those of a long exposure at high gain.
    """
    height, width = image.shape[:2]
    bend, gain, colour, count, blur, sigma = torch.rand(6, dtype=torch.float64).tolist()
    curve = (np.arange(256) / 255.0) ** (1.3 + 1.4 * bend) * (0.25 + 0.45 * gain)
    dark = cv2.LUT(image, np.clip(255.0 * curve, 0, 255).round().astype(np.uint8))
    pools, glare = _lamps(-(-height // CELL_PX), -(-width // CELL_PX), round(count * LAMPS))
    tint = SKY_BLUE + colour * (ORANGE - SKY_BLUE)
    light, shine = (
        cv2.resize(field.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        for field in (np.minimum(tint + pools, BRIGHTEST), 255.0 * glare)
    )
    # In place: new images of this size cost more time than the arithmetic.
    lit = cv2.multiply(dark, light, light, dtype=cv2.CV_32F)
    # The grain of a camera at night is mostly brightness, and it is not sharp.
    grain = torch.randn(height, width).mul_(3.0 + 9.0 * sigma).numpy()
    lit = cv2.add(cv2.add(lit, shine, shine), cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    return np.asarray(cv2.GaussianBlur(lit, (0, 0), 0.4 + 0.8 * blur), dtype=np.uint8)


def _lamps(rows: int, columns: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Light that multiplies the image and glare that is added, each (rows, columns, 3)."""
    pools, glare = np.zeros((2, rows, columns, 3))
    y, x = np.mgrid[:rows, :columns] / float(max(rows, columns))
    for at_x, at_y, size, power, warmth in torch.rand(count, 5, dtype=torch.float64).tolist():
        colour = WHITE + warmth * (ORANGE - WHITE)
        squared = (x - at_x) ** 2 + (y - 0.6 * at_y * rows / max(rows, columns)) ** 2
        reach = 0.08 + 0.2 * size
        pools += (0.2 + power) * np.exp(-squared / (2 * reach**2))[..., None] * colour
        core = np.exp(-squared / (2 * (0.12 * reach) ** 2)) + 0.1 * np.exp(-squared / reach**2)
        glare += (0.2 + 0.6 * power) * core[..., None] * colour
    return pools, glare
