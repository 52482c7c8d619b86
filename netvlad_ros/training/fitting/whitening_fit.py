"""Fits the whitening layer of a network to training images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.progress import Progress, no_progress
from netvlad_ros.training.fitting.domain_balance import (
    balanced_draw,
    balanced_part,
    balanced_weights,
)
from netvlad_ros.training.fitting.pca_whitening import pca_whitening
from netvlad_ros.training.fitting.supervised_whitening import supervised_whitening
from netvlad_ros.training.network.describer import pooled_descriptors
from netvlad_ros.training.network.image_view import ImageView
from netvlad_ros.training.network.network import PlaceNetwork
from netvlad_ros.training.network.whitening import BranchWhitening, Projection, Whitening

MAX_POOLED_BYTES = 4 * 2**30  # of pooled descriptors in memory, float32
MAX_COVARIANCE = 12_288  # side of the largest float64 matrix: 1.2 GB
MAX_GRAM = 10_000  # images, if their pairwise products are the smaller matrix


def fit_whitening(
    network: PlaceNetwork,
    images: Sequence[Path],
    pairs: np.ndarray | None = None,
    *,
    domains: np.ndarray | None = None,
    progress: Progress = no_progress,
) -> None:
    """Fits the layer as network.config asks for; does nothing for `linear` and `none`.

    PCA is fitted on `config.whitening_views` views of every image. With few places, other scales
    and mirror images determine directions that the images alone do not determine. Every domain has
    the same weight: the fit uses the mean of the domains' covariances about the common mean.

    Memory is bounded: 4 GiB of descriptors (174,000 of 6144 dimensions), and 10,000 images beyond
    12,288 dimensions. Of more images an evenly spaced part is used; pairs that lose an image are
    dropped.

    Args:
        network: trained; is changed in place.
        images: of training places only, more than dim.
        pairs: int64 (P, 2), indices of images that show one place; only `supervised` needs them.
        domains: int64 (N,), domain of each image; None: one. `supervised` does not balance.
        progress: called with (images done, images in all).

    Raises:
        NetvladError: images are too few or unreadable, or pairs are needed and missing.
    """
    config, layer = network.config, network.whitening
    if config.whitening not in ('pca', 'supervised'):
        return
    if config.whitening == 'supervised' and (pairs is None or not len(pairs)):
        raise NetvladError('supervised whitening needs pairs of images that show one place: none')
    if config.whitening == 'pca':
        known = _known(domains, images)
        parts = layer.layers if isinstance(layer, BranchWhitening) else [layer]
        for part, projection in zip(
            parts, _pca_of_views(network, images, known, progress), strict=True
        ):
            assert isinstance(part, Whitening)
            part.set(projection)
        return
    assert isinstance(layer, Whitening)
    kept = balanced_part(np.zeros(len(images), np.int64), row_limit(network.pooled_dim))
    pooled = pooled_descriptors(network, [images[i] for i in kept], progress=progress)
    row = np.full(len(images), -1, np.int64)
    row[kept] = np.arange(len(kept))
    known = row[np.asarray(pairs)]
    known = known[(known >= 0).all(axis=1)]
    layer.set(supervised_whitening(pooled, known, config.dim, config.shrinkage))


def fitted_views(
    network: PlaceNetwork, images: Sequence[Path], domains: np.ndarray | None = None
) -> list[ImageView]:
    """The views that PCA is fitted on, of images that are evenly spaced in a domain."""
    kinds = network.config.whitening_views
    limit = row_limit(network.pooled_dim) // kinds
    limit = min(limit, network.config.whitening_images or limit)
    kept = balanced_part(_known(domains, images), limit)
    return [ImageView(images[i], kind, int(i)) for kind in range(kinds) for i in kept]


def initialise_linear(
    network: PlaceNetwork,
    images: Sequence[Path],
    *,
    seed: int,
    domains: np.ndarray | None = None,
    progress: Progress = no_progress,
) -> str:
    """Starts a trained layer from PCA whitening, or from a random rotation if images are too few.

    Args:
        network: its pooling is initialised; its linear layer is changed.
        images: some are drawn, 4 views per dimension.
        seed: of the draw.
        domains: int64 (N,), domain of each image; None: one.
        progress: called with (images done, images in all).

    Returns:
        Which of the two, in a few words.
    """
    layer, config = network.whitening, network.config
    assert isinstance(layer, Whitening)
    generator = np.random.default_rng(seed)
    if len(images) > config.dim:
        count = -(-4 * config.dim // config.whitening_views)
        known = _known(domains, images)
        drawn = np.concatenate(balanced_draw(generator, known, count))
        some = [images[i] for i in drawn]
        (projection,) = _pca_of_views(network, some, known[drawn], progress)
        layer.set(projection)
        return 'linear layer from PCA'
    noise = generator.normal(size=(network.pooled_dim, config.dim))
    with torch.no_grad():
        layer.linear.weight.copy_(torch.from_numpy(np.linalg.qr(noise)[0].T))
        layer.linear.bias.zero_()
    return f'linear layer from a random rotation ({len(images)} images are too few for PCA)'


def _pca_of_views(
    network: PlaceNetwork, images: Sequence[Path], domains: np.ndarray, progress: Progress
) -> list[Projection]:
    """A projection for each branch of the network, to the same number of dimensions."""
    views = fitted_views(network, images, domains)
    pooled = pooled_descriptors(network, views, progress=progress)
    weights = balanced_weights(domains[[view.number for view in views]])
    widths = [pooling.dim for pooling in network.poolings]
    dim, shrinkage = network.config.dim // len(widths), network.config.shrinkage
    parts = np.split(pooled, np.cumsum(widths)[:-1], axis=1)
    return [pca_whitening(part, dim, shrinkage, weights) for part in parts]


def row_limit(dim: int) -> int:
    """Largest number of descriptors of that width in a fit."""
    return MAX_POOLED_BYTES // (4 * dim) if dim <= MAX_COVARIANCE else MAX_GRAM


def _known(domains: np.ndarray | None, images: Sequence[Path]) -> np.ndarray:
    return np.zeros(len(images), np.int64) if domains is None else domains
