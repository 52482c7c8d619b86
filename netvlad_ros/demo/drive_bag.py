"""A drive as a rosbag2 that any ROS 2 tool reads: images, camera_info, odometry, TF."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from netvlad_ros.core.geometry import invert, pose_vector
from netvlad_ros.demo.camera import T_BASE_CAM, Camera
from netvlad_ros.demo.trajectory import Trajectory

MAP, ODOM, BASE, CAMERA = 'map', 'odom', 'base_link', 'camera_optical_frame'
IMAGE_TOPIC, INFO_TOPIC, ODOM_TOPIC = '/camera/image_raw', '/camera/camera_info', '/odom'
_TF_HZ = 25.0


class DriveBag:
    """Writes one drive; use as a context manager, hand it the images in order."""

    def __init__(
        self, path: Path, trajectory: Trajectory, camera: Camera, *, compressed: bool
    ) -> None:
        """compressed: JPEG images in an mcap file; else raw rgb8 images in an sqlite3 file."""
        self._trajectory, self._camera, self._compressed = trajectory, camera, compressed
        self._store = get_typestore(Stores.ROS2_JAZZY)
        plugin = StoragePlugin.MCAP if compressed else StoragePlugin.SQLITE3
        self._writer = Writer(path, version=8, storage_plugin=plugin)

    def __enter__(self) -> DriveBag:
        self._writer.open()
        image = ('/compressed', 'CompressedImage') if self._compressed else ('', 'Image')
        topics = {
            'image': (IMAGE_TOPIC + image[0], f'sensor_msgs/msg/{image[1]}', False),
            'info': (INFO_TOPIC, 'sensor_msgs/msg/CameraInfo', False),
            'odom': (ODOM_TOPIC, 'nav_msgs/msg/Odometry', False),
            'tf': ('/tf', 'tf2_msgs/msg/TFMessage', False),
            'tf_static': ('/tf_static', 'tf2_msgs/msg/TFMessage', True),
        }
        self._topics = {
            key: self._writer.add_connection(
                topic, kind, typestore=self._store, offered_qos_profiles=[_qos(latched)]
            )
            for key, (topic, kind, latched) in topics.items()
        }  # fmt: skip
        start = self._trajectory.start_ns
        self._write('tf_static', start, self._transforms(start, [(BASE, CAMERA, T_BASE_CAM)]))
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, images: Iterable[NDArray[np.uint8]]) -> None:
        """Write an image, uint8 (H, W, 3) RGB, for each stamp of the trajectory, and TF."""
        trajectory, next_tf = self._trajectory, self._trajectory.start_ns
        period = round(1e9 / _TF_HZ)
        for stamp, image in zip(trajectory.stamps_ns.tolist(), images, strict=True):
            while next_tf <= stamp:
                self._write_motion(next_tf)
                next_tf += period
            self._write('image', stamp, self._image(stamp, image))
            self._write('info', stamp, self._info(stamp))
        self._write_motion(next_tf)

    def _write_motion(self, stamp: int) -> None:
        t = self._trajectory.at(stamp)
        T_map_odom = self._trajectory.T_map_odom(t)
        T_odom_base = invert(T_map_odom) @ self._trajectory.T_map_base(t)
        chain = [(MAP, ODOM, T_map_odom), (ODOM, BASE, T_odom_base)]
        self._write('tf', stamp, self._transforms(stamp, chain))
        ahead = invert(T_map_odom) @ self._trajectory.T_map_base(t + 0.02)
        speed = float(np.linalg.norm(ahead[:3, 3] - T_odom_base[:3, 3]) / 0.02)
        self._write('odom', stamp, self._odometry(stamp, T_odom_base, speed))

    def _write(self, key: str, stamp: int, message: Any) -> None:
        connection = self._topics[key]
        self._writer.write(
            connection, stamp, self._store.serialize_cdr(message, connection.msgtype)
        )

    def _type(self, name: str) -> Any:
        return self._store.types[name]

    def _header(self, stamp: int, frame: str) -> Any:
        time = self._type('builtin_interfaces/msg/Time')(*divmod(stamp, 1_000_000_000))
        return self._type('std_msgs/msg/Header')(stamp=time, frame_id=frame)

    def _image(self, stamp: int, rgb: NDArray[np.uint8]) -> Any:
        header = self._header(stamp, CAMERA)
        if self._compressed:
            _, data = cv2.imencode('.jpg', rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            return self._type('sensor_msgs/msg/CompressedImage')(
                header, 'rgb8; jpeg compressed bgr8', data.ravel()
            )
        height, width = rgb.shape[:2]
        return self._type('sensor_msgs/msg/Image')(
            header, height, width, 'rgb8', 0, 3 * width, rgb.ravel()
        )

    def _info(self, stamp: int) -> Any:
        camera, K = self._camera, self._camera.K
        region = self._type('sensor_msgs/msg/RegionOfInterest')(0, 0, 0, 0, False)
        return self._type('sensor_msgs/msg/CameraInfo')(
            header=self._header(stamp, CAMERA), height=camera.height, width=camera.width,
            distortion_model='plumb_bob', d=np.zeros(5), k=K.ravel(), r=np.eye(3).ravel(),
            p=np.hstack([K, np.zeros((3, 1))]).ravel(), binning_x=0, binning_y=0, roi=region,
        )  # fmt: skip

    def _transforms(self, stamp: int, chain: list[tuple[str, str, NDArray[np.float64]]]) -> Any:
        transforms = []
        for parent, child, T in chain:
            x, y, z, *q = pose_vector(T).tolist()
            transform = self._type('geometry_msgs/msg/Transform')(
                self._type('geometry_msgs/msg/Vector3')(x, y, z),
                self._type('geometry_msgs/msg/Quaternion')(*q),
            )
            stamped = self._type('geometry_msgs/msg/TransformStamped')
            transforms.append(stamped(self._header(stamp, parent), child, transform))
        return self._type('tf2_msgs/msg/TFMessage')(transforms)

    def _odometry(self, stamp: int, T_odom_base: NDArray[np.float64], speed: float) -> Any:
        x, y, z, *q = pose_vector(T_odom_base).tolist()
        vector, none = self._type('geometry_msgs/msg/Vector3'), np.zeros(36)
        pose = self._type('geometry_msgs/msg/Pose')(
            self._type('geometry_msgs/msg/Point')(x, y, z),
            self._type('geometry_msgs/msg/Quaternion')(*q),
        )
        twist = self._type('geometry_msgs/msg/Twist')(
            vector(speed, 0.0, 0.0), vector(0.0, 0.0, 0.0)
        )
        return self._type('nav_msgs/msg/Odometry')(
            self._header(stamp, ODOM), BASE,
            self._type('geometry_msgs/msg/PoseWithCovariance')(pose, none),
            self._type('geometry_msgs/msg/TwistWithCovariance')(twist, none),
        )  # fmt: skip


def _qos(latched: bool) -> Qos:
    unset = QosTime(0, 0)
    return Qos(
        QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        unset, unset, QosLiveliness.AUTOMATIC, unset, False,
    )  # fmt: skip
