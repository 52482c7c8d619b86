"""Matching of local features between two images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.local_features import LocalFeatures

SAME_SPOT_PX = 1.5  # a detector finds one corner at several scales and orientations
PRODUCT_ROWS = 8000  # keypoints of several images that are compared at once: 32 MB for a thousand
MAX_COLOCATED = 4  # keypoints at the spot of another one that are considered


def match_features(
    query: LocalFeatures, mapped: LocalFeatures, metric: str, *, ratio: float
) -> NDArray[np.int64]:
    """Match keypoints that are mutual nearest neighbours and pass the ratio test.

    The distance of a match is below a share of the distance to the nearest keypoint elsewhere in
    the mapped image. Keypoints at one spot, such as a corner with several orientations, do not
    compete in that test. At most one match starts or ends at a spot.

    Args:
        query: features of the query image.
        mapped: features of the map image.
        metric: 'cosine' or 'hamming', see FeatureSpec.
        ratio: that share, see FeatureSpec.

    Returns:
        int64 (m, 2), indices of the query's and the mapped keypoint, most distinct match first.

    Source:
        Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 7.1.
    """
    if min(len(query.keypoints), len(mapped.keypoints)) < 2:
        return np.empty((0, 2), dtype=np.int64)
    distance = _unit_rows(query.descriptors, metric) @ _unit_rows(mapped.descriptors, metric).T
    np.subtract(1.0, distance, out=distance)
    np.maximum(distance, 0.0, out=distance)  # squared Euclidean distance, or bits, times a factor
    rows = np.arange(len(distance))
    best = distance.argmin(axis=1)
    nearest = distance[rows, best]
    mutual = nearest <= distance.min(axis=0)[best]
    rows, best, nearest = rows[mutual], best[mutual], nearest[mutual]

    # The second best, at another spot than the best one.
    rival = distance[rows]
    rival[np.arange(len(rows)), best] = np.inf
    for colocated in _colocated(mapped.keypoints)[best].T:
        rival[np.arange(len(rows)), colocated] = np.inf
    second = rival.min(axis=1)
    # Two equal keypoints, both at distance 0, must fail as well.
    quotient = (nearest + 1e-6) / (second + 1e-6)
    quotient[~np.isfinite(second)] = np.inf
    passed = np.flatnonzero(quotient < (ratio if metric == 'hamming' else ratio**2))
    passed = passed[np.argsort(quotient[passed], kind='stable')]
    matches = np.stack([rows[passed], best[passed]], axis=1)
    query_cell = keypoint_cells(query.keypoints)[matches[:, 0]]
    mapped_cell = keypoint_cells(mapped.keypoints)[matches[:, 1]]
    return matches[_first_in_cell(query_cell) & _first_in_cell(mapped_cell)]


def mutual_matches(
    query: LocalFeatures, mapped: Sequence[LocalFeatures], metric: str, *, ratio: float = 1.0
) -> list[NDArray[np.int64]]:
    """Match keypoints of one image with those of several by mutual nearest neighbours.

    All images are compared in a few matrix products, PRODUCT_ROWS of their keypoints at a time.
    Unlike match_features this is for many candidates and an order among them: spots are not
    considered.

    Args:
        query: features of the query image.
        mapped: features of k images.
        metric: 'cosine' or 'hamming', see FeatureSpec.
        ratio: a match is nearer than this share of the distance to the second nearest keypoint of
            the image; 1 keeps all.

    Returns:
        For each of the k images int64 (m, 2), indices of the query's and the image's keypoint.
    """
    rows = _unit_rows(query.descriptors, metric)
    found: list[NDArray[np.int64]] = []
    start = 0
    while start < len(mapped):
        stop, total = start + 1, len(mapped[start])
        while stop < len(mapped) and total + len(mapped[stop]) <= PRODUCT_ROWS:
            total += len(mapped[stop])
            stop += 1
        parts = [features.descriptors for features in mapped[start:stop]]
        cosines = rows @ _unit_rows(np.concatenate(parts), metric).T
        ends = np.cumsum([len(part) for part in parts])
        found += [_mutual(part, ratio) for part in np.split(cosines, ends[:-1], axis=1)]
        start = stop
    return found


def _mutual(cosines: NDArray[np.float32], ratio: float) -> NDArray[np.int64]:
    """Mutual nearest neighbours (m, 2) among cosines (n, p)."""
    if min(cosines.shape) < 2:
        return np.empty((0, 2), dtype=np.int64)
    best = cosines.argmax(axis=1)
    rows = np.flatnonzero(cosines.argmax(axis=0)[best] == np.arange(len(cosines)))
    if ratio < 1.0:
        distance = 1.0 - np.partition(cosines[rows], -2, axis=1)[:, -2:]
        rows = rows[distance[:, 1] < ratio**2 * distance[:, 0]]
    return np.stack([rows, best[rows]], axis=1)


def keypoint_cells(pixels: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of the cell, SAME_SPOT_PX wide, of each keypoint (n, 2) [px]; int64 (n,)."""
    cells = np.floor(np.asarray(pixels, dtype=np.float64) / SAME_SPOT_PX).astype(np.int64)
    return np.asarray(cells @ np.array([1 << 20, 1]))


def _first_in_cell(cell: NDArray[np.int64]) -> NDArray[np.bool_]:
    first = np.zeros(len(cell), dtype=bool)
    first[np.unique(cell, return_index=True)[1]] = True
    return first


def _unit_rows(descriptors: NDArray[Any], metric: str) -> NDArray[np.float32]:
    """Rows of unit length whose dot product is 1 at equality."""
    if metric == 'hamming':
        # Signs instead of bits: n differing bits of D reduce the dot product by 2 n / D. A float32
        # product is as fast as counting bits here, and exact.
        rows = np.unpackbits(np.ascontiguousarray(descriptors), axis=1).astype(np.float32) * 2 - 1
    else:
        rows = descriptors.astype(np.float32)
    length = np.sqrt(np.einsum('ij,ij->i', rows, rows))[:, np.newaxis]
    return np.asarray(rows / np.maximum(length, 1e-9), dtype=np.float32)


def _colocated(pixels: NDArray[np.float32]) -> NDArray[np.int64]:
    """Keypoints at the spot of each one, (n, MAX_COLOCATED), padded with itself."""
    colocated = np.repeat(np.arange(len(pixels))[:, np.newaxis], MAX_COLOCATED, axis=1)
    order = np.argsort(pixels[:, 0], kind='stable')
    x, y = pixels[order, 0], pixels[order, 1]
    filled = np.zeros(len(pixels), dtype=np.int64)
    # In the order of x, keypoints of one spot lie within a few positions of each other.
    for step in range(1, len(pixels)):
        near_x = x[step:] - x[:-step] <= SAME_SPOT_PX
        if not near_x.any():
            break
        pairs = np.flatnonzero(near_x & (np.abs(y[step:] - y[:-step]) <= SAME_SPOT_PX))
        for a, b in ((order[pairs], order[pairs + step]), (order[pairs + step], order[pairs])):
            free = filled[a] < MAX_COLOCATED
            colocated[a[free], filled[a[free]]] = b[free]
            filled[a[free]] += 1
    return colocated
