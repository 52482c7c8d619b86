"""`camera.yaml`: the calibration of a folder drive's camera, in the layout of ROS camera_info."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel, resize_matrix
from netvlad_ros.core.camera.image import check_size
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain
from netvlad_ros.core.yaml_text import MAX_BYTES, parse_yaml


@dataclass(frozen=True)
class CameraFile:
    """A calibration, with the fields of sensor_msgs/CameraInfo.

    Attributes:
        width, height: size of the images [px].
        distortion_model: as in ROS, plumb_bob for example.
        d: (n,) float64, coefficients of the distortion.
        K: (3, 3) float64, camera matrix [px].
        R: (3, 3) float64, rectification.
        P: (3, 4) float64, projection of rectified images [px].
    """

    width: int
    height: int
    distortion_model: str
    d: NDArray[np.float64]
    K: NDArray[np.float64]
    R: NDArray[np.float64]
    P: NDArray[np.float64]

    def model(self) -> CameraModel:
        """How this camera maps rays to pixels. Raises NetvladError if its model is unknown."""
        return CameraModel.create(self.width, self.height, self.K, self.distortion_model, self.d)

    def resized(self, width: int, height: int) -> CameraFile:
        """Calibration of the same camera with its images resized to width x height [px]."""
        scale = resize_matrix((self.width, self.height), (width, height))
        return CameraFile(
            width, height, self.distortion_model, self.d, scale @ self.K, self.R, scale @ self.P
        )


def read_camera(path: Path) -> CameraFile:
    """Read a calibration. Raises NetvladError if it is malformed, not finite or impossible."""
    content = parse_yaml(read_plain(path, MAX_BYTES, str(path)), str(path))
    try:
        camera = CameraFile(
            width=int(content['image_width']),
            height=int(content['image_height']),
            distortion_model=str(content['distortion_model']),
            d=_numbers(content, 'distortion_coefficients'),
            K=_matrix(content, 'camera_matrix', 3),
            R=_matrix(content, 'rectification_matrix', 3),
            P=_matrix(content, 'projection_matrix', 4),
        )
    except KeyError as error:
        raise NetvladError(f'{path} lacks the entry {error}') from error
    except (TypeError, ValueError, OverflowError) as error:
        raise NetvladError(f'{path} is no camera calibration: {error}') from error
    check_size(camera.width, camera.height, str(path))
    if not all(np.isfinite(values).all() for values in (camera.d, camera.K, camera.R, camera.P)):
        raise NetvladError(f'{path} holds numbers that are not finite')
    if camera.K[0, 0] <= 0 or camera.K[1, 1] <= 0:
        raise NetvladError(f'{path}: a focal length is not above 0')
    return camera


def read_camera_model(path: Path) -> CameraModel:
    """Read a calibration as a CameraModel. Raises NetvladError that names the file."""
    camera = read_camera(path)
    try:
        return camera.model()
    except NetvladError as error:
        raise NetvladError(f'{path}: {error}') from error


def _matrix(content: Any, name: str, columns: int) -> NDArray[np.float64]:
    data = _numbers(content, name)
    if data.size != 3 * columns:
        raise ValueError(f'{name} has {data.size} numbers instead of {3 * columns}')
    return data.reshape(3, columns)


def _numbers(content: Any, name: str) -> NDArray[np.float64]:
    data = content[name]['data']
    if not (isinstance(data, list) and len(data) <= 16 and all(map(_is_number, data))):
        raise ValueError(f'{name} is no list of at most 16 numbers')
    return np.array(data, dtype=np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
