"""Mining: correct tuples, the same in every run, within the given memory."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('torch')

from tiny_places import place_images

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.sections import MODES, MiningConfig, SupervisionConfig
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.mining import descriptor_cache
from netvlad_ros.training.mining.descriptor_cache import DescriptorCache
from netvlad_ros.training.mining.hard_miner import hardest_negatives
from netvlad_ros.training.mining.make_miner import make_miner
from netvlad_ros.training.mining.miner_memory import QueryOrder
from netvlad_ros.training.mining.positives import GeometricPositive


def supervision(positions, images=(), *, is_query=None, is_database=None):
    """Images along one line [m], each its own recording."""
    source = place_images(
        positions_m=[[x, 0] for x in positions],
        images=images,
        recordings=range(len(positions)),
        areas='a' * len(positions),
        is_query=is_query,
        is_database=is_database,
    )
    return Supervision([source], SupervisionConfig(positive_radius_m=10, negative_radius_m=25))


def by_angle(degrees):
    angle = np.radians(np.array(degrees, float))
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return lambda indices: rows[indices]


def random_rows(count, dim=16):
    rows = np.random.default_rng(5).normal(size=(count, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return lambda indices: rows[indices]


def mined(miner, count, number=0):
    """{query: (positive, negatives)} of one round."""
    found = {}
    for batch in miner.round(number, count):
        for positions in batch.tuples:
            query, positive, *negatives = batch.images[positions[positions >= 0]].tolist()
            found[query] = (positive, tuple(negatives))
    return found


def plain(batches):
    return [{name: getattr(b, name).tolist() for name in vars(b)} for b in batches]


@pytest.mark.parametrize('mode', ['partial', 'full'])
def test_best_positive_and_hardest_definite_negatives(mode):
    #             q  far near  between  hard hardest easy
    world = supervision([0, 10, -10, 20, 60, 100, 140])
    describe = by_angle([0, 50, 10, 1, 20, 15, 90])
    config = MiningConfig(mode=mode, negatives=2, pool=7)
    found = mined(make_miner(config, world, describe, batch=2, seed=0), len(world.queries))
    assert sorted(found) == [0, 1, 2, 3]  # nothing else has a positive within 10 m
    assert found[0] == (2, (5, 4))  # image 3 is the most similar, but at 20 m it is neither


def test_pairs_and_labels_of_a_batch():
    world = supervision([0, 5, 20, 60, 62, 300])
    config = MiningConfig(mode='full', negatives=1)
    (batch,) = make_miner(config, world, by_angle([0, 5, 3, 10, 40, 8]), batch=4, seed=0).round(
        0, 4
    )
    assert batch.tuples.shape == (4, 3)
    assert sorted(batch.tuples.ravel()) == list(range(12)) == list(range(len(batch)))
    metres = np.array([0, 5, 20, 60, 62, 300])[batch.images]
    far = np.abs(metres[:, None] - metres) > 25
    np.testing.assert_array_equal(batch.negative, far)
    chosen = {(int(q), int(p)) for q, p, _ in batch.tuples}
    assert {tuple(pair) for pair in np.argwhere(batch.positive)} == chosen | {
        (p, q) for q, p in chosen
    }
    np.testing.assert_array_equal(batch.labels, world.cells()[0][batch.images])


def domains_of(sizes, gap=100):
    """Places of two images each; every domain is an area of its own."""
    sources = [
        place_images(
            name, positions_m=[[gap * (i // 2), i % 2] for i in range(2 * size)],
            recordings=range(2 * size), areas=[name] * (2 * size),
        )
        for name, size in sizes.items()
    ]  # fmt: skip
    return Supervision(sources, SupervisionConfig())


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('hard_places', [False, True])
def test_a_round_has_as_many_queries_of_a_small_domain_as_of_a_large_one(mode, hard_places):
    world = domains_of({'large': 60, 'medium': 20, 'small': 8})
    config = MiningConfig(
        mode=mode, pool=30, negatives=2, choice=2, images_per_place=2, hard_places=hard_places
    )
    miner = make_miner(config, world, random_rows(len(world)), batch=3, seed=0)
    for number in range(3):
        images = np.concatenate(
            [
                batch.images[batch.tuples[:, 0]] if len(batch.tuples) else batch.images[::2]
                for batch in miner.round(number, 18)
            ]
        )
        assert np.bincount(world.domains[images]).tolist() == [6, 6, 6]


def test_a_small_domain_repeats_its_queries_in_epochs_of_its_own():
    order = QueryOrder(np.arange(12), 3, np.repeat([0, 1], [9, 3]))
    taken = np.concatenate([order.take(count) for count in (5, 0, 8, 5)])
    assert sorted(taken[::2]) == list(range(9))
    assert [sorted(taken[1::2][i : i + 3]) for i in (0, 3, 6)] == [[9, 10, 11]] * 3
    again = QueryOrder(np.arange(12), 3, np.repeat([0, 1], [9, 3]))
    again.restore({'drawn': 5})
    np.testing.assert_array_equal(again.take(13), taken[5:])


def test_only_database_images_are_negatives():
    world = supervision([0, 1, 100, 200], is_query=[1, 0, 1, 1], is_database=[0, 1, 0, 1])
    for mode in ('partial', 'full', 'random'):
        miner = make_miner(MiningConfig(mode=mode), world, random_rows(4), batch=1, seed=0)
        assert mined(miner, 1) == {0: (1, (3,))}


def test_a_negative_of_the_last_epoch_is_tried_again():
    world = supervision([0, 1, *range(100, 2100, 100)])
    describe = random_rows(22)
    similar = describe(np.array([0])) @ describe(np.arange(22)).T
    hardest = 2 + int(similar[0, 2:].argmax())
    for remember in (True, False):
        config = MiningConfig(pool=4, negatives=1, remember=remember)
        miner = make_miner(config, world, describe, batch=2, seed=1)
        kept = [mined(miner, 2, number)[0][1][0] for number in range(40)]
        first = kept.index(hardest)
        assert first > 0  # a pool of four does not hold it at once
        assert (set(kept[first:]) == {hardest}) == remember


def test_full_mining_equals_brute_force(monkeypatch):
    monkeypatch.setattr(descriptor_cache, 'BLOCK_BYTES', 4 * 16 * 70)
    monkeypatch.setattr(descriptor_cache, 'DESCRIBED_AT_ONCE', 33)
    positions = np.random.default_rng(2).uniform(0, 600, 300)
    world, describe = supervision(positions), random_rows(300)
    rows = describe(np.arange(300))
    config = MiningConfig(mode='full', negatives=7)
    found = mined(make_miner(config, world, describe, batch=8, seed=0), 300)
    assert len(found) == len(world.queries) > 250
    for query, (positive, negatives) in found.items():
        metres = np.abs(positions - positions[query])
        order = np.argsort(-(rows @ rows[query]), kind='stable')
        near = [i for i in order if metres[i] <= 10 and i != query]
        assert positive == near[0]
        assert negatives == tuple([i for i in order if metres[i] > 25][:7])


def test_choice_keeps_the_hardest():
    positions = np.random.default_rng(2).uniform(0, 600, 100)
    world, describe = supervision(positions), random_rows(100)
    rows = describe(np.arange(100))

    def hardness(found):
        return [float(rows[q] @ (rows[n[0]] - rows[p])) for q, (p, n) in found.items()]

    count = len(world.queries) // 4
    every = MiningConfig(mode='full')
    chosen = MiningConfig(mode='full', choice=4)
    everyone = hardness(mined(make_miner(every, world, describe, batch=2, seed=0), 4 * count))
    kept = hardness(mined(make_miner(chosen, world, describe, batch=2, seed=0), count))
    assert sorted(kept) == sorted(everyone)[-count:]


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('hard_places', [False, True])
def test_a_resumed_run_draws_the_same(mode, hard_places):
    world = supervision(np.random.default_rng(1).uniform(0, 2000, 300))
    config = MiningConfig(mode=mode, pool=30, positives='random', hard_places=hard_places, choice=2)

    def fresh():
        return make_miner(config, world, random_rows(300), batch=4, seed=7)

    through, first = fresh(), fresh()
    expected = [plain(through.round(number, 60)) for number in range(8)]
    for number in range(5):
        first.round(number, 60)
    resumed = fresh()
    resumed.restore(json.loads(json.dumps(first.state())))
    assert [plain(resumed.round(number, 60)) for number in range(5, 8)] == expected[5:]
    assert all(len(batches) == 15 for batches in expected)
    assert expected[0] != expected[1]


def test_every_query_comes_once_an_epoch_and_a_short_round_is_filled_up():
    world = supervision(np.random.default_rng(1).uniform(0, 2000, 200))
    miner = make_miner(MiningConfig(mode='random'), world, random_rows(200), batch=3, seed=0)
    size = len(world.queries)
    seen = [q for number in range(2) for q in mined(miner, size // 2, number)]
    assert len(set(seen)) == len(seen) == size // 2 * 2
    lonely = supervision([0, 1, 2, 3, 28, 29])  # 1 to 3 are near all, except for one or two
    batches = make_miner(MiningConfig(mode='full'), lonely, random_rows(6), batch=4, seed=0)
    assert [len(b.tuples) for b in batches.round(0, 6)] == [4, 2]


def test_random_mining_describes_nothing():
    def describe(indices):
        raise AssertionError('described')

    positions = np.random.default_rng(1).uniform(0, 2000, 200)
    world = supervision(positions)
    miner = make_miner(MiningConfig(mode='random'), world, describe, batch=4, seed=0)
    found = mined(miner, 100)
    assert len(found) == 100
    for query, (positive, negatives) in found.items():
        assert abs(positions[query] - positions[positive]) <= 10
        assert (np.abs(positions[query] - positions[list(negatives)]) > 25).all()
        assert len(set(negatives)) == 10


def test_groups_hold_places_apart_from_each_other():
    positions = np.concatenate([np.arange(40) * 15.0, np.arange(40) * 15.0 + 4, [5000.0]])
    world = supervision(positions)
    config = MiningConfig(mode='groups', images_per_place=3, places='all')
    batches = make_miner(config, world, random_rows(81), batch=5, seed=0).round(0, 80)
    assert [len(batch) for batch in batches] == [15] * 16
    for batch in batches:
        assert not len(batch.tuples)
        metres = np.abs(positions[batch.images][:, None] - positions[batch.images])
        np.testing.assert_array_equal(batch.negative, metres > 25)
        np.testing.assert_array_equal(
            batch.positive, (metres <= 10) & ~np.eye(len(batch), dtype=bool)
        )
    for batch in batches:
        assert (batch.negative[::3, ::3] | np.eye(5, dtype=bool)).all()
    again = next(b.images for b in batches if 80 in b.images) == 80  # it has no positive
    assert again.sum() == 3


def test_hard_groups_look_alike():
    world = supervision(np.repeat(np.arange(60) * 100.0, 2) + np.tile([0.0, 3.0], 60))
    rows = np.repeat(np.eye(6, dtype=np.float32), 20, axis=0)  # six kinds of places, ten of each

    config = MiningConfig(mode='groups', images_per_place=2, hard_places=True, choice=4)
    batches = make_miner(config, world, lambda i: rows[i], batch=5, seed=0).round(0, 30)
    alike = [len(set((b.images // 20).tolist())) == 1 for b in batches]
    assert all(alike)


def test_hardest_negatives_go_past_any_number_of_forbidden_ones():
    similar = np.linspace(1, 0, 1000, dtype=np.float32)[::-1].copy()
    indices = np.arange(1000)
    found = hardest_negatives(similar, indices, lambda c: c < 300, 5)
    assert found.tolist() == [299, 298, 297, 296, 295]
    assert not len(hardest_negatives(similar, indices, lambda c: c < 0, 5))


@pytest.mark.parametrize(('cache_mb', 'kind'), [(8, np.float32), (4, np.float16), (1, np.memmap)])
def test_cache_keeps_to_its_memory(cache_mb, kind):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 512)).astype(np.float32)  # 6 MB
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    images = np.sort(rng.choice(9000, 3000, replace=False))
    place = {int(index): i for i, index in enumerate(images)}
    cache = DescriptorCache(lambda i: rows[[place[int(k)] for k in i]], images, cache_mb)
    kept = cache._rows
    assert isinstance(kept, kind) if kind is np.memmap else kept.dtype == kind
    chosen = rng.choice(images, 500)
    found = cache.similarities(chosen[:20], chosen)
    left, right = (rows[[place[int(k)] for k in part]] for part in (chosen[:20], chosen))
    np.testing.assert_allclose(found, left @ right.T, atol=1e-6 if kind is np.float32 else 1e-4)
    np.testing.assert_allclose(cache.similarities(images[:2], images), kept[:2] @ kept.T, atol=1e-4)


def draw_scene(seed, shift=0, light=1.0):
    """An image full of corners that geometry can match; shift moves the camera [px]."""
    rng = np.random.default_rng(seed)
    scene = np.zeros((300, 600, 3), np.uint8)
    for _ in range(250):
        x, y, w, h = rng.integers(0, (600, 300, 40, 40))
        cv2.rectangle(
            scene, (int(x), int(y)), (int(x + w), int(y + h)), rng.integers(40, 255, 3).tolist(), -1
        )
    return (scene[:, 100 + shift : 500 + shift] * light).astype(np.uint8)


def test_geometric_positive_is_the_hardest_that_is_verified(tmp_path):
    scenes = [
        draw_scene(0),
        draw_scene(0, 20),
        draw_scene(0, 60, 0.5),
        draw_scene(1),
        draw_scene(2),
    ]
    paths = [tmp_path / f'{i}.png' for i in range(5)]
    for path, scene in zip(paths, scenes, strict=True):
        cv2.imwrite(str(path), scene)
    world = supervision([0, 2, 4, 6, 100], paths)
    describe = by_angle([0, 10, 40, 60, 30])  # the dark view is far; another scene still farther
    taken = {}
    for positives in ('best', 'geometric'):
        config = MiningConfig(mode='full', positives=positives)
        taken[positives] = mined(make_miner(config, world, describe, batch=1, seed=0), 4)
    assert taken['best'][0][0] == 1
    assert taken['geometric'][0][0] == 2
    assert (
        taken['geometric'][3][0] == taken['best'][3][0] == 2
    )  # nothing verified: the most similar
    check = GeometricPositive(paths, 5, 30)
    assert check.inliers(0, 2) > 50 > 15 > check.inliers(0, 3)
    paths[0].unlink()
    assert check.inliers(0, 3) < 15  # kept for the pair


def test_bad_input_gets_one_sentence(monkeypatch):
    config, describe = MiningConfig(pool=5), random_rows(6)
    with pytest.raises(
        NetvladError, match='none of the 3 training images has a potential positive'
    ):
        make_miner(config, supervision([0, 100, 200]), describe, batch=1, seed=0)
    near = supervision([0, 1, 2])
    for mode in ('partial', 'full', 'random'):
        miner = make_miner(MiningConfig(mode=mode), near, describe, batch=1, seed=0)
        with pytest.raises(NetvladError, match='none of 3 queries has a definite negative'):
            miner.round(0, 3)
    world = supervision([0, 1, 100, 101])
    broken = make_miner(config, world, lambda i: np.full((len(i), 4), np.nan), batch=1, seed=0)
    with pytest.raises(NetvladError, match='not finite: training has diverged'):
        broken.round(0, 2)
    miner = make_miner(config, world, describe, batch=1, seed=0)
    other = make_miner(config, supervision([0, 1, 2, 3, 100, 101]), describe, batch=1, seed=0)
    other.round(0, 6)
    for state in (other.state(), {'drawn': 3}, {'drawn': -1}, {'drawn': 1, 'remembered': [3]}):
        with pytest.raises(NetvladError, match='the mining state'):
            miner.restore(state)

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(descriptor_cache.os, 'posix_fallocate', full)
    with pytest.raises(NetvladError, match='No space left on device; free space, set TMPDIR'):
        DescriptorCache(lambda i: np.ones((len(i), 4096), np.float32), np.arange(600), 1)
