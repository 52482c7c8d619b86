"""Projection: a linear map of descriptors before they are truncated and quantized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.methods.method import spread
from netvlad_ros.offline.methods.recipe import Vector, unit

AS_GIVEN = 'as-given'
RANDOM = 'random'
BALANCED = 'pca-random'
# A variance v counts as v^(1 - shrinkage): 0 whitens fully, 1 only rotates.
SHRINKAGE = {'pca': 1.0, 'pca-whitened-0.5': 0.5, 'pca-whitened': 0.0}
WHITENINGS = (AS_GIVEN, RANDOM, *SHRINKAGE, BALANCED)
LEARNED_WHITENINGS = (*SHRINKAGE, BALANCED)
FITTED_ON = 8192  # descriptors at most, evenly spread: takes minutes on the largest benchmark
MOST_RANDOM = 4096  # directions: 0.5 GB for descriptors of 16,384
FLAT = 1e-10  # share of the largest variance; below it, a direction holds rounding errors only


@dataclass(frozen=True, eq=False)
class Projection:
    """y = matrix (x - mean), directions by falling variance.

    Attributes:
        dimensions: of y.
        matrix: float64 (dimensions, D); None = y is x.
        mean: float64 (D,); None = zero.
        balanced: whether the kept dimensions of y are rotated at random. Cosines stay the same.
            The variance is spread evenly over the dimensions, so that quantization loses less.
        seed: of the random rotation.

    Source: Gong and Lazebnik, CVPR 2011: a random rotation is the start of their iterative
    quantization.
    """

    dimensions: int
    matrix: Array | None = None
    mean: Array | None = None
    balanced: bool = False
    seed: int = 0

    def __call__(self, vectors: Vector, dimensions: int) -> Vector:
        """The first dimensions of y as unit rows, for vectors (N, D).

        Raises:
            NetvladError: more dimensions are asked for than y has.
        """
        if dimensions > self.dimensions:
            raise NetvladError(
                f'only {self.dimensions} directions are known; images to fit on may be too few'
            )
        if self.matrix is None:
            return unit(vectors[:, :dimensions])
        kept = self.matrix[:dimensions]
        if self.balanced:
            kept = _random(dimensions, dimensions, self.seed) @ kept
        offset = 0.0 if self.mean is None else kept @ self.mean
        return unit(vectors @ kept.T - offset)

    def shared_bytes(self, dimensions: int) -> int:
        """Bytes of matrix and offset in float32, once for all places."""
        if self.matrix is None:
            return 0
        return 4 * dimensions * (self.matrix.shape[1] + (self.mean is not None))


def fit_projections(names: Sequence[str], vectors: Vector, seed: int) -> dict[str, Projection]:
    """The projection of each name of WHITENINGS; learned ones are fitted on vectors (N, D)."""
    vectors = vectors[list(spread(len(vectors), FITTED_ON))]
    projections: dict[str, Projection] = {}
    if not set(names).isdisjoint(LEARNED_WHITENINGS):
        axes, variance, mean = _principal(vectors.astype(np.float64))
    for name in names:
        if name == AS_GIVEN:
            projections[name] = Projection(vectors.shape[1])
        elif name == RANDOM:
            dim = vectors.shape[1]
            matrix = _random(min(dim, MOST_RANDOM), dim, seed)
            projections[name] = Projection(len(matrix), matrix)
        elif name == BALANCED:
            projections[name] = Projection(len(axes), axes, mean, balanced=True, seed=seed)
        else:
            scale = variance ** ((1 - SHRINKAGE[name]) / 2)
            projections[name] = Projection(len(axes), axes / scale[:, np.newaxis], mean)
    return projections


def _random(count: int, dim: int, seed: int) -> Array:
    """Draw orthonormal rows (count, dim), uniformly over all directions."""
    drawn = np.random.default_rng(seed).normal(size=(dim, count))
    q, r = np.linalg.qr(drawn)
    return np.asarray((q * np.sign(np.diag(r))).T)


def _principal(vectors: Array) -> tuple[Array, NDArray[np.float64], Array]:
    """Principal axes of vectors (N, D).

    Returns:
        Axes (r, D), their falling variances (r,), and the mean (D,).

    Source: Jegou and Chum, "Negative evidences and co-occurences in image retrieval", ECCV 2012.
    """
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    few = len(vectors) < vectors.shape[1]  # then the smaller Gram matrix has the same spectrum
    scatter = centred @ centred.T if few else centred.T @ centred
    values, columns = np.linalg.eigh(scatter)
    values, columns = values[::-1], columns[:, ::-1]
    kept = values > max(FLAT * values[0], np.finfo(np.float64).tiny)
    values, columns = values[kept], columns[:, kept]
    axes = (centred.T @ columns / np.sqrt(values)).T if few else columns.T
    return axes, values / max(len(vectors) - 1, 1), mean
