"""Import of the NetVLAD authors' networks: random weights, evaluated independently."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

torch = pytest.importorskip('torch')

from imported_bundle import IMAGES, SIZE, check  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.importers.import_bundle import import_bundle  # noqa: E402

VGG16 = [64, 64, 'M', 128, 128, 'M', 256, 256, 256, 'M', 512, 512, 512, 'M', 512, 512, 512]
pytestmark = pytest.mark.usefixtures('seeded_torch', 'no_gradients')


def matlab_net(clusters_count=4, dim=16, bias=False, slimmer=1):
    """The struct net of vd16_*_conv5_3_vlad_preL2_intra_white.mat, and its weights as drawn."""
    rng = np.random.default_rng(0)
    layers, convs, channels, stage, number = [], [], 3, 1, 1

    def add(kind, name, **fields):
        layers.append({'type': kind, 'name': name, **fields, 'precious': 0})

    def relu():
        add('relu', f'relu{layers[-1]["name"]}', leak=0.0)

    def cells(*arrays):
        cell = np.empty((1, len(arrays)), dtype=object)
        cell[0] = [np.asarray(array, dtype=np.float32) for array in arrays]
        return cell

    for width in VGG16:
        if width == 'M':  # the authors swap ReLU and pooling for speed
            relu_last = layers.pop()
            add(
                'pool',
                f'pool{stage}',
                method='max',
                pool=[2.0, 2.0],
                stride=[2.0, 2.0],
                pad=[0.0, 0.0, 0.0, 0.0],
            )
            layers.append(relu_last)
            stage, number = stage + 1, 1
            continue
        width //= slimmer
        w = rng.normal(0, np.sqrt(2 / (9 * channels)), (3, 3, channels, width))
        b = rng.normal(0, 0.1, (1, width))
        convs.append((w, b, len(layers)))
        add(
            'conv',
            f'conv{stage}_{number}',
            weights=cells(w, b),
            stride=[1.0, 1.0],
            pad=[1.0, 1.0, 1.0, 1.0],
        )
        relu()
        channels, number = width, number + 1
    layers.pop()  # conv5_3 has no ReLU
    normalize = {'param': [2.0 * channels, 1e-12, 1.0, 0.5]}
    w = 20 * rng.normal(0, channels**-0.5, (1, 1, channels, clusters_count))
    c = rng.normal(0, channels**-0.5, (channels, clusters_count))
    b = rng.normal(0, 1, (1, clusters_count))
    b[0, -1] = -35  # no local descriptor is near this one
    add('normalize', 'preL2', **normalize)
    offset = -c.reshape(1, 1, channels, clusters_count)
    vlad = cells(w, b, offset) if bias else cells(w, offset)
    add('custom', 'vlad:core', K=clusters_count, D=channels, weights=vlad)
    add('normalize', 'vlad:intranorm', **normalize)
    add('custom', 'postL2')
    total = clusters_count * channels
    pca = rng.normal(0, 1, (1, 1, total, dim))
    mu = rng.normal(0, 0.01, (dim,))
    add('conv', 'WPCA', weights=cells(pca, mu[:, None]), stride=1.0, pad=0.0)
    add('custom', 'finalL2')
    weights = {'convs': convs, 'w': w[0, 0], 'b': b[0] * bias, 'c': c, 'pca': pca[0, 0], 'mu': mu}
    return layers, weights


def save_matlab(path, layers, **options):
    cell = np.empty((1, len(layers)), dtype=object)
    cell[0] = layers
    image = np.broadcast_to(np.float32([123.68, 116.779, 103.939]), (224, 224, 3))
    meta = {'normalization': {'averageImage': image}, 'netID': 'vd16', 'epoch': 30.0}
    scipy.io.savemat(path, {'net': {'layers': cell, 'meta': meta}}, **options)
    return path


def matlab_answers(weights):
    """Layer by layer, as in hloc, but with the epsilon under MatConvNet's roots."""

    def unit(x, dim):
        return x / (x.square().sum(dim=dim, keepdim=True) + 1e-12).sqrt()

    x = torch.from_numpy(np.stack(IMAGES)).float() - torch.tensor([123.68, 116.779, 103.939])
    x = x.permute(0, 3, 1, 2)
    convs = [(torch.tensor(w).float(), torch.tensor(b[0]).float()) for w, b, _ in weights['convs']]
    for index, width in enumerate(VGG16):
        if width == 'M':
            x = F.max_pool2d(x, 2)
        else:
            w, b = convs.pop(0)
            x = F.conv2d(x, w.permute(3, 2, 0, 1), b, padding=1)
            x = F.relu(x) if index + 1 < len(VGG16) else x
    x = unit(x.flatten(2), 1)  # (N, D, P)
    w, b, c, pca, mu = (torch.tensor(weights[k]).float() for k in ('w', 'b', 'c', 'pca', 'mu'))
    scores = (w.T @ x + b[:, None]).softmax(dim=1)
    difference = x[:, :, None] - c[None, :, :, None]  # (N, D, K, P)
    v = unit((scores[:, None] * difference).sum(dim=-1), 1)
    return unit(v.reshape(len(v), -1), 1) @ pca + mu


@pytest.mark.parametrize('bias', [False, True], ids=['layerVLAD', 'layerVLADv2'])
def test_the_matlab_release(tmp_path, bias):
    layers, weights = matlab_net(bias=bias, slimmer=8 if bias else 1)
    source = save_matlab(tmp_path / 'vd16.mat', layers, do_compression=bias)
    metadata, sentence = check(source, matlab_answers(weights), tmp_path, licence='MIT')
    assert (metadata.licence, metadata.pooling, metadata.whitening) == ('MIT', 'netvlad', 'pca')
    assert 'NetVLAD authors' in metadata.training['imported_from']
    assert metadata.backbone == 'vgg16 conv5_3'
    assert 'vgg16 conv5_3, netvlad, whitening pca, 16 dimensions' in sentence


def test_the_first_dimensions_of_the_matlab_release(tmp_path):
    layers, weights = matlab_net(slimmer=8)
    source = save_matlab(tmp_path / 'vd16.mat', layers)
    check(source, matlab_answers(weights)[:, :8], tmp_path, dim=8)
    with pytest.raises(NetvladError, match='16 dimensions, 17 were asked'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE, dim=17)
    save_matlab(source, layers[:-2])
    with pytest.raises(NetvladError, match='not whitened'):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE, dim=8)


@pytest.mark.parametrize(
    ('harm', 'words'),
    [
        (lambda layers: layers.pop(17), 'conv4_2: filters for 64 channels where 32'),
        (lambda layers: layers.pop(30), 'vlad:core is missing'),
        (lambda layers: [layers.pop(32) for _ in range(3)], 'no postL2'),
        (lambda layers: layers.insert(33, layers[1]), 'reluconv1_1: a relu layer where a PCA'),
        (lambda layers: layers.insert(3, {'type': 'lrn', 'name': 'norm1'}), 'norm1: a lrn layer'),
        (
            lambda layers: layers[28]['weights'].fill(np.float32([[np.nan]])),
            'conv5_3: weights that are NaN',
        ),
        (
            lambda layers: layers.__setitem__(30, 7.0),
            'layer 30 is no struct. The networks as published',
        ),
    ],
    ids=[
        'conv missing',
        'vlad missing',
        'open end',
        'misplaced',
        'unknown layer',
        'NaN',
        'class object',
    ],
)
def test_matlab_networks_that_are_refused(tmp_path, harm, words):
    layers, _ = matlab_net(slimmer=8)
    harm(layers)
    source = save_matlab(tmp_path / 'vd16.mat', layers)
    with pytest.raises(NetvladError, match=words):
        import_bundle(source, tmp_path / 'x.onnx', size=SIZE)
    assert not (tmp_path / 'x.onnx').exists()


def test_mat_files_that_are_none(tmp_path, monkeypatch):
    source = tmp_path / 'net.mat'
    scipy.io.savemat(source, {'net': np.zeros(10**4)})
    for content, words in (
        (b'', 'not a readable .mat'),
        (b'MATLAB 7.3 MAT-file' + bytes(105) + b'\0\2IM', r'version 7\.3 \(HDF5\); save it again'),
        (np.random.default_rng(0).bytes(4000), 'not a readable .mat'),
        (source.read_bytes()[:5000], 'ends in the middle'),
        (source.read_bytes(), 'net is no struct'),
    ):
        source.write_bytes(content)
        with pytest.raises(NetvladError, match=words):
            import_bundle(source, tmp_path / 'x.onnx')
    monkeypatch.setattr('netvlad_ros.training.importers.matlab_netvlad.MAX_BYTES', 10**6)
    scipy.io.savemat(source, {'net': np.zeros(10**6)}, do_compression=True)
    assert source.stat().st_size < 10**5
    with pytest.raises(NetvladError, match='unpacks to more than is allowed'):
        import_bundle(source, tmp_path / 'x.onnx')
