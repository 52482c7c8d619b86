"""Reader of clips without poses: `frames.csv` says which frames belong to one recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.files.csv_file import read_columns
from netvlad_ros.offline.files.image_files import ImageFinder

COLUMNS = ('image', 'floor', 'area', 'clip', 'frame_1hz')


def read_clips(folder: Path) -> PlaceImages:
    """Read `frames.csv` (image, floor, area, clip, frame_1hz [s]; other columns are ignored).

    The time within a clip says which frames show one place. Floors of one building look similar, so
    a frame of the same area on another floor is no sure negative. Nor is a frame of another area
    on the same floor, because two areas may see the same hall.

    Raises:
        NetvladError: no such file, a column missing, or a broken line, by its number.
    """
    finder = ImageFinder(folder)
    images: list[Path] = []
    seconds: list[float] = []
    columns: dict[str, list[str]] = {'floor': [], 'area': [], 'clip': []}
    for row in read_columns(folder / 'frames.csv', COLUMNS):
        second = row.number('frame_1hz')
        image = finder.find(row.cells['image'])
        if image is None:
            continue
        images.append(image)
        seconds.append(second)
        for name, column in columns.items():
            column.append(row.cells[name])
    floors, areas, clips = (np.array(column, dtype=str) for column in columns.values())
    everything = np.ones(len(images), dtype=bool)
    return PlaceImages(
        name=folder.resolve().name,
        images=tuple(images),
        recordings=clips,
        areas=np.full(len(images), '', dtype=str),
        positions_m=None,
        headings_deg=None,
        times_s=np.array(seconds, dtype=np.float64),
        places=None,
        is_query=everything,
        is_database=everything,
        apart=(floors, areas, clips),
        skipped=tuple(finder.skipped),
    )
