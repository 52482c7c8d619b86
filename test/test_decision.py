"""What makes the localizer accept, refuse or call an image ambiguous."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from netvlad_ros.core.camera.image import edge_share
from netvlad_ros.core.decision.answer import answer
from netvlad_ros.core.decision.match import Status
from netvlad_ros.core.decision.measurement_model import MeasurementModel
from netvlad_ros.core.decision.verdict import decide
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.pose.two_view import NO_CALIBRATION
from netvlad_ros.core.retrieval import Candidates, group
from netvlad_ros.core.verification.evidence import CandidateEvidence, GeometricPose, Verification
from netvlad_ros.offline.metrics.accuracy import median_and_p90, places_within, recall_at_n

CALIBRATION = SimilarityCalibration(midpoint=0.5, slope=30.0, rival_slope=45.0)


def places(xs):
    T = np.tile(np.eye(4), (len(xs), 1, 1))
    T[:, 0, 3] = xs
    return T


def verdict(hypotheses, similarity, seen=0.5):
    return decide(
        hypotheses,
        similarity,
        seen,
        accept_probability=0.9,
        min_edge_share=0.05,
    )


def hypotheses_of(T, similarity, calibration=CALIBRATION, geometry=None, agreeing=()):
    """geometry: log odds that verification adds; agreeing: places whose poses agree."""
    model = MeasurementModel(calibration, MapCalibration(), 1.0, 45.0)
    ranks = np.arange(len(T))
    place_of = group(T, model.radius_m, model.radius_deg)
    candidates = Candidates(np.zeros(2, np.float32), ranks, similarity, T, place_of)
    seen = model.observe(candidates, None, edge_share=0.5, shows_something=True, note='')
    log_odds = np.zeros(len(T)) if geometry is None else np.array(geometry, dtype=np.float64)
    poses = {p: GeometricPose(T[0], np.eye(6), 'landmarks', 80, 0.5, p) for p in agreeing}
    seen = replace(seen, against_places=log_odds, against_unmapped=log_odds, pose_of_place=poses)
    return model.hypotheses(seen)


def decided(xs, similarity, geometry=None, agreeing=()):
    similarity = np.array(similarity, dtype=np.float32)
    hypotheses = hypotheses_of(places(xs), similarity, geometry=geometry, agreeing=agreeing)
    return hypotheses, verdict(hypotheses, similarity)


def test_a_similar_place_without_rival_is_accepted():
    hypotheses, answer = decided([0, 0.3, 20], [0.8, 0.79, 0.3])
    assert answer.status is Status.ACCEPTED
    assert list(hypotheses.supporters) == [0, 1]
    assert hypotheses.probability[0] == hypotheses.probability[1] > 0.99


def test_nothing_similar_is_no_match_however_many_neighbours_agree():
    _, answer = decided(np.linspace(0, 0.9, 100), np.full(100, 0.45))
    assert answer.status is Status.NO_MATCH
    assert '0.45' in answer.reason


def test_two_equal_places_far_apart_are_ambiguous():
    hypotheses, answer = decided([0, 50, 0.2], [0.8, 0.79, 0.75])
    assert answer.status is Status.AMBIGUOUS
    assert '0.79' in answer.reason
    assert hypotheses.probability[0] + hypotheses.probability[1] <= 1


def test_the_margin_of_the_best_place_is_no_rival():
    _, answer = decided([0, 1.5, 50], [0.8, 0.79, 0.2])
    assert answer.status is Status.ACCEPTED


def test_a_view_in_the_opposite_direction_is_another_place():
    T = places([0, 0])
    T[1, :3, :3] = np.diag([-1, 1, -1])
    similarity = np.array([0.8, 0.8], dtype=np.float32)
    hypotheses = hypotheses_of(T, similarity)
    assert verdict(hypotheses, similarity).status is Status.AMBIGUOUS


def test_a_blank_wall_matches_nothing_however_alike():
    hypotheses, accepted = decided([0, 50], [0.9, 0.2])
    assert accepted.status is Status.ACCEPTED
    blank = np.full((240, 320, 3), 180, np.uint8)
    noise = np.random.default_rng(0).normal(0, 3, blank.shape)
    wall = np.clip(blank + noise, 0, 255).astype(np.uint8)
    for image in (blank, wall, np.zeros_like(blank)):
        refused = verdict(hypotheses, np.float32([0.9, 0.2]), edge_share(image))
        assert refused.status is Status.NO_MATCH
        assert 'too little to see' in refused.reason
    wall[60:200, 100:220] = 30  # a door
    assert edge_share(wall) > 0.01


@pytest.mark.parametrize('roll_deg', [0.0, 90.0, 180.0])
def test_the_pose_of_map_images_is_turned_by_the_roll(roll_deg):
    model = MeasurementModel(CALIBRATION, MapCalibration(), 1.0, 45.0)
    T, similarity = places([0, 0.3]), np.array([0.8, 0.79], dtype=np.float32)
    candidates = Candidates(np.zeros(2, np.float32), np.arange(2), similarity, T, np.zeros(2, int))
    matches, found = np.zeros((30, 2), int), np.ones(30, bool)
    evidence = tuple(
        CandidateEvidence(rank, matches, found, 'fundamental', NO_CALIBRATION, roll_deg)
        for rank in (0, 1)
    )
    problem = 'camera_info contradicts the map: the focal length looks like 438 px, not 657'
    verification = Verification(
        evidence, (), problem, SimpleNamespace(keypoints=[]), camera_problem=problem
    )
    seen = model.observe(
        candidates, verification, edge_share=0.5, shows_something=True, note=problem
    )
    place_map = SimpleNamespace(
        features=None, spacing_m=0.1, spacing_deg=1.0, place_ids=[0, 1], recordings=['', ''],
        stamps_ns=[0, 1], T_map_cam=T, map_id='', model_id='',
    )  # fmt: skip
    match = answer(0, seen, model.hypotheses(seen), place_map, model, LocalizerConfig())
    assert match.status is Status.ACCEPTED and f'30 inliers ({problem})' in match.reason
    # The content turned clockwise: the camera turned the other way about its optical axis.
    turned = Rotation.from_rotvec([0, 0, -np.radians(roll_deg)]).as_matrix()
    np.testing.assert_allclose(match.prior.T[:3, :3], turned, atol=1e-9)


def test_extreme_odds_stay_finite():
    steep = SimilarityCalibration(midpoint=0.0, slope=10000.0, rival_slope=10000.0)
    for similarity in ([1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]):
        hypotheses = hypotheses_of(places([0, 50]), np.float32(similarity), steep)
        assert np.isfinite(hypotheses.probability).all()
        assert 0 <= hypotheses.single_probability <= 1


def test_geometry_decides_between_places_that_look_alike():
    hypotheses, answer = decided([0, 50], [0.8, 0.79], geometry=[-3.0, 6.0])
    assert (hypotheses.best, answer.status) == (1, Status.ACCEPTED)
    assert list(hypotheses.supporters) == [1]
    hypotheses, answer = decided([0, 50], [0.8, 0.79], geometry=[6.0, 6.0])
    assert answer.status is Status.AMBIGUOUS


def test_geometry_makes_a_doubtful_place_sure_and_a_likely_one_doubtful():
    assert decided([0, 50], [0.5, 0.1])[1].status is Status.NO_MATCH
    assert decided([0, 50], [0.5, 0.1], geometry=[4.0, 0.0])[1].status is Status.ACCEPTED
    assert decided([0, 50], [0.6, 0.1])[1].status is Status.ACCEPTED
    assert decided([0, 50], [0.6, 0.1], geometry=[-3.0, -3.0])[1].status is Status.NO_MATCH


def test_a_place_that_puts_the_camera_at_the_same_spot_is_no_rival():
    assert decided([0, 5], [0.8, 0.79], geometry=[6.0, 6.0])[1].status is Status.AMBIGUOUS
    accepted = decided([0, 5], [0.8, 0.79], geometry=[6.0, 6.0], agreeing=[0, 1])[1]
    assert accepted.status is Status.ACCEPTED


def test_many_weak_rivals_do_not_outvote_a_clear_winner():
    _, answer = decided(np.arange(60) * 10.0, [0.8] + [0.65] * 59)
    assert answer.status is Status.ACCEPTED


def test_recall_counts_the_unanswerable_apart():
    recall = recall_at_n([[3, 1], [2, 0], [5, 4]], [{1}, {2}, set()], ns=(1, 2))
    assert (recall.queries, recall.answerable) == (3, 2)
    assert recall.over_answerable == {1: 0.5, 2: 1.0}
    assert recall.over_all == {1: pytest.approx(1 / 3), 2: pytest.approx(2 / 3)}
    assert recall_at_n([], [], ns=(1,)).over_answerable == {1: None}


def test_places_within_radius_and_angle():
    T = places([0, 0.4, 0.6, 0.4])
    T[3, :3, :3] = np.diag([-1, 1, -1])
    assert list(places_within(T, np.eye(4), 0.5, 30)) == [0, 1]
    assert list(places_within(T, np.eye(4), 0.5, None)) == [0, 1, 3]
    assert median_and_p90([]) == {'median': None, 'p90': None}
