"""Readers of own drives, as folders or bags: positions and headings on the ground."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.drives.drive_options import BagOptions
from netvlad_ros.offline.drives.folder_drive import FolderDrive
from netvlad_ros.offline.drives.folder_writer import SKIPPED_FILE, write_folder_drive
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.files.csv_file import read_columns
from netvlad_ros.offline.files.image_files import ImageFinder
from netvlad_ros.offline.progress import Skip


def read_folder_drive(folder: Path) -> PlaceImages:
    """Read a drive's `poses.csv`; images without a pose, and poses without an image, are skipped.

    Positions are the camera's, in the frame of the poses, with the vertical axis last (see
    ground_axes); headings are those of the optical axis.

    Raises:
        NetvladError: no such file, or a broken line, by its number.
    """
    return _one_area(folder.resolve().name, '', {'': folder})


def read_visits(folder: Path) -> PlaceImages:
    """Read PLACE/VISIT/poses.csv: drives through several places, of each place in one frame.

    A folder that holds the visits themselves is one place.

    Raises:
        NetvladError: no such files, or what read_folder_drive raises.
    """
    name = folder.resolve().name
    places = {'': folder, **_folders(folder)}
    parts = []
    for place, inside in places.items():
        drives = {n: path for n, path in _folders(inside).items() if (path / 'poses.csv').exists()}
        if drives:
            parts.append(_one_area(name, place, drives))
    if not parts:
        raise NetvladError(
            f'{folder}: layout visits needs PLACE/VISIT/poses.csv, or VISIT/poses.csv of one place'
        )
    columns: dict[str, Any] = {
        column: np.concatenate([getattr(part, column) for part in parts])
        for column in ('recordings', 'areas', 'times_s', 'positions_m', 'headings_deg')
    }
    everything = np.ones(sum(len(part) for part in parts), dtype=bool)
    return replace(
        parts[0],
        images=tuple(image for part in parts for image in part.images),
        is_query=everything,
        is_database=everything,
        skipped=tuple(skip for part in parts for skip in part.skipped),
        **columns,
    )


def _folders(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


def _one_area(name: str, area: str, drives: dict[str, Path]) -> PlaceImages:
    """Drives in one frame, by the names of their recordings."""
    images: list[Path] = []
    poses: list[NDArray[np.float64] | None] = []
    recordings: list[str] = []
    times_s: list[float] = []
    skipped: list[Skip] = []
    for recording, folder in drives.items():
        finder = ImageFinder(folder)
        drive = FolderDrive(folder, BagOptions())
        first = None
        for frame in drive.frames():
            image = finder.find(frame.image)
            if image is None:
                continue
            first = frame.stamp_ns if first is None else first
            images.append(image)
            poses.append(frame.T_map_cam)
            recordings.append(f'{area}/{recording}' if area else recording)
            # Relative to the first image: a double cannot hold nanoseconds since 1970.
            times_s.append((frame.stamp_ns - first) / 1e9)
        skipped += (*finder.skipped, *drive.skipped)
    T_map_cam = np.array(poses, dtype=np.float64).reshape(-1, 4, 4)
    axes = ground_axes(T_map_cam) if images else np.arange(3)
    everything = np.ones(len(images), dtype=bool)
    return PlaceImages(
        name=name,
        images=tuple(images),
        recordings=np.array(recordings, dtype=str),
        areas=np.full(len(images), area),
        positions_m=T_map_cam[:, :3, 3][:, axes],
        headings_deg=headings_deg(T_map_cam, axes),
        times_s=np.array(times_s, dtype=np.float64),
        places=None,
        is_query=everything,
        is_database=everything,
        skipped=tuple(skipped),
    )


def read_bag(bag: Path, cache: Path, max_area_px: int, options: BagOptions) -> PlaceImages:
    """Read a bag as a folder drive, which is written below `cache` at the first time.

    The folder's name has a hash of the options and of names, sizes and times of the bag's files:
    another bag, or other options, get a folder of their own.

    Args:
        bag: the bag.
        cache: where folders of bags are kept.
        max_area_px: larger images are stored with this area [px]; 0 keeps them.
        options: how the bag is read.
    """
    folder = cache / f'{bag.resolve().stem}-{_fingerprint(bag, max_area_px, options)}'
    if not folder.is_dir():
        write_folder_drive(open_drive(bag, **vars(options)), folder, max_area_px)
    found = read_folder_drive(folder)
    skipped = tuple(
        Skip(row.cells['image'], row.cells['reason'])
        for row in read_columns(folder / SKIPPED_FILE, ('image', 'reason'))
    )
    return replace(found, name=bag.resolve().stem, skipped=skipped)


def _fingerprint(bag: Path, max_area_px: int, options: BagOptions) -> str:
    digest = hashlib.sha256(repr((max_area_px, astuple(options))).encode())
    try:
        files = [bag] if bag.is_file() else sorted(p for p in bag.iterdir() if p.is_file())
        for path in files:
            state = path.stat()
            digest.update(f'{path.resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0'.encode())
    except OSError as error:
        raise NetvladError(f'bag {bag} cannot be read: {error.strerror}') from error
    return digest.hexdigest()[:16]


CLEAR = 0.7  # a map axis is vertical if the mean of the cameras' up axes has this much along it
STEEP = 0.2  # a direction has no heading if the sine of its angle to the vertical is smaller


def ground_axes(T_map_cam: NDArray[np.float64]) -> NDArray[np.int64]:
    """Axes of the map in the order (ground, ground, up), (3,) int64, for poses (N, 4, 4).

    z is up, as in REP-103, unless the cameras clearly show that another axis is vertical: visual
    odometry often keeps the first camera's frame, whose y axis points down. The order is cyclic,
    so that headings keep their sense up to the sign of the vertical.
    """
    up = -T_map_cam[:, :3, 1].mean(axis=0)  # optical frames: y down
    axis = int(np.abs(up).argmax())
    vertical = axis if abs(up[axis]) > CLEAR else 2
    return np.array([(vertical + 1) % 3, (vertical + 2) % 3, vertical])


def headings_deg(T_map_cam: NDArray[np.float64], axes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Direction of view on the ground (N,) [deg], from the first of the axes to the second.

    It is the optical axis (z) projected on the ground. For a camera that looks almost straight up
    or down it is the direction that the top of its image points in. It is NaN if both are vertical.
    """
    forward = T_map_cam[:, :3, 2][:, axes]
    top = -T_map_cam[:, :3, 1][:, axes]
    flat = np.linalg.norm(forward[:, :2], axis=1) > STEEP
    chosen = np.where(flat[:, None], forward, top)
    headings = np.degrees(np.arctan2(chosen[:, 1], chosen[:, 0]))
    return np.where(np.linalg.norm(chosen[:, :2], axis=1) > STEEP, headings, np.nan)
