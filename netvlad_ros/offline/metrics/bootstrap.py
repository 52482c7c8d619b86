"""Confidence intervals by bootstrap, over single queries and over blocks of a drive."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array

# Called as statistic(samples, axis=-1) on (repeats, n): np.mean, np.median and their like.
Statistic = Callable[..., Array]


DRAWN_AT_ONCE = 2**22  # queries: some 64 MB, however many there are


@dataclass(frozen=True)
class Interval:
    """A metric, and the interval in which `confidence` of all repetitions would lie.

    Attributes:
        estimate: the metric.
        low: lower end.
        high: upper end.
        confidence: in 0..1.
    """

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

    None if fewer than two values are left: one query says nothing about others. If all values are
    equal, the interval has no width because no draw differs; report the number of queries with it.
    Neighbouring images of one drive are not independent: over them the interval is too narrow.

    Raises:
        NetvladError: values are not (n,), or confidence or repeats make no interval.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
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

    Both are drawn together, so the difficulty of a query cancels out. One is better beyond the
    chance of the queries if the interval does not contain 0. A query that is NaN in either is left
    out.

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


BLOCK_S = 10.0  # by then a vehicle has left a place, and its failure has ended
LEAST_BLOCKS = 5  # with fewer and longer ones nearly all draws would be equal


def block_length(stamps_ns: ArrayLike) -> int:
    """How many images of a drive, int64 (n,) stamps in order [ns], make one block: BLOCK_S.

    A drive that is too short for LEAST_BLOCKS of them is divided into that many. Its intervals are
    then rather too narrow, because its parts depend on each other.
    """
    stamps = np.asarray(stamps_ns, dtype=np.int64)
    steps = np.diff(stamps)
    usual_s = float(np.median(steps[steps > 0])) / 1e9 if (steps > 0).any() else BLOCK_S
    return max(1, min(round(BLOCK_S / usual_s), len(stamps) // LEAST_BLOCKS))


def block_bootstrap_interval(
    values: ArrayLike,
    block: int,
    statistic: Literal['mean', 'median'] = 'mean',
    seed: int = 0,
    repeats: int = 2000,
    *,
    confidence: float = 0.95,
) -> Interval | None:
    """Percentile interval of a statistic over the images of a drive, values (n,) in order of time.

    Neighbouring images succeed and fail together, so blocks of successive images are drawn. Blocks
    may overlap, and continue from the end at the beginning, so that every image is drawn equally
    often. None if fewer than two values count. If all are equal, the interval has no width; report
    the number of images with it.

    Args:
        values: (n,); NaN (an image that does not count) keeps its place in its block and is left
            out of the statistic.
        block: images in a block; 1 = images are drawn one by one.
        statistic: of the values.
        seed: of the draws.
        repeats: how many draws.
        confidence: in 0..1.

    Raises:
        NetvladError: values are not (n,), or block, confidence or repeats make no interval.

    Source:
        Kuensch, The jackknife and the bootstrap for general stationary observations, Annals of
        Statistics 17(3), 1989, section 2.3 (moving blocks); Politis and Romano, A circular
        block-resampling procedure for stationary data, in: Exploring the Limits of Bootstrap, 1992.
    """
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise NetvladError(f'one value an image is needed, not an array of shape {column.shape}')
    if block < 1 or not 0 < confidence < 1 or repeats < 1:
        raise NetvladError(
            f'an interval needs blocks of 1 or more, a confidence between 0 and 1 and repeats, not '
            f'{block}, {confidence:g} and {repeats}'
        )
    counted = np.isfinite(column)
    if counted.sum() < 2:
        return None
    block = min(block, len(column))
    of_draws = (_Means if statistic == 'mean' else _Medians)(column, block)
    runs = -(-len(column) // block)
    rng = np.random.default_rng(seed)
    step = max(1, DRAWN_AT_ONCE // len(column))
    drawn = [
        of_draws(rng.integers(0, len(column), (min(step, repeats - start), runs)))
        for start in range(0, repeats, step)
    ]
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(drawn), (tail, 1 - tail))
    estimate = (np.mean if statistic == 'mean' else np.median)(column[counted])
    return Interval(float(estimate), float(low), float(high), confidence)


class _Means:
    """Means of draws, by the sums of their blocks; NaN where nothing counts."""

    def __init__(self, column: Array, block: int) -> None:
        counted = np.isfinite(column)
        self._sums = _window_sums(np.where(counted, column, 0.0), block)
        self._counts = _window_sums(counted.astype(np.float64), block)

    def __call__(self, starts: NDArray[np.int64]) -> Array:
        """starts: (repeats, runs), where the blocks begin."""
        counts = self._counts[starts].sum(axis=1)
        sums = self._sums[starts].sum(axis=1)
        return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


class _Medians:
    """Medians of draws; NaN where nothing counts."""

    def __init__(self, column: Array, block: int) -> None:
        self._column = np.where(np.isfinite(column), column, np.nan)
        self._block = np.arange(block)

    def __call__(self, starts: NDArray[np.int64]) -> Array:
        """starts: (repeats, runs), where the blocks begin."""
        rows = (starts[:, :, np.newaxis] + self._block) % len(self._column)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)  # of draws in which nothing counts
            found: Array = np.nanmedian(self._column[rows.reshape(len(starts), -1)], axis=1)
        return found


def _window_sums(values: Array, block: int) -> Array:
    """Sum of the `block` values from each on, (n,), going on from the end to the beginning."""
    total = np.cumsum(np.concatenate([[0.0], values, values[:block]]))
    return total[block : block + len(values)] - total[: len(values)]
