"""Metrics of calibration_quality, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from netvlad_ros.core.pose.prior import pose_prior
from netvlad_ros.offline.metrics.acceptance import first_fix, per_1000, precision_recall
from netvlad_ros.offline.metrics.accuracy import percentiles
from netvlad_ros.offline.metrics.uncertainty import (
    bound,
    nees,
    pose_residuals,
    reliability,
    share_inside,
)


def motion(rotvec, position):
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(rotvec).as_matrix()
    T[:3, 3] = position
    return T


def test_nees_of_a_known_error():
    true = motion([0, 0, np.pi / 2], [1, 2, 3])
    # Turned on by 0.2 rad about the map's x axis, moved by 0.3 m along the map's y axis.
    estimated = motion([0.2, 0, 0], [0, 0, 0]) @ true
    estimated[:3, 3] = [1, 2.3, 3]
    assert pose_residuals(estimated[None], true[None])[0] == pytest.approx([0, 0.3, 0, 0.2, 0, 0])
    covariance = np.diag([1.0, 0.09, 1.0, 0.01, 1.0, 1.0])
    assert nees(estimated[None], true[None], covariance[None]) == pytest.approx([1.0 + 4.0])
    # Correlated errors: the inverse of [[2, 1], [1, 2]] is [[2, -1], [-1, 2]] / 3.
    covariance = np.eye(6)
    covariance[:2, :2] = [[2, 1], [1, 2]]
    moved = motion([0, 0, 0], [1, 1, 0])
    assert nees(moved[None], np.eye(4)[None], covariance[None]) == pytest.approx([2 / 3])
    assert len(nees(np.zeros((0, 4, 4)), np.zeros((0, 4, 4)), np.zeros((0, 6, 6)))) == 0


def test_nees_shares_the_error_convention_of_the_priors(rng):
    """The covariance of a prior is the spread of poses about it: drawing them again must fit it."""
    mean = motion([0.3, -1.0, 2.0], [5, -3, 1])
    sigma = np.array([0.1, 0.4, 0.02, 0.05, 0.2, 0.01])
    errors = rng.standard_normal((4000, 6)) * sigma
    poses = np.array([motion(e[3:], [0, 0, 0]) @ mean for e in errors])
    poses[:, :3, 3] = mean[:3, 3] + errors[:, :3]
    prior = pose_prior(poses, np.ones(4000), sigma_m=1e-6, sigma_deg=1e-6, inflation=1.0)
    covariance = np.tile(prior.covariance, (4000, 1, 1))
    values = nees(poses, np.tile(mean, (4000, 1, 1)), covariance)
    assert np.mean(values) == pytest.approx(6.0, rel=0.15)
    # What is published is diagonal_bound() of the spread, hence a little above it.
    assert 0.93 < share_inside(values) < 0.985


def test_bound_and_share():
    assert bound() == pytest.approx(12.592, abs=1e-3)
    assert share_inside([1.0, 12.5, 12.7, 100.0]) == 0.5
    assert share_inside([]) is None


def test_reliability_by_hand():
    # Bin 0.9..1.0: stated 0.95, 1.0 and 0.93 (mean 0.96), two of three right; bin 0.2..0.3: 0.2
    # and 0.28, one of two right; bin 0..0.1: 0.0, wrong.
    diagram = reliability([0.95, 1.0, 0.93, 0.2, 0.28, 0.0], [1, 1, 0, 0, 1, 0])
    assert list(diagram.count) == [1, 0, 2, 0, 0, 0, 0, 0, 0, 3]
    assert diagram.stated[[0, 2, 9]] == pytest.approx([0.0, 0.24, 0.96])
    assert diagram.observed[[0, 2, 9]] == pytest.approx([0.0, 0.5, 2 / 3])
    assert np.isnan(diagram.stated[1])
    expected = (1 * 0.0 + 2 * (0.5 - 0.24) + 3 * (0.96 - 2 / 3)) / 6
    assert diagram.expected_error == pytest.approx(expected)
    assert reliability([], []).expected_error is None


def test_precision_and_recall_by_hand():
    # Falling scores: right, right, then one right and one wrong that no threshold tells apart,
    # then wrong. Five queries were answerable, one of them got no answer at all.
    curve = precision_recall([0.5, 0.9, 0.99, 0.5, 0.1], [0, 1, 1, 1, 0], answerable=5)
    assert curve.threshold == pytest.approx([0.99, 0.9, 0.5, 0.1])
    assert curve.precision == pytest.approx([1, 1, 3 / 4, 3 / 5])
    assert curve.recall == pytest.approx([1 / 5, 2 / 5, 3 / 5, 3 / 5])
    assert curve.recall_at_full_precision == pytest.approx(2 / 5)
    assert precision_recall([0.9, 0.8], [0, 1], 1).recall_at_full_precision == 0.0
    assert precision_recall([0.9], [0], 0).recall_at_full_precision is None
    assert precision_recall([], [], 3).recall_at_full_precision == 0.0


def test_first_fix():
    stamps = np.array([0, 1, 2, 4], dtype=np.int64) * 10**9
    accepted = np.array([False, True, True, True])
    fix = first_fix(accepted, np.array([True, False, True, True]), stamps)
    assert (fix.frames, fix.seconds, fix.wrong_before) == (3, 2.0, 1)
    never = first_fix(accepted, np.zeros(4, dtype=bool), stamps)
    assert (never.frames, never.seconds, never.wrong_before) == (None, None, 3)


def test_rates_and_percentiles():
    assert per_1000(3, 400) == 7.5
    assert per_1000(0, 0) is None
    assert percentiles(np.arange(101)) == {'p50': 50, 'p90': 90, 'p95': 95, 'p99': 99, 'max': 100}
    assert set(percentiles([]).values()) == {None}
