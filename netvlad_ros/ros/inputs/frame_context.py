"""An image that came in, and what is known about it beside its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.geometry import Array


@dataclass(frozen=True)
class FrameContext:
    """header: the image's (std_msgs/Header). received_s: time.perf_counter() at reception.

    camera: name in the parameter `cameras`, '' of the only one. model: its optics, or None and in
    `trouble` why a camera_info cannot be used. T_odom_child: pose (4, 4) in the odometry frame of
    the frame child_frame at the image's stamp, or None; odometry_breaks: how often odometry had
    gone on from elsewhere by then.
    """

    header: Any
    received_s: float
    camera: str = ''
    model: CameraModel | None = None
    trouble: str = ''
    T_odom_child: Array | None = None
    child_frame: str = ''
    odometry_breaks: int = 0
