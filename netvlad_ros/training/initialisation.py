"""Where NetVLAD starts: k-means centroids and the softness alpha (paper, appendix A)."""

from __future__ import annotations

from collections.abc import Iterable

import faiss
import numpy as np
import torch
from torch.nn import functional

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.backbone import Backbone
from netvlad_ros.training.pooling import NetVLAD


@torch.no_grad()
def sample_local_descriptors(
    backbone: Backbone, batches: Iterable[torch.Tensor], per_image: int, seed: int
) -> np.ndarray:
    """Draws per_image L2-normalised local descriptors from each image.

    Args:
        backbone: in evaluation mode.
        batches: float32 (N, 3, H, W) in [-1, 1].
        per_image: at most so many from one image.
        seed: of the draw.

    Returns:
        float32 (M, D), unit rows.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for batch in batches:
        for features in functional.normalize(backbone(batch), dim=1).flatten(2):  # (D, P)
            columns = torch.randperm(features.shape[1], generator=generator)[:per_image]
            drawn.append(features[:, columns].T.cpu().numpy())
    return np.concatenate(drawn) if drawn else np.empty((0, backbone.channels), np.float32)


def find_centroids(descriptors: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """k-means over local descriptors (M, D) -> centroids float32 (clusters, D).

    Raises:
        NetvladError: fewer descriptors than 39 per cluster (below that k-means follows single
            points), or not finite.
    """
    if len(descriptors) < 39 * clusters:
        raise NetvladError(
            f'{len(descriptors)} local descriptors are too few for {clusters} clusters: '
            'give more images or fewer clusters'
        )
    if not np.isfinite(descriptors).all():
        raise NetvladError(
            'the backbone answers local descriptors that are not finite: check its weights'
        )
    kmeans = faiss.Kmeans(
        descriptors.shape[1], clusters, niter=30, seed=seed, max_points_per_centroid=1024
    )
    kmeans.train(np.ascontiguousarray(descriptors, np.float32))
    return np.array(kmeans.centroids, np.float32)


def find_alpha(descriptors: np.ndarray, centroids: np.ndarray, ratio: float = 100.0) -> float:
    """The softness at which the largest assignment is `ratio` times the second, on average.

    With a_k proportional to exp(-alpha |x - c_k|^2) the logarithm of that ratio is alpha * (d2^2 -
    d1^2), with d1 and d2 the *distances* to the two nearest centroids; alpha = ln(ratio) /
    mean(d2^2 - d1^2).

    Args:
        descriptors: (M, D).
        centroids: (K, D), K >= 2.
        ratio: wanted ratio of the two assignments.

    Raises:
        NetvladError: fewer than two centroids, or every descriptor lies equally far from two of
            them.
    """
    if len(centroids) < 2:
        raise NetvladError('alpha needs two centroids or more')
    x, c = descriptors.astype(np.float64), centroids.astype(np.float64)
    squared = (x**2).sum(1)[:, None] - 2.0 * x @ c.T + (c**2).sum(1)
    nearest = np.partition(squared, 1, axis=1)[:, :2]
    gap = float((nearest[:, 1] - nearest[:, 0]).mean())
    if not gap > 0.0:
        raise NetvladError(
            'alpha is undefined: every local descriptor is equally far from two centroids'
        )
    return float(np.log(ratio) / gap)


def initialise(pooling: NetVLAD, descriptors: np.ndarray, seed: int) -> float:
    """k-means and alpha into the layer; returns alpha."""
    centroids = find_centroids(descriptors, pooling.clusters, seed)
    alpha = find_alpha(descriptors, centroids)
    pooling.initialise(torch.from_numpy(centroids), alpha)
    return alpha
