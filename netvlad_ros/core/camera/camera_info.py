"""CameraModel of a sensor_msgs/CameraInfo, live or from a bag; needs no ROS."""

from __future__ import annotations

from typing import Any

import numpy as np

from netvlad_ros.core.camera.camera_model import CameraModel, resize_matrix
from netvlad_ros.core.errors import NetvladError


def is_rectified(image_topic: str) -> bool:
    """Whether image_proc made the images of a topic: no distortion, and P is their matrix."""
    words = ['', *image_topic.split('/')]
    return words[-2 if is_transport(image_topic) else -1].startswith('image_rect')


def is_transport(image_topic: str) -> bool:
    """Whether the last word of a topic names an encoding of image_transport, not the images."""
    return image_topic.rpartition('/')[2] in ('compressed', 'compressedDepth', 'theora', 'zstd')


def camera_model_of(camera_info: Any, *, rectified: bool = False) -> CameraModel:
    """Make the camera model of the images that a CameraInfo describes.

    K, or P for rectified images, belongs to the whole sensor. The region of interest (roi) cuts a
    window from it, in pixels of the sensor, and binning then shrinks the window. Zeros mean no
    window and no binning.

    Args:
        camera_info: a CameraInfo, or an object with its fields.
        rectified: whether the images are rectified; then P is used, without distortion.

    Raises:
        NetvladError: the camera is not calibrated or its distortion model is unknown.
    """
    roi = camera_info.roi
    width, height = int(camera_info.width), int(camera_info.height)
    x, y, window = 0, 0, (width, height)
    if roi.width and roi.height:
        x, y, window = int(roi.x_offset), int(roi.y_offset), (int(roi.width), int(roi.height))
        if x + window[0] > width or y + window[1] > height:
            raise NetvladError(
                f'camera_info gives a window (roi) of {window[0]}x{window[1]} px at {x}, {y}, '
                f'beyond its sensor of {width}x{height} px'
            )
    bins = (max(int(camera_info.binning_x), 1), max(int(camera_info.binning_y), 1))
    K = np.array(camera_info.k, dtype=np.float64).reshape(3, 3)
    distortion_model, d = str(camera_info.distortion_model), camera_info.d
    if rectified:
        K = np.array(camera_info.p, dtype=np.float64).reshape(3, 4)[:, :3]
        distortion_model, d = '', []
    if not np.isfinite(K).all():
        raise NetvladError('camera_info holds numbers that are not finite')
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise NetvladError(
            f'camera_info gives focal lengths {K[0, 0]:g} and {K[1, 1]:g} px; '
            'an uncalibrated camera sends zeros'
        )
    shift = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])
    K = resize_matrix(bins, (1, 1)) @ shift @ K
    return CameraModel.create(window[0] // bins[0], window[1] // bins[1], K, distortion_model, d)
