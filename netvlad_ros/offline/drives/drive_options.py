"""How to read a bag: which topics and frames carry the images and the poses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DEFAULT_MAP_FRAME = 'map'
DEFAULT_BASE_FRAME = 'base_link'  # REP-105


@dataclass(frozen=True)
class BagOptions:
    """What a bag cannot say by itself; None means: found in the bag.

    image_topic: raw or compressed images; needed where there are several. pose_topic: poses of
    the robot (PoseStamped, PoseWithCovarianceStamped, Odometry); None: the TF tree, or the only
    such topic where TF has no map frame. pose_tolerance_s: largest gap [s] between the two poses
    that an image's pose is interpolated from. map_frame: 'map', or the frame of the pose topic.
    base_frame: 'base_link', or the child frame of the odometry. camera_frame: optical frame, else
    that of the images. T_base_cam: (4, 4), where /tf_static does not tell it. pose_is_camera: the
    pose topic gives the camera's optical frame. allow_truncated: use what can be read of a bag
    that was cut off. camera_info_topic: the camera's calibration, else the image topic's sibling
    `camera_info`. camera_file: camera.yaml that holds instead of what the drive says.
    without_poses: no pose is wanted, so that a bag needs none, and any folder of images will do.
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
