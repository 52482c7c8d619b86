"""Where the headline metrics of an evaluation would lie on other queries of the same kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.metrics.bootstrap import block_bootstrap_interval

INTERVALS = 'intervals'
IMAGES_PER_BLOCK = 'images_per_block'  # 1: the queries were drawn one by one


def recall_columns(
    ranked: Sequence[Sequence[int]], right: Sequence[Collection[int]], ns: Sequence[int]
) -> dict[str, Array]:
    """By name of the figure, per query: 1 = right among the first n, 0 = not, NaN = no answer.

    ranked: places of each query, best first. right: the right ones.
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
    """As recall_columns: whether a query was accepted, and of the accepted, whether rightly."""
    return {
        'accepted_share': accepted.astype(np.float64),
        'precision': np.where(accepted, right, np.nan),
    }


def over_accepted(values: ArrayLike, accepted: NDArray[np.bool_]) -> Array:
    """Values (a,) of the accepted queries as a column of all (n,), NaN elsewhere."""
    column = np.full(len(accepted), np.nan)
    column[accepted] = values
    return column


def intervals_json(columns: dict[str, Array], block: int = 1) -> dict[str, Any]:
    """Intervals of 95 % by name, [low, high] or None, of means; of medians where a name says so.

    columns: (n,) each, in order of time if block (images) is above 1; see block_bootstrap_interval.
    """
    found = {
        name: block_bootstrap_interval(
            column, block, 'median' if name.startswith('median') else 'mean'
        )
        for name, column in columns.items()
    }
    return {
        INTERVALS: {
            name: None if interval is None else [interval.low, interval.high]
            for name, interval in found.items()
        },
        IMAGES_PER_BLOCK: block,
    }
