"""BagOptions: topics, frames and tolerances for reading a drive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DEFAULT_MAP_FRAME = 'map'
DEFAULT_BASE_FRAME = 'base_link'  # REP-105


@dataclass(frozen=True)
class BagOptions:
    """How to read a drive. None: found in the drive.

    Attributes:
        image_topic: raw or compressed images. Needed if a bag has several such topics.
        pose_topic: poses of the robot (PoseStamped, PoseWithCovarianceStamped, Odometry). None:
            the TF tree, or the only such topic if TF has no map frame.
        pose_tolerance_s: largest gap [s] between the two poses that an image's pose is
            interpolated from.
        map_frame: frame of the poses. None: 'map', or the frame of the pose topic.
        base_frame: frame of the robot. None: 'base_link', or the child frame of the odometry.
        camera_frame: optical frame of the camera. None: that of the images.
        T_base_cam: (4, 4) float64, the camera on the robot. None: from /tf_static.
        pose_is_camera: the pose topic gives the camera's optical frame.
        allow_truncated: use what can be read of a truncated bag.
        camera_info_topic: the camera's calibration. None: `camera_info` beside the image topic.
        camera_file: camera.yaml that is used in place of what the drive says.
        without_poses: no poses are needed. A bag then needs none, and any folder of images is a
            drive.
    """

    image_topic: str | None = None
    pose_topic: str | None = None
    pose_tolerance_s: float = 0.25
    map_frame: str | None = None
    base_frame: str | None = None
    camera_frame: str | None = None
    T_base_cam: NDArray[np.float64] | None = None
    pose_is_camera: bool = False
    allow_truncated: bool = False
    camera_info_topic: str | None = None
    camera_file: Path | None = None
    without_poses: bool = False

    @property
    def pose_tolerance_ns(self) -> int:
        """The tolerance in nanoseconds."""
        return round(self.pose_tolerance_s * 1e9)
