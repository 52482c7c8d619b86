"""Confidence intervals of the main metrics of an evaluation, over its queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.metrics.bootstrap import block_bootstrap_interval, block_length

INTERVALS = 'intervals'
IMAGES_PER_BLOCK = 'images_per_block'

Ends = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """Intervals of 95 % of metrics.

    Attributes:
        by_name: metric -> low and high end; None if there are too few queries.
        images_per_block: successive images that were drawn together; 1 = one by one.
    """

    by_name: Mapping[str, Ends | None]
    images_per_block: int

    def __or__(self, other: Intervals) -> Intervals:
        """These intervals and others over the same blocks."""
        return Intervals({**self.by_name, **other.by_name}, self.images_per_block)

    def to_json(self) -> dict[str, Any]:
        """The intervals as metrics.json has them."""
        return {
            INTERVALS: {
                name: None if ends is None else list(ends) for name, ends in self.by_name.items()
            },
            IMAGES_PER_BLOCK: self.images_per_block,
        }


def recall_columns(
    ranked: Sequence[Sequence[int]], right: Sequence[Collection[int]], ns: Sequence[int]
) -> dict[str, Array]:
    """Whether each of n queries was answered right, by metric.

    Args:
        ranked: places of each query, best first.
        right: the right places of each query.
        ns: the N of recall@N.

    Returns:
        'recall@N' -> (n,): 1 = right among the first N, 0 = not, NaN = unanswerable.
    """
    ranks = [
        next((rank for rank, place in enumerate(answer, 1) if place in places), np.inf)
        if len(places)
        else np.nan
        for answer, places in zip(ranked, map(set, right), strict=True)
    ]
    first = np.array(ranks, dtype=np.float64)
    return {f'recall@{n}': np.where(np.isnan(first), np.nan, first <= n) for n in ns}


def acceptance_columns(accepted: NDArray[np.bool_], right: NDArray[np.bool_]) -> dict[str, Array]:
    """Columns as of recall_columns: whether a query was accepted, and then whether rightly."""
    return {
        'accepted_share': accepted.astype(np.float64),
        'precision': np.where(accepted, right, np.nan),
    }


def over_accepted(values: ArrayLike, accepted: NDArray[np.bool_]) -> Array:
    """Values (a,) of the accepted queries as a column of all (n,), NaN elsewhere."""
    column = np.full(len(accepted), np.nan)
    column[accepted] = values
    return column


def intervals(columns: Mapping[str, Array], stamps_ns: ArrayLike | None = None) -> Intervals:
    """Intervals of 95 % of the means of columns; of medians where a name begins with 'median'.

    Args:
        columns: name -> (n,), one value a query, in order of time if stamps are given.
        stamps_ns: int64 (n,), when the images of a drive were taken [ns]: neighbours are drawn
            together, see block_length. None = queries are drawn one by one.
    """
    block = 1 if stamps_ns is None else block_length(stamps_ns)
    found = {
        name: block_bootstrap_interval(
            column, block, 'median' if name.startswith('median') else 'mean'
        )
        for name, column in columns.items()
    }
    return Intervals(
        {
            name: None if interval is None else (interval.low, interval.high)
            for name, interval in found.items()
        },
        block,
    )
