"""Session: one run through the map, with belief, fixes and odometry, shared by the cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.inputs.odometry_input import OdometryInput
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs.fix_events import Fix, FixEvents
from netvlad_ros.ros.outputs.frame_statistics import FrameStatistics
from netvlad_ros.ros.outputs.publishers import Answer, Publishers
from netvlad_ros.ros.shared_localizer import SharedLocalizer

LONG_GAP_S = 600.0  # a longer jump ahead is logged; the belief spreads over it by itself


class Session:
    """Localizes images from one start, reset or jump of time to the next.

    A session is used by several threads.

    Attributes:
        time_jumps: How often stamps of images went back.
        odometry: The odometry subscription while it is needed, else None.
    """

    def __init__(
        self,
        ros_node: Node,
        shared_localizer: SharedLocalizer,
        publishers: Publishers,
        config: Callable[[], NodeConfig],
    ) -> None:
        """Begin a session.

        Args:
            ros_node: The node that subscribes and logs.
            shared_localizer: Answers the images.
            publishers: Publish the answers.
            config: Returns the present configuration of the node.
        """
        self.time_jumps = 0
        self.odometry: OdometryInput | None = None
        self._ros_node = ros_node
        self._shared_localizer = shared_localizer
        self._publishers = publishers
        self._config = config
        self._lock = threading.Lock()
        # While the node was inactive, the robot may have been moved and its clock set back.
        self._begin()

    def poll(self) -> None:
        """Subscribe to odometry while it is needed, and read what has come."""
        needed = self._config().use_odom and self._shared_localizer.localizer.config.belief
        if needed and self.odometry is None:
            self.odometry = OdometryInput(self._ros_node, self._config().time_jump_s)
        elif not needed and self.odometry is not None:
            self.odometry.close()
            self.odometry = None
        if self.odometry is not None:
            self.odometry.poll()

    def locate(
        self, rgb: NDArray[np.uint8], context: FrameContext, statistics: FrameStatistics
    ) -> Answer:
        """Localize an image of a camera stream and publish the answer.

        Args:
            rgb: uint8 (H, W, 3) RGB.
            context: What is known of the image.
            statistics: Counts the answer when it is published.

        Raises:
            NetvladError: The image cannot be localized.
        """
        config = self._config()
        self._check_stamp(context, config)
        answer = self._shared_localizer.step(rgb, context, config, self.odometry)
        self._publishers.publish(answer)
        now_ns = self._ros_node.get_clock().now().nanoseconds
        statistics.count_processed(
            answer.match,
            accepted=answer.prior is not None,
            latency_ms=(now_ns - context.stamp_ns) / 1e6,
            processing_ms=1e3 * (time.perf_counter() - context.received_s),
        )
        self._note_fix(answer, config)
        if config.publish_descriptor:
            self._publishers.publish_descriptor(answer.match, context.header)
        self._publishers.publish_visuals(answer, rgb)
        return answer

    def restart(self) -> None:
        """Begin a new run: the belief is reset, and the next fix is an event again."""
        with self._lock:
            self._begin()

    def publish_initial_pose(self, answer: Answer) -> bool:
        """Publish an accepted answer on initial_pose; False if nobody listens."""
        with self._lock:
            return self._publish_event(answer)

    def close(self) -> None:
        """Stop listening to odometry."""
        odometry, self.odometry = self.odometry, None
        if odometry is not None:
            odometry.close()

    def _check_stamp(self, context: FrameContext, config: NodeConfig) -> None:
        """Begin a new run if a camera's stamps went back further than disorder explains."""
        with self._lock:
            step_s = self._fixes.step_s(context.camera, context.stamp_ns)
            if step_s < -config.time_jump_s:
                self.time_jumps += 1
                self._ros_node.get_logger().warning('image stamps went back: a new run begins')
                self._begin()
                self._fixes.step_s(context.camera, context.stamp_ns)
            elif step_s > LONG_GAP_S:
                self._ros_node.get_logger().warning(
                    f'image stamps jumped ahead by {step_s:.0f} s: the robot may be anywhere by now'
                )

    def _note_fix(self, answer: Answer, config: NodeConfig) -> None:
        """Note an accepted answer, and publish it on initial_pose if it is an event."""
        localizer = self._shared_localizer.localizer
        # If load_map has replaced the map meanwhile, the answer is no event on the new one.
        if answer.prior is None or answer.place_map is not localizer.place_map:
            return
        fix = Fix.of_prior(answer.match.stamp_ns, answer.prior)
        # The lock is held until the event is published; otherwise two cameras could publish it.
        with self._lock:
            if self._fixes.is_event(fix, config.lost_after_s, localizer.config.max_speed_mps):
                self._publish_event(answer)

    def _publish_event(self, answer: Answer) -> bool:
        message = answer.prior_message
        if message is None or not self._publishers.publish_initial_pose(message):
            return False
        self._fixes.published()
        return True

    def _begin(self) -> None:
        self._fixes = FixEvents()
        self._shared_localizer.reset()
