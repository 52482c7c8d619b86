"""RenderedDrive: the demo's two drives through the town, rendered into bags."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import invert
from netvlad_ros.offline.drives.bags.bag_writer import (
    BASE_FRAME,
    MAP_FRAME,
    BagWriter,
    write_bag_to,
)
from netvlad_ros.offline.drives.camera_file import CameraFile
from netvlad_ros.world.rendering.camera import T_BASE_CAM, Camera
from netvlad_ros.world.rendering.daylight import FIRST_DAY, SECOND_DAY, Daylight
from netvlad_ros.world.rendering.renderer import Renderer
from netvlad_ros.world.scenes.town import Town
from netvlad_ros.world.trajectory import (
    DETOUR,
    FIRST_DRIVE,
    LOOP,
    SECOND_DRIVE,
    DriveStyle,
    Route,
    Trajectory,
)

SEED = 4  # of the town
ODOM_FRAME = 'odom'
TF_HZ = 25.0
SPEED_OVER_S = 0.02  # interval of the finite difference that gives the speed


@dataclass(frozen=True)
class RenderedDrive:
    """A route driven on a day: everything that determines the images.

    Attributes:
        name: of the drive and of its bag.
        route: where it leads.
        style: how it is driven.
        daylight: sun, sky and sensor.
        day: places the movable things of the town.
        compressed: whether the images are stored as JPEG.
    """

    name: str
    route: Route
    style: DriveStyle
    daylight: Daylight
    day: int
    compressed: bool

    @property
    def trajectory(self) -> Trajectory:
        """Pose of the vehicle over time."""
        return Trajectory(self.route, self.style)

    def images(self, camera: Camera) -> Iterator[NDArray[np.uint8]]:
        """Render the image of each stamp: uint8 (H, W, 3) RGB."""
        trajectory = self.trajectory
        town = Town.build(SEED, self.day)
        quads = self.daylight.lit(town.quads, town.boxes)
        renderer = Renderer(quads, self.daylight.sky(), camera)
        rng = np.random.default_rng((SEED, self.day))
        for stamp in trajectory.stamps_ns:
            T_map_cam = trajectory.T_map_base(trajectory.at(stamp)) @ T_BASE_CAM
            yield self.daylight.develop(renderer.render(T_map_cam), rng)


DRIVE_ONE = RenderedDrive('drive_one', LOOP, FIRST_DRIVE, FIRST_DAY, day=1, compressed=True)
DRIVE_TWO = RenderedDrive('drive_two', DETOUR, SECOND_DRIVE, SECOND_DAY, day=2, compressed=False)


def record(
    drives: list[RenderedDrive], folder: Path, progress: Callable[[int, int], None]
) -> list[Path]:
    """Render drives in parallel, one process each, into rosbag2 folders.

    Args:
        drives: what to render.
        folder: where each drive gets a folder of its name.
        progress: called with the number of images done and the total.

    Returns:
        The folders of the drives.

    Raises:
        NetvladError: rendering failed.
    """
    context = multiprocessing.get_context('spawn')
    paths = [folder / drive.name for drive in drives]
    done = context.Value('i', 0)
    workers = [
        context.Process(target=_record, args=(drive.name, path, done), daemon=True)
        for drive, path in zip(drives, paths, strict=True)
    ]
    total = sum(len(drive.trajectory.stamps_ns) for drive in drives)
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers):
            progress(done.value, total)
            time.sleep(0.1)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    failed = [d.name for d, w in zip(drives, workers, strict=True) if w.exitcode != 0]
    if failed:
        raise NetvladError(
            f'rendering {", ".join(failed)} into {folder} failed; see the messages above'
        )
    progress(total, total)
    return paths


def write_drive_bag(
    path: Path,
    trajectory: Trajectory,
    camera: Camera,
    images: Iterable[NDArray[np.uint8]],
    *,
    compressed: bool,
) -> None:
    """Write one image for each stamp of the trajectory, and TF and odometry at TF_HZ.

    Args:
        path: of the rosbag2 folder.
        trajectory: of the vehicle.
        camera: of the images.
        images: uint8 (H, W, 3) RGB, one a stamp.
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
        # One more, so that the last image is between two poses.
        _write_motion(writer, trajectory, next_tf)


def _record(name: str, path: Path, done: Synchronized[int]) -> None:
    cv2.setNumThreads(1)  # each drive has one core
    drive = {d.name: d for d in (DRIVE_ONE, DRIVE_TWO)}[name]

    def counted() -> Iterator[NDArray[np.uint8]]:
        for image in drive.images(Camera()):
            yield image
            with done.get_lock():
                done.value += 1

    write_drive_bag(path, drive.trajectory, Camera(), counted(), compressed=drive.compressed)


def _write_motion(writer: BagWriter, trajectory: Trajectory, stamp_ns: int) -> None:
    t = trajectory.at(stamp_ns)
    T_map_odom = trajectory.T_map_odom(t)
    T_odom_base = invert(T_map_odom) @ trajectory.T_map_base(t)
    ahead = invert(T_map_odom) @ trajectory.T_map_base(t + SPEED_OVER_S)
    speed = float(np.linalg.norm(ahead[:3, 3] - T_odom_base[:3, 3])) / SPEED_OVER_S
    odom = (ODOM_FRAME, BASE_FRAME, T_odom_base)
    writer.write_transforms(stamp_ns, [(MAP_FRAME, ODOM_FRAME, T_map_odom), odom])
    writer.write_odometry(stamp_ns, odom, speed)
