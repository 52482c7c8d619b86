"""Where the best place puts the camera: by landmarks, by relative poses, or by the map's images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision.hypotheses import Hypotheses
from netvlad_ros.core.decision.measurement_model import MeasurementModel
from netvlad_ros.core.decision.observation import Observation
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.pose.prior import PosePrior, diagonal_bound, pose_prior


def estimate(
    sight: Observation,
    hypotheses: Hypotheses,
    place_map: PlaceMap,
    trust: MeasurementModel,
    config: LocalizerConfig,
) -> PosePrior:
    """Pose of the camera if the best hypothesis is right, with the covariance that it deserves."""
    pose = sight.pose_at(hypotheses.best)
    if pose is not None:
        covariance = trust.of_map.covariance(pose.method, pose.covariance)
        return PosePrior(pose.T_map_cam, diagonal_bound(covariance), pose.method)
    ranks, weights = _witnesses(sight, hypotheses, trust, config.prior_places)
    prior = pose_prior(
        place_map.T_map_cam[sight.indices[ranks]],
        weights,
        sigma_m=max(config.prior_sigma_m, place_map.spacing_m / 2),
        sigma_deg=max(config.prior_sigma_deg, place_map.spacing_deg / 2),
        inflation=config.prior_inflation,
    )
    covariance = trust.of_map.covariance(prior.method, prior.covariance)
    return PosePrior(prior.T, diagonal_bound(covariance), prior.method)


def _witnesses(
    sight: Observation, hypotheses: Hypotheses, trust: MeasurementModel, count: int
) -> tuple[NDArray[np.int64], Array]:
    """Ranks (n,) of the map images that tell the pose, and their weights (n,)."""
    inliers = sight.inliers()[hypotheses.supporters]
    if (inliers > 0).any():
        # What shares most features with the image was taken nearest to it.
        order = np.argsort(-inliers, kind='stable')[:count]
        order = order[inliers[order] > 0]
        return hypotheses.supporters[order], inliers[order].astype(np.float64)
    ranks = hypotheses.supporters[:count]
    # How fast similarity falls with distance differs from map to map: what counts is where an
    # image stands between the best and the last one, which weighs 5 %; less if it resembles
    # the query so little that it may as well show another place.
    similarity = sight.similarity.astype(np.float64)
    below_best = similarity[hypotheses.best] - similarity[ranks]
    by_rank = 3.0 * below_best / max(float(below_best[-1]), 1e-9)
    return ranks, np.exp(-np.maximum(by_rank, trust.of_similarity.slope * below_best))
