"""Collector: what the node publishes, by the stamp of the image that it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Pose, PoseWithCovarianceStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from netvlad_ros.core.geometry import pose_matrix
from netvlad_ros.demo.node_process import NAME
from netvlad_ros_msgs.msg import PlaceMatch

_STATUS = {
    PlaceMatch.NO_MATCH: 'no_match',
    PlaceMatch.ACCEPTED: 'accepted',
    PlaceMatch.AMBIGUOUS: 'ambiguous',
}


@dataclass(frozen=True)
class ReceivedMatch:
    """A PlaceMatch.

    Attributes:
        status: 'accepted', 'ambiguous' or 'no_match'.
        reason: The reason in words.
        place_ids: place_id of the candidates, best first.
        similarity: Cosine similarity of the first candidate; nan without candidate.
        pose_method: How the pose was estimated.
        latency_ms: From the image's stamp to arrival [ms].
    """

    status: str
    reason: str
    place_ids: tuple[int, ...]
    similarity: float
    pose_method: str
    latency_ms: float


@dataclass(frozen=True)
class ReceivedPrior:
    """A pose prior.

    Attributes:
        T: Pose (4, 4) in `frame`.
        frame: frame_id of the message.
        latency_ms: From the image's stamp to arrival [ms].
    """

    T: NDArray[np.float64]
    frame: str
    latency_ms: float


class Collector(Node):
    """Subscribes to everything that the node publishes.

    Attributes:
        matches: Matches by the stamp of their image [ns].
        priors: Pose priors by stamp [ns].
        initial_poses: Messages on initial_pose by stamp [ns].
        diagnostics: Values of the newest diagnostics by name.
    """

    def __init__(self) -> None:
        super().__init__('demo')
        self.matches: dict[int, ReceivedMatch] = {}
        self.priors: dict[int, ReceivedPrior] = {}
        self.initial_poses: dict[int, ReceivedPrior] = {}
        self.diagnostics: dict[str, str] = {}
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        self.create_subscription(PlaceMatch, '/place_match', self._match, qos)
        kind = PoseWithCovarianceStamped
        self.create_subscription(kind, '/pose_prior', self._prior, qos)
        self.create_subscription(kind, '/initial_pose', self._initial_pose, qos)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnosed, qos)

    def _match(self, message: PlaceMatch) -> None:
        stamp_ns = _stamp_ns(message)
        self.matches[stamp_ns] = ReceivedMatch(
            status=_STATUS[message.status],
            reason=message.reason,
            place_ids=tuple(candidate.place_id for candidate in message.candidates),
            similarity=message.candidates[0].similarity if message.candidates else float('nan'),
            pose_method=message.pose_method,
            latency_ms=_age_ms(stamp_ns),
        )

    def _prior(self, message: PoseWithCovarianceStamped) -> None:
        self.priors[_stamp_ns(message)] = _received(message)

    def _initial_pose(self, message: PoseWithCovarianceStamped) -> None:
        self.initial_poses[_stamp_ns(message)] = _received(message)

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'/{NAME}:'):
                self.diagnostics = {entry.key: entry.value for entry in status.values}


def _received(message: PoseWithCovarianceStamped) -> ReceivedPrior:
    pose: Pose = message.pose.pose
    at, turn = pose.position, pose.orientation
    T = pose_matrix((at.x, at.y, at.z), (turn.x, turn.y, turn.z, turn.w))
    return ReceivedPrior(T, message.header.frame_id, _age_ms(_stamp_ns(message)))


def _stamp_ns(message: PlaceMatch | PoseWithCovarianceStamped) -> int:
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def _age_ms(stamp_ns: int) -> float:
    return (time.time_ns() - stamp_ns) / 1e6
