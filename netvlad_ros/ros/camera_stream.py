"""One camera of an active node: its images come in, answers go out."""

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
from netvlad_ros.ros.conversions import stamp_to_ns
from netvlad_ros.ros.inputs.camera_info_input import CameraInfoInput
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.inputs.image_input import ImageInput
from netvlad_ros.ros.inputs.newest_frame import NewestFrame
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs.frame_statistics import FrameStatistics
from netvlad_ros.ros.outputs.publishers import Answer, Publishers
from netvlad_ros.ros.session import Session
from netvlad_ros.ros.shared_localizer import SharedLocalizer

MAX_WARNED_OF = 100
TO_RGB: dict[str, Callable[[Any], NDArray[np.uint8]]] = {
    'raw': rgb_from_image,
    'compressed': rgb_from_compressed,
}


@dataclass(frozen=True)
class ReceivedImage:
    """An image message, and time.perf_counter() when it came."""

    message: Any
    received_s: float


class CameraStream:
    """The image stream of one camera, with a worker of its own; ends with close().

    name: '' of the only camera, whose topics are `image` and `camera_info`; else they are below the
    name. config: gives the node's present configuration. newest: the newest image, or None.
    """

    def __init__(
        self,
        ros_node: Node,
        name: str,
        recognizer: SharedLocalizer,
        outputs: Publishers,
        run: Session,
        config: Callable[[], NodeConfig],
    ) -> None:
        self.name = name
        self.statistics = FrameStatistics()
        self.newest: ReceivedImage | None = None
        self._ros_node = ros_node
        self._recognizer = recognizer
        self._outputs = outputs
        self._run = run
        self._config = config
        self._warned_of: set[str] = set()
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
        self.look()

    def look(self) -> None:
        """Follow who publishes the images, and warn of what keeps them away."""
        config = self._config()
        self.input.look(config.image_qos, config.image_timeout_s)

    def to_rgb(self, frame: ReceivedImage) -> NDArray[np.uint8]:
        """Pixels, uint8 (H, W, 3), of a frame of this camera. Raises NetvladError."""
        return self._to_rgb(frame.message)

    def shows_size(self, rgb: NDArray[np.uint8]) -> bool:
        """Whether the newest image has the size of rgb (H, W, 3)."""
        try:
            return self.newest is not None and self.to_rgb(self.newest).shape == rgb.shape
        except NetvladError:
            return False

    def shot(self, header: Any, received_s: float, rgb: NDArray[np.uint8]) -> FrameContext:
        """What is known of an image of this camera, but for the motion."""
        height, width = rgb.shape[:2]
        model, trouble = self.calibration.model(width, height, header.frame_id)
        return FrameContext(header, received_s, self.name, model, trouble)

    def close(self) -> None:
        """Stop listening; the image in work is finished first."""
        self.input.close()
        self._ros_node.destroy_subscription(self._info_subscription)
        self._worker.stop()

    def _received(self, message: Any) -> None:
        self.newest = ReceivedImage(message, time.perf_counter())
        replaced = self._worker.put(self.newest)
        self.statistics.count_received(dropped=replaced)

    def _process(self, frame: ReceivedImage) -> None:
        """In the worker thread. Whatever an image does to us, the next one gets its chance."""
        try:
            self._answer(frame)
        except NetvladError as error:
            self._bad(str(error))
        except Exception as error:
            if rclpy.ok():  # else the context is gone, and publishing with it
                self._bad(f'internal error, please report it: {error!r}')

    def _bad(self, reason: str) -> None:
        if reason != self.statistics.last_bad:
            self._ros_node.get_logger().warning(f'image skipped: {reason}')
        self.statistics.count_bad(reason)

    def _answer(self, frame: ReceivedImage) -> None:
        config = self._config()
        header = frame.message.header
        rgb = self._to_rgb(frame.message)
        self._run.note_stamp(self.name, stamp_to_ns(header.stamp))
        shot = self.shot(header, frame.received_s, rgb)
        answer = self._recognizer.step(rgb, shot, config, self._run.with_motion)
        self._outputs.publish(answer)
        self._count(frame, answer)
        self._warn(note for note in answer.notes if note != shot.trouble)
        self._run.fix(answer)
        if config.publish_descriptor:
            self._outputs.publish_descriptor(answer.match, header)
        self._outputs.publish_visuals(answer, rgb)

    def _warn(self, notes: Iterable[str]) -> None:
        for note in notes:
            # Each once; words that hold numbers could be new with every image.
            if note not in self._warned_of and len(self._warned_of) < MAX_WARNED_OF:
                self._warned_of.add(note)
                self._ros_node.get_logger().warning(note)

    def _count(self, frame: ReceivedImage, answer: Answer) -> None:
        now_ns = self._ros_node.get_clock().now().nanoseconds
        self.statistics.count_processed(
            answer.match,
            accepted=answer.prior is not None,
            latency_ms=(now_ns - answer.match.stamp_ns) / 1e6,
            processing_ms=1e3 * (time.perf_counter() - frame.received_s),
        )


def info_topic_of(ros_node: Node, image_topic: str, name: str) -> str:
    """Resolved name of the camera_info topic: beside the images, as drivers have it.

    Unless `name` is remapped; who remaps the images alone means the calibration beside them too.
    """
    resolved = ros_node.resolve_topic_name(name)
    if resolved != ros_node.resolve_topic_name(name, only_expand=True):
        return resolved
    return f'{image_topic.rpartition("/")[0]}/camera_info'
