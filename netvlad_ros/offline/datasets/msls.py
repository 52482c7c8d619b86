"""Reader of Mapillary Street-Level Sequences: cities with `query/` and `database/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.datasets.utm import heading_of_bearing
from netvlad_ros.offline.files.csv_file import ColumnRow, read_columns
from netvlad_ros.offline.files.image_files import ImageFinder

SIDES = ('query', 'database')
TABLES = {
    'postprocessed.csv': ('key', 'easting', 'northing'),
    'raw.csv': ('key', 'ca', 'pano'),
    'seq_info.csv': ('key', 'sequence_key'),
}

YES = ('true', '1')  # in subtask_index.csv


def read_msls(folder: Path, *, task: str | None = None) -> PlaceImages:
    """Read the whole set (the folder with `train_val/`), that folder, or one city of it.

    Areas are cities (hold out `cph` and `sf`, as the set's authors do), recordings are sequences,
    positions are UTM [m]. Panoramas are skipped, as in the set's own reader. A city without
    positions (the test cities) is skipped too.

    Args:
        folder: the whole set, `train_val/` or a city.
        task: a column of subtask_index.csv. If a city has that file, images that are not True in
            this column are skipped.

    Raises:
        NetvladError: no city, a missing table or column, or a broken line, by its number.
    """
    root = folder / 'train_val' if (folder / 'train_val').is_dir() else folder
    if (root / 'query').is_dir():
        cities = [root]
    else:
        cities = sorted(p for p in root.iterdir() if (p / 'query').is_dir())
    if not cities:
        raise NetvladError(f'{folder} holds no city: a folder with query/ and database/')
    finder = ImageFinder(root)
    images: list[Path] = []
    rows: list[tuple[float, float, float]] = []
    recordings: list[str] = []
    areas: list[str] = []
    is_query: list[bool] = []
    for city in cities:
        name = city.resolve().name
        for side in SIDES:
            for position, raw, sequence, counted in _lines(city / side, task):
                key = position.cells['key']
                if not counted:
                    finder.skip(key, f'not of the task {task}')
                    continue
                if raw.cells['pano'].lower() == 'true':
                    finder.skip(key, 'a panorama')
                    continue
                east, north = position.number('easting'), position.number('northing')
                bearing = raw.number('ca')
                image = finder.find(f'{city.relative_to(root) / side}/images/{key}.jpg')
                if image is None:
                    continue
                images.append(image)
                rows.append((east, north, bearing))
                recordings.append(f'{name}/{sequence.cells["sequence_key"]}')
                areas.append(name)
                is_query.append(side == 'query')
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    asked = np.array(is_query, dtype=bool)
    return PlaceImages(
        name=folder.resolve().name,
        images=tuple(images),
        recordings=np.array(recordings, dtype=str),
        areas=np.array(areas, dtype=str),
        positions_m=table[:, :2],
        headings_deg=heading_of_bearing(table[:, 2]),
        times_s=None,
        places=None,
        is_query=asked,
        is_database=~asked,
        skipped=tuple(finder.skipped),
    )


def _lines(side: Path, task: str | None) -> Iterator[tuple[ColumnRow, ColumnRow, ColumnRow, bool]]:
    """Yield the same line of all tables, and whether its image belongs to the task."""
    tables = [read_columns(side / name, columns) for name, columns in TABLES.items()]
    tasks = side / 'subtask_index.csv'
    if task is not None and tasks.is_file():
        tables.append(read_columns(tasks, (task,), ('key',)))
    try:
        for rows in zip(*tables, strict=True):
            keys = {row.cells['key'] for row in rows if 'key' in row.cells}
            if len(keys) > 1:
                raise NetvladError(
                    f'{rows[1].where}: key {rows[1].cells["key"][:40]} stands in another line '
                    f'than in {", ".join(TABLES)}'
                )
            counted = len(rows) == len(TABLES) or rows[-1].cells[task or ''].lower() in YES
            yield rows[0], rows[1], rows[2], counted
    except ValueError as error:
        names = [*TABLES, tasks.name][: len(tables)]
        raise NetvladError(f'{side}: {", ".join(names)} have different numbers of lines') from error
