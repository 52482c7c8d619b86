"""All that runs while the node is active: the cameras, and the run that they share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.ros.camera_stream import CameraStream
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs.publishers import Publishers
from netvlad_ros.ros.session import Session
from netvlad_ros.ros.shared_localizer import SharedLocalizer

LOOK_PERIOD_S = 0.2  # how soon a new publisher's QoS is followed


class CameraStreams:
    """One CameraStream for each name in `cameras`, or one without a name; ends with close()."""

    def __init__(
        self,
        ros_node: Node,
        recognizer: SharedLocalizer,
        outputs: Publishers,
        config: Callable[[], NodeConfig],
    ) -> None:
        self.run = Session(ros_node, recognizer, outputs, config)
        self.run.look()
        self.each = tuple(
            CameraStream(ros_node, name, recognizer, outputs, self.run, config)
            for name in config().cameras or ('',)
        )
        self._ros_node = ros_node
        # Steady: publishers come and go also while a simulation is paused.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._look_timer = ros_node.create_timer(LOOK_PERIOD_S, self._look, clock=steady)

    def newest(self) -> tuple[NDArray[np.uint8], FrameContext]:
        """The newest image of all cameras, uint8 (H, W, 3). Raises NetvladError."""
        had = [(camera.newest.received_s, camera) for camera in self.each if camera.newest]
        if not had:
            topics = ', '.join(camera.input.topic for camera in self.each)
            raise NetvladError(f'no image was given, and none has come on {topics}')
        camera = max(had, key=lambda entry: entry[0])[1]
        frame = camera.newest
        assert frame is not None
        rgb = camera.to_rgb(frame)
        return rgb, camera.shot(frame.message.header, frame.received_s, rgb)

    def shot_like(self, header: Any, rgb: NDArray[np.uint8]) -> FrameContext:
        """What is known of an image, uint8 (H, W, 3), that somebody sent.

        It counts as a live camera's if it has the frame_id and the size of that camera's newest
        image; a single camera's may lack the frame_id.
        """
        camera = self._of_frame(header.frame_id)
        now_s = time.perf_counter()
        if camera is not None and camera.shows_size(rgb):
            return camera.shot(header, now_s, rgb)
        trouble = ''
        if any(camera.calibration.is_known for camera in self.each):
            trouble = 'no camera_info for this image: it has not the frame and size of a live one'
        # An image of no camera that we know has no name, and the mount of none.
        single = self.each[0].name if len(self.each) == 1 else ''
        return FrameContext(header, now_s, camera.name if camera else single, None, trouble)

    def close(self) -> None:
        """Stop listening; images in work are finished first."""
        self._ros_node.destroy_timer(self._look_timer)
        for camera in self.each:
            camera.close()
        self.run.close()

    def _of_frame(self, frame_id: str) -> CameraStream | None:
        if len(self.each) == 1 and not frame_id:
            return self.each[0]
        for camera in self.each:
            if camera.newest is not None and camera.newest.message.header.frame_id == frame_id:
                return camera
        return None

    def _look(self) -> None:
        self.run.look()
        for camera in self.each:
            camera.look()
