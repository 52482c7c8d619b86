"""A made-up scene: points, cameras that see them, and features that match."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.geometry import invert, rotation_angle_deg

PINHOLE = CameraModel.create(
    640, 480, [450, 0, 320, 0, 450, 240, 0, 0, 1], 'plumb_bob', [-0.2, 0.05, 0.001, -0.001, 0]
)
FISHEYE = CameraModel.create(
    640, 480, [260, 0, 320, 0, 260, 240, 0, 0, 1], 'equidistant', [0.02, -0.005, 0.001, 0]
)
WIDTH, HEIGHT = 640, 480


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, turn_deg=(0.0, 0.0, 0.0)) -> NDArray:
    """T_map_cam (4, 4) of a camera that looks along z, turned about its axes."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(np.radians(turn_deg)).as_matrix()
    T[:3, 3] = x, y, z
    return T


def box(rng: np.random.Generator, n: int, near: float = 3.0, far: float = 8.0) -> NDArray:
    """Points (n, 3) in a room ahead of the origin."""
    return rng.uniform([-3, -2, near], [3, 2, far], (n, 3))


def seen(
    points: NDArray, T_map_cam: NDArray, camera: CameraModel, rng=None, sigma_px: float = 0.7
) -> tuple[NDArray, NDArray]:
    """Pixels (m, 2), noisy if rng is given, of the points that are in the image, and which."""
    T_cam_map = invert(T_map_cam)
    pixels = camera.project(points @ T_cam_map[:3, :3].T + T_cam_map[:3, 3])
    with np.errstate(invalid='ignore'):
        inside = ((pixels >= 0) & (pixels < (WIDTH, HEIGHT))).all(axis=1)
    rows = np.flatnonzero(inside)
    noise = 0.0 if rng is None else rng.normal(0, sigma_px, (len(rows), 2))
    return pixels[rows] + noise, rows


def errors(T: NDArray, T_true: NDArray) -> tuple[float, float]:
    """Distance [m] and angle [deg] between two poses."""
    return float(np.linalg.norm(T[:3, 3] - T_true[:3, 3])), float(rotation_angle_deg(T, T_true))


def appearance(rng: np.random.Generator, n: int) -> NDArray[np.uint8]:
    """Descriptors uint8 (n, 128) of n different things."""
    return rng.integers(0, 120, (n, 128), dtype=np.uint8)


def features(pixels: NDArray, looks: NDArray, rng: np.random.Generator) -> LocalFeatures:
    """Keypoints (n, 2) with slightly changed descriptors (n, 128), in an order of their own."""
    changed = np.clip(looks.astype(np.int64) + rng.integers(-8, 9, looks.shape), 0, 255)
    return LocalFeatures(pixels.astype(np.float32), changed.astype(np.uint8))
