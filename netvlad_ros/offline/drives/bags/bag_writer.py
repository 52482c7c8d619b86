"""Writes a bag: images, camera_info, TF, odometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

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

from netvlad_ros.core.camera.image import to_jpeg
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import atomic_directory
from netvlad_ros.core.geometry import pose_vector
from netvlad_ros.offline.drives.camera_file import CameraFile

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
IMAGE_TOPIC = '/camera/image_raw'
CAMERA_INFO_TOPIC = '/camera/camera_info'
ODOM_TOPIC = '/odom'
MAP_FRAME, BASE_FRAME, CAMERA_FRAME = 'map', 'base_link', 'camera_optical_frame'
BAG_VERSION: Literal[8] = 8  # the older format that rosbags writes; new tools read it too

# A camera that looks along the base's x axis (REP-103), for drives without a robot.
T_BASE_CAM_FORWARD = np.array(
    [[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=np.float64
)


@contextmanager
def write_bag_to(
    out: Path,
    *,
    storage: str = 'mcap',
    compressed: bool = False,
    camera: CameraFile | None = None,
    T_base_cam: NDArray[np.float64] = T_BASE_CAM_FORWARD,
) -> Iterator[BagWriter]:
    """Give a BagWriter; the bag appears whole when the block succeeds, or not at all.

    Args:
        out: the bag's folder, which must not exist.
        storage: mcap or sqlite3.
        compressed: write JPEG images instead of raw rgb8.
        camera: the calibration; None: no camera_info is written.
        T_base_cam: (4, 4) float64, the camera on the robot.

    Raises:
        NetvladError: `out` exists or cannot be written.
    """
    if storage not in STORAGES:
        raise NetvladError(f"storage '{storage}' is unknown; choose {' or '.join(STORAGES)}")
    if out.exists():
        raise NetvladError(f'{out} exists already; choose another folder')
    with atomic_directory(out, overwrite=False) as room:
        # rosbags makes the folder itself and names the files inside after it.
        inner = room / out.name
        with Writer(inner, version=BAG_VERSION, storage_plugin=STORAGES[storage]) as writer:
            yield BagWriter(writer, compressed, camera, T_base_cam)
        for file in inner.iterdir():
            file.rename(room / file.name)
        inner.rmdir()


class BagWriter:
    """Writes images, camera_info, TF and odometry, in any order."""

    def __init__(
        self,
        writer: Writer,
        compressed: bool,
        camera: CameraFile | None,
        T_base_cam: NDArray[np.float64],
    ) -> None:
        """writer: an open one; the other arguments are those of write_bag_to."""
        self._writer = writer
        self._camera = camera
        self._T_base_cam = T_base_cam
        self._messages = BagMessages()
        self._image = self._messages.jpeg if compressed else self._messages.image
        self._image_topic = f'{IMAGE_TOPIC}/compressed' if compressed else IMAGE_TOPIC
        self._connections: dict[str, Any] = {}

    def write_image(self, stamp_ns: int, rgb: NDArray[np.uint8]) -> None:
        """Write one image, uint8 (H, W, 3) RGB, and its camera_info."""
        if self._camera:
            info = self._messages.camera_info(stamp_ns, CAMERA_FRAME, self._camera)
            self._send(CAMERA_INFO_TOPIC, stamp_ns, info)
        self._send(self._image_topic, stamp_ns, self._image(stamp_ns, CAMERA_FRAME, rgb))

    def write_transforms(self, stamp_ns: int, links: Sequence[Link]) -> None:
        """Write moving transforms; the fixed one of the camera is written before the first."""
        if '/tf_static' not in self._connections:
            mount = [(BASE_FRAME, CAMERA_FRAME, self._T_base_cam)]
            self._send('/tf_static', stamp_ns, self._messages.transforms(stamp_ns, mount))
        self._send('/tf', stamp_ns, self._messages.transforms(stamp_ns, links))

    def write_odometry(self, stamp_ns: int, link: Link, speed: float) -> None:
        """Write odometry of the base that moves forward at `speed` [m/s]."""
        self._send(ODOM_TOPIC, stamp_ns, self._messages.odometry(stamp_ns, link, speed))

    def _send(self, topic: str, stamp_ns: int, message: Any) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic,
                message.__msgtype__,
                typestore=self._messages.store,
                offered_qos_profiles=[_latched_qos()] if topic == '/tf_static' else [],
            )
        connection = self._connections[topic]
        data = self._messages.store.serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, stamp_ns, data)


def _latched_qos() -> Qos:
    never = QosTime(0, 0)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL,
        deadline=never,
        lifespan=never,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=never,
        avoid_ros_namespace_conventions=False,
    )


JPEG_QUALITY = 95
Link: TypeAlias = tuple[str, str, NDArray[np.float64]]  # parent, child, T_parent_child (4, 4)


class BagMessages:
    """Builds messages of the Jazzy typestore and serialises them."""

    def __init__(self) -> None:
        self.store = get_typestore(Stores.ROS2_JAZZY)

    def image(self, stamp_ns: int, frame_id: str, rgb: NDArray[np.uint8]) -> Any:
        """sensor_msgs/Image, rgb8, of rgb, uint8 (H, W, 3)."""
        height, width = rgb.shape[:2]
        return self._type('sensor_msgs/msg/Image')(
            header=self._header(stamp_ns, frame_id),
            height=height,
            width=width,
            encoding='rgb8',
            is_bigendian=0,
            step=3 * width,
            data=np.ascontiguousarray(rgb).ravel(),
        )

    def jpeg(self, stamp_ns: int, frame_id: str, rgb: NDArray[np.uint8]) -> Any:
        """sensor_msgs/CompressedImage of rgb, uint8 (H, W, 3)."""
        return self._type('sensor_msgs/msg/CompressedImage')(
            header=self._header(stamp_ns, frame_id),
            format='rgb8; jpeg compressed bgr8',
            data=np.frombuffer(to_jpeg(rgb, JPEG_QUALITY), dtype=np.uint8),
        )

    def camera_info(self, stamp_ns: int, frame_id: str, camera: CameraFile) -> Any:
        """sensor_msgs/CameraInfo."""
        return self._type('sensor_msgs/msg/CameraInfo')(
            header=self._header(stamp_ns, frame_id),
            height=camera.height,
            width=camera.width,
            distortion_model=camera.distortion_model,
            d=camera.d,
            k=camera.K.ravel(),
            r=camera.R.ravel(),
            p=camera.P.ravel(),
            binning_x=0,
            binning_y=0,
            roi=self._type('sensor_msgs/msg/RegionOfInterest')(
                x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
            ),
        )

    def transforms(self, stamp_ns: int, links: Sequence[Link]) -> Any:
        """tf2_msgs/TFMessage."""
        stamped = self._type('geometry_msgs/msg/TransformStamped')
        transforms = []
        for parent, child, T in links:
            x, y, z, *quat_xyzw = pose_vector(T).tolist()
            transform = self._type('geometry_msgs/msg/Transform')(
                translation=self._vector(x, y, z),
                rotation=self._type('geometry_msgs/msg/Quaternion')(*quat_xyzw),
            )
            transforms.append(
                stamped(
                    header=self._header(stamp_ns, parent), child_frame_id=child, transform=transform
                )
            )
        return self._type('tf2_msgs/msg/TFMessage')(transforms=transforms)

    def odometry(self, stamp_ns: int, link: Link, speed: float) -> Any:
        """nav_msgs/Odometry of a base that moves forward at `speed` [m/s]; covariances unknown."""
        parent, child, T = link
        x, y, z, *quat_xyzw = pose_vector(T).tolist()
        pose = self._type('geometry_msgs/msg/Pose')(
            position=self._type('geometry_msgs/msg/Point')(x=x, y=y, z=z),
            orientation=self._type('geometry_msgs/msg/Quaternion')(*quat_xyzw),
        )
        twist = self._type('geometry_msgs/msg/Twist')(
            linear=self._vector(speed, 0.0, 0.0), angular=self._vector(0.0, 0.0, 0.0)
        )
        return self._type('nav_msgs/msg/Odometry')(
            header=self._header(stamp_ns, parent),
            child_frame_id=child,
            pose=self._type('geometry_msgs/msg/PoseWithCovariance')(
                pose=pose, covariance=np.zeros(36)
            ),
            twist=self._type('geometry_msgs/msg/TwistWithCovariance')(
                twist=twist, covariance=np.zeros(36)
            ),
        )

    def _type(self, name: str) -> Any:
        return self.store.types[name]

    def _vector(self, x: float, y: float, z: float) -> Any:
        return self._type('geometry_msgs/msg/Vector3')(x=x, y=y, z=z)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        sec, nanosec = divmod(stamp_ns, 10**9)
        stamp = self._type('builtin_interfaces/msg/Time')(sec=sec, nanosec=nanosec)
        return self._type('std_msgs/msg/Header')(stamp=stamp, frame_id=frame_id)
