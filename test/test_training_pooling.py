"""Poolings against loops over descriptors and clusters; initialisation of clusters."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from torch.nn.functional import normalize  # noqa: E402

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.config.network import NetworkConfig  # noqa: E402
from netvlad_ros.training.fitting.initialisation import find_alpha, find_centroids  # noqa: E402
from netvlad_ros.training.network.poolings.contextual_reweighting import CRN  # noqa: E402
from netvlad_ros.training.network.poolings.global_poolings import regions  # noqa: E402
from netvlad_ros.training.network.poolings.make_pooling import POOLINGS  # noqa: E402
from netvlad_ros.training.network.poolings.netvlad import NetVLAD  # noqa: E402

pytestmark = pytest.mark.usefixtures('seeded_torch')


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
def test_netvlad_and_its_gradient_are_those_of_the_loop_over_clusters(rng, kind, options):
    layer = kind(8, 5, **options).double()
    layer.initialise(torch.from_numpy(rng.normal(size=(5 + layer.ghost_clusters, 8))), alpha=0.7)
    features = torch.from_numpy(rng.normal(size=(3, 8, 4, 6))).requires_grad_()
    wanted = (features, *layer.parameters())
    direction = torch.from_numpy(rng.normal(size=(3, 40)))
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
    """One image x (D, H, W) in float64, as the papers define it."""
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
    parts = [x[:, t : t + s, left : left + s] for t, left, s in regions(*x.shape[1:])] + [x]
    return unit(sum(unit(part.max((1, 2))) for part in parts))


@pytest.mark.parametrize('name', ['mac', 'spoc', 'gem', 'crow', 'rmac'])
def test_poolings_without_clusters_are_those_of_their_papers(rng, name):
    x = rng.normal(size=(2, 7, 6, 9))
    layer = POOLINGS[name].of(NetworkConfig(), 7)
    found = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, [expected_pooling(name, image) for image in x], atol=1e-4)


def test_regions_of_rmac_cover_the_grid_and_overlap():
    found = regions(22, 29)
    assert [sum(side == s for _, _, s in found) for side in (22, 14, 11)] == [2, 6, 12]
    for top, left, side in found:
        assert 0 <= top <= 22 - side and 0 <= left <= 29 - side
    assert [r[:2] for r in found if r[2] == 22] == [(0, 0), (0, 7)]


def test_reweighting_starts_as_plain_netvlad():
    crn, plain = CRN(8, 3), NetVLAD(8, 3)
    centroids = normalize(torch.randn(3, 8))
    for layer in (crn, plain):
        layer.initialise(centroids, 4.0)
    features = torch.randn(2, 8, 9, 11)
    assert (crn(features) * plain(features)).sum(1).min() > 0.99


def test_alpha_comes_from_distances_not_from_indices():
    centroids = np.array([[0.0, 0.0], [10.0, 0.0], [1.0, 0.0]])
    points = np.array([[0.0, 0.0], [0.25, 0.0], [0.1, 0.4]])
    alpha = find_alpha(points, centroids)
    squared = ((points[:, None] - centroids) ** 2).sum(2)
    assignment = np.exp(-alpha * squared)
    largest, second = -np.sort(-assignment, axis=1)[:, :2].T
    # the two nearest are centroids 0 and 2; their log ratio is ln 100 on average
    assert np.mean(np.log(largest / second)) == pytest.approx(np.log(100.0))


def test_initialised_layer_assigns_by_distance(rng):
    layer = NetVLAD(4, 3).double()
    centroids = rng.normal(size=(3, 4))
    layer.initialise(torch.from_numpy(centroids), alpha=2.0)
    x = unit(rng.normal(size=4))
    found = layer.soft_assignment(3.0 * torch.from_numpy(x)[None, :, None, None])[0, :, 0, 0]
    expected = np.exp(-2.0 * ((x - centroids) ** 2).sum(1))
    np.testing.assert_allclose(found.detach().numpy(), expected / expected.sum(), atol=1e-12)


def test_kmeans_needs_enough_descriptors():
    with pytest.raises(NetvladError, match='too few for 64 clusters'):
        find_centroids(np.ones((100, 4), np.float32), 64, seed=0)
