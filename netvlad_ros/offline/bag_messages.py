"""ROS messages made without ROS, for the bags that are written here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from netvlad_ros.core.geometry import pose_vector
from netvlad_ros.offline.camera_file import CameraFile

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
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return self._type('sensor_msgs/msg/CompressedImage')(
            header=self._header(stamp_ns, frame_id),
            format='rgb8; jpeg compressed bgr8',
            data=data.ravel(),
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
