"""CovarianceLaw: floors and scale of a pose method's covariances, fitted to errors of poses."""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

from netvlad_ros.core.geometry import Array
from netvlad_ros.core.place_map.calibration import (
    DEFAULT_SIGMA_DEG,
    DEFAULT_SIGMA_M,
    MapCalibration,
)
from netvlad_ros.core.pose.prior import diagonal_bound
from netvlad_ros.offline.metrics.uncertainty import DEGREES_OF_FREEDOM, bound

# One percent more than the 95 % that are stated: the images of one drive resemble each other, and
# another day is harder than the one of the calibration. Measured on halves of a kitchen and of a
# rendered town, each evaluated with the calibration of the other:
#   COVERAGE 0.96: a share of 0.90 to 0.99 inside the 95 % bound
#   COVERAGE 0.98: often all inside
COVERAGE = 0.96
TAIL = 4.0  # degrees of freedom of Student's t
FLOORS_M = np.geomspace(0.001, 1.0, 16)
FLOORS_DEG = np.geomspace(0.02, 10.0, 16)
MAX_SCALE, MIN_SCALE = 1e4, 0.05

# The prior weighs as much as this number of independent images.
PRIOR_IMAGES = 10
# Prior standard deviation of log(NEES) between independent images. Few viewpoints differ less from
# each other than those of a later drive do. Measured between blocks of 40 images of a kitchen: 0.8.
PRIOR_SPREAD = 0.9
# Prior median of the floors, and standard deviation of their logarithms. A floor larger than what
# the geometry states makes the covariance the same everywhere. The few viewpoints of a short drive
# cannot contradict that, and poses far from the keyframes then get too small a covariance.
# Measured in a kitchen, fitted to 125 images near the keyframes, evaluated on 125 farther ones:
#   floors            share inside the 95 % bound
#   without a prior   0.50 (25 mm, 0.83 deg)
#   with this prior   0.85 (2.5 mm, 0.07 deg)
#   as in the map     0.93 (1 mm, 0.05 deg)
PRIOR_SIGMA_M = {**DEFAULT_SIGMA_M, 'landmarks': 0.002}
PRIOR_SIGMA_DEG = {**DEFAULT_SIGMA_DEG, 'landmarks': 0.03}
PRIOR_LOG_SIGMA = 1.5
KNOWN_LOG_SIGMA = 0.5  # the same around floors that were fitted to the map's own keyframes


class CovarianceLaw(NamedTuple):
    """What MapCalibration.covariance makes of a method's covariances.

    Attributes:
        sigma_m: floor [m].
        sigma_deg: floor [deg].
        scale: factor on covariance and squared floor.
    """

    sigma_m: float
    sigma_deg: float
    scale: float

    def errors(self, method: str, residuals: Array, covariance: Array) -> Array:
        """NEES (n,) of residuals (n, 6) with the covariances that would be published."""
        return squared(residuals, self.published(method, covariance))

    def published(self, method: str, covariance: Array) -> Array:
        """Diagonal covariances (n, 6, 6) for covariances (n, 6, 6) of the method."""
        calibration = MapCalibration(
            scale={method: self.scale},
            sigma_m={method: self.sigma_m},
            sigma_deg={method: self.sigma_deg},
        )
        return diagonal_bound(calibration.covariance(method, covariance))

    def bounded(self, method: str) -> CovarianceLaw:
        """The law within MIN_SCALE and MAX_SCALE.

        Landmarks state the error of keypoints that are off by at least 1 px. A scale below 1 would
        say that they are better. It then reduces the floors alone.
        """
        scale = min(max(self.scale, MIN_SCALE), MAX_SCALE)
        if method != 'landmarks' or scale >= 1.0:
            return self._replace(scale=scale)
        root = math.sqrt(scale)
        return CovarianceLaw(self.sigma_m * root, self.sigma_deg * root, 1.0)


def fit_covariance(
    method: str,
    residuals: Array,
    covariance: Array,
    *,
    prior: MapCalibration | None = None,
    unseen_spread: float = 0.0,
) -> CovarianceLaw:
    """Floors and scale under which an error of another drive lies inside its 95 % bound.

    The floors maximise the posterior of the errors, each pair of floors at its best scale. The
    likelihood is Student's t, because errors of poses have heavy tails. It counts the independent
    images, which are fewer than the images.

    The scale puts the ceil((n + 1) COVERAGE)-th smallest NEES on its bound. An unseen error that is
    exchangeable with these lies inside the bound with that probability. Few independent images
    vary less than all images do. So the scale is widened to the quantile of a predictive
    t-distribution of log(NEES).

    Args:
        method: one of METHODS.
        residuals: (n, 6), errors of poses [m, rad], in order of time.
        covariance: (n, 6, 6), what the method states for them.
        prior: fitted to the map's own keyframes. Its floors are the prior ones. Its variances are
            not undercut at once: they weigh as much as PRIOR_IMAGES independent images. None:
            nothing is known.
        unseen_spread: standard deviation of log(NEES) that the errors of a drive add to those of
            `residuals`.

    Source:
        Lange, Little and Taylor, "Robust Statistical Modeling Using the t Distribution", JASA
        1989. Vovk et al., Algorithmic Learning in a Random World, 2005. Lei et al.,
        "Distribution-Free Predictive Inference for Regression", JASA 2018, section 2. Gelman et
        al., Bayesian Data Analysis, 3rd ed., section 3.3 (predictive t-distribution).
    """
    # The spread of a place's images has its floor already: the map's spacing.
    floors = [(0.0, 0.0)] if method == 'map_images' else list(product(FLOORS_M, FLOORS_DEG))
    independent = independent_count(residuals, covariance)
    best = (-math.inf, CovarianceLaw(0.0, 0.0, 1.0))
    for sigma_m, sigma_deg in floors:
        law = CovarianceLaw(float(sigma_m), float(sigma_deg), 1.0)
        published = law.published(method, covariance)
        variances = np.diagonal(published, axis1=1, axis2=2)
        likelihood = _t_likelihood(squared(residuals, published), variances)
        posterior = independent * likelihood - _floor_cost(method, law, prior)
        best = max(best, (posterior, law))
    law = best[1]
    errors = law.errors(method, residuals, covariance)
    scale = _quantile(errors) / bound() * _widening(errors, independent, unseen_spread)
    if prior is not None:
        published = diagonal_bound(prior.covariance(method, covariance))
        ratio = np.diagonal(published, axis1=1, axis2=2) / np.diagonal(
            law.published(method, covariance), axis1=1, axis2=2
        )
        before = float(np.exp(np.log(ratio).mean()))
        scale *= max(before / scale, 1.0) ** (PRIOR_IMAGES / (PRIOR_IMAGES + independent))
    return law._replace(scale=scale).bounded(method)


def independent_count(residuals: Array, covariance: Array) -> float:
    """How many independent errors say as much as these n residuals in order of time do.

    The autocorrelation of the errors, each divided by its stated standard deviation, is summed over
    pairs of lags as long as the pairs are positive.

    Args:
        residuals: (n, 6), errors of poses; consistent ones have the mean 0.
        covariance: (n, 6, 6), what is stated for them.

    Source:
        Geyer, "Practical Markov Chain Monte Carlo", Statistical Science 1992, section 3.3.
    """
    n = len(residuals)
    sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    errors = residuals / sigma
    errors = errors / max(float(np.sqrt((errors**2).sum())), 1e-12)
    correlation = sum(np.correlate(e, e, mode='full')[n - 1 :] for e in errors.T)
    pairs = np.asarray(correlation)[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    pairs = pairs[: negative[0]] if len(negative) else pairs
    return float(n / max(2.0 * pairs.sum() - 1.0, 1.0))


def squared(residuals: Array, diagonal: Array) -> Array:
    """NEES (n,) of residuals (n, 6) with diagonal covariances (n, 6, 6)."""
    return np.asarray((residuals**2 / np.diagonal(diagonal, axis1=1, axis2=2)).sum(axis=1))


def _quantile(errors: Array) -> float:
    rank = min(math.ceil((len(errors) + 1) * COVERAGE), len(errors))
    return float(np.sort(errors)[rank - 1])


def _widening(errors: Array, independent: float, unseen_spread: float) -> float:
    """Factor from the quantile of the errors (n,) to that of a predictive t-distribution.

    The spread of log(NEES) is taken from its upper half: how small the smallest errors are says
    nothing about the largest.
    """
    z = float(norm.ppf(COVERAGE))
    spread = math.log((_quantile(errors) + 1e-12) / (float(np.median(errors)) + 1e-12)) / z
    freedom = PRIOR_IMAGES + independent - 1.0
    variance = (PRIOR_IMAGES * PRIOR_SPREAD**2 + (independent - 1.0) * spread**2) / freedom
    variance = (variance + unseen_spread**2) * (1.0 + 1.0 / independent)
    return max(math.exp(float(t(freedom).ppf(COVERAGE)) * math.sqrt(variance) - z * spread), 1.0)


def _floor_cost(method: str, law: CovarianceLaw, prior: MapCalibration | None) -> float:
    """Negative log prior of the floors."""
    if method == 'map_images':
        return 0.0
    median, spread = (PRIOR_SIGMA_M[method], PRIOR_SIGMA_DEG[method]), PRIOR_LOG_SIGMA
    if prior is not None:
        median, spread = (prior.sigma_m[method], prior.sigma_deg[method]), KNOWN_LOG_SIGMA
    steps = np.log([law.sigma_m / median[0], law.sigma_deg / median[1]])
    return float(steps @ steps) / spread**2 / 2


def _t_likelihood(errors: Array, variances: Array) -> float:
    """Mean log-likelihood of NEES (n,) with variances (n, 6), at its best scale."""
    scale = float(np.median(errors)) / DEGREES_OF_FREEDOM + 1e-12
    for _ in range(20):  # expectation maximisation
        weight = (TAIL + DEGREES_OF_FREEDOM) / (TAIL + errors / scale)
        scale = float(np.mean(weight * errors)) / DEGREES_OF_FREEDOM + 1e-12
    log_volume = np.log(scale * variances).sum(axis=1) / 2
    fit = (TAIL + DEGREES_OF_FREEDOM) / 2 * np.log1p(errors / scale / TAIL)
    return float(-np.mean(log_volume + fit))
