"""OdometryInput: the odometry subscription, read in batches."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from netvlad_ros.core.geometry import Array
from netvlad_ros.ros.conversions import stamp_to_ns
from netvlad_ros.ros.inputs.odometry_track import OdometryTrack

DEPTH = 256  # messages kept by the middleware between two polls, at most POLL_PERIOD_S apart


@dataclass(frozen=True)
class OdometryPose:
    """Odometry at one stamp.

    Attributes:
        T_odom_child: Pose (4, 4) of the child frame in the odometry frame.
        child_frame: Name of the child frame.
        breaks: Number of jumps of the odometry so far. Poses before and after a jump do not
            determine the motion between them.
    """

    T_odom_child: Array
    child_frame: str
    breaks: int


class Polled(CallbackGroup):
    """Callback group of entities that the executor does not execute.

    If the executor woke up for each odometry message, waking would cost more than the message.
    """

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Do nothing: no execution begins."""


class OdometryInput:
    """Reads `odom` in whichever thread asks for a pose.

    Attributes:
        topic: Resolved name.
        frames: header.frame_id and child_frame_id of the newest message; '' before the first.
        received: Number of messages.
    """

    def __init__(self, ros_node: Node, time_jump_s: float) -> None:
        self.topic = ros_node.resolve_topic_name('odom')
        self.frames = ('', '')
        self.received = 0
        self._ros_node = ros_node
        self._track = OdometryTrack(time_jump_s)
        self._lock = threading.Lock()
        # Best effort receives from reliable and best-effort publishers alike.
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        self._subscription: Any = ros_node.create_subscription(
            Odometry, 'odom', self._received, profile, callback_group=Polled()
        )

    def at(self, stamp_ns: int) -> OdometryPose | None:
        """Odometry at a stamp [ns], or None if it is not known; see OdometryTrack.at."""
        with self._lock:
            self._drain()
            T = self._track.at(stamp_ns)
            return None if T is None else OdometryPose(T, self.frames[1], self._track.breaks)

    def poll(self) -> None:
        """Read what has come, before the queue of the middleware overflows."""
        with self._lock:
            self._drain()

    def summary(self) -> dict[str, str]:
        """Counts by the names that they have in diagnostics."""
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
            for _ in range(DEPTH):  # a limit, in case messages come faster than they are read
                taken = handle.take_message(Odometry, False)
                if taken is None:
                    return
                self._add(taken[0])

    def _received(self, message: Odometry) -> None:
        # Called by an executor that ignores callback groups.
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
