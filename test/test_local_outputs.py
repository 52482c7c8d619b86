"""Model bundles that answer local features: what they answer, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from tiny_local_model import (
    DIM,
    HEIGHT,
    KEYPOINTS,
    LOCAL_DIM,
    WIDTH,
    tiny_local_graph,
    tiny_local_metadata,
    write_tiny_local_model,
)
from tiny_model import tiny_graph, tiny_metadata

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle, write_bundle
from netvlad_ros.core.model.metadata import METADATA_KEY

SPOTS = [(60, 50), (200, 120), (260, 200)]  # x, y


@pytest.fixture(scope='module')
def bundle(tmp_path_factory) -> ModelBundle:
    return ModelBundle.load(write_tiny_local_model(tmp_path_factory.mktemp('model') / 'local.onnx'))


def spotted() -> np.ndarray:
    """Three bright squares of 3 x 3 px, each brighter than the one before."""
    image = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    for i, (x, y) in enumerate(SPOTS):
        image[y - 1 : y + 2, x - 1 : x + 2] = 170 + 40 * i
    return image


def test_one_pass_answers_descriptor_and_features(bundle, rng):
    image = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    analysis = bundle.analyse(image)
    assert analysis.size == (HEIGHT, WIDTH)
    assert analysis.descriptor.shape == (DIM,)
    np.testing.assert_array_equal(analysis.descriptor, bundle.describe(image))
    found = analysis.features
    assert found.keypoints.shape == (KEYPOINTS, 2)
    assert found.rows.shape == (KEYPOINTS, LOCAL_DIM)
    np.testing.assert_allclose(np.linalg.norm(found.rows, axis=1), 1, atol=1e-9)
    assert (np.diff(found.scores) <= 0).all()
    two = bundle.describe_batch([image, image[::-1]])
    np.testing.assert_allclose(two[0], analysis.descriptor, atol=1e-5)


def test_padding_is_removed(bundle):
    found = bundle.analyse(spotted()).features
    np.testing.assert_array_equal(found.keypoints[:3], SPOTS[::-1])  # strongest first
    assert len(found) < KEYPOINTS
    assert len(bundle.analyse(np.full((50, 70, 3), 90, np.uint8)).features) == 0


def test_a_model_without_local_outputs_finds_none(tmp_path):
    write_bundle(tiny_graph(), tiny_metadata(), tmp_path / 'tiny.onnx')
    analysis = ModelBundle.load(tmp_path / 'tiny.onnx').analyse(spotted())
    assert analysis.features is None
    assert analysis.size == (64, 64)


@pytest.mark.parametrize(
    ('graph', 'local', 'complaint'),
    [
        ({}, {'scores': 'strength'}, r"names the local outputs \['strength'\], its graph has"),
        ({}, {'dim': 32}, r"'local_descriptors' with float32 \(1, 300, 64\).* \(1, 300, 32\)"),
        ({}, {'scores': 'keypoints', 'keypoints': 'scores'}, r"'scores' with float32 \(1, 300\)"),
        ({}, {'max_keypoints': 299}, 'answered 300 keypoints, its metadata promises at most 299'),
        ({'spoil': np.nan}, {}, "answered the local output 'scores' with NaN or infinite"),
        ({'shift': 0.75}, {}, 'keypoints outside the image of 320x240 px'),
        ({'shift': np.nan}, {}, "answered the local output 'keypoints' with NaN"),
        ({'stretch': np.nan}, {}, "answered the local output 'local_descriptors' with NaN"),
        ({'stretch': 2.0}, {}, 'a local descriptor of length 2, not 1'),
    ],
)
def test_outputs_that_disagree_with_the_metadata(tmp_path, graph, local, complaint):
    path = tmp_path / 'bad.onnx'
    write_bundle(tiny_local_graph(**graph), tiny_local_metadata(**local), path)
    with pytest.raises(NetvladError, match=complaint) as refusal:
        ModelBundle.load(path)
    assert str(refusal.value).startswith(f'model {path}')


@pytest.mark.parametrize(
    ('local', 'complaint'),
    [
        ({'dim': 0}, 'dim 0 is outside 1..1024'),
        ({'max_keypoints': 10**6}, 'max_keypoints 1000000 is outside 1..8000'),
        ({'scores': 'keypoints'}, 'keypoints, scores and descriptors name three outputs'),
        ({'descriptors': None}, 'keypoints, scores and descriptors name three outputs'),
    ],
)
def test_metadata_that_are_refused(tmp_path, local, complaint):
    path = tmp_path / 'bad.onnx'
    with pytest.raises(NetvladError, match=complaint):
        write_bundle(tiny_local_graph(), tiny_local_metadata(**local), path)
    assert not path.exists()


def test_local_outputs_are_part_of_the_identity(tmp_path):
    path = write_tiny_local_model(tmp_path / 'local.onnx')
    model = onnx.load_model(path)
    (entry,) = [prop for prop in model.metadata_props if prop.key == METADATA_KEY]
    metadata = json.loads(entry.value)
    for change in ({'local': {**metadata['local'], 'max_keypoints': 4000}}, {'local': None}):
        entry.value = json.dumps({**metadata, **change})
        onnx.save_model(model, path)
        with pytest.raises(NetvladError, match='changed or damaged'):
            ModelBundle.load(path)


def test_only_local_features_may_need_the_operators_of_keypoints(tmp_path):
    graph = tiny_local_graph()
    graph.graph.node.append(onnx.helper.make_node('NonZero', ['index'], ['somewhere']))
    write_bundle(graph, tiny_local_metadata(), tmp_path / 'local.onnx')
    ModelBundle.load(tmp_path / 'local.onnx')
    without = {name: value for name, value in tiny_local_metadata().items() if name != 'local'}
    with pytest.raises(NetvladError, match="'NonZero', which no descriptor needs"):
        write_bundle(graph, without, tmp_path / 'global.onnx')
