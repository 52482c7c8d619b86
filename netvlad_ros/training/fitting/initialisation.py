"""Initialisation of a network: backbone weights, k-means clusters, alpha."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import faiss
import numpy as np
import torch
from torch.nn import functional

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.progress import Progress, no_progress
from netvlad_ros.training.fitting.domain_balance import balanced_draw
from netvlad_ros.training.fitting.whitening_fit import initialise_linear
from netvlad_ros.training.network.backbones.weights import load_backbone_weights
from netvlad_ros.training.network.network import LocalDescriptors, PlaceNetwork
from netvlad_ros.training.network.poolings.netvlad import NetVLAD
from netvlad_ros.training.network.poolings.pooling_weights import load_pooling_weights

LOCAL_PER_IMAGE = 100  # local descriptors that k-means takes from one image, as in the paper


def initialise_network(
    network: PlaceNetwork,
    images: Sequence[Path],
    *,
    seed: int,
    domains: np.ndarray | None = None,
    progress: Progress = no_progress,
) -> str:
    """Sets all values that training starts from, as network.config asks for.

    The backbone gets its weights. NetVLAD and CRN get k-means centroids over local descriptors of
    the images, and alpha, or the weights of another network's. A trained linear layer gets
    principal directions, if there are enough images. Other poolings need no initialisation.

    Args:
        network: is changed in place, and left in evaluation mode.
        images: of training places only.
        seed: decides every draw.
        domains: int64 (N,), domain of each image; None: one.
        progress: called with (images done, images in all).

    Returns:
        A sentence about the initial values.

    Raises:
        NetvladError: weights unusable or not chosen, images unreadable or too few.
    """
    network.eval()
    torch.manual_seed(seed)
    summary = load_backbone_weights(network.backbone, network.config.weights)
    if network.local_backbone is not None:
        local = load_backbone_weights(network.local_backbone, network.config.local_weights)
        summary += f'; {network.local_backbone.name}: {local}'
    for pooling, local_descriptors in network.branches:
        if pooling is network.pooling and network.config.pooling_weights:
            summary += f'; {load_pooling_weights(pooling, network.config.pooling_weights)}'
            continue
        if not isinstance(pooling, NetVLAD):
            continue
        sample = sample_local_descriptors(
            network, images, local_descriptors, seed=seed, domains=domains, progress=progress
        )
        alpha = initialise_clusters(pooling, sample, seed)
        summary += f'; {len(sample)} local descriptors, {network.config.clusters} centroids'
        if network.config.ghost_clusters:
            summary += f' and {network.config.ghost_clusters} ghosts'
        summary += f', alpha {alpha:.1f}'
    if network.config.whitening == 'linear':
        linear = initialise_linear(network, images, seed=seed, domains=domains, progress=progress)
        summary += f'; {linear}'
    return summary


@torch.no_grad()
def sample_local_descriptors(
    network: PlaceNetwork,
    images: Sequence[Path],
    local_descriptors: LocalDescriptors | None = None,
    *,
    seed: int,
    domains: np.ndarray | None = None,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Draws L2-normalised local descriptors, LOCAL_PER_IMAGE of an image, as many of each domain.

    A domain with few images gives more of each image, as far as its images have more. With a
    single domain no image gives more than LOCAL_PER_IMAGE.

    Args:
        network: in evaluation mode; its configuration gives the number of descriptors.
        images: only as many as needed are used, drawn at random.
        local_descriptors: of a branch of the network; None: of its backbone.
        seed: of the draws of images and of descriptors.
        domains: int64 (N,), domain of each image; None: one.
        progress: called with (images done, images in all).

    Returns:
        float32 (M, D), unit rows.
    """
    known = np.zeros(len(images), np.int64) if domains is None else domains
    wanted = -(-network.config.local_descriptors // LOCAL_PER_IMAGE)
    parts = balanced_draw(np.random.default_rng(seed), known, wanted)
    # Of every image: the number of descriptors that its domain needs of it.
    share = -(-wanted // max(len(parts), 1)) * LOCAL_PER_IMAGE if len(parts) > 1 else 0
    counts = [max(-(-share // len(p)), LOCAL_PER_IMAGE) for p in parts for _ in p]
    chosen = [index for part in parts for index in part]
    describe = local_descriptors or network.local_descriptors
    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    drawn: list[np.ndarray] = []
    for batch in batches([images[i] for i in chosen], network.config.preprocessing):
        local = functional.normalize(describe(batch.to(device)), dim=1)
        for features in local.flatten(2):  # (D, P)
            columns = torch.randperm(features.shape[1], generator=generator)[: counts[len(drawn)]]
            drawn.append(features[:, columns.to(device)].T.cpu().numpy())
        progress(len(drawn), len(chosen))
    return np.concatenate(drawn) if drawn else np.empty((0, network.backbone.channels), np.float32)


def initialise_clusters(pooling: NetVLAD, descriptors: np.ndarray, seed: int) -> float:
    """Sets clusters, ghosts and alpha of a layer by k-means; returns alpha.

    The ghosts are the last clusters. k-means numbers its clusters at random, so any other choice is
    equally good. Training decides what the ghosts absorb.
    """
    found = find_centroids(descriptors, pooling.clusters + pooling.ghost_clusters, seed)
    centroids = torch.from_numpy(found)
    alpha = find_alpha(descriptors, pooling.anchors(centroids).numpy())
    pooling.initialise(centroids, alpha)
    return alpha


def find_centroids(descriptors: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """k-means over local descriptors (M, D) -> centroids float32 (clusters, D).

    Raises:
        NetvladError: fewer than 39 descriptors per cluster (too few for stable centroids), or
            descriptors that are not finite.
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
    """The alpha at which the largest assignment is `ratio` times the second, on average.

    With a_k proportional to exp(-alpha |x - c_k|^2), the logarithm of the ratio is alpha * (d2^2 -
    d1^2). Here d1 and d2 are the distances to the two nearest centroids. So alpha is ln(ratio) /
    mean(d2^2 - d1^2).

    Args:
        descriptors: (M, D).
        centroids: (K, D), K >= 2.
        ratio: wanted ratio of the two assignments.

    Raises:
        NetvladError: fewer than two centroids, or every descriptor is equally far from its two
            nearest centroids.
    """
    if len(centroids) < 2:
        raise NetvladError('alpha needs two centroids or more')
    c = centroids.astype(np.float64)
    total = 0.0
    for start in range(0, len(descriptors), 65536):
        x = descriptors[start : start + 65536].astype(np.float64)
        squared = (x**2).sum(1)[:, None] - 2.0 * x @ c.T + (c**2).sum(1)
        nearest = np.partition(squared, 1, axis=1)[:, :2]
        total += float((nearest[:, 1] - nearest[:, 0]).sum())
    gap = total / len(descriptors)
    if not gap > 0.0:
        raise NetvladError(
            'alpha is undefined: every local descriptor is equally far from two centroids'
        )
    return float(np.log(ratio) / gap)


def batches(
    images: Sequence[Path], preprocessing: Preprocessing, size: int = 4
) -> Iterator[torch.Tensor]:
    """Yields uint8 (N, h, w, 3) RGB, N <= size, in order.

    A batch ends where the working size changes. Small batches stay in the CPU's cache: in batches
    of 4, an image takes half the time that it takes in batches of 16.

    Raises:
        NetvladError: an image that cannot be read, by name.
    """
    batch: list[np.ndarray] = []
    for path in images:
        image = preprocessing(read_image(path))
        if batch and (len(batch) == size or image.shape != batch[0].shape):
            yield torch.from_numpy(np.stack(batch))
            batch = []
        batch.append(image)
    if batch:
        yield torch.from_numpy(np.stack(batch))
