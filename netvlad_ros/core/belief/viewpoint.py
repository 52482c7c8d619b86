"""One standpoint's images: one witness, however many there are."""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.geometry import Array

DOUBT = 0.75  # [nat] error of a log-likelihood, which is taken at its worst


class Viewpoint:
    """Mean of the log-likelihoods of images that show the same, and the weight of their word."""

    def __init__(
        self, log_likelihood: Array, log_likelihood_elsewhere: float, weight: float, way: float
    ) -> None:
        """way: what the odometer showed when it came into sight, in steps between places."""
        self.way = way
        self._log_likelihood = log_likelihood  # (N,)
        self._elsewhere = log_likelihood_elsewhere
        self._weight = weight
        self._count = 1

    def agreement(self, log_likelihood: Array, ground: Array) -> float:
        """How far another image (N,) speaks for the same places, in 0..1; ground: (N,)."""
        mine, others = _shares(self._log_likelihood, ground), _shares(log_likelihood, ground)
        return float(np.minimum(mine, others).sum())

    def add(self, log_likelihood: Array, log_likelihood_elsewhere: float) -> None:
        """Let one more image speak."""
        self._count += 1
        kept = 1.0 - 1.0 / self._count
        self._log_likelihood = kept * self._log_likelihood + log_likelihood / self._count
        self._elsewhere = kept * self._elsewhere + log_likelihood_elsewhere / self._count

    def is_of_the_map(self, lost: Array, lost_elsewhere: float) -> bool:
        """Whether it speaks for the map, to a robot that knows nothing."""
        return self._weigh(1.0, lost, lost_elsewhere)[1] < 0.5

    def weigh(self, mass: Array, elsewhere: float) -> tuple[Array, float]:
        """Bayes: mass (N,) of the places and that of elsewhere, having seen this."""
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


def _shares(log_likelihood: Array, ground: Array) -> Array:
    peak = log_likelihood.max()
    if not np.isfinite(peak):
        return np.zeros_like(ground)
    shares = ground * np.exp(log_likelihood - peak)
    return np.asarray(shares / shares.sum())
