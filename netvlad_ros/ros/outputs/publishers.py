"""All publishers of the node, and Answer: what is published for one answered image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.pose.prior import PosePrior
from netvlad_ros.ros.conversions import descriptor_message
from netvlad_ros.ros.outputs.visuals import candidate_markers, match_image_message
from netvlad_ros_msgs.msg import GlobalDescriptor, PlaceMatch

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


@dataclass(frozen=True)
class Answer:
    """One answered image, with the messages that are published for it.

    Attributes:
        match: The answer of the localizer.
        message: The match as message.
        prior: Pose of base or camera as `pose_of` says. None if the match is not accepted, or if
            the mount is not known; then the last of `notes` says why.
        prior_message: The prior as message; None without prior.
        place_map: The map that the image was localized on.
        notes: What went wrong, in words; they are part of the message's reason.
    """

    match: Match
    message: PlaceMatch
    prior: PosePrior | None
    prior_message: PoseWithCovarianceStamped | None
    place_map: PlaceMap
    notes: tuple[str, ...]


class Publishers:
    """Lifecycle publishers: they publish only while the node is active."""

    def __init__(self, ros_node: LifecycleNode) -> None:
        def publisher(kind: type, topic: str) -> Any:
            # Reliable publishers serve reliable and best-effort subscribers alike.
            # These messages are small or few.
            return ros_node.create_lifecycle_publisher(kind, topic, RELIABLE)

        self._ros_node = ros_node
        self._place_match = publisher(PlaceMatch, 'place_match')
        self._pose_prior = publisher(PoseWithCovarianceStamped, 'pose_prior')
        self._initial_pose = publisher(PoseWithCovarianceStamped, 'initial_pose')
        self._descriptor = publisher(GlobalDescriptor, 'descriptor')
        self._candidates = publisher(MarkerArray, 'candidates')
        self._match_image = publisher(Image, 'match_image')

    def publish(self, answer: Answer) -> None:
        """Publish the match, and the prior if there is one."""
        if answer.prior_message is not None:
            self._pose_prior.publish(answer.prior_message)
        self._place_match.publish(answer.message)

    def publish_descriptor(self, match: Match, image_header: Header) -> None:
        """Publish the descriptor of an image with the image's header."""
        self._descriptor.publish(descriptor_message(match, image_header))

    def publish_initial_pose(self, prior: PoseWithCovarianceStamped) -> bool:
        """Publish on initial_pose; False if nobody subscribes yet.

        AMCL often starts after the first fix. In that case it must receive the next one.
        """
        if self._initial_pose.get_subscription_count() == 0:
            return False
        self._initial_pose.publish(prior)
        return True

    def publish_visuals(self, answer: Answer, rgb: NDArray[np.uint8]) -> None:
        """Draw and publish candidate markers and match image, each only if it has a subscriber."""
        if self._candidates.get_subscription_count():
            self._candidates.publish(candidate_markers(answer.match, answer.message.header))
        if self._match_image.get_subscription_count():
            header = Header(stamp=answer.message.header.stamp, frame_id=answer.message.camera_frame)
            self._match_image.publish(
                match_image_message(answer.match, rgb, answer.place_map, header)
            )

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (
            self._place_match,
            self._pose_prior,
            self._initial_pose,
            self._descriptor,
            self._candidates,
            self._match_image,
        ):
            self._ros_node.destroy_lifecycle_publisher(publisher)
