"""How far a figure would move on other queries of the same kind: the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array

# Called as statistic(samples, axis=-1) on (repeats, n): np.mean, np.median and their like.
Statistic = Callable[..., Array]
DRAWN_AT_ONCE = 2**22  # queries: some 64 MB, however many there are


@dataclass(frozen=True)
class Interval:
    """A figure and where it would lie in `confidence` of all repetitions."""

    estimate: float
    low: float
    high: float
    confidence: float


def bootstrap_interval(
    values: ArrayLike,
    statistic: Statistic = np.mean,
    seed: int = 0,
    repeats: int = 2000,
    *,
    confidence: float = 0.95,
) -> Interval | None:
    """Percentile interval of a statistic over queries, values (n,); NaN (no answer) is left out.

    None if fewer than two values are left: one query says nothing of others. Where all values are
    equal the interval has no width, for no draw differs: tell the number of queries with it.
    Neighbouring images of one drive are not independent, so over them it is too narrow.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Raises:
        NetvladError: values are not (n,), or confidence or repeats make no interval.
    """
    column = _column(values)
    return _interval(
        column[np.isfinite(column)][np.newaxis],
        lambda samples: statistic(samples[0], axis=-1),
        (seed, repeats, confidence),
    )


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    statistic: Statistic = np.mean,
    seed: int = 0,
    repeats: int = 2000,
    *,
    confidence: float = 0.95,
) -> Interval | None:
    """Interval of statistic(first) - statistic(second) over the same queries, values (n,) each.

    Both are drawn together, so what makes a query hard for both drops out; one is better beyond
    chance of the queries if the interval leaves out 0. A query that is NaN in either is left out.

    Raises NetvladError and is None as bootstrap_interval.
    """
    pair = _column(first), _column(second)
    if len(pair[0]) != len(pair[1]):
        raise NetvladError(
            f'{len(pair[0])} and {len(pair[1])} values are no pairs of the same queries'
        )
    both = np.stack(pair)
    return _interval(
        both[:, np.isfinite(both).all(axis=0)],
        lambda samples: statistic(samples[0], axis=-1) - statistic(samples[1], axis=-1),
        (seed, repeats, confidence),
    )


def _interval(
    columns: Array, statistic: Callable[[Array], Array], plan: tuple[int, int, float]
) -> Interval | None:
    """columns: (c, n), drawn together; statistic maps (c, repeats, n) to (repeats,)."""
    seed, repeats, confidence = plan
    if not 0 < confidence < 1 or repeats < 1:
        raise NetvladError(
            f'an interval needs a confidence between 0 and 1 and repeats, not {confidence:g} '
            f'and {repeats}'
        )
    count = columns.shape[1]
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    step = max(1, DRAWN_AT_ONCE // count)
    drawn = [
        statistic(columns[:, rng.integers(0, count, (min(step, repeats - start), count))])
        for start in range(0, repeats, step)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(drawn), (tail, 1 - tail))
    estimate = statistic(columns[:, np.newaxis])[0]
    return Interval(float(estimate), float(low), float(high), confidence)


def _column(values: ArrayLike) -> Array:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise NetvladError(f'one value a query is needed, not an array of shape {column.shape}')
    return column
