"""ImageInput: the image subscription, which follows the QoS of the publishers on its topic."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

# NewestFrame keeps only the newest frame, and counts the frames that it drops. A depth of 1 here
# would drop frames uncounted whenever this process is not scheduled for one frame's time. A depth
# of 5 bridges 160 ms at 30 Hz. The callback never waits for the worker, so old frames cannot
# accumulate.
DEPTH = 5
# How long a replaced subscription stays beside its successor. The publishers need this time to
# discover the successor; without the overlap, the images in between are lost.
OVERLAP_S = 1.0
TYPES = {'raw': Image, 'compressed': CompressedImage}
TYPE_NAMES = {'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage'}


class ImageInput:
    """Subscribes to the image topic as `image_qos` says; poll() adapts the subscription.

    A best-effort subscription may lose large images of a reliable publisher; a reliable
    subscription would get them. A reliable subscription gets nothing from a best-effort publisher.
    Therefore `auto` subscribes reliably if all publishers are reliable, else with best effort.

    Attributes:
        topic: Resolved name.
        qos: Reliability of the present subscription.
        problem: Why images cannot be expected, in words that name the topic; '' if they can.
    """

    def __init__(
        self, ros_node: Node, topic: str, *, transport: str, on_image: Callable[[Any], None]
    ) -> None:
        """Nothing is subscribed before the first poll().

        Args:
            ros_node: The node that subscribes and logs.
            topic: Resolved name of the raw image topic, for either transport.
            transport: 'raw' or 'compressed'.
            on_image: Takes each image message.
        """
        self._ros_node = ros_node
        self._transport = transport
        self._on_image = on_image
        self.topic = ros_node.resolve_topic_name(
            topic if transport == 'raw' else f'{topic}/compressed'
        )
        self.qos = 'none'
        self.problem = ''
        self._subscription: Any = None
        self._retiring: Any = None
        self._retires_s = 0.0
        self._recent: deque[tuple[int, int]] = deque(maxlen=128)  # stamps; 1 s at 60 Hz and more
        self._last_image_s = time.monotonic()

    def poll(self, image_qos: str, timeout_s: float) -> None:
        """Adapt the subscription to the publishers, and warn once if images cannot arrive.

        Args:
            image_qos: The parameter: 'auto', 'sensor_data' or 'reliable'.
            timeout_s: Warn if no image has come for longer than this [s].
        """
        publishers = self._ros_node.get_publishers_info_by_topic(self.topic)
        ours = [entry for entry in publishers if entry.topic_type == TYPE_NAMES[self._transport]]
        reliable = [e.qos_profile.reliability is ReliabilityPolicy.RELIABLE for e in ours]
        wanted = {'sensor_data': 'best_effort', 'reliable': 'reliable'}.get(image_qos)
        if wanted is None:
            # Without a publisher: best effort receives from all, and the next poll corrects it.
            wanted = 'reliable' if reliable and all(reliable) else 'best_effort'
        if wanted != self.qos:
            self._subscribe(wanted)
        elif self._retiring is not None and time.monotonic() > self._retires_s:
            self._retire()
        problem = self._find_problem(publishers, ours, reliable, timeout_s)
        if problem and problem != self.problem:
            self._ros_node.get_logger().warning(problem)
        elif self.problem and not problem:
            self._ros_node.get_logger().info(f'images arrive on {self.topic}')
        self.problem = problem

    def close(self) -> None:
        """End the subscription."""
        self._retire()
        if self._subscription is not None:
            self._ros_node.destroy_subscription(self._subscription)
            self._subscription = None
        self.qos = 'none'

    def _retire(self) -> None:
        if self._retiring is not None:
            self._ros_node.destroy_subscription(self._retiring)
            self._retiring = None

    def _subscribe(self, reliability: str) -> None:
        self._retire()
        self._retiring, self._retires_s = self._subscription, time.monotonic() + OVERLAP_S
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE
            if reliability == 'reliable'
            else ReliabilityPolicy.BEST_EFFORT,
        )
        self._subscription = self._ros_node.create_subscription(
            TYPES[self._transport], self.topic, self._received, profile
        )
        self.qos = reliability
        self._ros_node.get_logger().info(f'listening on {self.topic}, {reliability}')

    def _received(self, message: Any) -> None:
        self._last_image_s = time.monotonic()
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        if self._retiring is not None and stamp != (0, 0) and stamp in self._recent:
            return  # it came through both subscriptions
        self._recent.append(stamp)
        self._on_image(message)

    def _find_problem(
        self, publishers: list[Any], ours: list[Any], reliable: list[bool], timeout_s: float
    ) -> str:
        if publishers and not ours:
            kinds = ', '.join(sorted({entry.topic_type for entry in publishers}))
            return (
                f'{self.topic} carries {kinds}, not {TYPE_NAMES[self._transport]}: '
                'check the remapping and image_transport'
            )
        if self.qos == 'reliable' and reliable and not all(reliable):
            return (
                f'{self.topic} has a best-effort publisher, which a reliable subscription never '
                'hears: set image_qos to auto or sensor_data'
            )
        silent_s = time.monotonic() - self._last_image_s
        if silent_s > timeout_s:
            # The text does not count seconds, so that one silence makes one warning.
            who = f'though {len(ours)} publish there' if ours else 'and nobody publishes there'
            return f'no image has come on {self.topic} for more than {timeout_s:g} s, {who}'
        if self.qos == 'best_effort' and any(reliable):
            mixed = ' and others best effort' if not all(reliable) else ''
            return (
                f'{self.topic} has publishers that offer reliable{mixed}; best effort hears '
                'them all but may lose large images'
            )
        return ''
