"""Huber weights of residuals."""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.geometry import Array


def huber_weights(length: Array, limit: float) -> Array:
    """Weights that make least squares robust to outliers.

    Args:
        length: (n,), how far each residual is off, >= 0.
        limit: > 0, in the unit of length.

    Returns:
        (n,): 1 up to the limit, limit / length beyond it.

    Source:
        Huber, Robust Statistics, 1981.
    """
    return np.asarray(np.minimum(1.0, limit / np.maximum(length, 1e-12)), dtype=np.float64)
