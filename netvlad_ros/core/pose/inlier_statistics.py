"""Significance and spread of inliers, and the number of RANSAC iterations."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

GRID = (8, 6)  # cells across and down an image
MIN_CELLS = 5  # a small cluster at a corner where four cells meet occupies four
# Share of the square root of the image's area. Inliers all over the image have 0.29. In a kitchen,
# poses from 0.15 up were right to 0.1 m. Poses from 0.09 down were wrong by 0.5 to 2 m, with 20 to
# 40 inliers.
MIN_EXTENT = 0.1
CONFIDENCE = 0.9999  # high, because noise spoils some samples that hold inliers alone
MIN_ITERATIONS, MAX_ITERATIONS = 50, 1000
MAX_LOG10_CHANCE = -3.0  # of random sets of matches, one in a thousand has as many inliers


def is_clustered(pixels: NDArray[np.floating], width: int, height: int) -> bool:
    """Whether pixels (n, 2) lie in one spot or on one line of a width x height image [px].

    They do in fewer than MIN_CELLS cells of GRID, or if the geometric mean of their standard
    deviations along the two principal axes is below MIN_EXTENT.
    """
    at = np.asarray(pixels, dtype=np.float64)
    if len(np.unique(np.floor(at / (width, height) * GRID), axis=0)) < MIN_CELLS:
        return True
    area = math.sqrt(max(float(np.linalg.det(np.cov(at.T))), 0.0))
    return math.sqrt(area / (width * height)) < MIN_EXTENT


def min_significant_inliers(
    matches: int, at_least: int, *, sample: int, solutions: int, share: float
) -> int:
    """Fewest inliers that are evidence, because chance rarely makes so many.

    The expected number of models with as many inliers among random matches, the number of false
    alarms, must be at most 10 ** MAX_LOG10_CHANCE.

    Args:
        matches: number of matches.
        at_least: lower limit of the answer.
        sample: matches that determine a model.
        solutions: models that a sample gives at most.
        share: probability that a random match fits a given model.

    Returns:
        The number of inliers; matches + 1 if no number suffices.

    Source:
        Moisan and Stival, "A probabilistic criterion to detect rigid point matches between two
        images and estimate the fundamental matrix", IJCV 2004.
    """
    for inliers in range(max(at_least, sample + 1), matches + 1):
        choices = _log_choose(matches, inliers) + _log_choose(inliers, sample)
        log10_chance = (
            math.log10(solutions * max(matches - sample, 1))
            + choices / math.log(10.0)
            + (inliers - sample) * math.log10(share)
        )
        if log10_chance <= MAX_LOG10_CHANCE:
            return inliers
    return matches + 1


def iterations(share: float, sample: int) -> int:
    """RANSAC samples until one has inliers alone, with probability CONFIDENCE.

    Args:
        share: least share of inliers, 0..1.
        sample: matches that determine a model.
    """
    if share >= 1.0:
        return MIN_ITERATIONS
    needed = math.log(1 - CONFIDENCE) / math.log1p(-(share**sample))
    return int(min(max(needed, MIN_ITERATIONS), MAX_ITERATIONS))


def strip_share(max_px: float, width: int, height: int) -> float:
    """Probability that a random point of an image lies within max_px of a line through it."""
    return min(2.0 * max_px * math.hypot(width, height) / (width * height), 0.99)


def disc_share(max_px: float, width: int, height: int) -> float:
    """Probability that a random point of an image lies within max_px of a point of it."""
    return min(math.pi * max_px**2 / (width * height), 0.99)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
