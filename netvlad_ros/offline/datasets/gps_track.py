"""Reader of photographs with GPS fixes: `gps.csv`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.datasets.utm import heading_of_bearing, utm_positions
from netvlad_ros.offline.files.csv_file import ColumnRow, read_columns
from netvlad_ros.offline.files.image_files import ImageFinder

COLUMNS = ('image', 'lat', 'lon')
OPTIONAL = ('bearing', 'timestamp_s')


def read_gps_track(folder: Path) -> PlaceImages:
    """Read `gps.csv`, with one image a line.

    Its columns are image, lat and lon [deg, WGS84], and optionally bearing [deg, clockwise from
    north] and timestamp_s [s]. An empty bearing is unknown. An image without a fix is skipped.
    Positions are UTM, so that several tracks of one area can be compared.

    Raises:
        NetvladError: no such file, a column missing, or a broken line, by its number.
    """
    finder = ImageFinder(folder)
    images: list[Path] = []
    known: list[tuple[float, float, float, float]] = []
    for row in read_columns(folder / 'gps.csv', COLUMNS, OPTIONAL):
        if not row.cells['lat'] and not row.cells['lon']:
            finder.skip(row.cells['image'], 'no GPS fix')
            continue
        lat, lon = fix(row)
        bearing = row.number('bearing') if row.cells.get('bearing') else np.nan
        stamp = row.number('timestamp_s') if 'timestamp_s' in row.cells else np.nan
        image = finder.find(row.cells['image'])
        if image is not None:
            images.append(image)
            known.append((lat, lon, bearing, stamp))
    lats, lons, bearings, stamps = np.array(known, dtype=np.float64).reshape(-1, 4).T
    positions, zone = utm_positions(lats, lons) if images else (np.empty((0, 2)), '')
    everything = np.ones(len(images), dtype=bool)
    return PlaceImages(
        name=folder.resolve().name,
        images=tuple(images),
        recordings=np.full(len(images), '', dtype=str),
        areas=np.full(len(images), f'utm{zone}'),
        positions_m=positions,
        headings_deg=heading_of_bearing(bearings),
        times_s=stamps,
        places=None,
        is_query=everything,
        is_database=everything,
        skipped=tuple(finder.skipped),
    )


def fix(row: ColumnRow) -> tuple[float, float]:
    """Latitude and longitude [deg] of a line. Raises NetvladError that names the line."""
    lat, lon = row.number('lat'), row.number('lon')
    if not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 180.0):
        raise NetvladError(f'{row.where}: lat {lat:g}, lon {lon:g} is no place on Earth')
    return lat, lon
