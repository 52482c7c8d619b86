"""Two views and what follows from several of them, without landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_scene import FISHEYE, HEIGHT, PINHOLE, WIDTH, box, errors, pose, seen

from netvlad_ros.core.geometry import invert
from netvlad_ros.core.pose.bearing_intersection import Bearing, intersect_bearings
from netvlad_ros.core.pose.relative_motion import essential_matrix, sampson_distance
from netvlad_ros.core.pose.two_view import TwoView, two_view

T_QUERY = pose(0.6, -0.1, 0.3, (3, -8, 4))


def matches(points, T_query, T_map, rng, *, camera=PINHOLE, wrong=0.0):
    """Pixels (m, 2) in both images of points that both see, a share of them wrong."""
    in_query, a = seen(points, T_query, camera, rng)
    in_map, b = seen(points, T_map, camera, rng)
    _, i, j = np.intersect1d(a, b, return_indices=True)
    in_query, in_map = in_query[i], in_map[j]
    bad = rng.random(len(i)) < wrong
    in_map[bad] = rng.uniform(0, (WIDTH, HEIGHT), (bad.sum(), 2))
    return in_query, in_map


def explain(in_query, in_map, query_camera=PINHOLE, map_camera=PINHOLE) -> TwoView:
    return two_view(
        in_query, in_map, query_camera, map_camera, (WIDTH, HEIGHT), max_px=3.0, min_inliers=12
    )


@pytest.mark.parametrize('camera', [PINHOLE, FISHEYE], ids=['plumb_bob', 'equidistant'])
def test_direction_and_rotation_with_half_of_the_matches_wrong(rng, camera):
    in_query, in_map = matches(box(rng, 400), T_QUERY, pose(), rng, camera=camera, wrong=0.5)
    view = explain(in_query, in_map, camera, camera)
    assert view.model == 'essential' and view.degenerate == ''
    turn = Rotation.from_matrix(view.R_map_query @ T_QUERY[:3, :3].T).magnitude()
    truth = T_QUERY[:3, 3] / np.linalg.norm(T_QUERY[:3, 3])
    off_deg = np.degrees(np.arccos(view.direction @ truth))
    assert np.degrees(turn) < 1.0
    assert off_deg < 5.0 and off_deg < 4 * max(view.sigma_deg, 0.5)


@pytest.mark.parametrize('metres', [0.0, 0.005])
def test_a_turn_on_the_spot_gives_no_direction(rng, metres):
    T = pose(metres, 0, 0, (3, -8, 4))
    view = explain(*matches(box(rng, 200), T, pose(), rng, wrong=0.3))
    assert view.degenerate == 'pure rotation' and view.direction is None
    assert view.inliers.sum() > 80  # still evidence for the place


def test_one_wall_gives_no_direction(rng):
    wall = box(rng, 200)
    wall[:, 2] = 4.0 + 0.3 * wall[:, 0]
    view = explain(*matches(wall, T_QUERY, pose(), rng, wrong=0.3))
    assert view.degenerate == 'one plane' and view.direction is None
    assert view.inliers.sum() > 80


def test_random_matches_are_no_evidence_at_all(rng):
    for cameras in ((PINHOLE, PINHOLE), (None, PINHOLE), (PINHOLE, None)):
        for n in (0, 8, 20, 50, 150):
            for _ in range(3):
                a, b = rng.uniform(0, (WIDTH, HEIGHT), (2, n, 2))
                view = explain(a, b, *cameras)
                assert view.model == '' and not view.inliers.any() and view.degenerate


def test_inliers_in_one_spot_are_no_evidence(rng):
    in_query, in_map = matches(box(rng, 4000), T_QUERY, pose(), rng)
    spot = (np.abs(in_query - 320) < 35).all(axis=1)
    assert spot.sum() > 25
    view = explain(in_query[spot], in_map[spot])
    assert view.degenerate == 'inliers in one spot' and not view.inliers.any()


def test_without_a_calibration_inliers_are_counted_only(rng):
    curved = explain(*matches(box(rng, 200), T_QUERY, pose(), rng, wrong=0.3), None)
    assert curved.model == 'fundamental' and curved.inliers.sum() > 80
    wall = box(rng, 200)
    wall[:, 2] = 5.0
    flat = explain(*matches(wall, T_QUERY, pose(), rng, wrong=0.3), None)
    assert flat.model == 'homography' and flat.inliers.sum() > 80
    assert curved.direction is None and flat.direction is None


def test_sampson_distance_of_one_pose_and_of_one_pose_a_match(rng):
    rays_a, rays_b = (np.column_stack([rng.normal(size=(20, 2)), np.ones(20)]) for _ in 'ab')
    T = invert(T_QUERY)
    essential = essential_matrix(T[:3, :3], T[:3, 3])
    # Hartley and Zisserman, equation 11.9, one match at a time.
    expected = [
        (b @ essential @ a) / np.linalg.norm([*(essential @ a)[:2], *(essential.T @ b)[:2]])
        for a, b in zip(rays_a, rays_b, strict=True)
    ]
    found = sampson_distance(rays_a, rays_b, essential)
    assert found == pytest.approx(expected)
    each = essential_matrix(np.tile(T[:3, :3], (20, 1, 1)), np.tile(T[:3, 3], (20, 1)))
    assert sampson_distance(rays_a, rays_b, each) == pytest.approx(found)


def bearings_of(T_query, T_maps, rng, sigma_deg=1.0) -> list[Bearing]:
    """Bearings of the query from map cameras, with errors of sigma_deg."""
    bearings = []
    for T_map in T_maps:
        T = invert(T_map) @ T_query
        noise = Rotation.from_rotvec(np.radians(rng.normal(0, sigma_deg / 1.4, (2, 3))))
        direction = noise[0].apply(T[:3, 3] / np.linalg.norm(T[:3, 3]))
        bearings.append(Bearing(T_map, noise[1].as_matrix() @ T[:3, :3], direction, sigma_deg))
    return bearings


AROUND = [pose(0, 0, 0), pose(1.5, 0.1, -0.2), pose(0.3, 0.8, -1.0), pose(-0.7, 0, 0.6)]


def test_directions_from_several_map_images_meet(rng):
    nees = []
    for _ in range(40):
        found = intersect_bearings(bearings_of(T_QUERY, AROUND, rng))
        metres, degrees = errors(found.T_map_cam, T_QUERY)
        assert metres < 0.2 and degrees < 4
        off = found.T_map_cam[:3, 3] - T_QUERY[:3, 3]
        nees.append(off @ np.linalg.solve(found.covariance[:3, :3], off))
    assert np.mean(nees) < 4.0  # 3 degrees of freedom


def test_one_wrong_bearing_among_several_is_left_out(rng):
    for _ in range(20):
        bearings = bearings_of(T_QUERY, AROUND, rng)
        wrong = bearings_of(pose(-2, 1, 2, (0, 40, 0)), AROUND[:1], rng)[0]
        found = intersect_bearings([wrong, *bearings[1:]])
        assert found.used.tolist() == [False, True, True, True]
        assert errors(found.T_map_cam, T_QUERY)[0] < 0.3


def test_too_few_or_parallel_directions_are_no_position(rng):
    assert intersect_bearings([]).T_map_cam is None
    assert intersect_bearings(bearings_of(T_QUERY, AROUND[:1], rng)).T_map_cam is None
    assert intersect_bearings(bearings_of(T_QUERY, AROUND[:2], rng)).degenerate
    same = intersect_bearings(bearings_of(T_QUERY, [pose()] * 4, rng, 0.1))
    assert same.T_map_cam is None and same.degenerate


def test_one_wrong_direction_across_a_straight_drive_gives_no_certain_pose(rng):
    # A straight drive in a corridor: all directions are along it, but a wrong one crosses them.
    straight = [pose(0, 0, z) for z in (-6.0, -4.0, 4.0)]
    for _ in range(40):
        bearings = bearings_of(pose(0.05, 0, 0), straight, rng)
        false_deg = rng.uniform(20, 70)
        aside = bearings_of(pose(0.05, 0, 0), [pose(0, 0, -2.0)], rng)[0]
        aside = Bearing(
            aside.T_map_cam,
            aside.R_map_query,
            Rotation.from_rotvec([0, np.radians(false_deg), 0]).apply(aside.direction),
            1.0,
        )
        found = intersect_bearings([*bearings, aside])
        if found.T_map_cam is not None:
            off = found.T_map_cam[:3, 3]
            assert off @ np.linalg.solve(found.covariance[:3, :3], off) < 16
