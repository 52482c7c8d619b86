"""Local features: positions, descriptors, and what a bundle may answer."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tiny_feature_model import CENTRES, DIM, METADATA, SIDE, SPOTS_METADATA, cells, spots

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import open_extractor
from netvlad_ros.core.features.feature_bundle import (
    METADATA_KEY,
    read_feature_metadata,
    write_feature_bundle,
)
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.model.bundle import ModelBundle

SIFT, ORB = FeatureSpec.built_in('sift'), FeatureSpec.built_in('orb')


def scene(width=640, height=480, seed=0) -> np.ndarray:
    """A texture with corners at all scales, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for steps in (6, 20, 60):
        blocks = rng.uniform(0, 85, (steps * height // width, steps, 3))
        image += cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)
    return image.astype(np.uint8)


def blobs(centres, width, height, sigma) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width), 120.0)
    for u, v in centres:
        image += 100 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2))
    return np.repeat(image.round().astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize('factor', [1, 2, 3])
def test_sift_keypoints_lie_where_the_blobs_are_in_the_full_image(factor):
    centres = np.array([[100.25, 90.75], [310.5, 200.0], [500.0, 400.3]])
    full = (centres + 0.5) * factor - 0.5  # centres of pixels at whole numbers
    rgb = blobs(full, 640 * factor, 480 * factor, 5 * factor)
    found = open_extractor(SIFT).extract(rgb).keypoints
    distance = np.linalg.norm(found[:, None] - full, axis=2).min(axis=0)
    assert distance.max() < 0.1 * factor


def test_root_sift_rows():
    features = open_extractor(SIFT).extract(scene())
    assert features.keypoints.dtype == np.float32
    assert features.descriptors.dtype == np.uint8
    assert features.descriptors.shape == (len(features), 128)
    assert 300 < len(features) <= 1000
    assert len(np.unique(features.keypoints, axis=0)) == len(features)
    rows = features.descriptors.astype(float)
    # Square roots of shares: squares add up to 1, times 512 squared, but for rounding.
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 512, rtol=0.01)


@pytest.mark.parametrize(('spec', 'error_px'), [(SIFT, 0.2), (ORB, 1.1)], ids=['sift', 'orb'])
def test_features_of_two_views_agree(spec, error_px):
    first = scene()
    turn = cv2.getRotationMatrix2D((320, 240), 12, 0.9)
    second = cv2.warpAffine(first, turn, (640, 480))
    a, b = (open_extractor(spec).extract(image) for image in (first, second))
    norm = cv2.NORM_HAMMING if spec.metric == 'hamming' else cv2.NORM_L2
    matches = cv2.BFMatcher(norm, crossCheck=True).match(a.descriptors, b.descriptors)
    where = np.array([a.keypoints[m.queryIdx] for m in matches]) @ turn[:, :2].T + turn[:, 2]
    seen = np.array([b.keypoints[m.trainIdx] for m in matches])
    right = np.linalg.norm(where - seen, axis=1) < 2.0
    assert right.sum() > 150
    assert np.median(np.linalg.norm(where - seen, axis=1)[right]) < error_px
    assert np.abs((where - seen)[right].mean(axis=0)).max() < 0.15  # no bias


@pytest.mark.parametrize('spec', [SIFT, ORB], ids=lambda spec: spec.kind)
def test_blank_walls_and_slivers_have_none(spec, rng):
    extractor = open_extractor(spec)
    wall = rng.normal(150, 3, (480, 640, 3)).clip(0, 255).astype(np.uint8)  # and a noisy sensor
    for rgb in (np.zeros((480, 640, 3), np.uint8), wall, np.zeros((16, 16000, 3), np.uint8)):
        features = extractor.extract(rgb)
        assert len(features) < 10
        assert features.descriptors.dtype == np.uint8
        assert features.descriptors.shape[1] == spec.dim
    with pytest.raises(NetvladError, match='uint8'):
        extractor.extract(np.zeros((480, 640, 3)))


def test_the_strongest_are_kept_and_it_is_always_the_same():
    few = FeatureSpec.built_in('sift', max_keypoints=50)
    many = open_extractor(SIFT).extract(scene())
    for _ in range(2):
        kept = open_extractor(few).extract(scene())
        assert 40 <= len(kept) <= 50
        known = {tuple(point) for point in many.keypoints[:80].round(2)}
        assert sum(tuple(point) in known for point in kept.keypoints.round(2)) > 0.9 * len(kept)


def test_an_image_of_a_kitchen_has_about_a_thousand(shared_data):
    rgb = read_image(shared_data / 'redkitchen' / 'images' / '000100.jpg')
    for spec in (SIFT, ORB):
        assert 400 < len(open_extractor(spec).extract(rgb)) <= 1000


@pytest.mark.parametrize(
    ('values', 'complaint'),
    [
        (('surf', 64), 'surf'),
        (('sift', 64), '64 columns'),
        (('sift', 128, 0), 'max_keypoints 0'),
        (('sift', 128, 10**9), 'max_keypoints'),
        (('sift', 128, 1000, 8), 'max_side_px 8'),
        (('sift', 128, 1000, 640, 'abc'), 'model id'),
        (('onnx', 128), 'model id'),
        (('model', 64, 500, 640), 'model id'),
        (('model', 64, 500, 640, 'ab', 'int4'), "precision 'int4'"),
    ],
)
def test_impossible_specs(values, complaint):
    with pytest.raises(NetvladError, match=complaint):
        FeatureSpec(*values)


def test_specs_come_back_as_written():
    spec = FeatureSpec('onnx', 64, 500, 800, 'ab' * 32)
    assert FeatureSpec.from_dict({**spec.to_dict(), 'keypoints': 7}) == spec
    for bad in (None, [], {}, {'kind': 'sift'}, {**spec.to_dict(), 'precision': 8}):
        with pytest.raises(NetvladError, match='malformed'):
            FeatureSpec.from_dict(bad)


def open_bundle(path, **spec):
    return open_extractor(read_feature_metadata(path).spec(**spec), model=path)


def test_a_feature_bundle(tmp_path):
    path = tmp_path / 'cells.onnx'
    model_id = write_feature_bundle(cells(), METADATA, path)
    extractor = open_bundle(path, max_keypoints=5)
    assert extractor.spec == FeatureSpec('onnx', DIM, 5, 480, model_id)
    rgb = scene(SIDE * 4, SIDE * 2)
    features = extractor.extract(rgb)
    assert (features.descriptors.dtype, features.descriptors.shape) == (np.int8, (5, DIM))
    lengths = np.linalg.norm(features.descriptors.astype(float), axis=1)
    np.testing.assert_allclose(lengths, 256, atol=2)
    # A map of an earlier version has the rows in half precision, and gets them from the bundle.
    earlier = extractor.spec.to_dict()
    assert earlier.pop('precision') == 'int8'
    spec = FeatureSpec.from_dict(earlier)
    assert spec.to_dict() == earlier
    half = open_extractor(spec, model=path).extract(rgb).descriptors
    assert half.dtype == np.float16
    np.testing.assert_allclose(half.astype(float) * 256, features.descriptors, atol=0.7)
    small = cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(float)
    averages = small.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
    strongest = averages.reshape(4, 2, 4, 2, 3).max(axis=(1, 3, 4)).ravel().argsort()[::-1][:5]
    expected = (np.array(CENTRES)[strongest] + 0.5) * [4, 2] - 0.5
    np.testing.assert_allclose(features.keypoints, expected, atol=1e-4)
    # The order of columns and a float input do not change the answer.
    turned = {**METADATA, 'outputs': {**METADATA['outputs'], 'columns_first': True}}
    assert write_feature_bundle(cells(transposed=True), turned, tmp_path / 'turned.onnx')
    again = open_bundle(tmp_path / 'turned.onnx', max_keypoints=5).extract(rgb)
    np.testing.assert_array_equal(again.descriptors, features.descriptors)


def test_a_bundle_for_images_of_any_size(tmp_path):
    write_feature_bundle(spots(), SPOTS_METADATA, tmp_path / 'spots.onnx')
    extractor = open_bundle(tmp_path / 'spots.onnx', max_side_px=320)
    rgb = np.zeros((488, 640, 3), np.uint8)  # shrunk to 320 x 240, as 244 is no multiple of 8
    assert len(extractor.extract(rgb)) == 0
    rgb[100:140, 300:340] = 255
    features = extractor.extract(rgb)
    assert 0 < len(features) <= 9
    assert np.abs(features.keypoints.mean(axis=0) - [319.5, 119.5]).max() < 8
    bright = features.descriptors.astype(float).max(axis=1)
    np.testing.assert_allclose(bright.min(), 256 / 8, atol=13)
    rgb[100:140, 300:340] = [255, 0, 0]  # red has 30 % of the brightness
    assert len(extractor.extract(rgb)) == 0


def test_a_black_image_gives_rows_without_a_direction_which_are_left_out(tmp_path):
    write_feature_bundle(cells(), METADATA, tmp_path / 'cells.onnx')
    extractor = open_bundle(tmp_path / 'cells.onnx')
    assert len(extractor.extract(np.zeros((SIDE, SIDE, 3), np.uint8))) == 0


@pytest.mark.parametrize(
    ('graph', 'metadata', 'complaint'),
    [
        (cells(np.full((16, 2), np.nan)), METADATA, "answered 'points'"),
        (cells(np.full((16, 2), 1e6)), METADATA, "answered 'points'.* outside the image"),
        (cells(CENTRES[:9]), METADATA, "answered 'rows'"),
        (cells(np.zeros((16, 3))), METADATA, "answered 'points'"),
        (cells(scale_rows=np.inf), METADATA, "answered 'rows'"),
        (cells(transposed=True), METADATA, "answered 'rows'"),
        (cells(), {**METADATA, 'dim': 8}, "answered 'rows'"),
        (
            cells(),
            {**METADATA, 'outputs': {'keypoints': 'points', 'descriptors': 'x'}},
            r"outputs \['x'\]",
        ),
        (cells(), {**METADATA, 'input': {**METADATA['input'], 'name': 'x'}}, "the input 'x'"),
        (
            cells(),
            {**METADATA, 'input': {**METADATA['input'], 'dtype': 'float32'}},
            '4-D input of float32',
        ),
    ],
)
def test_bundles_that_do_not_keep_their_word(tmp_path, graph, metadata, complaint):
    path = tmp_path / 'bad.onnx'
    write_feature_bundle(graph, metadata, path)
    with pytest.raises(NetvladError, match=complaint):
        open_bundle(path)


@pytest.mark.parametrize(
    ('metadata', 'complaint'),
    [
        ({**METADATA, 'format_version': 2}, 'the format 2 is not 1'),
        ({**METADATA, 'dim': 'many'}, 'malformed'),
        ({key: METADATA[key] for key in METADATA if key != 'outputs'}, "lacks the entry 'outputs'"),
        ({**METADATA, 'input': {**METADATA['input'], 'channels': 4}}, '1 or 3 channels'),
        ({**METADATA, 'input': {**METADATA['input'], 'scale': 0.5}}, 'no scale'),
    ],
)
def test_bundles_are_not_written_with_useless_metadata(tmp_path, metadata, complaint):
    with pytest.raises(NetvladError, match=complaint):
        write_feature_bundle(cells(), metadata, tmp_path / 'bad.onnx')
    assert list(tmp_path.iterdir()) == []


def test_malicious_bundles(tmp_path):
    path = tmp_path / 'cells.onnx'
    write_feature_bundle(cells(), METADATA, path)
    model = onnx.load(path)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.float32([2.0]), 'factor'))
    onnx.save(model, tmp_path / 'changed.onnx')
    with pytest.raises(NetvladError, match='changed or damaged after export'):
        read_feature_metadata(tmp_path / 'changed.onnx')
    del model.metadata_props[:]
    onnx.save(model, tmp_path / 'bare.onnx')
    with pytest.raises(NetvladError, match=f"no '{METADATA_KEY}' metadata"):
        read_feature_metadata(tmp_path / 'bare.onnx')
    (tmp_path / 'cut.onnx').write_bytes(path.read_bytes()[:300])
    with pytest.raises(NetvladError, match='damaged'):
        read_feature_metadata(tmp_path / 'cut.onnx')
    loop = [helper.make_node('StringNormalizer', ['image'], ['unused'])]
    with pytest.raises(NetvladError, match="the operator 'StringNormalizer'"):
        write_feature_bundle(cells(extra=loop), METADATA, tmp_path / 'loop.onnx')
    with pytest.raises(NetvladError, match='metadata'):
        ModelBundle.load(path, device='cpu')


def test_the_wrong_bundle_for_a_map(tmp_path):
    write_feature_bundle(cells(), METADATA, tmp_path / 'a.onnx')
    write_feature_bundle(cells(scale_rows=2.0), METADATA, tmp_path / 'b.onnx')
    spec = read_feature_metadata(tmp_path / 'a.onnx').spec()
    with pytest.raises(NetvladError, match=r'name the right bundle'):
        open_extractor(spec, model=tmp_path / 'b.onnx')
    with pytest.raises(NetvladError, match='name the file of its feature bundle'):
        open_extractor(spec)
