"""PCA whitening of pooled descriptors.

Source: after Jegou and Chum, ECCV 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.linalg

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.network.whitening import Projection

_CHUNK = 1024  # rows or columns that are in float64 at once


class Directions(NamedTuple):
    """Principal directions.

    Attributes:
        axes: float64 (r, D), orthonormal rows.
        variance: float64 (r,), falling.
        mean: float64 (D,).
    """

    axes: np.ndarray
    variance: np.ndarray
    mean: np.ndarray


def pca_whitening(
    descriptors: np.ndarray, dim: int, shrinkage: float = 0.0, weights: np.ndarray | None = None
) -> Projection:
    """Principal directions of descriptors (N, D), each scaled to unit variance.

    Args:
        descriptors: float32 or float64, of training images only, N > dim.
        dim: directions that are kept.
        shrinkage: in [0, 1]; 0 whitens fully, 1 only rotates. A variance v is replaced by
            v^(1 - shrinkage) * (largest variance)^shrinkage, so weak directions are amplified less.
        weights: of the descriptors, (N,) with a mean of 1; None: all count the same.

    Raises:
        NetvladError: there are too few descriptors, or they span fewer directions than dim.
    """
    axes, variance, mean = principal_directions(descriptors, dim, weights)
    scale = variance ** (1.0 - shrinkage) * variance[0] ** shrinkage
    return Projection(axes / np.sqrt(scale)[:, None], mean)


def principal_directions(
    descriptors: np.ndarray, count: int, weights: np.ndarray | None = None
) -> Directions:
    """The `count` directions of largest variance of descriptors (N, D), with weights (N,) or all 1.

    With weights, the mean is sum(w x) / N, the covariance sum(w (x - mean) (x - mean)') / (N - 1).
    Besides the descriptors, this needs memory for one square float64 matrix of side min(N, D).

    Raises:
        NetvladError: descriptors are too few or not finite, or they span fewer directions.
    """
    if len(descriptors) <= count:
        raise NetvladError(
            f'whitening to {count} dimensions needs more than {count} training images, '
            f'got {len(descriptors)}'
        )
    if weights is None:
        mean = descriptors.mean(axis=0, dtype=np.float64)
        root = np.ones(len(descriptors))
    else:
        mean = _weighted_mean(descriptors, weights)
        root = np.sqrt(weights)
    if not np.isfinite(mean).all():
        raise NetvladError('whitening is impossible: descriptors of training images are not finite')
    total, width = descriptors.shape
    small = min(total, width)
    products = np.zeros((small, small))
    # With fewer images than dimensions, the smaller Gram matrix has the same spectrum.
    parts = _columns if total < width else _rows
    for part in parts(descriptors, mean, root):
        products += part @ part.T if total < width else part.T @ part
    products /= total - 1
    variance, vectors = scipy.linalg.eigh(
        products, subset_by_index=[small - count, small - 1], overwrite_a=True, check_finite=False
    )
    variance, vectors = variance[::-1], vectors[:, ::-1]
    if not variance[-1] > 1e-12 * variance[0]:
        raise NetvladError(
            f'training descriptors span fewer than {count} directions: '
            'give more varied images or a smaller dim'
        )
    if total >= width:
        return Directions(vectors.T, variance, mean)
    axes = np.concatenate([vectors.T @ part for part in _columns(descriptors, mean, root)], axis=1)
    return Directions(axes / np.sqrt(variance * (total - 1))[:, None], variance, mean)


def _weighted_mean(descriptors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = np.zeros(descriptors.shape[1])
    for start in range(0, len(descriptors), _CHUNK):
        part = slice(start, start + _CHUNK)
        total += weights[part] @ descriptors[part].astype(np.float64)
    return total / len(descriptors)


def _rows(descriptors: np.ndarray, mean: np.ndarray, root: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(descriptors), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield (descriptors[part].astype(np.float64) - mean) * root[part, None]


def _columns(descriptors: np.ndarray, mean: np.ndarray, root: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, descriptors.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        yield (descriptors[:, part].astype(np.float64) - mean[part]) * root[:, None]
