"""NEES of pose priors, and reliability of stated probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from netvlad_ros.core.geometry import Array

BINS = 10
DEGREES_OF_FREEDOM = 6


def pose_residuals(T_estimated: Array, T_true: Array) -> Array:
    """Errors of n poses, in the convention of PosePrior.covariance.

    Args:
        T_estimated: (n, 4, 4), in the map frame.
        T_true: (n, 4, 4), in the map frame.

    Returns:
        (n, 6): x, y, z [m] along the map's axes, then the rotation vector of
        R_estimated R_true^T [rad]. It turns the true orientation to the estimated one, about the
        map's axes.
    """
    if not len(T_estimated):
        return np.zeros((0, 6))
    offset = T_estimated[:, :3, 3] - T_true[:, :3, 3]
    turn = T_estimated[:, :3, :3] @ np.swapaxes(T_true[:, :3, :3], 1, 2)
    return np.hstack([offset, Rotation.from_matrix(turn).as_rotvec()])


def nees(T_estimated: Array, T_true: Array, covariance: Array) -> Array:
    """Normalised estimation error squared (NEES), e^T P^-1 e, of n poses.

    If the covariances are consistent and the errors Gaussian, it follows a chi-squared
    distribution with 6 degrees of freedom; its mean is 6.

    Args:
        T_estimated: (n, 4, 4), in the map frame.
        T_true: (n, 4, 4), in the map frame.
        covariance: (n, 6, 6), of the estimated poses.

    Returns:
        (n,), the NEES of each pose.

    Source:
        Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation,
        2001, section 5.4.2.
    """
    residuals = pose_residuals(T_estimated, T_true)
    scaled = np.linalg.solve(covariance.reshape(-1, 6, 6), residuals[:, :, np.newaxis])
    return np.asarray((residuals[:, np.newaxis] @ scaled)[:, 0, 0], dtype=np.float64)


def bound(share: float = 0.95) -> float:
    """Upper bound of the given share of consistent NEES values: 12.59 for 95 %, 6 dimensions."""
    return float(chi2(DEGREES_OF_FREEDOM).ppf(share))


def share_inside(errors: ArrayLike, share: float = 0.95) -> float | None:
    """Share of NEES values (n,) inside their bound; None where there are none."""
    values = np.asarray(errors, dtype=np.float64)
    return float(np.mean(values <= bound(share))) if values.size else None


@dataclass(frozen=True)
class Reliability:
    """Reliability diagram: bins of equal width over probabilities 0..1.

    Attributes:
        count: int64 (b,), answers in each bin.
        stated: (b,), mean probability of each bin; nan where it is empty.
        observed: (b,), share of right answers of each bin; nan where it is empty.
        expected_error: expected calibration error; None without any answer.
    """

    count: NDArray[np.int64]
    stated: Array
    observed: Array
    expected_error: float | None

    def to_json(self) -> list[dict[str, Any]]:
        """The bins as metrics.json has them."""
        bins = len(self.count)
        return [
            {
                'from': i / bins,
                'to': (i + 1) / bins,
                'count': int(count),
                'stated': float(self.stated[i]) if count else None,
                'observed': float(self.observed[i]) if count else None,
            }
            for i, count in enumerate(self.count)
        ]


def reliability(probability: ArrayLike, right: ArrayLike, bins: int = BINS) -> Reliability:
    """Compare stated probabilities with the share of right answers.

    The expected calibration error is the mean over bins of |share right - mean probability|. Each
    bin has the weight of its number of answers.

    Args:
        probability: (n,), stated, in 0..1.
        right: (n,), whether the answer is right.
        bins: how many of them.

    Source:
        Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian
        Binning, AAAI 2015; bins of equal width as in Guo et al., On Calibration of Modern Neural
        Networks, ICML 2017, equation 3.
    """
    stated = np.asarray(probability, dtype=np.float64)
    hit = np.asarray(right, dtype=np.float64)
    bin_of = np.minimum((stated * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid='ignore'):
        mean_stated = np.bincount(bin_of, stated, bins) / count
        observed = np.bincount(bin_of, hit, bins) / count
    gaps = np.abs(observed - mean_stated)[count > 0]
    error = float(gaps @ count[count > 0] / len(stated)) if len(stated) else None
    return Reliability(count.astype(np.int64), mean_stated, observed, error)
