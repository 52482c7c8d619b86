"""Networks from pixels to files: pooling, initialisation, whitening, export."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from safetensors.torch import load_file, save_file  # noqa: E402
from torch.nn.functional import normalize  # noqa: E402

from netvlad_ros.core.descriptor import ModelBundle  # noqa: E402
from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.image import read_image  # noqa: E402
from netvlad_ros.offline.revised_bundle import revise_bundle  # noqa: E402
from netvlad_ros.training import export as export_module  # noqa: E402
from netvlad_ros.training.backbone import Backbone  # noqa: E402
from netvlad_ros.training.backbone_cuts import CUTS  # noqa: E402
from netvlad_ros.training.backbone_weights import load_backbone_weights  # noqa: E402
from netvlad_ros.training.export import export_bundle  # noqa: E402
from netvlad_ros.training.initialisation import (  # noqa: E402
    find_alpha,
    find_centroids,
    initialise_network,
)
from netvlad_ros.training.network import PlaceNetwork  # noqa: E402
from netvlad_ros.training.network_config import NetworkConfig  # noqa: E402
from netvlad_ros.training.network_file import load_network, save_network  # noqa: E402
from netvlad_ros.training.pca_whitening import pca_whitening  # noqa: E402
from netvlad_ros.training.pooling import POOLINGS  # noqa: E402
from netvlad_ros.training.poolings.contextual_reweighting import CRN  # noqa: E402
from netvlad_ros.training.poolings.netvlad import NetVLAD  # noqa: E402
from netvlad_ros.training.poolings.rmac import regions  # noqa: E402
from netvlad_ros.training.supervised_whitening import supervised_whitening  # noqa: E402
from netvlad_ros.training.vision import torchvision  # noqa: E402
from netvlad_ros.training.whitening import Whitening  # noqa: E402
from netvlad_ros.training.whitening_fit import fit_whitening  # noqa: E402

RNG = np.random.default_rng(0)
METADATA = {'name': 'test', 'licence': 'none', 'training': {}, 'calibration': None}
SMALL = {'weights': 'none', 'height': 64, 'width': 96, 'clusters': 4, 'dim': 8}


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    global RNG
    RNG = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)


def make_network(**settings):
    """A small network with random weights that are all there."""
    network = PlaceNetwork(NetworkConfig(**{**SMALL, **settings})).eval()
    for module in network.backbone.modules():
        if 'efficientnet' in network.backbone.name and isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.weight, 3.0)  # random squeeze-and-excitation fades out
    if isinstance(network.pooling, NetVLAD):
        count = network.pooling.clusters + network.pooling.ghost_clusters
        network.pooling.initialise(normalize(torch.randn(count, network.backbone.channels)), 5.0)
    if isinstance(network.whitening, Whitening):
        torch.nn.init.normal_(network.whitening.linear.weight)
    return network


def pictures(count=3, size=(48, 64)):
    coarse = [RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8) for _ in range(count)]
    return [cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC) for image in coarse]


@pytest.fixture(scope='module')
def image_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    paths = [folder / f'{index:02d}.png' for index in range(24)]
    for path, image in zip(paths, pictures(len(paths)), strict=True):
        cv2.imwrite(str(path), image)
    return paths


# --- pooling


def loop_netvlad(layer, features):
    """Paper eq. 4, one descriptor and one cluster at a time, for features (N, D, H, W)."""
    weight = layer.assignment.weight[:, :, 0, 0]
    total = layer.clusters + layer.ghost_clusters
    bias = torch.zeros(total) if layer.assignment.bias is None else layer.assignment.bias
    rows = []
    for image in features:
        grid = image / image.square().sum(0, keepdim=True).sqrt()
        mask = layer.reweighting(grid[None])[0, 0].flatten() if isinstance(layer, CRN) else None
        parts = [0.0] * layer.clusters
        for index, point in enumerate(grid.flatten(1).T):
            scores = torch.stack([(weight[k] @ point + bias[k]).exp() for k in range(total)])
            for k in range(layer.clusters):
                share = scores[k] / scores.sum() * (1.0 if mask is None else mask[index])
                parts[k] = parts[k] + share * (point - layer.centroids[k])
        if layer.intra_normalise:
            parts = [part / part.square().sum().sqrt() for part in parts]
        row = torch.cat(parts)
        rows.append(row / row.square().sum().sqrt())
    return torch.stack(rows)


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        (NetVLAD, {}),
        (NetVLAD, {'decoupled_bias': False}),
        (NetVLAD, {'intra_normalise': False, 'ghost_clusters': 2}),
        (CRN, {'ghost_clusters': 1}),
    ],
)
def test_netvlad_and_its_gradient_are_those_of_the_loop_over_clusters(kind, options):
    layer = kind(8, 5, **options).double()
    layer.initialise(torch.from_numpy(RNG.normal(size=(5 + layer.ghost_clusters, 8))), alpha=0.7)
    features = torch.from_numpy(RNG.normal(size=(3, 8, 4, 6))).requires_grad_()
    wanted = (features, *layer.parameters())
    direction = torch.from_numpy(RNG.normal(size=(3, 40)))
    found, expected = layer(features), loop_netvlad(layer, features)
    assert (found - expected).abs().max() < 1e-6
    gradients = torch.autograd.grad((found * direction).sum(), wanted)
    references = torch.autograd.grad((expected * direction).sum(), wanted)
    for gradient, reference in zip(gradients, references, strict=True):
        assert reference.abs().max() > 1e-6
        assert (gradient - reference).abs().max() < 1e-6
    single = kind(8, 5, **options)
    single.load_state_dict({name: value.float() for name, value in layer.state_dict().items()})
    assert (single(features.float()) - expected).abs().max() < 1e-6
    assert torch.autograd.gradcheck(layer, features)


def test_ghosts_take_assignments_and_are_dropped():
    plain, ghostly = NetVLAD(6, 3), NetVLAD(6, 3, ghost_clusters=2)
    centroids = normalize(torch.randn(5, 6))
    plain.initialise(centroids[:3], 3.0)
    ghostly.initialise(centroids, 3.0)
    features = torch.randn(1, 6, 3, 3)
    assert ghostly(features).shape == plain(features).shape == (1, 18)
    assert not torch.allclose(ghostly(features), plain(features), atol=1e-2)


def unit(row):
    return row / np.linalg.norm(row)


def expected_pooling(name, x):
    """One image x (D, H, W) in float64, by the book."""
    if name == 'mac':
        return unit(x.max((1, 2)))
    if name == 'spoc':
        return unit(x.mean((1, 2)))
    if name == 'gem':
        return unit((np.maximum(x, 1e-6) ** 3).mean((1, 2)) ** (1 / 3))
    if name == 'crow':
        x = np.maximum(x, 0)
        salience = x.sum(0)
        salience = np.sqrt(salience / np.sqrt((salience**2).sum()))
        share = (x > 0).mean((1, 2))
        return unit((x * salience).sum((1, 2)) * np.log(share.sum() / share))
    parts = [x[:, t : t + h, left : left + w] for t, left, h, w in regions(*x.shape[1:])]
    return unit(sum(unit(part.max((1, 2))) for part in parts))


@pytest.mark.parametrize('name', ['mac', 'spoc', 'gem', 'crow', 'rmac'])
def test_poolings_without_clusters_are_those_of_their_papers(name):
    x = RNG.normal(size=(2, 7, 6, 9))
    layer = POOLINGS[name].of(NetworkConfig(), 7)
    found = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, [expected_pooling(name, image) for image in x], atol=1e-4)


def test_regions_of_rmac_cover_the_grid_and_overlap():
    found = regions(22, 29)
    assert found[0] == (0, 0, 22, 29)
    assert [sum(side == r[2] for r in found[1:]) for side in (22, 14, 11)] == [2, 6, 12]
    for top, left, height, width in found:
        assert 0 <= top <= 22 - height and 0 <= left <= 29 - width
    assert {r[:2] for r in found if r[2] == 22 and r[3] == 22} == {(0, 0), (0, 7)}


def test_reweighting_starts_as_plain_netvlad():
    crn, plain = CRN(8, 3), NetVLAD(8, 3)
    centroids = normalize(torch.randn(3, 8))
    for layer in (crn, plain):
        layer.initialise(centroids, 4.0)
    features = torch.randn(2, 8, 9, 11)
    assert (crn(features) * plain(features)).sum(1).min() > 0.99


# --- initialisation


def test_alpha_comes_from_distances_not_from_indices():
    centroids = np.array([[0.0, 0.0], [10.0, 0.0], [1.0, 0.0]])
    points = np.array([[0.0, 0.0], [0.25, 0.0], [0.1, 0.4]])
    alpha = find_alpha(points, centroids)
    squared = ((points[:, None] - centroids) ** 2).sum(2)
    assignment = np.exp(-alpha * squared)
    largest, second = -np.sort(-assignment, axis=1)[:, :2].T
    # the two nearest are centroids 0 and 2; their log ratio is ln 100 on average
    assert np.mean(np.log(largest / second)) == pytest.approx(np.log(100.0))


def test_initialised_layer_assigns_by_distance():
    layer = NetVLAD(4, 3).double()
    centroids = RNG.normal(size=(3, 4))
    layer.initialise(torch.from_numpy(centroids), alpha=2.0)
    x = unit(RNG.normal(size=4))
    found = layer.soft_assignment(3.0 * torch.from_numpy(x)[None, :, None, None])[0, :, 0, 0]
    expected = np.exp(-2.0 * ((x - centroids) ** 2).sum(1))
    np.testing.assert_allclose(found.detach().numpy(), expected / expected.sum(), atol=1e-12)


def test_kmeans_needs_enough_descriptors():
    with pytest.raises(NetvladError, match='too few for 64 clusters'):
        find_centroids(np.ones((100, 4), np.float32), 64, seed=0)


@pytest.mark.parametrize(
    'settings',
    [
        {'pooling': 'crn', 'ghost_clusters': 1, 'decoupled_bias': False},
        {'pooling': 'gem', 'whitening': 'linear'},
        {'pooling': 'netvlad', 'whitening': 'linear', 'dim': 40},
    ],
)
def test_a_network_is_initialised_from_images_and_a_seed(image_files, settings):
    def start(seed):
        network = PlaceNetwork(NetworkConfig(**{**SMALL, **settings, 'height': 128, 'width': 192}))
        return network, initialise_network(network, image_files, seed=seed)

    network, story = start(3)
    assert 'random weights' in story
    assert ('alpha' in story) == isinstance(network.pooling, NetVLAD)
    if network.config.whitening == 'linear':
        few = network.dim >= len(image_files)
        assert ('too few for PCA' in story) == few and ('from PCA' in story) == (not few)
        assert torch.isfinite(network(torch.zeros(1, 64, 96, 3, dtype=torch.uint8))).all()
    again, _ = start(3)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


# --- backbone


@pytest.mark.parametrize('name', ['alexnet', 'resnet18', 'mobilenet_v3_large', 'efficientnet_b0'])
def test_backbones_are_the_torchvision_model_to_their_cut(name):
    whole = getattr(torchvision.models, name)(weights=None).eval()
    images = torch.randn(1, 3, 64, 64)
    seen = {}
    for layer, cut in CUTS[name].items():
        hook = whole.get_submodule(cut.last).register_forward_hook(
            lambda module, given, answer, layer=layer: seen.update({layer: answer.clone()})
        )
        with torch.no_grad():
            whole(images)
        hook.remove()
        backbone = Backbone(name, layer).train()
        backbone.load(whole.state_dict(), 'test')
        with torch.no_grad():
            found = backbone(images)
        assert torch.equal(found, seen[layer])
        assert found.shape[1] == backbone.channels == cut.channels


def test_layers_train_from_the_end_and_statistics_never_move():
    network = make_network(backbone='resnet18', trainable_layers=2)
    names = {n for n, p in network.backbone.named_parameters() if p.requires_grad}
    assert {name.rsplit('.', 2)[0].split('.')[0] for name in names} == {'layer3'}
    assert len(network.backbone.layers()) == 7
    rates = [group['lr'] for group in network.parameter_groups(1.0, 2.0)]
    assert rates == [1.0, 2.0]
    frozen = make_network(trainable_layers=0, pooling='mac')
    assert frozen.parameter_groups(1.0, 2.0) == []
    assert len(make_network(whitening='linear').parameter_groups(1.0, 2.0)[1]['params']) == 5
    with pytest.raises(NetvladError, match='trainable_layers is 99, but resnet18 has 7'):
        make_network(backbone='resnet18', trainable_layers=99)
    network.train()
    before = {k: v.clone() for k, v in network.named_buffers()}
    network.pool(torch.from_numpy(np.stack(pictures()))).sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in network.named_buffers())
    for name, parameter in network.backbone.named_parameters():
        assert (parameter.grad is not None) == (name in names), name


def test_shared_weights_fit_and_are_taken_as_symmetric(shared_weights):
    config = NetworkConfig(**{**SMALL, 'weights': str(shared_weights)})
    network = PlaceNetwork(config)
    load_backbone_weights(network.backbone, config.weights)
    first = load_file(shared_weights)['features.0.0.weight']
    assert torch.equal(network.backbone.features[0][0].weight, first)
    pixels = torch.tensor([[[[0, 255, 51]]]], dtype=torch.uint8)
    assert network.normalisation(pixels).flatten().tolist() == pytest.approx([-1.0, 1.0, -0.6])
    assert NetworkConfig(backbone='resnet18', weights='x.pth').normalisation == 'imagenet'
    assert NetworkConfig(weights='torchvision').normalisation == 'imagenet'


def test_weights_with_a_missing_layer_are_refused(tmp_path):
    backbone = Backbone('mobilenet_v2')
    good = backbone.state_dict()
    name = 'features.3.conv.0.0.weight'
    bad = {
        'is missing': {k: v for k, v in good.items() if k != name},
        'has shape': good | {name: torch.zeros(1)},
        'not finite': good | {name: torch.full_like(good[name], torch.nan)},
    }
    for message, state in bad.items():
        save_file(state, tmp_path / 'w.safetensors')
        with pytest.raises(NetvladError, match=rf'layer {name}.* {message}|{message}'):
            load_backbone_weights(backbone, str(tmp_path / 'w.safetensors'))
    torch.save(bad['is missing'], tmp_path / 'w.pth')
    with pytest.raises(NetvladError, match='is missing'):
        load_backbone_weights(backbone, str(tmp_path / 'w.pth'))
    torch.save(good, tmp_path / 'w.pth')
    load_backbone_weights(backbone, str(tmp_path / 'w.pth'))


class Trap:
    def __reduce__(self):
        return (open, ('/tmp/network-trap', 'w'))


def test_weights_that_are_no_weights_get_one_sentence(tmp_path, monkeypatch):
    backbone = Backbone('mobilenet_v2')
    (tmp_path / 'junk.safetensors').write_bytes(b'\x80\x04junk')
    (tmp_path / 'junk.pth').write_bytes(b'\x80\x04junk')
    (tmp_path / 'notes.txt').write_text('hello')
    torch.save({'state': Trap()}, tmp_path / 'code.pth')
    torch.save({'epoch': 3}, tmp_path / 'other.pth')

    def offline(*_, **__):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', offline)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    for weights, message in {
        '': 'weights are not chosen',
        str(tmp_path / 'absent.pth'): 'cannot be read',
        str(tmp_path / 'junk.safetensors'): 'not a readable safetensors',
        str(tmp_path / 'junk.pth'): 'not a state dict of tensors alone',
        str(tmp_path / 'code.pth'): 'not a state dict of tensors alone',
        str(tmp_path / 'other.pth'): 'must hold a state dict',
        str(tmp_path / 'notes.txt'): 'neither a .safetensors nor a .pth',
        str(tmp_path): 'no file',
        'torchvision': 'cannot be downloaded .no route to host.',
    }.items():
        with pytest.raises(NetvladError, match=message) as caught:
            load_backbone_weights(backbone, weights)
        assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'backbone': 'resnet9'}, "backbone is 'resnet9'; choose one of alexnet"),
        ({'layer': 'conv9'}, "mobilenet_v2 cannot be cut at 'conv9'; choose one of stride16"),
        ({'pooling': 'rmac', 'resize': 'keep_aspect'}, 'rmac needs resize stretch'),
        ({'pooling': 'crn', 'height': 40}, 'crn needs images of 48 px'),
        ({'whitening': 'none', 'dim': 7}, 'set dim to 384, not 7'),
        ({'dim': 5000}, 'whitening to 5000 dimensions is impossible'),
    ],
)
def test_settings_that_do_not_go_together_get_one_sentence(settings, message):
    with pytest.raises(NetvladError, match=message):
        PlaceNetwork(NetworkConfig(**{**SMALL, **settings}))


# --- whitening


@pytest.mark.parametrize('count', [40, 400])  # fewer and more images than dimensions
def test_whitening_makes_the_kept_directions_orthonormal(count):
    x = RNG.normal(size=(count, 60)) @ RNG.normal(size=(60, 60)) + 3.0
    layer = Whitening(60, 8).double()
    assert not layer.fitted
    layer.set(pca_whitening(x, 8))
    assert layer.fitted
    y = layer.linear(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y.mean(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.cov(y.T), np.eye(8), atol=1e-8)
    answer = layer(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(np.linalg.norm(answer, axis=1), 1.0, atol=1e-12)
    rotated = pca_whitening(x, 8, shrinkage=1.0).matrix
    rotated /= np.linalg.norm(rotated[0])
    np.testing.assert_allclose(rotated @ rotated.T, np.eye(8), atol=1e-8)


def test_supervised_whitening_solves_the_generalised_eigenproblem():
    count, width, dim = 3000, 12, 5
    nuisance = np.eye(width) + 0.3 * RNG.normal(size=(width, width))
    places = RNG.normal(size=(count // 2, width)) * np.linspace(2.0, 0.5, width)
    x = np.repeat(places, 2, axis=0) + RNG.normal(size=(count, width)) @ nuisance
    pairs = np.arange(count).reshape(-1, 2)
    matrix, mean = supervised_whitening(x.astype(np.float32), pairs, dim)
    np.testing.assert_allclose(mean, x.mean(0), atol=1e-5)
    # Radenovic's recipe, written out: Cholesky of the within-class covariance, then PCA.
    difference = x[pairs[:, 0]] - x[pairs[:, 1]]
    within = difference.T @ difference / len(pairs)
    inverse = np.linalg.inv(np.linalg.cholesky(within))
    _, vectors = np.linalg.eigh(np.cov(inverse @ x.T))
    expected = vectors[:, ::-1][:, :dim].T @ inverse
    expected *= np.sign((expected * matrix).sum(1))[:, None]
    size = np.linalg.norm(matrix, axis=1) / np.linalg.norm(expected, axis=1)
    np.testing.assert_allclose(matrix / size[:, None], expected, atol=1e-4)
    assert (size > 0.3).all() and (size < 1.01).all()  # the estimates are drawn together
    plain = supervised_whitening(x, pairs, width, shrinkage=1.0).matrix
    whitened = plain @ np.cov(x.T) @ plain.T
    np.testing.assert_allclose(whitened / whitened[0, 0], np.eye(width), atol=1e-6)


def test_supervised_whitening_finds_places_where_pca_finds_lighting():
    places = RNG.normal(size=(200, 30))
    light = 3.0 * RNG.normal(size=(400, 8)) @ RNG.normal(size=(8, 30))
    x = np.repeat(places, 2, axis=0) + light + 0.3 * RNG.normal(size=(400, 30))

    def recall(projection):
        y = (x - projection.mean) @ projection.matrix.T
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        similarity = y @ y.T - 2.0 * np.eye(400)
        return np.mean(similarity[::2].argmax(1) == np.arange(1, 400, 2))

    train = np.arange(200).reshape(-1, 2)  # pairs of the first hundred places only
    assert recall(supervised_whitening(x, train, 12)) > recall(pca_whitening(x, 12)) + 0.1


def test_whitening_refuses_what_does_not_span_it():
    with pytest.raises(NetvladError, match='needs more than 8'):
        pca_whitening(np.ones((8, 60)), 8)
    with pytest.raises(NetvladError, match='fewer than 8 directions'):
        pca_whitening(RNG.normal(size=(40, 3)) @ RNG.normal(size=(3, 60)), 8)
    with pytest.raises(NetvladError, match='needs pairs'):
        supervised_whitening(np.ones((40, 3)), np.empty((0, 2), np.int64), 2)
    with pytest.raises(NetvladError, match='names an image that is not there'):
        supervised_whitening(RNG.normal(size=(40, 3)), np.array([[0, 40]]), 2)
    with pytest.raises(NetvladError, match='not finite'):
        pca_whitening(np.full((40, 3), np.nan), 2)


def test_whitening_is_fitted_on_images(image_files):
    network = make_network(pooling='mac', whitening='supervised', dim=6)
    pairs = np.arange(len(image_files)).reshape(-1, 2)
    fit_whitening(network, image_files, pairs)
    supervised = network.whitening.linear.weight.clone()
    with pytest.raises(NetvladError, match='needs pairs'):
        fit_whitening(network, image_files)
    network = make_network(pooling='mac', dim=6)
    fit_whitening(network, image_files)
    assert not torch.allclose(supervised, network.whitening.linear.weight)
    linear = make_network(whitening='linear')
    before = linear.whitening.linear.weight.clone()
    fit_whitening(linear, image_files)
    assert torch.equal(linear.whitening.linear.weight, before)


# --- files


def test_network_files_describe_themselves(tmp_path):
    network = make_network(pooling='crn', ghost_clusters=2, backbone='resnet18', normalise='caffe')
    save_network(tmp_path / 'best.1', network, {'step': 7})
    for name in ('best.1', 'best.1.json', 'best.1.safetensors'):
        loaded, extra = load_network(tmp_path / name)
        assert extra == {'step': 7}
        assert loaded.config == network.config
    images = torch.from_numpy(np.stack(pictures(2, (64, 96))))
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))


def test_broken_network_files_get_one_sentence(tmp_path, monkeypatch):
    network, stem = make_network(pooling='gem'), tmp_path / 'net'
    text, numbers = stem.with_suffix('.json'), stem.with_suffix('.safetensors')
    save_network(stem, network, {})
    good, state = json.loads(text.read_text()), load_file(numbers)
    mark = {'fingerprint': good['fingerprint']}

    def refused(message):
        with pytest.raises(NetvladError, match=message) as caught:
            load_network(stem)
        assert '\n' not in str(caught.value)

    def change(**entries):
        text.write_text(json.dumps({**good, **entries}))

    change(format_version=9)
    refused('network format 9')
    change(fingerprint='other')
    refused('does not belong to the JSON')
    change(network={**good['network'], 'backbone': 'resnet18'})
    refused('layer normalisation.*|layer backbone.* is missing')
    change(network={**good['network'], 'dim': 9})
    refused(r'layer whitening.linear.weight is .*\(8, 96\), .* needs .*\(9, 96\)')
    change(network={**good['network'], 'colour': 1})
    refused("unknown setting 'colour'")
    change(network=[])
    refused('must be a mapping')
    change(surprise=1)
    refused('must hold exactly')
    text.write_text('{' * 100_000)
    refused('not readable JSON')
    change()
    save_file({k: v for k, v in state.items() if k != 'pooling.p'}, numbers, mark)
    refused('layer pooling.p is missing')
    save_file({**state, 'more': torch.zeros(1)}, numbers, mark)
    refused('layer more has no place')
    save_file({**state, 'pooling.p': torch.tensor([torch.nan])}, numbers, mark)
    refused('layer pooling.p is not finite')
    numbers.write_bytes(b'\x80\x04junk')
    refused('not a readable safetensors')
    monkeypatch.setattr('netvlad_ros.training.network_file.MAX_TENSOR_BYTES', 3)
    refused('has 6 bytes, more than 3')
    numbers.unlink()
    refused('does not exist')


# --- export


@pytest.mark.parametrize(
    ('half', 'backbone', 'settings'),
    [
        (False, 'mobilenet_v2', {'pooling': 'crn', 'ghost_clusters': 1, 'layer': 'expand16'}),
        (False, 'mobilenet_v2', {'pooling': 'spoc', 'whitening': 'none', 'dim': 96}),
        (False, 'mobilenet_v2', {'resize': 'keep_aspect', 'decoupled_bias': False}),
        (False, 'mobilenet_v3_large', {'pooling': 'gem'}),
        (False, 'resnet18', {'pooling': 'rmac'}),
        (True, 'mobilenet_v2', {'pooling': 'crn'}),
        (True, 'efficientnet_b0', {'pooling': 'crow', 'layer': 'expand16'}),
        (True, 'alexnet', {'pooling': 'mac', 'normalise': 'caffe'}),
    ],
)
def test_export_answers_as_the_network_does(tmp_path, half, backbone, settings):
    network = make_network(backbone=backbone, **settings)
    images, path = [*pictures(2), *pictures(1, (64, 48))], tmp_path / 'model.onnx'
    model_id = export_bundle(network, images, METADATA, path, half=half)
    bundle = ModelBundle.load(path, device='cpu')
    assert bundle.metadata.model_id == model_id
    assert bundle.metadata.dim == network.dim
    assert bundle.metadata.backbone.startswith(backbone)
    preprocessing = network.preprocessing
    with torch.no_grad():
        expected = [network(torch.from_numpy(preprocessing(i))[None])[0].numpy() for i in images]
    found = bundle.describe_batch(images)
    assert (found * np.stack(expected)).sum(1).min() > (0.9999 if half else 0.999999)


def test_half_precision_halves_the_file(tmp_path):
    network = make_network(dim=100)
    for half, name in ((False, 'whole.onnx'), (True, 'half.onnx')):
        export_bundle(network, pictures(), METADATA, tmp_path / name, half=half)
    sizes = [(tmp_path / name).stat().st_size for name in ('whole.onnx', 'half.onnx')]
    assert sizes[1] < 0.53 * sizes[0]


def test_parity_gate_refuses_a_broken_export_and_leaves_no_file(tmp_path, monkeypatch):
    honest = export_module.trace

    def broken(network, preprocessing):
        graph = honest(network, preprocessing)
        for tensor in graph.graph.initializer:
            if 'whitening' in tensor.name and len(tensor.dims) == 2:
                array = np.frombuffer(tensor.raw_data, np.float32).copy()
                array[: len(array) // 2] *= 1.2
                tensor.raw_data = array.tobytes()
        return graph

    monkeypatch.setattr(export_module, 'trace', broken)
    with pytest.raises(NetvladError, match='refused: torch and onnxruntime agree only to cosine'):
        export_bundle(make_network(), pictures(), METADATA, tmp_path / 'm.onnx')
    monkeypatch.undo()
    network = make_network()
    network.whitening.linear.bias.data.fill_(float('nan'))
    with pytest.raises(NetvladError, match='refused'):
        export_bundle(network, pictures(), METADATA, tmp_path / 'm.onnx')
    assert not list(tmp_path.iterdir())


def test_cut_of_the_committed_model_is_its_first_dimensions(tmp_path, model_path, shared_data):
    folder = shared_data / 'corridor_loop' / 'images'
    images = [read_image(folder / f'{index:03d}.jpg') for index in (1, 40)]
    whole = ModelBundle.load(model_path, device='cpu')
    expected = whole.describe_batch(images)[:, :128].astype(np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    out = tmp_path / 'small.onnx'
    model_id, dropped = revise_bundle(model_path, out, dim=128, images=images)
    small = ModelBundle.load(out, device='cpu')
    np.testing.assert_allclose(small.describe_batch(images), expected, atol=1e-6)
    assert dropped and small.metadata.calibration is None
    assert small.metadata.model_id == model_id != whole.metadata.model_id
    assert small.metadata.name == 'small' and small.metadata.whitening.endswith('cut to 128')
    assert small.metadata.licence == whole.metadata.licence
    assert out.stat().st_size < model_path.stat().st_size - 384 * 6144 * 4
    with pytest.raises(NetvladError, match='has 128 dimensions: it cannot be cut to 129'):
        revise_bundle(out, tmp_path / 'x.onnx', dim=129)
    with pytest.raises(NetvladError, match='nothing to do'):
        revise_bundle(out, tmp_path / 'x.onnx', dim=128)


def test_a_bundle_without_whitening_is_not_cut(tmp_path):
    network = make_network(pooling='mac', whitening='none', dim=96)
    path = tmp_path / 'plain.onnx'
    export_bundle(network, pictures(), METADATA, path)
    with pytest.raises(NetvladError, match='has no whitening layer'):
        revise_bundle(path, tmp_path / 'x.onnx', dim=8)
    export_bundle(network, pictures(), {**METADATA, 'whitening': 'claimed'}, path)
    with pytest.raises(NetvladError, match='does not end with a whitening layer'):
        revise_bundle(path, tmp_path / 'x.onnx', dim=8)
    assert [file.name for file in tmp_path.iterdir()] == ['plain.onnx']


def test_the_command_exports_networks_runs_and_bundles(tmp_path, image_files, capsys):
    from netvlad_ros.cli import main

    def netvlad(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(['export', *map(str, arguments)])
        return caught.value.code, capsys.readouterr()

    run = tmp_path / 'run'
    network = make_network()
    metadata = {'licence': 'MIT', 'calibration': {'midpoint': 0.4, 'slope': 9.0}}
    save_network(run / 'network', network, {'metadata': metadata})
    code, said = netvlad(run, '--out', tmp_path / 'a.onnx', '--images', image_files[0].parent)
    assert code == 0 and 'a.onnx: model' in said.out
    whole = ModelBundle.load(tmp_path / 'a.onnx', device='cpu')
    assert whole.metadata.licence == 'MIT' and whole.metadata.calibration is not None
    for source in (run / 'network.json', tmp_path / 'a.onnx'):
        code, said = netvlad(source, '--out', tmp_path / 'b.onnx', '--dim', 3, '--half')
        assert code == 0 and 'calibration was dropped' in said.err
        small = ModelBundle.load(tmp_path / 'b.onnx', device='cpu')
        assert small.metadata.dim == 3 and small.metadata.calibration is None
        image = pictures(1)[0]
        expected = unit(whole.describe(image)[:3].astype(np.float64))
        assert expected @ small.describe(image) > 0.9999
    save_network(run / 'network', PlaceNetwork(network.config), {})
    code, said = netvlad(run, '--out', tmp_path / 'c.onnx')
    assert code == 1 and 'its whitening is not fitted' in said.err
    code, said = netvlad(tmp_path, '--out', tmp_path / 'c.onnx')
    assert code == 1 and 'no finished run' in said.err
    assert not (tmp_path / 'c.onnx').exists()
