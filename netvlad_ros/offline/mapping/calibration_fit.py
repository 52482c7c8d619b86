"""MapCalibration fitted to localized images whose poses are known."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from netvlad_ros.core.geometry import Array
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import METHODS, MapCalibration
from netvlad_ros.offline.mapping.covariance_fit import CovarianceLaw, fit_covariance
from netvlad_ros.offline.metrics.uncertainty import bound, reliability

MIN_ESTIMATES = 20  # fewer cannot show an error that one estimate in twenty has
MIN_HELD_OUT = 10
# Images are held out in blocks, because successive images resemble each other: in at most BLOCKS of
# at least BLOCK images.
BLOCK = 20
BLOCKS = 4
SURE_LOG_ODDS = math.log(19.0)  # of 95 %
LIKELY = 0.5  # estimates that are less probable are never published

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
    samples: CalibrationSamples,
    of_model: SimilarityCalibration,
    prior: MapCalibration | None = None,
) -> MapCalibration:
    """Fit the probability of a right match, and the covariance of each method.

    A method with fewer than MIN_ESTIMATES estimates that are likely right keeps the covariance that
    it has. The scale of the others is widened until held-out blocks lie inside the bounds.

    Args:
        samples: of another drive of the mapped area.
        of_model: what a similarity means by the model.
        prior: fitted to the map's own keyframes; None: the map has no such fit.
    """
    calibration = replace(_fit_probability(samples, of_model), images=len(samples))
    counts = likely_right(samples, calibration, of_model)
    before = prior or MapCalibration()
    sigma_m, sigma_deg = dict(before.sigma_m), dict(before.sigma_deg)
    scale = dict(before.scale)
    for method in METHODS:
        chosen = samples[counts & (samples.method == method)]
        if len(chosen) < MIN_ESTIMATES:
            continue
        law = fit_covariance(method, chosen.residuals, chosen.covariance, prior=prior)
        law = law._replace(scale=law.scale * _held_out_factor(method, chosen, prior))
        sigma_m[method], sigma_deg[method], scale[method] = law.bounded(method)
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
        name = str(method)
        law = CovarianceLaw(
            calibration.sigma_m[name], calibration.sigma_deg[name], calibration.scale[name]
        )
        errors[of_method] = law.errors(name, chosen.residuals, chosen.covariance)
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
    """Which of `count` successive images lie in even blocks, see BLOCK and BLOCKS."""
    return (np.arange(count) // max(BLOCK, math.ceil(count / BLOCKS))) % 2 == 0


def _held_out_factor(
    method: str, samples: CalibrationSamples, prior: MapCalibration | None
) -> float:
    """Factor >= 1 on the scale that puts 95 % of the errors of held-out blocks inside their bound.

    The even blocks are evaluated with the fit to the odd ones, and the odd ones with the fit to the
    even ones.
    """
    even = even_blocks(len(samples))
    if min(even.sum(), (~even).sum()) < MIN_HELD_OUT:
        return 1.0
    errors = []
    for seen in (samples[even], samples[~even]), (samples[~even], samples[even]):
        law = fit_covariance(method, seen[0].residuals, seen[0].covariance, prior=prior)
        errors.append(law.errors(method, seen[1].residuals, seen[1].covariance))
    return max(1.0, float(np.quantile(np.concatenate(errors), 0.95)) / bound())


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
