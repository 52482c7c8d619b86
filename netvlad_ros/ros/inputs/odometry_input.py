"""The odometry subscription, read in batches."""

from __future__ import annotations

import threading
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from netvlad_ros.core.geometry import Array
from netvlad_ros.ros.conversions import stamp_to_ns
from netvlad_ros.ros.inputs.odometry_track import OdometryTrack

DEPTH = 256  # what the middleware keeps between two readings, LOOK_PERIOD_S apart at most


class Polled(CallbackGroup):
    """Entities that the executor leaves alone.

    An executor that wakes up for each odometry message spends more on waking than on the message.
    """

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing was begun."""


class OdometryInput:
    """Reads `odom` in whichever thread asks for a pose. topic: resolved name.

    frames: the names (header.frame_id, child_frame_id) of the newest message, '' before it.
    """

    def __init__(self, ros_node: Node, time_jump_s: float) -> None:
        self.topic = ros_node.resolve_topic_name('odom')
        self.frames = ('', '')
        self.received = 0
        self._ros_node = ros_node
        self._track = OdometryTrack(time_jump_s)
        self._lock = threading.Lock()
        # Sensor data: best effort hears everybody.
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        self._subscription: Any = ros_node.create_subscription(
            Odometry, 'odom', self._received, profile, callback_group=Polled()
        )

    def at(self, stamp_ns: int) -> tuple[Array, str, int] | None:
        """T_odom_child (4, 4) at a stamp, or None, see OdometryTrack.at; the child's frame; breaks.

        Poses between which there was a break tell nothing about the motion.
        """
        with self._lock:
            self._drain()
            T = self._track.at(stamp_ns)
            return None if T is None else (T, self.frames[1], self._track.breaks)

    def poll(self) -> None:
        """Take what has come, before the middleware's queue runs over."""
        with self._lock:
            self._drain()

    def summary(self) -> dict[str, str]:
        """Counts as diagnostics show them."""
        with self._lock:
            return {
                'odometry received': str(self.received),
                'odometry bad': str(self._track.bad),
                'last bad odometry': self._track.last_bad,
                'odometry breaks': str(self._track.breaks),
            }

    def close(self) -> None:
        """End the subscription."""
        with self._lock:
            if self._subscription is not None:
                self._ros_node.destroy_subscription(self._subscription)
                self._subscription = None

    def _drain(self) -> None:
        if self._subscription is None:
            return
        handle = self._subscription.handle
        with handle:
            for _ in range(DEPTH):  # and no more, however fast they come
                taken = handle.take_message(Odometry, False)
                if taken is None:
                    return
                self._add(taken[0])

    def _received(self, message: Odometry) -> None:
        # Of an executor that does not ask callback groups.
        with self._lock:
            self._add(message)

    def _add(self, message: Odometry) -> None:
        self.received += 1
        frames = (message.header.frame_id, message.child_frame_id)
        if frames != self.frames:
            self._track.cut()
            self.frames = frames
        p, q = message.pose.pose.position, message.pose.pose.orientation
        self._track.add(stamp_to_ns(message.header.stamp), (p.x, p.y, p.z, q.x, q.y, q.z, q.w))
