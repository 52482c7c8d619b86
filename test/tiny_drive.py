"""Drives of a few small images: folders with a trajectory that is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from netvlad_ros.core.geometry import pose_vector

HEADER = 'image,timestamp_s,x,y,z,qx,qy,qz,qw'
HEIGHT, WIDTH = 48, 64


def pose(x: float = 0.0, yaw_deg: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """Pose (4, 4) at x, y, z [m], turned about z."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler('z', yaw_deg, degrees=True).as_matrix()
    T[:3, 3] = x, y, z
    return T


def trajectory(seconds: float) -> np.ndarray:
    """Straight on at 2 m/s, turning at 20 deg/s: between its poses lerp and slerp are exact."""
    return pose(x=2.0 * seconds, y=-0.5 * seconds, yaw_deg=20.0 * seconds)


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """An image like no other, uint8 (H, W, 3) RGB: coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write a PNG (lossless) or whatever the name ends in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[:, :, ::-1])


def pose_line(image: str, stamp_s: float, T: np.ndarray) -> str:
    """One line of poses.csv."""
    return ','.join([image, f'{stamp_s:.9f}', *(repr(float(v)) for v in pose_vector(T))])


def write_drive(
    folder: Path, poses: Sequence[np.ndarray], *, seeds: Sequence[int] | None = None
) -> Path:
    """Write a folder drive with one picture a pose, a tenth of a second apart, from second 1 on."""
    seeds = range(len(poses)) if seeds is None else seeds
    lines = [HEADER]
    for i, (T, seed) in enumerate(zip(poses, seeds, strict=True)):
        name = f'images/{i:03d}.png'
        write_image(folder / name, picture(seed))
        lines.append(pose_line(name, 1 + i / 10, T))
    (folder / 'poses.csv').write_text('\n'.join(lines) + '\n')
    return folder
