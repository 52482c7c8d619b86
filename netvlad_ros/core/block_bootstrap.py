"""How far a figure would move on another drive: the bootstrap of images that hang together."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.bootstrap import DRAWN_AT_ONCE, Interval, Statistic
from netvlad_ros.core.errors import NetvladError

BLOCK_S = 10.0  # a vehicle has left a place by then, and a failure of it has passed
LEAST_BLOCKS = 5  # of fewer and longer ones nearly all draws would be alike


def block_length(stamps_ns: ArrayLike) -> int:
    """How many images of a drive, int64 (n,) stamps in order [ns], make one block: BLOCK_S.

    A drive too short for LEAST_BLOCKS of them is cut into that many: its intervals are rather too
    narrow, as no part of it is independent of the others.
    """
    stamps = np.asarray(stamps_ns, dtype=np.int64)
    steps = np.diff(stamps)
    usual_s = float(np.median(steps[steps > 0])) / 1e9 if (steps > 0).any() else BLOCK_S
    return max(1, min(round(BLOCK_S / usual_s), len(stamps) // LEAST_BLOCKS))


def block_bootstrap_interval(
    values: ArrayLike,
    block: int,
    statistic: Statistic = np.nanmean,
    seed: int = 0,
    repeats: int = 2000,
    *,
    confidence: float = 0.95,
) -> Interval | None:
    """Percentile interval of a statistic over the images of a drive, values (n,) in order of time.

    Neighbouring images succeed and fail together, so runs of `block` successive images are drawn
    rather than single ones; runs may overlap, and go on from the end to the beginning, so that
    every image is drawn as often. NaN (an image that does not count) keeps its place in its run:
    the statistic must leave it out. block 1: images by themselves. None if fewer than two values
    count. Where all are equal the interval has no width: tell the number of images with it.

    Source: Kuensch, The jackknife and the bootstrap for general stationary observations, Annals of
    Statistics 17(3), 1989, section 2.3 (moving blocks); Politis and Romano, A circular
    block-resampling procedure for stationary data, in: Exploring the Limits of Bootstrap, 1992.

    Raises:
        NetvladError: values are not (n,), or block, confidence or repeats make no interval.
    """
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise NetvladError(f'one value an image is needed, not an array of shape {column.shape}')
    if block < 1 or not 0 < confidence < 1 or repeats < 1:
        raise NetvladError(
            f'an interval needs blocks of 1 or more, a confidence between 0 and 1 and repeats, not '
            f'{block}, {confidence:g} and {repeats}'
        )
    count = len(column)
    if np.isfinite(column).sum() < 2:
        return None
    rng = np.random.default_rng(seed)
    step = max(1, DRAWN_AT_ONCE // count)
    block = min(block, count)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # draws in which nothing counts: left out
        drawn = [
            statistic(column[_draw(count, block, min(step, repeats - start), rng)], axis=-1)
            for start in range(0, repeats, step)
        ]
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(drawn), (tail, 1 - tail))
    return Interval(float(statistic(column, axis=-1)), float(low), float(high), confidence)


def _draw(count: int, block: int, repeats: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of `repeats` drives, (repeats, count), each made of runs of `block` rows."""
    runs = -(-count // block)
    starts = rng.integers(0, count, (repeats, runs, 1))
    return ((starts + np.arange(block)) % count).reshape(repeats, -1)[:, :count]
