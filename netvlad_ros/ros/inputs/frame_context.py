"""FrameContext: what is known of an image beside its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.ros.conversions import stamp_to_ns


@dataclass(frozen=True)
class FrameContext:
    """What is known of an image beside its pixels.

    Attributes:
        header: The header of the image (std_msgs/Header).
        received_s: Value of time.perf_counter() when the image was received.
        camera: Name of its camera in the parameter `cameras`; '' of the only camera.
        model: Intrinsics of the camera, or None if they are not known.
        trouble: Why camera_info cannot be used; '' if there is no such problem.
    """

    header: Any
    received_s: float
    camera: str = ''
    model: CameraModel | None = None
    trouble: str = ''

    @cached_property
    def stamp_ns(self) -> int:
        """Stamp of the image [ns]."""
        return stamp_to_ns(self.header.stamp)
