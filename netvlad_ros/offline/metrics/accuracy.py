"""Recall@N, recall curve, pose errors and their percentiles."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.geometry import Array, around, distance_m, rotation_angle_deg

RECALL_AT = (1, 5, 10)
MOST_RANKS = 100  # nobody looks further down a list


@dataclass(frozen=True)
class Recall:
    """Recall@N over the answerable queries and over all queries.

    Attributes:
        queries: number of all queries.
        answerable: number of queries that have a right place.
        over_answerable: N -> share in 0..1 of the answerable queries.
        over_all: N -> share in 0..1 of all queries.
    """

    queries: int
    answerable: int
    over_answerable: dict[int, float | None]
    over_all: dict[int, float | None]

    def to_json(self) -> dict[str, Any]:
        """The counts and shares as metrics.json has them."""
        return {
            'queries': self.queries,
            'answerable': self.answerable,
            'recall': {str(n): share for n, share in self.over_answerable.items()},
            'recall_all': {str(n): share for n, share in self.over_all.items()},
        }


def recall_at_n(
    ranked: Sequence[Sequence[int] | NDArray[np.int64]],
    positives: Sequence[Collection[int]],
    ns: Sequence[int] = RECALL_AT,
) -> Recall:
    """Share of queries with a right place among the first N; None over no queries.

    A query without a right place is unanswerable. It counts in `over_all` only, as a miss.

    Args:
        ranked: indices of places for each query, best first.
        positives: indices of the right places for each query.
        ns: the values of N.
    """
    hits = {
        n: sum(
            any(int(i) in right for i in answer[:n])
            for answer, right in zip(ranked, map(set, positives), strict=True)
        )
        for n in ns
    }
    answerable = sum(len(right) > 0 for right in positives)
    return Recall(
        queries=len(positives),
        answerable=answerable,
        over_answerable={n: hits[n] / answerable if answerable else None for n in ns},
        over_all={n: hits[n] / len(positives) if positives else None for n in ns},
    )


def places_within(
    T_map_cam: Array, T_true: Array, radius_m: float, angle_deg: float | None
) -> NDArray[np.int64]:
    """Indices of the places (N, 4, 4) within radius and angle of the true camera pose (4, 4)."""
    return np.flatnonzero(around(T_map_cam, T_true, radius_m, angle_deg)).astype(np.int64)


def pose_errors(T_estimated: Array, T_true: Array) -> tuple[Array, Array]:
    """Position error [m] and rotation error [deg] of poses (n, 4, 4)."""
    return distance_m(T_estimated, T_true), rotation_angle_deg(T_estimated, T_true)


def median_and_p90(values: ArrayLike) -> dict[str, float | None]:
    """Median and 90th percentile of values (n,); None where there are none."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return {'median': None, 'p90': None}
    return {'median': float(np.median(array)), 'p90': float(np.percentile(array, 90))}


def percentiles(values: ArrayLike) -> dict[str, float | None]:
    """Percentiles 50, 90, 95, 99 and the maximum of values (n,); None where there are none."""
    array = np.asarray(values, dtype=np.float64)
    shares = {'p50': 50, 'p90': 90, 'p95': 95, 'p99': 99, 'max': 100}
    return {
        name: float(np.percentile(array, share)) if array.size else None
        for name, share in shares.items()
    }


def recall_curve(ranks: Sequence[int | None], answerable: int, depth: int) -> Array:
    """Recall@1 .. recall@depth, (depth,), over the answerable queries; empty if there are none.

    Args:
        ranks: rank of the first right place of each query, 1 = best; None if none was found.
        answerable: number of answerable queries.
        depth: the largest rank.
    """
    if not answerable:
        return np.zeros(0)
    found = np.array([rank for rank in ranks if rank is not None], dtype=np.int64)
    return (found[:, np.newaxis] <= np.arange(1, depth + 1)).sum(axis=0) / answerable
