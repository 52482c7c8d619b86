"""season: a photograph of summer as in snow or in autumn."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

# Foliage and grass are greener than red (walls are not) and than blue (the sky is not).
FOLIAGE = np.array([[-3.0, 3.45, -0.45], [0.0, 1.5, -1.5]])
FULL_FOLIAGE = 60.0  # of 255, from which a pixel counts as foliage alone
PATCH_PX = 32  # size of patches of snow
LUMINANCE = np.array([0.299, 0.587, 0.114])


def season(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (h, w, 3) RGB -> the same in another season; draws from torch's global generator.

    Half of the images get snow: patches of the lower part and of foliage turn white, bright ones
    more than dark ones, and everything loses colour and contrast. The others get autumn: foliage
    turns yellow to red-brown.
    """
    snow, amount, horizon, contrast, hue = torch.rand(5, dtype=torch.float64).tolist()
    greener = cv2.min(*cv2.split(cv2.transform(image, FOLIAGE)))
    foliage = np.minimum(greener, FULL_FOLIAGE).astype(np.float32) / np.float32(FULL_FOLIAGE)
    if snow < 0.5:
        return _in_snow(image, foliage, 0.5 + 0.5 * amount, 0.35 + 0.4 * horizon, contrast)
    return _in_autumn(image, foliage * np.float32(0.5 + 0.5 * amount), hue, contrast)


def _in_snow(
    image: NDArray[np.uint8],
    foliage: NDArray[np.float32],
    amount: float,
    horizon: float,
    contrast: float,
) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    below = np.clip((np.linspace(0.0, 1.0, height) - horizon) / 0.15, 0.0, 1.0)
    patches = torch.rand(-(-height // PATCH_PX) + 1, -(-width // PATCH_PX) + 1).numpy()
    cover = cv2.resize(patches, (width, height), interpolation=cv2.INTER_LINEAR)
    cover = np.clip(1.5 * cover + np.float32(2.0 * amount - 1.25), 0.0, 1.0)
    weight = cover * np.maximum(below[:, None].astype(np.float32), 0.7 * foliage)
    dull = _dull(image, 0.3 + 0.4 * amount, 0.95 - 0.3 * contrast)
    # Shadows on snow stay visible: white follows the brightness below it.
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    level = 110.0 + 140.0 * np.sqrt(np.arange(256) / 255.0)
    tables = [np.clip(level * gain, 0, 255).astype(np.uint8) for gain in (0.97, 0.99, 1.03)]
    white = cv2.merge([cv2.LUT(grey, table) for table in tables])
    return np.asarray(cv2.blendLinear(dull, white, 1.0 - weight, weight), dtype=np.uint8)


def _in_autumn(
    image: NDArray[np.uint8], weight: NDArray[np.float32], hue: float, contrast: float
) -> NDArray[np.uint8]:
    yellow = np.array([[0.35, 0.85, 0.0], [0.2, 0.75, 0.0], [0.05, 0.1, 0.3]])
    brown = np.array([[0.3, 0.7, 0.0], [0.1, 0.38, 0.0], [0.05, 0.12, 0.25]])
    leaves = cv2.transform(image, yellow + hue * (brown - yellow))
    turned = cv2.blendLinear(image, leaves, 1.0 - weight, weight)
    return _dull(np.asarray(turned, dtype=np.uint8), 0.1, 1.1 - 0.3 * contrast)


def _dull(image: NDArray[np.uint8], colourless: float, contrast: float) -> NDArray[np.uint8]:
    """With less colour and another contrast about the mean brightness, in one transform."""
    mix = contrast * ((1.0 - colourless) * np.eye(3) + colourless * np.ones((3, 1)) * LUMINANCE)
    mean = float(cv2.mean(image)[1])
    matrix = np.column_stack([mix, np.full(3, (1.0 - contrast) * mean)])
    return np.asarray(cv2.transform(image, matrix), dtype=np.uint8)
