"""Camera poses of a bag: TF tree, pose topic, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import check_pose
from netvlad_ros.offline.drives.bags.bag_file import BagFile
from netvlad_ros.offline.drives.bags.bag_storage import Topic
from netvlad_ros.offline.drives.bags.pose_track import PoseTrack
from netvlad_ros.offline.drives.bags.transform_tree import TransformTree
from netvlad_ros.offline.drives.drive_options import (
    DEFAULT_BASE_FRAME,
    DEFAULT_MAP_FRAME,
    BagOptions,
)
from netvlad_ros.offline.progress import Skip

TF_TYPE = 'tf2_msgs/msg/TFMessage'
POSE_TYPES = (
    'geometry_msgs/msg/PoseStamped',
    'geometry_msgs/msg/PoseWithCovarianceStamped',
    'nav_msgs/msg/Odometry',
)


class CameraPoses(Protocol):
    """T_map_cam over time.

    Attributes:
        frame_id: the map frame.
        T_base_cam: (4, 4) float64, the camera on the robot; None where unknown.
        base_frame: the robot's frame; None where unknown.
        source: where the poses come from, in words, for messages.
    """

    frame_id: str
    T_base_cam: NDArray[np.float64] | None
    base_frame: str | None
    source: str

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """T_map_cam (4, 4) at a stamp, None where the poses around it leave a gap."""
        ...


def read_camera_poses(
    bag: BagFile, options: BagOptions, camera_frame: str
) -> tuple[CameraPoses, list[Skip]]:
    """Read every pose of an open bag, and decide how the camera's pose follows from them.

    Returns:
        The poses, and the messages that were left out: undecodable, or with an unusable pose.

    Raises:
        NetvladError: there are no poses, or it is unknown where the camera sits.
    """
    topics = bag.topics()
    pose_topics = [topic.name for topic in topics.values() if topic.msgtype in POSE_TYPES]
    pose_topic = _chosen(options.pose_topic, pose_topics, topics, bag)
    records = _Records(pose_topic)
    for topic, message in bag.messages(
        [*_tf_topics(topics), *([pose_topic] if pose_topic else [])]
    ):
        records.add(topic, message)
    map_frame = options.map_frame or DEFAULT_MAP_FRAME
    moved = options.base_frame or DEFAULT_BASE_FRAME
    end = moved if options.T_base_cam is not None else camera_frame
    frames = records.tree.frames()
    by_tf = map_frame in frames and end in frames and records.tree.connects(map_frame, end)
    try:
        if options.pose_topic or (records.track is not None and not by_tf):
            return TopicPoses(records, options, camera_frame), records.skipped
        if not by_tf:
            raise NetvladError(_no_tf(frames, map_frame, end, pose_topics))
        return TreePoses(records.tree, options, camera_frame), records.skipped
    except NetvladError as error:
        raise NetvladError(f'bag {bag.path}: {error}') from error


class TreePoses:
    """Camera poses from the TF tree."""

    def __init__(self, tree: TransformTree, options: BagOptions, camera_frame: str) -> None:
        self.frame_id = options.map_frame or DEFAULT_MAP_FRAME
        self._tree = tree
        self._tolerance_ns = options.pose_tolerance_ns
        base = options.base_frame or DEFAULT_BASE_FRAME
        known = base in tree.frames()
        if options.base_frame and not known:
            raise NetvladError(f'TF has no frame {base}; it has {", ".join(tree.frames())}')
        self.base_frame = base if known else None
        if options.T_base_cam is not None:
            self.T_base_cam: NDArray[np.float64] | None = options.T_base_cam
            self._end, self._T_end_cam = base, options.T_base_cam
        else:
            self.T_base_cam = tree.fixed(base, camera_frame) if known else None
            self._end, self._T_end_cam = camera_frame, np.eye(4)
        self.source = f'TF {self.frame_id} -> {self._end}'

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """T_map_cam (4, 4) at a stamp, None where a transform has a gap."""
        T = self._tree.at(self.frame_id, self._end, stamp_ns, self._tolerance_ns)
        return None if T is None else np.asarray(T @ self._T_end_cam, dtype=np.float64)


class TopicPoses:
    """Camera poses from a pose topic and the fixed pose of the camera on the robot."""

    def __init__(self, records: _Records, options: BagOptions, camera_frame: str) -> None:
        track, topic = records.track, records.pose_topic
        if track is None or not len(track):
            raise NetvladError(f'topic {topic} carries no usable pose')
        if options.map_frame and records.frame_id and records.frame_id != options.map_frame:
            raise NetvladError(
                f"the poses on {topic} are in the frame '{records.frame_id}', not in "
                f"'{options.map_frame}'; leave --map-frame out or use TF instead of --pose-topic"
            )
        self.frame_id = records.frame_id or options.map_frame or ''
        if not self.frame_id:
            raise NetvladError(f'the poses on {topic} name no frame; name it with --map-frame')
        self._track = track
        self._tolerance_ns = options.pose_tolerance_ns
        self.source = f'poses on {topic}'
        base = options.base_frame or records.child_frame_id or DEFAULT_BASE_FRAME
        posed = records.child_frame_id or base
        tree = records.tree
        T_base_cam = options.T_base_cam
        if T_base_cam is None:
            T_base_cam = tree.fixed(base, camera_frame)
        self.T_base_cam = T_base_cam
        self.base_frame = base if T_base_cam is not None else None
        T_posed_base = np.eye(4) if posed == base else tree.fixed(posed, base)
        if options.pose_is_camera:
            self._T_posed_cam = np.eye(4)
        elif T_base_cam is not None and T_posed_base is not None:
            self._T_posed_cam = T_posed_base @ T_base_cam
        else:
            raise NetvladError(
                f"where the camera sits is unknown: {topic} gives the pose of '{posed}', and "
                f"/tf_static does not lead from there to '{camera_frame or '(no frame)'}'; pass "
                '--T-base-cam "x y z qx qy qz qw", or --pose-is-camera if these are the poses of '
                'the optical frame, or the right --camera-frame'
            )

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """T_map_cam (4, 4) at a stamp, None where the poses leave a gap."""
        T = self._track.at(stamp_ns, self._tolerance_ns)
        return None if T is None else np.asarray(T @ self._T_posed_cam, dtype=np.float64)


class _Records:
    """Contents of the pose messages of a bag, collected in one pass."""

    def __init__(self, pose_topic: str | None) -> None:
        self.pose_topic = pose_topic
        self.tree = TransformTree()
        self.track = PoseTrack(f'topic {pose_topic}') if pose_topic else None
        self.frame_id = ''
        self.child_frame_id = ''
        self.skipped: list[Skip] = []

    def add(self, topic: str, message: Any) -> None:
        if message is None:
            self.skipped.append(Skip(topic, 'the message cannot be decoded'))
        elif topic == self.pose_topic:
            self._add_pose(message)
        else:
            for transform in message.transforms:
                self._add_transform(topic, transform)

    def _add_pose(self, message: Any) -> None:
        assert self.track is not None
        frame_id = _frame(message.header.frame_id)
        child_frame_id = _frame(getattr(message, 'child_frame_id', ''))
        if len(self.track) and (frame_id, child_frame_id) != (self.frame_id, self.child_frame_id):
            raise NetvladError(
                f"topic {self.pose_topic} changes its frames midway, from '{self.frame_id}' "
                f"'{self.child_frame_id}' to '{frame_id}' '{child_frame_id}'"
            )
        pose = getattr(message.pose, 'pose', message.pose)  # with or without covariance
        numbers = self._numbers(self.pose_topic or '', pose.position, pose.orientation)
        if numbers is not None:
            self.frame_id, self.child_frame_id = frame_id, child_frame_id
            self.track.add(stamp_ns(message.header), numbers)

    def _add_transform(self, topic: str, message: Any) -> None:
        transform = message.transform
        numbers = self._numbers(topic, transform.translation, transform.rotation)
        if numbers is not None:
            self.tree.add(
                _frame(message.header.frame_id),
                _frame(message.child_frame_id),
                stamp_ns(message.header),
                numbers,
                fixed=topic.endswith('tf_static'),
            )

    def _numbers(self, topic: str, position: Any, quat: Any) -> tuple[float, ...] | None:
        numbers = (position.x, position.y, position.z, quat.x, quat.y, quat.z, quat.w)
        try:
            check_pose(numbers)
        except NetvladError:
            self.skipped.append(
                Skip(topic, 'its pose is not finite, absurd, or its quaternion not unit')
            )
            return None
        return numbers


def stamp_ns(header: Any) -> int:
    """Stamp of a message header [ns]."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _frame(name: str) -> str:
    return name.lstrip('/')


def _tf_topics(topics: Mapping[str, Topic]) -> list[str]:
    found = [topic.name for topic in topics.values() if topic.msgtype == TF_TYPE]
    usual = [name for name in found if name in ('/tf', '/tf_static')]
    return usual or found  # a namespaced robot records /robot/tf instead


def _chosen(
    asked: str | None, pose_topics: list[str], topics: Mapping[str, Topic], bag: BagFile
) -> str | None:
    if asked is None:
        return pose_topics[0] if len(pose_topics) == 1 else None
    if asked not in topics:
        raise NetvladError(
            f'bag {bag.path} has no topic {asked}; topics with poses: '
            f'{", ".join(pose_topics) or "none"}; all topics: {", ".join(sorted(topics)) or "none"}'
        )
    if asked not in pose_topics:
        raise NetvladError(
            f'bag {bag.path}: topic {asked} carries {topics[asked].msgtype}, which is no pose; '
            f'topics with poses: {", ".join(pose_topics) or "none"}'
        )
    return asked


def _no_tf(frames: list[str], map_frame: str, end: str, pose_topics: list[str]) -> str:
    hint = f'; or name a pose topic: --pose-topic {" | ".join(pose_topics)}' if pose_topics else ''
    if not frames:
        missing = '' if pose_topics else ', and no topic with poses'
        return f'it has no poses: no TF{missing}{hint}'
    have = f'TF has the frames {", ".join(frames)}'
    if map_frame not in frames:
        return f"TF has no frame '{map_frame}'; choose one with --map-frame ({have}){hint}"
    if end not in frames:
        return (
            f"TF has no frame '{end}' of the camera; choose it with --camera-frame or pass "
            f'--T-base-cam ({have}){hint}'
        )
    return f"TF does not connect '{map_frame}' with '{end}' ({have}){hint}"


@dataclass
class NoPoses:
    """Stands in for CameraPoses: no image has a pose."""

    frame_id: str
    T_base_cam: NDArray[np.float64] | None = None
    base_frame: str | None = None
    source: str = 'no poses were asked for'

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """None, at any time."""
        return None
