"""The local features of a model bundle: stored, matched, and found in the pass that describes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from test_local_features import scene
from tiny_local_model import HEIGHT, KEYPOINTS, LOCAL_DIM, WIDTH, write_tiny_local_model
from tiny_model import write_tiny_model

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import open_extractor
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.features.matching import match_features
from netvlad_ros.core.model.bundle import ModelBundle


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
    matches = match_features(query, mapped, extractor.spec.metric)
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
