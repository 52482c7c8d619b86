"""The training room, piece by piece."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')


from safetensors.torch import load_file, save_file  # noqa: E402

from netvlad_ros.core.descriptor import ModelBundle  # noqa: E402
from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.image import Preprocessing  # noqa: E402
from netvlad_ros.training.backbone import Backbone  # noqa: E402
from netvlad_ros.training.config import TrainConfig  # noqa: E402
from netvlad_ros.training.export import export_bundle  # noqa: E402
from netvlad_ros.training.initialisation import find_alpha, find_centroids  # noqa: E402
from netvlad_ros.training.network import PlaceNetwork  # noqa: E402
from netvlad_ros.training.pooling import NetVLAD  # noqa: E402
from netvlad_ros.training.whitening import Whitening  # noqa: E402

RNG = np.random.default_rng(0)
METADATA = {'name': 'test', 'licence': 'none', 'training': {}, 'calibration': None}


def loop_netvlad(x, weight, bias, centroids):
    """Paper eq. 4 for one image, x (D, P): a loop over clusters and points."""
    x = x / np.linalg.norm(x, axis=0)
    vlad = np.zeros_like(centroids)
    for point in x.T:
        score = np.exp(weight @ point + bias)
        for k in range(len(centroids)):
            vlad[k] += score[k] / score.sum() * (point - centroids[k])
    vlad /= np.linalg.norm(vlad, axis=1, keepdims=True)
    return (vlad / np.linalg.norm(vlad)).ravel()


def test_netvlad_is_the_loop_over_clusters():
    layer = NetVLAD(8, 5).double()
    layer.initialise(torch.from_numpy(RNG.normal(size=(5, 8))), alpha=0.7)
    features = RNG.normal(size=(3, 8, 4, 6))
    weight = layer.assignment.weight.detach().numpy()[:, :, 0, 0]
    bias = layer.assignment.bias.detach().numpy()
    expected = np.stack(
        [
            loop_netvlad(f.reshape(8, -1), weight, bias, layer.centroids.detach().numpy())
            for f in features
        ]
    )
    found = layer(torch.from_numpy(features)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    assert torch.autograd.gradcheck(layer, torch.from_numpy(features).requires_grad_())


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
    x = RNG.normal(size=4)
    found = layer.assignment(torch.from_numpy(x)[None, :, None, None]).softmax(1)[0, :, 0, 0]
    expected = np.exp(-2.0 * ((x - centroids) ** 2).sum(1))
    np.testing.assert_allclose(found.detach().numpy(), expected / expected.sum(), atol=1e-12)


def test_kmeans_needs_enough_descriptors():
    with pytest.raises(NetvladError, match='too few for 64 clusters'):
        find_centroids(np.ones((100, 4), np.float32), 64, seed=0)


@pytest.mark.parametrize('count', [40, 400])  # fewer and more images than dimensions
def test_whitening_makes_the_kept_directions_orthonormal(count):
    x = RNG.normal(size=(count, 60)) @ RNG.normal(size=(60, 60)) + 3.0
    layer = Whitening(60, 8).double()
    layer.fit(x)
    y = layer.linear(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y.mean(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.cov(y.T), np.eye(8), atol=1e-8)
    answer = layer(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(np.linalg.norm(answer, axis=1), 1.0, atol=1e-12)


def test_whitening_refuses_what_does_not_span_it():
    with pytest.raises(NetvladError, match='needs more than 8'):
        Whitening(60, 8).fit(np.ones((8, 60)))
    with pytest.raises(NetvladError, match='fewer than 8 directions'):
        Whitening(60, 8).fit(RNG.normal(size=(40, 3)) @ RNG.normal(size=(3, 60)))


def small_network():
    torch.manual_seed(0)
    network = PlaceNetwork(clusters=4, dim=8).eval()
    network.pooling.initialise(torch.nn.functional.normalize(torch.randn(4, 96), dim=1), 5.0)
    torch.nn.init.normal_(network.whitening.linear.weight)
    return network


def noise_images(count=3):
    return [RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(count)]


def test_export_answers_as_the_network_does(tmp_path):
    network, images, path = small_network(), noise_images(), tmp_path / 'model.onnx'
    model_id = export_bundle(network, images, Preprocessing(64, 96), METADATA, path)
    bundle = ModelBundle.load(path, device='cpu')
    assert bundle.metadata.model_id == model_id
    resized = np.stack([Preprocessing(64, 96)(image) for image in images])
    with torch.no_grad():
        expected = network(torch.from_numpy(resized)).numpy()
    found = bundle.describe_batch(images)
    assert (found * expected).sum(1).min() > 0.9999
    np.testing.assert_allclose(bundle.describe(images[0]), found[0], atol=1e-5)


def test_parity_gate_refuses_a_broken_export_and_leaves_no_file(tmp_path, monkeypatch):
    from netvlad_ros.training import export

    honest = export.trace

    def broken(network, preprocessing):
        graph = honest(network, preprocessing)
        for tensor in graph.graph.initializer:
            if 'whitening' in tensor.name and len(tensor.dims) == 2:
                array = np.frombuffer(tensor.raw_data, np.float32).copy()
                array[: len(array) // 2] *= 1.2
                tensor.raw_data = array.tobytes()
        return graph

    monkeypatch.setattr(export, 'trace', broken)
    with pytest.raises(NetvladError, match='refused: torch and onnxruntime agree only to cosine'):
        export_bundle(
            small_network(), noise_images(), Preprocessing(64, 96), METADATA, tmp_path / 'm.onnx'
        )
    network = small_network()
    network.whitening.linear.bias.data.fill_(float('nan'))
    with pytest.raises(NetvladError, match='refused'):
        export_bundle(network, noise_images(), Preprocessing(64, 96), METADATA, tmp_path / 'm.onnx')
    assert not list(tmp_path.iterdir())


def test_weights_with_a_missing_layer_are_refused(tmp_path):
    state = Backbone('mobilenet_v2').state_dict()
    del state['features.3.conv.0.0.weight']
    save_file(state, tmp_path / 'w.safetensors')
    with pytest.raises(NetvladError, match=r'layer features\.3\.conv\.0\.0\.weight .* is missing'):
        Backbone('mobilenet_v2').load(tmp_path / 'w.safetensors')
    (tmp_path / 'junk.safetensors').write_bytes(b'\x80\x04junk')
    with pytest.raises(NetvladError, match='not a readable safetensors'):
        Backbone('mobilenet_v2').load(tmp_path / 'junk.safetensors')


def test_backbone_trains_every_layer_but_keeps_batch_norm_statistics(shared_weights):
    network = PlaceNetwork(clusters=4, dim=8)
    network.backbone.load(shared_weights)
    first = load_file(shared_weights)['features.0.0.weight']
    assert torch.equal(network.backbone.features[0][0].weight, first)
    network.train()
    before = network.backbone.features[0][1].running_mean.clone()
    network.pool(torch.from_numpy(np.stack(noise_images()))).sum().backward()
    assert torch.equal(network.backbone.features[0][1].running_mean, before)
    assert all(p.grad is not None for p in network.backbone.parameters())
    assert all(p.grad is not None for p in network.pooling.parameters())


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('stepz: 3', "unknown training setting 'stepz'"),
        ('steps: many', "steps must be int, got 'many'"),
        ('keep: 2', 'keep is 2.0, outside 0.0 to 1.0'),
        ('resize: squash', 'neither stretch nor keep_aspect'),
        ('- a list', 'must be a mapping'),
        ('a: [', 'cannot be read as training settings'),
    ],
)
def test_bad_settings_get_one_sentence(tmp_path, text, message):
    (tmp_path / 'train.yaml').write_text(text)
    with pytest.raises(NetvladError, match=message):
        TrainConfig.load(tmp_path / 'train.yaml')


def test_settings_survive_the_disk(tmp_path):
    config = TrainConfig(steps=7, held_out_floors=('f1', 'f2'), lr_backbone=1)
    config.save(tmp_path / 'train.yaml')
    assert TrainConfig.load(tmp_path / 'train.yaml') == config
    changed = TrainConfig.load(tmp_path / 'train.yaml', steps=9, clusters=8)
    assert config.difference(changed) == ['clusters']
