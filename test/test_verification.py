"""Verifier: poses where the geometry is sound, otherwise a weaker answer with a note."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_rooms import AROUND, RGB, SPEC, T_QUERY, Map, Scene
from tiny_scene import HEIGHT, PINHOLE, WIDTH, appearance, errors, features, pose

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import open_extractor
from netvlad_ros.core.features.local_features import FeatureSpec, LocalFeatures
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.feature_store import FeatureStore
from netvlad_ros.core.verification.candidates import VerificationBudget, candidates_to_verify
from netvlad_ros.core.verification.verifier import Verifier
from netvlad_ros.offline.drives.camera_file import read_camera
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.landmarks import find_landmarks


@pytest.fixture
def scene(rng) -> Scene:
    scene = Scene(rng, [np.zeros(3)])
    scene.look(T_QUERY)
    return scene


def test_pose_from_the_landmarks_of_several_images(scene):
    answer = scene.verify()
    (found,) = answer.poses
    metres, degrees = errors(found.T_map_cam, T_QUERY)
    assert metres < 0.03 and degrees < 0.3
    assert found.method == 'landmarks' and found.place == 0 and answer.note == ''
    # Every landmark is in several map images, but counts once.
    assert 100 < found.inliers <= 300
    assert sum(int(e.inliers.sum()) for e in answer.evidence) > 2 * found.inliers
    for evidence in answer.evidence:
        assert evidence.model == 'pnp' and evidence.inliers.shape == (len(evidence.matches),)
        assert evidence.inliers.mean() > 0.8


def test_two_places_that_look_alike_both_get_their_pose(rng):
    scene = Scene(rng, [np.zeros(3), np.array([40.0, 0, 0])])
    scene.look(T_QUERY)
    here, there = sorted(scene.verify().poses, key=lambda found: found.place)
    assert errors(here.T_map_cam, T_QUERY)[0] < 0.05
    assert errors(there.T_map_cam, pose(40.3, -0.1, 0.2, (2, -5, 3)))[0] < 0.05
    assert abs(here.inliers - there.inliers) < 0.2 * here.inliers  # they cannot be distinguished


def test_an_image_of_elsewhere_has_no_inliers(scene, rng):
    scene.seen_now = features(rng.uniform(0, (WIDTH, HEIGHT), (900, 2)), appearance(rng, 900), rng)
    for landmarks in (True, False):
        if not landmarks:
            scene.without_landmarks()
        for camera in (PINHOLE, None):
            answer = scene.verify(camera)
            assert answer.poses == ()
            assert all(not evidence.inliers.any() for evidence in answer.evidence)


def test_an_image_without_features_has_no_inliers(scene):
    scene.seen_now = LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
    answer = scene.verify()
    assert answer.poses == () and len(answer.evidence) == 4
    assert all('too few' in evidence.degenerate for evidence in answer.evidence)


def test_without_camera_info_inliers_are_counted_and_it_says_so(scene):
    answer = scene.verify(None)
    assert answer.note == 'no camera_info' and answer.poses == ()
    assert all(evidence.model == 'fundamental' for evidence in answer.evidence)
    assert all(evidence.inliers.sum() > 80 for evidence in answer.evidence)


def test_camera_info_of_another_resolution_is_scaled_or_refused(scene):
    twice = PINHOLE.resized(2 * WIDTH, 2 * HEIGHT)
    (found,) = scene.verify(twice).poses
    assert errors(found.T_map_cam, T_QUERY)[0] < 0.03
    wide = CameraModel.create(1280, 720, [800, 0, 640, 0, 800, 360, 0, 0, 1], 'plumb_bob', [])
    answer = scene.verify(wide)
    assert answer.poses == () and '1280x720' in answer.note
    assert answer.evidence[0].inliers.sum() > 80


def test_without_landmarks_the_directions_meet(scene):
    scene.without_landmarks()
    answer = scene.verify()
    (found,) = answer.poses
    metres, degrees = errors(found.T_map_cam, T_QUERY)
    assert found.method == 'relative_poses' and metres < 0.15 and degrees < 2
    assert answer.note == 'the map has no landmarks' and math.isnan(found.residual_px)
    assert all(evidence.model == 'essential' for evidence in answer.evidence)


def test_one_map_image_without_landmarks_gives_no_pose(rng):
    scene = Scene(rng, [np.zeros(3)], AROUND[1:2])
    scene.look(T_QUERY)
    assert len(scene.verify().poses) == 1
    scene.without_landmarks()
    answer = scene.verify()
    assert answer.poses == () and answer.evidence[0].inliers.sum() > 80


def test_a_map_that_does_not_know_its_camera_gives_inliers_only(scene):
    scene.without_landmarks()
    scene.map.camera = None
    answer = scene.verify()
    assert answer.poses == () and 'does not know its camera' in answer.note
    assert answer.evidence[0].model == 'fundamental'


def test_a_calibration_that_the_map_mended_is_mended_for_the_query(scene):
    K = PINHOLE.K * [[1.15, 1, 1], [1, 1.15, 1], [1, 1, 1]]
    nominal = CameraModel.create(WIDTH, HEIGHT, K, 'plumb_bob', PINHOLE.d)
    contradicted = scene.verify(nominal).poses
    assert not contradicted or errors(contradicted[0].T_map_cam, T_QUERY)[0] > 0.1
    scene.map.stated_camera = nominal
    (found,) = scene.verify(nominal).poses
    assert errors(found.T_map_cam, T_QUERY)[0] < 0.03
    (found,) = scene.verify(PINHOLE).poses  # another calibration is another camera
    assert errors(found.T_map_cam, T_QUERY)[0] < 0.03


def test_a_pose_far_from_its_map_images_is_refused(rng):
    scene = Scene(rng, [np.zeros(3)])
    tele = CameraModel.create(WIDTH, HEIGHT, [1350, 0, 320, 0, 1350, 240, 0, 0, 1], '', [])
    scene.look(pose(0, 0, -11.0), tele)  # three times as far as the map images saw it
    answer = scene.verify(tele)
    assert answer.poses == ()
    assert any('too far' in evidence.degenerate for evidence in answer.evidence)


def test_verification_stays_within_the_time_left(scene):
    verifier = Verifier(scene.map, scene, LocalizerConfig())
    ranks = np.arange(4)
    for _ in range(3):
        everything = verifier.verify(RGB, PINHOLE, ranks, scene.place_of)
    assert len(everything.evidence) == 4
    skipped = verifier.verify(RGB, PINHOLE, ranks, scene.place_of, time_left_ms=1.0)
    assert skipped.evidence == () and skipped.poses == ()
    assert skipped.note.startswith('skipped: verification takes ') and '1 ms' in skipped.note
    # One slow moment does not switch it off, and many do not switch it off permanently.
    verifier._budget.measured('extract', 1e4)
    assert verifier.verify(RGB, PINHOLE, ranks, scene.place_of, time_left_ms=500).evidence
    for _ in range(10):
        verifier._budget.measured('extract', 1e4)
    assert verifier.verify(RGB, PINHOLE, ranks, scene.place_of, time_left_ms=500).evidence == ()
    again = [
        bool(verifier.verify(RGB, PINHOLE, ranks, scene.place_of, time_left_ms=500).evidence)
        for _ in range(100)
    ]
    assert any(again)


def test_fewer_candidates_where_time_is_short():
    budget = VerificationBudget({'extract': 50.0, 'match': 10.0, 'solve': 20.0})
    place_of = np.array([0, 0, 2, 0, 2])
    ranks = candidates_to_verify(place_of, np.array([0, 2]), np.zeros(5, dtype=bool), 5)
    assert (
        budget.affordable(ranks, place_of, math.inf).tolist() == ranks.tolist() == [0, 1, 2, 3, 4]
    )
    assert budget.affordable(ranks, place_of, 95).tolist() == [0, 1]
    assert budget.affordable(ranks, place_of, 79).tolist() == []
    for _ in range(100_000):
        budget.forget()
    assert not len(budget.affordable(ranks, place_of, 0.0)), 'no time is no time, however long'


def test_rivals_are_compared_with_the_best_place():
    #                  0  1  2  3  4  5  6  7  8  9 10  11
    place_of = np.array([0, 0, 0, 3, 0, 5, 0, 5, 5, 9, 0, -1])
    margin = place_of == 3
    ranks = candidates_to_verify(place_of, np.array([0, 3, 5, 9]), margin, 5)
    assert sorted(ranks.tolist()) == [0, 1, 2, 4, 5, 6, 7, 9]
    assert ranks[:3].tolist() == [0, 1, 5]


def test_features_of_another_kind_are_refused(scene):
    with pytest.raises(NetvladError, match='orb'):
        Verifier(scene.map, open_extractor(FeatureSpec.built_in('orb')), LocalizerConfig())


def test_a_real_kitchen_and_real_strangers(shared_data):
    extractor = open_extractor(SPEC)
    drive = open_drive(shared_data / 'redkitchen')
    mapped = list(drive.frames(slice(0, 200, 20)))
    nominal = read_camera(shared_data / 'redkitchen' / 'camera.yaml').model()
    found = [extractor.extract(frame.read()) for frame in mapped]
    T = np.array([frame.T_map_cam for frame in mapped])
    store = FeatureStore.create(
        SPEC,
        np.cumsum([0, *map(len, found)]).astype(np.int64),
        np.concatenate([each.keypoints for each in found]),
        np.concatenate([each.descriptors for each in found]),
    )
    landmarks, refined = find_landmarks(store, T, nominal)
    assert refined is not None  # the data sheet of another sensor
    kitchen = Map(
        features=store.with_landmarks(landmarks.points, landmarks.landmark_of),
        camera=refined,
        stated_camera=nominal,
        T_map_cam=T,
        spacing_m=0.1,
    )
    verifier = Verifier(kitchen, extractor, LocalizerConfig())
    queries = list(drive.frames(slice(10, 200, 60)))
    for frame in queries:
        distance = np.linalg.norm(T[:, :3, 3] - frame.T_map_cam[:3, 3], axis=1)
        near = np.argsort(distance)[:5]
        (answer,) = verifier.verify(frame.read(), nominal, near, np.zeros(5, np.int64)).poses
        metres, degrees = errors(answer.T_map_cam, frame.T_map_cam)
        assert metres < 0.06 and degrees < 2.5
    for name in ('001', '030'):
        rgb = read_image(shared_data / 'corridor_loop' / 'images' / f'{name}.jpg')
        camera = nominal.resized(rgb.shape[1], rgb.shape[0])
        answer = verifier.verify(rgb, camera, np.arange(5), np.zeros(5, np.int64))
        assert answer.poses == () and not any(e.inliers.any() for e in answer.evidence)
