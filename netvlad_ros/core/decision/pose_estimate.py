"""The pose of the best place: by landmarks, by relative poses or by map images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.decision.hypotheses import Hypotheses
from netvlad_ros.core.decision.measurement_model import MeasurementModel
from netvlad_ros.core.decision.observation import Observation
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.pose.prior import PosePrior, diagonal_bound, pose_prior


def estimate(
    observation: Observation,
    hypotheses: Hypotheses,
    place_map: PlaceMap,
    model: MeasurementModel,
    config: LocalizerConfig,
) -> PosePrior:
    """Pose of the camera if the best place is right, with a consistent covariance."""
    pose = observation.pose_of_place.get(hypotheses.best)
    if pose is not None:
        covariance = model.of_map.covariance(pose.method, pose.covariance)
        covariance = covariance + pose.covariance_by_camera
        return PosePrior(pose.T_map_cam, diagonal_bound(covariance), pose.method)
    ranks, weights = _weighted_images(observation, hypotheses, model, config.prior_places)
    prior = pose_prior(
        _turned(observation, ranks),
        weights,
        sigma_m=max(config.prior_sigma_m, place_map.spacing_m / 2),
        sigma_deg=max(config.prior_sigma_deg, place_map.spacing_deg / 2),
        inflation=config.prior_inflation,
    )
    covariance = model.of_map.covariance(prior.method, prior.covariance)
    return PosePrior(prior.T, diagonal_bound(covariance), prior.method)


def _turned(observation: Observation, ranks: NDArray[np.int64]) -> Array:
    """Poses (n, 4, 4) of map images, turned by the roll with which the image shows the same."""
    T = observation.T_map_cam[ranks].copy()
    verification = observation.verification
    roll_deg = {e.rank: e.roll_deg for e in verification.evidence} if verification else {}
    # Content that is turned clockwise comes from a camera that is turned counterclockwise.
    turns = [[0.0, 0.0, -math.radians(roll_deg.get(int(rank), 0.0))] for rank in ranks]
    T[:, :3, :3] = T[:, :3, :3] @ Rotation.from_rotvec(turns).as_matrix()
    return T


def _weighted_images(
    observation: Observation, hypotheses: Hypotheses, model: MeasurementModel, count: int
) -> tuple[NDArray[np.int64], Array]:
    """Ranks (n,) of the map images whose mean is the pose, and their weights (n,)."""
    inliers = observation.inliers[hypotheses.supporters]
    if (inliers > 0).any():
        # The map image that shares most features with the query was taken nearest to it.
        order = np.argsort(-inliers, kind='stable')[:count]
        order = order[inliers[order] > 0]
        return hypotheses.supporters[order], inliers[order].astype(np.float64)
    ranks = hypotheses.supporters[:count]
    # How fast similarity falls with distance differs from map to map. So the weight of an image
    # depends on where its similarity lies between the best one and the last one, which weighs 5 %.
    # It weighs less if its similarity is so low that it may show another place.
    similarity = observation.similarity.astype(np.float64)
    below_best = similarity[hypotheses.best] - similarity[ranks]
    by_rank = 3.0 * below_best / max(float(below_best[-1]), 1e-9)
    return ranks, np.exp(-np.maximum(by_rank, model.of_similarity.slope * below_best))
