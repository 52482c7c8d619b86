"""MapCalibration: what similarities, inliers and covariances mean on one map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from netvlad_ros.core.geometry import Array
from netvlad_ros.core.model.metadata import SimilarityCalibration

METHODS = ('landmarks', 'relative_poses', 'map_images')
LEAST_INLIER_LOG_ODDS = -3.0  # blur or another season can also be the cause of few inliers
# Inliers show that both images have the same things in view. Only a pose shows that they were taken
# at the same place. Measured in a kitchen: of 23 images with inliers, but without a pose from the
# place's landmarks, one was taken at the place.
MOST_LOG_ODDS_WITHOUT_POSE = -1.5
MAX_TEXT = 1000

DEFAULT_SCALE = {'landmarks': 20.0, 'relative_poses': 2.0, 'map_images': 1.0}
DEFAULT_SIGMA_M = {'landmarks': 0.02, 'relative_poses': 0.1, 'map_images': 0.0}
DEFAULT_SIGMA_DEG = {'landmarks': 1.0, 'relative_poses': 3.0, 'map_images': 0.0}


@dataclass(frozen=True)
class MapCalibration:
    """Probabilities and covariances of the answers on a map, fitted by `netvlad calibrate`.

    MapCalibration() has the defaults for a map that is not calibrated. sigma_m and sigma_deg cover
    errors that no reprojection error shows, such as those of the map's poses and intrinsics.

    Attributes:
        midpoint: cosine that is right half the time; None: as in the model.
        slope: log odds per cosine; None: as in the model.
        inlier_midpoint: log(1 + inliers) at which inliers change no odds, see inlier_log_odds.
        inlier_slope: log odds per log(1 + inliers), see inlier_log_odds.
        inlier_cap: largest log odds by inliers, see inlier_log_odds.
        scale: method of a pose (METHODS) -> factor on its covariance.
        sigma_m: method -> standard deviation that is added before scaling [m].
        sigma_deg: method -> standard deviation that is added before scaling [deg].
        images: number of images that it was fitted to.
        source: the drive of these images.
        created: when it was fitted, ISO 8601.
    """

    midpoint: float | None = None
    slope: float | None = None
    inlier_midpoint: float = float(np.log1p(14))
    inlier_slope: float = 6.0
    inlier_cap: float = 8.0
    scale: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_SCALE))
    sigma_m: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_SIGMA_M))
    sigma_deg: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_SIGMA_DEG))
    images: int = 0
    source: str = ''
    created: str = ''

    def inlier_log_odds(self, inliers: int, *, without_pose: bool = False) -> float:
        """Log odds that a candidate is right, as far as its inliers change them.

        They are inlier_slope (log(1 + inliers) - inlier_midpoint), at least LEAST_INLIER_LOG_ODDS
        and at most inlier_cap, because two equal corridors have inliers, too.

        Args:
            inliers: their number; -1 for a candidate that was not verified, which gains 0.
            without_pose: the inliers should have given a pose and gave none; then the log odds are
                at most MOST_LOG_ODDS_WITHOUT_POSE.
        """
        if inliers < 0:
            return 0.0
        log_odds = self.inlier_slope * (np.log1p(inliers) - self.inlier_midpoint)
        most = MOST_LOG_ODDS_WITHOUT_POSE if without_pose else self.inlier_cap
        return float(np.clip(log_odds, LEAST_INLIER_LOG_ODDS, most))

    def covariance(self, method: str, covariance: Array) -> Array:
        """Consistent covariance of poses, from the covariance that their method gives.

        Args:
            method: one of METHODS.
            covariance: (..., 6, 6), x, y, z [m] and rotations about the map's axes [rad].

        Returns:
            (..., 6, 6), in the same units.
        """
        floor = [self.sigma_m[method]] * 3 + [float(np.radians(self.sigma_deg[method]))] * 3
        return np.asarray(self.scale[method] * (covariance + np.diag(np.square(floor))))

    def of_similarity(self, of_model: SimilarityCalibration) -> SimilarityCalibration:
        """The model's calibration with the midpoint and slope of this map, if it has any."""
        return replace(
            of_model,
            midpoint=of_model.midpoint if self.midpoint is None else self.midpoint,
            slope=of_model.slope if self.slope is None else self.slope,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, as in `map.yaml`."""
        return {
            'midpoint': self.midpoint,
            'slope': self.slope,
            'inlier_midpoint': self.inlier_midpoint,
            'inlier_slope': self.inlier_slope,
            'inlier_cap': self.inlier_cap,
            'scale': dict(self.scale),
            'sigma_m': dict(self.sigma_m),
            'sigma_deg': dict(self.sigma_deg),
            'images': self.images,
            'source': self.source,
            'created': self.created,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> MapCalibration:
        """Read what `to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: an entry, which the message names, is missing or wrong.
        """
        if not isinstance(raw, Mapping):
            raise TypeError('calibration is no mapping')
        return cls(
            midpoint=None if raw['midpoint'] is None else _number(raw, 'midpoint', -1.0, 1.0),
            slope=None if raw['slope'] is None else _number(raw, 'slope', 1e-3, 1e4),
            inlier_midpoint=_number(raw, 'inlier_midpoint', 0.0, 20.0),
            inlier_slope=_number(raw, 'inlier_slope', 0.0, 100.0),
            inlier_cap=_number(raw, 'inlier_cap', 0.0, 50.0),
            scale=_by_method(raw, 'scale', 1e-3, 1e6),
            sigma_m=_by_method(raw, 'sigma_m', 0.0, 1e3),
            sigma_deg=_by_method(raw, 'sigma_deg', 0.0, 180.0),
            images=int(_number(raw, 'images', 0, 1e9)),
            source=_text(raw, 'source'),
            created=_text(raw, 'created'),
        )


def _number(raw: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value = raw[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f'calibration: {name} is no number')
    if not low <= value <= high:  # false for nan too
        raise ValueError(f'calibration: {name} is {value}, it lies in {low:g}..{high:g}')
    return float(value)


def _by_method(raw: Mapping[str, Any], name: str, low: float, high: float) -> dict[str, float]:
    values = raw[name]
    if not isinstance(values, Mapping) or set(values) != set(METHODS):
        raise ValueError(f'calibration: {name} needs one number for each of {", ".join(METHODS)}')
    return {method: _number(values, method, low, high) for method in METHODS}


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw[name]
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f'calibration: {name} is no text of at most {MAX_TEXT} letters')
    return value
