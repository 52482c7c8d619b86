"""Matching: equal features are matched, those that are not distinct are not."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_scene import appearance, features

from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.features.matching import match_features

RATIO = 0.8


def grid(n: int) -> np.ndarray:
    return np.column_stack([np.arange(n) % 30, np.arange(n) // 30]) * 15.0 + 7.0


@pytest.mark.parametrize('metric', ['cosine', 'hamming'])
def test_the_same_things_are_matched_and_others_not(rng, metric):
    if metric == 'cosine':
        looks, noise = appearance(rng, 200), rng.integers(0, 12, (200, 128)).astype(np.uint8)
        changed = looks + noise
    else:
        looks = rng.integers(0, 256, (200, 32), dtype=np.uint8)
        changed = looks ^ (rng.random((200, 32)) < 0.3).astype(np.uint8)  # one bit in a few bytes
    order = rng.permutation(200)
    query = LocalFeatures(grid(200)[:150].astype(np.float32), changed[order][:150])
    mapped = LocalFeatures(grid(120).astype(np.float32), looks[:120])
    matches = match_features(query, mapped, metric, ratio=RATIO)
    assert matches.dtype == np.int64 and matches.shape[1] == 2
    assert (order[matches[:, 0]] == matches[:, 1]).all()
    assert len(matches) >= 0.95 * (order[:150] < 120).sum()


def test_half_floats_of_a_network_are_compared_too(rng):
    unit = rng.normal(size=(50, 64))
    unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float16)
    both = LocalFeatures(grid(50).astype(np.float32), unit)
    matches = match_features(both, both, 'cosine', ratio=RATIO)
    assert sorted(matches.tolist()) == [[i, i] for i in range(50)]


@pytest.mark.parametrize('metric', ['cosine', 'hamming'])
def test_repeated_texture_matches_nothing(rng, metric):
    one = appearance(rng, 1)[:, : 128 if metric == 'cosine' else 32]
    wall = LocalFeatures(grid(100).astype(np.float32), np.repeat(one, 100, axis=0))
    assert len(match_features(wall, wall, metric, ratio=RATIO)) == 0


def test_orientations_of_one_corner_are_no_rivals_and_count_once(rng):
    looks = appearance(rng, 40)
    place = grid(40)
    # Each corner of the map occurs twice at one spot, with nearly equal descriptors.
    mapped = features(np.repeat(place, 2, axis=0), np.repeat(looks, 2, axis=0), rng)
    query = features(np.repeat(place, 2, axis=0), np.repeat(looks, 2, axis=0), rng)
    matches = match_features(query, mapped, 'cosine', ratio=RATIO)
    assert (matches[:, 0] // 2 == matches[:, 1] // 2).all()
    assert len(matches) >= 38
    assert len(np.unique(matches[:, 0] // 2)) == len(matches)
    assert len(np.unique(matches[:, 1] // 2)) == len(matches)


@pytest.mark.parametrize('n', [0, 1])
def test_an_image_without_features_matches_nothing(rng, n):
    few = LocalFeatures(grid(n).astype(np.float32).reshape(n, 2), appearance(rng, n))
    many = LocalFeatures(grid(20).astype(np.float32), appearance(rng, 20))
    for a, b in ((few, many), (many, few), (few, few)):
        assert match_features(a, b, 'cosine', ratio=RATIO).shape == (0, 2)
