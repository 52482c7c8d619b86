"""A visit on disk: a folder drive with images, poses and the camera."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from netvlad_ros.core.geometry import pose_vector
from netvlad_ros.demo.camera import Camera
from netvlad_ros.offline.drives.poses_file import HEADER

_JPEG_QUALITY = 92
_PERIOD_NS = 500_000_000


def write_visit(
    folder: Path,
    camera: Camera,
    start_ns: int,
    frames: Iterable[tuple[NDArray[np.float64], NDArray[np.uint8]]],
) -> int:
    """Write frames (T_map_cam (4, 4), uint8 (H, W, 3) RGB) as images/, poses.csv, camera.yaml.

    Returns the number of images.
    """
    (folder / 'images').mkdir(parents=True)
    rows = [','.join(HEADER)]
    for number, (T_map_cam, rgb) in enumerate(frames):
        name = f'images/{number:05d}.jpg'
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), quality)
        (folder / name).write_bytes(data.tobytes())
        stamp_ns = start_ns + number * _PERIOD_NS
        pose = ','.join(f'{value:.6f}' for value in pose_vector(T_map_cam))
        rows.append(f'{name},{stamp_ns // 10**9}.{stamp_ns % 10**9:09d},{pose}')
    (folder / 'poses.csv').write_text('\n'.join(rows) + '\n', encoding='utf-8')
    (folder / 'camera.yaml').write_text(_calibration(camera), encoding='utf-8')
    return len(rows) - 1


def _calibration(camera: Camera) -> str:
    def matrix(values: NDArray[np.float64]) -> dict[str, object]:
        return {'rows': values.shape[0], 'cols': values.shape[1], 'data': values.ravel().tolist()}

    K = camera.K
    content = {
        'image_width': camera.width,
        'image_height': camera.height,
        'camera_name': 'rendered',
        'camera_matrix': matrix(K),
        'distortion_model': 'plumb_bob',
        'distortion_coefficients': matrix(np.zeros((1, 5))),
        'rectification_matrix': matrix(np.eye(3)),
        'projection_matrix': matrix(np.hstack([K, np.zeros((3, 1))])),
    }
    return yaml.safe_dump(content, sort_keys=False)
