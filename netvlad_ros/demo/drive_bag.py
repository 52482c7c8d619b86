"""A rendered drive as a rosbag2: images, camera_info, odometry and the TF of a moving robot."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import invert
from netvlad_ros.demo.camera import T_BASE_CAM, Camera
from netvlad_ros.demo.trajectory import Trajectory
from netvlad_ros.offline.drives.bags.bag_writer import (
    BASE_FRAME,
    MAP_FRAME,
    BagWriter,
    write_bag_to,
)
from netvlad_ros.offline.drives.camera_file import CameraFile

ODOM_FRAME = 'odom'
TF_HZ = 25.0
SPEED_OVER_S = 0.02


def write_drive_bag(
    path: Path,
    trajectory: Trajectory,
    camera: Camera,
    images: Iterable[NDArray[np.uint8]],
    *,
    compressed: bool,
) -> None:
    """Write an image, uint8 (H, W, 3) RGB, for each stamp of the trajectory, and TF between them.

    compressed: JPEG images in an mcap file; else raw rgb8 images in an sqlite3 file.
    """
    K = camera.K
    calibration = CameraFile(
        width=camera.width,
        height=camera.height,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        K=K,
        R=np.eye(3),
        P=np.hstack([K, np.zeros((3, 1))]),
    )
    next_tf, period = trajectory.start_ns, round(1e9 / TF_HZ)
    with write_bag_to(
        path,
        storage='mcap' if compressed else 'sqlite3',
        compressed=compressed,
        camera=calibration,
        T_base_cam=T_BASE_CAM,
    ) as writer:
        for stamp_ns, image in zip(trajectory.stamps_ns.tolist(), images, strict=True):
            while next_tf <= stamp_ns:
                _write_motion(writer, trajectory, next_tf)
                next_tf += period
            writer.write_image(stamp_ns, image)
        # One more, so that the last image lies between two poses.
        _write_motion(writer, trajectory, next_tf)


def _write_motion(writer: BagWriter, trajectory: Trajectory, stamp_ns: int) -> None:
    t = trajectory.at(stamp_ns)
    T_map_odom = trajectory.T_map_odom(t)
    T_odom_base = invert(T_map_odom) @ trajectory.T_map_base(t)
    ahead = invert(T_map_odom) @ trajectory.T_map_base(t + SPEED_OVER_S)
    speed = float(np.linalg.norm(ahead[:3, 3] - T_odom_base[:3, 3])) / SPEED_OVER_S
    odom = (ODOM_FRAME, BASE_FRAME, T_odom_base)
    writer.write_transforms(stamp_ns, [(MAP_FRAME, ODOM_FRAME, T_map_odom), odom])
    writer.write_odometry(stamp_ns, odom, speed)
