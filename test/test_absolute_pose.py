"""Pose from landmarks: right within its covariance, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_scene import FISHEYE, HEIGHT, PINHOLE, WIDTH, box, errors, pose, seen

from netvlad_ros.core.pose.absolute_pose import AbsolutePose, absolute_pose
from netvlad_ros.core.pose.correspondences import Correspondences

T_TRUE = pose(0.4, -0.2, 0.3, (5, -12, 8))
CAMERAS = pytest.mark.parametrize('camera', [PINHOLE, FISHEYE], ids=['plumb_bob', 'equidistant'])


def solve(camera, pixels, points, keypoint=None, landmark=None, **settings) -> AbsolutePose:
    n = len(pixels)
    correspondences = Correspondences.create(
        camera,
        pixels,
        points,
        np.arange(n) if keypoint is None else keypoint,
        np.arange(n) if landmark is None else landmark,
    )
    return absolute_pose(
        correspondences, **{'max_reprojection_px': 4.0, 'min_inliers': 12, **settings}
    )


def refused(answer: AbsolutePose) -> str:
    assert answer.T_map_cam is None and answer.covariance is None
    assert not answer.inliers.any()
    return answer.degenerate


@CAMERAS
def test_half_of_the_matches_may_be_wrong(rng, camera):
    points = box(rng, 300)
    pixels, rows = seen(points, T_TRUE, camera, rng)
    points = points[rows]
    wrong = np.arange(len(pixels)) % 2 == 0
    pixels[wrong] = rng.uniform(0, (WIDTH, HEIGHT), (wrong.sum(), 2))
    answer = solve(camera, pixels, points)
    metres, degrees = errors(answer.T_map_cam, T_TRUE)
    assert metres < 0.03 and degrees < 0.4
    assert answer.inliers[~wrong].mean() > 0.95 and answer.inliers[wrong].sum() <= 2
    assert 0.4 < answer.residual_px < 1.2
    again = solve(camera, pixels, points)
    assert (again.T_map_cam == answer.T_map_cam).all()


@CAMERAS
def test_covariance_is_that_of_many_trials(camera):
    rng = np.random.default_rng(1)
    points = box(rng, 80)
    trials, claimed = [], []
    for _ in range(150):
        pixels, rows = seen(points, T_TRUE, camera, rng, sigma_px=1.0)
        answer = solve(camera, pixels, points[rows], max_reprojection_px=8.0)
        turn = Rotation.from_matrix(answer.T_map_cam[:3, :3] @ T_TRUE[:3, :3].T).as_rotvec()
        trials.append([*(answer.T_map_cam[:3, 3] - T_TRUE[:3, 3]), *turn])
        claimed.append(answer.covariance)
    trials = np.array(trials)
    ratio = np.sqrt(np.mean(claimed, axis=0).diagonal() / np.mean(trials**2, axis=0))
    assert (ratio > 0.8).all() and (ratio < 1.35).all(), ratio
    nees = [d @ np.linalg.solve(C, d) for d, C in zip(trials, claimed, strict=True)]
    assert 4.0 < np.mean(nees) < 7.5  # 6 degrees of freedom
    # The axes are those of the map, position and rotation included: correlations agree too.
    empirical = np.cov(trials.T)
    scale = np.sqrt(np.outer(empirical.diagonal(), empirical.diagonal()))
    assert np.abs((empirical - np.mean(claimed, axis=0)) / scale).max() < 0.5


def test_random_matches_have_no_pose(rng):
    for n in (15, 60, 250):
        for _ in range(5):
            pixels = rng.uniform(0, (WIDTH, HEIGHT), (n, 2))
            assert refused(solve(PINHOLE, pixels, box(rng, n))) in (
                'no pose fits',
                'too few matches',
            )


def test_inliers_in_one_spot_are_refused(rng):
    points = box(rng, 4000)
    pixels, rows = seen(points, T_TRUE, PINHOLE, rng)
    spot = (np.abs(pixels - 160) < 35).all(axis=1)  # across four cells of the grid
    assert spot.sum() > 20
    assert 'spot' in refused(solve(PINHOLE, pixels[spot], points[rows[spot]]))


def test_inliers_along_one_line_are_refused(rng):
    points = box(rng, 4000)
    pixels, rows = seen(points, T_TRUE, PINHOLE, rng)
    line = np.abs(pixels[:, 1] - 200) < 4
    assert line.sum() > 20
    assert 'spot' in refused(solve(PINHOLE, pixels[line], points[rows[line]]))


def test_landmarks_far_away_leave_the_position_open(rng):
    points = box(rng, 60, near=300, far=320) * (30, 30, 1)
    pixels, rows = seen(points, T_TRUE, PINHOLE, rng)
    assert 'uncertain' in refused(solve(PINHOLE, pixels, points[rows]))


def test_few_matches_and_repeated_ones_are_too_few(rng):
    points = box(rng, 200)
    pixels, rows = seen(points, T_TRUE, PINHOLE, rng)
    assert 'too few' in refused(solve(PINHOLE, pixels[:11], points[rows[:11]]))
    # Eight keypoints, each matched to eight landmarks, are eight inliers, not 64.
    many = np.repeat(np.arange(8), 8)
    answer = solve(PINHOLE, pixels[many], points[rows[many]], keypoint=many, landmark=np.arange(64))
    assert 'too few' in refused(answer)
    none = solve(PINHOLE, np.empty((0, 2)), np.empty((0, 3)))
    assert 'too few' in refused(none)


def test_a_keypoint_counts_once(rng):
    points = box(rng, 100)
    pixels, rows = seen(points, T_TRUE, PINHOLE, rng)
    n = len(pixels)
    twice = np.concatenate([np.arange(n), np.arange(n)])
    answer = solve(
        PINHOLE, pixels[twice], points[rows[twice]], keypoint=twice, landmark=np.arange(2 * n)
    )
    assert answer.inliers.sum() <= n


def test_two_poses_that_fit_equally_are_none(rng):
    # A repeated pattern: half of the matches fit the true pose, half one 1.5 m to the right.
    points = box(rng, 240)
    pixels, rows = seen(points, T_TRUE, PINHOLE, rng)
    shifted = points[rows].copy()
    shifted[::2, 0] += 1.5
    assert 'two poses' in refused(solve(PINHOLE, pixels, shifted))


def test_points_behind_the_camera_do_not_count(rng):
    points = box(rng, 100)
    pixels, rows = seen(points, T_TRUE, PINHOLE, rng)
    behind = 2 * T_TRUE[:3, 3] - points[rows]  # the same lines of sight, backwards
    answer = solve(PINHOLE, pixels, behind)
    if answer.T_map_cam is not None:  # the mirror image seen by a camera that looks the other way
        points_cam = (behind - answer.T_map_cam[:3, 3]) @ answer.T_map_cam[:3, :3]
        assert (points_cam[answer.inliers, 2] > 0).all()


def test_a_flat_wall_is_enough(rng):
    wall = box(rng, 150)
    wall[:, 2] = 4.0 + 0.3 * wall[:, 0]
    pixels, rows = seen(wall, T_TRUE, PINHOLE, rng)
    answer = solve(PINHOLE, pixels, wall[rows])
    assert answer.T_map_cam is not None
    metres, degrees = errors(answer.T_map_cam, T_TRUE)
    assert metres < 0.05 and degrees < 1.0
