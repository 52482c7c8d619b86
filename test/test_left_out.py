"""Covariances of a map by its own keyframes, on things that a camera drives past."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_landmarks import SPEC, camera, drive, photograph, scene

from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import load_map, save_map
from netvlad_ros.offline.mapping.landmark_tracks import LandmarkTracks
from netvlad_ros.offline.mapping.landmarks import find_landmarks
from netvlad_ros.offline.mapping.left_out import own_calibration

OF_MODEL = SimilarityCalibration(midpoint=0.3, slope=20.0, rival_slope=20.0)
EXTRACTOR = SimpleNamespace(spec=SPEC)


@pytest.fixture(scope='module')
def photographed():
    """Poses (16, 4, 4) and the features that a camera finds there."""
    rng = np.random.default_rng(0)
    T = drive()
    return T, photograph(rng, T, camera(), scene(rng))[0]


def mapped(T, store):
    """A map of a drive whose descriptors are the more similar the nearer the keyframes are."""
    found, _ = find_landmarks(store, T, camera())
    places = np.arange(len(T))
    near = np.exp(-0.5 * ((places[:, np.newaxis] - np.linspace(-3, 18, 64)) / 2.0) ** 2)
    descriptors = near / np.linalg.norm(near, axis=1, keepdims=True)
    return PlaceMap.create(
        model_id='0' * 64,
        frame_id='map',
        descriptors=descriptors.astype(np.float32),
        recordings=['drive'] * len(T),
        stamps_ns=places * 10**8,
        images=[f'{i}.png' for i in places],
        T_map_cam=T,
        features=store.with_landmarks(found.points, found.landmark_of),
        camera=camera(),
    )


@pytest.fixture(scope='module')
def exact_map(photographed):
    return mapped(*photographed)


@pytest.fixture(scope='module')
def measured(exact_map):
    """The calibration of the exact map, and the progress while it was measured."""
    seen = []
    found = own_calibration(
        exact_map, OF_MODEL, EXTRACTOR, progress=lambda done, total: seen.append((done, total))
    )
    return found, seen


def test_a_map_with_wrong_poses_states_larger_errors(photographed, measured):
    (T, store), (exact, seen) = photographed, measured
    assert seen == [(i, 16) for i in range(17)]
    off = T.copy()
    off[:, :3, 3] += np.random.default_rng(1).normal(0, 0.02, (len(T), 3))
    inexact = own_calibration(mapped(off, store), OF_MODEL, EXTRACTOR)
    assert exact.images > 12
    stated = np.diag([0.003**2] * 3 + [0.0005**2] * 3)
    sigma, sigma_inexact = (
        np.sqrt(found.covariance('landmarks', stated)[0, 0]) for found in (exact, inexact)
    )
    assert 0.003 <= sigma < 0.01
    assert 0.02 <= sigma_inexact < 0.08
    assert exact.scale['map_images'] == 1.0  # nothing was measured of it
    assert exact.midpoint is None


def test_too_few_keyframes_measure_nothing(photographed):
    T, store = photographed
    end = store.offsets[7]
    few = type(store).create(
        SPEC, store.offsets[:8], store.keypoints[:end], store.descriptors[:end]
    )
    assert own_calibration(mapped(T[:7], few), OF_MODEL, EXTRACTOR) is None


def test_hidden_keyframes_leave_no_trace_in_the_landmarks(exact_map):
    place_map, T = exact_map, exact_map.T_map_cam
    tracks = LandmarkTracks.of(place_map.features, T, camera())
    hidden = np.array([7, 8])
    rest = tracks.without(hidden)
    assert all((rest.landmarks(i) == -1).all() for i in hidden)
    # The same landmarks as before, from the other images alone: moving the hidden poses moves none.
    moved = T.copy()
    moved[hidden, :3, 3] += 1.0
    again = LandmarkTracks.of(place_map.features, moved, camera()).without(hidden)
    shown = np.unique(rest.landmark_of[rest.landmark_of >= 0])
    np.testing.assert_allclose(again.points[shown], rest.points[shown], atol=1e-9)
    assert 0.8 * len(place_map.features.points) < len(shown)
    assert (np.bincount(rest.landmark_of[rest.landmark_of >= 0])[shown] >= 2).all()


def test_it_is_stored_beside_the_calibration_by_another_drive(exact_map, measured, tmp_path):
    plain = save_map(exact_map, tmp_path / 'plain')
    assert load_map(tmp_path / 'plain').own_calibration is None
    own, _ = measured
    saved = save_map(replace(exact_map, own_calibration=own), tmp_path / 'own')
    loaded = load_map(tmp_path / 'own')
    assert loaded.own_calibration == own
    assert loaded.calibration is None
    assert saved.map_id == plain.map_id
