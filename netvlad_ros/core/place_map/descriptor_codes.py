"""Codes of place descriptors in a map's file: float32, or 8 bits for a wide model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL, EIGHT_BITS = np.dtype('<f4'), np.dtype('i1')
LARGEST = 127  # of an 8-bit component


def eight_bit_codes(descriptors: NDArray[np.float32]) -> NDArray[np.int8]:
    """Round descriptors, float32 (N, D) of unit rows, so that each row's largest component is 127.

    The scale of a row is not stored: its length is 1. The cosine to another row gets an error with
    a standard deviation of 1/440 of the row's largest component: that of rounding to steps of
    1/127 of it. Whitened rows of 512 components and more stay within 0.002.
    """
    largest = np.maximum(np.abs(descriptors).max(axis=1, keepdims=True), 1e-12)
    return np.rint(descriptors * (LARGEST / largest)).astype(EIGHT_BITS)


def descriptors_of(codes: NDArray[Any]) -> NDArray[np.float32]:
    """Descriptors, float32 (N, D), of what a map stores; 8-bit rows get unit length again."""
    if codes.dtype != EIGHT_BITS:
        return codes
    rows = codes.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
