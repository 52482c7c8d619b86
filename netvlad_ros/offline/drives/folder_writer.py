"""Writes a drive as a folder: `images/`, `poses.csv`, `skipped.csv`."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import to_jpeg
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import atomic_directory
from netvlad_ros.core.geometry import pose_vector
from netvlad_ros.offline.drives.drive import Drive, read_or_skip
from netvlad_ros.offline.drives.poses_file import HEADER
from netvlad_ros.offline.progress import skip_sentences

SKIPPED_FILE = 'skipped.csv'
JPEG_QUALITY = 95


def write_folder_drive(drive: Drive, folder: Path, max_area_px: int) -> None:
    """Write the frames that have a pose as JPEG with their poses; the folder appears whole.

    `skipped.csv` (image, reason) lists what was left out.

    Args:
        drive: what is written.
        folder: where to.
        max_area_px: larger images are shrunk to this area [px], by area averaging; 0 keeps them.

    Raises:
        NetvladError: no frame is left, or the disk does not take it.
    """
    with atomic_directory(folder, overwrite=False) as written:
        (written / 'images').mkdir()
        count = 0
        skipped = list(drive.skipped)
        with (written / 'poses.csv').open('w', newline='', encoding='utf-8') as file:
            table = csv.writer(file, lineterminator='\n')
            table.writerow(HEADER)
            for frame in drive.frames(skipped=skipped):
                rgb = None if frame.T_map_cam is None else read_or_skip(frame, skipped)
                if rgb is None or frame.T_map_cam is None:
                    continue
                name = f'images/{count:06d}.jpg'
                jpeg = to_jpeg(rgb, JPEG_QUALITY, _size(rgb, max_area_px))
                (written / name).write_bytes(jpeg)
                stamp = f'{frame.stamp_ns // 10**9}.{frame.stamp_ns % 10**9:09d}'
                table.writerow([name, stamp, *map(repr, pose_vector(frame.T_map_cam).tolist())])
                count += 1
        if not count:
            reasons = '; '.join(skip_sentences(skipped)) or 'it holds none'
            raise NetvladError(f'{drive.name}: no image with a pose ({reasons})')
        with (written / SKIPPED_FILE).open('w', newline='', encoding='utf-8') as file:
            table = csv.writer(file, lineterminator='\n')
            table.writerows([('image', 'reason'), *skipped])


def _size(rgb: NDArray[np.uint8], max_area_px: int) -> tuple[int, int] | None:
    """Width and height [px] to shrink an image to, None where it is small enough."""
    height, width = rgb.shape[:2]
    if not max_area_px or height * width <= max_area_px:
        return None
    scale = math.sqrt(max_area_px / (height * width))
    return max(round(width * scale), 1), max(round(height * scale), 1)
