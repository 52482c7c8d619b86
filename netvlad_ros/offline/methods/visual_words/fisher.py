"""Fisher: gradients of an image's local features with respect to a mixture of Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from netvlad_ros.offline.methods.recipe import GlobalRecipe, Vector, unit
from netvlad_ros.offline.methods.visual_words.local_source import LocalSource
from netvlad_ros.offline.methods.visual_words.vocabulary import sample_features, visual_words

EM_ROUNDS = 15
FIT_FEATURES = 30_000
LEAST_VARIANCE = 1e-3  # share of the mean variance; prevents collapse of a component


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians with diagonal covariance.

    Attributes:
        weights: (K,), sum 1.
        means: (K, D).
        variances: (K, D).
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]

    def shares(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Posterior of each Gaussian for x (n, D): (n, K), rows sum to 1."""
        precision = 1 / self.variances
        distance = x**2 @ precision.T - 2 * x @ (self.means * precision).T
        distance += (self.means**2 * precision).sum(axis=1)
        log = np.log(self.weights) - 0.5 * (np.log(self.variances).sum(axis=1) + distance)
        return np.exp(log - logsumexp(log, axis=1, keepdims=True))

    @classmethod
    def fitted(cls, x: NDArray[np.float64], components: int, seed: int) -> Mixture:
        """Expectation maximisation over x (n, D), initialised by k-means."""
        means = visual_words(x.astype(np.float32), components, seed).astype(np.float64)
        count = len(means)
        mixture = cls(np.full(count, 1 / count), means, np.tile(x.var(axis=0) + 1e-12, (count, 1)))
        floor = LEAST_VARIANCE * x.var(axis=0).mean() + 1e-12
        for _ in range(EM_ROUNDS):
            shares = mixture.shares(x)
            mass = shares.sum(axis=0) + 1e-9
            means = shares.T @ x / mass[:, None]
            variances = shares.T @ x**2 / mass[:, None] - means**2
            mixture = cls(mass / mass.sum(), means, np.maximum(variances, floor))
        return mixture


@dataclass
class Fisher(GlobalRecipe):
    """Improved Fisher vectors: signed square roots, then unit length.

    Local descriptors are reduced by PCA, which makes diagonal covariances suitable.

    Source: Perronnin et al., ECCV 2010.
    """

    source: LocalSource
    seed: int
    components: int = 64
    local_dim: int = 64
    _centre: NDArray[np.float64] = field(init=False)
    _axes: NDArray[np.float64] = field(init=False)
    _mixture: Mixture = field(init=False)

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Learn PCA and mixture."""
        self.source.fit(images)
        x = sample_features(self.source, images, self.seed).astype(np.float64)
        if len(x) > FIT_FEATURES:
            x = x[np.random.default_rng(self.seed).choice(len(x), FIT_FEATURES, replace=False)]
        self._centre = x.mean(axis=0)
        _, axes = np.linalg.eigh(np.cov(x - self._centre, rowvar=False))
        self._axes = axes[:, ::-1][:, : self.local_dim]
        self._mixture = Mixture.fitted((x - self._centre) @ self._axes, self.components, self.seed)

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Gradients with respect to means and deviations, float32 (2 * K * D,), of unit length."""
        _, found = self.source.extract(rgb)
        x, mixture = (found - self._centre) @ self._axes, self._mixture
        shares = mixture.shares(x)
        mass, deviation = shares.sum(axis=0)[:, None], np.sqrt(mixture.variances)
        first = (shares.T @ x - mass * mixture.means) / deviation
        second = shares.T @ x**2 - 2 * mixture.means * (shares.T @ x) + mass * mixture.means**2
        second = second / mixture.variances - mass
        weight = np.sqrt(mixture.weights)[:, None]
        gradient = np.concatenate([first / weight, second / (weight * np.sqrt(2))]).ravel()
        return unit(np.sign(gradient) * np.sqrt(np.abs(gradient)))
