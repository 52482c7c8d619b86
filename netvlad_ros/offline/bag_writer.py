"""A drive becomes a rosbag2 recording, to be replayed as if the robot drove again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

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

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import atomic_directory
from netvlad_ros.offline.bag_messages import BagMessages, Link
from netvlad_ros.offline.camera_file import CameraFile

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
IMAGE_TOPIC = '/camera/image_raw'
CAMERA_INFO_TOPIC = '/camera/camera_info'
ODOM_TOPIC = '/odom'
MAP_FRAME, BASE_FRAME, CAMERA_FRAME = 'map', 'base_link', 'camera_optical_frame'
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
    """Writes images, camera_info, TF and odometry, in whatever order they are handed over."""

    def __init__(
        self,
        writer: Writer,
        compressed: bool,
        camera: CameraFile | None,
        T_base_cam: NDArray[np.float64],
    ) -> None:
        """`writer` is open; the other arguments are those of write_bag_to."""
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
        """Write moving transforms; those of the camera on the base come before the first."""
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
