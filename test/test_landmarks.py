"""Landmarks from features and known poses; calibrations that contradict them."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_drive import pose

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.geometry import invert
from netvlad_ros.core.place_map.feature_store import FeatureStore
from netvlad_ros.offline.mapping.landmarks import REPROJECTION_PX, covisible_pairs, find_landmarks

SPEC = FeatureSpec(kind='sift', dim=128, max_keypoints=1000, max_side_px=640)
# From x right, y down, z forward to a map whose z points up; looking along the map's y.
LOOKING_ALONG_Y = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def camera(focal=400.0, d=(0, 0, 0, 0, 0), model='plumb_bob'):
    return CameraModel.create(640, 480, [focal, 0, 320, 0, focal, 240, 0, 0, 1], model, d)


def drive(count=16, step_m=0.35):
    """Sideways past a wall of things, turning a little: poses (N, 4, 4)."""
    turns = 8.0 * np.sin(np.arange(count))
    return np.array(
        [
            pose(x=step_m * i, y=0.3 * np.sin(i), z=0.1 * np.cos(i), yaw_deg=turns[i])
            @ LOOKING_ALONG_Y
            for i in range(count)
        ]
    )


def photograph(rng, T_map_cam, model, points, noise_px=0.3):
    """What a camera finds of points (P, 3): a store, and of each keypoint which point it is."""
    looks = rng.integers(0, 60, (len(points), 128))
    offsets, keypoints, descriptors, truth = [0], [], [], []
    for T in T_map_cam:
        local = points @ invert(T)[:3, :3].T + invert(T)[:3, 3]
        pixels = model.project(local)
        seen = np.flatnonzero(
            (local[:, 2] > 0.5)
            & (pixels[:, 0] > 0)
            & (pixels[:, 0] < 639)
            & (pixels[:, 1] > 0)
            & (pixels[:, 1] < 479)
        )
        keypoints.append(pixels[seen] + rng.normal(0, noise_px, (len(seen), 2)))
        descriptors.append(looks[seen] + rng.integers(0, 8, (len(seen), 128)))
        truth.append(seen)
        offsets.append(offsets[-1] + len(seen))
    return (
        FeatureStore.create(
            SPEC,
            np.array(offsets, np.int64),
            np.concatenate(keypoints).astype(np.float32),
            np.concatenate(descriptors).astype(np.uint8),
        ),
        np.concatenate(truth),
    )


def scene(rng, count=400):
    return np.column_stack(
        [rng.uniform(-2, 8, count), rng.uniform(3, 9, count), rng.uniform(-1.5, 1.5, count)]
    )


@pytest.mark.parametrize(
    'model',
    [
        camera(),
        camera(d=(-0.2, 0.05, 0, 0, 0)),
        camera(300.0, d=(0.02, -0.01, 0, 0), model='equidistant'),
    ],
    ids=['pinhole', 'plumb_bob', 'equidistant'],
)
def test_points_come_out_where_they_are(rng, model):
    points, T = scene(rng), drive()
    store, truth = photograph(rng, T, model, points)
    found, refined = find_landmarks(store, T, model)
    assert refined is None
    assert len(found.points) > 0.8 * len(np.unique(truth))
    seen = found.landmark_of >= 0
    error = np.linalg.norm(found.points[found.landmark_of[seen]] - points[truth[seen]], axis=1)
    assert np.median(error) < 0.03
    assert np.percentile(error, 95) < 0.3


def test_wrong_matches_and_things_that_move_are_no_landmarks(rng):
    points, T = scene(rng), drive()
    store, truth = photograph(rng, T, camera(), points)
    moving = truth < 100  # a quarter of all things is somewhere else in every image
    keypoints = store.keypoints.copy()
    keypoints[moving] = rng.uniform((0, 0), (640, 480), (int(moving.sum()), 2))
    moved = FeatureStore.create(SPEC, store.offsets, keypoints, store.descriptors)
    found, _ = find_landmarks(moved, T, camera())
    # Two random keypoints out of ten pairs lie on one epipolar line by chance now and then.
    assert (found.landmark_of[moving] >= 0).mean() < 0.08
    assert (found.landmark_of[~moving] >= 0).mean() > 0.8
    rows = np.flatnonzero(found.landmark_of >= 0)
    image = np.searchsorted(store.offsets, rows, side='right') - 1
    of_each = np.stack([image, found.landmark_of[rows]], axis=1)
    assert len(np.unique(of_each, axis=0)) == len(rows)  # one keypoint of an image for a point
    local = np.einsum(
        'nij,nj->ni', invert(T[image])[:, :3, :3], found.points[found.landmark_of[rows]]
    )
    pixels = camera().project(local + invert(T[image])[:, :3, 3])
    assert np.linalg.norm(pixels - keypoints[rows], axis=1).max() < REPROJECTION_PX + 0.5


@pytest.mark.parametrize('claimed', [360.0, 440.0])
def test_a_focal_length_that_contradicts_the_poses_is_refined(rng, claimed):
    points, T = scene(rng), drive()
    store, _ = photograph(rng, T, camera(400.0), points)
    found, refined = find_landmarks(store, T, camera(claimed))
    assert refined.focal_px == pytest.approx(400.0, rel=0.01)
    assert len(found.points) > 200


def test_without_parallax_there_are_no_landmarks(rng):
    T = np.array([pose(yaw_deg=2.0 * i) @ LOOKING_ALONG_Y for i in range(12)])
    store, _ = photograph(rng, T, camera(), scene(rng))
    found, _ = find_landmarks(store, T, camera())
    assert len(found.points) == 0
    assert (found.landmark_of == -1).all()


def test_nothing_to_see_is_no_landmark(rng):
    T = drive(3)
    store, _ = photograph(rng, T, camera(), np.empty((0, 3)))
    found, _ = find_landmarks(store, T, camera())
    assert found.points.shape == (0, 3)


def test_pairs_reach_far_in_dense_maps_and_stay_few(rng):
    T = np.array([pose(x=0.03 * i) @ LOOKING_ALONG_Y for i in range(300)])
    pairs = covisible_pairs(T)
    assert len(pairs) < 10 * len(T)
    assert max(b - a for a, b in pairs) >= 15
    around = np.array([pose(yaw_deg=180.0 * i) @ LOOKING_ALONG_Y for i in range(6)])
    assert all((b - a) % 2 == 0 for a, b in covisible_pairs(around))
