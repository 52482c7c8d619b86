"""MapCalibration fitted to localized images whose poses are known."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from netvlad_ros.core.geometry import Array
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import METHODS, MapCalibration
from netvlad_ros.core.pose.prior import diagonal_bound
from netvlad_ros.offline.metrics.uncertainty import DEGREES_OF_FREEDOM, bound, reliability

# One percent more than the 95 % that are stated: the images of one drive resemble each other, and
# another day is harder than the one of the calibration. Measured on halves of a kitchen and of a
# rendered town, each evaluated with the calibration of the other:
#   COVERAGE 0.96: a share of 0.90 to 0.99 inside the 95 % bound
#   COVERAGE 0.98: often all inside
COVERAGE = 0.96
MIN_ESTIMATES = 20  # fewer cannot show an error that one estimate in twenty has
BLOCK = 20  # images are held out in blocks, because successive images resemble each other
SURE_LOG_ODDS = math.log(19.0)  # of 95 %
LIKELY = 0.5  # estimates that are less probable are never published
TAIL = 4.0  # degrees of freedom of Student's t
FLOORS_M = np.geomspace(0.001, 1.0, 16)
FLOORS_DEG = np.geomspace(0.02, 10.0, 16)
MAX_SCALE, MIN_SCALE = 1e4, 0.05

# Standard deviations of the prior on the fitted values, around the model's and the default values.
# Without a prior, a drive where all answers are right would have infinite slopes.
SPREAD_MIDPOINT = 0.05  # cosine
SPREAD_INLIER_MIDPOINT = 0.25  # log(1 + n)
SPREAD_LOG_SLOPE = 0.5


@dataclass(frozen=True)
class CalibrationSamples:
    """n localized images in order of time.

    Attributes:
        similarity: (n,), of the place that the estimate is at.
        inliers: (n,), of the same place; -1 = not verified.
        without_pose: (n,), whether a pose was expected from the inliers and none was found.
        rivals: (n,), sum of the odds of other places against the estimate. The probability of the
            estimate is 1 / (1 + exp(-log odds of the single image) + rivals).
        right: (n,), whether the estimate shows the right place.
        method: (n,), how the estimate was found, one of METHODS.
        residuals: (n, 6), error of the estimate [m, rad].
        covariance: (n, 6, 6), what the method states for it, before any calibration.
    """

    similarity: Array
    inliers: NDArray[np.int64]
    without_pose: NDArray[np.bool_]
    rivals: Array
    right: NDArray[np.bool_]
    method: NDArray[np.str_]
    residuals: Array
    covariance: Array

    def __len__(self) -> int:
        return len(self.right)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> CalibrationSamples:
        return CalibrationSamples(*(getattr(self, entry.name)[chosen] for entry in fields(self)))


@dataclass(frozen=True)
class CalibrationQuality:
    """How well a calibration fits the samples.

    Attributes:
        accepted: number of accepted estimates.
        share_in_95: their share inside the 95 % bound of NEES; None if none was accepted.
        expected_error: expected calibration error of all probabilities; None without samples.
    """

    accepted: int
    share_in_95: float | None
    expected_error: float | None


def fit_map_calibration(
    samples: CalibrationSamples, of_model: SimilarityCalibration
) -> MapCalibration:
    """Fit the probability of a right match, and the covariance of each method.

    A method with fewer than MIN_ESTIMATES estimates that are likely right keeps its defaults.
    """
    calibration = replace(_fit_probability(samples, of_model), images=len(samples))
    counts = likely_right(samples, calibration, of_model)
    sigma_m, sigma_deg = dict(calibration.sigma_m), dict(calibration.sigma_deg)
    scale = dict(calibration.scale)
    for method in METHODS:
        chosen = samples[counts & (samples.method == method)]
        if len(chosen) < MIN_ESTIMATES:
            continue
        sigma_m[method], sigma_deg[method], scale[method] = _fit_covariance(chosen, method)
    return replace(calibration, sigma_m=sigma_m, sigma_deg=sigma_deg, scale=scale)


def likely_right(
    samples: CalibrationSamples, calibration: MapCalibration, of_model: SimilarityCalibration
) -> NDArray[np.bool_]:
    """Which estimates (n,) covariances are fitted to.

    Errors of wrong places are left out: the probability covers them. Improbable estimates are left
    out because they are never published.
    """
    return samples.right & (probability(samples, calibration, of_model) >= LIKELY)


def probability(
    samples: CalibrationSamples, calibration: MapCalibration, of_model: SimilarityCalibration
) -> Array:
    """Probability (n,) that the estimates are right, as the localizer would give it."""
    kinds = np.column_stack([samples.inliers, samples.without_pose])
    kinds, kind_of = np.unique(kinds, axis=0, return_inverse=True)
    gain_of = [
        calibration.inlier_log_odds(int(inliers), without_pose=bool(without_pose))
        for inliers, without_pose in kinds
    ]
    gains = np.array(gain_of)[kind_of.ravel()]
    alone = calibration.of_similarity(of_model).log_odds(samples.similarity) + gains
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(-alone, -700.0, 700.0)) + samples.rivals))


def normalised_errors(samples: CalibrationSamples, calibration: MapCalibration) -> Array:
    """NEES (n,) of the estimates with the covariance that would be published."""
    errors = np.zeros(len(samples))
    for method in np.unique(samples.method):
        of_method = samples.method == method
        chosen = samples[of_method]
        published = calibration.covariance(str(method), chosen.covariance)
        errors[of_method] = _squared(chosen.residuals, diagonal_bound(published))
    return errors


def calibration_quality(
    samples: CalibrationSamples,
    calibration: MapCalibration,
    of_model: SimilarityCalibration,
    accept_probability: float,
) -> CalibrationQuality:
    """How well a calibration fits samples, whether it was fitted to them or not."""
    stated = probability(samples, calibration, of_model)
    accepted = samples[stated >= accept_probability]
    inside = normalised_errors(accepted, calibration) <= bound()
    return CalibrationQuality(
        accepted=len(accepted),
        share_in_95=float(inside.mean()) if len(accepted) else None,
        expected_error=reliability(stated, samples.right).expected_error,
    )


def even_blocks(count: int) -> NDArray[np.bool_]:
    """Which of `count` successive images lie in even blocks of BLOCK."""
    return (np.arange(count) // BLOCK) % 2 == 0


def _fit_probability(
    samples: CalibrationSamples, of_model: SimilarityCalibration
) -> MapCalibration:
    """Maximum a posteriori of midpoints and slopes.

    Logistic regression, regularised by a prior and not by Platt's softened targets: if all answers
    of a drive are right, softened targets reduce the weight of similarity only because inliers
    alone already make those images certain.

    A drive can make acceptance harder than the model's values and the defaults do, never easier:
    an easy drive, where all answers are right, says nothing about harder drives.

    Source:
        Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    """
    default = MapCalibration()
    start = np.array([
        of_model.midpoint,
        math.log(of_model.slope),
        default.inlier_midpoint,
        math.log(default.inlier_slope),
    ])  # fmt: skip
    spread = np.array([SPREAD_MIDPOINT, SPREAD_LOG_SLOPE, SPREAD_INLIER_MIDPOINT, SPREAD_LOG_SLOPE])

    def at(numbers: Array) -> MapCalibration:
        midpoint, log_slope, inlier_midpoint, log_inlier_slope = numbers.tolist()
        midpoint = min(max(midpoint, of_model.midpoint), 1.0)
        slope = min(math.exp(log_slope), 1e3)
        enough = of_model.midpoint + SURE_LOG_ODDS / of_model.slope  # to be accepted by itself
        if midpoint + SURE_LOG_ODDS / slope < enough:
            slope = SURE_LOG_ODDS / (enough - midpoint)
        return replace(
            default,
            midpoint=midpoint,
            slope=slope,
            inlier_midpoint=min(max(inlier_midpoint, default.inlier_midpoint), 10.0),
            inlier_slope=min(math.exp(log_inlier_slope), 50.0),
        )

    def cost(numbers: Array) -> float:
        stated = np.clip(probability(samples, at(numbers), of_model), 1e-12, 1 - 1e-12)
        likelihood = np.where(samples.right, np.log(stated), np.log1p(-stated))
        return float(-likelihood.sum() + 0.5 * np.sum(((numbers - start) / spread) ** 2))

    simplex = np.vstack([start, start + np.diag(spread)])
    options: Any = {'initial_simplex': simplex, 'maxiter': 2000, 'xatol': 1e-4, 'fatol': 1e-6}
    return at(minimize(cost, start, method='Nelder-Mead', options=options).x)


def _fit_covariance(samples: CalibrationSamples, method: str) -> tuple[float, float, float]:
    """Floors [m], [deg] and scale of a method's covariances.

    The floors maximise the likelihood of the errors, each pair of floors at its best scale. The
    likelihood is Student's t, because errors of poses have heavy tails. The returned scale is
    another one: it puts the ceil((n + 1) COVERAGE)-th smallest NEES on its bound. An unseen error
    that is exchangeable with these lies inside the bound with that probability.

    Source:
        Lange, Little and Taylor, "Robust Statistical Modeling Using the t Distribution", JASA
        1989. Vovk et al., Algorithmic Learning in a Random World, 2005. Lei et al.,
        "Distribution-Free Predictive Inference for Regression", JASA 2018, section 2.
    """
    # The spread of a place's images has its floor already: the map's spacing.
    floors = [(0.0, 0.0)] if method == 'map_images' else list(product(FLOORS_M, FLOORS_DEG))
    rank = min(math.ceil((len(samples) + 1) * COVERAGE), len(samples))
    best = (-math.inf, 0.0, 0.0, 1.0)
    for sigma_m, sigma_deg in floors:
        unscaled = MapCalibration(
            scale={method: 1.0}, sigma_m={method: sigma_m}, sigma_deg={method: sigma_deg}
        )
        published = diagonal_bound(unscaled.covariance(method, samples.covariance))
        errors = _squared(samples.residuals, published)
        scale = float(np.clip(np.sort(errors)[rank - 1] / bound(), MIN_SCALE, MAX_SCALE))
        likelihood = _t_likelihood(errors, np.diagonal(published, axis1=1, axis2=2))
        best = max(best, (likelihood, float(sigma_m), float(sigma_deg), scale))
    return best[1:]


def _t_likelihood(errors: Array, variances: Array) -> float:
    """Mean log-likelihood of NEES (n,) with variances (n, 6), at its best scale."""
    scale = float(np.median(errors)) / DEGREES_OF_FREEDOM + 1e-12
    for _ in range(20):  # expectation maximisation
        weight = (TAIL + DEGREES_OF_FREEDOM) / (TAIL + errors / scale)
        scale = float(np.mean(weight * errors)) / DEGREES_OF_FREEDOM + 1e-12
    log_volume = np.log(scale * variances).sum(axis=1) / 2
    fit = (TAIL + DEGREES_OF_FREEDOM) / 2 * np.log1p(errors / scale / TAIL)
    return float(-np.mean(log_volume + fit))


def _squared(residuals: Array, diagonal: Array) -> Array:
    """NEES (n,) of residuals (n, 6) with diagonal covariances (n, 6, 6)."""
    return np.asarray((residuals**2 / np.diagonal(diagonal, axis1=1, axis2=2)).sum(axis=1))
