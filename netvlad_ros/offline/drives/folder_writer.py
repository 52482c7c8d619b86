"""A drive written as a folder: `images/`, `poses.csv`, and what was left out."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

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

    max_area_px: larger images are shrunk to this area [px], by area averaging; 0 keeps them. What
    was left out stands in `skipped.csv` (image, reason).

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
                _write_jpeg(written / name, _shrunk(rgb, max_area_px))
                stamp = f'{frame.stamp_ns // 10**9}.{frame.stamp_ns % 10**9:09d}'
                table.writerow([name, stamp, *map(repr, pose_vector(frame.T_map_cam).tolist())])
                count += 1
        if not count:
            reasons = '; '.join(skip_sentences(skipped)) or 'it holds none'
            raise NetvladError(f'{drive.name}: no image with a pose ({reasons})')
        with (written / SKIPPED_FILE).open('w', newline='', encoding='utf-8') as file:
            table = csv.writer(file, lineterminator='\n')
            table.writerows([('image', 'reason'), *skipped])


def _shrunk(rgb: NDArray[np.uint8], max_area_px: int) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    if not max_area_px or height * width <= max_area_px:
        return rgb
    scale = math.sqrt(max_area_px / (height * width))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _write_jpeg(path: Path, rgb: NDArray[np.uint8]) -> None:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(jpeg.tobytes())
