"""Drives with poses: a folder with `poses.csv`, or a bag, which is turned into such a folder."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.bag_options import BagOptions
from netvlad_ros.offline.folder_traverse import FolderTraverse
from netvlad_ros.offline.layouts.column_table import read_columns
from netvlad_ros.offline.layouts.image_finder import ImageFinder
from netvlad_ros.offline.layouts.traverse_folder import SKIPPED_FILE, write_traverse_folder
from netvlad_ros.offline.layouts.viewing_direction import ground_axes, headings_deg
from netvlad_ros.offline.open_traverse import open_traverse
from netvlad_ros.offline.place_images import PlaceImages
from netvlad_ros.offline.traverse import Skip


def read_folder_traverse(folder: Path) -> PlaceImages:
    """Read a drive's `poses.csv`; images without a pose, and poses without an image, are skipped.

    Positions are the camera's, in the frame of the poses, with the vertical axis last (see
    ground_axes); headings are those of the optical axis.

    Raises:
        NetvladError: no such file, or a broken line, by its number.
    """
    finder = ImageFinder(folder)
    traverse = FolderTraverse(folder, BagOptions())
    found = [
        (image, frame)
        for frame in traverse.frames()
        if (image := finder.find(frame.image)) is not None
    ]
    T_map_cam = np.array([frame.T_map_cam for _, frame in found]).reshape(-1, 4, 4)
    stamps = [frame.stamp_ns for _, frame in found]
    axes = ground_axes(T_map_cam) if found else np.arange(3)
    everything = np.ones(len(found), dtype=bool)
    return PlaceImages(
        name=folder.resolve().name,
        images=tuple(image for image, _ in found),
        recordings=np.full(len(found), '', dtype=str),
        areas=np.full(len(found), '', dtype=str),
        positions_m=T_map_cam[:, :3, 3][:, axes],
        headings_deg=headings_deg(T_map_cam, axes),
        # From the first image on: a double holds no nanoseconds since 1970.
        times_s=np.array([(stamp - stamps[0]) / 1e9 for stamp in stamps], dtype=np.float64),
        places=None,
        is_query=everything,
        is_database=everything,
        skipped=(*finder.skipped, *traverse.skipped),
    )


def read_bag(bag: Path, cache: Path, max_area_px: int, options: BagOptions) -> PlaceImages:
    """Read a bag as such a folder, which is written below `cache` once and found there again.

    The folder's name holds a hash of the bag's files, sizes and times and of the options: another
    bag, or other options, get a folder of their own.
    """
    folder = cache / f'{bag.resolve().stem}-{_fingerprint(bag, max_area_px, options)}'
    if not folder.is_dir():
        write_traverse_folder(open_traverse(bag, **vars(options)), folder, max_area_px)
    found = read_folder_traverse(folder)
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
