"""The Bayes filter over places, in a simulated loop with two stretches that look alike."""

from __future__ import annotations

import functools
import time

import numpy as np
import pytest

from netvlad_ros.core.belief.belief import Belief
from netvlad_ros.core.belief.viewpoint import DOUBT
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import around, invert

PLACES, SPACING_M = 400, 0.5
LOOP_M = PLACES * SPACING_M
HERE_M, THERE_M, ALIKE_M = 20.0, 120.0, 22.0  # two stretches of that length look alike
MIDPOINT, SLOPE, RIVAL_SLOPE = 0.44, 17.7, 40.0  # those of the shipped model
HZ = 10.0
BOUNDS = {'max_speed_mps': 6.0, 'max_turn_dps': 90.0, 'spacing_m': SPACING_M, 'spacing_deg': 1.0}


def pose(way_m):
    """Camera (z forward, y down) on the loop, a circle driven counter-clockwise."""
    angle = 2 * np.pi * way_m / LOOP_M
    c, s = np.cos(angle), np.sin(angle)
    T = np.eye(4)
    T[:3, :3] = [[c, 0, -s], [s, 0, c], [0, -1, 0]]
    T[:2, 3] = LOOP_M / (2 * np.pi) * np.array([c, s])
    return T


T_MAP_CAM = np.array([pose(i * SPACING_M) for i in range(PLACES)])


class World:
    """Similarities of images to the map: errors that stay for a metre, and a camera's noise."""

    def __init__(self, seed, *, alike=0.015):
        self.seed, self.alike = seed, alike
        self.rng = np.random.default_rng(seed)
        self.error = functools.cache(self._error)

    def _error(self, on_map, metre):
        rng = np.random.default_rng([self.seed, on_map, int(metre)])
        kernel = np.exp(-0.5 * (np.arange(-8, 9) / 3.0) ** 2)
        return np.convolve(
            rng.normal(size=PLACES + 16), kernel / np.linalg.norm(kernel), mode='valid'
        )

    def similarity(self, way_m, on_map=True):
        metre, part = divmod(way_m, 1.0)
        error = np.sqrt(1 - part) * self.error(on_map, metre)
        error += np.sqrt(part) * self.error(on_map, metre + 1)
        similarity = 0.35 + 0.05 * error
        for peak in self.peaks(way_m % LOOP_M) if on_map else ():
            away = (np.arange(PLACES) * SPACING_M - peak + LOOP_M / 2) % LOOP_M - LOOP_M / 2
            near = np.exp(-0.5 * (away / 2.0) ** 2)
            similarity += near * (0.72 + self.alike * error - similarity)
        return similarity + self.rng.normal(scale=0.004, size=PLACES)

    def peaks(self, way_m):
        for one, other in ((HERE_M, THERE_M), (THERE_M, HERE_M)):
            if one <= way_m < one + ALIKE_M:
                return (way_m, way_m - one + other)
        return (way_m,)

    def drive(self, ways, *, odometry=False, belief=None):
        """Yield the belief after the image at each (way_m, on_map)."""
        belief = belief or Belief(T_MAP_CAM, **BOUNDS)
        before = None
        for way_m, on_map in ways:
            if before is not None:
                motion = None
                if odometry:  # which feels no teleport
                    step = way_m - before if abs(way_m - before) < 2.0 else 0.0
                    motion = invert(pose(0.0)) @ pose(step * self.rng.normal(1.0, 0.05))
                belief.predict(1 / HZ, motion)
            belief.update(*likelihood(self.similarity(way_m, on_map)))
            before = way_m
            yield belief


def likelihood(similarity):
    best = similarity.max()
    return RIVAL_SLOPE * (similarity - best), -SLOPE * (best - MIDPOINT)


def along(start_m, length_m, speed_mps, on_map=True):
    return [(start_m + way, on_map) for way in np.arange(0.0, length_m, speed_mps / HZ)]


def mass(belief, T, radius_m=2.0, radius_deg=45.0, mapped=T_MAP_CAM):
    return belief.probability[around(mapped, T, radius_m, radius_deg)].sum()


def right(belief, way_m):
    return mass(belief, pose(way_m))


def wrong(belief, way_m):
    """Mass of the place believed most, where that is a wrong one."""
    T = T_MAP_CAM[belief.probability.argmax()]
    is_right = np.linalg.norm(T[:3, 3] - pose(way_m)[:3, 3]) < 4.0
    return 0.0 if is_right else mass(belief, T)


@pytest.mark.parametrize('odometry', [False, True])
def test_like_stretches_are_told_apart_by_what_lies_beside_them(odometry):
    for seed in range(4):
        # Woken up within one of them, no image tells which; the end of it does.
        inside = along(HERE_M + ALIKE_M - 3.0, 3.0, 5.0)
        outside = along(HERE_M + ALIKE_M + 0.5, 6.0, 5.0)
        beliefs = World(seed).drive(inside + outside, odometry=odometry)
        trace = [
            (right(b, way), wrong(b, way))
            for b, (way, _) in zip(beliefs, inside + outside, strict=True)
        ]
        assert max(right + wrong for right, wrong in trace[:3]) > 0.8
        assert max(max(pair) for pair in trace[:3]) < 0.95
        assert max(right for right, _ in trace[-5:]) > 0.95
        # Entered from a place that is known, it stays known to its end.
        ways = along(HERE_M - 8.0, 8.0 + ALIKE_M - 1.0, 5.0)
        trace = [
            right(b, way)
            for b, (way, _) in zip(World(seed).drive(ways, odometry=odometry), ways, strict=True)
        ]
        assert min(trace[len(trace) // 2 :]) > 0.6


@pytest.mark.parametrize(
    ('odometry', 'speed_mps', 'images'), [(True, 5.0, 3), (False, 5.0, 5), (True, 1.5, 7)]
)
def test_kidnapping_is_recovered_from_without_a_wrong_certainty(odometry, speed_mps, images):
    for seed in range(6):
        ways = along(60.0, 6.0, speed_mps)
        carried = len(ways)
        ways += along(165.0, 8.0, speed_mps)
        beliefs = World(seed).drive(ways, odometry=odometry)
        trace = [(right(b, way), wrong(b, way)) for b, (way, _) in zip(beliefs, ways, strict=True)]
        assert trace[carried - 1][0] > 0.9
        assert trace[carried + images - 1][0] > 0.5
        assert max(right for right, _ in trace[-5:]) > 0.95
        assert max(wrong for _, wrong in trace[carried:]) < 0.95


@pytest.mark.parametrize('odometry', [False, True])
def test_leaving_the_map_is_noticed_and_coming_back_too(odometry):
    for seed in range(6):
        known, unmapped = along(60.0, 6.0, 5.0), along(66.0, 15.0, 5.0, on_map=False)
        back = along(165.0, 6.0, 5.0)
        ways = known + unmapped + back
        trace = [
            (right(b, way), b.elsewhere)
            for b, (way, _) in zip(World(seed).drive(ways, odometry=odometry), ways, strict=True)
        ]
        elsewhere = [elsewhere for _, elsewhere in trace[len(known) : len(known) + len(unmapped)]]
        assert trace[len(known) - 1][1] < 0.1
        assert max(elsewhere[:5]) > 0.5
        assert min(elsewhere[8:]) > 0.5
        assert max(right for right, _ in trace[-3:]) > 0.9


def test_odometry_is_worth_more_than_a_bound_on_the_speed():
    mean = {}
    for odometry in (False, True):
        ways = along(45.0, 60.0, 1.5)
        mean[odometry] = np.mean(
            [
                [
                    right(b, way)
                    for b, (way, _) in zip(
                        World(seed).drive(ways, odometry=odometry), ways, strict=True
                    )
                ]
                for seed in range(3)
            ]
        )
    assert mean[True] > 0.97
    assert mean[True] > mean[False] + 0.01


@pytest.mark.parametrize('odometry', [False, True])
def test_standing_still_before_an_ambiguous_view_decides_nothing(odometry):
    for seed in range(2):
        ways = [(HERE_M + 10.0, True)] * 1000
        for belief in World(seed).drive(ways, odometry=odometry):
            assert max(right(belief, HERE_M + 10.0), right(belief, THERE_M + 10.0)) < 0.95
        assert belief.elsewhere < 0.05


def test_odometry_carries_the_mass_where_no_image_helps():
    belief = Belief(T_MAP_CAM, **BOUNDS)
    there = np.full(PLACES, -20.0)
    there[100] = 0.0
    belief.update(there, -20.0)
    assert right(belief, 50.0) > 0.99
    for _ in range(40):
        belief.predict(1 / HZ, invert(pose(0.0)) @ pose(0.2))
    assert mass(belief, pose(58.0), 3.0) > 0.8
    sideways = np.eye(4)
    sideways[0, 3] = 5.0
    belief.predict(1.0, sideways)
    # 5 m beside the loop nothing is mapped; in so long a time one can have come back anywhere.
    assert belief.elsewhere > 0.6
    assert belief.probability.max() < 0.01


def test_time_without_images_forgets_and_no_time_does_not():
    belief = Belief(T_MAP_CAM, **BOUNDS)
    lost = belief.probability.copy()
    belief.update(*likelihood(World(0).similarity(60.0)))
    known = belief.probability.copy()
    assert known.max() > 20 * lost.max()
    belief.predict(0.0)
    belief.predict(-0.2)
    np.testing.assert_array_equal(belief.probability, known)
    belief.predict(0.5)
    assert 0.9 < mass(belief, pose(60.0), 0.5 * BOUNDS['max_speed_mps'] + 4.0, 90.0) < 1.0
    assert belief.probability.max() < known.max()
    belief.predict(300.0)
    assert belief.probability.max() < 2.0 * belief.probability.min()
    belief.reset()
    np.testing.assert_array_equal(belief.probability, lost)


def test_the_first_image_is_judged_as_if_alone():
    belief = Belief(T_MAP_CAM, **BOUNDS)
    similarity = np.full(PLACES, 0.2)
    similarity[98:103] = 0.60  # one place, seen in the images within two spacings
    belief.update(*likelihood(similarity))
    odds = np.exp(SLOPE * (0.60 - MIDPOINT) - DOUBT)
    assert belief.elsewhere == pytest.approx(1 / (1 + odds), abs=0.02)
    assert belief.probability[98:103].sum() == pytest.approx(odds / (1 + odds), abs=0.02)


def test_a_spot_photographed_often_is_not_more_probable():
    often = np.concatenate([T_MAP_CAM, np.repeat(T_MAP_CAM[200:201], 300, axis=0)])
    belief = Belief(often, **BOUNDS)
    once = Belief(T_MAP_CAM, **BOUNDS)
    assert mass(belief, pose(100.0), mapped=often) == pytest.approx(right(once, 100.0), rel=0.5)


def test_impossible_evidence():
    belief = Belief(T_MAP_CAM, **BOUNDS)
    with pytest.raises(NetvladError, match='not a number'):
        belief.update(np.full(PLACES, np.nan), 0.0)
    with pytest.raises(NetvladError, match='not a number'):
        belief.update(np.zeros(PLACES), np.nan)
    with pytest.raises(NetvladError, match='400 places'):
        belief.update(np.zeros(3), 0.0)
    with pytest.raises(NetvladError, match='finite'):
        belief.predict(0.1, np.full((4, 4), np.nan))
    with pytest.raises(NetvladError, match='go on'):
        belief.predict(float('nan'))
    belief.update(np.full(PLACES, -np.inf), -np.inf)
    assert belief.elsewhere == 1.0
    belief.predict(1.0)
    belief.update(np.where(np.arange(PLACES) == 7, 0.0, -np.inf), -np.inf)
    assert belief.probability[7] == pytest.approx(1.0)
    belief.predict(1.0)
    belief.update(np.full(PLACES, -1e9), -1e9 - 2000.0)  # of offsets only the difference counts
    assert belief.elsewhere == 0.0
    belief.predict(1.0)
    assert belief.elsewhere > 0.0  # for ever is nothing certain
    assert belief.probability.sum() + belief.elsewhere == pytest.approx(1.0)


@pytest.mark.parametrize(
    ('T_map_cam', 'bounds'),
    [
        (T_MAP_CAM[:1], {'spacing_m': 0.0, 'spacing_deg': 0.0}),
        (np.repeat(T_MAP_CAM[:1], 500, axis=0), {'spacing_m': 0.0, 'spacing_deg': 0.0}),
        (T_MAP_CAM, {'spacing_m': 1e9}),
        (T_MAP_CAM + 1e9 * np.eye(4, k=3), {}),
        (T_MAP_CAM * np.where(np.arange(4) == 3, 1e7, 1.0), {}),
        (T_MAP_CAM, {'max_speed_mps': 0.0, 'max_turn_dps': 0.0}),
        (T_MAP_CAM, {'max_speed_mps': 1e12, 'max_turn_dps': 1e12}),
    ],
)
def test_odd_maps_keep_the_mass(T_map_cam, bounds):
    belief = Belief(T_map_cam, **{**BOUNDS, **bounds})
    likely = np.zeros(len(T_map_cam))
    for dt_s, motion in [
        (0.1, None),
        (0.1, pose(3.0)),
        (1e-9, None),
        (1e6, None),
        (5.0, np.eye(4)),
    ]:
        belief.predict(dt_s, motion)
        belief.update(likely, -3.0)
        assert (belief.probability >= 0).all()
        assert belief.probability.sum() + belief.elsewhere == pytest.approx(1.0)


def test_maps_that_are_none_are_refused():
    for T in (np.zeros((0, 4, 4)), np.full((2, 4, 4), np.nan)):
        with pytest.raises(NetvladError, match='poses'):
            Belief(T, **BOUNDS)
    with pytest.raises(NetvladError, match='spacings'):
        Belief(T_MAP_CAM, **{**BOUNDS, 'spacing_m': np.inf})


@pytest.mark.parametrize('odometry', [False, True])
def test_ten_thousand_places_take_milliseconds(odometry):
    places = 10_000
    T = np.array([pose(i * LOOP_M / places * 7.3) for i in range(places)])
    T[:, 2, 3] = np.arange(places) // 1500  # the loop again and again, a metre higher each time
    belief = Belief(T, **BOUNDS)
    rng = np.random.default_rng(0)
    times_ms = []
    for n in range(60):
        log_likelihood = np.full(places, -8.0)
        log_likelihood[rng.integers(0, places, 990)] = rng.uniform(-8.0, -3.0, 990)
        log_likelihood[3 * n : 3 * n + 5] = 0.0
        start = time.perf_counter()
        belief.predict(0.1, invert(T[3 * n]) @ T[3 * n + 3] if odometry else None)
        belief.update(log_likelihood, -4.0)
        assert belief.elsewhere < 1.0
        times_ms.append(1e3 * (time.perf_counter() - start))
    assert np.median(times_ms) < 10.0  # 1 ms on a quiet core


def test_two_cameras_that_stand_still_are_two_witnesses_and_no_more():
    belief = Belief(T_MAP_CAM, **BOUNDS)
    likely = np.full((2, PLACES), -8.0)
    likely[0, [100, 300]] = 0.0  # one camera cannot tell 100 from 300,
    likely[1, [100, 200]] = 0.0, -2.0  # the other can tell 100 from 200, but not for sure
    after_one_round = None
    for _ in range(100):
        for camera, log_likelihood in ((b'front', likely[0]), (b'rear', likely[1])):
            belief.update(log_likelihood, -3.0, camera)
            belief.predict(0.05, np.eye(4))
        after_one_round = after_one_round or belief.probability[100]
    assert 0.5 < after_one_round < 0.99
    assert belief.probability[100] == pytest.approx(after_one_round, abs=0.01)
