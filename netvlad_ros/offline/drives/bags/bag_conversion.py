"""write_bag: a drive as a rosbag2, for `netvlad bag write`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import invert
from netvlad_ros.offline.drives.bags.bag_writer import (
    BASE_FRAME,
    MAP_FRAME,
    T_BASE_CAM_FORWARD,
    write_bag_to,
)
from netvlad_ros.offline.drives.camera_file import CameraFile, read_camera
from netvlad_ros.offline.drives.drive import Drive, read_or_skip, selected_indices
from netvlad_ros.offline.progress import Progress, Skip, no_progress, skip_sentences


def write_bag(
    drive: Drive,
    out: Path,
    *,
    camera_file: Path | None = None,
    selection: slice = slice(None),
    size: tuple[int, int] | None = None,
    storage: str = 'mcap',
    compressed: bool = False,
    skipped: list[Skip] | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write the frames of a drive as a rosbag2, with the drive's own stamps.

    Args:
        drive: what is written.
        out: the bag's folder, which must not exist.
        camera_file: camera.yaml; without one the bag has no camera_info.
        selection: of the drive's images.
        size: width, height [px] to resize to; None keeps the images as they are.
        storage: mcap or sqlite3.
        compressed: write JPEG images instead of raw ones.
        skipped: gets the images that are left out, because they are unreadable.
        progress: called with (images done, in all).

    Returns:
        The number of images written.

    Raises:
        NetvladError: nothing is left, or `out` exists or cannot be written.
    """
    camera = None if camera_file is None else read_camera(camera_file)
    T_base_cam = T_BASE_CAM_FORWARD if drive.T_base_cam is None else drive.T_base_cam
    if camera and size:
        camera = camera.resized(*size)
    total = len(selected_indices(selection, len(drive)))
    written = 0
    skipped = [] if skipped is None else skipped
    with write_bag_to(
        out, storage=storage, compressed=compressed, camera=camera, T_base_cam=T_base_cam
    ) as writer:
        for done, frame in enumerate(drive.frames(selection, skipped)):
            progress(done, total)
            rgb = read_or_skip(frame, skipped)
            if rgb is None:
                continue
            rgb = rgb if size is None else _resized(rgb, size)
            if camera:
                _check_same_size(rgb, camera, frame.image)
            if frame.T_map_cam is not None:
                T_map_base = frame.T_map_cam @ invert(T_base_cam)
                writer.write_transforms(frame.stamp_ns, [(MAP_FRAME, BASE_FRAME, T_map_base)])
            writer.write_image(frame.stamp_ns, rgb)
            written += 1
        progress(total, total)
        if not written:
            reasons = '; '.join(skip_sentences([*drive.skipped, *skipped])) or 'the slice is empty'
            raise NetvladError(f'{drive.name}: no image is left for a bag ({reasons})')
    return written


def _resized(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if size[0] < rgb.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size, interpolation=method), dtype=np.uint8)


def _check_same_size(rgb: NDArray[np.uint8], camera: CameraFile, image: str) -> None:
    height, width = rgb.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise NetvladError(
            f'{image} is {width}x{height} px, but camera.yaml is for '
            f'{camera.width}x{camera.height}; mend one of them or pass --size'
        )
