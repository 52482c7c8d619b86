"""Which local features of two images show the same point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.features.local_features import LocalFeatures

RATIO = {'cosine': 0.8, 'hamming': 0.85}  # bits leave less between a right and a wrong match
SAME_SPOT_PX = 1.5  # a detector finds one corner on several scales and orientations
MAX_TWINS = 4


def match_features(query: LocalFeatures, mapped: LocalFeatures, metric: str) -> NDArray[np.int64]:
    """Mutual nearest neighbours that pass the ratio test, int64 (m, 2): query, mapped keypoint.

    metric: 'cosine' or 'hamming', see FeatureSpec. The distance is at most RATIO of that to the
    nearest neighbour elsewhere in the mapped image (Lowe, IJCV 2004, section 7.1). Keypoints at one
    spot, a corner found with several orientations, are no rivals of one another, and at most one
    match starts or ends at a spot. Most distinct matches first.
    """
    ratio = RATIO[metric]
    if min(len(query.keypoints), len(mapped.keypoints)) < 2:
        return np.empty((0, 2), dtype=np.int64)
    distance = _unit_rows(query.descriptors, metric) @ _unit_rows(mapped.descriptors, metric).T
    np.subtract(1.0, distance, out=distance)
    np.maximum(distance, 0.0, out=distance)  # Euclidean distance squared, or bits, up to a factor
    rows = np.arange(len(distance))
    best = distance.argmin(axis=1)
    nearest = distance[rows, best]
    mutual = nearest <= distance.min(axis=0)[best]
    rows, best, nearest = rows[mutual], best[mutual], nearest[mutual]

    # The runner-up, looked for elsewhere than at the spot of the best one.
    rival = distance[rows]
    rival[np.arange(len(rows)), best] = np.inf
    for twin in _colocated(mapped.keypoints)[best].T:
        rival[np.arange(len(rows)), twin] = np.inf
    runner_up = rival.min(axis=1)
    # Two equal rivals, both at distance 0, must fail as well.
    quotient = (nearest + 1e-6) / (runner_up + 1e-6)
    quotient[~np.isfinite(runner_up)] = np.inf
    passed = np.flatnonzero(quotient < (ratio if metric == 'hamming' else ratio**2))
    passed = passed[np.argsort(quotient[passed], kind='stable')]
    matches = np.stack([rows[passed], best[passed]], axis=1)
    at_query, at_mapped = (
        keypoint_cells(query.keypoints)[matches[:, 0]],
        keypoint_cells(mapped.keypoints)[matches[:, 1]],
    )
    return matches[_first_at_spot(at_query) & _first_at_spot(at_mapped)]


def keypoint_cells(pixels: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of the spot, a cell of SAME_SPOT_PX, of each keypoint (n, 2) [px]; int64 (n,)."""
    cells = np.floor(np.asarray(pixels, dtype=np.float64) / SAME_SPOT_PX).astype(np.int64)
    return np.asarray(cells @ np.array([1 << 20, 1]))


def _first_at_spot(spot: NDArray[np.int64]) -> NDArray[np.bool_]:
    first = np.zeros(len(spot), dtype=bool)
    first[np.unique(spot, return_index=True)[1]] = True
    return first


def _unit_rows(descriptors: NDArray[Any], metric: str) -> NDArray[np.float32]:
    """Rows of unit length whose dot product is 1 at equality."""
    if metric == 'hamming':
        # Signs instead of bits: n differing bits of D take 2 n / D off the dot product. One
        # float32 product is as fast as counting bits here, and exact.
        rows = np.unpackbits(np.ascontiguousarray(descriptors), axis=1).astype(np.float32) * 2 - 1
    else:
        rows = descriptors.astype(np.float32)
    length = np.sqrt(np.einsum('ij,ij->i', rows, rows))[:, np.newaxis]
    return np.asarray(rows / np.maximum(length, 1e-9), dtype=np.float32)


def _colocated(pixels: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each keypoint up to MAX_TWINS others at its spot (n, MAX_TWINS), padded with itself."""
    twins = np.repeat(np.arange(len(pixels))[:, np.newaxis], MAX_TWINS, axis=1)
    order = np.argsort(pixels[:, 0], kind='stable')
    x, y = pixels[order, 0], pixels[order, 1]
    filled = np.zeros(len(pixels), dtype=np.int64)
    # Neighbours in x: those of one spot lie within a few places of each other.
    for step in range(1, len(pixels)):
        near_x = x[step:] - x[:-step] <= SAME_SPOT_PX
        if not near_x.any():
            break
        pairs = np.flatnonzero(near_x & (np.abs(y[step:] - y[:-step]) <= SAME_SPOT_PX))
        for a, b in ((order[pairs], order[pairs + step]), (order[pairs + step], order[pairs])):
            free = filled[a] < MAX_TWINS
            twins[a[free], filled[a[free]]] = b[free]
            filled[a[free]] += 1
    return twins
