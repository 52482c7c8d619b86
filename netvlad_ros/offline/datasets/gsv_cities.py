"""Reader of GSV-Cities: labelled places, photographed in several years; one table a city."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.gps_track import fix
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.datasets.utm import heading_of_bearing, utm_positions
from netvlad_ros.offline.files.csv_file import ColumnRow, read_columns
from netvlad_ros.offline.files.image_files import ImageFinder

COLUMNS = ('place_id', 'year', 'month', 'northdeg', 'city_id', 'lat', 'lon', 'panoid')
MAX_PLACES = 10**9  # of one city


def read_gsv_cities(folder: Path) -> PlaceImages:
    """Read `Dataframes/<city>.csv` and the images that they name in `Images/<city_id>/`.

    Images show the same place if their labels are equal: places of this set are 100 m apart. Areas
    are cities, recordings are months, positions are UTM [m].

    Raises:
        NetvladError: no table, a column missing, or a broken line, by its number.
    """
    tables = sorted((folder / 'Dataframes').glob('*.csv'))
    if not tables:
        raise NetvladError(f'{folder}: Dataframes/ holds no table of a city')
    finder = ImageFinder(folder / 'Images')
    images: list[Path] = []
    rows: list[tuple[float, float, float]] = []
    recordings: list[str] = []
    areas: list[str] = []
    places: list[int] = []
    for number, table in enumerate(tables):
        for row in read_columns(table, COLUMNS):
            place = _whole(row, 'place_id')
            if place >= MAX_PLACES:
                raise NetvladError(f'{row.where}: place_id {place} is no number of a place')
            year, month = _whole(row, 'year'), _whole(row, 'month')
            fixed = (*fix(row), row.number('northdeg'))
            image = finder.find(*_file_names(row, place, year, month))
            if image is None:
                continue
            images.append(image)
            rows.append(fixed)
            recordings.append(f'{row.cells["city_id"]}/{year:04d}-{month:02d}')
            areas.append(table.stem)
            places.append(number * MAX_PLACES + place)
    known = np.array(rows, dtype=np.float64).reshape(-1, 3)
    cities = np.array(areas, dtype=str)
    positions = np.empty((len(images), 2))
    for city in np.unique(cities):
        here = cities == city
        positions[here], _ = utm_positions(known[here, 0], known[here, 1])
    everything = np.ones(len(images), dtype=bool)
    return PlaceImages(
        name=folder.resolve().name,
        images=tuple(images),
        recordings=np.array(recordings, dtype=str),
        areas=cities,
        positions_m=positions,
        headings_deg=heading_of_bearing(known[:, 2]),
        times_s=None,
        places=np.array(places, dtype=np.int64),
        is_query=everything,
        is_database=everything,
        skipped=tuple(finder.skipped),
    )


def _file_names(row: ColumnRow, place: int, year: int, month: int) -> list[str]:
    """Names by the set's rule, with coordinates as written or as a double prints them."""
    cells = row.cells
    city, bearing = cells['city_id'], f'{_whole(row, "northdeg"):03d}'
    start = f'{city}/{city}_{place:07d}_{year:04d}_{month:02d}_{bearing}'
    written = f'{cells["lat"]}_{cells["lon"]}'
    printed = f'{row.number("lat")!r}_{row.number("lon")!r}'
    return [
        f'{start}_{coordinates}_{cells["panoid"]}{suffix}'
        for coordinates in dict.fromkeys((written, printed))
        for suffix in ('.JPG', '.jpg')
    ]


def _whole(row: ColumnRow, column: str) -> int:
    value = row.number(column)
    if value != int(value) or value < 0:
        raise NetvladError(f'{row.where}: {column} is {value:g}, not a whole number')
    return int(value)
