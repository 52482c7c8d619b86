"""From hypotheses to the answer: pose, verdict, candidates."""

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

# However alike: a picture can be made to look like any place to a network (Tolias et al., ICCV
# 2019). Where place and image have features to spare and share none, or where the place's landmarks
# are nowhere to be seen, likeness alone is not enough for the 95 % of the default.
MOST_REFUTED = 0.9
RICH = 4  # times the inliers that a pose needs: features, or landmarks, of an image


def answer(
    sight: Observation,
    hypotheses: Hypotheses,
    place_map: PlaceMap,
    trust: MeasurementModel,
    config: LocalizerConfig,
) -> Match:
    """Where does the best place put the camera, and is it good enough to be believed?"""
    best = estimate(sight, hypotheses, place_map, trust, config)
    if _is_refuted(sight, hypotheses.best, place_map, config.min_inliers):
        hypotheses = replace(
            hypotheses,
            alone=min(hypotheses.alone, MOST_REFUTED),
            probability=np.minimum(hypotheses.probability, MOST_REFUTED),
        )
    verdict = decide(
        hypotheses,
        sight.similarity,
        sight.edge_share,
        accept_probability=config.accept_probability,
        min_edge_share=config.min_detail,
        geometry=_geometry(sight, hypotheses),
    )
    return Match(
        stamp_ns=sight.stamp_ns,
        status=verdict.status,
        reason=verdict.reason,
        candidates=_candidates(sight, hypotheses, place_map, trust, config.top_k),
        prior=best if verdict.status is Status.ACCEPTED else None,
        estimate=best,
        probability=float(hypotheses.probability[hypotheses.best]),
        elsewhere=hypotheses.elsewhere,
        alone=hypotheses.alone,
        verification=sight.verification,
        map_id=place_map.map_id,
        model_id=place_map.model_id,
        descriptor=sight.descriptor,
        timings_ms=sight.timings_ms,
    )


def _candidates(
    sight: Observation,
    hypotheses: Hypotheses,
    place_map: PlaceMap,
    trust: MeasurementModel,
    top_k: int,
) -> tuple[Candidate, ...]:
    """The look-alikes to report: one of the best place, then by inliers, then by similarity."""
    inliers = sight.inliers()
    order = np.lexsort([np.arange(len(inliers)), -inliers])
    first = _first(sight, hypotheses, place_map, trust)
    order = np.concatenate([[first], order[order != first]])
    candidates = []
    for rank in order[:top_k]:
        i = int(sight.indices[rank])
        candidates.append(
            Candidate(
                index=i,
                rank=int(rank),
                place_id=int(place_map.place_ids[i]),
                recording=place_map.recordings[i],
                stamp_ns=int(place_map.stamps_ns[i]),
                similarity=float(sight.similarity[rank]),
                probability=float(hypotheses.probability[rank]),
                inliers=int(inliers[rank]),
                T_map_cam=place_map.T_map_cam[i],
            )
        )
    return tuple(candidates)


def _is_refuted(sight: Observation, best: int, place_map: PlaceMap, min_inliers: int) -> bool:
    """Whether the best place was looked for in the image, and not found."""
    store, verification = place_map.features, sight.verification
    if store is None or verification is None or sight.pose_at(best) is not None:
        return False
    ranks = [e.rank for e in verification.evidence if sight.leader[e.rank] == best]
    images = sight.indices[ranks]
    rich = RICH * min_inliers
    if store.has_landmarks and verification.is_pose_expected:
        return any((store.landmarks(int(i)) >= 0).sum() >= rich for i in images)
    if len(verification.features.keypoints) < rich or (sight.inliers()[ranks] > 0).any():
        return False
    return bool((np.diff(store.offsets)[images] >= rich).any())


def _first(
    sight: Observation, hypotheses: Hypotheses, place_map: PlaceMap, trust: MeasurementModel
) -> int:
    """Rank of the best place's image that shows most of what is seen, or was taken nearest."""
    ranks = hypotheses.supporters
    inliers = sight.inliers()[ranks]
    pose = sight.pose_at(hypotheses.best)
    if pose is None or not (inliers > 0).any():
        return int(ranks[np.argmax(inliers)])
    ranks = ranks[inliers > 0]
    T = place_map.T_map_cam[sight.indices[ranks]]
    away = distance_m(T, pose.T_map_cam) / trust.radius_m
    turned = rotation_angle_deg(T, pose.T_map_cam[np.newaxis]) / trust.radius_deg
    return int(ranks[np.argmin(np.hypot(away, turned))])


def _geometry(sight: Observation, hypotheses: Hypotheses) -> str:
    """What verification says of the best place, in words."""
    if sight.verification is None or not sight.verification.evidence:
        return f'not verified: {sight.note}' if sight.note else ''
    pose = sight.pose_at(hypotheses.best)
    if pose is not None:
        words = 'landmarks' if pose.method == 'landmarks' else 'relative poses'
        return f'{pose.inliers} inliers, pose by {words}'
    most = int(sight.inliers()[hypotheses.supporters].max())
    if most < 0:
        return 'not verified'
    why = [
        evidence.degenerate
        for evidence in sight.verification.evidence
        if sight.leader[evidence.rank] == hypotheses.best and evidence.degenerate
    ]
    return f'{most} inliers ({why[0] if why else sight.note or "no pose"})'
