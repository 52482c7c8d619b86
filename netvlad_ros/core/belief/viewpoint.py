"""Viewpoint: correlated images from one viewpoint, counted as one measurement."""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.geometry import Array

DOUBT = 0.75  # [nat] error of a log-likelihood; the worst case is assumed


class Viewpoint:
    """Mean of the log-likelihoods of images that show the same, and their weight.

    Args:
        log_likelihood: float64 (N,), of the first image at each place.
        log_likelihood_elsewhere: the same where nothing is mapped.
        weight: of the measurement in the update, 0..1.
        travelled: odometer at the first image, in steps between places.
    """

    def __init__(
        self,
        log_likelihood: Array,
        log_likelihood_elsewhere: float,
        weight: float,
        travelled: float,
    ) -> None:
        self.travelled = travelled
        self._log_likelihood = log_likelihood  # (N,)
        self._elsewhere = log_likelihood_elsewhere
        self._weight = weight
        self._count = 1

    def agreement(self, log_likelihood: Array, place_density: Array) -> float:
        """How far another image (N,) supports the same places, 0..1; place_density: (N,)."""
        mine = _shares(self._log_likelihood, place_density)
        others = _shares(log_likelihood, place_density)
        return float(np.minimum(mine, others).sum())

    def add(self, log_likelihood: Array, log_likelihood_elsewhere: float) -> None:
        """Average in the log-likelihoods of one more image."""
        self._count += 1
        kept = 1.0 - 1.0 / self._count
        self._log_likelihood = kept * self._log_likelihood + log_likelihood / self._count
        self._elsewhere = kept * self._elsewhere + log_likelihood_elsewhere / self._count

    def is_of_the_map(self, prior: Array, prior_elsewhere: float) -> bool:
        """Whether it supports the map rather than "elsewhere", if nothing else is known."""
        return self._weigh(1.0, prior, prior_elsewhere)[1] < 0.5

    def weigh(self, mass: Array, elsewhere: float) -> tuple[Array, float]:
        """Bayes: mass (N,) of the places and of "elsewhere", given this measurement."""
        return self._weigh(self._weight, mass, elsewhere)

    def _weigh(self, weight: float, mass: Array, elsewhere: float) -> tuple[Array, float]:
        best = self._log_likelihood.max()
        at_worst = np.minimum(self._log_likelihood + DOUBT, best - DOUBT)
        with np.errstate(divide='ignore'):
            log_mass = np.log(mass) + weight * at_worst
            log_elsewhere = float(np.log(elsewhere)) + weight * self._elsewhere
        peak = max(float(log_mass.max()), log_elsewhere)
        if peak == -np.inf:
            return np.zeros_like(mass), 1.0
        mass = np.exp(log_mass - peak)
        elsewhere = float(np.exp(log_elsewhere - peak))
        total = float(mass.sum()) + elsewhere
        return mass / total, elsewhere / total


def _shares(log_likelihood: Array, place_density: Array) -> Array:
    peak = log_likelihood.max()
    if not np.isfinite(peak):
        return np.zeros_like(place_density)
    shares = place_density * np.exp(log_likelihood - peak)
    return np.asarray(shares / shares.sum())
