"""SE(3) against SciPy and against hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import (
    interpolate,
    invert,
    mean_pose,
    pose_matrix,
    pose_vector,
    rotation_angle_deg,
)
from netvlad_ros.core.pose.prior import PosePrior, diagonal_bound, pose_prior


def random_poses(n, seed=0):
    rng = np.random.default_rng(seed)
    T = np.tile(np.eye(4), (n, 1, 1))
    T[:, :3, :3] = Rotation.random(n, rng).as_matrix()
    T[:, :3, 3] = rng.normal(size=(n, 3)) * 10
    return T


def test_pose_vector_and_back_and_inverse():
    for T in random_poses(50):
        vector = pose_vector(T)
        assert vector[6] >= 0
        assert np.linalg.norm(vector[3:]) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(pose_matrix(vector[:3], vector[3:]), T, atol=1e-12)
    T = random_poses(50)
    np.testing.assert_allclose(T @ invert(T), np.tile(np.eye(4), (50, 1, 1)), atol=1e-12)


@pytest.mark.parametrize('quat', [[0, 0, 0, 0], [0, 0, 0, np.nan], [0, 0, 0, 2]])
def test_quaternions_that_are_none_are_refused(quat):
    with pytest.raises(NetvladError):
        pose_matrix([0, 0, 0], quat)


def test_interpolation_and_angles():
    turn = Rotation.from_euler('z', 90, degrees=True).as_quat()
    T0, T1 = pose_matrix([0, 0, 0], [0, 0, 0, 1]), pose_matrix([4, 0, 0], turn)
    T = interpolate(T0, T1, 0.25)
    np.testing.assert_allclose(T[:3, 3], [1, 0, 0])
    assert rotation_angle_deg(T0, T) == pytest.approx(22.5)
    # The arc cosine of the trace would round this angle to zero.
    small = pose_matrix([0, 0, 0], Rotation.from_rotvec([1e-9, 0, 0]).as_quat())
    assert rotation_angle_deg(T0, small) == pytest.approx(np.degrees(1e-9), rel=1e-6)
    half_turn = pose_matrix([0, 0, 0], [1, 0, 0, 0])
    assert rotation_angle_deg(T0, half_turn) == pytest.approx(180)
    np.testing.assert_allclose(mean_pose(np.array([T0, T1]), [3, 1])[:3, 3], [1, 0, 0])


def test_prior_ignores_an_outlier_and_is_never_tighter_than_asked():
    T = np.tile(np.eye(4), (5, 1, 1))
    T[:, 0, 3] = [0.0, 0.1, -0.1, 0.05, 3.0]
    prior = pose_prior(T, np.ones(5), sigma_m=0.2, sigma_deg=5, inflation=4)
    assert abs(prior.T[0, 3]) < 0.25  # the plain mean is 0.61
    sigma = np.sqrt(np.diag(prior.covariance))
    assert sigma[0] > 0.4  # ... while the outlier still says that something is unsure
    assert (sigma[1:3] >= 0.2).all() and (sigma[3:] >= np.radians(5)).all()
    alone = pose_prior(T[:1], np.ones(1), sigma_m=0.2, sigma_deg=5, inflation=4)
    np.testing.assert_allclose(np.sqrt(np.diag(alone.covariance))[:3], 0.2)


def test_diagonal_bound_is_conservative_in_every_direction():
    rng = np.random.default_rng(1)
    for _ in range(100):
        root = rng.normal(size=(6, 6)) * [1, 5, 0.1, 0.01, 0.3, 2]
        covariance = root.T @ root + 1e-6 * np.eye(6)
        bound = diagonal_bound(covariance)
        assert np.linalg.eigvalsh(bound - covariance).min() > -1e-9 * np.trace(covariance)


def test_base_prior_against_sampling():
    T_map_cam, T_base_cam = random_poses(2, seed=3)
    sigma = np.array([0.1, 0.2, 0.3, 0.01, 0.02, 0.03])
    prior = PosePrior(T_map_cam, np.diag(sigma**2), 'map_images').of_base(T_base_cam)
    np.testing.assert_allclose(prior.T @ T_base_cam, T_map_cam, atol=1e-9)
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(20000, 6)) * sigma
    samples = np.tile(T_map_cam, (len(noise), 1, 1))
    samples[:, :3, :3] = Rotation.from_rotvec(noise[:, 3:]).as_matrix() @ T_map_cam[:3, :3]
    samples[:, :3, 3] += noise[:, :3]
    base = samples @ invert(T_base_cam)
    offsets = np.hstack([base[:, :3, 3] - prior.T[:3, 3], noise[:, 3:]])
    sampled = np.cov(offsets.T)
    assert np.linalg.eigvalsh(prior.covariance * 1.05 - sampled).min() > 0
    # ... and not by more than correlations can cost: sum of |rho| is at most 6.
    assert (np.diag(prior.covariance) < 6 * np.diag(sampled) * 1.05).all()
