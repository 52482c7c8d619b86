"""The committed model on real drives that it was not trained on: recall and calibration."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.geometry import distance_m, pose_matrix, rotation_angle_deg
from netvlad_ros.core.model.bundle import ModelBundle


@pytest.fixture(scope='module')
def bundle(model_path):
    return ModelBundle.load(model_path, device='cpu')


@pytest.fixture(scope='module')
def describe(bundle, shared_data):
    known = {}

    def describe(name):
        if name not in known:
            known[name] = bundle.describe(read_image(shared_data / name))
        return known[name]

    return lambda names: np.stack([describe(name) for name in names])


@pytest.fixture(scope='module')
def kitchen(shared_data):
    """Every image of the kitchen with its pose."""
    names, poses = [], []
    with (shared_data / 'redkitchen' / 'poses.csv').open(newline='') as file:
        for row in csv.DictReader(file):
            names.append('redkitchen/' + row['image'])
            position = [float(row[k]) for k in ('x', 'y', 'z')]
            poses.append(pose_matrix(position, [float(row[k]) for k in ('qx', 'qy', 'qz', 'qw')]))
    return names, np.stack(poses)


CORRIDOR = [f'corridor_loop/images/{i:03d}.jpg' for i in range(1, 81)]


def test_it_fits_a_robot_and_says_where_it_comes_from(bundle, model_path):
    assert model_path.stat().st_size <= 50e6
    assert bundle.metadata.dim == 2048
    assert bundle.metadata.local is not None and bundle.metadata.local.dim == 64
    assert bundle.metadata.licence == 'Apache-2.0'
    assert bundle.metadata.training['data_licence'] == 'MIT, CC0'
    assert bundle.metadata.training['steps'] > 0
    assert bundle.metadata.calibration is not None


def test_second_half_of_the_kitchen_in_the_first(describe, kitchen):
    names, poses = kitchen
    queries = range(500, 1000, 5)
    best = (describe([names[q] for q in queries]) @ describe(names[:500]).T).argmax(axis=1)
    right = []
    for query, answer in zip(queries, best, strict=True):
        angle = rotation_angle_deg(poses[:500], poses[query][None])
        near = (distance_m(poses[:500], poses[query]) <= 0.5) & (angle <= 30.0)
        if near.any():
            right.append(near[answer])
    assert len(right) == 65
    assert np.mean(right) >= 0.90


def test_eleven_months_against_the_first(describe, shared_data):
    with (shared_data / 'michigan_12months' / 'ground_truth.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    first = [row for row in rows if row['month'] == '1']
    later = [row for row in rows if row['month'] != '1']

    def described(part):
        return describe([f'michigan_12months/{row["image"]}' for row in part])

    best = (described(later) @ described(first).T).argmax(axis=1)
    right = [first[a]['place'] == row['place'] for a, row in zip(best, later, strict=True)]
    assert np.mean(right) >= 0.96


def test_it_believes_revisits_and_no_stranger(bundle, describe, kitchen):
    names, _ = kitchen
    corridor, lap = describe(CORRIDOR[:40]), describe(CORRIDOR[40:])
    room = describe(names[:500:5])
    strangers = np.concatenate([(lap @ room.T).max(1), (room @ corridor.T).max(1)])
    revisits = (lap @ corridor.T).max(axis=1)
    assert (bundle.metadata.calibration.log_odds(strangers) < -2.0).all()
    assert (bundle.metadata.calibration.log_odds(revisits) > 0.0).mean() >= 0.75
