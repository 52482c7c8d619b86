"""Networks of local features: their maps, the keypoints picked from them, and their bundles."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from safetensors.torch import save_file  # noqa: E402
from tiny_network import METADATA, SMALL, make_network, pictures  # noqa: E402
from torch.nn import functional  # noqa: E402

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.model.bundle import ModelBundle  # noqa: E402
from netvlad_ros.offline.bundles.local_parity import check_local_parity, same_share  # noqa: E402
from netvlad_ros.offline.bundles.revised_bundle import revise_bundle  # noqa: E402
from netvlad_ros.training.config.network import NetworkConfig  # noqa: E402
from netvlad_ros.training.network import export as export_module  # noqa: E402
from netvlad_ros.training.network.backbones.local_backbone import LocalMaps  # noqa: E402
from netvlad_ros.training.network.backbones.make_backbone import make_local_backbone  # noqa: E402
from netvlad_ros.training.network.backbones.weights import load_backbone_weights  # noqa: E402
from netvlad_ros.training.network.export import export_bundle  # noqa: E402
from netvlad_ros.training.network.local_head import LocalHead  # noqa: E402
from netvlad_ros.training.network.network import PlaceNetwork  # noqa: E402
from netvlad_ros.training.network.network_file import load_network, save_network  # noqa: E402
from netvlad_ros.training.network.poolings.pooling_weights import (  # noqa: E402
    load_pooling_weights,
)

pytestmark = pytest.mark.usefixtures('seeded_torch')


def blobs(high, wide, count=1):
    """Smooth random logits, float32 (count, 1, high, wide)."""
    coarse = torch.randn(count, 1, high // 3, wide // 3)
    return functional.interpolate(coarse, (high, wide), mode='bicubic') * 3


@pytest.mark.parametrize('name', ['edgepoint2_e64', 'edgepoint2_t48'])
def test_edgepoint2_is_its_published_layout(name):
    backbone = make_local_backbone(name)
    grey = torch.randn(1, 1, 64, 96)
    with torch.no_grad():
        descriptors, logits = backbone.maps(grey)
        fine = backbone.block1(grey)
        pooled = functional.avg_pool2d(fine, 2)
        middle = backbone.block2(functional.avg_pool2d(pooled, 2))
        coarse = backbone.block3(functional.avg_pool2d(middle, 4))
        stacked = [
            functional.interpolate(x, (16, 24), mode='bilinear') for x in (pooled, middle, coarse)
        ]
        expected = backbone.desc_head(torch.cat(stacked, dim=1))
        wide = [
            functional.interpolate(layer(x), (32, 48), mode='bilinear')
            for layer, x in zip(
                (backbone.conv1, backbone.conv2, backbone.conv3),
                (fine, middle, coarse),
                strict=True,
            )
        ]
        torch.testing.assert_close(descriptors, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(logits, backbone.score_head(sum(wide)), rtol=1e-4, atol=1e-4)
        assert logits.shape == (1, 1, 64, 96)
        torch.testing.assert_close(backbone(grey), descriptors)
        halved = make_local_backbone(name, 'dense8')
        halved.load_state_dict(backbone.state_dict())
        unit = functional.normalize(descriptors, dim=1)
        torch.testing.assert_close(halved(grey), functional.avg_pool2d(unit, 2))


def test_xfeat_is_its_published_layout():
    backbone = make_local_backbone('xfeat')
    grey = torch.randn(1, 1, 64, 96)
    with torch.no_grad():
        dense, logits = backbone.maps(grey)
        cells = grey.unfold(2, 8, 8).unfold(3, 8, 8).reshape(1, 8, 12, 64).permute(0, 3, 1, 2)
        chances = backbone.keypoint_head(cells).softmax(dim=1)[:, :64]
        heat = chances.permute(0, 2, 3, 1).reshape(1, 8, 12, 8, 8).permute(0, 1, 3, 2, 4)
        reliability = functional.interpolate(
            backbone.heatmap_head(dense), (64, 96), mode='bilinear'
        )
    expected = heat.reshape(1, 1, 64, 96) * reliability
    torch.testing.assert_close(logits.exp(), expected, rtol=1e-3, atol=1e-6)
    assert dense.shape == (1, 64, 8, 12)


def test_keypoints_are_the_strongest_maxima_with_their_descriptors():
    logits, grid = blobs(64, 96, 2), torch.randn(2, 5, 16, 24)
    keypoints, scores, rows = (x.numpy() for x in LocalHead(300)(LocalMaps(grid, logits)))
    assert keypoints.shape == (2, 300, 2) and scores.shape == (2, 300) and rows.shape == (2, 300, 5)
    for index, image in enumerate(logits[:, 0].numpy()):
        expected = []
        blocks = image.reshape(32, 2, 48, 2).max(axis=(1, 3))
        for row, column in np.ndindex(28, 44):
            row, column = row + 2, column + 2
            best = blocks[row - 1 : row + 2, column - 1 : column + 2].max()
            if blocks[row, column] == best:
                y, x = np.argwhere(image == best)[0]
                window = image[y - 2 : y + 3, x - 2 : x + 3]
                weights = np.exp(window) / np.exp(window).sum()
                shift = [(weights.sum(axis=a) * np.arange(-2, 3)).sum() for a in (0, 1)]
                expected.append((best, x + shift[0], y + shift[1]))
        expected = np.array(sorted(expected, reverse=True))
        count = len(expected)
        assert 20 < count < 300
        np.testing.assert_allclose(keypoints[index, :count], expected[:, 1:], atol=1e-4)
        np.testing.assert_allclose(scores[index, :count], 1 / (1 + np.exp(-expected[:, 0])), 1e-5)
        assert not keypoints[index, count:].any() and not scores[index, count:].any()
        assert not rows[index, count:].any()
        np.testing.assert_allclose(np.linalg.norm(rows[index, :count], axis=1), 1, atol=1e-5)
        x, y = expected[0, 1:] / 4 + 0.5 / 4 - 0.5  # in the grid, whose cells are 4 px wide
        left, top = int(x), int(y)
        cell = grid[index, :, top : top + 2, left : left + 2].numpy()
        across, down = np.array([1 - x + left, x - left]), np.array([1 - y + top, y - top])
        mixed = np.einsum('cyx,y,x->c', cell, down, across)
        np.testing.assert_allclose(rows[index, 0], mixed / np.linalg.norm(mixed), atol=1e-4)


E2E = [
    {'backbone': 'edgepoint2_t48', 'layer': 'dense8', 'resize': 'keep_aspect', 'multiple': 32},
    {'backbone': 'xfeat', 'whitening': 'linear'},
    {'backbone': 'xfeat', 'local_backbone': 'edgepoint2_e64', 'local_weights': 'none'},
    {'backbone': 'mobilenet_v2', 'local_backbone': 'edgepoint2_t48', 'local_weights': 'none'},
    {
        'backbone': 'mobilenet_v2',
        'normalise': 'grey',
        'local_backbone': 'edgepoint2_t48',
        'local_weights': 'none',
        'local_share': 0.4,
    },
    {
        'backbone': 'mobilenet_v2',
        'backbone_scale': 0.75,
        'local_backbone': 'edgepoint2_t48',
        'local_layer': 'dense8',
        'local_weights': 'none',
        'local_share': 0.3,
    },
]


@pytest.mark.parametrize('settings', E2E, ids=lambda s: '+'.join(map(str, s.values())))
def test_bundles_answer_keypoints_beside_the_descriptor(tmp_path, settings):
    network = make_network(keypoints=40, **settings)
    images = [*pictures(2, (96, 128)), *pictures(1, (128, 64))]
    path = tmp_path / 'one.onnx'
    export_bundle(network, images, METADATA, path)
    bundle = ModelBundle.load(path, device='cpu')
    local = bundle.metadata.local
    assert local is not None and local.max_keypoints == 40
    name = settings.get('local_backbone', settings['backbone'])
    assert network.facts['local']['network'] == name
    assert local.dim == (48 if name.endswith('t48') else 64)
    for image in images:
        found = bundle.analyse(image)
        with torch.no_grad():
            resized = torch.from_numpy(network.preprocessing(image))[None]
            descriptor, keypoints, _, rows = (a[0].numpy() for a in network.answers(resized))
        assert descriptor @ found.descriptor > 0.999999
        real = np.linalg.norm(rows, axis=1) > 0.5
        assert len(found.features.keypoints) == real.sum() > 10
        assert same_share(keypoints, rows, found.features.keypoints, found.features.rows) > 0.99
    if network.config.whitening == 'pca':
        small = tmp_path / 'small.onnx'
        revise_bundle(path, small, dim=5, half=True, images=images)
        cut = ModelBundle.load(small, device='cpu')
        again = cut.analyse(images[0]).features
        before = bundle.analyse(images[0]).features
        np.testing.assert_allclose(again.keypoints, before.keypoints, atol=1e-3)
        assert cut.metadata.local == local and cut.metadata.dim == 5
        assert small.stat().st_size < path.stat().st_size


def test_a_network_without_local_features_answers_none(tmp_path):
    network = make_network(backbone='xfeat', local_features=False)
    assert 'local' not in network.facts
    export_bundle(network, pictures(), METADATA, tmp_path / 'm.onnx')
    assert (
        ModelBundle.load(tmp_path / 'm.onnx', device='cpu').analyse(pictures()[0]).features is None
    )


def test_the_parity_gate_compares_local_features(tmp_path, monkeypatch):
    honest = export_module.trace

    def broken(module, preprocessing, outputs=('descriptor',)):
        graph = honest(module, preprocessing, outputs)
        for tensor in graph.graph.initializer:
            if 'score_head.4.weight' in tensor.name:
                array = np.frombuffer(tensor.raw_data, np.float32).copy()
                tensor.raw_data = (array * np.linspace(1, 1.5, array.size)).astype('f4').tobytes()
        return graph

    monkeypatch.setattr(export_module, 'trace', broken)
    network = make_network(backbone='edgepoint2_t48', keypoints=40)
    with pytest.raises(NetvladError, match='find the same local features only for'):
        export_bundle(network, pictures(), METADATA, tmp_path / 'm.onnx')
    assert not list(tmp_path.iterdir())
    points, rows = np.random.rand(1, 9, 2) * 30, np.random.rand(1, 9, 4)
    good = (points, rows[..., 0], rows)
    check_local_parity(lambda _: good, lambda _: good, pictures(1), 'refused')
    for other in ((points + 0.02, rows[..., 0], rows), (points, rows[..., 0], rows * np.nan)):
        with pytest.raises(NetvladError, match='refused'):
            check_local_parity(lambda _: good, lambda _, o=other: o, pictures(1), 'refused')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'backbone': 'xfeat', 'width': 80}, 'xfeat needs images .* not 80x64: change'),
        ({'local_backbone': 'xfeat', 'height': 72}, 'multiples of 32 px, not 96x72'),
        ({'backbone': 'xfeat', 'resize': 'keep_aspect'}, '96x64 with multiple 16'),
        ({'backbone': 'xfeat', 'layer': 'dense8'}, "xfeat cannot be cut at 'dense8'"),
        ({'backbone': 'xfeat', 'normalise': 'caffe'}, 'leave it at auto'),
        ({'local_backbone': 'xfeat', 'local_features': False}, 'needs local_features true'),
        ({'local_share': 0.4}, 'and there is none: name one'),
        (
            {'local_backbone': 'xfeat', 'local_share': 0.4, 'pooling': 'gem'},
            'local_share needs pooling netvlad',
        ),
        ({'backbone': 'xfeat', 'backbone_scale': 0.5}, 'need the whole image: leave it at 1'),
        ({'local_layer': 'dense8'}, 'local_layer dense8 .* there is none: name one'),
        ({'keypoints': 9000}, 'keypoints is 9000, outside 1 to 8000'),
    ],
)
def test_impossible_settings_get_one_sentence(settings, message):
    with pytest.raises(NetvladError, match=message):
        NetworkConfig(**{**SMALL, **settings})


def test_a_trained_backbone_and_pooling_are_kept(tmp_path):
    trained = make_network(backbone='mobilenet_v2')
    torch.nn.init.normal_(trained.pooling.centroids)
    path = str(tmp_path / 'network.safetensors')
    save_file(trained.state_dict(), path)
    kept = make_network(backbone='mobilenet_v2', pooling_weights=path)
    load_backbone_weights(kept.backbone, path)
    load_pooling_weights(kept.pooling, path)
    for part in ('backbone', 'pooling'):
        found, expected = getattr(kept, part).state_dict(), getattr(trained, part).state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not any(parameter.requires_grad for parameter in kept.pooling.parameters())
    others = make_network(backbone='mobilenet_v2', clusters=trained.config.clusters + 1, dim=8)
    with pytest.raises(NetvladError, match=r'must be finite, of shape .* same backbone, pooling'):
        load_pooling_weights(others.pooling, path)


def test_weights_of_another_network_are_named(tmp_path):
    xfeat, small = make_local_backbone('xfeat'), make_local_backbone('edgepoint2_t48')
    path = str(tmp_path / 'w.safetensors')
    save_file({**xfeat.state_dict(), 'fine_matcher.0.bias': torch.zeros(3)}, path)
    again = make_local_backbone('xfeat')
    load_backbone_weights(again, path)
    assert torch.equal(again.skip1[1].weight, xfeat.skip1[1].weight)
    with pytest.raises(NetvladError, match='seem to be those of xfeat, not of edgepoint2_t48'):
        load_backbone_weights(small, path)
    with pytest.raises(NetvladError, match='are not in torchvision: give'):
        load_backbone_weights(small, 'torchvision')
    state = small.state_dict()
    for layer, value in (('conv2.bias', torch.zeros(3)), ('conv2.bias', torch.full((8,), np.nan))):
        save_file({**state, layer: value}, path)
        with pytest.raises(NetvladError, match=r'layer conv2\.bias (has shape|is not finite)'):
            load_backbone_weights(small, path)
    save_file({k: v for k, v in state.items() if k != 'conv2.bias'}, path)
    with pytest.raises(NetvladError, match=r'layer conv2\.bias of edgepoint2_t48 is missing'):
        load_backbone_weights(small, path)


def test_a_second_network_of_local_features_is_saved_and_not_trained(tmp_path):
    network = make_network(backbone='xfeat', local_backbone='edgepoint2_t48', local_weights='none')
    trained = {p for group in network.parameter_groups(1.0, 2.0) for p in group['params']}
    assert not trained.intersection(network.local_backbone.parameters())
    save_network(tmp_path / 'net', network, {})
    loaded, _ = load_network(tmp_path / 'net')
    images = torch.from_numpy(np.stack(pictures(2, (64, 96))))
    with torch.no_grad():
        for own, found in zip(network.answers(images), loaded.answers(images), strict=True):
            assert torch.equal(own, found)
    with pytest.raises(NetvladError, match='weights of edgepoint2_t48 are not in torchvision'):
        config = dataclasses.replace(network.config, local_weights='')
        load_backbone_weights(PlaceNetwork(config).local_backbone, config.local_weights)


def test_both_networks_have_their_share_of_a_similarity():
    network = make_network(
        backbone='mobilenet_v2', local_backbone='edgepoint2_t48', local_weights='none',
        local_share=0.25, dim=16,
    )  # fmt: skip
    trained = {p for group in network.parameter_groups(1.0, 2.0) for p in group['params']}
    assert trained.issuperset(network.local_backbone.parameters())
    images = torch.from_numpy(np.stack(pictures(2, (64, 96))))
    with torch.no_grad():
        first = network.pooling(network.local_descriptors(images))
        second = network.local_pooling(network.local_backbone(network.grey(images)))
        pooled, rows = network.pool(images), network(images)
        expected = 0.75 * first @ first.T + 0.25 * second @ second.T
        torch.testing.assert_close(pooled @ pooled.T, expected)
        layers = network.whitening.layers
        torch.testing.assert_close(rows[:, 0::2], layers[0](first * 0.75**0.5) * 0.75**0.5)
        torch.testing.assert_close(rows[:, 1::2], layers[1](second * 0.5) * 0.5)


@pytest.mark.parametrize(
    ('name', 'file'),
    [
        ('edgepoint2_e64', 'edgepoint2_E64'),
        ('edgepoint2_t48', 'edgepoint2_T48'),
        ('xfeat', 'xfeat'),
    ],
)
def test_published_weights_fit(shared_weights, name, file):
    path = shared_weights.parent / f'{file}.safetensors'
    if not path.is_file():
        pytest.skip(f'weights not found at {path}')
    backbone = make_local_backbone(name)
    load_backbone_weights(backbone, str(path))
    grey = torch.from_numpy(pictures(1, (64, 96))[0]).float().mean(dim=2)[None, None]
    grey = functional.instance_norm(grey)
    with torch.no_grad():
        keypoints, scores, _ = LocalHead(50)(backbone.maps(grey))
    assert (scores > 0).sum() > 20 and torch.isfinite(keypoints).all()
