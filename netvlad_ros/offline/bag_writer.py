"""A drive becomes a rosbag2 recording, to be replayed as if the robot drove again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

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

from netvlad_ros.core.atomic_directory import atomic_directory
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import invert, pose_vector
from netvlad_ros.offline.camera_file import CameraFile

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
IMAGE_TOPIC = '/camera/image_raw'
CAMERA_INFO_TOPIC = '/camera/camera_info'
JPEG_QUALITY = 95
BAG_VERSION: Literal[8] = 8  # the older format that rosbags writes: new tools read old bags

# A camera looking along the base's x axis (REP-103), for drives that know no robot around it.
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

    storage: mcap or sqlite3. compressed: JPEG instead of raw rgb8. T_base_cam: (4, 4). Raises
    NetvladError if `out` exists or cannot be written.
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
    """Writes images, camera_info and TF (map -> base_link -> camera_optical_frame)."""

    map_frame = 'map'
    base_frame = 'base_link'
    camera_frame = 'camera_optical_frame'

    def __init__(
        self,
        writer: Writer,
        compressed: bool,
        camera: CameraFile | None,
        T_base_cam: NDArray[np.float64],
    ) -> None:
        """`writer` is open; the other arguments are those of write_bag_to."""
        self._writer = writer
        self._compressed = compressed
        self._camera = camera
        self._T_base_cam = T_base_cam
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._started = False
        self._topics = {
            IMAGE_TOPIC: self._connect(*self._image_topic()),
            '/tf': self._connect('/tf', 'tf2_msgs/msg/TFMessage'),
            '/tf_static': self._connect('/tf_static', 'tf2_msgs/msg/TFMessage', latched=True),
        }
        if camera:
            self._topics[CAMERA_INFO_TOPIC] = self._connect(
                CAMERA_INFO_TOPIC, 'sensor_msgs/msg/CameraInfo'
            )

    def write(
        self, stamp_ns: int, rgb: NDArray[np.uint8], T_map_cam: NDArray[np.float64] | None
    ) -> None:
        """Write one image, uint8 (H, W, 3) RGB, with camera_info and, if known, TF at its stamp."""
        if not self._started:
            self._transform('/tf_static', stamp_ns, self._T_base_cam)
            self._started = True
        if T_map_cam is not None:
            self._transform('/tf', stamp_ns, T_map_cam @ invert(self._T_base_cam))
        header = self._header(stamp_ns, self.camera_frame)
        if self._camera:
            self._send(CAMERA_INFO_TOPIC, stamp_ns, self._camera_info(header, self._camera))
        self._send(IMAGE_TOPIC, stamp_ns, self._image(header, rgb))

    def _image_topic(self) -> tuple[str, str]:
        if self._compressed:
            return f'{IMAGE_TOPIC}/compressed', 'sensor_msgs/msg/CompressedImage'
        return IMAGE_TOPIC, 'sensor_msgs/msg/Image'

    def _connect(self, topic: str, msgtype: str, *, latched: bool = False) -> Any:
        qos = [_latched_qos()] if latched else []
        return self._writer.add_connection(
            topic, msgtype, typestore=self._store, offered_qos_profiles=qos
        )

    def _send(self, topic: str, stamp_ns: int, message: Any) -> None:
        connection = self._topics[topic]
        data = self._store.serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, stamp_ns, data)

    def _type(self, name: str) -> Any:
        return self._store.types[name]

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        sec, nanosec = divmod(stamp_ns, 10**9)
        stamp = self._type('builtin_interfaces/msg/Time')(sec=sec, nanosec=nanosec)
        return self._type('std_msgs/msg/Header')(stamp=stamp, frame_id=frame_id)

    def _transform(self, topic: str, stamp_ns: int, T: NDArray[np.float64]) -> None:
        fixed = topic == '/tf_static'
        parent, child = (
            (self.base_frame, self.camera_frame) if fixed else (self.map_frame, self.base_frame)
        )
        x, y, z, qx, qy, qz, qw = pose_vector(T).tolist()
        transform = self._type('geometry_msgs/msg/Transform')(
            translation=self._type('geometry_msgs/msg/Vector3')(x=x, y=y, z=z),
            rotation=self._type('geometry_msgs/msg/Quaternion')(x=qx, y=qy, z=qz, w=qw),
        )
        stamped = self._type('geometry_msgs/msg/TransformStamped')(
            header=self._header(stamp_ns, parent), child_frame_id=child, transform=transform
        )
        self._send(topic, stamp_ns, self._type('tf2_msgs/msg/TFMessage')(transforms=[stamped]))

    def _image(self, header: Any, rgb: NDArray[np.uint8]) -> Any:
        if self._compressed:
            bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
            _, jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            return self._type('sensor_msgs/msg/CompressedImage')(
                header=header, format='rgb8; jpeg compressed bgr8', data=jpeg.ravel()
            )
        height, width = rgb.shape[:2]
        return self._type('sensor_msgs/msg/Image')(
            header=header,
            height=height,
            width=width,
            encoding='rgb8',
            is_bigendian=0,
            step=3 * width,
            data=np.ascontiguousarray(rgb).ravel(),
        )

    def _camera_info(self, header: Any, camera: CameraFile) -> Any:
        return self._type('sensor_msgs/msg/CameraInfo')(
            header=header,
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
