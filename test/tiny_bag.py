"""Bags of a few messages, written with rosbags in the layout of ROS 2 recorders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from netvlad_ros.core.geometry import pose_vector

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types


def header(stamp_ns: int, frame_id: str) -> Any:
    sec, nanosec = divmod(stamp_ns, 10**9)
    return TYPES['std_msgs/msg/Header'](
        stamp=TYPES['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec), frame_id=frame_id
    )


def raw_image(stamp_ns: int, rgb: np.ndarray, frame_id: str = 'camera') -> Any:
    """An image as cameras send it: bgr8, rows padded to a multiple of 16 bytes."""
    height, width = rgb.shape[:2]
    step = -(-3 * width // 16) * 16 + 16
    data = np.zeros((height, step), dtype=np.uint8)
    data[:, : 3 * width] = rgb[:, :, ::-1].reshape(height, -1)
    return TYPES['sensor_msgs/msg/Image'](
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='bgr8',
        is_bigendian=0,
        step=step,
        data=data.ravel(),
    )


def jpeg_image(stamp_ns: int, rgb: np.ndarray, frame_id: str = 'camera') -> Any:
    _, jpeg = cv2.imencode('.jpg', rgb[:, :, ::-1])
    return TYPES['sensor_msgs/msg/CompressedImage'](
        header=header(stamp_ns, frame_id), format='bgr8; jpeg compressed bgr8', data=jpeg.ravel()
    )


def _pose(T: np.ndarray) -> Any:
    x, y, z, qx, qy, qz, qw = map(float, pose_vector(T))
    return TYPES['geometry_msgs/msg/Pose'](
        position=TYPES['geometry_msgs/msg/Point'](x=x, y=y, z=z),
        orientation=TYPES['geometry_msgs/msg/Quaternion'](x=qx, y=qy, z=qz, w=qw),
    )


def pose_stamped(stamp_ns: int, T: np.ndarray, frame_id: str = 'map') -> Any:
    return TYPES['geometry_msgs/msg/PoseStamped'](header=header(stamp_ns, frame_id), pose=_pose(T))


def pose_with_covariance(stamp_ns: int, T: np.ndarray, frame_id: str = 'map') -> Any:
    return TYPES['geometry_msgs/msg/PoseWithCovarianceStamped'](
        header=header(stamp_ns, frame_id),
        pose=TYPES['geometry_msgs/msg/PoseWithCovariance'](pose=_pose(T), covariance=np.zeros(36)),
    )


def odometry(stamp_ns: int, T: np.ndarray, frame_id: str = 'map', child: str = 'base_link') -> Any:
    zero = TYPES['geometry_msgs/msg/Vector3'](x=0.0, y=0.0, z=0.0)
    return TYPES['nav_msgs/msg/Odometry'](
        header=header(stamp_ns, frame_id),
        child_frame_id=child,
        pose=TYPES['geometry_msgs/msg/PoseWithCovariance'](pose=_pose(T), covariance=np.zeros(36)),
        twist=TYPES['geometry_msgs/msg/TwistWithCovariance'](
            twist=TYPES['geometry_msgs/msg/Twist'](linear=zero, angular=zero),
            covariance=np.zeros(36),
        ),
    )


def transform(stamp_ns: int, parent: str, child: str, T: np.ndarray) -> Any:
    x, y, z, qx, qy, qz, qw = map(float, pose_vector(T))
    return TYPES['tf2_msgs/msg/TFMessage'](
        transforms=[
            TYPES['geometry_msgs/msg/TransformStamped'](
                header=header(stamp_ns, parent),
                child_frame_id=child,
                transform=TYPES['geometry_msgs/msg/Transform'](
                    translation=TYPES['geometry_msgs/msg/Vector3'](x=x, y=y, z=z),
                    rotation=TYPES['geometry_msgs/msg/Quaternion'](x=qx, y=qy, z=qz, w=qw),
                ),
            )
        ]
    )


def write_bag(
    path: Path, messages: Iterable[tuple[str, int, Any]], *, storage: str = 'mcap'
) -> Path:
    """Write (topic, time of reception [ns], message) as a bag folder."""
    plugin = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}[storage]
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections: dict[str, Any] = {}
        for topic, stamp_ns, message in sorted(messages, key=lambda item: item[1]):
            msgtype = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=STORE)
            data = STORE.serialize_cdr(message, msgtype)
            writer.write(connections[topic], stamp_ns, data)
    return path
