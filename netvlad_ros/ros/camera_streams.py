"""CameraStreams: all cameras of an active node, and the session that they share."""

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

POLL_PERIOD_S = 0.2  # longest time until the subscription adapts to a new publisher's QoS


class CameraStreams:
    """One CameraStream for each name in `cameras`, or one without a name; ends with close().

    Attributes:
        session: Localizes the images of all cameras.
        each: The streams.
    """

    def __init__(
        self,
        ros_node: Node,
        shared_localizer: SharedLocalizer,
        publishers: Publishers,
        config: Callable[[], NodeConfig],
    ) -> None:
        """Start listening.

        Args:
            ros_node: The node that subscribes and logs.
            shared_localizer: Answers the images.
            publishers: Publish the answers.
            config: Returns the present configuration of the node.
        """
        self.session = Session(ros_node, shared_localizer, publishers, config)
        self.session.poll()
        self.each = tuple(
            CameraStream(ros_node, name, self.session, config) for name in config().cameras or ('',)
        )
        self._ros_node = ros_node
        # A steady clock: publishers also come and go while a simulation is paused.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._poll_timer = ros_node.create_timer(POLL_PERIOD_S, self._poll, clock=steady)

    def newest(self) -> tuple[NDArray[np.uint8], FrameContext]:
        """The newest image of all cameras, uint8 (H, W, 3) RGB, and what is known of it.

        Raises:
            NetvladError: No image has come, or the newest one cannot be decoded.
        """
        received = [(camera.newest.received_s, camera) for camera in self.each if camera.newest]
        if not received:
            topics = ', '.join(camera.input.topic for camera in self.each)
            raise NetvladError(f'no image was given, and none has come on {topics}')
        camera = max(received, key=lambda entry: entry[0])[1]
        frame = camera.newest
        assert frame is not None
        rgb = camera.to_rgb(frame)
        return rgb, camera.context(frame.message.header, frame.received_s, rgb)

    def context_of(self, header: Any, rgb: NDArray[np.uint8]) -> FrameContext:
        """What is known of an image that was sent with a service call.

        It counts as an image of a live camera if it has the frame_id and the size of that camera's
        newest image. If there is one camera only, the frame_id may be empty.

        Args:
            header: Header of the image.
            rgb: uint8 (H, W, 3) RGB.
        """
        camera = self._of_frame(header.frame_id)
        now_s = time.perf_counter()
        if camera is not None and camera.shows_size(rgb):
            return camera.context(header, now_s, rgb)
        trouble = ''
        if any(camera.calibration.is_known for camera in self.each):
            trouble = 'no camera_info for this image: it has not the frame and size of a live one'
        # An image of an unknown camera has no name and no mount.
        single = self.each[0].name if len(self.each) == 1 else ''
        return FrameContext(header, now_s, camera.name if camera else single, None, trouble)

    def close(self) -> None:
        """Stop listening; images that are being processed are finished first."""
        self._ros_node.destroy_timer(self._poll_timer)
        for camera in self.each:
            camera.close()
        self.session.close()

    def _of_frame(self, frame_id: str) -> CameraStream | None:
        if len(self.each) == 1 and not frame_id:
            return self.each[0]
        for camera in self.each:
            if camera.newest is not None and camera.newest.message.header.frame_id == frame_id:
                return camera
        return None

    def _poll(self) -> None:
        self.session.poll()
        for camera in self.each:
            camera.poll()
