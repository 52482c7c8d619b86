"""PCA whitening, and whitening by pairs that show one place."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')


from tiny_network import make_network  # noqa: E402

from netvlad_ros.core.camera.image import read_image  # noqa: E402
from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.fitting import initialisation  # noqa: E402
from netvlad_ros.training.fitting.domain_balance import (  # noqa: E402
    balanced_draw,
    balanced_part,
    balanced_weights,
)
from netvlad_ros.training.fitting.initialisation import sample_local_descriptors  # noqa: E402
from netvlad_ros.training.fitting.pca_whitening import pca_whitening  # noqa: E402
from netvlad_ros.training.fitting.supervised_whitening import supervised_whitening  # noqa: E402
from netvlad_ros.training.fitting.whitening_fit import fit_whitening  # noqa: E402
from netvlad_ros.training.network.image_view import ImageView  # noqa: E402
from netvlad_ros.training.network.whitening import Whitening  # noqa: E402

pytestmark = pytest.mark.usefixtures('seeded_torch')


@pytest.mark.parametrize('count', [40, 400])  # fewer and more images than dimensions
def test_whitening_makes_the_kept_directions_orthonormal(rng, count):
    x = rng.normal(size=(count, 60)) @ rng.normal(size=(60, 60)) + 3.0
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


@pytest.mark.parametrize('width', [5, 60])  # fewer and more dimensions than images
def test_whitening_uses_the_mean_of_the_covariances_of_the_domains(rng, width):
    small = rng.normal(size=(6, width)) + 2.0
    large = rng.normal(size=(34, width)) @ rng.normal(size=(width, width))
    x = np.concatenate([large, small])
    weights = balanced_weights(np.repeat([1, 0], [34, 6]))
    matrix, mean = pca_whitening(x, 4, weights=weights)
    expected = (small.mean(0) + large.mean(0)) / 2
    np.testing.assert_allclose(mean, expected, atol=1e-12)
    covariance = sum((part - expected).T @ (part - expected) / len(part) for part in (small, large))
    whitened = matrix @ (covariance / 2) @ matrix.T
    np.testing.assert_allclose(whitened, np.eye(4) * 39 / 40, atol=1e-8)
    total = np.linalg.eigvalsh(covariance / 2)[::-1][:4]
    np.testing.assert_allclose(1.0 / (matrix**2).sum(1), total * 40 / 39, rtol=1e-8)
    assert balanced_weights(np.zeros(9, dtype=np.int64)) is None


def test_draws_and_parts_are_balanced_over_domains(rng):
    domains = np.repeat([0, 1, 2], [50, 4, 20])
    assert [len(part) for part in balanced_draw(rng, domains, 30)] == [10, 4, 10]
    part = balanced_part(domains, 30)
    assert np.bincount(domains[part]).tolist() == [13, 4, 13]
    np.testing.assert_array_equal(balanced_part(domains, 99), np.arange(74))
    one = np.zeros(10, dtype=np.int64)
    np.testing.assert_array_equal(balanced_part(one, 4), [0, 2, 5, 7])


def test_every_domain_gives_k_means_as_many_local_descriptors(image_files, monkeypatch):
    monkeypatch.setattr(initialisation, 'LOCAL_PER_IMAGE', 10)
    network = make_network(local_descriptors=100).eval()
    alone = sample_local_descriptors(network, image_files[-3:], seed=0)
    assert len(alone) == 30  # 10 an image
    domains = np.repeat([0, 1], [len(image_files) - 3, 3])
    both = sample_local_descriptors(network, image_files, seed=0, domains=domains)
    assert len(both) == 50 + 51  # of five images, and 17 of each of the three


def test_supervised_whitening_solves_the_generalised_eigenproblem(rng):
    count, width, dim = 3000, 12, 5
    nuisance = np.eye(width) + 0.3 * rng.normal(size=(width, width))
    places = rng.normal(size=(count // 2, width)) * np.linspace(2.0, 0.5, width)
    x = np.repeat(places, 2, axis=0) + rng.normal(size=(count, width)) @ nuisance
    pairs = np.arange(count).reshape(-1, 2)
    matrix, mean = supervised_whitening(x.astype(np.float32), pairs, dim)
    np.testing.assert_allclose(mean, x.mean(0), atol=1e-5)
    # The method of Radenovic et al.: Cholesky of the within-class covariance, then PCA.
    difference = x[pairs[:, 0]] - x[pairs[:, 1]]
    within = difference.T @ difference / len(pairs)
    inverse = np.linalg.inv(np.linalg.cholesky(within))
    _, vectors = np.linalg.eigh(np.cov(inverse @ x.T))
    expected = vectors[:, ::-1][:, :dim].T @ inverse
    expected *= np.sign((expected * matrix).sum(1))[:, None]
    size = np.linalg.norm(matrix, axis=1) / np.linalg.norm(expected, axis=1)
    np.testing.assert_allclose(matrix / size[:, None], expected, atol=1e-4)
    assert (size > 0.3).all() and (size < 1.01).all()  # the estimates are shrunk towards their mean
    plain = supervised_whitening(x, pairs, width, shrinkage=1.0).matrix
    whitened = plain @ np.cov(x.T) @ plain.T
    np.testing.assert_allclose(whitened / whitened[0, 0], np.eye(width), atol=1e-6)


def test_supervised_whitening_finds_places_where_pca_finds_lighting(rng):
    places = rng.normal(size=(200, 30))
    light = 3.0 * rng.normal(size=(400, 8)) @ rng.normal(size=(8, 30))
    x = np.repeat(places, 2, axis=0) + light + 0.3 * rng.normal(size=(400, 30))

    def recall(projection):
        y = (x - projection.mean) @ projection.matrix.T
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        similarity = y @ y.T - 2.0 * np.eye(400)
        return np.mean(similarity[::2].argmax(1) == np.arange(1, 400, 2))

    train = np.arange(200).reshape(-1, 2)  # pairs of the first hundred places only
    assert recall(supervised_whitening(x, train, 12)) > recall(pca_whitening(x, 12)) + 0.1


def test_whitening_refuses_what_does_not_span_it(rng):
    with pytest.raises(NetvladError, match='needs more than 8'):
        pca_whitening(np.ones((8, 60)), 8)
    with pytest.raises(NetvladError, match='fewer than 8 directions'):
        pca_whitening(rng.normal(size=(40, 3)) @ rng.normal(size=(3, 60)), 8)
    with pytest.raises(NetvladError, match='needs pairs'):
        supervised_whitening(np.ones((40, 3)), np.empty((0, 2), np.int64), 2)
    with pytest.raises(NetvladError, match='names an image that is not there'):
        supervised_whitening(rng.normal(size=(40, 3)), np.array([[0, 40]]), 2)
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


def test_views_give_directions_that_the_images_alone_do_not_span(image_files):
    few = image_files[:5]
    refused = make_network(pooling='mac', dim=6)
    with pytest.raises(NetvladError, match='needs more than 6'):
        fit_whitening(refused, few)
    viewed = make_network(pooling='mac', dim=6, whitening_views=4)
    fit_whitening(viewed, few)
    assert viewed.whitening.fitted
    whole, mirrored, zoomed, both = (ImageView(few[0], kind, 4).read() for kind in range(4))
    np.testing.assert_array_equal(whole, read_image(few[0]))
    np.testing.assert_array_equal(mirrored, whole[:, ::-1])
    height, width = whole.shape[:2]
    middle = whole[height // 4 :, width // 4 :][: height // 2, : width // 2]
    np.testing.assert_array_equal(zoomed, middle)
    corner = whole[height - height // 2 :, width - width // 2 :]  # another window than the third's
    np.testing.assert_array_equal(both, corner[:, ::-1])
