"""CameraStream: images of one camera in, answers out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from netvlad_ros.core.camera.camera_info import is_rectified
from netvlad_ros.core.camera.image_message import rgb_from_compressed, rgb_from_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.ros.inputs.camera_info_input import CameraInfoInput
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.inputs.image_input import ImageInput
from netvlad_ros.ros.inputs.newest_frame import NewestFrame
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs.frame_statistics import FrameStatistics
from netvlad_ros.ros.session import Session

MAX_WARNINGS = 100
TO_RGB: dict[str, Callable[[Any, int], NDArray[np.uint8]]] = {
    'raw': rgb_from_image,
    'compressed': rgb_from_compressed,
}


@dataclass(frozen=True)
class ReceivedImage:
    """An image message and the time of its reception.

    Attributes:
        message: sensor_msgs/Image or CompressedImage.
        received_s: Value of time.perf_counter() at reception.
    """

    message: Any
    received_s: float


class CameraStream:
    """The images of one camera, localized in a worker thread; ends with close().

    Attributes:
        name: '' of the only camera, whose topics are `image` and `camera_info`. The topics of a
            named camera are below its name.
        statistics: Counts and latencies of the images.
        newest: The newest image, or None.
        calibration: The newest valid camera_info.
        input: The image subscription.
    """

    def __init__(
        self, ros_node: Node, name: str, session: Session, config: Callable[[], NodeConfig]
    ) -> None:
        """Subscribe to images and camera_info.

        Args:
            ros_node: The node that subscribes and logs.
            name: Name of the camera; '' of the only camera.
            session: Localizes the images and publishes the answers.
            config: Returns the present configuration of the node.
        """
        self.name = name
        self.statistics = FrameStatistics()
        self.newest: ReceivedImage | None = None
        self._ros_node = ros_node
        self._session = session
        self._config = config
        self._warned: set[str] = set()
        self._to_rgb = TO_RGB[config().image_transport]
        below = f'{name}/' if name else ''
        image_topic = ros_node.resolve_topic_name(f'{below}image')
        info_topic = info_topic_of(ros_node, image_topic, f'{below}camera_info')
        self.calibration = CameraInfoInput(
            info_topic,
            rectified=is_rectified(image_topic),
            warn=ros_node.get_logger().warning,
        )
        self._worker = NewestFrame(self._process)
        self.input = ImageInput(
            ros_node, image_topic, transport=config().image_transport, on_image=self._received
        )
        self._info_subscription = ros_node.create_subscription(
            CameraInfo, info_topic, self.calibration.received, qos_profile_sensor_data
        )
        self.poll()

    def poll(self) -> None:
        """Adapt the subscription to the publishers, and warn if images cannot arrive."""
        config = self._config()
        self.input.poll(config.image_qos, config.image_timeout_s)

    def to_rgb(self, frame: ReceivedImage) -> NDArray[np.uint8]:
        """Pixels, uint8 (H, W, 3) RGB, of an image of this camera. Raises NetvladError."""
        return self._to_rgb(frame.message, self._config().max_image_pixels)

    def shows_size(self, rgb: NDArray[np.uint8]) -> bool:
        """Whether the newest image has the size of rgb (H, W, 3)."""
        try:
            return self.newest is not None and self.to_rgb(self.newest).shape == rgb.shape
        except NetvladError:
            return False

    def context(self, header: Any, received_s: float, rgb: NDArray[np.uint8]) -> FrameContext:
        """What is known of an image of this camera beside its pixels rgb, uint8 (H, W, 3)."""
        height, width = rgb.shape[:2]
        model, trouble = self.calibration.model(width, height, header.frame_id)
        return FrameContext(header, received_s, self.name, model, trouble)

    def close(self) -> None:
        """Stop listening; an image that is being processed is finished first."""
        self.input.close()
        self._ros_node.destroy_subscription(self._info_subscription)
        self._worker.stop()

    def _received(self, message: Any) -> None:
        self.newest = ReceivedImage(message, time.perf_counter())
        replaced = self._worker.put(self.newest)
        self.statistics.count_received(dropped=replaced)

    def _process(self, frame: ReceivedImage) -> None:
        """Runs in the worker thread. No error of one image may stop the next one."""
        try:
            self._locate(frame)
        except NetvladError as error:
            self._bad(str(error))
        except Exception as error:
            if rclpy.ok():  # else rclpy was shut down, and nothing can be published
                self._bad(f'internal error, please report it: {error!r}')

    def _bad(self, reason: str) -> None:
        if reason != self.statistics.last_bad:
            self._ros_node.get_logger().warning(f'image skipped: {reason}')
        self.statistics.count_bad(reason)

    def _locate(self, frame: ReceivedImage) -> None:
        rgb = self.to_rgb(frame)
        context = self.context(frame.message.header, frame.received_s, rgb)
        answer = self._session.locate(rgb, context, self.statistics)
        self._warn(note for note in answer.notes if note != context.trouble)

    def _warn(self, notes: Iterable[str]) -> None:
        for note in notes:
            # Each note once. Notes that hold numbers may differ for every image, hence the limit.
            if note not in self._warned and len(self._warned) < MAX_WARNINGS:
                self._warned.add(note)
                self._ros_node.get_logger().warning(note)


def info_topic_of(ros_node: Node, image_topic: str, name: str) -> str:
    """Resolved name of the camera_info topic.

    It lies beside the images, as camera drivers publish it, unless `name` is remapped. Somebody who
    remaps the images alone means the camera_info beside them.
    """
    resolved = ros_node.resolve_topic_name(name)
    if resolved != ros_node.resolve_topic_name(name, only_expand=True):
        return resolved
    return f'{image_topic.rpartition("/")[0]}/camera_info'
