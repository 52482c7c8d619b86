"""From hypotheses to a Match: pose, verdict, candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from netvlad_ros.core.decision.hypotheses import Hypotheses
from netvlad_ros.core.decision.match import Candidate, Match, Status
from netvlad_ros.core.decision.measurement_model import MeasurementModel
from netvlad_ros.core.decision.observation import Observation
from netvlad_ros.core.decision.pose_estimate import estimate
from netvlad_ros.core.decision.verdict import decide
from netvlad_ros.core.geometry import distance_m, rotation_angle_deg
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.pose.two_view import NO_CALIBRATION

# An attacked image can be similar to any place (Tolias et al., ICCV 2019). If place and image both
# have many features but share none, or if none of the place's landmarks is found in the image, the
# probability is limited to 0.9, below the default threshold of 0.95.
MOST_REFUTED = 0.9
RICH = 4  # many features or landmarks of an image: this many times the inliers that a pose needs


def answer(
    stamp_ns: int,
    observation: Observation,
    hypotheses: Hypotheses,
    place_map: PlaceMap,
    model: MeasurementModel,
    config: LocalizerConfig,
) -> Match:
    """Where the best place puts the camera, and whether that is accepted."""
    pose = estimate(observation, hypotheses, place_map, model, config)
    if _is_refuted(observation, hypotheses.best, place_map, config.min_inliers):
        hypotheses = replace(
            hypotheses,
            single_probability=min(hypotheses.single_probability, MOST_REFUTED),
            probability=np.minimum(hypotheses.probability, MOST_REFUTED),
        )
    verdict = decide(
        hypotheses,
        observation.similarity,
        observation.edge_share,
        accept_probability=config.accept_probability,
        min_edge_share=config.min_detail,
        geometry=_geometry(observation, hypotheses),
    )
    return Match(
        stamp_ns=stamp_ns,
        status=verdict.status,
        reason=verdict.reason,
        candidates=_candidates(observation, hypotheses, place_map, model, config.top_k),
        prior=pose if verdict.status is Status.ACCEPTED else None,
        estimate=pose,
        probability=float(hypotheses.probability[hypotheses.best]),
        elsewhere=hypotheses.elsewhere,
        single_probability=hypotheses.single_probability,
        verification=observation.verification,
        map_id=place_map.map_id,
        model_id=place_map.model_id,
        descriptor=observation.descriptor,
    )


def _candidates(
    observation: Observation,
    hypotheses: Hypotheses,
    place_map: PlaceMap,
    model: MeasurementModel,
    top_k: int,
) -> tuple[Candidate, ...]:
    """The candidates to report: one of the best place, then by inliers, then by similarity."""
    inliers = observation.inliers
    order = np.lexsort([np.arange(len(inliers)), -inliers])
    first = _first(observation, hypotheses, model)
    order = np.concatenate([[first], order[order != first]])
    candidates = []
    for rank in order[:top_k]:
        i = int(observation.indices[rank])
        candidates.append(
            Candidate(
                index=i,
                rank=int(rank),
                place_id=int(place_map.place_ids[i]),
                recording=place_map.recordings[i],
                stamp_ns=int(place_map.stamps_ns[i]),
                similarity=float(observation.similarity[rank]),
                probability=float(hypotheses.probability[rank]),
                inliers=int(inliers[rank]),
                T_map_cam=place_map.T_map_cam[i],
            )
        )
    return tuple(candidates)


def _is_refuted(observation: Observation, best: int, place_map: PlaceMap, min_inliers: int) -> bool:
    """Whether the best place was searched for in the image, and not found."""
    store, verification = place_map.features, observation.verification
    if store is None or verification is None or best in observation.pose_of_place:
        return False
    ranks = [e.rank for e in verification.evidence if observation.place_of[e.rank] == best]
    images = observation.indices[ranks]
    rich = RICH * min_inliers
    if store.has_landmarks and verification.is_pose_expected:
        return any((store.landmarks(int(i)) >= 0).sum() >= rich for i in images)
    if len(verification.features.keypoints) < rich or (observation.inliers[ranks] > 0).any():
        return False
    return bool((np.diff(store.offsets)[images] >= rich).any())


def _first(observation: Observation, hypotheses: Hypotheses, model: MeasurementModel) -> int:
    """Rank of the best place's map image with most inliers, or nearest to the geometric pose."""
    ranks = hypotheses.supporters
    inliers = observation.inliers[ranks]
    pose = observation.pose_of_place.get(hypotheses.best)
    if pose is None or not (inliers > 0).any():
        return int(ranks[np.argmax(inliers)])
    ranks = ranks[inliers > 0]
    T = observation.T_map_cam[ranks]
    away = distance_m(T, pose.T_map_cam) / model.radius_m
    turned = rotation_angle_deg(T, pose.T_map_cam[np.newaxis]) / model.radius_deg
    return int(ranks[np.argmin(np.hypot(away, turned))])


def _geometry(observation: Observation, hypotheses: Hypotheses) -> str:
    """What verification found at the best place, in words."""
    if observation.verification is None or not observation.verification.evidence:
        return f'not verified: {observation.note}' if observation.note else ''
    pose = observation.pose_of_place.get(hypotheses.best)
    if pose is not None:
        words = 'landmarks' if pose.method == 'landmarks' else 'relative poses'
        return f'{pose.inliers} inliers, pose by {words}'
    most = int(observation.inliers[hypotheses.supporters].max())
    if most < 0:
        return 'not verified'
    why = [
        evidence.degenerate
        for evidence in observation.verification.evidence
        if observation.place_of[evidence.rank] == hypotheses.best and evidence.degenerate
    ]
    words = why[0] if why else observation.note or 'no pose'
    problem = observation.verification.camera_problem
    if problem:
        words = problem if words in (NO_CALIBRATION, problem) else f'{words}; {problem}'
    return f'{most} inliers ({words})'
