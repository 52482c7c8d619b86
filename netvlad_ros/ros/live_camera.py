"""What runs while the node is active: images come in, answers go out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.image_message import rgb_from_compressed, rgb_from_image
from netvlad_ros.ros.conversions import check_camera_info, stamp_to_ns
from netvlad_ros.ros.fix_events import FixEvents
from netvlad_ros.ros.frame_statistics import FrameStatistics
from netvlad_ros.ros.image_input import ImageInput
from netvlad_ros.ros.newest_frame import NewestFrame
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs import Answer, Outputs
from netvlad_ros.ros.recognizer import Recognizer

LOOK_PERIOD_S = 0.2  # how soon a new publisher's QoS is followed
TO_RGB: dict[str, Callable[[Any], NDArray[np.uint8]]] = {
    'raw': rgb_from_image,
    'compressed': rgb_from_compressed,
}


@dataclass(frozen=True)
class _Frame:
    message: Any
    received_s: float  # time.perf_counter()


class LiveCamera:
    """The image stream of an active node; ends with close().

    config: gives the node's present configuration. camera_info: the last sound one, or None.
    newest: the newest image message, or None.
    """

    def __init__(
        self,
        ros_node: Node,
        recognizer: Recognizer,
        outputs: Outputs,
        config: Callable[[], NodeConfig],
    ) -> None:
        self.statistics = FrameStatistics()
        self.camera_info: CameraInfo | None = None
        self.newest: Any = None
        self._ros_node = ros_node
        self._recognizer = recognizer
        self._outputs = outputs
        self._config = config
        self._fixes = FixEvents()
        self._warned_of = ''
        self._to_rgb = TO_RGB[config().image_transport]
        self._worker = NewestFrame(self._process)
        self.input = ImageInput(
            ros_node, transport=config().image_transport, on_image=self._received
        )
        self._info_subscription = ros_node.create_subscription(
            CameraInfo, 'camera_info', self._camera_info_received, qos_profile_sensor_data
        )
        # Steady: publishers come and go also while a simulation is paused.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._look_timer = ros_node.create_timer(LOOK_PERIOD_S, self._look, clock=steady)
        self._look()

    def to_rgb(self, message: Any) -> NDArray[np.uint8]:
        """Pixels of a message of the camera's own type. Raises NetvladError."""
        return self._to_rgb(message)

    def forget(self) -> None:
        """The next fix is an event again."""
        self._fixes = FixEvents()

    def tell(self, answer: Answer) -> bool:
        """Publish an accepted answer on initial_pose; False if nobody listens."""
        if answer.prior is None or not self._outputs.publish_initial_pose(answer.prior):
            return False
        self._fixes.told()
        return True

    def close(self) -> None:
        """Stop listening; the image in work is finished first."""
        self._ros_node.destroy_timer(self._look_timer)
        self.input.close()
        self._ros_node.destroy_subscription(self._info_subscription)
        self._worker.stop()

    def _look(self) -> None:
        config = self._config()
        self.input.look(config.image_qos, config.image_timeout_s)

    def _received(self, message: Any) -> None:
        self.newest = message
        replaced = self._worker.put(_Frame(message, time.perf_counter()))
        self.statistics.count_received(dropped=replaced)

    def _camera_info_received(self, message: CameraInfo) -> None:
        try:
            check_camera_info(message)
        except NetvladError as error:
            if not self.statistics.bad_camera_info:
                self._ros_node.get_logger().warning(f'ignored: {error}')
            self.statistics.count_bad_camera_info(str(error))
            return
        self.camera_info = message

    def _process(self, frame: _Frame) -> None:
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

    def _answer(self, frame: _Frame) -> None:
        config = self._config()
        header = frame.message.header
        if self._fixes.went_back(stamp_to_ns(header.stamp), config.time_jump_s):
            self.statistics.count_time_jump()
            self._ros_node.get_logger().warning('image stamps went back: a new run begins')
        rgb = self._to_rgb(frame.message)
        answer = self._recognizer.answer(rgb, header, config)
        self._outputs.publish(answer)
        self._count(frame, answer)
        if answer.note and answer.note != self._warned_of:
            self._ros_node.get_logger().warning(answer.note)
            self._warned_of = answer.note
        if answer.prior is not None and self._is_event(answer, config):
            self.tell(answer)
        if config.publish_descriptor:
            self._outputs.publish_descriptor(answer.match, header)
        self._outputs.publish_visuals(answer, rgb)

    def _is_event(self, answer: Answer, config: NodeConfig) -> bool:
        # Answered on a map that load_map has replaced meanwhile: no event on the new one.
        if answer.place_map is not self._recognizer.localizer.place_map:
            return False
        return self._fixes.is_event(answer.match.stamp_ns, config.lost_after_s)

    def _count(self, frame: _Frame, answer: Answer) -> None:
        now_ns = self._ros_node.get_clock().now().nanoseconds
        self.statistics.count_processed(
            accepted=answer.prior is not None,
            latency_ms=(now_ns - answer.match.stamp_ns) / 1e6,
            processing_ms=1e3 * (time.perf_counter() - frame.received_s),
            describe_ms=answer.match.timings_ms['describe'],
        )
