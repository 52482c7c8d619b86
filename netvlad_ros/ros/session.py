"""What the cameras of an active node share: one run of the robot through its map."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace

from rclpy.node import Node

from netvlad_ros.ros.conversions import stamp_to_ns
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.inputs.odometry_input import OdometryInput
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs.fix_events import Fix, FixEvents
from netvlad_ros.ros.outputs.publishers import Answer, Publishers
from netvlad_ros.ros.shared_localizer import SharedLocalizer

LONG_GAP_S = 600.0  # a jump ahead worth a word; the belief spreads over it by itself


class Session:
    """Fixes, belief and odometry from one start, reset or jump of time to the next.

    time_jumps: how often stamps went back. Used by several threads, hence the lock.
    """

    def __init__(
        self,
        ros_node: Node,
        recognizer: SharedLocalizer,
        outputs: Publishers,
        config: Callable[[], NodeConfig],
    ) -> None:
        self.time_jumps = 0
        self.odometry: OdometryInput | None = None
        self._ros_node = ros_node
        self._recognizer = recognizer
        self._outputs = outputs
        self._config = config
        self._lock = threading.Lock()
        # While the node was inactive the robot may have been carried, and its clock set back.
        self._begin()

    def look(self) -> None:
        """Listen to odometry while somebody needs it."""
        needed = self._config().use_odom and self._recognizer.localizer.config.belief
        if needed and self.odometry is None:
            self.odometry = OdometryInput(self._ros_node, self._config().time_jump_s)
        elif not needed and self.odometry is not None:
            self.odometry.close()
            self.odometry = None
        if self.odometry is not None:
            self.odometry.poll()

    def with_motion(self, shot: FrameContext) -> FrameContext:
        """The shot, with what odometry says at its stamp."""
        odometry = self.odometry
        found = None if odometry is None else odometry.at(stamp_to_ns(shot.header.stamp))
        if found is None:
            return shot
        T, child, breaks = found
        return replace(shot, T_odom_child=T, child_frame=child, odometry_breaks=breaks)

    def note_stamp(self, camera: str, stamp_ns: int) -> None:
        """Begin a new run if a camera's stamps went back further than disorder explains."""
        with self._lock:
            step_s = self._fixes.step_s(camera, stamp_ns)
            if step_s < -self._config().time_jump_s:
                self.time_jumps += 1
                self._ros_node.get_logger().warning('image stamps went back: a new run begins')
                self._begin()
                self._fixes.step_s(camera, stamp_ns)
            elif step_s > LONG_GAP_S:
                self._ros_node.get_logger().warning(
                    f'image stamps jumped ahead by {step_s:.0f} s: the robot may be anywhere by now'
                )

    def forget(self) -> None:
        """Begin a new run: the belief starts afresh, and the next fix is an event again."""
        with self._lock:
            self._begin()

    def fix(self, answer: Answer) -> None:
        """Note an accepted answer, and tell of it on initial_pose if it is an event."""
        localizer = self._recognizer.localizer
        # Answered on a map that load_map has replaced meanwhile: no event on the new one.
        if answer.prior is None or answer.place_map is not localizer.place_map:
            return
        at = answer.prior.pose.pose.position
        variances = answer.prior.pose.covariance[:15:7]
        fix = Fix(answer.match.stamp_ns, (at.x, at.y, at.z), math.sqrt(max(variances)))
        lost_after_s, max_speed_mps = self._config().lost_after_s, localizer.config.max_speed_mps
        with self._lock:  # until it is told, or another camera would tell it too
            if self._fixes.is_event(fix, lost_after_s, max_speed_mps):
                self._tell(answer)

    def tell(self, answer: Answer) -> bool:
        """Publish an accepted answer on initial_pose; False if nobody listens."""
        with self._lock:
            return self._tell(answer)

    def close(self) -> None:
        """Stop listening to odometry."""
        odometry, self.odometry = self.odometry, None
        if odometry is not None:
            odometry.close()

    def _tell(self, answer: Answer) -> bool:
        if answer.prior is None or not self._outputs.publish_initial_pose(answer.prior):
            return False
        self._fixes.told()
        return True

    def _begin(self) -> None:
        self._fixes = FixEvents()
        self._recognizer.reset()
