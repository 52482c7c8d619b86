"""Reranking: similarity and inliers decide together, and places far down may win."""

import numpy as np
import pytest

from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.features.matching import mutual_matches
from netvlad_ros.core.verification.reranking import RerankWeights, SizedFeatures, rerank
from netvlad_ros.core.verification.screening import first_places, screen_places


@pytest.fixture
def image(rng):
    """Makes features: `shared` of them are those of the query, moved; the rest is noise."""
    spots = rng.uniform(20, 300, (200, 2)).astype(np.float32)
    rows = rng.normal(size=(200, 64))

    def make(shared: int, *, moved: bool = True) -> LocalFeatures:
        found, described = spots + np.float32(7), rng.normal(size=(200, 64))
        described[:shared] = rows[:shared] + 0.1 * rng.normal(size=(shared, 64))
        if not moved:  # the same things, in places that no camera sees them in
            found = rng.permutation(found)
        unit = described / np.linalg.norm(described, axis=1, keepdims=True)
        return LocalFeatures(found, np.rint(256 * unit).clip(-127, 127).astype(np.int8))

    return make


def test_one_product_matches_many_images_as_one_by_one(image):
    query, images = image(200), [image(shared) for shared in (0, 30, 120)]
    together = mutual_matches(query, images, 'cosine')
    for each, pairs in zip(images, together, strict=True):
        (alone,) = mutual_matches(query, [each], 'cosine')
        assert np.array_equal(alone, pairs)
    (few,) = mutual_matches(query, images[2:], 'cosine', ratio=0.9)
    assert np.mean(few[:, 0] == few[:, 1]) > 0.9 and 110 <= len(few) < len(together[2])
    empty = LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 64), np.int8))
    assert not len(mutual_matches(query, [empty, images[1]], 'cosine')[0])


def test_the_right_image_wins_from_far_down(image):
    query = SizedFeatures(image(200), 480)
    candidates = [SizedFeatures(image(5), 480) for _ in range(9)]
    candidates[6] = SizedFeatures(image(120), 480)
    similarity = np.linspace(0.6, 0.5, 9)
    order, log_odds = rerank(query, candidates, similarity, 'cosine')
    assert order[0] == 6 and (np.diff(log_odds) <= 0).all()
    # Shared features without a common geometry are worth little.
    candidates[6] = SizedFeatures(image(120, moved=False), 480)
    loose, _ = rerank(query, candidates, similarity, 'cosine')
    assert loose[0] != 6


def test_similarity_decides_where_geometry_says_the_same(image):
    weights = RerankWeights()
    equal = np.array([[40, 60], [40, 60]])
    assert np.diff(weights.log_odds(np.array([0.5, 0.6]), equal))[0] == pytest.approx(4.0)
    query = SizedFeatures(image(200), 480)
    none = [SizedFeatures(image(0), 480) for _ in range(3)]
    order, _ = rerank(query, none, np.array([0.2, 0.9, 0.5]), 'cosine')
    assert order[0] == 1


def test_places_are_screened_by_their_best_image(image):
    place_of = np.array([0, 0, 2, 3, 2, -1])
    places = first_places(place_of)
    assert places.tolist() == [0, 2, 3]
    features = [image(4), image(90), image(4)]
    log_odds = -np.arange(6.0)
    screened = screen_places(place_of, log_odds, image(200), features, 'cosine')
    assert screened[0] == 2 and sorted(screened) == [0, 2, 3]
