"""The local features of a model bundle: stored, matched, and found in the pass that describes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_local_features import scene
from tiny_drive import HEADER, pose, pose_line, write_image
from tiny_local_model import HEIGHT, KEYPOINTS, LOCAL_DIM, WIDTH, write_tiny_local_model
from tiny_model import write_tiny_model

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import open_extractor
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.features.matching import match_features
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.storage import load_map
from netvlad_ros.core.verification.candidates import VerificationBudget
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.feature_choice import FeatureChoice
from netvlad_ros.offline.mapping.map_builder import MapBuilder


@pytest.fixture(scope='module')
def bundle(tmp_path_factory) -> ModelBundle:
    return ModelBundle.load(write_tiny_local_model(tmp_path_factory.mktemp('model') / 'local.onnx'))


def test_features_of_the_full_image_in_eight_bits(bundle):
    spec = FeatureSpec.of_model(bundle.metadata, 100)
    assert (spec.kind, spec.dim, spec.max_keypoints) == ('model', LOCAL_DIM, 100)
    assert (spec.max_side_px, spec.model_id) == (WIDTH, bundle.metadata.model_id)
    assert FeatureSpec.from_dict(spec.to_dict()) == spec
    rgb = scene(2 * WIDTH, 3 * HEIGHT)
    descriptor, features = open_extractor(spec, bundle=bundle).analyse(rgb)
    raw = bundle.analyse(rgb)
    np.testing.assert_array_equal(descriptor, raw.descriptor)
    assert features.descriptors.dtype == np.int8
    assert len(features) == 100
    scaled = (raw.features.keypoints[:100] + 0.5) * [2, 3] - 0.5
    np.testing.assert_allclose(features.keypoints, scaled, atol=1e-3)
    rows = (
        features.descriptors / np.linalg.norm(features.descriptors.astype(float), axis=1)[:, None]
    )
    cosine = np.einsum('ij,ij->i', rows, raw.features.rows[:100])
    assert cosine.min() > 0.999


def test_two_views_match_where_they_agree(bundle):
    extractor = open_extractor(FeatureSpec.of_model(bundle.metadata), bundle=bundle)
    rgb = scene(WIDTH, HEIGHT)
    shift = np.float32([[1, 0, 12], [0, 1, 7]])
    moved = cv2.warpAffine(rgb, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    query, mapped = extractor.extract(moved), extractor.extract(rgb)
    matches = match_features(query, mapped, extractor.spec.metric, ratio=extractor.spec.ratio)
    apart = query.keypoints[matches[:, 0]] - mapped.keypoints[matches[:, 1]] - [12, 7]
    assert len(matches) > 60
    assert (np.abs(apart).max(axis=1) < 1.5).mean() > 0.9


def test_features_of_another_model_and_of_none(bundle, tmp_path):
    spec = FeatureSpec.of_model(bundle.metadata)
    assert spec.max_keypoints == KEYPOINTS  # no more than the model promises
    other = ModelBundle.load(write_tiny_local_model(tmp_path / 'other.onnx', seed=1))
    with pytest.raises(NetvladError, match='name the right model'):
        open_extractor(spec, bundle=other)
    with pytest.raises(NetvladError, match='itself; name it'):
        open_extractor(spec)
    without = ModelBundle.load(write_tiny_model(tmp_path / 'tiny.onnx'))
    with pytest.raises(NetvladError, match='the model tiny answers no local features; choose sift'):
        FeatureSpec.of_model(without.metadata)


class CountedSession:
    """The session of a bundle, and how often it ran."""

    def __init__(self, session) -> None:
        self.session, self.runs = session, 0

    def __getattr__(self, name):
        return getattr(self.session, name)

    def run(self, *arguments):
        self.runs += 1
        return self.session.run(*arguments)


@pytest.fixture
def counted(bundle, monkeypatch) -> CountedSession:
    session = CountedSession(bundle._session)
    monkeypatch.setattr(bundle, '_session', session)
    return session


@pytest.fixture(scope='module')
def walk(tmp_path_factory) -> Path:
    """A drive of five textured images of 320 x 240 px, and its camera."""
    folder = tmp_path_factory.mktemp('walk')
    lines = [HEADER]
    for i in range(5):
        write_image(folder / 'images' / f'{i}.png', scene(WIDTH, HEIGHT, seed=i))
        lines.append(pose_line(f'images/{i}.png', i, pose(x=3.0 * i)))
    (folder / 'poses.csv').write_text('\n'.join(lines) + '\n')
    return folder


def test_the_network_runs_once_an_image(bundle, counted, walk, tmp_path):
    drive = open_drive(walk)
    place_map = MapBuilder(tmp_path / 'map', features=FeatureChoice('model')).build(drive, bundle)
    assert counted.runs == 5
    assert place_map.features.spec == FeatureSpec.of_model(bundle.metadata)
    localizer = Localizer(bundle, load_map(tmp_path / 'map'))
    rgb = next(iter(drive.frames(slice(2, 3)))).read()
    counted.runs = 0
    match = localizer.recognize(rgb, 0)
    assert counted.runs == 1
    assert match.candidates[0].inliers > 100
    assert match.timings_ms['extract'] < 1
    single, sequence = localizer.both(rgb, 0)
    assert counted.runs == 2
    assert single.candidates[0].inliers == sequence.candidates[0].inliers > 100
    localizer.config = replace(localizer.config, verification=False)
    assert localizer.recognize(rgb, 1).candidates[0].inliers == -1


def test_known_features_cost_nothing_to_extract():
    budget = VerificationBudget({'extract': 50.0, 'match': 10.0, 'solve': 20.0})
    ranks, place_of = np.arange(2), np.zeros(2, dtype=np.int64)
    assert len(budget.affordable(ranks, place_of, 45)) == 0
    assert len(budget.affordable(ranks, place_of, 45, extracted=True)) == 2


def test_the_default_features_of_a_map(bundle, tmp_path):
    without = ModelBundle.load(write_tiny_model(tmp_path / 'tiny.onnx'))
    assert FeatureChoice().extractor(bundle) is None
    assert FeatureChoice('default').extractor(bundle).spec.kind == 'model'
    assert FeatureChoice('default').extractor(without).spec == FeatureSpec.built_in('sift')
    assert FeatureChoice('model', 70).extractor(bundle).spec.max_keypoints == 70
    with pytest.raises(NetvladError, match='answers no local features'):
        FeatureChoice('model').extractor(without)
    with pytest.raises(NetvladError, match=r'its own size, 320 px; leave out --max-side'):
        FeatureChoice('default', max_side_px=480).extractor(bundle)


def test_an_old_map_says_how_it_is_built_again(bundle, walk, tmp_path):
    old = ModelBundle.load(write_tiny_model(tmp_path / 'old.onnx'))
    place_map = MapBuilder(tmp_path / 'map', features=FeatureChoice('sift')).build(
        open_drive(walk), old
    )
    again = f'again with this one: netvlad map build DRIVE --out DIR --model {bundle.path}'
    with pytest.raises(NetvladError, match=re.escape(again)):
        Localizer(bundle, place_map)


def test_landmarks_of_a_real_kitchen_give_poses(bundle, shared_data, tmp_path):
    drive = open_drive(shared_data / 'redkitchen')
    place_map = MapBuilder(tmp_path / 'map', landmarks=True).build(
        drive, bundle, selection=slice(0, 60, 10)
    )
    assert place_map.features.spec.kind == 'model'
    assert len(place_map.features.points) > 100
    localizer = Localizer(bundle, load_map(tmp_path / 'map'))
    (frame,) = drive.frames(slice(15, 16))
    match = localizer.recognize(frame.read(), 0, camera=drive.camera)
    assert match.estimate.method == 'landmarks'
    assert np.linalg.norm(match.estimate.T[:3, 3] - frame.T_map_cam[:3, 3]) < 0.1
