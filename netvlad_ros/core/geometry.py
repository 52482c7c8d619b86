"""Rigid motions: T_a_b maps points from frame b to frame a; metres; quaternions x, y, z, w."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.errors import NetvladError

Array: TypeAlias = NDArray[np.float64]

MAX_POSITION_M = 1e9  # 80 times the diameter of the Earth
MAX_MOUNT_M = 1e3  # of a camera on its robot


def check_pose(numbers: Sequence[float]) -> None:
    """Check that numbers are a pose.

    Plain Python, because it is fast for one pose: a bag holds hundreds of poses for each image, and
    most of them are never used.

    Args:
        numbers: x, y, z [m], qx, qy, qz, qw.

    Raises:
        NetvladError: a number is not finite or too large, or the quaternion has not the length 1.
    """
    if not all(map(math.isfinite, numbers)):
        raise NetvladError('the pose is not finite')
    if max(map(abs, numbers)) > MAX_POSITION_M:
        raise NetvladError(f'the pose holds the number {max(map(abs, numbers)):.3g}, no real place')
    length = math.hypot(*numbers[3:])
    # Files round to a few digits. A larger error means another convention or a damaged file.
    if abs(length - 1.0) > 0.01:
        raise NetvladError(f'the quaternion has the length {length:.4g}, not 1')


def pose_matrix(position_xyz: ArrayLike, quat_xyzw: ArrayLike) -> Array:
    """Build T (4, 4) from a position (3,) [m] and a quaternion (4,), which is normalised.

    Raises:
        NetvladError: they are no pose, see check_pose.
    """
    position = np.asarray(position_xyz, dtype=np.float64)
    quat = np.asarray(quat_xyzw, dtype=np.float64)
    check_pose([*position.tolist(), *quat.tolist()])
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(quat / np.linalg.norm(quat)).as_matrix()
    T[:3, 3] = position
    return T


def pose_matrices(numbers: Array) -> Array:
    """Build T (n, 4, 4) from rows x, y, z [m], qx, qy, qz, qw (n, 7); see pose_matrix.

    Raises:
        NetvladError: a row is no pose; the message is that of the first one.
    """
    with np.errstate(over='ignore', invalid='ignore'):
        lengths = np.linalg.norm(numbers[:, 3:], axis=1)
        good = (np.abs(numbers) <= MAX_POSITION_M).all(axis=1) & (np.abs(lengths - 1.0) <= 0.01)
    if not good.all():
        check_pose(numbers[int(np.argmin(good))].tolist())
    T = np.zeros((len(numbers), 4, 4))
    T[:, :3, :3] = Rotation.from_quat(numbers[:, 3:] / lengths[:, None]).as_matrix()
    T[:, :3, 3] = numbers[:, :3]
    T[:, 3, 3] = 1.0
    return T


def mount_matrix(numbers: Sequence[float]) -> Array:
    """Build T_base_cam (4, 4) from x, y, z [m], qx, qy, qz, qw. Raises NetvladError."""
    T = pose_matrix(numbers[:3], numbers[3:])
    if np.abs(T[:3, 3]).max() > MAX_MOUNT_M:
        raise NetvladError(
            f'the camera is more than {MAX_MOUNT_M:g} m from the base, no real mount'
        )
    return T


def pose_vector(T: Array) -> Array:
    """Turn T (4, 4) or (k, 4, 4) into x, y, z, qx, qy, qz, qw (7,) or (k, 7), |q| = 1, qw >= 0."""
    quat = Rotation.from_matrix(T[..., :3, :3]).as_quat(canonical=True)
    quat = quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    return np.concatenate([T[..., :3, 3], quat], axis=-1)


def invert(T: Array) -> Array:
    """Invert rigid motions (..., 4, 4)."""
    inverse = np.zeros_like(T)
    R_t = np.swapaxes(T[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = R_t
    inverse[..., :3, 3] = -(R_t @ T[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def interpolate(T0: Array, T1: Array, alpha: float) -> Array:
    """Motion between T0 and T1 (4, 4): linear in position, spherical linear in rotation."""
    step = Rotation.from_matrix(T0[:3, :3].T @ T1[:3, :3]).as_rotvec()
    T = np.eye(4)
    T[:3, :3] = T0[:3, :3] @ Rotation.from_rotvec(alpha * step).as_matrix()
    T[:3, 3] = (1.0 - alpha) * T0[:3, 3] + alpha * T1[:3, 3]
    return T


def cross_matrix(vectors: Array) -> Array:
    """Matrices [v]_x (..., 3, 3) of vectors v (..., 3): [v]_x w is the cross product v x w."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    cross = np.zeros((*vectors.shape, 3))
    cross[..., 0, 1], cross[..., 0, 2] = -z, y
    cross[..., 1, 0], cross[..., 1, 2] = z, -x
    cross[..., 2, 0], cross[..., 2, 1] = -y, x
    return cross


def rotation_angle_deg(R_a: Array, R_b: Array) -> Array:
    """Geodesic angle [deg] between rotations (..., 3, 3), or those of motions (..., 4, 4)."""
    difference = np.swapaxes(R_a[..., :3, :3], -1, -2) @ R_b[..., :3, :3]
    # The chord keeps its precision near zero, where the arc cosine of the trace loses it.
    chord = np.linalg.norm(difference - np.eye(3), axis=(-2, -1)) / np.sqrt(8.0)
    return np.asarray(np.degrees(2.0 * np.arcsin(np.clip(chord, 0.0, 1.0))), dtype=np.float64)


def distance_m(T_a: Array, T_b: Array) -> Array:
    """Distance [m] between the origins of motions (..., 4, 4)."""
    offset = T_a[..., :3, 3] - T_b[..., :3, 3]
    return np.asarray(np.linalg.norm(offset, axis=-1), dtype=np.float64)


def mean_pose(T: Array, weights: ArrayLike) -> Array:
    """Weighted mean of motions: mean position and chordal mean rotation.

    Args:
        T: (k, 4, 4), the motions.
        weights: (k,), >= 0.

    Source:
        Hartley et al., "Rotation Averaging", IJCV 2013, section 5.3.
    """
    shares = np.asarray(weights, dtype=np.float64)
    shares = shares / shares.sum()
    mean = np.eye(4)
    mean[:3, 3] = shares @ T[:, :3, 3]
    mean[:3, :3] = Rotation.from_matrix(T[:, :3, :3]).mean(shares).as_matrix()
    return mean


def around(
    T_map_cam: Array, T: Array, radius_m: float, radius_deg: float | None
) -> NDArray[np.bool_]:
    """Which poses lie around another one.

    Args:
        T_map_cam: (k, 4, 4), the poses.
        T: (4, 4), the pose in their middle.
        radius_m: [m], limit included.
        radius_deg: [deg], limit included; None: the rotation does not matter.

    Returns:
        bool (k,).
    """
    near = distance_m(T_map_cam, T) <= radius_m
    if radius_deg is not None:
        near[near] = rotation_angle_deg(T_map_cam[near], T[np.newaxis]) <= radius_deg
    return np.asarray(near)
