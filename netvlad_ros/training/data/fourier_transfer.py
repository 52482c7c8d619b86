"""fourier_transfer: the light of an image becomes that of another one, its structure stays."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

SMALLEST = 1e-6  # an amplitude below it has no phase


def fourier_transfer(
    image: NDArray[np.uint8], other: NDArray[np.uint8], beta: float, mix: float
) -> NDArray[np.uint8]:
    """Mixes the amplitudes of low frequencies with those of another image; the phases stay.

    Only the coefficients of the window are computed, by matrix products instead of a transform of
    the image. Their change is transformed back and added to the image.

    Source:
        Yang and Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020,
        equation 3.

    Args:
        image: uint8 (h, w, 3).
        other: uint8 (h, w, 3), whose amplitudes are taken.
        beta: half of the window's side, as a share of the shorter side of the image.
        mix: 0 leaves the amplitudes, 1 takes those of the other image.
    """
    height, width = image.shape[:2]
    reach = int(beta * min(height, width))
    own, given = (_low_frequencies(pixels, reach) for pixels in (image, other))
    size = np.abs(own)
    factor = np.where(size > SMALLEST, mix * (np.abs(given) / np.maximum(size, SMALLEST) - 1.0), 0)
    change = own * factor.astype(np.float32) / np.float32(height * width)
    # A real image has conjugate coefficients at -u: all rows but u = 0 count twice.
    change[1:] *= 2.0
    down, across = _waves(height, reach), _waves(width, reach)
    # Real part of exp(2 pi i u y / h) (change exp(2 pi i v x / w)), (reach + 1, 3, w) at first.
    columns = change.reshape(-1, change.shape[2]) @ np.concatenate([across[:0:-1], across.conj()])
    columns = columns.reshape(reach + 1, 3, width).transpose(0, 2, 1).reshape(reach + 1, -1)
    both = np.concatenate([down.real, down.imag]).T @ np.concatenate([columns.real, columns.imag])
    added = both.reshape(height, width, 3)
    return np.asarray(cv2.add(image, added, dtype=cv2.CV_8U), dtype=np.uint8)


def _low_frequencies(pixels: NDArray[np.uint8], reach: int) -> NDArray[np.complex64]:
    """Coefficients 0..r down and -r..r across, r = reach, complex64 (r + 1, 3, 2 r + 1)."""
    height, width = pixels.shape[:2]
    down, across = _waves(height, reach), _waves(width, reach)
    # Real products of two axes only: others are slow in numpy.
    rows = np.concatenate([down.real, down.imag]) @ pixels.reshape(height, -1).astype(np.float32)
    rows = rows.reshape(2, reach + 1, width, 3).transpose(0, 1, 3, 2)
    columns = np.ascontiguousarray(rows[0] + 1j * rows[1]).reshape(-1, width)
    found = columns @ np.concatenate([across[:0:-1].conj(), across]).T
    return found.reshape(reach + 1, 3, -1)


@lru_cache(maxsize=8)
def _waves(size: int, reach: int) -> NDArray[np.complex64]:
    """exp(-2 pi i u x / size) for u = 0..reach, complex64 (reach + 1, size)."""
    turns = np.outer(np.arange(reach + 1), np.arange(size)) / size
    return np.exp(-2j * np.pi * turns).astype(np.complex64)
