"""What a sequence of images makes of what each of them says, with and without geometry."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_drive import pose

from netvlad_ros.core.decision.answer import answer
from netvlad_ros.core.decision.hypotheses import Hypotheses
from netvlad_ros.core.decision.measurement_model import MeasurementModel
from netvlad_ros.core.decision.observation import Observation
from netvlad_ros.core.decision.sequence import Sequence
from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.retrieval import Candidates, group
from netvlad_ros.core.verification.evidence import CandidateEvidence, GeometricPose, Verification

S = 10**9
CALIBRATION = SimilarityCalibration(midpoint=0.5, slope=30.0, rival_slope=45.0)
MODEL = MeasurementModel(CALIBRATION, MapCalibration(), 1.0, 45.0)
# Two corridors alike, far apart, five images half a metre from each other in each.
CORRIDORS = np.array([pose(x=0.2 * i, y=100.0 * k) for k in range(2) for i in range(5)])


def observation_of(similarity, verification=None) -> Observation:
    similarity = np.asarray(similarity, np.float32)
    indices = np.argsort(-similarity, kind='stable')
    T = CORRIDORS[indices]
    place_of = group(T, MODEL.radius_m, MODEL.radius_deg)
    candidates = Candidates(np.zeros(2, np.float32), indices, similarity[indices], T, place_of)
    return MODEL.observe(candidates, verification, edge_share=0.5, shows_something=True, note='')


def single(observation: Observation) -> Hypotheses:
    return MODEL.hypotheses(observation)


def sequence() -> Sequence:
    place_map = SimpleNamespace(T_map_cam=CORRIDORS, spacing_m=0.2, spacing_deg=0.0)
    return Sequence(place_map, MODEL, LocalizerConfig())


def test_a_mount_that_trembles_is_one_witness():
    """A rear camera, whose mount TF tells anew for each image, sees one spot again and again."""
    seen = [0.7] * 4 + [0.69] + [0.69] * 5

    def after(mounts) -> np.ndarray:
        believed = sequence()
        for i, mount in enumerate(mounts):
            observation = observation_of(seen)
            hypotheses = believed.update(
                i * S // 10, observation, single(observation), T_ref_cam=mount
            )
        return hypotheses.probability

    rng = np.random.default_rng(0)
    steady = [pose(x=0.1, yaw_deg=10.0)] * 20
    trembling = [pose(x=0.1 + 1e-4 * e, yaw_deg=10.0 + 0.1 * e) for e in rng.normal(size=20)]
    np.testing.assert_allclose(after(trembling), after(steady), atol=1e-6)
    assert (sequence()._camera(np.eye(4))[1].is_at(pose(yaw_deg=3.0))) is False


def verified(observation: Observation, poses, inliers, **changes) -> Verification:
    """Evidence of candidates, by rank -> inliers; poses, by place -> inliers."""
    evidence = tuple(
        CandidateEvidence(rank, np.zeros((n, 2), np.int64), np.ones(n, bool), 'essential', '')
        for rank, n in inliers.items()
    )
    found = tuple(
        GeometricPose(observation.T_map_cam[place], np.eye(6), 'relative_poses', n, 0.5, place)
        for place, n in poses.items()
    )
    return Verification(evidence, found, '', None, is_pose_expected=True, **changes)


@pytest.mark.parametrize('rival_inliers', [0, 80])
def test_a_twin_of_which_too_little_was_looked_at_for_a_pose_is_a_rival(rival_inliers):
    """Two images of the rival show as many inliers; a pose by directions takes three."""
    observation = observation_of([0.8] * 5 + [0.79] * 5)
    rival = int(np.flatnonzero(observation.place_of != 0)[0])
    inliers = {**dict.fromkeys(range(5), 80), rival: rival_inliers, rival + 1: rival_inliers}
    verification = verified(observation, {0: 80}, inliers, views_needed=3)
    hypotheses = single(observation_of([0.8] * 5 + [0.79] * 5, verification))
    assert hypotheses.best == 0
    if rival_inliers:
        assert 0.5 < hypotheses.probability[0] < 0.7, 'it may as well be the other one'
    else:
        assert hypotheses.probability[0] > 0.99


def test_inliers_without_a_pose_make_no_place_sure():
    observation = observation_of([0.55] * 5 + [0.2] * 5)
    verification = verified(observation, {}, {0: 80, 1: 80}, views_needed=3)
    sure = single(observation_of([0.55] * 5 + [0.2] * 5, verification))
    plain = single(observation)
    assert sure.best == plain.best == 0
    assert sure.single_probability < plain.single_probability, (
        'too little was looked at, or it is no pose'
    )


def test_a_rival_that_there_was_no_time_for_stays_one():
    """Geometry makes one of two like corridors sure only if it looked at the other, too."""
    similarity = [0.8] * 5 + [0.79] * 5
    observation = observation_of(similarity)
    rival = int(np.flatnonzero(observation.place_of != 0)[0])
    compared = verified(observation, {0: 80}, {0: 80, rival: 0})
    assert single(observation_of(similarity, compared)).probability[0] > 0.99
    in_haste = verified(observation, {0: 80}, {0: 80}, not_verified=(rival,))
    assert single(observation_of(similarity, in_haste)).probability[0] < 0.7


@pytest.mark.parametrize(
    ('has_landmarks', 'of_map', 'of_query', 'inliers', 'refuted'),
    [
        (True, 60, 0, 0, True),
        (True, 20, 0, 0, False),
        (False, 60, 60, 0, True),
        (False, 20, 60, 0, False),  # a map image of a blank wall has nothing to share
        (False, 60, 20, 0, False),  # nor has a picture of one
        (False, 60, 60, 12, False),
    ],
)
def test_a_place_that_is_looked_for_in_vain_is_not_accepted(
    has_landmarks, of_map, of_query, inliers, refuted
):
    """However alike: a picture can be made to be described as any place."""
    similarity = [0.99] * 5 + [0.2] * 5
    store = SimpleNamespace(
        has_landmarks=has_landmarks,
        landmarks=lambda index: np.arange(200) * (np.arange(200) < of_map) - 1,
        offsets=np.arange(11) * of_map,
    )
    place_map = SimpleNamespace(
        features=store,
        T_map_cam=CORRIDORS,
        spacing_m=0.2,
        spacing_deg=0.0,
        place_ids=np.arange(10),
        recordings=('drive',) * 10,
        stamps_ns=np.arange(10),
        map_id='map',
        model_id='model',
    )
    observation = observation_of(similarity)
    features = LocalFeatures(np.zeros((of_query, 2), np.float32), np.zeros((of_query, 128)))
    verification = replace(
        verified(observation, {}, {0: inliers, 1: 0}),
        features=features,
        is_pose_expected=has_landmarks,
        views_needed=3,
    )
    seen = observation_of(similarity, verification)
    match = answer(0, seen, single(seen), place_map, MODEL, LocalizerConfig())
    assert (match.prior is None) == refuted
    assert (match.probability < 0.95) == refuted
