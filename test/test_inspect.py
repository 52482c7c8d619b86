"""What `netvlad inspect` finds: texture drives a descriptor, clusters tile an image."""

from __future__ import annotations

import time

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_model import tiny_graph, tiny_metadata

from netvlad_ros.cli import main
from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle, write_bundle
from netvlad_ros.offline.inspection.cluster_map import ClusterReader
from netvlad_ros.offline.inspection.occlusion_map import occlusion_map

CLUSTERS = 5


@pytest.fixture(scope='module')
def bundle(model_path) -> ModelBundle:
    return ModelBundle.load(model_path, device='cpu', threads=1)


def texture(seed: int, height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)


def test_the_only_texture_drives_the_descriptor(bundle):
    rgb = np.full((240, 320, 3), 128, np.uint8)
    rgb[20:120, 180:300] = texture(0, 96, 120).repeat(2, 0)[:100]
    found = occlusion_map(bundle, rgb, patch_px=88, stride_px=44)
    height, width = found.drop.shape
    assert found.similarity == pytest.approx(1.0, abs=1e-5)
    inside = np.zeros((height, width), bool)
    inside[20 * height // 240 : 120 * height // 240, 180 * width // 320 : 300 * width // 320] = True
    near = cv2.dilate(inside.astype(np.uint8), np.ones((89, 89))) > 0
    assert found.drop[inside].mean() > 0.05
    assert found.drop[inside].mean() > 20 * np.abs(found.drop[~near]).mean()


def test_what_two_images_share_drives_their_match(bundle):
    one, two = (np.full((240, 320, 3), 128, np.uint8) for _ in range(2))
    shared = texture(1, 96, 96)
    one[100:196, 20:116], two[100:196, 24:120] = shared, shared
    one[20:116, 200:296] = np.where(np.arange(96) // 6 % 2, 230, 20)[:, None, None]  # in one alone
    found = occlusion_map(bundle, one, bundle.describe(two), patch_px=88, stride_px=44)
    drop = cv2.resize(found.drop, (320, 240))
    assert drop[100:196, 20:116].mean() > drop[20:116, 200:296].mean()


def test_clusters_tile_the_image_at_the_features_stride(bundle):
    clusters = ClusterReader(bundle, threads=1).read(texture(3, 240, 320))
    height, width = bundle.metadata.preprocessing.working_size(240, 320)
    assert clusters.soft.shape == (height // 8, width // 8, 64)  # of the second network
    np.testing.assert_allclose(clusters.soft.sum(2), 1.0, atol=1e-4)
    assert clusters.shares.sum() == pytest.approx(1.0, abs=1e-4)
    assert len(np.unique(clusters.strongest)) > 1


@pytest.mark.parametrize('clusters_last', [True, False])
def test_the_assignment_is_read_whatever_its_layout(tmp_path, clusters_last):
    """The left half of an image goes to the cluster of dark places, the right to that of bright."""
    path = tmp_path / 'tiny.onnx'
    _tiny_netvlad(path, clusters_last=clusters_last)
    rgb = np.zeros((48, 96, 3), np.uint8)
    rgb[:, 48:] = 255
    clusters = ClusterReader(ModelBundle.load(path, device='cpu')).read(rgb)
    assert clusters.soft.shape == (3, 6, CLUSTERS)
    assert (clusters.strongest[:, :3] == 0).all()
    assert (clusters.strongest[:, 3:] == CLUSTERS - 1).all()


def test_a_model_without_clusters_says_so_and_gets_its_occlusion_map(tmp_path, capsys):
    path = tmp_path / 'tiny.onnx'
    write_bundle(tiny_graph(), tiny_metadata(), path)
    with pytest.raises(NetvladError, match='has no clusters'):
        ClusterReader(ModelBundle.load(path, device='cpu'))
    cv2.imwrite(str(tmp_path / 'image.png'), texture(4, 48, 96))
    out = tmp_path / 'out.png'
    with pytest.raises(SystemExit) as ended:
        main(['inspect', str(tmp_path / 'image.png'), '--model', str(path), '--out', str(out)])
    assert not ended.value.code
    assert 'only the occlusion map is drawn' in capsys.readouterr().err
    assert read_image(out).shape[1] > 400


def test_a_picture_of_a_real_match(shared_data, tmp_path, capsys):
    images = shared_data / 'corridor_loop' / 'images'
    out = tmp_path / 'out.png'
    arguments = [images / '041.jpg', '--match', images / '001.jpg', '--out', out]
    started = time.process_time()
    with pytest.raises(SystemExit) as ended:
        main(['inspect', *map(str, [*arguments, '--stride', '78', '--device', 'cpu'])])
    assert not ended.value.code
    assert time.process_time() - started < 20.0
    answer = capsys.readouterr()
    assert 'similarity: 0.' in answer.out
    assert not answer.err
    picture = read_image(out).astype(int)
    assert picture.shape[1] > picture.shape[0] > 600
    assert (picture.max(2) - picture.min(2) > 60).mean() > 0.05  # heat and clusters are in colour


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        ({'image': 'missing.png'}, 'does not exist'),
        ({'image': 'broken.png'}, 'is not a readable image'),
        ({'--match': 'missing.png'}, 'does not exist'),
        ({'--out': 'picture.jpg'}, 'must end in .png'),
        ({'--out': 'nowhere/picture.png'}, 'its folder does not exist'),
        ({'--patch': '4000'}, 'the patch has 4000 px'),
        ({'--stride': '2000'}, 'the stride is 2000 px'),
        ({'--model': 'broken.png'}, 'no ONNX file'),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, capsys, change, sentence):
    monkeypatch.chdir(tmp_path)
    _tiny_netvlad(tmp_path / 'tiny.onnx', clusters_last=False)
    cv2.imwrite('image.png', texture(4, 48, 96))
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    options = {'image': 'image.png', '--out': 'x.png', '--model': 'tiny.onnx', **change}
    image = options.pop('image')
    with pytest.raises(SystemExit) as ended:
        main(['inspect', image, *(word for option in options.items() for word in option)])
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count('\n') == 1
    assert not (tmp_path / 'x.png').exists()


def _tiny_netvlad(path, *, clusters_last: bool) -> None:
    """A bundle that assigns the mean brightness of 16 x 16 pixels to clusters, dark to bright."""
    scores = np.linspace(-8, 8, CLUSTERS, dtype=np.float32)
    weight = np.repeat(scores[:, None] / 127.5 / 3, 3, axis=1).reshape(CLUSTERS, 3, 1, 1)
    constants = {
        'weight': weight,
        'bias': -scores,
        'places': np.array([0, CLUSTERS, -1], np.int64),
        'axes': np.array([1 if clusters_last else 2], np.int64),
        'ramp': np.arange(1, CLUSTERS + 1, dtype=np.float32),
    }
    node = helper.make_node
    nodes = [
        node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        node('Transpose', ['float'], ['planes'], perm=[0, 3, 1, 2]),
        node('AveragePool', ['planes'], ['cells'], kernel_shape=[16, 16], strides=[16, 16]),
        node('Conv', ['cells', 'weight', 'bias'], ['grid']),
        node('Reshape', ['grid', 'places'], ['rows']),
    ]
    if clusters_last:
        nodes.append(node('Transpose', ['rows'], ['columns'], perm=[0, 2, 1]))
        nodes.append(node('Softmax', ['columns'], ['assigned'], axis=-1))
    else:
        nodes.append(node('Softmax', ['rows'], ['assigned'], axis=1))
    nodes += [
        node('ReduceSum', ['assigned', 'axes'], ['pooled'], keepdims=0),
        node('Add', ['pooled', 'ramp'], ['shifted']),
        node('LpNormalization', ['shifted'], ['descriptor'], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        'tiny',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, ['n', 'h', 'w', 3])],
        [helper.make_tensor_value_info('descriptor', TensorProto.FLOAT, ['n', CLUSTERS])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    metadata = tiny_metadata(dim=CLUSTERS)
    metadata['input'] |= {'height': 48, 'width': 96}
    write_bundle(model, metadata, path)
